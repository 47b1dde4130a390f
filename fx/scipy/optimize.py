"""fx.scipy.optimize.minimize: BFGS with a line search for the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fx import lax
from fx import numpy as fnp

__all__ = ["OptimizeResults", "minimize"]


class OptimizeResults(NamedTuple):
    """The minimum found: point, whether it converged (status 0), value, gradient, inverse Hessian,
    counts.

    x [n] and jac [n]; hess_inv [n, n] (None of L-BFGS); the others are scalars.
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    method: str,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """A local minimum of a scalar function of a vector.

    method: "BFGS" or "l-bfgs-experimental-do-not-rely-on-this". options: maxiter, gtol, norm,
    line_search_maxiter
    (and maxcor for the latter). status: 0 converged, 1 maxiter reached, 3 the line search failed.
    x0 [n]; the dtype is its. Converged: the norm (inf by default) of the gradient is below gtol
    (1e-5, or tol). Nocedal, Wright, "Numerical Optimization", 3.5, 6.1, 7.2. ValueError for other
    methods, several axes, and results that are no scalar.
    """
    options = dict(options or {})
    if not isinstance(args, tuple):
        raise TypeError(f"args argument must be a tuple, got {args!r}")
    x0 = fnp.asarray(x0)
    if x0.ndim != 1:
        raise ValueError(f"minimize: x0 must be a vector, got shape {x0.shape}")

    def value(x: Any) -> Any:
        out = fun(x, *args)
        if np.shape(out) != ():
            raise ValueError(
                f"minimize: the function must return a scalar, got shape {np.shape(out)}"
            )
        return out

    if tol is not None:
        options.setdefault("gtol", tol)
    if method.lower() == "bfgs":
        return _bfgs(value, x0, **options)
    if method.lower() == "l-bfgs-experimental-do-not-rely-on-this":
        options.pop("ftol", None)
        return _lbfgs(value, x0, **options)
    raise ValueError(f"Method {method} not recognized")


# ---------------------------------------------------------------- line search


class _Search(NamedTuple):
    """A bracket [low, high] of step sizes and the best point in it."""

    low: Any
    high: Any
    f_low: Any
    d_low: Any
    step: Any
    f: Any
    g: Any
    done: Any
    failed: Any
    bracketed: Any
    evaluations: Any


def _line_search(value_and_grad: Any, x: Any, f0: Any, g0: Any, p: Any, steps: int) -> _Search:
    """Widen the bracket until it holds a Wolfe point, then bisect with interpolation."""
    d0 = fnp.vdot(g0, p)

    def at(a: Any) -> tuple[Any, Any, Any]:
        f, g = value_and_grad(x + a * p)
        return f, g, fnp.vdot(g, p)

    def more(state: Any) -> Any:
        s, k = state
        return ~s.done & (k < steps)

    def body(state: Any) -> Any:
        s, k = state
        return _probe(s, *at(s.step), f0, d0), k + 1

    one, no = fnp.ones_like(f0), fnp.asarray(False)
    zero = 0 * one
    start = _Search(zero, zero, f0, d0, one, f0, g0, no, no, no, fnp.asarray(0))
    s, _ = lax.while_loop(more, body, (start, fnp.asarray(0)))
    # Without a Wolfe point a decrease is still a step.
    f, g, _ = at(s.low)
    usable = ~s.done & (s.low > 0)
    return s._replace(
        step=fnp.where(s.done, s.step, s.low),
        f=fnp.where(usable, f, s.f),
        g=fnp.where(usable, g, s.g),
        failed=~s.done & (s.low == 0),
        evaluations=s.evaluations + 1,
    )


_SUFFICIENT, _CURVATURE = 1e-4, 0.9  # Nocedal, Wright, section 3.1


def _probe(s: _Search, f: Any, g: Any, d: Any, f0: Any, d0: Any) -> _Search:
    """The bracket after one evaluation at s.step: value f, gradient g, slope d."""
    good = fnp.isfinite(f)
    armijo = good & (f <= f0 + _SUFFICIENT * s.step * d0) & ((f < s.f_low) | (s.low == 0))
    wolfe = armijo & (fnp.abs(d) <= -_CURVATURE * d0)
    # Too long: the upper end comes down. Lower and still descending: the lower end goes up.
    turned = armijo & fnp.where(s.bracketed, d * (s.high - s.low) >= 0, d >= 0)
    high = fnp.where(armijo, fnp.where(turned, s.low, s.high), s.step)
    low = fnp.where(armijo, s.step, s.low)
    f_low, d_low = fnp.where(armijo, f, s.f_low), fnp.where(armijo, d, s.d_low)
    bracketed = s.bracketed | ~armijo | turned
    # The quadratic through the lower end's value and slope and the failed value.
    width = high - low
    bottom = 2 * (f - f_low - d_low * width)
    quadratic = low - d_low * width * width / fnp.where(bottom == 0, 1, bottom)
    inside = ~armijo & good & (fnp.abs(quadratic - low - width / 2) < 0.4 * fnp.abs(width))
    trial = fnp.where(bracketed, fnp.where(inside, quadratic, low + width / 2), s.step * 2)
    step = fnp.where(wolfe, s.step, trial)
    f, g = fnp.where(wolfe, f, s.f), fnp.where(wolfe, g, s.g)
    return _Search(
        low, high, f_low, d_low, step, f, g, wolfe, s.failed, bracketed, s.evaluations + 1
    )


