"""x.at[...]: updated copies. Static windows become dynamic_update_slice, everything else one
scatter.

Updates out of bounds are dropped unless mode= says otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.index_parse import Index, check_reach, parse
from fx.numpy.indexing import (
    expand_scalar_masks,
    forward,
    getitem,
    index_array,
    layout,
    new_axes,
)
from fx.numpy.recorded import recorded
from fx.numpy.util import convert, join, modes, shape_dtype


class At:
    """`x.at`: index it as x itself to get an Updater."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def __getitem__(self, index: Any) -> Updater:
        return Updater(self.array, index)

    def __repr__(self) -> str:
        return f"_IndexUpdateHelper({self.array!r})"


class Updater:
    """`x.at[idx]`: its methods return updated copies of x, of its shape and dtype.

    Values broadcast to x[idx] (ValueError else). Where x's dtype does not hold them there is a
    FutureWarning, and sums, products and extrema are of the common dtype until the end. Negative
    indices count from the end; updates out of bounds are dropped unless mode= is "clip" or
    "promise_in_bounds". unique_indices and indices_are_sorted are promises. TypeError for indices
    of floats, IndexError for too many, NonConcreteBooleanIndexError for traced masks, for which
    there is `where`.

    >>> import fx.numpy as fnp
    >>> fnp.zeros(3).at[1].set(5.0)
    Array([0., 5., 0.], dtype=float32)
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any):
        self.array = array
        self.index = index

    def get(self, *, fill_value: Any = None, mode: Any = None, **flags: Any) -> Any:
        """x[idx]; out of bounds mode "clip" (default) takes the nearest element, "fill" NaN, the
        least signed or largest unsigned integer, or fill_value.
        """
        flags.pop("out_sharding", None)
        return getitem(self.array, self.index, fill_value=fill_value, mode=mode, **flags)

    def set(self, values: Any, **flags: Any) -> Any:
        """x[idx] = values; of repeated indices one wins."""
        return update(self.array, self.index, values, "set", **flags)

    def add(self, values: Any, **flags: Any) -> Any:
        """x[idx] += values; repeated indices add up."""
        return update(self.array, self.index, values, "add", **flags)

    def subtract(self, values: Any, **flags: Any) -> Any:
        """x[idx] -= values; repeated indices add up."""
        return update(self.array, self.index, values, "sub", **flags)

    def multiply(self, values: Any, **flags: Any) -> Any:
        """x[idx] *= values; repeated indices multiply."""
        return update(self.array, self.index, values, "mul", **flags)

    mul = multiply

    def divide(self, values: Any, **flags: Any) -> Any:
        """x[idx] /= values; repeated indices divide in turn. Integers become floats."""
        factors = update(_ones(self.array), self.index, values, "mul", **flags)
        return u.divide(self.array, factors)

    def power(self, values: Any, **flags: Any) -> Any:
        """x[idx] **= values; exponents of repeated indices multiply."""
        exponents = update(_ones(self.array), self.index, values, "mul", **flags)
        return u.power(self.array, exponents)

    def min(self, values: Any, **flags: Any) -> Any:
        """x[idx] = minimum(x[idx], values), over repeated indices too."""
        return update(self.array, self.index, values, "min", **flags)

    def max(self, values: Any, **flags: Any) -> Any:
        """x[idx] = maximum(x[idx], values), over repeated indices too."""
        return update(self.array, self.index, values, "max", **flags)

    def apply(self, func: Callable[[Any], Any], **flags: Any) -> Any:
        """x[idx] = func(x[idx]), in turn for repeated indices; func sees arrays of any shape."""
        return update(self.array, self.index, func, "apply", **flags)

    def __setitem__(self, *_: Any) -> None:
        raise TypeError("x.at[i][j] = y has no meaning; use x = x.at[i, j].set(y).")

    def __repr__(self) -> str:
        return f"_IndexUpdateRef({self.array!r}, {self.index!r})"


def _ones(x: Any) -> Any:
    from fx.numpy.creation import ones_like

    return ones_like(x)


_SAME = {
    "set": lambda old, new: new,
    "add": u.add,
    "sub": u.subtract,
    "mul": u.multiply,
    "min": u.minimum,
    "max": u.maximum,
}


@recorded
def update(
    x: Any,
    idx: Any,
    values: Any,
    op: str,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
    out_sharding: Any = None,
    wrap_negative_indices: bool = True,
) -> Any:
    """A copy of x with `op` applied to x[idx] and values."""
    x, aval = shape_dtype("scatter", x)
    index = parse(aval.shape, idx)
    if mode is not None:
        lax.GatherScatterMode.from_any(
            mode
        )  # ValueError for unknown ones, also where none is needed
    if "mask0" in index.kinds:
        grown, index = expand_scalar_masks(x, index)
        return _masked0(x, grown, index, values, op)
    if op != "apply":
        values, common = _values(x, values)
        dtype, weak = aval.dtype, aval.weak_type
        if op in _COMBINED and not _alike(op, common, dtype):
            wide = update(
                convert(x, common),
                idx,
                convert(values, common),
                op,
                indices_are_sorted=indices_are_sorted,
                unique_indices=unique_indices,
                mode=mode,
                wrap_negative_indices=wrap_negative_indices,
            )
            return convert(_real(wide, dtype), dtype, weak)
        x, values = convert(x, dtype, weak), _converted(values, dtype, weak)
    kinds = index.kinds
    if not kinds & {"array", "scalar"} and _static_in_bounds(aval.shape, index):
        return _static(x, index, values, op)
    return _scatter(
        x,
        index,
        values,
        op,
        mode=mode,
        indices_are_sorted=indices_are_sorted or "array" not in kinds,
        unique_indices=unique_indices or "array" not in kinds,
        wrap=wrap_negative_indices,
    )


def _values(x: Any, values: Any) -> tuple[Any, np.dtype]:
    """The values as an array, and the dtype that they have in common with x; a lossy conversion to
    x's dtype warns.
    """
    if not core.is_array_value(values):
        values = asarray(values)
    (have, want) = core.get_aval(values), core.get_aval(x)
    common = want.dtype
    if have.dtype != want.dtype and not getattr(want.dtype, "is_extended", False):
        common, _ = join([(have.dtype, have.weak_type), (want.dtype, want.weak_type)])
        if common != want.dtype and modes.dtype_promotion == "standard":
            warnings.warn(
                "scatter inputs have incompatible types: cannot safely cast value from "
                f"dtype={have.dtype.name} to "
                f"dtype={want.dtype.name} with jax_numpy_dtype_promotion=standard. In future this "
                "will be an error.",
                FutureWarning,
                stacklevel=4,
            )
    return values, common


_COMBINED = ("add", "sub", "mul", "min", "max")


def _alike(op: str, common: np.dtype, dtype: np.dtype) -> bool:
    """Whether results in both dtypes are the same once they are converted to `dtype`. Sums and
    products of integers wrap; floats and predicates do not, so that each update would be rounded by
    itself; and what is larger need not be so once it has wrapped.
    """
    wraps = op not in ("min", "max") and common.kind in "iu" and dtype.kind in "iu"
    return common == dtype or (wraps and common.itemsize >= dtype.itemsize)


def _converted(values: Any, dtype: np.dtype, weak: bool) -> Any:
    """The values in x's dtype; numbers saturate as arrays do."""
    if dtype.kind in "iu" and isinstance(values, (float, np.floating)):
        return lax.convert_element_type(values, dtype)
    return convert(_real(values, dtype), dtype, weak)


