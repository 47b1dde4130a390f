"""The exponential distribution: density exp(-y) / scale, y = (x - loc) / scale >= 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the exponential distribution at x."""
    x, loc, scale = args("expon.logpdf", x, loc, scale)
    return fnp.where(x < loc, -np.inf, -(x - loc) / scale - fnp.log(scale))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the exponential distribution at x."""
    return fnp.exp(logpdf(x, loc, scale))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the exponential distribution."""
    x, loc, scale = args("expon.logsf", x, loc, scale)
    return fnp.where(x < loc, 0.0, -(x - loc) / scale)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the exponential distribution."""
    return fnp.exp(logsf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the exponential distribution."""
    x, loc, scale = args("expon.cdf", x, loc, scale)
    return fnp.where(x < loc, 0.0, -fnp.expm1(-(x - loc) / scale))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the exponential distribution."""
    x, loc, scale = args("expon.logcdf", x, loc, scale)
    inside = ~(x < loc)
    z = fnp.where(inside, (x - loc) / scale, 1.0)
    return fnp.where(inside, fnp.log1p(-fnp.exp(-z)), -np.inf)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile; NaN outside [0, 1]."""
    q, loc, scale = args("expon.ppf", q, loc, scale)
    bad = (q < 0) | (q > 1)
    return fnp.where(bad, np.nan, loc - scale * fnp.log1p(-fnp.where(bad, 0.0, q)))
