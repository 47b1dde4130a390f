// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  const int z0 = n2;
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    for (int from1 = 0; from1 < 43; from1 += 8) {
      const int i1 = min(from1, (int)35);
      float8 x1 = (float8)(0.0f);
      if (((uint)(i0 + -1) < 30u) && ((uint)(i1) < 40u) && ((uint)(i1 + 7) < 40u)) x1 = *(__global const float8_u *)(b0 + (40 * i0 + i1 + -40));
      else if (((uint)(i0 + -1) < 30u) && (i1) < 40 && (i1) + 7 >= 0) {
      const int8 at2 = (int8)((int)(i1)) + (int8)(0, 1, 2, 3, 4, 5, 6, 7);
        if (0 <= (40 * i0 + i1 + -40) && (40 * i0 + i1 + -40) <= z0 - 8)
          x1 = ((at2 >= 0) & (at2 < 40)) ? *(__global const float8_u *)(b0 + (40 * i0 + i1 + -40)) : (float8)(0.0f);
        else {
        float8 t = 0;
        for (int l = 0; l < 8; ++l)
          if (((uint)(i0 + -1) < 30u) && (0 <= (i1) + 1 * l && (i1) + 1 * l < 40)) ((float *)&t)[l] = (b0 + (40 * i0 + i1 + -40))[1 * l];
        x1 = t;
      }}
      *((__global float8_u *)(b1 + (43 * i0 + i1))) = x1;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  }
}
