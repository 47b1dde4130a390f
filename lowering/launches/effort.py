"""Effort: how long steps take on one core, and when the host launches them; for two decisions.

In: steps whose launches name stages, and the stages' costs in flops. Out: microseconds, rough ones.
`condense` asks whether a loop of launches is cheaper as one task, the run-time whether a plan is
so small that waking the driver's threads would cost more than they save.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from lowering import scalar, schedule
from lowering.emit.scope import Stage
from lowering.nest import Nest
from lowering.plan import CondStep, CopyStep, HostStep, Launch, LoopStep, Step
from lowering.profile import Profile

LAUNCH_US = 5.0  # a launch in a chain of launches, the wait of one worker for the other included
UNITS_PER_US = 4000.0  # of schedule.work, one core, element by element
FEW_LANES = 4  # of a strip up to which it is no faster than that: 16,000 with 16, measured
CALL_US = 0.01  # of a stage, inside a kernel
WAKE_US = 60.0  # until a sleeping thread of the driver begins, and until the host sees its end
TURNS = 100  # of a while loop, which only the data know
INNER_TURNS = 10  # of one inside another loop: a search, a few corrections, a list that is followed
LONGEST_US = 500.0  # that a call may keep the calling thread busy
LONGEST_ALONE_US = 5000.0  # the same where the driver has one thread, which is not faster
PRODUCT_WORK = 0.1  # of a multiply-add in a register tile, where an operation of a nest counts one
DOT_WORK = 0.15  # of a multiply-add, and of what it reads, along rows that stand in one piece
LONG_DOT = 32  # elements of such rows at least


def total_work(nest: Nest, lanes: int = 1, abreast: bool = False) -> float:
    """Flops of the whole nest, roughly: every value as often as the axes it varies over have
    points. What strips do counts less, but for loads of an address a lane; and rows `abreast`.
    """
    total, strip = 0.0, 1 / max(1.0, lanes / FEW_LANES)
    if nest.product is not None:
        total += nest.product.size * nest.product.form.k * PRODUCT_WORK
    dots = _dots(nest)
    for k, v in enumerate(nest.values):
        axes = v.mask
        once = strip
        if k in dots:
            once = DOT_WORK / 2 if abreast else DOT_WORK
        elif v.op == "map":
            once = scalar.cost(v.attr) * strip
        elif v.op == "bits":
            once = 100.0 * strip
        elif v.op == "load" and v.args:
            once = 1.0
        elif v.op in ("const", "index", "guard", "get", "carry", "loop"):
            continue
        if v.is_fold:
            axes = axes.union(*(nest.values[a].mask for a in v.args))
        total += once * prod(
            n if (n := nest.extents[a]) < schedule.MAX_COUNTED else 100 for a in axes
        )
    for s in nest.stores:
        points = prod(nest.extents[a] for a in s.index.axes | nest.values[s.value].mask)
        total += points * (strip if s.dynamic is None else 1.0)
    return total


def _dots(nest: Nest) -> set[int]:
    """Sums of products along rows in one piece, and their loads: strips without anything else."""
    found: set[int] = set()
    for k, v in enumerate(nest.values):
        if v.op != "mad" or len(v.attr) != 1:
            continue
        (a,) = v.attr
        loads = [nest.values[x] for x in v.args]
        whole = all(x.op == "load" and not x.args and x.attr[1].coef(a) == 1 for x in loads)
        if whole and nest.extents[a] >= LONG_DOT:
            found |= {k, *v.args}
    return found


def steps_of(s: LoopStep, inner: bool = False) -> int:
    """How often a loop turns; a guess where only the data know. One without a condition repeats a
    launch of many turns, which is hardly ever needed. `inner`: it stands in a loop.
    """
    if s.count is not None:
        return s.count
    return (INNER_TURNS if inner else TURNS) if s.cond else 0


def one_task_us(
    stages: Sequence[Stage], s: Step, host: float | None = None, inner: bool = False
) -> float | None:
    """Microseconds of a step on one core, None if it cannot run inside a kernel; `host` is what the
    host's functions count for, `inner`: in a loop.
    """
    if isinstance(s, Launch):
        if s.stage is None or stages[s.stage].local != 1:
            return None
        return CALL_US * s.groups + stages[s.stage].cost / UNITS_PER_US
    if isinstance(s, CopyStep):
        return CALL_US + s.nbytes / 1e4
    if isinstance(s, HostStep):
        return host
    groups = s.branches if isinstance(s, CondStep) else (s.body + s.cond,)
    sums: list[float] = []
    within = inner or isinstance(s, LoopStep)
    for group in groups:
        parts = [one_task_us(stages, x, host, within) for x in group]
        if any(x is None for x in parts):
            return None
        sums.append(sum(x for x in parts if x is not None))
    times = steps_of(s, inner) if isinstance(s, LoopStep) else 1
    return max(sums, default=0.0) * times


def host_us(stages: Sequence[Stage], cores: int, s: Step, inner: bool = False) -> float:
    """Microseconds of a step whose launches the host makes, for `cores` threads."""
    if isinstance(s, Launch):
        busy = max(1, min(cores, s.groups))
        return (
            LAUNCH_US + (stages[s.stage].cost if s.stage is not None else 0) / UNITS_PER_US / busy
        )
    if isinstance(s, CopyStep):
        return LAUNCH_US
    if isinstance(s, HostStep):
        return 0.0
    if isinstance(s, CondStep):
        branches = (_in_turn_us(stages, cores, b, inner) for b in s.branches)
        return 3 * LAUNCH_US + max(branches, default=0)
    once = _in_turn_us(stages, cores, (*s.body, *s.cond), True)
    return steps_of(s, inner) * (once + (3 * LAUNCH_US if s.count is None else 0))


def _in_turn_us(stages: Sequence[Stage], cores: int, steps: Sequence[Step], inner: bool) -> float:
    """Microseconds of steps; launches that do not wait for each other will be one (`merge`)."""
    total, groups = 0.0, 0
    read: set[int] = set()
    written: set[int] = set()
    for s in steps:
        if not isinstance(s, Launch) or s.stage is None:
            total += host_us(stages, cores, s, inner)
            groups = 0
            continue
        reads, writes = set(s.reads), set(s.writes)
        if groups == 0 or (reads | writes) & written or writes & read:
            total += LAUNCH_US
            groups, read, written = 0, set(), set()
        groups += s.groups
        read |= reads
        written |= writes
        total += stages[s.stage].cost / UNITS_PER_US / max(1, min(cores, groups))
    return total


def small(stages: Sequence[Stage], steps: Sequence[Step], profile: Profile) -> bool:
    """Whether one core is done before the driver's threads would be. Host steps count for nothing,
    they keep the calling thread busy anyway; but each waits for the threads, in a loop again and
    again.
    """
    if profile.schedule == "gpu":
        return False
    alone = [one_task_us(stages, s, 0.0) for s in steps]
    if any(us is None for us in alone):
        return False
    total = sum(us for us in alone if us is not None)
    waits = sum(_waits(s) for s in steps if not isinstance(s, HostStep))
    threads = (1 + waits) * WAKE_US + sum(host_us(stages, profile.compute_units, s) for s in steps)
    longest = LONGEST_US if profile.compute_units > 1 else LONGEST_ALONE_US
    return total <= (threads if waits else min(threads, longest))


def _waits(s: Step) -> int:
    """How often a step waits for kernels: to hand their results to the host's functions, and where
    the host reads which branch to take, or whether a loop goes on.
    """
    if isinstance(s, LoopStep):
        inner = sum(map(_waits, (*s.body, *s.cond)))
        return max(1, steps_of(s) * (1 + inner)) if s.flag is not None else steps_of(s) * inner
    if isinstance(s, CondStep):
        return 1 + max(sum(map(_waits, b)) for b in s.branches)
    return int(isinstance(s, HostStep))
