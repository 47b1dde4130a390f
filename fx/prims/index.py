"""gather: windows of an array at positions that are data, and what gather and scatter share.

Indices are an integer array [..., k] whose last axis holds the start of one window. Out of bounds
means that the whole window does not fit: it is moved inside (clip), or filled (fill). No mode ever
reads outside the operand: where a promise is broken a gather clips and a scatter, its transpose
among them, drops, so that cotangents of windows that were not there reach nobody.
"""

from __future__ import annotations

import enum
from math import prod
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from fx.avals import ShapedArray, is_inexact
from fx.core import Zero
from fx.prims.registry import Case, primitive
from lowering import graph


class GatherDimensionNumbers(NamedTuple):
    """Which axes mean what in `gather`, as in XLA.

    offset_dims: output axes that hold window axes; collapsed_slice_dims: operand axes of window
    size 1 that vanish; start_index_map[j]: the operand axis that index component j moves along;
    the two batching tuples pair axes off.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class GatherScatterMode(enum.Enum):
    """What an index outside the operand does: CLIP moves the window inside, FILL_OR_DROP fills
    (gather) or drops (scatter).
    """

    CLIP = 0
    FILL_OR_DROP = 1
    PROMISE_IN_BOUNDS = 2
    ONE_HOT = 3

    @staticmethod
    def from_any(s: Any) -> GatherScatterMode:
        """The mode of a name ('clip', 'fill', 'drop', 'promise_in_bounds'), a mode, or None (fill
        or drop).
        """
        if isinstance(s, GatherScatterMode):
            return s
        found = _MODES.get(s)
        if found is None:
            raise ValueError(
                f'Unknown gather mode "{s}"; expected one of "clip", "fill", "drop", '
                f'"promise_in_bounds".'
            )
        return found


_MODES = {
    None: GatherScatterMode.FILL_OR_DROP,
    "clip": GatherScatterMode.CLIP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "drop": GatherScatterMode.FILL_OR_DROP,
    "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
    "one_hot": GatherScatterMode.ONE_HOT,
}


def drops(mode: GatherScatterMode) -> bool:
    """Whether a scatter drops the updates whose window does not fit."""
    return mode in (GatherScatterMode.FILL_OR_DROP, GatherScatterMode.PROMISE_IN_BOUNDS)


# ---------------------------------------------------------------- windows, shared with scatter


class Windows(NamedTuple):
    """Axis roles of a gather or scatter, without regard to which of the two it is."""

    sizes: tuple[int, ...]  # window size per operand axis
    offset_dims: tuple[int, ...]  # axes of the result (updates) that hold window axes
    collapsed: tuple[int, ...]
    start_map: tuple[int, ...]
    x_batch: tuple[int, ...]
    index_batch: tuple[int, ...]

    def kept(self) -> list[int]:
        """Operand axes that appear in the result (updates), in order."""
        gone = {*self.collapsed, *self.x_batch}
        return [d for d in range(len(self.sizes)) if d not in gone]

    def result_shape(self, index_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the gathered values, or of the updates."""
        batch, kept = iter(index_shape[:-1]), iter(self.kept())
        rank = len(index_shape) - 1 + len(self.offset_dims)
        offsets = set(self.offset_dims)
        return tuple(self.sizes[next(kept)] if a in offsets else next(batch) for a in range(rank))


def starts_of(
    shape: tuple[int, ...], indices: np.ndarray, w: Windows, mark: bool
) -> tuple[list[Any], np.ndarray | None]:
    """Per operand axis the start positions over the index batch (None: 0), and which windows fit
    (None: all do). Those that do not begin at 0 if `mark`, otherwise they are moved inside.
    """
    if indices.dtype == np.uint64:  # beyond every end, not before the beginning
        indices = np.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    if indices.dtype not in (np.int32, np.int64):
        indices = indices.astype(np.int64)
    batch = indices.shape[:-1]
    starts: list[Any] = [None] * len(shape)
    valid = None
    for j, d in enumerate(w.start_map):
        s, limit = indices[..., j], max(shape[d] - w.sizes[d], 0)
        if s.size and (s.min() < 0 or s.max() > limit):  # two sweeps without a temporary array
            if mark:
                fits = (s >= 0) & (s <= limit)
                valid = fits if valid is None else valid & fits
                s = np.where(fits, s, 0)
            else:
                s = np.clip(s, 0, limit)
        starts[d] = s
    for d, a in zip(w.x_batch, w.index_batch):
        starts[d] = np.arange(batch[a]).reshape([-1 if k == a else 1 for k in range(len(batch))])
    return starts, valid


