"""AxonML-autograd's promises and examples."""

from __future__ import annotations

import numpy as np
import pytest
from seed_rows import close, f32

import fx
import fx.losses as losses
import fx.numpy as fnp
from fx import core, nn
from fx.prims.registry import unary


def both(f):
    return [f, fx.jit(f)]


def test_A_A():
    f = lambda x: (x**2).sum()
    x = f32([2, 3])
    for g in both(fx.value_and_grad(f)):
        value, grad = g(x)
        assert float(value) == 13 and grad.tolist() == [4, 6]
    v = fx.Variable([2.0, 3.0])
    v.pow(2.0).sum().backward()
    assert v.grad.tolist() == [4, 6]


def test_A_B():
    f = lambda a, b: (a * b) ** 2
    for g in both(fx.grad(f, (0, 1))):
        assert [float(v) for v in g(2.0, 3.0)] == [36, 24]
    assert float(f(2.0, 3.0)) == 36
    assert float(fx.grad(lambda b: fx.grad(f)(2.0, b))(3.0)) == 24


def test_A_C():
    x = f32([1, 2])
    assert nn.relu(x).tolist() == [1, 2]
    close(nn.sigmoid(x), [0.73105858, 0.88079708], 1e-6, "sigmoid")
    assert fx.grad(lambda x: fx.no_grad(nn.relu)(x).sum())(x).tolist() == [0, 0]
    assert fx.grad(lambda x: nn.relu(x).sum())(x).tolist() == [1, 1]


def test_A_D():
    p, t = f32([1, 2, 3]), f32([1.5, 2.5, 3.5])
    mse = lambda p: losses.squared_error(p, t).mean()
    assert float(mse(p)) == 0.25
    for g in both(fx.grad(mse)):
        close(g(p), [-1 / 3] * 3, 1e-6, "mse")
    labels = f32([1, 0])
    bce = lambda q: losses.binary_cross_entropy(q, labels).mean()
    q = f32([0.7, 0.3])
    assert float(bce(q)) == pytest.approx(0.35667494, abs=1e-6)
    for g in both(fx.grad(bce)):
        close(g(q), [-0.71428571, 0.71428571], 1e-5, "bce")
    edge = fx.value_and_grad(bce)(f32([0, 1]))
    assert all(np.isfinite(np.asarray(v)).all() for v in edge)
    logits = fx.value_and_grad(lambda z: losses.sigmoid_binary_cross_entropy(z, labels).mean())(
        f32([-1000, 1000])
    )
    assert all(np.isfinite(np.asarray(v)).all() for v in logits)


def test_A_E():
    x, w, b = np.ones((2, 3), "f"), np.full((3, 4), 0.1, "f"), np.zeros(4, "f")
    loss = lambda x, w, b: (x @ w + b).sum()
    assert float(loss(fnp.asarray(x), w, b)) == pytest.approx(2.4)
    for g in both(fx.grad(loss, (1, 2))):
        dw, db = g(fnp.asarray(x), w, b)
        close((dw, db), (np.full((3, 4), 2), [2] * 4), 1e-6, "A-E")


def test_A_F():
    f = lambda x: (x**2).sum()
    x = f32([2, 3])
    analytic = fx.grad(f)(x)
    numeric = fx.numerical_grad(f, x)
    close(numeric, analytic, 1e-3, "float32 input")
    with fx.enable_x64():
        x64 = np.array([2.0, 3.0])
        assert float(fnp.abs(fx.numerical_grad(f, x64) - fx.grad(f)(x64)).max()) < 1e-9
    assert not fnp.array_equal(analytic, analytic[:1])


def test_A3_gradients_accumulate_where_a_value_is_used_often():
    assert float(fx.grad(lambda x: x * x + 3 * x)(2.0)) == 7

    def hundred(x):
        total = 0.0
        for _ in range(100):
            total = total + x
        return total

    assert float(fx.grad(hundred)(1.0)) == 100
    w = f32([[1, 2], [3, 4]])
    x = f32([1, -1])
    shared = fx.grad(lambda w: (w @ (w @ x)).sum())(w)
    parts = fx.grad(lambda a, b: (a @ (b @ x)).sum(), (0, 1))(w, w)
    close(shared, parts[0] + parts[1], 1e-6, "shared weight")


def test_A8_each_equation_of_a_diamond_is_transposed_once():
    f = lambda x: fnp.sin(x) * fnp.cos(x)
    count = lambda g: len(fx.make_jaxpr(g)(1.0).eqns)
    assert count(fx.grad(f)) <= 3 * count(f) + 2


def test_A9_ten_thousand_operations_need_no_recursion():
    def chain(x):
        for _ in range(10_000):
            x = x + 1.0
        return x

    assert float(fx.grad(chain)(1.0)) == 1


def test_A10_a_new_primitive_in_a_few_lines():
    cube_p = unary(
        "test_cube", lambda dtype: True, "The cube.", numpy=lambda x: x * x * x,
        jvp=lambda x, y, t: 3 * x * x * t, scalar="mul",
    )  # fmt: skip
    cube_p.set(lower=lambda b, x: b.map("mul", b.map("mul", x, x, dtype=x.dtype), x, dtype=x.dtype))
    try:
        cube = lambda x: cube_p.bind(x)
        x = fnp.array([2.0, 3.0])
        assert fx.grad(lambda x: cube(x).sum())(x).tolist() == [12, 27]
        assert fx.jvp(cube, (x,), (fnp.ones(2),))[1].tolist() == [12, 27]
        assert fx.vmap(cube)(x).tolist() == fx.jit(cube)(x).tolist() == [8, 27]
        assert float(fx.grad(fx.grad(cube))(2.0)) == 12
    finally:
        core.PRIMITIVES.pop("test_cube")


def test_A16_methods_of_variables():
    predictions, targets = fx.Variable([1.0, 2.0]), f32([0, 0])
    loss = ((predictions - targets) ** 2).mean()
    loss.backward()
    assert predictions.grad.tolist() == [1, 2]


def test_M10_derivatives_to_order_ten():
    with fx.enable_x64():
        cases = {
            "sin": (fnp.sin, lambda n, x: np.sin(x + n * np.pi / 2)),
            "exp": (fnp.exp, lambda n, x: np.exp(x)),
            "x**10": (
                lambda x: x**10,
                lambda n, x: np.prod(np.arange(10, 10 - n, -1.0)) * x ** (10 - n),
            ),
        }
        for name, (f, exact) in cases.items():
            g = f
            for n in range(1, 11):
                g = fx.grad(g)
                assert float(g(0.7)) == pytest.approx(exact(n, 0.7), rel=1e-10), (name, n)


def test_M31_sixty_doublings():
    def f(x):
        y = x
        for _ in range(60):
            y = y + y
        return y

    with fx.enable_x64():
        assert float(fx.grad(f)(1.0)) == 2.0**60
