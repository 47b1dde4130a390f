"""Building blocks: momentum, second moments, scalings, weight decay. Chained, they make the
optimisers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fx import lax, random
from fx import numpy as fnp
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
    "ScaleByAdaDeltaState",
    "ScaleByAdamState",
    "ScaleByAmsgradState",
    "ScaleByLionState",
    "ScaleByRStdDevState",
    "ScaleByRmsState",
    "ScaleByRssState",
    "ScaleByScheduleState",
    "TraceState",
    "add_decayed_weights",
    "add_noise",
    "bias_correction",
    "centralize",
    "ema",
    "normalize_by_update_norm",
    "scale",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_amsgrad",
    "scale_by_belief",
    "scale_by_learning_rate",
    "scale_by_lion",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rss",
    "scale_by_schedule",
    "scale_by_stddev",
    "scale_by_trust_ratio",
    "scale_by_yogi",
    "trace",
]


def _moment(updates: Any, moments: Any, decay: Any, order: int) -> Any:
    return tree_map(
        lambda g, t: (1 - decay) * (g**order) + decay * t if g is not None else None,
        updates,
        moments,
    )


def _second_moment(updates: Any, moments: Any, decay: Any) -> Any:
    def square(g: Any) -> Any:
        g = fnp.asarray(g)
        return fnp.real(g) ** 2 + fnp.imag(g) ** 2 if g.dtype.kind == "c" else g * g

    return tree_map(lambda g, t: (1 - decay) * square(g) + decay * t, updates, moments)


def bias_correction(moments: Any, decay: Any, count: Any) -> Any:
    """moments / (1 - decay^count): an average that began at zero, made unbiased."""
    factor = 1 - decay ** count.astype(np.float32)
    return tree_map(lambda t: t / factor.astype(t.dtype), moments)


# ---------------------------------------------------------------- scalings


def scale(step_size: Any) -> GradientTransformation:
    """Updates times a constant."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return tree_map(lambda g: step_size * g, updates), state

    return GradientTransformation(init_empty_state, update)


class ScaleByScheduleState(NamedTuple):
    """The step count."""

    count: Any


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Updates times a function of the step count."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        size = step_size_fn(state.count)
        updates = tree_map(lambda g: fnp.asarray(size, dtype=fnp.asarray(g).dtype) * g, updates)
        return updates, ScaleByScheduleState(safe_increment(state.count))

    return GradientTransformation(lambda params: ScaleByScheduleState(zero_count()), update)


def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule, *, flip_sign: bool = True
) -> GradientTransformation:
    """Updates times minus the learning rate, a number or a schedule."""
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        scheduled: Any = learning_rate
        return scale_by_schedule(lambda count: sign * scheduled(count))
    return scale(sign * learning_rate)


# ---------------------------------------------------------------- momentum


class TraceState(NamedTuple):
    """The accumulated gradient."""

    trace: Any


def trace(
    decay: Any, nesterov: bool = False, accumulator_dtype: Any = None
) -> GradientTransformation:
    """t = g + decay * t: momentum, or Nesterov's look ahead."""

    def update(updates: Any, state: TraceState, params: Any = None) -> Any:
        new = tree_map(lambda g, t: g + decay * t, updates, state.trace)
        out = tree_map(lambda g, t: g + decay * t, updates, new) if nesterov else new
        return out, TraceState(tree_cast(new, accumulator_dtype))

    return GradientTransformation(
        lambda params: TraceState(tree_zeros_like(params, accumulator_dtype)), update
    )


class EmaState(NamedTuple):
    """The step count and the average."""

    count: Any
    ema: Any


def ema(decay: float, debias: bool = True, accumulator_dtype: Any = None) -> GradientTransformation:
    """The exponential moving average of the updates."""

    def update(updates: Any, state: EmaState, params: Any = None) -> Any:
        new = _moment(updates, state.ema, decay, 1)
        count = safe_increment(state.count)
        out = bias_correction(new, decay, count) if debias else new
        return out, EmaState(count, tree_cast(new, accumulator_dtype))

    return GradientTransformation(
        lambda params: EmaState(zero_count(), tree_zeros_like(params, accumulator_dtype)), update
    )


