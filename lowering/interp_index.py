"""The interpreter's forms that need index arithmetic: folds, pads, windows, gather, scatter, bits.

Gather and scatter are XLA's: an index vector is the start of a window; a window that does not fit
is moved inside (clip), answered with the fill value (gather) or dropped whole (scatter).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lowering import scalar

_UFUNCS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
_BITWISE = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}


def ufunc(op: str, dtype: np.dtype) -> np.ufunc:
    """The NumPy function that folds with `op`; on bool, bitwise is logical."""
    if op == "logaddexp":
        return np.frompyfunc(_logaddexp, 2, 1) if dtype.kind == "c" else np.logaddexp
    return _UFUNCS.get(op) or _BITWISE[op]


def _logaddexp(x: complex, y: complex) -> complex:
    """NumPy has none of complex numbers."""
    big, small = (x, y) if x.real >= y.real else (y, x)
    return big + (np.log1p(np.exp(small - big)) if small.real > -np.inf else 0)


def fold(op: str, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """x folded over `axes` in its own dtype."""
    start = scalar.identity(op, x.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(ufunc(op, x.dtype).reduce(x, axis=axes, dtype=x.dtype, initial=start))


def pad(x, fill, low, high, interior) -> np.ndarray:
    """x with `interior` fills between elements and low, high (negative: crop) at the edges."""
    sizes = zip(low, high, x.shape, interior)
    shape = [max(0, lo + hi + n + max(n - 1, 0) * i) for lo, hi, n, i in sizes]
    out = np.full(shape, fill, x.dtype)
    source, target = [], []
    for lo, n, i, size in zip(low, x.shape, interior, shape):
        step = i + 1
        first = max(0, -(lo // step)) if lo < 0 else 0
        last = min(n, -(-(size - lo) // step))  # the first element beyond the high edge
        source.append(slice(first, max(first, last)))
        start = lo + first * step
        target.append(slice(start, start + max(0, last - first) * step, step))
    out[tuple(target)] = x[tuple(source)]
    return out


# ---------------------------------------------------------------- windows


def _windows(x, sizes, strides, dilations) -> np.ndarray:
    """x [*lead, *spatial] to [*lead, *out, *sizes]; sizes and the rest are for the last axes."""
    lead = x.ndim - len(sizes)
    spans = [(size - 1) * d + 1 for size, d in zip(sizes, dilations)]
    if any(n < span for n, span in zip(x.shape[lead:], spans)):
        outs = [max(0, (n - s) // step + 1) for n, s, step in zip(x.shape[lead:], spans, strides)]
        return np.zeros((*x.shape[:lead], *outs, *sizes), x.dtype)
    view = sliding_window_view(x, spans, axis=tuple(range(lead, x.ndim)))
    cuts = [slice(None)] * lead + [slice(None, None, s) for s in strides]
    return view[(*cuts, *(slice(None, None, d) for d in dilations))]


def convolve(x, w, form) -> np.ndarray:
    """Correlation of x [N, C, *spatial] with w [O, C/groups, *window], group by group."""
    rank = x.ndim - 2
    low, high = zip(*form.padding) if rank else ((), ())
    interior = (0, 0, *(d - 1 for d in form.lhs_dilation))
    x = pad(x, x.dtype.type(0), (0, 0, *low), (0, 0, *high), interior)
    views = _windows(x, w.shape[2:], form.strides, form.rhs_dilation)
    channels, features = w.shape[1], w.shape[0] // form.groups
    window_axes = tuple(range(2 + rank, 2 + 2 * rank))
    parts = []
    with np.errstate(all="ignore"):
        for k in range(form.groups):
            part = views[:, k * channels : (k + 1) * channels]
            weights = w[k * features : (k + 1) * features]
            axes = ((1, *window_axes), tuple(range(1, w.ndim)))
            parts.append(np.moveaxis(np.tensordot(part, weights, axes), -1, 1))
    return np.concatenate(parts, axis=1)


def fold_windows(x, init, form) -> np.ndarray:
    """Windows of x folded; what padding and dilation add is `init`, as XLA's reduce_window."""
    low, high = zip(*form.padding) if x.ndim else ((), ())
    x = pad(x, init, low, high, tuple(d - 1 for d in form.base_dilation))
    views = _windows(x, form.size, form.strides, form.window_dilation)
    folded = fold(form.op, views, tuple(range(x.ndim, 2 * x.ndim)))
    with np.errstate(all="ignore"):
        return ufunc(form.op, x.dtype)(folded, init)


# ---------------------------------------------------------------- gather, scatter


def _signed(indices: np.ndarray) -> np.ndarray:
    if indices.dtype == np.uint64:
        indices = np.minimum(indices, np.uint64(2**62))
    return indices.astype(np.int64)


def clamped_cuts(shape, window, starts) -> tuple[slice, ...]:
    """Slices of a window, moved so that it lies inside `shape`."""
    cuts = []
    for n, size, start in zip(shape, window, starts, strict=True):
        first = min(max(int(start), 0), n - size)
        cuts.append(slice(first, first + size))
    return tuple(cuts)


