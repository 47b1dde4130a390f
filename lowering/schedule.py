"""Schedule: in which order and how wide a nest's axes run on a device. A table of decisions, no
search.

Parallel axes (never folded) stand outside, folded ones inside. One axis `v` runs in vector strips:
the one along which most accesses are contiguous. The parallel axes but v are flattened into rows;
an item does a block of rows. How a reduction is split into blocks depends on shapes alone, so
results do not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import inf, prod
from typing import Any

from lowering import abreast, rests, scalar, tiles
from lowering.abreast import Abreast
from lowering.affine import Affine, Range, axis
from lowering.build.turns import Wrap
from lowering.cells import Cells, cells_of
from lowering.nest import LoopBody, Nest, Store, Value
from lowering.profile import Profile

HUGE = (1 << 31) - (1 << 16)  # elements from which axes are counted with 64 bits
MAX_COUNTED = (
    1 << 29
)  # steps of an axis that are counted; a while loop's has more, and counts as 100
MOST_PANEL = 32768  # bytes of the columns of a strip that a stage keeps in private memory


@dataclass(slots=True)
class Schedule:
    """`rows` are the parallel axes in order, without v. The row block and the strip block are per
    item.
    """

    rows: tuple[int, ...]
    folds: tuple[int, ...]  # folded axes in loop order, v last if it is one
    v: Any  # an axis, or None
    width: int
    unroll: int
    row_block: int
    strip_block: int  # elements of v that an item does, where v is parallel
    items: tuple[int, int]  # blocks of rows, blocks of v
    mode: str  # cpu or gpu
    local: int  # work-items in a group (gpu)
    shape: str = ""  # flat, strips, columns or group (gpu): see schedule_gpu
    streams: frozenset[int] = frozenset()  # buffers written past the caches
    wide: bool = False  # axes are counted with 64 bits
    tile: tiles.Tile | None = None  # for transposed reads; then a row block counts tiles
    cells: Cells | None = None  # for results in small blocks
    again: str = ""  # whether what strips leave of v is one more strip, and how: see `rests`
    abreast: Abreast | None = None  # for rows that fold side by side: v is their axis
    apart: bool = False  # the text has blocks of v, be it one: then as many as any size asks for


# ---------------------------------------------------------------- analysis


def accesses(nest: Nest) -> list[tuple[Affine, int]]:
    """Every load and store index with the element size."""
    found = [(v.attr[1], v.dtype.itemsize) for v in nest.values if v.op == "load"]
    return found + [(s.index, nest.buffers[s.buffer].dtype.itemsize) for s in all_stores(nest)]


def all_stores(nest: Nest) -> list[Store]:
    """The stores of the nest and of the loops inside it."""
    inner = [s for v in nest.values if v.op == "loop" for s in v.attr.stores]
    return [*nest.stores, *inner]


def folded_axes(nest: Nest) -> frozenset[int]:
    """Axes that some value folds or runs along."""
    found: set[int] = set()
    for v in nest.values:
        if v.is_fold:
            found |= v.folded
        elif v.op == "cumscan":
            found.add(v.attr[1])
        elif v.op == "loop":
            found.add(v.attr.axis)
    return frozenset(found)


def work(nest: Nest) -> float:
    """Flops of one point of the nest's innermost body, roughly: 1 an access, the table's cost an
    operation.
    """
    total = float(len(nest.stores))
    for v in nest.values:
        if v.op == "map":
            total += scalar.cost(v.attr)
        elif v.op == "bits":
            total += 100
        elif v.op in ("load", "reduce", "mad", "cumscan"):
            total += 1
    return total


# ---------------------------------------------------------------- merging axes


def merge_axes(nest: Nest) -> Nest:
    """Join axes that every index walks through as one; fewer and longer loops, the same meaning."""
    while True:
        pair = _mergeable(nest)
        if pair is None:
            return nest
        _merge(nest, *pair)


def _indices(nest: Nest) -> Iterator[Affine]:
    yield from _places(nest)
    yield from (q.index for q in _conditions(nest))


def _places(nest: Nest) -> Iterator[Affine]:
    for v in nest.values:
        if v.op in ("load", "argreduce"):
            yield v.attr[1]
        elif v.op == "index":
            yield v.attr
    for s in all_stores(nest):
        yield s.index


def _conditions(nest: Nest) -> Iterator[Range | Wrap]:
    for v in nest.values:
        if v.op == "load":
            yield from v.attr[2]
            yield from v.attr[3]
        elif v.op == "guard":
            yield from v.attr
    for s in all_stores(nest):
        yield from s.guards


def _mergeable(nest: Nest) -> tuple[int, int] | None:
    places, asked = set(_places(nest)), list(_conditions(nest))
    conditions = {q.index for q in asked}
    live = sorted(
        {a for e in places | conditions for a in e.axes} | {a for v in nest.values for a in v.mask}
    )
    folded = folded_axes(nest)
    fixed = {v.attr[1] for v in nest.values if v.op == "cumscan"}
    fixed |= {v.attr.axis for v in nest.values if v.op == "loop"}
    groups = [v.folded for v in nest.values if v.is_fold]
    groups += [v.mask for v in nest.values if v.op != "guard"]
    groups += [_block_axes(nest, s) for s in nest.stores if s.partial]
    guards = [v.mask for v in nest.values if v.op == "guard"]

    def together(a: int, b: int, indices: Collection[Affine], groups: Collection) -> bool:
        n = nest.extents[b]
        return all(e.coef(a) == e.coef(b) * n for e in indices) and all(
            (a in group) == (b in group) for group in groups
        )

    for a in live:
        for b in live:
            if a == b or a in fixed or b in fixed or (a in folded) != (b in folded):
                continue
            if not together(a, b, places, groups):
                continue
            if together(a, b, conditions, guards):
                return a, b
            if not folded and all(_carried(nest, q, a, b) for q in asked):
                return a, b
    return None


ROW_STRIP, CARRIED, MOSTLY = 16, 64, 0.75
"""Elements of a strip, and of a row that is part of a longer one though strips then meet edges:
columns and their channels, 3 (5x to 18x), 12 or 24 (2x to 3x). Rows of whole strips stay, whose
edges are asked once a row; of 32 or 48, that is a tenth or a fifth slower, and a third less text.
"""


def _carried(nest: Nest, q: Range | Wrap, a: int, b: int) -> bool:
    """Whether a condition may be on rows of b in place of a: it goes along with them, or holds for
    most of a alone, so that strips hardly ask it (`emit.inside`).
    """
    n, m = nest.extents[b], nest.extents[a]
    if q.index.coef(a) == q.index.coef(b) * n:
        return True
    short = n <= ROW_STRIP or (n < CARRIED and n % ROW_STRIP)
    if not short or isinstance(q, Wrap) or q.index.terms not in (((a, 1),), ((a, -1),)):
        return False
    first, last = q.low - q.index.const, q.high - 1 - q.index.const
    if q.index.coef(a) < 0:
        first, last = -last, -first
    return min(m - 1, last) - max(0, first) + 1 >= MOSTLY * m


def _block_axes(nest: Nest, s: Store) -> frozenset[int]:
    """The axes that a partial store folds in blocks."""
    return nest.values[s.value].mask - s.index.axes


def _merge(nest: Nest, a: int, b: int) -> None:
    """Axis a disappears into axis b. A condition on a alone is then one on rows of b."""
    n = nest.extents[b]
    nest.extents[b] *= nest.extents[a]

    def fix(e: Affine) -> Affine:
        return Affine(e.const, tuple(t for t in e.terms if t[0] != a))

    def drop(axes: frozenset[int]) -> frozenset[int]:
        return axes - {a} | {b} if a in axes else axes

    def rows(r: Range) -> Range:
        if a not in r.index.axes or b in r.index.axes:
            return Range(fix(r.index), r.low, r.high)
        sign, k = r.index.coef(a), r.index.const * n
        e = axis(b) * sign + (k if sign > 0 else k + n - 1)  # -(at // n) is (n - 1 - at) // n
        return Range(e, r.low * n, r.high * n)

    def ranges(rs: tuple[Range, ...]) -> tuple[Range, ...]:
        return tuple(map(rows, rs))

    for v in nest.values:
        _rewrite(v, fix, drop, ranges)
    for s in all_stores(nest):
        s.index = fix(s.index)
        s.guards = ranges(s.guards)


def _rewrite(v: Value, fix, drop, ranges) -> None:
    v.mask = drop(v.mask)
    if v.op == "load":
        wraps = tuple(w._replace(index=fix(w.index)) for w in v.attr[3])
        v.attr = (v.attr[0], fix(v.attr[1]), ranges(v.attr[2]), wraps)
    elif v.op == "index":
        v.attr = fix(v.attr)
    elif v.op == "guard":
        v.attr = ranges(v.attr)
    elif v.op == "reduce":
        v.attr = (v.attr[0], drop(v.attr[1]))
    elif v.op == "mad":
        v.attr = drop(v.attr)
    elif v.op == "argreduce":
        v.attr = (v.attr[0], fix(v.attr[1]), drop(v.attr[2]))
    elif v.op == "loop":
        assert isinstance(v.attr, LoopBody)


# ---------------------------------------------------------------- decisions


def schedule(nest: Nest, profile: Profile) -> Schedule:
    """Decide the order and width of a nest whose axes are merged."""
    folded = folded_axes(nest)
    live = sorted(
        {a for v in nest.values for a in v.mask} | {a for s in nest.stores for a in s.index.axes}
    )
    parallel = [a for a in live if a not in folded]
    if profile.schedule == "gpu":
        from lowering import schedule_gpu

        blocks = _partial_blocks(nest)
        found = schedule_gpu.schedule(nest, profile, live, folded, blocks, _vector_axis)
        found.wide = _wide(nest, parallel)
        return found
    if nest.dealt is not None:
        return _dealt(nest, profile, live)
    wide = _wide(nest, parallel)
    cells = None if wide else cells_of(nest, profile, folded)
    if cells is not None:
        return _by_cells(nest, profile, parallel, folded, cells)
    v = _vector_axis(nest, live, folded)
    v = _short_rows(nest, v, parallel) if v in folded else v
    how = abreast.abreast_of(nest, v, parallel, profile) if v in folded else None
    if how is not None:
        return _rows_abreast(nest, parallel, folded, wide, how)
    return _by_strips(nest, profile, parallel, folded, v, wide)


def _by_strips(
    nest: Nest, profile: Profile, parallel: list[int], folded: frozenset[int], v: Any, wide: bool
) -> Schedule:
    """Rows, each in strips along v."""
    again = rests.again(nest) if v in parallel else ""
    width = 1 if v is None else _lanes(nest, v, folded, profile, bool(again), wide)
    if width == 1:
        v = None if v in folded else v
    rows = tuple(a for a in parallel if a != v)
    folds = tuple(sorted(a for a in folded if a != v)) + ((v,) if v in folded else ())
    tile = None if v is None or v not in parallel else tiles.tile_of(nest, v, rows)
    if tile is not None and v is not None:
        width = min(width * 2, tiles.LINE // 4) if width * 2 <= nest.extents[v] else width
    unroll = _unroll(nest, v, folded, width, bool(rows))
    grid = prod(nest.extents[a] for a in rows)
    row_block, strip_block = _blocks(nest, v, parallel, folds, grid, width * unroll)
    strips = 1 if v is None or v in folded else -(-nest.extents[v] // strip_block)
    items = (max(1, -(-grid // row_block)), max(1, strips))
    if tile is not None and v is not None:
        row_block, count = tiles.deal(nest, tile, v, rows, max(1.0, work(nest)))
        items = (count, 1)
    blocks = _partial_blocks(nest)
    if blocks is not None:
        assert not any(folded & set(_block_axes(nest, s)) for s in nest.stores if s.partial)
        items = (blocks, 1)
        if v is not None and v in parallel and not rows and _folds_blocks_of(nest, v):
            items = (1, blocks)
            row_block = max(1, grid)
            step = width * unroll
            strip_block = max(step, -(-nest.extents[v] // blocks))
            strip_block = -(-strip_block // step) * step
        else:
            row_block = max(1, -(-grid // blocks))
            strip_block = nest.extents[v] if v is not None else 1
    placed = (rows, folds, v, width, unroll, row_block, strip_block, items)
    streams = _streams(nest, profile)
    alone = v is not None and v in parallel and not rows and tile is None and blocks is None
    apart = items[1] > 1 or (v is not None and alone and nest.extents[v] >= APART)
    told = {"streams": streams, "wide": wide, "tile": tile, "again": again, "apart": apart}
    return Schedule(*placed, "cpu", 1, **told)


LITTLE = 16  # operations and accesses of an element that asks for its neighbours nothing


def _one_by_one(nest: Nest, v: int) -> bool:
    """Whether a strip would be as many loads and stores as it has lanes, each with its question:
    the margins of an image, a column each.
    """
    if any(abs(e.coef(v)) <= NEAR for e, _ in accesses(nest)) or work(nest) > LITTLE:
        return False
    return any(q.index.coef(v) for q in _conditions(nest))


def _dealt(nest: Nest, profile: Profile, live: list[int]) -> Schedule:
    """An item an owner, strips along the rows that are joined."""
    (st,) = nest.stores
    assert nest.dealt is not None
    along = [a for a in st.index.axes if st.index.coef(a) == 1]
    v = max(along, key=lambda a: nest.extents[a])
    width = _width(nest, v, profile)
    rows = tuple(a for a in live if a != v)
    wide = _wide(nest, live)
    return Schedule(rows, (), v, width, 1, 1, 1, (nest.dealt.owners, 1), "cpu", 1, wide=wide)


def _rows_abreast(
    nest: Nest, parallel: list[int], folded: frozenset[int], wide: bool, how: Abreast
) -> Schedule:
    """A lane a row."""
    v = how.rows
    rows = tuple(a for a in parallel if a != v)
    grid, n = prod(nest.extents[a] for a in rows), nest.extents[v]
    row_block, block = abreast.deal(how, grid, n, max(1.0, work(nest)) * nest.extents[how.axis])
    items = (-(-grid // row_block), -(-n // block))
    folds = (*sorted(folded - {how.axis}), how.axis)
    placed = (rows, folds, v, how.count, 1, row_block, block, items)
    told = {"wide": wide, "abreast": how, "again": rests.again(nest)}
    return Schedule(*placed, "cpu", 1, apart=items[1] > 1 or not rows, **told)


def _by_cells(
    nest: Nest, profile: Profile, parallel: list[int], folded: frozenset[int], cells: Cells
) -> Schedule:
    """Rows of cells, or parts of the one row."""
    v, folds = cells.v, tuple(sorted(folded))
    rows = tuple(a for a in parallel if a != v and a not in cells.inner)
    grid = prod(nest.extents[a] for a in rows)
    row_block, strip_block = _blocks(nest, v, parallel, (*folds, *cells.inner), grid, cells.count)
    strips = -(-nest.extents[v] // strip_block)
    items = (max(1, -(-grid // row_block)), max(1, strips))
    streams = _streams(nest, profile)
    apart = items[1] > 1 or (not rows and nest.extents[v] >= APART)
    placed = (rows, folds, v, 1, 1, row_block, strip_block, items)
    return Schedule(*placed, "cpu", 1, streams=streams, cells=cells, apart=apart)


APART = 32  # elements from which a text has blocks of v, as if there were many


SHORT_ROW, SHORTEST_ROW = 64, 16  # elements of a row: at most, and where nothing else is asked


def _short_rows(nest: Nest, v: int, parallel: list[int]) -> int:
    """The axis of the rows instead of v, along which they fold, where rows are short: lanes are
    rows then; nothing is folded across lanes, or computed for one row at a time.
    """
    n = nest.extents[v]
    rows = [a for a in parallel if nest.extents[a] >= 16 * SHORTEST_ROW]
    plain = ("load", "map", "const", "index", "guard", "reduce", "mad", "argreduce", "alias")
    if n > SHORT_ROW or len(rows) != 1 or any(x.op not in plain for x in nest.values):
        return v
    alone = [x for x in nest.values if x.op == "map" and x.mask == frozenset(rows)]
    heavy = sum(scalar.cost(x.attr) for x in alone) >= 1.5 * n
    searched = any(x.op == "argreduce" for x in nest.values)
    return rows[0] if n < SHORTEST_ROW or heavy or searched else v


def _wide(nest: Nest, parallel: list[int]) -> bool:
    """Whether an axis, the rows together or a buffer have more elements than an int counts."""
    sizes = [*nest.extents, prod(nest.extents[a] for a in parallel)]
    return max([*sizes, *(b.size for b in nest.buffers)]) >= HUGE


def _guards(nest: Nest):
    for v in nest.values:
        if v.op == "load":
            yield v.attr[2]
        elif v.op == "guard":
            yield v.attr
    for s in all_stores(nest):
        yield s.guards


def _streams(nest: Nest, profile: Profile) -> frozenset[int]:
    """Buffers so large that what is written would leave the caches before anyone reads it.

    A store past the caches need not fetch the line it overwrites: a third of a copy's traffic.
    """
    read = {v.attr[0] for v in nest.values if v.op == "load"}
    read |= {s.buffer for s in nest.stores if s.partial or s.dynamic is not None}
    return frozenset(
        k
        for k, b in enumerate(nest.buffers)
        if b.written and k not in read and b.size * b.dtype.itemsize >= profile.l3_bytes // 2
    )


def _folds_blocks_of(nest: Nest, axis: int) -> bool:
    """Whether a partial store folds blocks of this axis."""
    return any(axis in _block_axes(nest, s) for s in nest.stores if s.partial)


def _partial_blocks(nest: Nest) -> int | None:
    """How many blocks the nest's partial stores ask for; all of one nest agree."""
    counts = {nest.buffers[s.buffer].node.shape[0] for s in nest.stores if s.partial}
    assert len(counts) <= 1, counts
    return counts.pop() if counts else None


