// launches: 2, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item / n0, is = item % n0;
  float8 p1_0 = (float8)(0.0f);
  float8 p1_1 = (float8)(0.0f);
  float8 p1_2 = (float8)(0.0f);
  float8 p1_3 = (float8)(0.0f);
  float p1 = 0.0f;
  const int s0 = is * n2, s1 = min((long)n1, (is + 1) * (long)n2);
  for (int i0 = s0; i0 + 32 <= s1; i0 += 32) {
    const float8 x2 = *(__global const float8_u *)(b0 + (i0));
    p1_0 = (p1_0 + x2);
    const float8 x3 = *(__global const float8_u *)(b0 + (i0 + 8));
    p1_1 = (p1_1 + x3);
    const float8 x4 = *(__global const float8_u *)(b0 + (i0 + 16));
    p1_2 = (p1_2 + x4);
    const float8 x5 = *(__global const float8_u *)(b0 + (i0 + 24));
    p1_3 = (p1_3 + x5);
  }
  for (int i0 = s0 + (s1 - s0) / 32 * 32; i0 < s1; ++i0) {
    const float x6 = *(b0 + (i0));
    p1 = (p1 + x6);
  }
  p1_0 = (p1_0 + p1_2);
  p1_1 = (p1_1 + p1_3);
  p1_0 = (p1_0 + p1_1);
  const float h7 = fold_add_f32x8(p1_0);
  p1 = (h7 + p1);
  *(b1 + item) = p1;
}

FX_STAGE void stage_1(const long item, __global const float *b0, __global float *b1) {
  #pragma OPENCL FP_CONTRACT OFF
  const long ig = item;
  float8 a1_0 = (float8)(0.0f);
  float8 a1_1 = (float8)(0.0f);
  float8 a1_2 = (float8)(0.0f);
  float8 a1_3 = (float8)(0.0f);
  float a1 = 0.0f;
  for (int i0 = 0; i0 + 32 <= 32; i0 += 32) {
    const float8 x2 = *(__global const float8_u *)(b0 + (i0));
    a1_0 = (a1_0 + x2);
    const float8 x3 = *(__global const float8_u *)(b0 + (i0 + 8));
    a1_1 = (a1_1 + x3);
    const float8 x4 = *(__global const float8_u *)(b0 + (i0 + 16));
    a1_2 = (a1_2 + x4);
    const float8 x5 = *(__global const float8_u *)(b0 + (i0 + 24));
    a1_3 = (a1_3 + x5);
  }
  a1_0 = (a1_0 + a1_2);
  a1_1 = (a1_1 + a1_3);
  a1_0 = (a1_0 + a1_1);
  const float h6 = fold_add_f32x8(a1_0);
  a1 = (h6 + a1);
  *(b1 + (0)) = a1;
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  case 1: stage_1(item, (__global const float *)p0, (__global float *)p1); break;
  }
}
