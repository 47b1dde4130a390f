"""Transformations nest in every order: one function, every stack of transformations to depth three,
one answer.

Ground truth is the function's closed form; the perturbation-confusion tests are the classical ones.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax


def f(x):
    """sin(x) x^2 with a custom rule, a checkpoint and a jit inside."""
    return square(fx.checkpoint(fnp.sin)(x)) + fx.jit(fnp.cos)(x) * x


@fx.custom_jvp
def square(x):
    return x * x


square.defjvps(lambda t, ans, x: 2 * x * t)

# derivatives of sin(x)^2 + x cos(x), by hand
DERIVATIVES = [
    lambda x: np.sin(x) ** 2 + x * np.cos(x),
    lambda x: np.sin(2 * x) + np.cos(x) - x * np.sin(x),
    lambda x: 2 * np.cos(2 * x) - 2 * np.sin(x) - x * np.cos(x),
    lambda x: -4 * np.sin(2 * x) - 3 * np.cos(x) + x * np.sin(x),
]


def forward(g):
    return lambda x: fx.jvp(g, (x,), (fnp.ones_like(x),))[1]


def through_vmap(g):
    """Map over a batch of two equal examples and take the first."""
    return lambda x: fx.vmap(g)(fnp.stack([x, x]))[0]


def linearized(g):
    return lambda x: fx.linearize(g, x)[1](fnp.ones_like(x))


def pulled(g):
    def pull(x):
        y, back = fx.vjp(g, x)
        return back(fnp.ones_like(y))[0]

    return pull


WRAPPERS = {
    "jit": (fx.jit, 0),
    "vmap": (through_vmap, 0),
    "checkpoint": (fx.checkpoint, 0),
    "grad": (fx.grad, 1),
    "jvp": (forward, 1),
    "linearize": (linearized, 1),
    "vjp": (pulled, 1),
}


@pytest.mark.parametrize("names", list(itertools.product(WRAPPERS, repeat=2)), ids="-".join)
def test_every_stack_of_two_and_every_third(names):
    x = 0.7
    for last in (*((n,) for n in WRAPPERS), ()):
        g, order = f, 0
        for name in (*names, *last):
            wrap, adds = WRAPPERS[name]
            g, order = wrap(g), order + adds
        np.testing.assert_allclose(g(x), DERIVATIVES[order](x), rtol=2e-4, err_msg=str(last))


def test_perturbation_confusion():
    """d/dx [x * d/dy (x + y)] at 1 is 1 (Siskind and Pearlmutter 2005), in every mode."""
    for outer, inner in itertools.product((fx.grad, forward), repeat=2):

        def g(x, inner=inner):
            return x * inner(lambda y: x + y)(1.0)

        assert float(outer(g)(1.0)) == 1.0


def test_inner_derivative_of_the_outer_variable_is_a_constant():
    def g(x):
        return x * fx.grad(lambda y: x * y * y)(3.0)  # 6 x^2

    assert float(fx.grad(g)(2.0)) == 24.0
    assert float(forward(forward(g))(2.0)) == 12.0


def test_jacobians_in_both_orders_agree(rng):
    def g(x):
        return fnp.tanh(x) * x.sum()

    x = fnp.asarray(rng.standard_normal(3), dtype="float32")
    both = fx.jacfwd(fx.jacrev(g))(x), fx.jacrev(fx.jacfwd(g))(x)
    np.testing.assert_allclose(*both, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fx.hessian(g)(x), both[0], rtol=1e-5, atol=1e-6)


def test_grad_of_vmap_and_vmap_of_grad():
    w, xs = fnp.arange(3.0), fnp.ones((4, 3)) * fnp.arange(4.0)[:, None]

    def loss(w, x):
        return fnp.tanh(w @ x)

    per_example = fx.vmap(fx.grad(loss), in_axes=(None, 0))(w, xs)
    total = fx.grad(lambda w: fx.vmap(loss, in_axes=(None, 0))(w, xs).sum())(w)
    np.testing.assert_allclose(per_example.sum(0), total, rtol=1e-5)
    np.testing.assert_allclose(
        fx.jit(fx.vmap(fx.grad(loss), in_axes=(None, 0)))(w, xs), per_example, atol=1e-6
    )


def test_hessian_vector_product_in_three_ways():
    def g(x):
        return x[0] ** 2 * x[1]

    x, v = fnp.array([1.0, 2.0]), fnp.array([1.0, -1.0])
    ways = (
        fx.hvp(g, (x,), (v,)),
        fx.grad(lambda x: fx.jvp(g, (x,), (v,))[1])(x),
        fx.grad(lambda x: fnp.vdot(fx.grad(g)(x), v))(x),
        fx.hessian(g)(x) @ v,
    )
    for way in ways:
        np.testing.assert_allclose(way, [2.0, 2.0])


def test_grad_of_scan_and_vmap_of_scan():
    def run(x):
        return lax.scan(lambda c, _: (c * x + 1.0, c), x, None, length=4)

    def final(x):
        return run(x)[0]

    # x (x (x (x x + 1) + 1) + 1) + 1: derivative 5x^4 + 3x^2 + 2x + 1
    xs = fnp.array([0.5, 1.0, 2.0])
    expected = 5 * xs**4 + 3 * xs**2 + 2 * xs + 1
    np.testing.assert_allclose(fx.vmap(fx.grad(final))(xs), expected, rtol=1e-5)
    np.testing.assert_allclose(fx.grad(lambda v: fx.vmap(final)(v).sum())(xs), expected, rtol=1e-5)
    np.testing.assert_allclose(fx.jit(fx.vmap(forward(final)))(xs), expected, rtol=1e-5)
    np.testing.assert_allclose(fx.vmap(lambda x: run(x)[1])(xs)[:, 1], xs * xs + 1, rtol=1e-6)


def test_jit_of_checkpoint_of_grad():
    g = fx.jit(fx.checkpoint(fx.grad(lambda x: fnp.sin(x) ** 3)))
    np.testing.assert_allclose(g(0.4), 3 * np.sin(0.4) ** 2 * np.cos(0.4), rtol=1e-6)


def test_custom_vjp_inside_vmap_under_grad():
    @fx.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, ct: (fnp.clip(ct, -1.0, 1.0),))
    scale = fnp.array([5.0, -7.0, 0.3])

    def loss(x):
        return (scale * fx.vmap(clipped)(x)).sum()

    for g in (fx.grad(loss), fx.jit(fx.grad(loss)), fx.grad(fx.jit(loss))):
        np.testing.assert_allclose(g(fnp.ones(3)), [1.0, -1.0, 0.3], rtol=1e-6)


def test_hessian_of_a_mapped_network(rng):
    w = fnp.asarray(rng.standard_normal((3, 2)), dtype="float32")
    xs = fnp.asarray(rng.standard_normal((5, 3)), dtype="float32")

    def loss(w):
        return (fx.vmap(lambda x: fnp.tanh(x @ w).sum())(xs) ** 2).mean()

    full = fx.hessian(loss)(w).reshape(6, 6)
    np.testing.assert_allclose(full, full.T, atol=1e-5)
    np.testing.assert_allclose(fx.jit(fx.hessian(loss))(w).reshape(6, 6), full, atol=1e-5)
    v = fnp.ones((3, 2))
    np.testing.assert_allclose(
        fx.hvp(loss, (w,), (v,)).reshape(6), full @ v.reshape(6), rtol=1e-4, atol=1e-5
    )


def test_vmap_of_jvp_and_vjp_of_jvp():
    xs = fnp.arange(3.0)
    np.testing.assert_allclose(fx.vmap(forward(fnp.sin))(xs), np.cos(xs), rtol=1e-6)

    def direction(x):
        return fx.jvp(fnp.sin, (x,), (x,))[1]  # x cos x

    np.testing.assert_allclose(
        fx.vjp(direction, 2.0)[1](1.0)[0], np.cos(2) - 2 * np.sin(2), rtol=1e-6
    )


def test_tenth_derivatives():
    with fx.enable_x64(True):
        for g, expected in ((fnp.sin, -0.644217687237691), (lambda x: x**10, 3628800.0)):
            for mode in (fx.grad, forward):
                h = g
                for _ in range(10):
                    h = mode(h)
                np.testing.assert_allclose(h(0.7), expected, rtol=1e-10)
