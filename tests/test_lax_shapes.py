"""Shapes that functions of fx.lax take: axes of size 1 spread, one size stands for a shape."""

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax

PAIRS = [((3, 1), (3, 3)), ((3, 1), (1, 3)), ((2, 0), (2, 1)), ((1,), (0,)), ((2, 3), (1, 1))]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("shapes", PAIRS, ids=str)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "max", "pow", "atan2", "igamma", "lt", "eq"])
def test_axes_of_size_1_spread(name, shapes, jit):
    x, y = (fnp.arange(1.0, 1 + np.prod(s, dtype=int)).reshape(s) for s in shapes)
    f = getattr(lax, name)
    found = (fx.jit(f) if jit else f)(x, y)
    wide = np.broadcast_shapes(*shapes)
    expected = f(fnp.broadcast_to(x, wide), fnp.broadcast_to(y, wide))
    assert found.shape == wide
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_gradients_where_axes_spread():
    x, y = fnp.arange(3.0).reshape(3, 1), fnp.arange(3.0).reshape(1, 3)
    gradients = fx.grad(lambda x, y: lax.mul(x, y).sum(), argnums=(0, 1))(x, y)
    np.testing.assert_array_equal(gradients[0], np.full((3, 1), 3.0))
    np.testing.assert_array_equal(gradients[1], np.full((1, 3), 3.0))
    batched = fx.vmap(lax.sub)(x[None], y[None])
    np.testing.assert_array_equal(batched[0], np.arange(3)[:, None] - np.arange(3)[None])


def test_other_shapes_are_refused():
    for a, b in [((3, 2), (3, 3)), ((3, 3), (3,))]:
        with pytest.raises(TypeError):
            lax.add(fnp.ones(a), fnp.ones(b))
    with pytest.raises(TypeError):
        lax.select(fnp.ones((3, 1), bool), fnp.ones((3, 3)), fnp.ones((3, 3)))
    with pytest.raises(TypeError, match="not negative"):
        lax.full((-1,), 1.0)


def test_one_size_stands_for_a_shape():
    np.testing.assert_array_equal(lax.full(3, 1.5), np.full(3, 1.5))
    np.testing.assert_array_equal(lax.broadcasted_iota(np.int32, 3, 0), np.arange(3))
    assert lax.reshape(fnp.ones((3, 1)), 3).shape == (3,)
    assert lax.broadcast_to_rank(fnp.ones((2, 3)), 1).shape == (2, 3)


@pytest.mark.parametrize("x", [2, 2.5, True])
@pytest.mark.parametrize(
    "name", ["abs", "around", "ceil", "clip", "conj", "floor", "imag", "positive", "real", "trunc"]
)
def test_results_for_python_scalars_are_arrays(name, x):
    found = getattr(fnp, name)(x)
    assert type(found) is fx.Array
    assert found.shape == ()
    assert found.weak_type == (type(x) is not bool)


def test_rolled_by_several_shifts_as_one_axis():
    x = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(fnp.roll(x, (1, 2)), np.roll(x, (1, 2)))
    np.testing.assert_array_equal(fx.jit(fnp.roll)(x, fnp.array([1, 2])), np.roll(x, (1, 2)))


def test_quotients_by_zero_and_roots_of_nothing():
    found = fnp.floor_divide(fnp.array([1.0, -1.0, 0.0]), 0.0)
    np.testing.assert_array_equal(found, [np.inf, -np.inf, np.nan])
    assert float(fx.grad(lambda x: fnp.floor_divide(x, 2.0))(3.0)) == 0.0
    assert fnp.roots(fnp.zeros(0), strip_zeros=False).shape == (0,)
    rows = fnp.array([[3.0, 1.0], [2.0, 4.0]])
    np.testing.assert_array_equal(fnp.sort_complex(rows), [[1, 3], [2, 4]])


def test_sizes_of_parts_are_not_negative():
    for f in (lax.split, fx.jit(lax.split, static_argnums=1)):
        with pytest.raises(ValueError, match="nonnegative"):
            f(np.ones((3, 2)), (-1, 4))
