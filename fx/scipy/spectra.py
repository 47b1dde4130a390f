"""Spectra by windowed Fourier transforms: stft, istft, csd, welch (the public names are in
fx.scipy.signal).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx import numpy as fnp
from fx.numpy.util import promote_dtypes_inexact

__all__ = ["csd", "istft", "stft", "welch"]


def _window(window: Any, n: int) -> Any:
    """A periodic window by name, or the given values, which may be traced."""
    if isinstance(window, (str, tuple)):
        from scipy.signal import get_window

        return np.asarray(get_window(window, n))
    w = window if isinstance(window, core.Tracer) else np.asarray(window)
    if w.ndim != 1:
        raise ValueError(f"window must be 1-D, got shape {w.shape}")
    if w.shape[0] != n:
        raise ValueError(f"the window has {w.shape[0]} values, nperseg is {n}: they must be equal")
    return w


def _sizes(n: int, window: Any, nperseg: int | None, noverlap: int | None, nfft: int | None) -> Any:
    if nperseg is None:
        nperseg = 256 if isinstance(window, (str, tuple)) else len(window)
    nperseg = int(nperseg)
    if nperseg < 1:
        raise ValueError("nperseg must be a positive integer")
    nperseg = min(nperseg, n) if isinstance(window, (str, tuple)) else nperseg
    noverlap = nperseg // 2 if noverlap is None else int(noverlap)
    if noverlap >= nperseg:
        raise ValueError("noverlap must be less than nperseg.")
    nfft = nperseg if nfft is None else int(nfft)
    if nfft < nperseg:
        raise ValueError("nfft must be greater than or equal to nperseg.")
    return nperseg, noverlap, nfft


def _frames(x: Any, nperseg: int, step: int) -> Any:
    """Overlapping pieces of the last axis."""
    count = (x.shape[-1] - nperseg) // step + 1
    index = np.arange(count)[:, None] * step + np.arange(nperseg)[None, :]
    return x[..., index]


def _detrended(frames: Any, detrend: Any) -> Any:
    if not detrend:
        return frames
    if callable(detrend):
        return detrend(frames)
    from fx.scipy import signal

    return signal.detrend(frames, axis=-1, type=detrend)


def _transform(frames: Any, window: Any, nfft: int, onesided: bool) -> Any:
    weighted = frames * fnp.asarray(window.astype(fnp.real(frames).dtype))
    return fnp.fft.rfft(weighted, n=nfft) if onesided else fnp.fft.fft(weighted, n=nfft)


def _of_nothing(shape: tuple[int, ...], dtype: Any, real: int) -> tuple[Any, ...]:
    """What the spectrum of an array without elements is: `real` real arrays of its shape and a
    complex one, as in SciPy.
    """
    axes = [fnp.zeros(shape, fnp.finfo(dtype).dtype)] * real
    return *axes, fnp.zeros(shape, fnp.promote_types(dtype, np.complex64))


def _common_shape(arrays: list[Any], axis: int) -> tuple[int, ...]:
    """The shapes broadcast, but along the axis the shortest."""
    shapes = [list(a.shape) for a in arrays]
    shortest = min(s[axis] for s in shapes)
    for s in shapes:
        s[axis] = 1
    out = list(np.broadcast_shapes(*map(tuple, shapes)))
    out[axis] = shortest
    return tuple(out)


_EXTEND = {"zeros": "constant", "constant": "edge", "even": "reflect", "odd": "odd", None: None}


def stft(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int = 256,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
) -> tuple[Any, Any, Any]:
    """Frequencies, times, and the short-time Fourier transform.

    Frequencies in units of fs, times of the segments' middles in 1 / fs; the last is complex, with
    frequencies in place of the axis and times last. Windows are scaled to sum 1. ValueError for
    other boundaries, and for nfft < nperseg.
    """
    (x,) = (fnp.asarray(v) for v in promote_dtypes_inexact("stft", x))
    if x.size == 0:
        return _of_nothing(x.shape, x.dtype, 2)
    x = fnp.moveaxis(x, axis, -1)
    nperseg, noverlap, nfft = _sizes(x.shape[-1], window, nperseg, noverlap, nfft)
    if boundary not in _EXTEND:
        raise ValueError(f"Unknown boundary option '{boundary}', must be one of: {list(_EXTEND)}")
    half = nperseg // 2
    lead = [(0, 0)] * (x.ndim - 1)
    if boundary == "odd":
        x = fnp.pad(x, [*lead, (half, half)], mode="reflect", reflect_type="odd")
    elif boundary is not None:
        x = fnp.pad(x, [*lead, (half, half)], mode=_EXTEND[boundary])
    step = nperseg - noverlap
    if padded:
        missing = -(x.shape[-1] - nperseg) % step % nperseg
        x = fnp.pad(x, [*lead, (0, missing)])
    w = _window(window, nperseg)
    onesided = return_onesided and x.dtype.kind != "c"
    frames = _detrended(_frames(x, nperseg, step), detrend)
    out = _transform(frames, w, nfft, onesided) / w.sum()
    freqs = np.fft.rfftfreq(nfft, 1 / fs) if onesided else np.fft.fftfreq(nfft, 1 / fs)
    times = (np.arange(nperseg / 2, x.shape[-1] - nperseg / 2 + 1, step)) / float(fs)
    if boundary is not None:
        times = times - (nperseg / 2) / fs
    return (
        fnp.asarray(freqs),
        fnp.asarray(times),
        fnp.moveaxis(fnp.swapaxes(out, -1, -2), -2, _place(axis)),
    )


def _place(axis: int) -> int:
    """The frequency axis takes the place of the signal's; time comes last."""
    return axis - 1 if axis < 0 else axis


