"""Loops that keep what they find in a buffer: where it is written depends on the step, on a
condition, on the lane.

A step costs what it writes, whatever the buffer holds.
"""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal

KEY = np.array([0, 7], np.uint32)
STEPS = 8000


def at_each_step(lib, body, start, steps=STEPS):
    """The program that runs body(i, state, x) for each step from start(), and its x."""
    run = lambda x: lib.lax.fori_loop(1, steps, lambda i, state: body(i, state, x), start())
    return Program(run, (normal(0, STEPS),))


@row("replay", "3000 transitions into a ring of 1000, read beside it", extra=True)
def replay(lib):
    np_, lax = lib.np, lib.lax

    def run(seen):
        def step(state, transition):
            ring, at, n = state
            ring = lib.tree.map(lambda kept, new: kept.at[at].set(new), ring, transition)
            return (ring, (at + 1) % 1000, np_.minimum(n + 1, 1000)), ring["reward"][at // 2]

        start = {"state": np_.zeros((1000, 8)), "reward": np_.zeros(1000)}, 0, 0
        return lax.scan(step, start, seen)

    return Program(run, ({"state": normal(0, 3000, 8), "reward": normal(1, 3000)},))


def metropolis(lib, key):
    """2000 steps in three dimensions; what is accepted goes into a ring of 500."""
    np_, lax, random = lib.np, lib.lax, lib.random

    def step(state, key):
        x, density, n, kept = state
        move, accept = random.split(key)
        y = x + 0.5 * random.normal(move, x.shape)
        new = -(y**2).sum() / 2
        ok = np_.log(random.uniform(accept)) < new - density
        x, density = np_.where(ok, y, x), np_.where(ok, new, density)
        kept = lax.cond(ok, lambda k: k.at[n % 500].set(x), lambda k: k, kept)
        return (x, density, n + ok, kept), density

    start = np_.zeros(3), np_.float32(0.0), 0, np_.zeros((500, 3))
    return lax.scan(step, start, random.split(key, 2000))[0][3]


@row("metropolis", "a chain of 2000 steps, accepted ones kept by cond", tolerance=1e-3, extra=True)
def metropolis_chain(lib):
    return Program(lambda key: metropolis(lib, key), (KEY,))


@row("metropolis_vmap", "20 such chains by vmap", tolerance=1e-3, extra=True)
def metropolis_chains(lib):
    many = lib.vmap(lambda key: metropolis(lib, key))
    return Program(lambda key: many(lib.random.split(key, 20)), (KEY,))


@row("rollouts", "128 pendulums, 500 steps, anew when they fall", tolerance=1e-3, extra=True)
def rollouts(lib):
    np_, lax, random = lib.np, lib.lax, lib.random

    def one(key):
        def step(state, key):
            s, t = state
            push = random.uniform(key, minval=-1, maxval=1)
            s = s + 0.05 * np_.stack([s[1], 9.8 * np_.sin(s[0]) + push])
            done = (np_.abs(s[0]) > 0.5) | (t > 100)
            s = np_.where(done, 0.01 * push, s)
            return (s, np_.where(done, 0, t + 1)), (s, done)

        return lax.scan(step, (np_.zeros(2), 0), random.split(key, 500))

    return Program(lambda key: lib.vmap(one)(random.split(key, 128)), (KEY,))


@row("walks", "16 walks of 3000 steps, each with its histogram", extra=True)
def walks(lib):
    np_, lax, random = lib.np, lib.lax, lib.random

    def one(key):
        def step(state, key):
            place, visits = state
            place = np_.clip(place + random.randint(key, (2,), -1, 2), 0, 63)
            return (place, visits.at[place[0], place[1]].add(1)), None

        start = np_.full(2, 32), np_.zeros((64, 64), np_.int32)
        return lax.scan(step, start, random.split(key, 3000))[0][1]

    return Program(lambda key: lib.vmap(one)(random.split(key, 16)), (KEY,))


@row("shuffle", "Fisher and Yates, 2000 elements", extra=True)
def shuffle(lib):
    lax, random = lib.lax, lib.random

    def run(x, key):
        def exchange(i, x):
            j = random.randint(random.fold_in(key, i), (), 0, i + 1)
            return x.at[i].set(x[j]).at[j].set(x[i])

        return lax.fori_loop(1, x.shape[0], exchange, x)

    return Program(run, (np.arange(2000, dtype=np.float32), KEY))


@row("ising", "10 lattices of 64x64, 5000 single flips by where", extra=True)
def ising(lib):
    np_, lax, random = lib.np, lib.lax, lib.random

    def one(spins, key):
        n = spins.shape[0]

        def flip(s, key):
            row_, column, accept = random.split(key, 3)
            i, j = random.randint(row_, (), 0, n), random.randint(column, (), 0, n)
            around = s[(i + 1) % n, j] + s[(i - 1) % n, j] + s[i, (j + 1) % n] + s[i, (j - 1) % n]
            cost = 2 * s[i, j] * around
            ok = (cost < 0) | (random.uniform(accept) < np_.exp(-0.4 * cost))
            return np_.where(ok, s.at[i, j].multiply(-1), s), None

        return lax.scan(flip, spins, random.split(key, 5000))[0]

    many = lambda spins, key: lib.vmap(one)(spins, random.split(key, 10))
    return Program(many, (np.sign(normal(0, 10, 64, 64)), KEY))


@row("adaptive", "64 adaptive solutions that keep their steps, a vmapped while", tolerance=1e-3,
     extra=True)  # fmt: skip
def adaptive(lib):
    np_, lax = lib.np, lib.lax

    def one(rate):
        slope = lambda y: -rate * (y - np_.sin(y))

        def step(state):
            t, h, y, n, kept = state
            low = y + h * slope(y)
            high = y + 0.5 * h * (slope(y) + slope(low))
            error = np_.abs(high - low) / 1e-3 + 1e-6
            ok = error < 1
            h = h * np_.clip(0.9 * error**-0.5, 0.2, 4.0)
            kept = np_.where(ok, kept.at[n].set(high), kept)
            return np_.where(ok, t + h, t), h, np_.where(ok, high, y), n + ok, kept

        goes_on = lambda state: (state[0] < 2.0) & (state[3] < 2000)
        one_ = np_.float32(1.0)
        start = 0 * one_, 0.01 * one_, one_, 0, np_.zeros(2000)
        return lax.while_loop(goes_on, step, start)[2:]

    return Program(lib.vmap(one), (np.abs(normal(0, 64)) + np.float32(0.5),))


@row("stack", "values pushed and popped by cond", extra=True)
def stack(lib):
    np_, lax = lib.np, lib.lax

    def step(i, state, x):
        def push(state):
            values, n, total = state
            return values.at[n].set(x[i]), n + 1, total

        def pop(state):
            values, n, total = state
            n = np_.maximum(n - 1, 0)
            return values, n, total + values[n]

        return lax.cond(x[i] > -0.2, push, pop, state)

    return at_each_step(lib, step, lambda: (np_.zeros(STEPS), 0, np_.float32(0.0)))


@row("two_buffers", "cond writes to one of two buffers", extra=True)
def two_buffers(lib):
    np_, lax = lib.np, lib.lax

    def step(i, state, x):
        first = lambda s: (s[0].at[i].set(x[i]), s[1])
        second = lambda s: (s[0], s[1].at[i].set(x[i]))
        return lax.cond(x[i] > 0, first, second, state)

    return at_each_step(lib, step, lambda: (np_.zeros(STEPS), np_.zeros(STEPS)))


@row("exchanged", "two buffers that change places each step", extra=True)
def exchanged(lib):
    def step(i, state, x):
        a, b = state
        return b.at[i].set(a[i - 1] + x[i]), a

    return at_each_step(lib, step, lambda: (lib.np.zeros(STEPS), lib.np.zeros(STEPS)))


@row("waves", "1024^2, 100 steps from the two grids before, by rolls", tolerance=1e-2, extra=True)
def waves(lib):
    np_ = lib.np

    def step(state, _):
        u, before = state
        around = sum(np_.roll(u, s, axis) for s in (1, -1) for axis in (0, 1))
        return (2 * u - before + 0.1 * (around - 4 * u), u), None

    run = lambda u, v: lib.lax.scan(step, (u, v), None, length=100)[0][0]
    return Program(run, (normal(0, 1024, 1024), normal(1, 1024, 1024)))


@row("chosen_trees", "where over all leaves of a tree with buffers", extra=True)
def chosen_trees(lib):
    np_ = lib.np

    def step(i, state, x):
        n = state["n"]
        new = {"n": n + 1, "a": state["a"].at[n].set(x[i]), "b": state["b"].at[n, :].set(x[i])}
        return lib.tree.map(lambda a, b: np_.where(x[i] > 0, a, b), new, state)

    start = lambda: {"n": 0, "a": np_.zeros(STEPS), "b": np_.zeros((STEPS, 3))}
    return at_each_step(lib, step, start)


@row("chosen_lanes", "where over lanes of `at[arange(64), k].set`", extra=True)
def chosen_lanes(lib):
    np_ = lib.np

    def step(i, state, x):
        kept, n = state
        ok = x[:64] > x[i]
        new = kept.at[np_.arange(64), n].set(x[i])
        return np_.where(ok[:, None], new, kept), np_.where(ok, n + 1, n)

    return at_each_step(lib, step, lambda: (np_.zeros((64, 300)), np_.zeros(64, np_.int32)), 300)


@row("columns", "a column of 32x1000 from the one before", extra=True)
def columns(lib):
    step = lambda i, kept, x: kept.at[:, i].set(kept[:, i - 1] * 0.9 + x[i])
    return at_each_step(lib, step, lambda: lib.np.ones((32, 1000)), 1000)


@row("phases", "a complex buffer, each element from the one before", tolerance=1e-3, extra=True)
def phases(lib):
    step = lambda i, kept, x: kept.at[i].set(kept[i - 1] * lib.np.exp(1j * x[i]))
    return at_each_step(lib, step, lambda: lib.np.ones(STEPS, lib.np.complex64))


@row("while_in_scan", "2000 while loops over one buffer, in a scan", extra=True)
def while_in_scan(lib):
    np_, lax = lib.np, lib.lax

    def run(x):
        def step(kept, value):
            at = np_.abs(value * 1000).astype(np_.int32) % STEPS
            again = lambda state: (state[0].at[at].add(1.0), state[1] + 1)
            return lax.while_loop(lambda state: state[1] < 3, again, (kept, 0))[0], None

        return lax.scan(step, np_.zeros(STEPS), x)[0]

    return Program(run, (normal(0, 2000),))


@row("slope_of_buffer", "the gradient of a scan that fills a buffer of 500", extra=True)
def slope_of_buffer(lib):
    np_, lax = lib.np, lib.lax

    def loss(x):
        def step(kept, seen):
            i, value = seen
            return kept.at[i].set(value * kept[i - 1]), None

        filled = lax.scan(step, np_.ones(500), (np_.arange(1, 500), x[1:500]))[0]
        return (filled**2).sum()

    return Program(lib.grad(loss), (normal(0, STEPS),))
