"""What strips leave of a row goes by vectors: one more strip that begins in the last one, or
narrower strips; each element counts once.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import lower_function

LENGTHS = [100, 108, 126, 300, 301, 1000]
FOLDS = {
    "sum": lambda x: x.sum(-1),
    "prod": lambda x: (1 + x / 64).prod(-1),
    "max": lambda x: x.max(-1),
    "min": lambda x: x.min(-1),
    "any": lambda x: (x > 3).any(-1),
    "all": lambda x: (x > -3).all(-1),
    "argmax": lambda x: x.argmax(-1),
    "argmin": lambda x: x.argmin(-1),
    "count": lambda x: (x > 0).sum(-1),
}


def rows(n, dtype=np.float32):
    return np.random.default_rng(n).normal(size=(7, n)).astype(dtype)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("name", FOLDS)
def test_each_element_counts_once(name, n):
    x = rows(n)
    np.testing.assert_allclose(fx.jit(FOLDS[name])(x), FOLDS[name](x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint16, np.float16])
@pytest.mark.parametrize("n", LENGTHS)
def test_small_and_large_elements(dtype, n):
    x = (rows(n) * 9).astype(dtype)
    np.testing.assert_array_equal(fx.jit(lambda x: x.max(-1))(x), x.max(-1))
    total = x.astype(np.float64).sum(-1)
    np.testing.assert_allclose(fx.jit(lambda x: x.sum(-1, dtype=jnp.float32))(x), total, rtol=1e-3)


@pytest.mark.parametrize("n", LENGTHS)
def test_doubles(n):
    with fx.enable_x64(True):
        x, y = rows(n, np.float64), rows(n + 1, np.float64)[0, :n]
        np.testing.assert_allclose(fx.jit(lambda x, y: x @ y)(x, y), x @ y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("at", [0, 283, 284, 287, 288, 299])
@pytest.mark.parametrize("value", [np.inf, np.nan, -np.inf])
def test_where_the_strips_meet(value, at):
    """An infinity that came twice, or times an empty lane's zero, would be a NaN."""
    x = rows(300)
    x[3, at] = value
    y = np.ones(300, np.float32)
    for f in (lambda x, y: x @ y, lambda x, y: (x * y).sum(-1), lambda x, y: x.max(-1)):
        np.testing.assert_allclose(fx.jit(f)(x, y), f(x, y), rtol=1e-4, atol=1e-4)
    assert int(fx.jit(lambda x: abs(x).argmax(-1))(x)[3]) == at


@pytest.mark.parametrize("n", LENGTHS)
def test_kept_rows_and_stores_behind_them(n):
    x = rows(n)
    e = np.exp(x - x.max(-1, keepdims=True))
    np.testing.assert_allclose(
        fx.jit(fx.nn.softmax)(x), e / e.sum(-1, keepdims=True), rtol=1e-5, atol=1e-6
    )
    scale = fx.jit(lambda x, b: jnp.tanh(x + b) * b, donate_argnums=0)
    np.testing.assert_allclose(scale(jnp.array(x), x[0]), np.tanh(x + x[0]) * x[0], atol=1e-5)


@pytest.mark.parametrize("f", [lambda x, b: x @ b, lambda x, b: fx.nn.gelu(x + b)])
def test_no_element_goes_alone(f):
    text = lower_function(f, (rows(300), rows(300)[0])).plan.programs[0].source
    assert "float16" in text and not re.search(r"\+\+i1\)", text)
    alone = lower_function(f, (rows(301), rows(301)[0])).plan.programs[0].source
    assert "float16" in alone and not re.search(r"\+\+i1\)", alone)


def test_few_columns_whose_number_is_a_stride():
    fold = lambda c, t: (c[:, None] + t).max(0)
    x, t = rows(20)[0], np.tile(rows(20), (3, 1))[:20]
    text = lower_function(fold, (x, t)).plan.programs[0].source
    assert "i0 = 16; i0 < 20; i0 += 4" in text
    np.testing.assert_allclose(fx.jit(fold)(x, t), fold(x, t), rtol=1e-6)


