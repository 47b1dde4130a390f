// launches: 1, programs: 1

__kernel void fx0(__global const float *b0, __global float *b1, const long n0, const long n1, const long n2) {
  #pragma OPENCL FP_CONTRACT OFF
  const long item = get_group_id(0);
  const int lid = get_local_id(0);
  __local uint la[256];
  __local uint lb[16];
  const long ig = item, is = 0;
  const int e1 = n0;
  for (int g = ig * n2, ge = min(n1, (ig + 1) * n2); g < ge; ++g) {
    const int i0 = g;
    float a1 = (-INFINITY);
    for (int i1 = 0 + lid; i1 < e1; i1 += 256) {
      const float x2 = *(b0 + (1024 * i0 + i1));
      a1 = max_f32x1(a1, x2);
    }
    ((__local float *)(la))[lid] = a1;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lid < 16) {
      { float h = a1;
      for (int j = 1; j < 16; ++j) h = max_f32x1(h, ((__local float *)(la))[lid + j * 16]);
      ((__local float *)(lb))[lid] = h; }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    a1 = ((__local float *)(lb))[0];
    for (int j = 1; j < 16; ++j) a1 = max_f32x1(a1, ((__local float *)(lb))[j]);
    float a3 = 0.0f;
    for (int i1 = 0 + lid; i1 < e1; i1 += 256) {
      const float x4 = *(b0 + (1024 * i0 + i1));
      const float x5 = (x4 - a1);
      const float x6 = exp_down_f32x1(x5);
      a3 = (a3 + x6);
    }
    ((__local float *)(la))[lid] = a3;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lid < 16) {
      { float h = a3;
      for (int j = 1; j < 16; ++j) h = (h + ((__local float *)(la))[lid + j * 16]);
      ((__local float *)(lb))[lid] = h; }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    a3 = ((__local float *)(lb))[0];
    for (int j = 1; j < 16; ++j) a3 = (a3 + ((__local float *)(lb))[j]);
    for (int i1 = 0 + lid; i1 < e1; i1 += 256) {
      const float x7 = *(b0 + (1024 * i0 + i1));
      const float x8 = (x7 - a1);
      const float x9 = exp_down_f32x1(x8);
      const float x10 = (x9 / a3);
      *(b1 + (1024 * i0 + i1)) = x10;
    }
  }
}
