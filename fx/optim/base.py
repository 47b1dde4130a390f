"""The protocol of optimisers: a pair of pure functions, init(params) -> state and update(grads,
state, params).

update returns the updates to add to the parameters, and the next state. Names and semantics are
optax's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.tree_util import tree_leaves, tree_map

__all__ = [
    "NO_PARAMS_MSG",
    "EmptyState",
    "GradientTransformation",
    "GradientTransformationExtraArgs",
    "Init",
    "Params",
    "ScalarOrSchedule",
    "Schedule",
    "Updates",
    "apply_updates",
    "global_norm",
    "identity",
    "incremental_update",
    "init_empty_state",
    "periodic_update",
    "safe_increment",
    "set_to_zero",
    "stateless",
    "stateless_with_tree_map",
    "tree_cast",
    "tree_zeros_like",
    "with_extra_args_support",
    "zero_count",
]


Params = Any
Updates = Any
Schedule = Callable[[Any], Any]
ScalarOrSchedule = Any


class Init(Protocol):
    """A function init(params) -> state: what the first update is given beside the gradients."""

    def __call__(self, params: Params) -> Any:
        """The state before the first step."""
        ...


class GradientTransformation(NamedTuple):
    """init(params) -> state; update(updates, state, params=None) -> (updates, state)."""

    init: Callable[[Params], Any]
    update: Callable[..., tuple[Updates, Any]]


class GradientTransformationExtraArgs(GradientTransformation):
    """The same with an update that takes further keyword arguments."""


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing: a tuple without fields or leaves."""


def init_empty_state(params: Params) -> EmptyState:
    """The init of transformations that remember nothing: EmptyState(), whatever the parameters."""
    return EmptyState()


def identity() -> GradientTransformation:
    """Updates pass unchanged, and nothing is remembered: the neutral link of a `chain`."""
    return GradientTransformation(
        init_empty_state, lambda updates, state, params=None: (updates, state)
    )


def set_to_zero() -> GradientTransformation:
    """All updates become zeros of their shape and dtype: parameters stay."""

    def update(updates: Updates, state: Any, params: Any = None) -> Any:
        return tree_map(fnp.zeros_like, updates), state

    return GradientTransformation(init_empty_state, update)


def stateless(f: Callable[[Updates, Params], Updates]) -> GradientTransformation:
    """A transformation from a function of (updates, params), which gives updates; params may be
    None.
    """
    return GradientTransformation(
        init_empty_state, lambda updates, state, params=None: (f(updates, params), state)
    )


def stateless_with_tree_map(f: Callable[[Any, Any], Any]) -> GradientTransformation:
    """A transformation from a function of (update leaf, parameter leaf)."""

    def update(updates: Updates, state: Any, params: Any = None) -> Any:
        if params is None:
            return tree_map(lambda g: f(g, None), updates), state
        return tree_map(f, updates, params), state

    return GradientTransformation(init_empty_state, update)


def with_extra_args_support(tx: GradientTransformation) -> GradientTransformationExtraArgs:
    """The same transformation, deaf to keyword arguments it does not know."""
    if isinstance(tx, GradientTransformationExtraArgs):
        return tx

    def update(updates: Updates, state: Any, params: Any = None, **extra: Any) -> Any:
        return tx.update(updates, state, params)

    return GradientTransformationExtraArgs(tx.init, update)


NO_PARAMS_MSG = (
    "You are using a transformation that requires the current value of parameters, but you are not "
    "passing "
    "`params` when calling `update`."
)


def apply_updates(params: Params, updates: Updates) -> Params:
    """params + updates, leaf by leaf, in the parameters' dtypes.

    >>> import fx.numpy as fnp
    >>> apply_updates({"w": fnp.array(1.0)}, {"w": -0.25})["w"].item()
    0.75
    """

    def add(p: Any, u: Any) -> Any:
        if p is None:
            return None
        p = fnp.asarray(p)
        return (p + u).astype(p.dtype)

    return tree_map(add, params, updates, is_leaf=lambda x: x is None)


def incremental_update(new: Any, old: Any, step_size: Any) -> Any:
    """step_size * new + (1 - step_size) * old, leaf by leaf (Polyak averaging)."""
    return tree_map(lambda n, o: step_size * n + (1.0 - step_size) * o, new, old)


def periodic_update(new: Any, old: Any, steps: Any, update_period: int) -> Any:
    """`new` where steps is a multiple of update_period, else `old`: how target networks follow.

    Both are trees of one structure, shapes and dtypes; steps is an integer scalar, which may be
    traced. TypeError where the trees differ.
    """
    return lax.cond(fnp.mod(steps, update_period) == 0, lambda _: new, lambda _: old, None)


def global_norm(updates: Updates) -> Any:
    """The 2-norm of all leaves together.

    A scalar: the root of the sum of |x|^2, 0 without leaves.

    >>> import fx.numpy as fnp
    >>> global_norm([fnp.array([3.0]), fnp.array([4.0])]).item()
    5.0
    """
    squares = [fnp.sum(_abs_square(fnp.asarray(x))) for x in tree_leaves(updates)]
    total: Any = squares[0] if squares else fnp.zeros(())
    for s in squares[1:]:
        total = total + s
    return fnp.sqrt(total)


def _abs_square(x: Any) -> Any:
    return fnp.real(x) ** 2 + fnp.imag(x) ** 2 if x.dtype.kind == "c" else x * x


def tree_zeros_like(tree: Any, dtype: Any = None) -> Any:
    """Zeros with the structure and shapes of `tree`, in its dtypes or the one given."""
    return tree_map(lambda x: fnp.zeros_like(x, dtype=dtype), tree)


def tree_cast(tree: Any, dtype: Any) -> Any:
    """The tree with all leaves converted to a dtype; the tree itself if dtype is None."""
    return tree if dtype is None else tree_map(lambda x: fnp.asarray(x).astype(dtype), tree)


def safe_increment(count: Any) -> Any:
    """count + 1 in its dtype, without overflow at the greatest integer."""
    count = fnp.asarray(count)
    top = np.iinfo(count.dtype).max
    return fnp.where(count < top, count + 1, top).astype(count.dtype)


def zero_count() -> Any:
    """The step counter of a new state: 0 as an int32 scalar, which `safe_increment` raises."""
    return fnp.zeros([], np.int32)
