"""The gamma distribution of shape a: density y^(a - 1) exp(-y) / (Gamma(a) scale),
y = (x - loc) / scale >= 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammainc, gammaincc, gammaln, xlogy
from fx.scipy.stats.common import args

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the gamma distribution at x."""
    x, a, loc, scale = args("gamma.logpdf", x, a, loc, scale)
    inside = x >= loc
    y = fnp.where(inside, (x - loc) / scale, 1.0)
    logs = xlogy(a - 1, y) - y - (gammaln(a) + fnp.log(scale))
    return fnp.where(inside, logs, -np.inf)


def pdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the gamma distribution at x."""
    return fnp.exp(logpdf(x, a, loc, scale))


def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the gamma distribution."""
    x, a, loc, scale = args("gamma.cdf", x, a, loc, scale)
    return gammainc(a, fnp.clip((x - loc) / scale, min=0))


def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the gamma distribution."""
    return fnp.log(cdf(x, a, loc, scale))


def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the gamma distribution."""
    x, a, loc, scale = args("gamma.sf", x, a, loc, scale)
    return gammaincc(a, fnp.clip((x - loc) / scale, min=0))


def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the gamma distribution."""
    return fnp.log(sf(x, a, loc, scale))
