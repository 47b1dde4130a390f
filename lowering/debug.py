"""Debug: every stage as text, and FX_DUMP, which prints them.

FX_DUMP is a comma-separated list of graph, groups, nests, source, plan, or `all`; each is written
to stderr when a function is compiled. `fx.explain` and lowering/README.md show the same texts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from lowering import graph as g
from lowering.fuse import fuse
from lowering.groups import Fusion
from lowering.plan import (
    BufferRef,
    CondStep,
    CopyStep,
    HostStep,
    IntArg,
    IterArg,
    Launch,
    LoopStep,
    Pairs,
    Plan,
    Step,
)

STAGES = ("graph", "groups", "nests", "source", "plan")


def wanted() -> frozenset[str]:
    """The stages that FX_DUMP names."""
    named = {s.strip() for s in os.environ.get("FX_DUMP", "").split(",") if s.strip()}
    if unknown := named - {*STAGES, "all"}:
        raise ValueError(f"FX_DUMP names {sorted(unknown)}; there are {', '.join(STAGES)} and all")
    return frozenset(STAGES if "all" in named else named)


def dump_all(graph: g.Graph, plan: Plan, name: str = "") -> None:
    """Write the stages that FX_DUMP names to stderr; `graph` is the canonical one."""
    texts: dict[str, Callable[[], str]] = {
        "graph": lambda: graph_text(graph),
        "groups": lambda: groups_text(graph, fuse(graph)),
        "nests": lambda: nests_text(plan),
        "source": lambda: source_text(plan),
        "plan": lambda: plan_text(plan),
    }
    for stage in STAGES:
        if stage in wanted():
            head = f"---- {stage}{' of ' + name if name else ''} "
            print(f"{head:-<80}\n{texts[stage]()}", file=sys.stderr)


# ---------------------------------------------------------------- graph and groups


def numbers(graph: g.Graph) -> dict[int, int]:
    """Each node's number in the order of the text, by identity."""
    return {id(n): k for k, n in enumerate(graph.nodes())}


def graph_text(graph: g.Graph) -> str:
    """One line a node: number, form, operands, type; then the outputs."""
    number = numbers(graph)
    lines = [_node_line(n, number) for n in graph.nodes()]
    ends = [("out", graph.outputs), ("effect", graph.effects)]
    lines += [f"{word} {_names(nodes, number)}" for word, nodes in ends if nodes]
    return "\n".join(lines)


def _node_line(n: g.Node, number: dict[int, int]) -> str:
    words = [f"%{number[id(n)]} =", _form_text(n.form), *[_names(n.args, number)][: len(n.args)]]
    kind = ", ".join(map(_type_text, n.outs)) if n.outs else _type_text((n.shape, n.dtype))
    return f"{' '.join(words)} : {kind}"


def _form_text(form: Any) -> str:
    """Like `exp`, `reduce add (1,)`, `broadcast (0, 1)`; of what is true or false, what is true."""
    if isinstance(form, g.Map):
        return form.op
    name = type(form).__name__.lower()
    shown = [
        field if value is True else str(value)
        for field in getattr(form, "__dataclass_fields__", {})
        if isinstance(value := getattr(form, field), str | int | float | bool | complex | tuple)
        and not (isinstance(value, str) and "\n" in value)
        and value is not False
        and not _holds_graphs(value)
    ]
    return " ".join([name, *shown])


def _holds_graphs(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(v, g.Graph) for v in value)


def _type_text(kind: tuple[g.Shape, Any]) -> str:
    shape, dtype = kind
    return f"{dtype.name}[{', '.join(map(str, shape))}]"


def _names(nodes: Iterable[g.Node], number: dict[int, int]) -> str:
    return " ".join(f"%{number[id(n)]}" for n in nodes)


def groups_text(graph: g.Graph, fusion: Fusion) -> str:
    """One line a group: what it computes together and what of that it stores; then the reasons."""
    number = numbers(graph)
    lines = []
    for k, group in enumerate(fusion.groups):
        inside = sorted(number[i] for i in group.nodes if i in number)
        computes = " ".join(f"%{i}" for i in inside) or _names(group.members, number)
        space = ", ".join(map(str, group.space))
        stored = _names(group.members, number)
        lines.append(f"group {k} over [{space}]: computes {computes}; stores {stored}")
    lines += [f"not fused: {what}: {why}" for what, why in fusion.reasons]
    return "\n".join(lines)


# ---------------------------------------------------------------- nests, source, plan


def nests_text(plan: Plan) -> str:
    """The nests of a plan."""
    return "\n\n".join(nest.dump() for _, nest in plan.meta.get("nests", ()))


def source_text(plan: Plan) -> str:
    """The OpenCL C of all programs."""
    return "\n\n".join(p.source for p in plan.programs)


