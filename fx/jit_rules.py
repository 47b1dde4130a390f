"""The `jit` primitive: a jaxpr as one operation, with its rule under every transformation.

Operands are the jaxpr's inputs, constants included, so that equations hold no arrays. Each rule
runs a cached jaxpr-to-jaxpr pass and binds `jit` again: no transformation of a jitted function
re-enters the user's Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.case import Case
from fx.core import ClosedJaxpr, JaxprEqn, Literal, Primitive, Var, set_trace
from fx.jvp import jvp_call
from fx.linearize import partial_eval_jaxpr, transpose_call
from fx.lower import lower_closed
from fx.passes import dce_closed, hoist_consts
from fx.vmap import batch_jaxpr

jit_p = Primitive(
    "jit",
    multiple_results=True,
    doc="Calls a jaxpr; compiled as a whole.",
)


def bind_jit(closed: ClosedJaxpr, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """Bind `jit` on a derived jaxpr, with the name of the one it derives from and nothing
    donated.
    """
    closed, consts = hoisted(closed)
    if not closed.jaxpr.eqns:
        return core.eval_jaxpr(closed.jaxpr, (), *consts, *args)
    donated = (False,) * (len(consts) + len(args))
    return jit_p.bind(*consts, *args, **{**params, "jaxpr": closed, "donated": donated})


def hoisted(closed: ClosedJaxpr) -> tuple[ClosedJaxpr, list[Any]]:
    """The closed jaxpr without constants, and the constants to pass first."""
    if not closed.consts:
        return closed, []
    found = closed.cache.get("hoisted")
    if found is None:
        found = closed.cache["hoisted"] = hoist_consts(closed.jaxpr, closed.consts)
    return found


# ---------------------------------------------------------------- rules


def _abstract(*avals: Any, jaxpr: ClosedJaxpr, **params: Any) -> list[Any]:
    return jaxpr.out_avals


def _effects(*avals: Any, jaxpr: ClosedJaxpr, **params: Any) -> frozenset:
    return jaxpr.effects


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    call = partial(bind_jit, params=params)
    return jvp_call(params["jaxpr"], primals, tangents, call)


def _partial_eval(
    trace: Any, known: Sequence[bool], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """Run what is known as one jit under the parent; record the rest as another, fed by
    residuals.
    """
    split = partial_eval_jaxpr(params["jaxpr"], [not k for k in known])
    known_jaxpr, unknown_jaxpr, unknown_out, _ = split
    known_args = [a for a, k in zip(args, known) if k]
    with set_trace(trace.parent):
        known_outs, residuals = run_known(known_jaxpr, known_args, unknown_out, params, bind_jit)
    unknown_args = [a for a, k in zip(args, known) if not k]
    operands = [trace.atom(a) for a in (*residuals, *unknown_args)]
    unknown_params = {**params, "jaxpr": unknown_jaxpr, "donated": (False,) * len(operands)}
    recorded = iter(trace.record(jit_p, operands, unknown_params)) if any(unknown_out) else iter(())
    outs = iter(known_outs)
    return [next(recorded) if u else next(outs) for u in unknown_out]


def run_known(
    known: ClosedJaxpr,
    args: Sequence[Any],
    unknown_out: Sequence[bool],
    params: dict[str, Any],
    bind: Callable[[ClosedJaxpr, Sequence[Any], dict[str, Any]], list[Any]],
) -> tuple[list[Any], list[Any]]:
    """Run a known jaxpr: (its outputs, the residuals). Residuals that are inputs or repeated
    outputs are not computed.
    """
    jaxpr = known.jaxpr
    n_known = sum(not u for u in unknown_out)
    inputs = {v: k for k, v in enumerate(jaxpr.invars)}
    kept: list[Any] = list(jaxpr.outvars[:n_known])
    place: dict[Any, int] = {a: k for k, a in enumerate(kept) if isinstance(a, Var)}
    sources: list[tuple[str, Any]] = []
    for a in jaxpr.outvars[n_known:]:
        if isinstance(a, Literal):
            sources.append(("literal", a.val))
        elif a in inputs:
            sources.append(("input", inputs[a]))
        else:
            if a not in place:
                place[a] = len(kept)
                kept.append(a)
            sources.append(("output", place[a]))
    if len(kept) != len(jaxpr.outvars):
        reduced = known.cache.get("forwarded")
        if reduced is None:
            slim = core.Jaxpr(
                jaxpr.constvars, jaxpr.invars, kept, jaxpr.eqns, jaxpr.effects, jaxpr.debug_info
            )
            reduced = known.cache["forwarded"] = ClosedJaxpr(slim, known.consts)
        known = reduced
    outs = bind(known, args, params)
    values = {"literal": lambda v: v, "input": lambda k: args[k], "output": lambda k: outs[k]}
    return outs[:n_known], [values[kind](k) for kind, k in sources]


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    def call(backward: ClosedJaxpr, known: list[Any], given: list[Any]) -> list[Any]:
        return bind_jit(backward, [*known, *given], params)

    return transpose_call(params["jaxpr"], cts, args, call)


def _batch(
    axis: Any, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[list[Any], list[int | None]]:
    batched, out_dims = batch_jaxpr(params["jaxpr"], axis, dims)
    return bind_jit(batched, args, params), out_dims


def _dce(used_outputs: Sequence[bool], eqn: JaxprEqn) -> tuple[list[bool], JaxprEqn | None]:
    closed, used = dce_closed(eqn.params["jaxpr"], used_outputs)
    keep = [v for v, u in zip(eqn.outvars, used_outputs) if u]
    if not closed.jaxpr.eqns and not keep:
        return [False] * len(eqn.invars), None
    donated = tuple(d for d, u in zip(eqn.params["donated"], used) if u)
    return used, eqn.replace(
        invars=[a for a, u in zip(eqn.invars, used) if u],
        outvars=keep,
        params={**eqn.params, "jaxpr": closed, "donated": donated},
        effects=closed.effects,
    )


def _lower(b: Any, *nodes: Any, jaxpr: ClosedJaxpr, **params: Any) -> list[Any]:
    return lower_closed(b, jaxpr, *nodes)


def _record(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    if params["inline"]:
        return core.eval_jaxpr(params["jaxpr"].jaxpr, (), *args)
    return trace.record(jit_p, [trace.atom(a) for a in args], params)


def _cases() -> list[Any]:
    def case(shape: tuple[int, ...]) -> Case:
        aval = ShapedArray(shape, np.float32)
        closed = core.close(lambda x, y: [x * y * y, x], [aval, aval])
        params = {"name": "f", "donated": (False, False), "inline": False, "keep_unused": False}
        return Case((shape, shape), {"jaxpr": closed, **params})

    return [case(s) for s in ((2, 3), (), (0, 3))]


jit_p.set(
    cases=_cases,
    abstract=_abstract,
    effects=_effects,
    jvp=_jvp,
    partial_eval=_partial_eval,
    transpose=_transpose,
    batch=_batch,
    dce=_dce,
    lower=_lower,
)
jit_p.trace_rules["jaxpr"] = _record
