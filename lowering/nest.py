"""Nest: one fused kernel. Axes with extents, SSA values that know which axes they depend on, and
stores.

Made by `build` from a group of graph nodes, read by `schedule` and `emit`. Invariants: arguments
precede users; a value's `mask` is the set of axes it varies over; every index is affine in the
axes, or one bounded integer value plus an affine part; nothing says yet in which order or how wide
the axes run. A value is emitted at the loop depth of its mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lowering.affine import Affine, Range
from lowering.graph import Const, Node

FOLDS = frozenset({"reduce", "mad", "argreduce"})


@dataclass(slots=True)
class Value:
    """One scalar value per point of `mask`.

    By op, its args and attr:

    const      (), a Python number
    index      (), Affine: the index as a number
    load       () or (dynamic offset,), (buffer, Affine in elements, guards, wraps); 0 outside the
               guards, and back where a wrap (`turns`) says so
    guard      (), Ranges: whether all of them hold
    map        operands, the scalar operation
    bits       (k0, k1, c0, c1), (); its words are read by get
    get        (a value with several results,), which
    reduce     (x,), (op, axes)
    argreduce  (x,), (op, Affine index, axes)
    cumscan    (x,), (op, axis, reverse)
    mad        (x, y), axes: the sum of products over them
    carry      (), (loop value, k)
    loop       (), LoopBody; its results are read by get
    branch     (), BranchBody; read by get
    alias      (x,), the same value where more axes are open
    """

    op: str
    args: tuple[int, ...]
    dtype: np.dtype
    mask: frozenset[int]
    attr: Any = None

    @property
    def is_fold(self) -> bool:
        return self.op in FOLDS

    @property
    def fold(self) -> str:
        """The operation of a reduce, a mad or an argreduce."""
        return "add" if self.op == "mad" else self.attr[0]

    @property
    def folded(self) -> frozenset[int]:
        """The axes that a reduce, a mad or an argreduce folds."""
        return self.attr if self.op == "mad" else self.attr[-1]


@dataclass(slots=True)
class Store:
    """buffer[index (+ dynamic offset)] = value for every point of the value's and the index's axes.

    `partial` is None, or the fold ("add", ...) that combines all points of one block of the grid
    axis: then the store goes to buffer[block, index].
    `join` is None, or how the value joins what is there: then `dynamic` is the update's number, and
    the nest is `dealt`.
    """

    buffer: int
    index: Affine
    value: int
    dynamic: Any = None  # a value's number
    guards: tuple[Range, ...] = ()
    partial: Any = None  # a fold's name
    join: Any = None  # of a dealt store: set, add, ...


@dataclass(slots=True)
class LoopBody:
    """A time loop inside the kernel: `axis` counts the steps; `carries` are carry values, `nexts`
    their successors.

    `stop` is the while condition on the carries (it goes on while that holds in some lane), or
    None; then there are `length` steps. Stores of stacked outputs are in `stores`. With
    `chunk`, a while loop makes at most so many steps and sets the buffer `flag` if it has not
    ended; one that is `alone`, with no lanes, writes to it in any case.
    """

    axis: int
    length: int
    reverse: bool
    carries: list[int] = field(default_factory=list)
    inits: list[int] = field(default_factory=list)
    nexts: list[int] = field(default_factory=list)
    stop: int | None = None
    stores: list[Store] = field(default_factory=list)
    chunk: int = 0
    flag: int | None = None
    alone: bool = False


@dataclass(slots=True)
class BranchBody:
    """A branch inside the kernel: value `which`, clamped, says whose results are taken; read by
    get.

    `axes` are markers: a value that is computed only in branch j has axes[j] in its mask.
    """

    which: int
    axes: tuple[int, ...]
    results: list[list[int]]
    dtypes: list[np.dtype]


@dataclass(slots=True)
class NestBuffer:
    """A buffer of the nest's signature: the graph node whose memory it is, and whether it is
    written.
    """

    node: Node
    dtype: np.dtype
    size: int
    written: bool = False
    lead: int = 0  # elements before the block dimension of a partial buffer's row, 0 if none

    @classmethod
    def raw(cls, dtype: np.dtype) -> NestBuffer:
        """Memory that a stage may write, and that is no node's."""
        return cls(Node(Const(0), (), (), dtype), dtype, 1, True)


@dataclass(frozen=True, slots=True)
class Dealing:
    """Of a scatter's nest: the buffers that say which updates are whose, and where they land
    (`rewrite.deal`). The output's first `rows` axes are what is dealt, 2**shift rows to each of the
    `owners`, its items; it begins as `background`, or holds what it begins with.
    """

    lists: int
    ends: int
    rows: int
    shift: int
    owners: int
    background: Any


@dataclass
class Nest:
    """See the module's head. `label` is the user's line of its first store."""

    extents: list[int]
    values: list[Value] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    buffers: list[NestBuffer] = field(default_factory=list)
    label: str = ""
    contract_fp: bool = True
    joins: bool = False  # nothing here is computed elsewhere too: sums may take products in
    dealt: Dealing | None = None  # whose updates these are, and where they land
    product: Node | None = None  # a product whose tile this nest is the epilogue of

    def dump(self) -> str:
        """A readable text: axes, buffers, values, stores."""
        names = [f"i{k}" for k in range(len(self.extents))]
        lines = ["axes " + " ".join(f"{n}:{e}" for n, e in zip(names, self.extents))]
        for k, b in enumerate(self.buffers):
            lines.append(f"buffer b{k} {b.dtype.name}[{b.size}]{' out' if b.written else ''}")
        for k, v in enumerate(self.values):
            args = " ".join(f"%{a}" for a in v.args)
            at = ",".join(names[a] for a in sorted(v.mask))
            what = f"{v.op} {_attr(v, names)}{' ' + args if args else ''}"
            lines.append(f"%{k} = {what} : {v.dtype.name} ({at})")
        for s in self.stores:
            partial = f" {s.partial} over block" if s.partial else ""
            dyn = f" + %{s.dynamic}" if s.dynamic is not None else ""
            how = f" {s.join}, dealt" if s.join else ""
            lines.append(f"b{s.buffer}[{text_of(s.index, names)}{dyn}] = %{s.value}{partial}{how}")
        return "\n".join(lines)


def text_of(e: Affine, names: list[str]) -> str:
    """An affine expression as C or as a reader writes it."""
    parts = [names[a] if c == 1 else f"{c}*{names[a]}" for a, c in e.terms]
    if e.const or not parts:
        parts.append(str(e.const))
    return " + ".join(parts)


def _attr(v: Value, names: list[str]) -> str:
    if v.op == "load":
        buffer, index, guards, wraps = v.attr
        tail = "".join(f" if {g.low}<={text_of(g.index, names)}<{g.high}" for g in guards)
        tail += "".join(f" back {w.back} at {text_of(w.index, names)}={w.limit}" for w in wraps)
        return f"b{buffer}[{text_of(index, names)}]{tail}"
    if v.op == "index":
        return text_of(v.attr, names)
    if v.op == "guard":
        return " and ".join(f"{g.low}<={text_of(g.index, names)}<{g.high}" for g in v.attr)
    if v.op == "reduce":
        return f"{v.attr[0]} over {','.join(names[a] for a in sorted(v.attr[1]))}"
    if v.op == "mad":
        return f"over {','.join(names[a] for a in sorted(v.attr))}"
    return str(v.attr) if v.attr is not None else ""
