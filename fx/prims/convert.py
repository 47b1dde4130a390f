"""Primitives that change an array's dtype: conversion, bitcast, reduced precision; and identities.

Each keeps the shape (bitcast apart). From float to integer conversions saturate and take NaN to 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import (
    ShapedArray,
    canonicalize_dtype,
    dtype_name,
    float0,
    is_inexact,
    is_key,
)
from fx.core import Zero
from fx.prims.registry import (
    Case,
    any_dtype,
    batch_elementwise,
    check_dtype,
    floating,
    no,
    primitive,
    transpose_linear_operand,
    unary,
)
from lowering import scalar

# ---------------------------------------------------------------- convert_element_type


def convert(x: Any, dtype: Any, weak_type: bool = False) -> Any:
    """`x` in `dtype`; x itself if it is an Array or traced and of that dtype and weak type."""
    aval = core.get_aval(x)
    dtype = np.dtype(dtype)
    same = aval.dtype == dtype and aval.weak_type == weak_type
    if same and not np.isscalar(x) and not isinstance(x, np.ndarray):
        return x
    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=bool(weak_type))


def _convert_abstract(x: ShapedArray, *, new_dtype: Any, weak_type: bool) -> ShapedArray:
    if is_key(x.dtype) != is_key(new_dtype):
        raise TypeError(f"{dtype_name(x.dtype)} cannot be converted to {dtype_name(new_dtype)}.")
    return ShapedArray(x.shape, new_dtype, weak_type)


def _convert_jvp(primals: Any, tangents: Any, *, new_dtype: Any, weak_type: bool) -> Any:
    (x,), (t,) = primals, tangents
    y = convert_element_type_p.bind(x, new_dtype=new_dtype, weak_type=weak_type)
    if type(t) is Zero or not is_inexact(new_dtype) or core.get_aval(t).dtype == float0:
        return y, Zero.like(y)
    return y, convert_element_type_p.bind(t, new_dtype=new_dtype, weak_type=False)


def _convert_batch(axis: Any, args: Any, dims: Any, **params: Any) -> Any:
    return batch_elementwise(convert_element_type_p, axis, args, dims, params)


def _convert_numpy(x: np.ndarray, *, new_dtype: Any, weak_type: bool) -> np.ndarray:
    if x.dtype.kind == "f" and new_dtype.kind in "iu" and x.size:  # plain where all of it fits
        info = np.iinfo(new_dtype)
        if np.minimum.reduce(x, None) > info.min and np.maximum.reduce(x, None) < info.max:
            return x.astype(new_dtype)
    return scalar.numpy("convert", x, dtype=new_dtype)


def _convert_numpy_of(avals: Any, params: Any) -> Any:
    """From integers and truth values to numbers that hold more, and between floats."""
    old, new = avals[0].dtype, params["new_dtype"]
    plain = old.kind in "biuf" and new.kind in "fc" and old != new
    return (np.ndarray.astype, new) if plain else None


convert_element_type_p = primitive(
    "convert_element_type",
    "The same values in another dtype, element by element.",
    abstract=_convert_abstract,
    numpy=_convert_numpy,
    numpy_of=_convert_numpy_of,
    jvp=_convert_jvp,
    transpose=transpose_linear_operand(lambda ct, aval, **params: convert(ct, aval.dtype)),
    batch=_convert_batch,
    lower=lambda b, x, *, new_dtype, weak_type: b.convert(x, new_dtype),
    cases=lambda: [
        Case(((2, 3),), {"new_dtype": np.dtype(np.float16), "weak_type": False}),
        Case(
            ((4,),),
            {"new_dtype": np.dtype(np.int32), "weak_type": False},
            ranges=(np.array([1.7, -1.7, np.nan, 3e10], np.float32),),
            diff=(),
        ),
        Case(((),), {"new_dtype": np.dtype(np.float32), "weak_type": True}, (np.int32,), diff=()),
        *(
            Case(((0, 3),), {"new_dtype": np.dtype(d), "weak_type": False})
            for d in (np.float64, np.complex64)
        ),
    ],
)
convert_element_type_p.elementwise = True

# ---------------------------------------------------------------- bitcast_convert_type


def _bitcast_abstract(x: ShapedArray, *, new_dtype: Any) -> ShapedArray:
    old, new = x.dtype.itemsize, np.dtype(new_dtype).itemsize
    if x.dtype == new_dtype:
        return x
    if np.dtype(new_dtype).kind in "bc" or x.dtype.kind in "bc":
        raise TypeError(
            f"lax.bitcast_convert_type does not support bool or complex values unless the operand "
            f"and destination types match. Got operand dtype={x.dtype.name}, "
            f"new_dtype={np.dtype(new_dtype).name}."
        )
    if old == new:
        return ShapedArray(x.shape, new_dtype)
    if old > new:
        return ShapedArray((*x.shape, old // new), new_dtype)
    if x.shape[-1:] != (new // old,):
        raise ValueError(
            f"bitcast_convert_type: to widen {x.dtype.name} to {np.dtype(new_dtype).name} the last "
            f"axis must have size {new // old}, got shape {x.shape}."
        )
    return ShapedArray(x.shape[:-1], new_dtype)


def _bitcast_numpy(x: np.ndarray, *, new_dtype: Any) -> np.ndarray:
    old, new = x.dtype.itemsize, np.dtype(new_dtype).itemsize
    if old == new:
        return np.ascontiguousarray(x).view(new_dtype).reshape(x.shape)
    wide = np.ascontiguousarray(x if old < new else x[..., None]).view(new_dtype)
    return wide.reshape(x.shape[:-1]) if old < new else wide


def _bitcast_batch(axis: Any, args: Any, dims: Any, *, new_dtype: Any) -> Any:
    from fx.prims import shape

    x = shape.move_axis(args[0], dims[0], 0)
    return bitcast_convert_type_p.bind(x, new_dtype=new_dtype), 0


def _bitcast_lower(b: Any, x: Any, *, new_dtype: Any) -> Any:
    """Unequal widths go through unsigned integers: shifts split a word, shifts and ors join."""
    new = np.dtype(new_dtype)
    old_bits, new_bits = x.dtype.itemsize * 8, new.itemsize * 8
    if old_bits == new_bits:
        return b.bitcast(x, new)
    wide, narrow = max(old_bits, new_bits), min(old_bits, new_bits)
    word, part = np.dtype(f"uint{wide}"), np.dtype(f"uint{narrow}")
    count = wide // narrow
    if old_bits > new_bits:
        x = b.bitcast(x, word)
        shape = (*x.shape, count)
        spread = b.broadcast(x, shape, tuple(range(x.ndim)))
        shift = b.map("mul", b.iota(shape, x.ndim, word), b.const(narrow, word))
        return b.bitcast(b.convert(b.map("shrl", spread, shift), part), new)
    x = b.convert(b.bitcast(x, part), word)
    shift = b.map("mul", b.iota(x.shape, x.ndim - 1, word), b.const(narrow, word))
    return b.bitcast(b.reduce("or", b.map("shl", x, shift), (x.ndim - 1,)), new)


bitcast_convert_type_p = primitive(
    "bitcast_convert_type",
    "The same bits read as another dtype; unequal widths add or take a last axis.",
    abstract=_bitcast_abstract,
    numpy=_bitcast_numpy,
    jvp="zero",
    transpose=no("its derivative is zero everywhere"),
    batch=_bitcast_batch,
    lower=_bitcast_lower,
    cases=lambda: [
        Case(((2, 3),), {"new_dtype": np.dtype(np.uint32)}),
        Case(((2,),), {"new_dtype": np.dtype(np.uint16)}),
        Case(((3, 2),), {"new_dtype": np.dtype(np.uint32)}, (np.uint16,), ((0, 60000),)),
        *(Case((s,), {"new_dtype": np.dtype(np.int32)}) for s in ((), (0, 2))),
    ],
)

# ---------------------------------------------------------------- reduce_precision


def _reduce_precision_abstract(x: ShapedArray, **params: int) -> ShapedArray:
    check_dtype("reduce_precision", x.dtype, floating)
    return x


def _rounded(x: np.ndarray, exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    """Round to nearest even; what leaves the exponent's range becomes inf or 0."""
    info = np.finfo(x.dtype)
    word = np.dtype(f"u{x.dtype.itemsize}")
    bits = np.ascontiguousarray(x).view(word).reshape(x.shape)
    drop = info.nmant - mantissa_bits
    if drop > 0:
        half = word.type((1 << (drop - 1)) - 1)
        odd = (bits >> word.type(drop)) & word.type(1)
        bits = (bits + half + odd) & word.type(~((1 << drop) - 1) & (2 ** (8 * word.itemsize) - 1))
    y = np.asarray(bits, word).view(x.dtype).reshape(x.shape)
    largest, smallest = _range(exponent_bits, mantissa_bits)
    with np.errstate(all="ignore"):
        size = np.abs(y)
        y = np.where(size > largest, np.copysign(np.inf, y), y)
        y = np.where(size < smallest, np.copysign(0, y), y)
    return np.where(np.isfinite(x), y, x).astype(x.dtype)


