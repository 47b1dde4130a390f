"""positions: where vectors of booleans are true, as many places as are asked for.

mask [..., n] -> positions int32 [..., size] and counts int32 [...]. Two walks over the mask, one
that counts and one that writes (lowering/templates/positions.py); nothing to differentiate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx.avals import ShapedArray
from fx.core import no
from fx.prims.host import host_primitive, lower_host
from fx.prims.registry import Case


def positions(mask: Any, size: int, fill: int) -> tuple[Any, Any]:
    """The first `size` places where mask [..., n] is true, `fill` after them, and how many there
    are.
    """
    found, counts = positions_p.bind(mask, size=int(size), fill=int(fill))
    return found, counts


def _abstract(mask: ShapedArray, *, size: int, fill: int) -> list[ShapedArray]:
    if mask.dtype != np.bool_:
        raise TypeError(f"positions does not accept dtype {mask.dtype.name}; compare with 0 first.")
    if mask.ndim == 0:
        raise TypeError("positions requires an operand with an axis, got shape ().")
    if size < 0:
        raise ValueError(f"size argument to positions must be nonnegative, got {size}")
    if not -(2**31) <= fill < 2**31:
        raise ValueError(f"fill argument to positions must fit in int32, got {fill}")
    lead = mask.shape[:-1]
    return [ShapedArray((*lead, size), np.int32), ShapedArray(lead, np.int32)]


def _numpy(mask: np.ndarray, *, size: int, fill: int) -> tuple[np.ndarray, np.ndarray]:
    out = np.full((*mask.shape[:-1], size), fill, np.int32)
    for row in np.ndindex(*mask.shape[:-1]):
        found = np.flatnonzero(mask[row])[:size]
        out[row][: len(found)] = found
    return out, np.asarray(np.count_nonzero(mask, -1), np.int32)


def _lower(b: Any, mask: Any, *, size: int, fill: int) -> list[Any]:
    if mask.size and size:
        return _stages(b, mask, size=size, fill=fill)
    counts = b.reduce("add", b.convert(mask, np.dtype(np.int32)), (mask.ndim - 1,))
    return [b.const(fill, np.dtype(np.int32), (*mask.shape[:-1], size)), counts]


_MASK = np.asarray([[1, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)

positions_p = host_primitive(
    "positions",
    "The first `size` places where vectors of booleans are true, `fill` after them; their count.",
    multiple_results=True,
    uses_blas=False,
    abstract=_abstract,
    numpy=_numpy,
    lower=_lower,
    jvp="zero",
    transpose=no("its results are integers"),
    limits={"0-d": "it counts along an axis"},
    cases=lambda: [
        Case((_MASK.shape,), {"size": 3, "fill": -1}, (np.bool_,), (_MASK,), ()),
        Case((_MASK.shape,), {"size": 7, "fill": 5}, (np.bool_,), (_MASK,), ()),
        Case(((5,),), {"size": 0, "fill": 0}, (np.bool_,), (_MASK[0],), ()),
        Case(((2, 0),), {"size": 2, "fill": 0}, (np.bool_,), None, ()),
    ],
)
_stages = lower_host(lambda: positions_p, lambda *, size, fill: ("positions", size, fill))
