"""The run-time: hand-written plans on the default driver, both ways to see memory, failures.

Every plan runs with shared memory and with explicit buffers, as on a GPU.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from lowering.errors import DeviceError, KernelBuildError, OutOfDeviceMemory
from lowering.plan import (
    ALIGN,
    ArrayRef,
    Buffer,
    BufferRef,
    CondStep,
    CopyStep,
    HostStep,
    IntArg,
    IterArg,
    Launch,
    LocalArg,
    LoopStep,
    Plan,
    Program,
)
from lowering.runtime import devices, programs
from lowering.runtime.counters import counters, reset
from lowering.runtime.execute import Executable

pytestmark = pytest.mark.driver

SOURCE = """
kernel void add(global const float *x, global const float *y, global float *out) {
  int i = get_global_id(0); out[i] = x[i] + y[i]; }
kernel void axpy(global const float *x, float a, int n, global float *out) {
  for (int i = 0; i < n; i++) out[i] = a * x[i] + 1; }
kernel void later(global const float *x, global float *out, int t) {
  int i = get_global_id(0); out[i] = x[i] + t; }
kernel void rolls(global const float *x, global float *out) {
  int i = get_global_id(0), n = get_global_size(0); out[i] = x[(i + 1) % n] * 2; }
kernel void below(global const float *x, float limit, global uchar *flag) { *flag = *x < limit; }
kernel void grow(global const float *x, global float *out) { *out = *x * 2; }
kernel void bump(global float *x) { x[get_global_id(0)] += 1; }
kernel void total(global const float *x, local float *part, global float *out) {
  int i = get_local_id(0); part[i] = x[i]; barrier(CLK_LOCAL_MEM_FENCE);
  if (i == 0) { float s = 0; for (int k = 0; k < get_local_size(0); k++) s += part[k]; *out = s; } }
"""
PROGRAMS = (Program(SOURCE),)
F4 = np.dtype(np.float32)
X = np.arange(16, dtype=np.float32)


def device_of(kind):
    try:
        device = devices.default_device()
    except DeviceError:
        pytest.skip("needs an OpenCL driver")
    return device.as_explicit() if kind == "explicit" and device.shared else device


@pytest.fixture(params=["shared", "explicit"])
def device(request):
    """The default device, as it is and with memory that the host cannot see."""
    return device_of(request.param)


@pytest.fixture
def shared():
    """The default device."""
    return device_of("shared")


def f32(key, kind, n=16, **more):
    return Buffer(key, kind, 4 * n, (n,), F4, **more)


def launch(kernel, *args, n=16, local=None):
    refs = tuple(BufferRef(a) if isinstance(a, int) else a for a in args)
    return Launch(0, kernel, (n,), refs, local)


def plan(buffers, steps, inputs, outputs, arena=0):
    return Plan(inputs, outputs, tuple(buffers), arena, PROGRAMS, tuple(steps)).check()


def run(plan, device, *arrays, donated=()):
    """The plan's outputs as NumPy arrays."""
    stores = [device.put(np.array(a)) for a in arrays]
    outs, event = Executable(plan, device)(stores, donated)
    return results(plan, device, outs, event)


def results(plan, device, outs, event):
    if event is not None:
        device.wait(event)
    buffers = [plan.buffers[k] for k in plan.outputs]
    return [np.array(device.fetch(s, b.shape, b.dtype)) for s, b in zip(outs, buffers, strict=True)]


ADD = plan([f32(0, "input"), f32(1, "input"), f32(2, "output")], [launch("add", 0, 1, 2)],
           (0, 1), (2,))  # fmt: skip


def double(x):
    return x * 2


def half_into(x, out):
    np.multiply(x, 0.5, out=out)


# ---------------------------------------------------------------- straight plans


def test_one_launch(device):
    before = counters()
    (out,) = run(ADD, device, X, X)
    np.testing.assert_array_equal(out, X + X)
    assert (counters() - before).launches == 1


def test_arena_constants_scalars_and_passed_through_inputs(device):
    p = plan(
        [
            f32(0, "input"), f32(1, "output"), f32(2, "temp", offset=0),
            f32(3, "temp", offset=ALIGN), f32(4, "const", data=(X + 5).tobytes()),
            f32(5, "temp"),
        ],
        [
            launch("add", 0, 4, 2),
            launch("axpy", 2, IntArg(3.0, "float"), IntArg(16), 3, n=1),
            launch("add", 3, 0, 5),
            launch("add", 5, 2, 1),
        ],
        (0,), (1, 0, 1), arena=2 * ALIGN,
    )  # fmt: skip
    first, second, third = run(p, device, X)
    t = X + X + 5
    np.testing.assert_array_equal(first, 3 * t + 1 + X + t)
    np.testing.assert_array_equal(second, X)
    np.testing.assert_array_equal(third, first)


