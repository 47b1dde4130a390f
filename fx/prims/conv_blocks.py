"""Large convolutions of NumPy: windows are copied in blocks that stay in the second-level cache,
and each block is one product with the kernel.

In: (N, C, *space) in any order of memory, and (O, C, *taps). Out: (N, O, *space), channels last in
memory. Blocks come from the shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from fx.prims.window import Windows, window_views

LARGE = 1 << 18
"""Elements of all windows together; fewer are one product."""

BLOCK = 1 << 18
"""Elements: a megabyte of float32."""

ROWS = 256
"""A block has so many windows at least, or a product spends its time on the kernel's panels."""


def worth(x: np.ndarray, w: np.ndarray, windows: Windows) -> bool:
    """Whether the windows of x take much memory, of a type that BLAS multiplies."""
    places = x.shape[0] * prod(windows.result_shape(x.shape[2:]))
    return x.dtype.char in "fd" and places * prod(w.shape[1:]) >= LARGE


def correlate(x: np.ndarray, w: np.ndarray, windows: Windows) -> np.ndarray:
    """out[n, o, p] = sum over c, t of x[n, c, p * stride + t] w[o, c, t]; no axis is empty."""
    from fx.prims.parts import pad_p

    rank = x.ndim - 2
    last = (0, *range(2, rank + 2), 1)
    config = ((0, 0, 0), *windows.pad_config(), (0, 0, 0))
    padded = pad_p.numpy(x.transpose(last), np.zeros((), x.dtype), padding_config=config)
    views = window_views(padded, windows.with_axis(0).with_axis(rank + 1))
    views = np.moveaxis(views[(..., 0, *(slice(None),) * rank, 0)], rank + 1, -1)
    kernel = np.ascontiguousarray(w.transpose(*range(2, rank + 2), 1, 0)).reshape(-1, w.shape[0])
    out = np.empty((*views.shape[: rank + 1], w.shape[0]), x.dtype)
    some = np.empty(0, x.dtype)
    for at in _blocks(out.shape[:-1], kernel.shape[0]):
        part = views[at]
        if some.size < part.size:
            some = np.empty(part.size, x.dtype)
        rows = some[: part.size].reshape(part.shape)
        rows[...] = part
        target = out[at].reshape(-1, w.shape[0])
        np.matmul(rows.reshape(target.shape[0], -1), kernel, out=target)
    return out.transpose(0, rank + 1, *range(1, rank + 1))


def _blocks(places: Sequence[int], window: int) -> Iterator[Any]:
    """Indices of whole images, or of rows (of the first axis of space) of one image."""
    images, *space = places
    most = max(ROWS, BLOCK // window)
    if prod(space) <= most:
        step = most // prod(space)
        yield from (slice(k, k + step) for k in range(0, images, step))
    else:
        step = max(1, most // prod(space[1:]))
        for k in range(images):
            yield from ((k, slice(r, r + step)) for r in range(0, space[0], step))
