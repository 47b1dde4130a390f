"""What `checkpoint` may save: each policy says of a primitive with its operands' avals and
parameters yes or no.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Policy = Callable[..., bool]


def everything_saveable(*_: Any, **__: Any) -> bool:
    """Save all: as if there were no checkpoint."""
    return True


def nothing_saveable(*_: Any, **__: Any) -> bool:
    """Save nothing but the inputs."""
    return False


def dots_saveable(prim: Any, *_: Any, **__: Any) -> bool:
    """Save the results of matrix products and convolutions."""
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
    """Save all named values except these."""
    left_out = frozenset(names)
    return lambda prim, *_, **params: prim.name == "name" and params["name"] not in left_out


def save_anything_except_these_names(*names: str) -> Policy:
    """Save everything except these names."""
    left_out = frozenset(names)
    return lambda prim, *_, **params: prim.name != "name" or params["name"] not in left_out


def save_from_both_policies(policy_1: Policy, policy_2: Policy) -> Policy:
    """Save what either policy saves."""
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
