"""Normal samples through the inverse error function, and the distributions made from normals."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import fx.numpy as jnp
from fx import dtypes, lax
from fx.family_docs import add_fact
from fx.prims.transcendental import erf_inv_giles_p
from fx.random_.keys import (
    FLOATS,
    FLOATS_OR_COMPLEX,
    KEY,
    WITH_PARAMETERS,
    canonical_shape,
    constant,
    float_dtype,
    param,
    sample_shape,
    split_key,
    spread,
    stored,
    typed,
)
from fx.random_.uniform import _uniform, rademacher, unit_floats
from fx.typing import Array

__all__ = [
    "ball",
    "double_sided_maxwell",
    "generalized_normal",
    "lognormal",
    "maxwell",
    "multivariate_normal",
    "normal",
    "orthogonal",
    "truncated_normal",
    "wald",
]


def normal(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples of the standard normal distribution; complex ones have unit variance in all.

    sqrt(2) erf_inv(u) of u uniform on (-1, 1), by Giles's polynomials (2010); real and imaginary
    parts of complex samples have variance 1/2.

    >>> [round(x, 4) for x in normal(fx.random.key(0), (2,)).tolist()]
    [1.6226, 2.0253]
    """
    k, _ = typed("normal", key)
    dtype = float_dtype("normal", dtype, complex_too=True)
    return _normal(k, canonical_shape(shape), dtype)


