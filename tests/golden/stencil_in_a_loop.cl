// launches: 1, programs: 1

FX_STAGE void stage_0_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  const int z0 = n2;
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    for (int i1 = 0; i1 + 8 <= 64; i1 += 8) {
      if (((uint)(i0 + 1) < 64u) && ((uint)(i0 + -1) < 64u) && i1 >= 1 && i1 <= 55) {
        const float8 x1 = *(__global const float8_u *)(b0 + (64 * i0 + i1));
        const float8 x2 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 64));
        const float8 x3 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + -64));
        const float8 x4 = (x2 + x3);
        const float8 x5 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 1));
        const float8 x6 = (x4 + x5);
        const float8 x7 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + -1));
        const float8 x8 = (x6 + x7);
        const float8 x9 = (x8 - ((float8)(4.0f) * x1));
        const float8 x10 = (x1 + ((float8)(0.1f) * x9));
        *((__global float8_u *)(b1 + (64 * i0 + i1))) = x10;
      } else {
        const float8 x11 = *(__global const float8_u *)(b0 + (64 * i0 + i1));
        float8 x12 = (float8)(0.0f);
        if (((uint)(i0 + 1) < 64u)) x12 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 64));
        float8 x13 = (float8)(0.0f);
        if (((uint)(i0 + -1) < 64u)) x13 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + -64));
        const float8 x14 = (x12 + x13);
        float8 x15 = (float8)(0.0f);
        if (((uint)(i1 + 1) < 64u) && ((uint)(i1 + 8) < 64u)) x15 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 1));
        else if ((i1 + 1) < 64 && (i1 + 1) + 7 >= 0) {
        const int8 at16 = (int8)((int)(i1 + 1)) + (int8)(0, 1, 2, 3, 4, 5, 6, 7);
          if (0 <= (64 * i0 + i1 + 1) && (64 * i0 + i1 + 1) <= z0 - 8)
            x15 = ((at16 >= 0) & (at16 < 64)) ? *(__global const float8_u *)(b0 + (64 * i0 + i1 + 1)) : (float8)(0.0f);
          else {
          float8 t = 0;
          for (int l = 0; l < 8; ++l)
            if ((0 <= (i1 + 1) + 1 * l && (i1 + 1) + 1 * l < 64)) ((float *)&t)[l] = (b0 + (64 * i0 + i1 + 1))[1 * l];
          x15 = t;
        }}
        const float8 x17 = (x14 + x15);
        float8 x18 = (float8)(0.0f);
        if (((uint)(i1 + -1) < 64u) && ((uint)(i1 + 6) < 64u)) x18 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + -1));
        else if ((i1 + -1) < 64 && (i1 + -1) + 7 >= 0) {
        const int8 at19 = (int8)((int)(i1 + -1)) + (int8)(0, 1, 2, 3, 4, 5, 6, 7);
          if (0 <= (64 * i0 + i1 + -1) && (64 * i0 + i1 + -1) <= z0 - 8)
            x18 = ((at19 >= 0) & (at19 < 64)) ? *(__global const float8_u *)(b0 + (64 * i0 + i1 + -1)) : (float8)(0.0f);
          else {
          float8 t = 0;
          for (int l = 0; l < 8; ++l)
            if ((0 <= (i1 + -1) + 1 * l && (i1 + -1) + 1 * l < 64)) ((float *)&t)[l] = (b0 + (64 * i0 + i1 + -1))[1 * l];
          x18 = t;
        }}
        const float8 x20 = (x17 + x18);
        const float8 x21 = (x20 - ((float8)(4.0f) * x11));
        const float8 x22 = (x11 + ((float8)(0.1f) * x21));
        *((__global float8_u *)(b1 + (64 * i0 + i1))) = x22;
      }
    }
  }
}

FX_STAGE void stage_0(const long item, __global uchar *b0, __global uchar *b1, __global uchar *b2) {
  __global uchar *p0 = b0;
  __global uchar *p1 = b1;
  __global uchar *p2 = b2;
  team t = team_of((__global ulong *)p0, (uint)item, 2);
  const long *n = (const long *)(ulong)p0 + 24;
  __global uchar *const o1 = p1;
  {
  for (long k2 = 0; k2 < n[0]; ++k2) {
    const long t3 = k2;
    for (long q4; (q4 = team_next(&t, n[1])) >= 0;) {
    if (q4 < n[5]) stage_0_0(q4, (__global const float *)(p1), (__global float *)(p2), n[2], n[3], n[4]);
    }
    { __global uchar *const x = p1; p1 = p2; p2 = x; }
  }
  }
  if (p1 != o1) {
  while (team_next(&t, 1) >= 0) {
  typedef uint __attribute__((may_alias)) word5;
  const long e7 = n[6];
  for (long k6 = 0; k6 < e7; ++k6) ((__global word5 *)(o1))[k6] = ((__global const word5 *)(p1))[k6];
  }
  p2 = p1; p1 = o1;
  }
  team_leave(&t);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global uchar *)p0, (__global uchar *)p1, (__global uchar *)p2); break;
  }
}
