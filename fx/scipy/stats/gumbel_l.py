"""The left-skewed Gumbel distribution, of the least of many values: density
exp(y - exp(y)) / scale, y = (x - loc) / scale; NaN unless scale > 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def _standard(name: str, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
    """(x - loc) / scale, NaN unless the scale is positive; the scale."""
    x, loc, scale = args(name, x, loc, scale)
    return fnp.where(scale > 0, (x - loc) / scale, np.nan), scale


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the left-skewed Gumbel distribution at x."""
    z, scale = _standard("gumbel_l.logpdf", x, loc, scale)
    return z - fnp.exp(z) - fnp.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the left-skewed Gumbel distribution at x."""
    return fnp.exp(logpdf(x, loc, scale))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the left-skewed Gumbel distribution."""
    z, _ = _standard("gumbel_l.logcdf", x, loc, scale)
    return fnp.log(-fnp.expm1(-fnp.exp(z)))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the left-skewed Gumbel distribution."""
    z, _ = _standard("gumbel_l.cdf", x, loc, scale)
    return -fnp.expm1(-fnp.exp(z))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the left-skewed Gumbel distribution."""
    z, _ = _standard("gumbel_l.logsf", x, loc, scale)
    return -fnp.exp(z)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the left-skewed Gumbel distribution."""
    return fnp.exp(logsf(x, loc, scale))


def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile; NaN unless 0 < p < 1."""
    p, loc, scale = args("gumbel_l.ppf", p, loc, scale)
    inside = (p > 0) & (p < 1)
    p = fnp.where(inside, p, 0.5)
    return fnp.where(inside, fnp.log(-fnp.log1p(-p)) * scale + loc, np.nan)
