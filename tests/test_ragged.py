"""Products of a ragged axis against loops over its groups, and operations named by composite."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import fx
from fx import lax

SIZES = np.int32([2, 0, 3])
Numbers = lax.RaggedDotDimensionNumbers


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _groups(sizes):
    ends = np.cumsum(sizes)
    return [slice(end - size, end) for size, end in zip(sizes, ends)]


@pytest.mark.parametrize("jit", [False, True])
def test_groups_of_a_free_axis_have_matrices_of_their_own(jit):
    x, w, sizes = _normal(2, 6, 4), _normal(2, 4, 3, 5), np.stack([SIZES, SIZES[::-1]])
    numbers = Numbers((((2,), (1,)), ((0,), (0,))), (1,), (2,))
    f = partial(lax.ragged_dot_general, ragged_dot_dimension_numbers=numbers)
    expected = np.zeros((2, 6, 5), np.float32)
    for b in range(2):
        for g, rows in enumerate(_groups(sizes[b])):
            expected[b, rows] = x[b, rows] @ w[b, :, g]
    np.testing.assert_allclose((fx.jit(f) if jit else f)(x, w, sizes), expected, 1e-4, 1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_groups_of_a_contracted_axis_give_a_product_each(jit):
    x, w, sizes = _normal(4, 3, 6), _normal(3, 6, 5), np.stack([SIZES, SIZES[::-1], SIZES])
    numbers = Numbers((((1, 2), (0, 1)), ((), ())), (2,), ())
    f = partial(lax.ragged_dot_general, ragged_dot_dimension_numbers=numbers)
    expected = np.zeros((3, 4, 5), np.float32)
    for j in range(3):
        for g, part in enumerate(_groups(sizes[j])):
            expected[g] += x[:, j, part] @ w[j, part]
    np.testing.assert_allclose((fx.jit(f) if jit else f)(x, w, sizes), expected, 1e-4, 1e-5)


def test_a_ragged_batch_axis_changes_nothing():
    x, w = _normal(6, 4, 3), _normal(6, 3, 2)
    got = lax.ragged_dot_general(x, w, SIZES, Numbers((((2,), (1,)), ((0,), (0,))), (0,), ()))
    np.testing.assert_allclose(got, x @ w, 1e-4, 1e-5)


def test_ragged_products_differentiate_and_batch():
    x, w = _normal(6, 4), _normal(3, 4, 5)
    numbers = Numbers((((1,), (1,)), ((), ())), (0,), (0,))
    f = partial(lax.ragged_dot_general, ragged_dot_dimension_numbers=numbers)
    fx.check_grads(lambda x, w: f(x, w, SIZES), (x, w), order=1)
    batch = np.stack([SIZES, SIZES[::-1]])
    got = fx.vmap(lambda sizes: f(x, w, sizes))(batch)
    np.testing.assert_allclose(got, np.stack([f(x, w, s) for s in batch]), 1e-5)


@pytest.mark.parametrize(
    ("sizes", "ragged", "groups", "words"),
    [
        (SIZES[0], (0,), (0,), "axis of groups"),
        (SIZES, (0, 1), (0,), "exactly one lhs ragged"),
        (SIZES, (0,), (), "1 group dimensions"),
        (SIZES, (1,), (0,), "0 group dimensions"),
        (SIZES[:2], (0,), (0,), "group dimension size to be 2"),
        (np.stack([SIZES] * 2), (0,), (0,), "expected group_sizes to have shape"),
    ],
)
def test_dimension_numbers_that_do_not_belong_together(sizes, ragged, groups, words):
    numbers = Numbers((((1,), (1,)), ((), ())), ragged, groups)
    with pytest.raises(TypeError, match=words):
        lax.ragged_dot_general(_normal(6, 4), _normal(3, 4, 5), sizes, numbers)


def test_a_composite_is_one_named_equation_under_all_transformations():
    @partial(lax.composite, name="my.softmax")
    def softmax(x, /, *, axis):
        return fx.nn.softmax(x, axis)

    x = _normal(2, 3)
    (eqn,) = fx.make_jaxpr(lambda x: softmax(x, axis=0))(x).jaxpr.eqns
    assert eqn.params["name"] == "my.softmax"
    expected = fx.nn.softmax(x, 1)
    np.testing.assert_allclose(fx.jit(fx.vmap(lambda v: softmax(v, axis=0)))(x), expected, 1e-6)
    got = fx.grad(lambda v: softmax(v, axis=0)[0])(x[0])
    np.testing.assert_allclose(got, fx.grad(lambda v: fx.nn.softmax(v, 0)[0])(x[0]), 1e-5)


def test_attributes_of_a_composite_are_static():
    scaled = lax.composite(lambda x, *, k: x * k, "scaled")
    with pytest.raises(fx.errors.UnexpectedTracerError, match="attribute of the composite"):
        fx.jit(lambda x, k: scaled(x, k=k))(1.0, 2.0)
