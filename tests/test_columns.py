"""Columns: folds over outer axes and what uses them are one kernel, strip of columns by strip."""

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from lowering import graph
from lowering.compile import make_plan
from lowering.profile import AVX2

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
