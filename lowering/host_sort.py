"""One array sorted on the host: NumPy's vector sort, of a long row in halves at once.

NumPy parts a row at its median in a tenth of the time that it sorts it in, and lets others run
meanwhile. Halves come from the length alone, so the bits are the same on any number of cores.
"""

from __future__ import annotations

import threading

import numpy as np

LONG = 1 << 19  # elements from which halves are worth a thread


def sort(x: np.ndarray, dim: int) -> np.ndarray:
    """A sorted copy along `dim`, NaN last."""
    long = x.size >= LONG and x.size == x.shape[dim]
    if not long or x.dtype.kind not in "iuf" or x.dtype.itemsize < 4:
        return np.sort(x, axis=dim)
    middle = x.size // 2
    out = np.partition(x, middle, axis=dim)
    row = out.reshape(-1)
    other = threading.Thread(target=row[:middle].sort)
    other.start()
    row[middle:].sort()
    other.join()
    return out
