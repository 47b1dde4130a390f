"""Graph group to Nest: demand-driven instantiation of nodes at affine indices.

`build_nest(roots, space, inside)` walks back from each root: a node in `inside` is computed in the
kernel, any other is loaded from memory. A (node, index, guards) triple is computed once, so shared
work is shared and views cost nothing. Reductions reuse an axis of the space of equal extent if
they can (softmax's rows), else they get one of their own. An index that is not affine splits an
axis and starts again; where that does not help, `Cut` names the node to keep in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lowering import affine, build_folds, build_index, turns
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut, Range, SplitNeeded
from lowering.nest import Nest, NestBuffer, Store, Value

Index = tuple[Affine, ...]
Guards = tuple[Range, ...]
INT = np.dtype(np.int32)
LONG = np.dtype(np.int64)
BOOL = np.dtype(bool)


@dataclass(frozen=True, slots=True)
class Root:
    """A node that the nest writes to memory, and how its axes lie in the space.

    `dims[k]` is the space axis that the root's axis k is; None: the root is a reshape of the whole
    space.
    `partial` is the fold over the space's leading axes in blocks, and then `node` is a BlockReduce.
    """

    node: g.Node
    dims: tuple[int, ...] | None
    piece: tuple[g.Node, int, int] | None = None  # of a Concat: operand, axis, where it begins


def build_nest(
    roots: Sequence[Root],
    space: tuple[int, ...],
    inside: Callable[[g.Node], bool],
) -> Nest:
    """The nest that computes `roots` over `space`; raises Cut where a node must be in memory
    first.
    """
    splits: dict[Any, int] = {}
    for _ in range(64):
        b = NestBuilder(space, inside, splits)
        try:
            for r in roots:
                b.store_root(r)
            return b.nest
        except SplitNeeded as need:
            splits[b.keys[need.axis]] = need.inner
    raise Cut(roots[0].node, "its index does not settle after 64 axis splits")


class NestBuilder:
    """One attempt at a nest, with the axis splits that are known to be needed."""

    goes_round = True  # loads may go back to the start of an axis

    def __init__(self, space: tuple[int, ...], inside: Callable[[g.Node], bool], splits: dict):
        self.nest = Nest([])
        self.inside = inside
        self.splits = splits
        self.keys: list[Any] = []  # what each axis stands for, the same in every attempt
        self.memo: dict[Any, Any] = {}
        self.nesting = 0  # of operations whose operands are being computed
        self.depth = 0  # of values that are being computed
        self.value_of: dict[Any, int] = {}
        self.buffer_of: dict[int, int] = {}
        self.space = tuple(self.new_axis(("space", k), n) for k, n in enumerate(space))
        self.space_shape = space
        self.pool: list[tuple[int, Affine]] = list(
            zip(space, self.space)
        )  # reusable for reductions

    # ------------------------------------------------ axes

    def new_axis(self, key: Any, extent: int) -> Affine:
        """A fresh axis, already split where an earlier attempt asked for it; extent 1 needs
        none.
        """
        if extent == 1:
            return ZERO
        inner = self.splits.get(key)
        if inner is not None and inner not in (1, extent):
            outer = self.new_axis((key, 0), extent // inner)
            return outer * inner + self.new_axis((key, 1), inner)
        self.nest.extents.append(extent)
        self.keys.append(key)
        return affine.axis(len(self.keys) - 1)

    def fold_axis(self, key: Any, extent: int, used: frozenset[int]) -> Affine:
        """An axis to reduce over: one that exists, has this extent and is not in use, or a new
        one.
        """
        if extent == 1:
            return ZERO
        for n, e in self.pool:
            if n == extent and e.axes and not (e.axes & used):
                return e
        e = self.new_axis(key, extent)
        self.pool.append((extent, e))
        return e

    # ------------------------------------------------ values

    def emit(
        self, op: str, args: tuple[int, ...], dtype, mask: frozenset[int], attr: Any = None
    ) -> int:
        """A value, unless the same one exists."""
        key = (op, args, dtype, attr if op != "const" else repr(attr))
        found = self.value_of.get(key)
        if found is None:
            found = self.value_of[key] = len(self.nest.values)
            self.nest.values.append(Value(op, args, np.dtype(dtype), mask, attr))
        return found

    def mask(self, *values: int) -> frozenset[int]:
        return frozenset().union(*(self.nest.values[v].mask for v in values))

    def const(self, value: Any, dtype) -> int:
        return self.emit("const", (), np.dtype(dtype), frozenset(), value)

    def map(self, op: str, *args: int, dtype) -> int:
        return self.emit("map", args, np.dtype(dtype), self.mask(*args), op)

    def index(self, e: Affine, dtype) -> int:
        if not e.terms:
            return self.const(e.const, dtype)
        return self.emit("index", (), np.dtype(dtype), e.axes, e)

    def buffer(self, node: g.Node) -> int:
        """The nest's buffer for a node that stands in memory."""
        found = self.buffer_of.get(id(node))
        if found is None:
            found = self.buffer_of[id(node)] = len(self.nest.buffers)
            self.nest.buffers.append(NestBuffer(node, node.dtype, node.size))
        return found

    def load(
        self,
        node: g.Node,
        linear: Affine,
        guards: Guards,
        dynamic: int | None = None,
        wraps: tuple[turns.Wrap, ...] = (),
    ) -> int:
        b = self.buffer(node)
        mask = linear.axes.union(*(r.index.axes for r in guards))
        args: tuple[int, ...] = ()
        if dynamic is not None:
            args = (dynamic,)
            mask = mask | self.mask(dynamic)
        return self.emit("load", args, node.dtype, mask, (b, linear, guards, wraps))

    def value(self, node: g.Node, index: Index, guards: Guards = ()) -> int:
        """The value id of node[index]. Outside `guards` the value may be anything but is safe to
        compute.
        """
        key = (id(node), index, guards)
        found = self.memo.get(key)
        if found is None:
            if isinstance(node.form, g.Const):
                found = self.const(node.form.value, node.dtype)
            elif not self.inside(node):
                linear, wraps = turns.linearize(index, node.shape)
                found = self.load(node, linear, guards, wraps=wraps)
            else:
                self.depth += 1  # a builder that fails is not used again
                if self.depth > DEEPEST:
                    raise Cut(node, f"{DEEPEST} operations and views stand upon it")
                found = RULES[type(node.form)](self, node, index, guards)
                self.depth -= 1
            self.memo[key] = found
        return found

    def decide(self, conditions: Sequence[Range]) -> tuple[Guards, bool]:
        """(the conditions that depend on the axes, whether all the others hold)."""
        open_: list[Range] = []
        for r in conditions:
            known = affine.decide(r, self.nest.extents)
            if known is False:
                return (), False
            if known is None:
                open_.append(r)
        return tuple(open_), True

    def guard(self, conditions: Guards) -> int:
        mask = frozenset().union(*(r.index.axes for r in conditions))
        return self.emit("guard", (), BOOL, mask, conditions)

    def guarded(self, conditions: Guards, inner: int, outer: int, dtype) -> int:
        """inner where the conditions hold, else outer."""
        return self.map("select", self.guard(conditions), inner, outer, dtype=dtype)

    # ------------------------------------------------ roots

    def store_root(self, root: Root) -> None:
        """Compute a root over the space and store it."""
        node = root.node
        if isinstance(node.form, BlockReduce):
            return self.store_partial(node)
        if root.piece is not None:
            return self.store_piece(node, *root.piece)
        if root.dims is not None:
            index = tuple(self.space[d] for d in root.dims)
        else:
            linear = affine.linearize(self.space, self.space_shape)
            found = affine.delinearize(linear, node.shape, self.nest.extents)
            if found is None:
                raise Cut(node, "its shape does not divide into the axes of its group")
            index = tuple(found)
        rule = ROOT_RULES.get(type(node.form))
        if rule is not None:
            return rule(self, node, index)
        if isinstance(node.form, g.Const):
            v = self.value(node, index)
        else:  # the node stands in memory for all others
            v = RULES[type(node.form)](self, node, index, ())
        self.memo[(id(node), index, ())] = v
        self.store(node, affine.linearize(index, node.shape), v)

    def store_piece(self, node: g.Node, x: g.Node, dim: int, at: int) -> None:
        """One operand of a concatenation, into its range."""
        place = (*self.space[:dim], self.space[dim] + at, *self.space[dim + 1 :])
        self.store(node, affine.linearize(place, node.shape), self.value(x, self.space))

    def store(self, node: g.Node, linear: Affine, value: int, **kwargs: Any) -> None:
        b = self.buffer(node)
        self.nest.buffers[b].written = True
        self.nest.stores.append(Store(b, linear, value, **kwargs))
        self.nest.label = self.nest.label or node.tag or ""

    def store_partial(self, node: g.Node) -> None:
        form: BlockReduce = node.form
        (x,) = node.args
        v = self.value(x, self.space)
        lead = frozenset().union(*(e.axes for e in self.space[: form.lead]))
        v = build_folds.varying(self, v, lead - self.nest.values[v].mask)
        rest = x.shape[form.lead :]
        index = affine.linearize(self.space[form.lead :], rest)
        self.store(node, index, v, partial=form.op)
        self.nest.buffers[self.buffer(node)].lead = prod(rest)


