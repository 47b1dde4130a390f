"""Branches: what a branch gives back stands where it stood. For `singles`, of a Cond.

A result takes over the place of an operand that nobody needs later, if some branch gives that back,
or an update of it. Such a branch does nothing, an update is made in place, and what goes element by
element writes over what it reads (`stay_clear`); what cannot is written elsewhere, and `bring`
exchanges buffers where a loop carries them, or copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowering import graph as g
from lowering.fuse_rules import spreads
from lowering.planning import exchange, inplace
from lowering.planning.places import Place, Region

if TYPE_CHECKING:
    from lowering.emit.scope import Stage
    from lowering.groups import Group
    from lowering.nest import Nest
    from lowering.plan import Pairs
    from lowering.planning.planner import Planner


def keep(p: Planner, region: Region, node: g.Node) -> dict[int, int]:
    """Let results stand where operands do; which ones."""
    operands, gets = node.args[1:], region.gets.get(id(node), {})
    slots = [p.place_of(region, a).slot for a in node.args]
    kept = {}
    for k, j in inplace.given_back(node).items():
        x, get = operands[j], gets.get(k)
        held = region.places[id(x)]
        if get is None or isinstance(x.form, g.Const) or held.stride:
            continue
        if region.last_reads.get(id(x)) != region.position or slots.count(held.slot) > 1:
            continue
        wanted = region.wanted.get(id(get))
        if wanted is not None and inplace.hand_on(p, region, x, wanted, node):
            kept[k] = j
            continue
        owned = id(x) in region.owned
        mine = owned or not isinstance(x.form, g.Input)
        if mine and (wanted in (None, held) or (owned and not wanted.stride)):
            region.places[id(get)] = held
            region.owned |= {id(get)} if owned else set()
            kept[k] = j
    return kept


def stay_clear(region: Region, nests: dict[int, tuple[Nest, Stage]]) -> None:
    """Results that are wanted where an input stands are written there only if the input, and what
    may take over its place, is not needed any more.
    """
    standing = {region.places[id(x)].slot: x for x in region.graph.inputs}
    for k, group in enumerate(region.fusion.groups):
        for o in made_by(region, group):
            place = region.wanted.get(id(o))
            x = None if place is None else standing.get(place.slot)
            if x is None:
                continue
            heirs = _heirs(region, x)
            last = max(region.last_reads.get(n, -1) for n in heirs)
            over = last == k and len(heirs) == 1 and _writes_over(group, nests, x, o)
            if id(o) in heirs or not (last < k or over):
                del region.wanted[id(o)]


def made_by(region: Region, group: Group) -> list[g.Node]:
    """What a group writes."""
    if group.single is None:
        return [r.node for r in group.roots]
    gets = region.gets.get(id(group.single), {})
    return [group.single, *gets.values()]


def _heirs(region: Region, x: g.Node) -> set[int]:
    """The ids of x and of what may take over its place: updates, and what loops and branches make
    of it.
    """
    found = {id(x)}
    for group in region.fusion.groups:
        node = group.single or group.roots[0].node
        several = isinstance(node.form, g.Loop | g.Cond)
        if not several and not isinstance(node.form, inplace.UPDATES):
            continue
        if any(id(a) in found for a in (node.args if several else node.args[:1])):
            found |= {id(n) for n in made_by(region, group)}
    return found


def _writes_over(group: Group, nests: dict[int, tuple[Nest, Stage]], x: g.Node, o: g.Node) -> bool:
    """Whether a group writes o, all of it, element by element over the x that it reads."""
    if group.single is not None or isinstance(o.form, inplace.UPDATES) or spreads(o):
        return False
    if any(r.piece is not None for r in group.roots):
        return False
    nest = nests[id(group)][0]
    return inplace.overwrites(nest, x, o)


def bring(p: Planner, region: Region, nodes: tuple[g.Node, ...], outs: list[Place]) -> Pairs:
    """Copy results of a region that stand elsewhere (inputs handed through, one node wanted twice)
    to their places, in an order in which nothing is lost; the exchanges that come after that, of
    what a loop carries.
    """
    moves = [(region.places.get(id(o)), o, place) for o, place in zip(nodes, outs)]
    large = [m for m in moves if _carried(p, m[2])]
    stands = {at.slot: at.slot for src, _, at in large if src == at}
    taken, copies = set(stands), [m for m in moves if m not in large and m[0] != m[2]]
    for src, o, at in large:
        if at.slot in stands:
            continue
        if src is None or not _free(p, region, src, large, outs) or src.slot in taken:
            size = p.slots[at.slot]
            copies.append((src, o, p.spare(size.shape, size.dtype)))
            src = copies[-1][2]
        stands[at.slot] = src.slot
        taken.add(src.slot)
    _copy_in_turn(p, region, copies)
    return exchange.in_turn(stands)


Move = tuple[Place | None, g.Node, Place]
"""Where a value stands, if it is in memory, the value, and where it is wanted."""


def _carried(p: Planner, place: Place) -> bool:
    """Whether a place may be exchanged: it is a loop's carry, and worth it."""
    whole = place.slot in p.carried and not place.stride
    return whole and p.slots[place.slot].nbytes >= exchange.LEAST


def _free(p: Planner, region: Region, src: Place, large: list[Move], outs: list[Place]) -> bool:
    """Whether what stands at src may be had by exchange: it is written in this region alone, or it
    is a carry that gets other contents.
    """
    if src.stride or src.slot in {at.slot for _, _, at in large}:
        return not src.stride
    others = {region.places[id(x)].slot for x in region.graph.inputs} | {at.slot for at in outs}
    return p.slots[src.slot].kind == "temp" and src.slot not in others


def _copy_in_turn(p: Planner, region: Region, moves: list[Move]) -> None:
    """Copy; what another move still reads is not overwritten, and of a circle one waits in memory
    of its own.
    """
    todo = list(moves)
    while todo:
        free = [m for m in todo if not any(n is not m and _at(n) == m[2].slot for n in todo)]
        src, o, at = move = (free or todo)[0]
        todo.remove(move)
        if not free:
            at = Place(p.slot("temp", o.shape, o.dtype))
            todo.append((at, o, move[2]))
        if src is None:
            p.fill(region, o, at)
        else:
            p.copy(region, src, at, o.size * o.dtype.itemsize)


def _at(move: Move) -> int | None:
    return None if move[0] is None else move[0].slot
