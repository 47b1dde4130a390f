"""Updates that are made sometimes: no pass over what they may update, and eager code's values."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax
from lowering import forms
from lowering import graph as g
from lowering.rewrite import canon
from lowering.walk import inner_graphs

N = 300


def where(x, i, y):
    return fnp.where(y > 0, x.at[i].set(y), x)


def where_not(x, i, y):
    return fnp.where(y > 0, x, x.at[i].add(y))


def two(x, i, y):
    return fnp.where(y > 0, x.at[i].set(y).at[i + 1].multiply(2.0), x)


def window(x, i, y):
    return fnp.where(y > 0, lax.dynamic_update_slice(x, y * fnp.ones(4), (i,)), x)


def branch(x, i, y):
    return lax.cond(y > 0, lambda x: x.at[i].set(y), lambda x: x, x)


def both(x, i, y):
    return lax.cond(y > 0, lambda x: x.at[i].set(y), lambda x: x.at[0].set(i * 1.0), x)


def three(x, i, y):
    kinds = [lambda x: x.at[i].set(y), lambda x: x, lambda x: x.at[i + 1].set(2 * y)]
    return lax.switch(i % 3, kinds, x)


def nested(x, i, y):
    def inner(x):
        return lax.cond(i % 2 == 0, lambda x: x.at[i].add(y), lambda x: x, x)

    return lax.cond(y > 0, inner, lambda x: x, x)


def rows(x, i, y):
    x = x.reshape(-1, 3)
    return lax.cond(y > 0, lambda x: x.at[i].set(y), lambda x: x, x).reshape(-1)


def many(x, i, y):
    at = fnp.array([0, 5, 2]) * i
    return fnp.where(y > 0, x.at[at].add(y, mode="drop"), x)


def clipped(x, i, y):
    return fnp.where(y > 0, x.at[fnp.array([4, -7]) * i].max(y, mode="clip"), x)


def small_places(x, i, y):
    at = fnp.array([3, 200], "uint8") + fnp.asarray(i).astype("uint8")
    return fnp.where(y > 0, x.at[at].set(y), x)


def read_again(x, i, y):
    updated = x.at[i].set(y)
    return fnp.where(y > 0, updated, x) + 0.001 * updated[::-1]


def other(x, i, y):
    return lax.cond(y > 0, lambda x: x.at[i].set(y), lambda x: x * 0.5, x)


GATED = (where, where_not, two, window, branch, nested, many, clipped, small_places)
BRANCHES = (both, three, rows)  # in lanes a choice between two updates, or of what has other axes
UPDATES = (*GATED, *BRANCHES, read_again, other)


def steps(update, x, ys, n):
    """n updates of x, at places that some of them change."""

    def step(k, carry):
        x, i = carry
        return update(x, i, ys[k]), i + 1 + (ys[k] > 0)

    return lax.fori_loop(0, n, step, (x, 1))[0]


def long(update, x, ys, limit):
    """Updates while their sum is below a limit, which each lane reaches at its own time."""

    def step(carry):
        x, i, total = carry
        return update(x, i, ys[i]), i + 1, total + fnp.abs(ys[i])

    return lax.while_loop(
        lambda c: (c[2] < limit) & (c[1] < 40), step, (x, fnp.int32(1), fnp.float32(0))
    )[0]


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    x, ys = rng.normal(size=(5, N)), rng.normal(size=(5, 60))
    return [v.astype(np.float32) for v in (x, ys, np.array([0, 3, 9, 20, 60]))]


@pytest.mark.parametrize("update", UPDATES)
def test_what_is_updated_sometimes_is_what_eager_code_gives(update, data):
    x, ys, limits = data
    run = lambda x, ys: steps(update, x, ys, 9)
    with fx.disable_jit():
        want = [run(fnp.asarray(v), fnp.asarray(y)) for v, y in zip(x, ys)]
        ended = [long(update, fnp.asarray(v), fnp.asarray(y), t) for v, y, t in zip(x, ys, limits)]
    np.testing.assert_allclose(fx.jit(run)(x[0], ys[0]), want[0], rtol=1e-5)
    np.testing.assert_allclose(fx.jit(fx.vmap(run))(x, ys), want, rtol=1e-5)
    lanes = fx.vmap(lambda *v: long(update, *v))
    np.testing.assert_allclose(fx.jit(lanes)(x, ys, limits), ended, rtol=1e-5)


def chosen(graph: g.Graph, size: int) -> int:
    """Choices between whole arrays, in the graph and in those inside it."""
    found = sum(
        isinstance(n.form, forms.Map) and n.form.op == "select" and n.size >= size
        for n in graph.nodes()
    )
    inside = [x for n in graph.nodes() for x in inner_graphs(n.form)]
    # branches that give an operand as it is are copies of it
    given = sum(o.size >= size for n in graph.nodes() if isinstance(n.form, forms.Cond)
                for x in n.form.branches for o in x.outputs)  # fmt: skip
    return found + given + sum(chosen(x, size) for x in inside)


@pytest.mark.parametrize("lanes", [0, 5])
@pytest.mark.parametrize("update", UPDATES)
def test_no_pass_goes_over_what_is_updated_sometimes(update, lanes, data):
    x, ys, limits = data
    run = lambda *v: long(update, *v)
    args = data if lanes else [x[0], ys[0], limits[0]]
    lowered = fx.jit(fx.vmap(run) if lanes else run).lower(*args)
    graph = canon.canonicalize(lowered.compile()._runner.graph)
    passes = chosen(graph, N)
    gated = GATED if lanes else GATED + BRANCHES
    assert (passes == 0) == (update in gated), passes


@pytest.mark.driver
def test_what_has_few_elements_stays_in_its_kernel(data):
    _, ys, limits = data
    x = np.zeros((5, 40), np.float32)
    f = fx.jit(fx.vmap(lambda *v: long(branch, *v)))
    assert "it is one kernel" in str(fx.explain(f)(x, ys, limits))


@pytest.mark.parametrize("mode", [None, "drop", "clip"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("rows", ["each", "some", "beyond"])
def test_choices_along_an_axis_that_an_index_goes_along(rows, axis, mode, data):
    """Whether a row (or a column) is updated is looked up by the index of each update."""
    at = {"each": np.arange(20), "some": [3, 3, -1, 7], "beyond": [25, -30, 4, 0]}[rows]
    x, p = np.zeros((20, N), np.float32), np.sin(np.arange(N * 9)).reshape(9, N) > 0

    def run(x, p, at):
        def step(k, carry):
            x, n = carry
            test = p[k, :20, None] if axis == 0 else p[k, None]
            new = x.at[at, n].set(1.0 * k + fnp.arange(len(at)), mode=mode)
            return fnp.where(test, new, x), (n + 7 * k) % N

        return lax.fori_loop(0, 9, step, (x, 5 * fnp.arange(len(at)) - 3))[0]

    args = fnp.asarray(x), fnp.asarray(p), fnp.asarray(at)
    with fx.disable_jit():
        want = run(*args)
    np.testing.assert_array_equal(fx.jit(run)(*args), want)
    graph = canon.canonicalize(fx.jit(run).lower(*args).compile()._runner.graph)
    assert (chosen(graph, x.size) == 0) == (axis == 0)  # 20 elements a lane stay in registers
