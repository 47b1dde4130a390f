"""fx.lax: reductions over axes, with a given or any monoid, and running folds.

Axes are nonnegative Python integers, as in JAX's lax; fx.numpy has the forgiving forms.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from fx import core, tree
from fx.avals import canonicalize_dtype
from fx.family_docs import add_fact
from fx.lax.associative import associative_scan
from fx.prims import compare, cumulative, elementwise
from fx.prims import reduce as reductions
from fx.prims.monoid import find_monoid
from fx.typing import Array, ArrayLike, DTypeLike

__all__ = [
    "argmax",
    "argmin",
    "cumlogsumexp",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "reduce",
    "reduce_and",
    "reduce_max",
    "reduce_min",
    "reduce_or",
    "reduce_prod",
    "reduce_sum",
    "reduce_xor",
]


def _axes(operand: Any, axes: Sequence[int]) -> tuple[int, ...]:
    rank = core.get_aval(operand).ndim
    axes = tuple(map(operator.index, axes))
    return tuple(sorted(a + rank if -rank <= a < 0 else a for a in axes))


def reduce_sum(operand: ArrayLike, axes: Sequence[int], *, out_sharding: Any = None) -> Array:
    """The sum over `axes`, in the operand's dtype: 16-bit floats are added in float32, integers
    wrap.

    >>> import fx.lax as lax, numpy as np
    >>> np.asarray(lax.reduce_sum(np.ones((2, 3), np.float32), (0,))).tolist()
    [2.0, 2.0, 2.0]
    """
    return reductions.reduce_sum_p.bind(operand, axes=_axes(operand, axes))


def reduce_prod(operand: ArrayLike, axes: Sequence[int]) -> Array:
    """The product over `axes`, in the operand's dtype; its derivative is right at zeros."""
    return reductions.reduce_prod_p.bind(operand, axes=_axes(operand, axes))


def reduce_max(operand: ArrayLike, axes: Sequence[int]) -> Array:
    """The maximum over `axes`; NaN wins; ties share the derivative evenly.

    An empty axis gives -inf, or the least integer.
    """
    return reductions.reduce_max_p.bind(operand, axes=_axes(operand, axes))


def reduce_min(operand: ArrayLike, axes: Sequence[int]) -> Array:
    """The minimum over `axes`; NaN wins; ties share the derivative evenly.

    An empty axis gives inf, or the greatest integer.
    """
    return reductions.reduce_min_p.bind(operand, axes=_axes(operand, axes))


def reduce_and(operand: ArrayLike, axes: Sequence[int]) -> Array:
    """Bitwise and over `axes`, of booleans: whether all hold."""
    return reductions.reduce_and_p.bind(operand, axes=_axes(operand, axes))


def reduce_or(operand: ArrayLike, axes: Sequence[int]) -> Array:
    """Bitwise or over `axes`, of booleans: whether any holds."""
    return reductions.reduce_or_p.bind(operand, axes=_axes(operand, axes))


def reduce_xor(operand: ArrayLike, axes: Sequence[int]) -> Array:
    """Bitwise exclusive or over `axes`."""
    return reductions.reduce_xor_p.bind(operand, axes=_axes(operand, axes))


def argmax(operand: ArrayLike, axis: int, index_dtype: DTypeLike) -> Array:
    """The index of the first maximum along `axis`; NaN wins.

    The result lacks the axis and has index_dtype, an integer one (TypeError otherwise). ValueError
    for an empty axis or one out of range. Operands are real.
    """
    dtype = canonicalize_dtype(index_dtype)
    return reductions.argmax_p.bind(operand, axes=_axes(operand, (axis,)), index_dtype=dtype)


def argmin(operand: ArrayLike, axis: int, index_dtype: DTypeLike) -> Array:
    """The index of the first minimum along `axis`; NaN wins.

    The result lacks the axis and has index_dtype, an integer one (TypeError otherwise). ValueError
    for an empty axis or one out of range. Operands are real.
    """
    dtype = canonicalize_dtype(index_dtype)
    return reductions.argmin_p.bind(operand, axes=_axes(operand, (axis,)), index_dtype=dtype)


# ---------------------------------------------------------------- any monoid

_REDUCERS = {
    "add": (reductions.reduce_sum_p, elementwise.add_p),
    "mul": (reductions.reduce_prod_p, elementwise.mul_p),
    "max": (reductions.reduce_max_p, elementwise.max_p),
    "min": (reductions.reduce_min_p, elementwise.min_p),
    "and": (reductions.reduce_and_p, compare.and_p),
    "or": (reductions.reduce_or_p, compare.or_p),
    "xor": (reductions.reduce_xor_p, compare.xor_p),
}


