"""QR and the reductions by reflections (Hessenberg, tridiagonal), of stacks of matrices: host
steps on LAPACK.

Q and R of a matrix of full rank have derivatives (Walter, Lehmann, Lamour 2012), further columns of
a square Q those of its reflections; a wide matrix's follow from its leading square block.
householder_product and ormqr have none, as in JAX.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero, get_aval, no
from fx.lazy import LazyModule
from fx.prims import lapack, parts
from fx.prims import matrix as mx
from fx.prims.elementwise import add, sub
from fx.prims.host import host_primitive, loop_over_batch, lower_host
from fx.prims.linalg_cases import complex_general, definite, general
from fx.prims.linalg_eigen import real_dtype
from fx.prims.linalg_solve import MATRICES, check_matrix, solve, triangular_solve
from fx.prims.registry import Case

sl = LazyModule("scipy.linalg")

_NOT_LINEAR = no("it is not linear")
_REFLECTIONS = no("derivatives of products of reflections are not implemented, as in JAX")

# ---------------------------------------------------------------- qr


def _qr_abstract(x, *, pivoting, full_matrices, use_magma):
    m, n = check_matrix("qr", x)
    k = m if full_matrices else min(m, n)
    batch = x.shape[:-2]
    outs = [ShapedArray((*batch, m, k), x.dtype), ShapedArray((*batch, k, n), x.dtype)]
    return [*outs, ShapedArray((*batch, n), np.int32)] if pivoting else outs


def _qr_numpy(x, *, pivoting, full_matrices, use_magma):
    avals = _qr_abstract(
        get_aval(x), pivoting=pivoting, full_matrices=full_matrices, use_magma=None
    )

    def one(a):
        if not a.size:
            n = a.shape[1]
            empty = [np.eye(*v.shape[-2:], dtype=v.dtype) for v in avals[:2]]
            return [*empty, np.arange(n, dtype=np.int32)][: 2 + pivoting]
        if not pivoting:
            return lapack.qr(a, full_matrices)
        mode = "full" if full_matrices else "economic"
        return sl.qr(a, mode=mode, pivoting=True, check_finite=False)

    return loop_over_batch(one, (2,), (x,), avals)


def _qr_jvp(primals, tangents, **params):
    """With W = Q^H dA R^-1: dQ = Q Omega + (dA R^-1 - Q W), dR = (W - Omega) R, Omega skew from
    W's lower part.
    """
    outs = qr_p.bind(primals[0], **params)
    q, r = outs[:2]
    pivots = [Zero.like(p) for p in outs[2:]]
    da = tangents[0]
    if type(da) is Zero:
        return outs, [Zero.like(q), Zero.like(r), *pivots]
    m, n = get_aval(da).shape[-2:]
    if params["pivoting"]:
        da = _permute_columns(da, outs[2])
    if params["full_matrices"] and m > n:
        return outs, [*_full_qr_tangents(q, r, da), *pivots]
    return outs, [*_thin_qr_tangents(q, r, da), *pivots]


def _thin_qr_tangents(q: Any, r: Any, da: Any) -> tuple[Any, Any]:
    m, n = get_aval(da).shape[-2:]
    k = min(m, n)
    r1, da1 = mx.columns(r, 0, k), mx.columns(da, 0, k)
    scaled = triangular_solve(r1, da1, left_side=False, lower=False)
    w = mx.matmul(mx.adjoint(q), scaled)
    low = mx.tril(w, -1)
    omega = sub(low, mx.adjoint(low))
    if mx.is_complex(w):  # the diagonal of R stays real
        eye = mx.identity_like(w)
        imaginary = sub(w, core.PRIMITIVES["convert_element_type"].bind(
            mx.real(w), new_dtype=get_aval(w).dtype, weak_type=False))  # fmt: skip
        omega = add(omega, core.PRIMITIVES["mul"].bind(eye, imaginary))
    dq = add(mx.matmul(q, sub(omega, w)), scaled)
    dr = mx.matmul(sub(w, omega), r1)
    if n > k:
        r2, da2 = mx.columns(r, k, n), mx.columns(da, k, n)
        more = add(mx.matmul(mx.matmul(mx.adjoint(dq), q), r2), mx.matmul(mx.adjoint(q), da2))
        dr = parts.concatenate([dr, more], get_aval(dr).ndim - 1)
    return dq, dr


def _full_qr_tangents(q: Any, r: Any, da: Any) -> tuple[Any, Any]:
    """The tangents of a tall matrix's square Q = [Q1, Q2] and of R = [R1; 0].

    Reflections give Q = I - V T V^H with V = [V1; V2], so B = Q1 - [I; 0] = -V T V1^H. With B1 and
    B2 its upper and lower rows, Z = V2 V1^-1 = B2 B1^-1 and Q2 = [0; I] + B Z^H. Hence
    dQ2 = dQ1 Z^H + B dZ^H, where dZ = (dB2 - Z dB1) B1^-1.
    """
    m, n = get_aval(da).shape[-2:]
    q1 = mx.columns(q, 0, n)
    dq1, dr1 = _thin_qr_tangents(q1, mx.rows(r, 0, n), da)
    top = sub(mx.rows(q1, 0, n), mx.identity_like(mx.rows(q1, 0, n)))
    b = parts.concatenate([top, mx.rows(q1, n, m)], get_aval(q).ndim - 2)
    turned = mx.adjoint(top)
    z = mx.adjoint(solve(turned, mx.adjoint(mx.rows(b, n, m))))
    change = sub(mx.rows(dq1, n, m), mx.matmul(z, mx.rows(dq1, 0, n)))
    dz = mx.adjoint(solve(turned, mx.adjoint(change)))
    dq2 = add(mx.matmul(dq1, mx.adjoint(z)), mx.matmul(b, mx.adjoint(dz)))
    below = core.zeros_like_aval(get_aval(mx.rows(r, n, m)))
    axis = get_aval(q).ndim - 1
    return parts.concatenate([dq1, dq2], axis), parts.concatenate([dr1, below], axis - 1)


def _permute_columns(x: Any, p: Any) -> Any:
    from fx.prims.linalg_solve import permute_rows

    return mx.transposed(permute_rows(mx.transposed(x), p))


def _qr_stage(*, pivoting, **params):
    return () if pivoting else ("qr",)


qr_p = host_primitive(
    "qr",
    "Orthonormal Q and upper triangular R with A = Q R (A P = Q R with pivoting, and P's columns).",
    multiple_results=True,
    abstract=_qr_abstract,
    numpy=_qr_numpy,
    lower=lower_host(lambda: qr_p, _qr_stage),
    jvp=_qr_jvp,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case(
            (s,),
            {"pivoting": p, "full_matrices": f, "use_magma": None},
            (d,),
            (complex_general if d is np.complex64 else general,),
        )
        for s, f, p, d in (
            ((3, 3), False, False, np.float32),
            ((3, 3), False, False, np.complex64),
            ((2, 4, 2), False, False, np.float32),
            ((2, 3), False, False, np.float32),
            ((4, 3), False, True, np.float32),
            ((3, 2), True, False, np.float32),
            ((0, 2), False, False, np.float32),
        )
    ],
)


# ---------------------------------------------------------------- products of reflections


def _geqrf_abstract(a):
    m, n = check_matrix("geqrf", a)
    return [a, ShapedArray((*a.shape[:-2], min(m, n)), a.dtype)]


def _geqrf_numpy(a):
    packed, taus = np.linalg.qr(a, mode="raw")
    return [np.ascontiguousarray(np.swapaxes(packed, -1, -2)).astype(a.dtype), taus.astype(a.dtype)]


geqrf_p = host_primitive(
    "geqrf",
    "LAPACK's QR: R in the upper triangle, the reflections below it, and their scales.",
    multiple_results=True,
    abstract=_geqrf_abstract,
    numpy=_geqrf_numpy,
    lower=lower_host(lambda: geqrf_p, lambda: ("geqrf",)),
    jvp=_REFLECTIONS,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case((s,), {}, (d,), diff=())
        for s, d in (
            ((3, 3), np.float32),
            ((2, 4, 2), np.float32),
            ((2, 3), np.complex64),
            ((0, 2), np.float32),
        )
    ],
)


def _householder_abstract(a, taus):
    m, n = check_matrix("householder_product", a)
    if m < n or taus.shape[-1:] > (n,) or taus.shape[:-1] != a.shape[:-2] or taus.dtype != a.dtype:
        raise ValueError(
            f"householder_product requires a tall matrix and its taus, got {a.str_short()} and "
            f"{taus.str_short()}."
        )
    return ShapedArray(a.shape, a.dtype)


def _householder_numpy(a, taus):
    def one(a, taus):
        if not a.size:
            return (a,)
        k = taus.shape[0]
        v = np.tril(a[:, :k], -1) + np.eye(a.shape[0], k, dtype=a.dtype)
        q = np.eye(*a.shape, dtype=a.dtype)
        for i in range(k - 1, -1, -1):
            q -= taus[i] * np.outer(v[:, i], v[:, i].conj() @ q)
        return (q,)

    return loop_over_batch(one, (2, 1), (a, taus), [get_aval(a)])[0]


householder_product_p = host_primitive(
    "householder_product",
    "The first columns of the product of the reflections that a and taus pack.",
    abstract=_householder_abstract,
    numpy=_householder_numpy,
    lower=lower_host(lambda: householder_product_p, lambda: ("householder",)),
    jvp=_REFLECTIONS,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case(s, {}, diff=())
        for s in (((4, 3), (3,)), ((2, 3, 3), (2, 2)), ((3, 0), (0,)), ((0, 3, 3), (0, 2)))
    ],
)


def _ormqr_abstract(a, taus, c, *, left, transpose):
    check_matrix("ormqr", a)
    m, n = check_matrix("ormqr", c)
    if a.shape[-2] != (m if left else n):
        raise ValueError(
            f"ormqr: the reflections have length {a.shape[-2]}, c has shape {c.shape}."
        )
    return ShapedArray(c.shape, c.dtype)


def _ormqr_numpy(a, taus, c, *, left, transpose):
    def one(a, taus, c):
        k = taus.shape[0]
        v = np.tril(a[:, :k], -1) + np.eye(a.shape[0], k, dtype=a.dtype)
        out = c.copy() if left else c.conj().T.copy()
        # Q = H_1 ... H_k; applied from the right, the adjoint acts from the left
        forward = transpose if left else not transpose
        for i in range(k) if forward else range(k - 1, -1, -1):
            tau = taus[i].conj() if forward else taus[i]
            out -= tau * np.outer(v[:, i], v[:, i].conj() @ out)
        return (out if left else out.conj().T,)

    return loop_over_batch(one, (2, 1, 2), (a, taus, c), [get_aval(c)])[0]


ormqr_p = host_primitive(
    "ormqr",
    "c multiplied by the product of the reflections that a and taus pack, or by its adjoint.",
    abstract=_ormqr_abstract,
    numpy=_ormqr_numpy,
    lower=lower_host(lambda: ormqr_p, lambda *, left, transpose: ("ormqr", left, transpose)),
    jvp=_REFLECTIONS,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case(((3, 2), (2,), (3, 2)), {"left": True, "transpose": False}, diff=()),
        Case(((3, 2), (2,), (2, 3)), {"left": False, "transpose": True}, diff=()),
        Case(((3, 2), (2,), (3, 0)), {"left": True, "transpose": False}, diff=()),
    ],
)


# ---------------------------------------------------------------- hessenberg, tridiagonal


def _hessenberg_abstract(a):
    n, _ = check_matrix("hessenberg", a, square=True)
    return [ShapedArray(a.shape, a.dtype), ShapedArray((*a.shape[:-2], max(n - 1, 0)), a.dtype)]


def _hessenberg_numpy(a):
    def one(a):
        if a.shape[0] < 2:
            return a, np.zeros(max(a.shape[0] - 1, 0), a.dtype)
        h, tau, _ = sl.get_lapack_funcs("gehrd", (a,))(a)
        return h, tau

    return loop_over_batch(one, (2,), (a,), _hessenberg_abstract(get_aval(a)))


hessenberg_p = host_primitive(
    "hessenberg",
    "Hessenberg form, with the reflections that lead to it packed below, and their taus.",
    multiple_results=True,
    abstract=_hessenberg_abstract,
    numpy=_hessenberg_numpy,
    jvp=_REFLECTIONS,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case((s,), {}, ranges=(general,), diff=()) for s in ((3, 3), (2, 4, 4), (0, 2, 2))
    ],
)


def _tridiagonal_abstract(a, *, lower):
    n, _ = check_matrix("tridiagonal", a, square=True)
    batch, real = a.shape[:-2], real_dtype(a.dtype)
    k = max(n - 1, 0)
    d, e = ShapedArray((*batch, n), real), ShapedArray((*batch, k), real)
    return [ShapedArray(a.shape, a.dtype), d, e, ShapedArray((*batch, k), a.dtype)]


def _tridiagonal_numpy(a, *, lower):
    def one(a):
        n = a.shape[0]
        if n < 2:
            none = np.zeros(0, a.dtype)
            return a, np.real(np.diagonal(a)), np.real(none), none
        name = "hetrd" if a.dtype.kind == "c" else "sytrd"
        c, d, e, tau, _ = sl.get_lapack_funcs(name, (a,))(a, lower=int(lower))
        return c, d, e, tau

    return loop_over_batch(one, (2,), (a,), _tridiagonal_abstract(get_aval(a), lower=lower))


tridiagonal_p = host_primitive(
    "tridiagonal",
    "Tridiagonal form of Hermitian matrices: packed reflections, diagonal, off-diagonal, taus.",
    multiple_results=True,
    abstract=_tridiagonal_abstract,
    numpy=_tridiagonal_numpy,
    jvp=_REFLECTIONS,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case((s,), {"lower": True}, ranges=(definite,), diff=())
        for s in ((3, 3), (2, 4, 4), (0, 2, 2))
    ],
)


# ---------------------------------------------------------------- rank-one update of a factor


def _update_abstract(r, w):
    n, _ = check_matrix("cholesky_update", r, square=True)
    if r.dtype.kind == "c" or w.dtype != r.dtype:
        raise TypeError(
            "cholesky_update requires real operands of one dtype, got "
            f"{r.dtype.name} and {w.dtype.name}."
        )
    if w.shape != r.shape[:-1]:
        raise ValueError(f"cholesky_update requires a vector of length {n}, got shape {w.shape}.")
    return ShapedArray(r.shape, r.dtype)


def _update_numpy(r, w):
    """Givens rotations fold the row w into R, one a column."""

    def one(r, w):
        r, w = r.copy(), w.copy()
        for k in range(r.shape[0]):
            h = np.hypot(r[k, k], w[k])
            if h == 0:
                continue
            cos, sin = r[k, k] / h, w[k] / h
            row = r[k, k:].copy()
            r[k, k:] = cos * row + sin * w[k:]
            w[k:] = cos * w[k:] - sin * row
        return (r,)

    return loop_over_batch(one, (2, 1), (r, w), [get_aval(r)])[0]


cholesky_update_p = host_primitive(
    "cholesky_update",
    "The upper triangular factor of R^T R + w w^T.",
    abstract=_update_abstract,
    numpy=_update_numpy,
    jvp=no("the derivative of the rank-one update is not implemented, as in JAX"),
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case(s, {}, ranges=(_factor, (-2, 2)), diff=()) for s in (((3, 3), (3,)), ((0, 0), (0,)))
    ],
)


def _factor(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Upper triangular matrices for test cases."""
    return np.swapaxes(np.linalg.cholesky(definite(rng, shape)), -1, -2)
