"""Live: when each temporary of a plan must keep its contents.

In: steps in their final order, each counted as one unit of time. Out: a `Span` for each temporary.
Merging moves launches, so this looks at what is left and not at the order of planning. A value that
a loop hands on lives through the loop, as does what is touched both inside and outside of it. Of
two buffers that a loop may leave exchanged each lies in the other's memory: they live together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lowering.plan import BufferRef, CondStep, CopyStep, HostStep, Launch, LoopStep, Step
from lowering.planning import exchange
from lowering.planning.memory import Span

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

Times = dict[int, tuple[int, int]]  # slot -> first and last time, inclusive


def spans(p: Planner, steps: Sequence[Step]) -> dict[int, Span]:
    """First and last use of every temporary of the arena."""
    temps = {k for k, s in enumerate(p.slots) if s.kind == "temp" and not s.own}
    times, _ = _of_steps(steps, 0)
    pairs = exchange.exchanged(steps, lasting=True)
    for a, b in pairs * len(pairs):  # a buffer of two loops' pairs widens both: as often as needed
        times[a] = times[b] = (min(times[a][0], times[b][0]), max(times[a][1], times[b][1]))
    return {k: Span(p.slots[k].nbytes, *times[k]) for k in times if k in temps}


def _of_steps(steps: Sequence[Step], now: int) -> tuple[Times, int]:
    """Times of a list of steps that begins at `now`, and the time after it."""
    found: Times = {}
    whole: Times = {}  # the same with loops as one piece
    for s in steps:
        inner, end = _of_step(s, now)
        for slot, times in inner.items():
            if slot in found:
                found[slot] = whole[slot] = (whole[slot][0], end - 1)
            else:
                found[slot], whole[slot] = times, (now, end - 1)
        now = end
    return found, now


def _of_step(s: Step, now: int) -> tuple[Times, int]:
    if isinstance(s, LoopStep):
        times, end = _of_steps((*s.cond, *s.body), now)
        handed_on = [k for pair in exchange.of_loop(s) for k in pair]
        handed_on += [s.flag.id] if s.flag is not None else []
        return times | dict.fromkeys(handed_on, (now, end - 1)), end
    if isinstance(s, CondStep):
        times, end = _of_steps([x for branch in s.branches for x in branch], now + 1)
        changed = [s.index.id, *(k for pair in s.pairs for k in pair)]
        return times | dict.fromkeys(changed, (now, end - 1)), end
    return dict.fromkeys(touched(s), (now, now)), now + 1


def touched(s: Step) -> set[int]:
    """Every buffer that a step reads, writes or swaps."""
    if isinstance(s, Launch):
        return {*s.reads, *s.writes, *(a.id for a in s.args if isinstance(a, BufferRef))}
    if isinstance(s, CopyStep):
        return {s.src.id, s.dst.id}
    if isinstance(s, HostStep):
        return {r.id for r in (*s.ins, *s.outs)}
    if isinstance(s, LoopStep):
        found = set().union(*(touched(x) for x in (*s.body, *s.cond)))
        found |= {k for pair in s.swaps for k in pair}
        return found | ({s.flag.id} if s.flag is not None else set())
    found = {k for pair in s.pairs for k in pair}
    return found.union({s.index.id}, *(touched(x) for b in s.branches for x in b))
