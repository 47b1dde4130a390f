"""custom_jvp, custom_vjp, both rules together, and that the rule is used under every
transformation.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx.custom_derivatives import SymbolicZero, linear_call, zero_from_primal


def scaled_sin_jvp():
    """sin, whose derivative claims to be 2 cos: wrong on purpose, so that the rule's use shows."""

    @fx.custom_jvp
    def f(x):
        return fnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), 2 * fnp.cos(x) * t

    return f


def scaled_sin_vjp():
    @fx.custom_vjp
    def f(x):
        return fnp.sin(x)

    f.defvjp(lambda x: (fnp.sin(x), fnp.cos(x)), lambda res, ct: (2 * res * ct,))
    return f


XS = fnp.arange(3.0)
STACKS = {
    "grad": lambda f, x: fx.grad(f)(x),
    "jvp": lambda f, x: fx.jvp(f, (x,), (fnp.float32(1),))[1],
    "jit grad": lambda f, x: fx.jit(fx.grad(f))(x),
    "grad jit": lambda f, x: fx.grad(fx.jit(f))(x),
    "grad jit jit": lambda f, x: fx.grad(fx.jit(fx.jit(f)))(x),
    "jvp jit": lambda f, x: fx.jvp(fx.jit(f), (x,), (fnp.float32(1),))[1],
    "jit jvp": lambda f, x: fx.jit(lambda x: fx.jvp(f, (x,), (fnp.float32(1),))[1])(x),
    "vmap grad": lambda f, x: fx.vmap(fx.grad(f))(x * fnp.ones(2))[1],
    "grad vmap": lambda f, x: fx.grad(lambda v: fx.vmap(f)(v).sum())(x * fnp.ones(2))[1],
    "grad vmap jit": lambda f, x: fx.grad(lambda v: fx.vmap(fx.jit(f))(v).sum())(x * fnp.ones(2))[
        1
    ],
    "vmap jvp jit": lambda f, x: fx.vmap(lambda t: fx.jvp(fx.jit(f), (x,), (t,))[1])(fnp.ones(2))[
        1
    ],
    "linearize": lambda f, x: fx.linearize(f, x)[1](fnp.float32(1)),
    "vmap linearize": lambda f, x: fx.vmap(fx.linearize(f, x)[1])(fnp.ones(2))[0],
    "checkpoint": lambda f, x: fx.grad(fx.checkpoint(f))(x),
    "scan": lambda f, x: fx.grad(
        lambda x: fx.lax.scan(lambda c, _: (f(c), None), x, None, length=1)[0]
    )(x),
}


@pytest.mark.parametrize("make", [scaled_sin_jvp, scaled_sin_vjp])
@pytest.mark.parametrize("stack", STACKS)
def test_the_rule_is_used(make, stack):
    f = make()
    np.testing.assert_allclose(f(0.7), np.sin(0.7), rtol=1e-6)
    np.testing.assert_allclose(STACKS[stack](f, fnp.float32(0.7)), 2 * np.cos(0.7), rtol=1e-6)


@pytest.mark.parametrize("make", [scaled_sin_jvp, scaled_sin_vjp])
def test_second_derivative_differentiates_the_rule(make):
    f = make()
    # the rule 2 cos(x) t is differentiated through its own cos
    np.testing.assert_allclose(fx.grad(fx.grad(f))(0.7), -2 * np.sin(0.7), rtol=1e-6)
    np.testing.assert_allclose(
        fx.grad(fx.jit(fx.grad(fx.jit(f))))(0.7), -2 * np.sin(0.7), rtol=1e-6
    )


def test_both_rules_on_one_function():
    """Beyond JAX: forward mode takes the jvp rule, reverse mode the vjp rule."""
    f = scaled_sin_vjp()
    f.defjvp(lambda p, t: (f(*p), 3 * fnp.cos(p[0]) * t[0]))
    np.testing.assert_allclose(fx.jvp(f, (0.7,), (1.0,))[1], 3 * np.cos(0.7), rtol=1e-6)
    np.testing.assert_allclose(fx.grad(f)(0.7), 2 * np.cos(0.7), rtol=1e-6)
    np.testing.assert_allclose(fx.jvp(fx.jit(f), (0.7,), (1.0,))[1], 3 * np.cos(0.7), rtol=1e-6)
    np.testing.assert_allclose(fx.grad(fx.jit(f))(0.7), 2 * np.cos(0.7), rtol=1e-6)


