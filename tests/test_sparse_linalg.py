"""fx.experimental.sparse.linalg against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import fx
from fx import numpy as fnp
from fx.experimental.sparse import linalg


def _system(n: int = 6):
    matrix = sparse.random(n, n, 0.4, random_state=1) + 3 * sparse.eye(n)
    return matrix.tocsr().astype(np.float32), np.arange(n, dtype=np.float32)


@pytest.mark.parametrize("jit", [False, True])
def test_spsolve_and_its_derivatives(jit):
    m, b = _system()

    def solve(data, b):
        return linalg.spsolve(data, m.indices, m.indptr, b)

    def dense(data, b):
        rows = np.repeat(np.arange(6), np.diff(m.indptr))
        return fnp.linalg.solve(fnp.zeros((6, 6)).at[rows, m.indices].set(data), b)

    def gradient(f):
        return fx.grad(lambda data, b: (f(data, b) ** 2).sum(), (0, 1))(m.data, b)

    run = fx.jit(solve) if jit else solve
    np.testing.assert_allclose(run(m.data, b), dense(m.data, b), 1e-4, 1e-5)
    for got, expected in zip(gradient(run), gradient(dense), strict=True):
        np.testing.assert_allclose(got, expected, 1e-3, 1e-4)
    many = np.stack([b, b + 1])
    expected = np.stack([dense(m.data, v) for v in many])
    np.testing.assert_allclose(fx.vmap(lambda v: run(m.data, v))(many), expected, 1e-4, 1e-5)


def test_spsolve_says_which_shapes_belong_together():
    m, b = _system()
    with pytest.raises(ValueError, match="indptr"):
        linalg.spsolve(m.data, m.indices, m.indptr[:-1], b)


@pytest.mark.parametrize("as_function", [False, True])
def test_lobpcg_finds_the_largest_eigenvalues(as_function):
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    matrix = ((q * np.linspace(1, 20, 40)) @ q.T).astype(np.float32)
    start = rng.standard_normal((40, 3)).astype(np.float32)
    given = (lambda v: matrix @ v) if as_function else matrix
    theta, vectors, steps = fx.jit(lambda x: linalg.lobpcg_standard(given, x, m=150))(start)
    np.testing.assert_allclose(theta, np.linalg.eigvalsh(matrix)[:-4:-1], 1e-4)
    np.testing.assert_allclose(matrix @ vectors, vectors * theta, atol=2e-2)
    assert 0 < steps < 150


@pytest.mark.parametrize("k", [0, 8])
def test_lobpcg_needs_few_columns(k):
    with pytest.raises(ValueError, match="search dim"):
        linalg.lobpcg_standard(np.eye(40, dtype=np.float32), np.ones((40, k), np.float32))
