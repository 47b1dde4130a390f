"""Singles: the forms that are no nest, as steps: updates in place, branches, loops, host functions,
users' kernels.

`plan(planner, region, node)` appends the node's steps to the region. The places of what the node
writes exist already; an update may take over its operand's place instead. Loops run on the host
here; `loops` decides when a kernel can run them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering import graph as g
from lowering import host, loops
from lowering.fuse_rules import operands
from lowering.plan import (
    ArrayRef,
    BufferRef,
    CondStep,
    HostStep,
    IntArg,
    Launch,
    LoopStep,
    Program,
    Step,
)
from lowering.planning import branches, exchange, inplace, written
from lowering.planning.places import Place, Region, result_places
from lowering.rewrite.deal import Deal
from lowering.templates import deal, positions, scatter_cpu, scatter_gpu, sorting, topk

if TYPE_CHECKING:
    from lowering.planning.planner import Planner


def plan(p: Planner, region: Region, node: g.Node) -> None:
    """Append the steps that compute `node`."""
    PLANS[type(node.form)](p, region, node)


def _scatter(p: Planner, region: Region, node: g.Node) -> None:
    """Updates join a place that holds the operand, or a background that the stage writes."""
    x, indices, updates = operands(node)
    apart = inplace.share_memory(region, x, (indices, updates))
    if not updates.size or not x.size:
        inplace.take_over(p, region, x, node, apart)
        return
    if p.profile.schedule == "gpu":
        inplace.take_over(p, region, x, node, apart)
        places = [p.place_of(region, n) for n in (indices, updates, node)]
        p.add_launch(region, scatter_gpu.stage(node, p.profile), places)
        return
    source = inplace.place_for_update(p, region, x, node, apart)
    made = scatter_cpu.plan(node, p.profile, source is not None)
    if not made.starts and (source is not None or isinstance(x.form, g.Const)):
        p.fill(region, x, region.places[id(node)])
    constant = isinstance(updates.form, g.Const)
    where = {
        "i": p.place_of(region, indices),
        "u": p.place_of(region, indices if constant else updates),
        "o": p.place_of(region, node),
    }
    if source is not None:
        where["x"] = source
    if made.parts is not None:
        where["p"] = Place(p.slot("temp", (made.parts[0],), made.parts[1]))
    for stage, names in made.stages:
        p.add_launch(region, stage, [where[name] for name in names])


def _deal(p: Planner, region: Region, node: g.Node) -> None:
    """The lists of a scatter's updates."""
    places = [p.place_of(region, a) for a in operands(node)]
    p.add_launch(region, deal.stage(node), [*places, *result_places(p, region, node)])


# ---------------------------------------------------------------- host functions


def _host(
    p: Planner, region: Region, node: g.Node, fn: Any, key: Any, effect: bool = False
) -> None:
    outs = [
        ArrayRef(place.slot, shape, dtype, 0, place.stride * dtype.itemsize)
        for place, (shape, dtype) in zip(result_places(p, region, node), node.outs or [])
    ]
    ins = [p.array_ref(region, a) for a in operands(node)]
    fresh = not isinstance(node.form, g.Opaque)
    label = node.tag or ""
    region.steps.append(HostStep(key, fn, tuple(ins), tuple(outs), effect, fresh, label=label))


def _sort(p: Planner, region: Region, node: g.Node) -> None:
    """Kernels where they win, else NumPy; an operand that counts along the axis is not read."""
    f = node.form
    if _sorted_by_kernels(p, region, node):
        return
    counts = tuple(
        None if a in operands(node) else (sorting.place_dtype(a, f.dim), a.shape) for a in node.args
    )
    fn = partial(host.sort, dim=f.dim, num_keys=f.num_keys, counts=counts)
    _host(p, region, node, fn, ("sort", f, counts))


def _topk(p: Planner, region: Region, node: g.Node) -> None:
    if not _sorted_by_kernels(p, region, node):
        _host(p, region, node, partial(host.top_k, k=node.form.k), ("top_k", node.form.k))


def _sorted_by_kernels(p: Planner, region: Region, node: g.Node) -> bool:
    """Plan a Sort or TopK as launches, if kernels do it; on a GPU the host does."""
    gets = region.gets.get(id(node), {})
    if p.profile.schedule == "gpu":
        return False
    job = sorting.job(node, set(gets), p.depth > 0, p.profile.host_sorts)
    if job is None:
        return False
    if not gets or job.kept == 0 or job.n == 0 or job.rows == 0:
        return True
    walk = isinstance(node.form, g.TopK) and topk.fits(job)
    made = topk.plan(job, p.profile) if walk else sorting.plan(job)
    outs = {k: region.places[id(get)] for k, get in gets.items()}
    _launch_all(p, region, node, made, outs)
    return True


