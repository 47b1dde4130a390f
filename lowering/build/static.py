"""Rules of `build.loop` for forms over axes that are spelled out: folds become chains, dynamic
indices selections.

Each rule is like those of `build`: the value of a node at an index. The index of an axis that is
folded, or that data moves along, is a constant here; lanes are handed through. Cost: one operation
an element, so `Cut` where there are too many.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering import affine, scalar
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut, Range
from lowering.build.env import branch_output, loop_output
from lowering.build.folds import accumulator
from lowering.build.index import clamped, gather_parts, in_range, offset_dtype
from lowering.build.values import BOOL, INT, Guards, Index
from lowering.build.views import get, inside_or

if TYPE_CHECKING:
    from lowering.build.loop import LoopBuilder

MAX_TERMS = 512  # of one fold
MAX_CHOICES = 64  # elements among which an index from data chooses


def _points(node: g.Node, extents: list[int]):
    """Every constant index over axes that are folded."""
    if prod(extents) > MAX_TERMS:
        raise Cut(node, f"it folds {prod(extents)} elements a lane")
    return product(*(range(n) for n in extents))


def _chain(b: LoopBuilder, op: str, values: list[int], dtype: np.dtype) -> int:
    if not values:
        return b.const(scalar.identity(op, dtype), dtype)
    result = values[0]
    for v in values[1:]:
        result = b.map(op, result, v, dtype=dtype)
    return result


def _reshape(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    linear = affine.linearize(index, node.shape)
    inner = affine.delinearize(linear, x.shape, b.nest.extents)
    if inner is None:
        raise Cut(x, f"the reshape {list(x.shape)} -> {list(node.shape)} mixes lanes")
    return b.value(x, tuple(inner))


def _reduce(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    axes = node.form.axes
    values = []
    for point in _points(node, [x.shape[k] for k in axes]):
        at, kept = dict(zip(axes, point)), iter(index)
        full = tuple(Affine(at[k]) if k in at else next(kept) for k in range(x.ndim))
        values.append(b.value(x, full))
    return _chain(b, node.form.op, values, node.dtype)


def _argreduce(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    axis, better = node.form.axis, "gt" if node.form.op == "max" else "lt"
    best: Any = None
    at: Any = None
    for (j,) in _points(node, [x.shape[axis]]):
        v = b.value(x, (*index[:axis], Affine(j), *index[axis:]))
        here = b.const(j, node.dtype)
        if best is None:
            best, at = v, here
            continue
        wins = b.map(better, v, best, dtype=BOOL)
        if x.dtype.kind not in "iub":
            nan = b.map("ne", v, v, dtype=BOOL)
            number = b.map("eq", best, best, dtype=BOOL)
            wins = b.map("or", wins, b.map("and", nan, number, dtype=BOOL), dtype=BOOL)
        best = b.map("select", wins, v, best, dtype=x.dtype)
        at = b.map("select", wins, here, at, dtype=node.dtype)
    assert at is not None
    return at


def _cumscan(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    axis = node.form.axis
    if index[axis].terms:
        raise Cut(node, "a running fold is read at an index that varies")
    j, last = index[axis].const, x.shape[axis] - 1
    order = range(last, j - 1, -1) if node.form.reverse else range(j + 1)
    if len(order) > MAX_TERMS:
        raise Cut(node, f"it folds {len(order)} elements a lane")
    v = b.value(x, (*index[:axis], Affine(order[-1]), *index[axis + 1 :]))
    if len(order) == 1:
        return v
    before = b.value(node, (*index[:axis], Affine(order[-2]), *index[axis + 1 :]))
    return b.map(node.form.op, before, v, dtype=node.dtype)


def _contract(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, y = node.args
    (cx, cy), (bx, by) = node.form.contract, node.form.batch
    ix: list[Affine] = [ZERO] * x.ndim
    iy: list[Affine] = [ZERO] * y.ndim
    out = iter(index)
    for p, q in zip(bx, by):
        ix[p] = iy[q] = next(out)
    for at, contracted, batched in ((ix, cx, bx), (iy, cy, by)):
        for k in range(len(at)):
            if k not in contracted and k not in batched:
                at[k] = next(out)
    acc = accumulator(node.dtype)
    products = []
    for point in _points(node, [x.shape[p] for p in cx]):
        for p, q, j in zip(cx, cy, point):
            ix[p] = iy[q] = Affine(j)
        pair = [b.value(x, tuple(ix)), b.value(y, tuple(iy))]
        pair = [
            v if b.nest.values[v].dtype == acc else b.map("convert", v, dtype=acc) for v in pair
        ]
        products.append(b.map("and" if acc.kind == "b" else "mul", *pair, dtype=acc))
    v = _chain(b, "or" if acc.kind == "b" else "add", products, acc)
    return b.map("convert", v, dtype=node.dtype) if acc != node.dtype else v


def _window(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, init = node.args
    form = node.form
    values = [b.value(init, ())]
    for taps in _points(node, list(form.size)):
        inner: list[Affine] = []
        conditions: list[Range] = []
        for k, (i, tap) in enumerate(zip(index, taps)):
            e = i * form.strides[k] + (tap * form.window_dilation[k] - form.padding[k][0])
            if form.base_dilation[k] > 1:
                at, rest = divmod(e.const, form.base_dilation[k])
                e = Affine(at)
                conditions.append(Range(Affine(rest), 0, 1))
            conditions.append(Range(e, 0, x.shape[k]))
            inner.append(e)
        values.append(inside_or(b, node, conditions, x, tuple(inner), init, ()))
    return _chain(b, form.op, values, node.dtype)


# ---------------------------------------------------------------- indices from data


def _pick(b: LoopBuilder, x: g.Node, full: list[Affine], moves: list[tuple[int, int, int]]) -> int:
    """x at `full`, moved along each (axis, value, highest start) by that value, clamped."""
    memory = b.env.memory(x)
    dynamic: list[tuple[int, int, int]] = []
    for axis, v, high in moves:
        value = b.nest.values[v]
        e = (
            Affine(int(value.attr))
            if value.op == "const"
            else value.attr
            if value.op == "index"
            else None
        )
        low, top = affine.bounds(e, b.nest.extents) if e is not None else (0, 0)
        if e is not None and not e.terms:
            full[axis] = full[axis] + min(max(e.const, 0), high)
        elif e is not None and memory is not None and low >= 0 and top <= high:
            full[axis] = full[axis] + e
        else:
            dynamic.append((axis, v, high))
    if not dynamic and memory is None:
        return b.value(x, tuple(full))
    if memory is None:
        return _choose(b, x, full, dynamic)
    node, lead = memory
    dtype = offset_dtype(node.size)
    strides = affine.strides_of(node.shape)[len(lead) :]
    offset = None
    for axis, v, high in dynamic:
        part = clamped(b, v, high, dtype)
        if strides[axis] != 1:
            part = b.map("mul", part, b.const(strides[axis], dtype), dtype=dtype)
        offset = part if offset is None else b.map("add", offset, part, dtype=dtype)
    return b.load(node, affine.linearize((*lead, *full), node.shape), (), offset)


def _choose(
    b: LoopBuilder, x: g.Node, full: list[Affine], dynamic: list[tuple[int, int, int]]
) -> int:
    """The element of x that the indices mean: a selection among all that they can reach."""
    if prod(high + 1 for _, _, high in dynamic) > MAX_CHOICES:
        raise Cut(x, "an index from data reaches too many elements")
    (axis, v, high), rest = dynamic[0], dynamic[1:]
    start = clamped(b, v, high, INT)
    result = None
    for j in range(high + 1):
        moved = list(full)
        moved[axis] = moved[axis] + j
        here = _choose(b, x, moved, rest) if rest else b.value(x, tuple(moved))
        if result is None:
            result = here
            continue
        chosen = b.map("eq", start, b.const(j, INT), dtype=BOOL)
        result = b.map("select", chosen, here, result, dtype=x.dtype)
    assert result is not None
    return result


def _dynamic_slice(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, *starts = node.args
    moves = [
        (d, b.value(s, ()), n - w)
        for d, (s, n, w) in enumerate(zip(starts, x.shape, node.shape))
        if n != w
    ]
    return _pick(b, x, list(index), moves)


def _gather(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, form = node.args[0], node.form
    fill = node.args[2] if len(node.args) > 2 else None
    if 0 in x.shape:
        return b.value(fill, ()) if fill is not None else b.const(0, node.dtype)
    components, full = gather_parts(b, node, index, ())
    highs = [x.shape[k] - form.sizes[k] for k in form.start_map]
    moves = [(k, v, max(h, 0)) for k, v, h in zip(form.start_map, components, highs)]
    v = _pick(b, x, full, moves)
    if form.mode != "fill" or fill is None:
        return v
    ok = b.const(True, BOOL)
    for c, h in zip(components, highs):
        ok = _and(b, ok, in_range(b, c, h))
    return b.map("select", ok, v, b.value(fill, ()), dtype=node.dtype)


def _and(b: LoopBuilder, x: int, y: int) -> int:
    for p, q in ((x, y), (y, x)):
        value = b.nest.values[p]
        if value.op == "const":
            return q if value.attr else p
    return b.map("and", x, y, dtype=BOOL)


def _at_start(b: LoopBuilder, v: int, target: Affine) -> int:
    """Whether an index component equals a place."""
    if target.terms:
        raise Cut(None, "an update moves along lanes")
    dtype = b.nest.values[v].dtype
    limits = np.iinfo(dtype)
    if not limits.min <= target.const <= limits.max:
        return b.const(False, BOOL)
    return b.map("eq", v, b.const(target.const, dtype), dtype=BOOL)


def _dynamic_update(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, update, *starts = node.args
    result = b.value(x, index)
    moving = [d for d in range(x.ndim) if x.shape[d] != update.shape[d]]
    begins = {}
    for d in moving:
        v = b.value(starts[d], ())
        begins[d] = clamped(b, v, x.shape[d] - update.shape[d], INT)
    for point in _points(node, [update.shape[d] for d in moving]):
        inner, here = list(index), b.const(True, BOOL)
        for d, k in zip(moving, point):
            start = index[d] + -k
            if not start.terms and not 0 <= start.const <= x.shape[d] - update.shape[d]:
                here = b.const(False, BOOL)
                break
            here = _and(b, here, _at_start(b, begins[d], start))
            inner[d] = Affine(k)
        if b.nest.values[here].op == "const" and not b.nest.values[here].attr:
            continue
        result = b.map("select", here, b.value(update, tuple(inner)), result, dtype=node.dtype)
    return result


def _scatter(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    """Every update in turn, where its place is this element's."""
    x, _, updates = node.args
    f: g.Scatter = node.form
    batch = [d for d in range(updates.ndim) if d not in f.window_dims]
    paired = dict(zip(f.index_batch, f.x_batch))
    axes = [k for k in range(x.ndim) if k not in f.inserted and k not in f.x_batch]
    windows = dict(zip(axes, f.window_dims))
    moving = [k for k in axes if updates.shape[windows[k]] != x.shape[k] or k in f.start_map]
    free = [j for j in range(len(batch)) if j not in paired]
    extents = [updates.shape[batch[j]] for j in free] + [updates.shape[windows[k]] for k in moving]
    result = b.value(x, index)
    for point in _points(node, extents):
        chosen = dict(zip(free, point))
        at = [index[paired[j]] if j in paired else Affine(chosen[j]) for j in range(len(batch))]
        offsets = dict(zip(moving, point[len(free) :]))
        here = _update_meets(b, node, index, at, offsets, windows)
        if b.nest.values[here].op == "const" and not b.nest.values[here].attr:
            continue
        full: list[Affine] = [ZERO] * updates.ndim
        for d, e in zip(batch, at):
            full[d] = e
        for k, d in windows.items():
            full[d] = Affine(offsets[k]) if k in offsets else index[k]
        u = b.value(updates, tuple(full))
        new = u if f.op == "set" else b.map(f.op, result, u, dtype=node.dtype)
        result = b.map("select", here, new, result, dtype=node.dtype)
    return result


