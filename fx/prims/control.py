"""What cond, scan and while share: jaxprs without constants, reordered operands, and split
residuals.

Higher-order primitives hold ClosedJaxprs whose consts are empty; everything a body closes over is
an operand. The passes (jvp_jaxpr, partial_eval_jaxpr, ...) put primals before tangents; `reorder`
sorts them into the roles of the primitive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx import core
from fx.avals import ShapedArray
from fx.core import ClosedJaxpr, Jaxpr, Var, Zero, get_aval
from fx.passes import hoist_consts


def close_flat(
    fun: Callable[..., Sequence[Any]],
    avals: Sequence[ShapedArray],
    names: Any = None,
    info: Any = None,
) -> tuple[ClosedJaxpr, list[Any]]:
    """Trace a flat function: a closed jaxpr whose leading inputs are what it closes over, and
    those values.
    """
    jaxpr, consts = core.trace_to_jaxpr(fun, avals, names, info or core.NO_INFO)
    return hoist_consts(jaxpr, consts)


def no_consts(closed: ClosedJaxpr) -> tuple[ClosedJaxpr, list[Any]]:
    """The jaxpr with its constants, if any, as leading inputs, and their values."""
    return (closed, []) if not closed.consts else hoist_consts(closed.jaxpr, closed.consts)


def reorder(
    closed: ClosedJaxpr, ins: Sequence[int] | None = None, outs: Sequence[int] | None = None
) -> ClosedJaxpr:
    """Inputs and outputs in another order (new place k holds old place ins[k]); outputs may be
    dropped.
    """
    j = closed.jaxpr
    invars = j.invars if ins is None else [j.invars[k] for k in ins]
    outvars = j.outvars if outs is None else [j.outvars[k] for k in outs]
    info = j.debug_info._replace(arg_names=(), result_paths=())
    return ClosedJaxpr(Jaxpr(j.constvars, invars, outvars, j.eqns, j.effects, info), closed.consts)


def insert_inputs(closed: ClosedJaxpr, at: int, avals: Sequence[ShapedArray]) -> ClosedJaxpr:
    """The jaxpr with inputs that it does not read, placed before input `at`."""
    j = closed.jaxpr
    invars = [*j.invars[:at], *(Var(a) for a in avals), *j.invars[at:]]
    info = j.debug_info._replace(arg_names=())
    return ClosedJaxpr(
        Jaxpr(j.constvars, invars, j.outvars, j.eqns, j.effects, info), closed.consts
    )


def fill_zeros(
    closed: ClosedJaxpr, have: Sequence[bool], want: Sequence[bool], avals: Sequence[ShapedArray]
) -> ClosedJaxpr:
    """A jaxpr of the outputs flagged in `have`, made to give all that are flagged in `want`, zeros
    for the others.
    """
    if list(have) == list(want):
        return closed

    def fun(*args: Any) -> list[Any]:
        given = iter(core.eval_jaxpr(closed.jaxpr, closed.consts, *args))
        full = [next(given) if h else None for h in have]
        return [
            core.zeros_like_aval(a) if o is None else o
            for o, a, w in zip(full, avals, want, strict=True)
            if w
        ]

    return core.close(fun, closed.in_avals)


def nonzero_flags(tangents: Sequence[Any]) -> list[bool]:
    return [type(t) is not Zero for t in tangents]


def merge(flags: Sequence[bool], chosen: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """One list from two: from `chosen` where flagged, else from `others`."""
    a, b = iter(chosen), iter(others)
    return [next(a) if f else next(b) for f in flags]


def split(flags: Sequence[bool], values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """(values where flagged, values where not)."""
    yes = [v for f, v in zip(flags, values, strict=True) if f]
    return yes, [v for f, v in zip(flags, values, strict=True) if not f]


def either(a: Sequence[bool], b: Sequence[bool]) -> list[bool]:
    return [x or y for x, y in zip(a, b, strict=True)]


def fill_tangents(primals: Sequence[Any], flags: Sequence[bool], given: Sequence[Any]) -> list[Any]:
    """One tangent per primal: the given ones where flagged, Zero elsewhere."""
    it = iter(given)
    return [next(it) if f else Zero.like(p) for p, f in zip(primals, flags, strict=True)]


def sum_effects(*jaxprs: ClosedJaxpr) -> frozenset:
    return frozenset().union(*(j.effects for j in jaxprs))


def of_the_taken(effects: frozenset) -> bool:
    """Whether all of some effects belong to the examples that come to them."""
    return bool(effects) and all(e.of_the_taken for e in effects)


def example_by_example(
    p: core.Primitive, axis: Any, args: Sequence[Any], dims: Sequence[Any], params: dict[str, Any]
) -> tuple[list[Any], list[int]]:
    """A primitive on the examples of a batch one after the other: a scan over those mapped."""
    from fx.prims import scan, shape

    mapped = [d is not None for d in dims]
    xs, consts = split(mapped, args)
    xs = [shape.move_axis(x, d, 0) for x, d in zip(xs, (d for d in dims if d is not None))]

    def one(*given: Any) -> list[Any]:
        return p.bind(*merge(mapped, given[len(consts) :], given), **params)

    avals = [get_aval(x) for x in consts]
    avals += [a.update(shape=a.shape[1:]) for a in map(get_aval, xs)]
    body = core.close(one, avals)
    outs = scan.bind(body, consts, [], xs, length=axis.size, reverse=False)
    return outs, [0] * len(outs)
