"""Team: a host-driven loop becomes one launch, of an item for each core, which share the work.

A launch that two threads of PoCL do costs 20 us: both are woken, both are waited for. A team's
members run the whole loop; they claim a stage's items one by one, then wait until all are done
(`templates/team.py`), less than a microsecond. Nobody waits for an item that has not begun, so a
team makes progress on any number of threads, also on one after another. Control flow depends on
nothing that a later step overwrites: a while loop's conditions are kept, one a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lowering.condense_writer import Writer
from lowering.effort import CALL_US, UNITS_PER_US, one_task_us, steps_of
from lowering.emit_scope import Stage
from lowering.merge import Merger
from lowering.nest import NestBuffer
from lowering.plan import BufferRef, CondStep, CopyStep, HostStep, Launch, LoopStep, Step

if TYPE_CHECKING:
    from lowering.planner import Planner

MEET_US = 0.5  # of the team, after a stage
LONGEST_US = 1e7  # of one launch: nothing can interrupt it
TURNS = 4096  # of a while loop in one launch, whose conditions are kept
WORDS = 8  # of 64 bits in a line of the cache
DRIVERS = ("pocl", "intel")  # whose compilers are known to take C's atomic operations


def team_us(p: Planner, s: LoopStep) -> float | None:
    """Microseconds of a loop run by a team; None if a team cannot."""
    cores = p.profile.compute_units
    if p.profile.driver not in DRIVERS or p.profile.schedule != "cpu" or cores < 2:
        return None
    if not p.options.get("team", True) or one_task_us(p.stages, s) is None:
        return None
    once = _in_turn_us(p.stages, cores, (*s.cond, *s.body))
    if once is None:
        return None
    total = once * steps_of(s)
    return total if s.count is None or total < LONGEST_US else None


def _in_turn_us(stages: Sequence[Stage], cores: int, steps: Sequence[Step]) -> float | None:
    total = 0.0
    for s in steps:
        if isinstance(s, Launch):
            assert s.stage is not None
            cost = stages[s.stage].cost / UNITS_PER_US
            total += MEET_US + CALL_US * s.groups + cost / min(cores, s.groups)
        elif isinstance(s, CopyStep):
            total += MEET_US + s.nbytes / 1e4
        elif isinstance(s, LoopStep) and s.count is not None:
            once = _in_turn_us(stages, cores, s.body)
            if once is None:
                return None
            total += once * s.count
        elif isinstance(s, (LoopStep, CondStep, HostStep)):
            return None
    return total


@dataclass(frozen=True, slots=True)
class Scratch:
    """What a team has in common: a line of claims for each member, one of what is done, and the
    conditions of a while loop's turns.
    """

    members: int
    turns: int

    @property
    def nbytes(self) -> int:
        return 8 * WORDS * (self.members + 1) + self.turns

    def clear(self) -> Stage:
        """The stage that makes it ready."""
        text = f"  for (int k = 0; k < {WORDS * (self.members + 1)}; ++k) b0[k] = 0;"
        buffers = [NestBuffer(_words(), np.dtype(np.uint64), 1, True)]
        stage = Stage(text, buffers, [], 1, 1, "team")
        stage.cost = 8.0 * WORDS
        return stage


def _words():
    from lowering.graph import Const, Node

    return Node(Const(0), (), (), np.dtype(np.uint64))


class TeamWriter(Writer):
    """Steps to C text that all members of a team run."""

    def __init__(self, p: Planner, chunk: int, scratch: int, members: int):
        super().__init__(p, chunk)
        self.merger = Merger(p, MEET_US)
        self.members = members
        self.common = self.pointer(scratch)
        self.alone = False  # whether one member does the steps that are being written
        self.item, self.first = "", 0  # of items that are shared: the variable, a part's first

    def text(self) -> str:
        lines = [*super().text().split("\n")]
        heads, rest = lines[: len(self.slots)], lines[len(self.slots) :]
        made = f"team t = team_of((__global ulong *){self.common}, (uint)item, {self.members});"
        return "\n".join([*heads, f"  {made}", *rest])

    def variables(self, s: LoopStep) -> set[int]:
        """None: a member knows only what is in memory."""
        return set()

    def steps(self, group: Sequence[Step]) -> None:
        """Launches that do not wait for each other together; small ones by one member."""
        for kind, run in groupby(group, type):
            if issubclass(kind, Launch):
                launches: list[Launch] = list(run)  # type: ignore[arg-type]
                for levels in self.merger.runs(self.merger.levels(launches)):
                    parts = [x for level in levels for x in level.launches]
                    if self.merger.alone(levels) or (len(parts) == 1 and parts[0].groups == 1):
                        self.one(parts)
                    else:
                        self.shared(parts)
            elif issubclass(kind, CopyStep):
                self.one(list(run))
            else:
                super().steps(list(run))

    def one(self, run: Sequence[Step]) -> None:
        """All of it by the member that claims it."""
        self.line("team_begin(&t, 1);")
        self.line("while (team_next(&t) >= 0) {")
        self.alone = True
        super().steps(run)
        self.alone = False
        self.line("team_done(&t); }")
        self.line("team_meet(&t);")

    def shared(self, parts: Sequence[Launch]) -> None:
        """Their items, one after the other, by whoever claims them."""
        q = self.item = self.fresh("q")
        self.line(f"team_begin(&t, {sum(x.groups for x in parts)});")
        self.line(f"for (long {q}; ({q} = team_next(&t)) >= 0;) {{")
        self.first = 0
        for x in parts:
            self.launch(x)
        self.line("team_done(&t); }")
        self.line("team_meet(&t);")

    def call(self, name: str, args: list[str], groups: int) -> None:
        if self.alone:
            super().call(name, args, groups)
            return
        low, high = self.first, self.first + groups
        item = f"{self.item} - {low}" if low else self.item
        test = f"if ({self.item} >= {low} && {self.item} < {high}) "
        self.line(f"{test}{name}({', '.join([item, *args])});")
        self.first = high

    def copy(self, src: str, dst: str, nbytes: int) -> None:
        if self.alone:
            super().copy(src, dst, nbytes)
            return
        self.line("team_begin(&t, 1);")
        self.line("while (team_next(&t) >= 0) {")
        super().copy(src, dst, nbytes)
        self.line("team_done(&t); }")
        self.line("team_meet(&t);")

    def test(self, flag: BufferRef, turn: str) -> None:
        """The condition is kept before the next turn's takes its place: a member may come late."""
        kept = f"({self.common} + {8 * WORDS * (self.members + 1)})[{turn}]"
        self.line("team_begin(&t, 1);")
        self.line(f"while (team_next(&t) >= 0) {{ {kept} = *({self.at(flag)}); team_done(&t); }}")
        self.line("team_meet(&t);")
        self.line(f"if (!{kept}) break;")
