"""Parts of BCOO arrays: slices, single indices, reversed and dropped axes, repetition.

Sparse axes move their indices (what falls outside becomes padding, with an index equal to the axis
size and the value 0); batch and dense axes are slices of the stored arrays.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.experimental.sparse.coordinates import BCOO, bcoo_reshape


def _inside(mat: BCOO) -> Any:
    """Which stored elements are no padding."""
    sizes = mat.shape[mat.n_batch : mat.n_batch + mat.n_sparse]
    return fnp.all(mat.indices < np.array(sizes, np.int32), axis=-1)


def _kept(mat: BCOO, keep: Any, data: Any) -> Any:
    """The stored values, 0 where not kept."""
    keep = keep.reshape((*keep.shape, *(1,) * mat.n_dense))
    return fnp.where(keep, data, np.zeros((), data.dtype))


def bcoo_slice(
    mat: BCOO,
    *,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> BCOO:
    """A strided window of a sparse array, as `lax.slice` of a dense one."""
    steps = [1] * mat.ndim if strides is None else [operator.index(s) for s in strides]
    if not mat.ndim == len(start_indices) == len(limit_indices) == len(steps):
        raise ValueError(f"bcoo_slice: bounds and strides must have length {mat.ndim}")
    bounds = list(zip(start_indices, limit_indices, steps))
    nb, ns = mat.n_batch, mat.n_sparse
    data, indices = mat.data, mat.indices
    for axis, (low, high, step) in enumerate(bounds[:nb]):
        if indices.shape[axis] != 1:
            indices = lax.slice_in_dim(indices, low, high, step, axis)
        if data.shape[axis] != 1:
            data = lax.slice_in_dim(data, low, high, step, axis)
    for axis, (low, high, step) in enumerate(bounds[nb + ns :], nb + 1):
        data = lax.slice_in_dim(data, low, high, step, axis)
    shape = tuple(len(range(low, high, step)) for low, high, step in bounds)
    sparse = np.array(bounds[nb : nb + ns], indices.dtype).reshape(ns, 3).T
    low, high, step = sparse
    keep = fnp.all((indices >= low) & (indices < high) & ((indices - low) % step == 0), axis=-1)
    sizes = np.array(shape[nb : nb + ns], indices.dtype)
    indices = fnp.where(keep[..., None], (indices - low) // step, sizes)
    keep = fnp.broadcast_to(keep, data.shape[: nb + 1])
    return BCOO((_kept(mat, keep, data), indices), shape=shape, unique_indices=mat.unique_indices)


def bcoo_squeeze(mat: BCOO, *, dimensions: Sequence[int]) -> BCOO:
    """A sparse array without the axes `dimensions`, which have size 1 (ValueError else).

    Batch, stored and dense axes alike; the stored elements stay as they are.
    """
    axes = {operator.index(k) % mat.ndim for k in dimensions}
    if any(mat.shape[k] != 1 for k in axes):
        raise ValueError(f"cannot select an axis to squeeze out of shape {mat.shape}: {axes}")
    nb, ns = mat.n_batch, mat.n_sparse
    keep = np.array([k for k in range(ns) if nb + k not in axes], np.int32)
    batch = tuple(k for k in axes if k < nb)
    dense = tuple(k - ns + 1 for k in axes if k >= nb + ns)
    indices, data = mat.indices[..., keep], mat.data
    if len(keep) < ns:
        data = _kept(mat, fnp.broadcast_to(_inside(mat), data.shape[: nb + 1]), data)
    return BCOO(
        (lax.squeeze(data, (*batch, *dense)), lax.squeeze(indices, batch)),
        shape=[n for k, n in enumerate(mat.shape) if k not in axes],
        unique_indices=mat.unique_indices,
    )


def bcoo_rev(mat: BCOO, *, dimensions: Sequence[int]) -> BCOO:
    """A sparse array with the elements along the axes `dimensions` in reverse order.

    The stored elements stay as many; indices of padding stay outside.
    """
    axes = {operator.index(k) % mat.ndim for k in dimensions}
    nb, ns = mat.n_batch, mat.n_sparse
    batch = tuple(k for k in axes if k < nb)
    dense = tuple(k - ns + 1 for k in axes if k >= nb + ns)
    data = lax.rev(mat.data, (*batch, *dense))
    indices, inside = lax.rev(mat.indices, batch), lax.rev(_inside(mat), batch)
    sizes = np.array(mat.shape[nb : nb + ns], indices.dtype)
    flip = np.array([nb + k in axes for k in range(ns)])
    indices = fnp.where(inside[..., None] & flip, sizes - 1 - indices, indices)
    return BCOO((data, indices), shape=mat.shape, unique_indices=mat.unique_indices)


def bcoo_repeat(mat: BCOO, *, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> BCOO:
    """`lax.broadcast_in_dim` of a sparse array without batch and dense axes: every stored element
    once for each place along the new axes.
    """
    if mat.n_batch or mat.n_dense:
        raise NotImplementedError("broadcasting of BCOO arrays with batch or dense axes")
    shape = tuple(shape)
    source = {j: k for k, j in enumerate(broadcast_dimensions) if mat.shape[k] == shape[j]}
    new = [j for j in range(len(shape)) if j not in source]
    if not new:
        return bcoo_reshape(mat, new_sizes=shape)
    grid = np.indices([shape[j] for j in new], np.int32).reshape(len(new), -1)
    count = grid.shape[1]
    columns = []
    for j in range(len(shape)):
        if j in source:
            columns.append(fnp.repeat(mat.indices[:, source[j]], count))
        else:
            columns.append(fnp.tile(grid[new.index(j)].astype(mat.indices.dtype), mat.nse))
    data = fnp.repeat(fnp.where(_inside(mat), mat.data, np.zeros((), mat.dtype)), count)
    return BCOO((data, fnp.stack(columns, axis=-1)), shape=shape, unique_indices=mat.unique_indices)


def bcoo_getitem(mat: BCOO, idx: Any) -> BCOO:
    """`mat[idx]` for integers, slices, None and `...`."""
    entries = list(idx) if isinstance(idx, tuple) else [idx]
    given = sum(e is not None and e is not Ellipsis for e in entries)
    if Ellipsis not in entries:
        entries.append(Ellipsis)
    k = entries.index(Ellipsis)
    entries[k : k + 1] = [slice(None)] * (mat.ndim - given)
    low, high, step, drop, flip, new = [], [], [], [], [], []
    axis = 0
    for place, e in enumerate(entries):
        if e is None:
            new.append(place)
            continue
        n = mat.shape[axis]
        if isinstance(e, slice):
            picked = range(n)[e]
            if picked.step < 0:
                flip.append(axis)
                picked = picked[::-1]
        elif isinstance(e, int | np.integer):
            at = operator.index(e)
            if not -n <= at < n:
                raise IndexError(f"index {at} is out of bounds for axis {axis} with size {n}")
            picked = range(at % n, at % n + 1)
            drop.append(axis)
        else:
            raise NotImplementedError(f"index {e!r} of a sparse array; use todense()")
        low.append(picked.start)
        high.append(picked.stop)
        step.append(picked.step)
        axis += 1
    out = bcoo_slice(mat, start_indices=low, limit_indices=high, strides=step)
    out = bcoo_rev(out, dimensions=flip) if flip else out
    out = bcoo_squeeze(out, dimensions=drop) if drop else out
    if not new:
        return out
    shape = iter(out.shape)
    kept = [e for e in entries if e is None or isinstance(e, slice)]
    return bcoo_reshape(out, new_sizes=[1 if e is None else next(shape) for e in kept])
