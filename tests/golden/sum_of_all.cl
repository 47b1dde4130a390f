// launches: 1, programs: 1

FX_STAGE void stage_0_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  float8 p1_0 = (float8)(0.0f);
  float8 p1_1 = (float8)(0.0f);
  float8 p1_2 = (float8)(0.0f);
  float8 p1_3 = (float8)(0.0f);
  float p1 = 0.0f;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  const int far0 = (s1 - s0) / 32 * 8;
  for (int i0 = s0; i0 < s0 + far0; i0 += 8) {
    const float8 x2 = *(__global const float8_u *)(b0 + (i0));
    p1_0 = (p1_0 + x2);
    const float8 x3 = *(__global const float8_u *)(b0 + (i0 + far0));
    p1_1 = (p1_1 + x3);
    const float8 x4 = *(__global const float8_u *)(b0 + (i0 + 2 * far0));
    p1_2 = (p1_2 + x4);
    const float8 x5 = *(__global const float8_u *)(b0 + (i0 + 3 * far0));
    p1_3 = (p1_3 + x5);
  }
  for (int i0 = s0 + far0 * 4; i0 < s1; ++i0) {
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

FX_SHORT void stage_0_1(const long item, __global const float *b0, __global float *b1, const long n0) {
  #pragma OPENCL FP_CONTRACT OFF
  const long ig = item;
  float8 a1_0 = (float8)(0.0f);
  float8 a1_1 = (float8)(0.0f);
  float8 a1_2 = (float8)(0.0f);
  float8 a1_3 = (float8)(0.0f);
  float a1 = 0.0f;
  const int e0 = n0;
  for (int i0 = 0; i0 + 32 <= e0; i0 += 32) {
    const float8 x2 = *(__global const float8_u *)(b0 + (i0));
    a1_0 = (a1_0 + x2);
    const float8 x3 = *(__global const float8_u *)(b0 + (i0 + 8));
    a1_1 = (a1_1 + x3);
    const float8 x4 = *(__global const float8_u *)(b0 + (i0 + 16));
    a1_2 = (a1_2 + x4);
    const float8 x5 = *(__global const float8_u *)(b0 + (i0 + 24));
    a1_3 = (a1_3 + x5);
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = (e0 - 0) / 32 * 32; i0 < e0; ++i0) {
    const float x6 = *(b0 + (i0));
    a1 = (a1 + x6);
  }
  a1_0 = (a1_0 + a1_2);
  a1_1 = (a1_1 + a1_3);
  a1_0 = (a1_0 + a1_1);
  const float h7 = fold_add_f32x8(a1_0);
  a1 = (h7 + a1);
  *(b1 + (0)) = a1;
}

FX_LIST void stage_0(const long item, __global uchar *b0, __global uchar *b1, __global uchar *b2, __global uchar *b3) {
  __global uchar *p0 = b0;
  __global uchar *p1 = b1;
  __global uchar *p2 = b2;
  __global uchar *p3 = b3;
  team t = team_of((__global ulong *)p0, (uint)item, 2);
  const long *n = (const long *)(ulong)p0 + 27;
  team_timed(&t, (__global ulong *)p0 + 24);
  for (long q1; (q1 = team_next(&t, n[0])) >= 0;) {
  stage_0_0(q1, (__global const float *)(p1), (__global float *)(p2), n[1], n[2]);
  }
  for (long q2; (q2 = team_next(&t, n[3])) >= 0;) {
  stage_0_1(q2, (__global const float *)(p2), (__global float *)(p3), n[4]);
  }
  team_leave(&t);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global uchar *)p0, (__global uchar *)p1, (__global uchar *)p2, (__global uchar *)p3); break;
  }
}
