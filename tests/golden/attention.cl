// launches: 3, programs: 1

FX_PART void panel_f32x8_16c_f32(
    __global const float *x,
    const long x_lane, const long x_k, const int count, const int there, const int k1,
    __global float *p, const long size) {
  for (int c = 0; c < count; c += 16, p += size)
    for (int i = 0; i < 16; i += 8) {
      const int j = i;
      __global const float *y[8];
  #pragma clang loop vectorize(disable) unroll(disable)
      for (int e = 0; e < 8; ++e)
        y[e] = x + (c + j + e < there ? c + j + e : there - 1) * x_lane;
      __global float *q = p + j;
      int k = 0;
      for (; k + 8 <= k1; k += 8, q += 128) {
        float8 v0 = *(__global const float8_u *)(y[0] + k);
        float8 v1 = *(__global const float8_u *)(y[1] + k);
        float8 v2 = *(__global const float8_u *)(y[2] + k);
        float8 v3 = *(__global const float8_u *)(y[3] + k);
        float8 v4 = *(__global const float8_u *)(y[4] + k);
        float8 v5 = *(__global const float8_u *)(y[5] + k);
        float8 v6 = *(__global const float8_u *)(y[6] + k);
        float8 v7 = *(__global const float8_u *)(y[7] + k);
        const float8 u4_0 = __builtin_shufflevector(v0, v4, 0, 1, 2, 3, 8, 9, 10, 11);
        const float8 u4_4 = __builtin_shufflevector(v0, v4, 4, 5, 6, 7, 12, 13, 14, 15);
        const float8 u4_1 = __builtin_shufflevector(v1, v5, 0, 1, 2, 3, 8, 9, 10, 11);
        const float8 u4_5 = __builtin_shufflevector(v1, v5, 4, 5, 6, 7, 12, 13, 14, 15);
        const float8 u4_2 = __builtin_shufflevector(v2, v6, 0, 1, 2, 3, 8, 9, 10, 11);
        const float8 u4_6 = __builtin_shufflevector(v2, v6, 4, 5, 6, 7, 12, 13, 14, 15);
        const float8 u4_3 = __builtin_shufflevector(v3, v7, 0, 1, 2, 3, 8, 9, 10, 11);
        const float8 u4_7 = __builtin_shufflevector(v3, v7, 4, 5, 6, 7, 12, 13, 14, 15);
        const float8 u2_0 = __builtin_shufflevector(u4_0, u4_2, 0, 1, 8, 9, 4, 5, 12, 13);
        const float8 u2_2 = __builtin_shufflevector(u4_0, u4_2, 2, 3, 10, 11, 6, 7, 14, 15);
        const float8 u2_1 = __builtin_shufflevector(u4_1, u4_3, 0, 1, 8, 9, 4, 5, 12, 13);
        const float8 u2_3 = __builtin_shufflevector(u4_1, u4_3, 2, 3, 10, 11, 6, 7, 14, 15);
        const float8 u2_4 = __builtin_shufflevector(u4_4, u4_6, 0, 1, 8, 9, 4, 5, 12, 13);
        const float8 u2_6 = __builtin_shufflevector(u4_4, u4_6, 2, 3, 10, 11, 6, 7, 14, 15);
        const float8 u2_5 = __builtin_shufflevector(u4_5, u4_7, 0, 1, 8, 9, 4, 5, 12, 13);
        const float8 u2_7 = __builtin_shufflevector(u4_5, u4_7, 2, 3, 10, 11, 6, 7, 14, 15);
        const float8 u1_0 = __builtin_shufflevector(u2_0, u2_1, 0, 8, 2, 10, 4, 12, 6, 14);
        const float8 u1_1 = __builtin_shufflevector(u2_0, u2_1, 1, 9, 3, 11, 5, 13, 7, 15);
        const float8 u1_2 = __builtin_shufflevector(u2_2, u2_3, 0, 8, 2, 10, 4, 12, 6, 14);
        const float8 u1_3 = __builtin_shufflevector(u2_2, u2_3, 1, 9, 3, 11, 5, 13, 7, 15);
        const float8 u1_4 = __builtin_shufflevector(u2_4, u2_5, 0, 8, 2, 10, 4, 12, 6, 14);
        const float8 u1_5 = __builtin_shufflevector(u2_4, u2_5, 1, 9, 3, 11, 5, 13, 7, 15);
        const float8 u1_6 = __builtin_shufflevector(u2_6, u2_7, 0, 8, 2, 10, 4, 12, 6, 14);
        const float8 u1_7 = __builtin_shufflevector(u2_6, u2_7, 1, 9, 3, 11, 5, 13, 7, 15);
        *(__global float8_u *)(q + 0) = u1_0;
        *(__global float8_u *)(q + 16) = u1_1;
        *(__global float8_u *)(q + 32) = u1_2;
        *(__global float8_u *)(q + 48) = u1_3;
        *(__global float8_u *)(q + 64) = u1_4;
        *(__global float8_u *)(q + 80) = u1_5;
        *(__global float8_u *)(q + 96) = u1_6;
        *(__global float8_u *)(q + 112) = u1_7;
      }
      for (; k < k1; ++k, q += 16)
  #pragma clang loop vectorize(disable) unroll(disable)
        for (int e = 0; e < 8; ++e) q[e] = *(y[e] + k);
    }
}
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__AVX__)
#define FX_HELD32(...) __asm__ volatile("" : __VA_ARGS__);
#define FX_ALIGN __asm__ volatile(".p2align 6");
#else
#define FX_HELD32(...)
#define FX_ALIGN
#endif
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__AVX512F__)
#define FX_HELD64(...) __asm__ volatile("" : __VA_ARGS__);
#else
#define FX_HELD64(...)
#endif
FX_PART void tile_f32x8_6x2_l1k(__global const float *a, __global const float *b,
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
      b += b_k; a += 1; }
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += b_k; a += 1; }
  }
  if (k1 & 1) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += b_k; a += 1; }
  }
  if (more) { c0_0 += *(float8_u *)(t + 0); c0_1 += *(float8_u *)(t + 8); c1_0 += *(float8_u *)(t + 1 * ld + 0); c1_1 += *(float8_u *)(t + 1 * ld + 8); c2_0 += *(float8_u *)(t + 2 * ld + 0); c2_1 += *(float8_u *)(t + 2 * ld + 8); c3_0 += *(float8_u *)(t + 3 * ld + 0); c3_1 += *(float8_u *)(t + 3 * ld + 8); c4_0 += *(float8_u *)(t + 4 * ld + 0); c4_1 += *(float8_u *)(t + 4 * ld + 8); c5_0 += *(float8_u *)(t + 5 * ld + 0); c5_1 += *(float8_u *)(t + 5 * ld + 8); }
  *(float8_u *)(t + 0) = c0_0; *(float8_u *)(t + 8) = c0_1; *(float8_u *)(t + 1 * ld + 0) = c1_0; *(float8_u *)(t + 1 * ld + 8) = c1_1; *(float8_u *)(t + 2 * ld + 0) = c2_0; *(float8_u *)(t + 2 * ld + 8) = c2_1; *(float8_u *)(t + 3 * ld + 0) = c3_0; *(float8_u *)(t + 3 * ld + 8) = c3_1; *(float8_u *)(t + 4 * ld + 0) = c4_0; *(float8_u *)(t + 4 * ld + 8) = c4_1; *(float8_u *)(t + 5 * ld + 0) = c5_0; *(float8_u *)(t + 5 * ld + 8) = c5_1;
}
FX_PART void tile_f32x8_6x2_l1p(__global const float *a, __global const float *b,
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
      b += 16; a += 1; }
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; a += 1; }
  }
  if (k1 & 1) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      { const float8 x = (float8)(a[0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(a[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(a[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(a[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(a[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(a[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; a += 1; }
  }
  if (more) { c0_0 += *(float8_u *)(t + 0); c0_1 += *(float8_u *)(t + 8); c1_0 += *(float8_u *)(t + 1 * ld + 0); c1_1 += *(float8_u *)(t + 1 * ld + 8); c2_0 += *(float8_u *)(t + 2 * ld + 0); c2_1 += *(float8_u *)(t + 2 * ld + 8); c3_0 += *(float8_u *)(t + 3 * ld + 0); c3_1 += *(float8_u *)(t + 3 * ld + 8); c4_0 += *(float8_u *)(t + 4 * ld + 0); c4_1 += *(float8_u *)(t + 4 * ld + 8); c5_0 += *(float8_u *)(t + 5 * ld + 0); c5_1 += *(float8_u *)(t + 5 * ld + 8); }
  *(float8_u *)(t + 0) = c0_0; *(float8_u *)(t + 8) = c0_1; *(float8_u *)(t + 1 * ld + 0) = c1_0; *(float8_u *)(t + 1 * ld + 8) = c1_1; *(float8_u *)(t + 2 * ld + 0) = c2_0; *(float8_u *)(t + 2 * ld + 8) = c2_1; *(float8_u *)(t + 3 * ld + 0) = c3_0; *(float8_u *)(t + 3 * ld + 8) = c3_1; *(float8_u *)(t + 4 * ld + 0) = c4_0; *(float8_u *)(t + 4 * ld + 8) = c4_1; *(float8_u *)(t + 5 * ld + 0) = c5_0; *(float8_u *)(t + 5 * ld + 8) = c5_1;
}
#define by_l1k 0
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
            tile_f32x8_6x2_l1k(u, w, a_lane, 0, M - 1 - r0, a_k, 0, b_k, d, v, in ? ld : 16, more);
            if (!in)
              rest_f32x8_6x2(acc + beyond, row, ld, (g1 - r0 < 6 ? g1 - r0 : 6),
                (q1 - t0 < 16 ? q1 - t0 : 16), d0);
          }
        }
      }
    }
  }
}
typedef struct {
  __global const float *a, *ao;
  __global const float *b, *bo;
  __global float *x, *y;
  float *acc, *sums;
  const int *ro, *ko;
  const long *n;
  int o, o1, m0, m1, q0, q1, s0, s1, d0, d1, r0, r1, soon;
} progress_f32_f32_f32;
FX_PART void begin_f32_f32_f32(progress_f32_f32_f32 *s, const int item,
    __global const float *a, __global const float *b, float *acc, const int *ro, const int *ko,
    const long *n) {
  const long M = n[0], N = n[1], K = n[2], RB = n[3], CB = n[4], RT = n[5], CT = n[6], OT = n[7], OB = n[8], ST = n[9], KD = n[11], GR = n[12], x_room = n[15], a_start = n[23], b_start = n[24];
  const int ir = item % RB, ic = item / RB % CB, io = item / RB / CB;
  s->a = a + a_start, s->b = b + b_start, s->ro = ro, s->ko = ko, s->n = n;
  s->o = io * OT - 1, s->o1 = (OB < (io + 1) * OT ? OB : (io + 1) * OT);
  s->m0 = ir * RT, s->m1 = (M < s->m0 + RT ? M : s->m0 + RT);
  s->q0 = ic * CT, s->q1 = (N < s->q0 + CT ? N : s->q0 + CT);
  s->s1 = s->q1, s->d1 = K, s->r1 = s->m1, s->soon = 0;
  s->acc = acc;
  s->x = (__global float *)(ulong)(acc + ((K > KD ? RT : GR) * ST + 16 - 1) / 16 * 16);
  s->y = s->x + x_room;
}
FX_PART int next_f32x8_6x2_l1p_none_columns_f32_f32(
    const int ask, progress_f32_f32_f32 *s) {
  const long *n = s->n;
  const long M = n[0], N = n[1], K = n[2], ST = n[9], KB = n[10], KD = n[11], GR = n[12], x_step = n[13], y_step = n[16], y_block = n[17], a_lane = n[19], a_k = n[20], b_lane = n[21], b_k = n[22], inner = n[25], a_outer = n[26], a_inner = n[27], b_outer = n[28], b_inner = n[29], needed = n[30], by_row = n[31], by_column = n[32];
  for (;;) {
    if (!s->soon) {
      s->r0 = s->r1;
      if (s->r0 >= s->m1) {
        s->r0 = s->m0, s->d0 = s->d1;
        if (s->d0 >= K) {
          s->d0 = 0, s->s0 = s->s1;
          if (s->s0 >= s->q1) {
            s->s0 = s->q0;
            if (++s->o >= s->o1) return 0;
            const int oo = s->o / (int)inner, oi = s->o % (int)inner;
            s->ao = s->a + oo * a_outer + oi * a_inner;
            s->bo = s->b + oo * b_outer + oi * b_inner;
          }
          s->s1 = (s->q1 < s->s0 + ST ? s->q1 : s->s0 + ST);
        }
        s->d1 = (K < s->d0 + KD ? K : s->d0 + KD);
        for (int k0 = s->d0, kb = 0; k0 < s->d1; k0 += KB, ++kb)
          panel_f32x8_16c_f32(s->bo + s->s0 * b_lane + k0 * b_k, b_lane, b_k,
            s->s1 - s->s0, N - s->s0, (s->d1 - k0 < KB ? s->d1 - k0 : KB), s->y + kb * y_block,
            y_step);
      }
      s->r1 = (s->m1 < s->r0 + GR ? s->m1 : s->r0 + GR);
      s->sums = s->acc + (K > KD ? (s->r0 - s->m0) * ST : 0);
      if (ask && s->d1 == K) {
        s->soon = 1;
        return 2;
      }
    }
    s->soon = 0;
    __global const float *x = s->ao, *y = s->y;
    const int r0 = s->r0, r1 = s->r1, s0 = s->s0, s1 = s->s1, d1 = s->d1;
    const int *ro = s->ro + (r0 - s->m0), *ko = s->ko;
    float *sums = s->sums;
    for (int r = r0; r < r1; r += 6, ro += 6, sums += 6 * ST)
      for (int k0 = s->d0, kb = 0; k0 < d1; k0 += KB, ++kb) {
        const int k1 = (d1 - k0 < KB ? d1 - k0 : KB);
        for (int t = s0; t < s1; t += 16)
          if (needed + by_row * r + by_column * t >= 0)
            tile_f32x8_6x2_l1p(x + r / 6 * x_step + k0 * a_k, y + kb * y_block + (t - s0) / 16 * y_step, a_lane, ro, M - 1 - r, a_k, ko + k0, b_k,
              k1, sums + (t - s0) * 6, 16, k0);
      }
    if (s->d1 == K) return 1;
  }
}
FX_STAGE void stage_0_end(const progress_f32_f32_f32 *s, __global float *b0) {
  #pragma OPENCL FP_CONTRACT ON
  const int n33 = s->n[33];
  const int n34 = s->n[34];
  const float *sums = s->sums;
  const int r0 = s->r0, m1 = s->r1, s0 = s->s0, s1 = s->s1, q1 = s->q1;
  const int N = s->n[1], ST = s->n[9];
  {
    const int i0 = s->o;
    for (int g = r0, ge = m1; g < ge; ++g) {
      const int i1 = g;
      const float *row = sums + ((g - r0) / 6 * (6 * ST) + (g - r0) % 6 * 16);
      for (int t0 = s0; t0 < s1; t0 += 16) {
        const int tn = t0, t1 = (t0 + 16 < q1 ? t0 + 16 : q1);
        const float *sum = row + (t0 - s0) * 6;
        { const int i2 = t0;
          const float8 x1 = *(__private const float8_u *)(sum + i2 - tn);
          const float8 x2 = (x1 / (float8)(8.0f));
          *((__global float8_u *)(b0 + (n33 * i0 + n34 * i1 + i2))) = x2;
          const float8 x3 = *(__private const float8_u *)(sum + i2 - tn + 8);
          const float8 x4 = (x3 / (float8)(8.0f));
          *((__global float8_u *)(b0 + (n33 * i0 + n34 * i1 + i2 + 8))) = x4;
        }
      }
    }
  }
}

FX_LIST void stage_0(const long item, __global float *b0, __global const float *b1, __global const float *b2, const long *n) {
  #pragma OPENCL FP_CONTRACT ON
  float acc[65536] __attribute__((aligned(64)));
  progress_f32_f32_f32 s;
  begin_f32_f32_f32(&s, item, b1, b2, acc, 0, 0, n);
  for (int what; (what = next_f32x8_6x2_l1p_none_columns_f32_f32(0, &s));)
    stage_0_end(&s, b0);
}

FX_STAGE void stage_1(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT OFF
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float k1[64] __attribute__((aligned(64)));
    float8 a2_0 = (float8)((-INFINITY));
    float8 a2_1 = (float8)((-INFINITY));
    float8 a2_2 = (float8)((-INFINITY));
    float8 a2_3 = (float8)((-INFINITY));
    float a2 = (-INFINITY);
    for (int i1 = 0; i1 + 32 <= 64; i1 += 32) {
      const float8 x3 = *(__global const float8_u *)(b0 + (64 * i0 + i1));
      a2_0 = max_f32x8(a2_0, x3);
      const float8 x4 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 8));
      a2_1 = max_f32x8(a2_1, x4);
      const float8 x5 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 16));
      a2_2 = max_f32x8(a2_2, x5);
      const float8 x6 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 24));
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
    for (int i1 = 0; i1 + 32 <= 64; i1 += 32) {
      const float8 x9 = *(__global const float8_u *)(b0 + (64 * i0 + i1));
      const float8 x10 = (x9 - (float8)(a2));
      const float8 x11 = exp_down_f32x8(x10);
      *(float8 *)(k1 + i1) = x11;
      a8_0 = (a8_0 + x11);
      const float8 x12 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 8));
      const float8 x13 = (x12 - (float8)(a2));
      const float8 x14 = exp_down_f32x8(x13);
      *(float8 *)(k1 + i1 + 8) = x14;
      a8_1 = (a8_1 + x14);
      const float8 x15 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 16));
      const float8 x16 = (x15 - (float8)(a2));
      const float8 x17 = exp_down_f32x8(x16);
      *(float8 *)(k1 + i1 + 16) = x17;
      a8_2 = (a8_2 + x17);
      const float8 x18 = *(__global const float8_u *)(b0 + (64 * i0 + i1 + 24));
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
    for (int i1 = 0; i1 + 32 <= 64; i1 += 32) {
      const float8 x22 = *(float8 *)(k1 + i1);
      const float8 x23 = (x22 / (float8)(a8));
      *((__global float8_u *)(b1 + (64 * i0 + i1))) = x23;
      const float8 x24 = *(float8 *)(k1 + i1 + 8);
      const float8 x25 = (x24 / (float8)(a8));
      *((__global float8_u *)(b1 + (64 * i0 + i1 + 8))) = x25;
      const float8 x26 = *(float8 *)(k1 + i1 + 16);
      const float8 x27 = (x26 / (float8)(a8));
      *((__global float8_u *)(b1 + (64 * i0 + i1 + 16))) = x27;
      const float8 x28 = *(float8 *)(k1 + i1 + 24);
      const float8 x29 = (x28 / (float8)(a8));
      *((__global float8_u *)(b1 + (64 * i0 + i1 + 24))) = x29;
    }
  }
}

