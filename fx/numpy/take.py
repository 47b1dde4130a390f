"""Elements by index arrays: take, take_along_axis, put, where, select, choose, diagonals and triangles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray, tri_mask
from fx.numpy.indexing import getitem
from fx.numpy.manipulation import moveaxis, ravel
from fx.numpy.ufuncs import no_out
from fx.numpy.util import (
    broadcast_value,
    canonical_axis,
    check_arraylike,
    concrete,
    convert,
    is_concrete,
    promote,
    promote_dtypes,
    shape_dtype,
    value,
    wrap,
)

__all__ = [
    "choose",
    "compress",
    "diag",
    "diag_indices",
    "diag_indices_from",
    "diagflat",
    "diagonal",
    "extract",
    "fill_diagonal",
    "ix_",
    "mask_indices",
    "piecewise",
    "place",
    "put",
    "put_along_axis",
    "ravel_multi_index",
    "select",
    "take",
    "take_along_axis",
    "trace",
    "tril",
    "tril_indices",
    "tril_indices_from",
    "triu",
    "triu_indices",
    "triu_indices_from",
    "unravel_index",
    "where",
]


# ---------------------------------------------------------------- take


def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Any:
    """Elements along an axis; out of bounds gives NaN (or the least integer) unless mode is clip or wrap.

    >>> import fx.numpy as fnp
    >>> fnp.take(fnp.array([10., 20., 30.]), fnp.array([2, 0]))
    Array([30., 10.], dtype=float32)
    """
    no_out("take", out)
    x, aval = shape_dtype("take", a)
    check_arraylike("take", a, indices)
    if axis is None:
        x, axis = lax.reshape(x, (aval.size,)), 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    index, have = shape_dtype("take", indices)
    if have.dtype.kind not in "iu" and have.dtype != np.bool_:
        raise TypeError(f"take requires integer indices, got {have.dtype.name}")
    if have.dtype == np.bool_:
        index = convert(index, np.dtype(np.int32))
    n = core.get_aval(x).shape[k]
    if n == 0 and core.get_aval(index).size:
        raise ValueError("cannot do a non-empty take() from an empty axis.")
    if mode == "raise":
        raise NotImplementedError("The 'raise' mode to fx.numpy.take is not supported.")
    if mode == "wrap":
        index, mode = u.remainder(index, n) if n else index, "clip"
    elif mode == "clip":
        index = u.maximum(index, 0)
    idx = (slice(None),) * k + (index,)
    return getitem(
        x,
        idx,
        mode="fill" if mode is None else mode,
        fill_value=fill_value,
        unique_indices=unique_indices,
        indices_are_sorted=indices_are_sorted,
    )


def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: Any = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool = True,
) -> Any:
    """arr[..., indices[..., j, ...], ...]: one index along the axis for each element of the result."""
    x, aval = shape_dtype("take_along_axis", arr)
    index, have = shape_dtype("take_along_axis", indices)
    if have.dtype.kind not in "iu":
        raise TypeError(f"take_along_axis indices must be of integer type, got {have.dtype.name}")
    if axis is None:
        if len(have.shape) != 1:
            raise ValueError(f"take_along_axis indices must be 1D if axis=None, got shape {have.shape}")
        x, axis = lax.reshape(x, (aval.size,)), 0
    shape = core.get_aval(x).shape
    if len(shape) != len(have.shape):
        raise ValueError(
            "indices and arr must have the same number of dimensions; "
            f"{len(have.shape)} vs. {len(shape)}"
        )
    k = canonical_axis(axis, len(shape))
    idx = _along(shape, have.shape, index, k)
    fill = mode is None or lax.GatherScatterMode.from_any(mode) == lax.GatherScatterMode.FILL_OR_DROP
    return getitem(
        x,
        idx,
        mode="fill" if mode is None else mode,
        fill_value=fill_value if fill else None,
        wrap_negative_indices=bool(wrap_negative_indices),
    )


def _along(shape: tuple[int, ...], index_shape: tuple[int, ...], index: Any, axis: int) -> tuple[Any, ...]:
    """Index arrays for every axis: an iota on each, the given indices along one."""
    idx: list[Any] = []
    rank = len(shape)
    joint = np.broadcast_shapes(
        tuple(1 if d == axis else s for d, s in enumerate(shape)),
        tuple(1 if d == axis else s for d, s in enumerate(index_shape)),
    )
    for d, size in enumerate(shape):
        if d == axis:
            idx.append(index)
        elif size == 1 and joint[d] != 1:
            idx.append(wrap(np.zeros((1,) * rank, np.int32)))
        else:
            line = lax.iota(np.dtype(np.int32), size)
            idx.append(lax.reshape(line, tuple(size if e == d else 1 for e in range(rank))))
    return tuple(idx)


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Any:
    """A copy with flat positions replaced; pass inplace=False, for arrays are immutable."""
    if inplace:
        raise ValueError("fx.numpy.put cannot modify arrays in-place; pass inplace=False for a modified copy.")
    x, aval = shape_dtype("put", a)
    if core.get_aval(x).size == 0:
        return x
    index, values = ravel(ind), ravel(v)
    count = core.get_aval(index).size
    if core.get_aval(values).size == 0:
        return x
    from fx.numpy.manipulation import resize

    values = resize(values, (count,))
    flat = lax.reshape(x, (aval.size,))
    if mode is None:
        scatter_mode = "drop"
    elif mode == "clip":
        index, scatter_mode = u.minimum(u.maximum(index, 0), aval.size - 1), "promise_in_bounds"
    elif mode == "wrap":
        index, scatter_mode = u.remainder(index, aval.size), "promise_in_bounds"
    else:
        raise ValueError(f"mode should be one of 'wrap' or 'clip'; got mode={mode!r}")
    from fx.numpy.at import update

    return lax.reshape(update(flat, index, values, "set", mode=scatter_mode), aval.shape)


def put_along_axis(
    arr: Any, indices: Any, values: Any, axis: int | None, inplace: bool = True, *, mode: Any = None
) -> Any:
    """A copy with values at one index along the axis each; pass inplace=False."""
    if inplace:
        raise ValueError(
            "fx.numpy.put_along_axis cannot modify arrays in-place; pass inplace=False for a modified copy."
        )
    from fx.numpy.at import update

    x, aval = shape_dtype("put_along_axis", arr)
    index, have = shape_dtype("put_along_axis", indices)
    shape = aval.shape
    if axis is None:
        x, axis = lax.reshape(x, (aval.size,)), 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    idx = _along(core.get_aval(x).shape, have.shape, index, k)
    return lax.reshape(update(x, idx, values, "set", mode=mode), shape)


# ---------------------------------------------------------------- choice by mask


def where(condition: Any, x: Any = None, y: Any = None, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """x where the condition holds, else y; with one argument the indices of nonzero elements."""
    if x is None and y is None:
        from fx.numpy.searching import nonzero

        check_arraylike("where", condition)
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ValueError("Either both or neither of the x and y arguments should be provided to where.")
    if size is not None or fill_value is not None:
        raise ValueError("size and fill_value arguments cannot be used in three-term where function.")
    check_arraylike("where", condition, x, y)
    condition, x, y = value(condition), value(x), value(y)
    cond_aval = core.get_aval(condition)
    if cond_aval.dtype != np.bool_:
        condition = u.not_equal(condition, 0)
    if getattr(core.get_aval(x).dtype, "is_extended", False):
        shape = np.broadcast_shapes(*(core.get_aval(v).shape for v in (condition, x, y)))
        return lax.select(*(broadcast_value(v, shape) for v in (condition, x, y)))
    x, y = promote_dtypes("where", x, y)
    shapes = [core.get_aval(v).shape for v in (condition, x, y)]
    from fx.numpy.util import broadcast_shapes_checked

    shape = broadcast_shapes_checked("where", shapes)
    return lax.select(*(broadcast_value(v, shape) for v in (condition, x, y)))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """The choice of the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"condlist must have length equal to choicelist ({len(condlist)} vs {len(choicelist)})"
        )
    if not condlist:
        raise ValueError("condlist must be non-empty")
    *choices, out = promote("select", *choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        if core.get_aval(value(condition)).dtype != np.bool_:
            raise ValueError("invalid entry in condlist: should be boolean")
        out = where(condition, choice, out)
    return out


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    """choices[a[i]][i], element by element."""
    no_out("choose", out)
    index, _ = shape_dtype("choose", a)
    members = [asarray(c) for c in choices]
    count = len(members)
    if mode == "raise":
        if not is_concrete(index):
            concrete(
                index,
                "The error occurred because fx.numpy.choose was jit-compiled with mode='raise'. Use mode='wrap' or "
                "mode='clip' instead.",
            )
        known = concrete(index)
        if known.size and (known.min() < 0 or known.max() >= count):
            raise ValueError("invalid entry in choice array")
    elif mode == "wrap":
        index = u.remainder(index, count)
    elif mode == "clip":
        index = u.minimum(u.maximum(index, 0), count - 1)
    else:
        raise ValueError(f"mode={mode!r} not understood. Must be 'raise', 'wrap', or 'clip'")
    members = promote_dtypes("choose", *members)
    shape = np.broadcast_shapes(*(core.get_aval(v).shape for v in (index, *members)))
    index = broadcast_value(index, shape)
    stacked = lax.concatenate([lax.expand_dims(broadcast_value(m, shape), (0,)) for m in members], 0)
    return lax.squeeze(take_along_axis(stacked, lax.expand_dims(index, (0,)), axis=0), (0,))


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """funclist[i](x) where condlist[i] holds (the last that holds wins); constants count as functions."""
    v, aval = shape_dtype("piecewise", x)
    conditions = asarray(condlist) if not isinstance(condlist, (list, tuple)) else condlist
    if isinstance(conditions, (list, tuple)) and all(np.ndim(c) == 0 for c in conditions) and aval.shape:
        raise ValueError("piecewise: a list of conditions, one array per function, is needed")
    conditions = [u.not_equal(c, 0) for c in conditions]
    n = len(conditions)
    if len(funclist) not in (n, n + 1):
        raise ValueError(
            f"with {n} condition(s), either {n} or {n + 1} functions are expected; got {len(funclist)}"
        )
    functions = list(funclist)
    default = functions.pop() if len(functions) == n + 1 else 0

    def apply(f: Any) -> Any:
        out = f(v, *args, **kw) if callable(f) else f
        return broadcast_value(convert(asarray(out), aval.dtype), aval.shape)

    out = apply(default)
    for condition, f in zip(conditions, functions):
        out = where(condition, apply(f), out)
    return out


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Any:
    """Elements of arr where the condition holds, in one axis."""
    return compress(ravel(condition), ravel(arr), size=size, fill_value=fill_value)


def compress(
    condition: Any, a: Any, axis: int | None = None, *, size: int | None = None, fill_value: Any = 0, out: None = None
) -> Any:
    """Slices along an axis where the 1-D condition holds."""
    no_out("compress", out)
    check_arraylike("compress", condition, a)
    if len(core.get_aval(value(condition)).shape) != 1:
        raise ValueError("condition must be a 1D array")
    from fx.numpy.searching import nonzero

    x, aval = shape_dtype("compress", a)
    if axis is None:
        x, axis = lax.reshape(x, (aval.size,)), 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    n = core.get_aval(x).shape[k]
    condition = shape_dtype("compress", condition)[0]
    length = core.get_aval(condition).shape[0]
    if length > n:
        extra = lax.slice_in_dim(condition, n, length)
        if is_concrete(extra) and np.any(concrete(extra)):
            raise ValueError("condition contains entries that are out of bounds")
        condition = lax.slice_in_dim(condition, 0, n)
    (index,) = nonzero(condition, size=size, fill_value=n)
    return take(x, index, axis=k, mode="fill", fill_value=fill_value)


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Any:
    """A copy with masked elements replaced by vals in turn; pass inplace=False."""
    if inplace:
        raise ValueError("fx.numpy.place cannot modify arrays in-place; pass inplace=False for a modified copy.")
    x, aval = shape_dtype("place", arr)
    check_arraylike("place", arr, mask, vals)
    flat_mask = u.not_equal(ravel(mask), 0)
    values = ravel(vals)
    if core.get_aval(flat_mask).size != aval.size:
        raise ValueError("place: arr and mask must be the same size")
    if not core.get_aval(values).size:
        raise ValueError("Cannot place values from an empty array")
    from fx.numpy.reductions import cumsum

    rank = u.subtract(cumsum(flat_mask), 1)
    chosen = take(values, u.remainder(rank, core.get_aval(values).size), mode="clip")
    out = where(flat_mask, convert(chosen, aval.dtype), lax.reshape(x, (aval.size,)))
    return lax.reshape(out, aval.shape)


# ---------------------------------------------------------------- diagonals and triangles


def tril(m: Any, k: int = 0) -> Any:
    """The lower triangle; zeros above the k-th diagonal."""
    return _triangle("tril", m, k, True)


def triu(m: Any, k: int = 0) -> Any:
    """The upper triangle; zeros below the k-th diagonal."""
    return _triangle("triu", m, k, False)


def _triangle(name: str, m: Any, k: int, lower: bool) -> Any:
    x, aval = shape_dtype(name, m)
    if len(aval.shape) < 2:
        raise ValueError(f"Argument to fx.numpy.{name} must be at least 2D")
    mask = tri_mask(aval.shape[-2:], k if lower else k - 1)
    mask = broadcast_value(mask, aval.shape)
    zero = u.full_as(x, 0)
    return lax.select(mask, x, zero) if lower else lax.select(mask, zero, x)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of two axes, as the last axis."""
    x, aval = shape_dtype("diagonal", a)
    if len(aval.shape) < 2:
        raise ValueError("diagonal requires an array of at least two dimensions.")
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    n, m = core.get_aval(x).shape[-2:]
    row, col = max(0, -offset), max(0, offset)
    count = max(0, min(n - row, m - col))
    line = wrap(np.arange(count, dtype=np.int32))
    return getitem(x, (Ellipsis, u.add(line, row), u.add(line, col)), unique_indices=True)


def trace(
    a: Any, offset: Any = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None
) -> Any:
    """The sum of the diagonal of two axes."""
    no_out("trace", out)
    from fx.numpy.creation import eye
    from fx.numpy.reductions import sum as sum_

    x, aval = shape_dtype("trace", a)
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    n, m = core.get_aval(x).shape[-2:]
    mask = eye(n, m, k=offset, dtype=np.bool_)
    return sum_(where(mask, x, u.const_as(x, 0)), axis=(-2, -1), dtype=dtype)


def diag(v: Any, k: int = 0) -> Any:
    """A matrix with the given diagonal, or the diagonal of a matrix."""
    x, aval = shape_dtype("diag", v)
    if len(aval.shape) == 2:
        return diagonal(x, offset=k)
    if len(aval.shape) != 1:
        raise ValueError("diag input must be 1d or 2d")
    n = aval.shape[0] + abs(k)
    padded = lax.pad(x, u.const_as(x, 0), ((max(0, k), max(0, -k), 0),))
    mask = tri_mask((n, n), k)
    below = tri_mask((n, n), k - 1)
    on = u.logical_and(mask, u.logical_not(below))
    return lax.select(on, broadcast_value(padded, (n, n)), broadcast_value(u.const_as(x, 0), (n, n)))


def diagflat(v: Any, k: int = 0) -> Any:
    """A matrix with the flattened input on a diagonal."""
    check_arraylike("diagflat", v)
    return diag(ravel(v), k)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Any:
    """A copy with the main diagonal replaced; pass inplace=False."""
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
    pair = (np.tril_indices if lower else np.triu_indices)(n, k, m)
    return wrap(pair[0]), wrap(pair[1])


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Any, Any]:
    """Row and column indices of a lower triangle."""
    return _triangle_indices(n, k, m, True)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Any, Any]:
    """Row and column indices of an upper triangle."""
    return _triangle_indices(n, k, m, False)


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """tril_indices of a matrix's shape."""
    if len(np.shape(arr)) != 2:
        raise ValueError("Only 2-D inputs are accepted")
    return _triangle_indices(np.shape(arr)[0], k, np.shape(arr)[1], True)


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """triu_indices of a matrix's shape."""
    if len(np.shape(arr)) != 2:
        raise ValueError("Only 2-D inputs are accepted")
    return _triangle_indices(np.shape(arr)[0], k, np.shape(arr)[1], False)


def diag_indices(n: int, ndim: int = 2) -> tuple[Any, ...]:
    """Index arrays of the main diagonal."""
    if n < 0 or ndim < 0:
        raise ValueError(f"n and ndim arguments to diag_indices must be nonnegative, got {n}, {ndim}")
    return (wrap(np.arange(n)),) * ndim


def diag_indices_from(arr: Any) -> tuple[Any, ...]:
    """diag_indices of an array with equal axes."""
    s = np.shape(arr)
    if len(s) < 2:
        raise ValueError("input array must be at least 2-d")
    if len(set(s)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    return diag_indices(s[0], len(s))


def mask_indices(
    n: int, mask_func: Callable[[Any, int], Any], k: int = 0, *, size: int | None = None
) -> tuple[Any, Any]:
    """Indices where a mask function of an n x n array of ones is not zero."""
    from fx.numpy.creation import ones
    from fx.numpy.searching import nonzero

    return nonzero(mask_func(ones((n, n)), k), size=size)


def ix_(*args: Any) -> tuple[Any, ...]:
    """Index arrays that together address a grid."""
    out = []
    for k, a in enumerate(args):
        x, aval = shape_dtype("ix", a)
        if len(aval.shape) != 1:
            raise ValueError(f"Arguments to fx.numpy.ix_ must be 1-dimensional, got shape {aval.shape}")
        if aval.dtype == np.bool_:
            raise NotImplementedError("Boolean arguments to fx.numpy.ix_ are not implemented")
        shape = tuple(aval.shape[0] if d == k else 1 for d in range(len(args)))
        out.append(lax.reshape(x, shape))
    return tuple(out)


# ---------------------------------------------------------------- flat and multi indices


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Flat indices as one index per axis; out of bounds clamps."""
    from fx.numpy.util import canonical_shape

    x, aval = shape_dtype("unravel_index", indices)
    sizes = canonical_shape(shape)
    total = int(np.prod(sizes, dtype=np.int64))
    if not sizes:
        return ()
    x = u.where_(u.less(x, 0), u.add(x, total), x)
    x = u.minimum(u.maximum(x, 0), max(total - 1, 0))
    out = []
    for s in reversed(sizes):
        out.append(u.remainder(x, max(s, 1)))
        x = u.floor_divide(x, max(s, 1))
    return tuple(reversed(out))


def ravel_multi_index(
    multi_index: Sequence[Any], dims: Sequence[int], mode: str = "raise", order: str = "C", *, dtype: Any = None
) -> Any:
    """One index per axis as flat indices."""
    if len(multi_index) != len(dims):
        raise ValueError("len(multi_index) != len(dims)")
    index = promote("ravel_multi_index", *multi_index)
    if mode == "raise":
        for k, (i, d) in enumerate(zip(index, dims)):
            known = concrete(
                i,
                "The error occurred because ravel_multi_index was jit-compiled with mode='raise'. Use mode='wrap' or "
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
