"""Reverse mode: vjp, grad, their errors, partial evaluation, transposition, and that work is not
repeated.
"""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import core
from fx.core import UndefinedPrimal
from fx.linearize import backward_pass, partial_eval_jaxpr, transpose_jaxpr
from fx.passes import check_jaxpr, count_eqns

X = fnp.array([[1.0, -2.0, 3.0], [0.0, 0.5, -1.0]])
Y = fnp.array([[0.0, 1.0, -1.0], [2.0, 0.5, 3.0]])


def test_zyx_example_a():
    z, pull = fx.vjp(lambda x, y: fnp.maximum(x, 0) * (x > 0) * fnp.tanh(y), X, Y)
    dx, dy = pull(fnp.ones_like(z))
    np.testing.assert_allclose(dx, [[0, 0, -0.76159416], [0, 0.46211716, 0]], atol=1e-7)
    np.testing.assert_allclose(dy, [[1, 0, 1.25992302], [0, 0.39322387, 0]], atol=1e-6)


def test_zyx_example_b():
    x, y = fnp.array([[0.5, -1.0], [0.25, 2.0]]), fnp.array([[2.0, -3.0], [4.0, 1.0]])

    def f(x, y):
        return fnp.exp(x + y) - x

    for g in (f, fx.jit(f)):
        z, pull = fx.vjp(g, x, y)
        np.testing.assert_allclose(
            z, [[11.68249396, 1.01831564], [69.85541235, 18.08553692]], rtol=1e-6
        )
        dx, dy = pull(fnp.ones_like(z))
        np.testing.assert_allclose(dx, np.exp(np.asarray(x + y)) - 1, rtol=1e-5)
        np.testing.assert_allclose(dy, np.exp(np.asarray(x + y)), rtol=1e-6)
        second = fx.grad(lambda x, g=g: fx.grad(lambda x: g(x, y).sum())(x).sum())(x)
        np.testing.assert_allclose(second, np.exp(np.asarray(x + y)), rtol=1e-6)


def test_argnums_aux_and_value():
    f = lambda x, w: ((x * w).sum(), {"x": x})
    x, w = fnp.array([2.0, 3.0]), fnp.array([1.0, 0.5])
    (value, aux), (dx, dw) = fx.value_and_grad(f, (0, 1), has_aux=True)(x, w)
    assert float(value) == 3.5
    np.testing.assert_array_equal(dx, w)
    np.testing.assert_array_equal(dw, x)
    np.testing.assert_array_equal(aux["x"], x)
    for k, expected in ((0, w), (1, x), (-1, x)):
        gradient, _ = fx.grad(f, k, has_aux=True)(x, w)
        np.testing.assert_array_equal(gradient, expected)


def test_shared_values_add_up():
    """A3, M31: each equation is transposed once, however often its value is used."""
    assert float(fx.grad(lambda x: x * x + 3 * x)(2.0)) == 7.0

    def hundred(x):
        total = 0.0
        for _ in range(100):
            total = total + x
        return total

    assert float(fx.grad(hundred)(2.0)) == 100.0
    with fx.enable_x64(True):

        def doubling(x):
            for _ in range(60):
                x = x + x
            return x

        assert float(fx.grad(doubling)(1.0)) == 2.0**60


def test_long_chains_need_no_recursion():
    """A9."""

    def f(x):
        for _ in range(3000):
            x = -x
        return x

    assert float(fx.grad(f)(1.0)) == 1.0
    closed = fx.make_jaxpr(f)(1.0)
    assert float(core.eval_jaxpr(closed.jaxpr, (), 2.0)[0]) == 2.0


def test_unconnected_inputs():
    g = fx.grad(lambda x, y: y * 2.0, argnums=(0, 1))(fnp.float32(3.0), 1.0)
    assert [float(v) for v in g] == [0.0, 2.0]
    dx, dn = fx.vjp(lambda x, n: x * n, 2.0, 3)[1](1.0)
    assert float(dx) == 3.0 and dn.dtype == fx.float0


def test_non_scalar_target_names_the_shape():
    with pytest.raises(TypeError, match=r"scalar-output functions. Output had shape: \(3,\)"):
        fx.grad(fnp.sin)(fnp.ones(3))
    with pytest.raises(TypeError, match="Output of pair was a tree"):

        def pair(x):
            return x, x

        fx.grad(pair)(1.0)


def test_dtype_checks():
    with pytest.raises(TypeError, match=r"(?s)got int32.*allow_int.*argument is n of f"):

        def f(x, n):
            return x * n

        fx.grad(f, 1)(1.0, 3)
    assert fx.grad(lambda n: n * 2.0, allow_int=True)(3).dtype == fx.float0
    with pytest.raises(TypeError, match=r"real-valued outputs.*int32"):
        fx.grad(lambda x: fnp.int32(3))(1.0)
    with pytest.raises(TypeError, match=r"real-valued outputs.*complex64.*holomorphic=True"):
        fx.grad(lambda x: x * 1j)(1.0)
    z = fnp.complex64(1 + 2j)
    assert complex(fx.grad(lambda z: z * z, holomorphic=True)(z)) == 2 + 4j
    with pytest.raises(TypeError, match="complex dtype, but got float32"):
        fx.grad(lambda z: z * z, holomorphic=True)(1.0)


