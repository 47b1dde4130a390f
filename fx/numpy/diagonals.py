"""Diagonals, triangles, and indices of grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.indexing import getitem
from fx.numpy.manipulation import moveaxis, ravel
from fx.numpy.ranges import tri_mask
from fx.numpy.selection import where
from fx.numpy.ufunc_base import no_out
from fx.numpy.util import (
    broadcast_value,
    check_arraylike,
    concrete,
    convert,
    promote,
    shape_dtype,
    wrap,
)

__all__ = [
    "diag",
    "diag_indices",
    "diag_indices_from",
    "diagflat",
    "diagonal",
    "fill_diagonal",
    "ix_",
    "mask_indices",
    "ravel_multi_index",
    "trace",
    "tril",
    "tril_indices",
    "tril_indices_from",
    "triu",
    "triu_indices",
    "triu_indices_from",
    "unravel_index",
]


# ---------------------------------------------------------------- diagonals and triangles


def tril(m: Any, k: int = 0) -> Any:
    """The lower triangles of matrices [..., m, n]: zeros above the k-th diagonal. Shape and dtype
    stay. ValueError for fewer than two axes; k is static.
    """
    return _triangle("tril", m, k, True)


def triu(m: Any, k: int = 0) -> Any:
    """The upper triangles of matrices [..., m, n]: zeros below the k-th diagonal. Shape and dtype
    stay. ValueError for fewer than two axes; k is static.
    """
    return _triangle("triu", m, k, False)


def _triangle(name: str, m: Any, k: int, lower: bool) -> Any:
    x, aval = shape_dtype(name, m)
    if len(aval.shape) < 2:
        raise ValueError(f"Argument to fx.numpy.{name} must be at least 2D")
    mask = tri_mask(aval.shape[-2:], k if lower else k - 1)
    mask = broadcast_value(mask, aval.shape)
    zero = base.full_as(x, 0)
    return lax.select(mask, x, zero) if lower else lax.select(mask, zero, x)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The offset-th diagonal of two axes, as the last axis of the result. ValueError for fewer than
    two axes.
    """
    x, aval = shape_dtype("diagonal", a)
    if len(aval.shape) < 2:
        raise ValueError("diagonal requires an array of at least two dimensions.")
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    n, m = core.get_aval(x).shape[-2:]
    row, col = min(max(0, -offset), n), min(max(0, offset), m)
    count = min(n - row, m - col)
    line = wrap(np.arange(count, dtype=np.int32))
    return getitem(x, (Ellipsis, u.add(line, row), u.add(line, col)), unique_indices=True)


def trace(
    a: Any, offset: Any = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None
) -> Any:
    """The sum of the offset-th diagonal of two axes, which go; dtypes as in sum."""
    no_out("trace", out)
    from fx.numpy.ranges import eye
    from fx.numpy.reductions import sum as sum_

    x, _aval = shape_dtype("trace", a)
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    n, m = core.get_aval(x).shape[-2:]
    mask = eye(n, m, k=offset, dtype=np.bool_)
    return sum_(where(mask, x, base.const_as(x, 0)), axis=(-2, -1), dtype=dtype)


def diag(v: Any, k: int = 0) -> Any:
    """A matrix with the vector v on its k-th diagonal and zeros elsewhere, or the k-th diagonal of
    a matrix. ValueError for other ranks.
    """
    x, aval = shape_dtype("diag", v)
    if len(aval.shape) == 2:
        return diagonal(x, offset=k)
    if len(aval.shape) != 1:
        raise ValueError("diag input must be 1d or 2d")
    n = aval.shape[0] + abs(k)
    padded = lax.pad(x, base.const_as(x, 0), ((max(0, k), max(0, -k), 0),))
    mask = tri_mask((n, n), k)
    below = tri_mask((n, n), k - 1)
    on = u.logical_and(mask, u.logical_not(below))
    return lax.select(
        on, broadcast_value(padded, (n, n)), broadcast_value(base.const_as(x, 0), (n, n))
    )


