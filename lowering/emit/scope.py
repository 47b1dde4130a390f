"""Scopes: the state that writing a stage keeps, one scope a loop body, and the words to extend it.

A scope holds its lines and the names of what it has computed. Invariant: a name in an outer scope
is valid in every inner one; a value is written in the outermost scope whose open axes cover its
mask.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lowering import scalar
from lowering.affine import Affine, bounds
from lowering.nest import Nest, NestBuffer, Value
from lowering.schedule import Schedule


def parameter(buffer: NestBuffer, j: int) -> str:
    """Buffer j as a parameter of a function."""
    const = "" if buffer.written else "const "
    return f"__global {const}{scalar.memory_type(buffer.dtype)} *b{j}"


LIST = "FX_LIST"
"""The head of a stage that is a list of calls."""


def number(k: int, listed: bool) -> str:
    """Integer argument k in a stage's text; `listed`: they come as one pointer."""
    return f"n[{k}]" if listed else f"n{k}"


@dataclass(slots=True)
class Stage:
    """One stage: the body of `stage(item, buffers..., ints...)`, its signature and its launch
    size.
    """

    text: str
    buffers: list[NestBuffer]
    ints: list[int]
    items: int
    local: int
    label: str = ""
    windows: tuple[tuple[int, int], ...] = ()  # buffer, loop level: an `IterArg` says how far
    helpers: tuple[str, ...] = ()  # functions it calls; `@` in them and in the text is its name
    inner: tuple[NestBuffer, ...] = ()  # the buffers of its helpers
    cost: float = 1e9  # flops of one launch, roughly
    lanes: int = 1  # of its strips
    abreast: bool = False  # whether its rows are folded side by side
    alone: bool = False  # it has local memory, which only a kernel's own body can declare
    head: str = "FX_STAGE"  # how its function is compiled: a macro of `program.source`
    table: bool = False  # its buffers come as a table of where the arguments are

    def signature(self, name: str) -> str:
        """The head of the C function that holds the stage."""
        buffers = [parameter(b, j) for j, b in enumerate(self.buffers)]
        params = ["const long item", *(["uchar **b"] if self.table else buffers)]
        numbers = [f"const long n{j}" for j in range(len(self.ints))]
        params += ["const long *n"] if self.listed else numbers
        return f"{self.head} void {name}({', '.join(params)})"

    @property
    def listed(self) -> bool:
        """Whether its numbers are a list: 50 arguments that a list of calls hands on one by one
        take LLVM 3 ms, twice.
        """
        return bool(self.ints) and self.head == LIST

    def number(self, k: int) -> str:
        """Integer argument k in the stage's text."""
        return number(k, self.listed)

    def numbers(self, given: list[str]) -> list[str]:
        """What a call hands on for these integer arguments."""
        return [f"(__private const long[]){{{', '.join(given)}}}"] if self.listed else given


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

FEW_TURNS = "#pragma clang loop vectorize(disable) unroll(disable)"
"""Before the loop over what strips leave: fewer turns than they have lanes."""
OWN_PART = "const long lo = n1 * item, hi = min(n0, lo + n1);"
"""What an item of a stage does of n0 things, n1 each: numbers that are no part of the text."""

SHORT = 16
"""Steps of a loop up to which their number is part of the text; longer loops share one text, and so
one build, over all sizes of a batch."""


