// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  for (int i1 = 0; i1 + 16 <= 256; i1 += 16) {
    const int g0 = ig * n1, g1 = min((long)n0, (ig + 1) * (long)n1);
    for (int g = g0; g < g1; ++g) {
      const int i0 = g;
      const float16 x1 = (float16)((b0 + (i0 + 128 * i1))[0], (b0 + (i0 + 128 * i1))[128], (b0 + (i0 + 128 * i1))[256], (b0 + (i0 + 128 * i1))[384], (b0 + (i0 + 128 * i1))[512], (b0 + (i0 + 128 * i1))[640], (b0 + (i0 + 128 * i1))[768], (b0 + (i0 + 128 * i1))[896], (b0 + (i0 + 128 * i1))[1024], (b0 + (i0 + 128 * i1))[1152], (b0 + (i0 + 128 * i1))[1280], (b0 + (i0 + 128 * i1))[1408], (b0 + (i0 + 128 * i1))[1536], (b0 + (i0 + 128 * i1))[1664], (b0 + (i0 + 128 * i1))[1792], (b0 + (i0 + 128 * i1))[1920]);
      const float16 x2 = (x1 + (float16)(1.0f));
      *((__global float16_u *)(b1 + (256 * i0 + i1))) = x2;
    }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, n0, n1); break;
  }
}
