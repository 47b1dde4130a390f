"""fx.numpy.linalg: decompositions, solutions, norms of stacks of matrices (the last two axes).
Integers become floats; factorisations raise TypeError for 16-bit floats, ValueError for other
shapes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fx import lax
from fx.avals import canonicalize_dtype
from fx.core import get_aval
from fx.dtypes import finfo
from fx.lax import linalg as factor
from fx.numpy import diagonals, linalg_products, reductions
from fx.numpy import manipulation as m
from fx.numpy import selection as taking
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray, zeros
from fx.numpy.linalg_products import *  # noqa: F403
from fx.numpy.matrix_rules import determinant, pseudo_inverse
from fx.numpy.products import matmul
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
from fx.prims.linalg_eigen import eigvalsh_p, svd_of_any_signs
from fx.prims.linalg_orthogonal import geqrf_p
from fx.prims.linalg_solve import check_matrix

__all__ = [
    "EigResult",
    "EighResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cond",
    "det",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vector_norm",
]
__all__ += linalg_products.__all__


class EigResult(NamedTuple):
    """What eig gives: eigenvalues [..., n] and eigenvectors in columns [..., n, n]."""

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """What eigh gives: eigenvalues [..., n] and eigenvectors in columns [..., n, n]."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """What qr gives: Q [..., m, k] with orthonormal columns, R [..., k, n] upper triangular."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """What svd gives: left vectors in columns, singular values, right vectors in rows."""

    U: Any
    S: Any
    Vh: Any


class SlogdetResult(NamedTuple):
    """What slogdet gives: the sign and the logarithm of the magnitude, both [...]."""

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
    """The triangular factor L [..., n, n] with L L^H = a (with `upper` L^H); NaN where a is not
    positive definite. It reads (a + a^H) / 2, the lower half alone without symmetrize_input.
    """
    (a,) = inexact("cholesky", a)
    out = factor.cholesky(a, symmetrize_input=symmetrize_input)
    return _adjoint(out) if upper else out


def qr(a: Any, mode: str = "reduced") -> Any:
    """Matrices [..., m, n] as orthogonal times triangular: Q [..., m, k], R [..., k, n], k = min(m,
    n).

    mode: "reduced" (or "full"); "complete" for k = m; "r" for R alone; "raw" for LAPACK's
    reflections (transposed) and their scales.
    """
    (a,) = inexact("qr", a)
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
    """U diag(S) Vh of matrices [..., m, n], with real S [..., min(m, n)] falling: U [..., m, m] and
    Vh [..., n, n], or their first min(m, n) columns and rows without full_matrices, or S alone
    without compute_uv, or those of a range (start, end) of S, without full_matrices. `hermitian`
    goes by eigh. No derivative with full_matrices unless m = n.
    """
    (a,) = inexact("svd", a)
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
    full, chosen = full_matrices and compute_uv, subset_by_index
    out = factor.svd(a, full_matrices=full, compute_uv=compute_uv, subset_by_index=chosen)
    return SVDResult(*out) if compute_uv else _first(out)


def _first(x: Any) -> Any:
    return x[0] if isinstance(x, (tuple, list)) else x


def factor_eigh(a: Any, lower: bool = True, symmetrize: bool = True) -> tuple[Any, Any]:
    """Eigenvalues (rising) and eigenvectors of a Hermitian matrix."""
    v, w = factor.eigh(a, lower=lower, symmetrize_input=symmetrize)
    return w, v


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Eigenvalues, real and rising, and orthonormal eigenvectors of Hermitian matrices [..., n, n]:
    of (a + a^H) / 2, or, without symmetrize_input, of the half that UPLO ("L", "U") names. The
    derivatives of eigenvectors are NaN where eigenvalues are equal.
    """
    return EighResult(*factor_eigh(_hermitian(a, UPLO), UPLO != "U", symmetrize_input))


