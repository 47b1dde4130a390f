"""The beta distribution: density y^(a - 1) (1 - y)^(b - 1) / (B(a, b) scale) on 0 <= y <= 1,
y = (x - loc) / scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import betainc, betaln, xlog1py, xlogy
from fx.scipy.stats.common import args

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the beta distribution at x."""
    x, a, b, loc, scale = args("beta.logpdf", x, a, b, loc, scale)
    y = (x - loc) / scale
    inside = ~((x < loc) | (x > loc + scale))
    y = fnp.where(inside, y, 0.5)
    logs = xlogy(a - 1, y) + xlog1py(b - 1, -y) - fnp.log(scale) - betaln(a, b)
    out = fnp.where(inside, logs, -np.inf)
    return fnp.where((a <= 0) | (b <= 0) | (scale <= 0), np.nan, out)


def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the beta distribution at x."""
    return fnp.exp(logpdf(x, a, b, loc, scale))


def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the beta distribution."""
    x, a, b, loc, scale = args("beta.cdf", x, a, b, loc, scale)
    return betainc(a, b, fnp.clip((x - loc) / scale, 0, 1))


def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X <= x) of the beta distribution."""
    return fnp.log(cdf(x, a, b, loc, scale))


def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the beta distribution."""
    x, a, b, loc, scale = args("beta.sf", x, a, b, loc, scale)
    return betainc(b, a, 1 - fnp.clip((x - loc) / scale, 0, 1))


def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log P(X > x) of the beta distribution."""
    return fnp.log(sf(x, a, b, loc, scale))
