"""The chi-squared distribution: density y^(h - 1) exp(-y / 2) / (2^h Gamma(h) scale), h = df / 2,
y = (x - loc) / scale >= 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammainc, gammaincc, gammaln, xlogy
from fx.scipy.stats.common import args

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the chi-squared distribution at x."""
    x, df, loc, scale = args("chi2.logpdf", x, df, loc, scale)
    inside = ~(x < loc)
    y = fnp.where(inside, (x - loc) / scale, 1.0)
    half = df / 2
    logs = xlogy(half - 1, y) - y / 2 - (gammaln(half) + half * np.log(2) + fnp.log(scale))
    return fnp.where(inside, logs, -np.inf)


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the chi-squared distribution at x."""
    return fnp.exp(logpdf(x, df, loc, scale))


def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the chi-squared distribution."""
    x, df, loc, scale = args("chi2.cdf", x, df, loc, scale)
    return gammainc(df / 2, fnp.clip((x - loc) / scale, min=0) / 2)


def logcdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the chi-squared distribution."""
    return fnp.log(cdf(x, df, loc, scale))


def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the chi-squared distribution."""
    x, df, loc, scale = args("chi2.sf", x, df, loc, scale)
    return gammaincc(df / 2, fnp.clip((x - loc) / scale, min=0) / 2)


def logsf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the chi-squared distribution."""
    return fnp.log(sf(x, df, loc, scale))
