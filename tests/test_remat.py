"""checkpoint: equal gradients, fewer residuals, policies, names."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import checkpoint_policies as cp
from fx.ad_checkpoint import checkpoint_name, print_saved_residuals, saved_residuals
from fx.passes import count_eqns

W = [
    fnp.asarray(np.random.default_rng(k).standard_normal((4, 4)), dtype="float32") for k in range(3)
]
X = fnp.arange(4.0) / 4


def layers(x):
    for w in W:
        x = fnp.sin(checkpoint_name(w @ x, "product"))
    return x.sum()


POLICIES = {
    "none": None,
    "everything": cp.everything_saveable,
    "nothing": cp.nothing_saveable,
    "dots": cp.dots_saveable,
    "dots without batch": cp.checkpoint_dots_with_no_batch_dims,
    "only product": cp.save_only_these_names("product"),
    "any but product": cp.save_any_names_but_these("product"),
    "anything but product": cp.save_anything_except_these_names("product"),
    "both": cp.save_from_both_policies(cp.dots_saveable, cp.nothing_saveable),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_are_equal(policy):
    f = fx.checkpoint(layers, policy=POLICIES[policy])
    expected = fx.grad(layers)(X)
    np.testing.assert_array_equal(fx.grad(f)(X), expected)
    np.testing.assert_allclose(fx.jit(fx.grad(f))(X), expected, rtol=1e-5)
    np.testing.assert_allclose(fx.grad(fx.jit(f))(X), expected, rtol=1e-5)
    np.testing.assert_allclose(fx.vmap(fx.grad(f))(fnp.stack([X, X]))[1], expected, rtol=1e-5)
    np.testing.assert_allclose(fx.jvp(f, (X,), (X,))[1], expected @ X, rtol=1e-4)
    np.testing.assert_allclose(fx.hessian(f)(X), fx.hessian(layers)(X), rtol=1e-4, atol=1e-5)


def saved(policy):
    found = saved_residuals(fx.checkpoint(layers, policy=policy), X)
    return [why for aval, why in found if aval.shape == (4,)]


def test_residuals_follow_the_policy():
    assert saved(None) == saved(cp.nothing_saveable) == ["from the argument x"]
    names = saved(cp.save_only_these_names("product"))
    assert sum("named 'product'" in n for n in names) == 3
    assert sum("named 'product'" in n for n in saved(cp.save_any_names_but_these("product"))) == 0
    assert sum("dot_general" in n for n in saved(cp.dots_saveable)) == 3
    plain = [why for aval, why in saved_residuals(layers, X) if aval.shape == (4,)]
    assert len(saved(cp.everything_saveable)) <= len(plain) + 1


def test_work_is_repeated():
    def f(x):
        return fnp.sin(fnp.sin(fnp.sin(x)))

    plain = fx.make_jaxpr(fx.grad(f))(1.0)
    again = fx.make_jaxpr(fx.grad(fx.checkpoint(f)))(1.0)
    assert count_eqns(plain, "sin") == 3
    assert count_eqns(again, "sin") == 3 + 2


def test_segments_save_their_inputs_only():
    """M16: 64 layers in 8 segments keep 8 activations where plain reverse mode keeps 64 or more."""

    def segment(x):
        for _ in range(8):
            x = fnp.sin(x)
        return x

    def net(x, wrap):
        for _ in range(8):
            x = wrap(segment)(x)
        return x

    x = fnp.ones(5)
    assert len(saved_residuals(lambda x: net(x, fx.checkpoint), x)) == 8
    assert len(saved_residuals(lambda x: net(x, lambda f: f), x)) == 64
    with fx.enable_x64(True):
        a, b = (
            fx.grad(lambda x, w=w: net(x, w).sum())(fnp.ones(5))
            for w in (fx.checkpoint, lambda f: f)
        )
        np.testing.assert_array_equal(a, b)


def test_static_arguments_and_decorator_form():
    @fx.checkpoint(static_argnums=1)
    def f(x, n):
        return x**n if n > 1 else x

    np.testing.assert_allclose(fx.grad(f)(2.0, 3), 12.0)
    with pytest.raises(NotImplementedError, match="static_argnums"):
        fx.checkpoint(lambda x: x, concrete=True)
    assert fx.remat is fx.checkpoint


def test_control_flow_needs_static_or_traced_forms():
    with pytest.raises(
        fx.errors.ConcretizationTypeError, match="depends on the argument x of checkpoint"
    ):
        fx.grad(fx.checkpoint(lambda x: x if x > 0 else -x))(1.0)


def test_closed_over_tracers_are_differentiated():
    def f(w, x):
        return fx.checkpoint(lambda x: fnp.sin(w * x))(x)

    np.testing.assert_allclose(fx.grad(f)(2.0, 3.0), 3 * np.cos(6.0), rtol=1e-6)


def test_inside_scan():
    def loss(x, wrap):
        return fx.lax.scan(lambda c, _: (wrap(fnp.sin)(c), None), x, None, length=5)[0]

    expected = fx.grad(loss)(1.0, lambda f: f)
    np.testing.assert_allclose(fx.grad(loss)(1.0, fx.checkpoint), expected, rtol=1e-6)
    np.testing.assert_allclose(
        fx.jit(lambda x: fx.grad(loss)(x, fx.checkpoint))(1.0), expected, rtol=1e-6
    )


def test_offloading_saves_where_there_is_one_memory():
    def layer(x):
        return fnp.sin(checkpoint_name(fnp.sin(x), "inner"))

    policy = cp.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=["inner"],
        offload_src="device",
        offload_dst="pinned_host",
    )
    gradient = fx.grad(fx.checkpoint(layer, policy=policy))
    np.testing.assert_allclose(gradient(0.5), fx.grad(layer)(0.5), rtol=1e-6)
    assert len(saved_residuals(fx.checkpoint(layer, policy=policy), 0.5)) == len(
        saved_residuals(fx.checkpoint(layer, policy=cp.save_only_these_names("inner")), 0.5)
    )


def test_print(capsys):
    print_saved_residuals(fnp.sin, 1.0)
    assert "output of cos" in capsys.readouterr().out


@pytest.mark.driver
def test_compiled_memory_follows_the_segments():
    """M16: products keep what they read; 8 segments of 8 layers need an eighth and a little."""
    w = fnp.eye(64)

    def segment(x):
        for _ in range(8):
            x = fnp.sin(x) @ w
        return x

    def temporary(wrap):
        def net(x):
            for _ in range(8):
                x = wrap(segment)(x)
            return x.sum()

        x = fnp.ones((1024, 64))
        return fx.jit(fx.grad(net)).lower(x).compile().memory_analysis().temp_size_in_bytes

    assert temporary(fx.checkpoint) <= 0.3 * temporary(lambda f: f)


def test_policies_may_answer_in_words():
    from fx.ad_checkpoint import Offloadable, Recompute, Saveable

    def residuals(answer):
        f = fx.checkpoint(layers, policy=lambda prim, *_, **__: answer)
        return len(saved_residuals(f, X))

    assert residuals(Recompute) == residuals(False) < residuals(True)
    assert residuals(Saveable) == residuals(Offloadable("device", "pinned_host")) == residuals(True)
    for wrong in (Offloadable, None, "yes"):
        with pytest.raises(TypeError, match="returned by a remat policy"):
            residuals(wrong)


@pytest.mark.parametrize("wrap", [lambda g: g, fx.jit], ids=["eager", "jit"])
def test_collectives_are_repeated(wrap):
    def f(x):
        return fnp.sin(fx.lax.psum(fnp.sin(x), "i") * fx.lax.axis_index("i")) * x

    each = [fx.vmap(wrap(fx.grad(g)), axis_name="i")(X) for g in (f, fx.checkpoint(f))]
    np.testing.assert_allclose(each[1], each[0], rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda g: g, fx.jit], ids=["eager", "jit"])
def test_results_of_side_effects_are_saved(wrap):
    calls = []

    def read(_):
        calls.append(1)
        return np.float32(2.0)

    def f(x):
        scale = fx.experimental.io_callback(read, fx.ShapeDtypeStruct((), np.float32), 0)
        return fnp.sin(x * scale)

    np.testing.assert_allclose(wrap(fx.grad(fx.checkpoint(f)))(1.0), 2 * np.cos(2.0), rtol=1e-6)
    assert len(calls) == 1
