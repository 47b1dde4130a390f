"""The epilogue of a product: the nest that reads its tile, over sums that are complete.

Its rows and columns are opened tile by tile: a row tile's sums are a row of tiles in a private
array, each row of a tile in one piece. What a product's stage does with sums is here, for both ways
to come by them (`product`, `progress`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from lowering import scalar, schedule
from lowering.affine import Affine
from lowering.emit.scope import FEW_TURNS
from lowering.emit.stage import _Emitter
from lowering.graph import Node
from lowering.nest import Nest, Value
from lowering.templates import prefetch

HEAVY = 60.0  # flops of an epilogue that is not written out for each strip, nor one with gathers


@dataclass(slots=True)
class Axes:
    """The epilogue's axes by the part of the product's index they belong to, outermost first;
    `window`: those of the rows that it folds. A tile's rows are whole windows, one after the other.
    """

    outer: list[int]
    rows: list[int]
    columns: list[int]
    window: list[int]


class Epilogue(_Emitter):
    """Emits the nest with its rows and columns opened tile by tile. In the text around, `sums` are
    those of the rows from r0 to m1 and the columns from s0 to s1, of which q1 is the item's last.
    """

    def __init__(self, node: Node, nest: Nest, axes: Axes, plan: schedule.Schedule, tile: Value):
        super().__init__(nest, plan)
        self.node, self.form, self.axes = node, node.form, axes
        self.kind = scalar.register_type(node.dtype, 1)
        self.together = prod(nest.extents[a] for a in axes.window)  # rows that the epilogue folds
        self.index = tile.attr[1]
        form: Any = node.form
        # the last tile is moved to the left, so that it ends where the rows do
        self.shifted = not (form.b.packed or form.b.panel or form.streamed)

    def decode(self, flat: str, axes: list[int]) -> None:
        """The axes' indices from their flat number."""
        for name, text in zip(axes, self.decoded(flat, axes), strict=True):
            self.line(f"const int i{name} = {text};")

    def decoded(self, flat: str, axes: list[int]) -> list[str]:
        found = []
        for k in range(len(axes)):
            later = prod(self.nest.extents[a] for a in axes[k + 1 :])
            e = f"{flat} / {self.number(later)}" if later > 1 else flat
            found.append(f"{e} % {self.number(self.nest.extents[axes[k]])}" if k else e)
        return found

    def number(self, n: int) -> str:
        """A number of the shape."""
        return str(n)

    def wanted(self) -> list[tuple[int, Affine]]:
        """What is worth a request before a tile: buffers, and where in them."""
        found = prefetch.lines(self.nest, self.axes.rows, self.axes.columns)
        few = len(found) * self.form.rows <= prefetch.LINES
        return found if few and not self.axes.window else []

    def ask_for_tile(self, test: str, end: str) -> None:
        """Requests for the lines of a tile's epilogue, before the tile."""
        wanted = self.wanted()
        if not wanted:
            return
        rows = self.push(frozenset())
        self.decode("g", self.axes.rows)
        self.line(f"const int i{self.axes.columns[0]} = t0;")
        for buffer, index in wanted:
            self.line(f"__builtin_prefetch(b{buffer} + ({self.affine(index)}));")
        self.pop(rows, f"{test}for (int g = r0, ge = {end}; g < ge; ++g) {{")

    def epilogue(self, end: str, place: str) -> None:
        """The nest over the finished columns of the rows from r0 to `end`, row by row, or window by
        window; `place`: where a row, "@" of them after r0, is in `sums`.
        """
        v, form = self.s.v, self.form
        each = "" if self.together == 1 else f" / {self.together}"
        self.before_rows(f"r0{each}")
        rows = self.push(frozenset(self.axes.rows))
        self.begin_row()
        first = "g" if self.together == 1 else f"{self.together} * g"
        self.line(f"const {self.kind} *row = sums + {place.replace('@', f'({first} - r0)')};")
        tiles = self.push(frozenset(self.axes.columns[:-1]))
        at = least("t0", f"N - {form.columns}") if self.shifted else "t0"
        self.line(f"const int tn = {at}, t1 = {least(f't0 + {form.columns}', 'q1')};")
        lo, self.tile_start = "t0", "tn"
        if len(self.axes.columns) > 1:
            n = self.nest.extents[v]
            self.line(f"const int tc = t0 / {n}, ts = t0 % {n};")
            self.decode("tc", self.axes.columns[:-1])
            lo, self.tile_start = "ts", "ts"
        self.line(f"const {self.kind} *sum = row + (t0 - s0) * {form.rows};")
        self.columns(lo)
        self.pop(tiles, f"for (int t0 = s0; t0 < s1; t0 += {form.columns}) {{")
        self.end_row()
        self.pop(rows, f"for (int g = r0{each}, ge = {end}{each}; g < ge; ++g) {{")

    def before_rows(self, first: str) -> None:
        """What comes before the loop over rows."""

    def begin_row(self) -> None:
        """The indices of row g."""
        self.decode("g", self.axes.rows)

    def end_row(self) -> None:
        """What comes behind a row."""

    def columns(self, lo: str) -> None:
        """The row's columns in this tile: whole tiles without a loop, which halves the build; the
        last, narrower one in a strip if it fills one, then one by one.
        """
        width, columns, name = self.s.width, self.form.columns, f"i{self.s.v}"
        events, rest = self.store_events(), self.node.shape[-1] % self.form.columns
        steps = {index.coef(self.s.v) for index in schedule._indices(self.nest)}
        light = schedule.work(self.nest) <= HEAVY and steps <= {0, 1}

        def strips(count: int) -> None:
            if count == 1 or (count <= 8 and light):
                self.run_strip(events, width, count, f"{{ const int {name} = {lo};")
            else:
                end = f"{lo} + {count * width}"
                head = f"for (int {name} = {lo}; {name} < {end}; {name} += {width}) {{"
                self.run_strip(events, width, 1, head)

        if not rest:
            strips(columns // width)
            return
        if self.node.shape[-1] > columns:
            outer = self.push(frozenset())
            strips(columns // width)
            self.pop(outer, f"if (t1 - t0 == {columns}) {{")
            self.line("else {")
        if rest >= width:
            strips(rest // width)
        if rest % width:
            start, end = f"{lo} + {rest // width * width}", f"{lo} + {rest}"
            self.line(FEW_TURNS)
            self.run_strip(events, 1, 1, f"for (int {name} = {start}; {name} < {end}; ++{name}) {{")
        if self.node.shape[-1] > columns:
            self.line("}")

    def load(self, v: Value, u: int, width: int) -> str:
        if v.attr[0] != -1:
            return super().load(v, u, width)
        out = self.fresh("x")
        kind = scalar.register_type(v.dtype, width)
        column = f"i{self.s.v} - {self.tile_start}" + (f" + {u * width}" if u else "")
        pointer = f"sum + {column}"
        for k, a in enumerate(self.axes.window):
            later = prod(self.nest.extents[b] for b in self.axes.window[k + 1 :])
            pointer += f" + {later * self.form.columns} * i{a}"
        text = scalar.load(v.dtype, width, pointer, "__private")
        self.line(f"const {kind} {out} = {text};")
        return out


def least(a: str, b: str) -> str:
    """The text of the lesser of two."""
    return f"({a} < {b} ? {a} : {b})"
