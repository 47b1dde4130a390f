"""Values: what the rules of `build` and of `build.loop` speak to: a nest's values, guards, loads
and stores, each there once.

A rule asks the builder for its operands at some index (`value`) and gives back the number of a
value. The builders differ in what a node's value is: `build` computes it or loads it, `build.loop`
knows besides which loop, branch or condition it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowering import affine
from lowering import graph as g
from lowering.affine import Affine, Range
from lowering.build import turns
from lowering.nest import Nest, NestBuffer, Store, Value
from lowering.walk import renamed

Index = tuple[Affine, ...]
Guards = tuple[Range, ...]
INT = np.dtype(np.int32)
LONG = np.dtype(np.int64)
BOOL = np.dtype(bool)


class ValueBuilder:
    """A nest in the making."""

    goes_round = False  # whether loads may go back to the start of an axis

    def __init__(self) -> None:
        self.nest = Nest([])
        self.keys: list[Any] = []  # what each axis stands for
        self.nesting = 0  # of operations whose operands are being computed
        self.value_of: dict[Any, int] = {}
        self.buffer_of: dict[int, int] = {}

    def value(self, node: g.Node, index: Index, guards: Guards = ()) -> int:
        """The value of node[index]. Outside `guards` it may be anything but is safe to compute."""
        raise NotImplementedError

    def inside(self, node: g.Node) -> bool:
        """Whether the node is computed here, not loaded."""
        raise NotImplementedError

    def standing(self, node: g.Node) -> g.Node:
        """What is loaded where the node is read at any index: what it is a reshape of, unless it
        stands in memory itself.
        """
        while self.inside(node) and (x := renamed(node)) is not None:
            node = x
        return node

    def axis(self, key: Any, extent: int) -> Affine:
        """A fresh axis."""
        self.nest.extents.append(extent)
        self.keys.append(key)
        return affine.axis(len(self.keys) - 1)

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

    def store(self, node: g.Node, linear: Affine, value: int, **kwargs: Any) -> None:
        b = self.buffer(node)
        self.nest.buffers[b].written = True
        self.nest.stores.append(Store(b, linear, value, **kwargs))
        self.nest.label = self.nest.label or node.tag or ""
