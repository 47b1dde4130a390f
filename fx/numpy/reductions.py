"""Reductions over axes: sum, prod, max, min, any, all, mean, var, std and cumulative sums, with
where=, initial=, keepdims=.

float16 and bfloat16 sums and products are computed in float32; small integers sum as int32 or
uint32 (64 bits under x64).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype, is_inexact
from fx.dtypes import as_dtype, check_requested, iinfo, is_integer, to_inexact
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.ufunc_base import const_as, dtype_of, no_out
from fx.numpy.util import (
    broadcast_shapes_checked,
    broadcast_value,
    canonical_axes,
    canonical_axis,
    check_arraylike,
    convert,
    promote_dtypes_inexact,
    shape_dtype,
    value,
)

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
]


# ---------------------------------------------------------------- shared


def _positions(axis: Any, ndim: int, name: str) -> tuple[int, ...]:
    if isinstance(axis, core.Tracer):
        from fx.numpy.util import concrete_int

        axis = concrete_int(axis, f"The axis argument of fx.numpy.{name} must be static.")
    return canonical_axes(axis, ndim)


def restore_axes(x: Any, axes: tuple[int, ...]) -> Any:
    """keepdims: put axes of size one where reduced axes were."""
    return lax.expand_dims(x, tuple(sorted(axes))) if axes else x


def masked(name: str, x: Any, where: Any, neutral: Any) -> Any:
    """x with `neutral` where the mask is False."""
    check_arraylike(name, where)
    where = value(where)
    if dtype_of(where) != np.bool_:
        raise ValueError(f"where argument to {name} must be boolean, got {dtype_of(where)}")
    shape = broadcast_shapes_checked(name, [core.get_aval(v).shape for v in (x, where)])
    x, where = broadcast_value(x, shape), broadcast_value(where, shape)
    return lax.select(where, x, base.full_as(x, neutral))


def sum_dtype(d: np.dtype) -> np.dtype:
    """Booleans and small integers sum in the default integer width."""
    if d == np.bool_:
        return canonicalize_dtype(np.int64)
    if d.kind in "iu" or is_integer(d):
        wide = canonicalize_dtype(np.uint64 if d.name.startswith("u") else np.int64)
        return wide if d.itemsize < wide.itemsize else d
    return d


def work_dtype(d: np.dtype) -> np.dtype:
    """float32 for 16-bit and narrower floats."""
    return np.dtype(np.float32) if is_inexact(d) and d.itemsize <= 2 else d


def _reduce(
    name: str,
    a: Any,
    axis: Any,
    dtype: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
    op: Callable[[Any, tuple[int, ...]], Any],
    neutral: Any,
    combine: Callable[[Any, Any], Any],
) -> Any:
    x, aval = shape_dtype(name, a)
    if dtype is None:
        out_dtype = sum_dtype(aval.dtype)
    else:
        out_dtype = check_requested(dtype, name)
    work = work_dtype(out_dtype)
    if work == np.bool_:
        op, combine = _OF_BOOLS[op]
    x = u_cast(x, work)
    if where is not None:
        x = masked(name, x, where, neutral)
    shape = core.get_aval(x).shape
    axes = _positions(axis, len(shape), name)
    out = op(x, axes)
    if keepdims:
        out = restore_axes(out, axes)
    if initial is not None:
        check_arraylike(name, initial)
        _scalar_initial(name, initial)
        out = combine(convert(value(initial), work), out)
    return convert(out, out_dtype)


_OF_BOOLS: dict[Any, tuple[Any, Any]] = {
    lax.reduce_sum: (lax.reduce_or, u.logical_or),
    lax.reduce_prod: (lax.reduce_and, u.logical_and),
}


def _scalar_initial(name: str, initial: Any) -> None:
    if np.ndim(initial) != 0 if not isinstance(initial, core.Tracer) else initial.ndim:
        raise ValueError(f"initial value must be a scalar. Got array of shape {np.shape(initial)}")


def u_cast(x: Any, dtype: np.dtype, weak: bool = False) -> Any:
    """convert, with complex to real dropping the imaginary part and anything to bool testing for
    zero.
    """
    have = dtype_of(x)
    if have.kind == "c" and dtype.kind not in "cb":
        x = lax.real(x)
    if dtype == np.bool_ and have != np.bool_:
        return lax.ne(x, const_as(x, 0))
    return convert(x, dtype, weak)


# ---------------------------------------------------------------- sums and products


def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """The sum over axes (None: all; an int or several), which `keepdims` keeps with size 1.

    Booleans and integers narrower than int32 (int64 with x64) are added in that width, or in their
    own with promote_integers=False, and wrap; 16-bit floats are added in float32 and rounded once.
    `where` is a boolean mask that broadcasts against `a`, `initial` a scalar: ValueError else.

    >>> import fx.numpy as fnp
    >>> fnp.sum(fnp.ones((2, 3)), axis=0)
    Array([2., 2., 2.], dtype=float32)
    """
    no_out("sum", out)
    if not promote_integers and dtype is None:
        dtype = dtype_of(value(a))
    return _reduce("sum", a, axis, dtype, keepdims, initial, where, lax.reduce_sum, 0, u.add)


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """The product over axes, 1 of nothing. Shapes, dtypes and arguments as in sum; the gradient is
    exact at zeros too.
    """
    no_out("prod", out)
    if not promote_integers and dtype is None:
        dtype = dtype_of(value(a))
    return _reduce("prod", a, axis, dtype, keepdims, initial, where, lax.reduce_prod, 1, u.multiply)


# ---------------------------------------------------------------- extrema


def lowest(d: np.dtype) -> Any:
    """The neutral element of max."""
    if d == np.bool_:
        return False
    return iinfo(d).min if is_integer(d) else -np.inf


def highest(d: np.dtype) -> Any:
    """The neutral element of min."""
    if d == np.bool_:
        return True
    return iinfo(d).max if is_integer(d) else np.inf


def _extremum(
    name: str,
    a: Any,
    axis: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
    op: Any,
    neutral: Any,
    combine: Any,
) -> Any:
    x, aval = shape_dtype(name, a)
    if where is not None:
        if initial is None:
            raise ValueError(
                f"reduction operation {name} does not have an identity, so to use a where mask one "
                "has to specify "
                "'initial'"
            )
        x = masked(name, x, where, neutral(aval.dtype))
    shape = core.get_aval(x).shape
    axes = _positions(axis, len(shape), name)
    if initial is None and 0 in [shape[k] for k in axes]:
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
    if 0 in [shape[k] for k in axes]:
        kept = tuple(s for k, s in enumerate(shape) if k not in axes)
        out = broadcast_value(convert(neutral(aval.dtype), aval.dtype), kept)
    elif aval.dtype.kind == "c":
        out = _complex_extremum(x, axes, op, neutral, name)
    else:
        out = op(x, axes)
    if keepdims:
        out = restore_axes(out, axes)
    if initial is not None:
        _scalar_initial(name, initial)
        out = combine(convert(value(initial), aval.dtype), out)
    return convert(out, core.get_aval(out).dtype)


def _complex_extremum(x: Any, axes: tuple[int, ...], op: Any, neutral: Any, name: str) -> Any:
    """Lexicographic: the extreme real part, then the extreme imaginary part among those."""
    re, im = lax.real(x), lax.imag(x)
    best = op(re, axes)
    full = lax.broadcast_in_dim(
        best,
        core.get_aval(x).shape,
        tuple(k for k in range(len(core.get_aval(x).shape)) if k not in axes),
    )
    chosen = base.where_(lax.eq(re, full), im, const_as(im, neutral(dtype_of(im))))
    return lax.complex(best, op(chosen, axes))


def max(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The largest value over axes (None: all), in the dtype of `a`; NaN wins; gradients of ties
    split evenly. Complex numbers order by real, then imaginary part. `keepdims` keeps the axes with
    size 1. ValueError of nothing, and for a mask `where`, unless there is a scalar `initial`.
    """
    no_out("max", out)
    return _extremum("max", a, axis, keepdims, initial, where, lax.reduce_max, lowest, u.maximum)


