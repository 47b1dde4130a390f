"""The von Mises distribution, the normal one of angles: density
exp(kappa cos(x)) / (2 pi I0(kappa)), x in radians.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import i0e
from fx.scipy.stats.common import args

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, kappa: Any) -> Any:
    """Log density; NaN unless the concentration kappa is positive."""
    x, kappa = args("vonmises.logpdf", x, kappa)
    logs = kappa * (fnp.cos(x) - 1) - fnp.log(2 * np.pi * i0e(kappa))
    return fnp.where(kappa > 0, logs, np.nan)


def pdf(x: Any, kappa: Any) -> Any:
    """Density, NaN where `logpdf` is."""
    return fnp.exp(logpdf(x, kappa))
