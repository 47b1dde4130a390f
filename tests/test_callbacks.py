"""Callbacks and prints: eager, compiled, batched, differentiated; and a user's own kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fx
import fx.experimental
import fx.numpy as jnp
from fx import lax
from fx.array import default_device

X = jnp.arange(3.0)


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a call, one an example under vmap, with the primal values under grad."""

    def f(x: Any) -> Any:
        fx.debug.print("x={x} s={s:.1f}", x=x, s=x.sum(), ordered=True)
        return (x * x).sum()

    once = "x=[0. 1. 2.] s=3.0\n"
    f(X)
    assert capsys.readouterr().out == once
    for g in (fx.jit(f), fx.grad(f), fx.jit(fx.grad(f))):
        fx.block_until_ready(g(X))
        fx.effects_barrier()
        assert capsys.readouterr().out == once
    fx.block_until_ready(fx.jit(fx.vmap(f))(jnp.array([[0.0, 1.0], [2.0, 3.0]])))
    fx.effects_barrier()
    assert capsys.readouterr().out == "x=[0. 1.] s=1.0\nx=[2. 3.] s=5.0\n"


def test_print_in_a_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """A loop prints each iteration, in order."""

    def step(c: Any, _: Any) -> Any:
        fx.debug.print("{}", c, ordered=True)
        return c * 2, None

    f = lambda c: lax.scan(step, c, None, length=3)[0]
    for g in (f, fx.jit(f)):
        assert float(g(jnp.float32(1))) == 8
        assert capsys.readouterr().out == "1.0\n2.0\n4.0\n"


@pytest.mark.parametrize("jitted", [False, True])
def test_what_a_callback_raises_is_the_cause_of_a_runtime_error(jitted: bool) -> None:
    """As in JAX a JaxRuntimeError whose text names type and words; nothing wraps it twice."""

    def raises(x: Any) -> Any:
        raise KeyError(f"no {x}")

    def inside(x: Any) -> Any:
        return fx.pure_callback(raises, spec, x)

    spec = fx.ShapeDtypeStruct((), np.float32)
    programs = [
        inside,
        lambda x: fx.experimental.io_callback(raises, spec, x),
        lambda x: fx.debug.callback(raises, x),
        lambda x: fx.pure_callback(fx.jit(inside), spec, x),
    ]
    for f in programs:
        with pytest.raises(fx.errors.JaxRuntimeError, match=r"raised KeyError: 'no 1\.0'$") as seen:
            fx.block_until_ready((fx.jit(f) if jitted else f)(np.float32(1)))
            fx.effects_barrier()
        assert isinstance(seen.value.__cause__, KeyError)
        assert str(seen.value).count("raised") == 1


def test_pure_callback() -> None:
    """Values under jit and every vmap method; the shape is checked; a derivative needs a rule."""
    spec = fx.ShapeDtypeStruct((), np.float32)
    for method in ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all"):
        f = lambda x, m=method: fx.pure_callback(lambda a: np.cos(a), spec, x, vmap_method=m)
        np.testing.assert_allclose(f(1.0), np.cos(1.0), 1e-6)
        np.testing.assert_allclose(fx.vmap(f)(X), np.cos(np.arange(3.0)), 1e-6)
        np.testing.assert_allclose(fx.jit(fx.vmap(f))(X), np.cos(np.arange(3.0)), 1e-6)
    with pytest.raises(NotImplementedError, match="vmap_method"):
        fx.vmap(lambda x: fx.pure_callback(np.cos, spec, x))(X)
    for kind in (NotImplementedError, ValueError):  # JAX's ValueError, and as of other primitives
        with pytest.raises(kind, match="do not support JVP"):
            fx.grad(f)(1.0)
    with pytest.raises(fx.errors.JaxRuntimeError, match="shape"):
        fx.pure_callback(lambda a: np.zeros(2, np.float32), spec, 1.0)
    with pytest.raises(fx.errors.JaxRuntimeError, match="structure"):
        fx.pure_callback(lambda a: (a, a), spec, 1.0)
    with pytest.raises(ValueError, match="64-bit types"):
        fx.pure_callback(np.cos, fx.ShapeDtypeStruct((), np.float64), 1.0)


