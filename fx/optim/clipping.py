"""Gradients kept within bounds."""

from __future__ import annotations

from typing import Any

from fx import numpy as fnp
from fx.optim.base import NO_PARAMS_MSG, GradientTransformation, global_norm, init_empty_state
from fx.tree_util import tree_map

__all__ = [
    "adaptive_grad_clip",
    "clip",
    "clip_by_block_rms",
    "clip_by_global_norm",
    "keep_params_nonnegative",
    "unitwise_norm",
    "zero_nans",
]


def clip(max_delta: Any) -> GradientTransformation:
    """Each element of the updates limited to [-max_delta, max_delta]; NaN stays; no state."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return tree_map(lambda g: fnp.clip(g, -max_delta, max_delta), updates), state

    return GradientTransformation(init_empty_state, update)


def clip_by_block_rms(threshold: Any) -> GradientTransformation:
    """Each leaf scaled down so that its root mean square is at most `threshold`."""

    def one(g: Any) -> Any:
        size = fnp.sqrt(fnp.mean(fnp.square(g)))
        return g / fnp.maximum(1.0, size / threshold)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return tree_map(one, updates), state

    return GradientTransformation(init_empty_state, update)


def clip_by_global_norm(max_norm: Any) -> GradientTransformation:
    """All leaves scaled down together so that their global norm is at most `max_norm`.

    g max_norm / |all g| where that norm is not below max_norm (Pascanu et al. 2013).
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        norm = global_norm(updates)
        small = norm < max_norm
        safe = fnp.where(small, 1.0, norm)

        def one(g: Any) -> Any:
            g = fnp.asarray(g)
            return fnp.where(small, g, (g / safe.astype(g.dtype)) * max_norm)

        return tree_map(one, updates), state

    return GradientTransformation(init_empty_state, update)


def unitwise_norm(x: Any) -> Any:
    """The norm of each output unit: per row of matrices, per filter of kernels.

    Of x's shape: sums over all axes but the last, for vectors and scalars over all. ValueError for
    more than five axes.
    """
    x = fnp.asarray(x)
    if fnp.squeeze(x).ndim <= 1:
        axes, keep = tuple(range(x.ndim)), True
    elif x.ndim in (2, 3):
        axes, keep = (0,) if x.ndim == 2 else (0, 1), True
    elif x.ndim == 4:
        axes, keep = (0, 1, 2), True
    elif x.ndim == 5:
        axes, keep = (0, 1, 2, 3), True
    else:
        raise ValueError(f"Expected parameter with shape in {{1, 2, 3, 4, 5}}, got {x.shape}.")
    size = fnp.sqrt(fnp.sum(fnp.abs(x) ** 2, axis=axes, keepdims=keep))
    return fnp.broadcast_to(size, x.shape)


def adaptive_grad_clip(clipping: float, eps: float = 1e-3) -> GradientTransformation:
    """Each unit's gradient at most `clipping` times its parameters' norm (Brock et al. 2021).

    Norms as `unitwise_norm`, that of parameters at least eps. Needs params (ValueError).
    """

    def one(g: Any, p: Any) -> Any:
        g_norm, p_norm = unitwise_norm(g), unitwise_norm(p)
        limit = clipping * fnp.maximum(p_norm, eps)
        return fnp.where(g_norm < limit, g, limit * (g / fnp.maximum(g_norm, 1e-6)))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        if params is None:
            raise ValueError(NO_PARAMS_MSG)
        return tree_map(one, updates, params), state

    return GradientTransformation(init_empty_state, update)


def zero_nans() -> GradientTransformation:
    """NaNs replaced by zeros; the state says which leaves had any.

    A boolean scalar per leaf.
    """

    def init(params: Any) -> Any:
        return tree_map(lambda p: fnp.zeros([], bool), params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        found = tree_map(lambda g: fnp.any(fnp.isnan(g)), updates)
        return tree_map(
            lambda g: fnp.where(fnp.isnan(g), 0, g).astype(fnp.asarray(g).dtype), updates
        ), found

    return GradientTransformation(init, update)


def keep_params_nonnegative() -> GradientTransformation:
    """Updates limited so that parameters stay at or above 0.

    -p where p + g < 0. Needs params (ValueError).
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        if params is None:
            raise ValueError(NO_PARAMS_MSG)
        return tree_map(lambda p, g: fnp.where(p + g < 0.0, -p, g), params, updates), state

    return GradientTransformation(init_empty_state, update)
