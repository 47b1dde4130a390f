"""Blocks: how much of a product an item does, and in which pieces.

`Blocks.of` is for products with an epilogue, a strip of columns at a time; `Blocks.whole` for those
that are only stored. How k is cut depends on the shape alone, and so do the bits of the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from lowering.graph import Node
from lowering.profile import Profile
from lowering.rewrite.product import FEW, K_BLOCK, Product, near

ITEM_FLOPS = 1 << 23  # about 100 microseconds of one core
PAIR_FLOPS = 1 << 22  # from which a product is two items, for loops of such products
ITEMS = 12  # of each core at most, so that cores finish together
LEAST_ITEMS = 4  # of each core, for which an item takes so few rows that filling panels tells
FEW_ITEMS, MORE_ITEMS = 3, 6  # of each core, of a product with few and with many rows
SHARED_ROWS, FEWEST_ROWS = 176, 10  # row tiles that share an item's panels of B
LONGEST_BLOCK = K_BLOCK + K_BLOCK // 4
OWN_BYTES = 1 << 19  # of sums and of panels of A that an item keeps
COLUMN_TILES = 32  # of an item at most
STRIP_BYTES = 256  # of a row of a strip, of which there are one, two or four in B's panels
SMALL_BLOCK = 32  # of k where B is read in place, its rows far from each other, for few tiles
GROUP = 16  # row tiles that pass one panel of B after the other: their part of A is near
MANY_ROWS = 2 * GROUP  # row tiles, from which sums are left half as many times
ROOM = 1 << 20  # bytes of an item's panels
# what an item spends on an element of a panel, or of A where it stands, in multiply-adds of a lane
FILL_A, FILL_B, READ_A = 16, 10, 4
PACKED_COLUMNS = 320  # of an item, from which A's rows are copied even where k is in one piece


@dataclass(slots=True)
class Blocks:
    """Row tiles, column tiles and outer indices of an item; column tiles of a strip; k of a block,
    whose part of A stays in the first-level cache while a strip's panels of B pass it; and k of
    the depth to which a strip of B is in the second-level cache.
    """

    rows: int
    columns: int
    outer: int
    strip: int
    k: int
    depth: int

    @staticmethod
    def of(node: Node, profile: Profile) -> Blocks:
        """The blocks of a product whose sums an epilogue reads."""
        form: Product = node.form
        *outer, m, n = node.shape
        itemsize = node.dtype.itemsize
        row_tiles, column_tiles, batch = -(-m // form.rows), -(-n // form.columns), prod(outer)
        strip, block, depth = _strip(form, row_tiles, itemsize)
        strip = min(strip, column_tiles)
        wanted = _wanted(2.0 * batch * m * n * form.k, profile)
        rows = min(row_tiles, _most_rows(form, strip, depth, itemsize))
        columns = min(column_tiles, max(COLUMN_TILES, strip))
        if batch >= wanted:
            return Blocks(rows, columns, -(-batch // wanted), strip, block, depth)

        def few(wanted: int = wanted) -> bool:
            return batch * -(-row_tiles // rows) * -(-column_tiles // columns) < wanted

        while columns > strip and few():
            columns = -(-columns // 2)
        while rows > SHARED_ROWS and few():
            rows = -(-rows // 2)
        wanted = min(wanted, LEAST_ITEMS * profile.compute_units)
        while rows > FEWEST_ROWS and few(wanted):
            rows = -(-rows // 2)
        while columns > 1 and few(wanted):
            columns = -(-columns // 2)
        rows = _even(row_tiles, rows)
        columns = _even(column_tiles, columns)
        return Blocks(rows, columns, 1, min(strip, columns), block, depth)

    @staticmethod
    def whole(node: Node, profile: Profile) -> Blocks:
        """The blocks of a product that is only stored: an item's panels of B are filled for all of
        its columns and one depth of k, then groups of row tiles pass them.
        """
        form: Product = node.form
        *outer, m, n = node.shape
        itemsize = node.dtype.itemsize
        row_tiles, column_tiles, batch = -(-m // form.rows), -(-n // form.columns), prod(outer)
        depth = whole_depth(form, row_tiles, itemsize)
        room = ROOM // (itemsize * (depth + 8)) - GROUP * form.rows
        most = max(1, room // form.columns) if form.b.panel else COLUMN_TILES
        wanted = _wanted(2.0 * batch * m * n * form.k, profile)
        least = -(-column_tiles // most)
        if batch >= wanted:
            columns = _even(column_tiles, min(most, column_tiles))
            return Blocks(row_tiles, columns, -(-batch // wanted), columns, depth, depth)
        each = MORE_ITEMS if row_tiles >= MANY_ROWS else FEW_ITEMS
        wanted = -(-min(wanted, each * profile.compute_units) // batch)

        def cut(parts: int) -> tuple[int, int]:
            rows = min(row_tiles, -(-wanted // parts))
            return -(-row_tiles // rows), -(-column_tiles // parts)

        def time(tiles: tuple[int, int]) -> float:
            """Of all cores, until the last one is done."""
            items = batch * -(-row_tiles // tiles[0]) * -(-column_tiles // tiles[1])
            turns = -(-items // profile.compute_units)
            return turns * tiles[0] * tiles[1] * (1 + _panels_cost(form, *tiles))

        most = max(least, min(wanted, column_tiles))
        rows, columns = min((cut(parts) for parts in range(least, most + 1)), key=time)
        return Blocks(rows, columns, 1, columns, depth, depth)


def _wanted(flops: float, profile: Profile) -> int:
    """How many items a product of so many operations is, if it can be cut."""
    wanted = max(int(flops / ITEM_FLOPS), 2 if flops >= PAIR_FLOPS else 1)
    return max(1, min(ITEMS * profile.compute_units, wanted)) if profile.compute_units > 1 else 1


def _even(tiles: int, most: int) -> int:
    """Tiles of a block, of which there are at most so many: blocks of about one size."""
    return -(-tiles // -(-tiles // most))


def _panels_cost(form: Product, rows: int, columns: int) -> float:
    """What panels cost an item of so many tiles, for each of its multiply-adds."""
    a = FILL_A if form.a.panel or columns * form.columns > PACKED_COLUMNS else READ_A
    return a / (columns * form.columns) + FILL_B / (rows * form.rows)


def whole_depth(form: Product, row_tiles: int, itemsize: int) -> int:
    """k of a depth, of a product that is only stored."""
    if _far_in_place(form, row_tiles, itemsize):
        return SMALL_BLOCK
    most = _block(form, itemsize)
    if most == LONGEST_BLOCK and row_tiles >= MANY_ROWS:
        most *= 2
    depths = -(-form.k // most)
    return -(-form.k // (8 * depths)) * 8


def _far_in_place(form: Product, row_tiles: int, itemsize: int) -> bool:
    """Whether few rows pass B where it stands, its rows far from each other."""
    in_place = not (form.b.panel or form.b.packed)
    return in_place and row_tiles <= FEW and abs(form.b.k or 0) * itemsize > STRIP_BYTES


def _strip(form: Product, row_tiles: int, itemsize: int) -> tuple[int, int, int]:
    """Column tiles of a strip, k of a block, k of a depth. Wider strips of B make fewer passes
    over rows of A whose panels are filled each time, or over sums that are kept.
    """
    one = max(1, STRIP_BYTES // (form.columns * itemsize))
    if form.streamed:  # the next rows of A find B's rows in the first-level cache
        block = K_BLOCK if row_tiles == 1 else 4
        return 1, block, block
    if _far_in_place(form, row_tiles, itemsize):
        return 8 * one, SMALL_BLOCK, SMALL_BLOCK
    deep = form.k > 4 * K_BLOCK + K_BLOCK // 2
    wider = 4 if form.a.panel else 2 if deep else 1
    most = K_BLOCK if form.a.panel else 4 * K_BLOCK // wider
    part = -(-form.k // -(-form.k // (most + most // 8)))  # depths and blocks of about one size
    blocks = -(-part // _block(form, itemsize))
    block = -(-part // (8 * blocks)) * 8
    return wider * one, block, block * blocks


def _block(form: Product, itemsize: int) -> int:
    """k of a block at most: what is read in place should stay in the first-level cache."""
    block = LONGEST_BLOCK
    for access, lanes in ((form.a, form.rows), (form.b, form.columns)):
        if not (access.panel or access.packed) and access.lane == 1 and access.k not in (None, 1):
            block = min(block, near(access.k, form.k, lanes, itemsize) or block)
    return block


def _most_rows(form: Product, strip: int, depth: int, itemsize: int) -> int:
    """Row tiles of an item at most: what it keeps of its own is on a stack."""
    each = 1.0 + (form.a.lane is None) * form.rows
    if form.k > depth:
        each += form.rows * form.columns * strip
    return max(1, int(OWN_BYTES // (itemsize * each)))
