// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 16 <= s1; i0 += 16) {
    const float16 x1 = *(__global const float16_u *)(b0 + (i0));
    const float16 x2 = tanh_f32x16(x1);
    const float16 x3 = ((float16)(1.0f) * x2);
    const float16 x4 = logistic_f32x16(x1);
    const float16 x5 = ((float16)(1.0f) - x4);
    const float16 x6 = (x4 * x5);
    const float16 x7 = (x3 * x6);
    const float16 x8 = ((float16)(1.0f) * x4);
    const float16 x9 = ((float16)(1.0f) - x2);
    const float16 x10 = (x8 * x9);
    const float16 x11 = (x7 + x10);
    const float16 x12 = (x10 * x2);
    const float16 x13 = (x11 + x12);
    *((__global float16_u *)(b1 + (i0))) = x13;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 16 * 16; i0 < s1; ++i0) {
    const float x14 = *(b0 + (i0));
    const float x15 = tanh_f32x1(x14);
    const float x16 = (1.0f * x15);
    const float x17 = logistic_f32x1(x14);
    const float x18 = (1.0f - x17);
    const float x19 = (x17 * x18);
    const float x20 = (x16 * x19);
    const float x21 = (1.0f * x17);
    const float x22 = (1.0f - x15);
    const float x23 = (x21 * x22);
    const float x24 = (x20 + x23);
    const float x25 = (x23 * x15);
    const float x26 = (x24 + x25);
    *(b1 + (i0)) = x26;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
