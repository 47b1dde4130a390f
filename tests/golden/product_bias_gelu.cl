// launches: 1, programs: 1

FX_PART void panel_f32x8_16r_f32(
    __global const float *x,
    const long x_lane, const long x_k, const int count, const int there, const int k1,
    __global float *p, const long size) {
  for (int c0 = 0; c0 < count; c0 += 64, p += 4 * size) {
    const int c1 = (count < c0 + 64 ? count : c0 + 64);
    __global const float *y = x;
    for (int k = 0; k < k1; ++k, y += x_k) {
      __global float *q = p + k * 16;
      for (int c = c0; c < c1; c += 16, q += size)
        if (c + 16 <= there) {
          __builtin_prefetch(y + c + 8 * x_k); *(__global float8_u *)(q + 0) = *(__global const float8_u *)(y + c + 0); *(__global float8_u *)(q + 8) = *(__global const float8_u *)(y + c + 8);
        } else {
          *(__global float8_u *)(q + 0) = 0; *(__global float8_u *)(q + 8) = 0; if (c + 8 <= there) *(__global float8_u *)(q + 0) = *(__global const float8_u *)(y + c + 0);
          int j = (there - c) / 8 * 8;
      #pragma clang loop vectorize(disable) unroll(disable)
          for (; j < there - c; ++j) q[j] = *(y + c + j);
        }
    }
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
FX_PART int next_f32x8_6x2_l1p_none_rows_f32_f32(
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
          panel_f32x8_16r_f32(s->bo + s->s0 * b_lane + k0 * b_k, b_lane, b_k,
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
FX_STAGE void stage_0_end(const progress_f32_f32_f32 *s, __global const float *b0, __global float *b1) {
  #pragma OPENCL FP_CONTRACT ON
  const int n33 = s->n[33];
  const float *sums = s->sums;
  const int r0 = s->r0, m1 = s->r1, s0 = s->s0, s1 = s->s1, q1 = s->q1;
  const int N = s->n[1], ST = s->n[9];
  {
    for (int g = r0, ge = m1; g < ge; ++g) {
      const int i0 = g;
      const float *row = sums + ((g - r0) / 6 * (6 * ST) + (g - r0) % 6 * 16);
      for (int t0 = s0; t0 < s1; t0 += 16) {
        const int tn = t0, t1 = (t0 + 16 < q1 ? t0 + 16 : q1);
        const float *sum = row + (t0 - s0) * 6;
        { const int i1 = t0;
          const float8 x1 = *(__private const float8_u *)(sum + i1 - tn);
          const float8 x2 = *(__global const float8_u *)(b0 + (i1));
          const float8 x3 = (x1 + x2);
          const float8 x4 = (x3 * x3);
          const float8 x5 = (x3 * x4);
          const float8 x6 = ((float8)(0.044715f) * x5);
          const float8 x7 = (x3 + x6);
          const float8 x8 = ((float8)(0.7978846f) * x7);
          const float8 x9 = tanh_f32x8(x8);
          const float8 x10 = ((float8)(1.0f) + x9);
          const float8 x11 = ((float8)(0.5f) * x10);
          const float8 x12 = (x3 * x11);
          *((__global float8_u *)(b1 + (n33 * i0 + i1))) = x12;
          const float8 x13 = *(__private const float8_u *)(sum + i1 - tn + 8);
          const float8 x14 = *(__global const float8_u *)(b0 + (i1 + 8));
          const float8 x15 = (x13 + x14);
          const float8 x16 = (x15 * x15);
          const float8 x17 = (x15 * x16);
          const float8 x18 = ((float8)(0.044715f) * x17);
          const float8 x19 = (x15 + x18);
          const float8 x20 = ((float8)(0.7978846f) * x19);
          const float8 x21 = tanh_f32x8(x20);
          const float8 x22 = ((float8)(1.0f) + x21);
          const float8 x23 = ((float8)(0.5f) * x22);
          const float8 x24 = (x15 * x23);
          *((__global float8_u *)(b1 + (n33 * i0 + i1 + 8))) = x24;
        }
      }
    }
  }
}

FX_LIST void stage_0(const long item, __global const float *b0, __global float *b1, __global const float *b2, __global const float *b3, const long *n) {
  #pragma OPENCL FP_CONTRACT ON
  float acc[65536] __attribute__((aligned(64)));
  progress_f32_f32_f32 s;
  begin_f32_f32_f32(&s, item, b2, b3, acc, 0, 0, n);
  for (int what; (what = next_f32x8_6x2_l1p_none_rows_f32_f32(0, &s));)
    stage_0_end(&s, b0, b1);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12, const long n13, const long n14, const long n15, const long n16, const long n17, const long n18, const long n19, const long n20, const long n21, const long n22, const long n23, const long n24, const long n25, const long n26, const long n27, const long n28, const long n29, const long n30, const long n31, const long n32, const long n33) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, (__global const float *)p2, (__global const float *)p3, (__private const long[]){n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17, n18, n19, n20, n21, n22, n23, n24, n25, n26, n27, n28, n29, n30, n31, n32, n33}); break;
  }
}
