"""Loops: where each Loop node runs. Decided in this order, and the reason is kept for explain:

- written out: a few steps of a small body become plain nodes (Graph -> Graph, before canon);
- one kernel: independent lanes, or a state of a few scalars; time runs inside, state in registers;
- one launch: the body's stages run by one work-item or by a `team` (`condense`, on finished steps);
- the host: launches one after the other, carries change places between buffers (`singles`).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering import graph as g
from lowering import lanes, schedule
from lowering.affine import Cut
from lowering.build.loop import build_loop, chunk_flag
from lowering.emit.loop import done_twice, emit_loop, schedule_loop
from lowering.nest import Nest
from lowering.plan import BufferRef, LoopStep
from lowering.planning.places import Place, Region
from lowering.rewrite.product import Tile
from lowering.walk import copied, row, with_loops

if TYPE_CHECKING:
    from lowering.planning.planner import Planner

MAX_WRITTEN = 64  # nodes of a loop that is written out
MAX_STEPS_WRITTEN = 8
CHUNK_WORK = 1e8  # flops of one launch of a while loop, about 50 ms
MAX_WORK = 2500.0  # flops of a step without lanes, most of them elements of arrays
SPELLED = 8  # operations for one of the body, from where these are elements of arrays
FEW_LANES = 64  # that do not pay for seconds of compiling
MAX_FEW = 1500  # operations of a step of so few


# ---------------------------------------------------------------- written out


def unroll(graph: g.Graph) -> g.Graph:
    """The graph with its tiny counted loops written out, inner ones first."""
    return with_loops(graph, unroll, _written)


def _is_tiny(f: g.Loop) -> bool:
    """Whether a loop is short enough to be written out."""
    if f.cond is not None or f.body.effects or f.length > MAX_STEPS_WRITTEN:
        return False
    if f.length > 1 and len(f.body.outputs) > f.n_carry:
        return False  # stacking would take a launch a step
    nodes = f.body.nodes()
    if any(isinstance(n.form, g.Loop | g.Cond | g.Opaque | g.KernelCall) for n in nodes):
        return f.length <= 1
    return f.length <= 1 or f.length * len(nodes) <= MAX_WRITTEN


def _written(b: g.Builder, loop: g.Node) -> list[g.Node] | None:
    f: g.Loop = loop.form
    if not _is_tiny(f):
        return None
    args = loop.args
    consts = args[: f.n_consts]
    carry = args[f.n_consts : f.n_consts + f.n_carry]
    xs = args[f.n_consts + f.n_carry :]
    stacked: list[list[g.Node]] = [[] for _ in f.body.outputs[f.n_carry :]]
    steps = range(f.length)
    for t in reversed(steps) if f.reverse else steps:
        outs = copied(b, f.body, [*consts, *carry, *(row(b, x, t) for x in xs)])
        carry = outs[: f.n_carry]
        for rows, y in zip(stacked, outs[f.n_carry :]):
            rows.append(b.reshape(y, (1, *y.shape)))
    ys = []
    for rows, y in zip(stacked, f.body.outputs[f.n_carry :]):
        rows = rows[::-1] if f.reverse else rows
        empty = b.const(0, y.dtype, (0, *y.shape))
        ys.append(empty if not rows else rows[0] if len(rows) == 1 else b.concat(rows, 0))
    return [*carry, *ys]


# ---------------------------------------------------------------- one kernel


def in_kernel(p: Planner, region: Region, node: g.Node) -> bool:
    """Plan a loop as one kernel if it can be one; else note why not and return False."""
    f: g.Loop = node.form
    gets = region.gets.get(id(node), {})
    if f.body.effects or not gets:
        return False
    try:
        if f.cond is None:
            _counted(p, region, node, gets)
        else:
            _while(p, region, node, gets)
    except Cut as cut:
        p.reasons.append((describe(node), f"it is not one kernel: {cut.reason}"))
        return False
    return True


def _counted(p: Planner, region: Region, node: g.Node, gets: dict[int, g.Node]) -> None:
    if node.form.length == 0:
        raise Cut(node, "it has no steps")
    found = lanes.analyse(node)
    nest = build_loop(node, found, gets)
    made = _made(p, nest, node, found)
    _note(p, node, found)
    p.launch(region, made)


def _made(p: Planner, nest: Nest, node: g.Node, found: lanes.Lanes) -> Any:
    """The kernel; not where a step is so long that stages, which go along its own axes in vectors,
    are faster (no lanes), or about as fast and compiled in a tenth of the time (few lanes).
    """
    few = len(found.extents) > 0 and prod(found.extents) <= FEW_LANES
    spelled = len(nest.values) > SPELLED * len(node.form.body.nodes())
    if not found.extents and spelled and schedule.work(nest) > MAX_WORK:
        raise Cut(None, f"a step without lanes has more than {MAX_WORK:.0f} operations")
    if few and len(nest.values) > MAX_FEW:
        raise Cut(None, f"a step has more than {MAX_FEW} operations for each of few lanes")
    if any(isinstance(b.node.form, Tile) for b in nest.buffers):
        raise Cut(None, "a product in its body has a kernel of its own")
    nest = schedule.merge_axes(nest)
    return nest, emit_loop(nest, schedule_loop(nest, p.profile))


def _note(p: Planner, node: g.Node, found: lanes.Lanes) -> None:
    kind = (
        f"{list(found.extents)} independent lanes" if found.extents else "a state of a few scalars"
    )
    p.reasons.append((describe(node), f"it is one kernel: {kind}"))


def describe(node: g.Node) -> str:
    """A loop in words."""
    f: g.Loop = node.form
    kind = "while loop" if f.cond is not None else f"loop of {f.length}"
    return kind + (f" at {node.tag}" if node.tag else "")


# ---------------------------------------------------------------- while loops, in chunks


def _while(p: Planner, region: Region, node: g.Node, gets: dict[int, g.Node]) -> None:
    """Launches of a bounded number of steps until no lane goes on: a kernel that does not end
    could not be stopped.

    A launch reads the carry from one set of buffers and writes the other; the host looks at the
    flag in between.
    """
    f: g.Loop = node.form
    first = f.n_cond_consts + f.n_consts
    inputs = f.body.inputs[f.n_consts :]
    moving = [k for k, o in enumerate(f.body.outputs) if o is not inputs[k]]
    args = list(node.args)
    starts: dict[int, g.Node] = {}
    for k in moving:
        shape, dtype = node.outs[k]
        args[first + k] = starts[k] = g.Node(g.Input(-1), (), shape, dtype)
    loop = g.Node(f, tuple(args), node.shape, node.dtype, node.outs, node.tag)
    ends = {k: gets.get(k) or g.Node(g.Get(k), (loop,), *node.outs[k]) for k in moving}
    found = lanes.analyse(loop)
    nest = build_loop(loop, found, ends, chunk=1)
    body = next(v.attr for v in nest.values if v.op == "loop" and v.attr.chunk)
    cost = max(1.0, schedule.work(nest)) * max(1, prod(found.extents))
    body.chunk = max(256, min(1 << 20, int(CHUNK_WORK / cost)))
    body.alone = not found.extents
    made = _made(p, nest, node, found)
    _note(p, node, found)
    for k, get in gets.items():
        if k not in moving:
            p.fill(region, node.args[first + k], region.places[id(get)])
    _chunks(p, region, node, {k: node.args[first + k] for k in moving}, starts, ends, made, found)


def _chunks(p, region, node, inits, starts, ends, made, found) -> None:
    """Launch from where the carry's beginnings stand, and go on launching while the flag is set.
    Where a lane reads what it will write, and no other lane does, the carry has one buffer; not
    where lanes are done twice: the second time would go on from where the first one ended. The
    flag falls before each launch of lanes; a state of a few scalars says in any case if it goes on.
    """
    news, olds, begin, wanted = {}, {}, {}, {}
    once = not done_twice(made[0], p.profile)
    for k, end in ends.items():
        place = region.places.get(id(end))
        if place is not None and place.stride:
            wanted[k] = place  # a row of an outer loop's stack: it cannot change roles
            place = None
        if place is None:
            place = Place(p.slot("temp", end.shape, end.dtype))
        own = p.slots[place.slot].kind == "output"
        news[k] = olds[k] = place
        p.slots[place.slot].spare = False
        if not (once and _own(made[0], starts[k], end)):
            olds[k] = p.spare(end.shape, end.dtype, own)
        begin[k] = p.place_of(region, inits[k])
    flag = Place(p.slot("temp", (), np.dtype(bool)))
    off = g.Node(g.Const(False), (), (), np.dtype(bool))
    region.places[id(chunk_flag())] = flag
    p.chunk_flags.add(flag.slot)

    def launch(before: dict[int, Place], after: dict[int, Place]) -> None:
        if found.extents:
            p.fill(region, off, flag)
        for k in ends:
            region.places[id(starts[k])], region.places[id(ends[k])] = before[k], after[k]
        p.launch(region, made)

    launch(begin, news)
    outer, region.steps = region.steps, []
    p.depth += 1
    region.depth += 1
    launch(news, olds)
    region.depth -= 1
    p.depth -= 1
    again, region.steps = tuple(region.steps), outer
    swaps = tuple((news[k].slot, olds[k].slot) for k in ends if news[k] != olds[k])
    region.steps.append(
        LoopStep(again, None, swaps, False, (), BufferRef(flag.slot), label=node.tag or "")
    )
    for k, end in ends.items():
        region.places[id(end)] = news[k]
        if k in wanted:
            p.copy(region, news[k], wanted[k], end.size * end.dtype.itemsize)
            region.places[id(end)] = wanted[k]


def _own(nest: Nest, start: g.Node, end: g.Node) -> bool:
    """Whether each lane reads of a carry what it writes, and no other lane does: it reads at the
    start and writes at the end, so one buffer does for both.
    """
    number = {id(b.node): k for k, b in enumerate(nest.buffers)}
    if id(start) not in number:
        return True
    loads = [v for v in nest.values if v.op == "load" and v.attr[0] == number[id(start)]]
    stores = [st for st in nest.stores if st.buffer == number[id(end)]]
    if any(v.args or v.attr[2] or v.attr[3] for v in loads):
        return False
    if any(st.guards or st.dynamic is not None for st in stores):
        return False
    places = {v.attr[1] for v in loads} | {st.index for st in stores}
    lanes = frozenset().union(*(st.index.axes for st in nest.stores))
    apart = all(abs(c) >= len(places) for e in places for _, c in e.terms)
    covered = prod(nest.extents[a] for a in lanes) * len(places) == end.size
    within = {e.const for e in places} == set(range(len(places)))
    return apart and covered and within and len({e.terms for e in places}) == 1
