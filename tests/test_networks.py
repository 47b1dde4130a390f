"""Sorts of few elements: one kernel of minima and maxima, equal to the sorts of many."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from fx import lax
from lowering.profile import AVX2, GPU
from lowering.rewrite import network

pytestmark = pytest.mark.lowering
DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16, np.int8, np.uint32, np.int32, np.bool_)


def launches(f, shape, dtype=np.float32, profile=AVX2):
    plan = lower_function(f, [fx.ShapeDtypeStruct(shape, dtype)], profile=profile).plan
    return plan.launches, plan.host_steps


@pytest.mark.parametrize("n", range(2, network.MOST + 1))
def test_comparisons_sort_all_rows_of_zeros_and_ones(n):
    """A network that sorts those sorts anything (Knuth, The Art of Computer Programming 3)."""
    rows = np.array(list(itertools.product((0, 1), repeat=n)), np.int8).T.copy()
    right = np.sort(rows, 0)
    for low, high in network.comparisons(n):
        assert low < high < n
        rows[low], rows[high] = np.minimum(rows[low], rows[high]), np.maximum(rows[low], rows[high])
    np.testing.assert_array_equal(rows, right)


def some(rng, shape, dtype):
    """Elements with ties; floats with what compares unusually."""
    x = rng.integers(0, 9, shape)
    if np.dtype(dtype).kind not in "iub":
        x = np.concatenate([x.ravel(), [np.nan, np.inf, -np.inf, -0.0, 0.0, -1.5] * 9])
        x = rng.permutation(x)[: np.prod(shape)].reshape(shape)
    return fnp.asarray(x.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape, axis", [((7, 40), 0), ((40, 7), 1), ((6, 16, 50), 1), ((3,), 0)])
def test_values_and_places(rng, dtype, shape, axis):
    x = some(rng, shape, dtype)
    last = fnp.moveaxis(x, axis, -1)
    for f, a in (
        (lambda x: fnp.sort(x, axis), x),
        (lambda x: fnp.argsort(x, axis), x),
        (lambda x: fnp.argsort(x, axis, descending=True), x),
        (lambda x: lax.top_k(x, 3), last),
        (lambda x: lax.top_k(x, 1)[0], last),
    ):
        for made, right in zip(fx.tree.leaves(fx.jit(f)(a)), fx.tree.leaves(f(a)), strict=True):
            assert made.dtype == right.dtype
            wide = np.float32 if dtype == ml_dtypes.bfloat16 else made.dtype
            np.testing.assert_array_equal(made.astype(wide), right.astype(wide))
    assert launches(lambda x: fnp.sort(x, axis), shape, dtype) == (1, 0)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint64])
def test_elements_of_64_bits(rng, dtype):
    """Sorted alone they are a network's; with places, which have no room beside them, they are
    not.
    """
    with fx.enable_x64():
        x = some(rng, (5, 90), dtype)
        np.testing.assert_array_equal(fx.jit(lambda x: fnp.sort(x, 0))(x), np.sort(x, 0))
        right = np.argsort(np.asarray(x), 0, kind="stable")
        np.testing.assert_array_equal(fx.jit(lambda x: fnp.argsort(x, 0))(x), right)


def test_the_signs_of_zeros_remain():
    x = np.float32([[0.0, -0.0, 0.0, -0.0]])
    values, places = fx.jit(lambda x: lax.top_k(x, 4))(x)
    np.testing.assert_array_equal(places, [[0, 1, 2, 3]])
    np.testing.assert_array_equal(np.signbit(values), np.signbit(x))
    assert np.signbit(fx.jit(lambda x: fnp.sort(x))(x)).sum() == 2


@pytest.mark.parametrize("profile", [AVX2, GPU])
def test_medians_of_pictures_are_one_kernel(profile):
    """Of all that is compared only what the middle depends on remains; nothing is stored."""

    def median(x):
        near = [fnp.roll(x, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        return fnp.median(fnp.stack(near), 0)

    args = [fx.ShapeDtypeStruct((512, 512), np.float32)]
    plan = lower_function(median, args, profile=profile).plan
    assert (plan.launches, plan.arena_bytes) == (1, 0)


def test_longer_rows_and_a_few_numbers_are_no_networks():
    assert len(network.comparisons(16)) == 63

    def source(shape):
        args = [fx.ShapeDtypeStruct(shape, np.int32)]
        return "".join(p.source for p in lower_function(fnp.sort, args, profile=AVX2).plan.programs)

    assert "min_i32" in source((500, 16)) and "min_i32" in source((8,))
    assert "min_i32" not in source((500, 17)) and "min_i32" not in source((2, 16))


def test_a_loop_that_sorts_is_one_kernel(rng):
    def f(x):
        def step(c, v):
            return fnp.sort(c) * 0.9 + v, fnp.argsort(-c)

        return lax.scan(step, fnp.zeros(12), x)

    x = fnp.asarray(rng.standard_normal((20, 12)), np.float32)
    assert launches(f, x.shape) == (1, 0)
    for made, right in zip(fx.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(made, right, rtol=1e-5, atol=1e-6)


def test_derivatives_follow_the_elements(rng):
    x = fnp.asarray(rng.standard_normal((9, 30)), np.float32)
    w = fnp.asarray(rng.standard_normal((9, 30)), np.float32)
    f = fx.grad(lambda x: (fnp.sort(x, 0) * w).sum() + fnp.median(x, 0).sum())
    np.testing.assert_allclose(fx.jit(f)(x), f(x), rtol=1e-5, atol=1e-6)
