"""Values whose last axis has a few components are taken apart, with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from test_scatter import graph_of, run

from lowering import compile as compiler
from lowering import graph as g
from lowering import interp
from lowering.profile import AVX2
from lowering.rewrite.unstack import unstack

pytestmark = pytest.mark.lowering

F32 = np.float32
N, M = 70, 90


def pairs(b, x, y, width):
    shape = (N, M, width)
    left = b.broadcast(b.reshape(x, (N, 1, width)), shape, (0, 1, 2))
    return b.map("sub", left, b.broadcast(y, shape, (1, 2)))


def squared(b, x, y):
    d = pairs(b, x, y, x.shape[-1])
    return b.reduce("add", b.map("mul", d, d), (2,))


def forces(b, x, y):
    """What a gradient asks for: both row and column sums of vectors between points."""
    d = pairs(b, x, y, x.shape[-1])
    r = b.map("add", b.reduce("add", b.map("mul", d, d), (2,)), b.const(0.1, F32, (N, M)))
    f = b.map("div", d, b.broadcast(r, d.shape, (0, 1)))
    return [b.reduce("add", f, (1,)), b.reduce("add", f, (0,)), b.reduce("max", f, (1, 2))]


def one_component(b, x, y):
    d = pairs(b, x, y, x.shape[-1])
    e = b.map("add", d, b.convert(b.iota(d.shape, 2, np.int32), F32))
    cut = b.slice(e, (0, 0, 1), (N, M, 2))
    turned = b.transpose(b.map("neg", e), (1, 0, 2))
    return [b.reshape(cut, (N, M)), b.reduce("min", turned, (2,))]


def whole(b, x, y):
    """An output needs the axis: nothing is taken apart."""
    d = pairs(b, x, y, x.shape[-1])
    return [d, b.reduce("add", d, (2,))]


@pytest.mark.parametrize("width", (2, 3, 4))
@pytest.mark.parametrize("build", (squared, forces, one_component, whole))
def test_numbers(build, width):
    r = np.random.default_rng(5)
    arrays = [r.standard_normal((n, width)).astype(F32) for n in (N, M)]
    graph = graph_of(build, arrays)
    got, _ = run(graph, arrays)
    for a, want in zip(got, interp.run_graph(graph, arrays)):
        np.testing.assert_allclose(a, want, rtol=1e-4, atol=1e-5)


def test_only_what_pays_is_taken_apart():
    b = g.Builder()
    x = b.input((10_000, 3), F32)
    y = b.map("mul", x, x)
    flat = b.graph([b.reduce("add", y, (0, 1)), b.map("exp", x)])
    assert unstack(flat) is flat
    rows = b.graph([b.reduce("add", y, (1,))])
    assert unstack(rows) is not rows
    assert unstack(rows, inner=True) is rows


def test_pairs_in_a_loop_are_two_kernels_and_a_fold_of_blocks():
    b = g.Builder()
    x = b.input((512, 3), F32)
    c = g.Builder()
    state = c.input((512, 3), F32)
    left = c.broadcast(c.reshape(state, (512, 1, 3)), (512, 512, 3), (0, 1, 2))
    d = c.map("sub", left, c.broadcast(state, (512, 512, 3), (1, 2)))
    body = c.graph([c.map("add", state, c.reduce("add", c.map("tanh", d), (1,)))])
    (out,) = b.loop(body, [], [x], length=5)
    plan = compiler.make_plan(b.graph([out]), AVX2)
    largest = max(buffer.nbytes for buffer in plan.buffers)
    assert largest <= 4 * 512 * 3  # nothing of all pairs is in memory
