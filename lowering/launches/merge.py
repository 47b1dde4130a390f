"""Merge: launches that do not wait for each other become one; runs of small ones become one task.

In: steps whose buffers have no addresses yet. Out: fewer steps with the same meaning, and new
stages for them. Launches between two steps of another kind move to the
earliest level that their reads and writes allow; a level is one launch whose items are dealt to
the parts. Cost: a few microseconds a launch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING

from lowering.emit.scope import Stage
from lowering.launches.effort import CALL_US, LAUNCH_US, UNITS_PER_US
from lowering.plan import BufferRef, CondStep, IntArg, Launch, LoopStep, Step
from lowering.planning import arguments

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

MAX_PARTS = 24
LITTLE = 200  # characters of a stage without a loop that is not worth a function: 1 ms of a build
LARGE = 1 << 15  # bytes that are worth not keeping
SLOW = 1 << 20  # bytes that take longer to write than several launches take to begin
SPLIT = re.compile(r"const long ig = .*;")
ITEM = re.compile(r"i(?<!\wi)(?:tem|g|s)\b")  # begins with a letter: found many times faster
MAX_BUFFERS = 64  # pointers of one kernel: 512 of the 1,024 bytes that every device admits


@dataclass
class Level:
    """Launches that may run side by side."""

    launches: list[Launch]
    buffers: set[int]


def merge(p: Planner, steps: Sequence[Step]) -> list[Step]:
    """The steps with launches merged; their stages join the planner's."""
    return Merger(p).steps(steps)


