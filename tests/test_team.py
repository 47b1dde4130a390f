"""Loops run by a team: the same bits as launched from the host, whoever comes first or late."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import deque
from typing import Any

import numpy as np
import pytest
from random_graphs import Maker
from random_loops import Loops
from random_nests import Nests

import fx
import fx.numpy as jnp
from fx import lax
from fx.lower import subgraph
from lowering import compile as compiler
from lowering import graph as g
from lowering import interp
from lowering.launches import condense, team
from lowering.runtime import devices, execute
from lowering.runtime.counters import counters

pytestmark = [pytest.mark.driver, pytest.mark.lowering]


@pytest.fixture
def eager_teams(monkeypatch):
    """Every loop that a team can run is run by one."""
    real = team.team_us
    monkeypatch.setattr(condense, "team_us", lambda p, s: None if real(p, s) is None else -1.0)


def teams_here() -> bool:
    profile = devices.default_device().profile
    return profile.driver in team.DRIVERS and profile.schedule == "cpu"


def run(graph: g.Graph, inputs, device=None, **options: Any):
    """The results of a graph, and whether a team made them."""
    device = device or devices.default_device()
    plan = compiler.make_plan(graph, device.profile.with_(compute_units=3), **options)
    plan.check()
    stores, _ = execute.Executable(plan, device)([device.put(x) for x in inputs])
    device.finish()
    outs = [np.array(device.fetch(s, n.shape, n.dtype)) for s, n in zip(stores, graph.outputs)]
    return outs, any("team runs" in why for _, why in plan.meta["reasons"])


def graph_of(f, *args) -> tuple[g.Graph, list[np.ndarray]]:
    arrays = [np.asarray(a) for a in args]
    return subgraph(g.Builder(), fx.make_jaxpr(f)(*arrays)), arrays


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def layers(x, w):
    """A loop of products, row folds, column folds, and stacked results."""

    def step(h, _):
        h = jnp.tanh(h @ w)
        h = h - h.mean(axis=0)
        return h, h.sum(axis=1)

    return lax.scan(step, x, None, length=9)


def relax(x):
    """A while loop whose condition is a fold."""

    def step(c):
        x, k, _ = c
        y = 0.25 * (jnp.roll(x, 1, 0) + jnp.roll(x, -1, 0) + jnp.roll(x, 1, 1) + jnp.roll(x, -1, 1))
        return y, k + 1, jnp.abs(y - x).max()

    return lax.while_loop(lambda c: (c[2] > 0.05) & (c[1] < 90), step, (x, 0, jnp.float32(9)))


def nested(x):
    """A counted loop in a counted loop, of an odd number of turns, backwards."""

    def inner(h, _):
        return jnp.sin(h + 0.5 * h.mean()), None

    def outer(h, x):
        h, _ = lax.scan(inner, h + x, None, length=3)
        return h, h[0]

    return lax.scan(outer, x[0], x, reverse=True)


def decides(x):
    """Branches of whole arrays and a while loop over one, in a loop of more turns than a team
    remembers: a member that comes late has missed too much.
    """

    def halve(y):
        return lax.while_loop(lambda y: (y * y).sum() > 5000.0, lambda y: 0.5 * jnp.roll(y, 1), y)

    def turn(i, x):
        y = x + 0.125 * jnp.roll(x, 1, 1)
        return lax.cond(y[0, 0] > y[1, 1], halve, lambda y: jnp.roll(y, 1, 0) + x, y)

    return lax.fori_loop(0, 300, turn, x)


CASES = {
    "decides": (decides, (normal(60, 70),)),
    "layers": (layers, (normal(64, 96), 0.08 * normal(96, 96))),
    "relax": (relax, (normal(200, 300),)),
    "nested": (nested, (normal(7, 90, 70),)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bits_are_those_of_the_host_loop(name, eager_teams):
    f, args = CASES[name]
    graph, inputs = graph_of(f, *args)
    got, by_team = run(graph, inputs)
    want, by_host = run(graph, inputs, team=False, condense=False)
    assert by_team == teams_here() and not by_host
    for a, b, c in zip(got, want, interp.run_graph(graph, inputs)):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", CASES)
def test_one_member_after_the_other(name, eager_teams):
    """PoCL's serial device runs members one by one: the first does all, the others come late."""
    lane = devices.default_device().direct
    if lane is None:
        pytest.skip("no serial device")
    f, args = CASES[name]
    graph, inputs = graph_of(f, *args)
    for a, b in zip(run(graph, inputs, lane)[0], run(graph, inputs)[0]):
        np.testing.assert_array_equal(a, b)