def _launch_all(
    p: Planner, region: Region, node: g.Node, made: sorting.Sorting, outs: dict[int, Place]
) -> None:
    """The stages of a template: `x<k>` is an operand of the node, `o<k>` an output, `s<k>` scratch
    words.
    """
    where = {f"o{k}": place for k, place in outs.items()}
    for k, size in enumerate(made.scratch):
        where[f"s{k}"] = Place(p.slot("temp", (size,), np.dtype(np.uint32)))
    for stage, names in made.stages:
        for name in names:
            if name.startswith("x"):
                where[name] = p.place_of(region, node.args[int(name[1:])])
        label = node.tag or stage.label
        p.add_launch(region, replace(stage, label=label), [where[name] for name in names])


def _opaque(p: Planner, region: Region, node: g.Node) -> None:
    if node.form.stage[:1] == ("positions",):
        _, size, fill = node.form.stage
        made = positions.plan(node.args[0], size, fill, p.profile)
        _launch_all(p, region, node, made, dict(enumerate(result_places(p, region, node))))
    elif not (node.form.stage and written.planned(p, region, node)):
        _host(p, region, node, node.form.fn, node.form.key, node.form.effect)


def _kernel_call(p: Planner, region: Region, node: g.Node) -> None:
    """A user's kernel: operands, then results, then scalars, as its arguments."""
    f = node.form
    ins = [p.place_of(region, a).slot for a in node.args]
    outs = [x.slot for x in result_places(p, region, node)]
    p.extra_programs.append(Program(f.source))
    args = [*(BufferRef(s) for s in (*ins, *outs)), *(IntArg(v, c) for c, v in f.scalars)]
    index = len(p.extra_programs) - 1
    region.steps.append(
        Launch(
            index,
            f.name,
            f.global_size,
            tuple(args),
            f.local_size,
            None,
            f.name,
            tuple(ins),
            tuple(outs),
        )
    )


# ---------------------------------------------------------------- branches and loops


def _cond(p: Planner, region: Region, node: g.Node) -> None:
    """Each branch writes the same results; the host reads the index."""
    index, *operands = node.args
    chosen = _standing(p, region, index)
    places = [p.place_of(region, a) for a in operands]
    kept = branches.keep(p, region, node)
    outs = result_places(p, region, node)
    for k, j in kept.items():
        places[j] = outs[k]
    made, swaps = [], []
    for branch in node.form.branches:
        inner = p.inner_region(branch, places, outs, tuple(kept.values()))
        swaps.append(branches.bring(p, inner, branch.outputs, outs))
        made.append(tuple(inner.steps))
    pairs = tuple(swaps) if any(swaps) else ()
    region.steps.append(CondStep(BufferRef(chosen.slot), tuple(made), node.tag or "", pairs))


def _loop(p: Planner, region: Region, node: g.Node) -> None:
    """A loop that the host drives: launches are bound before it, carries change places between
    buffers.
    """
    if p.options.get("loops", True) and loops.in_kernel(p, region, node):
        return
    inplace.keep_carries(p, region, node)
    wanted = result_places(p, region, node)
    outs = [_whole(p, place, *out) for place, out in zip(wanted, node.outs or [])]
    _host_loop(p, region, node, outs)
    for own, place, (shape, dtype) in zip(outs, wanted, node.outs or []):
        if own is not place:
            p.copy(region, own, place, prod(shape) * dtype.itemsize)


def _whole(p: Planner, place: Place, shape: tuple[int, ...], dtype: np.dtype) -> Place:
    """A row of an outer loop's stack can neither change roles nor be a stack itself: a place of its
    own instead.
    """
    return Place(p.slot("temp", shape, dtype)) if place.stride else place


def _standing(p: Planner, region: Region, node: g.Node) -> Place:
    """Where a value stands for readers that cannot follow the rows of an outer loop's stack: its
    place, or a copy.
    """
    place = p.place_of(region, node)
    own = _whole(p, place, node.shape, node.dtype)
    if own is not place:
        p.copy(region, place, own, node.size * node.dtype.itemsize)
    return own


def _host_loop(p: Planner, region: Region, node: g.Node, outs: list[Place]) -> None:
    f = node.form
    n_cc, n_c, n_k = f.n_cond_consts, f.n_consts, f.n_carry
    args = node.args
    cond_consts = [_standing(p, region, a) for a in args[:n_cc]]
    consts = [_standing(p, region, a) for a in args[n_cc : n_cc + n_c]]
    init = args[n_cc + n_c : n_cc + n_c + n_k]
    xs = args[n_cc + n_c + n_k :]
    x_places = [_standing(p, region, a) for a in xs]
    carries, ys = outs[:n_k], outs[n_k:]
    for a, place in zip(init, carries):
        kept = region.places.get(id(a)) == place
        if not kept and not inplace.hand_on(p, region, a, place, node):
            p.fill(region, a, place)
    if f.cond is None and f.length == 0:
        return
    p.depth += 1
    cond_steps, flag = _condition(p, f, [*cond_consts, *carries])
    body, swaps = _body(p, f, consts, carries, list(zip(x_places, xs)), ys)
    p.depth -= 1
    count = f.length if f.cond is None else None
    region.steps.append(
        LoopStep(body, count, swaps, f.reverse, cond_steps, flag, label=node.tag or "")
    )


