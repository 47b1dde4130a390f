"""Convolutions: worked numbers, every layout and option against a loop, transposes, groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from case_checks import operands

import fx
from fx import lax
from fx.prims import conv_blocks
from fx.prims.conv import conv_general_dilated_p

F = np.float32


def same(found, expected) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), 1e-4, 1e-5)


def loop(x, w, strides, padding, lhs_dilation, rhs_dilation, groups=1):
    """(N, C, space) with (O, I, space), as the definition says."""
    x = np.asarray(x, np.float64)
    space = x.shape[2:]
    spread = np.zeros((*x.shape[:2], *((n - 1) * d + 1 for n, d in zip(space, lhs_dilation))))
    spread[(..., *(slice(None, None, d) for d in lhs_dilation))] = x
    padded = np.pad(spread, ((0, 0), (0, 0), *padding))
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], rhs_dilation)]
    out = [(n - r) // s + 1 for n, r, s in zip(padded.shape[2:], reach, strides)]
    result = np.zeros((x.shape[0], w.shape[0], *out))
    per = w.shape[0] // groups
    for o in range(w.shape[0]):
        channels = slice((o // per) * w.shape[1], (o // per + 1) * w.shape[1])
        for at in itertools.product(*map(range, out)):
            cut = tuple(
                slice(p * s, p * s + r, d) for p, s, r, d in zip(at, strides, reach, rhs_dilation)
            )
            window = padded[(slice(None), channels, *cut)]
            result[(slice(None), o, *at)] = (window * w[o]).sum(tuple(range(1, window.ndim)))
    return result


def test_worked_numbers() -> None:
    x, w = F([[[1, 2, 3, 4]]]), F([[[1, 0, -1]]])
    f = lambda x, w: lax.conv_general_dilated(x, w, (1,), "VALID")
    same(f(x, w), [[[-2, -2]]])
    dx, dw = fx.grad(lambda x, w: lax.reduce_sum(f(x, w), (0, 1, 2)), (0, 1))(x, w)
    same(dx, [[[1, 1, -1, -1]]])
    same(dw, [[[3, 5, 7]]])


def test_worked_numbers_of_transposes() -> None:
    names = ("NCH", "IOH", "NCH")
    f = lambda x, w, s: lax.conv_transpose(
        x, w, (s,), "VALID", dimension_numbers=names, transpose_kernel=True
    )
    x, w = F([[[1, 2]]]), F([[[1, 0, -1]]])
    same(f(x, w, 1), [[[1, 2, -1, -2]]])
    same(f(x, w, 2), [[[1, 0, 1, 0, -2]]])
    same(fx.grad(lambda w: lax.reduce_sum(f(x, w, 1), (0, 1, 2)))(w), [[[3, 3, 3]]])
    x2, w2 = F([[[[1, 2], [3, 4]]]]), np.eye(2, dtype=F)[None, None]
    f2 = lambda x, w: lax.conv_transpose(
        x, w, (1, 1), "VALID", dimension_numbers=("NCHW", "IOHW", "NCHW"), transpose_kernel=True
    )
    same(f2(x2, w2), [[[[1, 2, 0], [3, 5, 2], [0, 3, 4]]]])
    dx, dw = fx.grad(lambda x, w: lax.reduce_sum(f2(x, w), (0, 1, 2, 3)), (0, 1))(x2, w2)
    same(dx, np.full((1, 1, 2, 2), 2))
    same(dw, np.full((1, 1, 2, 2), 10))


def test_three_dimensions() -> None:
    x = np.arange(8, dtype=F).reshape(1, 1, 2, 2, 2)
    f = lambda x, w: lax.conv_general_dilated(x, w, (1, 1, 1), "VALID")
    w = np.ones_like(x)
    same(f(x, w), np.full((1, 1, 1, 1, 1), 28))
    same(fx.grad(lambda w: lax.reduce_sum(f(x, w), (0, 1, 2, 3, 4)))(w), x)


OPTIONS = [
    ((1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1), 1),
    ((2, 1), ((1, 2), (0, 3)), (1, 1), (1, 2), 1),
    ((1, 3), ((2, 0), (1, 1)), (2, 1), (2, 1), 2),
    ((2, 2), ((1, 1), (1, 1)), (1, 3), (1, 1), 4),
]


@pytest.mark.lowering
@pytest.mark.parametrize("strides, padding, lhs, rhs, groups", OPTIONS)
def test_options_against_a_loop(strides, padding, lhs, rhs, groups, rng) -> None:
    x = rng.uniform(-1, 1, (2, 4, 6, 7)).astype(F)
    w = rng.uniform(-1, 1, (8, 4 // groups, 3, 2)).astype(F)
    f = lambda x, w: lax.conv_general_dilated(
        x, w, strides, padding, lhs, rhs, feature_group_count=groups
    )
    expected = loop(x, w, strides, padding, lhs, rhs, groups)
    same(f(x, w), expected)
    same(fx.jit(f)(x, w), expected)
    last = lambda x: np.moveaxis(x, 1, -1)
    nhwc = lax.conv_general_dilated(
        last(x),
        w.transpose(2, 3, 1, 0),
        strides,
        padding,
        lhs,
        rhs,
        ("NHWC", "HWIO", "NHWC"),
        groups,
    )
    same(nhwc, last(expected))


@pytest.mark.lowering
@pytest.mark.parametrize("strides, padding, lhs, rhs, groups", OPTIONS)
def test_jitted_gradients_are_the_eager_ones(strides, padding, lhs, rhs, groups, rng) -> None:
    x = rng.uniform(-1, 1, (2, 4, 6, 7)).astype(F)
    w = rng.uniform(-1, 1, (8, 4 // groups, 3, 2)).astype(F)

    def loss(x, w):
        y = lax.conv_general_dilated(x, w, strides, padding, lhs, rhs, feature_group_count=groups)
        return lax.reduce_sum(lax.tanh(y), (0, 1, 2, 3))

    eager = fx.grad(loss, (0, 1))(x, w)
    for a, b in zip(fx.jit(fx.grad(loss, (0, 1)))(x, w), eager, strict=True):
        same(a, b)


def test_batch_groups(rng) -> None:
    """Block b of the batch meets block b of the kernel's outputs."""
    x = rng.uniform(-1, 1, (4, 3, 6)).astype(F)
    w = rng.uniform(-1, 1, (6, 3, 2)).astype(F)
    found = lax.conv_general_dilated(x, w, (1,), "VALID", batch_group_count=2)
    none, one = ((0, 0),), (1,)
    parts = [loop(x[2 * b : 2 * b + 2], w[3 * b : 3 * b + 3], one, none, one, one) for b in (0, 1)]
    same(found, np.concatenate(parts, 1))