def _starts(shape, indices, sizes, form) -> tuple[list, np.ndarray]:
    """Per axis of x the window's start for every index vector (clamped), and whether all fit."""
    batch = indices.shape[:-1]
    starts: list = [0] * len(shape)
    fits = np.ones(batch, bool)
    for j, axis in enumerate(form.start_map):
        raw, limit = indices[..., j], shape[axis] - sizes[axis]
        if getattr(form, "wrap", False):
            raw = np.where(raw < 0, raw + shape[axis], raw)
        fits &= (raw >= 0) & (raw <= limit)
        starts[axis] = np.clip(raw, 0, max(limit, 0))
    for axis, index_axis in zip(form.x_batch, form.index_batch):
        along = [1] * len(batch)
        along[index_axis] = batch[index_axis]
        starts[axis] = np.arange(batch[index_axis]).reshape(along)
    return starts, fits


def _coordinates(starts, batch_ndim, window_axes, sizes) -> list[np.ndarray]:
    """Index arrays of x over [*batch, *window]: starts plus the offset in the window."""
    rank = batch_ndim + len(window_axes)
    coordinates = []
    for axis, start in enumerate(starts):
        start = np.asarray(start)
        position = start.reshape(start.shape + (1,) * (rank - start.ndim)) if start.ndim else start
        if axis in window_axes:
            along = [1] * rank
            along[batch_ndim + window_axes.index(axis)] = sizes[axis]
            position = position + np.arange(sizes[axis]).reshape(along)
        coordinates.append(position)
    return coordinates


def gather(x, indices, fill, form, shape) -> np.ndarray:
    indices = _signed(indices)
    batch = indices.shape[:-1]
    window_axes = [k for k in range(x.ndim) if k not in form.collapsed and k not in form.x_batch]
    full = (*batch, *(form.sizes[k] for k in window_axes))
    starts, fits = _starts(x.shape, indices, form.sizes, form)
    if 0 in full or 0 in x.shape:
        out = np.full(full, 0 if fill is None else fill, x.dtype)
    else:
        coordinates = _coordinates(starts, len(batch), window_axes, form.sizes)
        out = np.broadcast_to(x[tuple(coordinates)] if x.ndim else x, full)
    if form.mode == "fill":
        assert fill is not None, "a gather that fills needs its fill operand"
        out = np.where(fits.reshape(batch + (1,) * len(window_axes)), out, fill)
    order = _interleave(len(shape), form.offset_dims, len(batch))
    return out.transpose(order).astype(x.dtype, copy=False)


def _interleave(ndim: int, window_dims, batch_ndim: int) -> list[int]:
    """For each of `ndim` axes, which axis of [*batch, *window] it is."""
    order, batch = [], 0
    for axis in range(ndim):
        if axis in window_dims:
            order.append(batch_ndim + list(window_dims).index(axis))
        else:
            order.append(batch)
            batch += 1
    return order


def scatter(x, indices, updates, form) -> np.ndarray:
    """x with updates put in, one after the other in the order of their index vectors."""
    indices = _signed(indices)
    batch = indices.shape[:-1]
    window_axes = [k for k in range(x.ndim) if k not in form.inserted and k not in form.x_batch]
    order = _interleave(updates.ndim, form.window_dims, len(batch))
    updates = updates.transpose(np.argsort(order))  # now [*batch, *window]
    sizes = [1] * x.ndim
    for k, n in zip(window_axes, updates.shape[len(batch) :]):
        sizes[k] = n
    starts, fits = _starts(x.shape, indices, sizes, form)
    out = x.copy()
    if updates.size == 0 or x.size == 0:
        return out
    coordinates = _coordinates(starts, len(batch), window_axes, sizes)
    coordinates = [np.broadcast_to(c, updates.shape) for c in coordinates]
    if form.mode != "clip":
        keep = np.broadcast_to(fits.reshape(batch + (1,) * len(window_axes)), updates.shape)
        coordinates = [c[keep] for c in coordinates]
        updates = updates[keep]
    if x.ndim == 0:
        coordinates = [np.zeros(updates.shape, np.int64)]
    target, where = np.atleast_1d(out), tuple(coordinates)
    if form.op == "set":
        target[where] = updates
    else:
        with np.errstate(all="ignore"):
            ufunc(form.op, x.dtype).at(target, where, updates)
    return target.reshape(x.shape)


# ---------------------------------------------------------------- random bits


def threefry2x32(k0, k1, c0, c1) -> tuple[np.ndarray, np.ndarray]:
    """Threefry 2x32 of 20 rounds (Salmon et al., SC11)."""
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    with np.errstate(over="ignore"):
        x0, x1 = c0 + k0, c1 + k1
        for group in range(5):
            for r in rotations[group % 2]:
                x0 = x0 + x1
                x1 = ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r))) ^ x0
            x0 = x0 + keys[(group + 1) % 3]
            x1 = x1 + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1
