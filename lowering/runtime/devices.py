"""Devices: what OpenCL offers, as objects with a profile, one in-order queue and a memory pool.

Nothing is loaded until a device is asked for. FX_DEVICE chooses the default: a kind (gpu, cpu), a
driver (pocl, intel, nvidia, ...), part of a name, "platform:device" numbers, or "interpreter". The
suffix "+explicit" makes a CPU driver behave as if the host could not see its memory (for tests).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowering import ending
from lowering.errors import DeviceError
from lowering.pocl import processor
from lowering.profile import INSTRUCTIONS, Profile
from lowering.runtime import drivers
from lowering.runtime.counters import counts
from lowering.runtime.memory import (
    HostStorage,
    PlainStorage,
    Pool,
    Storage,
    host_view,
    physical_bytes,
)

LONG_WAIT = 0.05
"""Seconds. After a wait that took longer, the next ones poll, so that Ctrl-C gets through."""


CALLS_AHEAD = 64
"""Calls whose completion nobody has looked at yet, before the host waits for as many before them:
what queued calls read is held, and a process can only end when the queue is empty."""

L3_SHARE = 16 << 20
"""Bytes of a shared L3 cache that are one core's, at most."""

LOCAL_THREAD = "cl_intel_exec_by_local_thread"
IN_CALLING_THREAD = 1 << 31  # the property of a queue that this extension adds

_lock = threading.RLock()  # discovery, contexts, queues: things made once


