"""Batching: `vmap` maps a function over an axis; `batch_jaxpr` does it to a jaxpr.

A BatchTracer holds the whole batch and which of its axes is mapped; batching rules turn an
operation on one example into one on the batch. Values of other traces are the same for every
example. A named axis is known to the trace that maps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, ref_loops
from fx.avals import ShapedArray, float0
from fx.core import (
    AxisData,
    ClosedJaxpr,
    NamedAxisEffect,
    Primitive,
    Trace,
    Tracer,
    get_aval,
    named_axes,
    set_trace,
    state,
)
from fx.flatten import argument_names, check_callable, flatten_function, name_of, wraps
from fx.refs import Ref, live
from fx.tree_util import prefix_leaves, tree_flatten


class BatchTracer(Tracer):
    """A batch of values, mapped along axis `dim` of `val`."""

    __slots__ = ("aval", "dim", "val")

    def __init__(self, trace: Trace, val: Any, dim: int):
        self._trace = trace
        self._source = None
        self.val = val
        self.dim = dim
        aval = get_aval(val)
        shape = aval.shape
        self.aval = ShapedArray(shape[:dim] + shape[dim + 1 :], aval.dtype, aval.weak_type)

    def origin(self) -> str:
        inner = self.val.origin() if isinstance(self.val, Tracer) else ""
        return f"\nIt is mapped by vmap.{inner}"


class BatchTrace(Trace):
    """Applies batching rules; the rules' operations run under the parent trace."""

    kind = "batch"

    def __init__(self, parent: Trace, axis: AxisData):
        self.parent = parent
        self.axis = axis
        self.alive = True

    def process(self, p: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        vals, dims, mapped = [], [], False
        for a in args:
            if type(a) is BatchTracer and a._trace is self:
                vals.append(a.val)
                dims.append(a.dim)
                mapped = True
            else:
                vals.append(a)
                dims.append(None)
        old, state.trace = state.trace, self.parent
        try:
            rule = p.trace_rules.get("batch")
            if rule is not None:
                return rule(self, vals, dims, params)
            if not mapped and not self.reads_axis(p, vals, params):
                return p.bind(*vals, **params)
            out, out_dim = (p.batch or p.rule("batch"))(self.axis, vals, dims, **params)
        finally:
            state.trace = old
        if p.multiple_results:
            return [self.wrap(o, d) for o, d in zip(out, out_dim, strict=True)]
        return self.wrap(out, out_dim)

    def reads_axis(self, p: Primitive, vals: Sequence[Any], params: dict[str, Any]) -> bool:
        """Whether an equation without mapped operands reads this trace's named axis."""
        if self.axis.name is None or p.effects is None:
            return False
        return NamedAxisEffect(self.axis.name) in p.effects(*map(get_aval, vals), **params)

    def wrap(self, val: Any, dim: int | None) -> Any:
        return val if dim is None else BatchTracer(self, val, dim)

    def unwrap(self, out: Any) -> tuple[Any, int | None]:
        if type(out) is BatchTracer and out._trace is self:
            return out.val, out.dim
        return out, None


def batch_flat(
    fun: Callable[..., Sequence[Any]],
    axis: AxisData,
    vals: Sequence[Any],
    dims: Sequence[int | None],
) -> tuple[list[Any], list[int | None]]:
    """Map `fun` over flat values; returns the outputs and where each is mapped (None: not
    at all).
    """
    trace = BatchTrace(state.trace, axis)
    names = [(axis.name, axis.size)] if axis.name is not None else []
    try:
        with set_trace(trace), named_axes(names):
            outs = fun(*[trace.wrap(v, d) for v, d in zip(vals, dims, strict=True)])
        pairs = [trace.unwrap(o) for o in outs]
        return [v for v, _ in pairs], [d for _, d in pairs]
    finally:
        trace.end()


def place_axis(x: Any, dim: int | None, size: int, wanted: int | None, what: str = "") -> Any:
    """Move the mapped axis from `dim` to `wanted`, broadcasting a value that is not mapped."""
    if wanted is None:
        if dim is not None:
            raise ValueError(
                "vmap has mapped output but out_axes is None: the output depends on the mapped "
                f"input{what}"
            )
        return x
    if dim is None:
        ndim = get_aval(x).ndim + 1
        if getattr(x, "dtype", None) == float0:  # zeros without storage
            shape = list(x.shape)
            shape.insert(_axis_in(wanted, ndim, "out_axes", what), size)
            return np.zeros(shape, float0)
        return core.broadcast_new_axis(x, _axis_in(wanted, ndim, "out_axes", what), size)
    ndim = get_aval(x).ndim
    wanted = _axis_in(wanted, ndim, "out_axes", what)
    return x if dim == wanted else core.move_axis(x, dim, wanted)


def _axis_in(axis: int, ndim: int, which: str, what: str) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(
            "vmap was requested to map its "
            f"{'output' if which == 'out_axes' else 'argument'}{what} "
            f"along axis {axis}, which implies that its rank should be at least "
            f"{axis + 1 if axis >= 0 else -axis}, but is only {ndim} "
            f"(its shape decides which values of {which} are possible)"
        )
    return axis % ndim


# ---------------------------------------------------------------- the user's side


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    sum_match: bool = False,
) -> Callable[..., Any]:
    """A function that maps `fun` over an axis of its arguments.

    in_axes: an int, None (not mapped), or a tuple or tree prefix of these, one entry per
    positional argument; keyword arguments are mapped along axis 0. out_axes: the same for the
    outputs. axis_name names the axis for psum and friends; axis_size is needed only where no
    argument is mapped.

    >>> import fx
    >>> vmap(lambda x, y: x * y, in_axes=(0, None))(fx.numpy.arange(3.0), 2.0)
    Array([0., 2., 4.], dtype=float32)
    """
    check_callable(fun)
    in_axes = tuple(in_axes) if isinstance(in_axes, list) else in_axes
    if not isinstance(in_axes, tuple | int | type(None)):
        raise TypeError(
            "vmap in_axes must be an int, None, or a tuple of entries corresponding to the "
            f"positional arguments passed to the function, but got {in_axes!r}."
        )
    _check_entries(in_axes, "in_axes")
    _check_entries(out_axes, "out_axes")

    @wraps(fun)
    def vmap_f(*args: Any, **kwargs: Any) -> Any:
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise ValueError(
                "vmap in_axes must be an int, None, or a tuple of entries corresponding to the "
                f"positional arguments of the function, but got {len(in_axes)=}, {len(args)=}"
            )
        leaves, in_tree = tree_flatten((args, kwargs))
        given = prefix_leaves(in_axes, args, "vmap in_axes", none_is_leaf=True)
        given += [0] * (len(leaves) - len(given))
        pairs = enumerate(zip(leaves, given))
        dims = [_check_in_axis(x, d, fun, args, kwargs, k) for k, (x, d) in pairs]
        size = _axis_size(fun, leaves, dims, args, kwargs, axis_size)
        axis = AxisData(axis_name, size)
        if live and (found := _with_refs(fun, (args, kwargs), in_axes, dims, out_axes, axis)):
            return found[0]
        flat_fun, out = flatten_function(fun, in_tree, kwargs=True)
        vals, out_dims = batch_flat(flat_fun, axis, leaves, dims)
        core.check_leaks()
        if isinstance(out_axes, int):
            wanted = [out_axes] * len(vals)
        else:  # nodes are not shown values whose axes are not in place
            dummy = out.tree.unflatten([object() for _ in vals])
            wanted = prefix_leaves(out_axes, dummy, "vmap out_axes", none_is_leaf=True)
        placed = [place_axis(v, d, size, w) for v, d, w in zip(vals, out_dims, wanted)]
        return out.tree.unflatten(placed)

    return vmap_f


