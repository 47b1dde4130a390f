"""What bounds decide is what the interpreter computes, and what they decide is gone."""

from __future__ import annotations

import os

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from fx.lower import subgraph
from lowering import graph as g
from lowering import interp
from lowering.rewrite import bounds, canon

pytestmark = pytest.mark.lowering
I32 = np.dtype(np.int32)
OPS = ("add", "sub", "mul", "min", "max", "rem", "div", "lt", "le", "gt", "ge", "eq", "ne")


def random_graph(seed: int) -> tuple[g.Graph, list[np.ndarray]]:
    """Integer arithmetic, comparisons and selections on counters, constants, and one input."""
    rng = np.random.default_rng(seed)
    b = g.Builder()
    shape, dtype = (7,), np.dtype(rng.choice(["int8", "uint8", "int32", "uint32", "int64"]))
    x = b.input(shape, dtype)
    numbers = [x, b.iota(shape, 0, dtype)]
    numbers += [b.const(int(v), dtype, shape) for v in rng.integers(0, 100, 4)]
    if dtype.kind == "i":
        numbers.append(b.const(-int(rng.integers(1, 100)), dtype, shape))
    tests = [b.const(bool(rng.integers(2)), bool, shape)]
    pick = lambda of: of[rng.integers(len(of))]
    for _ in range(40):
        kind = rng.integers(4)
        if kind == 0:
            numbers.append(b.select(pick(tests), pick(numbers), pick(numbers)))
        elif kind == 1:
            tests.append(b.map(str(rng.choice(["and", "or"])), pick(tests), pick(tests)))
        else:
            op = str(rng.choice(OPS))
            left, right = pick(numbers), pick(numbers)
            if op in ("rem", "div"):
                right = b.const(int(rng.integers(1, 9)), dtype, shape)
            made = b.map(op, left, right)
            (tests if made.dtype == bool else numbers).append(made)
    info = np.iinfo(dtype)
    values = rng.integers(info.min, int(info.max) + 1, shape, dtype=dtype)
    return b.graph((*numbers[-8:], *tests[-8:])), [values]


@pytest.mark.parametrize("seed", range(60))
def test_decided_values_are_the_computed_ones(seed):
    graph, inputs = random_graph(seed)
    again = bounds._Narrowing().graph(graph, [None])
    for a, b in zip(interp.run_graph(again, inputs), interp.run_graph(graph, inputs)):
        np.testing.assert_array_equal(a, b)


def text(f, *args) -> str:
    body = fx.jit(f).lower(*args).compile().as_text()
    return body[body.index("stage_") :]


def narrowed(f, *args) -> tuple[g.Graph, list[g.Node]]:
    """The graph of f's only loop's body after canon and narrow, and its nodes."""
    b = g.Builder()
    made = subgraph(b, fx.make_jaxpr(f)(*args))
    graph = bounds.narrow(canon.canonicalize(made))
    loop = next(n for n in graph.nodes() if isinstance(n.form, g.Loop))
    return loop.form.body, list(loop.form.body.nodes())


def forms(nodes: list[g.Node], form: type) -> list[g.Node]:
    return [n for n in nodes if isinstance(n.form, form)]


def selects(nodes: list[g.Node]) -> int:
    return sum(n.form == g.Map("select") for n in nodes)


@pytest.mark.parametrize("n", [5, 300])
def test_a_counter_needs_no_clamp(n):
    def f(y):
        return lax.fori_loop(1, 300, lambda i, y: y.at[i].set(y[i - 1] + 1), y)

    _, nodes = narrowed(f, jnp.ones(n))
    whole = n == 300
    assert selects(nodes) == (0 if whole else 1)  # beyond the end, an update is dropped
    assert all(x.form.fits == whole for x in forms(nodes, g.DynamicUpdate))
    np.testing.assert_array_equal(fx.jit(f)(jnp.ones(n)), f(jnp.ones(n)))


def test_a_while_loop_knows_its_condition():
    def f(y):
        go = lambda c: (c[0] < 300) & (c[1][0] < 9)
        step = lambda c: (c[0] + 1, c[1].at[c[0]].set(c[1][c[0] - 2] + 1))
        return lax.while_loop(go, step, (2, y))

    _, nodes = narrowed(f, jnp.ones(300))
    assert selects(nodes) == 0
    np.testing.assert_array_equal(fx.jit(f)(jnp.ones(300))[1], f(jnp.ones(300))[1])


def test_down_and_past_the_ends():
    def down(y):
        go = lambda c: c[0] >= -5
        step = lambda c: (c[0] - 1, c[1].at[c[0]].add(c[1][c[0] + 3]))
        return lax.while_loop(go, step, (296, y))

    def wraps(y):  # the counter passes the end of its dtype
        step = lambda _, c: (c[0] + np.int8(3), c[1].at[c[0]].add(1.0))
        return lax.fori_loop(0, 200, step, (jnp.int8(0), y))

    def unknown(y, start):
        step = lambda k, c: (c[0] + 1, c[1].at[c[0]].add(c[1][k]))
        return lax.fori_loop(0, 20, step, (start, y))

    y = jnp.asarray(np.random.default_rng(0).standard_normal(300).astype(np.float32))
    for f, args in ((down, (y,)), (wraps, (y,)), (unknown, (y, 290)), (unknown, (y, -310))):
        got, want = fx.jit(f)(*args), f(*args)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-6)


@pytest.mark.parametrize("start, go, by", [(0, lambda i: i < 127, 2), (1, lambda i: i > -127, -3)])
def test_a_condition_holds_again_for_what_comes_out_at_the_other_end(start, go, by):
    def f(y, zero):
        step = lambda c: (c[0] + by, c[1] + 1, c[2] + y[c[0]])
        first = (jnp.argmax(zero) + start).astype(np.int8)
        return lax.while_loop(lambda c: go(c[0]) & (c[1] < 200), step, (first, 0, 0.0))

    args = jnp.arange(200.0), jnp.zeros(3)
    for got, want in zip(fx.jit(f)(*args), f(*args), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.skipif(os.environ.get("FX_SCHEDULE") == "gpu", reason="reads text for CPUs")
@pytest.mark.driver
def test_a_gather_by_iota_fills_nothing():
    x = jnp.arange(12.0)
    inside = lambda x: x.at[jnp.arange(12)].get(mode="fill", fill_value=-1)
    beyond = lambda x: x.at[jnp.arange(13)].get(mode="fill", fill_value=-1)
    assert "? " not in text(inside, x)
    for f in (inside, beyond):
        np.testing.assert_array_equal(fx.jit(f)(x), f(x))


def test_outer_bounds_reach_inner_loops():
    def f(y):
        def row(i, y):
            return lax.fori_loop(0, 8, lambda j, y: y.at[i * 8 + j].set(y[j * 8 + i] + 1), y)

        return lax.fori_loop(0, 8, row, y)

    body, _ = narrowed(f, jnp.arange(64.0))
    inner = next(n.form.body for n in body.nodes() if isinstance(n.form, g.Loop))
    nodes = list(inner.nodes())
    assert selects(nodes) == 0
    assert all(n.form.fits for n in forms(nodes, g.DynamicUpdate) + forms(nodes, g.DynamicSlice))
    np.testing.assert_array_equal(fx.jit(f)(jnp.arange(64.0)), f(jnp.arange(64.0)))
