"""In place: a result takes over the memory of an operand that nobody needs any more.

An update (DynamicUpdate, Scatter) writes into the place of the array that it updates; an output may
take a donated input's. That holds only if no reader comes later, and if what is computed at the
same time reads that array nowhere but where it writes (`reads_elsewhere`): items run in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from math import prod
from typing import TYPE_CHECKING

from lowering import graph as g
from lowering import schedule
from lowering.fuse_rules import flat
from lowering.planning.places import Place, Region, Slot
from lowering.rewrite.deal import Dealt

if TYPE_CHECKING:
    from lowering.emit.scope import Stage
    from lowering.fuse import Fusion
    from lowering.groups import Group
    from lowering.nest import Nest, Store, Value
    from lowering.planning.planner import Planner


UPDATES = (g.DynamicUpdate, g.Scatter, Dealt)


def take_over(p: Planner, region: Region, x: g.Node, node: g.Node, apart: bool) -> None:
    """Give the update `node` a place that holds x's contents: x's own if it may be overwritten,
    else a copy. `apart`: the update must not write where it reads x.
    """
    source = place_for_update(p, region, x, node, apart)
    if source is not None:
        target = p.slots[region.places[id(node)].slot]
        given = p.slots[source.slot].kind == "input" and source.slot not in p.donated
        if given and not source.stride and _may_alias(p, target):
            p.take(target, source.slot)  # the executor copies
            return
    begun = isinstance(x.form, g.Const) and isinstance(node.form, Dealt)
    if source is not None or (isinstance(x.form, g.Const) and not begun):
        p.fill(region, x, region.places[id(node)])


def place_for_update(
    p: Planner, region: Region, x: g.Node, node: g.Node, apart: bool
) -> Place | None:
    """Give `node` a place; x's own if nobody needs it later. If that does not hold x's contents
    yet, returns where they stand (None for a constant).
    """
    place = region.wanted.get(id(node))
    held = None if isinstance(x.form, g.Const) else region.places[id(x)]
    last = region.last_reads.get(id(x)) == region.position and not apart
    if held is not None and last and not held.stride and p.slots[held.slot].kind != "input":
        owned = id(x) in region.owned
        if owned or (place is None and not isinstance(x.form, g.Input)):
            region.places[id(node)] = held
            return None
    if place is None:
        place = Place(p.slot("temp", node.shape, node.dtype))
    region.places[id(node)] = place
    if held == place and last:
        return None
    target = p.slots[place.slot]
    if held is not None and last and held.slot in p.donated and _may_alias(p, target):
        p.take(target, held.slot)  # the executor hands the memory on
        return None
    return held


def read_by(fusion: Fusion, group: Group) -> set[int]:
    """The ids of what stands in memory that a group reads."""
    return {id(a) for a in _reached(fusion, group) if _stands(fusion, a)}


def _stands(fusion: Fusion, n: g.Node) -> bool:
    return isinstance(n.form, g.Input) or id(n) in fusion.stored


def _reached(fusion: Fusion, group: Group) -> list[g.Node]:
    """What a group reads, and what it computes on the way from there to its roots."""
    found: list[g.Node] = []
    todo, seen = group.operands, set()
    while todo:
        a = todo.pop()
        if id(a) in seen:
            continue
        seen.add(id(a))
        found.append(a)
        if not _stands(fusion, a):
            todo.extend(a.args)
    return found


def updates_last(region: Region) -> None:
    """Move updates of what the region owns, and loops that carry it, behind other groups that read
    it: then it is read for the last time, and may be overwritten.
    """
    groups = region.fusion.groups
    if not region.owned or len(groups) < 2:
        return
    reads = {id(group): read_by(region.fusion, group) for group in groups}
    for group in reversed(list(groups)):
        node = group.single or group.roots[0].node
        taken = {id(x) for x in _updated(node)} & region.owned
        if not taken or len(group.members) != 1:
            continue
        made = {id(node), *(id(n) for n in region.gets.get(id(node), {}).values())}
        k = groups.index(group)
        later = [j for j in range(k + 1, len(groups)) if taken & reads[id(groups[j])]]
        needs = [j for j in range(k + 1, len(groups)) if made & reads[id(groups[j])]]
        if later and later[-1] < min(needs, default=len(groups)):
            groups.insert(later[-1], groups.pop(k))


def given_back(node: g.Node) -> dict[int, int]:
    """Result -> operand of a Cond, its index not counted, that most branches give back there."""
    votes: Counter[tuple[int, int]] = Counter()
    for branch in node.form.branches:
        number = {id(x): j for j, x in enumerate(branch.inputs)}
        for k, o in enumerate(branch.outputs):
            while isinstance(o.form, UPDATES):
                o = o.args[0]
            if id(o) in number:
                votes[k, number[id(o)]] += 1
    found: dict[int, int] = {}
    for (k, j), _ in votes.most_common():
        if k not in found and j not in found.values():
            found[k] = j
    return found


def _updated(node: g.Node) -> tuple[g.Node, ...]:
    """What a node may overwrite; nothing, if it must run in its turn."""
    f = node.form
    if isinstance(f, g.DynamicUpdate | g.Scatter):
        return node.args[:1]
    if isinstance(f, g.Loop) and not f.body.effects:
        return node.args[f.n_cond_consts + f.n_consts :][: f.n_carry]
    if isinstance(f, g.Cond) and not any(branch.effects for branch in f.branches):
        return tuple(node.args[1 + j] for j in given_back(node).values())
    return ()


def make_in_place(
    p: Planner, region: Region, nests: dict[int, tuple[Nest, Stage]], given: Collection[Place]
) -> None:
    """What an update overwrites is computed where the update's result is wanted, instead of being
    copied there; not where one of the region's inputs, which stand at `given`, stands.
    """
    computed = {id(r.node) for group in region.fusion.groups for r in group.roots}
    computed |= {id(get) for gets in region.gets.values() for get in gets.values()}
    taken = {place.slot for place in given}
    for k in range(len(region.fusion.groups) - 1, -1, -1):
        group = region.fusion.groups[k]
        node = group.single or group.roots[0].node
        for made, x in _over(region, node):
            place = region.wanted.get(id(made))
            if place is None or place.stride or place.slot in taken:
                continue
            if isinstance(node.form, g.DynamicUpdate | Dealt):
                apart = reads_elsewhere(nests[id(group)][0], x, node)
            else:
                apart = any(flat(a) is x for a in node.args if a is not x)
            mine = id(x) in computed or isinstance(x.form, g.Scatter)
            if mine and not apart and region.last_reads.get(id(x)) == k:
                region.wanted.setdefault(id(x), place)


def _over(region: Region, node: g.Node) -> list[tuple[g.Node, g.Node]]:
    """What a node makes of which operand, where that stands."""
    if isinstance(node.form, UPDATES):
        return [(node, node.args[0])]
    if not isinstance(node.form, g.Cond):
        return []
    gets = region.gets.get(id(node), {})
    pairs = [(gets.get(k), node.args[1 + j]) for k, j in given_back(node).items()]
    return [(get, x) for get, x in pairs if get is not None and sum(a is x for a in node.args) == 1]


def hand_on(p: Planner, region: Region, x: g.Node, place: Place, loop: g.Node) -> bool:
    """Let a loop's carry, an output, begin in the donated input that it starts from."""
    if not isinstance(x.form, g.Input):
        return False
    held, target = region.places[id(x)], p.slots[place.slot]
    last = region.last_reads.get(id(x)) == region.position
    once = sum(a is x for a in loop.args) == 1
    free = held.slot in p.donated and held.slot not in p.taken
    if not (free and last and once and _may_alias(p, target)):
        return False
    p.take(target, held.slot)
    return True


