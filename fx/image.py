"""Images: resizing by separable kernels. An output of few pixels along an axis is a sum of these,
where the scale is known as the program is traced; else each axis is a product with its weights.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import reduce
from math import ceil, pi
from typing import Any

import numpy as np

import fx.numpy as fnp
from fx import core, lax, tree
from fx.dtypes import finfo
from fx.trace import ensure_compile_time_eval

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]


class ResizeMethod(enum.Enum):
    """How pixels between the given ones are made up (LANCZOS: windowed sines, CUBIC: Keys 1981)."""

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of a name; ValueError for a name that is none."""
        found = _NAMES.get(s)
        if found is None:
            raise ValueError(f'Unknown resize method "{s}"; there are {", ".join(_NAMES)}')
        return found


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "area": ResizeMethod.AREA,
}


# ---------------------------------------------------------------- kernels of a distance x >= 0


def _triangle(x: Any) -> Any:
    return fnp.maximum(0, 1 - x)


def _lanczos(radius: float) -> Callable[[Any], Any]:
    def kernel(x: Any) -> Any:
        y = radius * fnp.sin(pi * x) * fnp.sin(pi * x / radius)
        near = fnp.where(x > 1e-3, y / fnp.where(x != 0, pi**2 * x**2, 1), 1)
        return fnp.where(x > radius, 0.0, near)

    return kernel


def _cubic(a: float) -> Callable[[Any], Any]:
    """Keys' kernel with parameter `a` (IEEE Trans. ASSP 29, 1981)."""

    def kernel(x: Any) -> Any:
        inner = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        outer = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
        return fnp.where(x >= 2.0, 0.0, fnp.where(x >= 1.0, outer, inner))

    return kernel


_KERNELS: dict[ResizeMethod, tuple[int, Any]] = {
    ResizeMethod.LINEAR: (1, _triangle),
    ResizeMethod.LANCZOS3: (3, _lanczos(3.0)),
    ResizeMethod.LANCZOS5: (5, _lanczos(5.0)),
    ResizeMethod.CUBIC: (2, _cubic(-0.5)),
    ResizeMethod.CUBIC_PYTORCH: (2, _cubic(-0.75)),
    ResizeMethod.AREA: (1, None),
}


# ---------------------------------------------------------------- weights


def _weights(
    size: int, out_size: int, scale: Any, shift: Any, method: ResizeMethod, antialias: bool
) -> Any:
    """The matrix [size, out_size] whose column says how an output pixel mixes the input pixels."""
    radius, kernel = _KERNELS[method]
    dtype = fnp.result_type(scale, shift)
    inverse = 1.0 / scale
    wide = fnp.maximum(inverse, 1.0) if antialias else 1.0
    extend = method is ResizeMethod.CUBIC_PYTORCH and not antialias
    beyond = ceil(radius) if extend else 0  # pixels outside, whose weight goes to the edge
    centre = (fnp.arange(out_size, dtype=dtype) + 0.5) * inverse - shift * inverse - 0.5
    if kernel is None:
        found = _overlap(size, out_size, inverse, shift, dtype)
    else:
        pixel = fnp.arange(-beyond, size + beyond, dtype=dtype)
        found = kernel(fnp.abs(centre[None, :] - pixel[:, None]) / wide)
    if extend:
        inner = found[beyond : beyond + size]
        inner = inner.at[0].add(found[:beyond].sum(0))
        found = inner.at[-1].add(found[beyond + size :].sum(0))
    total = fnp.sum(found, axis=0, keepdims=True)
    enough = fnp.abs(total) > 1000.0 * float(finfo(fnp.float32).eps)
    found = fnp.where(enough, found / fnp.where(total != 0, total, 1), 0)
    if extend:
        return found
    inside = (centre >= -0.5) & (centre <= size - 0.5)
    return fnp.where(inside[None, :], found, 0)


def _overlap(size: int, out_size: int, inverse: Any, shift: Any, dtype: Any) -> Any:
    """How much of each input pixel an output pixel covers."""
    left = fnp.arange(out_size, dtype=dtype) * inverse - shift * inverse
    pixel = fnp.arange(size, dtype=dtype)
    end = fnp.minimum((left + inverse)[None, :], pixel[:, None] + 1.0)
    return fnp.maximum(0.0, end - fnp.maximum(left[None, :], pixel[:, None]))


