"""Taylor mode gives what nested forward mode gives, with recurrences and without."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax, nn
from fx.experimental.jet import jet
from fx.passes import count_eqns

MATRIX = np.array([[2.0, 1.0], [1.0, 3.0]])

FUNCTIONS = {
    "sin": fnp.sin,
    "cos": fnp.cos,
    "exp": fnp.exp,
    "log": fnp.log,
    "tanh": fnp.tanh,
    "tan": fnp.tan,
    "sqrt": fnp.sqrt,
    "power": lambda x: x**2.5,
    "integer power": lambda x: x**7 + x**-3,
    "power of itself": lambda x: x**x,
    "logistic": nn.sigmoid,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "softplus": nn.softplus,
    "silu": nn.silu,
    "lgamma": lax.lgamma,
    "quotient": lambda x: fnp.sin(x) * fnp.exp(-x * x) / (1 + x * x),
    "maximum": lambda x: fnp.maximum(x, 0.1 * x * x),
    "cond": lambda x: lax.cond(x > 0, lambda x: x * fnp.sin(x), lambda x: x, x),
    "scan": lambda x: lax.scan(lambda c, _: (c * x + fnp.sin(c), None), x, None, length=3)[0],
    "jit": fx.jit(lambda x: fnp.sin(x) * x),
    "checkpoint": fx.checkpoint(lambda x: fnp.sin(x) * x),
    "product": lambda x: fnp.dot(fnp.stack([x, x * x]), MATRIX @ fnp.stack([fnp.sin(x), x])),
    "solve": lambda x: fnp.linalg.solve(MATRIX + x, fnp.stack([x, x * x])).sum(),
    "index": lambda x: fnp.stack([x, x**2, x**3]).at[1].mul(x)[np.array([0, 1])].sum(),
}


def straight_line(order):
    """The derivatives of x + t."""
    return [1.0, *[0.0] * (order - 1)]


def nested(f, x, order):
    found = []
    for _ in range(order):
        f = (lambda g: lambda x: fx.jvp(g, (x,), (fnp.ones_like(x),))[1])(f)
        found.append(float(f(x)))
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_to_order_five(name):
    f = FUNCTIONS[name]
    with fx.enable_x64():
        x = np.float64(0.7)
        value, found = jet(f, (x,), (straight_line(5),))
        assert float(value) == pytest.approx(float(f(x)), rel=1e-12)
        assert [float(d) for d in found] == pytest.approx(nested(f, x, 5), rel=1e-9)


def test_curves_of_several_arguments():
    """f(x(t), y(t)) = x y with x = 1 + 2t + 3t^2/2, y = 4 + 5t + 6t^2/2."""
    value, (first, second) = jet(lambda x, y: x * y, (1.0, 4.0), ((2.0, 3.0), (5.0, 6.0)))
    assert (float(value), float(first), float(second)) == (4, 13, 1 * 6 + 2 * 2 * 5 + 3 * 4)


def test_trees_arrays_and_transformations():
    f = lambda p: {"s": fnp.sin(p["a"]) * p["b"]}
    x = {"a": np.float32([0.0, 1.0]), "b": np.float32([2.0, 2.0])}
    one, zero = np.ones(2, "f"), np.zeros(2, "f")
    _, found = jet(f, (x,), ({"a": [one, zero], "b": [zero, zero]},))
    first, second = found["s"]
    np.testing.assert_allclose(first, 2 * np.cos(x["a"]), rtol=1e-6)
    np.testing.assert_allclose(second, -2 * np.sin(x["a"]), rtol=1e-6, atol=1e-7)
    second_of = lambda x: jet(fnp.sin, (x,), ([fnp.ones_like(x), fnp.zeros_like(x)],))[1][1]
    xs = np.arange(3, dtype=np.float32)
    np.testing.assert_allclose(fx.vmap(second_of)(xs), -np.sin(xs), rtol=1e-6)
    np.testing.assert_allclose(fx.jit(second_of)(xs), -np.sin(xs), rtol=1e-6)
    np.testing.assert_allclose(fx.grad(second_of)(0.7), -np.cos(0.7), rtol=1e-6)


def test_cost_grows_as_a_polynomial():
    """Nested forward mode doubles; the recurrence adds a row of products an order."""

    def size(n):
        curve = lambda x: jet(fnp.exp, (x,), (straight_line(n),))
        return count_eqns(fx.make_jaxpr(curve)(1.0))

    sizes = [size(n) for n in (4, 8, 16)]
    assert sizes[2] < 5 * sizes[1] < 25 * sizes[0]


def test_mistakes():
    with pytest.raises(ValueError, match="lengths"):
        jet(fnp.add, (1.0, 2.0), ([1.0], [1.0, 2.0]))
    with pytest.raises(ValueError, match="shapes"):
        jet(fnp.sin, (1.0,), ([np.ones(2)],))
