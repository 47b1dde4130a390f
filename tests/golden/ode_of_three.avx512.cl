// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item, is = 0;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  const int e1 = n2;
  for (int s = s0; s < s1; s += 64) {
    const int i0 = s < (int)n0 - 64 ? s : (int)n0 - 64;
    const float16 x2 = *(__global const float16_u *)(b0 + (i0));
    float16 c1_0 = x2;
    const float16 x3 = *(__global const float16_u *)(b0 + (i0 + 16));
    float16 c1_1 = x3;
    const float16 x4 = *(__global const float16_u *)(b0 + (i0 + 32));
    float16 c1_2 = x4;
    const float16 x5 = *(__global const float16_u *)(b0 + (i0 + 48));
    float16 c1_3 = x5;
    const float16 x7 = *(__global const float16_u *)(b0 + (i0 + 1024));
    float16 c6_0 = x7;
    const float16 x8 = *(__global const float16_u *)(b0 + (i0 + 1040));
    float16 c6_1 = x8;
    const float16 x9 = *(__global const float16_u *)(b0 + (i0 + 1056));
    float16 c6_2 = x9;
    const float16 x10 = *(__global const float16_u *)(b0 + (i0 + 1072));
    float16 c6_3 = x10;
    const float16 x12 = *(__global const float16_u *)(b0 + (i0 + 2048));
    float16 c11_0 = x12;
    const float16 x13 = *(__global const float16_u *)(b0 + (i0 + 2064));
    float16 c11_1 = x13;
    const float16 x14 = *(__global const float16_u *)(b0 + (i0 + 2080));
    float16 c11_2 = x14;
    const float16 x15 = *(__global const float16_u *)(b0 + (i0 + 2096));
    float16 c11_3 = x15;
    for (int i1 = 0; i1 < e1; ++i1) {
      const float16 x16 = (c6_0 - c1_0);
      const float16 x17 = ((float16)(10.0f) * x16);
      const float16 x18 = (c1_0 + ((float16)(0.01f) * x17));
      const float16 x19 = (c6_1 - c1_1);
      const float16 x20 = ((float16)(10.0f) * x19);
      const float16 x21 = (c1_1 + ((float16)(0.01f) * x20));
      const float16 x22 = (c6_2 - c1_2);
      const float16 x23 = ((float16)(10.0f) * x22);
      const float16 x24 = (c1_2 + ((float16)(0.01f) * x23));
      const float16 x25 = (c6_3 - c1_3);
      const float16 x26 = ((float16)(10.0f) * x25);
      const float16 x27 = (c1_3 + ((float16)(0.01f) * x26));
      const float16 x28 = ((float16)(28.0f) - c11_0);
      const float16 x29 = ((c1_0 * x28) - c6_0);
      const float16 x30 = (c6_0 + ((float16)(0.01f) * x29));
      const float16 x31 = ((float16)(28.0f) - c11_1);
      const float16 x32 = ((c1_1 * x31) - c6_1);
      const float16 x33 = (c6_1 + ((float16)(0.01f) * x32));
      const float16 x34 = ((float16)(28.0f) - c11_2);
      const float16 x35 = ((c1_2 * x34) - c6_2);
      const float16 x36 = (c6_2 + ((float16)(0.01f) * x35));
      const float16 x37 = ((float16)(28.0f) - c11_3);
      const float16 x38 = ((c1_3 * x37) - c6_3);
      const float16 x39 = (c6_3 + ((float16)(0.01f) * x38));
      const float16 x40 = (c11_0 * (float16)(8.0f));
      const float16 x41 = (x40 / (float16)(3.0f));
      const float16 x42 = ((c1_0 * c6_0) - x41);
      const float16 x43 = (c11_0 + ((float16)(0.01f) * x42));
      const float16 x44 = (c11_1 * (float16)(8.0f));
      const float16 x45 = (x44 / (float16)(3.0f));
      const float16 x46 = ((c1_1 * c6_1) - x45);
      const float16 x47 = (c11_1 + ((float16)(0.01f) * x46));
      const float16 x48 = (c11_2 * (float16)(8.0f));
      const float16 x49 = (x48 / (float16)(3.0f));
      const float16 x50 = ((c1_2 * c6_2) - x49);
      const float16 x51 = (c11_2 + ((float16)(0.01f) * x50));
      const float16 x52 = (c11_3 * (float16)(8.0f));
      const float16 x53 = (x52 / (float16)(3.0f));
      const float16 x54 = ((c1_3 * c6_3) - x53);
      const float16 x55 = (c11_3 + ((float16)(0.01f) * x54));
      c1_0 = x18;
      c1_1 = x21;
      c1_2 = x24;
      c1_3 = x27;
      c6_0 = x30;
      c6_1 = x33;
      c6_2 = x36;
      c6_3 = x39;
      c11_0 = x43;
      c11_1 = x47;
      c11_2 = x51;
      c11_3 = x55;
    }
    *((__global float16_u *)(b1 + (i0))) = c1_0;
    *((__global float16_u *)(b1 + (i0 + 16))) = c1_1;
    *((__global float16_u *)(b1 + (i0 + 32))) = c1_2;
    *((__global float16_u *)(b1 + (i0 + 48))) = c1_3;
    *((__global float16_u *)(b1 + (i0 + 1024))) = c6_0;
    *((__global float16_u *)(b1 + (i0 + 1040))) = c6_1;
    *((__global float16_u *)(b1 + (i0 + 1056))) = c6_2;
    *((__global float16_u *)(b1 + (i0 + 1072))) = c6_3;
    *((__global float16_u *)(b1 + (i0 + 2048))) = c11_0;
    *((__global float16_u *)(b1 + (i0 + 2064))) = c11_1;
    *((__global float16_u *)(b1 + (i0 + 2080))) = c11_2;
    *((__global float16_u *)(b1 + (i0 + 2096))) = c11_3;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  }
}
