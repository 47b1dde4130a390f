"""Lanes: which axes of a loop's values never meet. Element i of every result depends on element i
of the operands alone.

In: a Loop node. Out: `Lanes`, the axes along which the whole loop falls apart into independent
ones, so that a kernel can keep an element's state in registers; or the reason why there are none.
Axes of all values, in inner loops and branches too, are put into classes (union-find); an
operation that mixes an axis spoils its class. One sweep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from lowering import graph as g

FEW = 3  # lanes that are no strip: the whole small state is spelled out instead
SPELLED = 32

Key = tuple[Any, int]  # a value (node id, or (node id, which output)) and its axis


@dataclass
class Lanes:
    """`extents` of the lane axes; `axis_of` tells which lane axis an axis of a loop's operand or
    result is.
    """

    extents: tuple[int, ...]
    axis_of: dict[Key, int] = field(default_factory=dict)
    masked: set[int] = field(default_factory=set)  # while loops that each lane may leave by itself

    def axes(self, key: Any, ndim: int) -> tuple[int | None, ...]:
        """The lane axis that each axis of a value is, None for those that are none."""
        return tuple(self.axis_of.get((key, d)) for d in range(ndim))


def analyse(loop: g.Node) -> Lanes:
    """The lanes of a loop: those of its largest result whose axes are independent."""
    c = _Classes()
    _loop(c, loop)
    shapes = list(loop.outs or [])
    best: tuple[Any, ...] = ()
    size = 1
    for i, (shape, _) in enumerate(shapes):
        roots = c.clean((id(loop), i), shape[_stacked(loop, i) :], _stacked(loop, i))
        n = prod(c.extent[r] for r in roots)
        if n > size:
            best, size = roots, n
    elements = sum(prod(shape[_stacked(loop, i) :]) for i, (shape, _) in enumerate(shapes))
    if size <= FEW and elements <= SPELLED:
        return Lanes(())
    axis_of: dict[Key, int] = {}
    for key in c.parent:
        root = c.find(key)
        if root in best:
            axis_of[key] = best.index(root)
    return Lanes(tuple(c.extent[r] for r in best), axis_of, c.masked)


def _stacked(loop: g.Node, i: int) -> int:
    """1 for a stacked output, whose leading axis is time."""
    return int(i >= loop.form.n_carry)


class _Classes:
    """Union-find over axes; a class is mixed once an operation reads across it."""

    def __init__(self) -> None:
        self.parent: dict[Key, Key] = {}
        self.extent: dict[Key, int] = {}
        self.mixed: set[Key] = set()
        self.masked: set[int] = set()
        self.seen: dict[int, g.Graph] = {}

    def find(self, k: Key) -> Key:
        path = []
        while self.parent[k] != k:
            path.append(k)
            k = self.parent[k]
        for p in path:
            self.parent[p] = k
        return k

    def root(self, k: Key, extent: int) -> Key:
        if k not in self.parent:
            self.parent[k] = k
            self.extent[k] = extent
        return self.find(k)

    def join(self, a: Key, b: Key, extent: int) -> None:
        if extent == 1:
            return
        x, y = self.root(a, extent), self.root(b, extent)
        if x != y:
            self.parent[y] = x
            if y in self.mixed:
                self.mixed.add(x)

    def mix(self, key: Any, d: int, extent: int) -> None:
        if extent != 1:
            self.mixed.add(self.root((key, d), extent))

    def spoil(self, key: Any, shape: tuple[int, ...]) -> None:
        for d, n in enumerate(shape):
            self.mix(key, d, n)

    def same(self, a: Any, b: Any, shape: tuple[int, ...], skip: tuple[int, ...] = ()) -> None:
        """Two values of one shape lie side by side, but for the axes in `skip`, which are mixed in
        both.
        """
        for d, n in enumerate(shape):
            if d in skip:
                self.mix(a, d, n)
                self.mix(b, d, n)
            else:
                self.join((a, d), (b, d), n)

    def clean(self, key: Any, shape: tuple[int, ...], offset: int) -> tuple[Key, ...]:
        """The unmixed classes of a value's axes; a class that two of its axes share is mixed."""
        roots = [self.root((key, d + offset), n) for d, n in enumerate(shape) if n != 1]
        return tuple(r for r in dict.fromkeys(roots) if roots.count(r) == 1 and r not in self.mixed)


# ---------------------------------------------------------------- one rule a form


def key_of(n: g.Node) -> Any:
    """What stands for a node's value: for an output of a form with several, that form and its
    number.
    """
    if isinstance(n.form, g.Get):
        return (id(n.args[0]), n.form.index)
    return id(n)


