"""PoCL's short way to a program: the same bits, names that cannot collide, what is kept."""

from __future__ import annotations

import numpy as np
import pytest
from plans import run

from lowering.graph import Builder
from lowering.plan import Program
from lowering.pocl import lean
from lowering.runtime import cache, devices, programs
from lowering.runtime.counters import counters

pytestmark = pytest.mark.driver


@pytest.fixture
def device():
    """PoCL of the version that has a short way, without programs."""
    found = [d for d in devices.devices() if lean.suits(d, SIMPLE)]
    if not found:
        pytest.skip("needs the PoCL that has the short way")
    found[0].programs.clear()
    yield found[0]
    found[0].programs.clear()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))


SIMPLE = "__kernel void fx(const int stage, __global float *x) { x[get_group_id(0)] += 1.0f; }"


def plan_of(make, *arrays):
    """The plan of a function of graph nodes."""
    from lowering.compile import make_plan

    profile = devices.default_device().profile
    b = Builder()
    return make_plan(b.graph(make(b, *(b.input(a.shape, a.dtype) for a in arrays))), profile)


def conversions(b, x):
    """Every width and kind of conversion that kernels write, and an elementary function."""
    names = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float16", "bool")
    wide = [b.convert(x, np.dtype(n)) for n in names]
    return [*wide, b.map("sin", x), b.map("sqrt", b.map("abs", x)), b.reduce("add", x, (0,))]


@pytest.mark.parametrize("size", [1, 7, 16, 37, 1000])
def test_the_same_bits(device, monkeypatch, size):
    rng = np.random.default_rng(size)
    x = (rng.standard_normal(size) * 50).astype(np.float32)
    plan = plan_of(conversions, x)
    short = run(plan, device, [x])
    assert all(built.result().suffix for built in device.programs.values())
    device.programs.clear()
    monkeypatch.setattr(lean, "suits", lambda *_: False)
    long = run(plan, device, [x])
    assert not any(built.result().suffix for built in device.programs.values())
    for a, b in zip(short, long, strict=True):
        assert a.tobytes() == b.tobytes()


def test_large_arguments_of_sin_in_float64(device, monkeypatch):
    x = np.array([1e300, -1e22, 12345678.9, 0.5] * 5)
    plan = plan_of(lambda b, x: [b.map("sin", x)], x)
    assert "mul_hi" in plan.programs[0].source
    (short,) = run(plan, device, [x])
    np.testing.assert_allclose(short, np.sin(x), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_remainders_go_the_short_way(device, dtype):
    """fmod is in PoCL's library, and half a second is its reading."""
    x, y = np.array([5.5, -5.5, 6e4, 3, 0], dtype), np.array([2, 3, 2**-14, 0, 7], dtype)
    plan = plan_of(lambda b, *xy: [b.map("rem", *xy)], x, y)
    assert lean.suits(device, plan.programs[0].source)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(plan, device, [x, y])[0], np.fmod(x, y))


def test_what_it_cannot_do_goes_the_long_way(device):
    assert not lean.suits(device, SIMPLE.replace("fx(", "other("))
    assert not lean.suits(device, SIMPLE.replace("1.0f", "fmod(1.0f, 2.0f)"))
    assert not lean.suits(device, SIMPLE.replace("get_group_id", "get_local_id"))
    unknown = Program(SIMPLE.replace("1.0f", "erf(1.0f)"), "-w")
    assert lean.bitcode(device, unknown.source, "-w", "k") is None
    assert not programs.build(device, unknown).suffix


def test_equal_names_do_not_meet(device):
    """PoCL keeps code under the kernel's name: two programs called `fx` must not share it."""
    x = np.arange(4, dtype=np.float32)
    plus = plan_of(lambda b, x: [b.map("add", x, x)], x)
    times = plan_of(lambda b, x: [b.map("mul", x, x)], x)
    np.testing.assert_array_equal(run(plus, device, [x])[0], x + x)
    np.testing.assert_array_equal(run(times, device, [x])[0], x * x)


def test_bitcode_is_kept(device, monkeypatch):
    before = counters()
    first = programs.build(device, Program(SIMPLE, "-w"))
    assert (counters() - before).compiles == 1
    device.programs.clear()
    second = programs.build(device, Program(SIMPLE, "-w"))
    assert (counters() - before).compiles == 1
    assert first.suffix == second.suffix
    device.programs.clear()
    monkeypatch.setenv("FX_CACHE_DIR", "off")
    programs.build(device, Program(SIMPLE, "-w"))
    assert (counters() - before).compiles == 2


def test_damaged_bitcode_is_a_miss(device):
    programs.build(device, Program(SIMPLE, "-w"))
    (entry,) = [p for p in cache.directory().rglob("*") if p.is_file() and "bitcode" in str(p)]
    entry.write_bytes(entry.read_bytes()[:-7])
    device.programs.clear()
    before = counters()
    cache.clear()
    with pytest.warns(cache.CacheWarning):
        programs.build(device, Program(SIMPLE, "-w"))
    assert (counters() - before).compiles == 1


def test_pyopencl_writes_no_function_for_a_kernel_of_ours(device, monkeypatch):
    import pyopencl as cl
    from pyopencl import invoker

    written = []
    write = invoker._generate_enqueue_and_set_args_module

    def noted(name, *rest):
        written.append(name)
        return write(name, *rest)

    monkeypatch.setattr(invoker, "_generate_enqueue_and_set_args_module", noted)
    monkeypatch.setattr(cl, "_PYOPENCL_NO_CACHE", True)
    x = np.arange(8, dtype=np.float32)
    (y,) = run(plan_of(lambda b, x: [b.map("neg", x)], x), device, [x])
    assert (y == -x).all() and not written
    text = "__kernel void fx_theirs(__global float *x) { x[get_global_id(0)] += 1; }"
    theirs = cl.Kernel(cl.Program(device.context, text).build(), "fx_theirs")
    held = cl.Buffer(device.context, cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
    queue = cl.CommandQueue(device.context)
    theirs(queue, x.shape, None, held)
    got = np.empty_like(x)
    cl.enqueue_copy(queue, got, held)
    assert (got == x + 1).all() and written == ["fx_theirs"]