def _with_refs(
    fun: Any, operands: Any, in_axes: Any, dims: Sequence[int | None], out_axes: Any, axis: AxisData
) -> Any:
    """A tuple of the result where `fun` touches refs, else None."""

    def run(of_values: Any, values: Any, operands: Any, out_axes: Any) -> Any:
        axes = (None, in_axes, 0), out_axes, axis.name, axis.size
        return vmap(of_values, *axes)(values, *operands)

    return ref_loops.vmap(fun, operands, dims, out_axes, axis, run)


def _type_of(x: Any) -> Any:
    return x.aval if isinstance(x, Ref) else get_aval(x)


def _check_entries(axes: Any, which: str) -> None:
    for entry in tree_flatten(axes)[0]:
        if not isinstance(entry, int):
            raise TypeError(
                f"vmap {which} must be an int, None, or (nested) container with those types as "
                f"leaves, but got {axes!r}."
            )


def _check_in_axis(
    x: Any, axis: int | None, fun: Callable[..., Any], args: Any, kwargs: Any, k: int
) -> int | None:
    """The axis counted from the front; ValueError that names the argument where it does not
    exist.
    """
    if axis is None:
        return None
    ndim = _type_of(x).ndim
    if not -ndim <= axis < ndim:
        name = argument_names(fun, args, kwargs)[k]
        raise ValueError(
            f"vmap was requested to map its argument {name} along axis {axis}, which implies that "
            f"its rank should be at least {axis + 1 if axis >= 0 else -axis}, but is only {ndim} "
            f"(its shape is {_type_of(x).shape}); use in_axes=None for arguments that are not "
            "mapped"
        )
    return axis % ndim


