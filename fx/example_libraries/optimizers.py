"""Optimisers as triples of functions: init(params) -> state, update(step, gradients, state) ->
state, params(state) -> params.

Each is written for one array; `optimizer` lifts it to trees. `step_size` is a number or a
schedule, a function of the step. For optax's protocol see fx.optim.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce, wraps
from typing import Any, NamedTuple

import fx.numpy as fnp
from fx import tree
from fx.tree_util import register_pytree_node, tree_leaves

Array = Any
Schedule = Callable[[Any], Any]


class Optimizer(NamedTuple):
    """The three functions of an optimiser.

    init_fn(params) -> state; update_fn(i, gradients, state) -> state, for step i;
    params_fn(state) -> params.
    """

    init_fn: Callable[[Any], Any]
    update_fn: Callable[[Any, Any, Any], Any]
    params_fn: Callable[[Any], Any]


class OptimizerState(NamedTuple):
    """The leaves of each parameter's state, the tree of parameters, and the tree of each state."""

    packed_state: Any
    tree_def: Any
    subtree_defs: Any


register_pytree_node(
    OptimizerState,
    lambda s: ((s.packed_state,), (s.tree_def, s.subtree_defs)),
    lambda data, children: OptimizerState(*children, *data),
)


def optimizer(opt_maker: Callable[..., Any]) -> Callable[..., Optimizer]:
    """Lift a maker of (init, update, get_params) on single arrays to trees of arrays."""

    @wraps(opt_maker)
    def tree_opt_maker(*args: Any, **kwargs: Any) -> Optimizer:
        init, update, get_params = opt_maker(*args, **kwargs)

        def packed(states: Any, treedef: Any) -> OptimizerState:
            pairs = [tree.flatten(s) for s in states]
            leaves, kinds = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
            return OptimizerState(leaves, treedef, kinds)

        def unpacked(state: Any) -> list[Any]:
            return [
                tree.unflatten(kind, leaves)
                for leaves, kind in zip(state.packed_state, state.subtree_defs, strict=True)
            ]

        def tree_init(params: Any) -> OptimizerState:
            leaves, treedef = tree.flatten(params)
            return packed(map(init, leaves), treedef)

        def tree_update(i: Any, gradients: Any, state: OptimizerState) -> OptimizerState:
            leaves, treedef = tree.flatten(gradients)
            if treedef != state.tree_def:
                raise TypeError(
                    "optimizer update function was passed a gradient tree that did not match the "
                    "parameter tree structure with which it was initialized: parameter tree "
                    f"{state.tree_def} and grad tree {treedef}."
                )
            pairs = zip(leaves, unpacked(state), strict=True)
            new = packed((update(i, g, s) for g, s in pairs), treedef)
            for old, now in zip(state.subtree_defs, new.subtree_defs, strict=True):
                if old != now:
                    raise TypeError(
                        "optimizer update function produced an output structure that did not match "
                        f"its input structure: input {old} and output {now}."
                    )
            return new

        def tree_params(state: OptimizerState) -> Any:
            return tree.unflatten(state.tree_def, [get_params(s) for s in unpacked(state)])

        return Optimizer(tree_init, tree_update, tree_params)

    return tree_opt_maker


def _first(state: Any) -> Any:
    return state[0]


def _with_zeros(count: int) -> Callable[[Any], Any]:
    """The initial state: the parameter, then `count` arrays of zeros like it."""
    return lambda x: (x, *(fnp.zeros_like(x) for _ in range(count)))


# ---------------------------------------------------------------- optimisers


@optimizer
def sgd(step_size: Any) -> Any:
    """Gradient descent: x - a g, with the step size a.

    step_size: a number or a schedule, a function of the step.
    """
    rate = make_schedule(step_size)
    return (lambda x: x), (lambda i, g, x: x - rate(i) * g), (lambda x: x)