def _normal(k: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    if dtype.kind == "c":
        real = np.finfo(dtype).dtype
        re, im = (_normal(half, shape, real) for half in split_key(k))
        return lax.complex(re, im) / constant(dtype, np.sqrt(2))
    low = np.nextafter(np.array(-1.0, dtype), np.array(0.0, dtype), dtype=dtype)
    u = _uniform(k, shape, dtype, low, constant(dtype, 1))
    return stored(lax.mul(constant(dtype, np.sqrt(2)), stored(erf_inv_giles_p.bind(u))))


def truncated_normal(
    key: Any,
    lower: Any,
    upper: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Samples of the standard normal distribution on the open interval (lower, upper).

    sqrt(2) erf_inv(u) of u uniform between erf of the bounds. Derivatives pass to them.
    """
    k, _ = typed("truncated_normal", key)
    dtype = float_dtype("truncated_normal", dtype)
    shape = sample_shape("truncated_normal", shape, lower, upper)
    lower, upper = param(lower, dtype), param(upper, dtype)
    root = constant(dtype, np.sqrt(2))
    u = _uniform(k, shape, dtype, *(stored(lax.erf(stored(x / root))) for x in (lower, upper)))
    out = stored(root * stored(erf_inv_giles_p.bind(u)))
    stop = lax.stop_gradient
    above = lax.nextafter(stop(lower), jnp.full_like(lower, np.inf))
    below = lax.nextafter(stop(upper), jnp.full_like(upper, -np.inf))
    return jnp.clip(out, above, below)


def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Any = None,
    dtype: Any = None,
    method: str = "cholesky",
    *,
    out_sharding: Any = None,
) -> Array:
    """Samples [*shape, n] of normal distributions with mean [..., n] and covariance [..., n, n].

    method: the factor of cov, 'cholesky' (fastest), 'eigh' or 'svd' (for semidefinite cov).
    mean + F z with F F^T = cov and z standard normal. Without a dtype, that of mean and cov as a
    float. ValueError where shapes or the method do not fit; NaN where Cholesky's factor does not
    exist.
    """
    k, _ = typed("multivariate_normal", key)
    mean, cov = jnp.asarray(mean), jnp.asarray(cov)
    wide = jnp.promote_types(mean.dtype, cov.dtype)
    wide = wide if dtypes.issubdtype(wide, np.inexact) else jnp.promote_types(wide, np.float32)
    dtype = wide if dtype is None else float_dtype("multivariate_normal", dtype, True)
    mean, cov = mean.astype(dtype), cov.astype(dtype)
    if method not in ("svd", "eigh", "cholesky"):
        raise ValueError("method must be one of {'svd', 'eigh', 'cholesky'}")
    if mean.ndim < 1:
        raise ValueError(
            f"multivariate_normal requires mean.ndim >= 1, got mean.ndim == {mean.ndim}"
        )
    n = mean.shape[-1]
    if cov.ndim < 2:
        raise ValueError(f"multivariate_normal requires cov.ndim >= 2, got cov.ndim == {cov.ndim}")
    if cov.shape[-2:] != (n, n):
        raise ValueError(
            f"multivariate_normal requires cov.shape == (..., n, n) for n={n}, but got cov.shape "
            f"== "
            f"{cov.shape}."
        )
    leads = [jnp.empty(mean.shape[:-1]), jnp.empty(cov.shape[:-2])]
    shape = sample_shape("multivariate_normal", shape, *leads)
    if method == "cholesky":
        factor = lax.linalg.cholesky(cov)
    elif method == "eigh":
        v, w = lax.linalg.eigh(cov)
        factor = v * jnp.sqrt(w[..., None, :])
    else:
        u, s, _ = lax.linalg.svd(cov)
        factor = u * jnp.sqrt(s[..., None, :])
    samples = _normal(k, (*shape, n), dtype)
    return mean + jnp.einsum("...ij,...j->...i", factor, samples)


def lognormal(
    key: Any,
    sigma: Any = 1.0,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """exp(sigma z) for standard normal z.

    Mean of log x is 0; sigma is its standard deviation.
    """
    k, _ = typed("lognormal", key)
    dtype = float_dtype("lognormal", dtype)
    shape = sample_shape("lognormal", shape, sigma)
    return lax.exp(_normal(k, shape, dtype) * spread(sigma, shape, dtype))


def maxwell(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Lengths of standard normal vectors in three dimensions.

    Density sqrt(2 / pi) x^2 exp(-x^2 / 2) on x >= 0.
    """
    k, _ = typed("maxwell", key)
    dtype = float_dtype("maxwell", dtype)
    return _maxwell(k, canonical_shape(shape), dtype)


def _maxwell(k: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    z = _normal(k, (*shape, 3), dtype)
    return jnp.sqrt(jnp.sum(z * z, axis=-1))


def double_sided_maxwell(
    key: Any, loc: Any, scale: Any, shape: Sequence[int] = (), dtype: Any = None
) -> Array:
    """Maxwell samples with random signs, scaled and shifted.

    loc + scale s m with s = -1 or 1 and m from `maxwell`. The result is [*shape, *s] for parameters
    of common shape s; without shape, s twice.
    """
    k, _ = typed("double_sided_maxwell", key)
    dtype = float_dtype("double_sided_maxwell", dtype)
    params = sample_shape("double_sided_maxwell", None, loc, scale)
    shape = (canonical_shape(shape) or params) + params
    of_size, of_sign = split_key(k)
    size = _maxwell(of_size, shape, dtype)
    sign = rademacher(of_sign, shape, dtype)
    return sign * size * param(scale, dtype) + param(loc, dtype)


def generalized_normal(
    key: Any, p: float, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with density proportional to exp(-|x|^p).

    s g^(1 / p) with g from gamma(1 / p) and a random sign s; p is one number.
    """
    k, _ = typed("generalized_normal", key)
    dtype = float_dtype("generalized_normal", dtype)
    return _generalized_normal(k, p, canonical_shape(shape), dtype)


def _generalized_normal(k: Any, p: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    from fx.random_.gamma import gamma

    k1, k2 = split_key(k)
    g = gamma(k1, 1 / p, shape, dtype)
    return rademacher(k2, shape, dtype) * g ** (1 / p)


def ball(
    key: Any,
    d: int,
    p: float = 2,
    shape: Sequence[int] = (),
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Uniform samples [*shape, d] from the unit ball of the p norm (Barthe et al. 2005).

    Generalized normals over (sum |g_i|^p + e)^(1 / p), e exponential.
    """
    k, _ = typed("ball", key)
    dtype = float_dtype("ball", dtype)
    shape, d = canonical_shape(shape), operator.index(d)
    k1, k2 = split_key(k)
    g = _generalized_normal(k1, p, (*shape, d), dtype)
    e = -lax.log1p(-unit_floats(k2, shape, dtype))
    return g / (((jnp.abs(g) ** p).sum(-1) + e) ** (1 / p))[..., None]


def orthogonal(
    key: Any,
    n: int,
    shape: Sequence[int] = (),
    dtype: Any = None,
    m: int | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Uniform samples [*shape, n, m] with orthonormal rows or columns (Mezzadri 2007).

    Q of a normal matrix with R's diagonal made positive; complex dtypes give unitary matrices.
    """
    k, _ = typed("orthogonal", key)
    dtype = float_dtype("orthogonal", dtype, complex_too=True)
    shape, n = canonical_shape(shape), operator.index(n)
    m = n if m is None else operator.index(m)
    z = _normal(k, (*shape, max(n, m), min(n, m)), dtype)
    q, r = lax.linalg.qr(z, full_matrices=False)
    sign = jnp.sign(jnp.diagonal(r, axis1=-2, axis2=-1))
    x = q * jnp.expand_dims(sign, -2)
    return x.mT if n < m else x


def wald(
    key: Any, mean: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Inverse Gaussian samples of the given mean and scale 1 (Michael, Schucany, Haas 1976).

    A root of the quadratic whose value is chi-squared, the smaller one with probability mean /
    (mean + x).
    """
    k, _ = typed("wald", key)
    dtype = float_dtype("wald", dtype)
    shape = sample_shape("wald", shape, mean)
    mean = spread(mean, shape, dtype)
    k1, k2 = split_key(k)
    v, z = _normal(k1, shape, dtype), unit_floats(k2, shape, dtype)
    y, square = v * v, mean * mean
    root = lax.sqrt(4 * mean * y + square * (y * y))
    x = mean + square * y / 2 - mean / 2 * root
    return jnp.where(z <= mean / (mean + x), x, square / x)


add_fact(FLOATS_OR_COMPLEX, normal, orthogonal)
add_fact(FLOATS, maxwell, double_sided_maxwell, generalized_normal, ball)
add_fact(FLOATS + WITH_PARAMETERS, truncated_normal, lognormal, wald)
add_fact(KEY + WITH_PARAMETERS, multivariate_normal)
