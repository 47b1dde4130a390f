"""Products with BCOO arrays: `@`, and of two of them every pair of stored elements whose contracted
indices agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx import numpy as fnp
from fx.experimental.sparse.base import JAXSparse
from fx.experimental.sparse.coordinates import BCOO, bcoo_dot_general, bcoo_sum_duplicates


def bcoo_matmul(lhs: BCOO, rhs: Any) -> Any:
    """`lhs @ rhs` as `fnp.matmul` has it, dense unless both are sparse; axes of the second before
    its last two are a batch. What has batch or dense axes, or more than two, is made dense.
    """
    rank = rhs.ndim if isinstance(rhs, JAXSparse) else np.ndim(rhs)
    if isinstance(rhs, BCOO):
        contract = (lhs.ndim - 1,), (max(rank - 2, 0),)
        return bcoo_dot_general(lhs, rhs, dimension_numbers=(contract, ((), ())))
    if not _plain(lhs) or rank == 0:
        return fnp.matmul(lhs.todense(), fnp.asarray(rhs))
    contract = (lhs.ndim - 1,), (max(rank - 2, 0),)
    out = bcoo_dot_general(lhs, rhs, dimension_numbers=(contract, ((), ())))
    return fnp.moveaxis(out, 0, -2) if lhs.ndim == 2 and rank > 2 else out


def matmul_bcoo(lhs: Any, rhs: BCOO) -> Any:
    """`lhs @ rhs` of a dense array and a sparse one, dense; see `bcoo_matmul`."""
    lhs = fnp.asarray(lhs)
    if not _plain(rhs) or lhs.ndim == 0:
        return fnp.matmul(lhs, rhs.todense())
    contract = (max(rhs.ndim - 2, 0),), (lhs.ndim - 1,)
    out = bcoo_dot_general(rhs, lhs, dimension_numbers=(contract, ((), ())))
    return fnp.moveaxis(out, 0, -1) if rhs.ndim == 2 else out


def _plain(m: BCOO) -> bool:
    return m.ndim <= 2 and not m.n_batch and not m.n_dense


def bcoo_spdot_general(lhs: BCOO, rhs: BCOO, *, dimension_numbers: Any) -> BCOO:
    """dot_general of two sparse arrays, sparse: the free axes of lhs, then those of rhs.

    It stores at most lhs.nse * rhs.nse elements, and no more than the result has. Batch axes of
    the arrays or of the product raise NotImplementedError.
    """
    (lc, rc), (lb, _) = dimension_numbers
    if len(lb) or any(m.n_batch or m.n_dense for m in (lhs, rhs)):
        raise NotImplementedError("products of two sparse arrays with batch or dense axes")
    left, right = ([int(k) % m.ndim for k in c] for m, c in ((lhs, lc), (rhs, rc)))
    sizes = [lhs.shape[k] for k in left]
    if sizes != [rhs.shape[k] for k in right]:
        raise TypeError(
            f"dot_general requires contracting dimensions to have the same shape, got "
            f"{lhs.shape} and {rhs.shape} over {(tuple(left), tuple(right))}."
        )
    inside = [fnp.all(m.indices < np.array(m.shape, np.int32), axis=-1) for m in (lhs, rhs)]
    a, b = lhs.indices[:, np.array(left, np.int32)], rhs.indices[:, np.array(right, np.int32)]
    match = fnp.all(a[:, None] == b[None], axis=-1) & inside[0][:, None] & inside[1][None]
    data = fnp.where(match, lhs.data[:, None] * rhs.data[None], 0).ravel()
    free = [
        np.array([k for k in range(m.ndim) if k not in used], np.int32)
        for m, used in ((lhs, left), (rhs, right))
    ]
    shape = (*(lhs.shape[k] for k in free[0]), *(rhs.shape[k] for k in free[1]))
    pairs = (lhs.nse, rhs.nse)
    rows = fnp.repeat(lhs.indices[:, free[0]], pairs[1], axis=0)
    columns = fnp.tile(rhs.indices[:, free[1]], (pairs[0], 1))
    indices = fnp.concatenate([rows, columns], axis=-1)
    indices = fnp.where(match.ravel()[:, None], indices, np.array(shape, np.int32))
    out = BCOO((data, indices), shape=shape)
    if not shape:
        return out
    traced = isinstance(data, core.Tracer) and data.concrete() is None
    nse = min(data.shape[0], int(np.prod(shape))) if traced else None
    return bcoo_sum_duplicates(out, nse=nse)
