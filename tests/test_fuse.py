"""Which values share a kernel: decided by how axes lie, not by extents that happen to agree."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function

pytestmark = pytest.mark.lowering


def stored(function, *shapes):
    """How many values each kernel writes."""
    arrays = [np.zeros(s, np.float32) for s in shapes]
    nests = lower_function(function, tuple(arrays), ()).plan.meta["nests"]
    return [len(nest.stores) for _, nest in nests]


@pytest.mark.parametrize("axis", (0, 1))
def test_a_square_is_fused_like_any_other_matrix(axis):
    def softmax(x):
        return fx.nn.softmax(x, axis=axis)

    shapes = [(512, 512), (512, 640)]
    assert stored(softmax, shapes[0]) == stored(softmax, shapes[1])
    x = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    e = np.exp(x - x.max(axis, keepdims=True))
    np.testing.assert_allclose(fx.jit(softmax)(x), e / e.sum(axis, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("n", [5, 10, 31])
def test_short_rows_are_folded_side_by_side(n):
    """Rows of a few elements with costly work: a strip of rows at once, with the same numbers."""
    rng = np.random.default_rng(n)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1001, n), (n,)))

    def several(x, w):
        return {
            "logit": fnp.logaddexp(0, -(x * w).sum(1)),
            "sum of exponentials": fx.nn.logsumexp(x, axis=1),
            "place": fnp.argmax(fnp.tanh(x) + fnp.exp(x), 1),
            "scaled": fnp.sin((x * x).mean(1)) * fnp.cos(x[:, 0]),
        }

    with fx.disable_jit():
        expected = several(fnp.asarray(x), fnp.asarray(w))
    found = fx.jit(several)(x, w)
    alone = {k: fx.jit(lambda x, w, k=k: several(x, w)[k])(x, w) for k in found}
    for k in found:
        np.testing.assert_allclose(found[k], expected[k], 1e-4, 1e-5, err_msg=k)
        np.testing.assert_allclose(alone[k], expected[k], 1e-4, 1e-5, err_msg=k)


@pytest.mark.parametrize("activation", ["gelu", "silu", "softplus", "relu"])
def test_a_slope_is_made_of_what_its_activation_was_made_of(activation):
    """Beside the activation the product's kernel writes one array: itself, or a mask."""

    def loss(w, x, v):
        return ((getattr(fx.nn, activation)(x @ w) @ v) ** 2).mean()

    assert stored(fx.grad(loss), (128, 512), (256, 128), (512, 64)) == [2, 1, 1, 1]


def steps(count):
    """A function that takes steps on a grid; each reads the one before at three places."""

    def run(x):
        for _ in range(count):
            y = 0.3 * x * x + x
            x = fnp.pad(y[1:], (0, 1)) + fnp.pad(y[:-1], (1, 0)) - y
        return x

    return run


def test_what_is_read_at_several_places_is_not_repeated_without_end():
    x = np.linspace(-0.5, 0.5, 64, dtype=np.float32)
    texts = []
    for count in (2, 8):
        plan = lower_function(steps(count), (x,), ()).plan
        texts.append(sum(len(p.source) for p in plan.programs))
    assert texts[1] < 10 * texts[0]  # each step within the next: 700 times
    assert stored(steps(2), (64,)) == [1]
    # steps multiply what is rounded: either is 1e-3 from the numbers in double precision
    np.testing.assert_allclose(fx.jit(steps(8))(x), steps(8)(x), rtol=1e-3, atol=1e-4)


def test_what_a_scatter_reads_past_a_reshape_comes_before_it():
    """The running count of a mask is read by a scatter through a view, and by what follows it."""
    mask = np.random.default_rng(0).random(20_000) < 0.5
    got = fx.jit(lambda m: fnp.flatnonzero(m, size=12_000, fill_value=-1))(mask)
    want = np.flatnonzero(mask)
    np.testing.assert_array_equal(np.asarray(got)[: len(want)], want)
    assert (np.asarray(got)[len(want) :] == -1).all()


@pytest.mark.parametrize("size", [1, 126, 251, 500, 1000, 1007])
def test_nonzero_of_any_size(size):
    """What is not asked for goes nowhere, or behind: the results are the same."""
    mask = np.random.default_rng(1).random(1000) < 0.5
    found = np.flatnonzero(mask)[:size]
    want = np.r_[found, np.full(size - len(found), -3)]
    got = fx.jit(lambda m: fnp.flatnonzero(m, size=size, fill_value=-3))(mask)
    np.testing.assert_array_equal(np.asarray(got), want)


@pytest.mark.parametrize("dtype", (np.float32, np.int8))
@pytest.mark.parametrize("shape", [(20, 130), (130,), (300, 7)])
def test_the_first_of_equals_is_found_beside_a_running_fold_that_goes_back(shape, dtype):
    x = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)
    if dtype == np.float32:
        x[..., 3] = x[..., 5] = np.nan

    def f(x):
        low, high = fnp.argmin(x, -1), fnp.argmax(-x, -1)
        return fx.lax.cummax(x, x.ndim - 1, reverse=True), low, high

    for got, want in zip(fx.jit(f)(x), f(fnp.asarray(x))):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", (5, 200))
