"""The GPU's schedule gives the interpreter's numbers, on any driver, in shared and in own memory.

No GPU is needed: the schedule is forced, and a CPU driver runs work-groups, barriers and local
memory as the standard says. Each case names the shape that it must be given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from random_graphs import Maker

from lowering import compile as compiler
from lowering import graph as g
from lowering import interp, profile, schedule_gpu
from lowering.errors import DeviceError
from lowering.rewrite import canon, product
from lowering.runtime import devices, execute

pytestmark = pytest.mark.driver

F32 = np.float32


@dataclass(frozen=True)
class Case:
    name: str
    build: object
    shapes: tuple[tuple[int, ...], ...]
    meets: bool  # whether a group's items meet at barriers
    dtype: type = F32


def over(b, x, like, dims):
    return b.broadcast(x, like.shape, dims)


def softmax(b, x):
    rows = tuple(range(x.ndim - 1))
    e = b.map("exp", b.map("sub", x, over(b, b.reduce("max", x, (x.ndim - 1,)), x, rows)))
    return b.map("div", e, over(b, b.reduce("add", e, (x.ndim - 1,)), x, rows))


def layer_norm(b, x, scale):
    """Values per element, sums by column and a total, as in a training step."""
    n = b.const(1 / x.shape[1], x.dtype)
    mean = b.map("mul", b.reduce("add", x, (1,)), n)
    d = b.map("sub", x, over(b, mean, x, (0,)))
    var = b.map("mul", b.reduce("add", b.map("mul", d, d), (1,)), n)
    d = b.map("mul", d, over(b, b.map("rsqrt", var), x, (0,)))
    y = b.map("mul", d, over(b, scale, x, (1,)))
    return [y, b.reduce("add", b.map("mul", y, d), (0,)), b.reduce("add", b.map("abs", y), (0, 1))]


def two_folds(b, x):
    m, s = b.reduce("max", x, (1,)), b.reduce("add", x, (1,))
    return [m, b.argreduce("min", x, 1, np.int32), b.map("sub", s, m), b.map("neg", x)]


def whole(b, x):
    total = b.reduce("add", x, (0, 1))
    return [total, b.map("sub", x, over(b, total, x, ()))]


def shared_row(b, x, y):
    e = b.map("exp", y)
    return [e, b.map("mul", x, over(b, e, x, (0,)))]


def scans(b, x):
    x = b.map("abs", x)
    s = b.cumscan("add", x, 1)
    return [
        s,
        b.cumscan("max", x, 1, True),
        b.map("mul", s, over(b, b.reduce("add", s, (1,)), x, (0,))),
    ]


CASES = [
    Case("map", lambda b, x, y: b.map("sub", b.map("exp", x), y), ((37, 53), (37, 53)), False),
    Case("long map", lambda b, x: b.map("exp", x), ((1 << 21,),), False),
    Case("outer", lambda b, x, y: b.map("add", over(b, x, g_like, (0,)), over(b, y, g_like, (1,))),
         ((60,), (700,)), False),
    Case("transpose", lambda b, x: b.map("exp", b.transpose(x, (1, 0))), ((300, 70),), False),
    Case("scalar", lambda b, x: b.map("exp", x), ((),), False),
    Case("per row and element", shared_row, ((6, 300), (6,)), False),
    Case("short rows", softmax, ((900, 7),), False),
    Case("rows", softmax, ((33, 1000),), True),
    Case("ranks", softmax, ((3, 5, 100),), True),
    Case("one row", softmax, ((3001,),), True),
    Case("two folds", two_folds, ((20, 200),), True),
    Case("int folds", two_folds, ((20, 200),), True, np.int32),
    Case("double folds", two_folds, ((5, 100),), True, np.float64),
    Case("whole", whole, ((9, 40),), True),
    Case("scans", scans, ((4, 1000),), True),
    Case("scan of columns", lambda b, x: b.cumscan("mul", x, 0), ((9, 100),), False),
    Case("columns", lambda b, x: b.reduce("add", x, (0,)), ((3000, 70),), False),
    Case("narrow columns", lambda b, x: b.reduce("add", x, (0,)), ((40000, 3),), True),
    Case("flat sum", lambda b, x: b.reduce("add", x, (0,)), ((300001,),), True),
    Case("sum of all", lambda b, x: b.reduce("max", x, (0, 1)), ((300, 701),), True),
    Case("middle", lambda b, x: b.reduce("max", x, (1,)), ((30, 40, 50),), False),
    Case("long column", lambda b, x: b.reduce("add", x, (0,)), ((5000, 3),), True),
    Case("columns of sums", lambda b, x: b.reduce("add", x, (0, 2)), ((600, 5, 300),), True),
    Case("layer norm", layer_norm, ((512, 768), (768,)), True),
]  # fmt: skip


def contract(*numbers):
    """Contract, given the axes as (contract of x, of y, batch of x, of y)."""
    cx, cy, *batch = numbers
    return lambda b, x, y: b.contract(x, y, (cx, cy), tuple(batch) or ((), ()))


def perceptron(b, x, w, bias, v):
    h = b.contract(b.map("exp", x), w, ((1,), (0,)))
    h = b.map("tanh", b.map("add", h, over(b, bias, h, (1,))))
    y = b.contract(h, v, ((1,), (0,)))
    return [y, b.reduce("add", b.map("mul", y, y), (0, 1))]


PRODUCTS = [
    Case("plain", contract((1,), (0,)), ((100, 70), (70, 90)), True),
    Case("large", contract((1,), (0,)), ((2050, 9), (9, 2049)), True),
    Case("few rows", contract((1,), (0,)), ((9, 200), (200, 150)), True),
    Case("few columns", contract((1,), (0,)), ((150, 200), (200, 9)), True),
    Case("a row", contract((1,), (0,)), ((1, 200), (200, 150)), True),
    Case("transposed", contract((0,), (1,)), ((70, 100), (90, 70)), True),
    Case("batched", contract((2,), (2,), (0,), (0,)), ((3, 40, 30), (3, 50, 30)), True),
    Case("heads", contract((3,), (3,), (0, 2), (0, 2)), ((2, 30, 4, 16), (2, 40, 4, 16)), True),
    Case("two axes", contract((0, 2), (2, 0)), ((30, 70, 8), (8, 20, 30)), True),
    Case("halves", contract((1,), (0,)), ((64, 64), (64, 64)), True, np.float16),
    Case("doubles", contract((1,), (0,)), ((64, 64), (64, 64)), True, np.float64),
    Case("perceptron", perceptron, ((100, 64), (64, 128), (128,), (128, 40)), True),
]


class g_like:
    """The shape that `outer` broadcasts to."""

    shape = (60, 700)


def data(case: Case) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    if np.dtype(case.dtype).kind == "i":
        return [rng.integers(-9, 9, s).astype(case.dtype) for s in case.shapes]
    return [np.asarray(rng.standard_normal(s)).astype(case.dtype) for s in case.shapes]


def graph_of(build, arrays) -> g.Graph:
    b = g.Builder()
    made = build(b, *[b.input(x.shape, x.dtype) for x in arrays])
    return b.graph(made if isinstance(made, list) else [made])


@cache
def gpu_like(explicit: bool) -> devices.Device:
    found = devices.default_device()
    if found.interpreter:
        pytest.skip("the interpreter has no kernels")
    return found.as_explicit() if explicit else found


def run(graph: g.Graph, arrays, explicit: bool = False, **changes):
    """(results, plan) under the GPU's schedule."""
    device = gpu_like(explicit)
    plan = compiler.make_plan(graph, device.profile.with_(schedule="gpu", **changes)).check()
    stores, _ = execute.Executable(plan, device)([device.put(x) for x in arrays])
    device.finish()
    return [device.fetch(s, o.shape, o.dtype) for s, o in zip(stores, graph.outputs)], plan


