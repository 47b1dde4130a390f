"""The geometric distribution: (1 - p)^(k - 1) p, k = 1, 2, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import xlog1py
from fx.scipy.stats.common import args

__all__ = ["logpmf", "pmf"]


def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """log P(X = k) of the geometric distribution, -inf where k cannot be."""
    k, p, loc = args("geom.logpmf", k, p, loc)
    x = k - loc
    return fnp.where(x <= 0, -np.inf, xlog1py(fnp.maximum(x, 1.0) - 1, -p) + fnp.log(p))


def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """P(X = k) of the geometric distribution, 0 where k cannot be."""
    return fnp.exp(logpmf(k, p, loc))
