"""fx.lax: products of a ragged axis, whose consecutive groups each meet a matrix of their own.

A ragged axis becomes an axis of groups over a masked operand, then one dot_general does the work:
as many times the plain product's work as there are groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fx import core
from fx.lax.products import DotDimensionNumbers, PrecisionLike, dot_general
from fx.prims import compare, cumulative, elementwise
from fx.prims import shape as views
from fx.typing import Array, ArrayLike, DTypeLike

__all__ = ["RaggedDotDimensionNumbers", "ragged_dot", "ragged_dot_general"]


class RaggedDotDimensionNumbers(NamedTuple):
    """dot_general's numbers, the ragged axis of lhs, and the axis of rhs that counts groups.

    lhs_ragged_dimensions holds one axis; rhs_group_dimensions one if the ragged axis is free, else
    none.
    """

    dot_dimension_numbers: DotDimensionNumbers
    lhs_ragged_dimensions: Sequence[int]
    rhs_group_dimensions: Sequence[int]


def ragged_dot(
    lhs: ArrayLike,
    rhs: ArrayLike,
    group_sizes: ArrayLike,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Array:
    """Rows of lhs [m, k] in consecutive groups, each times its own matrix of rhs [g, k, n].

    group_sizes [g] counts the rows of each group; rows beyond their sum give zeros.

    >>> import fx.lax as lax, numpy as np
    >>> x, w = np.ones((3, 1), np.float32), np.float32([[[2]], [[5]]])
    >>> np.asarray(lax.ragged_dot(x, w, np.int32([2, 1]))).tolist()
    [[2.0], [2.0], [5.0]]
    """
    x, w, sizes = map(core.get_aval, (lhs, rhs, group_sizes))
    if x.ndim != 2 or w.ndim != 3 or sizes.shape != w.shape[:1] or x.shape[1] != w.shape[1]:
        raise TypeError(
            "ragged_dot requires shapes [m, k], [g, k, n] and [g], got "
            f"{x.shape}, {w.shape} and {sizes.shape}."
        )
    numbers = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
    return ragged_dot_general(
        lhs, rhs, group_sizes, numbers, precision, preferred_element_type, group_offset
    )


def ragged_dot_general(
    lhs: ArrayLike,
    rhs: ArrayLike,
    group_sizes: ArrayLike,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Array:
    """dot_general where one axis of lhs consists of consecutive groups of given sizes.

    By the kind of the ragged axis (k contracted, m and n free, b batch):
    free        [b, m, k], [g, b, k, n] -> [b, m, n]: each group of rows has a matrix of its own
    contracted  [b, m, k], [b, k, n] -> [g, b, m, n]: a product over each group of k
    batch       [b, m, k], [b, k, n] -> [b, m, n]: the plain product
    group_sizes is [g], or [b, ..., g] with the axes of lhs of the ragged axis's kind before it.
    What lies beyond the groups counts as zeros.
    """
    if group_offset is not None:
        raise NotImplementedError("ragged_dot_general with group_offset is not implemented")
    numbers = RaggedDotDimensionNumbers(*ragged_dot_dimension_numbers)
    contract, batch = ((tuple(x), tuple(y)) for x, y in numbers.dot_dimension_numbers)
    sizes = core.get_aval(group_sizes)
    if sizes.ndim == 0 or sizes.dtype.kind not in "iu":
        raise TypeError(
            "ragged_dot_general requires integer group_sizes with an axis of groups, got "
            f"{sizes.str_short()}."
        )
    if len(numbers.lhs_ragged_dimensions) != 1:
        raise TypeError("ragged_dot_general expects exactly one lhs ragged dimension.")
    (ragged,), groups = numbers.lhs_ragged_dimensions, tuple(numbers.rhs_group_dimensions)
    free = ragged not in contract[0] and ragged not in batch[0]
    if len(groups) != free:
        raise TypeError(
            f"ragged_dot_general requires {int(free)} group dimensions in rhs when the lhs ragged "
            f"dimension is {'free' if free else 'contracting or batch'}, got {groups}."
        )
    if free and core.get_aval(rhs).shape[groups[0]] != sizes.shape[-1]:
        raise TypeError(
            f"expected rhs group dimension size to be {sizes.shape[-1]}, got "
            f"{core.get_aval(rhs).shape[groups[0]]}."
        )
    options = precision, preferred_element_type
    if ragged in batch[0]:
        return dot_general(lhs, rhs, (contract, batch), *options)
    kind = contract[0] if not free else _free(core.get_aval(lhs).ndim, contract[0], batch[0])
    spread = _by_group(lhs, group_sizes, ragged, (*batch[0], *kind[: kind.index(ragged)]))
    left = [tuple(a + 1 for a in axes) for axes in (contract[0], batch[0])]
    if free:
        return dot_general(
            spread, rhs, (((*left[0], 0), (*contract[1], *groups)), (left[1], batch[1])), *options
        )
    product = dot_general(spread, rhs, ((left[0], contract[1]), (left[1], batch[1])), *options)
    return views.move_axis(product, len(left[1]), 0)  # the groups are the first free axis


def _free(rank: int, *taken: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis for axis in range(rank) if not any(axis in axes for axes in taken))


def _by_group(x: Any, sizes: Any, ragged: int, prefix: tuple[int, ...]) -> Any:
    """[g, *x.shape]: x, where zeros stand for what belongs to other groups."""
    aval, groups = core.get_aval(x), core.get_aval(sizes)
    expected = (*(aval.shape[axis] for axis in prefix), groups.shape[-1])
    if groups.ndim > 1 and groups.shape != expected:
        raise TypeError(f"expected group_sizes to have shape {expected}, got {groups.shape}.")
    axes = (*(axis + 1 for axis in prefix), 0) if groups.ndim > 1 else (0,)
    full = (groups.shape[-1], *aval.shape)
    ends = cumulative.cumsum(sizes, groups.ndim - 1)
    starts = elementwise.sub(ends, sizes)
    order = tuple(int(i) for i in np.argsort(axes))  # broadcast_in_dim wants growing axes
    low, high = (
        views.broadcast_in_dim(views.transpose(v, order), full, tuple(sorted(axes)))
        for v in (starts, ends)
    )
    place = views.iota(groups.dtype, full, ragged + 1)
    inside = compare.and_p.bind(compare.ge(place, low), compare.lt(place, high))
    spread = views.broadcast_in_dim(x, full, tuple(range(1, len(full))))
    return compare.select(inside, spread, views.full(full, 0, aval.dtype))
