// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 8 <= s1; i0 += 8) {
    const float8 x1 = *(__global const float8_u *)(b0 + (i0));
    const float8 x2 = ((x1 * (float8)(2.0f)) + (float8)(1.0f));
    *((__global float8_u *)(b1 + (i0))) = x2;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 8 * 8; i0 < s1; ++i0) {
    const float x3 = *(b0 + (i0));
    const float x4 = ((x3 * 2.0f) + 1.0f);
    *(b1 + (i0)) = x4;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
