"""Products that are only stored: the stage is a call of the function that products share (`whole`).

Its text is the same for all shapes, so it may be on disk before any program asks for it.
"""

from __future__ import annotations

from dataclasses import replace

from lowering.emit.scope import LIST
from lowering.profile import Profile
from lowering.templates import masks
from lowering.templates.blocks import GROUP, PACKED_COLUMNS, Blocks
from lowering.templates.item import ROOMS, Item, Read

LEAST_FLOPS = 1 << 16  # of a product of two matrices, from which the shared function costs nothing
HALVES = 32  # bytes of a vector; larger ones some processors take in two steps

Outer = list[tuple[int, tuple[int, int, int]]]
"""The outer axes: extents, and strides of A, B and the result."""


class Stored(Item):
    """The emitter of such a stage."""

    head = LIST

    @staticmethod
    def serves(read: Read) -> bool:
        return read.flops() >= LEAST_FLOPS and _outer(read) is not None

    def __init__(self, read: Read, profile: Profile):
        super().__init__(read, profile)
        a = self.form.a
        if a.k == 1 and self.blocks.columns * self.form.columns > PACKED_COLUMNS:
            # so many columns pass A's rows that these are copied, though k is in one piece
            self.form = replace(self.form, a=replace(a, panel=True))
        self.last = self.last_columns()

    def cut(self, profile: Profile) -> Blocks:
        return Blocks.whole(self.node, profile)

    def last_columns(self) -> int:
        """Columns of a row's last tile where it needs fewer vectors, or half of one, which takes
        half the time where a processor does 512 bits in two steps; else 0.
        """
        n, form, width = self.node.shape[-1], self.form, self.lanes
        rest = n % form.columns
        half = width // 2 if width * self.node.dtype.itemsize > HALVES else width
        last = half if rest <= half else -(-rest // width) * width
        return last if n > form.columns and rest > 0 and last < form.columns else 0

    def write(self, counts: dict[str, int]) -> None:
        form, axes, outer = self.form, self.axes, _outer(self.read) or []
        store = self.nest.stores[0]
        for name, value in counts.items():
            self.int(name, value)
        self.array(form.rows * form.columns, GROUP, ROOMS[-1])
        for name, value in self.steps().items():
            self.int(name, value, "long")
        self.panels(f"{form.rows * form.columns}", GROUP)
        high, low = [(1, (0, 0, 0)), (1, (0, 0, 0)), *outer][-2:]
        inner, strides = str(low[0]), ", ".join(["0"] * 6)
        if outer:
            self.int("inner", low[0])
            names = [f"{x}_{y}" for x in ("a", "b", "out") for y in ("outer", "inner")]
            for name, value in zip(names, (x for xs in zip(high[1], low[1]) for x in xs)):
                self.int(name, value, "long")
            inner, strides = "inner", ", ".join(names)
        self.int("ld", store.index.coef(axes.rows[0]) if axes.rows else 0, "long")
        self.int("start", store.index.const, "long")
        a, b = (f"b{k} + {side}_start" for k, side in zip(self.operands, "ab"))
        x, y = ("ap" if form.a.panel else "0"), ("bp" if form.b.panel else "0")
        self.line(
            f"{self.begin('whole')}, item, {a}, {b}, {x}, x_step, {y}, y_step, y_last, "
            "a_lane, a_k, b_lane, b_k, M, N, K, RB, CB, RT, CT, OT, OB, KD, "
            f"acc, {inner}, {strides}, ld, b{store.buffer} + start);"
        )


def _outer(read: Read) -> Outer | None:
    """The outer axes where all that happens is one store that the shared function can do."""
    form, axes, nest = read.form, read.axes, read.nest
    first = nest.stores[0]
    if len(nest.stores) > 1 or first.dynamic is not None or first.guards:
        return None
    v = nest.values[first.value]
    if v.op != "load" or v.attr[0] != -1:
        return None
    if None in (form.a.lane, form.a.k) or masks.needed(nest, read.tile) is not None:
        return None
    if not read.plain():
        return None
    if len(axes.rows) > 1 or len(axes.columns) != 1 or first.index.coef(axes.columns[0]) != 1:
        return None
    outer = read.outer()
    if len(outer) > 2 or [n for n, *_ in outer] != [nest.extents[a] for a in axes.outer]:
        return None
    return [(n, (s, t, first.index.coef(a))) for (n, s, t), a in zip(outer, axes.outer)]
