// launches: 1, programs: 1

FX_STAGE void stage_0_0(const long item, __global const float *b0, __global const float *b1, __global const float *b2, __global const float *b3, __global const float *b4, __global const float *b5, __global float *b6, __global float *b7, __global float *b8, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT OFF
  const int e1 = max((int)n0, (int)512);
  const long ig = item;
  for (int k = 0; k < 768; ++k) *(b7 + item * 768 + k) = 0.0f;
  for (int k = 0; k < 768; ++k) *(b8 + item * 768 + k) = 0.0f;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  const float x10 = *(b1 + (0));
  const float x27 = *(b2 + (0));
  const float x29 = *(b3 + (0));
  for (int g = g0; g < g1; ++g) {
    const int i0 = g;
    float k1[1024] __attribute__((aligned(64)));
    float16 a2_0 = (float16)(0.0f);
    float16 a2_1 = (float16)(0.0f);
    float16 a2_2 = (float16)(0.0f);
    float16 a2_3 = (float16)(0.0f);
    float a2 = 0.0f;
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      const float16 x3 = *(__global const float16_u *)(b0 + (e1 * i0 + i1));
      a2_0 = (a2_0 + x3);
      const float16 x4 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 16));
      a2_1 = (a2_1 + x4);
      const float16 x5 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 32));
      a2_2 = (a2_2 + x5);
      const float16 x6 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 48));
      a2_3 = (a2_3 + x6);
    }
    a2_0 = (a2_0 + a2_2);
    a2_1 = (a2_1 + a2_3);
    a2_0 = (a2_0 + a2_1);
    const float h7 = fold_add_f32x16(a2_0);
    a2 = (h7 + a2);
    float16 a8_0 = (float16)(0.0f);
    float16 a8_1 = (float16)(0.0f);
    float16 a8_2 = (float16)(0.0f);
    float16 a8_3 = (float16)(0.0f);
    float a8 = 0.0f;
    const float x11 = (a2 / x10);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      const float16 x9 = *(__global const float16_u *)(b0 + (e1 * i0 + i1));
      const float16 x12 = (x9 - (float16)(x11));
      const float16 x13 = (x12 * x12);
      a8_0 = (a8_0 + x13);
      const float16 x14 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 16));
      const float16 x15 = (x14 - (float16)(x11));
      const float16 x16 = (x15 * x15);
      a8_1 = (a8_1 + x16);
      const float16 x17 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 32));
      const float16 x18 = (x17 - (float16)(x11));
      const float16 x19 = (x18 * x18);
      a8_2 = (a8_2 + x19);
      const float16 x20 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 48));
      const float16 x21 = (x20 - (float16)(x11));
      const float16 x22 = (x21 * x21);
      a8_3 = (a8_3 + x22);
    }
    a8_0 = (a8_0 + a8_2);
    a8_1 = (a8_1 + a8_3);
    a8_0 = (a8_0 + a8_1);
    const float h23 = fold_add_f32x16(a8_0);
    a8 = (h23 + a8);
    float16 a24_0 = (float16)(0.0f);
    float16 a24_1 = (float16)(0.0f);
    float16 a24_2 = (float16)(0.0f);
    float16 a24_3 = (float16)(0.0f);
    float a24 = 0.0f;
    const float x28 = (a8 / x27);
    const float x30 = (x28 + x29);
    const float x31 = rsqrt_f32x1(x30);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      const float16 x25 = *(__global const float16_u *)(b0 + (e1 * i0 + i1));
      const float16 x26 = (x25 - (float16)(x11));
      const float16 x32 = (x26 * (float16)(x31));
      const float16 x33 = *(__global const float16_u *)(b4 + (i1));
      const float16 x34 = (x32 * x33);
      const float16 x35 = *(__global const float16_u *)(b5 + (i1));
      const float16 x36 = (x34 + x35);
      const float16 x37 = ((float16)(2.0f) * x36);
      const float16 x38 = ((float16)(1.0f) * x37);
      const float16 x39 = (x38 * x33);
      const float16 x40 = (x39 * x26);
      a24_0 = (a24_0 + x40);
      const float16 x41 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 16));
      const float16 x42 = (x41 - (float16)(x11));
      const float16 x43 = (x42 * (float16)(x31));
      const float16 x44 = *(__global const float16_u *)(b4 + (i1 + 16));
      const float16 x45 = (x43 * x44);
      const float16 x46 = *(__global const float16_u *)(b5 + (i1 + 16));
      const float16 x47 = (x45 + x46);
      const float16 x48 = ((float16)(2.0f) * x47);
      const float16 x49 = ((float16)(1.0f) * x48);
      const float16 x50 = (x49 * x44);
      const float16 x51 = (x50 * x42);
      a24_1 = (a24_1 + x51);
      const float16 x52 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 32));
      const float16 x53 = (x52 - (float16)(x11));
      const float16 x54 = (x53 * (float16)(x31));
      const float16 x55 = *(__global const float16_u *)(b4 + (i1 + 32));
      const float16 x56 = (x54 * x55);
      const float16 x57 = *(__global const float16_u *)(b5 + (i1 + 32));
      const float16 x58 = (x56 + x57);
      const float16 x59 = ((float16)(2.0f) * x58);
      const float16 x60 = ((float16)(1.0f) * x59);
      const float16 x61 = (x60 * x55);
      const float16 x62 = (x61 * x53);
      a24_2 = (a24_2 + x62);
      const float16 x63 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 48));
      const float16 x64 = (x63 - (float16)(x11));
      const float16 x65 = (x64 * (float16)(x31));
      const float16 x66 = *(__global const float16_u *)(b4 + (i1 + 48));
      const float16 x67 = (x65 * x66);
      const float16 x68 = *(__global const float16_u *)(b5 + (i1 + 48));
      const float16 x69 = (x67 + x68);
      const float16 x70 = ((float16)(2.0f) * x69);
      const float16 x71 = ((float16)(1.0f) * x70);
      const float16 x72 = (x71 * x66);
      const float16 x73 = (x72 * x64);
      a24_3 = (a24_3 + x73);
      const float16 x74 = (x38 * x32);
      *((__global float16_u *)(b7 + item * 768 + (i1))) = (*(__global const float16_u *)(b7 + item * 768 + (i1)) + x74);
      const float16 x75 = (x49 * x43);
      *((__global float16_u *)(b7 + item * 768 + (i1 + 16))) = (*(__global const float16_u *)(b7 + item * 768 + (i1 + 16)) + x75);
      const float16 x76 = (x60 * x54);
      *((__global float16_u *)(b7 + item * 768 + (i1 + 32))) = (*(__global const float16_u *)(b7 + item * 768 + (i1 + 32)) + x76);
      const float16 x77 = (x71 * x65);
      *((__global float16_u *)(b7 + item * 768 + (i1 + 48))) = (*(__global const float16_u *)(b7 + item * 768 + (i1 + 48)) + x77);
      *((__global float16_u *)(b8 + item * 768 + (i1))) = (*(__global const float16_u *)(b8 + item * 768 + (i1)) + x38);
      *((__global float16_u *)(b8 + item * 768 + (i1 + 16))) = (*(__global const float16_u *)(b8 + item * 768 + (i1 + 16)) + x49);
      *((__global float16_u *)(b8 + item * 768 + (i1 + 32))) = (*(__global const float16_u *)(b8 + item * 768 + (i1 + 32)) + x60);
      *((__global float16_u *)(b8 + item * 768 + (i1 + 48))) = (*(__global const float16_u *)(b8 + item * 768 + (i1 + 48)) + x71);
    }
    a24_0 = (a24_0 + a24_2);
    a24_1 = (a24_1 + a24_3);
    a24_0 = (a24_0 + a24_1);
    const float h78 = fold_add_f32x16(a24_0);
    a24 = (h78 + a24);
    float16 a79_0 = (float16)(0.0f);
    float16 a79_1 = (float16)(0.0f);
    float16 a79_2 = (float16)(0.0f);
    float16 a79_3 = (float16)(0.0f);
    float a79 = 0.0f;
    const float x91 = (x31 / x30);
    const float x92 = ((-0.5f) * x91);
    const float x93 = (a24 * x92);
    const float x94 = (x93 / x27);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      __builtin_prefetch(b0 + (e1 * i0 + i1) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 16) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 32) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 48) + e1, 0, 3);
      const float16 x80 = *(__global const float16_u *)(b0 + (e1 * i0 + i1));
      const float16 x81 = (x80 - (float16)(x11));
      const float16 x82 = (x81 * (float16)(x31));
      const float16 x83 = *(__global const float16_u *)(b4 + (i1));
      const float16 x84 = (x82 * x83);
      const float16 x85 = *(__global const float16_u *)(b5 + (i1));
      const float16 x86 = (x84 + x85);
      const float16 x87 = ((float16)(2.0f) * x86);
      const float16 x88 = ((float16)(1.0f) * x87);
      const float16 x89 = (x88 * x83);
      const float16 x90 = (x89 * (float16)(x31));
      const float16 x95 = ((float16)(2.0f) * x81);
      const float16 x96 = ((float16)(x94) * x95);
      const float16 x97 = (x90 + x96);
      *(float16 *)(k1 + i1) = x97;
      const float16 x98 = (-x97);
      a79_0 = (a79_0 + x98);
      const float16 x99 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 16));
      const float16 x100 = (x99 - (float16)(x11));
      const float16 x101 = (x100 * (float16)(x31));
      const float16 x102 = *(__global const float16_u *)(b4 + (i1 + 16));
      const float16 x103 = (x101 * x102);
      const float16 x104 = *(__global const float16_u *)(b5 + (i1 + 16));
      const float16 x105 = (x103 + x104);
      const float16 x106 = ((float16)(2.0f) * x105);
      const float16 x107 = ((float16)(1.0f) * x106);
      const float16 x108 = (x107 * x102);
      const float16 x109 = (x108 * (float16)(x31));
      const float16 x110 = ((float16)(2.0f) * x100);
      const float16 x111 = ((float16)(x94) * x110);
      const float16 x112 = (x109 + x111);
      *(float16 *)(k1 + i1 + 16) = x112;
      const float16 x113 = (-x112);
      a79_1 = (a79_1 + x113);
      const float16 x114 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 32));
      const float16 x115 = (x114 - (float16)(x11));
      const float16 x116 = (x115 * (float16)(x31));
      const float16 x117 = *(__global const float16_u *)(b4 + (i1 + 32));
      const float16 x118 = (x116 * x117);
      const float16 x119 = *(__global const float16_u *)(b5 + (i1 + 32));
      const float16 x120 = (x118 + x119);
      const float16 x121 = ((float16)(2.0f) * x120);
      const float16 x122 = ((float16)(1.0f) * x121);
      const float16 x123 = (x122 * x117);
      const float16 x124 = (x123 * (float16)(x31));
      const float16 x125 = ((float16)(2.0f) * x115);
      const float16 x126 = ((float16)(x94) * x125);
      const float16 x127 = (x124 + x126);
      *(float16 *)(k1 + i1 + 32) = x127;
      const float16 x128 = (-x127);
      a79_2 = (a79_2 + x128);
      const float16 x129 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 48));
      const float16 x130 = (x129 - (float16)(x11));
      const float16 x131 = (x130 * (float16)(x31));
      const float16 x132 = *(__global const float16_u *)(b4 + (i1 + 48));
      const float16 x133 = (x131 * x132);
      const float16 x134 = *(__global const float16_u *)(b5 + (i1 + 48));
      const float16 x135 = (x133 + x134);
      const float16 x136 = ((float16)(2.0f) * x135);
      const float16 x137 = ((float16)(1.0f) * x136);
      const float16 x138 = (x137 * x132);
      const float16 x139 = (x138 * (float16)(x31));
      const float16 x140 = ((float16)(2.0f) * x130);
      const float16 x141 = ((float16)(x94) * x140);
      const float16 x142 = (x139 + x141);
      *(float16 *)(k1 + i1 + 48) = x142;
      const float16 x143 = (-x142);
      a79_3 = (a79_3 + x143);
    }
    a79_0 = (a79_0 + a79_2);
    a79_1 = (a79_1 + a79_3);
    a79_0 = (a79_0 + a79_1);
    const float h144 = fold_add_f32x16(a79_0);
    a79 = (h144 + a79);
    const float x146 = (a79 / x10);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      const float16 x145 = *(float16 *)(k1 + i1);
      const float16 x147 = (x145 + (float16)(x146));
      *((__global float16_u *)(b6 + (e1 * i0 + i1))) = x147;
      const float16 x148 = *(float16 *)(k1 + i1 + 16);
      const float16 x149 = (x148 + (float16)(x146));
      *((__global float16_u *)(b6 + (e1 * i0 + i1 + 16))) = x149;
      const float16 x150 = *(float16 *)(k1 + i1 + 32);
      const float16 x151 = (x150 + (float16)(x146));
      *((__global float16_u *)(b6 + (e1 * i0 + i1 + 32))) = x151;
      const float16 x152 = *(float16 *)(k1 + i1 + 48);
      const float16 x153 = (x152 + (float16)(x146));
      *((__global float16_u *)(b6 + (e1 * i0 + i1 + 48))) = x153;
    }
  }
}

