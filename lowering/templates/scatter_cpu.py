"""Scatter on a CPU: stages that take the updates in a fixed order on several cores.

In: a Scatter node. Out: a `Scattering`. How updates are dealt, decided in this order:

lanes    axes that no index moves: each item has some of their rows
unique   indices that are promised to differ: each item has some of the updates
copies   many updates into few places: each item adds its share to copies of its own, and a second
         launch folds the copies, in order
owners   windows of some length: each item has some rows of the output, and walks all indices
one      else: one item in update order
The number of items and of copies comes from shapes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from lowering import graph as g
from lowering import scalar
from lowering.affine import strides_of
from lowering.emit.scope import OWN_PART, Stage
from lowering.fuse_rules import flat
from lowering.nest import NestBuffer
from lowering.profile import Profile
from lowering.scalar_text import NARROW
from lowering.templates.scatter import COPY_BYTES, apply, owner_axis, place

SMALL = 1 << 13  # updates below which one item does it all
ITEMS = 16
OWNERS = 8  # each walks all indices, which costs 3 ns an index
FILL = 1 << 16  # elements of a constant background that one item may write by itself
INTERLEAVED = 2048  # places up to which updates go to four copies in turn: shorter chains


@dataclass
class Scattering:
    """Stages, each with the names of its operands, and what else the planner must know."""

    stages: list[tuple[Stage, tuple[str, ...]]]
    parts: tuple[int, np.dtype] | None = None  # elements of the copies
    starts: bool = False  # it writes what the output holds before the updates itself


@dataclass(frozen=True)
class Axis:
    """One loop: its extent, and how far a step moves in output, indices and updates."""

    n: int
    x: int
    index: int
    update: int


def plan(node: g.Node, profile: Profile, apart: bool = False) -> Scattering:
    """How `node` is computed from indices, updates, output, copies and, if `apart`, an operand that
    is not the output's memory yet.
    """
    return _Writer(node, profile, apart).plan()


def _joined(axes: list[Axis]) -> list[Axis]:
    """Adjacent loops that are one loop over their product."""
    out: list[Axis] = []
    for a in axes:
        if out and all(
            getattr(out[-1], k) == a.n * getattr(a, k) for k in ("x", "index", "update")
        ):
            out[-1] = Axis(out[-1].n * a.n, a.x, a.index, a.update)
        else:
            out.append(a)
    return out


class _Writer:
    def __init__(self, node: g.Node, profile: Profile, apart: bool):
        self.apart = apart
        self.node, self.f, self.profile = node, node.form, profile
        self.x, self.indices, self.updates = node.args
        f, x, updates = self.f, self.x, self.updates
        windows = [k for k in range(x.ndim) if k not in f.inserted and k not in f.x_batch]
        self.sizes = {k: updates.shape[d] for k, d in zip(windows, f.window_dims)}
        xs, us, at = strides_of(x.shape), strides_of(updates.shape), strides_of(self.indices.shape)
        batch = [d for d in range(updates.ndim) if d not in f.window_dims]
        first = min(f.start_map, default=0)
        self.outer: list[Axis] = []
        self.beside: list[Axis] = []  # batch axes inside the scattered one
        self.inside: list[Axis] = []
        for k, j in zip(f.x_batch, f.index_batch):
            axis = Axis(updates.shape[batch[j]], xs[k], at[j], us[batch[j]])
            (self.outer if k < first else self.beside).append(axis)
        for k, d in zip(windows, f.window_dims):
            free = k < first and k not in f.start_map
            axis = Axis(self.sizes[k], xs[k], 0, us[d])
            (self.outer if free else self.inside).append(axis)
        points = [
            Axis(updates.shape[d], 0, at[j], us[d])
            for j, d in enumerate(batch)
            if j not in f.index_batch
        ]
        self.outer = sorted((a for a in self.outer if a.n > 1), key=lambda a: -a.x)
        self.beside = sorted((a for a in self.beside if a.n > 1), key=lambda a: -a.x)
        self.inside = [a for a in self.inside if a.n > 1]
        self.points = _joined([a for a in points if a.n > 1]) or [Axis(1, 0, 0, 0)]
        self.dtype = node.dtype
        self.lines: list[str] = []
        self.ints: list[int] = []
        self.depth = 1
        given = flat(updates)
        self.literal = given.form.value if isinstance(given.form, g.Const) else None
        self.background = x.form.value if isinstance(x.form, g.Const) else None

    # ------------------------------------------------ who does what

    def plan(self) -> Scattering:
        work = self.updates.size
        rows = prod(a.n for a in self.outer)
        beside = self.beside[0].n if self.beside else 1
        if work < SMALL:
            return self.direct(1)
        many = min(ITEMS, work // (SMALL // 2))
        if rows >= 4:
            return self.direct(min(rows, many), "outer")
        if beside >= 64:
            return self.direct(min(beside // 16, many), "beside")
        if self.f.unique and self.f.mode != "clip" and self.points[0].n >= many:
            return self.direct(many, "points")
        copies, ways = self.copies(work)
        inner = prod(a.n for a in self.inside)
        small = self.node.size * self.dtype.itemsize <= COPY_BYTES
        owner = owner_axis(self.f, self.sizes, self.x)
        if copies >= 2 and (small or inner < 8):
            return self.by_copies(copies, ways)
        if owner is not None and inner >= 8:
            count = min(self.x.shape[owner], OWNERS, work >> 13)
            return self.direct(max(1, count), "owner")
        return self.direct(1)

    def copies(self, work: int) -> tuple[int, int]:
        """How many items have copies of their own, and how many each."""
        if self.f.op == "set" or self.dtype.kind == "b":
            return 0, 1
        scalars = not self.inside and not self.beside and not self.outer and len(self.points) == 1
        ways = 4 if scalars and self.node.size <= INTERLEAVED else 1
        return min(ITEMS, work >> 13, work // (4 * ways * self.node.size), self.points[0].n), ways

    # ------------------------------------------------ one launch

    def direct(self, items: int, split: str = "") -> Scattering:
        owner = owner_axis(self.f, self.sizes, self.x) if split == "owner" else None
        ahead = prod(self.x.shape[:owner]) if owner is not None else 0
        known = self.background is not None or (self.apart and owner is not None)
        starts = known and (ahead == 1 if owner is not None else items == 1 and self.fits())
        extents = {
            "outer": prod(a.n for a in self.outer),
            "beside": self.beside[0].n if self.beside else 1,
            "points": self.points[0].n,
            "owner": self.x.shape[owner] if owner is not None else 1,
        }
        n = extents.get(split, 1)
        share = -(-n // items)
        self.parts_of(n, share)
        copies = starts and self.background is None
        if starts:
            per = self.node.size // n if owner is not None else self.node.size
            ends = (f"lo * {per}", f"hi * {per}") if owner is not None else ("0", f"{per}")
            self.fill("b2", *ends, source="b3" if copies else None)
        self.loops(split, owner, "b2")
        stage, names = self.stage(-(-n // share)), ("i", "u", "o")
        if copies:
            stage.buffers.append(NestBuffer(self.x, self.dtype, self.x.size))
            names = (*names, "x")
        return Scattering([(stage, names)], None, starts)

    def fits(self) -> bool:
        return self.node.size <= max(FILL, 2 * self.updates.size)

    def stage(self, items: int) -> Stage:
        buffers = [
            NestBuffer(self.indices, self.indices.dtype, self.indices.size),
            self.update_buffer(),
            NestBuffer(self.node, self.dtype, self.node.size, True),
        ]
        label = self.node.tag or "scatter"
        text = "\n".join(self.lines)
        cost = 4.0 * self.updates.size + self.node.size / 4
        return Stage(text, buffers, self.ints, items, 1, label, cost=cost)

    def update_buffer(self) -> NestBuffer:
        """Updates that are one constant are written into the text; the indices stand for them."""
        u = self.indices if self.literal is not None else self.updates
        return NestBuffer(u, u.dtype, u.size)

    # ------------------------------------------------ copies, then their fold

    def by_copies(self, items: int, ways: int) -> Scattering:
        halves = self.dtype.name in NARROW
        kind = np.dtype(np.float32) if halves else self.dtype
        room = -(-self.node.size // 16) * 16
        share = -(-self.points[0].n // items)
        items = -(-self.points[0].n // share)
        self.dtype = kind
        self.parts_of(self.points[0].n, share)
        start = scalar.identity(self.f.op, kind)
        self.fill("b2", f"item * {room * ways}", f"(item + 1) * {room * ways}", start)
        self.line(f"__global {scalar.memory_type(kind)} *const c = b2 + item * {room * ways};")
        self.loops("points", None, "c", ways, room)
        first = self.stage(items)
        parts = g.Node(g.Input(-1), (), (items * ways * room,), kind)
        first.buffers[2] = NestBuffer(parts, kind, parts.size, True)
        fold = self.fold(parts, items * ways, room)
        names = ("p", "o")
        if self.apart:
            fold.buffers.append(NestBuffer(self.x, self.node.dtype, self.x.size))
            names = ("p", "o", "x")
        stages = [(first, ("i", "u", "p")), (fold, names)]
        starts = self.background is not None or self.apart
        return Scattering(stages, (parts.size, kind), starts)

    def fold(self, parts: g.Node, copies: int, room: int) -> Stage:
        """output = background, joined with every copy in turn."""
        node, kind, size = self.node, parts.dtype, self.node.size
        share = max(1024, -(-size // ITEMS))
        lines = [
            f"  {OWN_PART}",
            "  long e = lo;",
        ]
        for width in (self.profile.lanes(4), 1):
            old = scalar.load(node.dtype, width, "b2 + e" if self.apart else "b1 + e")
            if self.background is not None:
                old = scalar.constant(self.background, node.dtype, width)
            t = scalar.register_type(kind, width)
            both = scalar.text(self.f.op, (kind, kind), kind, width, ["t", "y"])
            part = scalar.load(kind, width, f"b0 + k * {room} + e")
            lines += [
                f"  for (; e + {width} <= hi; e += {width}) {{",
                f"    {t} t = {old};",
                f"    for (int k = 0; k < {copies}; ++k) {{ const {t} y = {part}; t = {both}; }}",
                f"    {scalar.store(node.dtype, width, 'b1 + e', 't')};",
                "  }",
            ]
        buffers = [
            NestBuffer(parts, kind, parts.size),
            NestBuffer(node, node.dtype, size, True),
        ]
        label = f"{node.tag or 'scatter'}: copies"
        cost = float(size * copies)
        ints = [size, share]
        return Stage("\n".join(lines), buffers, ints, -(-size // share), 1, label, cost=cost)

    # ------------------------------------------------ text

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def parts_of(self, n: int, share: int) -> None:
        self.ints = [n, share]
        self.line(OWN_PART)

    def fill(
        self, buffer: str, lo: str, hi: str, value: object = None, source: str | None = None
    ) -> None:
        """Write a constant, or what `source` holds, to a range of a buffer."""
        value = self.background if value is None else value
        width = self.profile.lanes(4)
        if source is None:
            one, strip = (scalar.constant(value, self.dtype, w) for w in (1, width))
        else:
            one, strip = (scalar.load(self.dtype, w, f"{source} + e") for w in (1, width))
        self.line("{")
        self.line(f"  long e = {lo};")
        to = f"{buffer} + e"
        many = scalar.store(self.dtype, width, to, strip)
        self.line(f"  for (; e + {width} <= {hi}; e += {width}) {many};")
        self.line(f"  for (; e < {hi}; ++e) {scalar.store(self.dtype, 1, to, one)};")
        self.line("}")

    def loops(
        self, split: str, owner: int | None, target: str, ways: int = 1, room: int = 0
    ) -> None:
        """All loops around one update; `split` names the one that runs from lo to hi."""
        at, base, u = ["0"], ["0"], ["0"]
        top = self.depth

        def enter(name: str, axis: Axis, whole: bool) -> None:
            ends = ("0", str(axis.n)) if whole else ("lo", "hi")
            self.line(f"for (long {name} = {ends[0]}; {name} < {ends[1]}; ++{name}) {{")
            self.depth += 1
            moved(name, axis)

        def moved(name: str, axis: Axis) -> None:
            for terms, step in ((base, axis.x), (at, axis.index), (u, axis.update)):
                if step:
                    terms.append(f"{name} * {step}")

        if split == "outer" and len(self.outer) > 1:
            self.line("for (long g = lo; g < hi; ++g) {")
            self.depth += 1
            rest = "g"
            for k in range(len(self.outer) - 1, -1, -1):
                n = self.outer[k].n
                self.line(f"const long a{k} = {f'{rest} % {n}' if k else rest};")
                rest = f"({rest} / {n})"
                moved(f"a{k}", self.outer[k])
        else:
            for k, axis in enumerate(self.outer):
                enter(f"a{k}", axis, split != "outer")
        for k, axis in enumerate(self.points[:-1]):
            enter(f"s{k}", axis, split != "points" or k > 0)
        last = len(self.points) - 1
        whole = split != "points" or last > 0
        if ways > 1:
            self.in_turn(last, owner, target, ways, room, (at, base, u))
        else:
            enter(f"s{last}", self.points[-1], whole)
            for k, axis in enumerate(self.beside):
                enter(f"q{k}", axis, split != "beside" or k > 0)
            self.update(owner, target, at, base, u)
        while self.depth > top:
            self.depth -= 1
            self.line("}")

    def in_turn(self, last: int, owner: int | None, target: str, ways: int, room: int, to) -> None:
        """Updates to `ways` copies in turn, so that equal neighbours do not wait for each other."""
        axis, s = self.points[-1], f"s{last}"
        at, base, u = to
        self.line(f"long {s} = lo;")
        for step in (ways, 1):
            self.line(f"for (; {s} + {step} <= hi; {s} += {step}) {{")
            self.depth += 1
            for j in range(step):
                self.line("do {")
                here = f"({s} + {j})" if j else s
                self.update(
                    owner,
                    f"{target} + {j * room}" if j else target,
                    [*at, f"{here} * {axis.index}"],
                    [*base, f"{here} * {axis.x}"] if axis.x else base,
                    [*u, f"{here} * {axis.update}"],
                )
                self.line("} while (0);")
            self.depth -= 1
            self.line("}")

    def update(self, owner: int | None, target: str, at, base, u) -> None:
        """One update: its place, and its window; the innermost axis in strips where it is
        contiguous.
        """
        found = place(
            self.f, self.x, self.indices, self.sizes, owner, " + ".join(at), " + ".join(base)
        )
        self.lines += ["  " * (self.depth - 2) + x for x in found]
        self.line(f"const long u = {' + '.join(u)};")
        top = self.depth
        to, frm = [target, "o"], ["u"]
        for k, axis in enumerate(self.inside):
            to.append(f"w{k} * {axis.x}")
            frm.append(f"w{k} * {axis.update}")
            unit = axis.x == 1 and (axis.update == 1 or self.literal is not None)
            if k == len(self.inside) - 1 and unit and axis.n >= 4:
                self.strips(k, axis.n, to, frm)
                break
            self.line(f"for (long w{k} = 0; w{k} < {axis.n}; ++w{k}) {{")
            self.depth += 1
        else:
            self.line(self.apply(1, to, frm))
        while self.depth > top:
            self.depth -= 1
            self.line("}")

    def strips(self, k: int, n: int, to: list[str], frm: list[str]) -> None:
        widths = [w for w in (16, 8, 4, 2, 1) if w == 1 or w <= min(n, self.profile.lanes(4))]
        self.line(f"long w{k} = 0;")
        left = n
        for width in widths:
            if left < width:
                continue
            left %= width
            here = f"w{k} + {width} <= {n}; w{k} += {width}"
            self.line(f"for (; {here}) {{ {self.apply(width, to, frm)} }}")

    def apply(self, width: int, to: list[str], frm: list[str]) -> str:
        """One statement; updates are values of the output's dtype, copies may be wider."""
        if self.literal is not None:
            new = scalar.constant(self.literal, self.dtype, width)
        else:
            new = scalar.load(self.updates.dtype, width, "b1 + " + " + ".join(frm))
        return apply(self.node, width, " + ".join(to), new, self.dtype)