def test_local_memory_and_local_size(device):
    p = plan([f32(0, "input"), f32(1, "output", 1)],
             [launch("total", 0, LocalArg(64), 1, local=(16,))], (0,), (1,))  # fmt: skip
    assert run(p, device, X)[0] == X.sum()


def test_nothing_to_do_and_nothing_inside(device):
    p = plan([f32(0, "input", 0), f32(1, "output", 0)], [launch("bump", 0, n=0)], (0,), (0, 1))
    for out in run(p, device, X[:0]):
        assert out.shape == (0,)


def test_a_call_that_enqueues_nothing_leaves_what_is_pending(shared):
    p = plan([f32(0, "input", 0), f32(1, "output", 0)], [launch("bump", 0, n=0)], (0,), (0, 1))
    pending = shared.tail = [shared.queue]  # any object stands for the event of an earlier call
    try:
        Executable(p, shared)([shared.put(X[:0])])
        assert shared.tail is pending
    finally:
        shared.tail = [None]


def test_the_tail_is_never_the_older_of_two_threads_calls(shared):
    p = plan([f32(0, "input", 0), f32(1, "output", 0)], [launch("bump", 0)], (0,), (1,))
    before = shared.tail
    _, older = Executable(p, shared)([shared.put(X.copy())])  # which is written to
    mine = shared.tail
    assert mine is not before
    shared.follow(mine, older)  # nobody came between
    assert shared.tail[0] is older
    shared.follow(before, older)  # somebody did: its launch may be the newer one
    assert shared.tail[0] is not older
    shared.wait(shared.tail[0])
    assert shared.idle()


def test_another_threads_reaping_frees_nothing_that_runs(shared):
    """Between a look at the oldest call and its removal another thread may remove it."""

    class Event:
        def __init__(self, status, then=lambda: None):
            self.status, self.then = status, then

        @property
        def command_execution_status(self):
            self.then()
            return self.status

    running = (Event(1), "arrays of a call under way")
    shared.finish()
    kept, shared.pending = shared.pending, deque()
    try:
        shared.pending += [(Event(0, shared.pending.popleft), "arrays"), running]
        shared.reap()
        assert list(shared.pending) == [running]
    finally:
        shared.pending = kept


@pytest.mark.parametrize("kind", ["contiguous", "readonly", "strided", "fortran"])
def test_numpy_arrays_of_any_origin(device, kind):
    x = {"contiguous": X, "readonly": X.view(), "strided": np.arange(32, dtype=F4)[::2],
         "fortran": np.asfortranarray(X.reshape(4, 4))}[kind]  # fmt: skip
    if kind == "readonly":
        x.flags.writeable = False
    exe = Executable(ADD, device)
    outs, event = exe([device.put(x), device.put(X)])
    expected = np.ravel(x) + X
    np.testing.assert_array_equal(results(ADD, device, outs, event)[0], expected)


def test_arguments_outlive_their_names(shared):
    """A call holds host memory until its kernels have run, even if the caller lets go."""
    exe = Executable(ADD, shared)
    for k in range(300):
        a, b = np.full(16, k, F4), np.full(16, 1, F4)
        outs, event = exe([shared.put(a), shared.put(b)])
        del a, b
    np.testing.assert_array_equal(results(ADD, shared, outs, event)[0], np.full(16, 300, F4))
    shared.finish()
    assert not shared.pending


# ---------------------------------------------------------------- aliases


def bumps(donate):
    return plan([f32(0, "input"), f32(1, "output", alias=0)], [launch("bump", 1)], (0,), (1,))


@pytest.mark.parametrize("donated", [False, True])
def test_an_alias_starts_with_the_input(device, donated):
    x = device.put(X.copy())
    outs, event = Executable(bumps(donated), device)([x], {0} if donated else ())
    np.testing.assert_array_equal(results(bumps(donated), device, outs, event)[0], X + 1)
    assert (outs[0] is x) == donated
    if not donated:
        np.testing.assert_array_equal(device.fetch(x, (16,), F4), X)


# ---------------------------------------------------------------- host steps, copies, conditions


