"""LU, Cholesky and triangular systems of complex matrices of middle size, as in `dense`.

Real and imaginary parts stand in arrays of their own in private memory, so each step is still one
operation on rows of vectors; in buffers they lie side by side. A complex divisor is divided by its
larger part first (Smith, "Algorithm 116: Complex division", 1962). In: sizes and a dtype, that of
the parts. Out: the text for one problem.
"""

from __future__ import annotations

from string import Template

import numpy as np

from lowering.templates.dense import COLUMNS, words


def lu(m: int, n: int, dtype: np.dtype, width: int) -> str:
    """`b0` [m, n, 2] to its factors `b1`, the row swaps `b2` and the permutation `b3`."""
    return _LU.substitute(words(n, dtype, width), m=m, n=n, k=min(m, n))


def cholesky(n: int, dtype: np.dtype, width: int) -> str:
    """`b0` [n, n, 2] to its lower factor `b1`; NaN where a pivot is not positive."""
    return _CHOLESKY.substitute(words(n, dtype, width), n=n)


def triangular(
    n: int,
    count: int,
    dtype: np.dtype,
    width: int,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    unit_diagonal: bool,
    conjugate_a: bool,
) -> str:
    """`b0` [n, n, 2] and `b1` [n, count, 2], or [count, n, 2] if not left, to `b2`; `e` also counts
    blocks of right sides.
    """
    if not left_side:  # the rows of x a = b are the columns of a^T x^T = b^T
        transpose_a = not transpose_a
    lower = lower != transpose_a
    while width > 1 and width // 2 >= count:
        width //= 2
    block = min(count, COLUMNS * width)
    known = words(block, dtype, width)
    divided = "" if unit_diagonal else _DIVIDED.substitute(known, n=n)
    return _TRIANGULAR.substitute(
        known,
        n=n,
        all=n * count,
        count=count,
        block=block,
        blocks=-(-count // block),
        at=f"i * {count} + c0 + c" if left_side else f"(c0 + c) * {n} + i",
        rows=f"int i = 0; i < {n}; ++i" if lower else f"int i = {n - 1}; i >= 0; --i",
        others=f"int r = i + 1; r < {n}; ++r" if lower else "int r = 0; r < i; ++r",
        factor=f"2 * (i * {n} + r)" if transpose_a else f"2 * (r * {n} + i)",
        sign="-1" if conjugate_a else "1",
        divided=divided,
    )


# 1 / (pr + i pi) is (sr - i si) / below.
_DIVISOR = """const $T ar = abs_${kind}x1(pr), ai = abs_${kind}x1(pi), big = ar > ai ? ar : ai;
    const $T sr = big == 0 ? 1 : pr / big, si = big == 0 ? 0 : pi / big;
    const $T below = big == 0 ? 1 : big * (sr * sr + si * si);"""

_LU = Template(
    """
  $V v[$m * $S], y[$m * $S];
  $T *const re = (private $T *)v, *const im = (private $T *)y;
  __global const $T *x = b0 + e * (2 * $m * $n);
  int order[$m];
  for (int i = 0; i < $m; ++i) {
    order[i] = i;
    v[i * $S + $S - 1] = y[i * $S + $S - 1] = ($V)(0);
    for (int j = 0; j < $n; ++j) {
      re[i * $L + j] = x[2 * (i * $n + j)];
      im[i * $L + j] = x[2 * (i * $n + j) + 1];
    }
  }
  for (int k = 0; k < $k; ++k) {
    int p = k;
    $T best = abs_${kind}x1(re[k * $L + k]) + abs_${kind}x1(im[k * $L + k]);
    for (int i = k + 1; i < $m; ++i) {
      const $T size = abs_${kind}x1(re[i * $L + k]) + abs_${kind}x1(im[i * $L + k]);
      if (size > best) { best = size; p = i; }
    }
    b2[e * $k + k] = p;
    if (p != k) {
      for (int s = 0; s < $S; ++s) {
        const $V t = v[k * $S + s], u = y[k * $S + s];
        v[k * $S + s] = v[p * $S + s];
        y[k * $S + s] = y[p * $S + s];
        v[p * $S + s] = t;
        y[p * $S + s] = u;
      }
      const int t = order[k];
      order[k] = order[p];
      order[p] = t;
    }
    const $T pr = re[k * $L + k], pi = im[k * $L + k];
    """
    + _DIVISOR
    + """
    const int first = (k + 1) / $W;
    const $I right = $numbers + ($I)(first * $W - k - 1) >= ($I)(0);
    for (int i = k + 1; i < $m; ++i) {
      const $T xr = re[i * $L + k], xi = im[i * $L + k];
      const $T r = (xr * sr + xi * si) / below, q = (xi * sr - xr * si) / below;
      const $V fr = ($V)(r), fi = ($V)(q);
      for (int s = first; s < $S; ++s) {
        const $V t = v[i * $S + s], u = y[i * $S + s], a = v[k * $S + s], b = y[k * $S + s];
        const $V tr = t - fr * a + fi * b, ti = u - fr * b - fi * a;
        v[i * $S + s] = s > first || right ? tr : t;
        y[i * $S + s] = s > first || right ? ti : u;
      }
      re[i * $L + k] = r;
      im[i * $L + k] = q;
    }
  }
  for (int i = 0; i < $m; ++i) {
    b3[e * $m + i] = order[i];
    for (int j = 0; j < $n; ++j) {
      b1[2 * ((e * $m + i) * $n + j)] = re[i * $L + j];
      b1[2 * ((e * $m + i) * $n + j) + 1] = im[i * $L + j];
    }
  }"""
)

# The rows of the upper factor, which is the adjoint of the lower one.
_CHOLESKY = Template("""
  $V v[$n * $S], y[$n * $S];
  $T *const re = (private $T *)v, *const im = (private $T *)y;
  __global const $T *x = b0 + e * (2 * $n * $n);
  for (int i = 0; i < $n * $S; ++i) v[i] = y[i] = ($V)(0);
  for (int j = 0; j < $n; ++j)
    for (int i = 0; i <= j; ++i) {
      re[i * $L + j] = x[2 * (j * $n + i)];
      im[i * $L + j] = i == j ? 0 : -x[2 * (j * $n + i) + 1];
    }
  int good = 1;
  for (int k = 0; k < $n; ++k) {
    const $T pivot = re[k * $L + k];
    good &= pivot > 0;
    const $V root = ($V)(sqrt_${kind}x1(pivot));
    for (int s = k / $W; s < $S; ++s) {
      v[k * $S + s] /= root;
      y[k * $S + s] /= root;
    }
    for (int i = k + 1; i < $n; ++i) {
      const $V fr = ($V)(re[k * $L + i]), fi = ($V)(im[k * $L + i]);
      for (int s = i / $W; s < $S; ++s) {
        const $V a = v[k * $S + s], b = y[k * $S + s];
        v[i * $S + s] = v[i * $S + s] - fr * a - fi * b;
        y[i * $S + s] = y[i * $S + s] - fr * b + fi * a;
      }
    }
  }
  for (int i = 0; i < $n; ++i)
    for (int j = 0; j < $n; ++j) {
      const long at = 2 * ((e * $n + i) * $n + j);
      b1[at] = j > i ? 0 : good ? re[j * $L + i] : ($T)NAN;
      b1[at + 1] = j >= i ? 0 : good ? -im[j * $L + i] : ($T)NAN;
    }""")

_DIVIDED = Template(
    """const $T pr = a[2 * (i * $n + i)], pi = sign * a[2 * (i * $n + i) + 1];
    """
    + _DIVISOR
    + """
    bad |= big == 0;
    for (int s = 0; s < $S; ++s) {
      const $V xr = x[i * $S + s], xi = y[i * $S + s];
      x[i * $S + s] = (xr * ($V)(sr) + xi * ($V)(si)) / ($V)(below);
      y[i * $S + s] = (xi * ($V)(sr) - xr * ($V)(si)) / ($V)(below);
    }"""
)

_TRIANGULAR = Template("""
  $V x[$n * $S], y[$n * $S];
  $T *const re = (private $T *)x, *const im = (private $T *)y;
  const $T sign = $sign;
  const long which = e / $blocks;
  const int c0 = (int)(e % $blocks) * $block, cs = min($block, $count - c0);
  __global const $T *a = b0 + which * (2 * $n * $n);
  for (int i = 0; i < $n; ++i) {
    x[i * $S + $S - 1] = y[i * $S + $S - 1] = ($V)(0);
    for (int c = 0; c < cs; ++c) {
      re[i * $L + c] = b1[2 * (which * $all + $at)];
      im[i * $L + c] = b1[2 * (which * $all + $at) + 1];
    }
  }
  int bad = 0;
  for ($rows) {
    $divided
    for ($others) {
      const $V fr = ($V)(a[$factor]), fi = ($V)(sign * a[$factor + 1]);
      for (int s = 0; s < $S; ++s) {
        const $V p = x[i * $S + s], q = y[i * $S + s];
        x[r * $S + s] = x[r * $S + s] - fr * p + fi * q;
        y[r * $S + s] = y[r * $S + s] - fr * q - fi * p;
      }
    }
  }
  for (int i = 0; i < $n; ++i)
    for (int c = 0; c < cs; ++c) {
      b2[2 * (which * $all + $at)] = bad ? ($T)NAN : re[i * $L + c];
      b2[2 * (which * $all + $at) + 1] = bad ? ($T)NAN : im[i * $L + c];
    }""")
