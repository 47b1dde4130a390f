"""Transformations around an optimiser: gradient accumulation, lookahead, steps skipped, rates that
adapt to the loss.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    safe_increment,
    tree_zeros_like,
    with_extra_args_support,
    zero_count,
)
from fx.tree_util import tree_leaves, tree_map

__all__ = [
    "ApplyEveryState",
    "ApplyIfFiniteState",
    "LookaheadParams",
    "LookaheadState",
    "MultiSteps",
    "MultiStepsState",
    "ReduceLROnPlateauState",
    "apply_every",
    "apply_if_finite",
    "lookahead",
    "reduce_on_plateau",
    "skip_not_finite",
]


def _choose(flag: Any, new: Any, old: Any) -> Any:
    return tree_map(lambda n, o: fnp.where(flag, n, o), new, old)


# ---------------------------------------------------------------- accumulation


class MultiStepsState(NamedTuple):
    """Counts, the inner state and the gradients accumulated so far."""

    mini_step: Any
    gradient_step: Any
    inner_opt_state: Any
    acc_grads: Any
    skip_state: Any = ()


class MultiSteps:
    """Every k-th call one step of the inner optimiser on the mean of k gradients; zeros in between.

    >>> import fx.optim as optim
    >>> opt = MultiSteps(optim.sgd(1.0), 2)
    >>> state = opt.init(0.0)
    >>> first, state = opt.update(1.0, state)
    >>> opt.update(3.0, state)[0].item()
    -2.0
    """

    def __init__(
        self,
        opt: GradientTransformation,
        every_k_schedule: Any,
        use_grad_mean: bool = True,
        should_skip_update_fn: Any = None,
    ):
        self._opt = with_extra_args_support(opt)
        self._every_k = (
            every_k_schedule if callable(every_k_schedule) else lambda step: every_k_schedule
        )
        self._mean = use_grad_mean
        self._skip = should_skip_update_fn

    @property
    def inner_opt(self) -> GradientTransformation:
        """The inner optimiser, taking further keyword arguments."""
        return self._opt

    def init(self, params: Any) -> MultiStepsState:
        """The state before the first gradient: counts 0, zeros like the parameters."""
        return MultiStepsState(
            zero_count(), zero_count(), self._opt.init(params), tree_zeros_like(params)
        )

    def update(self, updates: Any, state: MultiStepsState, params: Any = None, **extra: Any) -> Any:
        """Accumulate, and step when k gradients are there; updates are zeros in between."""
        k: Any = self._every_k(state.gradient_step)
        skip: Any = False
        skip_state: Any = state.skip_state
        if self._skip is not None:
            skip, skip_state = self._skip(updates, state.gradient_step, params)
        n: Any = state.mini_step
        if self._mean:
            acc = tree_map(lambda a, g: a + (g - a) / (n + 1), state.acc_grads, updates)
        else:
            acc = tree_map(lambda a, g: a + g, state.acc_grads, updates)
        acc = tree_map(lambda a, old: a.astype(fnp.asarray(old).dtype), acc, state.acc_grads)
        final_updates, inner = self._opt.update(acc, state.inner_opt_state, params, **extra)
        emit = (n == k - 1) & fnp.logical_not(skip)
        new = MultiStepsState(
            mini_step=fnp.where(skip, n, (n + 1) % k).astype(np.int32),
            gradient_step=fnp.where(emit, safe_increment(state.gradient_step), state.gradient_step),
            inner_opt_state=_choose(emit, inner, state.inner_opt_state),
            acc_grads=tree_map(
                lambda a, old: fnp.where(skip, old, fnp.where(emit, fnp.zeros_like(a), a)),
                acc,
                state.acc_grads,
            ),
            skip_state=skip_state,
        )
        out = tree_map(lambda g: fnp.where(emit, g, fnp.zeros_like(g)), final_updates)
        return out, new

    def has_updated(self, state: MultiStepsState) -> Any:
        """Whether the last call took a step, a boolean scalar."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformation:
        """The same as a GradientTransformationExtraArgs, for `chain`."""
        return GradientTransformationExtraArgs(self.init, self.update)


