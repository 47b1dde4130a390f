"""Arrays joined and split: concatenate, stack, block, split, append, insert, delete."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx.dtypes import check_requested
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.manipulation import atleast_1d, atleast_2d, atleast_3d, ravel
from fx.numpy.ufunc_base import no_out
from fx.numpy.util import (
    broadcast_value,
    canonical_axis,
    check_arraylike,
    concrete,
    convert,
    is_concrete,
    join,
    shape_dtype,
    wrap,
)

__all__ = [
    "append",
    "array_split",
    "block",
    "column_stack",
    "concat",
    "concatenate",
    "delete",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "insert",
    "split",
    "stack",
    "unstack",
    "vsplit",
    "vstack",
]


# ---------------------------------------------------------------- join


def _members(name: str, arrays: Any) -> list[Any]:
    """The arrays of a sequence, or the rows of an array; promotes nothing."""
    if core.is_array_value(arrays) and not isinstance(arrays, (bool, int, float, complex)):
        if not core.get_aval(arrays).shape:
            raise TypeError(f"{name}: a sequence of arrays is needed, got a scalar array")
        return list(unstack(arrays))
    if not isinstance(arrays, Sequence):
        raise TypeError(f"{name} requires a sequence of arrays, got {type(arrays)}")
    check_arraylike(name, *arrays)
    return [shape_dtype(name, a)[0] for a in arrays]


def _promoted(name: str, members: list[Any], dtype: Any) -> list[Any]:
    avals = [core.get_aval(x) for x in members]
    if dtype is not None:
        wanted, weak = check_requested(dtype, name), False
        from fx.numpy.reductions import u_cast

        return [u_cast(x, wanted) for x in members]
    if len(avals) > 1 and any(getattr(a.dtype, "is_extended", False) for a in avals):
        return members
    wanted, weak = join([(a.dtype, a.weak_type) for a in avals])
    return [convert(x, wanted, weak) for x in members]


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Any:
    """Arrays joined along an axis they have (flattened first if None), in their promoted dtype or
    `dtype`. An array counts as the sequence of its rows. TypeError for other axes of different
    sizes or ranks, ValueError for none and for scalars.
    """
    members = _members("concatenate", arrays)
    if not members:
        raise ValueError("Need at least one array to concatenate.")
    if axis is None:
        members, axis = [ravel(m) for m in members], 0
    shapes = [core.get_aval(m).shape for m in members]
    if not shapes[0]:
        raise ValueError("Zero-dimensional arrays cannot be concatenated.")
    if any(len(s) != len(shapes[0]) for s in shapes):
        raise TypeError(
            "Cannot concatenate arrays with different numbers of dimensions: got "
            f"{', '.join(map(str, shapes))}."
        )
    k = canonical_axis(axis, len(shapes[0]))
    if any(s[:k] + s[k + 1 :] != shapes[0][:k] + shapes[0][k + 1 :] for s in shapes):
        raise TypeError(
            "Cannot concatenate arrays with shapes that differ in dimensions other than the one "
            f"being concatenated: concatenating along dimension {k} for shapes "
            f"{', '.join(map(str, shapes))}. Choose another axis, or stack arrays of one shape."
        )
    members = _promoted("concatenate", members, dtype)
    return members[0] if len(members) == 1 else lax.concatenate(members, k)


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
    """Arrays joined along an axis they have: concatenate, with its dtypes and errors."""
    return concatenate(arrays, axis=axis)


def stack(arrays: Any, axis: int = 0, out: None = None, dtype: Any = None) -> Any:
    """Arrays of equal shape joined along a new axis at `axis` of the result, in their promoted
    dtype or `dtype`. An array counts as the sequence of its rows. ValueError for different shapes
    and for none.
    """
    no_out("stack", out)
    if core.is_array_value(arrays) and not isinstance(arrays, (bool, int, float, complex)):
        from fx.numpy.manipulation import moveaxis

        k = canonical_axis(axis, max(len(core.get_aval(arrays).shape), 1))
        return convert(
            moveaxis(arrays, 0, k), core.get_aval(arrays).dtype if dtype is None else dtype
        )
    members = _members("stack", arrays)
    if not members:
        raise ValueError("Need at least one array to stack.")
    shapes = [core.get_aval(m).shape for m in members]
    if any(s != shapes[0] for s in shapes):
        raise ValueError(f"All input arrays must have the same shape, got {shapes}.")
    k = canonical_axis(axis, len(shapes[0]) + 1)
    members = _promoted("stack", members, dtype)
    return lax.concatenate([lax.expand_dims(m, (k,)) for m in members], k)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis, without it: a tuple as long as the axis. ValueError for arrays
    without axes.
    """
    v, aval = shape_dtype("unstack", x)
    if not aval.shape:
        raise ValueError(
            "Unstack requires arrays with rank > 0, however a scalar array was passed."
        )
    k = canonical_axis(axis, len(aval.shape))
    return tuple(
        lax.squeeze(lax.slice_in_dim(v, i, i + 1, axis=k), (k,)) for i in range(aval.shape[k])
    )


