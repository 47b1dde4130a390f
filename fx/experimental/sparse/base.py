"""What the sparse formats have in common: arrays of numbers that stand for one array, as a node of
trees.

Arrays are leaves; the shape, and what is known of the order of the indices, are structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from fx import numpy as fnp


class JAXSparse:
    """Base of sparse arrays: a shape, stored values, and `todense`."""

    __array_priority__ = 200  # NumPy's arrays leave operators to us
    parts: ClassVar[tuple[str, ...]]  # the names of the arrays, stored values first
    shape: tuple[int, ...]
    data: Any
    indices: Any
    indices_sorted: bool
    unique_indices: bool
    ndim = property(lambda self: len(self.shape), doc="The number of axes.")
    size = property(
        lambda self: int(np.prod(self.shape, dtype=np.int64)),
        doc="The number of elements, stored or not.",
    )
    dtype = property(lambda self: self.data.dtype, doc="The dtype of the stored values.")

    def __init__(
        self,
        args: Sequence[Any],
        *,
        shape: Sequence[int],
        indices_sorted: bool = False,
        unique_indices: bool = False,
    ):
        for name, x in zip(self.parts, args, strict=True):
            setattr(self, name, fnp.asarray(x))
        self.shape = tuple(shape)
        self.indices_sorted, self.unique_indices = indices_sorted, unique_indices
        self._check()

    def _check(self) -> None:
        if self.n_batch + self.n_sparse + self.n_dense != len(self.shape):
            raise ValueError(
                f"{type(self).__name__}: data {self.data.shape} and indices {self.indices.shape} "
                f"do not describe an array of shape {self.shape}"
            )

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self.shape))
        return f"{type(self).__name__}({self.dtype.name}[{sizes}], nse={self.nse})"

    @property
    def nse(self) -> int:
        """The number of stored elements (of each batch entry)."""
        raise NotImplementedError

    @property
    def n_batch(self) -> int:
        """The number of leading axes, each entry of which stores its own elements."""
        raise NotImplementedError

    @property
    def n_sparse(self) -> int:
        """The number of axes that indices point into."""
        raise NotImplementedError

    @property
    def n_dense(self) -> int:
        """The number of trailing axes, which are stored whole."""
        raise NotImplementedError

    def todense(self) -> Any:
        """The dense array, of `shape` and the dtype of the stored values."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.shape[0]

    def __neg__(self) -> Self:
        return self._with(-self.data)

    # ------------------------------------------------ made of other arrays

    @classmethod
    def fromdense(
        cls,
        mat: Any,
        *,
        nse: int | None = None,
        index_dtype: Any = np.int32,
        n_dense: int = 0,
        n_batch: int = 0,
    ) -> Self:
        """The sparse form of a dense array; under jit `nse` says how much to store."""
        from fx.experimental.sparse.coordinates import bcoo_fromdense

        options = {"n_batch": n_batch, "n_dense": n_dense, "index_dtype": index_dtype}
        return cls.from_bcoo(bcoo_fromdense(mat, nse=nse, **options))

    @classmethod
    def from_bcoo(cls, arr: Any) -> Self:
        """The same array from its coordinates (BCOO)."""
        raise NotImplementedError

    @classmethod
    def from_scipy_sparse(
        cls, mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0
    ) -> Self:
        """Of a SciPy sparse matrix; int32 indices unless index_dtype is given. NotImplementedError
        for n_dense or n_batch.
        """
        if n_dense or n_batch:
            raise NotImplementedError(f"{cls.__name__}.from_scipy_sparse with n_dense or n_batch")
        return cls._of_scipy(mat, index_dtype or np.int32)

    @classmethod
    def _of_scipy(cls, mat: Any, index_dtype: Any) -> Self:
        raise NotImplementedError

    def _with(self, data: Any) -> Self:
        _, *places = self.tree_flatten()[0]
        flags = {"indices_sorted": self.indices_sorted, "unique_indices": self.unique_indices}
        return type(self)((data, *places), shape=self.shape, **flags)

    # ------------------------------------------------ a node of trees

    def tree_flatten(self) -> Any:
        """The arrays are leaves; the shape is structure."""
        flags = (self.indices_sorted, self.unique_indices)
        return tuple(getattr(self, name) for name in self.parts), (self.shape, *flags)

    @classmethod
    def tree_unflatten(cls, aux: Any, children: Any) -> Self:
        """Rebuild without checks: leaves may be anything."""
        out = object.__new__(cls)
        for name, x in zip(cls.parts, children, strict=True):
            setattr(out, name, x)
        out.shape, out.indices_sorted, out.unique_indices = aux
        return out
