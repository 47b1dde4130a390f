// launches: 1, programs: 1

FX_STAGE void stage_0_0(const long item, __global const float *b0, __global const float *b1, __global const float *b2, __global float *b3, __global float *b4, __global float *b5, const long n0, const long n1, const long n2, const long n3) {
  #pragma OPENCL FP_CONTRACT OFF
  const int e1 = max((int)n0, (int)512);
  const long ig = item;
  for (int k = 0; k < 768; ++k) *(b4 + item * 768 + k) = 0.0f;
  for (int k = 0; k < 768; ++k) *(b5 + item * 768 + k) = 0.0f;
  const int g0 = ig * n2, g1 = min((long)n1, (ig + 1) * (long)n2);
  const float whole4 = n3;
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
    const float x10 = (a2 / whole4);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      const float16 x9 = *(__global const float16_u *)(b0 + (e1 * i0 + i1));
      const float16 x11 = (x9 - (float16)(x10));
      const float16 x12 = (x11 * x11);
      a8_0 = (a8_0 + x12);
      const float16 x13 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 16));
      const float16 x14 = (x13 - (float16)(x10));
      const float16 x15 = (x14 * x14);
      a8_1 = (a8_1 + x15);
      const float16 x16 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 32));
      const float16 x17 = (x16 - (float16)(x10));
      const float16 x18 = (x17 * x17);
      a8_2 = (a8_2 + x18);
      const float16 x19 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 48));
      const float16 x20 = (x19 - (float16)(x10));
      const float16 x21 = (x20 * x20);
      a8_3 = (a8_3 + x21);
    }
    a8_0 = (a8_0 + a8_2);
    a8_1 = (a8_1 + a8_3);
    a8_0 = (a8_0 + a8_1);
    const float h22 = fold_add_f32x16(a8_0);
    a8 = (h22 + a8);
    float16 a23_0 = (float16)(0.0f);
    float16 a23_1 = (float16)(0.0f);
    float16 a23_2 = (float16)(0.0f);
    float16 a23_3 = (float16)(0.0f);
    float a23 = 0.0f;
    const float x26 = (a8 / whole4);
    const float x27 = (x26 + 1e-05f);
    const float x28 = rsqrt_f32x1(x27);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      const float16 x24 = *(__global const float16_u *)(b0 + (e1 * i0 + i1));
      const float16 x25 = (x24 - (float16)(x10));
      const float16 x29 = (x25 * (float16)(x28));
      const float16 x30 = *(__global const float16_u *)(b1 + (i1));
      const float16 x31 = (x29 * x30);
      const float16 x32 = *(__global const float16_u *)(b2 + (i1));
      const float16 x33 = (x31 + x32);
      const float16 x34 = ((float16)(2.0f) * x33);
      const float16 x35 = ((float16)(1.0f) * x34);
      const float16 x36 = (x35 * x30);
      const float16 x37 = (x36 * x25);
      a23_0 = (a23_0 + x37);
      const float16 x38 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 16));
      const float16 x39 = (x38 - (float16)(x10));
      const float16 x40 = (x39 * (float16)(x28));
      const float16 x41 = *(__global const float16_u *)(b1 + (i1 + 16));
      const float16 x42 = (x40 * x41);
      const float16 x43 = *(__global const float16_u *)(b2 + (i1 + 16));
      const float16 x44 = (x42 + x43);
      const float16 x45 = ((float16)(2.0f) * x44);
      const float16 x46 = ((float16)(1.0f) * x45);
      const float16 x47 = (x46 * x41);
      const float16 x48 = (x47 * x39);
      a23_1 = (a23_1 + x48);
      const float16 x49 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 32));
      const float16 x50 = (x49 - (float16)(x10));
      const float16 x51 = (x50 * (float16)(x28));
      const float16 x52 = *(__global const float16_u *)(b1 + (i1 + 32));
      const float16 x53 = (x51 * x52);
      const float16 x54 = *(__global const float16_u *)(b2 + (i1 + 32));
      const float16 x55 = (x53 + x54);
      const float16 x56 = ((float16)(2.0f) * x55);
      const float16 x57 = ((float16)(1.0f) * x56);
      const float16 x58 = (x57 * x52);
      const float16 x59 = (x58 * x50);
      a23_2 = (a23_2 + x59);
      const float16 x60 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 48));
      const float16 x61 = (x60 - (float16)(x10));
      const float16 x62 = (x61 * (float16)(x28));
      const float16 x63 = *(__global const float16_u *)(b1 + (i1 + 48));
      const float16 x64 = (x62 * x63);
      const float16 x65 = *(__global const float16_u *)(b2 + (i1 + 48));
      const float16 x66 = (x64 + x65);
      const float16 x67 = ((float16)(2.0f) * x66);
      const float16 x68 = ((float16)(1.0f) * x67);
      const float16 x69 = (x68 * x63);
      const float16 x70 = (x69 * x61);
      a23_3 = (a23_3 + x70);
      const float16 x71 = (x35 * x29);
      *((__global float16_u *)(b4 + item * 768 + (i1))) = (*(__global const float16_u *)(b4 + item * 768 + (i1)) + x71);
      const float16 x72 = (x46 * x40);
      *((__global float16_u *)(b4 + item * 768 + (i1 + 16))) = (*(__global const float16_u *)(b4 + item * 768 + (i1 + 16)) + x72);
      const float16 x73 = (x57 * x51);
      *((__global float16_u *)(b4 + item * 768 + (i1 + 32))) = (*(__global const float16_u *)(b4 + item * 768 + (i1 + 32)) + x73);
      const float16 x74 = (x68 * x62);
      *((__global float16_u *)(b4 + item * 768 + (i1 + 48))) = (*(__global const float16_u *)(b4 + item * 768 + (i1 + 48)) + x74);
      *((__global float16_u *)(b5 + item * 768 + (i1))) = (*(__global const float16_u *)(b5 + item * 768 + (i1)) + x35);
      *((__global float16_u *)(b5 + item * 768 + (i1 + 16))) = (*(__global const float16_u *)(b5 + item * 768 + (i1 + 16)) + x46);
      *((__global float16_u *)(b5 + item * 768 + (i1 + 32))) = (*(__global const float16_u *)(b5 + item * 768 + (i1 + 32)) + x57);
      *((__global float16_u *)(b5 + item * 768 + (i1 + 48))) = (*(__global const float16_u *)(b5 + item * 768 + (i1 + 48)) + x68);
    }
    a23_0 = (a23_0 + a23_2);
    a23_1 = (a23_1 + a23_3);
    a23_0 = (a23_0 + a23_1);
    const float h75 = fold_add_f32x16(a23_0);
    a23 = (h75 + a23);
    float16 a76_0 = (float16)(0.0f);
    float16 a76_1 = (float16)(0.0f);
    float16 a76_2 = (float16)(0.0f);
    float16 a76_3 = (float16)(0.0f);
    float a76 = 0.0f;
    const float x88 = (x28 / x27);
    const float x89 = ((-0.5f) * x88);
    const float x90 = (a23 * x89);
    const float x91 = (x90 / whole4);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      __builtin_prefetch(b0 + (e1 * i0 + i1) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 16) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 32) + e1, 0, 3);
      __builtin_prefetch(b0 + (e1 * i0 + i1 + 48) + e1, 0, 3);
      const float16 x77 = *(__global const float16_u *)(b0 + (e1 * i0 + i1));
      const float16 x78 = (x77 - (float16)(x10));
      const float16 x79 = (x78 * (float16)(x28));
      const float16 x80 = *(__global const float16_u *)(b1 + (i1));
      const float16 x81 = (x79 * x80);
      const float16 x82 = *(__global const float16_u *)(b2 + (i1));
      const float16 x83 = (x81 + x82);
      const float16 x84 = ((float16)(2.0f) * x83);
      const float16 x85 = ((float16)(1.0f) * x84);
      const float16 x86 = (x85 * x80);
      const float16 x87 = (x86 * (float16)(x28));
      const float16 x92 = ((float16)(2.0f) * x78);
      const float16 x93 = ((float16)(x91) * x92);
      const float16 x94 = (x87 + x93);
      *(float16 *)(k1 + i1) = x94;
      const float16 x95 = (-x94);
      a76_0 = (a76_0 + x95);
      const float16 x96 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 16));
      const float16 x97 = (x96 - (float16)(x10));
      const float16 x98 = (x97 * (float16)(x28));
      const float16 x99 = *(__global const float16_u *)(b1 + (i1 + 16));
      const float16 x100 = (x98 * x99);
      const float16 x101 = *(__global const float16_u *)(b2 + (i1 + 16));
      const float16 x102 = (x100 + x101);
      const float16 x103 = ((float16)(2.0f) * x102);
      const float16 x104 = ((float16)(1.0f) * x103);
      const float16 x105 = (x104 * x99);
      const float16 x106 = (x105 * (float16)(x28));
      const float16 x107 = ((float16)(2.0f) * x97);
      const float16 x108 = ((float16)(x91) * x107);
      const float16 x109 = (x106 + x108);
      *(float16 *)(k1 + i1 + 16) = x109;
      const float16 x110 = (-x109);
      a76_1 = (a76_1 + x110);
      const float16 x111 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 32));
      const float16 x112 = (x111 - (float16)(x10));
      const float16 x113 = (x112 * (float16)(x28));
      const float16 x114 = *(__global const float16_u *)(b1 + (i1 + 32));
      const float16 x115 = (x113 * x114);
      const float16 x116 = *(__global const float16_u *)(b2 + (i1 + 32));
      const float16 x117 = (x115 + x116);
      const float16 x118 = ((float16)(2.0f) * x117);
      const float16 x119 = ((float16)(1.0f) * x118);
      const float16 x120 = (x119 * x114);
      const float16 x121 = (x120 * (float16)(x28));
      const float16 x122 = ((float16)(2.0f) * x112);
      const float16 x123 = ((float16)(x91) * x122);
      const float16 x124 = (x121 + x123);
      *(float16 *)(k1 + i1 + 32) = x124;
      const float16 x125 = (-x124);
      a76_2 = (a76_2 + x125);
      const float16 x126 = *(__global const float16_u *)(b0 + (e1 * i0 + i1 + 48));
      const float16 x127 = (x126 - (float16)(x10));
      const float16 x128 = (x127 * (float16)(x28));
      const float16 x129 = *(__global const float16_u *)(b1 + (i1 + 48));
      const float16 x130 = (x128 * x129);
      const float16 x131 = *(__global const float16_u *)(b2 + (i1 + 48));
      const float16 x132 = (x130 + x131);
      const float16 x133 = ((float16)(2.0f) * x132);
      const float16 x134 = ((float16)(1.0f) * x133);
      const float16 x135 = (x134 * x129);
      const float16 x136 = (x135 * (float16)(x28));
      const float16 x137 = ((float16)(2.0f) * x127);
      const float16 x138 = ((float16)(x91) * x137);
      const float16 x139 = (x136 + x138);
      *(float16 *)(k1 + i1 + 48) = x139;
      const float16 x140 = (-x139);
      a76_3 = (a76_3 + x140);
    }
    a76_0 = (a76_0 + a76_2);
    a76_1 = (a76_1 + a76_3);
    a76_0 = (a76_0 + a76_1);
    const float h141 = fold_add_f32x16(a76_0);
    a76 = (h141 + a76);
    const float x143 = (a76 / whole4);
    for (int i1 = 0; i1 + 64 <= e1; i1 += 64) {
      const float16 x142 = *(float16 *)(k1 + i1);
      const float16 x144 = (x142 + (float16)(x143));
      *((__global float16_u *)(b3 + (e1 * i0 + i1))) = x144;
      const float16 x145 = *(float16 *)(k1 + i1 + 16);
      const float16 x146 = (x145 + (float16)(x143));
      *((__global float16_u *)(b3 + (e1 * i0 + i1 + 16))) = x146;
      const float16 x147 = *(float16 *)(k1 + i1 + 32);
      const float16 x148 = (x147 + (float16)(x143));
      *((__global float16_u *)(b3 + (e1 * i0 + i1 + 32))) = x148;
      const float16 x149 = *(float16 *)(k1 + i1 + 48);
      const float16 x150 = (x149 + (float16)(x143));
      *((__global float16_u *)(b3 + (e1 * i0 + i1 + 48))) = x150;
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

FX_LIST void stage_0(const long item, __global uchar *b0, __global uchar *b1, __global uchar *b2, __global uchar *b3, __global uchar *b4, __global uchar *b5, __global uchar *b6, __global uchar *b7, __global uchar *b8) {
  __global uchar *p0 = b0;
  __global uchar *p1 = b1;
  __global uchar *p2 = b2;
  __global uchar *p3 = b3;
  __global uchar *p4 = b4;
  __global uchar *p5 = b5;
  __global uchar *p6 = b6;
  __global uchar *p7 = b7;
  __global uchar *p8 = b8;
  team t = team_of((__global ulong *)p0, (uint)item, 2);
  const long *n = (const long *)(ulong)p0 + 27;
  team_timed(&t, (__global ulong *)p0 + 24);
  for (long q1; (q1 = team_next(&t, n[0])) >= 0;) {
  stage_0_0(q1, (__global const float *)(p1), (__global const float *)(p2), (__global const float *)(p3), (__global float *)(p4), (__global float *)(p5), (__global float *)(p6), n[1], n[2], n[3], n[4]);
  }
  for (long q2; (q2 = team_next(&t, n[5])) >= 0;) {
  stage_0_1(q2, (__global const float *)(p5), (__global float *)(p7), (__global const float *)(p6), (__global float *)(p8), n[6], n[7], n[8]);
  }
  team_leave(&t);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, __global uchar *p4, __global uchar *p5, __global uchar *p6, __global uchar *p7, __global uchar *p8) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global uchar *)p0, (__global uchar *)p1, (__global uchar *)p2, (__global uchar *)p3, (__global uchar *)p4, (__global uchar *)p5, (__global uchar *)p6, (__global uchar *)p7, (__global uchar *)p8); break;
  }
}
