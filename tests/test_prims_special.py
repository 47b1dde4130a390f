"""Special functions: known values, SciPy over wide ranges in both precisions, edges, kernels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special as special

import fx
from fx import lax
from fx.config import enable_x64

F = np.float32
INF, NAN = np.inf, np.nan

# (function, operands, value): closed forms
VALUES = [
    (lax.lgamma, (0.5,), np.log(np.pi) / 2),
    (lax.digamma, (1.0,), -0.5772156649015329),
    (lax.polygamma, (1.0, 1.0), np.pi**2 / 6),
    (lax.polygamma, (3.0, 1.0), np.pi**4 / 15),
    (lax.zeta, (2.0, 1.0), np.pi**2 / 6),
    (lax.zeta, (4.0, 1.0), np.pi**4 / 90),
    (lax.zeta, (1.0, 3.0), INF),
    (lax.zeta, (0.5, 3.0), NAN),
    (lax.igamma, (1.0, 2.0), 1 - np.exp(-2)),
    (lax.igammac, (1.0, 30.0), np.exp(-30)),
    (lax.igamma, (2.0, 0.0), 0.0),
    (lax.igamma, (2.0, INF), 1.0),
    (lax.igamma, (-1.0, 2.0), NAN),
    (lax.betainc, (1.0, 3.0, 0.5), 1 - 0.5**3),
    (lax.betainc, (2.0, 3.0, 1.0), 1.0),
    (lax.betainc, (2.0, 3.0, 0.0), 0.0),
    (lax.betainc, (2.0, -3.0, 0.5), NAN),
    (lax.bessel_i0e, (0.0,), 1.0),
    (lax.bessel_i1e, (0.0,), 0.0),
]


@pytest.mark.parametrize("f, args, value", VALUES, ids=[f"{v[0].__name__}{v[1]}" for v in VALUES])
def test_values(f, args, value) -> None:
    args = [F(a) for a in args]
    np.testing.assert_allclose(float(f(*args)), value, 1e-6)


def grid(rng, *ranges):
    return [rng.uniform(low, high, 400) for low, high in ranges]


WIDE = [
    (lax.lgamma, special.gammaln, ((0.01, 30),)),
    (lax.digamma, special.digamma, ((0.1, 30),)),
    (lax.zeta, special.zeta, ((1.1, 8), (0.2, 20))),
    (lax.igamma, special.gammainc, ((0.1, 20), (0.1, 40))),
    (lax.igammac, special.gammaincc, ((0.1, 20), (0.1, 40))),
    (lax.betainc, special.betainc, ((0.2, 10), (0.2, 10), (0.01, 0.99))),
    (lax.bessel_i0e, special.i0e, ((-40, 40),)),
    (lax.bessel_i1e, special.i1e, ((-40, 40),)),
]


@pytest.mark.lowering
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_against_scipy(dtype, rng) -> None:
    """All of them in one jitted function; errors relative to the value or to one."""
    operands = [[a.astype(dtype) for a in grid(rng, *ranges)] for _, _, ranges in WIDE]
    with enable_x64(True):
        found = fx.jit(lambda many: [f(*a) for (f, _, _), a in zip(WIDE, many)])(operands)
    tolerance = 3e-5 if dtype == np.float32 else 1e-11
    for (f, reference, _), args, x in zip(WIDE, operands, found, strict=True):
        expected = reference(*(a.astype(np.float64) for a in args))
        error = np.abs(np.asarray(x) - expected) / np.maximum(1, np.abs(expected))
        assert np.asarray(x).dtype == dtype
        assert error.max() < tolerance, (f.__name__, error.max())


@pytest.mark.parametrize("a, x", [(0.7, 0.2), (0.7, 3.0), (5.0, 2.0), (5.0, 9.0), (60.0, 61.0)])
def test_igamma_by_its_order(a, x) -> None:
    """Against central differences of SciPy's function."""
    step = 1e-5 * a
    slope = (special.gammainc(a + step, x) - special.gammainc(a - step, x)) / (2 * step)
    density = np.exp((a - 1) * np.log(x) - x - special.gammaln(a))
    with enable_x64(True):
        for run in (lambda f: f, fx.jit):
            np.testing.assert_allclose(float(run(lax.igamma_grad_a)(a, x)), slope, 1e-7)
            np.testing.assert_allclose(float(run(lax.random_gamma_grad)(a, x)), -slope / density,
                                       1e-7)  # fmt: skip
            np.testing.assert_allclose(float(fx.grad(run(lax.igamma), 1)(a, x)), density, 1e-10)


