"""Strips that touch no edge ask nothing; the others as before; the numbers are the same."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from lowering.affine import Affine, Range, axis
from lowering.build.turns import Wrap
from lowering.emit import inside as emit_inside
from lowering.nest import Nest


def five_points(x):
    return x.at[1:-1, 1:-1].add(x[2:, 1:-1] + x[:-2, 1:-1] + x[1:-1, 2:] - x[1:-1, :-2])


PROGRAMS = {
    "five points": five_points,
    "padded": lambda x: jnp.pad(x, 1)[2:, 1:-1] - jnp.pad(x, 1)[1:-1, :-2] * jnp.pad(x, 1)[2:, 2:],
    "both ends and the middle": lambda x: x.at[:, 2:-3].mul(2).at[:, 1:].add(x[:, :-1]),
    "rolled": lambda x: sum(
        jnp.roll(x, (a, b), (0, 1)) * (a + 2) for a in (1, -1) for b in (2, -2)
    ),
    "rolled and cut": lambda x: (
        (jnp.roll(x, 1, 1) + jnp.roll(x, -2, 1)).at[1:, 1:].set(x[:-1, :-1])
    ),
    "all gone round": lambda x: (jnp.roll(x, 1, 1) + jnp.roll(x, -1, 1) - x)[:, :-2],
    "all but a row gone round": lambda x: (jnp.roll(x, 1, 1) * jnp.roll(x, 2, 1))[:-1, 2:],
    "side by side": lambda x: jnp.concatenate([x[:, :3] * 2, jnp.pad(x, ((0, 0), (1, 2)))], 1),
    "halves": lambda x: jnp.concatenate([jnp.sin(x), x[:, 1:] - x[:, :-1]], 1),
    "reversed": lambda x: jnp.pad(x[:, ::-1], ((0, 0), (2, 0))) + jnp.pad(x, ((0, 0), (0, 2))),
    "folded": lambda x: (jnp.pad(x, 1)[:, 2:] + jnp.pad(x, 1)[:, :-2]).sum(0),
    "gathered": lambda x: x.at[:, 1:-1].set(x[:, jnp.arange(x.shape[1] - 2) * 3 % x.shape[1]]),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8"])
@pytest.mark.parametrize("shape", [(5, 17), (4, 64), (9, 130)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers(name, shape, dtype):
    x = (np.random.default_rng(0).standard_normal(shape) * 50).astype("int32") % 7
    x = jnp.asarray(x).astype(dtype)
    with fx.disable_jit():
        want = PROGRAMS[name](x)
    got = fx.jit(PROGRAMS[name])(x)
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_allclose(got.astype("float32"), want.astype("float32"), rtol=1e-2, atol=1e-3)


def nest(*extents: int) -> Nest:
    return Nest(list(extents))


def test_what_is_asked():
    """Where most guards hold, and on which side of the end of an axis most of a row lies."""
    i, j = axis(0), axis(1)
    inside, above = Range(j + -1, 0, 126), Range(i + -1, 0, 30)
    half, wrap = Range(j, 64, 128), Wrap(j + 127, 128, 128)
    asked = [[inside, above], [inside], [wrap], [half]]
    found = emit_inside.of_strip(nest(32, 128), 1, 8, frozenset({0}), asked)
    assert found == (1, 127, (above,), {inside: True, above: True, wrap: True})
    assert emit_inside.of_strip(nest(32, 128), 1, 8, frozenset({0}), [[inside], [half]]) is None
    assert emit_inside.of_strip(nest(32, 128), 1, 8, frozenset(), [[above], [above]]) is None
    backwards = Range(Affine(100, ((1, -1),)), 0, 128)
    found = emit_inside.of_strip(nest(32, 128), 1, 8, frozenset({0}), [[backwards], [backwards]])
    assert found is not None and (found.low, found.high) == (0, 101)