def index_arrays(
    shape: tuple[int, ...], indices: np.ndarray, w: Windows, starts: list[Any]
) -> tuple[list[int], list[int], list[int], list[np.ndarray]]:
    """Operand axes to index, those of them with a window, those taken whole, and the index arrays
    of the first.

    The arrays broadcast to (index batch, windows of the second group), so x.transpose(first +
    third)[arrays] has axes (index batch, second, third).
    """
    batch, kept = indices.shape[:-1], w.kept()
    whole = [d for d in kept if w.sizes[d] == shape[d]]
    indexed = [d for d in range(len(shape)) if d not in whole]
    partial = [d for d in kept if d not in whole]
    arrays = []
    for d in indexed:
        s = starts[d] if starts[d] is not None else np.zeros((), np.int64)
        s = s.reshape((*s.shape, *(1,) * len(partial)))
        if d in partial:
            s = s + np.arange(w.sizes[d]).reshape(
                [-1 if p == d else 1 for p in partial],
            )
        arrays.append(s)
    if arrays:
        arrays[0] = np.broadcast_to(arrays[0], (*batch, *(w.sizes[d] for d in partial)))
    return indexed, partial, whole, arrays


def result_axes(w: Windows, n_batch: int, partial: list[int], whole: list[int]) -> list[int]:
    """For each result axis, its place among (index batch, partial, whole)."""
    order = [*partial, *whole]
    batch, kept = iter(range(n_batch)), iter(w.kept())
    offsets = set(w.offset_dims)
    return [
        n_batch + order.index(next(kept)) if a in offsets else next(batch)
        for a in range(n_batch + len(order))
    ]


def along_batch(mask: np.ndarray, w: Windows) -> np.ndarray:
    """A mask over the index batch, with axes of size 1 at the window axes of the result."""
    for a in sorted(w.offset_dims):
        mask = np.expand_dims(mask, a)
    return mask


# ---------------------------------------------------------------- gather


def default_fill(dtype: np.dtype, fill_value: Any) -> Any:
    """What fill mode puts where there is no data: NaN, the least signed or the largest unsigned
    integer, True.
    """
    if fill_value is not None:
        return fill_value
    if dtype.kind == "b":
        return True
    if dtype.kind == "V" and dtype.names:
        return np.frombuffer(b"\xff" * dtype.itemsize, dtype)[0]  # a random key
    if is_inexact(dtype):
        return float("nan")
    info = ml_dtypes.iinfo(dtype) if dtype.kind == "V" else np.iinfo(dtype)
    return int(info.max) if info.min == 0 else int(info.min)


def windows_of_gather(dnums: GatherDimensionNumbers, sizes: tuple[int, ...]) -> Windows:
    return Windows(
        tuple(sizes),
        dnums.offset_dims,
        dnums.collapsed_slice_dims,
        dnums.start_index_map,
        dnums.operand_batching_dims,
        dnums.start_indices_batching_dims,
    )


def check_windows(name: str, x: ShapedArray, indices: ShapedArray, w: Windows) -> None:
    """Raise TypeError, worded for the user, where the axis roles do not fit the shapes."""
    if indices.dtype.kind not in "iu":
        raise ValueError(f"indices must be an integer, got {indices.dtype.name} in {name}")
    if indices.ndim == 0:
        raise TypeError(f"{name} indices must have at least one axis (the last holds the index).")
    if len(w.sizes) != x.ndim:
        raise TypeError(
            f"{name} op must have one slice size for every input dimension; got len(slice_sizes)="
            f"{len(w.sizes)}, input_shape={x.shape}"
        )
    for d, (size, n) in enumerate(zip(w.sizes, x.shape)):
        if not 0 <= size <= n:
            raise TypeError(
                f"Slice size at index {d} in {name} op is out of range, must be within [0, {n} + "
                f"1), got {size}."
            )
    if indices.shape[-1] != len(w.start_map):
        raise TypeError(
            f"{name} op has {len(w.start_map)} elements in start_index_map and the bound of "
            f"dimension "
            f"index_vector_dim={indices.ndim - 1} of indices is {indices.shape[-1]}. These two "
            f"numbers must be equal."
        )
    if len(w.kept()) != len(w.offset_dims):
        raise TypeError(
            f"All components of the offset index in a {name} op must either be an offset "
            f"dimension or explicitly "
            f"collapsed or batching; got len(slice_sizes)={len(w.sizes)}, "
            f"offset_dims={w.offset_dims}, "
            f"collapsed_slice_dims={w.collapsed}, operand_batching_dims={w.x_batch}."
        )
    for d in (*w.collapsed, *w.x_batch):
        if w.sizes[d] > 1:
            raise TypeError(
                f"{name} op can only collapse slice dims with bound 1, but got {w.sizes[d]} at {d}."
            )
    for d in (*w.start_map, *w.collapsed, *w.x_batch):
        if not 0 <= d < x.ndim:
            raise TypeError(f"Invalid dimension {d} in {name} op; the operand has rank {x.ndim}.")


