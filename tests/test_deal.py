"""Scatters of rows are dealt: their updates are listed by who owns the rows they land in, and are
computed where they are joined.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import costs, lower_function
from fx import lax
from lowering import compile as compiler
from lowering import graph as g
from lowering import interp
from lowering.profile import AVX2
from lowering.rewrite import canon
from lowering.rewrite.deal import Deal, Dealt
from lowering.runtime import devices
from tests.plans import run

pytestmark = pytest.mark.lowering

ROW = ((1,), (0,), (0,), (), ())
PAIR = ((1,), (0, 1), (0, 1), (), ())
TOKENS = ((2,), (0,), (0,), (), ())
BLOCK = ((1, 2), (0,), (0,), (), ())
CASES = {  # form, shapes of operand, indices, updates
    "rows": (ROW, (900, 70), (801, 1), (801, 70)),
    "short rows": (ROW, (1000, 8), (3001, 1), (3001, 8)),
    "pairs": (PAIR, (40, 50, 17), (1500, 2), (1500, 17)),
    "tokens": (TOKENS, (300, 33), (20, 30, 1), (20, 30, 33)),
    "blocks": (BLOCK, (200, 5, 9), (700, 1), (700, 5, 9)),
}


def data(name, rng, dtype=np.float32, index=np.int32):
    dims, shape, at, news = CASES[name]
    low = 0 if np.dtype(dtype).kind == "u" else -4
    x, u = (rng.integers(low, 5, s).astype(dtype) for s in (shape, news))
    least = 0 if np.dtype(index).kind == "u" else -3
    high = min(max(shape[k] for k in dims[2]) + 3, np.iinfo(index).max)
    return dims, [x, rng.integers(least, high, at).astype(index), u]


def graph_of(dims, arrays, op="add", mode="drop", background=None, wrap=False):
    """One scatter; `wrap`: its indices count from the end where they are negative."""
    b = g.Builder()
    x, i, u = (b.input(a.shape, a.dtype) for a in arrays)
    if background is not None:
        x = b.const(background, x.dtype, x.shape)
    if wrap:
        n, zero = (b.const(v, i.dtype, i.shape) for v in (x.shape[0], 0))
        i = b.select(b.map("lt", i, zero), b.map("add", i, n), i)
    window, inserted, start, *batch = dims
    form = g.Scatter(op, window, inserted, start, batch[0], batch[1], mode, False)
    return b.graph([b.scatter(x, i, b.map("neg", u) if op == "add" else u, form)])


def check(graph, arrays):
    """The plan's numbers are the interpreter's, and its scatter is dealt on a CPU."""
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("the interpreter has no pipeline")
    plan = compiler.make_plan(graph, device.profile)
    wanted = interp.run_graph(graph, [a.copy() for a in arrays])
    for _ in range(2):
        (got,) = run(plan, device, arrays)
        assert got.tobytes() == np.asarray(wanted[0]).tobytes()
    made = canon.canonicalize(graph, profile=AVX2).nodes()
    assert sum(isinstance(n.form, Dealt) for n in made) == 1


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("op", ["add", "set", "max", "min", "mul"])
@pytest.mark.parametrize("name", CASES)
def test_numbers(name, op, rng):
    dims, arrays = data(name, rng)
    check(graph_of(dims, arrays, op), arrays)


@pytest.mark.parametrize("mode", ["clip", "drop"])
@pytest.mark.parametrize("name, wrap", [("rows", False), ("rows", True), ("pairs", False)])
def test_indices_out_of_bounds(name, wrap, mode, rng):
    dims, arrays = data(name, rng)
    check(graph_of(dims, arrays, mode=mode, wrap=wrap), arrays)


@pytest.mark.parametrize("index", [np.int8, np.uint8, np.int16, np.uint32, np.int64])
def test_indices_of_any_width(index, rng):
    dims, arrays = data("rows", rng, index=index)
    check(graph_of(dims, arrays), arrays)


@pytest.mark.parametrize("dtype", [np.int8, np.uint32, np.float16, ml_dtypes.bfloat16, np.int64])
def test_dtypes(dtype, rng):
    dims, arrays = data("rows", rng, dtype)
    check(graph_of(dims, arrays, "max" if np.dtype(dtype).kind == "u" else "add"), arrays)


@pytest.mark.parametrize("value", [0.0, 2.5])
def test_a_constant_background_is_written_by_the_owners(value, rng):
    for name in CASES:
        dims, arrays = data(name, rng)
        graph = graph_of(dims, arrays, background=value)
        check(graph, arrays)
        assert len(compiler.make_plan(graph, AVX2).meta["nests"]) == 1  # none that fills


# ---------------------------------------------------------------- with what is around


EDGES, NODES, WIDTH = 6000, 1000, 48


def graph_data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((NODES, WIDTH)).astype(np.float32)
    source, target = rng.integers(0, NODES, (2, EDGES)).astype(np.int32)
    return x, rng.random(EDGES).astype(np.float32), source, target


def messages(x, w, source, target):
    return fx.ops.segment_sum(x[source] * w[:, None], target, NODES)


def layers(x, w, source, target):
    for _ in range(3):
        x = fnp.tanh(messages(x, w, source, target))
    return x


def walked(x, w, source, target):
    step = lambda x, _: (fnp.tanh(messages(x, w, source, target)), None)
    return lax.scan(step, x, None, length=12)[0]


def onto_itself(x, w, source, target):
    return x.at[target].add(x[source] * w[:, None])


def after_a_product(x, w, source, target):
    u = fnp.concatenate([x[source], x[target]], -1) @ fnp.ones((2 * WIDTH, 16), np.float32)
    return fx.ops.segment_sum(u * w[:, None], target, NODES)


def centred(x, w, source, target):
    u = x[source] * w[:, None]
    return fx.ops.segment_max(u - u.mean(0), target, NODES)


def gradient(x, w, source, target):
    return fx.grad(lambda x, w: (layers(x, w, source, target) ** 2).sum(), (0, 1))(x, w)


PROGRAMS = [messages, layers, walked, onto_itself, after_a_product, centred, gradient]


@pytest.mark.parametrize("donated", [False, True])
@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(f, donated):
    arguments = graph_data()
    with fx.disable_jit():
        wanted = fx.tree.leaves(f(*map(fnp.asarray, arguments)))
    compiled = fx.jit(f, donate_argnums=(0,) if donated else ())
    for _ in range(3):
        got = fx.tree.leaves(compiled(*map(fnp.array, arguments)))
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def test_messages_do_not_stand_in_memory():
    """They were written and read again: 1.15 MB here, 288 KB a layer of three."""
    found = costs(lower_function(layers, graph_data()))
    lists = EDGES * 8 + (64 + 1) * 4 * 2
    assert found["temporary_bytes"] <= 2 * NODES * WIDTH * 4 + lists + 1024
    assert found["temporary_bytes"] < EDGES * WIDTH * 4


def deals(graph):
    return [n for n in graph.nodes() if isinstance(n.form, Deal)]


def test_scatters_by_the_same_indices_are_dealt_once():
    from fx.executable import graph_of as lowered

    graph = canon.canonicalize(lowered(fx.make_jaxpr(layers)(*graph_data())), profile=AVX2)
    assert len(deals(graph)) == 1
    assert sum(isinstance(n.form, Dealt) for n in graph.nodes()) == 3


def test_a_loop_deals_before_it_begins():
    from fx.executable import graph_of as lowered
    from lowering.rewrite import lift

    graph = canon.canonicalize(lowered(fx.make_jaxpr(walked)(*graph_data())), profile=AVX2)
    (loop,) = (n for n in graph.nodes() if isinstance(n.form, g.Loop))
    assert len(deals(loop.form.body)) == 1
    graph = lift.lift(graph)
    (loop,) = (n for n in graph.nodes() if isinstance(n.form, g.Loop))
    assert (len(deals(graph)), len(deals(loop.form.body))) == (1, 0)
