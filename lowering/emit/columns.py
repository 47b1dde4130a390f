"""Columns: few results of a block of rows stay in registers until its rows are folded.

In: a nest whose stores all fold blocks of rows into few numbers side by side. Their strips are
written out one after the other inside the loop over rows, the last ones narrower, each with a
register; in memory, a row would wait for the one before it to be stored and loaded again.
"""

from __future__ import annotations

from typing import Any

from lowering import scalar
from lowering.emit.abreast import Abreast
from lowering.emit.scope import Event
from lowering.nest import Nest, Store
from lowering.schedule import Schedule, work

MOST_STRIPS = 8  # written out, for each of them the nest's operations
MOST_REGISTERS = 12  # of all strips and results
MOST_TEXT = 100.0  # operations and accesses of all strips

Piece = tuple[int, int]  # where a strip begins, and its lanes


def pieces_of(nest: Nest, s: Schedule) -> tuple[Piece, ...]:
    """The strips of a nest's few columns; none where its results stay in memory."""
    plain = s.rows and s.v not in s.folds and s.tile is None and not s.apart
    if s.v is None or not plain or s.cells is not None or nest.dealt is not None or not nest.stores:
        return ()
    for st in nest.stores:
        if st.partial is None or st.index.terms != ((s.v, 1),) or st.guards:
            return ()
    found: list[Piece] = []
    start, n = 0, nest.extents[s.v]
    if n > MOST_STRIPS * s.width:
        return ()
    while start < n:
        lanes = min(s.width, 1 << ((n - start).bit_length() - 1))
        found.append((start, lanes))
        start += lanes
    registers, text = len(found) * len(nest.stores), len(found) * work(nest)
    fits = len(found) <= MOST_STRIPS and registers <= MOST_REGISTERS and text <= MOST_TEXT
    return tuple(found) if fits else ()


class Columns(Abreast):
    """The registers of such stores, and the strips."""

    run_strip: Any
    pieces: tuple[Piece, ...] = ()
    piece = 0  # where the open strip begins

    def partial_start(self) -> None:
        self.pieces = pieces_of(self.nest, self.s)
        if not self.pieces:
            super().partial_start()
        for st in self.nest.stores if self.pieces else ():
            dtype = self.nest.buffers[st.buffer].dtype
            start = scalar.identity(st.partial, dtype)
            for at, width in self.pieces:
                kind, text = (
                    scalar.register_type(dtype, width),
                    scalar.constant(start, dtype, width),
                )
                self.line(f"{kind} {self.register(st, at)} = {text};")

    def register(self, st: Store, at: int) -> str:
        """The name of the sums of the strip that begins there."""
        return f"sum{next(k for k, x in enumerate(self.nest.stores) if x is st)}_{at}"

    def open_columns(self, events: list[Event]) -> bool:
        """Write out all strips, if such stores are what happens along v."""
        for at, width in self.pieces:
            self.piece = at
            self.run_strip(events, width, 1, f"{{\n  const {self.ix} i{self.s.v} = {at};")
        return bool(self.pieces)

    def partial_add(self, st: Store) -> None:
        if not self.pieces:
            super().partial_add(st)
            return
        dtype, name = self.nest.buffers[st.buffer].dtype, self.register(st, self.piece)
        x = self.get(st.value, 0, self.width)
        text = scalar.text(st.partial, (dtype, dtype), dtype, self.width, [name, x])
        self.line(f"{name} = {text};")

    def partial_end(self) -> None:
        if not self.pieces:
            super().partial_end()
        for st in self.nest.stores if self.pieces else ():
            buffer = self.nest.buffers[st.buffer]
            for at, width in self.pieces:
                to = f"b{st.buffer} + item * {buffer.lead} + {at + st.index.const}"
                text = scalar.store(buffer.dtype, width, to, self.register(st, at))
                self.line(f"{text};")
