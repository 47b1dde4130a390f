"""The Poisson distribution: mu^k exp(-mu) / k!, k = 0, 1, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammaincc, gammaln, xlogy
from fx.scipy.stats.common import args

__all__ = ["cdf", "entropy", "logpmf", "pmf"]


def logpmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Log probability; -inf at values that are not whole."""
    k, mu, loc = args("poisson.logpmf", k, mu, loc)
    x = k - loc
    whole = (x >= 0) & (fnp.round(k) == k)
    x = fnp.where(whole, x, 0.0)
    return fnp.where(whole, xlogy(x, mu) - gammaln(x + 1) - mu, -np.inf)


def pmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """P(X = k) of the Poisson distribution, 0 where k cannot be."""
    return fnp.exp(logpmf(k, mu, loc))


def cdf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """P(X <= k) of the Poisson distribution."""
    k, mu, loc = args("poisson.cdf", k, mu, loc)
    x = fnp.floor(k - loc)
    return fnp.where(x < 0, 0.0, gammaincc(fnp.maximum(x, 0) + 1, mu))


def entropy(mu: Any, loc: Any = 0) -> Any:
    """-sum p log p: summed up to 10 standard deviations and 20 above the mean, and from a mean of
    100 on by Stirling's series. Wherever the distribution lies, it is the same.
    """
    mu, loc = args("poisson.entropy", mu, loc)
    mu = fnp.broadcast_to(mu, np.broadcast_shapes(mu.shape, loc.shape))
    few = (mu > 0) & (mu < 100)
    some = fnp.where(few, mu, 1.0)
    logs = logpmf(np.arange(221), some[..., None])
    summed = -fnp.sum(fnp.exp(logs) * logs, axis=-1)
    many = fnp.where(mu >= 100, mu, 100.0)
    series = 0.5 * fnp.log(2 * np.pi * np.e * many) - 1 / (12 * many)
    return fnp.where(few, summed, fnp.where(mu == 0, 0.0, fnp.where(mu > 0, series, np.nan)))
