"""Scatter on a CPU: every way of dealing updates gives the interpreter's numbers, and the same bits
each time.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from lowering import compile as compiler
from lowering import graph as g
from lowering import interp
from lowering.profile import AVX2
from lowering.runtime import devices, execute
from lowering.templates import scatter_cpu

pytestmark = pytest.mark.lowering

POINT = ((), (0,), (0,), (), ())  # window dims, inserted, start map, batch of x, of indices
ROW = ((1,), (0,), (0,), (), ())
COLUMN = ((0,), (1,), (1,), (), ())
BATCHED = ((), (1,), (1,), (0,), (0,))
BESIDE = ((), (0,), (0,), (1,), (1,))
PAIRS = ((), (0, 1), (0, 1), (), ())
WINDOW = ((1, 2), (), (0, 1), (), ())
ROWS_OF_BATCH = ((2,), (1,), (1,), (0,), (0,))
F32, I32 = np.float32, np.int32

# form, shapes of operand, indices, updates; what the stage is expected to be
CASES = {
    "copies": (POINT, (70,), (20_000, 1), (20_000,)),
    "copies of many": (POINT, (9_000,), (100_001, 1), (100_001,)),
    "copies of rows": (ROW, (60, 33), (3_000, 1), (3_000, 33)),
    "owners": (ROW, (900, 70), (801, 1), (801, 70)),
    "one": (POINT, (50_000,), (20_000, 1), (20_000,)),
    "small": (POINT, (9,), (50, 1), (50,)),
    "columns": (COLUMN, (90, 40), (200, 1), (90, 200)),
    "batches": (BATCHED, (30, 50), (30, 400, 1), (30, 400)),
    "beside": (BESIDE, (50, 300), (40, 300, 1), (40, 300)),
    "pairs": (PAIRS, (20, 9), (9_000, 2), (9_000,)),
    "windows": (WINDOW, (60, 70), (200, 2), (200, 9, 21)),
    "rows of batches": (ROWS_OF_BATCH, (3, 40, 9), (3, 500, 1), (3, 500, 9)),
    "two batch axes": (ROW, (500, 40), (20, 30, 1), (20, 40, 30)),
}
CASES["two batch axes"] = (((1,), (0,), (0,), (), ()), *CASES["two batch axes"][1:])


def run(graph, arrays, profile=None):
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("the interpreter has no pipeline")
    plan = compiler.make_plan(graph, profile or device.profile)
    stores, _ = execute.Executable(plan, device)([device.put(x) for x in arrays])
    device.finish()
    outs = graph.outputs
    return [device.fetch(s, o.shape, o.dtype) for s, o in zip(stores, outs)], plan


def on_cpu() -> bool:
    """Whether the schedule is the one that this is about; numbers hold for both."""
    return devices.default_device().profile.schedule == "cpu"


def data(name, rng, dtype=F32):
    dims, shape, at, news = CASES[name]
    high = max(shape[k] for k in dims[2])
    low = 0 if dtype == np.uint32 else -4
    x, u = (rng.integers(low, 5, s).astype(dtype) for s in (shape, news))
    return dims, x, rng.integers(-3, high + 3, at).astype(I32), u


def graph_of(build, arrays):
    b = g.Builder()
    out = build(b, *(b.input(a.shape, a.dtype) for a in arrays))
    return b.graph(out if isinstance(out, list) else [out])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("op", ("add", "set", "max"))
def test_numbers(name, op, rng):
    dims, *arrays = data(name, rng)
    form = g.Scatter(op, *dims, "drop", False)
    graph = graph_of(lambda b, x, i, u: b.scatter(x, i, u, form), arrays)
    got, _ = run(graph, arrays)
    np.testing.assert_array_equal(got[0], interp.run_graph(graph, arrays)[0])


@pytest.mark.parametrize("name", ("copies", "owners", "one", "batches", "windows"))
@pytest.mark.parametrize("mode", ("clip", "drop"))
def test_negative_indices_from_the_end(name, mode, rng):
    dims, *arrays = data(name, rng)
    form = g.Scatter("add", *dims, mode, False)
    shape = CASES[name][2]

    def build(b, x, i, u):
        n = b.const(x.shape[dims[2][0]], I32, shape)
        turned = b.map("select", b.map("lt", i, b.const(0, I32, shape)), b.map("add", i, n), i)
        return b.scatter(x, turned, u, form)

    graph = graph_of(build, arrays)
    got, plan = run(graph, arrays)
    np.testing.assert_array_equal(got[0], interp.run_graph(graph, arrays)[0])
    if len(dims[2]) == 1 and on_cpu():
        assert plan.launches <= 2  # the indices are turned where they are used


@pytest.mark.parametrize("name", CASES)
def test_constant_background_and_updates(name, rng):
    dims, x, i, u = data(name, rng)

    def build(b, i, u):
        zeros, ones = b.const(0, F32, x.shape), b.const(1.5, F32, u.shape)
        form = g.Scatter("add", *dims, "drop", False)
        return [b.scatter(zeros, i, u, form), b.scatter(zeros, i, ones, form)]

    graph = graph_of(build, [i, u])
    got, _ = run(graph, [i, u])
    for a, want in zip(got, interp.run_graph(graph, [i, u])):
        np.testing.assert_allclose(a, want, rtol=1e-6)


@pytest.mark.parametrize("n", [100, 300])
def test_one_update_at_an_index_of_eight_bits(n):
    """Counting places in the index's own dtype, place 261 would be place 5."""
    form = g.Scatter("set", *POINT, "fill", False)
    b = g.Builder()
    i, u = b.input((1, 1), np.int8), b.input((1,), np.float32)
    graph = b.graph([b.scatter(b.const(0, np.float32, (n,)), i, u, form)])
    arrays = [np.array([[5]], np.int8), np.ones(1, np.float32)]
    (got,), _ = run(graph, arrays)
    assert np.flatnonzero(got).tolist() == [5]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_a_gather_by_indices_of_eight_bits_from_a_long_array(dtype):
    """The last place, 299, is no number of the indices' dtype."""
    form = g.Gather((1,), (), (0,), (0,), (), (), "fill")
    b = g.Builder()
    x, i = b.input((300,), F32), b.input((3, 1), dtype)
    graph = b.graph([b.gather(b.map("neg", x), i, (3,), form, b.const(np.nan, F32))])
    (got,), _ = run(graph, [np.arange(300, dtype=F32), np.array([[120], [50], [3]], dtype)])
    assert got.tolist() == [-120, -50, -3]


