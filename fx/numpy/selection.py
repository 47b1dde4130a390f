"""Elements by index arrays: take, take_along_axis, put, where, select, choose, diagonals and
triangles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.index_parse import nonnegative
from fx.numpy.indexing import getitem
from fx.numpy.manipulation import ravel
from fx.numpy.ufunc_base import no_out
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
    "extract",
    "piecewise",
    "place",
    "put",
    "put_along_axis",
    "select",
    "take",
    "take_along_axis",
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
    """Elements along an axis (of the flattened array if None): the indices' axes stand in its
    place, the dtype stays. Negative indices count from the end. Out of bounds gives NaN (the least
    signed, the largest unsigned integer) or fill_value, unless mode is "clip" (negative indices
    become 0 too) or "wrap"; "raise" is a NotImplementedError. TypeError for indices of floats,
    IndexError for an empty axis.

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
        raise IndexError(
            f"cannot do a non-empty take() from an empty axis: axis {k} of shape "
            f"{core.get_aval(x).shape}"
        )
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
    wrap_negative_indices: bool | None = None,
) -> Any:
    """arr[..., indices[..., j, ...], ...]: one index along the axis for each element of the result,
    whose other axes broadcast (ValueError where they do not, or ranks differ). With axis None arr
    is flattened and the indices are a vector. Out of bounds gives NaN (the least signed, the
    largest unsigned integer) or fill_value unless `mode` says otherwise. Negative indices count
    from the end; with "promise_in_bounds" only if asked to. TypeError for indices of floats.
    """
    x, aval = shape_dtype("take_along_axis", arr)
    index, have = shape_dtype("take_along_axis", indices)
    if have.dtype.kind not in "iu":
        raise TypeError(f"take_along_axis indices must be of integer type, got {have.dtype.name}")
    if axis is None:
        if len(have.shape) != 1:
            raise ValueError(
                f"take_along_axis indices must be 1D if axis=None, got shape {have.shape}"
            )
        x, axis = lax.reshape(x, (aval.size,)), 0
    shape = core.get_aval(x).shape
    if len(shape) != len(have.shape):
        raise ValueError(
            "indices and arr must have the same number of dimensions; "
            f"{len(have.shape)} vs. {len(shape)}"
        )
    k = canonical_axis(axis, len(shape))
    np.broadcast_shapes(*((*s[:k], *s[k + 1 :]) for s in (shape, have.shape)))
    fill = (
        mode is None or lax.GatherScatterMode.from_any(mode) == lax.GatherScatterMode.FILL_OR_DROP
    )
    if wrap_negative_indices is None:
        wrap_negative_indices = mode != "promise_in_bounds"
    index = nonnegative(index, shape[k], bool(wrap_negative_indices))
    mode = "fill" if mode is None else mode
    return _gather_along(x, index, k, mode, fill_value if fill else None)


def _gather_along(x: Any, index: Any, k: int, mode: Any, fill_value: Any) -> Any:
    """Axes of equal extent go in step; those that only x has are windows, those that only the
    indices have are dropped from x.
    """
    shape, have = core.get_aval(x).shape, core.get_aval(index).shape
    axes = [d for d in range(len(shape)) if d != k]
    gone = tuple(d for d in axes if shape[d] == 1 and have[d] != 1)
    whole = [d for d in axes if have[d] == 1 and shape[d] != 1]
    paired = [d for d in axes if d not in (*gone, *whole)]
    kept = [d for d in range(len(shape)) if d not in gone]
    batch = [d for d in range(len(shape)) if d not in whole]
    starts = lax.reshape(index, (*(have[d] for d in batch), 1))
    along = (kept.index(k),)
    return lax.gather(
        lax.squeeze(x, gone) if gone else x,
        starts,
        lax.GatherDimensionNumbers(
            offset_dims=tuple(whole),
            collapsed_slice_dims=along,
            start_index_map=along,
            operand_batching_dims=tuple(kept.index(d) for d in paired),
            start_indices_batching_dims=tuple(batch.index(d) for d in paired),
        ),
        tuple(shape[d] if d in whole else min(1, shape[d]) for d in kept),
        mode=mode,
        fill_value=fill_value,
    )


