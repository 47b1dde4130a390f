"""fx.numpy against NumPy: selection."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_cases import b, c, check, f, i, nanx, p

import fx
import fx.numpy as fnp

pytestmark = pytest.mark.eager

CASES = [
    (lambda xp: xp.take(f(5), np.array([0, 7, -1]), mode="clip"), "float32"),
    (lambda xp: xp.take(f(5), np.array([0, 7, -1]), mode="wrap"), "float32"),
    (lambda xp: xp.take(f(3, 4), np.array([[0, 1], [2, 3]]), axis=1), "float32"),
    (lambda xp: xp.take(f(3, 4), 1, axis=0), "float32"),
    (lambda xp: xp.take_along_axis(f(3, 4), np.argsort(f(3, 4), 1), 1), "float32"),
    (lambda xp: xp.take_along_axis(f(3, 4), np.array([0, 5]), None), "float32"),
    (lambda xp: xp.where(b(4), 1, 2.0), "float32*"),
    (lambda xp: xp.where(b(4), f(4), i(4)), "float32"),
    (lambda xp: xp.where(b(3, 4)), "int32"),
    (lambda xp: xp.where(i(4), f(2, 4), 0), "float32"),
    (lambda xp: xp.select([b(4), ~b(4)], [f(4), i(4)], 9), "float32"),
    (lambda xp: xp.choose(np.array([0, 1, 1]), [i(3), f(3)]), "float32"),
    (lambda xp: xp.choose(np.array([0, 4, 1]), [i(3), f(3)], mode="wrap"), "float32"),
    (lambda xp: xp.piecewise(f(4), [f(4) < 0, f(4) >= 0], [-1, lambda x: x * 2]), "float32"),
    (lambda xp: xp.compress(np.array([True, False, True]), f(3, 4), axis=0), "float32"),
    (lambda xp: xp.tril(f(3, 4)), "float32"),
    (lambda xp: xp.triu(f(2, 3, 3), 1), "float32"),
    (lambda xp: xp.diagonal(f(3, 4), 1), "float32"),
    (lambda xp: xp.diagonal(f(2, 3, 4), 0, 1, 2), "float32"),
    (lambda xp: xp.trace(f(3, 4)), "float32"),
    (lambda xp: xp.trace(i(3, 3), 1), "int32"),
    (lambda xp: xp.diag(f(3), 1), "float32"),
    (lambda xp: xp.diag(f(3, 4), -1), "float32"),
    (lambda xp: xp.diagflat(i(2, 2)), "int32"),
    (lambda xp: xp.tril_indices(3, 1), "int32"),
    (lambda xp: xp.triu_indices(2, 0, 4), "int32"),
    (lambda xp: xp.diag_indices(3), "int32"),
    (lambda xp: xp.ix_(i(2), i(3)), "int32"),
    (lambda xp: xp.unravel_index(np.array([5, 7]), (3, 4)), "int32"),
    (lambda xp: xp.ravel_multi_index((np.array([1, 2]), np.array([3, 0])), (3, 4)), "int32"),
    (
        lambda xp: xp.ravel_multi_index((np.array([1, 4]), np.array([3, 5])), (3, 4), mode="clip"),
        "int32",
    ),
    (lambda xp: xp.nonzero(i(3, 4)), "int32"),
    (lambda xp: xp.flatnonzero(i(6)), "int32"),
    (lambda xp: xp.argwhere(i(2, 3)), "int32"),
    (lambda xp: xp.unique(i(8)), "int32"),
    (
        lambda xp: xp.unique(i(8), return_index=True, return_inverse=True, return_counts=True),
        "int32",
    ),
    (lambda xp: xp.unique(i(4, 2) % 2, axis=0), "int32"),
    (lambda xp: xp.unique(np.array([np.nan, 1, np.nan], "float32")), "float32"),
    (lambda xp: xp.unique_all(i(5)), "int32"),
    (lambda xp: xp.unique_counts(i(5)), "int32"),
    (lambda xp: xp.unique_inverse(i(5)), "int32"),
    (lambda xp: xp.bincount(np.array([0, 1, 1, 3])), "int32"),
    (lambda xp: xp.bincount(np.array([0, 1, 1, 3]), weights=f(4), minlength=6), "float32"),
    (lambda xp: xp.histogram(f(20), 5), "float32"),
    (lambda xp: xp.histogram(f(20), np.array([-1.0, 0, 1]), weights=p(20)), "float32"),
    (lambda xp: xp.histogram(f(20), 4, range=(-1, 1), density=True), "float32"),
    (lambda xp: xp.histogram_bin_edges(f(20), 4), "float32"),
    (lambda xp: xp.histogram2d(f(20), p(20), 3), "int32 float32"),
    (lambda xp: xp.histogramdd(f(20, 3), 2), "int32 float32"),
    (lambda xp: xp.histogramdd(f(20, 2), [2, 3], density=True), "float32"),
    (lambda xp: xp.sort(f(3, 4)), "float32"),
    (lambda xp: xp.sort(f(3, 4), axis=None), "float32"),
    (lambda xp: xp.sort(nanx()), "float32"),
    (lambda xp: xp.sort(c(5)), "complex64"),
    (lambda xp: xp.argsort(nanx(), 1), "int32"),
    (lambda xp: xp.lexsort((i(5), i(5)[::-1])), "int32"),
    (lambda xp: xp.searchsorted(np.sort(f(6)), f(3)), "int32"),
    (lambda xp: xp.searchsorted(np.sort(f(6)), np.nan), "int32"),
    (lambda xp: xp.searchsorted(np.array([1, 2, 2, 3]), 2, side="right"), "int32"),
    (lambda xp: xp.digitize(f(5), np.array([-1.0, 0, 1])), "int32"),
    (lambda xp: xp.digitize(f(5), np.array([1.0, 0, -1]), right=True), "int32"),
    (lambda xp: xp.sort(xp.roots(np.array([1.0, -3, 2, 0]))), "complex64"),
    (lambda xp: xp.intersect1d(i(4), i(5), return_indices=True), "int32"),
    (lambda xp: xp.isin(i(4), i(5)), "bool"),
    (lambda xp: xp.sort(xp.linalg.eigvals(f(3, 3))), "complex64"),
    (lambda xp: xp.sort(xp.linalg.eig(f(3, 3))[0]), "complex64"),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_selection(case):
    check(case)


@pytest.mark.parametrize("density", [False, True])
def test_counts_of_histograms_have_the_dtypes_of_jax(density):
    with fx.enable_x64(True):
        x = fnp.arange(6, dtype="float32")
        counts, _, _ = fnp.histogram2d(x, x, bins=2, density=density)
        assert counts.dtype == ("float32" if density else "int64")


@pytest.mark.parametrize("f", [fnp.tril_indices, fnp.triu_indices])
def test_sizes_of_triangles_are_integers(f):
    for sizes in ((2.5,), (3, 0, 1.5)):
        with pytest.raises(TypeError, match="integer"):
            f(*sizes)
