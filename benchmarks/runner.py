"""Starts one worker per library and lets them take turns: rows -> Measurement per row.

Rounds alternate the order of the libraries, so that a slow minute of the machine falls on all of
them; the ratio of a row is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEER_PYTHON = "FX_BENCH_PEER_PYTHON"
SETTLE = 0.1  # seconds after NumPy's turn: OpenBLAS's threads spin for 2**26 cycles and more

ONE_THREAD = {
    "POCL_MAX_PTHREAD_COUNT": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "FX_BENCH_CLOCK": "process",
}
"""Variables that leave each library one thread, and its CPU time as the clock."""


def environment(cache: str, device: str | None) -> dict[str, str]:
    """The workers' environment: every disk cache begins empty in a folder of this run."""
    chosen = dict(os.environ)
    for name in ("FX_CACHE_DIR", "POCL_CACHE_DIR", "XDG_CACHE_HOME"):
        chosen[name] = str(Path(cache) / name.lower())
        Path(chosen[name]).mkdir()
    if device:
        chosen["FX_DEVICE"] = device
    return chosen


class WorkerFailed(RuntimeError):
    """A worker died or took too long."""


class Process:
    """A worker process and the line it talks over."""

    def __init__(self, library: str, environment: dict[str, str]):
        self.library = library
        python = sys.executable
        if library in ("jax", "torch"):
            python = os.environ.get(PEER_PYTHON, python)
        self.child = subprocess.Popen(
            [python, "-m", "benchmarks.worker", library],
            cwd=ROOT, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put("")

    def ask(self, do: str, timeout: float = 120, **arguments: Any) -> dict[str, Any]:
        """Sends a command and waits for its answer."""
        try:
            self.child.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            self.close()
            raise WorkerFailed(f"{do} took more than {timeout:.0f} s") from None
        except OSError:
            raise WorkerFailed("the worker has ended") from None
        if not line:
            raise WorkerFailed("the worker has ended")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()


@dataclass
class Measurement:
    """What one library did on one row; times in milliseconds."""

    first: float | None = None
    second_process: float | None = None
    rounds: list[float] = field(default_factory=list)
    async_ms: float | None = None
    checksums: list[list[float]] = field(default_factory=list)
    cost: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    skipped: bool = False

    @property
    def ms(self) -> float | None:
        """The median of the rounds' medians."""
        return statistics.median(self.rounds) if self.rounds else None


Results = dict[str, dict[str, Measurement]]


class Runner:
    """Keeps a worker per library alive; a dead one is started again for the next row."""

    def __init__(self, libraries: Iterable[str], environment: dict[str, str]):
        self.libraries = list(libraries)
        self.environment = environment
        self.processes: dict[str, Process] = {}
        self.versions: dict[str, str] = {}
        self.starts: dict[str, float] = {}

    def process(self, library: str) -> Process:
        """The library's worker, started if there is none."""
        process = self.processes.get(library)
        if process is None or process.child.poll() is not None:
            process = self.processes[library] = Process(library, self.environment)
            answer = process.ask("open")
            if "error" in answer:
                raise WorkerFailed(answer["error"])
            self.versions[library] = answer["version"]
            self.starts.setdefault(library, answer["start_ms"])
        return process

    def ask(self, m: Measurement, library: str, do: str, **arguments: Any) -> dict[str, Any]:
        """Like Process.ask; failures are noted in the measurement."""
        try:
            answer = self.process(library).ask(do, **arguments)
        except WorkerFailed as failure:
            answer = {"error": str(failure)}
        if "error" in answer:
            m.error = answer["error"]
        return answer

    def measure(self, row: str, rounds: int, seconds: float) -> dict[str, Measurement]:
        """Prepares the row in every library, then takes turns."""
        results = {library: Measurement() for library in self.libraries}
        for library, m in results.items():
            answer = self.ask(m, library, "prepare", row=row)
            m.skipped = answer.get("skipped", False)
            m.first, m.checksums = answer.get("first_ms"), answer.get("checksums", [])
        alive = [lib for lib, m in results.items() if not (m.error or m.skipped)]
        for turn in range(rounds + 1):
            for library in alive if turn % 2 else reversed(alive):
                m = results[library]
                if m.error:
                    continue
                span = seconds if turn else seconds / 4
                answer = self.ask(m, library, "time", seconds=span, least=2)
                if library == "numpy":
                    time.sleep(SETTLE)
                if turn and "ms" in answer:  # turn 0 warms up
                    m.rounds.append(statistics.median(answer["ms"]))
                    m.async_ms = answer.get("async_ms")
        for library in alive:
            if library == "fx" and not results[library].error:
                cost: dict[str, Any] = self.ask(results[library], library, "cost")
                results[library].cost = cost
            self.ask(Measurement(), library, "close")
        return results

    def second_process(self, results: Results) -> None:
        """First calls of fx in a fresh process whose disk caches the first one filled."""
        self.close()
        for row, by_library in results.items():
            if by_library["fx"].error is None:
                answer = self.ask(Measurement(), "fx", "prepare", row=row)
                by_library["fx"].second_process = answer.get("first_ms")
        self.close()

    def close(self) -> None:
        """Ends all workers."""
        for process in self.processes.values():
            process.close()
        self.processes.clear()


def agree(one: list[list[float]], other: list[list[float]], tolerance: float) -> bool:
    """Whether checksums are equal within the tolerance of the sum of magnitudes."""
    if len(one) != len(other):
        return False
    for a, b in zip(one, other):
        scale = max(abs(a[1]), abs(b[1]), 1e-30)
        if not all(abs(x - y) <= tolerance * scale for x, y in zip(a, b)):
            return False
    return True


def paired_ratio(mine: Measurement, peer: Measurement) -> float | None:
    """Median over the rounds of the peer's time by mine; above 1 is faster than the peer."""
    pairs = [p / m for m, p in zip(mine.rounds, peer.rounds)]
    return statistics.median(pairs) if pairs else None
