"""Where a nest begins in its buffers is an argument: parts of arrays share one compiled text."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from lowering.affine import Affine
from lowering.graph import Const, Node
from lowering.nest import Nest, NestBuffer, Store, Value
from lowering.planning.origin import moved, origins

pytestmark = pytest.mark.lowering
F32 = np.dtype(np.float32)


def functions_of(fn, *args):
    plan = lower_function(fn, args).plan
    return sum(p.source.count("FX_STAGE void") for p in plan.programs)


def test_one_text_for_all_steps_of_an_unrolled_recurrence():
    w = np.ones((2, 32, 32), np.float32) / 32

    def run(w, x, steps):
        h = fnp.zeros((16, 32))
        for t in range(steps):
            h = fnp.tanh(x[t] @ w[0] + h @ w[1])
        return h

    few, many = (
        functions_of(lambda w, x, n=n: run(w, x, n), w, np.ones((n, 16, 32), np.float32))
        for n in (8, 48)
    )
    assert many < 3 * few  # what grows is the list of calls


@pytest.mark.driver
def test_parts_of_arrays_are_read_and_written_where_they_are():
    x = np.arange(96, dtype=np.float32).reshape(12, 8)

    def f(x):
        parts = [fnp.sin(x[k, 2:7]) for k in range(12)]
        y = x.at[3:5, 1:4].set(x[6:8, 4:7] * 2)
        z = y.at[0].add(y[1]).at[11, 1:].set(y[10, :-1])
        return fnp.stack(parts), y, z, x[::-1][2:4], x[1] @ x[2:8].T

    y = x.copy()
    y[3:5, 1:4] = x[6:8, 4:7] * 2
    z = y.copy()
    z[0] += y[1]
    z[11, 1:] = y[10, :-1]
    expected = np.sin(x[:, 2:7]), y, z, x[::-1][2:4], x[1] @ x[2:8].T
    for got, want in zip(fx.jit(f)(x), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def nest(index: Affine, size: int, n: int = 5) -> Nest:
    buffers = [NestBuffer(Node(Const(0), (), (), F32), F32, size) for _ in range(2)]
    load = Value("load", (), F32, index.axes, (0, index, (), ()))
    return Nest([n], [load], [Store(1, Affine(0, ((0, 1),)), 0)], buffers)


def test_origins_of_parts_only():
    assert origins(nest(Affine(7, ((0, 1),)), 20)) == {0: 7, 1: 0}  # b1 is larger than what is set
    assert origins(nest(Affine(0, ((0, 4),)), 17)) == {1: 0}  # all of b0 lies between its ends
    assert origins(nest(Affine(-1, ((0, 1),)), 20)) == {1: 0}  # begins before the buffer: guarded


def test_a_moved_nest_is_a_copy():
    before = nest(Affine(7, ((0, 1),)), 20)
    after = moved(before, {0: 7, 1: 0})
    assert after.values[0].attr[1] == Affine(0, ((0, 1),))
    assert before.values[0].attr[1] == Affine(7, ((0, 1),))