def test_the_largest_of_what_is_repeated(n):
    """Where elements stand several times the first of these is the answer."""
    x = np.random.default_rng(0).integers(0, 9, n).astype(np.int32)

    def f(x):
        rows = fnp.broadcast_to(x, (6, n)).reshape(2, -1)
        return (
            fnp.argmin(fnp.repeat(x, 3)),
            fnp.argmax(fnp.tile(x, 2)),
            fnp.argmax(fnp.broadcast_to(x[:, None], (n, 3)), 1),
            fnp.argmax(rows, 1),
        )

    for got, want in zip(fx.jit(f)(x), f(fnp.asarray(x))):
        np.testing.assert_array_equal(got, want)


FOLDS_OF_BLOCKS = {
    "of itself": lambda x: (fnp.cumsum(x).sum(),),
    "beside": lambda x: (fnp.cumsum(x), x.sum()),
    "of a piece": lambda x: (fnp.cumsum(x > 3), fnp.concatenate([x[:1], x[:-1]]).max()),
    "where it is largest": lambda x: (x.sum(), x.argmax(), (x * x.argmax()).sum()),
    "where rows are least": lambda x: (x.sum(), fnp.argmin(x.reshape(1, -1), 1)),
    "the other way": lambda x: (fx.lax.cummax(x[::-1]), (x * 2).sum()),
}


@pytest.mark.parametrize("name", FOLDS_OF_BLOCKS)
def test_items_do_not_share_what_runs_from_end_to_end(name):
    """A sum of blocks, one an item, and a running sum over the same axis are two kernels."""
    x = (np.arange(1 << 16) % 7).astype(np.int32)
    function = FOLDS_OF_BLOCKS[name]
    expected = function(fnp.asarray(x))
    for got, want in zip(fx.jit(function)(x), expected, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [30, 32, 130])
def test_whole_numbers_after_a_product_keep_their_names(n):
    """60 is an argument of the kernel, whose name is no loop's."""
    x = np.random.default_rng(n).standard_normal((n, n)).astype(np.float32)
    got = fx.jit(lambda x: 60 * fnp.eye(n) + x @ x)(x)
    np.testing.assert_allclose(got, 60 * np.eye(n) + x @ x, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("n", [1 << 16, 100_003, 999_999, 1 << 20])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_the_first_of_equals_is_found_by_blocks(name, n):
    """Also of equals in different blocks, and of several that are no numbers."""
    x = (np.arange(n) * 7919 % 1009).astype(np.float32)
    for place in ((), (n // 2, n // 3, n - 1)):
        x[list(place)] = np.nan
        want = getattr(np, name)(x)
        assert fx.jit(lambda x: getattr(fnp, name)(x))(x) == want
        assert fx.jit(lambda x: getattr(fnp, name)(x[None], 1))(x)[0] == want


@pytest.mark.parametrize("n", (5, 21, 37, 100))
def test_what_a_later_loop_reads_is_kept_beyond_the_strips_too(n):
    """The window is a loop inside the loop over the row: its end is not the end of the row."""

    def f(x, y):
        window = fx.lax.reduce_window(x, -fnp.inf, fx.lax.max, (2,), (1,), ((1, 0),))
        e = fnp.exp(y[fnp.arange(n) * 2 - 1])
        return window, window * (e / e.sum())

    x, y = np.random.default_rng(n).standard_normal((2, n)).astype(np.float32)
    for got, want in zip(fx.jit(f)(x, y), f(fnp.asarray(x), fnp.asarray(y)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("n", [200, 500])
def test_what_a_long_chain_leaves_behind_is_written_by_its_kernels(n):
    """The forward part of a gradient: each step's derivative is kept, and read where it is made."""

    def f(x):
        kept = []
        for _ in range(n):
            kept.append(fnp.cos(x))
            x = fnp.sin(x) * 0.99
        return x, kept

    written = stored(f, (16,))
    assert len(written) <= 2 + 4 * n // 400
    assert sum(written) <= n + 1 + 2 * len(written)  # nothing of the chain but where it is cut


def test_a_stencil_of_a_stencil_counts_all_its_places():
    """What products stand between is read at 81 places all the same: the sum within is kept."""
    w = np.arange(1, 10, dtype=np.float32)

    def spread(x, axis):
        ends = [((k, 8 - k), (0, 0)) if axis == 0 else ((0, 0), (k, 8 - k)) for k in range(9)]
        return sum(fnp.pad(float(w[k]) * x, ends[k]) for k in range(9))

    def f(x):
        y = x * (x + 1) * (x + 2) - 3 * x * x
        return spread(spread(y, 0), 1)

    x = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    plan = lower_function(f, (x,), ()).plan
    assert stored(f, x.shape) == [1, 1]
    assert sum(len(p.source) for p in plan.programs) < 60_000
    y = x * (x + 1) * (x + 2) - 3 * x * x
    rows = np.apply_along_axis(np.convolve, 0, y, w)
    expected = np.apply_along_axis(np.convolve, 1, rows, w)
    np.testing.assert_allclose(fx.jit(f)(x), expected, rtol=1e-4, atol=1e-2)
