"""Rules of every builder: operations, which are one value, and views, which only rename indices.

The value of a node at an index, from those of its operands (`build.values`). What folds, or follows
indices from data, has rules of its own in `build` and in `build.loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lowering import affine
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut, Range
from lowering.build import turns
from lowering.build.values import INT, Guards, Index, ValueBuilder


def _iota(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    e = index[node.form.dim]
    if node.dtype.kind in "iu" or not e.terms:
        return b.index(e, node.dtype)
    return b.map("convert", b.index(e, INT), dtype=node.dtype)


def _map(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    b.nesting += 1
    try:
        if b.nesting % DEEP == 0:
            for below in _operands_first(b, node, index, guards):
                b.value(below, index, guards)
        args = [b.value(a, index, guards) for a in node.args]
    finally:
        b.nesting -= 1
    return b.map(node.form.op, *args, dtype=node.dtype)


DEEP = 30
"""Operations upon operations before what is below is computed first: a chain may be longer than
the stack is deep."""


def _operands_first(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> list[g.Node]:
    """What the operation is made of at this index, in the order in which recursion computes it."""
    order: list[g.Node] = []
    seen: set[int] = set()
    todo = [(a, False) for a in reversed(node.args)]
    while todo:
        n, operands_done = todo.pop()
        if operands_done:
            order.append(n)
        elif id(n) not in seen:
            seen.add(id(n))
            todo.append((n, True))
            if isinstance(n.form, g.Map) and b.inside(n):
                todo += [(a, False) for a in reversed(n.args)]
    return order


def _transpose(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    inner: list[Affine] = [ZERO] * len(index)
    for k, p in enumerate(node.form.perm):
        inner[p] = index[k]
    return b.value(node.args[0], tuple(inner), guards)


def _broadcast(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    inner = tuple(ZERO if x.shape[k] == 1 else index[d] for k, d in enumerate(node.form.dims))
    return b.value(x, inner, guards)


def _slice(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    form = node.form
    inner = tuple(i * s + lo for i, s, lo in zip(index, form.strides, form.starts))
    return b.value(node.args[0], inner, guards)


def _reverse(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    inner = tuple(
        i * -1 + (x.shape[k] - 1) if k in node.form.dims else i for k, i in enumerate(index)
    )
    return b.value(x, inner, guards)


def pad(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, fill = node.args
    form = node.form
    inner: list[Affine] = []
    conditions: list[Range] = []
    for i, lo, gap, n in zip(index, form.low, form.interior, x.shape):
        e = i + -lo
        if gap:  # in a loop's body; elsewhere `_spread_root` writes it
            pair = affine.divmod_affine(e, gap + 1, b.nest.extents)
            if pair is None:
                raise Cut(node, "its gaps do not follow the axes")
            e, between = pair
            conditions.append(Range(between, 0, 1))
        conditions.append(Range(e, 0, n))
        inner.append(e)
    return inside_or(b, node, conditions, x, tuple(inner), fill, guards)


def _concat(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    dim = node.form.dim
    turn = turns.of(node) if b.goes_round and not guards else None
    if turn is not None:
        turns.check(turn[0], b.inside)
        return b.value(turn[0], turns.turned(node, index, dim, turn[2]), guards)
    e = index[dim]
    at, parts = 0, []
    for x in node.args:
        n = x.shape[dim]
        condition = Range(e, at, at + n)
        open_, possible = b.decide((condition,))
        if possible:
            parts.append((x, at, condition if open_ else None))
        at += n
    result: Any = None
    for x, at, condition in reversed(parts):
        inner = (*index[:dim], e + -at, *index[dim + 1 :])
        extra = () if condition is None else (condition,)
        v = b.value(x, inner, tuple(dict.fromkeys((*guards, *extra))))
        result = v if result is None else b.guarded(extra, v, result, node.dtype)
    return result


def inside_or(
    b: ValueBuilder,
    node: g.Node,
    conditions: Sequence[Range],
    x: g.Node,
    inner: Index,
    fill: g.Node,
    guards: Guards,
) -> int:
    """x[inner] where the conditions hold, the scalar `fill` elsewhere."""
    open_, possible = b.decide(conditions)
    if not possible or 0 in x.shape:
        return b.value(fill, (), ())
    if not open_:
        return b.value(x, inner, guards)
    merged = tuple(dict.fromkeys((*guards, *open_)))
    v = b.value(x, inner, merged)
    zero = isinstance(fill.form, g.Const) and repr(fill.form.value) in ("0", "0.0", "False")
    if zero and reads_zero_outside(b, v, open_):
        return v
    return b.guarded(open_, v, b.value(fill, (), ()), node.dtype)


def reads_zero_outside(b: ValueBuilder, v: int, conditions: Guards) -> bool:
    """Whether value v is a load that already gives 0 where a condition fails."""
    value = b.nest.values[v]
    return value.op == "load" and set(conditions) <= set(value.attr[2])


def get(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (multi,) = node.args
    if not isinstance(multi.form, g.Bits):
        raise AssertionError(f"{multi!r} was to stand in memory")
    words = tuple(b.value(a, index, guards) for a in multi.args)
    bits = b.emit("bits", words, node.dtype, b.mask(*words), ())
    return b.emit("get", (bits,), node.dtype, b.mask(bits), node.form.index)


VIEWS: dict[type, Callable[[ValueBuilder, g.Node, Index, Guards], int]] = {
    g.Iota: _iota,
    g.Map: _map,
    g.Transpose: _transpose,
    g.Broadcast: _broadcast,
    g.Slice: _slice,
    g.Reverse: _reverse,
    g.Pad: pad,
    g.Concat: _concat,
}
