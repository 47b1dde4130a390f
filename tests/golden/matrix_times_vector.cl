// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global const float *b1, __global float *b2, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int from0 = s0; from0 < s1; from0 += 8) {
    const int i0 = min(from0, (int)(s1 - 8));
    float8 a1_0 = (float8)(0.0f);
    float8 a1_1 = (float8)(0.0f);
    float8 a1_2 = (float8)(0.0f);
    float8 a1_3 = (float8)(0.0f);
    float8 a1_4 = (float8)(0.0f);
    float8 a1_5 = (float8)(0.0f);
    float8 a1_6 = (float8)(0.0f);
    float8 a1_7 = (float8)(0.0f);
    for (int i1 = 0; i1 + 8 <= 512; i1 += 8) {
      const float8 x2 = *(__global const float8_u *)(b0 + (512 * i0 + i1));
      const float8 x3 = *(__global const float8_u *)(b1 + (i1));
      a1_0 = mad_f32x8(x2, x3, a1_0);
      const float8 x4 = *(__global const float8_u *)(b0 + (512 * i0 + i1 + 512));
      a1_1 = mad_f32x8(x4, x3, a1_1);
      const float8 x5 = *(__global const float8_u *)(b0 + (512 * i0 + i1 + 1024));
      a1_2 = mad_f32x8(x5, x3, a1_2);
      const float8 x6 = *(__global const float8_u *)(b0 + (512 * i0 + i1 + 1536));
      a1_3 = mad_f32x8(x6, x3, a1_3);
      const float8 x7 = *(__global const float8_u *)(b0 + (512 * i0 + i1 + 2048));
      a1_4 = mad_f32x8(x7, x3, a1_4);
      const float8 x8 = *(__global const float8_u *)(b0 + (512 * i0 + i1 + 2560));
      a1_5 = mad_f32x8(x8, x3, a1_5);
      const float8 x9 = *(__global const float8_u *)(b0 + (512 * i0 + i1 + 3072));
      a1_6 = mad_f32x8(x9, x3, a1_6);
      const float8 x10 = *(__global const float8_u *)(b0 + (512 * i0 + i1 + 3584));
      a1_7 = mad_f32x8(x10, x3, a1_7);
    }
    const float8 x11 = folds8_add_f32x8(a1_0, a1_1, a1_2, a1_3, a1_4, a1_5, a1_6, a1_7);
    *((__global float8_u *)(b2 + (i0))) = x11;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global const float *)p1, (__global float *)p2, n0, n1); break;
  }
}
