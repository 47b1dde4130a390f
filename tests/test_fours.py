"""Products of 8-bit integers by fours: exact for every sign, layout and size."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from lowering import compile as compiler
from lowering import graph as g
from lowering.debug import source_text
from lowering.profile import AVX512

pytestmark = pytest.mark.lowering

LAYOUTS = {
    "nn": ("mk,kn->mn", (70, 132), (132, 66)),
    "tn": ("km,kn->mn", (132, 70), (132, 66)),
    "nt": ("mk,nk->mn", (70, 132), (66, 132)),
    "tt": ("km,nk->mn", (132, 70), (66, 132)),
    "batch": ("bmk,bkn->bmn", (3, 40, 64), (3, 64, 100)),
    "deep": ("mk,kn->mn", (33, 2052), (2052, 17)),
    "odd": ("mk,kn->mn", (70, 131), (131, 66)),
}
SIGNS = [("int8", "int8"), ("int8", "uint8"), ("uint8", "int8"), ("uint8", "uint8")]


def numbers(shape, dtype):
    """Numbers of the whole range, the extremes among them."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = np.random.default_rng(0).integers(low, high, shape, dtype, endpoint=True)
    x.flat[:9], x.flat[-9:] = low, high
    return x


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_sum_is_exact(name, signs):
    text, *shapes = LAYOUTS[name]
    x, y = (numbers(shape, dtype) for shape, dtype in zip(shapes, signs, strict=True))
    f = fx.jit(lambda x, y: jnp.einsum(text, x.astype(jnp.int32), y.astype(jnp.int32)))
    want = np.einsum(text, x.astype(np.int64), y.astype(np.int64))
    np.testing.assert_array_equal(f(x, y), want)


@pytest.mark.parametrize("value", [-128, 127])
def test_the_greatest_sums(value):
    x = np.full((64, 8192), value, np.int8)
    f = fx.jit(lambda x: lax.dot_general(x, x, (((1,), (1,)), ((), ())), None, jnp.int32))
    np.testing.assert_array_equal(f(x), np.full((64, 64), 8192 * value * value))


def test_what_follows_reads_the_sums():
    x, y, s = numbers((64, 128), "int8"), numbers((128, 64), "int8"), np.linspace(0, 1, 64)
    f = fx.jit(lambda x, y, s: (x.astype(jnp.int32) @ y.astype(jnp.int32)) * s + 1)
    want = (x.astype(np.int32) @ y.astype(np.int32)) * s.astype(np.float32) + 1
    np.testing.assert_allclose(f(x, y, s.astype(np.float32)), want, rtol=1e-5)


def text_of(features, m=64, n=64, k=64, dtypes=("int8", "int8")):
    b = g.Builder()
    x, y = (b.input(s, np.dtype(t)) for s, t in zip(((m, k), (k, n)), dtypes, strict=True))
    z = b.contract(x, y, ((1,), (0,)), ((), ()), np.dtype(np.int32))
    profile = AVX512.with_(features=frozenset(features))
    return source_text(compiler.make_plan(b.graph([z]), profile))


ABLE = ("avx512f", "avx512_vnni")


@pytest.mark.parametrize("signs", SIGNS)
def test_processors_that_add_fours_are_asked_to(signs):
    assert "vpdpbusd" in text_of(ABLE, dtypes=signs)
    assert "vpdpbusd" not in text_of(("avx512f",), dtypes=signs)


def test_products_that_stay():
    for sizes in ({"m": 2}, {"n": 8}, {"k": 63}):
        assert "vpdpbusd" not in text_of(ABLE, **sizes)
    assert "vpdpbusd" not in text_of(ABLE, dtypes=("int8", "int16"))