class Merger:
    """Finds what may run side by side, and what is better done by one item; `meet_us` is what it
    costs that all wait for each other between two levels.
    """

    def __init__(self, p: Planner, meet_us: float = LAUNCH_US):
        self.p = p
        self.stages = p.stages
        self.meet_us = meet_us

    def steps(self, steps: Sequence[Step]) -> list[Step]:
        out: list[Step] = []
        window: list[Launch] = []
        for s in steps:
            if isinstance(s, Launch) and s.stage is not None:
                window.append(s)
                continue
            out += self.window(window)
            window = []
            out.append(self.inner(s))
        return out + self.window(window)

    def inner(self, s: Step) -> Step:
        if isinstance(s, LoopStep):
            body, cond = tuple(self.steps(s.body)), tuple(self.steps(s.cond))
            return replace(s, body=body, cond=cond)
        if isinstance(s, CondStep):
            return replace(s, branches=tuple(tuple(self.steps(b)) for b in s.branches))
        return s

    # ------------------------------------------------ levels

    def window(self, launches: list[Launch]) -> list[Step]:
        if len(launches) < 2:
            return list(launches)
        levels = self.roomy(launches)
        if self.p.profile.schedule == "cpu":
            return self.tasks(levels)
        return [self.together(level) for level in levels]

    def memory(self, slot: int) -> int:
        """What names a buffer's memory: an output that takes over an input is that input."""
        alias = self.p.slots[slot].alias
        return slot if alias is None else alias

    def roomy(self, launches: list[Launch]) -> list[Level]:
        """The launches in levels; those that take long in the order in which they came, where that
        takes a tenth less memory: they gain nothing from others beside them.
        """
        levels = self.levels(launches)
        if any(self.made(x) >= SLOW for x in launches):
            ordered = self.levels(launches, SLOW)
            if self.peak(ordered) < 0.9 * self.peak(levels):
                return ordered
        return levels

    def made(self, launch: Launch) -> int:
        """Bytes of temporaries that a launch writes."""
        slots = [self.p.slots[k] for k in set(launch.writes)]
        return sum(s.nbytes for s in slots if s.kind == "temp")

    def peak(self, levels: list[Level]) -> int:
        """The most bytes of temporaries that are alive in a level."""
        used: dict[int, list[int]] = {}
        for at, level in enumerate(levels):
            for k in level.buffers:
                if self.p.slots[k].kind == "temp":
                    used.setdefault(k, []).append(at)
        change = [0] * (len(levels) + 1)
        for k, places in used.items():
            change[places[0]] += self.p.slots[k].nbytes
            change[places[-1] + 1] -= self.p.slots[k].nbytes
        return max(accumulate(change))

    def levels(self, launches: list[Launch], slow: float = inf) -> list[Level]:
        """Each launch as early as what it reads and writes allows, and as there is room; in their
        order if they make `slow` bytes. Parts of one array are written side by side.
        """
        written: dict[int, int] = {}  # memory -> the last level that writes it
        settled: dict[int, int] = {}  # the same of launches that do not write a part of it alone
        read: dict[int, int] = {}
        levels: list[Level] = []
        for launch in launches:
            reads = {self.memory(k) for k in launch.reads}
            writes = {self.memory(k) for k in launch.writes}
            before = settled if launch.part else written
            at = max([written.get(k, -1) for k in reads], default=-1) + 1
            at = max([at, *(max(before.get(k, -1), read.get(k, -1)) + 1 for k in writes)])
            if self.made(launch) >= slow:
                at = max(at, len(levels) - 1)
            buffers = {*launch.reads, *launch.writes}
            while at < len(levels) and not self.fits(levels[at], launch, buffers):
                at += 1
            if at >= len(levels):
                at = len(levels)
                levels.append(Level([], set()))
            levels[at].launches.append(launch)
            levels[at].buffers |= buffers
            for k in reads:
                read[k] = max(read.get(k, -1), at)
            for k in writes:
                written[k] = max(written.get(k, -1), at)
                if not launch.part:
                    settled[k] = written[k]
        return self.later(levels)

    def later(self, levels: list[Level]) -> list[Level]:
        """The levels, with large buffers that only need arguments made right before they are read:
        panels of weights need not live through a whole network.
        """
        slots = self.p.slots
        writers = Counter(k for level in levels for x in level.launches for k in x.writes)
        reader: dict[int, int] = {}
        for at, level in enumerate(levels):
            for k in (k for x in level.launches for k in x.reads):
                reader.setdefault(k, at)
        for at, level in enumerate(levels):
            for launch in list(level.launches):
                made = set(launch.writes)
                if sum(slots[k].nbytes for k in made) < LARGE or not made <= reader.keys():
                    continue
                if any(slots[k].kind != "input" for k in set(launch.reads) - made):
                    continue
                if any(slots[k].kind != "temp" or writers[k] > 1 for k in made):
                    continue
                buffers = {*launch.reads, *launch.writes}
                end = min(reader[k] for k in made)
                taken = (j for j in range(at + 1, end) if self.overwrites(levels[j], launch))
                for there in range(next(taken, end) - 1, at, -1):
                    if self.fits(levels[there], launch, buffers):
                        level.launches.remove(launch)
                        levels[there].launches.append(launch)
                        levels[there].buffers |= buffers
                        break
        return [level for level in levels if level.launches]

    def overwrites(self, level: Level, launch: Launch) -> bool:
        """Whether a level writes what the launch reads: an output may take over an argument."""
        reads = set(map(self.memory, launch.reads))
        return any(self.memory(k) in reads for x in level.launches for k in x.writes)

    def fits(self, level: Level, launch: Launch, buffers: set[int]) -> bool:
        if not level.launches:
            return False
        if len(level.launches) >= MAX_PARTS or len(level.buffers | buffers) > MAX_BUFFERS:
            return False
        other = level.launches[0]
        if arguments.of_parts([*level.launches, launch]) > self.p.profile.arguments:
            return False
        if self.stages[launch.stage].alone or self.stages[other.stage].alone:  # type: ignore[index]
            return False
        return launch.local_size == other.local_size

    # ------------------------------------------------ tasks: small levels one after the other

    def tasks(self, levels: list[Level]) -> list[Step]:
        out: list[Step] = []
        for run in self.runs(levels):
            if self.alone(run):
                parts = [x for level in run for x in level.launches]
                out.append(self.combine(parts, serial=True))
            else:
                out.append(self.together(run[0]))
        return out

    def runs(self, levels: list[Level]) -> list[list[Level]]:
        """Levels in a row that one core does sooner than all do in turns; others by themselves."""
        found: list[list[Level]] = []
        for level in levels:
            if found and self.joins([*found[-1], level]):
                found[-1].append(level)
            else:
                found.append([level])
        return found

    def alone(self, run: list[Level]) -> bool:
        """Whether one item does a run: dealing it to cores costs more than it takes."""
        parts = [x for level in run for x in level.launches]
        tiny = len(parts) > 1 and sum(map(self.serial_us, parts)) < self.meet_us
        return len(run) > 1 or tiny

    def joins(self, run: list[Level]) -> bool:
        parts = [x for level in run for x in level.launches]
        buffers = set().union(*(level.buffers for level in run))
        if len(parts) > MAX_PARTS or len(buffers) > MAX_BUFFERS:
            return False
        alone = sum(self.serial_us(x) for x in parts)
        apart = sum(self.meet_us + max(map(self.parallel_us, level.launches)) for level in run)
        return alone < apart

    def serial_us(self, launch: Launch) -> float:
        stage = self.stages[launch.stage]  # type: ignore[index]
        return CALL_US * launch.groups + stage.cost / UNITS_PER_US

    def parallel_us(self, launch: Launch) -> float:
        stage = self.stages[launch.stage]  # type: ignore[index]
        cores = max(1, min(self.p.profile.compute_units, launch.groups))
        return stage.cost / UNITS_PER_US / cores

    def together(self, level: Level) -> Step:
        if len(level.launches) == 1:
            return level.launches[0]
        return self.combine(level.launches, serial=False)

    # ------------------------------------------------ one stage of several

    def combine(self, launches: list[Launch], *, serial: bool) -> Launch:
        """A launch whose items are those of its parts, or one item that does them all in order."""
        c = _Combined(self, serial)
        for launch in launches:
            c.add(launch, self.stages[launch.stage])  # type: ignore[index]
        stage = c.stage(launches)
        args = [*map(BufferRef, c.slots), *(IntArg(i, "long") for i in c.ints), *c.iterations]
        local = launches[0].local_size or (1,)
        reads = tuple(dict.fromkeys(k for x in launches for k in x.reads))
        writes = tuple(dict.fromkeys(k for x in launches for k in x.writes))
        size = (stage.items * stage.local,)
        at = self.p.stage(stage)
        return Launch(0, "fx", size, tuple(args), local, at, stage.label, reads, writes)


