"""A row's program traced, lowered and planned for a CPU that is written down, not asked for.

So launches, kernels and bytes are the same on every machine, and no driver is needed. `costs` keeps
them in a file, `lowering` takes the time.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import fx
from benchmarks.library import open_library
from benchmarks.rows import load
from fx.core import ClosedJaxpr, Jaxpr, Literal, Var
from fx.executable import graph_of
from fx.passes import cse_jaxpr, dce_closed, hoist_consts
from lowering.compile import make_plan
from lowering.plan import HostStep, Launch, Plan
from lowering.profile import AVX512


@dataclass
class Lowered:
    """A program's plan, its jaxpr without dead code, and the milliseconds of each step."""

    closed: ClosedJaxpr
    plan: Plan
    trace_ms: float
    graph_ms: float
    plan_ms: float

    @property
    def total_ms(self) -> float:
        """All of it."""
        return self.trace_ms + self.graph_ms + self.plan_ms


def lower(name: str, profile: Any = AVX512) -> Lowered:
    """Traces, lowers and plans a row."""
    lib = open_library("fx")
    row = load()[name]
    with lib.x64() if row.x64 else contextlib.nullcontext():
        program = row.build(lib)
        return lower_function(program.fn, program.args, program.donate, profile)


def lower_function(fn: Any, args: Any, donate: Any = (), profile: Any = AVX512) -> Lowered:
    """Traces, lowers and plans fn(*args)."""
    flags = [k in donate for k, arg in enumerate(args) for _ in fx.tree.leaves(arg)]
    clock = time.perf_counter
    start = clock()
    traced = fx.make_jaxpr(fn)(*args)
    closed, consts = hoist_consts(traced.jaxpr, traced.consts)
    traced_at = clock()
    closed, used = dce_closed(closed)
    flags = [f for f, u in zip([False] * len(consts) + flags, used) if u]
    slim = ClosedJaxpr(cse_jaxpr(closed.jaxpr))
    graph = graph_of(slim)
    graph_at = clock()
    plan = make_plan(graph, profile, donated=flags)
    end = clock()
    times = ((traced_at - start) * 1e3, (graph_at - traced_at) * 1e3, (end - graph_at) * 1e3)
    return Lowered(slim, plan, *times)


# ---------------------------------------------------------------- what a plan costs


def costs(lowered: Lowered) -> dict[str, int]:
    """Launches of a call, kernels and programs to build, host steps, bytes beyond the arguments."""
    plan = lowered.plan
    steps = list(plan.walk())
    temporaries = sum(b.nbytes for b in plan.buffers if b.kind == "temp" and b.offset is None)
    return {
        "launches": plan.launches,
        "kernels": len({(s.program, s.kernel, s.stage) for s in steps if isinstance(s, Launch)}),
        "programs": len(plan.programs),
        "host_steps": sum(isinstance(s, HostStep) for s in steps),
        "temporary_bytes": plan.arena_bytes + temporaries,
        "peak_bytes": peak_of_plan(plan),
        "bound_bytes": liveness_bound(lowered.closed.jaxpr),
    }


def peak_of_plan(plan: Plan) -> int:
    """Arguments, results and temporaries of a call; a donated result counts once."""
    whole = {"input", "const"}
    alone = (b for b in plan.buffers if b.kind in whole or (b.alias, b.offset) == (None, None))
    return plan.arena_bytes + sum(b.nbytes for b in alone)


def nbytes(atom: Any) -> int:
    """Bytes of a variable's value; a literal's are none."""
    if isinstance(atom, Literal):
        return 0
    size = 1
    for n in atom.aval.shape:
        size *= n
    return size * atom.aval.dtype.itemsize


def liveness_bound(jaxpr: Jaxpr) -> int:
    """The most bytes alive at any equation if each is run on its own and freed at its last use.

    Arguments belong to the caller and live throughout. A jaxpr inside an equation adds what it
    needs beyond its own arguments and results.
    """
    last: dict[Var, int] = {}
    for place, eqn in enumerate(jaxpr.eqns):
        last.update({v: place for v in eqn.invars if isinstance(v, Var)})
    last.update({v: len(jaxpr.eqns) for v in jaxpr.outvars if isinstance(v, Var)})
    arguments = {*jaxpr.invars, *jaxpr.constvars}
    alive = sum(map(nbytes, arguments))
    peak = alive
    for place, eqn in enumerate(jaxpr.eqns):
        alive += sum(map(nbytes, eqn.outvars))
        inner = max((_inside(sub) for sub in _jaxprs(eqn.params)), default=0)
        peak = max(peak, alive + inner)
        for v in {*eqn.invars, *eqn.outvars}:
            if isinstance(v, Var) and v not in arguments and last.get(v, place) == place:
                alive -= nbytes(v)
    return peak


def _inside(closed: ClosedJaxpr) -> int:
    """What a jaxpr needs beyond its arguments and results."""
    jaxpr = closed.jaxpr
    outside = sum(map(nbytes, {*jaxpr.invars, *jaxpr.constvars}))
    outside += sum(nbytes(v) for v in {v for v in jaxpr.outvars if isinstance(v, Var)})
    return max(0, liveness_bound(jaxpr) - outside)


def _jaxprs(params: dict[str, Any]) -> list[ClosedJaxpr]:
    found = []
    for value in params.values():
        values = value if isinstance(value, tuple | list) else (value,)
        found += [v for v in values if isinstance(v, ClosedJaxpr)]
    return found
