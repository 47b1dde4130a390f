"""The Pareto distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density."""
    x, b, loc, scale = args("pareto.logpdf", x, b, loc, scale)
    y = (x - loc) / scale
    inside = x >= loc + scale
    logs = fnp.log(b / scale) - (b + 1) * fnp.log(fnp.where(inside, y, 1.0))
    return fnp.where(inside, logs, -np.inf)


def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return fnp.exp(logpdf(x, b, loc, scale))
