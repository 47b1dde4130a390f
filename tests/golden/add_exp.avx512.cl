// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global const float *b1, __global float *b2, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 16 <= s1; i0 += 16) {
    const float16 x1 = *(__global const float16_u *)(b0 + (i0));
    const float16 x2 = *(__global const float16_u *)(b1 + (i0));
    const float16 x3 = (x1 + x2);
    const float16 x4 = exp_f32x16(x3);
    const float16 x5 = (x4 - x1);
    *((__global float16_u *)(b2 + (i0))) = x5;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 16 * 16; i0 < s1; ++i0) {
    const float x6 = *(b0 + (i0));
    const float x7 = *(b1 + (i0));
    const float x8 = (x6 + x7);
    const float x9 = exp_f32x1(x8);
    const float x10 = (x9 - x6);
    *(b2 + (i0)) = x10;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global const float *)p1, (__global float *)p2, n0, n1); break;
  }
}
