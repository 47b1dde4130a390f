"""fft: discrete Fourier transforms over the last axes, on scipy.fft, or by a kernel.

Linear, so a jvp is the transform of the tangent. Cotangents of complex values are not conjugated
(JAX's convention), so the transpose of a complex transform is itself; those of the real ones weigh
the half spectrum.
"""

from __future__ import annotations

import enum
import os
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import get_aval
from fx.lazy import LazyModule
from fx.prims import elementwise, parts, shape
from fx.prims import matrix as mx
from fx.prims.host import host_primitive, lower_host
from fx.prims.registry import Case, transpose_linear_operand
from lowering import graph

sf = LazyModule("scipy.fft")
WORTH_THREADS = 1 << 16  # elements; each thread does whole transforms, so the bits are the same


class FftType(enum.IntEnum):
    """The kinds of transform; RFFT takes reals to half of a spectrum, IRFFT takes that back."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


_COMPLEX = (np.dtype(np.complex64), np.dtype(np.complex128))
_REAL = (np.dtype(np.float32), np.dtype(np.float64))


def _abstract(x, *, fft_type, fft_lengths, axes=None):
    if axes is not None:  # of what was turned: a complex transform keeps the shape
        return ShapedArray(x.shape, x.dtype)
    n = len(fft_lengths)
    if x.ndim < n:
        raise ValueError(
            f"FFT requires at least {n} dimensions for lengths {fft_lengths}, got {x.shape}."
        )
    wanted = _REAL if fft_type is FftType.RFFT else _COMPLEX
    if x.dtype not in wanted:
        names = " or ".join(d.name for d in wanted)
        raise TypeError(f"{fft_type.name} requires {names} input, got {x.dtype.name}.")
    last = x.shape[x.ndim - n :]
    expected = (
        (*fft_lengths[:-1], fft_lengths[-1] // 2 + 1) if fft_type is FftType.IRFFT else fft_lengths
    )
    if n and last != tuple(expected):
        raise ValueError(
            f"{fft_type.name} with fft_lengths={tuple(fft_lengths)} requires the last dimensions "
            f"to be "
            f"{tuple(expected)}, got {last}."
        )
    batch = x.shape[: x.ndim - n]
    if fft_type is FftType.RFFT:
        dtype = _COMPLEX[_REAL.index(x.dtype)]
        return ShapedArray((*batch, *fft_lengths[:-1], fft_lengths[-1] // 2 + 1), dtype)
    if fft_type is FftType.IRFFT:
        return ShapedArray((*batch, *fft_lengths), _REAL[_COMPLEX.index(x.dtype)])
    return ShapedArray(x.shape, x.dtype)


def _numpy(x, *, fft_type, fft_lengths, axes=None):
    n = len(fft_lengths)
    if not x.size or not all(fft_lengths) or not n:
        out = _abstract(get_aval(x), fft_type=fft_type, fft_lengths=fft_lengths)
        return np.zeros(out.shape, out.dtype) if n else x
    workers = os.cpu_count() if x.size >= WORTH_THREADS else 1
    if n == 1:  # SciPy takes half as long again to find out that many axes are one
        if fft_type is FftType.IRFFT:
            return sf.irfft(x, n=fft_lengths[0], workers=workers)
        one = {FftType.FFT: sf.fft, FftType.IFFT: sf.ifft, FftType.RFFT: sf.rfft}
        return one[fft_type](x, axis=-1 if axes is None else axes[0], workers=workers)
    axes = tuple(range(x.ndim - n, x.ndim)) if axes is None else axes
    if fft_type is FftType.IRFFT:
        return sf.irfftn(x, s=fft_lengths, axes=axes, workers=workers)
    names = {FftType.FFT: sf.fftn, FftType.IFFT: sf.ifftn, FftType.RFFT: sf.rfftn}
    return names[fft_type](x, axes=axes, workers=workers)


def fft(x: Any, kind: FftType, lengths: Any) -> Any:
    """Bind fft."""
    return fft_p.bind(x, fft_type=kind, fft_lengths=tuple(lengths))


def _transpose(ct, aval, *, fft_type, fft_lengths):
    if fft_type in (FftType.FFT, FftType.IFFT):
        return fft(ct, fft_type, fft_lengths)
    size, axis = fft_lengths[-1], aval.ndim - 1
    if fft_type is FftType.RFFT:
        # y_k = sum_n x_n w^nk for k <= N/2: ct_n = Re sum_k ct_k w^nk, the other half zero
        config = [(0, 0, 0)] * aval.ndim
        config[axis] = (0, size - get_aval(ct).shape[axis], 0)
        full = parts.pad(ct, elementwise.zero_like(ct), config)
        return mx.real(fft(full, FftType.FFT, fft_lengths))
    # x_n = 1/N sum_k m_k Re(y_k w^-nk), m = 1 at both ends of the spectrum, else 2
    spectrum = fft(ct, FftType.RFFT, fft_lengths)
    count = aval.shape[axis]
    weight = np.full(count, 2.0 / prod(fft_lengths), get_aval(ct).dtype)
    weight[0] /= 2
    if size % 2 == 0:
        weight[-1] /= 2
    spread = shape.broadcast_in_dim(weight.astype(aval.dtype), aval.shape, (axis,))
    return mx.conj(elementwise.mul(spectrum, spread))


def _batch(axis, args, dims, **params):
    return fft_p.bind(shape.move_axis(args[0], dims[0], 0), **params), 0


_LEAST_INNER = 8  # elements after an axis: of fewer the lanes of a vector are too few


def _stage(*, fft_type, fft_lengths, axes=None):
    """What may do it on a device; `axes`, where these are not the last ones, in memory's order."""
    return ("fft", fft_type.name, fft_lengths, axes)


