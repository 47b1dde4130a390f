"""Quantiles, covariance, differences, interpolation and integration along an axis."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx.dtypes import check_requested
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.joining import concatenate
from fx.numpy.manipulation import moveaxis
from fx.numpy.products import dot
from fx.numpy.reductions import average, restore_axes
from fx.numpy.reductions import sum as sum_
from fx.numpy.sorting import searchsorted
from fx.numpy.take import take, where
from fx.numpy.ufuncs import no_out
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
    "corrcoef",
    "cov",
    "diff",
    "ediff1d",
    "gradient",
    "interp",
    "median",
    "nanmedian",
    "nanpercentile",
    "nanquantile",
    "percentile",
    "quantile",
    "trapezoid",
    "unwrap",
]

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf")


# ---------------------------------------------------------------- quantiles


def _quantile(
    name: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool, weights: Any, squash_nans: bool
) -> Any:
    check_arraylike(name, a, q)
    if method not in _METHODS:
        raise ValueError(f"{name}: method can only be 'linear', 'lower', 'higher', 'midpoint', or 'nearest', got {method!r}")
    if weights is not None and method != "inverted_cdf":
        raise ValueError(f"{name}: weights are only supported by method='inverted_cdf'")
    a, q = promote_dtypes_inexact(name, a, q)
    a, q = shape_dtype(name, a)[0], shape_dtype(name, q)[0]
    if core.get_aval(a).dtype.kind == "c":
        raise ValueError(f"{name} does not support complex input, as the operation is poorly defined.")
    if len(core.get_aval(q).shape) > 1:
        raise ValueError(f"q must be have rank <= 1, got shape {core.get_aval(q).shape}")
    shape = core.get_aval(a).shape
    axes = canonical_axes(axis, len(shape))
    kept = [k for k in range(len(shape)) if k not in axes]
    n = int(np.prod([shape[k] for k in axes], dtype=np.int64))
    flat = lax.reshape(
        lax.transpose(a, (*kept, *axes)), (*(shape[k] for k in kept), n)
    )
    if weights is not None:
        wide = broadcast_value(asarray(weights), shape) if np.ndim(weights) == len(shape) else None
        if wide is None:
            wide = lax.broadcast_in_dim(asarray(weights), shape, axes)
        weights = lax.reshape(lax.transpose(wide, (*kept, *axes)), core.get_aval(flat).shape)
        out = _weighted(flat, q, weights)
    else:
        out = _along_last(flat, q, method, squash_nans)
    if keepdims:
        lead = len(core.get_aval(q).shape)
        out = restore_axes(out, (), tuple(k + lead for k in axes))
    return out


def _along_last(x: Any, q: Any, method: str, squash_nans: bool) -> Any:
    """Quantiles of the last axis; q's axis comes first in the result."""
    n = core.get_aval(x).shape[-1]
    lead = core.get_aval(x).shape[:-1]
    dtype = core.get_aval(x).dtype
    if n == 0:
        return broadcast_value(convert(np.nan, dtype), (*core.get_aval(q).shape, *lead))
    nans = u.isnan(x)
    x = lax.sort(x, dimension=len(lead))
    if squash_nans:
        count = convert(sum_(u.logical_not(nans), axis=-1), dtype)
        last = u.subtract(count, 1)
    else:
        any_nan = lax.reduce_or(nans, (len(lead),))
        x = where(lax.expand_dims(any_nan, (len(lead),)), convert(np.nan, dtype), x)
        last = broadcast_value(convert(np.asarray(n - 1), dtype), lead)
    qs = lax.reshape(q, (*core.get_aval(q).shape, *(1,) * len(lead)))
    place = u.multiply(qs, last)
    place = u.maximum(place, 0)
    if method == "inverted_cdf":
        place = u.subtract(u.ceil(u.multiply(qs, u.add(last, 1))), 1)
        place = u.maximum(place, 0)
    low, high = u.floor(place), u.ceil(place)
    weight = u.subtract(place, low)
    low_value, high_value = _pick(x, low), _pick(x, high)
    if method == "linear":
        # A weight of zero must not turn an infinite neighbour into NaN.
        product_low = u.multiply(low_value, u.subtract(1, weight))
        product_high = where(u.equal(weight, 0), u.const_as(high_value, 0), u.multiply(high_value, weight))
        out = u.add(product_low, product_high)
    elif method in ("lower", "inverted_cdf"):
        out = low_value
    elif method == "higher":
        out = high_value
    elif method == "midpoint":
        out = u.multiply(u.add(low_value, high_value), 0.5)
    else:
        out = where(u.less_equal(weight, 0.5), low_value, high_value)
    if squash_nans:
        out = where(u.less(last, 0), convert(np.nan, dtype), out)
    return out


