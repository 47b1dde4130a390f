"""Emit: a scheduled nest to the OpenCL C text of one stage.

Scopes nest as the loops do: item, rows, strip of v, folded axes. Folds are gathered into phases,
one loop a phase and axis. In vector scopes a value that varies over v is a register of `width`
lanes, `unroll` of them side by side. The text is canonical: equal nests give equal text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import groupby
from math import prod

from lowering.affine import Cut
from lowering.emit import boxes, woven
from lowering.emit import inside as emit_inside
from lowering.emit.dealt import Dealer
from lowering.emit.inside import Inside
from lowering.emit.scope import FEW_TURNS, SHORT, Emission, Event, Fold, Scope, Stage
from lowering.nest import Nest
from lowering.scalar_text import contraction
from lowering.schedule import WIDE, Schedule, work

MANY = 4
"""Elements that strips leave from which they go by vectors: fewer are as fast one by one."""

LIGHT_TEXT = 20.0
"""Operations and accesses of a strip of folded columns that are written once more for what several
at once leave."""

FEW_STRIPS = 8
"""Strips of an axis below which what they leave of it matters."""

__all__ = ["Emission", "Event", "Fold", "Scope", "Stage", "emit"]


def emit(nest: Nest, schedule: Schedule) -> Stage:
    """The stage that runs `nest` as `schedule` says."""
    if schedule.mode == "gpu":
        from lowering.emit import gpu as emit_gpu

        return emit_gpu.emit(nest, schedule)
    if schedule.cells is not None:
        from lowering.emit import cells as emit_cells

        return emit_cells.CellEmitter(nest, schedule).stage()
    return boxes.emit(nest, schedule) or _Emitter(nest, schedule).stage()


# as r"\b(i|e|far|from)(\d+)\b", but each begins with a letter: found three times as fast
_AXIS = re.compile(r"(i(?<!\wi)|e(?<!\we)|far(?<!\wfar)|from(?<!\wfrom))(\d+)\b")


def counted(text: str) -> str:
    """A stage's text with its axes counted from 0 on: axes that are one are named as one."""
    axes = sorted({int(axis) for _, axis in _AXIS.findall(text)})
    if axes == list(range(len(axes))):
        return text
    names = {str(axis): str(k) for k, axis in enumerate(axes)}
    return _AXIS.sub(lambda m: m[1] + names[m[2]], text)


