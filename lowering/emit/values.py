"""Values: the text of loads, operations, indices and stores, in registers as wide as the scope.

Placed in `emit` over `emit.scope`; what a value is, `nest` says. A guarded access reads or writes
only inside its guards: strips that cross an edge are masked, at the array's ends go lane by lane.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from lowering import scalar, scalar_text
from lowering.affine import Affine, Range
from lowering.build.turns import Wrap
from lowering.emit.scope import SHORT, Scope
from lowering.emit.woven import Weaving
from lowering.nest import Store, Value

INT = np.dtype(np.int32)


def _as_masks(dtype: np.dtype) -> bool:
    """Whether its vectors have the lanes of masks."""
    return scalar.code(dtype) in ("f32", "i32", "u32")


def counts(v: Value) -> bool:
    """Whether a constant is a whole number that a mean may divide by: not a small one, and one that
    a float32 holds as it is.
    """
    if v.dtype.char not in "fd" or not isfinite(v.attr):
        return False
    return 2 * SHORT <= v.attr < 2**24 and v.attr == int(v.attr)


class Values(Weaving):
    """Names and texts of values."""

    scales = True  # whether whole numbers become arguments

    cumscan: Any  # what follows is Folds', which stands on this class
    partial_add: Any
    join: Any

    def get(self, k: int, u: int, width: int) -> str:
        """Value k as C text of the wanted width."""
        v = self.values[k]
        if v.op == "const":
            if self.scales and counts(v):
                return scalar.splat(v.dtype, width, self.count_argument(k, v))
            return scalar.constant(v.attr, v.dtype, width)
        own = self.value_width(v)
        name = self.name(k, u if self.copied(v) else 0)
        return name if own == width else scalar.splat(v.dtype, width, name)

    def count_argument(self, k: int, v: Value) -> str:
        """A number that may come from a size, as what a mean divides by does, is an argument."""
        if k not in self.numbers:
            self.numbers[k] = name = f"whole{k}"
            kind = scalar.register_type(v.dtype, 1)
            self.outermost(f"const {kind} {name} = {self.int_argument(int(v.attr))};")
        return self.numbers[k]

    def name(self, k: int, u: int) -> str:
        found = self.home(self.values[k]).names.get((k, u))
        if found is None:
            for j, w in self.unnamed(k, u):
                found = self.give_name(j, w)
        assert found is not None
        return found

    def give_name(self, k: int, u: int) -> str:
        v = self.values[k]
        inner, self.scope = self.scope, self.home(v)
        found = self.scope.names[(k, u)] = self.compute(k, v, u, self.scope)
        self.scope = inner
        return found

    def unnamed(self, k: int, u: int) -> list[tuple[int, int]]:
        """The values without a name that k is made of, operands first and k last: chains of
        operations may be longer than the stack is deep.
        """
        order: list[tuple[int, int]] = []
        seen: set[tuple[int, int]] = set()
        todo = [(k, u, False)]
        while todo:
            j, w, operands_done = todo.pop()
            if operands_done:
                order.append((j, w))
                continue
            v = self.values[j]
            if (j, w) in seen or v.op == "const" or (j, w) in self.home(v).names:
                continue
            seen.add((j, w))
            todo.append((j, w, True))
            if self.computes_operands(j, v):
                taken = self.taken_in(v)
                args = [y for a in v.args for y in (self.values[a].args if a == taken else (a,))]
                own = [(a, w if self.copied(self.values[a]) else 0, False) for a in args]
                todo += reversed(own)
        return order

    def computes_operands(self, k: int, v: Value) -> bool:
        """Whether the text of value k names all its operands in this scope's terms."""
        return v.op == "map"

    def compute(self, k: int, v: Value, u: int, scope: Scope) -> str:
        width = self.value_width(v)
        if v.op == "cumscan":
            return self.cumscan(k, u, scope)
        if v.op == "load":
            return self.load(v, u, width)
        if v.op == "map":
            dtypes = [self.values[a].dtype for a in v.args]
            taken = self.taken_in(v)
            args = [
                self.product(a, u, width) if a == taken else self.get(a, u, width) for a in v.args
            ]
            text = scalar.text(v.attr, dtypes, v.dtype, width, args)
        elif v.op == "index":
            text = self.index_text(v.attr, v.dtype, width, u)
        elif v.op == "guard":
            text = self.guard_text(v.attr, width, u)
        elif v.op == "get":
            return self.result_of(v, u)
        elif v.op == "bits":
            return self.bits(v, u, width)
        elif self.values[k].is_fold:
            raise AssertionError(f"fold %{k} is wanted before its phase")
        else:
            raise AssertionError(f"no text for {v.op}")
        out = self.fresh("x")
        self.line(f"const {scalar.register_type(v.dtype, width)} {out} = {text};")
        return out

    def taken_in(self, v: Value) -> int | None:
        """A product that nothing but this sum needs: in one expression the compiler may fuse them,
        and only there (docs/why/sums-with-products.md). What cancels is left: x y - y x is 0.
        """
        if not self.joins or v.op != "map" or v.attr not in ("add", "sub") or v.dtype.kind != "f":
            return None
        scope = self.home(v)
        first, second = (self.factors(a) for a in v.args)
        if first and first == second:
            return None
        for a in v.args:
            x = self.values[a]
            alone = x.op == "map" and x.attr == "mul" and self.uses[a] == 1
            if alone and x.dtype == v.dtype and self.home(x) is scope:
                return a
        return None

    def factors(self, k: int) -> list[int]:
        """What a product is of, in whichever order and of whichever signs; of nothing, if it is
        none.
        """
        x = self.values[self.without_sign(k)]
        is_product = x.op == "map" and x.attr == "mul"
        return sorted(map(self.without_sign, x.args)) if is_product else []

    def without_sign(self, k: int) -> int:
        x = self.values[k]
        while x.op == "map" and x.attr == "neg":
            k = x.args[0]
            x = self.values[k]
        return k

    def product(self, k: int, u: int, width: int) -> str:
        x = self.values[k]
        pair = [self.get(y, u, width) for y in x.args]
        return scalar.text("mul", [x.dtype, x.dtype], x.dtype, width, pair)

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
        ranges = self.unknown(ranges)
        if not ranges:
            return f"(int{width})(-1)"
        parts = []
        for r in ranges:
            if r.index.coef(self.s.v) and self.far(r.index):
                tests = [
                    self.scalar_guard(r, u, r.index.coef(self.s.v) * lane) for lane in range(width)
                ]
                parts.append(f"(int{width})({', '.join(f'-{t}' for t in tests)})")
            elif r.index.coef(self.s.v):
                e = self.fresh("at")
                self.line(f"const int{width} {e} = {self.index_text(r.index, INT, width, u)};")
                parts.append(f"({e} >= {r.low}) & ({e} < {r.high})")
            else:
                parts.append(f"(int{width})(-({self.scalar_guard(r, u)}))")
        return "(" + " & ".join(parts) + ")"

    def unknown(self, questions: tuple) -> tuple:
        """What is to be asked of a strip."""
        return tuple(q for q in questions if q not in self.holds) if self.holds else questions

    def scalar_guard(self, r: Range, u: int, offset: int = 0) -> str:
        e = self.affine(r.index + offset, u)
        if r.low == 0 and not self.s.wide and not self.far(r.index + offset):
            return f"((uint)({e}) < {r.high}u)"
        return f"({r.low} <= {e} && {e} < {r.high})"

    # ------------------------------------------------ memory

    def load(self, v: Value, u: int, width: int) -> str:
        """A load, safe where its guards fail: those lanes read nothing and are 0."""
        buffer, index, guards, wraps = v.attr
        if wraps:
            return self.load_round(v, u, width)
        if width > 1:
            guards = self.unknown(guards)
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
            assert dynamic is not None
            text = self.gather_text(v, base, c, self.get(dynamic, u, width), width)
        else:
            text = _load_text(v.dtype, width, base, c)
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

    def load_round(self, v: Value, u: int, width: int) -> str:
        """A load that goes back where it reaches the end of an axis: a strip that crosses the end
        is two loads, or takes its lanes one by one.
        """
        buffer, index, _, wraps = v.attr
        out = self.fresh("x")
        kind = scalar.register_type(v.dtype, width)
        if width > 1:
            index += -sum(w.back for w in wraps if self.holds.get(w))
            wraps = self.unknown(wraps)
        base = f"b{buffer} + ({self.affine(index, u)})"
        crossing = []
        for w in wraps:
            first = self.affine(w.index, u)
            base += f" - ({first} < {w.limit} ? 0 : {w.back})"
            if width > 1 and (step := w.index.coef(self.s.v)):
                last = self.affine(w.index + step * (width - 1), u)
                crossing.append((w, step, f"({first} < {w.limit}) == ({last} < {w.limit})"))
        c = index.coef(self.s.v) if self.s.v is not None else 0
        text = _load_text(v.dtype, width, base, c)
        if not crossing:
            self.line(f"const {kind} {out} = {text};")
            return out
        memory = scalar.memory_type(v.dtype)
        at = f"{c} * l"
        for w, step, _ in crossing:
            first = self.affine(w.index, u)
            here = f"({first} + {step} * l < {w.limit} ? 0 : {w.back})"
            at += f" - {here} + ({first} < {w.limit} ? 0 : {w.back})"
        self.line(f"{kind} {out};")
        self.line(f"if ({' && '.join(test for _, _, test in crossing)}) {out} = {text};")
        self.line("else {")
        whole = len(crossing) == 1 and self.load_twice(v, u, width, out, base, crossing[0][0])
        self.line(f"  {memory}{width} t;")
        self.line(f"  for (int l = 0; l < {width}; ++l) (({memory} *)&t)[l] = ({base})[{at}];")
        self.line(f"  {out} = {scalar_text.from_memory(v.dtype, width, 't')};")
        self.line("}}" if whole else "}")
        return out

    def load_twice(self, v: Value, u: int, width: int, out: str, base: str, w: Wrap) -> bool:
        """Write the first case of a strip that crosses the end of an axis, that both the strip and
        what is left of it where it goes on are in the array, and begin the other one; False where
        masks have other lanes than the strip.
        """
        buffer, index, *_ = v.attr
        ahead = w.index.coef(self.s.v) == 1 == index.coef(self.s.v)
        if not ahead or not _as_masks(v.dtype) or self.s.wide or self.far(index):
            return False
        at, e = self.fresh("at"), self.fresh("at")
        self.line(f"  const int {at} = {base.removeprefix(f'b{buffer} + ')};")
        self.line(f"  const int{width} {e} = {self.index_text(w.index, INT, width, u)};")
        here, back = (
            _load_text(v.dtype, width, f"b{buffer} + {place}", 1)
            for place in (at, f"({at} - {w.back})")
        )
        self.line(f"  if ({at} >= {w.back} && {at} <= {self.size_argument(buffer)} - {width})")
        self.line(f"    {out} = {e} < {w.limit} ? {here} : {back};")
        self.line("  else {")
        return True

    def load_lanes(self, v, u, width, out, base, c, in_v, plain, dynamic) -> None:
        """The strip that crosses a guard's edge: as a whole where the array goes on, else lane by
        lane; what is outside stays 0.
        """
        memory = scalar.memory_type(v.dtype)
        tests = [self.scalar_guard(r, u) for r in plain]
        some = list(tests)
        for r in in_v:
            step = r.index.coef(self.s.v) * (width - 1)
            first = f"({self.affine(r.index, u)})"
            least, most = (first, f"{first} + {step}") if step > 0 else (f"{first} + {step}", first)
            some.append(f"{least} < {r.high} && {most} >= {r.low}")
        for r in in_v:
            big = "(long)" if self.far(r.index) else ""
            e = f"({self.affine(r.index, u)}) + {big}{r.index.coef(self.s.v)} * l"
            tests.append(f"({r.low} <= {e} && {e} < {r.high})")
        at = f"({base})[{c} * l" if c else f"({base})[0"
        self.line(f"else if ({' && '.join(some)}) {{")
        if dynamic is not None:
            d = self.get(dynamic, u, width)
            kind = scalar.register_type(self.values[dynamic].dtype, width)
            self.line(f"  const {kind} d = {d};")
            at += f" + (({scalar.register_type(self.values[dynamic].dtype, 1)} *)&d)[l]"
        whole = dynamic is None and self.load_masked(v, u, width, out, base, in_v)
        self.line(f"  {memory}{width} t = 0;")
        inside = " && ".join(tests)
        self.line(f"  for (int l = 0; l < {width}; ++l)")
        self.line(f"    if ({inside}) (({memory} *)&t)[l] = {at}];")
        self.line(f"  {out} = {scalar_text.from_memory(v.dtype, width, 't')};")
        self.line("}}" if whole else "}")

    def load_masked(self, v, u, width, out, base, in_v) -> bool:
        """Write such a strip's first case, that all of its lanes are elements of the array, and
        begin the other one; False where masks have other lanes than the strip.
        """
        buffer, index, *_ = v.attr
        if not _as_masks(v.dtype) or index.coef(self.s.v) != 1 or self.far(index):
            return False
        inside = self.guard_text(tuple(in_v), width, u)
        at = base.removeprefix(f"b{buffer} + ")
        text = _load_text(v.dtype, width, base, 1)
        zero = scalar.constant(0, v.dtype, width)
        self.line(f"  if (0 <= {at} && {at} <= {self.size_argument(buffer)} - {width})")
        self.line(f"    {out} = {inside} ? {text} : {zero};")
        self.line("  else {")
        return True

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
        known = self.unknown(st.guards) if in_v else st.guards
        st = st if known == st.guards else replace(st, guards=known)
        for u in range(copies):
            width = strip if in_v else 1
            x = self.get(st.value, u, width)
            if st.join is not None:
                self.join(st, width, u, x)
                continue
            base = f"b{st.buffer} + ({self.affine(st.index, u)})"
            if st.dynamic is not None:
                base += f" + {self.get(st.dynamic, u, 1)}"
            if c == 1 and width > 1 and not st.guards and self.streams(st, dtype, width):
                memory = scalar_text.to_memory(dtype, width, x)
                self.line(f"stream_{scalar.memory_code(dtype)}x{width}({base}, {memory});")
                continue
            whole = self.s.v is None or not any(r.index.coef(self.s.v) for r in st.guards)
            if width == 1 or (c == 1 and whole):
                text = scalar.store(dtype, width, base, x) + ";"
                guards = [self.scalar_guard(r, u) for r in st.guards]
                tests = " && ".join([*self.store_tests(st), *guards])
                self.line(f"if ({tests}) {text}" if tests else text)
                continue
            self.store_lanes(st, u, width, c, base, x)

    def streams(self, st: Store, dtype: np.dtype, width: int) -> bool:
        """Whether the store goes past the caches: as 16 bytes or more."""
        return st.buffer in self.s.streams and width * dtype.itemsize >= 16

    def store_tests(self, st: Store) -> list[str]:
        """Conditions, besides its guards, under which a store happens here."""
        return []

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


def _load_text(dtype: np.dtype, width: int, base: str, step: int) -> str:
    """Elements `step` apart, from `base` on."""
    if width == 1 or step == 1:
        return scalar.load(dtype, width, base)
    return scalar.load_strided(dtype, width, base, step)
