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
