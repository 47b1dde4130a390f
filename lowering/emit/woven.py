"""Woven stores: values that stand side by side in memory, as those of `stack(..., -1)` do.

Each alone is stored lane by lane, a step of so many elements apart. Two to four whose elements take
turns fill whole vectors, and four or eight of any step rows of as many, whose lanes are chosen from
theirs: a store for each value, or for each row, instead of one for each lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from lowering import scalar, scalar_text
from lowering.emit.scope import Emission
from lowering.nest import Store

TURNS = (2, 3, 4)
ROWS = (8, 4)  # values side by side that are stored as rows, where there are more


def sets(stores: Sequence[Store], v: int | None, width: int) -> list[list[Store]]:
    """The stores in order, those together that follow each other and fill memory along v in turns:
    by place. The others are each alone.
    """
    made: list[list[Store]] = []
    for _, run in groupby(stores, lambda st: _kind(st, v)):
        group = sorted(run, key=lambda st: st.index.const)
        starts = [st.index.const - group[0].index.const for st in group]
        step = group[0].index.coef(v) if v is not None else 0
        together = step in TURNS and starts == list(range(step))
        made += [group] if together else _rows(group, step, width)
    return made


def _rows(group: list[Store], step: int, width: int) -> list[list[Store]]:
    """Runs of as many neighbours as a row has, and the others alone; by place."""
    made: list[list[Store]] = []
    at = 0
    while at < len(group):
        many = next(
            (n for n in ROWS if n <= min(step, width) and _side_by_side(group[at : at + n], n)), 1
        )
        made.append(group[at : at + many])
        at += many
    return made


def _side_by_side(run: list[Store], n: int) -> bool:
    first = run[0].index.const
    return [st.index.const - first for st in run] == list(range(n))


def _kind(st: Store, v: int | None) -> Any:
    """What is the same of stores that may be woven."""
    plain = st.partial is None and st.join is None and st.dynamic is None and not st.guards
    return (st.buffer, st.index.terms) if plain and v is not None else id(st)


class Weaving(Emission):
    """The text of such stores."""

    get: Any
    affine: Any
    perform_store: Any
    streams: Any

    def perform_stores(self, group: list[Store]) -> None:
        """The stores of one set, each by itself where there are no strips."""
        if len(group) == 1 or self.width <= 1:
            for st in group:
                self.perform_store(st)
            return
        first = group[0]
        dtype, width = self.nest.buffers[first.buffer].dtype, self.width
        step = first.index.coef(self.s.v)
        kind = scalar.memory_type(dtype)
        for u in range(self.unroll):
            names = []
            for st in group:
                x = self.get(st.value, u, width)
                names.append(name := self.fresh("t"))
                text = scalar_text.to_memory(dtype, width, x)
                self.line(f"const {kind}{width} {name} = {text};")
            base = f"b{first.buffer} + ({self.affine(first.index, u)})"
            if step == len(group) and step in TURNS:
                for k in range(step):
                    self._store_whole(first, f"{base} + {k * width}", woven(names, k, width))
                continue
            for k, name in enumerate(self._zipped(names, f"{kind}{width}")):
                if step == len(group):
                    self._store_whole(first, f"{base} + {k * width}", name)
                else:
                    self._store_rows(kind, base, step, len(group), k, name)

    def _store_whole(self, st: Store, place: str, text: str) -> None:
        """A vector of neighbours in memory."""
        dtype, width = self.nest.buffers[st.buffer].dtype, self.width
        if self.streams(st, dtype, width):
            self.line(f"stream_{scalar.memory_code(dtype)}x{width}({place}, {text});")
        else:
            self.line(f"*((__global {scalar.memory_type(dtype)}{width}_u *)({place})) = {text};")

    def _store_rows(self, kind: str, base: str, step: int, n: int, k: int, name: str) -> None:
        """The rows of n elements that vector k of them all has, `step` elements apart."""
        for row in range(self.width // n):
            lanes = ", ".join(str(row * n + j) for j in range(n))
            part = name if n == self.width else f"__builtin_shufflevector({name}, {name}, {lanes})"
            place = f"{base} + {(k * (self.width // n) + row) * step}"
            self.line(f"*((__global {kind}{n}_u *)({place})) = {part};")

    def _zipped(self, names: list[str], kind: str) -> list[str]:
        """Vectors, as many as given, of all of their first elements, all of the second, and so on:
        those of even and of odd places, each zipped, take turns.
        """
        if len(names) == 1:
            return names
        even, odd = self._zipped(names[::2], kind), self._zipped(names[1::2], kind)
        made = []
        for pair in zip(even, odd):
            for k in range(2):
                made.append(name := self.fresh("z"))
                self.line(f"const {kind} {name} = {woven(pair, k, self.width)};")
        return made


def woven(names: Sequence[str], k: int, width: int) -> str:
    """Vector k of those that the vectors' elements fill in turns, as the text of choices of lanes:
    of the first two, then of what was chosen and the next.
    """
    count, text = len(names), names[0]
    lanes = [divmod(k * width + j, count) for j in range(width)]
    for at in range(1, count):
        chosen = []
        for j, (lane, turn) in enumerate(lanes):
            before = lane if at == 1 else j
            chosen.append(before if turn < at else width + lane if turn == at else -1)
        text = f"__builtin_shufflevector({text}, {names[at]}, {', '.join(map(str, chosen))})"
    return text
