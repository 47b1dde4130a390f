"""scan: a body applied along a leading axis, with a carry; the loop that reverse mode goes through.

Operands (*consts, *carry, *xs); body (*consts, *carry, *x slices) -> (*carry, *y slices).
Derivatives find by fixpoint which carries have tangents, are unknown, or are mapped. Residuals
that do not change along the loop are not stacked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import ClosedJaxpr, Jaxpr, Literal, Var, Zero, get_aval, is_undefined
from fx.jvp import jvp_jaxpr
from fx.linearize import partial_eval_jaxpr, transpose_jaxpr
from fx.lower import lower_closed, subgraph
from fx.passes import dce_closed, dce_jaxpr
from fx.prims import control as c
from fx.prims import shape
from fx.prims.host_program import host_program
from fx.prims.leaving import leaving_scan
from fx.prims.registry import Case, primitive
from fx.vmap import batch_jaxpr


def stacked(aval: ShapedArray, length: int) -> ShapedArray:
    return aval.update(shape=(length, *aval.shape))


def _abstract(*avals, jaxpr, length, num_consts, num_carry, **params):
    carry = avals[num_consts : num_consts + num_carry]
    for given, wanted in zip(carry, jaxpr.in_avals[num_consts:]):
        if (given.shape, given.dtype) != (wanted.shape, wanted.dtype):
            raise TypeError(f"scan called with carry {given}, but its body takes {wanted}.")
    out = jaxpr.out_avals
    return [*out[:num_carry], *(stacked(a, length) for a in out[num_carry:])]


def bind(jaxpr: ClosedJaxpr, consts, carry, xs, *, length, reverse, unroll=1) -> list[Any]:
    """Bind scan on a body that may hold constants."""
    jaxpr, extra = c.no_consts(jaxpr)
    return scan_p.bind(
        *extra,
        *consts,
        *carry,
        *xs,
        jaxpr=jaxpr,
        length=length,
        reverse=reverse,
        num_consts=len(extra) + len(consts),
        num_carry=len(carry),
        unroll=unroll,
    )


def scan_flat(fun: Any, init: Any, xs: Any, length: int, reverse: bool = False) -> list[Any]:
    """Scan a flat Python function (*carry, *x) -> (*carry, *y): what rules of other primitives
    use.
    """
    avals = [get_aval(v) for v in init]
    avals += [a.update(shape=a.shape[1:]) for a in map(get_aval, xs)]
    jaxpr, consts = c.close_flat(fun, avals)
    return bind(jaxpr, consts, init, xs, length=length, reverse=reverse)


def _numpy(*args, jaxpr, length, reverse, num_consts, num_carry, unroll):
    program = host_program(jaxpr)
    consts, carry = args[:num_consts], list(args[num_consts : num_consts + num_carry])
    xs = args[num_consts + num_carry :]
    out = jaxpr.out_avals[num_carry:]
    ys = [np.empty((length, *a.shape), a.dtype) for a in out]
    for i in range(length - 1, -1, -1) if reverse else range(length):
        results = program([*consts, *carry, *(x[i] for x in xs)])
        carry = results[:num_carry]
        for y, value in zip(ys, results[num_carry:]):
            y[i] = value
    return [*carry, *ys]


def _parts(values, num_consts, num_carry):
    """(consts, carry, xs) of operands, or of anything that runs along them."""
    both = num_consts + num_carry
    return values[:num_consts], values[num_consts:both], values[both:]


# ---------------------------------------------------------------- forward mode


def _jvp(primals, tangents, *, jaxpr, num_consts, num_carry, **params):
    flags = c.nonzero_flags(tangents)
    consts_nz, carry_nz, xs_nz = _parts(flags, num_consts, num_carry)
    n_out = len(jaxpr.out_avals)
    while True:
        force = [*carry_nz, *[False] * (n_out - num_carry)]
        new, out_nz = jvp_jaxpr(jaxpr, [*consts_nz, *carry_nz, *xs_nz], force)
        if not any(o and not i for i, o in zip(carry_nz, out_nz)):
            break
        carry_nz = c.either(carry_nz, out_nz[:num_carry])
    n_in = len(primals)
    n_ct, n_cc, n_cx = sum(consts_nz), sum(carry_nz), sum(xs_nz)
    ins = _interleave(num_consts, num_carry, n_in, n_ct, n_cc, n_cx)
    carry_out_nz = sum(out_nz[:num_carry])
    outs = [
        *range(num_carry),
        *range(n_out, n_out + carry_out_nz),
        *range(num_carry, n_out),
        *range(n_out + carry_out_nz, n_out + sum(out_nz)),
    ]
    new = c.reorder(new, ins, outs)
    consts, carry, xs = _parts(primals, num_consts, num_carry)
    ct, cc, cx = _parts(tangents, num_consts, num_carry)
    given = lambda ts, nz: [core.instantiate(t) for t, f in zip(ts, nz) if f]  # noqa: E731
    out = bind(
        new,
        [*consts, *given(ct, consts_nz)],
        [*carry, *given(cc, carry_nz)],
        [*xs, *given(cx, xs_nz)],
        **params,
    )
    carry_out, rest = out[:num_carry], out[num_carry:]
    carry_t, rest = rest[:carry_out_nz], rest[carry_out_nz:]
    ys, ys_t = rest[: n_out - num_carry], rest[n_out - num_carry :]
    primal_out = [*carry_out, *ys]
    return primal_out, c.fill_tangents(primal_out, out_nz, [*carry_t, *ys_t])


def _interleave(num_consts, num_carry, n_in, n_ct, n_cc, n_cx):
    """Old places of (consts, their tangents, carry, its tangents, xs, their tangents) in (primals,
    tangents).
    """
    both = num_consts + num_carry
    return [
        *range(num_consts),
        *range(n_in, n_in + n_ct),
        *range(num_consts, both),
        *range(n_in + n_ct, n_in + n_ct + n_cc),
        *range(both, n_in),
        *range(n_in + n_ct + n_cc, n_in + n_ct + n_cc + n_cx),
    ]


# ---------------------------------------------------------------- partial evaluation


def split_scan(known, args, *, jaxpr, num_consts, num_carry, **params):
    """Run the known part; return (known outputs, unknown outputs' flags, operands and parameters
    of the unknown scan).
    """
    unknown = [not k for k in known]
    consts_un, carry_un, xs_un = _parts(unknown, num_consts, num_carry)
    n_out = len(jaxpr.out_avals)
    while True:
        force = [*carry_un, *[False] * (n_out - num_carry)]
        flags = [*consts_un, *carry_un, *xs_un]
        known_j, unknown_j, out_un, n_res = partial_eval_jaxpr(jaxpr, flags, force)
        if not any(o and not i for i, o in zip(carry_un, out_un)):
            break
        carry_un = c.either(carry_un, out_un[:num_carry])
    n_known_out = out_un.count(False)
    consts, carry, xs = _parts(args, num_consts, num_carry)
    known_consts, unknown_consts = _by(consts_un, consts)
    known_carry, unknown_carry = _by(carry_un, carry)
    known_xs, unknown_xs = _by(xs_un, xs)
    known_j, extra = c.no_consts(known_j)
    known_consts = [*extra, *known_consts]
    n_carry_known = len(known_carry)
    plan = _Residuals(known_j, n_known_out, n_res, len(known_consts), n_carry_known)
    outs = bind(plan.loop, known_consts, known_carry, known_xs, **params)
    invariant = [known_consts[k] for k in plan.const_residuals]
    if plan.outside is not None:
        moved = iter(core.eval_jaxpr(plan.outside, [], *known_consts))
        invariant = [next(moved) if v is None else v for v in _marked(invariant, plan)]
    per_step = [known_xs[k] for k in plan.x_residuals] + list(outs[n_known_out:])
    # unknown jaxpr: (*residuals, *unknown inputs) -> residuals sorted into constants and slices
    n_uc, n_ucar = len(unknown_consts), len(unknown_carry)
    ins = [
        *plan.invariant_places,
        *range(n_res, n_res + n_uc + n_ucar),
        *plan.step_places,
        *range(n_res + n_uc + n_ucar, len(unknown_j.in_avals)),
    ]
    body, more = c.no_consts(c.reorder(unknown_j, ins))
    operands = [*more, *invariant, *unknown_consts, *unknown_carry, *per_step, *unknown_xs]
    new = {
        "jaxpr": body,
        "num_consts": len(more) + len(invariant) + n_uc,
        "num_carry": n_ucar,
        **params,
    }
    return outs[:n_known_out], out_un, operands, new


def _by(unknown, values):
    no, yes = c.split(unknown, values)
    return yes, no


def _marked(invariant, plan):
    """Invariant residuals in their order, None for those computed outside the loop."""
    it = iter(invariant)
    return [next(it) if is_const else None for is_const in plan.invariant_is_const]


class _Residuals:
    """Which residuals of a known body are loop invariants, which are xs themselves, and which must
    be stacked.

    loop: the known body that gives (known outputs, stacked residuals). outside: jaxpr of the
    consts that computes invariant residuals, or None. *_places: places of the residuals in the
    unknown body's inputs.
    """

    def __init__(self, known, n_out, n_res, n_consts, n_carry):
        jaxpr = known.jaxpr
        consts = {v: k for k, v in enumerate(jaxpr.invars[:n_consts])}
        xs = {v: k for k, v in enumerate(jaxpr.invars[n_consts + n_carry :])}
        invariant = _invariant_vars(jaxpr, set(consts))
        residuals = jaxpr.outvars[n_out : n_out + n_res]
        self.const_residuals, self.x_residuals = [], []
        self.invariant_places, self.invariant_is_const = [], []
        computed, stacked_atoms, x_places, stacked_places = [], [], [], []
        for k, atom in enumerate(residuals):
            if not isinstance(atom, Literal) and atom in xs:
                self.x_residuals.append(xs[atom])
                x_places.append(k)
            elif isinstance(atom, Literal) or atom in invariant:
                self.invariant_places.append(k)
                is_const = not isinstance(atom, Literal) and atom in consts
                self.invariant_is_const.append(is_const)
                if is_const:
                    self.const_residuals.append(consts[atom])
                else:
                    computed.append(atom)
            else:
                stacked_atoms.append(atom)
                stacked_places.append(k)
        self.step_places = x_places + stacked_places
        outs = [*jaxpr.outvars[:n_out], *stacked_atoms]
        loop = Jaxpr([], jaxpr.invars, outs, jaxpr.eqns, jaxpr.effects)
        self.loop = ClosedJaxpr(dce_jaxpr(loop, [True] * len(outs), True)[0])
        self.outside = None
        if computed:
            eqns = [
                e for e in jaxpr.eqns if not e.effects and all(v in invariant for v in e.outvars)
            ]
            outer = Jaxpr([], jaxpr.invars[:n_consts], computed, eqns)
            self.outside = dce_jaxpr(outer, [True] * len(computed), True)[0]


def _invariant_vars(jaxpr: Jaxpr, consts: set[Var]) -> set[Var]:
    """Variables that depend on nothing but the constants of the loop."""
    found = set(consts)
    for eqn in jaxpr.eqns:
        if not eqn.effects and all(isinstance(a, Literal) or a in found for a in eqn.invars):
            found.update(eqn.outvars)
    return found


def _partial_eval(trace, known, args, params):
    with core.set_trace(trace.parent):
        # unknown operands stand for themselves: the known part never reads them
        outs, out_un, operands, new = split_scan(known, args, **params)
    recorded = trace.record(scan_p, [trace.atom(x) for x in operands], new)
    return c.merge(out_un, recorded, outs)


# ---------------------------------------------------------------- transposition


def _transpose(cts, *args, jaxpr, num_consts, num_carry, **params):
    linear = [is_undefined(x) for x in args]
    _, init_lin, _ = _parts(linear, num_consts, num_carry)
    if not all(init_lin):
        found = _transpose_mixed(cts, args, linear, jaxpr, num_consts, num_carry, params)
        if found is not None:
            return found
    return _transpose_linear(cts, args, linear, jaxpr, num_consts, num_carry, params)


def _transpose_mixed(cts, args, linear, jaxpr, num_consts, num_carry, params):
    """Carries that are no linear values (counters): run them first, then transpose the rest."""
    every = {"jaxpr": jaxpr, "num_consts": num_consts, "num_carry": num_carry, **params}
    flags = [not lin for lin in linear]
    _, out_un, operands, new = split_scan(flags, args, **every)
    if new["num_carry"] == num_carry:
        return None
    un_cts = [ct for ct, u in zip(cts, out_un) if u]
    rest = {k: v for k, v in new.items() if k not in ("jaxpr", "num_consts", "num_carry")}
    flags = [is_undefined(x) for x in operands]
    found = _transpose_linear(
        un_cts, operands, flags, new["jaxpr"], new["num_consts"], new["num_carry"], rest
    )
    of = {id(x): ct for x, ct in zip(operands, found) if is_undefined(x)}
    return [
        of.get(id(x), Zero(x.aval.to_tangent_aval())) if is_undefined(x) else None for x in args
    ]


def _transpose_linear(cts, args, linear, jaxpr, num_consts, num_carry, params):
    """Run the transposed body backwards, with the cotangents of the linear constants as an extra
    carry.
    """
    consts, _, xs = _parts(args, num_consts, num_carry)
    consts_lin, _, xs_lin = _parts(linear, num_consts, num_carry)
    body_lin = [*consts_lin, *[True] * num_carry, *xs_lin]
    carry_ct, ys_ct = cts[:num_carry], cts[num_carry:]
    carry_nz, ys_nz = c.nonzero_flags(carry_ct), c.nonzero_flags(ys_ct)
    n_const_lin = sum(consts_lin)
    while True:
        body, out_nz = transpose_jaxpr(jaxpr, body_lin, [*carry_nz, *ys_nz])
        carry_out = out_nz[n_const_lin : n_const_lin + num_carry]
        if not any(o and not i for i, o in zip(carry_nz, carry_out)):
            break
        carry_nz = c.either(carry_nz, carry_out)
    want = [*out_nz[:n_const_lin], *carry_nz, *out_nz[n_const_lin + num_carry :]]
    lin_avals = [a.to_tangent_aval() for a, f in zip(jaxpr.in_avals, body_lin) if f]
    body = c.fill_zeros(body, out_nz, want, lin_avals)
    n_acc, n_carry = sum(want[:n_const_lin]), sum(carry_nz)
    body = _accumulating(body, consts_lin, xs_lin, n_acc, n_carry, sum(ys_nz))
    acc_avals = [a for a, w in zip(lin_avals, want[:n_const_lin]) if w]
    init = [core.zeros_like_aval(a) for a in acc_avals]
    init += [core.instantiate(ct) for ct, ever in zip(carry_ct, carry_nz) if ever]
    outs = bind(
        body,
        [x for x, lin in zip(consts, consts_lin) if not lin],
        init,
        [
            *(ct for ct, nz in zip(ys_ct, ys_nz) if nz),
            *(x for x, lin in zip(xs, xs_lin) if not lin),
        ],
        length=params["length"],
        reverse=not params["reverse"],
        unroll=params["unroll"],
    )
    given = iter(outs)
    slots = iter([next(given) if w else None for w in want])
    result = []
    for x, lin, in_body in zip(args, linear, body_lin):
        ct = next(slots) if in_body else None
        result.append((Zero(x.aval.to_tangent_aval()) if ct is None else ct) if lin else None)
    return result


def _accumulating(body, consts_lin, xs_lin, n_acc, n_carry, n_ys):
    """(*res consts, *acc, *carry ct, *ys ct, *res xs) -> (*acc + ct of consts, *carry ct, *xs ct).

    `body` takes (*res consts, *res xs, *carry ct, *ys ct) and gives (*consts ct, *carry ct, *xs
    ct).
    """
    n_rc, n_rx = consts_lin.count(False), xs_lin.count(False)
    avals = body.in_avals
    const_avals, x_avals = avals[:n_rc], avals[n_rc : n_rc + n_rx]
    ct_avals = avals[n_rc + n_rx :]
    acc_avals = body.out_avals[:n_acc]

    def fun(*args):
        res, rest = args[:n_rc], args[n_rc:]
        acc, rest = rest[:n_acc], rest[n_acc:]
        carry_ys, res_xs = rest[: n_carry + n_ys], rest[n_carry + n_ys :]
        out = core.eval_jaxpr(body.jaxpr, body.consts, *res, *res_xs, *carry_ys)
        return [*(core.add_values(a, ct) for a, ct in zip(acc, out)), *out[n_acc:]]

    return core.close(fun, [*const_avals, *acc_avals, *ct_avals, *x_avals])


# ---------------------------------------------------------------- batching, dead code, lowering


def _batch(axis, args, dims, *, jaxpr, num_consts, num_carry, **params):
    mapped = [d is not None for d in dims]
    consts_m, carry_m, xs_m = _parts(mapped, num_consts, num_carry)
    n_out = len(jaxpr.out_avals)
    zero = lambda flags: [0 if f else None for f in flags]  # noqa: E731
    while True:
        force = [*zero(carry_m), *[None] * (n_out - num_carry)]
        ins = zero([*consts_m, *carry_m, *xs_m])
        _, out_dims = batch_jaxpr(jaxpr, axis, ins, force)
        got = [d is not None for d in out_dims]
        if not any(o and not i for i, o in zip(carry_m, got)):
            break
        carry_m = c.either(carry_m, got[:num_carry])
    new, _ = batch_jaxpr(jaxpr, axis, ins, [*zero(carry_m), *zero(got[num_carry:])])
    consts, carry, xs = _parts(args, num_consts, num_carry)
    consts_d, carry_d, xs_d = _parts(dims, num_consts, num_carry)
    place = lambda x, d, at: x if d is None else shape.move_axis(x, d, at)  # noqa: E731
    carry = [
        shape.broadcast_new_axis(x, 0, axis.size) if m and d is None else place(x, d, 0)
        for x, d, m in zip(carry, carry_d, carry_m)
    ]
    outs = bind(
        new,
        [place(x, d, 0) for x, d in zip(consts, consts_d)],
        carry,
        [place(x, d, 1) for x, d in zip(xs, xs_d)],
        **params,
    )
    return outs, [*zero(carry_m), *(1 if f else None for f in got[num_carry:])]


def _dce(used, eqn):
    p = eqn.params
    jaxpr, num_consts, num_carry = p["jaxpr"], p["num_consts"], p["num_carry"]
    carry_used, ys_used = list(used[:num_carry]), list(used[num_carry:])
    while True:
        needed = dce_closed(jaxpr, [*carry_used, *ys_used])[1]
        read = needed[num_consts : num_consts + num_carry]
        if not any(r and not u for r, u in zip(read, carry_used)):
            break
        carry_used = c.either(carry_used, read)
    keep = [*needed[:num_consts], *carry_used, *needed[num_consts + num_carry :]]
    new, _ = dce_closed(jaxpr, [*carry_used, *ys_used], keep)
    params = {**p, "jaxpr": new, "num_consts": sum(keep[:num_consts]), "num_carry": sum(carry_used)}
    out_flags = [*carry_used, *ys_used]
    outvars = [v for v, f in zip(eqn.outvars, out_flags) if f]
    invars = [v for v, f in zip(eqn.invars, keep) if f]
    return keep, eqn.replace(invars=invars, outvars=outvars, params=params)


def _lower(b, *nodes, jaxpr, length, reverse, num_consts, num_carry, unroll):
    consts, carry, xs = _parts(nodes, num_consts, num_carry)
    if length == 0:
        ys = [b.const(0, a.dtype, (0, *a.shape)) for a in jaxpr.out_avals[num_carry:]]
        return [*carry, *ys]
    leaving = leaving_scan(
        jaxpr, length, reverse=reverse, num_consts=num_consts, num_carry=num_carry, unroll=unroll
    )
    if leaving is not None:
        return lower_closed(b, leaving, *nodes)
    return list(b.loop(subgraph(b, jaxpr), consts, carry, xs, length=length, reverse=reverse))


def _cases():
    from fx.prims import elementwise

    def body(w, s, x):
        s = elementwise.add(elementwise.mul(w, s), core.PRIMITIVES["sin"].bind(x))
        return [s, elementwise.mul(s, x)]

    def case(n, shape, reverse, note):
        jaxpr = core.close(body, [core.ShapedArray(shape, np.float32)] * 3)
        params = {"jaxpr": jaxpr, "num_consts": 1, "num_carry": 1, "unroll": 1}
        shapes = (shape, shape, (n, *shape))
        return Case(shapes, {**params, "length": n, "reverse": reverse}, note=note)

    return [
        case(4, (3,), False, "forwards"),
        case(3, (3,), True, "backwards"),
        case(0, (3,), False, "no step"),
        case(3, (), False, "scalars"),
    ]


scan_p = primitive(
    "scan",
    "A body applied to each slice of xs in turn, with a carry; the outputs are stacked.",
    multiple_results=True,
    abstract=_abstract,
    numpy=_numpy,
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    lower=_lower,
    partial_eval=_partial_eval,
    dce=_dce,
    effects=lambda *avals, jaxpr, **params: jaxpr.effects,
    cases=_cases,
)
