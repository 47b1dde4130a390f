"""Product: a Contract of floats becomes a `Product` over (outer, M, N) whose operands are read by
strides or packed.

Called by `canon` for each Contract; None where the generic nest is as good. An operand that the
kernel can walk by strides is read where it stands; any other is written once as panels (`Packed`,
an elementwise nest, so that what computes the operand is computed while packing). What consumes
the product element by element is applied to its tile (`templates.product`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from lowering import affine, build, build_folds, strided
from lowering import graph as g
from lowering.affine import Affine, Range
from lowering.profile import Profile
from lowering.strided import Axis, Side

MIN_FLOPS = 1 << 13  # below it the generic nest costs less than a tile's frame
DIRECT_B = 1 << 17  # elements of B up to which packing costs more than it saves
SIDE = 16  # a GPU's group is SIDE x SIDE items
K_BLOCK = 256  # a B panel of this many rows stays in the first-level cache


# ---------------------------------------------------------------- the forms


@dataclass(frozen=True, slots=True)
class Access:
    """Where an operand's element lies, in elements from `start`: strides of the outer axes, then
    the lanes (rows of A, columns of B) and k, each one or several axes walked as one.

    Packed panels are `tile` apart and padded with zeros: lanes beyond the edge may be read.
    """

    start: int
    outer: tuple[int, ...]
    lanes: tuple[Axis, ...]
    ks: tuple[Axis, ...]
    packed: bool = False
    tile: int = 0

    @property
    def lane(self) -> int | None:
        """The stride of the lanes, None if they have several."""
        return self.lanes[0][1] if len(self.lanes) == 1 else None

    @property
    def k(self) -> int | None:
        """The stride of k, None if it has several."""
        return self.ks[0][1] if len(self.ks) == 1 else None


@dataclass(frozen=True, slots=True)
class Packed:
    """args (x [*outer, R, K]): panels [*outer, ceil(R / tile), K, tile] in the node's dtype."""

    tile: int


@dataclass(frozen=True, slots=True)
class Product:
    """args (a, b): the sum over k of A[*outer, m, k] B[*outer, k, n], an array [*outer, M, N].

    It is computed in register tiles of `rows` by `columns`, each sum in the order of k.
    """

    k: int
    rows: int
    columns: int
    a: Access
    b: Access


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
    if not open_ or (x.dtype == node.dtype and build_folds.reads_zero_outside(b, v, open_)):
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


@dataclass(slots=True)
class Operand:
    """An operand: where it stands in memory, if it does, and a view of it as [*outer, lane, k]."""

    side: Side | None
    flat: Callable[[], g.Node]


def worthwhile(dtype: np.dtype, args: tuple[g.Node, ...]) -> np.dtype | None:
    """The dtype in which a product of these operands accumulates, or None: not by this form."""
    acc = build_folds.accumulator(dtype)
    if acc.kind != "f" or acc.itemsize not in (4, 8):
        return None
    if any(a.dtype.kind not in "fV" or a.dtype.itemsize > acc.itemsize for a in args):
        return None
    return acc


def rewrite(
    b: g.Builder, n: g.Node, args: tuple[g.Node, g.Node], profile: Profile
) -> g.Node | None:
    """The Contract `n` on `args` as a Product under views, or None for the generic nest."""
    acc = worthwhile(n.dtype, args)
    if acc is None:
        return None
    x, y = args
    (cx, cy), (bx, by) = n.form.contract, n.form.batch
    order = sorted(range(len(cx)), key=lambda j: cx[j])
    cx, cy = tuple(cx[j] for j in order), tuple(cy[j] for j in order)
    fx, fy = _free(x, bx, cx), _free(y, by, cy)
    parts = [
        [x.shape[k] for k in bx],
        [x.shape[k] for k in fx],
        [y.shape[k] for k in fy],
        [x.shape[k] for k in cx],
    ]
    space = _space(parts)
    gpu = profile.schedule == "gpu"  # its kernel converts what it reads
    sides = [
        strided.side(node, _index(node, numbers, space), space.extents, node.dtype if gpu else acc)
        for node, numbers in (
            (x, dict(zip((*bx, *fx, *cx), (*space.outer, *space.m, *space.k)))),
            (y, dict(zip((*by, *fy, *cy), (*space.outer, *space.n, *space.k)))),
        )
    ]
    outer = tuple(parts[0])
    m, cols, k = space.size(space.m), space.size(space.n), space.size(space.k)
    left = Operand(sides[0], lambda: b.reshape(b.transpose(x, (*bx, *fx, *cx)), (*outer, m, k)))
    right = Operand(sides[1], lambda: b.reshape(b.transpose(y, (*by, *fy, *cy)), (*outer, cols, k)))
    z = make(b, space, left, right, acc, profile)
    return None if z is None else b.convert(b.reshape(z, n.shape), n.dtype)


