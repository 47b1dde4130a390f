"""The generalized normal distribution: density beta exp(-|x|^beta) / (2 Gamma(1 / beta))."""

from __future__ import annotations

from typing import Any

from fx import numpy as fnp
from fx.scipy.special import gammainc, gammaln
from fx.scipy.stats.common import args

__all__ = ["cdf", "logpdf", "pdf"]


def logpdf(x: Any, beta: Any) -> Any:
    """Log density of the generalised normal distribution at x."""
    x, beta = args("gennorm.logpdf", x, beta)
    return fnp.log(0.5 * beta) - gammaln(1 / beta) - fnp.abs(x) ** beta


def pdf(x: Any, beta: Any) -> Any:
    """Density of the generalised normal distribution at x."""
    return fnp.exp(logpdf(x, beta))


def cdf(x: Any, beta: Any) -> Any:
    """P(X <= x) of the generalised normal distribution."""
    x, beta = args("gennorm.cdf", x, beta)
    median = x == 0  # where |x|^beta has an infinite slope or none; the density there is known
    inner = fnp.where(median, 1.0, x)
    there = 0.5 + x * pdf(fnp.zeros_like(x), beta)
    elsewhere = 0.5 * (1 + fnp.sign(inner) * gammainc(1 / beta, fnp.abs(inner) ** beta))
    return fnp.where(median, there, elsewhere)
