"""Cholesky, LU, triangular and tridiagonal systems of stacks of matrices: host steps on LAPACK.

A matrix that has no Cholesky factor gives NaN, as in JAX. Derivatives: Giles, "Collected matrix
derivative results for forward and reverse mode algorithmic differentiation" (2008), and Murray,
arXiv:1602.07527.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero, get_aval, instantiate, is_undefined, no
from fx.lazy import LazyModule
from fx.prims import elementwise, lapack, linalg_small, linalg_stacks, shape
from fx.prims import matrix as mx
from fx.prims.host import host_primitive, loop_over_batch, lower_host, lower_small_or_host
from fx.prims.linalg_cases import (
    complex_definite,
    complex_general,
    definite,
    general,
    hermitian,
)
from fx.prims.registry import Case

sl = LazyModule("scipy.linalg")

LAPACK = tuple(map(np.dtype, (np.float32, np.float64, np.complex64, np.complex128)))


def check_matrix(name: str, x: ShapedArray, square: bool = False) -> tuple[int, int]:
    """Rows and columns; TypeError where x is no stack of matrices of a dtype LAPACK has, ValueError
    where they should be square and are not.
    """
    if x.ndim < 2:
        raise TypeError(f"Argument to {name} must have ndims >= 2; got shape {x.shape}.")
    m, n = x.shape[-2:]
    if square and m != n:
        raise ValueError(
            f"Argument to {name} must be a (batched) square matrix; got shape {x.shape}."
        )
    if x.dtype not in LAPACK:
        raise TypeError(
            f"{name} does not accept dtype {x.dtype.name}; use float32, float64, complex64 or "
            f"complex128."
        )
    return m, n


MATRICES = {"0-d": "its operand is a matrix, or a stack of them"}

# ---------------------------------------------------------------- cholesky

BLOCKED = 64  # rows from which LAPACK's routine itself is several times NumPy's


def _cholesky_abstract(x):
    check_matrix("cholesky", x, square=True)
    return ShapedArray(x.shape, x.dtype)


def _cholesky_numpy(x):
    if x.shape[-1] < BLOCKED:
        try:
            return np.linalg.cholesky(x)
        except np.linalg.LinAlgError:
            pass

    def one(a):
        if not a.size:
            return (a,)
        # the transpose is what LAPACK sees in memory: its upper factor, transposed, is the lower
        upper, info = sl.get_lapack_funcs("potrf", (a,))(a.T, lower=False, clean=True)
        return (upper.T if info == 0 else np.tril(np.full_like(a, np.nan)),)

    return loop_over_batch(one, (2,), (x,), [ShapedArray(x.shape, x.dtype)])[0]


def _half_lower(x: Any) -> Any:
    """The lower part with half the diagonal."""
    scale = mx.identity_like(x)
    return elementwise.div(mx.tril(x), elementwise.add(scale, elementwise.one_like(x)))


def _cholesky_jvp(primals, tangents):
    """dL = L Phi(L^-1 dA L^-H), Phi the lower part with half the diagonal."""
    l = cholesky_p.bind(primals[0])
    if type(tangents[0]) is Zero:
        return l, Zero.like(l)
    right = triangular_solve(l, tangents[0], left_side=False, lower=True, adjoint=True)
    inner = triangular_solve(l, right, left_side=True, lower=True)
    return l, mx.matmul(l, _half_lower(inner))


cholesky_p = host_primitive(
    "cholesky",
    "Lower triangular L with A = L L^H, of Hermitian positive definite matrices; NaN for others.",
    abstract=_cholesky_abstract,
    numpy=_cholesky_numpy,
    lower=lower_small_or_host(linalg_small.cholesky, lambda: cholesky_p, lambda: ("cholesky",)),
    jvp=_cholesky_jvp,
    transpose=no("it is not linear"),
    limits=MATRICES,
    cases=lambda: [
        Case(((3, 3),), {}, ranges=(definite,), before=hermitian),
        Case(((3, 3),), {}, (np.complex64,), (complex_definite,), before=hermitian),
        Case(((2, 2, 2),), {}, ranges=(definite,), before=hermitian),
        Case(((2, 0, 0),), {}, ranges=((0, 1),)),
    ],
)


# ---------------------------------------------------------------- triangular_solve


def triangular_solve(
    a, b, *, left_side=False, lower=False, adjoint=False, unit_diagonal=False
) -> Any:
    """x with op(a) x = b (left_side) or x op(a) = b; op the identity, or the adjoint."""
    return triangular_solve_p.bind(
        a,
        b,
        left_side=left_side,
        lower=lower,
        transpose_a=adjoint,
        conjugate_a=adjoint and mx.is_complex(a),
        unit_diagonal=unit_diagonal,
    )


def _triangular_abstract(a, b, *, left_side, **params):
    n, _ = check_matrix("triangular_solve", a, square=True)
    check_matrix("triangular_solve", b)
    if a.dtype != b.dtype:
        raise TypeError(
            f"triangular_solve requires equal dtypes, got {a.dtype.name} and {b.dtype.name}."
        )
    if a.shape[:-2] != b.shape[:-2]:
        raise TypeError(
            f"triangular_solve requires both arguments to have the same leading dimensions, got "
            f"{a.shape} and "
            f"{b.shape}."
        )
    if b.shape[-2 if left_side else -1] != n:
        raise TypeError(
            f"Incompatible shapes for arguments to triangular_solve: {a.shape} and {b.shape}."
        )
    return ShapedArray(b.shape, b.dtype)


def _solve_one(a, b, *, left_side, lower, transpose_a, conjugate_a, unit_diagonal):
    if not b.size:
        return (b,)
    if conjugate_a:
        a = a.conj()
    return (lapack.triangular_solve(a, b, left_side, lower, transpose_a, unit_diagonal),)


def _triangular_stage(*, left_side, lower, transpose_a, conjugate_a, unit_diagonal):
    return "triangular_solve", left_side, lower, transpose_a, unit_diagonal, conjugate_a


def _triangular_numpy(a, b, **params):
    if linalg_stacks.worthwhile(a) and linalg_stacks.worthwhile(b):
        return linalg_stacks.triangular_solve(a, b, **params)
    out = [ShapedArray(b.shape, b.dtype)]
    return loop_over_batch(partial(_solve_one, **params), (2, 2), (a, b), out)[0]


def _triangular_jvp(primals, tangents, **params):
    """op(a) x = b, so op(a) dx = db - op(da) x, where da is the triangle that is read."""
    (a, b), (ta, tb) = primals, tangents
    x = triangular_solve_p.bind(a, b, **params)
    if type(ta) is Zero and type(tb) is Zero:
        return x, Zero.like(x)
    right = tb
    if type(ta) is not Zero:
        k = -1 if params["unit_diagonal"] else 0
        da = mx.tril(ta, k) if params["lower"] else mx.triu(ta, -k)
        da = mx.transposed(da) if params["transpose_a"] else da
        da = mx.conj(da) if params["conjugate_a"] else da
        moved = elementwise.neg(mx.matmul(da, x) if params["left_side"] else mx.matmul(x, da))
        right = core.add_values(moved, right)
    return x, triangular_solve_p.bind(a, right, **params)


def _triangular_transpose(ct, a, b, *, transpose_a, **params):
    if type(ct) is Zero and is_undefined(b):
        return [None, Zero(b.aval)]
    return [None, triangular_solve_p.bind(a, ct, transpose_a=not transpose_a, **params)]


def _triangular_cases():
    yes = {"conjugate_a": False, "unit_diagonal": False}
    for left, lower, transpose in ((True, True, False), (False, True, True), (True, False, False)):
        params = {"left_side": left, "lower": lower, "transpose_a": transpose, **yes}
        b = (3, 2) if left else (2, 3)
        yield Case(((3, 3), b), params, ranges=(definite, (-2, 2)))
    params = {"left_side": True, "lower": True, "transpose_a": False, "conjugate_a": False}
    yield Case(((2, 2, 2), (2, 2, 1)), params | {"unit_diagonal": True}, ranges=(definite, (-2, 2)))
    adjoint = {"left_side": True, "lower": True, "transpose_a": True, "unit_diagonal": False}
    yield Case(
        ((2, 2), (2, 1)),
        {**adjoint, "conjugate_a": True},
        (np.complex64,) * 2,
        (complex_definite, (-2, 2)),
    )
    for a, b in (((0, 0), (0, 2)), ((2, 2), (2, 0))):
        yield Case((a, b), {**adjoint, "conjugate_a": False}, ranges=(definite, (-2, 2)))


triangular_solve_p = host_primitive(
    "triangular_solve",
    "x with op(a) x = b or x op(a) = b for a triangular a; the other triangle is not read.",
    abstract=_triangular_abstract,
    numpy=_triangular_numpy,
    lower=lower_small_or_host(
        linalg_small.triangular_solve, lambda: triangular_solve_p, _triangular_stage
    ),
    jvp=_triangular_jvp,
    transpose=_triangular_transpose,
    limits=MATRICES,
    cases=lambda: list(_triangular_cases()),
)


# ---------------------------------------------------------------- lu


def _lu_abstract(x):
    m, n = check_matrix("lu", x)
    batch, i32 = x.shape[:-2], np.dtype(np.int32)
    pivots, perm = ShapedArray((*batch, min(m, n)), i32), ShapedArray((*batch, m), i32)
    return [ShapedArray(x.shape, x.dtype), pivots, perm]


MANY_STACKED = 128  # matrices from which a swap in all of them at once is faster than Python's


def permutation_of(pivots: np.ndarray, size: int) -> np.ndarray:
    """The permutation that row swaps (i with pivots[i], in turn) make of range(size)."""
    lead = pivots.shape[:-1]
    if math.prod(lead) < MANY_STACKED:
        rows = [
            _swapped(p, size) for p in pivots.reshape(math.prod(lead), pivots.shape[-1]).tolist()
        ]
        return np.array(rows, np.int32).reshape(*lead, size)
    out = np.broadcast_to(np.arange(size, dtype=np.int32), (*lead, size)).copy()
    for i in range(pivots.shape[-1]):
        j = pivots[..., i : i + 1].astype(np.int64)
        a, b = out[..., i : i + 1].copy(), np.take_along_axis(out, j, -1)
        out[..., i : i + 1] = b
        np.put_along_axis(out, j, a, -1)
    return out


def _swapped(pivots: list[int], size: int) -> list[int]:
    row = list(range(size))
    for i, j in enumerate(pivots):
        row[i], row[j] = row[j], row[i]
    return row


def _lu_numpy(x):
    if linalg_stacks.worthwhile(x):
        factors, pivots = linalg_stacks.lu(x)
        return factors, pivots, permutation_of(pivots, x.shape[-2])

    def one(a):
        if not a.size:
            k = np.zeros(min(a.shape), np.int32)
            return a, k, permutation_of(k, a.shape[0])
        lu, pivots = lapack.lu(a)
        return lu, pivots, permutation_of(pivots, a.shape[0])

    return loop_over_batch(one, (2,), (x,), _lu_abstract(get_aval(x)))


def square_from(x: Any, n: int) -> Any:
    """[..., a, b] in the corner of [..., n, n], ones on the rest of the diagonal."""
    aval = get_aval(x)
    a, b = aval.shape[-2:]
    zero = elementwise.zero_like(x)
    lead = [(0, 0, 0)] * (aval.ndim - 2)
    padded = shape.pad(x, zero, [*lead, (0, n - a, 0), (0, n - b, 0)])
    eye = mx.identity_like(shape.full((*aval.shape[:-2], n, n), 0, aval.dtype))
    k = min(a, b)
    rest = shape.pad(
        shape.full((*aval.shape[:-2], k, k), 0, aval.dtype),
        elementwise.one_like(x),
        [*lead, (0, n - k, 0), (0, n - k, 0)],
    )
    return elementwise.add(padded, elementwise.mul(eye, rest))


def permute_rows(x: Any, perm: Any) -> Any:
    """x[..., perm, :] for stacks."""
    from fx.prims.index import GatherDimensionNumbers, GatherScatterMode, gather

    s = get_aval(x).shape
    if 0 in s:
        return x
    lead = len(s) - 2
    batch = tuple(range(lead))
    dnums = GatherDimensionNumbers((lead + 1,), (lead,), (lead,), batch, batch)
    sizes = (*(min(1, n) for n in s[:-2]), 1, s[-1])
    indices = shape.expand_dims(perm, (lead + 1,))
    return gather(x, indices, dnums, sizes, GatherScatterMode.PROMISE_IN_BOUNDS)


def _lu_jvp(primals, tangents):
    """P A = L U: with F = L^-1 P dA U^-1, dL = L tril(F, -1) and dU = triu(F) U."""
    lu, pivots, perm = lu_p.bind(primals[0])
    zeros = [Zero.like(pivots), Zero.like(perm)]
    if type(tangents[0]) is Zero:
        return [lu, pivots, perm], [Zero.like(lu), *zeros]
    m, n = get_aval(lu).shape[-2:]
    k = min(m, n)
    da = permute_rows(tangents[0], perm)
    lower = elementwise.add(
        square_from(mx.tril(mx.columns(lu, 0, k), -1), m), _identity_corner(lu, m, k)
    )
    upper = square_from(mx.triu(mx.rows(lu, 0, k)), n)
    f = triangular_solve(lower, da, left_side=True, lower=True, unit_diagonal=True)
    f = triangular_solve(upper, f, left_side=False, lower=False)
    out = elementwise.add(mx.matmul(lower, mx.tril(f, -1)), mx.matmul(mx.triu(f), upper))
    return [lu, pivots, perm], [out, *zeros]


def _identity_corner(x: Any, n: int, k: int) -> Any:
    """[..., n, n] with ones on the first k diagonal places."""
    aval = get_aval(x)
    lead = [(0, 0, 0)] * (aval.ndim - 2)
    eye = mx.identity_like(shape.full((*aval.shape[:-2], k, k), 0, aval.dtype))
    return shape.pad(eye, elementwise.zero_like(x), [*lead, (0, n - k, 0), (0, n - k, 0)])


lu_p = host_primitive(
    "lu",
    "LU decomposition with partial pivoting: packed factors, the row swaps, and the permutation.",
    multiple_results=True,
    abstract=_lu_abstract,
    numpy=_lu_numpy,
    lower=lower_small_or_host(linalg_small.lu, lambda: lu_p, lambda: ("lu",)),
    jvp=_lu_jvp,
    transpose=no("it is not linear"),
    limits=MATRICES,
    cases=lambda: [
        Case(((3, 3),), {}, ranges=(general,)),
        Case(((3, 3),), {}, (np.complex64,), (complex_general,)),
        Case(((2, 4, 2),), {}, ranges=(general,)),
        Case(((2, 4),), {}, ranges=(general,)),
        Case(((0, 3),), {}),
        Case(((0, 2, 2),), {}),
    ],
)


def _pivots_abstract(pivots, *, permutation_size):
    if pivots.dtype.kind not in "iu" or pivots.ndim < 1:
        raise TypeError(
            f"lu_pivots_to_permutation requires integer pivots, got {pivots.str_short()}."
        )
    if pivots.shape[-1] > permutation_size:
        raise ValueError(
            f"Output permutation size {permutation_size} has to exceed the trailing dimension of "
            f"the pivots "
            f"{pivots.shape}."
        )
    return ShapedArray((*pivots.shape[:-1], permutation_size), pivots.dtype)


def _swaps(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Pivots for test cases: row k is swapped with one at or below it."""
    return rng.integers(np.arange(shape[-1]), shape[-1] + 1, shape)


