"""Rows that a list picks from a large table: the later ones are asked for."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from lowering.profile import AVX2

pytestmark = pytest.mark.lowering


def asked(f, *shapes):
    """How many lines a kernel asks for in one turn."""
    args = [fx.ShapeDtypeStruct(s, t) for s, t in shapes]
    text = "".join(p.source for p in lower_function(f, args, profile=AVX2).plan.programs)
    return text.count("__builtin_prefetch")


def scaled(table, ids):
    rows = table[ids]
    return rows / fnp.sqrt((rows * rows).sum(-1, keepdims=True))


@pytest.mark.parametrize("f", [lambda table, ids: table[ids] * 2, scaled])
@pytest.mark.parametrize(
    "table, lines",
    [
        ((200_000, 16), 1),
        ((20_000, 128), 8),
        ((1_000, 128), 0),  # a cache holds it
        ((20_000, 1_024), 0),  # a row of many lines hides the wait for its first
        ((2_000_000, 4), 0),
    ],
)
def test_lines_of_later_rows_are_asked_for(f, table, lines):
    assert asked(f, (table, fnp.float32), ((512,), fnp.int32)) == lines


def test_two_lists_and_lists_of_lists():
    two = lambda t, i, j: (t[i] * t[j]).sum(1)
    table, ids = ((20_000, 128), fnp.float32), ((512,), fnp.int32)
    assert asked(two, table, ids, ids) == 16
    assert asked(lambda t, i, j: t[i[j]] + 1, table, ids, ids) == 8


@pytest.mark.parametrize("n", [1, 7, 8, 9, 100])
def test_the_last_rows(rng, n):
    """The list ends before the rows that its last ones would ask for."""
    table = rng.standard_normal((20_000, 128)).astype(np.float32)
    ids = rng.integers(-20_000, 20_000, (3, n)).astype(np.int32)
    made = fx.jit(lambda t, i: t[i] * 2)(fnp.asarray(table), fnp.asarray(ids))
    np.testing.assert_array_equal(made, table[ids] * 2)


def test_rows_of_updates_that_are_dealt():
    """A row of the graph's features, and a row of the updates where they stand in memory."""
    x, ids = ((50_000, 64), fnp.float32), ((250_000,), fnp.int32)
    flow = lambda x, s, d: fnp.zeros_like(x).at[d].add(x[s] * 2)
    assert asked(flow, x, ids, ids) == 4
    plain = lambda x, d, u: fnp.zeros_like(x).at[d].add(u)
    assert asked(plain, x, ids, ((250_000, 64), fnp.float32)) == 4
