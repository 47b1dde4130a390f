"""fx.lax: dtype conversion, bitcast, reduced precision, stopped gradients, barriers."""

from __future__ import annotations

from typing import Any, TypeVar

from fx import core
from fx.avals import canonicalize_dtype, is_inexact
from fx.prims import convert
from fx.typing import Array, ArrayLike, DTypeLike

__all__ = [
    "bitcast_convert_type",
    "convert_element_type",
    "optimization_barrier",
    "reduce_precision",
    "stop_gradient",
]

T = TypeVar("T")


def convert_element_type(operand: ArrayLike, new_dtype: DTypeLike) -> Array:
    """The operand in another dtype, element by element.

    Floats saturate into integers and NaN becomes 0; a complex operand loses its imaginary part.

    Integers wrap into narrower ones, and numbers other than 0 become True. Float to float rounds to
    even.

    >>> import fx.lax as lax, numpy as np
    >>> int(lax.convert_element_type(2.7, np.int32))
    2
    """
    dtype = canonicalize_dtype(new_dtype)
    if core.get_aval(operand).dtype.kind == "c" and dtype.kind != "c" and dtype.kind != "b":
        from fx.prims.complex_ import real

        operand = real(operand)
    return convert.convert(operand, dtype)


def bitcast_convert_type(operand: ArrayLike, new_dtype: DTypeLike) -> Array:
    """The same bits read as another dtype.

    To a narrower dtype the result has a last axis of parts, to a wider one it loses that axis.

    float32 [2] read as uint8 is [2, 4]. Raises ValueError where the last axis has not as many parts
    as the wider dtype needs, TypeError for booleans and complex numbers. Its derivative is 0.
    """
    return convert.bitcast_convert_type_p.bind(operand, new_dtype=canonicalize_dtype(new_dtype))


def reduce_precision(operand: ArrayLike, exponent_bits: int, mantissa_bits: int) -> Array:
    """The operand rounded to a float format of fewer bits, kept in its dtype.

    Rounds to even; beyond the format's range numbers become infinite. Derivatives are rounded too.
    TypeError for dtypes that are not floats, ValueError unless exponent_bits > 0 and mantissa_bits
    >= 0.
    """
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ValueError(
            "reduce_precision: exponent_bits must be positive and mantissa_bits not negative, got "
            f"{exponent_bits} and {mantissa_bits}."
        )
    return convert.reduce_precision_p.bind(
        operand, exponent_bits=int(exponent_bits), mantissa_bits=int(mantissa_bits)
    )


def stop_gradient(x: T) -> T:
    """x, any tree of arrays, as a constant for differentiation.

    >>> import fx
    >>> float(fx.grad(lambda x: x * fx.lax.stop_gradient(x))(3.0))
    3.0
    """
    from fx import tree

    return tree.map(_stop, x)


def _stop(x: Any) -> Any:
    if not core.is_array_value(x) or not is_inexact(core.get_aval(x).dtype):
        return x
    return convert.stop_gradient_p.bind(x)


def optimization_barrier(operand: T, /) -> T:
    """The operand, any tree of arrays, unchanged; nothing is simplified across it.

    Derivatives pass through a barrier of their own.
    """
    from fx import tree

    leaves, structure = tree.flatten(operand)
    return tree.unflatten(structure, convert.optimization_barrier_p.bind(*leaves))
