"""x[...]: static slices become slice and rev, a run-time integer a dynamic_slice, everything else
one gather.

Indices out of bounds are clamped unless mode= says otherwise; a gather never reads outside its
operand. What index arrays clamp has no derivative, as in JAX: they are promised to be in bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy.index_parse import Index, nonnegative, parse
from fx.numpy.util import broadcast_value, convert


def getitem(
    x: Any,
    idx: Any,
    *,
    mode: Any = None,
    fill_value: Any = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    wrap_negative_indices: bool = True,
) -> Any:
    """x[idx] with NumPy's rules and JAX's bounds."""
    shape = core.get_aval(x).shape
    index = parse(shape, idx)
    x, index = expand_scalar_masks(x, index)
    kinds = index.kinds
    if fill_value is not None and isinstance(fill_value, core.Tracer):
        raise TypeError("fill_value must be a static scalar")
    plain = (
        mode is None or lax.GatherScatterMode.from_any(mode) != lax.GatherScatterMode.FILL_OR_DROP
    )
    if "array" not in kinds and (plain or not kinds & {"int", "scalar"}):
        return _basic(x, index)
    if "array" not in kinds and "scalar" not in kinds and _in_bounds(core.get_aval(x).shape, index):
        return _basic(x, index)
    x, index = _slices_first(x, index)
    return _gather(
        x,
        index,
        mode="promise_in_bounds" if mode is None else mode,
        fill_value=fill_value,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        wrap=wrap_negative_indices,
    )


def expand_scalar_masks(x: Any, index: Index) -> tuple[Any, Index]:
    """x[True] and x[False]: a new axis of size one or none."""
    if "mask0" not in index.kinds:
        return x, index
    keep = all(item for kind, item in index.entries if kind == "mask0")
    entries: list[tuple[str, Any]] = []
    first, axis = True, 0
    for kind, item in index.entries:
        if kind != "mask0":
            entries.append((kind, item))
            axis += kind != "new"
        elif first:
            x = lax.expand_dims(x, (axis,))
            entries.append(("array", core.host.from_numpy(np.zeros(int(keep), np.int32), False)))
            axis += 1
            first = False
    return x, Index(tuple(entries))


def _in_bounds(shape: tuple[int, ...], index: Index) -> bool:
    items = [e for e in index.entries if e[0] != "new"]
    return all(kind != "int" or -n <= item < n for (kind, item), n in zip(items, shape))


# ---------------------------------------------------------------- ints and slices


def _basic(x: Any, index: Index) -> Any:
    """slice, rev, dynamic_slice for run-time integers, squeeze, expand_dims."""
    x = _apply_slices(x, index)
    shape = core.get_aval(x).shape
    starts: list[Any] = []
    sizes: list[int] = []
    drop, new = [], []
    axis = place = 0
    dynamic = any(kind == "scalar" for kind, _ in index.entries)
    for kind, item in index.entries:
        if kind == "new":
            new.append(place)
            place += 1
            continue
        n = shape[axis]
        if kind == "scalar":
            starts.append(nonnegative(item, n))
            sizes.append(1)
            drop.append(axis)
        elif kind == "int":
            starts.append(0)
            sizes.append(1)
            drop.append(axis)
        else:
            starts.append(0)
            sizes.append(n)
            place += 1
        axis += 1
    if dynamic:
        dtype = np.result_type(*[core.get_aval(s).dtype for s in starts if not isinstance(s, int)])
        starts = [dtype.type(s) if isinstance(s, int) else convert(s, dtype) for s in starts]
        x = lax.dynamic_slice(x, starts, sizes, allow_negative_indices=False)
    if drop:
        x = lax.squeeze(x, tuple(drop))
    return lax.expand_dims(x, tuple(new)) if new else x


def _apply_slices(x: Any, index: Index) -> Any:
    """All static integers (as windows of size one, clamped) and slices in one slice and one rev."""
    shape = core.get_aval(x).shape
    items = [e for e in index.entries if e[0] != "new"]
    low, high, step, reverse = [], [], [], []
    for axis, ((kind, item), n) in enumerate(zip(items, shape)):
        a, b, s = 0, n, 1
        if kind == "int":
            if n == 0:
                raise IndexError(f"index is out of bounds for axis {axis} with size 0")
            a = min(max(item + n if item < 0 else item, 0), n - 1)
            b = a + 1
        elif kind == "slice":
            a, b, s, backwards = forward(item)
            if backwards:
                reverse.append(axis)
        low.append(a)
        high.append(b)
        step.append(s)
    if tuple(low) != (0,) * len(shape) or tuple(high) != shape or any(s != 1 for s in step):
        x = lax.slice(x, low, high, None if all(s == 1 for s in step) else step)
    return lax.rev(x, tuple(reverse)) if reverse else x


def forward(s: slice) -> tuple[int, int, int, bool]:
    """start, stop, positive step of the same elements, and whether they come backwards."""
    count = len(range(s.start, s.stop, s.step))
    if count == 0:
        return 0, 0, 1, False
    if s.step > 0:
        return s.start, s.start + (count - 1) * s.step + 1, s.step, False
    last = s.start + (count - 1) * s.step
    return last, s.start + 1, -s.step, True


def _slices_first(x: Any, index: Index) -> tuple[Any, Index]:
    """Take the slices before the gather, so that the gather has whole windows."""
    keep = Index(
        tuple((k, i) if k in ("slice", "new") else ("slice", None) for k, i in index.entries)
    )
    shape = core.get_aval(x).shape
    items = iter(shape)
    entries = []
    for kind, item in keep.entries:
        n = None if kind == "new" else next(items)
        entries.append((kind, slice(0, n, 1) if kind == "slice" and item is None else item))
    x = _apply_slices(x, Index(tuple(entries)))
    whole = tuple((k, None if k == "slice" else i) for k, i in index.entries)
    return x, Index(whole)


# ---------------------------------------------------------------- gather


def layout(index: Index) -> tuple[list[int], int, list[tuple[str, int]]]:
    """Operand axes that are indexed, the place of the index arrays' axes, and the other result
    entries in order.

    Index arrays that stand together put their axes where the first stands, otherwise at the front.
    """
    has_array = "array" in index.kinds
    advanced, others, positions = [], [], []
    axis = 0
    for position, (kind, _) in enumerate(index.entries):
        if kind in ("int", "scalar", "array"):
            advanced.append(axis)
            positions.append(position)
        else:
            others.append((kind, axis, position))
        axis += kind != "new"
    together = positions == list(range(positions[0], positions[0] + len(positions)))
    place = sum(1 for _, _, p in others if p < positions[0]) if together and has_array else 0
    return advanced, place, [(kind, ax) for kind, ax, _ in others]


def index_array(
    x_shape: tuple[int, ...], index: Index, wrap: bool = True
) -> tuple[Any, tuple[int, ...]]:
    """[*batch, k]: the index components of all indexed axes side by side."""
    parts, axis = [], 0
    for kind, item in index.entries:
        if kind in ("int", "scalar", "array"):
            n = x_shape[axis]
            if kind == "int":
                at = item + n if item < 0 and wrap else item
                parts.append(np.asarray(min(max(at, -1), n), np.int32 if n < 2**31 else np.int64))
            else:
                parts.append(nonnegative(item, n, wrap))
        axis += kind != "new"
    shapes = [np.shape(p) if isinstance(p, np.ndarray) else core.get_aval(p).shape for p in parts]
    batch = _joint(shapes)
    dtypes = [core.get_aval(p).dtype for p in parts]
    dtype = np.result_type(*dtypes)
    columns = []
    for p in parts:
        p = convert(p, dtype)
        columns.append(lax.expand_dims(broadcast_value(p, batch), (len(batch),)))
    joined = columns[0] if len(columns) == 1 else lax.concatenate(columns, len(batch))
    return joined, batch


def _joint(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {shapes}"
        ) from None


def _gather(
    x: Any,
    index: Index,
    *,
    mode: Any,
    fill_value: Any,
    indices_are_sorted: bool,
    unique_indices: bool,
    wrap: bool,
) -> Any:
    shape = core.get_aval(x).shape
    advanced, place, others = layout(index)
    indices, batch = index_array(shape, index, wrap)
    kept = [ax for kind, ax in others if kind == "slice"]
    before = sum(1 for kind, _ in others[:place] if kind == "slice")
    offset = tuple(range(before)) + tuple(range(before + len(batch), len(kept) + len(batch)))
    if 0 in batch and any(shape[k] == 0 for k in advanced):  # nothing is read from nothing
        sizes = [shape[k] for k in kept]
        empty = lax.full((*sizes[:before], *batch, *sizes[before:]), 0, core.get_aval(x).dtype)
        new = new_axes(others, place, len(batch))
        return lax.expand_dims(empty, new) if new else empty
    out = lax.gather(
        x,
        indices,
        lax.GatherDimensionNumbers(
            offset_dims=offset,
            collapsed_slice_dims=tuple(advanced),
            start_index_map=tuple(advanced),
        ),
        tuple(1 if k in advanced else n for k, n in enumerate(shape)),
        unique_indices=unique_indices,
        indices_are_sorted=indices_are_sorted,
        mode=mode,
        fill_value=fill_value,
    )
    new = new_axes(others, place, len(batch))
    return lax.expand_dims(out, new) if new else out


def new_axes(others: list[tuple[str, int]], place: int, batch_rank: int) -> tuple[int, ...]:
    """Where the new axes stand in the result."""
    found = []
    for k, (kind, _) in enumerate(others):
        if kind == "new":
            found.append(k if k < place else k + batch_rank)
    return tuple(found)