class _Emitter(Dealer):
    """Which loops there are, and what happens in which."""

    # ------------------------------------------------ the stage

    def stage(self) -> Stage:
        s, nest = self.s, self.nest
        self.line(contraction(nest.contract_fp))
        self.long_rows = self.has_long_rows()
        if self.long_rows:
            v, ix, least = s.v, self.ix, FEW_STRIPS * s.width * s.unroll
            self.extents[v] = f"e{v}"  # else LLVM leaves constants in loops that might have no turn
            n = self.int_argument(nest.extents[v])
            self.line(f"const {ix} e{v} = max(({ix}){n}, ({ix}){least});")
        self.split_item("ig = item")
        events = self.store_events()
        self.partial_start()
        self.body(events)
        self.partial_end()
        text = counted("\n".join(self.scope.lines))
        items = s.items[0] * s.items[1]
        how = {"lanes": s.width, "abreast": s.abreast is not None}
        return Stage(text, nest.buffers, self.ints, items, 1, nest.label, **how)

    def has_long_rows(self) -> bool:
        """Whether rows are folded that strips divide, and so many strips that LLVM gains nothing by
        their number.
        """
        s = self.s
        if s.v not in s.folds or not s.rows or s.tile is not None or self.nest.dealt is not None:
            return False
        n, step = self.nest.extents[s.v], s.width * s.unroll
        return s.width > 1 and n % step == 0 and n >= FEW_STRIPS * step

    def split_item(self, alone: str) -> None:
        """Which block of rows (ig) and which strips of v (is) are this item's."""
        if self.s.apart and not self.s.rows:
            self.line("const long ig = 0, is = item;")
        elif self.s.apart:
            n = self.int_argument(self.s.items[1])
            self.line(f"const long ig = item / {n}, is = item % {n};")
        else:
            self.line(f"const long {alone};")

    def row_indices(self, flat: str, rows: tuple[int, ...] | None = None) -> None:
        """The row axes from the flattened row number."""
        rest = flat
        rows = self.s.rows if rows is None else rows
        for k in range(len(rows) - 1, -1, -1):
            n = self.nest.extents[rows[k]]
            if k == 0:
                self.line(f"const {self.ix} i{rows[k]} = {rest};")
            else:
                self.line(f"const {self.ix} i{rows[k]} = {rest} % {n};")
                name = f"g_{k}"
                self.line(f"const {self.ix} {name} = {rest} / {n};")
                rest = name

    def parallel_axes(self) -> frozenset[int]:
        """The next parallel axes to open: the rows, then v if it is parallel; empty when all are
        open.
        """
        s = self.s
        rows = frozenset(s.rows)
        if rows - self.scope.open:
            return rows
        if s.v is not None and s.v not in s.folds and s.v not in self.scope.open:
            return frozenset({s.v})
        return frozenset()

    def open_parallel(self, events: list[Event]) -> None:
        """Open the rows, or v's strips, and go on inside."""
        s = self.s
        if s.tile is not None or self.nest.dealt is not None:
            (self.open_tile if self.nest.dealt is None else self.open_dealt)(events)
            return
        if self.parallel_axes() != {s.v}:
            n = self.int_argument(prod(self.nest.extents[a] for a in s.rows))
            self.part("g", "ig", n, self.int_argument(s.row_block))
            outer = self.push(frozenset(s.rows))
            self.ask_picked(s.rows, "g", "g1", "h")
            self.row_indices("g")
            self.body(events)
            self.pop(outer, f"for ({self.ix} g = g0; g < g1; ++g) {{")
            return
        n = self.nest.extents[s.v]
        if s.apart:
            self.part("s", "is", self.int_argument(n), self.int_argument(s.strip_block))
            if self.reads_alone(events, n):
                self.open_streams(events)
            else:
                self.open_v(events, "s0", "s1", None)
        elif not s.rows and not self.spelled(n):
            self.open_v(events, "0", self.int_argument(n), None)
        else:
            self.open_v(events, "0", str(n), n)

    def part(self, name: str, which: str, n: str, block: str) -> None:
        """From where to where one of the blocks of n reaches."""
        self.line(
            f"const {self.ix} {name}0 = {which} * {block}, "
            f"{name}1 = min((long){n}, ({which} + 1) * (long){block});"
        )

    # ------------------------------------------------ strips

    def open_v(
        self, events: list[Event], lo: str, hi: str, n: int | None, reverse: bool = False
    ) -> None:
        """Loop over v: vector strips, then the rest (in reverse: strips from the end first)."""
        if self.open_columns(events):
            return
        s = self.s
        v, w, u = s.v, s.width, s.unroll
        step = w * u
        if not s.rows and n is not None and n > SHORT and not self.spelled(n):
            hi, n = self.extent(v, n), None
        full = n is not None and hi == str(n)
        if n is not None and full and v in s.folds:
            hi = self.stride(n)
        name, ix = f"i{v}", self.ix
        start = lo
        if s.again == "columns" and w > 1 and not reverse:
            self.open_folded_again(events, lo, hi, n)
            return
        if s.again and w > 1 and full and n is not None and n % step and n >= w:
            self.open_again(events, n)
            return
        if w > 1 and (n is None or n >= step):
            if reverse:
                head = f"for ({ix} {name} = {hi} - {step}; {name} >= {lo}; {name} -= {step}) {{"
            else:
                head = f"for ({ix} {name} = {lo}; {name} + {step} <= {hi}; {name} += {step}) {{"
                whole = f"({hi} - {lo}) / {step} * {step}" if n is None else str(n // step * step)
                start = whole if lo == "0" else f"{lo} + {whole}"
            self.run_strip(events, w, u, head)
            if n is not None and full and n % step == 0:
                return
            left = (v in s.folds or s.folds) and n is not None and n // w % u > 0
            left = left or (n is None and u > 1 and v not in s.folds and self.folds_lightly())
            if (u == WIDE or left) and not reverse:
                head = f"for ({ix} {name} = {start}; {name} + {w} <= {hi}; {name} += {w}) {{"
                self.run_strip(events, w, 1, head)
                if n is not None and full and n % w == 0:
                    return
                start = f"{lo} + ({hi} - {lo}) / {w} * {w}"
        if reverse:
            top = f"({hi} - {lo}) % {step} + {lo}" if w > 1 else hi
            head = f"for ({ix} {name} = {top} - 1; {name} >= {lo}; --{name}) {{"
        elif n is not None and full and w > 1 and self.open_rest(events, n):
            return
        else:
            head = f"for ({ix} {name} = {start}; {name} < {hi}; ++{name}) {{"
        if (w > 1 and n is None) or (w == 1 and self.asks(events)):
            head = f"{FEW_TURNS}\n{head}"
        self.run_strip(events, 1, 1, head)

    def open_again(self, events: list[Event], n: int) -> None:
        """Loop over v where its strips do not divide it: the last one begins among the lanes of the
        one before, and does what these have done once more. Strips that ask have long texts, so
        that all are one loop's (5 ms less); others go a tenth faster where the last is by itself.
        """
        w, ix, name = self.s.width, self.ix, f"i{self.s.v}"
        if self.s.again == "read first":
            self.open_last_first(events, n)
            return
        whole = 0 if self.asks(events) else n // w * w
        if whole:
            head = f"for ({ix} {name} = 0; {name} < {whole}; {name} += {w}) {{"
            self.run_strip(events, w, 1, head)
        at = f"from{self.s.v}"
        head = f"for ({ix} {at} = {whole}; {at} < {n}; {at} += {w}) {{"
        self.run_strip(events, w, 1, f"{head}\n  const {ix} {name} = min({at}, ({ix}){n - w});")

    def open_folded_again(self, events: list[Event], lo: str, hi: str, n: int | None) -> None:
        """Loop over columns that are folded: several strips at once, then one by one, the last of
        them among the lanes of the one before, or as wide as what is left where that is one
        strip. Column by column, each would wait for its sum.
        """
        w, ix, name = self.s.width, self.ix, f"i{self.s.v}"
        rest = 0 if n is None else n % w
        if n is not None and rest >= MANY and rest & -rest == rest:
            self.open_folded_again(events, lo, str(n - rest), n - rest)
            head = f"for ({ix} {name} = {n - rest}; {name} < {n}; {name} += {rest}) {{"
            self.run_strip(events, rest, 1, head)
            return
        step, start = w * self.s.unroll, lo
        long = self.s.abreast is not None  # its text: once is enough
        if not long and (n is None or n >= step):
            head = f"for ({ix} {name} = {lo}; {name} + {step} <= {hi}; {name} += {step}) {{"
            self.run_strip(events, w, self.s.unroll, head)
            start = (
                f"{lo} + ({hi} - {lo}) / {step} * {step}" if n is None else f"{n // step * step}"
            )
        if long or n is None or n % step:
            at, last = f"from{self.s.v}", f"{hi} - {w}" if n is None else f"{n - w}"
            head = f"for ({ix} {at} = {start}; {at} < {hi}; {at} += {w}) {{"
            self.run_strip(
                events, w, 1, f"{head}\n  const {ix} {name} = min({at}, ({ix})({last}));"
            )

    def folds_lightly(self) -> bool:
        """Whether columns are folded, and a strip's text again is little."""
        return bool(self.s.folds) and work(self.nest) <= LIGHT_TEXT

    def asks(self, events: list[Event]) -> bool:
        """Whether elements along v are asked for, each whether it is there."""
        loads = [v for k in self.reach(events) if (v := self.values[k]).op == "load"]
        return any(r.index.coef(self.s.v) for v in loads for r in v.attr[2])

    def open_last_first(self, events: list[Event], n: int) -> None:
        """The same where what is read may be what is written: the last strip's values are computed
        before any other's are stored, and stored last.
        """
        w, ix, v = self.s.width, self.ix, self.s.v
        old = self.width, self.unroll
        self.width, self.unroll = w, 1
        outer = self.push(frozenset({v}), w)
        self.line(f"const {ix} i{v} = {n - w};")
        for e in events:
            x = self.values[e[1].value]
            self.get(e[1].value, 0, self.value_width(x))
        first = self.scope.lines
        self.scope.lines = []
        self.body(events)
        last = self.scope.lines
        self.width, self.unroll = old
        self.scope = Scope(outer.open, outer, outer.depth + 1)
        self.run_strip(events, w, 1, f"for ({ix} i{v} = 0; i{v} + {w} <= {n}; i{v} += {w}) {{")
        self.scope.lines = [*first, *self.scope.lines, *last]
        self.pop(outer, "{")

    def spelled(self, n: int) -> bool:
        """Whether v's extent is part of the text anyway (a stride), and few strips leave a rest."""
        if n == 1 or n >= FEW_STRIPS * self.s.width * self.s.unroll:
            return False
        indices = [x.attr[1] for x in self.values if x.op == "load"]
        indices += [st.index for st in self.nest.stores]
        return any(c and c % n == 0 for e in indices for _, c in e.terms)

    def open_rest(self, events: list[Event], n: int) -> bool:
        """What strips leave of n elements, in vectors: one more strip that begins in the last of
        them, where only accumulators and kept rows are written; or narrower strips. False where
        elements go one by one.
        """
        s, ix, name = self.s, self.ix, f"i{self.s.v}"
        running = any(self.values[k].op == "cumscan" for k in self.reach(events))
        stores = [e[1] for e in events if e[0] == "store"]
        rest = n % s.width
        enough = rest >= MANY or self.beside is not None
        if s.v in s.folds and enough and n >= s.width * s.unroll and not (stores or running):
            self.repeated = s.width - rest
            start, width = n - s.width, s.width
        elif s.v not in s.folds and len(stores) == len(events):
            left = n % (s.width * s.unroll)
            start, width = n - left, min(left & -left, s.width)
        else:
            return False
        if width < MANY or any(st.partial is not None for st in stores):
            return False
        self.run_strip(
            events, width, 1, f"for ({ix} {name} = {start}; {name} < {n}; {name} += {width}) {{"
        )
        self.repeated = 0
        return True

    def open_streams(self, events: list[Event]) -> None:
        """Loop over an item's part of v with the registers of a strip far apart: each reads a part
        of its own, as many lines are under way at once (docs/why/streams.md).
        """
        w, u, name, ix = self.s.width, self.s.unroll, f"i{self.s.v}", self.ix
        self.distance = f"far{self.s.v}"
        self.line(f"const {ix} {self.distance} = (s1 - s0) / {w * u} * {w};")
        end = f"s0 + {self.distance}"
        self.run_strip(events, w, u, f"for ({ix} {name} = s0; {name} < {end}; {name} += {w}) {{")
        start = f"{end} * {u}"
        self.distance = ""
        self.run_strip(events, 1, 1, f"for ({ix} {name} = {start}; {name} < s1; ++{name}) {{")

    def run_strip(self, events: list[Event], width: int, unroll: int, head: str) -> None:
        old = self.width, self.unroll
        self.width, self.unroll = width, unroll
        found = self.inside_of(events) if width > 1 else None
        outer = self.push(frozenset({self.s.v}), width)
        if found is not None:
            self.run_inside(events, found)
        else:
            if self.asking and width > 1:
                self.ask_ahead()
            self.body(events)
        self.pop(outer, head)
        self.width, self.unroll = old

    def inside_of(self, events: list[Event]) -> Inside | None:
        """What to ask of each strip, where v's strips are parallel and much is asked of them."""
        s = self.s
        if s.v in s.folds or s.wide or self.distance:
            return None
        guards = [e[1].guards for e in events if e[0] == "store"]
        asked = emit_inside.questions(self.nest, self.reach(events), guards)
        if asked is None:
            return None
        step = self.width * self.unroll
        return emit_inside.of_strip(self.nest, s.v, step, self.scope.open, asked)

    def run_inside(self, events: list[Event], found: Inside) -> None:
        """The strip's body twice: for strips that touch no edge, and for others."""
        v, step = self.s.v, self.width * self.unroll
        tests = [self.scalar_guard(r, 0) for r in found.rows]
        tests += [f"i{v} >= {found.low}"] if found.low > 0 else []
        tests += [f"i{v} <= {found.high - step}"] if found.high < self.nest.extents[v] else []
        bodies = []
        strip = self.scope
        for holds in (found.holds, {}) if tests else (found.holds,):
            self.holds = holds
            self.scope = Scope(strip.open, strip.parent, strip.depth + 1, width=strip.width)
            self.body(events)
            bodies.append(self.scope.lines)
        self.scope, self.holds = strip, {}
        if not tests:  # all has gone round, say
            strip.lines += bodies[0]
            return
        self.line(f"if ({' && '.join(dict.fromkeys(tests))}) {{")
        strip.lines += bodies[0]
        self.line("} else {")
        strip.lines += bodies[1]
        self.line("}")

    # ------------------------------------------------ bodies

    def store_events(self) -> list[Event]:
        return [("store", st) for st in self.nest.stores]

    def event_axes(self, e: Event) -> frozenset[int]:
        """The axes that must be open for the event to happen."""
        axes = frozenset().union(*(self.values[r].mask for r in self.event_roots(e)))
        if e[0] == "keep":
            return axes
        if e[0] == "store":
            return axes | e[1].index.axes
        return axes | e[1].axes

    def body(self, events: list[Event]) -> None:
        """Everything that happens in the current scope and inside it, phase by phase."""
        reach = self.reach(events)
        here = [r for r in reach if self.values[r].is_fold and self.belongs_here(r)]
        turned = self.turned(reach)
        phase = self.phases(reach, {*here, *turned})
        started: dict[int, Fold] = {}
        timeline: dict[int, list[Event]] = {}
        for r in here:
            at = max((phase[a] for a in self.values[r].args), default=0)
            timeline.setdefault(at, []).append(("fold", r))
        for r in turned:
            timeline.setdefault(phase[r] - 1, []).append(("keep", r))
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
        before, kept_bytes = set(self.rows), self.kept_bytes
        order = sorted(timeline)
        for k in turned:
            self.declare_row(k)
        self.keep_rows([timeline[at] for at in order])
        asking = self.asking_loop([timeline[at] for at in order])
        for j, at in enumerate(order):
            self.asking = j == asking
            inner: list[Event] = []
            for e in timeline[at]:
                if e[0] == "fold" and isinstance(e[1], int):
                    started[e[1]] = self.start_fold(e[1])
                    inner.append(("fold", started[e[1]]))
                else:
                    inner.append(e)
            self.loops(inner)
            done = [e[1] for e in timeline[at] if e[0] == "fold" and isinstance(e[1], int)]
            self.finish_folds([started[k] for k in done])
            self.rows_filled(before)
        self.rows = {k: row for k, row in self.rows.items() if k in before}
        self.kept_bytes = kept_bytes
        if later:
            self.open_parallel(later)
        for stores, run in groupby(now, lambda e: e[0] == "store"):
            if not stores:
                for e in run:
                    self.perform(e)
                continue
            v = self.s.v if self.width else None
            for group in woven.sets([e[1] for e in run], v, self.width):
                self.perform_stores(group)

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
            if not self.kept_already(k):
                todo.extend(self.values[k].args)
        return sorted(seen)

    def named(self, k: int) -> bool:
        scope: Scope | None = self.scope
        while scope is not None:
            if (k, 0) in scope.names:
                return True
            scope = scope.parent
        return False

    def belongs_here(self, k: int) -> bool:
        return self.values[k].mask <= self.scope.open

    def phases(self, reach: list[int], here: set[int]) -> dict[int, int]:
        """For each value the number of the loop, at this level, in which it is first known."""
        phase: dict[int, int] = defaultdict(int)
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
            scans = [k for k in self.reach(members) if self.runs_along(k, a)]
            reverse = {self.values[k].attr[2] for k in scans}
            if len(reverse) > 1:
                members_by = self._split_directions(a, members)
                for part in members_by:
                    self._one_loop(a, part)
            else:
                self._one_loop(a, members)

    def still_folded(self, e: Event) -> frozenset[int]:
        """Axes that folds, which cannot be computed in this scope yet, run over: not to be opened
        before.
        """
        return frozenset().union(
            *(
                self.values[k].folded
                for k in self.reach([e])
                if self.values[k].is_fold and not self.belongs_here(k)
            )
        )

    def _split_directions(self, a: int, members: list[Event]) -> list[list[Event]]:
        parts: dict[bool, list[Event]] = {}
        for e in members:
            directions = {self.values[k].attr[2] for k in self.reach([e]) if self.runs_along(k, a)}
            if len(directions) > 1:
                raise Cut(None, "running folds in both directions meet in one value")
            parts.setdefault(directions.pop() if directions else False, []).append(e)
        return list(parts.values())

    def runs_along(self, k: int, a: int) -> bool:
        """Whether value k is a running fold that a loop along axis a computes."""
        v = self.values[k]
        return v.op == "cumscan" and v.attr[1] == a and not self.kept_already(k)

    def _one_loop(self, a: int, members: list[Event]) -> None:
        reverse = False
        for k in self.reach(members):
            if self.runs_along(k, a):
                reverse = self.values[k].attr[2]
                self.start_running(k)
        before = self.backwards
        self.backwards |= {a} if reverse else set()
        self._open_loop(a, members, reverse)
        self.backwards = before

    def _open_loop(self, a: int, members: list[Event], reverse: bool) -> None:
        n = self.nest.extents[a]
        if a == self.s.v:
            self.open_v(members, "0", str(n), n, reverse)
            return
        if self.s.abreast is not None and a == self.s.abreast.axis:
            self.open_abreast(members, n)
            return
        end = self.extent(a, n)
        outer = self.push(frozenset({a}))
        self.body(members)
        if reverse:
            self.pop(outer, f"for ({self.ix} i{a} = {end} - 1; i{a} >= 0; --i{a}) {{")
        else:
            self.pop(outer, f"for ({self.ix} i{a} = 0; i{a} < {end}; ++i{a}) {{")

    def perform(self, e: Event) -> None:
        if e[0] == "keep":
            for u in range(self.unroll if self.width else 1):
                self.get(e[1], u, self.value_width(self.values[e[1]]))
        else:
            self.accumulate(e[1])
