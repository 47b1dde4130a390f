"""Shapes rearranged: reshape, transpose, expand, squeeze, flip, roll, rotate, tile, repeat,
broadcast.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy.util import (
    broadcast_value,
    canonical_axes,
    canonical_axis,
    canonical_shape,
    check_arraylike,
    concrete,
    concrete_int,
    convert,
    is_concrete,
    shape_dtype,
    value,
    wrap,
)

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "isscalar",
    "iterable",
    "matrix_transpose",
    "moveaxis",
    "ndim",
    "permute_dims",
    "ravel",
    "repeat",
    "reshape",
    "resize",
    "roll",
    "rollaxis",
    "rot90",
    "shape",
    "size",
    "squeeze",
    "swapaxes",
    "tile",
    "transpose",
]


# ---------------------------------------------------------------- shape as data


def shape(a: Any) -> tuple[int, ...]:
    """The shape of an array or scalar, a tuple. Lists, other sequences and None have one with a
    DeprecationWarning.
    """
    if hasattr(a, "shape"):
        return tuple(a.shape)
    if a is None or (isinstance(a, Sequence) and not isinstance(a, str)):
        given = "None" if a is None else f"a {type(a).__name__}"
        message = f"shape requires ndarray or scalar arguments, got {given}; this will be an error."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        from fx.numpy.creation import array

        return () if a is None else tuple(array(a).shape)
    check_arraylike("shape", a)
    return ()


def ndim(a: Any) -> int:
    """The number of axes of an array or scalar (of lists as `shape`)."""
    return len(shape(a))


def size(a: Any, axis: int | Sequence[int] | None = None) -> int:
    """The number of elements, along `axis` (an int or several) or in all: a Python integer."""
    s = shape(a)
    return prod(s if axis is None else [s[k] for k in canonical_axes(axis, len(s))])


def isscalar(element: Any) -> bool:
    """Whether x is a Python or NumPy scalar, a string too, or an array without axes."""
    if np.isscalar(element):
        return True
    return core.is_array_value(element) and not core.get_aval(element).shape


def iterable(y: Any) -> bool:
    """Whether iter(y) works: for arrays with an axis, lists and strings; not for 0-d arrays."""
    return bool(np.iterable(y))


# ---------------------------------------------------------------- reshape


def reshape(
    a: Any, shape: Any, order: str = "C", *, copy: bool | None = None, out_sharding: Any = None
) -> Any:
    """The same elements in another shape; one size may be -1. `order` "F" reads and fills with the
    first axis fastest. TypeError where the sizes do not fit or are traced, ValueError for two sizes
    of -1 and for other orders. `copy` changes nothing.

    >>> import fx.numpy as fnp
    >>> fnp.reshape(fnp.arange(6), (3, -1)).shape
    (3, 2)
    """
    x, aval = shape_dtype("reshape", a)
    wanted = _sizes(aval.shape, shape)
    if order == "F":
        n, m = len(aval.shape), len(wanted)
        flipped = lax.transpose(x, tuple(range(n))[::-1])
        return lax.transpose(lax.reshape(flipped, wanted[::-1]), tuple(range(m))[::-1])
    if order not in ("C", "A"):
        raise ValueError(f"Unexpected value for 'order' argument: {order}.")
    return x if wanted == aval.shape else lax.reshape(x, wanted)


def _sizes(have: tuple[int, ...], shape: Any) -> tuple[int, ...]:
    if isinstance(shape, (int, np.integer)):
        shape = (int(shape),)
    elif isinstance(shape, core.Tracer) or not isinstance(shape, (tuple, list)):
        shape = canonical_shape(shape)
    sizes = [
        s if isinstance(s, int) else concrete_int(s, "The sizes of a shape must be static.")
        for s in shape
    ]
    total = prod(have)
    unknown = [k for k, s in enumerate(sizes) if s == -1]
    if len(unknown) > 1:
        raise ValueError(
            f"can only specify one unknown axis size with a `-1` value, got {tuple(sizes)}"
        )
    if any(s < -1 for s in sizes):
        raise ValueError(f"shape must have non-negative sizes (or one -1), got {tuple(sizes)}")
    if unknown:
        rest = prod(s for s in sizes if s != -1)
        if rest == 0 or total % rest:
            raise TypeError(
                f"cannot reshape array of shape {have} (size {total}) into shape {tuple(sizes)}: "
                f"{total} is no multiple of {rest}"
            )
        sizes[unknown[0]] = total // rest
    if prod(sizes) != total:
        raise TypeError(
            f"cannot reshape array of shape {have} (size {total}) into shape {tuple(sizes)} (size "
            f"{prod(sizes)})"
        )
    return tuple(sizes)


def ravel(a: Any, order: str = "C", *, out_sharding: Any = None) -> Any:
    """All elements in one axis, row by row (`order` "C") or column by column ("F").
    NotImplementedError for "K".
    """
    if order == "K":
        raise NotImplementedError("Ravel not implemented for order='K'.")
    return reshape(a, (-1,) if size(a) else (0,), order)


def resize(a: Any, new_shape: Any) -> Any:
    """The elements in the shape new_shape, from the start again as often as needed, or cut off;
    zeros where there are none. The dtype stays.
    """
    from fx.numpy.joining import concatenate

    wanted = canonical_shape(new_shape)
    flat = ravel(a)
    n, m = core.get_aval(flat).size, prod(wanted)
    if n == 0:
        from fx.numpy.creation import zeros

        return zeros(wanted, core.get_aval(flat).dtype)
    copies = -(-m // n)
    full = concatenate([flat] * copies) if copies > 1 else flat
    return lax.reshape(lax.slice_in_dim(full, 0, m), wanted)


def squeeze(a: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Without axes of size one: all of them, or those of `axis`; ValueError where one is longer."""
    x, aval = shape_dtype("squeeze", a)
    if axis is None:
        axes = tuple(k for k, s in enumerate(aval.shape) if s == 1)
    else:
        axes = canonical_axes(axis, len(aval.shape))
    if any(aval.shape[k] != 1 for k in axes):
        raise ValueError(
            "cannot select an axis to squeeze out which has size not equal to one, got "
            f"shape={aval.shape} and dimensions={axes}"
        )
    return lax.squeeze(x, axes) if axes else x


