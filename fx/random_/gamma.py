"""Gamma samples (Marsaglia and Tsang 2000), differentiable in the shape parameter, and what is
made from them.

`random_gamma` is one primitive: each element has a key of its own and runs its own rejection loop;
its derivative is that of the implicit equation P(a, x) = u.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

import fx.numpy as jnp
from fx import core, dtypes, lax
from fx.avals import ShapedArray, is_floating, is_key, key_dtype
from fx.core import Zero, get_aval, no
from fx.family_docs import add_fact
from fx.lower import lower_closed
from fx.prims import control, random_bits
from fx.prims import shape as views
from fx.prims.host_program import host_program
from fx.prims.registry import Case, primitive
from fx.random_.inverse import exponential_floats
from fx.random_.keys import (
    FLOATS,
    WITH_PARAMETERS,
    constant,
    float_dtype,
    param,
    sample_shape,
    split_key,
    spread,
    typed,
)
from fx.random_.normal import _normal
from fx.random_.uniform import unit_floats
from fx.typing import Array
from fx.vmap import vmap

__all__ = ["beta", "chisquare", "dirichlet", "f", "gamma", "loggamma", "t"]

# ---------------------------------------------------------------- one sample


def _gamma_one(k: Any, alpha: Any, log_space: bool) -> Any:
    """One sample; for alpha < 1 that of alpha + 1 times u^(1 / alpha)."""
    dtype = get_aval(alpha).dtype
    one, third = constant(dtype, 1), constant(dtype, 1.0 / 3.0)
    whole = alpha >= one
    boosted = jnp.where(whole, alpha, alpha + one)
    d = boosted - third
    c = third / lax.sqrt(d)

    def rejected(carry: Any) -> Any:
        _, x, v, u = carry
        squeezed = u >= one - constant(dtype, 0.0331) * (x * x)
        return squeezed & (lax.log(u) >= x * constant(dtype, 0.5) + d * ((one - v) + lax.log(v)))

    def propose(carry: Any) -> Any:
        k, of_x, of_u = split_key(carry[0], 3)

        def normal_step(inner: Any) -> Any:
            k, sub = split_key(inner[0])
            x = _normal(sub, (), dtype)
            return k, x, one + x * c

        start = (of_x, constant(dtype, 0), constant(dtype, -1))
        _, x, v = lax.while_loop(lambda inner: inner[2] <= constant(dtype, 0), normal_step, start)
        return k, x * x, (v * v) * v, unit_floats(of_u, (), dtype)

    k, sub = split_key(k)
    # this start is rejected
    start = (k, constant(dtype, 0), one, constant(dtype, 2))
    v = lax.while_loop(rejected, propose, start)[2]
    if log_space:
        log_u = -exponential_floats(sub, (), dtype)
        boost = jnp.where(whole | (log_u == 0), constant(dtype, 0), log_u * (one / alpha))
        return lax.log(d) + lax.log(v) + boost
    u = one - unit_floats(sub, (), dtype)
    return d * v * jnp.where(whole, one, lax.pow(u, one / alpha))


# ---------------------------------------------------------------- the primitive


def _samples(log_space: bool) -> Any:
    """(keys, a) -> samples, all elements at once; a key of each element comes from the key of its
    batch.
    """

    def run(keys: Any, a: Any) -> list[Any]:
        k_shape, a_shape = get_aval(keys).shape, get_aval(a).shape
        count = prod(a_shape[len(k_shape) :])
        each = random_bits.random_split_p.bind(keys, shape=(count,))
        each, flat = views.reshape(each, (prod(a_shape),)), views.reshape(a, (prod(a_shape),))
        out = vmap(lambda k, x: _gamma_one(k, x, log_space))(each, flat)
        return [views.reshape(out, a_shape)]

    return run


_TRACED: dict[Any, Any] = {}


def _program(keys: ShapedArray, a: ShapedArray, log_space: bool) -> Any:
    """The samples as a jaxpr without constants."""
    name = (keys, a, log_space)
    if name not in _TRACED:
        with core.set_trace(core.EVAL):
            closed, consts = control.close_flat(_samples(log_space), [keys, a])
        assert not consts
        _TRACED[name] = closed
    return _TRACED[name]


def _abstract(keys, a, *, log_space):
    if not is_key(keys.dtype) or a.shape[: keys.ndim] != keys.shape:
        raise TypeError(
            f"random_gamma requires keys and parameters that start with their shape, got "
            f"{keys.str_short()} and {a.str_short()}."
        )
    if not is_floating(a.dtype):
        raise TypeError(f"random_gamma does not accept dtype {a.dtype.name}.")
    return ShapedArray(a.shape, a.dtype)


def _numpy(keys, a, *, log_space):
    if not a.size:
        return np.zeros(a.shape, a.dtype)
    avals = ShapedArray(keys.shape, keys.dtype), ShapedArray(a.shape, a.dtype)
    return host_program(_program(*avals, log_space))([keys, a])[0]


def _jvp(primals, tangents, *, log_space):
    keys, a = primals
    out = random_gamma_p.bind(keys, a, log_space=log_space)
    t = tangents[1]
    if type(t) is Zero:
        return out, Zero.like(out)
    sample = out
    if log_space:
        tiny = constant(get_aval(a).dtype, dtypes.finfo(get_aval(a).dtype).tiny)
        sample = lax.exp(out)
        sample = jnp.where(sample == 0, tiny, sample)
    slope = lax.random_gamma_grad(a, sample)
    return out, t * (slope / sample if log_space else slope)


def _batch(axis, args, dims, *, log_space):
    moved = [
        views.broadcast_new_axis(x, 0, axis.size) if d is None else views.move_axis(x, d, 0)
        for x, d in zip(args, dims)
    ]
    return random_gamma_p.bind(*moved, log_space=log_space), 0


def _lower(b, keys, a, *, log_space):
    if not a.size:
        return a
    avals = ShapedArray(keys.shape, key_dtype), ShapedArray(a.shape, a.dtype)
    return lower_closed(b, _program(*avals, log_space), keys, a)[0]


random_gamma_p = primitive(
    "random_gamma",
    "Gamma samples (or their logarithms) for shape parameters, under keys of leading axes.",
    abstract=_abstract,
    numpy=_numpy,
    jvp=_jvp,
    transpose=no("it is not linear"),
    batch=_batch,
    lower=_lower,
    limits=dict.fromkeys(
        ("forward", "reverse", "derivative"),
        "its derivative is that of a quantile, and by rejection samples jump; "
        "tests/test_random.py takes it through random_gamma_grad",
    ),
    cases=lambda: [
        Case(
            (k, s),
            {"log_space": log},
            (key_dtype, np.float32),
            (random_bits._random_keys, (0.5, 3.0)),
            (),
        )
        for k, s, log in (
            ((), (3,), False),
            ((), (3,), True),
            ((), (), False),
            ((2,), (2, 0), False),
        )
    ],
)


# ---------------------------------------------------------------- the distributions


def _gamma(k: Any, a: Any, shape: tuple[int, ...], dtype: Any, log_space: bool = False) -> Any:
    return random_gamma_p.bind(k, spread(a, shape, dtype), log_space=log_space)


def gamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with density x^(a - 1) exp(-x) / Gamma(a); differentiable in a.

    By Marsaglia and Tsang's rejection (2000); for a < 1 from a + 1 times u^(1 / a). Its derivative
    by a is that of the quantile (`lax.random_gamma_grad`).
    """
    k, _ = typed("gamma", key)
    dtype = float_dtype("gamma", dtype)
    return _gamma(k, a, sample_shape("gamma", shape, a), dtype)


def loggamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Logarithms of gamma samples, exact also for tiny a.

    For a near 0 the samples themselves would be 0.
    """
    k, _ = typed("loggamma", key)
    dtype = float_dtype("loggamma", dtype)
    return _gamma(k, a, sample_shape("loggamma", shape, a), dtype, True)


def beta(
    key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples with density proportional to x^(a - 1) (1 - x)^(b - 1).

    G_a / (G_a + G_b) from gamma samples, formed from their logarithms; differentiable in a and b.
    """
    k, _ = typed("beta", key)
    dtype = float_dtype("beta", dtype)
    shape = sample_shape("beta", shape, a, b)
    logs = [_gamma(sub, v, shape, dtype, True) for sub, v in zip(split_key(k), (a, b))]
    top = lax.max(*logs)
    first, second = (lax.exp(v - top) for v in logs)
    return first / (first + second)


def dirichlet(
    key: Any, alpha: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Samples [*shape, n] of probabilities with parameters alpha [..., n].

    Gamma samples over their sum, formed from logarithms. ValueError for a scalar alpha.
    """
    k, _ = typed("dirichlet", key)
    dtype = float_dtype("dirichlet", dtype)
    alpha = jnp.asarray(alpha, dtype=dtype)
    if alpha.ndim < 1:
        raise ValueError(f"dirichlet requires alpha.ndim >= 1, got alpha.ndim == {alpha.ndim}")
    shape = sample_shape("dirichlet", shape, jnp.empty(alpha.shape[:-1]))
    logs = _gamma(k, alpha, (*shape, alpha.shape[-1]), dtype, True)
    largest = logs.max(-1, keepdims=True, initial=None if logs.size else -jnp.inf)
    weights = lax.exp(logs - lax.stop_gradient(largest))
    return weights / weights.sum(-1, keepdims=True)


def chisquare(
    key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Sums of df squared normals.

    2 gamma(df / 2), df > 0 need not be whole.
    """
    k, _ = typed("chisquare", key)
    dtype = float_dtype("chisquare", dtype)
    return _chisquare(k, df, sample_shape("chisquare", shape, df), dtype)


def _chisquare(k: Any, df: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    half = param(df, dtype) / constant(dtype, 2)
    return lax.exp(_gamma(k, half, shape, dtype, True)) * constant(dtype, 2)


def f(
    key: Any,
    dfnum: Any,
    dfden: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Ratios of two chi-squared samples, each over its degrees of freedom.

    Mean dfden / (dfden - 2) for dfden > 2.
    """
    k, _ = typed("f", key)
    dtype = float_dtype("f", dtype)
    shape = sample_shape("f", shape, dfnum, dfden)
    of_den, of_num = split_key(k)
    top = _chisquare(of_num, dfnum, shape, dtype) / spread(dfnum, shape, dtype)
    return top / (_chisquare(of_den, dfden, shape, dtype) / spread(dfden, shape, dtype))


def t(
    key: Any,
    df: Any,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Student's t samples with df degrees of freedom.

    z sqrt(df / (2 g)) with z normal and g from gamma(df / 2): variance df / (df - 2) for df > 2.
    """
    k, _ = typed("t", key)
    dtype = float_dtype("t", dtype)
    shape = sample_shape("t", shape, df)
    of_normal, of_gamma = split_key(k)
    n = _normal(of_normal, shape, dtype)
    half = param(df, dtype) / constant(dtype, 2)
    return n * lax.sqrt(half / _gamma(of_gamma, half, shape, dtype))


add_fact(FLOATS + WITH_PARAMETERS, gamma, loggamma, beta, dirichlet, chisquare, f, t)
