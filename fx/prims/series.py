"""The series and continued fractions behind the incomplete gamma and beta functions and zeta.

Each algorithm is written once, on a small namespace, and serves both NumPy rules and lower rules:
`iterate` is a Python loop on arrays, or a while loop whose lanes stop by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating
from fx.core import AxisData
from fx.lazy import LazyModule
from fx.lower import constant, lower_eqns
from fx.prims import compare, shape, temme
from fx.prims.elementwise import abs_p, matched
from fx.prims.registry import spread

special = LazyModule("scipy.special")

MAX_STEPS = 2000


# ---------------------------------------------------------------- two namespaces


class NumpyOps:
    """The functions that the algorithms need, on NumPy arrays."""

    exp, log, log1p, abs, where, sqrt = np.exp, np.log, np.log1p, np.abs, np.where, np.sqrt

    @staticmethod
    def erfc(x: np.ndarray) -> np.ndarray:
        return special.erfc(x)

    @staticmethod
    def lgamma(x: np.ndarray) -> np.ndarray:
        return special.gammaln(x)

    @staticmethod
    def digamma(x: np.ndarray) -> np.ndarray:
        return special.digamma(x)

    @staticmethod
    def iterate(active: Any, step: Any, carry: list[Any], consts: list[Any]) -> list[Any]:
        for _ in range(MAX_STEPS):
            go = active(*carry, *consts)
            if not np.any(go):
                break
            carry = [np.where(go, n, c) for n, c in zip(step(*carry, *consts), carry)]
        return carry


def _bound(name: str) -> Callable[[Any], Any]:
    """A primitive by its name: not all of them are imported yet."""
    return lambda x: core.PRIMITIVES[name].bind(x)


class TracedOps:
    """The same on values of the current trace; used by lower rules."""

    abs = staticmethod(abs_p.bind)

    exp, log, log1p, sqrt, erfc, lgamma, digamma = (
        staticmethod(_bound(name))
        for name in ("exp", "log", "log1p", "sqrt", "erfc", "lgamma", "digamma")
    )

    @staticmethod
    def where(mask: Any, x: Any, y: Any) -> Any:
        x, y = matched(x, y)
        return compare.select(mask, spread(x, mask), spread(y, mask))

    @staticmethod
    def iterate(active: Any, step: Any, carry: list[Any], consts: list[Any]) -> list[Any]:
        """A scalar while loop, batched over the lanes: each stops by its own condition."""
        from fx.prims import while_

        aval = core.get_aval(consts[0])
        lanes = aval.size
        scalars = [ShapedArray((), aval.dtype)] * (len(carry) + len(consts))
        n = len(consts)

        def test(*values: Any) -> list[Any]:
            return [active(*values[n:], *values[:n])]

        def body(*values: Any) -> list[Any]:
            return list(step(*values[n:], *values[:n]))

        flat = [shape.reshape(v, (lanes,)) for v in (*consts, *consts, *carry)]
        outs, _ = while_.while_p.batch(
            AxisData(None, lanes),
            flat,
            [0] * len(flat),
            cond_jaxpr=core.close(test, scalars),
            body_jaxpr=core.close(body, scalars),
            cond_nconsts=n,
            body_nconsts=n,
            max_steps=None,
        )
        return [shape.reshape(o, aval.shape) for o in outs]


def numpy_rule(f: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """The NumPy rule of an algorithm, in double precision."""

    def rule(*xs: np.ndarray) -> np.ndarray:
        sizes = np.broadcast_shapes(*(x.shape for x in xs))
        wide = [np.broadcast_to(x.astype(np.float64), sizes) for x in xs]
        return np.asarray(f(NumpyOps, *wide)).astype(xs[0].dtype)

    return rule


def lower_rule(f: Callable[..., Any]) -> Callable[..., Any]:
    """The lower rule of an algorithm: traced on the operands' avals, then lowered."""

    def rule(b: Any, *nodes: Any) -> Any:
        out = nodes[0].dtype
        sizes = next((n.shape for n in nodes if n.shape), ())
        full = [n if n.shape == sizes else b.broadcast(n, sizes, ()) for n in nodes]
        if is_floating(out) and out.itemsize == 2:
            full = [b.convert(n, np.float32) for n in full]
        avals = [ShapedArray(n.shape, n.dtype) for n in full]
        jaxpr, consts = core.trace_to_jaxpr(lambda *xs: [f(TracedOps, *xs)], avals)
        (result,) = lower_eqns(b, jaxpr, [constant(b, c) for c in consts], full)
        return b.convert(result, out)

    return rule


