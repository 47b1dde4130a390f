"""Elementwise functions of complex numbers, written on their real and imaginary parts.

Each rule takes a builder and a pair per operand and gives a pair, or one node where the result is
real. Formulas are those of Abramowitz and Stegun, chapters 3 and 4; magnitudes are scaled so that
they neither overflow nor vanish early.
"""

from __future__ import annotations

from collections.abc import Callable

from lowering import graph as g

Pair = tuple[g.Node, g.Node]


def multiply(b: g.Builder, x: Pair, y: Pair) -> Pair:
    """(a + ib)(c + id)."""
    re = b.map("sub", b.map("mul", x[0], y[0]), b.map("mul", x[1], y[1]))
    return re, b.map("add", b.map("mul", x[0], y[1]), b.map("mul", x[1], y[0]))


def divide(b: g.Builder, x: Pair, y: Pair) -> Pair:
    """Smith's method: divide by the larger part of the denominator first."""
    swap = b.map("lt", b.map("abs", y[0]), b.map("abs", y[1]))
    big, small = b.select(swap, y[1], y[0]), b.select(swap, y[0], y[1])
    ratio = b.map("div", small, big)
    scale = b.map("add", big, b.map("mul", small, ratio))
    p, q = b.select(swap, x[1], x[0]), b.select(swap, x[0], x[1])
    re = b.map("div", b.map("add", p, b.map("mul", q, ratio)), scale)
    im = b.map("div", b.map("sub", q, b.map("mul", p, ratio)), scale)
    return re, b.select(swap, b.map("neg", im), im)


def magnitude(b: g.Builder, x: Pair) -> g.Node:
    """|x| by the larger part."""
    p, q = b.map("abs", x[0]), b.map("abs", x[1])
    big, small = b.map("max", p, q), b.map("min", p, q)
    zero = number(b, 0, big)
    usual = b.map("and", b.map("gt", big, zero), b.map("is_finite", big))
    ratio = b.map("div", small, b.select(usual, big, number(b, 1, big)))
    root = b.map("sqrt", b.map("add", number(b, 1, big), b.map("mul", ratio, ratio)))
    return b.select(usual, b.map("mul", big, root), big)


def number(b: g.Builder, value: float, like: g.Node) -> g.Node:
    return b.const(value, like.dtype, like.shape)


def scaled(b: g.Builder, x: Pair, k: float) -> Pair:
    return b.map("mul", x[0], number(b, k, x[0])), b.map("mul", x[1], number(b, k, x[1]))


def shifted(b: g.Builder, x: Pair, k: float) -> Pair:
    return b.map("add", x[0], number(b, k, x[0])), x[1]


def plus(b: g.Builder, x: Pair, y: Pair) -> Pair:
    return b.map("add", x[0], y[0]), b.map("add", x[1], y[1])


def minus(b: g.Builder, x: Pair, y: Pair) -> Pair:
    return b.map("sub", x[0], y[0]), b.map("sub", x[1], y[1])


def negative(b: g.Builder, x: Pair) -> Pair:
    return b.map("neg", x[0]), b.map("neg", x[1])


def times_i(b: g.Builder, x: Pair) -> Pair:
    return b.map("neg", x[1]), x[0]


def over_i(b: g.Builder, x: Pair) -> Pair:
    return x[1], b.map("neg", x[0])


def exp(b: g.Builder, x: Pair) -> Pair:
    r = b.map("exp", x[0])
    im = b.map("mul", r, b.map("sin", x[1]))
    real = b.map("eq", x[1], number(b, 0, x[1]))
    return b.select(real, r, b.map("mul", r, b.map("cos", x[1]))), b.select(real, x[1], im)


def log(b: g.Builder, x: Pair) -> Pair:
    return b.map("log", magnitude(b, x)), b.map("atan2", x[1], x[0])


def log1p(b: g.Builder, x: Pair) -> Pair:
    """log|1 + x| as half log1p(2a + a^2 + b^2), exact for small x."""
    a, c = x
    t = b.map("add", b.map("mul", a, b.map("add", a, number(b, 2, a))), b.map("mul", c, c))
    near = b.map("lt", b.map("max", b.map("abs", a), b.map("abs", c)), number(b, 0.5, a))
    small = b.map("mul", number(b, 0.5, a), b.map("log1p", t))
    far = log(b, shifted(b, x, 1))
    return b.select(near, small, far[0]), far[1]


