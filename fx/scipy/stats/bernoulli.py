"""The Bernoulli distribution: P(1) = p, P(0) = 1 - p."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import xlog1py, xlogy
from fx.scipy.stats.common import args

__all__ = ["cdf", "logpmf", "pmf", "ppf"]


def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """log P(X = k) of the Bernoulli distribution, -inf where k cannot be."""
    k, p, loc = args("bernoulli.logpmf", k, p, loc)
    x = k - loc
    inside = (x == 0) | (x == 1)
    safe = fnp.where(inside, x, 0.0)
    return fnp.where(inside, xlogy(safe, p) + xlog1py(1 - safe, -p), -np.inf)


def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """P(X = k) of the Bernoulli distribution, 0 where k cannot be."""
    return fnp.exp(logpmf(k, p, loc))


def cdf(k: Any, p: Any) -> Any:
    """Distribution function; NaN where p is no probability."""
    k, p = args("bernoulli.cdf", k, p)
    bad = fnp.isnan(k) | fnp.isnan(p) | (p < 0) | (p > 1)
    out = fnp.where(k < 0, 0.0, fnp.where(k < 1, 1 - p, 1.0))
    return fnp.where(bad, np.nan, out)


def ppf(q: Any, p: Any) -> Any:
    """Quantile; NaN outside [0, 1]."""
    q, p = args("bernoulli.ppf", q, p)
    bad = fnp.isnan(q) | fnp.isnan(p) | (p < 0) | (p > 1) | (q < 0) | (q > 1)
    out = (q > 1 - p).astype(p.dtype)
    return fnp.where(bad, np.nan, out)
