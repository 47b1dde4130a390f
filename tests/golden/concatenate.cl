// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global const float *b1, __global float *b2, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    const int x1 = (((uint)(i0) < 100u));
    for (int i1 = 0; i1 + 8 <= 8; i1 += 8) {
      float8 x2 = (float8)(0.0f);
      if (((uint)(i0) < 100u)) x2 = *(__global const float8_u *)(b1 + (8 * i0 + i1));
      float8 x3 = (float8)(0.0f);
      if ((100 <= i0 && i0 < 128)) x3 = *(__global const float8_u *)(b0 + (8 * i0 + i1 + -800));
      const float8 x4 = ((int8)(-((x1) != 0)) ? x2 : x3);
      const float8 x5 = (x4 * (float8)(2.0f));
      *((__global float8_u *)(b2 + (8 * i0 + i1))) = x5;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global const float *)p1, (__global float *)p2, n0, n1); break;
  }
}
