"""Functions of fx.scipy.special in the complex plane, and derivatives where formulas cancel."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import fx
import fx.numpy as fnp
from fx.scipy import special

REAL = (-20.5, -3.3, -0.5, 0.0, 0.1, 0.5, 1.0, 8.7, 40.0)
IMAGINARY = (-50.0, -0.7, 0.0, 1e-3, 2.0, 30.0)
Z = np.array([complex(a, b) for a in REAL for b in IMAGINARY if a or b])


@pytest.mark.parametrize("name, tolerance", [("loggamma", 3e-14), ("gamma", 1e-12)])
def test_gamma_in_the_plane(name, tolerance):
    expected = getattr(scipy.special, name)(Z)
    with fx.enable_x64():
        for f in (getattr(special, name), fx.jit(getattr(special, name))):
            np.testing.assert_allclose(
                f(Z), expected, rtol=tolerance, atol=1e-14 * (name == "loggamma")
            )
    found = getattr(special, name)(Z.astype(np.complex64))
    assert found.dtype == np.complex64
    small = np.abs(expected) < 1e30
    np.testing.assert_allclose(found[small], expected[small], rtol=3e-5, atol=5e-6)


def test_the_derivative_of_loggamma_is_digamma():
    with fx.enable_x64():
        found = fx.jvp(special.loggamma, (Z,), (np.ones_like(Z),))[1]
        slope = fx.vmap(fx.grad(special.loggamma, holomorphic=True))(Z)
    np.testing.assert_allclose(found, scipy.special.digamma(Z), rtol=1e-13)
    np.testing.assert_allclose(slope, found, rtol=1e-13)


def test_gamma_at_the_poles_and_at_real_numbers():
    assert fnp.isnan(special.gamma(fnp.array([0j, -1 + 0j, -7 + 0j]))).all()
    x = np.array([-1.5, 0.0, 0.5, 3.0], "f")
    np.testing.assert_allclose(special.loggamma(x), [np.nan, np.nan, 0.5723649, 0.6931472], 1e-6)


def test_erfcx_in_the_plane():
    z = np.array([0.3 + 0.2j, -1 + 0.5j, 2 - 1j])
    with fx.enable_x64():
        np.testing.assert_allclose(special.erfcx(z), scipy.special.erfcx(z), rtol=1e-10)


@pytest.mark.parametrize("name", ["entr", "exp1", "expi", "fresnel", "sici", "spence", "dawsn"])
def test_functions_of_real_numbers_refuse_complex_ones(name):
    with pytest.raises(ValueError, match=f"{name} does not support complex"):
        getattr(special, name)(1j)


def test_no_floor_of_complex_quotients():
    with pytest.raises(TypeError, match="floor_divide does not support complex"):
        fnp.floor_divide(1j, 2)


def test_logarithms_to_a_base_at_the_complex_zero():
    for f in (fnp.log2, fnp.log10):
        found = complex(f(0j))
        assert (found.real, found.imag) == (-np.inf, 0.0)


@pytest.mark.parametrize("order, name", [(0, "i0"), (1, "i1")])
def test_bessel_derivatives(order, name):
    f, x = getattr(special, name), np.array([0.0, 1e-3, 0.1, -0.3, 2.5])
    with fx.enable_x64():
        for n in (1, 2):
            f = fx.grad(f)
            expected = scipy.special.ivp(order, x, n)
            np.testing.assert_allclose(fx.vmap(f)(x), expected, rtol=1e-11, atol=1e-13)
    assert float(fx.grad(fx.grad(fnp.i0))(0.0)) == 0.5
    assert float(fx.grad(fnp.i0)(1e20)) == np.inf


def test_derivatives_near_the_middle_of_sinc():
    second = fx.grad(fx.grad(fnp.sinc))
    np.testing.assert_allclose([second(0.0), second(1e-3)], -(np.pi**2) / 3, rtol=1e-5)
    assert np.isfinite(fx.grad(fnp.sinc)(1e20))
    x = np.array([0.1, 0.159, 0.16, 0.7, 3.3])
    with fx.enable_x64():
        np.testing.assert_allclose(fnp.sinc(x), np.sinc(x), rtol=1e-14)


def test_the_second_derivative_of_the_cube_root_at_zero():
    assert float(fx.grad(fx.grad(fnp.cbrt))(0.0)) == -np.inf


def test_zeta_of_large_exponents_in_a_kernel():
    x = np.array([1.5, 20.0, 100.0, 1e4, 1e20], "f")  # the last is NaN in SciPy
    found = fx.jit(special.zeta)(x, np.full_like(x, 2.0))
    expected = [*scipy.special.zeta(x[:-1], 2.0), 0.0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-37)


def test_exponentials_of_what_is_no_number_in_a_kernel():
    x = np.array([-1.0, 2.0, np.nan, 4.0] * 4, "f")
    found = fx.jit(lambda x: fnp.exp(fnp.log(x)))(x)
    np.testing.assert_allclose(found, [np.nan, 2, np.nan, 4] * 4, rtol=1e-6)
    slope = fx.jit(fx.vmap(fx.grad(fx.grad(fx.nn.gelu))))(np.array([100.0, -100.0, 1e4], "f"))
    np.testing.assert_array_equal(slope, np.zeros(3))


def test_zeta_derives_by_its_exponent_too():
    x, q = np.array([1.5, 2.0, 3.1, 8.0]), np.array([1.0, 2.5, 7.0, 0.4])
    step = 1e-6
    with fx.enable_x64(True):
        want = (scipy.special.zeta(x + step, q) - scipy.special.zeta(x - step, q)) / (2 * step)
        for slope in (fx.vmap(fx.grad(special.zeta)), fx.jit(fx.vmap(fx.grad(special.zeta)))):
            np.testing.assert_allclose(slope(x, q), want, rtol=1e-8)
        riemann = fx.grad(special.zeta)(2.0)
    np.testing.assert_allclose(riemann, -0.9375482543158437, rtol=1e-12)
