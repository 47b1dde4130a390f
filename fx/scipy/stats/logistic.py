"""The logistic distribution: P(X <= x) = 1 / (1 + exp(-y)), y = (x - loc) / scale."""

from __future__ import annotations

from typing import Any

from fx import numpy as fnp
from fx.scipy.special import expit, logit
from fx.scipy.stats.common import args

__all__ = ["cdf", "isf", "logpdf", "pdf", "ppf", "sf"]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Log density of the logistic distribution at x."""
    x, loc, scale = args("logistic.logpdf", x, loc, scale)
    half = (x - loc) / scale / 2
    return -2 * fnp.logaddexp(half, -half) - fnp.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density of the logistic distribution at x."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X <= x) of the logistic distribution."""
    x, loc, scale = args("logistic.cdf", x, loc, scale)
    return expit((x - loc) / scale)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """P(X > x) of the logistic distribution."""
    x, loc, scale = args("logistic.sf", x, loc, scale)
    return expit(-(x - loc) / scale)


def ppf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The x with P(X <= x) = q of the logistic distribution."""
    x, loc, scale = args("logistic.ppf", x, loc, scale)
    return logit(x) * scale + loc


def isf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The x with P(X > x) = q of the logistic distribution."""
    x, loc, scale = args("logistic.isf", x, loc, scale)
    return -logit(x) * scale + loc
