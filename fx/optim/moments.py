"""Building blocks that divide gradients by their size: moments of first, second and infinite order.

g is the gradient, m and v running means of g and g^2, m^ and v^ the same over 1 - b^t: unbiased.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.optim.base import (
    GradientTransformation,
    safe_increment,
    tree_cast,
    tree_zeros_like,
    zero_count,
)
from fx.optim.transforms import bias_correction as unbiased
from fx.optim.transforms import mean_of_powers
from fx.tree_util import tree_map

__all__ = [
    "ScaleByAdaDeltaState",
    "ScaleByAdamState",
    "ScaleByAmsgradState",
    "ScaleByLionState",
    "ScaleByRStdDevState",
    "ScaleByRmsState",
    "ScaleByRssState",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_amsgrad",
    "scale_by_belief",
    "scale_by_lion",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rss",
    "scale_by_stddev",
    "scale_by_yogi",
]


def _second_moment(updates: Any, moments: Any, decay: Any) -> Any:
    def square(g: Any) -> Any:
        g = fnp.asarray(g)
        return fnp.real(g) ** 2 + fnp.imag(g) ** 2 if g.dtype.kind == "c" else g * g

    return tree_map(lambda g, t: (1 - decay) * square(g) + decay * t, updates, moments)


class ScaleByAdamState(NamedTuple):
    """The step count (int32) and the first and second moments, trees like the parameters."""

    count: Any
    mu: Any
    nu: Any


def _adam_init(mu_dtype: Any) -> Callable[[Any], ScaleByAdamState]:
    return lambda params: ScaleByAdamState(
        zero_count(), tree_zeros_like(params, mu_dtype), tree_zeros_like(params)
    )


def _first_hat(g: Any, mu: Any, b1: Any, count: Any, nesterov: bool) -> Any:
    if not nesterov:
        return unbiased(mu, b1, count)
    ahead = unbiased(mu, b1, safe_increment(count))
    now = unbiased(g, b1, count)
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
    """m^ / (sqrt(v^ + eps_root) + eps) (Kingma, Ba 2015; Nesterov's form b1 m^ + (1 - b1) g^: Dozat
    2016).
    """

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = mean_of_powers(updates, state.mu, b1, 1)
        nu = _second_moment(updates, state.nu, b2)
        count = safe_increment(state.count)
        mu_hat = _first_hat(updates, mu, b1, count, nesterov)
        nu_hat = unbiased(nu, b2, count)
        out = tree_map(lambda m, v: m / (fnp.sqrt(v + eps_root) + eps), mu_hat, nu_hat)
        return out, ScaleByAdamState(count, tree_cast(mu, mu_dtype), nu)

    return GradientTransformation(_adam_init(mu_dtype), update)


class ScaleByAmsgradState(NamedTuple):
    """Adam's state and the greatest second moment so far.

    count is an int32 scalar; mu, nu and nu_max are trees like the parameters.
    """

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
    """m^ / (sqrt(max v^) + eps), the greatest v^ so far, + eps_root (Reddi et al. 2018)."""

    def init(params: Any) -> ScaleByAmsgradState:
        zeros = tree_zeros_like(params)
        return ScaleByAmsgradState(zero_count(), tree_zeros_like(params, mu_dtype), zeros, zeros)

    def update(updates: Any, state: ScaleByAmsgradState, params: Any = None) -> Any:
        mu = mean_of_powers(updates, state.mu, b1, 1)
        nu = _second_moment(updates, state.nu, b2)
        count = safe_increment(state.count)
        mu_hat = unbiased(mu, b1, count)
        nu_max = tree_map(fnp.maximum, state.nu_max, unbiased(nu, b2, count))
        out = tree_map(lambda m, v: m / (fnp.sqrt(v + eps_root) + eps), mu_hat, nu_max)
        return out, ScaleByAmsgradState(count, tree_cast(mu, mu_dtype), nu, nu_max)

    return GradientTransformation(init, update)


def scale_by_adamax(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> GradientTransformation:
    """m^ / u with u = max(b2 u, |g| + eps), the infinity norm (Kingma, Ba 2015)."""

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        count = safe_increment(state.count)
        mu = mean_of_powers(updates, state.mu, b1, 1)
        nu = tree_map(lambda g, v: fnp.maximum(fnp.abs(g) + eps, b2 * v), updates, state.nu)
        mu_hat = unbiased(mu, b1, count)
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
    """m^ / (sqrt(s^) + eps), s the running mean of (g - m)^2, + eps_root (Zhuang et al. 2020)."""

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = mean_of_powers(updates, state.mu, b1, 1)
        surprise = tree_map(lambda g, m: g - m, updates, mu)
        nu = _second_moment(surprise, state.nu, b2)
        nu = tree_map(lambda v: v + eps_root, nu)
        count = safe_increment(state.count)
        mu_hat = _first_hat(updates, mu, b1, count, nesterov)
        nu_hat = unbiased(nu, b2, count)
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
    """m^ / (sqrt(v^ + eps_root) + eps), v = v - (1 - b2) sign(v - g^2) g^2 (Zaheer et al. 2018)."""

    def init(params: Any) -> ScaleByAdamState:
        full = tree_map(lambda p: fnp.full_like(p, initial_accumulator_value), params)
        return ScaleByAdamState(zero_count(), full, full)

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = mean_of_powers(updates, state.mu, b1, 1)
        nu = tree_map(lambda g, v: v - (1 - b2) * fnp.sign(v - g * g) * g * g, updates, state.nu)
        count = safe_increment(state.count)
        mu_hat, nu_hat = unbiased(mu, b1, count), unbiased(nu, b2, count)
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
    """Adam whose adaptive part starts when its variance is bounded (Liu et al. 2020).

    r m^ / (sqrt(v^ + eps_root) + eps) where ro >= threshold, else m^; ro = ro_inf - 2 t b2^t / (1 -
    b2^t), ro_inf = 2 / (1 - b2) - 1.
    """
    limit = 2.0 / (1.0 - b2) - 1.0

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> Any:
        mu = mean_of_powers(updates, state.mu, b1, 1)
        nu = _second_moment(updates, state.nu, b2)
        count = safe_increment(state.count)
        power = b2 ** count.astype(np.float32)
        ro = limit - 2 * count * power / (1 - power)
        mu_hat = _first_hat(updates, mu, b1, count, nesterov)
        nu_hat = unbiased(nu, b2, count)
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
    """The running mean of squared gradients, a tree like the parameters."""

    nu: Any


def scale_by_rms(
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """g / sqrt(v + eps), or g / (sqrt(v) + eps) if not eps_in_sqrt (Tieleman, Hinton 2012)."""
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
            hat = unbiased(nu, decay, count)
        out = tree_map(lambda g, v: g * _inverse_root(v, eps, eps_in_sqrt), updates, hat)
        return out, (count, ScaleByRmsState(nu)) if corrected else ScaleByRmsState(nu)

    return GradientTransformation(init, update)


def _inverse_root(v: Any, eps: float, inside: bool) -> Any:
    if inside:
        return lax.rsqrt(fnp.asarray(v + eps))
    return 1.0 / (fnp.sqrt(v) + eps)


class ScaleByRStdDevState(NamedTuple):
    """The running means of gradients and of their squares, trees like the parameters."""

    mu: Any
    nu: Any


def scale_by_stddev(
    decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0, eps_in_sqrt: bool = True
) -> GradientTransformation:
    """g / sqrt(v - m^2 + eps), the standard deviation of g (centered rmsprop)."""

    def init(params: Any) -> ScaleByRStdDevState:
        nu = tree_map(lambda p: fnp.full_like(p, initial_scale), params)
        return ScaleByRStdDevState(tree_zeros_like(params), nu)

    def update(updates: Any, state: ScaleByRStdDevState, params: Any = None) -> Any:
        mu = mean_of_powers(updates, state.mu, decay, 1)
        nu = _second_moment(updates, state.nu, decay)
        out = tree_map(
            lambda g, m, v: g * _inverse_root(v - m * m, eps, eps_in_sqrt), updates, mu, nu
        )
        return out, ScaleByRStdDevState(mu, nu)

    return GradientTransformation(init, update)


class ScaleByRssState(NamedTuple):
    """The sum of all squared gradients so far, a tree like the parameters."""

    sum_of_squares: Any


def scale_by_rss(
    initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """g / sqrt(s + eps), s the sum of g^2; 0 where s is 0 (Duchi et al. 2011)."""

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
    """Running means of squared gradients (e_g) and of squared updates (e_x).

    Trees like the parameters, zeros at first.
    """

    e_g: Any
    e_x: Any


def scale_by_adadelta(rho: float = 0.9, eps: float = 1e-6) -> GradientTransformation:
    """g sqrt(x + eps) / sqrt(v + eps), x the running mean of squared updates (Zeiler 2012)."""

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
    """The step count (int32) and the momentum, a tree like the parameters."""

    count: Any
    mu: Any


def scale_by_lion(
    b1: float = 0.9, b2: float = 0.99, mu_dtype: Any = None
) -> GradientTransformation:
    """sign(b1 m + (1 - b1) g); then m = b2 m + (1 - b2) g (Chen et al. 2023)."""

    def init(params: Any) -> ScaleByLionState:
        return ScaleByLionState(zero_count(), tree_zeros_like(params, mu_dtype))

    def update(updates: Any, state: ScaleByLionState, params: Any = None) -> Any:
        out = tree_map(lambda g, m: fnp.sign((1.0 - b1) * g + b1 * m), updates, state.mu)
        mu = tree_cast(mean_of_powers(updates, state.mu, b2, 1), mu_dtype)
        return out, ScaleByLionState(safe_increment(state.count), mu)

    return GradientTransformation(init, update)
