"""The GPU's schedule: work-items are the lanes, and one of four shapes says what an item does.

    flat      an item a point of the parallel axes, folds run inside the item
    strips    a group a row and a run of v, an item an element of it, folds run inside the item
    columns   partial results by column: an item folds its column over a block of rows in a register
    group     a group a row (or a block of rows): items stride along v and meet in local memory

Consecutive items have consecutive v, the contiguous axis. Sizes follow from the shapes alone,
unless the device has fewer than 256 items in a group.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from lowering.nest import Nest, Value
from lowering.profile import Profile
from lowering.schedule import Schedule

GROUP = 256  # items in a group, at most
SHORT_FOLD = 32  # a fold of fewer elements stays inside one item
FEW_POINTS = 1024  # fewer parallel points than this do not fill a device: groups share their folds

Score = Callable[[Nest, list[int], frozenset[int]], int | None]


def schedule(
    nest: Nest,
    profile: Profile,
    live: list[int],
    folded: frozenset[int],
    blocks: int | None,
    contiguous: Score,
) -> Schedule:
    """The shape and sizes of a nest; `contiguous` names the axis most accesses walk along."""
    most = min(GROUP, profile.max_group)
    v = contiguous(nest, live, folded)
    if blocks is not None:
        return _partial(nest, live, folded, blocks, v, most)
    if any(x.op == "loop" for x in nest.values):
        return _item(nest, live, folded, v, most)
    n = prod(nest.extents[a] for a in live if a not in folded)
    long = [a for a in folded if nest.extents[a] >= SHORT_FOLD]
    if v is not None and v in folded and v in long:
        return _group(nest, live, folded, v, most)
    if long and n < FEW_POINTS:
        best = max(long, key=lambda a: nest.extents[a])
        if nest.extents[best] >= 4 * SHORT_FOLD:
            return _group(nest, live, folded, best, most)
    return _item(nest, live, folded, v, most)


def _power(n: int, low: int, high: int) -> int:
    """The smallest power of two that is at least n, between low and high."""
    size = 1
    while size < low or (size < n and size * 2 <= high):
        size *= 2
    return size


def _item(nest, live, folded, v, most) -> Schedule:
    """A point of the parallel axes per item."""
    parallel = [a for a in live if a not in folded]
    if v is None or v in folded:
        v = max(parallel, key=lambda a: (nest.extents[a], a), default=None)
    rows = tuple(a for a in parallel if a != v)
    folds = tuple(sorted(folded))
    grid = prod(nest.extents[a] for a in rows)
    n = nest.extents[v] if v is not None else 1
    local = _power(n if n > most // 2 else grid * n, min(32, most), most)
    if v is None or n < local // 2 or (n % local and n < 2 * local):
        groups = max(1, -(-grid * n // local))
        return Schedule(rows, folds, v, 1, 1, 1, 1, (groups, 1), "gpu", local, "flat")
    per = 4 if not folded and grid * n >= 1 << 20 else 1
    while per > 1 and n < 2 * per * local:
        per //= 2
    strip = local * per
    return Schedule(
        rows, folds, v, 1, 1, 1, strip, (max(1, grid), -(-n // strip)), "gpu", local, "strips"
    )


def _group(nest, live, folded, v, most) -> Schedule:
    """A row per group, the items along the folded axis v."""
    rows = tuple(a for a in live if a not in folded)
    folds = (*sorted(a for a in folded if a != v), v)
    grid = prod(nest.extents[a] for a in rows)
    n = nest.extents[v]
    wanted = n if grid < 64 else -(-n // 4)  # many rows fill the device with fewer items each
    local = _power(wanted, min(32, most), most)
    return Schedule(rows, folds, v, 1, 1, 1, n, (max(1, grid), 1), "gpu", local, "group")


def _partial(nest, live, folded, blocks, v, most) -> Schedule:
    """Blocks of partial results: a group (or, by columns, several) per block."""
    stores = [s for s in nest.stores if s.partial]
    parallel = [a for a in live if a not in folded]
    kept = frozenset().union(*(s.index.axes for s in stores))
    blocked = [a for a in parallel if a not in kept]
    if v in parallel and all(s.index.axes == {v} for s in stores) and nest.extents[v] >= SHORT_FOLD:
        rows = tuple(a for a in parallel if a != v)
        local = _power(nest.extents[v], min(32, most), most)
        grid = prod(nest.extents[a] for a in rows)
        items = (blocks, -(-nest.extents[v] // local))
        block = -(-grid // blocks)
        return Schedule(
            rows, tuple(sorted(folded)), v, 1, 1, block, local, items, "gpu", local, "columns"
        )
    if v is None or (nest.extents[v] < SHORT_FOLD and v not in folded):
        v = max(blocked or parallel, key=lambda a: nest.extents[a], default=v)
    for s in stores:
        if v is not None and s.index.axes and v not in s.index.axes:
            _fold_first(nest, s, v)
    rows = tuple(a for a in parallel if a != v)
    folds = (*sorted(a for a in folded if a != v), *(() if v is None else (v,)))
    grid = prod(nest.extents[a] for a in rows)
    n = nest.extents[v] if v is not None else 1
    split_v = v in blocked and grid < blocks
    row_block = max(1, grid) if split_v else -(-grid // blocks)
    strip = -(-n // blocks) if split_v else n
    items = (1, blocks) if split_v else (blocks, 1)
    local = _power(strip, min(32, most), most)
    return Schedule(rows, folds, v, 1, 1, row_block, strip, items, "gpu", local, "group")


def _fold_first(nest: Nest, store, v: int) -> None:
    """Fold a partial store's value over v first, so that one item adds it to the block's result."""
    x = nest.values[store.value]
    if v not in x.mask:
        return
    attr = (store.partial, frozenset({v}))
    nest.values.append(Value("reduce", (store.value,), x.dtype, x.mask - {v}, attr))
    store.value = len(nest.values) - 1
