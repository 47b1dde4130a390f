"""Emit: a scheduled nest to the OpenCL C text of one stage.

Scopes nest as the loops do: item, rows, strip of v, folded axes. A value is written once, in the outermost scope whose
open axes cover its mask; folds are gathered into phases, one loop a phase and axis. In vector scopes a value that varies
over v is a register of `width` lanes, `unroll` of them side by side. The text is canonical: equal nests give equal text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lowering import scalar, scalar_text
from lowering.affine import Affine, Cut, Range
from lowering.nest import IDENTITY, Nest, NestBuffer, Store, Value
from lowering.schedule import Schedule

INT = np.dtype(np.int32)


@dataclass(slots=True)
class Stage:
    """One stage: the body of `stage(item, buffers..., ints...)`, its signature and its launch size."""

    text: str
    buffers: list[NestBuffer]
    ints: list[int]
    items: int
    local: int
    label: str = ""
    windows: tuple[tuple[int, int, int], ...] = ()  # buffer, elements an iteration, loop level


@dataclass(slots=True)
class Fold:
    """A fold in progress: the accumulators' names and the axes that are still to be opened."""

    value: int
    axes: frozenset[int]
    scalar_name: str
    vector_names: list[str]
    lanes: bool  # the result itself varies over v


@dataclass(slots=True)
class Scope:
    """The text of one loop body, and what it has computed."""

    open: frozenset[int]
    parent: Scope | None
    depth: int
    lines: list[str] = field(default_factory=list)
    names: dict[tuple[int, int], str] = field(default_factory=dict)
    width: int = 0  # of v's strips, if v was opened here; 0 elsewhere


Event = tuple[str, Any]


def emit(nest: Nest, schedule: Schedule) -> Stage:
    """The stage that runs `nest` as `schedule` says."""
    return _Emitter(nest, schedule).stage()


