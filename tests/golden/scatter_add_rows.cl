// launches: 1, programs: 1

FX_STAGE void stage_0_p0(const long item, __global const int *b0, __global int *b1, __global int *b2, const long n0, const long n1) {
  const long lo = n1 * item, hi = min(n0, lo + n1);
  int count[63] = {0};
  for (long s = lo; s < hi; ++s) {
    const long at = s * 1;
    const int r0 = b0[at + 0];
    const int v0 = r0 < 0 ? r0 + 1000 : r0;
    if (v0 < 0 || v0 > 999) continue;
    const long c0 = (long)v0;
    const long o = 0 + c0 * 1;
    ++count[o >> 4];
  }
  int next = (int)lo;
  for (int j = 0; j < 63; ++j) {
    const int n = count[j];
    b2[item * 64 + j] = count[j] = next;
    next += n;
  }
  b2[item * 64 + 63] = next;
  for (long s = lo; s < hi; ++s) {
    const long at = s * 1;
    const int r0 = b0[at + 0];
    const int v0 = r0 < 0 ? r0 + 1000 : r0;
    if (v0 < 0 || v0 > 999) continue;
    const long c0 = (long)v0;
    const long o = 0 + c0 * 1;
    const int to = count[o >> 4]++;
    b1[2 * to] = (int)s;
    b1[2 * to + 1] = (int)o;
  }
}

FX_STAGE void stage_0_p1(const long item, __global const float *b0, __global float *b1, __global const int *b2, __global const int *b3, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long ig = item;
  for (long p = 0; p < n1; ++p) {
    const int first = b3[p * (n0 + 1) + ig], end = b3[p * (n0 + 1) + ig + 1];
    for (long k = first; k < end; ++k) {
      const int g = b2[2 * k];
      const long at = (long)b2[2 * k + 1] * 64;
      const int i0 = g;
      for (int i1 = 0; i1 + 8 <= 64; i1 += 8) {
        const float8 x1 = *(__global const float8_u *)(b0 + (64 * i0 + i1));
        *((__global float8_u *)(b1 + (at + i1))) = (*(__global const float8_u *)(b1 + (at + i1)) + x1);
      }
    }
  }
}

FX_STAGE void stage_0(const long item, __global const int *b0, __global int *b1, __global int *b2, __global const float *b3, __global float *b4, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5) {
  for (long k = 0; k < n2; ++k) {
    stage_0_p0(k, b0, b1, b2, n0, n1);
  }
  for (long k = 0; k < n5; ++k) {
    stage_0_p1(k, b3, b4, b1, b2, n3, n4);
  }
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, __global uchar *p2, __global uchar *p3, __global uchar *p4, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const int *)p0, (__global int *)p1, (__global int *)p2, (__global const float *)p3, (__global float *)p4, n0, n1, n2, n3, n4, n5); break;
  }
}
