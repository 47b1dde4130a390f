"""Differences, gradients, integrals, interpolation along an axis; functions along axes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.joining import concatenate
from fx.numpy.manipulation import moveaxis
from fx.numpy.reductions import sum as sum_
from fx.numpy.selection import take, where
from fx.numpy.sorting import searchsorted
from fx.numpy.util import (
    broadcast_value,
    canonical_axes,
    canonical_axis,
    check_arraylike,
    convert,
    promote_dtypes_inexact,
    shape_dtype,
)

__all__ = [
    "apply_along_axis",
    "apply_over_axes",
    "diff",
    "ediff1d",
    "gradient",
    "interp",
    "trapezoid",
    "unwrap",
]


# ---------------------------------------------------------------- differences


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The n-th difference along an axis, by n elements shorter: x[i + 1] - x[i], of booleans
    whether they differ. `prepend` and `append` are arrays or scalars to put at the ends first;
    dtypes promote. ValueError for negative n and for scalars.
    """
    x, aval = shape_dtype("diff", a)
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    if not aval.shape:
        raise ValueError(f"diff requires input that is at least one dimensional; got {a}")
    k = canonical_axis(axis, len(aval.shape))
    if n == 0:
        return x
    members = [x]
    for extra, first in ((prepend, True), (append, False)):
        if extra is not None:
            e, have = shape_dtype("diff", extra)
            if not have.shape:
                e = broadcast_value(e, tuple(1 if d == k else s for d, s in enumerate(aval.shape)))
            members = [e, *members] if first else [*members, e]
    x = concatenate(members, axis=k) if len(members) > 1 else x
    op = u.not_equal if core.get_aval(x).dtype == np.bool_ else u.subtract
    for _ in range(n):
        size = core.get_aval(x).shape[k]
        x = op(
            lax.slice_in_dim(x, min(1, size), size, axis=k),
            lax.slice_in_dim(x, 0, max(size - 1, 0), axis=k),
        )
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of consecutive elements of the flattened array, in its dtype, with values before
    and after.
    """
    from fx.numpy.manipulation import ravel

    x = ravel(ary)
    out = diff(x)
    dtype = core.get_aval(x).dtype
    parts = [out]
    if to_begin is not None:
        parts = [convert(ravel(to_begin), dtype), *parts]
    if to_end is not None:
        parts = [*parts, convert(ravel(to_end), dtype)]
    return concatenate(parts) if len(parts) > 1 else out


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int | None = None) -> Any:
    """Second-order differences inside, one-sided ones at the ends, in floating point and the shape
    of f: one array for a single axis, a list for several or for a sequence of axes. Spacing: one
    number for all axes, or a number or vector of coordinates each; TypeError for other counts.
    ValueError for axes of fewer than two elements.
    """
    if edge_order is not None:
        raise NotImplementedError(
            "The 'edge_order' argument to fx.numpy.gradient is not supported."
        )
    (x,) = promote_dtypes_inexact("gradient", f)
    x = shape_dtype("gradient", x)[0]
    shape = core.get_aval(x).shape
    axes = canonical_axes(axis, len(shape))
    if any(shape[k] < 2 for k in axes):
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least 2 elements are "
            "required."
        )
    if not varargs:
        spacing: list[Any] = [1.0] * len(axes)
    elif len(varargs) == 1:
        spacing = [varargs[0]] * len(axes)
    elif len(varargs) == len(axes):
        spacing = list(varargs)
    else:
        raise TypeError(f"Invalid number of spacing arguments {len(varargs)} for axes={axis}")
    out = [_gradient_along(x, h, k) for h, k in zip(spacing, axes)]
    return out[0] if len(out) == 1 and (axis is None or not isinstance(axis, Sequence)) else out


def _gradient_along(x: Any, h: Any, k: int) -> Any:
    n = core.get_aval(x).shape[k]

    def cut(a: int, b: int) -> Any:
        return lax.slice_in_dim(x, a, b, axis=k)

    if np.ndim(h) == 0:
        inside = u.divide(u.subtract(cut(2, n), cut(0, n - 2)), u.multiply(h, 2.0))
        first = u.divide(u.subtract(cut(1, 2), cut(0, 1)), h)
        last = u.divide(u.subtract(cut(n - 1, n), cut(n - 2, n - 1)), h)
        return concatenate([first, inside, last], axis=k)
    steps = diff(convert(asarray(h), core.get_aval(x).dtype))
    if core.get_aval(steps).shape[0] != n - 1:
        raise ValueError(
            "Spacing arrays must have the same length as the dimension along which the gradient is "
            "taken."
        )
    wide = tuple(-1 if d == k else 1 for d in range(len(core.get_aval(x).shape)))

    def spread(s: Any) -> Any:
        m = core.get_aval(s).shape[0]
        return lax.reshape(s, tuple(m if w == -1 else 1 for w in wide))

    a, b = spread(lax.slice_in_dim(steps, 0, n - 2)), spread(lax.slice_in_dim(steps, 1, n - 1))
    both = u.add(a, b)
    left = u.multiply(u.negative(u.divide(b, u.multiply(a, both))), cut(0, n - 2))
    middle = u.multiply(u.divide(u.subtract(b, a), u.multiply(a, b)), cut(1, n - 1))
    right = u.multiply(u.divide(a, u.multiply(b, both)), cut(2, n))
    inside = u.add(u.add(left, middle), right)
    first = u.divide(u.subtract(cut(1, 2), cut(0, 1)), spread(lax.slice_in_dim(steps, 0, 1)))
    last = u.divide(
        u.subtract(cut(n - 1, n), cut(n - 2, n - 1)), spread(lax.slice_in_dim(steps, n - 2, n - 1))
    )
    return concatenate([first, inside, last], axis=k)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral along an axis, which goes, by the trapezoidal rule, in floating point; x holds
    the places of the samples (a vector, or an array like y), else they are dx apart.
    """
    if x is None:
        (y,) = promote_dtypes_inexact("trapezoid", y)
        steps: Any = dx
        y = moveaxis(shape_dtype("trapezoid", y)[0], axis, -1)
    else:
        y, x = promote_dtypes_inexact("trapezoid", y, x)
        if len(core.get_aval(x).shape) != 1:
            x = moveaxis(x, axis, -1)
        steps = diff(x)
        y = moveaxis(y, axis, -1)
    n = core.get_aval(y).shape[-1]
    last = len(core.get_aval(y).shape) - 1
    if n == 0:
        return sum_(y, axis=-1)
    pairs = u.add(lax.slice_in_dim(y, 1, n, axis=last), lax.slice_in_dim(y, 0, n - 1, axis=last))
    return u.multiply(0.5, sum_(u.multiply(pairs, steps), axis=-1))


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * np.pi) -> Any:
    """Jumps of at least half a period (of at least discont, if given) along an axis replaced by
    their complement. Integers become floats unless the period is an integer. ValueError for complex
    numbers.
    """
    from fx.numpy.cumulative import cumsum

    x, aval = shape_dtype("unwrap", p)
    if aval.dtype.kind == "c":
        raise ValueError("fx.numpy.unwrap does not support complex inputs.")
    if not aval.shape or aval.shape[axis] == 0:
        return x
    if aval.dtype.kind in "iub" and not isinstance(period, (int, np.integer)):
        x = u.widest_float("unwrap", x)
    k = canonical_axis(axis, len(aval.shape))
    step = diff(x, axis=k)
    half = u.divide(period, 2) if not isinstance(period, int) else period / 2
    wrapped = u.subtract(u.remainder(u.add(step, half), period), half)
    wrapped = where(
        u.logical_and(u.equal(wrapped, u.negative(half)), u.greater(step, 0)), half, wrapped
    )
    correction = u.subtract(wrapped, step)
    limit = half if discont is None else discont
    correction = where(u.less(u.absolute(step), limit), 0, correction)
    total = cumsum(correction, axis=k)
    n = aval.shape[k]
    head = lax.slice_in_dim(x, 0, 1, axis=k)
    rest = u.add(lax.slice_in_dim(x, 1, n, axis=k), total)
    return concatenate([head, convert(rest, core.get_aval(x).dtype)], axis=k)


