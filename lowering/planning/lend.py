"""Lend: outputs lend their memory to temporaries that are done before the output is written.

In: steps in their final order. Out: which output's memory such a temporary has; called by its
number, it takes no room in the arena. A call has its outputs' memory from the start, and gradients
are written last, when the largest temporaries are done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lowering.plan import ArrayRef, BufferRef, CondStep, CopyStep, HostStep, Launch, LoopStep, Step
from lowering.planning.live import touched

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

LEAST = 1 << 15
"""Bytes; below that the arena, which is the same in every call, is the warmer place."""


def lend(p: Planner, steps: Sequence[Step]) -> dict[int, int]:
    """The temporaries in outputs, and these."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for k, s in enumerate(steps):
        for slot in touched(s):
            first.setdefault(slot, k)
            last[slot] = k
    swapped = {k for s in steps for k in _swapped(s)}
    slots = p.slots
    outputs = [
        k
        for k in first
        if slots[k].kind == "output" and slots[k].alias is None and k not in swapped
    ]
    temps = [
        k
        for k in first
        if slots[k].kind == "temp" and not slots[k].own and slots[k].nbytes >= LEAST
    ]
    outputs.sort(key=lambda k: (slots[k].nbytes, k))
    guests: dict[int, list[int]] = {k: [] for k in outputs}
    home: dict[int, int] = {}
    for t in sorted(temps, key=lambda k: (-slots[k].nbytes, first[k], k)):
        for o in outputs:
            if slots[o].nbytes < slots[t].nbytes or last[t] >= first[o] or t in swapped:
                continue
            if all(last[t] < first[g] or last[g] < first[t] for g in guests[o]):
                guests[o].append(t)
                home[t] = o
                break
    return home


def renamed(steps: Sequence[Step], home: dict[int, int]) -> list[Step]:
    """The steps with temporaries called by the number of their home."""
    return [_renamed(s, home) for s in steps] if home else list(steps)


def _swapped(s: Step) -> set[int]:
    """The buffers that change roles in a step."""
    if isinstance(s, LoopStep):
        return {k for pair in s.swaps for k in pair}.union(*map(_swapped, (*s.body, *s.cond)))
    if isinstance(s, CondStep):
        found = {k for pair in s.pairs for k in pair}
        return found.union(*(_swapped(x) for branch in s.branches for x in branch))
    return set()


def _renamed(s: Any, home: dict[int, int]) -> Any:
    """A step or a reference with temporaries called by the number of their home."""
    if isinstance(s, BufferRef | ArrayRef):
        return replace(s, id=home[s.id]) if s.id in home else s
    if isinstance(s, Launch):
        args = tuple(_renamed(a, home) for a in s.args)
        reads, writes = (tuple(home.get(k, k) for k in ks) for ks in (s.reads, s.writes))
        return replace(s, args=args, reads=reads, writes=writes)
    if isinstance(s, CopyStep):
        return replace(s, src=_renamed(s.src, home), dst=_renamed(s.dst, home))
    if isinstance(s, HostStep):
        ins, outs = (tuple(_renamed(r, home) for r in rs) for rs in (s.ins, s.outs))
        return replace(s, ins=ins, outs=outs)
    if isinstance(s, LoopStep):
        body, cond = (tuple(_renamed(x, home) for x in xs) for xs in (s.body, s.cond))
        flag = s.flag and _renamed(s.flag, home)
        return replace(s, body=body, cond=cond, flag=flag)
    if isinstance(s, CondStep):
        branches = tuple(tuple(_renamed(x, home) for x in b) for b in s.branches)
        return replace(s, index=_renamed(s.index, home), branches=branches)
    return s