class Emission:
    """The open scopes of one stage."""

    def __init__(self, nest: Nest, s: Schedule):
        self.nest, self.s = nest, s
        self.ix = "long" if s.wide else "int"  # the type of an axis's number
        self.values = nest.values
        self.scope = Scope(frozenset(), None, 1)
        self.width = 0  # of the open strip of v; 0 while v is closed
        self.unroll = 1
        self.beside: int | None = None  # the axis of rows abreast, while they fold
        self.repeated = 0  # lanes of the open strip that the one before had
        self.distance = ""  # from one of a strip's registers to the next, if not side by side
        self.holds: dict[Any, bool] = {}  # what is known of each lane of the strip
        self.folds: dict[int, Fold] = {}
        self.running: dict[int, list[str]] = {}  # cumscan value -> state variables
        self.backwards: frozenset[int] = frozenset()  # axes whose open loops count down
        self.rows: dict[int, Any] = {}  # kept value -> its row
        self.kept_bytes = 0
        self.count = 0
        self.ints: list[int] = []  # integer arguments of the stage
        self.numbers: dict[int, str] = {}  # constant value -> the argument that is its number
        self.extents: dict[int, str] = {}  # axis -> the argument that says how long it is
        self.long_rows = False  # v's extent, and strides of it, are that argument
        self.sizes: dict[int, str] = {}  # buffer -> the argument that says how large it is
        self.partials: dict[int, Fold] = {}
        self.joins = nest.joins and nest.contract_fp
        self.uses = uses_of(nest) if self.joins else Counter()

    def line(self, text: str, scope: Scope | None = None) -> None:
        scope = scope or self.scope
        scope.lines.append("  " * scope.depth + text)

    def int_argument(self, value: int) -> str:
        """A number that is no part of the text, so that other extents share it."""
        self.ints.append(value)
        return f"n{len(self.ints) - 1}"

    def extent(self, axis: int, n: int) -> str:
        """How far a loop over an axis goes: an argument, but a number where that lets the compiler
        unroll it.
        """
        if n <= SHORT:
            return str(n)
        if axis not in self.extents:
            self.extents[axis] = f"e{axis}"
            self.outermost(f"const {self.ix} e{axis} = {self.int_argument(n)};")
        return self.extents[axis]

    def stride(self, c: int) -> str:
        """A number of elements: of a long row its argument, as all lengths of it share the text."""
        v = self.s.v
        return self.extent(v, c) if self.long_rows and c == self.nest.extents[v] else str(c)

    def size_argument(self, buffer: int) -> str:
        """How many elements a buffer has."""
        if buffer not in self.sizes:
            self.sizes[buffer] = f"z{buffer}"
            n = self.int_argument(self.nest.buffers[buffer].size)
            self.outermost(f"const {self.ix} z{buffer} = {n};")
        return self.sizes[buffer]

    def outermost(self, text: str) -> None:
        """A line before the loops that are being written."""
        scope = self.scope
        while scope.parent is not None:
            scope = scope.parent
        self.line(text, scope)

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def affine(self, e: Affine, u: int = 0) -> str:
        """C text of an index; in a vector scope v stands for its strip's first lane."""
        parts = []
        const = e.const
        far = self.far(e)
        for a, c in e.terms:
            name = f"i{a}"
            big = "(long)" if far or self.nest.extents[a] * abs(c) >= 2**31 else ""
            parts.append(big + name if c == 1 else f"{big}{self.stride(c)} * {name}")
            if a == self.beside:
                const += c * u
            elif self.beside is None and a == self.s.v and self.width > 1 and u:
                if self.distance:
                    times = f"{c * u} * " if c * u > 1 else ""
                    parts.append(f"{big}{times}{self.distance}")
                else:
                    const += c * u * self.width
        if const or not parts:
            parts.append(str(const))
        return " + ".join(parts)

    def far(self, e: Affine) -> bool:
        """Whether an index may be beyond what an int holds (a stride or a dilation was huge)."""
        low, high = bounds(e, self.nest.extents)
        return low < -(2**31) or high >= 2**31

    def push(self, axes: frozenset[int], width: int = 0) -> Scope:
        outer = self.scope
        self.scope = Scope(outer.open | axes, outer, outer.depth + 1, width=width)
        return outer

    def pop(self, outer: Scope, head: str) -> None:
        inner, self.scope = self.scope, outer
        for line in head.split("\n"):
            self.line(line)
        outer.lines.extend(inner.lines)
        self.line("}")

    def copied(self, v: Value) -> bool:
        """Whether a value is one for each register of a strip, or for each of the rows abreast."""
        return (self.s.v if self.beside is None else self.beside) in v.mask

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


def uses_of(nest: Nest) -> Counter[int]:
    """How often each value is read."""
    uses: Counter[int] = Counter(s.value for s in nest.stores)
    for v in nest.values:
        uses.update(v.args)
        if v.op == "loop":
            uses.update((*v.attr.inits, *v.attr.nexts, *(s.value for s in v.attr.stores)))
            uses.update([v.attr.stop] if v.attr.stop is not None else [])
        elif v.op == "branch":
            uses.update([v.attr.which, *(r for rs in v.attr.results for r in rs)])
    return uses
