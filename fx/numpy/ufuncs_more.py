"""Elementwise functions built from several primitives: logaddexp, hypot, sinc, frexp, gcd,
nan_to_num, clip and others.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import float0, is_floating
from fx.dtypes import finfo, is_integer
from fx.family_docs import explained
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.ufunc_base import BOOLS, FLOATS, ONE, TWO, const_as, dtype_of, no_out
from fx.numpy.util import (
    broadcast_value,
    check_arraylike,
    convert,
    promote,
    promote_dtypes,
    promote_inexact,
    promote_numeric,
    value,
    wrap,
)

__all__ = [
    "allclose",
    "array_equal",
    "array_equiv",
    "clip",
    "copysign",
    "fmax",
    "fmin",
    "frexp",
    "gcd",
    "heaviside",
    "hypot",
    "i0",
    "isclose",
    "lcm",
    "ldexp",
    "logaddexp",
    "logaddexp2",
    "modf",
    "nan_to_num",
    "signbit",
    "sinc",
    "spacing",
]


# ---------------------------------------------------------------- logaddexp


def _make_logaddexp(base2: bool) -> Any:
    """log(e**x + e**y); its derivative is a softmax, stable where both operands are -inf."""
    from fx.custom import custom_jvp

    exp = lax.exp2 if base2 else lax.exp

    def log1p(x: Any) -> Any:
        return lax.div(lax.log1p(x), const_as(x, np.log(2.0))) if base2 else lax.log1p(x)

    @custom_jvp
    def logaddexp(x: Any, y: Any) -> Any:
        if dtype_of(x).kind == "c":
            return _complex_logaddexp(x, y, base2)
        larger = lax.max(x, y)
        delta = lax.sub(x, y)
        stable = lax.add(larger, log1p(exp(lax.neg(lax.abs(delta)))))
        return base.where_(lax.ne(delta, delta), lax.add(x, y), stable)

    def jvp(primals: Any, tangents: Any) -> Any:
        x, y = primals
        tx, ty = tangents
        out = logaddexp(x, y)
        wx = exp(lax.sub(_finite(x), _finite_max(out)))
        wy = exp(lax.sub(_finite(y), _finite_max(out)))
        return out, lax.add(lax.mul(tx, wx), lax.mul(ty, wy))

    logaddexp.defjvp(jvp)
    return logaddexp


def _finite(x: Any) -> Any:
    """+inf as 0, so that inf - inf gives weight 1."""
    return _replace(x, np.inf, 0.0)


def _finite_max(x: Any) -> Any:
    return _replace(_replace(x, np.inf, 0.0), -np.inf, 0.0)


def _replace(x: Any, what: float, by: float) -> Any:
    if dtype_of(x).kind == "c":
        return x
    return base.where_(lax.eq(x, const_as(x, what)), const_as(x, by), x)


def _times(z: Any, factor: float) -> Any:
    """Complex numbers by a real one: as a product of complex numbers -inf would have an imaginary
    part of NaN.
    """
    re, im = lax.real(z), lax.imag(z)
    return lax.complex(lax.mul(re, const_as(re, factor)), lax.mul(im, const_as(im, factor)))


def _complex_logaddexp(x: Any, y: Any, base2: bool) -> Any:
    factor = np.log(2.0) if base2 else 1.0
    larger = base.where_(lax.ge(lax.real(x), lax.real(y)), x, y)
    delta = base.where_(lax.ge(lax.real(x), lax.real(y)), lax.sub(y, x), lax.sub(x, y))
    total = lax.log1p(lax.exp(_times(delta, factor)))
    out = lax.add(larger, _times(total, 1 / factor))
    bound = np.pi / factor
    im = lax.imag(out)
    turn = const_as(im, 2 * bound)
    wrapped = lax.sub(im, lax.mul(turn, lax.round(lax.div(im, turn))))
    return lax.complex(lax.real(out), wrapped)


_made: dict[bool, Any] = {}


def _logaddexp_of(base2: bool) -> Any:
    if base2 not in _made:
        _made[base2] = _make_logaddexp(base2)
    return _made[base2]


@explained(TWO, FLOATS)
def logaddexp(x1: Any, x2: Any, /) -> Any:
    """log(exp(x1) + exp(x2)) without overflow; -inf where both are. Complex numbers too, their
    imaginary part from -pi to pi. The derivatives are softmax weights, 0 where both are -inf.
    """
    return _logaddexp_of(False)(*promote_inexact("logaddexp", x1, x2))


@explained(TWO, FLOATS)
def logaddexp2(x1: Any, x2: Any, /) -> Any:
    """log2(2**x1 + 2**x2) without overflow; as logaddexp otherwise, imaginary parts from -pi /
    log(2) to pi / log(2).
    """
    weak = all(core.get_aval(value(x)).weak_type for x in (x1, x2))
    x1, x2 = promote_inexact("logaddexp2", x1, x2)
    return convert(_logaddexp_of(True)(x1, x2), dtype_of(x1), weak)


# ---------------------------------------------------------------- floats taken apart


@explained(TWO, FLOATS)
def hypot(x1: Any, x2: Any, /) -> Any:
    """sqrt(x1**2 + x2**2) without overflow; inf if either is infinite. ValueError for complex
    numbers. Both derivatives at (0, 0) are 1/2.
    """
    weak = all(core.get_aval(value(x)).weak_type for x in (x1, x2))
    x1, x2 = promote_inexact("hypot", x1, x2)
    if dtype_of(x1).kind == "c":
        raise ValueError("fx.numpy.hypot is not well defined for complex-valued inputs.")
    x1, x2 = lax.abs(x1), lax.abs(x2)
    infinite = u.logical_or(u.isposinf(x1), u.isposinf(x2))
    large, small = lax.max(x1, x2), lax.min(x1, x2)
    divisor = base.where_(lax.eq(large, const_as(large, 0)), const_as(large, 1), large)
    ratio = lax.div(small, divisor)
    out = lax.mul(large, lax.sqrt(lax.add(const_as(x1, 1), lax.integer_pow(ratio, 2))))
    return convert(base.where_(infinite, const_as(out, np.inf), out), dtype_of(x1), weak)


def copysign(x1: Any, x2: Any, /) -> Any:
    """|x1| with the sign of x2, that of -0.0 too, element by element. The operands broadcast (else
    ValueError); integers and booleans become floats. TypeError for complex numbers.
    """
    x1, x2 = promote_inexact("copysign", x1, x2)
    if dtype_of(x1).kind == "c":
        raise TypeError("copysign does not support complex-valued inputs")
    magnitude = lax.abs(x1)
    return base.where_(signbit(x2), lax.neg(magnitude), magnitude)


_BITS = {2: np.uint16, 4: np.uint32, 8: np.uint64, 1: np.uint8}


@explained(ONE, BOOLS)
def signbit(x: Any, /) -> Any:
    """Whether the sign bit is set, as it is in -0.0 and in negative NaNs. TypeError for complex
    numbers.
    """
    (x,) = promote("signbit", x)
    d = dtype_of(x)
    if d == np.bool_ or d.kind == "u":
        return lax.full(core.get_aval(x).shape, False, np.dtype(np.bool_))
    if is_integer(d):
        return lax.lt(x, const_as(x, 0))
    if d.kind == "c":
        raise TypeError("fx.numpy.signbit is not well defined for complex-valued inputs.")
    bits = lax.bitcast_convert_type(x, np.dtype(_BITS[d.itemsize]))
    top = const_as(bits, 8 * d.itemsize - 1)
    return lax.ne(lax.shift_right_logical(bits, top), const_as(bits, 0))


def frexp(x: Any, /) -> tuple[Any, Any]:
    """Mantissas m and exponents e with x = m * 2**e and 0.5 <= |m| < 1, both in the shape of x: m
    in its float dtype (integers become floats), e int32. Zeros, infinities and NaN are their own
    mantissas, with exponent 0. The derivative of m is 2**-e. TypeError for complex numbers.
    """
    (x,) = promote_inexact("frexp", x)
    if dtype_of(x).kind == "c":
        raise TypeError("frexp does not support complex-valued inputs")
    return _frexp()(x)


@functools.cache
def _frexp() -> Any:
    """frexp of floats; its parts are bits, so that it says its derivative itself."""
    from fx.custom import custom_jvp

    frexp = custom_jvp(_frexp_by_bits)

    def jvp(primals: Any, tangents: Any) -> Any:
        ((x,), (t,)) = primals, tangents
        mantissa, exponent = frexp(x)
        zero = np.zeros(core.get_aval(exponent).shape, float0)
        return (mantissa, exponent), (ldexp(t, lax.neg(exponent)), zero)

    frexp.defjvp(jvp)
    return frexp


def _frexp_by_bits(x: Any) -> tuple[Any, Any]:
    d = dtype_of(x)
    info = finfo(d)
    uint = np.dtype(_BITS[d.itemsize])
    bits = lax.bitcast_convert_type(x, uint)
    mask = (1 << info.nexp) - 1
    shifted = lax.shift_right_logical(bits, const_as(bits, info.nmant))
    exponent = convert(lax.bitwise_and(shifted, const_as(bits, mask)), np.dtype(np.int32))
    subnormal = lax.eq(exponent, const_as(exponent, 0))
    scaled = lax.mul(x, const_as(x, 2.0**info.nmant))
    scaled_bits = lax.bitcast_convert_type(scaled, uint)
    again = lax.shift_right_logical(scaled_bits, const_as(bits, info.nmant))
    again = convert(lax.bitwise_and(again, const_as(bits, mask)), np.dtype(np.int32))
    exponent = base.where_(subnormal, lax.sub(again, const_as(again, info.nmant)), exponent)
    bias = (1 << (info.nexp - 1)) - 2
    source = base.where_(subnormal, scaled_bits, bits)
    cleared = lax.bitwise_and(
        source, const_as(source, ~(mask << info.nmant) & ((1 << 8 * d.itemsize) - 1))
    )
    mantissa = lax.bitcast_convert_type(
        lax.bitwise_or(cleared, const_as(source, bias << info.nmant)), d
    )
    special = u.logical_or(u.logical_not(u.isfinite(x)), lax.eq(x, const_as(x, 0)))
    zero = const_as(exponent, 0)
    exponent = base.where_(special, zero, lax.sub(exponent, const_as(exponent, bias)))
    return base.where_(special, x, mantissa), exponent


def ldexp(x1: Any, x2: Any, /) -> Any:
    """x1 * 2**x2, in two steps so that no intermediate overflows, in the broadcast shape and the
    dtype of x1 (integers become floats). ValueError where x2 is not of integers or booleans, or x1
    is complex.
    """
    check_arraylike("ldexp", x1, x2)
    whole = is_integer(dtype_of(value(x2))) or dtype_of(value(x2)) == np.bool_
    if not whole or dtype_of(value(x1)).kind == "c":
        raise ValueError(f"ldexp not supported for input types {(dtype_of(x1), dtype_of(x2))}")
    (x1,) = promote_dtypes("ldexp", *promote_inexact("ldexp", x1))
    shape = np.broadcast_shapes(core.get_aval(x1).shape, core.get_aval(x2).shape)
    d = dtype_of(x1)
    x1 = broadcast_value(x1, shape)
    steps = broadcast_value(convert(x2, np.dtype(np.int32)), shape)
    half = lax.div(steps, const_as(steps, 2))
    out = x1
    for part in (half, lax.sub(steps, half)):
        out = lax.mul(out, convert(lax.exp2(convert(part, d)), d))
    return out


def modf(x: Any, /, out: None = None) -> tuple[Any, Any]:
    """The fractional and the whole part, both with the sign of x, its shape and its float dtype
    (integers become floats). The fraction of infinity is NaN. TypeError for complex numbers.
    """
    no_out("modf", out)
    (x,) = promote_inexact("modf", x)
    whole = base.where_(lax.ge(x, const_as(x, 0)), lax.floor(x), lax.ceil(x))
    return lax.sub(x, whole), whole


@explained(ONE, FLOATS)
def spacing(x: Any, /) -> Any:
    """The distance to the next float away from zero, with the sign of x. TypeError for complex
    numbers. It has no derivative.
    """
    (x,) = promote_inexact("spacing", x)
    away = lax.nextafter(x, copysign(const_as(x, np.inf), x))
    return lax.sub(away, x)


# ---------------------------------------------------------------- others


@explained(ONE, FLOATS)
def sinc(x: Any, /) -> Any:
    """sin(pi x) / (pi x), 1 at 0; its Taylor series near 0 keeps derivatives exact there."""
    (x,) = promote_inexact("sinc", x)
    px = lax.mul(const_as(x, np.pi), x)
    size = lax.abs(px)
    near = lax.lt(size, const_as(size, 0.5))
    small, rest = base.where_(near, px, const_as(x, 0)), base.where_(near, const_as(x, 1), px)
    square, series = lax.mul(small, small), const_as(x, 0)
    for k in range(16, -1, -2):
        term = const_as(x, (-1) ** (k // 2) / math.factorial(k + 1))
        series = lax.add(lax.mul(series, square), term)
    return base.where_(near, series, lax.div(lax.sin(rest), rest))


@explained(TWO, FLOATS)
def heaviside(x1: Any, x2: Any, /) -> Any:
    """0 below zero, x2 at zero, 1 above, NaN for NaN. TypeError for complex numbers."""
    weak = core.get_aval(value(x1)).weak_type
    x1, x2 = promote_inexact("heaviside", x1, x2)
    weak = weak and core.get_aval(x1).weak_type
    zero, one = const_as(x1, 0), const_as(x1, 1)
    out = base.where_(lax.lt(x1, zero), zero, base.where_(lax.gt(x1, zero), one, x2))
    return convert(base.where_(u.isnan(x1), x1, out), dtype_of(x1), weak)


@explained(TWO)
def fmax(x1: Any, x2: Any) -> Any:
    """The larger of x1 and x2 in their promoted dtype; a NaN loses against a number."""
    x1, x2 = promote("fmax", x1, x2)
    return base.where_(u.logical_or(u.greater(x1, x2), u.isnan(x2)), x1, x2)


@explained(TWO)
def fmin(x1: Any, x2: Any) -> Any:
    """The smaller of x1 and x2 in their promoted dtype; a NaN loses against a number."""
    x1, x2 = promote("fmin", x1, x2)
    return base.where_(u.logical_or(u.less(x1, x2), u.isnan(x2)), x1, x2)


def clip(arr: Any = None, /, min: Any = None, max: Any = None, *, a: Any = None) -> Any:
    """Values below min become min, above max become max, in the broadcast shape and promoted dtype
    of all three. NaN stays. At a bound the gradient splits evenly. ValueError for complex numbers.
    """
    arr = a if arr is None else arr
    if arr is None:
        raise ValueError("At most one of a and min/max may be None: clip needs an array.")
    given = [v for v in (min, max) if v is not None]
    check_arraylike("clip", arr, *given)
    if any(dtype_of(value(v)).kind == "c" for v in (arr, *given)):
        raise ValueError(
            "Clip received a complex value either through the input or the min/max keywords. "
            "Complex values "
            "have no ordering and cannot be clipped. Take .real or .imag first."
        )
    if min is not None:
        arr = u.maximum(min, arr)
    if max is not None:
        arr = u.minimum(max, arr)
    return arr if given else base.itself(*promote("clip", arr))


def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """NaN replaced by `nan`, infinities by `posinf` and `neginf` (by default the largest and least
    finite number), in the shape and dtype of x; of complex numbers in both parts. Integers and
    booleans stay.
    """
    (x,) = promote("nan_to_num", x)
    d = dtype_of(x)
    if d.kind == "c":
        parts = [nan_to_num(p, copy, nan, posinf, neginf) for p in (lax.real(x), lax.imag(x))]
        return lax.complex(*parts)
    if not is_floating(d):
        return base.itself(x)
    info = finfo(d)
    shape = core.get_aval(x).shape

    def fill(v: Any) -> Any:
        return broadcast_value(convert(v, d), shape)

    x = base.where_(u.isnan(x), fill(nan), x)
    x = base.where_(u.isposinf(x), fill(float(info.max) if posinf is None else posinf), x)
    return base.where_(u.isneginf(x), fill(float(info.min) if neginf is None else neginf), x)


@explained(TWO)
def gcd(x1: Any, x2: Any) -> Any:
    """The greatest common divisor of integers, not negative (0 of two zeros), by Euclid's algorithm
    on all elements at once: as many rounds as the slowest pair takes. ValueError for other dtypes.
    """
    x1, x2 = promote_numeric("gcd", x1, x2)
    if not is_integer(dtype_of(x1)):
        raise ValueError("Arguments to fx.numpy.gcd must be integers.")

    def body(state: Any) -> Any:
        a, b = state
        zero = const_as(b, 0)
        done = lax.eq(b, zero)
        rest = lax.rem(a, base.where_(done, const_as(b, 1), b))
        return base.where_(done, a, b), base.where_(done, zero, rest)

    def more(state: Any) -> Any:
        from fx.numpy.reductions import any as any_

        return any_(lax.ne(state[1], const_as(state[1], 0)))

    def positive(v: Any) -> Any:
        return v if dtype_of(v).kind == "u" else lax.abs(v)

    # the least integer is its own absolute value: remainders of it are negative
    return positive(lax.while_loop(more, body, (positive(x1), positive(x2)))[0])


@explained(TWO)
def lcm(x1: Any, x2: Any) -> Any:
    """The least common multiple of integers, not negative, 0 where one is 0; products beyond the
    dtype wrap. ValueError for other dtypes.
    """
    x1, x2 = promote_numeric("lcm", x1, x2)
    if not is_integer(dtype_of(x1)):
        raise ValueError("Arguments to fx.numpy.lcm must be integers.")
    x1, x2 = (v if dtype_of(v).kind == "u" else lax.abs(v) for v in (x1, x2))
    divisor = gcd(x1, x2)
    zero = lax.eq(divisor, const_as(divisor, 0))
    safe = base.where_(zero, const_as(divisor, 1), divisor)
    return base.where_(zero, const_as(divisor, 0), lax.mul(x1, lax.div(x2, safe)))


@explained(ONE, FLOATS)
def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind, order 0: exp(|x|) i0e(x). ValueError for
    complex numbers.
    """
    (x,) = promote_inexact("i0", x)
    if dtype_of(x).kind == "c":
        raise ValueError("fx.numpy.i0 is not well defined for complex numbers")
    from fx.scipy.special import bessel

    return bessel.i0(x)


