"""The errors that the back end raises by name; `fx.errors` hands them on to users."""

from __future__ import annotations


class KernelBuildError(RuntimeError):
    """The driver refused a kernel; the message names the file that keeps its source."""


class DeviceError(RuntimeError):
    """No OpenCL driver, no such device, or something the device cannot do."""


class OutOfDeviceMemory(MemoryError):
    """The device refused an allocation; the message says what was asked and what is live."""