@pytest.mark.parametrize("dtype", (np.int8, np.uint32, np.float16, ml_dtypes.bfloat16))
def test_dtypes(dtype, rng):
    for name in ("copies", "owners"):
        dims, *arrays = data(name, rng, np.dtype(dtype))
        if np.dtype(dtype).kind != "i":
            arrays[2] = np.abs(arrays[2].astype(F32)).astype(dtype)
        for op in ("min", "set") if np.dtype(dtype).itemsize == 2 else ("add", "set"):
            form = g.Scatter(op, *dims, "drop", False)
            graph = graph_of(lambda b, x, i, u: b.scatter(x, i, u, form), arrays)  # noqa: B023
            got, _ = run(graph, arrays)
            np.testing.assert_array_equal(got[0], interp.run_graph(graph, arrays)[0])


def test_the_operand_is_left_alone(rng):
    dims, *arrays = data("owners", rng)
    form = g.Scatter("add", *dims, "drop", False)
    build = lambda b, x, i, u: [b.scatter(x, i, u, form), b.map("neg", x)]
    graph = graph_of(build, arrays)
    before = arrays[0].copy()
    got, _ = run(graph, arrays)
    for a, want in zip(got, interp.run_graph(graph, [before, *arrays[1:]])):
        np.testing.assert_array_equal(a, want)
    np.testing.assert_array_equal(arrays[0], before)


def test_unique_updates_are_dealt(rng):
    i = rng.permutation(60_000)[:40_000, None].astype(I32)
    arrays = [np.zeros(60_000, F32), i, rng.standard_normal(40_000).astype(F32)]
    form = g.Scatter("set", *POINT, "drop", True)
    graph = graph_of(lambda b, x, i, u: b.scatter(x, i, u, form), arrays)
    got, plan = run(graph, arrays)
    np.testing.assert_array_equal(got[0], interp.run_graph(graph, arrays)[0])
    assert plan.steps[-1].groups > 1


def test_the_same_bits_on_any_number_of_cores(rng):
    dims, _, i, _ = data("copies", rng)
    arrays = [np.zeros(70, F32), i, rng.standard_normal(20_000).astype(F32)]
    form = g.Scatter("add", *dims, "drop", False)
    graph = graph_of(lambda b, x, i, u: b.scatter(x, i, u, form), arrays)
    (node,) = graph.outputs
    plans = [scatter_cpu.plan(node, AVX2.with_(compute_units=n)).stages for n in (1, 64)]
    assert [(s.text, s.items) for s, _ in plans[0]] == [(s.text, s.items) for s, _ in plans[1]]
    (a,), _ = run(graph, arrays)
    (b,), _ = run(graph, arrays)
    assert a.tobytes() == b.tobytes()


def test_what_each_case_is_dealt_by(rng):
    for name, ways in {"copies": 2, "owners": 1, "one": 1, "columns": 1}.items():
        dims, *arrays = data(name, rng)
        form = g.Scatter("add", *dims, "drop", False)
        graph = graph_of(lambda b, x, i, u: b.scatter(x, i, u, form), arrays)  # noqa: B023
        (node,) = graph.outputs
        made = scatter_cpu.plan(node, AVX2)
        assert len(made.stages) == ways
        assert (made.stages[0][0].items > 1) == (name != "one")