def _range(exponent_bits: int, mantissa_bits: int) -> tuple[float, float]:
    bias = 2 ** (exponent_bits - 1) - 1
    return (2.0 - 2.0**-mantissa_bits) * 2.0**bias, 2.0 ** (1 - bias)


def _reduce_precision_numpy(x: np.ndarray, *, exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    wide = x if x.dtype.name in ("float32", "float64") else x.astype(np.float32)
    if wide.dtype == np.float32 and exponent_bits >= 8 and mantissa_bits >= 23:
        return x
    return _rounded(wide, exponent_bits, mantissa_bits).astype(x.dtype)


def _reduce_precision_lower(b: Any, x: Any, *, exponent_bits: int, mantissa_bits: int) -> Any:
    out = x.dtype
    if out.name not in ("float32", "float64"):
        x = b.convert(x, np.float32)
    nmant, word = (23, np.dtype(np.uint32)) if x.dtype == np.float32 else (52, np.dtype(np.uint64))
    if exponent_bits >= (8 if nmant == 23 else 11) and mantissa_bits >= nmant:
        return b.convert(x, out)
    drop = nmant - mantissa_bits
    y = x
    if drop > 0:
        bits = b.bitcast(x, word)
        odd = b.map("and", b.map("shrl", bits, b.const(drop, word)), b.const(1, word))
        up = b.map("add", b.map("add", bits, b.const((1 << (drop - 1)) - 1, word)), odd)
        mask = ~((1 << drop) - 1) & (2 ** (8 * word.itemsize) - 1)
        y = b.bitcast(b.map("and", up, b.const(mask, word)), x.dtype)
    largest, smallest = _range(exponent_bits, mantissa_bits)
    size = b.map("abs", y)
    # x * 0 keeps the sign of a vanishing value, x * inf that of an overflowing one
    over = b.map("mul", y, b.const(np.inf, x.dtype))
    under = b.map("mul", y, b.const(0.0, x.dtype))
    largest = min(largest, float(np.finfo(x.dtype).max))
    y_in = b.select(b.map("gt", size, b.const(largest, x.dtype)), over, y)
    y_in = b.select(b.map("lt", size, b.const(smallest, x.dtype)), under, y_in)
    return b.convert(b.select(b.map("is_finite", x), y_in, x), out)


reduce_precision_p = primitive(
    "reduce_precision",
    "Rounds to a float format of fewer exponent and mantissa bits, kept in the operand's dtype.",
    abstract=_reduce_precision_abstract,
    numpy=_reduce_precision_numpy,
    jvp="linear",
    transpose=transpose_linear_operand(
        lambda ct, aval, **params: reduce_precision_p.bind(ct, **params)
    ),
    batch=lambda axis, args, dims, **params: batch_elementwise(
        reduce_precision_p, axis, args, dims, params
    ),
    lower=_reduce_precision_lower,
    cases=lambda: [
        Case(
            ((8,),),
            {"exponent_bits": 5, "mantissa_bits": 10},
            ranges=(np.array([1.0001, -1e6, 1e-9, np.inf, np.nan, 0.3, -0.0, 65504], np.float32),),
            diff=(),
        ),
        Case(((2, 3),), {"exponent_bits": 8, "mantissa_bits": 7}, diff=()),
        *(Case((s,), {"exponent_bits": 8, "mantissa_bits": 7}, diff=()) for s in ((), (0, 3))),
    ],
)
reduce_precision_p.elementwise = True
reduce_precision_p.limits = dict.fromkeys(
    ("forward", "reverse", "derivative"),
    "its declared derivative, rounding of the tangent, is not that of the function, a staircase",
)

# ---------------------------------------------------------------- identities

copy_p = unary(
    "copy",
    any_dtype,
    "The operand itself, in memory of its own.",
    numpy=np.array,
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval: ct),
    scalar="convert",
)
copy_p.set(lower=lambda b, x: x)