def skip_not_finite(updates: Any, gradient_step: Any, params: Any) -> Any:
    """For MultiSteps: (whether any element is not finite, a state with their number)."""
    bad = sum((fnp.sum(~fnp.isfinite(g)) for g in tree_leaves(updates)), fnp.asarray(0))
    return bad > 0, {"should_skip": bad > 0, "num_not_finite": bad}


class ApplyEveryState(NamedTuple):
    """The count modulo k (an int32 scalar), and the sum of updates since one was let through.

    grad_acc is a tree like the parameters.
    """

    count: Any
    grad_acc: Any


def apply_every(k: int = 1) -> GradientTransformation:
    """Updates summed over k steps, applied every k-th; zeros in between."""

    def init(params: Any) -> ApplyEveryState:
        return ApplyEveryState(zero_count(), tree_zeros_like(params))

    def update(updates: Any, state: ApplyEveryState, params: Any = None) -> Any:
        c = state.count % k
        acc = tree_map(lambda g, a: a * (c != 0) + g, updates, state.grad_acc)
        out = tree_map(lambda a: (c == (k - 1)) * a, acc)
        return out, ApplyEveryState((c + 1) % k, acc)

    return GradientTransformation(init, update)


# ---------------------------------------------------------------- faults


class ApplyIfFiniteState(NamedTuple):
    """Counts of faults (int32), whether the last was finite, and the inner state."""

    notfinite_count: Any
    last_finite: Any
    total_notfinite: Any
    inner_state: Any


def apply_if_finite(
    inner: GradientTransformation, max_consecutive_errors: int
) -> GradientTransformationExtraArgs:
    """Skip updates that are not finite, up to a number in a row.

    Updates are zeros and the inner state stays then; after max_consecutive_errors faults they pass.
    """
    inner = with_extra_args_support(inner)

    def init(params: Any) -> ApplyIfFiniteState:
        return ApplyIfFiniteState(zero_count(), fnp.array(True), zero_count(), inner.init(params))

    def update(updates: Any, state: ApplyIfFiniteState, params: Any = None, **extra: Any) -> Any:
        finite: Any = fnp.array(True)
        for g in tree_leaves(updates):
            finite = finite & fnp.all(fnp.isfinite(g))
        count = fnp.where(finite, 0, safe_increment(state.notfinite_count)).astype(np.int32)
        go = finite | (count > max_consecutive_errors)
        new_updates, new_inner = inner.update(updates, state.inner_state, params, **extra)
        out = tree_map(lambda g: fnp.where(go, g, fnp.zeros_like(g)), new_updates)
        total = fnp.where(finite, state.total_notfinite, safe_increment(state.total_notfinite))
        return out, ApplyIfFiniteState(
            count, finite, total, _choose(go, new_inner, state.inner_state)
        )

    return GradientTransformationExtraArgs(init, update)


# ---------------------------------------------------------------- lookahead


class LookaheadParams(NamedTuple):
    """Fast parameters, which the inner optimiser moves, and slow ones."""

    fast: Any
    slow: Any

    @classmethod
    def init_synced(cls, params: Any) -> LookaheadParams:
        """Fast and slow parameters, both equal to `params`."""
        return cls(slow=params, fast=params)


class LookaheadState(NamedTuple):
    """The fast optimiser's state and the steps since the last synchronisation."""

    fast_state: Any
    steps_since_sync: Any


