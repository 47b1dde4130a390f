"""Single matrices by SciPy's LAPACK: layouts, values, and what has none."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg as sl

import fx
import fx.numpy as fnp
from fx.prims import lapack

rng = np.random.default_rng(0)
SHAPES = [(5, 5), (70, 40), (40, 70), (256, 256), (300, 512)]
TYPES = [np.float32, np.float64, np.complex64, np.complex128]


def matrix(*of: Any) -> np.ndarray:
    m, n, dtype = of
    a = rng.standard_normal((m, n))
    if np.dtype(dtype).kind == "c":
        a = a + 1j * rng.standard_normal((m, n))
    return a.astype(dtype)


def close(got: np.ndarray, want: np.ndarray) -> None:
    single = want.dtype in (np.float32, np.complex64)
    np.testing.assert_allclose(got, want, rtol=0, atol=(5e-5 if single else 1e-11) * len(want))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_turned_by_strips_is_the_matrix(shape, dtype):
    a = matrix(*shape, dtype)
    columns = lapack.by_columns(a)
    assert columns.flags.f_contiguous and np.array_equal(columns, a)
    assert not np.shares_memory(columns, a)
    rows = lapack.by_rows(columns)
    assert rows.flags.c_contiguous and np.array_equal(rows, a)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [*SHAPES[:-1], (160, 512)])  # lines apart, square and wide
@pytest.mark.parametrize("full", [False, True])
def test_factors_are_those_of_scipy(shape, dtype, full):
    a = matrix(*shape, dtype)
    mode = "full" if full else "economic"
    for got, want in zip(lapack.qr(a, full), sl.qr(a, mode=mode)):
        close(got, want)
    u, s, vt = sl.svd(a, full_matrices=full)
    for got, want in zip(lapack.svd(a, full, True), (s, u, vt)):
        close(got, want)
    close(lapack.svd(a, full, False)[0], s)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("lower", [False, True])
def test_eigenvalues_read_one_triangle(dtype, lower):
    a = matrix(40, 40, dtype)
    h = np.tril(a) + np.tril(a, -1).conj().T
    h[np.diag_indices(40)] = np.real(h.diagonal())
    seen = np.tril(h) if lower else np.triu(h)
    w, v = sl.eigh(h, lower=lower, driver="evd")
    close(lapack.eigh(seen, lower, False)[0], w)
    values, vectors = lapack.eigh(seen, lower, True)
    close(values, w)
    close(vectors, v)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("columns", [1, 7])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular_systems_of_all_sides(dtype, columns, left, lower):
    a = matrix(30, 30, dtype) / 30 + 2 * np.eye(30, dtype=dtype)
    b = matrix(30, columns, dtype) if left else matrix(columns, 30, dtype)
    for transpose in (False, True):
        for unit in (False, True):
            t = np.tril(a) if lower else np.triu(a)
            if unit:
                t[np.diag_indices(30)] = 1
            op = t.T if transpose else t
            want = np.linalg.solve(op, b) if left else np.linalg.solve(op.T, b.T).T
            close(lapack.triangular_solve(a, b, left, lower, transpose, unit), want)
    a[3, 3] = 0
    assert np.isnan(lapack.triangular_solve(a, b, left, lower, False, False)).all()


@pytest.mark.parametrize("n", [5, 70])
def test_a_matrix_without_values_leaves_those_of_others(n):
    x = np.stack([matrix(n, n, np.float32) for _ in range(3)])
    x = x + np.swapaxes(x, -1, -2)
    broken = x.copy()
    broken[1] = np.nan
    for f in (fnp.linalg.svd, fnp.linalg.eigh, fnp.linalg.eigvalsh, fnp.linalg.svdvals):
        for g in (f, fx.jit(f)):
            for got, want in zip(fx.tree.leaves(g(broken)), fx.tree.leaves(f(x))):
                assert np.isnan(np.asarray(got[1])).all(), f
                values = np.abs(got)[::2], np.abs(want)[::2]  # signs of vectors are free
                np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-3)


def test_one_matrix_does_not_go_to_numpy(monkeypatch):
    def unexpected(*args, **kwargs):
        raise AssertionError("NumPy's LAPACK was called")

    for name in ("svd", "eigh", "eigvalsh", "qr"):
        monkeypatch.setattr(np.linalg, name, unexpected)
    x = matrix(70, 70, np.float32)
    for f in (fnp.linalg.svd, fnp.linalg.eigh, fnp.linalg.eigvalsh, fnp.linalg.qr):
        fx.block_until_ready(fx.jit(f)(x))
