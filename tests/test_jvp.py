"""Forward mode: values, structure checks, control flow on concrete values, integers, aux,
jacfwd.
"""

from __future__ import annotations

import operator

import numpy as np
import pytest

import fx
import fx.numpy as fnp


def test_value_and_tangent():
    """T-B."""
    with fx.enable_x64(True):
        y, t = fx.jvp(lambda x: fnp.sin(x) * x, (2.0,), (1.0,))
        np.testing.assert_allclose(y, 1.8185948536513634, rtol=1e-15)
        np.testing.assert_allclose(t, 0.0770037537313969, rtol=1e-14)
        second = fx.jvp(fx.grad(lambda x: fnp.sin(x) * x), (2.0,), (1.0,))[1]
        np.testing.assert_allclose(second, -2.6508885, rtol=1e-7)
        np.testing.assert_allclose(fx.grad(lambda x: fnp.sin(x) * x)(2.0), t, rtol=1e-15)


def test_python_control_flow_on_concrete_values():
    """T2."""

    def f(x):
        return x**2 if x > 0 else -x

    for mode in (fx.grad, lambda f: lambda x: fx.jvp(f, (x,), (1.0,))[1]):
        assert float(mode(f)(3.0)) == 6.0
        assert float(mode(f)(-3.0)) == -1.0
    assert float(fx.grad(lambda x: x * int(x) + float(x))(3.5)) == 3.0


def test_trees_and_aux():
    def f(p):
        return {"s": p["a"] * p["b"]}, {"count": 2, "a": p["a"]}

    y, t, aux = fx.jvp(f, ({"a": 2.0, "b": 3.0},), ({"a": 1.0, "b": 10.0},), has_aux=True)
    assert (float(y["s"]), float(t["s"])) == (6.0, 23.0)
    assert aux["count"] == 2 and float(aux["a"]) == 2.0


def test_integers_have_float0_tangents():
    zero = np.zeros((), fx.float0)
    _y, t = fx.jvp(lambda x, n: (x * n, n + 1), (2.0, 3), (1.0, zero))
    assert float(t[0]) == 3.0 and t[1].dtype == fx.float0
    with pytest.raises(TypeError, match=r"int32.*expected tangent dtype float0.*got.*float32"):
        fx.jvp(lambda x: x, (3,), (1.0,))


def test_wrong_tangents():
    with pytest.raises(
        ValueError, match=r"shapes; Got primal shape \(3,\) and tangent shape as \(2,\)"
    ):
        fx.jvp(fnp.sin, (fnp.ones(3),), (fnp.ones(2),))
    with pytest.raises(TypeError, match="same tree structure"):
        fx.jvp(lambda x: x, ({"a": 1.0},), ({"b": 1.0},))
    with pytest.raises(TypeError, match=r"\(\(\*,\)\) whereas .*\(\[\*\]\)"):
        fx.jvp(fnp.sin, (1.0,), [1.0])
    with pytest.raises(TypeError, match="must be tuples or lists"):
        fx.jvp(fnp.sin, 1.0, 1.0)


def test_zero_tangents_cost_nothing():
    """A symbolic zero runs through every operation: the tangent program of the other
    argument only.
    """
    closed = fx.make_jaxpr(lambda x, y: fx.jvp(lambda x: fnp.exp(y) * x, (x,), (1.0,))[1])(1.0, 2.0)
    names = [e.primitive.name for e in closed.eqns]
    assert names.count("exp") == 1


def test_jacfwd_shapes(rng):
    a = rng.standard_normal((4, 3)).astype("float32")
    np.testing.assert_allclose(fx.jacfwd(lambda x: fnp.asarray(a) @ x)(fnp.ones(3)), a, rtol=1e-6)
    jac = fx.jacfwd(lambda x, y: {"o": x[:, None] * y}, argnums=(0, 1))(fnp.ones(2), fnp.ones(3))
    assert [j.shape for j in jac["o"]] == [(2, 3, 2), (2, 3, 3)]
    jac, aux = fx.jacfwd(lambda x: (x**2, "text" and x), has_aux=True)(3.0)
    assert (float(jac), float(aux)) == (6.0, 3.0)


