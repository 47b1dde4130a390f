"""Folds along short rows, where lanes are rows: every length, dtype and special value."""

from __future__ import annotations

import os

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import nn
from lowering import compile as compiler
from lowering import graph as g
from lowering.profile import AVX2, AVX512

pytestmark = pytest.mark.lowering

FUNCTIONS = {
    "sum": lambda x: x.sum(-1),
    "argmax": lambda x: x.argmax(-1),
    "argmin": lambda x: x.argmin(-1),
    "softmax": lambda x: nn.softmax(x),
    "logsumexp": lambda x: nn.logsumexp(x, -1),
    "variance": lambda x: x.var(-1),
    "product": lambda x: nn.sigmoid(x @ jnp.arange(x.shape[-1], dtype=x.dtype)),
    "loss": lambda x: jnp.logaddexp(0.0, x.sum(-1)).mean(),
    "both ways": lambda x: (x.max(-1), x - x.min(-1, keepdims=True)),
}


def rows(n: int, dtype: str = "float32", count: int = 301):
    x = np.random.default_rng(n).standard_normal((count, n)).astype(np.float32)
    return jnp.asarray(x).astype(dtype)


def check(f, x, rtol=2e-5):
    for got, want in zip(fx.tree.leaves(fx.jit(f)(x)), fx.tree.leaves(f(x))):
        assert got.dtype == want.dtype
        got, want = (np.asarray(v.astype(jnp.float32)) for v in (got, want))
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [2, 7, 10, 15, 16, 33, 64, 65])
def test_lengths(name, n):
    check(FUNCTIONS[name], rows(n))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8", "int32", "uint8", "bool"])
def test_dtypes(dtype):
    x = (rows(10) * 10).astype(dtype)
    for f in (lambda x: x.argmax(-1), lambda x: x.max(-1), lambda x: x.sum(-1)):
        check(f, x, rtol=1e-2 if "float" in dtype else 0)


def test_special_values_and_a_transposed_operand():
    x = np.array(rows(10))
    x[::3, 4] = np.nan
    x[1::3, 2] = x[1::3, 7] = np.inf
    x[2::3] = -0.0
    for name in ("argmax", "argmin", "sum", "logsumexp"):
        got, want = fx.jit(FUNCTIONS[name])(x), FUNCTIONS[name](jnp.asarray(x))
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-5)
    check(lambda x: nn.logsumexp(x.T, -1), jnp.asarray(rows(301, count=12)))


@pytest.mark.parametrize(("n", "by_rows"), [(10, True), (40, False)])
def test_lanes_are_rows_where_rows_are_short(n, by_rows):
    b = g.Builder()
    x = b.input((4096, n), np.float32)
    plan = compiler.make_plan(b.graph([b.reduce("add", x, (1,))]), AVX2)
    text = plan.programs[0].source
    assert ("fold_add" not in text) == by_rows


@pytest.mark.skipif(os.environ.get("FX_SCHEDULE") == "gpu", reason="reads text for CPUs")
@pytest.mark.driver
def test_a_gradient_that_goes_lane_by_lane_has_one_strip_in_flight():
    """Its strips are gathered and scattered: several of them are long text and no faster."""

    def gradient(x):
        return fx.grad(lambda x: (nn.log_softmax(x)[:, 1] ** 2).sum())(x)

    x = rows(10, count=512)
    check(gradient, x)
    text = fx.jit(gradient).lower(x).compile().as_text()
    assert "[10], (" in text and "* i0 + i1 + 160)" not in text


WIDTHS = [(20, 16), (24, 8), (28, 8), (40, 8), (48, 16), (50, 16), (104, 16)]


@pytest.mark.parametrize(("n", "width"), WIDTHS)
def test_strips_are_as_wide_as_leaves_few_elements(n, width):
    b = g.Builder()
    x = b.input((300, n), np.float32)
    plan = compiler.make_plan(b.graph([b.reduce("max", x, (1,))]), AVX512)
    text = plan.programs[0].source
    assert f"fold_max_f32x{width}(" in text
    check(FUNCTIONS["softmax"], rows(n))


@pytest.mark.parametrize("n", [16, 24, 64])
def test_a_batch_of_vectors_by_small_matrices_has_no_tiles(n):
    b = g.Builder()
    x, y = b.input((100, n), np.float32), b.input((100, n, n), np.float32)
    z = b.contract(x, y, ((1,), (1,)), ((0,), (0,)))
    plan = compiler.make_plan(b.graph([z]), AVX512)
    text = plan.programs[0].source
    assert "stream_" not in text and "tile_" not in text
