"""TenfloweRS-autograd's promises, examples and operations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from seed_rows import Jitted, Row, check_vmapped, close, compare, compute, f32, names, points

import fx
import fx.numpy as fnp
import fx.optim as optim
from fx import lax, nn

E0 = f32([1, 0, 0])

OPERATIONS = [
    Row(
        "add",
        lambda x, y: x + y,
        (f32([[1], [2]]), f32([[1, 2, 3], [4, 5, 6]])),
        None,
        {0: [[6], [15]]},
        f32([[1, 2, 3], [4, 5, 6]]),
    ),
    Row(
        "sub",
        lambda y, x: y - x,
        (f32([[1, 2, 3], [4, 5, 6]]), f32([[1], [2]])),
        None,
        {1: [[-6], [-15]]},
        f32([[1, 2, 3], [4, 5, 6]]),
    ),
    Row(
        "mul", lambda x, w: x * w, (f32([2, 3]), f32([1, 0.5])), [2, 1.5], {0: [1, 0.5], 1: [2, 3]}
    ),
    Row("div", lambda y: 3 / y, (f32(2),), 1.5, {0: -0.75}),
    Row("div-broadcast", lambda x, y: x / y, (f32([2, 4]), f32(2)), [1, 2], {1: -1.5}),
    Row("pow", fnp.power, (f32(2), f32(3)), 8.0, {0: 12, 1: 5.5451774}),
    Row("pow-integer", lambda x: lax.integer_pow(x, 3), (f32([0, -2]),), [0, -8], {0: [0, 12]}),
    Row("neg", fnp.negative, (f32(2),), -2.0, {0: -1}),
    Row(
        "matmul",
        fnp.matmul,
        (f32([[1, 2], [3, 4]]), f32([[5], [6]])),
        [[17], [39]],
        {0: [[5, 6], [5, 6]], 1: [[4], [6]]},
    ),
    Row(
        "transpose",
        lambda x: fnp.transpose(x, (2, 0, 1)),
        (np.ones((2, 3, 4), "f"),),
        np.ones((4, 2, 3)),
        {0: np.ones((2, 3, 4))},
    ),
    Row(
        "reshape",
        lambda x: x.reshape(3, 2),
        (f32([[1, 2, 3], [4, 5, 6]]),),
        [[1, 2], [3, 4], [5, 6]],
        {0: np.ones((2, 3))},
    ),
    Row(
        "sum",
        lambda x: x.sum(1),
        (np.ones((2, 3), "f"),),
        [3, 3],
        {0: [[1] * 3, [10] * 3]},
        f32([1, 10]),
    ),
    Row(
        "mean",
        lambda x: x.mean(1),
        (np.ones((2, 3), "f"),),
        [1, 1],
        {0: [[1 / 3] * 3, [10 / 3] * 3]},
        f32([1, 10]),
    ),
    Row("max", lambda x: (x.max(), x.argmax()), (f32([1, 3, 2]),), (3, 1)),
    Row("max-gradient", fnp.max, (f32([2, 2, 1]),), 2.0, {0: [0.5, 0.5, 0]}),
    Row("relu", nn.relu, (f32([-1, 0, 2]),), [0, 0, 2], {0: [0, 0, 1]}),
    *points("sigmoid", nn.sigmoid, (0.7, 0.66818777, 0.22171287), (100, 1, 0), (-100, 0, 0)),
    *points("tanh", fnp.tanh, (0.7, 0.60436778, 0.63473959)),
    Row(
        "softmax",
        nn.softmax,
        (f32([1, 2, 3]),),
        None,
        {0: [0.08192507, -0.02203304, -0.05989202]},
        E0,
    ),
    *points("gelu", lambda x: nn.gelu(x, approximate=False), (-1.2, -0.1380836, -0.1179536)),
    *points("gelu_tanh", nn.gelu, (-1.2, -0.13829723, -0.11772613)),
    *points("mish", nn.mish, (-1.2, -0.3088358, -0.0020087614)),
    Row(
        "conv2d",
        nn.conv2d,
        (np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), np.eye(2, dtype="f")[None, None]),
        [[[[4, 6], [10, 12]]]],
        {0: [[[[1, 1, 0], [1, 2, 1], [0, 1, 1]]]], 1: [[[[8, 12], [20, 24]]]]},
    ),
    Row(
        "max_pool2d",
        lambda x: nn.max_pool2d(x, 2),
        (f32([[1, 2], [4, 3]])[None, None],),
        [[[[4]]]],
        {0: [[[[0, 0], [1, 0]]]]},
    ),
    Row(
        "batch_norm",
        lambda x, g, b: nn.batch_norm(x, None, g, b, channel=0),
        (f32([1, 2, 4]), f32([1]), f32([0])),
        [-1.06904153, -0.26726038, 1.33630191],
        {0: [0.22908229, -0.34362, 0.11453771], 1: [-1.06904153], 2: [1]},
        E0,
        tol=1e-5,
    ),
    Row(
        "logsumexp",
        nn.logsumexp,
        (f32([1, 2, 4]),),
        4.1698460,
        {0: [0.04201007, 0.1141952, 0.84379473]},
    ),
    Row("logsumexp-large", nn.logsumexp, (f32([1000, 1000]),), 1000.6931472),
    Row(
        "layer_norm",
        nn.layer_norm,
        (f32([1, 2, 3, 4]),),
        [-1.34163542, -0.44721181, 0.44721181, 1.34163542],
        {0: [0.2683303, -0.35776837, -0.08944343, 0.1788815]},
        f32([1, 0, 0, 0]),
        tol=1e-5,
    ),
    Row(
        "group_norm",
        lambda x: nn.group_norm(x, 2, eps=0.0),
        (f32([1, 3, 2, 6])[None, :, None],),
        [[[-1], [1], [-1], [1]]],
    ),
]
JITTED = Jitted(OPERATIONS)


@pytest.mark.parametrize("row", OPERATIONS, ids=names(OPERATIONS))
def test_operation_eager(row):
    compare(row, compute(row, row.args))


@pytest.mark.parametrize("row", OPERATIONS, ids=names(OPERATIONS))
def test_operation_jit(row):
    compare(row, JITTED(row))


@pytest.mark.parametrize("row", OPERATIONS, ids=names(OPERATIONS))
def test_operation_vmap(row):
    check_vmapped(row)


# ---------------------------------------------------------------- promises


def mlp(params, x):
    for w, b in params[:-1]:
        x = fnp.tanh(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def mlp_params(rng, *sizes):
    return [
        (f32(rng.normal(size=(m, n)) / np.sqrt(m)), np.zeros(n, "f"))
        for m, n in itertools.pairwise(sizes)
    ]


def test_T1_eager_and_jitted_gradients_agree(rng):
    params, x = mlp_params(rng, 4, 8, 1), f32(rng.normal(size=(5, 4)))
    g = fx.grad(lambda p: (mlp(p, x) ** 2).sum())
    close(fx.jit(g)(params), g(params), 2e-5, "T1")


def test_T2_python_control_flow_on_concrete_values():
    f = lambda x: x**2 if x > 0 else -x
    assert (float(fx.grad(f)(3.0)), float(fx.grad(f)(-3.0))) == (6, -1)
    with pytest.raises(fx.errors.TracerBoolConversionError):
        fx.jit(f)(3.0)
    g = fx.jit(lambda x: lax.cond(x > 0, lambda x: x**2, lambda x: -x, x))
    assert (float(fx.grad(g)(3.0)), float(fx.grad(g)(-3.0))) == (6, -1)


def test_T5_derivatives_of_a_cube():
    f, found = lambda x: x**3, []
    for _ in range(4):
        f = fx.grad(f)
        found.append(float(f(2.0)))
    assert found == [12, 12, 6, 0]


def test_T6_micro_batches(rng):
    x, y = f32(rng.normal(size=(32, 3))), f32(rng.normal(size=32))
    loss = lambda w, x, y: ((x @ w - y) ** 2).mean()
    w = f32(rng.normal(size=3))
    full = fx.grad(loss)(w, x, y)
    opt = optim.MultiSteps(optim.sgd(1.0), 4)
    state, p, moved = opt.init(w), w, []
    for k in range(4):
        part = slice(8 * k, 8 * k + 8)
        updates, state = opt.update(fx.grad(loss)(p, x[part], y[part]), state, p)
        p = optim.apply_updates(p, updates)
        moved.append(bool(fnp.any(updates != 0)))
    assert moved == [False, False, False, True]
    close(p, w - full, 1e-6, "accumulated")
    assert float(fnp.abs(state.acc_grads).max()) == 0


def test_T8_updates_are_differentiable():
    x, y = fnp.array([1.0, 2, 3]), np.float32(2)
    set_ = lambda x, y: x.at[1].set(y).sum()
    assert fx.grad(set_)(x, y).tolist() == [1, 0, 1] and float(fx.grad(set_, 1)(x, y)) == 1
    add = lambda x, y: x.at[np.array([0, 0])].add(fnp.stack([y, y]))
    assert add(x, y).tolist() == [5, 2, 3]
    assert float(fx.grad(lambda x, y: add(x, y).sum(), 1)(x, y)) == 2


def test_T9_a_wrong_rule_is_found():
    @fx.custom_vjp
    def bad(x):
        return x**2

    bad.defvjp(lambda x: (x**2, x), lambda x, ct: (1.01 * 2 * x * ct,))
    with pytest.raises(AssertionError):
        fx.check_grads(bad, (np.float32(1.5),), order=1, modes=["rev"])
    fx.check_grads(lambda x: x**2, (np.float32(1.5),), order=2)


def test_T10_attribution(rng):
    w = f32([1, -2, 0.5])
    x, x0 = f32([3, 4, -1]), f32([1, 0, 2])
    f = lambda x: x @ w
    close(fx.integrated_gradients(f, x, x0), w * (x - x0), 1e-6, "linear")
    close(fx.saliency(f, x), np.abs(w), 1e-6, "saliency")
    close(fx.grad_times_input(f, x), w * x, 1e-6, "gradient times input")
    params = mlp_params(rng, 3, 16, 1)
    g = lambda x: mlp(params, x)[0]
    total = float(fx.integrated_gradients(g, x, x0, steps=64).sum())
    assert total == pytest.approx(float(g(x) - g(x0)), abs=1e-3)
    smooth = fx.smooth_grad(f, x, fx.random.key(0), samples=8)
    close(smooth, w, 1e-5, "SmoothGrad of a linear function")
    assert fx.grad(lambda x: (fx.guided_relu(x) * f32([1, -1, 1])).sum())(x).tolist() == [1, 0, 0]


def test_T11_second_order_utilities(rng):
    f = lambda x: x[0] ** 2 * x[1]
    x, v = f32([1, 2]), f32([1, -1])
    assert fx.hessian(f)(x).tolist() == [[4, 2], [2, 0]]
    assert fx.hvp(f, (x,), (v,)).tolist() == [2, 2]
    assert float(fx.laplacian(f, x)) == 4
    data, target = f32(rng.normal(size=(6, 3))), f32(rng.normal(size=6))
    w = f32(rng.normal(size=3))
    loss = lambda w, x, y: (x @ w - y) ** 2
    grads = np.asarray(fx.per_example_grads(loss, w, data, target))
    close(fx.empirical_fisher(loss, w, data, target), grads.T @ grads / 6, 1e-4, "Fisher")
    close(fx.fisher_diag(loss, w, data, target), (grads**2).mean(0), 1e-4, "diagonal")
    model = lambda w: data @ w
    close(
        fx.ggn_product(model, lambda out: ((out - target) ** 2).sum(), w, w),
        2 * data.T @ (data @ w), 1e-4, "Gauss-Newton",
    )  # fmt: skip


def test_T14_both_styles_agree():
    tape = fx.Tape().persistent()
    x, w = tape.variable([2.0, 3.0]), tape.variable([1.0, 0.5])
    z = x.mul(w).sum()
    dx, dw = tape.gradient(z, [x, w])
    assert (float(z.value), dx.tolist(), dw.tolist()) == (3.5, [1, 0.5], [2, 3])


def test_T17_example_T_D_clipped_gradients():
    @fx.custom_vjp
    def clip_gradient(x):
        return x

    clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (fnp.clip(ct, -1.0, 1.0),))
    for scale, expected in ((5.0, 1), (-7.0, -1), (0.3, 0.3)):
        f = lambda x, s=scale: s * clip_gradient(x)
        for g in (fx.grad(f), fx.jit(fx.grad(f))):
            assert float(g(2.0)) == pytest.approx(expected)
    per_example = fx.vmap(fx.grad(lambda x, s: s * clip_gradient(x)))
    close(per_example(f32([1, 1, 1]), f32([5, -7, 0.3])), [1, -1, 0.3], 1e-6, "per example")
    assert float(fx.grad(fx.grad(lambda x: clip_gradient(x) ** 2))(0.1)) == pytest.approx(2)


def test_T18_forward_gradient_estimates_the_gradient():
    f = lambda x: (x**2).sum()
    x = f32([1, -0.5])
    estimate = fx.forward_gradient(f, x, fx.random.key(1), samples=10**5)
    assert float(fnp.linalg.norm(estimate - 2 * x)) < 0.02 * float(fnp.linalg.norm(2 * x))


def test_T19_gradient_utilities():
    grads = [f32([3]), f32([4])]
    assert float(fx.global_norm(grads)) == 5
    clipped, _ = optim.clip_by_global_norm(1.0).update(grads, None)
    close(tuple(clipped), ([0.6], [0.8]), 1e-6, "global norm")
    assert optim.clip(1.0).update(f32([-5, 10]), None)[0].tolist() == [-1, 1]
    assert optim.scale(2.0).update(f32([1]), None)[0].tolist() == [2]
    assert optim.zero_nans().update(f32([np.nan, 1]), None)[0].tolist() == [0, 1]
    stats = fx.leaf_statistics({"w": f32([3, 4])})["w"]
    assert (float(stats.norm), int(stats.not_finite)) == (5, 0)
    assert fx.first_not_finite({"a": f32([1]), "b": f32([np.inf])}) == "['b']"
    guarded = optim.apply_if_finite(optim.sgd(1.0), 2)
    state = guarded.init(f32([1]))
    updates, state = guarded.update(f32([np.nan]), state)
    assert updates.tolist() == [0] and int(state.total_notfinite) == 1


def test_example_T_A():
    f = lambda x, w: (x * w).sum()
    x, w = f32([2, 3]), f32([1, 0.5])
    for g in (fx.grad(f, (0, 1)), fx.jit(fx.grad(f, (0, 1)))):
        close(g(x, w), ([1, 0.5], [2, 3]), 0, "T-A")
    assert float(f(x, w)) == 3.5


def test_example_T_B():
    f = lambda x: fnp.sin(x) * x
    with fx.enable_x64():
        value, tangent = fx.jvp(f, (2.0,), (1.0,))
        assert float(value) == pytest.approx(1.8185948536513634, abs=1e-15)
        assert float(tangent) == pytest.approx(0.0770037537313969, abs=1e-15)
        assert float(fx.grad(f)(2.0)) == pytest.approx(float(tangent), abs=1e-15)
        assert float(fx.grad(fx.grad(f))(2.0)) == pytest.approx(-2.6508885, abs=1e-7)
        dual = fx.Dual(2.0, 1.0)
        y = dual.sin() * dual
        assert (float(y.value), float(y.tangent)) == (float(value), float(tangent))


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_example_T_C(wrap):
    f, found = lambda x: x**3, {2.0: [], 0.0: [], -2.0: []}
    for _ in range(4):
        for x in found:
            found[x].append(float(wrap(f)(x)))
        f = fx.grad(f)
    assert found == {2.0: [8, 12, 12, 6], 0.0: [0, 0, 0, 6], -2.0: [-8, 12, -12, 6]}
    tape = fx.Tape().persistent()
    x = tape.variable(2.0)
    first = tape.gradient(x**3, x)
    second = tape.gradient(first, x)
    assert (float(first.value), float(second.value)) == (12, 12)


def test_T23_custom_operation_on_a_tape():
    class Square:
        def forward(self, inputs):
            return inputs[0] ** 2

        def backward(self, grad_output, inputs):
            return [2 * inputs[0] * grad_output]

    tape = fx.Tape()
    x = tape.variable(3.0)
    assert float(tape.gradient(tape.custom_op(Square(), [x]), x).value) == 6


def test_T25_integer_inputs():
    with pytest.raises(TypeError, match="int32"):
        fx.grad(lambda x: x * 2.0)(3)
    g = fx.grad(lambda x: x * 2.0, allow_int=True)(3)
    assert g.dtype == fx.float0


def test_T29_layers_pass_the_gradient_check(rng):
    params, x = mlp_params(rng, 3, 4, 2), f32(rng.normal(size=(2, 3)))
    fx.check_grads(lambda p: mlp(p, x), (params,), order=1)
    fx.check_grads(lambda x: nn.layer_norm(x), (x,), order=2)
    fx.check_grads(lambda x: nn.softmax(x), (x,), order=2)
