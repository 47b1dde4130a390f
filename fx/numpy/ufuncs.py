"""Elementwise functions of one and two arguments: promotion, then one lax function.

The tables at the end make the functions; those with a rule of their own stand above them.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import is_inexact
from fx.dtypes import is_integer
from fx.numpy.ufunc_base import (
    const_as,
    dtype_of,
    float_binary,
    float_unary,
    full_as,
    itself,
    no_out,
    rounding,
    same_binary,
    same_unary,
    where_,
)
from fx.numpy.ufuncs_logic import *  # noqa: F403
from fx.numpy.util import (
    broadcast_value,
    check_arraylike,
    concrete,
    convert,
    promote,
    promote_inexact,
    promote_numeric,
    promote_spread,
    promote_spread_inexact,
    shape_dtype,
    value,
)

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "around",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "conj",
    "conjugate",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "divide",
    "divmod",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "float_power",
    "floor",
    "floor_divide",
    "fmod",
    "imag",
    "log",
    "log1p",
    "log2",
    "log10",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "nextafter",
    "positive",
    "pow",
    "power",
    "rad2deg",
    "radians",
    "real",
    "reciprocal",
    "remainder",
    "rint",
    "round",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
]


# ---------------------------------------------------------------- arithmetic


def add(x: Any, y: Any, /) -> Any:
    """x + y, element by element; booleans are or-ed. Operands broadcast and promote."""
    x, y = promote_spread("add", x, y)
    return lax.bitwise_or(x, y) if dtype_of(x) == np.bool_ else lax.add(x, y)


def multiply(x: Any, y: Any, /) -> Any:
    """x * y, element by element; booleans are and-ed. Operands broadcast and promote."""
    x, y = promote_spread("multiply", x, y)
    return lax.bitwise_and(x, y) if dtype_of(x) == np.bool_ else lax.mul(x, y)


def subtract(x: Any, y: Any, /) -> Any:
    """x - y, element by element; operands broadcast and promote. TypeError for booleans:
    logical_xor is their difference.
    """
    x, y = promote_spread("subtract", x, y)
    return lax.sub(x, y)


def divide(x1: Any, x2: Any, /) -> Any:
    """x1 / x2, element by element; integers and booleans become floats. Operands broadcast."""
    return lax.div(*promote_spread_inexact("divide", x1, x2))


def floor_divide(x1: Any, x2: Any, /) -> Any:
    """The floor of x1 / x2 in the promoted dtype: integers stay integers. Operands broadcast."""
    x1, x2 = promote_numeric("floor_divide", x1, x2)
    d = dtype_of(x1)
    if is_integer(d):
        quotient = lax.div(x1, x2)
        if d.kind == "u":
            return quotient
        wrong = lax.bitwise_and(
            lax.ne(lax.sign(x1), lax.sign(x2)), lax.ne(lax.rem(x1, x2), const_as(x1, 0))
        )
        return where_(wrong, lax.sub(quotient, const_as(x1, 1)), quotient)
    if d.kind == "c":
        return _complex_floor_divide(x1, x2)
    return _float_divmod(x1, x2)[0]


def _complex_floor_divide(x: Any, y: Any) -> Any:
    """Smith's algorithm on the larger component, then floor, as NumPy 1 had it."""
    xr, xi, yr, yi = lax.real(x), lax.imag(x), lax.real(y), lax.imag(y)
    larger = lax.ge(lax.abs(yr), lax.abs(yi))
    ratio = where_(larger, lax.div(yi, yr), lax.div(yr, yi))
    top = where_(larger, lax.add(xr, lax.mul(xi, ratio)), lax.add(lax.mul(xr, ratio), xi))
    bottom = where_(larger, lax.add(yr, lax.mul(yi, ratio)), lax.add(lax.mul(yr, ratio), yi))
    quotient = lax.floor(lax.div(top, bottom))
    return lax.complex(quotient, full_as(quotient, 0))


