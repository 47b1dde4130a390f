// launches: 2, programs: 1

FX_STAGE void stage_0_p0(const long item, __global int *b0, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 8 <= s1; i0 += 8) {
    *((__global int8_u *)(b0 + (i0))) = (int8)(0);
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 8 * 8; i0 < s1; ++i0) {
    *(b0 + (i0)) = 0;
  }
}

FX_SHORT void stage_0_p1(const long item, __global uchar *b0) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  *(b0 + (0)) = (uchar)((0) != 0);
}

FX_STAGE void stage_0_p2(const long item, __global const float *b0, __global float *b1, __global const int *b2, __global int *b3, __global uchar *b4, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item, is = 0;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int s = s0; s < s1; s += 32) {
    const int i0 = s < (int)n0 - 32 ? s : (int)n0 - 32;
    const float8 x2 = *(__global const float8_u *)(b0 + (i0));
    float8 c1_0 = x2;
    const float8 x3 = *(__global const float8_u *)(b0 + (i0 + 8));
    float8 c1_1 = x3;
    const float8 x4 = *(__global const float8_u *)(b0 + (i0 + 16));
    float8 c1_2 = x4;
    const float8 x5 = *(__global const float8_u *)(b0 + (i0 + 24));
    float8 c1_3 = x5;
    const int8 x7 = *(__global const int8_u *)(b2 + (i0));
    int8 c6_0 = x7;
    const int8 x8 = *(__global const int8_u *)(b2 + (i0 + 8));
    int8 c6_1 = x8;
    const int8 x9 = *(__global const int8_u *)(b2 + (i0 + 16));
    int8 c6_2 = x9;
    const int8 x10 = *(__global const int8_u *)(b2 + (i0 + 24));
    int8 c6_3 = x10;
    int more11 = 1;
    for (int i1 = 0; i1 < 9765; ++i1) {
      const int8 x12 = (c1_0 < (float8)(1000.0f));
      const int8 x13 = (c1_1 < (float8)(1000.0f));
      const int8 x14 = (c1_2 < (float8)(1000.0f));
      const int8 x15 = (c1_3 < (float8)(1000.0f));
      if (!(fold_or_i32x8(x12 | x13 | x14 | x15))) { more11 = 0; break; }
      const float8 x16 = ((c1_0 * (float8)(1.5f)) + (float8)(1.0f));
      const float8 x17 = (x12 ? x16 : c1_0);
      const float8 x18 = ((c1_1 * (float8)(1.5f)) + (float8)(1.0f));
      const float8 x19 = (x13 ? x18 : c1_1);
      const float8 x20 = ((c1_2 * (float8)(1.5f)) + (float8)(1.0f));
      const float8 x21 = (x14 ? x20 : c1_2);
      const float8 x22 = ((c1_3 * (float8)(1.5f)) + (float8)(1.0f));
      const float8 x23 = (x15 ? x22 : c1_3);
      const int8 x24 = (c6_0 + (int8)(1));
      const int8 x25 = (x12 ? x24 : c6_0);
      const int8 x26 = (c6_1 + (int8)(1));
      const int8 x27 = (x13 ? x26 : c6_1);
      const int8 x28 = (c6_2 + (int8)(1));
      const int8 x29 = (x14 ? x28 : c6_2);
      const int8 x30 = (c6_3 + (int8)(1));
      const int8 x31 = (x15 ? x30 : c6_3);
      c1_0 = x17;
      c1_1 = x19;
      c1_2 = x21;
      c1_3 = x23;
      c6_0 = x25;
      c6_1 = x27;
      c6_2 = x29;
      c6_3 = x31;
    }
    if (more11) *b4 = 1;
    *((__global float8_u *)(b1 + (i0))) = c1_0;
    *((__global float8_u *)(b1 + (i0 + 8))) = c1_1;
    *((__global float8_u *)(b1 + (i0 + 16))) = c1_2;
    *((__global float8_u *)(b1 + (i0 + 24))) = c1_3;
    *((__global int8_u *)(b3 + (i0))) = c6_0;
    *((__global int8_u *)(b3 + (i0 + 8))) = c6_1;
    *((__global int8_u *)(b3 + (i0 + 16))) = c6_2;
    *((__global int8_u *)(b3 + (i0 + 24))) = c6_3;
  }
}

FX_STAGE void stage_0(const long item, __global int *b0, __global uchar *b1, __global const float *b2, __global float *b3, __global int *b4, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5) {
  for (long k = 0; k < n2; ++k) {
    stage_0_p0(k, b0, n0, n1);
  }
  stage_0_p1(0, b1);
  for (long k = 0; k < n5; ++k) {
    stage_0_p2(k, b2, b3, b0, b4, b1, n3, n4);
  }
}

FX_STAGE void stage_1(const long item, __global uchar *b0, __global float *b1, __global int *b2, const long n0, const long n1, const long n2) {
  stage_0_p1(0, b0);
  for (long k = 0; k < n2; ++k) {
    stage_0_p2(k, b1, b1, b2, b2, b0, n0, n1);
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, __global uchar *p4, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global int *)p0, (__global uchar *)p1, (__global const float *)p2, (__global float *)p3, (__global int *)p4, n0, n1, n2, n3, n4, n5); break;
  case 1: stage_1(item, (__global uchar *)p0, (__global float *)p1, (__global int *)p2, n0, n1, n2); break;
  }
}