lu_pivots_to_permutation_p = host_primitive(
    "lu_pivots_to_permutation",
    "The permutation that LU's row swaps make.",
    uses_blas=False,
    abstract=_pivots_abstract,
    numpy=lambda pivots, *, permutation_size: permutation_of(pivots, permutation_size),
    lower=lower_small_or_host(
        linalg_small.permutation, lambda: lu_pivots_to_permutation_p, lambda **_: ("pivots",)
    ),
    jvp="zero",
    transpose=no("it is a function of integers"),
    limits={"0-d": "its operand is a list of row swaps"},
    cases=lambda: [
        Case((s,), {"permutation_size": 4}, (np.int32,), (_swaps,), ())
        for s in ((3,), (0,), (2, 3))
    ],
)


# ---------------------------------------------------------------- tridiagonal_solve


def _tridiagonal_abstract(dl, d, du, b, *, perturb_singular):
    check_matrix("tridiagonal_solve", b)
    if not dl.shape == d.shape == du.shape or d.shape != b.shape[:-1]:
        raise TypeError(
            f"tridiagonal_solve requires diagonals of shape {b.shape[:-1]}, got {dl.shape}, "
            f"{d.shape} and {du.shape}."
        )
    return ShapedArray(b.shape, b.dtype)


def _tridiagonal_numpy(dl, d, du, b, *, perturb_singular):
    gtsv = sl.get_lapack_funcs("gtsv", (d, b))
    if b.size and d.shape[-1] > 1:  # side by side they are one system, whose corners are zero
        below, above = dl.copy(), du.copy()
        below[..., 0], above[..., -1] = 0, 0
        wide = b.reshape(-1, b.shape[-1])
        *_, x, info = gtsv(below.ravel()[1:], d.ravel(), above.ravel()[:-1], wide)
        if info == 0:
            return x.reshape(b.shape)

    def one(dl, d, du, b):
        if not b.size:
            return (b,)
        if d.size == 1:
            return (b / d[:, None],)
        return (gtsv(dl[1:], d, du[:-1], b)[3],)

    out = [ShapedArray(b.shape, b.dtype)]
    return loop_over_batch(one, (1, 1, 1, 2), (dl, d, du, b), out)[0]


