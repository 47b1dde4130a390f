"""Determinants and pseudo-inverses with derivative rules of their own, made at first use."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import lax
from fx.lax import linalg as factor
from fx.numpy import diagonals, reductions
from fx.numpy import manipulation as m
from fx.numpy import selection as taking
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.products import matmul
from fx.numpy.ranges import eye
from fx.numpy.util import broadcast_value, convert
from fx.prims.linalg_eigen import svd_of_any_signs


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return u.conjugate(m.swapaxes(x, -1, -2))


_det_made: list[Any] = []


def determinant() -> Any:
    """LU determinant whose derivative solves with the cofactors, exact also near singular
    matrices.
    """
    if _det_made:
        return _det_made[0]
    from fx.custom import custom_jvp

    @custom_jvp
    def by_lu(a: Any) -> Any:
        lu, pivots, _ = factor.lu(a)
        diagonal_ = diagonals.diagonal(lu, axis1=-2, axis2=-1)
        moved = reductions.sum(pivots != lax.iota(pivots.dtype, a.shape[-1]), axis=-1)
        return reductions.prod(diagonal_, axis=-1) * convert(1 - 2 * (moved % 2), a.dtype)

    def jvp(primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        return by_lu(a), reductions.sum(cofactors(a) * t, axis=(-1, -2))

    def cofactors(a: Any) -> Any:
        # cofactor matrix = det(U V^H) * U diag(prod of the other singular values) V^H, conjugated
        uu, s, vh = svd_of_any_signs(a)
        n = a.shape[-1]
        others = taking.where(
            eye(n, dtype=np.bool_),
            base.const_as(s, 1),
            broadcast_value(s[..., None, :], (*s.shape[:-1], n, n)),
        )
        minor = convert(reductions.prod(others, axis=-1), a.dtype)
        phase = _unit_det(uu) * _unit_det(vh)
        return u.conjugate(_cofactor_part(uu, minor, vh)) * phase[..., None, None]

    def _cofactor_part(uu: Any, minor: Any, vh: Any) -> Any:
        return matmul(uu * minor[..., None, :], vh)

    def _unit_det(q: Any) -> Any:
        lu, pivots, _ = factor.lu(lax.stop_gradient(q))
        d = diagonals.diagonal(lu, axis1=-2, axis2=-1)
        moved = reductions.sum(pivots != lax.iota(pivots.dtype, q.shape[-1]), axis=-1)
        return reductions.prod(d, axis=-1) * convert(1 - 2 * (moved % 2), q.dtype)

    by_lu.defjvp(jvp)
    _det_made.append(by_lu)
    return by_lu


_pinv_made: list[Any] = []


def pseudo_inverse() -> Any:
    """The derivative uses the pseudo-inverse itself (Golub and Pereyra 1973), for singular values
    that are cut off have none.
    """
    if _pinv_made:
        return _pinv_made[0]
    from functools import partial

    from fx.custom import custom_jvp

    # rtol may be traced, so that it is an operand; it has no derivative
    @partial(custom_jvp, nondiff_argnums=(2,))
    def pseudo(a: Any, rtol: Any, hermitian: bool) -> Any:
        from fx.numpy.linalg import svd

        uu, s, vh = (
            svd(a, full_matrices=False, hermitian=True) if hermitian else svd_of_any_signs(a)
        )
        cut = asarray(rtol)[..., None] * s[..., :1]
        keep = s > convert(cut, s.dtype)
        s = convert(taking.where(keep, s, np.inf), a.dtype)
        return matmul(adjoint(vh), m.swapaxes(uu, -1, -2).conj() / s[..., None])

    def jvp(hermitian: bool, primals: Any, tangents: Any) -> Any:
        (a, rtol), (t, _) = primals, tangents
        p = pseudo(a, rtol, hermitian)
        rows, cols = a.shape[-2:]
        left = eye(rows, dtype=a.dtype) - matmul(a, p)
        right = eye(cols, dtype=a.dtype) - matmul(p, a)
        th, ph = adjoint(t), adjoint(p)
        out = -matmul(matmul(p, t), p)
        out = (
            out + matmul(matmul(matmul(p, ph), th), left) + matmul(matmul(right, th), matmul(ph, p))
        )
        return p, out

    pseudo.defjvp(jvp)
    _pinv_made.append(pseudo)
    return pseudo
