"""Tiles: loads that lie across the strips are turned in private memory, whole and ragged alike."""

import ml_dtypes
import numpy as np
import pytest

import fx
import fx.numpy as jnp
from lowering import graph
from lowering.compile import make_plan
from lowering.profile import AVX2

DTYPES = (np.float32, np.float64, np.int8, np.uint16, np.int32, np.bool_, ml_dtypes.bfloat16)
SHAPES = ((64, 64), (200, 130), (129, 8), (17, 301), (300, 9))
PERMS = ((0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1))


def some(shape, dtype=np.float32):
    values = np.random.default_rng(0).integers(0, 100, shape)
    return values.astype(dtype)


def source(shape, dtype=np.float32):
    b = graph.Builder()
    x = b.transpose(b.input(shape, np.dtype(dtype)), (1, 0))
    return make_plan(b.graph([b.map("neg", x)]), AVX2).programs[0].source


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_transposes(shape, dtype):
    x = some(shape, dtype)
    got = fx.jit(lambda x: jnp.where(x.T == x.T, x.T, x.T))(x)
    np.testing.assert_array_equal(np.asarray(got), x.T)


@pytest.mark.parametrize("perm", PERMS, ids=str)
def test_permutations_of_three_axes(perm):
    x, y = some((20, 70, 90)), some((20, 70, 90), np.float64)
    got = fx.jit(lambda x, y: jnp.transpose(x, perm) * 2 + jnp.transpose(y, perm))(x, y)
    want = np.transpose(x, perm) * 2 + np.transpose(y, perm)
    np.testing.assert_array_equal(np.asarray(got), want.astype(np.asarray(got).dtype))


def test_with_operands_that_lie_along_the_strips():
    x, row, column = some((150, 150)), some((150,)), some((150, 1))
    got = fx.jit(lambda x, r, c: (x + x.T) * r + c)(x, row, column)
    np.testing.assert_array_equal(np.asarray(got), (x + x.T) * row + column)


def test_a_guarded_load_is_gathered_beside_a_tile():
    x = some((100, 100))
    got = fx.jit(lambda x: jnp.pad(x.T, 1)[:-2, 1:-1] + x.T)(x)
    np.testing.assert_array_equal(np.asarray(got), np.pad(x.T, 1)[:-2, 1:-1] + x.T)


def test_tiles_stay_within_the_first_cache():
    for dtype, tile in ((np.float32, 64 * 64), (np.float64, 32 * 64), (np.int8, 128 * 128)):
        text = source((512, 512), dtype)
        assert f"[{tile}] __attribute__((aligned(64)))" in text
    assert "turn_" not in source((512, 4))


def test_sizes_are_no_part_of_the_text_but_strides():
    assert source((512, 640)).replace("512", "") != source((512, 512))
    b = [source((n, 512)).replace(str(n), "n") for n in (384, 640)]
    assert b[0] == b[1]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_complex_transposes(shape, dtype):
    """Each part is turned by itself: every second element of the lines."""
    with fx.enable_x64(dtype == np.complex128):
        x = (some(shape) - 1j * some(shape[::-1]).T).astype(dtype)
        y = (1j * some(shape[::-1])).astype(dtype)
        f = fx.jit(lambda x, y: (x.conj().T, x.T + y, abs(x.T) ** 2))
        np.testing.assert_array_equal(np.asarray(f(x, y)[0]), x.conj().T)
        np.testing.assert_array_equal(np.asarray(f(x, y)[1]), x.T + y)
        np.testing.assert_allclose(np.asarray(f(x, y)[2]), abs(x.T) ** 2, rtol=1e-6)


def test_complex_arrays_are_turned_in_tiles():
    b = graph.Builder()
    x = b.transpose(b.input((512, 512), np.dtype(np.complex64)), (1, 0))
    text = make_plan(b.graph([b.map("neg", x)]), AVX2).programs[0].source
    assert "turn2_f32x8(" in text and ".s7" not in text