@optimizer
def momentum(step_size: Any, mass: float) -> Any:
    """Gradient descent with momentum: v = mass v + g, then x - a v.

    step_size a: a number or a schedule; v starts at 0.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, v = state
        v = mass * v + g
        return x - rate(i) * v, v

    return _with_zeros(1), update, _first


@optimizer
def nesterov(step_size: Any, mass: float) -> Any:
    """Nesterov's momentum: v = mass v + g, then x - a (mass v + g).

    step_size a: a number or a schedule; v starts at 0.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, v = state
        v = mass * v + g
        return x - rate(i) * (mass * v + g), v

    return _with_zeros(1), update, _first


@optimizer
def adagrad(step_size: Any, momentum: float = 0.9) -> Any:
    """AdaGrad (Duchi et al., 2011), with momentum.

    s = s + g^2, m = (1 - momentum) g / sqrt(s) + momentum m, x - a m.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares, m = state
        squares = squares + fnp.square(g)
        inverse = fnp.where(squares > 0, 1.0 / fnp.sqrt(squares), 0.0)
        m = (1.0 - momentum) * (g * inverse) + momentum * m
        return x - rate(i) * m, squares, m

    return _with_zeros(2), update, _first


@optimizer
def rmsprop(step_size: Any, gamma: float = 0.9, eps: float = 1e-8) -> Any:
    """RMSProp: the gradient over the root of its running mean square.

    v = gamma v + (1 - gamma) g^2, x - a g / sqrt(v + eps).
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean = state
        mean = mean * gamma + fnp.square(g) * (1.0 - gamma)
        return x - rate(i) * g / fnp.sqrt(mean + eps), mean

    return _with_zeros(1), update, _first


@optimizer
def rmsprop_momentum(
    step_size: Any, gamma: float = 0.9, eps: float = 1e-8, momentum: float = 0.9
) -> Any:
    """RMSProp with momentum of its steps.

    m = momentum m + a g / sqrt(v + eps), x - m; v as in `rmsprop`.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean, m = state
        mean = mean * gamma + fnp.square(g) * (1.0 - gamma)
        m = momentum * m + rate(i) * g / fnp.sqrt(mean + eps)
        return x - m, mean, m

    return _with_zeros(2), update, _first


@optimizer
def adam(step_size: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:
    """Adam (Kingma and Ba, 2014).

    x - a m^ / (sqrt(v^) + eps), m and v running means of g and g^2, over 1 - b^(i + 1).
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, v = state
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * fnp.square(g) + b2 * v
        m_hat = m / (1 - fnp.asarray(b1, m.dtype) ** (i + 1))
        v_hat = v / (1 - fnp.asarray(b2, m.dtype) ** (i + 1))
        return x - rate(i) * m_hat / (fnp.sqrt(v_hat) + eps), m, v

    return _with_zeros(2), update, _first


