"""Folds of what is turned go along the axes of memory: the same numbers, and nothing is turned."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from benchmarks.driverless import costs, lower_function

pytestmark = pytest.mark.lowering

PLANES = {
    "columns": lambda x: x.T.max(0),
    "rows": lambda x: x.T.sum(1),
    "of something": lambda x: jnp.linalg.norm(x.T * 2, axis=0),
    "places": lambda x: (x.T * 2).argmax(0),
    "places of rows": lambda x: x.T.argmin(1),
    "two values": lambda x: (x.T - jnp.sin(x).T * 2).min(0),
    "twice": lambda x: (lambda y: y.max(0) - y.min(0))(x.T * x.T),
    "deviation": lambda x: x.T.std(0),
    "covariance": lambda x: jnp.cov(x.T),
    "columns' covariance": lambda x: jnp.cov(x, rowvar=False),
    "a product": lambda x: (x.T * 2 - x.mean(1)) @ (1 - x.T).T,
    "rolled": lambda x: jnp.roll(x, 3, 0).T.max(0),
}
VOLUMES = {
    "first": lambda x: jnp.transpose(x, (2, 0, 1)).sum(0),
    "middle": lambda x: jnp.transpose(x, (2, 0, 1)).max(1),
    "two axes": lambda x: jnp.transpose(x, (0, 2, 1)).sum((0, 1)),
    "round": lambda x: jnp.transpose(x, (1, 2, 0)).argmax(1),
    "a gradient": fx.grad(lambda x: (jnp.transpose(x, (1, 2, 0)).prod(1) ** 2).sum()),
}


@pytest.mark.parametrize("name", [*PLANES, *VOLUMES])
def test_numbers(name):
    shape = (70, 90) if name in PLANES else (8, 20, 30)
    program = (PLANES | VOLUMES)[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with fx.disable_jit():
        expected = program(jnp.asarray(x))
    found = fx.jit(program)(x)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5 * float(abs(expected).max()))


MADE = {"deviation", "covariance", "columns' covariance", "a product"}  # in several launches


@pytest.mark.parametrize("name", sorted({*PLANES} - {"rows", "places of rows", *MADE}))
def test_nothing_is_turned_in_memory(name):
    planned = costs(lower_function(PLANES[name], (np.zeros((500, 1000), np.float32),)))
    assert (planned["launches"], planned["temporary_bytes"]) == (1, 0)


def test_operands_that_only_products_read_stand_as_what_they_are_made_of():
    x = np.zeros((5000, 20), np.float32)
    for program in (PLANES["covariance"], PLANES["columns' covariance"]):
        found = fx.jit(program).lower(x).as_text("opencl")
        assert "[20], (" not in found  # nothing is gathered along a column


def test_what_others_read_turned_is_folded_as_it_is_turned():
    program = lambda x: (lambda y: (y - y.mean(0)) / y.std(0))(x.T)
    x = np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32)
    expected = ((x.T - x.T.mean(0)) / x.T.std(0)).astype(np.float32)
    np.testing.assert_allclose(fx.jit(program)(x), expected, 1e-4, 1e-4)


@pytest.mark.parametrize("shape", [(256, 512), (300, 302)])
def test_rows_times_columns_are_rows_times_what_is_turned_first(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = np.random.default_rng(1).standard_normal(shape[::-1]).astype(np.float32)
    program = lambda x, y: (jnp.tanh(x).T * y).sum(-1)
    np.testing.assert_allclose(fx.jit(program)(x, y), (np.tanh(x).T * y).sum(-1), 1e-4, 1e-4)
    planned = costs(lower_function(program, (x, y)))
    assert planned["launches"] == 1
    assert planned["temporary_bytes"] >= x.nbytes  # x turned in tiles, beside rows of y