def _eps(x: Any) -> float:
    return float(np.finfo(x.dtype).eps)


# ---------------------------------------------------------------- incomplete gamma


def gamma_series(ops: Any, a: Any, x: Any, active: Any) -> Any:
    """S with P(a, x) = S e^(a log x - x - lgamma(a)) / a; for x <= a or x <= 1.

    S = sum_n x^n / ((a+1)...(a+n)).
    """
    eps = _eps(a)
    one, zero = 1 + 0 * a, 0 * a
    go = ops.where(active, one, zero)

    def more(n, term, total, a, x, go):
        return (ops.abs(term) > eps * ops.abs(total)) & (n < MAX_STEPS) & (go > 0)

    def step(n, term, total, a, x, go):
        n = n + 1
        term = term * (x / (a + n))
        return n, term, total + term

    return ops.iterate(more, step, [zero, one, one], [a, x, go])[2]


def gamma_fraction(ops: Any, a: Any, x: Any, active: Any) -> Any:
    """h with Q(a, x) = h e^(a log x - x - lgamma(a)); for x > a and x > 1.

    Lentz's algorithm on x + 1 - a - 1(1-a)/(x + 3 - a - 2(2-a)/(...)).
    """
    eps = _eps(a)
    zero = 0 * a
    go = ops.where(active, 1 + zero, zero)
    x = ops.where(active, x, a + 2)  # keeps the idle lanes finite
    b = x + 1 - a
    d = 1 / b

    def more(n, b, c, d, h, ratio, a, go):
        moving = (n < 1) | (ops.abs(ratio - 1) > eps)
        return moving & (n < MAX_STEPS) & (go > 0)

    def step(n, b, c, d, h, ratio, a, go):
        n = n + 1
        p = -n * (n - a)
        b = b + 2
        d = 1 / (p * d + b)
        c = b + p / c
        ratio = c * d
        return n, b, c, d, h * ratio, ratio

    return ops.iterate(more, step, [zero, b, 1e30 + zero, d, d, 1 + zero], [a, go])[4]


def gamma_series_slope(ops: Any, a: Any, x: Any, active: Any) -> tuple[Any, Any]:
    """S of `gamma_series`, and dS/da: the n-th term's log has slope -sum_k 1/(a+k) in a."""
    eps = _eps(a)
    one, zero = 1 + 0 * a, 0 * a
    go = ops.where(active, one, zero)

    def more(n, term, slope, total, d_total, a, x, go):
        small = (ops.abs(term) > eps * ops.abs(total)) | (
            ops.abs(term * slope) > eps * ops.abs(d_total)
        )
        return small & (n < MAX_STEPS) & (go > 0)

    def step(n, term, slope, total, d_total, a, x, go):
        n = n + 1
        term = term * (x / (a + n))
        slope = slope - 1 / (a + n)
        return n, term, slope, total + term, d_total + term * slope

    _, _, _, total, d_total = ops.iterate(more, step, [zero, one, zero, one, zero], [a, x, go])
    return total, d_total


