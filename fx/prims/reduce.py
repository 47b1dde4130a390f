"""Reductions over axes: sum, prod, max, min, and, or, xor, argmax, argmin, and the generic monoid.

The axes disappear. Sums are linear; extrema share their derivative evenly among ties; the product's
derivative is right at zeros. Kernels fold in an order that depends on the shape alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating, is_inexact
from fx.core import Zero
from fx.prims import compare, shape
from fx.prims.convert import convert
from fx.prims.registry import (
    Case,
    any_dtype,
    bitwise,
    check_dtype,
    no,
    number,
    ordered,
    primitive,
    transpose_linear_operand,
)

# ---------------------------------------------------------------- functions for rules


def reduce_sum(x: Any, axes: Sequence[int]) -> Any:
    """The sum over `axes`, which disappear; x itself if there are none."""
    return reduce_sum_p.bind(x, axes=tuple(sorted(axes))) if axes else x


def reduce_prod(x: Any, axes: Sequence[int]) -> Any:
    return reduce_prod_p.bind(x, axes=tuple(sorted(axes))) if axes else x


def reduce_max(x: Any, axes: Sequence[int]) -> Any:
    return reduce_max_p.bind(x, axes=tuple(sorted(axes))) if axes else x


def reduce_min(x: Any, axes: Sequence[int]) -> Any:
    return reduce_min_p.bind(x, axes=tuple(sorted(axes))) if axes else x


def argmax(x: Any, axis: int, index_dtype: Any) -> Any:
    return argmax_p.bind(x, axes=(axis,), index_dtype=np.dtype(index_dtype))


def spread_back(y: Any, like: tuple[int, ...], axes: Sequence[int]) -> Any:
    """A reduced array repeated over the axes that were reduced."""
    return shape.broadcast_in_dim(y, like, [k for k in range(len(like)) if k not in axes])


# ---------------------------------------------------------------- what the reductions share


def _kept(x: ShapedArray, axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for k, n in enumerate(x.shape) if k not in axes)


def _abstract(name: str, accepts: Any) -> Any:
    def abstract(x: ShapedArray, *, axes: Any) -> ShapedArray:
        if not all(0 <= a < x.ndim for a in axes):
            raise ValueError(f"axis {axes} is out of bounds for array of dimension {x.ndim}")
        if len(set(axes)) != len(axes):
            raise ValueError(f"duplicate value in 'axes' of reduction: {axes}")
        check_dtype(name, x.dtype, accepts)
        return x.update(shape=_kept(x, axes))

    return abstract


def _batch(p_of: Any) -> Any:
    def batch(axis: Any, args: Any, dims: Any, *, axes: Any) -> Any:
        (x,), (d,) = args, dims
        moved = tuple(a + (a >= d) for a in axes)
        return p_of().bind(x, axes=moved), d - sum(a < d for a in moved)

    return batch


def _lower(op: str) -> Any:
    return lambda b, x, *, axes: b.reduce(op, x, axes)


def _cases(
    dtypes: Sequence[Any] = (np.float32,), near: Any = (-2.0, 2.0), bounded: bool = True
) -> Any:
    """`bounded`: of nothing it is a number, so that there are differences to take; extrema, which
    are not, have a case with a tie of two, where central differences are the mean as well.
    """
    tie = np.asarray([[1, 3, 3], [-1, -2, -2], [0, 0, 4]], np.float32)
    tied = [Case(((3, 3),), {"axes": (1,)}, ranges=(tie,), order=1)]
    return lambda: [
        Case((s,), {"axes": a}, (d,), (near,), None if bounded or s != (2, 0) else ())
        for d in dtypes
        for s, a in (
            ((2, 3, 4), (1,)), ((2, 3), (0, 1)), ((3,), (0,)), ((2, 3), ()), ((), ()),
            ((2, 0), (1,)), ((0, 3), (1,)),
        )
    ] + ([] if bounded else tied)  # fmt: skip


# ---------------------------------------------------------------- sum and product


def _sum_numpy(x: np.ndarray, *, axes: Any) -> Any:
    """16-bit floats accumulate in float32, integers wrap in their own dtype."""
    if x.dtype.itemsize == 2 and is_floating(x.dtype):
        return np.add.reduce(x, axes, np.float32)
    if x.dtype == bool:
        return np.any(x, axes)
    return np.add.reduce(x, axes, x.dtype)


def _sum_numpy_of(avals: Any, params: Any) -> Any:
    dtype = avals[0].dtype
    if dtype.itemsize == 2 or dtype.kind not in "iuf":
        return None
    return np.add.reduce, params["axes"], dtype


reduce_sum_p = primitive(
    "reduce_sum",
    "The sum over some axes.",
    abstract=_abstract("reduce_sum", number),
    numpy=_sum_numpy,
    numpy_of=_sum_numpy_of,
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval, *, axes: spread_back(ct, aval.shape, axes)),
    batch=_batch(lambda: reduce_sum_p),
    lower=_lower("add"),
    cases=_cases((np.float32, np.int32)),
)


def _prod_numpy(x: np.ndarray, *, axes: Any) -> Any:
    if x.dtype.itemsize == 2 and is_floating(x.dtype):
        return np.prod(x, axes, dtype=np.float32)
    return np.prod(x, axes, dtype=x.dtype)


def _prod_jvp(primals: Any, tangents: Any, *, axes: Any) -> Any:
    """sum_k t_k prod_{j != k} x_j; products of the others come from running ones on both sides.

    Right at zeros, where prod / x_k would be 0 / 0.
    """
    from fx.prims import cumulative

    (x,), (t,) = primals, tangents
    out = reduce_prod_p.bind(x, axes=axes)
    if type(t) is Zero:
        return out, Zero.like(out)
    aval = core.get_aval(x)
    kept = [k for k in range(aval.ndim) if k not in axes]
    sizes = [aval.shape[k] for k in kept]
    row = prod(aval.shape[a] for a in axes)
    if row == 0 or not axes:
        return out, t if not axes else core.zeros_like_aval(core.get_aval(out).strip_weak_type())
    x, t = (shape.reshape(shape.transpose(v, (*kept, *axes)), (*sizes, row)) for v in (x, t))
    last = len(sizes)
    one = core.get_aval(x).dtype.type(1)
    edge = ((0, 0, 0),) * last
    before = shape.pad(x, one, (*edge, (1, -1, 0)))
    after = shape.pad(x, one, (*edge, (-1, 1, 0)))
    others = cumulative.cumprod(before, last) * cumulative.cumprod(after, last, reverse=True)
    return out, reduce_sum(t * others, (last,))


reduce_prod_p = primitive(
    "reduce_prod",
    "The product over some axes.",
    abstract=_abstract("reduce_prod", number),
    numpy=_prod_numpy,
    jvp=_prod_jvp,
    transpose=no("it is not linear"),
    batch=_batch(lambda: reduce_prod_p),
    lower=_lower("mul"),
    cases=lambda: [
        *_cases((np.float32, np.int32))(),
        Case(((4,),), {"axes": (0,)}, ranges=(np.asarray([2, 0, 3, 0.5], np.float32),)),
        Case(((4,),), {"axes": (0,)}, ranges=(np.asarray([2, 0, 0, 0.5], np.float32),)),
    ],
)

# ---------------------------------------------------------------- extrema


def lowest(dtype: np.dtype) -> Any:
    """The identity of max: -inf, the least integer, False."""
    if dtype.kind == "b":
        return False
    if is_inexact(dtype):
        return -np.inf
    return np.iinfo(dtype).min


def highest(dtype: np.dtype) -> Any:
    """The identity of min: inf, the largest integer, True."""
    if dtype.kind == "b":
        return True
    if is_inexact(dtype):
        return np.inf
    return np.iinfo(dtype).max


def _extremum_numpy(fold: Any, identity: Any) -> Any:
    def rule(x: np.ndarray, *, axes: Any) -> np.ndarray:
        if x.dtype.kind == "c" and x.size:
            return _complex_extremum(fold, x, axes)
        if x.size:
            return fold.reduce(x, axes)
        return fold.reduce(x, axes, initial=np.asarray(identity(x.dtype)).astype(x.dtype)[()])

    return rule


def _extremum_numpy_of(fold: Any) -> Any:
    return lambda avals, params: (fold.reduce, params["axes"]) if avals[0].size else None


def _complex_extremum(fold: Any, x: np.ndarray, axes: Any) -> np.ndarray:
    """NumPy's own order of complex numbers is the lexicographic one."""
    return fold.reduce(x, axes)


