"""Small helpers of the fx.numpy surface: axes, concrete values, shapes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_inexact
from fx.errors import ConcretizationTypeError
from fx.numpy.promotion import (
    broadcast_shapes_checked,
    broadcast_value,
    captured,
    check_arraylike,
    convert,
    is_arraylike,
    join,
    modes,
    operands,
    promote,
    promote_dtypes,
    promote_dtypes_inexact,
    promote_inexact,
    promote_numeric,
    promote_spread,
    promote_spread_inexact,
    value,
)

__all__ = [
    "broadcast_shapes_checked",
    "broadcast_value",
    "canonical_axes",
    "canonical_axis",
    "canonical_shape",
    "check_arraylike",
    "concrete",
    "concrete_int",
    "convert",
    "is_arraylike",
    "is_concrete",
    "is_inexact",
    "join",
    "modes",
    "operands",
    "promote",
    "promote_dtypes",
    "promote_dtypes_inexact",
    "promote_inexact",
    "promote_numeric",
    "promote_spread",
    "promote_spread_inexact",
    "shape_dtype",
    "value",
    "wrap",
]


def wrap(x: Any, weak: bool = False) -> Any:
    """A NumPy array or scalar as an Array of its canonical dtype."""
    from fx.avals import canonicalize_dtype

    if type(x) is int:  # OverflowError where it does not fit
        x = convert(x, canonicalize_dtype(np.int64))
    a = np.asarray(x)
    return captured(a, canonicalize_dtype(a.dtype), weak)


def shape_dtype(name: str, x: Any) -> tuple[Any, ShapedArray]:
    """The value and aval of one array-like argument."""
    (v,), (a,) = operands(name, (x,))
    if isinstance(v, np.ndarray) or type(v) in (bool, int, float, complex):
        v = wrap(v, a.weak_type)
    return v, a


def is_concrete(x: Any) -> bool:
    """Whether the value of x is known now (also behind a gradient tracer)."""
    return not isinstance(x, core.Tracer) or x.concrete() is not None


def concrete(x: Any, context: str = "") -> np.ndarray:
    """The value of x as a NumPy array; ConcretizationTypeError where it is abstract."""
    if isinstance(x, core.Tracer):
        known = x.concrete()
        if known is None:
            raise ConcretizationTypeError(
                "Abstract tracer value encountered where concrete value is expected: traced array "
                "with shape "
                f"{x.aval.str_short()}\n{context}{x.origin()}"
            )
        x = known
    return np.asarray(core.host.to_numpy(x)) if core.is_array_value(x) else np.asarray(x)


def concrete_int(x: Any, context: str = "") -> int:
    """x as a Python integer; `context` is for the error where it is none, or not known yet."""
    if isinstance(x, core.Tracer):
        x = concrete(x, context)
    try:
        return operator.index(x)
    except TypeError as e:
        raise TypeError(f"{e}: {x!r}. {context}".strip(". ")) from None


def canonical_axis(axis: Any, ndim: int) -> int:
    """A non-negative axis; ValueError out of range."""
    k = operator.index(axis)
    if not -ndim <= k < ndim:
        raise ValueError(
            f"axis {k} is out of bounds for array of dimension {ndim}: axes are {-ndim} to "
            f"{ndim - 1}"
        )
    return k + ndim if k < 0 else k


def canonical_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """All axes for None, else the non-negative axes of an int or sequence; duplicates raise."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (Sequence, set, frozenset)) or (isinstance(axis, np.ndarray) and axis.ndim):
        axes = tuple(canonical_axis(a, ndim) for a in axis)
    else:
        axes = (canonical_axis(axis, ndim),)
    if len(set(axes)) != len(axes):
        raise ValueError(f"duplicate value in 'axis': {axes}")
    return axes


def canonical_shape(shape: Any, context: str = "") -> tuple[int, ...]:
    """A tuple of non-negative integers; TypeError for traced sizes."""
    if isinstance(shape, core.Tracer) or (
        isinstance(shape, Sequence) and any(isinstance(s, core.Tracer) for s in shape)
    ):
        known: Any = shape if isinstance(shape, core.Tracer) else tuple(shape)
        flat = (shape,) if isinstance(shape, core.Tracer) and shape.ndim == 0 else known
        if all(is_concrete(s) for s in flat):
            return tuple(int(concrete(s)) for s in flat)
        tracer = next(s for s in flat if isinstance(s, core.Tracer) and not is_concrete(s))
        raise TypeError(
            f"Shapes must be 1D sequences of concrete values of integer type, got {shape}.\nIf "
            "using `jit`, try "
            "using `static_argnums` or applying `jit` to smaller "
            f"subfunctions.{context}{tracer.origin()}"
        )
    if not isinstance(shape, Sequence):
        if np.ndim(shape) == 0:
            shape = (shape,)
        else:
            shape = tuple(np.asarray(shape))
    try:
        out = tuple(operator.index(s) for s in shape)
    except TypeError:
        raise TypeError(
            f"Shapes must be 1D sequences of concrete values of integer type, got {shape}."
        ) from None
    if any(s < 0 for s in out):
        raise ValueError(f"shape must have non-negative sizes, got {out}")
    return out
