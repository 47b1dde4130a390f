"""floDl's operations under their names: shapes, neural-network operations."""

from __future__ import annotations

import numpy as np
import pytest
from seed_rows import Jitted, Row, close, f32, in_three_forms, names

import fx
import fx.numpy as fnp
from fx import lax, nn

X = f32([[1, 2, 4], [3, 5, 9]])
A24 = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def chunk(x, n):
    """Pieces of ceil(size / n), the last one shorter."""
    size = -(-x.shape[0] // n)
    return fnp.split(x, list(range(size, x.shape[0], size)))


SHAPES = [
    Row("transpose", lambda x: fnp.swapaxes(x, 0, 1), (X,), X.T, {0: X}, X.T),
    Row(
        "permute",
        lambda x: fnp.transpose(x, (2, 0, 1)),
        (A24,),
        A24.transpose(2, 0, 1),
        {0: A24},
        A24.transpose(2, 0, 1),
    ),
    Row(
        "reshape", lambda x: fnp.reshape(x, (3, -1)), (X,), X.reshape(3, 2), {0: X}, X.reshape(3, 2)
    ),
    Row("flatten", lambda x: lax.collapse(x, 1, 3), (A24,), A24.reshape(2, 12)),
    Row("squeeze", lambda x: fnp.squeeze(x, 0), (A24[:1, :, :1],), A24[0, :, :1]),
    Row("unsqueeze", lambda x: fnp.expand_dims(x, -1), (f32([1, 2, 3]),), [[1], [2], [3]]),
    Row(
        "unsqueeze_many", lambda x: fnp.expand_dims(x, (0, 2)), (f32([1, 2, 3]),), [[[1], [2], [3]]]
    ),
    Row(
        "expand",
        lambda x: fnp.broadcast_to(x, (2, 3)),
        (f32([[1, 2, 3]]),),
        [[1, 2, 3]] * 2,
        {0: [[2, 2, 2]]},
    ),
    Row(
        "narrow",
        lambda x: lax.slice_in_dim(x, 1, 3),
        (f32([1, 2, 3, 4]),),
        [2, 3],
        {0: [0, 1, 1, 0]},
    ),
    Row(
        "narrow-traced",
        lambda x, k: lax.dynamic_slice_in_dim(x, k, 2),
        (f32([1, 2, 3, 4]), np.int32(1)),
        [2, 3],
        {0: [0, 1, 1, 0]},
    ),
    Row("select", lambda x: x[1], (X,), X[1], {0: [[0, 0, 0], [1, 1, 1]]}),
    Row("select-negative", lambda x: x[:, -1], (X,), X[:, -1]),
    Row(
        "select-traced",
        lambda x, k: lax.dynamic_index_in_dim(x, k, keepdims=False),
        (X, np.int32(1)),
        X[1],
    ),
    Row(
        "cat",
        lambda x, y: fnp.concatenate([x, y]),
        (f32([1]), f32([2, 3])),
        [1, 2, 3],
        {0: [10], 1: [20, 30]},
        f32([10, 20, 30]),
    ),
    Row(
        "cat_many",
        lambda x: fnp.concatenate([x, x, x[:1]]),
        (f32([1, 2]),),
        [1, 2, 1, 2, 1],
        {0: [3, 2]},
    ),
    Row(
        "stack",
        lambda x, y: fnp.stack([x, y], -1),
        (f32([1, 2, 3]), f32([4, 5, 6])),
        [[1, 4], [2, 5], [3, 6]],
    ),
    Row("chunk", lambda x: tuple(chunk(x, 2)), (f32([1, 2, 3, 4, 5]),), ([1, 2, 3], [4, 5])),
    Row(
        "chunk-three", lambda x: tuple(chunk(x, 4)), (f32([1, 2, 3, 4, 5]),), ([1, 2], [3, 4], [5])
    ),
    Row(
        "chunk-unused",
        lambda x: chunk(x, 2)[0],
        (f32([1, 2, 3, 4, 5]),),
        None,
        {0: [1, 1, 1, 0, 0]},
    ),
    Row("repeat", lambda x: fnp.tile(x, 2), (f32([1, 2]),), [1, 2, 1, 2], {0: [2, 2]}),
    Row("repeat-elements", lambda x: fnp.repeat(x, 2), (f32([1, 2]),), [1, 1, 2, 2]),
    Row(
        "pad",
        lambda x, v: lax.pad(x, v, ((1, 2, 0),)),
        (f32([1, 2]), f32(9)),
        [9, 1, 2, 9, 9],
        {0: [1, 1], 1: 3},
    ),
    Row(
        "pad-crop",
        lambda x: lax.pad(x, np.float32(0), ((-1, 0, 1),)),
        (f32([1, 2, 3]),),
        [0, 2, 0, 3],
    ),
    Row(
        "index_select",
        lambda x: fnp.take(x, np.array([0, 0, 2]), axis=0),
        (X[[0, 1, 1]],),
        X[[0, 0, 1]],
        {0: [[2] * 3, [0] * 3, [1] * 3]},
    ),
    Row(
        "gather",
        lambda x: fnp.take_along_axis(x, np.array([[0, 0], [1, 0]]), 1),
        (f32([[1, 2], [3, 4]]),),
        [[1, 1], [4, 3]],
        {0: [[2, 0], [1, 1]]},
    ),
    Row(
        "topk", lambda x: lax.top_k(x, 2)[0], (f32([3, 1, 4, 1, 5]),), [5, 4], {0: [0, 0, 1, 0, 1]}
    ),
    Row("sort", fnp.sort, (f32([3, 1, 2]),), [1, 2, 3], {0: [30, 10, 20]}, f32([10, 20, 30])),
]

IMAGE = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
I2 = np.eye(2, dtype=np.float32)[None, None]
CUBE = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 2, 2)
ONES_CUBE = np.ones((1, 1, 2, 2, 2), np.float32)
GRID = np.zeros((1, 1, 1, 2), np.float32)
SMALL = f32([[0, 1], [2, 3]])[None, None]
TABLE = f32([[1, 2], [3, 4], [5, 6]])
INDEX, OFFSETS = np.array([0, 2, 1]), np.array([0, 2])
E0 = f32([1, 0, 0, 0])


