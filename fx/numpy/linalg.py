"""fx.numpy.linalg: decompositions, solutions, norms of stacks of matrices (the last two axes)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fx import lax
from fx.avals import canonicalize_dtype
from fx.core import get_aval
from fx.dtypes import finfo
from fx.lax import linalg as factor
from fx.numpy import diagonals, products, reductions
from fx.numpy import manipulation as m
from fx.numpy import selection as taking
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.contraction import einsum
from fx.numpy.creation import asarray, zeros
from fx.numpy.matrix_rules import determinant, pseudo_inverse
from fx.numpy.products import matmul, tensordot, vecdot  # noqa: F401 (namespace)
from fx.numpy.ranges import eye
from fx.numpy.recorded import recorded
from fx.numpy.sorting import argsort
from fx.numpy.util import (
    broadcast_value,
    canonical_axes,
    check_arraylike,
    convert,
    promote_inexact,
)
from fx.numpy.util import promote_dtypes_inexact as inexact
from fx.prims.linalg_orthogonal import geqrf_p


class EigResult(NamedTuple):
    """Eigenvalues and eigenvectors of general matrices."""

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """Eigenvalues and eigenvectors of Hermitian matrices."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """Orthogonal and triangular factors."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """Left vectors, singular values, right vectors."""

    U: Any
    S: Any
    Vh: Any


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the determinant's magnitude."""

    sign: Any
    logabsdet: Any


def _matrix(name: str, a: Any, square: bool = False) -> Any:
    (a,) = inexact(name, a)
    a = asarray(a)
    if a.ndim < 2:
        raise ValueError(
            f"Argument to fx.numpy.linalg.{name} must have at least two dimensions; got shape "
            f"{a.shape}"
        )
    if square and a.shape[-1] != a.shape[-2]:
        raise ValueError(f"Argument to {name} must have shape [..., n, n], got {a.shape}")
    return a


def _adjoint(x: Any) -> Any:
    return u.conjugate(m.swapaxes(x, -1, -2))


def _real(d: np.dtype) -> np.dtype:
    return np.dtype({"complex64": "float32", "complex128": "float64"}.get(d.name, d.name))


# ---------------------------------------------------------------- factorisations


def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Any:
    """The triangular factor L with L L^H = a; NaN where a is not positive definite."""
    a = _matrix("cholesky", a, True)
    out = factor.cholesky(a, symmetrize_input=symmetrize_input)
    return _adjoint(out) if upper else out


def qr(a: Any, mode: str = "reduced") -> Any:
    """Orthogonal times triangular.

    mode: "reduced", "complete", "r" for the triangular factor alone, "raw" for LAPACK's reflections
    (transposed) and their scales.
    """
    a = _matrix("qr", a)
    if mode not in ("reduced", "complete", "full", "r", "raw"):
        raise ValueError(f"Unsupported QR decomposition mode '{mode}'")
    if mode == "raw":
        packed, taus = geqrf_p.bind(a)
        return QRResult(m.matrix_transpose(packed), taus)
    q, r = factor.qr(a, full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: Any = None,
) -> Any:
    """U diag(S) Vh with singular values falling."""
    a = _matrix("svd", a)
    if hermitian:
        w, v = factor_eigh(a)
        size = u.absolute(w)
        order = m.flip(argsort(size, axis=-1), -1)
        s = taking.take_along_axis(size, order, axis=-1)
        if not compute_uv:
            return s
        signs = taking.take_along_axis(u.sign(w), order, axis=-1)
        v = taking.take_along_axis(v, order[..., None, :], axis=-1)
        signs = convert(signs, v.dtype)
        return SVDResult(v * signs[..., None, :], s, _adjoint(v))
    if not compute_uv:
        return _first(factor.svd(a, full_matrices=full_matrices, compute_uv=False))
    uu, s, vh = factor.svd(a, full_matrices=full_matrices, compute_uv=True)
    return SVDResult(uu, s, vh)


def _first(x: Any) -> Any:
    return x[0] if isinstance(x, (tuple, list)) else x


