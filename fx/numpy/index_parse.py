"""NumPy's index expressions taken apart: one entry per operand axis, and where new axes and index
arrays go in the result.

In: what stands between the brackets. Out: an `Index`; boolean masks have become integer arrays,
negative and missing slice
bounds are resolved, an ellipsis is filled in.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fx import core
from fx.avals import canonicalize_dtype
from fx.errors import NonConcreteBooleanIndexError
from fx.numpy.util import concrete, convert, is_concrete, value

Entry = int | slice | Any  # static int, resolved slice, integer array or tracer


@dataclass(frozen=True)
class Index:
    """entries: (kind, item) in result order; kind is "int", "slice", "array", "scalar" or "new".

    Every kind but "new" takes one operand axis. "scalar" is an integer known only at run time.
    """

    entries: tuple[tuple[str, Any], ...]

    @property
    def kinds(self) -> set[str]:
        return {k for k, _ in self.entries}


def parse(shape: tuple[int, ...], idx: Any) -> Index:
    """The index of an array of this shape; IndexError and TypeError as JAX raises them."""
    items = idx if isinstance(idx, tuple) else (idx,)
    if isinstance(idx, list):
        raise TypeError(
            "Using a non-tuple sequence for multidimensional indexing is not allowed; use "
            "`arr[array(seq)]` instead of "
            "`arr[seq]`."
        )
    items = tuple(_item(i) for i in items)
    items = _fill_ellipsis(shape, items)
    entries: list[tuple[str, Any]] = []
    axis = 0
    for position, item in enumerate(items):
        if item is None:
            entries.append(("new", None))
            continue
        if _is_bool(item):
            rank = _rank(item)
            entries.extend(_mask(shape, axis, item, position))
            axis += rank
            continue
        if axis >= len(shape):
            _too_many(shape, items)
        entries.append(_one(item, shape[axis], position))
        axis += 1
    return Index(tuple(entries))


def _item(item: Any) -> Any:
    """Sequences inside a tuple become arrays."""
    if isinstance(item, (list, tuple)):
        from fx.numpy.creation import asarray

        if len(item) == 0:
            return np.zeros((0,), np.int32)
        a = (
            np.asarray(item)
            if not any(isinstance(i, core.Tracer) for i in item)
            else asarray(list(item))
        )
        return a
    if isinstance(item, str):
        raise TypeError(f"Arrays do not support string indexing; got idx={item!r}")
    return value(item)


def _rank(item: Any) -> int:
    if isinstance(item, (bool, int, float, complex)):
        return 0
    return len(core.get_aval(item).shape)


def _is_bool(item: Any) -> bool:
    return isinstance(item, (bool, np.bool_)) or (
        not isinstance(item, slice) and getattr(item, "dtype", None) == np.bool_
    )


def _fill_ellipsis(shape: tuple[int, ...], items: tuple[Any, ...]) -> tuple[Any, ...]:
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    used = sum(_rank(i) if _is_bool(i) else 1 for i in items if i is not None and i is not Ellipsis)
    if used > len(shape):
        _too_many(shape, items)
    rest = (slice(None),) * (len(shape) - used)
    if not dots:
        return items + rest
    return items[: dots[0]] + rest + items[dots[0] + 1 :]


def _too_many(shape: tuple[int, ...], items: tuple[Any, ...]) -> None:
    count = sum(
        _rank(i) if _is_bool(i) else 1 for i in items if i is not None and i is not Ellipsis
    )
    raise IndexError(
        f"Too many indices: array is {len(shape)}-dimensional, but {count} were indexed"
    )


def _one(item: Any, size: int, position: int) -> tuple[str, Any]:
    if isinstance(item, slice):
        return "slice", _slice(item, size, position)
    if isinstance(item, (int, np.integer)):
        return "int", int(item)
    if not core.is_array_value(item):
        try:
            return "int", operator.index(item)
        except TypeError:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), newaxis (`None`) and integer or "
                "boolean arrays are "
                f"valid indices. Got {item}"
            ) from None
    aval = core.get_aval(item)
    if aval.dtype.kind not in "iu":
        name = np.asarray(item).dtype if isinstance(item, (float, complex)) else aval.dtype
        raise TypeError(f"Indexer must have integer or boolean type, got indexer with type {name}")
    if not aval.shape:
        if not isinstance(item, core.Tracer):
            return "int", int(concrete(item))
        return "scalar", item
    return "array", item


def _slice(s: slice, size: int, position: int) -> slice:
    """A slice with explicit start, stop and step; stop may be -1 for a reversed one that ends at
    0.
    """
    parts = []
    for p in (s.start, s.stop, s.step):
        if isinstance(p, core.Tracer) and not is_concrete(p):
            raise IndexError(
                f"Slice entries must be static integers. Got {s} at position {position}. Use "
                "lax.dynamic_slice for a "
                "start that is known only at run time, or mark the argument static."
                f"{p.origin()}"
            )
        if p is not None and core.is_array_value(p) and not isinstance(p, int):
            if core.get_aval(p).dtype.kind not in "iub" or core.get_aval(p).shape:
                raise TypeError(
                    f"slice entries must be integers, got {p!r} in {s} at position {position}"
                )
            p = int(concrete(p))
        parts.append(p)
    try:
        return slice(*slice(*parts).indices(size))
    except TypeError:
        raise IndexError(
            f"Slice entries must be static integers. Got {s} at position {position}"
        ) from None


def _mask(shape: tuple[int, ...], axis: int, mask: Any, position: int) -> list[tuple[str, Any]]:
    """A boolean mask as one integer array per axis it covers."""
    if not is_concrete(mask):
        raise NonConcreteBooleanIndexError(
            f"Array boolean indices must be concrete; got {core.get_aval(mask).str_short()}. The "
            "shape of the result would "
            "depend on the mask's values; use fx.numpy.where(mask, x, fill), or nonzero(mask, "
            "size=...)."
            f"{mask.origin() if isinstance(mask, core.Tracer) else ''}"
        )
    m = np.asarray(concrete(mask) if core.is_array_value(mask) else mask)
    if m.ndim == 0:
        return [("mask0", bool(m))]
    have = shape[axis : axis + m.ndim]
    if len(have) < m.ndim:
        raise IndexError(
            f"Too many indices: array is {len(shape)}-dimensional, but a mask of {m.ndim} axes was "
            "given"
        )
    if have != m.shape:
        raise IndexError(
            f"boolean index did not match shape of indexed array in index {position}: got "
            f"{m.shape}, expected "
            f"{list(have)}"
        )
    dtype = canonicalize_dtype(np.int64)
    return [("array", core.host.from_numpy(i.astype(dtype), False)) for i in np.nonzero(m)]


def check_reach(size: int, dtype: np.dtype) -> None:
    """OverflowError where indices of this dtype do not reach the end of an axis."""
    if size > np.iinfo(dtype).max:
        raise OverflowError(
            f"indices of {dtype.name} do not reach the end of an axis of {size} elements. Index it "
            "by Python integers or slices, split the array, or set fx.config.update("
            "'enable_x64', True) and give indices of int64."
        )


def nonnegative(item: Any, size: int, wrap: bool = True) -> Any:
    """An integer array index as int32 (or wider), counted from the front."""
    from fx.numpy import ufunc_base as base
    from fx.numpy import ufuncs as u

    if not isinstance(item, core.Tracer):
        a = concrete(item)
        if a.dtype == np.uint64:
            a = np.minimum(a, np.uint64(np.iinfo(np.int64).max))
        a = a.astype(np.int64)
        if wrap:
            a = np.where(a < 0, a + size, a)
        dtype = canonicalize_dtype(np.int64)
        info = np.iinfo(dtype)
        check_reach(size, dtype)  # int64 indices have been cut to 32 bits before
        return core.host.from_numpy(np.clip(a, info.min, info.max).astype(dtype), False)
    d = core.get_aval(item).dtype
    if d.itemsize < 4 or d.kind == "u":
        signed = np.dtype(np.int32) if d.itemsize <= 4 else np.dtype(np.int64)
        if d.kind == "u" and d.itemsize >= 4:  # beyond the end, not before the beginning
            item = u.minimum(item, d.type(np.iinfo(signed).max))
        item = convert(item, signed)
    if d.kind == "u" or not wrap:
        return item
    d = core.get_aval(item).dtype
    check_reach(size, d)
    return base.where_(u.less(item, d.type(0)), u.add(item, d.type(size)), convert(item, d))