def source(f, *args) -> str:
    return lower_function(f, args).plan.programs[0].source


def axes(f, *args) -> list[list[int]]:
    return [nest.extents for _, nest in lower_function(f, args).plan.meta["nests"]]


def test_what_is_only_stored_has_one_more_strip():
    """It begins among the lanes of the one before, and both are one text."""
    f = lambda x: jnp.pad(x, ((0, 0), (1, 1), (1, 1))) + 1
    text = source(f, np.ones((64, 28, 28), np.float32))
    assert not re.search(r"\+\+i\d", text)
    assert "i2 = min(from2, (int)14)" in text and text.count("from2 += 16") == 1
    long = source(lambda x: jnp.diff(x, axis=1), np.ones((9, 1002), np.float32))
    assert "i1 = 0; i1 < 992; i1 += 16" in long and "i1 = min(from1, (int)985)" in long
    for n in (17, 31, 600):
        x = rows(n)
        np.testing.assert_array_equal(fx.jit(lambda x: jnp.pad(x, 2))(x), np.pad(x, 2))
        np.testing.assert_array_equal(fx.jit(lambda x: jnp.diff(x))(x), np.diff(x))


@pytest.mark.parametrize("n", (17, 31, 37, 600))
def test_where_it_is_read_the_last_strip_is_read_first(n):
    """What is computed from an element may take its place, and is not computed from again."""
    f = lambda x, b: x * 2 + b
    text = source(f, rows(37), rows(37)[0])
    order = ("i1 = 21;", "x1 = *", "x3 = ", "i1 + 16 <= 37", "= x6;", "= x3;")
    places = [text.index(s) for s in order]
    assert places == sorted(places)
    x = rows(n)
    want = x * 2 + x[0]
    got = fx.jit(f, donate_argnums=0)(jnp.array(x), x[0])
    np.testing.assert_array_equal(got, want)
    update = fx.jit(lambda x: x.at[1:, 2:].set(x[1:, 2:] * 4 - 1), donate_argnums=0)
    want = x.copy()
    want[1:, 2:] = x[1:, 2:] * 4 - 1
    np.testing.assert_array_equal(update(jnp.array(x)), want)


def test_columns_and_their_channels_are_one_row():
    """A condition on columns is one on their channels: an image's margin is asked once a row."""
    image = np.random.default_rng(0).integers(0, 9, (4, 20, 30, 3)).astype(np.float32)
    around = ((0, 0), (1, 2), (2, 1), (0, 0))
    table = (
        lambda xp, x: xp.pad(x, around),
        lambda xp, x: xp.pad(x, around, constant_values=2.0),
        lambda xp, x: xp.pad(x, around)[:, :, ::-1, ::-1] * 2,
    )
    for f in table:
        on = partial(f, jnp)
        assert max(axes(on, image)[0]) == 33 * 3
        np.testing.assert_array_equal(fx.jit(on)(image), f(np, image))
    half = lambda x: jnp.tanh(jnp.concatenate([x, x[:, :9] + 1], 1))  # each strip would ask
    assert max(axes(half, np.ones((30, 20, 3), np.float32))[0]) == 30
    wide = lambda x: jnp.pad(x, around)  # whole strips, asked once each
    assert max(axes(wide, np.ones((4, 20, 30, 32), np.float32))[0]) == 33


def test_margins_of_a_column_go_one_by_one():
    """Sixteen lanes of them would be as many loads and stores, each with its question."""
    f = lambda x: jnp.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    x = np.random.default_rng(0).standard_normal((8, 30, 37)).astype(np.float32)
    text = source(f, x)
    assert ".s0;" not in text and "[37]" not in text
    np.testing.assert_array_equal(fx.jit(f)(x), np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge"))