def min(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The smallest value over axes (None: all), in the dtype of `a`; NaN wins; gradients of ties
    split evenly. Complex numbers, keepdims, `where` and `initial` as in max.
    """
    no_out("min", out)
    return _extremum("min", a, axis, keepdims, initial, where, lax.reduce_min, highest, u.minimum)


amax, amin = max, min


def ptp(a: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Any:
    """The range of the values over axes: max - min, in their dtype. ValueError of nothing,
    TypeError for booleans.
    """
    no_out("ptp", out)
    return u.subtract(max(a, axis=axis, keepdims=keepdims), min(a, axis=axis, keepdims=keepdims))


def _arg(name: str, a: Any, axis: Any, keepdims: Any, op: Any) -> Any:
    x, aval = shape_dtype(name, a)
    shape = aval.shape
    if axis is None:
        x = lax.reshape(x, (aval.size,))
        k = 0
    else:
        k = canonical_axis(axis, len(shape))
    if core.get_aval(x).shape[k] == 0:
        raise ValueError(f"attempt to get {name} of an empty sequence")
    index = canonicalize_dtype(np.int64)
    if aval.dtype == np.bool_:
        x = convert(x, np.dtype(np.int32))
    out = op(x, k, index)
    if keepdims:
        axes = tuple(range(len(shape))) if axis is None else (k,)
        out = lax.expand_dims(out, axes)
    return out


def argmax(a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Any:
    """The index (int32; int64 with x64) of the first largest value along an axis, or in the
    flattened array; the first NaN if there is one. `keepdims` keeps the axis with size 1.
    ValueError for an axis without elements, TypeError for complex numbers.
    """
    no_out("argmax", out)
    return _arg("argmax", a, axis, keepdims, lax.argmax)


def argmin(a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Any:
    """The index (int32; int64 with x64) of the first smallest value along an axis, or in the
    flattened array; the first NaN if there is one. keepdims and errors as in argmax.
    """
    no_out("argmin", out)
    return _arg("argmin", a, axis, keepdims, lax.argmin)


# ---------------------------------------------------------------- truth


def _truth(name: str, a: Any, axis: Any, keepdims: bool, where: Any, op: Any, neutral: bool) -> Any:
    x, _ = shape_dtype(name, a)
    x = u_cast(x, np.dtype(np.bool_))
    if where is not None:
        x = masked(name, x, where, neutral)
    shape = core.get_aval(x).shape
    axes = _positions(axis, len(shape), name)
    out = op(x, axes)
    return restore_axes(out, axes) if keepdims else out


def all(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    """Whether all elements along axes (None: all) are not zero: booleans; True of nothing. `where`
    is a boolean mask: ValueError else.
    """
    no_out("all", out)
    return _truth("all", a, axis, keepdims, where, lax.reduce_and, True)


def any(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    """Whether any element along axes (None: all) is not zero: booleans; False of nothing. `where`
    is a boolean mask: ValueError else.
    """
    no_out("any", out)
    return _truth("any", a, axis, keepdims, where, lax.reduce_or, False)


def count_nonzero(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements along axes (None: all) are not zero: int32 (int64 with x64)."""
    x, _ = shape_dtype("count_nonzero", a)
    return sum(
        lax.ne(x, const_as(x, 0)), axis=axis, dtype=canonicalize_dtype(np.int64), keepdims=keepdims
    )


# ---------------------------------------------------------------- mean, variance


def counted(x: Any, axes: tuple[int, ...], where: Any, dtype: np.dtype, keepdims: bool) -> Any:
    """How many values each result is made of: a number, or an array under a mask."""
    shape = core.get_aval(x).shape
    if where is None:
        return dtype.type(np.prod([shape[k] for k in axes], dtype=np.float64))
    mask = broadcast_value(value(where), shape)
    return sum(mask, axis=axes, dtype=dtype, keepdims=keepdims)


def _mean_dtypes(name: str, d: np.dtype, dtype: Any) -> tuple[np.dtype, np.dtype]:
    out = to_inexact(d) if dtype is None else check_requested(dtype, name)
    if out == np.bool_:
        raise TypeError(f"{name} divides, which dtype bool does not; give an inexact dtype")
    return work_dtype(out), out


def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: Any = None,
) -> Any:
    """The arithmetic mean over axes (None: all), NaN of nothing. Integers become floats unless
    `dtype` is an integer one, which divides towards zero; 16-bit floats are added in float32.
    `where` is a boolean mask of what counts (ValueError else); TypeError for dtype bool.
    """
    no_out("mean", out)
    x, aval = shape_dtype("mean", a)
    work, out_dtype = _mean_dtypes("mean", aval.dtype, dtype)
    x = u_cast(x, work)
    if where is not None:
        check_arraylike("mean", where)
        shape = broadcast_shapes_checked(
            "mean", [core.get_aval(v).shape for v in (x, value(where))]
        )
        x = broadcast_value(x, shape)
    axes = _positions(axis, len(core.get_aval(x).shape), "mean")
    total = sum(x, axis=axes, dtype=work, where=where)
    count = counted(x, axes, where, work, False)
    if is_inexact(work):
        found = convert(u.divide(total, count), out_dtype)
    else:
        found = lax.div(total, broadcast_value(count, core.get_aval(total).shape))
    return restore_axes(found, axes) if keepdims else found


