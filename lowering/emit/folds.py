"""Folds: accumulators, running folds, and partial results over blocks of rows.

A fold along v keeps `unroll` vector accumulators and a scalar one for the rest, joined in a fixed
order: the same bits on any number of cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lowering import scalar
from lowering.affine import Cut
from lowering.emit.picked import Picking
from lowering.emit.scope import Event, Fold, Scope
from lowering.emit.values import INT
from lowering.nest import Store, Value

SAME = ("min", "max", "and", "or")
"""Folds to which an element may come twice."""

STREAMED, LONG = 1 << 15, 1 << 20
"""Elements of an item, and of all of them, from which the registers of a strip read parts of their
own: more than the caches of a core hold."""


class Folds(Picking):
    """What is gathered over a loop."""

    def start_fold(self, k: int) -> Fold:
        """Declare the accumulators of fold k in the current scope."""
        v = self.values[k]
        name = self.fresh("a")
        lanes = self.s.v in v.mask and self.width > 0
        over_v = self.s.v in v.folded and self.s.width > 1
        fold = Fold(k, v.folded, name, [], lanes)
        start = self.fold_identity(v)
        arg = v.dtype if v.op != "argreduce" else self.values[v.args[0]].dtype
        if lanes:
            fold.vector_names = [f"{name}_{u}" for u in range(self.unroll)]
            for n in fold.vector_names:
                self.declare(n, arg, self.width, start, v)
            fold.scalar_name = ""
        else:
            if over_v:
                fold.vector_names = [f"{name}_{u}" for u in range(self.s.unroll)]
                for n in fold.vector_names:
                    self.declare(n, arg, self.s.width, start, v)
            self.declare(name, arg, 1, start, v)
        self.folds[k] = fold
        return fold

    def fold_identity(self, v: Value) -> Any:
        dtype = self.values[v.args[0]].dtype if v.op == "argreduce" else v.dtype
        return scalar.identity(v.fold, dtype)

    def declare(self, name: str, dtype: np.dtype, width: int, start: Any, v: Value) -> None:
        kind = scalar.register_type(dtype, width)
        self.line(f"{kind} {name} = {scalar.constant(start, dtype, width)};")
        if v.op == "argreduce":
            index = scalar.register_type(INT, width)
            self.line(f"{index} {name}_at = {scalar.constant(0, INT, width)};")

    def accumulate(self, fold: Fold) -> None:
        """One more element (or strip of elements) into the accumulators."""
        v = self.values[fold.value]
        in_vector = self.width > 1 and self.s.v in (self.values[fold.value].mask | fold.axes)
        copies = self.unroll if self.width and self.s.v in (v.mask | fold.axes) else 1
        for u in range(copies):
            target = fold.vector_names[u] if (in_vector or fold.lanes) else fold.scalar_name
            width = self.width if (in_vector or fold.lanes) else 1
            given = [self.get(a, u, width) for a in v.args]
            if v.op == "argreduce":
                self.accumulate_arg(v, target, given[0], width, u)
                continue
            text = self.gathered(v, target, given, width)
            self.line(f"{target} = {self.once(fold, text, target)};")

    def gathered(self, v: Value, target: str, given: list[str], width: int) -> str:
        """What the accumulator `target` of fold v becomes by one more element."""
        if v.op == "mad":
            return f"mad_{scalar.code(v.dtype)}x{width}({', '.join(given)}, {target})"
        return scalar.text(v.attr[0], (v.dtype, v.dtype), v.dtype, width, [target, *given])

    def once(self, fold: Fold, text: str, target: str) -> str:
        """`text`, what the accumulator `target` becomes, but where lanes had their turn before."""
        v = self.values[fold.value]
        twice = v.op == "reduce" and v.attr[0] in SAME
        if not self.repeated or self.s.v not in fold.axes or twice:
            return text
        boolean = np.dtype(bool)
        mask = f"({scalar.register_type(boolean, self.width)})"
        lanes = ", ".join("0" if k < self.repeated else "-1" for k in range(self.width))
        kinds = (boolean, v.dtype, v.dtype)
        taken = [f"({mask}({lanes}))", f"({text})", target]
        return scalar.text("select", kinds, v.dtype, self.width, taken)

    def accumulate_arg(self, v: Value, target: str, x: str, width: int, u: int) -> None:
        """The first best wins: strictly better, or NaN where there was none; where a loop counts
        down, also what is as good and comes before.
        """
        dtype = self.values[v.args[0]].dtype
        better = self.better(v.attr[0], dtype, width, x, target)
        at = self.index_text(v.attr[1], INT, width, u)
        if v.attr[2] & self.backwards:
            worse = self.better(v.attr[0], dtype, width, target, x)
            first = scalar.text("lt", (INT, INT), np.dtype(bool), width, [at, f"{target}_at"])
            better = f"({better} | (({first}) & !({worse})))"
        m = self.fresh("m")
        self.line(f"{scalar.register_type(np.dtype(bool), width)} {m} = {better};")
        kinds, boolean = (dtype, dtype), np.dtype(bool)
        best = scalar.text("select", (boolean, *kinds), dtype, width, [m, x, target])
        place = scalar.text("select", (boolean, INT, INT), INT, width, [m, at, f"{target}_at"])
        self.line(f"{target} = {best};")
        self.line(f"{target}_at = {place};")

    def better(self, op: str, dtype: np.dtype, width: int, x: str, y: str) -> str:
        """Whether x beats y: greater (or less), or NaN where y is not."""
        compare = scalar.text(
            "gt" if op == "max" else "lt", (dtype, dtype), np.dtype(bool), width, [x, y]
        )
        if dtype.kind in "iub":
            return compare
        nan_x = scalar.text("ne", (dtype, dtype), np.dtype(bool), width, [x, x])
        ok_y = scalar.text("eq", (dtype, dtype), np.dtype(bool), width, [y, y])
        return f"({compare} | ({nan_x} & {ok_y}))"

    def finish_folds(self, folds: list[Fold]) -> None:
        """End the folds of one phase; a schedule that joins items does them together."""
        for fold in folds:
            self.finish_fold(fold)

    def finish_fold(self, fold: Fold) -> None:
        """Bring the accumulators together and name the result."""
        v = self.values[fold.value]
        if fold.lanes:
            for u, n in enumerate(fold.vector_names):
                self.scope.names[(fold.value, u)] = self.arg_result(v, n, self.width)
            return
        if fold.vector_names:
            if v.op == "argreduce":
                self.finish_arg(v, fold)
            else:
                self.combine_lanes(v.fold, v.dtype, fold)
        self.scope.names[(fold.value, 0)] = self.arg_result(v, fold.scalar_name, 1)

    def arg_result(self, v: Value, name: str, width: int) -> str:
        if v.op != "argreduce":
            return name
        at = f"{name}_at"
        if v.dtype == INT:
            return at
        out = self.fresh("x")
        text = scalar.text("convert", (INT,), v.dtype, width, [at])
        self.line(f"const {scalar.register_type(v.dtype, width)} {out} = {text};")
        return out

    def combine_lanes(self, op: str, dtype: np.dtype, fold: Fold) -> None:
        """Vector accumulators into the scalar one, in a fixed order."""
        names = list(fold.vector_names)
        width = self.s.width
        while len(names) > 1:
            half = len(names) // 2
            for k in range(half):
                text = scalar.text(op, (dtype, dtype), dtype, width, [names[k], names[k + half]])
                self.line(f"{names[k]} = {text};")
            names = names[:half]
        if dtype.kind == "b":
            name = {"add": "or", "max": "or", "mul": "and", "min": "and"}.get(op, op)
            text = f"fold_{name}_i32x{width}({names[0]}) != 0"
        else:
            text = f"fold_{op}_{scalar.code(dtype)}x{width}({names[0]})"
        h = self.fresh("h")
        self.line(f"const {scalar.register_type(dtype, 1)} {h} = {text};")
        text = scalar.text(op, (dtype, dtype), dtype, 1, [h, fold.scalar_name])
        self.line(f"{fold.scalar_name} = {text};")

    def finish_arg(self, v: Value, fold: Fold) -> None:
        """The best of all lanes of all accumulators and of the scalar rest; the lower index wins a
        tie.
        """
        dtype = self.values[v.args[0]].dtype
        kind = scalar.register_type(dtype, 1)
        best, at = fold.scalar_name, f"{fold.scalar_name}_at"
        for n in fold.vector_names:
            self.line("{")
            lanes = scalar.register_type(dtype, self.s.width)
            self.line(f"  {lanes} t = {n}; int{self.s.width} ti = {n}_at;")
            self.line(f"  for (int l = 0; l < {self.s.width}; ++l) {{")
            self.line(f"    const {kind} x = (({kind} *)&t)[l]; const int xi = ((int *)&ti)[l];")
            better = self.better(v.attr[0], dtype, 1, "x", best)
            tie = f"(x == {best} || (x != x && {best} != {best})) && xi < {at}"
            self.line(f"    if ({better} || ({tie})) {{ {best} = x; {at} = xi; }}")
            self.line("  }")
            self.line("}")

    # ------------------------------------------------ running folds

    def start_running(self, k: int) -> None:
        v = self.values[k]
        op, a, _ = v.attr
        if not (v.mask - {a}) <= self.scope.open:
            raise Cut(None, "a running fold needs a state per element of an inner axis")
        name = self.fresh("c")
        lanes = self.s.v in v.mask and self.s.v != a and self.width > 0
        width = self.width if lanes else 1
        start = scalar.constant(scalar.identity(op, v.dtype), v.dtype, width)
        names = [f"{name}_{u}" for u in range(self.unroll if lanes else 1)]
        for n in names:
            self.line(f"{scalar.register_type(v.dtype, width)} {n} = {start};")
        self.running[k] = names

    def cumscan(self, k: int, u: int, scope: Scope) -> str:
        """The running fold up to here; the state moves on."""
        v = self.values[k]
        op, a, reverse = v.attr
        pair = (v.dtype, v.dtype)
        width = self.value_width(v)
        state = self.running[k][u if len(self.running[k]) > 1 else 0]
        x = self.get(v.args[0], u, width)
        kind = scalar.register_type(v.dtype, width)
        out = self.fresh("x")
        if a != self.s.v or width == 1:
            self.line(f"{state} = {scalar.text(op, pair, v.dtype, width, [state, x])};", scope)
            self.line(f"const {kind} {out} = {state};", scope)
            return out
        start = scalar.constant(scalar.identity(op, v.dtype), v.dtype, 1)
        self.line(f"{kind} {out} = {x};", scope)
        for sources in scan_steps(width, 16 // max(4, v.dtype.itemsize), reverse):
            lanes = [start if j is None else f"{out}.s{j:x}" for j in sources]
            text = scalar.text(op, pair, v.dtype, width, [out, f"({kind})({', '.join(lanes)})"])
            self.line(f"{out} = {text};", scope)
        lane = "0" if reverse else "0123456789abcdef"[width - 1]
        last = self.fresh("x")
        self.line(f"const {scalar.register_type(v.dtype, 1)} {last} = {out}.s{lane};", scope)
        carried = scalar.splat(v.dtype, width, state)
        self.line(f"{out} = {scalar.text(op, pair, v.dtype, width, [carried, out])};", scope)
        self.line(f"{state} = {scalar.text(op, pair, v.dtype, 1, [state, last])};", scope)
        return out

    # ------------------------------------------------ partial results over blocks of rows

    def partial_start(self) -> None:
        """Before the rows: accumulators, or the block's part of the output set to the identity."""
        for k, st in enumerate(self.nest.stores):
            if st.partial is None:
                continue
            dtype = self.nest.buffers[st.buffer].dtype
            start = scalar.identity(st.partial, dtype)
            lead = self.nest.buffers[st.buffer].lead
            if st.index.axes:
                text = scalar.store(
                    dtype, 1, f"b{st.buffer} + item * {lead} + k", scalar.constant(start, dtype, 1)
                )
                self.line(f"for (int k = 0; k < {lead}; ++k) {text};")
                continue
            fold = Fold(st.value, frozenset(), self.fresh("p"), [], False)
            if self.s.v is not None and self.s.width > 1 and self.s.v in self.values[st.value].mask:
                fold.vector_names = [f"{fold.scalar_name}_{u}" for u in range(self.s.unroll)]
            for n in fold.vector_names:
                kind = scalar.register_type(dtype, self.s.width)
                self.line(f"{kind} {n} = {scalar.constant(start, dtype, self.s.width)};")
            kind, value = scalar.register_type(dtype, 1), scalar.constant(start, dtype, 1)
            self.line(f"{kind} {fold.scalar_name} = {value};")
            self.partials[k] = fold

    def reads_alone(self, events: list[Event], n: int) -> bool:
        """Whether all that happens along an item's long part of v is that one array is read and
        folded.
        """
        s, values = self.s, self.values
        stores = [st for kind, st in events if kind == "store"]
        if len(stores) < len(events) or any(x.partial is None or x.index.axes for x in stores):
            return False
        if s.width == 1 or s.unroll == 1 or n < max(LONG, STREAMED * s.items[1]):
            return False
        loads = [v.attr[1] for v in values if v.op == "load" and s.v in v.mask]
        plain = all(v.op in ("load", "const", "map") for v in values if s.v in v.mask)
        return plain and len(loads) == 1 and loads[0].coef(s.v) == 1

    def partial_add(self, st: Store) -> None:
        k = next(j for j, other in enumerate(self.nest.stores) if other is st)
        fold = self.partials.get(k)
        dtype = self.nest.buffers[st.buffer].dtype
        pair = (dtype, dtype)
        v = self.values[st.value]
        copies = self.unroll if self.width and self.s.v in (v.mask | st.index.axes) else 1
        for u in range(copies):
            width = self.width if self.width > 1 and self.s.v in (v.mask | st.index.axes) else 1
            x = self.get(st.value, u, width)
            if fold is not None:
                target = fold.vector_names[u] if width > 1 else fold.scalar_name
                self.line(f"{target} = {scalar.text(st.partial, pair, dtype, width, [target, x])};")
                continue
            lead = self.nest.buffers[st.buffer].lead
            base = f"b{st.buffer} + item * {lead} + ({self.affine(st.index, u)})"
            c = st.index.coef(self.s.v) if self.s.v is not None else 0
            apart = width > 1 and c != 1
            if apart and (not c or len(self.nest.stores) > 1):
                raise Cut(
                    None, "a partial reduction whose result is not contiguous along the strip"
                )
            old = scalar.load_strided(dtype, width, base, c if apart else 1)
            text = scalar.text(st.partial, pair, dtype, width, [old, x])
            if apart:
                self.store_lanes(st, u, width, c, base, text)
                continue
            self.line(scalar.store(dtype, width, base, text) + ";")

    def partial_end(self) -> None:
        for k, fold in self.partials.items():
            st = self.nest.stores[k]
            dtype = self.nest.buffers[st.buffer].dtype
            if fold.vector_names:
                self.combine_lanes(st.partial, dtype, fold)
            self.line(scalar.store(dtype, 1, f"b{st.buffer} + item", fold.scalar_name) + ";")


def scan_steps(width: int, near: int, reverse: bool) -> Iterator[list[int | None]]:
    """For each step of a running fold inside a register, the lane that comes into each lane.

    Within `near` lanes (128 bits) all move by the step; beyond them, the last lane of a block comes
    into all of the next. Lanes moved across all of a register take a processor twice as long.
    """
    for step in (1 << k for k in range(width.bit_length() - 1)):
        sources: list[int | None] = []
        for j in range(width):
            place = width - 1 - j if reverse else j
            if step < near:
                source = place - step if place % near >= step else None
            else:
                source = place & -2 * step | step - 1 if place & step else None
            sources.append(width - 1 - source if reverse and source is not None else source)
        yield sources
