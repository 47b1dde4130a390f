"""Reverse mode: partial evaluation, transposition, and what stands on them (linearize, vjp, grad).

`linearize` runs JVP on top of a PartialTrace: primals are known and run at once under the parent
trace, tangents are unknown and are recorded as a linear jaxpr whose constants are the residuals.
`backward_pass` transposes that jaxpr, each equation once, in reverse order. There is no tape and
no recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx import core
from fx.avals import float0
from fx.core import (
    ClosedJaxpr,
    Jaxpr,
    JaxprTrace,
    JaxprTracer,
    Literal,
    Primitive,
    UndefinedPrimal,
    Var,
    Zero,
    get_aval,
    has_side_effects,
    set_trace,
    state,
)
from fx.jvp import JVPTrace
from fx.passes import dce_jaxpr

# ---------------------------------------------------------------- partial evaluation


class PartialTrace(JaxprTrace):
    """Known values run under the parent; what depends on unknown ones is recorded.

    The recorded jaxpr's constants are the residuals: known values that unknown equations read.
    """

    kind = "partial"

    def is_unknown(self, x: Any) -> bool:
        return type(x) is JaxprTracer and x._trace is self

    def process(self, p: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        known = [not (type(a) is JaxprTracer and a._trace is self) for a in args]
        if all(known):
            with set_trace(self.parent):
                return p.bind(*args, **params)
        rule = p.trace_rules.get("partial") or p.partial_eval
        if rule:
            return rule(self, known, args, params)
        return self.record(p, [self.atom(a) for a in args], params)


def partial_eval_jaxpr(
    closed: ClosedJaxpr,
    unknown_in: Sequence[bool],
    instantiate: bool | Sequence[bool] = False,
) -> tuple[ClosedJaxpr, ClosedJaxpr, list[bool], int]:
    """Split a jaxpr by which inputs are known: (known jaxpr, unknown jaxpr, unknown outputs, number
    of residuals).

    known: known inputs -> (*known outputs, *residuals). unknown: (*residuals, *unknown inputs) ->
    unknown outputs. `instantiate` makes outputs unknown even where they could be known. Cached on
    the jaxpr.
    """
    n_out = len(closed.jaxpr.outvars)
    force = [instantiate] * n_out if isinstance(instantiate, bool) else list(instantiate)
    key = ("partial", tuple(unknown_in), tuple(force))
    found = closed.cache.get(key)
    if found is not None:
        return found
    below = JaxprTrace(state.trace)
    trace = PartialTrace(below)
    args = [
        (trace if unknown else below).new_arg(a)
        for a, unknown in zip(closed.in_avals, unknown_in, strict=True)
    ]
    try:
        with set_trace(trace):
            outs = core.eval_jaxpr(closed.jaxpr, closed.consts, *args)
        unknown_out = [trace.is_unknown(o) or f for o, f in zip(outs, force, strict=True)]
        info = closed.jaxpr.debug_info._replace(arg_names=(), result_paths=())
        linear, residuals = trace.to_jaxpr(
            [a for a, u in zip(args, unknown_in) if u],
            [o for o, u in zip(outs, unknown_out) if u],
            info,
        )
        known_outs = [o for o, u in zip(outs, unknown_out) if not u]
        known_args = [a for a, u in zip(args, unknown_in) if not u]
        known, consts = below.to_jaxpr(known_args, [*known_outs, *residuals], info)
    finally:
        trace.end()
        below.end()
    linear.invars = [*linear.constvars, *linear.invars]
    linear.constvars = []
    known = dce_jaxpr(known, [True] * len(known.outvars), True)[0]
    linear = dce_jaxpr(linear, [True] * len(linear.outvars), True)[0]
    result = ClosedJaxpr(known, consts), ClosedJaxpr(linear), unknown_out, len(residuals)
    return closed.remember(key, result)


# ---------------------------------------------------------------- linearize


class Linearized:
    """A function linearized at a point: primal outputs, and the linear jaxpr of the tangents."""

    __slots__ = ("consts", "jaxpr", "linear_in", "nonzero_out", "out_avals", "outs")
    outs: list[Any]  # primal outputs
    out_avals: list[Any]  # their tangent avals
    nonzero_out: list[bool]  # outputs that the jaxpr computes; the others' tangents are zero
    linear_in: list[bool]  # inputs that are arguments of the jaxpr (float0 ones are not)
    jaxpr: Jaxpr
    consts: list[Any]


def linearize_flat(
    fun: Callable[..., Sequence[Any]], primals: Sequence[Any], count: Any = None
) -> Linearized:
    """Linearize on flat values; only the first `count` outputs' tangents are kept (all by
    default).
    """
    result = Linearized()
    partial = PartialTrace(state.trace)
    trace = JVPTrace(partial)
    args, unknowns = [], []
    result.linear_in = []
    for p in primals:
        aval = get_aval(p).to_tangent_aval()
        result.linear_in.append(aval.dtype != float0)
        if aval.dtype == float0:
            args.append(p)
        else:
            unknowns.append(partial.new_arg(aval))
            args.append(trace.wrap(p, unknowns[-1]))
    try:
        with set_trace(trace):
            outs = list(fun(*args))
        pairs = [trace.unwrap(o) for o in outs]
        result.outs = [p for p, _ in pairs]
        tangents = [t for _, t in pairs[: len(pairs) if count is None else _resolve(count)]]
        result.out_avals = [t.aval if type(t) is Zero else get_aval(t) for t in tangents]
        result.nonzero_out = [type(t) is not Zero for t in tangents]
        jaxpr, consts = partial.to_jaxpr(unknowns, [t for t in tangents if type(t) is not Zero])
    finally:
        trace.end()
        partial.end()
    result.jaxpr, result.consts = prune(jaxpr, consts)
    return result


def _resolve(count: Any) -> int:
    found: Any = count() if callable(count) else count
    return found


def prune(jaxpr: Jaxpr, consts: Sequence[Any]) -> tuple[Jaxpr, list[Any]]:
    """Drop the equations that no output needs and the constants that nothing reads, so that
    residuals are freed.
    """
    jaxpr = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars), True)[0]
    read = {a for e in jaxpr.eqns for a in e.invars if isinstance(a, Var)}
    read.update(a for a in jaxpr.outvars if isinstance(a, Var))
    kept = [(v, c) for v, c in zip(jaxpr.constvars, consts, strict=True) if v in read]
    jaxpr.constvars = [v for v, _ in kept]
    return jaxpr, [c for _, c in kept]


# ---------------------------------------------------------------- transposition


def backward_pass(
    jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], cts: Sequence[Any]
) -> list[Any]:
    """Cotangents of the linear arguments from cotangents of the outputs.

    `args` holds an UndefinedPrimal for each linear argument and values for the others, whose
    equations are evaluated first. Returns one entry per argument: a value, a Zero, or None for
    the ones that are not linear.
    """
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    linear: set[Var] = set()
    for v, a in zip(jaxpr.invars, args, strict=True):
        if type(a) is UndefinedPrimal:
            linear.add(v)
        else:
            env[v] = a
    old = state.source
    try:
        todo = _evaluate_nonlinear(jaxpr, env, linear)
        grads: dict[Var, Any] = {}
        for a, ct in zip(jaxpr.outvars, cts, strict=True):
            if isinstance(a, Var) and a in linear and type(ct) is not Zero and ct is not None:
                grads[a] = core.add_values(grads[a], ct) if a in grads else ct
        while todo:
            _transpose_eqn(todo.pop(), env, linear, grads)
    finally:
        state.source = old
    return [
        grads.get(v) if v in grads else Zero(v.aval.to_tangent_aval()) if v in linear else None
        for v in jaxpr.invars
    ]


def _evaluate_nonlinear(jaxpr: Jaxpr, env: dict[Var, Any], linear: set[Var]) -> list[Any]:
    """Evaluate the equations that read no linear variable; return the linear ones in order."""
    todo = []
    for eqn in jaxpr.eqns:
        if any(isinstance(a, Var) and a in linear for a in eqn.invars):
            linear.update(eqn.outvars)
            todo.append(eqn)
            continue
        state.source = eqn.source
        values = [a.val if isinstance(a, Literal) else env[a] for a in eqn.invars]
        outs = eqn.primitive.bind(*values, **eqn.params)
        env.update(zip(eqn.outvars, outs if eqn.primitive.multiple_results else (outs,)))
    return todo


def _transpose_eqn(eqn: Any, env: dict[Var, Any], linear: set[Var], grads: dict[Var, Any]) -> None:
    p = eqn.primitive
    given = [grads.pop(v, None) for v in eqn.outvars]
    if all(ct is None for ct in given) and not has_side_effects(eqn.effects):
        return
    state.source = eqn.source
    cts = [
        Zero(v.aval.to_tangent_aval()) if ct is None else ct for ct, v in zip(given, eqn.outvars)
    ]
    args = [
        a.val if isinstance(a, Literal) else UndefinedPrimal(a.aval) if a in linear else env[a]
        for a in eqn.invars
    ]
    rule = p.transpose or p.rule("transpose")
    outs = rule(cts if p.multiple_results else cts[0], *args, **eqn.params)
    for a, ct in zip(eqn.invars, outs, strict=True):
        if ct is None or type(ct) is Zero or isinstance(a, Literal) or a not in linear:
            continue
        if get_aval(ct).shape != a.aval.shape:
            raise AssertionError(
                f"transpose rule of '{p.name}': cotangent {get_aval(ct).str_short()} for an "
                "operand "
                f"of type {a.aval.str_short()}"
            )
        grads[a] = core.add_values(grads[a], ct) if a in grads else ct


def transpose_jaxpr(
    closed: ClosedJaxpr, linear: Sequence[bool], nonzero_cts: Sequence[bool]
) -> tuple[ClosedJaxpr, list[bool]]:
    """The jaxpr (*nonlinear inputs, *nonzero cotangents) -> nonzero cotangents of the linear
    inputs; which those are.

    The returned mask has one flag per linear input. Cached on the jaxpr.
    """
    key = ("transpose", tuple(linear), tuple(nonzero_cts))
    found = closed.cache.get(key)
    if found is not None:
        return found
    avals = closed.in_avals
    values = [a for a, lin in zip(avals, linear, strict=True) if not lin]
    ct_avals = [
        a.to_tangent_aval() for a, nz in zip(closed.out_avals, nonzero_cts, strict=True) if nz
    ]
    nonzero_out: list[bool] = []

    def fun(*flat: Any) -> list[Any]:
        known, given = iter(flat[: len(values)]), iter(flat[len(values) :])
        args = [UndefinedPrimal(a) if lin else next(known) for a, lin in zip(avals, linear)]
        cts = [
            next(given) if nz else Zero(a.to_tangent_aval())
            for a, nz in zip(closed.out_avals, nonzero_cts)
        ]
        outs = backward_pass(closed.jaxpr, closed.consts, args, cts)
        mine = [ct for ct, lin in zip(outs, linear) if lin]
        nonzero_out.extend(type(ct) is not Zero for ct in mine)
        return [ct for ct in mine if type(ct) is not Zero]

    traced = core.close(fun, [*values, *ct_avals], closed.jaxpr.debug_info._replace(arg_names=()))
    return closed.remember(key, (traced, nonzero_out))


def transpose_call(
    closed: ClosedJaxpr,
    cts: Sequence[Any],
    args: Sequence[Any],
    call: Callable[[ClosedJaxpr, list[Any], list[Any]], list[Any]],
) -> list[Any]:
    """The cotangents of a call's operands, None for known ones. `call` is made of the jaxpr that
    `transpose_jaxpr` gives, on the known operands and the cotangents that are not zero.
    """
    linear = [core.is_undefined(a) for a in args]
    nonzero = [type(ct) is not Zero for ct in cts]
    backward, nonzero_out = transpose_jaxpr(closed, linear, nonzero)
    known = [a for a, lin in zip(args, linear) if not lin]
    outs = iter(call(backward, known, [ct for ct, nz in zip(cts, nonzero) if nz]))
    flags = iter(nonzero_out)
    return [
        (next(outs) if next(flags) else Zero(a.aval.to_tangent_aval())) if lin else None
        for a, lin in zip(args, linear)
    ]
