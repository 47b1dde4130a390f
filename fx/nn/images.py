"""Rearranged and resampled images: pixel_shuffle, grid_sample, im2col, col2im; bilinear forms,
bags of embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.nn.convolution import Size, _each

__all__ = [
    "bilinear",
    "col2im",
    "embedding",
    "embedding_bag",
    "grid_sample",
    "im2col",
    "pixel_shuffle",
    "pixel_unshuffle",
]


def pixel_shuffle(x: Any, factor: int) -> Any:
    """[..., c r^2, h, w] -> [..., c, h r, w r].

    out[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w] (Shi et al. 2016). ValueError where r^2 does
    not divide the channels.
    """
    x = fnp.asarray(x)
    *lead, c, h, w = x.shape
    if c % factor**2:
        raise ValueError(f"pixel_shuffle: {c} channels do not divide by {factor}^2")
    k, n = c // factor**2, len(lead)
    x = x.reshape((*lead, k, factor, factor, h, w))
    x = fnp.transpose(x, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return x.reshape((*lead, k, h * factor, w * factor))


def pixel_unshuffle(x: Any, factor: int) -> Any:
    """The inverse of pixel_shuffle.

    [..., c, h r, w r] -> [..., c r^2, h, w]. ValueError where the factor does not divide the sizes.
    """
    x = fnp.asarray(x)
    *lead, c, h, w = x.shape
    if h % factor or w % factor:
        raise ValueError(f"pixel_unshuffle: {h} x {w} does not divide by {factor}")
    n = len(lead)
    x = x.reshape((*lead, c, h // factor, factor, w // factor, factor))
    x = fnp.transpose(x, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return x.reshape((*lead, c * factor**2, h // factor, w // factor))


# ---------------------------------------------------------------- sampling


def grid_sample(
    image: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Any:
    """Values of [n, c, h, w] at points [n, h', w', (x, y)] in [-1, 1]; the image's corners are +-1.

    padding_mode says what lies outside: zeros, border or reflection.
    Corners are the outer edges of corner pixels, or their centres with align_corners. The result is
    [n, c, h', w']; mode 'nearest' rounds halves to even. ValueError for other modes.
    """
    image, grid = fnp.asarray(image), fnp.asarray(grid)
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"grid_sample: mode must be 'bilinear' or 'nearest', got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: unknown padding_mode {padding_mode!r}")
    h, w = image.shape[2:]
    x = _position(grid[..., 0], w, padding_mode, align_corners)
    y = _position(grid[..., 1], h, padding_mode, align_corners)
    if mode == "nearest":
        return _at(image, fnp.rint(y), fnp.rint(x))
    x0, y0 = fnp.floor(x), fnp.floor(y)
    fx_, fy = x - x0, y - y0
    out = 0.0
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx_), (1, fx_)):
            out = out + _at(image, y0 + dy, x0 + dx) * (wy * wx)[:, None]
    return out


def _position(g: Any, size: int, padding_mode: str, align: bool) -> Any:
    """From [-1, 1] to array positions."""
    p = (g + 1) / 2 * (size - 1) if align else ((g + 1) * size - 1) / 2
    if padding_mode == "border":
        return fnp.clip(p, 0, size - 1)
    if padding_mode == "reflection":
        low, span = (0.0, float(size - 1)) if align else (-0.5, float(size))
        if span == 0:
            return p * 0
        q = fnp.abs(p - low)
        turns = fnp.floor(q / span)
        rest = q - turns * span
        q = fnp.where(fnp.remainder(turns, 2) == 0, rest + low, span - rest + low)
        return fnp.clip(q, 0, size - 1)
    return p


def _at(image: Any, y: Any, x: Any) -> Any:
    """image[n, :, y, x], zero outside, as [n, c, h', w']."""
    n, _, h, w = image.shape
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    iy = fnp.clip(y, 0, h - 1).astype(np.int32)
    ix = fnp.clip(x, 0, w - 1).astype(np.int32)
    lead = fnp.arange(n)[:, None, None]
    values = fnp.moveaxis(image[lead, :, iy, ix], -1, 1)
    return fnp.where(inside[:, None], values, 0)


# ---------------------------------------------------------------- patches


def im2col(x: Any, kernel: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> Any:
    """Patches as columns: [n, c, *space] -> [n, c * prod(kernel), number of patches].

    A vector [length] gives [kernel, number of patches] transposed to rows: [number of patches,
    kernel].
    """
    x = fnp.asarray(x)
    if x.ndim == 1:
        return _patches(x[None, None], kernel, stride, padding, dilation)[0].T
    return _patches(x, kernel, stride, padding, dilation)


def _patches(x: Any, kernel: Size, stride: Size, padding: Size, dilation: Size) -> Any:
    n = x.ndim - 2
    out = lax.conv_general_dilated_patches(
        x,
        _each(kernel, n),
        _each(stride, n),
        [(p, p) for p in _each(padding, n)],
        rhs_dilation=_each(dilation, n),
    )
    return out.reshape((*out.shape[:2], -1))


def col2im(
    columns: Any,
    shape: Sequence[int],
    kernel: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
) -> Any:
    """The transpose of im2col: overlapping patches add up in an array of `shape`.

    Places in the padding are dropped. columns [n, c prod(kernel), patches].
    """
    import fx

    columns = fnp.asarray(columns)
    like = fx.ShapeDtypeStruct(tuple(shape), columns.dtype)
    back = fx.linear_transpose(lambda x: im2col(x, kernel, stride, padding, dilation), like)
    return back(columns)[0]


# ---------------------------------------------------------------- forms and tables


def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    """x1^T A_k x2 + b_k for each output k: weight is [out, in1, in2].

    x1 [..., in1] and x2 [..., in2] give [..., out].
    """
    x1, x2, weight = fnp.asarray(x1), fnp.asarray(x2), fnp.asarray(weight)
    if weight.ndim == 2:
        weight = weight[None]
    out = fnp.einsum("...i,kij,...j->...k", x1, weight, x2)
    return out if bias is None else out + bias


def embedding(table: Any, indices: Any) -> Any:
    """Rows of a table [n, d] at integer indices [...]: [..., d].

    Indices are clipped into the table. The derivative adds rows up where indices repeat.

    >>> import fx.numpy as fnp
    >>> embedding(fnp.array([[1.0, 2.0], [3.0, 4.0]]), fnp.array([1, 0, 1]))
    Array([[3., 4.],
           [1., 2.],
           [3., 4.]], dtype=float32)
    """
    return fnp.take(fnp.asarray(table), fnp.asarray(indices), axis=0, mode="clip")


def embedding_bag(
    table: Any, indices: Any, offsets: Any, mode: str = "sum", weights: Any = None
) -> Any:
    """One reduced row per bag; bag i holds indices[offsets[i] : offsets[i + 1]]; empty bags give 0.

    The result is [bags, d]; mode 'sum', 'mean' or 'max' (ValueError otherwise). weights
    [len(indices)] scale rows before the fold.
    """
    from fx import ops

    table, indices, offsets = (fnp.asarray(v) for v in (table, indices, offsets))
    bags, n = offsets.shape[0], indices.shape[0]
    segment = fnp.sum(fnp.arange(n)[:, None] >= offsets[None, :], axis=1) - 1
    rows = embedding(table, indices)
    if weights is not None:
        rows = rows * fnp.asarray(weights)[:, None]
    if mode == "max":
        out = ops.segment_max(rows, segment, bags)
        filled = ops.segment_sum(fnp.ones(n, np.int32), segment, bags) > 0
        return fnp.where(filled[:, None], out, 0)
    total = ops.segment_sum(rows, segment, bags)
    if mode == "sum":
        return total
    if mode != "mean":
        raise ValueError(f"embedding_bag: mode must be 'sum', 'mean' or 'max', got {mode!r}")
    count = ops.segment_sum(fnp.ones(n, table.dtype), segment, bags)
    return total / fnp.maximum(count, 1)[:, None]
