"""Loops whose arrays change places exchange buffers: the same numbers, and no copies."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import lower_function
from lowering import compile as compiler
from lowering import graph as g
from lowering.plan import BufferRef, CondStep, Launch, LoopStep
from lowering.planning import exchange
from lowering.profile import AVX512

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
    assert_equal(donated(*map(jnp.array, args)), wanted)  # one direction: donation asks for none


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


def program_until(name, length):
    """The same steps, until the numbers are large or there are enough of them."""
    many = CARRIES.get(name, 2)

    def run(*args):
        carry, xs = args[:many], args[many]

        def goes_on(state):
            k, (first, *_) = state
            return (k < length) & (abs(first[0]) < 1e9)

        def step(state):
            k, carry = state
            return k + 1, STEPS[name](carry, xs[k])[0]

        return fx.lax.while_loop(goes_on, step, (0, carry))

    return run, program(name, length)[1]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 11, 12])
@pytest.mark.parametrize("name", STEPS)
def test_steps_whose_number_only_the_data_know(name, length):
    run, args = program_until(name, length)
    with fx.disable_jit():
        wanted = run(*args)
    assert_equal(fx.jit(run)(*args), wanted)


@pytest.mark.parametrize("name", ["waves", "swapped", "a longer one"])
def test_a_loop_inside_finds_the_buffers_where_they_were(name):
    def twice(length):
        run, args = program_until(name, length)

        def again(*args):
            def step(carry, x):
                n, carry = run(*carry, args[-1])
                return carry, carry[0][3] + n

            return fx.lax.scan(step, tuple(args[:-1]), np.arange(5))

        return again, args

    for length in (3, 4):
        run, args = twice(length)
        with fx.disable_jit():
            wanted = run(*args)
        assert_equal(fx.jit(run)(*args), wanted, 2e-3)


def loop_of(history, until=False):
    """The steps of a loop over grids: the newest from the oldest and the last one."""
    b, c, d = g.Builder(), g.Builder(), g.Builder()
    shape = (400, 50)
    carry = [c.input(shape, np.float32) for _ in range(history)]
    moved = c.concat([c.slice(carry[0], (1, 0), shape), c.slice(carry[0], (0, 0), (1, 50))], 0)
    body = c.graph([c.map("sub", moved, carry[-1]), *carry[:-1]])
    starts = [b.input(shape, np.float32) for _ in range(history)]
    if until:
        first, *_ = [d.input(shape, np.float32) for _ in range(history)]
        low = d.reshape(d.slice(first, (0, 0), (1, 1)), ())
        outs = b.while_loop(
            d.graph([d.map("lt", low, d.const(9.0, low.dtype))]), [], body, [], starts
        )
    else:
        outs = b.loop(body, [], starts, length=12)
    plan = compiler.make_plan(b.graph(outs), AVX512, condense=False, merge=False).check()
    (loop,) = [s for s in plan.steps if isinstance(s, LoopStep)]
    return loop


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("history", [1, 2, 3, 4, 7])
def test_a_step_over_grids_moves_what_it_computes(history, until):
    loop = loop_of(history, until)
    assert [type(s) for s in loop.body] == [Launch]
    assert 1 <= loop.period <= history + 1


def test_an_update_of_what_changes_places_is_made_in_place():
    def step(i, c):
        return c[1].at[i].set(c[0][i - 1] + 1), c[0]

    def text(n):
        run = lambda a, b: fx.lax.fori_loop(1, 99, step, (a, b))
        return lower_function(run, (np.ones(n, np.float32),) * 2).plan.programs[0].source

    counted = [text(n).count("for (long k") for n in (exchange.LEAST // 4 - 1, 5000)]
    assert counted[1] < counted[0]  # the loops that copy


@pytest.mark.parametrize("seed", range(20))
def test_exchanges_in_turn_bring_what_is_wanted(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 8))
    stands = dict(zip(map(int, rng.permutation(n)), map(int, rng.permutation(n + 2)[:n])))
    memory = list(range(n + 2))
    pairs = exchange.in_turn(stands)
    for a, b in pairs:
        memory[a], memory[b] = memory[b], memory[a]
    assert all(memory[slot] == at for slot, at in stands.items())
    assert sorted(memory) == list(range(n + 2))
    loop = LoopStep((), 1, pairs)
    memory = list(range(n + 2))
    for _ in range(loop.period):
        for a, b in pairs:
            memory[a], memory[b] = memory[b], memory[a]
    assert memory == list(range(n + 2))


def random_steps(rng, depth=2):
    """Loops and branches, in each other, that exchange some of six buffers."""

    def pairs():
        drawn = [rng.permutation(6) for _ in range(rng.integers(3))]
        return tuple((int(a), int(b)) for a, b, *_ in drawn)

    steps = []
    for _ in range(rng.integers(1, 3) if depth else 0):
        if rng.random() < 0.5:
            steps.append(LoopStep(random_steps(rng, depth - 1), int(rng.integers(1, 7)), pairs()))
        else:
            inside = (random_steps(rng, depth - 1), random_steps(rng, depth - 1))
            steps.append(CondStep(BufferRef(9), inside, swaps=(pairs(), ())))
    return tuple(steps)


def run_exchanges(steps, rng, memory):
    for s in steps:
        for _ in range((s.count or 0) if isinstance(s, LoopStep) else 1):
            k = int(rng.integers(2))
            loop = isinstance(s, LoopStep)
            run_exchanges(s.body if loop else s.branches[k], rng, memory)
            for a, b in s.swaps if loop else s.swaps[k]:
                memory[a], memory[b] = memory[b], memory[a]


@pytest.mark.parametrize("seed", range(20))
def test_buffers_are_elsewhere_only_within_the_groups_that_last(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        steps = random_steps(rng)
        groups = exchange.groups(exchange.exchanged(steps, lasting=True))
        for _ in range(20):
            memory = list(range(6))
            run_exchanges(steps, rng, memory)
            for k, at in enumerate(memory):
                assert k == at or any(k in group and at in group for group in groups)