def keep_carries(p: Planner, region: Region, loop: g.Node) -> None:
    """Let what a loop inside another one carries stand where it begins: in the outer carry, if that
    is read nowhere else any more.
    """
    f = loop.form
    init = loop.args[f.n_cond_consts + f.n_consts :][: f.n_carry]
    slots = [p.place_of(region, a).slot for a in loop.args]
    for k, x in enumerate(init):
        get = region.gets.get(id(loop), {}).get(k)
        if get is None or id(x) not in region.owned:
            continue
        held = region.places[id(x)]
        last = region.last_reads.get(id(x)) == region.position
        if last and not held.stride and slots.count(held.slot) == 1:
            region.places[id(get)] = held
            region.owned |= {id(get)}


def share_memory(region: Region, x: g.Node, others: Iterable[g.Node]) -> bool:
    """Whether one of `others` stands where x does."""
    here = region.places.get(id(x))
    return here is not None and any(
        (there := region.places.get(id(n))) is not None and there.slot == here.slot for n in others
    )


def reads_elsewhere(nest: Nest, x: g.Node, node: g.Node) -> bool:
    """Whether the nest reads x at another index than it writes `node` at, or in another item."""
    store = next(s for s in nest.stores if nest.buffers[s.buffer].node is node)
    loads = [v for v in nest.values if v.op == "load" and nest.buffers[v.attr[0]].node is x]
    if not loads:
        return False
    if not _reads_first(nest, loads, store):
        return True
    if prod(nest.extents) == 1:  # one item that reads first and writes last
        return False
    if nest.dealt is not None:
        return True
    offset = () if store.dynamic is None else (store.dynamic,)
    same = all(v.attr[1:] == (store.index, v.attr[2], ()) and v.args == offset for v in loads)
    return not same or _several_read_one(nest, store.index.axes)