def vstack(tup: Any, dtype: Any = None) -> Any:
    """The arrays one below the other: along axis 0, vectors as rows. Promoted dtype, or `dtype`;
    errors as in concatenate.
    """
    return concatenate([atleast_2d(m) for m in _members("vstack", tup)], 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Any:
    """The arrays side by side: along axis 1, vectors end to end, scalars as vectors. Dtypes and
    errors as in vstack.
    """
    members = [atleast_1d(m) for m in _members("hstack", tup)]
    if not members:
        raise ValueError("Need at least one array to concatenate.")
    return concatenate(members, 0 if len(core.get_aval(members[0]).shape) == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Any:
    """The arrays one behind the other: along axis 2, with vectors [n] as [1, n, 1] and matrices [n,
    m] as [n, m, 1]. Dtypes and errors as in vstack.
    """
    return concatenate([atleast_3d(m) for m in _members("dstack", tup)], 2, dtype)


def column_stack(tup: Any) -> Any:
    """Vectors [n] as columns [n, 1], with arrays of more axes, along axis 1. Dtypes and errors as
    in concatenate.
    """
    members = []
    for m in _members("column_stack", tup):
        n = len(core.get_aval(m).shape)
        members.append(lax.expand_dims(atleast_1d(m), (1,)) if n < 2 else m)
    return concatenate(members, 1)


def block(arrays: Any) -> Any:
    """An array assembled from nested lists of blocks: the innermost lists join along the last axis,
    those around them along the axis before. Blocks of fewer axes get axes of size 1 in front.
    ValueError for tuples, empty lists, and lists beside arrays; dtypes and other errors as in
    concatenate.
    """

    def depth(x: Any) -> int:
        if not isinstance(x, list):
            return 0
        inside = {depth(i) for i in x}
        if len(inside) > 1:
            raise ValueError(
                f"Mismatched list depths in fx.numpy.block: lists {sorted(inside)} deep stand side "
                "by side; write every block at the same depth"
            )
        return 1 + max(inside, default=0)

    if isinstance(arrays, tuple):
        raise ValueError(f"fx.numpy.block does not allow tuples, got {arrays}")
    levels = depth(arrays)

    def rank(x: Any) -> int:
        if isinstance(x, list):
            if not x:
                raise ValueError("fx.numpy.block does not allow empty list arguments")
            return max(rank(i) for i in x)
        check_arraylike("block", x)
        return len(core.get_aval(x).shape)

    n = max(levels, rank(arrays))

    def build(x: Any, level: int) -> Any:
        if isinstance(x, list):
            return concatenate([build(i, level + 1) for i in x], axis=n - levels + level)
        v, aval = shape_dtype("block", x)
        return lax.reshape(v, (1,) * (n - len(aval.shape)) + aval.shape)

    return build(arrays, 0)


# ---------------------------------------------------------------- split


def _split(name: str, ary: Any, indices_or_sections: Any, axis: int, even: bool) -> list[Any]:
    x, aval = shape_dtype(name, ary)
    k = canonical_axis(axis, len(aval.shape))
    n = aval.shape[k]
    if isinstance(indices_or_sections, (tuple, list)) or np.ndim(indices_or_sections) > 0:
        cuts = [int(concrete(i)) for i in indices_or_sections]
        bounds = [0, *cuts, n]
    else:
        parts = int(
            concrete(indices_or_sections, f"The sections of fx.numpy.{name} must be static.")
        )
        if parts < 1:
            raise ValueError(f"{name}: number of sections must be larger than 0")
        size, rest = divmod(n, parts)
        if rest and even:
            raise ValueError(f"array split does not result in an equal division: rest is {rest}")
        sizes = [size + 1] * rest + [size] * (parts - rest)
        bounds = [0, *np.cumsum(sizes).tolist()]
    out = []
    for low, high in itertools.pairwise(bounds):
        low, high, _ = slice(low, high).indices(n)
        out.append(lax.slice_in_dim(x, low, max(low, high), axis=k))
    return out


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Pieces along an axis, a list: a static count of equal ones (ValueError where that leaves a
    rest) or between static increasing indices.
    """
    return _split("split", ary, indices_or_sections, axis, True)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """The same as split, but the first pieces of a count may be longer by one."""
    return _split("array_split", ary, indices_or_sections, axis, False)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """split along the first axis: a list of arrays, with its errors."""
    return _split("vsplit", ary, indices_or_sections, 0, True)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """split along the second axis, or the only axis of a vector: a list of arrays, with its
    errors.
    """
    axis = 0 if len(core.get_aval(ary).shape) == 1 else 1
    return _split("hsplit", ary, indices_or_sections, axis, True)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """split along the third axis: a list of arrays, with its errors. ValueError where there is
    none.
    """
    return _split("dsplit", ary, indices_or_sections, 2, True)


# ---------------------------------------------------------------- edit


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """`values` after `arr` along an axis, which the others must match; both flat if axis is None.
    Dtypes and errors as in concatenate.

    >>> import fx.numpy as fnp
    >>> fnp.append(fnp.array([[1, 2]]), 3)
    Array([1, 2, 3], dtype=int32)
    """
    check_arraylike("append", arr, values)
    if axis is None:
        return concatenate([ravel(arr), ravel(values)], 0)
    return concatenate([arr, values], axis=axis)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """arr with `values` before the positions `obj` (an index, several, a slice or a mask) along an
    axis, flat if None. Values broadcast and take arr's dtype; positions count in arr as it was, may
    be traced and are clamped to its ends.
    """
    from fx.numpy.sorting import argsort

    check_arraylike("insert", arr, 0 if isinstance(obj, slice) else obj, values)
    x, _aval = shape_dtype("insert", arr)
    values = shape_dtype("insert", values)[0]
    if axis is None:
        x, axis = ravel(x), 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    n = core.get_aval(x).shape[k]
    if isinstance(obj, slice):
        obj = wrap(np.arange(*obj.indices(n)))
    index = shape_dtype("insert", obj)[0]
    scalar = not core.get_aval(index).shape
    index = ravel(index)
    if core.get_aval(index).dtype == np.bool_:
        index = wrap(np.flatnonzero(concrete(index)))
    count = core.get_aval(index).shape[0]

    index = base.where_(u.less(index, 0), u.add(index, n), index)
    index = u.minimum(u.maximum(index, 0), n)
    values = _insert_values(x, values, k, count, scalar)
    added = core.get_aval(values).shape[k]
    if count == 1 and added != 1:
        index = broadcast_value(index, (added,))
        count = added
    order = argsort(index, stable=True)
    rank = argsort(order, stable=True)
    places = u.add(index, rank)
    total = n + count
    member = lax.full((total,), False, np.dtype(np.bool_)).at[places].set(True)
    from fx.numpy.cumulative import cumsum

    # Position p holds an inserted value where `member`, else the element after the ones already
    # placed.
    old = u.subtract(lax.iota(np.dtype(np.int32), total), cumsum(member))
    source = (
        lax.full((total,), 0, np.dtype(np.int32))
        .at[places]
        .set(lax.iota(np.dtype(np.int32), count))
    )
    from fx.numpy.selection import take

    members = _promoted("insert", [x, values], core.get_aval(x).dtype)
    shape = tuple(total if d == k else s for d, s in enumerate(core.get_aval(x).shape))
    mask = lax.broadcast_in_dim(member, shape, (k,))
    new = take(members[1], source, axis=k, mode="clip")
    if n == 0:
        return new
    out = base.where_(mask, new, take(members[0], old, axis=k, mode="clip"))
    return out


def _insert_values(x: Any, values: Any, k: int, count: int, scalar: bool) -> Any:
    """The inserted values with the shape of x but for axis k."""
    have = core.get_aval(x).shape
    shape = core.get_aval(values).shape
    place = k - (len(have) - 1 - len(shape))
    if scalar and 0 < len(shape) < len(have) and place >= 0:
        values = lax.expand_dims(values, (place,))
    n = len(core.get_aval(values).shape)
    values = lax.reshape(values, (1,) * (len(have) - n) + core.get_aval(values).shape)
    size = core.get_aval(values).shape[k]
    added = size if (count == 1 and size != 1) else count
    return broadcast_value(values, tuple(added if d == k else s for d, s in enumerate(have)))


def delete(
    arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False
) -> Any:
    """arr without the positions `obj` (an index, several, a slice or a concrete mask) along an
    axis, flat if None. Traced positions must be one, or assume_unique_indices: else
    ConcretizationTypeError. IndexError for concrete ones out of bounds.
    """
    from fx.numpy.selection import take

    x, _aval = shape_dtype("delete", arr)
    if axis is None:
        x, axis = ravel(x), 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    n = core.get_aval(x).shape[k]
    if isinstance(obj, slice):
        keep = np.delete(np.arange(n), obj)
        return take(x, wrap(keep), axis=k)
    check_arraylike("delete", obj)
    if is_concrete(obj):
        keep = np.delete(np.arange(n), concrete(obj))
        return take(x, wrap(keep.astype(np.int32)), axis=k)
    index = shape_dtype("delete", obj)[0]
    if core.get_aval(index).shape and not assume_unique_indices:
        concrete(index, "delete: traced indices need assume_unique_indices=True.")
    index = ravel(index)
    count = core.get_aval(index).shape[0]
    index = base.where_(u.less(index, 0), u.add(index, n), index)
    from fx.numpy.sorting import sort

    index = sort(index)
    shifted = u.subtract(index, lax.iota(core.get_aval(index).dtype, count))
    positions = lax.iota(np.dtype(np.int32), n - count)
    from fx.numpy.sorting import searchsorted

    source = u.add(positions, searchsorted(shifted, positions, side="right"))
    return take(x, source, axis=k, mode="clip")