stop_gradient_p = unary(
    "stop_gradient",
    any_dtype,
    "The operand itself, whose derivative is taken to be zero.",
    numpy=lambda x: x,
    jvp="zero",
    scalar="convert",
)
stop_gradient_p.set(lower=lambda b, x: x)
stop_gradient_p.cases = lambda: [Case((s,), diff=()) for s in ((2, 3), (), (0, 3))]
stop_gradient_p.limits = dict.fromkeys(
    ("forward", "reverse", "derivative"),
    "its declared derivative, zero, is not that of the function",
)


def _barrier_batch(axis: Any, args: Any, dims: Any) -> Any:
    return optimization_barrier_p.bind(*args), list(dims)


def _barrier_transpose(cts: Any, *args: Any) -> Any:
    return list(cts)


def _barrier_jvp(primals: Any, tangents: Any) -> Any:
    out = optimization_barrier_p.bind(*primals)
    live = [t for t in tangents if type(t) is not Zero]
    moved = iter(optimization_barrier_p.bind(*live) if live else ())
    return out, [t if type(t) is Zero else next(moved) for t in tangents]


optimization_barrier_p = primitive(
    "optimization_barrier",
    "All operands unchanged; nothing is simplified across it.",
    multiple_results=True,
    abstract=lambda *avals: list(avals),
    numpy=lambda *xs: xs,
    jvp=_barrier_jvp,
    transpose=_barrier_transpose,
    batch=_barrier_batch,
    lower=lambda b, *xs: list(xs),
    cases=lambda: [Case(((2, 3), (4,))), Case(((), ())), Case(((0,), (0, 3)))],
)


def canonical(dtype: Any) -> np.dtype:
    """The canonical dtype for a user's dtype argument."""
    return canonicalize_dtype(dtype)
