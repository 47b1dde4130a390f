"""Where vectors of booleans are true: parts that count, then parts that write, and no host."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx.lower import subgraph
from fx.prims.positions import positions
from lowering import compile as compiler
from lowering import graph as g
from lowering.profile import AVX2
from lowering.runtime import devices, execute

pytestmark = [pytest.mark.driver, pytest.mark.lowering]


def expected(mask, size, fill):
    rows = mask.reshape(-1, mask.shape[-1])
    out = np.full((len(rows), size), fill, np.int32)
    for row, found in zip(out, map(np.flatnonzero, rows)):
        row[: len(found)] = found[:size]
    return out.reshape(*mask.shape[:-1], size), np.count_nonzero(mask, -1)


def graph_of(shape, size):
    closed = fx.make_jaxpr(lambda m: positions(m, size, -2))(fx.ShapeDtypeStruct(shape, bool))
    return subgraph(g.Builder(), closed)


def mask_of(shape, density, seed=0):
    return np.random.default_rng(seed).random(shape) < density


@pytest.mark.parametrize("lanes", [{}, {"vector_bytes": 32}], ids=["own", "plain"])
@pytest.mark.parametrize("density", [0.0, 0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(7,), (16,), (1000,), (100_003,), (3, 40_000), (2, 150, 37)])
def test_positions(shape, density, lanes):
    """Sizes below, at and above what is found, rows of one part and of several; also by the text
    without the instruction that packs.
    """
    mask = mask_of(shape, density)
    n = shape[-1]
    device = devices.default_device()
    profile = device.profile.with_(**lanes)
    for size in {1, n // 3 + 1, n, n + 5}:
        graph = graph_of(mask.shape, size)
        plan = compiler.make_plan(graph, profile).check()
        if profile.driver != "interpreter":
            assert plan.host_steps == 0
        stores, _ = execute.Executable(plan, device)([device.put(mask)])
        device.finish()
        for s, o, want in zip(stores, graph.outputs, expected(mask, size, -2)):
            np.testing.assert_array_equal(device.fetch(s, o.shape, o.dtype), want)


def test_bytes_of_any_value_count_once():
    """A NumPy array may say that it holds booleans and hold other bytes."""
    mask = np.random.default_rng(0).integers(0, 4, 50_000).astype(np.uint8).view(bool)
    got, count = fx.jit(lambda m: positions(m, 50_000, 7))(mask)
    want = np.flatnonzero(mask.view(np.uint8))
    assert int(count) == len(want)
    np.testing.assert_array_equal(np.asarray(got)[: len(want)], want)


@pytest.mark.parametrize("n, launches", [(1000, 1), (1_000_000, 2)])
def test_a_long_vector_is_counted_in_parts_and_a_short_one_is_not(n, launches):
    plan = compiler.make_plan(graph_of((n,), n), AVX2, chain=False)
    assert (plan.launches, plan.host_steps) == (launches, 0)


def test_of_each_row():
    mask = mask_of((5, 300), 0.3)
    got = fx.jit(fx.vmap(lambda m: fnp.flatnonzero(m, size=120, fill_value=-1)))(mask)
    np.testing.assert_array_equal(np.asarray(got), expected(mask, 120, -1)[0])


def test_fill_values_of_several_axes_and_from_data():
    mask = mask_of((30, 40), 0.1)
    found = np.nonzero(mask)
    fills = (np.int32(-5), 77)
    got = fx.jit(lambda m, f: fnp.nonzero(m, size=500, fill_value=(f, 77)))(mask, fills[0])
    flat = fx.jit(lambda m, f: fnp.flatnonzero(m, size=1300, fill_value=f))(mask, fills[0])
    for x, w, fill in zip(got, found, fills):
        np.testing.assert_array_equal(np.asarray(x), np.r_[w, [fill] * (500 - len(w))])
    where = np.flatnonzero(mask)
    np.testing.assert_array_equal(np.asarray(flat), np.r_[where, [-5] * (1300 - len(where))])
