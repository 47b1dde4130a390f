// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT OFF
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int i2 = g;
    for (int i3 = 0; i3 + 4 <= 4; i3 += 4) {
      float4 a1_0 = (float4)((-INFINITY));
      for (int i4 = 0; i4 < 2; ++i4) {
        for (int i5 = 0; i5 < 2; ++i5) {
          const float4 x2 = (float4)((b0 + (16 * i2 + 2 * i3 + 8 * i4 + i5))[0], (b0 + (16 * i2 + 2 * i3 + 8 * i4 + i5))[2], (b0 + (16 * i2 + 2 * i3 + 8 * i4 + i5))[4], (b0 + (16 * i2 + 2 * i3 + 8 * i4 + i5))[6]);
          a1_0 = max_f32x4(a1_0, x2);
        }
      }
      *((__global float4_u *)(b1 + (4 * i2 + i3))) = a1_0;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