def _space(parts: list[list[int]]) -> Space:
    """Axes numbered part by part: outer, m, n, k."""
    extents = [n for part in parts for n in part]
    numbers, at = [], 0
    for part in parts:
        numbers.append(tuple(range(at, at + len(part))))
        at += len(part)
    return Space(extents, *numbers)


def _index(node: g.Node, numbers: dict[int, int], space: Space) -> list[Affine]:
    return [space.axis(numbers[k]) for k in range(node.ndim)]


def _free(x: g.Node, batch, contract) -> tuple[int, ...]:
    return tuple(k for k in range(x.ndim) if k not in batch and k not in contract)


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
    m, n, k = space.size(space.m), space.size(space.n), space.size(space.k)
    outer = tuple(space.extents[a] for a in space.outer)
    if profile.schedule == "gpu":
        return _make_gpu(b, space, left, right, acc, profile)
    width = profile.lanes(acc.itemsize)
    if n < width or k < 4 or 2 * m * n * k * prod(outer) < MIN_FLOPS or not m:
        return None
    rows, columns = tile_shape(m, n, width, profile)
    a = _in_place(space, left.side, space.m)
    if (
        a is None
        or strided.reach((*a.lanes, *a.ks)) >= 2**31
        or (not scattered and not strided.smooth(a.ks))
    ):
        a_node, a = _pack(b, left.flat(), rows, acc)
    else:
        a_node = _base(left)
    c = _in_place(space, right.side, space.n)
    step = c.k if c is not None and n >= columns and c.lane == 1 else None
    if (
        c is not None
        and step is not None
        and (k * n <= DIRECT_B or m < 48 or abs(step) <= 8 * width)
    ):
        b_node = _base(right)
    else:
        b_node, c = _pack(b, right.flat(), columns, acc)
    form = Product(k, rows, columns, a, c)
    return b.node(form, (a_node, b_node), (*outer, m, n), acc)


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
    """Rows and columns of the register tile: 6 x 2 vectors with 16 registers, 8 x 2 with 32.

    Few rows take more columns instead, so that enough multiply-adds are in flight.
    """
    most = 6 if profile.registers < 32 else 8
    if m <= 3:
        vectors = {1: 8, 2: 4, 3: 4}[m]
        while vectors > 1 and vectors * width > n:
            vectors //= 2
        return m, vectors * width
    vectors = 2 if n > width else 1
    if m >= 96:
        return most, vectors * width
    latency = 4.0  # cycles of a multiply-add, of which two start per cycle
    costs = {r: -(-m // r) * max(r * vectors / 2, latency) - 0.01 * r for r in range(2, most + 1)}
    return min(costs, key=lambda r: costs[r]), vectors * width


# ---------------------------------------------------------------- on a GPU


def _make_gpu(
    b: g.Builder, space: Space, left: Operand, right: Operand, acc: np.dtype, profile: Profile
) -> g.Node | None:
    """As `make`, for tiles in local memory: any strides will do, and nothing is packed."""
    m, n, k = space.size(space.m), space.size(space.n), space.size(space.k)
    outer = tuple(space.extents[a] for a in space.outer)
    local = 2 * 8 * SIDE * (SIDE + 1) * acc.itemsize
    if min(m, k, n) < 8 or m * k * n < MIN_FLOPS or not prod(outer):
        return None
    if profile.max_group < SIDE * SIDE or profile.local_bytes < local:
        return None
    many = m * n * prod(outer) >= 1 << 22  # enough for tiles of 8 x 8 an item
    rows, columns = (SIDE * _per_item(x, many) for x in (m, n))
    (x, a), (y, c) = _strided(space, left, space.m), _strided(space, right, space.n)
    return b.node(Product(k, rows, columns, a, c), (x, y), (*outer, m, n), acc)


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