@pytest.mark.parametrize("style", ["copied", "fresh", "inplace"])
def test_host_step_between_kernels(device, style):
    ref = [ArrayRef(k, (16,), F4) for k in range(4)]
    fn = half_into if style == "inplace" else double
    host = HostStep("h", fn, (ref[2],), (ref[3],), fresh=style == "fresh",
                    inplace=style == "inplace")  # fmt: skip
    p = plan(
        [f32(0, "input"), f32(1, "output"), f32(2, "temp", offset=0), f32(3, "temp")],
        [launch("add", 0, 0, 2), host, launch("add", 3, 0, 1)], (0,), (1,), arena=ALIGN,
    )  # fmt: skip
    assert pickle.loads(pickle.dumps(p)) == p
    assert p.portable
    before = counters()
    out = run(p, device, X)[0]
    np.testing.assert_array_equal(out, X + (X if style == "inplace" else 4 * X))
    assert (counters() - before).host_steps == 1


def test_a_failing_host_step_leaves_the_executable_usable(device):
    broken = []

    def fn(x):
        if broken:
            raise RuntimeError("boom")
        return x + 1

    ref = [ArrayRef(k, (16,), F4) for k in range(2)]
    p = plan([f32(0, "input"), f32(1, "output")], [HostStep("f", fn, ref[:1], ref[1:])], (0,), (1,))
    assert not p.portable
    exe = Executable(p, device)
    broken.append(1)
    with pytest.raises(RuntimeError, match="boom"):
        exe([device.put(X)])
    broken.clear()
    np.testing.assert_array_equal(results(p, device, *exe([device.put(X)]))[0], X + 1)


def test_host_step_may_call_the_executable_it_is_in(device):
    """Callbacks may run jitted functions, the same one too."""
    depth = []

    def fn(x):
        if len(depth) < 3:
            depth.append(0)
            return results(p, device, *exe([device.put(np.array(x))]))[0] + 1
        return x

    ref = [ArrayRef(k, (16,), F4) for k in range(3)]
    p = plan([f32(0, "input"), f32(1, "temp", offset=0), f32(2, "output")],
             [launch("add", 0, 0, 1), HostStep("f", fn, (ref[1],), (ref[2],))],
             (0,), (2,), arena=ALIGN)  # fmt: skip
    exe = Executable(p, device)
    np.testing.assert_array_equal(results(p, device, *exe([device.put(X)]))[0], 16 * X + 3)


def test_copy_step(device):
    p = plan(
        [f32(0, "input"), f32(1, "output")],
        [CopyStep(BufferRef(0), BufferRef(1, 32), 32),
         CopyStep(BufferRef(0, 32), BufferRef(1), 32)],
        (0,), (1,),
    )  # fmt: skip
    np.testing.assert_array_equal(run(p, device, X)[0], np.roll(X, 8))


@pytest.mark.parametrize("index, expected", [(-3, 2), (0, 2), (1, 4), (9, 4)])
def test_condition_reads_and_clamps_its_index(device, index, expected):
    branches = (
        (launch("add", 1, 1, 2),),
        (launch("add", 1, 1, 2), launch("rolls", 2, 3)),
    )
    p = plan(
        [Buffer(0, "input", 4, (), np.dtype(np.int32)), f32(1, "input"), f32(2, "output"),
         f32(3, "output")],
        [launch("add", 1, 1, 3), CondStep(BufferRef(0), branches)], (0, 1), (2, 3),
    )  # fmt: skip
    _, out = run(p, device, np.int32(index), np.ones(16, F4))
    assert out[0] == expected


# ---------------------------------------------------------------- loops


@pytest.mark.parametrize("count", [0, 1, 2, 7, 1500])
def test_ping_pong(device, count):
    """Each iteration reads one buffer and writes the other; the id means the newest."""
    body = (launch("rolls", 1, 2),)
    p = plan(
        [f32(0, "input"), f32(1, "output", alias=0), f32(2, "temp")],
        [LoopStep(body, count, swaps=((1, 2),))], (0,), (1,),
    )  # fmt: skip
    expected = np.roll(X, -count) * np.float32(2.0) ** min(count, 100)
    out = run(p, device, X)[0]
    if count < 100:
        np.testing.assert_array_equal(out, expected)
    else:
        assert np.isinf(out).sum() == 15
    before = counters()
    run(p, device, X)
    assert (counters() - before).launches == count