def _float_divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Floor quotient and remainder with the divisor's sign, consistent with each other."""
    rest = lax.rem(x, y)
    quotient = lax.div(lax.sub(x, rest), y)
    wrong = lax.bitwise_and(lax.ne(lax.sign(y), lax.sign(rest)), lax.ne(rest, const_as(x, 0)))
    rest = where_(wrong, lax.add(rest, y), rest)
    quotient = where_(wrong, lax.sub(quotient, const_as(x, 1)), quotient)
    infinite = lax.div(lax.stop_gradient(x), lax.stop_gradient(y))  # or NaN, of no rest
    by_zero = lax.eq(y, const_as(y, 0))
    return where_(by_zero, infinite, lax.round(quotient)), rest


def remainder(x1: Any, x2: Any, /) -> Any:
    """The remainder with the divisor's sign."""
    x1, x2 = promote_numeric("remainder", x1, x2)
    rest = lax.rem(x1, x2)
    if dtype_of(x1).kind == "u":
        return rest
    zero = const_as(x1, 0)
    nonzero = lax.ne(rest, zero)
    differs = lax.ne(lax.lt(rest, zero), lax.lt(x2, zero))
    return where_(lax.bitwise_and(nonzero, differs), lax.add(rest, x2), rest)


def fmod(x1: Any, x2: Any, /) -> Any:
    """The remainder with the dividend's sign."""
    check_arraylike("fmod", x1, x2)
    return lax.rem(*promote_numeric("fmod", x1, x2))


def divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:
    """The pair (floor_divide(x1, x2), remainder(x1, x2))."""
    x1, x2 = promote_numeric("divmod", x1, x2)
    if is_integer(dtype_of(x1)):
        return floor_divide(x1, x2), remainder(x1, x2)
    return _float_divmod(x1, x2)


def power(x1: Any, x2: Any, /) -> Any:
    """x1 ** x2; an exponent known to be an integer multiplies, so that negative bases
    differentiate.

    >>> import fx.numpy as fnp
    >>> fnp.power(-2.0, 3)
    Array(-8., dtype=float32, weak_type=True)
    """
    check_arraylike("power", x1, x2)
    x1, x2 = value(x1), value(x2)
    if not isinstance(x2, core.Tracer) and np.ndim(x2) == 0:
        exponent = _index_or_none(x2)
        if exponent is not None:
            base, a = shape_dtype("power", x1)
            if a.dtype == np.bool_:
                base = convert(base, np.dtype(np.int32))
            elif not isinstance(x2, int):
                base = promote("power", base, x2)[0]
            if is_integer(dtype_of(base)) and exponent < 0:
                raise TypeError(f"Integers cannot be raised to negative powers, got {exponent}.")
            return lax.integer_pow(base, exponent)
    d1, d2 = dtype_of(x1), dtype_of(x2)
    if is_inexact(d1) and is_integer(d2):
        shape = np.broadcast_shapes(core.get_aval(x1).shape, core.get_aval(x2).shape)
        base = convert(x1, d1, core.get_aval(x1).weak_type)
        return lax.pow(broadcast_value(base, shape), broadcast_value(convert(x2, d2), shape))
    x1, x2 = promote_numeric("power", x1, x2)
    if is_integer(dtype_of(x1)):
        return _integer_power(x1, x2)
    return lax.pow(x1, x2)


def _index_or_none(x: Any) -> int | None:
    if isinstance(x, bool | np.bool_):
        return int(x)
    if dtype_of(x).kind not in "iu":
        return None
    try:
        return operator.index(x) if isinstance(x, (int, np.integer)) else int(concrete(x))
    except TypeError:
        return None


