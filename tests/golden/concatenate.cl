// launches: 1, programs: 1

FX_STAGE void stage_0_p0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  b1 += n2;
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i1 = s0; i1 + 8 <= s1; i1 += 8) {
    const float8 x1 = *(__global const float8_u *)(b0 + (i1));
    *((__global float8_u *)(b1 + (i1))) = x1;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i1 = s0 + (s1 - s0) / 8 * 8; i1 < s1; ++i1) {
    const float x2 = *(b0 + (i1));
    *(b1 + (i1)) = x2;
  }
}

FX_STAGE void stage_0_p1(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i1 = s0; i1 + 8 <= s1; i1 += 8) {
    const float8 x1 = *(__global const float8_u *)(b0 + (i1));
    const float8 x2 = (x1 * (float8)(2.0f));
    *((__global float8_u *)(b1 + (i1))) = x2;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i1 = s0 + (s1 - s0) / 8 * 8; i1 < s1; ++i1) {
    const float x3 = *(b0 + (i1));
    const float x4 = (x3 * 2.0f);
    *(b1 + (i1)) = x4;
  }
}

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, __global const float *b2, __global float *b3, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10) {
  for (long k = 0; k < n3; ++k) {
    stage_0_p0(k, b0, b1, n0, n1, n2);
  }
  for (long k = 0; k < n7; ++k) {
    stage_0_p0(k, b2, b1, n4, n5, n6);
  }
  for (long k = 0; k < n10; ++k) {
    stage_0_p1(k, b1, b3, n8, n9);
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, (__global const float *)p2, (__global float *)p3, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10); break;
  }
}
