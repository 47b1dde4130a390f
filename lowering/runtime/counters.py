"""Counters of what the run-time did, for tests ("this is one launch") and for users' questions.

One record for the process, owned by this module; `counters()` takes a copy, differences of copies
say what happened between them. Increments are not locked: with several threads a few may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counters:
    """Numbers since the process began, or since `reset`."""

    calls: int = 0  # of executables
    launches: int = 0  # kernels enqueued
    compiles: int = 0  # programs handed to a driver's compiler
    cache_hits: int = 0  # programs found in memory or in our disk cache
    plans_loaded: int = 0  # plans of earlier processes, found in the disk cache
    host_steps: int = 0  # NumPy functions and callbacks run inside plans
    copies: int = 0  # enqueued copies between buffers, uploads and downloads
    alloc_count: int = 0  # blocks asked of the system or driver (the pool's misses)
    live_bytes: int = 0  # held by arrays and running calls
    peak_bytes: int = 0  # the most that was ever live

    @property
    def kernels_launched(self) -> int:
        """Another name for `launches`."""
        return self.launches

    def __sub__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Counters)))

    def copy(self) -> Counters:
        return Counters(*(getattr(self, f.name) for f in fields(Counters)))


counts = Counters()
"""The live record; the run-time's modules add to it in place."""


def counters() -> Counters:
    """What was counted until now, as a copy."""
    return counts.copy()


def reset() -> None:
    """Start again from zero; live bytes stay what they are, and the peak starts there."""
    live = counts.live_bytes
    for f in fields(Counters):
        setattr(counts, f.name, 0)
    counts.live_bytes = counts.peak_bytes = live
