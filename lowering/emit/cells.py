"""Cells: a stage whose lanes run over small blocks of results, in the order of memory.

In: a nest and a schedule with `cells`. The blocks that fill whole registers are written out, vector
by vector, folds and all; what is left of the axis goes element by element.
"""

from __future__ import annotations

from typing import Any

from lowering import scalar
from lowering.affine import Affine
from lowering.cells import Cells, Frame, Lanes, Place, factors, lanes_of, points
from lowering.emit.scope import Event, Scope
from lowering.emit.stage import _Emitter
from lowering.nest import Nest, Value
from lowering.schedule import Schedule


class CellEmitter(_Emitter):
    """Emits the loop over cells, and the one over what they leave."""

    def __init__(self, nest: Nest, s: Schedule):
        super().__init__(nest, s)
        assert s.cells is not None
        self.cells: Cells = s.cells
        self.own = frozenset((self.cells.v, *self.cells.inner))
        self.places = self.cells.places(nest)
        self.made: dict[Any, str] = {}
        self.before: Scope | None = None  # the scope around the loop over cells

    def all_parallel(self) -> frozenset[int]:
        return super().all_parallel() | self.own

    def reads_alone(self, events: list[Event], n: int) -> bool:
        return False

    def open_v(
        self, events: list[Event], lo: str, hi: str, n: int | None, reverse: bool = False
    ) -> None:
        """Loop over the cells, then over what is left of their axis."""
        name, step, ix = f"i{self.cells.v}", self.cells.count, self.ix
        self.before, self.made = self.scope, {}
        outer = self.push(self.own)
        for u in range(self.cells.vectors):
            for st in self.nest.stores:
                self.store_vector(st, u)
        self.pop(outer, f"for ({ix} {name} = {lo}; {name} + {step} <= {hi}; {name} += {step}) {{")
        if n is not None and n % step == 0:
            return
        start = f"{lo} + ({hi} - {lo}) / {step} * {step}"
        heads = [f"for ({ix} {name} = {start}; {name} < {hi}; ++{name})"]
        heads += [
            f"for ({ix} i{a} = 0; i{a} < {self.nest.extents[a]}; ++i{a})" for a in self.cells.inner
        ]
        old = self.width, self.unroll
        self.width, self.unroll = 1, 1
        outer = self.push(self.own)  # one scope: folds that are the same in a block begin in it
        self.body(events)
        self.pop(outer, f"{' '.join(heads)} {{")
        self.width, self.unroll = old

    # ------------------------------------------------ vectors

    def store_vector(self, st: Any, u: int) -> None:
        dtype, width = self.nest.buffers[st.buffer].dtype, self.cells.lanes
        x = self.wide(st.value, (u, -1), {})
        base = self.first(st.buffer, st.index, self.cells.start(u, self.nest))
        if self.streams(st, dtype, width):
            self.line(f"stream_{scalar.memory_code(dtype)}x{width}({base}, {x});")
        else:
            self.line(f"{scalar.store(dtype, width, base, x)};")

    def first(self, buffer: int, index: Affine, offset: int) -> str:
        """The place `offset` elements beyond where the cell begins."""
        return f"b{buffer} + ({self.beginning(index + offset)})"

    def beginning(self, e: Affine) -> str:
        """The index at the cell's first place."""
        return self.affine(Affine(e.const, tuple(t for t in e.terms if t[0] in self.shown)))

    @property
    def shown(self) -> frozenset[int]:
        """Axes whose numbers have names."""
        return frozenset((*self.s.rows, self.cells.v))

    def wide(self, k: int, u: Frame, at: Place) -> str:
        """Value k in frame u, at a point of the folded axes, in all lanes."""
        v, width = self.values[k], self.cells.lanes
        if v.op == "const" or v.mask <= self.s_rows:
            return self.get(k, 0, width)
        here = {a: n for a, n in at.items() if a in v.mask}
        key = (k, u if v.mask & (self.own | {self.cells.spread}) else -1, tuple(here.items()))
        if key not in self.made:
            self.made[key] = self.compute_wide(k, v, u, here)
        return self.made[key]

    @property
    def s_rows(self) -> frozenset[int]:
        return frozenset(self.s.rows)

    def compute_wide(self, k: int, v: Value, u: Frame, at: Place) -> str:
        width = self.cells.lanes
        if v.op == "load":
            return self.load_wide(k, v, u, at)
        if v.op in ("reduce", "mad"):
            return self.fold_wide(k, v, u, at)
        if v.op == "index":
            kind = scalar.register_type(v.dtype, width)
            lanes = ", ".join(map(str, lanes_of(v.attr, self.places[u], at)))
            base = scalar.splat(v.dtype, width, f"({self.beginning(v.attr)})")
            return self.named_wide(v, f"{base} + ({kind})({lanes})")
        args = [self.wide(a, u, at) for a in v.args]
        if v.op == "alias":
            return args[0]
        kinds = [self.values[a].dtype for a in v.args]
        text = scalar.text(v.attr, kinds, v.dtype, width, args)
        return self.named_wide(v, text)

    def named_wide(self, v: Value, text: str, scope: Scope | None = None) -> str:
        out = self.fresh("x")
        kind = scalar.register_type(v.dtype, self.cells.lanes)
        self.line(f"const {kind} {out} = {text};", scope)
        return out

    def fold_wide(self, k: int, v: Value, u: Frame, at: Place) -> str:
        if self.cells.spread is not None:
            return self.fold_spread(k, v, u)
        width, out = self.cells.lanes, self.fresh("a")
        kind = scalar.register_type(v.dtype, width)
        start = scalar.constant(self.fold_identity(v), v.dtype, width)
        self.line(f"{kind} {out} = {start};")
        for point in points(self.nest, v.folded):
            args = [self.wide(a, u, at | point) for a in v.args]
            self.line(f"{out} = {self.gathered(v, out, args, width)};")
        return out

    def fold_spread(self, k: int, v: Value, u: Frame) -> str:
        """The fold in vector u of elements side by side: pairs of them, then pairs of pairs."""
        width, kinds = self.cells.lanes, (v.dtype, v.dtype)
        assert self.cells.spread is not None
        n = self.nest.extents[self.cells.spread]
        held = []
        for j in range(n):
            args = [self.wide(a, (u[0], j), {}) for a in v.args]
            if v.op == "mad":
                args = [self.named_wide(v, scalar.text("mul", kinds, v.dtype, width, args))]
            held += args
        for step in factors(n):
            groups = [held[j : j + step] for j in range(0, len(held), step)]
            held = []
            for group in groups:
                parts = [self.named_wide(v, _every(group, j, width)) for j in range(step)]
                out = parts[0]
                for part in parts[1:]:
                    out = self.named_wide(
                        v, scalar.text(v.fold, kinds, v.dtype, width, [out, part])
                    )
                held.append(out)
        return held[0]

    def load_wide(self, k: int, v: Value, u: Frame, at: Place) -> str:
        buffer, index, *_ = v.attr
        width = self.cells.lanes
        p = lanes_of(index, self.places[u], at)
        fixed = index.coef(self.cells.v) == 0
        key = (k, p)
        if key in self.made:
            return self.made[key]
        scope = self.before if fixed else None
        if len(set(p)) == 1:
            text = scalar.load(v.dtype, 1, self.first(buffer, index, p[0]))
            text = scalar.splat(v.dtype, width, text)
        elif p[-1] - p[0] == width - 1 and p == tuple(range(p[0], p[0] + width)):
            text = scalar.load(v.dtype, width, self.first(buffer, index, p[0]))
        elif (k, u, p) in self.cells.windows:
            text = self.chosen(k, v, p, self.cells.windows[k, u, p], scope)
        else:
            base = self.first(buffer, index, 0)
            lanes = ", ".join(f"({base})[{place}]" for place in p)
            text = f"({scalar.register_type(v.dtype, width)})({lanes})"
        self.made[key] = self.named_wide(v, text, scope)
        return self.made[key]

    def chosen(
        self, k: int, v: Value, p: Lanes, starts: tuple[int, ...], scope: Scope | None
    ) -> str:
        """The lanes of pattern p from the vectors that begin at `starts`."""
        width = self.cells.lanes
        parts: list[tuple[str, dict[int, int]]] = []
        left = dict(enumerate(p))
        for start in reversed(starts):  # the last one may begin within the one before
            taken = {lane: x - start for lane, x in left.items() if start <= x < start + width}
            left = {lane: x for lane, x in left.items() if lane not in taken}
            if taken:
                parts.insert(0, (self.window(k, v, start, scope), taken))
        if len(parts) == 1:
            parts.append(parts[0])
            return _shuffled(parts[0], (parts[0][0], {}), width)[0]
        return _joined(parts, width)

    def window(self, k: int, v: Value, start: int, scope: Scope | None) -> str:
        key = (k, "window", start)
        if key not in self.made:
            text = scalar.load(v.dtype, self.cells.lanes, self.first(v.attr[0], v.attr[1], start))
            self.made[key] = self.named_wide(v, text, scope)
        return self.made[key]


def _every(group: list[str], first: int, width: int) -> str:
    """Every len(group)-th lane of vectors side by side, from `first` on."""
    step = len(group)
    places = [divmod(first + step * j, width) for j in range(width)]
    parts = [
        (x, {j: lane for j, (at, lane) in enumerate(places) if at == k})
        for k, x in enumerate(group)
    ]
    return _joined(parts, width)


def _joined(parts: list[tuple[str, dict[int, int]]], width: int) -> str:
    """The text of a vector with lanes of several."""
    while len(parts) > 1:
        pairs = [parts[j : j + 2] for j in range(0, len(parts), 2)]
        parts = [x[0] if len(x) == 1 else _shuffled(x[0], x[1], width) for x in pairs]
    return parts[0][0]


def _shuffled(
    x: tuple[str, dict[int, int]], y: tuple[str, dict[int, int]], width: int
) -> tuple[str, dict[int, int]]:
    """A vector with the wanted lanes of two others at their places."""
    lanes = x[1] | {j: at + width for j, at in y[1].items()}
    places = ", ".join(str(lanes.get(j, -1)) for j in range(width))
    return f"__builtin_shufflevector({x[0]}, {y[0]}, {places})", {j: j for j in lanes}
