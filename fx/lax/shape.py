"""fx.lax: functions that move elements: reshape, transpose, broadcast, slice, pad, iota.

Axes and sizes are Python integers; `out_sharding` and `sharding` are accepted and must be None.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

from fx import avals, core
from fx.avals import canonicalize_dtype
from fx.prims import parts
from fx.prims import shape as views
from fx.prims.convert import convert
from fx.typing import Array, ArrayLike, DTypeLike, Shape

__all__ = [
    "broadcast",
    "broadcast_in_dim",
    "broadcast_like",
    "broadcast_shapes",
    "broadcast_to_rank",
    "broadcasted_iota",
    "collapse",
    "concatenate",
    "empty",
    "expand_dims",
    "full",
    "full_like",
    "index_in_dim",
    "iota",
    "pad",
    "reshape",
    "rev",
    "slice",
    "slice_in_dim",
    "split",
    "squeeze",
    "stack",
    "tile",
    "transpose",
    "unstack",
]


def _ints(xs: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(operator.index, xs))


def _sizes(shape: Shape | int) -> tuple[int, ...]:
    """A shape, where one size may stand for it."""
    return _ints((shape,) if isinstance(shape, int) else shape)


def _axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes made nonnegative and checked."""
    found = tuple(a + rank if a < 0 else a for a in _ints(axes))
    if any(not 0 <= a < rank for a in found):
        raise ValueError(f"axis {tuple(axes)} is out of bounds for array of dimension {rank}")
    if len(set(found)) != len(found):
        raise ValueError(f"dimensions are not unique: {tuple(axes)}")
    return found


def _shape(x: Any) -> tuple[int, ...]:
    return core.get_aval(x).shape


def _is_tracer(x: Any) -> bool:
    """Whether doing nothing may return x itself; a NumPy array becomes an Array."""
    return isinstance(x, core.Tracer)


def _no_sharding(sharding: Any) -> None:
    if sharding is not None:
        raise NotImplementedError("sharding is not supported: arrays live on one device")


# ---------------------------------------------------------------- shape