def check_variance_dtype(name: str, given: np.dtype, dtype: Any) -> None:
    """Raise ValueError unless a variance of values of dtype `given` can be computed in `dtype`."""
    if dtype is None:
        return
    wanted = as_dtype(dtype)
    if wanted.kind != "c" and given.kind == "c":
        raise ValueError(
            f"fx.numpy.{name} does not yet support real dtype parameters when computing the "
            "variance of an array of complex values. The semantics are unclear; request the "
            f"computation in {given.name} instead."
        )
    if not is_inexact(wanted):
        raise ValueError(f"dtype argument to fx.numpy.{name} must be inexact; got {wanted.name}")


def _variance(
    name: str,
    a: Any,
    axis: Any,
    dtype: Any,
    ddof: Any,
    keepdims: bool,
    where: Any,
    mean_: Any,
    correction: Any,
) -> tuple[Any, np.dtype]:
    if correction is not None:
        if ddof:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    x, aval = shape_dtype(name, a)
    check_variance_dtype(name, aval.dtype, dtype)
    work, out_dtype = _mean_dtypes(name, aval.dtype, dtype)
    x = u_cast(x, work)
    if where is not None:
        x = broadcast_value(
            x, broadcast_shapes_checked(name, [core.get_aval(v).shape for v in (x, value(where))])
        )
    axes = _positions(axis, len(core.get_aval(x).shape), name)
    center = (
        mean(x, axes, dtype=work, keepdims=True, where=where)
        if mean_ is None
        else u_cast(value(mean_), work)
    )
    centered = u.subtract(x, center)
    if work.kind == "c":
        squares = u.real(u.multiply(centered, u.conjugate(centered)))
    else:
        squares = u.square(centered)
    real = dtype_of(squares)
    count = counted(x, axes, where, real, keepdims)
    total = sum(squares, axis=axes, keepdims=keepdims, where=where)
    if isinstance(ddof, core.Tracer):
        left = u.subtract(count, convert(ddof, real))
    elif where is not None:
        left = u.subtract(count, real.type(ddof))
    else:
        left = real.type(float(count) - ddof)
    out = _divide_or_nan(total, left)
    if dtype is None and out_dtype.kind == "c":
        out_dtype = real
    return out, out_dtype


