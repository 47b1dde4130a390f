"""Plan: everything needed to run one compiled function; frozen, picklable, free of driver objects.

Made by `memory` from scheduled nests, bound once per device by `runtime.execute`. Steps name
buffers by id; `env[id]` at run time is the memory now bound to that id (swaps rebind ids).
Invariant (`Plan.check`): every reference lies inside its buffer, every index exists.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np

ALIGN = 256
"""Offsets in the arena are multiples of this many bytes; of more where a device asks for it."""

BYTE = np.dtype(np.uint8)
Kind = Literal["input", "output", "temp", "const"]
CTYPES = {
    "int": np.dtype(np.int32),
    "uint": np.dtype(np.uint32),
    "long": np.dtype(np.int64),
    "ulong": np.dtype(np.uint64),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}


# ---------------------------------------------------------------- buffers


@dataclass(frozen=True, slots=True)
class Buffer:
    """One block of memory that steps name by `id` (its place in `Plan.buffers`).

    input   bound to the caller's array
    output  taken from the pool at each call
    temp    at `offset` of the arena, or, with offset None, a block of its own for the call
    const   `data`, uploaded once when the plan is bound

    `alias` (outputs only): this output starts with the contents of that input. It takes over the
    input's memory if the caller donated it and nobody else holds it; otherwise the executor copies
    first.
    """

    id: int
    kind: Kind
    nbytes: int
    shape: tuple[int, ...] = ()
    dtype: np.dtype = BYTE
    alias: int | None = None
    offset: int | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class BufferRef:
    """A pointer into a buffer: `offset` + iteration * `step` bytes from its start.

    On a device with explicit buffers (GPU) a launch argument must stay aligned to ALIGN; kernels
    that walk through stacked xs and ys therefore take an offset as an `IterArg` and leave `step` 0.
    Copies and host steps may use it.
    """

    id: int
    offset: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """A C-contiguous array inside a buffer, as a host step sees it."""

    id: int
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class IntArg:
    """A scalar argument known when the plan is made; set once."""

    value: Any
    ctype: str = "int"


@dataclass(frozen=True, slots=True)
class IterArg:
    """`step` times the iteration of an enclosing loop (`level` 0: the innermost), counted down if
    reversed.
    """

    level: int = 0
    ctype: str = "int"
    step: int = 1


@dataclass(frozen=True, slots=True)
class LocalArg:
    """A __local array of `nbytes`."""

    nbytes: int


Arg = BufferRef | IntArg | IterArg | LocalArg
Pairs = tuple[tuple[int, int], ...]


# ---------------------------------------------------------------- programs and steps


@dataclass(frozen=True, slots=True)
class Program:
    """OpenCL source and build options. Many stages are cases of one kernel (an int argument)."""

    source: str
    options: str = ""


SIDE_BY_SIDE = 4
"""Programs that one function's stages are dealt to, and processes that build them at once."""


@dataclass(frozen=True, slots=True)
class Times:
    """Where a launch of several parts says when each was done: words of 64 bits of a buffer, from
    `first` on, the begin before them; and the parts' labels.
    """

    id: int
    first: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """Enqueue `kernel` of `Plan.programs[program]`; `args`: all in order, stage number included.

    `reads` and `writes` (buffer ids) and `label` are for dumps, explain and `check`; the executor
    does not use them. `part`: what it writes is a part that no other launch so marked writes.
    """

    program: int
    kernel: str
    global_size: tuple[int, ...]
    args: tuple[Arg, ...]
    local_size: tuple[int, ...] | None = None
    stage: int | None = None
    label: str = ""
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    times: Times | None = None
    part: bool = False

    @property
    def groups(self) -> int:
        """How many work-groups it starts; equal stages may be launched over different sizes."""
        return self.global_size[0] // (self.local_size or (1,))[0]


