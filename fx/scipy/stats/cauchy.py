"""The Cauchy distribution: density 1 / (pi scale (1 + y^2)), y = (x - loc) / scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the Cauchy distribution at x."""
    x, loc, scale = args("cauchy.logpdf", x, loc, scale)
    y = (x - loc) / scale
    return -(fnp.log(np.pi * scale) + fnp.log1p(y * y))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the Cauchy distribution at x."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the Cauchy distribution."""
    x, loc, scale = args("cauchy.cdf", x, loc, scale)
    return 0.5 + (1 / np.pi) * fnp.arctan((x - loc) / scale)


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the Cauchy distribution."""
    return fnp.log(cdf(x, loc, scale))


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the Cauchy distribution."""
    x, loc, scale = args("cauchy.sf", x, loc, scale)
    return cdf(-x, -loc, scale)


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the Cauchy distribution."""
    x, loc, scale = args("cauchy.logsf", x, loc, scale)
    return logcdf(-x, -loc, scale)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The x with P(X <= x) = q of the Cauchy distribution."""
    q, loc, scale = args("cauchy.ppf", q, loc, scale)
    return loc + scale * fnp.tan(np.pi * (q - 0.5))


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The x with P(X > x) = q of the Cauchy distribution."""
    q, loc, scale = args("cauchy.isf", q, loc, scale)
    return loc + scale * fnp.tan(np.pi * (0.5 - q))
