"""Kernels that are parted so that transposed reads go by tiles: the numbers of eager code."""

import numpy as np
import pytest

import fx
import fx.numpy as jnp

PROGRAMS = {
    "centred": lambda x: (x - x.mean(0)).T,
    "normed": lambda x: (x / jnp.abs(x).sum(1, keepdims=True)).T,
    "softmax before": lambda x: fx.nn.softmax(x, axis=0).T,
    "softmax after": lambda x: fx.nn.softmax(x.T, axis=-1),
    "sums beside": lambda x: (x.T.sum(-1), x.T + 1),
    "results of rows": lambda x: (x.T * jnp.exp(x[0])[:, None], jnp.exp(x[0])),
    "gradient": fx.grad(lambda x: (fx.nn.softmax(x.T, axis=-1) ** 2).sum()),
    "in a loop": lambda x: fx.lax.fori_loop(0, 3, lambda k, y: (y.T - y.T.mean(-1)[:, None]).T, x),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shape", [(300, 257), (1000, 80), (70, 1100)])
def test_as_eager(name, shape):
    f, x = PROGRAMS[name], np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for want, got in zip(fx.tree.leaves(f(x)), fx.tree.leaves(fx.jit(f)(x)), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-6)


@pytest.mark.driver
def test_goes_by_tiles():
    x = np.ones((512, 512), np.float32)
    text = fx.jit(PROGRAMS["centred"]).lower(x).compile().as_text()
    assert "turn_f32" in text


@pytest.mark.parametrize("channels", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float16])
def test_few_channels_side_by_side(channels, dtype):
    x = (np.random.default_rng(0).normal(size=(3, channels, 37, 61)) * 9).astype(dtype)
    for f in (
        lambda x: x.transpose(0, 2, 3, 1),
        lambda x: (x - x[0, :, :1, :1]).transpose(0, 2, 3, 1),
    ):
        np.testing.assert_array_equal(np.asarray(fx.jit(f)(x)), np.asarray(f(x)))
