"""Primitives that cut and join: slice, pad, concatenate, split; all linear.

Kernels see index arithmetic only. Functions of the same names serve rules and skip what would do
nothing; `fx.prims.shape` exports them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero, is_undefined
from fx.prims import shape as views
from fx.prims.registry import Case, primitive, transpose_linear_operand

# ---------------------------------------------------------------- functions for rules


def _shape(x: Any) -> tuple[int, ...]:
    return core.get_aval(x).shape


def slice_(
    x: Any, starts: Sequence[int], limits: Sequence[int], strides: Sequence[int] | None = None
) -> Any:
    """x[starts:limits:strides] along every axis."""
    starts, limits = tuple(map(int, starts)), tuple(map(int, limits))
    if strides is not None and all(s == 1 for s in strides):
        strides = None
    if strides is None and limits == _shape(x) and not any(starts):
        return x
    return slice_p.bind(x, start_indices=starts, limit_indices=limits, strides=strides)


def slice_in_dim(x: Any, start: int, limit: int, stride: int = 1, axis: int = 0) -> Any:
    """x[start:limit:stride] along one axis."""
    shape = _shape(x)
    starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], limits[axis], strides[axis] = start, limit, stride
    return slice_(x, starts, limits, strides)


def pad(x: Any, value: Any, config: Sequence[tuple[int, int, int]]) -> Any:
    """x padded with `value`: (low, high, interior) for each axis; negative ones crop."""
    config = tuple((int(lo), int(hi), int(i)) for lo, hi, i in config)
    if not any(any(c) for c in config):
        return x
    return pad_p.bind(x, value, padding_config=config)


def concatenate(xs: Sequence[Any], dimension: int) -> Any:
    """Arrays one after the other along an axis."""
    return xs[0] if len(xs) == 1 else concatenate_p.bind(*xs, dimension=int(dimension))


# ---------------------------------------------------------------- slice, pad


def _slice_abstract(
    x: ShapedArray, *, start_indices: Any, limit_indices: Any, strides: Any
) -> ShapedArray:
    given = (
        f"start_indices={start_indices}, limit_indices={limit_indices}, strides={strides} for "
        f"operand shape {x.shape}"
    )
    if len(start_indices) != x.ndim or len(limit_indices) != x.ndim:
        raise TypeError(f"slice start and limit indices must have length operand.ndim, got {given}")
    if any(lo < 0 for lo in start_indices) or any(hi > n for hi, n in zip(limit_indices, x.shape)):
        raise TypeError(f"slice indices must lie inside the operand, got {given}")
    if any(hi < lo for lo, hi in zip(start_indices, limit_indices)):
        raise TypeError(
            "slice limit_indices must be greater than or equal to start_indices, got " + given
        )
    steps = strides or (1,) * x.ndim
    if len(steps) != x.ndim or any(s <= 0 for s in steps):
        raise TypeError(f"slice strides must be positive, got {given}")
    sizes = (-(-(hi - lo) // s) for lo, hi, s in zip(start_indices, limit_indices, steps))
    return x.update(shape=tuple(sizes))


def _slice_transpose(
    ct: Any, aval: Any, *, start_indices: Any, limit_indices: Any, strides: Any
) -> Any:
    steps = strides or (1,) * len(start_indices)
    config = []
    for n, lo, s, m in zip(aval.shape, start_indices, steps, _shape(ct)):
        covered = 1 + (m - 1) * s if m else 0
        config.append((lo, n - lo - covered, s - 1))
    return pad(ct, core.get_aval(ct).dtype.type(0), config)


def _slice_batch(
    axis: Any, args: Any, dims: Any, *, start_indices: Any, limit_indices: Any, strides: Any
) -> Any:
    (x,), (d,) = args, dims
    starts, limits = list(start_indices), list(limit_indices)
    starts.insert(d, 0)
    limits.insert(d, axis.size)
    steps = None if strides is None else (*strides[:d], 1, *strides[d:])
    return slice_(x, starts, limits, steps), d


slice_p = primitive(
    "slice",
    "A rectangular part of the operand, with strides.",
    abstract=_slice_abstract,
    numpy=lambda x, *, start_indices, limit_indices, strides: x[
        tuple(map(slice, start_indices, limit_indices, strides or (1,) * x.ndim))
    ],
    jvp="linear",
    transpose=transpose_linear_operand(_slice_transpose),
    batch=_slice_batch,
    lower=lambda b, x, *, start_indices, limit_indices, strides: b.slice(
        x, start_indices, limit_indices, strides
    ),
    cases=lambda: [
        Case(((4, 5),), {"start_indices": (1, 0), "limit_indices": (3, 5), "strides": None}),
        Case(((7,),), {"start_indices": (1,), "limit_indices": (7,), "strides": (4,)}),
        Case(((3,),), {"start_indices": (2,), "limit_indices": (2,), "strides": None}),
        Case(((0, 3),), {"start_indices": (0, 1), "limit_indices": (0, 3), "strides": (2, 2)}),
        Case(((),), {"start_indices": (), "limit_indices": (), "strides": None}),
    ],
)


def _pad_abstract(x: ShapedArray, value: ShapedArray, *, padding_config: Any) -> ShapedArray:
    if x.dtype != value.dtype:
        raise TypeError(
            f"lax.pad requires arguments to have the same dtypes, got {x.dtype.name}, "
            f"{value.dtype.name}."
        )
    if value.shape:
        raise ValueError(f"padding_value must be a scalar; got shape {value.shape}")
    if len(padding_config) != x.ndim:
        raise ValueError(
            "length of padding_config must equal the number of axes of operand, got "
            f"padding_config {padding_config} for operand shape {x.shape}"
        )
    if any(i < 0 for _, _, i in padding_config):
        raise ValueError(f"interior padding must be nonnegative, got {padding_config}")
    shape = tuple(
        lo + hi + n + max(n - 1, 0) * i for (lo, hi, i), n in zip(padding_config, x.shape)
    )
    if any(n < 0 for n in shape):
        raise ValueError(
            f"Dimension size after padding is not at least 0, got result shape {shape}, for "
            f"padding_config {padding_config} and operand shape {x.shape}"
        )
    return ShapedArray(shape, x.dtype, x.weak_type)


def _pad_numpy(x: np.ndarray, value: np.ndarray, *, padding_config: Any) -> np.ndarray:
    spread = tuple(
        max(0, lo) + max(0, hi) + n + max(n - 1, 0) * i
        for (lo, hi, i), n in zip(padding_config, x.shape)
    )
    out = np.full(spread, value, x.dtype)
    inside = tuple(
        slice(max(0, lo), max(0, lo) + (n + (n - 1) * i if n else 0), i + 1)
        for (lo, _, i), n in zip(padding_config, x.shape)
    )
    out[inside] = x
    crop = (slice(max(0, -lo), n - max(0, -hi)) for (lo, hi, _), n in zip(padding_config, spread))
    return out[tuple(crop)]


def _pad_transpose(ct: Any, x: Any, value: Any, *, padding_config: Any) -> list[Any]:
    from fx.prims.reduce import reduce_sum

    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, value)]
    low, high, interior = zip(*padding_config) if padding_config else ((), (), ())
    zero = core.get_aval(ct).dtype.type(0)
    inside = pad(ct, zero, [(-lo, -hi, 0) for lo, hi in zip(low, high)])
    inside = slice_(inside, [0] * len(low), _shape(inside), [i + 1 for i in interior])
    if is_undefined(x) and _shape(inside) != x.aval.shape:  # an empty axis that was cropped
        inside = core.zeros_like_aval(x.aval)
    rest = None
    if is_undefined(value):
        axes = tuple(range(len(low)))
        rest = reduce_sum(ct, axes) - reduce_sum(inside, axes)
    return [inside if is_undefined(x) else None, rest]


def _pad_batch(axis: Any, args: Any, dims: Any, *, padding_config: Any) -> Any:
    from fx.prims import compare

    (x, value), (d, value_dim) = args, dims
    if d is None:
        x, d = views.broadcast_new_axis(x, 0, axis.size), 0
    config = (*padding_config[:d], (0, 0, 0), *padding_config[d:])
    if value_dim is None:
        return pad_p.bind(x, value, padding_config=config), d
    dtype = core.get_aval(x).dtype
    padded = pad_p.bind(x, dtype.type(0), padding_config=config)
    mask = pad_p.bind(views.full(_shape(x), True, np.bool_), np.bool_(False), padding_config=config)
    return compare.select(mask, padded, views.broadcast_in_dim(value, _shape(padded), (d,))), d


def _pad_lower(b: Any, x: Any, value: Any, *, padding_config: Any) -> Any:
    if not padding_config:
        return x
    low, high, interior = zip(*padding_config)
    if x.size == 0:  # nothing but padding
        sizes = [max(n - 1, 0) * i + n + lo + hi for n, (lo, hi, i) in zip(x.shape, padding_config)]
        return b.broadcast(value, sizes, ())
    return b.pad(x, value, low, high, interior)


pad_p = primitive(
    "pad",
    "The operand with a value before, after and between its elements; negative padding crops.",
    abstract=_pad_abstract,
    numpy=_pad_numpy,
    jvp="linear",
    transpose=_pad_transpose,
    batch=_pad_batch,
    lower=_pad_lower,
    cases=lambda: [
        Case(((2, 3), ()), {"padding_config": ((1, 2, 0), (0, 1, 2))}),
        Case(((5,), ()), {"padding_config": ((-1, -2, 0),)}),
        Case(((3,), ()), {"padding_config": ((-1, 2, 1),)}),
        Case(((0,), ()), {"padding_config": ((1, 1, 1),)}),
        Case(((), ()), {"padding_config": ()}),
    ],
)

# ---------------------------------------------------------------- concatenate, split, reverse


def _concatenate_abstract(*avals: ShapedArray, dimension: int) -> ShapedArray:
    first = avals[0]
    shapes = [a.shape for a in avals]
    if any(len(s) != first.ndim for s in shapes):
        raise TypeError(
            "Cannot concatenate arrays with different numbers of dimensions: got "
            f"{', '.join(map(str, shapes))}."
        )
    if not 0 <= dimension < first.ndim:
        raise TypeError(
            f"concatenate dimension out of bounds: dimension {dimension} for shapes "
            f"{', '.join(map(str, shapes))}."
        )
    rest = {s[:dimension] + s[dimension + 1 :] for s in shapes}
    if len(rest) > 1:
        raise TypeError(
            "Cannot concatenate arrays with shapes that differ in dimensions other than the one "
            f"being concatenated: concatenating along dimension {dimension} for shapes "
            f"{', '.join(map(str, shapes))}."
        )
    if any(a.dtype != first.dtype for a in avals):
        raise TypeError(
            "lax.concatenate requires arguments to have the same dtypes, got "
            f"{', '.join(a.dtype.name for a in avals)}."
        )
    size = sum(s[dimension] for s in shapes)
    shape = (*first.shape[:dimension], size, *first.shape[dimension + 1 :])
    return ShapedArray(shape, first.dtype, all(a.weak_type for a in avals))


def _concatenate_transpose(ct: Any, *xs: Any, dimension: int) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(x.aval) if is_undefined(x) else None for x in xs]
    cts, start = [], 0
    for x in xs:
        size = (x.aval.shape if is_undefined(x) else _shape(x))[dimension]
        part = slice_in_dim(ct, start, start + size, axis=dimension) if is_undefined(x) else None
        cts.append(part)
        start += size
    return cts


def _concatenate_batch(axis: Any, args: Any, dims: Any, *, dimension: int) -> Any:
    moved = [
        views.broadcast_new_axis(x, 0, axis.size) if d is None else views.move_axis(x, d, 0)
        for x, d in zip(args, dims)
    ]
    return concatenate_p.bind(*moved, dimension=dimension + 1), 0


concatenate_p = primitive(
    "concatenate",
    "The operands one after the other along an axis.",
    abstract=_concatenate_abstract,
    numpy=lambda *xs, dimension: np.concatenate(xs, dimension),
    jvp="linear",
    transpose=_concatenate_transpose,
    batch=_concatenate_batch,
    lower=lambda b, *xs, dimension: b.concat(xs, dimension),
    limits={"0-d": "it joins along an axis"},
    cases=lambda: [
        Case(((2, 3), (2, 1), (2, 2)), {"dimension": 1}),
        Case(((2,), (0,)), {"dimension": 0}),
        Case(((0, 2), (0, 2)), {"dimension": 0}),
    ],
)


def _split_abstract(x: ShapedArray, *, sizes: Any, axis: int) -> list[ShapedArray]:
    if min(sizes, default=0) < 0:
        raise ValueError(f"Sizes passed to split must be nonnegative, got {tuple(sizes)}")
    if sum(sizes) != x.shape[axis]:
        raise ValueError(
            f"Sum of sizes {sum(sizes)} must be equal to dimension {axis} of the operand shape "
            f"{x.shape}"
        )
    return [x.update(shape=(*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in sizes]


def _split_transpose(cts: Any, x: Any, *, sizes: Any, axis: int) -> list[Any]:
    if all(type(ct) is Zero for ct in cts):
        return [Zero(x.aval)]
    return [concatenate(list(map(core.instantiate, cts)), axis)]


def _split_batch(axis_data: Any, args: Any, dims: Any, *, sizes: Any, axis: int) -> Any:
    (x,), (d,) = args, dims
    outs = split_p.bind(x, sizes=sizes, axis=axis + (axis >= d))
    return outs, [d] * len(outs)


def _split_lower(b: Any, x: Any, *, sizes: Any, axis: int) -> list[Any]:
    outs, start = [], 0
    for n in sizes:
        starts, limits = [0] * x.ndim, list(x.shape)
        starts[axis], limits[axis] = start, start + n
        outs.append(b.slice(x, starts, limits))
        start += n
    return outs


split_p = primitive(
    "split",
    "The operand cut along an axis into parts of the given sizes.",
    multiple_results=True,
    abstract=_split_abstract,
    numpy=lambda x, *, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis)[: len(sizes)],
    jvp="linear",
    transpose=_split_transpose,
    batch=_split_batch,
    lower=_split_lower,
    limits={"0-d": "it cuts along an axis"},
    cases=lambda: [
        Case(((6, 2),), {"sizes": (1, 3, 2), "axis": 0}),
        Case(((0, 3),), {"sizes": (1, 2), "axis": 1}),
        Case(((2, 3),), {"sizes": (3, 0), "axis": 1}),
        Case(((0, 3),), {"sizes": (), "axis": 0}, note="no parts"),
    ],
)
