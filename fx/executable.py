"""From a jaxpr to a function of flat array values: lower to a Graph, compile for a device, run.

A Runner drops dead code and unread inputs, passes outputs that are inputs or literals through,
and hands the rest to the back end. One is kept per jaxpr, device and donation; making one runs no
kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import array, core
from fx.avals import ShapedArray, float0, storage_dtype
from fx.calls import Call
from fx.core import ClosedJaxpr, Jaxpr, Literal, Var
from fx.lower import lower_eqns
from fx.passes import cse_jaxpr, dce_closed
from lowering.graph import Builder, Graph


def graph_of(closed: ClosedJaxpr) -> Graph:
    """The Graph of a jaxpr without constants."""
    b = Builder()
    inputs = [b.input(a.shape, storage_dtype(a.dtype)) for a in closed.in_avals]
    return b.graph(lower_eqns(b, closed.jaxpr, [], inputs))


class Runner:
    """A jaxpr compiled for a device; call it with the list of its input values."""

    __slots__ = ("call", "device", "donated", "graph", "name", "outputs", "used")

    def __init__(
        self,
        closed: ClosedJaxpr,
        donated: Sequence[bool],
        device: Any,
        name: str,
        joins: bool = True,
    ):
        out_avals = closed.out_avals
        closed, _ = dce_closed(closed, [a.dtype != float0 for a in out_avals], True)
        self.name, self.device = name, device
        jaxpr = cse_jaxpr(closed.jaxpr)
        computed, self.outputs = _split_outputs(jaxpr, out_avals, donated)
        read = {a for e in jaxpr.eqns for a in e.invars if isinstance(a, Var)} | set(computed)
        used = [k for k, v in enumerate(jaxpr.invars) if v in read]
        self.used = None if len(used) == len(jaxpr.invars) else used
        flags = [donated[k] for k in used]
        self.donated = tuple(k for k, d in enumerate(flags) if d)
        self.graph = self.call = None
        if jaxpr.eqns or computed:
            invars = [jaxpr.invars[k] for k in used]
            slim = ClosedJaxpr(Jaxpr([], invars, computed, jaxpr.eqns, jaxpr.effects))
            self.graph = graph_of(slim)
            from fx.jit import compile_graph

            executable = compile_graph(self.graph, flags, device, name, joins)
            self.call = Call(executable, device, slim.in_avals, slim.out_avals)

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        call, used, plan = self.call, self.used, self.outputs
        if call is None:
            outs = []
        else:
            given = values if used is None else [values[k] for k in used]
            outs = call(given, self.donated)
        if plan is None:
            return outs
        final = []
        for kind, k in plan:
            value = k if kind == "literal" else values[k] if kind == "input" else outs[k]
            final.append(value if kind == "computed" else output(value))
        return final

    def direct_call(self) -> Any:
        """What a hot call calls with the input values: this, or the executable beneath where this
        would only hand the values on.
        """
        plain = self.used is None and self.outputs is None and not self.donated
        return self.call if plain and self.call is not None else self


def output(value: Any) -> Any:
    """An output that is not computed: the same as an earlier one, a literal, or an input.

    Each is an Array of its own, or donating one result would delete another, or the caller's input.
    """
    if type(value) is array.Array:
        return array.alias(value)
    if getattr(value, "dtype", None) == float0:
        return value
    aval = core.get_aval(value)
    return array.from_numpy(np.array(value, aval.dtype), aval.weak_type)


def _split_outputs(
    jaxpr: Jaxpr, out_avals: Sequence[ShapedArray], donated: Sequence[bool]
) -> tuple[list[Any], Any]:
    """The outputs to compute, and where each output comes from; None where all are computed in
    order. `out_avals` are of all outputs; the jaxpr has those that are not float0: zeros without
    storage, which nothing computes.
    """
    outvars = iter(jaxpr.outvars)
    inputs = {v: k for k, v in enumerate(jaxpr.invars)}
    computed: list[Any] = []
    places: dict[Any, int] = {}
    plan: list[tuple[str, Any]] = []
    for aval in out_avals:
        if aval.dtype == float0:
            plan.append(("literal", np.zeros(aval.shape, float0)))
            continue
        a = next(outvars)
        if isinstance(a, Literal):
            value = np.asarray(a.val, a.aval.dtype)
            plan.append(("literal", array.from_numpy(value, a.aval.weak_type)))
        elif a in inputs and not donated[inputs[a]]:
            plan.append(("input", inputs[a]))
        else:
            kind = "again" if a in places else "computed"
            if kind == "computed":
                places[a] = len(computed)
                computed.append(a)
            plan.append((kind, places[a]))
    trivial = all(kind == "computed" and k == i for i, (kind, k) in enumerate(plan))
    return computed, None if trivial else plan


def runner_for(closed: ClosedJaxpr, donated: Sequence[bool], device: Any, name: str) -> Runner:
    """The Runner of a jaxpr without constants; kept with the jaxpr."""
    key = ("runner", tuple(donated), device)
    found = closed.cache.get(key)
    if found is None:
        found = closed.cache[key] = Runner(closed, donated, device, name)
    return found


def evaluate_jit(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """`jit` outside every transformation: compile, or take the compiled one, and run."""
    from fx.config import config

    closed = params["jaxpr"]
    if config.disable_jit:
        return core.eval_jaxpr(closed.jaxpr, closed.consts, *args)
    device = array.default_device()
    return runner_for(closed, params["donated"], device, params["name"])(args)
