"""Factorisations and solutions, with SciPy's arguments; overwrite_* and check_finite are accepted
and ignored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx import numpy as fnp
from fx.lax import linalg as factor
from fx.numpy.util import promote_dtypes_inexact

__all__ = [
    "cho_factor",
    "cho_solve",
    "cholesky",
    "det",
    "eigh",
    "eigh_tridiagonal",
    "hessenberg",
    "inv",
    "lu",
    "lu_factor",
    "lu_solve",
    "qr",
    "qr_multiply",
    "schur",
    "solve",
    "solve_sylvester",
    "solve_triangular",
    "svd",
]


def _args(name: str, *xs: Any) -> list[Any]:
    return [fnp.asarray(x) for x in promote_dtypes_inexact(name, *xs)]


def _adjoint(x: Any) -> Any:
    return fnp.conj(fnp.swapaxes(x, -1, -2))


def _system(name: str, a: Any, b: Any) -> tuple[Any, Any, bool]:
    """A matrix and columns with the same leading axes, and whether b was of vectors: one, or one
    for each matrix of a stack.
    """
    vector = b.ndim == 1 or (a.ndim == b.ndim + 1 and a.shape[-1] == b.shape[-1])
    return *_together(name, a, b[..., None] if vector else b), vector


def _together(name: str, a: Any, columns: Any) -> tuple[Any, Any]:
    """Matrices and columns with the same leading axes; ValueError where their sizes differ."""
    sizes = (*a.shape[-2:], *columns.shape[-2:-1])
    if len(sizes) != 3 or len(set(sizes)) != 1:
        raise ValueError(
            f"{name}: the sizes of matrices {a.shape} and right sides {columns.shape} do not fit; "
            "wanted are [..., n, n] and [n] or [..., n, k]"
        )
    lead = np.broadcast_shapes(a.shape[:-2], columns.shape[:-2])
    return (
        fnp.broadcast_to(a, (*lead, *a.shape[-2:])),
        fnp.broadcast_to(columns, (*lead, *columns.shape[-2:])),
    )


def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """The triangular factor [..., n, n], upper by default: a = U^H U or L L^H."""
    (a,) = _args("cholesky", a)
    out = factor.cholesky(a if lower else _adjoint(a), symmetrize_input=False)
    return out if lower else _adjoint(out)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    """The factor and which triangle it is, for cho_solve.

    As `cholesky`; the other triangle is zero.
    """
    return cholesky(a, lower=lower), lower


def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """x with a x = b, from cho_factor.

    b is [n] or [..., n, k]; leading axes broadcast.
    """
    c, b = _args("cho_solve", c_and_lower[0], b)
    lower = c_and_lower[1]
    c, x, vector = _system("cho_solve", c, b)
    x = _by_cholesky(c, x, lower)
    return x[..., 0] if vector else x


def _by_cholesky(c: Any, x: Any, lower: bool) -> Any:
    for first in (True, False):
        flip = first != lower
        x = factor.triangular_solve(
            c, x, left_side=True, lower=lower, transpose_a=flip, conjugate_a=flip
        )
    return x


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """U, singular values, V^H (or the singular values alone).

    a [..., m, n]; values descend, [..., min(m, n)]. Not full: U [..., m, k] and V^H [..., k, n].
    LAPACK's gesdd runs.
    """
    out = fnp.linalg.svd(*_args("svd", a), full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(out) if compute_uv else out


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinants [...] of square matrices [..., n, n], by LU, in their inexact dtype."""
    return fnp.linalg.det(*_args("det", a))


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The inverses of square matrices [..., n, n], by LU; NaN for a singular one."""
    return fnp.linalg.inv(*_args("inv", a))


def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    turbo: bool = True,
    eigvals: None = None,
    type: int = 1,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues and eigenvectors of a Hermitian matrix.

    (w [..., n], ascending, v [..., n, n] as columns). Of a (a + a^H) / 2 is taken, so `lower` has
    no effect. NotImplementedError for b, eigvals and other types.
    """
    if b is not None:
        raise NotImplementedError("Only the b=None case of eigh is implemented")
    if type != 1:
        raise NotImplementedError("Only the type=1 case of eigh is implemented.")
    if eigvals is not None:
        raise NotImplementedError("Only the eigvals=None case of eigh is implemented.")
    (a,) = _args("eigh", a)
    if eigvals_only:
        return fnp.linalg.eigvalsh(a, "L" if lower else "U")
    v, w = factor.eigh(a, lower=lower)
    return w, v


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: Any = None,
    tol: float | None = None,
    key: Any = None,
) -> Any:
    """Eigenvalues (and vectors) of a Hermitian tridiagonal matrix with diagonal d and off-diagonal
    e.

    d [n], e [n - 1]; w ascends. select "i" takes the indices low to high inclusive, "v" raises
    NotImplementedError. The matrix is formed: O(n^3).
    """
    d, e = _args("eigh_tridiagonal", d, e)
    a = fnp.diag(d) + fnp.diag(e, -1) + fnp.diag(fnp.conj(e), 1)
    v, w = factor.eigh(a)
    w = w.real
    if select == "i":
        low, high = select_range
        w, v = w[low : high + 1], v[:, low : high + 1]
    elif select == "v":
        raise NotImplementedError("eigh_tridiagonal: select='v' has a size that depends on data")
    elif select != "a":
        raise ValueError(f"'select must have a value in {{'a', 'i', 'v'}}, got {select!r}")
    return w if eigvals_only else (w, v)