FX_STAGE void stage_0_1_p0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT OFF
  const long ig = 0, is = item;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  for (int i0 = s0; i0 + 64 <= s1; i0 += 64) {
    float16 a1_0 = (float16)(0.0f);
    float16 a1_1 = (float16)(0.0f);
    float16 a1_2 = (float16)(0.0f);
    float16 a1_3 = (float16)(0.0f);
    for (int i1 = 0; i1 < 12; ++i1) {
      const float16 x2 = *(__global const float16_u *)(b0 + (i0 + 768 * i1));
      a1_0 = (a1_0 + x2);
      const float16 x3 = *(__global const float16_u *)(b0 + (i0 + 768 * i1 + 16));
      a1_1 = (a1_1 + x3);
      const float16 x4 = *(__global const float16_u *)(b0 + (i0 + 768 * i1 + 32));
      a1_2 = (a1_2 + x4);
      const float16 x5 = *(__global const float16_u *)(b0 + (i0 + 768 * i1 + 48));
      a1_3 = (a1_3 + x5);
    }
    *((__global float16_u *)(b1 + (i0))) = a1_0;
    *((__global float16_u *)(b1 + (i0 + 16))) = a1_1;
    *((__global float16_u *)(b1 + (i0 + 32))) = a1_2;
    *((__global float16_u *)(b1 + (i0 + 48))) = a1_3;
  }
  for (int from0 = s0 + (s1 - s0) / 64 * 64; from0 < s1; from0 += 16) {
    const int i0 = min(from0, (int)(s1 - 16));
    float16 a6_0 = (float16)(0.0f);
    for (int i1 = 0; i1 < 12; ++i1) {
      const float16 x7 = *(__global const float16_u *)(b0 + (i0 + 768 * i1));
      a6_0 = (a6_0 + x7);
    }
    *((__global float16_u *)(b1 + (i0))) = a6_0;
  }
}

