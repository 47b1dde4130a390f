"""The optimisers by name: chains of building blocks, with optax's arguments and defaults."""

from __future__ import annotations

from typing import Any

from fx.optim.base import GradientTransformation, ScalarOrSchedule, identity
from fx.optim.combine import chain, masked
from fx.optim.moments import (
    scale_by_adadelta,
    scale_by_adam,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_belief,
    scale_by_lion,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    scale_by_yogi,
)
from fx.optim.transforms import (
    add_decayed_weights,
    add_noise,
    scale,
    scale_by_learning_rate,
    scale_by_trust_ratio,
    trace,
)

__all__ = [
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "amsgrad",
    "lamb",
    "lars",
    "lion",
    "nadam",
    "nadamw",
    "noisy_sgd",
    "radam",
    "rmsprop",
    "sgd",
    "yogi",
]


def sgd(
    learning_rate: ScalarOrSchedule,
    momentum: float | None = None,
    nesterov: bool = False,
    accumulator_dtype: Any = None,
) -> GradientTransformation:
    """Gradient descent, with momentum if given.

    Update -a g; with momentum t = g + momentum t, update -a t, or -a (g + momentum t) with
    nesterov.

    >>> opt = sgd(0.1)
    >>> opt.update(fx.numpy.float32(0.5), opt.init(1.0))[0].item()
    -0.05000000074505806
    """
    first = trace(momentum, nesterov, accumulator_dtype) if momentum is not None else identity()
    return chain(first, scale_by_learning_rate(learning_rate))


def noisy_sgd(
    learning_rate: ScalarOrSchedule, eta: float = 0.01, gamma: float = 0.55, seed: Any = 0
) -> GradientTransformation:
    """Gradient descent with annealed noise: -a (g + n), n normal of variance eta / t^gamma
    (Neelakantan et al. 2015).
    """
    return chain(add_noise(eta, gamma, seed), scale_by_learning_rate(learning_rate))


def adam(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam (Kingma, Ba 2015): -a m^ / (sqrt(v^ + eps_root) + eps), m and v running means of g and
    g^2.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def nadam(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
) -> GradientTransformation:
    """Adam with Nesterov's momentum (Dozat 2016): b1 m^ + (1 - b1) g^ in place of m^."""
    return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=True)


def adamw(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-4,
    mask: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam with weight decay beside the adaptive step (Loshchilov, Hutter 2019).

    Update -a (m^ / (sqrt(v^ + eps_root) + eps) + weight_decay p); update needs params (ValueError).
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def nadamw(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-4,
    mask: Any = None,
) -> GradientTransformation:
    """`adamw` with Nesterov's momentum (Dozat, 2016): decayed weights, and moments a step ahead.

    mask: a tree of booleans, or a function of the parameters that gives one, says which decay.
    """
    return adamw(learning_rate, b1, b2, eps, eps_root, mu_dtype, weight_decay, mask, nesterov=True)


def amsgrad(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
) -> GradientTransformation:
    """Adam whose second moment never falls (Reddi et al. 2018): the greatest v^ so far divides."""
    return chain(
        scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype), scale_by_learning_rate(learning_rate)
    )


def adamax(
    learning_rate: ScalarOrSchedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> GradientTransformation:
    """Adam in the infinity norm (Kingma, Ba 2015): -a m^ / u, u = max(b2 u, |g| + eps)."""
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


def adamaxw(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: Any = 1e-4,
    mask: Any = None,
) -> GradientTransformation:
    """adamax with weight decay: -a (m^ / u + weight_decay p); update needs params (ValueError)."""
    return chain(
        scale_by_adamax(b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def adabelief(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-16,
    eps_root: float = 1e-16,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Steps scaled by how much the gradient is believed (Zhuang et al. 2020).

    Update -a m^ / (sqrt(s^) + eps), s the running mean of (g - m)^2 + eps_root.
    """
    return chain(
        scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def yogi(
    learning_rate: ScalarOrSchedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-3
) -> GradientTransformation:
    """Adam with an additive second moment (Zaheer et al. 2018): v moves by (1 - b2) g^2 towards
    g^2.
    """
    return chain(scale_by_yogi(b1, b2, eps), scale_by_learning_rate(learning_rate))


def radam(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    threshold: float = 5.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Rectified Adam (Liu et al. 2020).

    Update -a r m^ / (sqrt(v^ + eps_root) + eps), r the rectification; -a m^ while fewer than
    `threshold` degrees of freedom are there.
    """
    return chain(
        scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: ScalarOrSchedule,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: float | None = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Gradients over their running root mean square (Tieleman, Hinton 2012).

    Update -a g / sqrt(v + eps), v the running mean of g^2, or less the mean's square if centered;
    eps is added to the root if not eps_in_sqrt. momentum: `trace` of these updates.
    """
    if centered:
        first = scale_by_stddev(decay, eps, initial_scale, eps_in_sqrt)
    else:
        first = scale_by_rms(decay, eps, initial_scale, eps_in_sqrt, bias_correction)
    last = trace(momentum, nesterov) if momentum is not None else identity()
    return chain(first, scale_by_learning_rate(learning_rate), last)


def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """Gradients over the root of the sum of their squares (Duchi et al. 2011).

    Update -a g / sqrt(s + eps), s the sum of g^2 from initial_accumulator_value.
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate)
    )


def adadelta(
    learning_rate: ScalarOrSchedule | None = None,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    weight_decay_mask: Any = None,
) -> GradientTransformation:
    """Steps in units of past steps (Zeiler 2012).

    Update -a g sqrt(x + eps) / sqrt(v + eps) with v, x running means of g^2 and of squared updates;
    a is 1 unless given.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask) if weight_decay else identity(),
        scale_by_adadelta(rho, eps),
        scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate),
    )


def lion(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.99,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-3,
    mask: Any = None,
) -> GradientTransformation:
    """Steps of the sign of the momentum (Chen et al. 2023).

    Update -a (sign(b1 m + (1 - b1) g) + weight_decay p); then m = b2 m + (1 - b2) g. Needs params.
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def lamb(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    eps_root: float = 0.0,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """Adam with a trust ratio per leaf (You et al. 2020).

    Update -a |p| / |u| u per leaf, u = m^ / (sqrt(v^ + eps_root) + eps) + weight_decay p. Needs
    params.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


def lars(
    learning_rate: ScalarOrSchedule,
    weight_decay: float = 0.0,
    weight_decay_mask: Any = True,
    trust_coefficient: float = 0.001,
    eps: float = 0.0,
    trust_ratio_mask: Any = True,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> GradientTransformation:
    """Momentum with a trust ratio per leaf (You et al. 2017).

    u = g + weight_decay p, times trust_coefficient |p| / (|u| + eps) per leaf, -a, then momentum.
    Needs params.
    """

    def where(tx: GradientTransformation, mask: Any) -> GradientTransformation:
        return tx if mask is True else masked(tx, mask)

    return chain(
        where(add_decayed_weights(weight_decay), weight_decay_mask),
        where(scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )
