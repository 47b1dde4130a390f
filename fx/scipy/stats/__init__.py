"""fx.scipy.stats: densities and distribution functions, ranks, modes, kernel density estimates."""

from __future__ import annotations

from fx.scipy.stats import (
    bernoulli,
    beta,
    binom,
    cauchy,
    chi2,
    dirichlet,
    expon,
    gamma,
    geom,
    laplace,
    logistic,
    multivariate_normal,
    nbinom,
    norm,
    pareto,
    poisson,
    t,
    truncnorm,
    uniform,
)
from fx.scipy.stats.kde import gaussian_kde
from fx.scipy.stats.summary import mode, rankdata, sem

__all__ = [
    "bernoulli",
    "beta",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "gamma",
    "gaussian_kde",
    "geom",
    "laplace",
    "logistic",
    "mode",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "rankdata",
    "sem",
    "t",
    "truncnorm",
    "uniform",
]
