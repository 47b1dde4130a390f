"""odeint: adaptive Dormand-Prince 5(4) with dense output, reverse mode by the adjoint equation.

The gradient integrates state, adjoint and parameter gradient backwards from one output time to the
one before (Chen et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.custom import closure_convert, custom_vjp
from fx.flatten_util import ravel_pytree
from fx.grad import vjp

__all__ = ["odeint"]

# Dormand and Prince 1980; the middle row is Shampine's, for the quartic of the dense output.
_A = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_C = (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1)
_ERROR = (
    35 / 384 - 1951 / 21600,
    0,
    500 / 1113 - 22642 / 50085,
    125 / 192 - 451 / 720,
    -2187 / 6784 + 12231 / 42400,
    11 / 84 - 649 / 6300,
    -1 / 60,
)
_MIDDLE = (
    6025192743 / 30085553152 / 2,
    0,
    51252292925 / 65400821598 / 2,
    -2691868925 / 45128329728 / 2,
    187940372067 / 1594534317056 / 2,
    -1776094331 / 19743644256 / 2,
    11237099 / 235043384 / 2,
)


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1.4e-8,
    atol: float = 1.4e-8,
    mxstep: float = np.inf,
    hmax: float = np.inf,
) -> Any:
    """The solution of dy/dt = func(y, t, *args) with y(t[0]) = y0, at the times t.

    y0 may be any pytree of floats, and func gives one like it; the result's leaves gain a leading
    axis of len(t). t [n] must rise; args are pytrees, whose floats have derivatives, as y0 and t
    have: in reverse mode, by the adjoint equation, which keeps no step (jvp raises TypeError). A
    step is accepted where its error is below atol + rtol |y|; steps are at most hmax long, and no
    more than mxstep are made between two times, after which what is returned there is not accurate.
    16-bit floats are integrated in float32. TypeError where y0 holds integers alone.

    >>> import fx.numpy as fnp
    >>> y = odeint(lambda y, t: -y, fnp.array(1.0), fnp.array([0.0, 1.0]))
    >>> bool(abs(y[1] - 0.3678794) < 1e-5)
    True
    """
    flat, unravel = ravel_pytree(y0)
    if flat.size and not fnp.issubdtype(flat.dtype, fnp.inexact):
        raise TypeError(
            f"odeint moves y0 by steps that are no integers: y0 must hold floats, got "
            f"{flat.dtype.name}[{flat.size}]; write 1.0 for 1, or y0.astype(float)."
        )
    converted, consts = closure_convert(func, y0, fnp.asarray(t)[0], *args)
    wide = fnp.promote_types(flat.dtype, np.float32)

    def f(y: Any, t: Any, args: Any) -> Any:
        slopes = ravel_pytree(converted(unravel(y.astype(flat.dtype)), t, *args))[0]
        return slopes.astype(wide)

    times = fnp.asarray(t).astype(fnp.result_type(float, t))
    ys = _solve(f, (rtol, atol, mxstep, hmax), flat.astype(wide), times, (*args, *consts))
    import fx

    return fx.vmap(unravel)(ys.astype(flat.dtype))


@partial(custom_vjp, nondiff_argnums=(0, 1))
def _solve(f: Any, limits: Any, y0: Any, ts: Any, args: Any) -> Any:
    return _integrate(f, limits, y0, ts, args)


def _solve_forward(f: Any, limits: Any, y0: Any, ts: Any, args: Any) -> Any:
    ys = _integrate(f, limits, y0, ts, args)
    return ys, (ys, ts, args)


def _solve_backward(f: Any, limits: Any, residuals: Any, g: Any) -> Any:
    ys, ts, args = residuals
    flat_args, unravel_args = _split_args(args)
    n = ys.shape[1]

    def backwards(state: Any, t: Any, _: Any) -> Any:
        """d/d(-t) of (y, adjoint, adjoint of the arguments)."""
        y, adjoint = state[:n], state[n : 2 * n]
        out, pull = vjp(lambda y, a: f(y, -t, unravel_args(a)), y, flat_args)
        y_bar, a_bar = pull(adjoint)
        return fnp.concatenate([-out, y_bar, a_bar])

    def step(carry: Any, item: Any) -> Any:
        y_bar, a_bar = carry
        y, t, t_before, g_here, g_before = item
        t_bar = fnp.dot(f(y, t, args), g_here)  # a time moves its own output alone
        state = fnp.concatenate([y, y_bar, a_bar])
        ends = fnp.stack([-t, -t_before])
        state = _integrate(backwards, limits, state, ends, ())[1]
        return (state[n : 2 * n] + g_before, state[2 * n :]), t_bar

    items = (ys[1:], ts[1:], ts[:-1], g[1:], g[:-1])
    start = (g[-1], fnp.zeros_like(flat_args))
    (y_bar, a_bar), t_bars = lax.scan(step, start, items, reverse=True)
    # Moving the first time moves the start along the solution; ys[0] itself stays y0.
    first = -fnp.dot(f(ys[0], ts[0], args), y_bar - g[0])
    t_bar = fnp.concatenate([first[None], t_bars])
    return y_bar, t_bar, unravel_args(a_bar, True)


_solve.defvjp(_solve_forward, _solve_backward)


def _split_args(args: Any) -> tuple[Any, Any]:
    """The floating leaves of the arguments as one vector, and the function that puts them back."""
    from fx.avals import float0, is_inexact
    from fx.tree_util import tree_flatten

    leaves, structure = tree_flatten(args)
    leaves = [fnp.asarray(x) for x in leaves]
    moving = [is_inexact(x.dtype) for x in leaves]
    flat, unravel = ravel_pytree([x for x, m in zip(leaves, moving) if m])

    def rebuild(v: Any, cotangent: bool = False) -> Any:
        parts = iter(unravel(v))
        rest = [np.zeros(x.shape, float0) if cotangent else x for x in leaves]
        return structure.unflatten([next(parts) if m else r for m, r in zip(moving, rest)])

    return flat, rebuild


# ---------------------------------------------------------------- integration


def _integrate(f: Any, limits: Any, y0: Any, ts: Any, args: Any) -> Any:
    """Step past each output time and read the interpolating quartic there."""
    rtol, atol, mxstep, hmax = limits
    y0 = y0.astype(fnp.result_type(float, y0))
    f0 = f(y0, ts[0], args)
    h0 = fnp.clip(_first_step(f, args, ts[0], y0, f0, rtol, atol), 0.0, hmax)
    quartic = fnp.stack([y0 * 0] * 4 + [y0])

    def to(carry: Any, target: Any) -> Any:
        def more(state: Any) -> Any:
            k, _, _, t, h, _, _ = state
            return (t < target) & (k < mxstep) & (h > 0)

        def attempt(state: Any) -> Any:
            k, y, slope, t, h, last_t, quartic = state
            h = fnp.minimum(h, hmax)
            new_y, new_slope, error, ks = _runge_kutta(f, args, y, slope, t, h)
            ratio = _error_ratio(error, rtol, atol, y, new_y)
            fresh = _quartic(y, new_y, ks, h)
            next_h = _next_step(h, ratio)
            good = ratio <= 1.0
            moved = (new_y, new_slope, t + h, next_h, t, fresh)
            kept = (y, slope, t, next_h, last_t, quartic)
            return (k + 1, *(fnp.where(good, a, b) for a, b in zip(moved, kept)))

        y, slope, t, h, last_t, quartic = carry
        state = lax.while_loop(more, attempt, (fnp.asarray(0), y, slope, t, h, last_t, quartic))
        _, y, slope, t, h, last_t, quartic = state
        place = (target - last_t) / fnp.where(t == last_t, 1.0, t - last_t)
        out = quartic[0]
        for c in range(1, 5):
            out = out * place + quartic[c]
        return (y, slope, t, h, last_t, quartic), out

    start = (y0, f0, ts[0], h0.astype(ts.dtype), ts[0], quartic)
    _, ys = lax.scan(to, start, ts[1:])
    return fnp.concatenate([y0[None], ys])


def _runge_kutta(f: Any, args: Any, y: Any, slope: Any, t: Any, h: Any) -> Any:
    ks = [slope]
    step = h.astype(y.dtype)
    for row, c in zip(_A[1:], _C[1:]):
        inside = y
        for a, k in zip(row, ks):
            if a:
                inside = inside + step * (a * k)
        ks.append(f(inside, t + h * c, args))
    error = step * sum(e * k for e, k in zip(_ERROR, ks) if e)
    return inside, ks[-1], error, ks


def _error_ratio(error: Any, rtol: Any, atol: Any, y0: Any, y1: Any) -> Any:
    scale = atol + rtol * fnp.maximum(fnp.abs(y0), fnp.abs(y1))
    return fnp.sqrt(fnp.mean((error / scale) ** 2))


def _next_step(h: Any, ratio: Any) -> Any:
    """0.9 ratio^(-1/5), between a fifth (or no shrinking after success) and ten times."""
    least = fnp.where(ratio < 1, 1.0, 0.2)
    factor = fnp.minimum(10.0, fnp.maximum(0.9 * fnp.maximum(ratio, 1e-10) ** -0.2, least))
    return fnp.where(ratio == 0, h * 10.0, h * factor).astype(h.dtype)


def _quartic(y0: Any, y1: Any, ks: Any, h: Any) -> Any:
    """Coefficients (highest first) of the quartic through both ends, their slopes and the
    middle.
    """
    step = h.astype(y0.dtype)
    middle = y0 + step * sum(c * k for c, k in zip(_MIDDLE, ks) if c)
    d0, d1 = step * ks[0], step * ks[-1]
    a = -2 * d0 + 2 * d1 - 8 * y0 - 8 * y1 + 16 * middle
    b = 5 * d0 - 3 * d1 + 18 * y0 + 14 * y1 - 32 * middle
    c = -4 * d0 + d1 - 11 * y0 - 5 * y1 + 16 * middle
    return fnp.stack([a, b, c, d0, y0])


def _first_step(f: Any, args: Any, t: Any, y0: Any, f0: Any, rtol: Any, atol: Any) -> Any:
    """Hairer, Norsett, Wanner, Solving ODEs I, section II.4."""
    scale = atol + fnp.abs(y0) * rtol
    d0, d1 = fnp.linalg.norm(y0 / scale), fnp.linalg.norm(f0 / scale)
    small = (d0 < 1e-5) | (d1 < 1e-5)
    h = fnp.where(small, 1e-6, 0.01 * d0 / fnp.where(small, 1.0, d1))
    f1 = f(y0 + h.astype(y0.dtype) * f0, t + h, args)
    d2 = fnp.linalg.norm((f1 - f0) / scale) / h
    largest = fnp.maximum(d1, d2)
    flat = largest <= 1e-15
    h1 = fnp.where(flat, fnp.maximum(1e-6, h * 1e-3), (0.01 / fnp.where(flat, 1.0, largest)) ** 0.2)
    return fnp.minimum(100.0 * h, h1)