def reshape(
    operand: ArrayLike,
    new_sizes: Shape,
    dimensions: Sequence[int] | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """The operand's elements, row by row, in another shape; one size may be -1.

    `dimensions` permutes the axes first.

    Raises TypeError where the number of elements would change.

    >>> import fx.lax as lax, numpy as np
    >>> lax.reshape(np.arange(6), (2, -1)).shape
    (2, 3)
    """
    _no_sharding(out_sharding)
    sizes = list(_sizes(new_sizes))
    if sizes.count(-1) == 1:
        rest = -prod(sizes)
        size = core.get_aval(operand).size
        sizes[sizes.index(-1)] = size // rest if rest else 0
    if dimensions is not None:
        operand = views.transpose(operand, dimensions)
    if _shape(operand) == tuple(sizes) and _is_tracer(operand):
        return operand
    return views.reshape_p.bind(operand, new_sizes=tuple(sizes), dimensions=None)


def transpose(operand: ArrayLike, permutation: Any) -> Array:
    """Axis k of the result is axis permutation[k] of the operand.

    Raises TypeError unless `permutation` holds every axis once.
    """
    permutation = _ints(permutation)
    if permutation == tuple(range(len(_shape(operand)))) and _is_tracer(operand):
        return operand
    return views.transpose_p.bind(operand, permutation=permutation)


def broadcast(operand: ArrayLike, sizes: Sequence[int], *, out_sharding: Any = None) -> Array:
    """The operand repeated along new leading axes of the given sizes.

    operand [*s] becomes [*sizes, *s].
    """
    _no_sharding(out_sharding)
    rank = len(_shape(operand))
    dims = range(len(sizes), len(sizes) + rank)
    return views.broadcast_in_dim(operand, (*_ints(sizes), *_shape(operand)), dims)


def broadcast_in_dim(
    operand: ArrayLike,
    shape: Shape,
    broadcast_dimensions: Sequence[int],
    *,
    out_sharding: Any = None,
) -> Array:
    """The operand spread over `shape`; its axis k becomes axis broadcast_dimensions[k].

    The axes named must grow; each of the operand has size 1 or that of its place, else TypeError.
    """
    _no_sharding(out_sharding)
    return views.broadcast_in_dim(operand, shape, broadcast_dimensions)


def broadcast_like(arr: ArrayLike, like_arr: ArrayLike) -> Array:
    """`arr` broadcast to the shape of another array, by NumPy's rule.

    Axes are matched from the last; TypeError where the shape does not broadcast.
    """
    shape, rank = _shape(like_arr), len(_shape(arr))
    return views.broadcast_in_dim(arr, shape, range(len(shape) - rank, len(shape)))


def broadcast_to_rank(x: ArrayLike, rank: int) -> Array:
    """x with leading axes of size 1 up to `rank` axes; x itself if it has as many."""
    missing = rank - len(_shape(x))
    return views.expand_dims(x, range(missing)) if missing > 0 else x


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to.

    Sizes are matched from the last axis, 1 giving way to any. ValueError where they do not fit.
    """
    if not shapes:
        return ()
    return avals.broadcast_shapes(*map(tuple, shapes))


def squeeze(array: ArrayLike, dimensions: Sequence[int]) -> Array:
    """The array without the given axes, which have size 1.

    Negative axes count from the end. ValueError for an axis of another size or out of range.
    """
    return views.squeeze(array, _axes(dimensions, len(_shape(array))))


def expand_dims(array: ArrayLike, dimensions: Sequence[int]) -> Array:
    """The array with new axes of size 1 at the given places of the result.

    Negative places count from the end of the result. ValueError where one is out of range or
    repeated.
    """
    return views.expand_dims(array, _axes(dimensions, len(_shape(array)) + len(dimensions)))


def collapse(operand: Array, start_dimension: int, stop_dimension: int | None = None) -> Array:
    """Axes start_dimension up to stop_dimension (exclusive) as one axis.

    Their sizes are multiplied. ValueError for an empty range that runs backwards.
    """
    shape = _shape(operand)
    lo, hi, _ = _slice_of(start_dimension, stop_dimension).indices(len(shape))
    if hi < lo:
        raise ValueError(f"Invalid dimension range passed to collapse: {shape}[{lo}:{hi}]")
    return views.reshape(operand, (*shape[:lo], prod(shape[lo:hi]), *shape[hi:]))


_slice_of = slice

# ---------------------------------------------------------------- slice, pad, concatenate


def slice(
    operand: ArrayLike,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Array:
    """operand[start:limit:stride] along every axis, with static bounds.

    TypeError where bounds lie outside the operand or are not one for each axis.

    >>> import fx.lax as lax, numpy as np
    >>> np.asarray(lax.slice(np.arange(8), (1,), (7,), (3,))).tolist()
    [1, 4]
    """
    steps = None if strides is None else _ints(strides)
    return parts.slice_p.bind(
        operand,
        start_indices=_ints(start_indices),
        limit_indices=_ints(limit_indices),
        strides=steps,
    )


def slice_in_dim(
    operand: ArrayLike,
    start_index: int | None,
    limit_index: int | None,
    stride: int = 1,
    axis: int = 0,
) -> Array:
    """operand[start:limit:stride] along one axis; None and negative bounds are as in Python.

    Unlike Python's, bounds beyond the end raise TypeError.
    """
    shape = _shape(operand)
    (axis,) = _axes((axis,), len(shape))
    n = shape[axis]
    start = 0 if start_index is None else operator.index(start_index)
    limit = n if limit_index is None else operator.index(limit_index)
    start, limit = start + n * (start < 0), limit + n * (limit < 0)
    return parts.slice_in_dim(operand, start, limit, operator.index(stride), axis)


def index_in_dim(operand: ArrayLike, index: int, axis: int = 0, keepdims: bool = True) -> Array:
    """operand[index] along one axis, with a static index.

    A negative index counts from the end. The axis stays with size 1 if keepdims. IndexError out of
    range.
    """
    index = operator.index(index)
    (axis,) = _axes((axis,), len(_shape(operand)))
    n = _shape(operand)[axis]
    wrapped = index + n if index < 0 else index
    if not 0 <= wrapped < n:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {n}")
    part = parts.slice_in_dim(operand, wrapped, wrapped + 1, axis=axis)
    return part if keepdims else views.squeeze(part, (axis,))


def pad(
    operand: ArrayLike,
    padding_value: ArrayLike,
    padding_config: Sequence[tuple[int, int, int]],
) -> Array:
    """The operand with padding_value before, after and between elements: (low, high, interior).

    Negative low and high padding crops.

    One triple an axis (ValueError otherwise); interior padding is not negative. The result's size
    is low + high + n + (n - 1) interior.

    >>> import fx.lax as lax, numpy as np
    >>> np.asarray(lax.pad(np.float32([1, 2]), 0.0, [(1, 0, 1)])).tolist()
    [0.0, 1.0, 0.0, 2.0]
    """
    if type(padding_value) in (bool, int, float, complex):
        padding_value = core.get_aval(operand).dtype.type(padding_value)
    config = tuple(_ints(c) for c in padding_config)
    return parts.pad_p.bind(operand, padding_value, padding_config=config)


def concatenate(operands: Array | Sequence[ArrayLike], dimension: int) -> Array:
    """The operands one after the other along an axis.

    They have one dtype and equal sizes along the other axes (TypeError otherwise); ValueError
    without operands or for an axis out of range.
    """
    operands = list(operands)
    if not operands:
        raise ValueError("concatenate requires a non-empty sequences of arrays")
    rank = len(_shape(operands[0]))
    (dimension,) = _axes((dimension,), rank)
    return parts.concatenate_p.bind(*operands, dimension=dimension)


def stack(operands: Sequence[ArrayLike], axis: int = 0) -> Array:
    """Arrays of one shape along a new axis.

    A negative axis counts from the end of the result. TypeError where shapes or dtypes differ.
    """
    rank = len(_shape(operands[0])) + 1
    (axis,) = _axes((axis,), rank)
    return parts.concatenate_p.bind(
        *(views.expand_dims(a, (axis,)) for a in operands), dimension=axis
    )


def unstack(x: ArrayLike, axis: int = 0) -> tuple[Array, ...]:
    """The slices of the array along an axis, without that axis.

    As many arrays as the axis is long; x [n, *s] gives n of [*s].
    """
    (axis,) = _axes((axis,), len(_shape(x)))
    cuts = split(x, (1,) * _shape(x)[axis], axis)
    return tuple(views.squeeze(c, (axis,)) for c in cuts)


def split(operand: ArrayLike, sizes: Sequence[int], axis: int = 0) -> Sequence[Array]:
    """The operand cut along an axis into parts of the given sizes, which sum to its size.

    ValueError where the sizes do not sum to the axis's.
    """
    (axis,) = _axes((axis,), len(_shape(operand)))
    return parts.split_p.bind(operand, sizes=_ints(sizes), axis=axis)


def tile(operand: ArrayLike, reps: Sequence[int]) -> Array:
    """The operand repeated reps[k] times along axis k, one repetition count an axis.

    Axis k of size n becomes one of reps[k] n. ValueError for another number of counts.
    """
    shape, reps = _shape(operand), _ints(reps)
    if len(reps) != len(shape):
        raise ValueError(f"tile needs one repetition count an axis, got {reps} for shape {shape}")
    pairs = [n for r, s in zip(reps, shape) for n in (r, s)]
    spread = views.broadcast_in_dim(operand, pairs, range(1, 2 * len(shape), 2))
    return views.reshape(spread, [r * s for r, s in zip(reps, shape)])


def rev(operand: ArrayLike, dimensions: Sequence[int]) -> Array:
    """The operand reversed along the given axes.

    Raises ValueError for an axis out of range or named twice.
    """
    return views.rev(operand, _axes(dimensions, len(_shape(operand))))


# ---------------------------------------------------------------- made from nothing


def iota(dtype: DTypeLike, size: int) -> Array:
    """0, 1, 2, ... up to size - 1.

    >>> import fx.lax as lax, numpy as np
    >>> np.asarray(lax.iota(np.int32, 3)).tolist()
    [0, 1, 2]
    """
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(
    dtype: DTypeLike, shape: Shape, dimension: int, *, out_sharding: Any = None
) -> Array:
    """The index along `dimension`, in an array of the given shape.

    Numbers of any dtype but a key; ValueError for negative sizes or an axis out of range.
    """
    _no_sharding(out_sharding)
    return views.iota(canonicalize_dtype(dtype), _sizes(shape), operator.index(dimension))


def full(
    shape: Shape, fill_value: ArrayLike, dtype: DTypeLike | None = None, *, sharding: Any = None
) -> Array:
    """An array of the given shape filled with one value.

    The dtype is that of fill_value unless given. TypeError for a fill_value with axes or negative
    sizes.
    """
    _no_sharding(sharding)
    if _shape(fill_value):
        raise TypeError(
            "lax.full must be called with scalar fill_value; got fill_value.shape "
            f"{_shape(fill_value)}."
        )
    sizes = _sizes(shape)
    if any(s < 0 for s in sizes):
        raise TypeError(f"full: the sizes of a shape are not negative, got {sizes}.")
    weak = dtype is None and core.get_aval(fill_value).weak_type
    dtype = core.get_aval(fill_value).dtype if dtype is None else canonicalize_dtype(dtype)
    return views.broadcast_in_dim_p.bind(
        convert(fill_value, dtype, weak), shape=sizes, broadcast_dimensions=()
    )


def full_like(
    x: Any,
    fill_value: ArrayLike,
    dtype: DTypeLike | None = None,
    shape: Shape | None = None,
    sharding: Any = None,
) -> Array:
    """An array like x (its shape and dtype, unless given) filled with one value.

    fill_value is converted to the dtype; x may be anything with a shape and a dtype.
    """
    like = x if hasattr(x, "shape") and hasattr(x, "dtype") else core.get_aval(x)
    if dtype is None and getattr(like, "weak_type", False):
        fill_value = convert(fill_value, like.dtype, True)
    else:
        dtype = like.dtype if dtype is None else dtype
    return full(like.shape if shape is None else shape, fill_value, dtype, sharding=sharding)


def empty(shape: Shape, dtype: DTypeLike, *, out_sharding: Any = None) -> Array:
    """An array of `shape` and `dtype` whose values do not matter; they are zeros."""
    return full(shape, 0, dtype, sharding=out_sharding)
