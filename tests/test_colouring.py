"""Sparse Jacobians and Hessians by colouring: patterns hold every nonzero, few products, the dense
values.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax
from fx.experimental.colouring import colour_columns, colour_symmetric

N = 12
X = np.random.default_rng(0).normal(size=N).astype(np.float32)
W = np.random.default_rng(1).normal(size=(N, N)).astype(np.float32)
BANDED = np.eye(N, dtype=np.float32)
BANDED[3, 5] = 2


@fx.custom_vjp
def square(x):
    return x * x


square.defvjp(lambda x: (x * x, x), lambda x, ct: (2 * x * ct,))


@fx.custom_jvp
def straight_through(x):
    return fnp.round(x)


straight_through.defjvps(lambda t, ans, x: t)

# function -> nonzeros of the exact pattern (for all x); None: only that nothing is missing
FUNCTIONS = {
    "neighbours": (lambda x: x[1:] * x[:-1], 22),
    "known matrix": (lambda x: BANDED @ fnp.sin(x), 13),
    "dense matrix": (lambda x: W @ x, 144),
    "batched product": (lambda x: x.reshape(2, 3, 2) @ x.reshape(2, 2, 3), 60),
    "outer": (lambda x: fnp.outer(x[:3], x[3:6]), 18),
    "sums of rows": (lambda x: (x.reshape(3, 4) ** 2).sum(1), 12),
    "cumsum": (fnp.cumsum, 78),
    "cumprod": (fnp.cumprod, None),
    "convolution": (lambda x: fnp.convolve(x, fnp.array([1.0, -2, 1]), "same"), 34),
    "gather": (lambda x: x[np.array([0, 3, 3])] ** 2, 3),
    "scatter": (lambda x: fnp.zeros(5).at[np.array([0, 1, 1, 4])].add(x[:4] ** 2), 4),
    "set": (lambda x: x.at[2].set(x[3]), 12),
    "where": (lambda x: fnp.where(np.arange(N) < 5, x, x[::-1]), 12),
    "where unknown": (lambda x: fnp.where(x > 0, x, x[::-1]), 24),
    "steps": (lambda x: fnp.floor(x) + x[0], 12),
    "checkpoint": (fx.checkpoint(fnp.tanh), 12),
    "jit": (fx.jit(fnp.tanh), 12),
    "custom_vjp": (square, 12),
    "custom_jvp": (straight_through, 12),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda x: x[:3], lambda x: x[3:6] * x[0], x), None),
    "scan": (lambda x: lax.scan(lambda c, v: (c + v, c * v), 0.0, x)[1], None),
    "scan of slices": (lambda x: lax.scan(lambda c, v: (c, v * v), 0.0, x)[1], 12),
    "loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: fnp.roll(c, 1) * c, x), 48),
    "fft": (lambda x: fnp.fft.fft(x).real, None),
    "jit of custom_vjp": (fx.jit(lambda x: square(x[1:]) * x[0]), 22),
    "pool": (lambda x: fx.nn.max_pool1d(x[None], 2, 2)[0], 12),
    "mean pool": (lambda x: fx.nn.avg_pool1d(x[None], 3, 3)[0], 12),
    "softmax": (lambda x: fx.nn.softmax(x.reshape(3, 4), axis=1), 48),
    "sort": (fnp.sort, None),
    "solve": (lambda x: fnp.linalg.solve(W, x), None),
    "scalar": (lambda x: (x**2).sum(), 12),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian_in_both_modes(name):
    f, nonzeros = FUNCTIONS[name]
    pattern = fx.jacobian_pattern(f)(X)
    dense = np.asarray(fx.jacrev(f)(X))
    assert not (dense.reshape(pattern.shape)[~pattern.toarray()] != 0).any()
    assert nonzeros is None or pattern.nnz == nonzeros
    for mode in ("auto", "fwd", "rev"):
        found = fx.sparse_jacobian(f, mode=mode)(X)
        assert found.nse == pattern.nnz
        np.testing.assert_allclose(found.todense(), dense, rtol=1e-4, atol=1e-5)


SCALARS = {
    "rosenbrock": (lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(), 34, 3),
    "arrow": (lambda x: (x[0] * x**2).sum(), 34, 2),
    "filter": (lambda x: (fnp.convolve(x, fnp.array([1.0, -2, 1])) ** 4).sum(), 54, 5),
    "dense": (lambda x: fx.nn.logsumexp(x), 144, 12),
    "pool": (lambda x: (fx.nn.max_pool1d(x[None], 2, 2) ** 3).sum(), 24, 2),
    "separable": (lambda x: fnp.sin(x).sum(), 12, 1),
}


@pytest.mark.parametrize("name", SCALARS)
def test_hessian(name):
    f, nonzeros, most = SCALARS[name]
    found = fx.sparse_hessian(f)(X)
    assert found.nse == nonzeros
    np.testing.assert_allclose(found.todense(), fx.hessian(f)(X), rtol=1e-3, atol=1e-3)
    colours = colour_symmetric(fx.jacobian_pattern(fx.grad(f))(X))
    assert colours.max() + 1 <= most


def test_under_jit_and_vmap():
    f, g = FUNCTIONS["neighbours"][0], SCALARS["rosenbrock"][0]
    xs = np.stack([X, X + 1])
    jac, hess = (lambda x: fx.sparse_jacobian(f)(x).data, lambda x: fx.sparse_hessian(g)(x).data)
    for derivative in (jac, hess):
        one = np.stack([derivative(x) for x in xs])
        np.testing.assert_allclose(fx.vmap(derivative)(xs), one, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(fx.jit(derivative)(X), one[0], rtol=1e-4, atol=1e-3)


def test_a_million_entries_with_three_products():
    """A tridiagonal Jacobian of 1000 columns takes three pushforwards."""
    f = lambda x: fnp.convolve(x, fnp.array([1.0, -2, 1]), "same") * x
    pattern = fx.jacobian_pattern(f)(fx.ShapeDtypeStruct((1000,), np.float32))
    assert colour_columns(pattern).max() + 1 == 3
    found = fx.sparse_jacobian(f)(np.ones(1000, np.float32))
    assert found.shape == (1000, 1000) and found.nse == pattern.nnz == 2998


def test_shapes_of_many_axes():
    f = lambda x: x.T**2
    found = fx.sparse_jacobian(f)(X.reshape(3, 4))
    assert found.shape == (4, 3, 3, 4)
    np.testing.assert_allclose(found.todense(), fx.jacfwd(f)(X.reshape(3, 4)), rtol=1e-5)


def test_colours_share_no_row(rng):
    pattern = rng.random((40, 30)) < 0.1
    colours = colour_columns(pattern)
    for c in range(colours.max() + 1):
        assert (pattern[:, colours == c].sum(1) <= 1).all()


def test_mistakes():
    with pytest.raises(ValueError, match="mode"):
        fx.sparse_jacobian(fnp.sin, mode="both")
    with pytest.raises(ValueError, match="3 columns"):
        fx.sparse_jacobian(fnp.sin, pattern=np.eye(3))(X)
    with pytest.raises(TypeError, match="ravel_pytree"):
        fx.sparse_jacobian(lambda x: {"a": x})(X)
