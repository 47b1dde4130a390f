"""Profiling under JAX's names: traces are written as Chrome trace events, with the user's spans.

A trace holds the spans that `TraceAnnotation` and `annotate_function` open, and what the run-time
counted between start and stop (launches, builds, copies).
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from fx import array
from fx.devices import effects_barrier, live_arrays

__all__ = [
    "ProfileOptions",
    "StepTraceAnnotation",
    "TraceAnnotation",
    "annotate_function",
    "device_memory_profile",
    "save_device_memory_profile",
    "start_trace",
    "stop_trace",
    "trace",
]


class ProfileOptions:
    """Options of a trace; kept as attributes."""

    host_tracer_level = 2
    python_tracer_level = 0
    device_tracer_level = 1


class _Session:
    """The trace that is being recorded."""

    def __init__(self, folder: str):
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self.counters = array.counters()
        self.lock = threading.Lock()
        self.start = time.perf_counter()

    def add(self, name: str, start: float, end: float, args: dict[str, Any]) -> None:
        event = {"name": name, "ph": "X", "pid": os.getpid(), "tid": threading.get_ident()}
        times = {"ts": (start - self.start) * 1e6, "dur": (end - start) * 1e6}
        with self.lock:
            self.events.append({**event, **times, "args": args})


_session: _Session | None = None


def start_trace(
    log_dir: str | os.PathLike[str],
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: ProfileOptions | None = None,
) -> None:
    """Record from now on, to be written below `log_dir`; RuntimeError if a trace is recorded."""
    global _session
    if _session is not None:
        raise RuntimeError("Profile has already been started. Only one profile may be run at once.")
    _session = _Session(os.fspath(log_dir))


def stop_trace() -> None:
    """End the trace and write `<log_dir>/plugins/profile/<time>/trace.json.gz`."""
    global _session
    if _session is None:
        raise RuntimeError("No profile started")
    effects_barrier()
    session, _session = _session, None
    session.add("trace", session.start, time.perf_counter(), _counted(session.counters))
    stamp = time.strftime("%Y_%m_%d_%H_%M_%S")
    folder = Path(session.folder) / "plugins" / "profile" / stamp
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "trace.json.gz", "wt") as f:
        json.dump({"traceEvents": session.events}, f)


def _counted(before: Any) -> dict[str, Any]:
    difference = array.counters() - before
    fields = dataclasses.asdict(difference)
    return {k: v for k, v in fields.items() if isinstance(v, int | float | str)}


@contextmanager
def trace(
    log_dir: str | os.PathLike[str],
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: ProfileOptions | None = None,
) -> Iterator[None]:
    """Record a trace of a block."""
    start_trace(log_dir)
    try:
        yield
    finally:
        stop_trace()


class TraceAnnotation:
    """A named span of a trace: a context manager; costs next to nothing where none is recorded.

    >>> with TraceAnnotation("load", batch=3):
    ...     pass
    """

    def __init__(self, name: str, **kwargs: Any):
        self.name, self.args = name, kwargs

    def __enter__(self) -> TraceAnnotation:
        self.start = time.perf_counter()
        return self

    def __exit__(self, *exc: Any) -> None:
        if _session is not None:
            _session.add(self.name, self.start, time.perf_counter(), self.args)


class StepTraceAnnotation(TraceAnnotation):
    """A span that is one training step: give `step_num`."""


def annotate_function(
    func: Callable[..., Any], name: str | None = None, **decorator_kwargs: Any
) -> Callable[..., Any]:
    """The function with a span around each call."""
    label = name or getattr(func, "__qualname__", repr(func))

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with TraceAnnotation(label, **decorator_kwargs):
            return func(*args, **kwargs)

    return wrapper


def device_memory_profile(backend: str | None = None) -> bytes:
    """The live arrays by shape and dtype, as JSON text."""
    held: dict[str, list[int]] = {}
    for x in live_arrays():
        entry = held.setdefault(f"{x.dtype.name}{list(x.shape)}", [0, 0])
        entry[0] += 1
        entry[1] += x.nbytes
    return json.dumps({k: {"arrays": n, "bytes": b} for k, (n, b) in held.items()}).encode()


def save_device_memory_profile(
    filename: str | os.PathLike[str], backend: str | None = None
) -> None:
    """Write `device_memory_profile()` to a file."""
    Path(filename).write_bytes(device_memory_profile(backend))


def start_server(port: int) -> Any:
    """Not offered: traces are written to files by `start_trace`."""
    raise RuntimeError("there is no profiler server; record a trace with start_trace(log_dir)")
