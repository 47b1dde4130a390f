"""Gathers that move before maps and scatters that are choices: x[i, labels[i]] and its gradient."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax, nn

pytestmark = pytest.mark.lowering
X = np.random.default_rng(0).standard_normal((64, 50)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 50, 64).astype(np.int32)
WILD = np.array([0, -1, 49, 50, -50, -51, 1000, 7] * 8, np.int32)


def same(f, *args):
    """Jitted and eager results agree, NaN for NaN."""
    for a, b in zip(fx.tree.leaves(fx.jit(f)(*args)), fx.tree.leaves(f(*args)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def loss(x, labels):
    return -jnp.take_along_axis(nn.log_softmax(x), labels[:, None], 1).mean()


@pytest.mark.driver
def test_cross_entropy_is_one_pass_over_its_rows(counted):
    """Value and gradient: a kernel over the rows, and one for the mean."""
    f = fx.jit(fx.value_and_grad(loss))
    f(X, LABELS)
    before = counted().launches
    value, gradient = f(X, LABELS)
    assert counted().launches - before <= 2
    p = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    np.testing.assert_allclose(value, -np.log(p[np.arange(64), LABELS]).mean(), rtol=1e-5)
    np.testing.assert_allclose(gradient, (p - np.eye(50)[LABELS]) / 64, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("mode", ["fill", "clip", None])
def test_indices_out_of_bounds(mode):
    kw = {} if mode is None else {"mode": mode}
    same(lambda x, i: jnp.take_along_axis(jnp.exp(x) + 1, i[:, None], 1, **kw), X, WILD)
    same(lambda x, i: jnp.take(jnp.sin(x) * x[:, :1], i[:4], 1, **kw), X, WILD)


@pytest.mark.parametrize("mode", ["drop", "clip", "promise_in_bounds"])
@pytest.mark.parametrize("op", ["set", "add", "multiply", "min", "max"])
@pytest.mark.parametrize("background", [0.0, 2.5])
def test_one_update_a_row(mode, op, background):
    """All that a scatter of lone updates can do, in bounds and, where that is defined, outside."""

    def f(i, u):
        def row(i, u):
            return getattr(jnp.full(50, background).at[i], op)(u, mode=mode)

        return fx.vmap(row)(i, u)

    same(f, WILD, X[:, 0])


def test_windows_and_several_components():
    """A row of a matrix, an element of a matrix, an element of a scalar batch."""
    u = X[0]
    same(lambda i: jnp.zeros((20, 50)).at[i].add(u), np.int32(3))
    same(lambda i, j: jnp.zeros((20, 50)).at[i, j].set(1.5), np.int32(3), np.int32(-2))
    same(fx.vmap(lambda i: jnp.ones((4, 50, 3)).at[:, i].multiply(2.0)), LABELS[:5])
    same(lambda i: jnp.zeros(50).at[i].set(lax.exp(1.0)), np.int32(60))