def to_keep(
    p: Planner, region: Region, made: dict[int, tuple[Nest, Stage]]
) -> dict[int, tuple[g.Node, str]]:
    """What updates of memory that could be taken over had better find computed already: then a
    small buffer is written, and not the whole array copied.
    """
    found = _elements_read_behind(region)
    nests = {key: nest for key, (nest, _) in made.items()}
    updates = {
        id(group): group.roots[0].node
        for group in region.fusion.groups
        if group.single is None and isinstance(group.roots[0].node.form, g.DynamicUpdate)
    }
    owned = [id(u.args[0]) for u in updates.values() if id(u.args[0]) in region.owned]
    for key, node in updates.items():
        x = node.args[0]
        if isinstance(x.form, g.Input):
            given = region.places[id(x)].slot in p.donated and p.nested == 0
            if not given and id(x) not in region.owned:
                continue  # it is copied in any case
        read = any(b.node is not x and id(b.node) in owned for b in nests[key].buffers)
        if read or reads_elsewhere(nests[key], x, node):
            for n in node.args[1:]:
                if id(n) not in region.fusion.stored and not isinstance(n.form, g.Input | g.Const):
                    found[id(n)] = (n, "what it reads is updated in place")
    return found


def _elements_read_behind(region: Region) -> dict[int, tuple[g.Node, str]]:
    """Elements of what an inner loop takes over that are read with what it makes, so after it."""
    found: dict[int, tuple[g.Node, str]] = {}
    groups = [group for group in region.fusion.groups if group.single is None]
    for loop in [group.single for group in region.fusion.groups if group.single is not None]:
        taken = {id(x) for x in _updated(loop)} & region.owned
        for group in groups if taken else ():
            reached = _reached(region.fusion, group)
            if not any(isinstance(n.form, g.Get) and n.args[0] is loop for n in reached):
                continue
            for n in reached:
                x = n.args[0] if n.args else n
                if id(x) in taken and 4 * n.size <= x.size and not _stands(region.fusion, n):
                    found[id(n)] = n, "what it reads is taken over by a loop"
    return found


def _reads_first(nest: Nest, loads: list[Value], store: Store) -> bool:
    """Whether `loads` are made before `store` is: stores are made in turn, and what is loaded is
    loaded where a store first needs it.
    """
    before = nest.stores[: next(k for k, s in enumerate(nest.stores) if s is store) + 1]
    todo = [v for s in before for v in (s.value, s.dynamic) if v is not None]
    seen: set[int] = set()
    while todo:
        k = todo.pop()
        if k not in seen:
            seen.add(k)
            todo.extend(nest.values[k].args)
    made = {id(nest.values[k]) for k in seen}
    return all(id(v) in made for v in loads)


def _several_read_one(nest: Nest, axes: frozenset[int]) -> bool:
    """Whether an element is read at several points of the nest, or a value needs several."""
    every = frozenset().union(*(v.mask for v in nest.values), *(s.index.axes for s in nest.stores))
    return every != axes or bool(schedule.folded_axes(nest))


def alias_output(p: Planner, region: Region, n: g.Node, nest: Nest) -> None:
    """Let an output take over a donated input that this nest, and nobody later, reads at the same
    index, and no store of the nest after the output's.
    """
    if p.taken >= p.donated:
        return
    target = p.slots[region.places[id(n)].slot]
    if not _may_alias(p, target):
        return
    for m in (buffer.node for buffer in nest.buffers):
        if not isinstance(m.form, g.Input) or id(m) not in region.places:
            continue
        slot = region.places[id(m)].slot
        if slot in p.taken or slot not in p.donated:
            continue
        if region.last_reads.get(id(m)) == region.position and overwrites(nest, m, n):
            p.take(target, slot)
            return


def overwrites(nest: Nest, m: g.Node, n: g.Node) -> bool:
    """Whether n, which the nest stores, may be written over m: it reads an element of m only for
    the element of n that takes its place, and before that is stored.
    """
    store = next((s for s in nest.stores if nest.buffers[s.buffer].node is n), None)
    if store is None or _several_read_one(nest, store.index.axes):
        return False
    if nest.product is not None and m in nest.product.args:
        return False
    same = m.dtype.itemsize == n.dtype.itemsize and m.size == n.size
    loads = [v for v in nest.values if v.op == "load" and nest.buffers[v.attr[0]].node is m]
    here = all(v.attr[1] == store.index and not (v.args or v.attr[3]) for v in loads)
    return same and here and _reads_first(nest, loads, store)


def _may_alias(p: Planner, target: Slot) -> bool:
    """Nothing is handed on inside loops and branches: another iteration may need it."""
    return target.kind == "output" and target.alias is None and p.nested == 0