def istft(
    Zxx: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Any, Any]:
    """Times and the signal of a short-time Fourier transform, by weighted overlap and add."""
    z = fnp.asarray(Zxx)
    if z.ndim < 2:
        raise ValueError("Input stft must be at least 2d!")
    if freq_axis == time_axis:
        raise ValueError("Must specify differing time and frequency axes!")
    z = fnp.moveaxis(z, (freq_axis, time_axis), (-2, -1))
    default = 2 * (z.shape[-2] - 1) if input_onesided else z.shape[-2]
    nperseg = default if nperseg is None else int(nperseg)
    nfft = (
        (default if nperseg in (default, default + 1) else nperseg) if nfft is None else int(nfft)
    )
    if input_onesided and nperseg == default + 1 and nfft == default:
        nfft = nperseg
    noverlap = nperseg // 2 if noverlap is None else int(noverlap)
    if noverlap >= nperseg:
        raise ValueError(f"noverlap must be less than nperseg, got {noverlap} and {nperseg}.")
    if nfft < nperseg:
        raise ValueError(f"FFT length ({nfft}) must be longer than nperseg ({nperseg}).")
    step = nperseg - noverlap
    w = _window(window, nperseg)
    frames = fnp.swapaxes(z, -1, -2)
    pieces = fnp.fft.irfft(frames, n=nfft) if input_onesided else fnp.fft.ifft(frames, n=nfft)
    pieces = pieces[..., :nperseg] * w.sum()
    real = fnp.real(pieces).dtype
    weighted = pieces * fnp.asarray(w.astype(real))
    count = pieces.shape[-2]
    length = nperseg + (count - 1) * step
    index = (np.arange(count)[:, None] * step + np.arange(nperseg)[None, :]).ravel()
    flat = weighted.reshape((*weighted.shape[:-2], -1))
    total = fnp.zeros((*flat.shape[:-1], length), flat.dtype).at[..., index].add(flat)
    squares = w.astype(real) ** 2
    norm = fnp.zeros(length, real).at[index].add(fnp.tile(squares, count))
    out = total / fnp.where(norm > 1e-10, norm, 1)
    if boundary:
        half = nperseg // 2
        out = out[..., half : length - half]
    times = np.arange(out.shape[-1]) / float(fs)
    if out.ndim > 1:
        freq, time = freq_axis % z.ndim, time_axis % z.ndim
        out = fnp.moveaxis(out, -1, time - (freq < time))
    return fnp.asarray(times), out


def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """Frequencies and the cross spectral density of x and y (of x alone if y is None).

    conj(X) Y of windowed segments (half overlapping unless given), meaned; "density" per unit of
    frequency, "spectrum" as squares of amplitudes; one-sided spectra of reals are doubled.
    Frequencies in units of fs. ValueError for other scalings and averages.
    """
    if scaling not in ("density", "spectrum"):
        raise ValueError(f"Unknown scaling: {scaling!r}")
    if average not in ("mean", "median"):
        raise ValueError(f"average must be 'median' or 'mean', got {average}")
    given = [fnp.asarray(v) for v in promote_dtypes_inexact("csd", *([x] if y is None else [x, y]))]
    if any(v.size == 0 for v in given):
        freqs, power = _of_nothing(_common_shape(given, axis), given[0].dtype, 1)
        return freqs, power if y is not None else power.real
    arrays = [fnp.moveaxis(v, axis, -1) for v in given]
    longest = max(a.shape[-1] for a in arrays)
    arrays = [fnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, longest - a.shape[-1])]) for a in arrays]
    nperseg, noverlap, nfft = _sizes(longest, window, nperseg, noverlap, nfft)
    w = _window(window, nperseg)
    onesided = return_onesided and arrays[0].dtype.kind != "c"
    spectra = [
        _transform(_detrended(_frames(a, nperseg, nperseg - noverlap), detrend), w, nfft, onesided)
        for a in arrays
    ]
    scale = 1.0 / (fs * (w * w).sum()) if scaling == "density" else 1.0 / w.sum() ** 2
    power = fnp.conj(spectra[0]) * spectra[-1] * scale
    if onesided:
        last = None if nfft % 2 else -1
        power = power.at[..., 1:last].multiply(2)
    if y is None:
        power = power.real
    power = fnp.swapaxes(power, -1, -2)
    if average == "mean":
        power = fnp.mean(power, axis=-1)
    else:
        n = power.shape[-1]
        odd = np.arange(1, (n - 1) // 2 + 1) * 2
        bias = 1 + np.sum(1.0 / (odd + 1) - 1.0 / odd)
        if power.dtype.kind == "c":
            power = fnp.median(power.real, axis=-1) + 1j * fnp.median(power.imag, axis=-1)
        else:
            power = fnp.median(power, axis=-1)
        power = power / bias
    freqs = np.fft.rfftfreq(nfft, 1 / fs) if onesided else np.fft.fftfreq(nfft, 1 / fs)
    return fnp.asarray(freqs), fnp.moveaxis(power, -1, axis)


def welch(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """Frequencies and the power spectral density by Welch's method.

    It is csd of x with itself, real (Welch 1967).
    """
    freqs, power = csd(
        x,
        None,
        fs,
        window,
        nperseg,
        noverlap,
        nfft,
        detrend,
        return_onesided,
        scaling,
        axis,
        average,
    )
    return freqs, power.real
