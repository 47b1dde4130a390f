// launches: 2, programs: 1

FX_STAGE void tile_f32x8_6x2_top(__global const float *a, __global const float *b,
    const long a_lane, const int *ro, const int last, const long a_k, const int *ko,
    const long b_k, const int k1, float *t, const int more) {
  #pragma OPENCL FP_CONTRACT ON
  float8 c0_0 = 0, c0_1 = 0;
  float8 c1_0 = 0, c1_1 = 0;
  float8 c2_0 = 0, c2_1 = 0;
  float8 c3_0 = 0, c3_1 = 0;
  float8 c4_0 = 0, c4_1 = 0;
  float8 c5_0 = 0, c5_1 = 0;
  const long l0 = ro[0];
  const long l1 = ro[1];
  const long l2 = ro[2];
  const long l3 = ro[3];
  const long l4 = ro[4];
  const long l5 = ro[5];
  int k = 0;
  for (; k + 2 <= k1; k += 2) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[l0 + ko[k]]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1 + ko[k]]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2 + ko[k]]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3 + ko[k]]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4 + ko[k]]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5 + ko[k]]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; }
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[l0 + ko[k + 1]]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1 + ko[k + 1]]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2 + ko[k + 1]]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3 + ko[k + 1]]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4 + ko[k + 1]]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5 + ko[k + 1]]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; }
  }
  if (k1 & 1) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[l0 + ko[k]]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1 + ko[k]]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2 + ko[k]]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3 + ko[k]]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4 + ko[k]]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5 + ko[k]]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; }
  }
  if (more) { *(float8 *)(t + 0) += c0_0; *(float8 *)(t + 8) += c0_1; *(float8 *)(t + 16) += c1_0; *(float8 *)(t + 24) += c1_1; *(float8 *)(t + 32) += c2_0; *(float8 *)(t + 40) += c2_1; *(float8 *)(t + 48) += c3_0; *(float8 *)(t + 56) += c3_1; *(float8 *)(t + 64) += c4_0; *(float8 *)(t + 72) += c4_1; *(float8 *)(t + 80) += c5_0; *(float8 *)(t + 88) += c5_1; }
  else { *(float8 *)(t + 0) = c0_0; *(float8 *)(t + 8) = c0_1; *(float8 *)(t + 16) = c1_0; *(float8 *)(t + 24) = c1_1; *(float8 *)(t + 32) = c2_0; *(float8 *)(t + 40) = c2_1; *(float8 *)(t + 48) = c3_0; *(float8 *)(t + 56) = c3_1; *(float8 *)(t + 64) = c4_0; *(float8 *)(t + 72) = c4_1; *(float8 *)(t + 80) = c5_0; *(float8 *)(t + 88) = c5_1; }
}
FX_STAGE void stage_0_p0_(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i2 = g % 18;
    const int g_1 = g / 18;
    const int i1 = g_1;
    for (int i3 = 0; i3 + 8 <= 18; i3 += 8) {
      float8 x1 = (float8)(0.0f);
      if (((uint)(i2 + -1) < 16u) && ((uint)(i3 + -1) < 16u) && ((uint)(i3 + 6) < 16u)) x1 = *(__global const float8_u *)(b0 + (256 * i1 + 16 * i2 + i3 + -17));
      else {
        float8 t = 0;
        for (int l = 0; l < 8; ++l)
          if (((uint)(i2 + -1) < 16u) && (0 <= (i3 + -1) + 1 * l && (i3 + -1) + 1 * l < 16)) ((float *)&t)[l] = (b0 + (256 * i1 + 16 * i2 + i3 + -17))[1 * l];
        x1 = t;
      }
      *((__global float8_u *)(b1 + (324 * i1 + 18 * i2 + i3))) = x1;
    }
    for (int i3 = 16; i3 < 18; ++i3) {
      float x2 = 0.0f;
      if (((uint)(i2 + -1) < 16u) && ((uint)(i3 + -1) < 16u)) x2 = *(b0 + (256 * i1 + 16 * i2 + i3 + -17));
      *(b1 + (324 * i1 + 18 * i2 + i3)) = x2;
    }
  }
}
FX_STAGE void stage_0_p1_(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    for (int i1 = 0; i1 + 8 <= 16; i1 += 8) {
      const float8 x1 = (float8)((b0 + (i0 + 72 * i1))[0], (b0 + (i0 + 72 * i1))[72], (b0 + (i0 + 72 * i1))[144], (b0 + (i0 + 72 * i1))[216], (b0 + (i0 + 72 * i1))[288], (b0 + (i0 + 72 * i1))[360], (b0 + (i0 + 72 * i1))[432], (b0 + (i0 + 72 * i1))[504]);
      *((__global float8_u *)(b1 + (16 * i0 + i1))) = x1;
    }
  }
}
FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, __global const float *b2, __global float *b3, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5) {
  for (long k = 0; k < n2; ++k) stage_0_p0_(k, b0, b1, n0, n1);
  for (long k = 0; k < n5; ++k) stage_0_p1_(k, b2, b3, n3, n4);
}

