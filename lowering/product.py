"""Product: a Contract of floats becomes a `Product` over (outer, M, N) whose operands are read by
strides or packed.

Called by `canon` for each Contract; answers None where the generic nest is as good. No operand is
transposed in memory: an operand that the kernel can walk by strides is read where it stands, any
other is written once as panels (`Packed`, an elementwise nest, so what computes the operand is
computed while packing). What consumes the product element by element is applied to its tile
(`templates.product`). The order of the sums depends on the shape alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from lowering import affine, build, build_folds
from lowering import graph as g
from lowering.affine import Affine, Range, SplitNeeded
from lowering.profile import Profile

MIN_FLOPS = 1 << 13  # below it the generic nest costs less than a tile's frame

DIRECT_B = 1 << 17  # elements of B up to which packing costs more than it saves
SIDE = 16  # a GPU's group is SIDE x SIDE items
K_BLOCK = 256  # a B panel of this many rows stays in the first-level cache


# ---------------------------------------------------------------- the forms


@dataclass(frozen=True, slots=True)
class Access:
    """Where an operand's element lies: start + sum(outer strides * outer) + tile, lane and k
    strides, in elements.

    `packed`: zero-padded panels, so lanes beyond the edge may be read.
    """

    start: int
    outer: tuple[int, ...]
    tile: int
    lane: int
    k: int
    packed: bool


@dataclass(frozen=True, slots=True)
class Packed:
    """args (x [*outer, R, K]): panels [*outer, ceil(R / tile), K, tile], zero beyond the edge, in
    the node's dtype.
    """

    tile: int


@dataclass(frozen=True, slots=True)
class Product:
    """args (a, b): sum over k of A[*outer, m, k] B[*outer, k, n] for [*outer, M, N]; tiles of
    `rows` by `columns`.
    """

    k: int
    rows: int
    columns: int
    a: Access
    b: Access


@dataclass(frozen=True, slots=True)
class Tile:
    """The product's tile in the registers of its kernel, as the epilogue's nest sees it: an array
    of the whole shape.
    """


def _packed_rule(b: build.NestBuilder, node: g.Node, index, guards) -> int:
    (x,) = node.args
    *outer, tile, k, lane = index
    row = tile * node.form.tile + lane
    inside = (*outer, row, k)
    open_, _ = b.decide((Range(row, 0, x.shape[-2]),))
    merged = tuple(dict.fromkeys((*guards, *open_)))
    v = b.value(x, inside, merged)
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


# ---------------------------------------------------------------- the decision


@dataclass
class Operand:
    """One side of a product: the node's axes by role, and, if it can be read in place, the
    strides.
    """

    node: g.Node
    batch: tuple[int, ...]
    free: tuple[int, ...]
    contract: tuple[int, ...]
    base: g.Node | None = None
    start: int = 0
    strides: tuple[int, ...] = ()  # of batch, free and contract axes in turn

    def extents(self, axes: tuple[int, ...]) -> list[int]:
        return [self.node.shape[k] for k in axes]

    def stride(self, axes: tuple[int, ...]) -> int | None:
        """The one stride of several axes walked as one, or None if they do not lie so."""
        order = (*self.batch, *self.free, *self.contract)
        live = [(self.node.shape[k], self.strides[order.index(k)]) for k in axes]
        live = [(n, s) for n, s in live if n > 1]
        for (_, outer), (n, inner) in pairwise(live):
            if outer != inner * n:
                return None
        return live[-1][1] if live else 0


def rewrite(
    b: g.Builder, n: g.Node, args: tuple[g.Node, g.Node], profile: Profile
) -> g.Node | None:
    """The Contract `n` on `args` as a Product under views, or None where the generic nest should do
    it.
    """
    acc = build_folds.accumulator(n.dtype)
    if acc.kind != "f" or acc.itemsize not in (4, 8):
        return None
    if any(a.dtype.kind not in "fV" or a.dtype.itemsize > acc.itemsize for a in args):
        return None
    (cx, cy), (bx, by) = n.form.contract, n.form.batch
    x, y = args
    order = sorted(range(len(cx)), key=lambda j: cx[j])
    cx, cy = tuple(cx[j] for j in order), tuple(cy[j] for j in order)
    left = Operand(x, bx, _free(x, bx, cx), cx)
    right = Operand(y, by, _free(y, by, cy), cy)
    m, k = prod(left.extents(left.free)), prod(left.extents(cx))
    cols, outer = prod(right.extents(right.free)), prod(left.extents(bx))
    if profile.schedule == "gpu":
        return _rewrite_gpu(b, n, (left, right), acc, profile)
    width = profile.lanes(acc.itemsize)
    if cols < width or k < 4 or m * k * cols * outer * 2 < MIN_FLOPS or not n.size:
        return None
    rows, columns = tile_shape(m, cols, width, profile)
    batch_shape = tuple(left.extents(bx))
    a_node, a = _left(b, left, acc, batch_shape, m, k, rows, cols)
    b_node, right_access = _right(b, right, acc, batch_shape, m, k, cols, columns)
    form = Product(k, rows, columns, a, right_access)
    z = b.node(form, (a_node, b_node), (*batch_shape, m, cols), acc)
    return b.convert(b.reshape(z, n.shape), n.dtype)


def _rewrite_gpu(
    b: g.Builder, n: g.Node, sides: tuple[Operand, Operand], acc: np.dtype, profile: Profile
) -> g.Node | None:
    """As `rewrite`, for tiles in local memory: any strides will do, and nothing is packed."""
    left, right = sides
    m, k, cols = (
        prod(x.extents(axes))
        for x, axes in ((left, left.free), (left, left.contract), (right, right.free))
    )
    batch_shape = tuple(left.extents(left.batch))
    local = 2 * 8 * SIDE * (SIDE + 1) * acc.itemsize
    if min(m, k, cols) < 8 or m * k * cols < MIN_FLOPS or not n.size:
        return None
    if profile.max_group < SIDE * SIDE or profile.local_bytes < local:
        return None
    many = m * cols * prod(batch_shape) >= 1 << 22  # enough for tiles of 8 x 8 an item
    rows, columns = (SIDE * _per_item(x, many) for x in (m, cols))
    nodes, accesses = zip(
        _strided(b, left, (*batch_shape, m, k), rows),
        _strided(b, right, (*batch_shape, cols, k), columns),
    )
    form = Product(k, rows, columns, *accesses)
    z = b.node(form, nodes, (*batch_shape, m, cols), acc)
    return b.convert(b.reshape(z, n.shape), n.dtype)


def _per_item(extent: int, many: bool) -> int:
    """Rows (or columns) of an item's register tile."""
    most = 8 if many and extent >= 512 else 4
    while most > 1 and extent <= SIDE * most // 2:
        most //= 2
    return most