def _extremum_jvp(p_of: Any) -> Any:
    """The mean tangent of the places where the extremum is reached."""

    def jvp(primals: Any, tangents: Any, *, axes: Any) -> Any:
        (x,), (t,) = primals, tangents
        out = p_of().bind(x, axes=axes)
        if type(t) is Zero:
            return out, Zero.like(out)
        like = shape.shape_of(x)
        here = convert(compare.eq(x, spread_back(out, like, axes)), core.get_aval(x).dtype)
        return out, reduce_sum(t * here, axes) / reduce_sum(here, axes)

    return jvp


reduce_max_p = primitive(
    "reduce_max",
    "The maximum over some axes; NaN wins; ties share the derivative evenly.",
    abstract=_abstract("reduce_max", any_dtype),
    numpy=_extremum_numpy(np.maximum, lowest),
    numpy_of=_extremum_numpy_of(np.maximum),
    jvp=_extremum_jvp(lambda: reduce_max_p),
    transpose=no("it is not linear"),
    batch=_batch(lambda: reduce_max_p),
    lower=_lower("max"),
    cases=_cases((np.float32, np.int32), bounded=False),
)
reduce_min_p = primitive(
    "reduce_min",
    "The minimum over some axes; NaN wins; ties share the derivative evenly.",
    abstract=_abstract("reduce_min", any_dtype),
    numpy=_extremum_numpy(np.minimum, highest),
    numpy_of=_extremum_numpy_of(np.minimum),
    jvp=_extremum_jvp(lambda: reduce_min_p),
    transpose=no("it is not linear"),
    batch=_batch(lambda: reduce_min_p),
    lower=_lower("min"),
    cases=_cases((np.float32, np.int32), bounded=False),
)