def test_clip_gradient():
    """T-D."""

    @fx.custom_vjp
    def g(x):
        return x

    g.defvjp(lambda x: (x, None), lambda _, ct: (fnp.clip(ct, -1.0, 1.0),))
    for scale, expected in ((5.0, 1.0), (-7.0, -1.0), (0.3, 0.3)):
        np.testing.assert_allclose(
            fx.grad(lambda x, scale=scale: scale * g(x))(2.0), expected, rtol=1e-6
        )
    assert float(fx.grad(fx.grad(lambda x: g(x) ** 2))(0.25)) == 2.0
    per_example = fx.vmap(fx.grad(lambda x, s: s * g(x)))(fnp.ones(3), fnp.array([5.0, -7.0, 0.25]))
    np.testing.assert_array_equal(per_example, [1.0, -1.0, 0.25])


def test_nondiff_arguments():
    @partial(fx.custom_jvp, nondiff_argnums=(0, 2))
    def apply(fun, x, n):
        return fun(x) * n

    @apply.defjvp
    def apply_jvp(fun, n, primals, tangents):
        return apply(fun, primals[0], n), 10.0 * n * tangents[0]

    assert float(fx.grad(lambda x: apply(fnp.sin, x, 3))(1.0)) == 30.0
    assert float(fx.jit(fx.grad(lambda x: apply(fnp.sin, x, n=3)))(1.0)) == 30.0

    @partial(fx.custom_vjp, nondiff_argnums=(0,))
    def apply2(fun, x):
        return fun(x)

    apply2.defvjp(lambda fun, x: (fun(x), x), lambda fun, x, ct: (7.0 * ct,))
    assert float(fx.grad(lambda x: apply2(fnp.sin, x))(1.0)) == 7.0


def test_trees_defaults_and_none_cotangents():
    @fx.custom_vjp
    def f(p, x, scale=2.0):
        return {"y": p["w"] * x * scale}

    def fwd(p, x, scale=2.0):
        return f(p, x, scale), (p, x, scale)

    def bwd(res, ct):
        p, x, scale = res
        return {"w": x * scale * ct["y"], "unused": None}, p["w"] * scale * ct["y"], None

    f.defvjp(fwd, bwd)
    p = {"w": fnp.float32(3.0), "unused": fnp.ones(2)}
    dp, dx = fx.grad(lambda p, x: f(p, x)["y"], argnums=(0, 1))(p, 5.0)
    assert float(dp["w"]) == 10.0 and float(dx) == 6.0
    np.testing.assert_array_equal(dp["unused"], [0.0, 0.0])


def test_integer_arguments():
    @fx.custom_vjp
    def take(x, i):
        return x[i]

    take.defvjp(
        lambda x, i: (x[i], (x.shape, i)),
        lambda res, ct: (fnp.zeros(3).at[res[1]].set(100 * ct), None),
    )
    np.testing.assert_array_equal(fx.grad(take)(XS, 1), [0.0, 100.0, 0.0])
    np.testing.assert_array_equal(fx.jit(fx.grad(take))(XS, 1), [0.0, 100.0, 0.0])


def test_defjvps():
    @fx.custom_jvp
    def f(x, y):
        return x * y

    f.defjvps(lambda t, ans, x, y: 2 * y * t, None)
    dx, dy = fx.grad(f, argnums=(0, 1))(3.0, 5.0)
    assert (float(dx), float(dy)) == (10.0, 0.0)


def test_symbolic_zeros():
    seen = []

    @fx.custom_jvp
    def f(x, y):
        return x * y

    def f_jvp(primals, tangents):
        seen.append(tuple(type(t) is SymbolicZero for t in tangents))
        x, y = primals
        tx, ty = tangents
        return f(x, y), (tx * y if type(ty) is SymbolicZero else tx * y + x * ty)

    f.defjvp(f_jvp, symbolic_zeros=True)
    assert float(fx.grad(f)(3.0, 5.0)) == 5.0
    assert seen == [(False, True)]

    @fx.custom_vjp
    def g(x, y):
        return x * y

    perturbed = []

    def fwd(x, y):
        perturbed.append((x.perturbed, y.perturbed))
        return x.value * y.value, (x.value, y.value)

    g.defvjp(fwd, lambda res, ct: (res[1] * ct, res[0] * ct), symbolic_zeros=True)
    assert float(fx.grad(g, 1)(3.0, 5.0)) == 3.0
    assert perturbed == [(False, True)]
    assert float(zero_from_primal(2.0)) == 0.0


