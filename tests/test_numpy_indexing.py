"""x[...] and x.at[...]: NumPy's rules, JAX's bounds and modes, errors that give advice."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import errors, lax

A = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
M = A[0]
K = np.array([0, 2])
K2 = np.array([[0], [1]])

INDICES = [
    1,
    -1,
    (1, 2),
    (slice(None), 1),
    (slice(None, None, -1), slice(1, 3)),
    (slice(None, None, -2), slice(None, None, 3)),
    (..., None),
    (None, slice(None), None, 2),
    K,
    (slice(None), K),
    (K, K),
    (K2, K),
    (0, slice(None), K),
    (slice(None), 0, K),
    (K, slice(1, 3), K),
    (K, None, K),
    (slice(None), None, K, slice(None, None, 2)),
    (..., K, K2),
    A > 30,
    (A[:, 0, 0] > 10, 1),
    (A[:, :, 0] > 10, slice(None, None, 2)),
    True,
    False,
    (),
    slice(1, 1),
    (0, [1, 2]),
    (slice(None), np.uint8(1)),
    (slice(0, 2), K, 1),
]


@pytest.mark.parametrize("k", range(len(INDICES)))
def test_getitem_is_numpys(k):
    index = INDICES[k]
    expected = A[index]
    found = fnp.asarray(A)[index]
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)
    assert np.array_equal(fx.jit(lambda x: x[index])(A), expected)


OPERATIONS = {
    "set": lambda a, i, v: a.__setitem__(i, v),
    "add": np.add.at,
    "subtract": np.subtract.at,
    "multiply": np.multiply.at,
    "min": np.minimum.at,
    "max": np.maximum.at,
}


@pytest.mark.parametrize("op", OPERATIONS)
def test_at_is_numpys(op):
    for index in INDICES:
        expected = A.copy()
        OPERATIONS[op](expected, index, np.float32(7))
        assert np.array_equal(getattr(fnp.asarray(A).at[index], op)(7.0), expected), index


@pytest.mark.parametrize("k", range(len(INDICES)))
def test_at_with_arrays_and_its_derivative(k):
    index = INDICES[k]
    values = np.random.default_rng(0).normal(size=A[index].shape).astype(np.float32)
    expected = A.copy()
    expected[index] = values
    assert np.array_equal(fx.jit(lambda x, v: x.at[index].set(v))(A, values), expected)
    weights = np.random.default_rng(1).normal(size=A.shape).astype(np.float32)
    g = fx.grad(lambda v: (fnp.asarray(A).at[index].set(v) * weights).sum())(values)
    np.testing.assert_allclose(g, weights[index], rtol=1e-5, atol=1e-5)


def test_divide_power_apply():
    x = fnp.asarray(M)
    assert np.array_equal(x.at[1].divide(2.0), np.concatenate([M[:1], M[1:2] / 2, M[2:]]))
    assert np.array_equal(x.at[1].power(2), np.concatenate([M[:1], M[1:2] ** 2, M[2:]]))
    assert np.array_equal(x.at[K].apply(lambda v: -v)[K], -M[K])
    assert np.array_equal(x.at[1].apply(lambda v: -v)[1], -M[1])
    with fx.enable_x64(True):
        assert fnp.ones(3).at[np.array([0, 0, 2])].apply(lambda v: 3 * v).tolist() == [9, 1, 3]


# ---------------------------------------------------------------- bounds


def test_reads_are_clamped_and_writes_dropped():
    x = fnp.arange(3.0)
    far = np.array([5, -9])
    assert (x[5], x[-9]) == (2, 0) and x[far].tolist() == [2, 0]
    assert x.at[5].set(1.0).tolist() == x.at[far].set(1.0).tolist() == [0, 1, 2]
    assert fx.jit(lambda x, k: x.at[k].set(1.0))(x, 5).tolist() == [0, 1, 2]
    assert float(fx.jit(lambda x, k: x[k])(x, 5)) == 2


def test_modes():
    x = fnp.arange(3.0)
    assert np.isnan(x.at[5].get(mode="fill"))
    assert x.at[np.array([0, 5])].get(mode="fill", fill_value=7.0).tolist() == [0, 7]
    assert fnp.arange(3).at[5].get(mode="fill") == np.iinfo(np.int32).min
    assert x.at[5].set(9.0, mode="clip").tolist() == [0, 1, 9]
    assert x.at[-1].get(wrap_negative_indices=True) == 2
    with pytest.raises(ValueError, match="Unknown gather mode"):
        x.at[0].get(mode="nonsense")


def test_take_fills_clips_and_wraps():
    x = fnp.arange(3.0)
    k = np.array([0, 7, -1])
    assert np.array_equal(fnp.take(x, k), [0, np.nan, 2], equal_nan=True)
    assert fnp.take(x, k, mode="clip").tolist() == [0, 2, 0]
    assert fnp.take(x, k, mode="wrap").tolist() == [0, 1, 2]


def test_an_index_that_is_mapped():
    x = fnp.arange(12.0).reshape(3, 4)
    assert fx.vmap(lambda r, k: r[k])(x, np.array([0, 3, -1])).tolist() == [0, 7, 11]
    assert fx.vmap(lambda k: x[:, k])(np.array([1, 2])).shape == (2, 3)
    out = fx.vmap(lambda r, k, v: r.at[k].set(v))(x, np.array([0, 3, -1]), np.full(3, -1.0, "f"))
    assert [out[0, 0], out[1, 3], out[2, 3]] == [-1, -1, -1]


def test_static_slices_make_no_gather():
    names = [e.primitive.name for e in fx.make_jaxpr(lambda x: x[1:, ::-1, 2])(A).eqns]
    assert names == ["slice", "rev", "squeeze"]
    names = [e.primitive.name for e in fx.make_jaxpr(lambda x, k: x[k])(A, 1).eqns]
    assert "dynamic_slice" in names and "gather" not in names


# ---------------------------------------------------------------- errors

ERRORS = [
    (lambda x: x["a"], TypeError, "string indexing"),
    (lambda x: x[1.5], TypeError, "integer or boolean type"),
    (lambda x: x[1, 2, 3, 4], IndexError, "3-dimensional, but 4 were indexed"),
    (lambda x: x[[0, 1]], TypeError, "non-tuple sequence"),
    (lambda x: x[..., ...], IndexError, "single ellipsis"),
    (lambda x: x[{}], IndexError, "only integers, slices"),
    (lambda x: x[np.ones(4, bool)], IndexError, "did not match shape"),
    (lambda x: x[np.zeros((2, 3), int), np.zeros(4, int)], IndexError, "shape mismatch"),
    (lambda x: x.at[0].set(np.ones(7)), ValueError, "Incompatible shapes"),
    (lambda x: x.__setitem__(0, 1), TypeError, r"x\.at\[idx\]\.set"),
]


@pytest.mark.parametrize("k", range(len(ERRORS)))
def test_errors(k):
    call, kind, text = ERRORS[k]
    for x in (fnp.asarray(A),):
        with pytest.raises(kind, match=text):
            call(x)
    with pytest.raises(kind, match=text):
        fx.jit(call)(A)


def test_masks_must_be_concrete():
    with pytest.raises(errors.NonConcreteBooleanIndexError, match=r"bool\[3,4,5\]"):
        fx.jit(lambda x: x[x > 1])(A)
    assert fx.grad(lambda x: x[x > 1].sum())(fnp.arange(3.0)).tolist() == [0, 0, 1]


def test_slices_must_be_static():
    with pytest.raises(IndexError, match="static integers"):
        fx.jit(lambda x, k: x[:k])(A, 1)
    assert lax.dynamic_slice_in_dim(fnp.arange(5), 1, 2).tolist() == [1, 2]


def test_a_lossy_update_warns():
    with pytest.warns(FutureWarning, match="cannot safely cast"):
        assert fnp.arange(3).at[0].set(1.5).tolist() == [1, 1, 2]


WIDER = [  # x, index, operation, value, result in x's dtype
    (np.int32([3, -5]), 1, "add", 1.5, [3, -3]),
    (np.int32([3, -5]), [0, 0], "add", 1.5, [6, -5]),
    (np.int32([3, -5]), slice(1, 2), "multiply", -0.5, [3, 2]),
    (np.int32([3, -5]), [0, 0], "subtract", np.float32(0.6), [1, -5]),
    (np.int8([100, 1]), 0, "add", 50.0, [127, 1]),
    (np.int8([100, 1]), 0, "add", np.int32(56), [-100, 1]),
    (np.uint8([1, 2]), 0, "set", -3.7, [0, 2]),
    (np.int32([3, -5]), 0, "set", 3e9, [2**31 - 1, -5]),
    (np.int32([3, -5]), 0, "set", np.nan, [0, -5]),
    (np.array([True, False]), 0, "add", -1.0, [False, False]),
    (np.float16([1, 2]), [0] * 4, "add", np.float32(3e-4), [np.float16(1.0012), 2]),
    (np.int32([8, 8]), [0, 0], "divide", 2.5, [8 / 6, 8]),
    (np.int32([3, 2]), [0, 0], "power", 1.5, [9, 2]),
    (np.uint8([0, 2]), 0, "max", np.int8(-1), [0, 2]),
    (np.uint8([0, 2]), [0, 0, 1], "max", np.int8([-1, 3, 5]), [3, 5]),
    (np.uint8([0, 2]), [0, 0, 1], "min", np.int8([-1, 3, 5]), [255, 2]),
    (np.int8([-1, 3]), [0, 0], "max", np.uint8([200, 1]), [-56, 3]),
    (np.array([True, False]), 1, "max", np.int8(-1), [True, False]),
]


@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")
@pytest.mark.parametrize("x, index, op, value, expected", WIDER, ids=lambda v: str(v)[:12])
def test_updates_of_a_wider_type_are_converted_at_the_end(x, index, op, value, expected):
    """Each was rounded by itself, or wrapped, before it was added or compared."""
    index = np.array(index) if isinstance(index, list) else index

    def f(x):
        return getattr(x.at[index], op)(value)

    for call in (f, fx.jit(f)):
        out = call(fnp.asarray(x))
        assert out.dtype == (np.float32 if op == "divide" else x.dtype)
        np.testing.assert_allclose(out, np.array(expected, out.dtype), rtol=1e-6)


@pytest.mark.parametrize("index", [0, slice(2), np.array([0])])
def test_an_unknown_mode_of_an_update_raises_for_every_index(index):
    with pytest.raises(ValueError, match="Unknown gather mode"):
        fnp.arange(3).at[index].set(5, mode="nearest")
