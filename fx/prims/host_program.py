"""Jaxpr to a straight NumPy program: how loops and branches run outside jit, at NumPy's speed.

In: a closed jaxpr. Out: a function of arrays that calls each primitive's NumPy rule in turn and
frees values at their last use. The program is made once a jaxpr and kept on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.core import ClosedJaxpr, Literal, no
from fx.jaxpr import Var


def host_program(closed: ClosedJaxpr) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """The closed jaxpr as a function from a list of arrays to a list of arrays."""
    found = closed.cache.get("host_program")
    if found is None:
        found = closed.cache["host_program"] = _Program(closed)
    return found


class _Program:
    """Registers hold values; each step is (function, parameters, operand registers, results,
    registers to free).
    """

    def __init__(self, closed: ClosedJaxpr):
        self.n = 0
        self.slots: dict[Var, int] = {}
        self.fixed: list[tuple[int, np.ndarray]] = []
        jaxpr = closed.jaxpr
        for v, c in zip(jaxpr.constvars, closed.consts, strict=True):
            self.fixed.append((self._slot(v), core.host.to_numpy(c)))
        self.inputs = [self._slot(v) for v in jaxpr.invars]
        last = core.last_uses(jaxpr)
        self.steps = []
        for k, eqn in enumerate(jaxpr.eqns):
            operands = [self._atom(a) for a in eqn.invars]
            results = [(self._slot(v), v.aval) for v in eqn.outvars]
            free = [self.slots[v] for v in last.get(k, ())]
            rule = _host_rule(eqn)
            several = eqn.primitive.multiple_results
            self.steps.append((rule, eqn.params, operands, results, several, free))
        self.outputs = [self._atom(a) for a in jaxpr.outvars]

    def _slot(self, v: Var) -> int:
        self.slots[v] = self.n
        self.n += 1
        return self.slots[v]

    def _atom(self, a: Any) -> int:
        if isinstance(a, Literal):
            self.fixed.append((self.n, np.asarray(a.val, a.aval.dtype)))
            self.n += 1
            return self.n - 1
        return self.slots[a]

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        registers: list[Any] = [None] * self.n
        for k, value in self.fixed:
            registers[k] = value
        for k, value in zip(self.inputs, arrays, strict=True):
            registers[k] = value
        for rule, params, operands, results, several, free in self.steps:
            out = rule(*[registers[k] for k in operands], **params)
            for (k, aval), value in zip(results, out if several else (out,), strict=True):
                if type(value) is not np.ndarray or value.dtype != aval.dtype:
                    value = core.as_aval(value, aval)
                registers[k] = value
            for k in free:
                registers[k] = None
        return [registers[k] for k in self.outputs]


def _host_rule(eqn: core.JaxprEqn) -> Callable[..., Any]:
    """The NumPy rule; a call runs its jaxpr; others are bound under plain evaluation."""
    p = eqn.primitive
    if p.numpy is not None and not isinstance(p.numpy, no):
        return p.numpy
    for name in ("jaxpr", "call_jaxpr"):
        inner = eqn.params.get(name)
        if isinstance(inner, ClosedJaxpr) and len(inner.in_avals) == len(eqn.invars):
            program = host_program(inner)
            return lambda *arrays, **params: program(arrays)

    def bound(*arrays: np.ndarray, **params: Any) -> Any:
        with core.set_trace(core.EVAL):
            out = p.bind(*(core.host.from_numpy(a, False) for a in arrays), **params)
        if p.multiple_results:
            return [core.host.to_numpy(o) for o in out]
        return core.host.to_numpy(out)

    return bound
