// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  const int e1 = n2;
  for (int s = s0; s < s1; s += 32) {
    const int i0 = s < (int)n0 - 32 ? s : (int)n0 - 32;
    const float8 x2 = *(__global const float8_u *)(b0 + (i0));
    float8 c1_0 = x2;
    const float8 x3 = *(__global const float8_u *)(b0 + (i0 + 8));
    float8 c1_1 = x3;
    const float8 x4 = *(__global const float8_u *)(b0 + (i0 + 16));
    float8 c1_2 = x4;
    const float8 x5 = *(__global const float8_u *)(b0 + (i0 + 24));
    float8 c1_3 = x5;
    for (int i1 = 0; i1 < e1; ++i1) {
      const float8 x6 = sin_f32x8(c1_0);
      const float8 x7 = ((c1_0 * (float8)(0.5f)) + x6);
      const float8 x8 = sin_f32x8(c1_1);
      const float8 x9 = ((c1_1 * (float8)(0.5f)) + x8);
      const float8 x10 = sin_f32x8(c1_2);
      const float8 x11 = ((c1_2 * (float8)(0.5f)) + x10);
      const float8 x12 = sin_f32x8(c1_3);
      const float8 x13 = ((c1_3 * (float8)(0.5f)) + x12);
      c1_0 = x7;
      c1_1 = x9;
      c1_2 = x11;
      c1_3 = x13;
    }
    *((__global float8_u *)(b1 + (i0))) = c1_0;
    *((__global float8_u *)(b1 + (i0 + 8))) = c1_1;
    *((__global float8_u *)(b1 + (i0 + 16))) = c1_2;
    *((__global float8_u *)(b1 + (i0 + 24))) = c1_3;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  }
}
