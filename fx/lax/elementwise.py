"""fx.lax: elementwise arithmetic and elementary functions, one primitive each.

Operands have equal shapes and dtypes; scalars spread, and Python scalars take the other operand's
dtype. `accuracy` is accepted for JAX's sake: there is one implementation, with stated bounds.
"""

from __future__ import annotations

from enum import IntEnum
from operator import index
from typing import Any

import numpy as np

from fx import core
from fx.family_docs import elementwise_facts
from fx.lax.spread import matched
from fx.prims import compare, complex_, elementwise, transcendental
from fx.prims.convert import convert
from fx.typing import Array, ArrayLike, DTypeLike

__all__ = [
    "RoundingMethod",
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "complex",
    "conj",
    "cos",
    "cosh",
    "div",
    "erf",
    "erf_inv",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "imag",
    "integer_pow",
    "is_finite",
    "log",
    "log1p",
    "logistic",
    "max",
    "min",
    "mul",
    "mulhi",
    "neg",
    "nextafter",
    "pow",
    "real",
    "reciprocal",
    "rem",
    "round",
    "rsqrt",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "sub",
    "tan",
    "tanh",
]


class RoundingMethod(IntEnum):
    """How `round` treats halves: 2.5 becomes 3 (AWAY_FROM_ZERO) or 2 (TO_NEAREST_EVEN)."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def neg(x: ArrayLike) -> Array:
    """-x; unsigned integers wrap."""
    return elementwise.neg_p.bind(x)


def sign(x: ArrayLike) -> Array:
    """-1, 0 or 1 by sign, with derivative 0; for complex x, x / abs(x). Keeps -0.0 and NaN."""
    return elementwise.sign_p.bind(x)


def floor(x: ArrayLike) -> Array:
    """The largest integer that is not greater than x, as a float; its derivative is 0."""
    return elementwise.floor_p.bind(x)


def ceil(x: ArrayLike) -> Array:
    """The smallest integer that is not less than x, as a float; its derivative is 0."""
    return elementwise.ceil_p.bind(x)


def is_finite(x: ArrayLike) -> Array:
    """Whether x is neither infinite nor NaN."""
    return compare.is_finite_p.bind(x)


def exp(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """e to the power x, of floats and complex numbers."""
    return transcendental.exp_p.bind(x)


def exp2(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """2 to the power x, of floats and complex numbers."""
    return transcendental.exp2_p.bind(x)


def log(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """Natural logarithm of floats (NaN below 0) and complex numbers."""
    return transcendental.log_p.bind(x)


def expm1(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """exp(x) - 1 of floats and complex numbers, accurate near 0."""
    return transcendental.expm1_p.bind(x)


def log1p(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """log(1 + x) of floats (NaN below -1) and complex numbers, accurate near 0."""
    return transcendental.log1p_p.bind(x)


def tanh(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """Hyperbolic tangent of floats and complex numbers."""
    return transcendental.tanh_p.bind(x)


def logistic(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """1 / (1 + exp(-x)), the sigmoid, of floats and complex numbers."""
    return transcendental.logistic_p.bind(x)


def sin(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """Sine of x in radians, of floats and complex numbers."""
    return transcendental.sin_p.bind(x)


def cos(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """Cosine of x in radians, of floats and complex numbers."""
    return transcendental.cos_p.bind(x)


def tan(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """Tangent of x in radians, of floats and complex numbers."""
    return transcendental.tan_p.bind(x)


def asin(x: ArrayLike) -> Array:
    """Inverse sine of x, in [-pi/2, pi/2]; NaN for real x outside [-1, 1]."""
    return transcendental.asin_p.bind(x)


def acos(x: ArrayLike) -> Array:
    """Inverse cosine of x, in [0, pi]; NaN for real x outside [-1, 1]."""
    return transcendental.acos_p.bind(x)


def atan(x: ArrayLike) -> Array:
    """Inverse tangent of x, in (-pi/2, pi/2)."""
    return transcendental.atan_p.bind(x)


def sinh(x: ArrayLike) -> Array:
    """Hyperbolic sine of floats and complex numbers."""
    return transcendental.sinh_p.bind(x)


def cosh(x: ArrayLike) -> Array:
    """Hyperbolic cosine of floats and complex numbers."""
    return transcendental.cosh_p.bind(x)


def asinh(x: ArrayLike) -> Array:
    """Inverse hyperbolic sine of floats and complex numbers."""
    return transcendental.asinh_p.bind(x)


def acosh(x: ArrayLike) -> Array:
    """Inverse hyperbolic cosine of x; NaN for real x < 1."""
    return transcendental.acosh_p.bind(x)


def atanh(x: ArrayLike) -> Array:
    """Inverse hyperbolic tangent of x; infinite at -1 and 1, NaN for real x beyond."""
    return transcendental.atanh_p.bind(x)


def erf(x: ArrayLike) -> Array:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) up to x."""
    return transcendental.erf_p.bind(x)