def _integer_power(base: Any, exponent: Any) -> Any:
    """Binary exponentiation over the bits of a traced exponent; x**-n is 0, but for 1 and -1."""
    d = dtype_of(base)
    out = const_as(base, 1)
    zero, one = const_as(base, 0), const_as(base, 1)
    gone = None
    if d.kind == "i":
        unit = lax.bitwise_or(lax.eq(base, one), lax.eq(base, const_as(base, -1)))
        gone = lax.bitwise_and(lax.lt(exponent, zero), lax.bitwise_not(unit))
    for k in range(6 if d.itemsize == 8 else 5 if d.itemsize > 1 else 3):
        bit = lax.ne(lax.bitwise_and(exponent, one), zero)
        out = where_(bit, lax.mul(out, base), out)
        exponent = lax.shift_right_logical(exponent, one)
        if k < 5:
            base = lax.mul(base, base)
    return out if gone is None else where_(gone, zero, out)


def float_power(x: Any, y: Any, /) -> Any:
    """x ** y in floating point: integers become floats first. Operands broadcast."""
    return lax.pow(*promote_inexact("float_power", x, y))


def sign(x: Any, /) -> Any:
    """-1, 0 or 1; x / |x| for complex numbers."""
    (x,) = promote("sign", x)
    return lax.sign(x)


def positive(x: Any, /) -> Any:
    """x itself, as an array of its own dtype."""
    return itself(*promote("positive", x))


def absolute(x: Any, /) -> Any:
    """|x|; the derivative at 0 is 1 from the right's convention of lax.abs."""
    (x,) = promote("absolute", x)
    d = dtype_of(x)
    return itself(x) if d == np.bool_ or d.kind == "u" else lax.abs(x)


def fabs(x: Any, /) -> Any:
    """|x| in floating point: integers become floats; of complex numbers the modulus."""
    return lax.abs(*promote_inexact("fabs", x))


def trunc(x: Any) -> Any:
    """x rounded towards zero, in its own dtype."""
    (x,) = promote("trunc", x)
    if dtype_of(x) == np.bool_ or is_integer(dtype_of(x)):
        return itself(x)
    return where_(lax.lt(x, const_as(x, 0)), lax.ceil(x), lax.floor(x))


def round(a: Any, decimals: int = 0, out: None = None) -> Any:
    """To `decimals` places, halves to even."""
    check_arraylike("round", a)
    no_out("round", out)
    decimals = operator.index(decimals)
    (a,) = promote("round", a)
    d = dtype_of(a)
    if is_integer(d) or d == np.bool_:
        if decimals < 0:
            raise NotImplementedError("integer np.round not implemented for decimals < 0")
        return itself(a)
    if d.kind == "c":
        return lax.complex(round(lax.real(a), decimals), round(lax.imag(a), decimals))
    if decimals == 0:
        return lax.round(a, lax.RoundingMethod.TO_NEAREST_EVEN)
    work = convert(a, np.dtype(np.float32)) if d.itemsize == 2 else a
    factor = const_as(work, 10.0 ** (decimals if decimals > 0 else -decimals))
    scaled = lax.mul(work, factor) if decimals > 0 else lax.div(work, factor)
    rounded = lax.round(scaled, lax.RoundingMethod.TO_NEAREST_EVEN)
    return convert(lax.div(rounded, factor) if decimals > 0 else lax.mul(rounded, factor), d)


def rint(x: Any, /) -> Any:
    """To the nearest integer, halves to even, in floating point."""
    (x,) = promote_inexact("rint", x)
    if dtype_of(x).kind == "c":
        return lax.complex(rint(lax.real(x)), rint(lax.imag(x)))
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


# ---------------------------------------------------------------- complex parts


def real(val: Any, /) -> Any:
    """The real part, element by element; of real numbers x itself."""
    (val,) = promote("real", val)
    return lax.real(val) if dtype_of(val).kind == "c" else itself(val)


def imag(val: Any, /) -> Any:
    """The imaginary part; zeros for real numbers."""
    (val,) = promote("imag", val)
    return lax.imag(val) if dtype_of(val).kind == "c" else itself(full_as(val, 0))


def conjugate(x: Any, /) -> Any:
    """The complex conjugate, element by element; of real numbers x itself."""
    (x,) = promote("conjugate", x)
    return lax.conj(x) if dtype_of(x).kind == "c" else itself(x)


