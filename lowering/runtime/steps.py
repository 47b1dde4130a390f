"""Steps of a plan bound to a device: kernels with their constant arguments set, ready to run.

`bind_steps` turns Plan steps into objects whose `run(state)` enqueues them; `State` is one call:
`env[id]` is the memory bound to each buffer now, `iters` the iteration numbers of enclosing loops.
No step waits, except those that hand data to the host: host steps, conditions, while flags.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from lowering import ending
from lowering.errors import DeviceError
from lowering.plan import (
    CTYPES,
    ArrayRef,
    BufferRef,
    CondStep,
    CopyStep,
    HostStep,
    IntArg,
    IterArg,
    Launch,
    LocalArg,
    LoopStep,
    Pairs,
    Plan,
    Step,
    Times,
)
from lowering.runtime.counters import counts
from lowering.runtime.memory import HostStorage, host_bytes, part_of
from lowering.runtime.programs import make_kernel

IN_FLIGHT = 512
"""Launches of a loop that may be queued unseen. Bounds the driver's memory (0.3 to 1.5 KB each)
and the time until Ctrl-C is noticed; the wait is for a launch long past, so nothing runs dry."""

MOST_PHASES = 4
"""Iterations whose launches are bound beforehand, each to the memory that it finds."""


class State:
    """One call under way."""

    __slots__ = ("device", "env", "event", "function", "iters", "older", "queue", "unseen")

    def __init__(self, device: Any, env: list[Any], function: str = ""):
        self.device = device
        self.function = function
        self.queue = device.queue
        self.env = env
        self.iters: list[int] = []
        self.event: Any = None
        self.older: Any = None
        self.unseen = 0

    def launched(self, event: Any, n: int) -> None:
        """Note the newest launch; let the host run at most 2 * IN_FLIGHT launches ahead."""
        self.event = event
        self.unseen += n
        if self.unseen >= IN_FLIGHT:
            self.unseen = 0
            if self.older is not None:
                self.device.wait(self.older)
            self.older = event

    def place(self, ref: BufferRef | ArrayRef) -> int:
        """The byte offset of `ref` in this iteration."""
        return ref.offset + ref.step * self.iters[-1] if ref.step else ref.offset

    def times(self, where: Times) -> np.ndarray:
        """The clock before and after each part of a launch that is done."""
        store, count = self.env[where.id], len(where.labels) + 1
        host = host_bytes(store)
        if host is None:
            return self.download(store, 8 * where.first, 8 * count).view(np.uint64)
        return np.ndarray(count, np.uint64, host, 8 * where.first).copy()

    def settle(self) -> None:
        """Return when what this call has enqueued has run, and all before it. Not when the queue is
        empty: other threads may keep it busy for ever.
        """
        if self.event is None:
            self.device.finish()
        else:
            self.device.wait(self.event)

    def read(self, ref: BufferRef, dtype: np.dtype) -> Any:
        """The scalar at `ref`, once everything enqueued has run."""
        self.settle()
        offset = self.place(ref)
        host = host_bytes(self.env[ref.id])
        if host is None:
            host = self.download(self.env[ref.id], offset, dtype.itemsize)
            offset = 0
        return np.ndarray((), dtype, host, offset).item()

    def download(self, store: Any, offset: int, nbytes: int) -> np.ndarray:
        import pyopencl as cl

        counts.copies += 1
        out = np.empty(nbytes, np.uint8)
        if nbytes:
            where = {"src_offset": offset, "is_blocking": True}
            ending.away(cl.enqueue_copy, self.queue, out, store.arg, **where)
        return out


class BoundLaunch:
    """A kernel object whose constant arguments are set; the others are set when it runs."""

    __slots__ = (
        *("buffers", "global_size", "iters", "kernel", "label", "local_size", "moving"),
        *("set_bytes", "times"),
    )

    def __init__(self, launch: Launch, built: Any):
        self.label = launch.label or launch.kernel
        self.kernel = make_kernel(built, launch.kernel)
        # pyopencl's public set_arg takes 20 us for a scalar, this 0.1
        self.set_bytes = getattr(self.kernel, "_set_arg_buf", self.kernel.set_arg)
        self.times = launch.times
        self.global_size = launch.global_size
        self.local_size = launch.local_size
        self.buffers: list[tuple[int, int]] = []
        self.moving: list[tuple[int, BufferRef]] = []
        self.iters: list[tuple[int, int, int, int]] = []  # argument, level, bytes, step
        if self.kernel.num_args != len(launch.args):
            raise DeviceError(
                f"kernel {launch.kernel} takes {self.kernel.num_args} arguments, "
                f"the plan gives {len(launch.args)}"
            )
        for k, a in enumerate(launch.args):
            if isinstance(a, IntArg):
                self.set_bytes(k, np.asarray(a.value, CTYPES[a.ctype]).tobytes())
            elif isinstance(a, IterArg):
                self.iters.append((k, a.level, CTYPES[a.ctype].itemsize, a.step))
            elif isinstance(a, LocalArg):
                import pyopencl as cl

                self.kernel.set_arg(k, cl.LocalMemory(a.nbytes))
            elif a.offset or a.step:
                self.moving.append((k, a))
            else:
                self.buffers.append((k, a.id))

    def set_args(self, state: State) -> None:
        """Set all arguments that are not constant."""
        env, kernel = state.env, self.kernel
        setter = kernel._set_arg_svm if state.device.shared else kernel.set_arg
        for k, key in self.buffers:
            setter(k, env[key].arg)
        for k, ref in self.moving:
            place = state.place(ref)
            kernel.set_arg(k, part_of(env[ref.id], place, _size_of(env[ref.id]) - place).arg)
        for k, level, width, step in self.iters:
            self.set_bytes(k, (state.iters[-1 - level] * step).to_bytes(width, "little"))

    def run(self, state: State) -> None:
        from pyopencl import enqueue_nd_range_kernel

        if 0 in self.global_size:
            return
        self.set_args(state)
        counts.launches += 1
        event = enqueue_nd_range_kernel(state.queue, self.kernel, self.global_size, self.local_size)
        recorder = state.device.recorder
        if recorder is not None and self.times is not None:
            event.wait()  # the next call's times take the place of these
            recorder.chained(event, state.function, self.times.labels, state.times(self.times))
        elif recorder is not None:
            recorder.launched(event, state.function, self.label)
        state.launched(event, 1)


class BoundHost:
    """Waits, runs a host function on the buffers' memory, and puts its results in place."""

    __slots__ = ("step", "whole")

    def __init__(self, step: HostStep, plan: Plan):
        self.step = step
        self.whole = [
            r.step == 0 and r.offset == 0 and plan.buffers[r.id].nbytes == _nbytes(r)
            for r in step.outs
        ]

    def run(self, state: State) -> None:
        step, recorder = self.step, state.device.recorder
        state.settle()
        if recorder is not None:
            begin = time.perf_counter()
            self._compute(state, step)
            recorder.host(state.function, step.label or str(step.key), begin)
        else:
            self._compute(state, step)

    def _compute(self, state: State, step: HostStep) -> None:
        counts.host_steps += 1
        ins = [self._array(state, r, writable=False) for r in step.ins]
        if step.inplace:
            outs = [self._array(state, r, writable=True) for r in step.outs]
            step.fn(*ins, *outs)
            if not state.device.shared:
                for ref, out in zip(step.outs, outs, strict=True):
                    self._upload(state, ref, out)
            return
        results = step.fn(*ins)
        if not isinstance(results, tuple | list):
            results = (results,)
        for ref, result, whole in zip(step.outs, results, self.whole, strict=True):
            self._put(state, ref, np.asarray(result), whole)

    def _array(self, state: State, ref: ArrayRef, writable: bool) -> np.ndarray:
        store, place, nbytes = state.env[ref.id], state.place(ref), _nbytes(ref)
        if nbytes == 0:
            return np.empty(ref.shape, ref.dtype)
        host = host_bytes(store)
        if host is None:
            host, place = state.download(store, place, nbytes), 0
        out = np.ndarray(ref.shape, ref.dtype, host, place)
        if not writable:
            out.flags.writeable = False
        return out

    def _put(self, state: State, ref: ArrayRef, result: np.ndarray, whole: bool) -> None:
        if result.shape != ref.shape:
            raise ValueError(
                f"host step {self.step.key}: expected shape {ref.shape}, got {result.shape}"
            )
        if _nbytes(ref) == 0:
            return
        if not state.device.shared:
            self._upload(state, ref, result)
        elif (
            whole
            and self.step.fresh
            and result.dtype == ref.dtype
            and result.flags.c_contiguous
            and result.flags.owndata
            and result.flags.writeable
        ):
            state.env[ref.id] = HostStorage(result)
        else:
            np.copyto(self._array(state, ref, writable=True), result, casting="unsafe")

    def _upload(self, state: State, ref: ArrayRef, result: np.ndarray) -> None:
        import pyopencl as cl

        data = np.ascontiguousarray(result, ref.dtype).reshape(-1).view(np.uint8)
        if data.nbytes:
            counts.copies += 1
            buffer = state.env[ref.id].arg
            where = {"dst_offset": state.place(ref), "is_blocking": True}
            ending.away(cl.enqueue_copy, state.queue, buffer, data, **where)


