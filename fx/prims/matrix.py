"""Small functions on stacks of matrices that the derivative rules of the factorisations are
written in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.core import PRIMITIVES
from fx.prims import compare, elementwise, shape


def transposed(x: Any) -> Any:
    """The last two axes exchanged."""
    n = core.get_aval(x).ndim
    return shape.transpose(x, (*range(n - 2), n - 1, n - 2))


def conj(x: Any) -> Any:
    """The complex conjugate; a real array is itself."""
    return PRIMITIVES["conj"].bind(x, input_dtype=core.get_aval(x).dtype) if is_complex(x) else x


def is_complex(x: Any) -> bool:
    return core.get_aval(x).dtype.kind == "c"


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return conj(transposed(x))


def real(x: Any) -> Any:
    """The real part; a real array is itself."""
    return PRIMITIVES["real"].bind(x) if is_complex(x) else x


def matmul(x: Any, y: Any) -> Any:
    """Product over stacks of equal leading axes."""
    n = core.get_aval(x).ndim
    batch = tuple(range(n - 2))
    return PRIMITIVES["dot_general"].bind(
        x,
        y,
        dimension_numbers=(((n - 1,), (n - 2,)), (batch, batch)),
        precision=None,
        preferred_element_type=core.get_aval(x).dtype,
    )


def _index_difference(x: Any) -> Any:
    """Row index minus column index, over the shape of x."""
    s = core.get_aval(x).shape
    i32 = np.dtype(np.int32)
    return elementwise.sub(shape.iota(i32, s, len(s) - 2), shape.iota(i32, s, len(s) - 1))


def _where(keep: Any, x: Any) -> Any:
    return compare.select(keep, x, core.zeros_like_aval(core.get_aval(x)))


def tril(x: Any, k: int = 0) -> Any:
    """The part on and below the k-th diagonal."""
    return _where(compare.ge(_index_difference(x), np.int32(-k)), x)


def triu(x: Any, k: int = 0) -> Any:
    """The part on and above the k-th diagonal."""
    return _where(compare.le(_index_difference(x), np.int32(-k)), x)


def identity_like(x: Any) -> Any:
    """Identity matrices in the shape and dtype of x (ones on the main diagonal if it is not
    square).
    """
    aval = core.get_aval(x)
    ones = shape.full(aval.shape, 1, aval.dtype)
    return _where(compare.eq(_index_difference(x), np.int32(0)), ones)


def diagonal(x: Any) -> Any:
    """The main diagonals of square matrices [..., n, n], as [..., n]."""
    n = core.get_aval(x).ndim
    masked = _where(compare.eq(_index_difference(x), np.int32(0)), x)
    return PRIMITIVES["reduce_sum"].bind(masked, axes=(n - 1,))


def column(x: Any) -> Any:
    """[..., n] as [..., n, 1]."""
    return shape.expand_dims(x, (core.get_aval(x).ndim,))


def row(x: Any) -> Any:
    """[..., n] as [..., 1, n]."""
    return shape.expand_dims(x, (core.get_aval(x).ndim - 1,))


def grow(x: Any, like: Any) -> Any:
    """x broadcast along its axes of size 1 to the shape of `like`."""
    s = core.get_aval(like).shape
    return shape.broadcast_in_dim(x, s, range(len(s)))


def columns(x: Any, start: int, stop: int) -> Any:
    """x[..., start:stop]."""
    return shape.slice_in_dim(x, start, stop, axis=core.get_aval(x).ndim - 1)


def rows(x: Any, start: int, stop: int) -> Any:
    """x[..., start:stop, :]."""
    return shape.slice_in_dim(x, start, stop, axis=core.get_aval(x).ndim - 2)
