"""A condensed loop that updates one element of an array in each step and reads elements of it, as
`y[i] = f(y[i - 1])` does, keeps the last element it stored in a variable.

A load of what was just stored waits for the store, longer than most recurrences compute. So the
task remembers where it stored last and what; a load of that address takes the variable. This is a
branch, not a selection: the processor guesses it and never waits for memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lowering import scalar
from lowering.emit.scope import Stage
from lowering.launches.registers import INLINE, touched
from lowering.plan import BufferRef, Launch, LoopStep, Step

_LOAD = re.compile(r"^( *)const (\w+) (\w+) = \*\((b\d+) (\+ .*)\);$")
_STORE = re.compile(r"^( *)\*\((b\d+) (\+ .*)\) = (\w+);$")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A buffer that a stage stores one element of, and the buffers that read the same memory."""

    store: int
    loads: tuple[int, ...]
    kind: str  # the element's type in memory

    def parameters(self) -> str:
        """Where it was last stored and what, by value, and where to put what is stored next.

        LLVM would make one load from a selected address of a branch between two loads.
        """
        k, kind = self.store, self.kind
        old = f"__global const {kind} *at{k}, const {kind} last{k}"
        return f"{old}, __global const {kind} **new_at{k}, {kind} *new_last{k}"


def recurrence(loop: LoopStep, step: Launch, stage: Stage) -> Recurrence | None:
    """What a launch of the loop's body stores and reads back in later iterations, if that is one
    element of one array that nothing else in the loop writes.
    """
    if stage.items != 1 or step.groups != 1 or stage.cost >= INLINE or stage.helpers:
        return None
    refs = [ref for ref in step.args[: len(stage.buffers)] if isinstance(ref, BufferRef)]
    moving = {j for j, _ in stage.windows}
    written = [j for j, b in enumerate(stage.buffers) if b.written and j not in moving]
    for j in written:
        ref = refs[j]
        loads = [k for k, other in enumerate(refs) if other == ref and k != j and k not in moving]
        whole = [k for k, other in enumerate(refs) if other.id == ref.id]
        if not loads or len(whole) != len(loads) + 1 or ref.step:
            continue
        kind = scalar.memory_type(stage.buffers[j].dtype)
        found = Recurrence(j, tuple(loads), kind)
        if _one_element(stage.text, found) and not _written_elsewhere(loop, step, ref.id):
            return found
    return None


def _one_element(text: str, r: Recurrence) -> bool:
    """Whether the text stores just one element, after it has loaded single ones."""
    names = {f"b{j}" for j in (r.store, *r.loads)}
    lines = [x for x in text.split("\n") if any(re.search(rf"\b{n}\b", x) for n in names)]
    *loads, store = lines or [""]
    stores = _STORE.match(store)
    if not stores or stores[2] != f"b{r.store}" or len(stores[1]) != 2:
        return False
    found = [_LOAD.match(x) for x in loads]
    if not all(m and m[4] != f"b{r.store}" and len(m[1]) == 2 for m in found):
        return False
    return any(m and m[5] != stores[3] for m in found)  # a counter's old value seldom is the last


def _written_elsewhere(loop: LoopStep, step: Launch, slot: int) -> bool:
    if any(slot in pair for pair in loop.swaps):
        return True
    others: list[Step] = [x for x in (*loop.cond, *loop.body) if x is not step]
    return any(slot in (x.writes if isinstance(x, Launch) else touched(x)) for x in others)


def with_last(signature: str, text: str, r: Recurrence) -> tuple[str, str]:
    """The stage's signature and text with the last stored element in a variable."""
    lines = []
    at, last = f"at{r.store}", f"last{r.store}"
    stored = next(m[3] for x in text.split("\n") if (m := _STORE.match(x)) if m[2] == f"b{r.store}")
    for line in text.split("\n"):
        load, store = _LOAD.match(line), _STORE.match(line)
        if load and load[4] in {f"b{j}" for j in r.loads} and load[5] != stored:
            tab, kind, name, buffer, place = load.groups()
            lines.append(f"{tab}{kind} {name} = {last};")
            lines.append(f"{tab}if ({buffer} {place} != {at}) {name} = *({buffer} {place});")
        elif store and store[2] == f"b{r.store}":
            tab, buffer, place, value = store.groups()
            lines.append(f"{tab}*new_{at} = {buffer} {place}; *new_{last} = {value};")
            lines.append(f"{tab}*({buffer} {place}) = {value};")
        else:
            lines.append(line)
    return signature[:-1] + f", {r.parameters()})", "\n".join(lines)