def diagflat(v: Any, k: int = 0) -> Any:
    """A matrix with the flattened input on its k-th diagonal, zeros elsewhere."""
    check_arraylike("diagflat", v)
    return diag(ravel(v), k)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Any:
    """A copy with the main diagonal (all indices equal) replaced by val, which repeats as needed.
    NotImplementedError unless inplace=False and for wrap; ValueError for fewer than two axes, and
    for more of different sizes.
    """
    if inplace:
        raise NotImplementedError("Pass inplace=False for a modified copy; arrays are immutable.")
    if wrap:
        raise NotImplementedError("wrap=True is not implemented, must pass wrap=False")
    x, aval = shape_dtype("fill_diagonal", a)
    check_arraylike("fill_diagonal", val)
    if len(aval.shape) < 2:
        raise ValueError("array must be at least 2-d")
    if len(set(aval.shape)) != 1 and len(aval.shape) > 2:
        raise ValueError("All dimensions of input must be of equal length")
    from fx.numpy.at import update

    n = min(aval.shape)
    line = asarray(np.arange(n, dtype=np.int32))
    values = shape_dtype("fill_diagonal", val)[0]
    if core.get_aval(values).shape:
        from fx.numpy.manipulation import tile

        values = ravel(values)
        size = core.get_aval(values).size
        values = lax.slice_in_dim(tile(values, -(-n // size)), 0, n)
    return update(x, (line,) * len(aval.shape), values, "set", unique_indices=True)


def _triangle_indices(n: int, k: int, m: int | None, lower: bool) -> tuple[Any, Any]:
    n, m = index(n), None if m is None else index(m)
    pair = (np.tril_indices if lower else np.triu_indices)(n, k, m)
    return wrap(pair[0]), wrap(pair[1])


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Any, Any]:
    """Row and column indices of the elements at and below the k-th diagonal of an n x m matrix: two
    int32 vectors (int64 with x64). All arguments are static.
    """
    return _triangle_indices(n, k, m, True)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Any, Any]:
    """Row and column indices of the elements at and above the k-th diagonal of an n x m matrix: two
    int32 vectors (int64 with x64). All arguments are static.
    """
    return _triangle_indices(n, k, m, False)


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """tril_indices of a matrix's shape. ValueError for other than two axes."""
    if len(np.shape(arr)) != 2:
        raise ValueError("Only 2-D inputs are accepted")
    return _triangle_indices(np.shape(arr)[0], k, np.shape(arr)[1], True)


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """triu_indices of a matrix's shape. ValueError for other than two axes."""
    if len(np.shape(arr)) != 2:
        raise ValueError("Only 2-D inputs are accepted")
    return _triangle_indices(np.shape(arr)[0], k, np.shape(arr)[1], False)


def diag_indices(n: int, ndim: int = 2) -> tuple[Any, ...]:
    """The index arrays of the main diagonal of an array of `ndim` axes of size n: a tuple of ndim
    vectors [n]. ValueError for negative ones.
    """
    if n < 0 or ndim < 0:
        raise ValueError(
            f"n and ndim arguments to diag_indices must be nonnegative, got {n}, {ndim}"
        )
    return (wrap(np.arange(n)),) * ndim


def diag_indices_from(arr: Any) -> tuple[Any, ...]:
    """diag_indices of an array whose axes all have the same size: ValueError else, and for fewer
    than two.
    """
    s = np.shape(arr)
    if len(s) < 2:
        raise ValueError("input array must be at least 2-d")
    if len(set(s)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    return diag_indices(s[0], len(s))


def mask_indices(
    n: int, mask_func: Callable[[Any, int], Any], k: int = 0, *, size: int | None = None
) -> tuple[Any, Any]:
    """Indices where mask_func(ones((n, n)), k) is not zero: two vectors; under jit a traced mask
    needs a static `size`, as in nonzero.
    """
    from fx.numpy.creation import ones
    from fx.numpy.searching import nonzero

    return nonzero(mask_func(ones((n, n)), k), size=size)


def ix_(*args: Any) -> tuple[Any, ...]:
    """Index arrays that together address a grid: the k-th vector along axis k, with size 1 on all
    others, in its dtype, empty ones as integers. ValueError for other than vectors,
    NotImplementedError for masks.
    """
    out = []
    for k, a in enumerate(args):
        x, aval = shape_dtype("ix", a)
        if len(aval.shape) != 1:
            raise ValueError(
                f"Arguments to fx.numpy.ix_ must be 1-dimensional, got shape {aval.shape}"
            )
        if aval.dtype == np.bool_:
            raise NotImplementedError("Boolean arguments to fx.numpy.ix_ are not implemented")
        shape = tuple(aval.shape[0] if d == k else 1 for d in range(len(args)))
        if not aval.size:  # [] is an index, not a float
            x = convert(x, canonicalize_dtype(np.int64))
        out.append(lax.reshape(x, shape))
    return tuple(out)


# ---------------------------------------------------------------- flat and multi indices


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Flat indices as one index per axis of `shape`: a tuple of arrays of their shape and dtype.
    Negative ones count from the end; out of bounds clamps.
    """
    from fx.numpy.util import canonical_shape

    x, _aval = shape_dtype("unravel_index", indices)
    sizes = canonical_shape(shape)
    total = int(np.prod(sizes, dtype=np.int64))
    if not sizes:
        return ()
    x = base.where_(u.less(x, 0), u.add(x, total), x)
    x = u.minimum(u.maximum(x, 0), max(total - 1, 0))
    out = []
    for s in reversed(sizes):
        out.append(u.remainder(x, max(s, 1)))
        x = u.floor_divide(x, max(s, 1))
    return tuple(reversed(out))


def ravel_multi_index(
    multi_index: Sequence[Any],
    dims: Sequence[int],
    mode: str = "raise",
    order: str = "C",
    *,
    dtype: Any = None,
) -> Any:
    """One index array per axis of `dims` as flat indices, in their broadcast shape and promoted
    dtype or `dtype`; `order` "F" counts the first axis fastest. Mode "raise" needs concrete indices
    and raises ValueError out of bounds; "wrap" and "clip" work under jit.
    """
    if len(multi_index) != len(dims):
        raise ValueError("len(multi_index) != len(dims)")
    index = promote("ravel_multi_index", *multi_index)
    if mode == "raise":
        for k, (i, d) in enumerate(zip(index, dims)):
            known = concrete(
                i,
                "The error occurred because ravel_multi_index was jit-compiled with mode='raise'. "
                "Use mode='wrap' or "
                "mode='clip' instead.",
            )
            if np.any((known < 0) | (known >= d)):
                raise ValueError(f"invalid entry in coordinates array along axis {k}")
    elif mode == "clip":
        index = [u.minimum(u.maximum(i, 0), d - 1) for i, d in zip(index, dims)]
    elif mode == "wrap":
        index = [u.remainder(i, d) for i, d in zip(index, dims)]
    else:
        raise ValueError(f"invalid mode={mode!r}. Expected 'raise', 'wrap', or 'clip'")
    if order not in ("C", "F"):
        raise ValueError(f"invalid order={order!r}. Expected 'C' or 'F'")
    strides = np.cumprod([1, *(dims[::-1] if order == "C" else dims)])[:-1]
    if order == "C":
        strides = strides[::-1]
    out = u.multiply(index[0], int(strides[0]))
    for i, s in zip(index[1:], strides[1:]):
        out = u.add(out, u.multiply(i, int(s)))
    return out if dtype is None else convert(out, np.dtype(dtype))
