"""The beta-binomial distribution: n choose k times B(k + a, n - k + b) / B(a, b), k = 0 ... n."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import betaln
from fx.scipy.stats.common import args

__all__ = ["logpmf", "pmf"]


def logpmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    """Log probability of k (rounded down); NaN unless n >= 0, a > 0 and b > 0."""
    k, n, a, b, loc = args("betabinom.logpmf", k, n, a, b, loc)
    x = fnp.floor(k) - loc
    inside = (x >= 0) & (x <= n)
    x = fnp.where(inside, x, 0)
    logs = -fnp.log1p(n) - betaln(n - x + 1, x + 1) + betaln(x + a, n - x + b) - betaln(a, b)
    return fnp.where((n < 0) | (a <= 0) | (b <= 0), np.nan, fnp.where(inside, logs, -np.inf))


def pmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    """P(X = k) of the beta-binomial distribution, 0 where k cannot be."""
    return fnp.exp(logpmf(k, n, a, b, loc))
