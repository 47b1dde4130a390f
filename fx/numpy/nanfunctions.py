"""Reductions that leave NaNs out."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import is_inexact
from fx.dtypes import check_requested
from fx.numpy import cumulative
from fx.numpy import reductions as r
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.reductions import highest, lowest
from fx.numpy.selection import where as where_
from fx.numpy.ufunc_base import no_out
from fx.numpy.util import convert, promote_inexact, shape_dtype

__all__ = [
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]


def _replaced(name: str, a: Any, fill: Any) -> tuple[Any, Any]:
    """The array with NaNs replaced, and the mask of NaNs (None for integers)."""
    x, aval = shape_dtype(name, a)
    if not is_inexact(aval.dtype):
        return x, None
    nans = u.isnan(x)
    return where_(nans, base.const_as(x, fill(aval.dtype)), x), nans


def _extremum(
    name: str, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any, op: Any, fill: Any
) -> Any:
    x, nans = _replaced(name, a, fill)
    out = op(x, axis=axis, keepdims=keepdims, initial=initial, where=where)
    if nans is None:
        return out
    everything = (
        r.all(nans, axis=axis, keepdims=keepdims)
        if where is None
        else r.all(u.logical_or(nans, u.logical_not(where)), axis=axis, keepdims=keepdims)
    )
    missing = np.nan if initial is None else base.const_as(out, initial)
    return where_(
        everything, base.const_as(out, missing) if isinstance(missing, float) else missing, out
    )


def nanmax(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The largest number over axes, NaNs left out: NaN (or `initial`) where there are only NaNs.
    Shapes, dtypes and errors as in max.
    """
    no_out("nanmax", out)
    return _extremum("nanmax", a, axis, keepdims, initial, where, r.max, lowest)


def nanmin(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The smallest number over axes, NaNs left out: NaN (or `initial`) where there are only NaNs.
    Shapes, dtypes and errors as in min.
    """
    no_out("nanmin", out)
    return _extremum("nanmin", a, axis, keepdims, initial, where, r.min, highest)


def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The sum over axes with NaNs counted as 0: 0 where all are. Shapes and dtypes as in sum."""
    no_out("nansum", out)
    x, _ = _replaced("nansum", a, lambda d: 0)
    return r.sum(x, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)


def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The product over axes with NaNs counted as 1: 1 where all are NaN. Shapes and dtypes as in
    prod.
    """
    no_out("nanprod", out)
    x, _ = _replaced("nanprod", a, lambda d: 1)
    return r.prod(x, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)


def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Any:
    """The mean over axes of what is not NaN; NaN where all are. Shapes and dtypes as in mean."""
    no_out("nanmean", out)
    x, aval = shape_dtype("nanmean", a)
    if not is_inexact(aval.dtype):
        return r.mean(x, axis, dtype, keepdims=keepdims, where=where)
    mask = u.logical_not(u.isnan(x))
    if where is not None:
        mask = u.logical_and(mask, where)
    count = r.sum(mask, axis=axis, dtype=np.int32, keepdims=keepdims)
    total = nansum(x, axis, dtype=dtype, keepdims=keepdims, where=where)
    count = convert(count, core.get_aval(total).dtype)
    if is_inexact(core.get_aval(total).dtype):
        return u.divide(total, count)
    return lax.div(total, count)  # which refuses booleans


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
) -> Any:
    """The variance over axes of what is not NaN: NaN where no more than ddof numbers are left.
    Shapes, dtypes and errors as in var.
    """
    no_out("nanvar", out)
    (x,) = promote_inexact("nanvar", a)
    r.check_variance_dtype("nanvar", core.get_aval(x).dtype, dtype)
    d = None if dtype is None else check_requested(dtype, "nanvar")
    x = shape_dtype("nanvar", x)[0]
    center = nanmean(x, axis, dtype, keepdims=True, where=where) if mean is None else mean
    nans = u.isnan(x)
    centered = where_(nans, base.const_as(x, 0), u.subtract(x, center))
    if core.get_aval(x).dtype.kind == "c":
        squares = u.real(u.multiply(centered, u.conjugate(centered)))
    else:
        squares = u.square(centered)
    mask = u.logical_not(nans)
    if where is not None:
        mask = u.logical_and(mask, where)
    count = r.sum(mask, axis=axis, dtype=np.int32, keepdims=keepdims)
    left = u.subtract(count, ddof)
    enough = u.greater(left, 0)
    total = r.sum(squares, axis=axis, dtype=None, keepdims=keepdims, where=where)
    out_value = u.divide(total, convert(where_(enough, left, 1), core.get_aval(total).dtype))
    result = where_(enough, out_value, base.const_as(out_value, np.nan))
    return result if d is None else convert(result, d)


def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
) -> Any:
    """The standard deviation over axes of what is not NaN: the square root of nanvar, with its
    shapes and dtypes.
    """
    no_out("nanstd", out)
    return u.sqrt(
        nanvar(a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=where, mean=mean)
    )


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The running sum with NaNs counted as 0, along `axis` or of all elements in one axis. Shapes
    and dtypes as in cumsum.
    """
    no_out("nancumsum", out)
    x, _ = _replaced("nancumsum", a, lambda d: 0)
    return cumulative.cumsum(x, axis, dtype)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The running product with NaNs counted as 1, along `axis` or of all elements in one axis.
    Shapes and dtypes as in cumprod.
    """
    no_out("nancumprod", out)
    x, _ = _replaced("nancumprod", a, lambda d: 1)
    return cumulative.cumprod(x, axis, dtype)


def _arg(name: str, a: Any, axis: Any, keepdims: Any, op: Any, fill: Any) -> Any:
    x, nans = _replaced(name, a, fill)
    out = op(x, axis=axis, keepdims=bool(keepdims))
    if nans is None:
        return out
    everything = r.all(nans, axis=axis, keepdims=bool(keepdims))
    return where_(everything, base.const_as(out, -1), out)


def nanargmax(
    a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None
) -> Any:
    """The index of the largest number along an axis or in the flattened array; -1 where there are
    only NaNs. Dtype, keepdims and errors as in argmax.
    """
    no_out("nanargmax", out)
    return _arg("nanargmax", a, axis, keepdims, r.argmax, lowest)


def nanargmin(
    a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None
) -> Any:
    """The index of the smallest number along an axis or in the flattened array; -1 where there are
    only NaNs. Dtype, keepdims and errors as in argmin.
    """
    no_out("nanargmin", out)
    return _arg("nanargmin", a, axis, keepdims, r.argmin, highest)
