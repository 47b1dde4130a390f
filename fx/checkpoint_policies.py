"""What `checkpoint` may save: each policy says of a primitive with its operands' avals and
parameters yes or no, or JAX's words for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Policy = Callable[..., Any]


class Offloadable(NamedTuple):
    """A policy's word for: save, and keep it in another memory. Devices here have one: it is saved.

    >>> bool(Offloadable("device", "pinned_host"))
    True
    """

    src: str
    dst: str


class _Word:
    """A policy's word for yes or no."""

    def __init__(self, name: str, truth: bool):
        self.name, self.truth = name, truth

    def __bool__(self) -> bool:
        return self.truth

    def __repr__(self) -> str:
        return self.name


Saveable, Recompute = _Word("Saveable", True), _Word("Recompute", False)


def check(policy: Any) -> None:
    """TypeError unless `policy` is a function or None, which stands for the default one."""
    if policy is not None and not callable(policy):
        raise TypeError(
            "checkpoint: policy must be a function of a primitive, avals and parameters, for "
            f"example checkpoint_policies.dots_saveable; got {policy!r}"
        )


def saves(answer: Any) -> bool:
    """What a policy's answer means; TypeError where it is no boolean and none of the words."""
    if not isinstance(answer, bool | np.bool_ | _Word | Offloadable):
        raise TypeError(
            "Value returned by a remat policy should be a bool or `ad_checkpoint.Recompute`, "
            f"`ad_checkpoint.Saveable` or `ad_checkpoint.Offloadable(src, dst)`, got {answer!r}"
        )
    return bool(answer)


def everything_saveable(*_: Any, **__: Any) -> bool:
    """The policy that saves every intermediate value, as if there were no checkpoint."""
    return True


def nothing_saveable(*_: Any, **__: Any) -> bool:
    """The policy that saves the inputs alone: everything is computed again (the default)."""
    return False


def dots_saveable(prim: Any, *_: Any, **__: Any) -> bool:
    """The policy that saves the results of matrix products and convolutions, and no others.

    These are dear to compute again; what stands between them is not.
    """
    return prim.name in ("dot_general", "conv_general_dilated")


checkpoint_dots = dots_saveable


def dots_with_no_batch_dims_saveable(prim: Any, *_: Any, **params: Any) -> bool:
    """Save the results of matrix products without batch axes (as those with weights are)."""
    if prim.name != "dot_general":
        return False
    return not any(params["dimension_numbers"][1])


checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable


def save_only_these_names(*names: str) -> Policy:
    """Save the values that `checkpoint_name` gave one of these names."""
    chosen = frozenset(names)
    return lambda prim, *_, **params: prim.name == "name" and params["name"] in chosen


def save_any_names_but_these(*names: str) -> Policy:
    """A policy that saves the values that `checkpoint_name` gave a name, except these names.

    Values without a name are computed again.
    """
    left_out = frozenset(names)
    return lambda prim, *_, **params: prim.name == "name" and params["name"] not in left_out


def save_anything_except_these_names(*names: str) -> Policy:
    """A policy that saves every value but those that `checkpoint_name` gave one of these names."""
    left_out = frozenset(names)
    return lambda prim, *_, **params: prim.name != "name" or params["name"] not in left_out


def save_from_both_policies(policy_1: Policy, policy_2: Policy) -> Policy:
    """A policy that saves what at least one of two policies saves.

    Both answer with booleans, not with places to offload to.
    """
    return lambda prim, *args, **params: (
        policy_1(prim, *args, **params) or policy_2(prim, *args, **params)
    )


def save_and_offload_only_these_names(
    *,
    names_which_can_be_saved: Sequence[str],
    names_which_can_be_offloaded: Sequence[str],
    offload_src: str,
    offload_dst: str,
) -> Policy:
    """Save the values of these names. Devices here have one memory: offloaded ones stay in it."""
    return save_only_these_names(*names_which_can_be_saved, *names_which_can_be_offloaded)


def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
    """Save products without batch axes. Devices here have one memory: they stay in it."""
    return dots_with_no_batch_dims_saveable
