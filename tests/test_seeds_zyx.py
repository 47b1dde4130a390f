"""Zyx's promises and examples, and the semantics decided once."""

from __future__ import annotations

import gc
import inspect
import weakref

import numpy as np
import pytest
from seed_rows import FORMS, close, f32

import fx
import fx.numpy as fnp
import fx.optim as optim
from fx import lax, nn
from fx.ad_checkpoint import saved_residuals
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


def ones_seeded(f):
    def g(x, y):
        out, pull = fx.vjp(f, x, y)
        return out, *pull(fnp.ones_like(out))

    return g


def launches_of(f, *args):
    """Kernels of one warm call."""
    fx.block_until_ready(f(*args))
    before = fx.counters()
    fx.block_until_ready(f(*args))
    return (fx.counters() - before).launches


# ---------------------------------------------------------------- semantics decided once


@FORMS
def test_S1_Z1_Z5_Z18_Z_A_targets_are_seeded_with_ones(form):
    _, dx, dy = form(ones_seeded(z_a))(XA, YA)
    close((dx, dy), (DX_A, DY_A), 2e-6, "Z-A")
    with pytest.raises(TypeError, match=r"\(2, 3\)"):
        form(fx.grad(z_a))(XA, YA)


@FORMS
def test_S2_Z7_unconnected_sources_have_zero_gradients(form):
    f = lambda x, y: fnp.exp(y).sum()
    zero = form(fx.grad(f))(np.ones((2, 3), "f"), np.ones(2, "f"))
    assert np.array_equal(zero, np.zeros((2, 3)))


def test_S2_Z7_who_is_used_can_be_asked(counted):
    f = lambda x, y: fnp.exp(y).sum()
    x, y = fnp.ones((2, 3)), fnp.ones(2)
    assert fx.used_inputs(f)(x, y) == (False, True)
    assert fx.grad(f, allow_unused=True)(x, y) is None
    assert fx.grad(f, (0, 1), allow_unused=True)(x, y)[0] is None
    assert count_eqns(fx.passes.dce_closed(fx.make_jaxpr(fx.grad(f))(x, y))[0], "exp") == 0
    assert not fx.grad(f)(x, y).any() and counted().launches == 0
    assert fx.explain(fx.grad(f))(x, y).flops == 0  # what is left writes the zeros


@FORMS
@pytest.mark.parametrize("op", [fnp.maximum, fnp.minimum, lax.max, lax.min])
def test_S3_ties_split_evenly_and_lose_nothing(form, op):
    g = form(fx.grad(lambda x, y: op(x, y).sum(), (0, 1)))
    dx, dy = g(f32([2, 1]), f32([2, 1]))
    assert (dx + dy).tolist() == [1, 1] and dx.tolist() == [0.5, 0.5]


@FORMS
def test_S4_ddof(form):
    f = lambda x: (fnp.var(x), fnp.var(x, ddof=1), fnp.var(x, correction=1), fnp.std(x, ddof=1))
    wanted = (14 / 9, 7 / 3, 7 / 3, np.sqrt(7 / 3))
    close(form(f)(f32([1, 2, 4])), wanted, 1e-6, "ddof")


@FORMS
def test_S5_clip_at_its_bounds(form):
    f = lambda x: (fx.grad(lambda x: fnp.clip(x, -1.0, 1.0))(x),
                   fx.grad(lambda x: lax.clamp(-1.0, x, 1.0))(x))  # fmt: skip
    close(form(f)(f32(1)), (0.5, 0.0), 0, "bounds")


@FORMS
def test_S6_gelu_in_both_forms(form):
    f = lambda x: (nn.gelu(x, approximate=False), nn.gelu(x))
    close(form(f)(f32(-1.2)), (-0.1380836, -0.13829723), 1e-6, "gelu")


@FORMS
def test_S7_repeat_tile_swapaxes_transpose(form):
    x = np.array([1, 2])
    assert form(lambda x: fnp.tile(x, 2))(x).tolist() == [1, 2, 1, 2]
    assert form(lambda x: fnp.repeat(x, 2))(x).tolist() == [1, 1, 2, 2]
    assert form(lambda x: x.swapaxes(0, 2))(np.ones((2, 3, 4), "f")).shape == (4, 3, 2)
    parts = form(lambda x: fnp.array_split(x, 4))(np.arange(5))
    assert [len(p) for p in parts] == [2, 1, 1, 1]


# ---------------------------------------------------------------- rows


