"""Recording: a function run on tracers of a JaxprTrace leaves its equations behind as a jaxpr.

Part of fx.core, which re-exports these names; import them from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx.avals import ShapedArray
from fx.core import (
    EVAL,
    Primitive,
    Trace,
    Tracer,
    check_alive,
    get_aval,
    set_trace,
    state,
    user_source,
)
from fx.errors import where
from fx.jaxpr import NO_INFO, Atom, ClosedJaxpr, DebugInfo, Jaxpr, JaxprEqn, Literal, Var


class JaxprTracer(Tracer):
    """A variable of the jaxpr that is being recorded: it has an aval, and no value yet."""

    __slots__ = ("aval", "name", "variable")

    def __init__(self, trace: JaxprTrace, var: Var, name: str | None = None):
        super().__init__(trace)
        self.variable = var
        self.aval = var.aval
        self.name = name  # the argument's path, for error messages

    def origin(self) -> str:
        trace: Any = self._trace
        names = [self.name] if self.name is not None else trace.arguments_of(self.variable)
        if not names:
            return super().origin()
        what = "is" if self.name is not None else "depends on"
        many = "s" if len(names) > 1 else ""
        return (
            f"\nThe value {what} the argument{many} {', '.join(names)} of {trace.function}."
            + where(self._source)
        )


class JaxprTrace(Trace):
    """Records equations. Values of other traces and arrays become constvars; Python scalars become
    literals.
    """

    kind = "jaxpr"

    def __init__(self, parent: Trace, function: str = "the traced function"):
        self.parent = parent
        self.function = function
        self.eqns: list[JaxprEqn] = []
        self.arg_names: dict[Var, str] = {}
        self.constants: dict[int, tuple[Atom, Any]] = {}  # literals have no constvar
        self.alive = True

    def end(self) -> None:
        """Nothing is recorded any more; values it holds are not kept alive by leaked tracers."""
        super().end()
        self.constants.clear()

    def new_arg(self, aval: ShapedArray, name: str | None = None) -> JaxprTracer:
        arg = JaxprTracer(self, Var(aval), name)
        if name is not None:
            self.arg_names[arg.variable] = name
        return arg

    def arguments_of(self, v: Var) -> list[str]:
        """The names of the arguments that a variable depends on, for error messages."""
        needed = {v}
        for eqn in reversed(self.eqns):
            if not needed.isdisjoint(eqn.outvars):
                needed.update(a for a in eqn.invars if isinstance(a, Var))
        return [name for var, name in self.arg_names.items() if var in needed]

    def atom(self, x: Any) -> Atom:
        """The variable or literal that stands for x in this jaxpr."""
        if isinstance(x, Tracer):
            if x._trace is self:
                return x.variable  # type: ignore[attr-defined]
            check_alive(x)
        elif type(x) in (bool, int, float, complex) or isinstance(x, np.generic):
            aval = get_aval(x)
            if type(x) is int and not -(1 << 31) <= x < 1 << 31:
                aval.dtype.type(x)  # OverflowError where it does not fit
            return Literal(x, aval)
        found = self.constants.get(id(x))
        if found is None:
            found = self.constants[id(x)] = (Var(get_aval(x)), x)
        return found[0]

    def write_out(self, array: Any, scalar: np.generic) -> None:
        """Have an array of this trace's written as the literal that it holds."""
        self.constants[id(array)] = (Literal(scalar, get_aval(array)), array)

    def process(self, p: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        rule = p.trace_rules.get("jaxpr")
        if rule is not None:
            return rule(self, args, params)
        return self.record(p, [self.atom(a) for a in args], params)

    def record(self, p: Primitive, atoms: list[Atom], params: dict[str, Any]) -> Any:
        """Append one equation and return tracers for its outputs."""
        avals = [a.aval for a in atoms]
        out = p.out_avals(avals, params)
        effects = p.effects(*avals, **params) if p.effects is not None else frozenset()
        outs = [Var(a) for a in (out if p.multiple_results else (out,))]
        source = user_source()
        self.eqns.append(JaxprEqn(atoms, outs, p, params, effects, source))
        tracers = [JaxprTracer(self, v) for v in outs]
        for t in tracers:
            t._source = source
        return tracers if p.multiple_results else tracers[0]

    def to_jaxpr(
        self, args: Sequence[JaxprTracer], outs: Sequence[Any], debug_info: DebugInfo = NO_INFO
    ) -> tuple[Jaxpr, list[Any]]:
        """The jaxpr from `args` to `outs`, and the values of its constvars."""
        outvars = [self.atom(o) for o in outs]
        held = [(v, c) for v, c in self.constants.values() if isinstance(v, Var)]
        constvars, consts = [v for v, _ in held], [c for _, c in held]
        jaxpr = Jaxpr(constvars, [a.variable for a in args], outvars, self.eqns, None, debug_info)
        return jaxpr, consts


def recorder() -> JaxprTrace | None:
    """The trace whose jaxpr takes what is bound now, or what transformations make of it; None where
    it is computed at once.
    """
    trace: Any = state.trace
    while trace is not EVAL and trace.kind != "jaxpr":
        trace = trace.parent
    return None if trace is EVAL else trace


def trace_to_jaxpr(
    fun: Callable[..., Sequence[Any]],
    avals: Sequence[ShapedArray],
    names: Sequence[str | None] | None = None,
    debug_info: DebugInfo = NO_INFO,
) -> tuple[Jaxpr, list[Any]]:
    """Trace `fun(*flat tracers) -> flat outputs` on avals: a jaxpr and its constants (which may be
    outer tracers).
    """
    trace = JaxprTrace(state.trace, debug_info.name)
    args = [trace.new_arg(a, n) for a, n in zip(avals, names or [None] * len(avals), strict=True)]
    try:
        with set_trace(trace):
            outs = list(fun(*args))
        return trace.to_jaxpr(args, outs, debug_info)
    finally:
        trace.end()


def close(
    fun: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray], debug_info: DebugInfo = NO_INFO
) -> ClosedJaxpr:
    """Trace `fun` on avals to a closed jaxpr."""
    return ClosedJaxpr(*trace_to_jaxpr(fun, avals, None, debug_info))
