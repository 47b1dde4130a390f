"""Strange strides, dilations and paddings: kernels stay inside their buffers, also where an index
is beyond 32 bits.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax

pytestmark = pytest.mark.skipif(
    os.environ.get("FX_DEVICE") == "interpreter", reason="NumPy makes the padded array"
)
FAR = 2**31
SIZES = (10, 100, 1000)


@pytest.mark.parametrize("n", SIZES)
def test_a_window_whose_taps_are_far_apart(n):
    """Only the first of three taps meets the array."""
    x = np.arange(1, n + 1, dtype=np.float32)

    def f(x):
        pads = ((0, 2 * FAR - 2),)
        return lax.reduce_window(x, 0.0, lax.add, (3,), (1,), pads, None, (FAR - 1,)) + 1

    np.testing.assert_array_equal(fx.jit(f)(x), x + 1)


@pytest.mark.parametrize("n", SIZES)
def test_a_window_of_columns_far_apart(n):
    x = np.arange(7 * n, dtype=np.float32).reshape(7, n)

    def f(x):
        pads = ((2 * FAR - 2, 0), (1, 1))
        return lax.reduce_window(x, 0.0, lax.max, (3, 3), (1, 1), pads, None, (FAR - 1, 1))

    edges = np.pad(x, ((0, 0), (1, 1)))
    want = np.maximum(np.maximum(edges[:, :-2], edges[:, 1:-1]), edges[:, 2:])
    np.testing.assert_array_equal(fx.jit(f)(x), want)


def test_a_convolution_with_a_huge_dilation():
    x = np.arange(1, 41, dtype=np.float32).reshape(1, 1, 40)

    def f(x):
        pads = ((0, 2 * FAR - 2),)
        return lax.conv_general_dilated(x, jnp.ones((1, 1, 3)), (1,), pads, None, (FAR - 1,))

    np.testing.assert_array_equal(fx.jit(f)(x), x)


def test_windows_far_apart():
    x = np.arange(1, 11, dtype=np.float32)
    f = fx.jit(lambda x: lax.reduce_window(x, 0.0, lax.add, (1,), (FAR,), ((0, 2 * FAR),)))
    np.testing.assert_array_equal(f(x), [1, 0, 0])


@pytest.mark.parametrize("n", SIZES)
def test_an_array_that_is_cropped_away(n):
    x = np.ones(n, np.float32)
    f = fx.jit(lambda x: lax.pad(x, jnp.float32(3), ((2 * FAR - 2, -2 * FAR + 5, 0),)))
    np.testing.assert_array_equal(f(x), np.full(n + 3, 3))


def test_a_convolution_whose_transpose_needs_a_copy_of_the_windows():
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (1, 3, 5, 17)).astype(np.float32)
    w = rng.integers(-3, 4, (5, 3, 3, 4)).astype(np.float32)

    def f(x, w):
        return lax.conv_general_dilated(x, w, (3, 1), ((1, -1), (2, -1)), (1, 3), (1, 3))

    np.testing.assert_array_equal(fx.jit(f)(x, w), f(x, w))
