"""Kernels that fold rows and use what was folded: where it is computed, and how often."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from fx import lax
from lowering.profile import AVX2

pytestmark = pytest.mark.lowering


def reasons(f, *args):
    return [why for _, why in lower_function(f, args, profile=AVX2).plan.meta["reasons"]]


def agree(f, *args, rtol=1e-4, atol=1e-4):
    for made, right in zip(fx.tree.leaves(fx.jit(f)(*args)), fx.tree.leaves(f(*args)), strict=True):
        np.testing.assert_allclose(made, right, rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: fnp.broadcast_to(fnp.tanh(x.sum(1))[:, None], x.shape).sum(0),
        lambda x: (fnp.tanh(x.sum(1))[:, None] * x[:, :1] + fnp.zeros((1, 200))).sum(0),
        lambda x: fx.grad(lambda b: fnp.tanh((x + b).sum(1) / 9).sum())(x[0]),
    ],
)
def test_what_rows_folded_is_added_up_in_every_column(rng, f):
    """What is the same in all lanes of a strip goes to all strips that are in flight."""
    agree(f, fnp.asarray(rng.standard_normal((1024, 200)), np.float32))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: fnp.tanh(x + x.argmax(0)).max(0),
        lambda x: (x.argmax(0), (x - x.argmin(0)).sum(0)),
        lambda x: (x - x.max(0), (2 * x).sum(0)),
    ],
)
@pytest.mark.parametrize("shape", [(500, 1000), (400, 64)])
def test_columns_folded_whole_beside_blocks_of_them(rng, f, shape):
    """An item with a block of rows does not fold a column from end to end."""
    agree(f, fnp.asarray(rng.standard_normal(shape), np.float32))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x / fnp.sqrt((x[:, :70] ** 2).sum()),
        lambda x: x - x[:50].mean(),
        lambda x: x * x[:, :70].sum(1)[:, None],
    ],
)
def test_a_fold_along_other_axes_is_not_made_again_by_each_item(rng, f):
    x = fnp.asarray(rng.standard_normal((96, 128)), np.float32)
    agree(f, x)
    assert any("fold it again for each of its strips" in why for why in reasons(f, x))


def test_rows_folded_along_their_own_axis_stay_inside(rng):
    x = fnp.asarray(rng.standard_normal((96, 128)), np.float32)
    assert reasons(lambda x: x / fnp.sqrt((x * x).sum(1))[:, None], x) == []
    assert reasons(lambda x: x - x.mean(), x) == []
    for norm in (fnp.linalg.norm, lambda x: fnp.linalg.norm(x.reshape(-1))):
        assert reasons(lambda x: x / norm(x), x) == []  # noqa: B023
        agree(lambda x: x / norm(x), x)  # noqa: B023


def nests(f, *args):
    return lower_function(f, args, profile=AVX2).plan.meta["nests"]


def test_guards_of_another_axis_leave_a_fold_alone(rng):
    """A shifted read of x / norm(row) is guarded along the row; the row's norm is the same."""

    def f(x):
        y = x / fnp.sqrt((x * x).sum(1, keepdims=True))
        return y + lax.pad(y, np.float32(0), [(0, 0, 0), (1, -1, 0)])

    x = fnp.asarray(rng.standard_normal((64, 100)), np.float32)
    agree(f, x)
    folds = [v for _, nest in nests(f, x) for v in nest.values if v.op in ("reduce", "mad")]
    assert len(folds) == 1


def test_what_a_column_divides_by_is_computed_once_a_column(rng):
    x = fnp.asarray(rng.standard_normal((600, 96)), np.float32)

    def normal(x):
        return (x - x.mean(0)) / fnp.sqrt(x.var(0) + 1e-5)

    agree(normal, x)
    assert sum("compute it 600 times" in why for why in reasons(normal, x)) == 1


def test_strips_go_where_lanes_share_lines(rng):
    """Every second element of a row, not whole columns."""
    x = fnp.asarray(rng.standard_normal((100, 64)), np.float32)
    f = lambda x: fnp.stack([x[:, ::2] + x[:, :1], x[:, 1::2] + x[:, :1]], -1)
    agree(f, x)
    assert "[64]," not in lower_function(f, (x,), profile=AVX2).plan.programs[0].source


def stacked(x):
    return fnp.stack([x, x + 1], -1)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: stacked(x).reshape(-1),
        lambda x: x.at[np.array([3, 3, 5])].add(1.0).reshape(-1),
        lambda x: lax.scan(lambda c, r: (c + r, c * r), x[0], x)[1].reshape(-1),
        lambda x: fnp.concatenate([x[:0], x[:0]]).reshape(-1),
    ],
)
def test_results_of_another_shape_are_written_where_they_stand(rng, f):
    x = fnp.asarray(rng.standard_normal((64, 96)), np.float32)
    agree(f, x)
    plan = lower_function(f, (x,), profile=AVX2).plan
    assert [plan.buffers[k].shape for k in plan.outputs] == [f(x).shape]
    assert plan.arena_bytes < x.nbytes // 4


@pytest.mark.parametrize(
    "f",
    [
        lambda s: (s, s.reshape(-1)),
        lambda s: (s.reshape(-1), s.reshape(8, -1)),
        lambda s: (s.reshape(-1), s.sum(0)),
    ],
)
def test_one_array_as_several_results(rng, f):
    agree(lambda x: f(stacked(x)), fnp.asarray(rng.standard_normal((64, 96)), np.float32))


def texts_of(f, *shapes):
    found = lower_function(f, [np.zeros(s, np.float32) for s in shapes], profile=AVX2)
    return [p.source for p in found.plan.programs]


def scaled(x, gain):
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * gain


@pytest.mark.parametrize("f", [fx.nn.softmax, fx.nn.log_softmax, fnp.cumsum, scaled])
def test_long_rows_share_a_text(f):
    """Rows of 512 to 1024 elements that strips divide, in one axis or in two."""
    gains = [(n,) for n in (1024, 608, 1056, 250)] if f is scaled else []
    g = (lambda x: fnp.cumsum(x, -1)) if f is fnp.cumsum else f
    one, other, longer, odd = (
        texts_of(g, shape, *gains[k : k + 1])
        for k, shape in enumerate([(500, 1024), (9, 90, 608), (700, 1056), (500, 250)])
    )
    assert one == other and one != odd
    kept = "k1[" in one[0] or "k2[" in one[0]
    assert (one == longer) == (not kept)


@pytest.mark.parametrize("n", [512, 1024, 1088, 4160, 16384])
def test_long_rows_are_right(rng, n):
    x = fnp.asarray(rng.standard_normal((7, n)), np.float32)
    agree(lambda x: fx.nn.softmax(x), x)
    agree(
        lambda x: (scaled(x, x[0]), x.argmax(-1), fnp.cumsum(x, -1), x[::-1].max(-1)), x, atol=1e-3
    )
    agree(lambda x: fx.grad(lambda x: (fx.nn.log_softmax(x) ** 2).sum())(x), x, atol=1e-2)
    agree(lambda x: lax.cumlogsumexp(x, axis=1, reverse=True), x, atol=1e-3)