def expand_dims(a: Any, axis: int | Sequence[int]) -> Any:
    """Axes of size one inserted at these places of the result. ValueError for places out of bounds
    or twice.
    """
    x, aval = shape_dtype("expand_dims", a)
    count = len(axis) if isinstance(axis, Sequence) else 1
    axes = canonical_axes(axis, len(aval.shape) + count)
    return lax.expand_dims(x, tuple(sorted(axes)))


def atleast_1d(*arys: Any) -> Any:
    """0-d arrays with an axis of size 1, others as they are; of several arrays a list."""
    return _at_least("atleast_1d", arys, 1)


def atleast_2d(*arys: Any) -> Any:
    """Arrays of at least two axes, new ones of size 1 in front; of several arrays a list. TypeError
    for lists.
    """
    return _at_least("atleast_2d", arys, 2)


def atleast_3d(*arys: Any) -> Any:
    """Arrays of at least three axes: (n,) -> (1, n, 1), (n, m) -> (n, m, 1); of several arrays a
    list. TypeError for lists.
    """
    return _at_least("atleast_3d", arys, 3)


_NEW_AXES = {
    (0, 1): (0,),
    (0, 2): (0, 1),
    (1, 2): (0,),
    (0, 3): (0, 1, 2),
    (1, 3): (0, 2),
    (2, 3): (2,),
}


