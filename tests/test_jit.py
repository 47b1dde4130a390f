"""jit: signatures, static and donated arguments, constants, stages, hot path, messages,
disable_jit.
"""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax


def count(f):
    """The function, and a list that grows with each trace."""
    calls = []

    def traced(*args, **kwargs):
        calls.append(1)
        return f(*args, **kwargs)

    return traced, calls


def test_one_trace_per_signature():
    f, calls = count(lambda x: x * 2)
    g = fx.jit(f)
    for x in (fnp.ones(3), fnp.zeros(3), np.ones(3, "float32"), np.ones(3)):  # float64 narrows
        g(x)
    assert len(calls) == 1
    g(fnp.ones(4))
    g(fnp.ones(3, "int32"))
    assert len(calls) == 3
    g(1.0)
    g(2.0)
    assert len(calls) == 4
    g(fnp.float32(1.0))  # not weak: another signature
    assert len(calls) == 5
    with fx.enable_x64(True):
        g(fnp.ones(3))
    assert len(calls) == 6
    g.clear_cache()
    g(fnp.ones(3))
    assert len(calls) == 7


def test_trees_in_and_out():
    g = fx.jit(lambda p, *, scale: {"y": p["a"] * scale, "n": None, "t": (p["b"][0],)})
    out = g({"a": fnp.arange(3.0), "b": [fnp.ones(2)]}, scale=2.0)
    np.testing.assert_array_equal(out["y"], [0.0, 2.0, 4.0])
    assert out["n"] is None and out["t"][0].shape == (2,)


def test_weak_types_survive():
    assert fx.jit(lambda x: x * 2)(1.0).weak_type
    assert not fx.jit(lambda x: x * 2)(fnp.float32(1)).weak_type
    assert fx.jit(lambda x: x * 2)(fnp.float16(1)).dtype == np.float16


def test_outputs_that_are_inputs_constants_or_equal():
    table = fnp.arange(3.0)
    x = fnp.ones(3)
    a, b, c, d, e = fx.jit(lambda x: (x, x, table, 2.5, x + 1))(x)
    assert a.unsafe_buffer_pointer() == b.unsafe_buffer_pointer() == x.unsafe_buffer_pointer()
    np.testing.assert_array_equal(c, table)
    assert float(d) == 2.5 and float(e[0]) == 2.0
    assert fx.jit(lambda: 1)() == 1
    assert fx.jit(lambda x: None)(1.0) is None


def test_unread_arguments_need_no_transfer():
    f = fx.jit(lambda x, y: x + 1)
    y = fnp.ones(3)
    y.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        y + 1
    np.testing.assert_array_equal(f(fnp.zeros(2), y), [1.0, 1.0])


def test_static_arguments():
    f, calls = count(lambda x, n, mode="a": x * n if mode == "a" else x)

    def f_named(x, n, mode="a"):
        return f(x, n, mode)

    g = fx.jit(f_named, static_argnums=1, static_argnames="mode")
    assert float(g(2.0, 3)) == 6.0 == float(g(2.0, 3))
    assert float(g(2.0, 4, mode="b")) == 2.0 and len(calls) == 2
    h = fx.jit(f_named, static_argnames=("n", "mode"))
    assert float(h(2.0, 3)) == 6.0 == float(h(2.0, n=3))  # by position too
    with pytest.raises(ValueError, match=r"Non-hashable static arguments.*list.*give a tuple"):
        g(2.0, [3])
    with pytest.raises(ValueError, match=r"static_argnums=\(5,\) but accepts only 3"):
        fx.jit(f_named, static_argnums=5)
    with pytest.raises(ValueError, match="'z'"):
        fx.jit(f_named, static_argnames="z")


def test_equal_static_values_of_different_types_differ():
    f, calls = count(lambda x, n: x * n)
    g = fx.jit(f, static_argnums=1)
    g(2.0, 1)
    g(2.0, True)
    g(2.0, 1.0)
    assert len(calls) == 3


def test_decorator_forms_and_methods():
    @fx.jit
    def f(x):
        """Doc."""
        return x + 1

    @partial(fx.jit, static_argnums=0)
    def g(n, x):
        return x * n

    @fx.jit(static_argnames="n")
    def h(x, n):
        return x * n

    assert float(f(1.0)) == 2.0 and f.__doc__ == "Doc." and f.__name__ == "f"
    assert float(g(3, 2.0)) == float(h(2.0, n=3)) == 6.0

    class Model:
        @partial(fx.jit, static_argnums=0)
        def double(self, x):
            return 2 * x

    assert float(Model().double(2.0)) == 4.0
    with pytest.raises(TypeError, match="callable"):
        fx.jit(3)


