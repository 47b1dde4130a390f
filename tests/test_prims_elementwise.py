"""Elementwise primitives: special values, ties, integers, complex conventions, dtypes, messages."""

from __future__ import annotations

import numpy as np
import pytest

import fx
from fx import lax
from fx.avals import ShapedArray
from fx.config import enable_x64
from fx.core import PRIMITIVES

F = np.float32
INF, NAN = np.inf, np.nan


def check(found, expected, rtol=1e-6):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol, 1e-7)


# (function, operands, expected): values where definitions differ between libraries
VALUES = [
    (lax.max, ([1, NAN, -INF], [NAN, 1, 2]), [NAN, NAN, 2]),
    (lax.min, ([1, NAN, INF], [NAN, 1, 2]), [NAN, NAN, 2]),
    (lax.sign, ([-2, -0.0, NAN, INF],), [-1, -0.0, NAN, 1]),
    (lax.rem, ([5, -5, 5, 1], [3, 3, -3, 0]), [2, -2, 2, NAN]),
    (lax.round, ([0.5, 1.5, -0.5, 0.49999997],), [1, 2, -1, 0]),
    (lax.pow, ([0, 0, -8, 2], [0, 2, 1 / 3, -1]), [1, 0, NAN, 0.5]),
    (lax.cbrt, ([-8, 0, 27],), [-2, 0, 3]),
    (lax.rsqrt, ([4, 0, -1],), [0.5, INF, NAN]),
    (lax.logistic, ([-100, 0, 100],), [0, 0.5, 1]),
    (lax.atan2, ([0.0, -0.0, 1], [-1, -1, 0]), [np.pi, -np.pi, np.pi / 2]),
    (lax.nextafter, ([1, 0], [2, -1]), [np.nextafter(F(1), F(2)), -1e-45]),
    (lax.is_finite, ([1, INF, NAN],), [True, False, False]),
    (lax.erf_inv, ([0, 1, -1],), [0, INF, -INF]),
]


@pytest.mark.parametrize("f, args, expected", VALUES, ids=[v[0].__name__ for v in VALUES])
def test_special_values(f, args, expected) -> None:
    with np.errstate(all="ignore"):
        check(f(*(F(a) for a in args)), expected)


INTEGERS = [
    (lax.div, ([7, -7, 7, -7, 5], [2, 2, -2, -2, 0]), [3, -3, -3, 3, -1]),
    (lax.rem, ([7, -7, 7, -7, 5], [2, 2, -2, -2, 0]), [1, -1, 1, -1, 5]),
    (lax.shift_left, ([1, 1, 3], [4, 32, 31]), [16, 0, -(2**31)]),
    (lax.shift_right_arithmetic, ([-8, -8, 8], [1, 40, 2]), [-4, -1, 2]),
    (lax.shift_right_logical, ([-8, -8, 8], [28, 40, 2]), [15, 0, 2]),
    (lax.population_count, ([0, -1, 5],), [0, 32, 2]),
    (lax.clz, ([0, -1, 5],), [32, 0, 29]),
    (lax.mulhi, ([2**30, -1, -(2**31)], [4, 1, 2]), [1, -1, -1]),
    (lax.bitwise_xor, ([6, -1], [3, 1]), [5, -2]),
    (lax.bitwise_not, ([0, -1],), [-1, 0]),
]


