"""Edges of the operations that no row of numbers shows: every mapped axis, traced positions,
windows against loops, zero vectors, indices out of range.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from seed_rows import FORMS, close, f32, names
from test_seeds_flodl_nn import SHAPES

import fx
import fx.losses as losses
import fx.numpy as fnp
from fx import lax, nn


@pytest.mark.parametrize("row", SHAPES, ids=names(SHAPES))
def test_shape_operations_over_each_axis(row):
    """vmap over an axis at every place of the operand, and the results' axis at every place."""
    x, *rest = row.args
    members = [x, x + 1]
    expected = [fx.tree_util.tree_leaves(row.fun(m, *rest)) for m in members]
    for axis in range(x.ndim + 1):
        stacked = np.stack(members, axis)
        mapped = fx.vmap(lambda v: row.fun(v, *rest), in_axes=axis)
        found = fx.tree_util.tree_leaves(mapped(stacked))
        for k in range(2):
            close([f[k] for f in found], expected[k], 0, f"{row.name} over axis {axis}")
        last = fx.vmap(lambda v: row.fun(v, *rest), in_axes=axis, out_axes=-1)
        for a, b in zip(fx.tree_util.tree_leaves(last(stacked)), found):
            assert np.array_equal(np.moveaxis(np.asarray(a), -1, 0), b)


@FORMS
def test_narrow_and_select_with_traced_positions(form):
    x, starts = np.arange(5, dtype=np.float32), np.array([0, 2])
    f = lambda x, k: lax.dynamic_slice_in_dim(x, k, 2)
    g = lambda x, k: lax.dynamic_index_in_dim(x, k, keepdims=False)
    assert form(f)(x, np.int32(3)).tolist() == [3, 4]
    assert fx.vmap(f, (None, 0))(x, starts).tolist() == [[0, 1], [2, 3]]
    assert fx.jit(fx.vmap(g, (None, 0)))(x, starts).tolist() == [0, 2]
    by_start = fx.vmap(fx.grad(lambda x, k: f(x, k).sum()), (None, 0))(x, starts)
    assert by_start.tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]


@FORMS
def test_indices_out_of_range(form):
    """take fills with NaN by default; clip and wrap are asked for; x[i] clamps; updates drop."""
    x = f32([1, 2, 3])
    far = np.array([0, 5])
    assert np.isnan(np.asarray(form(lambda x: fnp.take(x, far))(x))[1])
    assert form(lambda x: fnp.take(x, far, mode="clip"))(x).tolist() == [1, 3]
    assert form(lambda x: fnp.take(x, far, mode="wrap"))(x).tolist() == [1, 3]
    assert form(lambda x: x[far])(x).tolist() == [1, 3]
    assert form(lambda x: x.at[far].set(0))(x).tolist() == [0, 2, 3]


@FORMS
def test_smallest_by_negation(form):
    values, where = form(lambda x: lax.top_k(-x, 2))(f32([3, 1, 4, 1, 5]))
    assert (-values).tolist() == [1, 1] and where.tolist() == [1, 3]


@FORMS
def test_zero_vectors_have_finite_gradients(form):
    zero = np.zeros(2, "f")
    finite = lambda tree: all(np.isfinite(np.asarray(v)).all() for v in tree)
    assert finite([form(fx.grad(lambda x: nn.normalize(x).sum()))(zero)])
    similarity = lambda x, y: losses.cosine_similarity(x, y, epsilon=1e-6)
    assert finite(form(fx.grad(similarity, (0, 1)))(zero, f32([1, 1])))


@pytest.mark.driver
def test_expanding_moves_nothing_under_jit():
    """A broadcast operand is read where it is: no kernel of its own."""
    f = fx.jit(lambda x, y: fnp.broadcast_to(x, (64, 32)) + y)
    assert fx.explain(f)(fnp.ones((1, 32)), fnp.ones((64, 32))).launches == 1


# ---------------------------------------------------------------- windows against loops