def _graph(c: _Classes, graph: g.Graph) -> None:
    if id(graph) in c.seen:
        return
    c.seen[id(graph)] = graph
    for n in graph.nodes():
        rule = _RULES.get(type(n.form))
        if rule is not None:
            rule(c, n)
        elif n.outs is None and not isinstance(n.form, g.Input | g.Const | g.Iota | g.Get):
            c.spoil(key_of(n), n.shape)
            for a in n.args:
                c.spoil(key_of(a), a.shape)
        elif n.outs is not None:
            _spoil_all(c, n)
        _diagonals(c, n)


def _diagonals(c: _Classes, n: g.Node) -> None:
    """One class on two axes of a value: a vector's outer product with itself mixes its lanes."""
    if n.outs is not None:
        return
    roots = [c.root((key_of(n), d), k) for d, k in enumerate(n.shape) if k != 1]
    for r in roots:
        if roots.count(r) > 1:
            c.mixed.add(r)


def _spoil_all(c: _Classes, n: g.Node) -> None:
    for i, (shape, _) in enumerate(n.outs or []):
        c.spoil((id(n), i), shape)
    for a in n.args:
        c.spoil(key_of(a), a.shape)


def _map(c: _Classes, n: g.Node) -> None:
    for a in n.args:
        c.same(id(n), key_of(a), n.shape)


def _bits(c: _Classes, n: g.Node) -> None:
    for i, (shape, _) in enumerate(n.outs or []):
        for a in n.args:
            c.same((id(n), i), key_of(a), shape)


def _reshape(c: _Classes, n: g.Node) -> None:
    """Axes of equal extent at equal stride stay what they are."""
    x = n.args[0]
    inner = _strided(x.shape)
    outer = _strided(n.shape)
    for place, d in outer.items():
        if place in inner:
            c.join((id(n), d), (key_of(x), inner[place]), place[1])
        else:
            c.mix(id(n), d, place[1])
    for place, d in inner.items():
        if place not in outer:
            c.mix(key_of(x), d, place[1])


def _strided(shape: tuple[int, ...]) -> dict[tuple[int, int], int]:
    places, step = {}, 1
    for d in range(len(shape) - 1, -1, -1):
        if shape[d] != 1:
            places[(step, shape[d])] = d
        step *= shape[d]
    return places


def _transpose(c: _Classes, n: g.Node) -> None:
    for d, p in enumerate(n.form.perm):
        c.join((id(n), d), (key_of(n.args[0]), p), n.shape[d])


def _broadcast(c: _Classes, n: g.Node) -> None:
    x = n.args[0]
    for d, to in enumerate(n.form.dims):
        c.join((id(n), to), (key_of(x), d), x.shape[d])


def _slice(c: _Classes, n: g.Node) -> None:
    x = n.args[0]
    for d, (m, k) in enumerate(zip(n.shape, x.shape)):
        if m == k:
            c.join((id(n), d), (key_of(x), d), m)
        else:
            c.mix(id(n), d, m)
            c.mix(key_of(x), d, k)


def _reverse(c: _Classes, n: g.Node) -> None:
    c.same(id(n), key_of(n.args[0]), n.shape, n.form.dims)


def _pad(c: _Classes, n: g.Node) -> None:
    x, f = n.args[0], n.form
    for d, k in enumerate(x.shape):
        if f.low[d] or f.high[d] or f.interior[d]:
            c.mix(id(n), d, n.shape[d])
            c.mix(key_of(x), d, k)
        else:
            c.join((id(n), d), (key_of(x), d), k)


def _concat(c: _Classes, n: g.Node) -> None:
    for a in n.args:
        for d, k in enumerate(a.shape):
            if d == n.form.dim:
                c.mix(id(n), d, n.shape[d])
                c.mix(key_of(a), d, k)
            else:
                c.join((id(n), d), (key_of(a), d), k)


def _reduce(c: _Classes, n: g.Node) -> None:
    x = n.args[0]
    axes = g.fold_axes(n)
    kept = iter(range(n.ndim))
    for d, k in enumerate(x.shape):
        if d in axes:
            c.mix(key_of(x), d, k)
        else:
            c.join((id(n), next(kept)), (key_of(x), d), k)


def _cumscan(c: _Classes, n: g.Node) -> None:
    c.same(id(n), key_of(n.args[0]), n.shape, (n.form.axis,))


