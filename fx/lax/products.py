"""fx.lax: products of arrays. Everything is dot_general.

`precision` is accepted and has no effect: products are computed in the operands' precision,
16-bit floats accumulated in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from fx import core
from fx.avals import canonicalize_dtype
from fx.prims.dot import dot_general_p
from fx.typing import Array, ArrayLike, DTypeLike

__all__ = [
    "DotDimensionNumbers",
    "Precision",
    "PrecisionLike",
    "batch_matmul",
    "dot",
    "dot_general",
    "dtype",
]

DotDimensionNumbers = tuple[
    tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]
]


class Precision(Enum):
    """How exact products are to be; all are computed exactly as HIGHEST."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


PrecisionLike = Any


def dot_general(
    lhs: ArrayLike,
    rhs: ArrayLike,
    dimension_numbers: DotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Sum of products over the contracted axes.

    dimension_numbers: ((lhs contracted, rhs contracted), (lhs batch, rhs batch)). The result's axes
    are batch, free axes of lhs, free axes of rhs; its dtype is preferred_element_type or lhs's.

    >>> import fx.lax as lax, numpy as np
    >>> x = np.ones((2, 3), np.float32)
    >>> lax.dot_general(x, x, (((1,), (1,)), ((), ()))).shape
    (2, 2)
    """
    contract, batch = dimension_numbers
    numbers = tuple(
        tuple(_axes(axes, core.get_aval(x).ndim) for axes, x in zip(pair, (lhs, rhs)))
        for pair in (contract, batch)
    )
    dtype = None if preferred_element_type is None else canonicalize_dtype(preferred_element_type)
    return dot_general_p.bind(
        lhs, rhs, dimension_numbers=numbers, precision=None, preferred_element_type=dtype
    )


def _axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(int(a) + rank if a < 0 else int(a) for a in axes)


def dot(
    lhs: ArrayLike,
    rhs: ArrayLike,
    *,
    dimension_numbers: DotDimensionNumbers | None = None,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    out_sharding: Any = None,
) -> Array:
    """The product of vectors and matrices, or dot_general if dimension_numbers are given."""
    x, y = core.get_aval(lhs), core.get_aval(rhs)
    if dimension_numbers is None:
        if not (1 <= x.ndim <= 2 and 1 <= y.ndim <= 2 and x.shape[-1] == y.shape[0]):
            raise TypeError(f"Incompatible shapes for dot: got {x.shape} and {y.shape}.")
        dimension_numbers = (((x.ndim - 1,), (0,)), ((), ()))
    return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Array, rhs: Array, precision: PrecisionLike = None) -> Array:
    """Matrix products over equal leading axes: [..., m, k] times [..., k, n]."""
    x, y = core.get_aval(lhs), core.get_aval(rhs)
    if min(x.ndim, y.ndim) < 2:
        raise ValueError(f"Arguments to batch_matmul must be at least 2D, got {x.ndim}, {y.ndim}")
    if x.ndim != y.ndim:
        raise ValueError(f"Arguments to batch_matmul must have same ndim, got {x.ndim}, {y.ndim}")
    n = x.ndim
    batch = tuple(range(n - 2))
    return dot_general(lhs, rhs, (((n - 1,), (n - 2,)), (batch, batch)), precision)


def dtype(x: Any) -> np.dtype:
    """The dtype of an array value."""
    return core.get_aval(x).dtype