def _at_least(name: str, arys: tuple[Any, ...], n: int) -> Any:
    if len(arys) == 1 and isinstance(arys[0], (list, tuple)):
        raise TypeError(
            f"{name} requires ndarray or scalar arguments, got {type(arys[0])} at position 0."
        )
    out = []
    for a in arys:
        x, aval = shape_dtype(name, a)
        have = len(aval.shape)
        out.append(x if have >= n else lax.expand_dims(x, _NEW_AXES[have, n]))
    return out[0] if len(out) == 1 else out


# ---------------------------------------------------------------- order of axes


def transpose(a: Any, axes: Sequence[int] | None = None) -> Any:
    """Axes in the order `axes`, reversed by default. ValueError for another number of axes than the
    array has, TypeError for one twice.
    """
    x, aval = shape_dtype("transpose", a)
    n = len(aval.shape)
    order = tuple(range(n))[::-1] if axes is None else tuple(axes)
    if len(order) != n:
        raise ValueError(f"axes don't match array: got {order} for an array of {n} dimensions")
    order = tuple(canonical_axis(k, n) for k in order)
    if len(set(order)) != n:
        raise TypeError(
            "transpose permutation isn't a permutation of operand dimensions, got permutation "
            f"{order} for operand shape {aval.shape}."
        )
    return x if order == tuple(range(n)) else lax.transpose(x, order)


def permute_dims(a: Any, /, axes: tuple[int, ...]) -> Any:
    """The array with its axes in the order `axes`, a permutation of range(ndim): transpose, with
    its errors.
    """
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped: [..., m, n] as [..., n, m]. ValueError for fewer than two."""
    if ndim(x) < 2:
        raise ValueError(
            f"x must be at least two-dimensional for matrix_transpose; got ndim={ndim(x)}"
        )
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """The array with two of its axes exchanged; negative ones count from the last."""
    x, aval = shape_dtype("swapaxes", a)
    n = len(aval.shape)
    i, j = canonical_axis(axis1, n), canonical_axis(axis2, n)
    order = list(range(n))
    order[i], order[j] = j, i
    return x if i == j else lax.transpose(x, tuple(order))


def moveaxis(a: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Axes moved to new places of the result; the others keep their order. ValueError for axes out
    of bounds or twice, or for different numbers of places.
    """
    x, aval = shape_dtype("moveaxis", a)
    n = len(aval.shape)
    src = canonical_axes(source, n)
    dst = canonical_axes(destination, n)
    if len(src) != len(dst):
        raise ValueError(f"Inconsistent number of elements: {len(src)} vs {len(dst)}")
    order = [k for k in range(n) if k not in src]
    for d, s in sorted(zip(dst, src)):
        order.insert(d, s)
    return x if order == list(range(n)) else lax.transpose(x, tuple(order))


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """An axis moved until it stands before the one at `start`; the others keep their order.
    ValueError out of bounds.
    """
    n = ndim(a)
    start = operator.index(start)
    if not -n <= start <= n:
        raise ValueError(f"start={start} must satisfy -{n} <= start <= {n}")
    if start < 0:
        start += n
    axis = canonical_axis(axis, n)
    if start > axis:
        start -= 1
    return moveaxis(a, axis, start)


# ---------------------------------------------------------------- flips and rolls


def flip(m: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Elements reversed along axes (None: all); shape and dtype stay."""
    x, aval = shape_dtype("flip", m)
    axes = canonical_axes(axis, len(aval.shape))
    return lax.rev(x, axes) if axes else x


def flipud(m: Any) -> Any:
    """The array with its first axis reversed; shape and dtype stay. ValueError where there is
    none.
    """
    return flip(m, 0)


def fliplr(m: Any) -> Any:
    """The array with its second axis reversed; shape and dtype stay. ValueError where there is
    none.
    """
    return flip(m, 1)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Rotated by k quarter turns in the plane of two axes, from the first towards the second; odd k
    exchange their sizes. ValueError for equal axes.
    """
    x, aval = shape_dtype("rot90", m)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    a, b = (canonical_axis(ax, len(aval.shape)) for ax in axes)
    if a == b:
        raise ValueError("axes must be different")
    k = k % 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (a, b))
    return swapaxes(flip(x, b), a, b) if k == 1 else flip(swapaxes(x, a, b), b)


