"""Zyx's promises and examples, and the semantics decided once."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from seed_rows import close, f32

import fx
import fx.numpy as fnp
import fx.optim as optim
from fx import lax, nn
from fx.passes import count_eqns, cse_jaxpr

XA = f32([[1, -2, 3], [0, 0.5, -1]])
YA = f32([[0, 1, -1], [2, 0.5, 3]])
XB = f32([[0.5, -1], [0.25, 2]])
YB = f32([[2, -3], [4, 1]])
DX_A = [[0, 0, -0.76159416], [0, 0.46211716, 0]]
DY_A = [[1, 0, 1.25992302], [0, 0.39322387, 0]]


def z_a(x, y):
    return nn.relu(x) * fnp.tanh(y)


def z_b(x, y):
    return fnp.exp(x + y) - x


def every_form(f):
    """The function itself, jitted, and vmapped over one copy."""
    mapped = lambda *args: fx.tree_util.tree_map(
        lambda v: v[0], fx.vmap(f)(*[np.asarray(a)[None] for a in args])
    )
    return [f, fx.jit(f), mapped]


def ones_seeded(f):
    def g(x, y):
        out, pull = fx.vjp(f, x, y)
        return out, *pull(fnp.ones_like(out))

    return g


# ---------------------------------------------------------------- semantics decided once


@pytest.mark.parametrize("form", range(3), ids=["eager", "jit", "vmap"])
def test_1_nonscalar_targets_are_seeded_with_ones(form):
    _, dx, dy = every_form(ones_seeded(z_a))[form](XA, YA)
    close((dx, dy), (DX_A, DY_A), 2e-6, "Z-A")


def test_2_unconnected_sources_have_zero_gradients():
    f = lambda x, y: fnp.exp(y).sum()
    assert np.array_equal(fx.grad(f)(fnp.ones((2, 3)), fnp.ones(2)), np.zeros((2, 3)))
    assert fx.used_inputs(f)(fnp.ones((2, 3)), fnp.ones(2)) == (False, True)
    assert fx.grad(f, allow_unused=True)(fnp.ones((2, 3)), fnp.ones(2)) is None


@pytest.mark.parametrize("op", [fnp.maximum, fnp.minimum, lax.max, lax.min])
def test_3_ties_split_evenly_and_lose_nothing(op):
    dx, dy = fx.grad(lambda x, y: op(x, y).sum(), (0, 1))(f32([2, 1]), f32([2, 1]))
    assert (dx + dy).tolist() == [1, 1] and dx.tolist() == [0.5, 0.5]


def test_4_ddof():
    x = f32([1, 2, 4])
    assert float(fnp.var(x)) == pytest.approx(14 / 9)
    assert float(fnp.var(x, ddof=1)) == float(fnp.var(x, correction=1)) == pytest.approx(7 / 3)


def test_5_clip_at_its_bounds():
    assert float(fx.grad(lambda x: fnp.clip(x, -1.0, 1.0))(1.0)) == 0.5
    assert float(fx.grad(lambda x: lax.clamp(-1.0, x, 1.0))(1.0)) == 0


def test_6_gelu_in_both_forms():
    assert float(nn.gelu(-1.2, approximate=False)) == pytest.approx(-0.1380836, abs=1e-6)
    assert float(nn.gelu(-1.2)) == pytest.approx(-0.13829723, abs=1e-6)


def test_7_repeat_tile_swapaxes_transpose():
    x = fnp.array([1, 2])
    assert fnp.tile(x, 2).tolist() == [1, 2, 1, 2]
    assert fnp.repeat(x, 2).tolist() == [1, 1, 2, 2]
    assert fnp.ones((2, 3, 4)).swapaxes(0, 2).shape == (4, 3, 2)
    assert [len(p) for p in fnp.array_split(fnp.arange(5), 4)] == [2, 1, 1, 1]


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("form", range(3), ids=["eager", "jit", "vmap"])
def test_Z_B(form):
    value, dx, dy = every_form(ones_seeded(z_b))[form](XB, YB)
    close(value, [[11.68249396, 1.01831564], [69.85541235, 18.08553692]], 2e-6, "value")
    close(dx, [[11.18249396, -0.98168436], [69.10541235, 19.08553692]], 2e-6, "dx")
    close(dy, [[12.18249396, 0.01831564], [70.10541235, 20.08553692]], 2e-6, "dy")


def test_Z2_forward_and_backward_are_one_program():
    f = lambda x: fnp.exp(x).sum()
    jaxpr = cse_jaxpr(fx.make_jaxpr(fx.value_and_grad(f))(fnp.ones(3)).jaxpr)
    assert count_eqns(jaxpr, "exp") == 1
    second = fx.make_jaxpr(fx.grad(fx.grad(lambda x: fnp.exp(x))))(1.0)
    assert {e.primitive.name for e in second.eqns} <= {"exp", "mul", "neg", "convert_element_type"}


def test_Z3_tracing_launches_nothing(counted):
    fx.make_jaxpr(z_b)(XB, YB)
    fx.jit(z_b).lower(XB, YB)
    assert counted().launches == 0


def test_Z4_tape_listing():
    tape = fx.Tape()
    x, y = tape.variable(XA), tape.variable(YA)
    z = x.relu() * y.tanh()
    dx, dy = tape.gradient(z, [x, y])
    close((dx.value, dy.value), (DX_A, DY_A), 2e-6, "tape")
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(z, [x])


def test_Z5_argnums():
    f = lambda x, y: z_a(x, y).sum()
    close(fx.grad(f, (0, 1))(XA, YA), (DX_A, DY_A), 2e-6, "argnums")


def test_Z6_pullbacks_are_functions():
    _out, pull = fx.vjp(lambda x: z_a(x, YA), XA)
    g = f32(np.arange(6).reshape(2, 3))
    assert np.array_equal(pull(g)[0], pull(g)[0])
    _, push = fx.linearize(lambda x: z_a(x, YA), XA)
    assert np.array_equal(push(g), push(g))


def test_Z8_any_argument_at_any_time():
    f = lambda x, y: (x * y + fnp.sin(x)).sum()
    both = fx.grad(f, (0, 1))(XB, YB)
    close((fx.grad(f, 0)(XB, YB), fx.grad(f, 1)(XB, YB)), both, 0, "argnums")


def test_Z9_tenth_derivative_of_sine():
    with fx.enable_x64():
        f = fnp.sin
        for _ in range(10):
            f = fx.grad(f)
        assert float(f(0.7)) == pytest.approx(-0.64421769, abs=1e-8)
    second = fx.grad(fx.grad(nn.relu))
    assert [float(second(x)) for x in (-1.0, 0.0, 2.0)] == [0, 0, 0]


def test_Z11_tracing_a_gigabyte_allocates_nothing():
    x = fx.ShapeDtypeStruct((1 << 28,), np.float32)
    assert fx.eval_shape(lambda x: fnp.exp(x) * 2 + x, x).shape == (1 << 28,)


def test_Z12_residuals_go_with_the_pullback():
    gc.disable()
    try:
        x = fnp.arange(1000.0)
        _out, pull = fx.vjp(lambda x: fnp.sin(fnp.exp(x)), x)
        ref = weakref.ref(pull)
        del pull
        assert ref() is None
    finally:
        gc.enable()


def test_Z13_round_trip_is_exact():
    for a in (f32([np.nan, -0.0, np.inf]), np.array([1, -7], np.int32), np.array([True, False])):
        back = fx.device_get(fx.device_put(a))
        assert back.tobytes() == a.tobytes() and back.dtype == a.dtype


def test_Z15_random_needs_a_key():
    a, b = (fx.random.normal(fx.random.key(3), (2, 2)) for _ in range(2))
    assert np.array_equal(a, b)
    assert abs(float(fx.random.normal(fx.random.key(0), (10**6,)).mean())) < 4e-3


def test_Z16_arrays_from_lists():
    x = fnp.array([[2.0, -3], [4, 1]])
    assert x.dtype == np.float32 and x.shape == (2, 2) and x.tolist() == [[2, -3], [4, 1]]


def test_Z17_one_kernel(counted):
    f = fx.jit(z_b)
    f(XB, YB)
    before = counted().launches
    fx.block_until_ready(f(XB, YB))
    assert counted().launches - before == 1


def test_Z19_second_order():
    f = lambda x: fx.grad(lambda x: z_b(x, YB).sum())(x).sum()
    close(fx.grad(f)(XB), np.exp(XB + YB), 2e-6, "second")


def test_Z20_sgd():
    for momentum, steps, expected in ((None, 1, 0.95), (0.9, 2, 0.855)):
        opt = optim.sgd(0.1, momentum=momentum)
        p, state = fnp.array(1.0), opt.init(fnp.array(1.0))
        for _ in range(steps):
            updates, state = opt.update(fnp.array(0.5), state, p)
            p = optim.apply_updates(p, updates)
        assert float(p) == pytest.approx(expected)


def test_Z21_linear_model():
    model = lambda p, x: p["w"] @ x
    loss = lambda p: ((model(p, f32([3])) - 1) ** 2).sum()
    assert fx.grad(loss)({"w": f32([2])})["w"].tolist() == [30]


def test_Z23_residuals_are_what_the_pullback_needs():
    from fx.ad_checkpoint import saved_residuals

    assert len(saved_residuals(lambda x: fnp.exp(x).sum(), fnp.ones(3))) == 1
    assert len(saved_residuals(lambda x: (x + 1).sum(), fnp.ones(3))) == 0


def test_Z27_a_model_is_a_function():
    f = lambda x, y: (fnp.exp(x + y) - x).sum()
    g = fx.grad(f)
    second = fx.grad(lambda x, y: g(x, y).sum())
    x = XB - 0.1 * g(XB, YB)
    assert x.shape == second(XB, YB).shape