def _contract(c: _Classes, n: g.Node) -> None:
    x, y = n.args
    (cx, cy), (bx, by) = n.form.contract, n.form.batch
    out = 0
    for p, q in zip(bx, by):
        c.join((id(n), out), (key_of(x), p), x.shape[p])
        c.join((id(n), out), (key_of(y), q), y.shape[q])
        out += 1
    for a, contracted, batched in ((x, cx, bx), (y, cy, by)):
        for d, k in enumerate(a.shape):
            if d in contracted:
                c.mix(key_of(a), d, k)
            elif d not in batched:
                c.join((id(n), out), (key_of(a), d), k)
                out += 1


def _window(c: _Classes, n: g.Node) -> None:
    x = n.args[0]
    f = n.form
    for d, k in enumerate(x.shape):
        plain = f.size[d] == f.strides[d] == f.base_dilation[d] == 1 and f.padding[d] == (0, 0)
        if plain:
            c.join((id(n), d), (key_of(x), d), k)
        else:
            c.mix(id(n), d, n.shape[d])
            c.mix(key_of(x), d, k)


def _gather(c: _Classes, n: g.Node) -> None:
    x, indices = n.args[0], n.args[1]
    f = n.form
    batch = [d for d in range(n.ndim) if d not in f.offset_dims]
    for j, d in enumerate(batch):
        c.join((id(n), d), (key_of(indices), j), n.shape[d])
    c.mix(key_of(indices), indices.ndim - 1, indices.shape[-1])
    for p, q in zip(f.x_batch, f.index_batch):
        c.join((id(n), batch[q]), (key_of(x), p), x.shape[p])
    window = iter(f.offset_dims)
    for d, k in enumerate(x.shape):
        if d in f.x_batch:
            continue
        to = None if d in f.collapsed else next(window)
        if to is not None and f.sizes[d] == k:
            c.join((id(n), to), (key_of(x), d), k)
            continue
        c.mix(key_of(x), d, k)
        if to is not None:
            c.mix(id(n), to, n.shape[to])


def _scatter(c: _Classes, n: g.Node) -> None:
    x, indices, updates = n.args
    f = n.form
    batch = [d for d in range(updates.ndim) if d not in f.window_dims]
    paired = dict(zip(f.index_batch, f.x_batch))
    for j, d in enumerate(batch):
        k = updates.shape[d]
        if j in paired:
            c.join((id(n), paired[j]), (key_of(updates), d), k)
            c.join((id(n), paired[j]), (key_of(indices), j), k)
        else:
            c.mix(key_of(updates), d, k)
            c.mix(key_of(indices), j, k)
    c.mix(key_of(indices), indices.ndim - 1, indices.shape[-1])
    window = iter(f.window_dims)
    for d, k in enumerate(x.shape):
        c.join((id(n), d), (key_of(x), d), k)
        if d in f.x_batch:
            continue
        to = None if d in f.inserted else next(window)
        if to is not None and updates.shape[to] == k:
            c.join((id(n), d), (key_of(updates), to), k)
            continue
        c.mix(id(n), d, k)
        if to is not None:
            c.mix(key_of(updates), to, updates.shape[to])


def _dynamic_slice(c: _Classes, n: g.Node) -> None:
    _slice(c, n)


def _dynamic_update(c: _Classes, n: g.Node) -> None:
    x, update = n.args[:2]
    for d, k in enumerate(x.shape):
        c.join((id(n), d), (key_of(x), d), k)
        if update.shape[d] == k:
            c.join((id(n), d), (key_of(update), d), k)
        else:
            c.mix(id(n), d, k)
            c.mix(key_of(update), d, update.shape[d])


def _cond(c: _Classes, n: g.Node) -> None:
    for branch in n.form.branches:
        for a, i in zip(n.args[1:], branch.inputs):
            c.same(id(i), key_of(a), a.shape)
        _graph(c, branch)
        for k, o in enumerate(branch.outputs):
            c.same((id(n), k), key_of(o), o.shape)