def test_control_flow_in_an_eager_rule():
    """The rule runs as Python outside jit: it may look at its values."""

    @fx.custom_jvp
    def f(x):
        return x * 2

    f.defjvp(lambda p, t: (f(*p), t[0] if p[0] > 0 else -t[0]))
    assert float(fx.grad(f)(1.0)) == 1.0
    assert float(fx.grad(f)(-1.0)) == -1.0


def test_closed_over_values():
    def outer(a, x):
        @fx.custom_vjp
        def f(x):
            return a * x

        f.defvjp(lambda x: (a * x, None), lambda _, ct: (5 * a * ct,))
        return f(x)

    assert float(fx.grad(outer, 1)(2.0, 3.0)) == 10.0
    assert float(fx.jit(fx.grad(outer, 1))(2.0, 3.0)) == 10.0
    assert float(fx.grad(fx.jit(outer), 1)(2.0, 3.0)) == 10.0
    with pytest.raises(fx.errors.UnexpectedTracerError, match=r"closed-over|leaked|traced value"):
        fx.grad(outer, 0)(2.0, 3.0)
    np.testing.assert_array_equal(fx.vmap(fx.grad(outer, 1))(XS, XS), 5 * np.arange(3.0))


def test_missing_and_wrong_rules():
    @fx.custom_jvp
    def f(x):
        return x

    with pytest.raises(
        AttributeError, match="No JVP defined for custom_jvp function f using defjvp"
    ):
        f(1.0)
    f.defjvp(lambda p, t: p[0])
    with pytest.raises(TypeError, match="must produce a pair"):
        fx.grad(f)(1.0)
    f.defjvp(lambda p, t: (p[0], (t[0], t[0])))
    with pytest.raises(TypeError, match="equal container"):
        fx.grad(f)(1.0)
    f.defjvp(lambda p, t: (p[0], fnp.ones(3)))
    with pytest.raises(
        TypeError, match=r"corresponding shapes and dtypes. Expected float32\[\].*got float32\[3\]"
    ):
        fx.grad(f)(1.0)

    @fx.custom_vjp
    def g(x, y):
        return x

    with pytest.raises(
        AttributeError, match="No VJP defined for custom_vjp function g using defvjp"
    ):
        g(1.0, 2.0)
    g.defvjp(lambda x, y: (x, None), lambda _, ct: (ct,))
    with pytest.raises(
        TypeError, match="must produce a tuple of length 2, but got tuple of length 1"
    ):
        fx.grad(g)(1.0, 2.0)
    g.defvjp(lambda x, y: (x, None), lambda _, ct: (fnp.ones(3), ct))
    with pytest.raises(
        ValueError, match=r"expected float32\[\] for args\[0\] but got float32\[3\]"
    ):
        fx.grad(g)(1.0, 2.0)
    g.defvjp(lambda x, y: (x, None), lambda _, ct: ((ct, ct), ct))
    with pytest.raises(TypeError, match=r"at args\[0\] it has.*the argument is one array"):
        fx.grad(g)(1.0, 2.0)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_a_cotangent_may_stand_for_a_whole_subtree(wrap):
    """Trees of cotangents are prefixes of the arguments', as where a container holds one array."""

    @fx.custom_vjp
    def f(d, y):
        return d["a"] * y + d["b"][0] + d["c"][0] * d["c"][1]

    f.defvjp(lambda d, y: (f(d, y), (d, y)), lambda r, ct: ({"a": ct * r[1], "b": ct, "c": 2 * ct},
                                                           ct * r[0]["a"]))  # fmt: skip
    grads = wrap(fx.grad(f, (0, 1)))({"a": 2.0, "b": [3.0], "c": (4.0, 5.0)}, 6.0)
    assert [float(g) for g in fx.tree.leaves(grads)] == [6.0, 1.0, 2.0, 2.0, 2.0]
    assert fx.tree.structure(grads[0]) == fx.tree.structure({"a": 0, "b": [0], "c": (0, 0)})


def test_forward_mode_over_a_rule_that_cannot_be_transposed():
    @fx.custom_vjp
    def f(x):
        return x * 2

    f.defvjp(lambda x: (x * 2, None), lambda _, ct: (fnp.sin(ct),))
    assert np.isfinite(float(fx.grad(f)(1.0)))
    with pytest.raises(TypeError, match=r"can't apply forward-mode.*'sin' has no transpose"):
        fx.jvp(f, (1.0,), (1.0,))


