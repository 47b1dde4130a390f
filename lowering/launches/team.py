"""Team: a host-driven loop becomes one launch, of an item for each core, which share the work.

A launch that two threads of PoCL do costs 20 us: both are woken, both are waited for. A team's
members run the whole loop; they claim a stage's items one by one, then wait until all are done
(`templates/team.py`), less than a microsecond. Nobody waits for an item that has not begun, so a
team makes progress on any number of threads, also on one after another. Control flow depends on
nothing that a later step overwrites: one member says what the data have decided, all hear it, and
who comes so late that it is forgotten leaves, as nobody waits for him.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lowering.build.values import LONG
from lowering.emit.scope import Stage
from lowering.launches.effort import CALL_US, UNITS_PER_US, one_task_us, steps_of
from lowering.launches.merge import Merger
from lowering.launches.writer import Writer
from lowering.plan import BufferRef, CondStep, CopyStep, HostStep, Launch, LoopStep, Step
from lowering.planning import exchange
from lowering.templates.team import SAID

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

MEET_US = 0.5  # of the team, after a stage
LONGEST_US = 1e7  # of one launch: nothing can interrupt it
LITTLE_US = 0.25  # that one member does along with what stands beside it
WORDS = 8  # of 64 bits in a line of the cache
DRIVERS = ("pocl", "intel")  # whose compilers are known to take C's atomic operations


def shares(p: Planner) -> bool:
    """Whether a team is of use here: several cores, and a compiler that is known."""
    profile = p.profile
    known = profile.driver in DRIVERS and profile.schedule == "cpu"
    return known and profile.compute_units > 1 and p.options.get("team", True)


def team_us(p: Planner, s: LoopStep) -> float | None:
    """Microseconds of a loop that can be one task, run by a team; None if a team cannot."""
    once = _in_turn_us(p.stages, p.profile.compute_units, (*s.cond, *s.body)) if shares(p) else None
    if once is None:
        return None
    total = once * steps_of(s)
    return total if s.count is None or total < LONGEST_US else None


def _in_turn_us(stages: Sequence[Stage], cores: int, steps: Sequence[Step]) -> float | None:
    total = 0.0
    for s in steps:
        if isinstance(s, HostStep):
            return None
        if isinstance(s, Launch):
            assert s.stage is not None
            cost = stages[s.stage].cost / UNITS_PER_US
            total += MEET_US + CALL_US * s.groups + cost / min(cores, s.groups)
        elif isinstance(s, CopyStep):
            total += MEET_US + s.nbytes / 1e4
        else:
            groups = s.branches if isinstance(s, CondStep) else ((*s.cond, *s.body),)
            parts = [_in_turn_us(stages, cores, group) for group in groups]
            if any(us is None for us in parts):
                return None
            once = max((us for us in parts if us is not None), default=0.0)
            decides = isinstance(s, CondStep) or s.count is None
            times = steps_of(s, inner=True) if isinstance(s, LoopStep) else 1
            total += times * (once + MEET_US * decides)
    return total


@dataclass(frozen=True, slots=True)
class Scratch:
    """What a team has in common: a line of claims for each member, one of what is done, and what
    has been said.
    """

    members: int

    @property
    def words(self) -> int:
        """Of the claims and of what is done; what is said follows."""
        return WORDS * (self.members + 1)


class TeamWriter(Writer):
    """Steps to C text that all members of a team run. What depends on shapes stands in a buffer
    that the plan brings along, so the text does not: the claims, which are zero again when the team
    has left, and numbers behind them.
    """

    def __init__(self, p: Planner, slot: int, scratch: Scratch):
        super().__init__(p)
        self.merger = Merger(p, MEET_US)
        self.scratch = scratch
        self.common = self.pointer(slot)
        self.alone = False  # whether one member does the steps that are being written
        self.item, self.first = "", 0  # of items that are shared: the variable, a part's first
        self.given: list[int] = []  # the numbers
        self.hears = False  # whether what is said decides where the members go
        self.base = scratch.words  # of the numbers

    def text(self) -> str:
        lines = [*super().text().split("\n")]
        heads, rest = lines[: len(self.slots)], lines[len(self.slots) :]
        members = self.scratch.members
        made = f"team t = team_of((__global ulong *){self.common}, (uint)item, {members});"
        numbers = f"const long *n = (const long *)(ulong){self.common} + {self.base};"
        label = ["  gone:"] if self.hears else []
        return "\n".join([*heads, f"  {made}", f"  {numbers}", *rest, *label, "  team_leave(&t);"])

    def number(self, value: int) -> str:
        self.given.append(value)
        return f"n[{len(self.given) - 1}]"

    def numbers(self, stage: Stage, values: list[int]) -> list[str]:
        if not stage.listed:
            return super().numbers(stage, values)
        self.given += values
        return [f"n + {len(self.given) - len(values)}"]

    def keep(self, slot: int) -> None:
        """The contents of the slot that the plan brings along."""
        words = np.array([0] * self.base + self.given, LONG)
        self.p.slots[slot].shape, self.p.slots[slot].data = words.shape, words.tobytes()

    def variables(self, s: LoopStep) -> set[int]:
        """None: a member knows only what is in memory."""
        return set()

    def remember(self, s: LoopStep) -> None:
        """Nothing, for the same reason."""

    def steps(self, group: Sequence[Step]) -> None:
        """Launches that do not wait for each other together; little steps by one member."""
        if self.alone:
            super().steps(group)
            return
        for how, run in groupby(self.ways(group), lambda pair: pair[1]):
            parts = [s for s, _ in run]
            if how == "one":
                with self.one():
                    super().steps(parts)
            elif how == "dealt":
                self.launches(parts)  # type: ignore[arg-type]
            else:
                super().steps(parts)

    def ways(self, group: Sequence[Step]) -> Iterator[tuple[Step, str]]:
        """Each step with how it is done: by one member, dealt out, or as it stands."""
        for little, run in groupby(group, self.little):
            parts = list(run)
            one = little and not all(isinstance(s, Launch) for s in parts)
            for s in parts:
                yield s, "one" if one else "dealt" if isinstance(s, Launch) else "itself"

    def little(self, s: Step) -> bool:
        """Whether dealing out a step would take longer than the step; not where buffers come to
        be elsewhere, which all must know.
        """
        if exchange.of_branches([s]):
            return False
        us = one_task_us(self.p.stages, s)
        return us is not None and us < LITTLE_US

    def launches(self, launches: list[Launch]) -> None:
        for levels in self.merger.runs(self.merger.levels(launches)):
            parts = [x for level in levels for x in level.launches]
            if self.merger.alone(levels):
                with self.one():
                    super().steps(parts)
            else:
                self.shared(parts)

    @contextmanager
    def one(self) -> Iterator[None]:
        """What is written here is done by one member."""
        self.line("while (team_next(&t, 1) >= 0) {")
        self.alone = True
        yield
        self.alone = False
        self.line("}")

    def shared(self, parts: Sequence[Launch]) -> None:
        """Their items, one after the other, by whoever claims them."""
        q = self.item = self.fresh("q")
        items = self.number(sum(x.groups for x in parts))
        self.line(f"for (long {q}; ({q} = team_next(&t, {items})) >= 0;) {{")
        self.first = 0
        for x in parts:
            self.launch(x)
        self.line("}")

    def call(self, name: str, args: list[str], groups: int) -> None:
        if self.alone:
            super().call(name, args, groups)
            return
        low, self.first = self.first, self.first + groups
        item, test = self.item, f"{self.item} < {self.number(self.first)}"
        if low:
            first = self.number(low)
            item, test = f"{item} - {first}", f"{item} >= {first} && {test}"
        self.line(f"if ({test}) {name}({', '.join([item, *args])});")

    def copy(self, src: str, dst: str, nbytes: int) -> None:
        if self.alone:
            super().copy(src, dst, nbytes)
            return
        with self.one():
            super().copy(src, dst, nbytes)

    def exchange(self, one: str, other: str, nbytes: int) -> None:
        if self.alone:
            super().exchange(one, other, nbytes)
            return
        with self.one():
            super().exchange(one, other, nbytes)

    def test(self, flag: BufferRef, turn: str) -> None:
        if self.alone:
            super().test(flag, turn)
        else:
            self.line(f"if (!{self.heard(f'*({self.at(flag)})')}) break;")

    def which(self, index: BufferRef) -> str:
        return super().which(index) if self.alone else f"(int){self.heard(super().which(index))}"

    def heard(self, value: str) -> str:
        """The variable in which each member has a value of now: the memory where it stands may be
        another's when a member comes late.
        """
        said = f"(__global ulong *){self.common} + {self.scratch.words}"
        with self.one():
            self.line(f"team_say(&t, {said}, {value});")
        name, self.hears, self.base = self.fresh("h"), True, self.scratch.words + SAID
        self.line(f"uint {name};")
        self.line(f"if (!team_hear(&t, {said}, &{name})) goto gone;")
        return name