FX_STAGE void stage_1(const long item, __global float *b0, __global const float *b1, __global const float *b2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14) {
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
  float acc[1152] __attribute__((aligned(64)));
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
    int ro[72];
    for (int r = 0, re = (m1 - m0 + 5) / 6 * 6; r < re; ++r) {
      const int h = (m0 + r < M - 1 ? m0 + r : M - 1);
      ro[r] = (h / 256) * 2592 + (h / 16 % 16) * 18 + (h % 16);
    }
    for (int t0 = q0; t0 < q1; t0 += 16) {
      const int tn = t0, t1 = (t0 + 16 < q1 ? t0 + 16 : q1);
      { const int k0 = 0;
        const int k1 = K;
        int ko[72];
        for (int k = 0; k < k1; ++k) ko[k] = ((k0 + k) / 9) * 324 + ((k0 + k) / 3 % 3) * 18 + ((k0 + k) % 3);
        for (int r0 = m0; r0 < m1; r0 += 6) {
          tile_f32x8_6x2_top(a_o + k0 * a_k, b_o + t0 / 16 * b_tile + k0 * b_k, a_lane, ro + (r0 - m0), M - 1 - r0, a_k, ko, b_k, k1, acc + (r0 - m0) * 16, 0);
        }
      }
      for (int g = m0; g < m1; ++g) {
        const int i3 = g % 256;
        const int i0 = g / 256;
        { const int i1 = t0;
          const float8 x1 = *(__private const float8_u *)(acc + (g - m0) * 16 + i1 - tn);
          const float8 t2 = x1;
          (b0 + (4096 * i0 + 256 * i1 + i3))[0] = t2.s0;
          (b0 + (4096 * i0 + 256 * i1 + i3))[256] = t2.s1;
          (b0 + (4096 * i0 + 256 * i1 + i3))[512] = t2.s2;
          (b0 + (4096 * i0 + 256 * i1 + i3))[768] = t2.s3;
          (b0 + (4096 * i0 + 256 * i1 + i3))[1024] = t2.s4;
          (b0 + (4096 * i0 + 256 * i1 + i3))[1280] = t2.s5;
          (b0 + (4096 * i0 + 256 * i1 + i3))[1536] = t2.s6;
          (b0 + (4096 * i0 + 256 * i1 + i3))[1792] = t2.s7;
          const float8 x3 = *(__private const float8_u *)(acc + (g - m0) * 16 + i1 - tn + 8);
          const float8 t4 = x3;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[0] = t4.s0;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[256] = t4.s1;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[512] = t4.s2;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[768] = t4.s3;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[1024] = t4.s4;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[1280] = t4.s5;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[1536] = t4.s6;
          (b0 + (4096 * i0 + 256 * i1 + i3 + 2048))[1792] = t4.s7;
        }
      }
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, (__global const float *)p2, (__global float *)p3, n0, n1, n2, n3, n4, n5); break;
  case 1: stage_1(item, (__global float *)p0, (__global const float *)p1, (__global const float *)p2, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14); break;
  }
}
