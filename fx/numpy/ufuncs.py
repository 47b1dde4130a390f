"""Elementwise functions of one and two arguments: promotion, then one lax function.

The tables at the end make the functions; those with a rule of their own stand above them.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype, is_inexact
from fx.dtypes import is_integer
from fx.family_docs import explained
from fx.numpy.ufunc_base import (
    FLOATS,
    ONE,
    TWO,
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


@explained(TWO)
def add(x: Any, y: Any, /) -> Any:
    """x + y; booleans are or-ed, integers wrap."""
    x, y = promote_spread("add", x, y)
    return lax.bitwise_or(x, y) if dtype_of(x) == np.bool_ else lax.add(x, y)


@explained(TWO)
def multiply(x: Any, y: Any, /) -> Any:
    """x * y; booleans are and-ed, integers wrap."""
    x, y = promote_spread("multiply", x, y)
    return lax.bitwise_and(x, y) if dtype_of(x) == np.bool_ else lax.mul(x, y)


@explained(TWO)
def subtract(x: Any, y: Any, /) -> Any:
    """x - y; integers wrap. TypeError for booleans: logical_xor is their difference."""
    x, y = promote_spread("subtract", x, y)
    return lax.sub(x, y)


@explained(TWO, FLOATS)
def divide(x1: Any, x2: Any, /) -> Any:
    """x1 / x2, the true quotient; infinite or NaN where x2 is 0."""
    return lax.div(*promote_spread_inexact("divide", x1, x2))


@explained(TWO)
def floor_divide(x1: Any, x2: Any, /) -> Any:
    """The floor of x1 / x2: integers stay integers, booleans become int32. An
    integer divisor of 0 gives some integer, nothing is raised. The derivative is 0. TypeError for
    complex numbers.
    """
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
        raise TypeError("floor_divide does not support complex-valued inputs")
    return _float_divmod(x1, x2)[0]


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


@explained(TWO)
def remainder(x1: Any, x2: Any, /) -> Any:
    """The remainder of x1 / x2 with the sign of x2: x1 - x2 floor(x1 / x2). NaN for a float divisor
    of 0, 0 for an integer one; booleans become int32. TypeError for complex
    numbers.
    """
    given = x2
    x1, x2 = promote_numeric("remainder", x1, x2)
    x2 = _not_zero(given, x2)
    rest = lax.rem(x1, x2)
    if dtype_of(x1).kind == "u":
        return rest
    zero = const_as(x1, 0)
    nonzero = lax.ne(rest, zero)
    differs = lax.ne(lax.lt(rest, zero), lax.lt(x2, zero))
    return where_(lax.bitwise_and(nonzero, differs), lax.add(rest, x2), rest)


@explained(TWO)
def fmod(x1: Any, x2: Any, /) -> Any:
    """The remainder of x1 / x2 with the sign of x1: x1 - x2 trunc(x1 / x2). NaN for a float divisor
    of 0, 0 for an integer one; booleans become int32. TypeError for complex
    numbers.
    """
    check_arraylike("fmod", x1, x2)
    given = x2
    x1, x2 = promote_numeric("fmod", x1, x2)
    return lax.rem(x1, _not_zero(given, x2))


def _not_zero(given: Any, divisor: Any) -> Any:
    """An integer divisor with 1 for 0, which leaves no rest; a known one is asked here."""
    if is_integer(dtype_of(divisor)) and not (type(given) is int and given):
        return where_(lax.eq(divisor, const_as(divisor, 0)), const_as(divisor, 1), divisor)
    return divisor


def divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:
    """The pair (floor_divide(x1, x2), remainder(x1, x2)), with their shapes and dtypes. TypeError
    for complex numbers.
    """
    given1, given2 = x1, x2
    x1, x2 = promote_numeric("divmod", x1, x2)
    if is_integer(dtype_of(x1)):
        return floor_divide(given1, given2), remainder(given1, given2)
    return _float_divmod(x1, x2)


def power(x1: Any, x2: Any, /) -> Any:
    """x1 ** x2, element by element in the broadcast shape. An exponent known to be an integer
    multiplies, so that negative bases differentiate; integer arrays as exponents do not change a
    float's dtype. Other operands promote, booleans to int32. TypeError for integers
    with a known scalar exponent below 0; with an array of them x1 ** -n is 0, but for 1 and -1.

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
            if is_integer(dtype_of(base)) and exponent < 0:
                raise TypeError(f"Integers cannot be raised to negative powers, got {exponent}.")
            return lax.integer_pow(base, exponent)
    d1, d2 = dtype_of(x1), dtype_of(x2)
    if is_inexact(d1) and is_integer(d2):
        shape = np.broadcast_shapes(core.get_aval(x1).shape, core.get_aval(x2).shape)
        base = convert(x1, d1, core.get_aval(x1).weak_type)
        exponents = convert(x2, d2, core.get_aval(x2).weak_type)
        return lax.pow(broadcast_value(base, shape), broadcast_value(exponents, shape))
    x1, x2 = promote_numeric("power", x1, x2)
    if is_integer(dtype_of(x1)):
        return _integer_power(convert(x1, dtype_of(x1)), x2)
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
    """Binary exponentiation over the bits of a traced exponent; x**-n is 0, but for 1 and -1.

    Six bits: a power beyond 63 overflows 64 bits, but for 0, which starts as its own power, and for
    1 and -1, whose powers the lowest bit decides.
    """
    d = dtype_of(base)
    zero, one = const_as(base, 0), const_as(base, 1)
    nought = lax.bitwise_and(lax.eq(base, zero), lax.ne(exponent, zero))
    out = where_(nought, zero, one)
    gone = None
    if d.kind == "i":
        unit = lax.bitwise_or(lax.eq(base, one), lax.eq(base, const_as(base, -1)))
        gone = lax.bitwise_and(lax.lt(exponent, zero), lax.bitwise_not(unit))
    for k in range(6):
        bit = lax.ne(lax.bitwise_and(exponent, one), zero)
        out = where_(bit, lax.mul(out, base), out)
        exponent = lax.shift_right_logical(exponent, one)
        if k < 5:
            base = lax.mul(base, base)
    return out if gone is None else where_(gone, zero, out)


