"""Dynamic slices and gathers of what is computed, reshaped or updated: what is read is made."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import lower_function
from fx import lax, nn

pytestmark = pytest.mark.lowering
X = np.random.default_rng(0).standard_normal((60, 50)).astype(np.float32)
PLACES = np.array([3, -1, 59, 7], np.int32)


def at(x, i, shape=(2, 5)):
    return lax.dynamic_slice(x, (i, 2), shape)


READ = {  # what is read of a computed array, and nothing else of it
    "reshaped": lambda x, i: x.reshape(50, 60)[i],
    "computed": lambda x, i: jnp.sin(x)[i] + (x * 2)[:, i].sum(),
    "window": lambda x, i: at(x * x[3] + x[:, 4:5], i),
    "turned": lambda x, i: (x.T + 1)[i],
    "shifted": lambda x, i: at((x * 2)[1:, 2:], i),
    "strided": lambda x, i: at(jnp.exp(x)[::2, ::3], i),
    "reversed": lambda x, i: at((x + 1)[::-1, ::-1], i),
    "flat": lambda x, i: (x * 2).reshape(-1)[i] + (x.reshape(-1) - x[0, 0])[i],
    "axes": lambda x, i: (x[:, None] * 2)[i, 0] + jnp.squeeze(x[None] + 1, 0)[i],
    "counted": lambda x, i: at(lax.broadcasted_iota(jnp.float32, (60, 50), 0) * x, i),
    "numbers": lambda x, i: jnp.arange(3000)[i] + x[0, 0],
    "rows": lambda x, i: (x.reshape(30, 100) * 2)[PLACES + i],
    "elements": lambda x, i: (lax.broadcasted_iota(jnp.int32, (60, 50), 1) + x)[PLACES, PLACES + i],
    "fill": lambda x, i: (x + 1).at[PLACES + i].get(mode="fill", fill_value=7.0),
    "element set": lambda x, i: x.at[i, 3].set(5.0)[2:4, :5] + x.at[i, 3].set(5.0)[i, 3],
    "row added": lambda x, i: x.at[i].add(x[0])[i + 1] + x.at[i].add(x[0])[PLACES].sum(0),
    "fixed window": lambda x, i: x.at[3:5, 2:4].multiply(2.0)[::20, ::20],
    "set of sets": lambda x, i: x.at[i].set(1.0).at[:, i].add(2.0).at[3:5].set(4.0)[i],
    "set of reshaped": lambda x, i: x.reshape(-1).at[i].set(9.0).reshape(50, 60)[i],
    "set of computed": lambda x, i: jnp.sin(x).at[i].set(0.0)[:, i],
    "padded": lambda x, i: jnp.pad(x + 1, ((2, 3), (0, 0)), constant_values=2.0)[i],
    "moved in": lambda x, i: lax.dynamic_update_slice(x, x[:1] * 3, (i, 0))[i],
}


@pytest.mark.parametrize("which", READ)
def test_only_what_is_read_is_computed(which):
    """One kernel, and no memory for the array; the same numbers wherever the index points."""
    f = READ[which]
    plan = lower_function(f, (X, np.int32(3))).plan
    assert plan.launches == len(plan.steps) == 1
    assert plan.arena_bytes < X.nbytes // 4
    jitted = fx.jit(f)
    for i in (0, 5, 49, 59, -1, -50, -60, -61, 60, 1000):
        i = np.int32(i)
        np.testing.assert_allclose(jitted(X, i), f(jnp.asarray(X), i), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint32, np.int64])
def test_indices_of_other_types(dtype):
    f = lambda x, i: lax.dynamic_slice((x * 2).reshape(-1)[::-1], (i,), (5,))
    for i in (0, 3, 100, np.iinfo(dtype).max, np.iinfo(dtype).min):
        np.testing.assert_array_equal(fx.jit(f)(X, dtype(i)), f(jnp.asarray(X), dtype(i)))


def test_small_folds_that_a_window_needs_stand_in_memory():
    f = lambda x, i: nn.softmax(x)[i]
    assert lower_function(f, (X, np.int32(3))).plan.arena_bytes < X.nbytes // 4
    np.testing.assert_allclose(fx.jit(f)(X, np.int32(3)), nn.softmax(X)[3], rtol=1e-5)


def test_long_chains_of_updates_are_followed_once():
    def f(x, i):
        for k in range(60):
            x = x.at[i, k % 50].set(k)
        return x[i + 1]

    plan = lower_function(f, (X, np.int32(3))).plan
    assert plan.launches == 1 and plan.arena_bytes == 0
    np.testing.assert_array_equal(fx.jit(f)(X, np.int32(3)), X[4])


def test_what_is_stored_anyway_is_read_there():
    """An array that is a result, or a reshape of it, is not computed twice."""

    def f(x, i):
        y = jnp.tanh(jnp.sin(jnp.cos(x)))
        return y, y.reshape(50, 60)[i]

    plan = lower_function(f, (X, np.int32(3))).plan
    assert plan.arena_bytes == 0
    for a, b in zip(fx.jit(f)(X, np.int32(3)), f(jnp.asarray(X), np.int32(3)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_table_that_a_loop_reads_is_computed_before_it():
    def f(x):
        return lax.fori_loop(0, 500, lambda k, s: s + jnp.exp(jnp.sin(x)).reshape(-1)[k * 5], 0.0)

    assert lower_function(f, (X,)).plan.arena_bytes >= X.nbytes
    np.testing.assert_allclose(
        fx.jit(f)(X), np.exp(np.sin(X)).reshape(-1)[:2500:5].sum(), rtol=1e-4
    )
