"""custom_vmap and sequential_vmap: the rule is used under vmap, also inside jit and
differentiation.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx.custom_batching import custom_vmap, sequential_vmap

XS = fnp.arange(3.0)


def marked():
    """x * y, whose batching rule adds 100: wrong on purpose, so that its use shows."""

    @custom_vmap
    def f(x, y):
        return x * y

    @f.def_vmap
    def rule(axis_size, in_batched, x, y):
        assert axis_size == 3
        return x * y + 100.0, any(in_batched)

    return f


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["plain", "jit"])
def test_the_rule_is_used_under_vmap_only(wrap):
    f = wrap(marked())
    product = f(2.0, 3.0)
    assert isinstance(product, fx.Array) and product == 6.0
    np.testing.assert_array_equal(fx.vmap(f, (0, None))(XS, 2.0), 2 * np.arange(3.0) + 100)
    np.testing.assert_array_equal(fx.jit(fx.vmap(f))(XS, XS), np.arange(3.0) ** 2 + 100)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["plain", "jit"])
def test_derivatives(wrap):
    f = wrap(marked())
    assert float(fx.grad(f)(2.0, 3.0)) == 3.0
    np.testing.assert_array_equal(fx.vmap(fx.grad(f), (0, None))(XS, 5.0), [5.0, 5.0, 5.0])
    total, gradient = fx.value_and_grad(lambda v: fx.vmap(f)(v, v).sum())(XS)
    assert float(total) == 305.0
    np.testing.assert_array_equal(gradient, 2 * np.arange(3.0))
    out, tangent = fx.vmap(lambda x: fx.jvp(f, (x, 2.0), (1.0, 0.0)))(XS)
    np.testing.assert_array_equal(out, 2 * np.arange(3.0) + 100)
    np.testing.assert_array_equal(tangent, [2.0, 2.0, 2.0])


def test_missing_and_wrong_rules():
    @custom_vmap
    def f(x):
        return x

    with pytest.raises(AttributeError, match="No batching rule defined for custom_vmap function f"):
        f(1.0)
    f.def_vmap(lambda size, in_batched, x: x)
    with pytest.raises(TypeError, match="must return a pair"):
        fx.vmap(f)(XS)


def test_sequential():
    calls = []

    @sequential_vmap
    def f(x, y):
        calls.append(x.shape)
        return {"z": x * y}

    np.testing.assert_array_equal(fx.vmap(f, (0, None))(XS, 2.0)["z"], 2 * np.arange(3.0))
    assert set(calls) == {()}


def _tabled(kind: str):
    """A function with a derivative rule whose primitive's batching rule makes an array constant."""
    from fx.core import Primitive

    table = Primitive("read_a_table", numpy=lambda x: 3 * x, abstract=lambda x: x)
    table.set(lower=lambda b, x: b.map("add", x, b.map("add", x, x)))

    def batch(axis, args, dims):
        return args[0] * fnp.asarray(np.full(args[0].shape, 3, np.float32)), dims[0]

    table.set(batch=batch)
    if kind == "jvp":
        f = fx.custom_jvp(lambda x: table.bind(x))
        f.defjvp(lambda p, t: (table.bind(p[0]), 15 * t[0]))
    else:
        f = fx.custom_vjp(lambda x: table.bind(x))
        f.defvjp(lambda x: (table.bind(x), x), lambda x, ct: (15 * ct,))
    return f, table


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_batching_rules_may_make_array_constants_inside_rules(kind, jit):
    f, table = _tabled(kind)
    try:
        g = fx.vmap(lambda x: fx.lax.scan(lambda c, _: (f(c), c), x, None, length=2)[0])
        h = fx.vmap(fx.value_and_grad(lambda x: fx.jit(f)(x)))
        if jit:
            g, h = fx.jit(g), fx.jit(h)
        np.testing.assert_array_equal(g(XS), 9 * np.arange(3.0))
        value, slope = h(XS)
        np.testing.assert_array_equal(value, 3 * np.arange(3.0))
        np.testing.assert_array_equal(slope, [15.0] * 3)
        slope = fx.grad(lambda x: g(x).sum())(XS)
        np.testing.assert_array_equal(slope, [225.0] * 3)
    finally:
        fx.core.PRIMITIVES.pop(table.name)
