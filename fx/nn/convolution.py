"""Convolutions and pools of [batch, channels, *space] arrays; unbatched [channels, *space] works
too.

Thin covers of lax.conv_general_dilated and lax.reduce_window with the argument names of the layers
people know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
]

Size = int | Sequence[int]


def _each(v: Size, n: int) -> tuple[int, ...]:
    out = (v,) * n if isinstance(v, int) else tuple(v)
    if len(out) != n:
        raise ValueError(f"expected one value or {n}, got {v}")
    return out


# ---------------------------------------------------------------- convolution


def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Any = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of [n, c, *space] with [out, c / groups, *kernel].

    The dtype is the common one of x and weight. padding: zeros on both sides of each axis, or a
    name as in `lax.conv_general_dilated`, which also says what raises.
    """
    x, weight = fnp.asarray(x), fnp.asarray(weight)
    n = weight.ndim - 2
    batched = x.ndim == n + 2
    out = lax.conv_general_dilated(
        *_same_dtype(x if batched else x[None], weight),
        _each(stride, n),
        padding if isinstance(padding, str) else [(p, p) for p in _each(padding, n)],
        rhs_dilation=_each(dilation, n),
        feature_group_count=groups,
    )
    out = _biased(out, bias, n)
    return out if batched else out[0]


def _same_dtype(x: Any, w: Any) -> tuple[Any, Any]:
    d = fnp.result_type(x, w)
    return x.astype(d), w.astype(d)


def _biased(out: Any, bias: Any, n: int) -> Any:
    return out if bias is None else out + fnp.asarray(bias).reshape((-1,) + (1,) * n)


