"""Positions and counts that depend on data: nonzero, unique, bincount, histograms. Under jit their
size must be given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype, is_floating
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.cumulative import cumsum
from fx.numpy.manipulation import moveaxis, ravel
from fx.numpy.ranges import linspace
from fx.numpy.reductions import sum as sum_
from fx.numpy.selection import take, where
from fx.numpy.sorting import lexsort, searchsorted
from fx.numpy.util import (
    broadcast_value,
    canonical_axis,
    check_arraylike,
    concrete,
    concrete_int,
    convert,
    is_concrete,
    promote_dtypes,
    promote_dtypes_inexact,
    shape_dtype,
    wrap,
)
from fx.prims.positions import positions

__all__ = [
    "argwhere",
    "bincount",
    "flatnonzero",
    "histogram",
    "histogram2d",
    "histogram_bin_edges",
    "histogramdd",
    "nonzero",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Any, ...]:
    """Index arrays, one per axis, of the elements that are not zero, row by row: int32 (int64 with
    x64). Under jit, where their number is unknown, a static `size` gives it: further ones are cut
    off, missing ones are fill_value (0; one for all axes or one each). ValueError for arrays
    without axes, ConcretizationTypeError under jit without size.
    """
    x, aval = shape_dtype("nonzero", a)
    if not aval.shape:
        raise ValueError(
            "Calling nonzero on 0d arrays is not allowed. Use "
            "fx.numpy.atleast_1d(scalar).nonzero()."
        )
    index = canonicalize_dtype(np.int64)
    if is_concrete(x) and size is None:
        return tuple(wrap(i.astype(index)) for i in np.nonzero(concrete(x)))
    context = (
        "The size argument of fx.numpy.nonzero must be statically specified to use "
        "fx.numpy.nonzero within "
        "transformations."
    )
    if size is None:
        concrete(x, context)
    size = concrete_int(size, context)
    mask = ravel(x if aval.dtype == np.bool_ else u.not_equal(x, 0))
    fills = _fills(fill_value, len(aval.shape))
    if core.get_aval(mask).size == 0 or size == 0:
        return tuple(broadcast_value(convert(f, index), (size,)) for f in fills)
    known = _known(fills[0]) if len(aval.shape) == 1 else None
    flat, total = positions(mask, size, 0 if known is None else known)
    if known is not None:
        return (convert(flat, index),)
    found = u.less(lax.iota(np.dtype(np.int32), size), total)
    pairs = zip(_unravelled(flat, aval.shape), fills)
    return tuple(where(found, convert(i, index), convert(f, index)) for i, f in pairs)


def _known(fill: Any) -> int | None:
    """A fill value as a number that the positions of a vector can be filled with."""
    if not is_concrete(fill) or np.shape(fill):
        return None
    value = int(concrete(fill))
    return value if -(2**31) <= value < 2**31 else None


def _unravelled(flat: Any, shape: tuple[int, ...]) -> list[Any]:
    """The index along each axis of positions in a flattened array; none is negative."""
    out = []
    for axis, n in enumerate(shape):
        stride = math.prod(shape[axis + 1 :])
        i = flat if stride == 1 else lax.div(flat, np.int32(stride))
        out.append(i if axis == 0 else lax.rem(i, np.int32(n)))
    return out


def _fills(fill_value: Any, ndim: int) -> list[Any]:
    if fill_value is None:
        return [0] * ndim
    values = tuple(fill_value) if isinstance(fill_value, (tuple, list)) else (fill_value,) * ndim
    if len(values) != ndim:
        raise ValueError(
            f"fill_value must be a scalar or one value per axis ({ndim}), got {fill_value}"
        )
    return [asarray(v) for v in values]


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Positions of the nonzero elements in the flattened array, a vector; size and fill_value as in
    nonzero.
    """
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Indices of the nonzero elements as rows [count, ndim]; size and fill_value as in nonzero."""
    from fx.numpy.joining import stack

    x, aval = shape_dtype("argwhere", a)
    if not aval.shape:
        found = nonzero(lax.reshape(x, (1,)), size=size, fill_value=fill_value)[0]
        return lax.full((core.get_aval(found).size, 0), 0, core.get_aval(found).dtype)
    return stack(nonzero(x, size=size, fill_value=fill_value), 1)


# ---------------------------------------------------------------- unique


class UniqueAll(NamedTuple):
    """What unique_all gives: values, first indices, inverse indices, counts."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What unique_counts gives: values and their counts."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What unique_inverse gives: values and inverse indices."""

    values: Any
    inverse_indices: Any


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,
) -> Any:
    """The distinct elements in order, as a vector, or the distinct slices along an axis, in its
    place. With flags a tuple: their first positions, the place of each element among them (in the
    shape of ar, or a vector if there is an axis), how often each occurs; all int32 (int64 with
    x64).

    Under jit a static `size` says how many to return (else ConcretizationTypeError): missing ones
    are fill_value, by default the first, with count 0.
    """
    x, aval = shape_dtype("unique", ar)
    if size is None and not is_concrete(x):
        concrete(
            x,
            "The error arose in fx.numpy.unique. In order to use unique() within transformations, "
            "specify the `size` "
            "argument.",
        )
    if size is None:
        return _unique_now(x, return_index, return_inverse, return_counts, axis, equal_nan)
    flat_axis = axis is None
    if axis is None:
        x, axis = ravel(x), 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    rows = moveaxis(x, k, 0)
    return _unique_sized(
        rows,
        x,
        k,
        aval.shape,
        flat_axis,
        (return_index, return_inverse, return_counts),
        equal_nan,
        size,
        fill_value,
    )


def _unique_now(
    x: Any, index: bool, inverse: bool, counts: bool, axis: Any, equal_nan: bool
) -> Any:
    a = concrete(x)
    kw = {"axis": axis, "equal_nan": equal_nan}
    values, first, back, count = np.unique(a, True, True, True, **kw)
    if axis is None:
        back = back.reshape(a.shape)
    else:
        back = back.reshape(-1)
    picked = [take(ravel(x), wrap(first)) if axis is None else take(x, wrap(first), axis=axis)]
    if values.size == 0:
        picked = [wrap(values.astype(a.dtype))]
    for flag, part in ((index, first), (inverse, back), (counts, count)):
        if flag:
            picked.append(wrap(part.astype(canonicalize_dtype(np.int64))))
    return picked[0] if len(picked) == 1 else tuple(picked)


def _unique_sized(
    rows: Any,
    x: Any,
    axis: int,
    shape: tuple[int, ...],
    flat_axis: bool,
    flags: tuple[bool, bool, bool],
    equal_nan: bool,
    size: int,
    fill_value: Any,
) -> Any:
    """Sort the rows, mark where a new one begins, and gather the first `size` beginnings."""
    n = core.get_aval(rows).shape[0]
    index = canonicalize_dtype(np.int64)
    if n == 0:
        back = lax.full(shape if flat_axis else (0,), 0, index)
        return _unique_of_none(x, axis, back, flags, size, 0 if fill_value is None else fill_value)
    keys = lax.reshape(rows, (n, int(np.prod(core.get_aval(rows).shape[1:], dtype=np.int64))))
    width = core.get_aval(keys).shape[1]
    columns = [lax.squeeze(lax.slice_in_dim(keys, c, c + 1, axis=1), (1,)) for c in range(width)]
    order = lexsort(columns[::-1]) if columns else lax.iota(index, n)
    ordered = take(keys, order, axis=0, mode="clip")
    before = lax.slice_in_dim(ordered, 0, max(n - 1, 0))
    after = lax.slice_in_dim(ordered, min(1, n), n)
    differs = u.not_equal(before, after)
    if equal_nan and is_floating(core.get_aval(keys).dtype):
        differs = u.logical_and(
            differs, u.logical_not(u.logical_and(u.isnan(before), u.isnan(after)))
        )
    from fx.numpy.reductions import any as any_

    head = lax.full((min(n, 1),), True, np.dtype(np.bool_))
    starts = lax.concatenate([head, any_(differs, axis=1)], 0)
    (nexts,) = nonzero(starts, size=size + 1, fill_value=n)
    places = lax.slice_in_dim(nexts, 0, size)
    found = u.less(places, n)
    first = take(order, places, mode="clip")
    values = take(x, first, axis=axis, mode="clip")
    if fill_value is None:
        padding = take(x, lax.slice_in_dim(first, 0, 1), axis=axis, mode="clip")
    else:
        padding = asarray(fill_value)
    wide = tuple(size if d == axis else 1 for d in range(len(core.get_aval(x).shape)))
    values = where(lax.reshape(found, wide), values, convert(padding, core.get_aval(x).dtype))
    out = [values]
    if flags[0]:
        out.append(where(found, first, lax.squeeze(lax.slice_in_dim(first, 0, 1), (0,))))
    if flags[1]:
        group = u.subtract(cumsum(starts), 1)
        back = lax.full((n,), 0, index).at[order].set(convert(group, index))
        out.append(lax.reshape(back, shape) if flat_axis else back)
    if flags[2]:
        ends = lax.slice_in_dim(nexts, 1, size + 1)
        out.append(where(found, u.subtract(ends, places), 0))
    return out[0] if len(out) == 1 else tuple(out)


def _unique_of_none(
    x: Any, axis: int, back: Any, flags: tuple[bool, bool, bool], size: int, fill_value: Any
) -> Any:
    """Where the axis is empty: fill_value `size` times, with positions and counts 0."""
    dims, dtype = core.get_aval(x).shape, core.get_aval(x).dtype
    fill = convert(asarray(fill_value), dtype)
    values = broadcast_value(fill, (*dims[:axis], size, *dims[axis + 1 :]))
    none = lax.full((size,), 0, core.get_aval(back).dtype)
    out = [values, *(part for part, flag in zip((none, back, none), flags) if flag)]
    return out[0] if len(out) == 1 else tuple(out)


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAll:
    """A named tuple: the different values of x in order, their first positions, the place of each
    element among them (in the shape of x) and how often each occurs. NaNs differ from each other;
    size and fill_value as in unique.
    """
    return UniqueAll(
        *unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_counts(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueCounts:
    """A named tuple: the different values of x in order and how often each occurs. NaNs differ from
    each other; size and fill_value as in unique.
    """
    return UniqueCounts(
        *unique(x, False, False, True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_inverse(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueInverse:
    """A named tuple: the different values of x in order and the place of each element among them,
    in the shape of x. NaNs differ from each other; size and fill_value as in unique.
    """
    return UniqueInverse(
        *unique(x, False, True, False, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The different values of x in order, as a vector. NaNs differ from each other; size and
    fill_value as in unique.

    >>> import fx.numpy as fnp
    >>> fnp.unique_values(fnp.array([3, 1, 1]))
    Array([1, 3], dtype=int32)
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


# ---------------------------------------------------------------- counts


def bincount(
    x: Any,
    weights: Any = None,
    minlength: int = 0,
    *,
    length: int | None = None,
    out_sharding: Any = None,
) -> Any:
    """How often each integer occurs in the vector x (int), or the sum of its weights (in their
    dtype), at the integer's index. The result has max(x) + 1 elements, no fewer than minlength, or
    `length`, which jit needs (else ConcretizationTypeError): larger integers are left out. Negative
    ones count as 0. TypeError for floats, ValueError for other ranks and for weights of another
    shape.
    """
    v, aval = shape_dtype("bincount", x)
    if aval.dtype.kind not in "iub":
        raise TypeError(f"x argument to bincount must have an integer type; got {aval.dtype.name}")
    if len(aval.shape) != 1:
        raise ValueError("only 1-dimensional input supported.")
    if length is None:
        known = concrete(
            v,
            "The error occurred because of argument 'x' of fx.numpy.bincount. To avoid this error, "
            "pass a static "
            "`length` argument.",
        )
        length = max(minlength, int(known.max()) + 1 if known.size else 0)
    else:
        length = concrete_int(length)
    if weights is None:
        weights = canonicalize_dtype(np.int64).type(1)
    elif np.shape(weights) != aval.shape:
        raise ValueError("shape of weights must match shape of x.")
    w = shape_dtype("bincount", weights)[0]
    # JAX counts negative values as zeros.
    v = u.maximum(convert(v, np.dtype(np.int32)) if aval.dtype == np.bool_ else v, 0)
    out = lax.full((length,), 0, core.get_aval(w).dtype)
    return out.at[v].add(broadcast_value(w, aval.shape), mode="drop")


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges that histogram uses, in floating point: the vector `bins`, or [bins + 1] equal
    steps over `range`, by default from the least to the largest element (half a unit more on both
    sides where they are equal). NotImplementedError for names of rules.
    """
    if isinstance(bins, str):
        raise NotImplementedError("string values for `bins` not implemented.")
    (x,) = promote_dtypes_inexact("histogram_bin_edges", a)
    dtype = core.get_aval(x).dtype
    if len(np.shape(bins)) == 1:
        return convert(asarray(bins), dtype)
    count = concrete_int(bins, "bins must be static")
    from fx.numpy.reductions import max as max_
    from fx.numpy.reductions import min as min_
    from fx.numpy.reductions import ptp

    if range is None:
        low, high = (min_(x), max_(x)) if core.get_aval(x).size else (np.float32(0), np.float32(1))
        same = u.equal(ptp(x), 0) if core.get_aval(x).size else np.bool_(False)
    else:
        low, high = (convert(v, dtype) for v in (asarray(range[0]), asarray(range[1])))
        same = u.equal(low, high)
    low = where(same, u.subtract(low, 0.5), low)
    high = where(same, u.add(high, 0.5), high)
    return linspace(low, high, count + 1, dtype=dtype)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Any, Any]:
    """(counts, edges): how many elements of `a`, flattened, or the sum of their weights, fall in
    each of n bins, and the n + 1 edges. Floats. Bins include their left edge, the last one its
    right edge too; what lies outside does not count. With `density` the integral is 1. ValueError
    where weights have another shape than `a`.
    """
    if weights is None:
        check_arraylike("histogram", a)
        (a,) = promote_dtypes_inexact("histogram", a)
        weights = base.full_as(a, 1)
    else:
        if np.shape(a) != np.shape(weights):
            raise ValueError("weights should have the same shape as a.")
        a, weights = promote_dtypes_inexact("histogram", a, weights)
    edges = histogram_bin_edges(a, bins, range, weights)
    a, edges = promote_dtypes("histogram", a, edges)
    flat = ravel(a)
    n = core.get_aval(edges).shape[0]
    last = lax.squeeze(lax.slice_in_dim(edges, n - 1, n), (0,))
    place = searchsorted(edges, flat, side="right")
    place = where(u.equal(flat, last), n - 1, place)
    counts = lax.full((n + 1,), 0, core.get_aval(weights).dtype).at[place].add(ravel(weights))
    counts = lax.slice_in_dim(counts, 1, n)
    if density:
        from fx.numpy.calculus import diff

        counts = u.divide(u.divide(counts, diff(edges)), sum_(counts))
    return counts, edges