FX_STAGE void stage_0_1(const long item, __global const float *b0, __global float *b1, __global const float *b2, __global float *b3, const long n0, const long n1, const long n2) {
  for (long k = 0; k < n2; ++k) {
    stage_0_1_p0(k, b0, b1, n0, n1);
    stage_0_1_p0(k, b2, b3, n0, n1);
  }
}

FX_LIST void stage_0(const long item, __global uchar *b0, __global uchar *b1, __global uchar *b2, __global uchar *b3, __global uchar *b4, __global uchar *b5, __global uchar *b6, __global uchar *b7, __global uchar *b8, __global uchar *b9, __global uchar *b10, __global uchar *b11) {
  __global uchar *p0 = b0;
  __global uchar *p1 = b1;
  __global uchar *p2 = b2;
  __global uchar *p3 = b3;
  __global uchar *p4 = b4;
  __global uchar *p5 = b5;
  __global uchar *p6 = b6;
  __global uchar *p7 = b7;
  __global uchar *p8 = b8;
  __global uchar *p9 = b9;
  __global uchar *p10 = b10;
  __global uchar *p11 = b11;
  team t = team_of((__global ulong *)p0, (uint)item, 2);
  const long *n = (const long *)(ulong)p0 + 27;
  team_timed(&t, (__global ulong *)p0 + 24);
  for (long q1; (q1 = team_next(&t, n[0])) >= 0;) {
  stage_0_0(q1, (__global const float *)(p1), (__global const float *)(p2), (__global const float *)(p3), (__global const float *)(p4), (__global const float *)(p5), (__global const float *)(p6), (__global float *)(p7), (__global float *)(p8), (__global float *)(p9), n[1], n[2], n[3]);
  }
  for (long q2; (q2 = team_next(&t, n[4])) >= 0;) {
  stage_0_1(q2, (__global const float *)(p8), (__global float *)(p10), (__global const float *)(p9), (__global float *)(p11), n[5], n[6], n[7]);
  }
  team_leave(&t);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, __global uchar *p4, __global uchar *p5, __global uchar *p6, __global uchar *p7, __global uchar *p8, __global uchar *p9, __global uchar *p10, __global uchar *p11) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global uchar *)p0, (__global uchar *)p1, (__global uchar *)p2, (__global uchar *)p3, (__global uchar *)p4, (__global uchar *)p5, (__global uchar *)p6, (__global uchar *)p7, (__global uchar *)p8, (__global uchar *)p9, (__global uchar *)p10, (__global uchar *)p11); break;
  }
}