# ---------------------------------------------------------------- BFGS


class _State(NamedTuple):
    done: Any
    failed: Any
    k: Any
    nfev: Any
    x: Any
    f: Any
    g: Any
    h: Any


def _bfgs(
    fun: Any,
    x0: Any,
    maxiter: int | None = None,
    norm: Any = np.inf,
    gtol: float = 1e-5,
    line_search_maxiter: int = 10,
) -> OptimizeResults:
    import fx

    value_and_grad = fx.value_and_grad(fun)
    n = x0.shape[0]
    limit = n * 200 if maxiter is None else maxiter
    f0, g0 = value_and_grad(x0)
    eye = fnp.eye(n, dtype=x0.dtype)

    def small(g: Any) -> Any:
        return fnp.linalg.norm(g, ord=norm) < gtol

    def body(s: _State) -> _State:
        p = -s.h @ s.g
        found = _line_search(value_and_grad, s.x, s.f, s.g, p, 2 * line_search_maxiter)
        dx = found.step * p
        dy = found.g - s.g
        curvature = fnp.vdot(dy, dx)
        usable = curvature > 0
        rho = 1 / fnp.where(usable, curvature, 1.0)
        w = eye - rho * fnp.outer(dx, dy)
        h = fnp.where(usable, w @ s.h @ w.T + rho * fnp.outer(dx, dx), s.h)
        moved = _State(
            small(found.g), found.failed, s.k + 1, s.nfev + found.evaluations,
            s.x + dx, found.f, found.g, h,
        )  # fmt: skip
        stuck = s._replace(failed=found.failed, nfev=moved.nfev)
        return _State(*(fnp.where(found.failed, a, b) for a, b in zip(stuck, moved)))

    start = _State(small(g0), fnp.asarray(False), fnp.asarray(0), fnp.asarray(1), x0, f0, g0, eye)
    s = lax.while_loop(lambda s: ~s.done & ~s.failed & (s.k < limit), body, start)
    return _result(s, limit, s.h)


def _result(s: Any, limit: int, hess_inv: Any) -> OptimizeResults:
    status = fnp.where(s.done, 0, fnp.where(s.failed, 3, 1))
    finite = fnp.isfinite(s.f)
    return OptimizeResults(
        s.x, s.done & finite, fnp.where(finite, status, -1), s.f, s.g, hess_inv, s.nfev, s.nfev, s.k
    )


# ---------------------------------------------------------------- L-BFGS


def _lbfgs(
    fun: Any,
    x0: Any,
    maxiter: int | None = None,
    norm: Any = np.inf,
    maxcor: int = 10,
    gtol: float = 1e-5,
    maxfun: float | None = None,
    maxgrad: float | None = None,
    maxls: int = 20,
    line_search_maxiter: int | None = None,
) -> OptimizeResults:
    import fx
    from fx.optim.lbfgs import two_loops

    value_and_grad = fx.value_and_grad(fun)
    n = x0.shape[0]
    limit = n * 200 if maxiter is None else maxiter
    f0, g0 = value_and_grad(x0)
    zeros = fnp.zeros((maxcor, n), x0.dtype)

    def small(g: Any) -> Any:
        return fnp.linalg.norm(g, ord=norm) < gtol

    def body(s: _State) -> _State:
        steps, changes, weights, gamma = s.h
        p = -two_loops(s.g, steps, changes, weights, gamma)
        found = _line_search(value_and_grad, s.x, s.f, s.g, p, line_search_maxiter or maxls)
        dx, dy = found.step * p, found.g - s.g
        curvature = fnp.vdot(dy, dx)
        usable = curvature > 0
        safe = fnp.where(usable, curvature, 1.0)
        memory = (
            fnp.concatenate([steps[1:], fnp.where(usable, dx, 0.0)[None]]),
            fnp.concatenate([changes[1:], fnp.where(usable, dy, 0.0)[None]]),
            fnp.concatenate([weights[1:], fnp.where(usable, 1 / safe, 0.0)[None]]),
            fnp.where(usable, curvature / fnp.maximum(fnp.vdot(dy, dy), 1e-30), gamma),
        )
        return _State(
            small(found.g), found.failed, s.k + 1, s.nfev + found.evaluations,
            s.x + dx, fnp.where(found.failed, s.f, found.f), fnp.where(found.failed, s.g, found.g),
            memory,
        )  # fmt: skip

    memory = (zeros, zeros, zeros[:, 0], fnp.ones((), x0.dtype))
    start = _State(
        small(g0), fnp.asarray(False), fnp.asarray(0), fnp.asarray(1), x0, f0, g0, memory
    )
    s = lax.while_loop(lambda s: ~s.done & ~s.failed & (s.k < limit), body, start)
    return _result(s, limit, None)
