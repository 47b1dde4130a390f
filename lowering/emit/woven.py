"""Woven stores: two to four values whose elements take turns in memory, as `stack(..., -1)` has.

Each alone is stored lane by lane, a step of so many elements apart. Together they fill whole
vectors, whose lanes are chosen from theirs: a store for each value instead of one for each lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from lowering import scalar, scalar_text
from lowering.emit.scope import Emission
from lowering.nest import Store

TURNS = (2, 3, 4)


def sets(stores: Sequence[Store], v: int | None) -> list[list[Store]]:
    """The stores in order, those together that follow each other and fill memory along v in turns:
    by place. The others are each alone.
    """
    made: list[list[Store]] = []
    for _, run in groupby(stores, lambda st: _kind(st, v)):
        group = sorted(run, key=lambda st: st.index.const)
        starts = [st.index.const - group[0].index.const for st in group]
        step = group[0].index.coef(v) if v is not None else 0
        together = step in TURNS and starts == list(range(step))
        made += [group] if together else [[st] for st in group]
    return made


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
        dtype, width, step = self.nest.buffers[first.buffer].dtype, self.width, len(group)
        kind = f"{scalar.memory_type(dtype)}{width}"
        for u in range(self.unroll):
            names = []
            for st in group:
                x = self.get(st.value, u, width)
                names.append(name := self.fresh("t"))
                self.line(f"const {kind} {name} = {scalar_text.to_memory(dtype, width, x)};")
            base = f"b{first.buffer} + ({self.affine(first.index, u)})"
            for k in range(step):
                place, text = f"{base} + {k * width}", woven(names, k, width)
                if self.streams(first, dtype, width):
                    self.line(f"stream_{scalar.memory_code(dtype)}x{width}({place}, {text});")
                else:
                    self.line(f"*((__global {kind}_u *)({place})) = {text};")


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
