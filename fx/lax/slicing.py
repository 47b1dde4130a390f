"""fx.lax: windows at positions that are data: dynamic slices, gather, scatter.

Starts of dynamic slices count from the end when negative, then are clamped so that the window fits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.prims import compare, dynamic, elementwise, index
from fx.prims import scatter as family
from fx.prims import shape as views
from fx.prims.convert import convert
from fx.prims.index import GatherDimensionNumbers, GatherScatterMode
from fx.prims.scatter import ScatterDimensionNumbers
from fx.typing import Array, ArrayLike, Shape

__all__ = [
    "GatherDimensionNumbers",
    "GatherScatterMode",
    "ScatterDimensionNumbers",
    "dynamic_index_in_dim",
    "dynamic_slice",
    "dynamic_slice_in_dim",
    "dynamic_update_index_in_dim",
    "dynamic_update_slice",
    "dynamic_update_slice_in_dim",
    "gather",
    "index_take",
    "scatter",
    "scatter_add",
    "scatter_apply",
    "scatter_max",
    "scatter_min",
    "scatter_mul",
    "scatter_sub",
]

# ---------------------------------------------------------------- dynamic slices


def _starts(x: Any, starts: Any, allow_negative: Any, name: str) -> list[Any]:
    """One integer scalar per axis, counted from the front."""
    shape = core.get_aval(x).shape
    if isinstance(starts, list | tuple):
        given = list(starts)
    else:
        aval = core.get_aval(starts)
        if aval.ndim != 1:
            raise ValueError(f"Slice indices must be a 1D sequence, got {aval.shape}")
        given = [views.reshape(views.slice_in_dim(starts, k, k + 1), ()) for k in range(aval.size)]
    if len(given) != len(shape):
        raise ValueError(
            "Length of slice indices must match number of operand dimensions "
            f"({len(given)} vs {shape})"
        )
    if isinstance(allow_negative, bool):
        allow_negative = [allow_negative] * len(given)
    dtypes = {core.get_aval(s).dtype for s in given if not isinstance(s, int)}
    if any(d.kind not in "iu" for d in dtypes):
        raise TypeError(
            f"index arguments to {name} must be integers of the same type, got: "
            + ", ".join(core.get_aval(s).dtype.name for s in given)
        )
    return [_wrapped(s, n, a) for s, n, a in zip(given, shape, allow_negative, strict=True)]


def _wrapped(start: Any, size: int, allow_negative: bool) -> Any:
    """A start with negative values counted from the end; Python integers become int32."""
    if isinstance(start, int | np.integer):
        start = int(start)
        if start < 0 and not allow_negative:
            raise ValueError(
                f"Index {start} is out of bounds for dimension {size} if "
                "allow_negative_indices=False"
            )
        limits = np.iinfo(np.int32)
        wide = not limits.min <= start <= limits.max or size > limits.max
        start = min(max(start + size if start < 0 and allow_negative else start, -1), size)
        return np.int64(start) if wide else np.int32(start)
    aval = core.get_aval(start)
    if not allow_negative or aval.dtype.kind == "u":
        return convert(start, aval.dtype)
    if size > np.iinfo(aval.dtype).max:
        start = convert(start, np.int32 if size <= np.iinfo(np.int32).max else np.int64)
    integer = core.get_aval(start).dtype.type
    moved = elementwise.add(start, integer(size))
    return compare.select(compare.lt(start, integer(0)), moved, start)


def dynamic_slice(
    operand: ArrayLike,
    start_indices: Any,
    slice_sizes: Shape,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Array:
    """The window of shape `slice_sizes` at `start_indices`, moved inside where it would not fit.

    start_indices: one integer per axis (a sequence of scalars or a 1-D array), which may be traced.
    Raises ValueError or TypeError where their number, dtypes or the sizes do not fit the operand.

    >>> dynamic_slice(fx.numpy.arange(5.0), (3,), (3,))
    Array([2., 3., 4.], dtype=float32)
    """
    sizes = tuple(map(operator.index, slice_sizes))
    starts = _starts(operand, start_indices, allow_negative_indices, "dynamic_slice")
    return dynamic.dynamic_slice_p.bind(operand, *starts, slice_sizes=sizes)


def dynamic_update_slice(
    operand: ArrayLike,
    update: ArrayLike,
    start_indices: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Array:
    """`operand` with the window at `start_indices` replaced by `update`, moved inside to fit.

    update has the operand's dtype, as many axes, and fits into it; else TypeError.

    >>> dynamic_update_slice(fx.numpy.zeros(4), fx.numpy.ones(2), (3,))
    Array([0., 0., 1., 1.], dtype=float32)
    """
    starts = _starts(operand, start_indices, allow_negative_indices, "dynamic_update_slice")
    return dynamic.dynamic_update_slice_p.bind(operand, update, *starts)


def _along(x: Any, axis: int) -> int:
    ndim = core.get_aval(x).ndim
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} is out of bounds for array of dimension {ndim}")
    return axis % ndim


def _one_start(x: Any, start: Any, axis: int) -> list[Any]:
    return [start if k == axis else 0 for k in range(core.get_aval(x).ndim)]


def dynamic_slice_in_dim(
    operand: ArrayLike,
    start_index: ArrayLike,
    slice_size: int,
    axis: int = 0,
    *,
    allow_negative_indices: bool = True,
) -> Array:
    """dynamic_slice along one axis, the others whole.

    The result has slice_size along that axis. TypeError where that exceeds its size.
    """
    axis = _along(operand, axis)
    sizes = list(core.get_aval(operand).shape)
    sizes[axis] = operator.index(slice_size)
    starts = _one_start(operand, start_index, axis)
    return dynamic_slice(operand, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: ArrayLike,
    index: ArrayLike,
    axis: int = 0,
    keepdims: bool = True,
    *,
    allow_negative_indices: bool = True,
) -> Array:
    """The slice at `index` along one axis, of size 1 there, or without the axis if not keepdims.

    An index out of range means the nearest slice, never an error.
    """
    axis = _along(operand, axis)
    out = dynamic_slice_in_dim(
        operand, index, 1, axis, allow_negative_indices=allow_negative_indices
    )
    return out if keepdims else views.squeeze(out, (axis,))


def dynamic_update_slice_in_dim(
    operand: ArrayLike,
    update: ArrayLike,
    start_index: ArrayLike,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Array:
    """dynamic_update_slice along one axis, the others from 0.

    update has as many axes as the operand; the window is moved inside to fit.
    """
    starts = _one_start(operand, start_index, _along(operand, axis))
    return dynamic_update_slice(
        operand, update, starts, allow_negative_indices=allow_negative_indices
    )


def dynamic_update_index_in_dim(
    operand: ArrayLike,
    update: ArrayLike,
    index: ArrayLike,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Array:
    """`operand` with the slice at `index` along one axis replaced; `update` may lack that axis.

    An index out of range means the nearest slice.
    """
    axis = _along(operand, axis)
    if core.get_aval(update).ndim != core.get_aval(operand).ndim:
        update = views.expand_dims(update, (axis,))
    return dynamic_update_slice_in_dim(
        operand, update, index, axis, allow_negative_indices=allow_negative_indices
    )


# ---------------------------------------------------------------- gather


def gather(
    operand: ArrayLike,
    start_indices: ArrayLike,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Array:
    """XLA's gather: windows of `slice_sizes` at the positions in `start_indices` [..., k].

    mode: 'fill' (a window that does not fit gives fill_value, NaN for floats), 'clip' (it is moved
    inside) or 'promise_in_bounds' (default: as 'clip', but its cotangent is dropped); no mode reads
    outside the operand. See `GatherDimensionNumbers`.

    The result has the axes of start_indices but its last, and at offset_dims those of the window.
    Derivatives go to the operand, by scatter_add. Integers are filled with their least value,
    unsigned ones with their greatest.
    """
    return index.gather_p.bind(
        operand,
        start_indices,
        dimension_numbers=_tuples(GatherDimensionNumbers, dimension_numbers),
        slice_sizes=tuple(map(operator.index, slice_sizes)),
        unique_indices=bool(unique_indices),
        indices_are_sorted=bool(indices_are_sorted),
        mode=GatherScatterMode.from_any("promise_in_bounds" if mode is None else mode),
        fill_value=fill_value,
    )


def _tuples(kind: Any, numbers: Any) -> Any:
    return kind(*(tuple(map(operator.index, n)) for n in numbers))


def index_take(src: Array, idxs: Sequence[Array], axes: Sequence[int]) -> Array:
    """Slices of `src` at integer positions `idxs` (arrays of one length) along `axes`, in front.

    The result is [n, *sizes of the other axes]; positions out of range go round: -1 is the last.
    """
    shape = core.get_aval(src).shape
    columns = [_round(i, shape[a]) for i, a in zip(idxs, axes, strict=True)]
    indices = columns[0] if len(columns) == 1 else views.concatenate(columns, 1)
    sizes = [1 if a in axes else n for a, n in enumerate(shape)]
    offsets = tuple(range(1, len(shape) - len(axes) + 1))
    numbers = GatherDimensionNumbers(offsets, tuple(sorted(axes)), tuple(axes))
    return gather(src, indices, numbers, sizes)


def _round(index: Any, size: int) -> Array:
    """[n, 1] int32 (or wider): index modulo size."""
    aval = core.get_aval(index)
    dtype = aval.dtype if aval.dtype.itemsize >= 4 else np.dtype(np.int32)
    column = convert(views.reshape(index, (aval.shape[0], 1)), dtype)
    n = dtype.type(max(size, 1))
    rest = elementwise.rem_p.bind(column, n)
    zero = dtype.type(0)
    return compare.select(compare.lt(rest, zero), elementwise.add(rest, n), rest)


# ---------------------------------------------------------------- scatter


def _scatter(p: core.Primitive) -> Callable[..., Array]:
    def scatter_like(
        operand: ArrayLike,
        scatter_indices: ArrayLike,
        updates: ArrayLike,
        dimension_numbers: ScatterDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: str | GatherScatterMode | None = None,
    ) -> Array:
        if type(updates) in (bool, int, float, complex):
            updates = core.get_aval(operand).dtype.type(updates)
        return p.bind(
            operand,
            scatter_indices,
            updates,
            dimension_numbers=_tuples(ScatterDimensionNumbers, dimension_numbers),
            indices_are_sorted=bool(indices_are_sorted),
            unique_indices=bool(unique_indices),
            mode=GatherScatterMode.from_any(mode),
        )

    name = p.name.replace("-", "_")
    scatter_like.__name__ = scatter_like.__qualname__ = name
    scatter_like.__doc__ = (
        f"{p.doc}\n\n    scatter_indices [..., k] holds positions, updates the values; see "
        "`ScatterDimensionNumbers`.\n    A window that does not fit is dropped ('drop', the "
        "default) "
        "or moved inside ('clip').\n    unique_indices promises that no position occurs twice.\n  "
        "  "
    )
    return scatter_like


scatter = _scatter(family.scatter_p)
scatter_add = _scatter(family.scatter_add_p)
scatter_mul = _scatter(family.scatter_mul_p)
scatter_min = _scatter(family.scatter_min_p)
scatter_max = _scatter(family.scatter_max_p)


def scatter_sub(
    operand: ArrayLike,
    scatter_indices: ArrayLike,
    updates: ArrayLike,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """The operand with the updates subtracted from its windows: scatter_add of their negatives."""
    return scatter_add(
        operand,
        scatter_indices,
        elementwise.neg(updates),
        dimension_numbers,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )


def scatter_apply(
    operand: Array,
    scatter_indices: Array,
    func: Callable[[Array], Array],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Shape = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the elementwise `func` applied at the indexed windows, once per occurrence.

    update_shape is the shape that updates would have. Where traced indices may repeat, the number
    of applications is data, so the loop over them has no reverse-mode derivative.
    """
    x = core.get_aval(operand)
    ones = views.full(update_shape, 1, np.int32)
    count = scatter_add(
        views.full(x.shape, 0, np.int32),
        scatter_indices,
        ones,
        dimension_numbers,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )
    once = unique_indices or prod(core.get_aval(scatter_indices).shape[:-1]) <= 1
    if once:
        return compare.select(compare.gt(count, np.int32(0)), func(operand), operand)
    from fx.lax.loops import fori_loop
    from fx.prims.reduce import reduce_max_p

    highest = reduce_max_p.bind(count, axes=tuple(range(x.ndim)))
    if not isinstance(highest, core.Tracer):
        highest = int(highest)

    def step(k: Any, y: Any) -> Any:
        k = convert(k, np.dtype(np.int32))  # int64 with x64
        return compare.select(compare.gt(count, k), func(y), y)

    return fori_loop(0, highest, step, operand)
