"""Recorded functions of large arrays: NumPy at first, a kernel of the same bits once it pays.

In: a closed jaxpr and its NumPy form (fx.numpy.replay). Out: a function that adds up what NumPy
took; beyond WORTH a thread builds the jaxpr's kernel while NumPy goes on, and three calls of the
kernel decide whether it stays. Clocks may decide here: the bits are NumPy's either way.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from time import perf_counter
from types import FunctionType
from typing import Any

import numpy as np

from fx import array, core
from fx.array import Array
from fx.config import config
from fx.core import Primitive
from fx.jaxpr import ClosedJaxpr, Var
from fx.numpy.exact import LARGE, Phase, exact, nbytes, phases
from fx.numpy.replay import written
from fx.passes import dce_closed, hoist_consts
from fx.tree_util import tree_flatten

WORTH = 0.02
"""Seconds that NumPy has taken for a signature: what a small kernel takes to build."""

WORTH_A_DEVICE = 0.1
"""Seconds for all signatures, where no device is in use yet: to open one takes 0.2, of a thread."""

TRIALS = 3
GAIN = 1.25
"""A kernel stays that is quicker by this factor in one of so many calls: what follows finds its
operands in other caches."""

FIRST = 3
"""The call of a signature that makes its program."""

_LIMIT = 1024  # signatures of primitives, before they begin anew


def with_kernel(closed: ClosedJaxpr, tree: Any, host: Callable[..., Any]) -> Callable[..., Any]:
    """`host`, or where arrays are large and kernels give its bits, a function that may become one.
    `tree`: the structure of its result.
    """
    avals = [v.aval for e in closed.jaxpr.eqns for v in (*e.invars, *e.outvars)]
    if nbytes(avals) < LARGE or config.disable_jit:
        return host
    closed = dce_closed(closed, None, True)[0]
    parts = phases(closed, LARGE)
    if not any(part.kernel for part in parts):
        return host
    state = _Signature(closed.jaxpr.invars, parts, tree, host)

    def run(*leaves: Array) -> Any:
        return state.step(leaves)

    return run


def with_kernels(known: dict[Any, Any]) -> Callable[..., Any]:
    """What evaluation asks before it runs a primitive's NumPy rule: gives the value, or None where
    the rule is to run. `known`: signature -> how often it was met, a program, or None for never.
    """

    def apply(p: Primitive, args: Any, avals: Any, out: Any, params: Any) -> Any:
        outs = out if p.multiple_results else (out,)
        if nbytes(avals) + nbytes(outs) < LARGE or not all(type(a) is Array for a in args):
            return None
        try:
            program = known.get(key := (p, config.token(), *avals, *params.items()), 0)
        except TypeError:  # a parameter without a hash
            return None
        if type(program) is int and program < FIRST and core.checker is None:
            program = program + 1 if program + 1 < FIRST else _of_primitive(p, avals, params)
            if len(known) >= _LIMIT:
                known.clear()
            known[key] = program
        return program(*args) if type(program) is FunctionType and core.checker is None else None

    return apply


def _of_primitive(p: Primitive, avals: Any, params: Any) -> Any:
    """A primitive as a function that may become a kernel, or that NumPy deals to the cores; None
    where it is neither.
    """

    def applied(*xs: Any) -> list[Any]:
        out = p.bind(*xs, **params)
        return list(out) if p.multiple_results else [out]

    closed = ClosedJaxpr(*core.trace_to_jaxpr(applied, list(avals)))
    if not p.elementwise and not any(map(exact, closed.jaxpr.eqns)):
        return None
    tree = tree_flatten([0] * len(closed.out_avals) if p.multiple_results else 0)[1]
    host = written(closed, tree)
    found = with_kernel(closed, tree, host)
    return None if found is host and not p.elementwise else found


class _Signature:
    """What is known of a function's kernel; `step` is what the next call does."""

    __slots__ = (
        "best",
        "chosen",
        "host",
        "invars",
        "kernel",
        "parts",
        "spent",
        "step",
        "tree",
        "trials",
    )

    def __init__(self, invars: list[Var], parts: list[Phase], tree: Any, host: Callable[..., Any]):
        self.invars, self.parts, self.tree, self.host = invars, parts, tree, host
        self.spent, self.best, self.trials = 0.0, float("inf"), TRIALS
        self.kernel: Any = None
        self.chosen: Any = None  # the device that was asked for, None for the best
        self.step: Callable[[Sequence[Array]], Any] = self._measured

    def _measured(self, leaves: Sequence[Array]) -> Any:
        """NumPy, by the clock."""
        global _total
        start = perf_counter()
        out = self.host(*leaves)
        took = perf_counter() - start
        self.best = min(self.best, took)
        self.spent += took
        _total += took
        if self.spent > WORTH and (_total > WORTH_A_DEVICE or array.device_is_open()):
            self.step, self.chosen = self._by_numpy, array.chosen_device()
            work = threading.Thread(target=self._build, name="eager-kernel", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads for this user
                work.start()
        return out

    def _by_numpy(self, leaves: Sequence[Array]) -> Any:
        return self.host(*leaves)

    def _build(self) -> None:
        with _building:
            try:
                self.kernel = joined(self.invars, self.parts, self.chosen)
            except Exception:  # NumPy goes on
                return
        if self.kernel is not None:
            self.step = self._tried

    def _tried(self, leaves: Sequence[Array]) -> Any:
        """The kernel, by the clock; NumPy again if it was quicker."""
        if _forked or array.chosen_device() is not self.chosen:
            return self.host(*leaves)
        start = perf_counter()
        outs = self.kernel(leaves)
        for x in outs:
            x.block_until_ready()
        took = perf_counter() - start
        self.trials -= 1
        if took * GAIN < self.best:
            self.step = self._by_kernel
        elif self.trials <= 0:
            self.step = self._by_numpy
        return self._result(outs)

    def _by_kernel(self, leaves: Sequence[Array]) -> Any:
        if _forked or array.chosen_device() is not self.chosen:
            return self.host(*leaves)
        return self._result(self.kernel(leaves))

    def _result(self, outs: list[Any]) -> Any:
        return outs[0] if self.tree.is_leaf() else self.tree.unflatten(outs)


_total = 0.0
_building = threading.Lock()
_forked = False  # then the threads that run the parent's kernels are not there, and NumPy is


def _in_child() -> None:
    global _building, _forked
    _building, _forked = threading.Lock(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def joined(invars: list[Var], parts: list[Phase], chosen: Any) -> Any:
    """The phases, compiled or written out, as a function of a sequence of Arrays that gives a list;
    None where the device has memory of its own.
    """
    device = array.default_device() if chosen is None else chosen
    if device.interpreter or not device.shared:
        return None
    calls = [_kernel(p.closed, device) if p.kernel else _by_numpy(p.closed) for p in parts]
    if len(parts) == 1 and parts[0].ins == invars:
        return calls[0]
    until = {v: k for k, p in enumerate(parts) for v in p.ins}
    done = [[v for v in p.ins if until[v] == k] for k, p in enumerate(parts)]

    def run(leaves: Sequence[Array]) -> list[Any]:
        values: dict[Any, Array] = dict(zip(invars, leaves))
        outs: list[Any] = []
        for call, part, names in zip(calls, parts, done):
            values |= zip(part.outs, outs := call([values[v] for v in part.ins]))
            for v in names:
                del values[v]
        return outs

    return run


def _kernel(closed: ClosedJaxpr, device: Any) -> Any:
    from fx.executable import Runner

    hoisted, consts = hoist_consts(closed.jaxpr, closed.consts)
    values = [x if type(x) is Array else Array(np.array(array.to_numpy(x))) for x in consts]
    donated = (False,) * len(hoisted.in_avals)
    call = Runner(hoisted, donated, device, "eager", joins=False).direct_call()
    return (lambda leaves: call([*values, *leaves])) if values else call


def _by_numpy(closed: ClosedJaxpr) -> Any:
    tree = tree_flatten([0] * len(closed.out_avals))[1]
    host = written(closed, tree)
    return lambda leaves: host(*leaves)


core.large = with_kernels({})
