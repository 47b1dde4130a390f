"""Folds over what was stacked are operations between it: the same numbers, and no memory."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import costs, lower_function
from lowering import graph as g
from lowering import interp
from lowering.rewrite import canon

pytestmark = pytest.mark.lowering


def three(x, axis=0):
    return jnp.stack([x, x * 2, jnp.tanh(x)], axis)


PROGRAMS = {
    "a mean": lambda x: three(x).mean(0),
    "a maximum": lambda x: three(x, 1).max(1),
    "a variance": lambda x: three(x).var(0),
    "of components": lambda x: jnp.linalg.norm(three(x, -1), axis=-1),
    "a softmax": lambda x: (fx.nn.softmax(three(x), 0) * three(x + 1)).sum(0),
    "with other axes": lambda x: three(x, 1).prod((0, 1)),
    "of everything": lambda x: (three(x) ** 2).sum(),
    "booleans": lambda x: jnp.stack([x > 1, x < -1]).any(0),
    "rolls": lambda x: jnp.stack([jnp.roll(x, k, 0) for k in range(5)]).sum(0),
    "half precision": lambda x: three(x).astype(jnp.bfloat16).mean(0).astype(jnp.float32),
    "one of what is made of it": lambda x: (lambda y: y[0] + y[2] * y[1])(jnp.sin(three(x))),
    "not a number": lambda x: jnp.stack([x, jnp.where(x > 1, jnp.nan, x)]).max(0),
    "a gradient": fx.grad(lambda x: (three(x).var(0) ** 2).sum()),
    "a gradient of maxima": fx.grad(lambda x: three(x).max(0).sum()),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers_and_no_temporaries(name):
    x = np.random.default_rng(0).standard_normal((60, 300)).astype(np.float32)
    with fx.disable_jit():
        expected = PROGRAMS[name](jnp.asarray(x))
    found = fx.jit(PROGRAMS[name])(x)
    assert found.dtype == expected.dtype
    close = 1e-2 if name == "half precision" else 1e-5
    np.testing.assert_allclose(found, expected, close, close * float(jnp.nanmax(abs(expected))))
    planned = costs(lower_function(PROGRAMS[name], (x,)))
    assert (planned["launches"], planned["temporary_bytes"]) == (1, 0)


def test_additions_are_made_in_the_order_of_the_stack():
    values = np.float32([1e8, 1.0, -1e8, 1.0])
    found = fx.jit(lambda *xs: jnp.stack(xs).sum(0))(*(np.full(40, v) for v in values))
    np.testing.assert_array_equal(found, np.full(40, ((values[0] + values[1]) + values[2]) + 1))


def test_what_is_read_elsewhere_too_stays_a_stack():
    def program(x):
        y = jnp.exp(three(x))
        return y, y[0] * 2

    large = np.zeros((600, 1000), np.float32)  # small ones are two launches in the calling thread
    planned = costs(lower_function(program, (large,)))
    assert planned["launches"] == 1
    x = np.random.default_rng(1).standard_normal((60, 300)).astype(np.float32)
    y, first = fx.jit(program)(x)
    np.testing.assert_allclose(first, y[0] * 2, 1e-6)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (0, 1, 2)])
def test_folds_along_axes_of_one_element_are_none(axes):
    b = g.Builder()
    x = b.input((1, 40, 1), np.float32)
    graph = canon.canonicalize(b.graph([b.reduce("add", x, axes)]))
    folds = [n for n in graph.nodes() if isinstance(n.form, g.Reduce)]
    assert len(folds) == (1 in axes)
    given = [np.random.default_rng(0).standard_normal((1, 40, 1)).astype(np.float32)]
    (found,) = interp.run_graph(graph, given)
    np.testing.assert_allclose(found, given[0].sum(axes), 1e-5)
