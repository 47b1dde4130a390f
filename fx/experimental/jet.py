"""Higher-order forward mode: the derivatives of f(x(t)) along a curve, from those of x(t).

`jet` traces f and carries for each value of the jaxpr its derivatives in t, of order 0 to K.
Sums and other linear primitives act on each order; products follow Leibniz; functions with a
differential equation (exp, tanh, ...) have a recurrence, so the cost is quadratic in K. Any other
primitive is differentiated K times by itself, at a cost of 2^K of that primitive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, factorial, pi, sqrt
from typing import Any

import numpy as np

import fx.numpy as fnp
from fx.avals import is_inexact
from fx.core import ClosedJaxpr, JaxprEqn, Literal, get_aval
from fx.grad import of_type
from fx.jvp import jvp
from fx.trace import make_jaxpr
from fx.tree_util import tree_flatten

__all__ = ["jet"]

Series = list[Any]  # derivatives of order 0 to K


def jet(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    series: Sequence[Any],
    factorial_scaled: bool = True,
    **options: Any,
) -> tuple[Any, Any]:
    """The value of `fun` at `primals` and the derivatives of fun(x(t)) at t = 0.

    `series` holds for each primal the list of derivatives x'(0), x''(0), ... of its curve (all of
    one length; a tree of lists for a tree), or the Taylor coefficients, each divided by k!, with
    factorial_scaled=False. Returns (output, tree of lists of its derivatives in the same scaling).

    >>> import fx.numpy as fnp
    >>> jet(lambda x: x**3, (2.0,), ([1.0, 0.0],))[1]
    [Array(12., dtype=float32, weak_type=True), Array(12., dtype=float32, weak_type=True)]
    """
    leaves, _ = tree_flatten(tuple(primals))
    terms = [tree_flatten(s)[0] for s in _per_leaf(primals, series)]
    orders = {len(t) for t in terms}
    if len(orders) != 1:
        raise ValueError(f"jet terms have inconsistent lengths for different arguments: {orders}")
    (order,) = orders
    scale = [1 if factorial_scaled else factorial(k) for k in range(order + 1)]
    given = []
    for x, t in zip(leaves, terms, strict=True):
        given.append([fnp.asarray(x), *(fnp.asarray(v) * f for v, f in zip(t, scale[1:]))])
        if any(np.shape(v) != np.shape(x) for v in t):
            raise ValueError(
                f"jet term shapes {[np.shape(v) for v in t]} differ from {np.shape(x)}"
            )
    closed, shapes = make_jaxpr(fun, return_shape=True)(*primals)
    outs = [
        [fnp.zeros_like(o[0]) if c is None else c for c in o]
        for o in _evaluate(closed, given, order)
    ]
    out_tree = tree_flatten(shapes)[1]
    unscaled = [[v / f if f != 1 else v for v, f in zip(o[1:], scale[1:])] for o in outs]
    return out_tree.unflatten([o[0] for o in outs]), out_tree.unflatten(unscaled)


def _per_leaf(primals: Sequence[Any], series: Sequence[Any]) -> list[Any]:
    """For each leaf of the primals its list of terms."""
    found: list[Any] = []
    for x, s in zip(primals, series, strict=True):
        leaves, tree = tree_flatten(x)
        if len(leaves) == 1 and tree == tree_flatten(0)[1]:
            found.append(s)
        else:
            found += tree.flatten_up_to(s)
    return found


def _evaluate(closed: ClosedJaxpr, args: Sequence[Series], order: int) -> list[Series]:
    jaxpr = closed.jaxpr
    env: dict[Any, Series] = {
        v: _constant(c, order) for v, c in zip(jaxpr.constvars, closed.consts, strict=True)
    }
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Series:
        return _constant(atom.val, order) if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        outs = _apply(eqn, [read(a) for a in eqn.invars], order)
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(a) for a in jaxpr.outvars]


def _constant(value: Any, order: int) -> Series:
    return [value, *[None] * order]


def _apply(eqn: JaxprEqn, args: list[Series], order: int) -> list[Series]:
    """The outputs' derivatives; None stands for zero."""
    p, params = eqn.primitive, eqn.params
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    is_call = isinstance(inner, ClosedJaxpr) and len(inner.jaxpr.invars) == len(args)
    if is_call and p.name != "scan" and inner is not None:
        return _evaluate(inner, args, order)
    moving = [any(c is not None for c in a[1:]) for a in args]
    if not any(moving) or not any(is_inexact(v.aval.dtype) for v in eqn.outvars):
        out = p.bind(*(a[0] for a in args), **params)
        return [_constant(o, order) for o in (out if p.multiple_results else [out])]
    if p.name in _BILINEAR or (p.name == "div" and not moving[1]):
        return [_bilinear(lambda x, y: p.bind(x, y, **params), *args)]
    if (p.name == "select_n" and not moving[0]) or p.linear:
        return _linear(p, args, params)
    if p.name in _RECURRENCES:
        full = [[fnp.zeros_like(a[0]) if c is None else c for c in a] for a in args]
        return [_RECURRENCES[p.name](*full)]
    return _by_jvp(eqn, args, order)


_BILINEAR = ("mul", "dot_general", "conv_general_dilated")


def _bilinear(product: Callable[..., Any], x: Series, y: Series) -> Series:
    """Leibniz: (x y)^(k) = sum over i of C(k, i) x^(i) y^(k-i)."""
    out: Series = []
    for k in range(len(x)):
        total = None
        for i in range(k + 1):
            if x[i] is None or y[k - i] is None:
                continue
            term = product(x[i], y[k - i])
            term = term if comb(k, i) == 1 else term * comb(k, i)
            total = term if total is None else total + term
        out.append(total)
    return out


