"""fx.numpy against NumPy: creation."""

from __future__ import annotations

from collections import UserList, deque

import numpy as np
import pytest
from numpy_cases import b, c, check, f, i, p

import fx
import fx.numpy as fnp

pytestmark = pytest.mark.eager

CASES = [
    (lambda xp: xp.array([1, 2, 3]), "int32"),
    (lambda xp: xp.array([1.0, 2]), "float32"),
    (lambda xp: xp.array([True, 2]), "int32"),
    (lambda xp: xp.array(3), "int32*"),
    (lambda xp: xp.array([[1, 2], [3, 4]], dtype=np.float16), "float16"),
    (lambda xp: xp.array([xp.ones(2), xp.zeros(2)]), "float32"),
    (lambda xp: xp.array([]), "float32"),
    (lambda xp: xp.asarray(2.0), "float32*"),
    (lambda xp: xp.asarray(np.arange(3.0)), "float32"),
    (lambda xp: xp.array(1, ndmin=3), "int32*"),
    (lambda xp: xp.zeros((2, 3), int), "int32"),
    (lambda xp: xp.ones(3, "float32"), "float32"),
    (lambda xp: xp.full((2, 2), 3), "int32*"),
    (lambda xp: xp.full((2, 2), 3.0, dtype=np.int32), "int32"),
    (lambda xp: xp.full((2, 2), xp.arange(2)), "int32"),
    (lambda xp: xp.zeros_like(i(3)), "int32"),
    (lambda xp: xp.ones_like(f(3), shape=(2, 2)), "float32"),
    (lambda xp: xp.full_like(i(3), 2.5), "int32"),
    (lambda xp: xp.arange(5), "int32"),
    (lambda xp: xp.arange(1, 10, 3), "int32"),
    (lambda xp: xp.arange(0.0, 1.0, 0.1), "float32"),
    (lambda xp: xp.arange(5, 0, -1), "int32"),
    (lambda xp: xp.arange(3, dtype=np.float16), "float16"),
    (lambda xp: xp.arange(2.5), "float32"),
    (lambda xp: xp.linspace(0, 1, 5), "float32"),
    (lambda xp: xp.linspace(0, 10, 5, dtype=int), "int32"),
    (lambda xp: xp.linspace(0, 1, 5, endpoint=False, retstep=True), "float32"),
    (lambda xp: xp.linspace(f(3), p(3), 4, axis=1), "float32"),
    (lambda xp: xp.linspace(0, 1, 1), "float32"),
    (lambda xp: xp.linspace(0, 1, 0), "float32"),
    (lambda xp: xp.logspace(0, 2, 4), "float32"),
    (lambda xp: xp.geomspace(1, 1000, 4), "float32"),
    (lambda xp: xp.geomspace(-1, -100, 3), "float32"),
    (lambda xp: xp.eye(3), "float32"),
    (lambda xp: xp.eye(2, 3, 1, dtype=int), "int32"),
    (lambda xp: xp.identity(2), "float32"),
    (lambda xp: xp.tri(3, 4, 1), "float32"),
    (lambda xp: xp.indices((2, 3)), "int32"),
    (lambda xp: xp.indices((2, 3), sparse=True), "int32"),
    (lambda xp: xp.meshgrid(xp.arange(2), xp.arange(3.0)), "int32 float32"),
    (
        lambda xp: xp.meshgrid(xp.arange(2), xp.arange(3.0), indexing="ij", sparse=True),
        "int32 float32",
    ),
    (lambda xp: xp.frombuffer(b"\x01\x00\x00\x00", dtype=np.int32), "int32"),
    (lambda xp: xp.asarray(f(3)).astype("float16"), "float16"),
    (lambda xp: xp.asarray(c(3)).astype("float32"), "float32"),
    (lambda xp: xp.asarray(p(4)) ** xp.asarray(f(4)), "float32"),
    (lambda xp: xp.arange(3) ** 2, "int32"),
    (lambda xp: xp.arange(3) ** 2.0, "float32*"),
    (lambda xp: xp.asarray(2.0) * 2, "float32*"),
    (lambda xp: xp.asarray(2.0) * f(2), "float32"),
    (lambda xp: xp.asarray(i(2, 3)).reshape(3, 2), "int32"),
    (lambda xp: xp.asarray(i(2, 3)).reshape(-1), "int32"),
    (lambda xp: xp.asarray(f(3, 4))[1], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[:, 1], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[::-1, 1:3], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[::-2, ::3], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[..., None], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[None, :, None, 2], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[np.array([0, 2])], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[np.array([[0, 1], [2, 0]]), np.array([1, 2])], "float32"),
    (lambda xp: xp.asarray(f(3, 4, 5))[0, :, np.array([1, 2])], "float32"),
    (lambda xp: xp.asarray(f(3, 4, 5))[:, 0, np.array([1, 2])], "float32"),
    (lambda xp: xp.asarray(f(3, 4, 5))[np.array([0, 1]), 1:3, np.array([1, 2])], "float32"),
    (lambda xp: xp.asarray(f(3, 4, 5))[np.array([0, 1]), None, np.array([1, 2])], "float32"),
    (lambda xp: xp.asarray(f(3, 4, 5))[:, None, np.array([0, 1]), ::2], "float32"),
    (lambda xp: xp.asarray(f(3, 4, 5))[..., np.array([0, 1]), np.array([[1], [2]])], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[f(3, 4) > 0], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[f(3) > 0], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[:, f(4) > 0], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[f(3) > 0, 1], "float32"),
    (lambda xp: xp.asarray(f(3, 4, 5))[f(3, 4) > 0, ::2], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[True], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[False], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[np.array(True), 1], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[0, [1, 2]], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[xp.array(1)], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[xp.array(1), xp.array([0])], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[np.uint8(1)], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[xp.array([1, 2], "uint8")], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[()], "float32"),
    (lambda xp: xp.asarray(f(3, 4))[1:1], "float32"),
    (lambda xp: xp.asarray(f(3, 4)).T, "float32"),
    (lambda xp: xp.asarray(f(2, 3, 4)).mT, "float32"),
    (lambda xp: xp.asarray(f(3, 4)).sum(0), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).mean(), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).std(1), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).flatten(), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).clip(0, 1), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).argmax(1), "int32"),
    (lambda xp: xp.asarray(f(3, 4)).round(1), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).take(np.array([1, 2])), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).dot(f(4)), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).view("int32"), "int32"),
    (lambda xp: xp.asarray(f(3, 4)).view("int16"), "int16"),
    (lambda xp: xp.asarray(c(4)).view("float32"), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).view("complex64"), "complex64"),
    (lambda xp: xp.asarray(c(4)).real, "float32"),
    (lambda xp: xp.asarray(f(3, 4)).repeat(2, axis=0), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).diagonal(), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).trace(), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).var(), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).swapaxes(0, 1), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).transpose(1, 0), "float32"),
    (lambda xp: xp.asarray(f(3, 4)).transpose((1, 0)), "float32"),
    (lambda xp: xp.asarray(f(1, 4)).squeeze(), "float32"),
    (lambda xp: xp.asarray(b(4)).all(), "bool"),
    (lambda xp: xp.asarray(i(4)).nonzero(), "int32"),
    (lambda xp: xp.asarray(f(4)).cumsum(), "float32"),
    (lambda xp: xp.asarray(f(4)).astype(np.int8), "int8"),
    (lambda xp: xp.asarray(f(4)).compress(np.array([True, False, True, True])), "float32"),
    (lambda xp: xp.asarray(i(4)) // 2, "int32"),
    (lambda xp: xp.asarray(i(4)) % 3, "int32"),
    (lambda xp: xp.asarray(i(4)) << 1, "int32"),
    (lambda xp: xp.asarray(i(4)) & 3, "int32"),
    (lambda xp: xp.asarray(f(4)) ** 2, "float32"),
    (lambda xp: xp.asarray(f(3, 4)) @ f(4), "float32"),
    (lambda xp: xp.asarray(i(4).astype("int8")) * 2, "int8"),
    (lambda xp: xp.asarray(i(4).astype("int8")) + 1.5, "float32*"),
    (lambda xp: xp.asarray(f(4).astype("float16")) * 2.5, "float16"),
    (lambda xp: xp.asarray(f(4).astype("float16")) * 1e10, "float16"),
    (lambda xp: xp.asarray(b(4)) + b(4), "bool"),
    (lambda xp: xp.asarray(b(4)) * 2, "int32*"),
    (lambda xp: xp.asarray(i(4)) / 2, "float32"),
    (lambda xp: xp.asarray(f(4)) > xp.asarray(i(4)), "bool"),
    (lambda xp: xp.asarray(3) < 2, "bool"),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_creation(case):
    check(case)


def test_floats_that_fill_integers_saturate():
    for fill, expected in ((300.7, 255), (-3.7, 0), (np.nan, 0)):
        assert fnp.full(2, fill, "uint8").tolist() == [expected] * 2


@pytest.mark.parametrize("kind", [range, deque, UserList])
def test_arrays_of_sequences(kind):
    given = range(3) if kind is range else kind([0, 1, 2])
    for x in (fnp.array(given), fnp.asarray(given), fnp.asarray([given, given])[1]):
        assert x.tolist() == [0, 1, 2] and x.dtype == np.int32
    with pytest.raises(TypeError):
        fnp.asarray("012")
    with pytest.raises(TypeError):
        fnp.asarray({1, 2})


def test_diagonals_of_triangles_may_be_traced():
    ones = fx.vmap(lambda k: fnp.tri(3, 4, k))(np.array([-1, 0, 2]))
    np.testing.assert_array_equal(ones, [np.tri(3, 4, k) for k in (-1, 0, 2)])
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    mapped = fx.vmap(lambda k: fnp.triu(x, k))(np.array([-1, 1]))
    np.testing.assert_array_equal(mapped, [np.triu(x, -1), np.triu(x, 1)])