def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Any, Any, Any]:
    """(counts [n, m], edges of x [n + 1], edges of y [m + 1]) of the points (x[i], y[i]). `bins` is
    a count or vector for both axes, or a pair of them; counts as in histogramdd.
    """
    from fx.numpy.joining import stack

    x, y = promote_dtypes_inexact("histogram2d", x, y)
    sample = stack([x, y], 1)
    counts, edges = histogramdd(sample, _bins2d(bins), range, weights, density)
    return counts, edges[0], edges[1]


def _bins2d(bins: Any) -> Any:
    try:
        n = len(bins)
    except TypeError:
        return bins
    return bins if n == 2 else [bins, bins]


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Any, list[Any]]:
    """(counts, list of d edges) of points [n, d] on a grid of d axes: `bins` is a count or one
    count or vector of edges for each axis, `range` one pair or None each (ValueError else). Counts
    are int32 (int64 with x64), sums of weights and densities floats; edges as in histogram.
    """
    from fx.numpy.diagonals import ravel_multi_index

    (points,) = promote_dtypes_inexact("histogramdd", sample)
    n, d = core.get_aval(points).shape
    if range is not None and (len(range) != d or any(r is not None and len(r) != 2 for r in range)):
        raise ValueError(
            f"For sample.shape={(n, d)}, range must be a sequence of {d} pairs or Nones; got "
            f"{range}"
        )
    per_axis = list(bins) if isinstance(bins, Sequence) or len(np.shape(bins)) > 0 else [bins] * d
    if len(per_axis) != d:
        raise ValueError("should be a bin for each dimension.")
    columns = [
        lax.squeeze(lax.slice_in_dim(points, k, k + 1, axis=1), (1,)) for k in np.arange(d).tolist()
    ]
    places, sizes, edges = [], [], []
    for k, column in enumerate(columns):
        e = histogram_bin_edges(column, per_axis[k], None if range is None else range[k], weights)
        m = core.get_aval(e).shape[0]
        place = searchsorted(e, column, side="right")
        last = lax.squeeze(lax.slice_in_dim(e, m - 1, m), (0,))
        places.append(where(u.equal(column, last), m - 1, place))
        sizes.append(m + 1)
        edges.append(e)
    flat = ravel_multi_index(places, sizes, mode="clip")
    ones = (
        lax.full((n,), 1, canonicalize_dtype(np.int64))
        if weights is None
        else convert(asarray(weights), core.get_aval(points).dtype)
    )
    total = int(np.prod(sizes))
    counts = lax.reshape(
        lax.full((total,), 0, core.get_aval(ones).dtype).at[flat].add(ones), tuple(sizes)
    )
    counts = lax.slice(counts, [1] * d, [s - 1 for s in sizes])
    if density:
        from fx.numpy.calculus import diff

        volume: Any = sum_(counts)
        dtype = core.get_aval(points).dtype
        counts = u.divide(convert(counts, dtype), convert(volume, dtype))
        for k, e in enumerate(edges):
            widths = diff(e)
            shape = tuple(core.get_aval(widths).shape[0] if j == k else 1 for j in np.arange(d))
            counts = u.divide(counts, lax.reshape(widths, shape))
    return counts, edges
