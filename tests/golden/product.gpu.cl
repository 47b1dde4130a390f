// launches: 1, programs: 1

__kernel void fx0(__global float *b0, __global const float *b1, __global const float *b2, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10) {
  #pragma OPENCL FP_CONTRACT ON
  const long item = get_group_id(0);
  const long M = n0;
  const long N = n1;
  const long K = n2;
  const long RB = n3;
  const long CB = n4;
  const long a_start = n5;
  const long a_lane = n6;
  const long a_k = n7;
  const long b_start = n8;
  const long b_lane = n9;
  const long b_k = n10;
  const long ic = item % CB, ir = item / CB % RB, io = item / CB / RB;
  const int lid = get_local_id(0), tx = lid % 16, ty = lid / 16;
  __local float la[16][65];
  __local float lb[16][65];
  __global const float *a = b1 + a_start;
  __global const float *b = b2 + b_start;
  float c[4][4];
  for (int r = 0; r < 4; ++r)
    for (int j = 0; j < 4; ++j) c[r][j] = 0;
  for (long k0 = 0; k0 < K; k0 += 16) {
    for (int e = lid; e < 1024; e += 256) {
      const int p = e / 16, q = e % 16;
      float t = 0;
      const long h = ir * 64 + p, d = k0 + q;
      if (h < M && d < K) t = *(a + h * a_lane + d * a_k);
      la[q][p] = t;
    }
    for (int e = lid; e < 1024; e += 256) {
      const int p = e % 64, q = e / 64;
      float t = 0;
      const long h = ic * 64 + p, d = k0 + q;
      if (h < N && d < K) t = *(b + h * b_lane + d * b_k);
      lb[q][p] = t;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = 0; k < 16; ++k) {
      float x[4], y[4];
      #pragma unroll
      for (int r = 0; r < 4; ++r) x[r] = la[k][ty + 16 * r];
      #pragma unroll
      for (int r = 0; r < 4; ++r) y[r] = lb[k][tx + 16 * r];
      #pragma unroll
      for (int r = 0; r < 4; ++r) {
        #pragma unroll
        for (int j = 0; j < 4; ++j) c[r][j] = x[r] * y[j] + c[r][j];
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  {
    #pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int m = ir * 64 + ty + 16 * r;
      if (m >= M) continue;
      const int i0 = m;
      #pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int n = ic * 64 + tx + 16 * j;
        if (n >= N) continue;
        const int i1 = n;
        *(b0 + (256 * i0 + i1)) = c[r][j];
      }
    }
  }
}