def _real(values: Any, dtype: np.dtype) -> Any:
    if core.get_aval(values).dtype.kind == "c" and dtype.kind != "c":
        return lax.real(values)
    if dtype == np.bool_ and core.get_aval(values).dtype != np.bool_:
        return u.not_equal(values, 0)
    return values


def _masked0(x: Any, grown: Any, index: Index, values: Any, op: str) -> Any:
    """x.at[True] changes everything, x.at[False] nothing."""
    keep = all(core.get_aval(item).shape != (0,) for kind, item in index.entries if kind == "array")
    if not keep:
        return x
    whole = tuple(
        slice(None) if kind == "slice" else None if kind == "new" else item
        for kind, item in index.entries
    )
    out = update(grown, whole, values, op)
    return lax.reshape(out, core.get_aval(x).shape)


# ---------------------------------------------------------------- static windows


def _static_in_bounds(shape: tuple[int, ...], index: Index) -> bool:
    items = [e for e in index.entries if e[0] != "new"]
    for (kind, item), n in zip(items, shape):
        if kind == "int" and not -n <= item < n:
            return False
        if (
            kind == "slice"
            and abs(item.step) != 1
            and len(range(item.start, item.stop, item.step)) > 1
        ):
            return False
    return True


def _static(x: Any, index: Index, values: Any, op: str) -> Any:
    """A window with static bounds: take it, combine, and put it back."""
    shape = core.get_aval(x).shape
    starts, sizes, reverse, new = [], [], [], []
    axis = place = 0
    result: list[int] = []
    for kind, item in index.entries:
        if kind == "new":
            new.append(place)
            result.append(1)
            place += 1
            continue
        if kind == "int":
            starts.append(item + shape[axis] if item < 0 else item)
            sizes.append(1)
        else:
            low, high, _, backwards = forward(item)
            starts.append(low)
            sizes.append(high - low)
            result.append(high - low)
            if backwards:
                reverse.append(axis)
            place += 1
        axis += 1
    if 0 in sizes:
        return x
    limits = [a + n for a, n in zip(starts, sizes)]
    whole = tuple(sizes) == shape
    old = x if whole or op == "set" else lax.slice(x, starts, limits)
    if op == "apply":
        if tuple(sizes) != shape:
            old = lax.slice(x, starts, limits)
        window = values(old)
        window = convert(window, core.get_aval(x).dtype, core.get_aval(window).weak_type)
    else:
        window = _broadcast_values(values, tuple(result))
        window = (
            lax.reshape(window, tuple(sizes))
            if core.get_aval(window).shape != tuple(sizes)
            else window
        )
        window = lax.rev(window, tuple(reverse)) if reverse else window
        window = _SAME[op](old, window)
    if whole:
        return window if core.get_aval(window).shape else asarray(window)
    if max(starts, default=0) > np.iinfo(np.int32).max:
        check_reach(max(shape), np.dtype(np.int32))
    return lax.dynamic_update_slice(x, window, [np.int32(s) for s in starts])


