"""Primitives that move elements without computing: reshape, transpose, broadcast, squeeze, reverse,
iota; parts.py has those that cut and join. All but iota are linear; kernels see index arithmetic.

The functions (`reshape(x, shape)`, ...) serve the rules of all families and skip what does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero
from fx.prims.parts import concatenate, pad, slice_, slice_in_dim
from fx.prims.registry import Case, no, primitive, transpose_linear_operand

__all__ = [
    "broadcast_in_dim",
    "broadcast_new_axis",
    "concatenate",
    "expand_dims",
    "full",
    "iota",
    "move_axis",
    "pad",
    "reshape",
    "rev",
    "shape_of",
    "slice_",
    "slice_in_dim",
    "squeeze",
    "transpose",
]

# ---------------------------------------------------------------- functions for rules


def shape_of(x: Any) -> tuple[int, ...]:
    return core.get_aval(x).shape


def reshape(x: Any, shape: Sequence[int]) -> Any:
    """x in another shape, row-major."""
    shape = tuple(map(int, shape))
    return x if shape_of(x) == shape else reshape_p.bind(x, new_sizes=shape, dimensions=None)


def transpose(x: Any, permutation: Sequence[int]) -> Any:
    """Axis k of the result is axis permutation[k] of x."""
    permutation = tuple(map(int, permutation))
    if permutation == tuple(range(len(permutation))):
        return x
    return transpose_p.bind(x, permutation=permutation)


def broadcast_in_dim(x: Any, shape: Sequence[int], dims: Sequence[int]) -> Any:
    """x spread over `shape`; its axis k becomes axis dims[k]."""
    shape, dims = tuple(map(int, shape)), tuple(map(int, dims))
    if shape_of(x) == shape and dims == tuple(range(len(shape))) and not np.isscalar(x):
        return x
    return broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=dims)


def full(shape: Sequence[int], value: Any, dtype: Any) -> Any:
    """An array of one value."""
    return broadcast_in_dim(np.dtype(dtype).type(value), shape, ())


def squeeze(x: Any, dims: Sequence[int]) -> Any:
    """x without the axes `dims`, which have size 1."""
    return squeeze_p.bind(x, dimensions=tuple(sorted(dims))) if dims else x


def expand_dims(x: Any, dims: Sequence[int]) -> Any:
    """x with new axes of size 1 at the places `dims` of the result."""
    if not dims:
        return x
    rank = len(shape_of(x)) + len(dims)
    kept = [k for k in range(rank) if k not in dims]
    shape = [1] * rank
    for k, n in zip(kept, shape_of(x), strict=True):
        shape[k] = n
    return broadcast_in_dim(x, shape, kept)


def rev(x: Any, dims: Sequence[int]) -> Any:
    """x reversed along `dims`."""
    return rev_p.bind(x, dimensions=tuple(dims)) if dims else x


def iota(dtype: Any, shape: Sequence[int], dimension: int) -> Any:
    """The index along `dimension`."""
    return iota_p.bind(dtype=np.dtype(dtype), shape=tuple(shape), dimension=int(dimension))


def move_axis(x: Any, src: int, dst: int) -> Any:
    """x with axis `src` moved to place `dst`."""
    if src == dst:
        return x
    rest = [k for k in range(len(shape_of(x))) if k != src]
    return transpose(x, (*rest[:dst], src, *rest[dst:]))


def broadcast_new_axis(x: Any, dim: int, size: int) -> Any:
    """x repeated along a new axis at place `dim`."""
    shape = shape_of(x)
    dims = [k for k in range(len(shape) + 1) if k != dim]
    return broadcast_in_dim(x, (*shape[:dim], size, *shape[dim:]), dims)


def _zeros_like_aval(aval: ShapedArray) -> Any:
    zero = aval.dtype.type(0)
    return broadcast_in_dim(zero, aval.shape, ()) if aval.shape else zero


core.install("zeros_like_aval", _zeros_like_aval)
core.install("move_axis", move_axis)
core.install("broadcast_new_axis", broadcast_new_axis)

# ---------------------------------------------------------------- reshape, transpose


def _reshape_abstract(x: ShapedArray, *, new_sizes: Any, dimensions: Any) -> ShapedArray:
    if any(n < 0 for n in new_sizes):
        raise TypeError(f"reshape new_sizes must all be positive, got {new_sizes}.")
    if prod(new_sizes) != x.size:
        raise TypeError(
            f"reshape total size must be unchanged, got new_sizes {new_sizes} (of total size "
            f"{prod(new_sizes)}) for shape {x.shape} (of total size {x.size})."
        )
    return x.update(shape=new_sizes)


def _reshape_batch(axis: Any, args: Any, dims: Any, *, new_sizes: Any, dimensions: Any) -> Any:
    x = move_axis(args[0], dims[0], 0)
    return reshape(x, (axis.size, *new_sizes)), 0


reshape_p = primitive(
    "reshape",
    "The same elements, row by row, in another shape.",
    abstract=_reshape_abstract,
    numpy=lambda x, *, new_sizes, dimensions: np.reshape(x, new_sizes),
    numpy_of=lambda avals, params: (np.ndarray.reshape, params["new_sizes"]),
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval, **params: reshape(ct, aval.shape)),
    batch=_reshape_batch,
    lower=lambda b, x, *, new_sizes, dimensions: b.reshape(x, new_sizes),
    cases=lambda: [
        Case(((2, 6),), {"new_sizes": (3, 4), "dimensions": None}),
        Case(((),), {"new_sizes": (1, 1), "dimensions": None}),
        Case(((0, 3),), {"new_sizes": (3, 0, 2), "dimensions": None}),
    ],
)


def _transpose_abstract(x: ShapedArray, *, permutation: Any) -> ShapedArray:
    if sorted(permutation) != list(range(x.ndim)):
        raise TypeError(
            f"transpose permutation isn't a permutation of operand dimensions, got permutation "
            f"{permutation} for operand shape {x.shape}."
        )
    return x.update(shape=tuple(x.shape[k] for k in permutation))


def _transpose_batch(axis: Any, args: Any, dims: Any, *, permutation: Any) -> Any:
    (x,), (d,) = args, dims
    return transpose(x, (d, *(k + (k >= d) for k in permutation))), 0


transpose_p = primitive(
    "transpose",
    "The operand with its axes permuted.",
    abstract=_transpose_abstract,
    numpy=lambda x, *, permutation: np.transpose(x, permutation),
    numpy_of=lambda avals, params: (np.ndarray.transpose, params["permutation"]),
    jvp="linear",
    transpose=transpose_linear_operand(
        lambda ct, aval, *, permutation: transpose(ct, np.argsort(permutation).tolist())
    ),
    batch=_transpose_batch,
    lower=lambda b, x, *, permutation: b.transpose(x, permutation),
    cases=lambda: [
        Case(((2, 3, 4),), {"permutation": (2, 0, 1)}),
        Case(((2, 0),), {"permutation": (1, 0)}),
        Case(((),), {"permutation": ()}),
    ],
)

# ---------------------------------------------------------------- broadcast_in_dim, squeeze


def _broadcast_abstract(x: ShapedArray, *, shape: Any, broadcast_dimensions: Any) -> ShapedArray:
    dims = broadcast_dimensions
    if len(dims) != x.ndim:
        raise TypeError(
            "broadcast_in_dim broadcast_dimensions must have length equal to operand ndim; got "
            f"broadcast_dimensions {dims} for operand ndim {x.ndim}."
        )
    if any(d < 0 or d >= len(shape) for d in dims):
        raise TypeError(
            "broadcast_in_dim broadcast_dimensions must be a subset of output dimensions, got "
            f"{dims} for operand ndim {x.ndim} and shape {shape}."
        )
    if any(n not in (1, shape[d]) for n, d in zip(x.shape, dims)):
        raise TypeError(
            "broadcast_in_dim operand dimension sizes must either be 1, or be equal to their "
            f"corresponding dimensions in the target broadcast shape; got operand of shape "
            f"{x.shape}, target broadcast shape {shape}, broadcast_dimensions {dims}."
        )
    if any(a >= b for a, b in pairwise(dims)):
        raise TypeError(
            f"broadcast_in_dim broadcast_dimensions must be strictly increasing; got {dims}."
        )
    return x.update(shape=shape)


def _broadcast_numpy(x: np.ndarray, *, shape: Any, broadcast_dimensions: Any) -> np.ndarray:
    if prod(shape) == x.size:  # only axes of size 1 are new
        return x.reshape(shape)
    strides = [0] * len(shape)
    for n, d, step in zip(x.shape, broadcast_dimensions, x.strides):
        strides[d] = step if n == shape[d] else 0
    if not x.flags.c_contiguous or x.size == 0 or x.dtype.hasobject:
        spread = [1] * len(shape)
        for n, d in zip(x.shape, broadcast_dimensions):
            spread[d] = n
        return np.broadcast_to(x.reshape(spread), shape)
    out = np.ndarray(shape, x.dtype, x, 0, strides)  # 0.6 us where np.broadcast_to takes 4
    out.flags.writeable = False
    return out


def _broadcast_numpy_of(avals: Any, params: Any) -> Any:
    shape = params["shape"]
    return (np.ndarray.reshape, shape) if prod(shape) == avals[0].size else None


def _broadcast_transpose(ct: Any, aval: Any, *, shape: Any, broadcast_dimensions: Any) -> Any:
    from fx.prims.reduce import reduce_sum

    stretched = [d for n, d in zip(aval.shape, broadcast_dimensions) if n == 1 and shape[d] != 1]
    new = [k for k in range(len(shape)) if k not in broadcast_dimensions]
    return reshape(reduce_sum(ct, (*new, *stretched)), aval.shape)


def _broadcast_batch(
    axis: Any, args: Any, dims: Any, *, shape: Any, broadcast_dimensions: Any
) -> Any:
    x = move_axis(args[0], dims[0], 0)
    to = (0, *(d + 1 for d in broadcast_dimensions))
    return broadcast_in_dim(x, (axis.size, *shape), to), 0


broadcast_in_dim_p = primitive(
    "broadcast_in_dim",
    "The operand repeated along new axes and along its axes of size 1.",
    abstract=_broadcast_abstract,
    numpy=_broadcast_numpy,
    numpy_of=_broadcast_numpy_of,
    jvp="linear",
    transpose=transpose_linear_operand(_broadcast_transpose),
    batch=_broadcast_batch,
    lower=lambda b, x, *, shape, broadcast_dimensions: b.broadcast(x, shape, broadcast_dimensions),
    cases=lambda: [
        Case(((3,),), {"shape": (2, 3), "broadcast_dimensions": (1,)}),
        Case(((2, 1),), {"shape": (2, 4, 3), "broadcast_dimensions": (0, 2)}),
        Case(((),), {"shape": (2,), "broadcast_dimensions": ()}),
        Case(((0, 1),), {"shape": (0, 3), "broadcast_dimensions": (0, 1)}),
    ],
)


def _squeeze_abstract(x: ShapedArray, *, dimensions: Any) -> ShapedArray:
    if any(x.shape[d] != 1 for d in dimensions):
        raise ValueError(
            "cannot select an axis to squeeze out which has size not equal to one, got "
            f"shape={x.shape} and dimensions={dimensions}"
        )
    return x.update(shape=tuple(n for k, n in enumerate(x.shape) if k not in dimensions))


def _squeeze_batch(axis: Any, args: Any, dims: Any, *, dimensions: Any) -> Any:
    x = move_axis(args[0], dims[0], 0)
    return squeeze_p.bind(x, dimensions=tuple(d + 1 for d in dimensions)), 0


squeeze_p = primitive(
    "squeeze",
    "The operand without some axes of size 1.",
    abstract=_squeeze_abstract,
    numpy=lambda x, *, dimensions: np.squeeze(x, dimensions),
    numpy_of=lambda avals, params: (np.ndarray.squeeze, params["dimensions"]),
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval, *, dimensions: expand_dims(ct, dimensions)),
    batch=_squeeze_batch,
    lower=lambda b, x, *, dimensions: b.reshape(
        x, tuple(n for k, n in enumerate(x.shape) if k not in dimensions)
    ),
    cases=lambda: [
        Case(((1, 3, 1),), {"dimensions": (0, 2)}),
        Case(((1,),), {"dimensions": (0,)}),
        Case(((0, 1),), {"dimensions": (1,)}),
        Case(((),), {"dimensions": ()}),
    ],
)

# ---------------------------------------------------------------- reverse


def _rev_abstract(x: ShapedArray, *, dimensions: Any) -> ShapedArray:
    if len(set(dimensions)) != len(dimensions) or any(d >= x.ndim for d in dimensions):
        raise TypeError(
            f"rev dimensions must be distinct axes of the operand, got {dimensions} for operand "
            f"shape {x.shape}."
        )
    return x


def _rev_batch(axis: Any, args: Any, dims: Any, *, dimensions: Any) -> Any:
    (x,), (d,) = args, dims
    return rev_p.bind(x, dimensions=tuple(k + (k >= d) for k in dimensions)), d


rev_p = primitive(
    "rev",
    "The operand reversed along some axes.",
    abstract=_rev_abstract,
    numpy=lambda x, *, dimensions: np.flip(x, dimensions),
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval, *, dimensions: rev(ct, dimensions)),
    batch=_rev_batch,
    lower=lambda b, x, *, dimensions: b.reverse(x, dimensions),
    cases=lambda: [
        Case((s,), {"dimensions": d})
        for s, d in (((2, 3), (1,)), ((2, 3), (0, 1)), ((2, 0), (0, 1)), ((), ()))
    ],
)

# ---------------------------------------------------------------- iota


def _iota_numpy(*, dtype: Any, shape: Any, dimension: int) -> np.ndarray:
    line = np.arange(shape[dimension]).astype(dtype)
    return _broadcast_numpy(line, shape=shape, broadcast_dimensions=(dimension,))


def _iota_abstract(*, dtype: Any, shape: Any, dimension: int) -> ShapedArray:
    if not 0 <= dimension < len(shape):
        raise ValueError(f"iota dimension must be between 0 and {len(shape)}, got {dimension}.")
    return ShapedArray(shape, dtype)


iota_p = primitive(
    "iota",
    "The index along one axis.",
    abstract=_iota_abstract,
    numpy=_iota_numpy,
    jvp=lambda primals, tangents, **params: (lambda out: (out, Zero.like(out)))(
        iota_p.bind(**params)
    ),
    transpose=no("it has no operands"),
    batch=no("it has no operands"),
    lower=lambda b, *, dtype, shape, dimension: b.iota(shape, dimension, dtype),
    cases=lambda: [
        Case((), {"dtype": np.dtype(np.int32), "shape": (2, 3), "dimension": 1}),
        Case((), {"dtype": np.dtype(np.float32), "shape": (3,), "dimension": 0}),
    ],
)
