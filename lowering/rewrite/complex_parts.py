"""Complex arithmetic on pairs of real nodes: what the functions of complex numbers are made of.

A pair is a real and an imaginary part of one shape and dtype. Magnitudes and quotients are scaled
by the larger part, so that they neither overflow nor vanish early.
"""

from __future__ import annotations

import numpy as np

from lowering import graph as g

Pair = tuple[g.Node, g.Node]


def multiply(b: g.Builder, x: Pair, y: Pair) -> Pair:
    """(a + ib)(c + id)."""
    re = b.map("sub", b.map("mul", x[0], y[0]), b.map("mul", x[1], y[1]))
    return re, b.map("add", b.map("mul", x[0], y[1]), b.map("mul", x[1], y[0]))


def divide(b: g.Builder, x: Pair, y: Pair) -> Pair:
    """Smith's method: divide by the larger part of the denominator first. A denominator of 0
    divides each part of x by itself: 1 / 0 is inf + nan i, as NumPy's.
    """
    swap = b.map("lt", b.map("abs", y[0]), b.map("abs", y[1]))
    big, small = b.select(swap, y[1], y[0]), b.select(swap, y[0], y[1])
    none = b.map("eq", big, number(b, 0, big))
    ratio = b.map("div", small, b.select(none, number(b, 1, big), big))
    scale = b.map("add", big, b.map("mul", small, ratio))
    p, q = b.select(swap, x[1], x[0]), b.select(swap, x[0], x[1])
    re = b.map("div", b.map("add", p, b.map("mul", q, ratio)), scale)
    im = b.map("div", b.map("sub", q, b.map("mul", p, ratio)), scale)
    return re, b.select(swap, b.map("neg", im), im)


def ordered(b: g.Builder, x: Pair) -> Pair:
    """The larger and the smaller of the parts' sizes."""
    p, q = b.map("abs", x[0]), b.map("abs", x[1])
    return b.map("max", p, q), b.map("min", p, q)


def magnitude(b: g.Builder, x: Pair) -> g.Node:
    """|x| by the larger part."""
    big, small = ordered(b, x)
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


def with_sign(b: g.Builder, size: g.Node, x: g.Node) -> g.Node:
    """A number of this size with the sign of x, which zeros have too."""
    bits = b.map("bitcast", x, dtype=np.dtype(f"int{8 * x.dtype.itemsize}"))
    below = b.map("lt", bits, b.const(0, bits.dtype, bits.shape))
    return b.select(below, b.map("neg", size), size)