# ---------------------------------------------------------------- a form of our own


@dataclass(frozen=True, slots=True)
class BlockReduce:
    """Fold the first `lead` axes, cut into `blocks` equal runs of their flattened length: [blocks,
    *rest].

    Made by `canon` from reductions over leading axes; a nest computes it along the way and a small
    Reduce ends it.
    """

    op: str
    lead: int
    blocks: int


# ---------------------------------------------------------------- one rule a form


def _iota(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    e = index[node.form.dim]
    if node.dtype.kind in "iu" or not e.terms:
        return b.index(e, node.dtype)
    return b.map("convert", b.index(e, INT), dtype=node.dtype)


def _map(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
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

DEEPEST = 120
"""Operations and views upon each other in one nest, where what is below is not computed first."""


def _operands_first(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> list[g.Node]:
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


def _reshape(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    renamed = turns.reshaped(node, index)
    if renamed is not None:
        return b.value(x, renamed, guards)
    linear = affine.linearize(index, node.shape)
    if not b.inside(x) and not isinstance(x.form, g.Const):
        return b.load(x, linear, guards)
    inner = affine.delinearize(linear, x.shape, b.nest.extents)
    if inner is None:
        raise Cut(x, f"the reshape {list(x.shape)} -> {list(node.shape)} does not split evenly")
    return b.value(x, tuple(inner), guards)


def _transpose(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    inner: list[Affine] = [ZERO] * len(index)
    for k, p in enumerate(node.form.perm):
        inner[p] = index[k]
    return b.value(node.args[0], tuple(inner), guards)


def _broadcast(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    inner = tuple(ZERO if x.shape[k] == 1 else index[d] for k, d in enumerate(node.form.dims))
    return b.value(x, inner, guards)


def _slice(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    form = node.form
    inner = tuple(i * s + lo for i, s, lo in zip(index, form.strides, form.starts))
    return b.value(node.args[0], inner, guards)


def _reverse(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    inner = tuple(
        i * -1 + (x.shape[k] - 1) if k in node.form.dims else i for k, i in enumerate(index)
    )
    return b.value(x, inner, guards)


def _pad(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
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
    return build_folds.inside_or(b, node, conditions, x, tuple(inner), fill, guards)


def _concat(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
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


def _get(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (multi,) = node.args
    if not isinstance(multi.form, g.Bits):
        raise AssertionError(f"{multi!r} was to stand in memory")
    words = tuple(b.value(a, index, guards) for a in multi.args)
    bits = b.emit("bits", words, node.dtype, b.mask(*words), ())
    return b.emit("get", (bits,), node.dtype, b.mask(bits), node.form.index)


RULES: dict[type, Callable[[NestBuilder, g.Node, Index, Guards], int]] = {
    g.Iota: _iota,
    g.Map: _map,
    g.Reshape: _reshape,
    g.Transpose: _transpose,
    g.Broadcast: _broadcast,
    g.Slice: _slice,
    g.Reverse: _reverse,
    g.Pad: _pad,
    g.Concat: _concat,
    g.Reduce: build_folds.reduce,
    g.ArgReduce: build_folds.arg_reduce,
    g.CumScan: build_folds.cumscan,
    g.Contract: build_folds.contract,
    g.Conv: build_folds.conv,
    g.Window: build_folds.window,
    g.Gather: build_index.gather,
    g.DynamicSlice: build_index.dynamic_slice,
    g.Get: _get,
}


def _spread_root(b: NestBuilder, node: g.Node, index: Index) -> None:
    """Interior padding: the operand with gaps between its elements; the node's buffer holds the
    fill value already.
    """
    if not any(node.form.interior):
        value = _pad(b, node, index, ())
        b.store(node, affine.linearize(index, node.shape), value)
        return
    x, _ = node.args
    form = node.form
    place = [i * (gap + 1) + lo for i, gap, lo in zip(index, form.interior, form.low)]
    open_, possible = b.decide([Range(e, 0, n) for e, n in zip(place, node.shape)])
    if possible:
        value = b.value(x, index)
        b.store(node, affine.linearize(place, node.shape), value, guards=open_)


ROOT_RULES: dict[type, Callable[[NestBuilder, g.Node, Index], None]] = {
    g.Pad: _spread_root,
    g.DynamicUpdate: build_index.dynamic_update_root,
}
