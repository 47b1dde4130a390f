"""fx.scipy.stats: densities and distribution functions, ranks, modes, kernel density estimates."""

from __future__ import annotations

from fx.family_docs import add_fact
from fx.scipy.stats import (
    bernoulli,
    beta,
    betabinom,
    binom,
    cauchy,
    chi2,
    dirichlet,
    expon,
    gamma,
    gennorm,
    geom,
    gumbel_l,
    gumbel_r,
    laplace,
    logistic,
    multinomial,
    multivariate_normal,
    nbinom,
    norm,
    pareto,
    poisson,
    t,
    truncnorm,
    uniform,
    vonmises,
    wrapcauchy,
)
from fx.scipy.stats.kde import gaussian_kde
from fx.scipy.stats.summary import mode, rankdata, sem

__all__ = [
    "bernoulli",
    "beta",
    "betabinom",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "gamma",
    "gaussian_kde",
    "gennorm",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "laplace",
    "logistic",
    "mode",
    "multinomial",
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
    "vonmises",
    "wrapcauchy",
]

for _module in (
    *(bernoulli, beta, betabinom, binom, cauchy, chi2, dirichlet, expon, gamma, gennorm, geom),
    *(gumbel_l, gumbel_r, laplace, logistic, multinomial, multivariate_normal, nbinom, norm),
    *(pareto, poisson, t, truncnorm, uniform, vonmises, wrapcauchy),
):
    _of_vectors = _module in (dirichlet, multinomial, multivariate_normal)
    _said = (_module.__doc__ or "").strip()
    add_fact(
        _said if _of_vectors else f"{_said}\nArguments broadcast; integers become floats.",
        *(getattr(_module, _name) for _name in _module.__all__),
    )
