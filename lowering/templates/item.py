"""What an item of a product does, in text: its sizes and distances as arguments, and its arrays.

Common to all ways to write a product's stage (`stored`, `shared`, `loops`). All that depends on
shapes alone is an argument under a name, so that texts of different shapes are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from lowering import schedule
from lowering.affine import Cut
from lowering.emit.scope import LIST, Stage, number
from lowering.graph import Node
from lowering.nest import Nest, Value
from lowering.profile import Profile
from lowering.rewrite.product import Access, Product
from lowering.scalar_text import contraction
from lowering.templates import micro, whole
from lowering.templates.blocks import Blocks
from lowering.templates.epilogue import Axes, Epilogue
from lowering.templates.progress import LINE

ROOMS = (1 << 18, 1 << 20)  # bytes of private arrays, most of which need not be touched
DEPTHS = 2048  # of a list of offsets of k, which is that long or a multiple


@dataclass(slots=True)
class Read:
    """A product whose tile a nest reads: the nest's axes by parts of the product's index, where the
    operands are among its buffers, and the load of the tile.
    """

    node: Node
    nest: Nest
    axes: Axes
    operands: tuple[int, int]
    tile: Value

    @property
    def form(self) -> Product:
        return self.node.form

    def flops(self) -> int:
        """Of one outer number."""
        return 2 * prod(self.node.shape[-2:]) * self.form.k

    def stored_as(self) -> list[np.dtype]:
        """The types of the operands in memory."""
        return [self.nest.buffers[k].dtype for k in self.operands]

    def outer(self) -> list[tuple[int, int, int]]:
        """Extent and the operands' strides of each outer axis of several elements."""
        form = self.form
        axes = zip(self.node.shape[:-2], form.a.outer, form.b.outer, strict=True)
        return [(n, s, t) for n, s, t in axes if n > 1]

    def plain(self) -> bool:
        """Whether the operands are numbers of the product's type, none of them streamed."""
        return not self.form.streamed and all(x == self.node.dtype for x in self.stored_as())


class Item(Epilogue):
    """A stage whose items are blocks of a product; a subclass's `write` writes its lines."""

    head = "FX_STAGE"

    def __init__(self, read: Read, profile: Profile):
        node, nest, axes = read.node, read.nest, read.axes
        v = axes.columns[-1] if axes.columns else None
        if v is not None and len(axes.columns) > 1 and nest.extents[v] % node.form.columns:
            raise Cut(node, "its columns are split unevenly by what consumes it")
        strip = 1 if v is None else min(schedule._width(nest, v, profile), read.form.columns)
        rows, folds = tuple(axes.rows), tuple(axes.window)
        plan = schedule.Schedule(rows, folds, v, strip, 1, 1, 1, (1, 1), "cpu", 1)
        super().__init__(node, nest, axes, plan, read.tile)
        self.read, self.operands, self.stored_as = read, read.operands, read.stored_as()
        self.lanes = min(profile.lanes(node.dtype.itemsize), node.form.columns)
        self.blocks = self.cut(profile)
        self.last = 0  # columns of a row's last tile where they are fewer than a tile's
        self.helpers: list[str] = []

    def cut(self, profile: Profile) -> Blocks:
        return Blocks.of(self.node, profile)

    def write(self, counts: dict[str, int]) -> None:
        """Writes the stage; `counts`: its sizes by name."""
        raise NotImplementedError

    def stage(self) -> Stage:
        form, blocks = self.form, self.blocks
        *outer, m, n = self.node.shape
        row_tiles, column_tiles, batch = -(-m // form.rows), -(-n // form.columns), prod(outer)
        row_blocks, column_blocks = -(-row_tiles // blocks.rows), -(-column_tiles // blocks.columns)
        counts = {"M": m, "N": n, "K": form.k, "RB": row_blocks, "CB": column_blocks}
        counts |= {"RT": blocks.rows * form.rows, "CT": blocks.columns * form.columns}
        counts |= {"OT": blocks.outer, "OB": batch}
        counts |= {"ST": blocks.strip * form.columns, "KB": blocks.k, "KD": blocks.depth}
        self.line(contraction())
        self.write(counts)
        items = row_blocks * column_blocks * -(-batch // blocks.outer)
        text = "\n".join(self.scope.lines)
        made = Stage(text, self.nest.buffers, self.ints, items, 1, self.nest.label)
        made.head, made.helpers = self.head, tuple(self.helpers)
        return made

    def int(self, name: str, value: int, kind: str = "int") -> None:
        """An integer argument under a name."""
        self.line(f"const {kind} {name} = {number(len(self.ints), self.head == LIST)};")
        self.ints.append(value)

    def array(self, sums: int, together: int, enough: int = 0) -> None:
        """One array for so many sums, and for the panels to be filled, of A so many together; its
        size says little of the shape.
        """
        form, blocks, itemsize = self.form, self.blocks, self.node.dtype.itemsize
        sizes = [sums + LINE]
        sizes += [together * self.panel_size(form.rows, blocks.depth)] if form.a.panel else []
        panels = blocks.depth // blocks.k * blocks.strip
        sizes += [panels * self.panel_size(form.columns, blocks.k)] if form.b.panel else []
        count = room(max(sum(sizes), enough // itemsize), itemsize)
        self.line(f"{self.kind} acc[{count}] __attribute__((aligned(64)));")

    def panels(self, sums: str, together: int) -> None:
        """Where the panels begin that follow so many sums in the array, of A so many together."""
        form, kind = self.form, self.kind
        if form.a.panel or form.b.panel:  # a CPU has one memory
            end = f"({sums} + {LINE - 1}) / {LINE} * {LINE}"
            self.line(f"__global {kind} *ap = (__global {kind} *)(ulong)(acc + {end});")
        if form.b.panel:
            self.line(f"__global {kind} *bp = ap{f' + {together} * x_step' * form.a.panel};")

    def panel_size(self, lanes: int, k: int) -> int:
        return micro.panel_size(lanes, self.lanes, k)

    def apart(self, access: Access, lanes: int, k: int, in_place: int) -> int:
        """From one tile's part of an operand to the next's."""
        if access.panel:
            return self.panel_size(lanes, k)
        return access.tile if access.packed else in_place

    def steps(self) -> dict[str, int]:
        """From one tile and from one block of k to the next in A (x) and B (y), in panels or in
        place; where B's last tile begins at the latest, so that it ends where the columns do; and
        the operands' strides and origins.
        """
        form, blocks = self.form, self.blocks
        a, b = form.a, form.b
        x = self.apart(a, form.rows, blocks.depth, form.rows * (a.lane or 0))
        y = self.apart(b, form.columns, blocks.k, form.columns)
        last = self.last or form.columns
        return {
            "x_step": x,
            "x_block": blocks.k * (form.rows if a.panel else a.k or 0),
            "y_step": y,
            "y_block": blocks.strip * y if b.panel else blocks.k * (b.k or 0),
            "y_last": self.node.shape[-1] - last if self.shifted else 1 << 40,
            "a_lane": a.lane or 0,
            "a_k": a.k or 0,
            "b_lane": b.lane or 0,
            "b_k": b.k or 0,
            "a_start": a.start,
            "b_start": b.start,
        }

    def begin(self, first: str) -> str:
        return whole.begin(first, self.form, self.node.dtype, self.lanes, self.last)


def room(count: int, itemsize: int = 4) -> int:
    """Elements of a private array that holds so many: of few sizes, so that texts are equal."""
    size = next((n for n in ROOMS if n >= count * itemsize), ROOMS[-1])
    return -(-count * itemsize // size) * size // itemsize
