// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const uint *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  const uint x2 = *(b0 + (1));
  const ulong x3 = (ulong)(x2);
  const ulong x4 = shl_u64x1(x3, 32UL);
  const uint x5 = *(b0 + (0));
  const ulong x6 = (ulong)(x5);
  const ulong x7 = (x4 | x6);
  const ulong x8 = (x7 & 4294967295UL);
  const uint x9 = (uint)(x8);
  const ulong x10 = shrl_u64x1(x7, 32UL);
  const uint x11 = (uint)(x10);
  for (int i0 = s0; i0 + 16 <= s1; i0 += 16) {
    const uint16 x12 = (uint16)((uint)(i0)) + (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint16 r1_1; const uint16 r1_0 = threefry2x32_u32x16((uint16)(x9), (uint16)(x11), (uint16)(0u), x12, &r1_1);
    const uint16 x13 = (r1_0 ^ r1_1);
    const uint16 x14 = shrl_u32x16(x13, (uint16)(9u));
    const uint16 x15 = (x14 | (uint16)(1065353216u));
    const float16 x16 = as_float16(x15);
    const float16 x17 = (x16 - (float16)(1.0f));
    *((__global float16_u *)(b1 + (i0))) = x17;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 16 * 16; i0 < s1; ++i0) {
    const uint x19 = (uint)(i0);
    uint r18_1; const uint r18_0 = threefry2x32_u32x1(x9, x11, 0u, x19, &r18_1);
    const uint x20 = (r18_0 ^ r18_1);
    const uint x21 = shrl_u32x1(x20, 9u);
    const uint x22 = (x21 | 1065353216u);
    const float x23 = as_float(x22);
    const float x24 = (x23 - 1.0f);
    *(b1 + (i0)) = x24;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const uint *)p0, (__global float *)p1, n0, n1); break;
  }
}
