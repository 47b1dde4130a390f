"""The wrapped Cauchy distribution: density
(1 - c^2) / (2 pi (1 + c^2 - 2 c cos(x))), 0 <= x <= 2 pi.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, c: Any) -> Any:
    """Log density; NaN unless 0 < c < 1."""
    x, c = args("wrapcauchy.logpdf", x, c)
    logs = fnp.log(1 - c * c) - np.log(2 * np.pi) - fnp.log(1 + c * c - 2 * c * fnp.cos(x))
    logs = fnp.where((x >= 0) & (x <= 2 * np.pi), logs, -np.inf)
    return fnp.where((c > 0) & (c < 1), logs, np.nan)


def pdf(x: Any, c: Any) -> Any:
    """Density, NaN where `logpdf` is."""
    return fnp.exp(logpdf(x, c))
