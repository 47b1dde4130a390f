"""while: a body repeated as long as a condition on the carry holds.

Operands (*cond consts, *body consts, *carry). Forward mode and batching go through; reverse mode
needs a bound: with `max_steps` the linearized loop is a scan of checkpointed segments of about
sqrt(max_steps) steps, whose memory is bounded by their number, and which skips the segments after
the end.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np

from fx import core
from fx.core import ClosedJaxpr, get_aval
from fx.jvp import jvp_jaxpr
from fx.linearize import partial_eval_jaxpr
from fx.lower import lower_closed, subgraph
from fx.passes import dce_closed
from fx.prims import compare, reduce, shape
from fx.prims import control as c
from fx.prims.host_program import host_program
from fx.prims.leaving import leaving_while
from fx.prims.registry import Case, primitive
from fx.vmap import batch_jaxpr


def _parts(values, cond_nconsts, body_nconsts):
    """(cond consts, body consts, carry)."""
    both = cond_nconsts + body_nconsts
    return values[:cond_nconsts], values[cond_nconsts:both], values[both:]


def _abstract(*avals, body_jaxpr, cond_nconsts, body_nconsts, **params):
    carry = _parts(avals, cond_nconsts, body_nconsts)[2]
    for given, wanted in zip(carry, body_jaxpr.in_avals[body_nconsts:]):
        if (given.shape, given.dtype) != (wanted.shape, wanted.dtype):
            raise TypeError(f"while called with carry {given}, but its body takes {wanted}.")
    return list(body_jaxpr.out_avals)


def bind(cond_jaxpr, cond_consts, body_jaxpr, body_consts, carry, max_steps=None) -> list[Any]:
    """Bind while on jaxprs that may hold constants."""
    cond_jaxpr, more_cond = c.no_consts(cond_jaxpr)
    body_jaxpr, more_body = c.no_consts(body_jaxpr)
    return while_p.bind(
        *more_cond,
        *cond_consts,
        *more_body,
        *body_consts,
        *carry,
        cond_jaxpr=cond_jaxpr,
        cond_nconsts=len(more_cond) + len(cond_consts),
        body_jaxpr=body_jaxpr,
        body_nconsts=len(more_body) + len(body_consts),
        max_steps=max_steps,
    )


def _numpy(*args, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts, max_steps):
    test, step = host_program(cond_jaxpr), host_program(body_jaxpr)
    cond_consts, body_consts, carry = _parts(args, cond_nconsts, body_nconsts)
    while test([*cond_consts, *carry])[0]:
        carry = step([*body_consts, *carry])
    return list(carry)


# ---------------------------------------------------------------- forward mode


def _jvp(primals, tangents, *, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts, max_steps):
    flags = c.nonzero_flags(tangents)
    _, consts_nz, carry_nz = _parts(flags, cond_nconsts, body_nconsts)
    while True:
        new, out_nz = jvp_jaxpr(body_jaxpr, [*consts_nz, *carry_nz], carry_nz)
        if not any(o and not i for i, o in zip(carry_nz, out_nz)):
            break
        carry_nz = c.either(carry_nz, out_nz)
    cond_consts, body_consts, carry = _parts(primals, cond_nconsts, body_nconsts)
    _, consts_t, carry_t = _parts(tangents, cond_nconsts, body_nconsts)
    n_b, n, n_t = body_nconsts, len(primals) - cond_nconsts, sum(consts_nz)
    ins = [*range(n_b), *range(n, n + n_t), *range(n_b, n), *range(n + n_t, len(new.in_avals))]
    new = c.reorder(new, ins)
    given = [core.instantiate(t) for t, nz in zip(carry_t, carry_nz) if nz]
    test = c.insert_inputs(cond_jaxpr, len(cond_jaxpr.in_avals), [get_aval(t) for t in given])
    body_consts = [*body_consts, *(t for t, nz in zip(consts_t, consts_nz) if nz)]
    outs = bind(test, cond_consts, new, body_consts, [*carry, *given], max_steps)
    k = len(carry)
    return outs[:k], c.fill_tangents(outs[:k], carry_nz, outs[k:])


# ---------------------------------------------------------------- partial evaluation


def _partial_eval(trace, known, args, params):
    if params["max_steps"] is not None:
        return bounded(args, **params)
    body, n_cond, n_body = params["body_jaxpr"], params["cond_nconsts"], params["body_nconsts"]
    unknown = [not k for k in known]
    cond_un, body_un, carry_un = _parts(unknown, n_cond, n_body)
    while True:
        out_un = partial_eval_jaxpr(body, [*body_un, *carry_un], carry_un)[2]
        if out_un == carry_un:
            break
        carry_un = c.either(carry_un, out_un)
    read = dce_closed(params["cond_jaxpr"])[1]
    cond_unknown = any(r and u for r, u in zip(read, [*cond_un, *carry_un]))
    record = lambda: trace.record(while_p, [trace.atom(x) for x in args], params)  # noqa: E731
    if cond_unknown or all(carry_un):
        return record()
    keep, kept = _restrict([not u for u in carry_un], params)
    with core.set_trace(trace.parent):
        outs = while_p.bind(*(x for x, k in zip(args, keep) if k), **kept)
    wanted = [not u for u in carry_un]
    used = keep[n_cond + n_body :]
    given = iter(outs)
    full = [next(given) if u else None for u in used]
    recorded = record()
    return [f if w else r for f, r, w in zip(full, recorded, wanted)]


def _restrict(used: list[bool], params: dict[str, Any]) -> tuple[list[bool], dict[str, Any]]:
    """The while that keeps only the carries that `used` outputs and the condition need: operand
    flags, parameters.
    """
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    read = dce_closed(cond)[1]
    carry = c.either(used, read[n_cond:])
    while True:
        needed = dce_closed(body, carry)[1]
        if not any(n and not u for n, u in zip(needed[n_body:], carry)):
            break
        carry = c.either(carry, needed[n_body:])
    new_cond = dce_closed(cond, [True], [*read[:n_cond], *carry])[0]
    new_body = dce_closed(body, carry, [*needed[:n_body], *carry])[0]
    new = {
        **params,
        "cond_jaxpr": new_cond,
        "body_jaxpr": new_body,
        "cond_nconsts": sum(read[:n_cond]),
        "body_nconsts": sum(needed[:n_body]),
    }
    return [*read[:n_cond], *needed[:n_body], *carry], new


def bounded(args, *, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts, max_steps) -> list[Any]:
    """The same loop as a scan of segments, each recomputed on the way back: O(sqrt(max_steps))
    carries are kept.
    """
    from fx.remat import checkpoint

    cond_consts, body_consts, init = _parts(args, cond_nconsts, body_nconsts)
    segment = max(1, isqrt(max_steps))
    count = -(-max_steps // segment)

    def test(*carry: Any) -> Any:
        return core.eval_jaxpr(cond_jaxpr.jaxpr, cond_jaxpr.consts, *cond_consts, *carry)[0]

    def step(*carry: Any) -> list[Any]:
        return core.eval_jaxpr(body_jaxpr.jaxpr, body_jaxpr.consts, *body_consts, *carry)

    def guarded(run: Any) -> Any:
        return lambda *carry: _if(test(*carry), run, carry)

    inner = guarded(step)
    run = checkpoint(lambda *carry: _scan(inner, carry, segment))
    return _scan(guarded(run), init, count)


def _scan(fun: Any, init: Any, length: int) -> list[Any]:
    from fx.prims.scan import scan_flat

    return scan_flat(fun, init, (), length)


def _if(pred: Any, run: Any, carry: Any) -> list[Any]:
    """run(*carry) where pred holds, else the carry."""
    from fx.prims import cond, convert

    avals = [get_aval(x) for x in carry]
    closed, consts = c.close_flat(run, avals)
    stay = core.close(lambda *values: list(values), closed.in_avals)
    stay = c.reorder(stay, None, range(len(consts), len(closed.in_avals)))
    index = convert.convert(pred, np.dtype(np.int32))
    return cond.bind(index, [*consts, *carry], [stay, closed])


_NO_REVERSE = core.no(
    "Reverse-mode differentiation does not work for lax.while_loop or lax.fori_loop with dynamic "
    "start/stop values. Try using lax.scan, fori_loop with static start/stop, or "
    "while_loop(..., max_steps=N)."
)


def _transpose(cts, *args, **params):
    raise ValueError(_NO_REVERSE.reason)


# ---------------------------------------------------------------- batching


def _batch(axis, args, dims, *, cond_jaxpr, body_jaxpr, cond_nconsts, body_nconsts, max_steps):
    mapped = [d is not None for d in dims]
    cond_m, body_m, carry_m = _parts(mapped, cond_nconsts, body_nconsts)
    zero = lambda flags: [0 if f else None for f in flags]  # noqa: E731
    while True:
        out = batch_jaxpr(body_jaxpr, axis, zero([*body_m, *carry_m]), zero(carry_m))[1]
        got = c.either(carry_m, [d is not None for d in out])
        if got == carry_m:
            break
        carry_m = got
    pred_dim = batch_jaxpr(cond_jaxpr, axis, zero([*cond_m, *carry_m]))[1][0]
    if pred_dim is not None and c.of_the_taken(c.sum_effects(cond_jaxpr, body_jaxpr)):
        params = {"cond_jaxpr": cond_jaxpr, "body_jaxpr": body_jaxpr, "max_steps": max_steps}
        counts = {"cond_nconsts": cond_nconsts, "body_nconsts": body_nconsts}
        return c.example_by_example(while_p, axis, args, dims, params | counts)
    if pred_dim is not None:
        carry_m = [True] * len(carry_m)
    test = batch_jaxpr(cond_jaxpr, axis, zero([*cond_m, *carry_m]))[0]
    body = batch_jaxpr(body_jaxpr, axis, zero([*body_m, *carry_m]), zero(carry_m))[0]
    args = [x if d is None else shape.move_axis(x, d, 0) for x, d in zip(args, dims)]
    cond_consts, body_consts, carry = _parts(args, cond_nconsts, body_nconsts)
    was = _parts(mapped, cond_nconsts, body_nconsts)[2]
    carry = [
        shape.broadcast_new_axis(x, 0, axis.size) if m and not w else x
        for x, m, w in zip(carry, carry_m, was)
    ]
    if pred_dim is not None:
        body = _masked(test, body, cond_nconsts, body_nconsts)
        body_consts = [*cond_consts, *body_consts]
        test = _any(test)
    outs = bind(test, cond_consts, body, body_consts, carry, max_steps)
    return outs, zero(carry_m)


def _any(test: ClosedJaxpr) -> ClosedJaxpr:
    def fun(*args):
        pred = core.eval_jaxpr(test.jaxpr, test.consts, *args)[0]
        return [reduce.reduce_or_p.bind(pred, axes=(0,))]

    return core.close(fun, test.in_avals)


def _masked(test: ClosedJaxpr, body: ClosedJaxpr, n_cond: int, n_body: int) -> ClosedJaxpr:
    """The body that leaves examples alone whose own condition has ended."""

    def fun(*args):
        cond_consts, body_consts, carry = _parts(args, n_cond, n_body)
        pred = core.eval_jaxpr(test.jaxpr, test.consts, *cond_consts, *carry)[0]
        new = core.eval_jaxpr(body.jaxpr, body.consts, *body_consts, *carry)
        outs = []
        for x, y in zip(new, carry):
            s = get_aval(x).shape
            outs.append(compare.select(shape.broadcast_in_dim(pred, s, (0,)), x, y))
        return outs

    return core.close(fun, [*test.in_avals[:n_cond], *body.in_avals])


# ---------------------------------------------------------------- dead code, lowering


def _dce(used, eqn):
    p = eqn.params
    keep, new = _restrict(list(used), p)
    carry = keep[p["cond_nconsts"] + p["body_nconsts"] :]
    invars = [v for v, k in zip(eqn.invars, keep) if k]
    outvars = [v for v, k in zip(eqn.outvars, carry) if k]
    return keep, eqn.replace(invars=invars, outvars=outvars, params=new)


def _lower(b, *nodes, **params):
    leaving = leaving_while(**params)
    if leaving is not None:
        return lower_closed(b, leaving, *nodes)
    cond_consts, body_consts, carry = _parts(nodes, params["cond_nconsts"], params["body_nconsts"])
    test, body = subgraph(b, params["cond_jaxpr"]), subgraph(b, params["body_jaxpr"])
    return list(b.while_loop(test, cond_consts, body, body_consts, carry))


def _cases():
    from fx.prims import elementwise

    def case(shape, note):
        scalar, carry = core.ShapedArray((), np.float32), core.ShapedArray(shape, np.float32)
        params = {
            "cond_jaxpr": core.close(
                lambda limit, i, x: [compare.lt(i, limit)], [scalar, scalar, carry]
            ),
            "body_jaxpr": core.close(
                lambda r, i, x: [elementwise.add(i, np.float32(1)), elementwise.mul(x, r)],
                [carry, scalar, carry],
            ),
            "cond_nconsts": 1,
            "body_nconsts": 1,
            "max_steps": None,
        }
        ranges = (np.array(3.5), (1.4, 1.6), np.array(0.0), (0.5, 2.0))
        return Case(((), shape, (), shape), params, ranges=ranges, note=note)

    return [case(s, "powers") for s in ((), (2,), (0,))]


while_p = primitive(
    "while",
    "The carry after repeating the body as long as the condition holds.",
    multiple_results=True,
    abstract=_abstract,
    numpy=_numpy,
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    lower=_lower,
    limits={"reverse": "a loop of unknown length keeps no values to go back through"},
    partial_eval=_partial_eval,
    dce=_dce,
    effects=lambda *avals, cond_jaxpr, body_jaxpr, **params: c.sum_effects(cond_jaxpr, body_jaxpr),
    cases=_cases,
)