def angle(z: Any, deg: bool = False) -> Any:
    """The argument of complex numbers in radians, in [-pi, pi]; in degrees with `deg`. Integers
    become floats.
    """
    (z,) = promote_inexact("angle", z)
    re, im = (lax.real(z), lax.imag(z)) if dtype_of(z).kind == "c" else (z, const_as(z, 0))
    out = lax.atan2(im, re)
    return degrees(out) if deg else out


# ---------------------------------------------------------------- tables

sin = float_unary("sin", lax.sin, "Sine.")
cos = float_unary("cos", lax.cos, "Cosine.")
tan = float_unary("tan", lax.tan, "Tangent.")
arcsin = float_unary("arcsin", lax.asin, "Inverse sine.")
arccos = float_unary("arccos", lax.acos, "Inverse cosine.")
arctan = float_unary("arctan", lax.atan, "Inverse tangent.")
sinh = float_unary("sinh", lax.sinh, "Hyperbolic sine.")
cosh = float_unary("cosh", lax.cosh, "Hyperbolic cosine.")
tanh = float_unary("tanh", lax.tanh, "Hyperbolic tangent.")
arcsinh = float_unary("arcsinh", lax.asinh, "Inverse hyperbolic sine.")
arccosh = float_unary("arccosh", lax.acosh, "Inverse hyperbolic cosine.")
arctanh = float_unary("arctanh", lax.atanh, "Inverse hyperbolic tangent.")
exp = float_unary("exp", lax.exp, "e ** x.")
exp2 = float_unary("exp2", lax.exp2, "2 ** x.")
expm1 = float_unary("expm1", lax.expm1, "e ** x - 1, exact for small x.")
log = float_unary("log", lax.log, "Natural logarithm.")
log1p = float_unary("log1p", lax.log1p, "log(1 + x), exact for small x.")
sqrt = float_unary("sqrt", lax.sqrt, "Square root.")
cbrt = float_unary("cbrt", lax.cbrt, "Cube root.")
negative = same_unary("negative", lax.neg, "-x.")
square = same_unary(
    "square",
    lambda x: (
        lax.integer_pow(x, 2) if dtype_of(x) != np.bool_ else lax.convert_element_type(x, np.int32)
    ),
    "x * x; of truth values 0 or 1.",
)
reciprocal = float_unary("reciprocal", lambda x: lax.integer_pow(x, -1), "1 / x.")
floor = rounding("floor", lax.floor, "The largest integer not above x.")
ceil = rounding("ceil", lax.ceil, "The smallest integer not below x.")
degrees = float_unary(
    "degrees", lambda x: lax.mul(x, const_as(x, 180 / np.pi)), "Radians to degrees."
)
radians = float_unary(
    "radians", lambda x: lax.mul(x, const_as(x, np.pi / 180)), "Degrees to radians."
)
arctan2 = float_binary("arctan2", lax.atan2, "The angle of the point (x2, x1).")
nextafter = float_binary("nextafter", lax.nextafter, "The next float after x towards y.")
log2 = float_unary("log2", lambda x: _log_base(x, np.log(2.0)), "Logarithm to base 2.")
log10 = float_unary("log10", lambda x: _log_base(x, np.log(10.0)), "Logarithm to base 10.")
maximum = same_binary("maximum", lax.max, "The larger of x and y; NaN if either is.")
minimum = same_binary("minimum", lax.min, "The smaller of x and y; NaN if either is.")


def _log_base(x: Any, log_of_base: float) -> Any:
    y = lax.log(x)
    return lax.div(y, const_as(y, log_of_base))


abs = absolute
acos, acosh, asin, asinh = arccos, arccosh, arcsin, arcsinh
atan, atanh, atan2 = arctan, arctanh, arctan2
conj = conjugate
mod = remainder
true_divide = divide
pow = power
around = round
rad2deg, deg2rad = degrees, radians
