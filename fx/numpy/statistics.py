"""Quantiles, covariance, differences, interpolation and integration along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.dtypes import check_requested
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray, full, zeros
from fx.numpy.joining import concatenate, stack
from fx.numpy.manipulation import moveaxis
from fx.numpy.reductions import average, restore_axes, work_dtype
from fx.numpy.reductions import sum as sum_
from fx.numpy.selection import where
from fx.numpy.ufunc_base import no_out
from fx.numpy.util import (
    broadcast_value,
    canonical_axes,
    check_arraylike,
    concrete,
    convert,
    promote_dtypes_inexact,
    shape_dtype,
)

__all__ = [
    "corrcoef",
    "cov",
    "median",
    "nanmedian",
    "nanpercentile",
    "nanquantile",
    "percentile",
    "quantile",
]

FEW = 16  # quantiles that are picked one by one
_METHODS = ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf")


# ---------------------------------------------------------------- quantiles


def _quantile(
    name: str,
    a: Any,
    q: Any,
    axis: Any,
    method: str,
    keepdims: bool,
    weights: Any,
    squash_nans: bool,
) -> Any:
    check_arraylike(name, a, q)
    if method not in _METHODS:
        raise ValueError(
            f"{name}: method can only be 'linear', 'lower', 'higher', 'midpoint', or 'nearest', "
            f"got {method!r}"
        )
    if weights is not None and method != "inverted_cdf":
        raise ValueError(f"{name}: weights are only supported by method='inverted_cdf'")
    given = [a] if weights is None else [a, weights]
    dtype = core.get_aval(promote_dtypes_inexact(name, *given)[0]).dtype
    if work_dtype(dtype) != dtype:  # places in a row of more than 256 are no bfloat16
        given = [convert(x, work_dtype(dtype)) for x in promote_dtypes_inexact(name, *given)]
    a, *_, q = promote_dtypes_inexact(name, *given, q)
    a, q = shape_dtype(name, a)[0], shape_dtype(name, q)[0]
    if core.get_aval(a).dtype.kind == "c":
        raise ValueError(
            f"{name} does not support complex input, as the operation is poorly defined."
        )
    if len(core.get_aval(q).shape) > 1:
        raise ValueError(f"q must be have rank <= 1, got shape {core.get_aval(q).shape}")
    shape = core.get_aval(a).shape
    axes = canonical_axes(axis, len(shape))
    kept = [k for k in range(len(shape)) if k not in axes]
    n = int(np.prod([shape[k] for k in axes], dtype=np.int64))
    flat = lax.reshape(lax.transpose(a, (*kept, *axes)), (*(shape[k] for k in kept), n))
    if weights is not None:
        wide = broadcast_value(asarray(weights), shape) if np.ndim(weights) == len(shape) else None
        if wide is None:
            wide = lax.broadcast_in_dim(asarray(weights), shape, axes)
        weights = lax.reshape(lax.transpose(wide, (*kept, *axes)), core.get_aval(flat).shape)
        out = _weighted(flat, q, weights)
    else:
        out = _along_last(flat, q, method, squash_nans)
    weak = weights is None and core.get_aval(out).weak_type
    out = convert(out, dtype, weak)
    if keepdims:
        lead = len(core.get_aval(q).shape)
        out = restore_axes(out, tuple(k + lead for k in axes))
    return out


def _along_last(x: Any, q: Any, method: str, squash_nans: bool) -> Any:
    """Quantiles of the last axis; q's axis comes first in the result."""
    n = core.get_aval(x).shape[-1]
    lead = core.get_aval(x).shape[:-1]
    dtype = core.get_aval(x).dtype
    if n == 0:
        return lax.full((*core.get_aval(q).shape, *lead), np.nan, dtype)
    if squash_nans:
        count = convert(sum_(u.logical_not(u.isnan(x)), axis=-1), dtype)
        last = u.subtract(count, 1)
    else:
        last = broadcast_value(np.asarray(n - 1, dtype), lead)
    known = not squash_nans and not isinstance(q, core.Tracer)
    m: Any = np if known else u  # places that are known now are plain numbers
    if known:
        q, last = concrete(q).astype(dtype), np.asarray(n - 1, dtype)
    x = lax.sort(x, dimension=len(lead))
    reshape = np.reshape if known else lax.reshape
    qs = reshape(q, (*core.get_aval(q).shape, *(1,) * len(lead)))
    place = m.multiply(qs, last)
    if method == "inverted_cdf":
        place = m.subtract(m.ceil(m.multiply(qs, m.add(last, 1))), 1)
    place = m.maximum(place, 0)
    low, high = m.floor(place), m.ceil(place)
    weight = m.subtract(place, low)
    low_value, high_value = _pick(x, low), _pick(x, high)
    if method == "linear":
        # A weight of zero must not turn an infinite neighbour into NaN.
        product_low = u.multiply(low_value, u.subtract(1, weight))
        product_high = where(
            u.equal(weight, 0), base.const_as(high_value, 0), u.multiply(high_value, weight)
        )
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
        return where(u.less(last, 0), convert(np.nan, dtype), out)
    greatest = lax.index_in_dim(x, n - 1, len(lead), keepdims=False)  # NaN is sorted last
    return where(u.isnan(greatest), convert(np.nan, dtype), out)


