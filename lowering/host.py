"""Host functions that plans call: sorting on host memory with NumPy's own kernels, some scatters.

Each is a module-level function of plain arrays, so that plans pickle. NaN sorts last, ties keep
their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowering import host_sort, interp_index


def sort(*xs: np.ndarray, dim: int, num_keys: int, counts: tuple = ()) -> tuple[np.ndarray, ...]:
    """All operands in the order of the first `num_keys`, lexicographically, along `dim`.

    `counts`: None for an operand of `xs`, (dtype, shape) for one that counts along `dim`.
    """
    given = iter(xs)
    xs = tuple(next(given) if c is None else _counting(c, dim) for c in counts) or xs
    if len(xs) == 1 and xs[0].dtype.kind != "V":
        return (host_sort.sort(xs[0], dim),)
    keys = [sortable(x) for x in xs[:num_keys]]
    if num_keys == 1:
        order = np.argsort(keys[0], axis=dim, kind="stable")
    else:
        order = np.lexsort([np.moveaxis(k, dim, -1) for k in reversed(keys)], axis=-1)
        order = np.moveaxis(order, -1, dim)
    return tuple(np.take_along_axis(x, order, axis=dim) for x in xs)


def _counting(count: tuple, dim: int) -> np.ndarray:
    dtype, shape = count
    along = [1] * len(shape)
    along[dim] = shape[dim]
    return np.broadcast_to(np.arange(shape[dim], dtype=dtype).reshape(along), shape)


def sortable(x: np.ndarray) -> np.ndarray:
    """A key that NumPy sorts in the right order: 16-bit floats of ml_dtypes as float32."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


@dataclass(frozen=True)
class Scattered:
    """A scatter of the given form, as the interpreter does it."""

    form: Any

    def __call__(self, x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> Any:
        return (interp_index.scatter(x, indices, updates, self.form),)


def top_k(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of the last axis, largest first, and where they were; NaN is largest, ties by
    lower index.
    """
    flipped = sortable(x)[..., ::-1]
    order = np.argsort(flipped, axis=-1, kind="stable")[..., ::-1][..., :k]
    index = (x.shape[-1] - 1 - order).astype(np.int32)
    return np.take_along_axis(x, index.astype(np.intp), axis=-1), index