def _lower(b, x, *, fft_type, fft_lengths):
    """One step. A complex transform of what is turned goes along the axes of memory, and its result
    is turned: where users turn it back, as for an axis that is not the last, nothing is.
    """
    host = lower_host(lambda: fft_p, _stage)
    n, turned = len(fft_lengths), isinstance(x.form, graph.Transpose) and not x.form.stored
    if n and turned and fft_type in (FftType.FFT, FftType.IFFT):
        y, perm = x.args[0], x.form.perm
        axes = tuple(sorted(perm[-n:]))
        if all(d == y.ndim - 1 or prod(y.shape[d + 1 :]) >= _LEAST_INNER for d in axes):
            lengths = tuple(y.shape[d] for d in axes)
            made = host(b, y, fft_type=fft_type, fft_lengths=lengths, axes=axes)
            return b.transpose(made, perm)
    return host(b, x, fft_type=fft_type, fft_lengths=fft_lengths)


def _cases():
    c64, f32 = np.complex64, np.float32
    for kind, s, lengths, dtype in (
        (FftType.FFT, (2, 5), (5,), c64),
        (FftType.IFFT, (3, 4), (3, 4), c64),
        (FftType.RFFT, (2, 6), (6,), f32),
        (FftType.RFFT, (3, 5), (3, 5), f32),
        (FftType.IRFFT, (2, 4), (6,), c64),
        (FftType.IRFFT, (3, 3), (3, 5), c64),
        (FftType.FFT, (0, 3), (3,), c64),
        (FftType.RFFT, (0, 4), (4,), f32),
    ):
        yield Case((s,), {"fft_type": kind, "fft_lengths": lengths}, (dtype,), note=kind.name)


fft_p = host_primitive(
    "fft",
    "The discrete Fourier transform over the last axes, its inverse, or the real forms of both.",
    uses_blas=False,
    abstract=_abstract,
    numpy=_numpy,
    lower=_lower,
    jvp="linear",
    transpose=transpose_linear_operand(_transpose),
    batch=_batch,
    limits={"0-d": "it transforms along axes"},
    cases=lambda: list(_cases()),
)


def fft_complex_operand(x: Any) -> Any:
    """x in the complex dtype of its precision."""
    dtype = get_aval(x).dtype
    if dtype.kind == "c":
        return x
    wide = np.dtype(np.complex128 if dtype == np.float64 else np.complex64)
    return core.PRIMITIVES["convert_element_type"].bind(x, new_dtype=wide, weak_type=False)