class Device:
    """An OpenCL device, or the interpreter, that arrays live on and plans run on."""

    def __init__(self, index: int, profile: Profile, cl_device: Any = None, place: str = ""):
        self.id = index
        self.profile = profile
        self.name = profile.name
        self.driver = profile.driver
        self.place = place  # "platform:device", as FX_DEVICE takes it
        self.shared = profile.host_visible
        self.interpreter = profile.driver == "interpreter"
        self.pending: deque[tuple[Any, Any]] = deque()
        self.programs: dict[Any, Any] = {}  # the newest, owned by runtime.programs
        self.in_use: Any = weakref.WeakValueDictionary()  # older ones that executables hold
        self.pool = Pool(self)
        self.direct: Device | None = None  # the same, its kernels run in the thread that enqueues
        self.tail: list[Any] = [None]  # the newest launch's event, None once it is complete
        self._follows = threading.Lock()
        self.recorder: Any = None  # while a profile is taken
        self.unseen = 0  # calls enqueued since `milestone`
        self.milestone: Any = None  # a call's event
        self._cl_device = cl_device
        self._twin: Device | None = None  # whose context this one shares
        self._context: Any = None
        self._queue: Any = None
        self._long = False

    platform = property(lambda self: self.profile.kind)
    device_kind = property(lambda self: self.name)
    process_index = 0
    local_hardware_id = property(lambda self: self.id)

    def __repr__(self) -> str:
        return f"Device(id={self.id}, kind={self.platform!r}, driver={self.driver!r})"

    def __str__(self) -> str:
        return f"{self.driver}:{self.id}"

    def __reduce__(self) -> Any:
        return device, (self.driver if self.interpreter else self.place,)

    # driver objects, made at first use
    @property
    def cl_device(self) -> Any:
        """The pyopencl.Device; DeviceError for the interpreter."""
        if self._cl_device is None:
            raise DeviceError(f"{self.name} is no OpenCL device")
        return self._cl_device

    @property
    def context(self) -> Any:
        """Its pyopencl.Context, made at first use."""
        if self._context is None:
            import pyopencl as cl

            with _lock:
                if self._context is None:
                    self._context = (
                        cl.Context([self.cl_device]) if self._twin is None else self._twin.context
                    )
        return self._context

    @property
    def queue(self) -> Any:
        """Its pyopencl.CommandQueue, made at first use; calls run in its order."""
        if self._queue is None:
            import pyopencl as cl

            with _lock:
                if self._queue is None:
                    how: Any = 0 if self._twin is None else IN_CALLING_THREAD
                    self._queue = cl.CommandQueue(self.context, properties=how)
                    # a driver that is unloaded while it still builds or runs crashes the process
                    atexit.register(self._finish_at_exit, os.getpid())
        return self._queue

    def _finish_at_exit(self, process: int) -> None:
        if os.getpid() == process:  # a fork has no threads that could finish anything
            ending.end()  # or they would enqueue more and more
            self.finish()

    # waiting
    def wait(self, event: Any) -> None:
        """Return when `event` (of the last launch of a call) is complete."""
        begin = time.perf_counter()
        if self._long:
            pause = 2e-5
            while event.command_execution_status > 0:
                time.sleep(pause)
                pause = min(2 * pause, 1e-3)
        ending.away(event.wait)
        self._long = time.perf_counter() - begin > LONG_WAIT
        if self.pending:
            self.reap()

    def keep_pace(self, event: Any) -> None:
        """Wait for the milestone before; `event`, of the newest call, is the next one."""
        last, self.milestone, self.unseen = self.milestone, event, 0
        if last is not None:
            self.wait(last)

    def follow(self, before: list[Any], event: Any) -> None:
        """A call has enqueued its last launch; the tail was `before` when it began. Where another
        thread's call came between, either may be the newer one: a marker is newer than both.
        """
        with self._follows:
            alone = self.tail is before
            self.tail = [event if alone else marker(self.queue)]

    def idle(self) -> bool:
        """Whether everything that calls have enqueued has run; does not wait."""
        tail = self.tail  # a list of its own for each launch: clearing it touches no newer one
        event = tail[0]
        if event is not None and event.command_execution_status > 0:
            return False
        tail[0] = None
        if self.pending:
            self.reap()
        return True

    def finish(self) -> None:
        """Return when everything enqueued has run."""
        if self._queue is not None:
            self.wait(marker(self._queue)) if self._long else ending.away(self._queue.finish)
            self.reap()

    def hold(self, event: Any, things: Any) -> None:
        """Keep `things` alive until `event` is complete."""
        self.pending.append((event, things))
        if len(self.pending) > 64:
            self.reap()

    def reap(self) -> None:
        """Let go of what completed calls held."""
        pending = self.pending
        try:
            while pending and (first := pending[0])[0].command_execution_status <= 0:
                pending.remove(first)  # where it stands first or nowhere; the next may be under way
        except (IndexError, ValueError):  # another thread was quicker
            pass

    # arrays
    def put(self, array: np.ndarray) -> Storage | HostStorage | PlainStorage:
        """The array as a kernel argument: in place where the host's memory is shared."""
        if type(array) is not np.ndarray:  # a NumPy scalar
            array = np.asarray(array)
        if not (array.flags.c_contiguous and array.flags.aligned):
            array = np.array(array, order="C", copy=True)
        if self.interpreter:
            return PlainStorage(array)
        if self.shared:
            return HostStorage(array)
        return self.upload(array)

    def upload(self, array: np.ndarray) -> Storage:
        """A copy of the array in the device's own memory."""
        store = self.pool.take(array.nbytes)
        if array.nbytes:
            counts.copies += 1
            import pyopencl as cl

            data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            ending.away(cl.enqueue_copy, self.queue, store.arg, data, is_blocking=True)
        return store

    def fetch(
        self, store: Any, shape: tuple[int, ...], dtype: np.dtype, lease: Any = None
    ) -> np.ndarray:
        """The storage's contents on the host: a view where shared (wait first), which keeps the
        storage alive, and its lease; else a copy.
        """
        if self.shared:
            return host_view(store, shape, dtype, lease)
        out = np.empty(shape, dtype)
        if out.nbytes:
            counts.copies += 1
            import pyopencl as cl

            flat = out.reshape(-1).view(np.uint8)
            ending.away(cl.enqueue_copy, self.queue, flat, store.arg, is_blocking=True)
        return out

    def in_calling_thread(self, serial: Any = None) -> Device:
        """This device as one whose kernels run in the thread that enqueues them: PoCL has another,
        `serial`, for that; Intel's runtime has queues that do it.
        """
        lane = Device(self.id, self.profile, serial or self._cl_device, self.place)
        lane.pool = self.pool
        if serial is None:
            lane._twin, lane.programs, lane.in_use = self, self.programs, self.in_use
        return lane

    def as_explicit(self) -> Device:
        """This device with memory of its own, as a GPU has: for testing that path on a CPU."""
        profile = self.profile.with_(host_visible=False)
        return Device(self.id, profile, self._cl_device, self.place + "+explicit")


