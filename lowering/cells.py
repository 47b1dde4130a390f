"""Cells: nests whose results lie in memory as small blocks, one for each element of an axis `v`.

Matrices of 3 x 3, points of four coordinates, repeated elements: the axes inside of a block are
shorter than a register, so lanes run over the block and on into the next ones, in the order of
memory. What the lanes read is a pattern of elements near each other: whole vectors are loaded and
their lanes chosen (docs/why/cells.md). In: a nest; out: its axes, and where those vectors begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import inf, prod

import numpy as np

from lowering import scalar
from lowering.affine import Affine
from lowering.nest import Nest, Value
from lowering.profile import Profile

PLAIN = ("load", "const", "map", "reduce", "mad", "alias", "index")
NUMBERS = ("float32", "int32", "uint32")
MOST_VALUES = 64
MOST_TEXT = 1500  # loads and choices of lanes that are written out
MOST_VECTORS = 64  # of a cell's results
MOST_WINDOWS = 12  # vectors from which the lanes of one are chosen
LEAST = 16  # elements of the axis: below, nothing is won
HEAVY = 10.0  # operations of what is not computed for each element of a large block
LOADS = 1.5  # what an unaligned load costs, in choices of lanes

Frame = tuple[int, int]
Lanes = tuple[int, ...]
"""Where the lanes of a vector read, in elements from the cell's first place."""


Place = dict[int, int]
"""The number of each axis at a lane."""


@dataclass(frozen=True, slots=True)
class Cells:
    """`count` elements of v, each a block over the axes `inner` (outermost first), fill `vectors`
    registers of `lanes`, of which the last one may begin within the one before. `windows` says by
    load value, frame and pattern where vectors begin that the pattern reads.

    With `spread`, the axis that is folded runs along lanes, too: vector u has a frame for each
    of its elements, (u, 0) and so on, whose lanes are then folded in groups; without it, each has
    the one frame (u, -1) at each point of the folded axes.
    """

    v: int
    inner: tuple[int, ...]
    lanes: int
    count: int
    vectors: int
    spread: int | None
    windows: dict[tuple[int, Frame, Lanes], tuple[int, ...]]

    def places(self, nest: Nest) -> dict[Frame, list[Place]]:
        """For each frame and lane, the number of each axis of the cell."""
        sizes = [nest.extents[a] for a in self.inner]
        flat = [
            dict(zip((self.v, *self.inner), at, strict=True))
            for at in product(range(self.count), *map(range, sizes))
        ]
        w, found = self.lanes, {}
        for u in range(self.vectors):
            found[u, -1] = here = flat[self.start(u, nest) :][:w]
            if self.spread is not None:
                n = nest.extents[self.spread]
                wide = [p | {self.spread: k} for p in here for k in range(n)]
                found |= {(u, j): wide[j * w : j * w + w] for j in range(n)}
        return found

    def start(self, u: int, nest: Nest) -> int:
        """The first result of vector u."""
        size = self.count * prod(nest.extents[a] for a in self.inner)
        return min(u * self.lanes, size - self.lanes)


def lanes_of(e: Affine, places: list[Place], at: Place) -> Lanes:
    """Where a vector's lanes read, folded axes being `at`."""
    folded = sum(e.coef(a) * n for a, n in at.items())
    return tuple(sum(e.coef(a) * n for a, n in p.items()) + folded for p in places)


def points(nest: Nest, axes: frozenset[int]) -> list[Place]:
    """Every point of these axes, in order."""
    order = sorted(axes)
    return [
        dict(zip(order, at, strict=True))
        for at in product(*(range(nest.extents[a]) for a in order))
    ]


