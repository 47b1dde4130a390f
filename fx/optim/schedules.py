"""Schedules: functions of the step count that give a learning rate, traced or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.optim.base import Schedule

__all__ = [
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exponential_decay",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "sgdr_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]


def constant_schedule(value: Any) -> Schedule:
    """A schedule that is always `value`: a function of the step count."""
    return lambda count: value


def polynomial_schedule(
    init_value: Any, end_value: Any, power: Any, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """From init_value to end_value as (1 - t)^power after transition_begin steps.

    (init - end) (1 - t / transition_steps)^power + end, t = count - transition_begin kept in [0,
    transition_steps]; init_value always for transition_steps <= 0.
    """
    if transition_steps <= 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)

    def schedule(count: Any) -> Any:
        t = fnp.clip(fnp.asarray(count) - begin, 0, transition_steps)
        rest = 1 - t / transition_steps
        return (init_value - end_value) * rest**power + end_value

    return schedule


def linear_schedule(
    init_value: Any, end_value: Any, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """A straight line from init_value to end_value.

    polynomial_schedule of power 1.
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """init_value * decay_rate^(t / transition_steps), bounded by end_value.

    t = count - transition_begin; init_value until then, floor(t / transition_steps) with staircase.

    >>> round(float(exponential_decay(1.0, 10, 0.5)(20)), 6)
    0.25
    """
    if transition_steps <= 0 or decay_rate == 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)

    def schedule(count: Any) -> Any:
        passed = fnp.asarray(count) - begin
        p = passed / transition_steps
        p = fnp.floor(p) if staircase else p
        value = fnp.where(passed <= 0, init_value, init_value * fnp.power(decay_rate, p))
        if end_value is None:
            return value
        return fnp.maximum(value, end_value) if decay_rate < 1.0 else fnp.minimum(value, end_value)

    return schedule


def cosine_decay_schedule(
    init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> Schedule:
    """Half a cosine from init_value to alpha * init_value (Loshchilov, Hutter 2017).

    init ((1 - alpha) c^exponent + alpha), c = (1 + cos(pi t / decay_steps)) / 2. ValueError for
    decay_steps <= 0.
    """
    if decay_steps <= 0:
        raise ValueError(
            f"The cosine_decay_schedule requires positive decay_steps, got {decay_steps=}."
        )

    def schedule(count: Any) -> Any:
        t = fnp.minimum(fnp.asarray(count), decay_steps)
        cosine = 0.5 * (1 + fnp.cos(np.pi * t / decay_steps))
        return init_value * ((1 - alpha) * cosine**exponent + alpha)

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another; each counts from its boundary.

    Before boundaries[0] the first runs; schedule k + 1 gets count - boundaries[k].
    """

    def schedule(step: Any) -> Any:
        step = fnp.asarray(step)
        out = schedules[0](step)
        for boundary, s in zip(boundaries, schedules[1:]):
            out = fnp.where(step < boundary, out, s(step - boundary))
        return out

    return schedule


def sgdr_schedule(cosine_kwargs: Sequence[Mapping[str, Any]]) -> Schedule:
    """Warm-up and cosine decay over and over: cosine decay with restarts.

    Each dictionary holds the arguments of a `warmup_cosine_decay_schedule` (Loshchilov, Hutter
    2017).
    """
    boundaries: list[int] = []
    schedules = []
    step = 0
    for kw in cosine_kwargs:
        schedules.append(warmup_cosine_decay_schedule(**kw))
        step += kw["decay_steps"]
        boundaries.append(step)
    return join_schedules(schedules, boundaries[:-1])


def warmup_constant_schedule(init_value: float, peak_value: float, warmup_steps: int) -> Schedule:
    """A line from init_value to peak_value in warmup_steps, then constant."""
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    """A line up to peak_value, then a cosine down to end_value at step decay_steps.

    decay_steps counts the warm-up too; ValueError unless it is longer.
    """
    alpha = 0.0 if peak_value == 0.0 else end_value / peak_value
    return join_schedules(
        [
            linear_schedule(init_value, peak_value, warmup_steps),
            cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent),
        ],
        [warmup_steps],
    )


def warmup_exponential_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """A line up to peak_value in warmup_steps, then `exponential_decay`."""
    return join_schedules(
        [
            linear_schedule(init_value, peak_value, warmup_steps),
            exponential_decay(
                peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value
            ),
        ],
        [warmup_steps],
    )


def piecewise_constant_schedule(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    """init_value times all scales whose boundary has been passed.

    From the step at the boundary on. ValueError for negative scales.
    """
    steps = dict(boundaries_and_scales or {})
    if any(s < 0 for s in steps.values()):
        raise ValueError("`piecewise_constant_schedule` expects non-negative scale factors")

    def schedule(count: Any) -> Any:
        value: Any = fnp.asarray(init_value)
        for boundary, factor in sorted(steps.items()):
            value = fnp.where(fnp.asarray(count) < boundary, value, factor * value)
        return value

    return schedule


def piecewise_interpolate_schedule(
    interpolate_type: str,
    init_value: float,
    boundaries_and_scales: Mapping[int, float] | None = None,
) -> Schedule:
    """Between the values at the boundaries, linear or cosine.

    Each value is the one before times its scale; constant after the last. ValueError for other
    types.
    """
    if interpolate_type not in ("linear", "cosine"):
        raise ValueError("`interpolate_type` must be either 'cos' or 'linear'")
    pairs = sorted((boundaries_and_scales or {}).items())
    bounds = np.asarray([0, *(b for b, _ in pairs)], np.float32)
    values = np.cumprod([init_value, *(s for _, s in pairs)]).astype(np.float32)

    def schedule(count: Any) -> Any:
        t = fnp.asarray(count).astype(np.float32)
        out: Any = fnp.asarray(values[-1])
        for k in range(len(bounds) - 2, -1, -1):
            p = (t - bounds[k]) / (bounds[k + 1] - bounds[k])
            p = p if interpolate_type == "linear" else (1 - fnp.cos(np.pi * p)) / 2
            out = fnp.where(t < bounds[k + 1], values[k] + p * (values[k + 1] - values[k]), out)
        return out

    return schedule


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up, down and far down in straight lines (Smith, Topin 2018).

    From peak / div_factor to peak at pct_start, back at pct_final, over final_div_factor at the
    end. ValueError for no steps.
    """
    _positive_steps(transition_steps)
    return piecewise_interpolate_schedule(
        "linear",
        peak_value / div_factor,
        {
            int(pct_start * transition_steps): div_factor,
            int(pct_final * transition_steps): 1.0 / div_factor,
            transition_steps: 1.0 / final_div_factor,
        },
    )


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """From peak / div_factor up to peak at pct_start, down to peak / div_factor^2 /
    final_div_factor.
    """
    _positive_steps(transition_steps)
    return piecewise_interpolate_schedule(
        "cosine",
        peak_value / div_factor,
        {
            int(pct_start * transition_steps): div_factor,
            int(transition_steps): 1.0 / (div_factor * final_div_factor),
        },
    )


def _positive_steps(n: int) -> None:
    if n <= 0:
        raise ValueError(
            f"A one-cycle schedule was set with a non-positive `transition_steps`: {n}"
        )
