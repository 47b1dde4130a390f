"""Picked rows: while one row is copied or computed, one that a list names further on is asked for.

`table[ids]` reads rows that lie anywhere; no prefetcher of a processor knows where. So each turn of
the loop over rows works out the place of a later row, and asks for its lines.
"""

from __future__ import annotations

from typing import Any

from lowering.affine import Affine, axis
from lowering.emit.ahead import Ahead
from lowering.emit.scope import Scope

AHEAD = 8  # rows
LEAST_BYTES = 1 << 23  # of the array that rows are picked from: of smaller ones a cache has them
SHORTEST, LONGEST = 1 << 6, 1 << 9  # bytes of a row: longer ones hide the wait by themselves
PLAIN = frozenset({"load", "map", "const", "index", "alias"})  # what a place is computed by


class Picking(Ahead):
    """The head of a loop over rows."""

    row_indices: Any

    def ask_picked(self, rows: tuple[int, ...], number: str, end: str, which: str) -> None:
        """At the head of a loop: what the turn AHEAD of this one reads, the last one's at the end.

        `number` counts the turns up to `end`; `which`, of the variable h, is the number of the row
        that a turn is about.
        """
        found = self.picked(rows, in_order=which == "h")
        if not found:
            return
        here = self.scope
        self.scope = Scope(here.open, here.parent, here.depth + 1)
        self.line(
            f"const {self.ix} h = {number} + {AHEAD} < {end} ? {number} + {AHEAD} : {end} - 1;"
        )
        self.row_indices(which, rows)
        for buffer, index, picks in found:
            row = "" if picks is None else f" + {self.get(picks, 0, 1)}"
            self.ask(buffer, index, self.nest.extents[self.s.v], row=row)
        asked, self.scope = self.scope, here
        self.line("{")
        here.lines += asked.lines
        self.line("}")

    def picked(self, rows: tuple[int, ...], in_order: bool) -> list[tuple[int, Affine, int | None]]:
        """The buffers whose rows are picked, where a row begins, and the value that picks; None
        where the rows are those of the turns, and these are not `in_order`.
        """
        s, axes, found = self.s, frozenset(rows), []
        if s.v is None or s.apart or not axes <= self.scope.open:
            return []
        for v in self.values:
            if v.op != "load" or (in_order and not v.args):
                continue
            buffer, index = v.attr[:2]
            b = self.nest.buffers[buffer]
            if b.size * b.dtype.itemsize < LEAST_BYTES or index.coef(s.v) != 1:
                continue
            if not SHORTEST <= self.nest.extents[s.v] * b.dtype.itemsize <= LONGEST:
                continue
            start = index + axis(s.v) * -1
            picks = v.args[0] if v.args else None
            if start.axes <= axes and (start.axes if picks is None else self.plain(picks, axes)):
                found.append((buffer, start, picks))
        return list(dict.fromkeys(found))

    def plain(self, k: int, axes: frozenset[int]) -> bool:
        """Whether a value is one number a row, computed by reading and simple operations alone."""
        todo, seen = [k], {k}
        while todo:
            v = self.values[todo.pop()]
            if v.op not in PLAIN or not v.mask <= axes:
                return False
            todo += [a for a in v.args if a not in seen]
            seen.update(v.args)
        return bool(self.values[k].mask)
