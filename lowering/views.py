"""Views: a part of a concatenation that lies in one of its operands is a part of that operand.

What is put together and taken apart again (the elements of a small matrix) never stands in memory.
Called by `canon` for each slice.
"""

from __future__ import annotations

from lowering import graph as g


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
