"""One array sorted on the host: NumPy's vector sort, in parts at once.

NumPy lets others run while it sorts. Rows, or columns, go to two threads in halves; one long row is
parted at its median first, in a tenth of the time that it is sorted in. The halves come from the
shape alone, so the bits are the same on any number of cores.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import numpy as np

LONG = 1 << 19  # elements in rows from which halves are worth a thread
COLUMNS = 1 << 17  # the same in columns, each of which NumPy copies to sort it
_NEGATIVE_ZERO = {  # by dtypes of floats: as which integers, and which of them, it is seen
    np.dtype(np.float32): (np.dtype(np.int32), np.int32(-(1 << 31))),
    np.dtype(np.float64): (np.dtype(np.int64), np.int64(-(1 << 63))),
}


def sort(x: np.ndarray, dim: int) -> np.ndarray:
    """A sorted copy along `dim`, NaN last; equal elements, which are zeros of both signs, keep
    their order.
    """
    if x.dtype.kind not in "iuf" or x.dtype == np.float16:  # of which NumPy makes other NaNs
        return np.sort(x, axis=dim, kind="stable")
    if x.size >= LONG and x.size == x.shape[dim] and x.dtype.itemsize >= 4:
        middle = x.size // 2
        out = np.partition(x, middle, axis=dim)
        row = out.reshape(-1)
        _both(row[:middle].sort, row[middle:].sort)
        _mend_zeros(out, x, dim)
        return out
    out = np.array(x, order="C")
    others = [d for d in range(x.ndim) if d != dim]
    if not others or x.size < (LONG if dim == x.ndim - 1 else COLUMNS):
        _sort_in_place(out, x, dim)
        return out
    other = max(others, key=lambda d: x.shape[d])
    halves = []
    for half in (slice(None, x.shape[other] // 2), slice(x.shape[other] // 2, None)):
        part = (slice(None),) * other + (half,)
        halves.append(partial(_sort_in_place, out[part], x[part], dim))
    _both(*halves)
    return out


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    """Two calls at once, neither of which raises."""
    other = threading.Thread(target=first)
    other.start()
    second()
    other.join()


def _sort_in_place(out: np.ndarray, x: np.ndarray, dim: int) -> None:
    """Sort `out`, a copy of x."""
    out.sort(axis=dim)
    _mend_zeros(out, x, dim)


def _mend_zeros(out: np.ndarray, x: np.ndarray, dim: int) -> None:
    """Give the zeros of a sorted array their order in x: NumPy's vector sort is not stable, which
    shows in them alone (four million floats: 34 ms, by its stable sort 180).
    """
    if out.dtype.kind == "f":
        integers, seen = _NEGATIVE_ZERO[out.dtype]
        if (out.view(integers) == seen).any():
            rows, given = np.moveaxis(out, dim, -1), np.moveaxis(x, dim, -1)
            rows[rows == 0] = given[given == 0]
