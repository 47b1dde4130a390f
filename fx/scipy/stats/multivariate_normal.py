"""The multivariate normal distribution: density exp(-z^T z / 2) / sqrt(det(2 pi cov)),
z = L^-1 (x - mean), cov = L L^T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.lax import linalg
from fx.scipy.stats.common import args

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, mean: Any, cov: Any, allow_singular: None = None) -> Any:
    """Log density [...], by the Cholesky factor of the covariance.

    x and mean [..., n], cov [..., n, n] or a number. ValueError for other shapes,
    NotImplementedError for allow_singular.
    """
    if allow_singular is not None:
        raise NotImplementedError("allow_singular argument of multivariate_normal.logpdf")
    x, mean, cov = args("multivariate_normal.logpdf", x, mean, cov)
    if not mean.ndim:
        return -0.5 * ((x - mean) ** 2 / cov + fnp.log(2 * np.pi * cov))
    n = mean.shape[-1]
    if not cov.ndim:
        y = x - mean
        return -0.5 * (fnp.einsum("...i,...i->...", y, y) / cov + n * fnp.log(2 * np.pi * cov))
    if cov.ndim < 2 or cov.shape[-2:] != (n, n):
        raise ValueError("multivariate_normal.logpdf got incompatible shapes")
    lower = linalg.cholesky(cov)
    batch = np.broadcast_shapes(x.shape[:-1], mean.shape[:-1], cov.shape[:-2])
    y = fnp.broadcast_to(x - mean, (*batch, n))
    lower = fnp.broadcast_to(lower, (*batch, n, n))
    y = linalg.triangular_solve(lower, y[..., None], left_side=True, lower=True)[..., 0]
    logs = fnp.sum(fnp.log(fnp.diagonal(lower, axis1=-2, axis2=-1)), axis=-1)
    return -0.5 * fnp.einsum("...i,...i->...", y, y) - n / 2 * np.log(2 * np.pi) - logs


def pdf(x: Any, mean: Any, cov: Any) -> Any:
    """Density [...]; arguments as in `logpdf`."""
    return fnp.exp(logpdf(x, mean, cov))