# ---------------------------------------------------------------- bits


def _bits(name: str, doc: str, fold: Any, op: str) -> Any:
    p = primitive(
        name,
        doc,
        abstract=_abstract(name, bitwise),
        numpy=lambda x, *, axes: fold.reduce(x, axes, dtype=x.dtype),
        jvp="zero",
        transpose=no("it is not linear"),
        batch=_batch(lambda: p),
        lower=_lower(op),
        cases=_cases((np.int32, np.bool_), (0, 9)),
    )
    return p


reduce_and_p = _bits("reduce_and", "Bitwise and over some axes.", np.bitwise_and, "and")
reduce_or_p = _bits("reduce_or", "Bitwise or over some axes.", np.bitwise_or, "or")
reduce_xor_p = _bits("reduce_xor", "Bitwise exclusive or over some axes.", np.bitwise_xor, "xor")

# ---------------------------------------------------------------- argmax, argmin


def _check_indices(name: str, size: int, dtype: np.dtype) -> None:
    """Raise OverflowError unless the dtype holds every index of so many elements."""
    if size - 1 > np.iinfo(dtype).max:
        raise OverflowError(
            f"{name} over {size} elements has indices that {dtype.name} does not hold; ask for a "
            "wider index_dtype (int64 needs enable_x64)."
        )