def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    """The transpose of `conv` (its derivative by x): [n, c, *space] with [c, out / groups,
    *kernel].

    Sizes are (n - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.
    """
    x, weight = fnp.asarray(x), fnp.asarray(weight)
    n = weight.ndim - 2
    batched = x.ndim == n + 2
    kernel = weight.shape[2:]
    s, p, extra, d = (_each(v, n) for v in (stride, padding, output_padding, dilation))
    c, per_group = weight.shape[:2]
    w = weight.reshape((groups, c // groups, per_group, *kernel)).swapaxes(1, 2)
    w = fnp.flip(w.reshape((groups * per_group, c // groups, *kernel)), tuple(range(2, 2 + n)))
    pads = [
        (d[k] * (kernel[k] - 1) - p[k], d[k] * (kernel[k] - 1) - p[k] + extra[k]) for k in range(n)
    ]
    out = lax.conv_general_dilated(
        *_same_dtype(x if batched else x[None], w),
        (1,) * n,
        pads,
        lhs_dilation=s,
        rhs_dilation=d,
        feature_group_count=groups,
    )
    out = _biased(out, bias, n)
    return out if batched else out[0]


conv1d = conv2d = conv3d = conv
conv_transpose1d = conv_transpose2d = conv_transpose3d = conv_transpose


# ---------------------------------------------------------------- pools


def _window(x: Any, n: int, kernel: Size, stride: Size | None, padding: Size) -> Any:
    k = _each(kernel, n)
    s = k if stride is None else _each(stride, n)
    lead = (1,) * (x.ndim - n)
    pads = [(0, 0)] * len(lead) + [(p, p) for p in _each(padding, n)]
    return lead + k, lead + s, pads


def _space(kernel: Size, n: int | None, x: Any) -> int:
    if n is not None:
        return n
    return max(x.ndim - 2, 1) if isinstance(kernel, int) else len(kernel)


def max_pool(
    x: Any, kernel: Size, stride: Size | None = None, padding: Size = 0, *, n: int | None = None
) -> Any:
    """The largest value of each window; the stride defaults to the window; padding never wins.

    Sizes are floor((n + 2 padding - kernel) / stride) + 1 over the last n axes (those that the
    kernel counts; for one number x.ndim - 2, at least 1). The dtype stays. ValueError where counts
    differ.
    """
    x = fnp.asarray(x)
    window, strides, pads = _window(x, _space(kernel, n, x), kernel, stride, padding)
    low = -np.inf if fnp.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
    return lax.reduce_window(x, x.dtype.type(low), lax.max, window, strides, pads)


def avg_pool(
    x: Any,
    kernel: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
    *,
    n: int | None = None,
) -> Any:
    """The mean of each window; without count_include_pad padded places are not counted.

    Axes and sizes as in `max_pool`; sums are divided in the dtype of x, integers become floats.
    """
    x = fnp.asarray(x)
    window, strides, pads = _window(x, _space(kernel, n, x), kernel, stride, padding)
    zero = x.dtype.type(0)
    total = lax.reduce_window(x, zero, lax.add, window, strides, pads)
    if count_include_pad:
        return total / np.prod(window).astype(x.dtype)
    ones = fnp.ones(x.shape, x.dtype)
    return total / lax.reduce_window(ones, zero, lax.add, window, strides, pads)


def max_pool1d(x: Any, kernel: Size, stride: Size | None = None, padding: Size = 0) -> Any:
    """max_pool over the last axis.

    kernel, stride and padding are one number each.
    """
    return max_pool(x, kernel, stride, padding, n=1)


def max_pool2d(x: Any, kernel: Size, stride: Size | None = None, padding: Size = 0) -> Any:
    """max_pool over the last two axes.

    kernel, stride and padding are one number or a pair.
    """
    return max_pool(x, kernel, stride, padding, n=2)


def avg_pool1d(
    x: Any,
    kernel: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Any:
    """avg_pool over the last axis.

    kernel, stride and padding are one number each.
    """
    return avg_pool(x, kernel, stride, padding, count_include_pad, n=1)


def avg_pool2d(
    x: Any,
    kernel: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Any:
    """avg_pool over the last two axes.

    kernel, stride and padding are one number or a pair.
    """
    return avg_pool(x, kernel, stride, padding, count_include_pad, n=2)


def _adaptive(x: Any, sizes: Sequence[int | None], fold: Any) -> Any:
    """Bin i of m over an axis of n holds floor(i n / m) up to ceil((i + 1) n / m), axis by axis."""
    x = fnp.asarray(x)
    for k, m in enumerate(sizes):
        axis = x.ndim - len(sizes) + k
        n = x.shape[axis]
        if m is None or m == n:
            continue
        if n % m == 0:
            shape = (*x.shape[:axis], m, n // m, *x.shape[axis + 1 :])
            x = fold(x.reshape(shape), axis=axis + 1)
            continue
        bins = [((i * n) // m, -(-((i + 1) * n) // m)) for i in range(m)]
        x = fnp.stack(
            [fold(lax.slice_in_dim(x, a, b, axis=axis), axis=axis) for a, b in bins], axis
        )
    return x


def adaptive_avg_pool(x: Any, output_size: Sequence[int | None]) -> Any:
    """Means over bins so that the last axes have the given sizes (None keeps an axis).

    Bin i of m holds floor(i n / m) up to ceil((i + 1) n / m) of n; bins may overlap.
    """
    return _adaptive(x, output_size, fnp.mean)


def adaptive_max_pool(x: Any, output_size: Sequence[int | None]) -> Any:
    """Largest values over bins so that the last axes have the given sizes.

    Bins as in `adaptive_avg_pool`; None keeps an axis.
    """
    return _adaptive(x, output_size, fnp.max)


def adaptive_avg_pool1d(x: Any, output_size: int) -> Any:
    """Means of the last axis in `output_size` bins: [..., n] -> [..., output_size].

    Bins as in `adaptive_avg_pool`.
    """
    return adaptive_avg_pool(x, (output_size,))


def adaptive_max_pool1d(x: Any, output_size: int) -> Any:
    """Maxima of the last axis in `output_size` bins: [..., n] -> [..., output_size].

    Bins as in `adaptive_avg_pool`.
    """
    return adaptive_max_pool(x, (output_size,))


def adaptive_avg_pool2d(x: Any, output_size: Size) -> Any:
    """adaptive_avg_pool of the last two axes, to one or two numbers of bins."""
    return adaptive_avg_pool(x, _each(output_size, 2))


def adaptive_max_pool2d(x: Any, output_size: Size) -> Any:
    """adaptive_max_pool of the last two axes, to one or two numbers of bins."""
    return adaptive_max_pool(x, _each(output_size, 2))
