"""Emit for GPUs: a scheduled nest to the body of one OpenCL kernel, work-items as lanes.

The scopes, phases and values are those of `emit`, registers are scalars. What differs: which items
run a scope, how a group's items meet (in local memory, in a fixed order: same bits), who stores.
Barriers stand where all items of a group pass: outside v, or in loops over v that all go through.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from lowering import scalar
from lowering.emit.stage import Event, Fold, Scope, Stage, _Emitter
from lowering.nest import Nest, Store
from lowering.scalar_text import contraction
from lowering.schedule import Schedule

INT = np.dtype(np.int32)
ROOM = 16 << 10  # bytes of local memory for folds that meet: half of what every device has
LOCAL = {4: ("la", "lb", "uint"), 8: ("wa", "wb", "ulong")}
"""Bytes of a value: the local arrays of all items' and of the heads', their type. Each size has its
own, or an item's place in one fold would be another item's in the next, with no barrier between."""
BARRIER = "barrier(CLK_LOCAL_MEM_FENCE);"


Arrays = tuple[str, str]  # pointers: to all items' values, and to the heads'


class Met(NamedTuple):
    """A fold whose items meet: its accumulator, and whether an index travels along."""

    name: str
    op: str
    dtype: np.dtype
    indexed: bool

    @property
    def size(self) -> int:
        """Bytes of the value in local memory."""
        return register_bytes(self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of what one item brings."""
        return self.size + 4 * self.indexed


def emit(nest: Nest, schedule: Schedule) -> Stage:
    """The stage that runs `nest` as a GPU schedule says: a kernel of its own."""
    return GpuEmitter(nest, schedule).stage()


