"""The Pareto distribution: density b / (scale y^(b + 1)), y = (x - loc) / scale >= 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the Pareto distribution at x."""
    x, b, loc, scale = args("pareto.logpdf", x, b, loc, scale)
    y = (x - loc) / scale
    inside = ~(x < loc + scale)
    logs = fnp.log(b / scale) - (b + 1) * fnp.log(fnp.where(inside, y, 1.0))
    return fnp.where(inside, logs, -np.inf)


def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the Pareto distribution at x."""
    return fnp.exp(logpdf(x, b, loc, scale))


def _log_ratio(name: str, x: Any, b: Any, loc: Any, scale: Any) -> Any:
    """b log((x - loc) / scale), 0 below the distribution's least value."""
    x, b, loc, scale = args(name, x, b, loc, scale)
    return b * fnp.log(fnp.where(x < loc + scale, 1.0, (x - loc) / scale))


def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the Pareto distribution."""
    return -_log_ratio("pareto.logsf", x, b, loc, scale)


def sf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the Pareto distribution."""
    return fnp.exp(logsf(x, b, loc, scale))


def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the Pareto distribution."""
    return -fnp.expm1(-_log_ratio("pareto.cdf", x, b, loc, scale))


def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the Pareto distribution."""
    return fnp.log(cdf(x, b, loc, scale))


def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile; NaN unless 0 <= q <= 1."""
    q, b, loc, scale = args("pareto.ppf", q, b, loc, scale)
    inside = (q >= 0) & (q <= 1)
    return fnp.where(inside, loc + scale * (1 - fnp.where(inside, q, 0)) ** (-1 / b), np.nan)
