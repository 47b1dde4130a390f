"""Divisors and norms of nothing: as NumPy and JAX have them, in kernels too."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp

I = np.array([5, -7, 0, 2**31 - 1], np.int32)
U = np.array([5, 255, 0, 128], np.uint8)


@pytest.mark.parametrize("name", ["remainder", "fmod"])
@pytest.mark.parametrize("x", [I, U])
def test_nothing_remains_of_an_integer_divided_by_zero(name, x):
    f = getattr(fnp, name)
    divisor = np.array([0, 3, 0, 5], x.dtype)
    with np.errstate(divide="ignore"):
        expected, rest = getattr(np, name)(x, divisor), np.remainder(x, divisor)
    for g in (f, fx.jit(f)):
        np.testing.assert_array_equal(g(x, divisor), expected)
        np.testing.assert_array_equal(g(x, 0), np.zeros_like(x))
    assert f(fnp.asarray(x), 3).dtype == x.dtype
    np.testing.assert_array_equal(fnp.divmod(x, divisor)[1], rest)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_complex_numbers_divided_by_zero_in_a_kernel():
    x = np.array([1, -2, 3j, 1 + 1j], np.complex64)
    zero = np.zeros_like(x)
    found, expected = np.asarray(fx.jit(fnp.divide)(x, zero)), np.asarray(fnp.divide(x, zero))
    np.testing.assert_array_equal(found.real, expected.real)
    np.testing.assert_array_equal(found.imag, expected.imag)
    slope = fx.jit(fx.grad(fnp.log, holomorphic=True))(fnp.complex64(0))
    assert float(slope.real) == np.inf


@pytest.mark.parametrize("order", [1, np.inf, 2])
def test_matrix_norms_of_nothing_are_zero(order):
    assert float(fnp.linalg.norm(fnp.zeros((0, 3)), ord=order)) == 0.0


@pytest.mark.parametrize("x", [1.0, -1.0, np.float32(1)])
def test_slopes_of_numbers_are_no_python_arithmetic(x):
    """Under jit a cotangent and its divisor can both be numbers written in the jaxpr."""
    for f in (fnp.arctanh, lambda x: fnp.log1p(-x), lambda x: x / 0.0, lambda x: x * 1e30 * 1e30):
        slope = fx.grad(f)
        np.testing.assert_array_equal(fx.jit(lambda slope=slope: slope(x))(), slope(x))
        np.testing.assert_array_equal(
            fx.jit(lambda slope=slope: fx.grad(slope)(x))(), fx.grad(slope)(x)
        )


@pytest.mark.parametrize("run", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_second_derivatives_at_the_ends_are_infinite(run):
    """There one factor of 1 - x^2 = (1 - x)(1 + x) is 0, its slope infinite."""
    ends = {fnp.arcsin: (1, -1), fnp.arccos: (-1, 1), fnp.arctanh: (1, -1), fnp.arccosh: (-1,)}
    for f, signs in ends.items():
        for x, sign in zip((1.0, -1.0), signs):
            assert float(run(fx.grad(fx.grad(f)))(x)) == sign * np.inf
            assert (
                float(run(lambda x, f=f: fx.jvp(fx.grad(f), (x,), (1.0,))[1])(x)) == sign * np.inf
            )
    x = 1 - 2.0**-20  # digits of 1 - x^2 are kept
    slope = 1 / np.sqrt(1 - x * x)
    np.testing.assert_allclose(float(run(fx.grad(fnp.arcsin))(x)), slope, 1e-6)
    assert float(run(fx.grad(fnp.arccosh))(np.float32(np.inf))) == 0
