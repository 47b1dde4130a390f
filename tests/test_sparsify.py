"""Functions of dense arrays on sparse ones against the same functions of dense ones; BCSR."""

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx.experimental import sparse

X = np.array([[0, 1, 2, 0], [3, 0, 0, 0], [0, 0, 4, 5]], np.float32)
Y = np.arange(12, dtype=np.float32).reshape(4, 3)

FUNCTIONS = {
    "sum": lambda a, b: jnp.sum(a),
    "sum over rows": lambda a, b: a.sum(0),
    "a @ b": lambda a, b: a @ b,
    "b @ a": lambda a, b: b @ a,
    "a @ a.T": lambda a, b: a @ a.T,
    "scaled": lambda a, b: a * 2,
    "negative": lambda a, b: -a,
    "transposed": lambda a, b: a.T,
    "added": lambda a, b: a + a,
    "difference": lambda a, b: a - a * 3,
    "divided": lambda a, b: a / 2,
    "times dense": lambda a, b: a * b.T,
    "reshaped": lambda a, b: jnp.reshape(a, (4, 3)),
    "sine": lambda a, b: jnp.sin(a),
    "square": lambda a, b: a**2,
    "roots": lambda a, b: jnp.sqrt(a) * jnp.tanh(a),
    "integers": lambda a, b: jnp.abs(a).astype(jnp.int32),
    "row": lambda a, b: a[1],
    "window": lambda a, b: a[1:, ::2],
    "reversed": lambda a, b: jnp.flip(a),
    "joined": lambda a, b: jnp.concatenate([a, a * 2], axis=1),
    "repeated": lambda a, b: jnp.broadcast_to(a, (2, 3, 4)),
    "inner jit": lambda a, b: fx.jit(lambda a: a * 3)(a),
    "relu": lambda a, b: (a * 2) @ jnp.maximum(b, 1),
}


def dense(x):
    return np.asarray(x.todense() if isinstance(x, sparse.JAXSparse) else x)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("kind", [sparse.BCOO, sparse.BCSR])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_sparse_as_dense(name, kind, wrap):
    f = FUNCTIONS[name]
    out = wrap(sparse.sparsify(f))(kind.fromdense(X), Y)
    expected = f(jnp.asarray(X), jnp.asarray(Y))
    assert out.shape == expected.shape and out.dtype == expected.dtype
    np.testing.assert_allclose(dense(out), expected, rtol=1e-6)


@pytest.mark.parametrize("f", [lambda a: jnp.exp(a), lambda a: a + 1, lambda a: 1 / a])
def test_what_fills_zeros_is_an_error(f):
    with pytest.raises(NotImplementedError):
        sparse.sparsify(f)(sparse.BCOO.fromdense(X))


def test_equal_indices_are_summed_before_what_is_not_linear():
    m = sparse.BCOO((np.ones(2, np.float32), np.zeros((2, 1), np.int32)), shape=(3,))
    assert dense(sparse.sparsify(lambda a: a**2)(m)).tolist() == [4, 0, 0]


def test_indexing():
    m = sparse.BCOO.fromdense(X)
    for index in (1, (slice(None), 1), (slice(None, None, -1), slice(1, 3)), (..., 2), (None, 0)):
        assert np.array_equal(dense(m[index]), X[index])
    with pytest.raises(IndexError):
        m[3]


def test_rows():
    m = sparse.BCSR.fromdense(X)
    assert (m.indptr.tolist(), m.indices.tolist()) == ([0, 2, 3, 5], [1, 2, 0, 2, 3])
    assert (m.nse, m.n_batch, m.n_sparse, m.n_dense) == (5, 0, 2, 0)
    np.testing.assert_array_equal(m @ Y, X @ Y)
    np.testing.assert_array_equal(m.to_bcoo().todense(), X)
    assert sparse.bcsr_extract(m.indices, m.indptr, jnp.asarray(X)).tolist() == [1, 2, 3, 4, 5]
    gradient = fx.grad(lambda d: (m._with(d) @ Y).sum())(m.data)
    assert gradient.tolist() == [12, 21, 3, 21, 30]
    stack = np.stack([X, X * 2])
    np.testing.assert_array_equal(sparse.BCSR.fromdense(stack, n_batch=1).todense(), stack)
    with pytest.raises(ValueError, match="one more than there are rows"):
        sparse.BCSR((m.data, m.indices, m.indptr), shape=(4, 4))


def test_of_scipy_matrices():
    scipy = pytest.importorskip("scipy.sparse")
    for kind in (sparse.BCOO, sparse.BCSR):
        np.testing.assert_array_equal(kind.from_scipy_sparse(scipy.csr_matrix(X)).todense(), X)


def test_products_of_sparse_arrays_are_sparse():
    m = sparse.BCOO.fromdense(X)
    out = m @ m.T
    assert isinstance(out, sparse.BCOO)
    np.testing.assert_array_equal(out.todense(), X @ X.T)