def test_constants_are_arguments_not_literals():
    table = fnp.arange(1000.0)
    f = fx.jit(lambda x: (x * table).sum())
    assert float(f(2.0)) == 999000.0
    traced = f.trace(2.0)
    assert len(traced.jaxpr.in_avals) == 2 and traced.jaxpr.consts == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "use",
    [
        lambda x, c: x * c,
        lambda x, c: fx.lax.mul(x, fnp.float32(2) * c),
        lambda x, c: fnp.dot(x, c),
        lambda x, c: fnp.take(c, x.astype("int32")),
        lambda x, c: fx.grad(lambda x: (x * c).sum())(x),
        lambda x, c: fx.vmap(lambda x: x + c)(x),
    ],
)
def test_captured_numpy_arrays_are_as_they_were_when_traced(use, dtype):
    c = np.ones(4, dtype)
    f = fx.jit(lambda x: use(x, c))
    first = np.array(f(fnp.ones(4)))
    c[:] = 7
    np.testing.assert_array_equal(f(fnp.ones(4)), first)


def test_results_do_not_follow_the_arguments_memory():
    for n in (4, 400_000):
        x = np.ones(n, np.float32)
        outs = fx.jit(lambda x: (x, x.reshape(2, -1), x[1:3], x[::-1]), donate_argnums=0)(x)
        x[:] = 7
        for out in outs:
            assert np.all(np.asarray(out) == 1)


def test_closed_over_tracers_are_operands():
    def f(x):
        return fx.jit(lambda y: y * x)(fnp.sin(x))

    expected = np.sin(0.7) + 0.7 * np.cos(0.7)
    for g in (fx.grad(f), fx.jit(fx.grad(f)), fx.grad(fx.jit(f))):
        np.testing.assert_allclose(g(0.7), expected, rtol=1e-6)
    np.testing.assert_allclose(
        fx.vmap(f)(fnp.arange(3.0)), np.arange(3) * np.sin(np.arange(3)), rtol=1e-6
    )


def test_donation_deletes():
    step = fx.jit(lambda p, g: p - g, donate_argnums=0)
    p = fnp.ones(1000)
    q = step(p, fnp.ones(1000))
    assert p.is_deleted() and not q.is_deleted()
    np.testing.assert_array_equal(q, np.zeros(1000))
    with pytest.raises(RuntimeError, match="donated"):
        step(p, q)
    by_name = fx.jit(lambda x, *, state: state + x, donate_argnames="state")
    s = fnp.ones(3)
    by_name(1.0, state=s)
    assert s.is_deleted()
    with pytest.raises(ValueError, match="overlap"):
        fx.jit(lambda x: x, static_argnums=0, donate_argnums=0)


def test_concretization_names_argument_and_line():
    def f(params, x):
        if params["flag"]:
            return x
        return -x

    with pytest.raises(
        fx.errors.TracerBoolConversionError,
        match=r"(?s)argument params\['flag'\] of f.*test_jit\.py:\d+ \(f\)",
    ):
        fx.jit(f)({"flag": True}, 1.0)
    with pytest.raises(fx.errors.TracerIntegerConversionError, match="argument n of"):
        fx.jit(lambda n: fnp.zeros(range(3)[n]))(1)
    with pytest.raises(fx.errors.ConcretizationTypeError):
        fx.jit(lambda x: float(x))(1.0)
    with pytest.raises(fx.errors.TracerArrayConversionError):
        fx.jit(lambda x: np.asarray(x))(1.0)


def test_arguments_must_be_arrays():
    with pytest.raises(
        TypeError, match=r"argument to <lambda> as an abstract array.*static_argnums"
    ):
        fx.jit(lambda x: x)("text")
    with pytest.raises(TypeError, match="returned a value of type <class 'str'>"):
        fx.jit(lambda x: "text")(1.0)


def test_shape_errors_come_before_any_launch():
    before = fx.counters()
    with pytest.raises(TypeError):
        fx.jit(lambda x, y: x @ y)(fnp.ones((2, 3)), fnp.ones((2, 3)))
    assert (fx.counters() - before).launches == 0


def test_log_compiles_says_what_changed(caplog):
    g = fx.jit(lambda x, y: x + y)
    with fx.log_compiles(True), caplog.at_level(logging.WARNING, "fx"):
        g(fnp.ones(3), 1.0)
        g(fnp.ones(4), 1.0)
    assert "Compiling <lambda> for (x: float32[3], y: float32[])" in caplog.text
    assert "argument x changed from float32[3] to float32[4]" in caplog.text


def test_disable_jit_runs_python():
    f, calls = count(lambda x: x + 1 if x > 0 else x)
    with fx.disable_jit():
        assert float(fx.jit(f)(1.0)) == 2.0
        assert float(fx.jit(f)(2.0)) == 3.0
    assert len(calls) == 2


