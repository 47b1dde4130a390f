"""Recorder: when each launch ran on its device, while a profile is taken.

A queue with profiling takes the place of the device's own, calls leave their fast paths, and every
launch and host step is kept with its function's name and the user's label. Device clocks are set
against the host's by one marker.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from lowering.runtime.devices import Device


class Launched(NamedTuple):
    """One launch or host step: what it is, and seconds on the clock of time.perf_counter."""

    function: str  # the jitted function's name
    label: str  # scope and line of the user's code
    place: str  # the device (in the calling thread for small plans), or "host"
    start: float
    seconds: float


class Recorder:
    """The launches of one device; `stop` gives them."""

    def __init__(self, device: Device, place: str):
        import pyopencl as cl

        self.device, self.place = device, place
        self._plain = device.queue
        device.finish()
        profiling = cl.command_queue_properties.PROFILING_ENABLE
        device._queue = cl.CommandQueue(device.context, properties=profiling)
        marker = cl.enqueue_marker(device._queue)
        marker.wait()
        self._offset = time.perf_counter() - marker.profile.end * 1e-9
        self._found: list[tuple[Any, str, str]] = []
        self._steps: list[Launched] = []
        device.recorder = self

    def launched(self, event: Any, function: str, label: str) -> None:
        """Keep a launch; its times are read at the end."""
        self._found.append((event, function, label))

    def chained(self, event: Any, function: str, labels: Sequence[str], clock: Any) -> None:
        """Keep the parts of a launch that is done, each from one reading of a clock to the next."""
        begin, end = event.profile.start * 1e-9, event.profile.end * 1e-9
        ticks = [int(x) - int(clock[0]) for x in clock]
        times = [begin + self._offset + (end - begin) * t / max(ticks[-1], 1) for t in ticks]
        for label, start, stop in zip(labels, times, times[1:]):
            self._steps.append(Launched(function, label, self.place, start, stop - start))

    def host(self, function: str, label: str, start: float) -> None:
        """Keep a host step that began at `start` and ends now."""
        self._steps.append(Launched(function, label, "host", start, time.perf_counter() - start))

    def stop(self) -> list[Launched]:
        """Wait, give the device its own queue back, and return what ran, in the order of time."""
        self.device.recorder = None
        self.device.finish()
        self.device._queue = self._plain
        done = list(self._steps)
        for event, function, label in self._found:
            begin, end = event.profile.start * 1e-9, event.profile.end * 1e-9
            done.append(Launched(function, label, self.place, begin + self._offset, end - begin))
        return sorted(done, key=lambda launch: launch.start)


def record(device: Device) -> list[Recorder]:
    """Recorders of a device, and of its serial twin if it has one."""
    if device.interpreter:
        return []
    found = [Recorder(device, str(device))]
    if device.direct is not None:
        found.append(Recorder(device.direct, f"{device}, calling thread"))
    return found
