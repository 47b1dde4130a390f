"""Uniform samples, and what is made from them alone: integers, coins, shuffles, choices.

Floats put random bits into the mantissa of a number in [1, 2); integers take the remainder of
twice as many bits as they have. The bits that a sample consumes are those that JAX consumes, so
the numbers are JAX's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log, prod
from typing import Any

import numpy as np

import fx.numpy as jnp
from fx import dtypes, lax
from fx.core import get_aval
from fx.family_docs import add_fact
from fx.numpy.util import canonical_axis
from fx.random_.keys import (
    FLOATS,
    INTEGERS,
    KEY,
    canonical_shape,
    constant,
    float_dtype,
    int_dtype,
    param,
    random_bits,
    sample_shape,
    split_key,
    stored,
    typed,
)
from fx.typing import Array

__all__ = ["bernoulli", "choice", "permutation", "rademacher", "randint", "shuffle", "uniform"]

_UINT = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def uniform(
    key: Any,
    shape: Sequence[int] = (),
    dtype: Any = None,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    *,
    out_sharding: Any = None,
) -> Array:
    """Samples of the uniform distribution on [minval, maxval).

    Random bits fill the mantissa of a number in [1, 2), less 1: multiples of 2^-23 in float32.
    minval and maxval broadcast to the shape; axes of size 1 before it are dropped.

    >>> uniform(fx.random.key(0), (2,))
    Array([0.947667 , 0.9785799], dtype=float32)
    """
    k, _ = typed("uniform", key)
    dtype = float_dtype("uniform", dtype)
    return _uniform(k, sample_shape("uniform", canonical_shape(shape)), dtype, minval, maxval)


def _uniform(
    k: Any, shape: tuple[int, ...], dtype: np.dtype, low: Any = 0.0, high: Any = 1.0
) -> Any:
    floats = unit_floats(k, shape, dtype)
    if type(low) is float and type(high) is float and (low, high) == (0.0, 1.0):
        return floats
    low, high = (_of_rank(param(x, dtype), len(shape)) for x in (low, high))
    sample_shape("uniform", shape, low, high)
    low, high = jnp.broadcast_to(low, shape), jnp.broadcast_to(high, shape)
    return lax.max(low, stored(stored(floats * stored(high - low)) + low))


def _of_rank(x: Any, rank: int) -> Any:
    """Without leading axes of size 1 above the rank: a bound `[1]` of a scalar sample."""
    lead = max(np.ndim(x) - rank, 0)
    return jnp.reshape(x, np.shape(x)[lead:]) if {*np.shape(x)[:lead]} == {1} else x


def unit_floats(k: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Uniform on [0, 1): random mantissas in [1, 2), less 1."""
    mantissa, width = dtypes.finfo(dtype).nmant, dtype.itemsize * 8
    random_width = 8 if mantissa < 8 else width
    uint = np.dtype(_UINT[dtype.itemsize])
    found = random_bits(k, random_width, shape)
    if random_width != width:
        found = lax.convert_element_type(found, uint)
    found = lax.shift_right_logical(found, uint.type(random_width - mantissa))
    one = np.ones((), dtype).view(uint)[()]
    found = lax.bitcast_convert_type(lax.bitwise_or(found, one), dtype)
    return lax.sub(found, constant(dtype, 1))


# ---------------------------------------------------------------- integers