HALVED_ROW = 96  # elements of a row whose strips may be half as wide, if that leaves fewer
HALVED_ROWS = 64  # rows of which that is worth it
NEAR = 8  # elements apart: lanes that share lines, which the next strip need not fetch again


def _vector_axis(nest: Nest, live: list[int], folded: frozenset[int]) -> int | None:
    """The axis with the most contiguous accesses; longer ones and parallel ones win ties."""
    best, best_score = None, 0.0
    # where nothing lies along an axis: of the rows', that which stores go along, or the longest
    across, across_score = None, (-inf, 0, 0)
    found = [(v.attr[1], v.mask) for v in nest.values if v.op == "load"]
    found += [(s.index, s.index.axes | nest.values[s.value].mask) for s in all_stores(nest)]
    whole = max((prod(nest.extents[a] for a in axes) for _, axes in found), default=1)
    rows = frozenset(live) - folded
    for a in live:
        n = nest.extents[a]
        if n < 2:
            continue
        score = 0.0
        for e, axes in found:
            c = e.coef(a)
            often = axes | rows if axes & folded else axes  # a fold is begun anew for each row
            rare = 8 * prod(nest.extents[k] for k in often) <= whole  # where folds begin or end
            gain = 1.0 if c == 1 else 0.25 if c in (0, -1) else -0.25 if abs(c) <= NEAR else -0.5
            score += gain * (0.1 if rare else 1.0)
        for s in nest.stores:
            often = 8 * prod(nest.extents[k] for k in nest.values[s.value].mask) > whole
            score += (1.0 if often else 0.1) * (s.index.coef(a) == 1)
        apart = n <= tiles.CHANNELS and any(abs(e.coef(a)) > 1 for e, _ in found)
        score *= n / 16 if apart else min(1.0, n / 8)
        score += 0.01 * (a not in folded) + 0.001 * a
        if any(v.op == "loop" and v.attr.axis == a for v in nest.values):
            continue
        if score > best_score:
            best, best_score = a, score
            continue
        near = sum(abs(s.index.coef(a)) <= NEAR for s in nest.stores)
        if a in rows and (round(score, 1), near, n) > across_score:
            across, across_score = a, (round(score, 1), near, n)
    return best if best is not None else across


