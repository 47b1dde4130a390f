"""Summaries of samples: mode, ranks, standard error."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fx import numpy as fnp
from fx.numpy.util import promote_dtypes_inexact

__all__ = ["ModeResult", "mode", "rankdata", "sem"]


class ModeResult(NamedTuple):
    """The most frequent value and how often it occurs."""

    mode: Any
    count: Any


def _policy(name: str, nan_policy: str) -> None:
    if nan_policy not in ("propagate", "omit", "raise"):
        raise ValueError(
            f"Illegal nan_policy value {nan_policy!r}; expected propagate, omit or raise"
        )
    if nan_policy != "propagate":
        raise NotImplementedError(
            f"{name}: nan_policy={nan_policy!r}; only 'propagate' is supported"
        )


def mode(
    a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> ModeResult:
    """The most frequent value along an axis; the smallest of several.

    axis None takes all elements; an empty axis gives NaN. All pairs are compared: O(n^2). Only
    nan_policy "propagate" (NotImplementedError; ValueError for unknown ones).
    """
    _policy("mode", nan_policy)
    x = fnp.atleast_1d(fnp.asarray(a))
    rank = x.ndim
    if axis is None:
        x, axis = fnp.ravel(x), 0
    x = fnp.moveaxis(x, axis, -1)
    n = x.shape[-1]
    if n == 0:
        empty = fnp.full(x.shape[:-1], np.nan)
        return ModeResult(empty, fnp.zeros_like(empty))
    ordered = fnp.sort(x, axis=-1)
    counts = fnp.sum(ordered[..., :, None] == ordered[..., None, :], axis=-1)
    place = fnp.argmax(counts, axis=-1, keepdims=True)
    value = fnp.take_along_axis(ordered, place, axis=-1, mode="clip")
    count = fnp.take_along_axis(counts, place, axis=-1, mode="clip")
    if keepdims:
        back = (
            (lambda v: fnp.moveaxis(v, -1, axis))
            if x.ndim == rank
            else (lambda v: v.reshape((1,) * rank))
        )
        return ModeResult(back(value), back(count))
    return ModeResult(value[..., 0], count[..., 0])


def rankdata(
    a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate"
) -> Any:
    """Ranks from 1, ties treated by `method`: average, min, max, dense or ordinal.

    Floats of the shape of a, or one line of all elements for axis None. ValueError for other
    methods.
    """
    _policy("rankdata", nan_policy)
    if method not in ("average", "min", "max", "dense", "ordinal"):
        raise ValueError(f"unknown method '{method}'")
    x = fnp.asarray(a)
    if axis is None:
        return _ranks(fnp.ravel(x), method)
    return fnp.apply_along_axis(lambda v: _ranks(v, method), axis, x)


def _ranks(x: Any, method: str) -> Any:
    order = fnp.argsort(x)
    places = fnp.argsort(order)
    ordered = x[order]
    first = fnp.searchsorted(ordered, x, side="left") + 1
    last = fnp.searchsorted(ordered, x, side="right")
    if method == "ordinal":
        ranks = places + 1
    elif method == "dense":
        starts = fnp.concatenate([fnp.ones(min(1, x.size), bool), ordered[1:] != ordered[:-1]])
        ranks = fnp.cumsum(starts)[places]
    else:
        ranks = {"min": first, "max": last, "average": (first + last) / 2}[method]
    return ranks.astype(fnp.result_type(float))


def sem(
    a: Any,
    axis: int | None = 0,
    ddof: int = 1,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Any:
    """The standard error of the mean.

    std with ddof over sqrt(n); nan_policy "omit" counts numbers only, "raise" raises
    NotImplementedError.
    """
    if nan_policy == "omit":
        (x,) = promote_dtypes_inexact("sem", a)
        count = fnp.sum(~fnp.isnan(x), axis=axis, keepdims=keepdims)
        return fnp.nanstd(x, axis, ddof=ddof, keepdims=keepdims) / fnp.sqrt(count).astype(x.dtype)
    _policy("sem", nan_policy)
    (x,) = promote_dtypes_inexact("sem", a)
    x = fnp.asarray(x)
    size = np.sqrt(x.size if axis is None else x.shape[axis]).astype(x.dtype)
    return fnp.std(x, axis, ddof=ddof, keepdims=keepdims) / size
