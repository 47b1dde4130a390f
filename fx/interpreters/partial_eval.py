"""`fx.interpreters.partial_eval`: splitting a function by what is known, under JAX's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fx.core import ClosedJaxpr, Jaxpr, get_aval, set_trace, state
from fx.core import JaxprTracer as DynamicJaxprTracer
from fx.extend.linear_util import WrappedFun
from fx.linearize import PartialTrace, prune
from fx.passes import dce_jaxpr as _dce
from fx.recording import trace_to_jaxpr

JaxprTracer = DynamicJaxprTracer
__all__ = ["JaxprTracer", "PartialVal", "dce_jaxpr", "trace_to_jaxpr_dynamic"]


class PartialVal(NamedTuple):
    """A known value (None, value), or an unknown one of a type (aval, None)."""

    pv: Any
    const: Any

    @classmethod
    def known(cls, const: Any) -> PartialVal:
        """A value that is known."""
        return cls(None, const)

    @classmethod
    def unknown(cls, aval: Any) -> PartialVal:
        """A value of which the type is known."""
        return cls(aval, None)

    def is_known(self) -> bool:
        """Whether the value is known."""
        return self.pv is None

    def get_known(self) -> Any:
        """The known value, or None."""
        return self.const if self.pv is None else None

    def get_aval(self) -> Any:
        """The type."""
        return get_aval(self.const) if self.pv is None else self.pv


def _call(fun: Any) -> Callable[..., Any]:
    return fun.call_wrapped if isinstance(fun, WrappedFun) else fun


def trace_to_jaxpr_nounits(
    fun: Any, pvals: Sequence[PartialVal], instantiate: bool = False
) -> tuple[Jaxpr, list[PartialVal], list[Any]]:
    """Run `fun` on known values, record what depends on unknown ones.

    Returns (jaxpr of the unknown outputs, outputs as PartialVals, constants of the jaxpr).
    """
    trace = PartialTrace(state.trace)
    args = [trace.new_arg(p.pv) if p.pv is not None else p.const for p in pvals]
    unknown = [a for a, p in zip(args, pvals) if p.pv is not None]
    try:
        with set_trace(trace):
            outs = list(_call(fun)(*args))
        left = [instantiate or trace.is_unknown(o) for o in outs]
        jaxpr, consts = trace.to_jaxpr(unknown, [o for o, u in zip(outs, left) if u])
    finally:
        trace.end()
    jaxpr, consts = prune(jaxpr, consts)
    found = [
        PartialVal.unknown(get_aval(o)) if u else PartialVal.known(o) for o, u in zip(outs, left)
    ]
    return jaxpr, found, consts


def trace_to_jaxpr_dynamic(
    fun: Any, in_avals: Sequence[Any], **options: Any
) -> tuple[Jaxpr, list[Any], list[Any]]:
    """The jaxpr of a flat function, the types of its outputs, and its constants."""
    jaxpr, consts = trace_to_jaxpr(_call(fun), list(in_avals))
    return jaxpr, ClosedJaxpr(jaxpr, consts).out_avals, consts


def dce_jaxpr(
    jaxpr: Jaxpr, used_outputs: Sequence[bool], instantiate: bool | Sequence[bool] = False
) -> tuple[Jaxpr, list[bool]]:
    """The jaxpr with only the outputs that are used, and which inputs it reads."""
    keep = instantiate if isinstance(instantiate, bool) else all(instantiate)
    return _dce(jaxpr, list(used_outputs), keep)
