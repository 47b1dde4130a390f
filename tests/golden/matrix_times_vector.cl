// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global const float *b1, __global float *b2, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  const int e1 = max((int)n0, (int)256);
  const long ig = item;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float8 a1_0 = (float8)(0.0f);
    float8 a1_1 = (float8)(0.0f);
    float8 a1_2 = (float8)(0.0f);
    float8 a1_3 = (float8)(0.0f);
    float a1 = 0.0f;
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      const float8 x2 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      const float8 x3 = *(__global const float8_u *)(b1 + (i1));
      a1_0 = mad_f32x8(x2, x3, a1_0);
      const float8 x4 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      const float8 x5 = *(__global const float8_u *)(b1 + (i1 + 8));
      a1_1 = mad_f32x8(x4, x5, a1_1);
      const float8 x6 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      const float8 x7 = *(__global const float8_u *)(b1 + (i1 + 16));
      a1_2 = mad_f32x8(x6, x7, a1_2);
      const float8 x8 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      const float8 x9 = *(__global const float8_u *)(b1 + (i1 + 24));
      a1_3 = mad_f32x8(x8, x9, a1_3);
    }
    a1_0 = (a1_0 + a1_2);
    a1_1 = (a1_1 + a1_3);
    a1_0 = (a1_0 + a1_1);
    const float h10 = fold_add_f32x8(a1_0);
    a1 = (h10 + a1);
    *(b2 + (i0)) = a1;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global const float *)p1, (__global float *)p2, n0, n1, n2); break;
  }
}
