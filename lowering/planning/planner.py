"""Planner: groups to steps. Owns a plan's buffer table, its stages and the order of its steps.

In: a canonical graph. Out: a Plan. Every stored node has one place; equal stage texts are one
stage; all stages of a plan are cases of few kernels, because a build costs far more than a stage.
What is no nest is planned by `singles`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from lowering import graph as g
from lowering import schedule, tiles
from lowering.affine import Cut
from lowering.build.group import Root, build_nest
from lowering.emit.stage import Stage
from lowering.fuse import fuse
from lowering.fuse_rules import FOLDS, flat, root_dims, spreads
from lowering.groups import Fusion, Group
from lowering.launches import copies, effort, merge
from lowering.launches.chain import chains
from lowering.launches.condense import condense
from lowering.nest import Nest
from lowering.plan import (
    ArrayRef,
    Buffer,
    BufferRef,
    CopyStep,
    IntArg,
    IterArg,
    Launch,
    Plan,
    Step,
)
from lowering.planning import (
    arguments,
    branches,
    exchange,
    inplace,
    live,
    memory,
    origin,
    program,
    singles,
)
from lowering.planning.equal import Texts
from lowering.planning.lend import lend, renamed
from lowering.planning.places import Place, Region, Slot
from lowering.profile import Profile
from lowering.rewrite.below import below
from lowering.rewrite.deal import Dealt
from lowering.rewrite.product import Tile
from lowering.templates import product

# A nest with these computes values once a phase: contracted differently, x - max(x) could be
# positive.
REPEATS = ("reduce", "argreduce", "cumscan")
FOLLOWED = (g.Map, g.Reshape, g.Transpose, g.Broadcast, g.Slice, g.Reverse)
WRITTEN = (g.Concat, g.Scatter, g.Get)  # stand in memory whoever reads them


def _written(o: g.Node, shapes: dict[int, g.Shape]) -> g.Node:
    """The node whose elements the result o is, in their order, if that is in memory anyway: it is
    written where the result stands, in whose shape `shapes` then has it.
    """
    x = flat(o)
    if x is o or id(x) in shapes or not isinstance(x.form, WRITTEN) or x.outs is not None:
        return o
    shapes[id(x)] = o.shape
    return x


class Planner:
    """Builds one Plan."""

    def __init__(self, profile: Profile, options: dict[str, Any] | None = None):
        self.profile = profile
        self.options = options or {}
        self.texts = Texts(profile)
        self.slots: list[Slot] = []
        self.stages: list[Stage] = []
        self.stage_index: dict[Any, int] = {}
        self.reasons: list[tuple[str, str]] = []
        self.nests: list[tuple[str, Nest]] = []
        self.extra_programs: list[Any] = []
        self.donated: set[int] = set()
        self.taken: set[int] = set()  # inputs whose memory an output takes over
        self.chunk_flags: set[int] = set()  # of while loops whose launches are bounded already
        self.depth = 0  # open loops
        self.nested = 0  # open loops and branches
        self.carried: frozenset[int] = frozenset()  # by the innermost open loop

    # ------------------------------------------------ the whole

    def plan(self, graph: g.Graph, donated: tuple[bool, ...], name: str) -> Plan:
        inputs = [self.slot("input", n.shape, n.dtype) for n in graph.inputs]
        self.donated = {k for k, d in zip(inputs, donated) if d}
        places = {id(n): Place(k) for n, k in zip(graph.inputs, inputs)}
        shapes = {id(o): o.shape for o in graph.outputs}
        made = [_written(o, shapes) for o in graph.outputs]
        wanted = {
            id(o): Place(self.slot("output", shapes[id(o)], o.dtype))
            for o in dict.fromkeys(made)
            if not isinstance(o.form, g.Input)
        }
        region = self.region(g.Graph(graph.inputs, tuple(made), graph.effects), places, wanted)
        outputs = []
        for o in made:
            place = wanted.get(id(o), places.get(id(o)))
            assert place is not None
            if region.places.get(id(o)) != place:
                self.fill(region, o, place)
                region.places[id(o)] = place
            outputs.append(place.slot)
        return self.assemble(inputs, outputs, region.steps, name)

    def assemble(self, inputs: list[int], outputs: list[int], steps: list[Step], name: str) -> Plan:
        exchange.of_one_kind(self.slots, steps)
        if self.options.get("condense", True):
            steps = condense(self, steps)
        if self.options.get("merge", True):
            steps = merge.merge(self, copies.as_launches(self, steps))
        home = lend(self, steps) if self.options.get("lend", True) else {}
        spans = live.spans(self, renamed(steps, home))
        if self.options.get("chain", True) and not effort.small(self.stages, steps, self.profile):
            steps = chains(self, steps)
        steps = renamed(steps, home)  # not before: who lends to whom is no part of the text
        steps, stages = merge.prune(self, steps)
        offsets, arena = memory.place(spans, self.profile.align)
        used = set().union(*map(live.touched, steps))
        buffers = tuple(self.buffer(k, offsets, k in used) for k in range(len(self.slots)))
        programs, placed = program.assemble(stages, steps, self.extra_programs, self.profile)
        meta = {
            "name": name,
            "reasons": list(self.reasons),
            "kernels": [st.label for st in stages],
            "nests": list(self.nests),
            "bound": memory.lower_bound(spans),
        }
        small = effort.small(stages, steps, self.profile)
        return Plan(tuple(inputs), tuple(outputs), buffers, arena, programs, placed, meta, small)

    # ------------------------------------------------ buffers

    def buffer(self, k: int, offsets: dict[int, int], used: bool) -> Buffer:
        """The plan's entry for a slot; temporaries that nothing touches any more take no room."""
        s = self.slots[k]
        nbytes, offset = (s.nbytes, offsets.get(k)) if used or s.kind != "temp" else (0, 0)
        kind: Any = s.kind
        return Buffer(k, kind, nbytes, s.shape, s.dtype, s.alias, offset, s.data)

    def slot(self, kind: str, shape: tuple[int, ...], dtype: np.dtype, own: bool = False) -> int:
        self.slots.append(Slot(kind, tuple(shape), np.dtype(dtype), None, own))
        return len(self.slots) - 1

    def spare(self, shape: tuple[int, ...], dtype: np.dtype, own: bool = False) -> Place:
        """Memory for the next contents of a buffer, which it then exchanges its own with: no longer
        spare if an inner loop carries what stands there.
        """
        slot = self.slot("temp", shape, dtype, own)
        self.slots[slot].spare = True
        return Place(slot)

    def place_of(self, region: Region, node: g.Node) -> Place:
        """Where a stored node stands; constants get a buffer when first asked for."""
        found = region.places.get(id(node))
        if found is None:
            if not isinstance(node.form, g.Const):
                raise AssertionError(f"{node!r} is read before it is computed")
            found = region.places[id(node)] = Place(self.slot("temp", node.shape, node.dtype))
            self.fill(region, node, found)
        return found

    # ------------------------------------------------ regions

    def region(
        self,
        graph: g.Graph,
        places: dict[int, Place],
        wanted: dict[int, Place],
        owned: frozenset[int] = frozenset(),
    ) -> Region:
        """Plan a graph whose inputs stand at `places`; `wanted` says where some nodes must be
        written.
        """
        region = Region(graph, self.fused(graph), dict(places))
        region.depth, region.wanted, region.owned = self.depth, wanted, owned
        nests = self.all_nests(region)
        self.reasons += region.fusion.reasons
        for n in graph.nodes():
            if isinstance(n.form, g.Get):
                region.gets.setdefault(id(n.args[0]), {})[n.form.index] = n
        inplace.updates_last(region)
        region.last_reads = _last_reads(region.fusion, graph)
        inplace.make_in_place(self, region, nests, places.values())
        branches.stay_clear(region, nests)
        for k, group in enumerate(region.fusion.groups):
            region.position = k
            self.make_places(region, group, nests.get(id(group)))
            if group.single is not None:
                singles.plan(self, region, group.single)
                continue
            node = group.roots[0].node
            if isinstance(node.form, g.DynamicUpdate | Dealt):
                x, nest = node.args[0], nests[id(group)][0]
                apart = inplace.reads_elsewhere(nest, x, node)
                inplace.take_over(self, region, x, node, apart)
            elif spreads(node):
                background = g.Node(g.Broadcast(()), (node.args[1],), node.shape, node.dtype)
                self.write(region, background, region.places[id(node)])
            self.launch(region, nests[id(group)], group.roots[0].piece is not None)
        return region

    def all_nests(self, region: Region) -> dict[int, tuple[Nest, Stage]]:
        """Nest and stage of every group; where one fails, nodes are kept in memory and all is tried
        again.
        """
        keep: dict[int, tuple[g.Node, str]] = {}
        while True:
            found = {}
            joins = self.options.get("joins", True) and not _repeats(region)
            stored = region.fusion.stored
            more: dict[int, tuple[g.Node, str]] = {}
            for group in region.fusion.groups:
                if group.single is not None:
                    continue
                try:
                    found[id(group)] = self.nest(group.roots, group.space, stored, joins, True)
                except Cut as cut:
                    more |= self.cuts(cut, group, region.fusion, keep)
            if not more:
                more = inplace.to_keep(self, region, found)
                if not more.keys() - keep.keys():
                    return found
            keep |= more
            region.fusion = self.fused(region.graph, keep.values())

    def fused(self, graph: g.Graph, keep: Iterable[tuple[g.Node, str]] = ()) -> Fusion:
        """The groups of a graph, as the caller's options and the device want them."""
        enabled, columns = self.options.get("fuse", True), self.profile.schedule == "cpu"
        return fuse(graph, enabled=enabled, keep=keep, columns=columns)

    def cuts(
        self, cut: Cut, group: Group, fusion: Fusion, kept: dict[int, Any]
    ) -> dict[int, tuple[g.Node, str]]:
        """What to keep in memory after a group failed, and what the nests of these nodes will then
        ask for: a chain with many such places need not be fused anew for each of them.
        """
        more = _to_keep(cut, group, fusion, kept)
        if not more:
            raise AssertionError(f"no kernel for {cut.node!r}: {cut.reason}") from cut
        found = {id(n): (n, cut.reason) for n in more}
        todo = [n for n in more if id(n) not in fusion.stored]
        while todo:
            n = todo.pop()
            if not isinstance(n.form, FOLLOWED):
                continue
            try:
                self.built([Root(n, root_dims(n))], n.shape, fusion.stored | found.keys())
            except Cut as below:
                x = below.node
                if isinstance(x, g.Node) and id(x) not in fusion.stored | found.keys():
                    found[id(x)] = x, below.reason
                    todo += [n, x]
        return found

    def built(self, roots: list[Root], space: tuple[int, ...], stored: Collection[int]) -> Nest:
        """The nest of these roots, made of what is not stored."""
        own = {id(r.node) for r in roots}

        def inside(n: g.Node) -> bool:
            return not isinstance(n.form, g.Input) and (id(n) in own or id(n) not in stored)

        return build_nest(roots, space, inside)

    def nest(
        self,
        roots: list[Root],
        space: tuple[int, ...],
        stored: set[int],
        joins: bool = False,
        parts: bool = False,
    ) -> tuple[Nest, Stage]:
        """The nest and the stage of a group; `parts`: the caller can part it in several."""
        built = self.built(roots, space, stored)
        if any(isinstance(b.node.form, Tile) for b in built.buffers):
            return built, product.stage(built, self.profile)
        nest = schedule.merge_axes(built)
        below(nest)
        nest.contract_fp = not any(v.op in REPEATS for v in nest.values)
        nest.joins = nest.contract_fp and joins
        found = origin.origins(nest)
        shown = origin.moved(nest, found)
        chosen, key = self.texts.scheduled(shown)
        if parts and chosen.mode == "cpu" and nest.dealt is None and tiles.missed(shown, chosen):
            cut = tiles.apart(roots, stored)
            if cut is not None:
                raise cut
        stage = origin.with_arguments(self.texts.stage(shown, chosen, key), found)
        moved = len(stage.buffers) if self.depth else 0  # windows, each with a number
        if len(stage.buffers) + moved + len(stage.ints) > self.profile.arguments:
            nodes = [r.node for r in roots]
            kept = arguments.halfway(nodes, stored, self.profile.arguments // (2 if moved else 1))
            if kept is not None:
                raise Cut(kept, "a kernel takes no more arguments")
        return nest, stage

    def take(self, target: Slot, given: int) -> None:
        """Let an output begin in the memory of an input."""
        target.alias = given
        self.taken.add(given)

    def make_places(self, region: Region, group: Group, made: Any) -> None:
        """Buffers for what the group writes."""
        nodes = group.members
        if group.single is not None and group.single.outs is not None:
            nodes = list(region.gets.get(id(group.single), {}).values())
        for n in nodes:
            if id(n) in region.places or isinstance(n.form, g.DynamicUpdate | g.Scatter | Dealt):
                continue  # updates: inplace decides
            place = region.wanted.get(id(n))
            if place is None:
                place = Place(self.slot("temp", n.shape, n.dtype))
            region.places[id(n)] = place
            if self.slots[place.slot].kind == "output" and made is not None:
                inplace.alias_output(self, region, n, made[0])

    def fill(self, region: Region, x: g.Node, place: Place) -> None:
        """Write the contents of a stored node or a constant to another place."""
        if isinstance(x.form, g.Const):
            self.write(region, x, place)
            return
        self.copy(region, region.places[id(x)], place, x.size * x.dtype.itemsize)

    def write(self, region: Region, x: g.Node, place: Place) -> None:
        """A nest of its own that computes x into a place."""
        alone = replace(region, places={**region.places, id(x): place})
        stored = region.fusion.stored | {id(x)}
        self.launch(alone, self.nest([Root(x, tuple(range(x.ndim)))], x.shape, stored))

    # ------------------------------------------------ loops and branches

    def inner_region(
        self, graph: g.Graph, inputs: list[Place], outs: list[Place], owned: tuple[int, ...] = ()
    ) -> Region:
        """A graph on places of the outer region; its outputs end up at `outs`, or where updates
        left them.
        """
        places = {id(n): p for n, p in zip(graph.inputs, inputs)}
        wanted: dict[int, Place] = {}
        for o, p in zip(graph.outputs, outs):
            if not isinstance(o.form, g.Input | g.Const):
                wanted.setdefault(id(o), p)
        self.nested += 1
        region = self.region(graph, places, wanted, frozenset(id(graph.inputs[k]) for k in owned))
        self.nested -= 1
        return region

    # ------------------------------------------------ steps

    def launch(self, region: Region, made: tuple[Nest, Stage], part: bool = False) -> None:
        nest, stage = made
        places = [self.place_of(region, b.node) for b in nest.buffers]
        self.nests.append((stage.label, nest))
        cost = effort.total_work(nest, stage.lanes, stage.abreast)
        self.add_launch(region, replace(stage, cost=cost), places, part)

    def stage(self, stage: Stage) -> int:
        """The number of a stage; equal ones are one."""
        dtypes = tuple(b.dtype for b in stage.buffers)
        key = (stage.text, stage.helpers, dtypes, len(stage.ints), stage.local, stage.windows)
        if key not in self.stage_index:
            self.stage_index[key] = len(self.stages)
            self.stages.append(stage)
        return self.stage_index[key]

    def add_launch(
        self, region: Region, stage: Stage, places: list[Place], part: bool = False
    ) -> None:
        """A launch of `stage` on buffers; its place in a program is settled by
        `program.assemble`. `part`: of a concatenation, which other launches write, too.
        """
        written = [b for b in stage.buffers if b.written]
        if stage.items == 0 or not written or any(b.size == 0 for b in written):
            return
        moved = [(k, p) for k, p in enumerate(places) if p.stride]
        windows = tuple((k, region.depth - p.depth) for k, p in moved)
        stage = stage if windows == stage.windows else replace(stage, windows=windows)
        args: list[Any] = [BufferRef(p.slot) for p in places]
        args += [IntArg(i, "long") for i in stage.ints]
        args += [IterArg(region.depth - p.depth, "long", p.stride) for _, p in moved]
        writes = [p.slot for p, b in zip(places, stage.buffers) if b.written]
        reads = [p.slot for p, b in zip(places, stage.buffers) if not b.written]
        region.steps.append(
            Launch(
                0,
                "fx",
                (stage.items * stage.local,),
                tuple(args),
                (stage.local,),
                self.stage(stage),
                stage.label,
                tuple(reads),
                tuple(writes),
                part=part,
            )
        )

    def copy(self, region: Region, src: Place, dst: Place, nbytes: int) -> None:
        """Copy an array from one place to another."""
        if nbytes:
            size = self.slots[dst.slot].dtype.itemsize
            source = BufferRef(src.slot, 0, src.stride * size)
            region.steps.append(CopyStep(source, BufferRef(dst.slot, 0, dst.stride * size), nbytes))

    def array_ref(self, region: Region, node: g.Node) -> ArrayRef:
        place = self.place_of(region, node)
        return ArrayRef(place.slot, node.shape, node.dtype, 0, place.stride * node.dtype.itemsize)


def _to_keep(cut: Cut, group: Group, fusion: Fusion, kept: dict[int, Any]) -> list[g.Node]:
    """What to keep in memory after a group failed: the node named, else its roots apart, else its
    folds, else the operands of the node named.
    """
    if isinstance(cut.node, g.Node) and id(cut.node) not in fusion.stored:
        return [cut.node]
    roots = [r.node for r in group.roots if id(r.node) not in kept]
    if len(group.roots) > 1 and roots:
        return roots
    folds: list[g.Node] = []
    todo, seen = [a for r in group.roots for a in r.node.args], set()
    while todo:
        n = todo.pop()
        if id(n) in seen or id(n) in fusion.stored or isinstance(n.form, g.Input):
            continue
        seen.add(id(n))
        todo.extend(n.args)
        if isinstance(n.form, FOLDS):
            folds.append(n)
    return folds or [a for a in _args(cut.node) if id(a) not in fusion.stored]


def _args(node: Any) -> list[g.Node]:
    """What a node is made of, but for the region's inputs."""
    args = node.args if isinstance(node, g.Node) else ()
    return [a for a in args if not isinstance(a.form, g.Input)]


def _last_reads(fusion: Fusion, graph: g.Graph) -> dict[int, int]:
    """Node id -> index of the last group that reads it; outputs are read after all of them."""
    last: dict[int, int] = {}
    for k, group in enumerate(fusion.groups):
        last |= dict.fromkeys(inplace.read_by(fusion, group), k)
    for o in graph.outputs:
        last[id(o)] = len(fusion.groups)
    return last


def _repeats(region: Region) -> bool:
    """Whether two groups compute the same sum or product: written differently it could differ."""
    sums = {id(n) for n in region.graph.nodes() if n.form in map(g.Map, ("add", "sub", "mul"))}
    seen: set[int] = set()
    for group in region.fusion.groups:
        mine = sums & group.nodes
        if seen & mine:
            return True
        seen |= mine
    return False
