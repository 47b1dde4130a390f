"""Groups: the nests to be, and an order in which each comes after those whose results it reads.

`fuse` makes them, from the last node to the first: what a group feeds is known when it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lowering import graph as g
from lowering.build.group import BlockReduce, Root
from lowering.fuse_rules import (
    FOLDS,
    DimMap,
    has_effect,
    stored_reads,
    strip_of,
    strips_differ,
    trailing,
)
from lowering.rewrite.product import Product

NOWHERE = 1 << 30


def block_lead(n: g.Node) -> int:
    """How many leading axes of its space n folds in blocks."""
    return n.form.lead if isinstance(n.form, BlockReduce) else 0


def runs_along(n: g.Node, dims: DimMap | None, space: tuple[int, ...]) -> int:
    """The first axis of the space along which n is a fold, running or not, that one item goes along
    from end to end.
    """
    if isinstance(n.form, g.CumScan):
        at = None if dims is None else dims[n.form.axis]
        return 0 if at is None else at
    if not isinstance(n.form, g.Reduce | g.ArgReduce) or not trailing(n):
        return NOWHERE
    axis = min(g.fold_axes(n))
    at = 1 + max((d for d in dims or () if d is not None), default=-1)
    along = at >= len(space) or n.args[0].shape[axis] == space[at]
    return at if along else NOWHERE


def column_axis(n: g.Node, at: DimMap) -> int:
    """The first axis of the space along which n folds columns of an operand that lies `at`."""
    return min((d for k in g.fold_axes(n) if (d := at[k]) is not None), default=NOWHERE)


@dataclass(eq=False)
class Group:
    """One nest to be: roots over `space`, or a single node that is no nest."""

    space: tuple[int, ...]
    roots: list[Root] = field(default_factory=list)
    single: g.Node | None = None
    nodes: set[int] = field(default_factory=set)
    blocks: int | None = None
    closed: bool = False  # no other root may join
    after: Group | None = None  # a group that must come before this one
    product: g.Node | None = None  # whose tiles this group is the epilogue of
    folds: bool = False
    mark: int = 0  # a bit of its own; those of the groups that it absorbed, too
    below: int = 0  # the bits of the groups that need what this writes, at any distance
    fed_by: list[Group] = field(default_factory=list)  # the groups that write what this reads
    into: Group | None = None  # the group that absorbed this one
    columns: dict[int, DimMap] = field(default_factory=dict)  # folds of columns: their operands
    lead: int = 0  # leading axes that are folded in blocks, one an item
    running: int = NOWHERE  # the first axis along which another fold goes
    strips: set[tuple[int, int]] = field(default_factory=set)  # what folds go along (strip_of)

    def add(self, n: g.Node, dims: DimMap | None) -> None:
        """One more node computed here, with its axes at `dims` in the space."""
        self.nodes.add(id(n))
        self.lead = max(self.lead, block_lead(n))
        self.running = min(self.running, runs_along(n, dims, self.space))
        if (at := self.columns.get(id(n))) is not None:
            self.running = min(self.running, column_axis(n, at))
        self.folds |= isinstance(n.form, FOLDS)
        if (strip := strip_of(n)) is not None:
            self.strips.add(strip)
        if isinstance(n.form, Product):
            self.product = n

    def shares(self, lead: int, running: int) -> bool:
        """Whether items with a block each would share the axis of another fold, if these two came
        to the group.
        """
        return max(self.lead, lead) > min(self.running, running)

    def strays(self, strips: Iterable[tuple[int, int] | None]) -> bool:
        """Whether one of these folds goes along other rows than a fold of this group."""
        return any(x is not None and strips_differ(x, y) for x in strips for y in self.strips)

    @property
    def members(self) -> list[g.Node]:
        return [self.single] if self.single is not None else [r.node for r in self.roots]

    @property
    def operands(self) -> list[g.Node]:
        """What its members are made of; of a concatenation that it writes a piece of, the piece."""
        if self.single is not None:
            return list(self.single.args)
        pieces = ((r.piece.x,) if r.piece is not None else r.node.args for r in self.roots)
        return [a for args in pieces for a in args]

    def feed(self, readers: Iterable[Group]) -> None:
        """Note that these read what this writes: whatever comes before it comes before them, too.

        Steps are taken only where a bit is new, so a chain of n groups costs n of them.
        """
        new = 0
        for x in readers:
            if x is not self:
                new |= x.mark | x.below
                if not x.fed_by or x.fed_by[-1] is not self:
                    x.fed_by.append(self)
        self.reach(new)

    def reach(self, bits: int) -> None:
        """Note that this leads to groups of these bits, and all that leads to this, too."""
        todo = [(self, bits)]
        while todo:
            x, bits = todo.pop()
            bits &= ~x.below
            if bits:
                x.below |= bits
                todo += [(y.found(), bits) for y in x.fed_by]

    def found(self) -> Group:
        """This group, or the one that it has become part of."""
        x = self
        while x.into is not None:
            x = x.into
        return x

    def absorb(self, b: Group) -> None:
        """Take over everything that b computes; neither may lead to the other."""
        self.roots += b.roots
        self.nodes |= b.nodes
        self.folds |= b.folds
        self.columns |= b.columns
        self.strips |= b.strips
        self.blocks = self.blocks if self.blocks is not None else b.blocks
        self.lead, self.running = max(self.lead, b.lead), min(self.running, b.running)
        b.into = self
        self.mark |= b.mark
        self.fed_by += b.fed_by
        self.below |= b.below
        for x in self.fed_by:
            x.found().reach(self.mark | self.below)


@dataclass
class Fusion:
    """Groups in order, the nodes that stand in memory, and why edges were not fused."""

    groups: list[Group]
    stored: set[int]
    reasons: list[tuple[str, str]]


def ordered(
    groups: Sequence[Group],
    nodes: Sequence[g.Node],
    group_of: dict[int, Group],
    stored: set[int],
) -> list[Group]:
    """Groups so that each comes after those that write what it reads; effects keep their order."""
    place = {id(n): k for k, n in enumerate(nodes)}
    needs = _needs(groups, place, group_of, stored)
    by_id = {id(x): x for x in groups}
    first = {id(x): min(place[id(m)] for m in x.members) for x in groups}
    done: set[int] = set()
    out: list[Group] = []

    def visit(start: int) -> None:
        stack = [(start, False)]
        active: set[int] = set()
        while stack:
            k, ready = stack.pop()
            if ready:
                active.discard(k)
                if k not in done:
                    done.add(k)
                    out.append(by_id[k])
                continue
            if k in done:
                continue
            assert k not in active, "a cycle between kernels"
            active.add(k)
            stack.append((k, True))
            for other in sorted(needs[k] - done, key=lambda x: -first[x]):
                stack.append((other, False))

    for k in sorted(by_id, key=lambda k: first[k]):
        visit(k)
    return out


def _needs(
    groups: Sequence[Group],
    place: dict[int, int],
    group_of: dict[int, Group],
    stored: set[int],
) -> dict[int, set[int]]:
    """For each group, by id, those that must come before it."""
    needs: dict[int, set[int]] = {}
    for x in groups:
        needs[id(x)] = {
            id(group_of[id(leaf)])
            for leaf in stored_reads(x.operands, stored)
            if id(leaf) in group_of
        } - {id(x)}
        if x.after is not None:
            needs[id(x)].add(id(x.after))
            needs[id(x)] -= {id(group_of[id(x.roots[0].node)])} - {id(x.after)}
    effects = [x for x in groups if x.single is not None and has_effect(x.single)]
    effects.sort(key=lambda x: place[id(x.single)])
    for a, b in pairwise(effects):
        needs[id(b)].add(id(a))
    return needs
