"""fx.lax.fft: the discrete Fourier transform over the last axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from fx.core import get_aval
from fx.prims import fft as prim
from fx.prims.convert import convert
from fx.prims.fft import FftType
from fx.typing import Array

__all__ = ["FftType", "fft"]


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Array:
    """The transform of kind 'fft', 'ifft', 'rfft' or 'irfft' over the last len(fft_lengths) axes.

    fft_lengths: sizes of the transformed axes on the real side. Raises ValueError where they do not
    fit x, TypeError for dtypes other than 32 or 64 bit floats and their complex forms.

    >>> fft(fx.numpy.ones(4), 'rfft', (4,))
    Array([4.+0.j, 0.+0.j, 0.+0.j], dtype=complex64)
    """
    if isinstance(fft_type, str):
        try:
            fft_type = FftType[fft_type.upper()]
        except KeyError:
            raise ValueError(f"Unknown FFT type '{fft_type}'") from None
    kind = FftType(fft_type)
    if kind is FftType.RFFT:
        if get_aval(x).dtype.kind == "c":
            raise ValueError("only real valued inputs supported for rfft")
        if get_aval(x).dtype.kind != "f":
            x = convert(x, "float32")
    else:
        x = prim.fft_complex_operand(x)
    return prim.fft(x, kind, tuple(map(operator.index, fft_lengths)))
