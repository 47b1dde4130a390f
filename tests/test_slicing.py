"""Gather, scatter and dynamic slices: bounds, modes, repeated indices, and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax

X = jnp.arange(6.0)
TABLE = jnp.arange(12.0).reshape(4, 3)
WINDOW = lax.GatherDimensionNumbers((1,), (), (0,))
ELEMENT = lax.ScatterDimensionNumbers((), (0,), (0,))
INTO = lax.ScatterDimensionNumbers((1,), (), (0,))


def at(*indices: int) -> Any:
    return jnp.array([[i] for i in indices])


def test_gather_modes() -> None:
    """A window that does not fit is filled, or moved inside; no mode reads beyond the operand."""
    nan = np.full(3, np.nan)
    filled = lax.gather(X, at(1, 4, -1), WINDOW, (3,), mode="fill")
    np.testing.assert_array_equal(filled, [[1, 2, 3], nan, nan])
    filled = lax.gather(X, at(4), WINDOW, (3,), mode="fill", fill_value=7.0)
    np.testing.assert_array_equal(filled, [[7, 7, 7]])
    for mode in ("clip", "promise_in_bounds", None):
        moved = lax.gather(X, at(1, 4, -1), WINDOW, (3,), mode=mode)
        np.testing.assert_array_equal(moved, [[1, 2, 3], [3, 4, 5], [0, 1, 2]])
    whole = jnp.arange(6)
    np.testing.assert_array_equal(
        lax.gather(whole, at(4), WINDOW, (3,), mode="fill"), np.full((1, 3), np.iinfo(np.int32).min)
    )


def test_scatter_modes() -> None:
    """A window that does not fit is dropped as a whole, or moved inside."""
    ones = jnp.ones((3, 3))
    dropped = lax.scatter_add(X, at(4, 5, -1), ones, INTO)
    np.testing.assert_array_equal(dropped, X)
    moved = lax.scatter_add(X, at(4, 5, -1), ones, INTO, mode="clip")
    np.testing.assert_array_equal(moved, [1, 2, 3, 5, 6, 7])


@pytest.mark.lowering
def test_repeated_indices() -> None:
    """Later updates win, sums run over all; compiled results are the eager ones."""
    u = jnp.array([10.0, 20.0, 30.0])
    cases = {
        lax.scatter: [0, 30, 2, 20, 4, 5],
        lax.scatter_add: [0, 41, 2, 23, 4, 5],
        lax.scatter_sub: [0, -39, 2, -17, 4, 5],
        lax.scatter_mul: [0, 300, 2, 60, 4, 5],
        lax.scatter_min: [0, 1, 2, 3, 4, 5],
        lax.scatter_max: [0, 30, 2, 20, 4, 5],
    }
    for f, want in cases.items():
        g = lambda x, u, f=f: f(x, at(1, 3, 1), u, ELEMENT)
        np.testing.assert_array_equal(g(X, u), want)
        np.testing.assert_array_equal(fx.jit(g)(X, u), want)
    applied = lax.scatter_apply(X, at(1, 3, 1), lambda v: v * 2 + 1, ELEMENT, update_shape=(3,))
    np.testing.assert_array_equal(applied, [0, 7, 2, 7, 4, 5])


def test_derivatives_of_repeats() -> None:
    """The last of equal positions gets the cotangent of a set; products count the other factors."""
    u = jnp.array([10.0, 20.0, 30.0])
    w = jnp.arange(1.0, 7.0)
    of = lambda f: fx.grad(lambda x, u: (f(x, at(1, 3, 1), u, ELEMENT) * w).sum(), (0, 1))(X, u)
    for found, want in zip(of(lax.scatter), ([1, 0, 3, 0, 5, 6], [0, 4, 2])):
        np.testing.assert_array_equal(found, want)
    for found, want in zip(of(lax.scatter_add), (np.arange(1, 7), [2, 4, 2])):
        np.testing.assert_array_equal(found, want)
    for found, want in zip(of(lax.scatter_mul), ([1, 600, 3, 80, 5, 6], [60, 12, 20])):
        np.testing.assert_allclose(found, want, 1e-6)
    zeros = jnp.array([0.0, 20.0, 5.0])
    grads = fx.grad(lambda u: (lax.scatter_mul(X, at(1, 3, 1), u, ELEMENT) * w).sum())(zeros)
    np.testing.assert_allclose(grads, [10, 12, 0], 1e-6)
    tie = fx.grad(lambda x, u: lax.scatter_max(x, at(1, 1), u, ELEMENT).sum(), (0, 1))
    for found, want in zip(tie(X, jnp.ones(2)), ([1, 1 / 3, 1, 1, 1, 1], [1 / 3, 1 / 3])):
        np.testing.assert_allclose(found, want, 1e-6)


@pytest.mark.lowering
def test_dynamic_slices() -> None:
    """Starts count from the end when negative, then move inside; eager, compiled, batched."""
    take = lambda i: lax.dynamic_slice(X, (i,), (3,))
    for start, want in ((1, [1, 2, 3]), (-2, [3, 4, 5]), (99, [3, 4, 5]), (-99, [0, 1, 2])):
        np.testing.assert_array_equal(take(start), want)
        np.testing.assert_array_equal(fx.jit(take)(start), want)
    np.testing.assert_array_equal(fx.vmap(take)(jnp.array([0, 5])), [[0, 1, 2], [3, 4, 5]])
    put = lambda i: lax.dynamic_update_slice_in_dim(TABLE, -jnp.ones((2, 3)), i, 0)
    for start, rows in ((0, (0, 1)), (3, (2, 3)), (-3, (1, 2))):
        want = np.array(TABLE)
        want[list(rows)] = -1
        np.testing.assert_array_equal(put(start), want)
        np.testing.assert_array_equal(fx.jit(put)(start), want)
    np.testing.assert_array_equal(fx.vmap(put)(jnp.array([0, 3]))[1], put(3))
    np.testing.assert_array_equal(lax.dynamic_index_in_dim(TABLE, 2, 0, keepdims=False), TABLE[2])
    np.testing.assert_array_equal(
        lax.dynamic_update_index_in_dim(TABLE, jnp.zeros(3), 1, 0)[1], np.zeros(3)
    )
    np.testing.assert_array_equal(
        lax.index_take(TABLE, [jnp.array([0, 3]), jnp.array([2, 1])], [0, 1]), [2, 10]
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: lax.dynamic_slice(X, (0, 1), (2,)), "must match number of operand dimensions"),
        (lambda: lax.dynamic_slice(X, (0,), (7,)), "less than or equal to operand shape"),
        (lambda: lax.dynamic_slice(X, (0.0,), (2,)), "must be integers"),
        (lambda: lax.dynamic_update_slice(X, jnp.ones((1, 1)), (0,)), "same rank as operand"),
        (lambda: lax.gather(X, at(0), WINDOW, (7,)), "out of range"),
        (lambda: lax.gather(X, jnp.ones((1, 1)), WINDOW, (3,)), "must be an integer"),
        (lambda: lax.gather(X, at(0), WINDOW, (3,), mode="wrap"), "Unknown gather mode"),
        (
            lambda: lax.scatter_add(X, at(0, 1), jnp.ones(3), ELEMENT),
            "scatter dimensions of updates",
        ),
    ],
)
def test_errors(call: Any, text: str) -> None:
    """Shapes, dtypes and modes that do not fit are named."""
    with pytest.raises((TypeError, ValueError), match=text):
        call()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_starts_of_few_bits_in_long_arrays(dtype) -> None:
    """The length is no number of the start's dtype."""
    x, i = np.arange(300, dtype=np.float32), np.array(120, dtype)
    cases = [
        (lambda x, i: lax.dynamic_slice(x, (i,), (3,)), x[120:123]),
        (lambda x, i: lax.dynamic_update_slice(x, x[:2], (i,))[119:123], [119, 0, 1, 122]),
        (lambda x, i: jnp.roll(x, i)[:3], np.roll(x, 120)[:3]),
        (lambda x, i: x.at[i].set(0)[119:122], [119, 0, 121]),
    ]
    for f, want in cases:
        np.testing.assert_array_equal(f(jnp.asarray(x), jnp.asarray(i)), want)
        np.testing.assert_array_equal(fx.jit(f)(x, i), want)
    if dtype == np.int8:
        back = fx.jit(lambda x, i: lax.dynamic_slice(x, (i,), (2,)))(x, np.int8(-3))
        np.testing.assert_array_equal(back, x[297:299])


