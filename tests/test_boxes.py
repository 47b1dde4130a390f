"""Nests that only move rows call a function that all programs share (lowering/emit/boxes.py)."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import lower_function
from fx import lax
from lowering.profile import AVX2, AVX512

RNG = np.random.default_rng(5)
SIZES = {"int8": 1, "bool": 1, "float16": 2, "int16": 2, "float32": 4, "uint32": 4}
MOVES = {
    "pad": lambda x: jnp.pad(x, ((1, 2), (3, 0), (0, 1), (2, 19))),
    "cut": lambda x: lax.pad(x, x.dtype.type(0), [(-1, 0, 0), (0, 1, 0), (1, -1, 0), (-2, 3, 0)]),
    "slice": lambda x: x[1:, :2, 1:4, 5:38],
    "every other": lambda x: x[:, :, ::2, 3:],
    "backwards": lambda x: x[::-1, :, ::-1, 1:],
    "axes": lambda x: x.transpose(2, 0, 1, 3)[:, :, :, :30],
    "far": lambda x: jnp.pad(x, ((0, 0), (0, 0), (0, 0), (40, 50))),
    "none": lambda x: jnp.pad(x, ((2, 0), (2, 2), (3, 3), (1, 1)))[:1],
    "beside": lambda x: jnp.concatenate([x, x[:, :, :, :20]], -1),
    "above": lambda x: jnp.concatenate([x[:, 1:], x], 1)[:, :, 1:],
}


def array(dtype: str, shape=(3, 4, 5, 41)) -> np.ndarray:
    return (RNG.normal(size=shape) * 50).astype(dtype)


def boxes(f, *args, profile=AVX512) -> set[str]:
    """The names of these functions in the programs of `f`."""
    programs = lower_function(f, args, profile=profile).plan.programs
    return {x for p in programs for x in re.findall(r"FX_PART void (box_\w+)", p.source)}


@pytest.mark.parametrize("dtype", SIZES)
@pytest.mark.parametrize("name", MOVES)
def test_rows_are_moved(name, dtype):
    x = array(dtype)
    np.testing.assert_array_equal(fx.jit(MOVES[name])(x), MOVES[name](jnp.asarray(x)))
    if name not in ("above", "none"):  # of which more is done than to move rows
        assert all(x.startswith(f"box_{SIZES[dtype]}x") for x in boxes(MOVES[name], x))
        assert boxes(MOVES[name], x)


@pytest.mark.parametrize("dtype", ["float64", "int64", "complex64"])
@pytest.mark.parametrize("name", MOVES)
def test_large_elements(name, dtype):
    with fx.enable_x64(True):
        x = array(dtype)
        np.testing.assert_array_equal(fx.jit(MOVES[name])(x), MOVES[name](jnp.asarray(x)))


@pytest.mark.parametrize("columns", range(16, 40))
@pytest.mark.parametrize(
    "low, high", [(0, 0), (1, 1), (0, 16), (17, 3), (-1, 2), (2, -3), (-5, -5)]
)
def test_edges_of_a_row(columns, low, high):
    x = array("float32", (7, columns))
    f = fx.jit(lambda x: lax.pad(x, np.float32(0), [(1, 1, 0), (low, high, 0)]))
    np.testing.assert_array_equal(f(x), padded(x, low, high))


def padded(x: np.ndarray, low: int, high: int) -> np.ndarray:
    """One row of zeros above and below, and columns as many as are said, which may be negative."""
    rows, columns = x.shape
    out = np.zeros((rows + 2, columns + low + high), x.dtype)
    first, last = max(0, -low), columns - max(0, -high)
    out[1:-1, first + low : last + low] = x[:, first:last]
    return out


@pytest.mark.parametrize("profile, width", [(AVX2, 8), (AVX512, 16)], ids=["avx2", "avx512"])
def test_a_register_is_as_wide_as_the_processors(profile, width):
    x = array("float32")
    assert boxes(MOVES["pad"], x, profile=profile) == {f"box_4x{width}"}


def test_types_of_one_size_share_the_function():
    def f(x, y):
        return MOVES["pad"](x), MOVES["pad"](y)

    assert len(boxes(f, array("float32"), array("int32"))) == 1


def test_another_size_is_no_other_program():
    def texts(shape, low):
        x = array("float32", shape)
        plan = lower_function(lambda x: jnp.pad(x, ((low, 1), (1, low), (0, 3))), (x,)).plan
        return [p.source for p in plan.programs]

    assert texts((8, 9, 20), 1) == texts((30, 7, 171), 4)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.pad(x, 1) + 1,
        lambda x: jnp.pad(x, 1, constant_values=3.0),
        lambda x: jnp.pad(x, 1).astype(jnp.int32),
        lambda x: x[:, :10] * 2,
        lambda x: jnp.roll(x, 3, 1),
    ],
    ids=["computed", "other than zero", "another type", "scaled", "rolled"],
)
def test_what_does_more_has_a_text_of_its_own(f):
    x = array("float32", (20, 33))
    assert not boxes(f, x)
    np.testing.assert_array_equal(fx.jit(f)(x), f(jnp.asarray(x)))


def test_in_a_loop():
    def step(x, _):
        wide = lax.optimization_barrier(jnp.pad(x, 1))
        return wide[1:-1, 1:-1] + wide[:-2, 2:], wide[0, :3]

    x = array("float32", (33, 47))
    found = fx.jit(lambda x: lax.scan(step, x, None, length=5))(x)
    for _ in range(5):
        wide = np.pad(x, 1)
        x = wide[1:-1, 1:-1] + wide[:-2, 2:]
    np.testing.assert_allclose(found[0], x, rtol=1e-6)
    assert (np.asarray(found[1]) == 0).all()


def test_a_given_array_is_read_before_it_is_written():
    x = array("float32", (40, 40))
    f = fx.jit(lambda x: (jnp.pad(x[1:], ((0, 1), (0, 0))), x[:, ::-1] + 1), donate_argnums=0)
    above, mirrored = f(jnp.asarray(x))
    np.testing.assert_array_equal(above, np.pad(x[1:], ((0, 1), (0, 0))))
    np.testing.assert_array_equal(mirrored, x[:, ::-1] + 1)
