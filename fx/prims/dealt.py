"""NumPy's loops by all cores: elementwise rules of large arrays, a block at a time.

In: a rule whose result's elements depend on the operands' elements alone. Out: one of the same
bits, whose blocks the caller and the threads of a pool take in turns; what a rule makes on its way
stays in the second-level cache. NumPy lets other threads run inside its loops.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

LONG = 1 << 19
"""Elements; a thread that sleeps takes as long to wake as NumPy to go through a tenth of them."""

BLOCK = 1 << 16
"""Elements: 256 KB of float32 for each array."""


def dealt(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The elementwise rule, dealt to the cores where arrays lie row by row."""

    def run(*xs: np.ndarray) -> Any:
        shape = max((x.shape for x in xs), key=len)
        if not all(not x.ndim or (x.shape == shape and x.flags.c_contiguous) for x in xs):
            return rule(*xs)
        flat = [x.reshape(-1) if x.ndim else x for x in xs]
        first = np.asarray(rule(*(x[:BLOCK] if x.ndim else x for x in flat)))
        size = max(x.size for x in flat)
        out = np.empty(size, first.dtype)
        out[:BLOCK] = first
        direct = isinstance(rule, np.ufunc)

        def work(start: int) -> None:
            at = slice(start, start + BLOCK)
            given = [x[at] if x.ndim else x for x in flat]
            if direct:
                rule(*given, out=out[at])
            else:
                out[at] = rule(*given)

        by_cores(work, range(BLOCK, size, BLOCK))
        return out.reshape(shape)

    return run


def by_cores(work: Callable[[Any], None], items: Any) -> None:
    """`work(item)` for every item, by this thread and those of the pool; raises what one raises."""
    rest = iter(items)
    helpers = []
    with suppress(RuntimeError):  # Python ends, or there are no more threads for this user
        helpers += [_pool().submit(_run, work, rest) for _ in range(_cores() - 1)]
    try:
        _run(work, rest)
    finally:
        for _ in rest:  # after an error: leave nothing to the others
            pass
        for helper in helpers:
            if not helper.cancel():
                helper.result()


def _run(work: Callable[[Any], None], rest: Iterator[Any]) -> None:
    with np.errstate(all="ignore"):
        for item in rest:
            work(item)


@cache
def _cores() -> int:
    found = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return min(len(found), 8)


@cache
def _pool() -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max(1, _cores() - 1), "fx-numpy")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
