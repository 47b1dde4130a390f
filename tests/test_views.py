"""Parts of concatenations, and updates that cover most of an array, with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import lower_function
from fx import lax
from lowering.profile import AVX2


def relax(u, _):
    inner = 0.25 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2])
    return u.at[1:-1, 1:-1].set(inner), None


PROGRAMS = {
    "of zeros": lambda x: jnp.zeros_like(x).at[1:-1, 1:-1].set(x[2:, 1:-1] * 2),
    "reads what it updates": lambda x: x.at[1:-1, 1:-1].set(x[2:, 1:-1] * 2),
    "shifted": lambda x: x.at[:, 1:].set(x[:, :-1]),
    "added": lambda x: x.at[3:].add(1.0),
    "multiplied": lambda x: x.at[:30].multiply(x[10:]),
    "moved inside": lambda x: lax.dynamic_update_slice(x, x[:30] * 2, (20, -3)),
    "integers": lambda x: x.astype(int).at[1:].set(7),
    "booleans": lambda x: (x > 0).at[:, 2:].set(x[:, 2:] < 1),
    "small windows": lambda x: x.at[0].set(0.0).at[-1].set(1.0),
    "complex": lambda x: (x + 1j * x).at[1:].set(x[1:]),
    "in a loop": lambda x: lax.scan(relax, x, None, length=11)[0],
    "a gradient": fx.grad(lambda x: (lax.scan(relax, x, None, length=5)[0] ** 2).sum()),
    "a part of a stack": lambda x: jnp.stack([jnp.exp(x), x, x + 1])[0:2, 1:].sum(0),
    "across two pieces": lambda x: jnp.concatenate([x, x * 2])[38:42],
    "every other piece": lambda x: jnp.concatenate([x, x * 2])[::3, 1:],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers(name):
    x = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    with fx.disable_jit():
        expected = np.asarray(PROGRAMS[name](jnp.asarray(x)))
    found = fx.jit(PROGRAMS[name])(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)
    donated = fx.jit(PROGRAMS[name], donate_argnums=0)(jnp.array(x))
    np.testing.assert_array_equal(donated, found)


@pytest.mark.driver
def test_an_inner_region_that_a_step_updates_is_one_kernel_a_step(monkeypatch):
    monkeypatch.setattr("lowering.launches.condense.team_us", lambda p, s: None)

    def run(u):
        return lax.scan(relax, u, None, length=20)[0]

    assert fx.explain(run)(jnp.ones((256, 256))).launches == 20


@pytest.mark.parametrize(
    "f",
    [
        lambda a, v: (a @ v[..., None])[..., 0],
        lambda a, v: (v[..., None, :] @ a)[..., 0, :],
        lambda a, v: (a @ v[..., None])[..., 0] + 1,
    ],
)
def test_columns_written_as_matrices_are_vectors(rng, f):
    a = rng.standard_normal((300, 4, 4)).astype(np.float32)
    v = rng.standard_normal((300, 4)).astype(np.float32)
    plan = lower_function(f, [jnp.asarray(a), jnp.asarray(v)], profile=AVX2).plan
    assert (plan.launches, plan.arena_bytes) == (1, 0)
    np.testing.assert_allclose(fx.jit(f)(a, v), f(a, v), rtol=1e-5, atol=1e-5)
