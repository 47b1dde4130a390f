"""Inverse functions of complex numbers: logarithms, roots, and the inverse circular ones.

asin and acos are those of T. Hull, T. Fairgrieve and P. Tang (ACM Transactions on Mathematical
Software 23, 1997): in the first quadrant, from the distances to the branch points, without
cancellation. Signs of zeros choose the side of a branch cut, as in C99, annex G.
"""

from __future__ import annotations

from math import log as real_log
from math import pi

import numpy as np

from lowering import graph as g
from lowering.rewrite.complex_parts import (
    Pair,
    magnitude,
    number,
    ordered,
    over_i,
    shifted,
    times_i,
    with_sign,
)

NEAR_ONE = 0.6417  # of a cosine: beyond it acos is an arctangent, and asin too
FEW = 1.5  # of half the sum of the distances: below it the logarithm is of 1 + a small number


def log(b: g.Builder, x: Pair) -> Pair:
    """log|x| by the larger part, near 1 as half of log1p(|x|^2 - 1)."""
    return _log_of_size(b, x), b.map("atan2", x[1], x[0])


def _log_of_size(b: g.Builder, x: Pair) -> g.Node:
    big, small = ordered(b, x)
    one, half = number(b, 1, big), number(b, 0.5, big)
    beyond = b.map("mul", b.map("sub", big, one), b.map("add", big, one))
    near = b.map("and", b.map("gt", big, half), b.map("lt", big, number(b, 2, big)))
    close = b.map("log1p", b.map("add", beyond, b.map("mul", small, small)))
    usual = b.map("and", b.map("gt", big, number(b, 0, big)), b.map("is_finite", big))
    ratio = b.select(usual, b.map("div", small, b.select(usual, big, one)), number(b, 0, big))
    rest = b.map("log1p", b.map("mul", ratio, ratio))
    far = b.map("add", b.map("log", big), b.map("mul", half, rest))
    return b.select(near, b.map("mul", half, close), far)


def log1p(b: g.Builder, x: Pair) -> Pair:
    """log|1 + x| as half log1p(2a + a^2 + b^2), exact for small x."""
    a, c = x
    t = b.map("add", b.map("mul", a, b.map("add", a, number(b, 2, a))), b.map("mul", c, c))
    near = b.map("lt", b.map("max", b.map("abs", a), b.map("abs", c)), number(b, 0.5, a))
    small = b.map("mul", number(b, 0.5, a), b.map("log1p", t))
    far = log(b, shifted(b, x, 1))
    return b.select(near, small, far[0]), far[1]


def sqrt(b: g.Builder, x: Pair) -> Pair:
    """The root with non-negative real part (principal branch); of the largest, by a quarter."""
    huge = b.map("gt", ordered(b, x)[0], number(b, float(np.finfo(x[0].dtype).max) / 4, x[0]))
    scale, back = (b.select(huge, number(b, k, x[0]), number(b, 1, x[0])) for k in (0.25, 2))
    a, c = b.map("mul", x[0], scale), b.map("mul", x[1], scale)
    half = number(b, 0.5, a)
    size = magnitude(b, (a, c))
    t = b.map("sqrt", b.map("add", b.map("mul", half, size), b.map("mul", half, b.map("abs", a))))
    zero = b.map("eq", t, number(b, 0, t))
    other = b.map("div", b.map("mul", half, c), b.select(zero, number(b, 1, t), t))
    other = b.select(b.map("is_finite", c), other, c)  # infinite, whatever a is
    right = b.map("ge", a, number(b, 0, a))
    im_left = with_sign(b, t, c)
    re = b.select(right, t, b.map("abs", other))
    im = b.select(right, other, im_left)
    re, im = b.select(zero, number(b, 0, t), re), b.select(zero, c, im)
    return b.map("mul", re, back), b.map("mul", im, back)


