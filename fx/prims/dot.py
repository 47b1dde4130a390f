"""dot_general: the product of two arrays over contracted axes, with batch axes in front.

Everything that multiplies matrices (matmul, einsum, tensordot) is this one primitive. Both of its
transposes are products again; batching adds a batch axis or a free axis, never a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating
from fx.core import Zero, is_undefined
from fx.prims import shape
from fx.prims.convert import convert
from fx.prims.registry import Case, primitive

Dims = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]


def dot_general(
    x: Any,
    y: Any,
    contract: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]] = ((), ()),
    preferred_element_type: Any = None,
) -> Any:
    """The product over pairs of contracted axes; result axes: batch, free of x, free of y."""
    numbers = (tuple(map(tuple, contract)), tuple(map(tuple, batch)))
    dtype = None if preferred_element_type is None else np.dtype(preferred_element_type)
    return dot_general_p.bind(
        x, y, dimension_numbers=numbers, precision=None, preferred_element_type=dtype
    )


def _free(rank: int, contract: Sequence[int], batch: Sequence[int]) -> list[int]:
    return [k for k in range(rank) if k not in contract and k not in batch]


def _abstract(
    x: ShapedArray,
    y: ShapedArray,
    *,
    dimension_numbers: Dims,
    precision: Any,
    preferred_element_type: Any,
) -> ShapedArray:
    (cx, cy), (bx, by) = dimension_numbers
    for name, dims, a in (("lhs", (*bx, *cx), x), ("rhs", (*by, *cy), y)):
        if any(not 0 <= d < a.ndim for d in dims) or len(set(dims)) != len(dims):
            raise TypeError(
                f"dot_general requires {name} batch and contracting dimensions to be distinct axes "
                f"of the operand, got dimension_numbers {dimension_numbers} for shape {a.shape}."
            )
    if [x.shape[d] for d in bx] != [y.shape[d] for d in by]:
        raise TypeError(
            "dot_general requires lhs batch dimensions and rhs batch dimensions to have the same "
            f"shape, got {[x.shape[d] for d in bx]} and {[y.shape[d] for d in by]}."
        )
    if [x.shape[d] for d in cx] != [y.shape[d] for d in cy]:
        raise TypeError(
            "dot_general requires contracting dimensions to have the same shape, got "
            f"{tuple(x.shape[d] for d in cx)} and {tuple(y.shape[d] for d in cy)}; operand shapes "
            f"{x.shape} and {y.shape}."
        )
    if x.dtype != y.dtype and preferred_element_type is None:
        raise TypeError(
            "lax.dot_general requires arguments to have the same dtypes, got "
            f"{x.dtype.name}, {y.dtype.name}."
        )
    free_x = [x.shape[k] for k in _free(x.ndim, cx, bx)]
    free_y = [y.shape[k] for k in _free(y.ndim, cy, by)]
    dtype = x.dtype if preferred_element_type is None else preferred_element_type
    weak = x.weak_type and y.weak_type and preferred_element_type is None
    return ShapedArray((*(x.shape[k] for k in bx), *free_x, *free_y), dtype, weak)


def _accumulator(dtype: np.dtype) -> np.dtype:
    """Products are summed in the result's dtype, 16-bit floats in float32, booleans in int32."""
    if dtype.kind == "b":
        return np.dtype(np.int32)
    if dtype.itemsize <= 2 and is_floating(dtype):
        return np.dtype(np.float32)
    return dtype


def _numpy(
    x: np.ndarray,
    y: np.ndarray,
    *,
    dimension_numbers: Dims,
    precision: Any,
    preferred_element_type: Any,
) -> np.ndarray:
    """One matmul of (batch, M, K) and (batch, K, N)."""
    (cx, cy), (bx, by) = dimension_numbers
    out = np.dtype(preferred_element_type or x.dtype)
    dtype = _accumulator(out)
    plain = not bx and x.ndim == y.ndim == 2 and cx == (1,) and cy == (0,)
    if plain and x.dtype == y.dtype == dtype == out:
        return np.matmul(x, y)
    free_x, free_y = _free(x.ndim, cx, bx), _free(y.ndim, cy, by)
    batch = [x.shape[k] for k in bx]
    shape_x, shape_y = [x.shape[k] for k in free_x], [y.shape[k] for k in free_y]
    k = prod(x.shape[d] for d in cx)
    x = x.transpose(*bx, *free_x, *cx).astype(dtype, copy=False)
    y = y.transpose(*by, *cy, *free_y).astype(dtype, copy=False)
    left, right = (*batch, prod(shape_x), k), (*batch, k, prod(shape_y))
    z = np.matmul(x.reshape(left), y.reshape(right)).reshape((*batch, *shape_x, *shape_y))
    return z != 0 if out.kind == "b" else z.astype(out, copy=False)


def _numpy_of(avals: Any, params: Any) -> Any:
    """Two matrices of one dtype that is summed in."""
    x, y = avals
    out = np.dtype(params["preferred_element_type"] or x.dtype)
    matrices = params["dimension_numbers"] == (((1,), (0,)), ((), ())) and x.ndim == y.ndim == 2
    return (np.matmul,) if matrices and x.dtype == y.dtype == _accumulator(out) == out else None


