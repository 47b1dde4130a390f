// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global const float *b1, __global float *b2, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 8 <= s1; i0 += 8) {
    const float8 x1 = strided2_f32x8(b0 + (2 * i0));
    const float8 x2 = strided2_f32x8(b1 + (2 * i0));
    const float8 x3 = strided2_f32x8(b0 + (2 * i0 + 1));
    const float8 x4 = strided2_f32x8(b1 + (2 * i0 + 1));
    const float8 x5 = (x3 * x4);
    const float8 x6 = ((x1 * x2) - x5);
    const float8 t7 = x6;
    const float8 x8 = (x3 * x2);
    const float8 x9 = ((x1 * x4) + x8);
    const float8 t10 = x9;
    *((__global float8_u *)(b2 + (2 * i0) + 0)) = __builtin_shufflevector(t7, t10, 0, 8, 1, 9, 2, 10, 3, 11);
    *((__global float8_u *)(b2 + (2 * i0) + 8)) = __builtin_shufflevector(t7, t10, 4, 12, 5, 13, 6, 14, 7, 15);
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 8 * 8; i0 < s1; ++i0) {
    const float x11 = *(b0 + (2 * i0));
    const float x12 = *(b1 + (2 * i0));
    const float x13 = *(b0 + (2 * i0 + 1));
    const float x14 = *(b1 + (2 * i0 + 1));
    const float x15 = (x13 * x14);
    const float x16 = ((x11 * x12) - x15);
    *(b2 + (2 * i0)) = x16;
    const float x17 = (x13 * x12);
    const float x18 = ((x11 * x14) + x17);
    *(b2 + (2 * i0 + 1)) = x18;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global const float *)p1, (__global float *)p2, n0, n1); break;
  }
}