@pytest.mark.parametrize("one", [1.0, np.float32(1), np.ones((), np.float32)])
@pytest.mark.parametrize("f", [lambda x: x**2, lambda x: 2 * x, lambda x: -x, fnp.sinh])
def test_tangents_of_numbers_are_arrays(f, one):
    """Rules multiply tangents by operators, which keep Python numbers Python numbers."""
    _, t = fx.jvp(f, (3.0,), (one,))
    assert isinstance(t, fx.Array) and t.shape == () and t.dtype == np.float32
    assert float(t) == pytest.approx(float(fx.grad(f)(3.0)))


@pytest.mark.parametrize("f", [lambda x: fnp.zeros(()), lambda x: (x > 0).astype(np.float32)])
def test_derivatives_that_are_zero_are_arrays(f):
    """Not NumPy's scalars, which have no `.at`, no `.weak_type` and no device."""
    for x, weak in ((2.0, True), (fnp.float32(2), False)):
        for slope in (fx.grad(f)(x), fx.vjp(f, x)[1](fnp.float32(1))[0]):
            assert (type(slope), slope.weak_type, float(slope)) == (fx.Array, weak, 0)
        assert type(fx.jvp(f, (x,), (fx.grad(f)(x),))[1]) is fx.Array


def test_jacfwd_of_integers():
    with pytest.raises(TypeError, match=r"jacfwd requires real-valued inputs.*int32"):
        fx.jacfwd(lambda x: x * 1.0)(3)


def test_linearize_runs_the_function_once():
    calls = []

    def f(x):
        calls.append(1)
        return fnp.sin(x) * x

    _y, f_jvp = fx.linearize(f, 2.0)
    for t in (1.0, 2.0):
        np.testing.assert_allclose(f_jvp(t), t * (np.sin(2) + 2 * np.cos(2)), rtol=1e-5)
    assert len(calls) == 1
    np.testing.assert_array_equal(f_jvp(1.0), f_jvp(1.0))  # Z6: nothing is consumed
    with pytest.raises(ValueError, match=r"float32\[2\] for primal aval float32\[\]"):
        f_jvp(fnp.ones(2))
    with pytest.raises(TypeError, match="structure"):
        f_jvp(1.0, 2.0)


def test_linearized_function_goes_through_jit_and_vmap():
    _, f_jvp = fx.jit(lambda x: fx.linearize(fnp.sin, x))(0.5)
    ts = fnp.arange(3.0)
    np.testing.assert_allclose(fx.vmap(f_jvp)(ts), ts * np.cos(0.5), rtol=1e-6)
    np.testing.assert_allclose(fx.jit(f_jvp)(2.0), 2 * np.cos(0.5), rtol=1e-6)


def test_integer_power_at_zero_and_below():
    """T-C: no logarithm in the derivatives."""
    f = lambda x: x**3
    for x, expected in (
        (2.0, (12.0, 12.0, 6.0, 0.0)),
        (0.0, (0.0, 0.0, 6.0, 0.0)),
        (-2.0, (12.0, -12.0, 6.0, 0.0)),
    ):
        g = f
        for value in expected:
            g = fx.grad(g)
            assert float(g(x)) == value


def test_relu_second_derivative_is_zero_everywhere():
    relu = lambda x: fnp.maximum(x, 0.0)
    for x in (-1.0, 0.0, 1.0):
        assert float(fx.grad(fx.grad(relu))(x)) == 0.0


def test_a_float_is_no_index():
    with pytest.raises(TypeError):
        fx.grad(lambda x: x * operator.index(x))(2.0)


def test_forward_jacobians_are_weak_where_outputs_are():
    for x, weak in ((2.0, True), (fnp.float32(2), False)):
        assert fx.jacfwd(lambda x: x**3)(x).weak_type == weak
        assert fx.hessian(lambda x: x**3)(x).weak_type == weak
        assert fx.jit(fx.jacfwd(lambda x: fnp.stack([x, x])))(x).weak_type == weak
    both = fx.hessian(lambda d: (d["a"] * d["b"] ** 2).sum())({"a": 2.0, "b": fnp.ones(2)})
    assert both["a"]["b"].weak_type and not both["b"]["a"].weak_type
