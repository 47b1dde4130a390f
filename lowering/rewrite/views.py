"""Views: a part of a concatenation that lies in one of its operands is a part of that operand.

What is put together and taken apart again (the elements of a small matrix) never stands in memory.
And an update at a fixed place that covers most of an array is a choice by place: one pass, where in
memory it takes a copy, or the update's own array. Called by `canon`.
"""

from __future__ import annotations

import numpy as np

from lowering import graph as g


def update(b: g.Builder, n: g.Node, args: tuple[g.Node, ...]) -> g.Node | None:
    """The update n as a padding of constants, or as a choice, where the window is most of it."""
    x, new, *starts = args
    if not all(isinstance(s.form, g.Const) for s in starts) or 2 * new.size < x.size:
        return None
    room = [k - w for k, w in zip(x.shape, new.shape)]
    low = [min(max(int(s.form.value), 0), r) for s, r in zip(starts, room)]
    high = [r - lo for r, lo in zip(room, low)]
    gaps = (0,) * x.ndim
    if isinstance(x.form, g.Const):
        return b.pad(new, b.const(x.form.value, x.dtype), low, high, gaps)
    yes, no = b.const(True, np.bool_, new.shape), b.const(False, np.bool_)
    inside = b.pad(yes, no, low, high, gaps)
    return b.select(inside, b.pad(new, b.const(0, x.dtype), low, high, gaps), x)


def part(b: g.Builder, n: g.Node, x: g.Node) -> g.Node:
    """The slice n of x."""
    starts, strides, shape = n.form.starts, n.form.strides, n.shape
    while isinstance(x.form, g.Concat) and n.size:
        d = x.form.dim
        low, high = starts[d], starts[d] + (shape[d] - 1) * strides[d]
        at = 0
        for piece in x.args:
            if at <= low and high < at + piece.shape[d]:
                break
            at += piece.shape[d]
        else:
            break
        x, starts = piece, (*starts[:d], low - at, *starts[d + 1 :])
    limits = [lo + (k - 1) * s + 1 if k else lo for lo, s, k in zip(starts, strides, shape)]
    return b.slice(x, starts, limits, strides)
