"""Elementwise functions of complex numbers, written on their real and imaginary parts.

Each rule takes a builder and a pair per operand and gives a pair, or one node where the result is
real. Formulas are those of Abramowitz and Stegun, chapters 3 and 4, on the arithmetic of
`complex_parts`; the inverse functions are `complex_inverse`.
"""

from __future__ import annotations

from collections.abc import Callable

from lowering import graph as g
from lowering.rewrite.complex_inverse import acos, acosh, asin, asinh, atan, atanh, log, log1p, sqrt
from lowering.rewrite.complex_parts import (
    Pair,
    divide,
    magnitude,
    minus,
    multiply,
    negative,
    number,
    over_i,
    plus,
    scaled,
    shifted,
    times_i,
    with_sign,
)


def exp(b: g.Builder, x: Pair) -> Pair:
    r = b.map("exp", x[0])
    im = b.map("mul", r, b.map("sin", x[1]))
    real = b.map("eq", x[1], number(b, 0, x[1]))
    return b.select(real, r, b.map("mul", r, b.map("cos", x[1]))), b.select(real, x[1], im)


def expm1(b: g.Builder, x: Pair) -> Pair:
    """expm1(a) cos(b) - 2 sin(b/2)^2 + i exp(a) sin(b)."""
    a, c = x
    half = b.map("sin", b.map("mul", c, number(b, 0.5, c)))
    bend = b.map("mul", number(b, 2, c), b.map("mul", half, half))
    re = b.map("sub", b.map("mul", b.map("expm1", a), b.map("cos", c)), bend)
    return re, b.map("mul", b.map("exp", a), b.map("sin", c))


def sin(b: g.Builder, x: Pair) -> Pair:
    """On the imaginary axis its real part is a zero, beside an infinite imaginary one too."""
    re = b.map("mul", b.map("sin", x[0]), b.map("cosh", x[1]))
    im = b.map("mul", b.map("cos", x[0]), b.map("sinh", x[1]))
    return b.select(b.map("eq", x[0], number(b, 0, re)), x[0], re), im


def cos(b: g.Builder, x: Pair) -> Pair:
    """On the imaginary axis its imaginary part is a zero, beside an infinite real one too."""
    re = b.map("mul", b.map("cos", x[0]), b.map("cosh", x[1]))
    im = b.map("mul", b.map("sin", x[0]), b.map("sinh", x[1]))
    zero = b.map("mul", x[0], with_sign(b, number(b, 1, im), x[1]))
    return re, b.map("neg", b.select(b.map("eq", x[0], number(b, 0, re)), zero, im))


def tanh(b: g.Builder, x: Pair) -> Pair:
    """With t = tan(b), s = sinh(a), c = cosh(a): (c s (1+t^2) + i t) / (1 + s^2 (1+t^2)); large |a|
    gives the sign.
    """
    a, c = x
    large = b.map("gt", b.map("abs", a), number(b, 20, a))
    safe = b.select(large, number(b, 1, a), a)
    t, s = b.map("tan", c), b.map("sinh", safe)
    one = number(b, 1, a)
    sec = b.map("add", one, b.map("mul", t, t))
    below = b.map("add", one, b.map("mul", b.map("mul", s, s), sec))
    re = b.map("div", b.map("mul", b.map("mul", b.map("cosh", safe), s), sec), below)
    im = b.map("div", t, below)
    return b.select(large, b.map("sign", a), re), b.select(large, number(b, 0, c), im)


def tan(b: g.Builder, x: Pair) -> Pair:
    return over_i(b, tanh(b, times_i(b, x)))


def sinh(b: g.Builder, x: Pair) -> Pair:
    return over_i(b, sin(b, times_i(b, x)))


def cosh(b: g.Builder, x: Pair) -> Pair:
    return cos(b, times_i(b, x))


def logistic(b: g.Builder, x: Pair) -> Pair:
    """(1 + tanh(x / 2)) / 2."""
    return scaled(b, shifted(b, tanh(b, scaled(b, x, 0.5)), 1), 0.5)


