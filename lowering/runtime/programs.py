"""Programs: OpenCL source to driver objects, built once per (device, source, options).

In memory the newest and those that executables use; on disk binaries of drivers that keep none
themselves (Intel's CPU runtime), and bitcode for PoCL (lean.py), which keeps the machine code. A
refused program leaves its source in a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import tempfile
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowering import ending
from lowering.errors import KernelBuildError
from lowering.plan import Launch, Plan, Program
from lowering.pocl import ahead, builders, kept, lean, parts, stock
from lowering.pocl.apart import Apart
from lowering.pocl.aside import Piece
from lowering.runtime import cache, devices, drivers
from lowering.runtime.counters import counts
from lowering.runtime.devices import Device

KEEP_NO_BINARIES = frozenset({"intel"})
"""Drivers without a disk cache of their own."""

KEEP = 1 << 20
"""Characters of a device's programs that are kept though no executable may use them: of each PoCL
takes 30 bytes, Intel's runtime 220.
"""

_lock = threading.Lock()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Built:
    """A driver's program; its kernels' names end in `suffix`."""

    program: Any
    suffix: str = ""


def build_all(device: Device, plan: Plan) -> list[Built]:
    """A plan's built programs, in order; several that are not known yet are built side by side: on
    two threads, or, for PoCL, which compiles one at a time, in processes of its own.
    """
    programs = plan.programs
    missing = [p for p in programs if not _is_there(device, (p.source, p.options))]
    if device.driver == "pocl":
        early = _build_ahead(device, plan, missing) if missing and shared(device) else {}
        return [build(device, p, early.get(p)) for p in programs]
    if len(missing) < 2 or ending.over:  # no thread can begin any more
        return [build(device, p) for p in programs]
    device.queue  # noqa: B018 (makes context and queue before threads race for them)
    from concurrent.futures import ThreadPoolExecutor  # cannot be imported while Python ends

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda p: build(device, p), programs))


def shared(device: Device) -> bool:
    """Whether other processes build for this device: what they make must be kept on disk."""
    kept = os.environ.get("POCL_KERNEL_CACHE") != "0" and cache.directory() is not None
    return lean.known(device) and kept


def _build_ahead(device: Device, plan: Plan, missing: Sequence[Program]) -> dict[Program, Any]:
    """Put bitcode and machine code of a plan's programs on disk, where `build` finds them; what
    this process has loaded meanwhile.
    """
    launches: dict[int, dict[Any, tuple[str, int, int]]] = {}
    for s in plan.walk():
        if isinstance(s, Launch) and s.stage is not None and s.kernel == "fx" and s.groups:
            (size,), (local,) = s.global_size, s.local_size or (1,)
            kind = local, s.groups < ahead.SMALL_GRID
            launches.setdefault(s.program, {})[kind] = s.kernel, size, local
    jobs: dict[str, tuple[Program, Any]] = {}
    for k, p in enumerate(plan.programs):
        if p in missing and k in launches and lean.suits(device, p.source):
            key = _lean_key(device, p)
            if not cache.has("bitcode", key):
                jobs[key] = p, launches[k].values()
    loaded: dict[Program, Any] = {}
    if not jobs:
        return loaded
    first = next(p for p, _ in jobs.values())
    whole = [lean.job(p.source, p.options, key[:32], x) for key, (p, x) in jobs.items()]
    pieces = _pieces(device, *jobs.items()) if len(jobs) == 1 else None  # else all are busy
    codes = builders.share(
        whole, pieces and pieces.apart, lambda c: _load_early(device, first, c, loaded)
    )
    for (key, (p, _)), code in zip(jobs.items(), codes, strict=True):
        if code is None:
            loaded.pop(p, None)
            continue
        counts.compiles += 1
        cache.store("bitcode", key, code)
    if pieces is not None:
        pieces.store()
    stock.ask(device)
    return loaded


def _load_early(device: Device, program: Program, code: bytes, loaded: dict[Program, Any]) -> None:
    """Make a program of bitcode while a builder makes its machine code: PoCL looks for that when
    the program is launched, and writes nothing that matters before.
    """
    import pyopencl as cl

    with contextlib.suppress(cl.Error):
        loaded[program] = lean.load(device, code, program.options)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A job in pieces, the beginning of the disk's keys, and what is made for it."""

    apart: Apart
    at: str
    modules: list[parts.Module]

    def store(self) -> None:
        """Keep what was made and has parts."""
        for m, piece in zip(self.modules, self.apart.made):
            for key in m.keys:
                body = marshal.dumps((*piece, list(m.calls)))
                cache.store("piece", cache.key_of(self.at, key), body)


def _pieces(device: Device, job: tuple[str, tuple[Program, Any]]) -> _Pieces | None:
    """A job in pieces, those that are on disk and those that are not; None where it is one."""
    key, (program, launches) = job
    text = parts.read(program.source) if Apart.able else None
    if text is None:
        return None
    at = cache.key_of(*lean.machine(device), lean.prelude(), program.options)
    known = on_disk(at, text.keys.values())
    others = builders.processes() - 1
    main, lists = text.deal(known, others)
    alone = main
    if others and not lists:
        main, lists = text.deal(known, others, 1)
    if not (known or lists):
        return None
    texts = [[lean.piece(m.source, program.options) for m in modules] for modules in lists]
    job_, otherwise = (
        lean.job(m.source, program.options, key[:32], launches) for m in (main, alone)
    )
    otherwise = otherwise if alone is not main else None
    pieces = list({piece[0]: piece for piece in known.values()}.values())
    modules = [m for modules in lists for m in modules]
    return _Pieces(Apart(job_, pieces, texts, otherwise), at, modules)


