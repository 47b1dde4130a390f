"""The Laplace distribution: density exp(-|y|) / (2 scale), y = (x - loc) / scale."""

from __future__ import annotations

from typing import Any

from fx import numpy as fnp
from fx.scipy.stats.common import args

__all__ = ["cdf", "logpdf", "pdf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the Laplace distribution at x."""
    x, loc, scale = args("laplace.logpdf", x, loc, scale)
    return -(fnp.abs(x - loc) / scale + fnp.log(2 * scale))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the Laplace distribution at x."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the Laplace distribution."""
    x, loc, scale = args("laplace.cdf", x, loc, scale)
    y = (x - loc) / scale
    half = 0.5 * fnp.exp(fnp.where(y <= 0, y, -y))  # |y| has no slope at 0
    return fnp.where(y <= 0, half, 1 - half)
