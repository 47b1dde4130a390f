"""Dtypes: the public side of fx.avals. What a dtype is called, which kind it is, and how dtypes
combine.

Scalar types (`fx.numpy.float32`, ...) are callables that make arrays and compare equal to their
dtype.
"""

from __future__ import annotations

import warnings
from typing import Any

import ml_dtypes
import numpy as np

from fx.avals import canonicalize_dtype as _canonical
from fx.avals import (
    extended,
    float0,
    is_floating,
    is_inexact,
    is_key,
    lattice_least,
    lattice_node,
    prng_key,
    python_scalar_dtype,
    x64_enabled,
)

__all__ = [
    "TypePromotionError",
    "bfloat16",
    "canonicalize_dtype",
    "check_requested",
    "extended",
    "finfo",
    "float0",
    "iinfo",
    "issubdtype",
    "itemsize_bits",
    "prng_key",
    "promote_types",
    "result_type",
    "scalar_type_of",
    "to_inexact",
]

bfloat16 = ml_dtypes.bfloat16


class TypePromotionError(ValueError):
    """No implicit path leads to a common dtype."""


_PYTHON_KINDS = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
_SMALL_INTEGERS = {"int2", "int4", "uint2", "uint4"}


def as_dtype(dtype: Any) -> np.dtype:
    """The NumPy dtype for anything that names one: a dtype, a scalar type, a string, a Python
    type.
    """
    if isinstance(dtype, np.dtype):
        return dtype
    found = getattr(dtype, "dtype", None)
    if isinstance(found, np.dtype):
        return found
    if isinstance(dtype, str) and dtype in ("bfloat16", *_SMALL_INTEGERS):
        return np.dtype(getattr(ml_dtypes, dtype))
    try:
        return np.dtype(dtype)
    except TypeError:
        raise TypeError(f"Cannot interpret '{dtype}' as a data type") from None


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> np.dtype:
    """The dtype that is kept for `dtype`: 64-bit ones narrow to 32 bits unless x64 is enabled."""
    if getattr(dtype, "is_extended", False):
        if allow_extended_dtype:
            return dtype
        raise ValueError(f"canonicalize_dtype called on extended dtype {dtype}")
    return _canonical(as_dtype(dtype))


def check_requested(dtype: Any, function: str) -> np.dtype:
    """The canonical dtype of an explicit request; warns where 64 bits were asked for and are not
    enabled. ValueError for an array, which is a mistaken argument more often than a dtype.
    """
    if getattr(dtype, "is_extended", False):
        return dtype
    if not isinstance(dtype, (np.dtype, type)) and isinstance(getattr(dtype, "shape", None), tuple):
        raise ValueError(
            f"Passing an array as a dtype argument is not supported ({function}); "
            "instead of dtype=arr use dtype=arr.dtype."
        )
    wanted = as_dtype(dtype)
    if wanted.kind not in "biufc" and not is_number(wanted):
        raise TypeError(f"{function}: dtype {wanted} is not a valid array type; only numbers are.")
    kept = _canonical(wanted)
    python = isinstance(dtype, type) and dtype in _PYTHON_KINDS
    if kept != wanted and not python:
        warnings.warn(
            f"Explicitly requested dtype {wanted.name} requested in {function} is not available, "
            "and will be "
            f"truncated to dtype {kept.name}. To enable more dtypes, set "
            "fx.config.update('jax_enable_x64', True) "
            "or the environment variable JAX_ENABLE_X64.",
            UserWarning,
            stacklevel=3,
        )
    return kept


def is_number(dtype: np.dtype) -> bool:
    """Numbers and booleans, ml_dtypes' kinds included."""
    return dtype.kind in "biufc" or dtype.name in _SMALL_INTEGERS or is_inexact(dtype)


def is_integer(dtype: np.dtype) -> bool:
    return dtype.kind in "iu" or dtype.name in _SMALL_INTEGERS


