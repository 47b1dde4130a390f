// launches: 1, programs: 1

FX_STAGE void stage_0(const long item, __global const int *b0, __global const float *b1, __global float *b2, __global const float *b3, const long n0, const long n1) {
  const long lo = n1 * item, hi = min(n0, lo + n1);
  {
    long e = lo * 64;
    for (; e + 8 <= hi * 64; e += 8) *((__global float8_u *)(b2 + e)) = *(__global const float8_u *)(b3 + e);
    for (; e < hi * 64; ++e) *(b2 + e) = *(b3 + e);
  }
  for (long s0 = 0; s0 < 128; ++s0) {
    const long at = 0 + s0 * 1;
    const int r0 = b0[at + 0];
    const int v0 = r0 < 0 ? r0 + 1000 : r0;
    if (v0 < 0 || v0 > 999) continue;
    const long c0 = (long)v0;
    if (c0 < lo || c0 >= hi) continue;
    const long o = 0 + c0 * 64;
    const long u = 0 + s0 * 64;
    long w0 = 0;
    for (; w0 + 8 <= 64; w0 += 8) { const float8 x = *(__global const float8_u *)(b2 + o + w0 * 1), y = *(__global const float8_u *)(b1 + u + w0 * 1); *((__global float8_u *)(b2 + o + w0 * 1)) = (x + y); }
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, const long n0, const long n1) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const int *)p0, (__global const float *)p1, (__global float *)p2, (__global const float *)p3, n0, n1); break;
  }
}
