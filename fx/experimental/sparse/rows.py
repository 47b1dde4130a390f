"""BCSR: batched compressed rows. Stored values, their columns, and where each row begins.

data [*batch, n, *dense], indices [*batch, n], indptr [*batch, rows + 1]; elements at and after
indptr[-1] are padding. Operations go by way of BCOO, whose row of an element is found in `indptr`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.experimental.sparse import coordinates
from fx.experimental.sparse.base import JAXSparse
from fx.experimental.sparse.coordinates import BCOO
from fx.tree_util import register_pytree_node_class
from fx.vmap import vmap


@register_pytree_node_class
class BCSR(JAXSparse):
    """A sparse array by rows.

    args: (data, indices, indptr); shape [*batch, rows, columns, *dense].

    >>> BCSR.fromdense(fnp.array([[0, 1, 2], [3, 0, 0]])).indptr.tolist()
    [0, 2, 3]
    """

    parts = ("data", "indices", "indptr")
    indptr: Any

    def _check(self) -> None:
        super()._check()
        if self.indptr.shape[-1] != self.shape[self.n_batch] + 1:
            raise ValueError(
                f"BCSR: indptr has {self.indptr.shape[-1]} entries for {self.shape[self.n_batch]} "
                "rows; it must have one more than there are rows"
            )

    n_batch = property(lambda self: self.indices.ndim - 1)
    n_sparse = property(lambda self: 2)
    n_dense = property(lambda self: self.data.ndim - self.indices.ndim)
    nse = property(lambda self: self.indices.shape[-1])

    @classmethod
    def from_bcoo(cls, arr: BCOO) -> BCSR:
        """Of coordinates: they are sorted by rows and counted."""
        if arr.n_sparse != 2:
            raise NotImplementedError(f"BCSR needs two sparse axes, got {arr.n_sparse}")
        rows, columns = arr.shape[arr.n_batch : arr.n_batch + 2]

        def compress(data: Any, indices: Any) -> Any:
            inside = fnp.all(indices < np.array([rows, columns], np.int32), axis=-1)
            key = fnp.where(inside, indices[:, 0], rows)
            order = fnp.lexsort((indices[:, 1], key))
            bounds = fnp.arange(rows + 1, dtype=indices.dtype)
            indptr = fnp.searchsorted(key[order], bounds).astype(indices.dtype)
            return data[order], fnp.where(inside, indices[:, 1], columns)[order], indptr

        lead = arr.shape[: arr.n_batch]
        data = fnp.broadcast_to(arr.data, (*lead, *arr.data.shape[arr.n_batch :]))
        indices = fnp.broadcast_to(arr.indices, (*lead, *arr.indices.shape[arr.n_batch :]))
        for _ in range(arr.n_batch):
            compress = vmap(compress)
        return cls(
            compress(data, indices), shape=arr.shape, indices_sorted=True,
            unique_indices=arr.unique_indices,
        )  # fmt: skip

    @classmethod
    def _of_scipy(cls, mat: Any, index_dtype: Any) -> BCSR:
        rows = mat.tocsr()
        parts = rows.data, rows.indices.astype(index_dtype), rows.indptr.astype(index_dtype)
        return cls(parts, shape=rows.shape, indices_sorted=rows.has_sorted_indices)

    def to_bcoo(self) -> BCOO:
        """The same elements by coordinates."""

        def coordinates(columns: Any, indptr: Any) -> Any:
            places = fnp.arange(columns.shape[0], dtype=indptr.dtype)
            rows = fnp.searchsorted(indptr, places, side="right") - 1
            return fnp.stack([rows.astype(columns.dtype), columns], axis=-1)

        for _ in range(self.n_batch):
            coordinates = vmap(coordinates)
        return BCOO(
            (self.data, coordinates(self.indices, self.indptr)), shape=self.shape,
            indices_sorted=self.indices_sorted, unique_indices=self.unique_indices,
        )  # fmt: skip

    def todense(self) -> Any:
        """The dense array."""
        return self.to_bcoo().todense()

    def sum_duplicates(self, nse: int | None = None, remove_zeros: bool = True) -> BCSR:
        """Each index stored once."""
        return bcsr_sum_duplicates(self, nse=nse)

    def transpose(self, axes: Sequence[int] | None = None) -> Any:
        """Not by rows: `to_bcoo().transpose()`, as in JAX."""
        raise NotImplementedError("transposition of BCSR; use to_bcoo().transpose(axes)")

    def __matmul__(self, other: Any) -> Any:
        return self.to_bcoo() @ other

    def __rmatmul__(self, other: Any) -> Any:
        return other @ self.to_bcoo()

    def __mul__(self, other: Any) -> BCSR:
        return self._with((self.to_bcoo() * other).data)

    __rmul__ = __mul__


def bcsr_fromdense(
    mat: Any,
    *,
    nse: int | None = None,
    n_batch: int = 0,
    n_dense: int = 0,
    index_dtype: Any = np.int32,
) -> BCSR:
    """The nonzero elements of a dense array, by rows: BCSR of its shape and dtype.

    nse: how many are stored in each batch, all unless given (under jit it must be); n_batch and
    n_dense: axes in front that are batches, axes behind that are stored whole.
    """
    options = {"n_batch": n_batch, "n_dense": n_dense, "index_dtype": index_dtype}
    return BCSR.fromdense(mat, nse=nse, **options)


def bcsr_todense(mat: BCSR) -> Any:
    """The dense array of its shape and dtype: equal indices add up, padding is dropped."""
    return mat.todense()


def bcsr_extract(indices: Any, indptr: Any, mat: Any) -> Any:
    """The values of a dense array at the places that indices and indptr name."""
    mat, indices = fnp.asarray(mat), fnp.asarray(indices)
    ones = fnp.ones((*indices.shape, *mat.shape[indices.ndim + 1 :]), mat.dtype)
    places = BCSR((ones, indices, indptr), shape=mat.shape).to_bcoo()
    return coordinates.bcoo_extract(places, mat).data


def bcsr_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """`lax.dot_general` where the first operand is BCSR and the second is dense: a dense array.

    dimension_numbers as there: ((contracted axes), (batch axes)), for both operands.
    """
    left = lhs.to_bcoo() if isinstance(lhs, BCSR) else lhs
    return coordinates.bcoo_dot_general(left, rhs, dimension_numbers=dimension_numbers)


def bcsr_concatenate(operands: Sequence[BCSR], *, dimension: int) -> BCSR:
    """BCSR arrays joined along the axis `dimension`; they agree in all others and in batch axes."""
    joined = coordinates.bcoo_concatenate([m.to_bcoo() for m in operands], dimension=dimension)
    return BCSR.from_bcoo(joined)


def bcsr_sum_duplicates(mat: BCSR, nse: int | None = None) -> BCSR:
    """Equal indices merged; under jit the number of stored elements stays unless nse is given."""
    return BCSR.from_bcoo(coordinates.bcoo_sum_duplicates(mat.to_bcoo(), nse=nse))
