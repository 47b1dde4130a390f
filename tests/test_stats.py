"""fx.scipy.stats against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import fx
from fx.scipy import stats

X = np.float32([-2.5, -0.3, 0.0, 0.7, 1.9, 6.5])
Q = np.float32([0.05, 0.3, 0.5, 0.8, 0.95])
COUNTS = np.int32([0, 1, 3, 7])
ALL = "pdf logpdf cdf logcdf sf logsf"

CONTINUOUS = [
    ("gumbel_l", ALL, (X, 0.5, 2.0)),
    ("gumbel_r", ALL, (X, 0.5, 2.0)),
    ("gumbel_l", "ppf", (Q, 0.5, 2.0)),
    ("gumbel_r", "ppf", (Q, 0.5, 2.0)),
    ("gennorm", "pdf logpdf cdf", (X, np.float32([[0.7], [2.0]]))),
    ("vonmises", "pdf logpdf", (X, np.float32([[0.5], [20.0]]))),
    ("wrapcauchy", "pdf logpdf", (X, 0.4)),
    ("pareto", ALL, (X, 1.5, -0.5, 0.9)),
    ("pareto", "ppf", (Q, 1.5, -0.5, 0.9)),
    ("betabinom", "pmf logpmf", (COUNTS, 5, 1.5, 0.7, 0)),
    ("betabinom", "pmf logpmf", (COUNTS, 5, 1.5, 0.7, 1)),
    (
        "multinomial",
        "pmf logpmf",
        (np.int32([[1, 2, 3], [6, 0, 0], [1, 1, 1]]), 6, np.float32([0.2, 0.3, 0.5])),
    ),
    ("poisson", "entropy", (np.float32([0.3, 5, 50, 99, 100, 1e3]),)),
]


CALLS = [(n, function, args) for n, functions, args in CONTINUOUS for function in functions.split()]


def _results(names, module):
    return [getattr(getattr(module, n), f)(*args) for n, f, args in CALLS if n in names]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", sorted({n for n, _, _ in CALLS}))
def test_as_in_scipy_and_under_jit(name):
    expected = _results([name], scipy.stats)
    for results in (_results([name], stats), fx.jit(lambda: _results([name], stats))()):
        for got, wanted in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, wanted, 2e-4, 1e-6)


def test_outside_of_the_parameters():
    assert np.isnan(stats.gumbel_r.pdf(0.0, 0.0, -1.0)) and np.isnan(stats.gumbel_l.ppf(1.0))
    assert np.isnan(stats.vonmises.pdf(0.0, -1.0)) and np.isnan(stats.wrapcauchy.pdf(0.0, 1.5))
    assert np.isnan(stats.betabinom.pmf(0, 3, -1.0, 1.0)) and np.isnan(stats.pareto.ppf(1.5, 1.0))
    assert stats.poisson.entropy(0.0) == 0 and np.isnan(stats.poisson.entropy(-1.0))
    with pytest.raises(ValueError, match="integer"):
        stats.multinomial.pmf(np.float32([1, 2]), 3, np.float32([0.5, 0.5]))


def test_densities_differentiate():
    for name, args in [
        ("gumbel_l", (0.3, 0.5, 2.0)),
        ("vonmises", (0.3, 2.0)),
        ("pareto", (2.0, 1.5)),
    ]:
        fx.check_grads(getattr(stats, name).logpdf, args, order=1)


def test_slopes_where_formulas_meet():
    """Minima, maxima and absolute values halve a slope where both sides are equal: at 8 the series
    of betaln, at 60 that of hyp1f1 begins, at 0 the Laplace distribution has its top.
    """
    from scipy.special import digamma

    from fx.config import enable_x64
    from fx.scipy import special

    with enable_x64(True):
        for a, b in ((8.0, 5.0), (5.0, 8.0), (8.0, 9.0)):
            slope = fx.grad(special.betaln)(a, b)
            np.testing.assert_allclose(slope, digamma(a) - digamma(a + b), rtol=1e-9)
        slope = fx.grad(lambda a: stats.betabinom.logpmf(2, 5, a, 2.0))(6.0)
        want = 2 * digamma(8) - digamma(13) - digamma(6)
        np.testing.assert_allclose(slope, want, rtol=1e-9)
        for x in (-60.0, 0.0, 60.0):
            slope = fx.grad(lambda x: special.hyp1f1(1.5, 2.5, x))(x)
            want = 0.6 * special.hyp1f1(2.5, 3.5, x)
            np.testing.assert_allclose(slope, want, rtol=1e-6)
        np.testing.assert_allclose(fx.grad(special.poch, 1)(2.5, 0.0), digamma(2.5), rtol=1e-9)
        assert special.poch(-1.0, 0.0) == special.poch(200.0, 0.0) == 1
    for x, want in ((-0.1, 0.5 * np.exp(-0.1)), (0.0, 0.5), (0.1, 0.5 * np.exp(-0.1))):
        np.testing.assert_allclose(fx.grad(stats.laplace.cdf)(x), want, rtol=1e-6)
    for beta in (0.5, 1.0, 1.5, 2.0, 3.0):  # |x|^beta has at 0 an infinite slope or none
        slopes = fx.grad(stats.gennorm.cdf, (0, 1))(0.0, beta)
        np.testing.assert_allclose(slopes, (stats.gennorm.pdf(0.0, beta), 0), rtol=1e-6)


def test_zeta_at_its_edges_is_the_same_under_jit():
    points = np.float32([np.nan, -np.inf, -3, -1, 0, 0.5, 1, 1.5, 2, 1000, np.inf])
    x, q = np.meshgrid(points, points)
    eager = fx.lax.zeta(x, q)
    np.testing.assert_allclose(fx.jit(fx.lax.zeta)(x, q), eager, rtol=1e-5)
    assert np.isnan(np.asarray(eager)[np.isnan(x) | np.isnan(q)]).all()


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_nan_is_not_outside(wrap):
    """What is unknown has no probability, not the probability 0."""
    functions = [
        lambda x: stats.beta.logpdf(x, 2.0, 3.0),
        lambda x: stats.chi2.logpdf(x, 3.0),
        stats.expon.logcdf,
        stats.expon.ppf,
        lambda x: stats.pareto.logpdf(x, 2.0),
        lambda x: stats.pareto.cdf(x, 2.0),
        lambda x: stats.pareto.logsf(x, 2.0),
        lambda x: stats.truncnorm.cdf(x, -1.0, 2.0),
        lambda x: stats.truncnorm.logcdf(x, -1.0, 2.0),
    ]
    both = wrap(lambda x: [(f(x), fx.grad(f)(x)) for f in functions])(np.nan)
    assert all(np.isnan(y) for y, _ in both)
    assert all(np.isnan(slope) for _, slope in both)


def test_a_quantile_has_the_dtype_of_its_arguments():
    q = stats.bernoulli.ppf(Q, np.float32(0.4))
    assert not q.weak_type and q.tolist() == scipy.stats.bernoulli.ppf(Q, 0.4).tolist()


def test_densities_of_integers_and_their_weights():
    points, weights, at = np.array([3, 1, 2, 1, 5]), np.array([1, 2, 1, 1, 3]), np.array([1.5, 2.5])
    for w in (None, weights, weights / 8.0):
        ours = stats.gaussian_kde(points, weights=None if w is None else fx.numpy.asarray(w))
        theirs = scipy.stats.gaussian_kde(points, weights=w)
        np.testing.assert_allclose(ours(at), theirs(at), rtol=1e-4)
    with pytest.raises(ValueError, match="of length 5; got shape"):
        stats.gaussian_kde(points, weights=weights[:3])
    with pytest.raises(TypeError, match="list"):
        stats.gaussian_kde([1.0, 2.0])
