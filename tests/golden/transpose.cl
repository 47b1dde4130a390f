// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
  for (int g = g0; g < g1; ++g) {
    const int v0 = g % n2 * 64;
    const int w0 = min((long)n4, (long)v0 + 64);
    const int v1 = g % n3 / n2 * 64;
    const int w1 = min((long)n5, (long)v1 + 64);
    float tile0[4096] __attribute__((aligned(64)));
    {
      const int i0 = v0, i1 = v1;
      turn_f32x8(b0 + (i0 + 128 * i1), 128, w1 - v1, w0 - v0, tile0, 64);
    }
    for (int i0 = v0; i0 < w0; ++i0) {
      for (int i1 = v1; i1 + 16 <= w1; i1 += 16) {
        const float16 x1 = *(__private const float16_u *)(tile0 + (i0 - v0) * 64 + (i1 - v1));
        const float16 x2 = (x1 + (float16)(1.0f));
        *((__global float16_u *)(b1 + (256 * i0 + i1))) = x2;
      }
      #pragma clang loop vectorize(disable) unroll(disable)
      for (int i1 = v1 + (w1 - v1) / 16 * 16; i1 < w1; ++i1) {
        const float x3 = *(tile0 + (i0 - v0) * 64 + (i1 - v1));
        const float x4 = (x3 + 1.0f);
        *(b1 + (256 * i0 + i1)) = x4;
      }
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1, n2, n3, n4, n5); break;
  }
}
