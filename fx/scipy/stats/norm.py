"""The normal distribution: density exp(-y^2 / 2) / (sqrt(2 pi) scale), y = (x - loc) / scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import log_ndtr, ndtr, ndtri
from fx.scipy.stats.common import args

__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the normal distribution at x."""
    x, loc, scale = args("norm.logpdf", x, loc, scale)
    square = scale * scale
    return -0.5 * ((x - loc) ** 2 / square + fnp.log(2 * np.pi * square))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the normal distribution at x."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the normal distribution."""
    x, loc, scale = args("norm.cdf", x, loc, scale)
    return ndtr((x - loc) / scale)


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the normal distribution."""
    x, loc, scale = args("norm.logcdf", x, loc, scale)
    return log_ndtr((x - loc) / scale)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the normal distribution."""
    x, loc, scale = args("norm.sf", x, loc, scale)
    return cdf(-x, -loc, scale)


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the normal distribution."""
    x, loc, scale = args("norm.logsf", x, loc, scale)
    return logcdf(-x, -loc, scale)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The x with P(X <= x) = q of the normal distribution."""
    q, loc, scale = args("norm.ppf", q, loc, scale)
    return ndtri(q) * scale + loc


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The x with P(X > x) = q of the normal distribution."""
    (q,) = args("norm.isf", q)
    return ppf(1 - q, loc, scale)