@pytest.mark.parametrize("f, args, expected", INTEGERS, ids=[v[0].__name__ for v in INTEGERS])
def test_integers(f, args, expected) -> None:
    found = f(*(np.int32(a) for a in args))
    assert np.asarray(found).tolist() == expected


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("kind", ["int", "uint"])
def test_the_high_half_of_a_product(kind, bits) -> None:
    info = np.iinfo(f"{kind}{bits}")
    ends = [info.min, info.min + 1, 0, 1, 3, info.max // 3, info.max - 1, info.max]
    x, y = (v.ravel() for v in np.meshgrid(np.array(ends, info.dtype), np.array(ends, info.dtype)))
    want = [(int(a) * int(b)) >> bits for a, b in zip(x, y)]
    with enable_x64(True):
        for f in (lax.mulhi, fx.jit(lax.mulhi)):
            found = f(x, y)
            assert found.dtype == info.dtype
            assert found.tolist() == want


def test_overflow_wraps() -> None:
    assert int(lax.add(np.int32(2**31 - 1), np.int32(1))) == -(2**31)
    assert int(lax.div(np.int32(-(2**31)), np.int32(-1))) == -(2**31)
    assert int(lax.neg(np.uint8(1))) == 255


# ---------------------------------------------------------------- derivatives at the edges


def gradient(f, *xs):
    return [float(g) for g in fx.grad(f, tuple(range(len(xs))))(*(F(x) for x in xs))]


def test_ties_share_evenly() -> None:
    assert gradient(lax.max, 2, 2) == [0.5, 0.5]
    assert gradient(lax.min, 2, 2) == [0.5, 0.5]
    assert gradient(lax.max, 2, 1) == [1, 0]


def test_slopes_at_zero() -> None:
    assert gradient(lax.abs, 0) == [1]
    assert gradient(lambda x: lax.integer_pow(x, 0), 0) == [0]
    assert gradient(lambda x: lax.integer_pow(x, 1), 0) == [1]
    assert gradient(lambda x: lax.integer_pow(x, 2), 0) == [0]
    assert gradient(lambda x: lax.pow(x, np.int32(0)), 0) == [0]
    assert gradient(lambda x: lax.pow(x, F(2)), 0) == [0]
    assert gradient(lambda y: lax.pow(F(0), y), 2) == [0]
    assert gradient(lambda x: lax.clamp(F(0), x, F(1)), 0) == [0]
    assert gradient(lambda x: lax.clamp(F(0), x, F(1)), 0.5) == [1]


def test_bounds_of_clamp_have_derivatives() -> None:
    low, x, high = (fx.grad(lax.clamp, k)(F(0), F(-1), F(1)) for k in range(3))
    assert [float(low), float(x), float(high)] == [1, 0, 0]


def test_second_derivatives() -> None:
    assert float(fx.grad(fx.grad(lambda x: lax.integer_pow(x, 3)))(2.0)) == 12
    check(fx.grad(fx.grad(lax.tanh))(0.5), -2 * np.tanh(0.5) / np.cosh(0.5) ** 2, 1e-5)
    check(fx.grad(fx.grad(lax.log))(2.0), -0.25)


# ---------------------------------------------------------------- scalars spread


def test_scalars_spread() -> None:
    x = F([1, 2, 3])
    assert np.asarray(lax.mul(x, 2.0)).tolist() == [2, 4, 6]
    assert np.asarray(lax.add(1, x)).dtype == np.float32
    g = fx.grad(lambda s: lax.reduce_sum(lax.mul(s, x), (0,)))(F(5))
    assert float(g) == 6
    out = fx.vmap(lambda s, v: lax.sub(v, s), (0, None))(F([1, 2]), x)
    assert np.asarray(out).tolist() == [[0, 1, 2], [-1, 0, 1]]


def test_weak_types() -> None:
    assert fx.make_jaxpr(lambda x: lax.add(x, 1))(2.0).out_avals[0].weak_type
    assert not fx.make_jaxpr(lambda x: lax.add(x, F(1)))(2.0).out_avals[0].weak_type
    assert not fx.make_jaxpr(lambda x: lax.lt(x, 1.0))(2.0).out_avals[0].weak_type


# ---------------------------------------------------------------- complex numbers


def test_gradients_of_complex_values_are_conjugate() -> None:
    """JAX's convention: for f(z) = |z|^2 the gradient is 2 conj(z)."""
    z = np.complex64(1 + 2j)
    size = lambda z: lax.add(lax.square(lax.real(z)), lax.square(lax.imag(z)))
    assert complex(fx.grad(size)(z)) == 2 - 4j
    check(fx.grad(lax.abs)(z), (1 - 2j) / np.sqrt(5))
    assert complex(fx.grad(lax.abs)(np.complex64(0))) == 0
    assert complex(fx.grad(lax.imag)(z)) == -1j


def test_holomorphic_derivative() -> None:
    z = np.complex64(0.3 + 0.4j)
    check(fx.grad(lax.sin, holomorphic=True)(z), np.cos(z))
    check(fx.grad(lax.acosh, holomorphic=True)(-z), 1 / (np.sqrt(-z - 1) * np.sqrt(-z + 1)), 1e-5)


def test_complex_extrema_are_lexicographic() -> None:
    x, y = np.complex64([1 + 2j, 1 - 1j]), np.complex64([1 + 1j, 2 + 0j])
    assert np.asarray(lax.max(x, y)).tolist() == [1 + 2j, 2 + 0j]
    assert np.asarray(fx.jit(lax.min)(x, y)).tolist() == [1 + 1j, 1 - 1j]


# ---------------------------------------------------------------- conversions


def test_conversions_saturate() -> None:
    x = F([1.9, -1.9, 300, -300, NAN, INF, 3e9])
    for dtype, expected in (
        (np.int32, [1, -1, 300, -300, 0, 2**31 - 1, 2**31 - 1]),
        (np.int8, [1, -1, 127, -128, 0, 127, 127]),
        (np.uint8, [1, 0, 255, 0, 0, 255, 255]),
        (np.bool_, [True] * 7),
    ):
        for f in (lax.convert_element_type, fx.jit(lax.convert_element_type, static_argnums=1)):
            assert np.asarray(f(x, dtype)).tolist() == expected


def test_bitcast_of_unequal_widths() -> None:
    x = np.uint32([0x00020001, 0x00040003])
    parts = lax.bitcast_convert_type(x, np.uint16)
    assert np.asarray(parts).tolist() == [[1, 2], [3, 4]]
    assert np.asarray(lax.bitcast_convert_type(parts, np.uint32)).tolist() == x.tolist()


def test_reduce_precision_is_float16() -> None:
    x = np.random.default_rng(0).uniform(-70000, 70000, 200).astype(np.float32)
    with np.errstate(over="ignore"):
        expected = x.astype(np.float16).astype(np.float32)
    assert np.asarray(lax.reduce_precision(x, 5, 10)).tolist() == expected.tolist()


# ---------------------------------------------------------------- every dtype

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64"


def values(dtype: np.dtype, near, rng) -> np.ndarray:
    if dtype.kind == "b":
        return rng.integers(0, 2, 40).astype(dtype)
    if dtype.kind in "iu":
        x = rng.integers(0 if dtype.kind == "u" else -9, 10, 40).astype(dtype)
        x[:2] = np.iinfo(dtype).max, np.iinfo(dtype).min
        return x
    x = rng.uniform(*near, 40)
    if dtype.kind == "c":
        x = x + 1j * rng.uniform(*near, 40)
    return x.astype(dtype)


@pytest.mark.lowering
@pytest.mark.parametrize("name", [*DTYPES.split(), "complex64", "complex128"])
def test_every_dtype_it_accepts(name: str, rng) -> None:
    """All elementwise primitives of one dtype in one jitted function, against eager code."""
    dtype = np.dtype(name) if name != "bfloat16" else fx.numpy.dtype(fx.numpy.bfloat16)
    chosen = []
    with enable_x64(True):
        for p in PRIMITIVES.values():
            case = next(iter(p.cases()), None) if p.cases and p.elementwise else None
            if case is None or case.params or p.name in ("convert_element_type", "stop_gradient"):
                continue
            count = len(case.shapes)
            try:
                p.abstract(*[ShapedArray((40,), dtype)] * count)
            except TypeError:
                continue
            ranges = [r if isinstance(r, tuple) else (0.5, 2.0) for r in case.ranges or ()]
            ranges += [(0.5, 2.0)] * (count - len(ranges))
            chosen.append((p, [values(dtype, near, rng) for near in ranges]))
        expected = [p.bind(*args) for p, args in chosen]
        found = fx.jit(lambda many: [p.bind(*a) for (p, _), a in zip(chosen, many)])(
            [args for _, args in chosen]
        )
    assert len(chosen) > 10
    narrow = {1: 0, 2: 1e-2}.get(dtype.itemsize, 1e-4)
    tolerance = 0 if dtype.kind in "biu" else narrow
    for (p, _), x, y in zip(chosen, found, expected, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.dtype == y.dtype, p.name
        wide = np.complex128
        np.testing.assert_allclose(
            x.astype(wide), y.astype(wide), tolerance, tolerance, err_msg=p.name
        )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_lanes_of_integers_divide_exactly(dtype) -> None:
    """Of all bytes; of more bits, at the ends of the range and around multiples of the divisor,
    where the quotient of floats is nearest to the next integer.
    """
    range_ = np.iinfo(dtype)
    if range_.bits == 8:
        every = np.arange(range_.min, range_.max + 1)
        a, b = (v.ravel() for v in np.meshgrid(every, every))
    else:
        rng = np.random.default_rng(0)
        b = np.append(rng.integers(range_.min, range_.max, 4000), rng.integers(-9, 9, 2000))
        b = np.append(b, [range_.min, range_.max, range_.max, range_.min, 1, -1, 0])
        top = range_.max // np.maximum(abs(b), 1)
        a = b * (rng.uniform(-1, 1, b.shape) * (top + 1)).astype(int)
        a, b = np.concatenate([a - 1, a, a + 1]), np.tile(b, 3)
        a = np.append(a, [range_.min, range_.max, range_.min, range_.min])
        b = np.append(b, [range_.min, range_.max, range_.max, -1])
    a, b = a.astype(dtype), b.astype(dtype)
    x, y = a.astype(object), b.astype(object)
    quotient = np.array([(abs(p) // abs(q)) * (-1 if (p < 0) != (q < 0) else 1) if q else -1
                         for p, q in zip(x, y)], object)  # fmt: skip
    rest = np.where(y == 0, x, x - quotient * np.where(y == 0, 1, y))
    for op, want in ((lax.div, quotient), (lax.rem, rest)):
        want = np.array([int(v) % 2**range_.bits for v in want]).astype(f"uint{range_.bits}")
        np.testing.assert_array_equal(fx.jit(op)(a, b), want.view(dtype), op.__name__)


# ---------------------------------------------------------------- messages

MESSAGES = [
    (lambda: lax.add(F([1, 2]), F([1, 2, 3])), r"add got incompatible shapes for broadcasting"),
    (lambda: lax.add(F([1, 2]), F([[1, 2]])), r"arrays must have same number of dimensions"),
    (
        lambda: lax.add(F(1), np.int32(1)),
        r"lax.add requires arguments to have the same dtypes, got",
    ),
    (
        lambda: lax.exp(np.int32(1)),
        r"exp does not accept dtype int32: it takes floats and complex numbers",
    ),
    (
        lambda: lax.cumsum(np.ones(2, bool)),
        r"cumsum does not accept dtype bool: it takes numbers\.",
    ),
    (lambda: lax.lt(np.complex64(1), np.complex64(1)), r"lt does not accept dtype complex64"),
    (lambda: lax.bitwise_and(F(1), F(1)), r"and does not accept dtype float32"),
    (lambda: lax.add([1, 2], 1), r"is not a valid array type"),
    (lambda: lax.select(F([1]), F([1]), F([1])), r"select `which` must be boolean or int32"),
    (lambda: lax.select(np.bool_(1), F([1]), F([1, 2])), r"cases must have the same shapes"),
    (
        lambda: lax.clamp(F([1]), F([1, 2]), F(1)),
        r"min.shape == operand.shape or min.shape == \(\)",
    ),
    (lambda: lax.integer_pow(np.int32(2), -1), r"Integers cannot be raised to negative powers"),
]


@pytest.mark.parametrize("bad, message", MESSAGES, ids=[m[1][:30] for m in MESSAGES])
def test_messages(bad, message) -> None:
    with pytest.raises(TypeError, match=message):
        bad()


@pytest.mark.driver
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("y", [0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
def test_powers_by_halves_are_those_of_numpy(y, dtype):
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, 1.0]
    with fx.enable_x64(dtype == np.float64), np.errstate(all="ignore"):
        x = np.concatenate([special, np.exp(np.linspace(-3, 3, 999))]).astype(dtype)
        function = fx.jit(lambda x: x**y)
        got = np.asarray(function(x))
        assert got.dtype == dtype
        expected = np.power(x, np.full_like(x, y))  # a scalar 0.5 would be a root
        np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(np.signbit(got[:4]), False)
        assert "pow_f" not in str(function.lower(x).compile().as_text())
        slope = fx.jit(fx.grad(lambda x: (x**y).sum()))
        np.testing.assert_allclose(slope(x[7:]), y * x[7:] ** dtype(y - 1), rtol=8e-3)


def test_the_derivative_of_a_mantissa_is_the_power_of_two_it_was_divided_by():
    x = np.array([0.3, -3.0, 1024.0, 0.0, np.inf], np.float32)

    def mantissa(x):
        return fx.numpy.frexp(x)[0]

    want = [2.0, 0.25, 2.0**-11, 1.0, 1.0]
    for slope in (fx.vmap(fx.grad(mantissa)), fx.jit(fx.vmap(fx.grad(mantissa)))):
        np.testing.assert_array_equal(slope(x), want)
    np.testing.assert_array_equal(fx.jvp(mantissa, (x,), (np.ones_like(x),))[1], want)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8"])
@pytest.mark.parametrize("jit", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_arithmetic_shifts_repeat_the_highest_bit(dtype, jit):
    top = np.array(1, dtype) << np.array(np.dtype(dtype).itemsize * 8 - 1, dtype)
    shifted = jit(lax.shift_right_arithmetic)(
        np.array([top, top, 4], dtype), np.array([1, 99, 1], dtype)
    )
    ones = np.array(-1).astype(dtype)
    np.testing.assert_array_equal(
        shifted, np.array([top | top >> np.array(1, dtype), ones, 2], dtype)
    )