# ---------------------------------------------------------------- comparisons of arrays


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether |a - b| <= atol + rtol * |b|, element by element: booleans of the broadcast shape.
    Infinities are close to equal ones only; NaNs to NaNs with `equal_nan`. Integers are compared as
    floats, keys for equality.
    """
    a, b = promote("isclose", a, b)
    d = dtype_of(a)
    if d.kind == "V":
        return u.equal(a, b)
    if d == np.bool_ or is_integer(d):
        a, b = promote_inexact("isclose", a, b)
        d = dtype_of(a)
    real = (
        np.dtype(d.name.replace("complex64", "float32").replace("complex128", "float64"))
        if (d.kind == "c")
        else d
    )
    size = lax.abs(b)
    limit = u.add(u.multiply(convert(rtol, real), size), convert(atol, real))
    out = lax.le(lax.abs(lax.sub(a, b)), limit)
    both = u.logical_and(u.isfinite(a), u.isfinite(b))
    out = u.logical_and(out, both)
    out = u.logical_or(out, lax.eq(a, b))
    if equal_nan:
        out = u.logical_or(out, u.logical_and(u.isnan(a), u.isnan(b)))
    return out


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether isclose holds for all pairs of elements, |a - b| <= atol + rtol |b|: one boolean, an
    array of no axes.
    """
    from fx.numpy.reductions import all as all_

    return all_(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have the same shape and elements (NaNs equal with `equal_nan`): one
    boolean, an array of no axes. Lists are taken as arrays; False, not an error, for what is no
    array.
    """
    from fx.numpy.creation import asarray
    from fx.numpy.reductions import all as all_

    try:
        a1, a2 = asarray(a1), asarray(a2)
    except (TypeError, ValueError):
        return wrap(np.bool_(False))
    if core.get_aval(a1).shape != core.get_aval(a2).shape:
        return wrap(np.bool_(False))
    same = u.equal(a1, a2)
    if equal_nan:
        same = u.logical_or(same, u.logical_and(u.isnan(a1), u.isnan(a2)))
    return all_(same)


def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays are equal after broadcasting: one boolean, an array of no axes; False
    where the shapes do not broadcast. Lists are taken as arrays.
    """
    from fx.numpy.creation import asarray
    from fx.numpy.reductions import all as all_

    try:
        a1, a2 = asarray(a1), asarray(a2)
        np.broadcast_shapes(core.get_aval(a1).shape, core.get_aval(a2).shape)
    except (TypeError, ValueError):
        return wrap(np.bool_(False))
    return all_(u.equal(a1, a2))
