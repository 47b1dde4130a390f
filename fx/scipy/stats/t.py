"""Student's t distribution: density proportional to (1 + y^2 / df)^(-(df + 1) / 2),
y = (x - loc) / scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammaln
from fx.scipy.stats.common import args

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of Student's t distribution at x."""
    x, df, loc, scale = args("t.logpdf", x, df, loc, scale)
    y = (x - loc) / scale
    normal = fnp.log(scale) + 0.5 * fnp.log(df * np.pi) + gammaln(df / 2) - gammaln((df + 1) / 2)
    return -normal - (df + 1) / 2 * fnp.log1p(y * y / df)


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of Student's t distribution at x."""
    return fnp.exp(logpdf(x, df, loc, scale))