def issubdtype(a: Any, b: Any) -> bool:
    """Whether `a` stands below `b` in the hierarchy of kinds; bfloat16 counts as floating.

    >>> issubdtype('bfloat16', np.floating)
    True
    """
    if b in (extended, prng_key):
        if isinstance(a, type) and issubclass(a, np.generic):
            return issubclass(a, b)
        return isinstance(a, np.dtype) and is_key(a)
    if isinstance(a, np.dtype) and is_key(a):
        return b is np.generic
    a_kind = _generic_class(a)
    b_kind = _generic_class(b)
    if isinstance(a_kind, type) and isinstance(b_kind, type):
        return issubclass(a_kind, b_kind)
    if isinstance(b_kind, np.dtype):
        return isinstance(a_kind, np.dtype) and a_kind == b_kind
    name = a_kind.name
    assert isinstance(a_kind, np.dtype)
    if name in _SMALL_INTEGERS:
        base: type = np.unsignedinteger if name.startswith("u") else np.signedinteger
    elif is_floating(a_kind):
        base = np.floating
    else:
        return np.issubdtype(a_kind, b_kind)
    return issubclass(base, b_kind)


def _generic_class(x: Any) -> Any:
    """A NumPy scalar class, or the dtype itself for ml_dtypes' kinds."""
    if isinstance(x, type) and issubclass(x, np.generic) and x.__module__ == "numpy":
        return x
    if x in _PYTHON_KINDS:
        return _PYTHON_KINDS[x]
    d = as_dtype(x)
    return d if d.isbuiltin == 2 else d.type  # 2: registered, as ml_dtypes' are


def finfo(dtype: Any) -> Any:
    """The limits of a floating dtype, or of a complex one's parts: eps, max, min, tiny,
    smallest_subnormal, bits and others of NumPy's and ml_dtypes' objects. ValueError for other
    dtypes.
    """
    d = as_dtype(dtype)
    return np.finfo(d) if d.isbuiltin == 1 else ml_dtypes.finfo(d)


def iinfo(int_type: Any) -> Any:
    """The limits of an integer dtype: min, max, bits. ValueError for other dtypes."""
    d = as_dtype(int_type)
    return ml_dtypes.iinfo(d) if d.name in _SMALL_INTEGERS else np.iinfo(d)


def itemsize_bits(dtype: Any) -> int:
    """The bits of one element of a dtype: 4 for int4, 8 times the itemsize for others.

    TypeError for what names no dtype.
    """
    d = as_dtype(dtype)
    if d.name in _SMALL_INTEGERS:
        return int(d.name[-1])
    return d.itemsize * 8


def scalar_type_of(x: Any) -> type:
    """The Python type (bool, int, float, complex) that a value's dtype, or a dtype, belongs to."""
    from fx import core

    d = as_dtype(x) if isinstance(x, type | str | np.dtype) else core.get_aval(x).dtype
    if d == np.bool_:
        return bool
    if is_integer(d):
        return int
    if is_floating(d):
        return float
    if d.kind == "c":
        return complex
    raise TypeError(f"Invalid scalar value {x}")


def to_inexact(dtype: np.dtype) -> np.dtype:
    """The floating dtype in which functions of reals are computed for `dtype`."""
    if is_inexact(dtype):
        return dtype
    return np.dtype(np.float64 if dtype.itemsize == 8 and x64_enabled() else np.float32)


def promote_types(a: Any, b: Any) -> np.dtype:
    """The least dtype that both convert to, by JAX's lattice; Python types count as weak.

    >>> promote_types('int32', 'float16')
    dtype('float16')
    """
    nodes = [lattice_node(*_raw_dtype(x)) for x in (a, b)]
    node = lattice_least(frozenset(nodes))
    weak = {"i*": "int64", "f*": "float64", "c*": "complex128"}
    return _canonical(weak[node]) if node in weak else as_dtype(node)


def _raw_dtype(x: Any) -> tuple[np.dtype, bool]:
    if isinstance(x, type) and x in _PYTHON_KINDS:
        return python_scalar_dtype(x), x is not bool
    return as_dtype(x), False


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype of an operation on these arrays, scalars and dtypes."""
    from fx.numpy.promotion import join

    if not args:
        raise ValueError("at least one array or dtype is required")
    dtype, weak = join([_dtype_and_weak(a) for a in args])
    return (dtype, weak) if return_weak_type_flag else dtype


def _dtype_and_weak(x: Any) -> tuple[np.dtype, bool]:
    from fx import core

    if isinstance(x, type) and x in _PYTHON_KINDS:
        return python_scalar_dtype(x), x is not bool
    if isinstance(x, (str, np.dtype, type)):
        return _canonical(as_dtype(x)), False
    if core.is_array_value(x):
        a = core.get_aval(x)
        return a.dtype, a.weak_type
    if getattr(x, "dtype", None) is not None:
        return _canonical(x.dtype), bool(getattr(x, "weak_type", False))
    return _canonical(as_dtype(x)), False