@FORMS
def test_Z_B(form):
    value, dx, dy = form(ones_seeded(z_b))(XB, YB)
    close(value, [[11.68249396, 1.01831564], [69.85541235, 18.08553692]], 2e-6, "value")
    close(dx, [[11.18249396, -0.98168436], [69.10541235, 19.08553692]], 2e-6, "dx")
    close(dy, [[12.18249396, 0.01831564], [70.10541235, 20.08553692]], 2e-6, "dy")


def test_Z1_the_jaxpr_shows_what_was_done():
    names = [e.primitive.name for e in fx.make_jaxpr(z_b)(XB, YB).eqns]
    assert names == ["add", "exp", "sub"]


def test_Z2_forward_and_backward_are_one_program():
    f = lambda x: fnp.exp(x).sum()
    jaxpr = cse_jaxpr(fx.make_jaxpr(fx.value_and_grad(f))(fnp.ones(3)).jaxpr)
    assert count_eqns(jaxpr, "exp") == 1
    second = fx.make_jaxpr(fx.grad(fx.grad(lambda x: fnp.exp(x))))(1.0)
    assert {e.primitive.name for e in second.eqns} <= {"exp", "mul", "neg", "convert_element_type"}


def test_Z3_M2_tracing_launches_nothing(counted):
    fx.make_jaxpr(z_b)(XB, YB)
    fx.jit(z_b).lower(XB, YB)
    assert (counted().launches, counted().live_bytes) == (0, 0)


def test_Z4_T12_T14_tape_listing():
    tape = fx.Tape()
    x, y = tape.variable(XA), tape.variable(YA)
    z = x.relu() * y.tanh()
    dx, dy = tape.gradient(z, [x, y])
    close((dx.value, dy.value), (DX_A, DY_A), 2e-6, "tape")
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(z, [x])
    tape = fx.Tape()
    x, y = tape.variable(XB), tape.variable(YB)
    assert tape.gradient(y.exp(), [x], allow_unused=True) == [None]
    z = (x + y).exp() - x
    first = tape.gradient_persistent(z, [x])[0]
    close(tape.gradient_persistent(first, [x])[0].value, np.exp(XB + YB), 2e-6, "second")


@FORMS
def test_Z5_Z18_argnums(form):
    f = lambda x, y: z_a(x, y).sum()
    close(form(fx.grad(f, (0, 1)))(XA, YA), (DX_A, DY_A), 2e-6, "argnums")


@FORMS
def test_Z6_pullbacks_are_functions(form):
    g = f32(np.arange(6).reshape(2, 3))

    def twice(x):
        _out, pull = fx.vjp(lambda x: z_a(x, YA), x)
        _out, push = fx.linearize(lambda x: z_a(x, YA), x)
        return pull(g)[0], pull(g)[0], push(g), push(g)

    a, b, c, d = form(twice)(XA)
    assert np.array_equal(a, b) and np.array_equal(c, d)


@FORMS
def test_Z8_any_argument_at_any_time(form):
    f = lambda x, y: (x * y + fnp.sin(x)).sum()
    both = form(fx.grad(f, (0, 1)))(XB, YB)
    singly = (form(fx.grad(f, 0))(XB, YB), form(fx.grad(f, 1))(XB, YB))
    close(singly, both, 1e-6, "argnums")


@FORMS
def test_Z9_tenth_derivative_of_sine(form):
    with fx.enable_x64():
        f = fnp.sin
        for _ in range(10):
            f = fx.grad(f)
        assert float(form(f)(np.float64(0.7))) == pytest.approx(-0.64421769, abs=1e-8)
    second = form(fx.grad(fx.grad(nn.relu)))
    assert [float(second(f32(x))) for x in (-1.0, 0.0, 2.0)] == [0, 0, 0]


def test_Z11_tracing_a_gigabyte_allocates_nothing(counted):
    x = fx.ShapeDtypeStruct((1 << 28,), np.float32)
    assert fx.eval_shape(lambda x: fnp.exp(x) * 2 + x, x).shape == (1 << 28,)
    assert counted().live_bytes == 0


@pytest.mark.driver
def test_Z12_F6_residuals_go_with_the_pullback():
    """The array that the pullback keeps is freed with it, without the help of the collector."""
    x, f = fnp.arange(1000.0), fx.jit(lambda x: fnp.sin(fnp.exp(x)))
    gc.collect()
    gc.disable()
    try:
        base = fx.counters().live_bytes
        _, pull = fx.vjp(f, x)  # the first call, which also traces and compiles
        ref = weakref.ref(pull)
        assert fx.counters().live_bytes > base
        del pull, _
        assert ref() is None and fx.counters().live_bytes == base
    finally:
        gc.enable()


