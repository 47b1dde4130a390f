"""Profiling under JAX's names: what ran when on the device, by the user's labels.

A trace times every launch on the device's own clock, and holds the spans that `TraceAnnotation` and
`annotate_function` open, and what the run-time counted (launches, builds, copies). It is written as
Chrome trace events, for chrome://tracing or ui.perfetto.dev, and printed as a table.
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
    "Profile",
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
    """Options of a trace: attributes with JAX's names. A trace is the same with all of them."""

    host_tracer_level = 2
    python_tracer_level = 0
    device_tracer_level = 1


class Profile:
    """What a trace has found. `launches`: function, label, place, start and seconds of each launch
    and host step; `events`: Chrome trace events; printed, it is a table by label.
    """

    def __init__(self, folder: str | None):
        self.folder = folder
        self.path: Path | None = None  # of the file, once written
        self.launches: list[Any] = []
        self.events: list[dict[str, Any]] = []
        self._counters = array.counters()
        self._lock = threading.Lock()
        self._recorders = array.record_launches()
        self._start = time.perf_counter()

    def add(self, name: str, start: float, end: float, args: dict[str, Any]) -> None:
        """A span of the calling thread."""
        self._event(name, threading.get_ident(), start, end - start, args)

    def _event(self, name: str, row: Any, start: float, seconds: float, args: Any) -> None:
        times = {"ts": (start - self._start) * 1e6, "dur": seconds * 1e6}
        event = {"name": name, "ph": "X", "pid": os.getpid(), "tid": row, **times, "args": args}
        with self._lock:
            self.events.append(event)

    def stop(self) -> None:
        """Take what the devices have recorded, and write the file."""
        effects_barrier()
        self.launches = sorted((x for r in self._recorders for x in r.stop()), key=_start_of)
        end, rows = time.perf_counter(), {}
        for x in self.launches:
            row = rows.setdefault(x.place, len(rows) + 1)
            self._event(_short(x.label), row, x.start, x.seconds, {"function": x.function})
        self.add("trace", self._start, end, _counted(self._counters))
        for place, row in rows.items():
            name = {"name": "thread_name", "ph": "M", "pid": os.getpid(), "tid": row}
            self.events.append({**name, "args": {"name": place}})
        if self.folder is not None:
            folder = Path(self.folder) / "plugins" / "profile" / time.strftime("%Y_%m_%d_%H_%M_%S")
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / "trace.json.gz"
            with gzip.open(self.path, "wt") as f:
                json.dump({"traceEvents": self.events}, f)

    def table(self, limit: int = 30) -> str:
        """Launches by function and label, the longest in sum first: times in milliseconds."""
        sums: dict[tuple[str, str, str], list[float]] = {}
        for x in self.launches:
            sums.setdefault((x.function, _short(x.label), x.place), []).append(x.seconds * 1e3)
        whole = sum(map(sum, sums.values())) or 1.0
        lines = ["| function | label | where | times | ms | mean | share |", "|" + "---|" * 7]
        ordered = sorted(sums.items(), key=lambda entry: -sum(entry[1]))
        for (function, label, place), ms in ordered[:limit]:
            cells = (function, label, place, str(len(ms)), f"{sum(ms):.3f}")
            mean, share = sum(ms) / len(ms), sum(ms) / whole
            lines.append("| " + " | ".join((*cells, f"{mean:.4f}", f"{share:.1%}")) + " |")
        return "\n".join(lines)

    __str__ = table


def _start_of(launch: Any) -> float:
    return launch.start


def _short(label: str) -> str:
    """The label with its files' names alone."""
    return " ".join(w.rpartition("/")[2] if ":" in w else w for w in label.split(" "))


_session: Profile | None = None


def start_trace(
    log_dir: str | os.PathLike[str] | None = None,
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: ProfileOptions | None = None,
) -> None:
    """Record from now on, to be written below `log_dir` if given; RuntimeError if a trace is on.

    Launches are slower to enqueue meanwhile; their own times are the device's.
    """
    global _session
    if _session is not None:
        raise RuntimeError("Profile has already been started. Only one profile may be run at once.")
    _session = Profile(None if log_dir is None else os.fspath(log_dir))


def stop_trace() -> Profile:
    """End the trace, write <log_dir>/plugins/profile/<time>/trace.json.gz, return the Profile;
    RuntimeError where no trace is on.
    """
    global _session
    if _session is None:
        raise RuntimeError("No profile started")
    session, _session = _session, None
    session.stop()
    return session


def _counted(before: Any) -> dict[str, Any]:
    difference = array.counters() - before
    fields = dataclasses.asdict(difference)
    return {k: v for k, v in fields.items() if isinstance(v, int | float | str)}


@contextmanager
def trace(
    log_dir: str | os.PathLike[str] | None = None,
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: ProfileOptions | None = None,
) -> Iterator[Profile]:
    """Record a trace of a block; it gives the Profile, which is complete after the block.

    >>> import fx
    >>> f = fx.jit(lambda x: fx.numpy.exp(x).sum())
    >>> with trace() as profile:
    ...     total = f(fx.numpy.ones(1000))
    >>> len(profile.launches) >= 1
    True
    >>> print(profile.table().splitlines()[0])
    | function | label | where | times | ms | mean | share |
    """
    start_trace(log_dir)
    assert _session is not None
    try:
        yield _session
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
    """A span that is one step of training: a TraceAnnotation with `step_num`, its number.

    >>> with StepTraceAnnotation("train", step_num=7):
    ...     pass
    """


def annotate_function(
    func: Callable[..., Any], name: str | None = None, **decorator_kwargs: Any
) -> Callable[..., Any]:
    """The function with a span around each call, of its qualified name or `name`."""
    label = name or getattr(func, "__qualname__", repr(func))

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with TraceAnnotation(label, **decorator_kwargs):
            return func(*args, **kwargs)

    return wrapper


def device_memory_profile(backend: str | None = None) -> bytes:
    """The live arrays as JSON: {"float32[2, 3]": {"arrays": how many, "bytes": of all}, ...}."""
    held: dict[str, list[int]] = {}
    for x in live_arrays():
        entry = held.setdefault(f"{x.dtype.name}{list(x.shape)}", [0, 0])
        entry[0] += 1
        entry[1] += x.nbytes
    return json.dumps({k: {"arrays": n, "bytes": b} for k, (n, b) in held.items()}).encode()


def save_device_memory_profile(
    filename: str | os.PathLike[str], backend: str | None = None
) -> None:
    """Write `device_memory_profile()`, JSON text of the live arrays, to a file."""
    Path(filename).write_bytes(device_memory_profile(backend))


def start_server(port: int) -> Any:
    """Not offered: traces are written to files by `start_trace`."""
    raise RuntimeError("there is no profiler server; record a trace with start_trace(log_dir)")