FX_LIST void stage_2(const long item, __global float *b0, __global const float *b1, __global const float *b2, const long *n) {
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
  const int inner = n[23];
  const long a_outer = n[24];
  const long a_inner = n[25];
  const long b_outer = n[26];
  const long b_inner = n[27];
  const long out_outer = n[28];
  const long out_inner = n[29];
  const long ld = n[30];
  const long start = n[31];
  whole_f32x8_6x2(by_l1k, fill_none, fill_none, item, b1 + a_start, b2 + b_start, 0, x_step, 0, y_step, y_last, a_lane, a_k, b_lane, b_k, M, N, K, RB, CB, RT, CT, OT, OB, KD, acc, inner, a_outer, a_inner, b_outer, b_inner, out_outer, out_inner, ld, b0 + start);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14, const long n15, const long n16, const long n17, const long n18, const long n19, const long n20, const long n21, const long n22, const long n23, const long n24, const long n25, const long n26, const long n27, const long n28, const long n29, const long n30, const long n31, const long n32, const long n33, const long n34) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global float *)p0, (__global const float *)p1, (__global const float *)p2, (__private const long[]){n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17, n18, n19, n20, n21, n22, n23, n24, n25, n26, n27, n28, n29, n30, n31, n32, n33, n34}); break;
  case 1: stage_1(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  case 2: stage_2(item, (__global float *)p0, (__global const float *)p1, (__global const float *)p2, (__private const long[]){n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17, n18, n19, n20, n21, n22, n23, n24, n25, n26, n27, n28, n29, n30, n31}); break;
  }
}
