// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global int *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT OFF
  const int e1 = max((int)n0, (int)256);
  const long ig = item;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float8 a1_0 = (float8)((-INFINITY));
    int8 a1_0_at = (int8)(0);
    float8 a1_1 = (float8)((-INFINITY));
    int8 a1_1_at = (int8)(0);
    float8 a1_2 = (float8)((-INFINITY));
    int8 a1_2_at = (int8)(0);
    float8 a1_3 = (float8)((-INFINITY));
    int8 a1_3_at = (int8)(0);
    float a1 = (-INFINITY);
    int a1_at = 0;
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      const float8 x2 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      int8 m3 = ((x2 > a1_0) | ((x2 != x2) & (a1_0 == a1_0)));
      a1_0 = (m3 ? x2 : a1_0);
      a1_0_at = (m3 ? (int8)((int)(i1)) + (int8)(0, 1, 2, 3, 4, 5, 6, 7) : a1_0_at);
      const float8 x4 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      int8 m5 = ((x4 > a1_1) | ((x4 != x4) & (a1_1 == a1_1)));
      a1_1 = (m5 ? x4 : a1_1);
      a1_1_at = (m5 ? (int8)((int)(i1 + 8)) + (int8)(0, 1, 2, 3, 4, 5, 6, 7) : a1_1_at);
      const float8 x6 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      int8 m7 = ((x6 > a1_2) | ((x6 != x6) & (a1_2 == a1_2)));
      a1_2 = (m7 ? x6 : a1_2);
      a1_2_at = (m7 ? (int8)((int)(i1 + 16)) + (int8)(0, 1, 2, 3, 4, 5, 6, 7) : a1_2_at);
      const float8 x8 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      int8 m9 = ((x8 > a1_3) | ((x8 != x8) & (a1_3 == a1_3)));
      a1_3 = (m9 ? x8 : a1_3);
      a1_3_at = (m9 ? (int8)((int)(i1 + 24)) + (int8)(0, 1, 2, 3, 4, 5, 6, 7) : a1_3_at);
    }
    {
      float8 t = a1_0; int8 ti = a1_0_at;
      for (int l = 0; l < 8; ++l) {
        const float x = ((float *)&t)[l]; const int xi = ((int *)&ti)[l];
        if (((x > a1) | ((x != x) & (a1 == a1))) || ((x == a1 || (x != x && a1 != a1)) && xi < a1_at)) { a1 = x; a1_at = xi; }
      }
    }
    {
      float8 t = a1_1; int8 ti = a1_1_at;
      for (int l = 0; l < 8; ++l) {
        const float x = ((float *)&t)[l]; const int xi = ((int *)&ti)[l];
        if (((x > a1) | ((x != x) & (a1 == a1))) || ((x == a1 || (x != x && a1 != a1)) && xi < a1_at)) { a1 = x; a1_at = xi; }
      }
    }
    {
      float8 t = a1_2; int8 ti = a1_2_at;
      for (int l = 0; l < 8; ++l) {
        const float x = ((float *)&t)[l]; const int xi = ((int *)&ti)[l];
        if (((x > a1) | ((x != x) & (a1 == a1))) || ((x == a1 || (x != x && a1 != a1)) && xi < a1_at)) { a1 = x; a1_at = xi; }
      }
    }
    {
      float8 t = a1_3; int8 ti = a1_3_at;
      for (int l = 0; l < 8; ++l) {
        const float x = ((float *)&t)[l]; const int xi = ((int *)&ti)[l];
        if (((x > a1) | ((x != x) & (a1 == a1))) || ((x == a1 || (x != x && a1 != a1)) && xi < a1_at)) { a1 = x; a1_at = xi; }
      }
    }
    *(b1 + (i0)) = a1_at;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global int *)p1, n0, n1, n2); break;
  }
}
