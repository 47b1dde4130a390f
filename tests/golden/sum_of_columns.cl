// launches: 1, programs: 1

FX_STAGE void stage_0_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  for (int k = 0; k < 1024; ++k) *(b1 + item * 1024 + k) = 0.0f;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    for (int i1 = 0; i1 + 8 <= 1024; i1 += 8) {
      const float8 x1 = *(__global const float8_u *)(b0 + (1024 * i0 + i1));
      *((__global float8_u *)(b1 + item * 1024 + (i1))) = (*(__global const float8_u *)(b1 + item * 1024 + (i1)) + x1);
    }
  }
}

FX_STAGE void stage_0_1(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT OFF
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  const int e1 = n2;
  for (int i0 = s0; i0 + 64 <= s1; i0 += 64) {
    float16 a1_0 = (float16)(0.0f);
    float16 a1_1 = (float16)(0.0f);
    float16 a1_2 = (float16)(0.0f);
    float16 a1_3 = (float16)(0.0f);
    for (int i1 = 0; i1 < e1; ++i1) {
      const float16 x2 = *(__global const float16_u *)(b0 + (i0 + 1024 * i1));
      a1_0 = (a1_0 + x2);
      const float16 x3 = *(__global const float16_u *)(b0 + (i0 + 1024 * i1 + 16));
      a1_1 = (a1_1 + x3);
      const float16 x4 = *(__global const float16_u *)(b0 + (i0 + 1024 * i1 + 32));
      a1_2 = (a1_2 + x4);
      const float16 x5 = *(__global const float16_u *)(b0 + (i0 + 1024 * i1 + 48));
      a1_3 = (a1_3 + x5);
    }
    *((__global float16_u *)(b1 + (i0))) = a1_0;
    *((__global float16_u *)(b1 + (i0 + 16))) = a1_1;
    *((__global float16_u *)(b1 + (i0 + 32))) = a1_2;
    *((__global float16_u *)(b1 + (i0 + 48))) = a1_3;
  }
  for (int from0 = s0 + (s1 - s0) / 64 * 64; from0 < s1; from0 += 16) {
    const int i0 = min(from0, (int)(s1 - 16));
    float16 a6_0 = (float16)(0.0f);
    for (int i1 = 0; i1 < e1; ++i1) {
      const float16 x7 = *(__global const float16_u *)(b0 + (i0 + 1024 * i1));
      a6_0 = (a6_0 + x7);
    }
    *((__global float16_u *)(b1 + (i0))) = a6_0;
  }
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
  stage_0_1(q2, (__global const float *)(p2), (__global float *)(p3), n[4], n[5], n[6]);
  }
  team_leave(&t);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global uchar *)p0, (__global uchar *)p1, (__global uchar *)p2, (__global uchar *)p3); break;
  }
}
