"""Sets as sorted vectors: union, intersection, differences, membership. Under jit their size must
be given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.joining import concatenate
from fx.numpy.manipulation import ravel
from fx.numpy.reductions import any as any_
from fx.numpy.reductions import argmax
from fx.numpy.searching import nonzero, unique
from fx.numpy.selection import take, where
from fx.numpy.sorting import argsort, searchsorted, sort
from fx.numpy.util import (
    broadcast_value,
    check_arraylike,
    concrete,
    convert,
    is_concrete,
    promote_dtypes,
    shape_dtype,
    wrap,
)

__all__ = ["intersect1d", "isin", "setdiff1d", "setxor1d", "union1d"]


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    method: str = "auto",
) -> Any:
    """Whether each element occurs in test_elements, or, with `invert`, does not: booleans of the
    shape of `element`. It compares all pairs; method "sort" or "binary_search" sorts test_elements
    instead. ValueError for other methods.
    """
    check_arraylike("isin", element, test_elements)
    x, tests = promote_dtypes("isin", element, test_elements)
    x, tests = shape_dtype("isin", x)[0], ravel(tests)
    shape, n = core.get_aval(x).shape, core.get_aval(tests).size
    if n == 0:
        return lax.full(shape, invert, np.dtype(np.bool_))
    if method in ("auto", "compare_all"):
        found = any_(u.equal(lax.expand_dims(x, (len(shape),)), tests), axis=-1)
    elif method in ("binary_search", "sort"):
        tests = sort(tests)
        place = searchsorted(tests, x)
        found = u.equal(take(tests, place, mode="clip"), x)
    else:
        raise ValueError(
            f"invalid method={method!r}; expected one of ['auto', 'compare_all', 'binary_search', "
            "'sort']"
        )
    return u.logical_not(found) if invert else found


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The distinct elements of both, flattened, in order and in their promoted dtype. Under jit a
    static `size` says how many to return (else ConcretizationTypeError), missing ones are
    fill_value, as in unique.
    """
    check_arraylike("union1d", ar1, ar2)
    _static("union1d", size, ar1, ar2)
    joined = concatenate([ravel(ar1), ravel(ar2)])
    return unique(joined, size=size, fill_value=fill_value)


def _static(name: str, size: Any, *arrays: Any) -> None:
    if size is None:
        for a in arrays:
            concrete(
                a,
                f"The error arose in fx.numpy.{name}. In order to use {name}() within "
                "transformations, specify the "
                "`size` argument.",
            ) if isinstance(a, core.Tracer) else None


def setdiff1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct elements of ar1 that ar2 lacks, in order (all of them, in their order, with
    assume_unique). Under jit a static `size` says how many to return (else
    ConcretizationTypeError), missing ones are fill_value, by default 0.
    """
    check_arraylike("setdiff1d", ar1, ar2)
    _static("setdiff1d", size, ar1, ar2)
    x = ravel(ar1)
    if size is None:
        x = x if assume_unique else unique(x)
        keep = isin(x, ar2, invert=True)
        return take(x, wrap(np.flatnonzero(concrete(keep)).astype(np.int32)))
    if (n := core.get_aval(x).size) == 0:
        return _filler(x, fill_value, (size,))
    if assume_unique:
        return _picked(x, isin(x, ar2, invert=True), size, fill_value)
    # All of the distinct ones: how many of them are left is known once ar2's are gone.
    x, counts = unique(x, size=n, return_counts=True)
    keep = u.logical_and(isin(x, ar2, invert=True), u.greater(counts, 0))
    return _picked(x, keep, size, fill_value)


def _picked(x: Any, keep: Any, size: int, fill_value: Any) -> Any:
    if core.get_aval(x).size == 0:
        return _filler(x, fill_value, (size,))
    (index,) = nonzero(keep, size=size, fill_value=core.get_aval(x).size)
    found = u.less(index, core.get_aval(x).size)
    picked = take(x, index, mode="clip")
    return where(found, picked, _filler(x, fill_value, ()))


def _filler(x: Any, fill_value: Any, shape: tuple[int, ...]) -> Any:
    """What stands for missing elements of x: fill_value, or 0, in its dtype."""
    fill = convert(asarray(0 if fill_value is None else fill_value), core.get_aval(x).dtype)
    return broadcast_value(fill, shape)


def setxor1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct elements that exactly one of both has, in order and in the promoted dtype. Under
    jit a static `size` says how many to return (else ConcretizationTypeError), missing ones are
    fill_value, by default the first one found.
    """
    check_arraylike("setxor1d", ar1, ar2)
    _static("setxor1d", size, ar1, ar2)
    x, y = promote_dtypes("setxor1d", ravel(ar1), ravel(ar2))
    joined = concatenate([x, y])
    if size is None:
        keep = u.not_equal(isin(joined, x), isin(joined, y))
        picked = take(joined, wrap(np.flatnonzero(concrete(keep)).astype(np.int32)))
        return sort(picked) if assume_unique else unique(picked)
    order = argsort(joined)
    joined = take(joined, order, mode="clip")
    keep = u.not_equal(isin(joined, x), isin(joined, y))
    n = core.get_aval(joined).size
    if not assume_unique and n:
        changes = u.not_equal(lax.slice_in_dim(joined, 1, n), lax.slice_in_dim(joined, 0, n - 1))
        first = lax.concatenate([lax.full((1,), True, np.dtype(np.bool_)), changes], 0)
        keep = u.logical_and(keep, first)
    if fill_value is None and n:
        fill_value = take(joined, argmax(keep))
    return _picked(joined, keep, size, fill_value)


def intersect1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct elements that both have, in order and in the promoted dtype; with return_indices
    also where they first stand in each, flattened. Under jit a static `size` says how many to
    return (else ConcretizationTypeError), missing ones are fill_value, by default 0, with indices
    one past the end.
    """
    check_arraylike("intersect1d", ar1, ar2)
    _static("intersect1d", size, ar1, ar2)
    x, y = promote_dtypes("intersect1d", ravel(ar1), ravel(ar2))
    if size is None and is_concrete(x) and is_concrete(y):
        _values, i, j = np.intersect1d(concrete(x), concrete(y), assume_unique, return_indices=True)
        common = take(x, wrap(i.astype(np.int32)))
        return (common, wrap(i), wrap(j)) if return_indices else common
    limit = min(core.get_aval(x).size, core.get_aval(y).size) if size is None else size
    n, m = core.get_aval(x).size, core.get_aval(y).size
    if n == 0 or m == 0:
        out = _filler(x, fill_value, (limit,))
        ends = [lax.full((limit,), k, canonicalize_dtype(np.int64)) for k in (n, m)]
        return (out, *ends) if return_indices else out
    order = argsort(x)
    ordered = take(x, order, mode="clip")
    changes = u.not_equal(lax.slice_in_dim(ordered, 1, n), lax.slice_in_dim(ordered, 0, n - 1))
    first = lax.concatenate([lax.full((1,), True, np.dtype(np.bool_)), changes], 0)
    keep = u.logical_and(first, isin(ordered, y))
    (index,) = nonzero(keep, size=limit, fill_value=n)
    found = u.less(index, n)
    if fill_value is None and limit:
        fill_value = where(found[0], take(ordered, index[0], mode="clip"), 0)
    out = _picked(ordered, keep, limit, fill_value)
    if not return_indices:
        return out
    where_x = where(found, take(order, index, mode="clip"), n)
    order_y = argsort(y)
    place = searchsorted(take(y, order_y, mode="clip"), out)
    where_y = where(found, take(order_y, place, mode="clip"), m)
    return out, where_x, where_y
