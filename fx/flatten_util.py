"""`fx.flatten_util`: a tree of arrays as one vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.tree_util import tree_flatten


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All leaves as one vector (of their common dtype), and the function that rebuilds the tree.

    >>> flat, unravel = ravel_pytree({"a": 1.0, "b": fnp.ones(2)})
    >>> flat
    Array([1., 1., 1.], dtype=float32)
    """
    leaves, tree = tree_flatten(pytree)
    if not leaves:
        return fnp.zeros(0), lambda _: tree.unflatten([])
    arrays = [fnp.asarray(x) for x in leaves]
    shapes, dtypes = [a.shape for a in arrays], [a.dtype for a in arrays]
    dtype = fnp.result_type(*arrays)
    flat = fnp.concatenate([fnp.ravel(a).astype(dtype) for a in arrays])
    stops = np.cumsum([a.size for a in arrays])

    def unravel(vector: Any) -> Any:
        vector = fnp.asarray(vector)
        if vector.shape != flat.shape:
            raise TypeError(
                f"unravel function given array of shape {vector.shape}, expected {flat.shape}"
            )
        if vector.dtype != dtype:
            raise TypeError(
                f"unravel function given array of dtype {vector.dtype}, but expected dtype {dtype}"
            )
        starts = [0, *map(int, stops[:-1])]
        pieces = [
            vector[a:b].reshape(s).astype(d)
            for a, b, s, d in zip(starts, map(int, stops), shapes, dtypes)
        ]
        return tree.unflatten(pieces)

    return flat, unravel