def convolved(x, w, stride, padding, dilation, groups):
    """A convolution over two axes by loops, in double precision; pairs of settings."""
    n, _, h, width = x.shape
    o, c, *kernel = w.shape
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *((p, p) for p in padding)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    sizes = [(m + 2 * p - r) // s + 1 for m, p, r, s in zip((h, width), padding, reach, stride)]
    out = np.zeros((n, o, *sizes))
    for k, *place in itertools.product(range(o), *map(range, sizes)):
        group = k // (o // groups) * c
        window = [slice(i * s, i * s + r, d) for i, s, r, d in zip(place, stride, reach, dilation)]
        out[:, k, *place] = (x[:, group : group + c, *window] * w[k]).sum((1, 2, 3))
    return out


SETTINGS = [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (2, 1, 2, 2), (3, 0, 1, 4)]


@FORMS
@pytest.mark.parametrize("stride, padding, dilation, groups", SETTINGS)
def test_convolutions_against_loops(form, rng, stride, padding, dilation, groups):
    x = f32(rng.normal(size=(2, 4, 7, 8)))
    w = f32(rng.normal(size=(8, 4 // groups, 3, 2)))
    kw = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    plane = [(v, v) for v in (stride, padding, dilation)]
    found = form(lambda x, w: nn.conv2d(x, w, **kw))(x, w)
    close(found, convolved(x, w, *plane, groups), 1e-4, "conv2d")
    line = [(stride, stride), (0, padding), (1, dilation)]
    found = form(lambda x, w: nn.conv1d(x, w, **kw))(x[:, :, 0], w[:, :, 0])
    wanted = convolved(x[:, :, :1], w[:, :, :1], *line, groups)[:, :, 0]
    close(found, wanted, 1e-4, "conv1d")


@FORMS
def test_output_padding_completes_the_shape(form, rng):
    x, w = f32(rng.normal(size=(1, 2, 4, 4))), f32(rng.normal(size=(2, 3, 3, 3)))
    transposed = lambda extra: (
        lambda x, w: nn.conv_transpose2d(x, w, stride=2, padding=1, output_padding=extra)
    )
    small, large = form(transposed(0))(x, w), form(transposed(1))(x, w)
    assert small.shape == (1, 3, 7, 7) and large.shape == (1, 3, 8, 8)
    close(large[..., :7, :7], small, 1e-5, "the same where both are")
    forward = lambda y: nn.conv2d(y, w, stride=2, padding=1)
    _, pull = fx.vjp(forward, np.zeros(large.shape, "f"))
    close(large, pull(x)[0], 1e-5, "the derivative of conv2d")


@FORMS
def test_pools_against_loops(form, rng):
    x = f32(rng.normal(size=(2, 3, 6, 7)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3), (2, 3))[:, :, ::2, ::2]
    most = form(lambda x: nn.max_pool2d(x, (2, 3), 2))(x)
    mean = form(lambda x: nn.avg_pool2d(x, (2, 3), 2))(x)
    close(most, windows.max((-1, -2)), 0, "maximum")
    close(mean, windows.mean((-1, -2)), 1e-6, "mean")
    bins = [(i * 7 // 3, -(-(i + 1) * 7 // 3)) for i in range(3)]
    adaptive = form(lambda x: nn.adaptive_avg_pool2d(x, (6, 3)))(x)
    wanted = np.stack([x[..., a:b].mean(-1) for a, b in bins], -1)
    close(adaptive, wanted, 1e-6, "adaptive")


@FORMS
def test_running_statistics_are_explicit(form, rng):
    """Training gives the new state with the result; evaluation is an affine map by the state."""
    x = f32(rng.normal(size=(16, 3)))
    mean, var = x.mean(0), x.var(0)
    start = nn.BatchNormState(np.zeros(3, "f"), np.ones(3, "f"))
    y, state = form(lambda x: nn.batch_norm(x, start))(x)
    close(y, (x - mean) / np.sqrt(var + 1e-5), 1e-4, "by the batch")
    wanted = (0.1 * mean, 0.9 + 0.1 * x.var(0, ddof=1))
    close((state.mean, state.var), wanted, 1e-5, "state")
    again, kept = form(lambda x: nn.batch_norm(x, start, training=False))(x)
    close(again, x / np.sqrt(1 + 1e-5), 1e-5, "by the state")
    close((kept.mean, kept.var), (start.mean, start.var), 0, "state of evaluation")
