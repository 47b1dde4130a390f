"""Arrays whose ends are exchanged are read where they stand, with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp

PROGRAMS = {
    "neighbours": lambda x, s: jnp.roll(x, s, -1) + jnp.roll(x, -s, -1) + jnp.roll(x, s, 0),
    "diagonal": lambda x, s: jnp.roll(jnp.roll(x, s, -1), 2, 0) - x,
    "there and back": lambda x, s: jnp.roll(jnp.roll(x, s, -1) * 2, -s, -1),
    "twice the same axis": lambda x, s: jnp.roll(jnp.roll(x * 2, s, -1) + x, 1, -1),
    "two axes": lambda x, s: jnp.roll(x, (s, -s), (-1, 0)) * 2,
    "two axes of a part": lambda x, s: jnp.roll(jnp.roll(x[1], (s, 1), (-1, 0)), s, 0)[..., 2:5],
    "a part along the other axis": lambda x, s: jnp.roll(x, s, -1)[1:, :-1] + x[1:, 1:],
    "folded": lambda x, s: jnp.roll(x, s, -1).sum(0),
    "computed at some cost": lambda x, s: jnp.roll(jnp.exp(x), s, -1) + jnp.roll(jnp.exp(x), 1, -1),
    "transposed": lambda x, s: jnp.roll(x.T, s, 0) + x.T,
    "padded": lambda x, s: jnp.pad(jnp.roll(x, s, -1), 1) * 3,
    "a running sum": lambda x, s: jnp.roll(jnp.cumsum(x, -1), s, 0)[1:],
    "flattened": lambda x, s: jnp.roll(x.reshape(-1), s).reshape(x.shape) + x,
    "reversed": lambda x, s: jnp.roll(x[..., ::-1], s, -1) + jnp.roll(x, s, -1)[..., ::-1],
    "a part": lambda x, s: jnp.roll(x[..., 1:], s, -1) * 2,
    "a part, turned twice": lambda x, s: jnp.roll(jnp.roll(x, s, -1)[..., 1:], s, -1),
    "every second": lambda x, s: jnp.roll(x[..., ::-1][..., ::2], s, -1),
    "renamed axes": lambda x, s: jnp.roll(x[None], s, -1)[0] + x,
    "stacked": lambda x, s: jnp.stack([jnp.roll(x, k, -1) for k in range(9)]).sum(0) + x,
    "half precision": lambda x, s: jnp.roll(x.astype(jnp.bfloat16), s, -1).astype(jnp.float32),
    "updated": lambda x, s: x.at[1:].set(jnp.roll(x, s, -1)[1:]),
}


@pytest.mark.parametrize("shape", [(5, 7), (9, 33), (16, 16), (2, 3, 40)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers(name, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for s in (1, -1, 3):

        def program(x, s=s):
            return PROGRAMS[name](x, s)

        with fx.disable_jit():
            expected = np.asarray(program(jnp.asarray(x)))
        np.testing.assert_allclose(fx.jit(program)(x), expected, 1e-5, 1e-5)
        donated = fx.jit(program, donate_argnums=0)(jnp.array(x))
        np.testing.assert_allclose(donated, expected, 1e-5, 1e-5)


@pytest.mark.driver
def test_a_stencil_on_a_periodic_grid_is_one_kernel_a_step(monkeypatch):
    monkeypatch.setattr("lowering.launches.condense.team_us", lambda p, s: None)

    def step(u, _):
        return u + 0.1 * (sum(jnp.roll(u, s, a) for s in (1, -1) for a in (0, 1)) - 4 * u), None

    def heat(u):
        return fx.lax.scan(step, u, None, length=20)[0]

    found = fx.explain(heat)(jnp.ones((256, 256)))
    assert found.launches == 20


def test_lattices_that_move_along_two_axes_are_read_where_they_stand():
    """The streaming of a lattice Boltzmann step: nine directions, no copy of any."""
    from benchmarks.driverless import costs, lower_function

    def stream(f):
        return sum(jnp.roll(f[k], (k % 3 - 1, k // 3 - 1), (0, 1)) * (k + 1) for k in range(9))

    found = costs(lower_function(stream, (np.ones((9, 64, 64), np.float32),)))
    assert (found["launches"], found["temporary_bytes"]) == (1, 0)