def _shifted(x: Any, by: int, axis: int) -> Any:
    """x moved by one place along an axis, zeros coming in."""
    config = [(0, 0, 0)] * get_aval(x).ndim
    config[axis] = (by, -by, 0)
    return shape.pad(x, elementwise.zero_like(x), config)


def _tridiagonal_product(dl: Any, d: Any, du: Any, x: Any) -> Any:
    """The matrix with these diagonals (Zero where they vanish) times x."""
    axis, total = get_aval(x).ndim - 2, Zero.like(x)
    for diagonal, by in ((dl, 1), (d, 0), (du, -1)):
        if type(diagonal) is not Zero:
            moved = _shifted(x, by, axis) if by else x
            part = elementwise.mul(mx.grow(mx.column(diagonal), x), moved)
            total = core.add_values(total, part)
    return total


def _tridiagonal_jvp(primals, tangents, **params):
    """T x = b, so T dx = db - dT x."""
    x = tridiagonal_solve_p.bind(*primals, **params)
    if all(type(t) is Zero for t in tangents):
        return x, Zero.like(x)
    dl, d, du, right = tangents
    moved = _tridiagonal_product(dl, d, du, x)
    if type(moved) is not Zero:
        right = core.add_values(elementwise.neg(moved), right)
    return x, tridiagonal_solve_p.bind(*primals[:3], instantiate(right), **params)