def _pick(x: Any, place: Any) -> Any:
    """x[..., place] with the leading axes of x matched to the trailing ones of place."""
    from fx.numpy.selection import take_along_axis

    n = core.get_aval(x).shape[-1]
    lead = len(core.get_aval(x).shape) - 1
    if isinstance(place, np.ndarray | np.generic):
        if place.size <= FEW and not np.isnan(place).any():
            at = np.clip(place, 0, n - 1).astype(int)
            picked = [lax.index_in_dim(x, int(k), lead, keepdims=False) for k in at.flat]
            return stack(picked) if at.ndim > lead else picked[0]
        place = np.broadcast_to(place, (*place.shape[: place.ndim - lead], *x.shape[:lead]))
    index = convert(u.minimum(u.maximum(place, 0), n - 1), np.dtype(np.int32))
    shape = core.get_aval(index).shape
    if len(shape) == lead:
        return lax.squeeze(
            take_along_axis(x, lax.expand_dims(index, (lead,)), axis=-1, mode="clip"), (lead,)
        )
    return moveaxis(take_along_axis(x, moveaxis(index, 0, -1), axis=-1, mode="clip"), -1, 0)


def _weighted(x: Any, q: Any, weights: Any) -> Any:
    """The first value whose share of the total weight reaches q."""
    from fx.numpy.cumulative import cumsum
    from fx.numpy.selection import take_along_axis

    lead = len(core.get_aval(x).shape) - 1
    order = lax.sort(
        [x, lax.broadcasted_iota(np.dtype(np.int32), core.get_aval(x).shape, lead)],
        dimension=lead,
        num_keys=1,
    )[1]
    x = take_along_axis(x, order, axis=-1, mode="clip")
    running = cumsum(take_along_axis(weights, order, axis=-1, mode="clip"), axis=-1)
    share = u.divide(
        running, lax.slice_in_dim(running, core.get_aval(x).shape[-1] - 1, None, axis=lead)
    )
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
    """The q-th quantiles (q in [0, 1], clamped beyond) over axes (None: all): the axis of a vector
    q comes first, then the axes that stay, of size 1 too with `keepdims`. Integers become floats;
    NaN if any value is NaN, or there is none.

    Between two values `method` "linear" interpolates; "lower", "higher", "nearest" and
    "inverted_cdf" pick one, "midpoint" takes their mean; only "inverted_cdf" takes weights.
    ValueError for other methods, q of two axes, complex numbers and overwrite_input.
    """
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
    """The quantile of what is not NaN; NaN where all are. Arguments, shapes and dtypes as in
    quantile.
    """
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
    """The q-th percentiles (q in [0, 100]) over axes: quantile of q / 100, with its arguments,
    shapes and dtypes.
    """
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
    """The percentile of what is not NaN; NaN where all are. Arguments, shapes and dtypes as in
    quantile.
    """
    _no_overwrite("nanpercentile", out, overwrite_input)
    (q,) = promote_dtypes_inexact("nanpercentile", q)
    return _quantile("nanpercentile", a, u.divide(q, 100), axis, method, keepdims, weights, True)


