"""One thread of BLAS for all but large matrices, whoever calls: the bits of a sum depend on it.

Threads of BLAS spin for each other. Where others have the cores (kernels in flight, another
process), a factorisation of 512 rows takes hundreds of milliseconds in the place of four.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, NamedTuple

LARGE = 1024 * 1024  # elements from which its threads are worth their meeting


class Pool(NamedTuple):
    """How to ask for and to set a library's number of threads; whether all threads share it."""

    ask: Callable[[], int]
    change: Callable[[int], None]
    shared: bool


@cache
def pools() -> list[Pool]:
    """NumPy's BLAS and SciPy's."""
    import scipy.linalg  # noqa: F401  which loads the second of them
    import threadpoolctl

    found = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    shared = [getattr(p, "threading_layer", None) != "openmp" for p in found]
    return [Pool(p.get_num_threads, _changer(p), s) for p, s in zip(found, shared)]


def _changer(p: Any) -> Callable[[int], None]:
    """threadpoolctl does nothing for a thread that is not the first which changed the number, and
    asks who that is for 3 µs; what it calls then takes half a microsecond.
    """
    if (direct := getattr(p, "_real_set_num_threads", None)) is not None:
        return direct
    forget: Callable[..., None] = getattr(p, "clear_controlling_thread", lambda force: None)

    def change(n: int) -> None:
        forget(force=True)
        p.set_num_threads(n)
        forget(force=True)

    return change


Before = Sequence[tuple[Pool, int]]  # pools that had several threads, and how many
_lock = threading.Lock()
_inside = 0  # how many rules run now
_before: Before = ()  # of the pools that threads share


def _to_one(pools: Sequence[Pool]) -> Before:
    before = [(p, n) for p in pools if (n := p.ask()) > 1]
    for p, _ in before:
        p.change(1)
    return before


def _restore(before: Before) -> None:
    for p, n in before:
        p.change(n)


@cache
def _by_owner() -> tuple[list[Pool], list[Pool]]:
    """Pools that all threads share, and those of which each thread has its own."""
    found = pools()
    return [p for p in found if p.shared], [p for p in found if not p.shared]


def _enter() -> Before:
    """From here on BLAS has one thread; what the thread's own pools had before."""
    global _inside, _before
    shared, own = _by_owner()
    with _lock:
        if not _inside:
            _before = _to_one(shared)
        _inside += 1
    return _to_one(own)


def _leave(own: Before) -> None:
    """Who leaves last gives back what BLAS had."""
    global _inside
    _restore(own)
    with _lock:
        _inside -= 1
        if not _inside:
            _restore(_before)


def _in_child() -> None:
    global _lock, _inside
    _lock, _inside = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def with_one_blas_thread(rule: Any) -> Any:
    """The rule on one thread of BLAS, but for large matrices."""

    @wraps(rule)
    def limited(*arrays: Any, **params: Any) -> Any:
        if max((a.size for a in arrays), default=0) >= LARGE:
            return rule(*arrays, **params)
        own = _enter()
        try:
            return rule(*arrays, **params)
        finally:
            _leave(own)

    return limited
