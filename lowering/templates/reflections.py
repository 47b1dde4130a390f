"""Reflections (Householder) as LAPACK packs them, and the permutation that row swaps make, as the
text of one stage.

A packed matrix has R in its upper triangle and the reflections' vectors below it, their ones left
out; all goes along rows, whose elements do not wait for each other. In: sizes and a dtype. Out: the
text for problem `e` over `b0`, ...
"""

from __future__ import annotations

from string import Template

import numpy as np

from lowering import scalar
from lowering.templates.orthogonal import SCALE, common


def pack(m: int, n: int, dtype: np.dtype) -> str:
    """`b0` [m, n] to its packed QR `b1` and the reflections' scales `b2`, with LAPACK's signs."""
    return _PACK.substitute(common(1, dtype, 1), m=m, n=n, k=min(m, n))


def multiply(
    m: int, n: int, columns: int, taus: int, dtype: np.dtype, *, left: bool, forward: bool
) -> str:
    """Reflections packed in `b0` [m or n, columns] and `b1` on `b2` [m, n] to `b3`, from one side;
    `forward`: the first comes first.
    """
    text = _LOAD + (_LEFT if left else _RIGHT)
    found = _words(m, n, columns, taus, dtype, forward)
    source, rows = f"b2[e * {m * n} + i]", m if left else n
    return Template(text).substitute(found, source=source, out="b3", r=rows)


def gather(m: int, n: int, taus: int, dtype: np.dtype) -> str:
    """The first n columns `b2` of the product of the reflections in `b0` [m, n] and `b1`."""
    found = _words(m, n, n, taus, dtype, False)
    return Template(_LOAD + _LEFT).substitute(found, source=f"i / {n} == i % {n}", out="b2", r=m)


def permutation(swaps: int, size: int, dtype: np.dtype) -> str:
    """Row swaps `b0`, i with `b0`[i] in turn, to the permutation `b1` that they make."""
    return _PERMUTATION.substitute(T=scalar.memory_type(dtype), k=swaps, size=size)


def _words(
    m: int, n: int, columns: int, taus: int, dtype: np.dtype, forward: bool
) -> dict[str, object]:
    turn = "int k = 0; k < {0}; ++k" if forward else "int k = {0} - 1; k >= 0; --k"
    kind = scalar.memory_type(dtype)
    return {"T": kind, "m": m, "n": n, "a": columns, "k": taus, "turn": turn.format(taus)}


_PACK = Template(
    SCALE.replace("SIZE", "($m * $n)")
    + """
  $T w[$m * $n], d[$n];
  for (int i = 0; i < $m * $n; ++i) w[i] = x[i] * up;
  for (int k = 0; k < $k; ++k) {
    $T rest = 0;
    for (int i = k + 1; i < $m; ++i) rest += w[i * $n + k] * w[i * $n + k];
    b2[e * $k + k] = odd;
    if (rest == 0) continue;
    const $T alpha = w[k * $n + k], norm = sqrt_${kind}x1(alpha * alpha + rest);
    const $T beta = alpha > 0 ? -norm : norm;
    const $T factor = 1 / (alpha - beta), tau = (beta - alpha) / beta;
    b2[e * $k + k] = tau + odd;
    w[k * $n + k] = beta;
    for (int i = k + 1; i < $m; ++i) w[i * $n + k] *= factor;
    for (int j = k + 1; j < $n; ++j) d[j] = w[k * $n + j];
    for (int i = k + 1; i < $m; ++i)
      for (int j = k + 1; j < $n; ++j) d[j] += w[i * $n + k] * w[i * $n + j];
    for (int j = k + 1; j < $n; ++j) {
      d[j] *= tau;
      w[k * $n + j] -= d[j];
    }
    for (int i = k + 1; i < $m; ++i)
      for (int j = k + 1; j < $n; ++j) w[i * $n + j] -= w[i * $n + k] * d[j];
  }
  for (int i = 0; i < $m; ++i)
    for (int j = 0; j < $n; ++j)
      b1[(e * $m + i) * $n + j] = w[i * $n + j] * (i <= j ? down : 1) + odd;
"""
)

_LOAD = """
  __global const $T *v = b0 + e * $r * $a, *taus = b1 + e * $k;
  $T w[$m * $n], d[$n];
  for (int i = 0; i < $m * $n; ++i) w[i] = $source;
  for ($turn) {
    const $T tau = taus[k];"""

_LEFT = """
    for (int j = 0; j < $n; ++j) d[j] = w[k * $n + j];
    for (int i = k + 1; i < $m; ++i)
      for (int j = 0; j < $n; ++j) d[j] += v[i * $a + k] * w[i * $n + j];
    for (int j = 0; j < $n; ++j) {
      d[j] *= tau;
      w[k * $n + j] -= d[j];
    }
    for (int i = k + 1; i < $m; ++i)
      for (int j = 0; j < $n; ++j) w[i * $n + j] -= v[i * $a + k] * d[j];
  }
  for (int i = 0; i < $m * $n; ++i) $out[e * $m * $n + i] = w[i];
"""

_RIGHT = """
    for (int j = k + 1; j < $n; ++j) d[j] = v[j * $a + k];
    for (int i = 0; i < $m; ++i) {
      $T sum = w[i * $n + k];
      for (int j = k + 1; j < $n; ++j) sum += w[i * $n + j] * d[j];
      sum *= tau;
      w[i * $n + k] -= sum;
      for (int j = k + 1; j < $n; ++j) w[i * $n + j] -= sum * d[j];
    }
  }
  for (int i = 0; i < $m * $n; ++i) $out[e * $m * $n + i] = w[i];
"""

# Indices count from the end where negative, as in Python; they must be inside.
_PERMUTATION = Template("""
  __global $T *row = b1 + e * $size;
  for (int i = 0; i < $size; ++i) row[i] = i;
  for (int i = 0; i < $k; ++i) {
    long j = b0[e * $k + i];
    j = j < 0 ? j + $size : j;
    j = j < 0 ? 0 : j >= $size ? $size - 1 : j;
    const $T other = row[j];
    row[j] = row[i];
    row[i] = other;
  }
""")
