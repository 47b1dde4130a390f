"""Eigenvalues, singular values and Schur forms of stacks of matrices: host steps on LAPACK.

Derivatives divide by differences of eigenvalues (squares of singular values), so they are infinite
or NaN where two are equal. Sources: Giles 2008; Boeddeker et al., arXiv:1701.00392 (complex
eigenvectors); Townsend 2016 (singular vectors).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero, get_aval, no
from fx.lazy import LazyModule
from fx.prims import compare, elementwise, lapack, shape
from fx.prims import matrix as mx
from fx.prims.elementwise import add, div, mul, sub
from fx.prims.host import host_primitive, loop_over_batch, lower_host
from fx.prims.linalg_cases import (
    complex_definite,
    complex_general,
    definite,
    eigenspaces,
    general,
    hermitian,
    singular_spaces,
    spaces,
)
from fx.prims.linalg_solve import MATRICES, check_matrix, solve
from fx.prims.registry import Case

sl = LazyModule("scipy.linalg")

_NOT_LINEAR = no("it is not linear")


def real_dtype(dtype: np.dtype) -> np.dtype:
    return np.finfo(dtype).dtype


def complex_dtype(dtype: np.dtype) -> np.dtype:
    return np.result_type(dtype, np.complex64)


def _range(k: int, subset: Any) -> int:
    if subset is None:
        return k
    start, end = subset
    if not 0 <= start < end <= k:
        raise ValueError(
            f"subset_by_index must satisfy 0 <= start < end <= {k}, got {tuple(subset)}."
        )
    return end - start


def _reciprocal_differences(a: Any, b: Any) -> Any:
    """1 / (a - b) with 0 where i = j; a, b are [..., n, n]."""
    eye = mx.identity_like(a)
    return sub(div(elementwise.one_like(a), add(sub(a, b), eye)), eye)


# ---------------------------------------------------------------- eigh


def _hermitian_cases(params: dict[str, Any], **more: Any) -> list[Case]:
    real, complex_ = (np.float32, definite), (np.complex64, complex_definite)
    kinds = (((3, 3), real), ((2, 2, 2), real), ((3, 3), complex_), ((0, 2, 2), real))
    return [Case((s,), params, (d,), (r,), before=hermitian, **more) for s, (d, r) in kinds]


def _eigh_abstract(x, *, lower, sort_eigenvalues, subset_by_index, algorithm):
    n, _ = check_matrix("eigh", x, square=True)
    d = _range(n, subset_by_index)
    vectors = ShapedArray((*x.shape[:-1], d), x.dtype)
    return [vectors, ShapedArray((*x.shape[:-2], d), real_dtype(x.dtype))]


def _eigh_numpy(x, *, lower, subset_by_index, **params):
    if not x.size:
        avals = _eigh_abstract(get_aval(x), lower=lower, subset_by_index=subset_by_index, **params)
        return [np.zeros(a.shape, a.dtype) for a in avals]
    w, v = _eigen(x, lower, True)
    if subset_by_index is not None:
        start, end = subset_by_index
        w, v = w[..., start:end], v[..., start:end]
    return [v, w]


def _eigen(x: np.ndarray, lower: bool, vectors: bool) -> list[np.ndarray]:
    """Eigenvalues, and eigenvectors if wanted; NaN where there are none."""
    if x.ndim == 2:
        return list(lapack.eigh(x, lower, vectors))
    real = real_dtype(x.dtype)
    avals = [ShapedArray(x.shape[:-1], real), ShapedArray(x.shape, x.dtype)][: 1 + vectors]
    if not lapack.one_by_one(x):
        try:
            found: Any = (np.linalg.eigh if vectors else np.linalg.eigvalsh)(
                x, "L" if lower else "U"
            )
            return list(found) if vectors else [found]
        except np.linalg.LinAlgError:
            pass  # of one of them: the others have theirs
    return loop_over_batch(lambda a: lapack.eigh(a, lower, vectors), (2,), (x,), avals)


def _eigh_jvp(primals, tangents, **params):
    """dw = diag(V^H dA V), dV = V (F o V^H dA V) with F_ij = 1 / (w_j - w_i)."""
    v, w = eigh_p.bind(primals[0], **params)
    if type(tangents[0]) is Zero:
        return [v, w], [Zero.like(v), Zero.like(w)]
    if params["subset_by_index"] is not None:
        raise NotImplementedError("Derivatives not defined for partial eigen decomposition.")
    moved = mx.matmul(mx.matmul(mx.adjoint(v), tangents[0]), v)
    dw = mx.real(mx.diagonal(moved))
    square = shape.full(get_aval(v).shape, 0, get_aval(w).dtype)
    f = _reciprocal_differences(mx.grow(mx.row(w), square), mx.grow(mx.column(w), square))
    if mx.is_complex(v):
        f = core.PRIMITIVES["convert_element_type"].bind(
            f, new_dtype=get_aval(v).dtype, weak_type=False
        )
    return [v, w], [mx.matmul(v, mul(f, moved)), dw]


def _eigh_stage(*, lower, subset_by_index, **params):
    return ("eigh", bool(lower), True) if subset_by_index is None else ()


def _eigh_dce(used, eqn):
    """Where nobody reads the eigenvectors they are not computed, which is most of the work."""
    if used[0] or eqn.params["subset_by_index"] is not None:
        return [True], eqn
    lower = eqn.params["lower"]
    values = eqn.replace(primitive=eigvalsh_p, params={"lower": lower}, outvars=eqn.outvars[1:])
    return [True], values


eigh_p = host_primitive(
    "eigh",
    "Eigenvectors and ascending eigenvalues of Hermitian matrices; one triangle is read.",
    multiple_results=True,
    abstract=_eigh_abstract,
    numpy=_eigh_numpy,
    lower=lower_host(lambda: eigh_p, _eigh_stage),
    jvp=_eigh_jvp,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: _hermitian_cases(
        {"lower": True, "sort_eigenvalues": True, "subset_by_index": None, "algorithm": None},
        after=spaces,
    ),
)

eigh_p.dce = _eigh_dce


def _eigvalsh_abstract(x, *, lower):
    check_matrix("eigvalsh", x, square=True)
    return ShapedArray(x.shape[:-1], real_dtype(x.dtype))


def _eigvalsh_numpy(x, *, lower):
    aval = _eigvalsh_abstract(get_aval(x), lower=lower)
    if not x.size:
        return np.zeros(aval.shape, aval.dtype)
    return _eigen(x, lower, False)[0]


def _eigvalsh_jvp(primals, tangents, *, lower):
    """dw = diag(V^H dA V), which takes the eigenvectors."""
    if type(tangents[0]) is Zero:
        w = eigvalsh_p.bind(primals[0], lower=lower)
        return w, Zero.like(w)
    params = {"sort_eigenvalues": True, "subset_by_index": None, "algorithm": None}
    v, w = eigh_p.bind(primals[0], lower=lower, **params)
    moved = mx.matmul(mx.matmul(mx.adjoint(v), tangents[0]), v)
    return w, mx.real(mx.diagonal(moved))


eigvalsh_p = host_primitive(
    "eigvalsh",
    "Ascending eigenvalues of Hermitian matrices alone; one triangle is read.",
    abstract=_eigvalsh_abstract,
    numpy=_eigvalsh_numpy,
    lower=lower_host(lambda: eigvalsh_p, lambda *, lower: ("eigh", bool(lower), False)),
    jvp=_eigvalsh_jvp,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: _hermitian_cases({"lower": True}),
)


# ---------------------------------------------------------------- eig


def _eig_abstract(
    x,
    *,
    compute_left_eigenvectors,
    compute_right_eigenvectors,
    enable_eigvec_derivs,
    implementation,
):
    check_matrix("eig", x, square=True)
    dtype = complex_dtype(x.dtype)
    outs = [ShapedArray(x.shape[:-1], dtype)]
    return outs + [ShapedArray(x.shape, dtype)] * (
        compute_left_eigenvectors + compute_right_eigenvectors
    )


def _eig_numpy(x, **params):
    avals = _eig_abstract(get_aval(x), **params)
    left, right = params["compute_left_eigenvectors"], params["compute_right_eigenvectors"]

    def one(a):
        if not a.size:
            return [np.zeros(v.shape[-2:], v.dtype) for v in avals]
        if not np.isfinite(a).all():
            return [np.full(v.shape[a.ndim - 2 :], np.nan, v.dtype) for v in avals]
        found = sl.eig(a, left=left, right=right, check_finite=False)
        return found if isinstance(found, tuple) else (found,)

    if not x.size:
        return [np.zeros(a.shape, a.dtype) for a in avals]
    return loop_over_batch(one, (2,), (x,), avals)


def _eig_jvp(primals, tangents, **params):
    """dw = diag(V^-1 dA V); eigenvectors keep unit norm, dV = V (F o C) less its part along V."""
    left, right = params["compute_left_eigenvectors"], params["compute_right_eigenvectors"]
    outs = eig_p.bind(primals[0], **params)
    if type(tangents[0]) is Zero:
        return outs, [Zero.like(o) for o in outs]
    if (left or right) and not params["enable_eigvec_derivs"]:
        raise NotImplementedError(
            "Derivatives of non-symmetric eigenvectors are only valid under assumptions on the "
            "input "
            "that cannot be checked: pass enable_eigvec_derivs=True to lax.linalg.eig, or compute "
            "eigenvalues only."
        )
    da = _as_complex(tangents[0])
    # the result below depends on neither norm nor phase, so that derivatives of it are well defined
    full = {
        **params,
        "compute_left_eigenvectors": False,
        "compute_right_eigenvectors": True,
        "enable_eigvec_derivs": True,
    }
    v = outs[-1] if right else eig_p.bind(primals[0], **full)[1]
    w = outs[0]
    dots = [mx.diagonal(solve(v, mx.matmul(da, v)))]
    if left:
        dots.append(_eigenvector_tangent(mx.adjoint(da), mx.conj(w), outs[1]))
    if right:
        dots.append(_eigenvector_tangent(da, w, v))
    return outs, dots


def _as_complex(x: Any) -> Any:
    dtype = complex_dtype(get_aval(x).dtype)
    return core.PRIMITIVES["convert_element_type"].bind(x, new_dtype=dtype, weak_type=False)


def _eigenvector_tangent(da: Any, w: Any, v: Any) -> Any:
    c = solve(v, mx.matmul(da, v))
    square = shape.full(get_aval(v).shape, 0, get_aval(v).dtype)
    f = _reciprocal_differences(mx.grow(mx.row(w), square), mx.grow(mx.column(w), square))
    dv = mx.matmul(v, mul(f, c))
    along = mx.diagonal(mx.matmul(mx.adjoint(v), dv))
    along = _as_complex(mx.real(along))
    return sub(dv, mul(v, mx.grow(mx.row(along), v)))


eig_p = host_primitive(
    "eig",
    "Eigenvalues of general matrices, in no order, and their left and right eigenvectors.",
    multiple_results=True,
    abstract=_eig_abstract,
    numpy=_eig_numpy,
    jvp=_eig_jvp,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case(
            (s,),
            {
                "compute_left_eigenvectors": left,
                "compute_right_eigenvectors": right,
                "enable_eigvec_derivs": True,
                "implementation": None,
            },
            (d,),
            (complex_general if d is np.complex64 else general,),
            after=eigenspaces,
        )
        for s, left, right, d in (
            ((3, 3), False, False, np.float32),
            ((2, 2, 2), False, True, np.float32),
            ((3, 3), True, True, np.complex64),
            ((0, 0), False, True, np.float32),
        )
    ],
)


# ---------------------------------------------------------------- svd

ANY_SIGNS = "any signs"


def svd_of_any_signs(x: Any) -> tuple[Any, Any, Any]:
    """U, singular values, V^H, not full, for results that do not depend on the vectors' signs: a
    device may take its own way to them.
    """
    params = {"subset_by_index": None, "algorithm": ANY_SIGNS}
    s, u, vt = svd_p.bind(x, full_matrices=False, compute_uv=True, **params)
    return u, s, vt


def _svd_abstract(x, *, full_matrices, compute_uv, subset_by_index, algorithm):
    m, n = check_matrix("svd", x)
    k = _range(min(m, n), subset_by_index)
    if subset_by_index is not None and full_matrices and k != min(m, n):
        raise ValueError("full_matrices and subset_by_index cannot both be set.")
    batch = x.shape[:-2]
    s = ShapedArray((*batch, k), real_dtype(x.dtype))
    if not compute_uv:
        return [s]
    u = ShapedArray((*batch, m, m if full_matrices else k), x.dtype)
    return [s, u, ShapedArray((*batch, n if full_matrices else k, n), x.dtype)]


def _svd_numpy(x, *, full_matrices, compute_uv, subset_by_index, algorithm):
    if not x.size:
        avals = _svd_abstract(
            get_aval(x),
            full_matrices=full_matrices,
            compute_uv=compute_uv,
            subset_by_index=subset_by_index,
            algorithm=algorithm,
        )
        eye = [np.broadcast_to(np.eye(*a.shape[-2:], dtype=a.dtype), a.shape) for a in avals[1:]]
        return [np.zeros(avals[0].shape, avals[0].dtype), *eye]
    chosen = slice(None) if subset_by_index is None else slice(*subset_by_index)
    s, *vectors = _singular(x, full_matrices, compute_uv)
    if not compute_uv:
        return [s[..., chosen]]
    u, vt = vectors
    if subset_by_index is None:
        return [s, u, vt]
    return [s[..., chosen], u[..., chosen], vt[..., chosen, :]]


def _singular(x: np.ndarray, full: bool, vectors: bool) -> list[np.ndarray]:
    """Singular values, and all vectors if wanted; NaN where there are none."""
    if x.ndim == 2:
        return list(lapack.svd(x, full, vectors))
    params = {"full_matrices": full, "compute_uv": vectors, "algorithm": None}
    avals = _svd_abstract(get_aval(x), subset_by_index=None, **params)
    if not lapack.one_by_one(x):
        try:
            found: Any = np.linalg.svd(x, full, vectors)
            return [found[1], found[0], found[2]] if vectors else [found]
        except np.linalg.LinAlgError:
            pass  # of one of them: the others have theirs
    return loop_over_batch(lambda a: lapack.svd(a, full, vectors), (2,), (x,), avals)


def _svd_jvp(primals, tangents, *, full_matrices, compute_uv, subset_by_index, algorithm):
    """With P = U^H dA V: ds = diag(P), dU = U (F o (P S + S P^H) + ...) and the part outside U's
    span.
    """
    every = {"subset_by_index": subset_by_index, "algorithm": algorithm}
    outs = svd_p.bind(primals[0], full_matrices=full_matrices, compute_uv=compute_uv, **every)
    da = tangents[0]
    if type(da) is Zero:
        return outs, [Zero.like(o) for o in outs]
    if subset_by_index is not None:
        raise NotImplementedError(
            "Derivatives not defined for partial singular value decomposition."
        )
    m, n = get_aval(da).shape[-2:]
    if compute_uv and full_matrices and m != n:
        raise NotImplementedError(
            "Singular value decomposition JVP not implemented for full matrices: the extra "
            "vectors are "
            "not unique. Use full_matrices=False."
        )
    s, u, vt = outs if compute_uv else svd_p.bind(
        primals[0], full_matrices=False, compute_uv=True, **every
    )  # fmt: skip
    p = mx.matmul(mx.matmul(mx.adjoint(u), da), mx.adjoint(vt))
    ds = mx.real(mx.diagonal(p))
    if not compute_uv:
        return outs, [ds]
    return outs, [ds, *_singular_vector_tangents(s, u, vt, p, da, m, n)]


def _singular_vector_tangents(s, u, vt, p, da, m, n):
    k = get_aval(s).shape[-1]
    square = shape.full((*get_aval(s).shape, k), 0, get_aval(s).dtype)
    rows_s, cols_s = mx.grow(mx.row(s), square), mx.grow(mx.column(s), square)
    eye = mx.identity_like(square)
    # (s_j - s_i)(s_j + s_i), with ones where it vanishes on the diagonal
    f = div(elementwise.one_like(s), add(mul(sub(rows_s, cols_s), add(rows_s, cols_s)), eye))
    f = sub(f, eye)
    zero = compare.eq(s, elementwise.zero_like(s))
    safe = compare.select(zero, shape.full(get_aval(s).shape, 1, get_aval(s).dtype), s)
    inverse = compare.select(
        zero, core.zeros_like_aval(get_aval(s)), div(elementwise.one_like(s), safe)
    )
    cast = _caster(p)
    ps, sp = mul(p, cast(rows_s)), mul(cast(cols_s), p)
    skew = mul(sub(p, mx.adjoint(p)), cast(mul(eye, mx.grow(mx.row(inverse), square))))
    skew = mul(skew, get_aval(p).dtype.type(0.5))
    du = mx.matmul(u, add(mul(cast(f), add(ps, mx.adjoint(ps))), skew))
    dv = mx.matmul(mx.adjoint(vt), mul(cast(f), add(sp, mx.adjoint(sp))))
    if m > n:
        dav = mx.matmul(da, mx.adjoint(vt))
        outside = sub(dav, mx.matmul(u, mx.matmul(mx.adjoint(u), dav)))
        du = add(du, mul(outside, cast(mx.grow(mx.row(inverse), outside))))
    if n > m:
        dau = mx.matmul(mx.adjoint(da), u)
        outside = sub(dau, mx.matmul(mx.adjoint(vt), mx.matmul(vt, dau)))
        dv = add(dv, mul(outside, cast(mx.grow(mx.row(inverse), outside))))
    return [du, mx.adjoint(dv)]


def _caster(like: Any) -> Any:
    """Real factors in the dtype of `like`."""
    return _as_complex if mx.is_complex(like) else lambda x: x


def _svd_stage(*, full_matrices, compute_uv, subset_by_index, algorithm):
    if subset_by_index is not None:
        return ()
    return ("svd", bool(full_matrices), bool(compute_uv), algorithm == ANY_SIGNS or not compute_uv)


def _svd_dce(used, eqn):
    """Singular values alone, where nobody reads the vectors."""
    if any(used[1:]) or not eqn.params["compute_uv"]:
        return [True], eqn
    params = {**eqn.params, "compute_uv": False, "full_matrices": False}
    return [True], eqn.replace(params=params, outvars=eqn.outvars[:1])


svd_p = host_primitive(
    "svd",
    "Singular values, descending, and left and right singular vectors: A = U S V^H.",
    multiple_results=True,
    abstract=_svd_abstract,
    numpy=_svd_numpy,
    lower=lower_host(lambda: svd_p, _svd_stage),
    jvp=_svd_jvp,
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case(
            (s,),
            {"full_matrices": False, "compute_uv": uv, "subset_by_index": None, "algorithm": None},
            (d,),
            (complex_general if d is np.complex64 else general,),
            after=singular_spaces if uv else None,
        )
        for s, uv, d in (
            ((3, 3), True, np.float32),
            ((2, 4, 2), True, np.float32),
            ((2, 3), True, np.complex64),
            ((3, 2), False, np.float32),
            ((0, 2), True, np.float32),
        )
    ],
)
svd_p.dce = _svd_dce


# ---------------------------------------------------------------- schur


def _schur_abstract(x, *, compute_schur_vectors, sort_eig_vals, select_callable):
    check_matrix("schur", x, square=True)
    if sort_eig_vals:
        raise NotImplementedError("The sort feature of LAPACK's gees routine is not implemented.")
    return [ShapedArray(x.shape, x.dtype)] * (2 if compute_schur_vectors else 1)


def _schur_numpy(x, *, compute_schur_vectors, **params):
    def one(a):
        if not a.size:
            return (a, a)[: 1 + compute_schur_vectors]
        return sl.schur(a)[: 1 + compute_schur_vectors]

    avals = [get_aval(x)] * (1 + compute_schur_vectors)
    return loop_over_batch(one, (2,), (x,), avals)


schur_p = host_primitive(
    "schur",
    "Schur form T and vectors Z: A = Z T Z^H; T is quasi-triangular for real A.",
    multiple_results=True,
    abstract=_schur_abstract,
    numpy=_schur_numpy,
    jvp=no("differentiation of the Schur decomposition is not implemented, as in JAX"),
    transpose=_NOT_LINEAR,
    limits=MATRICES,
    cases=lambda: [
        Case(
            (s,),
            {"compute_schur_vectors": True, "sort_eig_vals": False, "select_callable": None},
            ranges=(general,),
            diff=(),
        )
        for s in ((3, 3), (2, 2, 2), (0, 2, 2))
    ],
)
