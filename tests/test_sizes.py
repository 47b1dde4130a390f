"""Sizes: a new batch size is traced and planned again, but builds nothing."""

from __future__ import annotations

import os

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax

pytestmark = pytest.mark.driver

WEIGHTS = [np.float32(np.random.default_rng(k).normal(size=(32, 32)) / 6) for k in range(2)]


def network(x):
    for w in WEIGHTS:
        x = fnp.tanh(x @ w)
    return x


PROGRAMS = {
    "elementwise": lambda x: fnp.exp(x) * 2 + fnp.sin(x),
    "softmax": fx.nn.softmax,
    "sum": lambda x: fnp.sum(x * x),
    "sum of columns": lambda x: fnp.sum(x, axis=0),
    "mean": lambda x: fnp.mean(x**2),
    "gradient of a mean": fx.grad(lambda x: fnp.mean(fnp.tanh(x) ** 2)),
    "standardised": lambda x: (x - x.mean(0)) / (x.std(0) + 1),
    "running sum": lambda x: fnp.cumsum(x, axis=0),
    "running sum from the end": lambda x: lax.cumsum(x, axis=0, reverse=True),
    "scan": lambda x: lax.scan(lambda c, a: (fnp.tanh(c + a), c), x[0], x),
    "lanes": fx.vmap(lambda x: lax.fori_loop(0, 100, lambda i, c: c + 0.01 * fnp.sin(c), x)),
    "network": network,
    "loss": lambda x: fnp.mean((network(x) - x) ** 2),
    "random": lambda x: x + fx.random.normal(fx.random.key(0), x.shape),
    "rows of a table": lambda x: fnp.asarray(WEIGHTS[0])[fnp.int32(x[:, 0]) % 32],
    "sorted": lambda x: fnp.sort(x, axis=-1) + 1,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_new_batch_size_builds_nothing(name):
    f = fx.jit(PROGRAMS[name])
    rng = np.random.default_rng(0)
    for k, rows in enumerate((1000, 776, 1048)):
        x = np.float32(rng.normal(size=(rows, 32)))
        before = fx.debug.counters()
        found = fx.block_until_ready(f(x))
        after = fx.debug.counters()
        if k:
            assert after.compiles == before.compiles
        wanted = PROGRAMS[name](fnp.asarray(x))
        for a, b in zip(fx.tree.leaves(found), fx.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


@pytest.mark.skipif(os.environ.get("FX_SCHEDULE") == "gpu", reason="a group shares the loop")
def test_short_loops_are_known_to_the_compiler():
    text = fx.jit(lambda x: x.sum(0)).lower(np.zeros((5, 64), np.float32)).compile().as_text()
    assert "< 5; ++" in text
