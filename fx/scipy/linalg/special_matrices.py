"""Matrices of special form: block diagonal, Toeplitz, Hankel, circulant, companion, Hadamard,
Pascal, Hilbert, ...
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.avals import canonicalize_dtype
from fx.dtypes import as_dtype
from fx.numpy.util import check_arraylike, promote_dtypes, promote_inexact, wrap

__all__ = [
    "block_diag",
    "circulant",
    "companion",
    "convolution_matrix",
    "dft",
    "fiedler",
    "fiedler_companion",
    "hadamard",
    "hankel",
    "helmert",
    "hilbert",
    "invhilbert",
    "invpascal",
    "leslie",
    "pascal",
    "toeplitz",
]


def block_diag(*arrs: Any) -> Any:
    """Matrices along the diagonal, zeros elsewhere.

    [sum of rows, sum of columns], in the common dtype; vectors are rows. ValueError for more axes.
    """
    members = [
        fnp.atleast_2d(x) for x in promote_dtypes("block_diag", *(arrs or (fnp.zeros((1, 0)),)))
    ]
    if any(x.ndim > 2 for x in members):
        bad = [k for k, x in enumerate(members) if x.ndim > 2]
        raise ValueError(
            f"Arguments to fx.scipy.linalg.block_diag must have at most 2 dimensions, got {bad}"
        )
    rows, cols = sum(x.shape[0] for x in members), sum(x.shape[1] for x in members)
    out = fnp.zeros((rows, cols), members[0].dtype)
    i = j = 0
    for x in members:
        out = out.at[i : i + x.shape[0], j : j + x.shape[1]].set(x)
        i, j = i + x.shape[0], j + x.shape[1]
    return out


def _line(name: str, x: Any) -> Any:
    check_arraylike(name, x)
    return fnp.atleast_1d(fnp.asarray(x))


def toeplitz(c: Any, r: Any = None) -> Any:
    """Constant along diagonals: first column c, first row r (conj(c) by default).

    c [..., m], r [..., n] give [..., m, n]; r[0] is not read.
    """
    check_arraylike("toeplitz", c)
    column = _line("toeplitz", c)
    if column.ndim > 1 or (r is not None and np.ndim(r) > 1):
        row = fnp.conj(column) if r is None else _line("toeplitz", r)
        return fnp.vectorize(_toeplitz, signature="(m),(n)->(m,n)")(column, row)
    row = fnp.conj(column) if r is None else _line("toeplitz", r)
    return _toeplitz(column, row)


def _toeplitz(c: Any, r: Any) -> Any:
    c, r = promote_dtypes("toeplitz", c, r)
    m, n = c.shape[0], r.shape[0]
    if m == 0 or n == 0:
        return fnp.empty((m, n), c.dtype)
    values = fnp.concatenate([fnp.flip(c, 0), r[1:]])
    index = np.arange(m)[::-1, None] + np.arange(n)[None, :]
    return values[wrap(index.astype(np.int32))]


def hankel(c: Any, r: Any = None) -> Any:
    """Constant along antidiagonals: first column c, last row r (zeros by default).

    c [..., m], r [..., n] give [..., m, n]; r[0] is not read.
    """
    c = _line("hankel", c)
    r = fnp.zeros_like(c) if r is None else _line("hankel", r)
    c, r = promote_dtypes("hankel", c, r)
    return fnp.vectorize(_hankel, signature="(m),(n)->(m,n)")(c, r)


def _hankel(c: Any, r: Any) -> Any:
    values = fnp.concatenate([c, r[1:]])
    index = np.arange(c.shape[0])[:, None] + np.arange(r.shape[0])[None, :]
    return values[wrap(index.astype(np.int32))]


def circulant(c: Any) -> Any:
    """Each column the one before, rolled.

    c [..., n] is the first column of [..., n, n].
    """
    c = _line("circulant", c)
    n = c.shape[-1]
    index = (np.arange(n)[:, None] - np.arange(n)[None, :]) % n
    return c[..., wrap(index.astype(np.int32))]


def companion(a: Any) -> Any:
    """The matrix whose characteristic polynomial has coefficients a.

    a [..., n + 1], from the highest power, gives [..., n, n]. ValueError for fewer than two.
    """
    a = _line("companion", a)
    if a.shape[-1] < 2:
        raise ValueError("The length of `a` along the last axis must be at least 2.")
    a = a / 1.0 if a.dtype.kind in "iu" else a
    n = a.shape[-1] - 1
    out = fnp.broadcast_to(fnp.eye(n, k=-1, dtype=a.dtype), (*a.shape[:-1], n, n))
    return out.at[..., 0, :].set(-a[..., 1:] / a[..., :1])


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """The matrix of convolution with a over signals of length n.

    a [..., m] gives [..., m + n - 1, n], with mode "valid" or "same" the middle rows. ValueError
    for n < 1, empty a and other modes.
    """
    if n <= 0:
        raise ValueError("n must be a positive integer.")
    a = _line("convolution_matrix", a)
    if a.size == 0:
        raise ValueError("len(a) must be at least 1.")
    if mode not in ("full", "valid", "same"):
        raise ValueError("'mode' argument must be one of ('full', 'valid', 'same')")
    m = a.shape[-1]
    padded = fnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, n - 1)])
    row = fnp.pad(a[..., :1], [(0, 0)] * (a.ndim - 1) + [(0, n - 1)])
    full = toeplitz(padded, row)
    if mode == "full":
        return full
    if mode == "same":
        size = max(n, m)
        begin = (full.shape[-2] - size) // 2
        return full[..., begin : begin + size, :]
    cut = min(n, m) - 1
    return full[..., cut : full.shape[-2] - cut, :]


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Any:
    """The matrix of the discrete Fourier transform.

    exp(-2 pi i j k / n), over sqrt(n) or n by `scale` (ValueError otherwise); complex64 by default.
    """
    if scale not in (None, "sqrtn", "n"):
        raise ValueError(f"scale must be None, 'sqrtn', or 'n'; got {scale!r}")
    wanted = canonicalize_dtype(np.complex128 if dtype is None else as_dtype(dtype))
    k = np.arange(n)
    m = np.exp(-2j * np.pi * ((k[:, None] * k) % n) / n)
    m = m / (np.sqrt(n) if scale == "sqrtn" else n if scale == "n" else 1)
    return wrap(m.astype(wanted))


def fiedler(a: Any) -> Any:
    """The symmetric matrices [..., n, n] of |a_i - a_j|, for lines a [..., n].

    The dtype stays; a scalar is a line of one.
    """
    a = _line("fiedler", a)
    return fnp.abs(a[..., :, None] - a[..., None, :])


def fiedler_companion(a: Any) -> Any:
    """A pentadiagonal companion matrix (Fiedler 2003).

    a [..., n + 1] gives [..., n, n], with the eigenvalues of `companion`.
    """
    (a,) = promote_inexact("fiedler_companion", _line("fiedler_companion", a))
    if a.shape[-1] == 0:
        raise ValueError(
            f"fiedler_companion requires coefficients along the last axis, got shape {a.shape}."
        )
    return fnp.vectorize(_fiedler_companion, signature="(n)->(m,m)")(a)


def _fiedler_companion(a: Any) -> Any:
    n = a.size - 1
    if n < 2:
        return fnp.reshape(-a[1:] / a[0], (n, n))
    a = a / a[0]
    out = fnp.zeros((n, n), a.dtype)
    out = out.at[wrap(np.arange(3, n, 2)), wrap(np.arange(1, n - 2, 2))].set(1)
    out = out.at[wrap(np.arange(2, n, 2)), wrap(np.arange(1, n - 1, 2))].set(-a[3::2])
    out = out.at[wrap(np.arange(0, n - 2, 2)), wrap(np.arange(2, n, 2))].set(1)
    out = out.at[wrap(np.arange(0, n - 1, 2)), wrap(np.arange(1, n, 2))].set(-a[2::2])
    return out.at[0, 0].set(-a[1]).at[1, 0].set(1)


def hadamard(n: int, dtype: Any = int) -> Any:
    """A matrix of +-1 with orthogonal rows; n a power of 2.

    Sylvester's construction; int32 by default. ValueError for other n.
    """
    if n < 1 or n & (n - 1):
        raise ValueError("n must be a positive integer and a power of 2.")
    out = np.ones((1, 1))
    while out.shape[0] < n:
        out = np.block([[out, out], [out, -out]])
    return wrap(out.astype(canonicalize_dtype(as_dtype(dtype))))


def helmert(n: int, full: bool = False) -> Any:
    """Helmert's orthogonal matrix; without its first row unless full.

    [n - 1, n] floats, or [n, n]; ValueError for n < 1.
    """
    if n < 1:
        raise ValueError("n must be a positive integer.")
    k = np.arange(n)
    h = np.tril(np.ones((n, n)), -1) - np.diag(k)
    d = k * np.arange(1, n + 1)
    h[0] = 1
    d[0] = n
    out = h / np.sqrt(d)[:, None]
    return wrap(out if full else out[1:])


def hilbert(n: int) -> Any:
    """The Hilbert matrix [n, n]: 1 / (i + j + 1), a matrix that is very nearly singular.

    float32 (float64 under enable_x64).
    """
    k = np.arange(n)
    return wrap(1.0 / (k[:, None] + k[None, :] + 1))


def invhilbert(n: int) -> Any:
    """The inverse of hilbert(n), which has whole entries.

    Computed in float64 and rounded to the default float: exact in float64 up to n = 14.
    """
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            s = i + j
            value = (s + 1) * comb(n + i, n - j - 1) * comb(n + j, n - i - 1) * comb(s, i) ** 2
            out[i, j] = -value if s % 2 else value
    return wrap(out)


def leslie(f: Any, s: Any) -> Any:
    """Leslie's matrix of fecundities f and survivals s.

    f [..., n], s [..., n - 1] give [..., n, n]: f in the first row, s below the diagonal.
    ValueError for other lengths.
    """
    f, s = promote_dtypes("leslie", _line("leslie", f), _line("leslie", s))
    if f.shape[-1] != s.shape[-1] + 1:
        raise ValueError("Length of f must be one more than that of s along the last axis.")
    n = f.shape[-1]
    out = fnp.zeros((*f.shape[:-1], n, n), f.dtype).at[..., 0, :].set(f)
    k = np.arange(n - 1)
    return out.at[..., wrap(k + 1), wrap(k)].set(s)


def pascal(n: int, kind: str | None = None) -> Any:
    """Pascal's triangle as a symmetric, lower or upper matrix.

    [n, n] floats: the binomials of i and j lower, those of i + j symmetric. ValueError for other
    kinds.
    """
    kind = "symmetric" if kind is None else kind
    if kind not in ("symmetric", "lower", "upper"):
        raise ValueError("kind must be 'symmetric', 'lower', or 'upper'")
    lower = np.array([[comb(i, j) for j in range(n)] for i in range(n)], np.float64).reshape(n, n)
    return wrap({"lower": lower, "upper": lower.T, "symmetric": lower @ lower.T}[kind])


def invpascal(n: int, kind: str | None = None) -> Any:
    """The inverse of pascal(n).

    [n, n] floats with signs; kinds as in `pascal`.
    """
    kind = "symmetric" if kind is None else kind
    if kind not in ("symmetric", "lower", "upper"):
        raise ValueError("'kind' must be 'symmetric', 'lower' or 'upper'.")
    lower = np.array(
        [[(-1) ** (i - j) * comb(i, j) if j <= i else 0 for j in range(n)] for i in range(n)],
        np.float64,
    ).reshape(n, n)
    return wrap({"lower": lower, "upper": lower.T, "symmetric": lower.T @ lower}[kind])
