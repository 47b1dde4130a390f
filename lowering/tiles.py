"""Tiles: which loads of a nest go through a private tile, because they lie across its strips.

Such a load strides far along the strips' axis v and goes side by side along a row axis. A rectangle
of both axes is read once along its lines, turned, and then read along v (docs/why/transposes.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from lowering import graph as g
from lowering.affine import Cut
from lowering.build.group import Root
from lowering.nest import Nest, Store, Value

if TYPE_CHECKING:
    from lowering.schedule import Schedule

LINE = 64  # bytes of a cache line
SIDE = 64  # elements along a side of a tile of four bytes: four lines each way
TILE_BYTES = 16384  # of private memory for all tiles of a stage: half of a first-level cache
LARGE = 1 << 16  # elements of an array for which kernels are parted so that it goes by tiles
CHANNELS = 4  # at most, side by side in memory, where strips go along another axis
STRIP = 1024  # elements of each channel in a rectangle
LEAST_ROWS = 8  # of the row axis, below which a line serves too few of them
UNITS = 65536.0  # of work an item should have
PARTS = 16  # items that a nest has at least, where it has so many tiles


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of `rows` along row axis `axis` and `strip` along v, which `loads` fill.

    `across`: some load is still gathered across the strips, so each strip runs over all rows.
    """

    axis: int
    rows: int
    strip: int
    loads: tuple[int, ...]
    across: bool

    def counts(self, nest: Nest, v: int) -> tuple[int, int]:
        """How many tiles there are along the rows' axis and along v."""
        return -(-nest.extents[self.axis] // self.rows), -(-nest.extents[v] // self.strip)


def tile_of(nest: Nest, v: int, rows: tuple[int, ...]) -> Tile | None:
    """The tile of a nest with strips along v and these row axes, or None if it needs none."""
    if any(x.op not in ("load", "map", "const", "index", "guard") for x in nest.values):
        return None
    beside = _beside(nest, v, rows)
    if beside is not None:
        return Tile(beside, nest.extents[beside], STRIP, (), False)
    lies = {a: _across(nest, v, a) for a in rows if nest.extents[a] >= LEAST_ROWS}
    axis = max(lies, key=lambda a: len(lies[a]), default=None)
    if axis is None or not lies[axis]:
        return None
    if any(s.partial or not {v, axis} <= s.index.axes for s in nest.stores):
        return None
    plain = [k for k in lies[axis] if _plain(nest.values[k])]
    size = sum(nest.values[k].dtype.itemsize for k in plain)
    side = strip = SIDE
    while size and 4 * side * strip * size <= TILE_BYTES:
        side, strip = 2 * side, 2 * strip
    if 2 * side * strip * size <= TILE_BYTES:
        strip *= 2
    while side * strip * size > TILE_BYTES and side > LEAST_ROWS:
        side //= 2
    if side * strip * size > TILE_BYTES:
        plain = []
    side, strip = min(side, nest.extents[axis]), min(strip, -(-nest.extents[v] // 16) * 16)
    return Tile(axis, side, strip, tuple(plain), len(plain) < len(lies[axis]))


def _beside(nest: Nest, v: int, rows: tuple[int, ...]) -> int | None:
    """The row axis of few channels that all stores put side by side, so that strips along v write
    lane by lane: the lines that they share are written while they are in a cache.
    """
    return next((a for a in rows if all(_interleaved(nest, s, v, a) for s in nest.stores)), None)


def _interleaved(nest: Nest, s: Store, v: int, axis: int) -> bool:
    few = 2 <= nest.extents[axis] <= CHANNELS
    lies = s.index.coef(axis) == 1 and s.index.coef(v) == nest.extents[axis]
    return few and lies and s.partial is None


def missed(nest: Nest, s: Schedule) -> bool:
    """Whether a large array is read across the strips, and no tile can hold it, because something
    is folded or stored beside it: rows of one array times columns of another.
    """
    if s.tile is not None or s.v is None or nest.extents[s.v] < SIDE:
        return False
    along = s.rows if s.v in s.folds else (*s.rows, *s.folds)
    lies = [k for a in along if nest.extents[a] >= SIDE for k in _across(nest, s.v, a)]
    return any(prod(nest.extents[a] for a in nest.values[k].mask) >= LARGE for k in lies)


def apart(roots: list[Root], stored: Collection[int]) -> Cut | None:
    """What to keep in memory so that a tile can be had: results of rows alone, or the transposed
    array, or what it is made of.
    """
    if len(roots) > 1 and any(r.node.size < max(x.node.size for x in roots) for r in roots):
        return Cut(None, "its kernel turns an array in tiles")
    seen: set[int] = set()
    todo = [r.node for r in roots]
    while todo:
        n = todo.pop()
        if id(n) in seen or isinstance(n.form, g.Input | g.Const):
            continue
        seen.add(id(n))
        own = n in (r.node for r in roots)
        if isinstance(n.form, g.Transpose) and n.form.perm[-1] != n.ndim - 1 and n.size >= LARGE:
            kept = n.args[0] if own else n
            if not isinstance(kept.form, g.Input | g.Const) and id(kept) not in stored:
                return Cut(kept, "it is turned in tiles")
        if own or id(n) not in stored:
            todo += n.args
    return None


def _across(nest: Nest, v: int, axis: int) -> list[int]:
    """The loads that stride a line or more along v, and go side by side along `axis`, or are one
    part of complex numbers that do.
    """
    return [
        k
        for k, x in enumerate(nest.values)
        if x.op == "load"
        and (x.attr[1].coef(axis) == 1 or (x.attr[1].coef(axis) == 2 and _part(x)))
        and abs(x.attr[1].coef(v)) * x.dtype.itemsize >= LINE
    ]


def _part(x: Value) -> bool:
    """Whether a load may be of parts of complex numbers, which have `turn2`."""
    return x.dtype.kind == "f" and x.dtype.itemsize >= 4


def _plain(x: Value) -> bool:
    """Whether a load reads all of its rectangle, at a place that is known before it."""
    return not x.args and not x.attr[2] and not x.attr[3]


def deal(nest: Nest, tile: Tile, v: int, rows: tuple[int, ...], cost: float) -> tuple[int, int]:
    """How many tiles an item does, and how many items there are."""
    others = prod(nest.extents[a] for a in rows if a != tile.axis)
    count = others * prod(tile.counts(nest, v))
    block = min(int(UNITS / (cost * tile.rows * tile.strip)), -(-count // PARTS))
    block = max(1, block, -(-count // 1024))
    return block, -(-count // block)
