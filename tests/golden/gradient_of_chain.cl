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
    const float16 x7 = ((float16)(1.0f) * x4);
    const float16 x8 = ((float16)(1.0f) - x2);
    const float16 x9 = (x7 * x8);
    const float16 x10 = ((x3 * x6) + x9);
    const float16 x11 = (x10 + (x9 * x2));
    *((__global float16_u *)(b1 + (i0))) = x11;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 16 * 16; i0 < s1; ++i0) {
    const float x12 = *(b0 + (i0));
    const float x13 = tanh_f32x1(x12);
    const float x14 = (1.0f * x13);
    const float x15 = logistic_f32x1(x12);
    const float x16 = (1.0f - x15);
    const float x17 = (x15 * x16);
    const float x18 = (1.0f * x15);
    const float x19 = (1.0f - x13);
    const float x20 = (x18 * x19);
    const float x21 = ((x14 * x17) + x20);
    const float x22 = (x21 + (x20 * x13));
    *(b1 + (i0)) = x22;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