def _pick(x: Any, place: Any) -> Any:
    """x[..., place] with the leading axes of x matched to the trailing ones of place."""
    from fx.numpy.take import take_along_axis

    n = core.get_aval(x).shape[-1]
    lead = len(core.get_aval(x).shape) - 1
    index = convert(u.minimum(u.maximum(place, 0), n - 1), np.dtype(np.int32))
    shape = core.get_aval(index).shape
    if len(shape) == lead:
        return lax.squeeze(take_along_axis(x, lax.expand_dims(index, (lead,)), axis=-1, mode="clip"), (lead,))
    return moveaxis(take_along_axis(x, moveaxis(index, 0, -1), axis=-1, mode="clip"), -1, 0)


def _weighted(x: Any, q: Any, weights: Any) -> Any:
    """The first value whose share of the total weight reaches q."""
    from fx.numpy.reductions import cumsum
    from fx.numpy.take import take_along_axis

    lead = len(core.get_aval(x).shape) - 1
    order = lax.sort(
        [x, lax.broadcasted_iota(np.dtype(np.int32), core.get_aval(x).shape, lead)], dimension=lead, num_keys=1
    )[1]
    x = take_along_axis(x, order, axis=-1, mode="clip")
    running = cumsum(take_along_axis(weights, order, axis=-1, mode="clip"), axis=-1)
    share = u.divide(running, lax.slice_in_dim(running, core.get_aval(x).shape[-1] - 1, None, axis=lead))
    qs = lax.reshape(q, (*core.get_aval(q).shape, *(1,) * (lead + 1)))
    place = sum_(convert(u.less(share, qs), np.dtype(np.int32)), axis=-1)
    return _pick(x, place)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """The q-th quantiles (q in [0, 1]) over axes; NaN if any value is NaN."""
    _no_overwrite("quantile", out, overwrite_input)
    return _quantile("quantile", a, q, axis, method, keepdims, weights, False)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """The same, NaNs left out."""
    _no_overwrite("nanquantile", out, overwrite_input)
    return _quantile("nanquantile", a, q, axis, method, keepdims, weights, True)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The q-th percentiles (q in [0, 100]) over axes."""
    _no_overwrite("percentile", out, overwrite_input)
    (q,) = promote_dtypes_inexact("percentile", q)
    return _quantile("percentile", a, u.divide(q, 100), axis, method, keepdims, weights, False)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """The same, NaNs left out."""
    _no_overwrite("nanpercentile", out, overwrite_input)
    (q,) = promote_dtypes_inexact("nanpercentile", q)
    return _quantile("nanpercentile", a, u.divide(q, 100), axis, method, keepdims, weights, True)


def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The middle value over axes (the mean of the two middle ones)."""
    return quantile(a, 0.5, axis=axis, out=out, overwrite_input=overwrite_input, keepdims=keepdims, method="midpoint")


