"""`fx.extend.core`: jaxprs, primitives and traces, under JAX's names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from fx.avals import ShapedArray
from fx.core import EVAL, Tracer, set_trace, state
from fx.core import ClosedJaxpr as ClosedJaxpr
from fx.core import DebugInfo as DebugInfo
from fx.core import DropVar as DropVar
from fx.core import Effect as Effect
from fx.core import Effects as Effects
from fx.core import Jaxpr as Jaxpr
from fx.core import JaxprEqn as JaxprEqn
from fx.core import Literal as Literal
from fx.core import Primitive as Primitive
from fx.core import Trace as TraceTag
from fx.core import Var as Var
from fx.core import is_array_value as valid_jaxtype
from fx.core import jaxpr_as_fun as jaxpr_as_fun
from fx.core import set_trace as set_current_trace
from fx.errors import ConcretizationTypeError
from fx.passes import check_jaxpr as check_jaxpr

__all__ = ["TraceTag", "set_current_trace", "valid_jaxtype"]

no_effects: frozenset = frozenset()


def gensym(suffix: str = "") -> Callable[[ShapedArray], Var]:
    """A function that makes fresh variables."""
    return Var


def new_jaxpr_eqn(
    invars: Any,
    outvars: Any,
    primitive: Primitive,
    params: dict[str, Any],
    effects: Any = no_effects,
    source_info: Any = None,
    ctx: Any = None,
) -> JaxprEqn:
    """An equation."""
    return JaxprEqn(list(invars), list(outvars), primitive, params, frozenset(effects), source_info)


def mapped_aval(size: int, axis: int | None, aval: ShapedArray) -> ShapedArray:
    """The aval of one example of a batch whose axis `axis` has `size` examples; None: of what
    all examples share.
    """
    if axis is None:
        return aval
    if aval.shape[axis] != size:
        raise ValueError(f"axis {axis} of {aval.str_short()} has not the size {size}")
    return aval.update(shape=aval.shape[:axis] + aval.shape[axis + 1 :])


def unmapped_aval(size: int, axis: int | None, aval: ShapedArray) -> ShapedArray:
    """The aval of a batch of `size` examples along a new axis; None: of what they share."""
    if axis is None:
        return aval
    return aval.update(shape=(*aval.shape[:axis], size, *aval.shape[axis:]))


def concrete_or_error(force: Any, val: Any, context: str = "") -> Any:
    """`force(val)` of a concrete value; ConcretizationTypeError, with `context`, for a
    traced one.
    """
    if isinstance(val, Tracer) and val.concrete() is None:
        raise ConcretizationTypeError(
            f"{context or 'a concrete value is needed'}: got {val}{val.origin()}"
        )
    return val if force is None else force(val)


def find_top_trace(values: Any) -> Any:
    """The current trace."""
    return state.trace


class take_current_trace(set_trace):
    """Context manager: gives the current trace, and evaluates at once inside the block."""

    def __init__(self) -> None:
        super().__init__(EVAL)

    def __enter__(self) -> Any:
        super().__enter__()
        return self.old


def get_opaque_trace_state(convention: Any = None) -> Any:
    """A value that is equal in calls under the same trace and the same named axes."""
    return id(state.trace), tuple(itertools.chain(state.axes.items()))


def unsafe_get_axis_names_DO_NOT_USE() -> list[Any]:
    """The named axes in scope."""
    return list(state.axes)


def jaxprs_in_params(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The jaxprs that an equation's parameters hold."""
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Jaxpr | ClosedJaxpr):
                yield item.jaxpr if isinstance(item, ClosedJaxpr) else item


def subjaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """The jaxprs inside a jaxpr's equations, one level down."""
    for eqn in jaxpr.eqns:
        yield from jaxprs_in_params(eqn.params)


def unsafe_am_i_under_a_jit_DO_NOT_USE() -> bool:
    """Whether something records a jaxpr now."""
    return _under("jaxpr")


def unsafe_am_i_under_a_vmap_DO_NOT_USE() -> bool:
    """Whether vmap maps what runs now."""
    return _under("batch")


def _under(kind: str) -> bool:
    trace = state.trace
    while trace.kind not in (kind, "eval"):
        trace = trace.parent
    return trace.kind == kind
