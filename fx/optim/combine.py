"""Transformations put together: in a row, on some leaves only, by label."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fx import numpy as fnp
from fx.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    safe_increment,
    with_extra_args_support,
    zero_count,
)
from fx.tree_util import tree_leaves, tree_map

__all__ = [
    "InjectHyperparamsState",
    "MaskedNode",
    "MaskedState",
    "PartitionState",
    "chain",
    "inject_hyperparams",
    "masked",
    "multi_transform",
    "named_chain",
    "partition",
]


def chain(*args: GradientTransformation) -> GradientTransformationExtraArgs:
    """One after another; the state is the tuple of their states.

    Further keyword arguments of update go to all that take them. ValueError for a state of another
    length.

    >>> import fx.optim as optim
    >>> tx = chain(optim.clip(1.0), optim.scale(-0.1))
    >>> tx.update(-5.0, tx.init(0.0))[0].item()
    0.10000000149011612
    """
    members = [with_extra_args_support(t) for t in args]

    def init(params: Any) -> Any:
        return tuple(t.init(params) for t in members)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        if len(members) != len(state):
            raise ValueError(
                "The number of updates and states has to be the same in chain! Make sure you have "
                "called init first!"
            )
        new = []
        for t, s in zip(members, state):
            updates, s = t.update(updates, s, params, **extra)
            new.append(s)
        return updates, tuple(new)

    return GradientTransformationExtraArgs(init, update)


def named_chain(*transforms: tuple[str, GradientTransformation]) -> GradientTransformationExtraArgs:
    """chain of (name, transformation) pairs with a dictionary of states; ValueError for equal
    names.
    """
    names = [n for n, _ in transforms]
    if len(set(names)) != len(names):
        raise ValueError(f"Named transformations must have unique names, but got {names}")
    inner = chain(*[t for _, t in transforms])

    def init(params: Any) -> Any:
        return dict(zip(names, inner.init(params)))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        updates, new = inner.update(updates, tuple(state[n] for n in names), params, **extra)
        return updates, dict(zip(names, new))

    return GradientTransformationExtraArgs(init, update)


# ---------------------------------------------------------------- masks


class MaskedNode(NamedTuple):
    """Stands for a leaf that a masked transformation does not see."""


class MaskedState(NamedTuple):
    """The inner transformation's state, with MaskedNode for the leaves it does not see."""

    inner_state: Any


def masked(inner: GradientTransformation, mask: Any) -> GradientTransformationExtraArgs:
    """`inner` on the leaves where the mask, a tree of booleans or a function, is True.

    Other updates pass unchanged. A function gets parameters at init, updates at update.
    """
    inner = with_extra_args_support(inner)

    def select(tree: Any, flags: Any) -> Any:
        return tree_map(lambda flag, sub: sub if flag else MaskedNode(), flags, tree)

    def init(params: Any) -> MaskedState:
        flags = mask(params) if callable(mask) else mask
        return MaskedState(inner.init(select(params, flags)))

    def update(updates: Any, state: MaskedState, params: Any = None, **extra: Any) -> Any:
        flags = mask(updates) if callable(mask) else mask
        seen = None if params is None else select(params, flags)
        out, new = inner.update(select(updates, flags), state.inner_state, seen, **extra)
        return _merge(flags, out, updates), MaskedState(new)

    return GradientTransformationExtraArgs(init, update)


def _merge(flags: Any, new: Any, old: Any) -> Any:
    """The new leaves where the flags are set, the old ones elsewhere."""
    return tree_map(lambda flag, n, o: n if flag else o, flags, new, old)


class PartitionState(NamedTuple):
    """The states of the transformations that `partition` deals its leaves to.

    inner_states: label -> state over a tree in which the leaves of other labels are masked.
    """

    inner_states: Any


def partition(
    transforms: Mapping[Hashable, GradientTransformation], param_labels: Any
) -> GradientTransformationExtraArgs:
    """Each leaf goes to the transformation that its label names.

    param_labels: a tree of labels (it may be a prefix) or a function of the parameters. ValueError
    for a label without transformation.
    """
    members = {k: with_extra_args_support(v) for k, v in transforms.items()}

    def labels_of(tree: Any) -> Any:
        labels = param_labels(tree) if callable(param_labels) else param_labels
        unknown = set(tree_leaves(labels)) - set(members)
        if unknown:
            raise ValueError(
                "Some parameters have no corresponding transformation. Parameter labels: "
                f"{sorted(map(str, unknown))} "
                f"Transforms keys: {sorted(map(str, members))}"
            )
        return labels

    def group(tx: Any, labels: Any, label: Any) -> Any:
        return masked(tx, tree_map(lambda n: n == label, labels))

    def init(params: Any) -> PartitionState:
        labels = labels_of(params)
        return PartitionState({k: group(t, labels, k).init(params) for k, t in members.items()})

    def update(updates: Any, state: PartitionState, params: Any = None, **extra: Any) -> Any:
        labels = labels_of(updates)
        new = {}
        for k, t in members.items():
            updates, new[k] = group(t, labels, k).update(
                updates, state.inner_states[k], params, **extra
            )
        return updates, PartitionState(new)

    return GradientTransformationExtraArgs(init, update)


multi_transform = partition


# ---------------------------------------------------------------- hyperparameters as state


class InjectHyperparamsState(NamedTuple):
    """The step count, the hyperparameters of this step, and the inner state."""

    count: Any
    hyperparams: dict[str, Any]
    inner_state: Any


def inject_hyperparams(
    inner_factory: Callable[..., GradientTransformation], static_args: Any = ()
) -> Callable[..., GradientTransformationExtraArgs]:
    """An optimiser whose numeric arguments (or schedules) live in its state, where they can be
    changed.

    They become float32 scalars in state.hyperparams; booleans, None and static_args stay outside.
    """
    import inspect

    static = {static_args} if isinstance(static_args, str) else set(static_args)
    signature = inspect.signature(inner_factory)

    def make(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        schedules, numbers, others = {}, {}, {}
        for name, v in bound.arguments.items():
            if name in static or isinstance(v, bool) or v is None:
                others[name] = v
            elif callable(v):
                schedules[name] = v
            elif isinstance(v, (int, float)) or hasattr(v, "dtype"):
                numbers[name] = v
            else:
                others[name] = v

        def current(count: Any, hyper: dict[str, Any]) -> dict[str, Any]:
            return {**hyper, **{k: fnp.asarray(f(count), np.float32) for k, f in schedules.items()}}

        def init(params: Any) -> InjectHyperparamsState:
            count = zero_count()
            hyper = {k: fnp.asarray(v, dtype=np.float32) for k, v in numbers.items()}
            hyper = current(count, hyper)
            return InjectHyperparamsState(
                count, hyper, inner_factory(**others, **hyper).init(params)
            )

        def update(
            updates: Any, state: InjectHyperparamsState, params: Any = None, **extra: Any
        ) -> Any:
            hyper = current(state.count, state.hyperparams)
            tx = with_extra_args_support(inner_factory(**others, **hyper))
            updates, inner = tx.update(updates, state.inner_state, params, **extra)
            return updates, InjectHyperparamsState(safe_increment(state.count), hyper, inner)

        return GradientTransformationExtraArgs(init, update)

    return make