def _lanes(
    nest: Nest, v: int, folded: frozenset[int], profile: Profile, again: bool, wide: bool
) -> int:
    """Lanes of a strip, 1 where there are none."""
    if wide and any(len(e) for e in _guards(nest)):
        return 1  # guards of strips are 32-bit lanes
    if v not in folded and _one_by_one(nest, v):
        return 1
    columns = v not in folded and prod(nest.extents[a] for a in folded) > FEW
    return _width(nest, v, profile, columns, again)


def _width(nest: Nest, v: int, profile: Profile, columns: bool = False, again: bool = False) -> int:
    """Lanes of a strip: a full register of the widest common type, no more than the axis has."""
    sizes = [x.dtype.itemsize for x in nest.values if x.dtype.kind != "b" and v in x.mask]
    width = profile.lanes(max([4, *sizes]))
    if columns or work(nest) > 40:  # four lines of a row; long chains overlap (1.2x on AVX2)
        width = min(16, 2 * width)
    n = nest.extents[v]
    while width > n:
        width //= 2
    fewer = width == 16 and n < HALVED_ROW and n // 8 + n % 8 < n // 16 + n % 16
    fewer = fewer and not again
    if fewer and prod(nest.extents) >= HALVED_ROWS * n:  # a batch alone has one text for all sizes
        width = 8  # what strips leave of a row goes one by one
    return max(1, width)


