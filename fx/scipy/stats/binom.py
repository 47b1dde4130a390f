"""The binomial distribution: n choose k times p^k (1 - p)^(n - k), k = 0 ... n."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammaln, xlog1py, xlogy
from fx.scipy.stats.common import args

__all__ = ["logpmf", "pmf"]


def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """log P(X = k) of the binomial distribution, -inf where k cannot be."""
    k, n, p, loc = args("binom.logpmf", k, n, p, loc)
    y = k - loc
    inside = (y >= 0) & (y <= n)
    y = fnp.where(inside, y, 0.0)
    choices = gammaln(n + 1) - (gammaln(y + 1) + gammaln(n - y + 1))
    return fnp.where(inside, choices + xlogy(y, p) + xlog1py(n - y, -p), -np.inf)


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """P(X = k) of the binomial distribution, 0 where k cannot be."""
    return fnp.exp(logpmf(k, n, p, loc))
