"""Program: stages to OpenCL sources. Many stages are cases of one kernel, chosen by an int
argument.

A stage becomes an inline function of (item, buffers, ints); a kernel takes as many byte pointers
and longs as its widest stage. Stages are dealt to programs of at most `PER_PROGRAM`, in order; a
launch names its program and its case. On GPUs each stage is a kernel of its own, because every case
of a kernel pays for the registers and the local memory of the widest one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lowering import mathlib, scalar
from lowering.emit import boxes
from lowering.emit.scope import parameter
from lowering.emit.stage import Stage
from lowering.plan import SIDE_BY_SIDE, CondStep, IntArg, Launch, LoopStep, Program, Step
from lowering.planning import tables
from lowering.profile import INSTRUCTIONS, Profile
from lowering.templates import team, whole

PER_PROGRAM = 24
SHARE = 8000
"""Characters of stages that are worth a program of their own, which another process builds."""
HEADS = {
    "FX_SHORT": "static inline __attribute__((always_inline))",
    "FX_LIST": "static __attribute__((noinline, optnone))",  # what runs is what it calls
    "FX_PART": "static __attribute__((%s))",
    "FX_TEAM": "static __attribute__((noinline, optnone))",
}
"""How functions other than stages are compiled; parts and a team's functions may be built apart
(pocl/parts.py)."""
ALONE = {"intel": "__attribute__((intel_vec_len_hint(1))) "}
"""Of a kernel whose items are groups of one and whose vectors are written out: the compiler
need not try lanes of items (docs/why/few-programs.md).
"""
NAME = re.compile(r"@\w*")
CONVERT = re.compile(r"convert_([a-z]+\d+)\(")  # begins with a letter: found 50 times faster


def assemble(
    stages: Sequence[Stage],
    steps: Sequence[Step],
    extra: Sequence[Program],
    profile: Profile,
) -> tuple[tuple[Program, ...], tuple[Step, ...]]:
    """The programs of a plan, and its steps with every launch placed."""
    separate = profile.schedule == "gpu"
    places = [list(range(len(s.buffers))) for s in stages]
    if profile.driver == "pocl":
        stages, places = zip(*map(tables.tabled, stages), strict=True) if stages else ((), ())
    homes: list[tuple[int, int, int, int]] = []  # stage -> program, case, buffers, ints
    programs: list[Program] = []
    order: dict[int, int] = {}
    for numbers in _deal(stages, profile):
        part = [stages[k] for k in numbers]
        order.update({k: len(homes) + at for at, k in enumerate(numbers)})
        buffers = max(len(s.buffers) for s in part)
        ints = max(len(s.ints) + len(s.windows) for s in part)
        homes += [(len(programs), k, buffers, ints) for k in range(len(part))]
        text = separate_source(part) if separate else source(part, buffers, ints, profile)
        programs.append(Program(targeted(text, profile), "-w"))
    first_extra = len(programs)

    def place(step: Step) -> Step:
        if isinstance(step, Launch):
            if step.stage is None:
                return replace(step, program=first_extra + step.program)
            home, case, buffers, ints = homes[order[step.stage]]
            stage = stages[step.stage]
            if separate:
                return replace(step, program=home, kernel=f"fx{case}", stage=case)
            refs = [step.args[k] for k in places[step.stage]]
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


def size(s: Stage) -> int:
    """Characters of a stage's text."""
    return len(s.text) + sum(map(len, s.helpers))


def pieces(s: Stage) -> set[str]:
    """The functions that a program with this stage has; equal ones of two stages are there once."""
    body = "\n".join(functions([s])[0])
    own = {x.replace("@", "") for x in (s.text, *s.helpers)}
    shared = _shared(body)
    library = mathlib.source(mathlib.needed(shared + body)) + shared
    return own.union(library.split("\n}\n"))


