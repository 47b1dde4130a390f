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

from lowering import affine
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut, Range, SplitNeeded
from lowering.build import dealt as build_dealt
from lowering.build import folds as build_folds
from lowering.build import index as build_index
from lowering.build import turns
from lowering.build import views as build_views
from lowering.build.values import Guards, Index, ValueBuilder
from lowering.nest import Nest
from lowering.pieces import Piece, placed
from lowering.rewrite.deal import Dealt

DEEPEST = 120
"""Operations and views upon each other in one nest, where what is below is not computed first."""


@dataclass(frozen=True, slots=True)
class Root:
    """A node that the nest writes to memory, and how its axes lie in the space.

    `dims[k]` is the space axis that the root's axis k is; None: the root is a reshape of the whole
    space.
    `partial` is the fold over the space's leading axes in blocks, and then `node` is a BlockReduce.
    """

    node: g.Node
    dims: tuple[int, ...] | None
    piece: Piece | None = None  # of a concatenation: the part that the nest computes


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


class NestBuilder(ValueBuilder):
    """One attempt at a nest, with the axis splits that are known to be needed."""

    goes_round = True

    def __init__(self, space: tuple[int, ...], inside: Callable[[g.Node], bool], splits: dict):
        super().__init__()
        self._inside = inside
        self.splits = splits
        self.memo: dict[Any, Any] = {}
        self.depth = 0  # of values that are being computed
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
        return self.axis(key, extent)

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

    def inside(self, node: g.Node) -> bool:
        return self._inside(node)

    def value(self, node: g.Node, index: Index, guards: Guards = ()) -> int:
        guards = guards and _concerning(index, guards)
        key = (id(node), index, guards)
        found = self.memo.get(key)
        if found is None:
            if isinstance(node.form, g.Const):
                found = self.const(node.form.value, node.dtype)
            elif not self._inside(node):
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

    # ------------------------------------------------ roots

    def store_root(self, root: Root) -> None:
        """Compute a root over the space and store it."""
        node = root.node
        if isinstance(node.form, BlockReduce):
            return self.store_partial(node)
        if root.piece is not None:
            return self.store_piece(node, root.piece)
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

    def store_piece(self, node: g.Node, piece: Piece) -> None:
        """One part of a concatenation, where it stands."""
        found = placed(piece, self.space, self.nest.extents)
        if found is None:
            raise Cut(piece.x, "its place in a concatenation does not follow its axes")
        place, conditions = found
        open_, possible = self.decide(conditions)
        if possible:
            value = self.value(piece.x, self.space)
            self.store(node, affine.linearize(place, node.shape), value, guards=open_)

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


def _concerning(index: Index, guards: Guards) -> Guards:
    """The guards that keep the index inside: not those of other axes, along which the value, be it
    the fold of a row, is one and the same.
    """
    axes = frozenset().union(*(e.axes for e in index))
    kept: Guards = ()
    while (more := tuple(r for r in guards if r.index.axes & axes)) != kept:
        kept, axes = more, axes.union(*(r.index.axes for r in more))
    return kept


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


RULES: dict[type, Callable[[NestBuilder, g.Node, Index, Guards], int]] = {
    **build_views.VIEWS,
    g.Reshape: _reshape,
    g.Reduce: build_folds.reduce,
    g.ArgReduce: build_folds.arg_reduce,
    g.CumScan: build_folds.cumscan,
    g.Contract: build_folds.contract,
    g.Conv: build_folds.conv,
    g.Window: build_folds.window,
    g.Gather: build_index.gather,
    g.DynamicSlice: build_index.dynamic_slice,
    g.Get: build_views.get,
}


def _spread_root(b: NestBuilder, node: g.Node, index: Index) -> None:
    """Interior padding: the operand with gaps between its elements; the node's buffer holds the
    fill value already.
    """
    if not any(node.form.interior):
        value = build_views.pad(b, node, index, ())
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
    Dealt: build_dealt.root,
}