def _condition(
    p: Planner, f: g.Loop, inputs: list[Place]
) -> tuple[tuple[Step, ...], BufferRef | None]:
    """The steps that compute a while loop's flag."""
    if f.cond is None:
        return (), None
    flag = Place(p.slot("temp", (), np.dtype(bool)))
    inner = p.inner_region(f.cond, inputs, [flag])
    branches.bring(p, inner, f.cond.outputs, [flag])
    return tuple(inner.steps), BufferRef(flag.slot)


def _body(
    p, f: g.Loop, consts, carries, xs, ys
) -> tuple[tuple[Step, ...], tuple[tuple[int, int], ...]]:
    """One iteration's steps, and the pairs of carry buffers that change roles after it."""
    n_k, n_c = f.n_carry, len(consts)
    body = _stacked_apart(f.body, n_c, n_k)
    before: list[Step] = []
    inputs: list[Place] = [*consts, *carries]
    by_singles = _read_by_singles(body)
    for k, (place, node) in enumerate(xs):
        window = Place(place.slot, prod(node.shape[1:]), p.depth)
        if place.stride or id(body.inputs[n_c + n_k + k]) in by_singles:
            window = _sliced(p, before, place, window, node)
        inputs.append(window)
    spare: list[Place | None] = []
    outs: list[Place] = []
    for k, (o, carry) in enumerate(zip(body.outputs, carries)):
        p.slots[carry.slot].spare = False
        kept = o is body.inputs[n_c + k]  # handed through unchanged: nothing to write
        own = p.slots[carry.slot].kind == "output"
        shape, dtype = p.slots[carry.slot].shape, p.slots[carry.slot].dtype
        other = None if kept else p.spare(shape, dtype, own)
        spare.append(other)
        outs.append(carry if other is None else other)
    stacked: list[Place] = []
    for y, place in zip(body.outputs[n_k:], ys):
        stacked.append(Place(place.slot, prod(y.shape), p.depth))
    outs += stacked
    before_that, p.carried = p.carried, frozenset(c.slot for c in carries)
    inner = p.inner_region(body, inputs, outs, tuple(range(n_c, n_c + n_k)))
    p.carried = before_that
    stands = exchange.stands(p, inner, body.outputs, carries, spare)
    branches.bring(p, inner, body.outputs[n_k:], stacked)
    return (*before, *inner.steps), exchange.in_turn(stands)


def _stacked_apart(body: g.Graph, n_c: int, n_k: int) -> g.Graph:
    """The body where what is carried and stacked too is two values, of which a kernel writes both:
    what it has in a register needs no copy after it, for which all would wait.
    """
    carried = {id(o) for o in (*body.outputs[:n_k], *body.inputs[n_c : n_c + n_k])}

    def apart(y: g.Node) -> g.Node:
        fused = isinstance(y.form, g.Map) or y in body.inputs
        return g.Node(g.Map("convert"), (y,), y.shape, y.dtype) if fused and id(y) in carried else y

    ys = [apart(y) for y in body.outputs[n_k:]]
    return g.Graph(body.inputs, (*body.outputs[:n_k], *ys), body.effects)


def _sliced(p, before: list[Step], place: Place, window: Place, node: g.Node) -> Place:
    """A copy of the current slice, for readers that cannot follow a window."""
    from lowering.plan import CopyStep

    if place.stride:
        raise AssertionError("a loop over the slices of another loop's slice")
    size = node.dtype.itemsize
    own = Place(p.slot("temp", node.shape[1:], node.dtype))
    nbytes = prod(node.shape[1:]) * size
    if nbytes:
        ref = BufferRef(place.slot, 0, window.stride * size)
        before.append(CopyStep(ref, BufferRef(own.slot), nbytes))
    return own


def _read_by_singles(graph: g.Graph) -> set[int]:
    """What forms that are no nest, or the graph's own outputs, read directly, by id."""
    found = set(map(id, graph.outputs))
    for n in graph.nodes():
        if n.outs is not None or isinstance(n.form, g.Scatter):
            found.update(map(id, n.args))
    return found


PLANS: dict[type, Any] = {
    g.Scatter: _scatter,
    Deal: _deal,
    g.Sort: _sort,
    g.TopK: _topk,
    g.Opaque: _opaque,
    g.KernelCall: _kernel_call,
    g.Cond: _cond,
    g.Loop: _loop,
}