def count_of(sizes: Sequence[int], profile: Profile) -> int:
    """How many programs are built side by side of stages of these sizes. For PoCL one program is
    cut in as many texts as there are cores, and no function is in two (pocl/parts.py).
    """
    if profile.driver == "pocl":
        return 1
    return max(1, min(profile.compute_units, SIDE_BY_SIDE, sum(sizes) // SHARE))


def _deal(stages: Sequence[Stage], profile: Profile) -> list[list[int]]:
    """The numbers of the stages of each program: in order, or, where the texts are long, the
    longest first, each to the program that has least yet.
    """
    sizes = [size(s) for s in stages]
    count = 1 if profile.schedule == "gpu" else min(count_of(sizes, profile), len(stages))
    if count * PER_PROGRAM < len(stages) or count < 2:
        starts = range(0, len(stages), PER_PROGRAM)
        return [list(range(len(stages)))[k : k + PER_PROGRAM] for k in starts]
    programs: list[list[int]] = [[] for _ in range(count)]
    for k in sorted(range(len(stages)), key=lambda k: -sizes[k]):
        open_ = [p for p in programs if len(p) < PER_PROGRAM]
        min(open_, key=lambda p: sum(sizes[j] for j in p)).append(k)
    return [sorted(p) for p in programs]


def source(stages: Sequence[Stage], buffers: int, ints: int, profile: Profile) -> str:
    """The OpenCL C of a program: prelude, the functions it needs, stages, the kernel.

    Stages are not inlined into the kernel: each is then compiled once, and builds take half the
    time (docs/why/few-programs.md). LLVM has to be asked for vectors of 512 bits.
    """
    attributes = "noinline" + (", min_vector_width(512)" if profile.vector_bytes >= 64 else "")
    head = f"#define FX_STAGE static __attribute__(({attributes}))"
    texts, names = functions(stages)
    body = _prelude(stages, "\n\n".join(texts), profile.looks_up, True)
    for name, kind in HEADS.items():
        used = any(f"{name} " in text for text in body)
        head += f"\n#define {name} {kind.replace('%s', attributes)}" if used else ""
    main = kernel(stages, names, buffers, ints, ALONE.get(profile.driver, ""))
    return "\n".join([head, *body, "", main])


def targeted(text: str, profile: Profile) -> str:
    """`text`, compiled for all instructions of the processor. PoCL asks LLVM for the processor's
    name, and an LLVM that is older than the processor has the name of one with fewer. PoCL's own
    functions are compiled for those, so text that takes more passes no vectors to them
    (docs/why/target-attributes.md).
    """
    if profile.driver != "pocl":
        return text
    found = [INSTRUCTIONS[f] for f in INSTRUCTIONS if f in profile.features]
    names = ",".join(name for name, _ in found)
    head = [f"#define {macro} 1" for _, macro in found if macro]
    for vector in sorted(set(CONVERT.findall(text))):
        head.append(f"#define convert_{vector}(x) __builtin_convertvector((x), {vector})")
    if names:
        attribute = f'__attribute__((target("{names}")))'
        head.append(f"#pragma clang attribute push({attribute}, apply_to = function)")
        text = text.rstrip("\n") + "\n#pragma clang attribute pop\n"
    return "\n".join([*head, text])


def separate_source(stages: Sequence[Stage]) -> str:
    """The OpenCL C of a program in which every stage is a kernel."""
    kernels = [own_kernel(k, s) for k, s in enumerate(stages)]
    body = _prelude(stages, "\n\n".join(kernels))
    used = [name for name in ("FX_STAGE", "FX_SHORT") if any(f"{name} " in x for x in body)]
    return "\n".join([*(f"#define {name} static" for name in used), *body]) + "\n"


_UNALIGNED = re.compile(r"_u\b")  # the end of `float16_u`: found 40 times as fast as all of it
_KIND = re.compile(r"\b[a-z]+(?=\d+$)")


def _prelude(
    stages: Sequence[Stage], body: str, looks_up: bool = False, calls: bool = False
) -> list[str]:
    """Typedefs and functions that `body` needs, and `body`; `calls`: functions may stay calls."""
    dtypes = {b.dtype for s in stages for b in (*s.buffers, *s.inner)}
    dtypes |= {_np("float64")} if "double" in body else set()
    shared = _shared(body)
    dtypes |= {_np("float32")} if "float" in shared else set()
    before = [
        _KIND.search(body, max(0, m.start() - 8), m.start()) for m in _UNALIGNED.finditer(body)
    ]
    rows = {m[0] for m in before if m}  # kept rows are of what registers hold
    head = scalar.prelude((2, 4, 8, 16), dtypes, rows)
    called = mathlib.calls(shared + body)
    library = mathlib.source(mathlib.needed(called), called if calls else None, looks_up)
    return [head, library, shared + team.source(body), body]


def _shared(body: str) -> str:
    """The functions that programs share, of those that `body` calls."""
    return whole.source(body) + boxes.source(body)


def _np(name: str) -> Any:
    import numpy as np

    return np.dtype(name)


def functions(stages: Sequence[Stage]) -> tuple[list[str], list[str]]:
    """The C functions of the stages and their helpers, equal ones once, and what the kernel calls
    for each stage. A text's own names begin with `@`; what it calls stands before it.
    """
    texts: list[str] = []
    known: dict[str, list[str]] = {}  # a text with its own names numbered -> these in the program
    called: list[str] = []
    for k, s in enumerate(stages):
        final: dict[str, str] = {}  # the names of this stage's functions in the program
        for text in (*s.helpers, f"{s.signature('@')} {{\n{s.text}\n}}"):
            own = [x for x in dict.fromkeys(NAME.findall(text)) if x not in final]
            numbers = {x: f"@{j}" for j, x in enumerate(own)} | final
            key = NAME.sub(lambda m, names=numbers: names[m[0]], text)
            if key not in known:
                known[key] = [f"stage_{k}_{x[1:]}".rstrip("_") for x in own]
                texts.append(NAME.sub(lambda m, names=known[key]: names[int(m[0][1:])], key))
            final |= zip(own, known[key])
        called.append(final["@"])
    return texts, called


def own_kernel(k: int, s: Stage) -> str:
    """A stage as a kernel; windows into stacked arrays move by the iteration."""
    params = [parameter(b, j) for j, b in enumerate(s.buffers)]
    params += [f"const long n{j}" for j in range(len(s.ints) + len(s.windows))]
    moves = [f"  b{j} += n{len(s.ints) + w};" for w, (j, _) in enumerate(s.windows)]
    text = s.text.split("\n")
    pragmas = [x for x in text if "#pragma OPENCL" in x]  # these must come first
    lines = [
        *s.helpers,
        f"__attribute__((reqd_work_group_size({s.local}, 1, 1)))",
        f"__kernel void fx{k}({', '.join(params)}) {{",
        *pragmas,
        "  const long item = get_group_id(0);",
        *moves,
        *(x for x in text if x not in pragmas),
        "}",
    ]
    return "\n".join(lines).replace("@", f"stage_{k}_")


def kernel(
    stages: Sequence[Stage], names: Sequence[str], buffers: int, ints: int, attribute: str = ""
) -> str:
    """The one kernel: a switch over the stages, whose functions have these names."""
    params = ["const int stage"]
    params += [f"__global uchar *p{j}" for j in range(buffers)]
    params += [f"const long n{j}" for j in range(ints)]
    lines = [
        f"__kernel {attribute}void fx({', '.join(params)}) {{",
        "  const long item = get_group_id(0);",
        "  switch (stage) {",
    ]
    for k, s in enumerate(stages):
        args = ["item"]
        if s.table:
            lines.append(f"  case {k}: {{ {_table(s, names[k])} break; }}")
            continue
        moves = {j: f" + n{len(s.ints) + w}" for w, (j, _) in enumerate(s.windows)}
        for j, b in enumerate(s.buffers):
            const = "" if b.written else "const "
            args.append(f"(__global {const}{scalar.memory_type(b.dtype)} *)p{j}{moves.get(j, '')}")
        args += s.numbers([f"n{j}" for j in range(len(s.ints))])
        lines.append(f"  case {k}: {names[k]}({', '.join(args)}); break;")
    return "\n".join([*lines, "  }", "}"]) + "\n"


def _table(s: Stage, name: str) -> str:
    """The call of a stage that takes a table. Volatile: LLVM would ask of each of the arguments and
    each of the table's places whether others are the same, a millisecond for 40.
    """
    places = ", ".join(f"(uchar *)&p{j}" for j in range(len(s.buffers)))
    args = ["item", "(uchar **)t", *s.numbers([f"n{j}" for j in range(len(s.ints))])]
    return f"uchar *volatile t[] = {{{places}}}; {name}({', '.join(args)});"