@dataclass(frozen=True, slots=True)
class HostStep:
    """Run fn(*ins) on the host; it returns the outs: a tuple, or one array if there is one.

    `fn` is a module-level function, a functools.partial of one, or any callable (then the plan
    does not pickle); ins are read-only views. `effect`: it is here for what it does.
    `fresh`: the results are new arrays that nobody else holds, the executor may adopt them.
    `inplace`: fn(*ins, *outs) writes into the outs itself and returns nothing.
    """

    key: Any
    fn: Callable[..., Any]
    ins: tuple[ArrayRef, ...]
    outs: tuple[ArrayRef, ...]
    effect: bool = False
    fresh: bool = False
    inplace: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class CopyStep:
    """Copy `nbytes` from src to dst (they do not overlap)."""

    src: BufferRef
    dst: BufferRef
    nbytes: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class LoopStep:
    """Run `body` `count` times, or, given `flag`, while the byte there is not 0 after `cond` ran.

    After each iteration the ids of every pair in `swaps`, in turn, exchange their memory, so an id
    always means "the newest"; after the loop that stays so. A swapped id is an output or a temp; an
    output's partner is an output or a temp with offset None, of the same size. `reverse`: IterArgs
    and steps count from count-1 down to 0. `check_every` n > 1 promises that iterations after the
    flag fell are no-ops (no swaps then): the host looks only every n-th time.
    """

    body: tuple[Step, ...]
    count: int | None = None
    swaps: Pairs = ()
    reverse: bool = False
    cond: tuple[Step, ...] = ()
    flag: BufferRef | None = None
    check_every: int = 1
    label: str = ""

    @property
    def period(self) -> int:
        """After how many iterations each id has the memory that it began with."""
        first = {k: k for pair in self.swaps for k in pair}
        now, period = dict(first), 0
        while not period or now != first:
            period += 1
            for a, b in self.swaps:
                now[a], now[b] = now[b], now[a]
        return period


@dataclass(frozen=True, slots=True)
class CondStep:
    """Read the int32 at `index`, clamp it to the branches, run that branch's steps; then the ids of
    its pairs in `swaps` (none: nothing in any branch) exchange their memory in turn, as a loop's.
    """

    index: BufferRef
    branches: tuple[tuple[Step, ...], ...]
    label: str = ""
    swaps: tuple[Pairs, ...] = ()

    @property
    def pairs(self) -> Pairs:
        """Those of all branches."""
        return tuple(pair for pairs in self.swaps for pair in pairs)


Step = Launch | HostStep | CopyStep | LoopStep | CondStep


# ---------------------------------------------------------------- the plan


