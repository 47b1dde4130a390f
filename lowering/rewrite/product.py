"""Product: a Contract of numbers becomes a `Product` over (outer, M, N) whose operands are read by
strides or packed.

`make` is called for each Contract (`contract`) and Conv (`convolve`) whose operands' strides are
known; None where the generic nest is as good. An operand with strides is read in place, or copied
into panels by the kernel itself; any other is written once as panels (`Packed`, an elementwise nest
that also computes the operand). What consumes the product element by element runs on its tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd, prod

import numpy as np

from lowering import affine
from lowering import graph as g
from lowering.affine import Affine, Range
from lowering.build import folds as build_folds
from lowering.build import group as build
from lowering.build import views as build_views
from lowering.profile import Profile
from lowering.rewrite import strided
from lowering.rewrite.strided import Axis, Side

MIN_FLOPS = 1 << 13  # below it the generic nest costs less than a tile's frame
TINY = 1 << 12  # of a product of few rows in a batch, below which a tile's frame costs more
MIN_PADDED = 1 << 12  # elements of A from which fewer columns than a vector are padded to one
MIN_WIDENED = 1 << 17  # elements from which short integers are widened, a pass of its own
SHORT = tuple(map(np.dtype, (np.int8, np.uint8, np.int16, np.uint16)))
QUAD = 4  # integers of 8 bits in a lane
LEAST_QUADS = 1 << 18  # products of a matrix from which they are packed by fours
SIDE = 16  # a GPU's group is SIDE x SIDE items
K_SLAB = 16  # of k that pass through local memory at a time
K_BLOCK = 256  # a B panel of this many rows stays in the first-level cache
STREAMED_ROWS, STREAM_BYTES = 4, 8192  # of A that B is streamed past, of B's rows at a time
FEW = 2  # tiles of rows up to which B is streamed through: each element is used once or twice
MANY = 96  # rows (of B: columns) from which panels are filled even of what is near
L1_SETS, L1_WAYS, LINE = 64, 6, 64  # of a first-level cache; two ways are for the rest
PAGES = 1 << 17  # bytes whose pages a core surely keeps the addresses of


# ---------------------------------------------------------------- the forms


@dataclass(frozen=True, slots=True)
class Access:
    """Where an operand's element lies, in elements from `start`: strides of the outer axes, then
    the lanes (rows of A, columns of B) and k, each one or several axes walked as one.

    Packed panels are `tile` apart and padded with zeros: lanes beyond the edge may be read.
    `panel`: the kernel copies the elements into panels of its own, block by block; it widens
    narrow numbers there, and where rows are streamed.
    """

    start: int
    outer: tuple[int, ...]
    lanes: tuple[Axis, ...]
    ks: tuple[Axis, ...]
    packed: bool = False
    tile: int = 0
    panel: bool = False

    @property
    def lane(self) -> int | None:
        """The stride of the lanes, None if they have several."""
        return self.lanes[0][1] if len(self.lanes) == 1 else None

    @property
    def k(self) -> int | None:
        """The stride of k, None if it has several."""
        return self.ks[0][1] if len(self.ks) == 1 else None

    def by_quads(self) -> Access:
        """The same where four elements along k count as one."""
        ((n, step),) = self.ks
        return replace(self, ks=((n // QUAD, QUAD * step),), panel=True)


@dataclass(frozen=True, slots=True)
class Packed:
    """args (x [*outer, R, K]): panels [*outer, ceil(R / tile), K, tile] in the node's dtype."""

    tile: int


@dataclass(frozen=True, slots=True)
class Product:
    """args (a, b): the sum over k of A[*outer, m, k] B[*outer, k, n], an array [*outer, M, N].

    It is computed in register tiles of `rows` by `columns`, each sum in the order of k; or, with
    `streamed`, a few rows of B at a time are added to the sums of all of A's rows.
    With `quads`, k counts fours of 8-bit integers, whose products one instruction adds to a sum;
    it says which of A and B are (u)nsigned, which (s)igned.
    """

    k: int
    rows: int
    columns: int
    a: Access
    b: Access
    streamed: bool = False
    quads: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """A product's tile in its kernel, as the epilogue's nest sees it: an array of the whole."""