def gamma_fraction_slope(ops: Any, a: Any, x: Any, active: Any) -> tuple[Any, Any]:
    """h of `gamma_fraction`, and dh/da: Lentz's algorithm with derivatives by a."""
    eps = _eps(a)
    zero = 0 * a
    go = ops.where(active, 1 + zero, zero)
    x = ops.where(active, x, a + 2)  # keeps the idle lanes finite
    b = x + 1 - a
    d = 1 / b
    start = [zero, b, 1e30 + zero, zero, d, d * d, d, d * d, 1 + zero, zero]

    def more(n, b, c, dc, d, dd, h, dh, ratio, d_ratio, a, x, go):
        moving = (ops.abs(ratio - 1) > eps) | (ops.abs(d_ratio * h) > eps * ops.abs(dh))
        return ((n < 1) | moving) & (n < MAX_STEPS) & (go > 0)

    def step(n, b, c, dc, d, dd, h, dh, ratio, d_ratio, a, x, go):
        n = n + 1
        p = -n * (n - a)  # its derivative by a is n, that of b is -1
        b = b + 2
        d_new = 1 / (p * d + b)
        dd = -d_new * d_new * (n * d + p * dd - 1)
        c_new = b + p / c
        dc = -1 + n / c - p * dc / (c * c)
        ratio = c_new * d_new
        d_ratio = dc * d_new + c_new * dd
        return n, b, c_new, dc, d_new, dd, h * ratio, dh * ratio + h * d_ratio, ratio, d_ratio

    outs = ops.iterate(more, step, start, [a, x, go])
    return outs[6], outs[7]


@dataclass
class _Lanes:
    """How P and Q are computed where: by the series, the fraction, or Temme's expansion. `a` and
    `x` are 1 at the edges, which `bad` lanes, those without a value, are among.
    """

    ops: Any
    bad: Any
    a: Any
    x: Any
    uniform: Any
    fraction: Any
    series: Any

    @staticmethod
    def of(ops: Any, a: Any, x: Any) -> _Lanes:
        bad = (a < 0) | (x < 0) | (a != a) | (x != x)
        bad = bad | ((a == 0) & (x == 0)) | ((a == np.inf) & (x == np.inf))
        edge = bad | (x == 0) | (x == np.inf) | (a == 0) | (a == np.inf)
        a, x = ops.where(edge, 1.0, a), ops.where(edge, 1.0, x)
        uniform = (a >= temme.LEAST) & (ops.abs(x - a) <= temme.NEAR * a)
        fraction = (x > 1) & (x > a)
        series = ops.where(fraction | uniform, False, True)
        return _Lanes(ops, bad, a, x, uniform, ops.where(uniform, False, fraction), series)

    def factor(self) -> Any:
        """x^a e^-x / Gamma(a)."""
        ops, a, x = self.ops, self.a, self.x
        large = a >= temme.LEAST
        small = ops.exp(a * ops.log(x) - x - ops.lgamma(a))
        a, x = ops.where(large, a, temme.LEAST), ops.where(large, x, temme.LEAST)
        return ops.where(large, temme.factor(ops, a, x), small)

    def expansion(self) -> temme.Expansion:
        """Temme's, at places of its own where it is not for a lane."""
        a, x = (self.ops.where(self.uniform, v, temme.LEAST) for v in (self.a, self.x))
        return temme.Expansion(self.ops, a, x)


def igamma(ops: Any, a0: Any, x0: Any) -> Any:
    """P(a, x) = integral from 0 to x of t^(a-1) e^-t / Gamma(a)."""
    lanes = _Lanes.of(ops, a0, x0)
    total = gamma_series(ops, lanes.a, lanes.x, lanes.series)
    h = gamma_fraction(ops, lanes.a, lanes.x, lanes.fraction)
    factor = lanes.factor()
    p = ops.where(lanes.fraction, 1 - h * factor, total * factor / lanes.a)
    p = ops.where(lanes.uniform, lanes.expansion().tail(upper=False), p)
    return _edges(ops, lanes.bad, a0, x0, p, 0.0, 1.0)


