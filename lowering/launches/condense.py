"""Condense: a host-driven loop of small launches becomes one launch: of one work-item that runs
`for t { stage 1; stage 2; ... }`, or of a team of them.

In: finished steps. Out: steps in which loops that are cheaper so are launches of a new stage. The
same stage functions run over the same items in the same order, so the numbers are the same; state
stays in scratch, and in cache. A while loop makes a bounded number of steps a launch, and the host
looks at its flag in between. Branches of little work are a launch, too, where no loop in them would
have to be interrupted: the host need not wait for the number of the one to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering.build.values import LONG
from lowering.emit.scope import Stage
from lowering.launches.effort import LONGEST_US, UNITS_PER_US, host_us, one_task_us, steps_of
from lowering.launches.merge import MAX_BUFFERS
from lowering.launches.team import Scratch, TeamWriter, team_us
from lowering.launches.writer import Writer
from lowering.nest import NestBuffer
from lowering.plan import BufferRef, CondStep, Launch, LoopStep, Step
from lowering.planning import exchange
from lowering.planning.live import touched

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

CHUNK_US = 50_000.0  # of steps of a while loop in one launch
BYTE = np.dtype(np.uint8)


def condense(p: Planner, steps: Sequence[Step]) -> list[Step]:
    """The steps with loops condensed; their stages join the planner's."""
    return [x for s in steps for x in _step(p, s)]


def _step(p: Planner, s: Step) -> list[Step]:
    if isinstance(s, LoopStep):
        if s.flag is not None and s.flag.id in p.chunk_flags:
            return [s]
        one = one_task_us(p.stages, s)
        host = host_us(p.stages, p.profile.compute_units, s)
        team = team_us(p, s) if one is not None else None
        if one is not None and team is not None and team < min(one, host):
            why = "a team runs it: its launches would cost more, and one item is slower"
            p.reasons.append((s.label or "loop", why))
            return _team(p, s, one, team)
        if one is not None and one < host:
            p.reasons.append((s.label or "loop", "it is one task: its launches would cost more"))
            return _task(p, s, one)
        return [replace(s, body=tuple(condense(p, s.body)), cond=tuple(condense(p, s.cond)))]
    if isinstance(s, CondStep):
        inner = replace(s, branches=tuple(tuple(condense(p, b)) for b in s.branches))
        return [_branches(p, inner)]
    return [s]


def _branches(p: Planner, s: CondStep) -> Step:
    """A launch of one item that takes the branch, where that is cheaper than the host."""
    us = one_task_us(p.stages, s)
    if us is None or p.profile.schedule != "cpu" or any(map(_endless, _inside(s))):
        return s
    few = len(touched(s)) <= MAX_BUFFERS
    if not few or us > min(host_us(p.stages, p.profile.compute_units, s), LONGEST_US):
        return s
    w = Writer(p)
    with w.at_home(exchange.of_branches([s])):
        w.branch(s)
    p.reasons.append((s.label or "cond", "it is one task: the host would wait for its number"))
    return _launch(p, s, w, us, 1)


def _inside(s: CondStep) -> list[Step]:
    return [x for b in s.branches for x in b]


def _endless(s: Step) -> bool:
    """Whether only data end a loop in a step."""
    if isinstance(s, CondStep):
        return any(map(_endless, _inside(s)))
    return isinstance(s, LoopStep) and (s.flag is not None or any(map(_endless, s.body)))


# ---------------------------------------------------------------- the stage


def _task(p: Planner, s: LoopStep, us: float) -> list[Step]:
    """Launch the loop; a while loop again until its flag falls."""
    chunk = _turns(s, us)
    w = Writer(p)
    w.loop(s, chunk)
    return _repeated(s, _launch(p, s, w, us, 1))


def _team(p: Planner, s: LoopStep, us: float, shared_us: float) -> list[Step]:
    """The same by a team."""
    chunk = _turns(s, shared_us)
    scratch = Scratch(p.profile.compute_units)
    slot = p.slot("const", (), LONG)
    w = TeamWriter(p, slot, scratch)
    w.loop(s, chunk)
    w.keep(slot)
    return _repeated(s, _launch(p, s, w, us, scratch.members))


def _turns(s: LoopStep, us: float) -> int:
    """How many turns of a while loop one launch makes; 0 for a counted loop."""
    if s.count is not None:
        return 0
    return max(64, min(1 << 20, int(CHUNK_US / max(us / max(1, steps_of(s)), 1e-3))))


def _launch(p: Planner, s: LoopStep | CondStep, w: Writer, us: float, items: int) -> Launch:
    slots = list(w.slots)
    buffers = [NestBuffer.raw(BYTE) for _ in slots]
    label = s.label or ("loop" if isinstance(s, LoopStep) else "cond")
    stage = Stage(w.text(), buffers, [], items, 1, label, helpers=tuple(w.helpers))
    stage.cost = us * UNITS_PER_US
    stage.inner = tuple(w.inner)
    args: tuple[Any, ...] = tuple(BufferRef(k) for k in slots)
    at = p.stage(stage)
    used = tuple(k for k in slots if p.slots[k].kind != "const")
    return Launch(0, "fx", (items,), args, (1,), at, label, used, used)


def _repeated(s: LoopStep, launch: Launch) -> list[Step]:
    if s.count is not None:
        return [launch]
    again = LoopStep((launch,), None, (), False, (), s.flag, label=s.label)
    return [launch, again]
