"""Results in small blocks: lanes run over blocks, and every element is what it should be."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import nn
from lowering import cells, schedule
from lowering import compile as compiler
from lowering import graph as g
from lowering.profile import AVX2, AVX512

pytestmark = pytest.mark.lowering

FUNCTIONS = {
    "product": lambda a, b, v: a @ b,
    "three": lambda a, b, v: a @ b @ a.swapaxes(1, 2),
    "and a sum": lambda a, b, v: a + 2 * (a @ b),
    "vector": lambda a, b, v: jnp.einsum("bij,bj->bi", a, v),
    "column": lambda a, b, v: a @ v[..., None],
    "transposed": lambda a, b, v: a.swapaxes(1, 2) - b,
    "outer": lambda a, b, v: v[:, :, None] * v[:, None, :],
    "one matrix": lambda a, b, v: v @ a[0].T,
    "greatest": lambda a, b, v: (a[:, :, :, None] + b[:, None]).max(2),
    "selected": lambda a, b, v: jnp.where(a.swapaxes(1, 2) > b, a, v[:, None]),
    "reversed": lambda a, b, v: a[:, ::-1, ::-1] + b,
    "a number each": lambda a, b, v: a * jnp.exp(v[:, :1, None]) + b.swapaxes(1, 2),
    "less one": lambda a, b, v: jnp.eye(a.shape[1]) - a,
    "numbered": lambda a, b, v: a * jnp.arange(a.size).reshape(a.shape),
    "one of five": lambda a, b, v: nn.one_hot(abs(v[:, 0]).astype(jnp.int32), 5),
    "repeated": lambda a, b, v: jnp.repeat(v, 3, -1),
    "halves": lambda a, b, v: (a[:, ::2], a[:, ::2] * 2),
}


def operands(n: int, count: int, dtype: str = "float32"):
    random = np.random.default_rng(n)
    make = lambda *shape: jnp.asarray((4 * random.standard_normal(shape)).astype(dtype))
    return make(count, n, n), make(count, n, n), make(count, n)


def check(f, *args):
    for got, want in zip(fx.tree.leaves(fx.jit(f)(*args)), fx.tree.leaves(f(*args)), strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=3e-5, atol=3e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 10, 16])
def test_blocks(name, n):
    check(FUNCTIONS[name], *operands(n, 77))


@pytest.mark.parametrize("name", ["product", "vector", "transposed", "repeated"])
def test_integers_and_doubles(name):
    for dtype in ("int32", "uint32", "float64", "int8"):
        with fx.enable_x64():
            check(FUNCTIONS[name], *operands(3, 100, dtype))


def test_blocks_of_a_batch_of_batches():
    a, b, _ = operands(3, 4000)
    check(lambda a, b: a[:, ::2] @ b[:, ::2], *(x.reshape(20, 200, 3, 3) for x in (a, b)))
    check(lambda x: jnp.repeat(jnp.repeat(x, 2, 2), 2, 3), a.reshape(5, 4, 30, 60))
    patches = lambda x: x.reshape(4, 10, 4, 20, 4, 3).transpose(0, 1, 3, 2, 4, 5) * 2
    check(patches, jnp.asarray(np.arange(4 * 40 * 80 * 3, dtype=np.float32).reshape(4, 40, 80, 3)))


def test_a_result_that_takes_an_operands_memory():
    x, s = np.random.default_rng(0).standard_normal((2, 1001, 3)).astype(np.float32)
    f = fx.jit(lambda x, s: x * s[:, :1], donate_argnums=0)
    np.testing.assert_array_equal(f(jnp.asarray(x), jnp.asarray(s)), x * s[:, :1])


def nest_of(build):
    """The last nest of a graph that is scheduled, and its folded axes."""
    found = []
    own = schedule.cells_of

    def watched(nest, profile, folded):
        found.append((nest, folded))
        return own(nest, profile, folded)

    schedule.cells_of = watched
    try:
        b = g.Builder()
        compiler.make_plan(b.graph([build(b)]), AVX512)
    finally:
        schedule.cells_of = own
    return found[-1]


def product(n, *columns):
    def build(b):
        x, y = b.input((500, n, n), np.float32), b.input((500, n, *columns), np.float32)
        return b.contract(x, y, ((2,), (1,)), ((0,), (0,)))

    return nest_of(build)


@pytest.mark.parametrize("profile", [AVX2, AVX512])
@pytest.mark.parametrize("n", [2, 3, 5, 6, 7])
def test_windows_stay_inside_of_what_a_cell_reads(n, profile):
    nest, folded = product(n, n)
    found = cells.cells_of(nest, profile, folded)
    assert found is not None and found.spread is None
    size = found.count * n * n
    for (_, _, pattern), starts in found.windows.items():
        assert all(0 <= start <= size - found.lanes for start in starts)
        assert all(any(s <= x < s + found.lanes for s in starts) for x in pattern)


def test_sums_of_rows_run_along_lanes():
    nest, folded = product(12)
    found = cells.cells_of(nest, AVX512, folded)
    assert found is not None and found.spread in folded


def test_long_rows_have_no_cells():
    def build(b):
        x = b.input((500, 24, 24), np.float32)
        return b.map("add", x, b.transpose(x, (0, 2, 1)))

    nest, folded = nest_of(build)
    assert cells.cells_of(nest, AVX512, folded) is None


def test_no_lane_is_read_by_itself():
    a, b, v = operands(4, 512)
    for name in ("product", "three", "vector", "transposed", "outer", "repeated"):
        text = fx.jit(FUNCTIONS[name]).lower(a, b, v).as_text("opencl")
        assert "))[4], (" not in text and ".s3;" not in text, name


FOLDS_OF_BLOCKS = {
    "a row's sum beside its elements": lambda x, y: x.sum(-1)[:, None] + y,
    "a row's sum in each of its places": lambda x, y: jnp.broadcast_to(x.sum(-1)[:, None], y.shape),
    "two folds": lambda x, y: x.sum(-1)[:, None] * y + x.max(-1)[:, None],
    "a product by ones": lambda x, y: x @ jnp.ones((x.shape[1], y.shape[1]), x.dtype),
    "an outer product": lambda x, y: jnp.outer(x.sum(-1), jnp.arange(y.shape[1], dtype=x.dtype)),
}


@pytest.mark.parametrize("rows", [16, 50, 100, 101])
@pytest.mark.parametrize("name", FOLDS_OF_BLOCKS)
def test_folds_that_are_the_same_in_a_block(name, rows):
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((rows, n)).astype(np.float32) for n in (5, 3))
    f = FOLDS_OF_BLOCKS[name]
    np.testing.assert_allclose(fx.jit(f)(x, y), f(jnp.array(x), jnp.array(y)), rtol=1e-5, atol=1e-5)
