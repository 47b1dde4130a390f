"""One matrix by SciPy's LAPACK, which is up to twice as fast as the one that NumPy brings.

LAPACK's matrices lie by columns, NumPy's by rows. What is only read goes in as its transpose, which
costs nothing; what LAPACK writes to is turned in strips, because lines a power of two apart push
each other out of the caches: 4 times the speed at 512 x 512 of float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fx.lazy import LazyModule

sl = LazyModule("scipy.linalg")

FAR, MANY = 1024, 1 << 18  # bytes between rows, and of a matrix, from which strips are worth it
STRIP = 64  # bytes: a line
STACK_ROWS = 64  # of the matrices of a stack; smaller ones NumPy goes through without Python


def one_by_one(x: np.ndarray) -> bool:
    """Whether a stack [..., m, n] comes here matrix by matrix, not to NumPy as it is."""
    return math.prod(x.shape[:-2]) == 1 or max(x.shape[-2:]) >= STACK_ROWS


def by_columns(a: np.ndarray) -> np.ndarray:
    """A copy as LAPACK's matrices are, for it to overwrite."""
    return _turned(a).T


def by_rows(a: np.ndarray) -> np.ndarray:
    """A copy of what LAPACK gave, as NumPy's arrays are."""
    return _turned(a.T)


def _turned(a: np.ndarray) -> np.ndarray:
    """A new array by rows: the transpose of `a`."""
    if a.nbytes < MANY:
        return a.T.copy()
    m, n = a.shape
    out = np.empty((n, m), a.dtype)
    far = not n * a.itemsize % FAR or not m * a.itemsize % FAR
    step = STRIP // a.itemsize if far else max(m, 1)
    for i in range(0, m, step):
        out[:, i : i + step] = a[i : i + step].T
    return out


def _routine(name: str, a: np.ndarray) -> Any:
    return sl.get_lapack_funcs(name, (a,))


def _elements(work: Any, a: np.ndarray) -> int:
    """LAPACK's answer, how much memory it wants; a float32 may have been rounded down."""
    exact = a.dtype in (np.float64, np.complex128)
    return int(work.real if exact else np.nextafter(np.float32(work.real), np.float32(np.inf)))


def lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packed factors and row swaps."""
    factors, pivots, _ = _routine("getrf", a)(by_columns(a), overwrite_a=True)
    return by_rows(factors), pivots.astype(np.int32)


def triangular_solve(
    a: np.ndarray, b: np.ndarray, left: bool, lower: bool, transpose: bool, unit: bool
) -> np.ndarray:
    """x with op(a) x = b or x op(a) = b; NaN where a has a zero on its diagonal.

    By columns, memory holds a.T and b.T, and op(a) x = b is x.T op(a).T = b.T.
    """
    if not unit and not np.diagonal(a).all():
        return np.full_like(b, np.nan)
    if left and b.shape[1] == 1:
        trsv = sl.get_blas_funcs("trsv", (a, b))
        x = trsv(a.T, b.ravel(), lower=not lower, trans=int(not transpose), diag=int(unit))
        return x.reshape(b.shape)
    trsm = sl.get_blas_funcs("trsm", (a, b))
    trans = {"lower": not lower, "trans_a": int(transpose), "diag": int(unit)}
    return trsm(1, a.T, b.T, side=int(left), **trans).T


def qr(a: np.ndarray, full: bool) -> tuple[np.ndarray, np.ndarray]:
    """Q and R: all of Q where full, else its first columns."""
    m, n = a.shape
    k = min(m, n)
    geqrf, asked = sl.get_lapack_funcs(("geqrf", "geqrf_lwork"), (a,))
    work = _elements(asked(m, max(m, n))[0], a)  # enough for Q's columns too
    packed, taus, *_ = geqrf(by_columns(a), lwork=work, overwrite_a=True)
    r = by_rows(packed[: m if full else k])
    for i in range(1, len(r)):  # a third of the time of np.triu, which makes a mask
        r[i, :i] = 0
    q = packed[:, :k]
    if full and m > n:
        q = np.zeros((m, m), a.dtype, order="F")
        q[:, :n] = packed
    made = _routine("ungqr" if a.dtype.kind == "c" else "orgqr", a)
    q, *_ = made(q, taus, lwork=work, overwrite_a=True)
    return by_rows(q), r


def eigh(a: np.ndarray, lower: bool, vectors: bool) -> tuple[np.ndarray, ...]:
    """Ascending eigenvalues, and eigenvectors if wanted; NaN where LAPACK finds none.

    The transpose has the same eigenvalues; the signs of vectors are those of the matrix as it is.
    """
    name = "heevd" if a.dtype.kind == "c" else "syevd"
    evd, asked = sl.get_lapack_funcs((name, f"{name}_lwork"), (a,))
    matrix, lower = (by_columns(a), lower) if vectors else (a.T, not lower)
    work, iwork, *rwork, _ = asked(a.shape[0], compute_v=int(vectors), lower=int(lower))
    sizes = {"lwork": _elements(work, a), "liwork": iwork}
    if rwork:
        sizes["lrwork"] = _elements(rwork[0], a)
    flags = {"compute_v": int(vectors), "lower": int(lower), "overwrite_a": int(vectors)}
    w, v, info = evd(matrix, **flags, **sizes)
    found = (w, by_rows(v)) if vectors else (w,)
    return tuple(map(_unknown, found)) if info or math.isnan(w.min()) else found


def svd(a: np.ndarray, full: bool, vectors: bool) -> tuple[np.ndarray, ...]:
    """Singular values, and U and V^H if wanted; NaN where LAPACK finds none."""
    gesdd, asked = sl.get_lapack_funcs(("gesdd", "gesdd_lwork"), (a,))
    matrix = by_columns(a) if vectors else a.T
    flags = {"compute_uv": int(vectors), "full_matrices": int(full)}
    work = _elements(asked(*matrix.shape, **flags)[0], a)
    u, s, vt, info = gesdd(matrix, lwork=work, overwrite_a=int(vectors), **flags)
    found = (s, by_rows(u), by_rows(vt)) if vectors else (s,)
    return tuple(map(_unknown, found)) if info or math.isnan(s.min()) else found


def _unknown(a: np.ndarray) -> np.ndarray:
    return np.full_like(a, np.nan)
