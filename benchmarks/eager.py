"""Eager speed: a function of 100 operations on small and large arrays, fx against NumPy.

`python -m benchmarks.eager` prints microseconds per operation. Both run in one process, in turns:
outside jit an operation of fx is NumPy's own, and what is measured is what fx adds to it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = (8, 1_000, 1_000_000)
OPERATIONS = 100


def hundred(xp: Any) -> Callable[[Any, Any], Any]:
    """A function of 100 elementwise operations in the namespace `xp`."""

    def f(x: Any, y: Any) -> Any:
        for _ in range(OPERATIONS // 5):
            x = x * y
            x = x + y
            x = xp.maximum(x, y)
            x = x - y
            x = xp.sqrt(x)
        return x

    return f


def seconds(f: Callable[..., Any], x: Any, y: Any, span: float) -> float:
    """Median time of a call, over about `span` seconds."""
    times, stop = [], time.perf_counter() + span
    while len(times) < 3 or time.perf_counter() < stop:
        start = time.perf_counter()
        f(x, y)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(rounds: int = 5, span: float = 0.1) -> list[tuple[int, float, float]]:
    """(elements, NumPy's, fx's microseconds per operation) for each size."""
    import fx
    import fx.numpy as fnp

    table = []
    for size in SIZES:
        x = np.linspace(0.5, 1.5, size, dtype=np.float32)
        y = np.linspace(1.0, 1.1, size, dtype=np.float32)
        u, v = fx.device_put(x), fx.device_put(y)
        mine, theirs = hundred(fnp), hundred(np)
        turns = [(seconds(theirs, x, y, span), seconds(mine, u, v, span)) for _ in range(rounds)]
        scale = 1e6 / OPERATIONS
        numpy_us, fx_us = (statistics.median(t) * scale for t in zip(*turns))
        table.append((size, numpy_us, fx_us))
    return table


def main() -> None:
    """Prints the table."""
    print("| elements | NumPy, µs an operation | fx | fx adds |")
    print("|---|---|---|---|")
    for size, numpy_us, fx_us in measure():
        print(f"| {size} | {numpy_us:.2f} | {fx_us:.2f} | {fx_us - numpy_us:.2f} |")


if __name__ == "__main__":
    main()
