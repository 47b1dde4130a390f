"""Picked rows: while one row is copied or computed, one that a list names further on is asked for.

`table[ids]` reads rows that lie anywhere; no prefetcher of a processor knows where. So each turn of
the loop over rows works out the place of a later row, and asks for its lines.
"""

from __future__ import annotations

from typing import Any

from lowering.affine import Affine, axis
from lowering.emit.ahead import LINE, Ahead
from lowering.emit.scope import Scope

AHEAD = 8  # rows
LEAST_BYTES = 1 << 23  # of the array that rows are picked from: of smaller ones a cache has them
SHORTEST, LONGEST = 1 << 6, 1 << 9  # bytes of a row: longer ones hide the wait by themselves
PLAIN = frozenset({"load", "map", "const", "index", "alias"})  # what a place is computed by


class Picking(Ahead):
    """The head of a loop over rows."""

    row_indices: Any

    def ask_picked(self) -> None:
        """At the head of a loop over rows g up to g1: what it picks some rows further."""
        found = self.picked()
        if not found:
            return
        here = self.scope
        self.scope = Scope(here.open, here.parent, here.depth + 1)
        self.line(f"const {self.ix} h = g + {AHEAD} < g1 ? g + {AHEAD} : g1 - 1;")
        self.row_indices("h")
        for buffer, index, which in found:
            row, count = self.get(which, 0, 1), LINE // self.nest.buffers[buffer].dtype.itemsize
            for at in range(0, self.nest.extents[self.s.v], count):
                self.line(f"__builtin_prefetch(b{buffer} + ({self.affine(index + at)}) + {row});")
        asked, self.scope = self.scope, here
        self.line("{")
        here.lines += asked.lines
        self.line("}")

    def picked(self) -> list[tuple[int, Affine, int]]:
        """The buffers that rows are picked from, where a row begins, and the value that picks."""
        s, rows, found = self.s, frozenset(self.s.rows), []
        if s.v is None or s.apart or not rows <= self.scope.open:
            return []
        for v in self.values:
            if v.op != "load" or not v.args:
                continue
            buffer, index, which = v.attr[0], v.attr[1], v.args[0]
            b = self.nest.buffers[buffer]
            if b.size * b.dtype.itemsize < LEAST_BYTES or index.coef(s.v) != 1:
                continue
            near = SHORTEST <= self.nest.extents[s.v] * b.dtype.itemsize <= LONGEST
            if near and index.axes <= rows | {s.v} and self.plain(which, rows):
                found.append((buffer, index + axis(s.v) * -1, which))
        return list(dict.fromkeys(found))

    def plain(self, k: int, rows: frozenset[int]) -> bool:
        """Whether a value is one number a row, computed by reading and simple operations alone."""
        todo, seen = [k], {k}
        while todo:
            v = self.values[todo.pop()]
            if v.op not in PLAIN or not v.mask <= rows:
                return False
            todo += [a for a in v.args if a not in seen]
            seen.update(v.args)
        return bool(self.values[k].mask)