@optimizer
def adamax(step_size: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:
    """Adam with the infinity norm in place of the second moment.

    x - a / (1 - b1^(i + 1)) m / (u + eps), u = max(b2 u, |g|).
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, u = state
        m = (1 - b1) * g + b1 * m
        u = fnp.maximum(b2 * u, fnp.abs(g))
        step = rate(i) / (1 - fnp.asarray(b1, m.dtype) ** (i + 1))
        return x - step * m / (u + eps), m, u

    return _with_zeros(2), update, _first


@optimizer
def sm3(step_size: Any, momentum: float = 0.9) -> Any:
    """SM3 (Anil et al., 2019): one accumulator per row of each axis."""
    rate = make_schedule(step_size)

    def init(x: Any) -> Any:
        shape, x = x.shape, fnp.atleast_1d(x)
        return x, fnp.zeros_like(x), [fnp.zeros(n, x.dtype) for n in x.shape], shape

    def update(i: Any, g: Any, state: Any) -> Any:
        x, m, rows, shape = state
        g = g.reshape(x.shape)
        others = [tuple(d for d in range(x.ndim) if d != k) for k in range(x.ndim)]
        spread = [fnp.expand_dims(v, o) for v, o in zip(rows, others, strict=True)]
        squares = reduce(fnp.minimum, spread) + fnp.square(g)
        inverse = fnp.where(squares > 0, 1.0 / fnp.sqrt(squares), 0)
        m = (1.0 - momentum) * (g * inverse) + momentum * m
        return x - rate(i) * m, m, [squares.max(o) for o in others], shape

    return init, update, lambda state: state[0].reshape(state[3])


# ---------------------------------------------------------------- schedules


def constant(step_size: Any) -> Schedule:
    """The schedule that gives this step size, whatever the step i is."""
    return lambda i: step_size


def exponential_decay(step_size: Any, decay_steps: Any, decay_rate: Any) -> Schedule:
    """The schedule step_size * decay_rate ** (i / decay_steps) of the step i."""
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(
    step_size: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False
) -> Schedule:
    """step_size / (1 + decay_rate * i / decay_steps), in stairs if asked."""
    if staircase:
        return lambda i: step_size / (1 + decay_rate * fnp.floor(i / decay_steps))
    return lambda i: step_size / (1 + decay_rate * i / decay_steps)


def polynomial_decay(
    step_size: Any, decay_steps: Any, final_step_size: Any, power: float = 1.0
) -> Schedule:
    """The schedule from step_size to final_step_size in decay_steps steps, which then stays.

    final + (step_size - final) (1 - i / decay_steps)^power at step i.
    """

    def schedule(i: Any) -> Any:
        left = (1 - fnp.minimum(i, decay_steps) / decay_steps) ** power
        return left * (step_size - final_step_size) + final_step_size

    return schedule


def piecewise_constant(boundaries: Any, values: Any) -> Schedule:
    """The schedule that is values[k] between the k-th boundary and the next.

    boundaries [n] rise, values [n + 1]; ValueError for other sizes.
    """
    boundaries, values = fnp.array(boundaries), fnp.array(values)
    if not boundaries.ndim == values.ndim == 1:
        raise ValueError("boundaries and values must be sequences")
    if boundaries.shape[0] != values.shape[0] - 1:
        raise ValueError("boundaries length must be one shorter than values length")
    return lambda i: values[fnp.sum(i > boundaries)]


def make_schedule(scalar_or_schedule: Any) -> Schedule:
    """A schedule as it is; a number or a scalar array as the schedule that is constant.

    TypeError for anything else.
    """
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if fnp.ndim(scalar_or_schedule) == 0:
        return constant(scalar_or_schedule)
    raise TypeError(type(scalar_or_schedule))


# ---------------------------------------------------------------- gradients, saved states


def l2_norm(tree: Any) -> Any:
    """The root of the sum of squares of all entries of all leaves: a scalar."""
    return fnp.sqrt(sum(fnp.vdot(x, x) for x in tree_leaves(tree)))


def clip_grads(grad_tree: Any, max_norm: Any) -> Any:
    """The gradients scaled so that their norm is at most max_norm."""
    norm = l2_norm(grad_tree)
    return tree.map(lambda g: fnp.where(norm < max_norm, g, g * (max_norm / norm)), grad_tree)


class JoinPoint:
    """Marks where one parameter's state begins in an unpacked state; no tree node, so a leaf."""

    def __init__(self, subtree: Any):
        self.subtree = subtree

    def __iter__(self) -> Any:
        yield self.subtree


def unpack_optimizer_state(opt_state: OptimizerState) -> Any:
    """The tree of parameters with a JoinPoint of its state at each: plain data, to be saved."""
    states = [
        JoinPoint(tree.unflatten(kind, leaves))
        for leaves, kind in zip(opt_state.packed_state, opt_state.subtree_defs, strict=True)
    ]
    return tree.unflatten(opt_state.tree_def, states)


def pack_optimizer_state(marked_pytree: Any) -> OptimizerState:
    """The state of an optimiser from a tree of JoinPoints: the inverse of unpack_optimizer_state.

    TypeError where a leaf is no JoinPoint.
    """
    points, treedef = tree.flatten(marked_pytree)
    if not all(isinstance(p, JoinPoint) for p in points):
        raise TypeError("pack_optimizer_state needs a tree whose leaves are JoinPoints")
    pairs = [tree.flatten(p.subtree) for p in points]
    return OptimizerState(tuple(p[0] for p in pairs), treedef, tuple(p[1] for p in pairs))
