"""The stage of a product: register tiles over blocks of k, then the epilogue's nest on the tiles.

In: a nest that reads the tile (`product.Tile`) of a Product at the product's own index. An item
does a block of row tiles times a block of column tiles for some outer indices, a strip of column
tiles at a time: a row tile's sums stay in a private array, which the epilogue then reads. A sum
runs over k in order, in blocks whose size the shape gives, so it does not depend on who does what.

A stage is written in one of three ways: products that are only stored share all of it (`stored`),
others share the loops and have a function for their epilogue (`shared`); small products, and what
walks its operands as no other does, have loops of their own (`loops`).
"""

from __future__ import annotations

from math import prod

from lowering import schedule
from lowering.affine import Cut
from lowering.emit.stage import Stage
from lowering.graph import Node
from lowering.nest import Nest, NestBuffer, Value
from lowering.planning import origin
from lowering.profile import Profile
from lowering.rewrite.product import Tile
from lowering.templates import product_gpu
from lowering.templates.epilogue import Axes
from lowering.templates.item import Read
from lowering.templates.loops import OwnLoops
from lowering.templates.shared import Shared
from lowering.templates.stored import Stored


def stage(nest: Nest, profile: Profile) -> Stage:
    """The stage that computes the product whose tile `nest` reads, and then `nest`; Cut if it does
    not follow the tiles.
    """
    node = next(b.node for b in nest.buffers if isinstance(b.node.form, Tile)).args[0]
    loads, axes = _read_tile(node, nest, profile)
    a, b = _operands(node, nest, loads)
    found = {k: n for k, n in origin.origins(nest).items() if k not in (a, b)}
    nest = origin.moved(nest, found)
    if profile.schedule == "gpu":
        made = product_gpu.ProductEmitter(node, nest, axes, (a, b)).stage()
    else:
        read = Read(node, nest, axes, (a, b), loads[0])
        way = next(way for way in (Stored, Shared, OwnLoops) if way.serves(read))
        made = way(read, profile).stage()
    return origin.with_arguments(made, found)


# ---------------------------------------------------------------- the epilogue's nest


def _read_tile(node: Node, nest: Nest, profile: Profile) -> tuple[list[Value], Axes]:
    """The loads of the tile, and the axes, merged within each part; Cut where an epilogue cannot
    run tile by tile.
    """
    tiles = [k for k, buffer in enumerate(nest.buffers) if isinstance(buffer.node.form, Tile)]
    loads = [v for v in nest.values if v.op == "load" and v.attr[0] in tiles]
    if len(tiles) != 1 or len(loads) != 1 or loads[0].attr[2] or loads[0].args:
        raise Cut(node, "the product is read at several places")
    folded = schedule.folded_axes(nest)
    if any(st.partial for st in nest.stores) or (folded and profile.schedule == "gpu"):
        raise Cut(node, "what consumes the product folds it")
    index = loads[0].attr[1]
    m, n = node.shape[-2:]
    parts: list[list[int]] = [[], [], []]
    for a, c in sorted(index.terms, key=lambda t: -t[1]):
        span = c * nest.extents[a]
        parts[2 if span <= n else 1 if span <= m * n and c >= n else 0].append(a)
        if c <= 0 or (c < n and span > n) or (c < m * n and span > m * n):
            raise Cut(node, "the product's rows are read in another shape")
    live = {a for v in nest.values for a in v.mask}.union(*(st.index.axes for st in nest.stores))
    if live != index.axes or index.const or prod(nest.extents[a] for a in live) != node.size:
        raise Cut(node, "the product is read at another index than its own")
    window = [a for a in parts[1] if a in folded]
    of_rows = node.form.a.lane is None and not node.form.streamed
    whole = of_rows and node.form.rows % prod(nest.extents[a] for a in window) == 0
    if folded and not (whole and folded == frozenset(window)):
        raise Cut(node, "what consumes the product folds it")
    for group in parts:
        _merge_within(nest, group)
    return loads, Axes(parts[0], [a for a in parts[1] if a not in folded], parts[2], window)


def _merge_within(nest: Nest, group: list[int]) -> None:
    """Join neighbouring axes of one part that every index walks as one."""
    k = 0
    while k + 1 < len(group):
        a, b = group[k], group[k + 1]
        n = nest.extents[b]
        same = all((a in v.mask) == (b in v.mask) for v in nest.values)
        if same and all(e.coef(a) == e.coef(b) * n for e in schedule._indices(nest)):
            schedule._merge(nest, a, b)
            group.pop(k)
            k = max(k - 1, 0)
        else:
            k += 1


def _operands(node: Node, nest: Nest, loads: list[Value]) -> tuple[int, int]:
    """Put the product's operands among the nest's buffers in place of the tile; their numbers."""
    tile = loads[0].attr[0]
    places = [k for k in range(len(nest.buffers)) if k != tile]
    renumber = {old: new for new, old in enumerate(places)} | {tile: -1}
    for v in nest.values:
        if v.op == "load":
            v.attr = (renumber[v.attr[0]], *v.attr[1:])
    for st in nest.stores:
        st.buffer = renumber[st.buffer]
    nest.buffers = [nest.buffers[k] for k in places]
    found = []
    for x in node.args:
        known = [k for k, buffer in enumerate(nest.buffers) if buffer.node is x]
        if not known:
            nest.buffers.append(NestBuffer(x, x.dtype, x.size))
        found.append(known[0] if known else len(nest.buffers) - 1)
    nest.product = node
    return found[0], found[1]
