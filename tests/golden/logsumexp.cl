// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT OFF
  const int e1 = max((int)n0, (int)256);
  const long ig = item;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float8 a1_0 = (float8)((-INFINITY));
    float8 a1_1 = (float8)((-INFINITY));
    float8 a1_2 = (float8)((-INFINITY));
    float8 a1_3 = (float8)((-INFINITY));
    float a1 = (-INFINITY);
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      const float8 x2 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      a1_0 = max_f32x8(a1_0, x2);
      const float8 x3 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      a1_1 = max_f32x8(a1_1, x3);
      const float8 x4 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      a1_2 = max_f32x8(a1_2, x4);
      const float8 x5 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      a1_3 = max_f32x8(a1_3, x5);
    }
    a1_0 = max_f32x8(a1_0, a1_2);
    a1_1 = max_f32x8(a1_1, a1_3);
    a1_0 = max_f32x8(a1_0, a1_1);
    const float h6 = fold_max_f32x8(a1_0);
    a1 = max_f32x1(h6, a1);
    float8 a7_0 = (float8)(0.0f);
    float8 a7_1 = (float8)(0.0f);
    float8 a7_2 = (float8)(0.0f);
    float8 a7_3 = (float8)(0.0f);
    float a7 = 0.0f;
    const float x9 = max_f32x1(a1, (-INFINITY));
    const int x10 = is_finite_f32x1(x9);
    const float x11 = (x10 ? x9 : 0.0f);
    for (int i1 = 0; i1 + 32 <= e1; i1 += 32) {
      __builtin_prefetch(b0 + (e1 * i0 + i1) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 16) + e1, 0, 3);
      const float8 x8 = *(__global const float8_u *)(b0 + (e1 * i0 + i1));
      const float8 x12 = (x8 - (float8)(x11));
      const float8 x13 = exp_f32x8(x12);
      a7_0 = (a7_0 + x13);
      const float8 x14 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 8));
      const float8 x15 = (x14 - (float8)(x11));
      const float8 x16 = exp_f32x8(x15);
      a7_1 = (a7_1 + x16);
      const float8 x17 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 16));
      const float8 x18 = (x17 - (float8)(x11));
      const float8 x19 = exp_f32x8(x18);
      a7_2 = (a7_2 + x19);
      const float8 x20 = *(__global const float8_u *)(b0 + (e1 * i0 + i1 + 24));
      const float8 x21 = (x20 - (float8)(x11));
      const float8 x22 = exp_f32x8(x21);
      a7_3 = (a7_3 + x22);
    }
    a7_0 = (a7_0 + a7_2);
    a7_1 = (a7_1 + a7_3);
    a7_0 = (a7_0 + a7_1);
    const float h23 = fold_add_f32x8(a7_0);
    a7 = (h23 + a7);
    const float x24 = log_f32x1(a7);
    const float x25 = (x24 + x11);
    *(b1 + (i0)) = x25;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  }
}