def test_argnums_are_anything_that_counts():
    f = lambda x, y: x * x * y
    for transform in (fx.grad, fx.jacfwd, fx.jacrev):
        assert float(transform(f, np.int64(1))(2.0, 3.0)) == 4.0
        assert [float(g) for g in transform(f, np.array([1, 0]))(2.0, 3.0)] == [4.0, 12.0]
    assert float(fx.jit(f, static_argnums=np.int64(1))(2.0, 3.0)) == 12.0
    assert float(fx.checkpoint(f, static_argnums=np.int64(1))(2.0, 3.0)) == 12.0
    with pytest.raises(TypeError, match="argnums must be an int or a sequence of ints, got '0'"):
        fx.grad(f, argnums="0")


def test_argnums_out_of_range():
    with pytest.raises(TypeError, match=r"argnums 2 is out of range.*2 positional arguments"):
        fx.grad(lambda x, y: x, argnums=2)(1.0, 2.0)
    with pytest.raises(TypeError, match="callable"):
        fx.grad(3.0)


def test_wrong_cotangents():
    _, pull = fx.vjp(lambda x: {"a": x}, fnp.ones(3))
    with pytest.raises(ValueError, match="tree structure of argument to vjp function"):
        pull(fnp.ones(3))
    with pytest.raises(ValueError, match=r"got float32\[2\], but expected float32\[3\]"):
        pull({"a": fnp.ones(2)})
    with pytest.raises(ValueError, match=r"got int32\[3\], but expected float32\[3\]"):
        pull({"a": fnp.ones(3, "int32")})


def test_aux_must_be_a_pair():
    with pytest.raises(TypeError, match="two-element tuple, but f returned"):

        def f(x):
            return x

        fx.grad(f, has_aux=True)(1.0)


def test_outputs_must_be_arrays():
    with pytest.raises(TypeError, match=r"str.*output component \['name'\]"):
        fx.vjp(lambda x: {"name": "a", "x": x}, 1.0)


def test_pullback_is_pure_and_is_a_tree():
    """Z6."""
    y, pull = fx.vjp(fnp.sin, fnp.arange(3.0))
    np.testing.assert_array_equal(pull(y)[0], pull(y)[0])
    _, pull = fx.jit(lambda x: fx.vjp(fnp.sin, x))(fnp.arange(3.0))
    np.testing.assert_allclose(
        fx.jit(lambda p, c: p(c))(pull, y)[0], np.cos(np.arange(3.0)) * y, rtol=1e-6
    )
    rows = fx.vmap(pull)(fnp.eye(3))[0]
    np.testing.assert_allclose(rows, np.diag(np.cos(np.arange(3.0))), rtol=1e-6)


def test_dropping_the_pullback_frees_the_residuals():
    """Z12, M27: without the garbage collector."""
    kept = []

    def f(x):
        y = fnp.exp(x)
        kept.append(weakref.ref(y.primal))
        return y

    gc.disable()
    try:
        y, pull = fx.vjp(f, fnp.ones(3))
        del y
        assert kept[0]() is not None
        del pull
        assert kept[0]() is None
        fx.grad(lambda x: f(x).sum())(fnp.ones(3))
        assert kept[1]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x,
        lambda x: 1 / x,
        lambda x: fnp.dot(x, x),
        lambda x: fnp.where(x > 0, x, 0),
        lambda x: x[x.astype(int)],
        lambda x: fx.lax.cond(x[0] > 0, lambda: x, lambda: x * 2),
        lambda x: fx.lax.linalg.triangular_solve(fnp.diag(x), x[:, None], left_side=True),
    ],
)
def test_a_transpose_says_that_a_function_is_not_linear(f):
    x = fnp.arange(3.0)
    with pytest.raises(NotImplementedError, match="is not linear"):
        fx.linear_transpose(f, x)(f(x))


def test_linear_transpose():
    f = lambda x: fnp.concatenate([3 * x, x[:1]])
    t = fx.linear_transpose(f, fx.ShapeDtypeStruct((2,), np.float32))
    np.testing.assert_array_equal(t(fnp.array([1.0, 2.0, 10.0]))[0], [13.0, 6.0])
    with pytest.raises(NotImplementedError, match="'sin' has no transpose rule"):
        fx.linear_transpose(fnp.sin, 1.0)(1.0)
    with pytest.raises(TypeError, match="int32 -> float32"):
        fx.linear_transpose(lambda x: 2.0 * x, 1)
    doubled = fx.linear_transpose(lambda x: x * 2, fnp.arange(3))
    np.testing.assert_array_equal(doubled(fnp.arange(3))[0], [0, 2, 4])
    with pytest.raises(TypeError, match="cotangent tree"):
        t((1.0,))


