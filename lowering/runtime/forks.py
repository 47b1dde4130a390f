"""Forks: in a forked child a device's threads do not exist, and what waits for them raises.

Without this a child (of multiprocessing's "fork") would wait for ever. What runs in the calling
thread goes on working: eager code, small plans on a serial device, the interpreter.
"""

from __future__ import annotations

import os
from typing import Any

from lowering.errors import DeviceError
from lowering.runtime import devices

_kept: list[Any] = []  # the parent's: to let go of a queue is to wait for it
_watching = False


def watch() -> None:
    """From now on a forked child knows what it cannot use."""
    global _watching
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    device = devices.Device
    found = {*(devices._devices or ()), *devices._chosen.values()}
    for d in found:
        if d._queue is not None:
            _kept.append((d._queue, d.tail, d.pending, d.milestone))
            d._queue, d.tail, d.pending, d.milestone = None, [None], type(d.pending)(), None
    serial = {d.direct for d in found} - {None}
    queue, wait = device.queue.fget, device.wait

    def queue_of(self: Any) -> Any:
        if self not in serial:
            raise _gone(self)
        return queue(self)  # type: ignore[misc]

    def wait_for(self: Any, event: Any) -> None:
        if event.command_execution_status > 0:
            raise _gone(self)
        wait(self, event)

    device.queue = property(queue_of)  # type: ignore[assignment]
    device.wait = wait_for


def _gone(device: Any) -> DeviceError:
    return DeviceError(
        f"{device.name} cannot be used here: this process was forked from one that uses it, and "
        "the driver's threads were not. Start processes with multiprocessing's 'spawn' or "
        "'forkserver', or use devices in the children alone."
    )