def hessenberg(
    a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """The Hessenberg form H (and Q with a = Q H Q^H).

    Both [..., n, n]; H is zero below the subdiagonal. No derivative.
    """
    (a,) = _args("hessenberg", a)
    packed, taus = factor.hessenberg(a)
    h = fnp.triu(packed, -1)
    if not calc_q:
        return h
    n = a.shape[-1]
    q = factor.householder_product(packed[..., 1:, : n - 1], taus)
    lead = a.shape[:-2]
    full = fnp.broadcast_to(fnp.eye(n, dtype=a.dtype), (*lead, n, n))
    return h, full.at[..., 1:, 1:].set(q)


def schur(a: Any, output: str = "real") -> tuple[Any, Any]:
    """The Schur form T and Z with a = Z T Z^H.

    Both [..., n, n]: T quasi-triangular with 2x2 blocks for real output, triangular for complex.
    ValueError for other outputs. No derivative.
    """
    if output not in ("real", "complex"):
        raise ValueError(
            f"Expected 'output' to be either 'real' or 'complex', got output={output!r}."
        )
    (a,) = _args("schur", a)
    if output == "complex" and a.dtype.kind != "c":
        a = a.astype(np.complex128 if a.dtype == np.float64 else np.complex64)
    return tuple(factor.schur(a))  # type: ignore[return-value]


# ---------------------------------------------------------------- LU and QR


def _permutation_matrix(perm: Any, dtype: Any) -> Any:
    m = perm.shape[-1]
    return (perm[..., None, :] == fnp.arange(m, dtype=perm.dtype)[:, None]).astype(dtype)


def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, ...]:
    """P, L, U with a = P L U (or P L and U).

    a [..., m, n], k = min(m, n): P [..., m, m], L [..., m, k] with ones on its diagonal, U [..., k,
    n].
    """
    (a,) = _args("lu", a)
    packed, _, perm = factor.lu(a)
    m, n = a.shape[-2:]
    k = min(m, n)
    real = np.dtype(
        {"complex64": "float32", "complex128": "float64"}.get(a.dtype.name, a.dtype.name)
    )
    p = _permutation_matrix(perm, real)
    l = fnp.tril(packed, -1)[..., :, :k] + fnp.eye(m, k, dtype=a.dtype)
    u = fnp.triu(packed)[..., :k, :]
    return (fnp.matmul(p.astype(a.dtype), l), u) if permute_l else (p, l, u)


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """Packed factors and row swaps, for lu_solve.

    (L and U in one [..., m, n], row swaps int32 [..., k]).
    """
    packed, pivots, _ = factor.lu(*_args("lu_factor", a))
    return packed, pivots


def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """x with a x = b (or a^T, a^H), from lu_factor.

    b is [n] or [..., n, k]. trans 0, 1, 2; ValueError for others.
    """
    packed, pivots = lu_and_piv
    packed, b = _args("lu_solve", packed, b)
    packed, x, vector = _system("lu_solve", packed, b)
    perm = factor.lu_pivots_to_permutation(fnp.asarray(pivots), packed.shape[-1])
    perm = fnp.broadcast_to(perm, packed.shape[:-1])
    if trans not in (0, 1, 2):
        raise ValueError(f"'trans' value must be 0, 1, or 2, got {trans}")
    if trans == 0:
        x = fnp.take_along_axis(x, perm[..., :, None], axis=-2, mode="clip")
        x = factor.triangular_solve(packed, x, left_side=True, lower=True, unit_diagonal=True)
        x = factor.triangular_solve(packed, x, left_side=True, lower=False)
    else:
        flags = {"left_side": True, "transpose_a": True, "conjugate_a": trans == 2}
        x = factor.triangular_solve(packed, x, lower=False, **flags)
        x = factor.triangular_solve(packed, x, lower=True, unit_diagonal=True, **flags)
        x = fnp.take_along_axis(x, fnp.argsort(perm, axis=-1)[..., :, None], axis=-2, mode="clip")
    return x[..., 0] if vector else x


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Any, ...]:
    """Q and R (mode "full", "economic", or R alone with "r"), and p with a[:, p] = Q R if pivoting.

    p is such that the diagonal of R does not grow in magnitude.
    a [..., m, n]; ValueError for other modes.
    """
    if mode not in ("full", "r", "economic"):
        raise ValueError(f"Unsupported QR decomposition mode '{mode}'")
    parts = factor.qr(*_args("qr", a), pivoting=pivoting, full_matrices=mode != "economic")
    return tuple(parts[1:] if mode == "r" else parts)