class GpuEmitter(_Emitter):
    """Which items run what, and how they meet; all else is as in `emit`."""

    def __init__(self, nest: Nest, s: Schedule):
        super().__init__(nest, s)
        self.active: str | None = None  # the condition under which this item has an element of v
        self.group = s.shape == "group"
        self.meetings = {4: 0, 8: 0}  # bytes of a value: places in local memory
        # two levels: `heads` items fold `run` values each, then every item folds the heads
        self.heads = 1 << (s.local.bit_length() - 1) // 2
        self.run = s.local // self.heads

    # ------------------------------------------------ the stage

    def stage(self) -> Stage:
        s = self.s
        if s.items[1] > 1:
            strips = self.int_argument(s.items[1])
            self.line(f"const long ig = item / {strips}, is = item % {strips};")
        else:
            self.line("const long ig = item, is = 0;")
        if self.group:
            self.partial_start()
        self.body(self.store_events())
        if self.group:
            self.partial_end()
        head = [
            f"  {contraction(self.nest.contract_fp)}",
            "  const int lid = get_local_id(0);",
        ]
        for size, places in self.meetings.items():
            if places:
                items, heads, kind = LOCAL[size]
                head.append(f"  __local {kind} {items}[{places * s.local}];")
                head.append(f"  __local {kind} {heads}[{places * self.heads}];")
        lines = self.scope.lines
        if not (self.group or self.all_parallel()):  # others would read what it writes in place
            lines = ["  if (item == 0 && lid == 0) {", *(f"  {line}" for line in lines), "  }"]
        text = "\n".join([*head, *lines])
        stage = Stage(text, self.nest.buffers, self.ints, prod(s.items), s.local, self.nest.label)
        stage.alone = any(self.meetings.values())
        return stage

    def points(self, axes: tuple[int, ...]) -> int:
        return prod(self.nest.extents[a] for a in axes)

    def counter(self, n: int) -> str:
        """The type of a loop variable that passes n, in steps of a whole grid."""
        return self.ix if n < 2**30 else "long"

    def open_parallel(self, events: list[Event]) -> None:
        """Open the next parallel axes in the way of the schedule's shape, and go on inside."""
        {
            "flat": self.open_flat,
            "strips": self.open_strips,
            "columns": self.open_columns,
            "group": self.open_rows,
        }[self.s.shape](events)

    def open_flat(self, events: list[Event]) -> None:
        """An item a point, further points a whole grid apart."""
        axes = self.s.rows if self.s.v is None else (*self.s.rows, self.s.v)
        total = self.points(axes)
        n, step = self.int_argument(total), self.int_argument(prod(self.s.items) * self.s.local)
        outer = self.push(frozenset(axes))
        self.decode("g", axes)
        self.in_lane(events)
        kind = self.counter(total)
        head = f"for ({kind} g = item * {self.s.local} + lid; g < {n}; g += {step}) {{"
        self.pop(outer, head)

    def open_strips(self, events: list[Event]) -> None:
        """A group does one row and a run of v; consecutive items, consecutive elements."""
        s = self.s
        if frozenset(s.rows) - self.scope.open:
            outer = self.push(frozenset(s.rows))
            self.decode("ig", s.rows)
            self.body(events)
            self.pop(outer, "{")
            return
        n, step = self.int_argument(self.nest.extents[s.v]), self.int_argument(s.strip_block)
        self.line(f"const {self.ix} s0 = is * {step}, s1 = min({n}, (is + 1) * {step});")
        outer = self.push(frozenset({s.v}))
        self.in_lane(events)
        self.pop(outer, self.strided("s0", "s1"))

    def open_columns(self, events: list[Event]) -> None:
        """An item a column: its partial results stay in registers over the rows of the block."""
        s = self.s
        if s.v in self.scope.open:
            self.open_rows(events)
            return
        outer = self.push(frozenset({s.v}))
        for k, st in enumerate(self.nest.stores):
            if st.partial:
                self.start_register(k, st)
        self.in_lane(events)
        for k, fold in self.partials.items():
            st = self.nest.stores[k]
            dtype = self.nest.buffers[st.buffer].dtype
            at = f"{self.block_base(st, 'ig')} + ({self.affine(st.index)})"
            self.line(scalar.store(dtype, 1, at, fold.scalar_name) + ";")
        n = self.int_argument(self.nest.extents[s.v])
        name = f"i{s.v}"
        first = f"is * {s.local} + lid"
        self.pop(outer, f"for ({self.ix} {name} = {first}; {name} < {n}; {name} = {n}) {{")

    def open_rows(self, events: list[Event]) -> None:
        """The rows of the item's (or the group's) block, one after the other."""
        outer = self.push(frozenset(self.s.rows))
        self.decode("g", self.s.rows)
        self.body(events)
        block = "ig" if self.s.items[0] > 1 else "0"
        self.pop(outer, self.row_block(block))

    def parallel_axes(self) -> frozenset[int]:
        """The next axes to open: all at once, the rows first, or v first."""
        if self.s.shape == "flat":
            return self.all_parallel() - self.scope.open
        if self.s.shape == "columns" and self.s.v not in self.scope.open:
            return frozenset({self.s.v})
        return super().parallel_axes()

    def row_block(self, block: str) -> str:
        """The head of the loop over a block of rows."""
        total = self.points(self.s.rows)
        n, step = self.int_argument(total), self.int_argument(self.s.row_block)
        kind = self.counter(total)
        return (
            f"for ({kind} g = {block} * {step}, ge = min({n}, ({block} + 1) * {step}); "
            "g < ge; ++g) {"
        )

    def decode(self, flat: str, axes: tuple[int, ...]) -> None:
        """The axes' indices from their flat number, the last the fastest."""
        for k in range(len(axes) - 1, -1, -1):
            a, n = axes[k], self.nest.extents[axes[k]]
            if k == 0:
                self.line(f"const {self.ix} i{a} = {flat};")
                continue
            self.line(f"const {self.ix} i{a} = {flat} % {n};")
            name = self.fresh("g")
            kind = self.counter(self.points(axes[:k]))
            self.line(f"const {kind} {name} = {flat} / {n};")
            flat = name

    def in_lane(self, events: list[Event]) -> None:
        """A body in which every item has its own v."""
        self.width = 1
        self.body(events)
        self.width = 0

    def strided(self, lo: str, hi: str) -> str:
        name = f"i{self.s.v}"
        return f"for ({self.ix} {name} = {lo} + lid; {name} < {hi}; {name} += {self.s.local}) {{"

    # ------------------------------------------------ a group along v

    def open_v(self, events, lo, hi, n: int, reverse=False) -> None:
        """Items stride along v; where a running fold passes through them, all make every trip."""
        s, end = self.s, self.extent(self.s.v, n)
        lo, hi = ("s0", "s1") if s.items[1] > 1 else (lo, end)
        outer = self.push(frozenset({s.v}))
        if not any(self.runs_along_v(k) for k in self.reach(events)):
            self.in_lane(events)
            self.pop(outer, self.strided(lo, hi))
            return
        on, base = self.fresh("on"), self.fresh("p")
        self.line(f"const bool {on} = {base} + lid < {end};")
        last = f"(long){end} - 1" if s.wide else f"{end} - 1"
        place = f"min({base} + lid, {last})"
        self.line(f"const {self.ix} i{s.v} = {f'{end} - 1 - {place}' if reverse else place};")
        old, self.active = self.active, on
        self.in_lane(events)
        self.active = old
        self.pop(outer, f"for ({self.ix} {base} = 0; {base} < {end}; {base} += {s.local}) {{")

    def runs_along_v(self, k: int) -> bool:
        v = self.values[k]
        return self.group and v.op == "cumscan" and v.attr[1] == self.s.v

    def arrays(self, places: dict[int, int]) -> None:
        """So many places in local memory, by the bytes of a value."""
        self.meetings = {size: max(n, places.get(size, 0)) for size, n in self.meetings.items()}

    def local(self, slot: int, dtype: np.dtype) -> tuple[str, str]:
        """Pointers to a place in local memory, as registers of dtype: all items', the heads'."""
        *arrays, _ = LOCAL[register_bytes(dtype)]
        kind = scalar.register_type(dtype, 1)
        places = zip(arrays, (slot * self.s.local, slot * self.heads))
        first, second = (f"{array} + {at}" if at else array for array, at in places)
        return f"((__local {kind} *)({first}))", f"((__local {kind} *)({second}))"

    # ------------------------------------------------ folds

    def accumulate(self, fold: Fold) -> None:
        """As on CPUs, but items beyond the end of v add nothing."""
        if self.active is None or self.s.v not in fold.axes:
            super().accumulate(fold)
            return
        for a in self.values[fold.value].args:
            self.get(a, 0, 1)  # by all items: there may be barriers in it
        self.line(f"if ({self.active}) {{")
        super().accumulate(fold)
        self.line("}")

    def finish_folds(self, folds: list[Fold]) -> None:
        """Folds over v meet in local memory, as many as it has room for between two barriers."""
        self.meet([self.met(f) for f in folds if self.group and self.s.v in f.axes and not f.lanes])
        for f in folds:
            self.finish_fold(f)

    def met(self, f: Fold) -> Met:
        """What of a fold every item brings along."""
        v = self.values[f.value]
        found = v.op == "argreduce"
        return Met(f.scalar_name, v.fold, self.values[v.args[0]].dtype if found else v.dtype, found)

    def meet(self, parts: Sequence[Met]) -> None:
        """Every item's accumulators become the group's result: runs, then heads, in order."""
        while parts:
            placed, used = [], {4: 0, 8: 0}
            for part in parts:
                room = sum(n * size for size, n in used.items()) * (self.s.local + self.heads)
                if placed and room + part.nbytes * (self.s.local + self.heads) > ROOM:
                    break
                own, used[part.size] = used[part.size], used[part.size] + 1
                index, used[4] = used[4], used[4] + part.indexed
                placed.append((part, self.local(own, part.dtype), self.local(index, INT)))
            self.arrays(used)
            self.meet_at(placed)
            parts = parts[len(placed) :]

    def meet_at(self, placed: list[tuple[Met, Arrays, Arrays]]) -> None:
        """Parts that have places in local memory: their own, and one for an index."""
        for part, (la, _), (ia, _) in placed:
            self.line(f"{la}[lid] = {part.name};")
            if part.indexed:
                self.line(f"{ia}[lid] = {part.name}_at;")
        self.line(BARRIER)
        self.line(f"if (lid < {self.heads}) {{")
        for part, own, index in placed:
            self.run_of(part, own, index)
        self.line("}")
        self.line(BARRIER)
        for part, (_, lb), (_, ib) in placed:
            self.over_heads(part, lb, ib)

    def run_of(self, part: Met, own: Arrays, index: Arrays) -> None:
        """Item h < heads folds the values of items h, h + heads, ..."""
        name, op, dtype, indexed = part
        kind = scalar.register_type(dtype, 1)
        (la, lb), (ia, ib) = own, index
        at = f"lid + j * {self.heads}"
        self.line(f"  {{ {kind} h = {name};")
        if indexed:
            self.line(f"  int hi = {name}_at;")
            self.line(f"  for (int j = 1; j < {self.run}; ++j) {{")
            self.take_better(op, dtype, f"{la}[{at}]", f"{ia}[{at}]", "h", "hi")
            self.line("  }")
            self.line(f"  {lb}[lid] = h; {ib}[lid] = hi; }}")
        else:
            text = scalar.text(op, (dtype, dtype), dtype, 1, ["h", f"{la}[{at}]"])
            self.line(f"  for (int j = 1; j < {self.run}; ++j) h = {text};")
            self.line(f"  {lb}[lid] = h; }}")

    def over_heads(self, part: Met, lb: str, ib: str) -> None:
        """Every item folds the heads' results, in order."""
        name, op, dtype, indexed = part
        self.line(f"{name} = {lb}[0];")
        if not indexed:
            text = scalar.text(op, (dtype, dtype), dtype, 1, [name, f"{lb}[j]"])
            self.line(f"for (int j = 1; j < {self.heads}; ++j) {name} = {text};")
            return
        self.line(f"{name}_at = {ib}[0];")
        self.line(f"for (int j = 1; j < {self.heads}; ++j) {{")
        self.take_better(op, dtype, f"{lb}[j]", f"{ib}[j]", name, f"{name}_at")
        self.line("}")

    def take_better(self, op: str, dtype, x: str, xi: str, best: str, at: str) -> None:
        """The better of two candidates; of equal ones that with the lower index."""
        kind = scalar.register_type(dtype, 1)
        self.line(f"  const {kind} x = {x}; const int xi = {xi};")
        better = self.better(op, dtype, 1, "x", best)
        tie = f"(x == {best} || (x != x && {best} != {best})) && xi < {at}"
        self.line(f"  if ({better} || ({tie})) {{ {best} = x; {at} = xi; }}")

    # ------------------------------------------------ running folds

    def cumscan(self, k: int, u: int, scope: Scope) -> str:
        """Along v: runs of items first, then all runs before one's own, then the carry moves on."""
        if not self.runs_along_v(k):
            return super().cumscan(k, u, scope)
        v = self.values[k]
        op, dtype = v.attr[0], v.dtype
        kind = scalar.register_type(dtype, 1)
        state = self.running[k][0]
        x = self.get(v.args[0], 0, 1)
        self.arrays({register_bytes(dtype): 1})
        la, lb = self.local(0, dtype)
        start = scalar.constant(scalar.identity(op, dtype), dtype, 1)

        def fold(a: str, b: str) -> str:
            return scalar.text(op, (dtype, dtype), dtype, 1, [a, b])

        out, p = self.fresh("x"), self.fresh("q")
        last = f"{la}[lid * {self.run} + j]"
        self.line(f"{la}[lid] = {self.active} ? {x} : {start};")
        self.line(BARRIER)
        self.line(f"if (lid < {self.heads}) {{")
        self.line(f"  {kind} r = {la}[lid * {self.run}];")
        self.line(
            f"  for (int j = 1; j < {self.run}; ++j) {{ r = {fold('r', last)}; {last} = r; }}"
        )
        self.line(f"  {lb}[lid] = r;")
        self.line("}")
        self.line(BARRIER)
        self.line(f"{kind} {p} = {state};")
        own = f"lid / {self.run}"
        self.line(f"for (int j = 0; j < {own}; ++j) {p} = {fold(p, f'{lb}[j]')};")
        self.line(f"const {kind} {out} = {fold(p, f'{la}[lid]')};")
        text = fold(p, f"{lb}[j]")
        self.line(f"for (int j = {own}; j < {self.heads}; ++j) {p} = {text};")
        self.line(f"{state} = {p};")
        return out

    # ------------------------------------------------ stores

    def store_tests(self, st: Store) -> list[str]:
        """Each element is stored once: by items that are first along axes that it does not have."""
        s, axes = self.s, self.event_axes(("store", st))
        tests = [
            f"i{a} == 0" for a in sorted(self.all_parallel() & self.scope.open) if a not in axes
        ]
        closed = self.all_parallel() - self.scope.open
        if self.group:
            if s.items[1] > 1 and s.v not in self.scope.open:
                tests.append("is == 0")
            if closed and s.items[0] > 1:
                tests.append("ig == 0")
            if s.v is None or s.v not in self.scope.open:
                tests.append("lid == 0")
        elif s.v is not None and s.v in self.scope.open:
            tests += ["ig == 0"] if closed else []
        elif closed:
            rows = frozenset(s.rows)
            inside = s.shape == "strips" and rows and rows <= self.scope.open
            tests += ["is == 0" if inside else "item == 0", "lid == 0"]
        if self.active is not None:
            tests.append(self.active)
        return tests

    # ------------------------------------------------ partial results

    def block_base(self, st: Store, block: str) -> str:
        buffer = self.nest.buffers[st.buffer]
        return f"b{st.buffer} + {block} * {buffer.lead}L"

    def start_register(self, k: int, st: Store) -> None:
        """An accumulator for the partial store number k."""
        dtype = self.nest.buffers[st.buffer].dtype
        fold = Fold(st.value, frozenset(), self.fresh("p"), [], False)
        start = scalar.constant(scalar.identity(st.partial, dtype), dtype, 1)
        self.line(f"{scalar.register_type(dtype, 1)} {fold.scalar_name} = {start};")
        self.partials[k] = fold

    def partial_start(self) -> None:
        """Registers that meet at the block's end, or memory whose elements items own."""
        s = self.s
        if s.items[1] > 1:
            n, step = self.int_argument(self.nest.extents[s.v]), self.int_argument(s.strip_block)
            self.line(f"const {self.ix} s0 = min({n}, is * {step}), s1 = min({n}, s0 + {step});")
        arrays = []
        for k, st in enumerate(self.nest.stores):
            if st.partial and st.index.axes:
                arrays.append(st)
            elif st.partial:
                self.start_register(k, st)
        for st in arrays:
            buffer = self.nest.buffers[st.buffer]
            start = scalar.constant(scalar.identity(st.partial, buffer.dtype), buffer.dtype, 1)
            text = scalar.store(buffer.dtype, 1, f"{self.block_base(st, 'item')} + k", start)
            self.line(f"for (int k = lid; k < {buffer.lead}; k += {s.local}) {text};")
        if arrays:
            self.line("barrier(CLK_GLOBAL_MEM_FENCE);")

    def partial_add(self, st: Store) -> None:
        k = next(j for j, other in enumerate(self.nest.stores) if other is st)
        dtype = self.nest.buffers[st.buffer].dtype
        x = self.get(st.value, 0, 1)
        tests = [] if self.active is None else [self.active]
        fold = self.partials.get(k)
        if self.group and self.s.v not in self.scope.open:
            tests.append("lid == 0")
        if fold is not None:
            old = target = fold.scalar_name
        else:
            target = f"{self.block_base(st, 'item')} + ({self.affine(st.index)})"
            old = scalar.load(dtype, 1, target)
        text = scalar.text(st.partial, (dtype, dtype), dtype, 1, [old, x])
        text = f"{target} = {text};" if fold else scalar.store(dtype, 1, target, text) + ";"
        self.line(f"if ({' && '.join(tests)}) {text}" if tests else text)

    def partial_end(self) -> None:
        """Registers meet; item 0 stores the block's results."""
        found = [(self.nest.stores[k], fold) for k, fold in self.partials.items()]
        dtypes = [self.nest.buffers[st.buffer].dtype for st, _ in found]
        self.meet([Met(f.scalar_name, st.partial, d, False) for (st, f), d in zip(found, dtypes)])
        for (st, fold), dtype in zip(found, dtypes):
            at = f"{self.block_base(st, 'item')} + ({self.affine(st.index)})"
            self.line(f"if (lid == 0) {scalar.store(dtype, 1, at, fold.scalar_name)};")


def register_bytes(dtype: np.dtype) -> int:
    """Bytes of a value in a register: at least those of an int."""
    return 8 if dtype.itemsize == 8 else 4