def _jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    (x, y), (tx, ty) = primals, tangents
    out = dot_general_p.bind(x, y, **params)
    parts = []
    if type(tx) is not Zero:
        parts.append(dot_general_p.bind(tx, y, **params))
    if type(ty) is not Zero:
        parts.append(dot_general_p.bind(x, ty, **params))
    if not parts:
        return out, Zero.like(out)
    return out, parts[0] if len(parts) == 1 else core.add_values(*parts)


def _transpose_left(ct: Any, aval: ShapedArray, y: Any, dims: Dims, *, swap: bool = False) -> Any:
    """The cotangent of the left operand: ct times y over y's free axes, its axes put back in order.

    With `swap` the operands had changed places, and ct's axes are batch, free of y, free of x.
    """
    (cx, cy), (bx, by) = dims
    rank_y = len(shape.shape_of(y))
    free_x, free_y = _free(aval.ndim, cx, bx), _free(rank_y, cy, by)
    n_batch = len(bx)
    first = n_batch if swap else n_batch + len(free_x)
    ct_free_y = tuple(range(first, first + len(free_y)))
    wide = core.get_aval(ct).dtype
    mixed = not wide == aval.dtype == core.get_aval(y).dtype
    product = dot_general(ct, y, (ct_free_y, free_y), (range(n_batch), by), wide if mixed else None)
    # its axes: batch, free of x, then the contracted ones in y's order
    contracted = [cx[cy.index(k)] for k in sorted(cy)]
    order = [*bx, *free_x, *contracted]
    back = shape.transpose(product, [order.index(k) for k in range(aval.ndim)])
    return convert(back, aval.dtype)


def _transpose(
    ct: Any,
    x: Any,
    y: Any,
    *,
    dimension_numbers: Dims,
    precision: Any,
    preferred_element_type: Any,
) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, y)]
    (cx, cy), (bx, by) = dimension_numbers
    if is_undefined(x):
        return [_transpose_left(ct, x.aval, y, dimension_numbers), None]
    return [None, _transpose_left(ct, y.aval, x, ((cy, cx), (by, bx)), swap=True)]


def _batch(axis: Any, args: Any, dims: Any, *, dimension_numbers: Dims, **params: Any) -> Any:
    """Both mapped: one more batch axis. One mapped: one more free axis of that operand."""
    (x, y), (dx, dy) = args, dims
    (cx, cy), (bx, by) = dimension_numbers
    rank_x = len(shape.shape_of(x))

    def moved(axes: Sequence[int], d: int | None) -> tuple[int, ...]:
        return tuple(k + (d is not None and k >= d) for k in axes)

    cx, bx, cy, by = moved(cx, dx), moved(bx, dx), moved(cy, dy), moved(by, dy)
    if dx is not None and dy is not None:
        numbers = ((cx, cy), ((dx, *bx), (dy, *by)))
        return dot_general_p.bind(x, y, dimension_numbers=numbers, **params), 0
    out = dot_general_p.bind(x, y, dimension_numbers=((cx, cy), (bx, by)), **params)
    if dx is not None:
        return out, len(bx) + _free(rank_x, cx, bx).index(dx)
    assert dy is not None
    place = _free(len(shape.shape_of(y)), cy, by).index(dy)
    return out, len(bx) + len(_free(rank_x, cx, bx)) + place


def _lower(
    b: Any, x: Any, y: Any, *, dimension_numbers: Dims, precision: Any, preferred_element_type: Any
) -> Any:
    out = np.dtype(preferred_element_type or x.dtype)
    wide = np.dtype(np.int32) if out.kind == "b" else out
    if x.dtype != y.dtype or out.kind == "b" or x.dtype.kind != out.kind:
        x, y = b.convert(x, wide), b.convert(y, wide)
    z = b.contract(x, y, *dimension_numbers, dtype=wide)
    return b.map("ne", z, b.const(0, wide)) if out.kind == "b" else z


def _case(
    shapes: Any, contract: Any, batch: Any = ((), ()), dtypes: Any = None, **more: Any
) -> Case:
    params = {
        "dimension_numbers": (contract, batch),
        "precision": None,
        "preferred_element_type": None,
    }
    return Case(shapes, params | more, dtypes)


dot_general_p = primitive(
    "dot_general",
    "Sum of products over contracted axes; result axes are batch, free of x, free of y.",
    abstract=_abstract,
    numpy=_numpy,
    numpy_of=_numpy_of,
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    lower=_lower,
    cases=lambda: [
        _case(((3, 4), (4, 5)), ((1,), (0,))),
        _case(((2, 3, 4), (2, 4, 5)), ((2,), (1,)), ((0,), (0,))),
        _case(((4, 2, 3), (5, 3, 4)), ((0, 2), (2, 1))),
        _case(((3, 2, 4), (4, 5, 3)), ((2,), (0,)), ((0,), (2,))),
        _case(((3,), (3,)), ((0,), (0,))),
        _case(((2,), (3,)), ((), ())),
        _case(((3, 4), (4, 2)), ((1,), (0,)), dtypes=(np.int32, np.int32)),
        _case(((3, 0), (0, 2)), ((1,), (0,))),
        _case(((0, 3), (3, 2)), ((1,), (0,))),
        _case(((), ()), ((), ())),
        _case(((3, 4), (4, 2)), ((1,), (0,)), dtypes=(np.complex64, np.complex64)),
        _case(
            ((3, 4), (4, 2)),
            ((1,), (0,)),
            dtypes=(np.float16, np.float16),
            preferred_element_type=np.dtype(np.float32),
        ),
    ],
)
