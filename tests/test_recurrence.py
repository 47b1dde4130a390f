"""A loop that reads back what it stores, element by element, keeps the last one in a variable."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax

pytestmark = [pytest.mark.driver, pytest.mark.lowering]
N = 300


def text(f, *args) -> str:
    return fx.jit(f).lower(*args).compile().as_text()


def check(f, *args, remembered: bool):
    """jit against eager, and whether the task has the variable."""
    got, want = fx.jit(f)(*args), f(*args)
    for a, b in zip(fx.tree.leaves(got), fx.tree.leaves(want)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    from lowering.runtime import devices

    if devices.default_device().profile.schedule == "cpu":
        assert ("new_last" in text(f, *args)) == remembered


def array(dtype=np.float32):
    return jnp.asarray(np.random.default_rng(0).integers(0, 5, N).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32"])
def test_the_last_element(dtype):
    def f(y):
        step = lambda i, y: y.at[i].set(y[i - 1] // 2 + y[i] + jnp.asarray(1, y.dtype))
        return lax.fori_loop(1, N, step, y)

    check(f, array(dtype), remembered=True)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "bool"])
def test_elements_that_are_stored_otherwise_than_computed(dtype):
    def f(y):
        step = lambda i, y: y.at[i].set(jnp.where(i % 3 == 0, y[i - 1], y[i]) * y[0])
        return lax.fori_loop(1, N, step, y)

    got, want = fx.jit(f)(array().astype(dtype)), f(array().astype(dtype))
    assert got.dtype == want.dtype and (np.asarray(got) == np.asarray(want)).all()


def test_older_elements_and_wild_indices():
    where = jnp.asarray(np.random.default_rng(1).integers(0, N, N).astype(np.int32))

    def fibonacci(y):
        return lax.fori_loop(2, N, lambda i, y: y.at[i].set(0.5 * y[i - 1] + 0.4 * y[i - 2]), y)

    def wild(y, where):
        def step(i, y):
            return y.at[where[i]].set(0.5 * y[where[i - 1]] + 0.5 * y[where[(i + 7) % N]] + 1)

        return lax.fori_loop(1, N, step, y)

    check(fibonacci, array(), remembered=True)
    check(wild, array(), where, remembered=True)


def test_a_while_loop_in_several_launches(monkeypatch):
    from lowering.launches import condense

    monkeypatch.setattr(condense, "CHUNK_US", 1.0)

    def f(y):
        step = lambda c: (c[0] + 1, c[1].at[c[0]].set(0.5 * c[1][c[0] - 1] + 1))
        return lax.while_loop(lambda c: c[0] < N, step, (1, y))[1]

    check(f, array(), remembered=True)


def test_a_second_writer_is_seen():
    def f(y):
        def step(i, y):
            y = y.at[i].set(0.5 * y[i - 1] + 1)
            return y.at[i - 1].set(2 * y[i])

        return lax.fori_loop(1, N, step, y)

    check(f, array(), remembered=False)


def test_slices_are_no_elements():
    def f(y):
        def step(i, y):
            part = lax.dynamic_slice(y, (i - 3,), (3,))
            return lax.dynamic_update_slice(y, 0.3 * part + 1, (i,))

        return lax.fori_loop(3, N, step, y)

    check(f, array(), remembered=False)


def test_loops_in_loops_begin_anew():
    def f(y):
        def outer(j, y):
            y = lax.fori_loop(1, 20, lambda i, y: y.at[i].set(0.5 * y[i - 1] + j), y)
            return y * 0.5

        return lax.fori_loop(0, 5, outer, y)

    got, want = fx.jit(f)(array()), f(array())
    np.testing.assert_allclose(got, want, rtol=1e-5)