def randint(
    key: Any,
    shape: Sequence[int],
    minval: Any,
    maxval: Any,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Uniform integers in [minval, maxval), minval where that is empty.

    Two random words modulo the span; for spans above 2^16 (2^32 of 64-bit dtypes) one in effect, as
    in JAX, so that some values are likelier by span / 2^32. minval and maxval broadcast to the
    shape and saturate to the dtype.

    >>> randint(fx.random.key(0), (3,), 0, 10)
    Array([9, 0, 2], dtype=int32)
    """
    k, _ = typed("randint", key)
    dtype = int_dtype("randint", dtype)
    shape = canonical_shape(shape)
    work = dtype
    if dtype.itemsize < 4:
        info, work = dtypes.iinfo(dtype), np.dtype(np.int32)
        minval = jnp.clip(jnp.asarray(minval).astype(work), int(info.min), int(info.max))
        maxval = jnp.clip(jnp.asarray(maxval).astype(work), int(info.min), int(info.max) + 1)
    return _randint(k, shape, minval, maxval, work).astype(dtype)


def _clipped(value: Any, dtype: np.dtype) -> Any:
    """An integer in another dtype, saturated rather than wrapped."""
    mine, other = dtypes.iinfo(value.dtype), dtypes.iinfo(dtype)
    low, high = max(int(mine.min), int(other.min)), min(int(mine.max), int(other.max))
    return jnp.clip(value, low, high).astype(dtype)


def _integer(x: Any) -> Any:
    x = jnp.asarray(x)
    return x if x.dtype.kind in "iu" else x.astype(int)


def _randint(k: Any, shape: tuple[int, ...], low: Any, high: Any, dtype: np.dtype) -> Any:
    """low + (hi 2^n + lo) mod span, from two random words of n bits."""
    sample_shape("randint", shape, low, high)
    low, high = _integer(low), _integer(high)
    beyond = high > _clipped(jnp.asarray(dtypes.iinfo(dtype).max, dtype), high.dtype)
    low, high = _clipped(low, dtype), _clipped(high, dtype)
    width, uint = dtype.itemsize * 8, np.dtype(_UINT[dtype.itemsize])
    k1, k2 = split_key(k)
    upper, lower = random_bits(k1, width, shape), random_bits(k2, width, shape)
    span = (high - low).astype(uint)
    span = jnp.where(high <= low, uint.type(1), span)
    # the largest integer of the dtype is included; a full range wraps to 0, and x rem 0 is x
    span = jnp.where(beyond & (high > low), span + uint.type(1), span)
    power = lax.rem(jnp.full_like(span, 2 ** (width // 2)), span)
    power = lax.rem(power * power, span)
    span, power = jnp.broadcast_to(span, shape), jnp.broadcast_to(power, shape)
    offset = lax.rem(upper, span) * power + lax.rem(lower, span)
    return jnp.broadcast_to(low, shape) + lax.rem(offset, span).astype(dtype)


# ---------------------------------------------------------------- coins


def bernoulli(
    key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low", *, out_sharding: Any = None
) -> Array:
    """True with probability p.

    mode: 'low' resolves p to 2^-23 in float32, 'high' to 2^-46.
    The result is bool, of p's shape unless given: a uniform sample in p's dtype below p. TypeError
    for an integer p, ValueError for another mode.
    """
    if mode not in ("low", "high"):
        raise ValueError(f"got mode={mode!r}, expected 'high' or 'low'")
    k, _ = typed("bernoulli", key)
    dtype = dtypes.canonicalize_dtype(get_aval(p).dtype)
    if not dtypes.issubdtype(dtype, np.floating):
        raise TypeError(f"bernoulli probability `p` must have a floating dtype, got {dtype.name}")
    p = param(p, dtype)
    shape = sample_shape("bernoulli", shape, p)
    if mode == "low":
        return unit_floats(k, shape, dtype) < p
    pair = unit_floats(k, (2, *shape), dtype)
    return pair[1] * constant(dtype, 2.0 ** -int(dtypes.finfo(dtype).nmant)) < p - pair[0]


def rademacher(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """-1 or 1 with equal probability, in an integer dtype by default.

    The dtype may be any; default int32.
    """
    dtype = dtypes.check_requested(int if dtype is None else dtype, "rademacher")
    coins = bernoulli(key, 0.5, canonical_shape(shape)).astype(dtype)
    return (coins * constant(dtype, 2) - constant(dtype, 1)).astype(dtype)


# ---------------------------------------------------------------- shuffles


def permutation(
    key: Any, x: Any, axis: int = 0, independent: bool = False, *, out_sharding: Any = None
) -> Array:
    """A random order of x along an axis, or of range(x) for an integer x.

    independent: shuffle every vector along the axis by itself.
    It sorts by random words, as often as ties demand. TypeError for a scalar that is no integer.
    The result has the shape and dtype of x, int32 for an integer x.
    """
    k, _ = typed("permutation", key)
    aval = get_aval(x)
    if aval.ndim == 0:
        if aval.dtype.kind not in "iu":
            raise TypeError("x must be an integer or at least 1-dimensional")
        return _shuffle(k, jnp.arange(_static(x, "permutation")), 0)
    x = jnp.asarray(x)
    axis = canonical_axis(axis, aval.ndim)
    if independent or aval.ndim == 1:
        return _shuffle(k, x, axis)
    order = _shuffle(k, jnp.arange(aval.shape[axis]), 0)
    return jnp.take(x, order, axis, unique_indices=True)


def shuffle(key: Any, x: Any, axis: int = 0) -> Array:
    """x with every vector along the axis in random order.

    Like `permutation` with independent=True.
    """
    k, _ = typed("shuffle", key)
    x = jnp.asarray(x)
    return _shuffle(k, x, canonical_axis(axis, x.ndim))


def _static(x: Any, name: str) -> int:
    from fx.errors import ConcretizationTypeError
    from fx.lax.loops import concrete_int

    found = concrete_int(x)
    if found is None:
        raise ConcretizationTypeError(
            f"Abstract tracer value encountered where concrete value is expected: the size "
            f"argument of "
            f"fx.random.{name} must be known while tracing."
        )
    return found


def _shuffle(k: Any, x: Any, axis: int) -> Any:
    """Sort by random words, so often that ties in every round are unlikely."""
    size = get_aval(x).size
    rounds = ceil(3 * log(max(1, size)) / log(2**32 - 1))
    for _ in range(rounds):
        k, sub = split_key(k)
        words = random_bits(sub, 32, get_aval(x).shape)
        x = lax.sort_key_val(words, x, axis)[1]
    return x


def choice(
    key: Any,
    a: Any,
    shape: Sequence[int] = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
) -> Array:
    """Random elements of `a` (or of range(a)) along an axis, with probabilities p if given.

    Raises ValueError where more elements are asked without replacement than there are.
    The result has x's axis replaced by `shape`. Without replacement and with p, the largest of log
    p + Gumbel noise are taken (Efraimidis and Spirakis 2006). ValueError also where p is not [n].
    """
    from fx.random_.discrete import gumbel

    k, _ = typed("choice", key)
    if not isinstance(shape, Sequence):
        raise TypeError(f"shape argument of fx.random.choice must be a sequence, got {shape}")
    shape = canonical_shape(shape)
    whole = get_aval(a).ndim == 0
    a = a if whole else jnp.asarray(a)
    axis = 0 if whole else canonical_axis(axis, a.ndim)
    count = _static(a, "choice") if whole else a.shape[axis]
    draws = prod(shape)
    if draws == 0:
        return jnp.zeros(shape, dtype=get_aval(a).dtype)
    if count <= 0:
        raise ValueError("a must be greater than 0 unless no samples are taken")
    if not replace and draws > count:
        raise ValueError(
            f"Cannot take a larger sample (size {draws}) than population (size {count}) when "
            "'replace=False'"
        )
    if p is None and not replace:
        mixed = permutation(k, count if whole else a, axis)
        out = lax.slice_in_dim(mixed, 0, draws, axis=axis)
        return out.reshape(shape if whole else a.shape[:axis] + shape + a.shape[axis + 1 :])
    if p is None:
        index = randint(k, shape, 0, count)
    else:
        p = jnp.asarray(p)
        p = p if dtypes.issubdtype(p.dtype, np.inexact) else p.astype(float)
        if p.shape != (count,):
            raise ValueError(
                "p must be None or a 1D vector with the same size as a.shape[axis]. p has shape "
                f"{p.shape} and a.shape[axis] is {count}."
            )
        if replace:
            total = jnp.cumsum(p)
            r = total[-1] * (constant(p.dtype, 1) - unit_floats(k, shape, p.dtype))
            index = jnp.searchsorted(total, r).astype(int)
        else:
            noise = gumbel(k, (count,), p.dtype, mode)
            index = lax.top_k(noise + jnp.log(p), draws)[1].astype(int)
    out = index if whole else jnp.take(a, index, axis)
    return out.reshape(shape if whole else a.shape[:axis] + shape + a.shape[axis + 1 :])


add_fact(KEY, bernoulli, rademacher, permutation, shuffle, choice)
add_fact(FLOATS, uniform)
add_fact(INTEGERS, randint)
