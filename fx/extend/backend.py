"""`fx.extend.backend`: the platform under the names JAX gives its own."""

from __future__ import annotations

from typing import Any

from fx.array import default_device
from fx.devices import default_backend, device_count, devices
from fx.jit import clear_caches


class Backend:
    """The platform: its name, version and devices."""

    platform = property(lambda self: default_backend())
    platform_version = "OpenCL"
    process_index = staticmethod(lambda: 0)
    devices = local_devices = staticmethod(devices)
    device_count = local_device_count = staticmethod(device_count)


def get_backend(platform: str | None = None) -> Backend:
    """The platform."""
    return Backend()


def backends() -> dict[str, Backend]:
    """All platforms by name."""
    return {default_backend(): Backend()}


def get_default_device() -> Any:
    """The device that programs run on."""
    return default_device()


def clear_backends() -> None:
    """Forget everything that is compiled."""
    clear_caches()


clear_in_memory_compilation_cache = clear_backends