class BoundCopy:
    """An enqueued copy between two buffers."""

    __slots__ = ("step",)

    def __init__(self, step: CopyStep):
        self.step = step

    def run(self, state: State) -> None:
        s = self.step
        enqueue_copy(
            state, state.env[s.src.id], state.env[s.dst.id], s.nbytes,
            state.place(s.src), state.place(s.dst),
        )  # fmt: skip


def enqueue_copy(state: State, src: Any, dst: Any, nbytes: int, start=0, to=0) -> None:
    """Copy bytes between storages, in queue order."""
    if nbytes == 0:
        return
    counts.copies += 1
    if state.device.shared:
        from pyopencl import _cl

        # the event holds no host memory: the caller holds both storages until the call has run
        event = _cl._enqueue_svm_memcpy(
            state.queue, False, part_of(dst, to, nbytes).arg, part_of(src, start, nbytes).arg
        )
    else:
        import pyopencl as cl

        event = cl.enqueue_copy(
            state.queue, dst.arg, src.arg, byte_count=nbytes, src_offset=start, dst_offset=to
        )
    if state.device.recorder is not None:
        state.device.recorder.launched(event, state.function, "copy")
    state.launched(event, 1)


class BoundLoop:
    """A loop that the host drives: fixed count, or a flag that it reads."""

    __slots__ = ("body", "cond", "leaf", "step", "twins")

    def __init__(self, step: LoopStep, body: list[Any], cond: list[Any], twins: list[list[Any]]):
        self.step = step
        self.body = body
        self.cond = cond
        self.twins = twins  # the body's launches for each later iteration of a swapping leaf's turn
        bound = step.count is not None and len(twins) == step.period - 1
        self.leaf = bound and all(isinstance(s, BoundLaunch) and not s.moving for s in body)

    def run(self, state: State) -> None:
        state.iters.append(0)
        try:
            if self.step.count is None:
                self._run_while(state)
            elif self.leaf and state.device.recorder is None:
                self._run_leaf(state, self.step.count)
            else:
                self._run_count(state, self.step.count)
        finally:
            state.iters.pop()

    def _run_count(self, state: State, count: int) -> None:
        for k in range(count):
            state.iters[-1] = count - 1 - k if self.step.reverse else k
            for s in self.body:
                s.run(state)
            swap(self.step.swaps, state.env)

    def _run_while(self, state: State) -> None:
        step = self.step
        iteration = 0
        while True:
            state.iters[-1] = iteration
            for s in self.cond:
                s.run(state)
            assert step.flag is not None
            if iteration % step.check_every == 0 and not state.read(step.flag, np.dtype(np.uint8)):
                return
            for s in self.body:
                s.run(state)
            swap(step.swaps, state.env)
            iteration += 1

    def _run_leaf(self, state: State, count: int) -> None:
        """Only launches inside: set all arguments first, then per iteration only its number."""
        from pyopencl import enqueue_nd_range_kernel as enqueue

        phases = []
        for launches in (self.body, *self.twins):
            for s in launches:
                s.set_args(state)
            phases.append(
                [
                    (
                        s.kernel,
                        s.global_size,
                        s.local_size,
                        s.set_bytes,
                        [(k, w, step) for k, v, w, step in s.iters if not v],
                    )
                    for s in launches
                    if 0 not in s.global_size
                ]
            )
            swap(self.step.swaps, state.env)
        for _ in range(count % len(phases)):
            swap(self.step.swaps, state.env)
        n, queue, period = len(phases[0]), state.queue, len(phases)
        if not n:
            return
        numbers = range(count - 1, -1, -1) if self.step.reverse else range(count)
        for k, number in enumerate(numbers):
            for kernel, global_size, local_size, set_bytes, iters in phases[k % period]:
                for arg, width, step in iters:
                    set_bytes(arg, (number * step).to_bytes(width, "little"))
                event = enqueue(queue, kernel, global_size, local_size)
            state.launched(event, n)
        counts.launches += n * count


