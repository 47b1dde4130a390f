"""Planner: groups to steps. Owns a plan's buffer table, its stages and the order of its steps.

In: a canonical graph. Out: a Plan. Every stored node has one buffer; equal stage texts are one stage; all stages of a plan
are cases of few kernels, because a build costs far more than a stage. What is no nest is planned by `singles`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lowering import graph as g
from lowering import memory, program, schedule
from lowering.affine import Cut
from lowering.build import Root, build_nest
from lowering.emit import Stage, emit
from lowering.fuse import Fusion, Group, fuse
from lowering.nest import Nest
from lowering.plan import ArrayRef, Buffer, BufferRef, CopyStep, IntArg, Launch, Plan, Step
from lowering.profile import Profile


@dataclass(eq=False)
class Slot:
    """A buffer to be: what it holds, when it is live, and whose memory it takes over."""

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    first: int = 0
    last: int = 0
    alias: int | None = None  # input whose contents an output starts with
    own: bool = False  # a temp outside the arena (it is swapped with an output)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass
class Region:
    """The nodes that one step list computes, and where they stand; loops and branches have their own."""

    graph: g.Graph
    fusion: Fusion
    slot_of: dict[int, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    parent: Region | None = None


class Planner:
    """Builds one Plan."""

    def __init__(self, profile: Profile, options: dict[str, Any] | None = None):
        self.profile = profile
        self.options = options or {}
        self.slots: list[Slot] = []
        self.stages: list[Stage] = []
        self.stage_index: dict[Any, int] = {}
        self.now = 0  # the current top-level step, for liveness
        self.reasons: list[tuple[str, str]] = []
        self.nests: list[tuple[str, Nest]] = []
        self.extra_programs: list[Any] = []
        self.donated: tuple[bool, ...] = ()

    # ------------------------------------------------ the whole

    def plan(self, graph: g.Graph, donated: tuple[bool, ...], name: str) -> Plan:
        self.donated = donated or (False,) * len(graph.inputs)
        inputs = [self.slot("input", n.shape, n.dtype) for n in graph.inputs]
        env = {id(n): k for n, k in zip(graph.inputs, inputs)}
        region = self.region(graph, env, outputs=True)
        outputs = [region.slot_of[id(o)] for o in graph.outputs]
        for k in outputs:
            self.slots[k].last = self.now + 1
        return self.assemble(inputs, outputs, region.steps, name)

    def assemble(self, inputs: list[int], outputs: list[int], steps: list[Step], name: str) -> Plan:
        spans = {
            k: memory.Span(s.nbytes, s.first, s.last)
            for k, s in enumerate(self.slots)
            if s.kind == "temp" and not s.own
        }
        offsets, arena = memory.place(spans)
        buffers = tuple(
            Buffer(k, s.kind, s.nbytes, s.shape, s.dtype, s.alias, offsets.get(k))  # type: ignore[arg-type]
            for k, s in enumerate(self.slots)
        )
        programs, steps_out = program.assemble(self.stages, steps, self.extra_programs)
        meta = {
            "name": name,
            "reasons": list(self.reasons),
            "kernels": [st.label for st in self.stages],
            "nests": [(label, nest.dump()) for label, nest in self.nests],
            "bound": memory.lower_bound(spans),
        }
        return Plan(tuple(inputs), tuple(outputs), buffers, arena, programs, steps_out, meta)

    # ------------------------------------------------ buffers

    def slot(self, kind: str, shape: tuple[int, ...], dtype: np.dtype, own: bool = False) -> int:
        self.slots.append(Slot(kind, tuple(shape), np.dtype(dtype), self.now, self.now, None, own))
        return len(self.slots) - 1

    def touch(self, *slots: int) -> None:
        for k in slots:
            self.slots[k].last = max(self.slots[k].last, self.now)

    def slot_of(self, region: Region, node: g.Node) -> int:
        """The buffer in which a stored node stands; constants get theirs when first asked for."""
        found = region.slot_of.get(id(node))
        if found is None:
            if isinstance(node.form, g.Const):
                return self.constant(region, node)
            raise AssertionError(f"{node!r} is read before it is computed")
        self.touch(found)
        return found

    def constant(self, region: Region, node: g.Node) -> int:
        """A literal in memory, filled by a nest of its own."""
        k = region.slot_of[id(node)] = self.slot("temp", node.shape, node.dtype)
        self.nest_step(region, [Root(node, tuple(range(node.ndim)))], node.shape)
        return k

    # ------------------------------------------------ regions

    def region(self, graph: g.Graph, env: dict[int, int], *, outputs: bool = False) -> Region:
        """Plan a graph whose inputs stand in the buffers `env`; top level only: outputs get output buffers."""
        region = Region(graph, fuse(graph, enabled=self.options.get("fuse", True)))
        region.slot_of.update(env)
        keep: list[tuple[g.Node, str]] = []
        while True:
            try:
                nests = self.all_nests(region)
                break
            except Cut as cut:
                keep.append((self.cut_node(cut, region), cut.reason))
                region.fusion = fuse(graph, enabled=self.options.get("fuse", True), keep=keep)
        self.reasons += region.fusion.reasons
        last_reads = _last_reads(region.fusion)
        wanted = {id(o) for o in graph.outputs} if outputs else set()
        for k, group in enumerate(region.fusion.groups):
            if outputs:
                self.now += 1
            self.make_slots(region, group, wanted, k, last_reads, nests.get(id(group)))
            if group.single is not None:
                from lowering import singles

                singles.plan(self, region, group.single)
            else:
                self.launch(region, nests[id(group)])
        return region

    def cut_node(self, cut: Cut, region: Region) -> g.Node:
        assert isinstance(cut.node, g.Node), cut.reason
        return cut.node

    def all_nests(self, region: Region) -> dict[int, tuple[Nest, Stage]]:
        """Nest and stage of every group; raises Cut where one cannot be built."""
        stored = region.fusion.stored
        found = {}
        for group in region.fusion.groups:
            if group.single is None:
                found[id(group)] = self.nest(group.roots, group.space, stored)
        return found

    def nest(
        self, roots: list[Root], space: tuple[int, ...], stored: set[int]
    ) -> tuple[Nest, Stage]:
        own = {id(r.node) for r in roots}

        def inside(n: g.Node) -> bool:
            return not isinstance(n.form, g.Input) and (id(n) in own or id(n) not in stored)

        nest = schedule.merge_axes(build_nest(roots, space, inside))
        stage = emit(nest, schedule.schedule(nest, self.profile))
        return nest, stage

    def make_slots(self, region, group: Group, wanted: set[int], k: int, last_reads, made) -> None:
        """Buffers for what the group writes."""
        nodes = group.members
        if group.single is not None and group.single.outs is not None:
            gets = {
                u.form.index: u
                for u in region.graph.nodes()
                if isinstance(u.form, g.Get) and u.args[0] is group.single
            }
            nodes = [gets[i] for i in sorted(gets)]
        for n in nodes:
            if id(n) in region.slot_of:
                continue
            kind = "output" if id(n) in wanted else "temp"
            region.slot_of[id(n)] = self.slot(kind, n.shape, n.dtype)
            if kind == "output" and made is not None:
                self.alias_output(region, n, made[0], k, last_reads)

    def alias_output(
        self, region: Region, n: g.Node, nest: Nest, k: int, last_reads: dict[int, int]
    ) -> None:
        """Let an output take over a donated input that this nest reads, and nobody later, at the same index."""
        if schedule.folded_axes(nest):
            return
        store = next((s for s in nest.stores if nest.buffers[s.buffer].node is n), None)
        taken = {s.alias for s in self.slots if s.alias is not None}
        for b, buffer in enumerate(nest.buffers):
            m = buffer.node
            if store is None or not isinstance(m.form, g.Input) or id(m) not in region.slot_of:
                continue
            slot = region.slot_of[id(m)]
            index = m.form.index
            if slot in taken or not self.donated[index] or last_reads.get(id(m)) != k:
                continue
            same = m.dtype.itemsize == n.dtype.itemsize and m.size == n.size
            loads = [v for v in nest.values if v.op == "load" and v.attr[0] == b]
            if same and all(
                v.attr[1] == store.index and not v.attr[2] and not v.args for v in loads
            ):
                self.slots[region.slot_of[id(n)]].alias = slot
                return

    # ------------------------------------------------ steps

    def nest_step(
        self, region: Region, roots: list[Root], space: tuple[int, ...], **kwargs: Any
    ) -> None:
        """Build, emit and launch one nest outside the fusion's groups."""
        self.launch(region, self.nest(roots, space, region.fusion.stored))

    def launch(self, region: Region, made: tuple[Nest, Stage]) -> None:
        nest, stage = made
        slots = [self.slot_of(region, b.node) for b in nest.buffers]
        self.nests.append((stage.label, nest))
        writes = [s for s, b in zip(slots, nest.buffers) if b.written]
        reads = [s for s, b in zip(slots, nest.buffers) if not b.written]
        self.add_launch(region, stage, [BufferRef(s) for s in slots], reads, writes)

    def add_launch(self, region: Region, stage: Stage, args: list[Any], reads, writes) -> None:
        """A launch of `stage`; its place in a program is settled by `program.assemble`."""
        if stage.items == 0 or any(b.size == 0 for b in stage.buffers if b.written):
            return
        key = (stage.text, tuple(b.dtype.name for b in stage.buffers), len(stage.ints), stage.local)
        index = self.stage_index.get(key)
        if index is None:
            index = self.stage_index[key] = len(self.stages)
            self.stages.append(stage)
        args = [*args, *(IntArg(i, "long") for i in stage.ints)]
        local = (stage.local,) if stage.local > 1 else (1,)
        size = (stage.items * stage.local,)
        region.steps.append(
            Launch(
                0, "fx", size, tuple(args), local, index, stage.label, tuple(reads), tuple(writes)
            )
        )

    def copy(self, region: Region, src: int, dst: int, **kwargs: Any) -> None:
        """Copy a whole buffer."""
        nbytes = self.slots[dst].nbytes
        self.touch(src, dst)
        if nbytes:
            region.steps.append(CopyStep(BufferRef(src), BufferRef(dst), nbytes))

    def array_ref(self, region: Region, node: g.Node) -> ArrayRef:
        return ArrayRef(self.slot_of(region, node), node.shape, node.dtype)


def _last_reads(fusion: Fusion) -> dict[int, int]:
    """Node id -> index of the last group that reads it."""
    last: dict[int, int] = {}
    stored = fusion.stored
    for k, group in enumerate(fusion.groups):
        for m in group.members:
            todo, seen = list(m.args), set()
            while todo:
                a = todo.pop()
                if id(a) in seen:
                    continue
                seen.add(id(a))
                if isinstance(a.form, g.Input) or id(a) in stored:
                    last[id(a)] = k
                else:
                    todo.extend(a.args)
    return last
