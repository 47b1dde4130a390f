// launches: 1, programs: 1

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
FX_PART void tile_f32x8_6x2_top(__global const float *a, __global const float *b,
    const long a_lane, const int *ro, const int last, const long a_k, const int *ko,
    const long b_k, const int k1, float *t, const long ld, const int more) {
  #pragma OPENCL FP_CONTRACT ON
  float8 c0_0 = 0, c0_1 = 0;
  float8 c1_0 = 0, c1_1 = 0;
  float8 c2_0 = 0, c2_1 = 0;
  float8 c3_0 = 0, c3_1 = 0;
  float8 c4_0 = 0, c4_1 = 0;
  float8 c5_0 = 0, c5_1 = 0;
  long l0 = ro[0];
  long l1 = ro[1];
  long l2 = ro[2];
  long l3 = ro[3];
  long l4 = ro[4];
  long l5 = ro[5];
  int k = 0;
  FX_HELD32("+r"(l0), "+r"(l1), "+r"(l2), "+r"(l3), "+r"(l4), "+r"(l5), "+v"(c0_0), "+v"(c0_1))
  FX_HELD32("+v"(c1_0), "+v"(c1_1), "+v"(c2_0), "+v"(c2_1), "+v"(c3_0), "+v"(c3_1), "+v"(c4_0), "+v"(c4_1))
  FX_HELD32("+v"(c5_0), "+v"(c5_1))
  FX_ALIGN
  for (; k + 2 <= k1; k += 2) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      __global const float *y = a + ko[k];
      { const float8 x = (float8)(y[l0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(y[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(y[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(y[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(y[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(y[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; }
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      __global const float *y = a + ko[k + 1];
      { const float8 x = (float8)(y[l0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(y[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(y[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(y[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(y[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(y[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; }
  }
  if (k1 & 1) {
    { const float8 v0 = *(__global const float8_u *)(b + 0), v1 = *(__global const float8_u *)(b + 8);
      __global const float *y = a + ko[k];
      { const float8 x = (float8)(y[l0]); c0_0 = x * v0 + c0_0; c0_1 = x * v1 + c0_1; }
      { const float8 x = (float8)(y[l1]); c1_0 = x * v0 + c1_0; c1_1 = x * v1 + c1_1; }
      { const float8 x = (float8)(y[l2]); c2_0 = x * v0 + c2_0; c2_1 = x * v1 + c2_1; }
      { const float8 x = (float8)(y[l3]); c3_0 = x * v0 + c3_0; c3_1 = x * v1 + c3_1; }
      { const float8 x = (float8)(y[l4]); c4_0 = x * v0 + c4_0; c4_1 = x * v1 + c4_1; }
      { const float8 x = (float8)(y[l5]); c5_0 = x * v0 + c5_0; c5_1 = x * v1 + c5_1; }
      b += 16; }
  }
  if (more) { c0_0 += *(float8_u *)(t + 0); c0_1 += *(float8_u *)(t + 8); c1_0 += *(float8_u *)(t + 1 * ld + 0); c1_1 += *(float8_u *)(t + 1 * ld + 8); c2_0 += *(float8_u *)(t + 2 * ld + 0); c2_1 += *(float8_u *)(t + 2 * ld + 8); c3_0 += *(float8_u *)(t + 3 * ld + 0); c3_1 += *(float8_u *)(t + 3 * ld + 8); c4_0 += *(float8_u *)(t + 4 * ld + 0); c4_1 += *(float8_u *)(t + 4 * ld + 8); c5_0 += *(float8_u *)(t + 5 * ld + 0); c5_1 += *(float8_u *)(t + 5 * ld + 8); }
  *(float8_u *)(t + 0) = c0_0; *(float8_u *)(t + 8) = c0_1; *(float8_u *)(t + 1 * ld + 0) = c1_0; *(float8_u *)(t + 1 * ld + 8) = c1_1; *(float8_u *)(t + 2 * ld + 0) = c2_0; *(float8_u *)(t + 2 * ld + 8) = c2_1; *(float8_u *)(t + 3 * ld + 0) = c3_0; *(float8_u *)(t + 3 * ld + 8) = c3_1; *(float8_u *)(t + 4 * ld + 0) = c4_0; *(float8_u *)(t + 4 * ld + 8) = c4_1; *(float8_u *)(t + 5 * ld + 0) = c5_0; *(float8_u *)(t + 5 * ld + 8) = c5_1;
}
FX_PART void places(int *to, const int start, const int count, const int end,
    const long *digits, const int of) {
  int at[16], value = 0, rest = start;
  for (int j = 0; j < of; ++j) {
    const int n = digits[2 * j];
    at[j] = rest % n, rest /= n;
    value += at[j] * (int)digits[2 * j + 1];
  }
  for (int r = 0; r < count; ++r) {
    to[r] = value;
    if (start + r + 1 >= end) continue;
    for (int j = 0; j < of; ++j) {
      const int n = digits[2 * j], one = digits[2 * j + 1];
      value += one;
      if (++at[j] < n) break;
      value -= n * one, at[j] = 0;
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
FX_PART int next_f32x8_6x2_top_none_columns_f32_f32(
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
            tile_f32x8_6x2_top(x + r / 6 * x_step + k0 * a_k, y + kb * y_block + (t - s0) / 16 * y_step, a_lane, ro, M - 1 - r, a_k, ko + k0, b_k,
              k1, sums + (t - s0) * 6, 16, k0);
      }
    if (s->d1 == K) return 1;
  }
}
typedef uint8 __attribute__((aligned(4), may_alias)) box_4;
typedef uint __attribute__((may_alias)) word_4;
FX_SHORT void row_4x8(__global const uint *x, __global uint *y, const int columns, const int low,
    const int high) {
  const int final = columns - 8;
  for (int k = 0; k < low; k += 8) *(__global box_4 *)(y + (k < final ? k : final)) = 0;
  for (int k = high; k < columns; k += 8) *(__global box_4 *)(y + (k < final ? k : final)) = 0;
  int k = low;
  for (; k + 4 * 8 <= high; k += 4 * 8) {
    const uint8 a = *(__global const box_4 *)(x + k), b = *(__global const box_4 *)(x + k + 8);
    const uint8 c = *(__global const box_4 *)(x + k + 2 * 8);
    const uint8 d = *(__global const box_4 *)(x + k + 3 * 8);
    *(__global box_4 *)(y + k) = a, *(__global box_4 *)(y + k + 8) = b;
    *(__global box_4 *)(y + k + 2 * 8) = c, *(__global box_4 *)(y + k + 3 * 8) = d;
  }
  for (; k + 8 <= high; k += 8) *(__global box_4 *)(y + k) = *(__global const box_4 *)(x + k);
  if (k == high) return;
  if (high - low >= 8) {
    *(__global box_4 *)(y + high - 8) = *(__global const box_4 *)(x + high - 8);
  } else for (; k < high; ++k) *(__global word_4 *)(y + k) = *(__global const word_4 *)(x + k);
}
FX_PART void box_4x8(const long item, __global const uint *x, __global uint *y, const long *n) {
  const int columns = n[4], low = n[5], high = n[6], axes = n[7];
  const long whole = (item + 1) * n[1], last = whole < n[0] ? whole : n[0];
  const long step_x = n[9], step_y = n[10];
  long at[4], g = item * n[1], rest = g;
  x += n[2], y += n[3];
  for (int j = 0; j < axes; ++j) {
    const long *axis = n + 8 + 5 * j;
    at[j] = rest % axis[0], rest /= axis[0];
    x += at[j] * axis[1], y += at[j] * axis[2];
  }
  while (g < last) {
    int there = 1;
    for (int j = 1; j < axes; ++j) there &= at[j] >= n[11 + 5 * j] && at[j] < n[12 + 5 * j];
    const long row = at[0] + last - g, end = row < n[8] ? row : n[8];
    const long from = there ? n[11] : end, to = n[12];
    g += end - at[0];
    for (long i = at[0]; i < end; ++i, x += step_x, y += step_y) {
      if (i >= from && i < to) row_4x8(x, y, columns, low, high);
      else row_4x8(x, y, columns, 0, 0);
    }
    at[0] = end;
    for (int j = 0; j < axes && at[j] == n[8 + 5 * j]; ++j) {
      const long *axis = n + 8 + 5 * j;
      x -= axis[0] * axis[1], y -= axis[0] * axis[2], at[j] = 0;
      if (j + 1 < axes) x += axis[6], y += axis[7], at[j + 1] += 1;
    }
  }
}

FX_LIST void stage_0_p0(const long item, __global const float *b0, __global float *b1, const long *n) {
  #pragma OPENCL FP_CONTRACT ON
  box_4x8(item, (__global const uint *)b0, (__global uint *)b1, n);
}

FX_STAGE void stage_0_p1_end(const progress_f32_f32_f32 *s, __global float *b0) {
  #pragma OPENCL FP_CONTRACT ON
  const int n33 = s->n[33];
  const int n34 = s->n[34];
  const float *sums = s->sums;
  const int r0 = s->r0, m1 = s->r1, s0 = s->s0, s1 = s->s1, q1 = s->q1;
  const int N = s->n[1], ST = s->n[9];
  {
    int i0 = r0 / 2 / n33;
    int i2 = r0 / 2 % n33;
    for (int g = r0 / 2, ge = m1 / 2; g < ge; ++g) {
      const float *row = sums + ((2 * g - r0) / 6 * (6 * ST) + (2 * g - r0) % 6 * 16);
      for (int t0 = s0; t0 < s1; t0 += 16) {
        const int tn = t0, t1 = (t0 + 16 < q1 ? t0 + 16 : q1);
        const float *sum = row + (t0 - s0) * 6;
        for (int i1 = t0; i1 < t0 + 16; i1 += 8) {
          float8 a1_0 = (float8)((-INFINITY));
          for (int i3 = 0; i3 < 2; ++i3) {
            const float8 x2 = *(__private const float8_u *)(sum + i1 - tn + 16 * i3);
            const int8 x3 = (x2 <= (float8)(0.0f));
            const float8 x4 = (x3 ? (float8)(0.0f) : x2);
            a1_0 = max_f32x8(a1_0, x4);
          }
          const float8 t5 = a1_0;
          (b0 + (n34 * i0 + n33 * i1 + i2))[0] = t5.s0;
          (b0 + (n34 * i0 + n33 * i1 + i2))[128] = t5.s1;
          (b0 + (n34 * i0 + n33 * i1 + i2))[256] = t5.s2;
          (b0 + (n34 * i0 + n33 * i1 + i2))[384] = t5.s3;
          (b0 + (n34 * i0 + n33 * i1 + i2))[512] = t5.s4;
          (b0 + (n34 * i0 + n33 * i1 + i2))[640] = t5.s5;
          (b0 + (n34 * i0 + n33 * i1 + i2))[768] = t5.s6;
          (b0 + (n34 * i0 + n33 * i1 + i2))[896] = t5.s7;
        }
      }
      if (++i2 == n33) { i2 = 0; ++i0; }
    }
  }
}

FX_LIST void stage_0_p1(const long item, __global float *b0, __global const float *b1, __global const float *b2, const long *n) {
  #pragma OPENCL FP_CONTRACT ON
  float acc[65536] __attribute__((aligned(64)));
  int ro[65536];
  int ko[2048];
  progress_f32_f32_f32 s;
  begin_f32_f32_f32(&s, item, b1, b2, acc, ro, ko, n);
  places(ro, s.m0, (s.m1 - s.m0 + 5) / 6 * 6, n[0], n + 35, 4);
  places(ko, 0, n[2], n[2], n + 43, 3);
  for (int what; (what = next_f32x8_6x2_top_none_columns_f32_f32(0, &s));)
    stage_0_p1_end(&s, b0);
}

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, __global float *b2, __global const float *b3, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14, const long n15, const long n16, const long n17, const long n18, const long n19, const long n20, const long n21, const long n22, const long n23, const long n24, const long n25, const long n26, const long n27, const long n28, const long n29, const long n30, const long n31, const long n32, const long n33, const long n34, const long n35, const long n36, const long n37, const long n38, const long n39, const long n40, const long n41, const long n42, const long n43, const long n44, const long n45, const long n46, const long n47, const long n48, const long n49, const long n50, const long n51, const long n52, const long n53, const long n54, const long n55, const long n56, const long n57, const long n58, const long n59, const long n60, const long n61, const long n62, const long n63, const long n64, const long n65, const long n66, const long n67, const long n68) {
  for (long k = 0; k < n18; ++k) {
    stage_0_p0(k, b0, b1, (__private const long[]){n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17});
  }
  for (long k = 0; k < n68; ++k) {
    stage_0_p1(k, b2, b1, b3, (__private const long[]){n19, n20, n21, n22, n23, n24, n25, n26, n27, n28, n29, n30, n31, n32, n33, n34, n35, n36, n37, n38, n39, n40, n41, n42, n43, n44, n45, n46, n47, n48, n49, n50, n51, n52, n53, n54, n55, n56, n57, n58, n59, n60, n61, n62, n63, n64, n65, n66, n67});
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14, const long n15, const long n16, const long n17, const long n18, const long n19, const long n20, const long n21, const long n22, const long n23, const long n24, const long n25, const long n26, const long n27, const long n28, const long n29, const long n30, const long n31, const long n32, const long n33, const long n34, const long n35, const long n36, const long n37, const long n38, const long n39, const long n40, const long n41, const long n42, const long n43, const long n44, const long n45, const long n46, const long n47, const long n48, const long n49, const long n50, const long n51, const long n52, const long n53, const long n54, const long n55, const long n56, const long n57, const long n58, const long n59, const long n60, const long n61, const long n62, const long n63, const long n64, const long n65, const long n66, const long n67, const long n68) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, (__global float *)p2, (__global const float *)p3, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17, n18, n19, n20, n21, n22, n23, n24, n25, n26, n27, n28, n29, n30, n31, n32, n33, n34, n35, n36, n37, n38, n39, n40, n41, n42, n43, n44, n45, n46, n47, n48, n49, n50, n51, n52, n53, n54, n55, n56, n57, n58, n59, n60, n61, n62, n63, n64, n65, n66, n67, n68); break;
  }
}
