// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT OFF
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 2 <= s1; i0 += 2) {
    float8 a1 = (float8)((-INFINITY));
    const float8 x2 = *(__global const float8_u *)(b0 + (16 * i0 + 16));
    const float8 x3 = *(__global const float8_u *)(b0 + (16 * i0));
    const float8 x4 = __builtin_shufflevector(x3, x2, 0, 2, 4, 6, 8, 10, 12, 14);
    a1 = max_f32x8(a1, x4);
    const float8 x5 = __builtin_shufflevector(x3, x2, 1, 3, 5, 7, 9, 11, 13, 15);
    a1 = max_f32x8(a1, x5);
    const float8 x6 = *(__global const float8_u *)(b0 + (16 * i0 + 24));
    const float8 x7 = *(__global const float8_u *)(b0 + (16 * i0 + 8));
    const float8 x8 = __builtin_shufflevector(x7, x6, 0, 2, 4, 6, 8, 10, 12, 14);
    a1 = max_f32x8(a1, x8);
    const float8 x9 = __builtin_shufflevector(x7, x6, 1, 3, 5, 7, 9, 11, 13, 15);
    a1 = max_f32x8(a1, x9);
    *((__global float8_u *)(b1 + (4 * i0))) = a1;
  }
  for (int i0 = s0 + (s1 - s0) / 2 * 2; i0 < s1; ++i0) for (int i1 = 0; i1 < 4; ++i1) {
    float a10_0 = (-INFINITY);
    for (int i2 = 0; i2 < 2; ++i2) {
      for (int i3 = 0; i3 < 2; ++i3) {
        const float x11 = *(b0 + (16 * i0 + 2 * i1 + 8 * i2 + i3));
        a10_0 = max_f32x1(a10_0, x11);
      }
    }
    *(b1 + (4 * i0 + i1)) = a10_0;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