def cells_of(nest: Nest, profile: Profile, folded: frozenset[int]) -> Cells | None:
    """The cells of a nest, or None where another schedule is as good."""
    width = profile.lanes(4)
    axes = _block(nest, width, folded)
    if axes is None:
        return None
    v, inner = axes
    block = prod(nest.extents[a] for a in inner)
    spreads = _spreads(nest, folded)
    if folded and nest.extents[inner[-1]] == width:
        ways = spreads  # strips along the rows do as well
    else:
        ways = (None, *spreads)
    for count in _counts(block, width, nest, folded):
        if nest.extents[v] < 4 * count and nest.extents[v] % count:
            continue
        made = [Cells(v, inner, width, count, -(-count * block // width), s, {}) for s in ways]
        costs = [_windows(nest, cells, folded) for cells in made]
        if min(costs, default=inf) <= MOST_TEXT:
            return made[costs.index(min(costs))]
    return None


def _counts(block: int, width: int, nest: Nest, folded: frozenset[int]) -> list[int]:
    """How many blocks a cell may have, best first: few lanes twice, and little text."""
    again = _may_repeat(nest, folded)
    found = []
    for count in range(1, 8 * width + 1):
        vectors = -(-count * block // width)
        whole = count * block % width == 0
        if count * block >= width and vectors <= MOST_VECTORS and (whole or again):
            found.append((vectors * width / (count * block) * (1 + vectors / 50), count))
    return [count for _, count in sorted(found)]


def _may_repeat(nest: Nest, folded: frozenset[int]) -> bool:
    """Whether results may be computed twice: none can stand where it is read."""
    written = {st.index.terms for st in nest.stores}
    return bool(folded) or not any(
        v.op == "load" and v.attr[1].terms in written for v in nest.values
    )


def _spreads(nest: Nest, folded: frozenset[int]) -> tuple[int, ...]:
    """The one axis that all folds go along, if no fold takes another one's result."""
    folds = [v for v in nest.values if v.op in ("reduce", "mad")]
    if len(folded) != 1 or any(
        nest.values[k].op in ("reduce", "mad") or not nest.values[k].mask & folded
        for v in folds
        for k in v.args
    ):
        return ()
    (axis,) = folded
    below = {k for v in folds for k in v.args}
    while more := {a for k in below for a in nest.values[k].args} - below:
        below |= more
    return (axis,) if not any(nest.values[k].op in ("reduce", "mad") for k in below) else ()


def _block(nest: Nest, width: int, folded: frozenset[int]) -> tuple[int, tuple[int, ...]] | None:
    """The axis and the shorter ones inside of it along which all stores write in one piece."""
    if width < 8 or not nest.stores or len(nest.values) > MOST_VALUES:
        return None
    if any(v.op not in PLAIN or not _plain(v) for v in nest.values):
        return None
    if prod(nest.extents[a] for a in folded) > width:
        return None
    first = nest.stores[0].index
    for st in nest.stores:
        special = st.partial or st.join or st.dynamic is not None or st.guards
        if special or st.index.terms != first.terms:
            return None
        if nest.buffers[st.buffer].dtype.name not in NUMBERS:
            return None
    if not folded.isdisjoint(first.axes) or not any(v.op == "load" for v in nest.values):
        return None
    inner: list[int] = []
    step = 1
    while True:
        found = [a for a, c in first.terms if c == step]
        if len(found) != 1:
            return None
        a = found[0]
        n = nest.extents[a]
        if n >= LEAST and (inner or n > width):
            break
        if step * n > MOST_VECTORS * width or (not inner and n > width):
            return None
        inner.insert(0, a)
        step *= n
    again = step > 2 * width and any(  # once for the whole block is less
        v.op == "map" and scalar.cost(v.attr) >= HEAVY and not v.mask >= set(inner)
        for v in nest.values
    )
    return (a, tuple(inner)) if inner and not again else None


def _plain(v: Value) -> bool:
    if v.op == "const":
        return True
    if v.op == "load" and (v.args or v.attr[2] or v.attr[3]):
        return False
    return v.dtype.name in NUMBERS or (v.op == "map" and v.dtype == np.bool_)


def _windows(nest: Nest, cells: Cells, folded: frozenset[int]) -> float:
    """Choose the windows of all loads; what loads and choices of lanes cost, infinity where an
    array's part is shorter than a register or lanes come from too many.
    """
    own = frozenset((cells.v, *cells.inner))
    frames = cells.places(nest)
    total = 0.0
    for k, v in enumerate(nest.values):
        if v.op != "load" or not v.mask & own:
            continue
        spread = cells.spread in v.mask
        at = [{}] if spread else points(nest, v.mask & folded)
        used = [(f, p) for f, p in frames.items() if (f[1] >= 0) == spread]
        patterns = {(f, lanes_of(v.attr[1], p, x)) for f, p in used for x in at}
        every = [place for _, p in patterns for place in p]
        region = (min(every), max(every) + 1)
        asked = {(f, p) for f, p in patterns if not _simple(p)}
        total += LOADS * len({p for _, p in patterns if _simple(p)})
        if not asked:
            continue
        if region[1] - region[0] < cells.lanes:
            if v.attr[1].coef(cells.v):
                return inf
            continue
        starts, cost = _cheapest(asked, region, cells.lanes)
        if max(map(len, starts.values())) > MOST_WINDOWS:
            return inf
        total += cost
        cells.windows.update({(k, f, p): found for (f, p), found in starts.items()})
    if cells.spread is not None:
        folds = sum(v.op in ("reduce", "mad") for v in nest.values)
        total += folds * cells.vectors * fold_cost(nest.extents[cells.spread])
    return total


def fold_cost(n: int) -> int:
    """Choices of lanes where elements side by side are folded in groups of n."""
    cost = 0
    for p in factors(n):
        cost, n = cost + n * (p - 1), n // p
    return cost


def factors(n: int) -> list[int]:
    """The prime factors of n, in order."""
    found = []
    while n > 1:
        found.append(next(p for p in range(2, n + 1) if n % p == 0))
        n //= found[-1]
    return found


def _simple(p: Lanes) -> bool:
    """One element in all lanes, or one after the other."""
    return len(set(p)) == 1 or p == tuple(range(p[0], p[0] + len(p)))


def _cheapest(
    asked: set[tuple[Frame, Lanes]], region: tuple[int, int], width: int
) -> tuple[dict[tuple[Frame, Lanes], tuple[int, ...]], float]:
    """Where the vectors begin that each pattern is chosen from: of a grid over the whole part of
    the array, of one over what a vector's patterns read, or each where the pattern needs it.
    """
    low, last = region[0], region[1] - width

    def grid(start: int, place: int) -> int:
        return min(start + (place - start) // width * width, last)

    def covering(p: Lanes) -> tuple[int, ...]:
        found: list[int] = []
        for place in sorted(set(p)):
            if not found or place >= found[-1] + width:
                found.append(min(place, last))
        return tuple(found)

    begin: dict[Frame, int] = {}
    for u, p in asked:
        begin[u] = min(begin.get(u, p[0]), *p)
    ways = [
        {(u, p): tuple(sorted({grid(low, x) for x in p})) for u, p in asked},
        {(u, p): tuple(sorted({grid(begin[u], x) for x in p})) for u, p in asked},
        {(u, p): covering(p) for u, p in asked},
    ]

    def cost(way: dict[tuple[Frame, Lanes], tuple[int, ...]]) -> float:
        loads = {start for starts in way.values() for start in starts}
        return LOADS * len(loads) + sum(max(1, len(starts) - 1) for starts in way.values())

    best = min(ways, key=cost)
    return best, cost(best)