def close(got, want, name: str) -> None:
    for k, (x, y) in enumerate(zip(got, want)):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-3, err_msg=f"{name}: output {k}")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_case_gives_the_interpreters_numbers(case):
    arrays = data(case)
    graph = graph_of(case.build, arrays)
    got, plan = run(graph, arrays)
    close(got, interp.run_graph(graph, arrays), case.name)
    assert ("barrier(CLK_LOCAL" in plan.programs[0].source) == case.meets


@pytest.mark.parametrize("case", PRODUCTS, ids=lambda c: c.name)
def test_a_product_gives_the_interpreters_numbers(case):
    arrays = data(case)
    graph = graph_of(case.build, arrays)
    got, plan = run(graph, arrays)
    want = interp.run_graph(graph, arrays)
    scale = 20 if case.dtype == np.float16 else 1
    for x, y in zip(got, want):
        np.testing.assert_allclose(x, y, rtol=1e-3 * scale, atol=2e-3 * scale)
    assert ("__local" in plan.programs[0].source) == case.meets


def test_what_follows_a_product_runs_on_its_tiles():
    case = PRODUCTS[-1]
    graph = graph_of(case.build, data(case))
    plan = compiler.make_plan(graph, profile.GPU)
    assert plan.launches <= 4


ROWS, POINTS = (20, 33), (3000,)
ROW = ((1,), (0,), (0,), (), ())  # window dims, inserted, start map, batch of x, batch of indices
SCATTERS = {
    **{f"rows {op}": (op, ROW, "fill", False, ROWS, (50, 1), (50, 33), F32)
       for op in ("set", "add", "mul", "min", "max")},
    **{f"integers {op}": (op, ROW, "fill", False, ROWS, (50, 1), (50, 33), np.int32)
       for op in ("set", "add", "mul", "min", "max")},
    "clip": ("add", ROW, "clip", False, ROWS, (50, 1), (50, 33), F32),
    "one": ("add", ROW, "fill", False, ROWS, (1, 1), (1, 33), F32),
    "halves": ("add", ROW, "fill", False, ROWS, (4, 1), (4, 33), np.float16),
    "histogram": ("add", ((), (0,), (0,), (), ()), "fill", False, POINTS, (5000, 1), (5000,), F32),
    "windows": ("add", ((1, 2), (), (0, 1), (), ()), "fill", False, ROWS, (40, 2), (40, 3, 4), F32),
    "batched": ("add", ((2,), (1,), (1,), (0,), (0,)), "fill", False,
                (4, 20, 9), (4, 30, 1), (4, 30, 9), F32),
}  # fmt: skip


