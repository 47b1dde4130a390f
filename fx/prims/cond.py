"""cond: one of several branches, by an int32 index.

Operands: (index, *operands); the index is clamped. All branches take all operands and give outputs
of equal avals. A batched index turns the branches into a selection among the results of all of
them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.core import Literal, Zero, get_aval, is_undefined
from fx.jvp import jvp_jaxpr
from fx.linearize import partial_eval_jaxpr, transpose_jaxpr
from fx.lower import subgraph
from fx.passes import dce_closed
from fx.prims import compare, shape
from fx.prims import control as c
from fx.prims.host_program import host_program
from fx.prims.registry import Case, primitive
from fx.vmap import batch_jaxpr


def _abstract(index, *operands, branches):
    if index.dtype != np.int32 or index.shape != ():
        raise TypeError(f"cond called with index of type {index.str_short()} instead of int32[].")
    for k, b in enumerate(branches):
        given = [(a.shape, a.dtype) for a in operands]
        if [(a.shape, a.dtype) for a in b.in_avals] != given:
            raise TypeError(
                f"cond branch {k} takes {b.in_avals}, but is called with {list(operands)}."
            )
    return list(branches[0].out_avals)


def _numpy(index, *operands, branches):
    k = min(max(int(index), 0), len(branches) - 1)
    return host_program(branches[k])(operands)


def bind(index: Any, operands: Any, branches: Any) -> list[Any]:
    """Bind cond on branches that may hold constants: these become operands of all of them."""
    branches, consts = common_consts(branches)
    return cond_p.bind(index, *consts, *operands, branches=tuple(branches))


def common_consts(branches: Any) -> tuple[list[core.ClosedJaxpr], list[Any]]:
    """Branches whose leading inputs are the constants of all of them."""
    pairs = [c.no_consts(b) for b in branches]
    consts = [v for _, values in pairs for v in values]
    if not consts:
        return list(branches), []
    out, start = [], 0
    avals = [get_aval(v) for v in consts]
    for b, values in pairs:
        b = c.insert_inputs(b, len(values), avals[start + len(values) :])
        out.append(c.insert_inputs(b, 0, avals[:start]))
        start += len(values)
    return out, consts


# ---------------------------------------------------------------- derivatives


def _jvp(primals, tangents, *, branches):
    index, *operands = primals
    flags = c.nonzero_flags(tangents[1:])
    nonzero = [False] * len(branches[0].out_avals)
    for b in branches:
        nonzero = c.either(nonzero, jvp_jaxpr(b, flags)[1])
    new = [jvp_jaxpr(b, flags, nonzero)[0] for b in branches]
    given = [t for t, f in zip(tangents[1:], flags) if f]
    outs = bind(index, [*operands, *given], new)
    n = len(nonzero)
    return outs[:n], c.fill_tangents(outs[:n], nonzero, outs[n:])


def _partial_eval(trace, known, args, params):
    branches = params["branches"]
    if not known[0]:
        return trace.record(cond_p, [trace.atom(a) for a in args], params)
    unknown = [not k for k in known[1:]]
    unknown_out = [False] * len(branches[0].out_avals)
    for b in branches:
        unknown_out = c.either(unknown_out, partial_eval_jaxpr(b, unknown)[2])
    parts = [partial_eval_jaxpr(b, unknown, unknown_out) for b in branches]
    n_known = unknown_out.count(False)
    known_args = [a for a, k in zip(args[1:], known[1:]) if k]
    unknown_args = [a for a, k in zip(args[1:], known[1:]) if not k]
    known_branches, unknown_branches, slots = _join_residuals(parts, n_known, len(known_args))
    with core.set_trace(trace.parent):
        outs = bind(args[0], known_args, known_branches)
    residuals = outs[n_known:]
    assert len(residuals) == slots
    operands = [*known_args, *residuals, *unknown_args]
    branches, consts = common_consts(unknown_branches)
    used = [True] * len(branches[0].out_avals)
    eqn_args = [args[0], *consts, *operands]
    masks = [dce_closed(b, used)[1] for b in branches]
    needed = [any(m[k] for m in masks) for k in range(len(masks[0]))] if masks else []
    branches = tuple(dce_closed(b, used, needed)[0] for b in branches)
    atoms = [trace.atom(a) for a, need in zip(eqn_args, [True, *needed]) if need]
    recorded = trace.record(cond_p, atoms, {"branches": branches})
    return c.merge(unknown_out, recorded, outs[:n_known])


def _join_residuals(parts, n_known, n_known_args):
    """Known branches that give residuals in common slots (by aval, zeros where a branch has none),
    and unknown branches.

    An unknown branch takes (*known operands, *slots, *unknown operands). A residual that is an
    operand needs no slot.
    """
    avals: list[Any] = []
    places = []  # per branch, per residual: ("operand", k) or ("slot", k)
    for known, _, _, n_res in parts:
        taken: set[int] = set()
        mine = []
        inputs = {v: k for k, v in enumerate(known.jaxpr.invars)}
        for atom in known.jaxpr.outvars[n_known : n_known + n_res]:
            if not isinstance(atom, Literal) and atom in inputs:
                mine.append(("operand", inputs[atom]))
                continue
            k = next((k for k, a in enumerate(avals) if a == atom.aval and k not in taken), None)
            if k is None:
                k = len(avals)
                avals.append(atom.aval)
            taken.add(k)
            mine.append(("slot", k))
        places.append(mine)
    known_branches = [_give_slots(p[0], m, n_known, avals) for p, m in zip(parts, places)]
    unknown_branches = [
        _take_slots(p[1], m, parts[0][0].in_avals, avals, p[3]) for p, m in zip(parts, places)
    ]
    return known_branches, unknown_branches, len(avals)


def _give_slots(known, places, n_known, avals):
    def fun(*args):
        outs = core.eval_jaxpr(known.jaxpr, known.consts, *args)
        slots = [None] * len(avals)
        for (kind, k), value in zip(places, outs[n_known:]):
            if kind == "slot":
                slots[k] = value
        filled = [core.zeros_like_aval(a) if s is None else s for s, a in zip(slots, avals)]
        return [*outs[:n_known], *filled]

    return core.close(fun, known.in_avals)


def _take_slots(unknown, places, known_avals, avals, n_res):
    unknown_avals = unknown.in_avals[n_res:]

    def fun(*args):
        operands = args[: len(known_avals)]
        slots = args[len(known_avals) : len(known_avals) + len(avals)]
        residuals = [operands[k] if kind == "operand" else slots[k] for kind, k in places]
        rest = args[len(known_avals) + len(avals) :]
        return core.eval_jaxpr(unknown.jaxpr, unknown.consts, *residuals, *rest)

    return core.close(fun, [*known_avals, *avals, *unknown_avals])


def _transpose(cts, index, *operands, branches):
    linear = [is_undefined(x) for x in operands]
    flags = c.nonzero_flags(cts)
    parts = [transpose_jaxpr(b, linear, flags) for b in branches]
    want = [False] * sum(linear)
    for _, have in parts:
        want = c.either(want, have)
    avals = [x.aval.to_tangent_aval() for x in operands if is_undefined(x)]
    new = [c.fill_zeros(j, have, want, avals) for j, have in parts]
    known = [x for x in operands if not is_undefined(x)]
    outs = bind(index, [*known, *(ct for ct, f in zip(cts, flags) if f)], new) if any(want) else []
    given = iter(outs)
    filled = iter([next(given) if w else Zero(a) for w, a in zip(want, avals)])
    return [None, *(next(filled) if lin else None for lin in linear)]


# ---------------------------------------------------------------- batching


def _batch(axis, args, dims, *, branches):
    (index, *operands), (index_dim, *dims) = args, dims
    moved = [x if d is None else shape.move_axis(x, d, 0) for x, d in zip(operands, dims)]
    zero = [None if d is None else 0 for d in dims]
    if index_dim is not None and c.of_the_taken(c.sum_effects(*branches)):
        return c.example_by_example(cond_p, axis, args, [index_dim, *dims], {"branches": branches})
    if index_dim is not None:
        return _select_all(axis, index, moved, zero, branches)
    mapped = [False] * len(branches[0].out_avals)
    for b in branches:
        mapped = c.either(mapped, [d is not None for d in batch_jaxpr(b, axis, zero)[1]])
    places = [0 if m else None for m in mapped]
    new = [batch_jaxpr(b, axis, zero, places)[0] for b in branches]
    return bind(index, moved, new), places


def _select_all(axis, index, operands, dims, branches):
    """Run every branch on the batch and pick, example by example."""
    effects = c.sum_effects(*branches)
    if core.has_side_effects(effects):
        names = ", ".join(map(str, effects))
        raise NotImplementedError(
            f"{names} effect not supported in vmap-of-cond: with a batched predicate both branches "
            "run."
        )
    results = []
    for b in branches:
        batched, _ = batch_jaxpr(b, axis, dims, True)
        results.append(core.eval_jaxpr(batched.jaxpr, batched.consts, *operands))
    high = np.int32(len(branches) - 1)
    index = core.PRIMITIVES["clamp"].bind(np.int32(0), index, high)
    if len(branches) == 2:
        index = compare.ne(index, np.int32(0))
    outs = []
    for values in zip(*results):
        if len(branches) == 1:
            outs.append(values[0])
            continue
        which = index
        if len(get_aval(values[0]).shape) > 1:
            which = shape.broadcast_in_dim(index, get_aval(values[0]).shape, (0,))
        outs.append(compare.select_n_p.bind(which, *values))
    return outs, [0] * len(outs)


# ---------------------------------------------------------------- dead code, lowering


def _dce(used, eqn):
    branches = eqn.params["branches"]
    masks = [dce_closed(b, used)[1] for b in branches]
    needed = [any(m[k] for m in masks) for k in range(len(masks[0]))]
    new = tuple(dce_closed(b, used, needed)[0] for b in branches)
    flags = [True, *needed]
    invars = [v for v, f in zip(eqn.invars, flags) if f]
    outvars = [v for v, u in zip(eqn.outvars, used) if u]
    params = {**eqn.params, "branches": new}
    return flags, eqn.replace(invars=invars, outvars=outvars, params=params)


def _lower(b, index, *operands, branches):
    if len(branches) == 1:
        from fx.lower import lower_closed

        return lower_closed(b, branches[0], *operands)
    return list(b.cond(index, [subgraph(b, j) for j in branches], operands))


def _cases():
    from fx.prims import elementwise

    def branches(shape):
        avals = [core.ShapedArray(shape, np.float32)] * 2
        first = core.close(lambda x, y: [elementwise.mul(x, y), x], avals)
        return first, core.close(lambda x, y: [core.PRIMITIVES["sin"].bind(x), y], avals)

    return [
        Case(
            ((), s, s),
            {"branches": branches(s)},
            (np.int32, np.float32, np.float32),
            (np.array(k), (-2, 2), (-2, 2)),
            (1, 2),
            f"index {k}",
        )
        for k, s in ((0, (3,)), (1, (3,)), (7, (3,)), (1, ()), (0, (0,)))
    ]


cond_p = primitive(
    "cond",
    "The outputs of the branch that the index selects.",
    multiple_results=True,
    abstract=_abstract,
    numpy=_numpy,
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    lower=_lower,
    partial_eval=_partial_eval,
    dce=_dce,
    effects=lambda *avals, branches: c.sum_effects(*branches),
    cases=_cases,
)
