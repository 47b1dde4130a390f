"""One library in one process: reads commands, one JSON object a line, and answers each with one.

Commands: open, prepare (build a row, first call, checksums), time, cost, close. Only `prepare` and
`time` run the row; the runner sees to it that one worker measures at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import sys
import time
from typing import Any

import numpy as np

from benchmarks.chains import find
from benchmarks.library import Library, leaves, open_library
from benchmarks.rows import Program
from benchmarks.torch_rows import functions

FRESH = 256 << 20
"""Bytes that are written to before a first call: what a host has not given a virtual machine yet
takes 1 to 5 ms for each MB, and who comes first would pay."""

CLOCK = time.process_time if os.environ.get("FX_BENCH_CLOCK") == "process" else time.perf_counter


def checksums(result: Any) -> list[list[float]]:
    """Three float64 sums for each array: values, magnitudes, values weighted by position."""
    sums = []
    for leaf in leaves(result):
        x = np.asarray(leaf).astype(np.float64).ravel()
        weights = np.cos(np.arange(x.size) * 0.7)
        sums.append([float(x.sum()), float(np.abs(x).sum()), float(x @ weights)])
    return sums


class Worker:
    """The state of one worker: the library, and the row that is prepared."""

    def __init__(self, library: str):
        self.library: Library = open_library(library)
        self.scope = contextlib.ExitStack()
        self.program: Program | None = None
        self.call: Any = None
        self.args: tuple[Any, ...] = ()

    def open(self) -> dict[str, Any]:
        """Starts the library's run-time with a trivial function."""
        lib = self.library
        start = time.perf_counter()
        if lib.name in ("fx", "jax"):
            lib.wait(lib.jit(lambda x: x + 1)(lib.put(np.zeros(3, np.float32))))
        return {"version": lib.version, "start_ms": (time.perf_counter() - start) * 1e3}

    def supports(self, name: str) -> bool:
        """Whether this library can run the row's text."""
        if self.library.name == "numpy":
            return find(name).numpy
        if self.library.name == "torch":
            return name in functions(self.library.module)
        return True

    def prepare(self, row: str) -> dict[str, Any]:
        """Builds the row and makes its first call."""
        self.close()
        if not self.supports(row):
            return {"skipped": True}
        lib = self.library
        if find(row).x64:
            self.scope.enter_context(lib.x64())
        if lib.name == "torch":
            program = find(row).build(open_library("numpy"))
            self.call = functions(lib.module)[row]
        else:
            program = find(row).build(lib)
            self.call = lib.jit(program.fn, donate_argnums=program.donate)
        self.program = program
        self.args = lib.put(program.args)
        lib.wait(self.args)
        np.empty(FRESH, np.uint8)[:: mmap.PAGESIZE] = 0
        start = time.perf_counter()
        result = lib.wait(self.call(*self.args))
        first = (time.perf_counter() - start) * 1e3
        answer = {"first_ms": first, "checksums": checksums(result)}
        self.advance(result)
        return answer

    def advance(self, result: Any) -> None:
        """The results that are the next call's state take its arguments' place."""
        carry = self.program.carry
        if carry:
            self.args = (*result[:carry], *self.args[carry:])

    def time(self, seconds: float, least: int) -> dict[str, Any]:
        """Waited-for calls for about `seconds`, at least `least`; and calls without waiting."""
        call, wait, clock = self.call, self.library.wait, CLOCK
        times: list[float] = []
        stop = time.perf_counter() + seconds
        while len(times) < least or time.perf_counter() < stop:
            start = clock()
            result = wait(call(*self.args))
            times.append((clock() - start) * 1e3)
            self.advance(result)
            result = None
        answer: dict[str, Any] = {"ms": times}
        if min(times) < 0.2 and not self.program.donate:
            start = clock()
            for _ in range(500):
                result = call(*self.args)
            answer["async_ms"] = (clock() - start) * 1e3 / 500
            wait(result)
        return answer

    def cost(self) -> dict[str, Any]:
        """What one call costs without a clock; fx only."""
        from benchmarks.costs import cost_of_call

        return cost_of_call(self)

    def close(self) -> dict[str, Any]:
        """Drops the row and its arrays."""
        self.program, self.call, self.args = None, None, ()
        self.scope.close()
        return {}


def main() -> None:
    """Answers commands until the input ends. What the library prints goes to stderr."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker(parser.parse_args().library)
    for line in sys.stdin:
        command = json.loads(line)
        action = command.pop("do")
        try:
            answer = getattr(worker, action)(**command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:600]}
            with contextlib.suppress(Exception):
                worker.close()
        channel.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
