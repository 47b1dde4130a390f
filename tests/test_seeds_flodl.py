"""floDl's promises and example."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from seed_rows import FORMS, close, f32
from test_errors import MISTAKES, NAMES

import fx
import fx.numpy as fnp
import fx.optim as optim
from fx import lax
from fx.ad_checkpoint import saved_residuals
from fx.passes import count_eqns


@FORMS
def test_F1_closed_over_arrays_are_constants(form):
    c = fnp.array([1.0, 2.0])
    f = lambda x: (x * c).sum()
    assert form(fx.grad(f))(np.ones(2, "f")).tolist() == [1, 2]
    assert len(fx.make_jaxpr(f)(fnp.ones(2)).consts) == 1


@FORMS
def test_F2_gradients_of_intermediates_by_a_tap(form):
    tail = lambda h: (h**2).sum()
    head = lambda x: fnp.sin(x)
    x = f32([0.3, 0.7])
    by_tail = form(lambda x: fx.grad(tail)(head(x)))(x)
    by_tap = form(lambda x: fx.grad(lambda tap: tail(head(x) + tap))(np.zeros(2, "f")))(x)
    close(by_tap, by_tail, 1e-6, "tap")


def test_F3_sum_of_product_is_two_equations():
    jaxpr = fx.make_jaxpr(lambda x, w: (x * w).sum())(fnp.ones(3), fnp.ones(3))
    assert [e.primitive.name for e in jaxpr.eqns] == ["mul", "reduce_sum"]


@FORMS
def test_F4_gradients_have_the_parameters_structure(form):
    params = {"w": np.ones((2, 3), "f"), "b": [np.zeros(3, "f"), None]}
    g = form(fx.grad(lambda p: (fnp.ones(2) @ p["w"] + p["b"][0]).sum()))(params)
    assert fx.tree_util.tree_structure(g) == fx.tree_util.tree_structure(params)
    assert g["w"].dtype == np.float32


def test_F5_gradient_of_a_vector_names_its_shape():
    with pytest.raises(TypeError, match=r"\(3,\)"):
        fx.grad(lambda x: x)(fnp.ones(3))


@FORMS
def test_F7_nothing_accumulates(form):
    g = form(fx.grad(lambda x: x * x))
    assert float(g(f32(2))) == float(g(f32(2))) == 4


def test_F7_F8_variables_accumulate_until_told_to_stop():
    x = fx.Variable(2.0)
    for _ in range(2):
        (x * x).backward()
    assert float(x.grad) == 8
    x.zero_grad()
    assert x.grad is None
    (x * x).backward()
    assert float(x.grad) == 4


@FORMS
def test_F8_accumulators_start_again(form):
    opt = optim.MultiSteps(optim.sgd(1.0), 3)

    def run(p, g):
        state = opt.init(p)
        held = []
        for _ in range(3):
            _, state = opt.update(g, state, p)
            held.append(fnp.abs(state.acc_grads).max())
        return held

    held = form(run)(f32([1, 2]), f32([3, 4]))
    assert [float(h) > 0 for h in held] == [True, True, False]


@FORMS
def test_F9_detached_values_have_no_derivative(form):
    f = lambda x: x * lax.stop_gradient(x)
    found = [float(form(g)(f32(3))) for g in (f, fx.grad(f), fx.grad(fx.grad(f)))]
    assert found == [9, 3, 0]
    tangent = form(lambda x: fx.jvp(lax.stop_gradient, (x,), (fnp.ones_like(x),))[1])
    assert float(tangent(f32(3))) == 0
    x = fx.Variable(3.0)
    (x * x.detach()).backward()
    assert float(x.grad) == 3


def test_F10_stop_gradient_adds_no_kernel():
    f, g = lambda x: fnp.exp(x) * 2, lambda x: fnp.exp(lax.stop_gradient(x)) * 2
    texts = [fx.jit(h).lower(fnp.ones(64)).compile().as_text() for h in (f, g)]
    assert texts[0] == texts[1]
    assert fx.explain(lax.stop_gradient)(fnp.ones(64)).launches == 0


@FORMS
def test_F11_no_grad_leaves_no_residuals(form):
    f = lambda x: fx.no_grad(fnp.exp)(x).sum() + x.sum()
    assert form(fx.grad(f))(np.ones(3, "f")).tolist() == [1, 1, 1]
    assert saved_residuals(f, fnp.ones(3)) == []


def test_F12_no_grad_nests_and_survives_errors():
    f = fx.no_grad(fx.no_grad(fnp.sin))
    assert float(fx.grad(f)(1.0)) == 0

    def broken(x):
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fx.grad(fx.no_grad(broken))(1.0)
    assert float(fx.grad(fnp.sin)(0.0)) == 1
    x = fx.Variable(2.0)
    with pytest.raises(RuntimeError, match="inside"), fx.no_grad(), fx.no_grad():
        broken(x)
    (x * x).backward()
    assert float(x.grad) == 4


def test_M29_no_grad_belongs_to_its_thread():
    """Three threads, each inside and outside of nested blocks while the others are elsewhere."""
    barrier, found = threading.Barrier(3), {}

    def work(k):
        x, recorded = fx.Variable(float(k)), []
        for depth in range(4):
            barrier.wait(10)
            if depth % 2 == k % 2:
                with fx.no_grad():
                    with fx.no_grad():
                        barrier.wait(10)
                        recorded.append(bool((x * x).inputs))
                    recorded.append(bool((x * x).inputs))
            else:
                barrier.wait(10)
                recorded += [bool((x * x).inputs)] * 2
        found[k] = (recorded, float(fx.grad(lambda x: fx.no_grad(fnp.sin)(x) + x)(1.0)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    for k in range(3):
        assert found[k] == ([d % 2 != k % 2 for d in range(4) for _ in range(2)], 1.0)


def test_F13_mistakes_are_errors_before_anything_runs(counted):
    with pytest.raises(TypeError, match=r"\(2, 3\) and \(2, 3\)"):
        fx.jit(fnp.matmul)(np.ones((2, 3), "f"), np.ones((2, 3), "f"))
    assert counted().launches == 0


@pytest.mark.parametrize("name", NAMES)
def test_F14_errors_say_what_was_given(name):
    """A shape, dtype, argument, axis or type in the message; tests/test_errors.py has the words."""
    program, kind, _ = MISTAKES[name]
    with pytest.raises(kind) as caught:
        program()
    assert re.search(
        r"\d|argument|list|axis|tree|carry|branch|immutable|str|type", str(caught.value)
    )


@FORMS
def test_F_A(form):
    f = lambda x, w: (x * w).sum()
    x, w = f32([2]), f32([3])
    assert float(form(f)(x, w)) == 6
    gx, gw = form(fx.grad(f, (0, 1)))(x, w)
    assert gx.tolist() == [3] and gw.tolist() == [2]
    push = lambda x, w: fx.jvp(f, (x, w), (fnp.ones_like(x), fnp.ones_like(w)))[1]
    assert float(form(push)(x, w)) == 5
    assert count_eqns(fx.make_jaxpr(f)(x, w)) == 2