def _loop(c: _Classes, n: g.Node) -> None:
    """Operands, inner inputs, inner outputs and results of one carry are one value."""
    f: g.Loop = n.form
    n_cc, n_c, n_k = f.n_cond_consts, f.n_consts, f.n_carry
    consts, carry, xs = (
        n.args[n_cc : n_cc + n_c],
        n.args[n_cc + n_c : n_cc + n_c + n_k],
        n.args[n_cc + n_c + n_k :],
    )
    for a, i in zip((*consts, *carry), f.body.inputs):
        c.same(id(i), key_of(a), a.shape)
    for a, i in zip(xs, f.body.inputs[n_c + n_k :]):
        c.mix(key_of(a), 0, a.shape[0])
        for d, k in enumerate(i.shape):
            c.join((id(i), d), (key_of(a), d + 1), k)
    _graph(c, f.body)
    for k, o in enumerate(f.body.outputs):
        if k < n_k:
            c.same(id(f.body.inputs[n_c + k]), key_of(o), o.shape)
            c.same((id(n), k), key_of(o), o.shape)
            continue
        c.mix((id(n), k), 0, f.length)
        for d, m in enumerate(o.shape):
            c.join(((id(n), k), d + 1), (key_of(o), d), m)
    if f.cond is not None:
        _condition(c, n)


def _condition(c: _Classes, n: g.Node) -> None:
    """The condition is one scalar; `any(lane goes on)` still lets lanes leave alone where the body
    leaves ended ones be.
    """
    f: g.Loop = n.form
    cond = f.cond
    assert cond is not None
    inputs = cond.inputs
    for a, i in zip(n.args[: f.n_cond_consts], inputs):
        c.same(id(i), key_of(a), a.shape)
    for a, i in zip(f.body.inputs[f.n_consts :], inputs[f.n_cond_consts :]):
        c.same(id(i), id(a), a.shape)
    if lane_predicate(n) is not None:
        c.masked.add(id(n))
        _graph(c, g.Graph(inputs, cond.outputs[0].args))
    else:
        _graph(c, cond)


# ---------------------------------------------------------------- while loops of lanes


def lane_predicate(n: g.Node) -> g.Node | None:
    """The per-lane condition p of a loop `while any(p(carry)): carry = select(p(carry), new,
    carry)`, else None.
    """
    f: g.Loop = n.form
    out = f.cond.outputs[0] if f.cond is not None else None
    if out is None or not isinstance(out.form, g.Reduce) or out.form.op not in ("or", "max"):
        return None
    p = out.args[0]
    if p.dtype.kind != "b":
        return None
    carries = f.body.inputs[f.n_consts :]
    for k, o in enumerate(f.body.outputs):
        if o is carries[k]:
            continue
        if not (isinstance(o.form, g.Map) and o.form.op == "select" and o.args[2] is carries[k]):
            return None
        q = o.args[0]
        if isinstance(q.form, g.Broadcast):
            if tuple(q.shape[d] for d in q.form.dims) != p.shape:
                return None
            q = q.args[0]
        if not _same_value(n, p, q, {}):
            return None
    return p


def _same_value(n: g.Node, a: g.Node, b: g.Node, known: dict[tuple[int, int], bool]) -> bool:
    """Whether node a of the condition and node b of the body are the same function of the loop's
    operands and carry.
    """
    f: g.Loop = n.form
    at = (id(a), id(b))
    if at not in known:
        if isinstance(a.form, g.Input) or isinstance(b.form, g.Input):
            known[at] = _same_input(f, n, a, b)
        else:
            plain = a.form == b.form and a.shape == b.shape and a.dtype == b.dtype
            plain = (
                plain
                and len(a.args) == len(b.args)
                and not isinstance(a.form, g.Opaque | g.Loop | g.Cond)
            )
            known[at] = plain and all(_same_value(n, x, y, known) for x, y in zip(a.args, b.args))
    return known[at]


def _same_input(f: g.Loop, n: g.Node, a: g.Node, b: g.Node) -> bool:
    if not (isinstance(a.form, g.Input) and isinstance(b.form, g.Input)):
        return False
    i, j = a.form.index, b.form.index
    if i < f.n_cond_consts:
        return j < f.n_consts and n.args[i] is n.args[f.n_cond_consts + j]
    return j - f.n_consts == i - f.n_cond_consts


_RULES: dict[type, Any] = {
    g.Map: _map,
    g.Bits: _bits,
    g.Reshape: _reshape,
    g.Transpose: _transpose,
    g.Broadcast: _broadcast,
    g.Slice: _slice,
    g.Reverse: _reverse,
    g.Pad: _pad,
    g.Concat: _concat,
    g.Reduce: _reduce,
    g.ArgReduce: _reduce,
    g.CumScan: _cumscan,
    g.Contract: _contract,
    g.Window: _window,
    g.Gather: _gather,
    g.Scatter: _scatter,
    g.DynamicSlice: _dynamic_slice,
    g.DynamicUpdate: _dynamic_update,
    g.Cond: _cond,
    g.Loop: _loop,
}
