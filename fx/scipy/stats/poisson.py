"""The Poisson distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammaincc, gammaln, xlogy
from fx.scipy.stats.common import args

__all__ = ["cdf", "logpmf", "pmf"]


def logpmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Log probability; -inf at values that are not whole."""
    k, mu, loc = args("poisson.logpmf", k, mu, loc)
    x = k - loc
    whole = (x >= 0) & (fnp.round(k) == k)
    x = fnp.where(whole, x, 0.0)
    return fnp.where(whole, xlogy(x, mu) - gammaln(x + 1) - mu, -np.inf)


def pmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Probability."""
    return fnp.exp(logpmf(k, mu, loc))


def cdf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Distribution function."""
    k, mu, loc = args("poisson.cdf", k, mu, loc)
    x = fnp.floor(k - loc)
    return fnp.where(x < 0, 0.0, gammaincc(fnp.maximum(x, 0) + 1, mu))
