"""The registry of node types as an object, `fx.tree_util.default_registry`, for code that walks
trees one level at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fx import tree_util as tu


class PyTreeRegistry:
    """What `fx.tree_util` knows of node types; there is one of it."""

    def flatten(
        self, tree: Any, leaf_predicate: Callable[[Any], bool] | None = None
    ) -> tuple[list[Any], Any]:
        """The leaves of a tree and its structure."""
        return tu.tree_flatten(tree, leaf_predicate)

    def flatten_with_path(
        self, tree: Any, leaf_predicate: Callable[[Any, Any], bool] | None = None
    ) -> tuple[list[tuple[Any, Any]], Any]:
        """The (key path, leaf) pairs of a tree and its structure."""
        return tu.tree_flatten_with_path(tree, leaf_predicate, is_leaf_takes_path=True)

    def flatten_one_level(self, tree: Any) -> tuple[Iterable[Any], Any] | None:
        """The children and auxiliary data of a node; None for a leaf."""
        return tu.flatten_one_level(tree) if tu.is_tree_node(type(tree)) else None

    def flatten_one_level_with_keys(self, tree: Any) -> tuple[Iterable[Any], Any] | None:
        """The (key, child) pairs and auxiliary data of a node; None for a leaf."""
        return tu.flatten_one_level_with_keys(tree) if tu.is_tree_node(type(tree)) else None

    def register_node(
        self,
        type: type,
        to_iterable: Callable[[Any], Any],
        from_iterable: Callable[[Any, Any], Any],
        to_iterable_with_keys: Callable[[Any], Any] | None = None,
    ) -> None:
        """Make a type a node: see `register_pytree_node`."""
        tu.register_pytree_node(type, to_iterable, from_iterable, to_iterable_with_keys)

    def register_dataclass_node(self, type: type, data_fields: Any, meta_fields: Any, /) -> None:
        """Make a dataclass a node: see `register_dataclass`."""
        tu.register_dataclass(type, data_fields, meta_fields)
