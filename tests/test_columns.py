"""Columns: folds over outer axes and what uses them are one kernel, strip of columns by strip."""

import re

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from lowering import graph
from lowering.compile import make_plan
from lowering.profile import AVX2, AVX512

FUNCTIONS = {
    "softmax": lambda xp, x, a: (
        xp.exp(x - x.max(a, keepdims=True))
        / xp.exp(x - x.max(a, keepdims=True)).sum(a, keepdims=True)
    ),
    "norm": lambda xp, x, a: (x - x.mean(a, keepdims=True)) / (1 + x.var(a, keepdims=True)),
    "spread": lambda xp, x, a: x.var(a) + x.max(a) - x.min(a),
    "where": lambda xp, x, a: x.argmax(a) + x.sum(a).astype(xp.int32),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "shape, axis", [((40, 30, 33), 0), ((9, 300, 70), 1), ((20, 3, 5, 16), (1, 2))]
)
def test_columns(name, shape, axis):
    if isinstance(axis, tuple) and name == "where":
        pytest.skip("argmax takes one axis")
    x = np.random.default_rng(0).integers(-4, 4, shape).astype(np.float32)
    f = FUNCTIONS[name]
    got = np.asarray(fx.jit(lambda x: f(jnp, x, axis))(x))
    np.testing.assert_allclose(got, f(np, x, axis), rtol=2e-5, atol=2e-5)


def softmax_plan(shape, axis, profile=AVX2):
    b = graph.Builder()
    x = b.input(shape, np.dtype(np.float32))
    kept = tuple(k for k in range(len(shape)) if k != axis)
    e = b.map("exp", b.map("sub", x, b.broadcast(b.reduce("max", x, (axis,)), shape, kept)))
    total = b.broadcast(b.reduce("add", e, (axis,)), shape, kept)
    return make_plan(b.graph([b.map("div", e, total)]), profile)


def test_a_column_is_one_kernel_and_keeps_what_costs():
    plan = softmax_plan((8, 128, 256), 1)
    source = plan.programs[0].source
    assert len(plan.steps) == 1 and source.count("FX_STAGE void") == 1
    stage = source[source.index("FX_STAGE void") :]
    assert stage.count("exp_down_f32x16") == 4  # four strips side by side, each element once


def test_long_or_few_columns_are_folded_by_themselves():
    for shape in ((8, 1024, 256), (1, 400, 64), (64, 128, 8)):
        assert softmax_plan(shape, 1).programs[0].source.count("FX_STAGE void") > 1


FOLDED = {
    "sum": lambda x: x.sum(0),
    "max": lambda x: x.max(0),
    "any": lambda x: (x > 1).any(0),
    "count": lambda x: (x > 0).sum(0),
    "where": lambda x: x.argmax(0),
    "variance": lambda x: x.var(0),
    "two": lambda x: (x * x).sum(0) - x.sum(0),
}
FEW = [(70_000, 1), (40_000, 3), (9000, 10), (9000, 33), (3000, 100), (2000, 127), (900, 200)]
SMALL = [(50, 17), (300, 33), (1000, 50), (100, 100), (70, 130), (40, 1000)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int8, np.float16])
@pytest.mark.parametrize("shape", [*FEW, *SMALL], ids=str)
def test_folds_of_any_number_of_columns(shape, dtype):
    """Of many rows by blocks, of few columns in registers; what strips leave is one more strip."""
    with fx.enable_x64(dtype == np.float64):
        x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)
        for name, f in FOLDED.items():
            if dtype in (np.int8, np.float16) and name in ("sum", "variance", "two"):
                continue  # they leave what the type can hold
            got = np.asarray(fx.jit(f)(x))
            want = f(x.astype(np.float64))  # NumPy adds up columns of float32 in float32
            np.testing.assert_allclose(got, want, 1e-4, 1e-4, err_msg=name)


def folded_columns(shape, added=False, profile=AVX512):
    """The text of the sums of all columns, or of them and what stands where they are stored."""
    b = graph.Builder()
    total = b.reduce("add", b.input(shape, np.dtype(np.float32)), (0,))
    total = b.map("add", b.input(shape[1:], np.dtype(np.float32)), total) if added else total
    return make_plan(b.graph([total]), profile, chain=False).programs[0].source


@pytest.mark.parametrize("columns, registers", [(10, 2), (33, 3), (100, 7), (200, 0)])
def test_few_columns_of_many_rows_stay_in_registers(columns, registers):
    source = folded_columns((9000, columns))
    rows = source[source.index("const int g0") :]
    inside = rows[rows.index("{") : rows.index("\n  }\n")]
    assert len(re.findall(r"  sum0_\d+ = ", inside)) == registers
    assert ("(b1 +" in inside) == (registers == 0)  # a sum in memory waits for the row before


def test_columns_that_strips_leave_are_folded_as_strips():
    """None by itself, where a column may be folded twice; else those that fill no strip."""
    for shape in ((1000, 50), (6, 1000, 20)):
        assert "= *(b0 + " not in folded_columns(shape)
    own = folded_columns((1000, 50), added=True)
    assert own.count("for (int i1 = 0; i1 < e1; ++i1)") == 3  # two strips, one, and by themselves