# ---------------------------------------------------------------- interpolation


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Linear interpolation at x through the points (xp [n], fp [n]), xp rising: floats of the shape
    of x. Beyond the ends `left` and `right`, by default the end's value, or "extrapolate"; with a
    period x and xp are taken by it. ValueError for complex x, other shapes and other words.
    """
    check_arraylike("interp", x, xp, fp)
    if len(np.shape(xp)) != 1 or np.shape(xp) != np.shape(fp):
        raise ValueError("xp and fp must be one-dimensional arrays of equal size")
    x, xp = promote_dtypes_inexact("interp", x, xp)
    if core.get_aval(x).dtype.kind == "c":
        raise ValueError("interp: complex x values are not supported.")
    (fp,) = promote_dtypes_inexact("interp", fp)
    x, xp, fp = (shape_dtype("interp", v)[0] for v in (x, xp, fp))
    if period is not None:
        if left is not None or right is not None:
            left = right = None
        period = u.absolute(convert(asarray(period), core.get_aval(x).dtype))
        x, xp = u.remainder(x, period), u.remainder(xp, period)
        xp, fp = lax.sort([xp, fp], dimension=0, num_keys=1)
        n = core.get_aval(xp).shape[0]
        ends = [lax.slice_in_dim(v, a, b) for v in (xp, fp) for a, b in ((n - 1, n), (0, 1))]
        xp = concatenate([u.subtract(ends[0], period), xp, u.add(ends[1], period)])
        fp = concatenate([ends[2], fp, ends[3]])
    n = core.get_aval(xp).shape[0]
    i = u.minimum(u.maximum(searchsorted(xp, x, side="right"), 1), n - 1)
    before = u.subtract(i, 1)

    def at(v: Any, k: Any) -> Any:
        return take(v, k, mode="clip")

    width = u.subtract(at(xp, i), at(xp, before))
    offset = u.subtract(x, at(xp, before))
    rise = u.subtract(at(fp, i), at(fp, before))
    flat = u.less_equal(u.absolute(width), float(np.spacing(np.finfo(np.float32).eps)))
    slope_part = u.multiply(u.divide(offset, where(flat, 1, width)), rise)
    out = where(flat, at(fp, before), u.add(at(fp, before), slope_part))
    first, last = (
        lax.squeeze(lax.slice_in_dim(v, a, a + 1), (0,)) for v, a in ((fp, 0), (fp, n - 1))
    )
    low, high = (lax.squeeze(lax.slice_in_dim(xp, a, a + 1), (0,)) for a in (0, n - 1))
    if left != "extrapolate" if isinstance(left, str) else True:
        _check_extrapolate("left", left)
        out = where(u.less(x, low), first if left is None else left, out)
    if right != "extrapolate" if isinstance(right, str) else True:
        _check_extrapolate("right", right)
        out = where(u.greater(x, high), last if right is None else right, out)
    return out


def _check_extrapolate(name: str, v: Any) -> None:
    if isinstance(v, str):
        raise ValueError(
            f"the only valid string value of `{name}` is 'extrapolate', but got: {v!r}"
        )


# ---------------------------------------------------------------- functions along axes


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """func1d on every line along an axis, by vmap over the other axes; the axes of what it returns
    stand in its place.
    """
    import fx

    x, aval = shape_dtype("apply_along_axis", arr)
    n = len(aval.shape)
    k = canonical_axis(axis, n)

    def f(line: Any) -> Any:
        return func1d(line, *args, **kwargs)

    for d in range(1, n - k):
        f = fx.vmap(f, in_axes=d, out_axes=-1)
    for _ in range(k):
        f = fx.vmap(f, in_axes=0, out_axes=0)
    return f(x)


def apply_over_axes(func: Callable[[Any, int], Any], a: Any, axes: Any) -> Any:
    """func(a, axis) over several axes in turn, reduced axes kept with size 1. ValueError where it
    gives another number of axes.
    """
    x = shape_dtype("apply_over_axes", a)[0]
    for k in axes if isinstance(axes, Sequence) else [axes]:
        out = func(x, k)
        if len(np.shape(out)) == len(np.shape(x)) - 1:
            out = lax.expand_dims(out, (canonical_axis(k, len(np.shape(x))),))
        if len(np.shape(out)) != len(np.shape(x)):
            raise ValueError("function is not returning an array of the correct shape")
        x = out
    return x
