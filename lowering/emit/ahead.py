"""Rows ahead: while one row is computed, the next one is asked for.

A row kernel goes over its row several times: the first loop waits for memory, the others find the
row in a cache and leave memory idle, and at the end of each row the processor's own prefetcher must
find its stride anew. So the dearest of the loops asks for what it reads itself, a row further.
"""

from __future__ import annotations

from lowering import scalar
from lowering.affine import Affine
from lowering.emit.keep import Keeping
from lowering.emit.scope import Event

LINE = 64  # bytes
LEAST_BYTES = 1 << 20  # of an array whose rows are asked for: smaller ones are near by themselves
SHORTEST, LONGEST = 1 << 11, 1 << 15  # bytes of a row, all arrays together
NEAR = 1 << 13  # bytes up to which a row goes into the first-level cache, beside the current one


class Ahead(Keeping):
    """Which loop asks for the next row, and the text that does."""

    asking = False  # whether the loop that is written asks for the next row

    def asking_loop(self, phases: list[list[Event]]) -> int:
        """Which of a row's loops asks for the next row: its dearest; -1 for none."""
        s = self.s
        if s.mode != "cpu" or s.v not in s.folds or not s.rows or s.width == 1 or len(phases) < 2:
            return -1
        if not frozenset(s.rows) <= self.scope.open or not self.rows_ahead():
            return -1
        costs, kept = [], set()
        for events in phases:
            computed = self.computed_by(events, kept)
            kept |= computed & self.rows.keys()
            values = [self.values[k] for k in computed]
            costs.append(
                sum(scalar.cost(v.attr) for v in values if v.op == "map" and s.v in v.mask)
            )
        return costs.index(max(costs))

    def rows_ahead(self) -> list[tuple[int, Affine]]:
        """The buffers and indices of the rows to ask for, each one row further."""
        s, found = self.s, []
        for v in self.values:
            if v.op != "load" or v.args or v.attr[2] or v.attr[3] or v.attr[0] < 0:
                continue
            buffer, index = v.attr[:2]
            step, b = index.coef(s.rows[-1]), self.nest.buffers[buffer]
            if index.coef(s.v) == 1 and step and b.size * b.dtype.itemsize >= LEAST_BYTES:
                found.append((buffer, index + step))
        found = list(dict.fromkeys(found))
        return found if SHORTEST <= self.bytes_ahead(found) <= LONGEST else []

    def bytes_ahead(self, found: list[tuple[int, Affine]]) -> int:
        """Bytes of one row of each."""
        sizes = [self.nest.buffers[k].dtype.itemsize for k, _ in found]
        return sum(sizes) * self.nest.extents[self.s.v]

    def ask_ahead(self) -> None:
        """In a strip: its part of the next row."""
        found = self.rows_ahead()
        level = 3 if self.bytes_ahead(found) <= NEAR else 2
        for buffer, index in found:
            if not index.axes <= self.scope.open:
                continue
            row, step = "", index.coef(self.s.rows[-1])
            if self.long_rows and step == self.nest.extents[self.s.v]:
                row, index = f" + {self.stride(step)}", index + -step
            self.ask(buffer, index, self.width * self.unroll, f", 0, {level}", row)

    def ask(self, buffer: int, index: Affine, count: int, how: str = "", row: str = "") -> None:
        """Ask for the lines of `count` elements from an index on, of the row that begins at `row`;
        `how`: the arguments of the request.
        """
        for at in range(0, count, LINE // self.nest.buffers[buffer].dtype.itemsize):
            self.line(f"__builtin_prefetch(b{buffer} + ({self.affine(index + at)}){row}{how});")
