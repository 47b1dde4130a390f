"""Products with an epilogue: the loops are functions that products share, and go on where they
stopped (`progress`); what is done with the sums of some rows is a function of the stage's own.

The builder and its twin compile these functions side by side, the loops are on disk, and the stage
is a list of calls that is not optimised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lowering.emit.scope import LIST, SHORT, Scope, parameter
from lowering.emit.stage import counted
from lowering.planning import origin
from lowering.profile import Profile
from lowering.rewrite.strided import Axis
from lowering.scalar_text import contraction
from lowering.templates import masks, micro, progress
from lowering.templates.access import digits
from lowering.templates.item import DEPTHS, Item, Read, room

LEAST_FLOPS = 1 << 18  # of a product of two matrices, of which the calls are under 1%
SUMS_BYTES = 1 << 13  # of rows that are done before the epilogue has them
MOST_DEPTHS = 1 << 16  # of a list of offsets of k, which is on a stack
ALL = (0, 0, 0)  # all tiles are needed


class Shared(Item):
    """The emitter of such a stage."""

    head = LIST

    @staticmethod
    def serves(read: Read) -> bool:
        sides = zip(read.stored_as(), (read.form.a, read.form.b), strict=True)
        filled = all(stored == read.node.dtype or x.panel for stored, x in sides)
        if read.flops() < LEAST_FLOPS or not filled or read.form.streamed or read.form.quads:
            return False
        ks = read.form.a.ks
        if len(ks) > 1 and (read.form.k > MOST_DEPTHS or len(ks) > progress.MOST_DIGITS):
            return False
        return None not in (_joined(read), _needed(read), _rows(read))

    def __init__(self, read: Read, profile: Profile):
        super().__init__(read, profile)
        self.needed = _needed(read) or ALL
        self.filled: list[str] = []  # lines that fill lists of offsets
        self.asked_for: dict[int, str] | None = None  # numbers that are arguments of a function

    def write(self, counts: dict[str, int]) -> None:
        form, blocks = self.form, self.blocks
        group = self.group(counts["ST"])
        self.ints += self.arguments(counts, group)
        kept = (blocks.rows if form.k > blocks.depth else group) * form.rows
        self.array(kept * counts["ST"], group)
        call = progress.call(form, self.node.dtype, self.lanes, self.stored_as)
        ask = self.asks()
        functions = [self.function("@end", self.finished)]
        if ask:
            asking = self.function("@ask", self.asked)
            functions.insert(0, f"if (what == {progress.SOON}) {asking} else")
        ro, ko = self.lists()
        a, b = (f"b{k}" for k in self.operands)
        self.line(f"{self.state} s;")
        begin = self.state.replace("progress", "begin")
        self.line(f"{begin}(&s, item, {a}, {b}, acc, {ro}, {ko}, n);")
        self.scope.lines += [f"  {x}" for x in self.filled]
        self.line(f"for (int what; (what = {call}({int(ask)}, &s));)")
        for text in functions:
            self.line(f"  {text}")

    def group(self, strip: int) -> int:
        """Row tiles that are done together: whose panels are, or as many as stay near; one where
        memory is asked for what their epilogue reads.
        """
        form = self.form
        if form.a.panel:
            return min(micro.together(form.rows), self.blocks.rows)
        bytes_each = form.rows * strip * self.node.dtype.itemsize
        return 1 if self.asks() else max(1, min(SUMS_BYTES // bytes_each, self.blocks.rows))

    def asks(self) -> bool:
        """Whether memory is asked for what the epilogue reads, before a row tile's sums."""
        return bool(self.wanted()) and self.needed == ALL

    def arguments(self, counts: dict[str, int], group: int) -> list[int]:
        """The stage's first arguments, in the order of `progress.NUMBERS`."""
        found = counts | {"GR": group * self.form.rows} | self.steps()
        found["x_room"] = group * found["x_step"] if self.form.a.panel else 0
        high, low = [(1, 0, 0), (1, 0, 0), *(_joined(self.read) or ())][-2:]
        found |= {"inner": low[0], "a_outer": high[1], "a_inner": low[1]}
        found |= {"b_outer": high[2], "b_inner": low[2]}
        found |= zip(("needed", "by_row", "by_column"), self.needed)
        return [found[name] for name in progress.NUMBERS]

    @property
    def state(self) -> str:
        """The type of the structure that says how far an item is."""
        return f"progress_{micro.element(self.node.dtype)}_{progress.types(self.stored_as)}"

    # ------------------------------------------------ functions of the stage

    def function(self, name: str, body: Callable[[], None]) -> str:
        """What `body` writes as a function, over the state `s` and the epilogue's buffers; its
        call.
        """
        outer, self.scope = self.scope, Scope(frozenset(), None, 1)
        first, self.asked_for = len(self.ints), dict[int, str]()
        body()
        lines, self.scope = self.scope.lines, outer
        kinds = dict.fromkeys(self.asked_for.values(), "int")
        self.asked_for = None
        used = sorted({k for k, *_ in origin.accesses(self.nest)})
        params = [f"const {self.state} *s", *(parameter(self.nest.buffers[k], k) for k in used)]
        names = ((k, f"n{k}") for k in range(first, len(self.ints)))
        numbers = [f"  const {kinds.get(x, 'long')} {x} = s->n[{k}];" for k, x in names]
        head = f"FX_STAGE void {name}({', '.join(params)}) {{"
        text = counted("\n".join([f"  {contraction()}", *numbers, *lines, "}"]))
        self.helpers.append(f"{head}\n{text}")
        return f"{name}({', '.join(['&s', *(f'b{k}' for k in used)])});"

    def stride(self, c: int) -> str:
        return super().stride(c) if abs(c) <= SHORT else self.number(c)

    def number(self, n: int) -> str:
        """Numbers of a shape are arguments in these functions, too: one text for many layers."""
        if self.asked_for is None or abs(n) >= 1 << 31:
            return super().number(n)
        if n not in self.asked_for:
            self.asked_for[n] = self.int_argument(n)
        return self.asked_for[n]

    def before_rows(self, first: str) -> None:
        axes = self.axes.rows
        if len(axes) > 1:
            for a, text in zip(axes, self.decoded(first, axes), strict=True):
                self.line(f"int i{a} = {text};")

    def begin_row(self) -> None:
        if len(self.axes.rows) == 1:
            super().begin_row()

    def end_row(self) -> None:
        """The next row's indices: they count, as nothing is divided by what is not in the text."""
        axes = self.axes.rows
        if len(axes) > 1:
            text = f"++i{axes[0]};"
            for a in axes[1:]:
                text = f"if (++i{a} == {self.number(self.nest.extents[a])}) {{ i{a} = 0; {text} }}"
            self.line(text)

    def finished(self) -> None:
        """The epilogue of rows whose sums are there."""
        rows, columns = self.form.rows, self.form.columns
        self.line(f"const {self.kind} *sums = s->sums;")
        self.line("const int r0 = s->r0, m1 = s->r1, s0 = s->s0, s1 = s->s1, q1 = s->q1;")
        self.line(f"const int N = {progress.number('N')}, ST = {progress.number('ST')};")
        scope = self.push(frozenset(self.axes.outer))
        self.decode("s->o", self.axes.outer)
        self.epilogue("m1", f"(@ / {rows} * ({rows} * ST) + @ % {rows} * {columns})")
        self.pop(scope, "{")

    def asked(self) -> None:
        """Requests for what the epilogue of these rows will read and write."""
        self.line("const int r0 = s->r0, m1 = s->r1;")
        scope = self.push(frozenset(self.axes.outer))
        self.decode("s->o", self.axes.outer)
        columns = f"for (int t0 = s->s0; t0 < s->s1; t0 += {self.form.columns}) "
        self.ask_for_tile(columns, "m1")
        self.pop(scope, "{")

    def lists(self) -> tuple[str, str]:
        """The lists of where rows and depths of A are, if these have no single stride."""
        form = self.form
        ro = ko = "0"
        if form.a.lane is None:
            ro = "ro"
            self.line(f"int ro[{room(self.blocks.rows * form.rows)}];")
            count = f"(s.m1 - s.m0 + {form.rows - 1}) / {form.rows} * {form.rows}"
            self.places("ro, s.m0", count, "n[0]", _rows(self.read) or ())
        if form.a.k is None:
            ko = "ko"
            self.line(f"int ko[{-(-form.k // DEPTHS) * DEPTHS}];")
            self.places("ko, 0", "n[2]", "n[2]", form.a.ks)
        return ro, ko

    def places(self, to: str, count: str, end: str, made: Sequence[Axis]) -> None:
        """A line that fills a list, whose digits are more arguments."""
        first = len(self.ints)
        self.ints += [x for axis in reversed(made) for x in axis]
        self.filled.append(f"places({to}, {count}, {end}, n + {first}, {len(made)});")


