"""fx.lax: products of arrays. Everything is dot_general.

`precision` is accepted and has no effect: products are computed in the operands' precision,
16-bit floats accumulated in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from fx import core
from fx.avals import canonicalize_dtype, is_floating
from fx.prims.complex_ import real
from fx.prims.convert import convert
from fx.prims.dot import dot_general_p
from fx.typing import Array, ArrayLike, DTypeLike

__all__ = [
    "DotAlgorithm",
    "DotAlgorithmPreset",
    "DotDimensionNumbers",
    "Precision",
    "PrecisionLike",
    "batch_matmul",
    "dot",
    "dot_general",
    "dtype",
]

DotDimensionNumbers = tuple[
    tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]
]


class Precision(Enum):
    """How exact products are to be; all are computed exactly as HIGHEST."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


class DotAlgorithm(NamedTuple):
    """Which types a product rounds to and adds in; a value of `precision`, without effect."""

    lhs_precision_type: DTypeLike
    rhs_precision_type: DTypeLike
    accumulation_type: DTypeLike
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False


DotAlgorithmPreset = Enum(
    "DotAlgorithmPreset",
    "DEFAULT ANY_F8_ANY_F8_F32 ANY_F8_ANY_F8_F32_FAST_ACCUM ANY_F8_ANY_F8_ANY "
    "ANY_F8_ANY_F8_ANY_FAST_ACCUM F16_F16_F16 F16_F16_F32 BF16_BF16_BF16 BF16_BF16_F32 "
    "BF16_BF16_F32_X3 BF16_BF16_F32_X6 BF16_BF16_F32_X9 TF32_TF32_F32 TF32_TF32_F32_X3 "
    "F32_F32_F32 F64_F64_F64",
)
DotAlgorithmPreset.__doc__ = "Names of usual algorithms; values of `precision`, without effect."

PrecisionLike = Any


def dot_general(
    lhs: ArrayLike,
    rhs: ArrayLike,
    dimension_numbers: DotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Sum of products over the contracted axes.

    dimension_numbers: ((lhs contracted, rhs contracted), (lhs batch, rhs batch)). The result's axes
    are batch, free axes of lhs, free axes of rhs; its dtype is preferred_element_type, or the wider
    of the operands'.

    Integers wrap in their dtype, booleans are or-ed; 16-bit floats are added in float32. TypeError
    where sizes of contracted or batch axes differ.

    >>> import fx.lax as lax, numpy as np
    >>> x = np.ones((2, 3), np.float32)
    >>> lax.dot_general(x, x, (((1,), (1,)), ((), ()))).shape
    (2, 2)
    """
    contract, batch = dimension_numbers
    numbers = tuple(
        tuple(_axes(axes, core.get_aval(x).ndim) for axes, x in zip(pair, (lhs, rhs)))
        for pair in (contract, batch)
    )
    given = core.get_aval(lhs).dtype, core.get_aval(rhs).dtype
    dtype = _element_type(*given)
    wanted = None if preferred_element_type is None else canonicalize_dtype(preferred_element_type)
    keeps = wanted is None or wanted.kind == "c" or all(d.kind != "c" for d in given)
    product = dot_general_p.bind(
        lhs,
        rhs,
        dimension_numbers=numbers,
        precision=None,
        preferred_element_type=wanted if wanted is not None and keeps else dtype,
    )
    return product if keeps else convert(real(product), wanted)  # the real part of the product


def _element_type(x: np.dtype, y: np.dtype) -> np.dtype | None:
    """None for operands of one dtype, else the wider: complex before float before integer, then by
    range and precision, signed before unsigned.
    """
    if x == y:
        return None

    def width(dtype: np.dtype) -> tuple[bool, int, int, int, bool]:
        real = np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
        info = ml_dtypes.finfo(real) if is_floating(real) else None
        exponent, digits = (int(info.maxexp), int(info.nmant)) if info else (-1, -1)
        bits = 1 if dtype.kind == "b" else 8 * real.itemsize
        return dtype.kind == "c", exponent, digits, bits, dtype.kind != "u"

    if width(x) == width(y):
        raise TypeError(f"lax.dot_general argument type error: {x.name}, {y.name}")
    return x if width(x) > width(y) else y


def _axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(int(a) + rank if a < 0 else int(a) for a in axes)


def dot(
    lhs: ArrayLike,
    rhs: ArrayLike,
    *,
    dimension_numbers: DotDimensionNumbers | None = None,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    out_sharding: Any = None,
) -> Array:
    """The product of vectors and matrices, or dot_general if dimension_numbers are given.

    [k] [k] -> [], [m, k] [k] -> [m], [k] [k, n] -> [n], [m, k] [k, n] -> [m, n]; dtypes as in
    dot_general. TypeError for other shapes.
    """
    x, y = core.get_aval(lhs), core.get_aval(rhs)
    if dimension_numbers is None:
        if not (1 <= x.ndim <= 2 and 1 <= y.ndim <= 2 and x.shape[-1] == y.shape[0]):
            raise TypeError(f"Incompatible shapes for dot: got {x.shape} and {y.shape}.")
        dimension_numbers = (((x.ndim - 1,), (0,)), ((), ()))
    return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Array, rhs: Array, precision: PrecisionLike = None) -> Array:
    """Matrix products over equal leading axes: [..., m, k] times [..., k, n].

    The result is [..., m, n]; dtypes as in dot_general. ValueError unless both have the same number
    of axes, at least 2.
    """
    x, y = core.get_aval(lhs), core.get_aval(rhs)
    if min(x.ndim, y.ndim) < 2:
        raise ValueError(f"Arguments to batch_matmul must be at least 2D, got {x.ndim}, {y.ndim}")
    if x.ndim != y.ndim:
        raise ValueError(f"Arguments to batch_matmul must have same ndim, got {x.ndim}, {y.ndim}")
    n = x.ndim
    batch = tuple(range(n - 2))
    return dot_general(lhs, rhs, (((n - 1,), (n - 2,)), (batch, batch)), precision)


def dtype(x: Any) -> np.dtype:
    """The dtype of an array value, or a dtype itself as it is stored.

    Python scalars have the default dtypes int32, float32, complex64 (64 bits under enable_x64), or
    bool.

    >>> dtype("float64")
    dtype('float32')
    """
    if isinstance(x, type | np.dtype | str):
        return canonicalize_dtype(x)
    return core.get_aval(x).dtype