def _abstract(x, indices, *, dimension_numbers, slice_sizes, **params):
    w = windows_of_gather(dimension_numbers, slice_sizes)
    check_windows("gather", x, indices, w)
    return ShapedArray(w.result_shape(indices.shape), x.dtype, x.weak_type)


def _takes_rows(shape: tuple[int, ...], indices: np.ndarray, w: Windows) -> bool:
    """Whether the windows are whole rows of the first axis, and all of them inside."""
    k = indices.ndim - 1
    return (
        w.start_map == w.collapsed == (0,)
        and not w.x_batch
        and w.sizes[1:] == shape[1:]
        and w.offset_dims == tuple(range(k, k + len(shape) - 1))
        and indices.size > 0
        and np.minimum.reduce(indices, None) >= 0
        and np.maximum.reduce(indices, None) < shape[0]
    )


def _numpy(x, indices, *, dimension_numbers, slice_sizes, mode, fill_value, **params):
    w = windows_of_gather(dimension_numbers, slice_sizes)
    if _takes_rows(x.shape, indices, w):
        return x.take(indices[..., 0], 0)
    starts, valid = starts_of(x.shape, indices, w, mode is GatherScatterMode.FILL_OR_DROP)
    batch = indices.shape[:-1]
    shape = w.result_shape(indices.shape)
    if prod(batch) == 1 and valid is None:  # one window: a plain slice
        at = [0 if s is None else int(s.reshape(())) for s in starts]
        return x[tuple(slice(a, a + n) for a, n in zip(at, w.sizes))].reshape(shape).copy()
    indexed, partial, whole, arrays = index_arrays(x.shape, indices, w, starts)
    turned = x.transpose([*indexed, *whole])
    if not arrays:
        out = np.broadcast_to(turned, (*batch, *turned.shape))
    elif prod(x.shape) == 0 and prod(shape):
        out = np.zeros((*arrays[0].shape, *turned.shape[len(indexed) :]), x.dtype)
    elif len(arrays) == 1:
        out = np.take(turned, arrays[0], axis=0)
    else:
        out = turned[tuple(arrays)]
    out = out.transpose(result_axes(w, len(batch), partial, whole))
    if valid is None:
        return out
    out = np.array(out)
    fill = np.asarray(default_fill(x.dtype, fill_value)).astype(x.dtype)
    out[np.broadcast_to(~along_batch(valid, w), shape)] = fill
    return out


def _jvp(primals, tangents, *, fill_value, **params):
    (x, indices), t = primals, tangents[0]
    y = gather_p.bind(x, indices, fill_value=fill_value, **params)
    if type(t) is Zero:
        return y, Zero.like(y)
    return y, gather_p.bind(t, indices, fill_value=0, **params)


def _transpose(ct, x, indices, *, dimension_numbers, slice_sizes, mode, unique_indices, **params):
    from fx import core
    from fx.prims import scatter

    if type(ct) is Zero:
        return [Zero(x.aval), None]
    dnums = scatter.ScatterDimensionNumbers(*dimension_numbers)
    out = scatter.scatter_add_p.bind(
        core.zeros_like_aval(x.aval),
        indices,
        ct,
        dimension_numbers=dnums,
        indices_are_sorted=params["indices_are_sorted"],
        unique_indices=unique_indices,
        mode=mode,
    )
    return [out, None]


