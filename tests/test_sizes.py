"""Sizes: a new batch size is traced and planned again, but builds nothing."""

from __future__ import annotations

import itertools
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


def layers(*sizes):
    pairs = enumerate(itertools.pairwise(sizes))
    normal = lambda k, m, n: np.random.default_rng(k).normal(size=(m, n)) / m**0.5
    return [(np.float32(normal(k, m, n)), np.zeros(n, np.float32)) for k, (m, n) in pairs]


def mlp_step(p, x, y):
    """Loss, gradient and Adam's first update of a network with two layers."""

    def loss(p):
        hidden = fx.nn.relu(x @ p[0][0] + p[0][1])
        z = fx.nn.log_softmax(hidden @ p[1][0] + p[1][1])
        return -fnp.take_along_axis(z, y[:, None], 1).mean()

    value, gradient = fx.value_and_grad(loss)(p)
    step = lambda w, g: w - 1e-3 * g / (fnp.sqrt(0.001 * g * g) + 1e-8)
    return fx.tree.map(step, p, gradient), value


def logistic_step(p, x, y):
    """Loss and gradient of a logistic regression, and a step."""

    def loss(p):
        z = x @ p[0][0][:, 0] + p[0][1][0]
        return -(y * fx.nn.log_sigmoid(z) + (1 - y) * fx.nn.log_sigmoid(-z)).mean()

    value, gradient = fx.value_and_grad(loss)(p)
    return fx.tree.map(lambda w, g: w - 0.1 * g, p, gradient), value


def lstm_step(p, xs, y):
    """The gradient of an LSTM's mean."""

    def loss(p):
        def step(carry, x):
            hidden, cell = carry
            i, f, g, o = fnp.split(x @ p[0][0] + hidden @ p[1][0] + p[0][1], 4, axis=-1)
            cell = fx.nn.sigmoid(f) * cell + fx.nn.sigmoid(i) * fnp.tanh(g)
            hidden = fx.nn.sigmoid(o) * fnp.tanh(cell)
            return (hidden, cell), hidden

        zeros = fnp.zeros((xs.shape[1], 128), np.float32)
        return (lax.scan(step, (zeros, zeros), xs)[1] ** 2).mean()

    return fx.grad(loss)(p)


STEPS = {
    "mlp": (mlp_step, layers(64, 32, 10), (64, 72, 90, 96)),
    "logistic": (logistic_step, layers(30, 1), (100, 64, 81, 128)),
    "lstm": (lstm_step, layers(64, 512) + layers(128, 512), (64, 48, 56)),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_of_another_batch_size_builds_nothing(name):
    step, p, sizes = STEPS[name]
    rng = np.random.default_rng(0)
    f = fx.jit(step)
    for k, rows in enumerate(sizes):
        shape = (24, rows, 64) if name == "lstm" else (rows, p[0][0].shape[0])
        x = np.float32(rng.normal(size=shape))
        y = rng.integers(0, p[-1][0].shape[1] + (name == "logistic"), rows).astype(np.int32)
        before = fx.debug.counters()
        found = fx.block_until_ready(f(p, x, y))
        after = fx.debug.counters()
        if k:
            assert after.compiles == before.compiles, rows
        for a, b in zip(fx.tree.leaves(found), fx.tree.leaves(step(p, x, y)), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)


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