def _arg(name: str, doc: str, find: Any, op: str) -> Any:
    def abstract(x: ShapedArray, *, axes: Any, index_dtype: Any) -> ShapedArray:
        (axis,) = axes
        check_dtype(name, x.dtype, ordered)
        if not 0 <= axis < x.ndim:
            raise ValueError(f"Invalid axis {axis} for operand shape {x.shape}")
        if x.shape[axis] < 1:
            raise ValueError(f"{name} requires non-empty reduced dimension, got shape {x.shape}")
        if np.dtype(index_dtype).kind not in "iu":
            raise TypeError(f"index_dtype must be an integer type, but got {index_dtype}.")
        _check_indices(name, x.shape[axis], np.dtype(index_dtype))
        return ShapedArray(_kept(x, axes), index_dtype)

    def numpy_of(avals: Any, params: Any) -> Any:
        return None if avals[0].dtype.kind == "V" else (find, *params["axes"])

    def numpy(x: np.ndarray, *, axes: Any, index_dtype: Any) -> np.ndarray:
        if x.dtype.kind == "V":  # ml_dtypes have no ordering of NaN in argmax
            x = x.astype(np.float32)
        return find(x, axes[0]).astype(index_dtype)

    def batch(axis: Any, args: Any, dims: Any, *, axes: Any, index_dtype: Any) -> Any:
        (x,), (d,) = args, dims
        (a,) = axes
        a += a >= d
        return p.bind(x, axes=(a,), index_dtype=index_dtype), d - (a < d)

    p = primitive(
        name,
        doc,
        abstract=abstract,
        numpy=numpy,
        numpy_of=numpy_of,
        jvp="zero",
        transpose=no("its derivative is zero everywhere"),
        batch=batch,
        lower=lambda b, x, *, axes, index_dtype: b.argreduce(op, x, axes[0], index_dtype),
        limits={"0-d": "it looks along an axis"},
        cases=lambda: (
            [
                Case(((3, 4),), {"axes": (a,), "index_dtype": np.dtype(np.int32)}, (d,))
                for a in (0, 1)
                for d in (np.float32, np.int32)
            ]
            + [Case(((0, 4),), {"axes": (1,), "index_dtype": np.dtype(np.int32)})]
            + [
                Case(
                    ((5,),),
                    {"axes": (0,), "index_dtype": np.dtype(np.int32)},
                    ranges=(np.asarray([1, 3, np.nan, 3, np.nan], np.float32),),
                    diff=(),
                )
            ]
        ),
    )
    return p


argmax_p = _arg("argmax", "Index of the first maximum along an axis; NaN wins.", np.argmax, "max")
argmin_p = _arg("argmin", "Index of the first minimum along an axis; NaN wins.", np.argmin, "min")

# ---------------------------------------------------------------- the generic reduction


def reduce_generic(
    xs: Sequence[Any], inits: Sequence[Any], combine: Any, dims: Sequence[int]
) -> list[Any]:
    """Fold several operands together with an associative `combine(*x, *y)` of equal shapes.

    Written as log2(n) applications to neighbours, in whose order the elements stay, so that every
    transformation knows it already.
    """
    dims = tuple(sorted(dims))
    like = shape.shape_of(xs[0])
    kept = [k for k in range(len(like)) if k not in dims]
    sizes = tuple(like[k] for k in kept)
    n = prod(like[d] for d in dims)
    inits = [shape.broadcast_in_dim(i, sizes, ()) for i in inits]
    if n == 0:
        return inits
    rows = [shape.reshape(shape.transpose(x, (*dims, *kept)), (n, *sizes)) for x in xs]
    while n > 1:
        half = n // 2
        even, odd = ([shape.slice_in_dim(r, k, 2 * half, 2) for r in rows] for k in (0, 1))
        merged = list(combine(*even, *odd))
        if n % 2:
            last = [shape.slice_in_dim(r, 2 * half, n) for r in rows]
            merged = [shape.concatenate(pair, 0) for pair in zip(merged, last)]
        rows, n = merged, half + n % 2
    return list(combine(*inits, *(shape.reshape(r, sizes) for r in rows)))