def igammac(ops: Any, a0: Any, x0: Any) -> Any:
    """Q(a, x) = 1 - P(a, x), accurate where P is near 1."""
    lanes = _Lanes.of(ops, a0, x0)
    total = gamma_series(ops, lanes.a, lanes.x, lanes.series)
    h = gamma_fraction(ops, lanes.a, lanes.x, lanes.fraction)
    factor = lanes.factor()
    q = ops.where(lanes.fraction, h * factor, 1 - total * factor / lanes.a)
    q = ops.where(lanes.uniform, lanes.expansion().tail(upper=True), q)
    return _edges(ops, lanes.bad, a0, x0, q, 1.0, 0.0)


def _edges(
    ops: Any, bad: Any, a: Any, x: Any, value: Any, at_zero: float, at_infinity: float
) -> Any:
    """The values where x is 0 or infinite, and those where a is, which swap them."""
    value = ops.where((x == 0) | (a == np.inf), at_zero, value)
    value = ops.where((x == np.inf) | (a == 0), at_infinity, value)
    return ops.where(bad, np.nan, value)


def _slopes(lanes: _Lanes) -> Any:
    """dP/da divided by the common factor."""
    ops, a, x = lanes.ops, lanes.a, lanes.x
    total, d_total = gamma_series_slope(ops, a, x, lanes.series)
    h, dh = gamma_fraction_slope(ops, a, x, lanes.fraction)
    log_slope = ops.log(x) - ops.digamma(a)
    by_series = (total * (log_slope - 1 / a) + d_total) / a
    slopes = ops.where(lanes.fraction, -(dh + h * log_slope), by_series)
    expansion = lanes.expansion()  # the factor is E a exp(-stirling(a))
    uniform = expansion.slope() * ops.exp(temme.stirling(expansion.a)) / expansion.a
    return ops.where(lanes.uniform, uniform, slopes)


def igamma_grad_a(ops: Any, a0: Any, x0: Any) -> Any:
    """dP(a, x)/da."""
    lanes = _Lanes.of(ops, a0, x0)
    return _slope_edges(ops, lanes.bad, a0, x0, lanes.factor() * _slopes(lanes))


def random_gamma_grad(ops: Any, a0: Any, x0: Any) -> Any:
    """dx/da of a gamma sample x at a fixed quantile: -(dP/da) / (dP/dx), dP/dx = factor / x."""
    lanes = _Lanes.of(ops, a0, x0)
    return _slope_edges(ops, lanes.bad, a0, x0, -lanes.x * _slopes(lanes))


def _slope_edges(ops: Any, bad: Any, a: Any, x: Any, value: Any) -> Any:
    value = ops.where((x == 0) | (x == np.inf), 0.0, value)
    return ops.where(bad | (a == 0) | (a == np.inf), np.nan, value)


# ---------------------------------------------------------------- incomplete beta


def _beta_fraction(ops: Any, a: Any, b: Any, x: Any) -> Any:
    """The continued fraction of Numerical Recipes 6.4, two terms a step."""
    eps = _eps(a)
    zero = 0 * a
    one = 1 + zero
    d = 1 / (1 - (a + b) * x / (a + 1))

    def more(m, c, d, h, ratio, a, b, x):
        return ((m < 1) | (ops.abs(ratio - 1) > eps)) & (m < MAX_STEPS)

    def step(m, c, d, h, ratio, a, b, x):
        m = m + 1
        p = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + p * d)
        c = 1 + p / c
        h = h * (d * c)
        p = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + p * d)
        c = 1 + p / c
        ratio = d * c
        return m, c, d, h * ratio, ratio

    return ops.iterate(more, step, [zero, one, d, d, zero], [a, b, x])[3]


