"""fx.scipy.interpolate.RegularGridInterpolator: values on a rectangular grid, interpolated."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.numpy.util import is_concrete

__all__ = ["RegularGridInterpolator"]


class RegularGridInterpolator:
    """f(points) by linear or nearest interpolation of values on the grid points[0] x points[1] x
    ...

    values [*grid, ...]. Points outside give fill_value, or the linear extrapolation where it is
    None. ValueError where shapes or the method do not fit or points do not increase;
    NotImplementedError for bounds_error.
    """

    def __init__(
        self,
        points: Any,
        values: Any,
        method: str = "linear",
        bounds_error: bool = False,
        fill_value: Any = np.nan,
    ):
        if method not in ("linear", "nearest"):
            raise ValueError(f"method {method!r} is not defined")
        self.method, self.bounds_error = method, bounds_error
        if bounds_error:
            raise NotImplementedError(
                "`bounds_error` takes no effect under JAX semantics; use fill_value"
            )
        self.grid = tuple(fnp.asarray(p) for p in points)
        self.values = fnp.asarray(values)
        if len(self.grid) > self.values.ndim:
            raise ValueError(
                f"there are {len(self.grid)} point arrays, but values has {self.values.ndim} "
                "dimensions"
            )
        for k, p in enumerate(self.grid):
            if p.ndim != 1:
                raise ValueError(f"the points in dimension {k} must be 1-dimensional")
            if self.values.shape[k] != p.shape[0]:
                raise ValueError(
                    f"there are {p.shape[0]} points and {self.values.shape[k]} values in dimension "
                    f"{k}"
                )
            if is_concrete(p) and not np.all(np.asarray(p)[1:] > np.asarray(p)[:-1]):
                raise ValueError(f"the points in dimension {k} must be strictly ascending")
        self.fill_value = fill_value

    def __call__(self, xi: Any, method: str | None = None) -> Any:
        """The values at points xi [..., number of axes]."""
        method = self.method if method is None else method
        if method not in ("linear", "nearest"):
            raise ValueError(f"method {method!r} is not defined")
        n = len(self.grid)
        if isinstance(xi, (tuple, list)):
            xi = fnp.stack(fnp.broadcast_arrays(*[fnp.asarray(x) for x in xi]), axis=-1)
        xi = fnp.asarray(xi)
        if n == 1 and xi.ndim == 1:
            xi = xi[:, None]
        if xi.shape[-1] != n:
            raise ValueError(
                f"the requested sample points xi have dimension {xi.shape[-1]}, but this "
                f"RegularGridInterpolator has dimension {n}"
            )
        lead = xi.shape[:-1]
        flat = xi.reshape((-1, n))
        index, weights, outside = self._places(flat)
        out = self._linear(index, weights) if method == "linear" else self._nearest(index, weights)
        if self.fill_value is not None:
            mask = outside.reshape((-1,) + (1,) * (self.values.ndim - n))
            out = fnp.where(mask, self.fill_value, out)
        return out.reshape((*lead, *self.values.shape[n:]))

    def _places(self, xi: Any) -> tuple[list[Any], list[Any], Any]:
        index, weights = [], []
        outside: Any = fnp.zeros(xi.shape[0], bool)
        for k, grid in enumerate(self.grid):
            x = xi[:, k]
            i = fnp.clip(fnp.searchsorted(grid, x, side="right") - 1, 0, max(grid.size - 2, 0))
            width = grid[fnp.minimum(i + 1, grid.size - 1)] - grid[i]
            index.append(i)
            weights.append(
                fnp.where(width == 0, 0, (x - grid[i]) / fnp.where(width == 0, 1, width))
            )
            outside = outside | (x < grid[0]) | (x > grid[-1])
        return index, weights, outside

    def _linear(self, index: list[Any], weights: list[Any]) -> Any:
        wide = (slice(None),) + (None,) * (self.values.ndim - len(index))
        out: Any = 0.0
        for corner in product((0, 1), repeat=len(index)):
            weight: Any = 1.0
            for c, w in zip(corner, weights):
                weight = weight * (w if c else 1 - w)
            at = tuple(
                fnp.minimum(i + c, s - 1) for i, c, s in zip(index, corner, self.values.shape)
            )
            out = out + self.values[at] * weight[wide]
        return out

    def _nearest(self, index: list[Any], weights: list[Any]) -> Any:
        at = tuple(
            fnp.minimum(fnp.where(w <= 0.5, i, i + 1), s - 1)
            for i, w, s in zip(index, weights, self.values.shape)
        )
        return self.values[at]
