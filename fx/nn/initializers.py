"""Initialisers: functions init(key, shape, dtype) -> array, with the variance that keeps signals
alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Protocol

import numpy as np

from fx import numpy as fnp
from fx import random
from fx.avals import canonicalize_dtype
from fx.dtypes import as_dtype

__all__ = [
    "Initializer",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


class Initializer(Protocol):
    """init(key, shape, dtype=None) -> array, of float32 unless a dtype is given here or there."""

    def __call__(
        self, key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None
    ) -> Any:
        """Make an array of `shape`."""
        ...


def _dtype(*given: Any) -> np.dtype:
    for d in given:
        if d is not None:
            return canonicalize_dtype(as_dtype(d))
    return canonicalize_dtype(np.float64)


def zeros(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
    """Zeros: an initializer itself, called with key, shape and dtype."""
    return fnp.zeros(shape, _dtype(dtype))


def ones(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
    """Ones: an initializer itself, called with key, shape and dtype."""
    return fnp.ones(shape, _dtype(dtype))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """An initializer that gives `value`, spread over the shape.

    value broadcasts to the shape; TypeError where it does not.
    """
    outer = dtype

    def init(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
        return fnp.full(shape, value, dtype=_dtype(dtype, outer))

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """An initializer: uniform on [0, scale).

    The dtype is that of the call, else that given here, else float32.
    """
    outer = dtype

    def init(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
        d = _dtype(dtype, outer)
        return random.uniform(key, shape, d) * fnp.array(scale, d)

    return init


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """An initializer: normal with mean 0 and standard deviation `stddev`.

    The dtype is that of the call, else that given here, else float32; complex ones work.
    """
    outer = dtype

    def init(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
        d = _dtype(dtype, outer)
        return random.normal(key, shape, d) * fnp.array(stddev, d)

    return init


def truncated_normal(
    stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0
) -> Initializer:
    """An initializer: normal with mean 0, cut off at lower and upper standard deviations.

    What remains has a smaller standard deviation: 0.88 stddev for two.
    """
    outer = dtype

    def init(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
        d = _dtype(dtype, outer)
        return random.truncated_normal(key, lower, upper, shape, d) * fnp.array(stddev, d)

    return init


# ---------------------------------------------------------------- variance scaling


def _size(shape: Sequence[int], axes: int | Sequence[int]) -> int:
    return shape[axes] if isinstance(axes, int) else prod(shape[k] for k in axes)


def _fans(
    shape: Sequence[int], in_axis: Any, out_axis: Any, batch_axis: Any
) -> tuple[float, float]:
    if len(shape) <= 1:
        raise ValueError(
            f"Can't compute input and output sizes of a {len(shape)}-dimensional weights tensor. "
            "Must be at least 2D."
        )
    inside, outside = _size(shape, in_axis), _size(shape, out_axis)
    field = prod(shape) / inside / outside / _size(shape, batch_axis)
    return inside * field, outside * field


def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = None,
) -> Initializer:
    """Variance scale / n with n the fan-in, fan-out or a mean of both.

    distribution: "truncated_normal", "normal" or "uniform".
    Fans are the sizes of in_axis and out_axis times those of the axes that are neither (the
    receptive field) nor batch_axis. Truncation at two standard deviations is made up for.
    ValueError for other modes and distributions, and for shapes of fewer than two axes.
    """
    outer = dtype

    def init(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
        d = _dtype(dtype, outer)
        fan_in, fan_out = _fans(shape, in_axis, out_axis, batch_axis)
        fans = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": (fan_in * fan_out) ** 0.5,
        }
        if mode not in fans:
            raise ValueError(f"invalid mode for variance scaling initializer: {mode}")
        variance = fnp.array(scale / fans[mode], d)
        if distribution == "normal":
            return random.normal(key, shape, d) * fnp.sqrt(variance)
        if distribution == "uniform":
            if d.kind == "c":
                return _in_disk(key, shape, d, _uniform_radius) * fnp.sqrt(variance)
            return random.uniform(key, shape, d, -1) * fnp.sqrt(3 * variance)
        if distribution == "truncated_normal":
            if d.kind == "c":
                # the standard deviation of a complex normal variable whose modulus is cut at two
                stddev = fnp.sqrt(variance) / fnp.array(0.95311164380491208, d)
                return _in_disk(key, shape, d, _truncated_radius) * stddev
            # the standard deviation of a normal variable cut at two
            stddev = fnp.sqrt(variance) / fnp.array(0.87962566103423978, d)
            return random.truncated_normal(key, -2, 2, shape, d) * stddev
        raise ValueError(f"invalid distribution for variance scaling initializer: {distribution}")

    return init


def _in_disk(key: Any, shape: Sequence[int], dtype: np.dtype, radius: Any) -> Any:
    """Complex numbers of any angle; `radius` gives their modulus from uniform numbers."""
    key_modulus, key_angle = random.split(key)
    real = fnp.finfo(dtype).dtype
    modulus = radius(random.uniform(key_modulus, shape, real).astype(dtype))
    angle = 2 * np.pi * random.uniform(key_angle, shape, real).astype(dtype)
    return modulus * fnp.exp(1j * angle)


def _uniform_radius(u: Any) -> Any:
    """Uniform in the disk of variance one: its radius is sqrt(2)."""
    return fnp.sqrt(2 * u)


def _truncated_radius(u: Any) -> Any:
    """The modulus r of a normal variable has P(r < x) = 1 - exp(-x^2); here it is less than 2."""
    return fnp.sqrt(-fnp.log(1 - (1 - fnp.exp(fnp.array(-4, u.dtype))) * u))


def _family(scale: float, mode: str, distribution: str, doc: str, name: str) -> Any:
    def make(
        in_axis: int | Sequence[int] = -2,
        out_axis: int | Sequence[int] = -1,
        batch_axis: int | Sequence[int] = (),
        dtype: Any = None,
    ) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = (
        f"{doc}\n\nvariance_scaling({scale}, {mode!r}, {distribution!r}, ...) says what fans "
        "are and what\nraises. Normal ones are cut at two standard deviations."
    )
    return make


glorot_uniform = xavier_uniform = _family(
    1.0,
    "fan_avg",
    "uniform",
    "Uniform, variance 1 / mean fan (Glorot, Bengio 2010).",
    "glorot_uniform",
)
glorot_normal = xavier_normal = _family(
    1.0, "fan_avg", "truncated_normal", "Normal, variance 1 / mean fan.", "glorot_normal"
)
lecun_uniform = _family(
    1.0, "fan_in", "uniform", "Uniform, variance 1 / fan-in (LeCun 1998).", "lecun_uniform"
)
lecun_normal = _family(
    1.0, "fan_in", "truncated_normal", "Normal, variance 1 / fan-in.", "lecun_normal"
)
he_uniform = kaiming_uniform = _family(
    2.0, "fan_in", "uniform", "Uniform, variance 2 / fan-in (He et al. 2015).", "he_uniform"
)
he_normal = kaiming_normal = _family(
    2.0, "fan_in", "truncated_normal", "Normal, variance 2 / fan-in.", "he_normal"
)


# ---------------------------------------------------------------- orthogonal


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Uniformly distributed orthogonal matrices (rows or columns, whichever is shorter).

    `column_axis` against all the others flattened, times scale: Q of a normal matrix with R's
    diagonal made positive (Saxe et al. 2013). ValueError for fewer than two axes.
    """
    outer = dtype

    def init(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
        d = _dtype(dtype, outer)
        if len(shape) < 2:
            raise ValueError("orthogonal initializer requires at least a 2D shape")
        cols = shape[column_axis]
        rows = prod(shape) // cols
        tall = (cols, rows) if rows < cols else (rows, cols)
        q, r = fnp.linalg.qr(random.normal(key, tall, d))
        diagonal = fnp.diagonal(r)
        q = q * fnp.sign(diagonal)[None, :].astype(d)
        if rows < cols:
            q = q.T
        q = fnp.reshape(q, tuple(np.delete(shape, column_axis)) + (cols,))
        return fnp.array(scale, d) * fnp.moveaxis(q, -1, column_axis)

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Convolution kernels that are an orthogonal matrix in the middle and zero elsewhere (Xiao et
    al. 2018).

    Shapes [*space, in, out] of 3 to 5 axes with in <= out; ValueError otherwise.
    """
    outer = dtype

    def init(key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None) -> Any:
        d = _dtype(dtype, outer)
        if len(shape) not in (3, 4, 5):
            raise ValueError("Delta orthogonal initializer requires a 3D, 4D or 5D shape.")
        if shape[-1] < shape[-2]:
            raise ValueError("`fan_in` must be less or equal than `fan_out`. ")
        matrix = orthogonal(scale, column_axis, d)(key, shape[-2:])
        middle = tuple((s - 1) // 2 for s in shape[:-2])
        return fnp.zeros(shape, d).at[(*middle, ...)].set(matrix)

    return init
