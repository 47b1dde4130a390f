// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const int *b0, __global const float *b1, __global float *b2, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    const int x2 = *(b0 + (i0));
    const int x3 = (x2 < 0);
    const int x4 = (int)((uint)x2 + (uint)1000);
    const int x5 = (x3 ? x4 : x2);
    const int x6 = max_i32x1(x5, 0);
    const int x7 = min_i32x1(x6, 999);
    const int x8 = (int)((uint)x7 * (uint)64);
    for (int i1 = 0; i1 + 8 <= 64; i1 += 8) {
      const float8 x1 = *(__global const float8_u *)(b1 + (i1) + x8);
      *((__global float8_u *)(b2 + (64 * i0 + i1))) = x1;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const int *)p0, (__global const float *)p1, (__global float *)p2, n0, n1); break;
  }
}