def _axis_size(
    fun: Callable[..., Any],
    leaves: Sequence[Any],
    dims: Sequence[int | None],
    args: Any,
    kwargs: Any,
    given: int | None,
) -> int:
    sizes = [_type_of(x).shape[d] for x, d in zip(leaves, dims) if d is not None]
    if not sizes:
        if given is None:
            raise ValueError("vmap must have at least one non-None value in in_axes")
        return given
    if given is not None:
        sizes.append(given)
    if any(s != sizes[0] for s in sizes):
        names = argument_names(fun, args, kwargs)
        lines = "".join(
            f"\n  * axis {d} of argument {n} of type {_type_of(x).str_short()} has size "
            f"{_type_of(x).shape[d]}"
            for n, x, d in zip(names, leaves, dims)
            if d is not None
        )
        if given is not None:
            lines += f"\n  * axis_size is {given}"
        raise ValueError(
            f"vmap got inconsistent sizes for array axes to be mapped, in {name_of(fun)}:{lines}"
        )
    return sizes[0]


# ---------------------------------------------------------------- on jaxprs


def batch_jaxpr(
    closed: ClosedJaxpr,
    axis: AxisData,
    dims: Sequence[int | None],
    out_dims: Sequence[int | None] | bool = False,
) -> tuple[ClosedJaxpr, list[int | None]]:
    """The jaxpr on batches, mapped inputs having their axis at `dims`, and where each output is
    mapped.

    `out_dims` forces places: True for 0 everywhere, False for none forced, or one entry per
    output (None: not forced). Cached on the jaxpr.
    """
    n_out = len(closed.jaxpr.outvars)
    if isinstance(out_dims, bool):
        forced: tuple[int | None, ...] = (0 if out_dims else None,) * n_out
    else:
        forced = tuple(out_dims)
    key = ("batch", axis, tuple(dims), forced)
    found = closed.cache.get(key)
    if found is not None:
        return found
    result_dims: list[int | None] = []

    def fun(*args: Any) -> list[Any]:
        vals, got = batch_flat(core.jaxpr_as_fun(closed), axis, args, dims)
        outs = []
        for v, d, f in zip(vals, got, forced, strict=True):
            outs.append(v if f is None else place_axis(v, d, axis.size, f))
            result_dims.append(d if f is None else f)
        return outs

    avals = [
        a if d is None else a.update(shape=a.shape[:d] + (axis.size,) + a.shape[d:])
        for a, d in zip(closed.in_avals, dims, strict=True)
    ]
    return closed.remember(key, (core.close(fun, avals, closed.jaxpr.debug_info), result_dims))
