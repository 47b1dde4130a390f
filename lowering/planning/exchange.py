"""Exchange: buffers change places, where a copy would bring what stands elsewhere.

A loop's carry is known by the number of its buffer, whatever memory that has at the moment. In:
the buffer in which the contents wanted under a number stand. Out: pairs that exchange their memory,
one after the other. A kernel then exchanges pointers, the host the entries of a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lowering.plan import CondStep, LoopStep, Pairs, Step

if TYPE_CHECKING:
    from lowering import graph as g
    from lowering.planning.places import Place, Region, Slot
    from lowering.planning.planner import Planner

LEAST = 1024
"""Bytes of a carry that is not copied to where another one stands; smaller ones are variables."""


def in_turn(stands: Mapping[int, int]) -> Pairs:
    """Exchanges after which each slot has what stood in `stands[slot]`, no two in one."""
    left, pairs = dict(stands), []
    for slot in stands:
        at = left.pop(slot)
        if at == slot:
            continue
        pairs.append((slot, at))
        left.update({k: at for k, where in left.items() if where == slot})
    return tuple(pairs)


def exchanged(steps: Iterable[Step], lasting: bool = False) -> list[tuple[int, int]]:
    """Every pair that steps exchange, those inside them too; `lasting`: but for loops after which
    all is as it was. Where something inside exchanges, too, whole periods of turns do not say so.
    """
    found: list[tuple[int, int]] = []
    for s in steps:
        if isinstance(s, LoopStep):
            inside = exchanged((*s.cond, *s.body), lasting)
            found += inside
            if not lasting or inside or s.count is None or s.count % s.period:
                found += s.swaps
        elif isinstance(s, CondStep):
            found += s.pairs
            found += exchanged((x for branch in s.branches for x in branch), lasting)
    return found


def of_one_kind(slots: Sequence[Slot], steps: Iterable[Step]) -> None:
    """Temporaries that may come to be an output have memory of their own, not the arena's."""
    pairs = exchanged(steps)
    for _ in pairs:
        for a, b in pairs:
            kinds = slots[a], slots[b]
            if any(s.kind == "output" or s.own for s in kinds):
                for s in kinds:
                    s.own = s.own or s.kind == "temp"


def groups(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The slots that the pairs connect, each group in the order in which they come."""
    found: list[list[int]] = []
    for pair in pairs:
        mine = [group for group in found if not set(pair).isdisjoint(group)]
        joined = [k for group in mine for k in group]
        found = [group for group in found if group not in mine]
        found.append([*joined, *(k for k in dict.fromkeys(pair) if k not in joined)])
    return found


def of_loop(s: LoopStep) -> list[tuple[int, int]]:
    """The pairs that a loop's own turns exchange."""
    return [*s.swaps, *of_branches((*s.cond, *s.body))]


def of_branches(steps: Iterable[Step]) -> list[tuple[int, int]]:
    """The pairs that branches exchange; loops inside of them put back what they exchange."""
    found: list[tuple[int, int]] = []
    for s in steps:
        if isinstance(s, CondStep):
            found += s.pairs
            found += of_branches(x for branch in s.branches for x in branch)
    return found


def stands(
    p: Planner,
    region: Region,
    nodes: Sequence[g.Node],
    carries: Sequence[Place],
    spares: Sequence[Place | None],
) -> dict[int, int]:
    """Where the next contents of a loop's carries stand when its body is done: where they are, in
    the spare one, where another carry stands, or, of what is small or wanted twice, in a copy.
    """
    large = {c.slot for c in carries if p.slots[c.slot].nbytes >= LEAST}
    found = {}
    for o, carry in zip(nodes, carries):
        if region.places.get(id(o)) == carry:
            found[carry.slot] = carry.slot  # unchanged, or updated in place
    taken = set(found.values())
    for o, carry, spare in zip(nodes, carries, spares):
        at = region.places.get(id(o))
        if carry.slot in found or spare is None:
            continue
        if at is None or at.stride or at.slot not in large | {spare.slot} or at.slot in taken:
            p.fill(region, o, spare)
            at = spare
        found[carry.slot] = at.slot
        taken.add(at.slot)
    return found
