"""Programs: OpenCL source to driver objects, built once per (device, source, options).

In memory every program is kept with its device; on disk only for drivers that keep no binaries
themselves (Intel's CPU runtime). A refused program leaves its source in a file.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lowering.errors import KernelBuildError
from lowering.plan import Program
from lowering.runtime import cache
from lowering.runtime.counters import counts
from lowering.runtime.devices import Device

KEEP_NO_BINARIES = frozenset({"intel"})
"""Drivers without a disk cache of their own."""

_lock = threading.Lock()


def build_all(device: Device, programs: Sequence[Program]) -> list[Any]:
    """The built programs, in order; those not known yet are built on two threads."""
    missing = [p for p in programs if (p.source, p.options) not in device.programs]
    if len(missing) < 2:
        return [build(device, p) for p in programs]
    device.queue  # noqa: B018 (makes context and queue before threads race for them)
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda p: build(device, p), programs))


def build(device: Device, program: Program) -> Any:
    """One program; threads that ask for the same one at once build it once."""
    key = (program.source, program.options)
    with _lock:
        future = device.programs.get(key)
        mine = future is None
        if mine:
            future = device.programs[key] = Future()
    if not mine:
        counts.cache_hits += 1
        return future.result()
    try:
        built = _load(device, program) or _compile(device, program)
    except BaseException as e:
        del device.programs[key]  # the next call tries again
        future.set_exception(e)
        raise
    future.set_result(built)
    return built


def _disk_key(device: Device, program: Program) -> str:
    d = device.cl_device
    parts = (d.platform.name, d.platform.version, d.name, d.version, d.driver_version)
    features = sorted(device.profile.features)
    return cache.key_of(*parts, features, program.options, program.source)


def _load(device: Device, program: Program) -> Any:
    if device.driver not in KEEP_NO_BINARIES:
        return None
    binary = cache.load("binary", _disk_key(device, program))
    if binary is None:
        return None
    import pyopencl as cl
    from pyopencl import _cl

    try:
        built = _cl._Program(device.context, [device.cl_device], [binary])
        built._build(program.options.encode(), [device.cl_device])
    except cl.Error:  # a driver that changed without changing its version
        return None
    counts.cache_hits += 1
    return built


def _compile(device: Device, program: Program) -> Any:
    import pyopencl as cl
    from pyopencl import _cl

    counts.compiles += 1
    built = _cl._Program(device.context, program.source)
    try:
        built._build(program.options.encode(), [device.cl_device])
    except cl.Error as e:
        raise _refused(device, program, built, e) from None
    if device.driver in KEEP_NO_BINARIES:
        binaries: Any = built.get_info(cl.program_info.BINARIES)
        cache.store("binary", _disk_key(device, program), bytes(binaries[0]))
    return built


def _refused(device: Device, program: Program, built: Any, error: Exception) -> KernelBuildError:
    """Keep the source in a file and say what the driver said."""
    import pyopencl as cl

    try:
        log = built.get_build_info(device.cl_device, cl.program_build_info.LOG).strip()
    except cl.Error:
        log = str(error)
    path = keep_source(program.source)
    lines = log.splitlines()
    shown = "\n".join(lines[:30] + (["..."] if len(lines) > 30 else []))
    options = f" with options {program.options!r}" if program.options else ""
    return KernelBuildError(
        f"{device.name} refused a kernel{options}. Its source is kept in {path}; "
        f"the driver says:\n{shown or error}"
    )


def keep_source(source: str) -> Path:
    """Write the source where the user can read it: one file per distinct source."""
    name = f"fx-{hashlib.sha256(source.encode()).hexdigest()[:12]}.cl"
    root = cache.directory()
    for folder in ([root / "failed"] if root else []) + [Path(tempfile.gettempdir())]:
        try:
            os.makedirs(folder, exist_ok=True)
            (folder / name).write_text(source)
        except OSError:
            continue
        return folder / name
    return Path("(no directory could be written)")


def make_kernel(built: Any, name: str) -> Any:
    """A new kernel object, with arguments of its own."""
    import pyopencl as cl

    try:
        return cl.Kernel(built, name)
    except cl.Error as e:
        raise KernelBuildError(f"the program has no kernel {name!r}: {e}") from None
