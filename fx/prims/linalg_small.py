"""Factorisations of small real matrices in kernels: each element is a value [stack], and the
algorithm is written out.

In: a primitive's operands as nodes. Out: its results as nodes, or None where the host step is to do
it. So a filter's update of 4x4 matrices fuses with what is around it, stays in registers in a loop,
and needs no wait for the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MOST_ROWS = 4  # of a matrix: elimination takes about n^3 operations, written out one by one
MOST_SWAPPED = 8  # rows; each pair is two selections
REAL = tuple(map(np.dtype, (np.float32, np.float64)))
INT, BOOL = np.dtype(np.int32), np.dtype(bool)

Rows = list[list[Any]]


def fits(*nodes: Any) -> bool:
    """Whether all are stacks of real matrices and the first is small."""
    m, n = nodes[0].shape[-2:]
    real = all(x.dtype in REAL and x.size for x in nodes)
    return real and min(m, n) > 0 and max(m, n) <= MOST_ROWS


def elements(b: Any, x: Any) -> Rows:
    """x[..., i, j] for all i and j."""
    *stack, m, n = x.shape

    def one(i: int, j: int) -> Any:
        lead = (0,) * len(stack)
        part = b.slice(x, (*lead, i, j), (*stack, i + 1, j + 1))
        return b.reshape(part, stack)

    return [[one(i, j) for j in range(n)] for i in range(m)]


def vector(b: Any, xs: list[Any]) -> Any:
    """Values [stack] as [stack, n]."""
    return b.concat([b.reshape(x, (*x.shape, 1)) for x in xs], xs[0].ndim)


def matrix(b: Any, rows: Rows) -> Any:
    """Values [stack] as [stack, m, n]."""
    lines = [vector(b, row) for row in rows]
    *stack, n = lines[0].shape
    return b.concat([b.reshape(x, (*stack, 1, n)) for x in lines], len(stack))


def lu(b: Any, x: Any) -> list[Any] | None:
    """Packed factors, row swaps and the permutation, as LAPACK's getf2."""
    if not fits(x):
        return None
    *stack, m, n = x.shape
    number = [b.const(i, INT, stack) for i in range(m)]
    one, zero = (b.const(k, x.dtype, stack) for k in (1, 0))
    rows = [[*row, i] for row, i in zip(elements(b, x), number)]  # the last column is the order
    pivots = []
    for k in range(min(m, n)):
        best, place = b.map("abs", rows[k][k]), number[k]
        for i in range(k + 1, m):
            size = b.map("abs", rows[i][k])
            larger = b.map("gt", size, best, dtype=BOOL)
            best, place = b.select(larger, size, best), b.select(larger, number[i], place)
        pivots.append(place)
        for i in range(k + 1, m):
            here, p, q = b.map("eq", place, number[i], dtype=BOOL), rows[k], rows[i]
            rows[k] = [b.select(here, y, x) for x, y in zip(p, q)]
            rows[i] = [b.select(here, x, y) for x, y in zip(p, q)]
        pivot = b.select(b.map("eq", rows[k][k], zero, dtype=BOOL), one, rows[k][k])
        for row in rows[k + 1 :]:
            row[k] = b.map("div", row[k], pivot)
            for j in range(k + 1, n):
                row[j] = b.map("sub", row[j], b.map("mul", row[k], rows[k][j]))
    order = vector(b, [row.pop() for row in rows])
    return [matrix(b, rows), vector(b, pivots), order]


def permutation(b: Any, pivots: Any, *, permutation_size: int) -> Any | None:
    """The order that row swaps (k with pivots[k], in turn) make, a selection for each pair."""
    *stack, n = pivots.shape
    if permutation_size > MOST_SWAPPED or 0 in (pivots.size, permutation_size):
        return None
    number = [b.const(i, pivots.dtype, stack) for i in range(permutation_size)]
    order = list(number)
    for k in range(n):
        place = _part(b, pivots, len(stack), k)
        for i in range(permutation_size):
            if i != k:
                here = b.map("eq", place, number[i], dtype=BOOL)
                p, q = order[k], order[i]
                order[k], order[i] = b.select(here, q, p), b.select(here, p, q)
    return vector(b, order)


def cholesky(b: Any, x: Any) -> Any | None:
    """The lower factor, column by column; all NaN where a pivot is not positive."""
    if not fits(x):
        return None
    a = elements(b, x)
    n, stack = len(a), x.shape[:-2]
    zero = b.const(0, x.dtype, stack)
    good = None
    for k in range(n):
        positive = b.map("gt", a[k][k], zero, dtype=BOOL)
        good = positive if good is None else b.map("and", good, positive, dtype=BOOL)
        a[k][k] = b.map("sqrt", a[k][k])
        for i in range(k + 1, n):
            a[i][k] = b.map("div", a[i][k], a[k][k])
        for j in range(k + 1, n):
            for i in range(j, n):
                a[i][j] = b.map("sub", a[i][j], b.map("mul", a[i][k], a[j][k]))
    nan = b.const(np.nan, x.dtype, stack)
    lower = [[b.select(good, a[i][j], nan) if j <= i else zero for j in range(n)] for i in range(n)]
    return matrix(b, lower)


def triangular_solve(
    b: Any,
    a: Any,
    y: Any,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    conjugate_a: bool,
    unit_diagonal: bool,
) -> Any | None:
    """Substitution by rows of y, or by columns; NaN where a diagonal has a zero."""
    if not fits(a, y):
        return None
    t = elements(b, a)
    n, axis = len(t), y.ndim - (2 if left_side else 1)
    if transpose_a == left_side:  # the columns of x a = y are the rows of a^T x^T = y^T
        t, lower = [list(column) for column in zip(*t)], not lower
    x = [_part(b, y, axis, k) for k in range(n)]
    stack = tuple(range(a.ndim - 2))

    def spread(value: Any) -> Any:
        return b.broadcast(value, x[0].shape, stack)

    for k in range(n) if lower else reversed(range(n)):
        if not unit_diagonal:
            x[k] = b.map("div", x[k], spread(t[k][k]))
        for i in range(k + 1, n) if lower else range(k):
            x[i] = b.map("sub", x[i], b.map("mul", spread(t[i][k]), x[k]))
    if not unit_diagonal:
        zero = b.const(0, a.dtype, a.shape[:-2])
        bad = [b.map("eq", t[k][k], zero, dtype=BOOL) for k in range(n)]
        for other in bad[1:]:
            bad[0] = b.map("or", bad[0], other, dtype=BOOL)
        nan = b.const(np.nan, y.dtype, x[0].shape)
        x = [b.select(spread(bad[0]), nan, v) for v in x]
    shape = (*y.shape[:axis], 1, *y.shape[axis + 1 :])
    return b.concat([b.reshape(v, shape) for v in x], axis)


def _part(b: Any, y: Any, axis: int, k: int) -> Any:
    """y at one place of an axis, without it."""
    starts = [k if d == axis else 0 for d in range(y.ndim)]
    limits = [k + 1 if d == axis else n for d, n in enumerate(y.shape)]
    return b.reshape(b.slice(y, starts, limits), (*y.shape[:axis], *y.shape[axis + 1 :]))
