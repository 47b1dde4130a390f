"""Gradient diagnostics: norms and statistics of every leaf, and where something is not finite."""

from __future__ import annotations

from typing import Any, NamedTuple

from fx import numpy as fnp
from fx.optim.base import global_norm
from fx.tree_util import keystr, tree_leaves_with_path, tree_map

__all__ = ["LeafStatistics", "first_not_finite", "global_norm", "leaf_statistics"]


class LeafStatistics(NamedTuple):
    """What is worth knowing about one leaf of a gradient."""

    norm: Any
    mean: Any
    std: Any
    min: Any
    max: Any
    not_finite: Any


def leaf_statistics(tree: Any) -> Any:
    """LeafStatistics of each leaf, with the tree's structure; works under jit.

    >>> import fx.numpy as fnp
    >>> leaf_statistics({"w": fnp.array([3.0, 4.0])})["w"].norm.item()
    5.0
    """

    def one(x: Any) -> LeafStatistics:
        x = fnp.asarray(x)
        return LeafStatistics(
            fnp.linalg.norm(fnp.ravel(x)),
            fnp.mean(x),
            fnp.std(x),
            fnp.min(x),
            fnp.max(x),
            fnp.sum(~fnp.isfinite(x)),
        )

    return tree_map(one, tree)


def first_not_finite(tree: Any) -> str | None:
    """The path of the first leaf with a NaN or infinity, or None.

    >>> import fx.numpy as fnp
    >>> first_not_finite({"w": fnp.ones(2), "b": fnp.array([fnp.nan])})
    "['b']"
    """
    for path, x in tree_leaves_with_path(tree):
        if not bool(fnp.all(fnp.isfinite(x))):
            return keystr(path)
    return None