@pytest.mark.parametrize("name", SCATTERS)
def test_a_scatter_gives_the_interpreters_numbers(name, rng):
    op, dims, mode, unique, shape, at, news, dtype = SCATTERS[name]
    form = g.Scatter(op, *dims, mode, unique)
    x, u = (rng.integers(-5, 5, s).astype(dtype) for s in (shape, news))
    i = rng.integers(-2, shape[dims[2][0]] + 2, at).astype(np.int32)
    graph = graph_of(lambda b, x, i, u: b.scatter(x, i, u, form), [x, i, u])
    got, _ = run(graph, [x, i, u])
    close(got, interp.run_graph(graph, [x, i, u]), name)


def test_unique_updates_run_all_at_once(rng):
    form = g.Scatter("set", *ROW, "fill", True)
    i = rng.permutation(20)[:9, None].astype(np.int32)
    arrays = [np.zeros(ROWS, F32), i, rng.standard_normal((9, 33)).astype(F32)]
    graph = graph_of(lambda b, x, i, u: b.scatter(x, i, u, form), arrays)
    got, plan = run(graph, arrays)
    close(got, interp.run_graph(graph, arrays), "unique")
    assert plan.steps[-1].global_size[0] >= 9 * 33


@pytest.mark.parametrize("name", ["rows", "layer norm", "scans", "flat sum"])
@pytest.mark.parametrize("most", [32, 64])
def test_smaller_groups_give_the_same_numbers(name, most):
    case = next(c for c in CASES if c.name == name)
    arrays = data(case)
    graph = graph_of(case.build, arrays)
    got, plan = run(graph, arrays, max_group=most)
    close(got, interp.run_graph(graph, arrays), name)
    assert max(s.local_size[0] for s in plan.steps) <= most


@pytest.mark.parametrize("name", ["map", "rows", "scans", "layer norm", "narrow columns"])
def test_memory_of_its_own(name):
    case = next(c for c in CASES if c.name == name)
    arrays = data(case)
    graph = graph_of(case.build, arrays)
    close(run(graph, arrays, explicit=True)[0], interp.run_graph(graph, arrays), name)


@pytest.mark.parametrize("name", ["rows", "layer norm", "flat sum", "scans"])
def test_the_same_bits_each_time(name):
    case = next(c for c in CASES if c.name == name)
    arrays = data(case)
    graph = graph_of(case.build, arrays)
    first, second = (run(graph, arrays)[0] for _ in range(2))
    assert all(x.tobytes() == y.tobytes() for x, y in zip(first, second))


