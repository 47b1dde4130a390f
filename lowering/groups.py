"""Groups: the nests to be, and an order in which each comes after those whose results it reads.

`fuse` makes them, from the last node to the first: what a group feeds is known when it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lowering import graph as g
from lowering.build.group import BlockReduce, Root
from lowering.fuse_rules import FOLDS, DimMap, has_effect, stored_reads, trailing
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
    axis = n.form.axis if isinstance(n.form, g.ArgReduce) else min(n.form.axes)
    at = 1 + max((d for d in dims or () if d is not None), default=-1)
    along = at >= len(space) or n.args[0].shape[axis] == space[at]
    return at if along else NOWHERE


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
    feeds: dict[int, Group] = field(default_factory=dict)  # the groups that read what this writes
    columns: dict[int, DimMap] = field(default_factory=dict)  # folds of columns: their operands
    lead: int = 0  # leading axes that are folded in blocks, one an item
    running: int = NOWHERE  # the first axis along which another fold goes

    def add(self, n: g.Node, dims: DimMap | None) -> None:
        """One more node computed here, with its axes at `dims` in the space."""
        self.nodes.add(id(n))
        self.lead = max(self.lead, block_lead(n))
        self.running = min(self.running, runs_along(n, dims, self.space))
        self.folds |= isinstance(n.form, FOLDS)
        if isinstance(n.form, Product):
            self.product = n

    def shares(self, lead: int, running: int) -> bool:
        """Whether items with a block each would share the axis of another fold, if these two came
        to the group.
        """
        return max(self.lead, lead) > min(self.running, running)

    @property
    def members(self) -> list[g.Node]:
        return [self.single] if self.single is not None else [r.node for r in self.roots]

    def leads_to(self, other: Group) -> bool:
        """Whether the other needs what this writes, through any number of groups."""
        seen, todo = {id(self)}, [self]
        while todo:
            x = todo.pop()
            if x is other:
                return True
            todo += [y for k, y in x.feeds.items() if k not in seen]
            seen.update(x.feeds)
        return False


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
            for m in x.members
            for leaf in stored_reads(m, stored)
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
