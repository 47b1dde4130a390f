"""Density estimates by Gaussian kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import nn
from fx import numpy as fnp
from fx.numpy.util import check_arraylike, promote_dtypes_inexact
from fx.scipy import linalg
from fx.scipy.special import ndtr
from fx.tree_util import register_pytree_node_class

__all__ = ["gaussian_kde"]


@register_pytree_node_class
class gaussian_kde:
    """A sum of normal densities around the points of `dataset` [d, n].

    The kernel's covariance is that of the data times factor^2: n^(-1 / (d + 4)) (Scott 1992),
    ((d + 2) n / 4)^(-1 / (d + 4)) (Silverman 1986), a number or a function of the estimate; n
    counts by weights. A tree of arrays. ValueError for fewer than two elements, weights of another
    shape and other methods.
    """

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None):
        check_arraylike("gaussian_kde", dataset)
        data = fnp.atleast_2d(fnp.asarray(dataset))
        if fnp.iscomplexobj(data):
            raise NotImplementedError("gaussian_kde does not support complex data")
        if not data.size > 1:
            raise ValueError("`dataset` input should have multiple elements.")
        d, n = data.shape
        if weights is None:
            (data,) = promote_dtypes_inexact("gaussian_kde", data)
            weights = fnp.full(n, 1.0 / n, data.dtype)
        else:
            check_arraylike("gaussian_kde", weights)
            data, weights = promote_dtypes_inexact("gaussian_kde", data, fnp.atleast_1d(weights))
            if weights.shape != (n,):
                raise ValueError(
                    f"`weights` input should be one-dimensional, of length {n}; got shape "
                    f"{weights.shape}"
                )
            weights = weights / fnp.sum(weights)
        neff = 1 / fnp.sum(weights * weights)
        if bw_method is None or bw_method == "scott":
            factor = fnp.power(neff, -1.0 / (d + 4))
        elif bw_method == "silverman":
            factor = fnp.power(neff * (d + 2) / 4.0, -1.0 / (d + 4))
        elif callable(bw_method):
            self.neff, self.dataset = neff, data
            factor: Any = bw_method(self)
        elif np.ndim(bw_method) == 0 and not isinstance(bw_method, str):
            factor = bw_method
        else:
            raise ValueError("`bw_method` should be 'scott', 'silverman', a scalar, or a callable.")
        base = fnp.atleast_2d(fnp.cov(data, rowvar=True, bias=False, aweights=weights))
        self.neff, self.dataset, self.weights = neff, data, weights
        self.covariance = base * factor**2
        self.inv_cov = fnp.linalg.inv(base) / factor**2

    def tree_flatten(self) -> Any:
        """The leaves, for pytrees."""
        return (self.neff, self.dataset, self.weights, self.covariance, self.inv_cov), None

    @classmethod
    def tree_unflatten(cls, aux: Any, children: Any) -> gaussian_kde:
        """Rebuild from leaves."""
        out = object.__new__(cls)
        out.neff, out.dataset, out.weights, out.covariance, out.inv_cov = children
        return out

    d = property(lambda self: self.dataset.shape[0])
    n = property(lambda self: self.dataset.shape[1])

    def logpdf(self, x: Any) -> Any:
        """Log density at points [d, m].

        The result is [m]. ValueError for points of another dimension.
        """
        x = self._points(x)
        lower = fnp.linalg.cholesky(self.covariance)
        whitened = linalg.solve_triangular(lower, self.dataset, lower=True)
        points = linalg.solve_triangular(lower, x, lower=True)
        distance = fnp.sum((whitened[:, :, None] - points[:, None, :]) ** 2, axis=0)
        logs = -0.5 * distance + fnp.log(self.weights)[:, None]
        normal = 0.5 * self.d * np.log(2 * np.pi) + fnp.sum(fnp.log(fnp.diag(lower)))
        return nn.logsumexp(logs, axis=0) - normal

    def pdf(self, x: Any) -> Any:
        """Density at points [d, m].

        The result is [m], as `evaluate`.
        """
        return self.evaluate(x)

    def evaluate(self, points: Any) -> Any:
        """Density at points [d, m]."""
        return fnp.exp(self.logpdf(points))

    __call__ = evaluate

    def _points(self, x: Any) -> Any:
        x = fnp.atleast_2d(fnp.asarray(x).astype(self.dataset.dtype))
        if x.shape[0] != self.d:
            if x.shape[0] == 1 and x.shape[1] == self.d:
                return x.reshape((self.d, 1))
            raise ValueError(f"points have dimension {x.shape[0]}, dataset has dimension {self.d}")
        return x

    def integrate_gaussian(self, mean: Any, cov: Any) -> Any:
        """The integral of the estimate times a normal density.

        mean [d], cov [d, d]; a scalar.
        """
        mean, cov = fnp.atleast_1d(fnp.squeeze(fnp.asarray(mean))), fnp.atleast_2d(fnp.asarray(cov))
        total = self.covariance + cov
        lower = fnp.linalg.cholesky(total)
        y = linalg.solve_triangular(lower, self.dataset - mean[:, None], lower=True)
        normal = 0.5 * self.d * np.log(2 * np.pi) + fnp.sum(fnp.log(fnp.diag(lower)))
        return fnp.sum(fnp.exp(-0.5 * fnp.sum(y * y, axis=0) - normal) * self.weights)

    def integrate_box_1d(self, low: Any, high: Any) -> Any:
        """The probability of an interval, for one-dimensional data.

        ValueError for data of more dimensions.
        """
        if self.d != 1:
            raise ValueError("integrate_box_1d() only handles 1D pdfs")
        sigma = fnp.sqrt(self.covariance[0, 0])
        mass = ndtr((high - self.dataset[0]) / sigma) - ndtr((low - self.dataset[0]) / sigma)
        return fnp.sum(self.weights * mass)

    def integrate_kde(self, other: gaussian_kde) -> Any:
        """The integral of the product with another estimate."""
        small, large = (self, other) if self.n < other.n else (other, self)
        total = small.covariance + large.covariance
        lower = fnp.linalg.cholesky(total)
        a = linalg.solve_triangular(lower, small.dataset, lower=True)
        b = linalg.solve_triangular(lower, large.dataset, lower=True)
        distance = fnp.sum((a[:, :, None] - b[:, None, :]) ** 2, axis=0)
        normal = 0.5 * self.d * np.log(2 * np.pi) + fnp.sum(fnp.log(fnp.diag(lower)))
        weights = small.weights[:, None] * large.weights[None, :]
        return fnp.sum(weights * fnp.exp(-0.5 * distance - normal))

    def resample(self, key: Any, shape: tuple[int, ...] = ()) -> Any:
        """Points drawn from the estimate, [d, *shape]."""
        from fx import random

        pick, noise = random.split(key)
        which = random.choice(pick, self.n, shape=shape, p=self.weights)
        lower = fnp.linalg.cholesky(self.covariance)
        steps = random.normal(noise, (*shape, self.d), self.dataset.dtype) @ lower.T
        return fnp.moveaxis(self.dataset.T[which] + steps, -1, 0)
