// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const int *b0, __global int *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  const int x3 = sign_i32x1(3);
  const int x14 = (7 < 0);
  for (int i0 = s0; i0 + 16 <= s1; i0 += 16) {
    const int16 x1 = *(__global const int16_u *)(b0 + (i0));
    const int16 x2 = sign_i32x16(x1);
    const int16 x4 = (x2 != (int16)(x3));
    const int16 x5 = rem_i32x16(x1, (int16)(3));
    const int16 x6 = (x5 != (int16)(0));
    const int16 x7 = (x4 & x6);
    const int16 x8 = div_i32x16(x1, (int16)(3));
    const int16 x9 = (x8 - (int16)(1));
    const int16 x10 = (x7 ? x9 : x8);
    const int16 x11 = rem_i32x16(x10, (int16)(7));
    const int16 x12 = (x11 != (int16)(0));
    const int16 x13 = (x11 < (int16)(0));
    const int16 x15 = (x13 != (int16)(-((x14) != 0)));
    const int16 x16 = (x12 & x15);
    const int16 x17 = (x11 + (int16)(7));
    const int16 x18 = (x16 ? x17 : x11);
    const int16 x19 = shl_i32x16(x18, (int16)(2));
    *((__global int16_u *)(b1 + (i0))) = x19;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 16 * 16; i0 < s1; ++i0) {
    const int x20 = *(b0 + (i0));
    const int x21 = sign_i32x1(x20);
    const int x22 = (x21 != x3);
    const int x23 = rem_i32x1(x20, 3);
    const int x24 = (x23 != 0);
    const int x25 = ((x22 != 0) & (x24 != 0));
    const int x26 = div_i32x1(x20, 3);
    const int x27 = (int)((uint)x26 - (uint)1);
    const int x28 = (x25 ? x27 : x26);
    const int x29 = rem_i32x1(x28, 7);
    const int x30 = (x29 != 0);
    const int x31 = (x29 < 0);
    const int x32 = ((x31 != 0) != (x14 != 0));
    const int x33 = ((x30 != 0) & (x32 != 0));
    const int x34 = (int)((uint)x29 + (uint)7);
    const int x35 = (x33 ? x34 : x29);
    const int x36 = shl_i32x1(x35, 2);
    *(b1 + (i0)) = x36;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const int *)p0, (__global int *)p1, n0, n1); break;
  }
}
