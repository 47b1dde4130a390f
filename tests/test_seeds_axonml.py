"""AxonML-autograd's promises and examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seed_rows import FORMS, close, f32

import fx
import fx.losses as losses
import fx.numpy as fnp
from fx import core, nn
from fx.passes import count_eqns
from fx.prims.registry import unary
from fx.testing import assert_close


@FORMS
def test_A1_A_A_reverse_mode(form):
    value, grad = form(fx.value_and_grad(lambda x: (x**2).sum()))(f32([2, 3]))
    assert float(value) == 13 and grad.tolist() == [4, 6]


def test_A12_A13_A_A_variables():
    v = fx.Variable([2.0, 3.0])
    loss = v.pow(2.0).sum()
    loss.backward()
    assert loss.tolist() == 13 and v.grad.tolist() == [4, 6]


@FORMS
def test_A14_A_B_operators(form):
    f = lambda a, b: (a * b) ** 2
    a, b = f32(2), f32(3)
    assert [float(v) for v in form(fx.grad(f, (0, 1)))(a, b)] == [36, 24]
    assert float(form(f)(a, b)) == 36
    assert float(form(fx.grad(fx.grad(f), 1))(a, b)) == 24
    v, w = fx.Variable(2.0), fx.Variable(3.0)
    c = v * w
    (c * c).backward()
    assert (float(v.grad), float(w.grad)) == (36, 24)


@FORMS
def test_A4_A15_A_C_activations_and_no_grad(form):
    x = f32([1, 2])
    assert form(nn.relu)(x).tolist() == [1, 2]
    close(form(nn.sigmoid)(x), [0.73105858, 0.88079708], 1e-6, "sigmoid")
    assert form(fx.grad(lambda x: fx.no_grad(nn.relu)(x).sum()))(x).tolist() == [0, 0]
    assert form(fx.grad(lambda x: nn.relu(x).sum()))(x).tolist() == [1, 1]


def test_A4_A7_A15_blocks_and_methods():
    x = fx.Variable([1.0, 2.0])
    with fx.no_grad():
        y = x.relu()
        close(x.sigmoid().value, [0.73105858, 0.88079708], 1e-6, "sigmoid")
    y.sum().backward()
    assert x.grad is None
    with pytest.raises(RuntimeError), fx.no_grad():
        raise RuntimeError
    x.relu().sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert x.exp().log().mean().reshape(1).tolist() == [1.5]


@FORMS
def test_A16_A17_A_D_losses(form):
    p, t = f32([1, 2, 3]), f32([1.5, 2.5, 3.5])
    value, grad = form(fx.value_and_grad(lambda p: losses.squared_error(p, t).mean()))(p)
    close((value, grad), (0.25, [-1 / 3] * 3), 1e-6, "mse")
    labels = f32([1, 0])
    bce = fx.value_and_grad(lambda q: losses.binary_cross_entropy(q, labels).mean())
    wanted = (0.35667494, [-0.71428571, 0.71428571])
    close(form(bce)(f32([0.7, 0.3])), wanted, 1e-5, "bce")
    assert all(np.isfinite(np.asarray(v)).all() for v in form(bce)(f32([0, 1])))
    from_logits = lambda z: losses.sigmoid_binary_cross_entropy(z, labels).mean()
    found = form(fx.value_and_grad(from_logits))(f32([-1000, 1000]))
    assert all(np.isfinite(np.asarray(v)).all() for v in found)


def test_A16_methods_of_variables():
    predictions, targets = fx.Variable([1.0, 2.0]), f32([0, 0])
    ((predictions - targets) ** 2).mean().backward()
    assert predictions.grad.tolist() == [1, 2]


@FORMS
def test_A18_A_E_linear_layer(form):
    x, w, b = np.ones((2, 3), "f"), np.full((3, 4), 0.1, "f"), np.zeros(4, "f")
    loss = lambda x, w, b: (x @ w + b).sum()
    value, (dw, db) = form(fx.value_and_grad(loss, (1, 2)))(x, w, b)
    assert float(value) == pytest.approx(2.4)
    close((dw, db), (np.full((3, 4), 2), [2] * 4), 1e-6, "A-E")


def test_A6_A19_A20_A_F_numerical_gradients():
    f = lambda x: (x**2).sum()
    x = f32([2, 3])
    analytic, numeric = fx.grad(f)(x), fx.numerical_grad(f, x)
    close(numeric, analytic, 1e-3, "float32 input")
    with fx.enable_x64():
        x64 = np.array([2.0, 3.0])
        assert float(fnp.abs(fx.numerical_grad(f, x64) - fx.grad(f)(x64)).max()) < 1e-9
    assert_close({"w": analytic}, {"w": numeric}, 1e-3, 1e-3)
    with pytest.raises(AssertionError, match=r"\['w'\].*worst entry at \(1,\): -?\d"):
        assert_close({"w": analytic}, {"w": numeric + f32([0, 1])}, 1e-3, 1e-3)
    with pytest.raises(AssertionError, match="shape"):
        assert_close(analytic, numeric[:1], 1e-3, 1e-3)


@FORMS
def test_A3_gradients_accumulate_where_a_value_is_used_often(form):
    assert float(form(fx.grad(lambda x: x * x + 3 * x))(f32(2))) == 7

    def hundred(x):
        total = 0.0
        for _ in range(100):
            total = total + x
        return total

    assert float(form(fx.grad(hundred))(f32(1))) == 100
    w = f32([[1, 2], [3, 4]])
    x = f32([1, -1])
    shared = form(fx.grad(lambda w: (w @ (w @ x)).sum()))(w)
    parts = form(fx.grad(lambda a, b: (a @ (b @ x)).sum(), (0, 1)))(w, w)
    close(shared, parts[0] + parts[1], 1e-6, "shared weight")


def test_A5_M32_inference_is_the_same_program():
    f = lambda w, x: nn.relu(x @ w).sum()
    w, x = fnp.ones((4, 4)), fnp.ones((8, 4))
    text = lambda: fx.jit(f).lower(w, x).compile().as_text()
    before = text()
    fx.grad(f)(w, x)
    fx.jit(fx.grad(f))(w, x)
    assert text() == before
    compiled = fx.jit(f).lower(w, x).compile()
    assert float(compiled(w, x)) == float(f(w, x))


def test_A8_each_equation_of_a_diamond_is_transposed_once():
    f = lambda x: fnp.sin(x) * fnp.cos(x)
    count = lambda g: len(fx.make_jaxpr(g)(1.0).eqns)
    assert count(fx.grad(f)) <= 3 * count(f) + 2

    def diamonds(n):
        def g(x):
            for _ in range(n):
                x = fnp.sin(x) * fnp.cos(x)
            return x

        return count(fx.grad(g))

    assert diamonds(8) - diamonds(4) == 4 * (diamonds(2) - diamonds(1))


def test_A9_ten_thousand_operations_need_no_recursion():
    def chain(x):
        for _ in range(10_000):
            x = x + 1.0
        return x

    assert float(fx.grad(chain)(1.0)) == 1
    v = fx.Variable(1.0)
    chain(v).backward()
    assert float(v.grad) == 1


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


@FORMS
def test_A11_functions_of_every_kind(form):
    """Arithmetic, an activation, a loss, linear algebra, in one gradient."""
    a = f32([[4, 1], [1, 3]])

    def f(x):
        y = nn.gelu(fnp.linalg.solve(a, x) * 2 + 1)
        return losses.huber_loss(y, fnp.zeros(2)).sum()

    x = f32([1, 2])
    close(form(fx.grad(f))(x), fx.numerical_grad(f, x), 1e-3, "gradient")


def test_A21_one_command_runs_the_tests():
    text = (Path(__file__).resolve().parent.parent / "README.md").read_text("utf-8")
    assert 'pip install -e ".[test]" && pytest' in text
    with fx.default_device("interpreter"):
        assert float(fx.jit(lambda x: (x * x).sum())(f32([1, 2]))) == 5


def test_M31_sixty_doublings():
    def f(x):
        y = x
        for _ in range(60):
            y = y + y
        return y

    with fx.enable_x64():
        assert float(fx.grad(f)(1.0)) == 2.0**60
    assert count_eqns(fx.make_jaxpr(fx.grad(f))(1.0)) <= 3 * 60
