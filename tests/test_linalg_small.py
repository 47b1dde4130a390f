"""Small factorisations in kernels: the numbers of LAPACK, and no step of the host."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from fx.lax import linalg


def solve_t(a, y):
    return linalg.triangular_solve(a, y, left_side=False, lower=True, transpose_a=True)


def solve_unit(a, y):
    return linalg.triangular_solve(a, y, left_side=True, lower=False, unit_diagonal=True)


PROGRAMS = {
    "lu": lambda a, s, y: linalg.lu(a),
    "cholesky": lambda a, s, y: jnp.linalg.cholesky(s),
    "no cholesky": lambda a, s, y: jnp.linalg.cholesky(-s),
    "solve": lambda a, s, y: jnp.linalg.solve(a, y),
    "inv": lambda a, s, y: jnp.linalg.inv(s),
    "det": lambda a, s, y: jnp.linalg.det(a),
    "lower": lambda a, s, y: linalg.triangular_solve(s, y, left_side=True, lower=True),
    "right": lambda a, s, y: solve_t(s, jnp.swapaxes(y, -1, -2)),
    "unit": lambda a, s, y: solve_unit(s, y),
    "singular": lambda a, s, y: solve_unit(s, y) + jnp.linalg.solve(s * 0, y),
}


@pytest.mark.parametrize("stack", [(), (5,), (3, 4)])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers(name, n, stack):
    rng = np.random.default_rng(n)
    a = rng.standard_normal((*stack, n, n)).astype(np.float32)
    s = a @ np.swapaxes(a, -1, -2) + np.eye(n, dtype=np.float32)
    y = rng.standard_normal((*stack, n, 2)).astype(np.float32)
    with fx.disable_jit():
        expected = fx.tree.leaves(PROGRAMS[name](*map(jnp.asarray, (a, s, y))))
    found = fx.tree.leaves(fx.jit(PROGRAMS[name])(a, s, y))
    for x, want in zip(found, expected, strict=True):
        assert (x.dtype, x.shape) == (want.dtype, want.shape)
        scale = 1 + np.nanmax(np.abs(want), initial=0)
        np.testing.assert_allclose(x, want, 1e-3, 1e-3 * scale)


@pytest.mark.driver
def test_a_filter_of_small_matrices_is_one_kernel():
    a, c = 0.9 * jnp.eye(4), jnp.ones((2, 4)) * jnp.arange(8.0).reshape(2, 4)

    def step(carry, y):
        x, p = carry
        x, p = a @ x, a @ p @ a.T + 0.1 * jnp.eye(4)
        gain = jnp.linalg.solve(c @ p @ c.T + jnp.eye(2), c @ p).T
        return (x + gain @ (y - c @ x), p - gain @ c @ p), x

    def run(ys):
        return lax.scan(step, (jnp.zeros(4), jnp.eye(4)), ys)[1]

    ys = jnp.sin(jnp.arange(100.0)).reshape(50, 2)
    assert fx.explain(run)(ys).launches == 1
    with fx.disable_jit():
        expected = run(ys)
    np.testing.assert_allclose(fx.jit(run)(ys), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stack", [(), (6,), (2, 3)])
@pytest.mark.parametrize("size", [1, 3, 4, 8, 9])
@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_row_swaps_in_turn_make_an_order(size, stack, dtype):
    rng = np.random.default_rng(size)
    for n in {1, size}:
        pivots = rng.integers(0, size, (*stack, n)).astype(dtype)
        want = np.broadcast_to(np.arange(size), (*stack, size)).copy()
        for place in np.ndindex(*stack):
            for k, p in enumerate(pivots[place]):
                want[place][[k, p]] = want[place][[p, k]]
        found = fx.jit(lambda x: linalg.lu_pivots_to_permutation(x, size))(pivots)
        np.testing.assert_array_equal(found, want)
        assert found.dtype == dtype


@pytest.mark.driver
@pytest.mark.parametrize("mapped", [False, True])
def test_a_loop_that_solves_by_factors_is_one_kernel(mapped):
    def run(a, y):
        def step(x, _):
            factors = fx.scipy.linalg.lu_factor(a + jnp.diag(x))
            return fx.scipy.linalg.lu_solve(factors, y), None

        return lax.scan(step, y, None, length=60)[0]

    a = jnp.asarray([[0.5, 1.0, 0.0], [4.0, 3.0, 1.0], [0.0, 1.0, 5.0]])
    y = jnp.arange(1.0, 4.0)
    if mapped:
        run, a = fx.vmap(run, (0, None)), jnp.stack([a, a.T])
    assert fx.explain(run)(a, y).launches == 1
    with fx.disable_jit():
        expected = run(a, y)
    np.testing.assert_allclose(fx.jit(run)(a, y), expected, rtol=1e-4)


@pytest.mark.driver
def test_pieces_of_one_shape_are_one_kernel():
    def program(x):
        e = jnp.exp(x)
        return jnp.stack([e, e * x, jnp.sin(e)])

    x = jnp.linspace(0, 1, 5000)
    assert fx.explain(program)(x).launches == 1
    np.testing.assert_allclose(fx.jit(program)(x), program(x), rtol=1e-5)
