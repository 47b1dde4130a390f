"""Predicates, comparisons, logic and bits, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import is_floating
from fx.family_docs import explained
from fx.numpy.ufunc_base import (
    BITS,
    BOOLS,
    ONE,
    SPREAD,
    TWO,
    as_bool,
    bitwise,
    comparison,
    const_as,
    dtype_of,
    full_as,
    named,
    no_floats,
    no_out,
)
from fx.numpy.util import (
    check_arraylike,
    convert,
    promote,
    promote_numeric,
    value,
)

__all__ = [
    "bitwise_and",
    "bitwise_count",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "equal",
    "greater",
    "greater_equal",
    "invert",
    "iscomplex",
    "iscomplexobj",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "isrealobj",
    "left_shift",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "right_shift",
]


# ---------------------------------------------------------------- predicates


@explained(ONE, BOOLS)
def isfinite(x: Any, /) -> Any:
    """Whether x is neither infinite nor NaN; of complex numbers both parts."""
    (x,) = promote("isfinite", x)
    d = dtype_of(x)
    if d.kind == "c":
        return lax.bitwise_and(isfinite(lax.real(x)), isfinite(lax.imag(x)))
    if is_floating(d):
        return lax.is_finite(x)
    return lax.full(core.get_aval(x).shape, True, np.dtype(np.bool_))


@explained(ONE, BOOLS)
def isinf(x: Any, /) -> Any:
    """Whether x is infinite, of either sign; of complex numbers any part."""
    (x,) = promote("isinf", x)
    d = dtype_of(x)
    if d.kind == "c":
        return lax.bitwise_or(isinf(lax.real(x)), isinf(lax.imag(x)))
    if is_floating(d):
        return lax.eq(lax.abs(x), const_as(x, np.inf))
    return lax.full(core.get_aval(x).shape, False, np.dtype(np.bool_))


@explained(ONE, BOOLS)
def isnan(x: Any, /) -> Any:
    """Whether x is not a number; of complex numbers any part."""
    (x,) = promote("isnan", x)
    return lax.ne(x, x)


def _is_signed_infinity(name: str, infinity: float) -> Any:
    def f(x: Any, /, out: None = None) -> Any:
        no_out(name, out)
        (x,) = promote(name, x)
        d = dtype_of(x)
        if d.kind == "c":
            raise ValueError(f"{name} is not well defined for complex numbers")
        if is_floating(d):
            return lax.eq(x, const_as(x, infinity))
        return lax.full(core.get_aval(x).shape, False, np.dtype(np.bool_))

    return named(f, name, f"Whether x is {infinity}; ValueError for complex numbers.", ONE, BOOLS)


isposinf = _is_signed_infinity("isposinf", np.inf)
isneginf = _is_signed_infinity("isneginf", -np.inf)


@explained(ONE, BOOLS)
def iscomplex(x: Any) -> Any:
    """Whether the imaginary part is not zero, whatever the dtype is."""
    (x,) = promote("imag", x)
    i = lax.imag(x) if dtype_of(x).kind == "c" else full_as(x, 0)
    return lax.ne(i, const_as(i, 0))


@explained(ONE, BOOLS)
def isreal(x: Any) -> Any:
    """Whether the imaginary part is zero, whatever the dtype is."""
    (x,) = promote("imag", x)
    i = lax.imag(x) if dtype_of(x).kind == "c" else full_as(x, 0)
    return lax.eq(i, const_as(i, 0))


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex, whatever the values are: a Python bool, known under jit too.
    False for None.
    """
    if x is None:
        return False
    d = getattr(x, "dtype", None)
    return (d if isinstance(d, np.dtype) else np.asarray(x).dtype).kind == "c"


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex, whatever the values are: a Python bool, known under jit
    too.
    """
    return not iscomplexobj(x)


# ---------------------------------------------------------------- logic and bits


@explained(SPREAD, BOOLS)
def logical_and(x: Any, y: Any, /) -> Any:
    """Whether both x and y are not zero."""
    x, y = _logical("logical_and", x, y)
    return lax.bitwise_and(x, y)


@explained(SPREAD, BOOLS)
def logical_or(x: Any, y: Any, /) -> Any:
    """Whether x or y is not zero."""
    x, y = _logical("logical_or", x, y)
    return lax.bitwise_or(x, y)


@explained(SPREAD, BOOLS)
def logical_xor(x: Any, y: Any, /) -> Any:
    """Whether exactly one of x and y is not zero."""
    x, y = _logical("logical_xor", x, y)
    return lax.bitwise_xor(x, y)


@explained(ONE, BOOLS)
def logical_not(x: Any, /) -> Any:
    """Whether x is zero."""
    (x,) = promote("logical_not", x)
    return lax.bitwise_not(as_bool(x))


def _logical(name: str, x: Any, y: Any) -> list[Any]:
    check_arraylike(name, x, y)
    bools = [as_bool(convert(value(v), dtype_of(value(v)))) for v in (x, y)]
    return promote(name, *bools)


@explained(ONE, BITS)
def invert(x: Any, /) -> Any:
    """All bits flipped (-x - 1 for signed integers), booleans negated; the dtype stays."""
    check_arraylike("invert", x)
    no_floats("not", x, 0)
    return lax.bitwise_not(*promote("invert", x))


@explained(TWO, BITS)
def left_shift(x: Any, y: Any, /) -> Any:
    """x * 2**y in the bits of x; 0 where y is negative or the width of x or more. Booleans become
    int32 (int64 with x64).
    """
    for k, v in enumerate((x, y)):
        no_floats("shift_left", v, k)
    return lax.shift_left(*promote_numeric("left_shift", x, y))


@explained(TWO, BITS)
def right_shift(x1: Any, x2: Any, /) -> Any:
    """x1 >> x2, arithmetic for signed, logical for unsigned integers; where x2 is negative or the
    width of x1 or more, all bits go. Booleans become int32.
    """
    for k, v in enumerate((x1, x2)):
        no_floats("shift_right", v, k)
    x1, x2 = promote_numeric("right_shift", x1, x2)
    shift = lax.shift_right_logical if dtype_of(x1).kind == "u" else lax.shift_right_arithmetic
    return shift(x1, x2)


@explained(ONE, BITS)
def bitwise_count(x: Any, /) -> Any:
    """The number of one bits in |x|, as uint8."""
    (x,) = promote_numeric("bitwise_count", x)
    no_floats("population_count", x, 0)
    magnitude = x if dtype_of(x).kind == "u" else lax.abs(x)
    return convert(lax.population_count(magnitude), np.dtype(np.uint8))


equal = comparison("equal", lax.eq, "x == y; a NaN equals nothing.")
not_equal = comparison("not_equal", lax.ne, "x != y; a NaN differs from everything.")
less = comparison("less", lax.lt, "x < y.")
less_equal = comparison("less_equal", lax.le, "x <= y.")
greater = comparison("greater", lax.gt, "x > y.")
greater_equal = comparison("greater_equal", lax.ge, "x >= y.")
bitwise_and = bitwise(
    "bitwise_and", "and", lax.bitwise_and, "x & y: the bits that are set in both."
)
bitwise_or = bitwise("bitwise_or", "or", lax.bitwise_or, "x | y: the bits that are set in either.")
bitwise_xor = bitwise(
    "bitwise_xor", "xor", lax.bitwise_xor, "x ^ y: the bits that are set in exactly one."
)


bitwise_not = bitwise_invert = invert
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift
