"""Integers of four bits in kernels: a byte each; converted, compared and moved, but not added."""

import ml_dtypes
import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax

KINDS = [ml_dtypes.int4, ml_dtypes.uint4]
FLOATS = np.array([-3, -1, 300, 1e10, np.nan, -8.7, 7.2, -1e9, 15.5, 0.5] * 3, np.float32)
INTEGERS = np.array([-3, 300, 8, -9, 15, 16] * 5, np.int32)


def ends(dtype):
    info = ml_dtypes.iinfo(dtype)
    return int(info.min), int(info.max)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("jit", [False, True])
def test_floats_saturate_and_integers_keep_their_lowest_bits(dtype, jit):
    low, high = ends(dtype)

    def f(x):
        return x.astype(dtype)

    f = fx.jit(f) if jit else f
    expected = np.trunc(np.clip(np.nan_to_num(FLOATS), low, high)).astype(np.int8)
    for x in (FLOATS, FLOATS[:1]):
        np.testing.assert_array_equal(
            np.asarray(f(jnp.asarray(x))).astype(np.int8), expected[: x.size]
        )
    kept = (INTEGERS - low) % 16 + low
    np.testing.assert_array_equal(np.asarray(f(jnp.asarray(INTEGERS))).astype(np.int8), kept)
    assert np.asarray(f(jnp.asarray([True, False]))).tolist() == [1, 0]


_PROGRAMS = {
    "integers": lambda x: x.astype(np.int32) * 3,
    "floats": lambda x: x.astype(np.float32) * 0.5,
    "truth": lambda x: x.astype(bool),
    "views": lambda x: x.T[::-1, 1:],
    "where": lambda x: jnp.where(x > x[0, 0], x, x[1, 1]),
    "product": lambda x: lax.dot(x, x.T, preferred_element_type=np.int32),
    "updated": lambda x: x.at[2].set(x[0]),
    "joined": lambda x: jnp.concatenate([x, jnp.full((1, 6), 3, x.dtype)]),
    "sorted": lambda x: jnp.sort(x, 1),
    "loop": lambda x: lax.scan(lambda c, r: (c + r.astype(np.int32), r), np.zeros(6, np.int32), x),
    "rows": lambda x: x[jnp.array([3, 0])],
}


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", _PROGRAMS)
def test_jit_gives_what_eager_code_gives(dtype, name):
    x = jnp.asarray(INTEGERS.reshape(5, 6)).astype(dtype)
    eager, jitted = _PROGRAMS[name](x), fx.jit(_PROGRAMS[name])(x)
    for a, b in zip(fx.tree.leaves(eager), fx.tree.leaves(jitted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a, np.float32), np.asarray(b, np.float32))


def test_a_layer_of_four_bits_with_a_scale_for_each_group():
    w = np.random.default_rng(0).normal(size=(4, 16, 8)).astype(np.float32)

    @fx.jit
    def quantized(w):
        scale = jnp.max(jnp.abs(w), 1, keepdims=True) / 7
        return jnp.round(w / scale).astype(jnp.int4), scale

    @fx.jit
    def layer(x, q, scale):
        return x @ (q.astype(np.float32) * scale).reshape(64, 8)

    q, scale = quantized(w)
    x = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    whole = np.rint(w / np.asarray(scale)) * np.asarray(scale)
    np.testing.assert_allclose(layer(x, q, scale), x @ whole.reshape(64, 8), rtol=1e-4, atol=1e-4)


@pytest.mark.driver
@pytest.mark.parametrize("f", [lambda x: x + x, jnp.max])
def test_arithmetic_says_what_to_do(f):
    with pytest.raises(TypeError, match="of int4 has no form in a kernel: convert to int8 before"):
        fx.jit(f)(jnp.ones(3, jnp.int4))
