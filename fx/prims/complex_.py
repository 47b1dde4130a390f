"""Complex numbers and their parts: real, imag, complex, conj.

Real-linear, so they have transposes; conventions are JAX's: the cotangent of `imag` is -i ct, so
that the gradient of a real loss is the conjugate of the steepest ascent. Kernels see pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero, is_undefined
from fx.prims.registry import (
    Case,
    batch_elementwise,
    binary,
    primitive,
    transpose_linear_operand,
    unary,
    unspread,
)

_PARTS = {np.dtype(np.complex64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype("f8")}
_WHOLE = {part: whole for whole, part in _PARTS.items()}


def real(x: Any) -> Any:
    """The real part; a real value as it is."""
    return real_p.bind(x) if core.get_aval(x).dtype.kind == "c" else x


def imag(x: Any) -> Any:
    """The imaginary part of a complex value."""
    return imag_p.bind(x)


def conj(x: Any) -> Any:
    """The complex conjugate; a real value as it is."""
    dtype = core.get_aval(x).dtype
    return conj_p.bind(x, input_dtype=dtype) if dtype.kind == "c" else x


def complex_(x: Any, y: Any) -> Any:
    """x + i y of two real values."""
    return complex_p.bind(x, y)


def _is_complex(dtype: np.dtype) -> bool:
    return dtype.kind == "c"


def _has_complex(dtype: np.dtype) -> bool:
    return dtype in _WHOLE


def _zero_part(ct: Any) -> Any:
    return core.get_aval(ct).dtype.type(0)


real_p = unary(
    "real",
    _is_complex,
    "The real part.",
    numpy=np.real,
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval: complex_(ct, _zero_part(ct))),
    scalar="real",
    result=_PARTS.__getitem__,
    dtypes=(np.complex64,),
)
imag_p = unary(
    "imag",
    _is_complex,
    "The imaginary part.",
    numpy=np.imag,
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval: complex_(_zero_part(ct), -ct)),
    scalar="imag",
    result=_PARTS.__getitem__,
    dtypes=(np.complex64,),
)


def _complex_numpy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), _WHOLE[x.dtype])
    out.real, out.imag = x, y
    return out


def _complex_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, y)]
    return [
        unspread(real(ct), x.aval) if is_undefined(x) else None,
        unspread(-imag(ct), y.aval) if is_undefined(y) else None,
    ]


complex_p = binary(
    "complex",
    _has_complex,
    "x + i y of two real operands.",
    numpy=_complex_numpy,
    jvp="linear",
    transpose=_complex_transpose,
    scalar="complex",
    result=_WHOLE.__getitem__,
)


def _conj_abstract(x: ShapedArray, *, input_dtype: Any) -> ShapedArray:
    if x.dtype not in _PARTS and x.dtype not in _WHOLE:
        raise TypeError(f"conj does not accept dtype {x.dtype.name}.")
    return x.update(dtype=_WHOLE.get(x.dtype, x.dtype))


def _conj_lower(b: Any, x: Any, *, input_dtype: Any) -> Any:
    if x.dtype.kind == "c":
        return b.map("conj", x)
    return b.map("complex", x, b.const(0, x.dtype), dtype=_WHOLE[x.dtype])


conj_p = primitive(
    "conj",
    "The complex conjugate; real operands become complex.",
    abstract=_conj_abstract,
    numpy=lambda x, *, input_dtype: np.conj(x).astype(_WHOLE.get(x.dtype, x.dtype)),
    jvp="linear",
    transpose=transpose_linear_operand(
        lambda ct, aval, *, input_dtype: (
            conj_p.bind(ct, input_dtype=ct.dtype) if aval.dtype.kind == "c" else real(ct)
        )
    ),
    batch=lambda axis, args, dims, **params: batch_elementwise(conj_p, axis, args, dims, params),
    lower=_conj_lower,
    cases=lambda: [
        Case(((2, 3),), {"input_dtype": np.dtype(np.complex64)}, (np.complex64,)),
        Case(((3,),), {"input_dtype": np.dtype(np.float32)}),
        *(Case((s,), {"input_dtype": np.dtype(np.complex64)}, (np.complex64,)) for s in ((), (0,))),
    ],
)
conj_p.elementwise = True
