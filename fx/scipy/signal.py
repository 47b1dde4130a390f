"""fx.scipy.signal: convolutions of any rank, detrending, spectra by windowed transforms."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.lazy import LazyModule
from fx.numpy.util import promote_dtypes_inexact
from fx.scipy.spectra import csd, istft, stft, welch

fft = LazyModule("scipy.fft")

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "csd",
    "detrend",
    "fftconvolve",
    "istft",
    "stft",
    "welch",
]


def _args(name: str, *xs: Any) -> list[Any]:
    return [fnp.asarray(x) for x in promote_dtypes_inexact(name, *xs)]


def _direct(x: Any, kernel: Any, mode: str, precision: Any) -> Any:
    """Convolution with a kernel that is not larger, by conv_general_dilated."""
    n = x.ndim
    if mode == "full":
        pads = [(s - 1, s - 1) for s in kernel.shape]
    elif mode == "same":
        pads = [(s // 2, s - s // 2 - 1) for s in kernel.shape]
    elif mode == "valid":
        pads = [(0, 0)] * n
    else:
        raise ValueError("mode must be one of ['full', 'same', 'valid']")
    out = lax.conv_general_dilated(
        x[None, None], fnp.flip(kernel)[None, None], (1,) * n, pads, precision=precision
    )
    return out[0, 0]


def convolve(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Any:
    """The convolution of two arrays of equal rank; method "fft" goes by transforms.

    Sizes: "full" m + n - 1, "same" as in1, "valid" the larger less the smaller plus 1; integers
    become floats. ValueError for other modes and methods, unequal ranks, or "valid" where neither
    fits into the other.
    """
    if method == "fft":
        return fftconvolve(in1, in2, mode)
    if method not in ("auto", "direct"):
        raise ValueError(f"Got {method=}; expected 'auto', 'fft', or 'direct'.")
    a, b = _args("convolve", in1, in2)
    if a.ndim != b.ndim:
        raise ValueError("Inputs must have the same number of dimensions.")
    if a.ndim == 1 and mode != "same":  # of which NumPy makes as many as the longer has
        return fnp.convolve(a, b, mode=mode, precision=precision)
    if mode == "same":
        full = _direct(a, b, "full", precision)
        return _centered(full, a.shape)
    a, b = _ordered(a, b, mode)
    return _direct(a, b, mode, precision)


def _ordered(a: Any, b: Any, mode: str) -> tuple[Any, Any]:
    no_swap = all(s >= t for s, t in zip(a.shape, b.shape))
    swap = all(s <= t for s, t in zip(a.shape, b.shape))
    if not (no_swap or swap):
        if mode == "valid":
            raise ValueError("One input must be smaller than the other in every dimension.")
        return a, b
    return (a, b) if no_swap else (b, a)


def correlate(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Any:
    """The cross-correlation of two arrays of equal rank.

    in1 with conj(in2) slid along it; modes, dtypes and errors as in `convolve`.
    """
    a, b = _args("correlate", in1, in2)
    return convolve(a, fnp.conj(fnp.flip(b)), mode, method, precision)


def convolve2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Any:
    """The convolution of two matrices.

    Modes, dtypes and errors as in `convolve`; ValueError for other ranks, NotImplementedError for
    boundaries other than zeros.
    """
    _plain(boundary, fillvalue)
    if np.ndim(in1) != 2 or np.ndim(in2) != 2:
        raise ValueError("convolve2d() only supports 2-dimensional inputs.")
    return convolve(in1, in2, mode, precision=precision)


def correlate2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Any:
    """The cross-correlation of two matrices.

    As `convolve2d`, with conj(in2) slid along in1.
    """
    _plain(boundary, fillvalue)
    if np.ndim(in1) != 2 or np.ndim(in2) != 2:
        raise ValueError("correlate2d() only supports 2-dimensional inputs.")
    return correlate(in1, in2, mode, precision=precision)


def _plain(boundary: str, fillvalue: float) -> None:
    if boundary != "fill" or fillvalue != 0:
        raise NotImplementedError("only boundary='fill' with fillvalue=0 is supported")


def fftconvolve(
    in1: Any, in2: Any, mode: str = "full", axes: int | Sequence[int] | None = None
) -> Any:
    """Convolution by transforms, along axes; the others broadcast.

    Real where both are; modes, sizes and errors as in `convolve`. Transforms are of the next sizes
    that have small factors alone.
    """
    a, b = _args("fftconvolve", in1, in2)
    if a.ndim != b.ndim:
        raise ValueError("in1 and in2 should have the same dimensionality")
    given = range(a.ndim) if axes is None else np.atleast_1d(axes).tolist()
    axes = tuple(k % a.ndim for k in given)
    if mode == "valid":
        a, b = _ordered(a, b, mode)
    sizes = {k: a.shape[k] + b.shape[k] - 1 for k in axes}
    quick = [fft.next_fast_len(n, True) for n in sizes.values()]
    if a.dtype.kind == "c":
        to, back = fnp.fft.fftn, fnp.fft.ifftn
    else:
        to, back = fnp.fft.rfftn, fnp.fft.irfftn
    out = back(to(a, quick, axes) * to(b, quick, axes), quick, axes)
    out = out[tuple(slice(sizes.get(k)) for k in range(out.ndim))]
    if mode == "full":
        return out
    if mode == "same":
        wanted = [a.shape[k] if k in axes else s for k, s in enumerate(out.shape)]
    elif mode == "valid":
        wanted = [a.shape[k] - b.shape[k] + 1 if k in axes else s for k, s in enumerate(out.shape)]
    else:
        raise ValueError("mode must be one of ['full', 'same', 'valid']")
    return _centered(out, wanted)


def _centered(x: Any, sizes: Sequence[int]) -> Any:
    index = tuple(slice((s - w) // 2, (s - w) // 2 + w) for s, w in zip(x.shape, sizes))
    return x[index]


def detrend(
    data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: None = None
) -> Any:
    """The data minus its mean ("constant") or its least-squares line between breakpoints
    ("linear").

    bp: indices where one line ends and the next begins. The shape stays. ValueError for other types
    and for breakpoints beyond the data.
    """
    if type not in ("constant", "linear"):
        raise ValueError("Trend type must be 'linear' or 'constant'.")
    (x,) = _args("detrend", data)
    if type == "constant":
        return x - fnp.mean(x, axis, keepdims=True)
    n = x.shape[axis]
    breaks = np.sort(np.unique(np.concatenate([[0], np.atleast_1d(bp), [n]]))).astype(int)
    if breaks[-1] > n:
        raise ValueError(
            "Breakpoints must be non-negative and less than length of data along given axis."
        )
    lines = fnp.moveaxis(x, axis, 0)
    shape = lines.shape
    lines = lines.reshape((n, -1))
    parts = []
    for low, high in itertools.pairwise(breaks):
        count = high - low
        t = np.arange(1, count + 1) / count
        basis = np.stack([t, np.ones(count)], axis=1)
        projector = fnp.asarray(basis @ np.linalg.pinv(basis)).astype(x.dtype)
        part = lines[low:high]
        parts.append(part - projector @ part)
    return fnp.moveaxis(fnp.concatenate(parts).reshape(shape), 0, axis)
