"""TenfloweRS-autograd's promises and examples."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from seed_rows import FORMS, close, f32
from test_seeds_tenflowers_ops import JITTED, OPERATIONS

import fx
import fx.numpy as fnp
import fx.optim as optim
from fx import lax, nn
from fx.ad_checkpoint import saved_residuals
from fx.core import PRIMITIVES, no
from fx.passes import count_eqns, cse_jaxpr, dce_closed


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


@FORMS
def test_T1_eager_and_jitted_gradients_agree(form, rng):
    params, x = mlp_params(rng, 4, 8, 1), f32(rng.normal(size=(5, 4)))
    g = fx.grad(lambda p: (mlp(p, x) ** 2).sum())
    close(fx.tree_util.tree_leaves(form(g)(params)), fx.tree_util.tree_leaves(g(params)), 2e-5, "")
    with fx.enable_x64():
        wide = fx.tree_util.tree_map(lambda a: a.astype(np.float64), params)
        found, eager = (fx.tree_util.tree_leaves(h(wide)) for h in (form(g), g))
        close(found, eager, 1e-12, "double precision")


def test_T2_python_control_flow_on_concrete_values():
    f = lambda x: x**2 if x > 0 else -x
    assert (float(fx.grad(f)(3.0)), float(fx.grad(f)(-3.0))) == (6, -1)
    with pytest.raises(fx.errors.TracerBoolConversionError):
        fx.jit(f)(3.0)


@FORMS
def test_T2_A2_structure_that_depends_on_data(form):
    g = fx.grad(lambda x: lax.cond(x > 0, lambda x: x**2, lambda x: -x, x))
    h = fx.grad(lambda x: fnp.where(x > 0, x**2, -x))
    assert [float(form(d)(f32(x))) for d in (g, h) for x in (3, -3)] == [6, -1, 6, -1]


@FORMS
def test_T5_derivatives_of_a_cube(form):
    f, found = lambda x: x**3, []
    for _ in range(4):
        f = fx.grad(f)
        found.append(float(form(f)(f32(2))))
    assert found == [12, 12, 6, 0]


def test_T6_F8_micro_batches(rng):
    x, y = f32(rng.normal(size=(32, 3))), f32(rng.normal(size=32))
    loss = lambda w, x, y: ((x @ w - y) ** 2).mean()
    w = f32(rng.normal(size=3))
    full = fx.grad(loss)(w, x, y)
    opt = optim.MultiSteps(optim.sgd(1.0), 4)
    for wrap in (lambda f: f, fx.jit):
        step = wrap(lambda p, state, x, y: opt.update(fx.grad(loss)(p, x, y), state, p))
        state, p, moved = opt.init(w), w, []
        for k in range(4):
            part = slice(8 * k, 8 * k + 8)
            updates, state = step(p, state, x[part], y[part])
            p = optim.apply_updates(p, updates)
            moved.append(bool(fnp.any(updates != 0)))
        assert moved == [False, False, False, True]
        close(p, w - full, 1e-6, "accumulated")
        assert float(fnp.abs(state.acc_grads).max()) == 0


@FORMS
def test_T7_checkpoint_changes_no_bit(form, rng):
    params, x = mlp_params(rng, 4, 8, 8, 1), f32(rng.normal(size=(5, 4)))
    loss = lambda p: (mlp(p, x) ** 2).sum()
    policies = fx.checkpoint_policies
    with fx.enable_x64():
        wide = fx.tree_util.tree_map(lambda a: a.astype(np.float64), params)
        plain = fx.tree_util.tree_leaves(fx.grad(loss)(wide))
        for policy in (None, policies.nothing_saveable, policies.dots_saveable):
            g = fx.grad(fx.checkpoint(loss, policy=policy))
            found = fx.tree_util.tree_leaves(form(g)(wide))
            close(found, plain, 1e-12, "checkpoint")
            eager = fx.tree_util.tree_leaves(g(wide))
            assert all(np.array_equal(a, b) for a, b in zip(eager, plain))
    nbytes = lambda f: sum(a.size * 4 for a, where in saved_residuals(f, params)
                           if "argument" not in where)  # fmt: skip
    kept = nbytes(fx.checkpoint(loss, policy=policies.nothing_saveable))
    assert kept < nbytes(fx.checkpoint(loss, policy=policies.dots_saveable)) <= nbytes(loss)


@FORMS
def test_T8_updates_are_differentiable(form):
    x, y = f32([1, 2, 3]), f32(2)
    set_ = lambda x, y: x.at[1].set(y).sum()
    dx, dy = form(fx.grad(set_, (0, 1)))(x, y)
    assert dx.tolist() == [1, 0, 1] and float(dy) == 1
    add = lambda x, y: x.at[np.array([0, 0])].add(fnp.stack([y, y]))
    assert form(add)(x, y).tolist() == [5, 2, 3]
    assert float(form(fx.grad(lambda x, y: add(x, y).sum(), 1))(x, y)) == 2
    others = lambda x: (x.at[0].multiply(3), x.at[1].divide(2), x.at[2].power(2), x.at[0].min(0),
                        x.at[0].max(5), x.at[1].apply(fnp.sin), x.at[2].get())  # fmt: skip
    wanted = ([3, 2, 3], [1, 1, 3], [1, 2, 9], [0, 2, 3], [5, 2, 3], [1, np.sin(2), 3], 3)
    close(form(others)(x), wanted, 1e-6, "updates")


def test_T9_a_wrong_rule_is_found():
    @fx.custom_vjp
    def bad(x):
        return x**2

    bad.defvjp(lambda x: (x**2, x), lambda x, ct: (1.01 * 2 * x * ct,))
    with pytest.raises(AssertionError):
        fx.check_grads(bad, (np.float32(1.5),), order=1, modes=["rev"])
    fx.check_grads(lambda x: x**2, (np.float32(1.5),), order=2)


@FORMS
def test_T10_attribution(form, rng):
    w = f32([1, -2, 0.5])
    x, x0 = f32([3, 4, -1]), f32([1, 0, 2])
    f = lambda x: x @ w
    ig = form(lambda x, x0: fx.integrated_gradients(f, x, x0))
    close(ig(x, x0), w * (x - x0), 1e-6, "linear")
    close(form(lambda x: fx.saliency(f, x))(x), np.abs(w), 1e-6, "saliency")
    close(form(lambda x: fx.grad_times_input(f, x))(x), w * x, 1e-6, "gradient times input")
    params = mlp_params(rng, 3, 16, 1)
    g = lambda x: mlp(params, x)[0]
    total = form(lambda x, x0: fx.integrated_gradients(g, x, x0, steps=64).sum())(x, x0)
    assert float(total) == pytest.approx(float(g(x) - g(x0)), abs=1e-3)
    smooth = form(lambda x: fx.smooth_grad(f, x, fx.random.key(0), samples=8))(x)
    close(smooth, w, 1e-5, "SmoothGrad of a linear function")
    guided = fx.grad(lambda x: (fx.guided_relu(x) * f32([1, -1, 1])).sum())
    assert form(guided)(x).tolist() == [1, 0, 0]


@FORMS
def test_T11_second_order_utilities(form, rng):
    f = lambda x: x[0] ** 2 * x[1]
    x, v = f32([1, 2]), f32([1, -1])
    assert form(fx.hessian(f))(x).tolist() == [[4, 2], [2, 0]]
    assert form(lambda x, v: fx.hvp(f, (x,), (v,)))(x, v).tolist() == [2, 2]
    assert float(form(lambda x: fx.laplacian(f, x))(x)) == 4
    data, target = f32(rng.normal(size=(6, 3))), f32(rng.normal(size=6))
    w = f32(rng.normal(size=3))
    loss = lambda w, x, y: (x @ w - y) ** 2
    grads = np.asarray(fx.per_example_grads(loss, w, data, target))
    fisher = lambda tool: form(lambda w: tool(loss, w, data, target))(w)
    close(fisher(fx.empirical_fisher), grads.T @ grads / 6, 1e-4, "Fisher")
    close(fisher(fx.fisher_diag), (grads**2).mean(0), 1e-4, "diagonal")
    total = lambda out: ((out - target) ** 2).sum()
    product = form(lambda w: fx.ggn_product(lambda w: data @ w, total, w, w))
    close(product(w), 2 * data.T @ (data @ w), 1e-4, "Gauss-Newton")


def test_T13_tracers_and_what_was_done_to_them():
    seen = []
    fx.jit(lambda x: seen.append(isinstance(x, fx.core.Tracer)) or x)(1.0)
    assert seen == [True]
    with pytest.raises(fx.errors.ConcretizationTypeError, match="argument x"):
        fx.jit(lambda x: float(x))(1.0)


def test_T14_both_styles_agree():
    tape = fx.Tape().persistent()
    x, w = tape.variable([2.0, 3.0]), tape.variable([1.0, 0.5])
    z = x.mul(w).sum()
    dx, dw = tape.gradient(z, [x, w])
    assert (float(z.value), dx.tolist(), dw.tolist()) == (3.5, [1, 0.5], [2, 3])


def test_T16_every_operation_runs_on_the_device(counted):
    for row in OPERATIONS:
        JITTED(row)
    assert counted().host_steps == 0


@FORMS
def test_T17_T_D_clipped_gradients(form):
    @fx.custom_vjp
    def clip_gradient(x):
        return x

    clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (fnp.clip(ct, -1.0, 1.0),))
    g = fx.grad(lambda x, s: s * clip_gradient(x))
    for scale, expected in ((5.0, 1), (-7.0, -1), (0.3, 0.3)):
        assert float(form(g)(f32(2), f32(scale))) == pytest.approx(expected)
    close(form(fx.vmap(g))(f32([1, 1, 1]), f32([5, -7, 0.3])), [1, -1, 0.3], 1e-6, "per example")
    second = fx.grad(fx.grad(lambda x: clip_gradient(x) ** 2))
    assert float(form(second)(f32(0.1))) == pytest.approx(2)
    x = f32([0.1, -3])
    assert np.array_equal(form(clip_gradient)(x), x)


@FORMS
def test_T18_forward_gradient_estimates_the_gradient(form):
    f = lambda x: (x**2).sum()
    x = f32([1, -0.5])
    estimate = form(lambda x: fx.forward_gradient(f, x, fx.random.key(1), samples=10**5))(x)
    assert float(fnp.linalg.norm(estimate - 2 * x)) < 0.02 * float(fnp.linalg.norm(2 * x))
    close(form(fx.jacfwd(f))(x), 2 * x, 1e-6, "jacfwd")


@FORMS
def test_T19_gradient_utilities(form):
    grads = [f32([3]), f32([4])]
    applied = lambda tool, g: form(lambda g: tool.update(g, tool.init(g))[0])(g)
    assert float(form(fx.global_norm)(grads)) == 5
    close(tuple(applied(optim.clip_by_global_norm(1.0), grads)), ([0.6], [0.8]), 1e-6, "norm")
    assert applied(optim.clip(1.0), f32([-5, 10])).tolist() == [-1, 1]
    assert applied(optim.scale(2.0), f32([1])).tolist() == [2]
    assert applied(optim.zero_nans(), f32([np.nan, 1])).tolist() == [0, 1]
    stats = form(lambda g: fx.leaf_statistics(g)["w"])({"w": f32([3, 4])})
    assert (float(stats.norm), int(stats.not_finite)) == (5, 0)
    guarded = optim.apply_if_finite(optim.sgd(1.0), 2)
    updates, state = form(lambda g: guarded.update(g, guarded.init(g)))(f32([np.nan]))
    assert updates.tolist() == [0] and int(state.total_notfinite) == 1
    clipped = form(lambda g, p: optim.adaptive_grad_clip(0.1).update(g, (), p)[0])
    close(clipped(f32([3, 4]), f32([1, 1])), [0.1 * 2**0.5 * 0.6, 0.1 * 2**0.5 * 0.8], 1e-5, "AGC")


def test_T19_where_something_is_not_finite():
    assert fx.first_not_finite({"a": f32([1]), "b": f32([np.inf])}) == "['b']"
    with fx.debug_nans(True), pytest.raises(FloatingPointError):
        fnp.log(fnp.array(-1.0))


@FORMS
def test_T4_T20_T_A(form):
    f = lambda x, w: (x * w).sum()
    x, w = f32([2, 3]), f32([1, 0.5])
    close(form(fx.grad(f, (0, 1)))(x, w), ([1, 0.5], [2, 3]), 0, "T-A")
    assert float(form(f)(x, w)) == 3.5


@FORMS
def test_T3_T_B(form):
    f = lambda x: fnp.sin(x) * x
    with fx.enable_x64():
        x = np.float64(2)
        value, tangent = form(lambda x: fx.jvp(f, (x,), (fnp.ones_like(x),)))(x)
        assert float(value) == pytest.approx(1.8185948536513634, abs=1e-15)
        assert float(tangent) == pytest.approx(0.0770037537313969, abs=1e-15)
        assert float(form(fx.grad(f))(x)) == pytest.approx(float(tangent), abs=1e-15)
        assert float(form(fx.grad(fx.grad(f)))(x)) == pytest.approx(-2.6508885, abs=1e-7)


def test_T21_dual_numbers():
    with fx.enable_x64():
        value, tangent = fx.jvp(lambda x: fnp.sin(x) * x, (2.0,), (1.0,))
        dual = fx.Dual(2.0, 1.0)
        y = dual.sin() * dual
        assert (float(y.value), float(y.tangent)) == (float(value), float(tangent))
    x = fx.Dual([1.0, 2.0], [1.0, 0.0])
    y = (2.0 / x - x**2).tanh().sum() + 1
    f = lambda x: fnp.tanh(2.0 / x - x**2).sum() + 1
    value, tangent = fx.jvp(f, (f32([1, 2]),), (f32([1, 0]),))
    close((y.value, y.tangent), (value, tangent), 1e-6, "operators and methods")
    assert float((-x)[0].tangent) == -1 and x.relu().maximum(x).tangent.tolist() == [1, 0]


@FORMS
def test_T22_T_C_cubes(form):
    f, found = lambda x: x**3, {2.0: [], 0.0: [], -2.0: []}
    for _ in range(4):
        for x in found:
            found[x].append(float(form(f)(f32(x))))
        f = fx.grad(f)
    assert found == {2.0: [8, 12, 12, 6], 0.0: [0, 0, 0, 6], -2.0: [-8, 12, -12, 6]}


def test_T22_T_C_persistent_tape():
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


def test_T27_graphs_and_passes():
    f = lambda x: fnp.exp(x) + fnp.exp(x) + 0 * fnp.sin(x)
    closed = fx.make_jaxpr(f)(1.0)
    assert count_eqns(closed, "exp") == 2
    assert count_eqns(cse_jaxpr(closed.jaxpr), "exp") == 1
    first_only, used = dce_closed(fx.make_jaxpr(lambda x, y: (x + 1, fnp.sin(y)))(1.0, 2.0),
                                  (True, False))  # fmt: skip
    assert count_eqns(first_only) == 1 and used == [True, False]


def test_T28_every_primitive_has_every_rule_or_a_reason():
    kinds = {"numpy": "eval", "jvp": "jvp", "batch": "batch"}
    library = Path(fx.__file__).parent
    for name, p in PRIMITIVES.items():
        defined = Path(p.where.get("entry") or p.where.get("abstract") or "")
        if library not in defined.parents:  # a test's own
            continue
        for rule in ("abstract", "numpy", "jvp", "transpose", "batch", "lower"):
            found = getattr(p, rule)
            found = p.trace_rules.get(kinds.get(rule)) if found is None else found
            assert found is not None, f"{name}: {rule}"
            assert not isinstance(found, no) or found.reason


@FORMS
def test_T29_layers_pass_the_gradient_check(form, rng):
    params, x = mlp_params(rng, 3, 4, 2), f32(rng.normal(size=(2, 3)))
    fx.check_grads(form(lambda p: mlp(p, x)), (params,), order=1)
    image = f32(rng.normal(size=(1, 2, 4, 4)))
    kernel = f32(rng.normal(size=(2, 2, 2, 2)))
    for layer in (nn.layer_norm, nn.softmax, nn.gelu, nn.silu):
        fx.check_grads(form(layer), (x,), order=1)
    for layer in (lambda x: nn.conv2d(x, kernel), lambda x: nn.avg_pool2d(x, 2),
                  lambda x: nn.max_pool2d(x, 2), lambda x: nn.group_norm(x, 2),
                  lambda x: nn.instance_norm(x)):  # fmt: skip
        fx.check_grads(form(layer), (image,), order=1)