def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Any, ...]:
    """c Q (mode "right") or Q c (mode "left"), R, and p with a[:, p] = Q R if pivoting.

    Q has min(m, n) columns; c may be a vector, and leading axes of a and c broadcast.
    ValueError for other modes or sizes that do not fit.
    """
    if mode not in ("left", "right"):
        raise ValueError(f"mode must be 'right' or 'left', got {mode!r}")
    a, c = _args("qr_multiply", a, c)
    left, vector = mode == "left", c.ndim == 1
    if vector:
        c = c[:, None] if left else c[None, :]
    given, wanted = (c.shape[-2], min(a.shape[-2:])) if left else (c.shape[-1], a.shape[-2])
    if given != wanted:
        raise ValueError(
            f"qr_multiply requires c to have {wanted} {'rows' if left else 'columns'} "
            f"(mode={mode!r}, a of shape {a.shape}), got shape {c.shape}"
        )
    batch = np.broadcast_shapes(a.shape[:-2], c.shape[:-2])
    a = fnp.broadcast_to(a, (*batch, *a.shape[-2:]))
    q, *rest = factor.qr(a, pivoting=pivoting, full_matrices=False)
    q = fnp.conj(q) if conjugate else q
    out = fnp.matmul(q, c) if left else fnp.matmul(c, q)
    if vector:
        out = out[..., 0] if left else out[..., 0, :]
    return (out, *rest)


# ---------------------------------------------------------------- solve


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    debug: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Any:
    """x with a x = b; assume_a "pos" uses Cholesky's factor, also for derivatives, which are those
    with respect to all of a.

    a [..., n, n], b [n] or [..., n, k]; LU otherwise. ValueError for other names; "sym" and "her"
    are as "gen".
    """
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise ValueError(f"Expected assume_a to be one of gen, sym, her, pos; got {assume_a!r}")
    a, b = _args("solve", a, b)
    if assume_a == "pos":
        vector = b.ndim == 1 or a.ndim == b.ndim + 1
        out = _solve_positive(*_together("solve", a, b[..., None] if vector else b), lower)
        return out[..., 0] if vector else out
    return fnp.linalg.solve(a, b)


def _solve_positive(a: Any, columns: Any, lower: bool) -> Any:
    """Solutions whose derivatives solve with the same factor: dx = a^-1 (db - da x)."""
    c = cholesky(lax.stop_gradient(a), lower=lower)
    if not any(isinstance(x, core.Tracer) for x in (a, columns)):
        return _by_cholesky(c, columns, lower)
    return lax.custom_linear_solve(
        lambda x: fnp.matmul(a, x, precision="highest"),
        columns,
        solve=lambda _, x: _by_cholesky(c, x, lower),
        transpose_solve=lambda _, x: _by_cholesky(c.conj(), x, lower),
    )


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    debug: Any = None,
    check_finite: bool = True,
) -> Any:
    """x with a x = b for a triangular a.

    trans 0, 1 or 2 (N, T, C; ValueError otherwise): a, its transpose or its adjoint. b has a column
    axis or is one vector, or a vector [..., n] for each of a's matrices [..., n, n]; only one
    triangle of a is read.
    """
    kinds = {0: (False, False), "N": (False, False), 1: (True, False), "T": (True, False)}
    kinds |= {2: (True, True), "C": (True, True)}
    if trans not in kinds:
        raise ValueError(f"Invalid 'trans' value {trans}")
    transpose, conjugate = kinds[trans]
    a, b = _args("solve_triangular", fnp.asarray(a), fnp.asarray(b))
    a, x, vector = _system("solve_triangular", a, b)
    out = factor.triangular_solve(
        a,
        x,
        left_side=True,
        lower=lower,
        transpose_a=transpose,
        conjugate_a=conjugate,
        unit_diagonal=unit_diagonal,
    )
    return out[..., 0] if vector else out


def solve_sylvester(A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8) -> Any:
    """X with A X + X B = C: complex Schur forms, column by column (Bartels, Stewart 1972).

    A [m, m], B [n, n], C [m, n]; real operands give a real X. method and tol have no effect.
    """
    a, b, c = _args("solve_sylvester", A, B, C)
    real = a.dtype.kind != "c"
    wide = np.complex128 if a.dtype in (np.float64, np.complex128) else np.complex64
    r, u = factor.schur(a.astype(wide))
    s, v = factor.schur(b.astype(wide))
    f = _adjoint(u) @ c.astype(wide) @ v
    n = b.shape[0]
    eye = fnp.eye(a.shape[0], dtype=wide)

    def column(y: Any, k: Any) -> Any:
        rest = fnp.where(fnp.arange(n) < k, s[:, k], 0)
        right = f[:, k] - y @ rest
        x = factor.triangular_solve(r + s[k, k] * eye, right[:, None], left_side=True, lower=False)
        return y.at[:, k].set(x[:, 0]), None

    y, _ = lax.scan(column, fnp.zeros_like(f), fnp.arange(n))
    out = u @ y @ _adjoint(v)
    return out.real if real else out