def plan_text(plan: Plan) -> str:
    """Buffers, then steps."""
    lines = []
    for b in plan.buffers:
        place = f" at {b.offset}" if b.offset is not None else ""
        alias = f", over b{b.alias} if donated" if b.alias is not None else ""
        kind = _type_text((b.shape, b.dtype))
        lines.append(f"b{b.id} {b.kind}{place} {kind}, {b.nbytes} bytes{alias}")
    lines.append(f"arena {plan.arena_bytes} bytes, programs {len(plan.programs)}")
    return "\n".join([*lines, *_steps_text(plan.steps, "")])


def _steps_text(steps: Iterable[Step], indent: str) -> list[str]:
    lines = []
    for s in steps:
        if isinstance(s, Launch):
            stage = "" if s.stage is None else f" stage {s.stage}"
            size = "x".join(map(str, s.global_size))
            args = ", ".join(map(_arg_text, s.args))
            lines.append(f"{indent}launch {s.kernel}{stage} of {size} items ({args})")
        elif isinstance(s, HostStep):
            ends = " -> ".join(" ".join(f"b{r.id}" for r in refs) for refs in (s.ins, s.outs))
            lines.append(f"{indent}host {s.label or s.key} {ends}")
        elif isinstance(s, CopyStep):
            lines.append(f"{indent}copy b{s.src.id} -> b{s.dst.id}, {s.nbytes} bytes")
        elif isinstance(s, LoopStep):
            times = "while" if s.count is None else f"{s.count} times"
            lines.append(f"{indent}loop {times}{_swaps_text(s.swaps)}")
            lines += _steps_text((*s.cond, *s.body), indent + "  ")
        elif isinstance(s, CondStep):
            lines.append(f"{indent}branch on b{s.index.id}")
            for k, branch in enumerate(s.branches):
                swaps = _swaps_text(s.swaps[k]) if s.swaps else ""
                lines += [f"{indent}  case {k}{swaps}", *_steps_text(branch, indent + "    ")]
    return lines


def _swaps_text(pairs: Pairs) -> str:
    return "".join(f", swap b{a} b{b}" for a, b in pairs)


def _arg_text(a: Any) -> str:
    if isinstance(a, BufferRef):
        walk = f"+{a.offset}" if a.offset else ""
        return f"b{a.id}{walk}{f'+i*{a.step}' if a.step else ''}"
    if isinstance(a, IntArg):
        return str(a.value)
    if isinstance(a, IterArg):
        return "i" if a.step == 1 else f"i*{a.step}"
    return f"local {a.nbytes}"


# ---------------------------------------------------------------- explain


def explain_text(plan: Plan) -> str:
    """Each kernel launch with its bytes and line; host steps; memory; why edges were not fused."""
    lines = [f"{plan.launches} launches, {len(plan.programs)} programs to build"]
    for step, times in _timed(plan.steps, 1):
        if isinstance(step, Launch):
            read, written = (sum(plan.buffers[k].nbytes for k in ids)
                             for ids in (step.reads, step.writes))  # fmt: skip
            often = f" x {times}" if times != 1 else ""
            label = f"  {step.label}" if step.label else ""
            lines.append(f"  kernel{often}: reads {_size(read)}, writes {_size(written)}{label}")
        elif isinstance(step, HostStep):
            lines.append(f"  host step: {step.label or step.key}")
        elif isinstance(step, CopyStep):
            lines.append(f"  copy: {_size(step.nbytes)}")
    kinds = ("input", "output", "temp")
    sums = {k: sum(b.nbytes for b in plan.buffers if b.kind == k and b.offset is None)
            for k in kinds}  # fmt: skip
    temporary = plan.arena_bytes + sums["temp"]
    lines.append(
        f"memory: arguments {_size(sums['input'])}, results {_size(sums['output'])}, "
        f"temporaries {_size(temporary)}"
    )
    reasons = plan.meta.get("reasons", ())
    if reasons:
        lines.append("not fused:")
        lines += [f"  {what}: {why}" for what, why in reasons]
    return "\n".join(lines)


def _timed(steps: Iterable[Step], times: int) -> Iterable[tuple[Step, int]]:
    """Steps that do something, with how often a call runs them (a while loop's body once)."""
    for s in steps:
        if isinstance(s, LoopStep):
            yield from _timed((*s.cond, *s.body), times * (s.count or 1))
        elif isinstance(s, CondStep):
            for branch in s.branches:
                yield from _timed(branch, times)
        else:
            yield s, times


def _size(nbytes: float) -> str:
    for unit in ("B", "KB", "MB"):
        if nbytes < 1000:
            return f"{nbytes:.4g} {unit}"
        nbytes /= 1000
    return f"{nbytes:.4g} GB"