def power(b: g.Builder, x: Pair, y: Pair) -> Pair:
    """exp(y log x); 0 to a power with positive real part is 0, anything to the power 0 is 1."""
    r = exp(b, multiply(b, y, log(b, x)))
    zero = number(b, 0, x[0])
    base_zero = b.map("and", b.map("eq", x[0], zero), b.map("eq", x[1], zero))
    base_zero = b.map("and", base_zero, b.map("gt", y[0], zero))
    power_zero = b.map("and", b.map("eq", y[0], zero), b.map("eq", y[1], zero))
    re = b.select(power_zero, number(b, 1, zero), b.select(base_zero, zero, r[0]))
    none = b.map("or", base_zero, power_zero)
    return re, b.select(none, zero, r[1])


def sign(b: g.Builder, x: Pair) -> Pair:
    """x / |x|, 0 at 0."""
    size = magnitude(b, x)
    zero = b.map("eq", size, number(b, 0, size))
    size = b.select(zero, number(b, 1, size), size)
    return b.map("div", x[0], size), b.map("div", x[1], size)


def reciprocal(b: g.Builder, x: Pair) -> Pair:
    return divide(b, (number(b, 1, x[0]), number(b, 0, x[0])), x)


def over_log(base: float) -> Callable[[g.Builder, Pair], Pair]:
    return lambda b, x: scaled(b, log(b, x), 1 / base)


def logaddexp(b: g.Builder, x: Pair, y: Pair) -> Pair:
    """The operand of larger real part, plus log1p(exp(the other - it))."""
    first = b.map("ge", x[0], y[0])
    big = b.select(first, x[0], y[0]), b.select(first, x[1], y[1])
    small = b.select(first, y[0], x[0]), b.select(first, y[1], x[1])
    return plus(b, big, log1p(b, exp(b, minus(b, small, big))))


def chosen(compare: str) -> Callable[[g.Builder, Pair, Pair], Pair]:
    """The larger (smaller) in lexicographic order; NaN wins."""

    def rule(b: g.Builder, x: Pair, y: Pair) -> Pair:
        same = b.map("eq", x[0], y[0])
        better = b.select(same, b.map(compare, x[1], y[1]), b.map(compare, x[0], y[0]))
        nan = b.map("or", b.map("ne", x[0], x[0]), b.map("ne", x[1], x[1]))
        take = b.map("or", better, nan)
        return b.select(take, x[0], y[0]), b.select(take, x[1], y[1])

    return rule


def both(op: str, combine: str) -> Callable[..., g.Node]:
    """A predicate of the parts."""
    return lambda b, *xs: b.map(
        combine, b.map(op, *(x[0] for x in xs)), b.map(op, *(x[1] for x in xs))
    )


MAPS: dict[str, Callable[..., Pair | g.Node]] = {
    "add": plus,
    "sub": minus,
    "mul": multiply,
    "div": divide,
    "after": lambda b, x, y: (b.map("after", x[0], y[0]), b.map("after", x[1], y[0])),
    "neg": negative,
    "abs": magnitude,
    "sign": sign,
    "real": lambda b, x: x[0],
    "imag": lambda b, x: x[1],
    "conj": lambda b, x: (x[0], b.map("neg", x[1])),
    "exp": exp,
    "exp2": lambda b, x: exp(b, scaled(b, x, 0.6931471805599453)),
    "log": log,
    "log2": over_log(0.6931471805599453),
    "log10": over_log(2.302585092994046),
    "log1p": log1p,
    "expm1": expm1,
    "sqrt": sqrt,
    "rsqrt": lambda b, x: reciprocal(b, sqrt(b, x)),
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "logistic": logistic,
    "pow": power,
    "logaddexp": logaddexp,
    "max": chosen("gt"),
    "min": chosen("lt"),
    "eq": both("eq", "and"),
    "ne": both("ne", "or"),
    "is_finite": both("is_finite", "and"),
    "is_nan": both("is_nan", "or"),
}
