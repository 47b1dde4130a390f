"""Loops outside jit: NumPy step by step while that is cheaper than compiling, kernels beyond.

A scan is known to be long from its length; a while runs by NumPy until it has done as much work as
a compilation costs, and goes on compiled from there. The choice depends on counts alone, so the
same program gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import array, core
from fx.config import config
from fx.core import ClosedJaxpr, Primitive, get_aval
from fx.executable import runner_for
from fx.passes import sub_jaxprs
from fx.prims.host_program import host_program
from fx.prims.scan import scan_p
from fx.prims.while_ import while_p
from fx.snapshots import snapshots

WORTH_COMPILING = 30_000
"""Applications of primitives: at 2 us each by NumPy, about what compiling a small loop costs
(30000 steps of Adam on two numbers: 7.7 s by NumPy, 1.1 s compiled)."""

_UNKNOWN_LENGTH = 10  # of loops inside


def work(closed: ClosedJaxpr) -> int:
    """How many primitives one evaluation applies."""
    total = 0
    for eqn in closed.jaxpr.eqns:
        inner = sum(work(j) for j in sub_jaxprs(eqn.params))
        times = eqn.params.get("length", 1) if eqn.primitive is scan_p else 1
        total += 1 + inner * (_UNKNOWN_LENGTH if eqn.primitive is while_p else times)
    return total


def _may_compile(closed: ClosedJaxpr) -> bool:
    plain = core.checker is None and not closed.effects and not config.disable_jit
    return plain and not array.default_device().interpreter


def _compiled(p: Primitive, args: Sequence[Any], params: dict[str, Any], body: ClosedJaxpr) -> Any:
    """The loop as a compiled program; kept with the body's jaxpr."""
    avals = [get_aval(a) for a in args]
    key = ("eager loop", *avals, *((k, v) for k, v in params.items() if isinstance(v, int | None)))
    closed = body.cache.get(key)
    if closed is None:
        closed = core.close(lambda *operands: p.bind(*operands, **params), avals)
        body.cache[key] = closed
    runner = runner_for(closed, (False,) * len(args), array.default_device(), p.name)
    return runner([*closed.consts, *args])


def _evaluate_scan(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    body: ClosedJaxpr = params["jaxpr"]
    if params["length"] * work(body) >= WORTH_COMPILING and _may_compile(body):
        return _compiled(scan_p, args, params, body)
    return core.EVAL.apply(scan_p, args, params)


def _evaluate_while(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    test, body = params["cond_jaxpr"], params["body_jaxpr"]
    if params["max_steps"] is not None or test.effects or not _may_compile(body):
        return core.EVAL.apply(while_p, args, params)
    arrays = [core.as_aval(core.host.to_numpy(a), get_aval(a)) for a in snapshots(args)]
    n, m = params["cond_nconsts"], params["body_nconsts"]
    test_consts, body_consts, carry = arrays[:n], arrays[n : n + m], arrays[n + m :]
    ask, step = host_program(test), host_program(body)
    steps = 1 + WORTH_COMPILING // (work(body) + work(test) + 1)
    with np.errstate(all="ignore"):
        while ask([*test_consts, *carry])[0]:
            if not steps:
                values = map(_value, carry, body.out_avals)
                return _compiled(while_p, [*args[: n + m], *values], params, body)
            carry = step([*body_consts, *carry])
            steps -= 1
    return list(map(_value, carry, body.out_avals))


def _value(a: np.ndarray, aval: Any) -> Any:
    return core.host.from_numpy(core.as_aval(a, aval), aval.weak_type)


scan_p.trace_rules["eval"] = _evaluate_scan
while_p.trace_rules["eval"] = _evaluate_while
