"""The Dirichlet distribution: density Gamma(sum alpha) prod x_i^(alpha_i - 1) / Gamma(alpha_i)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammaln, xlogy
from fx.scipy.stats.common import args

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, alpha: Any) -> Any:
    """Log density: x [k, ...] or [k - 1, ...] (the last is what is missing to 1), alpha [k].

    -inf off the simplex (to 1e-6). ValueError for other shapes.
    """
    x, alpha = args("dirichlet.logpdf", x, alpha)
    if alpha.ndim != 1:
        raise ValueError(f"`alpha` must be one-dimensional; got alpha.shape={alpha.shape}")
    if x.shape[0] not in (alpha.shape[0], alpha.shape[0] - 1):
        raise ValueError(
            "`x` must have either the same number of entries as `alpha` or one entry fewer; got "
            f"x.shape={x.shape}, alpha.shape={alpha.shape}"
        )
    if x.shape[0] != alpha.shape[0]:
        x = fnp.concatenate([x, 1 - fnp.sum(x, axis=0, keepdims=True)], axis=0)
    normal = fnp.sum(gammaln(alpha)) - gammaln(fnp.sum(alpha))
    wide = alpha.reshape((-1,) + (1,) * (x.ndim - 1)) if x.ndim > 1 else alpha
    logs = fnp.sum(xlogy(wide - 1, x), axis=0) - normal
    inside = fnp.all(x > 0, axis=0) & (fnp.abs(fnp.sum(x, axis=0) - 1) < 1e-6)
    return fnp.where(inside, logs, -np.inf)


def pdf(x: Any, alpha: Any) -> Any:
    """Density; -inf of the logarithm is 0 here. Arguments as in `logpdf`."""
    return fnp.exp(logpdf(x, alpha))
