"""BCOO: batched coordinate format. An array of stored values, and an integer index row for each of
them.

data [*batch, n, *dense], indices [*batch, n, sparse axes]; an index equal to the axis size is
padding. Operations are gathers, segment sums and products of the stored values, so they
differentiate, batch and jit like any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx import numpy as fnp
from fx.experimental.sparse.base import JAXSparse
from fx.numpy.util import concrete
from fx.tree_util import register_pytree_node_class

__all__ = [
    "BCOO",
    "bcoo_broadcast_in_dim",
    "bcoo_concatenate",
    "bcoo_dot_general",
    "bcoo_extract",
    "bcoo_fromdense",
    "bcoo_multiply_dense",
    "bcoo_multiply_sparse",
    "bcoo_reduce_sum",
    "bcoo_reshape",
    "bcoo_sort_indices",
    "bcoo_sum_duplicates",
    "bcoo_todense",
    "bcoo_transpose",
    "bcoo_update_layout",
    "empty",
    "eye",
    "random_bcoo",
    "todense",
]


@register_pytree_node_class
class BCOO(JAXSparse):
    """A sparse array in batched coordinate format.

    >>> import fx.numpy as fnp
    >>> m = BCOO.fromdense(fnp.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> m
    BCOO(float32[2, 2], nse=2)
    >>> (m @ fnp.array([1.0, 10.0])).tolist()
    [20.0, 3.0]
    """

    parts = ("data", "indices")
    n_batch = property(lambda self: self.indices.ndim - 2, doc="The number of batch axes.")
    n_sparse = property(
        lambda self: self.indices.shape[-1], doc="The number of axes that indices point into."
    )
    n_dense = property(
        lambda self: self.data.ndim - 1 - self.n_batch, doc="The number of dense axes."
    )
    nse = property(
        lambda self: self.indices.shape[-2],
        doc="The number of stored elements of each batch entry.",
    )
    T = property(lambda self: self.transpose(), doc="The array with its axes reversed.")

    @classmethod
    def from_bcoo(cls, arr: BCOO) -> BCOO:
        """The array itself."""
        return arr

    @classmethod
    def _empty(cls, shape: Sequence[int], dtype: Any = None, nse: int = 0) -> BCOO:
        indices = fnp.zeros((nse, len(shape)), np.int32) + fnp.array(shape, np.int32)
        return cls((fnp.zeros(nse, dtype), indices), shape=shape)

    def todense(self) -> Any:
        """The dense array, as `bcoo_todense` makes it."""
        return bcoo_todense(self)

    def sum(self, axis: Any = None) -> Any:
        """The sum over axes (all: None), a BCOO; see `bcoo_reduce_sum`."""
        axes = range(self.ndim) if axis is None else np.atleast_1d(axis)
        return bcoo_reduce_sum(self, axes=[int(k) % self.ndim for k in axes])

    def transpose(self, axes: Sequence[int] | None = None) -> BCOO:
        """Axes permuted, reversed without `axes`; see `bcoo_transpose`."""
        order = tuple(range(self.ndim))[::-1] if axes is None else tuple(axes)
        return bcoo_transpose(self, permutation=order)

    def reshape(self, *shape: Any) -> BCOO:
        """The same elements in another shape, row by row; see `bcoo_reshape`."""
        new = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return bcoo_reshape(self, new_sizes=new)

    def astype(self, dtype: Any) -> BCOO:
        """Stored values converted to a dtype; indices stay."""
        return self._with(self.data.astype(dtype))

    def sort_indices(self) -> BCOO:
        """Stored elements in the order of their indices, as `bcoo_sort_indices`."""
        return bcoo_sort_indices(self)

    def sum_duplicates(self, nse: int | None = None, remove_zeros: bool = True) -> BCOO:
        """Each index stored once, values of equal ones added; see `bcoo_sum_duplicates`."""
        return bcoo_sum_duplicates(self, nse=nse)

    def update_layout(
        self, *, n_batch: int = 0, n_dense: int = 0, on_inefficient: str | None = "error"
    ) -> BCOO:
        """The same array with other numbers of batch and dense axes."""
        return bcoo_update_layout(self, n_batch=n_batch, n_dense=n_dense)

    @classmethod
    def _of_scipy(cls, mat: Any, index_dtype: Any) -> BCOO:
        parts = mat.tocoo()
        indices = np.stack([parts.row, parts.col], axis=-1).astype(index_dtype)
        return cls((parts.data, indices), shape=parts.shape)

    def __getitem__(self, idx: Any) -> BCOO:
        from fx.experimental.sparse.slices import bcoo_getitem

        return bcoo_getitem(self, idx)

    def __matmul__(self, other: Any) -> Any:
        from fx.experimental.sparse.products import bcoo_matmul

        return bcoo_matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        from fx.experimental.sparse.products import matmul_bcoo

        return matmul_bcoo(other, self)

    def __mul__(self, other: Any) -> BCOO:
        if isinstance(other, BCOO):
            return bcoo_multiply_sparse(self, other)
        return self._with(bcoo_multiply_dense(self, other).data)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> BCOO:
        return (
            self._with(self.data / other)
            if np.ndim(other) == 0
            else self * (1 / fnp.asarray(other))
        )

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, BCOO):
            return self.todense() + other
        if self.n_batch or other.n_batch or self.n_dense or other.n_dense:
            raise NotImplementedError("BCOO + BCOO: only without batch and dense axes")
        if self.shape != other.shape:
            raise NotImplementedError(
                f"Addition between sparse matrices of shapes {self.shape} and {other.shape}"
            )
        parts = [
            fnp.concatenate(v) for v in ((self.data, other.data), (self.indices, other.indices))
        ]
        return BCOO(tuple(parts), shape=self.shape)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    __radd__ = __add__


# ---------------------------------------------------------------- between dense and sparse


def _sparse_shape(m: BCOO) -> tuple[int, ...]:
    return m.shape[m.n_batch : m.n_batch + m.n_sparse]


def bcoo_fromdense(
    mat: Any,
    *,
    nse: int | None = None,
    n_batch: int = 0,
    n_dense: int = 0,
    index_dtype: Any = np.int32,
) -> BCOO:
    """The nonzero elements of a dense array and where they are.

    Under jit `nse` must be given. The first n_batch axes store their own elements, the last n_dense
    are stored whole.
    """
    mat = fnp.asarray(mat)
    n_sparse = mat.ndim - n_batch - n_dense
    mask = mat != 0
    if n_dense:
        mask = fnp.any(mask, axis=tuple(range(mat.ndim - n_dense, mat.ndim)))
    if nse is None:
        known = concrete(mask, "bcoo_fromdense: give nse under transformations.")
        counts = known.reshape((*known.shape[:n_batch], -1)).sum(-1)
        nse = int(counts.max()) if counts.size else 0
    if n_sparse == 0:
        indices = fnp.zeros((*mat.shape[:n_batch], nse, 0), index_dtype)
        return BCOO((fnp.expand_dims(mat, n_batch), indices[..., :1, :]), shape=mat.shape)

    def rows(m: Any) -> Any:
        found = fnp.nonzero(m, size=nse, fill_value=m.shape)
        return fnp.stack([k.astype(index_dtype) for k in found], axis=-1)

    for _ in range(n_batch):
        import fx

        rows = fx.vmap(rows)
    indices = rows(mask)
    return BCOO(
        (_gathered(indices, mat, n_batch), indices), shape=mat.shape, indices_sorted=True,
        unique_indices=True,
    )  # fmt: skip


def _gathered(indices: Any, mat: Any, n_batch: int) -> Any:
    def take(k: Any, m: Any) -> Any:
        return m.at[tuple(fnp.moveaxis(k, -1, 0))].get(mode="fill", fill_value=0)

    import fx

    for _ in range(n_batch):
        take = fx.vmap(take)
    return take(indices, mat)


def bcoo_extract(sparr: BCOO, arr: Any, *, assume_unique: bool | None = None) -> BCOO:
    """The values of a dense array at the indices of a sparse one, a BCOO with those indices.

    ValueError where their shapes differ.
    """
    arr = fnp.asarray(arr)
    if arr.shape != sparr.shape:
        raise ValueError(f"shape mismatch: sparr.shape={sparr.shape} a.shape={arr.shape}")
    return sparr._with(_gathered(sparr.indices, arr, sparr.n_batch))


def bcoo_todense(mat: BCOO) -> Any:
    """The dense array; equal indices add up, padding is dropped.

    Differentiable by the stored values.
    """
    lead = mat.shape[: mat.n_batch]
    data = fnp.broadcast_to(mat.data, (*lead, *mat.data.shape[mat.n_batch :]))
    indices = fnp.broadcast_to(mat.indices, (*lead, *mat.indices.shape[mat.n_batch :]))
    inner = mat.shape[mat.n_batch :]

    def put(d: Any, k: Any) -> Any:
        start = fnp.zeros(inner, mat.dtype)
        if mat.n_sparse == 0:
            return start + d.sum(0)
        return start.at[tuple(fnp.moveaxis(k, -1, 0))].add(d, mode="drop")

    import fx

    for _ in range(mat.n_batch):
        put = fx.vmap(put)
    return put(data, indices)


def todense(arr: Any) -> Any:
    """The dense form of a sparse array, in its shape and dtype; a dense one as an array."""
    return arr.todense() if isinstance(arr, JAXSparse) else fnp.asarray(arr)


def empty(
    shape: Sequence[int],
    dtype: Any = None,
    index_dtype: Any = np.int32,
    sparse_format: str = "bcoo",
) -> BCOO:
    """An array of zeros of a shape that stores nothing: nse 0 unless given."""
    if sparse_format != "bcoo":
        raise ValueError(f"sparse_format={sparse_format!r} not recognized; must be 'bcoo'")
    return BCOO._empty(shape, dtype)


def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = None,
    index_dtype: Any = np.int32,
    sparse_format: str = "bcoo",
) -> BCOO:
    """Ones on the k-th diagonal of an N x M matrix (N x N by default), float32 unless a dtype is
    given. ValueError for other formats than "bcoo".
    """
    if sparse_format != "bcoo":
        raise ValueError(f"sparse_format={sparse_format!r} not recognized; must be 'bcoo'")
    m = N if M is None else M
    count = max(0, min(N + min(k, 0), m - max(k, 0)))
    line = np.arange(count)
    indices = np.stack([line - min(k, 0), line + max(k, 0)], axis=-1).astype(index_dtype)
    return BCOO(
        (fnp.ones(count, dtype), indices), shape=(N, m), indices_sorted=True, unique_indices=True
    )


def random_bcoo(
    key: Any,
    shape: Sequence[int],
    *,
    dtype: Any = np.float32,
    indices_dtype: Any = None,
    nse: float = 0.2,
    n_batch: int = 0,
    n_dense: int = 0,
    unique_indices: bool = True,
    sorted_indices: bool = False,
    generator: Callable[..., Any] | None = None,
    **kwds: Any,
) -> BCOO:
    """Random values at distinct random places; nse is a count, or a share if below 1."""
    from fx import random

    if n_batch or n_dense:
        raise NotImplementedError("random_bcoo: only without batch and dense axes")
    size = int(np.prod(shape))
    count = int(np.ceil(nse * size)) if 0 < nse < 1 else int(nse)
    pick, draw = random.split(key)
    places = random.choice(pick, size, (count,), replace=not unique_indices)
    indices = fnp.stack(fnp.unravel_index(places, tuple(shape)), axis=-1).astype(np.int32)
    make = random.uniform if generator is None else generator
    out = BCOO(
        (make(draw, (count,), dtype=dtype, **kwds), indices),
        shape=shape,
        unique_indices=unique_indices,
    )
    return out.sort_indices() if sorted_indices else out


# ---------------------------------------------------------------- structure


def _only_sparse(name: str, mat: BCOO) -> None:
    if mat.n_batch or mat.n_dense:
        raise NotImplementedError(f"{name}: only without batch and dense axes; got {mat}")


def _flat_index(mat: BCOO) -> Any:
    """Row-major positions; padding goes past the end."""
    size = int(np.prod(_sparse_shape(mat), dtype=np.int64))
    inside = fnp.all(mat.indices < np.array(_sparse_shape(mat)), axis=-1)
    flat = fnp.zeros(mat.indices.shape[:-1], np.int32)
    for k, n in enumerate(_sparse_shape(mat)):
        flat = flat * n + mat.indices[..., k]
    return fnp.where(inside, flat, size)


def bcoo_sort_indices(mat: BCOO) -> BCOO:
    """Stored elements in row-major order of their indices.

    Padding goes last; values follow. Without batch and dense axes only.
    """
    _only_sparse("bcoo_sort_indices", mat)
    order = fnp.argsort(_flat_index(mat))
    return BCOO(
        (mat.data[order], mat.indices[order]), shape=mat.shape, indices_sorted=True,
        unique_indices=mat.unique_indices,
    )  # fmt: skip


def bcoo_sum_duplicates(mat: BCOO, nse: int | None = None) -> BCOO:
    """Equal indices merged; under jit the number of stored elements stays unless nse is given."""
    _only_sparse("bcoo_sum_duplicates", mat)
    flat = _flat_index(mat)
    size = int(np.prod(mat.shape, dtype=np.int64))
    if nse is None:
        traced = isinstance(flat, core.Tracer) and flat.concrete() is None
        nse = mat.nse if traced else len(np.setdiff1d(concrete(flat), [size]))
    places, back = fnp.unique(flat, return_inverse=True, size=nse, fill_value=size)
    below: Any = flat
    kept = fnp.where(below < size, mat.data, 0)
    data = fnp.zeros(nse, mat.dtype).at[back].add(kept, mode="drop")
    found = fnp.stack(fnp.unravel_index(places, mat.shape), axis=-1).astype(mat.indices.dtype)
    inside = (places < size)[:, None]
    indices = fnp.where(inside, found, np.array(mat.shape, np.int32))
    return BCOO(
        (fnp.where(inside[:, 0], data, 0), indices), shape=mat.shape, indices_sorted=True,
        unique_indices=True,
    )  # fmt: skip


def bcoo_update_layout(
    mat: BCOO,
    *,
    n_batch: int | None = None,
    n_dense: int | None = None,
    on_inefficient: Any = "error",
) -> BCOO:
    """The same array with other numbers of batch and dense axes (by way of the dense array)."""
    batch: int = mat.n_batch if n_batch is None else n_batch
    dense: int = mat.n_dense if n_dense is None else n_dense
    if (batch, dense) == (mat.n_batch, mat.n_dense):
        return mat
    return bcoo_fromdense(mat.todense(), n_batch=batch, n_dense=dense)


def bcoo_transpose(mat: BCOO, *, permutation: Sequence[int]) -> BCOO:
    """Axes permuted within the batch, sparse and dense ones.

    NotImplementedError where an axis would change its kind.
    """
    order = [int(k) % mat.ndim for k in permutation]
    nb, ns = mat.n_batch, mat.n_sparse
    batch, sparse, dense = order[:nb], order[nb : nb + ns], order[nb + ns :]
    if sorted(batch) != list(range(nb)) or sorted(sparse) != list(range(nb, nb + ns)):
        raise NotImplementedError("bcoo_transpose: axes must stay batch, sparse or dense")
    indices = mat.indices[..., np.array([k - nb for k in sparse], np.int32)]
    indices = fnp.transpose(indices, (*batch, nb, nb + 1))
    data = fnp.transpose(mat.data, (*batch, nb, *(k - ns + 1 for k in dense)))
    return BCOO(
        (data, indices), shape=[mat.shape[k] for k in order], unique_indices=mat.unique_indices
    )


def bcoo_reshape(
    mat: BCOO, *, new_sizes: Sequence[int], dimensions: Any = None, sharding: Any = None
) -> BCOO:
    """The same elements in another shape.

    Row by row, of the axes in the order of `dimensions`. NotImplementedError with batch or dense
    axes.
    """
    _only_sparse("bcoo_reshape", mat)
    if dimensions is not None:
        mat = bcoo_transpose(mat, permutation=dimensions)
    shape = tuple(np.empty(mat.shape, bool).reshape(new_sizes).shape)
    flat, size = _flat_index(mat), mat.size
    found = fnp.stack(fnp.unravel_index(flat, shape), axis=-1).astype(mat.indices.dtype)
    indices = fnp.where((flat < size)[:, None], found, np.array(shape, np.int32))
    return BCOO((mat.data, indices), shape=shape, unique_indices=mat.unique_indices)


def bcoo_broadcast_in_dim(
    mat: BCOO, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], sharding: Any = None
) -> BCOO:
    """The array repeated along new axes.

    axis k becomes axis broadcast_dimensions[k] of `shape`.
    """
    from fx.experimental.sparse.slices import bcoo_repeat

    return bcoo_repeat(mat, shape=shape, broadcast_dimensions=broadcast_dimensions)


def bcoo_concatenate(operands: Sequence[BCOO], *, dimension: int) -> BCOO:
    """Arrays joined along an axis.

    The others have equal sizes; values promote. NotImplementedError with batch or dense axes.
    """
    parts, offset = [], 0
    for m in operands:
        _only_sparse("bcoo_concatenate", m)
        inside = fnp.all(m.indices < np.array(m.shape), axis=-1)
        shift = np.zeros(m.ndim, np.int32)
        shift[dimension] = offset
        parts.append((m.data, m.indices + shift, inside))
        offset += m.shape[dimension]
    shape = list(operands[0].shape)
    shape[dimension] = offset
    indices = fnp.concatenate(
        [fnp.where(i[:, None], k, np.array(shape, np.int32)) for _, k, i in parts]
    )
    return BCOO((fnp.concatenate([d for d, _, _ in parts]), indices), shape=shape)


def bcoo_reduce_sum(mat: BCOO, *, axes: Sequence[int]) -> Any:
    """The sum over sparse axes: their index columns are dropped; equal indices add up when made
    dense.
    """
    _only_sparse("bcoo_reduce_sum", mat)
    if not all(-mat.ndim <= a < mat.ndim for a in axes):
        raise ValueError(f"bcoo_reduce_sum: axes {tuple(axes)} of an array of shape {mat.shape}")
    keep = [k for k in range(mat.ndim) if k not in {int(a) % mat.ndim for a in axes}]
    inside = fnp.all(mat.indices < np.array(mat.shape), axis=-1)
    data = fnp.where(inside, mat.data, 0)
    shape = tuple(mat.shape[k] for k in keep)
    return BCOO((data, mat.indices[:, np.array(keep, np.int32)]), shape=shape)


# ---------------------------------------------------------------- products


def bcoo_multiply_dense(sp_mat: BCOO, v: Any) -> BCOO:
    """Stored values times a dense array at their places.

    v broadcasts to the array's shape; the result is a BCOO with the same indices.
    """
    v = fnp.asarray(v)
    if v.ndim == 0:
        return sp_mat._with(sp_mat.data * v)
    v = fnp.broadcast_to(v, sp_mat.shape)
    return sp_mat._with(sp_mat.data * _gathered(sp_mat.indices, v, sp_mat.n_batch))


def bcoo_multiply_sparse(lhs: BCOO, rhs: BCOO) -> BCOO:
    """The product of two sparse arrays, with the indices of the first."""
    return bcoo_multiply_dense(lhs, bcoo_todense(rhs))


def bcoo_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """dot_general where the first operand is sparse: stored values times rows of the second,
    summed by index.
    """
    if isinstance(rhs, BCOO):
        from fx.experimental.sparse.products import bcoo_spdot_general

        if isinstance(lhs, BCOO):
            return bcoo_spdot_general(lhs, rhs, dimension_numbers=dimension_numbers)
        rhs = rhs.todense()
    if not isinstance(lhs, BCOO):
        return lax.dot_general(fnp.asarray(lhs), fnp.asarray(rhs), dimension_numbers)
    (lc, rc), (lb, _) = dimension_numbers
    rhs = fnp.asarray(rhs)
    if lhs.n_batch or lhs.n_dense or len(lb) or len(lc) != 1:
        return lax.dot_general(lhs.todense(), rhs, dimension_numbers)
    k = int(lc[0]) % lhs.ndim
    rows = fnp.moveaxis(rhs, int(rc[0]), 0)
    if rows.shape[0] != lhs.shape[k]:
        raise TypeError(
            "dot_general requires contracting dimensions to have the same shape, got "
            f"({lhs.shape[k]},) and ({rows.shape[0]},)."
        )
    free = [d for d in range(lhs.ndim) if d != k]
    inside = fnp.all(lhs.indices < np.array(lhs.shape), axis=-1)
    dtype = fnp.result_type(lhs.data, rhs)
    data = fnp.where(inside, lhs.data, 0).astype(dtype)
    picked = rows.at[lhs.indices[:, k]].get(mode="fill", fill_value=0).astype(dtype)
    terms = data.reshape((-1,) + (1,) * (picked.ndim - 1)) * picked
    out = fnp.zeros((*(lhs.shape[d] for d in free), *rows.shape[1:]), dtype)
    if not free:
        return terms.sum(0)
    return out.at[tuple(lhs.indices[:, d] for d in free)].add(terms, mode="drop")
