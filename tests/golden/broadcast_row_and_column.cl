// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global const float *b1, __global const float *b2, __global float *b3, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    const float x3 = *(b2 + (i0));
    for (int i1 = 0; i1 + 8 <= 96; i1 += 8) {
      const float8 x1 = *(__global const float8_u *)(b0 + (96 * i0 + i1));
      const float8 x2 = *(__global const float8_u *)(b1 + (i1));
      const float8 x4 = ((x1 * x2) + (float8)(x3));
      *((__global float8_u *)(b3 + (96 * i0 + i1))) = x4;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global const float *)p1, (__global const float *)p2, (__global float *)p3, n0, n1); break;
  }
}