def erfc(x: ArrayLike) -> Array:
    """1 - erf(x) of floats, accurate where x is large."""
    return transcendental.erfc_p.bind(x)


def erf_inv(x: ArrayLike) -> Array:
    """The inverse of erf on [-1, 1], infinite at the ends, NaN outside. Floats only."""
    return transcendental.erf_inv_p.bind(x)


def real(x: ArrayLike) -> Array:
    """The real part of a complex x."""
    return complex_.real_p.bind(x)


def imag(x: ArrayLike) -> Array:
    """The imaginary part of a complex x."""
    return complex_.imag_p.bind(x)


def abs(x: ArrayLike) -> Array:
    """Absolute value of x; the modulus of complex x. Its derivative at 0 is 1."""
    return elementwise.abs_p.bind(x)


def sqrt(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """Square root of floats (NaN below 0) and complex numbers."""
    return elementwise.sqrt_p.bind(x)


def rsqrt(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """1 / sqrt(x) of floats (infinite at 0, NaN below) and complex numbers."""
    return elementwise.rsqrt_p.bind(x)


def cbrt(x: ArrayLike, *, accuracy: Any = None) -> Array:
    """Real cube root of floats, of negative ones too."""
    return elementwise.cbrt_p.bind(x)


def square(x: ArrayLike) -> Array:
    """x * x, in the dtype of x, integers too."""
    return elementwise.square_p.bind(x)


def add(x: ArrayLike, y: ArrayLike) -> Array:
    """x + y, element by element; of booleans the logical or."""
    return elementwise.add_p.bind(*matched(x, y))


def sub(x: ArrayLike, y: ArrayLike) -> Array:
    """x - y, element by element; unsigned integers wrap."""
    return elementwise.sub_p.bind(*matched(x, y))


def div(x: ArrayLike, y: ArrayLike) -> Array:
    """x / y; integers round toward zero, and x / 0 gives -1 (all bits set) for them."""
    return elementwise.div_p.bind(*matched(x, y))


def rem(x: ArrayLike, y: ArrayLike) -> Array:
    """The remainder of x / y with the sign of x: x - y trunc(x / y). By 0: x of integers, NaN of
    floats.
    """
    return elementwise.rem_p.bind(*matched(x, y))


def max(x: ArrayLike, y: ArrayLike) -> Array:
    """The larger of x and y; NaN wins; ties share the derivative evenly."""
    return elementwise.max_p.bind(*matched(x, y))


def min(x: ArrayLike, y: ArrayLike) -> Array:
    """The smaller of x and y; NaN wins; ties share the derivative evenly."""
    return elementwise.min_p.bind(*matched(x, y))


def atan2(x: ArrayLike, y: ArrayLike) -> Array:
    """The angle of the point with ordinate x and abscissa y; of complex numbers
    -i log((y + i x) / sqrt(x^2 + y^2)).
    """
    x, y = matched(x, y)
    if core.get_aval(x).dtype.kind != "c":
        return transcendental.atan2_p.bind(x, y)
    i = core.get_aval(x).dtype.type(1j)
    radius = sqrt(add(square(x), square(y)))
    return mul(-i, log(div(add(y, mul(i, x)), radius)))


def mul(x: ArrayLike, y: ArrayLike, *, out_dtype: DTypeLike | None = None) -> Array:
    """x * y, element by element; in `out_dtype` if that is given.

    >>> import fx.lax as lax
    >>> float(lax.mul(2.0, 3.0))
    6.0
    """
    if out_dtype is not None:
        dtype = np.dtype(out_dtype)
        x, y = convert(x, dtype), convert(y, dtype)
    return elementwise.mul_p.bind(*matched(x, y))


def nextafter(x1: ArrayLike, x2: ArrayLike) -> Array:
    """The next representable number after x1 in the direction of x2. It has no derivative."""
    return elementwise.nextafter_p.bind(*matched(x1, x2))


def round(x: ArrayLike, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Array:
    """The nearest integer, as a float; halves go away from zero or to even.

    Floats only (TypeError otherwise); its derivative is 0.

    >>> import fx.lax as lax
    >>> float(lax.round(2.5)), float(lax.round(2.5, lax.RoundingMethod.TO_NEAREST_EVEN))
    (3.0, 2.0)
    """
    return elementwise.round_p.bind(x, rounding_method=int(RoundingMethod(rounding_method)))


def reciprocal(x: ArrayLike) -> Array:
    """1 / x of floats and complex numbers; TypeError for integers."""
    return integer_pow(x, -1)


def integer_pow(x: ArrayLike, y: int) -> Array:
    """x ** y for a Python integer y, by repeated squaring; x ** 0 is 1 everywhere.

    The result has the shape and dtype of x. TypeError for an integer x and negative y, and for a y
    that is no integer.
    """
    try:
        y = index(y)
    except TypeError:
        raise TypeError(
            f"integer_pow takes an integer power; given was {y!r} of type {type(y).__name__}. "
            "lax.pow and ** take others."
        ) from None
    aval = core.get_aval(x)
    if y == 0:
        from fx.prims import shape

        return shape.full(aval.shape, 1, aval.dtype)
    if y == 1:
        return convert(x, aval.dtype, aval.weak_type)
    return elementwise.integer_pow(x, y)


def pow(x: ArrayLike, y: ArrayLike) -> Array:
    """x ** y; y may be of an integer dtype.

    The derivative by x is 0 where an integer y is 0, the one by y is 0 where x is 0.

    x is of floats or complex numbers (TypeError otherwise); y has the dtype of x or an integer one.
    """
    if core.get_aval(y).dtype.kind in "iu" and type(x) not in (bool, int):
        return elementwise.pow_p.bind(x, y)
    return elementwise.pow_p.bind(*matched(x, y))


def complex(x: ArrayLike, y: ArrayLike) -> Array:
    """x + i y of two real operands, both float32 or both float64."""
    return complex_.complex_p.bind(*matched(x, y))


def conj(x: ArrayLike) -> Array:
    """The complex conjugate of x; of real x its value as a complex number. TypeError for others
    than 32 and 64 bit floats and their complex forms.
    """
    return complex_.conj_p.bind(x, input_dtype=core.get_aval(x).dtype)


def mulhi(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The high half of the product of two integers of one dtype, which has twice their bits."""
    return elementwise.mulhi_p.bind(*matched(x, y))


_SAME, _REAL = "as given", "that of the real part"
elementwise_facts("numbers", _SAME, neg, sign, square, sub, div)
elementwise_facts("booleans and numbers", _SAME, add, mul, max, min)
elementwise_facts("integers and floats", _SAME, rem)
elementwise_facts("floats", _SAME, floor, ceil, cbrt, erf, erfc, erf_inv, nextafter)
elementwise_facts("floats and complex numbers", "bool", is_finite)
elementwise_facts("complex numbers", _REAL, real, imag)
elementwise_facts("numbers", _REAL, abs)
elementwise_facts("integers", _SAME, mulhi)
elementwise_facts("float32 and float64", "complex of that precision", complex)
elementwise_facts(
    "floats and complex numbers",
    _SAME,
    *(exp, exp2, log, expm1, log1p, tanh, logistic, sin, cos, tan, asin, acos, atan, sinh, cosh),
    *(asinh, acosh, atanh, sqrt, rsqrt, reciprocal, atan2),
)
