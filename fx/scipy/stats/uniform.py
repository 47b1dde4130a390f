"""The uniform distribution: density 1 / scale on loc <= x <= loc + scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["cdf", "logpdf", "pdf", "ppf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the uniform distribution at x."""
    x, loc, scale = args("uniform.logpdf", x, loc, scale)
    inside = (x >= loc) & (x <= loc + scale)
    return fnp.where(inside, -fnp.log(scale), -np.inf)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the uniform distribution at x."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the uniform distribution."""
    x, loc, scale = args("uniform.cdf", x, loc, scale)
    return fnp.where(x < loc, 0.0, fnp.where(x > loc + scale, 1.0, (x - loc) / scale))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile; NaN outside [0, 1]."""
    q, loc, scale = args("uniform.ppf", q, loc, scale)
    bad = fnp.isnan(q) | (q < 0) | (q > 1)
    return fnp.where(bad, np.nan, loc + q * scale)
