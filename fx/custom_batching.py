"""`fx.custom_batching`: functions with their own batching rule.

The rule gets the batch size, which arguments are mapped, and the arguments with their mapped axis
first. Which arguments are mapped is known only under vmap, so the rule stays Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx import core
from fx.case import Case
from fx.core import ClosedJaxpr, Primitive, Zero, get_aval, set_trace
from fx.flatten import check_callable, flatten_function, name_after, name_of
from fx.jvp import jvp_flat
from fx.lower import lower_closed
from fx.passes import hoist_consts
from fx.tree_util import prefix_leaves, tree_flatten
from fx.vmap import place_axis


class custom_vmap:
    """A function with its own rule for vmap, set by `def_vmap`.

    The rule is `rule(axis_size, in_batched, *args) -> (out, out_batched)`: in_batched is a list of
    trees of bools, one per argument; mapped arguments have their mapped axis first.

    >>> @custom_vmap
    ... def double(x): return 2 * x
    >>> @double.def_vmap
    ... def rule(axis_size, in_batched, x): return 2 * x, in_batched[0]
    """

    def __init__(self, fun: Callable[..., Any]):
        check_callable(fun)
        name_after(self, fun)
        self.fun = fun
        self.rule: Callable[..., Any] | None = None

    def def_vmap(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the batching rule; usable as a decorator."""
        self.rule = rule
        return rule

    def __call__(self, *args: Any) -> Any:
        if self.rule is None:
            raise AttributeError(
                f"No batching rule defined for custom_vmap function {name_of(self.fun)} using "
                "def_vmap"
            )
        from fx.numpy.creation import asarray

        leaves, in_tree = tree_flatten(args)
        flat_fun, out = flatten_function(self.fun, in_tree)
        outs = custom_vmap_call_p.bind(*leaves, rules=_UserRule(self, flat_fun, in_tree, out))
        return out.tree.unflatten([asarray(x) for x in outs])


class _UserRule:
    """A call and its batching rule on flat values: batch(size, mapped, *flat) -> (outs, mapped)."""

    def __init__(self, custom: custom_vmap, call: Callable[..., Any], in_tree: Any, out: Any):
        self.custom, self.call, self.in_tree, self.out = custom, call, in_tree, out

    def batch(
        self, size: int, mapped: Sequence[bool], args: Sequence[Any]
    ) -> tuple[list[Any], list[bool]]:
        rule = self.custom.rule
        assert rule is not None
        in_batched = list(self.in_tree.unflatten(mapped))
        result = rule(size, in_batched, *self.in_tree.unflatten(args))
        name = f"custom_vmap rule of {name_of(self.custom.fun)}"
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise TypeError(f"{name} must return a pair (output, which of it is batched)")
        outs, self.out.tree = tree_flatten(result[0])
        return outs, prefix_leaves(result[1], result[0], f"{name}: out_batched")