@pytest.mark.parametrize("schedule", ["cpu", "gpu"])
def test_equal_kernels_over_different_sizes_merge(schedule):
    arrays = [np.linspace(0, 3, n, dtype=F32) for n in (100, 5000, 90000, 300000)]
    graph = graph_of(lambda b, *xs: [b.map("exp", b.map("neg", x)) for x in xs], arrays)
    device = gpu_like(False)
    plan = compiler.make_plan(graph, device.profile.with_(schedule=schedule)).check()
    stores, _ = execute.Executable(plan, device)([device.put(x) for x in arrays])
    device.finish()
    got = [device.fetch(s, o.shape, o.dtype) for s, o in zip(stores, graph.outputs)]
    close(got, [np.exp(-x) for x in arrays], "merged")


@pytest.mark.parametrize("op", ["max", "min"])
def test_the_lower_index_wins_a_tie(op):
    x = np.zeros((4, 500), F32)
    x[1, [77, 300]] = 5 if op == "max" else -5
    x[2, [400, 499]] = np.nan
    graph = graph_of(lambda b, x: b.argreduce(op, x, 1, np.int32), [x])
    (got,), _ = run(graph, [x])
    assert got.tolist() == [0, 77, 400, 0]


def many_folds(b, x):
    """More results of a row than local memory has room for at once."""
    powers = [
        b.map("add", x, b.broadcast(b.const(float(k), x.dtype), x.shape, ())) for k in range(9)
    ]
    ops = ("add", "max", "min")
    best = [b.argreduce("max", p, 1, np.int32) for p in powers]
    return [*(b.reduce(op, p, (1,)) for p in powers for op in ops), *best]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_local_memory_has_room_for_all_that_meet(dtype):
    x = np.random.default_rng(3).standard_normal((5, 700)).astype(dtype)
    graph = graph_of(many_folds, [x])
    got, plan = run(graph, [x])
    close(got, interp.run_graph(graph, [x]), "many folds")
    for program in plan.programs:
        for kernel in program.source.split("__kernel")[1:]:
            found = re.findall(r"__local (uint|ulong) \w+\[(\d+)\]", kernel)
            assert sum(int(n) * (8 if kind == "ulong" else 4) for kind, n in found) <= 16 << 10


def test_values_of_two_sizes_meet_in_arrays_of_their_own():
    def build(b, x, y):
        s = b.cumscan("add", x, 1)
        t = b.cumscan("add", b.map("convert", s, dtype=np.float64), 1)
        return [s, t, b.reduce("max", s, (1,)), b.map("mul", t, y)]

    x = np.random.default_rng(4).random((3, 1000)).astype(F32)
    arrays = [x, np.ones(x.shape)]
    graph = graph_of(build, arrays)
    got, plan = run(graph, arrays)
    close(got, interp.run_graph(graph, arrays), "two sizes")
    (kernel,) = [p.source for p in plan.programs if "__local" in p.source]
    assert "__local uint la[" in kernel and "__local ulong wa[" in kernel
    assert "(__local float *)(wa)" not in kernel


@pytest.mark.parametrize("shape", [(2**31 + 9,), (3, 2**31 + 9)])
@pytest.mark.parametrize("fold", [False, True])
def test_axes_of_more_than_two_thousand_million_elements(shape, fold):
    """They are counted with 64 bits."""
    b = g.Builder()
    x = b.map("neg", b.input(shape, np.int8))
    graph = b.graph([b.reduce("max", x, (x.ndim - 1,)) if fold else x])
    first = compiler.make_plan(graph, profile.GPU).programs[0].source.split("__kernel")[1]
    assert re.findall(r"\bint (?:i\d|g|s0|p\d) ?=", first) == []


def sum_of_many(b, *xs):
    y = xs[0]
    for x in xs[1:]:
        y = b.map("add", y, b.map("neg", x))
    return y


def maps_of_many(b, *xs):
    return [b.map("exp", x) for x in xs]


@pytest.mark.parametrize("most", [16, 24])
@pytest.mark.parametrize("build", [sum_of_many, maps_of_many])
def test_a_kernel_takes_no_more_arguments_than_its_device(build, most, rng):
    arrays = [rng.standard_normal(100 + 3 * k * (build is maps_of_many)).astype(F32)
              for k in range(50)]  # fmt: skip
    graph = graph_of(build, arrays)
    got, plan = run(graph, arrays, arguments=most)
    close(got, interp.run_graph(graph, arrays), "many arguments")
    assert 1 < plan.launches < 30
    assert max(len(s.args) for s in plan.steps) <= most