def betainc(ops: Any, a0: Any, b0: Any, x0: Any) -> Any:
    """I_x(a, b) = integral from 0 to x of t^(a-1) (1-t)^(b-1) / B(a, b)."""
    bad = (a0 <= 0) | (b0 <= 0) | (x0 < 0) | (x0 > 1) | (a0 != a0) | (b0 != b0) | (x0 != x0)
    edge = (x0 == 0) | (x0 == 1)
    a, b = ops.where(bad, 1.0, a0), ops.where(bad, 1.0, b0)
    x = ops.where(bad | edge, 0.5, x0)
    flip = x > (a + 1) / (a + b + 2)
    p, q = ops.where(flip, b, a), ops.where(flip, a, b)
    y = ops.where(flip, 1 - x, x)
    log_beta = ops.lgamma(p) + ops.lgamma(q) - ops.lgamma(p + q)
    front = ops.exp(p * ops.log(y) + q * ops.log1p(-y) - log_beta) / p
    part = front * _beta_fraction(ops, p, q, y)
    value = ops.where(flip, 1 - part, part)
    value = ops.where(x0 == 0, 0.0, ops.where(x0 == 1, 1.0, value))
    return ops.where(bad, np.nan, value)


# ---------------------------------------------------------------- zeta and polygamma

# B_2k / (2k)!, k = 1..12: the Euler-Maclaurin weights
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510,
    43867 / 798, -174611 / 330, 854513 / 138, -236364091 / 2730,
)  # fmt: skip
_WEIGHTS = tuple(b / math.factorial(2 * k) for k, b in enumerate(_BERNOULLI, 1))
_TERMS = 10


def zeta(ops: Any, x: Any, q: Any) -> Any:
    """sum_n (q + n)^-x by Euler and Maclaurin: ten terms, an integral, twelve corrections."""
    safe_x = ops.where((x > 1) & (x < np.inf), x, 2.0)
    safe_q = ops.where((q > -_TERMS + 1) & (q < np.inf), q, 1.0)

    def power(base: Any) -> Any:
        size = ops.exp(-safe_x * ops.log(ops.abs(base)))
        return size if base is tail else _signed(ops, base, safe_x, size)

    tail = safe_q + _TERMS
    total = 0 * safe_x
    for n in range(_TERMS):
        total = total + power(safe_q + float(n))
    last = power(tail)
    total = total + last * tail / (safe_x - 1) + 0.5 * last
    term = last * (safe_x / tail)
    for k, weight in enumerate(_WEIGHTS, 1):
        total = total + weight * term
        term = term * ((safe_x + (2 * k - 1)) / tail) * ((safe_x + 2 * k) / tail)
    return zeta_edges(ops, x, q, total)


def _signed(ops: Any, base: Any, x: Any, size: Any) -> Any:
    """|base|^-x with the sign that a negative base has under an integer power, NaN under others."""
    half = 0.5 * x
    even = ops.where(half == _floor(ops, half), 1.0, -1.0 + 0 * x)
    whole = x == _floor(ops, x)
    negative = ops.where(whole, even * size, np.nan)
    return ops.where(base < 0, negative, size)


def _floor(ops: Any, x: Any) -> Any:
    return np.floor(x) if ops is NumpyOps else core.PRIMITIVES["floor"].bind(x)


def zeta_edges(ops: Any, x: Any, q: Any, value: Any) -> Any:
    """A pole at x = 1 and at q = 0, -1, ...; NaN below x = 1; the first term alone at infinity."""
    pole = (q <= 0) & (q == _floor(ops, q))
    value = ops.where(q == np.inf, 0.0, value)
    value = ops.where((x == np.inf) & (q < 1), np.inf, value)
    value = ops.where((x == np.inf) & (q == 1), 1.0, value)
    value = ops.where((x == np.inf) & (q > 1), 0.0, value)
    value = ops.where(pole | (x == 1), np.inf, value)
    return ops.where((x < 1) | (x != x) | (q != q), np.nan, value)


def polygamma(ops: Any, m: Any, x: Any) -> Any:
    """(-1)^(m+1) m! zeta(m+1, x), and digamma for m = 0; NaN unless m is a whole number >= 0."""
    order = ops.where(m > 0, m, 1.0)
    size = ops.exp(ops.lgamma(order + 1)) * zeta(ops, order + 1, x)
    half = 0.5 * (order + 1)
    even = half == _floor(ops, half)
    value = ops.where(even, size, -size)
    value = ops.where(m == 0, ops.digamma(x), value)
    return ops.where((m < 0) | (m != _floor(ops, m)), np.nan, value)
