// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global const float *b1, __global const float *b2, __global float *b3, const long n0, const long n1, const long n2, const long n3) {
  #pragma OPENCL FP_CONTRACT OFF
  const int e1 = max((int)n0, (int)256);
  const long ig = item;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  const float whole2 = n3;
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float8 a1_0 = (float8)(0.0f);
    float8 a1_1 = (float8)(0.0f);
    float8 a1_2 = (float8)(0.0f);
    float8 a1_3 = (float8)(0.0f);
    float a1 = 0.0f;
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      const float8 x2 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      a1_0 = (a1_0 + x2);
      const float8 x3 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      a1_1 = (a1_1 + x3);
      const float8 x4 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      a1_2 = (a1_2 + x4);
      const float8 x5 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      a1_3 = (a1_3 + x5);
    }
    a1_0 = (a1_0 + a1_2);
    a1_1 = (a1_1 + a1_3);
    a1_0 = (a1_0 + a1_1);
    const float h6 = fold_add_f32x8(a1_0);
    a1 = (h6 + a1);
    float8 a7_0 = (float8)(0.0f);
    float8 a7_1 = (float8)(0.0f);
    float8 a7_2 = (float8)(0.0f);
    float8 a7_3 = (float8)(0.0f);
    float a7 = 0.0f;
    const float x9 = (a1 / whole2);
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      const float8 x8 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      const float8 x10 = (x8 - (float8)(x9));
      const float8 x11 = (x10 * x10);
      a7_0 = (a7_0 + x11);
      const float8 x12 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      const float8 x13 = (x12 - (float8)(x9));
      const float8 x14 = (x13 * x13);
      a7_1 = (a7_1 + x14);
      const float8 x15 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      const float8 x16 = (x15 - (float8)(x9));
      const float8 x17 = (x16 * x16);
      a7_2 = (a7_2 + x17);
      const float8 x18 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      const float8 x19 = (x18 - (float8)(x9));
      const float8 x20 = (x19 * x19);
      a7_3 = (a7_3 + x20);
    }
    a7_0 = (a7_0 + a7_2);
    a7_1 = (a7_1 + a7_3);
    a7_0 = (a7_0 + a7_1);
    const float h21 = fold_add_f32x8(a7_0);
    a7 = (h21 + a7);
    const float x24 = (a7 / whole2);
    const float x25 = (x24 + 1e-05f);
    const float x26 = rsqrt_f32x1(x25);
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      __builtin_prefetch(b0 + (e1 * i0 + i1) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 16) + e1, 0, 3);
      const float8 x22 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      const float8 x23 = (x22 - (float8)(x9));
      const float8 x27 = (x23 * (float8)(x26));
      const float8 x28 = *(__global const float8_u *)(b1 + (i1));
      const float8 x29 = (x27 * x28);
      const float8 x30 = *(__global const float8_u *)(b2 + (i1));
      const float8 x31 = (x29 + x30);
      *((__global float8_u *)(b3 + (e1 * i0 + i1))) = x31;
      const float8 x32 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      const float8 x33 = (x32 - (float8)(x9));
      const float8 x34 = (x33 * (float8)(x26));
      const float8 x35 = *(__global const float8_u *)(b1 + (i1 + 8));
      const float8 x36 = (x34 * x35);
      const float8 x37 = *(__global const float8_u *)(b2 + (i1 + 8));
      const float8 x38 = (x36 + x37);
      *((__global float8_u *)(b3 + (e1 * i0 + i1 + 8))) = x38;
      const float8 x39 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      const float8 x40 = (x39 - (float8)(x9));
      const float8 x41 = (x40 * (float8)(x26));
      const float8 x42 = *(__global const float8_u *)(b1 + (i1 + 16));
      const float8 x43 = (x41 * x42);
      const float8 x44 = *(__global const float8_u *)(b2 + (i1 + 16));
      const float8 x45 = (x43 + x44);
      *((__global float8_u *)(b3 + (e1 * i0 + i1 + 16))) = x45;
      const float8 x46 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      const float8 x47 = (x46 - (float8)(x9));
      const float8 x48 = (x47 * (float8)(x26));
      const float8 x49 = *(__global const float8_u *)(b1 + (i1 + 24));
      const float8 x50 = (x48 * x49);
      const float8 x51 = *(__global const float8_u *)(b2 + (i1 + 24));
      const float8 x52 = (x50 + x51);
      *((__global float8_u *)(b3 + (e1 * i0 + i1 + 24))) = x52;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, const long n0, const long n1, const long n2, const long n3) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global const float *)p1, (__global const float *)p2, (__global float *)p3, n0, n1, n2, n3); break;
  }
}
