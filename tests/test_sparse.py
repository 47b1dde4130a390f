"""fx.experimental.sparse: BCOO against the dense array it stands for."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx.experimental import sparse
from fx.experimental.sparse import BCOO

D = np.array([[0, 2, 0, 0], [3, 0, 0, -1], [0, 0, 0, 5]], np.float32)
V = np.array([1, -2, 3, 0.5], np.float32)
M = BCOO.fromdense(D)


def test_round_trip():
    assert repr(M) == "BCOO(float32[3, 4], nse=4)"
    assert np.array_equal(M.todense(), D)
    assert np.array_equal(fx.jit(lambda x: BCOO.fromdense(x, nse=6).todense())(D), D)
    batched = BCOO.fromdense(np.stack([D, 2 * D]), n_batch=1)
    assert batched.n_batch == 1 and np.array_equal(batched.todense(), np.stack([D, 2 * D]))
    rows = BCOO.fromdense(D, n_dense=1)
    assert rows.n_dense == 1 and np.array_equal(rows.todense(), D)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_products(wrap):
    w = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert np.array_equal(wrap(lambda m: m @ V)(M), D @ V)
    assert np.array_equal(wrap(lambda m: m @ w)(M), D @ w)
    assert np.array_equal(wrap(lambda m: w.T @ m.T)(M), w.T @ D.T)
    assert np.array_equal(wrap(lambda m: (m * V).todense())(M), D * V)
    assert np.array_equal(wrap(lambda m: (m * 2.0 - m).todense())(M), D)
    assert np.array_equal(wrap(lambda m: (m * m).todense())(M), D * D)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_matmul_with_batches_is_numpys(wrap):
    """Axes of the dense operand before its last two are a batch, and stay in front."""
    batched = fnp.arange(24.0).reshape(2, 3, 4) % 3
    ours = [
        (M, D),
        (sparse.BCSR.fromdense(D), D),
        (sparse.BCOO.fromdense(D[0]), D[0]),
        (sparse.BCOO.fromdense(batched, n_batch=1), np.asarray(batched)),
    ]
    for m, d in ours:
        for shape in [(4,), (4, 5), (2, 4, 5), (6, 2, 4, 1)]:
            v = np.sin(np.arange(float(np.prod(shape)), dtype=np.float32)).reshape(shape)
            given, found = d @ v, wrap(lambda m, v: m @ v)(m, v)
            assert (found.shape, found.dtype) == (given.shape, given.dtype)
            np.testing.assert_allclose(found, given, atol=1e-5)
        size = d.shape[max(d.ndim - 2, 0)]
        for lead in [(), (5,), (2, 5), (6, 2, 1)]:
            v = np.sin(np.arange(float(np.prod(lead) * size), dtype=np.float32))
            v = v.reshape(*lead, size)
            given, found = v @ d, wrap(lambda m, v: v @ m)(m, v)
            assert (found.shape, found.dtype) == (given.shape, given.dtype)
            np.testing.assert_allclose(found, given, atol=1e-5)


def test_products_of_other_sizes_raise():
    for product in (
        lambda: M @ fnp.ones((2, 5)),
        lambda: fnp.ones((5, 4)) @ M,
        lambda: M @ fnp.ones(3),
        lambda: sparse.BCSR.fromdense(D) @ fnp.ones((3, 2)),
    ):
        with pytest.raises(TypeError, match="contracting dimensions to have the same shape"):
            product()


def test_structure():
    assert np.array_equal(M.T.todense(), D.T)
    assert np.array_equal(M.reshape(2, 6).todense(), D.reshape(2, 6))
    assert np.array_equal(M.sum(0).todense(), D.sum(0))
    assert np.array_equal(sparse.bcoo_concatenate([M, M], dimension=0).todense(), np.vstack([D, D]))
    twice = M + M
    assert twice.nse == 8 and twice.sum_duplicates().nse == 4
    assert np.array_equal(twice.sum_duplicates().todense(), 2 * D)
    assert np.array_equal(fx.jit(lambda m: m.sum_duplicates().todense())(twice), 2 * D)
    assert np.array_equal(sparse.eye(3, 4, 1).todense(), np.eye(3, 4, 1))
    assert np.array_equal(M.sort_indices().todense(), D)
    assert float(sparse.random_bcoo(fx.random.key(0), (4, 5), nse=0.3).todense().sum()) > 0


def test_derivatives_are_sparse():
    loss = lambda m: ((m @ V) ** 2).sum()
    g = sparse.grad(loss)(M)
    dense = fx.grad(lambda d: ((d @ V) ** 2).sum())(D)
    assert np.allclose(g.todense(), np.where(D != 0, dense, 0))
    value, h = sparse.value_and_grad(loss)(M)
    assert float(value) == float(loss(M)) and np.allclose(h.data, g.data)
    assert sparse.jacrev(lambda m: m @ V)(M).shape == (3, 4)
    by_vector = fx.grad(lambda v: (M @ v).sum())(fnp.asarray(V))
    assert np.allclose(by_vector, D.sum(0))


def test_vmap_over_vectors():
    w = np.stack([V, 2 * V, -V])
    assert np.allclose(fx.vmap(lambda v: M @ v)(w), w @ D.T)


def test_reshape_takes_the_axes_in_an_order():
    found = sparse.bcoo_reshape(M, new_sizes=(2, 6), dimensions=(1, 0))
    assert np.array_equal(found.todense(), D.T.reshape(2, 6))


def test_what_does_not_fit_raises():
    with pytest.raises(ValueError, match="axes"):
        sparse.bcoo_reduce_sum(M, axes=(2,))
    with pytest.raises(ValueError, match="shape mismatch"):
        sparse.bcoo_extract(M, D.T)
    with pytest.raises(ValueError, match="sparse_format"):
        sparse.eye(3, sparse_format="csx")
    assert sparse.eye(3, 4, 1, None, "int8").indices.dtype == np.int8
