"""Branches of little work, and small copies, as launches that the host need not wait for."""

from __future__ import annotations

import numpy as np
import pytest
from plans import run
from random_graphs import Maker

import fx
import fx.numpy as jnp
from fx import lax
from fx.lower import subgraph
from lowering import compile as compiler
from lowering import graph as g
from lowering import interp
from lowering.launches import effort
from lowering.plan import CondStep, CopyStep, LoopStep, Plan
from lowering.profile import AVX512
from lowering.runtime import devices

pytestmark = [pytest.mark.driver, pytest.mark.lowering]


def turned(x, y, k):
    """Two results handed on and two made, by either branch; then one of what came of it."""

    def one(x, y):
        return y, x, jnp.cumsum(x), lax.sort(y)

    def other(x, y):
        return x, lax.fori_loop(0, 5, lambda i, y: jnp.roll(y, i) + x, y), y - x, x

    a, b, c, d = lax.cond(k > 0, one, other, x, y)
    e = lax.switch(k, [jnp.cumsum, lambda x: x[::-1], lambda x: x], a + b)
    return a, b, c, d, e


def searched(x, k):
    """A branch with a loop that only data end."""

    def halve(x):
        return lax.while_loop(lambda x: jnp.cumsum(x)[-1] > 1, lambda x: lax.sort(x) / 2, x)

    return lax.cond(k > 0, halve, lambda x: x, x)


def graph_of(f, *args) -> g.Graph:
    return subgraph(g.Builder(), fx.make_jaxpr(f)(*args))


def ran(plan: Plan, args):
    return run(plan, devices.default_device(), [np.asarray(a) for a in args])


def kinds(plan: Plan) -> list[type]:
    return [type(s) for s in plan.walk()]


X, Y = np.arange(9, dtype=np.float32), np.cos(np.arange(9)).astype(np.float32)


@pytest.mark.parametrize("k", [-3, 0, 1, 2, 70])
def test_a_branch_is_taken_without_the_host(k):
    args = X, Y, np.asarray(k, np.int32)
    graph = graph_of(turned, *args)
    want = interp.run_graph(graph, args)
    profile = devices.default_device().profile
    several = ({}, {"condense": False}, {"merge": False}, {"fuse": False, "condense": False})
    for options in several:
        plan = compiler.make_plan(graph, profile, donated=(), name="", **options)
        if profile.schedule == "cpu":
            assert (CondStep in kinds(plan)) == (options.get("condense") is False)
        for a, b in zip(ran(plan, args), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_it_is_one_launch_and_no_copy():
    plan = compiler.make_plan(graph_of(turned, X, Y, np.int32(1)), AVX512)
    assert plan.launches == 1 and not {CondStep, CopyStep} & set(kinds(plan))
    assert plan.host_steps == 0


@pytest.mark.parametrize("k", [0, 1])
def test_a_loop_that_may_not_end_stays_where_it_can_be_interrupted(k):
    args = X, np.asarray(k, np.int32)
    graph = graph_of(searched, *args)
    plan = compiler.make_plan(graph, devices.default_device().profile)
    assert CondStep in kinds(plan) and LoopStep in kinds(plan)
    np.testing.assert_allclose(ran(plan, args)[0], interp.run_graph(graph, args)[0], rtol=1e-5)


def test_branches_of_much_work_are_launches_of_all_cores():
    def f(x, k):
        return lax.cond(k > 0, lambda x: jnp.tanh(x @ x), lambda x: x, x)

    x = np.ones((400, 400), np.float32)
    plan = compiler.make_plan(graph_of(f, x, np.int32(1)), AVX512.with_(compute_units=4))
    assert CondStep in kinds(plan)


def test_where_the_host_reads_it_waits_in_any_case():
    """A loop of unknown length keeps the caller waiting; it may as well do the work."""
    profile = AVX512.with_(compute_units=2)
    graph = graph_of(lambda x, k: lax.fori_loop(0, k, lambda _, x: jnp.sin(x), x), X, np.int32(9))
    plan = compiler.make_plan(graph, profile)
    (loop,) = (s for s in plan.walk() if isinstance(s, LoopStep))
    assert effort._waits(loop) == 1 and plan.small


@pytest.mark.parametrize("seed", range(7000, 7024))
def test_random_graphs(seed):
    maker = Maker(seed)
    graph = maker.graph(20, 3)
    plan = compiler.make_plan(graph, devices.default_device().profile)
    want = interp.run_graph(graph, maker.inputs)
    for a, b in zip(ran(plan, maker.inputs), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