def test_custom_gradient():
    @fx.custom_gradient
    def f(x):
        return x**2, lambda ct: (ct * 100 * x,)

    assert float(f(3.0)) == 9.0
    for g in (fx.grad(f), fx.jit(fx.grad(f)), fx.grad(fx.jit(f))):
        assert float(g(3.0)) == 300.0
    np.testing.assert_array_equal(fx.vmap(fx.grad(f))(XS), 100 * np.arange(3.0))

    @fx.custom_gradient
    def h(x, y):
        return x * y, lambda ct: (y * ct, -x * ct)

    assert [float(v) for v in fx.grad(h, (0, 1))(2.0, 3.0)] == [3.0, -2.0]


def test_closure_convert():
    def outer(a):
        converted, consts = fx.closure_convert(lambda x: fnp.sin(a) * x, 1.0)
        assert len(consts) == 1
        return fx.grad(lambda *c: converted(2.0, *c))(*consts)

    np.testing.assert_allclose(
        fx.grad(lambda a: outer(a) * a)(0.5), 2 * np.cos(0.5) - np.sin(0.5), rtol=1e-6
    )
    np.testing.assert_allclose(fx.jit(outer)(0.5), 2 * np.cos(0.5), rtol=1e-6)


def test_linear_call():
    f = lambda x: linear_call(lambda r, x: r * x, lambda r, ct: 2 * r * ct, 3.0, x)
    assert float(f(2.0)) == 6.0
    for g in (fx.grad(f), fx.jit(fx.grad(f)), fx.grad(fx.jit(f))):
        assert float(g(2.0)) == 6.0
    assert float(fx.jvp(f, (2.0,), (1.0,))[1]) == 3.0


def test_recorded_calls_hold_jaxprs():
    text = str(fx.make_jaxpr(scaled_sin_vjp())(1.0))
    assert "custom_vjp_call" in text and "bwd_jaxpr={ lambda" in text and "lazy=None" in text


def test_methods():
    class Model:
        @partial(fx.custom_jvp, nondiff_argnums=(0,))
        def f(self, x):
            return x * 3

        @f.defjvp
        def f_jvp(self, primals, tangents):
            return self.f(primals[0]), 30 * tangents[0]

    assert float(fx.grad(Model().f)(1.0)) == 30.0


def test_a_cotangent_of_another_precision_becomes_the_arguments():
    f = fx.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, None), lambda _, ct: (ct.astype(fnp.float16) * 3,))
    for gradient in (fx.grad(f), fx.jit(fx.grad(f))):
        found = gradient(fnp.float32(1))
        assert found.dtype == np.float32
        assert float(found) == 3.0


@pytest.mark.parametrize("nonlinear", [lambda r, ct: ct * ct / r, lambda r, ct: r / ct])
def test_a_bwd_that_is_not_linear_says_so_in_forward_mode(nonlinear):
    f = fx.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, x), lambda r, ct: (nonlinear(r, ct),))
    assert fx.grad(f)(3.0).shape == ()
    with pytest.raises(TypeError, match=r"can't apply forward-mode.*is not linear"):
        fx.jvp(f, (3.0,), (1.0,))


OTHER_OUTPUTS = {  # (function, output of the rule, what the error says)
    "a pair": (lambda x: x * 2, lambda x: (x, x), r"structure: expected .*\*\).*got .*\(\*, \*\)"),
    "a shape": (lambda x: x * 2, lambda x: x * fnp.ones(2), r"float32\[\], got float32\[2\]"),
    "a dtype": (lambda x: x * 2, lambda x: fnp.float16(x), r"float32\[\], got float16\[\]"),
}


@pytest.mark.parametrize("function, output, says", OTHER_OUTPUTS.values(), ids=OTHER_OUTPUTS.keys())
def test_a_rule_with_another_output_than_the_function_is_named(function, output, says):
    """Where the function is recorded, and differentiated: else nobody has run it."""
    by_vjp = fx.custom_vjp(function)
    by_vjp.defvjp(lambda x: (output(x), None), lambda _, ct: (1.0,))
    by_jvp = fx.custom_jvp(function)
    by_jvp.defjvp(lambda p, t: (output(p[0]), output(t[0])))
    for f, rule in ((by_vjp, "VJP fwd"), (by_jvp, "JVP")):
        assert float(fx.jit(f)(3.0)) == 6.0
        with pytest.raises(TypeError, match=f"Custom {rule} rule .*with equal .*{says}"):
            fx.grad(fx.jit(f))(3.0)
