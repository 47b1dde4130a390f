"""Kept rows: what one loop over v computed at some cost, and a later loop over the same row wants.

The first loop writes it to a private array, a row long, and the later ones read it: softmax takes
each exponential once. Cheap values are computed again, which needs no memory. Where columns are
folded the array is as wide as the strip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lowering import scalar
from lowering.emit.scope import Event, Fold, Scope
from lowering.emit.values import Values
from lowering.nest import Value
from lowering.schedule import MOST_PANEL

LEAST_COST = 10.0  # operations an element, below which a value is computed again
MOST_BYTES = 65536  # of private memory for the kept rows of one stage
ROOMS = 1024, 4096, MOST_BYTES // 4  # elements of a kept row whose length is no part of the text


@dataclass(slots=True)
class Row:
    """A private array with an element of `value` for each of v, or a strip for each of the folded
    axis; `filled` by the first loop.
    """

    name: str
    value: int
    begun: bool = False
    filled: bool = False


class Keeping(Values):
    """Which values are kept, and the text that writes and reads them."""

    named: Any

    def keep_rows(self, phases: list[list[Event]]) -> None:
        """Declare an array for each value that two of the phases want and that costs enough.

        `phases` are the events of each loop at this level; a fold that begins here is its value.
        """
        s = self.s
        if s.mode != "cpu" or s.v is None:
            return
        if s.v not in s.folds and (len(s.folds) != 1 or s.v not in self.scope.open):
            return
        wanted = [self.computed_by(events) for events in phases]
        for at, first in enumerate(wanted):
            later = frozenset().union(*wanted[at + 1 :])
            shared = {k for k in first & later if k not in self.rows and self.over_one_axis(k)}
            for k in sorted(shared):
                users = {j for j in later - shared if k in self.values[j].args}
                asked = any(k in self.event_roots(e) for es in phases[at + 1 :] for e in es)
                if (users or asked) and self.cost_within(k, shared) >= LEAST_COST:
                    self.declare_row(k)

    @property
    def kept_axis(self) -> int:
        """The axis along which rows are kept."""
        return self.s.v if self.s.v in self.s.folds else self.s.folds[0]

    def computed_by(self, events: list[Event], at_hand: set[int] | None = None) -> frozenset[int]:
        """The values that a loop for `events` computes; earlier folds, and what is `at_hand`, are
        not among them.
        """
        seen: set[int] = set()
        todo = [r for e in events for r in self.event_roots(e)]
        while todo:
            k = todo.pop()
            if k in seen or self.values[k].is_fold or self.named(k) or k in (at_hand or ()):
                continue
            seen.add(k)
            todo.extend(self.values[k].args)
        return frozenset(seen)

    def event_roots(self, e: Event) -> list[int]:
        """What the event takes: a store's value and place, the arguments of a fold (by its value
        before it is started).
        """
        if e[0] == "keep":
            return [e[1]]
        if e[0] == "store":
            return [e[1].value] + ([e[1].dynamic] if e[1].dynamic is not None else [])
        fold = e[1].value if isinstance(e[1], Fold) else e[1]
        return list(self.values[fold].args)

    def over_one_axis(self, k: int) -> bool:
        """Whether k has one element, or strip, for each element of the kept axis in this scope."""
        v = self.values[k]
        alone = v.mask - self.scope.open == {self.kept_axis}
        return alone and v.op == "map" and v.dtype.kind != "b"

    def cost_within(self, k: int, shared: set[int]) -> float:
        """Operations that k and those of its arguments that are shared as well take."""
        seen, todo, total = set(), [k], 0.0
        while todo:
            j = todo.pop()
            if j in seen or j not in shared:
                continue
            seen.add(j)
            total += scalar.cost(self.values[j].attr)
            todo.extend(self.values[j].args)
        return total

    def turned(self, reach: list[int]) -> list[int]:
        """Running folds along v that meet one in the other direction, in it or in a value made of
        both: a loop of their own fills their rows.
        """
        s = self.s
        if s.mode != "cpu" or s.v not in s.folds:
            return []
        below: dict[int, set[int]] = {}  # the running folds that a value is made of
        found: set[int] = set()
        for k in reach:
            v = self.values[k]
            met = set().union(*(below.get(a, ()) for a in v.args)) - found
            runs = v.op == "cumscan" and v.attr[1] == s.v
            reverse = v.attr[2] if runs else any(self.values[j].attr[2] for j in met)
            found |= {j for j in met if self.values[j].attr[2] != reverse}
            below[k] = met - found | ({k} if runs else set())
        return sorted(k for k in found if self.values[k].mask - self.scope.open == {s.v})

    def kept_already(self, k: int) -> bool:
        """Whether a loop has filled value k's row."""
        return k in self.rows and self.rows[k].filled

    def declare_row(self, k: int) -> None:
        """A private array, if there is room for one more."""
        v, n = self.values[k], self.nest.extents[self.kept_axis]
        panel = self.s.v not in self.s.folds
        lanes = max(1, self.width) * self.unroll if panel and self.s.v in v.mask else 1
        size = n * lanes * max(4, v.dtype.itemsize)
        if self.kept_bytes + size > (MOST_PANEL if panel else MOST_BYTES):
            return
        self.kept_bytes += size
        row = Row(self.fresh("k"), k)
        kind = scalar.register_type(v.dtype, 1)
        room = next(x for x in ROOMS if x >= n) if self.long_rows and not panel else n * lanes
        self.line(f"{kind} {row.name}[{room}] __attribute__((aligned(64)));")
        self.rows[k] = row

    def compute(self, k: int, v: Value, u: int, scope: Scope) -> str:
        """The value's text; a kept one is read where an earlier loop has filled its row."""
        row = self.rows.get(k)
        if row is None:
            return super().compute(k, v, u, scope)
        width = self.value_width(v)
        kind = scalar.register_type(v.dtype, width)
        at = f"i{self.kept_axis}"
        if self.s.v not in self.s.folds:
            at += f" * {width * self.unroll}" if self.s.v in v.mask else ""
        place = (
            f"*({self.row_type(kind, width)} *)({row.name} + {at}{f' + {u * width}' if u else ''})"
        )
        if row.filled:
            out = self.fresh("x")
            self.line(f"const {kind} {out} = {place};")
            return out
        out = super().compute(k, v, u, scope)
        self.line(f"{place} = {out};")
        row.begun = True
        return out

    def row_type(self, kind: str, width: int) -> str:
        """How a strip of a row is read: strips that start at the far end, and the last of those
        that leave a rest, are on no boundary.
        """
        backwards = any(v.op == "cumscan" and v.attr[2] for v in self.values)
        rest = self.s.v == self.kept_axis and self.nest.extents[self.kept_axis] % max(1, width)
        return f"{kind}_u" if width > 1 and (backwards or rest) else kind

    def computes_operands(self, k: int, v: Value) -> bool:
        row = self.rows.get(k)
        return super().computes_operands(k, v) and (row is None or not row.filled)

    def rows_filled(self, outer: set[int]) -> None:
        """A loop has ended: the rows that it wrote can be read. Those of `outer` levels cannot:
        this loop is inside of theirs, whose strips may have begun what the rest is yet to write.
        """
        for k, row in self.rows.items():
            row.filled = row.begun if k not in outer else row.filled
