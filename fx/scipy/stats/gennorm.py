"""The generalized normal distribution: densities like exp(-|x|^beta)."""

from __future__ import annotations

from typing import Any

from fx import numpy as fnp
from fx.scipy.special import gammainc, gammaln
from fx.scipy.stats.common import args

__all__ = ["cdf", "logpdf", "pdf"]


def logpdf(x: Any, beta: Any) -> Any:
    """Log density."""
    x, beta = args("gennorm.logpdf", x, beta)
    return fnp.log(0.5 * beta) - gammaln(1 / beta) - fnp.abs(x) ** beta


def pdf(x: Any, beta: Any) -> Any:
    """Density."""
    return fnp.exp(logpdf(x, beta))


def cdf(x: Any, beta: Any) -> Any:
    """Distribution function."""
    x, beta = args("gennorm.cdf", x, beta)
    return 0.5 * (1 + fnp.sign(x) * gammainc(1 / beta, fnp.abs(x) ** beta))
