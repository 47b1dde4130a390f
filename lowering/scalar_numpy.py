"""What each scalar operation means, in NumPy: the oracle's half of lowering.scalar.

Functions take arrays of one shape and return the values; lowering.scalar casts to the result dtype.
Integer division, shifts and conversions follow XLA: they never trap, wrap and saturate as it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

_SMALL = frozenset((np.dtype(ml_dtypes.float8_e4m3fn), np.dtype(ml_dtypes.float8_e5m2)))
_FOUR_BITS = frozenset((np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)))
_NARROW = _SMALL | {np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)}


def is_float(dtype: np.dtype) -> bool:
    """Real floating point, bfloat16 included (NumPy calls its kind 'V')."""
    return dtype.kind == "f" or dtype in _NARROW


def is_narrow(dtype: np.dtype) -> bool:
    return dtype.itemsize <= 2 and dtype in _NARROW


def _wide(f: Callable) -> Callable:
    """f, computing 16-bit floats in float32: what kernels do, and NumPy lacks some of."""

    def widened(*xs):
        if xs[0].dtype.itemsize > 2 and len(xs) < 3:  # operands have one dtype
            return f(*xs)
        return f(*(x.astype(np.float32) if is_narrow(x.dtype) else x for x in xs))

    return widened


def _scipy(name: str) -> Callable:
    def special(*xs):
        import scipy.special

        return getattr(scipy.special, name)(*xs)

    return _wide(special)


def _erf_inv(x):
    import scipy.special

    return np.copysign(scipy.special.erfinv(x), x)  # SciPy's of -0 is 0


_wide_divide = _wide(np.true_divide)


def _div(x, y):
    if x.dtype.kind not in "iu":
        return _wide_divide(x, y)
    safe, zero, minus = _safe_divisor(x, y)
    quotient = x // safe  # toward minus infinity; mend to toward zero
    quotient = quotient + ((quotient * safe != x) & ((x < 0) != (safe < 0)))
    quotient = np.where(minus, np.negative(x), quotient)
    return np.where(zero, np.array(-1).astype(x.dtype), quotient)


def _rem(x, y):
    if x.dtype.kind not in "iu":
        return _wide(np.fmod)(x, y)
    safe, zero, minus = _safe_divisor(x, y)
    return np.where(zero, x, np.where(minus, np.zeros_like(x), np.fmod(x, safe)))


def _safe_divisor(x, y):
    zero = y == 0
    minus = (y == -1) if x.dtype.kind == "i" else np.zeros_like(zero)
    return np.where(zero | minus, np.ones_like(y), y), zero, minus


def _sign(x):
    if x.dtype.kind == "c":
        size = np.abs(x)
        return np.where(size == 0, 0, x / np.where(size == 0, 1, size))
    return _wide(lambda v: np.where(v == 0, v, np.sign(v)))(x)


def _round(x):
    """Half away from zero; 0.49999997 must not become 1."""
    whole = np.trunc(x)
    return np.copysign(np.abs(whole) + (np.abs(x - whole) >= 0.5), x)


def _logistic(x):
    return 1 / (1 + np.exp(-x))


def _complex(re, im):
    """The parts side by side: re + i im would make NaN of infinite parts."""
    out = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), _COMPLEX_OF[re.dtype.itemsize])
    out.real, out.imag = re, im
    return out


def _log1p(x):
    if x.dtype.kind != "c":
        return np.log1p(x)
    a, c = x.real, x.imag
    near = np.maximum(np.abs(a), np.abs(c)) < 0.5
    small = 0.5 * np.log1p(np.where(near, a * (a + 2) + c * c, 0))
    far: Any = np.array(x)
    far.real += 1  # a sum of complex numbers has no negative zeros
    far = np.array(np.log(far))
    far.real = np.where(near, small, far.real)
    return far


def _digamma(x):
    """psi; NaN at the poles -1, -2, ... as XLA has it, and at 0."""
    import scipy.special

    return np.where((x <= 0) & (x == np.floor(x)), np.nan, scipy.special.digamma(x))


def _lgamma(x):
    """log |Gamma|, infinite at -inf too, as in C99."""
    import scipy.special

    return np.where(x == -np.inf, np.inf, scipy.special.gammaln(x))


def _erf_inv_giles(x):
    from lowering.mathlib.giles import erf_inv_giles

    return erf_inv_giles(x)


def _logaddexp(x, y):
    if x.dtype.kind != "c":
        return np.logaddexp(x, y)
    larger = np.where(x.real > y.real, x, y)
    return larger + np.log1p(np.exp(np.where(x.real > y.real, y, x) - larger))


def _nextafter(x, y):
    return np.nextafter(x, y)


def _amount(x, n):
    """(shift counts that NumPy defines, where XLA's rule for too large ones applies)."""
    bits = x.dtype.itemsize * 8
    unsigned = n.view(f"u{n.dtype.itemsize}")
    too_many = unsigned >= bits
    return np.where(too_many, 0, unsigned).astype(x.dtype), too_many


def _shl(x, n):
    amount, too_many = _amount(x, n)
    return np.where(too_many, 0, np.left_shift(x, amount)).astype(x.dtype)


def _shr(x, n):
    amount, too_many = _amount(x, n)
    fill = np.where(x < 0, -1, 0) if x.dtype.kind == "i" else 0
    return np.where(too_many, fill, np.right_shift(x, amount)).astype(x.dtype)


def _shrl(x, n):
    return _shr(x.view(f"u{x.dtype.itemsize}"), n).view(x.dtype)


def _popcount(x):
    return np.bitwise_count(x.view(f"u{x.dtype.itemsize}"))


def _clz(x):
    bits = x.dtype.itemsize * 8
    smeared = x.view(f"u{x.dtype.itemsize}").copy()
    for shift in (1, 2, 4, 8, 16, 32):
        if shift < bits:
            smeared |= smeared >> smeared.dtype.type(shift)
    return bits - np.bitwise_count(smeared).astype(np.int32)


def _mulhi(x, y):
    if x.dtype != np.uint32:
        raise TypeError(f"mulhi is for uint32, not {x.dtype}")
    return (x.astype(np.uint64) * y.astype(np.uint64)) >> np.uint64(32)


def _bits_or_bool(logical: Callable, bitwise: Callable) -> Callable:
    return lambda *xs: (logical if xs[0].dtype == bool else bitwise)(*xs)


def convert(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """XLA's convert: floats saturate into integers, NaN is 0; complex drops its imaginary part."""
    if x.dtype == dtype:
        return x
    if dtype.kind == "b":
        return x != 0
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = np.real(x)
    if dtype in _FOUR_BITS:
        if is_float(x.dtype):
            ends = ml_dtypes.iinfo(dtype)
            x = np.clip(np.where(np.isnan(x), 0, x), int(ends.min), int(ends.max))
        return x.astype(np.int8).astype(dtype)
    if dtype.kind in "iu" and is_float(x.dtype):
        info = np.iinfo(dtype)
        wide = x.astype(np.float64)
        high, low = wide >= float(info.max), wide <= float(info.min)
        inside = np.where(high | low | np.isnan(wide), 0, wide).astype(dtype)
        inside = np.where(high, dtype.type(info.max), inside)
        return np.where(low, dtype.type(info.min), inside)
    return x.astype(dtype)


def bitcast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if x.dtype.itemsize != dtype.itemsize:
        raise TypeError(f"bitcast from {x.dtype} to {dtype}: their widths differ")
    return np.ascontiguousarray(x).view(dtype).reshape(x.shape)


FUNCTIONS: dict[str, Callable] = {
    "after": lambda x, y: x,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _div,
    "rem": _rem,
    "neg": np.negative,
    "conj": np.conjugate,
    "abs": np.abs,
    "sign": _sign,
    "max": lambda x, y: np.maximum(y, x),  # of two zeros the first, as kernels
    "min": lambda x, y: np.minimum(y, x),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": _wide(_round),
    "rint": np.rint,
    "trunc": np.trunc,
    "sqrt": _wide(np.sqrt),
    "rsqrt": _wide(lambda x: 1 / np.sqrt(x)),
    "cbrt": _wide(np.cbrt),
    "exp": _wide(np.exp),
    "exp_down": _wide(np.exp),
    "exp2": _wide(np.exp2),
    "expm1": _wide(np.expm1),
    "logistic": _wide(_logistic),
    "log": _wide(np.log),
    "log2": _wide(np.log2),
    "log10": _wide(np.log10),
    "log1p": _wide(_log1p),
    "sin": _wide(np.sin),
    "cos": _wide(np.cos),
    "tan": _wide(np.tan),
    "asin": _wide(np.arcsin),
    "acos": _wide(np.arccos),
    "atan": _wide(np.arctan),
    "atan2": _wide(np.arctan2),
    "sinh": _wide(np.sinh),
    "cosh": _wide(np.cosh),
    "tanh": _wide(np.tanh),
    "asinh": _wide(np.arcsinh),
    "acosh": _wide(np.arccosh),
    "atanh": _wide(np.arctanh),
    "erf": _scipy("erf"),
    "erfc": _scipy("erfc"),
    "erf_inv": _wide(_erf_inv),
    "erf_inv_giles": _wide(_erf_inv_giles),
    "lgamma": _wide(_lgamma),
    "digamma": _wide(_digamma),
    "pow": _wide(np.power),
    "logaddexp": _wide(_logaddexp),
    "nextafter": _nextafter,
    "and": _bits_or_bool(np.logical_and, np.bitwise_and),
    "or": _bits_or_bool(np.logical_or, np.bitwise_or),
    "xor": _bits_or_bool(np.logical_xor, np.bitwise_xor),
    "not": _bits_or_bool(np.logical_not, np.bitwise_not),
    "shl": _shl,
    "shr": _shr,
    "shrl": _shrl,
    "popcount": _popcount,
    "clz": _clz,
    "mulhi": _mulhi,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "is_finite": np.isfinite,
    "is_nan": np.isnan,
    "select": np.where,
    "convert": convert,
    "bitcast": bitcast,
    "real": np.real,
    "imag": np.imag,
    "complex": _complex,
}
_COMPLEX_OF = {4: np.complex64, 8: np.complex128}