def test_transposed_convolution_is_the_transpose(rng) -> None:
    """conv_transpose with transpose_kernel is the vjp of the strided convolution."""
    x = rng.uniform(-1, 1, (1, 2, 9)).astype(F)
    w = rng.uniform(-1, 1, (3, 2, 3)).astype(F)
    out, pull = fx.vjp(lambda x: lax.conv_general_dilated(x, w, (2,), "VALID"), x)
    ct = rng.uniform(-1, 1, out.shape).astype(F)
    back = lax.conv_transpose(
        ct, w, (2,), "VALID", dimension_numbers=("NCH", "OIH", "NCH"), transpose_kernel=True
    )
    same(back, pull(ct)[0])


def test_patches_and_their_transpose() -> None:
    f = lambda x: lax.conv_general_dilated_patches(x, (2,), (1,), "VALID")
    x = F([[[1, 2, 3]]])
    same(f(x), [[[1, 2], [2, 3]]])
    _, pull = fx.vjp(f, x)
    same(pull(np.ones((1, 2, 2), F))[0], [[[1, 2, 1]]])


def test_unshared_kernel_that_is_constant_is_a_convolution(rng) -> None:
    x = rng.uniform(-1, 1, (2, 3, 8)).astype(F)
    w = rng.uniform(-1, 1, (5, 3, 2)).astype(F)
    everywhere = np.broadcast_to(w.reshape(5, 6, 1), (5, 6, 7)).copy()
    local = lax.conv_general_dilated_local(x, everywhere, (1,), "VALID", (2,))
    same(local, lax.conv_general_dilated(x, w, (1,), "VALID"))