def median(
    a: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:
    """The middle value over axes (None: all), the mean of the two middle ones. Integers become
    floats; NaN if any value is NaN. `keepdims` keeps the axes with size 1.
    """
    return quantile(
        a,
        0.5,
        axis=axis,
        out=out,
        overwrite_input=overwrite_input,
        keepdims=keepdims,
        method="midpoint",
    )


def nanmedian(
    a: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:
    """The median of what is not NaN; NaN where all are. Shapes and dtypes as in median."""
    return nanquantile(
        a,
        0.5,
        axis=axis,
        out=out,
        overwrite_input=overwrite_input,
        keepdims=keepdims,
        method="midpoint",
    )


def _no_overwrite(name: str, out: Any, overwrite: bool) -> None:
    no_out(name, out)
    if overwrite:
        raise ValueError(
            f"fx.numpy.{name} does not support overwrite_input=True: arrays are immutable."
        )


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
    """The covariance matrix [n, n] of n variables in the rows of m [n, samples] and y (in columns
    with rowvar=False); axes of size 1 go, so that one variable gives a scalar. Integers become
    floats. Sums are divided by the number of samples less ddof: 1, with `bias` 0. fweights count
    samples, aweights weigh them. Without samples NaN. ValueError for more than two axes.
    """
    members = promote_dtypes_inexact("cov", *((m,) if y is None else (m, y)))
    if dtype is not None:
        wanted = check_requested(dtype, "cov")
        members = [convert(x, wanted) for x in members]
    if any(len(core.get_aval(x).shape) > 2 for x in members):
        raise ValueError("m has more than 2 dimensions")
    upright = not rowvar and len(members) == 1 and _has_rows(members[0])
    along = 0 if upright else 1
    parts = members if upright else [_variables(x, rowvar) for x in members]
    if core.get_aval(parts[0]).shape[1 - along] == 0:
        return zeros((0, 0), core.get_aval(parts[0]).dtype)
    x = parts[0] if len(parts) == 1 else concatenate(parts, axis=0)
    count, samples = (core.get_aval(x).shape[k] for k in (1 - along, along))
    if samples == 0:
        return full(() if count == 1 else (count, count), np.nan, core.get_aval(x).dtype)
    if ddof is None:
        ddof = 1 if not bias else 0
    weights = None
    if fweights is not None:
        weights = convert(asarray(fweights), core.get_aval(x).dtype)
    if aweights is not None:
        a = convert(asarray(aweights), core.get_aval(x).dtype)
        weights = a if weights is None else u.multiply(weights, a)
    center, total = average(x, axis=along, weights=weights, returned=True)
    total = (
        lax.squeeze(lax.slice_in_dim(total, 0, 1), (0,)) if core.get_aval(total).shape else total
    )
    if weights is None:
        factor: Any = samples - ddof
    elif ddof == 0:
        factor = total
    elif aweights is None:
        factor = u.subtract(total, ddof)
    else:
        factor = u.subtract(total, u.divide(u.multiply(ddof, sum_(u.multiply(weights, a))), total))
    x = u.subtract(x, lax.expand_dims(center, (along,)))
    right = x if weights is None else u.multiply(x, lax.expand_dims(weights, (1 - along,)))
    sums = lax.dot_general(x, u.conjugate(right), (((along,), (along,)), ((), ())))
    out = u.divide(sums, factor)
    return lax.squeeze(out, tuple(k for k, s in enumerate(core.get_aval(out).shape) if s == 1))


def _has_rows(x: Any) -> bool:
    """Whether rows of x are samples of several variables, where `rowvar` says no."""
    shape = core.get_aval(x).shape
    return len(shape) == 2 and shape[0] != 1


def _variables(x: Any, rowvar: bool) -> Any:
    shape = core.get_aval(x).shape
    if len(shape) < 2:
        return lax.reshape(x, (1, core.get_aval(x).size))
    return x if rowvar or shape[0] == 1 else lax.transpose(x, (1, 0))


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Any:
    """The correlation matrix [n, n] of variables in rows: cov divided by both standard deviations,
    clipped to [-1, 1] (complex numbers in both parts); NaN where one is 0. Shapes as in cov.
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if not core.get_aval(c).shape:
        return u.divide(c, c)
    from fx.numpy.diagonals import diagonal
    from fx.numpy.ufuncs_more import clip

    deviation = u.sqrt(u.real(diagonal(c)))
    c = u.divide(u.divide(c, lax.expand_dims(deviation, (1,))), lax.expand_dims(deviation, (0,)))
    if core.get_aval(c).dtype.kind == "c":
        return lax.complex(clip(lax.real(c), -1, 1), clip(lax.imag(c), -1, 1))
    return clip(c, -1, 1)
