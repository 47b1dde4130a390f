"""Elementary functions: exponentials, logarithms, trigonometric, hyperbolic, their inverses, erf.

Each is one entry: sentence, NumPy function, derivative in terms of operand and result, scalar
operation. Kernels take them from lowering.mathlib with its stated error bounds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fx import core
from fx.prims.compare import eq, select
from fx.prims.elementwise import meaning, rsqrt_p, square_p
from fx.prims.registry import binary, floating, inexact, spread, unary

_BOTH = (np.float32, np.complex64)
_LN2 = math.log(2.0)
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


def exp(x: Any) -> Any:
    return exp_p.bind(x)


def log(x: Any) -> Any:
    return log_p.bind(x)


# ---------------------------------------------------------------- exponentials and logarithms

exp_p = unary(
    "exp",
    inexact,
    "e to the power x.",
    numpy=np.exp,
    jvp=lambda x, y, t: t * y,
    scalar="exp",
    dtypes=_BOTH,
)
exp2_p = unary(
    "exp2",
    inexact,
    "2 to the power x.",
    numpy=np.exp2,
    jvp=lambda x, y, t: t * (_LN2 * y),
    scalar="exp2",
)
expm1_p = unary(
    "expm1",
    inexact,
    "exp(x) - 1, accurate near 0.",
    numpy=np.expm1,
    jvp=lambda x, y, t: t * (y + 1),
    scalar="expm1",
    dtypes=_BOTH,
)
log_p = unary(
    "log",
    inexact,
    "Natural logarithm.",
    numpy=np.log,
    jvp=lambda x, y, t: t / x,
    scalar="log",
    near=(0.3, 2.0),
    dtypes=_BOTH,
)
log1p_p = unary(
    "log1p",
    inexact,
    "log(1 + x), accurate near 0.",
    numpy=meaning("log1p"),
    jvp=lambda x, y, t: t / (1 + x),
    scalar="log1p",
    near=(-0.7, 2.0),
    dtypes=_BOTH,
)


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.divide(1, 1 + np.exp(-x)).astype(x.dtype)


logistic_p = unary(
    "logistic",
    inexact,
    "1 / (1 + exp(-x)).",
    numpy=_logistic,
    jvp=lambda x, y, t: t * (y * (1 - y)),
    scalar="logistic",
    dtypes=_BOTH,
)

# ---------------------------------------------------------------- trigonometric


def _one_minus_square(x: Any) -> Any:
    """1 - x^2: of two factors, which lose no digits beside 1. At 1 and -1 one of them is 0, and the
    slope of their product 0 times the infinity that comes back through a root or a quotient; there
    it is the difference as it stands, so that second derivatives are infinite, not NaN.
    """
    factors = (1 - x) * (1 + x)
    if core.get_aval(x).dtype.kind == "c":
        return factors
    return select(eq(factors, 0), 1 - square_p.bind(x), factors)


sin_p = unary(
    "sin",
    inexact,
    "Sine.",
    numpy=np.sin,
    jvp=lambda x, y, t: t * cos_p.bind(x),
    scalar="sin",
    dtypes=_BOTH,
)
cos_p = unary(
    "cos",
    inexact,
    "Cosine.",
    numpy=np.cos,
    jvp=lambda x, y, t: -(t * sin_p.bind(x)),
    scalar="cos",
    dtypes=_BOTH,
)
tan_p = unary(
    "tan",
    inexact,
    "Tangent.",
    numpy=np.tan,
    jvp=lambda x, y, t: t * (1 + y * y),
    scalar="tan",
    near=(-1.2, 1.2),
    dtypes=_BOTH,
)
asin_p = unary(
    "asin",
    inexact,
    "Inverse sine.",
    numpy=np.arcsin,
    jvp=lambda x, y, t: t * rsqrt_p.bind(_one_minus_square(x)),
    scalar="asin",
    near=(-0.8, 0.8),
    dtypes=_BOTH,
)
acos_p = unary(
    "acos",
    inexact,
    "Inverse cosine.",
    numpy=np.arccos,
    jvp=lambda x, y, t: -(t * rsqrt_p.bind(_one_minus_square(x))),
    scalar="acos",
    near=(-0.8, 0.8),
    dtypes=_BOTH,
)
atan_p = unary(
    "atan",
    inexact,
    "Inverse tangent.",
    numpy=np.arctan,
    jvp=lambda x, y, t: t / (1 + x * x),
    scalar="atan",
    dtypes=_BOTH,
)


def _atan2_slope(x: Any, y: Any, out: Any, numerator: Any, t: Any) -> Any:
    size = square_p.bind(spread(x, out)) + square_p.bind(spread(y, out))
    return t * (numerator / size)


atan2_p = binary(
    "atan2",
    floating,
    "The angle of the point with ordinate x and abscissa y, in (-pi, pi].",
    numpy=np.arctan2,
    jvp=(
        lambda x, y, out, t: _atan2_slope(x, y, out, y, t),
        lambda x, y, out, t: _atan2_slope(x, y, out, -x, t),
    ),
    scalar="atan2",
    near=((0.3, 2.0), (-2.0, -0.3)),
)

# ---------------------------------------------------------------- hyperbolic

sinh_p = unary(
    "sinh",
    inexact,
    "Hyperbolic sine.",
    numpy=np.sinh,
    jvp=lambda x, y, t: t * cosh_p.bind(x),
    scalar="sinh",
    dtypes=_BOTH,
)
cosh_p = unary(
    "cosh",
    inexact,
    "Hyperbolic cosine.",
    numpy=np.cosh,
    jvp=lambda x, y, t: t * sinh_p.bind(x),
    scalar="cosh",
    dtypes=_BOTH,
)
tanh_p = unary(
    "tanh",
    inexact,
    "Hyperbolic tangent.",
    numpy=np.tanh,
    jvp=lambda x, y, t: (t + t * y) * (1 - y),
    scalar="tanh",
    dtypes=_BOTH,
)
asinh_p = unary(
    "asinh",
    inexact,
    "Inverse hyperbolic sine.",
    numpy=np.arcsinh,
    jvp=lambda x, y, t: t * rsqrt_p.bind(x * x + 1),
    scalar="asinh",
    dtypes=_BOTH,
)


def _acosh_slope(x: Any) -> Any:
    """Two roots keep the branch of complex x; one root gives real x < -1 the value JAX gives."""
    if core.get_aval(x).dtype.kind == "c":
        return rsqrt_p.bind(x - 1) * rsqrt_p.bind(x + 1)
    factors = (x - 1) * (x + 1)  # where one is 0, as in `_one_minus_square`
    return rsqrt_p.bind(select(eq(factors, 0), square_p.bind(x) - 1, factors))


acosh_p = unary(
    "acosh",
    inexact,
    "Inverse hyperbolic cosine.",
    numpy=np.arccosh,
    jvp=lambda x, y, t: t * _acosh_slope(x),
    scalar="acosh",
    near=(1.3, 2.5),
    dtypes=_BOTH,
)
atanh_p = unary(
    "atanh",
    inexact,
    "Inverse hyperbolic tangent.",
    numpy=np.arctanh,
    jvp=lambda x, y, t: t / _one_minus_square(x),
    scalar="atanh",
    near=(-0.8, 0.8),
    dtypes=_BOTH,
)

# ---------------------------------------------------------------- the error function


def _gauss(x: Any) -> Any:
    """exp(-x^2), the slope of erf but for 2 / sqrt(pi)."""
    return exp_p.bind(-square_p.bind(x))


erf_p = unary(
    "erf",
    floating,
    "The error function.",
    numpy=meaning("erf"),
    jvp=lambda x, y, t: t * (_TWO_OVER_SQRT_PI * _gauss(x)),
    scalar="erf",
)
erfc_p = unary(
    "erfc",
    floating,
    "1 - erf(x), accurate for large x.",
    numpy=meaning("erfc"),
    jvp=lambda x, y, t: t * (-_TWO_OVER_SQRT_PI * _gauss(x)),
    scalar="erfc",
)
erf_inv_p = unary(
    "erf_inv",
    floating,
    "The inverse of the error function, on (-1, 1).",
    numpy=meaning("erf_inv"),
    jvp=lambda x, y, t: t * (exp_p.bind(square_p.bind(y)) / _TWO_OVER_SQRT_PI),
    scalar="erf_inv",
    near=(-0.8, 0.8),
)
erf_inv_giles_p = unary(
    "erf_inv_giles",
    floating,
    "The inverse of the error function by Giles's polynomials, of which normal numbers are made.",
    numpy=meaning("erf_inv_giles"),
    jvp=lambda x, y, t: t * (exp_p.bind(square_p.bind(y)) / _TWO_OVER_SQRT_PI),
    scalar="erf_inv_giles",
    near=(-0.8, 0.8),
)