def _update_meets(b, node, index, at, offsets, windows) -> int:
    """Whether the update at batch index `at` and window `offsets` falls on `index`."""
    x, indices, updates = node.args
    f: g.Scatter = node.form
    here = b.const(True, BOOL)
    for k, offset in offsets.items():
        if k not in f.start_map:
            start = index[k] + -offset
            if start.terms or start.const != 0:
                return b.const(False, BOOL)
    for j, k in enumerate(f.start_map):
        v = b.value(indices, (*at, Affine(j)))
        if f.wrap:
            zero, n = b.const(0, indices.dtype), b.const(x.shape[k], indices.dtype)
            below = b.map("lt", v, zero, dtype=BOOL)
            v = b.map(
                "select", below, b.map("add", v, n, dtype=indices.dtype), v, dtype=indices.dtype
            )
        size = updates.shape[windows[k]] if k in windows else 1
        high = x.shape[k] - size
        if high < 0:
            return b.const(False, BOOL)
        start = index[k] + -offsets.get(k, 0)
        if not start.terms and not 0 <= start.const <= high:
            return b.const(False, BOOL)
        if f.mode == "clip":
            v = clamped(b, v, high, INT)
        here = _and(b, here, _at_start(b, v, start))
    return here


def _several(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (multi,) = node.args
    k = node.form.index
    if isinstance(multi.form, g.Loop):
        return loop_output(b, multi, k, index)
    if isinstance(multi.form, g.Cond):
        return branch_output(b, multi, k, index)
    if not isinstance(multi.form, g.Bits):
        raise Cut(multi, f"{type(multi.form).__name__} has no form in registers")
    return get(b, node, index, guards)


def _no_form(b: LoopBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    raise Cut(node, f"{type(node.form).__name__} has no form in registers")


STATIC: dict[type, Callable[..., Any]] = {
    g.Reshape: _reshape,
    g.Reduce: _reduce,
    g.ArgReduce: _argreduce,
    g.CumScan: _cumscan,
    g.Contract: _contract,
    g.Window: _window,
    g.Conv: _no_form,
    g.DynamicSlice: _dynamic_slice,
    g.Gather: _gather,
    g.DynamicUpdate: _dynamic_update,
    g.Scatter: _scatter,
    g.Get: _several,
}