def _strided(b: g.Builder, x: Operand, shape: tuple[int, ...], tile: int) -> tuple[g.Node, Access]:
    """An operand where it stands if two strides walk it, else a plain copy [*outer, lane, k]."""
    if locate(x, x.node.dtype):
        lane, k = x.stride(x.free), x.stride(x.contract)
        if lane is not None and k is not None:
            strides = x.strides[: len(x.batch)]
            return x.base, Access(x.start, strides, tile * lane, lane, k, False)
    flat = _flat(b, x, (*x.batch, *x.free, *x.contract), shape)
    strides = affine.strides_of(shape)
    return flat, Access(0, tuple(strides[:-2]), tile * shape[-1], shape[-1], 1, False)


def _free(x: g.Node, batch, contract) -> tuple[int, ...]:
    return tuple(k for k in range(x.ndim) if k not in batch and k not in contract)


def tile_shape(m: int, n: int, width: int, profile: Profile) -> tuple[int, int]:
    """Rows and columns of the register tile: 6 x 2 vectors with 16 registers, 8 x 2 with 32; fewer
    rows want more columns.
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


def trace(node: g.Node, index: list[Affine], extents: list[int]) -> tuple[g.Node, Affine] | None:
    """The node under views, and the linear index into it; None where a view does not keep the index
    affine.
    """
    while True:
        form = node.form
        if isinstance(form, g.Reshape):
            linear = affine.linearize(index, node.shape)
            node = node.args[0]
            if not isinstance(node.form, g.VIEWS):
                return node, linear
            try:
                found = affine.delinearize(linear, node.shape, extents)
            except SplitNeeded:
                found = None
            if found is None:
                return None
            index = found
            continue
        if isinstance(form, g.Transpose):
            inner = [affine.ZERO] * len(index)
            for k, p in enumerate(form.perm):
                inner[p] = index[k]
        elif isinstance(form, g.Broadcast):
            shape = node.args[0].shape
            inner = [affine.ZERO if shape[k] == 1 else index[d] for k, d in enumerate(form.dims)]
        elif isinstance(form, g.Slice):
            inner = [i * s + lo for i, s, lo in zip(index, form.strides, form.starts)]
        else:
            return node, affine.linearize(index, node.shape)
        node, index = node.args[0], inner


def locate(x: Operand, acc: np.dtype) -> bool:
    """Find out whether the operand can be read by strides where it stands."""
    axes = (*x.batch, *x.free, *x.contract)
    extents = [x.node.shape[k] for k in axes]
    index = [
        affine.axis(axes.index(k)) if x.node.shape[k] > 1 else affine.ZERO
        for k in range(x.node.ndim)
    ]
    found = trace(x.node, index, extents)
    if found is None or found[0].dtype != acc or isinstance(found[0].form, g.Const | g.Iota):
        return False
    x.base, linear = found
    x.start = linear.const
    x.strides = tuple(linear.coef(j) for j in range(len(axes)))
    return True


def _left(b, x: Operand, acc, batch_shape, m, k, rows, cols) -> tuple[g.Node, Access]:
    """A, in place if its k lies contiguous or it is small, else in panels."""
    if locate(x, acc):
        sm, sk = x.stride(x.free), x.stride(x.contract)
        if sm is not None and sk is not None and (sk == 1 or abs(sk) * k <= 1 << 14):
            strides = x.strides[: len(x.batch)]
            return x.base, Access(x.start, strides, rows * sm, sm, sk, False)
    flat = _flat(b, x, (*x.batch, *x.free, *x.contract), (*batch_shape, m, k))
    return _pack(b, flat, rows, acc)


def _right(b, y: Operand, acc, batch_shape, m, k, n, columns) -> tuple[g.Node, Access]:
    """B, in place if its n lies contiguous and it is small or read once, else in panels."""
    if locate(y, acc) and n >= columns:
        sn, sk = y.stride(y.free), y.stride(y.contract)
        if sn == 1 and sk is not None and (k * n <= DIRECT_B or m < 48):
            strides = y.strides[: len(y.batch)]
            return y.base, Access(y.start, strides, columns, 1, sk, False)
    flat = _flat(b, y, (*y.batch, *y.free, *y.contract), (*batch_shape, n, k))
    return _pack(b, flat, columns, acc)


def _flat(b: g.Builder, x: Operand, perm, shape) -> g.Node:
    return b.reshape(b.transpose(x.node, perm), shape)


def _pack(b: g.Builder, x: g.Node, tile: int, acc) -> tuple[g.Node, Access]:
    *outer, rows, k = x.shape
    tiles = -(-rows // tile)
    node = b.node(Packed(tile), (x,), (*outer, tiles, k, tile), acc)
    strides = affine.strides_of(node.shape)
    return node, Access(0, tuple(strides[: len(outer)]), k * tile, 1, tile, True)