def _linear(p: Any, args: list[Series], params: dict[str, Any]) -> list[Series]:
    columns = []
    held = p.name == "select_n"  # its first operand chooses
    for k, terms in enumerate(zip(*args, strict=True)):
        if k and all(t is None for t in terms):
            columns.append(None)
            continue
        full = [fnp.zeros_like(a[0]) if t is None else t for a, t in zip(args, terms)]
        out = p.bind(*([args[0][0], *full[1:]] if held else full), **params)
        columns.append(out if p.multiple_results else [out])
    count = len(columns[0])
    return [[None if c is None else c[j] for c in columns] for j in range(count)]


def _by_jvp(eqn: JaxprEqn, args: list[Series], order: int) -> list[Series]:
    """The primitive along the curve sum x_k t^k / k!, differentiated `order` times at t = 0."""
    p = eqn.primitive

    def along(t: Any) -> tuple[Any, ...]:
        points = []
        for a in args:
            x = a[0]
            for k in range(order, 0, -1):
                if a[k] is not None:
                    x = x + a[k] * (t**k / factorial(k)).astype(get_aval(a[k]).dtype)
            points.append(x)
        out = p.bind(*points, **eqn.params)
        return (tuple(out) if p.multiple_results else (out,),)

    def once_more(f: Callable[..., Any]) -> Callable[..., Any]:
        def derived(t: Any) -> tuple[Any, ...]:
            values, tangents = jvp(f, (t,), (fnp.ones_like(t),))
            return (*values, tangents[-1])

        return derived

    for _ in range(order):
        along = once_more(along)
    columns = along(fnp.zeros((), np.float32))
    avals = [v.aval for v in eqn.outvars]
    return [[of_type(x, a) for x in c] for *c, a in zip(*columns, avals, strict=True)]


# ---------------------------------------------------------------- functions with an equation


def _times(x: Series, y: Series, k: int) -> Any:
    """The k-th derivative of x y."""
    return sum(comb(k, i) * (x[i] * y[k - i]) for i in range(k + 1))


def _integral(x: Series, rate: Series, k: int) -> Any:
    """The k-th derivative of z where z' = rate x'."""
    return sum(comb(k - 1, i - 1) * (x[i] * rate[k - i]) for i in range(1, k + 1))


def _along(start: Callable[[Any], Any], rate: Callable[[Series, Series, int], Any]) -> Any:
    """z(x) with z' = r x', r^(k) being rate(x, z, k) of derivatives up to order k."""

    def series(x: Series) -> Series:
        z, r = [start(x[0])], []
        for k in range(1, len(x)):
            r.append(rate(x, z, k - 1))
            z.append(_integral(x, r, k))
        return z

    return series


def _log(x: Series) -> Series:
    z = [fnp.log(x[0])]
    for k in range(1, len(x)):
        known = sum(comb(k - 1, i - 1) * (z[i] * x[k - i]) for i in range(1, k))
        z.append((x[k] - known) / x[0])
    return z


def _div(x: Series, y: Series) -> Series:
    z: Series = []
    for k in range(len(x)):
        known = sum(comb(k, i) * (y[i] * z[k - i]) for i in range(1, k + 1))
        z.append((x[k] - known) / y[0])
    return z


def _pair(f: Any, g: Any, sign: int, first: bool) -> Callable[[Series], Series]:
    """f and g with f' = g x', g' = sign f x'."""

    def series(x: Series) -> Series:
        a, b = [f(x[0])], [g(x[0])]
        for k in range(1, len(x)):
            next_a, next_b = _integral(x, b, k), sign * _integral(x, a, k)
            a.append(next_a)
            b.append(next_b)
        return a if first else b

    return series


def _root(power: float, start: Callable[[Any], Any]) -> Callable[[Series], Series]:
    """z = x^power from x z' = power z x'."""

    def series(x: Series) -> Series:
        z = [start(x[0])]
        for k in range(1, len(x)):
            right = power * sum(comb(k - 1, i) * (z[i] * x[k - i]) for i in range(k))
            left = sum(comb(k - 1, i) * (x[i] * z[k - i]) for i in range(1, k))
            z.append((right - left) / x[0])
        return z

    return series


def _erf(x: Series) -> Series:
    from fx.lax import erf

    gauss = _RECURRENCES["exp"]([-c for c in (_times(x, x, k) for k in range(len(x)))])
    rate = [2 / sqrt(pi) * g for g in gauss]
    return [erf(x[0]), *(_integral(x, rate, k) for k in range(1, len(x)))]


_RECURRENCES: dict[str, Callable[..., Series]] = {
    "exp": _along(fnp.exp, lambda x, z, k: z[k]),
    "expm1": _along(fnp.expm1, lambda x, z, k: z[k] + (k == 0)),
    "tanh": _along(fnp.tanh, lambda x, z, k: (k == 0) - _times(z, z, k)),
    "tan": _along(fnp.tan, lambda x, z, k: (k == 0) + _times(z, z, k)),
    "logistic": _along(lambda x: 1 / (1 + fnp.exp(-x)), lambda x, z, k: z[k] - _times(z, z, k)),
    "log": _log,
    "log1p": lambda x: [fnp.log1p(x[0]), *_log([x[0] + 1, *x[1:]])[1:]],
    "div": _div,
    "sin": _pair(fnp.sin, fnp.cos, -1, True),
    "cos": _pair(fnp.sin, fnp.cos, -1, False),
    "sinh": _pair(fnp.sinh, fnp.cosh, 1, True),
    "cosh": _pair(fnp.sinh, fnp.cosh, 1, False),
    "sqrt": _root(0.5, fnp.sqrt),
    "rsqrt": _root(-0.5, lambda x: 1 / fnp.sqrt(x)),
    "erf": _erf,
    "square": lambda x: [_times(x, x, k) for k in range(len(x))],
}
