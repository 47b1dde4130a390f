"""Tools around derivatives: dependence, fixed points, sums over examples, statistics."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax

# ---------------------------------------------------------------- dependence


def test_each_output_names_its_inputs():
    def f(p, x):
        h = fnp.tanh(x @ p["w"])
        return {"loss": (h * p["scale"]).sum(), "hidden": h, "constant": fnp.ones(2)}

    p = {"w": fnp.ones((3, 2)), "scale": fnp.ones(2), "unused": fnp.ones(1)}
    found = fx.dependence(f)(p, fnp.ones(3))
    assert found["loss"] == ({"w": True, "scale": True, "unused": False}, True)
    assert found["hidden"] == ({"w": True, "scale": False, "unused": False}, True)
    assert found["constant"] == ({"w": False, "scale": False, "unused": False}, False)


def test_dependence_goes_through_calls_loops_and_branches():
    jitted = fx.jit(lambda x, y: (x * 2, y * 3))
    assert fx.dependence(jitted)(1.0, 2.0) == ((True, False), (False, True))

    def loop(x, y, z):
        return lax.fori_loop(0, 3, lambda _, c: (c[0] + c[1], c[1], c[2] * 2), (x, y, z))

    assert fx.dependence(loop)(1.0, 2.0, 3.0) == (
        (True, True, False), (False, True, False), (False, False, True),
    )  # fmt: skip
    branch = lambda x, y, z: lax.cond(x > 0, lambda y, z: y, lambda y, z: y * 2, y, z)
    assert fx.dependence(branch)(1.0, 2.0, 3.0) == (True, True, False)


def test_dependence_computes_nothing():
    big = fx.ShapeDtypeStruct((1 << 28,), np.float32)
    before = fx.counters()
    assert fx.dependence(lambda x, y: fnp.exp(x))(big, big) == (True, False)
    grown = fx.counters() - before
    assert (grown.launches, grown.live_bytes) == (0, 0)


# ---------------------------------------------------------------- fixed points


def root(a):
    return fx.fixed_point(lambda x, a: (x + a / x) / 2, fnp.ones_like(a), a)


def kepler(e, m):
    """The eccentric anomaly: E = m + e sin E."""
    return fx.fixed_point(lambda E: m + e * fnp.sin(E), m)


def test_square_roots_and_their_derivatives():
    assert float(root(2.0)) == pytest.approx(2**0.5, rel=1e-6)
    for wrap in (lambda f: f, fx.jit):
        assert float(wrap(fx.grad(root))(4.0)) == pytest.approx(0.25, rel=1e-5)
        forward = wrap(lambda a: fx.jvp(root, (a,), (1.0,))[1])
        assert float(forward(4.0)) == pytest.approx(0.25, rel=1e-5)
        assert float(wrap(fx.grad(fx.grad(root)))(4.0)) == pytest.approx(-1 / 32, rel=1e-4)


def test_closed_over_values_are_differentiated():
    e, m = np.float32(0.3), np.float32(1.0)
    found = float(kepler(e, m))
    assert found == pytest.approx(1.0 + 0.3 * np.sin(found), rel=1e-6)
    by_e, by_m = fx.grad(kepler, (0, 1))(e, m)
    slope = 1 - 0.3 * np.cos(found)
    assert float(by_e) == pytest.approx(np.sin(found) / slope, rel=1e-4)
    assert float(by_m) == pytest.approx(1 / slope, rel=1e-4)


def test_mapped_fixed_points():
    m = np.linspace(0.1, 3, 7, dtype=np.float32)
    mapped = fx.vmap(fx.grad(kepler, 1), (None, 0))(np.float32(0.3), m)
    looped = [float(fx.grad(kepler, 1)(np.float32(0.3), v)) for v in m]
    np.testing.assert_allclose(mapped, looped, rtol=1e-4)


def test_trees_and_linear_systems(rng):
    a = np.float32(0.1 * rng.normal(size=(4, 4)))
    b = np.float32(rng.normal(size=4))

    def solution(a, b):
        step = lambda x: {"x": a @ x["x"] + b}
        return fx.fixed_point(step, {"x": fnp.zeros(4)})["x"]

    exact = lambda a, b: fnp.linalg.solve(fnp.eye(4) - a, b)
    np.testing.assert_allclose(solution(a, b), exact(a, b), rtol=1e-4, atol=1e-5)
    for found, wanted in zip(fx.jacrev(solution, (0, 1))(a, b), fx.jacrev(exact, (0, 1))(a, b)):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_max_steps_ends_the_iteration():
    assert float(fx.fixed_point(lambda x: x + 1, 0.0, max_steps=10)) == 10


# ---------------------------------------------------------------- two rules, kernels, loops


def test_a_function_with_a_forward_and_a_backward_rule():
    """Forward mode takes the jvp rule, reverse mode the vjp rule."""

    @fx.custom_vjp
    def f(x):
        return x * x

    f.defvjp(lambda x: (f(x), x), lambda x, ct: (3 * x * ct,))
    f.defjvp(lambda primals, tangents: (f(*primals), 5 * primals[0] * tangents[0]))
    assert float(fx.grad(f)(2.0)) == 6
    assert float(fx.jvp(f, (2.0,), (1.0,))[1]) == 10


def test_forward_mode_over_a_vjp_rule_is_derived():
    @fx.custom_vjp
    def f(x):
        return fnp.sin(x)

    f.defvjp(lambda x: (f(x), x), lambda x, ct: (2 * fnp.cos(x) * ct,))
    assert float(fx.jvp(f, (0.0,), (1.0,))[1]) == 2
    assert float(fx.jit(lambda x: fx.jvp(f, (x,), (1.0,))[1])(0.0)) == 2