def on_disk(at: str, keys: Iterable[str]) -> dict[str, Piece]:
    """The pieces on disk that have these parts, by key, if the parts that they call are there."""
    found: dict[str, tuple[bytes, bytes, list[str]]] = {}
    for key in keys:
        body = cache.load("piece", cache.key_of(at, key))
        if body is not None:
            found[key] = marshal.loads(body)
    while lacking := [key for key, (*_, calls) in found.items() if not found.keys() >= set(calls)]:
        for key in lacking:
            del found[key]
    return {key: (code, made) for key, (code, made, _) in found.items()}


def build(device: Device, program: Program, loaded: Any = None) -> Built:
    """One program; threads that ask for the same one at once build it once. `loaded`: what PoCL has
    made of its bitcode, if that is known.
    """
    key = (program.source, program.options)
    with _lock:
        future = _found(device, key)
        mine = future is None
        if future is None:
            future = Future()
        device.programs[key] = future  # the newest
        _retire(device, KEEP)
    if not mine:
        error = future.exception()
        if error is not None and not isinstance(error, Exception):
            return build(device, program, loaded)  # Ctrl-C was meant for the thread that built it
        counts.cache_hits += 1
        return future.result()
    try:
        built = ending.away(_built, device, program, loaded)
    except BaseException as e:
        device.programs.pop(key, None)  # the next call tries again
        future.set_exception(e)
        raise
    future.set_result(built)
    return built


def _is_there(device: Device, key: tuple[str, str]) -> bool:
    return key in device.programs or key in device.in_use


def _found(device: Device, key: tuple[str, str]) -> Future | None:
    """The program under a key, taken out of where it stands."""
    future, built = device.programs.pop(key, None), device.in_use.pop(key, None)
    if future is None and built is not None:
        future = Future()
        future.set_result(built)
    return future


def _retire(device: Device, keep: int) -> None:
    """Hold the newest programs, of `keep` characters in all, and those that are being built."""
    room = keep
    for key in reversed(list(device.programs)):
        room -= len(key[0])
        future = device.programs[key]
        if room < 0 and future.done():
            del device.programs[key]
            if future.exception() is None:
                device.in_use[key] = future.result()


def forget() -> None:
    """Let go of the programs that no executable uses."""
    with _lock:
        for device in devices.known():
            _retire(device, 0)


def _built(device: Device, program: Program, loaded: Any) -> Built:
    return _lean(device, program, loaded) or _load(device, program) or _compile(device, program)


def _disk_key(device: Device, program: Program) -> str:
    d = device.cl_device
    parts = (d.platform.name, d.platform.version, d.name, d.version, d.driver_version)
    features = sorted(device.profile.features)
    return cache.key_of(*parts, features, program.options, program.source)


def _lean_key(device: Device, program: Program) -> str:
    parts = (lean.prelude(), program.options, program.source)
    return cache.key_of(*lean.machine(device), *parts)


def _lean(device: Device, program: Program, loaded: Any) -> Built | None:
    """The program by PoCL's short way, from bitcode kept on disk if it is there."""
    import pyopencl as cl

    if not lean.suits(device, program.source):
        return None
    key = _lean_key(device, program)
    name = key[:32]
    folder = drivers.pocls_cache()
    kernels = [os.path.join(folder, f"{k}_{name}") for k in lean.kernels(program.source)]
    if not all(map(kept.only_whole, kernels)):
        return None  # nor can it be taken away
    if not any(variant for k in kernels for variant in kept.files(k)):
        _need_room(folder)
    if loaded is not None:
        counts.cache_hits += 1
        return Built(loaded, f"_{name}")
    code = cache.load("bitcode", key)
    counts.cache_hits += code is not None
    if code is None:
        counts.compiles += 1
        code = lean.bitcode(device, program.source, program.options, name)
        if code is None:
            return None
        cache.store("bitcode", key, code)
    try:
        return Built(lean.load(device, code, program.options), f"_{name}")
    except cl.Error:
        return None


def _need_room(folder: str) -> None:
    """Raise where PoCL has no room for what it makes: it would end the process."""
    trouble = drivers.trouble(folder)
    if trouble is not None:
        raise KernelBuildError(
            f"a kernel cannot be built: PoCL's folder {folder} cannot be written to ({trouble}). "
            "Make room there, or name another one in POCL_CACHE_DIR."
        )


def _load(device: Device, program: Program) -> Built | None:
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
    return Built(built)


def _compile(device: Device, program: Program) -> Built:
    import pyopencl as cl
    from pyopencl import _cl

    if device.driver == "pocl":
        _need_room(drivers.pocls_cache())
    counts.compiles += 1
    built = _cl._Program(device.context, program.source)
    try:
        built._build((program.options + device.profile.options).encode(), [device.cl_device])
    except cl.Error as e:
        raise _refused(device, program, built, e) from None
    if device.driver in KEEP_NO_BINARIES:
        binaries: Any = built.get_info(cl.program_info.BINARIES)
        cache.store("binary", _disk_key(device, program), bytes(binaries[0]))
    return Built(built)


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


def make_kernel(built: Built, name: str) -> Any:
    """A new kernel object, with arguments of its own."""
    import pyopencl as cl

    try:
        return ending.away(cl.Kernel, built.program, name + built.suffix)
    except cl.Error as e:
        raise KernelBuildError(f"the program has no kernel {name!r}: {e}") from None
