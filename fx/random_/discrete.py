"""Distributions over integers and categories: gumbel and categorical, geometric, Poisson,
binomial, multinomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

import fx.numpy as jnp
from fx import dtypes, lax
from fx.family_docs import add_fact
from fx.numpy.util import canonical_axis
from fx.random_.keys import (
    FLOATS,
    INTEGERS,
    KEY,
    WITH_PARAMETERS,
    canonical_shape,
    constant,
    float_dtype,
    int_dtype,
    random_bits,
    sample_shape,
    split,
    split_key,
    spread,
    stored,
    typed,
)
from fx.random_.uniform import _uniform, unit_floats
from fx.typing import Array

__all__ = ["binomial", "categorical", "geometric", "gumbel", "multinomial", "poisson"]


def gumbel(
    key: Any,
    shape: Sequence[int] = (),
    dtype: Any = None,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Samples -log(-log(u)); mode 'high' or 'highest' resolves the tail more finely.

    ValueError for another mode. The highest takes 64 random bits a sample, in float32.
    """
    k, _ = typed("gumbel", key)
    dtype, shape = float_dtype("gumbel", dtype), canonical_shape(shape)
    if mode not in (None, "low", "high", "highest"):
        raise ValueError(f"Must provide valid mode for gumbel got: {mode}")
    if mode in (None, "low"):
        tiny = dtypes.finfo(dtype).tiny
        u = _uniform(k, shape, dtype, tiny, constant(dtype, 1))
        return -stored(lax.log(-stored(lax.log(u))))
    info = dtypes.finfo(dtype)
    if mode == "highest" and dtype == np.float32:
        return _finest_gumbel(k, shape)
    pair = unit_floats(k, (2, *shape), dtype)
    fine = stored(pair[0] + constant(dtype, 2.0 ** -int(info.nmant)) * pair[1]) + info.tiny
    x = jnp.where(pair[0] >= 0.5, pair[0], fine)
    return -stored(lax.log(-stored(lax.log1p(-x))))


def _finest_gumbel(k: Any, shape: tuple[int, ...]) -> Any:
    """From 64 random bits as a fixed-point number x or 1 - x, whichever is below a half."""
    pair = random_bits(k, 32, (2, *shape))
    high, low = pair[0], pair[1]
    low_is_zero = lax.bitwise_not(low) == np.uint32(0xFFFFFFFF)
    other_high = lax.bitwise_not(high) + low_is_zero.astype(np.uint32)
    other_low = lax.bitwise_not(low) + np.uint32(1)
    small = high < np.uint32(1 << 31)
    x = _fixed_to_float(jnp.where(small, high, other_high), jnp.where(small, low, other_low))
    return jnp.where(small, -lax.log(-lax.log1p(-x)), -lax.log(-lax.log(x)))


def _fixed_to_float(high: Any, low: Any) -> Any:
    """The 64-bit fraction high.low as float32, every leading zero kept as precision."""
    u32 = np.uint32
    zeros_high, zeros_low = lax.clz(high), lax.clz(low)
    empty = zeros_high == u32(32)
    shifted = lax.shift_left(high, zeros_high)
    fill = jnp.where(
        empty,
        lax.shift_left(low, zeros_low),
        lax.shift_right_logical(low, u32(32) - zeros_high),
    )
    mantissa = lax.shift_right_logical(lax.bitwise_or(shifted, fill), u32(8)) & u32((1 << 23) - 1)
    zeros = jnp.where(empty, u32(32) + zeros_low, zeros_high)
    exponent = lax.shift_left(u32(126) - zeros, u32(23)) & u32((1 << 30) - (1 << 22))
    return lax.bitcast_convert_type(lax.bitwise_or(exponent, mantissa), np.float32)


def categorical(
    key: Any,
    logits: Any,
    axis: int = -1,
    shape: Any = None,
    replace: bool = True,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Indices along `axis` with probabilities softmax(logits), by the Gumbel maximum.

    shape: of the result; it ends with the shape of logits without `axis`. replace=False draws the
    leading axes of `shape` without repetition.
    Indices are int32 (int64 under enable_x64). Integer logits become floats. ValueError where more
    are drawn without replacement than there are, or shapes do not fit.
    """
    k, _ = typed("categorical", key)
    logits = jnp.asarray(logits)
    if not dtypes.issubdtype(logits.dtype, np.inexact):
        logits = logits.astype(float)
    axis = canonical_axis(axis, logits.ndim)
    batch = logits.shape[:axis] + logits.shape[axis + 1 :]
    shape = batch if shape is None else sample_shape("categorical", shape, jnp.empty(batch))
    prefix = shape[: len(shape) - len(batch)]
    if replace:
        inner = list(shape[len(shape) - len(batch) :])
        inner.insert(axis, logits.shape[axis])
        noise = gumbel(k, (*prefix, *inner), logits.dtype, mode)
        wide = lax.expand_dims(logits, tuple(range(len(prefix))))
        return jnp.argmax(noise + wide, axis=axis - logits.ndim)
    logits = logits + gumbel(k, logits.shape, logits.dtype, mode)
    count = prod(prefix)
    if count > logits.shape[axis]:
        raise ValueError(
            f"Number of samples without replacement ({count}) cannot exceed number of categories "
            f"({logits.shape[axis]})."
        )
    index = lax.top_k(jnp.moveaxis(logits, axis, -1), count)[1]
    return jnp.moveaxis(index, -1, 0).reshape(shape)


def geometric(
    key: Any, p: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Numbers of trials until the first success of probability p.

    floor(log u / log(1 - p)) + 1 for uniform u: at least 1, with mean 1 / p.
    """
    k, _ = typed("geometric", key)
    dtype = int_dtype("geometric", dtype)
    shape = sample_shape("geometric", shape, p)
    p = jnp.asarray(p)
    p = p if dtypes.issubdtype(p.dtype, np.inexact) else p.astype(float)
    u = unit_floats(k, shape, p.dtype)
    u = jnp.where(u == 0, constant(p.dtype, 1), u)
    per_trial = jnp.broadcast_to(lax.log1p(-p), shape)
    return (lax.floor(lax.log(u) / per_trial) + 1).astype(dtype)


# ---------------------------------------------------------------- poisson


def poisson(
    key: Any, lam: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Numbers of events at rate lam: Knuth's products below 10, else transformed rejection
    (Hormann).

    Rates are taken as float32 (Knuth 1969; Hormann, "The transformed rejection method for
    generating Poisson random variables", 1993). At NaN the result is -1.
    """
    k, _ = typed("poisson", key)
    dtype = int_dtype("poisson", dtype)
    shape = sample_shape("poisson", shape, lam)
    lam = spread(lam, shape, np.float32)
    small = (lam != lam) | (lam < 10)
    most = int(dtypes.iinfo(dtype).max)
    by_products = _poisson_products(k, jnp.where(small, lam, 0.0), shape, dtype, most)
    by_rejection = _poisson_rejection(k, jnp.where(small, 1e5, lam), shape, dtype, most)
    found = jnp.where(small, by_products, by_rejection)
    return jnp.where(lam == 0, jnp.zeros_like(found), found)


def _step_limit(most: int) -> Any:
    return np.int32(min(most, np.iinfo(np.int32).max))


def _poisson_products(k: Any, lam: Any, shape: Any, dtype: Any, most: int) -> Any:
    """Multiply uniforms until the product falls below exp(-lam)."""

    def body(carry: Any) -> Any:
        i, count, k, product = carry
        k, sub = split_key(k)
        count = jnp.where(product > -lam, count + 1, count)
        return i + 1, count, k, product + lax.log(unit_floats(sub, shape, np.dtype(np.float32)))

    def more(carry: Any) -> Any:
        return (carry[3] > -lam).any() & (carry[0] < _step_limit(most))

    start = (np.int32(0), jnp.zeros(shape, dtype), k, jnp.zeros(shape, np.float32))
    return lax.while_loop(more, body, start)[1] - constant(dtype, 1)


def _poisson_rejection(k: Any, lam: Any, shape: Any, dtype: Any, most: int) -> Any:
    log_lam = lax.log(lam)
    b = 0.931 + 2.53 * lax.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    limit = 0.9277 - 3.6224 / (b - 2)

    def body(carry: Any) -> Any:
        i, out, accepted, k = carry
        k, k0, k1 = split_key(k, 3)
        u = unit_floats(k0, shape, lam.dtype) - 0.5
        v = unit_floats(k1, shape, lam.dtype)
        shifted = 0.5 - abs(u)
        n = lax.floor((2 * a / shifted + b) * u + lam + 0.43)
        s = lax.log(v * inverse_alpha / (a / (shifted * shifted) + b))
        t = -lam + n * log_lam - lax.lgamma(n + 1)
        surely = (shifted >= 0.07) & (v <= limit)
        never = (n < 0) | ((shifted < 0.013) & (v > shifted))
        accept = surely | (~never & (s <= t))
        return i + 1, jnp.where(accept, n, out), accepted | accept, k

    def more(carry: Any) -> Any:
        return (~carry[2]).any() & (carry[0] < _step_limit(most))

    start = (np.int32(0), jnp.full(shape, -1, lam.dtype), jnp.zeros(shape, bool), k)
    return lax.while_loop(more, body, start)[1].astype(dtype)


# ---------------------------------------------------------------- binomial, multinomial


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Numbers of successes among n trials of probability p, as floats.

    Sums of geometric gaps where n p <= 10, else transformed rejection (Hormann's BTRS). NaN for
    invalid n or p.
    n and p broadcast; n is rounded down (Hormann, "The generation of binomial random variates",
    1993).
    """
    k, _ = typed("binomial", key)
    dtype = float_dtype("binomial", dtype)
    shape = sample_shape("binomial", shape, n, p)
    p = jnp.asarray(p)
    p = p if dtypes.issubdtype(p.dtype, np.inexact) else p.astype(float)
    count = jnp.broadcast_to(jnp.asarray(n).astype(p.dtype), shape)
    p = jnp.broadcast_to(p, shape)
    low_half = p < 0.5
    q = jnp.where(low_half, p, 1.0 - p)
    bad_count = (count != count) | (count < 0.0)
    q_nan, q_negative, infinite = q != q, q < 0.0, lax.abs(count) == np.inf
    q = jnp.where(q_nan | q_negative, 0.01, q)
    few = bad_count | (count * q <= 10.0)
    count = lax.floor(count)
    by_gaps = _binomial_gaps(k, jnp.where(few, count, 0.0), q, shape, dtype)
    many = jnp.where(few, 1e4, count), jnp.where(few, 0.5, q)
    found = jnp.where(few, by_gaps, _binomial_rejection(k, *many, shape, dtype))
    invalid = q_negative | q_nan | bad_count
    found = jnp.where(invalid, jnp.full_like(found, np.nan), found)
    found = jnp.where(infinite & ~invalid, jnp.full_like(found, np.inf), found)
    direct = low_half | bad_count | q_nan | infinite
    return jnp.where(direct, found, count.astype(dtype) - found)


def _binomial_gaps(k: Any, count: Any, p: Any, shape: Any, dtype: Any) -> Any:
    log_miss = lax.log1p(-p)

    def body(carry: Any) -> Any:
        i, successes, total, k = carry
        sub, k = split_key(k)
        successes = jnp.where(total <= count, successes + 1, successes)
        gap = lax.ceil(lax.log(unit_floats(sub, shape, p.dtype)) / log_miss)
        return i + 1, successes, total + gap, k

    def more(carry: Any) -> Any:
        return (carry[2] <= count).any()

    start = (np.int32(0), jnp.zeros(shape, p.dtype), jnp.zeros(shape, p.dtype), k)
    return (lax.while_loop(more, body, start)[1] - 1).astype(dtype)


def _binomial_rejection(k: Any, count: Any, p: Any, shape: Any, dtype: Any) -> Any:
    deviation = lax.sqrt(count * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = count * p + 0.5
    limit = 0.92 - 4.2 / b
    r = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    m = lax.floor((count + 1) * p)

    def body(carry: Any) -> Any:
        i, out, accepted, k = carry
        k, k0, k1 = split_key(k, 3)
        u = unit_floats(k0, shape, p.dtype) - 0.5
        v = unit_floats(k1, shape, p.dtype)
        us = 0.5 - abs(u)
        surely = (us >= 0.07) & (v <= limit)
        n = lax.floor((2 * a / us + b) * u + c)
        never = (n < 0) | (n > count)
        v = lax.log(v * alpha / (a / (us * us) + b))
        bound = (
            (m + 0.5) * lax.log((m + 1) / (r * (count - m + 1)))
            + (count + 1) * lax.log((count - m + 1) / (count - n + 1))
            + (n + 0.5) * lax.log(r * (count - n + 1) / (n + 1))
            + _stirling_tail(m)
            + _stirling_tail(count - m)
            - _stirling_tail(n)
            - _stirling_tail(count - n)
        )
        accept = surely | (~never & (v <= bound))
        return i + 1, jnp.where(accept, n, out), accepted | accept, k

    def more(carry: Any) -> Any:
        return (~carry[2]).any()

    start = (np.int32(0), jnp.full(shape, -1, p.dtype), jnp.zeros(shape, bool), k)
    return lax.while_loop(more, body, start)[1].astype(dtype)


_TAILS = (
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
)


def _stirling_tail(k: Any) -> Any:
    """log k! less Stirling's formula: a table up to 9, the series beyond."""
    tabled = k <= 9
    k = lax.clamp(constant(k.dtype, 0), k, constant(k.dtype, 9))
    square = (k + 1) * (k + 1)
    series = (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)
    table = jnp.asarray(np.array(_TAILS, k.dtype))
    return jnp.where(tabled, table[lax.floor(k).astype(np.int32)], series)


def multinomial(
    key: Any, n: Any, p: Any, *, shape: Any = None, dtype: Any = None, unroll: int | bool = 1
) -> Array:
    """Numbers of each outcome among n trials, outcomes of probability p along the last axis.

    Binomial samples of what remains, outcome after outcome: n [...], p [..., c] give floats [...,
    c] that sum to n.
    """
    k, _ = typed("multinomial", key)
    n, p = jnp.asarray(n), jnp.asarray(p)
    wide = jnp.promote_types(n.dtype, p.dtype)
    wide = wide if dtypes.issubdtype(wide, np.inexact) else dtypes.canonicalize_dtype(float)
    dtype = float_dtype("multinomial", dtype)
    shape = p.shape if shape is None else canonical_shape(shape)
    n = jnp.broadcast_to(n.astype(wide), shape[:-1])
    p = jnp.moveaxis(jnp.broadcast_to(p.astype(wide), shape), -1, 0)
    left = lax.cumsum(p, 0, reverse=True)
    ratios = p / jnp.where(left == 0, constant(wide, 1), left)
    keys = split(k, ratios.shape[0])

    def step(remainder: Any, ratio_key: Any) -> Any:
        ratio, each = ratio_key
        count = binomial(each, remainder, jnp.clip(ratio, 0, 1), dtype=wide)
        return remainder - count, count

    _, counts = lax.scan(step, n, (ratios, keys), unroll=unroll)
    return jnp.moveaxis(counts, 0, -1).astype(dtype)


add_fact(FLOATS, gumbel)
add_fact(KEY, categorical)
add_fact(FLOATS + WITH_PARAMETERS, binomial, multinomial)
add_fact(INTEGERS + WITH_PARAMETERS, geometric, poisson)