def _unroll(
    nest: Nest, v: int | None, folded: frozenset[int], width: int, rows: bool = True
) -> int:
    """Independent strips in flight: folds need several accumulators, loops several chains. What is
    left over of all strips goes one by one, which tells where there are `rows`.
    """
    if v is None or width == 1:
        return 1
    if any(x.op == "cumscan" and x.attr[1] == v for x in nest.values):
        return 1
    if not folded and not any(st.partial and not st.index.axes for st in nest.stores):
        return 1
    if v not in folded and work(nest) > 30 and _lane_by_lane(nest, v):
        return 1
    if v not in folded and folded and prod(nest.extents[a] for a in folded) <= FEW:
        return 1
    heavy = work(nest) > 60 or 4 * _stored_columns(nest, v, folded) * width > MOST_PANEL
    strips = nest.extents[v] // width
    choices = (2, 1) if heavy else (4, 2, 1)
    if v not in folded and _runs_alone(nest):
        choices = tuple(u for u in WIDE_STRIPS if strips >= 4 * u) or (1,)
    enough = 2 if v in folded and work(nest) <= LIGHT else 16
    for u in choices:
        if strips >= u and (not rows or strips % u == 0 or strips >= enough * u or u == WIDE):
            return u
    return 1


LIGHT = 4.0
"""Operations an element of a row that is folded, below which its strips wait for each other."""


