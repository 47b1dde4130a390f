"""Dealt stages: an item goes along its lists of updates and joins each row with its place.

An item owns some rows of the output. It writes what they begin with, if that is a constant, and
then takes its updates in their order, whoever else runs: the same bits on any number of cores.
"""

from __future__ import annotations

from math import prod
from typing import Any

from lowering import scalar
from lowering.emit.scope import Event
from lowering.emit.tile import Tiled
from lowering.nest import Dealing, Store


class Dealer(Tiled):
    """The loops of a dealt stage, and its store."""

    open_v: Any
    body: Any
    row_indices: Any

    @property
    def dealt(self) -> Dealing:
        assert self.nest.dealt is not None
        return self.nest.dealt

    def open_dealt(self, events: list[Event]) -> None:
        """Open the next loop: the item's updates, the outer axes of a row, its strips."""
        st = self.nest.stores[0]
        assert st.dynamic is not None
        points = tuple(a for a in self.s.rows if a in self.values[st.dynamic].mask)
        outer = [a for a in self.s.rows if a not in points and a not in self.scope.open]
        if not frozenset(points) <= self.scope.open:
            self.open_lists(events, points)
        elif outer:
            a = outer[0]
            end = self.extent(a, self.nest.extents[a])
            scope = self.push(frozenset({a}))
            self.body(events)
            self.pop(scope, f"for ({self.ix} i{a} = 0; i{a} < {end}; ++i{a}) {{")
        else:
            n = self.nest.extents[self.s.v]
            self.open_v(events, "0", str(n), n)

    def open_lists(self, events: list[Event], points: tuple[int, ...]) -> None:
        d, st = self.dealt, self.nest.stores[0]
        node = self.nest.buffers[st.buffer].node
        row = prod(node.shape[d.rows :])
        if d.background is not None:
            self.begin_with(d.background, st, row)
        size, owners = self.nest.buffers[d.ends].size, self.int_argument(d.owners)
        parts = self.int_argument(size // (d.owners + 1))
        self.line(f"for (long p = 0; p < {parts}; ++p) {{")
        self.scope.depth += 1
        ends = f"b{d.ends}[p * ({owners} + 1) + ig"
        self.line(f"const int first = {ends}], end = {ends} + 1];")
        scope = self.push(frozenset(points))
        self.ask_picked(points, "k", "end", f"b{d.lists}[2 * h]")
        self.line(f"const int g = b{d.lists}[2 * k];")
        self.line(f"const long at = (long)b{d.lists}[2 * k + 1] * {row};")
        self.row_indices("g", points)
        self.body(events)
        self.pop(scope, "for (long k = first; k < end; ++k) {")
        self.scope.depth -= 1
        self.line("}")

    def begin_with(self, value: Any, st: Store, row: int) -> None:
        """Write a constant to the item's rows."""
        buffer, width = self.nest.buffers[st.buffer], self.s.width
        share = self.int_argument(row << self.dealt.shift)
        size = self.int_argument(buffer.size)
        self.line(f"const long high = min((long){size}, (ig + 1) * {share});")
        self.line(f"long e = ig * {share};")
        for w in dict.fromkeys((width, 1)):
            text = scalar.constant(value, buffer.dtype, w)
            put = scalar.store(buffer.dtype, w, f"b{st.buffer} + e", text)
            self.line(f"for (; e + {w} <= high; e += {w}) {put};")

    def join(self, st: Store, width: int, u: int, x: str) -> None:
        """Join one strip of a row with what is there."""
        dtype = self.nest.buffers[st.buffer].dtype
        target = f"b{st.buffer} + (at + {self.affine(st.index, u)})"
        if st.join != "set":
            old = scalar.load(dtype, width, target)
            x = scalar.text(str(st.join), (dtype, dtype), dtype, width, [old, x])
        self.line(scalar.store(dtype, width, target, x) + ";")
