"""LU and triangular systems of many small matrices at once: NumPy over the whole stack.

A call of LAPACK per matrix costs ten microseconds and more before it computes anything. Here the
stack is the last axis, [row, column, matrix], and each step of the algorithm is one operation on
all matrices.
"""

from __future__ import annotations

import numpy as np

MOST_ROWS = 16  # of a matrix; above, LAPACK's blocked code wins over one pass a column
LEAST_STACK = 8  # matrices


def worthwhile(x: np.ndarray) -> bool:
    """Whether a stack [..., m, n] is many matrices, and small ones."""
    *lead, m, n = x.shape
    return int(np.prod(lead)) >= LEAST_STACK and min(m, n) > 0 and max(m, n) <= MOST_ROWS


def _matrices_last(x: np.ndarray) -> np.ndarray:
    """[..., m, n] as a new array [m, n, stack], new also where memory has that order already: it is
    written to.
    """
    return np.array(np.moveaxis(x.reshape(-1, *x.shape[-2:]), 0, -1), order="C")


def _matrices_first(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, -1, 0)).reshape(shape)


def lu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packed factors [..., m, n] and row swaps [..., min(m, n)] with partial pivoting.

    Gaussian elimination by columns, as LAPACK's getf2: the pivot is the largest |re| + |im|; a
    column of zeros is left as it is.
    """
    a = _matrices_last(x)
    m, n, count = a.shape
    pivots = np.empty((min(m, n), count), np.int32)
    for k in range(min(m, n)):
        column = a[k:, k]
        size = np.abs(np.real(column)) + np.abs(np.imag(column))
        size = np.where(np.isnan(size), -1, size)
        pivots[k] = best = np.argmax(size, 0) + k
        (moved,) = np.nonzero(best != k)
        if moved.size:
            rows = best[moved]
            other = a[rows, :, moved]
            a[rows, :, moved] = a[k][:, moved].T
            a[k][:, moved] = other.T
        pivot = a[k, k]
        a[k + 1 :, k] /= np.where(pivot == 0, 1, pivot)
        a[k + 1 :, k + 1 :] -= a[k + 1 :, k, None] * a[k, None, k + 1 :]
    return _matrices_first(a, x.shape), pivots.T.reshape(*x.shape[:-2], -1)


def triangular_solve(
    a: np.ndarray,
    b: np.ndarray,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    conjugate_a: bool,
    unit_diagonal: bool,
) -> np.ndarray:
    """x with op(a) x = b or x op(a) = b by substitution; NaN where a diagonal has a zero."""
    t, x = _matrices_last(a.conj() if conjugate_a else a), _matrices_last(b)
    if not left_side:
        x, transpose_a = x.swapaxes(0, 1), not transpose_a
    if transpose_a:
        t, lower = t.swapaxes(0, 1), not lower
    n = t.shape[0]
    for k in range(n) if lower else reversed(range(n)):
        if not unit_diagonal:
            x[k] = x[k] / t[k, k]
        rest = slice(k + 1, n) if lower else slice(0, k)
        x[rest] -= t[rest, k, None] * x[None, k]
    if not unit_diagonal:
        diagonal = np.diagonal(t)  # [stack, n]
        x[:, :, (diagonal == 0).any(-1)] = np.nan
    return _matrices_first(x if left_side else x.swapaxes(0, 1), b.shape)
