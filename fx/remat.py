"""Rematerialisation: `checkpoint(f)` keeps f's inputs and what its policy allows, no more.

Partial evaluation splits f's jaxpr as usual, then gives up the residuals that the policy does not
save: their equations are repeated in the recorded, differentiated `checkpoint`. Its first `waits`
operands are read once the others, cotangents, have come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fx import checkpoint_policies as checkpoint_policies
from fx import core, ref_loops
from fx.avals import ShapedArray
from fx.case import Case
from fx.core import (
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Primitive,
    Var,
    get_aval,
    has_side_effects,
    set_trace,
)
from fx.flatten import check_callable, flatten_call, index_tuple, name_of, wraps
from fx.jit_rules import hoisted, run_known
from fx.jvp import jvp_call
from fx.linearize import partial_eval_jaxpr, transpose_call
from fx.lower import lower_closed
from fx.passes import dce_closed, hoist_consts, inline_jits
from fx.refs import live
from fx.vmap import batch_jaxpr

checkpoint_p = Primitive(
    "checkpoint",
    multiple_results=True,
    doc="Calls a jaxpr whose intermediate values are computed again for differentiation.",
)


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool = True,
    policy: Callable[..., Any] | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    concrete: bool = False,
) -> Any:
    """`fun`, saving under differentiation only what `policy` allows (by default nothing but the
    inputs).

    policy: a function of a primitive, its operands' avals and its parameters, as in
    `checkpoint_policies`. static_argnums: arguments that are Python values. Raises
    NotImplementedError for concrete=True, as JAX does, TypeError for a policy that is no function,
    and, when called, ValueError for static_argnums beyond the arguments.

    >>> import fx
    >>> round(float(fx.grad(checkpoint(lambda x: fx.numpy.sin(fx.numpy.sin(x))))(1.0)), 5)
    0.36004
    """
    if fun is None:
        return lambda f: checkpoint(
            f,
            prevent_cse=prevent_cse,
            policy=policy,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            concrete=concrete,
        )
    check_callable(fun)
    if concrete:
        raise NotImplementedError(
            "The 'concrete' option of checkpoint is deprecated; in its place, use static_argnums."
        )
    checkpoint_policies.check(policy)
    nums = index_tuple(static_argnums, "static_argnums")
    named = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    function = fun

    @wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        static = _positions(nums, len(args))
        fixed = {k: kwargs.pop(k) for k in named if k in kwargs}
        fun = partial(function, **fixed) if fixed else function
        if live:
            again = {"prevent_cse": prevent_cse, "policy": policy}
            at = tuple(n + 1 for n in static)
            run = lambda f, a: checkpoint(f, static_argnums=at, **again)(*a, **kwargs)  # noqa: E731
            found = ref_loops.checkpoint(fun, args, kwargs, run)
            if found is not None:
                return found[0]
        closed, operands, out_tree = _traced(fun, static, args, kwargs)
        options = {"prevent_cse": prevent_cse, "policy": policy, "differentiated": False}
        return out_tree.unflatten(checkpoint_p.bind(*operands, jaxpr=closed, waits=0, **options))

    return checkpointed


def _positions(nums: Sequence[int], given: int) -> set[int]:
    """The static arguments' positions among those given, none of them negative."""
    if any(not -given <= n < given for n in nums):
        raise ValueError(
            "the `static_argnums` argument of checkpoint can only take integer values greater than "
            f"or equal to `-len(args)` and less than `len(args)`, but got {tuple(nums)}, while "
            f"`len(args)` = {given}"
        )
    return {n % given for n in nums}


