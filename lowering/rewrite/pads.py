"""Pads: a sum of values that zeros extend and that fill an axis side by side is a concatenation.

The gradient of a split (the gates of an LSTM, q, k and v of attention) is such a sum: a transposed
slice is a pad. As a concatenation each piece is computed where it stands, once; as a sum each
element asks of all pieces whether it lies inside (docs/why/loops-in-a-kernel.md). The zeros are
added nevertheless: to a zero that is negative.
"""

from __future__ import annotations

from collections.abc import Sequence

from lowering import graph as g
from lowering.scalar_numpy import is_float
from lowering.walk import users_of


def side_by_side(graph: g.Graph) -> dict[int, tuple[int, list[g.Node]]]:
    """Sums by id: the axis and the operands of the concatenation that each is."""
    nodes = graph.nodes()
    users = users_of(nodes)
    outputs = set(map(id, graph.outputs))
    found = {}
    for n in nodes:
        if n.form != g.Map("add"):
            continue
        above = users.get(id(n), ())
        if id(n) not in outputs and len(above) == 1 and above[0].form == n.form:
            continue  # a part of a longer sum
        made = _pieces(n, users, outputs)
        if made is not None:
            found[id(n)] = made
    return found


def joined(b: g.Builder, pieces: Sequence[g.Node], axis: int) -> g.Node:
    """The concatenation of what is the sum of pads of these pieces."""
    (dtype,) = {x.dtype for x in pieces}
    if is_float(dtype) or dtype.kind == "c":
        pieces = [b.map("add", x, b.const(0, dtype, x.shape)) for x in pieces]
    return b.concat(pieces, axis)


def _pieces(n: g.Node, users: dict, outputs: set[int]) -> tuple[int, list[g.Node]] | None:
    pads: list[g.Node] = []
    todo = list(n.args)
    while todo:
        a = todo.pop()
        if isinstance(a.form, g.Pad):
            pads.append(a)
        elif a.form == g.Map("add") and len(users[id(a)]) == 1 and id(a) not in outputs:
            todo += a.args
        else:
            return None
    axes = {_axis(p) for p in pads}
    if len(axes) != 1 or None in axes:
        return None
    axis = axes.pop()
    assert axis is not None
    pieces = sorted(((p.form.low[axis], p.args[0]) for p in pads), key=lambda x: x[0])
    at = 0
    for start, x in pieces:
        if start != at:
            return None
        at += x.shape[axis]
    return (axis, [x for _, x in pieces]) if at == n.shape[axis] else None


def _axis(p: g.Node) -> int | None:
    """The one axis that a pad extends, with zeros alone."""
    f, fill = p.form, p.args[1].form
    if not isinstance(fill, g.Const) or fill.value != 0 or any(f.interior):
        return None
    axes = [k for k, ends in enumerate(zip(f.low, f.high)) if any(ends)]
    if len(axes) != 1 or f.low[axes[0]] < 0 or f.high[axes[0]] < 0:
        return None
    return axes[0]
