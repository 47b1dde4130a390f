"""The polar factors of a matrix by iterations of products and factorisations (QDWH).

Nakatsukasa, Bai and Gygi (2010): a dynamically weighted Halley iteration takes all singular values
to 1; its first steps are by QR, since their weights are large, the others by Cholesky.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.lax import linalg
from fx.lax.branches import cond
from fx.lax.loops import while_loop
from fx.numpy.util import promote_dtypes_inexact

QR_ABOVE = 100.0  # weights from which a step is made by QR: Cholesky would lose digits


def factors(
    x: Any,
    *,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[int, int] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """u, h, the number of iterations and whether they converged: x = u h, where the columns of u
    are orthonormal and h is positive semidefinite. x has at least as many rows as columns.
    """
    if dynamic_shape is not None:
        raise NotImplementedError("qdwh: dynamic_shape is not supported; give the matrix itself")
    (x,) = promote_dtypes_inexact("qdwh", x)
    x = fnp.asarray(x)
    if x.ndim != 2 or x.shape[0] < x.shape[1]:
        raise ValueError(
            f"The input matrix of shape M x N must have M >= N >= 1, got shape {x.shape}."
        )
    limit = 10 if max_iterations is None else max_iterations
    if limit < 1:
        raise ValueError(f"qdwh: max_iterations must be positive, got {limit}")
    eps = float(fnp.finfo(x.dtype).eps) if eps is None else eps
    u, count, converged = _iterate(x, limit, eps)
    u = 1.5 * u - 0.5 * u @ (_adjoint(u) @ u)  # a last step of Newton and Schulz, for the digits
    h = _adjoint(u) @ x
    return u, (h + _adjoint(h)) / 2, count, converged


def _adjoint(x: Any) -> Any:
    return fnp.conj(x.T)


def _iterate(x: Any, limit: int, eps: float) -> tuple[Any, Any, Any]:
    """u, how many steps were made, whether the last one changed little enough."""
    bound = fnp.sqrt(fnp.linalg.norm(x, 1) * fnp.linalg.norm(x, np.inf))
    u = x / fnp.where(bound == 0, 1, bound).astype(x.dtype)
    close, little = 5 * eps, float(np.cbrt(5 * eps))

    def goes_on(state: Any) -> Any:
        _, least, count, converged = state
        return (count == 0) | ((count < limit) & ~(converged & (abs(1 - least) < close)))

    def step(state: Any) -> Any:
        u, least, count, _ = state
        a, b, c, least = _weights(least)
        new = cond(c > QR_ABOVE, _by_qr, _by_cholesky, u, a, b, c)
        return new, least, count + 1, fnp.linalg.norm(new - u) <= little

    start = (u, fnp.asarray(eps, bound.dtype), fnp.int32(0), fnp.array(False))
    u, least, count, converged = while_loop(goes_on, step, start)
    return u, count, converged & (abs(1 - least) < close)


def _weights(least: Any) -> tuple[Any, Any, Any, Any]:
    """Halley's weights for singular values from `least` to 1, and their least one afterwards."""
    square = least * least
    d = fnp.cbrt(4 * (1 / square - 1) / square)
    root = fnp.sqrt(1 + d)
    a = root + fnp.sqrt(8 - 4 * d + 8 * (2 - square) / (square * root)) / 2
    b = (a - 1) ** 2 / 4
    c = a + b - 1
    return a, b, c, fnp.minimum(least * (a + b * square) / (1 + c * square), 1)


def _by_qr(u: Any, a: Any, b: Any, c: Any) -> Any:
    m, n = u.shape
    a, b, c = (v.astype(u.dtype) for v in (a, b, c))
    q = fnp.linalg.qr(fnp.concatenate([fnp.sqrt(c) * u, fnp.eye(n, dtype=u.dtype)]))[0]
    return b / c * u + (a - b / c) / fnp.sqrt(c) * (q[:m] @ _adjoint(q[m:]))


def _by_cholesky(u: Any, a: Any, b: Any, c: Any) -> Any:
    a, b, c = (v.astype(u.dtype) for v in (a, b, c))
    factor = linalg.cholesky(fnp.eye(u.shape[1], dtype=u.dtype) + c * (_adjoint(u) @ u))
    half = linalg.triangular_solve(factor, _adjoint(u), left_side=True, lower=True)
    full = linalg.triangular_solve(
        factor, half, left_side=True, lower=True, transpose_a=True, conjugate_a=True
    )
    return b / c * u + (a - b / c) * _adjoint(full)
