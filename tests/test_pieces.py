"""Pieces: concatenations of concatenations, and views of them, are written once, where they end up,
by the kernels that compute the parts; a product writes its part tile by tile.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import costs, lower_function
from fx import lax
from lowering import graph as g
from lowering import pieces
from lowering.walk import users_of

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def pairs(x, y, cut):
    """Rows of x and y in turns, the last ones cut off."""
    return fnp.stack([fnp.sin(x), y * 2], 1).reshape(-1, x.shape[1])[: x.shape[0] * 2 - cut]


def woven(x, y):
    """Squares of four: rows and columns in turns, channels last."""
    a, b = fnp.stack([x, fnp.sin(y)], 2), fnp.stack([y + 1, fnp.cos(x)], 2)
    return fnp.stack([a, b], 1).reshape(2 * x.shape[0], 2 * x.shape[1], x.shape[2])


def transposed(x, w, padding="SAME", axes=("NHWC", "HWIO", "NHWC")):
    return lax.conv_transpose(x, w, (2, 2), padding, dimension_numbers=axes)


SQUARE = (normal(64, 64), normal(64, 64))
IMAGES = (normal(8, 16, 16, 32), normal(3, 3, 32, 32))
PROGRAMS = {  # function, arguments, most bytes of temporaries
    "products one after the other": (lambda x, y: fnp.concatenate([x @ y, y @ x]), SQUARE, 0),
    "products side by side": (lambda x, y: fnp.concatenate([x @ y, y @ x], 1), SQUARE, 0),
    "a stack of products": (lambda x, y: fnp.stack([x @ y + 1, fnp.tanh(y @ x)]), SQUARE, 0),
    "products and others": (lambda x, y: fnp.concatenate([x @ y, fnp.sin(x), y @ x]), SQUARE, 0),
    "a product twice": (lambda x, y: fnp.concatenate([x @ y] * 2), SQUARE, 4 * 64 * 64),
    "blocks": (lambda x, y: fnp.block([[fnp.sin(x), y], [y, x @ y]]), SQUARE, 0),
    "blocks of two shapes": (
        lambda x, y: fnp.block([[x, y[:, :7]], [y[:5], x[:5, :7]]]),
        SQUARE,
        0,
    ),
    "rows in turns": (lambda x, y: pairs(x, y, 0), SQUARE, 0),
    "rows in turns, cut": (lambda x, y: pairs(x, y, 3), SQUARE, 0),
    "woven": (woven, (normal(6, 5, 33), normal(6, 5, 33)), 0),
    "convolution over gaps": (transposed, IMAGES, 8 * 17 * 17 * 32 * 4 + 9 * 32 * 32 * 4),
    "its odd sizes": (lambda x, w: transposed(x, w, "VALID"), IMAGES, 440_000),
    "turned": (lambda x, y: fnp.concatenate([x, y]).T + 0, SQUARE, 2 * 4 * 64 * 64),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_pieces_are_written_where_they_end_up(name):
    function, args, most = PROGRAMS[name]
    np.testing.assert_allclose(fx.jit(function)(*args), function(*args), 1e-4, 1e-4)
    assert costs(lower_function(function, args))["temporary_bytes"] <= most


def test_channels_that_lie_apart_are_turned_from_one_array():
    """Written tile by tile, each element would be by itself."""
    x, w = normal(2, 16, 8, 8), normal(3, 3, 16, 16)
    f = lambda x, w: transposed(x, w, axes=("NCHW", "HWIO", "NCHW"))
    np.testing.assert_allclose(fx.jit(f)(x, w), f(x, w), 1e-4, 1e-4)


def test_parts_of_one_array_are_written_side_by_side():
    """Each waited for the one before it: as many launches, or levels of a team, as parts."""
    x = normal(512, 512)
    alone = lower_function(lambda x: x @ x, (x,)).plan.launches
    f = lambda x: fnp.concatenate([x @ (x + k) for k in range(4)])
    assert lower_function(f, (x,)).plan.launches <= alone + 1
    np.testing.assert_allclose(fx.jit(f)(x), f(x), 1e-3, 1e-3)


def test_what_others_read_is_no_part_of_another():
    b = g.Builder()
    x, y = b.input((4, 8), np.float32), b.input((4, 8), np.float32)
    inner = b.concat([x, y], 0)
    outer = b.transpose(b.reshape(b.concat([inner, inner], 0), (2, 8, 8)), (1, 0, 2))
    graph = b.graph([outer, inner])
    users = users_of(graph.nodes())
    found = pieces.pieces_of(outer, users, {id(inner)})
    assert [p.x for p in found] == [inner, inner]
    assert pieces.pieces_of(b.transpose(inner, (1, 0)), users, ()) == []  # its rows lie apart


def test_random_nests_of_concatenations(rng):
    for _ in range(40):
        x, y = (rng.normal(size=(4, 6, 8)).astype(np.float32) for _ in range(2))
        steps = [(int(rng.integers(5)), int(rng.integers(3))) for _ in range(5)]

        def f(x, y, steps=steps):
            a, b = fnp.sin(x), y * x
            for kind, axis in steps:
                if kind == 0:
                    a = fnp.concatenate([a, a + 1], axis)
                elif kind == 1:
                    a = fnp.stack([a, fnp.cos(a)], axis).reshape(-1, *a.shape[1:])
                elif kind == 2:
                    a = fnp.moveaxis(a, axis, 0)
                elif kind == 3:
                    a = lax.slice_in_dim(a, 0, a.shape[axis] - 1, axis=axis)
                else:
                    a = fnp.concatenate([a, b[: a.shape[0]].sum() * a[:, :1]], 1)
            return a

        np.testing.assert_allclose(fx.jit(lambda x, y, f=f: f(x, y))(x, y), f(x, y), 1e-5, 1e-5)
