"""custom_linear_solve: a user's linear solver as one operation, differentiated implicitly.

Four jaxprs: matvec and its transpose vecmat, solve and transpose_solve; operands are the constants
of each in that order, then b. From A x = b: A dx = db - dA x, and the cotangent of b solves A^T.
The solver itself is never differentiated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fx import core
from fx.core import Zero, is_undefined
from fx.jvp import jvp_jaxpr
from fx.lower import lower_closed
from fx.prims import control as c
from fx.prims import elementwise, shape
from fx.prims.host_program import host_program
from fx.prims.registry import Case, primitive
from fx.vmap import batch_jaxpr


class Four(NamedTuple):
    """One thing for each of the four functions."""

    matvec: Any
    vecmat: Any
    solve: Any
    transpose_solve: Any

    def transposed(self) -> Four:
        return Four(self.vecmat, self.matvec, self.transpose_solve, self.solve)


def split_operands(args: Any, lengths: Four) -> tuple[Four, list[Any]]:
    """(constants of each function, b)."""
    groups, start = [], 0
    for n in lengths:
        groups.append(list(args[start : start + n]))
        start += n
    return Four(*groups), list(args[start:])


def bind(jaxprs: Four, consts: Four, b: Any) -> list[Any]:
    """Bind on jaxprs that may hold constants."""
    found, values = [], []
    for jaxpr, given in zip(jaxprs, consts):
        closed, extra = (None, []) if jaxpr is None else c.no_consts(jaxpr)
        found.append(closed)
        values.append([*extra, *given])
    return custom_linear_solve_p.bind(
        *(v for group in values for v in group),
        *b,
        jaxprs=Four(*found),
        const_lengths=Four(*map(len, values)),
    )


def _abstract(*args, jaxprs, const_lengths):
    return list(jaxprs.solve.out_avals)


def _numpy(*args, jaxprs, const_lengths):
    consts, b = split_operands(args, const_lengths)
    return host_program(jaxprs.solve)([*consts.solve, *b])


def _jvp(primals, tangents, *, jaxprs, const_lengths):
    consts, b = split_operands(primals, const_lengths)
    dots, b_dot = split_operands(tangents, const_lengths)
    x = custom_linear_solve_p.bind(*primals, jaxprs=jaxprs, const_lengths=const_lengths)
    flags = c.nonzero_flags(dots.matvec)
    n = len(b)
    if any(flags):
        moved, nonzero = jvp_jaxpr(jaxprs.matvec, [*flags, *[False] * n])
        given = [t for t in dots.matvec if type(t) is not Zero]
        out = core.eval_jaxpr(moved.jaxpr, moved.consts, *consts.matvec, *x[:n], *given)
        products = c.fill_tangents(x[:n], nonzero, out[n:])
        b_dot = [
            t if type(p) is Zero else core.add_values(elementwise.neg(p), t)
            for t, p in zip(b_dot, products)
        ]
    if all(type(t) is Zero for t in b_dot):
        return x, [Zero.like(v) for v in x]
    dx = bind(jaxprs, consts, [core.instantiate(t) for t in b_dot])
    return x, [*dx[:n], *(Zero.like(v) for v in x[n:])]


def _transpose(cts, *args, jaxprs, const_lengths):
    consts, b = split_operands(args, const_lengths)
    if jaxprs.transpose_solve is None:
        raise TypeError(
            "transpose_solve required for backwards mode automatic differentiation of "
            "custom_linear_solve"
        )
    assert all(is_undefined(v) for v in b) and not any(map(is_undefined, args[: -len(b)]))
    cts = cts[: len(b)]
    if all(type(ct) is Zero for ct in cts):
        return [*(None for _ in args[: -len(b)]), *(Zero(v.aval) for v in b)]
    out = bind(jaxprs.transposed(), consts.transposed(), [core.instantiate(ct) for ct in cts])
    return [*(None for _ in args[: -len(b)]), *out[: len(b)]]


def _batch(axis, args, dims, *, jaxprs, const_lengths):
    args = [x if d is None else shape.move_axis(x, d, 0) for x, d in zip(args, dims)]
    zero = [None if d is None else 0 for d in dims]
    consts, b = split_operands(args, const_lengths)
    const_dims, b_dims = split_operands(zero, const_lengths)
    n = len(b)
    mapped = [d is not None for d in b_dims]
    while True:  # which components of x and b are mapped
        flags = [0 if m else None for m in mapped]
        outs = [
            batch_jaxpr(jaxpr, axis, [*cd, *flags])[1][:n]
            for jaxpr, cd in zip(jaxprs, const_dims)
            if jaxpr is not None
        ]
        new = [m or any(o[k] is not None for o in outs) for k, m in enumerate(mapped)]
        if new == mapped:
            break
        mapped = new
    found, aux = [], []
    for name, jaxpr, cd in zip(Four._fields, jaxprs, const_dims):
        if jaxpr is None:
            found.append(None)
            continue
        places = [*flags, *[None] * (len(jaxpr.out_avals) - n)]
        batched, out = batch_jaxpr(jaxpr, axis, [*cd, *flags], places)
        found.append(batched)
        aux = out[n:] if name == "solve" else aux
    b = [
        shape.broadcast_new_axis(x, 0, axis.size) if m and d is None else x
        for x, d, m in zip(b, b_dims, mapped)
    ]
    return bind(Four(*found), consts, b), [*flags, *aux]


def _lower(b, *nodes, jaxprs, const_lengths):
    consts, right = split_operands(nodes, const_lengths)
    return lower_closed(b, jaxprs.solve, *consts.solve, *right)


def _cases():
    from fx.prims import elementwise, linalg_solve
    from fx.prims import matrix as mx

    def system(times, over, turn, s):
        """Products and solutions with a matrix, and with its transpose."""
        avals = [core.ShapedArray(s + s, np.float32), core.ShapedArray(s, np.float32)]
        pairs = (times, lambda m: m), (times, turn), (over, lambda m: m), (over, turn)
        four = [core.close(lambda m, x, f=f, t=t: [f(t(m), x)], avals) for f, t in pairs]
        return {"jaxprs": Four(*four), "const_lengths": Four(1, 1, 1, 1)}

    def matrix(f):
        return lambda m, x: shape.squeeze(f(m, mx.column(x)), (1,))

    def values(rng, s):
        return np.eye(s[0]) * 4 + 0.3 * np.cos(np.arange(s[0] ** 2).reshape(s)) if s else 4.0

    def same(a, *more):
        """One matrix in all four places."""
        return [a, a, a, a, more[-1]]

    over = lambda m, x: elementwise.div(x, m)  # noqa: E731
    for s, functions in (
        ((3,), (matrix(mx.matmul), matrix(linalg_solve.solve), mx.transposed)),
        ((0,), (matrix(mx.matmul), matrix(linalg_solve.solve), mx.transposed)),
        ((), (elementwise.mul, over, lambda m: m)),
    ):
        shapes, ranges = (*(s + s for _ in range(4)), s), (*[values] * 4, (-2, 2))
        yield Case(shapes, system(*functions, s), ranges=ranges, before=same)


custom_linear_solve_p = primitive(
    "custom_linear_solve",
    "x with A x = b, by a given solver, differentiated implicitly.",
    multiple_results=True,
    abstract=_abstract,
    numpy=_numpy,
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    lower=_lower,
    effects=lambda *avals, jaxprs, **params: jaxprs.solve.effects,
    cases=lambda: list(_cases()),
)
