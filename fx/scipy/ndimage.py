"""fx.scipy.ndimage.map_coordinates: an array's values between its points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp

__all__ = ["map_coordinates"]


def _mirror(index: Any, size: int) -> Any:
    """Reflect about the centres of the end points."""
    period = 2 * (size - 1)
    if period == 0:
        return fnp.zeros_like(index)
    k = fnp.remainder(index, period)
    return fnp.minimum(k, period - k)


def _reflect(index: Any, size: int) -> Any:
    """Reflect about the outer edges of the end points."""
    k = fnp.remainder(index, 2 * size)
    return fnp.minimum(k, 2 * size - 1 - k)


_FIX: dict[str, Callable[[Any, int], Any]] = {
    "constant": lambda index, size: index,
    "nearest": lambda index, size: fnp.clip(index, 0, size - 1),
    "wrap": lambda index, size: fnp.remainder(index, size),
    "mirror": _mirror,
    "reflect": _reflect,
}


def map_coordinates(
    input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0
) -> Any:
    """input at fractional coordinates, nearest (order 0) or linear (order 1).

    mode says what lies outside: constant (cval), nearest, wrap, mirror or reflect.
    One array of coordinates an axis of input, in units of its indices; the result has their shape
    and input's dtype (integers are rounded). NotImplementedError for other orders and modes,
    ValueError for another number of coordinates.
    """
    x, fill = fnp.asarray(input), fnp.asarray(cval)
    points = [fnp.asarray(c) for c in coordinates]
    if len(points) != x.ndim:
        raise ValueError(
            f"coordinates must be a sequence of length input.ndim, but {len(points)} != {x.ndim}"
        )
    if mode not in _FIX:
        raise NotImplementedError(
            f"map_coordinates does not support mode {mode}. Currently supported modes are "
            f"{sorted(_FIX)}."
        )
    if order not in (0, 1):
        raise NotImplementedError("map_coordinates currently requires order<=1")
    fix = _FIX[mode]
    axes = []
    for c, size in zip(points, x.shape):
        axes.append([(fix(i, size), (i >= 0) & (i < size), w) for i, w in _neighbours(c, order)])
    out: Any = 0
    for corner in product(*axes):
        index, inside, weights = zip(*corner)
        if mode == "constant":
            everywhere = inside[0]
            for flag in inside[1:]:
                everywhere = everywhere & flag
            value = fnp.where(
                everywhere, x[tuple(fnp.clip(i, 0, s - 1) for i, s in zip(index, x.shape))], fill
            )
        else:
            value = x[index]
        weight = weights[0]
        for w in weights[1:]:
            weight = weight * w
        out = out + weight * value
    if fnp.issubdtype(x.dtype, np.integer):
        out = fnp.round(fnp.asarray(out))
    return fnp.asarray(out).astype(x.dtype)


def _neighbours(c: Any, order: int) -> list[tuple[Any, Any]]:
    """Array indices beside a coordinate, with their weights."""
    if order == 0:
        index = c if c.dtype.kind in "iu" else lax.round(c).astype(np.int32)
        return [(index, 1)]
    low = fnp.floor(c)
    upper = c - low
    index = low.astype(np.int32)
    return [(index, 1 - upper), (index + 1, upper)]
