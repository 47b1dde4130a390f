// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT OFF
  const int e1 = max((int)n0, (int)256);
  const long ig = item;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float k1[1024] __attribute__((aligned(64)));
    float8 a2_0 = (float8)((-INFINITY));
    float8 a2_1 = (float8)((-INFINITY));
    float8 a2_2 = (float8)((-INFINITY));
    float8 a2_3 = (float8)((-INFINITY));
    float a2 = (-INFINITY);
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      const float8 x3 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      a2_0 = max_f32x8(a2_0, x3);
      const float8 x4 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      a2_1 = max_f32x8(a2_1, x4);
      const float8 x5 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      a2_2 = max_f32x8(a2_2, x5);
      const float8 x6 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      a2_3 = max_f32x8(a2_3, x6);
    }
    a2_0 = max_f32x8(a2_0, a2_2);
    a2_1 = max_f32x8(a2_1, a2_3);
    a2_0 = max_f32x8(a2_0, a2_1);
    const float h7 = fold_max_f32x8(a2_0);
    a2 = max_f32x1(h7, a2);
    float8 a8_0 = (float8)(0.0f);
    float8 a8_1 = (float8)(0.0f);
    float8 a8_2 = (float8)(0.0f);
    float8 a8_3 = (float8)(0.0f);
    float a8 = 0.0f;
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      __builtin_prefetch(b0 + (e1 * i0 + i1) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 16) + e1, 0, 3);
      const float8 x9 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      const float8 x10 = (x9 - (float8)(a2));
      const float8 x11 = exp_down_f32x8(x10);
      *(float8 *)(k1 + i1) = x11;
      a8_0 = (a8_0 + x11);
      const float8 x12 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      const float8 x13 = (x12 - (float8)(a2));
      const float8 x14 = exp_down_f32x8(x13);
      *(float8 *)(k1 + i1 + 8) = x14;
      a8_1 = (a8_1 + x14);
      const float8 x15 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      const float8 x16 = (x15 - (float8)(a2));
      const float8 x17 = exp_down_f32x8(x16);
      *(float8 *)(k1 + i1 + 16) = x17;
      a8_2 = (a8_2 + x17);
      const float8 x18 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      const float8 x19 = (x18 - (float8)(a2));
      const float8 x20 = exp_down_f32x8(x19);
      *(float8 *)(k1 + i1 + 24) = x20;
      a8_3 = (a8_3 + x20);
    }
    a8_0 = (a8_0 + a8_2);
    a8_1 = (a8_1 + a8_3);
    a8_0 = (a8_0 + a8_1);
    const float h21 = fold_add_f32x8(a8_0);
    a8 = (h21 + a8);
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      const float8 x22 = *(float8 *)(k1 + i1);
      const float8 x23 = (x22 / (float8)(a8));
      *((__global float8_u *)(b1 + (e1 * i0 + i1))) = x23;
      const float8 x24 = *(float8 *)(k1 + i1 + 8);
      const float8 x25 = (x24 / (float8)(a8));
      *((__global float8_u *)(b1 + (e1 * i0 + i1 + 8))) = x25;
      const float8 x26 = *(float8 *)(k1 + i1 + 16);
      const float8 x27 = (x26 / (float8)(a8));
      *((__global float8_u *)(b1 + (e1 * i0 + i1 + 16))) = x27;
      const float8 x28 = *(float8 *)(k1 + i1 + 24);
      const float8 x29 = (x28 / (float8)(a8));
      *((__global float8_u *)(b1 + (e1 * i0 + i1 + 24))) = x29;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  }
}
