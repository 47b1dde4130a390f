// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 16 <= s1; i0 += 16) {
    const float16 x1 = *(__global const float16_u *)(b0 + (i0));
    const float16 x2 = (x1 * (float16)(1.0f));
    const float16 x3 = sin_f32x16(x2);
    const float16 x4 = (x1 + x3);
    const float16 x5 = (x1 * (float16)(2.0f));
    const float16 x6 = sin_f32x16(x5);
    const float16 x7 = (x4 + x6);
    const float16 x8 = (x1 * (float16)(3.0f));
    const float16 x9 = sin_f32x16(x8);
    const float16 x10 = (x7 + x9);
    const float16 x11 = (x1 * (float16)(4.0f));
    const float16 x12 = sin_f32x16(x11);
    const float16 x13 = (x10 + x12);
    const float16 x14 = (x1 * (float16)(5.0f));
    const float16 x15 = sin_f32x16(x14);
    const float16 x16 = (x13 + x15);
    const float16 x17 = (x1 * (float16)(6.0f));
    const float16 x18 = sin_f32x16(x17);
    const float16 x19 = (x16 + x18);
    const float16 x20 = (x1 * (float16)(7.0f));
    const float16 x21 = sin_f32x16(x20);
    const float16 x22 = (x19 + x21);
    const float16 x23 = (x1 * (float16)(8.0f));
    const float16 x24 = sin_f32x16(x23);
    const float16 x25 = (x22 + x24);
    const float16 x26 = (x1 * (float16)(9.0f));
    const float16 x27 = sin_f32x16(x26);
    const float16 x28 = (x25 + x27);
    const float16 x29 = (x1 * (float16)(10.0f));
    const float16 x30 = sin_f32x16(x29);
    const float16 x31 = (x28 + x30);
    *((__global float16_u *)(b1 + (i0))) = x31;
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = s0 + (s1 - s0) / 16 * 16; i0 < s1; ++i0) {
    const float x32 = *(b0 + (i0));
    const float x33 = (x32 * 1.0f);
    const float x34 = sin_f32x1(x33);
    const float x35 = (x32 + x34);
    const float x36 = (x32 * 2.0f);
    const float x37 = sin_f32x1(x36);
    const float x38 = (x35 + x37);
    const float x39 = (x32 * 3.0f);
    const float x40 = sin_f32x1(x39);
    const float x41 = (x38 + x40);
    const float x42 = (x32 * 4.0f);
    const float x43 = sin_f32x1(x42);
    const float x44 = (x41 + x43);
    const float x45 = (x32 * 5.0f);
    const float x46 = sin_f32x1(x45);
    const float x47 = (x44 + x46);
    const float x48 = (x32 * 6.0f);
    const float x49 = sin_f32x1(x48);
    const float x50 = (x47 + x49);
    const float x51 = (x32 * 7.0f);
    const float x52 = sin_f32x1(x51);
    const float x53 = (x50 + x52);
    const float x54 = (x32 * 8.0f);
    const float x55 = sin_f32x1(x54);
    const float x56 = (x53 + x55);
    const float x57 = (x32 * 9.0f);
    const float x58 = sin_f32x1(x57);
    const float x59 = (x56 + x58);
    const float x60 = (x32 * 10.0f);
    const float x61 = sin_f32x1(x60);
    const float x62 = (x59 + x61);
    *(b1 + (i0)) = x62;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
