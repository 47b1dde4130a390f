"""Loops whose arrays change places make several steps in one: the same numbers, and no copies."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import lower_function
from lowering import compile as compiler
from lowering import graph as g
from lowering.plan import CopyStep, Launch, LoopStep
from lowering.profile import AVX512
from lowering.rewrite import alternate

N = 400


def array(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def wave(u):
    return 0.1 * (jnp.roll(u, 1) + jnp.roll(u, -1) - 2 * u)


STEPS = {
    "waves": lambda c, x: ((2 * c[0] - c[1] + wave(c[0]) + x, c[0]), c[0][3]),
    "exchanged": lambda c, x: ((c[1].at[5].set(c[0][4] + x), c[0]), c[0][5]),
    "swapped": lambda c, x: ((c[1], c[0]), c[0] + x),
    "swapped and one more": lambda c, x: ((c[1], c[0], c[2] * 0.5 + wave(c[0]) + x), c[2]),
    "a history": lambda c, x: ((wave(c[0]) + x + c[2], c[0], c[1]), c[2][:7]),
    "a longer one": lambda c, x: ((wave(c[0]) - c[3], c[0], c[1], c[2]), x * c[3][1]),
    "too long": lambda c, x: ((wave(c[0]) + x - c[4], *c[:4]), c[4].sum()),
    "two from one": lambda c, x: ((wave(c[0]) + c[1] * x, c[0], c[0]), c[1] - c[2]),
    "branches": lambda c, x: (
        (fx.lax.cond(x > 0, lambda: wave(c[0]), lambda: c[1] * 0.5), c[0]),
        c[1][0],
    ),
}
CARRIES = {"a longer one": 4, "too long": 5, "a history": 3, "two from one": 3}
CARRIES["swapped and one more"] = 3


def program(name, length, reverse=False):
    many = CARRIES.get(name, 2)

    def run(*args):
        return fx.lax.scan(STEPS[name], args[:many], args[many], reverse=reverse)

    return run, [*(jnp.array(array(k, N)) for k in range(many)), jnp.array(array(9, length))]


def assert_equal(found, wanted, tolerance=2e-4):
    for a, b in zip(fx.tree.leaves(found), fx.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, tolerance, tolerance)


@pytest.mark.parametrize("length", [3, 8, 9, 10, 11])
@pytest.mark.parametrize("name", STEPS)
def test_numbers(name, length):
    for reverse in (False, True):
        run, args = program(name, length, reverse)
        with fx.disable_jit():
            wanted = run(*args)
        assert_equal(fx.jit(run)(*args), wanted)
        donated = fx.jit(run, donate_argnums=tuple(range(len(args) - 1)))
        assert_equal(donated(*map(jnp.array, args)), wanted)


@pytest.mark.parametrize("name", ["waves", "exchanged", "a history"])
def test_slopes_and_lanes(name):
    run, args = program(name, 10)

    def loss(args):
        (last, *_), rows = run(*args)
        return (last**2).sum() + (rows**2).sum()

    with fx.disable_jit():
        wanted = fx.grad(loss)(args)
    assert_equal(fx.jit(fx.grad(loss))(args), wanted, 1e-3)
    many = [np.stack([a, 2 * a, -a]) for a in args]
    for k, one in enumerate(zip(*map(list, many))):
        every = fx.jit(fx.vmap(run))(*many)
        assert_equal(fx.tree.map(lambda x, k=k: x[k], every), fx.jit(run)(*one))


def loop_of(history, on):
    """The steps of a loop over grids: the newest from the oldest and the last one."""
    b, c = g.Builder(), g.Builder()
    shape = (400, 50)
    carry = [c.input(shape, np.float32) for _ in range(history)]
    moved = c.concat([c.slice(carry[0], (1, 0), shape), c.slice(carry[0], (0, 0), (1, 50))], 0)
    body = c.graph([c.map("sub", moved, carry[-1]), *carry[:-1]])
    starts = [b.input(shape, np.float32) for _ in range(history)]
    outs = b.loop(body, [], starts, length=12 * history)
    plan = compiler.make_plan(b.graph(outs), AVX512, condense=False, merge=False, alternate=on)
    (loop,) = [s for s in plan.steps if isinstance(s, LoopStep)]
    return loop


@pytest.mark.parametrize("history", [2, 3, 4])
def test_a_step_over_grids_moves_what_it_computes(history):
    before, after = loop_of(history, False), loop_of(history, True)
    assert before.count == history * after.count
    kinds = [[type(s) for s in loop.body] for loop in (before, after)]
    assert kinds[0].count(Launch) + kinds[0].count(CopyStep) == history
    assert kinds[1] == [Launch] * history


def test_an_update_of_what_changes_places_is_made_in_place():
    def step(i, c):
        return c[1].at[i].set(c[0][i - 1] + 1), c[0]

    def text(n):
        run = lambda a, b: fx.lax.fori_loop(1, 99, step, (a, b))
        return lower_function(run, (np.ones(n, np.float32),) * 2).plan.programs[0].source

    counted = [text(n).count("for (long k") for n in (alternate.MIN_MOVED - 1, 5000)]
    assert counted[1] < counted[0]  # the loops that copy
