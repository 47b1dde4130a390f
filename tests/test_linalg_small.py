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


@pytest.mark.driver
def test_pieces_of_one_shape_are_one_kernel():
    def program(x):
        e = jnp.exp(x)
        return jnp.stack([e, e * x, jnp.sin(e)])

    x = jnp.linspace(0, 1, 5000)
    assert fx.explain(program)(x).launches == 1
    np.testing.assert_allclose(fx.jit(program)(x), program(x), rtol=1e-5)
