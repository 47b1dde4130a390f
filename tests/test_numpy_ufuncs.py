"""fx.numpy against NumPy: ufuncs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_cases import b, c, check, f, i, nanx, p

import fx.numpy as fnp

pytestmark = pytest.mark.eager

CASES = [
    (lambda xp: xp.add(1, 2), "int32*"),
    (lambda xp: xp.add(1, 2.5), "float32*"),
    (lambda xp: xp.add(True, True), "bool"),
    (lambda xp: xp.add(i(3), 2.0), "float32*"),
    (lambda xp: xp.add(i(3), f(2, 3)), "float32"),
    (lambda xp: xp.add(np.int8(1), np.int16(2)), "int16"),
    (lambda xp: xp.add(np.uint8(1), np.int8(2)), "int16"),
    (lambda xp: xp.add(np.float16(1), np.float32(2)), "float32"),
    (lambda xp: xp.multiply(True, True), "bool"),
    (lambda xp: xp.subtract(i(3), 1), "int32"),
    (lambda xp: xp.divide(i(3), 2), "float32"),
    (lambda xp: xp.divide(1, 0), "float32*"),
    (lambda xp: xp.floor_divide(i(9), 3), "int32"),
    (lambda xp: xp.floor_divide(i(9), -3), "int32"),
    (lambda xp: xp.floor_divide(f(9), 0.3), "float32"),
    (lambda xp: xp.floor_divide(-5, 3), "int32*"),
    (lambda xp: xp.floor_divide(5.0, -3), "float32*"),
    (lambda xp: xp.remainder(i(9), 3), "int32"),
    (lambda xp: xp.remainder(i(9), -3), "int32"),
    (lambda xp: xp.remainder(f(9), -0.3), "float32"),
    (lambda xp: xp.mod(5, -3.0), "float32*"),
    (lambda xp: xp.fmod(i(9), 3), "int32"),
    (lambda xp: xp.fmod(f(9), 0.3), "float32"),
    (lambda xp: xp.divmod(i(9), 4), "int32"),
    (lambda xp: xp.divmod(f(9), 0.4), "float32"),
    (lambda xp: xp.power(2, 3), "int32*"),
    (lambda xp: xp.power(f(4), 2), "float32"),
    (lambda xp: xp.power(f(4), -1), "float32"),
    (lambda xp: xp.power(i(4), 3), "int32"),
    (lambda xp: xp.power(p(4), 0.5), "float32"),
    (lambda xp: xp.power(i(4), np.arange(4)), "int32"),
    (lambda xp: xp.power(f(4), np.arange(4)), "float32"),
    (lambda xp: xp.power(2.0, i(4)), "float32"),
    (lambda xp: xp.power(2, f(4)), "float32"),
    (lambda xp: xp.float_power(i(3), 2), "float32"),
    (lambda xp: xp.negative(i(3)), "int32"),
    (lambda xp: xp.positive(i(3)), "int32"),
    (lambda xp: xp.abs(i(3)), "int32"),
    (lambda xp: xp.abs(c(3)), "float32"),
    (lambda xp: xp.fabs(i(3)), "float32"),
    (lambda xp: xp.sign(f(4)), "float32"),
    (lambda xp: xp.sign(c(4)), "complex64"),
    (lambda xp: xp.sign(i(4)), "int32"),
    (lambda xp: xp.floor(f(4) * 3), "float32"),
    (lambda xp: xp.ceil(f(4) * 3), "float32"),
    (lambda xp: xp.floor(i(4)), "int32"),
    (lambda xp: xp.trunc(f(4) * 3), "float32"),
    (lambda xp: xp.round(f(4) * 100, 1), "float32"),
    (lambda xp: xp.round(np.array([0.5, 1.5, 2.5], "float32")), "float32"),
    (lambda xp: xp.round(f(4) * 100, -1), "float32"),
    (lambda xp: xp.round(c(4) * 9, 1), "complex64"),
    (lambda xp: xp.around(f(4), 2), "float32"),
    (lambda xp: xp.rint(f(4) * 3), "float32"),
    (lambda xp: xp.rint(i(4)), "float32"),
    (lambda xp: xp.sqrt(p(4)), "float32"),
    (lambda xp: xp.sqrt(i(4)), "float32"),
    (lambda xp: xp.square(i(4)), "int32"),
    (lambda xp: xp.square(f(4)), "float32"),
    (lambda xp: xp.reciprocal(f(4)), "float32"),
    (lambda xp: xp.cbrt(f(4)), "float32"),
    (lambda xp: xp.exp(f(4)), "float32"),
    (lambda xp: xp.exp(1), "float32*"),
    (lambda xp: xp.exp2(i(4)), "float32"),
    (lambda xp: xp.expm1(f(4)), "float32"),
    (lambda xp: xp.log(p(4)), "float32"),
    (lambda xp: xp.log2(p(4)), "float32"),
    (lambda xp: xp.log10(p(4)), "float32"),
    (lambda xp: xp.log1p(p(4)), "float32"),
    (lambda xp: xp.sin(f(4)), "float32"),
    (lambda xp: xp.sin(np.int8(3)), "float32"),
    (lambda xp: xp.sin(np.float16(3)), "float16"),
    (lambda xp: xp.cos(c(4)), "complex64"),
    (lambda xp: xp.tan(f(4)), "float32"),
    (lambda xp: xp.arcsin(f(4) / 5), "float32"),
    (lambda xp: xp.arccos(f(4) / 5), "float32"),
    (lambda xp: xp.arctan(f(4)), "float32"),
    (lambda xp: xp.arctan2(f(4), p(4)), "float32"),
    (lambda xp: xp.arctan2(i(4), 2), "float32"),
    (lambda xp: xp.sinh(f(4)), "float32"),
    (lambda xp: xp.cosh(f(4)), "float32"),
    (lambda xp: xp.tanh(f(4)), "float32"),
    (lambda xp: xp.arcsinh(f(4)), "float32"),
    (lambda xp: xp.arccosh(p(4) + 1), "float32"),
    (lambda xp: xp.arctanh(f(4) / 9), "float32"),
    (lambda xp: xp.degrees(f(4)), "float32"),
    (lambda xp: xp.radians(i(4)), "float32"),
    (lambda xp: xp.hypot(f(4), p(4)), "float32"),
    (lambda xp: xp.hypot(3, 4), "float32*"),
    (lambda xp: xp.logaddexp(f(4), p(4)), "float32"),
    (lambda xp: xp.logaddexp(-np.inf, -np.inf), "float32*"),
    (lambda xp: xp.logaddexp(np.inf, 1.0), "float32*"),
    (lambda xp: xp.logaddexp2(f(4), p(4)), "float32"),
    (lambda xp: xp.maximum(f(4), 0), "float32"),
    (lambda xp: xp.minimum(i(4), 1.5), "float32*"),
    (lambda xp: xp.maximum(np.nan, 1.0), "float32*"),
    (lambda xp: xp.maximum(c(4), c(4)[::-1]), "complex64"),
    (lambda xp: xp.fmax(np.array([np.nan, 1], "float32"), 2.0), "float32"),
    (lambda xp: xp.fmin(np.array([np.nan, 1], "float32"), np.nan), "float32"),
    (lambda xp: xp.less(f(4), 0), "bool"),
    (lambda xp: xp.less(c(4), c(4)[::-1]), "bool"),
    (lambda xp: xp.greater_equal(i(4), 1), "bool"),
    (lambda xp: xp.equal(i(4), 1.0), "bool"),
    (lambda xp: xp.not_equal(True, 1), "bool"),
    (lambda xp: xp.logical_and(i(4), f(4)), "bool"),
    (lambda xp: xp.logical_or(i(4), 0), "bool"),
    (lambda xp: xp.logical_xor(i(4), 1), "bool"),
    (lambda xp: xp.logical_not(i(4)), "bool"),
    (lambda xp: xp.bitwise_and(i(4), 3), "int32"),
    (lambda xp: xp.bitwise_or(b(4), True), "bool"),
    (lambda xp: xp.bitwise_xor(i(4), i(4)[::-1]), "int32"),
    (lambda xp: xp.invert(i(4)), "int32"),
    (lambda xp: xp.invert(b(4)), "bool"),
    (lambda xp: xp.left_shift(i(4), 2), "int32"),
    (lambda xp: xp.right_shift(i(4), 1), "int32"),
    (lambda xp: xp.right_shift(np.uint8(200), 1), "uint8"),
    (lambda xp: xp.bitwise_count(i(4)), "uint8"),
    (lambda xp: xp.isnan(nanx()), "bool"),
    (lambda xp: xp.isinf(np.array([np.inf, 1.0], "float32")), "bool"),
    (lambda xp: xp.isfinite(i(4)), "bool"),
    (lambda xp: xp.isfinite(c(4)), "bool"),
    (lambda xp: xp.isposinf(np.array([np.inf, -np.inf], "float32")), "bool"),
    (lambda xp: xp.isneginf(np.array([np.inf, -np.inf], "float32")), "bool"),
    (lambda xp: xp.iscomplex(c(4)), "bool"),
    (lambda xp: xp.isreal(f(4)), "bool"),
    (lambda xp: xp.real(c(4)), "float32"),
    (lambda xp: xp.imag(f(4)), "float32"),
    (lambda xp: xp.conj(c(4)), "complex64"),
    (lambda xp: xp.angle(c(4)), "float32"),
    (lambda xp: xp.angle(f(4), deg=True), "float32"),
    (lambda xp: xp.copysign(f(4), -1.0), "float32"),
    (lambda xp: xp.signbit(np.array([0.0, -0.0, 1, -1], "float32")), "bool"),
    (lambda xp: xp.signbit(i(4)), "bool"),
    (lambda xp: xp.frexp(f(6) * 100), "float32 int32"),
    (lambda xp: xp.frexp(np.array([0.0, np.inf, np.nan, 1e-40], "float32")), "float32 int32"),
    (lambda xp: xp.ldexp(f(4), i(4)), "float32"),
    (lambda xp: xp.modf(f(4) * 5), "float32"),
    (lambda xp: xp.nextafter(f(4), 1.0), "float32"),
    (lambda xp: xp.spacing(f(4)), "float32"),
    (lambda xp: xp.sinc(np.array([0.0, 0.5, 1.0], "float32")), "float32"),
    (lambda xp: xp.heaviside(np.array([-1.0, 0, 1], "float32"), 0.5), "float32"),
    (lambda xp: xp.clip(f(5), -0.5, 0.5), "float32"),
    (lambda xp: xp.clip(i(5), max=2.5), "float32*"),
    (lambda xp: xp.nan_to_num(np.array([np.nan, np.inf, -np.inf, 1], "float32")), "float32"),
    (
        lambda xp: xp.nan_to_num(
            np.array([np.nan, np.inf, -np.inf, 1], "float32"), nan=1.0, posinf=2.0, neginf=3.0
        ),
        "float32",
    ),
    (lambda xp: xp.gcd(i(5) * 6, np.array([4, 6, 8, 9, 10])), "int32"),
    (lambda xp: xp.lcm(i(5), np.array([4, 6, 8, 9, 10])), "int32"),
    (lambda xp: xp.i0(f(4)), "float32"),
    (lambda xp: xp.isclose(f(4), f(4) + 1e-6), "bool"),
    (lambda xp: xp.isclose(np.inf, np.inf), "bool"),
    (lambda xp: xp.sin(xp.asarray(2.0)), "float32*"),
    (lambda xp: xp.add.reduce(f(3, 4)), "float32"),
    (lambda xp: xp.add.accumulate(f(3, 4), axis=1), "float32"),
    (lambda xp: xp.add.outer(f(2), f(3)), "float32"),
    (lambda xp: xp.add.reduceat(f(6), np.array([0, 3, 1, 4])), "float32"),
    (lambda xp: xp.multiply.reduce(f(3, 4), axis=1), "float32"),
    (lambda xp: xp.subtract.accumulate(f(4)), "float32"),
    (lambda xp: xp.subtract.reduce(f(4)), "float32"),
    (lambda xp: xp.maximum.reduce(f(3, 4), axis=0), "float32"),
    (lambda xp: xp.maximum.accumulate(f(5)), "float32"),
    (lambda xp: xp.logical_and.reduce(b(3, 4)), "bool"),
    (lambda xp: xp.logical_or.reduce(b(3, 4), axis=1), "bool"),
    (lambda xp: xp.bitwise_or.reduce(i(4)), "int32"),
    (lambda xp: xp.logaddexp.reduce(f(4)), "float32"),
    (lambda xp: xp.logaddexp.reduce(np.arange(1, 4)), "float32"),
    (lambda xp: xp.logaddexp2.accumulate(np.arange(1, 4)), "float32"),
    (lambda xp: xp.logical_and.accumulate(np.array([3, 2, 0, 1])), "bool"),
    (lambda xp: xp.logical_xor.reduceat(np.array([3, 2, 0, 1]), np.array([0, 2])), "bool"),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_ufuncs(case):
    check(case)


def test_integer_powers_of_booleans_are_not_weak():
    flags = fnp.array([True, False])
    for out in (3**flags, flags**2, fnp.power(fnp.asarray(3), flags)):
        assert out.dtype == "int32" and not out.weak_type


COMPLEX = np.complex64([[1 + 2j, -3 + 0.5j, 1], [1 - 2j, -3 + 1j, 2j]])


def test_complex_numbers_order_by_real_then_imaginary_part():
    x, y = COMPLEX
    np.testing.assert_array_equal(fnp.fmax(x, y), np.fmax(x, y))
    np.testing.assert_array_equal(fnp.fmin(x, y), np.fmin(x, y))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_powers_of_integers_wrap(dtype):
    bits, signed = 8 * np.dtype(dtype).itemsize, dtype.startswith("i")
    bases = [0, 1, 2, 3, 10, 2 ** (bits - 1) - 1, *((-1, -7, -(2 ** (bits - 1))) if signed else ())]
    x, y = (v.ravel() for v in np.meshgrid(np.array(bases, dtype), np.arange(64).astype(dtype)))
    want = np.array([pow(int(a), int(b)) % 2**bits for a, b in zip(x, y)], f"uint{bits}")
    np.testing.assert_array_equal(fnp.power(x, y), want.view(dtype))
    last = np.array([100, 101, 126, 127], dtype)
    np.testing.assert_array_equal(fnp.power(np.zeros(4, dtype), last), np.zeros(4))
    np.testing.assert_array_equal(fnp.power(np.ones(4, dtype), last), np.ones(4))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_common_divisors_of_the_least_integer_are_not_negative(dtype):
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    x, y = np.array([least, most, least, 6], dtype), np.array([most, least, 6, least], dtype)
    assert fnp.gcd(x, y).tolist() == [1, 1, 2, 2]


def test_the_angle_of_complex_coordinates_turns_them_into_sine_and_cosine():
    y, x = COMPLEX
    angle, radius = fnp.arctan2(y, x), fnp.sqrt(x * x + y * y)
    np.testing.assert_allclose(fnp.sin(angle) * radius, y, 1e-4)
    np.testing.assert_allclose(fnp.cos(angle) * radius, x, 1e-4, 1e-5)


def test_every_result_is_an_array_of_numbers_the_function_is_defined_for():
    assert isinstance(fnp.nan_to_num(2), fnp.ndarray)
    with pytest.raises(ValueError, match="i0"):
        fnp.i0(1j)
