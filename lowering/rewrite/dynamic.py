"""Dynamic slices move before what computes the array that they are of.

`sin(x)[i]` reads one element of x: what is computed element by element, and views, are made of the
window alone, and the array need not exist. In: a DynamicSlice of maps and views. Out: these of
dynamic slices of what stands in memory anyway, or is little; None where that would not pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from lowering import graph as g
from lowering import scalar
from lowering.affine import strides_of
from lowering.fuse_rules import CHEAP
from lowering.rewrite.gather import FEWER, INT, MOST_COST, clamped, stands

LEAST = 1 << 10  # elements of an array that a loop had better not make
MOST_READS = 8
PICKS = (g.Slice, g.DynamicSlice, g.Gather)
THROUGH = (g.Reshape, g.Transpose, g.Reverse, g.DynamicUpdate, g.Scatter)

Starts = Sequence[g.Node]


def rewrite(
    b: g.Builder, n: g.Node, args: tuple[g.Node, ...], alone: bool, repeated: bool
) -> g.Node | None:
    """The dynamic slice `n` of args[0], moved before what computes that; `alone`: nothing reads
    more of it; `repeated`: in a loop, where what is the same in each turn is computed before it.
    """
    x, *starts = args
    most = CHEAP if repeated else float("inf") if alone else MOST_COST
    few = 0 < n.size * FEWER <= x.size and (x.size >= LEAST or not repeated)
    if not few or x.size >= 2**31 or stands(x):
        return None
    window = _Window(b, x.size // FEWER, most)
    ends = [size - w for size, w in zip(x.shape, n.shape)]
    return window.of(x, [clamped(b, s, e) for s, e in zip(starts, ends)], n.shape)


def picked(graph: g.Graph, users: dict[int, list[g.Node]]) -> dict[int, int]:
    """The nodes, by id, of which little is read, and by slices alone, be it by way of views and
    updates; and how many elements that are.
    """
    found: dict[int, int] = {}
    results = set(map(id, graph.outputs))
    for n in reversed(graph.nodes()):
        taken = 0
        for u in users.get(id(n), ()):
            if u.args[0] is n and isinstance(u.form, PICKS):
                taken += u.size
            elif u.args[0] is n and isinstance(u.form, THROUGH) and id(u) in found:
                taken += found[id(u)]
            else:
                break
        else:
            if n.outs is None and id(n) not in results and taken * FEWER <= n.size:
                found[id(n)] = taken
    return found


class _Window:
    """A window of the arrays that an array is made of. `of` gives None where one of them would
    have to be stored for it.
    """

    def __init__(self, b: g.Builder, little: int, most: float):
        self.b, self.little, self.left, self.reads = b, little, most, 0
        self.known: dict[Any, g.Node | None] = {}

    def of(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        """The window of this shape of x that starts there, and fits."""
        if x.shape == shape:
            return x
        key = (id(x), shape, *map(id, starts))
        if key not in self.known:
            rule = _RULES.get(type(x.form))
            made = None if rule is None or stands(x) else rule(self, x, starts, shape)
            self.known[key] = self.read(x, starts, shape) if made is None else made
        return self.known[key]

    def read(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        """The window of what stands in memory, or is little enough to."""
        self.reads += 1
        if self.reads > MOST_READS or not (stands(x) or x.size <= self.little):
            return None
        return self.b.dynamic_slice(x, starts, shape)

    def const(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node:
        return self.b.const(x.form.value, x.dtype, shape)

    def iota(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node:
        b, d = self.b, x.form.dim
        places = b.iota(shape, d, INT)
        if starts[d].form != g.Const(0):
            places = b.map("add", places, starts[d])
        return b.convert(places, x.dtype)

    def map(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        self.left -= scalar.cost(x.form.op)
        if self.left < 0:
            return None
        parts = [self.of(a, starts, shape) for a in x.args]
        known = [p for p in parts if p is not None]
        return self.b.node(x.form, known, shape, x.dtype) if len(known) == len(parts) else None

    def broadcast(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        (y,), b, zero = x.args, self.b, self.b.const(0, INT)
        wide = [size > 1 for size in y.shape]
        inner = [starts[d] if w else zero for w, d in zip(wide, x.form.dims)]
        part = self.of(y, inner, tuple(shape[d] if w else 1 for w, d in zip(wide, x.form.dims)))
        return None if part is None else b.broadcast(part, shape, x.form.dims)

    def transpose(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        if x.form.stored:
            return None
        back = [x.form.perm.index(k) for k in range(x.ndim)]
        inner = [starts[k] for k in back]
        part = self.of(x.args[0], inner, tuple(shape[k] for k in back))
        return None if part is None else self.b.transpose(part, x.form.perm)

    def slice(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        b, (y,), form = self.b, x.args, x.form
        sizes = tuple((w - 1) * s + 1 for w, s in zip(shape, form.strides))
        inner = [
            b.map("add", b.map("mul", at, b.const(s, INT)), b.const(lo, INT))
            for at, s, lo in zip(starts, form.strides, form.starts)
        ]
        part = self.of(y, inner, sizes)
        return None if part is None else b.slice(part, (0,) * y.ndim, sizes, form.strides)

    def reverse(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        b, dims = self.b, x.form.dims
        inner = [
            b.map("sub", b.const(x.shape[k] - shape[k], INT), at) if k in dims else at
            for k, at in enumerate(starts)
        ]
        part = self.of(x.args[0], inner, shape)
        return None if part is None else b.reverse(part, dims)

    def pad(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        """What is there or not, element by element: of constants, or along axes of one element."""
        b, form, (y, fill) = self.b, x.form, x.args
        padded = [k for k, ends in enumerate(zip(form.low, form.high)) if any(ends)]
        constant = isinstance(y.form, g.Const)
        if any(form.interior) or not (constant or all(shape[k] == 1 for k in padded)):
            return None
        inside, inner = b.const(True, bool, shape), list(starts)
        for k in padded:
            low, size = form.low[k], y.shape[k]
            place = b.map("add", b.iota(shape, k, INT), starts[k])
            inside = b.map("and", inside, b.map("ge", place, b.const(low, INT, shape)))
            inside = b.map("and", inside, b.map("lt", place, b.const(low + size, INT, shape)))
            inner[k] = clamped(b, b.map("sub", starts[k], b.const(low, INT)), size - 1)
        part = self.of(y, inner, shape)
        return None if part is None else b.select(inside, part, b.broadcast(fill, shape, ()))

    def reshape(self, x: g.Node, starts: Starts, shape: g.Shape) -> g.Node | None:
        """Of axes that come and go with one element; of what has one axis, if the window is in one
        piece; of what is made element by element.
        """
        b, (y,) = self.b, x.args
        long = [k for k, size in enumerate(x.shape) if size > 1]
        if [x.shape[k] for k in long] == [size for size in y.shape if size > 1]:
            rest, zero = iter(long), b.const(0, INT)
            kept = [next(rest) if size > 1 else None for size in y.shape]
            inner = [zero if k is None else starts[k] for k in kept]
            part = self.of(y, inner, tuple(1 if k is None else shape[k] for k in kept))
            return None if part is None else b.reshape(part, shape)
        if y.ndim == 1 and _in_one_piece(x.shape, shape):
            at = b.const(0, INT)
            for start, step in zip(starts, strides_of(x.shape)):
                at = b.map("add", at, b.map("mul", start, b.const(step, INT)))
            part = self.of(y, [at], (prod(shape),))
            return None if part is None else b.reshape(part, shape)
        if isinstance(y.form, g.Map):
            again = b.node(y.form, [_shaped(b, a, x.shape) for a in y.args], x.shape, y.dtype)
            return self.of(again, starts, shape)
        return None


def _in_one_piece(whole: g.Shape, shape: g.Shape) -> bool:
    """Whether a window of this shape is neighbours in memory."""
    long = [k for k, size in enumerate(shape) if size > 1]
    return not long or shape[long[0] + 1 :] == whole[long[0] + 1 :]


def _shaped(b: g.Builder, x: g.Node, shape: g.Shape) -> g.Node:
    """x in another shape; what is one number stays that."""
    if isinstance(x.form, g.Broadcast) and x.args[0].size == 1:
        return b.broadcast(b.reshape(x.args[0], ()), shape, ())
    return b.reshape(x, shape)


_RULES = {
    g.Const: _Window.const,
    g.Iota: _Window.iota,
    g.Map: _Window.map,
    g.Broadcast: _Window.broadcast,
    g.Transpose: _Window.transpose,
    g.Slice: _Window.slice,
    g.Reverse: _Window.reverse,
    g.Pad: _Window.pad,
    g.Reshape: _Window.reshape,
}
