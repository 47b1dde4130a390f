"""Concatenations that are read where their pieces stand, with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import costs, lower_function

pytestmark = pytest.mark.lowering


def stencil(x, mode):
    y = jnp.pad(x, 1, mode=mode)
    return y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] + y[2:, 2:] - 4 * x


IN_PLACE = {
    "rows one after the other": lambda x: jnp.tanh(jnp.concatenate([x[3:], x[:2], x[:1] * 2])),
    "one more column": lambda x: jnp.concatenate([x[:, 1:], x[:, :1] + 1], 1).sum(1),
    "shifted": lambda x: jnp.concatenate([jnp.zeros((1, x.shape[1])), x[:-1]]) + x,
    "differences": lambda x: jnp.diff(x, axis=1, append=0.0),
    "halves exchanged": lambda x: jnp.concatenate([-x[:, 80:], x[:, :80]], 1) * x,
    "a softmax": lambda x: fx.nn.softmax(jnp.concatenate([x[:, :100], x[:, :60] * 2], 1)),
    "a running sum": lambda x: jnp.cumsum(jnp.concatenate([x[:, 9:], x[:, :9]], 1), 1),
    "half precision": lambda x: (
        jnp.concatenate([x[4:], x[:1]]).astype(jnp.bfloat16).astype(jnp.float32) * 2
    ),
    "integers": lambda x: jnp.concatenate([x[4:], x[:1]]).astype(int) + 1,
    "wrapped": lambda x: stencil(x, "wrap"),
    "at the edge": lambda x: stencil(x, "edge"),
    "reflected": lambda x: stencil(x, "reflect"),
    "symmetric": lambda x: stencil(x, "symmetric"),
}
STORED = {
    "dear pieces": lambda x: jnp.concatenate([jnp.exp(x), jnp.tanh(x)]).sum(1),
    "short pieces": lambda x: jnp.concatenate([x[:, :12], x[:, :7]], 1) * 2,
    "many pieces": lambda x: jnp.concatenate([x[k : k + 2] for k in range(20)]) * 2,
    "turned": lambda x: jnp.concatenate([x[4:], x[:1]]).T * 2,
    "reshaped": lambda x: jnp.concatenate([x[4:], x[:1]]).reshape(-1) * 2,
}


@pytest.mark.parametrize("name", [*IN_PLACE, *STORED])
@pytest.mark.parametrize("shape", [(37, 160), (24, 177)])
def test_numbers(name, shape):
    program = (IN_PLACE | STORED)[name]
    if name == "halves exchanged":
        shape = (shape[0], 160)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    loss = lambda x: (program(x).astype(jnp.float32) ** 2).sum()
    both = lambda x: (program(x), fx.grad(loss)(x))
    with fx.disable_jit():
        expected = both(jnp.asarray(x))
    for found, e in zip(fx.jit(both)(x), expected, strict=True):
        assert found.dtype == e.dtype
        np.testing.assert_allclose(found, e, 1e-4, 1e-5 * max(10.0, np.abs(e).max()))


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_is_joined_takes_no_memory(name):
    x = np.zeros((480, 160), np.float32)
    planned = costs(lower_function(IN_PLACE[name], (x,)))
    assert (planned["launches"], planned["temporary_bytes"]) == (1, 0)


@pytest.mark.parametrize("name", STORED)
def test_what_is_read_worse_in_place_is_stored(name):
    x = np.zeros((480, 160), np.float32)
    assert costs(lower_function(STORED[name], (x,)))["temporary_bytes"] > 0


def test_chains_of_joins_do_not_multiply_reads():
    def program(x):
        for k in range(1, 12):
            x = jnp.concatenate([x[k:] * 2, x[: k + 1]])
        return x + 1

    text = fx.jit(program).lower(jnp.ones((300, 100))).compile().as_text()
    assert text.count("const float16_u *)(b") < 200 or "float16" not in text
    x = np.random.default_rng(1).standard_normal((300, 100)).astype(np.float32)
    with fx.disable_jit():
        expected = program(jnp.asarray(x))
    np.testing.assert_array_equal(fx.jit(program)(x), expected)


@pytest.mark.parametrize("mode", ["wrap", "reflect", "symmetric"])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_margins_of_every_width(mode, n):
    x = np.random.default_rng(n).standard_normal((n, 2)).astype(np.float32)
    for before in range(0, 3 * n + 2):
        for after in (0, 1, n, 2 * n + 3):
            widths = ((before, after), (0, 0))
            expected = np.pad(x, widths, mode=mode)
            np.testing.assert_array_equal(jnp.pad(x, widths, mode=mode), expected)


def test_narrow_margins_are_slices_and_wide_ones_a_gather():
    for widths, gathers in (((3, 5), 0), ((1000, 1000), 1)):
        jaxpr = fx.make_jaxpr(lambda x, w=widths: jnp.pad(x, w, mode="wrap"))(jnp.ones(7))
        assert str(jaxpr).count("gather") == gathers
