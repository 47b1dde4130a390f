"""Rules of `build` for indices that come from data: gather, dynamic slices, updates in place.

Every such index is clamped, or the access dropped, before it is used: no kernel leaves its buffers.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lowering import affine
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut
from lowering.build.values import BOOL, INT, LONG, Guards, Index, ValueBuilder

if TYPE_CHECKING:
    from lowering.build.group import NestBuilder


def offset_dtype(size: int) -> np.dtype:
    return INT if size < 2**31 else LONG


def clamped(b: ValueBuilder, v: int, high: int, dtype) -> int:
    """An index component as `dtype`, moved into [0, high]; unsigned and 64-bit values are clamped
    before narrowing.
    """
    source = b.nest.values[v].dtype
    if source.kind == "u" or source.itemsize > dtype.itemsize:
        limit = min(high, np.iinfo(source).max)
        v = b.map("min", v, b.const(limit, source), dtype=source)
        if source.kind == "i":
            v = b.map("max", v, b.const(0, source), dtype=source)
        return b.map("convert", v, dtype=dtype) if source != dtype else v
    v = b.map("convert", v, dtype=dtype) if source != dtype else v
    v = b.map("max", v, b.const(0, dtype), dtype=dtype)
    return b.map("min", v, b.const(high, dtype), dtype=dtype)


def in_range(b: ValueBuilder, v: int, high: int) -> int:
    """Whether an index component lies in [0, high]; a negative `high` is never met."""
    dtype = b.nest.values[v].dtype
    if high < 0:
        return b.const(False, BOOL)
    limit = min(high, np.iinfo(dtype).max)
    low = b.map("ge", v, b.const(0, dtype), dtype=BOOL)
    return b.map("and", low, b.map("le", v, b.const(limit, dtype), dtype=BOOL), dtype=BOOL)


def gather_parts(b: ValueBuilder, node: g.Node, index: Index, guards: Guards):
    """(index component values, window index per axis of x, batch index of x's batch axes)."""
    x, indices = node.args[0], node.args[1]
    form = node.form
    batch = [i for k, i in enumerate(index) if k not in form.offset_dims]
    window = iter([index[k] for k in form.offset_dims])
    full: list[Affine] = [ZERO] * x.ndim
    for k in range(x.ndim):
        if k not in form.collapsed and k not in form.x_batch:
            full[k] = next(window)
    for p, q in zip(form.x_batch, form.index_batch):
        full[p] = batch[q]
    n = len(form.start_map)
    components = [b.value(indices, (*batch, Affine(j)), guards) for j in range(n)]
    return components, full


def gather(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x = node.args[0]
    form = node.form
    source = b.standing(x)
    if 0 in x.shape:
        fill = node.args[2] if len(node.args) > 2 else None
        return b.value(fill, (), ()) if fill is not None else b.const(0, node.dtype)
    if b.inside(source) and not isinstance(source.form, g.Const):
        raise Cut(source, "a gather reads it at indices that come from data")
    components, full = gather_parts(b, node, index, guards)
    dtype = offset_dtype(x.size)
    strides = affine.strides_of(x.shape)
    offset = ok = None
    for v, k in zip(components, form.start_map):
        high = x.shape[k] - form.sizes[k]
        if form.mode == "fill":
            here = in_range(b, v, high)
            ok = here if ok is None else b.map("and", ok, here, dtype=BOOL)
        part = clamped(b, v, max(high, 0), dtype)
        if strides[k] != 1:
            part = b.map("mul", part, b.const(strides[k], dtype), dtype=dtype)
        offset = part if offset is None else b.map("add", offset, part, dtype=dtype)
    v = (
        b.load(source, affine.linearize(full, x.shape), guards, offset)
        if not isinstance(source.form, g.Const)
        else b.value(source, (ZERO,) * source.ndim)
    )
    if ok is not None:
        return b.map("select", ok, v, b.value(node.args[2], (), ()), dtype=node.dtype)
    return v


def start_offset(
    b: ValueBuilder, starts, x_shape, window_shape, fits: bool
) -> tuple[int, int | None]:
    """The linear offset of a window whose scalar starts are clamped so that it fits, if it is not
    known to: what is known of it, and a value for the rest.
    """
    size = prod(x_shape)
    dtype = offset_dtype(size)
    known, offset = 0, None
    for s, n, w, stride in zip(starts, x_shape, window_shape, affine.strides_of(x_shape)):
        if n == w:
            continue
        if isinstance(s.form, g.Const):
            known += min(max(int(s.form.value), 0), n - w) * stride
            continue
        part = b.value(s, (), ())
        if not fits:
            part = clamped(b, part, n - w, dtype)
        elif s.dtype != dtype:
            part = b.map("convert", part, dtype=dtype)
        if stride != 1:
            part = b.map("mul", part, b.const(stride, dtype), dtype=dtype)
        offset = part if offset is None else b.map("add", offset, part, dtype=dtype)
    return known, offset


def dynamic_slice(b: ValueBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, *starts = node.args
    source = b.standing(x)
    if isinstance(source.form, g.Const):
        return b.value(source, (ZERO,) * source.ndim, guards)
    if b.inside(source):
        raise Cut(source, "a dynamic slice reads it at an index that comes from data")
    known, offset = start_offset(b, starts, x.shape, node.shape, node.form.fits)
    return b.load(source, affine.linearize(index, x.shape) + known, guards, offset)


def dynamic_update_root(b: NestBuilder, node: g.Node, index: Index) -> None:
    """The update over its window of the node's buffer, which holds the operand already."""
    x, update, *starts = node.args
    known, offset = start_offset(b, starts, x.shape, update.shape, node.form.fits)
    value = b.value(update, index)
    b.store(node, affine.linearize(index, x.shape) + known, value, dynamic=offset)
