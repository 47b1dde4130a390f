"""fx.numpy.fft: discrete Fourier transforms along axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import lax
from fx.avals import canonicalize_dtype
from fx.dtypes import check_requested
from fx.numpy import manipulation as m
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.util import (
    canonical_axes,
    canonical_axis,
    check_arraylike,
    convert,
    promote_dtypes_inexact,
    wrap,
)

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

_Type = lax.FftType


def _factor(norm: str | None, sizes: Sequence[int], inverse: bool) -> float:
    """What NumPy's normalisation asks beyond lax.fft's (1/n on inverse transforms)."""
    n = float(np.prod(sizes))
    if norm in (None, "backward"):
        return 1.0
    if norm == "ortho":
        return np.sqrt(n) if inverse else 1 / np.sqrt(n)
    if norm == "forward":
        return n if inverse else 1 / n
    raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')


def _transform(name: str, kind: Any, a: Any, s: Any, axes: Any, norm: str | None) -> Any:
    check_arraylike(name, a)
    x = asarray(a)
    n = x.ndim
    if axes is None:
        axes = tuple(range(n)) if s is None else tuple(range(n - len(s), n))
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name} does not support repeated axes. Got axes {tuple(axes)}.")
    axes = canonical_axes(tuple(axes), n)
    if s is not None and len(s) != len(axes):
        raise ValueError(f"Shape and axes have different lengths: {tuple(s)} and {axes}")
    if not axes:
        return _prepared(x, kind)
    x = m.moveaxis(_prepared(x, kind), axes, tuple(range(n - len(axes), n)))
    real_out = kind == _Type.IRFFT
    sizes = [x.shape[n - len(axes) + k] for k in range(len(axes))]
    if real_out:
        sizes[-1] = max(0, 2 * (sizes[-1] - 1))
    if s is not None:
        sizes = [have if v is None else operator.index(v) for v, have in zip(s, sizes)]
        if any(v < 1 for v in sizes):
            raise ValueError(f"Invalid number of FFT data points ({sizes}) specified")
        wanted = list(sizes)
        if real_out:
            wanted[-1] = sizes[-1] // 2 + 1
        x = _fit(x, wanted)
    for k in range(0, max(len(axes) - 3, 0)):
        # lax.fft takes three axes at most: the outer ones one by one.
        inner = _Type.IFFT if kind in (_Type.IFFT, _Type.IRFFT) else _Type.FFT
        if kind == _Type.RFFT:
            break
        x = _one(x, inner, n - len(axes) + k)
    if len(axes) > 3 and kind == _Type.RFFT:
        x = lax.fft(x, kind, sizes[-3:])
        for k in range(len(axes) - 3):
            x = _one(x, _Type.FFT, n - len(axes) + k)
    else:
        x = lax.fft(x, kind, sizes[-3:])
    factor = _factor(norm, sizes, kind in (_Type.IFFT, _Type.IRFFT))
    if factor != 1.0:
        x = u.multiply(x, convert(np.float64(factor), x.dtype))
    return m.moveaxis(x, tuple(range(n - len(axes), n)), axes)


def _one(x: Any, kind: Any, axis: int) -> Any:
    return m.moveaxis(lax.fft(m.moveaxis(x, axis, -1), kind, [x.shape[axis]]), -1, axis)


def _prepared(x: Any, kind: Any) -> Any:
    (x,) = promote_dtypes_inexact("fft", x)
    if kind == _Type.RFFT:
        if x.dtype.kind == "c":
            raise ValueError(f"only real valued inputs supported for rfft, got {x.dtype.name}")
        return convert(x, np.dtype(np.float32)) if x.dtype.itemsize < 4 else x
    wide = np.dtype(np.complex128 if x.dtype in (np.float64, np.complex128) else np.complex64)
    return convert(x, wide)


def _fit(x: Any, sizes: Sequence[int]) -> Any:
    """Cut or fill with zeros at the end of each of the last axes."""
    lead = x.ndim - len(sizes)
    config = [(0, 0, 0)] * lead + [(0, v - x.shape[lead + k], 0) for k, v in enumerate(sizes)]
    if all(c == (0, 0, 0) for c in config):
        return x
    return lax.pad(x, base.const_as(x, 0), config)


def _axis_only(name: str, axis: Any) -> None:
    if isinstance(axis, (list, tuple)):
        raise ValueError(
            f"fx.numpy.fft.{name} does not support multiple axes. Please use fx.numpy.fft.{name}n. "
            f"Got axis = {axis!r}."
        )


def _one_dim(name: str, kind: Any, a: Any, n: Any, axis: Any, norm: Any) -> Any:
    _axis_only(name, axis)
    return _transform(name, kind, a, None if n is None else [n], [axis], norm)


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The discrete Fourier transform along an axis, cut or padded with zeros to n elements:
    complex64, of 64-bit input complex128. `norm` says which direction divides by n: "backward"
    (default), "forward", or "ortho", both by its root; ValueError for others and for n < 1.
    """
    return _one_dim("fft", _Type.FFT, a, n, axis, norm)


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of fft along an axis, divided by n unless `norm` says otherwise: complex."""
    return _one_dim("ifft", _Type.IFFT, a, n, axis, norm)


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """fft of real values along an axis, only the n // 2 + 1 frequencies that are not negative.
    ValueError for complex input; n and norm as in fft.
    """
    return _one_dim("rfft", _Type.RFFT, a, n, axis, norm)


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of rfft along an axis: n real elements, 2 (m - 1) of m by default."""
    return _one_dim("irfft", _Type.IRFFT, a, n, axis, norm)


_OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The real transform of a Hermitian-symmetric signal of which the first half is given: n real
    elements, 2 (m - 1) of m by default. norm as in fft.
    """
    _axis_only("hfft", axis)
    if norm not in _OPPOSITE:
        _factor(norm, [1], False)
    x = asarray(a)
    size = 2 * (x.shape[axis] - 1) if n is None else n
    return _transform("hfft", _Type.IRFFT, u.conjugate(x), [size], [axis], _OPPOSITE[norm])


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of hfft along an axis: n // 2 + 1 complex elements of n real ones."""
    _axis_only("ihfft", axis)
    if norm not in _OPPOSITE:
        _factor(norm, [1], False)
    return u.conjugate(
        _transform("ihfft", _Type.RFFT, a, None if n is None else [n], [axis], _OPPOSITE[norm])
    )


def fft2(a: Any, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """fft over two axes, cut or padded to the lengths `s`: complex. norm as in fft; ValueError for
    other than two axes.
    """
    return _two("fft2", _Type.FFT, a, s, axes, norm)


def ifft2(a: Any, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """The inverse of fft2, with its arguments and errors: complex."""
    return _two("ifft2", _Type.IFFT, a, s, axes, norm)


def rfft2(a: Any, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """fft2 of real values, only the s // 2 + 1 frequencies of the last axis that are not negative.
    ValueError for complex input.
    """
    return _two("rfft2", _Type.RFFT, a, s, axes, norm)


def irfft2(a: Any, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
    """The inverse of rfft2, of lengths `s`, 2 (m - 1) of m along the last axis by default: real."""
    return _two("irfft2", _Type.IRFFT, a, s, axes, norm)


def _two(name: str, kind: Any, a: Any, s: Any, axes: Sequence[int], norm: str | None) -> Any:
    if len(axes) != 2:
        raise ValueError(f"fx.numpy.fft.{name} only supports 2 axes. Got axes = {axes!r}.")
    return _transform(name, kind, a, s, axes, norm)


def fftn(a: Any, s: Any = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Any:
    """fft over several axes (all, or as many last ones as `s` has lengths): complex. norm as in
    fft. ValueError for axes twice and where `s` has another length than axes.
    """
    return _transform("fftn", _Type.FFT, a, s, axes, norm)


def ifftn(a: Any, s: Any = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Any:
    """The inverse of fftn, with its arguments and errors: complex."""
    return _transform("ifftn", _Type.IFFT, a, s, axes, norm)


def rfftn(a: Any, s: Any = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Any:
    """fftn of real values, only the s // 2 + 1 frequencies of the last axis that are not negative.
    ValueError for complex input.
    """
    return _transform("rfftn", _Type.RFFT, a, s, axes, norm)


def irfftn(
    a: Any, s: Any = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Any:
    """The inverse of rfftn over several axes, of lengths `s`, 2 (m - 1) of m along the last axis by
    default: real.
    """
    return _transform("irfftn", _Type.IRFFT, a, s, axes, norm)


def _frequencies(name: str, n: int, d: Any, dtype: Any) -> Any:
    if isinstance(n, (list, tuple)):
        raise ValueError(
            f"The n argument of fx.numpy.fft.{name} only takes an int. Got n = {list(n)}."
        )
    if isinstance(d, (list, tuple)):
        raise ValueError(
            f"The d argument of fx.numpy.fft.{name} only takes a single value. Got d = {list(d)}."
        )
    wanted = canonicalize_dtype(np.float64) if dtype is None else check_requested(dtype, name)
    if name == "rfftfreq":
        values = np.arange(n // 2 + 1)
    else:
        values = np.concatenate([np.arange((n - 1) // 2 + 1), np.arange(-(n // 2), 0)])
    return u.divide(wrap(values.astype(wanted)), convert(asarray(d * n), wanted))


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of the n elements of fft's result for samples d apart, in cycles per unit of
    d: 0 first, then positive, then negative ones. A vector of floats.
    """
    return _frequencies("fftfreq", n, d, dtype)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of rfft's n // 2 + 1 results for samples d apart, in cycles per unit of d. A
    vector of floats.
    """
    return _frequencies("rfftfreq", n, d, dtype)


def fftshift(x: Any, axes: Any = None) -> Any:
    """Zero frequency moved to the middle of axes (None: all): rolled by half their size. Shape and
    dtype stay. An axis named twice is rolled twice.
    """
    check_arraylike("fftshift", x)
    x = asarray(x)
    axes = _axes_to_shift(axes, x.ndim)
    return m.roll(x, tuple(x.shape[k] // 2 for k in axes), axes)


def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of fftshift: the middle of each axis comes first. Shape and dtype stay."""
    check_arraylike("ifftshift", x)
    x = asarray(x)
    axes = _axes_to_shift(axes, x.ndim)
    return m.roll(x, tuple(-(x.shape[k] // 2) for k in axes), axes)


def _axes_to_shift(axes: Any, ndim: int) -> tuple[int, ...]:
    """All axes for None; one that is named twice is shifted twice."""
    if axes is None:
        return tuple(range(ndim))
    given = axes if isinstance(axes, (tuple, list)) else (axes,)
    return tuple(canonical_axis(k, ndim) for k in given)
