"""QR, symmetric eigenvalues and singular values of small matrices, as the text of one stage.

Reflections (Householder) make Q and R, and a tridiagonal matrix; rotations do the rest: implicit QR
steps with Wilkinson's shift, one-sided Jacobi (Golub and Van Loan, Matrix Computations, 5.2, 8.3,
8.6). Rows of vectors hold columns; a power of two brings the largest element near one first.
"""

from __future__ import annotations

from string import Template
from typing import Any

import numpy as np

from lowering.templates.dense import words

SWEEPS = 40  # of Jacobi's rotations; six to ten suffice
STEPS = 40  # of the implicit QR steps for each eigenvalue; two suffice


def qr(m: int, n: int, columns: int, dtype: np.dtype, width: int) -> str:
    """`b0` [m, n] to Q `b1` [m, columns] and R `b2`, with LAPACK's signs."""
    k = min(m, n)
    return _QR.substitute(common(m, dtype, width), m=m, n=n, k=k, c=columns, r=min(columns, m))


def eigh(n: int, lower: bool, vectors: bool, dtype: np.dtype, width: int) -> str:
    """`b0` [n, n], of which a triangle is read, to eigenvectors `b1` and ascending eigenvalues
    `b2`; or to eigenvalues `b1` alone.
    """
    at = f"i * {n} + j" if lower else f"j * {n} + i"
    words = {**common(n, dtype, width), "n": n, "at": at, "all": STEPS * n}
    parts = (_REDUCED, _GATHERED, _TURNS, _TURNED, _ORDERED, _VECTORS)
    if not vectors:
        parts = (_REDUCED, _TURNS, _ORDERED)
    text = "".join(parts).replace("VALUES", "b2" if vectors else "b1")
    return Template(text + "\n  }\n").substitute(words)


