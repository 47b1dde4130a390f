// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item, is = 0;
  const int s0 = is * n1, s1 = min((long)n0, (is + 1) * (long)n1);
  const int e1 = n2;
  for (int s = s0; s < s1; s += 32) {
    const int i0 = s < (int)n0 - 32 ? s : (int)n0 - 32;
    const float8 x2 = *(__global const float8_u *)(b0 + (i0));
    float8 c1_0 = x2;
    const float8 x3 = *(__global const float8_u *)(b0 + (i0 + 8));
    float8 c1_1 = x3;
    const float8 x4 = *(__global const float8_u *)(b0 + (i0 + 16));
    float8 c1_2 = x4;
    const float8 x5 = *(__global const float8_u *)(b0 + (i0 + 24));
    float8 c1_3 = x5;
    const float8 x7 = *(__global const float8_u *)(b0 + (i0 + 1024));
    float8 c6_0 = x7;
    const float8 x8 = *(__global const float8_u *)(b0 + (i0 + 1032));
    float8 c6_1 = x8;
    const float8 x9 = *(__global const float8_u *)(b0 + (i0 + 1040));
    float8 c6_2 = x9;
    const float8 x10 = *(__global const float8_u *)(b0 + (i0 + 1048));
    float8 c6_3 = x10;
    const float8 x12 = *(__global const float8_u *)(b0 + (i0 + 2048));
    float8 c11_0 = x12;
    const float8 x13 = *(__global const float8_u *)(b0 + (i0 + 2056));
    float8 c11_1 = x13;
    const float8 x14 = *(__global const float8_u *)(b0 + (i0 + 2064));
    float8 c11_2 = x14;
    const float8 x15 = *(__global const float8_u *)(b0 + (i0 + 2072));
    float8 c11_3 = x15;
    for (int i1 = 0; i1 < e1; ++i1) {
      const float8 x16 = (c6_0 - c1_0);
      const float8 x17 = ((float8)(10.0f) * x16);
      const float8 x18 = (c1_0 + ((float8)(0.01f) * x17));
      const float8 x19 = (c6_1 - c1_1);
      const float8 x20 = ((float8)(10.0f) * x19);
      const float8 x21 = (c1_1 + ((float8)(0.01f) * x20));
      const float8 x22 = (c6_2 - c1_2);
      const float8 x23 = ((float8)(10.0f) * x22);
      const float8 x24 = (c1_2 + ((float8)(0.01f) * x23));
      const float8 x25 = (c6_3 - c1_3);
      const float8 x26 = ((float8)(10.0f) * x25);
      const float8 x27 = (c1_3 + ((float8)(0.01f) * x26));
      const float8 x28 = ((float8)(28.0f) - c11_0);
      const float8 x29 = ((c1_0 * x28) - c6_0);
      const float8 x30 = (c6_0 + ((float8)(0.01f) * x29));
      const float8 x31 = ((float8)(28.0f) - c11_1);
      const float8 x32 = ((c1_1 * x31) - c6_1);
      const float8 x33 = (c6_1 + ((float8)(0.01f) * x32));
      const float8 x34 = ((float8)(28.0f) - c11_2);
      const float8 x35 = ((c1_2 * x34) - c6_2);
      const float8 x36 = (c6_2 + ((float8)(0.01f) * x35));
      const float8 x37 = ((float8)(28.0f) - c11_3);
      const float8 x38 = ((c1_3 * x37) - c6_3);
      const float8 x39 = (c6_3 + ((float8)(0.01f) * x38));
      const float8 x40 = (c11_0 * (float8)(8.0f));
      const float8 x41 = (x40 / (float8)(3.0f));
      const float8 x42 = ((c1_0 * c6_0) - x41);
      const float8 x43 = (c11_0 + ((float8)(0.01f) * x42));
      const float8 x44 = (c11_1 * (float8)(8.0f));
      const float8 x45 = (x44 / (float8)(3.0f));
      const float8 x46 = ((c1_1 * c6_1) - x45);
      const float8 x47 = (c11_1 + ((float8)(0.01f) * x46));
      const float8 x48 = (c11_2 * (float8)(8.0f));
      const float8 x49 = (x48 / (float8)(3.0f));
      const float8 x50 = ((c1_2 * c6_2) - x49);
      const float8 x51 = (c11_2 + ((float8)(0.01f) * x50));
      const float8 x52 = (c11_3 * (float8)(8.0f));
      const float8 x53 = (x52 / (float8)(3.0f));
      const float8 x54 = ((c1_3 * c6_3) - x53);
      const float8 x55 = (c11_3 + ((float8)(0.01f) * x54));
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
    *((__global float8_u *)(b1 + (i0))) = c1_0;
    *((__global float8_u *)(b1 + (i0 + 8))) = c1_1;
    *((__global float8_u *)(b1 + (i0 + 16))) = c1_2;
    *((__global float8_u *)(b1 + (i0 + 24))) = c1_3;
    *((__global float8_u *)(b1 + (i0 + 1024))) = c6_0;
    *((__global float8_u *)(b1 + (i0 + 1032))) = c6_1;
    *((__global float8_u *)(b1 + (i0 + 1040))) = c6_2;
    *((__global float8_u *)(b1 + (i0 + 1048))) = c6_3;
    *((__global float8_u *)(b1 + (i0 + 2048))) = c11_0;
    *((__global float8_u *)(b1 + (i0 + 2056))) = c11_1;
    *((__global float8_u *)(b1 + (i0 + 2064))) = c11_2;
    *((__global float8_u *)(b1 + (i0 + 2072))) = c11_3;
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2); break;
  }
}