def _broadcast_values(values: Any, shape: tuple[int, ...]) -> Any:
    """Values of the indexed shape; leading axes of size one may be dropped, as NumPy allows in
    assignments.
    """
    from fx.numpy.util import broadcast_value

    have = core.get_aval(values).shape
    while len(have) > len(shape) and have[0] == 1:
        values = lax.squeeze(values, (0,))
        have = have[1:]
    if len(have) > len(shape) or any(
        a not in (1, b) for a, b in zip(have, shape[len(shape) - len(have) :])
    ):
        raise ValueError(
            f"Incompatible shapes for broadcasting: update values of shape {have} and indexed "
            f"region of shape {shape}"
        )
    return broadcast_value(values, shape)


# ---------------------------------------------------------------- scatter


def _windows(index: Index) -> dict[int, tuple[int, int]]:
    """The windows of the slices: axis -> (start, size)."""
    windows: dict[int, tuple[int, int]] = {}
    axis = 0
    for kind, item in index.entries:
        if kind == "slice":
            low, high, _, _ = forward(item)
            windows[axis] = (low, high - low)
        axis += kind != "new"
    return windows


def _scatter(
    x: Any,
    index: Index,
    values: Any,
    op: str,
    *,
    mode: Any,
    indices_are_sorted: bool,
    unique_indices: bool,
    wrap: bool,
) -> Any:
    if any(
        kind == "slice" and item.step != 1 and len(range(item.start, item.stop, item.step)) > 1
        for kind, item in index.entries
    ):
        return _scatter_strided(
            x, index, values, op, mode=mode, unique_indices=unique_indices, wrap=wrap
        )
    shape = core.get_aval(x).shape
    windows = _windows(index)
    if any(size == 0 for _, size in windows.values()):
        return x
    advanced, place, others = layout(index)
    indices, batch = index_array(shape, index, wrap)
    kept = [ax for kind, ax in others if kind == "slice"]
    before = sum(1 for kind, _ in others[:place] if kind == "slice")
    window_shape = [windows[ax][1] for ax in kept]
    offset = tuple(range(before)) + tuple(range(before + len(batch), len(kept) + len(batch)))
    update_shape = (*window_shape[:before], *batch, *window_shape[before:])
    new = new_axes(others, place, len(batch))
    moved = [ax for ax in kept if windows[ax] != (0, shape[ax])]
    indices = _add_window_starts(indices, [windows[ax][0] for ax in moved])
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=offset,
        inserted_window_dims=tuple(advanced),
        scatter_dims_to_operand_dims=(*advanced, *moved),
    )
    flags = {
        "indices_are_sorted": indices_are_sorted,
        "unique_indices": unique_indices,
        "mode": "drop" if mode is None else mode,
    }
    if op == "apply":
        return lax.scatter_apply(x, indices, values, numbers, update_shape=update_shape, **flags)
    full = list(update_shape)
    for k in new:
        full.insert(k, 1)
    values = _broadcast_values(values, tuple(full))
    if new:
        values = lax.squeeze(values, new)
    return _SCATTER[op](x, indices, values, numbers, **flags)


