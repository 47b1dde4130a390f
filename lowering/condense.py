"""Condense: a host-driven loop of small launches becomes one task, `for t { stage 1; stage 2; ...
}` in one work-item.

In: finished steps. Out: steps in which loops that are cheaper so are launches of a new stage. The
same stage functions run over the same items in the same order, so the numbers are the same; state
stays in scratch, and in cache. A while loop makes a bounded number of steps a launch, and the host
looks at its flag in between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering import scalar
from lowering.condense_recurrence import Recurrence, recurrence, with_last
from lowering.condense_registers import INLINE, places, registers, without_space
from lowering.effort import UNITS_PER_US, host_us, one_task_us, steps_of
from lowering.emit_scope import Stage
from lowering.graph import Const, Node
from lowering.nest import NestBuffer
from lowering.plan import BufferRef, CondStep, CopyStep, IntArg, Launch, LoopStep, Step

if TYPE_CHECKING:
    from lowering.planner import Planner

CHUNK_US = 50_000.0  # of steps of a while loop in one launch
BYTE = np.dtype(np.uint8)


def condense(p: Planner, steps: list[Step]) -> list[Step]:
    """The steps with loops condensed; their stages join the planner's."""
    done: list[Step] = []
    for s in steps:
        done += _step(p, s)
    return done


def _step(p: Planner, s: Step) -> list[Step]:
    if isinstance(s, LoopStep):
        if s.flag is not None and s.flag.id in p.chunk_flags:
            return [s]
        us = one_task_us(p.stages, s)
        if us is not None and us < host_us(p.stages, p.profile.compute_units, s):
            p.reasons.append((s.label or "loop", "it is one task: its launches would cost more"))
            return _task(p, s, us)
        return [replace(s, body=_all(p, s.body), cond=_all(p, s.cond))]
    if isinstance(s, CondStep):
        return [replace(s, branches=tuple(_all(p, b) for b in s.branches))]
    return [s]


