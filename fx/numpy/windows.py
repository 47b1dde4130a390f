"""Window functions, bits packed in bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype
from fx.numpy import ufuncs as u
from fx.numpy.manipulation import moveaxis, ravel
from fx.numpy.ufuncs_more import i0
from fx.numpy.util import canonical_axis, convert, shape_dtype, wrap

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser", "packbits", "unpackbits"]


def _window(name: str, M: int) -> Any:
    dtype = canonicalize_dtype(np.float64)
    return wrap(getattr(np, name)(M).astype(dtype))


def bartlett(M: int) -> Any:
    """The triangular window of M points, 0 at both ends: 1 - |2n / (M - 1) - 1|. Floats [M]."""
    return _window("bartlett", M)


def blackman(M: int) -> Any:
    """The Blackman window of M points: 0.42 - 0.5 cos t + 0.08 cos 2t with t = 2 pi n / (M - 1).
    Floats [M].
    """
    return _window("blackman", M)


def hamming(M: int) -> Any:
    """The Hamming window of M points: 0.54 - 0.46 cos(2 pi n / (M - 1)). Floats [M]."""
    return _window("hamming", M)


def hanning(M: int) -> Any:
    """The Hann window of M points: 0.5 - 0.5 cos(2 pi n / (M - 1)). Floats [M]."""
    return _window("hanning", M)


def kaiser(M: int, beta: Any) -> Any:
    """The Kaiser window of M points: I0(beta sqrt(1 - u^2)) / I0(beta) for u from -1 to 1. Floats
    [M].
    """
    dtype = canonicalize_dtype(np.float64)
    if M <= 1:
        return wrap(np.ones(max(M, 0), dtype))
    n = wrap(np.arange(M).astype(dtype))
    half = 0.5 * (M - 1)
    shape = u.sqrt(u.subtract(1, u.square(u.divide(u.subtract(n, half), half))))
    return u.divide(i0(u.multiply(beta, shape)), i0(beta))


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Any:
    """Eight elements, zero or not, to a byte along an axis (of the flattened array if None), the
    first in the highest bit unless bitorder is "little"; the last byte is filled with zeros: uint8.
    TypeError for floats.
    """
    x, aval = shape_dtype("packbits", a)
    if aval.dtype.kind not in "iub":
        raise TypeError("Expected an input array of integer or boolean data type")
    if bitorder not in ("little", "big"):
        raise ValueError("'order' must be either 'little' or 'big'")
    bits = convert(u.not_equal(x, 0), np.dtype(np.uint8))
    if axis is None:
        bits, axis = ravel(bits), 0
    k = canonical_axis(axis, len(core.get_aval(bits).shape))
    bits = moveaxis(bits, k, -1)
    shape = core.get_aval(bits).shape
    missing = -shape[-1] % 8
    if missing:
        widths = [(0, 0, 0)] * (len(shape) - 1) + [(0, missing, 0)]
        bits = lax.pad(bits, np.uint8(0), widths)
    grouped = lax.reshape(bits, (*shape[:-1], (shape[-1] + missing) // 8, 8))
    order = np.arange(8, dtype=np.uint8)
    shifts = wrap(order if bitorder == "little" else order[::-1].copy())
    moved = u.left_shift(grouped, shifts)
    return moveaxis(lax.reduce_or(moved, (len(shape),)), -1, k)


def unpackbits(
    a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big"
) -> Any:
    """Each byte as eight zeros and ones along an axis (of the flattened array if None), the highest
    bit first unless bitorder is "little": uint8, cut or filled with zeros to `count`, of which a
    negative one cuts so many off. TypeError for other than uint8.
    """
    x, aval = shape_dtype("unpackbits", a)
    if aval.dtype != np.uint8:
        raise TypeError("Expected an input array of unsigned byte data type")
    if bitorder not in ("little", "big"):
        raise ValueError("'order' must be either 'little' or 'big'")
    if axis is None:
        x, axis = ravel(x), 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    order = np.arange(8, dtype=np.uint8)
    shifts = wrap(order if bitorder == "little" else order[::-1].copy())
    x = moveaxis(x, k, -1)
    shape = core.get_aval(x).shape
    bits = u.bitwise_and(u.right_shift(lax.expand_dims(x, (len(shape),)), shifts), np.uint8(1))
    bits = lax.reshape(bits, (*shape[:-1], shape[-1] * 8))
    if count is not None:
        n = shape[-1] * 8
        if count > n:
            widths = [(0, 0, 0)] * (len(shape) - 1) + [(0, count - n, 0)]
            bits = lax.pad(bits, np.uint8(0), widths)
        else:
            bits = lax.slice_in_dim(
                bits, 0, count if count >= 0 else n + count, axis=len(shape) - 1
            )
    return moveaxis(bits, -1, k)
