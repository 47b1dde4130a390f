"""The functions of fx.numpy.linalg that need no factorisation: products, diagonals, traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fx.core import get_aval
from fx.numpy import diagonals, products
from fx.numpy import manipulation as m
from fx.numpy.contraction import einsum
from fx.numpy.creation import asarray
from fx.numpy.products import matmul, tensordot, vecdot
from fx.numpy.util import check_arraylike

__all__ = [
    "cross",
    "diagonal",
    "matmul",
    "matrix_transpose",
    "multi_dot",
    "outer",
    "tensordot",
    "trace",
    "vecdot",
]


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Any:
    """The product of a chain of matrices in the cheapest order, by opt_einsum; the first and the
    last may be vectors. ValueError for fewer than two and where shapes do not fit.
    """
    members = list(arrays)
    if len(members) < 2:
        raise ValueError("fx.numpy.linalg.multi_dot requires at least two matrices/vectors")
    members = [asarray(x) for x in members]
    shapes = [x.shape for x in members]
    if any(len(s) != 2 for s in shapes[1:-1]):
        raise ValueError(
            "fx.numpy.linalg.multi_dot: input arrays must all be two-dimensional, apart from the "
            "first and last; got array shapes "
            f"{shapes}"
        )
    labels = [chr(97 + k) for k in range(len(members) + 1)]
    terms = [labels[k] + labels[k + 1] for k in range(len(members))]
    if len(shapes[0]) == 1:
        terms[0] = labels[1]
    if len(shapes[-1]) == 1:
        terms[-1] = labels[-2]
    for k in range(len(shapes) - 1):
        if shapes[k][-1] != shapes[k + 1][0]:
            raise ValueError(
                "fx.numpy.linalg.multi_dot: last dimension of each array must match first "
                f"dimension of following array; got {shapes}"
            )
    output = ("" if len(shapes[0]) == 1 else labels[0]) + (
        "" if len(shapes[-1]) == 1 else labels[-1]
    )
    return einsum(",".join(terms) + "->" + output, *members, optimize="auto", precision=precision)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped: [..., m, n] as [..., n, m]. ValueError for fewer than two."""
    return m.matrix_transpose(x)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The offset-th diagonals of matrices [..., m, n] as the last axis. ValueError for fewer than
    two axes.
    """
    return diagonals.diagonal(x, offset=offset, axis1=-2, axis2=-1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sums of the `offset`-th diagonals of matrices [..., m, n]: [...]. Dtypes as in sum."""
    return diagonals.trace(x, offset=offset, axis1=-2, axis2=-1, dtype=dtype)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three components along an axis (ValueError for others), other
    axes broadcast.
    """
    check_arraylike("linalg.cross", x1, x2)
    lengths = [get_aval(x).shape[axis] for x in (x1, x2)]
    if lengths != [3, 3]:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they have "
            f"{lengths[0]} and {lengths[1]} components along axis {axis}"
        )
    return products.cross(x1, x2, axis=axis)


def outer(x1: Any, x2: Any, /) -> Any:
    """x1[i] * x2[j] of vectors [m] and [n]: [m, n]. ValueError for other than vectors."""
    check_arraylike("linalg.outer", x1, x2)
    ranks = [get_aval(x).ndim for x in (x1, x2)]
    if ranks != [1, 1]:
        raise ValueError(
            f"Input arrays must be one-dimensional, but they have {ranks[0]} and {ranks[1]} axes"
        )
    return products.outer(x1, x2)
