"""`fx.interpreters.batching`: batching rules of primitives, under JAX's names and signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx import core
from fx.core import Primitive, get_aval
from fx.interpreters.tables import RuleTable

fancy_primitive_batchers = RuleTable("batch")
"""Rules (axis, args, dims, **params) -> (out, dim)."""
not_mapped = None


class _AxisBatchers(RuleTable):
    """Rules (axis_size, axis_name, trace_type, args, dims, **params) -> (out, dim)."""

    def __getitem__(self, p: Primitive) -> Callable[..., Any]:
        rule = super().__getitem__(p)

        def with_name(size: int, name: Any, _: Any, args: Any, dims: Any, **params: Any) -> Any:
            return rule(core.AxisData(name, size), args, dims, **params)

        return with_name

    def __setitem__(self, p: Primitive, rule: Callable[..., Any]) -> None:
        def with_axis(axis: Any, args: Any, dims: Any, **params: Any) -> Any:
            return rule(axis.size, axis.name, None, args, dims, **params)

        super().__setitem__(p, with_axis)


axis_primitive_batchers = _AxisBatchers("batch")


class _Batchers(RuleTable):
    """Rules (args, dims, **params) -> (out, dim), without the axis."""

    def __getitem__(self, p: Primitive) -> Callable[..., Any]:
        rule = super().__getitem__(p)
        plain = getattr(rule, "plain", None)
        if plain is not None:
            return plain

        def without_axis(args: Sequence[Any], dims: Sequence[Any], **params: Any) -> Any:
            size = next(get_aval(a).shape[d] for a, d in zip(args, dims) if d is not None)
            return rule(core.AxisData(None, size), args, dims, **params)

        return without_axis

    def __setitem__(self, p: Primitive, rule: Callable[..., Any]) -> None:
        def with_axis(axis: Any, args: Any, dims: Any, **params: Any) -> Any:
            return rule(args, dims, **params)

        with_axis.plain = rule  # type: ignore[attr-defined]
        super().__setitem__(p, with_axis)


primitive_batchers = _Batchers("batch")


def bdim_at_front(x: Any, bdim: int | None, size: int) -> Any:
    """The batch with its mapped axis first, broadcast where it is not mapped."""
    if bdim is None:
        return core.broadcast_new_axis(x, 0, size)
    return core.move_axis(x, bdim, 0)


def broadcast(x: Any, size: int, axis: int) -> Any:
    """The value repeated `size` times along a new axis that stands at `axis` of the result."""
    return core.broadcast_new_axis(x, axis, size)


def moveaxis(x: Any, src: int, dst: int) -> Any:
    """The value with its axis `src` moved to `dst`; the other axes keep their order."""
    return core.move_axis(x, src, dst)


def _same_place(p: Primitive, args: Sequence[Any], dims: Sequence[Any], params: Any) -> Any:
    size = next(get_aval(a).shape[d] for a, d in zip(args, dims) if d is not None)
    rank = max(get_aval(a).ndim - (d is not None) for a, d in zip(args, dims))
    moved = []
    for a, d in zip(args, dims):
        if d is None and get_aval(a).ndim == 0:
            moved.append(a)
            continue
        a = bdim_at_front(a, d, size)
        for _ in range(rank + 1 - get_aval(a).ndim):
            a = core.broadcast_new_axis(a, 1, 1)
        moved.append(a)
    out = p.bind(*moved, **params)
    return out, [0] * len(out) if p.multiple_results else 0


def defvectorized(prim: Primitive) -> None:
    """Say that a primitive works element by element on one operand."""
    primitive_batchers[prim] = lambda args, dims, **params: (prim.bind(*args, **params), dims[0])


def defbroadcasting(prim: Primitive) -> None:
    """Say that a primitive works element by element on operands that broadcast."""
    primitive_batchers[prim] = lambda args, dims, **params: _same_place(prim, args, dims, params)
