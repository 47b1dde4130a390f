"""The normal distribution cut off at a and b standard deviations: density
exp(-y^2 / 2) / (sqrt(2 pi) scale (Phi(b) - Phi(a))) on a <= y <= b, y = (x - loc) / scale; NaN for
a >= b.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import log_ndtr
from fx.scipy.stats import norm
from fx.scipy.stats.common import args

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def _log_mass(a: Any, b: Any) -> Any:
    """log(Phi(b) - Phi(a)) from the tail where it is exact."""
    a, b = fnp.broadcast_arrays(a, b)
    left, right = b <= 0, a > 0

    def difference(p: Any, q: Any) -> Any:
        return p + fnp.log1p(-fnp.exp(q - p))

    low = difference(log_ndtr(fnp.where(left, b, -1.0)), log_ndtr(fnp.where(left, a, -2.0)))
    high = difference(log_ndtr(-fnp.where(right, a, 1.0)), log_ndtr(-fnp.where(right, b, 2.0)))
    middle_a, middle_b = fnp.where(left | right, -1.0, a), fnp.where(left | right, 1.0, b)
    middle = fnp.log1p(-fnp.exp(log_ndtr(middle_a)) - fnp.exp(log_ndtr(-middle_b)))
    return fnp.where(left, low, fnp.where(right, high, middle))


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the truncated normal distribution at x."""
    x, a, b, loc, scale = args("truncnorm.logpdf", x, a, b, loc, scale)
    out = norm.logpdf(x, loc, scale) - _log_mass(a, b)
    y = (x - loc) / scale
    out = fnp.where((y < a) | (y > b), -np.inf, out)
    return fnp.where(a >= b, np.nan, out)


def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the truncated normal distribution at x."""
    return fnp.exp(logpdf(x, a, b, loc, scale))


def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the truncated normal distribution."""
    x, a, b, loc, scale = args("truncnorm.logcdf", x, a, b, loc, scale)
    x, a, b = fnp.broadcast_arrays((x - loc) / scale, a, b)
    inside = ~((x <= a) | (x >= b))
    safe = fnp.where(inside, x, (fnp.clip(a, -1e6, 1e6) + fnp.clip(b, -1e6, 1e6)) / 2)
    out = _log_mass(a, safe) - _log_mass(a, b)
    # near 1 the complement is exact
    rest = fnp.log1p(-fnp.exp(_log_mass(safe, b) - _log_mass(a, b)))
    out = fnp.where(out > -0.1, rest, out)
    out = fnp.where(x >= b, 0.0, fnp.where(x <= a, -np.inf, out))
    return fnp.where(a >= b, np.nan, out)


def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the truncated normal distribution."""
    return fnp.exp(logcdf(x, a, b, loc, scale))


def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the truncated normal distribution."""
    x, a, b, loc, scale = args("truncnorm.logsf", x, a, b, loc, scale)
    return logcdf(-x, -b, -a, -loc, scale)


def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the truncated normal distribution."""
    return fnp.exp(logsf(x, a, b, loc, scale))
