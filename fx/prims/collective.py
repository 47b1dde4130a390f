"""Collectives over a named axis (of vmap): psum, pmax, pmin, all_gather, all_to_all, ppermute,
psum_scatter, axis_index.

Each computes across the examples of a batch. The trace that maps the axis turns them into
ordinary operations along the mapped axis; under every other trace they are one equation. A value
that is not mapped is the same in every example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import NamedAxisEffect, Primitive, Zero, get_aval, instantiate, set_trace
from fx.prims import convert, reduce, shape
from fx.prims.registry import Case, check_dtype, no, number, primitive

_OUTSIDE = no("a collective has a value only under the vmap that maps its axis")


def axes_of(axis_name: Any) -> tuple[Any, ...]:
    """The names in an axis_name argument: one, or a tuple of several."""
    return tuple(axis_name) if isinstance(axis_name, tuple | list) else (axis_name,)


def _effects(*avals: Any, axes: tuple[Any, ...], **params: Any) -> frozenset:
    return frozenset(NamedAxisEffect(a) for a in axes)


def _collective(name: str, doc: str, *, multiple_results: bool = False, **rules: Any) -> Primitive:
    batch = rules.pop("over_axis")
    p = primitive(
        name,
        doc,
        multiple_results=multiple_results,
        numpy=_OUTSIDE,
        lower=_OUTSIDE,
        effects=_effects,
        batch=no("the trace that maps the axis has the rule"),
        **rules,
    )
    p.trace_rules["batch"] = _batch_rule(p, batch)
    return p


def _batch_rule(p: Primitive, over_axis: Callable[..., Any]) -> Callable[..., Any]:
    """over_axis(axis, x, dim, **params) -> (out, out_dim) does the collective along dimension `dim`
    of x.
    """

    def batch(
        trace: Any, vals: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
    ) -> Any:
        axes, mine = params["axes"], trace.axis.name
        if mine is None or mine not in axes:
            if all(d is None for d in dims):
                return p.bind(*vals, **params)
            shifted, out_dims = _along_other_axis(p, trace, vals, dims, params)
            return trace.wrap(shifted, out_dims)
        rest = tuple(a for a in axes if a != mine)
        x, dim = (vals[0], dims[0]) if vals else (None, None)
        out, out_dim = over_axis(trace.axis, x, dim, **{**params, "axes": (mine,)})
        if rest:
            with set_trace(trace):
                return p.bind(trace.wrap(out, out_dim), **{**params, "axes": rest})
        return trace.wrap(out, out_dim)

    return batch


def _along_other_axis(
    p: Primitive, trace: Any, vals: Any, dims: Any, params: dict[str, Any]
) -> tuple[Any, int]:
    """Another axis is collected: keep the mapped dimension first, and shift the parameters that
    count dimensions.
    """
    x = shape.move_axis(vals[0], dims[0], 0)
    moved = {
        k: v + 1
        if k in ("all_gather_dimension", "scatter_dimension", "split_axis", "concat_axis")
        else v
        for k, v in params.items()
    }
    return p.bind(x, **moved), 0


def _size(axes: tuple[Any, ...]) -> int:
    size = 1
    for a in axes:
        size *= core.axis_size(a)
    return size


def _same(x: ShapedArray, **params: Any) -> ShapedArray:
    _size(params["axes"])
    return x


def _cases(*applications: tuple[tuple[int, ...], dict[str, Any]]) -> Any:
    """Cases of one operand for the examples of an axis of three."""
    return lambda: [
        Case((s,), {"axes": ("i",), **params}, axes=(("i", 3),)) for s, params in applications
    ]


def _same_shape_cases() -> list[Case]:
    found = _cases(((2,), {}), ((), {}), ((0, 2), {}))()
    return [*found, Case(((2,),), {"axes": ("j", "i")}, axes=(("i", 3), ("j", 2)))]


# ---------------------------------------------------------------- reductions over the axis


def _reduction(name: str, doc: str, over: Callable[..., Any], same: Any, **rules: Any) -> Primitive:
    def over_axis(axis: Any, x: Any, dim: int | None, *, axes: Any) -> tuple[Any, None]:
        if dim is None:
            return same(x, axis.size), None
        return over(x, (dim,)), None

    rules = {"abstract": _same, "cases": _same_shape_cases, **rules}
    return _collective(name, doc, over_axis=over_axis, **rules)


def _times(x: Any, size: int) -> Any:
    return x * np.asarray(size, get_aval(x).dtype)[()]


def _psum_abstract(x: ShapedArray, *, axes: Any) -> ShapedArray:
    check_dtype("psum", x.dtype, number)
    return _same(x, axes=axes)


def _psum_transpose(ct: Any, x: Any, *, axes: Any) -> list[Any]:
    return [Zero(x.aval) if type(ct) is Zero else psum_p.bind(ct, axes=axes)]


psum_p = _reduction(
    "psum",
    "Sum over the examples of a named axis.",
    reduce.reduce_sum,
    _times,
    abstract=_psum_abstract,
    jvp="linear",
    transpose=_psum_transpose,
)


def _extreme_jvp(p: Callable[[], Primitive]) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], *, axes: Any) -> tuple[Any, Any]:
        """The tangents of the examples that attain the extreme share it evenly."""
        (x,), (t,) = primals, tangents
        out = p().bind(x, axes=axes)
        if type(t) is Zero:
            return out, Zero.like(out)
        hit = convert.convert(core.PRIMITIVES["eq"].bind(x, out), get_aval(x).dtype)
        total, count = psum_p.bind(hit * t, axes=axes), psum_p.bind(hit, axes=axes)
        return out, total / count

    return jvp


def _extreme_cases() -> list[Case]:
    """With a tie of two, where central differences are the mean as well."""
    tie = np.asarray([[1, -2], [3, -2], [3, -1]], np.float32)
    axes = (("i", 3),)
    return [*_same_shape_cases(), Case(((2,),), {"axes": ("i",)}, None, (tie,), axes=axes, order=1)]


pmax_p = _reduction(
    "pmax",
    "Maximum over the examples of a named axis.",
    reduce.reduce_max,
    lambda x, size: x,
    jvp=_extreme_jvp(lambda: pmax_p),
    cases=_extreme_cases,
    transpose=no("it is not linear"),
)
pmin_p = _reduction(
    "pmin",
    "Minimum over the examples of a named axis.",
    reduce.reduce_min,
    lambda x, size: x,
    jvp=_extreme_jvp(lambda: pmin_p),
    cases=_extreme_cases,
    transpose=no("it is not linear"),
)


# ---------------------------------------------------------------- position


def _axis_index_over(axis: Any, x: Any, dim: Any, *, axes: Any) -> tuple[Any, int]:
    return shape.iota(np.dtype(np.int32), (axis.size,), 0), 0


axis_index_p = _collective(
    "axis_index",
    "The position of the example along a named axis.",
    abstract=lambda *, axes: ShapedArray((), np.int32) if _size(axes) >= 0 else None,
    jvp="zero",
    transpose=no("it has no operand"),
    over_axis=_axis_index_over,
    cases=lambda: [Case((), {"axes": ("i",)}, axes=(("i", 3),))],
)


# ---------------------------------------------------------------- exchanges


def _spread(x: Any, dim: int | None, size: int) -> Any:
    """x with the mapped dimension first."""
    if dim is None:
        return shape.broadcast_new_axis(x, 0, size)
    return shape.move_axis(x, dim, 0)


def _all_gather_abstract(
    x: ShapedArray, *, axes: Any, all_gather_dimension: int, tiled: bool
) -> ShapedArray:
    size, s, k = _size(axes), x.shape, all_gather_dimension
    if tiled:
        return x.update(shape=(*s[:k], s[k] * size, *s[k + 1 :]))
    return x.update(shape=(*s[:k], size, *s[k:]))


def _all_gather_over(
    axis: Any, x: Any, dim: int | None, *, axes: Any, all_gather_dimension: int, tiled: bool
) -> tuple[Any, None]:
    x, k = _spread(x, dim, axis.size), all_gather_dimension
    x = shape.move_axis(x, 0, k)
    if tiled:
        s = get_aval(x).shape
        x = shape.reshape(x, (*s[:k], s[k] * s[k + 1], *s[k + 2 :]))
    return x, None


def _all_gather_transpose(
    ct: Any, x: Any, *, axes: Any, all_gather_dimension: int, tiled: bool
) -> list[Any]:
    return [
        psum_scatter_p.bind(
            instantiate(ct), axes=axes, scatter_dimension=all_gather_dimension, tiled=tiled
        )
    ]


all_gather_p = _collective(
    "all_gather",
    "The values of all examples of a named axis, stacked or (tiled) joined along a dimension.",
    abstract=_all_gather_abstract,
    jvp="linear",
    transpose=_all_gather_transpose,
    over_axis=_all_gather_over,
    cases=_cases(
        ((2,), {"all_gather_dimension": 1, "tiled": False}),
        ((2, 2), {"all_gather_dimension": 1, "tiled": True}),
        ((), {"all_gather_dimension": 0, "tiled": False}),
        ((0, 2), {"all_gather_dimension": 0, "tiled": True}),
    ),
)


def _psum_scatter_abstract(
    x: ShapedArray, *, axes: Any, scatter_dimension: int, tiled: bool
) -> ShapedArray:
    size, s, k = _size(axes), x.shape, scatter_dimension
    check_dtype("psum_scatter", x.dtype, number)
    if tiled:
        if s[k] % size:
            raise ValueError(
                f"tiled psum_scatter: dimension {k} of shape {s} is not divisible by the axis size "
                f"{size}"
            )
        return x.update(shape=(*s[:k], s[k] // size, *s[k + 1 :]))
    if s[k] != size:
        raise ValueError(
            f"psum_scatter operand scatter dimension size {s[k]} must match shard count {size}"
        )
    return x.update(shape=(*s[:k], *s[k + 1 :]))


def _psum_scatter_over(
    axis: Any, x: Any, dim: int | None, *, axes: Any, scatter_dimension: int, tiled: bool
) -> tuple[Any, int]:
    total = _times(x, axis.size) if dim is None else reduce.reduce_sum(x, (dim,))
    k = scatter_dimension
    if not tiled:
        return total, k
    s = get_aval(total).shape
    return shape.reshape(total, (*s[:k], axis.size, s[k] // axis.size, *s[k + 1 :])), k


def _psum_scatter_transpose(
    ct: Any, x: Any, *, axes: Any, scatter_dimension: int, tiled: bool
) -> list[Any]:
    return [
        all_gather_p.bind(
            instantiate(ct), axes=axes, all_gather_dimension=scatter_dimension, tiled=tiled
        )
    ]


psum_scatter_p = _collective(
    "reduce_scatter",
    "Sum over a named axis, of which each example keeps its own slice.",
    abstract=_psum_scatter_abstract,
    jvp="linear",
    transpose=_psum_scatter_transpose,
    over_axis=_psum_scatter_over,
    limits={"0-d": "each example keeps a slice along an axis"},
    cases=_cases(
        ((3, 2), {"scatter_dimension": 0, "tiled": False}),
        ((2, 6), {"scatter_dimension": 1, "tiled": True}),
        ((0, 3), {"scatter_dimension": 1, "tiled": False}),
    ),
)


def _ppermute_over(axis: Any, x: Any, dim: int | None, *, axes: Any, perm: Any) -> tuple[Any, int]:
    x = _spread(x, dim, axis.size)
    source = np.full(axis.size, -1)
    for src, dst in perm:
        source[dst] = src
    pieces = []
    for src in source:
        piece = shape.slice_in_dim(x, max(int(src), 0), max(int(src), 0) + 1, axis=0)
        pieces.append(piece if src >= 0 else core.zeros_like_aval(get_aval(piece)))
    return shape.concatenate(pieces, 0), 0


def _ppermute_transpose(ct: Any, x: Any, *, axes: Any, perm: Any) -> list[Any]:
    inverse = tuple((dst, src) for src, dst in perm)
    return [Zero(x.aval) if type(ct) is Zero else ppermute_p.bind(ct, axes=axes, perm=inverse)]


ppermute_p = _collective(
    "ppermute",
    "Sends values between examples of a named axis by (source, destination) pairs; others get "
    "zero.",
    abstract=_same,
    jvp="linear",
    transpose=_ppermute_transpose,
    over_axis=_ppermute_over,
    cases=_cases(*((s, {"perm": ((0, 2), (2, 1))}) for s in ((2,), (), (0, 2)))),
)


def _all_to_all_abstract(
    x: ShapedArray, *, axes: Any, split_axis: int, concat_axis: int, tiled: bool
) -> ShapedArray:
    size, s = _size(axes), list(x.shape)
    if tiled:
        if s[split_axis] % size:
            raise ValueError(
                f"tiled all_to_all: dimension {split_axis} of shape {x.shape} is not divisible by "
                "the "
                f"axis size {size}"
            )
        s[split_axis] //= size
        s[concat_axis] *= size
        return x.update(shape=tuple(s))
    if s[split_axis] != size:
        raise ValueError(
            "all_to_all requires the size of the mapped axis axis_name to equal "
            "x.shape[split_axis], "
            f"but they are {size} and {s[split_axis]} respectively."
        )
    s.insert(concat_axis, s.pop(split_axis))
    return x.update(shape=tuple(s))


def _all_to_all_over(
    axis: Any, x: Any, dim: int | None, *, axes: Any, split_axis: int, concat_axis: int, tiled: bool
) -> tuple[Any, int]:
    x = _spread(x, dim, axis.size)
    if not tiled:  # x[i][.., j at split, ..] -> out[j][.., i at concat, ..]
        x = shape.move_axis(x, split_axis + 1, 0)
        return shape.move_axis(x, 1, concat_axis + 1), 0
    s = get_aval(x).shape
    k = split_axis + 1
    x = shape.reshape(x, (*s[:k], axis.size, s[k] // axis.size, *s[k + 1 :]))
    x = shape.move_axis(x, k, 0)  # new example, old example, rest
    x = shape.move_axis(x, 1, concat_axis + 1)
    s, c = get_aval(x).shape, concat_axis + 1
    return shape.reshape(x, (*s[:c], s[c] * s[c + 1], *s[c + 2 :])), 0


def _all_to_all_transpose(
    ct: Any, x: Any, *, axes: Any, split_axis: int, concat_axis: int, tiled: bool
) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(x.aval)]
    swapped = {"split_axis": concat_axis, "concat_axis": split_axis, "tiled": tiled}
    return [all_to_all_p.bind(ct, axes=axes, **swapped)]


all_to_all_p = _collective(
    "all_to_all",
    "Transposes a named axis with a dimension of the operand.",
    abstract=_all_to_all_abstract,
    jvp="linear",
    transpose=_all_to_all_transpose,
    over_axis=_all_to_all_over,
    limits={"0-d": "it exchanges slices along an axis"},
    cases=_cases(
        ((3, 2), {"split_axis": 0, "concat_axis": 1, "tiled": False}),
        ((2, 3), {"split_axis": 1, "concat_axis": 0, "tiled": True}),
        ((0, 3), {"split_axis": 1, "concat_axis": 0, "tiled": False}),
    ),
)
