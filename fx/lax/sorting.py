"""fx.lax: sorting along an axis, and the k largest elements."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from fx import core
from fx.prims import compare, elementwise
from fx.prims import sort as sorts
from fx.typing import Array, ArrayLike

__all__ = [
    "approx_max_k",
    "approx_min_k",
    "sort",
    "sort_key_val",
    "top_k",
]


def _axis(x: Any, axis: int) -> int:
    rank = core.get_aval(x).ndim
    axis = operator.index(axis)
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is out of bounds for array of dimension {rank}")
    return axis % rank


def sort(
    operand: Array | Sequence[Array],
    dimension: int = -1,
    is_stable: bool = True,
    num_keys: int = 1,
) -> Any:
    """The operand sorted along an axis; NaN goes last.

    Several operands are sorted together, by the first `num_keys` of them in turn.

    The operands have one shape (TypeError otherwise). Complex numbers go by real, then imaginary
    part; -0.0 and 0.0 are equal. ValueError for an axis out of range or num_keys beyond the
    operands. Derivatives move with the elements.

    >>> import fx.lax as lax, numpy as np
    >>> np.asarray(lax.sort(np.float32([3, 1, 2]))).tolist()
    [1.0, 2.0, 3.0]
    """
    several = isinstance(operand, (list, tuple))
    operands = operand if several else (operand,)
    if not operands:
        raise TypeError("Sort requires at least one operand")
    if not 1 <= num_keys <= len(operands):
        raise ValueError(f"num_keys={num_keys} must be between 1 and {len(operands)=}")
    outs = sorts.sort_p.bind(
        *operands,
        dimension=_axis(operands[0], dimension),
        is_stable=bool(is_stable),
        num_keys=int(num_keys),
    )
    return tuple(outs) if several else outs[0]


def sort_key_val(
    keys: Array, values: ArrayLike, dimension: int = -1, is_stable: bool = True
) -> tuple[Array, Array]:
    """Keys sorted along an axis, and the values moved with them.

    Both have one shape; TypeError otherwise.
    """
    return sort((keys, values), dimension, is_stable)


def top_k(operand: ArrayLike, k: int, *, axis: int = -1) -> tuple[Array, Array]:
    """The k largest elements along an axis, largest first, and their int32 indices.

    NaN counts as the largest; of equal elements the first comes first. The axis has size k then.
    ValueError where k is negative or exceeds it, TypeError for complex operands.

    >>> import fx.lax as lax, numpy as np
    >>> values, indices = lax.top_k(np.float32([1, 5, 3]), 2)
    >>> np.asarray(indices).tolist()
    [1, 2]
    """
    values, indices = sorts.top_k_p.bind(operand, k=operator.index(k), axis=_axis(operand, axis))
    return values, indices


def approx_max_k(
    operand: Array,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The k largest elements along an axis; exact, whatever the recall target.

    Results as `top_k` gives them; the other arguments have no effect.
    """
    return top_k(operand, k, axis=reduction_dimension)


def approx_min_k(
    operand: Array,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The k smallest elements along an axis, smallest first; exact.

    Integers too; the result is that of `top_k` with the order turned round.
    """
    # the complement turns integers round without overflow: -x has none for the least integer
    whole = core.get_aval(operand).dtype.kind in "iu"
    turned = compare.not_p.bind if whole else elementwise.neg
    values, indices = top_k(turned(operand), k, axis=reduction_dimension)
    return turned(values), indices