class BoundCond:
    """Reads the index and runs that branch."""

    __slots__ = ("branches", "step")

    def __init__(self, step: CondStep, branches: list[list[Any]]):
        self.step = step
        self.branches = branches

    def run(self, state: State) -> None:
        index = state.read(self.step.index, np.dtype(np.int32))
        taken = min(max(index, 0), len(self.branches) - 1)
        for s in self.branches[taken]:
            s.run(state)
        if self.step.swaps:
            swap(self.step.swaps[taken], state.env)


def swap(pairs: Pairs, env: list[Any]) -> None:
    """Let each pair of ids in turn exchange their memory."""
    for a, b in pairs:
        env[a], env[b] = env[b], env[a]


def bind_steps(steps: Sequence[Step], plan: Plan, built: Sequence[Any], device: Any) -> list[Any]:
    """The steps as objects that can run on `device`; `built` are its programs."""
    bound: list[Any] = []
    for s in steps:
        if isinstance(s, Launch):
            bound.append(BoundLaunch(s, built[s.program]))
        elif isinstance(s, HostStep):
            bound.append(BoundHost(s, plan))
        elif isinstance(s, CopyStep):
            bound.append(BoundCopy(s))
        elif isinstance(s, LoopStep):
            body = bind_steps(s.body, plan, built, device)
            cond = bind_steps(s.cond, plan, built, device)
            leaf = s.count is not None and all(isinstance(b, BoundLaunch) for b in body)
            more = s.period - 1 if leaf and s.period <= MOST_PHASES else 0
            twins = [bind_steps(s.body, plan, built, device) for _ in range(more)]
            bound.append(BoundLoop(s, body, cond, twins))
        else:
            branches = [bind_steps(b, plan, built, device) for b in s.branches]
            bound.append(BoundCond(s, branches))
    return bound


def _nbytes(ref: ArrayRef) -> int:
    return math.prod(ref.shape) * ref.dtype.itemsize


def _size_of(store: Any) -> int:
    host = host_bytes(store)
    return host.nbytes if host is not None else store.arg.size