def test_stages():
    f = fx.jit(lambda p, x: {"y": p["w"] @ x})
    args = {"w": fnp.ones((2, 3))}, fnp.ones(3)
    structs = {"w": fx.ShapeDtypeStruct((2, 3), np.float32)}, fx.ShapeDtypeStruct((3,), np.float32)
    traced = f.trace(*structs)
    assert "dot_general" in str(traced.jaxpr)
    lowered = traced.lower()
    assert lowered.out_info == {"y": fx.ShapeDtypeStruct((2,), np.float32)}
    compiled = lowered.compile()
    np.testing.assert_array_equal(compiled(*args)["y"], [3.0, 3.0])
    assert compiled.cost_analysis()["flops"] >= 12
    memory = compiled.memory_analysis()
    assert memory.argument_size_in_bytes == 36 and memory.output_size_in_bytes == 8
    assert compiled.as_text()
    with pytest.raises(TypeError, match=r"argument x is float32\[4\], compiled for float32\[3\]"):
        compiled(args[0], fnp.ones(4))
    with pytest.raises(TypeError, match="input pytree"):
        compiled(args[0])
    assert f.eval_shape(*structs)["y"].shape == (2,)


@pytest.mark.driver
def test_compiled_text_is_opencl():
    text = fx.jit(lambda x: fnp.exp(x) + 1).lower(fnp.ones(100)).as_text()
    assert "kernel" in text


def test_inline_writes_the_body():
    inner = fx.jit(lambda x: fnp.sin(x), inline=True)
    assert "jit" not in str(fx.make_jaxpr(lambda x: inner(x))(1.0))


def test_clear_caches():
    f, calls = count(lambda x: x)
    g = fx.jit(f)
    g(1.0)
    fx.clear_caches()
    g(1.0)
    assert len(calls) == 2


def test_jit_of_everything_is_pure(rng):
    x = fnp.asarray(rng.standard_normal(50), dtype="float32")
    f = fx.jit(fx.value_and_grad(lambda x: (fnp.tanh(x) ** 2).mean()))
    first = f(x)
    for _ in range(3):
        again = f(x)
        assert all(np.array_equal(a, b) for a, b in zip(first, again))


def test_named_scopes_reach_the_equations():
    def f(x):
        with fx.named_scope("outer"), fx.named_scope("inner"):
            return fnp.sin(x)

    assert fx.make_jaxpr(f)(1.0).eqns[0].source.scope == "outer/inner"
    assert fx.make_jaxpr(fx.named_call(fnp.cos, name="c"))(1.0).eqns[0].source.scope == "c"


def test_hot_calls_do_not_leave_the_fast_path(monkeypatch):
    f = fx.jit(lambda x, y: x + y)
    x = fnp.ones(3)
    f(x, x)
    monkeypatch.setattr(type(f), "_call", lambda *a: pytest.fail("slow path"))
    f(x, x)
    g = fx.jit(lambda t: t["a"])
    monkeypatch.undo()
    g({"a": x, "b": 1.0})
    monkeypatch.setattr(type(f), "_call", lambda *a: pytest.fail("slow path"))
    g({"a": x, "b": 2.0})


def test_integer_gradients_pass_through_jit():
    g = fx.jit(fx.grad(lambda x, n: x * n, argnums=(0, 1), allow_int=True))
    dx, dn = g(2.0, 3)
    assert float(dx) == 3.0 and dn.dtype == fx.float0
    assert fx.jit(lambda z: z)(dn).dtype == fx.float0
    out = fx.jit(lambda x, z: fx.vjp(lambda n: n * 2, 3)[1](z)[0])(1.0, np.zeros((), fx.float0))
    assert out.dtype == fx.float0


def test_tangents_without_storage_are_stacked():
    """The gradients of integers are zeros of dtype float0, which no kernel computes."""
    gradients = fx.grad(lambda x, n: x * n, argnums=(0, 1), allow_int=True)
    xs = fnp.arange(4.0)

    def steps(xs):
        return lax.scan(lambda c, x: (c + x, gradients(x, 3)), 0.0, xs)

    def mapped(xs):
        return lax.map(lambda x: gradients(x, 3), xs)

    for f in (steps, fx.jit(steps)):
        total, (dx, dn) = f(xs)
        assert float(total) == 6.0 and dx.tolist() == [3.0] * 4
        assert dn.dtype == fx.float0 and dn.shape == (4,)
    for f in (mapped, fx.jit(mapped), fx.vmap(lambda x: gradients(x, 3))):
        dx, dn = f(xs)
        assert dx.tolist() == [3.0] * 4 and dn.dtype == fx.float0 and dn.shape == (4,)


def test_callable_objects():
    """A ufunc has attributes of its own, which must not become the jitted function's."""
    np.testing.assert_array_equal(fx.jit(fnp.add)(fnp.ones(2), 1.0), [2.0, 2.0])
    assert float(fx.grad(fx.jit(fnp.multiply))(2.0, 3.0)) == 3.0
    assert float(fx.grad(fx.checkpoint(fnp.multiply))(2.0, 3.0)) == 3.0


def test_clear_caches_reaches_what_functions_keep():
    runs = []

    def f(x):
        runs.append(1)
        return x + 1

    fx.jit(f)(np.float32(1))  # the jitted form is gone, the function keeps its trace
    fx.jit(f)(np.float32(1))
    assert len(runs) == 1
    fx.clear_caches()
    fx.jit(f)(np.float32(1))
    assert len(runs) == 2