def marker(queue: Any) -> Any:
    """An event that is complete when all that was enqueued before it is."""
    import pyopencl as cl

    event = cl.enqueue_marker(queue)
    queue.flush()
    return event


# ---------------------------------------------------------------- discovery

_devices: list[Device] | None = None
_interpreter: Device | None = None
_chosen: dict[str, Device] = {}


def devices() -> list[Device]:
    """All OpenCL devices, the best first: GPUs, then Intel's CPU runtime, PoCL, other CPUs."""
    global _devices
    with _lock:
        if _devices is None:
            _devices = _discover()
        return _devices


def _discover() -> list[Device]:
    from lowering.runtime import forks

    pairs = drivers.opencl_devices()
    forks.watch()
    platforms = list(dict.fromkeys(p for p, _ in pairs))
    found = []
    for number, p in enumerate(platforms):
        of_platform = [d for q, d in pairs if q == p]
        found += [(profile_of(p, d), d, f"{number}:{k}", p) for k, d in enumerate(of_platform)]
    found.sort(key=lambda entry: _rank(entry[0]))
    there = [Device(k, profile, d, place) for k, (profile, d, place, _) in enumerate(found)]
    for d, (*_, platform) in zip(there, found, strict=True):
        serial = drivers.serial_device(platform)
        if d.shared and (serial is not None or LOCAL_THREAD in d.cl_device.extensions):
            d.direct = d.in_calling_thread(serial)
    return there


def interpreter() -> Device:
    """The device that runs Graph in NumPy; it needs no driver."""
    global _interpreter
    if _interpreter is None:
        memory = physical_bytes()
        _interpreter = Device(
            0,
            Profile(
                "cpu",
                driver="interpreter",
                name="NumPy interpreter",
                memory_bytes=memory,
                max_alloc=memory,
                fp16=True,
            ),
        )
    return _interpreter


def known() -> list[Device]:
    """The devices that someone has asked for, those that launch in the calling thread too."""
    there = {*(_devices or ()), *_chosen.values()}
    return [*there, *(d.direct for d in there if d.direct is not None)]


def default_device(wanted: Sequence[str] = ()) -> Device:
    """The device that FX_DEVICE names, else the first of `wanted` that there is, else the best."""
    named = os.environ.get("FX_DEVICE", "")
    for name in () if named else wanted[:-1]:
        with contextlib.suppress(DeviceError):
            return device(name)
    return device(named or (wanted[-1] if wanted else ""))


def device(spec: str) -> Device:
    """The device that `spec` names (see the head of this module); "" is the best one."""
    found = _chosen.get(spec)
    if found is None:
        with _lock:
            found = _chosen[spec] = _chosen.get(spec) or _find(spec)
    return found


def _find(spec: str) -> Device:
    name, _, suffix = spec.strip().lower().partition("+")
    if suffix not in ("", "explicit"):
        raise DeviceError(f"FX_DEVICE={spec!r}: the only suffix is +explicit")
    if name == "interpreter":
        return interpreter()
    found = devices()
    if not found:
        raise DeviceError(
            f"No OpenCL driver was found. Install the embedded one:  {drivers.MEND}\n"
            "(FX_DEVICE=interpreter runs everything in NumPy, without a driver.)"
        )
    if name:
        for test in (
            lambda d: d.platform == name,
            lambda d: d.driver == name,
            lambda d: d.place == name,
            lambda d: name in d.name.lower(),
        ):
            matching = [d for d in found if test(d)]
            if matching:
                found = matching
                break
        else:
            there = ", ".join(f"{d.driver} ({d.platform} {d.place} {d.name!r})" for d in found)
            raise DeviceError(f"no device matches {spec!r}; there are: {there}, and interpreter")
    return found[0].as_explicit() if suffix else found[0]


def _rank(p: Profile) -> int:
    if p.kind == "gpu":
        return 0
    return {"intel": 1, "pocl": 2}.get(p.driver, 3)


