// launches: 1, programs: 1

FX_STAGE void stage_0_p0(const long item, __global float *b0, const long n0) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  const float x1 = (float)(0);
  for (int i0 = 0; i0 + 8 <= n0; i0 += 8) {
    *((__global float8_u *)(b0 + (i0))) = (float8)(x1);
  }
  #pragma clang loop vectorize(disable) unroll(disable)
  for (int i0 = (n0 - 0) / 8 * 8; i0 < n0; ++i0) {
    *(b0 + (i0)) = x1;
  }
}

FX_STAGE void stage_0_p1(const long item, __global const int *b0, __global const float *b1, __global float *b2, const long n0, const long n1) {
  const long lo = n1 * item, hi = min(n0, lo + n1);
  for (long s0 = 0; s0 < 4096; ++s0) {
    const long at = 0 + s0 * 1;
    const int v0 = b0[at + 0];
    if (v0 < 0 || v0 > 9) continue;
    const long c0 = (long)v0;
    const long o = 0 + c0 * 1;
    const long u = 0 + s0 * 1;
    const float x = *(b2 + o), y = *(b1 + u); *(b2 + o) = (x + y);
  }
}

FX_STAGE void stage_0(const long item, __global float *b0, __global const int *b1, __global const float *b2, const long n0, const long n1, const long n2, const long n3) {
  stage_0_p0(0, b0, n0);
  for (long k = 0; k < n3; ++k) {
    stage_0_p1(k, b1, b2, b0, n1, n2);
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, const long n0, const long n1, const long n2, const long n3) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global float *)p0, (__global const int *)p1, (__global const float *)p2, n0, n1, n2, n3); break;
  }
}