# ---------------------------------------------------------------- second moments


class ScaleByAdamState(NamedTuple):
    """The step count and the first and second moments."""

    count: Any
    mu: Any
    nu: Any


def _adam_init(mu_dtype: Any) -> Callable[[Any], ScaleByAdamState]:
    return lambda params: ScaleByAdamState(
        zero_count(), tree_zeros_like(params, mu_dtype), tree_zeros_like(params)
    )


def _first_hat(g: Any, mu: Any, b1: Any, count: Any, nesterov: bool) -> Any:
    if not nesterov:
        return bias_correction(mu, b1, count)
    ahead = bias_correction(mu, b1, safe_increment(count))
    now = bias_correction(g, b1, count)
    return tree_map(lambda m, u: b1 * m + (1 - b1) * u, ahead, now)


def scale_by_adam(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """m / (sqrt(v) + eps) with unbiased moments (Kingma, Ba 2015; Nesterov's form: Dozat 2016)."""

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = _moment(updates, state.mu, b1, 1)
        nu = _second_moment(updates, state.nu, b2)
        count = safe_increment(state.count)
        mu_hat = _first_hat(updates, mu, b1, count, nesterov)
        nu_hat = bias_correction(nu, b2, count)
        out = tree_map(lambda m, v: m / (fnp.sqrt(v + eps_root) + eps), mu_hat, nu_hat)
        return out, ScaleByAdamState(count, tree_cast(mu, mu_dtype), nu)

    return GradientTransformation(_adam_init(mu_dtype), update)


class ScaleByAmsgradState(NamedTuple):
    """Adam's state and the greatest second moment so far."""

    count: Any
    mu: Any
    nu: Any
    nu_max: Any


def scale_by_amsgrad(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
) -> GradientTransformation:
    """Adam with the running maximum of the second moment (Reddi et al. 2018)."""

    def init(params: Any) -> ScaleByAmsgradState:
        zeros = tree_zeros_like(params)
        return ScaleByAmsgradState(zero_count(), tree_zeros_like(params, mu_dtype), zeros, zeros)

    def update(updates: Any, state: ScaleByAmsgradState, params: Any = None) -> Any:
        mu = _moment(updates, state.mu, b1, 1)
        nu = _second_moment(updates, state.nu, b2)
        count = safe_increment(state.count)
        mu_hat = bias_correction(mu, b1, count)
        nu_max = tree_map(fnp.maximum, state.nu_max, bias_correction(nu, b2, count))
        out = tree_map(lambda m, v: m / (fnp.sqrt(v + eps_root) + eps), mu_hat, nu_max)
        return out, ScaleByAmsgradState(count, tree_cast(mu, mu_dtype), nu, nu_max)

    return GradientTransformation(init, update)


def scale_by_adamax(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> GradientTransformation:
    """Adam with the infinity norm in place of the second moment (Kingma, Ba 2015)."""

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        count = safe_increment(state.count)
        mu = _moment(updates, state.mu, b1, 1)
        nu = tree_map(lambda g, v: fnp.maximum(fnp.abs(g) + eps, b2 * v), updates, state.nu)
        mu_hat = bias_correction(mu, b1, count)
        return tree_map(lambda m, v: m / v, mu_hat, nu), ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_adam_init(None), update)


def scale_by_belief(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-16,
    eps_root: float = 1e-16,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam with the variance of the gradient around its mean (Zhuang et al. 2020)."""

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = _moment(updates, state.mu, b1, 1)
        surprise = tree_map(lambda g, m: g - m, updates, mu)
        nu = _second_moment(surprise, state.nu, b2)
        nu = tree_map(lambda v: v + eps_root, nu)
        count = safe_increment(state.count)
        mu_hat = _first_hat(updates, mu, b1, count, nesterov)
        nu_hat = bias_correction(nu, b2, count)
        out = tree_map(lambda m, v: m / (fnp.sqrt(v) + eps), mu_hat, nu_hat)
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_adam_init(None), update)


def scale_by_yogi(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-3,
    eps_root: float = 0.0,
    initial_accumulator_value: float = 1e-6,
) -> GradientTransformation:
    """Adam with an additive second moment (Zaheer et al. 2018)."""

    def init(params: Any) -> ScaleByAdamState:
        full = tree_map(lambda p: fnp.full_like(p, initial_accumulator_value), params)
        return ScaleByAdamState(zero_count(), full, full)

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = _moment(updates, state.mu, b1, 1)
        nu = tree_map(lambda g, v: v - (1 - b2) * fnp.sign(v - g * g) * g * g, updates, state.nu)
        count = safe_increment(state.count)
        mu_hat, nu_hat = bias_correction(mu, b1, count), bias_correction(nu, b2, count)
        out = tree_map(lambda m, v: m / (fnp.sqrt(v + eps_root) + eps), mu_hat, nu_hat)
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_radam(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    threshold: float = 5.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam whose adaptive part starts when its variance is bounded (Liu et al. 2020)."""
    limit = 2.0 / (1.0 - b2) - 1.0

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = _moment(updates, state.mu, b1, 1)
        nu = _second_moment(updates, state.nu, b2)
        count = safe_increment(state.count)
        power = b2 ** count.astype(np.float32)
        ro = limit - 2 * count * power / (1 - power)
        mu_hat = _first_hat(updates, mu, b1, count, nesterov)
        nu_hat = bias_correction(nu, b2, count)
        safe = fnp.where(ro >= threshold, ro, threshold)
        r = fnp.sqrt((safe - 4.0) * (safe - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * safe))
        out = tree_map(
            lambda m, v: fnp.where(
                ro >= threshold, r.astype(m.dtype) * m / (fnp.sqrt(v + eps_root) + eps), m
            ),
            mu_hat,
            nu_hat,
        )
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_adam_init(None), update)


class ScaleByRmsState(NamedTuple):
    """The second moment."""

    nu: Any


def scale_by_rms(
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """g / sqrt(v + eps) (Tieleman, Hinton 2012)."""
    corrected = bias_correction

    def init(params: Any) -> Any:
        nu = tree_map(lambda p: fnp.full_like(p, initial_scale), params)
        return (zero_count(), ScaleByRmsState(nu)) if corrected else ScaleByRmsState(nu)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count, inner = state if corrected else (None, state)
        nu = _second_moment(updates, inner.nu, decay)
        hat = nu
        if corrected:
            count = safe_increment(count)
            hat = _unbiased(nu, decay, count)
        out = tree_map(lambda g, v: g * _inverse_root(v, eps, eps_in_sqrt), updates, hat)
        return out, (count, ScaleByRmsState(nu)) if corrected else ScaleByRmsState(nu)

    return GradientTransformation(init, update)


_unbiased = bias_correction


def _inverse_root(v: Any, eps: float, inside: bool) -> Any:
    if inside:
        return lax.rsqrt(fnp.asarray(v + eps))
    return 1.0 / (fnp.sqrt(v) + eps)


class ScaleByRStdDevState(NamedTuple):
    """The first and second moments."""

    mu: Any
    nu: Any


def scale_by_stddev(
    decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0, eps_in_sqrt: bool = True
) -> GradientTransformation:
    """g over the standard deviation of g (centered rmsprop)."""

    def init(params: Any) -> ScaleByRStdDevState:
        nu = tree_map(lambda p: fnp.full_like(p, initial_scale), params)
        return ScaleByRStdDevState(tree_zeros_like(params), nu)

    def update(updates: Any, state: ScaleByRStdDevState, params: Any = None) -> Any:
        mu = _moment(updates, state.mu, decay, 1)
        nu = _second_moment(updates, state.nu, decay)
        out = tree_map(
            lambda g, m, v: g * _inverse_root(v - m * m, eps, eps_in_sqrt), updates, mu, nu
        )
        return out, ScaleByRStdDevState(mu, nu)

    return GradientTransformation(init, update)


class ScaleByRssState(NamedTuple):
    """The sum of squared gradients."""

    sum_of_squares: Any


def scale_by_rss(
    initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """g over the root of the sum of its squares (Duchi et al. 2011)."""

    def init(params: Any) -> ScaleByRssState:
        return ScaleByRssState(
            tree_map(lambda p: fnp.full_like(p, initial_accumulator_value), params)
        )

    def update(updates: Any, state: ScaleByRssState, params: Any = None) -> Any:
        total = tree_map(lambda g, t: g * g + t, updates, state.sum_of_squares)
        out = tree_map(
            lambda g, t: fnp.where(t > 0, lax.rsqrt(fnp.where(t > 0, t, 1) + eps), 0.0) * g,
            updates,
            total,
        )
        return out, ScaleByRssState(total)

    return GradientTransformation(init, update)


class ScaleByAdaDeltaState(NamedTuple):
    """Running means of squared gradients and of squared updates."""

    e_g: Any
    e_x: Any


def scale_by_adadelta(rho: float = 0.9, eps: float = 1e-6) -> GradientTransformation:
    """Gradients over their scale, times the scale of past updates (Zeiler 2012)."""

    def init(params: Any) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(tree_zeros_like(params), tree_zeros_like(params))

    def update(updates: Any, state: ScaleByAdaDeltaState, params: Any = None) -> Any:
        e_g = _second_moment(updates, state.e_g, rho)
        out = tree_map(
            lambda g, a, b: fnp.sqrt(b + eps) / fnp.sqrt(a + eps) * g, updates, e_g, state.e_x
        )
        return out, ScaleByAdaDeltaState(e_g, _second_moment(out, state.e_x, rho))

    return GradientTransformation(init, update)


class ScaleByLionState(NamedTuple):
    """The step count and the momentum."""

    count: Any
    mu: Any


def scale_by_lion(
    b1: float = 0.9, b2: float = 0.99, mu_dtype: Any = None
) -> GradientTransformation:
    """The sign of a mean of gradient and momentum (Chen et al. 2023)."""

    def init(params: Any) -> ScaleByLionState:
        return ScaleByLionState(zero_count(), tree_zeros_like(params, mu_dtype))

    def update(updates: Any, state: ScaleByLionState, params: Any = None) -> Any:
        out = tree_map(lambda g, m: fnp.sign((1.0 - b1) * g + b1 * m), updates, state.mu)
        mu = tree_cast(_moment(updates, state.mu, b2, 1), mu_dtype)
        return out, ScaleByLionState(safe_increment(state.count), mu)

    return GradientTransformation(init, update)


# ---------------------------------------------------------------- parameters in play


def add_decayed_weights(weight_decay: Any = 0.0, mask: Any = None) -> GradientTransformation:
    """updates + weight_decay * params, where the mask allows."""

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
    """Each leaf times |params| / |update| (You et al. 2017)."""

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
    size = fnp.linalg.norm(fnp.ravel(x))
    safe = fnp.where(size <= least, fnp.ones_like(x), x)
    return fnp.where(size <= least, least, fnp.linalg.norm(fnp.ravel(safe)))


def centralize() -> GradientTransformation:
    """Gradients of matrices minus their mean over all but the first axis (Yong et al. 2020)."""

    def one(g: Any, _: Any) -> Any:
        g = fnp.asarray(g)
        return g - fnp.mean(g, axis=tuple(range(1, g.ndim)), keepdims=True) if g.ndim > 1 else g

    return stateless_with_tree_map(one)


class AddNoiseState(NamedTuple):
    """The step count and the random key."""

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
    """All updates over their global norm."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        norm = (global_norm(updates) + eps) / scale_factor
        return tree_map(lambda g: g / norm, updates), state

    return GradientTransformation(init_empty_state, update)
