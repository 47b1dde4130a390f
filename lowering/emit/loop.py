"""Emit for nests that hold a time loop: lanes outside, time inside, the state in registers.

An item does some strips of lanes; a strip of `width` lanes, `unroll` of them side by side, runs
through all steps before the next strip begins. The last strip overlaps the one before instead of
going lane by lane: its lanes are computed twice, to the same values. On a GPU an item is a lane.
Values go to the outermost scope that covers their mask, as in `emit`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from lowering import scalar
from lowering.emit import woven
from lowering.emit.scope import Scope, Stage, uses_of
from lowering.emit.stage import _Emitter
from lowering.nest import BranchBody, LoopBody, Nest, Store, Value
from lowering.profile import Profile
from lowering.scalar_text import contraction
from lowering.schedule import Schedule, work

BOOL = np.dtype(bool)
UNITS = 65536.0  # of work an item should have
GROUP = 64  # work-items in a group on a GPU


def schedule_loop(nest: Nest, profile: Profile) -> Schedule:
    """Lanes are rows, but for the axis of the strips; nothing else is parallel."""
    loops = [v.attr for v in nest.values if v.op == "loop"]
    inner = {body.axis for body in loops}
    inner |= {a for v in nest.values if v.op == "branch" for a in v.attr.axes}
    live = {a for v in nest.values for a in v.mask} | {a for s in nest.stores for a in s.index.axes}
    lanes = [a for a in sorted(live) if a not in inner and nest.extents[a] > 1]
    gpu = profile.schedule == "gpu"
    v = None if gpu else _strip_axis(nest, lanes)
    width, unroll = 1, 1
    if v is not None:
        sizes = [x.dtype.itemsize for x in nest.values if x.dtype.kind != "b" and v in x.mask]
        width = profile.lanes(max([4, *sizes]))
        while width > nest.extents[v]:
            width //= 2
        unroll = _strips_in_flight(nest, v, nest.extents[v] // width, profile)
    rows = tuple(a for a in lanes if a != v)
    grid = prod(nest.extents[a] for a in rows)
    cost = max(1.0, work(nest)) * max([body.length or 100 for body in loops])
    strips = 1 if v is None else -(-nest.extents[v] // (width * unroll))
    strip_block = max(1, min(strips, int(UNITS / cost)))
    row_block = max(1, min(grid, int(UNITS / (cost * strips)))) if strip_block == strips else 1
    if gpu:
        group = min(GROUP, profile.max_group) if grid > 1 else 1
        return Schedule(rows, (), None, 1, 1, 1, 1, (-(-grid // group), 1), "gpu", group)
    items = (-(-grid // row_block), -(-strips // strip_block))
    placed = (rows, (), v, width, unroll, row_block, strip_block, items)
    return Schedule(*placed, "cpu", 1, apart=items[1] > 1)


def done_twice(nest: Nest, profile: Profile) -> bool:
    """Whether the last strip overlaps the one before: results must not stand where it reads."""
    s = schedule_loop(nest, profile)
    return s.v is not None and nest.extents[s.v] % (s.width * s.unroll) != 0


def _strip_axis(nest: Nest, lanes: list[int]) -> int | None:
    """The lane axis that most accesses walk through in order; the longest if none."""
    indices = [v.attr[1] for v in nest.values if v.op == "load"]
    indices += [s.index for s in nest.stores]
    indices += [s.index for v in nest.values if v.op == "loop" for s in v.attr.stores]

    def score(a: int) -> tuple[float, int]:
        ones = sum(e.coef(a) == 1 for e in indices)
        return (ones + 0.5) * min(1.0, nest.extents[a] / 16), nest.extents[a]

    return max(lanes, key=score, default=None)


def _strips_in_flight(nest: Nest, v: int, strips: int, profile: Profile) -> int:
    """One dependent chain leaves the units idle; too many strips spill the state, and long bodies
    and strided accesses, which go lane by lane, take long to build (docs/why).
    """
    loops = [x.attr for x in nest.values if x.op == "loop"]
    state = sum(len(body.carries) for body in loops)
    indices = [x.attr[1] for x in nest.values if x.op == "load"]
    indices += [s.index for body in loops for s in body.stores]
    strided = sum(e.coef(v) not in (0, 1) for e in indices)
    size = sum(max(1.0, scalar.cost(x.attr) / 4) for x in nest.values if x.op == "map")
    if size > 300 or strided > 8 or state > profile.registers // 2:
        return 1
    most = 4 if size < 160 and state * 4 <= profile.registers else 2
    while most > max(1, strips):
        most //= 2
    return most


def emit_loop(nest: Nest, s: Schedule) -> Stage:
    """The stage that runs a nest with a time loop."""
    return LoopEmitter(nest, s).stage()


class LoopEmitter(_Emitter):
    """Writes loops, branches and what they hand on; all else is as in `emit`."""

    scales = False  # a step's constants are no sizes, and registers are what it is short of

    def __init__(self, nest: Nest, s: Schedule):
        super().__init__(nest, s)
        self.kept: dict[int, list[tuple[list[str], int]]] = {}  # loop or branch -> names, width
        self.joins = nest.contract_fp
        self.uses = uses_of(nest)

    # ------------------------------------------------ the stage

    def stage(self) -> Stage:
        s, nest = self.s, self.nest
        self.line(contraction(nest.contract_fp))
        grid = prod(nest.extents[a] for a in s.rows)
        if s.mode == "gpu":
            self.gpu_rows(grid)
        else:
            self.cpu_rows(grid)
        text = "\n".join(self.scope.lines)
        return Stage(text, nest.buffers, self.ints, s.items[0] * s.items[1], s.local, nest.label)

    def gpu_rows(self, grid: int) -> None:
        if grid == 1:
            self.stores()
            return
        self.line(f"const long g = item * {self.s.local} + get_local_id(0);")
        self.line(f"if (g >= {self.int_argument(grid)}) return;")
        self.scope.open |= frozenset(self.s.rows)
        self.row_indices("g")
        self.stores()

    def cpu_rows(self, grid: int) -> None:
        s = self.s
        self.split_item("ig = item, is = 0")
        if not s.rows:
            self.strips()
            return
        n, block = self.int_argument(grid), self.int_argument(s.row_block)
        self.part("g", "ig", n, block)
        outer = self.push(frozenset(s.rows))
        self.row_indices("g")
        self.strips()
        self.pop(outer, "for (int g = g0; g < g1; ++g) {")

    def strips(self) -> None:
        s = self.s
        if s.v is None:
            self.stores()
            return
        n, step = self.nest.extents[s.v], s.width * s.unroll
        end, block = self.int_argument(n), self.int_argument(s.strip_block * step)
        name = f"i{s.v}"
        self.part("s", "is", end, block)
        self.width, self.unroll = s.width, s.unroll
        outer = self.push(frozenset({s.v}), s.width)
        last = f"(int){end} - {step}"
        self.line(f"const int {name} = s < {last} ? s : {last};")
        self.stores()
        self.pop(outer, f"for (int s = s0; s < s1; s += {step}) {{")

    def stores(self) -> None:
        loops = [k for k, v in enumerate(self.nest.values) if v.op == "loop"]
        self.name(loops[0], 0)
        for group in woven.sets(self.nest.stores, self.s.v if self.width else None, self.width):
            self.perform_stores(group)

    # ------------------------------------------------ values

    def compute(self, k: int, v: Value, u: int, scope: Scope) -> str:
        if v.op == "loop":
            self.loop(k, v.attr)
            return "done"
        if v.op == "branch":
            self.branch(k, v.attr)
            return "done"
        if v.op == "alias":
            return self.get(v.args[0], u, self.value_width(v))
        return super().compute(k, v, u, scope)

    def get(self, k: int, u: int, width: int) -> str:
        """A value that is the same in all lanes may stand in a vector: then the first lane's."""
        v = self.values[k]
        if width == 1 and v.op != "const" and self.value_width(v) > 1:
            return f"{self.name(k, u)}.s0"
        return super().get(k, u, width)

    def result_of(self, v: Value, u: int) -> str:
        source = v.args[0]
        if self.values[source].op not in ("loop", "branch"):
            return super().result_of(v, u)
        self.name(source, 0)
        names, width = self.kept[source][v.attr]
        wanted = self.value_width(v)
        name = names[u if len(names) > 1 else 0]
        return name if width == wanted else scalar.splat(v.dtype, wanted, name)

    def varies(self, mask: frozenset[int]) -> tuple[int, int]:
        """(width, copies) of a value with this mask."""
        if self.s.v is None or self.s.v not in mask or not self.width:
            return 1, 1
        return self.width, self.unroll

    def declare_state(self, prefix: str, mask: frozenset[int]) -> tuple[list[str], int]:
        width, copies = self.varies(mask)
        name = self.fresh(prefix)
        return [f"{name}_{u}" for u in range(copies)], width

    # ------------------------------------------------ loops

    def loop(self, k: int, body: LoopBody) -> None:
        """Declare the carry, run the steps; afterwards the carry's variables are the results."""
        state: list[tuple[list[str], int]] = []
        for carry, init in zip(body.carries, body.inits):
            value = self.values[carry]
            names, width = self.declare_state("c", value.mask)
            kind = scalar.register_type(value.dtype, width)
            for u, name in enumerate(names):
                self.line(f"{kind} {name} = {self.get(init, u, width)};")
            state.append((names, width))
        self.kept[k] = state
        more = self.fresh("more") if body.chunk else ""
        if more:
            self.line(f"int {more} = 1;")
        outer = self.push(frozenset({body.axis}))
        for carry, (names, _) in zip(body.carries, state):
            for u, name in enumerate(names):
                self.scope.names[(carry, u)] = name
        if body.stop is not None:
            end = f"{{ {more} = 0; break; }}" if more else "break;"
            self.line(f"if (!({self.going_on(body.stop)})) {end}")
        for st in body.stores:
            self.perform_store(st)
        self.successors(body, state)
        self.pop(outer, self.head(body))
        if more and body.alone:
            self.line(f"*b{body.flag} = (uchar){more};")
        elif more:
            self.line(f"if ({more}) *b{body.flag} = 1;")

    def head(self, body: LoopBody) -> str:
        if body.stop is not None and not body.chunk:
            return "for (;;) {"
        steps = body.chunk or self.extent(body.axis, body.length)
        return f"for (int i{body.axis} = 0; i{body.axis} < {steps}; ++i{body.axis}) {{"

    def going_on(self, stop: int) -> str:
        """Whether any lane of the strips goes on."""
        width, copies = self.varies(self.values[stop].mask)
        names = [self.get(stop, u, width) for u in range(copies)]
        if width == 1:
            return names[0]
        return f"fold_or_i32x{width}({' | '.join(names)})"

    def successors(self, body: LoopBody, state: list[tuple[list[str], int]]) -> None:
        """All successors first, then the assignments: a carry may be another one's successor."""
        moves: list[tuple[str, str]] = []
        for carry, nxt, (names, width) in zip(body.carries, body.nexts, state):
            if nxt == carry:
                continue
            for u, name in enumerate(names):
                text = self.get(nxt, u, width)
                if self.values[nxt].op in ("carry", "get", "alias"):
                    held = self.fresh("x")
                    kind = scalar.register_type(self.values[carry].dtype, width)
                    self.line(f"const {kind} {held} = {text};")
                    text = held
                moves.append((name, text))
        for name, text in moves:
            self.line(f"{name} = {text};")

    # ------------------------------------------------ branches

    def branch(self, k: int, body: BranchBody) -> None:
        """The results are variables that the branch taken sets."""
        state: list[tuple[list[str], int]] = []
        for j, dtype in enumerate(body.dtypes):
            mask = frozenset().union(*(self.values[r[j]].mask for r in body.results))
            names, width = self.declare_state("d", mask)
            for name in names:
                self.line(f"{scalar.register_type(dtype, width)} {name};")
            state.append((names, width))
        self.kept[k] = state
        which = self.get(body.which, 0, 1)
        blocks: list[list[str]] = []  # written at the end: what they hoist must stand before all
        for j, axis in enumerate(body.axes):
            outer = self.push(frozenset({axis}))
            for (names, width), v in zip(state, body.results[j]):
                for u, name in enumerate(names):
                    self.line(f"{name} = {self.get(v, u, width)};")
            blocks.append(self.scope.lines)
            self.scope = outer
        last = len(blocks) - 1
        for j, lines in enumerate(blocks):
            test = "" if j == last else f"if ({which} <= {j}) "
            self.line(("else " if j else "") + test + "{")
            self.scope.lines.extend(lines)
            self.line("}")

    # ------------------------------------------------ memory

    def perform_store(self, st: Store) -> None:
        """A result that is the same in all lanes of a strip is stored once."""
        v = self.values[st.value]
        if v.op == "get" and self.s.v is not None and not st.index.coef(self.s.v):
            source = v.args[0]
            if self.values[source].op == "loop":
                self.name(source, 0)
                names, width = self.kept[source][v.attr]
                if width == 1:
                    dtype = self.nest.buffers[st.buffer].dtype
                    base = f"b{st.buffer} + ({self.affine(st.index)})"
                    self.line(scalar.store(dtype, 1, base, names[0]) + ";")
                    return
        super().perform_store(st)
