"""Gathers that move before maps and scatters that are choices: x[i, labels[i]] and its gradient."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import lower_function
from fx import lax, nn
from fx.lower import subgraph
from lowering import graph as g
from lowering.compile import make_plan
from lowering.profile import AVX512

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


Y = np.stack([X, X + 1], 2)
UPDATES = {  # the array, the updates, and where they go by which places
    "rows": (X, X[:, 0], lambda i: (jnp.arange(64), i)),
    "columns": (X, X[0], lambda i: (i[:50], jnp.arange(50))),
    "windows": (Y, Y[:, 0], lambda i: (jnp.arange(64), i)),
    "both": (Y.transpose(2, 0, 1), X[:, 0], lambda i: (jnp.arange(2)[:, None], jnp.arange(64), i)),
    "some rows": (X, X[:40, 0], lambda i: (jnp.arange(40), i[:40])),
    "others": (X, X[:, 0], lambda i: (jnp.arange(64) - 1, i)),
    "two of a row": (X, X[:, :1], lambda i: (jnp.arange(64)[:, None], i[:, None] + jnp.arange(2))),
}


@pytest.mark.parametrize("mode", ["drop", "clip", "promise_in_bounds"])
@pytest.mark.parametrize("op", ["set", "add", "multiply", "min", "max"])
@pytest.mark.parametrize("which", UPDATES)
def test_one_update_of_each_row_of_an_array(which, mode, op):
    """In its own place, beyond the end and counted from the end; what is no such update, too."""
    x, u, at = UPDATES[which]
    inside = mode == "promise_in_bounds" or which == "two of a row"
    places = np.minimum(LABELS, 48) if inside else WILD

    def f(x, i, u):
        return getattr(jnp.asarray(x).at[at(jnp.asarray(i))], op)(u, mode=mode)

    same(f, x, places, u)


def test_updates_of_rows_are_one_pass_unless_the_array_is_given():
    """A copy and a kernel of updates became a kernel; what is donated is written where it is."""
    f = lambda x, i, u: jnp.where(x > 0, x.at[jnp.arange(64), i].set(u), -1.0)
    plan = lower_function(f, (X, LABELS, X[:, 0])).plan
    assert len(plan.steps) == plan.launches == 1
    own = lambda x, i, u: x.at[jnp.arange(64), i].set(u)
    for donated in (False, True):
        graph = subgraph(g.Builder(), fx.make_jaxpr(own)(X, LABELS, X[:, 0]))
        text = make_plan(graph, AVX512, donated=(donated, False, False)).programs[0].source
        assert ("continue;" in text) == donated  # a loop over the updates


PLACES = {  # an update, where indices count from the end and lie beyond it
    "element": lambda x, i, v: x.at[i, 3].set(v[0]),
    "row": lambda x, i, v: x.at[i].add(v),
    "column": lambda x, i, v: x.at[:, i].multiply(2.0),
    "edges": lambda x, i, v: x.at[0].set(0.0).at[-1].set(v).at[:, 0].set(1.0).at[:, -1].set(2.0),
    "window": lambda x, i, v: x.at[2:5, 1].set(7.0),
    "moved": lambda x, i, v: lax.dynamic_update_slice(x, v[None], (i, 0)),
    "branch": lambda x, i, v: lax.cond(v[0] > 0, lambda: x.at[i].set(v), lambda: x),
    "other": lambda x, i, v: lax.cond(v[0] < 0, lambda: x.at[i, 2].set(1.0), lambda: x) * 2,
}


@pytest.mark.parametrize("i", [0, 5, 63, -1, -64, -65, 64, 1000])
@pytest.mark.parametrize("which", PLACES)
def test_updates_of_places(which, i):
    f = PLACES[which]
    same(lambda x, i, v: f(jnp.asarray(x), i, v), X, np.int32(i), np.abs(X[1]))


def test_an_update_of_an_array_that_is_not_given_is_a_choice_where_that_is_one_pass():
    """Where it is little or read element by element; else it is copied, by the host's fast copy."""
    small, large = np.ones(1000, np.float32), np.ones(1_000_000, np.float32)

    def passes(f, x, donated=False):
        graph = subgraph(g.Builder(), fx.make_jaxpr(f)(x))
        plan = make_plan(graph, AVX512, donated=(donated,), chain=False, merge=False)
        assert len(plan.steps) == 1
        return "i0 += 16" in plan.programs[0].source

    at = lambda x: x.at[3].set(0.0)
    assert passes(at, small)
    assert passes(lambda x: at(x) * 2, large)
    assert passes(lambda x: at(x).at[-1].add(1.0) * 2, large)
    assert not passes(at, large)
    assert not passes(at, small, donated=True)
