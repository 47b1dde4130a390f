"""Building blocks: scalings, momentum, weight decay, noise. Chained with those of moments.py, they
make the optimisers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fx import numpy as fnp
from fx import random
from fx.optim.base import (
    NO_PARAMS_MSG,
    GradientTransformation,
    ScalarOrSchedule,
    Schedule,
    global_norm,
    init_empty_state,
    safe_increment,
    stateless_with_tree_map,
    tree_cast,
    tree_zeros_like,
    zero_count,
)
from fx.tree_util import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "AddNoiseState",
    "EmaState",
    "ScaleByScheduleState",
    "TraceState",
    "add_decayed_weights",
    "add_noise",
    "bias_correction",
    "centralize",
    "ema",
    "normalize_by_update_norm",
    "scale",
    "scale_by_learning_rate",
    "scale_by_schedule",
    "scale_by_trust_ratio",
    "trace",
]


def mean_of_powers(updates: Any, moments: Any, decay: Any, order: int) -> Any:
    """decay * moments + (1 - decay) * updates^order, leaf by leaf; None where no update is."""
    return tree_map(
        lambda g, t: (1 - decay) * (g**order) + decay * t if g is not None else None,
        updates,
        moments,
    )


def bias_correction(moments: Any, decay: Any, count: Any) -> Any:
    """moments / (1 - decay^count): an average that began at zero, made unbiased."""
    factor = 1 - decay ** count.astype(np.float32)
    return tree_map(lambda t: t / factor.astype(t.dtype), moments)


# ---------------------------------------------------------------- scalings


def scale(step_size: Any) -> GradientTransformation:
    """Updates times a constant, leaf by leaf, in the dtype of their product; no state.

    step_size: a number or a scalar array; negative to go down.
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return tree_map(lambda g: step_size * g, updates), state

    return GradientTransformation(init_empty_state, update)


class ScaleByScheduleState(NamedTuple):
    """The number of updates so far, an int32 scalar: where in its schedule the step size is."""

    count: Any


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Updates times a function of the step count (0 at first), in their dtypes."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        size = step_size_fn(state.count)
        updates = tree_map(lambda g: fnp.asarray(size, dtype=fnp.asarray(g).dtype) * g, updates)
        return updates, ScaleByScheduleState(safe_increment(state.count))

    return GradientTransformation(lambda params: ScaleByScheduleState(zero_count()), update)


def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule, *, flip_sign: bool = True
) -> GradientTransformation:
    """Updates times minus the learning rate, a number or a schedule.

    flip_sign=False: plus.
    """
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        scheduled: Any = learning_rate
        return scale_by_schedule(lambda count: sign * scheduled(count))
    return scale(sign * learning_rate)


# ---------------------------------------------------------------- momentum


class TraceState(NamedTuple):
    """The accumulated gradient, a tree like the parameters, zeros at first."""

    trace: Any


def trace(
    decay: Any, nesterov: bool = False, accumulator_dtype: Any = None
) -> GradientTransformation:
    """t = g + decay t: momentum; nesterov gives g + decay t (Sutskever et al. 2013)."""

    def update(updates: Any, state: TraceState, params: Any = None) -> Any:
        new = tree_map(lambda g, t: g + decay * t, updates, state.trace)
        out = tree_map(lambda g, t: g + decay * t, updates, new) if nesterov else new
        return out, TraceState(tree_cast(new, accumulator_dtype))

    return GradientTransformation(
        lambda params: TraceState(tree_zeros_like(params, accumulator_dtype)), update
    )


class EmaState(NamedTuple):
    """The step count (int32) and the average, a tree like the parameters."""

    count: Any
    ema: Any


