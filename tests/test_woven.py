"""Values that take turns in memory fill whole vectors, and backwards is a vector turned."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from lowering.emit.woven import woven

pytestmark = pytest.mark.lowering

DTYPES = ("float32", "float64", "int32", "int8", "uint16", "bool", "bfloat16", "float16")
SHAPES = ((7, 45), (16, 64), (3, 5, 33), (1000,))


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_every_element_is_chosen_once_and_in_turn(count, width):
    values = {f"v{k}": [f"{k}.{j}" for j in range(width)] for k in range(count)}

    def shuffled(x, y, *places):
        both = [*x, *y]
        return [None if p < 0 else both[p] for p in places]

    names = {"__builtin_shufflevector": shuffled, **values}
    found = []
    for k in range(count):
        found += eval(woven(list(values), k, width), names)
    assert found == [f"{j % count}.{j // count}" for j in range(count * width)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 9, 21])
def test_what_is_stacked_last_is_stored_in_turns(dtype, count):
    def program(x):
        y = [(x * k).astype(dtype) for k in range(1, count)]
        return jnp.stack([*y, x.astype(dtype)], -1), jnp.flip(y[0], -1)

    with fx.enable_x64(True):
        for shape in SHAPES:
            x = np.random.default_rng(0).integers(0, 9, shape).astype(np.float32)
            with fx.disable_jit():
                expected = program(jnp.asarray(x))
            for found, e in zip(fx.jit(program)(x), expected, strict=True):
                assert found.dtype == e.dtype
                np.testing.assert_array_equal(np.asarray(found), np.asarray(e))


def texts(f, *args):
    return fx.jit(f).lower(*args).compile().as_text()


@pytest.mark.driver
def test_strips_are_stored_whole():
    x = jnp.ones((64, 256))
    text = texts(lambda x: jnp.stack([x, x * 2], -1).reshape(64, 512), x)
    assert "shufflevector(t" in text.split("FX_STAGE void stage_0")[1]
    assert "[2] =" not in text


@pytest.mark.driver
@pytest.mark.parametrize("count", [8, 12, 24])
def test_neighbours_are_stored_as_rows(count):
    text = texts(lambda x: jnp.stack([x * k for k in range(2, count + 2)], -1), jnp.ones(4096))
    strip = text.split("FX_STAGE void stage_0")[1].split("#pragma clang loop")[0]
    assert "(z" in strip
    assert ".s1;" not in strip  # no lane by itself


def test_columns_set_in_a_loop_are_stored_as_rows():
    def program(y):
        return fx.lax.fori_loop(0, 20, lambda k, x: x.at[:, k].set(y * k), jnp.zeros((300, 20)))

    y = np.random.default_rng(0).standard_normal(300).astype(np.float32)
    np.testing.assert_array_equal(fx.jit(program)(y), y[:, None] * np.arange(20, dtype="f"))


@pytest.mark.driver
def test_what_is_updated_in_place_reads_before_it_writes():
    def program(x):
        return jnp.stack([x[1::2], x[::2]], -1).reshape(-1)

    x = np.arange(512, dtype=np.float32)
    donated = fx.jit(program, donate_argnums=0)(jnp.array(x))
    np.testing.assert_array_equal(donated, x.reshape(-1, 2)[:, ::-1].ravel())
