"""Core: avals are interned, the promotion lattice, traces and leaks, declared missing rules."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import core
from fx.avals import ShapedArray, lattice_join
from fx.errors import NoRuleError, UnexpectedTracerError


def test_avals_are_one_object():
    a = ShapedArray((2, 3), np.float32)
    assert a is ShapedArray([2, 3], "float32") is pickle.loads(pickle.dumps(a))
    assert a is not ShapedArray((2, 3), np.float32, True)
    assert a.update(weak_type=True).strip_weak_type() is a
    assert ShapedArray((2,), np.int32).to_tangent_aval().dtype == fx.float0


F, H, B = np.dtype("float32"), np.dtype("float16"), fnp.bfloat16


@pytest.mark.parametrize(
    "x, y, expected",
    [
        ((F, False), (H, False), (F, False)),
        ((F, True), (H, False), (H, False)),
        ((np.dtype(B), False), (H, False), (F, False)),
        ((np.dtype("int32"), True), (np.dtype("int8"), False), (np.dtype("int8"), False)),
        ((np.dtype("int32"), False), (F, True), (F, True)),
        ((np.dtype("uint8"), False), (np.dtype("int8"), False), (np.dtype("int16"), False)),
        ((np.dtype("int32"), False), (H, False), (H, False)),
    ],
)
def test_lattice(x, y, expected):
    assert lattice_join([x, y]) == lattice_join([y, x]) == expected


def test_a_new_primitive_takes_a_few_lines():
    """A user's own primitive works under grad, vmap and jit once it has its rules."""
    double_p = core.Primitive("double_for_test")
    double_p.set(
        abstract=lambda x: x,
        numpy=lambda x: 2 * x,
        jvp=lambda primals, tangents: (
            double_p.bind(*primals),
            double_p.bind(core.instantiate(tangents[0])),
        ),
        transpose=lambda ct, x: [double_p.bind(ct)],
        batch=lambda axis, args, dims: (double_p.bind(*args), dims[0]),
        lower=lambda b, x: b.map("add", x, x),
    )
    try:
        double = double_p.bind
        assert float(fx.grad(double)(1.0)) == 2.0
        assert float(fx.jit(fx.grad(lambda x: double(x) * x))(3.0)) == 12.0
        np.testing.assert_array_equal(fx.vmap(double)(fnp.arange(3.0)), [0.0, 2.0, 4.0])
    finally:
        del core.PRIMITIVES["double_for_test"]


def test_a_missing_rule_is_named():
    p = core.Primitive("ruleless", abstract=lambda x: x, jvp=core.no("nobody knows it"))
    try:
        with pytest.raises(NoRuleError, match="'ruleless' has no jvp rule: nobody knows it"):
            fx.grad(lambda x: p.bind(x))(1.0)
    finally:
        del core.PRIMITIVES["ruleless"]


def test_leaked_tracers_say_where_they_were_made():
    leaked = []

    @fx.jit
    def f(x):
        y = fnp.sin(x)
        leaked.append(y)
        return y

    f(1.0)
    with pytest.raises(UnexpectedTracerError, match=r"(?s)leaked out of f that.*test_core\.py:\d+"):
        leaked[0] + 1
    fx.grad(lambda x: leaked.append(x) or x)(1.0)
    with pytest.raises(UnexpectedTracerError):
        leaked[-1] * 2.0
    fx.vmap(lambda x: leaked.append(x) or x)(fnp.ones(2))
    with pytest.raises(UnexpectedTracerError):
        fnp.sin(leaked[-1])


def test_checking_leaks_finds_a_tracer_that_is_only_kept():
    kept = []
    with fx.checking_leaks(), pytest.raises(Exception, match="Leaked"):
        fx.jit(lambda x: kept.append(x) or x)(1.0)
    with fx.checking_leaks():
        fx.jit(lambda x: x + 1)(1.0)
        fx.grad(lambda x: x * x)(1.0)


def test_threads_trace_independently():
    failures = []

    def work(k):
        try:
            for _ in range(20):
                g = fx.vmap(fx.grad(lambda x: fnp.sin(x) * k))(fnp.arange(3.0))
                np.testing.assert_allclose(g, k * np.cos(np.arange(3.0)), rtol=1e-5)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failures == []


def test_one_jitted_function_from_many_threads():
    f = fx.jit(lambda x: fnp.cos(x) * 2)
    results = {}

    def work(k):
        results[k] = [float(f(fnp.float32(k)))] * 2

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k, (value, _) in results.items():
        np.testing.assert_allclose(value, 2 * np.cos(k), rtol=1e-5)


def test_equal_programs_have_equal_text():
    def f(x):
        return fnp.sin(x) * 2

    assert str(fx.make_jaxpr(f)(1.0)) == str(fx.make_jaxpr(f)(1.0))


def test_config_reads_both_spellings_and_refuses_others():
    assert fx.config.enable_x64 is fx.config.jax_enable_x64 is False
    with fx.enable_x64(True):
        assert fx.config.jax_enable_x64 is True
        assert fnp.arange(3.0).dtype == np.float64
    assert fnp.arange(3.0).dtype == np.float32
    with pytest.raises(AttributeError, match="no_such_flag"):
        fx.config.update("jax_no_such_flag", 1)
    with pytest.raises(ValueError, match="one of"):
        fx.config.update("jax_numpy_rank_promotion", "sometimes")


def test_debug_nans_lets_a_nan_stand_that_is_not_chosen():
    x = fnp.arange(3.0)
    guarded = lambda x: fnp.where(x >= 0, x, fnp.nan)
    with fx.debug_nans(True):
        for f in (guarded, fx.vmap(guarded), fx.jit(guarded)):
            np.testing.assert_array_equal(f(x), x)
            with pytest.raises(FloatingPointError, match="nan"):
                f(x - 1)


def test_debug_nans_names_the_operation():
    with fx.debug_nans(True):
        with pytest.raises(FloatingPointError, match=r"nan.*log"):
            fnp.log(fnp.float32(-1.0))
        with pytest.raises(FloatingPointError, match=r"nan.*log"):
            fx.jit(lambda x: fnp.log(x) + 1)(-1.0)
        fx.jit(lambda x: fnp.log(x))(1.0)
    fnp.log(fnp.float32(-1.0))


def test_named_axis_must_be_bound():
    with pytest.raises(NameError, match="unbound axis name: i"):
        fx.lax.psum(fnp.ones(3), "i")