class _Differentiated:
    """The jvp of a call: arguments are primals and the nonzero tangents, the rule is
    differentiated.
    """

    def __init__(self, inner: Any, nonzero: Sequence[bool], nonzero_out: list[bool]):
        self.inner, self.nonzero, self.nonzero_out = inner, list(nonzero), nonzero_out

    def _split(self, flat: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        n = len(self.nonzero)
        given = iter(flat[n:])
        primals = list(flat[:n])
        tangents = [next(given) if nz else Zero.like(p) for p, nz in zip(primals, self.nonzero)]
        return primals, tangents

    def call(self, *flat: Any) -> list[Any]:
        outs, tangents = jvp_flat(self.inner.call, *self._split(flat))
        self.nonzero_out[:] = [t.aval.dtype != core.float0 for t in tangents]
        return [*outs, *(core.instantiate(t) for t in tangents if t.aval.dtype != core.float0)]

    def batch(
        self, size: int, mapped: Sequence[bool], args: Sequence[Any]
    ) -> tuple[list[Any], list[bool]]:
        n = len(self.nonzero)
        given = iter(mapped[n:])
        tangent_mapped = [next(given) if nz else False for nz in self.nonzero]
        both = [m or t for m, t in zip(mapped[:n], tangent_mapped)]
        primals, tangents = self._split(args)
        for k, b in enumerate(both):
            if b:
                primals[k] = place_axis(primals[k], 0 if mapped[k] else None, size, 0)
                if self.nonzero[k]:
                    dim = 0 if tangent_mapped[k] else None
                    tangents[k] = place_axis(tangents[k], dim, size, 0)
                else:
                    tangents[k] = Zero.like(primals[k])
        found: list[bool] = []

        def rule(*xs: Any) -> list[Any]:
            outs, found[:] = self.inner.batch(size, both, xs)
            return outs

        outs, ts = jvp_flat(rule, primals, tangents)
        live = [t.aval.dtype != core.float0 for t in ts]
        flags = found + [f for f, keep in zip(found, live) if keep]
        return [*outs, *(core.instantiate(t) for t, keep in zip(ts, live) if keep)], flags


# ---------------------------------------------------------------- the primitive

custom_vmap_call_p = Primitive(
    "custom_vmap_call",
    multiple_results=True,
    doc="Calls a function that has its own batching rule.",
)


def _rules(params: dict[str, Any]) -> Any:
    return params["rules"]


def _evaluate(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return _rules(params).call(*args)


def _record(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    jaxpr, consts = core.trace_to_jaxpr(_rules(params).call, [get_aval(a) for a in args])
    closed, consts = hoist_consts(jaxpr, consts)
    recorded = {"rules": _Recorded(_rules(params), len(consts), closed), "call": closed}
    return trace.record(custom_vmap_call_p, [trace.atom(a) for a in (*consts, *args)], recorded)


class _Recorded:
    """The rules of a recorded call, whose leading arguments are the constants of its jaxpr."""

    def __init__(self, inner: Any, count: int, closed: ClosedJaxpr):
        self.inner, self.count, self.closed = inner, count, closed

    def call(self, *flat: Any) -> list[Any]:
        return core.eval_jaxpr(self.closed.jaxpr, (), *flat)

    def batch(
        self, size: int, mapped: Sequence[bool], args: Sequence[Any]
    ) -> tuple[list[Any], list[bool]]:
        return self.inner.batch(size, mapped[self.count :], args[self.count :])


def _jvp(
    trace: Any, primals: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    nonzero = [type(t) is not Zero for t in tangents]
    nonzero_out: list[bool] = []
    rules = _Differentiated(_rules(params), nonzero, nonzero_out)
    live = [t for t in tangents if type(t) is not Zero]
    outs = custom_vmap_call_p.bind(*primals, *live, rules=rules)
    n = len(nonzero_out) or len(outs) // 2
    flags = nonzero_out or [True] * n
    given = iter(outs[n:])
    ts = [next(given) if nz else Zero.like(o) for o, nz in zip(outs, flags)]
    return [trace.wrap(o, t) for o, t in zip(outs[:n], ts)]


def _inline(
    trace: Any, known: Sequence[bool], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    with set_trace(trace):
        return _rules(params).call(*args)


def _batch(
    trace: Any, vals: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> list[Any]:
    if all(d is None for d in dims):
        return custom_vmap_call_p.bind(*vals, **params)
    moved = [v if d is None else place_axis(v, d, trace.axis.size, 0) for v, d in zip(vals, dims)]
    outs, flags = _rules(params).batch(trace.axis.size, [d is not None for d in dims], moved)
    return [trace.wrap(o, 0 if f else None) for o, f in zip(outs, flags, strict=True)]


def _cases() -> list[Any]:
    def product(x: Any, y: Any) -> Any:
        return x * y * y

    f = custom_vmap(product)

    @f.def_vmap
    def rule(size: int, batched: Sequence[bool], x: Any, y: Any) -> tuple[Any, bool]:
        x, y = (
            v if b else core.PRIMITIVES["broadcast_in_dim"].bind(
                v, shape=(size, *get_aval(v).shape),
                broadcast_dimensions=tuple(range(1, get_aval(v).ndim + 1)),
            )
            for v, b in zip((x, y), batched)
        )  # fmt: skip
        return product(x, y), True

    return [Case((s, s), call=f) for s in ((2, 3), (), (0, 3))]


custom_vmap_call_p.set(
    cases=_cases,
    abstract=lambda *avals, call, **params: call.out_avals,
    effects=lambda *avals, call, **params: call.effects,
    lower=lambda b, *nodes, call, **params: lower_closed(b, call, *nodes),
)
custom_vmap_call_p.transpose = core.no(
    "its rule is recorded for batching only; linear parts are transposed apart"
)
custom_vmap_call_p.trace_rules.update(
    eval=_evaluate, jaxpr=_record, jvp=_jvp, partial=_inline, batch=_batch
)


def sequential_vmap(f: Callable[..., Any]) -> Any:
    """A function that vmap runs one example after the other.

    >>> @sequential_vmap
    ... def f(x): return x + 1
    """
    from fx.lax import map as lax_map
    from fx.tree_util import tree_leaves, tree_map

    mapped = custom_vmap(f)

    @mapped.def_vmap
    def rule(axis_size: int, in_batched: list[Any], *args: Any) -> tuple[Any, Any]:
        leaves, tree = tree_flatten(args)
        flags = tree_leaves(in_batched)

        def one(batched: list[Any]) -> Any:
            given = iter(batched)
            full = [next(given) if b else x for x, b in zip(leaves, flags)]
            return f(*tree.unflatten(full))

        out = lax_map(one, [x for x, b in zip(leaves, flags) if b])
        return out, tree_map(lambda _: True, out)

    return mapped