def bag(mode):
    return lambda t: nn.embedding_bag(t, INDEX, OFFSETS, mode)


NETWORK = [
    Row(
        "conv1d",
        nn.conv1d,
        (f32([[1, 2, 3, 4]])[None], f32([1, 0, -1])[None, None]),
        [[[-2, -2]]],
        {0: [[[1, 1, -1, -1]]], 1: [[[3, 5, 7]]]},
    ),
    Row(
        "conv_transpose1d",
        nn.conv_transpose1d,
        (f32([1, 2])[None, None], f32([1, 0, -1])[None, None]),
        [[[1, 2, -1, -2]]],
        {1: [[[3, 3, 3]]]},
    ),
    Row(
        "conv_transpose1d-stride",
        lambda x, w: nn.conv_transpose1d(x, w, stride=2),
        (f32([1, 2])[None, None], f32([1, 0, -1])[None, None]),
        [[[1, 0, 1, 0, -2]]],
    ),
    Row(
        "conv2d",
        nn.conv2d,
        (IMAGE, I2),
        [[[[4, 6], [10, 12]]]],
        {0: [[[[1, 1, 0], [1, 2, 1], [0, 1, 1]]]], 1: [[[[8, 12], [20, 24]]]]},
    ),
    Row(
        "conv_transpose2d",
        nn.conv_transpose2d,
        (f32([[1, 2], [3, 4]])[None, None], I2),
        [[[[1, 2, 0], [3, 5, 2], [0, 3, 4]]]],
        {0: np.full((1, 1, 2, 2), 2), 1: np.full((1, 1, 2, 2), 10)},
    ),
    Row("conv3d", nn.conv3d, (CUBE, ONES_CUBE), [[[[[28]]]]], {1: CUBE}),
    Row(
        "conv_transpose3d",
        nn.conv_transpose3d,
        (np.full((1, 1, 1, 1, 1), 2, np.float32), CUBE),
        2 * CUBE,
        {0: np.full((1, 1, 1, 1, 1), 28), 1: np.full((1, 1, 2, 2, 2), 2)},
    ),
    Row(
        "max_pool2d",
        lambda x: nn.max_pool2d(x, 2),
        (f32([[1, 2], [4, 3]])[None, None],),
        [[[[4]]]],
        {0: [[[[0, 0], [1, 0]]]]},
    ),
    Row(
        "max_pool2d-padding",
        lambda x: nn.max_pool2d(x, 2, padding=1),
        (-np.ones((1, 1, 2, 2), "f"),),
        -np.ones((1, 1, 2, 2)),
    ),
    Row(
        "avg_pool2d",
        lambda x: nn.avg_pool2d(x, 2),
        (f32([[1, 2], [4, 3]])[None, None],),
        [[[[2.5]]]],
        {0: np.full((1, 1, 2, 2), 0.25)},
    ),
    Row(
        "avg_pool2d-counts",
        lambda x: nn.avg_pool2d(x, 2, padding=1, count_include_pad=False),
        (np.ones((1, 1, 2, 2), "f"),),
        np.ones((1, 1, 2, 2)),
    ),
    Row(
        "max_pool1d",
        lambda x: nn.max_pool1d(x, 2, 2),
        (f32([1, 3, 2, 5])[None],),
        [[3, 5]],
        {0: [[0, 1, 0, 1]]},
    ),
    Row(
        "avg_pool1d",
        lambda x: nn.avg_pool1d(x, 2, 2),
        (f32([1, 3, 2, 5])[None],),
        [[2, 3.5]],
        {0: [[0.5] * 4]},
    ),
    Row(
        "adaptive_avg_pool2d",
        lambda x: nn.adaptive_avg_pool1d(x, 3),
        (f32([0, 1, 2, 3, 4])[None],),
        [[0.5, 2, 3.5]],
        {0: [[1 / 2, 5 / 6, 1 / 3, 5 / 6, 1 / 2]]},
    ),
    Row("adaptive_avg_pool2d-global", lambda x: nn.adaptive_avg_pool2d(x, 1), (IMAGE,), [[[[4]]]]),
    Row(
        "adaptive_max_pool2d",
        lambda x: nn.adaptive_max_pool1d(x, 3),
        (f32([0, 1, 2, 3, 4])[None],),
        [[1, 3, 4]],
        {0: [[0, 1, 0, 1, 1]]},
    ),
    Row(
        "instance_norm",
        nn.instance_norm,
        (f32([1, 2, 3, 4])[None, None],),
        [[[-1.34163542, -0.44721181, 0.44721181, 1.34163542]]],
        {0: [[[0.2683303, -0.35776837, -0.08944343, 0.1788815]]]},
        E0[None, None],
        tol=1e-5,
    ),
    Row(
        "group_norm",
        lambda x: nn.group_norm(x, 2, eps=0.0),
        (f32([1, 3, 2, 6])[None, :, None],),
        [[[-1], [1], [-1], [1]]],
    ),
    Row(
        "layer_norm",
        lambda x, g, b: nn.layer_norm(x, g, b),
        (f32([1, 2, 3, 4]), np.ones(4, "f"), np.zeros(4, "f")),
        [-1.34163542, -0.44721181, 0.44721181, 1.34163542],
        {0: [0.2683303, -0.35776837, -0.08944343, 0.1788815], 1: [-1.34163542, 0, 0, 0], 2: E0},
        E0,
        tol=1e-5,
    ),
    Row(
        "grid_sample",
        nn.grid_sample,
        (SMALL, GRID),
        [[[[1.5]]]],
        {0: np.full((1, 1, 2, 2), 0.25), 1: [[[[1, 2]]]]},
    ),
    Row(
        "grid_sample-corners",
        lambda x, g: nn.grid_sample(x, g, align_corners=True),
        (SMALL, GRID),
        [[[[1.5]]]],
        {1: [[[[0.5, 1]]]]},
    ),
    Row(
        "grid_sample-border",
        lambda x, g: nn.grid_sample(x, g, padding_mode="border"),
        (SMALL, GRID - 3),
        [[[[0]]]],
    ),
    Row(
        "grid_sample-nearest",
        lambda x, g: nn.grid_sample(x, g, "nearest"),
        (SMALL, GRID + 0.4),
        [[[[3]]]],
    ),
    Row(
        "grid_sample-reflection",
        lambda x, g: nn.grid_sample(x, g, padding_mode="reflection"),
        (SMALL, GRID + 1.5),
        [[[[3]]]],
    ),
    Row(
        "pixel_shuffle",
        lambda x: nn.pixel_shuffle(x, 2),
        (f32([1, 2, 3, 4])[None, :, None, None],),
        [[[[1, 2], [3, 4]]]],
    ),
    Row(
        "pixel_unshuffle",
        lambda x: nn.pixel_shuffle(nn.pixel_unshuffle(x, 2), 2),
        (np.arange(144, dtype=np.float32).reshape(2, 3, 4, 6),),
        np.arange(144).reshape(2, 3, 4, 6),
    ),
    Row(
        "bilinear",
        nn.bilinear,
        (f32([1, 2]), f32([3, 4]), np.eye(2, dtype=np.float32)),
        [11],
        {0: [3, 4], 1: [1, 2], 2: [[3, 4], [6, 8]]},
    ),
    Row("embedding_bag", bag("sum"), (TABLE,), [[6, 8], [3, 4]]),
    Row(
        "embedding_bag-mean",
        bag("mean"),
        (TABLE,),
        [[3, 4], [3, 4]],
        {0: [[0.5] * 2, [1] * 2, [0.5] * 2]},
    ),
    Row("embedding_bag-max", bag("max"), (TABLE,), [[5, 6], [3, 4]]),
    Row(
        "embedding_bag-empty",
        lambda t: nn.embedding_bag(t, INDEX, np.array([0, 3]), "mean"),
        (TABLE,),
        [[3, 4], [0, 0]],
    ),
    Row("im2col", lambda x: nn.im2col(x, 2), (f32([1, 2, 3]),), [[1, 2], [2, 3]]),
    Row("col2im", lambda c: nn.col2im(c, (3,), 2), (np.ones((2, 2), "f"),), [1, 2, 1]),
]

