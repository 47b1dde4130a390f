// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT OFF
  const int e1 = max((int)n0, (int)64);
  const long ig = item;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float c1_0 = 0.0f;
    for (int i1 = 0; i1 + 8 <= e1; i1 += 8) {
      const float8 x2 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      float8 x3 = x2;
      x3 = (x3 + (float8)(0.0f, x3.s0, x3.s1, x3.s2, 0.0f, x3.s4, x3.s5, x3.s6));
      x3 = (x3 + (float8)(0.0f, 0.0f, x3.s0, x3.s1, 0.0f, 0.0f, x3.s4, x3.s5));
      x3 = (x3 + (float8)(0.0f, 0.0f, 0.0f, 0.0f, x3.s3, x3.s3, x3.s3, x3.s3));
      const float x4 = x3.s7;
      x3 = ((float8)(c1_0) + x3);
      c1_0 = (c1_0 + x4);
      *((__global float8_u *)(b1 + (e1 * i0 + i1))) = x3;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  }
}