@explained(TWO, FLOATS)
def float_power(x: Any, y: Any, /) -> Any:
    """x1 ** x2 in floating point; NaN for negative bases with fractional exponents."""
    return lax.pow(*promote_inexact("float_power", x, y))


@explained(ONE)
def sign(x: Any, /) -> Any:
    """-1, 0 or 1 in the dtype of x; x / |x| for complex numbers, NaN for NaN. TypeError for
    booleans. The derivative of real numbers is 0.
    """
    (x,) = promote("sign", x)
    return lax.sign(x)


@explained(ONE)
def positive(x: Any, /) -> Any:
    """x itself, as an array of its own dtype."""
    return itself(*promote("positive", x))


@explained(ONE)
def absolute(x: Any, /) -> Any:
    """|x| in the dtype of x; of complex numbers the modulus, real. The derivative at 0 is 1 (0 of
    complex numbers). The least signed integer stays as it is.
    """
    (x,) = promote("absolute", x)
    d = dtype_of(x)
    return itself(x) if d == np.bool_ or d.kind == "u" else lax.abs(x)


@explained(ONE, FLOATS)
def fabs(x: Any, /) -> Any:
    """|x| in floating point; of complex numbers the modulus, real. The derivative at 0 is 1 (0 of
    complex numbers).
    """
    return lax.abs(*promote_inexact("fabs", x))


@explained(ONE)
def trunc(x: Any) -> Any:
    """x rounded towards zero, in its own dtype. TypeError for complex numbers. The derivative is
    0.
    """
    (x,) = promote("trunc", x)
    if dtype_of(x) == np.bool_ or is_integer(dtype_of(x)):
        return itself(x)
    return where_(lax.lt(x, const_as(x, 0)), lax.ceil(x), lax.floor(x))


