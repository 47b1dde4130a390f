"""The negative binomial distribution: Gamma(k + n) / (k! Gamma(n)) p^n (1 - p)^k, k = 0, 1, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammaln, xlogy
from fx.scipy.stats.common import args

__all__ = ["logpmf", "pmf"]


def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """log P(X = k) of the negative binomial distribution, -inf where k cannot be."""
    k, n, p, loc = args("nbinom.logpmf", k, n, p, loc)
    y = k - loc
    inside = y >= 0
    y = fnp.where(inside, y, 0.0)
    choices = gammaln(y + n) - gammaln(n) - gammaln(y + 1)
    return fnp.where(inside, choices + xlogy(n, p) + y * fnp.log1p(-p), -np.inf)


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """P(X = k) of the negative binomial distribution, 0 where k cannot be."""
    return fnp.exp(logpmf(k, n, p, loc))