class _Combined:
    """The parts of one stage: shared buffers are passed once, equal parts share a function."""

    def __init__(self, m: Merger, serial: bool):
        self.m, self.serial = m, serial
        self.slots: list[int] = []
        self.buffers: list = []
        self.places: dict[tuple[int, object], int] = {}  # slot, dtype
        self.ints: list[int] = []
        self.extents: dict[tuple, int] = {}  # function and extents -> where these stand in ints
        self.iterations: list = []
        self.windows: list[tuple[int, int]] = []
        self.functions: dict[object, str] = {}
        self.helpers: list[str] = []
        self.lines: list[str] = []
        self.loop: tuple[set[int], set[int], int] = (set(), set(), -1)  # reads, writes, bound
        self.items = 0

    def add(self, launch: Launch, stage: Stage) -> None:
        n = len(stage.buffers)
        windowed = dict(stage.windows)
        args = ["item"]
        iterations = iter(launch.args[n + len(stage.ints) :])
        for k, (ref, buffer) in enumerate(zip(launch.args[:n], stage.buffers)):
            assert isinstance(ref, BufferRef) and not ref.offset and not ref.step
            at = self.place(ref.id, buffer, k in windowed)
            if k in windowed:
                self.windows.append((at, windowed[k]))
                self.iterations.append(next(iterations))
            args.append(f"b{at}")
        name = self.function(stage)
        extents = [a.value for a in launch.args[n : n + len(stage.ints)]]  # type: ignore[union-attr]
        once = self.serial and launch.groups == 1 and ITEM.search(SPLIT.sub("", stage.text)) is None
        if self.serial and not once:
            extents.append(launch.groups)
        # leaves of one shape share their extents: an argument costs a launch 0.05 us
        first = self.extents.setdefault((name, *extents), len(self.ints))
        if first == len(self.ints):
            self.ints += extents
        args += stage.numbers([f"n{first + k}" for k in range(len(stage.ints))])
        bound = first + len(stage.ints) if self.serial else len(self.ints)
        if once:  # whatever the extents are: a loop would be 0.5 ms of a build
            self.lines.append(f"  {name}({', '.join(['0', *args[1:]])});")
            self.loop = (set(), set(), -1)
        elif self.serial:
            args[0] = "k"
            call = f"{name}({', '.join(args)})"
            self.task(launch, bound, call)
        else:
            self.ints += [self.items, self.items + launch.groups]
            args[0] = f"item - n{bound}"
            call = f"{name}({', '.join(args)})"
            self.lines.append(f"  if (item >= n{bound} && item < n{bound + 1}) {call};")
        self.items += launch.groups

    def task(self, launch: Launch, bound: int, call: str) -> None:
        """A loop over the items of a launch: that of the one before it, where it has as many and
        they do not wait for each other (20 loops of a call took 15 of 39 ms to build).
        """
        reads, writes = (set(map(self.m.memory, x)) for x in (launch.reads, launch.writes))
        seen, written, last = self.loop
        if last != bound or written & (reads | writes) or seen & writes:
            self.lines += [f"  for (long k = 0; k < n{bound}; ++k) {{", "  }"]
            seen, written = set(), set()
        self.lines.insert(-1, f"    {call};")
        self.loop = (seen | reads, written | writes, bound)

    def place(self, slot: int, buffer, own: bool) -> int:
        """The parameter of a buffer; one that moves with a loop has its own."""
        key = (slot, buffer.dtype)
        if own or key not in self.places:
            at = len(self.slots)
            self.slots.append(slot)
            self.buffers.append(replace(buffer))
            if own:
                return at
            self.places[key] = at
        at = self.places[key]
        self.buffers[at].written |= buffer.written
        return at

    def function(self, stage: Stage) -> str:
        dtypes = tuple((b.dtype, b.written) for b in stage.buffers)
        key = (stage.text, stage.helpers, dtypes, len(stage.ints))
        name = self.functions.get(key)
        if name is None:
            name = self.functions[key] = f"@p{len(self.functions)}"
            head = stage.signature("@")
            if len(stage.text) < LITTLE and not stage.helpers and "for (" not in stage.text:
                head = head.replace("FX_STAGE", "FX_SHORT", 1)
            text = f"{head} {{\n{stage.text}\n}}"
            for helper in (*stage.helpers, text):
                self.helpers.append(helper.replace("@", f"{name}_"))
        return f"{name}_"

    def stage(self, launches: list[Launch]) -> Stage:
        parts = [self.m.stages[x.stage] for x in launches]  # type: ignore[index]
        text = "\n".join(self.lines)
        label = " + ".join(dict.fromkeys(s.label for s in parts if s.label))
        return Stage(
            text,
            self.buffers,
            self.ints,
            1 if self.serial else self.items,
            parts[0].local,
            label,
            windows=tuple(self.windows),
            helpers=tuple(self.helpers),
            inner=tuple(b for s in parts for b in s.inner),
            cost=sum(s.cost for s in parts),
        )


def prune(p: Planner, steps: list[Step]) -> tuple[list[Step], list[Stage]]:
    """Drop stages that no step launches any more, and number the others anew."""
    kept: dict[int, int] = {}

    def fix(s: Step) -> Step:
        if isinstance(s, Launch) and s.stage is not None:
            return replace(s, stage=kept.setdefault(s.stage, len(kept)))
        if isinstance(s, LoopStep):
            cond = tuple(map(fix, s.cond))
            return replace(s, cond=cond, body=tuple(map(fix, s.body)))
        if isinstance(s, CondStep):
            return replace(s, branches=tuple(tuple(map(fix, b)) for b in s.branches))
        return s

    fixed = [fix(s) for s in steps]
    return fixed, [p.stages[k] for k in kept]
