"""Small plans run in the calling thread: no other thread is woken, no event is waited for.

On PoCL a launch wakes a thread and a wait is woken by it, 40 us together, while JAX's whole call of
a tiny function takes 10. PoCL's serial device and a queue of Intel's run a kernel inside the
enqueueing call, in 1.2 and 5 us. Not being the device's queue, they serve a call only when nothing
is pending there; otherwise it waits, and a plan that often has to is built for that queue too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from lowering import ending
from lowering.plan import BufferRef, CondStep, HostStep, Launch, LoopStep, Plan, Step
from lowering.runtime.counters import counts
from lowering.runtime.devices import Device
from lowering.runtime.execute import Executable, Look, Results

WAITS = 16
"""Calls that met pending work and waited for it, before the plan is built for the queue too."""

MISSES = 4
"""Calls that took another branch than the usual one, before no call presumes it any more."""


def bind(plan: Plan, device: Device) -> Executable:
    """The plan as an executable on `device`."""
    if plan.small and device.direct is not None:
        return ending.away(DirectExecutable, plan, device, device.direct)
    return ending.away(Executable, plan, device)


def _calls_host(s: Step) -> bool:
    if isinstance(s, CondStep):
        return any(_calls_host(x) for b in s.branches for x in b)
    return isinstance(s, HostStep) or (
        isinstance(s, LoopStep) and any(map(_calls_host, (*s.cond, *s.body)))
    )


class DirectExecutable(Executable):
    """Runs its launches in the calling thread; its results are complete when it returns."""

    def __init__(self, plan: Plan, device: Device, lane: Device):
        self.long: list[bool] = []  # not empty: calls need more than the usual launches
        self._missed = 0
        super().__init__(plan, device, lane)
        self._waited = 0
        self._queued: Executable | None = None

    def __call__(self, inputs: Sequence[Any], donated: Collection[int] = ()) -> Results:
        env = self._take(inputs, donated)
        # asked when the blocks are ours: whoever enqueued what still uses them has set the tail
        if self.device.tail[0] is not None and not self.device.idle():
            del env
            return self._behind(inputs, donated)
        lane = self.lane
        if not self._straight or self.long or lane.recorder is not None:
            return self._general(inputs, donated, env)[0], None
        if self._copies:
            self._copy(inputs, donated, env)
        frame = self._frame(env)
        queue, enqueue, flags = lane.queue, self._enqueue, frame.flags
        for j, (setter, kernel, global_size, local_size, moving) in enumerate(frame.launches):
            for k, place in moving:
                setter(k, env[place].arg)
            enqueue(queue, kernel, global_size, local_size)
            if j in flags:
                for part, look in flags[j]:
                    if part.host.tobytes() != look.usual:
                        self.unusual(look.on)
                        return self._general(inputs, donated, env)[0], None
        self._frames.append(frame)
        counts.calls += 1
        counts.launches += self._launches
        if self._one_result is not None:
            return [env[self._one_result]], None
        return [env[k] for k in self._results], None

    def unusual(self, on: bool) -> None:
        """A call has not found what is usual; `on`: since a loop has to go on."""
        self._missed += 1
        if on or self._missed > MISSES:
            self.long.append(True)

    def _are_straight(self, steps: Sequence[Step]) -> bool:
        """Launches; and `while_loop`s in a kernel, which make many turns a launch, hardly ever are
        they launched again; and branches of which one is launches and the others call the host, as
        checks that raise do. A look, then, is all; where it finds something else, all is done
        again in the general way. No input may have been overwritten.
        """
        for k, s in enumerate(steps):
            before = steps[k - 1] if k else None
            if isinstance(s, LoopStep):
                again = isinstance(before, Launch) and s.count is None and not s.cond
                if not again or s.flag is None or not self._in_sight(s.flag):
                    return False
            elif isinstance(s, CondStep):
                if before is None or not self._in_sight(s.index) or self._usual(s) is None:
                    return False
            elif not super()._are_straight([s]):
                return False
        return True

    def _in_sight(self, ref: BufferRef) -> bool:
        """Whether the host can look at it after a launch, and all be done again afterwards."""
        here = self.plan.buffers[ref.id].offset is not None and not ref.step
        return here and self.lane.shared and not self._copies

    def _usual(self, s: CondStep) -> int | None:
        """The one branch that does not call the host, if it is no more than launches."""
        plain = [k for k, b in enumerate(s.branches) if not any(map(_calls_host, b))]
        return plain[0] if len(plain) == 1 and self._are_straight(s.branches[plain[0]]) else None

    def _in_line(self, steps: Sequence[Step], bound: Sequence[Any]) -> Iterator[Any]:
        for step, b in zip(steps, bound, strict=True):
            if isinstance(step, LoopStep):
                assert step.flag is not None
                yield Look(self._offset(step.flag), bytes(1), True)
            elif isinstance(step, CondStep):
                k = self._usual(step)
                assert k is not None
                yield Look(self._offset(step.index), np.int32(k).tobytes(), False)
                yield from self._in_line(step.branches[k], b.branches[k])
            else:
                yield b

    def _offset(self, ref: BufferRef) -> int:
        return (self.plan.buffers[ref.id].offset or 0) + ref.offset

    def straight(
        self,
        given: Sequence[str],
        numbers: dict[int, Any],
        owned: dict[int, str],
        otherwise: str,
    ) -> Any:
        """A call's text: see `runtime.straight`; None where a call is more than launches."""
        from lowering.runtime.straight import write

        return write(self, given, numbers, owned, otherwise) if self._straight else None

    def _behind(self, inputs: Sequence[Any], donated: Collection[int]) -> Results:
        """The call while earlier ones are pending."""
        if self._queued is None:
            self._waited += 1
            if self._waited <= WAITS:
                # not for the queue: other threads may keep it busy for ever
                pending = self.device.tail[0]
                if pending is not None:
                    self.device.wait(pending)
                return self(inputs, donated)
            self._queued = ending.away(Executable, self.plan, self.device)
        return self._queued(inputs, donated)