# ---------------------------------------------------------------- the user's side


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = lax.Precision.HIGHEST,
) -> Any:
    """Resample an image: output position = input position * scale + translation, per spatial axis.

    Pixels count from their centres (k + 0.5); what lies outside the input becomes zero. `scale`
    and `translation` have one entry per spatial axis and may be traced. With `antialias` the
    kernel widens where the image shrinks. Raises ValueError for a shape of another rank.
    """
    image = fnp.asarray(image)
    method = _method(image, shape, method)
    if method is ResizeMethod.NEAREST:
        raise ValueError(
            "Nearest neighbor resampling is not currently supported for scale_and_translate."
        )
    if method is ResizeMethod.CUBIC_PYTORCH and antialias:
        method = ResizeMethod.CUBIC
    dtype = fnp.result_type(image, float)
    image = image.astype(dtype)
    rank = image.ndim
    axes = [d % rank for d in spatial_dims]
    known = not any(isinstance(v, core.Tracer) for v in tree.leaves((scale, translation)))
    with ensure_compile_time_eval() if known else nullcontext():
        scale, translation = (fnp.asarray(v) for v in (scale, translation))
        common = fnp.result_type(scale, translation, float)
        scale, translation = scale.astype(common), translation.astype(common)
        matrices = [
            _weights(image.shape[d], shape[d], scale[k], translation[k], method, antialias)
            for k, d in enumerate(axes)
        ]
    operands, out = [], list(range(rank))
    for k, (d, weights) in enumerate(zip(axes, matrices)):
        band = _band(np.asarray(weights)) if known else None
        if band is not None:
            image = _sampled(image, d, *band)
            continue
        operands += [weights.astype(dtype), [d, rank + k]]
        out[d] = rank + k
    if not operands:
        return image
    return fnp.einsum(image, list(range(rank)), *operands, out, precision=precision)


MOST_TAPS = 16  # pixels of an output; more are a product


def _band(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the pixels of each output are that have a weight, and these: [taps, out] both; None
    where an output has many, or nearly all.
    """
    size, count = weights.shape
    if not size or not count:
        return None
    used = weights != 0
    first = np.where(used.any(0), used.argmax(0), 0)
    last = np.where(used.any(0), size - 1 - used[::-1].argmax(0), 0)
    taps = int((last - first).max()) + 1
    if taps > min(MOST_TAPS, size // 2):
        return None
    first = np.minimum(first, size - taps)
    places = first + np.arange(taps)[:, None]
    return places.astype(np.int32), np.take_along_axis(weights, places, 0)


def _sampled(image: Any, axis: int, places: np.ndarray, weights: np.ndarray) -> Any:
    """Each output along the axis as the sum of its few pixels; 16-bit floats are added in 32."""
    dtype = image.dtype
    work = dtype if dtype.itemsize > 2 else np.dtype(np.float32)
    along = [-1 if k == axis else 1 for k in range(image.ndim)]
    parts = [
        fnp.take(image, at, axis, mode="clip").astype(work) * w.astype(work).reshape(along)
        for at, w in zip(places, weights)
    ]
    return reduce(fnp.add, parts).astype(dtype)


def _method(image: Any, shape: Sequence[int], method: str | ResizeMethod) -> ResizeMethod:
    if len(shape) != image.ndim:
        raise ValueError(
            "shape must have length equal to the number of dimensions of x; "
            f" {tuple(shape)} vs {image.shape}"
        )
    return ResizeMethod.from_string(method) if isinstance(method, str) else method


def resize(
    image: Any,
    shape: Sequence[int],
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = lax.Precision.HIGHEST,
) -> Any:
    """The image at another size: "nearest", "linear", "cubic", "lanczos3", "lanczos5", "area", ...

    Axes whose size does not change are left alone.

    >>> import fx
    >>> resize(fx.numpy.array([0.0, 2.0]), (4,), "linear")
    Array([0. , 0.5, 1.5, 2. ], dtype=float32)
    """
    image = fnp.asarray(image)
    method = _method(image, shape, method)
    changed = [d for d in range(image.ndim) if image.shape[d] != shape[d]]
    if method is ResizeMethod.NEAREST:
        for d in changed:
            m, n = image.shape[d], shape[d]
            centre = (fnp.arange(n, dtype=fnp.float32) + 0.5) * m / n
            image = fnp.take(image, fnp.floor(centre).astype(fnp.int32), axis=d)
        return image
    scale = [1.0 if shape[d] == 0 else shape[d] / image.shape[d] for d in changed]
    shift = [0.0] * len(changed)
    if not changed:
        return image.astype(fnp.result_type(image, float))
    return scale_and_translate(
        image, shape, changed, np.array(scale), np.array(shift), method, antialias, precision
    )