@pytest.mark.parametrize("steps", ["loop", "straight"])
def test_what_an_interrupt_left_in_the_queue_is_known(shared, monkeypatch, steps):
    """Memory that goes back to the pool is not taken by who sees an idle queue that is not idle."""
    body = (launch("bump", 1), launch("bump", 2))
    p = plan(
        [f32(0, "input"), f32(1, "output"), f32(2, "output")],
        [LoopStep(body, 3)] if steps == "loop" else body, (0,), (1, 2),
    )  # fmt: skip
    exe = Executable(p, shared)
    left = []

    def interrupted(*args):
        left.append(enqueue(*args))
        raise KeyboardInterrupt

    cl = pytest.importorskip("pyopencl")
    enqueue = cl.enqueue_nd_range_kernel
    monkeypatch.setattr(cl, "enqueue_nd_range_kernel", interrupted)
    exe._enqueue = interrupted
    shared.finish()
    assert shared.idle()
    with pytest.raises(KeyboardInterrupt):
        exe([shared.put(X)])
    newest = shared.tail[0]
    if newest is not None:
        shared.wait(newest)
    assert (newest is not None or steps == "straight") and left[0].command_execution_status <= 0


@pytest.mark.parametrize("reverse", [False, True])
def test_iteration_numbers_and_stacked_outputs(device, reverse):
    """Kernels get the iteration as an argument; copies and host steps move along the stack."""
    body = (
        launch("later", 0, 2, IterArg()),
        CopyStep(BufferRef(2), BufferRef(1, 0, 64), 64),
        HostStep("d", double, (ArrayRef(2, (16,), F4),), (ArrayRef(3, (16,), F4, 0, 64),)),
    )
    p = plan(
        [f32(0, "input"), Buffer(1, "output", 320, (5, 16), F4), f32(2, "temp", offset=0),
         Buffer(3, "output", 320, (5, 16), F4)],
        [LoopStep(body, 5, reverse=reverse)], (0,), (1, 3), arena=ALIGN,
    )  # fmt: skip
    stacked, doubled = run(p, device, X)
    np.testing.assert_array_equal(stacked, X + np.arange(5, dtype=F4)[:, None])
    np.testing.assert_array_equal(doubled, 2 * stacked)


def test_moving_launch_argument(shared):
    """A launch may walk through a stack by address where memory is shared."""
    p = plan(
        [f32(0, "input"), Buffer(1, "output", 192, (3, 16), F4)],
        [LoopStep((launch("later", 0, BufferRef(1, 0, 64), IterArg()),), 3)], (0,), (1,),
    )  # fmt: skip
    np.testing.assert_array_equal(run(p, shared, X)[0], X + np.arange(3, dtype=F4)[:, None])


@pytest.mark.parametrize("outer, inner", [(3, 5), (2, 4), (3, 0)])
def test_nested_loops_keep_what_inner_swaps_left(device, outer, inner):
    body = (
        LoopStep((launch("later", 1, 2, IterArg(1)),), inner, swaps=((1, 2),)),
        LoopStep((launch("later", 1, 2, IterArg(0)),), inner, swaps=((1, 2),), reverse=True),
    )
    p = plan(
        [f32(0, "input"), f32(1, "output", alias=0), f32(2, "temp")],
        [LoopStep(body, outer)], (0,), (1,),
    )  # fmt: skip
    expected = X + sum(i + j for i in range(outer) for j in range(inner))
    np.testing.assert_array_equal(run(p, device, X)[0], expected)


@pytest.mark.parametrize("every", [1, 3])
def test_while_reads_its_flag(device, every):
    """Doubles from 1 until 100 is reached; with check_every the later iterations do nothing."""
    last = () if every == 1 else (0,)
    body = [launch("grow", 1, 2, n=1)]
    if every > 1:  # in place, and a no-op once the limit is reached
        body = [HostStep("g", lambda x: np.where(x < 100, 2 * x, x),
                         (ArrayRef(1, (1,), F4),), (ArrayRef(1, (1,), F4),))]  # fmt: skip
    p = plan(
        [f32(0, "input", 1), f32(1, "output", 1, alias=0), f32(2, "temp", 1),
         Buffer(3, "temp", 1, offset=0)],
        [LoopStep(tuple(body), None, () if last else ((1, 2),), flag=BufferRef(3),
                  cond=(launch("below", 1, IntArg(100.0, "float"), 3, n=1),), check_every=every)],
        (0,), (1,), arena=ALIGN,
    )  # fmt: skip
    assert run(p, device, np.ones(1, F4))[0] == 128
    assert run(p, device, np.full(1, 500, F4))[0] == 500


# ---------------------------------------------------------------- memory


def test_outputs_come_from_the_pool_and_return_to_it(device):
    exe = Executable(ADD, device)
    args = [device.put(X), device.put(X)]
    outs, event = exe(args)
    device.wait(event)
    before = counters()
    for _ in range(50):
        outs, event = exe(args)
    after = counters() - before
    assert after.alloc_count <= 2
    live = counters().live_bytes
    del outs
    assert counters().live_bytes == live - 64