def roll(a: Any, shift: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Elements moved along axes (along the flattened array if None), those that fall off re-enter
    at the other end; shape and dtype stay. Shifts, one for all axes or one each, may be traced.
    """
    x, aval = shape_dtype("roll", a)
    if axis is None:
        flat = lax.reshape(x, (aval.size,))
        return lax.reshape(roll(flat, shift, (0,) * np.size(shift)), aval.shape)
    axes = [
        canonical_axis(k, len(aval.shape)) for k in (axis if isinstance(axis, Sequence) else [axis])
    ]
    if len(axes) == 1 < np.size(shift):
        axes *= np.size(shift)
    shifts = _shifts(shift, len(axes))
    for s, k in zip(shifts, axes):
        x = _roll_one(x, s, k)
    return x


def _shifts(shift: Any, count: int) -> list[Any]:
    if is_concrete(shift):
        known = core.is_array_value(shift) and not isinstance(shift, int)
        raw = np.asarray(concrete(shift) if known else shift)
        return [int(s) for s in np.broadcast_to(raw, (count,))]
    aval = core.get_aval(shift)
    if not aval.shape:
        return [shift] * count
    return [lax.squeeze(lax.slice_in_dim(shift, k, k + 1), (0,)) for k in range(count)]


def _roll_one(x: Any, shift: Any, axis: int) -> Any:
    n = core.get_aval(x).shape[axis]
    if n == 0:
        return x
    if isinstance(shift, int):
        cut = (-shift) % n
        if cut == 0:
            return x
        return lax.concatenate(
            [lax.slice_in_dim(x, cut, n, axis=axis), lax.slice_in_dim(x, 0, cut, axis=axis)], axis
        )
    from fx.numpy.ufuncs import remainder, subtract

    if 2 * n > np.iinfo(core.get_aval(shift).dtype).max:
        shift = convert(shift, np.dtype(np.int32))
    start = remainder(subtract(n, remainder(shift, n)), n)
    doubled = lax.concatenate([x, x], axis)
    return lax.dynamic_slice_in_dim(doubled, start, n, axis)


# ---------------------------------------------------------------- broadcasting and repeating


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to, a tuple. ValueError where there is
    none.
    """
    if not shapes:
        return ()
    from fx.avals import broadcast_shapes as joined

    return joined(*[canonical_shape(s) for s in shapes])


def broadcast_to(array: Any, shape: Any, *, out_sharding: Any = None) -> Any:
    """The array repeated along new leading axes and axes of size one, to have `shape`. ValueError
    where that does not fit.
    """
    x, aval = shape_dtype("broadcast_to", array)
    wanted = canonical_shape(shape)
    offset = len(wanted) - len(aval.shape)
    if offset < 0 or any(s not in (1, w) for s, w in zip(aval.shape, wanted[offset:])):
        raise ValueError(
            f"Incompatible shapes for broadcasting: {aval.shape} and requested shape {wanted}"
        )
    return broadcast_value(x, wanted)


def broadcast_arrays(*args: Any) -> list[Any]:
    """All arrays in their common shape, each in its own dtype: a list. ValueError where there is
    none.
    """
    pairs = [shape_dtype("broadcast_arrays", a) for a in args]
    wanted = broadcast_shapes(*[a.shape for _, a in pairs])
    return [broadcast_value(x, wanted) for x, _ in pairs]


def tile(A: Any, reps: Any) -> Any:
    """The whole array repeated reps[k] times along axis k; shorter `reps` or shapes get ones in
    front. Counts are static, not negative.

    >>> import fx.numpy as fnp
    >>> fnp.tile(fnp.array([1, 2]), 2)
    Array([1, 2, 1, 2], dtype=int32)
    """
    x, aval = shape_dtype("tile", A)
    counts = canonical_shape(reps)
    n = max(len(counts), len(aval.shape))
    counts = (1,) * (n - len(counts)) + counts
    have = (1,) * (n - len(aval.shape)) + aval.shape
    grown = lax.broadcast_in_dim(
        lax.reshape(x, have) if have != aval.shape else x,
        tuple(v for c, s in zip(counts, have) for v in (c, s)),
        tuple(2 * k + 1 for k in range(n)),
    )
    return lax.reshape(grown, tuple(c * s for c, s in zip(counts, have)))


def repeat(
    a: Any,
    repeats: Any,
    axis: int | None = None,
    *,
    total_repeat_length: int | None = None,
    out_sharding: Any = None,
) -> Any:
    """Each element repeated along an axis (of the flattened array if None), by one count or one
    each. Traced counts need total_repeat_length (else ConcretizationTypeError), which cuts, or
    fills with the last element. TypeError for negative or fractional counts.

    >>> import fx.numpy as fnp
    >>> fnp.repeat(fnp.array([1, 2]), 2)
    Array([1, 1, 2, 2], dtype=int32)
    """
    from fx.numpy.selection import take

    x, aval = shape_dtype("repeat", a)
    if axis is None:
        x, axis = lax.reshape(x, (aval.size,)), 0
    axis = canonical_axis(axis, len(core.get_aval(x).shape)) if core.get_aval(x).shape else 0
    if not core.get_aval(x).shape:
        x = lax.reshape(x, (1,))
    have = core.get_aval(x).shape
    n = have[axis]
    if not is_concrete(repeats):
        if total_repeat_length is None:
            concrete(
                repeats,
                "When jit-compiling fx.numpy.repeat, the total number of repeats must be static. "
                "Give a static "
                "`repeats`, or `total_repeat_length`.",
            )
        return _repeat_traced(x, repeats, axis, int(total_repeat_length or 0))
    counts = np.asarray(concrete(repeats) if core.is_array_value(repeats) else repeats)
    if counts.size and (counts.dtype.kind not in "iub" or (counts < 0).any()):
        raise TypeError(f"repeat: counts must be non-negative integers, got {repeats}")
    if counts.ndim == 0 or counts.size == 1:
        count = int(counts.reshape(()))
        if total_repeat_length is None or total_repeat_length == n * count:
            grown = lax.broadcast_in_dim(
                x,
                (*have[: axis + 1], count, *have[axis + 1 :]),
                tuple(k if k <= axis else k + 1 for k in range(len(have))),
            )
            return lax.reshape(grown, (*have[:axis], n * count, *have[axis + 1 :]))
        counts = np.full((n,), count)
    if counts.shape != (n,):
        raise ValueError(
            f"repeat: operands could not be broadcast together with shape ({n},) {counts.shape}"
        )
    index = np.repeat(np.arange(n), counts)
    if total_repeat_length is not None:
        padded = np.full(total_repeat_length, index[-1] if index.size else 0)
        padded[: min(index.size, total_repeat_length)] = index[:total_repeat_length]
        index = padded
    return take(x, wrap(index), axis=axis)


def _repeat_traced(x: Any, repeats: Any, axis: int, total: int) -> Any:
    """Where the running total of the counts passes position k, the source index goes up by one."""
    from fx.numpy.cumulative import cumsum
    from fx.numpy.selection import take
    from fx.numpy.sorting import searchsorted

    n = core.get_aval(x).shape[axis]
    counts = broadcast_value(value(repeats), (n,))
    ends = convert(cumsum(counts), np.dtype(np.int32))
    index = searchsorted(ends, lax.iota(np.dtype(np.int32), total), side="right")
    return take(x, index, axis=axis, mode="clip")