def _packed_rule(b: build.NestBuilder, node: g.Node, index, guards) -> int:
    (x,) = node.args
    *outer, tile, k, lane = index
    row = tile * node.form.tile + lane
    open_, _ = b.decide((Range(row, 0, x.shape[-2]),))
    v = b.value(x, (*outer, row, k), tuple(dict.fromkeys((*guards, *open_))))
    if x.dtype != node.dtype:
        v = b.map("convert", v, dtype=node.dtype)
    if not open_ or (x.dtype == node.dtype and build_views.reads_zero_outside(b, v, open_)):
        return v
    return b.guarded(open_, v, b.const(0, node.dtype), node.dtype)


def _product_rule(b: build.NestBuilder, node: g.Node, index, guards) -> int:
    key = ("tile", id(node))
    tile = b.memo.get(key)
    if tile is None:
        tile = b.memo[key] = g.Node(Tile(), (node,), node.shape, node.dtype)
    return b.load(tile, affine.linearize(index, node.shape), guards)


build.RULES[Packed] = _packed_rule
build.RULES[Product] = _product_rule


# ---------------------------------------------------------------- axes and operands


@dataclass(slots=True)
class Space:
    """The axes of a product by number: `extents` of all of them, and which play which part."""

    extents: list[int]
    outer: tuple[int, ...]
    m: tuple[int, ...]
    n: tuple[int, ...]
    k: tuple[int, ...]

    def size(self, axes: tuple[int, ...]) -> int:
        return prod(self.extents[a] for a in axes)

    def axis(self, a: int) -> Affine:
        return strided.axis(a, self.extents)


class NoView(Exception):
    """An operand would have to be copied, and has no view to copy from."""


@dataclass(slots=True)
class Operand:
    """An operand: where it stands in memory, if it does, and a view of it as [*outer, lane, k]
    (which raises NoView where there is none).
    """

    side: Side | None
    flat: Callable[[], g.Node]


def worthwhile(dtype: np.dtype, args: tuple[g.Node, ...]) -> np.dtype | None:
    """The dtype in which a product of these operands accumulates, or None: not by this form."""
    acc = build_folds.accumulator(dtype)
    whole = acc.kind in "iu"
    if whole and acc.itemsize < 4 and sum(a.size for a in args) >= MIN_WIDENED:
        acc = np.dtype(np.int32)  # its lower bits are the same
    if (acc.kind, acc.itemsize) not in (("f", 4), ("f", 8), ("i", 4), ("u", 4)):
        return None
    kinds = "iu" if whole else "fV"
    if any(a.dtype.kind not in kinds or a.dtype.itemsize > acc.itemsize for a in args):
        return None
    return acc


def widens(dtype: np.dtype, acc: np.dtype) -> bool:
    """Whether a product that accumulates in `acc` reads elements of `dtype` as they stand."""
    if dtype == acc or build_folds.accumulator(dtype) == acc:
        return True
    short = dtype.kind in "iu" and dtype in SHORT
    return short and acc.itemsize == 4 and np.can_cast(dtype, acc, "safe")


# ---------------------------------------------------------------- the decision


def make(
    b: g.Builder,
    space: Space,
    left: Operand,
    right: Operand,
    acc: np.dtype,
    profile: Profile,
    scattered: bool = False,
) -> g.Node | None:
    """The product [*outer, M, N] of two operands, or None where the generic nest should do it.

    `scattered`: A may be read in place even where its k jumps about (it is read over and over).
    """
    if profile.schedule == "gpu":
        if acc.kind != "f":
            return None
        return _make_gpu(b, space, left, right, acc, profile)
    turned = _turned(space, left, right, profile.lanes(acc.itemsize))
    for turn in (True, False) if turned else (False,):
        try:
            return _made(b, space, left, right, acc, profile, scattered, turn)
        except NoView:
            continue
    return None


