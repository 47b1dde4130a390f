// launches: 1, programs: 1

FX_STAGE void panel_f32x16_32r(__global const float *x,
    const long x_lane, const long x_k, const int count, const int there, const int k1,
    float *p, const int size) {
  for (int k = 0; k < k1; ++k, x += x_k) {
    float *q = p + k * 32; int c = 0;
    for (; c < count && c + 32 <= there; c += 32, q += size) {
      __builtin_prefetch(x + c + 8 * x_k); *(float16_u *)(q + 0) = *(__global const float16_u *)(x + c + 0); *(float16_u *)(q + 16) = *(__global const float16_u *)(x + c + 16);
    }
    for (; c < count; c += 32, q += size) {
      #pragma clang loop vectorize(disable) unroll(disable)
      for (int j = 0; j < 32; ++j) q[j] = x[c + j < there ? c + j : there - 1];
    }
  }
}
FX_STAGE void tile_f32x16_8x2_l1s(__global const float *a, const float *b,
    const long a_lane, const int *ro, const int last, const long a_k, const int *ko,
    const long b_k, const int k1, float *t, const int more) {
  #pragma OPENCL FP_CONTRACT ON
  float16 c0_0 = 0, c0_1 = 0;
  float16 c1_0 = 0, c1_1 = 0;
  float16 c2_0 = 0, c2_1 = 0;
  float16 c3_0 = 0, c3_1 = 0;
  float16 c4_0 = 0, c4_1 = 0;
  float16 c5_0 = 0, c5_1 = 0;
  float16 c6_0 = 0, c6_1 = 0;
  float16 c7_0 = 0, c7_1 = 0;
  const long l1 = (1 < last ? 1 : last) * a_lane;
  const long l2 = (2 < last ? 2 : last) * a_lane;
  const long l3 = (3 < last ? 3 : last) * a_lane;
  const long l4 = (4 < last ? 4 : last) * a_lane;
  const long l5 = (5 < last ? 5 : last) * a_lane;
  const long l6 = (6 < last ? 6 : last) * a_lane;
  const long l7 = (7 < last ? 7 : last) * a_lane;
  int k = 0;
  for (; k + 2 <= k1; k += 2) {
    { const float16 v0 = *(const float16_u *)(b + 0), v1 = *(const float16_u *)(b + 16);
      { const float16 x = (float16)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float16 x = (float16)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float16 x = (float16)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float16 x = (float16)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float16 x = (float16)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float16 x = (float16)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      { const float16 x = (float16)(a[l6]); c6_0 = x * v0 + c6_0; c6_1 = x * v1 + c6_1; }
      { const float16 x = (float16)(a[l7]); c7_0 = x * v0 + c7_0; c7_1 = x * v1 + c7_1; }
      b += 32; a += 1; }
    { const float16 v0 = *(const float16_u *)(b + 0), v1 = *(const float16_u *)(b + 16);
      { const float16 x = (float16)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float16 x = (float16)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float16 x = (float16)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float16 x = (float16)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float16 x = (float16)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float16 x = (float16)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      { const float16 x = (float16)(a[l6]); c6_0 = x * v0 + c6_0; c6_1 = x * v1 + c6_1; }
      { const float16 x = (float16)(a[l7]); c7_0 = x * v0 + c7_0; c7_1 = x * v1 + c7_1; }
      b += 32; a += 1; }
  }
  if (k1 & 1) {
    { const float16 v0 = *(const float16_u *)(b + 0), v1 = *(const float16_u *)(b + 16);
      { const float16 x = (float16)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float16 x = (float16)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float16 x = (float16)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float16 x = (float16)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float16 x = (float16)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float16 x = (float16)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      { const float16 x = (float16)(a[l6]); c6_0 = x * v0 + c6_0; c6_1 = x * v1 + c6_1; }
      { const float16 x = (float16)(a[l7]); c7_0 = x * v0 + c7_0; c7_1 = x * v1 + c7_1; }
      b += 32; a += 1; }
  }
  if (more) { *(float16 *)(t + 0) += c0_0; *(float16 *)(t + 16) += c0_1; *(float16 *)(t + 32) += c1_0; *(float16 *)(t + 48) += c1_1; *(float16 *)(t + 64) += c2_0; *(float16 *)(t + 80) += c2_1; *(float16 *)(t + 96) += c3_0; *(float16 *)(t + 112) += c3_1; *(float16 *)(t + 128) += c4_0; *(float16 *)(t + 144) += c4_1; *(float16 *)(t + 160) += c5_0; *(float16 *)(t + 176) += c5_1; *(float16 *)(t + 192) += c6_0; *(float16 *)(t + 208) += c6_1; *(float16 *)(t + 224) += c7_0; *(float16 *)(t + 240) += c7_1; }
  else { *(float16 *)(t + 0) = c0_0; *(float16 *)(t + 16) = c0_1; *(float16 *)(t + 32) = c1_0; *(float16 *)(t + 48) = c1_1; *(float16 *)(t + 64) = c2_0; *(float16 *)(t + 80) = c2_1; *(float16 *)(t + 96) = c3_0; *(float16 *)(t + 112) = c3_1; *(float16 *)(t + 128) = c4_0; *(float16 *)(t + 144) = c4_1; *(float16 *)(t + 160) = c5_0; *(float16 *)(t + 176) = c5_1; *(float16 *)(t + 192) = c6_0; *(float16 *)(t + 208) = c6_1; *(float16 *)(t + 224) = c7_0; *(float16 *)(t + 240) = c7_1; }
}
FX_STAGE void stage_0(const long item, __global float *b0, __global const float *b1, __global const float *b2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14) {
  #pragma OPENCL FP_CONTRACT ON
  const long M = n0;
  const long N = n1;
  const long K = n2;
  const long RB = n3;
  const long CB = n4;
  const long RT = n5;
  const long CT = n6;
  const long ir = item % RB, ic = item / RB % CB, io = item / RB / CB;
  const int m0 = ir * RT, m1 = (M < m0 + RT ? M : m0 + RT);
  const int q0 = ic * CT, q1 = (N < q0 + CT ? N : q0 + CT);
  float acc[512] __attribute__((aligned(64)));
  float bp[16416] __attribute__((aligned(64)));
  const long OT = n7;
  const long OB = n8;
  const long a_tile = n9;
  const long a_lane = n10;
  const long a_k = n11;
  const long b_tile = n12;
  const long b_lane = n13;
  const long b_k = n14;
  for (int o = io * OT, oe = ((io + 1) * OT < OB ? (io + 1) * OT : OB); o < oe; ++o) {
    __global const float *a_o = b1 + 0;
    __global const float *b_o = b2 + 0;
    for (int s0 = q0; s0 < q1; s0 += 64) {
      const int s1 = (s0 + 64 < q1 ? s0 + 64 : q1);
      { const int d0 = 0;
        const int ke = K;
        { const int k0 = d0;
          const int k1 = ke - k0;
          panel_f32x16_32r(b_o + s0 * b_lane + k0 * b_k, b_lane, b_k, s1 - s0, N - s0, k1, bp, 8208);
        }
        for (int r0 = m0; r0 < m1; r0 += 8) {
          float *sums = acc;
          { const int k0 = d0;
            const int k1 = ke - k0;
            for (int t0 = s0; t0 < s1; t0 += 32) {
              tile_f32x16_8x2_l1s(a_o + r0 * a_lane + k0 * a_k, bp + (t0 - s0) / 32 * 8208, a_lane, 0, M - 1 - r0, a_k, 0, b_k, k1, sums + (t0 - s0) * 8, 0);
            }
          }
          for (int g = r0, ge = (r0 + 8 < m1 ? r0 + 8 : m1); g < ge; ++g) {
            const int i0 = g;
            for (int t0 = s0; t0 < s1; t0 += 32) {
              const int tn = t0, t1 = (t0 + 32 < q1 ? t0 + 32 : q1);
              { const int i1 = t0;
                const float16 x1 = *(__private const float16_u *)(sums + (t0 - s0) * 8 + (g - r0) * 32 + i1 - tn);
                *((__global float16_u *)(b0 + (256 * i0 + i1))) = x1;
                const float16 x2 = *(__private const float16_u *)(sums + (t0 - s0) * 8 + (g - r0) * 32 + i1 - tn + 16);
                *((__global float16_u *)(b0 + (256 * i0 + i1 + 16))) = x2;
              }
            }
          }
        }
      }
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global float *)p0, (__global const float *)p1, (__global const float *)p2, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14); break;
  }
}
