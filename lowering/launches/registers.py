"""Which small carries of a condensed loop are variables of the task instead of memory.

A counter in memory is stored and loaded again in each step, and later loads wait for the address
that comes of it. A carry of a few bytes that only inlined stages touch, as scalars, is a private
array that the compiler keeps in registers; it is loaded before the loop and stored after it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from lowering.emit.scope import Stage
from lowering.plan import BufferRef, CondStep, Launch, LoopStep, Step
from lowering.planning import exchange

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

INLINE = 256.0  # flops of a stage for which a call costs more than it does
MAX_BYTES = 32


def registers(p: Planner, s: LoopStep) -> set[int]:
    """Slots of both sides of such carries, and the flag's."""
    steps = (*s.cond, *s.body)
    times = Counter(k for pair in exchange.of_loop(s) for k in pair)
    alone = [x for x in s.swaps if p.slots[x[1]].spare and all(times[k] == 1 for k in x)]
    pairs = [pair for pair in alone if all(_fits(p, k, steps) for k in pair)]
    found = {k for pair in pairs for k in pair}
    if s.flag is not None and not s.flag.step and not s.flag.offset and _fits(p, s.flag.id, steps):
        found.add(s.flag.id)
    return found


def _fits(p: Planner, slot: int, steps: tuple[Step, ...]) -> bool:
    """Whether all that touch a slot are inlined stages that go element by element."""
    if not 0 < p.slots[slot].nbytes <= MAX_BYTES:
        return False
    for step in steps:
        if not isinstance(step, Launch):
            if slot in touched(step):
                return False
            continue
        stage = p.stages[step.stage]  # type: ignore[index]
        for j in places(step, stage, {slot}):
            if stage.cost >= INLINE or not _by_elements(stage, j):
                return False
            if stage.buffers[j].dtype != p.slots[slot].dtype:
                return False
    return True


def places(step: Launch, stage: Stage, slots: set[int]) -> list[int]:
    """The arguments of a launch that are those slots."""
    refs = step.args[: len(stage.buffers)]
    return [j for j, ref in enumerate(refs) if isinstance(ref, BufferRef) and ref.id in slots]


def _by_elements(stage: Stage, j: int) -> bool:
    plain = re.search(rf"__global[^;]*\bb{j}\b", stage.text) is None
    return plain and not stage.helpers and all(k != j for k, _ in stage.windows)


def touched(step: Step) -> set[int]:
    """Slots that a step other than a launch of this loop may touch."""
    found: set[int] = set()
    todo = [step]
    while todo:
        x = todo.pop()
        if isinstance(x, Launch):
            found |= {*x.reads, *x.writes}
        elif isinstance(x, LoopStep):
            todo += [*x.body, *x.cond]
            found |= {k for pair in x.swaps for k in pair}
            found |= {x.flag.id} if x.flag is not None else set()
        else:
            for name in ("src", "dst", "index"):
                ref = getattr(x, name, None)
                found |= {ref.id} if ref is not None else set()
            if isinstance(x, CondStep):
                found |= {k for pair in x.pairs for k in pair}
                todo += [y for branch in x.branches for y in branch]
    return found


def without_space(signature: str, js: tuple[int, ...]) -> str:
    """A stage's signature with some buffers in private memory."""
    for j in js:
        signature = re.sub(rf"__global ((?:const )?\w+ \*b{j})\b", r"\1", signature)
    return signature
