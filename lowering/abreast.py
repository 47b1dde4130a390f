"""Rows abreast: whether several rows are folded at once, with what they share read once.

Row by row, a matrix times a vector reads both for each multiplication, adds up the lanes of each
row by itself, and computes what follows one number at a time. Eight rows side by side read the
vector once, and end as a register of eight results (docs/why/rows-abreast.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from lowering import scalar
from lowering.nest import Nest, Value
from lowering.profile import Profile

ROWS = 8  # abreast at most: sums in registers, half of AVX2's
MOST_WORK = 8.0  # operations an element, all of whose texts are written for each row
MOST_BYTES = 1 << 22  # of what is read row by row: memory gives larger arrays no faster
LONGEST = 1 << 15  # bytes of a row: one by one, cores have more of them to share
UNITS, LEAST = 65536.0, 16384.0  # of work an item should have, and has at least
PLAIN = frozenset({"load", "map", "const", "index", "alias", "reduce", "mad"})
FEW = 16  # elements of a row that something else folds, which lanes read far apart
OPS = ("add", "max", "min")


@dataclass(frozen=True, slots=True)
class Abreast:
    """Rows along one axis, `count` at once, in strips of `width` lanes along the folded one."""

    rows: int
    count: int
    axis: int
    width: int


def abreast_of(nest: Nest, v: int, parallel: list[int], profile: Profile) -> Abreast | None:
    """How the rows of a nest that folds along `v` go abreast; None where they go one by one."""
    gathered = [x for x in nest.values if x.op in ("reduce", "mad")]
    folds = [x for x in gathered if v in x.folded]
    width = profile.lanes(max((x.dtype.itemsize for x in folds), default=4))
    if width < 4 or nest.extents[v] < width or any(x.op not in PLAIN for x in nest.values):
        return None
    # what lanes fold, each its row's
    others = frozenset().union(*(x.folded for x in gathered)) - {v}
    if prod(nest.extents[a] for a in others) > FEW or not all(_sums(nest, x, v) for x in folds):
        return None
    inside = _inside(nest, folds)
    if any(nest.values[k].op in ("reduce", "mad", "index") for k in inside):
        return None
    work = sum(scalar.cost(x.attr) for k in inside if (x := nest.values[k]).op == "map")
    if work + len(folds) > MOST_WORK or not _stores_of_rows(nest, v):
        return None
    for a in sorted(parallel, reverse=True):
        if nest.extents[a] >= ROWS and _shared(nest, folds, inside, a, v):
            return Abreast(a, min(ROWS, width), v, width)
    return None


def _sums(nest: Nest, x: Value, v: int) -> bool:
    """Whether a fold is one along v alone, of numbers that registers hold as they are."""
    kinds = {x.dtype, *(nest.values[a].dtype for a in x.args)}
    return x.folded == {v} and x.fold in OPS and len(kinds) == 1 and x.dtype.char in "fd"


def _inside(nest: Nest, folds: list[Value]) -> set[int]:
    """The values that the folds are made of."""
    found: set[int] = set()
    todo = [a for x in folds for a in x.args]
    while todo:
        k = todo.pop()
        if k not in found:
            found.add(k)
            todo += nest.values[k].args
    return found


def _stores_of_rows(nest: Nest, v: int) -> bool:
    """Whether all that is stored is one number a row."""
    return all(
        st.partial is None
        and st.dynamic is None
        and v not in st.index.axes | nest.values[st.value].mask
        for st in nest.stores
    )


def _shared(nest: Nest, folds: list[Value], inside: set[int], a: int, v: int) -> bool:
    """Whether rows along `a` have something in common, and nothing but their elements alone: small
    arrays, in one piece along v.
    """
    loads = [x for k in inside if (x := nest.values[k]).op == "load"]
    own = [x for x in loads if a in x.mask]
    shared = [x for x in loads if a not in x.mask and v in x.mask]
    if not own or not shared or any(a not in x.mask for x in folds):
        return False
    if any(a in nest.values[k].mask and v not in nest.values[k].mask for k in inside):
        return False
    for x in loads:
        if x.args or x.attr[2] or x.attr[3] or x.attr[1].coef(v) not in (0, 1):
            return False
    if len({x.dtype for k in inside if v in (x := nest.values[k]).mask}) > 1:
        return False
    item = loads[0].dtype.itemsize
    size = sum(prod(nest.extents[b] for b in x.mask) for x in own) * item
    return size <= MOST_BYTES and nest.extents[v] * item <= LONGEST


def deal(how: Abreast, grid: int, n: int, cost: float) -> tuple[int, int]:
    """How many sets of n rows, and how many rows of one, an item does, where a row costs so much:
    eight items of few sets, that cores share evenly, if there is work for so many.
    """
    strips, cost = -(-n // how.count), cost * how.count
    if grid >= 4:
        block = max(1, int(UNITS / cost / strips))
        return max(min(block, -(-grid // 4)), -(-grid // 1024)), n
    least = max(LEAST / cost, strips / 1024)
    return 1, how.count * ceil(max(min(UNITS / cost, strips / 8), least))