def _joined(read: Read) -> list[tuple[int, int, int]] | None:
    """The outer axes, those that walk as one joined; None if that leaves more than two."""
    found: list[tuple[int, int, int]] = []
    for n, s, t in read.outer():
        if found and found[-1][1:] == (n * s, n * t):
            found[-1] = (found[-1][0] * n, s, t)
        else:
            found.append((n, s, t))
    return found if len(found) <= 2 else None


def _rows(read: Read) -> Sequence[Axis] | None:
    """The digits of a row's number, in the order of the tiles, with what each adds to the offset in
    A; None where they are not that simple.
    """
    nest, index, n = read.nest, read.tile.attr[1], read.node.shape[-1]
    if read.form.a.lane is not None:
        return ()
    order = [(nest.extents[a], index.coef(a) // n) for a in (*read.axes.rows, *read.axes.window)]
    made = digits(order, read.form.a.lanes)
    return None if made is None or len(made) > progress.MOST_DIGITS else made


def _needed(read: Read) -> tuple[int, int, int] | None:
    """The index that is negative for tiles which the epilogue discards, as a number and what a row
    and a column add to it, for a tile's first ones; None if it depends on more.
    """
    index, axes, form = masks.needed(read.nest, read.tile), read.axes, read.form
    if index is None or len(axes.rows) > 1 or len(axes.columns) > 1:
        return ALL
    if not index.axes <= {*axes.rows, *axes.columns}:
        return None
    row, column = (sum(index.coef(a) for a in part) for part in (axes.rows, axes.columns))
    highest = max(0, row * (form.rows - 1)) + max(0, column * (form.columns - 1))
    return index.const + highest, row, column
