"""Rows abreast: each lane of a strip is a row, whose elements go by strips of their own.

Outside, the axis of the rows is that of the strips, so that what follows the folds is computed in
registers of rows. Inside, a loop along the folded axis has an accumulator for each row; at its end
the accumulators become one register, a lane a row, each row's lanes added up in the order in which
it would be by itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lowering import scalar
from lowering.emit.folds import Folds
from lowering.emit.scope import Event, Fold


class Abreast(Folds):
    """The folds of rows that go side by side."""

    open_v: Any

    def goes_abreast(self, k: int) -> bool:
        """Whether fold k is one along the rows' strips."""
        how = self.s.abreast
        return how is not None and how.axis in self.values[k].folded

    def start_fold(self, k: int) -> Fold:
        how = self.s.abreast
        if how is None or not self.goes_abreast(k):
            return super().start_fold(k)
        v, name = self.values[k], self.fresh("a")
        sums = [f"{name}_{u}" for u in range(max(1, self.width))]
        for each in sums:
            self.declare(each, v.dtype, how.width, self.fold_identity(v), v)
        fold = Fold(k, v.folded, name, sums, True)
        self.folds[k] = fold
        return fold

    def open_abreast(self, events: list[Event], n: int) -> None:
        """The loop along the rows' elements: its strips are those of v while it is written."""
        outer, how = (self.s, self.width, self.unroll), self.s.abreast
        assert how is not None
        self.beside, self.unroll = self.s.v, max(1, self.width)
        rows = (*self.s.rows, self.s.v)
        self.s = replace(self.s, rows=rows, v=how.axis, width=how.width, unroll=1, again="")
        self.open_v(events, "0", str(n), n)
        self.s, self.width, self.unroll = outer
        self.beside = None

    def accumulate(self, fold: Fold) -> None:
        if self.beside is None:
            super().accumulate(fold)
            return
        v, width = self.values[fold.value], self.width
        for u, target in enumerate(fold.vector_names):
            given = [self.get(a, u, width) for a in v.args]
            text = self.gathered(v, target, given, width)
            self.line(f"{target} = {self.once(fold, text, target)};")

    def finish_fold(self, fold: Fold) -> None:
        how = self.s.abreast
        if how is None or not self.goes_abreast(fold.value):
            super().finish_fold(fold)
            return
        v, sums = self.values[fold.value], fold.vector_names
        each = "fold" if len(sums) == 1 else f"folds{len(sums)}"
        out = self.fresh("x")
        call = f"{each}_{v.fold}_{scalar.code(v.dtype)}x{how.width}({', '.join(sums)})"
        self.line(f"const {scalar.register_type(v.dtype, len(sums))} {out} = {call};")
        self.scope.names[(fold.value, 0)] = out
