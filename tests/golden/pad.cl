// launches: 1, programs: 1

FX_PART void box_4x8(const long item, __global const uint *x, __global uint *y, const long *n) {
  const int columns = n[4], low = n[5], high = n[6], axes = n[7];
  const long whole = (item + 1) * n[1], last = whole < n[0] ? whole : n[0];
  const long step_x = n[9], step_y = n[10];
  long at[4], g = item * n[1], rest = g;
  x += n[2], y += n[3];
  for (int j = 0; j < axes; ++j) {
    const long *axis = n + 8 + 5 * j;
    at[j] = rest % axis[0], rest /= axis[0];
    x += at[j] * axis[1], y += at[j] * axis[2];
  }
  while (g < last) {
    int there = 1;
    for (int j = 1; j < axes; ++j) there &= at[j] >= n[11 + 5 * j] && at[j] < n[12 + 5 * j];
    const long row = at[0] + last - g, end = row < n[8] ? row : n[8];
    const long from = there ? n[11] : end, to = n[12];
    g += end - at[0];
    for (long i = at[0]; i < end; ++i, x += step_x, y += step_y) {
      if (i >= from && i < to) row_4x8(x, y, columns, low, high);
      else row_4x8(x, y, columns, 0, 0);
    }
    at[0] = end;
    for (int j = 0; j < axes && at[j] == n[8 + 5 * j]; ++j) {
      const long *axis = n + 8 + 5 * j;
      x -= axis[0] * axis[1], y -= axis[0] * axis[2], at[j] = 0;
      if (j + 1 < axes) x += axis[6], y += axis[7], at[j + 1] += 1;
    }
  }
}

FX_LIST void stage_0(const long item, __global const float *b0, __global float *b1, const long *n) {
  #pragma OPENCL FP_CONTRACT ON
  box_4x8(item, (__global const uint *)b0, (__global uint *)b1, n);
}

__kernel void fx(const int stage, __global uchar *p0, __global uchar *p1, const long n0, const long n1, const long n2, const long n3, const long n4, const long n5, const long n6, const long n7, const long n8, const long n9, const long n10, const long n11, const long n12) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: stage_0(item, (__global const float *)p0, (__global float *)p1, (__private const long[]){n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12}); break;
  }
}