test_eager, test_jit, test_vmap = in_three_forms(Jitted(SHAPES), Jitted(NETWORK))


@pytest.mark.parametrize("row", SHAPES, ids=names(SHAPES))
def test_shape_operations_are_adjoint_to_themselves(row, rng):
    """<J v, g> = <v, J^T g> with random v and g."""
    x, *rest = row.args
    v = f32(rng.normal(size=x.shape))
    _, jv = fx.jvp(lambda x: row.fun(x, *rest), (x,), (v,))
    _, pull = fx.vjp(lambda x: row.fun(x, *rest), x)
    g = fx.tree_util.tree_map(lambda o: f32(rng.normal(size=o.shape)), jv)
    (back,) = pull(g)
    leaves = fx.tree_util.tree_leaves
    left = sum(float((a * b).sum()) for a, b in zip(leaves(jv), leaves(g)))
    assert left == pytest.approx(float((v * back).sum()), rel=1e-4, abs=1e-4)


def test_topk_indices():
    assert lax.top_k(f32([3, 1, 4, 1, 5]), 2)[1].tolist() == [4, 2]


def test_sort_is_stable_and_puts_nan_last():
    assert np.isnan(np.asarray(fnp.sort(f32([np.nan, 1])))[-1])
    assert fnp.argsort(fnp.array([1, 0, 1, 0])).tolist() == [1, 3, 0, 2]


