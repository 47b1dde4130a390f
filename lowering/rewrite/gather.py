"""Gathers move before the elementwise operations whose result they would read.

x[i, labels[i]] of x = y - m[:, None] becomes y[i, labels[i]] - m[i]: a few numbers are computed,
and the large x need not exist. In: a Gather whose source is made by maps. Out: the maps on
gathered operands, with the fill put in last; None where that would not pay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lowering import graph as g
from lowering import scalar
from lowering.walk import renamed

FEWER = 4  # times fewer elements gathered than the source has, or the source may as well exist
MOST_COST = 60.0  # operations an element that are done on gathered operands
MOST_GATHERS = 3
INT = np.dtype(np.int32)


def rewrite(b: g.Builder, n: g.Node, args: tuple[g.Node, ...]) -> g.Node | None:
    """The gather `n` of args[0], moved before the maps that compute it; None if it stays."""
    x, indices = args[:2]
    if not isinstance(x.form, g.Map) or n.size * FEWER > x.size or not n.size:
        return None
    leaves, cost = _leaves(x)
    read = [leaf for leaf in leaves if _axes_kept(n, leaf) is None]
    read = [leaf for leaf in read if not isinstance(leaf.form, g.Iota)]
    if cost > MOST_COST or len(read) > MOST_GATHERS or len(read) == len(leaves) > 1:
        return None
    if not all(map(stands, read)):
        return None
    moved = _moved(b, n, x, indices, {})
    if n.form.mode != "fill":
        return moved
    return b.select(_inside(b, n, x, indices), moved, b.broadcast(args[2], n.shape, ()))


def stands(x: g.Node) -> bool:
    """Whether x, or what it is a reshape of, is in memory anyway."""
    while (y := renamed(x)) is not None:
        x = y
    several = isinstance(x.form, g.Get) and not isinstance(x.args[0].form, g.Bits)
    return isinstance(x.form, g.Input) or several


def _leaves(x: g.Node) -> tuple[list[g.Node], float]:
    """What the maps stand on, and what they cost an element."""
    leaves: dict[int, g.Node] = {}
    seen: set[int] = set()
    todo, cost = [x], 0.0
    while todo:
        y = todo.pop()
        if id(y) in seen:
            continue
        seen.add(id(y))
        if isinstance(y.form, g.Map):
            cost += scalar.cost(y.form.op)
            todo.extend(y.args)
        else:
            leaves[id(y)] = y
    return list(leaves.values()), cost


def _axes_kept(n: g.Node, x: g.Node) -> tuple[int, ...] | None:
    """For a constant or a broadcast x, constant along what is gathered: the output axis of each
    axis of what is broadcast but those of one element. None for others.
    """
    if isinstance(x.form, g.Const):
        return ()
    if not isinstance(x.form, g.Broadcast):
        return None
    f: g.Gather = n.form
    batch = [a for a in range(n.ndim) if a not in f.offset_dims]
    window = [k for k in range(x.ndim) if k not in f.collapsed and k not in f.x_batch]
    place = {k: batch[d] for k, d in zip(f.x_batch, f.index_batch)}
    whole = {k: a for k, a in zip(window, f.offset_dims) if f.sizes[k] == x.shape[k]}
    place |= {k: a for k, a in whole.items() if k not in f.start_map}
    axes = tuple(place.get(k, -1) for k, size in zip(x.form.dims, x.args[0].shape) if size != 1)
    return axes if -1 not in axes and list(axes) == sorted(axes) else None


def _moved(b: g.Builder, n: g.Node, x: g.Node, indices: g.Node, done: dict[int, g.Node]) -> g.Node:
    found = done.get(id(x))
    if found is not None:
        return found
    axes = _axes_kept(n, x)
    if isinstance(x.form, g.Const):
        found = b.const(x.form.value, x.dtype, n.shape)
    elif axes is not None:
        thin = b.reshape(x.args[0], tuple(size for size in x.args[0].shape if size != 1))
        found = b.broadcast(thin, n.shape, axes)
    elif isinstance(x.form, g.Iota):
        found = _places(b, n, x, indices)
    elif isinstance(x.form, g.Map):
        parts = [_moved(b, n, a, indices, done) for a in x.args]
        found = b.node(x.form, parts, n.shape, x.dtype)
    else:
        found = b.gather(x, indices, n.shape, replace(n.form, mode="clip"))
    done[id(x)] = found
    return found


def _places(b: g.Builder, n: g.Node, x: g.Node, indices: g.Node) -> g.Node:
    """Where along the axis that x counts what is gathered stands."""
    f, k = n.form, x.form.dim
    batch = [a for a in range(n.ndim) if a not in f.offset_dims]
    if k in f.x_batch:
        return b.iota(n.shape, batch[f.index_batch[f.x_batch.index(k)]], x.dtype)
    window = [d for d in range(x.ndim) if d not in f.collapsed and d not in f.x_batch]
    places = None
    if k in window and f.sizes[k] > 1:
        places = b.iota(n.shape, f.offset_dims[window.index(k)], INT)
    if k in f.start_map:
        i = clamped(b, component(b, indices, f.start_map.index(k)), x.shape[k] - f.sizes[k])
        i = b.broadcast(i, n.shape, batch)
        places = i if places is None else b.map("add", i, places)
    return b.const(0, x.dtype, n.shape) if places is None else b.convert(places, x.dtype)


def clamped(b: g.Builder, start: g.Node, end: int) -> g.Node:
    """Where a window begins moved into [0, end], in 32 bits."""
    limits, shape = np.iinfo(start.dtype), start.shape
    if isinstance(start.form, g.Const):
        return b.const(min(max(int(start.form.value), 0), end), INT, shape)
    low = b.map("max", start, b.const(0, start.dtype, shape)) if limits.min else start
    top = b.const(min(end, limits.max), start.dtype, shape)
    return b.convert(b.map("min", low, top), INT)


def component(b: g.Builder, indices: g.Node, j: int) -> g.Node:
    """Component j of index vectors [*count, k], of shape [*count]."""
    count = indices.shape[:-1]
    pieces = indices.args if isinstance(indices.form, g.Concat) else ()
    if len(pieces) == indices.shape[-1] and indices.form.dim == len(count):
        return b.reshape(pieces[j], count)
    starts = (*(0 for _ in count), j)
    return b.reshape(b.slice(indices, starts, (*count, j + 1)), count)


def within(b: g.Builder, i: g.Node, top: int) -> g.Node:
    """0 <= i <= top, which may be more than i's dtype holds."""
    low, high = (b.const(v, i.dtype, i.shape) for v in (0, min(top, np.iinfo(i.dtype).max)))
    return b.map("and", b.map("ge", i, low), b.map("le", i, high))


def _inside(b: g.Builder, n: g.Node, x: g.Node, indices: g.Node) -> g.Node:
    """Where all components of the index are in bounds, in the shape of the result."""
    f: g.Gather = n.form
    batch = tuple(a for a in range(n.ndim) if a not in f.offset_dims)
    inside = b.const(True, bool, n.shape)
    for j, k in enumerate(f.start_map):
        i = b.broadcast(component(b, indices, j), n.shape, batch)
        inside = b.map("and", inside, within(b, i, x.shape[k] - f.sizes[k]))
    return inside