def test_what_a_team_writes_outlives_a_function_that_nobody_keeps(eager_teams, monkeypatch):
    """After `jit(f)(x)` no function is left, and the team still claims items in its constants."""

    class Event:
        command_execution_status = 1

    f, args = CASES["layers"]
    graph, inputs = graph_of(f, *args)
    device = devices.default_device()
    plan = compiler.make_plan(graph, device.profile.with_(compute_units=3))
    exe = execute.Executable(plan, device)
    exe([device.put(x) for x in inputs])
    device.finish()
    constants = [weakref.ref(c) for c in exe._consts.values()]
    assert bool(constants) == teams_here()
    monkeypatch.setattr(device, "pending", deque())
    running = Event()
    monkeypatch.setattr(device, "tail", [running])
    del exe
    gc.collect()
    device.reap()
    assert all(c() is not None for c in constants)
    running.command_execution_status = 0
    device.reap()
    assert all(c() is None for c in constants)


@pytest.mark.parametrize("seed", range(24))
def test_random_loops(seed, eager_teams):
    maker = Loops(seed)
    graph = maker.graph()
    for a, b in zip(run(graph, maker.inputs)[0], interp.run_graph(graph, maker.inputs)):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("seed", range(16))  # 2: a word copied before it was stored as a float
def test_random_nests(seed, eager_teams):
    """By a team, by the planner's own choice, and with each step launched from the host."""
    maker = Nests(seed)
    graph, inputs = graph_of(maker.program, *maker.arrays)
    want = interp.run_graph(graph, inputs)
    for options in ({}, {"team": False}, {"condense": False, "merge": False}, {"loops": False}):
        for a, b in zip(run(graph, inputs, **options)[0], want, strict=True):
            np.testing.assert_allclose(a, b, rtol=3e-3, atol=3e-3)


@pytest.mark.parametrize("seed", range(6000, 6012))
def test_random_graphs(seed, eager_teams):
    maker = Maker(seed)
    graph = maker.graph(20, 3)
    for a, b in zip(run(graph, maker.inputs)[0], interp.run_graph(graph, maker.inputs)):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_several_teams_at_once():
    """More threads than cores, each of which waits for a team: none waits for ever."""
    f = fx.jit(layers)
    x, w = map(jnp.asarray, (normal(64, 96), 0.08 * normal(96, 96)))
    want = np.asarray(f(x, w)[0])
    wrong: list[int] = []

    def call(k: int) -> None:
        for _ in range(5):
            if (np.asarray(f(x, w)[0]) != want).any():
                wrong.append(k)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not wrong and not any(t.is_alive() for t in threads)


@pytest.mark.parametrize("said", [1, 3])
def test_who_comes_late_leaves(said, eager_teams, monkeypatch):
    """What is said is overwritten before the second member looks, and it does without."""
    lane = devices.default_device().direct
    if lane is None:
        pytest.skip("no serial device")
    graph, inputs = graph_of(*CASES["decides"][:1], *CASES["decides"][1])
    want, _ = run(graph, inputs, team=False, condense=False)
    monkeypatch.setattr("lowering.templates.team.SAID", said)
    monkeypatch.setattr(team, "SAID", said)
    for device in (lane, devices.default_device()):
        got, by_team = run(graph, inputs, device)
        assert by_team == teams_here()
        np.testing.assert_array_equal(got[0], want[0])


def several_cores() -> None:
    if not teams_here() or devices.default_device().profile.compute_units < 2:
        pytest.skip("no teams on this device")


def test_branches_and_loops_inside_are_one_launch():
    several_cores()
    f, args = fx.jit(decides), [jnp.asarray(normal(300, 500))]
    f(*args)
    before = counters()
    f(*args)
    spent = counters() - before
    assert spent.launches <= 4 and spent.copies <= 1


def test_a_team_is_one_launch():
    several_cores()
    f = fx.jit(lambda x, w: lax.scan(lambda h, _: (jnp.tanh(h @ w), None), x, None, length=200)[0])
    x, w = map(jnp.asarray, (normal(256, 128), normal(128, 128)))
    f(x, w)
    before = counters()
    f(x, w)
    assert (counters() - before).launches <= 4


def test_a_counter_is_counted_while_the_others_work():
    """A loop's counter needs no stage of its own, after which all would wait for each other."""
    several_cores()

    def f(d):
        return lax.fori_loop(2, 60, lambda k, d: jnp.minimum(d, d[:, k, None] + d[k]), d)

    d = jnp.asarray(normal(200, 200))
    text = fx.jit(f).lower(d).compile().as_text()
    loop = text[text.index("for (long k") :]
    assert loop[: loop.index("team_leave")].count("= team_next(&t") == 1