def test_Z13_round_trip_is_exact():
    payload = np.array([0x7FC01234], np.uint32).view(np.float32)
    for a in (f32([np.nan, -0.0, np.inf]), payload, np.array([1, -7], np.int32),
              np.array([True, False])):  # fmt: skip
        back = fx.device_get(fx.device_put(a))
        assert back.tobytes() == a.tobytes() and back.dtype == a.dtype
        back = fx.device_get(fx.jit(lambda x: x[::-1])(a))[::-1]
        assert back.tobytes() == a.tobytes()


def test_Z14_devices_can_be_listed_and_chosen():
    assert len(fx.devices()) == fx.device_count() >= 1
    with fx.default_device("interpreter"):
        assert fx.jit(lambda x: x + 1)(fnp.ones(2)).tolist() == [2, 2]
    with pytest.raises(Exception, match="no device matches 'abacus'"), fx.default_device("abacus"):
        fx.jit(lambda x: x + 1)(fnp.ones(2))


def test_Z15_random_needs_a_key():
    a, b = (fx.random.normal(fx.random.key(3), (2, 2)) for _ in range(2))
    assert np.array_equal(a, b)
    bits = lambda: fx.random.bits(fx.random.key(3), (7,))
    with fx.default_device("interpreter"):
        there = fx.jit(bits)()
    assert np.array_equal(bits(), fx.jit(bits)()) and np.array_equal(bits(), there)
    assert abs(float(fx.random.normal(fx.random.key(0), (10**6,)).mean())) < 4e-3


@FORMS
def test_Z16_arrays_from_lists(form):
    x = form(lambda c: fnp.array([[2.0, -3], [4, 1]]) + c)(f32(0))
    assert x.dtype == np.float32 and x.shape == (2, 2) and x.tolist() == [[2, -3], [4, 1]]


@pytest.mark.driver
def test_Z17_Z25_one_kernel():
    assert launches_of(fx.jit(z_b), XB, YB) == 1


@FORMS
def test_Z19_second_order(form):
    f = lambda x: fx.grad(lambda x: z_b(x, YB).sum())(x).sum()
    close(form(fx.grad(f))(XB), np.exp(XB + YB), 2e-6, "second")


@FORMS
def test_Z20_sgd(form):
    for momentum, steps, expected in ((None, 1, 0.95), (0.9, 2, 0.855)):
        opt = optim.sgd(0.1, momentum=momentum)

        def run(p, g, opt=opt, steps=steps):
            state = opt.init(p)
            for _ in range(steps):
                updates, state = opt.update(g, state, p)
                p = optim.apply_updates(p, updates)
            return p

        assert float(form(run)(f32(1), f32(0.5))) == pytest.approx(expected)


@FORMS
def test_Z21_linear_model(form):
    model = lambda p, x: p["w"] @ x
    loss = lambda p: ((model(p, f32([3])) - 1) ** 2).sum()
    assert form(fx.grad(loss))({"w": f32([2])})["w"].tolist() == [30]


def test_Z22_M13_gradients_do_not_change_the_function():
    text = lambda: fx.jit(lambda x: fnp.exp(x) * 2).lower(XB).compile().as_text()
    before = text()
    fx.grad(lambda x: fnp.exp(x).sum())(XB)
    assert text() == before
    assert count_eqns(fx.make_jaxpr(z_b)(XB, YB)) == 3


def test_Z23_M8_residuals_are_what_the_pullback_needs():
    assert len(saved_residuals(lambda x: fnp.exp(x).sum(), fnp.ones(3))) == 1
    assert len(saved_residuals(lambda x: (x + 1).sum(), fnp.ones(3))) == 0


def listing():
    x, y = XB, YB
    f = lambda x, y: fnp.exp(x + y) - x
    g = fx.grad(lambda x, y: f(x, y).sum(), (0, 1))
    second = fx.grad(lambda x: g(x, y)[0].sum())
    opt = optim.sgd(0.1)
    updates, _ = opt.update(g(x, y)[0], opt.init(x))
    return optim.apply_updates(x, updates), g(x, y), second(x)


def test_Z27_M11_the_listing_takes_twelve_lines():
    moved, (dx, _), second = listing()
    close((moved, second), (XB - 0.1 * dx, np.exp(XB + YB)), 1e-5, "listing")
    assert len(inspect.getsource(listing).splitlines()) <= 12