def test_squeeze_of_another_size_is_an_error():
    with pytest.raises(ValueError, match="size not equal to one"):
        fnp.squeeze(fnp.ones((2, 1)), 0)


def test_reshape_of_seven_elements_is_an_error():
    with pytest.raises(TypeError, match="cannot reshape"):
        fnp.ones(7).reshape(2, 3)


def test_max_pool_splits_the_gradient_of_ties_without_loss():
    g = fx.grad(lambda x: nn.max_pool2d(x, 2).sum())(fnp.ones((1, 1, 2, 2)))
    assert float(g.sum()) == pytest.approx(1.0)


def test_conv_transpose_is_the_derivative_of_conv(rng):
    x, w = f32(rng.normal(size=(2, 4, 9))), f32(rng.normal(size=(6, 2, 3)))
    for kw in ({}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2}):
        out, pull = fx.vjp(lambda x, kw=kw: nn.conv1d(x, w, groups=2, **kw), x)
        g = f32(rng.normal(size=out.shape))
        extra = 0
        if "stride" in kw:
            extra = x.shape[-1] - ((out.shape[-1] - 1) * 2 - 2 + 3)
        back = nn.conv_transpose1d(g, w, groups=2, output_padding=extra, **kw)
        close(back, pull(g)[0], 1e-4, str(kw))


def test_depthwise_convolution_is_one_convolution_a_channel(rng):
    x, w = f32(rng.normal(size=(1, 3, 5, 5))), f32(rng.normal(size=(3, 1, 2, 2)))
    together = nn.conv2d(x, w, groups=3)
    for c in range(3):
        close(together[:, c], nn.conv2d(x[:, c : c + 1], w[c : c + 1])[:, 0], 1e-5, "depthwise")


def test_col2im_is_the_adjoint_of_im2col(rng):
    with fx.enable_x64():
        x, c = rng.normal(size=(1, 2, 5, 6)), rng.normal(size=(1, 8, 20))
        cols = nn.im2col(x, 2)
        assert float((cols * c).sum()) == pytest.approx(
            float((x * nn.col2im(c, x.shape, 2)).sum()), abs=1e-12
        )