def _traced(
    fun: Callable[..., Any], static: set[int], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[ClosedJaxpr, list[Any], Any]:
    """The jaxpr of `fun` at these arguments, its operands (constants first), the output's tree."""
    flat_fun, leaves, names, out = flatten_call(fun, static, args, kwargs)
    info = core.DebugInfo(f"checkpoint({name_of(fun)})", names)
    jaxpr, consts = core.trace_to_jaxpr(flat_fun, [get_aval(x) for x in leaves], names, info)
    closed, consts = hoist_consts(jaxpr, consts)
    return closed, [*consts, *leaves], out.tree


remat = checkpoint


# ---------------------------------------------------------------- rules


def _bind(closed: ClosedJaxpr, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    closed, consts = hoisted(closed)
    waits = params["waits"] + len(consts) if params["waits"] else 0
    return checkpoint_p.bind(*consts, *args, **{**params, "jaxpr": closed, "waits": waits})


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    call = partial(_bind, params={**params, "waits": 0})
    return jvp_call(params["jaxpr"], primals, tangents, call)


def _partial_eval(
    trace: Any, known: Sequence[bool], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    forward, again, unknown_out = split_by_policy(
        params["jaxpr"], [not k for k in known], params["policy"]
    )
    known_args = [a for a, k in zip(args, known) if k]
    with set_trace(trace.parent):
        known_outs, saved = run_known(forward, known_args, unknown_out, params, _run)
    unknown_args = [a for a, k in zip(args, known) if not k]
    operands = [trace.atom(a) for a in (*saved, *known_args, *unknown_args)]
    again, used = dce_closed(again)
    operands = [a for a, u in zip(operands, used) if u]
    recorded = iter(())
    if any(unknown_out):
        recorded = iter(
            trace.record(
                checkpoint_p,
                operands,
                {**params, "jaxpr": again, "differentiated": True, "waits": 0},
            )
        )
    outs = iter(known_outs)
    return [next(recorded) if u else next(outs) for u in unknown_out]


def _run(closed: ClosedJaxpr, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """The forward half needs no checkpoint around it: what it saves is decided."""
    return core.eval_jaxpr(closed.jaxpr, closed.consts, *args)


def split_by_policy(
    closed: ClosedJaxpr, unknown_in: Sequence[bool], policy: Callable[..., Any] | None
) -> tuple[ClosedJaxpr, ClosedJaxpr, list[bool]]:
    """Split as partial evaluation does, then move the equations of unsaved residuals to the second
    half.

    forward: known inputs -> (*known outputs, *saved). again: (*saved, *known inputs, *unknown
    inputs) -> unknown outputs.
    """
    key = ("policy", tuple(unknown_in), policy)
    found = closed.cache.get(key)
    if found is not None:
        return found
    flat = closed.cache.get("inlined")
    if flat is None:
        flat = closed.cache["inlined"] = ClosedJaxpr(inline_jits(closed.jaxpr), closed.consts)
    known, unknown, unknown_out, n_res = partial_eval_jaxpr(flat, unknown_in)
    k = known.jaxpr
    n_known = len(k.outvars) - n_res
    residuals = k.outvars[n_known:]
    saved = _saved(k, residuals, policy)
    forward = Jaxpr(k.constvars, k.invars, [*k.outvars[:n_known], *saved], k.eqns, k.effects)
    eqns = [e for e in k.eqns if not has_side_effects(e.effects)]
    replaced = [Var(v.aval) for v in saved]
    names = dict(zip(saved, replaced))
    invars = [Var(v.aval) for v in k.invars]
    names.update(zip(k.invars, invars))
    again_eqns, rename = _copy(eqns, names)
    u = unknown.jaxpr
    names.update(zip(u.invars[:n_res], [rename(a) for a in residuals]))
    unknown_args = [Var(v.aval) for v in u.invars[n_res:]]
    names.update(zip(u.invars[n_res:], unknown_args))
    more, rename = _copy(u.eqns, names)
    again = Jaxpr(
        [], [*replaced, *invars, *unknown_args], [rename(a) for a in u.outvars], again_eqns + more
    )
    found = ClosedJaxpr(forward, known.consts), ClosedJaxpr(again), unknown_out
    return closed.remember(key, found)


def _saved(jaxpr: Jaxpr, residuals: Sequence[Any], policy: Callable[..., Any] | None) -> list[Var]:
    """The variables that the policy saves and that the residuals are computed from; what has a
    side effect happens once, so its results are saved.
    """
    needed = {a for a in residuals if isinstance(a, Var)}
    saved: list[Var] = []
    for eqn in reversed(jaxpr.eqns):
        if not any(v in needed for v in eqn.outvars):
            continue
        if has_side_effects(eqn.effects) or _allows(policy, eqn):
            saved += [v for v in eqn.outvars if v in needed]
        else:
            needed.update(a for a in eqn.invars if isinstance(a, Var))
    return saved[::-1]


def _allows(policy: Callable[..., Any] | None, eqn: JaxprEqn) -> bool:
    avals = [a.aval for a in eqn.invars]
    return policy is not None and checkpoint_policies.saves(
        policy(eqn.primitive, *avals, **eqn.params)
    )


def _copy(eqns: Sequence[JaxprEqn], names: dict[Var, Any]) -> tuple[list[JaxprEqn], Any]:
    """The equations with fresh variables, except where `names` already has one for an output."""

    def rename(a: Any) -> Any:
        return names.get(a, a) if isinstance(a, Var) else a

    copied = []
    for eqn in eqns:
        outvars = []
        for v in eqn.outvars:
            fresh = Var(v.aval)
            outvars.append(fresh)
            if v not in names:
                names[v] = fresh
        copied.append(eqn.replace(invars=[rename(a) for a in eqn.invars], outvars=outvars))
    return copied, rename


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    def call(backward: ClosedJaxpr, known: list[Any], given: list[Any]) -> list[Any]:
        waits = len(known) if params["differentiated"] else 0
        return _bind(backward, [*known, *given], {**params, "waits": waits})

    return transpose_call(params["jaxpr"], cts, args, call)


def _batch(
    axis: Any, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[list[Any], list[int | None]]:
    batched, out_dims = batch_jaxpr(params["jaxpr"], axis, dims)
    return _bind(batched, args, params), out_dims


def _dce(used_outputs: Sequence[bool], eqn: JaxprEqn) -> tuple[list[bool], JaxprEqn | None]:
    closed, used = dce_closed(eqn.params["jaxpr"], used_outputs)
    kept = eqn.replace(
        invars=[a for a, u in zip(eqn.invars, used) if u],
        outvars=[v for v, u in zip(eqn.outvars, used_outputs) if u],
        params={**eqn.params, "jaxpr": closed, "waits": sum(used[: eqn.params["waits"]])},
        effects=closed.effects,
    )
    return used, kept


def _evaluate(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return core.eval_jaxpr(params["jaxpr"].jaxpr, (), *args)


def _lower(
    b: Any, *nodes: Any, jaxpr: ClosedJaxpr, waits: int, prevent_cse: bool, **params: Any
) -> list[Any]:
    """What is computed again is computed after a cotangent has come.

    Without the wait the repeated equations would be the first ones (equal computations are one
    node), or would run early, and nothing would be saved.
    """
    cts = [x for x in nodes[waits:] if x.size]
    if waits and cts and prevent_cse:
        ct = cts[0]
        one = b.slice(ct, (0,) * ct.ndim, (1,) * ct.ndim) if ct.ndim else ct
        scalar = b.reshape(one, ())
        late = [b.map("after", x, b.broadcast(scalar, x.shape, ())) for x in nodes[:waits]]
        nodes = (*late, *nodes[waits:])
    return lower_closed(b, jaxpr, *nodes)


def _cases() -> list[Any]:
    def case(shape: tuple[int, ...]) -> Case:
        aval = ShapedArray(shape, np.float32)
        closed = core.close(lambda x, y: [x * y * y * x, x], [aval, aval])
        params = {"prevent_cse": True, "policy": None, "differentiated": False, "waits": 0}
        return Case((shape, shape), {"jaxpr": closed, **params})

    return [case(s) for s in ((2, 3), (), (0, 3))]


checkpoint_p.set(
    cases=_cases,
    abstract=lambda *avals, jaxpr, **params: jaxpr.out_avals,
    effects=lambda *avals, jaxpr, **params: jaxpr.effects,
    jvp=_jvp,
    partial_eval=_partial_eval,
    transpose=_transpose,
    batch=_batch,
    dce=_dce,
    lower=_lower,
)
checkpoint_p.trace_rules["eval"] = _evaluate