class _Emitter:
    def __init__(self, nest: Nest, s: Schedule):
        self.nest, self.s = nest, s
        self.values = nest.values
        self.scope = Scope(frozenset(), None, 1)
        self.width = 0  # of the open strip of v; 0 while v is closed
        self.unroll = 1
        self.folds: dict[int, Fold] = {}
        self.running: dict[int, list[str]] = {}  # cumscan value -> state variables
        self.count = 0
        self.ints: list[int] = []  # integer arguments of the stage
        self.partials: dict[int, Fold] = {}

    # ------------------------------------------------ text helpers

    def line(self, text: str, scope: Scope | None = None) -> None:
        scope = scope or self.scope
        scope.lines.append("  " * scope.depth + text)

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def affine(self, e: Affine, u: int = 0) -> str:
        """C text of an index; in a vector scope v stands for its strip's first lane."""
        parts = []
        const = e.const
        for a, c in e.terms:
            name = f"i{a}"
            if a == self.s.v and self.width > 1 and u:
                const += c * u * self.width
            big = "(long)" if self.nest.extents[a] * abs(c) >= 2**31 else ""
            parts.append(name if c == 1 else f"{big}{c} * {name}")
        if const or not parts:
            parts.append(str(const))
        return " + ".join(parts)

    # ------------------------------------------------ the stage

    def stage(self) -> Stage:
        s, nest = self.s, self.nest
        self.line("#pragma OPENCL FP_CONTRACT " + ("ON" if nest.contract_fp else "OFF"))
        if s.mode == "gpu":
            from lowering import emit_gpu

            return emit_gpu.stage(self)
        strips = s.items[1]
        if strips > 1:
            self.line(f"const long ig = item / {strips}, is = item % {strips};")
        else:
            self.line("const long ig = item;")
        events = self.store_events()
        self.partial_start()
        self.body(events)
        self.partial_end()
        text = "\n".join(self.scope.lines)
        return Stage(text, nest.buffers, self.ints, s.items[0] * s.items[1], 1, nest.label)

    def row_indices(self, flat: str) -> None:
        """The row axes from the flattened row number."""
        rest = flat
        rows = self.s.rows
        for k in range(len(rows) - 1, -1, -1):
            n = self.nest.extents[rows[k]]
            if k == 0:
                self.line(f"const int i{rows[k]} = {rest};")
            else:
                self.line(f"const int i{rows[k]} = {rest} % {n};")
                name = f"g_{k}"
                self.line(f"const int {name} = {rest} / {n};")
                rest = name

    def parallel_axes(self) -> frozenset[int]:
        """The next parallel axes to open: the rows, then v if it is parallel; empty when all are open."""
        s = self.s
        rows = frozenset(s.rows)
        if rows - self.scope.open:
            return rows
        if s.v is not None and s.v not in s.folds and s.v not in self.scope.open:
            return frozenset({s.v})
        return frozenset()

    def open_parallel(self, events: list[Event]) -> None:
        """Open the rows, or v's strips, and go on inside."""
        s, ints = self.s, self.ints
        if self.parallel_axes() != {s.v}:
            k = len(ints)
            ints += [_product(self.nest, s.rows), s.row_block]
            self.line(
                f"const int g0 = ig * n{k + 1}, g1 = min((long)n{k}, (ig + 1) * (long)n{k + 1});"
            )
            outer = self.push(frozenset(s.rows))
            self.row_indices("g")
            self.body(events)
            self.pop(outer, "for (int g = g0; g < g1; ++g) {")
            return
        n = self.nest.extents[s.v]
        k = len(ints)
        if s.items[1] > 1:
            ints += [n, s.strip_block]
            self.line(
                f"const int s0 = is * n{k + 1}, s1 = min((long)n{k}, (is + 1) * (long)n{k + 1});"
            )
            self.open_v(events, "s0", "s1", None)
        elif not s.rows:
            ints += [n]
            self.open_v(events, "0", f"n{k}", None)
        else:
            self.open_v(events, "0", str(n), n)

    # ------------------------------------------------ scopes and loops

    def push(self, axes: frozenset[int], width: int = 0) -> Scope:
        outer = self.scope
        self.scope = Scope(outer.open | axes, outer, outer.depth + 1, width=width)
        return outer

    def pop(self, outer: Scope, head: str) -> None:
        inner, self.scope = self.scope, outer
        self.line(head)
        outer.lines.extend(inner.lines)
        self.line("}")

    def open_v(
        self, events: list[Event], lo: str, hi: str, n: int | None, reverse: bool = False
    ) -> None:
        """Loop over v: vector strips, then the rest one by one (in reverse: strips from the end first)."""
        s = self.s
        v, w, u = s.v, s.width, s.unroll
        step = w * u
        name = f"i{v}"
        start = lo
        if w > 1 and (n is None or n >= step):
            if reverse:
                head = f"for (int {name} = {hi} - {step}; {name} >= {lo}; {name} -= {step}) {{"
            else:
                head = f"for (int {name} = {lo}; {name} + {step} <= {hi}; {name} += {step}) {{"
                whole = f"({hi} - {lo}) / {step} * {step}" if n is None else str(n // step * step)
                start = whole if lo == "0" else f"{lo} + {whole}"
            self.run_strip(events, w, u, head)
            if n is not None and n % step == 0 and hi == str(n):
                return
        if reverse:
            top = f"({hi} - {lo}) % {step} + {lo}" if w > 1 else hi
            head = f"for (int {name} = {top} - 1; {name} >= {lo}; --{name}) {{"
        else:
            head = f"for (int {name} = {start}; {name} < {hi}; ++{name}) {{"
        self.run_strip(events, 1, 1, head)

    def run_strip(self, events: list[Event], width: int, unroll: int, head: str) -> None:
        old = self.width, self.unroll
        self.width, self.unroll = width, unroll
        outer = self.push(frozenset({self.s.v}), width)
        self.body(events)
        self.pop(outer, head)
        self.width, self.unroll = old

    # ------------------------------------------------ bodies

    def store_events(self) -> list[Event]:
        return [("store", st) for st in self.nest.stores]

    def event_roots(self, e: Event) -> list[int]:
        if e[0] == "store":
            st: Store = e[1]
            return [st.value] + ([st.dynamic] if st.dynamic is not None else [])
        return list(self.values[e[1].value].args)

    def event_axes(self, e: Event) -> frozenset[int]:
        """The axes that must be open for the event to happen."""
        axes = frozenset().union(*(self.values[r].mask for r in self.event_roots(e)))
        if e[0] == "store":
            return axes | e[1].index.axes
        return axes | e[1].axes

    def body(self, events: list[Event]) -> None:
        """Everything that happens in the current scope and inside it, phase by phase."""
        reach = self.reach(events)
        here = [r for r in reach if self.is_fold(r) and self.belongs_here(r)]
        phase = self.phases(reach, set(here))
        started: dict[int, Fold] = {}
        timeline: dict[int, list[Event]] = {}
        for r in here:
            at = max((phase[a] for a in self.values[r].args), default=0)
            timeline.setdefault(at, []).append(("fold", r))
        now: list[Event] = []
        later: list[Event] = []
        waiting = self.all_parallel() - self.scope.open
        for e in events:
            if self.event_axes(e) <= self.scope.open:
                now.append(e)
            elif self.event_axes(e) & waiting:
                later.append(e)
            else:
                at = max(phase[r] for r in self.event_roots(e))
                timeline.setdefault(at, []).append(e)
        for at in sorted(timeline):
            inner: list[Event] = []
            for e in timeline[at]:
                if e[0] == "fold" and isinstance(e[1], int):
                    started[e[1]] = self.start_fold(e[1])
                    inner.append(("fold", started[e[1]]))
                else:
                    inner.append(e)
            self.loops(inner)
            for e in timeline[at]:
                if e[0] == "fold" and isinstance(e[1], int):
                    self.finish_fold(started[e[1]])
        if later:
            self.open_parallel(later)
        for e in now:
            self.perform(e)

    def all_parallel(self) -> frozenset[int]:
        s = self.s
        return frozenset(s.rows) | (frozenset() if s.v is None or s.v in s.folds else {s.v})

    def reach(self, events: list[Event]) -> list[int]:
        """Values that the events need and that no open scope has yet, arguments first."""
        seen: set[int] = set()
        todo = [r for e in events for r in self.event_roots(e)]
        while todo:
            k = todo.pop()
            if k in seen or self.named(k):
                continue
            seen.add(k)
            todo.extend(self.values[k].args)
        return sorted(seen)

    def named(self, k: int) -> bool:
        scope: Scope | None = self.scope
        while scope is not None:
            if (k, 0) in scope.names:
                return True
            scope = scope.parent
        return False

    def is_fold(self, k: int) -> bool:
        return self.values[k].op in ("reduce", "mad", "argreduce")

    def belongs_here(self, k: int) -> bool:
        return self.values[k].mask <= self.scope.open

    def phases(self, reach: list[int], here: set[int]) -> dict[int, int]:
        """For each value the number of the loop, at this level, in which it is first known."""
        phase: dict[int, int] = {}

        class Known(dict):
            def __missing__(self, key: int) -> int:
                return 0

        phase = Known()
        for k in reach:
            at = max((phase[a] for a in self.values[k].args), default=0)
            phase[k] = at + 1 if k in here else at
        return phase

    def loops(self, events: list[Event]) -> None:
        """Open the next axis of each event, one loop for all events that open the same one."""
        groups: dict[int, list[Event]] = {}
        for e in events:
            need = self.event_axes(e) - self.scope.open
            closed = self.still_folded(e)
            order = [a for a in self.s.folds if a in need and a not in closed]
            if not order:
                raise Cut(None, "its folds need each other's axes")
            groups.setdefault(order[0], []).append(e)
        for a, members in groups.items():
            scans = [
                k
                for k in self.reach(members)
                if self.values[k].op == "cumscan" and self.values[k].attr[1] == a
            ]
            reverse = {self.values[k].attr[2] for k in scans}
            if len(reverse) > 1:
                members_by = self._split_directions(a, members)
                for part in members_by:
                    self._one_loop(a, part)
            else:
                self._one_loop(a, members)

    def still_folded(self, e: Event) -> frozenset[int]:
        """Axes that folds, which cannot be computed in this scope yet, run over: not to be opened before."""
        return frozenset().union(
            *(
                self.fold_axes(k)
                for k in self.reach([e])
                if self.is_fold(k) and not self.belongs_here(k)
            )
        )

    def fold_axes(self, k: int) -> frozenset[int]:
        v = self.values[k]
        return v.attr if v.op == "mad" else v.attr[1] if v.op == "reduce" else v.attr[2]

    def _split_directions(self, a: int, members: list[Event]) -> list[list[Event]]:
        parts: dict[bool, list[Event]] = {}
        for e in members:
            directions = {
                self.values[k].attr[2]
                for k in self.reach([e])
                if self.values[k].op == "cumscan" and self.values[k].attr[1] == a
            }
            if len(directions) > 1:
                raise Cut(None, "running folds in both directions meet in one value")
            parts.setdefault(directions.pop() if directions else False, []).append(e)
        return list(parts.values())

    def _one_loop(self, a: int, members: list[Event]) -> None:
        reverse = False
        for k in self.reach(members):
            v = self.values[k]
            if v.op == "cumscan" and v.attr[1] == a:
                reverse = v.attr[2]
                self.start_running(k)
        n = self.nest.extents[a]
        if a == self.s.v:
            self.open_v(members, "0", str(n), n, reverse)
            return
        outer = self.push(frozenset({a}))
        self.body(members)
        if reverse:
            self.pop(outer, f"for (int i{a} = {n - 1}; i{a} >= 0; --i{a}) {{")
        else:
            self.pop(outer, f"for (int i{a} = 0; i{a} < {n}; ++i{a}) {{")

    def perform(self, e: Event) -> None:
        if e[0] == "store":
            self.perform_store(e[1])
        else:
            self.accumulate(e[1])

    # ------------------------------------------------ folds

    def start_fold(self, k: int) -> Fold:
        """Declare the accumulators of fold k in the current scope."""
        v = self.values[k]
        axes = self.fold_axes(k)
        name = self.fresh("a")
        lanes = self.s.v in v.mask and self.width > 0
        over_v = self.s.v in axes and self.s.width > 1
        fold = Fold(k, axes, name, [], lanes)
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
        op = "add" if v.op == "mad" else v.attr[0]
        dtype = self.values[v.args[0]].dtype if v.op == "argreduce" else v.dtype
        return IDENTITY[op](dtype)

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
            if v.op == "mad":
                x, y = (self.get(a, u, width) for a in v.args)
                self.line(f"{target} = mad_{scalar.code(v.dtype)}x{width}({x}, {y}, {target});")
                continue
            x = self.get(v.args[0], u, width)
            if v.op == "argreduce":
                self.accumulate_arg(v, target, x, width, u)
                continue
            text = scalar.text(v.attr[0], (v.dtype, v.dtype), v.dtype, width, [target, x])
            self.line(f"{target} = {text};")

    def accumulate_arg(self, v: Value, target: str, x: str, width: int, u: int) -> None:
        """The first best wins: strictly better, or NaN where there was none."""
        dtype = self.values[v.args[0]].dtype
        better = self.better(v.attr[0], dtype, width, x, target)
        m = self.fresh("m")
        self.line(f"{scalar.register_type(np.dtype(bool), width)} {m} = {better};")
        at = self.index_text(v.attr[1], INT, width, u)
        self.line(
            f"{target} = {scalar.text('select', (np.dtype(bool), dtype, dtype), dtype, width, [m, x, target])};"
        )
        self.line(
            f"{target}_at = {scalar.text('select', (np.dtype(bool), INT, INT), INT, width, [m, at, target + '_at'])};"
        )

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
                self.combine_lanes("add" if v.op == "mad" else v.attr[0], v.dtype, fold)
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
        code = scalar.code(dtype)
        if dtype.kind == "b":
            wide = {
                "add": "any",
                "or": "any",
                "max": "any",
                "mul": "all",
                "and": "all",
                "min": "all",
            }
            lanes = f"{names[0]}_l"
            self.line(
                f"int {lanes}[{width}]; *(int{width} *){lanes} = {names[0]};"
            ) if False else None
            text = f"fold_{'or' if wide.get(op) == 'any' else 'and' if wide.get(op) == 'all' else 'xor'}_i32x{width}({names[0]}) != 0"
        else:
            text = f"fold_{op}_{code}x{width}({names[0]})"
        h = self.fresh("h")
        self.line(f"const {scalar.register_type(dtype, 1)} {h} = {text};")
        text = scalar.text(op, (dtype, dtype), dtype, 1, [h, fold.scalar_name])
        self.line(f"{fold.scalar_name} = {text};")

    def finish_arg(self, v: Value, fold: Fold) -> None:
        """The best of all lanes of all accumulators and of the scalar rest; the lower index wins a tie."""
        dtype = self.values[v.args[0]].dtype
        kind = scalar.register_type(dtype, 1)
        best, at = fold.scalar_name, f"{fold.scalar_name}_at"
        for n in fold.vector_names:
            self.line("{")
            self.line(
                f"  {scalar.register_type(dtype, self.s.width)} t = {n}; int{self.s.width} ti = {n}_at;"
            )
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
        start = scalar.constant(IDENTITY[op](v.dtype), v.dtype, width)
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
        start = scalar.constant(IDENTITY[op](v.dtype), v.dtype, 1)
        self.line(f"{kind} {out} = {x};", scope)
        step = 1
        while step < width:
            lanes = [f"{out}.s{'0123456789abcdef'[j]}" for j in range(width)]
            if reverse:
                moved = lanes[step:] + [start] * step
            else:
                moved = [start] * step + lanes[: width - step]
            text = scalar.text(op, pair, v.dtype, width, [out, f"({kind})({', '.join(moved)})"])
            self.line(f"{out} = {text};", scope)
            step *= 2
        carried = scalar.splat(v.dtype, width, state)
        self.line(f"{out} = {scalar.text(op, pair, v.dtype, width, [carried, out])};", scope)
        last = "0" if reverse else "0123456789abcdef"[width - 1]
        self.line(f"{state} = {out}.s{last};", scope)
        return out

    # ------------------------------------------------ values

    def value_width(self, v: Value) -> int:
        return self.width if self.width > 1 and self.s.v in v.mask else 1

    def home(self, v: Value) -> Scope:
        """The outermost open scope that covers the value's mask."""
        scope, found = self.scope, self.scope
        while scope is not None:
            if v.mask <= scope.open:
                found = scope
            scope = scope.parent
        if not v.mask <= found.open:
            raise AssertionError(
                f"value over axes {sorted(v.mask)} is wanted where {sorted(found.open)} are open"
            )
        return found

    def get(self, k: int, u: int, width: int) -> str:
        """Value k as C text of the wanted width."""
        v = self.values[k]
        if v.op == "const":
            return scalar.constant(v.attr, v.dtype, width)
        own = self.value_width(v)
        name = self.name(k, u if self.s.v in v.mask else 0)
        return name if own == width else scalar.splat(v.dtype, width, name)

    def name(self, k: int, u: int) -> str:
        v = self.values[k]
        home = self.home(v)
        found = home.names.get((k, u))
        if found is None:
            inner, self.scope = self.scope, home
            found = self.compute(k, v, u, home)
            home.names[(k, u)] = found
            self.scope = inner
        return found

    def compute(self, k: int, v: Value, u: int, scope: Scope) -> str:
        width = self.value_width(v)
        if v.op == "cumscan":
            return self.cumscan(k, u, scope)
        if v.op == "load":
            return self.load(v, u, width)
        if v.op == "map":
            dtypes = [self.values[a].dtype for a in v.args]
            args = [self.get(a, u, width) for a in v.args]
            text = scalar.text(v.attr, dtypes, v.dtype, width, args)
        elif v.op == "index":
            text = self.index_text(v.attr, v.dtype, width, u)
        elif v.op == "guard":
            text = self.guard_text(v.attr, width, u)
        elif v.op == "get":
            return self.result_of(v, u)
        elif v.op == "bits":
            return self.bits(v, u, width)
        elif self.is_fold(k):
            raise AssertionError(f"fold %{k} is wanted before its phase")
        else:
            raise AssertionError(f"no text for {v.op}")
        out = self.fresh("x")
        self.line(f"const {scalar.register_type(v.dtype, width)} {out} = {text};")
        return out

    def bits(self, v: Value, u: int, width: int) -> str:
        out = self.fresh("r")
        kind = scalar.register_type(v.dtype, width)
        words = ", ".join(self.get(a, u, width) for a in v.args)
        self.line(
            f"{kind} {out}_1; const {kind} {out}_0 = threefry2x32_u32x{width}({words}, &{out}_1);"
        )
        return out

    def result_of(self, v: Value, u: int) -> str:
        source = self.values[v.args[0]]
        name = self.name(v.args[0], u if self.s.v in source.mask else 0)
        return f"{name}_{v.attr}"

    def index_text(self, e: Affine, dtype: np.dtype, width: int, u: int) -> str:
        base = f"({scalar.register_type(dtype, 1)})({self.affine(e, u)})"
        c = e.coef(self.s.v) if self.s.v is not None else 0
        if width == 1:
            return base
        if not c:
            return scalar.splat(dtype, width, base)
        kind = scalar.register_type(dtype, width)
        lanes = ", ".join(
            str(c * lane % (1 << 8 * dtype.itemsize) if dtype.kind == "u" else c * lane)
            for lane in range(width)
        )
        return f"({kind})({base}) + ({kind})({lanes})"

    def guard_text(self, ranges: tuple[Range, ...], width: int, u: int) -> str:
        if width == 1:
            return "(" + " && ".join(self.scalar_guard(r, u) for r in ranges) + ")"
        parts = []
        for r in ranges:
            if r.index.coef(self.s.v):
                e = self.fresh("e")
                self.line(f"const int{width} {e} = {self.index_text(r.index, INT, width, u)};")
                parts.append(f"({e} >= {r.low}) & ({e} < {r.high})")
            else:
                parts.append(f"(int{width})(-({self.scalar_guard(r, u)}))")
        return "(" + " & ".join(parts) + ")"

    def scalar_guard(self, r: Range, u: int, offset: int = 0) -> str:
        e = self.affine(r.index + offset, u)
        if r.low == 0:
            return f"((uint)({e}) < {r.high}u)"
        return f"({r.low} <= {e} && {e} < {r.high})"

    # ------------------------------------------------ memory

    def load(self, v: Value, u: int, width: int) -> str:
        """A load, safe where its guards fail: those lanes read nothing and are 0."""
        buffer, index, guards = v.attr
        dynamic = v.args[0] if v.args else None
        lanes_differ = dynamic is not None and width > 1 and self.s.v in self.values[dynamic].mask
        out = self.fresh("x")
        kind = scalar.register_type(v.dtype, width)
        in_v = [r for r in guards if width > 1 and r.index.coef(self.s.v)]
        plain = [r for r in guards if r not in in_v]
        c = index.coef(self.s.v) if self.s.v is not None else 0
        base = f"b{buffer} + ({self.affine(index, u)})"
        if dynamic is not None and not lanes_differ:
            base += f" + {self.get(dynamic, u, 1)}"
        if lanes_differ:
            text = self.gather_text(v, base, c, self.get(dynamic, u, width), width)
        elif width == 1 or c == 1:
            text = scalar.load(v.dtype, width, base)
        else:
            text = scalar.load_strided(v.dtype, width, base, c)
        if not guards:
            self.line(f"const {kind} {out} = {text};")
            return out
        self.line(f"{kind} {out} = {scalar.constant(0, v.dtype, width)};")
        tests = [self.scalar_guard(r, u) for r in plain]
        for r in in_v:
            last = r.index.coef(self.s.v) * (width - 1)
            tests += [self.scalar_guard(r, u), self.scalar_guard(r, u, last)]
        self.line(f"if ({' && '.join(dict.fromkeys(tests))}) {out} = {text};")
        if in_v:
            self.load_lanes(
                v, u, width, out, base, c, in_v, plain, dynamic if lanes_differ else None
            )
        return out

    def load_lanes(self, v, u, width, out, base, c, in_v, plain, dynamic) -> None:
        """The strip that crosses a guard's edge: lane by lane."""
        memory = scalar.memory_type(v.dtype)
        tests = [self.scalar_guard(r, u) for r in plain]
        for r in in_v:
            e = f"({self.affine(r.index, u)}) + {r.index.coef(self.s.v)} * l"
            tests.append(f"({r.low} <= {e} && {e} < {r.high})")
        at = f"({base})[{c} * l" if c else f"({base})[0"
        self.line("else {")
        if dynamic is not None:
            d = self.get(dynamic, u, width)
            kind = scalar.register_type(self.values[dynamic].dtype, width)
            self.line(f"  const {kind} d = {d};")
            at += f" + (({scalar.register_type(self.values[dynamic].dtype, 1)} *)&d)[l]"
        self.line(f"  {memory}{width} t = 0;")
        self.line(
            f"  for (int l = 0; l < {width}; ++l) if ({' && '.join(tests)}) (({memory} *)&t)[l] = {at}];"
        )
        self.line(f"  {out} = {scalar_text.from_memory(v.dtype, width, 't')};")
        self.line("}")

    def gather_text(self, v: Value, base: str, c: int, offsets: str, width: int) -> str:
        lanes = []
        for j in range(width):
            step = f" + {c * j}" if c and j else ""
            lanes.append(f"({base})[{offsets}.s{'0123456789abcdef'[j]}{step}]")
        return scalar_text.from_memory(
            v.dtype, width, f"({scalar.memory_type(v.dtype)}{width})({', '.join(lanes)})"
        )

    def perform_store(self, st: Store) -> None:
        if st.partial is not None:
            self.partial_add(st)
            return
        v = self.values[st.value]
        strip = self.width if self.width > 1 else 1
        c = st.index.coef(self.s.v) if self.s.v is not None and self.width else 0
        in_v = strip > 1 and (c != 0 or self.s.v in v.mask)
        copies = self.unroll if self.width and (c or self.s.v in v.mask) else 1
        dtype = self.nest.buffers[st.buffer].dtype
        for u in range(copies):
            width = strip if in_v else 1
            x = self.get(st.value, u, width)
            base = f"b{st.buffer} + ({self.affine(st.index, u)})"
            if st.dynamic is not None:
                base += f" + {self.get(st.dynamic, u, 1)}"
            if width == 1 or (c == 1 and not st.guards):
                text = scalar.store(dtype, width, base, x) + ";"
                tests = " && ".join(self.scalar_guard(r, u) for r in st.guards)
                self.line(f"if ({tests}) {text}" if tests else text)
                continue
            self.store_lanes(st, u, width, c, base, x)

    def store_lanes(self, st: Store, u: int, width: int, c: int, base: str, x: str) -> None:
        """A strip whose elements do not lie side by side, or not all inside the guards."""
        dtype = self.nest.buffers[st.buffer].dtype
        t = self.fresh("t")
        kind = f"{scalar.memory_type(dtype)}{width}"
        self.line(f"const {kind} {t} = {scalar_text.to_memory(dtype, width, x)};")
        for j in range(width):
            tests = []
            for r in st.guards:
                tests.append(self.scalar_guard(r, u, r.index.coef(self.s.v) * j))
            text = f"({base})[{c * j}] = {t}.s{'0123456789abcdef'[j]};"
            self.line(f"if ({' && '.join(tests)}) {text}" if tests else text)

    # ------------------------------------------------ partial results over blocks of rows

    def partial_start(self) -> None:
        """Before the rows: accumulators, or the block's part of the output set to the identity."""
        for k, st in enumerate(self.nest.stores):
            if st.partial is None:
                continue
            dtype = self.nest.buffers[st.buffer].dtype
            start = IDENTITY[st.partial](dtype)
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
            self.line(
                f"{scalar.register_type(dtype, 1)} {fold.scalar_name} = {scalar.constant(start, dtype, 1)};"
            )
            self.partials[k] = fold

    def partial_add(self, st: Store) -> None:
        k = next(j for j, other in enumerate(self.nest.stores) if other is st)
        fold = self.partials.get(k)
        dtype = self.nest.buffers[st.buffer].dtype
        pair = (dtype, dtype)
        v = self.values[st.value]
        copies = self.unroll if self.width and self.s.v in v.mask else 1
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
            if width > 1 and c != 1:
                raise Cut(
                    None, "a partial reduction whose result is not contiguous along the strip"
                )
            old = scalar.load(dtype, width, base)
            text = scalar.text(st.partial, pair, dtype, width, [old, x])
            self.line(scalar.store(dtype, width, base, text) + ";")

    def partial_end(self) -> None:
        for k, fold in self.partials.items():
            st = self.nest.stores[k]
            dtype = self.nest.buffers[st.buffer].dtype
            if fold.vector_names:
                self.combine_lanes(st.partial, dtype, fold)
            self.line(scalar.store(dtype, 1, f"b{st.buffer} + item", fold.scalar_name) + ";")


def _product(nest: Nest, axes: tuple[int, ...]) -> int:
    n = 1
    for a in axes:
        n *= nest.extents[a]
    return n
