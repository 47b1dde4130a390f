"""Copies: small copies between launches become launches, which join the stages beside them.

In: steps in their final order. Out: the same, without commands of their own for a few bytes: a copy
that waits for a launch, and for which the next one waits, costs as much as both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering import scalar
from lowering.emit.scope import Stage
from lowering.nest import NestBuffer
from lowering.plan import CondStep, CopyStep, HostStep, IntArg, Launch, LoopStep, Step

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

SMALL = 1 << 16  # bytes


def as_launches(p: Planner, steps: Sequence[Step]) -> list[Step]:
    """The steps with small copies between launches, or several in a row, as launches, on a CPU."""
    if p.profile.schedule == "gpu":
        return list(steps)
    out = [_within(p, s) for s in steps]
    for copied, run in groupby(range(len(out)), lambda k: _plain(out[k])):
        group = [*run]
        beside = out[max(0, group[0] - 1)], out[min(len(out) - 1, group[-1] + 1)]
        joins = all(isinstance(s, Launch) and s.stage is not None for s in beside)
        if copied and (joins or len(group) > 1):
            for k in group:
                out[k] = _launch(p, out[k])
    return out


def _within(p: Planner, s: Step) -> Step:
    if isinstance(s, LoopStep):
        return replace(s, cond=tuple(as_launches(p, s.cond)), body=tuple(as_launches(p, s.body)))
    if isinstance(s, CondStep):
        calls = any(isinstance(x, HostStep) for b in s.branches for x in b)
        return replace(s, branches=tuple(tuple(_branch(p, b, calls)) for b in s.branches))
    return s


def _branch(p: Planner, steps: Sequence[Step], calls: bool) -> list[Step]:
    """One of which another `calls` the host is no more than launches as a rule: see `direct`."""
    out = as_launches(p, steps)
    return [_launch(p, s) if calls and _plain(s) else s for s in out]


def _plain(s: Step) -> bool:
    if not isinstance(s, CopyStep):
        return False
    moves = any(ref.offset or ref.step for ref in (s.src, s.dst))
    return 0 < s.nbytes <= SMALL and not moves


def _launch(p: Planner, s: Any) -> Launch:
    dtype = np.dtype(np.uint8 if s.nbytes % 4 else np.uint32)
    count = s.nbytes // dtype.itemsize
    buffers = [NestBuffer.raw(dtype), NestBuffer.raw(dtype)]
    buffers[0].written = False
    # elements of any type: C lets the compiler believe that a uint is no float
    word = f"typedef {scalar.memory_type(dtype)} __attribute__((may_alias)) word;"
    copied = "((__global word *)b1)[k] = ((__global const word *)b0)[k];"
    text = f"  {word}\n  for (long k = 0; k < n0; ++k) {copied}"
    at = p.stage(Stage(text, buffers, [count], 1, 1, s.label, cost=count / 4))
    args = (s.src, s.dst, IntArg(count, "long"))
    reads, writes = (s.src.id,), (s.dst.id,)
    return Launch(0, "fx", (1,), args, (1,), at, s.label, reads, writes)