def _quadrant(b: g.Builder, x: Pair) -> tuple[g.Node, g.Node, g.Node]:
    """Real parts of asin and acos, and the size of their imaginary part, of |a| + i |c|."""
    a, c = b.map("abs", x[0]), b.map("abs", x[1])
    one, half = number(b, 1, a), number(b, 0.5, a)

    def mul(p: g.Node, q: g.Node) -> g.Node:
        return b.map("mul", p, q)

    def add(p: g.Node, q: g.Node) -> g.Node:
        return b.map("add", p, q)

    above, gap = add(a, one), b.map("abs", b.map("sub", a, one))
    r, s = magnitude(b, (above, c)), magnitude(b, (gap, c))
    mean = mul(half, add(r, s))
    inner, left = b.map("le", a, one), b.map("lt", a, one)  # of the branch point
    r_sum, s_sum = add(r, above), add(s, gap)

    cosine = b.map("div", a, mean)
    total = add(mean, a)
    under = mul(mul(half, total), add(mul(c, b.map("div", c, r_sum)), s_sum))
    parts = add(b.map("div", total, r_sum), b.map("div", total, s_sum))
    leg = b.select(inner, b.map("sqrt", under), mul(c, b.map("sqrt", mul(half, parts))))
    steep = b.map("gt", cosine, number(b, NEAR_ONE, a))
    asin = b.select(steep, b.map("atan2", a, leg), b.map("asin", cosine))
    acos = b.select(steep, b.map("atan2", leg, a), b.map("acos", cosine))

    inverse = mul(half, add(b.map("div", one, r_sum), b.map("div", one, s_sum)))
    more = mul(half, add(mul(c, b.map("div", c, r_sum)), s_sum))
    less = b.select(left, mul(c, mul(c, inverse)), more)  # what of the mean is beyond 1
    root = b.map("sqrt", mul(b.select(left, inverse, less), add(mean, one)))
    short = b.map("log1p", add(less, b.select(left, mul(c, root), root)))
    square = mul(b.map("sub", mean, one), add(mean, one))
    long = b.map("log", add(mean, b.map("sqrt", square)))
    im = b.select(b.map("le", mean, number(b, FEW, a)), short, long)

    huge = number(b, float(np.sqrt(np.finfo(a.dtype).max)) / 8, a)
    endless = b.map("gt", b.map("max", a, c), huge)
    far = add(_log_of_size(b, (a, c)), number(b, real_log(2), a))
    asin = b.select(endless, b.map("atan2", a, c), asin)
    return asin, b.select(endless, b.map("atan2", c, a), acos), b.select(endless, far, im)


def asin(b: g.Builder, x: Pair) -> Pair:
    re, _, im = _quadrant(b, x)
    return with_sign(b, re, x[0]), with_sign(b, im, x[1])


def acos(b: g.Builder, x: Pair) -> Pair:
    _, re, im = _quadrant(b, x)
    left = b.map("lt", x[0], number(b, 0, re))
    re = b.select(left, b.map("sub", number(b, pi, re), re), re)
    return re, b.map("neg", with_sign(b, im, x[1]))


def asinh(b: g.Builder, x: Pair) -> Pair:
    return over_i(b, asin(b, times_i(b, x)))


def acosh(b: g.Builder, x: Pair) -> Pair:
    """i acos or -i acos, whichever has a positive real part."""
    re, im = acos(b, x)
    return b.map("abs", im), with_sign(b, re, x[1])


def atanh(b: g.Builder, x: Pair) -> Pair:
    """log1p(4a / ((1-a)^2 + c^2)) / 4 + i atan2(2c, (1-a)(1+a) - c^2) / 2, for a >= 0."""
    a, c = b.map("abs", x[0]), x[1]
    one, half = number(b, 1, a), number(b, 0.5, a)
    big, small = ordered(b, x)
    huge = b.map("gt", big, number(b, float(np.sqrt(np.finfo(a.dtype).max)) / 8, a))
    safe = b.select(huge, one, a), b.select(huge, one, c)
    gap = b.map("sub", one, safe[0])
    square = b.map("mul", safe[1], safe[1])
    below = b.map("add", b.map("mul", gap, gap), square)
    pole = b.map("and", b.map("eq", a, one), b.map("lt", b.map("abs", c), one))
    ratio = b.map("div", b.map("mul", number(b, 4, a), safe[0]), b.select(pole, one, below))
    at_pole = b.map("log", b.map("add", number(b, 4, a), square))  # less the log of what vanishes
    at_pole = b.map("sub", at_pole, b.map("mul", number(b, 2, a), b.map("log", b.map("abs", c))))
    re = b.select(pole, at_pole, b.map("log1p", ratio))
    right = b.map("sub", b.map("mul", gap, b.map("add", one, safe[0])), square)
    im = b.map("mul", half, b.map("atan2", b.map("add", safe[1], safe[1]), right))
    ratio = b.map("div", small, b.select(huge, big, one))
    less = b.map("add", one, b.map("mul", ratio, ratio))
    far = b.map("div", b.map("div", b.map("div", a, big), less), big)  # a / (a^2 + c^2)
    endless = b.map("eq", big, number(b, np.inf, big))
    far = b.select(endless, number(b, 0, far), far)
    re = b.select(huge, far, b.map("mul", number(b, 0.25, a), re))
    im = b.select(huge, with_sign(b, number(b, pi / 2, a), c), im)
    return with_sign(b, re, x[0]), im


def atan(b: g.Builder, x: Pair) -> Pair:
    return over_i(b, atanh(b, times_i(b, x)))
