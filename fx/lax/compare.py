"""fx.lax: comparisons, bits, selection, clamping.

Comparisons give booleans; none but selection and clamping has a derivative.
"""

from __future__ import annotations

import numpy as np

from fx import core
from fx.family_docs import elementwise_facts
from fx.lax.convert import bitcast_convert_type as bitcast
from fx.lax.spread import matched
from fx.prims import compare, scalars
from fx.typing import Array, ArrayLike

__all__ = [
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "clamp",
    "clz",
    "eq",
    "ge",
    "gt",
    "le",
    "lt",
    "ne",
    "population_count",
    "select",
    "select_n",
    "shift_left",
    "shift_right_arithmetic",
    "shift_right_logical",
]


def bitwise_not(x: ArrayLike) -> Array:
    """Bitwise complement of x, of booleans the logical one."""
    return compare.not_p.bind(x)


def population_count(x: ArrayLike) -> Array:
    """The number of bits that are set in x, in the dtype of x."""
    return compare.population_count_p.bind(x)


def clz(x: ArrayLike) -> Array:
    """The number of leading zero bits of x, in the dtype of x; the width of x for 0."""
    return compare.clz_p.bind(x)


def bitwise_and(x: ArrayLike, y: ArrayLike) -> Array:
    """Bitwise and, of booleans the logical one."""
    return compare.and_p.bind(*matched(x, y))


def bitwise_or(x: ArrayLike, y: ArrayLike) -> Array:
    """Bitwise or, of booleans the logical one."""
    return compare.or_p.bind(*matched(x, y))


def bitwise_xor(x: ArrayLike, y: ArrayLike) -> Array:
    """Bitwise exclusive or, of booleans the logical one."""
    return compare.xor_p.bind(*matched(x, y))


def shift_left(x: ArrayLike, y: ArrayLike) -> Array:
    """x shifted left by y bits; 0 where y is the width or more."""
    return compare.shift_left_p.bind(*matched(x, y))


def shift_right_arithmetic(x: ArrayLike, y: ArrayLike) -> Array:
    """x shifted right by y bits, filled with its highest bit, which is all that remains where y is
    the width or more; of unsigned integers, too.
    """
    x, y = matched(x, y)
    dtype = core.get_aval(x).dtype
    if dtype.kind == "u":
        signed = np.dtype(f"i{dtype.itemsize}")
        x, y = bitcast(x, signed), bitcast(y, signed)
        return bitcast(compare.shift_right_arithmetic_p.bind(x, y), dtype)
    return compare.shift_right_arithmetic_p.bind(x, y)


def shift_right_logical(x: ArrayLike, y: ArrayLike) -> Array:
    """x shifted right by y bits, filled with zeros; 0 where y is the width or more."""
    return compare.shift_right_logical_p.bind(*matched(x, y))


def eq(x: ArrayLike, y: ArrayLike) -> Array:
    """Whether x == y, element by element."""
    return compare.eq_p.bind(*matched(x, y))


def ne(x: ArrayLike, y: ArrayLike) -> Array:
    """Whether x != y, element by element."""
    return compare.ne_p.bind(*matched(x, y))


def lt(x: ArrayLike, y: ArrayLike) -> Array:
    """Whether x < y, element by element."""
    return compare.lt_p.bind(*matched(x, y))


def le(x: ArrayLike, y: ArrayLike) -> Array:
    """Whether x <= y, element by element."""
    return compare.le_p.bind(*matched(x, y))


def gt(x: ArrayLike, y: ArrayLike) -> Array:
    """Whether x > y, element by element."""
    return compare.gt_p.bind(*matched(x, y))


def ge(x: ArrayLike, y: ArrayLike) -> Array:
    """Whether x >= y, element by element."""
    return compare.ge_p.bind(*matched(x, y))


def select(pred: ArrayLike, on_true: ArrayLike, on_false: ArrayLike) -> Array:
    """on_true where the boolean `pred` holds, else on_false.

    `pred` is a scalar or has the shape of the cases; the cases have one shape and dtype.

    Raises TypeError where they do not; it derives as a choice: the case not taken gets 0.
    """
    on_true, on_false = scalars.matched(on_true, on_false)
    return compare.select_n_p.bind(pred, on_false, on_true)


def select_n(which: ArrayLike, *cases: ArrayLike) -> Array:
    """Element by element the case whose number is in `which`, a boolean or int32 array.

    The cases have one shape and dtype, `which` their shape or none (TypeError otherwise); a number
    out of range means the nearest case. ValueError without cases.
    """
    if not cases:
        raise ValueError("select_n() must have at least one case")
    return compare.select_n_p.bind(which, *cases)


def clamp(min: ArrayLike, x: ArrayLike, max: ArrayLike) -> Array:
    """x kept in [min, max]; the bounds are scalars or have the shape of x.

    The derivative by x is 0 where x is not strictly inside.

    NaN stays NaN; where min > max the result is max. Raises TypeError where dtypes differ or the
    bounds' shapes do not fit.
    """
    dtype = core.get_aval(x).dtype
    bounds = (dtype.type(b) if type(b) in (bool, int, float) else b for b in (min, max))
    low, high = bounds
    return compare.clamp_p.bind(low, x, high)


elementwise_facts(
    "booleans and integers", "as given", bitwise_not, bitwise_and, bitwise_or, bitwise_xor
)
elementwise_facts(
    "integers",
    "as given",
    *(population_count, clz, shift_left, shift_right_arithmetic, shift_right_logical),
)
elementwise_facts("booleans, numbers and random keys", "bool", eq, ne)
elementwise_facts("booleans, integers and floats", "bool", lt, le, gt, ge)