def test_views_keep_their_memory(shared):
    """A NumPy view of a result stays what it was though the result's name is gone."""
    exe = Executable(ADD, shared)
    args = [shared.put(X), shared.put(X)]
    outs, event = exe(args)
    shared.wait(event)
    view = shared.fetch(outs[0], (16,), F4)[3:5]
    del outs
    other = [shared.put(np.zeros(16, F4))] * 2
    for _ in range(20):
        _kept, event = exe(other)
    shared.wait(event)
    np.testing.assert_array_equal(view, 2 * X[3:5])


def test_views_of_inputs_are_zero_copy(shared):
    x = X.copy()
    assert np.shares_memory(shared.fetch(shared.put(x), (16,), F4), x)


def test_out_of_memory_says_what_was_asked_and_what_is_live(shared):
    with pytest.raises(OutOfDeviceMemory, match=r"were asked for; .* are live"):
        shared.pool.take(shared.profile.memory_bytes * 2)
    held = shared.pool.take(64)
    assert held.host.nbytes >= 64


def test_what_an_interrupt_lost_is_not_counted_for_ever(shared):
    shared.pool.allocated += shared.profile.memory_bytes
    assert shared.pool.take(12345).host.nbytes >= 12345
    assert shared.pool.allocated < shared.profile.memory_bytes


def test_peak_and_reset(shared):
    reset()
    a = shared.pool.take(1 << 20)
    assert counters().peak_bytes >= 1 << 20
    del a
    reset()
    assert counters().peak_bytes == counters().live_bytes


# ---------------------------------------------------------------- threads, builds, Ctrl-C


def test_many_threads_call_one_executable(device):
    exe = Executable(ADD, device)
    wrong = []

    def work(k):
        x = device.put(np.full(16, k, F4))
        for _ in range(100):
            out = results(ADD, device, *exe([x, x]))[0]
            if not (out == 2 * k).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_program_is_built_once(shared):
    text = f"kernel void one(global float *x) {{ x[0] = {os.getpid()}; }}"
    p = Plan((0,), (0,), (f32(0, "input"),), 0, (Program(text),),
             (Launch(0, "one", (1,), (BufferRef(0),)),))  # fmt: skip
    before = counters()
    Executable(p, shared)
    Executable(p, shared)
    after = counters() - before
    assert after.compiles + after.cache_hits == 2
    assert after.cache_hits >= 1


def test_an_interrupted_build_is_done_by_who_waits_for_it(shared, monkeypatch):
    started, go, built = threading.Event(), threading.Event(), []
    lean = programs._lean

    def interrupted_once(device, program, loaded):
        if not started.is_set():
            started.set()
            go.wait(10)
            raise KeyboardInterrupt
        return lean(device, program, loaded)

    def build():
        try:
            built.append(programs.build(shared, Program(SOURCE + "// interrupted")))
        except KeyboardInterrupt:
            built.append(None)

    monkeypatch.setattr(programs, "_lean", interrupted_once)
    threads = [threading.Thread(target=build) for _ in range(2)]
    threads[0].start()
    assert started.wait(10)
    threads[1].start()
    threads[1].join(0.1)
    go.set()
    for t in threads:
        t.join(60)
    assert sorted(b is None for b in built) == [False, True]


def test_a_refused_kernel_keeps_its_source(shared, capfd):
    bad = Plan((), (), (), 0, (Program("kernel void f() { nonsense; }"),), ())
    with pytest.raises(KernelBuildError, match="source is kept in") as info:
        Executable(bad, shared)
    path = str(info.value).split("kept in ")[1].split(";")[0]
    assert "nonsense" in Path(path).read_text()
    with pytest.raises(KernelBuildError):  # and is tried again
        Executable(bad, shared)


def test_wrong_number_of_arguments(shared):
    p = Plan((), (), (), 0, PROGRAMS, (Launch(0, "bump", (1,), ()),))
    with pytest.raises(DeviceError, match="takes 1 arguments"):
        Executable(p, shared)


def test_what_waits_does_not_wait_for_other_threads_work(shared, monkeypatch):
    """A call with a host step or a condition waits for its own launches, not for the queue."""
    p = plan(
        [f32(0, "input"), f32(1, "temp"), f32(2, "output")],
        [
            launch("add", 0, 0, 1),
            HostStep("double", double, (ArrayRef(1, (16,), F4),), (ArrayRef(2, (16,), F4),)),
        ],
        (0,), (2,),
    )  # fmt: skip
    monkeypatch.setattr(shared, "finish", lambda: pytest.fail("waited for the queue"))
    np.testing.assert_array_equal(run(p, shared, X)[0], 4 * X)