def factor_eigh(a: Any, lower: bool = True, symmetrize: bool = True) -> tuple[Any, Any]:
    """Eigenvalues (rising) and eigenvectors of a Hermitian matrix."""
    v, w = factor.eigh(a, lower=lower, symmetrize_input=symmetrize)
    return w, v


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Eigenvalues and eigenvectors of Hermitian matrices."""
    a = _matrix("eigh", a, True)
    if UPLO not in (None, "L", "U"):
        raise ValueError(f"UPLO must be one of None, 'L', or 'U', got {UPLO}")
    return EighResult(*factor_eigh(a, UPLO != "U", symmetrize_input))


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Any:
    """Eigenvalues of Hermitian matrices."""
    return eigh(a, UPLO, symmetrize_input=symmetrize_input).eigenvalues


def eig(a: Any) -> EigResult:
    """Eigenvalues and right eigenvectors of general matrices, complex."""
    a = _matrix("eig", a, True)
    w, v = factor.eig(a, compute_left_eigenvectors=False)
    return EigResult(w, v)


def eigvals(a: Any) -> Any:
    """Eigenvalues of general matrices, complex."""
    a = _matrix("eigvals", a, True)
    return _first(factor.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False))


def svdvals(x: Any, /) -> Any:
    """The singular values [..., min(m, n)] of matrices [..., m, n], real, the largest first."""
    return svd(x, compute_uv=False, hermitian=False)


# ---------------------------------------------------------------- determinants and inverses


def slogdet(a: Any, *, method: str | None = None) -> SlogdetResult:
    """(sign, log |det|) of square matrices [..., n, n], by LU: no determinant overflows.

    A singular matrix has sign 0 and -inf; the sign of a complex one has magnitude 1.
    """
    a = _matrix("slogdet", a, True)
    if method not in (None, "lu", "qr"):
        raise ValueError(f"Unknown slogdet method '{method}'. Supported methods are 'lu' and 'qr'.")
    lu, pivots, _ = factor.lu(a)
    diagonal_ = diagonals.diagonal(lu, axis1=-2, axis2=-1)
    zero = reductions.any(diagonal_ == 0, axis=-1)
    n = a.shape[-1]
    moved = reductions.sum(pivots != lax.iota(pivots.dtype, n), axis=-1)
    if a.dtype.kind == "c":
        unit = reductions.prod(diagonal_ / u.absolute(diagonal_), axis=-1)
        sign = unit * (1 - 2 * (moved % 2))
    else:
        moved = moved + reductions.sum(diagonal_ < 0, axis=-1)
        sign = convert(1 - 2 * (moved % 2), a.dtype)
    real = _real(a.dtype)
    sign = taking.where(zero, base.const_as(sign, 0), sign)
    logs = reductions.sum(u.log(u.absolute(diagonal_)), axis=-1)
    logs = taking.where(zero, base.const_as(logs, -np.inf), logs)
    return SlogdetResult(convert(sign, a.dtype), convert(logs, real))


@recorded
def det(a: Any) -> Any:
    """The determinant; closed forms for 2x2 and 3x3, so that singular matrices have derivatives."""
    a = _matrix("det", a, True)
    n = a.shape[-1]
    if n == 0:
        return lax.full(a.shape[:-2], 1, a.dtype)
    if n == 1:
        return a[..., 0, 0]
    if n == 2:
        return a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0]
    if n == 3:
        return (
            a[..., 0, 0] * a[..., 1, 1] * a[..., 2, 2]
            + a[..., 0, 1] * a[..., 1, 2] * a[..., 2, 0]
            + a[..., 0, 2] * a[..., 1, 0] * a[..., 2, 1]
            - a[..., 0, 2] * a[..., 1, 1] * a[..., 2, 0]
            - a[..., 0, 0] * a[..., 1, 2] * a[..., 2, 1]
            - a[..., 0, 1] * a[..., 1, 0] * a[..., 2, 2]
        )
    return determinant()(a)


@recorded
def solve(a: Any, b: Any) -> Any:
    """x with a x = b, by LU; b is a vector only if it has one axis."""
    a, b = inexact("solve", a, b)
    a, b = asarray(a), asarray(b)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(
            "The arguments to solve must have shapes a=[..., m, m] and b=[..., m, k] or b=[..., "
            f"m]; got a={a.shape} and b={b.shape}"
        )
    vector = b.ndim == 1
    if b.ndim == 0 or (b.shape[0] if vector else b.shape[-2]) != a.shape[-1]:
        raise ValueError(f"solve: the sizes of a={a.shape} and b={b.shape} do not fit")
    right = b[:, None] if vector else b
    lead = np.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    a = broadcast_value(a, (*lead, *a.shape[-2:]))
    right = broadcast_value(right, (*lead, *right.shape[-2:]))
    out = lu_solve_stack(a, right)
    return out[..., 0] if vector else out


def lu_solve_stack(a: Any, b: Any) -> Any:
    """Solve stacks by LU; derivatives solve with the same factors."""
    lu, _, permutation = factor.lu(a)
    permuted = taking.take_along_axis(b, permutation[..., :, None], axis=-2, mode="clip")
    lower = factor.triangular_solve(lu, permuted, left_side=True, lower=True, unit_diagonal=True)
    return factor.triangular_solve(lu, lower, left_side=True, lower=False)


@recorded
def inv(a: Any) -> Any:
    """The inverses of square matrices [..., n, n], by LU; of a singular one NaN, nothing is raised.

    >>> import fx.numpy as fnp
    >>> fnp.linalg.inv(fnp.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    a = _matrix("inv", a, True)
    return solve(a, broadcast_value(eye(a.shape[-1], dtype=a.dtype), a.shape))


def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Any:
    """The Moore-Penrose inverse; singular values below rtol times the largest count as zero."""
    rtol = rcond if rtol is None else rtol
    return pseudo_inverse()(_matrix("pinv", a), rtol, hermitian)


def lstsq(
    a: Any, b: Any, rcond: float | None = None, *, numpy_resid: bool = False
) -> tuple[Any, Any, Any, Any]:
    """Least squares by SVD of a [m, n] and b [m] or [m, k]: x, residuals, rank, singular values.

    Singular values below rcond times the largest count as zero; of all solutions x is the smallest.
    With `numpy_resid` the residuals are empty unless m > n and the rank is n, as in NumPy; the rank
    must then be known, so not under jit.
    """
    a, b = inexact("lstsq", a, b)
    a, b = asarray(a), asarray(b)
    if a.shape[0] != b.shape[0]:
        raise ValueError("Leading dimensions of input arrays must match")
    vector = b.ndim == 1
    if vector:
        b = b[:, None]
    if a.ndim != 2:
        raise TypeError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    if b.ndim != 2:
        raise TypeError(f"{b.ndim}-dimensional array given. Array must be one or two-dimensional")
    rows, cols = a.shape
    if a.size == 0:
        return zeros((cols, *b.shape[1:]), a.dtype), b, asarray(0), zeros((0,), a.dtype)
    if rcond is None:
        rcond = float(finfo(a.dtype).eps) * max(rows, cols)
    else:
        eps = float(finfo(a.dtype).eps)
        rcond = taking.where(asarray(rcond) < 0, eps, rcond)
    uu, s, vh = svd(a, full_matrices=False)
    mask = (s >= convert(asarray(rcond), s.dtype) * s[0]) & (s > 0)
    rank = reductions.sum(mask)
    safe = taking.where(mask, s, 1)
    inverse = convert(taking.where(mask, 1 / safe, 0), uu.dtype)
    x = matmul(_adjoint(vh), inverse[:, None] * matmul(_adjoint(uu), b))
    if numpy_resid and (cols >= rows or bool(rank < cols)):
        resid = zeros((0,), a.dtype)
    else:
        error = b - matmul(a, x)
        resid = norm(error, axis=0) ** 2
    return (x[:, 0] if vector else x), resid, rank, s


def matrix_power(a: Any, n: int) -> Any:
    """a multiplied n times; negative n inverts first."""
    a = _matrix("matrix_power", a, True)
    import operator

    n = operator.index(n)
    if n == 0:
        return broadcast_value(eye(a.shape[-2], dtype=a.dtype), a.shape)
    if n < 0:
        a, n = inv(a), -n
    out = None
    while n:
        if n & 1:
            out = a if out is None else matmul(out, a)
        n >>= 1
        if n:
            a = matmul(a, a)
    return out


def matrix_rank(M: Any, rtol: Any = None, *, hermitian: bool = False, tol: Any = None) -> Any:
    """The number of singular values above rtol times the largest."""
    rtol = tol if rtol is None else rtol
    (a,) = inexact("matrix_rank", M)
    a = asarray(a)
    if a.ndim < 2:
        return convert(reductions.any(a != 0), canonicalize_dtype(np.int64))
    s = svd(a, full_matrices=False, compute_uv=False, hermitian=hermitian)
    if rtol is None:
        rtol = max(a.shape[-2:]) * float(finfo(a.dtype).eps)
    cut = asarray(rtol)[..., None] * reductions.max(s, axis=-1, keepdims=True)
    return reductions.sum(s > convert(cut, s.dtype), axis=-1)


# ---------------------------------------------------------------- norms


@recorded
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Vector or matrix norms."""
    (x,) = promote_inexact("norm", x)
    x = asarray(x)
    n = x.ndim
    if axis is None:
        if ord is None:
            flat = m.ravel(x)
            out = _two_norm(flat, (0,), False)
            return m.reshape(out, (1,) * n) if keepdims else out
        axis = tuple(range(n))
    axes = canonical_axes(axis, n)
    if len(axes) == 1:
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(
            f"Improper number of axes for norm: axis={axes}. Pass one axis to compute a "
            "vector-norm, or two axes to compute a matrix-norm."
        )
    return _matrix_norm(x, ord, axes, keepdims)


def _two_norm(x: Any, axes: Any, keepdims: bool) -> Any:
    squares = u.real(x * u.conjugate(x)) if x.dtype.kind == "c" else x * x
    return u.sqrt(reductions.sum(squares, axis=axes, keepdims=keepdims))


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    rows, cols = axes
    if ord in (None, "f", "fro"):
        return _two_norm(x, axes, keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        if ord in (np.inf, -np.inf):
            rows, cols = cols, rows
        best = reductions.max if ord > 0 else reductions.min
        if not keepdims and cols > rows:
            cols -= 1
        return best(
            reductions.sum(u.absolute(x), axis=rows, keepdims=keepdims),
            axis=cols,
            keepdims=keepdims,
        )
    if ord not in ("nuc", 2, -2):
        raise ValueError(f"Invalid order '{ord}' for matrix norm.")
    s = svd(m.moveaxis(x, axes, (-2, -1)), compute_uv=False)
    fold = {"nuc": reductions.sum, 2: reductions.max, -2: reductions.min}[ord]
    out = fold(s, axis=-1)
    return lax.expand_dims(out, tuple(sorted(axes))) if keepdims else out


@recorded
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The p-norm over axes."""
    (x,) = promote_inexact("vector_norm", x)
    x = asarray(x)
    if axis is None:
        shape = x.shape
        out = vector_norm(m.ravel(x), axis=0, ord=ord)
        return m.reshape(out, (1,) * len(shape)) if keepdims else out
    if ord is None or ord == 2:
        return _two_norm(x, axis, keepdims)
    if ord == np.inf:
        return reductions.max(u.absolute(x), axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return reductions.min(u.absolute(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return reductions.sum(x != 0, axis=axis, dtype=_real(x.dtype), keepdims=keepdims)
    if ord == 1:
        return reductions.sum(u.absolute(x), axis=axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid order '{ord}' for vector norm.")
    size = u.absolute(x)
    power = convert(asarray(ord), size.dtype)
    return u.power(reductions.sum(u.power(size, power), axis=axis, keepdims=keepdims), 1 / power)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Matrix norms of the last two axes."""
    return norm(x, ord=ord, keepdims=keepdims, axis=(-2, -1))


def cond(x: Any, p: Any = None) -> Any:
    """The condition number in a norm."""
    (x,) = inexact("cond", x)
    x = asarray(x)
    if x.ndim < 2:
        raise ValueError(
            f"fx.numpy.linalg.cond: input array must be at least 2D; got x.shape={x.shape}"
        )
    if x.shape[-1] == 0 or x.shape[-2] == 0:
        raise ValueError(
            f"fx.numpy.linalg.cond: input array must not be empty; got x.shape={x.shape}"
        )
    if p is None or p in (2, -2):
        s = svd(x, compute_uv=False)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    if x.shape[-1] != x.shape[-2]:
        raise ValueError(
            f"fx.numpy.linalg.cond: for p={p!r} the matrix must be square; got x.shape={x.shape}"
        )
    out = norm(x, ord=p, axis=(-2, -1)) * norm(inv(x), ord=p, axis=(-2, -1))
    nans = reductions.any(u.isnan(x), axis=(-2, -1))
    return taking.where(u.isnan(out) & ~nans, np.inf, out)


# ---------------------------------------------------------------- others


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Any:
    """The product of a chain of matrices in the cheapest order."""
    members = list(arrays)
    if len(members) < 2:
        raise ValueError("fx.numpy.linalg.multi_dot requires at least two matrices/vectors")
    members = [asarray(x) for x in members]
    shapes = [x.shape for x in members]
    if any(len(s) != 2 for s in shapes[1:-1]):
        raise ValueError(
            "fx.numpy.linalg.multi_dot: input arrays must all be two-dimensional, apart from the "
            "first and last; got array shapes "
            f"{shapes}"
        )
    labels = [chr(97 + k) for k in range(len(members) + 1)]
    terms = [labels[k] + labels[k + 1] for k in range(len(members))]
    if len(shapes[0]) == 1:
        terms[0] = labels[1]
    if len(shapes[-1]) == 1:
        terms[-1] = labels[-2]
    for k in range(len(shapes) - 1):
        if shapes[k][-1] != shapes[k + 1][0]:
            raise ValueError(
                "fx.numpy.linalg.multi_dot: last dimension of each array must match first "
                f"dimension of following array; got {shapes}"
            )
    output = ("" if len(shapes[0]) == 1 else labels[0]) + (
        "" if len(shapes[-1]) == 1 else labels[-1]
    )
    return einsum(",".join(terms) + "->" + output, *members, optimize="auto", precision=precision)


def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of tensordot(a, ., ind)."""
    a = asarray(a)
    if ind <= 0:
        raise ValueError(f"ind must be a positive integer; got {ind=}")
    rows, cols = a.shape[:ind], a.shape[ind:]
    if np.prod(rows) != np.prod(cols):
        raise ValueError(f"product of dimensions {rows} and {cols} must match for tensorinv")
    n = int(np.prod(rows))
    return m.reshape(inv(m.reshape(a, (n, n))), (*cols, *rows))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """x with tensordot(a, x) = b."""
    a, b = inexact("tensorsolve", a, b)
    a, b = asarray(a), asarray(b)
    if axes is not None:
        a = m.moveaxis(a, tuple(axes), tuple(range(a.ndim - len(axes), a.ndim)))
    shape = a.shape[b.ndim :]
    if a.shape[: b.ndim] != b.shape or np.prod(shape) != np.prod(b.shape):
        raise ValueError(
            "After moving axes to end, leading shape of a must match shape of b, and the rest must "
            "have as many elements; got "
            f"a.shape={a.shape}, b.shape={b.shape}"
        )
    n = int(np.prod(shape))
    return m.reshape(solve(m.reshape(a, (n, n)), m.ravel(b)), shape)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped."""
    return m.matrix_transpose(x)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonals of the last two axes."""
    return diagonals.diagonal(x, offset=offset, axis1=-2, axis2=-1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sums of the `offset`-th diagonals of matrices [..., m, n]: [...]."""
    return diagonals.trace(x, offset=offset, axis1=-2, axis2=-1, dtype=dtype)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three components."""
    check_arraylike("linalg.cross", x1, x2)
    lengths = [get_aval(x).shape[axis] for x in (x1, x2)]
    if lengths != [3, 3]:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they have "
            f"{lengths[0]} and {lengths[1]} components along axis {axis}"
        )
    return products.cross(x1, x2, axis=axis)


def outer(x1: Any, x2: Any, /) -> Any:
    """x1[i] * x2[j] of vectors [m] and [n]: [m, n]. ValueError for other than vectors."""
    check_arraylike("linalg.outer", x1, x2)
    ranks = [get_aval(x).ndim for x in (x1, x2)]
    if ranks != [1, 1]:
        raise ValueError(
            f"Input arrays must be one-dimensional, but they have {ranks[0]} and {ranks[1]} axes"
        )
    return products.outer(x1, x2)
