"""Unstack: large values whose last axis has 2 to 4 components become as many values without it.

In and out: a Graph of the same meaning. Differences of all pairs of points [n, m, 3], and what is
folded from them, then run in strips along m instead of along 3; a sum over the components is an
addition of values, and what remains of a value folds along its rows (docs/why/unstacked-axes.md).
"""

from __future__ import annotations

from typing import Any

from lowering import graph as g
from lowering.walk import users_of, with_inner

WIDTHS = (2, 3, 4)
MIN_SIZE = 1 << 14  # elements of a value that is worth it
MIN_ROW = 16  # extent of the axis that becomes the last
GROWTH = 8  # a broadcast that makes so many elements of one


def unstack(graph: g.Graph, inner: bool = False) -> g.Graph:
    """The graph with such values taken apart, in loops and branches too."""
    chosen = _choose(graph, inner)
    nested = any(isinstance(n.form, g.Loop | g.Cond) for n in graph.nodes())
    if not chosen and not nested:
        return graph
    return _Unstacker(graph, chosen).run()


# ---------------------------------------------------------------- which values


def _is_candidate(n: g.Node) -> bool:
    if n.outs is not None or n.ndim < 2 or n.shape[-1] not in WIDTHS:
        return False
    if n.size < MIN_SIZE or n.shape[-2] < MIN_ROW:
        return False
    f = n.form
    if isinstance(f, g.Map | g.Const | g.Iota | g.Broadcast):
        return True
    if isinstance(f, g.Reshape):
        return n.args[0].shape[-1:] == n.shape[-1:]
    if isinstance(f, g.Transpose):
        return f.perm[-1] == n.ndim - 1
    return isinstance(f, g.Reduce) and n.args[0].ndim - 1 not in f.axes


def _takes(user: g.Node, n: g.Node) -> bool:
    """Whether `user`, itself left as it is, does as well with n's components."""
    if isinstance(user.form, g.Reduce):
        return True
    return _component(user, n) is not None


def _component(user: g.Node, n: g.Node) -> int | None:
    """The component that a slice of n takes, if it takes all of one."""
    f = user.form
    if not isinstance(f, g.Slice) or user.shape != (*n.shape[:-1], 1):
        return None
    return f.starts[-1]


def _choose(graph: g.Graph, inner: bool) -> set[int]:
    nodes = graph.nodes()
    users = users_of(nodes)
    outputs = set(map(id, graph.outputs))
    chosen: set[int] = set()
    wins = False
    for n in reversed(nodes):
        if not _is_candidate(n) or id(n) in outputs:
            continue
        if all(id(u) in chosen or _takes(u, n) for u in users.get(id(n), ())):
            chosen.add(id(n))
            wins = wins or _wins(n, users.get(id(n), ()), inner)
    return chosen if wins else set()


def _wins(n: g.Node, users: Any, inner: bool) -> bool:
    """Whether n pays: points meet points here, or each row folds its components."""
    if isinstance(n.form, g.Broadcast):
        x = n.args[0]
        return x.shape[-1:] == n.shape[-1:] and x.size * GROWTH <= n.size
    last = (n.ndim - 1,)
    return not inner and any(isinstance(u.form, g.Reduce) and u.form.axes == last for u in users)


# ---------------------------------------------------------------- taking them apart


class _Unstacker:
    def __init__(self, graph: g.Graph, chosen: set[int]):
        self.graph, self.chosen = graph, chosen
        self.b = g.Builder()
        self.new: dict[int, g.Node] = {}  # of nodes that stay whole
        self.parts: dict[int, list[g.Node]] = {}

    def run(self) -> g.Graph:
        b, new = self.b, self.new
        for n in self.graph.inputs:
            new[id(n)] = b.input(n.shape, n.dtype)
        for n in self.graph.nodes():
            b.tag = n.tag
            if id(n) in new:
                continue
            if id(n) in self.chosen:
                self.parts[id(n)] = self.apart(n)
            elif n.args and id(n.args[0]) in self.chosen:
                new[id(n)] = self.consumer(n, n.args[0])
            else:
                args = [new[id(a)] for a in n.args]
                new[id(n)] = b.node(
                    with_inner(n.form, lambda x: unstack(x, True)), args, n.shape, n.dtype, n.outs
                )
        effects = tuple(new[id(e)] for e in self.graph.effects)
        outputs = tuple(new[id(o)] for o in self.graph.outputs)
        return g.Graph(b.graph(()).inputs, outputs, effects)

    def components(self, n: g.Node) -> list[g.Node]:
        """The components of any node with such an axis."""
        found = self.parts.get(id(n))
        if found is None:
            b, whole = self.b, self.new[id(n)]
            zeros = (0,) * (n.ndim - 1)
            found = self.parts[id(n)] = [
                b.reshape(b.slice(whole, (*zeros, c), (*n.shape[:-1], c + 1)), n.shape[:-1])
                for c in range(n.shape[-1])
            ]
        return found

    def apart(self, n: g.Node) -> list[g.Node]:
        """The components of a chosen node."""
        b, f, width, shape = self.b, n.form, n.shape[-1], n.shape[:-1]
        if isinstance(f, g.Const):
            return [b.const(f.value, n.dtype, shape)] * width
        if isinstance(f, g.Iota):
            if f.dim == n.ndim - 1:
                return [b.const(c, n.dtype, shape) for c in range(width)]
            return [b.iota(shape, f.dim, n.dtype)] * width
        if isinstance(f, g.Broadcast):
            return self.spread(n)
        operands = [self.components(a) for a in n.args]
        made = []
        for c in range(width):
            args = [parts[c] for parts in operands]
            if isinstance(f, g.Map):
                made.append(b.node(f, args, shape, n.dtype))
            elif isinstance(f, g.Reshape):
                made.append(b.reshape(args[0], shape))
            elif isinstance(f, g.Transpose):
                made.append(b.transpose(args[0], f.perm[:-1]))
            else:
                made.append(b.reduce(f.op, args[0], f.axes))
        return made

    def spread(self, n: g.Node) -> list[g.Node]:
        b, dims, shape, width = self.b, n.form.dims, n.shape[:-1], n.shape[-1]
        x = n.args[0]
        if not dims or dims[-1] != n.ndim - 1:
            return [b.broadcast(self.whole(x), shape, dims)] * width
        if x.shape[-1] == 1:
            one = b.reshape(self.whole(x), x.shape[:-1])
            return [b.broadcast(one, shape, dims[:-1])] * width
        return [b.broadcast(part, shape, dims[:-1]) for part in self.components(x)]

    def whole(self, n: g.Node) -> g.Node:
        found = self.new.get(id(n))
        if found is None:
            found = self.new[id(n)] = self.stacked(self.parts[id(n)])
        return found

    def stacked(self, parts: list[g.Node]) -> g.Node:
        b = self.b
        return b.concat([b.reshape(p, (*p.shape, 1)) for p in parts], parts[0].ndim)

    def consumer(self, n: g.Node, x: g.Node) -> g.Node:
        """A node that stays whole and reads a chosen one."""
        b, parts = self.b, self.components(x)
        c = _component(n, x)
        if c is not None:
            return b.reshape(parts[c], n.shape)
        op, axes = n.form.op, n.form.axes
        if x.ndim - 1 not in axes:
            return self.stacked([b.reduce(op, p, axes) for p in parts])
        total = parts[0]
        for p in parts[1:]:
            total = b.node(g.Map(op), (total, p), total.shape, n.dtype)
        return b.reduce(op, total, axes[:-1])