def up(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(d + 1 for d in dims)


def _batch(axis, args, dims, *, dimension_numbers, slice_sizes, **params):
    from fx.prims import shape

    (x, indices), (xd, idim), n = args, dims, dimension_numbers
    x = x if xd is None else shape.move_axis(x, xd, 0)
    indices = indices if idim is None else shape.move_axis(indices, idim, 0)
    if idim is None:
        new = GatherDimensionNumbers(
            (0, *up(n.offset_dims)),
            up(n.collapsed_slice_dims),
            up(n.start_index_map),
            up(n.operand_batching_dims),
            n.start_indices_batching_dims,
        )
        sizes = (axis.size, *slice_sizes)
    elif xd is None:
        new = n._replace(
            offset_dims=up(n.offset_dims),
            start_indices_batching_dims=up(n.start_indices_batching_dims),
        )
        sizes = slice_sizes
    else:
        new = GatherDimensionNumbers(
            up(n.offset_dims),
            up(n.collapsed_slice_dims),
            up(n.start_index_map),
            (0, *up(n.operand_batching_dims)),
            (0, *up(n.start_indices_batching_dims)),
        )
        sizes = (min(1, axis.size), *slice_sizes)
        params |= {"indices_are_sorted": False}
    return gather_p.bind(x, indices, dimension_numbers=new, slice_sizes=sizes, **params), 0


def _lower(b, x, indices, *, dimension_numbers, slice_sizes, mode, fill_value, **params):
    w = windows_of_gather(dimension_numbers, slice_sizes)
    form = graph.Gather(*w, "fill" if mode is GatherScatterMode.FILL_OR_DROP else "clip")
    fill = None
    if form.mode == "fill":
        value = default_fill(x.dtype, fill_value)
        fill = b.const(value, x.dtype)
    return b.gather(x, indices, w.result_shape(indices.shape), form, fill)


def _cases():
    rows = GatherDimensionNumbers((1,), (0,), (0,))
    one = GatherDimensionNumbers((), (0,), (0,))
    window = GatherDimensionNumbers((1, 2), (), (0, 1))
    paired = GatherDimensionNumbers((), (1,), (1,), (0,), (0,))
    fixed = {"unique_indices": False, "indices_are_sorted": False, "fill_value": None}
    clip, fill = GatherScatterMode.CLIP, GatherScatterMode.FILL_OR_DROP
    i32 = np.int32

    def case(shapes, dnums, sizes, mode, index, note):
        params = {"dimension_numbers": dnums, "slice_sizes": sizes, "mode": mode, **fixed}
        if mode is fill:
            params["fill_value"] = 0.5
        return Case(shapes, params, (np.float32, i32), ((-2, 2), np.array(index, i32)), (0,), note)

    return [
        case(((5, 3), (4, 1)), rows, (1, 3), clip, [[0], [4], [2], [4]], "rows of a table"),
        case(((5,), (2, 2, 1)), one, (1,), clip, [[[0], [9]], [[-3], [2]]], "elements, clipped"),
        case(((5, 3), (3, 1)), rows, (1, 3), fill, [[0], [7], [-1]], "rows, filled"),
        case(((5, 4), (3, 2)), window, (2, 3), clip, [[0, 0], [4, 1], [1, 9]], "windows"),
        case(((2, 4), (2, 3, 1)), paired, (1, 1), clip, [[[0], [1], [3]]] * 2, "batched pairs"),
        case(((3, 0), (2, 1)), rows, (1, 0), clip, [[0], [1]], "empty rows"),
        case(((), (2, 0)), GatherDimensionNumbers((), (), ()), (), clip, [[], []], "a scalar"),
    ]


gather_p = primitive(
    "gather",
    "Windows of the operand at the positions that the indices give.",
    abstract=_abstract,
    numpy=_numpy,
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    lower=_lower,
    cases=_cases,
)


def gather(x, indices, dimension_numbers, slice_sizes, mode, fill_value=None, unique=False):
    """Bind gather with the usual flags."""
    return gather_p.bind(
        x,
        indices,
        dimension_numbers=dimension_numbers,
        slice_sizes=tuple(slice_sizes),
        unique_indices=unique,
        indices_are_sorted=False,
        mode=mode,
        fill_value=fill_value,
    )
