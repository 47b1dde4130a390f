"""Running folds along rows in both directions: one kernel, with the numbers of eager code."""

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from lowering.emit.folds import scan_steps


def back(x):
    return lax.cumsum(x, axis=x.ndim - 1, reverse=True)


def there(x):
    return jnp.cumsum(x, -1)


PROGRAMS = {
    "gradient": fx.grad(lambda x: (there(x) ** 2).sum()),
    "both results": lambda x: (there(x), back(there(x))),
    "three turns": lambda x: there(back(there(x) * 0.1)),
    "a fold between": lambda x: back(there(x) / jnp.abs(x).sum(-1, keepdims=True)),
    "a fold of the first": lambda x: back(there(x) - there(x).max(-1, keepdims=True)),
    "apart": lambda x: there(x) + back(x),
    "back first": lambda x: there(back(x) ** 2),
}


@pytest.mark.parametrize("shape", [(5, 64), (4, 1001), (2, 3, 37), (7,), (2, 20000)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_as_eager(name, shape):
    f, x = PROGRAMS[name], np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for want, got in zip(fx.tree.leaves(f(x)), fx.tree.leaves(fx.jit(f)(x)), strict=True):
        want = np.asarray(want)
        assert np.abs(want - np.asarray(got)).max() <= 2e-5 * np.abs(want).max()


@pytest.mark.driver
@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - {"a fold of the first"}))
def test_one_kernel(name):
    x = np.ones((64, 1024), np.float32)
    assert "temporaries 0 B" in str(fx.explain(PROGRAMS[name])(x))


def as_int32(x):
    return x.astype(jnp.int32)


NARROW = {
    "kept as it comes": lambda x: there(x) + back(x),
    "kept wider": lambda x: (there(as_int32(x)) - back(as_int32(x))).astype(x.dtype),
    "kept as truth": lambda x: back((there(as_int32(x)) > 2).astype(x.dtype)),
    "kept as float": lambda x: (there(x * jnp.float32(0.5)) + back(x * jnp.float32(2))) > 3,
}


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.int8, jnp.uint16])
@pytest.mark.parametrize("name", NARROW)
def test_rows_that_registers_hold_as_another_type(name, dtype):
    f, x = NARROW[name], jnp.asarray(np.arange(3 * 37).reshape(3, 37) % 13 == 1, dtype)
    np.testing.assert_array_equal(fx.jit(f)(x), f(x))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("near", [2, 4])
@pytest.mark.parametrize("width", [4, 8, 16])
def test_each_lane_gets_all_before_it_once_and_in_order(width, near, reverse):
    lanes = [[j] for j in range(width)]
    for sources in scan_steps(width, near, reverse):
        lanes = [([] if k is None else lanes[k]) + lanes[j] for j, k in enumerate(sources)]
    order = list(range(width))[:: -1 if reverse else 1]
    assert lanes == [order[: order.index(j) + 1] for j in range(width)]
