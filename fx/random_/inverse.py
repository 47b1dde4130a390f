"""Distributions whose samples are a formula of one uniform sample (inverse of the distribution
function).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import fx.numpy as jnp
from fx import dtypes, lax
from fx.family_docs import add_fact
from fx.random_.keys import (
    FLOATS,
    WITH_PARAMETERS,
    canonical_shape,
    constant,
    float_dtype,
    param,
    sample_shape,
    spread,
    stored,
    typed,
)
from fx.random_.uniform import _uniform, unit_floats
from fx.typing import Array

__all__ = [
    "cauchy",
    "exponential",
    "laplace",
    "logistic",
    "pareto",
    "rayleigh",
    "triangular",
    "weibull_min",
]


def _start(name: str, key: Any, dtype: Any) -> tuple[Any, np.dtype]:
    return typed(name, key)[0], float_dtype(name, dtype)


def exponential(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with density exp(-x) on x >= 0.

    -log(1 - u), rate 1.
    """
    k, dtype = _start("exponential", key, dtype)
    return exponential_floats(k, canonical_shape(shape), dtype)


def exponential_floats(k: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """-log(1 - u): the domain of the logarithm is (0, 1]."""
    return lax.neg(lax.log1p(lax.neg(unit_floats(k, shape, dtype))))


def laplace(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with density exp(-|x|) / 2.

    sign(u) log(1 - |u|), u uniform on (-1, 1); location 0 and scale 1.
    """
    k, dtype = _start("laplace", key, dtype)
    low = constant(dtype, -1.0 + float(dtypes.finfo(dtype).epsneg))
    u = _uniform(k, canonical_shape(shape), dtype, low, constant(dtype, 1))
    return lax.mul(lax.sign(u), stored(lax.log1p(lax.neg(lax.abs(u)))))


def logistic(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with distribution function 1 / (1 + exp(-x)).

    log(u / (1 - u)); location 0 and scale 1.
    """
    k, dtype = _start("logistic", key, dtype)
    u = _uniform(k, canonical_shape(shape), dtype, dtypes.finfo(dtype).tiny, constant(dtype, 1))
    return lax.sub(stored(lax.log(u)), stored(lax.log1p(lax.neg(u))))


def cauchy(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with density 1 / (pi (1 + x^2)).

    tan(pi (u - 1/2)); location 0 and scale 1.
    """
    k, dtype = _start("cauchy", key, dtype)
    u = _uniform(k, canonical_shape(shape), dtype, dtypes.finfo(dtype).eps, constant(dtype, 1))
    return lax.tan(
        stored(lax.mul(constant(dtype, np.pi), stored(lax.sub(u, constant(dtype, 0.5)))))
    )


def pareto(
    key: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with density b x^(-b - 1) on x >= 1.

    exp(e / b) for exponential e.
    """
    k, dtype = _start("pareto", key, dtype)
    shape = sample_shape("pareto", shape, b)
    return lax.exp(exponential_floats(k, shape, dtype) / spread(b, shape, dtype))


def rayleigh(
    key: Any, scale: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Lengths of normal vectors in the plane, of standard deviation `scale`.

    scale sqrt(-2 log u): density x exp(-x^2 / (2 scale^2)) / scale^2 on x >= 0.
    """
    k, dtype = _start("rayleigh", key, dtype)
    shape = sample_shape("rayleigh", shape, scale)
    u = unit_floats(k, shape, dtype)
    return spread(scale, shape, dtype) * lax.sqrt(lax.log(u) * constant(dtype, -2))


def weibull_min(
    key: Any, scale: Any, concentration: Any, shape: Sequence[int] = (), dtype: Any = None
) -> Array:
    """Samples scale * e^(1 / concentration) for exponential e.

    Their distribution function is 1 - exp(-(x / scale)^concentration).
    """
    k, dtype = _start("weibull_min", key, dtype)
    shape = sample_shape("weibull_min", shape, scale, concentration)
    e = exponential_floats(k, shape, dtype)
    power = constant(dtype, 1) / param(concentration, dtype)
    return jnp.power(e, power) * param(scale, dtype)


def triangular(
    key: Any,
    left: Any,
    mode: Any,
    right: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Samples whose density rises from `left` to `mode` and falls to `right`, both linearly.

    The inverse of the distribution function, one square root a side.
    """
    k, dtype = _start("triangular", key, dtype)
    shape = sample_shape("triangular", shape, left, mode, right)
    left, mode, right = (spread(v, shape, dtype) for v in (left, mode, right))
    u = unit_floats(k, shape, dtype)
    rising = left + lax.sqrt(u * (right - left) * (mode - left))
    falling = right - lax.sqrt((1 - u) * (right - left) * (right - mode))
    return jnp.where(u < (mode - left) / (right - left), rising, falling)


add_fact(FLOATS, exponential, laplace, logistic, cauchy)
add_fact(FLOATS + WITH_PARAMETERS, pareto, rayleigh, weibull_min, triangular)