def _divide_or_nan(total: Any, left: Any) -> Any:
    if isinstance(left, np.generic) or (np.ndim(left) == 0 and not isinstance(left, core.Tracer)):
        if float(left) > 0:
            return u.divide(total, left)
        return u.multiply(total, dtype_of(total).type(np.nan))
    positive = lax.gt(left, const_as(left, 0))
    safe = base.where_(positive, left, const_as(left, 1))
    return base.where_(positive, u.divide(total, safe), const_as(total, np.nan))


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """The variance over axes (None: all), in two passes: sum |x - mean|^2 / (n - ddof), NaN unless
    n > ddof. Integers become floats, complex numbers give real ones; 16-bit floats are computed in
    float32. `mean` is one already known, of a shape that broadcasts. ValueError for a dtype that is
    not inexact, or real for complex input, and for both ddof and correction.
    """
    no_out("var", out)
    result, d = _variance("var", a, axis, dtype, ddof, keepdims, where, mean, correction)
    return convert(result, d)


def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """The square root of var, with its arguments, shapes and dtypes. The gradient at a constant
    input is NaN, as 0 / 0.
    """
    no_out("std", out)
    result, d = _variance("std", a, axis, dtype, ddof, keepdims, where, mean, correction)
    return convert(lax.sqrt(result), d)


def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False
) -> Any:
    """The weighted mean over axes: sum(a * weights) / sum(weights), in floating point; the plain
    mean without weights. Weights have the shape of `a` or of its reduced axes: ValueError else.
    With `returned` the pair (mean, sum of weights), of equal shapes.
    """
    if weights is None:
        (a,) = promote_dtypes_inexact("average", a)
        out = mean(a, axis=axis, keepdims=keepdims)
        axes = _positions(axis, len(core.get_aval(a).shape), "average")
        total = base.full_as(out, float(np.prod([core.get_aval(a).shape[k] for k in axes])))
        return (out, total) if returned else out
    a, weights = promote_dtypes_inexact("average", a, weights)
    shape, wshape = core.get_aval(a).shape, core.get_aval(weights).shape
    axes = _positions(axis, len(shape), "average")
    if shape != wshape:
        if axis is None:
            raise ValueError("Axis must be specified when shapes of a and weights differ.")
        if tuple(shape[k] for k in axes) != wshape:
            raise ValueError(
                "Shape of weights must be consistent with shape of a along specified axis."
            )
        order = sorted(range(len(axes)), key=lambda k: axes[k])
        weights = lax.transpose(weights, tuple(order))
        weights = lax.broadcast_in_dim(weights, shape, tuple(sorted(axes)))
    total = sum(weights, axis=axes, keepdims=keepdims)
    out = u.divide(sum(u.multiply(a, weights), axis=axes, keepdims=keepdims), total)
    return (out, broadcast_value(total, core.get_aval(out).shape)) if returned else out
