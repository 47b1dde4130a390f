// launches: 1, programs: 1

__kernel void fx0(__global const float *b0, __global float *b1, const long n0, const long n1) {
  #pragma OPENCL FP_CONTRACT ON
  const long item = get_group_id(0);
  const long g = item * 64 + get_local_id(0);
  if (g >= n0) return;
  const int i0 = g;
  const float x2 = *(b0 + (i0));
  float c1_0 = x2;
  const int e1 = n1;
  for (int i1 = 0; i1 < e1; ++i1) {
    const float x3 = sin_f32x1(c1_0);
    const float x4 = ((c1_0 * 0.5f) + x3);
    c1_0 = x4;
  }
  *(b1 + (i0)) = c1_0;
}
