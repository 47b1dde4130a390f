// launches: 1, programs: 1

FX_PART void tile_f32x8_6x2_lkk(__global const float *a, __global const float *b,
    const long a_lane, const int *ro, const int last, const long a_k, const int *ko,
    const long b_k, const int k1, float *t, const long ld, const int more) {
  #pragma OPENCL FP_CONTRACT ON
  float8 c0_0 = 0, c0_1 = 0;
  float8 c1_0 = 0, c1_1 = 0;
  float8 c2_0 = 0, c2_1 = 0;
  float8 c3_0 = 0, c3_1 = 0;
  float8 c4_0 = 0, c4_1 = 0;
  float8 c5_0 = 0, c5_1 = 0;
  long l1 = (1 < last ? 1 : last) * a_lane;
  long l2 = (2 < last ? 2 : last) * a_lane;
  long l3 = (3 < last ? 3 : last) * a_lane;
  long l4 = (4 < last ? 4 : last) * a_lane;
  long l5 = (5 < last ? 5 : last) * a_lane;
  int k = 0;
  FX_HELD32("+r"(l1), "+r"(l2), "+r"(l3), "+r"(l4), "+r"(l5), "+v"(c0_0), "+v"(c0_1), "+v"(c1_0))
  FX_HELD32("+v"(c1_1), "+v"(c2_0), "+v"(c2_1), "+v"(c3_0), "+v"(c3_1), "+v"(c4_0), "+v"(c4_1), "+v"(c5_0))
  FX_HELD32("+v"(c5_1))
  FX_ALIGN
  for (; k + 2 <= k1; k += 2) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += b_k; a += a_k; }
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += b_k; a += a_k; }
  }
  if (k1 & 1) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += b_k; a += a_k; }
  }
  if (more) { c0_0 += *(float8_u *)(t + 0); c0_1 += *(float8_u *)(t + 8); c1_0 += *(float8_u *)(t + 1 * ld + 0); c1_1 += *(float8_u *)(t + 1 * ld + 8); c2_0 += *(float8_u *)(t + 2 * ld + 0); c2_1 += *(float8_u *)(t + 2 * ld + 8); c3_0 += *(float8_u *)(t + 3 * ld + 0); c3_1 += *(float8_u *)(t + 3 * ld + 8); c4_0 += *(float8_u *)(t + 4 * ld + 0); c4_1 += *(float8_u *)(t + 4 * ld + 8); c5_0 += *(float8_u *)(t + 5 * ld + 0); c5_1 += *(float8_u *)(t + 5 * ld + 8); }
  *(float8_u *)(t + 0) = c0_0; *(float8_u *)(t + 8) = c0_1; *(float8_u *)(t + 1 * ld + 0) = c1_0; *(float8_u *)(t + 1 * ld + 8) = c1_1; *(float8_u *)(t + 2 * ld + 0) = c2_0; *(float8_u *)(t + 2 * ld + 8) = c2_1; *(float8_u *)(t + 3 * ld + 0) = c3_0; *(float8_u *)(t + 3 * ld + 8) = c3_1; *(float8_u *)(t + 4 * ld + 0) = c4_0; *(float8_u *)(t + 4 * ld + 8) = c4_1; *(float8_u *)(t + 5 * ld + 0) = c5_0; *(float8_u *)(t + 5 * ld + 8) = c5_1;
}
#define by_lkk 0
#define fill_none 0
FX_PART void rest_f32x8_6x2(const float *p, __global float *row, const long ld,
    const int rows, const int n, const int more) {
  for (int g = 0; g < rows; ++g, p += 16, row += ld) {
    int e = 0;
    for (; e + 8 <= n; e += 8) {
      const float8_u s = *(float8_u *)(p + e);
      *(__global float8_u *)(row + e) = more ? s + *(__global float8_u *)(row + e) : s;
    }
  #pragma clang loop vectorize(disable) unroll(disable)
    for (; e < n; ++e) row[e] = more ? p[e] + row[e] : p[e];
  }
}
FX_PART void whole_f32x8_6x2(const int by, const int a_fill, const int b_fill,
    const int item, __global const float *a, __global const float *b, __global float *x, const long x_step,
    __global float *y, const long y_step, const long y_last, const long a_lane, const long a_k,
    const long b_lane, const long b_k, const int M, const int N, const int K, const int RB,
    const int CB, const int RT, const int CT, const int OT, const int OB, const int depth, float *acc,
    const int inner, const long a_outer, const long a_inner, const long b_outer,
    const long b_inner, const long out_outer, const long out_inner, const long ld,
    __global float *out) {
  const int ir = item % RB, ic = item / RB % CB, io = item / RB / CB;
  const int m0 = ir * RT, m1 = (M < m0 + RT ? M : m0 + RT);
  const int q0 = ic * CT, q1 = (N < q0 + CT ? N : q0 + CT);
  const int o1 = ((io + 1) * OT < OB ? (io + 1) * OT : OB);
  for (int o = io * OT; o < o1; ++o) {
    const int oo = o / inner, oi = o % inner;
    __global const float *ao = a + oo * a_outer + oi * a_inner;
    __global const float *bo = b + oo * b_outer + oi * b_inner;
    __global float *to = out + oo * out_outer + oi * out_inner;
    for (int d0 = 0; d0 < K; d0 += depth) {
      const int d = (K - d0 < depth ? K - d0 : depth);
      
      __global const float *ys = bo + q0 / 16 * y_step + d0 * b_k;
      for (int g0 = m0; g0 < m1; g0 += 96) {
        const int g1 = (m1 < g0 + 96 ? m1 : g0 + 96);
        __global const float *xs = ao + g0 / 6 * x_step + d0 * a_k;
        long at = 0;
        for (int t0 = q0; t0 < q1; t0 += 16, at += y_step) {
          const long beyond = at > y_last - q0 ? at - (y_last - q0) : 0;  // the last tile's
          __global const float *w = ys + at - beyond, *u = xs;
          __global float *row = to + g0 * ld + t0;
          for (int r0 = g0; r0 < g1; r0 += 6, u += x_step, row += 6 * ld) {
            const int in = r0 + 6 <= g1 && t0 + 16 <= q1, more = in && d0;
            if (in) { __builtin_prefetch(row + 0 * ld, 1); __builtin_prefetch(row + 1 * ld, 1); __builtin_prefetch(row + 2 * ld, 1); __builtin_prefetch(row + 3 * ld, 1); __builtin_prefetch(row + 4 * ld, 1); __builtin_prefetch(row + 5 * ld, 1); }
            float *v = in ? (float *)(ulong)row : acc;
            tile_f32x8_6x2_lkk(u, w, a_lane, 0, M - 1 - r0, a_k, 0, b_k, d, v, in ? ld : 16, more);
            if (!in)
              rest_f32x8_6x2(acc + beyond, row, ld, (g1 - r0 < 6 ? g1 - r0 : 6),
                (q1 - t0 < 16 ? q1 - t0 : 16), d0);
          }
        }
      }
    }
  }
}
FX_LIST void stage_0(const long item, __global float *b0, __global const float *b1, __global const float *b2, const long *n) {
  #pragma OPENCL FP_CONTRACT ON
  const int M = n[0];
  const int N = n[1];
  const int K = n[2];
  const int RB = n[3];
  const int CB = n[4];
  const int RT = n[5];
  const int CT = n[6];
  const int OT = n[7];
  const int OB = n[8];
  const int ST = n[9];
  const int KB = n[10];
  const int KD = n[11];
  float acc[262144] __attribute__((aligned(64)));
  const long x_step = n[12];
  const long x_block = n[13];
  const long y_step = n[14];
  const long y_block = n[15];
  const long y_last = n[16];
  const long a_lane = n[17];
  const long a_k = n[18];
  const long b_lane = n[19];
  const long b_k = n[20];
  const long a_start = n[21];
  const long b_start = n[22];
  const long ld = n[23];
  const long start = n[24];
  whole_f32x8_6x2(by_lkk, fill_none, fill_none, item, b1 + a_start, b2 + b_start, 0, x_step, 0, y_step, y_last, a_lane, a_k, b_lane, b_k, M, N, K, RB, CB, RT, CT, OT, OB, KD, acc, 1, 0, 0, 0, 0, 0, 0, ld, b0 + start);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14, const long n15, const long n16, const long n17, const long n18, const long n19, const long n20, const long n21, const long n22, const long n23, const long n24) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global float *)p0, (__global const float *)p1, (__global const float *)p2, (__private const long[]){n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17, n18, n19, n20, n21, n22, n23, n24}); break;
  }
}
