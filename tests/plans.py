"""Plans and kernels that tests run on a device without the front end."""

from __future__ import annotations

import pyopencl as cl

from lowering.planning.program import targeted
from lowering.runtime import devices
from lowering.runtime.execute import Executable


def kernel(queue, text):
    """The kernel `run` of a text, compiled as the texts of plans are."""
    text = targeted(text, devices.default_device().profile)
    return cl.Kernel(cl.Program(queue.context, text).build(["-w"]), "run")


def run(plan, device, arrays):
    """The results of a plan as arrays."""
    outs, event = Executable(plan, device)([device.put(a.copy()) for a in arrays])
    if event is not None:
        device.wait(event)
    made = [plan.buffers[k] for k in plan.outputs]
    return [device.fetch(o, b.shape, b.dtype).copy() for o, b in zip(outs, made, strict=True)]
