"""Small plans run in the calling thread: no other thread is woken, no event is waited for.

On PoCL a launch wakes a thread and a wait is woken by it, 40 us together, while JAX's whole call of
a tiny function takes 10. PoCL's serial device and a queue of Intel's run a kernel inside the
enqueueing call, in 1.2 and 5 us. Not being the device's queue, they serve a call only when nothing
is pending there; otherwise it waits, and a plan that often has to is built for that queue too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

from lowering import ending
from lowering.plan import Launch, LoopStep, Plan, Step
from lowering.runtime.counters import counts
from lowering.runtime.devices import Device
from lowering.runtime.execute import Executable, Results

WAITS = 16
"""Calls that met pending work and waited for it, before the plan is built for the queue too."""


def bind(plan: Plan, device: Device) -> Executable:
    """The plan as an executable on `device`."""
    if plan.small and device.direct is not None:
        return ending.away(DirectExecutable, plan, device, device.direct)
    return ending.away(Executable, plan, device)


class DirectExecutable(Executable):
    """Runs its launches in the calling thread; its results are complete when it returns."""

    def __init__(self, plan: Plan, device: Device, lane: Device):
        self.long: list[bool] = []  # not empty: its loops need more launches than one
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
            if j in flags and flags[j].host[0]:
                self.long.append(True)
                return self._general(inputs, donated, env)[0], None
        self._frames.append(frame)
        counts.calls += 1
        counts.launches += self._launches
        if self._one_result is not None:
            return [env[self._one_result]], None
        return [env[k] for k in self._results], None

    def looks_only(self, s: Step) -> bool:
        """A `while_loop` in a kernel makes many turns a launch: hardly ever is it launched again,
        and then all is done again, from then on with the loop. No input may have been overwritten.
        """
        if not isinstance(s, LoopStep) or s.count is not None or s.cond or self._copies:
            return False
        assert s.flag is not None
        here = self.plan.buffers[s.flag.id].offset is not None and not s.flag.step
        after = (x for x, y in pairwise(self.plan.steps) if y is s)
        return here and self.lane.shared and isinstance(next(after, None), Launch)

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