def test_same_padding() -> None:
    assert lax.padtype_to_pads((7,), (3,), (2,), "SAME") == [(1, 1)]
    assert lax.padtype_to_pads((8,), (3,), (2,), "SAME") == [(0, 1)]
    assert lax.padtype_to_pads((8,), (3,), (2,), "SAME_LOWER") == [(1, 0)]
    assert lax.padtype_to_pads((8,), (3,), (2,), "VALID") == [(0, 0)]


def test_half_precision_accumulates_in_float32() -> None:
    x, w = np.full((1, 64, 64), 1, np.float16), np.full((1, 64, 64), 1, np.float16)
    assert float(lax.conv_general_dilated(x, w, (1,), "VALID")[0, 0, 0]) == 4096


X, W = np.zeros((2, 4, 8), F), np.zeros((6, 2, 3), F)
MESSAGES = [
    (lambda: lax.conv_general_dilated(X, W, (1,), "VALID"), r"4 // 1 != 2"),
    (lambda: lax.conv_general_dilated(X, W[0], (1,), "VALID"), r"ndim to be equal, got 3 and 2"),
    (
        lambda: lax.conv_general_dilated(X, W, (1,), "VALID", None, None, None, 3),
        r"does not divide",
    ),
    (lambda: lax.conv_general_dilated(X, W, (1, 1), "VALID"), r"same number of dimensions"),
    (lambda: lax.conv_general_dilated(X, W, (1,), "FULL"), r"Unknown padding type"),
    (lambda: lax.conv_general_dilated(X, W.astype(np.float16), (1,), "VALID"), r"same dtypes"),
    (lambda: lax.conv_dimension_numbers(X.shape, W.shape, ("NC", "OIH", "NCH")), r"length equal"),
]


@pytest.mark.parametrize("bad, message", MESSAGES, ids=[m[1][:25] for m in MESSAGES])
def test_messages(bad, message) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        bad()


def test_shape_functions_agree_with_shapes() -> None:
    names = ("NHWC", "HWIO", "NHWC")
    x, w = np.zeros((2, 7, 5, 3), F), np.zeros((3, 2, 3, 4), F)
    for padding in ("SAME", "VALID"):
        out = lax.conv_general_dilated(x, w, (2, 1), padding, dimension_numbers=names)
        shape = lax.conv_general_shape_tuple(x.shape, w.shape, (2, 1), padding, names)
        assert out.shape == shape
        out = lax.conv_transpose(x, w, (2, 1), padding, dimension_numbers=names)
        shape = lax.conv_transpose_shape_tuple(x.shape, w.shape, (2, 1), padding, names)
        assert out.shape == shape


def test_ragged_products(rng) -> None:
    x, w = rng.uniform(-1, 1, (6, 3)).astype(F), rng.uniform(-1, 1, (3, 3, 2)).astype(F)
    expected = np.concatenate([x[:2] @ w[0], x[2:5] @ w[2], np.zeros((1, 2))])
    for f in (lax.ragged_dot, fx.jit(lax.ragged_dot)):
        same(f(x, w, np.int32([2, 0, 3])), expected)


@pytest.mark.parametrize("case", range(len(list(conv_general_dilated_p.cases()))))
@pytest.mark.parametrize("block", [7, 200])
def test_blocks_of_windows_are_the_whole(case, block, monkeypatch):
    """Large convolutions outside jit: products of blocks, whose ends lie anywhere."""
    found = list(conv_general_dilated_p.cases())[case]
    arrays = [x.astype("f8") for x in operands(found)]
    params = {**found.params, "preferred_element_type": None}
    expected = conv_general_dilated_p.numpy(*arrays, **params)
    monkeypatch.setattr(conv_blocks, "LARGE", 0)
    monkeypatch.setattr(conv_blocks, "BLOCK", block)
    monkeypatch.setattr(conv_blocks, "ROWS", 2)
    got = conv_general_dilated_p.numpy(*arrays, **params)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_large_convolutions_go_by_blocks(monkeypatch):
    calls = []
    whole = conv_blocks.correlate
    monkeypatch.setattr(conv_blocks, "correlate", lambda *a: calls.append(1) or whole(*a))
    x, w = np.ones((2, 8, 64, 64), "f4"), np.ones((8, 8, 3, 3), "f4")
    assert np.asarray(lax.conv(x, w, (1, 1), "SAME")).max() == 72
    assert lax.conv(x[:, :, :8, :8], w, (1, 1), "SAME").shape == (2, 8, 8, 8)
    assert calls == [1]