def lookahead(
    fast_optimizer: GradientTransformation,
    sync_period: int,
    slow_step_size: float,
    reset_state: bool = False,
) -> GradientTransformation:
    """Every sync_period steps the slow parameters move to the fast ones (Zhang et al. 2019).

    slow = slow + slow_step_size (fast - slow), and fast becomes slow. params are LookaheadParams
    (ValueError without); ValueError for sync_period < 1.
    """
    if sync_period < 1:
        raise ValueError("Synchronization period must be >= 1.")
    fast = with_extra_args_support(fast_optimizer)

    def init(params: LookaheadParams) -> LookaheadState:
        return LookaheadState(fast.init(params.fast), zero_count())

    def update(
        updates: Any, state: LookaheadState, params: LookaheadParams | None = None, **extra: Any
    ) -> Any:
        if params is None:
            raise ValueError("lookahead needs params (a LookaheadParams)")
        moves, fast_state = fast.update(updates, state.fast_state, params.fast, **extra)
        sync = state.steps_since_sync == sync_period - 1
        difference = tree_map(lambda f, m, s: f + m - s, params.fast, moves, params.slow)
        slow = tree_map(lambda d: fnp.where(sync, slow_step_size * d, 0), difference)
        fast_moves = tree_map(
            lambda m, d: fnp.where(sync, m - (1 - slow_step_size) * d, m), moves, difference
        )
        if reset_state:
            fast_state = _choose(sync, fast.init(params.fast), fast_state)
        steps = fnp.where(sync, 0, state.steps_since_sync + 1).astype(np.int32)
        return LookaheadParams(fast_moves, slow), LookaheadState(fast_state, steps)

    return GradientTransformationExtraArgs(init, update)


# ---------------------------------------------------------------- plateaus


class ReduceLROnPlateauState(NamedTuple):
    """The scale (float32), the best value, and counts of what the loss did."""

    scale: Any
    best_value: Any
    plateau_count: Any
    cooldown_count: Any
    count: Any
    avg_value: Any


def reduce_on_plateau(
    factor: float = 0.1,
    patience: int = 10,
    rtol: float = 1e-4,
    atol: float = 0.0,
    cooldown: int = 0,
    accumulation_size: int = 1,
    min_scale: float = 0.0,
) -> GradientTransformationExtraArgs:
    """Scale updates down by `factor` when `value=` has not improved for `patience` steps.

    Improved: value < (1 - rtol) best - atol, of values averaged over accumulation_size calls.
    ValueError unless 0 < factor < 1.
    """
    if not 0 < factor < 1:
        raise ValueError(f"Factor must be in the range (0, 1), got factor = {factor}.")

    def init(params: Any) -> ReduceLROnPlateauState:
        one = fnp.asarray(1.0, np.float32)
        zero = zero_count()
        return ReduceLROnPlateauState(one, one * np.inf, zero, zero, zero, one * 0)

    def judge(state: ReduceLROnPlateauState) -> ReduceLROnPlateauState:
        value = state.avg_value
        better = value < (1 - rtol) * state.best_value - atol
        cooling = state.cooldown_count > 0
        plateau = fnp.where(better | cooling, 0, safe_increment(state.plateau_count))
        reduce = plateau >= patience
        return ReduceLROnPlateauState(
            scale=fnp.where(reduce, fnp.maximum(state.scale * factor, min_scale), state.scale),
            best_value=fnp.where(better, value, state.best_value),
            plateau_count=fnp.where(reduce, 0, plateau).astype(np.int32),
            cooldown_count=fnp.where(
                reduce, cooldown, fnp.where(cooling, state.cooldown_count - 1, 0)
            ).astype(np.int32),
            count=zero_count(),
            avg_value=fnp.zeros_like(value),
        )

    def update(
        updates: Any, state: ReduceLROnPlateauState, params: Any = None, *, value: Any, **extra: Any
    ) -> Any:
        value = fnp.asarray(value).astype(np.float32)
        count = safe_increment(state.count)
        mean = state.avg_value + (value - state.avg_value) / count
        state = state._replace(count=count, avg_value=mean)
        new = lax.cond(count == accumulation_size, judge, lambda s: s, state)
        return tree_map(lambda g: new.scale.astype(fnp.asarray(g).dtype) * g, updates), new

    return GradientTransformationExtraArgs(init, update)