FEW = 4
"""Rows that are folded before the next columns come: a processor overlaps these by itself."""

WIDE = 8
WIDE_STRIPS = (WIDE, 4, 2, 1)
"""Strips side by side where columns run from end to end, each row a store: half a KB of a row. What
is left of `WIDE` goes strip by strip first."""


def _runs_alone(nest: Nest) -> bool:
    """Whether running folds are all that is gathered here, and little else is computed."""
    gathered = {v.op for v in nest.values} - {"load", "const", "map", "index", "alias"}
    return gathered == {"cumscan"} and work(nest) <= 20


def _stored_columns(nest: Nest, v: int, folded: frozenset[int]) -> int:
    """Bytes of a column that is folded and then stored: what its strips may keep meanwhile."""
    if v in folded or not any(s.index.axes & folded for s in nest.stores):
        return 0
    return 4 * prod(nest.extents[a] for a in folded)


def _lane_by_lane(nest: Nest, v: int) -> bool:
    """Whether strips are read or written lane by lane at several places: enough is in flight, and
    the text is long.
    """
    loads = [x.attr[1] for x in nest.values if x.op == "load"]
    return sum(abs(e.coef(v)) > 1 for e in (*loads, *(st.index for st in nest.stores))) > 1


def _blocks(nest, v, parallel, folds, grid, step) -> tuple[int, int]:
    """Rows and strip elements an item does: about 30,000 units of work, never more than 256 items'
    worth of overhead.
    """
    inner = prod(nest.extents[a] for a in folds)
    cost = max(1.0, work(nest))
    target = 65536.0
    n = nest.extents[v] if v is not None and v in parallel else 1
    per_row = max(1.0, cost * inner * n)
    if grid >= 16 or n <= step:
        row_block = max(1, min(grid, int(target / per_row) or 1, -(-grid // 4)))
        row_block = max(row_block, -(-grid // 1024))
        if grid >= 4:
            return row_block, max(n, 1)
    per_element = max(1.0, cost * inner)
    strip = max(step, int(target / per_element) // step * step)
    strip = max(strip, -(-n // 1024 // step) * step if step else strip)
    return 1, min(max(strip, step), -(-n // step) * step) if n > 1 else 1
