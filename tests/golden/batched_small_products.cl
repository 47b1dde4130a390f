// launches: 1, programs: 1

FX_PART void tile_f32x8_4x2_l1k(__global const float *a, __global const float *b,
    const long a_lane, const int *ro, const int last, const long a_k, const int *ko,
    const long b_k, const int k1, float *t, const long ld, const int more) {
  #pragma OPENCL FP_CONTRACT ON
  float8 c0_0 = 0, c0_1 = 0;
  float8 c1_0 = 0, c1_1 = 0;
  float8 c2_0 = 0, c2_1 = 0;
  float8 c3_0 = 0, c3_1 = 0;
  long l1 = (1 < last ? 1 : last) * a_lane;
  long l2 = (2 < last ? 2 : last) * a_lane;
  long l3 = (3 < last ? 3 : last) * a_lane;
  int k = 0;
  FX_HELD32("+r"(l1), "+r"(l2), "+r"(l3), "+v"(c0_0), "+v"(c0_1), "+v"(c1_0), "+v"(c1_1), "+v"(c2_0))
  FX_HELD32("+v"(c2_1), "+v"(c3_0), "+v"(c3_1))
  FX_ALIGN
  for (; k + 2 <= k1; k += 2) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      b += b_k; a += 1; }
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      b += b_k; a += 1; }
  }
  if (k1 & 1) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      b += b_k; a += 1; }
  }
  if (more) { c0_0 += *(float8_u *)(t + 0); c0_1 += *(float8_u *)(t + 8); c1_0 += *(float8_u *)(t + 1 * ld + 0); c1_1 += *(float8_u *)(t + 1 * ld + 8); c2_0 += *(float8_u *)(t + 2 * ld + 0); c2_1 += *(float8_u *)(t + 2 * ld + 8); c3_0 += *(float8_u *)(t + 3 * ld + 0); c3_1 += *(float8_u *)(t + 3 * ld + 8); }
  *(float8_u *)(t + 0) = c0_0; *(float8_u *)(t + 8) = c0_1; *(float8_u *)(t + 1 * ld + 0) = c1_0; *(float8_u *)(t + 1 * ld + 8) = c1_1; *(float8_u *)(t + 2 * ld + 0) = c2_0; *(float8_u *)(t + 2 * ld + 8) = c2_1; *(float8_u *)(t + 3 * ld + 0) = c3_0; *(float8_u *)(t + 3 * ld + 8) = c3_1;
}
FX_STAGE void stage_0(const long item, __global float *b0, __global const float *b1, __global const float *b2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14, const long n15, const long n16, const long n17, const long n18, const long n19, const long n20, const long n21, const long n22) {
  #pragma OPENCL FP_CONTRACT ON
  const int M = n0;
  const int N = n1;
  const int K = n2;
  const int RB = n3;
  const int CB = n4;
  const int RT = n5;
  const int CT = n6;
  const int OT = n7;
  const int OB = n8;
  const int ST = n9;
  const int KB = n10;
  const int KD = n11;
  float acc[65536] __attribute__((aligned(64)));
  const int sums_step = K > KD ? 4 * ST : 0;
  const long x_step = n12;
  const long x_block = n13;
  const long y_step = n14;
  const long y_block = n15;
  const long y_last = n16;
  const long a_lane = n17;
  const long a_k = n18;
  const long b_lane = n19;
  const long b_k = n20;
  const long a_start = n21;
  const long b_start = n22;
  const int it = item, ir = it % RB, ic = it / RB % CB, io = it / RB / CB;
  const int m0 = ir * RT, m1 = (M < m0 + RT ? M : m0 + RT);
  const int q0 = ic * CT, q1 = (N < q0 + CT ? N : q0 + CT);
  for (int o = io * OT, oe = ((io + 1) * OT < OB ? (io + 1) * OT : OB); o < oe; ++o) {
    const int i0 = o;
    __global const float *a_o = b1 + (o) * 256L + a_start;
    __global const float *b_o = b2 + (o) * 256L + b_start;
    for (int s0 = q0; s0 < q1; s0 += ST) {
      const int s1 = (s0 + ST < q1 ? s0 + ST : q1);
      for (int d0 = 0; d0 < K; d0 += KD) {
        const int ke = (K < d0 + KD ? K : d0 + KD);
        for (int r0 = m0; r0 < m1; r0 += 4) {
          float *sums = acc + (r0 - m0) / 4 * sums_step;
          for (int k0 = d0, kb = 0; k0 < ke; k0 += KB, ++kb) {
            const int k1 = (ke - k0 < KB ? ke - k0 : KB);
            for (int t0 = s0; t0 < s1; t0 += 16) {
              tile_f32x8_4x2_l1k(a_o + r0 / 4 * x_step + k0 * a_k, b_o + (t0 < y_last ? t0 : y_last) + k0 * b_k, a_lane, 0, M - 1 - r0, a_k, 0, b_k, k1, sums + (t0 - s0) * 4, 16, k0);
            }
          }
          if (ke < K) continue;
          for (int g = r0, ge = (r0 + 4 < m1 ? r0 + 4 : m1); g < ge; ++g) {
            const int i1 = g;
            const float *row = sums + (g - r0) * 16;
            for (int t0 = s0; t0 < s1; t0 += 16) {
              const int tn = (t0 < N - 16 ? t0 : N - 16), t1 = (t0 + 16 < q1 ? t0 + 16 : q1);
              const float *sum = row + (t0 - s0) * 4;
              { const int i2 = t0;
                const float8 x1 = *(__private const float8_u *)(sum + i2 - tn);
                *((__global float8_u *)(b0 + (256 * i0 + 16 * i1 + i2))) = x1;
                const float8 x2 = *(__private const float8_u *)(sum + i2 - tn + 8);
                *((__global float8_u *)(b0 + (256 * i0 + 16 * i1 + i2 + 8))) = x2;
              }
            }
          }
        }
      }
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14, const long n15, const long n16, const long n17, const long n18, const long n19, const long n20, const long n21, const long n22) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global float *)p0, (__global const float *)p1, (__global const float *)p2, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17, n18, n19, n20, n21, n22); break;
  }
}