def _along(
    shape: tuple[int, ...], index_shape: tuple[int, ...], index: Any, axis: int
) -> tuple[Any, ...]:
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
    """A copy with the elements at flat positions `ind` replaced by v, which repeats as needed; it
    has the shape and dtype of `a`. Positions out of bounds are dropped unless mode is "clip" or
    "wrap". Pass inplace=False (else ValueError), for arrays are immutable.
    """
    if inplace:
        raise ValueError(
            "fx.numpy.put cannot modify arrays in-place; pass inplace=False for a modified copy."
        )
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
    """A copy with `values`, which broadcast, at one index along the axis each, as take_along_axis
    reads them; shape and dtype of arr. Indices out of bounds are dropped unless `mode` says
    otherwise. Pass inplace=False (else ValueError).
    """
    if inplace:
        raise ValueError(
            "fx.numpy.put_along_axis cannot modify arrays in-place; pass inplace=False for a "
            "modified copy."
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


def where(
    condition: Any, x: Any = None, y: Any = None, /, *, size: Any = None, fill_value: Any = None
) -> Any:
    """x where the condition holds, else y: all three broadcast (else ValueError), x and y promote.
    With one argument the indices of nonzero elements, `size` and fill_value as in nonzero. The
    branch that is not taken gets gradient 0 times its derivative, which is NaN where that is
    infinite: make its argument safe.
    """
    if x is None and y is None:
        from fx.numpy.searching import nonzero

        check_arraylike("where", condition)
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ValueError(
            "Either both or neither of the x and y arguments should be provided to where."
        )
    if size is not None or fill_value is not None:
        raise ValueError(
            "size and fill_value arguments cannot be used in three-term where function."
        )
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
    """The choice of the first condition that holds, else `default`: conditions, choices and default
    broadcast, the latter two promote. ValueError for lists of different length and for empty ones.
    """
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"condlist must have length equal to choicelist ({len(condlist)} vs {len(choicelist)})"
        )
    if not condlist:
        raise ValueError("condlist must be non-empty")
    *choices, out = promote("select", *choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        out = where(condition, choice, out)
    return out


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    """choices[a[i]][i], element by element: `a` and the choices broadcast, the choices promote.
    Mode "raise" needs concrete indices (else ConcretizationTypeError) and raises ValueError where
    one is out of bounds; "wrap" and "clip" work under jit.
    """
    no_out("choose", out)
    index, _ = shape_dtype("choose", a)
    members = [asarray(c) for c in choices]
    count = len(members)
    if mode == "raise":
        if not is_concrete(index):
            concrete(
                index,
                "The error occurred because fx.numpy.choose was jit-compiled with mode='raise'. "
                "Use mode='wrap' or "
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
    stacked = lax.concatenate(
        [lax.expand_dims(broadcast_value(m, shape), (0,)) for m in members], 0
    )
    return lax.squeeze(take_along_axis(stacked, lax.expand_dims(index, (0,)), axis=0), (0,))


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """funclist[i](x) where condlist[i] holds (the last that holds wins), in the shape and dtype of
    x; constants count as functions, one more function is the default, which is 0 without. Every
    function sees all of x. ValueError for other numbers of functions.
    """
    v, aval = shape_dtype("piecewise", x)
    conditions = asarray(condlist) if not isinstance(condlist, (list, tuple)) else condlist
    if (
        isinstance(conditions, (list, tuple))
        and all(np.ndim(c) == 0 for c in conditions)
        and aval.shape
    ):
        raise ValueError("piecewise: a list of conditions, one array per function, is needed")
    conditions = [u.not_equal(c, 0) for c in conditions]
    n = len(conditions)
    if len(funclist) not in (n, n + 1):
        raise ValueError(
            f"with {n} condition(s), either {n} or {n + 1} functions are expected; got "
            f"{len(funclist)}"
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
    """The elements of arr where the condition, of its size, holds, as a vector. Under jit a static
    `size` gives their number, missing ones are fill_value (0), as in nonzero.
    """
    return compress(ravel(condition), ravel(arr), size=size, fill_value=fill_value)


def compress(
    condition: Any,
    a: Any,
    axis: int | None = None,
    *,
    size: int | None = None,
    fill_value: Any = 0,
    out: None = None,
) -> Any:
    """Slices along an axis (elements of the flattened array if None) where the 1-D condition holds;
    it may be shorter than the axis. Under jit a static `size` gives their number (else
    ConcretizationTypeError), missing ones are fill_value. ValueError for conditions of other ranks,
    or true beyond the axis.
    """
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
    """A copy with the elements under the mask replaced by vals in turn, from the start again as
    needed; shape and dtype of arr. ValueError unless inplace=False, for a mask of another size and
    for no vals.
    """
    if inplace:
        raise ValueError(
            "fx.numpy.place cannot modify arrays in-place; pass inplace=False for a modified copy."
        )
    x, aval = shape_dtype("place", arr)
    check_arraylike("place", arr, mask, vals)
    flat_mask = u.not_equal(ravel(mask), 0)
    values = ravel(vals)
    if core.get_aval(flat_mask).size != aval.size:
        raise ValueError("place: arr and mask must be the same size")
    if not core.get_aval(values).size:
        raise ValueError("Cannot place values from an empty array")
    from fx.numpy.cumulative import cumsum

    rank = u.subtract(cumsum(flat_mask), 1)
    chosen = take(values, u.remainder(rank, core.get_aval(values).size), mode="clip")
    out = where(flat_mask, convert(chosen, aval.dtype), lax.reshape(x, (aval.size,)))
    return lax.reshape(out, aval.shape)
