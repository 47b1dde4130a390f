"""Limited-memory BFGS: the two-loop recursion over past steps, and a backtracking line search."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.flatten_util import ravel_pytree
from fx.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    ScalarOrSchedule,
    safe_increment,
    zero_count,
)
from fx.optim.combine import chain
from fx.optim.transforms import scale, scale_by_learning_rate
from fx.tree_util import tree_map

__all__ = [
    "BacktrackingState",
    "ScaleByLBFGSState",
    "lbfgs",
    "scale_by_backtracking_linesearch",
    "scale_by_lbfgs",
    "value_and_grad_from_state",
]


class ScaleByLBFGSState(NamedTuple):
    """The count, the last point and gradient, and the memory of differences (newest last)."""

    count: Any
    params: Any
    updates: Any
    diff_params_memory: Any
    diff_updates_memory: Any
    weights_memory: Any


def scale_by_lbfgs(
    memory_size: int = 10, scale_init_precond: bool = True
) -> GradientTransformation:
    """Gradients times an approximate inverse Hessian from the last memory_size steps (Liu, Nocedal
    1989).

    H g by the two-loop recursion (Nocedal, Wright 7.4), from s^T y / y^T y times the identity if
    scale_init_precond. Needs params; ValueError for memory_size < 1.
    """
    if memory_size < 1:
        raise ValueError("memory_size must be >= 1")

    def init(params: Any) -> ScaleByLBFGSState:
        flat, _ = ravel_pytree(params)
        memory = fnp.zeros((memory_size, flat.size), flat.dtype)
        zeros = tree_map(fnp.zeros_like, params)
        return ScaleByLBFGSState(
            zero_count(), zeros, zeros, memory, memory, fnp.zeros(memory_size, flat.dtype)
        )

    def update(updates: Any, state: ScaleByLBFGSState, params: Any = None) -> Any:
        if params is None:
            raise ValueError("lbfgs needs the parameters: update(grads, state, params)")
        g, rebuild = ravel_pytree(updates)
        p, _ = ravel_pytree(params)
        old_p, _ = ravel_pytree(state.params)
        old_g, _ = ravel_pytree(state.updates)
        first = state.count == 0
        s, y = fnp.where(first, 0, p - old_p), fnp.where(first, 0, g - old_g)
        curvature = fnp.dot(y, s)
        weight = fnp.where(curvature == 0, 0.0, 1.0 / fnp.where(curvature == 0, 1.0, curvature))
        steps = _push(state.diff_params_memory, s)
        changes = _push(state.diff_updates_memory, y)
        weights = _push(state.weights_memory, weight)
        size = fnp.dot(y, y)
        gamma = fnp.where(size > 0, curvature / fnp.where(size > 0, size, 1.0), 1.0)
        direction = two_loops(g, steps, changes, weights, gamma if scale_init_precond else 1.0)
        new = ScaleByLBFGSState(
            safe_increment(state.count), params, updates, steps, changes, weights
        )
        return rebuild(direction), new

    return GradientTransformation(init, update)


def _push(memory: Any, item: Any) -> Any:
    return fnp.concatenate([memory[1:], item[None]], axis=0)


def two_loops(g: Any, steps: Any, changes: Any, weights: Any, gamma: Any) -> Any:
    """The inverse Hessian of a memory times g (Nocedal, Wright, algorithm 7.4)."""

    def down(q: Any, item: Any) -> Any:
        s, y, w = item
        alpha = w * fnp.dot(s, q)
        return q - alpha * y, alpha

    q, alphas = lax.scan(down, g, (steps, changes, weights), reverse=True)

    def up(r: Any, item: Any) -> Any:
        s, y, w, alpha = item
        return r + s * (alpha - w * fnp.dot(y, r)), None

    return lax.scan(up, gamma * q, (steps, changes, weights, alphas))[0]


class BacktrackingState(NamedTuple):
    """The step size, and value and gradient at the point it leads to."""

    learning_rate: Any
    value: Any
    grad: Any


def scale_by_backtracking_linesearch(
    max_backtracking_steps: int = 30,
    slope_rtol: float = 1e-4,
    decrease_factor: float = 0.5,
    increase_factor: float = np.inf,
    max_learning_rate: float | None = 1.0,
    store_grad: bool = True,
) -> GradientTransformationExtraArgs:
    """Steps a u, where a falls by decrease_factor until f(p + a u) <= f(p) + slope_rtol a g^T u
    (Armijo); update needs value=, grad= and value_fn=.
    """
    import fx

    def init(params: Any) -> BacktrackingState:
        start = 1.0 if max_learning_rate is None else max_learning_rate
        return BacktrackingState(
            fnp.asarray(start, np.float32),
            fnp.asarray(np.inf, np.float32),
            tree_map(fnp.zeros_like, params),
        )

    def update(
        updates: Any,
        state: BacktrackingState,
        params: Any,
        *,
        value: Any,
        grad: Any,
        value_fn: Any,
        **extra: Any,
    ) -> Any:
        known = dict(extra)
        slope = fnp.dot(ravel_pytree(updates)[0], ravel_pytree(grad)[0])
        rate = fnp.minimum(state.learning_rate * increase_factor, max_learning_rate or np.inf)
        rate = fnp.where(fnp.isfinite(rate), rate, 1.0).astype(np.float32)

        def at(rate: Any) -> Any:
            return value_fn(
                tree_map(lambda p, u: p + rate.astype(u.dtype) * u, params, updates), **known
            )

        def failing(loop: Any) -> Any:
            rate, new, k = loop
            enough = new <= value + slope_rtol * rate * slope
            return fnp.logical_not(enough & fnp.isfinite(new)) & (k < max_backtracking_steps)

        def shrink(loop: Any) -> Any:
            rate, _, k = loop
            rate = rate * np.float32(decrease_factor)
            return rate, at(rate), k + 1

        rate, new, _ = lax.while_loop(failing, shrink, (rate, at(rate), zero_count()))
        moved = tree_map(lambda u: rate.astype(u.dtype) * u, updates)
        after = state.grad
        if store_grad:
            after = fx.grad(value_fn)(tree_map(lambda p, u: p + u, params, moved), **known)
        return moved, BacktrackingState(rate, new.astype(np.float32), after)

    return GradientTransformationExtraArgs(init, update)


DEFAULT_LINESEARCH = scale_by_backtracking_linesearch()


def lbfgs(
    learning_rate: ScalarOrSchedule | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = DEFAULT_LINESEARCH,
) -> GradientTransformationExtraArgs:
    """L-BFGS; without a learning rate update needs value=, grad= and value_fn= for the line
    search.
    """
    rate = scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate)
    members = [scale_by_lbfgs(memory_size, scale_init_precond), rate]
    if linesearch is not None and learning_rate is None:
        members.append(linesearch)
    return chain(*members)


def value_and_grad_from_state(value_fn: Any) -> Any:
    """value_and_grad that reuses what the line search stored; ValueError if the state has none."""
    import fx

    def compute(params: Any, *args: Any, state: Any, **kwargs: Any) -> Any:
        value, grad = None, None
        for s in state if isinstance(state, tuple) else (state,):
            if isinstance(s, BacktrackingState):
                value, grad = s.value, s.grad
        if value is None:
            raise ValueError("the state holds no value and gradient: there is no line search in it")
        fresh = lambda _: fx.value_and_grad(value_fn)(params, *args, **kwargs)  # noqa: E731
        like = fx.eval_shape(lambda: fresh(None))[0]
        stored = lambda _: (value.astype(like.dtype), grad)  # noqa: E731
        return lax.cond(fnp.isinf(value) | fnp.isnan(value), fresh, stored, None)

    return compute