def test_io_callback() -> None:
    """It runs once each time, in order."""
    seen: list[float] = []

    def note(x: Any) -> Any:
        seen.append(float(x))
        return np.float32(len(seen))

    f = lambda x: fx.io_callback(note, fx.ShapeDtypeStruct((), np.float32), x, ordered=True)
    assert float(f(1.0)) == 1
    assert float(fx.jit(lambda x: f(x) + f(x + 1))(2.0)) == 5
    assert seen == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="ordered IO callback"):
        fx.vmap(f)(X)


def test_bad_formats_and_breakpoints() -> None:
    """Formats are checked while tracing; breakpoint under jit says what to do instead."""
    with pytest.raises(IndexError, match="not given"):
        fx.debug.print("{} {}", 1)
    with pytest.raises(ValueError, match="Unused"):
        fx.debug.print("{}", 1, 2)
    with pytest.raises(RuntimeError, match="disable_jit"):
        fx.jit(lambda x: fx.debug.breakpoint())(1.0)


KERNEL = """
__kernel void twice(__global const float *x, __global float *y, int n) {
  int i = get_global_id(0);
  if (i < n) y[i] = 2 * x[i];
}
"""


@pytest.mark.lowering
def test_opencl_call() -> None:
    """A user's kernel, compiled with the rest, with a rule of its own, over a batch."""
    if default_device().interpreter:
        pytest.skip("the interpreter runs no OpenCL")

    def call(x: Any) -> Any:
        spec = fx.ShapeDtypeStruct(x.shape, x.dtype)
        return fx.opencl_call(KERNEL, "twice", spec, x, global_size=(4,), scalars=(("int", 3),))

    np.testing.assert_array_equal(call(X), [0, 2, 4])
    np.testing.assert_array_equal(fx.jit(lambda x: call(x + 1) * 3)(X), [6, 12, 18])
    np.testing.assert_array_equal(fx.vmap(call)(jnp.stack([X, X + 1])), [[0, 2, 4], [2, 4, 6]])
    twice = fx.custom_jvp(call)
    twice.defjvp(lambda primals, tangents: (twice(*primals), 2 * tangents[0]))
    np.testing.assert_array_equal(fx.grad(lambda x: twice(x).sum())(X), [2, 2, 2])
    with pytest.raises(NotImplementedError, match="custom_jvp"):
        fx.grad(lambda x: call(x).sum())(X)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit])
def test_a_callback_may_return_the_same_memory_each_time(wrap: Any) -> None:
    """Results are what the function returned when it returned."""
    memory = np.zeros(3, np.float32)

    def fill(x: Any) -> np.ndarray:
        memory[:] = np.asarray(x) * 2
        return memory

    f = wrap(lambda x: fx.pure_callback(fill, fx.ShapeDtypeStruct((3,), np.float32), x))
    first, second = f(X), f(X + 1)
    memory[:] = -1
    np.testing.assert_array_equal(first, [0, 2, 4])
    np.testing.assert_array_equal(second, [2, 4, 6])


@pytest.mark.parametrize("jit", [lambda f: f, fx.jit])
@pytest.mark.parametrize("mapped", [False, True])
def test_keys_arrive_as_keys(jit: Any, mapped: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """In kernels a key is an integer; a callback has the key, and may draw from it."""
    keys, scales = fx.random.split(fx.random.key(3), 2), jnp.asarray([2.0, 3.0])

    def draw(key: Any, scale: Any) -> Any:
        assert key.dtype == keys.dtype and key.shape == scale.shape
        many = fx.vmap(fx.random.normal) if mapped else fx.random.normal
        return np.asarray(many(key)) * np.asarray(scale)

    def f(key: Any, scale: Any) -> Any:
        fx.debug.print("{} {:.0f}", key, scale)
        spec = fx.ShapeDtypeStruct((), np.float32)
        return fx.pure_callback(draw, spec, key, scale, vmap_method="expand_dims")

    many, args = (fx.vmap(f), (keys, scales)) if mapped else (f, (keys[0], scales[0]))
    want = [float(fx.random.normal(k) * s) for k, s in zip(keys, scales)]
    np.testing.assert_allclose(jit(many)(*args), want if mapped else want[0], rtol=1e-6)
    fx.effects_barrier()
    said = capsys.readouterr().out
    assert all(str(k) in said for k in (keys if mapped else keys[:1])) and "2\n" in said
