"""`fx.tree`: the short names of the pytree functions (`fx.tree_util` has the long ones)."""

from __future__ import annotations

import dataclasses
from typing import Any

from fx.tree_util import tree_all as all
from fx.tree_util import tree_broadcast as broadcast
from fx.tree_util import tree_flatten as flatten
from fx.tree_util import tree_flatten_with_path as flatten_with_path
from fx.tree_util import tree_leaves as leaves
from fx.tree_util import tree_leaves_with_path as leaves_with_path
from fx.tree_util import tree_map as map
from fx.tree_util import tree_map_with_path as map_with_path
from fx.tree_util import tree_reduce as reduce
from fx.tree_util import tree_reduce_associative as reduce_associative
from fx.tree_util import tree_structure as structure
from fx.tree_util import tree_transpose as transpose
from fx.tree_util import tree_unflatten as unflatten

__all__ = [
    "all",
    "broadcast",
    "flatten",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "reduce_associative",
    "static",
    "structure",
    "transpose",
    "unflatten",
]


def static(**kwargs: Any) -> Any:
    """A dataclass field that belongs to the structure, for `fx.tree_util.register_dataclass`."""
    metadata = {"static": True, **(kwargs.pop("metadata", None) or {})}
    return dataclasses.field(metadata=metadata, **kwargs)