_SCATTER = {
    "set": lax.scatter,
    "add": lax.scatter_add,
    "sub": lax.scatter_sub,
    "mul": lax.scatter_mul,
    "min": lax.scatter_min,
    "max": lax.scatter_max,
}


def _add_window_starts(indices: Any, starts: list[int]) -> Any:
    if not starts:
        return indices
    aval = core.get_aval(indices)
    columns = np.broadcast_to(np.asarray(starts, aval.dtype), (*aval.shape[:-1], len(starts)))
    return lax.concatenate(
        [indices, core.host.from_numpy(np.array(columns), False)], len(aval.shape) - 1
    )


def _scatter_strided(
    x: Any, index: Index, values: Any, op: str, *, mode: Any, unique_indices: bool, wrap: bool
) -> Any:
    """Slices with a step: index the flat positions of x in the same way, then scatter into x made
    flat.
    """
    shape = core.get_aval(x).shape
    size = core.get_aval(x).size
    flat = lax.reshape(lax.iota(np.dtype(np.int32), size), shape)
    idx = tuple(_as_item(kind, item) for kind, item in index.entries)
    drops = lax.GatherScatterMode.from_any(mode) == lax.GatherScatterMode.FILL_OR_DROP
    places = getitem(
        flat,
        idx,
        mode="fill" if drops else mode,
        fill_value=size if drops else None,
        wrap_negative_indices=wrap,
    )
    target = core.get_aval(places).shape
    if op != "apply":
        values = _broadcast_values(values, target)
    out = update(
        lax.reshape(x, (size,)), places, values, op, mode=mode, unique_indices=unique_indices
    )
    return lax.reshape(out, shape)


def _as_item(kind: str, item: Any) -> Any:
    if kind == "slice":
        return slice(item.start, item.stop if item.stop >= 0 else None, item.step)
    return None if kind == "new" else item
