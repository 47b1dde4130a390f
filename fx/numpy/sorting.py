"""Order: sort, argsort, lexsort, partition, searchsorted, digitize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype, is_floating
from fx.dtypes import to_inexact
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.util import (
    broadcast_value,
    canonical_axis,
    check_arraylike,
    convert,
    promote_dtypes,
    shape_dtype,
)

__all__ = [
    "argpartition",
    "argsort",
    "digitize",
    "lexsort",
    "partition",
    "searchsorted",
    "sort",
    "sort_complex",
]


def _check(kind: Any, order: Any, stable: Any) -> bool:
    if kind is not None:
        raise TypeError(
            "'kind' argument to sort is not supported. Use stable=True or stable=False to specify "
            "sort stability."
        )
    if order is not None:
        raise TypeError("'order' argument to sort is not supported.")
    return True if stable is None else bool(stable)


def _lined(name: str, a: Any, axis: int | None) -> tuple[Any, int]:
    x, aval = shape_dtype(name, a)
    if axis is None:
        return lax.reshape(x, (aval.size,)), 0
    return x, canonical_axis(axis, len(aval.shape))


def sort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Any:
    """Sorted along an axis, or all elements in one where `axis` is None: shape and dtype stay. NaNs
    come last (first if `descending`); complex numbers order by real, then imaginary part.
    ValueError for arrays without axes, TypeError for kind and order, which do not exist here.
    """
    stable = _check(kind, order, stable)
    x, k = _lined("sort", a, axis)
    out = lax.sort(x, dimension=k, is_stable=stable)
    return lax.rev(out, (k,)) if descending else out


def argsort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
    dtype: Any = None,
) -> Any:
    """The indices that sort along an axis (of the flattened array where it is None), of its shape:
    int32 (int64 with x64) or `dtype`. Equal elements keep their order unless stable=False; NaNs and
    errors as in sort.
    """
    stable = _check(kind, order, stable)
    x, k = _lined("argsort", a, axis)
    shape = core.get_aval(x).shape
    index = canonicalize_dtype(np.int64 if dtype is None else dtype)
    places = lax.broadcasted_iota(index, shape, k)
    if descending:
        x = lax.rev(x, (k,)) if stable else x
        places = lax.rev(places, (k,)) if stable else places
    _, out = lax.sort([x, places], dimension=k, is_stable=stable, num_keys=1)
    return lax.rev(out, (k,)) if descending else out


def lexsort(keys: Any, axis: int = -1) -> Any:
    """The indices (int32; int64 with x64) that sort along an axis by the last key, ties by the one
    before, and so on. The keys are a sequence of arrays, or the rows of one: ValueError where
    shapes differ, TypeError for none.
    """
    members = list(keys) if isinstance(keys, Sequence) else list(_rows(keys))
    if not members:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    members = [shape_dtype("lexsort", m)[0] for m in members]
    shapes = {core.get_aval(m).shape for m in members}
    if len(shapes) > 1:
        raise ValueError("all keys need to be the same shape")
    shape = next(iter(shapes))
    if not shape:
        return convert(np.int32(0), canonicalize_dtype(np.int64))
    k = canonical_axis(axis, len(shape))
    places = lax.broadcasted_iota(canonicalize_dtype(np.int64), shape, k)
    return lax.sort([*members[::-1], places], dimension=k, is_stable=True, num_keys=len(members))[
        -1
    ]


def _rows(x: Any) -> Any:
    from fx.numpy.joining import unstack

    return unstack(x)


def partition(a: Any, kth: int, axis: int = -1) -> Any:
    """Sorted so far along an axis that element kth is in place, smaller ones before it (here: fully
    sorted). Shape and dtype stay. ValueError for kth out of bounds, NotImplementedError for complex
    numbers.
    """
    x, k = _lined("partition", a, axis)
    if core.get_aval(x).dtype.kind == "c":
        raise NotImplementedError("fx.numpy.partition for complex dtype is not implemented.")
    canonical_axis(kth, core.get_aval(x).shape[k])
    return lax.sort(x, dimension=k)


def argpartition(a: Any, kth: int, axis: int = -1) -> Any:
    """The int32 indices that put the element of place `kth` along an axis there, none larger before
    it, none smaller behind. Errors as in partition.
    """
    x, k = _lined("argpartition", a, axis)
    if core.get_aval(x).dtype.kind == "c":
        raise NotImplementedError("fx.numpy.argpartition for complex dtype is not implemented.")
    canonical_axis(kth, core.get_aval(x).shape[k])
    return convert(argsort(x, axis=k), np.dtype(np.int32))


def sort_complex(a: Any) -> Any:
    """Sorted along the last axis by real, then imaginary part: complex64, or complex128 for 64-bit
    input with x64.
    """
    x, aval = shape_dtype("sort_complex", a)
    x = lax.sort(x, dimension=len(aval.shape) - 1) if aval.shape else x
    if aval.dtype.kind == "c":
        return x
    double = to_inexact(aval.dtype) == np.float64
    return convert(x, np.dtype(np.complex128 if double else np.complex64))


# ---------------------------------------------------------------- positions in sorted arrays


def searchsorted(
    a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan"
) -> Any:
    """Where to insert v so that the sorted vector a [n] stays sorted: int32 in 0..n, of the shape
    of v, before equal elements or, on side "right", behind them; NaN goes last. `sorter` holds the
    indices that sort `a`. By bisection; method "compare_all" counts instead. ValueError for other
    ranks of a, sides and methods.
    """
    if side not in ("left", "right"):
        raise ValueError(
            f"{side!r} is an invalid value for keyword 'side'. Expected one of ['left', 'right']."
        )
    if method not in ("scan", "scan_unrolled", "sort", "compare_all"):
        raise ValueError(
            f"{method!r} is an invalid value for keyword 'method'. Expected one of ['sort', "
            "'scan', "
            "'scan_unrolled', 'compare_all']."
        )
    check_arraylike("searchsorted", a, v)
    if len(np.shape(a)) != 1:
        raise ValueError("a should be 1-dimensional")
    a, v = promote_dtypes("searchsorted", a, v)
    a, v = shape_dtype("searchsorted", a)[0], shape_dtype("searchsorted", v)[0]
    if sorter is not None:
        from fx.numpy.selection import take

        a = take(a, sorter, mode="clip")
    n = core.get_aval(a).shape[0]
    index = np.dtype(np.int32)
    if n == 0:
        return broadcast_value(index.type(0), core.get_aval(v).shape)
    if method == "compare_all":
        return _count_smaller(a, v, side, index)
    return _bisect(a, v, side, n, index)


def _before(x: Any, v: Any, side: str) -> Any:
    """Whether v belongs after x: x < v (left) or x <= v (right), NaN being the largest."""
    if is_floating(core.get_aval(v).dtype):
        x_nan, v_nan = u.isnan(x), u.isnan(v)
        if side == "left":
            return u.logical_or(lax.lt(x, v), u.logical_and(v_nan, u.logical_not(x_nan)))
        return u.logical_or(lax.le(x, v), v_nan)
    return u.less(x, v) if side == "left" else u.less_equal(x, v)


def _count_smaller(a: Any, v: Any, side: str, index: np.dtype) -> Any:
    shape = core.get_aval(v).shape
    n = core.get_aval(a).shape[0]
    wide = (*shape, n)
    left = broadcast_value(a, wide)
    right = broadcast_value(lax.expand_dims(v, (len(shape),)), wide)
    return lax.reduce_sum(convert(_before(left, right, side), index), (len(shape),))


def _bisect(a: Any, v: Any, side: str, n: int, index: np.dtype) -> Any:
    """Steps of falling powers of two, taken where the element before the step's end still belongs
    before v; all values at once.
    """
    shape = core.get_aval(v).shape
    top = index.type(1 << (int(n).bit_length() - 1))
    numbers = lax.GatherDimensionNumbers((), (0,), (0,))

    def body(i: Any, low: Any) -> Any:
        position = lax.add(low, broadcast_value(lax.shift_right_logical(top, i), shape))
        last = lax.sub(lax.min(position, index.type(n)), index.type(1))
        at = lax.expand_dims(last, (len(shape),))
        x = lax.gather(a, at, numbers, (1,), mode="promise_in_bounds")
        inside = lax.le(position, index.type(n))
        return lax.select(lax.bitwise_and(inside, _before(x, v, side)), position, low)

    low = broadcast_value(index.type(0), shape)
    return lax.fori_loop(index.type(0), index.type(int(n).bit_length()), body, low)


def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Any:
    """The bin that each value falls in, for rising or falling bins [n]: int32 in 0..n, of the shape
    of x. Bins include their lower edge, or, with `right`, their upper one. ValueError unless bins
    has one axis.
    """
    check_arraylike("digitize", x, bins)
    if len(np.shape(bins)) != 1:
        raise ValueError(
            f"digitize: bins must be a 1-dimensional array; got shape {np.shape(bins)}"
        )
    n = np.shape(bins)[0]
    x = shape_dtype("digitize", x)[0]
    if n == 0:
        return broadcast_value(np.int32(0), core.get_aval(x).shape)
    bins = shape_dtype("digitize", bins)[0]
    side = "right" if not right else "left"
    kw = {"method": method or "scan"}
    rising = searchsorted(bins, x, side=side, **kw)
    falling = u.subtract(np.int32(n), searchsorted(lax.rev(bins, (0,)), x, side=side, **kw))
    first = lax.squeeze(lax.slice_in_dim(bins, 0, 1), (0,))
    last = lax.squeeze(lax.slice_in_dim(bins, n - 1, n), (0,))
    up = u.greater_equal(last, first)
    return base.where_(broadcast_value(up, core.get_aval(x).shape), rising, falling)
