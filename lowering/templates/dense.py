"""LU, Cholesky and triangular systems of matrices of middle size, as the text of one stage.

A matrix is copied to private memory, its rows padded to whole vectors; each step of the elimination
is one operation on what is left of the rows. In: sizes and a dtype. Out: the text for one problem,
whose number is `e`, over `b0`, ...: a stack has many, and an item takes some of them.
"""

from __future__ import annotations

from string import Template
from typing import Any

import numpy as np

COLUMNS = 4  # vectors of right sides that an item takes together


def lu(m: int, n: int, dtype: np.dtype, width: int) -> str:
    """`b0` [m, n] to its factors `b1`, the row swaps `b2` and the permutation `b3`."""
    return _LU.substitute(words(n, dtype, width), m=m, n=n, k=min(m, n))


def cholesky(n: int, dtype: np.dtype, width: int) -> str:
    """`b0` [n, n] to its lower factor `b1`; NaN where a pivot is not positive."""
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
) -> str:
    """`b0` [n, n] and `b1` [n, count], or [count, n] if not left, to `b2`; `e` also counts blocks
    of right sides.
    """
    if not left_side:  # the rows of x a = b are the columns of a^T x^T = b^T
        transpose_a = not transpose_a
    lower = lower != transpose_a
    while width > 1 and width // 2 >= count:
        width //= 2
    block = min(count, COLUMNS * width)
    return _TRIANGULAR.substitute(
        words(block, dtype, width),
        n=n,
        all=n * count,
        count=count,
        block=block,
        blocks=-(-count // block),
        at=f"i * {count} + c0 + c" if left_side else f"(c0 + c) * {n} + i",
        rows=f"int i = 0; i < {n}; ++i" if lower else f"int i = {n - 1}; i >= 0; --i",
        others=f"int r = i + 1; r < {n}; ++r" if lower else "int r = 0; r < i; ++r",
        factor=f"a[i * {n} + r]" if transpose_a else f"a[r * {n} + i]",
        divisor="1" if unit_diagonal else f"a[i * {n} + i]",
    )


def blocks(count: int, width: int) -> int:
    """In how many blocks right sides are taken."""
    return -(-count // (COLUMNS * width))


def words(n: int, dtype: np.dtype, width: int) -> dict[str, Any]:
    """What stands in the texts for rows of n elements."""
    kind, integer = ("float", "int") if dtype.itemsize == 4 else ("double", "long")
    lanes = "" if width == 1 else str(width)
    return {
        "T": kind,
        "kind": f"f{8 * dtype.itemsize}",
        "V": kind + lanes,
        "I": integer + lanes,
        "numbers": f"({integer + lanes})({', '.join(map(str, range(width)))})",
        "W": width,
        "S": -(-n // width),
        "L": -(-n // width) * width,
    }


_LU = Template("""
  $V v[$m * $S];
  $T *const w = (private $T *)v;
  __global const $T *x = b0 + e * ($m * $n);
  int order[$m];
  for (int i = 0; i < $m; ++i) {
    order[i] = i;
    v[i * $S + $S - 1] = ($V)(0);
    for (int j = 0; j < $n; ++j) w[i * $L + j] = x[i * $n + j];
  }
  for (int k = 0; k < $k; ++k) {
    int p = k;
    $T best = abs_${kind}x1(w[k * $L + k]);
    for (int i = k + 1; i < $m; ++i) {
      const $T size = abs_${kind}x1(w[i * $L + k]);
      if (size > best) { best = size; p = i; }
    }
    b2[e * $k + k] = p;
    if (p != k) {
      for (int s = 0; s < $S; ++s) {
        const $V t = v[k * $S + s];
        v[k * $S + s] = v[p * $S + s];
        v[p * $S + s] = t;
      }
      const int t = order[k];
      order[k] = order[p];
      order[p] = t;
    }
    const $T pivot = w[k * $L + k], divisor = pivot == 0 ? 1 : pivot;
    const int first = (k + 1) / $W;
    const $I right = $numbers + ($I)(first * $W - k - 1) >= ($I)(0);
    for (int i = k + 1; i < $m; ++i) {
      const $T factor = w[i * $L + k] / divisor;
      if (first < $S) {
        const $V t = v[i * $S + first];
        v[i * $S + first] = right ? t - ($V)(factor) * v[k * $S + first] : t;
      }
      for (int s = first + 1; s < $S; ++s) v[i * $S + s] -= ($V)(factor) * v[k * $S + s];
      w[i * $L + k] = factor;
    }
  }
  for (int i = 0; i < $m; ++i) {
    b3[e * $m + i] = order[i];
    for (int j = 0; j < $n; ++j) b1[(e * $m + i) * $n + j] = w[i * $L + j];
  }""")

# The rows of the upper factor, which is the lower one transposed.
_CHOLESKY = Template("""
  $V v[$n * $S];
  $T *const w = (private $T *)v;
  __global const $T *x = b0 + e * ($n * $n);
  for (int i = 0; i < $n * $S; ++i) v[i] = ($V)(0);
  for (int j = 0; j < $n; ++j)
    for (int i = 0; i <= j; ++i) w[i * $L + j] = x[j * $n + i];
  int good = 1;
  for (int k = 0; k < $n; ++k) {
    const $T pivot = w[k * $L + k];
    good &= pivot > 0;
    const $V root = ($V)(sqrt_${kind}x1(pivot));
    for (int s = k / $W; s < $S; ++s) v[k * $S + s] /= root;
    for (int i = k + 1; i < $n; ++i) {
      const $V factor = ($V)(w[k * $L + i]);
      for (int s = i / $W; s < $S; ++s) v[i * $S + s] -= factor * v[k * $S + s];
    }
  }
  for (int i = 0; i < $n; ++i)
    for (int j = 0; j < $n; ++j) {
      const $T value = good ? w[j * $L + i] : ($T)NAN;
      b1[(e * $n + i) * $n + j] = j <= i ? value : 0;
    }""")

_TRIANGULAR = Template("""
  $V x[$n * $S];
  $T *const w = (private $T *)x;
  const long which = e / $blocks;
  const int c0 = (int)(e % $blocks) * $block, cs = min($block, $count - c0);
  __global const $T *a = b0 + which * ($n * $n);
  for (int i = 0; i < $n; ++i) {
    x[i * $S + $S - 1] = ($V)(0);
    for (int c = 0; c < cs; ++c) w[i * $L + c] = b1[which * $all + $at];
  }
  int bad = 0;
  for ($rows) {
    const $T divisor = $divisor;
    bad |= divisor == 0;
    for (int s = 0; s < $S; ++s) x[i * $S + s] /= ($V)(divisor);
    for ($others) {
      const $V factor = ($V)($factor);
      for (int s = 0; s < $S; ++s) x[r * $S + s] -= factor * x[i * $S + s];
    }
  }
  for (int i = 0; i < $n; ++i)
    for (int c = 0; c < cs; ++c) b2[which * $all + $at] = bad ? ($T)NAN : w[i * $L + c];""")
