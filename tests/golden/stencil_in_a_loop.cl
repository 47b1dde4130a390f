// launches: 20, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    for (int i1 = 0; i1 + 8 <= 64; i1 += 8) {
      const float8 x1 = *(__global const float8_u *)(b0 + (64 * i0 + i1));
      float8 x2 = (float8)(0.0f);
      if (((uint)(i0 + 1) < 64u)) x2 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 64));
      float8 x3 = (float8)(0.0f);
      if (((uint)(i0 + -1) < 64u)) x3 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + -64));
      const float8 x4 = (x2 + x3);
      float8 x5 = (float8)(0.0f);
      if (((uint)(i1 + 1) < 64u) && ((uint)(i1 + 8) < 64u)) x5 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 1));
      else if ((i1 + 1) < 64 && (i1 + 1) + 7 >= 0) {
        float8 t = 0;
        for (int l = 0; l < 8; ++l)
          if ((0 <= (i1 + 1) + 1 * l && (i1 + 1) + 1 * l < 64)) ((float *)&t)[l] = (b0 + (64 * i0 + i1 + 1))[1 * l];
        x5 = t;
      }
      const float8 x6 = (x4 + x5);
      float8 x7 = (float8)(0.0f);
      if (((uint)(i1 + -1) < 64u) && ((uint)(i1 + 6) < 64u)) x7 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + -1));
      else if ((i1 + -1) < 64 && (i1 + -1) + 7 >= 0) {
        float8 t = 0;
        for (int l = 0; l < 8; ++l)
          if ((0 <= (i1 + -1) + 1 * l && (i1 + -1) + 1 * l < 64)) ((float *)&t)[l] = (b0 + (64 * i0 + i1 + -1))[1 * l];
        x7 = t;
      }
      const float8 x8 = (x6 + x7);
      const float8 x9 = (x8 - ((float8)(4.0f) * x1));
      const float8 x10 = (x1 + ((float8)(0.1f) * x9));
      *((__global float8_u *)(b1 + (64 * i0 + i1))) = x10;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