TEN = np.arange(10.0, dtype=np.float32).reshape(5, 2)
BEYOND = np.array([0, 7, -1, -6, 4, -9, 100], np.int32)
FAR_READS = {
    "x[i]": (lambda x, i: x[i], "drop"),
    "x[i, 1]": (lambda x, i: x[i, 1], "drop"),
    "x[::-1][i]": (lambda x, i: x[::-1][i], "drop"),
    "get": (lambda x, i: x.at[i].get(), "drop"),
    "get promised": (lambda x, i: x.at[i].get(mode="promise_in_bounds"), "drop"),
    "get filled": (lambda x, i: x.at[i].get(mode="fill", fill_value=0), "drop"),
    "get clipped": (lambda x, i: x.at[i].get(mode="clip"), "keep"),
    "take": (lambda x, i: jnp.take(x, i, axis=0, fill_value=0), "drop"),
    "take clipped": (lambda x, i: jnp.take(x, i, axis=0, mode="clip"), "clip"),
    "take_along_axis": (
        lambda x, i: jnp.take_along_axis(x, i[:, None], 0, fill_value=0),
        "drop",
    ),
    "elements": (lambda x, i: fx.vmap(lambda k: x[k])(i), "keep"),
    "slices": (
        lambda x, i: fx.vmap(lambda k: lax.dynamic_slice_in_dim(x, k, 1))(i),
        "keep",
    ),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", FAR_READS)
def test_what_is_read_out_of_bounds_has_the_derivative_of_its_mode(name, jit):
    """Index arrays promise to be in bounds: what they clamp reaches nobody; "clip" keeps it."""
    f, kind = FAR_READS[name]
    grad = fx.grad(lambda x: f(x, jnp.asarray(BEYOND)).sum())
    got = (fx.jit(grad) if jit else grad)(jnp.asarray(TEN))
    i = np.where(BEYOND < 0, BEYOND + 5, BEYOND)
    if kind == "clip":  # negative ones do not count from the end
        i = BEYOND
    i = i[(i >= 0) & (i < 5)] if kind == "drop" else np.clip(i, 0, 4)
    columns = [0, 1] if name == "x[i, 1]" else [1, 1]
    want = np.outer(np.bincount(i, minlength=5), columns)
    want = want[::-1] if name == "x[::-1][i]" else want
    np.testing.assert_array_equal(got, want)


def test_negative_starts_that_may_not_wrap_raise():
    with pytest.raises(ValueError, match="Index -2 is out of bounds for dimension 5"):
        lax.dynamic_slice(TEN, (-2, 0), (2, 2), allow_negative_indices=False)


def test_index_take_goes_round():
    got = lax.index_take(jnp.arange(5), (jnp.array([5, -1, 12, -6], jnp.int8),), (0,))
    np.testing.assert_array_equal(got, [0, 4, 2, 4])
    promised = jnp.take_along_axis(jnp.arange(5), jnp.array([-1]), 0, mode="promise_in_bounds")
    np.testing.assert_array_equal(promised, [0])