def nanmedian(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The same, NaNs left out."""
    return nanquantile(a, 0.5, axis=axis, out=out, overwrite_input=overwrite_input, keepdims=keepdims, method="midpoint")


def _no_overwrite(name: str, out: Any, overwrite: bool) -> None:
    no_out(name, out)
    if overwrite:
        raise ValueError(f"fx.numpy.{name} does not support overwrite_input=True: arrays are immutable.")


# ---------------------------------------------------------------- covariance


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    dtype: Any = None,
) -> Any:
    """The covariance matrix of variables in rows."""
    members = promote_dtypes_inexact("cov", *((m,) if y is None else (m, y)))
    if dtype is not None:
        wanted = check_requested(dtype, "cov")
        members = [convert(x, wanted) for x in members]
    if any(len(core.get_aval(x).shape) > 2 for x in members):
        raise ValueError("m has more than 2 dimensions")
    rows = [_variables(x, rowvar) for x in members]
    x = rows[0] if len(rows) == 1 else concatenate(rows, axis=0)
    if ddof is None:
        ddof = 1 if not bias else 0
    weights = None
    if fweights is not None:
        weights = convert(asarray(fweights), core.get_aval(x).dtype)
    if aweights is not None:
        a = convert(asarray(aweights), core.get_aval(x).dtype)
        weights = a if weights is None else u.multiply(weights, a)
    center, total = average(x, axis=1, weights=weights, returned=True)
    total = lax.squeeze(lax.slice_in_dim(total, 0, 1), (0,)) if core.get_aval(total).shape else total
    if weights is None:
        factor: Any = core.get_aval(x).shape[1] - ddof
    elif ddof == 0:
        factor = total
    elif aweights is None:
        factor = u.subtract(total, ddof)
    else:
        factor = u.subtract(total, u.divide(u.multiply(ddof, sum_(u.multiply(weights, a))), total))
    x = u.subtract(x, lax.expand_dims(center, (1,)))
    right = lax.transpose(x if weights is None else u.multiply(x, lax.expand_dims(weights, (0,))), (1, 0))
    out = u.divide(dot(x, u.conjugate(right)), factor)
    return lax.squeeze(out, tuple(k for k, s in enumerate(core.get_aval(out).shape) if s == 1))


def _variables(x: Any, rowvar: bool) -> Any:
    shape = core.get_aval(x).shape
    if len(shape) < 2:
        return lax.reshape(x, (1, core.get_aval(x).size))
    return x if rowvar or shape[0] == 1 else lax.transpose(x, (1, 0))


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Any:
    """The correlation matrix of variables in rows."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not core.get_aval(c).shape:
        return u.divide(c, c)
    from fx.numpy.take import diagonal
    from fx.numpy.ufuncs_more import clip

    deviation = u.sqrt(u.real(diagonal(c)))
    c = u.divide(u.divide(c, lax.expand_dims(deviation, (1,))), lax.expand_dims(deviation, (0,)))
    if core.get_aval(c).dtype.kind == "c":
        return lax.complex(clip(lax.real(c), -1, 1), clip(lax.imag(c), -1, 1))
    return clip(c, -1, 1)


# ---------------------------------------------------------------- differences


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The n-th difference along an axis."""
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
        x = op(lax.slice_in_dim(x, min(1, size), size, axis=k), lax.slice_in_dim(x, 0, max(size - 1, 0), axis=k))
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of consecutive elements of the flattened array, with values before and after."""
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
    """Second-order differences inside, one-sided ones at the ends, per axis."""
    if edge_order is not None:
        raise NotImplementedError("The 'edge_order' argument to fx.numpy.gradient is not supported.")
    (x,) = promote_dtypes_inexact("gradient", f)
    x = shape_dtype("gradient", x)[0]
    shape = core.get_aval(x).shape
    axes = canonical_axes(axis, len(shape))
    if any(shape[k] < 2 for k in axes):
        raise ValueError("Shape of array too small to calculate a numerical gradient, at least 2 elements are required.")
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
        raise ValueError("Spacing arrays must have the same length as the dimension along which the gradient is taken.")
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
    last = u.divide(u.subtract(cut(n - 1, n), cut(n - 2, n - 1)), spread(lax.slice_in_dim(steps, n - 2, n - 1)))
    return concatenate([first, inside, last], axis=k)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by the trapezoidal rule."""
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
    pairs = u.add(lax.slice_in_dim(y, 1, n, axis=last), lax.slice_in_dim(y, 0, n - 1, axis=last))
    return u.multiply(0.5, sum_(u.multiply(pairs, steps), axis=-1))


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * np.pi) -> Any:
    """Jumps of half a period or more along an axis replaced by their complement."""
    from fx.numpy.reductions import cumsum

    x, aval = shape_dtype("unwrap", p)
    if aval.dtype.kind == "c":
        raise ValueError("fx.numpy.unwrap does not support complex inputs.")
    if not aval.shape or aval.shape[axis] == 0:
        return x
    if aval.dtype.kind in "iub" and not isinstance(period, (int, np.integer)):
        (x,) = promote_dtypes_inexact("unwrap", x)
    k = canonical_axis(axis, len(aval.shape))
    step = diff(x, axis=k)
    half = u.divide(period, 2) if not isinstance(period, int) else period / 2
    wrapped = u.subtract(u.remainder(u.add(step, half), period), half)
    wrapped = where(u.logical_and(u.equal(wrapped, u.negative(half)), u.greater(step, 0)), half, wrapped)
    correction = u.subtract(wrapped, step)
    limit = half if discont is None else discont
    correction = where(u.less(u.absolute(step), limit), 0, correction)
    total = cumsum(correction, axis=k)
    n = aval.shape[k]
    head = lax.slice_in_dim(x, 0, 1, axis=k)
    rest = u.add(lax.slice_in_dim(x, 1, n, axis=k), total)
    return concatenate([head, convert(rest, core.get_aval(x).dtype)], axis=k)


# ---------------------------------------------------------------- interpolation


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Linear interpolation through (xp, fp); beyond the ends left, right, or 'extrapolate'."""
    check_arraylike("interp", x, xp, fp)
    if len(np.shape(xp)) != 1 or np.shape(xp) != np.shape(fp):
        raise ValueError("xp and fp must be one-dimensional arrays of equal size")
    x, xp = promote_dtypes_inexact("interp", x, xp)
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
    first, last = (lax.squeeze(lax.slice_in_dim(v, a, a + 1), (0,)) for v, a in ((fp, 0), (fp, n - 1)))
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
        raise ValueError(f"the only valid string value of `{name}` is 'extrapolate', but got: {v!r}")


# ---------------------------------------------------------------- functions along axes


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """func1d on every line along an axis, by vmap over the other axes."""
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
    """func(a, axis) over several axes, reduced axes kept."""
    x = shape_dtype("apply_over_axes", a)[0]
    for k in axes if isinstance(axes, Sequence) else [axes]:
        out = func(x, k)
        if len(np.shape(out)) == len(np.shape(x)) - 1:
            out = lax.expand_dims(out, (canonical_axis(k, len(np.shape(x))),))
        if len(np.shape(out)) != len(np.shape(x)):
            raise ValueError("function is not returning an array of the correct shape")
        x = out
    return x