def round(a: Any, decimals: int = 0, out: None = None) -> Any:
    """x rounded to `decimals` places after the point (before it where negative), halves to even; of
    complex numbers both parts. Shape and dtype are those of `a`. 16-bit floats are computed in
    float32. `decimals` must be a static integer: TypeError; for integers it must not be negative:
    NotImplementedError.
    """
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


@explained(ONE, FLOATS)
def rint(x: Any, /) -> Any:
    """The nearest integer, halves to even, in floating point; of complex numbers both parts. The
    derivative is 0.
    """
    x = widest_float("rint", x)
    if dtype_of(x).kind == "c":
        return lax.complex(rint(lax.real(x)), rint(lax.imag(x)))
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


def widest_float(name: str, x: Any) -> Any:
    """Integers and booleans as float32, with x64 float64 whatever their width; floats as given."""
    v, aval = shape_dtype(name, x)
    return v if is_inexact(aval.dtype) else convert(v, canonicalize_dtype(np.float64))


# ---------------------------------------------------------------- complex parts


@explained(ONE)
def real(val: Any, /) -> Any:
    """The real part, in its float dtype; of real numbers x itself."""
    (val,) = promote("real", val)
    return lax.real(val) if dtype_of(val).kind == "c" else itself(val)


@explained(ONE)
def imag(val: Any, /) -> Any:
    """The imaginary part, in its float dtype; of real numbers zeros of their dtype."""
    (val,) = promote("imag", val)
    return lax.imag(val) if dtype_of(val).kind == "c" else itself(full_as(val, 0))


@explained(ONE)
def conjugate(x: Any, /) -> Any:
    """The complex conjugate; of real numbers x itself."""
    (x,) = promote("conjugate", x)
    return lax.conj(x) if dtype_of(x).kind == "c" else itself(x)


def angle(z: Any, deg: bool = False) -> Any:
    """The argument of complex numbers in radians, from -pi to pi, in their float dtype; in degrees
    with `deg`. Of real numbers 0 or pi: integers and booleans become floats. Element by element.
    """
    z = widest_float("angle", z)
    re, im = (lax.real(z), lax.imag(z)) if dtype_of(z).kind == "c" else (z, const_as(z, 0))
    out = lax.atan2(im, re)
    return degrees(out) if deg else out


# ---------------------------------------------------------------- tables