def _hermitian(a: Any, UPLO: str | None) -> Any:
    (a,) = inexact("eigh", a)
    check_matrix("eigh", get_aval(a), square=True)
    if UPLO not in (None, "L", "U"):
        raise ValueError(f"UPLO must be one of None, 'L', or 'U', got {UPLO}")
    return a


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Any:
    """The eigenvalues [..., n] of Hermitian matrices, real and rising; arguments as in eigh."""
    a = _hermitian(a, UPLO)
    a = factor.symmetrize(a) if symmetrize_input else a
    return eigvalsh_p.bind(a, lower=UPLO != "U")


def eig(a: Any) -> EigResult:
    """Eigenvalues and right eigenvectors of general matrices [..., n, n], complex and in no order.
    Only the eigenvalues have derivatives.
    """
    (a,) = inexact("eig", a)
    w, v = factor.eig(a, compute_left_eigenvectors=False)
    return EigResult(w, v)


def eigvals(a: Any) -> Any:
    """The eigenvalues [..., n] of general matrices [..., n, n], complex and in no order."""
    (a,) = inexact("eigvals", a)
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
    unknown = reductions.any(u.isnan(diagonal_), axis=-1)
    n = a.shape[-1]
    moved = reductions.sum(pivots != lax.iota(pivots.dtype, n), axis=-1)
    if a.dtype.kind == "c":
        unit = reductions.prod(diagonal_ / u.absolute(diagonal_), axis=-1)
        sign = unit * (1 - 2 * (moved % 2))
    else:
        moved = moved + reductions.sum(diagonal_ < 0, axis=-1)
        sign = convert(1 - 2 * (moved % 2), a.dtype)
        sign = taking.where(unknown, base.const_as(sign, np.nan), sign)
    real = _real(a.dtype)
    sign = taking.where(zero, base.const_as(sign, 0), sign)
    logs = reductions.sum(u.log(u.absolute(diagonal_)), axis=-1)
    logs = taking.where(zero, base.const_as(logs, -np.inf), logs)
    return SlogdetResult(convert(sign, a.dtype), convert(logs, real))


@recorded
def det(a: Any) -> Any:
    """The determinants [...] of matrices [..., n, n]: closed forms up to 3x3, so that singular ones
    have derivatives, LU beyond.
    """
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
    """x with a x = b for a [..., n, n] and b [..., n, k], by LU; b is a vector only if it has one
    axis. Leading axes broadcast. Of a singular matrix infinite or NaN, nothing is raised.
    """
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
    """The Moore-Penrose inverses [..., n, m] of matrices [..., m, n], by SVD; singular values up to
    rtol times the largest count as zero (rtol: 10 max(m, n) times the dtype's epsilon). The
    derivative is Golub and Pereyra's (1973).
    """
    a = _matrix("pinv", a)
    rtol = rcond if rtol is None else rtol
    if rtol is None:
        rtol = 10.0 * max(a.shape[-2:]) * float(finfo(a.dtype).eps)
    return pseudo_inverse()(a, rtol, hermitian)


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
        x = zeros((cols,) if vector else (cols, b.shape[1]), a.dtype)
        resid = zeros((0,), a.dtype) if numpy_resid else norm(b, axis=0) ** 2
        rank = zeros((), canonicalize_dtype(np.int64))
        return x, resid, rank, zeros((0,), a.dtype)
    if rcond is None:
        rcond = float(finfo(a.dtype).eps) * max(rows, cols)
    else:
        eps = float(finfo(a.dtype).eps)
        rcond = taking.where(asarray(rcond) < 0, eps, rcond)
    uu, s, vh = svd_of_any_signs(a)
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
    """Matrices [..., n, n] multiplied n times, by repeated squaring, in their own dtype; negative
    n, a static integer, inverts first. TypeError where they are not square.
    """
    import operator

    check_arraylike("matrix_power", a)
    a = asarray(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise TypeError(f"Argument to matrix_power must have shape [..., n, n], got {a.shape}")
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"exponent must be an integer, got {n}") from None
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
    """The number of singular values above rtol (max(m, n) times the dtype's epsilon) times the
    largest: int32 (int64 with x64) [...]. Of a vector 1, or 0 if it is zero.
    """
    rtol = tol if rtol is None else rtol
    (a,) = inexact("matrix_rank", M)
    a = asarray(a)
    if a.ndim < 2:
        return convert(reductions.any(a != 0), canonicalize_dtype(np.int64))
    s = svd(a, full_matrices=False, compute_uv=False, hermitian=hermitian)
    if rtol is None:
        rtol = max(a.shape[-2:]) * float(finfo(a.dtype).eps)
    cut = asarray(rtol)[..., None] * reductions.max(s, axis=-1, keepdims=True, initial=0)
    return reductions.sum(s > convert(cut, s.dtype), axis=-1)


