"""Loops that call Python in branches seldom taken: a kernel while none is taken, and what was
written where one is.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from fx.prims.leaving import LARGEST

F32 = fx.ShapeDtypeStruct((), np.float32)


class Recorder:
    """What the callbacks of a program were called with, in order."""

    def __init__(self):
        self.seen: list[float] = []

    def pure(self, x):
        return fx.pure_callback(self._note, F32, x)

    def ordered(self, x):
        return fx.io_callback(self._note, F32, x, ordered=True)

    def debug(self, x):
        fx.debug.callback(self._note, x, ordered=True)
        return x + 0.5

    def _note(self, x):
        self.seen.append(float(x))
        return np.float32(x) + np.float32(0.5)


def plain(call, every):
    def body(carry):
        i, x = carry
        x = x * 0.875 + 1
        return i + 1, lax.cond(i % every == every - 1, call, lambda x: x, x)

    return lambda x: lax.while_loop(lambda c: c[0] < 50, body, (0, x))


def below_functions(call, every):
    """The branch stands in jitted functions, functions with rules, and checkpoints."""
    named = fx.custom_jvp(lambda i, x: lax.cond(i % every == every - 1, call, lambda x: x, x))
    named.defjvp(lambda p, t: (named(*p), t[1]))

    def body(carry):
        i, x = carry
        return i + 1, fx.checkpoint(fx.jit(lambda i, x: named(i, x * 0.875 + 1)))(i, x)

    return lambda x: lax.while_loop(lambda c: c[0] < 50, body, (0, x))


def nested(call, every):
    """The branch stands in a loop inside the loop, and in a scan; after it, a loop that would
    never end on what means nothing.
    """

    def body(carry):
        i, x = carry
        x = lax.while_loop(
            lambda c: c[0] < 3,
            lambda c: (
                c[0] + 1,
                lax.cond(i * 3 + c[0] == every, call, lambda x: x, c[1] * 0.875 + 1),
            ),
            (0, x),
        )[1]
        x = lax.while_loop(lambda x: jnp.logical_not(x > 1), lambda x: x, x)
        step = lambda x, k: (lax.cond(i * 2 + k == every, call, lambda x: x, x * 0.5), x)
        x, ys = lax.scan(step, x, jnp.arange(2))
        return i + 1, x + ys.sum() + 1

    return lambda x: lax.while_loop(lambda c: c[0] < 20, body, (0, x))


def many_ways(call, every):
    def body(carry):
        i, x = carry
        ways = [lambda x: x + 1, call, lambda x: x * 0.5, lambda x: call(x) + 1]
        way = jnp.where(i % every == every - 1, 1 + 2 * (i % 2), 2 * (i % 2))
        return i + 1, lax.switch(way, ways, x)

    return lambda x: lax.while_loop(lambda c: c[0] < 50, body, (0, x))


def counted_steps(call, every):
    def body(i, x):
        return lax.cond(i % every == every - 1, call, lambda x: x, x * 0.875 + 1)

    return lambda x: lax.fori_loop(0, 50, body, x)


PROGRAMS = [plain, below_functions, nested, many_ways, counted_steps]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_loop_in_which_no_branch_calls_runs_without_the_host(program, counted):
    f = program(Recorder().pure, 1000)
    g = fx.jit(f)
    want = f(jnp.float32(2))
    np.testing.assert_allclose(g(jnp.float32(2)), want, rtol=1e-6)
    before = counted()
    fx.block_until_ready(g(jnp.float32(2)))
    used = counted() - before
    assert used.host_steps == 0 and used.launches <= 4, used


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("kind", ["pure", "ordered", "debug"])
@pytest.mark.parametrize("every", [1, 7, 19])
def test_branches_that_call_are_taken_when_they_were_to_be(program, kind, every):
    eager, jitted = Recorder(), Recorder()
    want = program(getattr(eager, kind), every)(jnp.float32(2))
    g = fx.jit(program(getattr(jitted, kind), every))
    for _ in range(2):
        jitted.seen.clear()
        np.testing.assert_allclose(g(jnp.float32(2)), want, rtol=1e-6)
        fx.effects_barrier()
        np.testing.assert_allclose(jitted.seen, eager.seen, rtol=1e-6)
    assert eager.seen


def stacking(call, every, reverse):
    def body(x, row):
        x = lax.cond(row[0] % every == every - 1, call, lambda x: x, x * 0.875 + row[1])
        return x, (x, row[0])

    xs = jnp.arange(40.0).reshape(20, 2)
    return lambda x: lax.scan(body, x, xs, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("every", [1000, 9])
def test_scans_that_stack_run_again_where_one_step_calls(every, reverse, counted):
    eager, jitted = Recorder(), Recorder()
    want = stacking(eager.pure, every, reverse)(jnp.float32(2))
    g = fx.jit(stacking(jitted.pure, every, reverse))
    g(jnp.float32(2))
    jitted.seen.clear()
    before = counted()
    found = fx.block_until_ready(g(jnp.float32(2)))
    used = counted() - before
    for got, value in zip(fx.tree.leaves(found), fx.tree.leaves(want), strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-6)
    np.testing.assert_allclose(jitted.seen, eager.seen, rtol=1e-6)
    assert bool(eager.seen) == (every == 9)
    if every == 1000:
        assert used.host_steps == 0 and used.launches <= 4, used


@pytest.mark.parametrize("kind", ["ordered", "debug"])
def test_scans_that_stack_call_once_where_that_shows(kind):
    eager, jitted = Recorder(), Recorder()
    want = stacking(getattr(eager, kind), 9, False)(jnp.float32(2))[0]
    found = fx.jit(stacking(getattr(jitted, kind), 9, False))(jnp.float32(2))[0]
    fx.effects_barrier()
    np.testing.assert_allclose(found, want, rtol=1e-6)
    np.testing.assert_allclose(jitted.seen, eager.seen, rtol=1e-6)


def test_a_loop_that_calls_in_each_step_is_left_alone():
    jitted = Recorder()
    g = fx.jit(lambda x: lax.fori_loop(0, jnp.int32(4), lambda i, x: jitted.ordered(x), x))
    assert float(g(jnp.float32(1))) == 3.0
    assert jitted.seen == [1.0, 1.5, 2.0, 2.5]


def test_an_error_of_the_call_is_raised():
    def fail(x):
        raise ValueError(f"{x} is too large")

    def body(x):
        check = lambda x: fx.pure_callback(fail, F32, x)
        return lax.cond(x > 40, check, lambda x: x, x * 2)

    g = fx.jit(lambda x, end: lax.while_loop(lambda x: x < end, body, x))
    assert float(g(jnp.float32(1), 30.0)) == 32.0
    with pytest.raises(Exception, match=r"128\.0 is too large"):
        fx.block_until_ready(g(jnp.float32(1), 1000.0))
    assert float(g(jnp.float32(1), 30.0)) == 32.0


def test_arrays_keys_and_batches_are_carried():
    recorder = Recorder()

    def f(x):
        def body(carry):
            i, x, key = carry
            key, part = fx.random.split(key)
            x = x.at[i % 5].add(fx.random.uniform(part))
            total = lax.cond(i == 11, recorder.pure, lambda s: s, jnp.float32(i))
            return i + 1, x + total, key

        return lax.while_loop(lambda c: c[0] < 20, body, (0, x, fx.random.key(3)))[1]

    xs = jnp.arange(5.0)
    want = f(xs)
    np.testing.assert_allclose(fx.jit(f)(xs), want, rtol=1e-5)
    assert recorder.seen == [11.0, 11.0]
    both = fx.jit(fx.vmap(f))(jnp.stack([xs, xs]))
    np.testing.assert_allclose(both, [want, want], rtol=1e-5)


def test_loops_that_carry_much_are_left_alone():
    recorder = Recorder()

    def f(x):
        def body(carry):
            i, x = carry
            return i + 1, x + lax.cond(i == 2, recorder.pure, lambda s: s, jnp.float32(i))

        return lax.while_loop(lambda c: c[0] < 4, body, (0, x))[1]

    found = fx.jit(f)(jnp.zeros(LARGEST + 1))
    np.testing.assert_array_equal(found, np.full(LARGEST + 1, 6.5))
    assert recorder.seen == [2.0]
