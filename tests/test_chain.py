"""Launches in a row as one: the same bits, again and again, whoever comes late; and their times."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from random_graphs import Maker
from random_loops import Loops

import fx
import fx.numpy as jnp
from lowering import compile as compiler
from lowering import interp
from lowering.launches import effort, team
from lowering.runtime import devices, execute
from lowering.runtime.counters import counters

pytestmark = [pytest.mark.driver, pytest.mark.lowering]


@pytest.fixture
def no_small_plans(monkeypatch):
    """Plans that one thread would do are chained, too."""
    monkeypatch.setattr(effort, "small", lambda stages, steps, profile: False)


def teams_here() -> bool:
    profile = devices.default_device().profile
    return profile.driver in team.DRIVERS and profile.schedule == "cpu"


def results(graph, inputs, device, times: int, **options: Any) -> list[list[np.ndarray]]:
    """The results of so many calls, the last of which are enqueued together."""
    plan = compiler.make_plan(graph, device.profile.with_(compute_units=3), **options)
    plan.check()
    call = execute.Executable(plan, device)
    stores = [call([device.put(x) for x in inputs])[0] for _ in range(times)]
    device.finish()
    return [
        [device.fetch(s, n.shape, n.dtype) for s, n in zip(found, graph.outputs)]
        for found in stores
    ]


def check(maker, graph, device) -> None:
    (want,) = results(graph, maker.inputs, device, 1, chain=False)
    for got in results(graph, maker.inputs, device, 3):
        for a, b in zip(got, want):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(want, interp.run_graph(graph, maker.inputs)):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("seed", range(7100, 7124))
def test_random_graphs(seed, no_small_plans):
    maker = Maker(seed)
    check(maker, maker.graph(30, 4), devices.default_device())


@pytest.mark.parametrize("seed", range(7200, 7208))
def test_loops_in_between(seed, no_small_plans):
    maker = Loops(seed)
    check(maker, maker.graph(), devices.default_device())


@pytest.mark.parametrize("seed", range(7300, 7308))
def test_one_member_after_the_other(seed, no_small_plans):
    """PoCL's serial device runs members one by one: the first does all, the others come late."""
    lane = devices.default_device().direct
    if lane is None:
        pytest.skip("no serial device")
    maker = Maker(seed)
    check(maker, maker.graph(30, 4), lane)


def layers(x, *weights):
    for k, w in enumerate(weights):
        with fx.named_scope(f"layer{k}"):
            x = jnp.tanh(x @ w)
    return x


def weights(n: int):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal((n, n)).astype(np.float32) / n**0.5) for _ in range(4)]


def test_layers_are_one_launch_whose_parts_have_times():
    if not teams_here() or devices.default_device().profile.compute_units < 2:
        pytest.skip("no teams on this device")
    f = fx.jit(layers)
    x, *ws = weights(256)
    f(x, *ws)
    before = counters()
    f(x, *ws)
    assert (counters() - before).launches == 1
    with fx.profiler.trace() as profile:
        for _ in range(3):
            f(x, *ws).block_until_ready()
    for k in range(3):
        times = [a for a in profile.launches if f"layer{k}" in a.label]
        assert len(times) == 3 and all(0 < a.seconds < 10 for a in times)
    ends = [(a.start, a.start + a.seconds) for a in profile.launches]
    assert all(a[1] <= b[0] + 1e-6 for a, b in itertools.pairwise(ends))


def test_another_batch_builds_nothing():
    f = fx.jit(lambda x, w: jnp.tanh(jnp.tanh(x @ w) @ w).max(axis=1))
    w = weights(256)[0]
    x = np.ones((4096, 256), np.float32)
    np.asarray(f(x[:3000], w))
    before = counters()
    np.asarray(f(x, w))
    assert (counters() - before).compiles == 0
