"""fx.scipy.sparse.linalg: cg, bicgstab and gmres for linear maps on pytrees, differentiable by the
solution's own rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.flatten_util import ravel_pytree
from fx.tree_util import tree_leaves, tree_map, tree_structure

__all__ = ["bicgstab", "cg", "gmres"]


def _dot(x: Any, y: Any) -> Any:
    parts = [fnp.vdot(a, b) for a, b in zip(tree_leaves(x), tree_leaves(y))]
    total = parts[0]
    for p in parts[1:]:
        total = total + p
    return total


def _real_dot(x: Any, y: Any) -> Any:
    """The real part of <x, y>."""
    return _dot(x, y).real


def _add(x: Any, y: Any, scale: Any = 1) -> Any:
    return tree_map(lambda a, b: (a + fnp.asarray(scale).astype(b.dtype) * b).astype(a.dtype), x, y)


def _sub(x: Any, y: Any) -> Any:
    return tree_map(lambda a, b: a - b, x, y)


def _operator(A: Any) -> Callable[[Any], Any]:
    if callable(A):
        return A
    if not hasattr(A, "shape"):
        raise TypeError(f"linear operator must be either a function or an array: {A!r}")
    a = fnp.asarray(A)
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"linear operator must be a square matrix, but has shape: {a.shape}")
    return partial(fnp.matmul, a)


def _prepared(name: str, A: Any, b: Any, x0: Any, maxiter: Any, M: Any) -> Any:
    b = tree_map(fnp.asarray, b)
    x0 = tree_map(fnp.zeros_like, b) if x0 is None else tree_map(fnp.asarray, x0)
    if maxiter is None:
        maxiter = 10 * sum(leaf.size for leaf in tree_leaves(b))
    precondition = (lambda x: x) if M is None else _operator(M)
    if tree_structure(x0) != tree_structure(b):
        raise ValueError(
            f"x0 and b must have matching tree structure: {tree_structure(x0)} vs "
            f"{tree_structure(b)}"
        )
    shapes = [[leaf.shape for leaf in tree_leaves(t)] for t in (x0, b)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"arrays in x0 and b must have matching shapes: {shapes[0]} vs {shapes[1]}"
        )
    d = fnp.result_type(float, *tree_leaves(b), *tree_leaves(x0))
    b, x0 = (tree_map(lambda v: v.astype(d), t) for t in (b, x0))
    return _operator(A), b, x0, maxiter, precondition


def _solve(solver: Any, A: Any, b: Any, symmetric: bool) -> Any:
    """The solution, whose derivatives solve with A and its transpose."""
    transpose: dict[str, Any] = {"symmetric": True} if symmetric else {"transpose_solve": solver}
    return lax.custom_linear_solve(A, b, solve=solver, **transpose)


def _threshold(b: Any, tol: Any, atol: Any) -> Any:
    size = _real_dot(b, b)
    return fnp.maximum(fnp.asarray(tol) ** 2 * size, fnp.asarray(atol) ** 2)


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,
) -> tuple[Any, None]:
    """x with A x = b for a Hermitian definite A by conjugate gradients; gives (x, None).

    A: a function on trees like b, or a matrix. It stops where |r| <= max(tol |b|, atol) or after
    maxiter (10 times the unknowns) steps; M approximates A^-1. Whether it converged is not told
    (Saad, "Iterative Methods", 6.7). ValueError where x0 or a matrix does not fit b.
    """
    op, b, x0, limit, precondition = _prepared("cg", A, b, x0, maxiter, M)

    def solver(op: Any, b: Any) -> Any:
        bound = _threshold(b, tol, atol)
        r = _sub(b, op(x0))
        z = precondition(r)
        start = (x0, r, _real_dot(r, z), z, fnp.asarray(0))

        def more(s: Any) -> Any:
            _, r, gamma, _, k = s
            size = gamma if M is None else _real_dot(r, r)
            return (size > bound) & (k < limit)

        def step(s: Any) -> Any:
            x, r, gamma, p, k = s
            ap = op(p)
            alpha = gamma / _real_dot(p, ap)
            x, r = _add(x, p, alpha), _add(r, ap, -alpha)
            z = precondition(r)
            fresh = _real_dot(r, z)
            return x, r, fresh, _add(z, p, fresh / gamma), k + 1

        return lax.while_loop(more, step, start)[0]

    return _solve(solver, op, b, True), None


def bicgstab(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,
) -> tuple[Any, None]:
    """x with A x = b for a general A (stabilised bi-conjugate gradients); returns (x, None).

    Arguments and errors as in `cg`; it also stops where a scalar breaks down (van der Vorst 1992).
    """
    op, b, x0, limit, precondition = _prepared("bicgstab", A, b, x0, maxiter, M)

    def solver(op: Any, b: Any) -> Any:
        bound = _threshold(b, tol, atol)
        r0 = _sub(b, op(x0))
        one = fnp.ones_like(_dot(r0, r0))
        start = (x0, r0, r0, one, one, one, r0, r0, fnp.asarray(0))

        def more(s: Any) -> Any:
            _, r, _, _, _, _, _, _, k = s
            return (_real_dot(r, r) > bound) & (k < limit) & (k >= 0)

        def step(s: Any) -> Any:
            x, r, rhat, alpha, omega, rho, p, q, k = s
            fresh = _dot(rhat, r)
            beta = fresh / rho * alpha / omega
            p = _add(r, _add(p, q, -omega), beta)
            p = tree_map(lambda a, c: fnp.where(k == 0, c, a), p, r)
            phat = precondition(p)
            q = op(phat)
            alpha = fresh / _dot(rhat, q)
            half = _add(r, q, -alpha)
            early = _real_dot(half, half) < bound
            shat = precondition(half)
            t = op(shat)
            size = _dot(t, t)
            omega = _dot(t, half) / fnp.where(size == 0, 1, size)
            full_x = _add(_add(x, phat, alpha), shat, omega)
            x = tree_map(lambda a, c: fnp.where(early, a, c), _add(x, phat, alpha), full_x)
            r = tree_map(lambda a, c: fnp.where(early, a, c), half, _add(half, t, -omega))
            broken = (omega == 0) | (alpha == 0)
            k = fnp.where(broken & ~early, -11, k + 1)
            return x, r, rhat, alpha, omega, fresh, p, q, k

        return lax.while_loop(more, step, start)[0]

    return _solve(solver, op, b, False), None


def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    restart: int = 20,
    maxiter: Any = None,
    M: Any = None,
    solve_method: str = "batched",
) -> tuple[Any, None]:
    """x with A x = b for a general A (generalised minimal residuals, restarted); returns (x, None).

    Arguments and errors as in `cg`; maxiter counts cycles of `restart` steps. Orthogonalised twice
    (Saad and Schultz 1986). ValueError for other solve_methods; both do the same.
    """
    if solve_method not in ("batched", "incremental"):
        raise ValueError(
            f"invalid solve_method {solve_method}, must be either 'incremental' or 'batched'"
        )
    op, b, x0, limit, precondition = _prepared("gmres", A, b, x0, maxiter, M)
    size = sum(leaf.size for leaf in tree_leaves(b))
    m = min(restart, size)

    def solver(op: Any, b: Any) -> Any:
        _flat_b, rebuild = ravel_pytree(b)
        bound = _threshold(b, tol, atol)

        def residual(x: Any) -> Any:
            r = _sub(b, op(rebuild(x)))
            return ravel_pytree(precondition(r))[0], _real_dot(r, r)

        def apply(v: Any) -> Any:
            return ravel_pytree(precondition(op(rebuild(v))))[0]

        def more(s: Any) -> Any:
            _, k, size = s
            return (size > bound) & (k < limit)

        def cycle(s: Any) -> Any:
            x, k, _ = s
            r, _ = residual(x)
            x = x + _arnoldi(apply, r, m)
            return x, k + 1, residual(x)[1]

        start = ravel_pytree(x0)[0]
        state = (start, fnp.asarray(0), residual(start)[1])
        return rebuild(lax.while_loop(more, cycle, state)[0])

    return _solve(solver, op, b, False), None


def _arnoldi(apply: Any, r: Any, m: int) -> Any:
    """The correction from m steps: least squares in the Krylov space, orthogonalised twice."""
    beta = fnp.linalg.norm(r)
    tiny = float(np.finfo(r.dtype).tiny)
    v = fnp.zeros((m + 1, r.size), r.dtype).at[0].set(r / fnp.where(beta > tiny, beta, 1))
    h = fnp.zeros((m + 1, m), r.dtype)

    def step(state: Any, j: Any) -> Any:
        v, h = state
        w = apply(v[j])
        first = fnp.conj(v) @ w
        w = w - first @ v
        second = fnp.conj(v) @ w
        w = w - second @ v
        size = fnp.linalg.norm(w)
        alive = size > float(np.finfo(r.dtype).eps) * 10
        v = v.at[j + 1].set(fnp.where(alive, w / fnp.where(alive, size, 1), 0))
        column = (first + second).at[j + 1].set(fnp.where(alive, size, 0).astype(r.dtype))
        return (v, h.at[:, j].set(column)), None

    (v, h), _ = lax.scan(step, (v, h), fnp.arange(m))
    right = fnp.zeros(m + 1, r.dtype).at[0].set(beta.astype(r.dtype))
    y = fnp.linalg.lstsq(h, right)[0]
    return y @ v[:-1]