@dataclass(frozen=True)
class Plan:
    """Buffers, programs and steps of a function; `inputs`, `outputs`: buffer ids in call order.

    An id may stand twice in `outputs`, and so may an input's (the caller's array is returned).
    `meta`: what explain and cost_analysis print (kernels, bytes, operations, unfused edges, ...).
    `small`: one core is done with it before another would be awake (see lowering.launches.effort).
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    buffers: tuple[Buffer, ...]
    arena_bytes: int
    programs: tuple[Program, ...]
    steps: tuple[Step, ...]
    meta: dict[str, Any] = field(default_factory=dict)
    small: bool = False

    @cached_property
    def portable(self) -> bool:
        """Whether the plan pickles: false if a host step closes over a live Python object."""
        try:
            pickle.dumps(self)
        except Exception:  # pickle raises whatever the objects inside raise
            return False
        return True

    def __getstate__(self) -> dict[str, Any]:
        """Without the nests, which only dumps of a plan that has just been made look at."""
        meta = {k: v for k, v in self.meta.items() if k != "nests"}
        return {k: v for k, v in self.__dict__.items() if k != "portable"} | {"meta": meta}

    def walk(self) -> Iterator[Step]:
        """Every step, those inside loops and branches too, in program order."""
        yield from _walk(self.steps)

    @property
    def host_steps(self) -> int:
        """How many steps make the call wait: host steps, and conditions and flags that the host
        reads."""
        return sum(
            isinstance(s, HostStep | CondStep) or (isinstance(s, LoopStep) and s.flag is not None)
            for s in self.walk()
        )

    @property
    def launches(self) -> int:
        """Launches of one call; branches count as their longest, while loops as one iteration."""
        return _launches(self.steps)

    def check(self) -> Plan:
        """Raise ValueError where an invariant does not hold; returns the plan."""
        for k, b in enumerate(self.buffers):
            _require(b.id == k, f"buffer {k} has id {b.id}")
            _require(b.kind != "const" or b.data is not None, f"constant {k} has no data")
            if b.kind == "temp" and b.offset is not None:
                _require(b.offset % ALIGN == 0, f"buffer {k}: arena offset {b.offset} unaligned")
                _require(b.offset + b.nbytes <= self.arena_bytes, f"buffer {k} outside the arena")
            if b.alias is not None:
                src = self.buffers[b.alias]
                _require(
                    b.kind == "output" and src.kind == "input" and src.nbytes == b.nbytes,
                    f"buffer {k} cannot alias {b.alias}",
                )
        for k in self.inputs:
            _require(self.buffers[k].kind == "input", f"input {k} is {self.buffers[k].kind}")
        for k in self.outputs:
            _require(self.buffers[k].kind in ("input", "output"), f"output {k} is no output")
        _check_steps(self, self.steps, ())
        return self


def _walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    for s in steps:
        yield s
        if isinstance(s, LoopStep):
            yield from _walk(s.cond)
            yield from _walk(s.body)
        elif isinstance(s, CondStep):
            for branch in s.branches:
                yield from _walk(branch)


def _launches(steps: tuple[Step, ...]) -> int:
    total = 0
    for s in steps:
        if isinstance(s, Launch):
            total += 1
        elif isinstance(s, LoopStep):
            times = 1 if s.count is None else s.count
            total += times * (_launches(s.body) + _launches(s.cond))
        elif isinstance(s, CondStep):
            total += max(map(_launches, s.branches), default=0)
    return total


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(f"invalid plan: {message}")


def _check_ref(
    plan: Plan, ref: BufferRef | ArrayRef, nbytes: int, loops: tuple[LoopStep, ...], where: str
) -> None:
    _require(0 <= ref.id < len(plan.buffers), f"{where}: no buffer {ref.id}")
    last = ref.offset
    if ref.step:
        _require(bool(loops) and loops[-1].count is not None, f"{where}: step outside a loop")
        last += ref.step * max(0, (loops[-1].count or 0) - 1)
    size = plan.buffers[ref.id].nbytes
    walk = f"{nbytes} bytes at {ref.offset} (+{ref.step} per iteration)"
    inside = nbytes == 0 or (ref.offset >= 0 and last + nbytes <= size)
    _require(inside, f"{where}: {walk} leave buffer {ref.id} of {size}")


def _check_launch(plan: Plan, s: Launch, loops: tuple[LoopStep, ...]) -> None:
    _require(0 <= s.program < len(plan.programs), f"{s.label}: no program {s.program}")
    _require(1 <= len(s.global_size) <= 3, f"{s.label}: global size {s.global_size}")
    if s.local_size is not None:
        fits = len(s.local_size) == len(s.global_size) and all(
            g % n == 0 for g, n in zip(s.global_size, s.local_size, strict=True)
        )
        _require(fits, f"{s.label}: local size {s.local_size} of {s.global_size}")
    for a in s.args:
        if isinstance(a, BufferRef):
            _check_ref(plan, a, 0, loops, s.label)
        elif isinstance(a, IterArg):
            _require(a.level < len(loops), f"{s.label}: iteration argument outside a loop")


def _check_loop(plan: Plan, s: LoopStep) -> None:
    _require((s.count is None) != (s.flag is None), f"{s.label}: count or flag, one of the two")
    _check_swaps(plan, s.swaps, s.label)


def _check_swaps(plan: Plan, swaps: Pairs, label: str) -> None:
    for pair in swaps:
        a, b = (plan.buffers[k] for k in pair)
        _require(a.nbytes == b.nbytes and a is not b, f"{label}: swap of unequal buffers {pair}")
        kinds = {a.kind, b.kind}
        _require(kinds <= {"temp", "output"}, f"{label}: swap of {kinds}")
        if "output" in kinds:
            held = all(x.kind == "output" or x.offset is None for x in (a, b))
            _require(held, f"{label}: output swapped with an arena temp {pair}")


def _check_steps(plan: Plan, steps: tuple[Step, ...], loops: tuple[LoopStep, ...]) -> None:
    for s in steps:
        if isinstance(s, Launch):
            _check_launch(plan, s, loops)
        elif isinstance(s, CopyStep):
            _check_ref(plan, s.src, s.nbytes, loops, s.label)
            _check_ref(plan, s.dst, s.nbytes, loops, s.label)
        elif isinstance(s, HostStep):
            for r in (*s.ins, *s.outs):
                size = prod(r.shape) * r.dtype.itemsize
                _check_ref(plan, r, size, loops, f"host step {s.key}")
        elif isinstance(s, LoopStep):
            _check_loop(plan, s)
            if s.flag is not None:
                _check_ref(plan, s.flag, 1, loops, s.label)
            _check_steps(plan, s.cond, (*loops, s))
            _check_steps(plan, s.body, (*loops, s))
        else:
            _check_ref(plan, s.index, 4, loops, s.label)
            _require(len(s.swaps) in (0, len(s.branches)), f"{s.label}: swaps of each branch")
            for pairs in s.swaps:
                _check_swaps(plan, pairs, s.label)
            for branch in s.branches:
                _check_steps(plan, branch, loops)
