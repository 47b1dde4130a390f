"""A sum of padded pieces that fill an axis is their concatenation; guards hold strip by strip."""

from __future__ import annotations

import numpy as np
import pytest
from test_scatter import graph_of, run

import fx
import fx.numpy as fnp
from fx import lax
from lowering import graph as g
from lowering import interp
from lowering.rewrite.pads import side_by_side

pytestmark = pytest.mark.lowering

F32 = np.float32


def padded(b, x, axis, start, n, value=0.0):
    low, high = [0] * x.ndim, [0] * x.ndim
    low[axis], high[axis] = start, n - start - x.shape[axis]
    return b.pad(x, b.const(value, F32), low, high, [0] * x.ndim)


def arrays(*shapes):
    r = np.random.default_rng(2)
    return [r.standard_normal(s).astype(F32) for s in shapes]


def check(build, given, found):
    graph = graph_of(build, given)
    assert len(side_by_side(graph)) == found
    got, _ = run(graph, given)
    for a, want in zip(got, interp.run_graph(graph, given)):
        np.testing.assert_allclose(a, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", (0, 1))
def test_pieces_in_any_order(axis):
    shapes = [(5, 40), (7, 40), (20, 40)] if axis == 0 else [(9, 5), (9, 7), (9, 28)]

    def build(b, *xs):
        n, at, pads = sum(x.shape[axis] for x in xs), 0, []
        for x in xs:
            pads.append(padded(b, b.map("exp", x), axis, at, n))
            at += x.shape[axis]
        return b.map("add", pads[2], b.map("add", pads[0], pads[1]))

    check(build, arrays(*shapes), 1)


@pytest.mark.parametrize("second, value", ((5, 0.0), (3, 0.0), (4, 1.0)))
def test_gaps_overlaps_and_other_fills_stay_sums(second, value):
    def build(b, x, y):
        return b.map("add", padded(b, x, 1, 0, 9, value), padded(b, y, 1, second, 9))

    check(build, arrays((6, 4), (6, 4)), 0)


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "complex64", "int32"))
def test_negative_zeros_do_not_stay(dtype):
    """What they are added to is a zero that is not negative."""

    def f(x, y):
        return fnp.pad(x, (0, 3)) + fnp.pad(y, (2, 0))

    x, y = -fnp.zeros(2, dtype), -fnp.zeros(3, dtype)
    got, want = np.asarray(fx.jit(f)(x, y)), np.asarray(f(x, y))
    assert got.tobytes() == want.tobytes() == bytes(got.nbytes)


def test_a_sum_that_something_else_reads_is_no_part():
    def build(b, x, y, z):
        first = b.map("add", padded(b, x, 0, 0, 30), padded(b, y, 0, 10, 30))
        return [b.map("add", first, padded(b, z, 0, 20, 30)), first]

    check(build, arrays((10, 3), (10, 3), (10, 3)), 0)


@pytest.mark.parametrize("start", (0, 3, 16, 60))
def test_strips_inside_across_and_outside_of_a_guard(start):
    def build(b, x, y):
        return b.map("mul", padded(b, x, 1, start, 100), y)

    check(build, arrays((3, 40), (3, 100)), 0)


def test_a_split_and_its_gradient():
    def build(b, x):
        parts = [b.slice(x, (0, 25 * k), (8, 25 * (k + 1))) for k in range(4)]
        pads = [padded(b, b.map("tanh", p), 1, 25 * k, 100) for k, p in enumerate(parts)]
        total = pads[0]
        for p in pads[1:]:
            total = b.map("add", total, p)
        return b.contract(total, b.transpose(x, (1, 0)), ((1,), (0,)), ((), ()))

    given = arrays((8, 100))
    check(build, given, 1)
    assert isinstance(graph_of(build, given).outputs[0].form, g.Contract)


@pytest.mark.parametrize("width", (3, 17))
def test_a_window_at_a_place_from_data_is_padded(width):
    """A strip that crosses the edge of what is read reads it where it is."""

    def f(x, at):
        part = lax.dynamic_slice(x, (at, 0, 0), (1, width, 1))
        return lax.pad(part, np.float32(1), [(1, 1, 0), (1, 1, 0), (1, 0, 0)])

    (x,) = arrays((3, width, 1))
    for at in range(3):
        np.testing.assert_array_equal(fx.jit(f)(x, at), f(fnp.asarray(x), at))