def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
    out_sharding: Any = None,
) -> Any:
    """Fold trees of arrays of one shape over `dimensions` with any associative computation.

    `computation(x, y)` takes and returns trees like `init_values`; init_values are its identity.
    Sums, products, extrema and bits are recognised; others are folded in log2(n) steps.

    The results lack these axes and have the operands' dtypes. ValueError for unequal numbers of
    operands and initial values, TypeError for initial values that are no scalars.

    >>> import fx.lax as lax, numpy as np
    >>> float(lax.reduce(np.float32([1, 2, 4]), np.float32(0), lax.add, (0,)))
    7.0
    """
    xs, structure = tree.flatten(operands)
    inits = tree.leaves(init_values)
    if len(xs) != len(inits):
        raise ValueError(
            f"Operands must have the same tree structure as init_values: {len(xs)} operands, "
            f"{len(inits)} initial values."
        )
    begins = [core.get_aval(i).shape for i in inits]
    if any(begins):
        raise TypeError(
            f"reduce: initial values must be scalars, one for each operand; got shapes {begins}"
        )
    dimensions = _axes(xs[0], dimensions)
    avals = [core.get_aval(x) for x in xs]
    inits = [elementwise.matched(i, x)[0] for i, x in zip(inits, xs)]
    if len(xs) == 1 and (name := find_monoid(computation, avals[0].dtype)):
        if (avals[0].dtype.kind == "b") and name in ("add", "mul"):
            name = {"add": "or", "mul": "and"}[name]
        reducer, combine = _REDUCERS[name]
        out = reducer.bind(xs[0], axes=dimensions)
        return tree.unflatten(structure, [combine.bind(out, inits[0])])

    def combine_leaves(*values: Any) -> list[Any]:
        half = len(values) // 2
        first, second = (tree.unflatten(structure, v) for v in (values[:half], values[half:]))
        return tree.leaves(computation(first, second))

    return tree.unflatten(
        structure, reductions.reduce_generic(xs, inits, combine_leaves, dimensions)
    )


# ---------------------------------------------------------------- running folds


def cumsum(operand: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
    """The running sum along an axis, from the end if `reverse`."""
    return cumulative.cumsum(operand, *_axes(operand, (axis,)), reverse=reverse)


def cumprod(operand: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
    """The running product along an axis, from the end if `reverse`."""
    return cumulative.cumprod(operand, *_axes(operand, (axis,)), reverse=reverse)


def cummax(operand: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
    """The running maximum along an axis, from the end if `reverse`."""
    if core.get_aval(operand).dtype.kind == "c":
        return associative_scan(elementwise.max_p.bind, operand, reverse, *_axes(operand, (axis,)))
    return cumulative.cummax(operand, *_axes(operand, (axis,)), reverse=reverse)


def cummin(operand: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
    """The running minimum along an axis, from the end if `reverse`."""
    if core.get_aval(operand).dtype.kind == "c":
        return associative_scan(elementwise.min_p.bind, operand, reverse, *_axes(operand, (axis,)))
    return cumulative.cummin(operand, *_axes(operand, (axis,)), reverse=reverse)


def cumlogsumexp(operand: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
    """The running log of the sum of exponentials along an axis, from the end if `reverse`.

    Floats and complex numbers (TypeError otherwise); computed about the running maximum, so that
    nothing overflows.
    """
    (axis,) = _axes(operand, (axis,))
    return cumulative.cumlogsumexp_p.bind(operand, axis=axis, reverse=bool(reverse))


_AXES = (
    "The result lacks `axes`; negative ones count from the end. ValueError for an axis that is out "
    "of\nrange or repeated, TypeError for dtypes other than"
)
add_fact(f"{_AXES} numbers.", reduce_sum, reduce_prod)
add_fact(f"{_AXES} booleans and numbers.", reduce_max, reduce_min)
add_fact(f"{_AXES} booleans and integers.", reduce_and, reduce_or, reduce_xor)
add_fact(
    "The result has the operand's shape and dtype. ValueError for an axis out of range, TypeError "
    "for\nbooleans. Complex numbers are ordered by real part, then by imaginary part.",
    *(cumsum, cumprod, cummax, cummin),
)