def _all(p: Planner, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(x for s in steps for x in _step(p, s))


# ---------------------------------------------------------------- the stage


def _task(p: Planner, s: LoopStep, us: float) -> list[Step]:
    """Launch the loop; a while loop again until its flag falls."""
    chunk = 0
    if s.count is None:
        chunk = max(64, min(1 << 20, int(CHUNK_US / max(us / steps_of(s), 1e-3))))
    w = _Writer(p, chunk)
    w.loop(s, chunk)
    slots = list(w.slots)
    buffers = [NestBuffer(_node(), BYTE, 1, True) for _ in slots]
    stage = Stage(w.text(), buffers, [], 1, 1, s.label or "loop", helpers=tuple(w.helpers))
    stage.cost = us * UNITS_PER_US / (steps_of(s) if s.count is None else 1)
    stage.inner = tuple(w.inner)
    key = (stage.text, stage.helpers)
    index = p.stage_index.get(key)
    if index is None:
        index = p.stage_index[key] = len(p.stages)
        p.stages.append(stage)
    args: tuple[Any, ...] = tuple(BufferRef(k) for k in slots)
    launch = Launch(0, "fx", (1,), args, (1,), index, stage.label, tuple(slots), tuple(slots))
    if s.count is not None:
        return [launch]
    return [launch, LoopStep((launch,), None, (), False, (), s.flag, label=s.label)]


def _node() -> Node:
    return Node(Const(0), (), (), BYTE)


class _Writer:
    """Steps to C text. Buffers are variables, so that swaps exchange pointers."""

    def __init__(self, p: Planner, chunk: int):
        self.p = p
        self.slots: dict[int, int] = {}  # slot -> its parameter
        self.helpers: list[str] = []
        self.inner: list[NestBuffer] = []
        self.names: dict[Any, int] = {}  # stage, its private buffers -> helper
        self.held: dict[int, str] = {}  # slot -> the variable that holds it now
        self.last: dict[int, tuple[Recurrence, str]] = {}  # launch -> its variables' number
        self.lines: list[str] = []
        self.times: list[str] = []  # iteration variables, innermost last
        self.count = 0

    def text(self) -> str:
        heads = [f"  __global uchar *p{j} = b{j};" for j in self.slots.values()]
        return "\n".join([*heads, *self.lines])

    def line(self, text: str) -> None:
        self.lines.append("  " * (len(self.times) + 1) + text)

    def pointer(self, slot: int) -> str:
        return f"p{self.slots.setdefault(slot, len(self.slots))}"

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    # ------------------------------------------------ steps

    def step(self, s: Step) -> None:
        if isinstance(s, Launch):
            self.launch(s)
        elif isinstance(s, CopyStep):
            self.copy(self.at(s.src), self.at(s.dst), s.nbytes)
        elif isinstance(s, LoopStep):
            self.loop(s, 0)
        else:
            assert isinstance(s, CondStep)
            self.branch(s)

    def loop(self, s: LoopStep, chunk: int) -> None:
        mine = registers(self.p, s)
        swaps = [pair for pair in s.swaps if pair[0] not in mine]
        pairs = [(self.pointer(a), self.pointer(b), self.p.slots[a].nbytes) for a, b in swaps]
        kept = []
        for a, _, _ in pairs:
            kept.append(self.fresh("o"))
            self.line(f"__global uchar *const {kept[-1]} = {a};")
        self.line("{")
        for slot in sorted(mine):
            self.take(slot)
        self.remember(s)
        self.turns(s, chunk, pairs)
        for slot in sorted(mine):
            self.give(slot)
        self.line("}")
        for (a, b, nbytes), held in zip(pairs, kept):
            self.line(f"if ({a} != {held}) {{")
            self.copy(a, held, nbytes)
            self.line(f"{b} = {a}; {a} = {held};")
            self.line("}")

    def turns(self, s: LoopStep, chunk: int, pairs: list[tuple[str, str, int]]) -> None:
        k, t = self.fresh("k"), self.fresh("t")
        limit = f"{k} < {s.count}" if s.count is not None else f"{k} < {chunk}" if chunk else ""
        self.line(f"for (long {k} = 0; {limit}; ++{k}) {{")
        self.times.append(t)
        self.line(f"const long {t} = {f'{s.count - 1} - {k}' if s.reverse and s.count else k};")
        for x in s.cond:
            self.step(x)
        if s.flag is not None:
            held = self.held.get(s.flag.id)
            self.line(f"if (!{f'{held}[0]' if held else f'*({self.at(s.flag)})'}) break;")
        for x in s.body:
            self.step(x)
        for a, b in s.swaps:
            if a in self.held and b in self.held:
                to, frm = self.held[a], self.held[b]
                n = self.elements(a)[1]
                self.line(" ".join(f"{to}[{j}] = {frm}[{j}];" for j in range(n)))
        for a, b, _ in pairs:
            self.line(f"{{ __global uchar *const x = {a}; {a} = {b}; {b} = x; }}")
        self.times.pop()
        self.line("}")

    # ------------------------------------------------ carries in registers

    def elements(self, slot: int) -> tuple[str, int]:
        x = self.p.slots[slot]
        return scalar.memory_type(x.dtype), x.nbytes // x.dtype.itemsize

    def take(self, slot: int) -> None:
        """A variable with what the slot's memory holds."""
        kind, n = self.elements(slot)
        source = f"(__global const {kind} *){self.pointer(slot)}"
        name = self.held[slot] = self.fresh("v")
        self.line(f"{kind} {name}[{n}] = {{ {', '.join(f'({source})[{j}]' for j in range(n))} }};")

    def give(self, slot: int) -> None:
        kind, n = self.elements(slot)
        name = self.held.pop(slot)
        target = f"((__global {kind} *){self.pointer(slot)})"
        self.line(" ".join(f"{target}[{j}] = {name}[{j}];" for j in range(n)))

    def remember(self, s: LoopStep) -> None:
        """Variables for what launches of the loop's body store last."""
        for x in s.body:
            if not isinstance(x, Launch):
                continue
            assert x.stage is not None
            found = recurrence(s, x, self.p.stages[x.stage])
            if found is not None:
                name = self.fresh("e")
                self.last[id(x)] = found, name
                self.line(f"__global const {found.kind} *a{name} = 0; {found.kind} {name} = 0;")

    def branch(self, s: CondStep) -> None:
        which = self.fresh("w")
        self.line(f"const int {which} = *(__global const int *)({self.at(s.index)});")
        last = len(s.branches) - 1
        for j, b in enumerate(s.branches):
            test = "" if j == last else f"if ({which} <= {j}) "
            self.line(("else " if j else "") + test + "{")
            for x in b:
                self.step(x)
            self.line("}")

    def at(self, ref: BufferRef) -> str:
        text = self.pointer(ref.id)
        if ref.step:
            text += f" + {self.times[-1]} * {ref.step}"
        return text + (f" + {ref.offset}" if ref.offset else "")

    def copy(self, src: str, dst: str, nbytes: int) -> None:
        """Whole words where the size allows it: every element size that does has such offsets."""
        kind, size = ("uint", 4) if nbytes % 4 == 0 else ("uchar", 1)
        k = self.fresh("k")
        source = f"((__global const {kind} *)({src}))[{k}]"
        target = f"((__global {kind} *)({dst}))[{k}]"
        self.line(f"for (long {k} = 0; {k} < {nbytes // size}; ++{k}) {target} = {source};")

    def launch(self, s: Launch) -> None:
        assert s.stage is not None
        stage = self.p.stages[s.stage]
        own = tuple(places(s, stage, set(self.held)))
        r, last = self.last.get(id(s), (None, ""))
        key = (s.stage, own, r)
        if key not in self.names:
            self.names[key] = self.helper(stage, own, r)
        n_b, n_i = len(stage.buffers), len(stage.ints)
        moves = {j: (step, level) for j, step, level in stage.windows}
        args = []
        for j, (b, ref) in enumerate(zip(stage.buffers, s.args[:n_b])):
            assert isinstance(ref, BufferRef)
            if j in own:
                args.append(self.held[ref.id])
                continue
            const = "" if b.written else "const "
            text = f"(__global {const}{scalar.memory_type(b.dtype)} *)({self.at(ref)})"
            if j in moves:
                step, level = moves[j]
                text += f" + {self.times[-1 - level]} * {step}"
            args.append(text)
        args += [f"{a.value}L" for a in s.args[n_b : n_b + n_i] if isinstance(a, IntArg)]
        args += [f"a{last}, {last}, &a{last}, &{last}"] if r is not None else []
        name = f"@{self.names[key]}"
        if s.groups == 1:
            self.line(f"{name}({', '.join(['0L', *args])});")
            return
        q = self.fresh("q")
        call = f"{name}({', '.join([q, *args])});"
        self.line(f"for (long {q} = 0; {q} < {s.groups}; ++{q}) {call}")

    def helper(self, stage: Stage, own: tuple[int, ...], r: Recurrence | None) -> int:
        """The stage as a function of its own; `@` stands for the prefix of its name."""
        base = len(self.helpers)
        self.inner += (*stage.buffers, *stage.inner)
        inner = [h.replace("@", f"@{base}_") for h in stage.helpers]
        text = stage.text.replace("@", f"@{base}_")
        signature = stage.signature(f"@{base}")
        if stage.cost < INLINE:
            signature = without_space(signature.replace("FX_STAGE", "FX_SHORT", 1), own)
        if r is not None:
            signature, text = with_last(signature, text, r)
        self.helpers.append("\n".join([*inner, f"{signature} {{\n{text}\n}}"]))
        return base


# ---------------------------------------------------------------- stages that are still launched
