"""dynamic_slice and dynamic_update_slice: one window whose start is data, clamped so that it fits.

Starts are integer scalars, one per axis. Batched starts become a gather or a scatter with paired
batch axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero, instantiate, is_undefined
from fx.prims import convert, shape
from fx.prims.index import GatherDimensionNumbers, GatherScatterMode, gather
from fx.prims.registry import Case, primitive


def _check_starts(name: str, x: ShapedArray, sizes: Any, starts: Any) -> None:
    if len(starts) != x.ndim or len(sizes) != x.ndim:
        raise TypeError(
            f"{name} requires one start index and one size per dimension of the operand, got "
            f"operand shape "
            f"{x.shape}, {len(starts)} start indices and window shape {tuple(sizes)}."
        )
    if any(s < 0 or s > n for s, n in zip(sizes, x.shape)):
        raise TypeError(
            f"{name} slice_sizes must be less than or equal to operand shape, got slice_sizes "
            f"{tuple(sizes)} for "
            f"operand shape {x.shape}."
        )
    for s in starts:
        if s.shape != () or s.dtype.kind not in "iu":
            raise TypeError(f"{name} start indices must be integer scalars, got {s.str_short()}.")


def clamped(x_shape: Any, sizes: Any, starts: Any) -> tuple[slice, ...]:
    """The window as NumPy slices, moved inside where it would not fit."""
    at = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x_shape, sizes)]
    return tuple(slice(a, a + k) for a, k in zip(at, sizes))


def _stack_starts(starts: Any, dims: Any, size: int) -> tuple[Any, int | None]:
    """Scalar starts, some batched, as one index array [(size,) k]."""
    dtype = np.dtype(np.int32)
    if any(core.typeof(s).dtype.itemsize == 8 for s in starts):
        dtype = np.dtype(np.int64)
    starts = [convert.convert(s, dtype) for s in starts]
    if all(d is None for d in dims):
        return shape.concatenate([shape.reshape(s, (1,)) for s in starts], 0), None
    columns = [
        shape.reshape(shape.broadcast_new_axis(s, 0, size) if d is None else s, (size, 1))
        for s, d in zip(starts, dims)
    ]
    return shape.concatenate(columns, 1), 0


# ---------------------------------------------------------------- dynamic_slice


def _slice_abstract(x, *starts, slice_sizes):
    _check_starts("dynamic_slice", x, slice_sizes, starts)
    return ShapedArray(tuple(slice_sizes), x.dtype, x.weak_type)


def _slice_jvp(primals, tangents, *, slice_sizes):
    y = dynamic_slice_p.bind(*primals, slice_sizes=slice_sizes)
    if type(tangents[0]) is Zero:
        return y, Zero.like(y)
    return y, dynamic_slice_p.bind(tangents[0], *primals[1:], slice_sizes=slice_sizes)


def _slice_transpose(ct, x, *starts, slice_sizes):
    if type(ct) is Zero:
        return [Zero(x.aval), *(None for _ in starts)]
    blank = core.zeros_like_aval(x.aval)
    return [dynamic_update_slice_p.bind(blank, ct, *starts), *(None for _ in starts)]


def _slice_batch(axis, args, dims, *, slice_sizes):
    (x, *starts), (xd, *sd) = args, dims
    if all(d is None for d in sd):
        x = shape.move_axis(x, xd, 0)
        zero = np.zeros((), core.typeof(starts[0]).dtype) if starts else np.int32(0)
        return dynamic_slice_p.bind(x, zero, *starts, slice_sizes=(axis.size, *slice_sizes)), 0
    indices, _ = _stack_starts(starts, sd, axis.size)
    ndim = len(starts)
    every = tuple(range(ndim))
    offsets = tuple(d + 1 for d in every)
    if xd is None:
        dnums = GatherDimensionNumbers(offsets, (), every)
        return gather(x, indices, dnums, slice_sizes, GatherScatterMode.CLIP), 0
    dnums = GatherDimensionNumbers(offsets, (), offsets, (0,), (0,))
    x = shape.move_axis(x, xd, 0)
    sizes = (min(1, axis.size), *slice_sizes)
    return gather(x, indices, dnums, sizes, GatherScatterMode.CLIP), 0


dynamic_slice_p = primitive(
    "dynamic_slice",
    "A window of static size at a start that is data, clamped so that it fits.",
    abstract=_slice_abstract,
    numpy=lambda x, *starts, slice_sizes: x[clamped(x.shape, slice_sizes, starts)].copy(),
    jvp=_slice_jvp,
    transpose=_slice_transpose,
    batch=_slice_batch,
    lower=lambda b, x, *starts, slice_sizes: b.dynamic_slice(x, starts, tuple(slice_sizes)),
    cases=lambda: (
        [
            Case(
                ((4, 5), (), ()),
                {"slice_sizes": (2, 3)},
                (np.float32, np.int32, np.int32),
                ((-2, 2), np.array(a), np.array(b)),
                (0,),
                note,
            )
            for a, b, note in ((1, 2, "inside"), (3, -7, "clamped at both ends"))
        ]
        + [
            Case(((),), {"slice_sizes": ()}),
            Case(
                ((0, 3), (), ()),
                {"slice_sizes": (0, 2)},
                (np.float32, np.int32, np.int32),
                diff=(0,),
            ),
        ]
    ),
)


# ---------------------------------------------------------------- dynamic_update_slice


def _update_abstract(x, update, *starts):
    if x.dtype != update.dtype:
        raise TypeError(
            f"dynamic_update_slice requires operand and update of one dtype, got {x.dtype.name} "
            f"and "
            f"{update.dtype.name}."
        )
    if x.ndim != update.ndim:
        raise TypeError(
            f"dynamic_update_slice update must have the same rank as operand, got update shape "
            f"{update.shape} for "
            f"operand shape {x.shape}."
        )
    _check_starts("dynamic_update_slice", x, update.shape, starts)
    return ShapedArray(x.shape, x.dtype, x.weak_type)


def _update_numpy(x, update, *starts):
    out = np.array(x)
    out[clamped(x.shape, update.shape, starts)] = update
    return out


def _update_jvp(primals, tangents):
    x, update, *starts = primals
    out = dynamic_update_slice_p.bind(x, update, *starts)
    tx, tu = tangents[:2]
    if type(tx) is Zero and type(tu) is Zero:
        return out, Zero.like(out)
    return out, dynamic_update_slice_p.bind(instantiate(tx), instantiate(tu), *starts)


def _update_transpose(ct, x, update, *starts):
    none = [None for _ in starts]
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, update)] + none
    u = update.aval if is_undefined(update) else core.typeof(update)
    x_ct = u_ct = None
    if is_undefined(x):
        x_ct = dynamic_update_slice_p.bind(ct, core.zeros_like_aval(u), *starts)
    if is_undefined(update):
        u_ct = dynamic_slice_p.bind(ct, *starts, slice_sizes=u.shape)
    return [x_ct, u_ct, *none]


def _update_batch(axis, args, dims):
    from fx.prims.scatter import ScatterDimensionNumbers, scatter_p

    (x, update, *starts), (xd, ud, *sd) = args, dims
    n = axis.size
    x = shape.broadcast_new_axis(x, 0, n) if xd is None else shape.move_axis(x, xd, 0)
    update = (
        shape.broadcast_new_axis(update, 0, n) if ud is None else shape.move_axis(update, ud, 0)
    )
    if all(d is None for d in sd):
        zero = np.zeros((), core.typeof(starts[0]).dtype) if starts else np.int32(0)
        return dynamic_update_slice_p.bind(x, update, zero, *starts), 0
    indices, _ = _stack_starts(starts, sd, n)
    offsets = tuple(range(1, len(starts) + 1))
    out = scatter_p.bind(
        x,
        indices,
        update,
        dimension_numbers=ScatterDimensionNumbers(offsets, (), offsets, (0,), (0,)),
        indices_are_sorted=True,
        unique_indices=True,
        mode=GatherScatterMode.CLIP,
    )
    return out, 0


dynamic_update_slice_p = primitive(
    "dynamic_update_slice",
    "The operand with one window replaced, at a start that is data, clamped so that it fits.",
    abstract=_update_abstract,
    numpy=_update_numpy,
    jvp=_update_jvp,
    transpose=_update_transpose,
    batch=_update_batch,
    lower=lambda b, x, update, *starts: b.dynamic_update(x, update, starts),
    cases=lambda: (
        [
            Case(
                ((4, 5), (2, 3), (), ()),
                {},
                (np.float32, np.float32, np.int32, np.int32),
                ((-2, 2), (-2, 2), np.array(a), np.array(b)),
                (0, 1),
                note,
            )
            for a, b, note in ((1, 2, "inside"), (3, -7, "clamped at both ends"))
        ]
        + [
            Case(((), ()), {}),
            Case(((0,), (0,), ()), {}, (np.float32, np.float32, np.int32), diff=(0, 1)),
            Case(((3,), (0,), ()), {}, (np.float32, np.float32, np.int32), diff=(0, 1)),
        ]
    ),
)


def dynamic_slice(x: Any, starts: Any, slice_sizes: Any) -> Any:
    """Bind dynamic_slice."""
    return dynamic_slice_p.bind(x, *starts, slice_sizes=tuple(slice_sizes))


def dynamic_update_slice(x: Any, update: Any, starts: Any) -> Any:
    """Bind dynamic_update_slice."""
    return dynamic_update_slice_p.bind(x, update, *starts)
