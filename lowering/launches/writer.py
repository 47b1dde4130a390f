"""A loop's steps as the C text of one stage: the stages of its body become functions that it calls.

Buffers are variables of type `__global uchar *`, so that carries that change places exchange
pointers. In: a LoopStep. Out: text, helper functions, and the slots behind the parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lowering import scalar
from lowering.emit.scope import Stage
from lowering.launches.recurrence import Recurrence, recurrence, with_last
from lowering.launches.registers import INLINE, places, registers, without_space
from lowering.nest import NestBuffer
from lowering.plan import (
    BufferRef,
    CondStep,
    CopyStep,
    IntArg,
    IterArg,
    Launch,
    LoopStep,
    Pairs,
    Step,
)
from lowering.planning import exchange

if TYPE_CHECKING:
    from lowering.planning.planner import Planner


class Writer:
    """Steps to C text that one work-item runs."""

    def __init__(self, p: Planner):
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

    def steps(self, group: Sequence[Step]) -> None:
        for s in group:
            self.step(s)

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
        self.remember(s)
        mine = self.variables(s)
        with self.at_home(pair for pair in exchange.of_loop(s) if pair[0] not in mine):
            self.line("{")
            for slot in sorted(mine):
                self.take(slot)
            self.turns(s, chunk, tuple(pair for pair in s.swaps if pair[0] not in mine))
            for slot in sorted(mine):
                self.give(slot)
            self.line("}")

    @contextmanager
    def at_home(self, pairs: Iterable[tuple[int, int]]) -> Iterator[None]:
        """What is written here may exchange these pairs; behind it each buffer is where it was."""
        groups = exchange.groups(pairs)
        homes = {}
        for slot in (k for group in groups for k in group if not self.p.slots[k].spare):
            pointer, home = self.pointer(slot), self.fresh("o")
            homes[slot] = home
            self.line(f"__global uchar *const {home} = {pointer};")
        yield
        for group in groups:
            rest = list(group)
            for slot in [k for k in group if k in homes]:
                rest.remove(slot)
                if rest:
                    self.put_back(slot, homes[slot], rest)

    def put_back(self, slot: int, home: str, others: Sequence[int]) -> None:
        """Let a buffer be where it was; one of `others` is there, which goes where it is now."""
        here, nbytes = self.pointer(slot), self.p.slots[slot].nbytes
        self.line(f"if ({here} != {home}) {{")
        for k in others:
            there = self.pointer(k)
            if len(others) > 1:
                self.line(f"if ({there} == {home}) {{")
            if self.p.slots[k].spare:
                self.copy(here, home, nbytes)
            else:
                self.exchange(here, home, nbytes)
            self.line(f"{there} = {here};" + (" }" if len(others) > 1 else f" {here} = {home};"))
        if len(others) > 1:
            self.line(f"{here} = {home};")
        self.line("}")

    def turns(self, s: LoopStep, chunk: int, swaps: Pairs) -> None:
        k, t = self.fresh("k"), self.fresh("t")
        most = chunk if s.count is None else s.count
        limit = f"{k} < {self.number(most)}" if most or s.count == 0 else ""
        self.line(f"for (long {k} = 0; {limit}; ++{k}) {{")
        self.times.append(t)
        turn = f"{self.number(s.count - 1)} - {k}" if s.reverse and s.count else k
        self.line(f"const long {t} = {turn};")
        self.steps(s.cond)
        if s.flag is not None:
            self.test(s.flag, k)
        self.steps(s.body)
        for a, b in s.swaps:
            if a in self.held and b in self.held:
                to, frm = self.held[a], self.held[b]
                n = self.elements(a)[1]
                self.line(" ".join(f"{to}[{j}] = {frm}[{j}];" for j in range(n)))
        self.swap(swaps)
        self.times.pop()
        self.line("}")

    def swap(self, pairs: Pairs) -> None:
        for a, b in ((self.pointer(a), self.pointer(b)) for a, b in pairs):
            self.line(f"{{ __global uchar *const x = {a}; {a} = {b}; {b} = x; }}")

    def test(self, flag: BufferRef, turn: str) -> None:
        """Leave the loop where its condition has come to 0."""
        held = self.held.get(flag.id)
        self.line(f"if (!{f'{held}[0]' if held else f'*({self.at(flag)})'}) break;")

    # ------------------------------------------------ carries in registers

    def variables(self, s: LoopStep) -> set[int]:
        """The carries that are variables."""
        return registers(self.p, s)

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
        value, which = self.which(s.index), self.fresh("w")
        self.line(f"const int {which} = {value};")
        last = len(s.branches) - 1
        for j, b in enumerate(s.branches):
            test = "" if j == last else f"if ({which} <= {j}) "
            self.line(("else " if j else "") + test + "{")
            self.steps(b)
            self.swap(s.swaps[j] if s.swaps else ())
            self.line("}")

    def which(self, index: BufferRef) -> str:
        """The number of the branch to take."""
        return f"*(__global const int *)({self.at(index)})"

    def at(self, ref: BufferRef) -> str:
        text = self.pointer(ref.id)
        if ref.step:
            text += f" + {self.times[-1]} * {self.number(ref.step)}"
        return text + (f" + {self.number(ref.offset)}" if ref.offset else "")

    def copy(self, src: str, dst: str, nbytes: int) -> None:
        """Copy bytes that do not overlap."""
        k, kind, loop = self.words(nbytes)
        source = f"((__global const {kind} *)({src}))[{k}]"
        target = f"((__global {kind} *)({dst}))[{k}]"
        self.line(f"{loop} {target} = {source};")

    def exchange(self, one: str, other: str, nbytes: int) -> None:
        """Exchange bytes that do not overlap."""
        k, kind, loop = self.words(nbytes)
        a, b = (f"((__global {kind} *)({at}))[{k}]" for at in (one, other))
        self.line(f"{loop} {{ const {kind} x = {a}; {a} = {b}; {b} = x; }}")

    def words(self, nbytes: int) -> tuple[str, str, str]:
        """A variable that counts words, their type and the head of the loop. Whole words where the
        size allows it: every element size that does has such offsets. They stand for elements of
        any type: C lets the compiler believe that a uint is no float.
        """
        kind, size = "uchar", 1
        if nbytes % 4 == 0:
            kind, size = self.fresh("word"), 4
            self.line(f"typedef uint __attribute__((may_alias)) {kind};")
        k, end = self.fresh("k"), self.fresh("e")
        self.line(f"const long {end} = {self.number(nbytes // size)};")
        return k, kind, f"for (long {k} = 0; {k} < {end}; ++{k})"

    def launch(self, s: Launch) -> None:
        assert s.stage is not None
        stage = self.p.stages[s.stage]
        own = tuple(places(s, stage, set(self.held)))
        r, last = self.last.get(id(s), (None, ""))
        key = (s.stage, own, r)
        if key not in self.names:
            self.names[key] = self.helper(stage, own, r)
        n_b, n_i = len(stage.buffers), len(stage.ints)
        moves = dict(zip((j for j, _ in stage.windows), s.args[n_b + n_i :]))
        args = []
        for j, (b, ref) in enumerate(zip(stage.buffers, s.args[:n_b])):
            assert isinstance(ref, BufferRef)
            if j in own:
                args.append(self.held[ref.id])
                continue
            const = "" if b.written else "const "
            text = f"(__global {const}{scalar.memory_type(b.dtype)} *)({self.at(ref)})"
            if j in moves:
                move = moves[j]
                assert isinstance(move, IterArg)
                text += f" + {self.times[-1 - move.level]} * {self.number(move.step)}"
            args.append(text)
        numbers = [a.value for a in s.args[n_b : n_b + n_i] if isinstance(a, IntArg)]
        args += self.numbers(stage, numbers)
        args += [f"a{last}, {last}, &a{last}, &{last}"] if r is not None else []
        self.call(f"@{self.names[key]}", args, s.groups)

    def number(self, value: int) -> str:
        """A number that depends on shapes."""
        return f"{value}L"

    def numbers(self, stage: Stage, values: list[int]) -> list[str]:
        """What a call of a stage hands on for these integer arguments."""
        return stage.numbers([self.number(x) for x in values])

    def call(self, name: str, args: list[str], groups: int) -> None:
        """Run the items of a stage."""
        if groups == 1:
            self.line(f"{name}({', '.join(['0L', *args])});")
            return
        q = self.fresh("q")
        call = f"{name}({', '.join([q, *args])});"
        self.line(f"for (long {q} = 0; {q} < {self.number(groups)}; ++{q}) {call}")

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
        self.helpers += [*inner, f"{signature} {{\n{text}\n}}"]
        return base
