"""Finding OpenCL drivers: what must be set before the first platform query, and the query itself.

PoCL's wheel is found by pyopencl alone. Intel's CPU runtime, if its two wheels are installed, is
registered here: its own ICD file names a path of the machine that built it. Thread counts are also
environment variables that drivers read once, at that query.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from lowering.errors import DeviceError
from lowering.pocl import processor, workshop
from lowering.pocl.ahead import SERIAL
from lowering.runtime import invokers
from lowering.runtime.cache import CacheWarning

MEND = 'pip install "pyopencl[pocl]"'
"""The one command that gives every machine a driver."""

ROOM = 2 << 20
"""Bytes that the files of a kernel take while it is built, at most: PoCL has no error for a full
disk, it ends the process."""

_queried = False
added: dict[str, str] = {}  # to the environment, for Intel's runtime
_serial: dict[Any, Any] = {}  # PoCL's platform -> its device without threads
_THREAD_VARIABLES = ("POCL_MAX_PTHREAD_COUNT", "POCL_CPU_MAX_CU_COUNT", "DPCPP_CPU_NUM_CUS")


def set_num_threads(n: int) -> None:
    """Let CPU drivers use `n` threads. Only before the first use of a device: they read it once."""
    if n < 1:
        raise ValueError(f"the number of threads must be positive, not {n}")
    if _queried:
        raise RuntimeError(
            "set_num_threads: the OpenCL drivers are already loaded and read their thread count "
            "only then. Call it before the first jitted call, or set POCL_MAX_PTHREAD_COUNT "
            "(PoCL) or DPCPP_CPU_NUM_CUS (Intel) in the environment."
        )
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(n)


def opencl_devices() -> list[tuple[Any, Any]]:
    """All (platform, device) pairs that the installed drivers offer; [] if there is no driver."""
    global _queried
    if not _queried:
        register_intel()
        place_pocls_cache()
        _queried = True
    try:
        import pyopencl as cl
    except ImportError as e:
        raise DeviceError(f"pyopencl cannot be imported ({e}). Run:  {MEND}") from e
    invokers.spare()
    if not processor.familiar():
        for library in Path(cl.__file__).parent.glob(".libs/libpocl*"):
            processor.give_name(str(library))
    chosen = "POCL_DEVICES" in os.environ
    if not chosen:  # PoCL reads it once: at its devices' query, or earlier beside other platforms
        os.environ["POCL_DEVICES"] = "pthread basic"
    try:
        return [(p, d) for p in _platforms(cl) for d in _devices_of(cl, p, chosen)]
    finally:
        if not chosen:
            del os.environ["POCL_DEVICES"]


def _platforms(cl: Any) -> list[Any]:
    try:
        return cl.get_platforms()
    except cl.Error:  # none at all
        return []


def _devices_of(cl: Any, platform: Any, chosen: bool) -> list[Any]:
    """The platform's devices. Unless someone chose PoCL's, it offers the one that runs a kernel in
    the thread that enqueues it as well, which it otherwise hides: that is for `serial_device`.
    """
    try:
        there = platform.get_devices()
    except cl.Error:  # a driver without a device, as on a machine without its GPU
        return []
    if chosen or "portable computing" not in platform.name.lower():
        return there
    for d in there:
        if d.name.startswith(SERIAL):
            _serial[platform] = d
    return [d for d in there if not d.name.startswith(SERIAL)]


def serial_device(platform: Any) -> Any:
    """The platform's device that runs kernels in the thread that enqueues them, or None."""
    return _serial.get(platform)


def pocls_cache() -> str:
    """The folder in which PoCL keeps machine code."""
    return os.environ.get("POCL_CACHE_DIR") or os.path.join(_caches(), "pocl", "kcache")


def _caches() -> str:
    home = os.path.expanduser("~")
    return os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")


def place_pocls_cache() -> None:
    """PoCL offers no device where it cannot write its cache, and pyopencl cannot be imported where
    it cannot write its own: then the one gets a folder for now, the other goes without.
    """
    if trouble(os.path.join(_caches(), "pytools")) is not None:
        os.environ.setdefault("PYOPENCL_NO_CACHE", "1")
    folder = pocls_cache()
    why = trouble(folder)
    if why is None:
        return
    places = (tempfile.gettempdir(), workshop.MEMORY)
    place = next((p for p in places if workshop.suits(p) and trouble(p) is None), None)
    own = tempfile.mkdtemp(prefix="fx-pocl-", dir=place)
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    os.environ["POCL_CACHE_DIR"] = own
    warnings.warn(
        f"PoCL's cache {folder} cannot be used: {why}. Kernels are kept in {own} until this "
        "process ends; POCL_CACHE_DIR names another folder.",
        CacheWarning,
        stacklevel=2,
    )


def trouble(folder: str) -> OSError | None:
    """Why no kernel's files can be written to a folder, or None."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as f:
            if hasattr(os, "posix_fallocate"):  # a full disk, or no more for this user
                os.posix_fallocate(f.fileno(), 0, ROOM)
            return None
    except OSError as e:
        return e


def register_intel() -> None:
    """Point the ICD loaders at Intel's runtime if its wheels are here and no one chose drivers."""
    if os.environ.get("OCL_ICD_VENDORS") or os.environ.get("OCL_ICD_FILENAMES"):
        return
    library = _intel_library()
    if library is None:
        return
    folder = Path(tempfile.mkdtemp(prefix="fx-icd-"))
    (folder / "intel.icd").write_text(f"{library}\n")
    system = Path("/etc/OpenCL/vendors")  # no longer read by the loader once the variable is set
    if system.is_dir():
        for icd in system.glob("*.icd"):
            (folder / icd.name).write_bytes(icd.read_bytes())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    added["OCL_ICD_VENDORS"] = str(folder)
    added["OCL_ICD_FILENAMES"] = str(library)  # the Khronos loader adds it to the system's
    os.environ.update(added)


def _intel_library() -> Path | None:
    """libintelocl.so of the wheel, if the wheel with the compiler's libraries is here as well."""
    roots = [Path(sys.prefix) / "lib", *(Path(p).parent.parent for p in sys.path if p)]
    for root in roots:
        library = root / "libintelocl.so"
        if library.is_file() and (root / "libimf.so").is_file():
            return library
    return None
