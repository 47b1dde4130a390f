"""The compositions that none of the four libraries has, each against its closed form, eagerly,
under jit and under vmap.
"""

from __future__ import annotations

import numpy as np
import pytest
from seed_rows import FORMS, close, f32

import fx
import fx.numpy as fnp
from fx import lax
from fx.experimental import jet

XS = f32([0.5, 1.0, 2.0])
W = f32([[0.5, -1], [1, 0.25], [0, 2]])


@fx.custom_vjp
def clipped(x):
    return x


clipped.defvjp(lambda x: (x, None), lambda _, ct: (fnp.clip(ct, -1.0, 1.0),))


def power(x):
    """x^4 by a scan."""
    return lax.scan(lambda c, _: (c * x, None), fnp.ones_like(x), None, length=4)[0]


def halved(x):
    """x halved until it is below one."""
    return lax.while_loop(lambda c: c >= 1, lambda c: c / 2, x)


def root(y):
    """The square root of y by implicit differentiation."""
    solve = lambda f, x: lax.fori_loop(0, 30, lambda _, x: (x + y / x) / 2, x)
    tangent_solve = lambda g, b: b / g(fnp.ones_like(b))
    return lax.custom_root(lambda x: x * x - y, fnp.ones_like(y), solve, tangent_solve)


def forward(f):
    return lambda x: fx.jvp(f, (x,), (fnp.ones_like(x),))[1]


def network(w):
    return (fx.vmap(lambda x: fnp.tanh(x @ w).sum())(XS[:, None] * f32([1, 2, 3])) ** 2).mean()


def both_orders(x):
    g = lambda x: fnp.sin(x) * x.sum()
    return fx.jacfwd(fx.jacrev(g))(x), fx.jacrev(fx.jacfwd(g))(x)


def symmetric(w):
    h = fx.hessian(network)(w).reshape(6, 6)
    return h - h.T


def taylor(x):
    """The value and the first two derivatives of sin along a straight line."""
    value, (first, second) = jet.jet(fnp.sin, (x,), ([fnp.ones_like(x), fnp.zeros_like(x)],))
    return value, first, second


SIN, COS = np.sin(XS), np.cos(XS)
HVP = lambda x: fx.jvp(fx.grad(lambda x: (x**3).sum()), (x,), (2 * fnp.ones_like(x),))[1]
# name -> function, argument, value
CASES = {
    "grad(vmap)": (fx.grad(lambda x: fx.vmap(fnp.sin)(x).sum()), XS, COS),
    "vmap(grad)": (fx.vmap(fx.grad(fnp.sin)), XS, COS),
    "jit(grad(vmap))": (fx.jit(fx.grad(lambda x: fx.vmap(fnp.sin)(x).sum())), XS, COS),
    "grad(jit)": (fx.grad(fx.jit(fnp.sin)), XS[0], COS[0]),
    "vmap(jvp)": (fx.vmap(forward(fnp.sin)), XS, COS),
    "jvp(vjp)": (HVP, XS, 12 * XS),
    "vjp(jvp)": (lambda x: fx.vjp(lambda x: fx.jvp(fnp.sin, (x,), (x,))[1], x)[1](
        fnp.ones_like(x))[0], XS, COS - XS * SIN),
    "hessian(vmap)": (symmetric, W, np.zeros((6, 6))),
    "grad(scan)": (fx.grad(power), XS[0], 4 * XS[0] ** 3),
    "vmap(scan)": (fx.vmap(power), XS, XS**4),
    "jit(checkpoint(grad))": (fx.jit(fx.checkpoint(fx.grad(power))), XS[0], 4 * XS[0] ** 3),
    "vmap(grad(custom_vjp))": (
        fx.vmap(fx.grad(lambda x: 3 * clipped(x) ** 2)), XS, np.clip(6 * XS, -1, 1),
    ),
    "jacfwd(jacrev)": (lambda x: np.subtract(*both_orders(x)) if type(x) is np.ndarray
                       else both_orders(x)[0] - both_orders(x)[1], XS, np.zeros((3, 3, 3))),
    "jacrev(jacfwd)": (lambda x: both_orders(x)[1],
                       XS, np.asarray(fx.hessian(lambda x: fnp.sin(x) * x.sum())(XS))),
    "grad(grad) without confusion": (
        fx.grad(lambda x: x * fx.grad(lambda y: x + y)(1.0)), f32(1), 1.0,
    ),
    "grad(while)": (fx.grad(lambda x: lax.while_loop(
        lambda c: c >= 1, lambda c: c / 2, x, max_steps=8)), f32(6), 0.125),
    "jvp(while)": (forward(halved), f32(6), 0.125),
    "vmap(cond)": (fx.vmap(lambda x: lax.cond(x > 0.7, lambda x: x * x, lambda x: -x, x)),
                   XS, [-0.5, 1, 4]),
    "grad(custom_root)": (fx.grad(root), f32(4), 0.25),
    "jet": (taylor, XS[0], (SIN[0], COS[0], -SIN[0])),
}  # fmt: skip


@FORMS
@pytest.mark.parametrize("name", CASES)
def test_composition(form, name):
    f, x, wanted = CASES[name]
    close(form(f)(x), wanted, 2e-5, name)
