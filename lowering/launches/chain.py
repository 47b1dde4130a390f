"""Chain: launches in a row become one launch, of a team that shares the items of each.

A thread that waits for the next launch sleeps, and may be awake again when half of that is over.
In: steps in their final order, their memory planned. Out: the same steps, runs of launches as one.
What depends on shapes stands in a buffer that the plan brings along, so the text does not; the
claims in it are zero again when the team has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering.build.values import LONG
from lowering.emit.scope import Stage
from lowering.launches.effort import UNITS_PER_US
from lowering.launches.merge import MAX_BUFFERS
from lowering.launches.team import LONGEST_US, Scratch, TeamWriter, shares
from lowering.nest import NestBuffer
from lowering.plan import BufferRef, Launch, Step, Times
from lowering.planning import program

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

Pieces = list[list[Launch] | Step]


def chains(p: Planner, steps: Sequence[Step]) -> list[Step]:
    """The steps with runs of launches as one launch each; their stages join the planner's."""
    if not shares(p):
        return list(steps)
    out: list[Step] = []
    for x in _pieces(p, steps):
        if isinstance(x, list):
            out.append(_chain(p, x) if len(x) > 1 else x[0])
        else:
            out.append(x)
    return out


def _pieces(p: Planner, steps: Sequence[Step]) -> Pieces:
    """The runs of launches; where programs are built side by side, cut so that each has as much."""
    used = [s.stage for s in steps if isinstance(s, Launch) and s.stage is not None]
    used = list(dict.fromkeys(used))
    stages = [p.stages[k] for k in used]
    count = program.count_of([program.size(x) for x in stages], p.profile)
    if count < 2:
        return _cut(p, steps, {}, 0)[0]
    texts = dict(zip(used, map(program.pieces, stages)))
    low, high = 0, sum(len(t) for t in set().union(*texts.values()))
    while high - low > high // 50:
        middle = (low + high) // 2
        _, programs = _cut(p, steps, texts, middle)
        low, high = (low, middle) if programs <= count else (middle, high)
    return _cut(p, steps, texts, high)[0]


def _cut(
    p: Planner, steps: Sequence[Step], texts: dict[int, set[str]], most: int
) -> tuple[Pieces, int]:
    """The runs, cut where a program begins, and how many programs of at most so many characters
    there are.
    """
    found: Pieces = []
    run, slots, us = None, set(), 0.0  # the open run, its buffers and microseconds
    held, size, programs = set(), 0, 1  # what the open program has
    for s in steps:
        if not isinstance(s, Launch) or s.stage is None or not _able(p, s):
            found.append(s)
            run = None
            continue
        more = texts.get(s.stage, set()) - held
        size += sum(map(len, more))
        held |= more
        if size > most and held != more:
            held = set(texts.get(s.stage, ()))
            size, run = sum(map(len, held)), None
            programs += 1
        mine = {a.id for a in s.args if isinstance(a, BufferRef)}
        one = p.stages[s.stage].cost / UNITS_PER_US
        full = len(slots | mine) >= MAX_BUFFERS or us + one > LONGEST_US
        if run is None or full or len(run) >= program.PER_PROGRAM:
            run, slots, us = [], set(), 0.0
            found.append(run)
        run.append(s)
        slots |= mine
        us += one
    return found, programs


def _able(p: Planner, s: Launch) -> bool:
    """Whether a launch may be a part."""
    moves = any(isinstance(a, BufferRef) and (a.offset or a.step) for a in s.args)
    return p.stages[s.stage].local == 1 and not moves  # type: ignore[index]


def _chain(p: Planner, run: list[Launch]) -> Launch:
    slot = p.slot("const", (), LONG)
    w = _ChainWriter(p, slot, Scratch(p.profile.compute_units))
    w.steps(run)
    text = w.text()
    w.keep(slot)
    slots = list(w.slots)
    label = " + ".join(dict.fromkeys(x.label for x in run if x.label))
    buffers = [NestBuffer.raw(np.dtype(np.uint8)) for _ in slots]
    stage = Stage(text, buffers, [], w.scratch.members, 1, label, helpers=tuple(w.helpers))
    stage.cost = sum(p.stages[x.stage].cost for x in run)  # type: ignore[index]
    stage.inner = tuple(w.inner)
    stage.head = "FX_LIST"
    at = p.stage(stage)
    args: tuple[Any, ...] = tuple(BufferRef(k) for k in slots)
    reads = tuple(dict.fromkeys(k for x in run for k in x.reads))
    writes = tuple(dict.fromkeys(k for x in run for k in x.writes))
    times = Times(slot, w.scratch.words, tuple(x.label for x in run))
    return Launch(0, "fx", (stage.items,), args, (1,), at, label, reads, writes, times)


class _ChainWriter(TeamWriter):
    """Launches to C text; the times of each stand before the numbers."""

    def steps(self, group: Sequence[Launch]) -> None:
        first = self.scratch.words
        self.base = first + len(group) + 1
        self.line(f"team_timed(&t, (__global ulong *){self.common} + {first});")
        for x in group:
            self.shared([x])

    def call(self, name: str, args: list[str], groups: int) -> None:
        self.line(f"{name}({', '.join([self.item, *args])});")
