"""What strips leave of a row goes by vectors: one more strip that begins in the last one, or
narrower strips; each element counts once.
"""

from __future__ import annotations

import re

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
    assert bool(re.search(r"\+\+i1\)", alone)) == ("tanh" in alone)  # nothing divides the rest


def test_few_columns_whose_number_is_a_stride():
    fold = lambda c, t: (c[:, None] + t).max(0)
    x, t = rows(20)[0], np.tile(rows(20), (3, 1))[:20]
    text = lower_function(fold, (x, t)).plan.programs[0].source
    assert "i0 = 16; i0 < 20; i0 += 4" in text
    np.testing.assert_allclose(fx.jit(fold)(x, t), fold(x, t), rtol=1e-6)