def svd(m: int, n: int, full: bool, vectors: bool, dtype: np.dtype, width: int) -> str:
    """`b0` [m, n] to descending singular values `b1`, and U `b2`, V^T `b3` where asked for."""
    turned = m < n  # the longer side's vectors are rotated, the shorter side's come of it
    long, short = max(m, n), min(m, n)
    text = Template(_SVD.template + (_SVD_VECTORS.template if vectors else "")).substitute
    columns = long if full else short
    outs = ("b3", "b2") if turned else ("b2", "b3")
    return text(
        common(long, dtype, width),
        m=long,
        n=short,
        c=columns,
        sweeps=SWEEPS,
        load=f"x[j * {n} + i]" if turned else f"x[i * {n} + j]",
        of_long=f"{outs[0]}[e * {long * columns} + "
        + (f"r * {long} + i]" if turned else f"i * {columns} + r]"),
        of_short=f"{outs[1]}[e * {short * short} + "
        + (f"i * {short} + r]" if turned else f"r * {short} + i]"),
        P=-(-short // width),
        keep=int(vectors),
    )


def common(n: int, dtype: np.dtype, width: int) -> dict[str, Any]:
    """The words of rows of n elements, and what depends on how numbers are kept."""
    single = dtype.itemsize == 4
    return {
        **words(n, dtype, width),
        "eps": "1.1920929e-07f" if single else "2.220446049250313e-16",
        "bits": "int" if single else "long",
        "shift": 23 if single else 52,
        "field": "0xff" if single else "0x7ffL",
        "twice": "254" if single else "2046L",
    }


# `up`, a power of two, brings the largest element near one; `down` takes it back.
SCALE = """
  __global const $T *x = b0 + e * SIZE;
  $T big = 0, odd = 0;
  for (int i = 0; i < SIZE; ++i) {
    big = max_${kind}x1(big, abs_${kind}x1(x[i]));
    odd += x[i] * 0;
  }
  $bits power = as_$bits(big) >> $shift & $field;
  power = power < 2 ? 2 : power > $twice - 2 ? $twice - 2 : power;
  const $T up = as_$T(($twice - power) << $shift), down = as_$T(power << $shift);"""

_QR = Template(
    SCALE.replace("SIZE", "($m * $n)")
    + """
  $V v[$n * $S], q[$c * $S], h[$S];
  $T *const w = (private $T *)v, *const z = (private $T *)q, *const g = (private $T *)h;
  $T taus[$k];
  for (int j = 0; j < $n; ++j) {
    v[j * $S + $S - 1] = ($V)(0);
    for (int i = 0; i < $m; ++i) w[j * $L + i] = x[i * $n + j] * up;
  }
  for (int j = 0; j < $c * $S; ++j) q[j] = ($V)(0);
  for (int j = 0; j < $c; ++j) z[j * $L + j] = 1;
  for (int k = 0; k < $k; ++k) {
    const int first = k / $W;
    const $I below = $numbers + ($I)(first * $W - k) > ($I)(0);
    for (int s = first; s < $S; ++s) h[s] = v[k * $S + s];
    h[first] = below ? h[first] : ($V)(0);
    $V sum = ($V)(0);
    for (int s = first; s < $S; ++s) sum += h[s] * h[s];
    const $T rest = fold_add_${kind}x$W(sum), alpha = w[k * $L + k];
    taus[k] = 0;
    if (rest == 0) continue;
    const $T norm = sqrt_${kind}x1(alpha * alpha + rest), beta = alpha > 0 ? -norm : norm;
    const $V factor = ($V)(1 / (alpha - beta));
    for (int s = first; s < $S; ++s) h[s] *= factor;
    g[k] = 1;
    const $T tau = taus[k] = (beta - alpha) / beta;
    for (int j = k + 1; j < $n; ++j) {
      $V dot = ($V)(0);
      for (int s = first; s < $S; ++s) dot += h[s] * v[j * $S + s];
      const $V more = ($V)(tau * fold_add_${kind}x$W(dot));
      for (int s = first; s < $S; ++s) v[j * $S + s] -= more * h[s];
    }
    w[k * $L + k] = beta;
    for (int i = k + 1; i < $m; ++i) w[k * $L + i] = g[i];
  }
  for (int k = $k - 1; k >= 0; --k) {
    if (taus[k] == 0) continue;
    const int first = k / $W;
    const $I below = $numbers + ($I)(first * $W - k) > ($I)(0);
    for (int s = first; s < $S; ++s) h[s] = v[k * $S + s];
    h[first] = below ? h[first] : ($V)(0);
    g[k] = 1;
    for (int j = k; j < $c; ++j) {
      $V dot = ($V)(0);
      for (int s = first; s < $S; ++s) dot += h[s] * q[j * $S + s];
      const $V more = ($V)(taus[k] * fold_add_${kind}x$W(dot));
      for (int s = first; s < $S; ++s) q[j * $S + s] -= more * h[s];
    }
  }
  for (int i = 0; i < $m; ++i)
    for (int j = 0; j < $c; ++j) b1[(e * $m + i) * $c + j] = z[j * $L + i] + odd;
  for (int i = 0; i < $r; ++i)
    for (int j = 0; j < $n; ++j)
      b2[(e * $r + i) * $n + j] = i <= j ? w[j * $L + i] * down + odd : 0;
"""
)

# A = Q T Q^T by reflections; a column of v keeps the vector of its own.
_REDUCED = (
    SCALE.replace("SIZE", "($n * $n)")
    + """
  $V v[$n * $S], q[$n * $S], h[$S], p[$S];
  $T *const w = (private $T *)v, *const z = (private $T *)q;
  $T *const g = (private $T *)h, *const u = (private $T *)p;
  $T d[$n], o[$n], taus[$n];
  for (int i = 0; i < $n * $S; ++i) v[i] = q[i] = ($V)(0);
  for (int i = 0; i < $n; ++i) {
    z[i * $L + i] = 1;
    o[i] = taus[i] = 0;
    for (int j = 0; j <= i; ++j) w[i * $L + j] = w[j * $L + i] = x[$at] * up;
  }
  for (int k = 0; k < $n; ++k) {
    d[k] = w[k * $L + k];
    if (k + 1 < $n) o[k] = w[k * $L + k + 1];
    if (k + 2 >= $n) continue;
    const int first = (k + 1) / $W;
    const $I below = $numbers + ($I)(first * $W - k - 1) > ($I)(0);
    for (int s = 0; s < $S; ++s) h[s] = p[s] = ($V)(0);
    for (int s = first; s < $S; ++s) h[s] = v[k * $S + s];
    h[first] = below ? h[first] : ($V)(0);
    $V sum = ($V)(0);
    for (int s = first; s < $S; ++s) sum += h[s] * h[s];
    const $T rest = fold_add_${kind}x$W(sum), alpha = o[k];
    if (rest == 0) continue;
    const $T norm = sqrt_${kind}x1(alpha * alpha + rest), beta = alpha > 0 ? -norm : norm;
    const $V factor = ($V)(1 / (alpha - beta));
    for (int s = first; s < $S; ++s) h[s] *= factor;
    g[k + 1] = 1;
    o[k] = beta;
    const $T tau = taus[k] = (beta - alpha) / beta;
    $V both = ($V)(0);
    for (int i = k + 1; i < $n; ++i) {
      $V dot = ($V)(0);
      for (int s = first; s < $S; ++s) dot += v[i * $S + s] * h[s];
      u[i] = tau * fold_add_${kind}x$W(dot);
    }
    for (int s = first; s < $S; ++s) both += p[s] * h[s];
    const $V part = ($V)(tau * fold_add_${kind}x$W(both) / 2);
    for (int s = first; s < $S; ++s) p[s] -= part * h[s];
    for (int i = k + 1; i < $n; ++i) {
      const $V a = ($V)(g[i]), b = ($V)(u[i]);
      for (int s = first; s < $S; ++s) v[i * $S + s] -= a * p[s] + b * h[s];
    }
    for (int s = 0; s < $S; ++s) v[k * $S + s] = h[s];
  }"""
)

# Q as rows of q.
_GATHERED = """
  for (int k = $n - 3; k >= 0; --k) {
    if (taus[k] == 0) continue;
    const int first = (k + 1) / $W;
    for (int j = k + 1; j < $n; ++j) {
      $V dot = ($V)(0);
      for (int s = first; s < $S; ++s) dot += v[k * $S + s] * q[j * $S + s];
      const $V more = ($V)(taus[k] * fold_add_${kind}x$W(dot));
      for (int s = first; s < $S; ++s) q[j * $S + s] -= more * v[k * $S + s];
    }
  }"""

# Implicit shifts (Wilkinson's) chase the off-diagonal o away.
_TURNS = """
  int high = $n - 1;
  for (int step = 0; high > 0 && step < $all; ++step) {
    for (int k = 0; k < high; ++k) {
      const $T size = abs_${kind}x1(d[k]) + abs_${kind}x1(d[k + 1]) + $eps;
      if (abs_${kind}x1(o[k]) <= $eps * size) o[k] = 0;
    }
    while (high > 0 && o[high - 1] == 0) --high;
    if (high == 0) break;
    int low = high - 1;
    while (low > 0 && o[low - 1] != 0) --low;
    const $T apart = (d[high - 1] - d[high]) / 2, last = o[high - 1];
    const $T root = sqrt_${kind}x1(apart * apart + last * last);
    $T a = d[low] - d[high] + last * last / (apart + (apart < 0 ? -root : root)), b = o[low];
    for (int k = low; k < high; ++k) {
      const $T r = sqrt_${kind}x1(a * a + b * b);
      const $T c = r == 0 ? 1 : a / r, s = r == 0 ? 0 : b / r;
      if (k > low) o[k - 1] = r;
      const $T one = d[k], two = d[k + 1], beside = o[k];
      d[k] = c * c * one + 2 * c * s * beside + s * s * two;
      d[k + 1] = s * s * one - 2 * c * s * beside + c * c * two;
      o[k] = c * s * (two - one) + (c * c - s * s) * beside;
      a = o[k];
      if (k + 1 < high) {
        b = s * o[k + 1];
        o[k + 1] *= c;
      }"""

_TURNED = """
      for (int t = 0; t < $S; ++t) {
        const $V left = q[k * $S + t], right = q[(k + 1) * $S + t];
        q[k * $S + t] = ($V)(c) * left + ($V)(s) * right;
        q[(k + 1) * $S + t] = ($V)(c) * right - ($V)(s) * left;
      }"""

_ORDERED = """
    }
  }
  int order[$n];
  for (int i = 0; i < $n; ++i) {
    int at = i;
    for (; at > 0 && d[order[at - 1]] > d[i]; --at) order[at] = order[at - 1];
    order[at] = i;
  }
  for (int r = 0; r < $n; ++r) {
    VALUES[e * $n + r] = d[order[r]] * down + odd;"""

_VECTORS = """
    for (int i = 0; i < $n; ++i) b1[(e * $n + i) * $n + r] = z[order[r] * $L + i] + odd;"""


_SVD = Template(
    SCALE.replace("SIZE", "($m * $n)")
    + """
  $V v[$n * $S], q[$n * $P];
  $T *const w = (private $T *)v, *const z = (private $T *)q;
  for (int i = 0; i < $n * $P; ++i) q[i] = ($V)(0);
  for (int j = 0; j < $n; ++j) {
    z[j * $P * $W + j] = 1;
    v[j * $S + $S - 1] = ($V)(0);
    for (int i = 0; i < $m; ++i) w[j * $L + i] = $load * up;
  }
  int turns = 1;
  for (int sweep = 0; turns && sweep < $sweeps; ++sweep) {
    turns = 0;
    for (int j = 0; j < $n; ++j)
      for (int k = j + 1; k < $n; ++k) {
        $V one = ($V)(0), two = ($V)(0), both = ($V)(0);
        for (int s = 0; s < $S; ++s) {
          const $V a = v[j * $S + s], b = v[k * $S + s];
          one += a * a;
          two += b * b;
          both += a * b;
        }
        const $T aa = fold_add_${kind}x$W(one), bb = fold_add_${kind}x$W(two);
        const $T ab = fold_add_${kind}x$W(both);
        const $T size = sqrt_${kind}x1(aa) * sqrt_${kind}x1(bb);
        if (!(abs_${kind}x1(ab) > 4 * $eps * size)) continue;
        turns = 1;
        const $T zeta = (bb - aa) / (2 * ab), wide = abs_${kind}x1(zeta);
        const $T t = (zeta < 0 ? -1 : 1) / (wide + sqrt_${kind}x1(1 + zeta * zeta));
        const $T c = 1 / sqrt_${kind}x1(1 + t * t), d = c * t;
        for (int s = 0; s < $S; ++s) {
          const $V a = v[j * $S + s], b = v[k * $S + s];
          v[j * $S + s] = ($V)(c) * a - ($V)(d) * b;
          v[k * $S + s] = ($V)(d) * a + ($V)(c) * b;
        }
        for (int s = 0; s < $keep * $P; ++s) {
          const $V a = q[j * $P + s], b = q[k * $P + s];
          q[j * $P + s] = ($V)(c) * a - ($V)(d) * b;
          q[k * $P + s] = ($V)(d) * a + ($V)(c) * b;
        }
      }
  }
  $T sizes[$n];
  int order[$n];
  for (int j = 0; j < $n; ++j) {
    $V sum = ($V)(0);
    for (int s = 0; s < $S; ++s) sum += v[j * $S + s] * v[j * $S + s];
    sizes[j] = sqrt_${kind}x1(fold_add_${kind}x$W(sum));
    int at = j;
    for (; at > 0 && sizes[order[at - 1]] < sizes[j]; --at) order[at] = order[at - 1];
    order[at] = j;
  }
  for (int r = 0; r < $n; ++r) b1[e * $n + r] = sizes[order[r]] * down + odd;
"""
)

# Vectors of singular values near zero, and those beyond the shorter side: what is farthest from the
# others' span, made orthogonal to them twice.
_SVD_VECTORS = Template("""
  $V f[$c * $S];
  $T *const y = (private $T *)f;
  const $T least = sizes[order[0]] * $eps * $eps;
  for (int r = 0; r < $c; ++r) {
    const int from = r < $n ? order[r] : 0;
    if (r < $n && sizes[from] > least) {
      const $V factor = ($V)(1 / sizes[from]);
      for (int s = 0; s < $S; ++s) f[r * $S + s] = v[from * $S + s] * factor;
      continue;
    }
    int far = 0;
    $T nearest = 2;
    for (int i = 0; i < $m; ++i) {
      $T inside = 0;
      for (int t = 0; t < r; ++t) inside += y[t * $L + i] * y[t * $L + i];
      if (inside < nearest) { nearest = inside; far = i; }
    }
    for (int s = 0; s < $S; ++s) f[r * $S + s] = ($V)(0);
    y[r * $L + far] = 1;
    for (int again = 0; again < 2; ++again) {
      for (int t = 0; t < r; ++t) {
        $V dot = ($V)(0);
        for (int s = 0; s < $S; ++s) dot += f[t * $S + s] * f[r * $S + s];
        const $V more = ($V)(fold_add_${kind}x$W(dot));
        for (int s = 0; s < $S; ++s) f[r * $S + s] -= more * f[t * $S + s];
      }
      $V sum = ($V)(0);
      for (int s = 0; s < $S; ++s) sum += f[r * $S + s] * f[r * $S + s];
      const $V factor = ($V)(1 / sqrt_${kind}x1(fold_add_${kind}x$W(sum)));
      for (int s = 0; s < $S; ++s) f[r * $S + s] *= factor;
    }
  }
  for (int r = 0; r < $c; ++r)
    for (int i = 0; i < $m; ++i) $of_long = y[r * $L + i] + odd;
  for (int r = 0; r < $n; ++r)
    for (int i = 0; i < $n; ++i) $of_short = z[order[r] * $P * $W + i] + odd;
""")