def expm1(b: g.Builder, x: Pair) -> Pair:
    """expm1(a) cos(b) - 2 sin(b/2)^2 + i exp(a) sin(b)."""
    a, c = x
    half = b.map("sin", b.map("mul", c, number(b, 0.5, c)))
    bend = b.map("mul", number(b, 2, c), b.map("mul", half, half))
    re = b.map("sub", b.map("mul", b.map("expm1", a), b.map("cos", c)), bend)
    return re, b.map("mul", b.map("exp", a), b.map("sin", c))


def sqrt(b: g.Builder, x: Pair) -> Pair:
    """The root with non-negative real part (principal branch)."""
    a, c = x
    half = number(b, 0.5, a)
    size = magnitude(b, x)
    t = b.map("sqrt", b.map("mul", half, b.map("add", size, b.map("abs", a))))
    zero = b.map("eq", t, number(b, 0, t))
    other = b.map("div", b.map("mul", half, c), b.select(zero, number(b, 1, t), t))
    right = b.map("ge", a, number(b, 0, a))
    below = b.map("lt", c, number(b, 0, c))
    im_left = b.select(below, b.map("neg", t), t)
    re = b.select(right, t, b.map("abs", other))
    im = b.select(right, other, im_left)
    return b.select(zero, number(b, 0, t), re), b.select(zero, c, im)


def sin(b: g.Builder, x: Pair) -> Pair:
    re = b.map("mul", b.map("sin", x[0]), b.map("cosh", x[1]))
    return re, b.map("mul", b.map("cos", x[0]), b.map("sinh", x[1]))


def cos(b: g.Builder, x: Pair) -> Pair:
    re = b.map("mul", b.map("cos", x[0]), b.map("cosh", x[1]))
    return re, b.map("neg", b.map("mul", b.map("sin", x[0]), b.map("sinh", x[1])))


def tanh(b: g.Builder, x: Pair) -> Pair:
    """With t = tan(b), s = sinh(a), c = cosh(a): (c s (1+t^2) + i t) / (1 + s^2 (1+t^2)); large |a|
    gives the sign.
    """
    a, c = x
    large = b.map("gt", b.map("abs", a), number(b, 15, a))
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


def asinh(b: g.Builder, x: Pair) -> Pair:
    """log(x + sqrt(x^2 + 1)), on the half plane where it does not cancel."""
    flip = b.map("lt", x[0], number(b, 0, x[0]))
    y = negative(b, x)
    x = b.select(flip, y[0], x[0]), b.select(flip, y[1], x[1])
    root = multiply(b, sqrt(b, shifted(b, times_i(b, x), 1)), sqrt(b, shifted(b, over_i(b, x), 1)))
    r = log(b, plus(b, x, root))
    back = negative(b, r)
    return b.select(flip, back[0], r[0]), b.select(flip, back[1], r[1])


def asin(b: g.Builder, x: Pair) -> Pair:
    return over_i(b, asinh(b, times_i(b, x)))


def acos(b: g.Builder, x: Pair) -> Pair:
    s = asin(b, x)
    return b.map("sub", number(b, 1.5707963267948966, s[0]), s[0]), b.map("neg", s[1])


def acosh(b: g.Builder, x: Pair) -> Pair:
    """log(x + sqrt(x + 1) sqrt(x - 1))."""
    root = multiply(b, sqrt(b, shifted(b, x, 1)), sqrt(b, shifted(b, x, -1)))
    return log(b, plus(b, x, root))


def atanh(b: g.Builder, x: Pair) -> Pair:
    """(log1p(x) - log1p(-x)) / 2."""
    return scaled(b, minus(b, log1p(b, x), log1p(b, negative(b, x))), 0.5)


def atan(b: g.Builder, x: Pair) -> Pair:
    return over_i(b, atanh(b, times_i(b, x)))


def logistic(b: g.Builder, x: Pair) -> Pair:
    """(1 + tanh(x / 2)) / 2."""
    return scaled(b, shifted(b, tanh(b, scaled(b, x, 0.5)), 1), 0.5)


def power(b: g.Builder, x: Pair, y: Pair) -> Pair:
    """exp(y log x); 0 to a power with positive real part is 0, anything to the power 0 is 1."""
    r = exp(b, multiply(b, y, log(b, x)))
    zero = number(b, 0, x[0])
    base_zero = b.map("and", b.map("eq", x[0], zero), b.map("eq", x[1], zero))
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
