"""Tiled stages: rectangles outside, and inside each its rows and strips.

Loads that lie across the strips fill private tiles first (`tiles`); the rest of the nest then reads
those along the strips.
"""

from __future__ import annotations

from math import prod
from typing import Any

from lowering import scalar
from lowering.emit.columns import Columns
from lowering.emit.scope import Event, Scope
from lowering.mathlib import turning
from lowering.nest import Value
from lowering.tiles import Tile


class Tiled(Columns):
    """The loops of a tiled stage, and the loads that its tiles hold."""

    body: Any
    open_v: Any
    part: Any
    row_indices: Any
    in_tile = False  # whether the rectangle's scope is open

    @property
    def tile(self) -> Tile:
        assert self.s.tile is not None
        return self.s.tile

    def open_tile(self, events: list[Event]) -> None:
        """Open the next loop: over the rectangles, over the rows of one, over its strips."""
        s, t = self.s, self.tile
        if not self.in_tile:
            self.open_rectangles(events)
        elif s.v not in self.scope.open and (t.across or t.axis in self.scope.open):
            self.open_v(events, f"v{s.v}", f"w{s.v}", None)
        else:
            outer = self.push(frozenset({t.axis}))
            self.body(events)
            a = t.axis
            self.pop(outer, f"for ({self.ix} i{a} = v{a}; i{a} < w{a}; ++i{a}) {{")

    def open_rectangles(self, events: list[Event]) -> None:
        s, t = self.s, self.tile
        rows = tuple(a for a in s.rows if a != t.axis)
        along, strips = t.counts(self.nest, s.v)
        others = prod(self.nest.extents[a] for a in rows)
        n = self.int_argument(others * along * strips)
        self.part("g", "ig", n, self.int_argument(s.row_block))
        outer = self.push(frozenset(rows))
        count, turns = self.int_argument(along), self.int_argument(along * strips)
        self.rectangle(t.axis, f"g % {count}", t.rows)
        self.rectangle(s.v, f"g % {turns} / {count}", t.strip)
        self.row_indices(f"g / {turns}", rows)
        for k in t.loads:
            self.fill(k)
        self.in_tile = True
        self.body(events)
        self.in_tile = False
        self.pop(outer, f"for ({self.ix} g = g0; g < g1; ++g) {{")

    def rectangle(self, a: int, which: str, step: int) -> None:
        """From where to where the rectangle reaches along an axis."""
        n = self.int_argument(self.nest.extents[a])
        self.line(f"const {self.ix} v{a} = {which} * {step};")
        self.line(f"const {self.ix} w{a} = min((long){n}, (long)v{a} + {step});")

    def fill(self, k: int) -> None:
        """Load k's rectangle into its tile."""
        v, t = self.s.v, self.tile
        load = self.values[k]
        buffer, index, *_ = load.attr
        element = scalar.memory_type(load.dtype)
        size = load.dtype.itemsize
        name = "turn" if index.coef(t.axis) == 1 else "turn2"
        turn = f"{name}_{scalar.memory_code(load.dtype)}x{turning.WIDTHS[size]}"
        self.line(f"{element} tile{k}[{t.rows * t.strip}] __attribute__((aligned(64)));")
        self.line("{")
        self.line(f"  const {self.ix} i{t.axis} = v{t.axis}, i{v} = v{v};")
        sides = f"w{v} - v{v}, w{t.axis} - v{t.axis}"
        self.line(
            f"  {turn}(b{buffer} + ({self.affine(index)}), "
            f"{index.coef(v)}, {sides}, tile{k}, {t.strip});"
        )
        self.line("}")

    def compute(self, k: int, v: Value, u: int, scope: Scope) -> str:
        """The value's text; a load that has a tile reads it."""
        t = self.s.tile
        if t is None or k not in t.loads:
            return super().compute(k, v, u, scope)
        width, axis, strips = self.value_width(v), t.axis, self.s.v
        out = self.fresh("x")
        at = f"tile{k} + (i{axis} - v{axis}) * {t.strip} + (i{strips} - v{strips})"
        text = scalar.load(v.dtype, width, at, "__private")
        self.line(f"const {scalar.register_type(v.dtype, width)} {out} = {text};")
        return out
