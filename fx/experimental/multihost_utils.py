"""Exchange between processes: this one is alone, so everything is already where it should be."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx.tree_util import tree_map

__all__ = ["assert_equal", "broadcast_one_to_all", "process_allgather", "sync_global_devices"]


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """What process 0 holds, on all: the tree as NumPy arrays."""
    return tree_map(np.asarray, in_tree)


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The arrays of all processes, stacked, or joined where tiled."""
    return tree_map(lambda x: np.asarray(x) if tiled else np.asarray(x)[None], in_tree)


def sync_global_devices(name: str) -> None:
    """Wait for all processes."""


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Check that all processes hold the same tree."""
