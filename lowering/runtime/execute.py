"""Executable: a Plan bound to a device; calling it takes storages and gives storages at once.

Binding builds the programs and makes kernel objects with their constant arguments set. A call takes
outputs from the pool, sets the other arguments, enqueues, and returns with the last event; nothing
waits but steps that hand data to the host. Threads: a call takes a set of kernel objects (a frame)
from a list and gives it back, the queue is in order, list operations are atomic; so no lock.
A frame whose call was interrupted is dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lowering.plan import BufferRef, Launch, Plan, Step
from lowering.runtime.counters import counts
from lowering.runtime.devices import CALLS_AHEAD, Device, marker
from lowering.runtime.memory import Slice, Storage, aligned_bytes, size_class, taken
from lowering.runtime.programs import build_all
from lowering.runtime.steps import State, bind_steps, enqueue_copy

Results = tuple[list[Any], Any]

TRAY_BYTES = 8 << 10
"""Results that are together smaller than this share one block: a block costs a call 0.5 us, a
place in one 0.15. Whoever keeps one of them keeps the block."""


class Look(NamedTuple):
    """What a call finds in the arena as a rule: `usual` at `offset`. Where it does not, a loop has
    to go `on`, or a branch is taken that is not only launches.
    """

    offset: int
    usual: bytes
    on: bool


class Frame:
    """The kernel objects of one call at a time, and the blocks they were last bound to."""

    __slots__ = (
        "arena",
        "flags",
        "known",
        "launches",
        "looks",
        "results",
        "steps",
        "temps",
        "tray",
    )

    def __init__(self, steps: list[Any]):
        self.steps = steps
        self.arena: Any = None
        self.tray: Any = None
        self.known: tuple[Any, list[Any]] | None = None  # an arena's block, its buffers
        self.launches: list[tuple[Any, Any, Any, Any, tuple[tuple[int, int], ...]]] = []
        self.temps: list[tuple[Any, int, int, int]] = []  # setter, argument, offset, bytes
        self.results: list[tuple[Any, int, int]] = []  # setter, argument, which part of the tray
        self.looks: dict[int, list[Look]] = {}  # after which launch there is what to look at
        self.flags: dict[int, list[tuple[Any, Look]]] = {}  # the same, with its part of the arena

    def bind_arena(self, block: Any) -> None:
        for setter, k, offset, nbytes in self.temps:
            setter(k, block.part(offset, nbytes).arg)
        for k, looks in self.looks.items():
            self.flags[k] = [(block.part(x.offset, len(x.usual)), x) for x in looks]
        self.arena = block

    def bind_tray(self, block: Any, sizes: tuple[int, ...]) -> None:
        parts = block.tray(sizes)
        for setter, k, which in self.results:
            setter(k, parts[which].arg)
        self.tray = block


def _moves(s: Launch) -> bool:
    return any(isinstance(a, BufferRef) and (a.offset or a.step) for a in s.args)


class Executable:
    """`executable(inputs) -> (outputs, event)`: storages in plan order; event None: nothing pends.

    `donated` are positions of inputs whose memory the call may reuse; the caller forgets them.
    `lane` is the device whose queue the launches go to, if it is not `device` itself.
    """

    def __init__(self, plan: Plan, device: Device, lane: Device | None = None):
        self.plan = plan
        self.device = device
        self.lane = lane or device
        self._lay_out()
        with device.pool.ahead(self._takes):
            self._built = build_all(self.lane, plan)
        self._consts = {
            b.id: device.upload(np.frombuffer(b.data or b"", np.uint8))
            if not device.shared
            else device.put(_constant(b.data or b"\0"))
            for b in plan.buffers
            if b.kind == "const"
        }
        self._straight = self._are_straight(plan.steps)
        self._launches = 0
        self._frames: list[Frame] = []
        self._frames.append(self._new_frame())
        self._flush = device.driver != "pocl"  # PoCL starts work at once; others when asked to
        from pyopencl import enqueue_nd_range_kernel

        self._enqueue = enqueue_nd_range_kernel

    def __del__(self) -> None:
        """A call may be running still whose function nobody keeps: its constants, of which a team
        writes some, stay until whatever was enqueued last is complete. All else is the pool's.
        """
        event = self.device.tail[0] if getattr(self, "_consts", None) else None
        if event is not None:
            self.device.hold(event, self._consts)

    # ------------------------------------------------------------ binding

    def _lay_out(self) -> None:
        """Where a call's storages stand: inputs, results on the tray, blocks from the pool (the
        arena last), and outputs that begin with an input's contents.
        """
        plan, home = self.plan, self.device.pool.home
        outputs = [b for b in plan.buffers if b.kind == "output" and b.alias is None]
        own = [b for b in plan.buffers if b.kind == "temp" and b.offset is None]
        aliased = [b for b in plan.buffers if b.kind == "output" and b.alias is not None]
        room = sum(size_class(b.nbytes) for b in outputs)
        on_tray = outputs if self.device.shared and len(outputs) > 1 and room <= TRAY_BYTES else []
        plain = own if on_tray else outputs + own
        order = [*plan.inputs, *(b.id for b in (*on_tray, *plain))]
        places = self._places = {key: k for k, key in enumerate(order)}
        self._arena = len(order) if plan.arena_bytes else None
        first = len(order) + (self._arena is not None)
        places.update({b.id: first + k for k, b in enumerate(aliased)})
        self._copies = [(places[b.alias], b.nbytes) for b in aliased if b.alias is not None]
        self._sizes = tuple(b.nbytes for b in on_tray)
        self._tray = (home(room), room) if on_tray else None
        sizes = [b.nbytes for b in plain] + ([plan.arena_bytes] if plan.arena_bytes else [])
        self._takes = [(home(n), n) for n in sizes]
        self._bytes = sum(map(size_class, sizes)) + (size_class(room) if on_tray else 0)
        self._results = [places[key] for key in plan.outputs]
        self._one_result = self._results[0] if len(self._results) == 1 else None

    def _new_frame(self) -> Frame:
        device, plan = self.device, self.plan
        frame = Frame(bind_steps(plan.steps, plan, self._built, self.lane))
        if not self._straight:
            return frame
        for s in self._in_line(plan.steps, frame.steps):
            if isinstance(s, Look):
                frame.looks.setdefault(len(frame.launches) - 1, []).append(s)
                continue
            kernel = s.kernel
            setter = kernel._set_arg_svm if device.shared else kernel.set_arg
            moving = []
            for k, key in s.buffers:
                if key in self._consts:
                    setter(k, self._consts[key].arg)
                elif key in self._places:
                    place = self._places[key]
                    if 0 <= place - len(plan.inputs) < len(self._sizes):
                        frame.results.append((setter, k, place - len(plan.inputs)))
                    else:
                        moving.append((k, place))
                else:
                    b = plan.buffers[key]
                    frame.temps.append((setter, k, b.offset, b.nbytes))
            if 0 not in s.global_size:
                entry = (setter, kernel, s.global_size, s.local_size, tuple(moving))
                frame.launches.append(entry)
        self._launches = len(frame.launches)
        return frame

    def _are_straight(self, steps: Sequence[Step]) -> bool:
        """Whether a call needs no more of steps than to enqueue them."""
        return all(isinstance(s, Launch) and not _moves(s) for s in steps)

    def _in_line(self, steps: Sequence[Step], bound: Sequence[Any]) -> Iterator[Any]:
        """The launches of straight steps, bound, and what is looked at in between."""
        yield from bound

    # ------------------------------------------------------------ calling

    def __call__(self, inputs: Sequence[Any], donated: Collection[int] = ()) -> Results:
        env = self._take(inputs, donated)
        device = self.device
        if not self._straight or device.recorder is not None:
            return self._general(inputs, donated, env)
        before, event = device.tail, None
        queue, enqueue = device.queue, self._enqueue
        try:
            if self._copies:
                event = self._copy(inputs, donated, env)
            frame = self._frame(env)
            for setter, kernel, global_size, local_size, moving in frame.launches:
                for k, place in moving:
                    setter(k, env[place].arg)
                event = enqueue(queue, kernel, global_size, local_size)
        except BaseException:  # what was enqueued still reads the inputs
            device.finish()
            raise
        finally:  # before a block goes back to the pool: whoever takes it asks for the tail
            if event is not None:
                device.follow(before, event)
        if self._flush:
            queue.flush()
        self._frames.append(frame)
        counts.calls += 1
        counts.launches += self._launches
        for s in inputs:
            if s.foreign and event is not None:
                device.hold(event, [s for s in inputs if s.foreign])
                break
        device.unseen += 1
        if device.unseen >= CALLS_AHEAD and event is not None:
            device.keep_pace(event)
        if self._one_result is not None:
            return [env[self._one_result]], event
        return [env[k] for k in self._results], event

    def _frame(self, env: list[Any]) -> Frame:
        """Kernel objects that no other call uses now, bound to this call's tray and arena."""
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        if self._arena is not None and env[self._arena].block is not frame.arena:
            frame.bind_arena(env[self._arena].block)
        if self._tray is not None:
            block = env[len(self.plan.inputs)].owner.block
            if block is not frame.tray:
                frame.bind_tray(block, self._sizes)
        return frame

    def _take(self, inputs: Sequence[Any], donated: Collection[int]) -> list[Any]:
        """The storages of a call, in the order of `_lay_out`."""
        env = [*inputs]
        taken(self._bytes)
        if self._tray is not None:
            home, nbytes = self._tray
            try:
                block = home.pop()
            except IndexError:
                block = self._grow(nbytes, home, env)
            owner = Storage(block)
            env += [Slice(part, owner) for part in block.tray(self._sizes)]
        for home, nbytes in self._takes:
            try:
                block = home.pop()
            except IndexError:
                block = self._grow(nbytes, home, env)
            env.append(Storage(block))
        for alias, nbytes in self._copies:
            source = inputs[alias]
            free = alias in donated and not any(t is source for t in env[len(inputs) :])
            env.append(source if free else self.device.pool.take(nbytes))
        return env

    def _grow(self, nbytes: int, home: list[Any], env: list[Any]) -> Any:
        """A new block. Until it is there, what the call has not taken is not counted as live."""
        made = env[len(self.plan.inputs) :]
        owners = {id(s): s for s in (getattr(s, "owner", s) for s in made)}.values()
        missing = self._bytes - sum(s.block.nbytes for s in owners)
        counts.live_bytes -= missing
        block = self.device.pool.grow(nbytes, home)
        counts.live_bytes += missing
        return block

    def _copy(self, inputs: Sequence[Any], donated: Collection[int], env: list[Any]) -> Any:
        """Copy inputs to the outputs that begin with their contents and did not take their memory
        over; the event of the last copy, which is the call's last one where no launch follows.
        """
        state = State(self.lane, [], self.plan.meta.get("name", ""))
        first = len(env) - len(self._copies)
        for store, (alias, nbytes) in zip(env[first:], self._copies, strict=True):
            source = inputs[alias]
            if store is not source:
                enqueue_copy(state, source, store, nbytes)
                if source.foreign and state.event is not None:
                    self.device.hold(state.event, source)
        return state.event

    def _general(
        self, inputs: Sequence[Any], donated: Collection[int], taken: list[Any]
    ) -> Results:
        lane, plan = self.lane, self.plan
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        frame.arena = frame.tray = None  # its arguments are set anew
        env = self._environment(frame, None if self._arena is None else taken[self._arena].block)
        for key, place in self._places.items():
            env[key] = taken[place]
        counts.calls += 1
        state, before = State(lane, env, plan.meta.get("name", "")), lane.tail
        try:
            state.event = self._copy(inputs, donated, taken) if self._copies else None
            for s in frame.steps:
                s.run(state)
        except BaseException:  # a launch may have been enqueued and not been noted
            state.event = marker(lane.queue)
            raise
        finally:  # also where a host step raised: what was enqueued still reads the inputs
            if state.event is not None and lane is self.device:
                lane.follow(before, state.event)
                lane.queue.flush()
                held = [s for s in (*inputs, *env) if s is not None and s.foreign]
                if held:
                    lane.hold(state.event, held)
        self._frames.append(frame)
        lane.unseen += 1
        if lane.unseen >= CALLS_AHEAD and state.event is not None:
            lane.keep_pace(state.event)
        return [env[key] for key in plan.outputs], state.event

    def _environment(self, frame: Frame, arena: Any) -> list[Any]:
        """The memory of each buffer of the plan that is the same in every call with this arena."""
        if frame.known is None or frame.known[0] is not arena:
            env: list[Any] = [None] * len(self.plan.buffers)
            for key, store in self._consts.items():
                env[key] = store
            for b in self.plan.buffers:
                if b.kind == "temp" and b.offset is not None and arena is not None:
                    env[b.id] = arena.part(b.offset, b.nbytes)
            frame.known = arena, env
        return frame.known[1].copy()


def _constant(data: bytes) -> np.ndarray:
    """A copy of the data; a team's words stand in it, each in a cache line of its own."""
    made = aligned_bytes(len(data))
    made[:] = np.frombuffer(data, np.uint8)
    return made
