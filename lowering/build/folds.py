"""Rules of `build` for forms that fold: reductions, running folds, products, convolutions, windows.

A fold reuses an axis of the space of equal extent if it can (softmax's rows), else it gets its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lowering import affine, scalar
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut, Range
from lowering.build.values import BOOL, INT, Guards, Index
from lowering.build.views import inside_or, reads_zero_outside

if TYPE_CHECKING:
    from lowering.build.group import NestBuilder


def _used(index: Sequence[Affine], guards: Guards) -> frozenset[int]:
    return frozenset().union(*(e.axes for e in index), *(r.index.axes for r in guards))


def _fold_index(b, node, x, axes, index, guards) -> tuple[Index, frozenset[int]]:
    """x's index with the reduced axes filled in, and the nest axes that are folded."""
    used = _used(index, guards)
    full: list[Affine] = []
    folded: frozenset[int] = frozenset()
    kept = iter(index)
    for k, n in enumerate(x.shape):
        if k in axes:
            e = b.fold_axis((id(node), k), n, used | folded)
            folded |= e.axes
            full.append(e)
        else:
            full.append(next(kept))
    return tuple(full), folded


def reduce(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    form = node.form
    if any(x.shape[k] == 0 for k in form.axes):  # x has no element to read
        return b.const(scalar.identity(form.op, node.dtype), node.dtype)
    full, folded = _fold_index(b, node, x, form.axes, index, guards)
    v = b.value(x, full, guards)
    if not folded:
        return v
    return fold(b, form.op, v, folded, node.dtype)


def fold(b: NestBuilder, op: str, v: int, folded: frozenset[int], dtype) -> int:
    """Reduce a value over axes; axes that it does not vary over multiply a sum and leave the others
    as they are.
    """
    missing = folded - b.nest.values[v].mask
    if missing:
        times = prod(b.nest.extents[a] for a in missing)
        if op == "add":
            v = b.map("mul", v, b.const(times, dtype), dtype=dtype)
        elif op in ("mul", "xor"):
            v = varying(b, v, missing)
        folded = folded & b.nest.values[v].mask
        if not folded:
            return v
    return b.emit("reduce", (v,), dtype, b.mask(v) - folded, (op, folded))


def varying(b: NestBuilder, v: int, axes: frozenset[int]) -> int:
    """The same value, marked as varying over `axes` too, so that a fold over them counts every
    point.
    """
    if not axes:
        return v
    dtype = b.nest.values[v].dtype
    always = b.map("ge", b.index(_sum_axes(axes), INT), b.const(0, INT), dtype=BOOL)
    return b.emit("map", (always, v, v), dtype, b.mask(always, v), "select")


def _sum_axes(axes: frozenset[int]) -> Affine:
    e = ZERO
    for a in sorted(axes):
        e = e + affine.axis(a)
    return e


def arg_reduce(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    form = node.form
    full, folded = _fold_index(b, node, x, (form.axis,), index, guards)
    v = b.value(x, full, guards)
    along = full[form.axis]
    same = folded - b.nest.values[v].mask  # the first of equals is where these are 0
    folded -= same
    if not folded:
        return b.const(0, node.dtype)
    place = affine.Affine(along.const, tuple(t for t in along.terms if t[0] not in same))
    return b.emit("argreduce", (v,), node.dtype, b.mask(v) - folded, (form.op, place, folded))


def cumscan(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    form = node.form
    e = index[form.axis]
    if not e.terms and x.shape[form.axis] == 1:
        return b.value(x, index, guards)
    plain = len(e.terms) == 1 and e == affine.axis(e.terms[0][0])
    if not plain or b.nest.extents[e.terms[0][0]] != x.shape[form.axis]:
        raise Cut(node, "a running fold is read at another index than its own axis")
    others = _used([i for k, i in enumerate(index) if k != form.axis], guards)
    if e.axes & others:
        raise Cut(node, "a running fold is read along a diagonal")
    v = b.value(x, index, guards)
    a = e.terms[0][0]
    return b.emit("cumscan", (v,), node.dtype, b.mask(v) | {a}, (form.op, a, form.reverse))


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which products of `dtype` are summed."""
    return np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind in "fV" else dtype


def contract(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, y = node.args
    (cx, cy), (bx, by) = node.form.contract, node.form.batch
    if any(x.shape[k] == 0 for k in cx):
        return b.const(0, node.dtype)
    used = _used(index, guards)
    ix: list[Affine] = [ZERO] * x.ndim
    iy: list[Affine] = [ZERO] * y.ndim
    out = iter(index)
    for p, q in zip(bx, by):
        ix[p] = iy[q] = next(out)
    for axes, contracted, batched, shape in ((ix, cx, bx, x.shape), (iy, cy, by, y.shape)):
        for k in range(len(shape)):
            if k not in contracted and k not in batched:
                axes[k] = next(out)
    folded: frozenset[int] = frozenset()
    for p, q in zip(cx, cy):
        e = b.fold_axis((id(node), p), x.shape[p], used | folded)
        folded |= e.axes
        ix[p] = iy[q] = e
    vx, vy = b.value(x, tuple(ix), guards), b.value(y, tuple(iy), guards)
    return _mad(b, vx, vy, folded, x.dtype, y.dtype, node.dtype)


def _mad(b, vx, vy, folded, x_dtype, y_dtype, dtype) -> int:
    """Sum of products, accumulated in at least float32, converted to dtype."""
    acc = accumulator(dtype)
    vx = b.map("convert", vx, dtype=acc) if x_dtype != acc else vx
    vy = b.map("convert", vy, dtype=acc) if y_dtype != acc else vy
    if acc.kind == "b":
        product = b.map("and", vx, vy, dtype=BOOL)
        return fold(b, "or", product, folded, BOOL) if folded else product
    vary = b.mask(vx, vy)
    if not folded or folded - vary:
        product = b.map("mul", vx, vy, dtype=acc)
        v = fold(b, "add", product, folded, acc) if folded else product
    else:
        v = b.emit("mad", (vx, vy), acc, vary - folded, folded)
    return b.map("convert", v, dtype=dtype) if acc != dtype else v


def conv(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, w = node.args
    form = node.form
    n, o, *spatial = index
    per_group = w.shape[1]
    if form.groups == 1:
        channel0 = ZERO
    else:
        pair = affine.divmod_affine(o, w.shape[0] // form.groups, b.nest.extents)
        if pair is None:
            raise Cut(node, "the output channels do not split into the groups")
        channel0 = pair[0] * per_group
    used = _used(index, guards)
    c = b.fold_axis((id(node), 1), per_group, used)
    folded = c.axes
    taps: list[Affine] = []
    inner: list[Affine] = []
    conditions: list[Range] = []
    for k, i in enumerate(spatial):
        tap = b.fold_axis((id(node), 2 + k), w.shape[2 + k], used | folded)
        folded |= tap.axes
        taps.append(tap)
        e = i * form.strides[k] + tap * form.rhs_dilation[k] + -form.padding[k][0]
        conditions.append(Range(e, 0, x.shape[2 + k]))
        inner.append(e)
    open_, possible = b.decide(conditions)
    if not possible:
        return b.const(0, node.dtype)
    merged = tuple(dict.fromkeys((*guards, *open_)))
    vx = b.value(x, (n, channel0 + c, *inner), merged)
    if open_ and not reads_zero_outside(b, vx, open_):
        vx = b.guarded(open_, vx, b.const(0, x.dtype), x.dtype)
    vw = b.value(w, (o, c, *taps), guards)
    return _mad(b, vx, vw, folded, x.dtype, w.dtype, node.dtype)


def window(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, init = node.args
    form = node.form
    used = _used(index, guards)
    folded: frozenset[int] = frozenset()
    inner: list[Affine] = []
    conditions: list[Range] = []
    for k, i in enumerate(index):
        tap = b.fold_axis((id(node), k), form.size[k], used | folded)
        folded |= tap.axes
        e = i * form.strides[k] + tap * form.window_dilation[k] + -form.padding[k][0]
        conditions.append(Range(e, 0, x.shape[k]))
        inner.append(e)
    v = inside_or(b, node, conditions, x, tuple(inner), init, guards)
    if folded:
        v = fold(b, form.op, v, folded, node.dtype)
    if isinstance(init.form, g.Const) and init.form.value == scalar.identity(form.op, node.dtype):
        return v
    return b.map(form.op, v, b.value(init, (), ()), dtype=node.dtype)