# ---------------------------------------------------------------- norms


@recorded
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of all elements, of vectors along one axis or of matrices in two: real. `ord` of
    vectors: p as in vector_norm; of matrices: "fro" (default), "nuc" or 2, -2 of the singular
    values, 1, -1 of column sums, inf, -inf of row sums; ValueError for others and for more axes.
    Its gradient at 0 is NaN.
    """
    (x,) = promote_inexact("norm", x)
    x = asarray(x)
    n = x.ndim
    if axis is None:
        if ord is None:
            return _two_norm(x, tuple(range(n)), keepdims)
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


def _largest(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The largest of what is not negative; 0 of nothing."""
    return reductions.max(x, axis=axis, keepdims=keepdims, initial=0)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    rows, cols = axes
    if ord in (None, "f", "fro"):
        return _two_norm(x, axes, keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        if ord in (np.inf, -np.inf):
            rows, cols = cols, rows
        best = _largest if ord > 0 else reductions.min
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
    fold = {"nuc": reductions.sum, 2: _largest, -2: reductions.min}[ord]
    out = fold(s, axis=-1)
    return lax.expand_dims(out, tuple(sorted(axes))) if keepdims else out


@recorded
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The p-norm over axes (None: all), real: (sum |x|^p)^(1/p); the largest |x| for inf, the least
    for -inf, the number of nonzeros for 0. Its gradient at 0 is NaN for p = 2.
    """
    (x,) = promote_inexact("vector_norm", x)
    x = asarray(x)
    if axis is None and ord in (None, 2):
        return _two_norm(x, tuple(range(x.ndim)), keepdims)
    if axis is None:
        shape = x.shape
        out = vector_norm(m.ravel(x), axis=0, ord=ord)
        return m.reshape(out, (1,) * len(shape)) if keepdims else out
    if ord is None or ord == 2:
        return _two_norm(x, axis, keepdims)
    if ord == np.inf:
        initial = None if x.size else 0
        return reductions.max(u.absolute(x), axis=axis, keepdims=keepdims, initial=initial)
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
    """The norms [...] of matrices [..., m, n], real; `ord` and errors as in norm."""
    return norm(x, ord=ord, keepdims=keepdims, axis=(-2, -1))


def cond(x: Any, p: Any = None) -> Any:
    """The condition numbers [...] of matrices: the largest singular value by the smallest, or the
    norm p of a square one times that of its inverse. ValueError for vectors and empty matrices.
    """
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


def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse under tensordot(., ., ind): of shape a.shape[ind:] + a.shape[:ind]. ValueError
    where these have different products.
    """
    a = asarray(a)
    if ind <= 0:
        raise ValueError(f"ind must be a positive integer; got {ind=}")
    rows, cols = a.shape[:ind], a.shape[ind:]
    if np.prod(rows) != np.prod(cols):
        raise ValueError(f"product of dimensions {rows} and {cols} must match for tensorinv")
    n = int(np.prod(rows))
    return m.reshape(inv(m.reshape(a, (n, n))), (*cols, *rows))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """x with tensordot(a, x, b.ndim) = b, of shape a.shape[b.ndim:], after `axes` of a have moved
    to the end. ValueError where the shapes do not fit.
    """
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
