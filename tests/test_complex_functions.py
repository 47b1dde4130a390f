"""Functions of complex numbers in kernels: NumPy's values on branch cuts, near 1 and far out."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp

pytestmark = pytest.mark.driver

FUNCTIONS = [
    *("exp", "log", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "expm1", "abs", "reciprocal"),
]
PARTS = [0.0, 1e-30, 1e-3, 0.5, 0.8, 0.6, 1.0, 1.001, 1.5, 2.0, 15.5, 19.0, 25.0, 1e5, 1e18, 1e30]


def grid(dtype: type) -> np.ndarray:
    """All pairs of parts of either sign, zeros too."""
    ends = np.finfo(dtype)
    parts = [*PARTS, float(ends.tiny) ** 0.5, float(ends.max) ** 0.5 * 2, float(ends.max) / 1.5]
    parts = np.array([s * p for p in parts for s in (1, -1)], ends.dtype)
    z = np.empty((len(parts), len(parts)), dtype)
    z.real, z.imag = parts[:, None], parts
    return z.ravel()


def errors(got: np.ndarray, want: np.ndarray, eps: float) -> np.ndarray:
    """Relative ones in units of eps; an overflow is one of whatever kind."""
    same = ~np.isfinite(got) & ~np.isfinite(want)
    with np.errstate(all="ignore"):
        return np.where(same | (got == want), 0, np.abs(got - want) / (eps * np.abs(want)))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_numpys_numbers(name, dtype):
    z = grid(dtype)
    if name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "expm1"):
        z = z[(np.abs(z.real) < 1e5) & (np.abs(z.imag) < 1e5)]
    with fx.enable_x64(True), np.errstate(all="ignore"):
        got = np.asarray(fx.jit(getattr(jnp, name))(z))
        want = getattr(np, name)(z.astype(np.complex128)).astype(got.dtype)
    eps = np.finfo(dtype).eps
    least = np.finfo(dtype).tiny / eps  # where digits are missing
    found = errors(got, want, eps)
    found = np.where(np.abs(want) < least, 0, found)
    worst = int(np.nanargmax(found))
    assert found[worst] < 20, f"{name}({z[worst]}) = {got[worst]}, not {want[worst]}"
    assert not np.isnan(found).any()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_log1p_in_kernels_and_outside(dtype):
    z = grid(dtype)
    with fx.enable_x64(True):
        outside, inside = np.asarray(jnp.log1p(z)), np.asarray(fx.jit(jnp.log1p)(z))
    assert np.nanmax(errors(outside, inside, np.finfo(dtype).eps)) < 20
    small = dtype(1e-9 + 1e-9j)
    assert abs(jnp.log1p(small) - small) < 1e-17


def test_a_complex_power_of_zero():
    zero = np.zeros(4, np.complex64)
    y = np.array([2, 1 + 1j, 0, 3j], np.complex64)
    got = np.asarray(fx.jit(jnp.power)(zero, y))
    np.testing.assert_array_equal(got[:3], [0, 0, 1])
    assert np.isnan(got[3])


@pytest.mark.parametrize("name", ["arctan", "arctanh"])
def test_infinite_arguments_have_finite_arctangents(name):
    parts = np.array([np.inf, -np.inf, 2.0, -2.0, 0.0], np.float32)
    z = np.empty((5, 5), np.complex64)
    z.real, z.imag = parts[:, None], parts
    want = getattr(np, name)(z)
    np.testing.assert_allclose(fx.jit(getattr(jnp, name))(z), want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["sqrt", "sin", "cos", "sinh", "cosh"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_infinite_parts_beside_zeros(name):
    """An infinity times a zero is no NaN where NumPy has a number; zeros keep their signs."""
    parts = np.array([np.inf, -np.inf, 2.0, -2.0, 0.0, -0.0], np.float32)
    z = np.empty((6, 6), np.complex64)
    z.real, z.imag = parts[:, None], parts
    want, got = getattr(np, name)(z), np.asarray(fx.jit(getattr(jnp, name))(z))
    known = ~np.isnan(want)
    assert known.sum() >= 20
    for x, y in ((got.real, want.real), (got.imag, want.imag)):
        np.testing.assert_allclose(x[known], y[known], rtol=1e-6)
        np.testing.assert_array_equal(np.signbit(x[known]), np.signbit(y[known]))


@pytest.mark.parametrize("jit", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_complex_logaddexp_of_nothing_is_the_other(jit):
    x, y = np.complex64([-np.inf, 1 + 2j]), np.complex64([2 + 1j, -np.inf])
    for function in (jnp.logaddexp, jnp.logaddexp2):
        np.testing.assert_allclose(jit(function)(x, y), [2 + 1j, 1 + 2j], rtol=1e-6)