sin = float_unary("sin", lax.sin, "The sine of x in radians.")
cos = float_unary("cos", lax.cos, "The cosine of x in radians.")
tan = float_unary("tan", lax.tan, "The tangent of x in radians.")
arcsin = float_unary(
    "arcsin",
    lax.asin,
    "The inverse sine in radians, from -pi/2 to pi/2; NaN beyond -1 and 1, where the branch cuts\n"
    "of complex numbers lie.",
)
arccos = float_unary(
    "arccos",
    lax.acos,
    "The inverse cosine in radians, from 0 to pi; NaN beyond -1 and 1, where the branch cuts of\n"
    "complex numbers lie.",
)
arctan = float_unary(
    "arctan",
    lax.atan,
    "The inverse tangent in radians, from -pi/2 to pi/2. The branch cuts of complex numbers lie\n"
    "on the imaginary axis beyond -i and i.",
)
sinh = float_unary("sinh", lax.sinh, "The hyperbolic sine: (e**x - e**-x) / 2.")
cosh = float_unary("cosh", lax.cosh, "The hyperbolic cosine: (e**x + e**-x) / 2.")
tanh = float_unary("tanh", lax.tanh, "The hyperbolic tangent: sinh(x) / cosh(x), from -1 to 1.")
arcsinh = float_unary(
    "arcsinh",
    lax.asinh,
    "The inverse hyperbolic sine. The branch cuts of complex numbers lie on the imaginary axis\n"
    "beyond -i and i.",
)
arccosh = float_unary(
    "arccosh",
    lax.acosh,
    "The inverse hyperbolic cosine, not negative; NaN below 1, where the branch cut of complex\n"
    "numbers lies.",
)
arctanh = float_unary(
    "arctanh",
    lax.atanh,
    "The inverse hyperbolic tangent: infinite at -1 and 1, NaN beyond, where the branch cuts of\n"
    "complex numbers lie.",
)
exp = float_unary("exp", lax.exp, "e ** x.")
exp2 = float_unary("exp2", lax.exp2, "2 ** x.")
expm1 = float_unary("expm1", lax.expm1, "e ** x - 1, exact for small x.")
log = float_unary(
    "log",
    lax.log,
    "The natural logarithm: -inf at 0, NaN below. Of complex numbers the imaginary part is the\n"
    "angle, from -pi to pi, with the branch cut along the negative real axis.",
)
log1p = float_unary("log1p", lax.log1p, "log(1 + x), exact for small x: -inf at -1, NaN below.")
sqrt = float_unary(
    "sqrt",
    lax.sqrt,
    "The square root that is not negative; NaN below 0, infinite derivative at 0. Of complex\n"
    "numbers the real part is not negative, with the branch cut along the negative real axis.",
)
cbrt = float_unary(
    "cbrt",
    lax.cbrt,
    "The real cube root, negative below 0, with infinite derivative at 0. TypeError for complex\n"
    "numbers.",
)
negative = same_unary("negative", lax.neg, "-x; unsigned integers wrap. TypeError for booleans.")
square = same_unary(
    "square",
    lambda x: (
        lax.integer_pow(x, 2) if dtype_of(x) != np.bool_ else lax.convert_element_type(x, np.int32)
    ),
    "x * x in the dtype of x; integers wrap, booleans give 0 or 1 as int32.",
)
reciprocal = float_unary("reciprocal", lambda x: lax.integer_pow(x, -1), "1 / x; infinite at 0.")
floor = rounding("floor", lax.floor, "The largest integer not above x.")
ceil = rounding("ceil", lax.ceil, "The smallest integer not below x.")
degrees = float_unary(
    "degrees", lambda x: lax.mul(x, const_as(x, 180 / np.pi)), "x in radians as degrees."
)
radians = float_unary(
    "radians", lambda x: lax.mul(x, const_as(x, np.pi / 180)), "x in degrees as radians."
)
arctan2 = float_binary(
    "arctan2",
    lax.atan2,
    "The angle of the point (x2, x1) in radians, from -pi to pi: the sign of x1, that of -0.0\n"
    "too, decides its own. arctan2(0, 0) is 0 and has no derivative (NaN).",
)
nextafter = float_binary(
    "nextafter",
    lax.nextafter,
    "The next float after x1 towards x2. TypeError for complex numbers; it has no derivative.",
)
log2 = float_unary(
    "log2", lambda x: _log_base(x, np.log(2.0)), "The logarithm to base 2: log(x) / log(2)."
)
log10 = float_unary(
    "log10", lambda x: _log_base(x, np.log(10.0)), "The logarithm to base 10: log(x) / log(10)."
)
_EXTREMUM = (
    "of x and y; NaN if either is. Complex numbers order by their real, then by their\n"
    "imaginary part. Where both are equal, each takes half the gradient."
)
maximum = same_binary("maximum", lax.max, f"The larger {_EXTREMUM}")
minimum = same_binary("minimum", lax.min, f"The smaller {_EXTREMUM}")


def _log_base(x: Any, log_of_base: float) -> Any:
    y = lax.log(x)
    if dtype_of(y).kind == "c":  # each part by itself: an infinite one leaves the other alone
        scale = const_as(lax.real(y), log_of_base)
        return lax.complex(lax.div(lax.real(y), scale), lax.div(lax.imag(y), scale))
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