def test_parts_of_the_arena_stand_where_the_device_can_begin_them():
    def build(b, x):
        y = b.contract(x, x, ((1,), (0,)), ((), ()))
        return b.contract(y, b.map("exp", y), ((1,), (0,)), ((), ()))

    plan = compiler.make_plan(graph_of(build, [np.ones((33, 33), F32)]), profile.GPU)
    offsets = {b.offset for b in plan.buffers if b.kind == "temp"}
    assert len(offsets) > 1
    assert all(at % 512 == 0 for at in offsets)


def test_what_a_gpus_driver_says_of_it():
    """The numbers are those of a card; NVIDIA's buffers begin at multiples of 512 bytes."""
    from pyopencl import device_fp_config, device_type

    exact = device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT
    card = SimpleNamespace(
        type=device_type.GPU, name="Card", extensions="cl_khr_fp16", svm_capabilities=0,
        double_fp_config=0, single_fp_config=exact | device_fp_config.FMA, max_compute_units=80,
        max_work_group_size=1024, local_mem_size=49152, global_mem_size=1 << 34,
        global_mem_cache_size=1 << 20, max_mem_alloc_size=1 << 32, max_parameter_size=1024,
        mem_base_addr_align=4096, max_num_sub_groups=0,
    )  # fmt: skip
    found = devices.profile_of(SimpleNamespace(name="NVIDIA CUDA"), card)
    assert (found.kind, found.driver, found.fp64, found.fp16) == ("gpu", "nvidia", False, True)
    assert (found.align, found.arguments, found.host_visible) == (512, 128, False)
    assert found.options == " -cl-fp32-correctly-rounded-divide-sqrt"
    card.single_fp_config = device_fp_config.FMA
    assert devices.profile_of(SimpleNamespace(name="Other"), card).options == ""


def test_doubles_take_smaller_tiles_where_local_memory_is_small():
    x = np.ones((2050, 2050))
    graph = graph_of(contract((1,), (0,)), [x, x])
    for room, rows in ((49152, 128), (32768, 64)):
        source = compiler.make_plan(graph, profile.GPU.with_(local_bytes=room)).programs[0].source
        assert f"__local double la[16][{rows + 1}]" in source


def test_each_stage_is_a_kernel_with_a_fixed_group():
    case = CASES[-1]
    graph = graph_of(case.build, data(case))
    plan = compiler.make_plan(graph, profile.GPU)
    (program,) = plan.programs
    assert "switch" not in program.source
    assert {s.kernel for s in plan.steps} == {f"fx{s.stage}" for s in plan.steps}
    for s in plan.steps:
        assert f"reqd_work_group_size({s.local_size[0]}, 1, 1)" in program.source


def test_what_has_no_axes_is_read_by_the_item_that_writes():
    """Its memory may be what it reads: items that read it meanwhile would race with the store."""
    graph = graph_of(lambda b, x: b.map("mul", x, b.const(2.0, x.dtype)), [np.float32(3)])
    (program,) = compiler.make_plan(graph, profile.GPU).programs
    only, load, store = (program.source.index(t) for t in ("if (item == 0", "= *(b0", "*(b1"))
    assert only < load < store < program.source.index("  }\n", store)


def test_sizes_follow_from_shapes():
    case = CASES[-1]
    graph = graph_of(case.build, data(case))
    small = compiler.make_plan(graph, profile.GPU.with_(compute_units=4))
    large = compiler.make_plan(graph, profile.GPU.with_(compute_units=512))
    assert small.programs == large.programs
    assert small.steps == large.steps


@pytest.mark.parametrize("shape", [(8,), (6, 100)])
def test_a_device_without_doubles_says_so(shape):
    x = np.zeros(shape)
    graph = graph_of(lambda b, x: b.map("exp", x), [x])
    poor = profile.GPU.with_(fp64=False, name="Small GPU")
    with pytest.raises(DeviceError, match=r"Small GPU.*float64"):
        compiler.make_plan(graph, poor)


@pytest.mark.parametrize("seed", range(43, 55))
def test_random_graphs_in_small_groups(seed, monkeypatch):
    """Thresholds so low that the small axes of random graphs are split, shared and tiled."""
    monkeypatch.setattr(schedule_gpu, "SHORT_FOLD", 2)
    monkeypatch.setattr(canon, "MIN_SPLIT", 8)
    monkeypatch.setattr(product, "MIN_FLOPS", 64)
    maker = Maker(seed)
    graph = maker.graph(14, 3)
    got, _ = run(graph, maker.inputs, max_group=(4, 8, 256)[seed % 3])
    want = interp.run_graph(graph, maker.inputs)
    for k, (x, y) in enumerate(zip(got, want)):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-3, err_msg=f"output {k}")
