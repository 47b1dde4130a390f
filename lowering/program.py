"""Program: stages to OpenCL sources. Many stages are cases of one kernel, chosen by an int
argument.

A stage becomes an inline function of (item, buffers, ints); a kernel takes as many byte pointers
and longs as its widest stage. Stages are dealt to programs of at most `PER_PROGRAM`, in order; a
launch names its program and its case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lowering import mathlib, scalar
from lowering.emit import Stage
from lowering.plan import CondStep, IntArg, Launch, LoopStep, Program, Step

PER_PROGRAM = 24


def assemble(
    stages: Sequence[Stage], steps: Sequence[Step], extra: Sequence[Program]
) -> tuple[tuple[Program, ...], tuple[Step, ...]]:
    """The programs of a plan, and its steps with every launch placed."""
    homes: list[tuple[int, int, int, int]] = []  # stage -> program, case, buffers, ints
    programs: list[Program] = []
    for start in range(0, len(stages), PER_PROGRAM):
        part = stages[start : start + PER_PROGRAM]
        buffers = max(len(s.buffers) for s in part)
        ints = max(len(s.ints) + len(s.windows) for s in part)
        homes += [(len(programs), k, buffers, ints) for k in range(len(part))]
        programs.append(Program(source(part, buffers, ints), "-w"))
    first_extra = len(programs)

    def place(step: Step) -> Step:
        if isinstance(step, Launch):
            if step.stage is None:
                return replace(step, program=first_extra + step.program)
            home, case, buffers, ints = homes[step.stage]
            stage = stages[step.stage]
            refs = list(step.args[: len(stage.buffers)])
            numbers = list(step.args[len(stage.buffers) :])
            refs += [refs[0]] * (buffers - len(refs))
            numbers += [IntArg(0, "long")] * (ints - len(numbers))
            args: list[Any] = [IntArg(case), *refs, *numbers]
            return replace(step, program=home, args=tuple(args), stage=case)
        if isinstance(step, LoopStep):
            return replace(
                step, body=tuple(map(place, step.body)), cond=tuple(map(place, step.cond))
            )
        if isinstance(step, CondStep):
            return replace(step, branches=tuple(tuple(map(place, b)) for b in step.branches))
        return step

    return (*programs, *extra), tuple(map(place, steps))


def source(stages: Sequence[Stage], buffers: int, ints: int) -> str:
    """The OpenCL C of a program: prelude, the functions it needs, stages, the kernel."""
    functions = [stage_function(k, s) for k, s in enumerate(stages)]
    body = "\n\n".join(functions)
    dtypes = {b.dtype for s in stages for b in (*s.buffers, *s.inner)}
    dtypes |= {_np("float64")} if "double" in body else set()
    head = scalar.prelude((2, 4, 8, 16), dtypes)
    library = mathlib.source(mathlib.needed(body))
    return "\n".join([head, library, body, "", kernel(stages, buffers, ints)])


def _np(name: str) -> Any:
    import numpy as np

    return np.dtype(name)


def stage_function(k: int, s: Stage) -> str:
    """The C functions of a stage: its helpers, and the one that the kernel calls."""
    name = f"stage_{k}_"
    text = f"{s.signature(f'stage_{k}')} {{\n{s.text}\n}}"
    return "\n".join([*s.helpers, text]).replace("@", name)


def kernel(stages: Sequence[Stage], buffers: int, ints: int) -> str:
    """The one kernel: a switch over the stages."""
    params = ["const int stage"]
    params += [f"__global uchar *p{j}" for j in range(buffers)]
    params += [f"const long n{j}" for j in range(ints)]
    lines = [
        f"__kernel void fx({', '.join(params)}) {{",
        "  const long item = get_group_id(0);",
        "  switch (stage) {",
    ]
    for k, s in enumerate(stages):
        args = ["item"]
        moves = {j: f" + n{len(s.ints) + w} * {step}" for w, (j, step, _) in enumerate(s.windows)}
        for j, b in enumerate(s.buffers):
            const = "" if b.written else "const "
            args.append(f"(__global {const}{scalar.memory_type(b.dtype)} *)p{j}{moves.get(j, '')}")
        args += [f"n{j}" for j in range(len(s.ints))]
        lines.append(f"  case {k}: stage_{k}({', '.join(args)}); break;")
    return "\n".join([*lines, "  }", "}"]) + "\n"
