"""fx.numpy against NumPy: manipulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_cases import b, check, f, i

import fx.numpy as fnp

pytestmark = pytest.mark.eager

CASES = [
    (lambda xp: xp.reshape(i(6), (2, -1)), "int32"),
    (lambda xp: xp.reshape(i(2, 3), 6, order="F"), "int32"),
    (lambda xp: xp.ravel(i(2, 3), order="F"), "int32"),
    (lambda xp: xp.resize(i(4), (3, 2)), "int32"),
    (lambda xp: xp.squeeze(i(1, 3, 1)), "int32"),
    (lambda xp: xp.squeeze(i(1, 3, 1), 0), "int32"),
    (lambda xp: xp.expand_dims(i(3), (0, 2)), "int32"),
    (lambda xp: xp.atleast_1d(1.0, i(3)), "float32* int32"),
    (lambda xp: xp.atleast_2d(i(3)), "int32"),
    (lambda xp: xp.atleast_3d(i(3), i(2, 3)), "int32"),
    (lambda xp: xp.transpose(f(2, 3, 4)), "float32"),
    (lambda xp: xp.transpose(f(2, 3, 4), (1, -1, 0)), "float32"),
    (lambda xp: xp.permute_dims(f(2, 3, 4), (1, 2, 0)), "float32"),
    (lambda xp: xp.matrix_transpose(f(2, 3, 4)), "float32"),
    (lambda xp: xp.swapaxes(f(2, 3, 4), 0, 2), "float32"),
    (lambda xp: xp.moveaxis(f(2, 3, 4), [0, 1], [-1, 0]), "float32"),
    (lambda xp: xp.rollaxis(f(2, 3, 4), 2, 1), "float32"),
    (lambda xp: xp.flip(f(2, 3)), "float32"),
    (lambda xp: xp.flipud(f(2, 3)), "float32"),
    (lambda xp: xp.fliplr(f(2, 3)), "float32"),
    (lambda xp: xp.rot90(f(2, 3)), "float32"),
    (lambda xp: xp.rot90(f(2, 3), 2), "float32"),
    (lambda xp: xp.rot90(f(2, 3), 3), "float32"),
    (lambda xp: xp.roll(f(2, 3), 1), "float32"),
    (lambda xp: xp.roll(f(2, 3), (1, -1), (0, 1)), "float32"),
    (lambda xp: xp.roll(f(2, 3), 4, 1), "float32"),
    (lambda xp: xp.roll(f(2, 3), (1, 1), (1,)), "float32"),
    (lambda xp: xp.roll(f(2, 3), (1, 2), 0), "float32"),
    (lambda xp: xp.broadcast_to(f(3), (2, 3)), "float32"),
    (lambda xp: xp.broadcast_arrays(f(3), f(2, 1)), "float32"),
    (lambda xp: xp.tile(i(2), 3), "int32"),
    (lambda xp: xp.tile(i(2, 2), (2, 1, 2)), "int32"),
    (lambda xp: xp.tile(i(2, 2), ()), "int32"),
    (lambda xp: xp.repeat(i(3), 2), "int32"),
    (lambda xp: xp.repeat(i(2, 2), np.array([1, 2]), axis=1), "int32"),
    (lambda xp: xp.repeat(i(3), np.array([1, 0, 2])), "int32"),
    (lambda xp: xp.concatenate([i(2), f(3)]), "float32"),
    (lambda xp: xp.concatenate([i(2, 2), i(2, 3)], axis=1), "int32"),
    (lambda xp: xp.concatenate([i(2, 2), i(2, 3)], axis=None), "int32"),
    (lambda xp: xp.concat([i(2), i(2)]), "int32"),
    (lambda xp: xp.stack([i(2), f(2)], axis=-1), "float32"),
    (lambda xp: xp.stack([1.0, 2.0]), "float32*"),
    (lambda xp: xp.vstack([i(2), i(2)]), "int32"),
    (lambda xp: xp.hstack([i(2), i(3)]), "int32"),
    (lambda xp: xp.hstack([i(2, 2), i(2, 3)]), "int32"),
    (lambda xp: xp.dstack([i(2), i(2)]), "int32"),
    (lambda xp: xp.column_stack([i(2), i(2, 2)]), "int32"),
    (lambda xp: xp.block([[i(2, 2), i(2, 1)], [i(1, 3)]]), "int32"),
    (lambda xp: xp.block([1, i(2)]), "int32"),
    (lambda xp: xp.split(i(6), 3), "int32"),
    (lambda xp: xp.split(i(6), [1, 4]), "int32"),
    (lambda xp: xp.array_split(i(7), 3), "int32"),
    (lambda xp: xp.array_split(i(5), 4), "int32"),
    (lambda xp: xp.vsplit(i(4, 2), 2), "int32"),
    (lambda xp: xp.hsplit(i(2, 4), 2), "int32"),
    (lambda xp: xp.dsplit(i(2, 2, 4), 2), "int32"),
    (lambda xp: xp.unstack(i(2, 3), axis=1), "int32"),
    (lambda xp: xp.append(i(2, 3), i(1, 3), axis=0), "int32"),
    (lambda xp: xp.insert(i(4), 2, 9), "int32"),
    (lambda xp: xp.insert(i(4), np.array([1, 3]), np.array([7, 8])), "int32"),
    (lambda xp: xp.insert(i(2, 3), 1, 5, axis=1), "int32"),
    (lambda xp: xp.insert(i(2, 3), 1, np.array([5, 6]), axis=1), "int32"),
    (lambda xp: xp.insert(i(2, 3), np.array([0, 2]), f(2, 2), axis=1), "int32"),
    (lambda xp: xp.insert(i(4), slice(0, 3), 8), "int32"),
    (lambda xp: xp.delete(i(5), 2), "int32"),
    (lambda xp: xp.delete(i(5), np.array([0, 3])), "int32"),
    (lambda xp: xp.delete(i(2, 5), slice(1, 4, 2), axis=1), "int32"),
    (lambda xp: xp.packbits(b(3, 10), axis=1), "uint8"),
    (lambda xp: xp.packbits(b(10), bitorder="little"), "uint8"),
    (lambda xp: xp.unpackbits(np.array([3, 200], "uint8")), "uint8"),
    (
        lambda xp: xp.unpackbits(
            np.array([[3], [200]], "uint8"), axis=1, count=5, bitorder="little"
        ),
        "uint8",
    ),
    (lambda xp: xp.pad(i(3), 2), "int32"),
    (lambda xp: xp.pad(i(2, 3), ((1, 0), (0, 2)), constant_values=9), "int32"),
    (lambda xp: xp.pad(i(2, 3), ((1, 0), (0, 2)), constant_values=((1, 2), (3, 4))), "int32"),
    (lambda xp: xp.pad(i(3), (1, 2), mode="edge"), "int32"),
    (lambda xp: xp.pad(i(3), (4, 5), mode="reflect"), "int32"),
    (lambda xp: xp.pad(f(3), (4, 5), mode="reflect", reflect_type="odd"), "float32"),
    (lambda xp: xp.pad(i(3), (4, 5), mode="symmetric"), "int32"),
    (lambda xp: xp.pad(f(3), (4, 5), mode="symmetric", reflect_type="odd"), "float32"),
    (lambda xp: xp.pad(i(3), (4, 5), mode="wrap"), "int32"),
    (lambda xp: xp.pad(f(2, 3), 1, mode="linear_ramp", end_values=5), "float32"),
    (lambda xp: xp.pad(i(2, 3), 2, mode="mean"), "int32"),
    (lambda xp: xp.pad(f(2, 3), 2, mode="median"), "float32"),
    (lambda xp: xp.pad(f(2, 3), 2, mode="maximum", stat_length=2), "float32"),
    (lambda xp: xp.pad(f(2, 3), 2, mode="minimum", stat_length=((1, 1), (2, 1))), "float32"),
    (lambda xp: xp.mgrid[0:3, 0:2], "int32"),
    (lambda xp: xp.mgrid[0:1:3j], "float32"),
    (lambda xp: xp.ogrid[0:3, 0:2], "int32"),
    (lambda xp: xp.r_[1:4, 7, i(2)], "int32"),
    (lambda xp: xp.c_[i(2), i(2)], "int32"),
    (lambda xp: xp.r_["1,2,0", i(2), i(2)], "int32"),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_manipulation(case):
    check(case)


def test_the_error_for_tuples_of_blocks_shows_them():
    with pytest.raises(ValueError, match=r"tuples, got \(1, 2\)"):
        fnp.block((1, 2))


@pytest.mark.parametrize("x", [[[1], [2]], (1.0, 2.0), range(3), [fnp.ones(2)] * 3])
def test_shapes_of_lists_warn(x):
    for name in ("shape", "ndim", "size"):
        with pytest.warns(DeprecationWarning, match="got a"):
            assert getattr(fnp, name)(x) == getattr(np, name)(x)