# ---------------------------------------------------------------- profiles

_DRIVERS = {
    "portable computing language": "pocl",
    "intel": "intel",
    "nvidia": "nvidia",
    "amd": "amd",
    "apple": "apple",
    "rusticl": "rusticl",
    "arm": "arm",
    "qualcomm": "qualcomm",
}


def profile_of(platform: Any, d: Any) -> Profile:
    """What the compiler needs to know of an OpenCL device."""
    import pyopencl as cl

    low = platform.name.lower()
    driver = next((short for word, short in _DRIVERS.items() if word in low), low)
    gpu = bool(d.type & (cl.device_type.GPU | cl.device_type.ACCELERATOR))
    extensions = set(d.extensions.split())
    features = frozenset() if gpu else processor.features()
    wide = "avx512f" in features
    if gpu:
        vector, registers = 16, 128
    elif features:
        vector = 64 if wide else 32 if "avx" in features else 16
        registers = 32 if wide else 16
    else:
        vector, registers = max(16, 4 * d.native_vector_width_float), 32
    shared = not gpu and (driver == "pocl" or bool(_svm(d) & 4))
    memory = physical_bytes() if shared else d.global_mem_size
    l1, l2, l3 = (0, d.global_mem_cache_size, 0) if gpu else _caches(d.max_compute_units)
    forced = os.environ.get("FX_SCHEDULE", "")
    if forced not in ("", "cpu", "gpu"):
        raise DeviceError(f"FX_SCHEDULE={forced!r}: expected cpu or gpu")
    return Profile(
        "gpu" if gpu else "cpu",
        driver=driver,
        name=d.name.strip(),
        vector_bytes=vector,
        registers=registers,
        features=features.intersection(INSTRUCTIONS),
        fp64=bool(d.double_fp_config),
        fp16="cl_khr_fp16" in extensions,
        subgroups=_subgroups(d, extensions),
        host_visible=shared,
        compute_units=d.max_compute_units,
        max_group=d.max_work_group_size,
        local_bytes=d.local_mem_size,
        l1_bytes=l1,
        l2_bytes=l2,
        l3_bytes=l3,
        memory_bytes=memory,
        max_alloc=memory if shared else d.max_mem_alloc_size,
        arguments=d.max_parameter_size // 8 if gpu else Profile.arguments,
        align=max(Profile.align, d.mem_base_addr_align // 8),
        options=_exact(d) if gpu else "",
        host_sorts=processor.compresses_quickly(),  # docs/why/sorting.md
        schedule=forced or ("gpu" if gpu else "cpu"),  # type: ignore[arg-type]
    )


def _caches(cores: int) -> tuple[int, int, int]:
    """Bytes of one core's L1 data, L2 and of the L3 cache, with common sizes where unknown.

    A virtual machine of two cores reads here that it has the L3 of all the processor's.
    """
    sizes = {1: 32 << 10, 2: 1 << 20, 3: 8 << 20}
    for index in range(6):
        place = f"/sys/devices/system/cpu/cpu0/cache/index{index}/"
        try:
            texts = [Path(place + n).read_text().strip() for n in ("level", "type", "size")]
        except OSError:
            break
        if texts[1] != "Instruction" and texts[2].endswith("K"):
            sizes[int(texts[0])] = int(texts[2][:-1]) << 10
    return sizes[1], sizes[2], min(sizes[3], cores * L3_SHARE)


def _exact(d: Any) -> str:
    """The option that makes division and square root of float32 exact, where a GPU offers it: the
    errors that `mathlib` states hold with exact ones.
    """
    import pyopencl as cl

    offered = d.single_fp_config & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT
    return " -cl-fp32-correctly-rounded-divide-sqrt" if offered else ""


def _svm(d: Any) -> int:
    try:
        return int(d.svm_capabilities)
    except Exception:  # OpenCL 1.x drivers raise, or lack the attribute
        return 0


def _subgroups(d: Any, extensions: set[str]) -> bool:
    try:  # part of the core from OpenCL 2.1 on; 0 where there are none
        return bool(d.max_num_sub_groups)
    except Exception:
        return "cl_khr_subgroups" in extensions
