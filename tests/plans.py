"""Plans that tests run on a device without the front end."""

from __future__ import annotations

from lowering.runtime.execute import Executable


def run(plan, device, arrays):
    """The results of a plan as arrays."""
    outs, event = Executable(plan, device)([device.put(a.copy()) for a in arrays])
    if event is not None:
        device.wait(event)
    made = [plan.buffers[k] for k in plan.outputs]
    return [device.fetch(o, b.shape, b.dtype).copy() for o, b in zip(outs, made, strict=True)]