def test_partial_evaluation_splits_a_jaxpr():
    closed = fx.make_jaxpr(lambda x, y: (fnp.sin(x), fnp.cos(fnp.sin(x)) * y))(1.0, 2.0)
    known, unknown, unknown_out, n_res = partial_eval_jaxpr(closed, [False, True])
    assert unknown_out == [False, True] and n_res == 1
    check_jaxpr(known)
    check_jaxpr(unknown)
    assert [e.primitive.name for e in unknown.eqns] == ["mul"]
    assert partial_eval_jaxpr(closed, [False, True])[0] is known  # cached
    *_, forced, _ = partial_eval_jaxpr(closed, [False, True], instantiate=True)
    assert forced == [True, True]


def test_transposition_evaluates_what_is_not_linear():
    closed = fx.make_jaxpr(lambda x, t: fnp.sin(x) * t)(1.0, 2.0)
    cts = backward_pass(closed.jaxpr, (), [0.5, UndefinedPrimal(closed.in_avals[1])], [2.0])
    assert cts[0] is None
    np.testing.assert_allclose(cts[1], 2 * np.sin(0.5), rtol=1e-6)
    transposed, nonzero = transpose_jaxpr(closed, [False, True], [True])
    check_jaxpr(transposed)
    assert nonzero == [True]


def test_a_gradient_of_a_jitted_function_does_not_run_python_again():
    calls = []

    @fx.jit
    def f(x):
        calls.append(1)
        return fnp.sin(x) * x

    f(fnp.float32(1.0))
    g = fx.grad(f)
    for x in map(fnp.float32, (1.0, 2.0, 3.0)):
        np.testing.assert_allclose(g(x), np.sin(x) + x * np.cos(x), rtol=1e-5)
    fx.vmap(g)(fnp.arange(3.0))
    fx.jit(g)(fnp.float32(1.0))
    assert len(calls) == 1


def test_scalars_stay_literals():
    """A rule takes them as arrays; whoever records it, and every derivative of it, does not."""

    def f(x):
        return fnp.mean(fnp.tanh(x / 3) * np.float32(0.25))

    slope = lambda x: fx.jvp(fx.grad(f), (x,), (x,))[1].sum()
    for g in (fx.grad(f), slope, fx.vmap(fx.grad(lambda x: f(x) / 7))):
        closed = fx.make_jaxpr(g)(X)
        assert not closed.consts and "3.0:f32[]" in str(closed)
    scale = fnp.float32(5.0)  # an array of the user's is no literal
    assert len(fx.make_jaxpr(fx.grad(lambda x: f(x) * scale))(X).consts) == 1


def test_residuals_that_are_inputs_are_not_copied_out():
    closed = fx.make_jaxpr(lambda x: fx.linearize(fx.jit(lambda x: x * x * x), x)[0])(1.0)
    (eqn,) = [e for e in closed.eqns if e.primitive.name == "jit"]
    assert len(eqn.outvars) <= 3


def test_chain_of_tanh_keeps_one_residual_each():
    from fx.ad_checkpoint import saved_residuals

    def f(x):
        for _ in range(5):
            x = fnp.tanh(x)
        return x

    assert len(saved_residuals(f, 1.0)) <= 10
    assert count_eqns(fx.make_jaxpr(fx.grad(f))(1.0), "tanh") == 5


def test_fwd_and_bwd():
    fwd, bwd = fx.fwd_and_bwd(lambda x, w: (x * w).sum(), argnums=1)
    y, pull = fwd(fnp.array([2.0, 3.0]), fnp.ones(2))
    assert float(y) == 5.0
    np.testing.assert_array_equal(bwd(pull, 1.0), [2.0, 3.0])


def test_hessian_and_jacrev(rng):
    x = fnp.asarray(rng.standard_normal((2, 3)), dtype="float32")
    np.testing.assert_allclose(
        fx.hessian(lambda x: (x**3).sum())(x).reshape(6, 6),
        np.diag(6 * np.asarray(x).ravel()),
        rtol=1e-5,
    )
    jac = fx.jacrev(lambda p: {"o": p["a"] * p["b"]})({"a": fnp.ones(2), "b": fnp.arange(2.0)})
    np.testing.assert_array_equal(jac["o"]["a"], np.diag([0.0, 1.0]))
    with pytest.raises(TypeError, match="jacrev requires real-valued outputs"):
        fx.jacrev(lambda x: x * 1j)(1.0)
    jac = fx.jacrev(lambda n: n * 2.0, allow_int=True)(fnp.arange(3))
    assert jac.dtype == np.int32
    np.testing.assert_array_equal(jac, np.zeros((3, 3)))
    jac = fx.jacfwd(lambda x: fnp.int32(x))(fnp.ones(2))
    assert jac.dtype == np.int32
    np.testing.assert_array_equal(jac, np.zeros((2, 2)))


def test_cotangents_of_integers_are_taken_and_ignored():
    out, pull = fx.vjp(lambda x: ((x * 2).astype(int), x * x), 3.0)
    for ct in (out[0], 1, 2.5, np.zeros((), fx.dtypes.float0)):
        assert float(pull((ct, 1.0))[0]) == 6.0
    with pytest.raises(ValueError, match=r"got int32\[2\], but expected float0\[\]"):
        pull((fnp.zeros(2, int), 1.0))