def test_derivatives_that_do_not_exist_say_so() -> None:
    with pytest.raises(NotImplementedError, match="zeta has no derivative with respect to its exp"):
        fx.grad(lax.zeta)(F(2), F(1))
    with pytest.raises(NotImplementedError, match="betainc has no derivative with respect to a"):
        fx.grad(lax.betainc)(F(2), F(1), F(0.5))


def test_digamma_of_digamma() -> None:
    """The n-th derivative of lgamma is polygamma(n - 1)."""
    f = lax.lgamma
    for order in range(1, 4):
        f = fx.grad(f)
        expected = float(lax.polygamma(F(order - 1), F(1.7)))
        np.testing.assert_allclose(float(f(F(1.7))), expected, 1e-5)


def test_edges_are_the_same_under_jit():
    """At 0 and at infinity, where series would make NaN of what has a value."""
    ends = np.float32([0, 1, -1, np.inf, 0.5, 2, -3.7, 9, np.nan])
    x, y = (v.ravel() for v in np.meshgrid(ends, ends))
    keep = ~(np.isnan(x) & (y <= 0)) & ~(np.isnan(y) & (x == 1))  # SciPy's zeta(nan, -1) is inf
    keep &= x != np.inf
    x, y = x[keep], y[keep]

    def f(x, y):
        return [g(x, y) for g in (lax.igamma, lax.igammac, lax.zeta, lax.polygamma)]

    for under_jit, eager in zip(fx.jit(f)(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(under_jit, eager, 1e-4, 1e-6)
    assert lax.igammac(0.0, 0.5) == 0 and lax.zeta(1.0, 3.0) == np.inf


def test_complex_numbers_keep_infinite_parts():
    parts = np.float32([0.5, 1.0, np.inf]), np.float32([np.inf, 2.0, 1.0])
    for f in (lax.complex, fx.jit(lax.complex)):
        got = np.asarray(f(*parts))
        np.testing.assert_array_equal(got.real, parts[0])
        np.testing.assert_array_equal(got.imag, parts[1])


# a, x and P or Q by quadrature with 40 digits; SciPy has 4.465e-8 and 5.816e-7 of the first two
FAR = [
    (lax.igamma, 9913118677.746805, 9912629920.940666, 4.5767099072367435e-7),
    (lax.igamma, 2192936773.8762755, 2192725370.380184, 3.1728921672699194e-6),
    (lax.igamma, 966852.0707234426, 962296.3062762988, 1.7406960136599626e-6),
]


@pytest.mark.parametrize("run", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_incomplete_gamma_functions_of_large_parameters(run) -> None:
    """Series and fractions would take sqrt(a) steps, and subtract numbers of the size a log a."""
    with enable_x64(True):
        for f, a, x, value in FAR:
            np.testing.assert_allclose(float(run(f)(a, x)), value, 1e-13)
        for step in (1.0, -1.0, 0.0):  # P + Q = 1, and medians: P(a, a - 1/3) = 1/2 + O(1/a)
            a = np.array([25.0, 3e2, 1e5, 1e12])
            x = a - 1 / 3 + step * np.sqrt(a)
            both = [np.asarray(run(f)(a, x)) for f in (lax.igamma, lax.igammac)]
            np.testing.assert_allclose(both[0] + both[1], 1, 1e-14)
            if step == 0:
                np.testing.assert_allclose(both[0], 0.5, atol=1e-4)
    a, x = F([25, 3e2, 3e2, 1e4, 1e4, 1e5, 1e6]), F([20, 3e2, 2.2e2, 1e4, 1.02e4, 1.003e5, 1.001e6])
    for f, reference in ((lax.igamma, special.gammainc), (lax.igammac, special.gammaincc)):
        expected = reference(a.astype(float), x.astype(float))
        np.testing.assert_allclose(np.asarray(run(f)(a, x)), expected, 2e-5)


@pytest.mark.parametrize("a", [30.0, 1e3, 1e7])
def test_slopes_by_large_orders(a) -> None:
    """Against central differences, within the expansion (x near a) and beside it (2 a)."""
    with enable_x64(True):
        for x in (a, a + 2 * np.sqrt(a), a - 2 * np.sqrt(a), a + min(a, 9 * np.sqrt(a))):
            h = 1e-4 * np.sqrt(a)
            around = [float(lax.igammac(a + k * h, x)) for k in (-2, -1, 1, 2)]
            slope = (around[3] - 8 * around[2] + 8 * around[1] - around[0]) / (12 * h)
            for run in (lambda f: f, fx.jit):
                found = float(run(lax.igamma_grad_a)(a, x))
                np.testing.assert_allclose(found, slope, 1e-7, 1e-9 / np.sqrt(a))