def _tridiagonal_transpose(ct, dl, d, du, b, **params):
    assert is_undefined(b)
    if type(ct) is Zero:
        return [None, None, None, Zero(b.aval)]
    axis = get_aval(d).ndim - 1
    turned = (_shifted(du, 1, axis), d, _shifted(dl, -1, axis))
    return [None, None, None, tridiagonal_solve_p.bind(*turned, ct, **params)]


tridiagonal_solve_p = host_primitive(
    "tridiagonal_solve",
    "x with T x = b for tridiagonal T; dl[0] and du[-1] are not read.",
    abstract=_tridiagonal_abstract,
    numpy=_tridiagonal_numpy,
    lower=lower_host(lambda: tridiagonal_solve_p, lambda **params: ("tridiagonal_solve",)),
    jvp=_tridiagonal_jvp,
    transpose=_tridiagonal_transpose,
    limits=MATRICES,
    cases=lambda: [
        Case(
            ((n,), (n,), (n,), (n, k)),
            {"perturb_singular": False},
            ranges=((-1, 1), (3, 4), (-1, 1), (-2, 2)),
        )
        for n, k in ((4, 2), (1, 1), (0, 2))
    ],
)


# ---------------------------------------------------------------- solving with LU


def solve(a: Any, b: Any) -> Any:
    """a^-1 b for stacks of square matrices, through LU."""
    lu, _, perm = lu_p.bind(a)
    y = triangular_solve(lu, permute_rows(b, perm), left_side=True, lower=True, unit_diagonal=True)
    return triangular_solve(lu, y, left_side=True, lower=False)
