"""fx.scipy.fft: discrete cosine transforms by the FFT (Makhoul 1980)."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.numpy.util import promote_dtypes_inexact

__all__ = ["dct", "dctn", "idct", "idctn"]


def _fitted(x: Any, n: int | None, axis: int) -> Any:
    if n is None or n == x.shape[axis]:
        return x
    if n < x.shape[axis]:
        return fnp.moveaxis(fnp.moveaxis(x, axis, -1)[..., :n], -1, axis)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, n - x.shape[axis])
    return fnp.pad(x, widths)


def _check(type: int, norm: str | None) -> None:
    if type not in (2,):
        raise NotImplementedError("Only DCT type 2 is implemented.")
    if norm not in (None, "backward", "ortho"):
        raise ValueError(f"fx.scipy.fft: unknown norm {norm!r}")


def dct(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: str | None = None) -> Any:
    """2 sum x_j cos(pi k (2 j + 1) / 2 n), scaled to be orthogonal with norm="ortho".

    k = 0 ... n - 1; x is cut or padded with zeros to n along the axis; floats or complex numbers.
    NotImplementedError for other types than 2, ValueError for other norms.
    """
    _check(type, norm)
    (x,) = (fnp.asarray(v) for v in promote_dtypes_inexact("dct", x))
    if fnp.iscomplexobj(x):  # linear, with real coefficients
        return lax.complex(*(dct(part, type, n, axis, norm) for part in (x.real, x.imag)))
    axis = axis % x.ndim
    x = fnp.moveaxis(_fitted(x, n, axis), axis, -1)
    n = x.shape[-1]
    reordered = fnp.concatenate([x[..., ::2], fnp.flip(x[..., 1::2], -1)], axis=-1)
    spectrum = fnp.fft.fft(reordered)
    k = np.arange(n)
    turn = np.exp(-1j * np.pi * k / (2 * n))
    out = 2 * (spectrum * fnp.asarray(turn).astype(spectrum.dtype)).real
    if norm == "ortho":
        scale = np.full(n, np.sqrt(1 / (2 * n)))
        scale[0] = np.sqrt(1 / (4 * n))
        out = out * fnp.asarray(scale).astype(out.dtype)
    return fnp.moveaxis(out, -1, axis)


def idct(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of dct.

    Arguments, dtypes and errors as in `dct`.
    """
    _check(type, norm)
    (x,) = (fnp.asarray(v) for v in promote_dtypes_inexact("idct", x))
    if fnp.iscomplexobj(x):
        return lax.complex(*(idct(part, type, n, axis, norm) for part in (x.real, x.imag)))
    axis = axis % x.ndim
    x = fnp.moveaxis(_fitted(x, n, axis), axis, -1)
    n = x.shape[-1]
    if norm == "ortho":
        scale = np.full(n, np.sqrt(2 * n))
        scale[0] = np.sqrt(4 * n)
        x = x * fnp.asarray(scale).astype(x.dtype)
    # spectrum_k = (x_k - i x_{n-k}) / 2 * exp(i pi k / 2 n), with x_n = 0
    k = np.arange(n)
    mirrored = fnp.concatenate([fnp.zeros_like(x[..., :1]), fnp.flip(x[..., 1:], -1)], axis=-1)
    wide = np.complex128 if x.dtype == np.float64 else np.complex64
    turn = fnp.asarray(np.exp(1j * np.pi * k / (2 * n))).astype(wide)
    spectrum = (x.astype(wide) - 1j * mirrored.astype(wide)) / 2 * turn
    values = fnp.fft.ifft(spectrum).real
    half = (n + 1) // 2
    out = fnp.zeros_like(values).at[..., ::2].set(values[..., :half])
    if n > 1:
        out = out.at[..., 1::2].set(fnp.flip(values[..., half:], -1))
    return fnp.moveaxis(out, -1, axis)


def _each(op: Any, x: Any, type: int, s: Any, axes: Any, norm: Any) -> Any:
    x = fnp.asarray(x)
    s = (s,) if isinstance(s, Integral) else s
    axes = (axes,) if isinstance(axes, Integral) else axes
    if axes is None:  # the last ones, as many as there are sizes
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    axes = tuple(axes)
    sizes = [None] * len(axes) if s is None else list(s)
    if len(sizes) != len(axes):
        raise ValueError("s and axes must have the same length")
    if len({axis % max(1, x.ndim) for axis in axes}) < len(axes):
        raise ValueError(f"repeated axis: {axes}")
    for size, axis in zip(sizes, axes):
        x = op(x, type=type, n=size, axis=axis, norm=norm)
    return x


def dctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    """dct over several axes.

    axes: all unless given, s their sizes; one after the other.
    """
    return _each(dct, x, type, s, axes, norm)


def idctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    """The inverse of `dctn`: idct along several axes, one after the other.

    Arguments as in `dctn`.
    """
    return _each(idct, x, type, s, axes, norm)