def ema(decay: float, debias: bool = True, accumulator_dtype: Any = None) -> GradientTransformation:
    """e = decay e + (1 - decay) g, the exponential moving average; over 1 - decay^t if debias."""

    def update(updates: Any, state: EmaState, params: Any = None) -> Any:
        new = mean_of_powers(updates, state.ema, decay, 1)
        count = safe_increment(state.count)
        out = bias_correction(new, decay, count) if debias else new
        return out, EmaState(count, tree_cast(new, accumulator_dtype))

    return GradientTransformation(
        lambda params: EmaState(zero_count(), tree_zeros_like(params, accumulator_dtype)), update
    )


# ---------------------------------------------------------------- parameters in play


def add_decayed_weights(weight_decay: Any = 0.0, mask: Any = None) -> GradientTransformation:
    """g + weight_decay p, where the mask (tree or function) allows; needs params (ValueError)."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        if params is None:
            raise ValueError(NO_PARAMS_MSG)
        return tree_map(lambda g, p: g + weight_decay * p, updates, params), state

    tx = GradientTransformation(init_empty_state, update)
    if mask is None:
        return tx
    from fx.optim.combine import masked

    return masked(tx, mask)


def scale_by_trust_ratio(
    min_norm: float = 0.0, trust_coefficient: float = 1.0, eps: float = 0.0
) -> GradientTransformation:
    """Each leaf times trust_coefficient |p| / (|g| + eps), by 1 where a norm is 0 (You et al.
    2017).
    """

    def one(g: Any, p: Any) -> Any:
        p_norm = _safe_norm(p, min_norm)
        g_norm = _safe_norm(g, min_norm)
        ratio = trust_coefficient * p_norm / (g_norm + eps)
        zero = (p_norm == 0) | (g_norm == 0)
        return g * fnp.where(zero, fnp.array(1.0, dtype=p.dtype), ratio)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        if params is None:
            raise ValueError(NO_PARAMS_MSG)
        return tree_map(one, updates, params), state

    return GradientTransformation(init_empty_state, update)


def _safe_norm(x: Any, least: float) -> Any:
    size = fnp.linalg.norm(x)
    safe = fnp.where(size <= least, fnp.ones_like(x), x)
    return fnp.where(size <= least, least, fnp.linalg.norm(safe))


def centralize() -> GradientTransformation:
    """Gradients of matrices minus their mean over all but the first axis (Yong et al. 2020)."""

    def one(g: Any, _: Any) -> Any:
        g = fnp.asarray(g)
        return g - fnp.mean(g, axis=tuple(range(1, g.ndim)), keepdims=True) if g.ndim > 1 else g

    return stateless_with_tree_map(one)


class AddNoiseState(NamedTuple):
    """The number of updates so far (int32) and the random key that the next noise is drawn from."""

    count: Any
    rng_key: Any


def add_noise(
    eta: float, gamma: float, seed: Any = 0, *, key: Any = None
) -> GradientTransformation:
    """Normal noise of variance eta / (1 + count)^gamma added to the updates (Neelakantan et al.
    2015).
    """

    def init(params: Any) -> AddNoiseState:
        start = random.key(seed) if key is None else key
        return AddNoiseState(zero_count(), start)

    def update(updates: Any, state: AddNoiseState, params: Any = None) -> Any:
        leaves, structure = tree_flatten(updates)
        count = safe_increment(state.count)
        deviation = fnp.sqrt(eta / count.astype(np.float32) ** gamma)
        keys = random.split(state.rng_key, len(leaves) + 1)
        noisy = [
            g + deviation.astype(g.dtype) * random.normal(keys[k + 1], g.shape, g.dtype)
            for k, g in enumerate(map(fnp.asarray, leaves))
        ]
        return tree_unflatten(structure, noisy), AddNoiseState(count, keys[0])

    return GradientTransformation(init, update)


def normalize_by_update_norm(
    scale_factor: float = 1.0, eps: float = 1e-6
) -> GradientTransformation:
    """All updates times scale_factor / (n + eps), with n the 2-norm of all leaves together.

    Shapes stay; no state. Updates of zeros stay zeros.
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        norm = (global_norm(updates) + eps) / scale_factor
        return tree_map(lambda g: g / norm, updates), state

    return GradientTransformation(init_empty_state, update)
