"""Compile: Graph to Plan to Executable, the one door into the back end.

    canonicalize -> fuse -> build nests -> schedule -> emit -> steps and memory -> Plan -> bind

`compile` keeps nothing between calls but the executable it returns; plans of equal graphs come from
the disk cache. Then the stages are not even imported: that takes longer than all the rest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lowering import saved
from lowering.errors import DeviceError
from lowering.graph import Graph
from lowering.plan import Plan
from lowering.profile import Profile
from lowering.walk import inner_graphs


def make_plan(
    graph: Graph, profile: Profile, *, donated: Sequence[bool] = (), name: str = "", **options: Any
) -> Plan:
    """The plan of a graph on a device with this profile; no driver is needed."""
    from lowering import debug, loops
    from lowering.planning.planner import Planner
    from lowering.rewrite import bounds, canon, layout, lift, motion, unstack

    if not profile.fp64:
        _refuse_doubles(graph, profile)
    if options.pop("unroll", True):
        graph = loops.unroll(graph)
    if options.pop("unstack", True):
        graph = unstack.unstack(graph)
    moving = options.pop("motion", True)
    if moving:
        graph = layout.lanes_last(motion.move(graph))
    graph = canon.canonicalize(
        graph,
        split_reductions=options.pop("split_reductions", True),
        profile=profile if options.pop("products", True) else None,
        donated=tuple(donated) or (False,) * len(graph.inputs),
    )
    if options.pop("bounds", True):
        graph = bounds.narrow(graph)
    if moving:
        graph = lift.lift(graph)
    _refuse_huge(graph, profile)
    plan = Planner(profile, options).plan(graph, tuple(donated), name)
    if "FX_DUMP" in os.environ:
        debug.dump_all(graph, plan, name)
    return plan


def _refuse_doubles(graph: Graph, profile: Profile) -> None:
    """Raise where a value is float64 (or complex128), which this device cannot compute."""
    for n in (*graph.inputs, *graph.nodes()):
        if n.dtype.char in "dD":
            where = f" ({n.tag})" if n.tag else ""
            raise DeviceError(
                f"{profile.name or profile.driver} has no float64 arithmetic, and the program has "
                f"a {n.dtype.name} value{where}. Leave enable_x64 off, or choose another device "
                "(fx.devices(), FX_DEVICE)."
            )
        for inner in inner_graphs(n.form):
            _refuse_doubles(inner, profile)


def _refuse_huge(graph: Graph, profile: Profile) -> None:
    """Raise where an array has more elements than the kernels of what is done with it can count."""
    from lowering import graph as g
    from lowering.build.group import BlockReduce
    from lowering.schedule import HUGE

    able = (g.Input, g.Const, g.Map, g.Broadcast, g.Reshape, g.Transpose, g.Slice, g.Reverse)
    able = (*able, g.Concat, g.Reduce, g.Opaque, g.Get, BlockReduce)
    for n in graph.nodes():
        for inner in inner_graphs(n.form):
            _refuse_huge(inner, profile)
        arrays = [x for x in (n, *n.args) if x.outs is None]
        largest = max(arrays, key=lambda x: x.size, default=None)
        if largest is None or largest.size < HUGE:
            continue
        if isinstance(n.form, able):
            continue
        where = f" ({n.tag})" if n.tag else ""
        raise DeviceError(
            f"{type(n.form).__name__}{where}: {largest.dtype.name}{list(largest.shape)} has "
            f"{largest.size} elements, and its kernels count with 32 bits. Do it in parts, for "
            "example with lax.map over a leading axis."
        )


def compile(
    graph: Graph,
    *,
    donated: Sequence[bool] = (),
    device: Any,
    name: str = "",
    joins: bool = True,
) -> Any:
    """An executable of the graph on `device` (lowering.runtime.devices): call it with storages.

    joins: sums may take in a product without rounding it first; without, each rounds as NumPy's.
    """
    if device.profile.driver == "interpreter":
        from lowering.runtime.interpret import InterpreterExecutable

        return InterpreterExecutable(graph)
    from lowering.runtime.direct import bind

    key = saved.key_of(graph, device.profile, donated, name, joins)
    plan = None if key is None else saved.load(key)
    if plan is None:
        from lowering.pocl import builders
        from lowering.runtime import programs

        if programs.shared(device):
            builders.prepare()
        plan = make_plan(graph, device.profile, donated=donated, name=name, joins=joins)
        if key is not None:
            saved.store(key, plan)
    return bind(plan, device)
