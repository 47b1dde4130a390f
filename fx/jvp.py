"""Forward mode: `jvp` carries (primal, tangent) pairs through a function; `jvp_jaxpr` does it to a
jaxpr.

A JVPTracer holds a primal and a tangent, both values of the trace beneath; a tangent may be a
symbolic Zero. Values that belong to other traces are constants here, which is what keeps nested
derivatives apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, ref_loops
from fx.avals import ShapedArray, float0
from fx.core import (
    ClosedJaxpr,
    Primitive,
    Trace,
    Tracer,
    Zero,
    get_aval,
    instantiate,
    set_trace,
    state,
)
from fx.flatten import flatten_function
from fx.refs import live
from fx.tree_util import tree_flatten, tree_structure, tree_unflatten


class JVPTracer(Tracer):
    """A primal and its tangent."""

    __slots__ = ("aval", "primal", "tangent")

    def __init__(self, trace: Trace, primal: Any, tangent: Any):
        self._trace = trace
        self._source = None
        self.primal = primal
        self.tangent = tangent
        self.aval = get_aval(primal)

    def concrete(self) -> Any:
        p = self.primal
        return p.concrete() if isinstance(p, Tracer) else p

    def origin(self) -> str:
        return self.primal.origin() if isinstance(self.primal, Tracer) else ""


class JVPTrace(Trace):
    """Applies jvp rules; the rules' operations run under the parent trace."""

    kind = "jvp"

    def __init__(self, parent: Trace):
        self.parent = parent
        self.alive = True

    def split(self, args: Sequence[Any]) -> tuple[list[Any], list[Any], bool]:
        """Primals, tangents, and whether any tangent is nonzero."""
        primals, tangents, live = [], [], False
        for a in args:
            if type(a) is JVPTracer and a._trace is self:
                primals.append(a.primal)
                tangents.append(a.tangent)
                live = live or type(a.tangent) is not Zero
            else:
                primals.append(a)
                tangents.append(None)
        return primals, tangents, live

    def process(self, p: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        primals, tangents, live = self.split(args)
        old, state.trace = state.trace, self.parent
        try:
            if not live:
                return p.bind(*primals, **params)
            for k, t in enumerate(tangents):
                if t is None:
                    tangents[k] = Zero.like(primals[k])
            rule = p.trace_rules.get("jvp")
            if rule is not None:
                return rule(self, primals, tangents, params)
            out, tangent = (p.jvp or p.rule("jvp"))(primals, tangents, **params)
        finally:
            state.trace = old
        if p.multiple_results:
            return [self.wrap(o, t) for o, t in zip(out, tangent, strict=True)]
        return self.wrap(out, tangent)

    def wrap(self, primal: Any, tangent: Any) -> Any:
        """A tracer, or the plain primal where the tangent is zero."""
        return primal if type(tangent) is Zero else JVPTracer(self, primal, tangent)

    def unwrap(self, out: Any) -> tuple[Any, Any]:
        if type(out) is JVPTracer and out._trace is self:
            return out.primal, out.tangent
        return out, Zero.like(out) if core.is_array_value(out) else None


def jvp_flat(
    fun: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """Forward mode on flat values; tangents may be Zero on the way in and out."""
    trace = JVPTrace(state.trace)
    try:
        with set_trace(trace):
            outs = fun(*[trace.wrap(p, t) for p, t in zip(primals, tangents, strict=True)])
        pairs = [trace.unwrap(o) for o in outs]
        return [p for p, _ in pairs], [t for _, t in pairs]
    finally:
        trace.end()


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of `fun` at `primals` and its derivative in direction `tangents`.

    Returns (primals_out, tangents_out), and the auxiliary data third with has_aux. Raises
    TypeError where primals and tangents differ in structure, shape or dtype (tangents of integers
    have dtype float0).

    >>> jvp(lambda x: x * x, (3.0,), (1.0,))
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TypeError(
            "primal and tangent arguments to jvp must be tuples or lists; "
            f"found {type(primals).__name__} and {type(tangents).__name__}."
        )
    if live:
        return ref_loops.jvp(fun, tuple(primals), tuple(tangents), has_aux, _jvp_of_values)
    return _jvp_of_values(fun, primals, tangents, has_aux)


def _jvp_of_values(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool
) -> tuple[Any, ...]:
    flat_primals, in_tree = tree_flatten(tuple(primals))
    flat_tangents, tangent_tree = tree_flatten(tuple(tangents))
    if in_tree != tangent_tree or isinstance(primals, tuple) != isinstance(tangents, tuple):
        raise TypeError(
            "primal and tangent arguments to jvp must have the same tree structure; primals have "
            f"tree structure {tree_structure(primals)} whereas tangents have tree structure "
            f"{tree_structure(tangents)}."
        )
    tangents_in = [check_tangent(p, t) for p, t in zip(flat_primals, flat_tangents)]
    flat_fun, out = flatten_function(fun, in_tree, has_aux)
    primals_out, tangents_out = jvp_flat(flat_fun, flat_primals, tangents_in)
    core.check_leaks()
    count = out.tree.num_leaves
    aux = [tree_unflatten(out.aux_tree, primals_out[count:])] if has_aux else []
    tangents_out = [instantiate(t) for t in tangents_out[:count]]
    return (
        tree_unflatten(out.tree, primals_out[:count]),
        tree_unflatten(out.tree, tangents_out),
        *aux,
    )


def check_tangent(primal: Any, tangent: Any) -> Any:
    """The tangent as this primal's, or TypeError/ValueError; float0 tangents become Zero.

    Numbers become arrays: operators in rules would compute on a Python number as Python does.
    """
    aval = get_aval(primal)
    expected = aval.to_tangent_aval()
    if type(tangent) is Zero:
        return tangent
    if isinstance(tangent, np.ndarray) and tangent.dtype == float0:
        given = ShapedArray(tangent.shape, float0)
    else:
        given = get_aval(tangent)
    if given.dtype != expected.dtype:
        raise TypeError(
            "primal and tangent arguments to jvp do not match; dtypes must be equal, or in case of "
            "int/bool primal dtype the tangent dtype must be float0. "
            f"Got primal dtype {aval.dtype.name} and so expected tangent dtype "
            f"{_name(expected.dtype)}, but got tangent dtype {_name(given.dtype)} instead."
        )
    if given.shape != aval.shape:
        raise ValueError(
            "jvp called with different primal and tangent shapes; "
            f"Got primal shape {aval.shape} and tangent shape as {given.shape}"
        )
    if expected.dtype == float0:
        return Zero(expected)
    if isinstance(tangent, int | float | complex | np.ndarray | np.generic):
        return core.host.from_numpy(np.array(tangent, given.dtype), given.weak_type)
    return tangent


def _name(dtype: np.dtype) -> str:
    return "float0" if dtype == float0 else dtype.name


# ---------------------------------------------------------------- on jaxprs


def jvp_jaxpr(
    closed: ClosedJaxpr,
    nonzeros: Sequence[bool],
    instantiate_out: bool | Sequence[bool] = False,
) -> tuple[ClosedJaxpr, list[bool]]:
    """The jaxpr of (*primals, *nonzero tangents) -> (*primals out, *nonzero tangents out), and
    which outputs those are.

    `instantiate_out` forces tangents to be given for these outputs (float0 ones stay absent).
    Cached on the jaxpr.
    """
    n_out = len(closed.jaxpr.outvars)
    force = [instantiate_out] * n_out if isinstance(instantiate_out, bool) else instantiate_out
    key = ("jvp", tuple(nonzeros), tuple(force))
    found = closed.cache.get(key)
    if found is not None:
        return found
    nonzeros_out: list[bool] = []

    def fun(*args: Any) -> list[Any]:
        n = len(nonzeros)
        given = iter(args[n:])
        tangents = [
            next(given) if nz else Zero.like(a) for a, nz in zip(args, nonzeros, strict=False)
        ]
        outs, tangents_out = jvp_flat(core.jaxpr_as_fun(closed), args[:n], tangents)
        kept = []
        for t, must in zip(tangents_out, force, strict=True):
            nonzero = type(t) is not Zero or (must and t.aval.dtype != float0)
            nonzeros_out.append(nonzero)
            if nonzero:
                kept.append(instantiate(t))
        return [*outs, *kept]

    avals = closed.in_avals
    tangent_avals = [a.to_tangent_aval() for a, nz in zip(avals, nonzeros, strict=True) if nz]
    result = core.close(fun, [*avals, *tangent_avals], closed.jaxpr.debug_info), nonzeros_out
    return closed.remember(key, result)


def jvp_call(
    closed: ClosedJaxpr,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    call: Callable[[ClosedJaxpr, list[Any]], list[Any]],
) -> tuple[list[Any], list[Any]]:
    """The jvp of a call of a jaxpr: (outputs, tangents out). `call` is made of the jaxpr that
    `jvp_jaxpr` gives, on the primals and the tangents that are not zero.
    """
    nonzero = [type(t) is not Zero for t in tangents]
    forward, nonzero_out = jvp_jaxpr(closed, nonzero)
    outs = call(forward, [*primals, *(t for t, nz in zip(tangents, nonzero) if nz)])
    n = len(closed.out_avals)
    given = iter(outs[n:])
    return outs[:n], [
        next(given) if nz else Zero(a.to_tangent_aval())
        for nz, a in zip(nonzero_out, closed.out_avals)
    ]
