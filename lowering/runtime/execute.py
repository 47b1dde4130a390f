"""Executable: a Plan bound to a device; calling it takes storages and gives storages at once.

Binding builds the programs and makes kernel objects with their constant arguments set. A call takes
outputs from the pool, sets the other arguments, enqueues, and returns with the last event; nothing
waits but steps that hand data to the host. Threads: a call takes a set of kernel objects (a frame)
from a list and gives it back, the queue is in order, list operations are atomic; so no lock.
A frame whose call was interrupted is dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from lowering.plan import BufferRef, Launch, Plan
from lowering.runtime.counters import counts
from lowering.runtime.devices import Device
from lowering.runtime.memory import Storage
from lowering.runtime.programs import build_all
from lowering.runtime.steps import State, bind_steps, enqueue_copy


class Frame:
    """The kernel objects of one call at a time, and the arena block they were last bound to."""

    __slots__ = ("arena", "launches", "steps", "temps")

    def __init__(self, steps: list[Any]):
        self.steps = steps
        self.arena: Any = None
        self.launches: list[tuple[Any, Any, Any, Any, tuple[tuple[int, int], ...]]] = []
        self.temps: list[tuple[Any, int, int, int]] = []  # setter, argument, offset, bytes

    def bind_arena(self, block: Any) -> None:
        for setter, k, offset, nbytes in self.temps:
            setter(k, block.part(offset, nbytes).arg)
        self.arena = block


class Executable:
    """`executable(inputs) -> (outputs, event)`: storages in plan order; event None: nothing pends.

    `donated` are positions of inputs whose memory the call may reuse; the caller forgets them.
    """

    def __init__(self, plan: Plan, device: Device):
        self.plan = plan
        self.device = device
        self._built = build_all(device, plan.programs)
        self._consts = {
            b.id: device.upload(np.frombuffer(b.data or b"", np.uint8))
            if not device.shared
            else device.put(np.frombuffer(b.data or b"\0", np.uint8).copy())
            for b in plan.buffers
            if b.kind == "const"
        }
        fresh = [b for b in plan.buffers if b.kind == "output"]
        fresh += [b for b in plan.buffers if b.kind == "temp" and b.offset is None]
        self._fresh = fresh
        places = {key: k for k, key in enumerate(plan.inputs)}
        home = device.pool.home
        self._takes = [
            (home(b.nbytes), b.nbytes, None if b.alias is None else places[b.alias]) for b in fresh
        ]
        for k, b in enumerate(fresh):
            places[b.id] = len(plan.inputs) + k
        self._places = places
        self._results = [places[key] for key in plan.outputs]
        self._one_result = self._results[0] if len(self._results) == 1 else None
        self._arena_home = home(plan.arena_bytes) if plan.arena_bytes else None
        self._straight = all(
            isinstance(s, Launch)
            and not any(isinstance(a, BufferRef) and (a.offset or a.step) for a in s.args)
            for s in plan.steps
        )
        self._launches = 0
        self._frames: list[Frame] = []
        self._frames.append(self._new_frame())
        self._flush = device.driver != "pocl"  # PoCL starts work at once; others when asked to
        from pyopencl import enqueue_nd_range_kernel

        self._enqueue = enqueue_nd_range_kernel

    # ------------------------------------------------------------ binding

    def _new_frame(self) -> Frame:
        device, plan = self.device, self.plan
        frame = Frame(bind_steps(plan.steps, plan, self._built, device))
        if not self._straight:
            return frame
        for s in frame.steps:
            kernel = s.kernel
            setter = kernel._set_arg_svm if device.shared else kernel.set_arg
            moving = []
            for k, key in s.buffers:
                if key in self._consts:
                    setter(k, self._consts[key].arg)
                elif key in self._places:
                    moving.append((k, self._places[key]))
                else:
                    b = plan.buffers[key]
                    frame.temps.append((setter, k, b.offset, b.nbytes))
            if 0 not in s.global_size:
                entry = (setter, kernel, s.global_size, s.local_size, tuple(moving))
                frame.launches.append(entry)
        self._launches = len(frame.launches)
        return frame

    # ------------------------------------------------------------ calling

    def __call__(
        self, inputs: Sequence[Any], donated: Collection[int] = ()
    ) -> tuple[list[Any], Any]:
        if not self._straight:
            return self._general(inputs, donated)
        device, env, event = self.device, list(inputs), None
        for home, nbytes, alias in self._takes:
            if alias is None:
                try:
                    block = home.pop()
                except IndexError:
                    block = device.pool.grow(nbytes, home)
                env.append(Storage(block))
            else:
                store, copied = self._aliased(inputs, env, nbytes, alias, donated)
                event = copied or event
                env.append(store)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        if self._arena_home is not None:
            arena = device.pool.take(self.plan.arena_bytes)
            if arena.block is not frame.arena:
                frame.bind_arena(arena.block)
        queue, enqueue = device.queue, self._enqueue
        for setter, kernel, global_size, local_size, moving in frame.launches:
            for k, place in moving:
                setter(k, env[place].arg)
            event = enqueue(queue, kernel, global_size, local_size)
        if self._flush:
            queue.flush()
        self._frames.append(frame)
        counts.calls += 1
        counts.launches += self._launches
        for s in inputs:
            if s.foreign and event is not None:
                device.hold(event, [s for s in inputs if s.foreign])
                break
        if self._one_result is not None:
            return [env[self._one_result]], event
        return [env[k] for k in self._results], event

    def _aliased(
        self, inputs: Sequence[Any], taken: list[Any], nbytes: int, alias: int, donated: Any
    ) -> tuple[Any, Any]:
        """The donated input's own storage, or a fresh one that starts with a copy of the input and
        the copy's event: it is the last one where no launch follows.
        """
        source = inputs[alias]
        if alias in donated and not any(t is source for t in taken[len(inputs) :]):
            return source, None
        store = self.device.pool.take(nbytes)
        state = State(self.device, [])
        enqueue_copy(state, source, store, nbytes)
        if source.foreign and state.event is not None:
            self.device.hold(state.event, source)
        return store, state.event

    def _general(self, inputs: Sequence[Any], donated: Collection[int]) -> tuple[list[Any], Any]:
        device, plan = self.device, self.plan
        env: list[Any] = [None] * len(plan.buffers)
        for key, store in self._consts.items():
            env[key] = store
        taken, event = list(inputs), None
        for key, store in zip(plan.inputs, inputs, strict=True):
            env[key] = store
        for b, (_, nbytes, alias) in zip(self._fresh, self._takes, strict=True):
            if alias is None:
                env[b.id] = device.pool.take(nbytes)
            else:
                env[b.id], copied = self._aliased(inputs, taken, nbytes, alias, donated)
                event = copied or event
            taken.append(env[b.id])
        if self._arena_home is not None:
            arena = device.pool.take(plan.arena_bytes)
            for b in plan.buffers:
                if b.kind == "temp" and b.offset is not None:
                    env[b.id] = arena.block.part(b.offset, b.nbytes)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        counts.calls += 1
        state = State(device, env)
        state.event = event
        try:
            for s in frame.steps:
                s.run(state)
        finally:  # also where a host step raised: what was enqueued still reads the inputs
            if state.event is not None:
                device.queue.flush()
                held = [s for s in (*inputs, *env) if s is not None and s.foreign]
                if held:
                    device.hold(state.event, held)
        self._frames.append(frame)
        return [env[key] for key in plan.outputs], state.event