def _made(
    b: g.Builder,
    space: Space,
    left: Operand,
    right: Operand,
    acc: np.dtype,
    profile: Profile,
    scattered: bool,
    turned: bool,
) -> g.Node | None:
    """The product on a CPU, or its transpose by the operands in the other order."""
    width = profile.lanes(acc.itemsize)
    if turned:
        space = Space(space.extents, space.outer, space.n, space.m, space.k)
        left, right = right, left
    m, n, k = space.size(space.m), space.size(space.n), space.size(space.k)
    outer = tuple(space.extents[a] for a in space.outer)
    if k < 4 or 2 * m * n * k * prod(outer) < MIN_FLOPS or not m:
        return None
    if m <= 3 and m * m * k * n <= TINY and prod(outer) > 1:
        return None
    if n < width and (n < 2 or m < 4 * width or m * k < MIN_PADDED or k < 32):
        return None
    rows, columns = tile_shape(m, n, width, profile)
    a_node, a = _left(b, space, left, rows, acc, scattered)
    c_node, c = _right(b, space, right, rows, columns, acc)
    streamed = _streamed(m, n, k, a, c, acc.itemsize, profile)
    if streamed:
        rows = -(-m // -(-m // STREAMED_ROWS))
        if a.packed:  # in tiles of other rows than these
            a_node, a = _pack(b, left.flat(), rows, acc)
        a = replace(a, panel=False)
        columns = min(n, STREAM_BYTES // (1 if rows < 3 else 2) // acc.itemsize) // width * width
    elif c_node.dtype != acc:
        c = replace(c, panel=True)
    quads = "" if streamed else _quads(a, c, (a_node, c_node), acc, (m, n, k), profile)
    if quads:
        k, a, c = k // QUAD, a.by_quads(), c.by_quads()
    form = Product(k, rows, columns, a, c, streamed, quads)
    z = b.node(form, (a_node, c_node), (*outer, m, n), acc)
    last = len(outer)
    return b.transpose(z, (*range(last), last + 1, last)) if turned else z


def _quads(
    a: Access,
    c: Access,
    nodes: tuple[g.Node, g.Node],
    acc: np.dtype,
    sizes: tuple[int, int, int],
    profile: Profile,
) -> str:
    """The signs of operands of 8-bit integers that stand where fours along k can be packed; empty
    if they are others.
    """
    found = _signs(nodes[0].dtype, nodes[1].dtype)
    single = all(len(x.ks) == 1 and len(x.lanes) == 1 and not x.packed for x in (a, c))
    if acc != np.int32 or not single or not found or not sums_quads(sizes, profile):
        return ""
    return found if all(1 in (x.lane, x.k) for x in (a, c)) else ""


def _signs(x: np.dtype, y: np.dtype) -> str:
    """As `Product.quads` has them."""
    signs = {"int8": "s", "uint8": "u"}
    return signs[x.name] + signs[y.name] if x.name in signs and y.name in signs else ""


def sums_quads(sizes: tuple[int, int, int], profile: Profile) -> bool:
    """Whether the processor adds four products of 8-bit integers to each lane by one instruction,
    and a product of these sizes (rows, columns, k) has enough of them.
    """
    m, n, k = sizes
    able = profile.driver == "pocl" and {"avx512f", "avx512_vnni"} <= profile.features
    return able and k % QUAD == 0 and min(m, n) >= 16 and m * n * k >= LEAST_QUADS


def quads_fit(x: np.dtype, y: np.dtype, sizes: tuple[int, int, int], profile: Profile) -> bool:
    """Whether a product of such integers is one of `quads`, if its operands have strides."""
    return bool(_signs(x, y)) and sums_quads(sizes, profile)


def _streamed(
    m: int, n: int, k: int, a: Access, c: Access, itemsize: int, profile: Profile
) -> bool:
    """Whether rows of B are added to the sums of few rows of A: B is read once, as it stands."""
    if c.panel or c.packed or None in (a.lane, a.k):
        return False
    large = k * n * itemsize > profile.l2_bytes
    return m < STREAMED_ROWS or (m <= FEW * 6 and large and abs(c.k or 0) * itemsize > PAGES // 128)


def _turned(space: Space, left: Operand, right: Operand, width: int) -> bool:
    """Whether the transposed product is the better one: few columns and A's rows side by side, or
    few rows and each column of B in one piece.
    """
    m, n = space.size(space.m), space.size(space.n)
    a, c = _in_place(space, left.side, space.m), _in_place(space, right.side, space.n)
    if n < 2 * width:
        return m >= 4 * n and m >= width and a is not None and a.lane == 1 and a.k != 1
    if m == 1:
        return c is not None and c.k == 1 and c.lane != 1
    return m < 2 * width and n >= 8 * m and c is not None and c.k == 1 and c.lane != 1


def _right(
    b: g.Builder, space: Space, x: Operand, rows: int, columns: int, acc: np.dtype
) -> tuple[g.Node, Access]:
    """B where it stands if its rows are streamed through or stay in the cache; else in panels: the
    kernel's own where it has strides.
    """
    m, n, k = space.size(space.m), space.size(space.n), space.size(space.k)
    c = _in_place(space, x.side, space.n)
    if c is None or c.lane is None or c.k is None or 1 not in (c.lane, c.k):
        return _pack(b, x.flat(), columns, acc)
    direct = c.lane == 1 and n >= columns
    if direct and (m <= FEW * rows or (m <= MANY and near(c.k, k, columns, acc.itemsize))):
        return _base(x), c
    return _base(x), replace(c, panel=True)


def _left(
    b: g.Builder,
    space: Space,
    x: Operand,
    rows: int,
    acc: np.dtype,
    scattered: bool,
) -> tuple[g.Node, Access]:
    """A where it stands if its k is near, or its rows side by side; else packed."""
    k = space.size(space.k)
    a = _in_place(space, x.side, space.m)
    if a is None or strided.reach((*a.lanes, *a.ks)) >= 2**31:
        return _pack(b, x.flat(), rows, acc)
    if _base(x).dtype != acc:
        if a.lane is None or a.k is None or 1 not in (a.lane, a.k):
            return _pack(b, x.flat(), rows, acc)
        return _base(x), replace(a, panel=True)
    if a.lane == 1 and a.k is not None and a.k != 1:
        few = space.size(space.n) <= MANY and near(a.k, k, rows, acc.itemsize)
        return _base(x), replace(a, panel=not few)
    if scattered or strided.smooth(a.ks):
        return _base(x), a
    return _pack(b, x.flat(), rows, acc)


def near(step: int, k: int, lanes: int, itemsize: int) -> int:
    """How many k of a panel that is read in place stay in the first-level cache; 0 if too few:
    steps of a power of two fall on few of its sets, long ones on many pages.
    """
    lines = -(-lanes * itemsize // LINE)
    step = abs(step) * itemsize
    sets = L1_SETS // gcd(step // LINE, L1_SETS) if step % LINE == 0 and step else L1_SETS
    for block in (K_BLOCK, K_BLOCK // 2, K_BLOCK // 4):
        length = min(k, block)
        if length * step <= PAGES and length * lines <= min(sets * lines, L1_SETS) * L1_WAYS:
            return block
    return 0


def _in_place(space: Space, side: Side | None, lanes: tuple[int, ...]) -> Access | None:
    if side is None:
        return None
    strides = tuple(side.strides[a] for a in space.outer)
    extents = space.extents
    return Access(side.start, strides, side.axes(lanes, extents), side.axes(space.k, extents))


def _pack(b: g.Builder, x: g.Node, tile: int, acc: np.dtype) -> tuple[g.Node, Access]:
    *outer, rows, k = x.shape
    node = b.node(Packed(tile), (x,), (*outer, -(-rows // tile), k, tile), acc)
    strides = tuple(affine.strides_of(node.shape)[: len(outer)])
    return node, Access(0, strides, ((tile, 1),), ((k, tile),), True, k * tile)


def tile_shape(m: int, n: int, width: int, profile: Profile) -> tuple[int, int]:
    """Rows and columns of the register tile: 6 x 2 vectors with 16 registers, 8 x 2 with 32; 4 x 3
    or 8 x 3 where that wastes fewer columns.

    Few rows take more columns instead, so that enough multiply-adds are in flight.
    """
    most = 6 if profile.registers < 32 else 8
    if m <= 3:
        vectors = {1: 8, 2: 4, 3: 4}[m]
        while vectors > 1 and vectors * width > n:
            vectors //= 2
        return m, vectors * width
    vectors = 2 if n > width else 1
    if 11 * _padded(n, 3 * width) <= 10 * _padded(n, 2 * width):
        vectors, most = 3, 4 if profile.registers < 32 else 8
    if m >= 96:
        return most, vectors * width
    most *= 2 if vectors == 1 else 1
    latency = 4.0  # cycles of a multiply-add, of which two start per cycle
    costs = {r: -(-m // r) * max(r * vectors / 2, latency) for r in range(2, most + 1)}
    enough = min(costs.values()) * (1 + 1 / 10)  # so that most numbers of rows share a text
    return max(r for r in costs if costs[r] <= enough), vectors * width


def _padded(n: int, tile: int) -> int:
    return -(-n // tile) * tile


# ---------------------------------------------------------------- on a GPU


def _make_gpu(
    b: g.Builder, space: Space, left: Operand, right: Operand, acc: np.dtype, profile: Profile
) -> g.Node | None:
    """As `make`, for tiles in local memory: any strides will do, and nothing is packed."""
    m, n, k = space.size(space.m), space.size(space.n), space.size(space.k)
    outer = tuple(space.extents[a] for a in space.outer)
    if min(m, k, n) < 8 or m * k * n < MIN_FLOPS or not prod(outer):
        return None
    if profile.max_group < SIDE * SIDE or profile.local_bytes < _local_bytes(4, acc):
        return None
    many = m * n * prod(outer) >= 1 << 22  # enough for tiles of 8 x 8 an item
    many = many and profile.local_bytes >= _local_bytes(8, acc)
    rows, columns = (SIDE * _per_item(x, many) for x in (m, n))
    (x, a), (y, c) = _strided(space, left, space.m), _strided(space, right, space.n)
    return b.node(Product(k, rows, columns, a, c), (x, y), (*outer, m, n), acc)


def _local_bytes(per_item: int, acc: np.dtype) -> int:
    """What two slabs take of local memory, where an item has so many rows and columns."""
    return 2 * K_SLAB * (SIDE * per_item + 1) * acc.itemsize


def _per_item(extent: int, many: bool) -> int:
    """Rows (or columns) of an item's register tile."""
    most = 8 if many and extent >= 512 else 4
    while most > 1 and extent <= SIDE * most // 2:
        most //= 2
    return most


def _base(x: Operand) -> g.Node:
    """The stored node that an operand with strides is read from."""
    assert x.side is not None
    return x.side.base


def _strided(space: Space, x: Operand, lanes: tuple[int, ...]) -> tuple[g.Node, Access]:
    """An operand where it stands if it has strides, else a plain copy [*outer, lane, k]."""
    found = _in_place(space, x.side, lanes)
    if found is not None:
        return _base(x), found
    flat = x.flat()
    lane, k = flat.shape[-2:]
    strides = tuple(affine.strides_of(flat.shape)[:-2])
    return flat, Access(0, strides, ((lane, k),), ((k, 1),))
