"""conv_general_dilated: correlation with a kernel; strides, padding, dilations and groups.

Axes are permuted to (N, C, space) and (O, I, space) first; batch groups become feature groups.
Bilinear: both transposes are convolutions again (Dumoulin and Visin 2016); batching folds into N, O
or the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating
from fx.core import Zero, is_undefined
from fx.prims import conv_blocks, shape
from fx.prims.convert import convert
from fx.prims.registry import Case, primitive
from fx.prims.window import Windows, backward_padding, dilated

Spec = tuple[int, ...]


class ConvDimensionNumbers(NamedTuple):
    """For each array the axes of (batch, feature, *space), for the kernel (out, in, *space)."""

    lhs_spec: Spec
    rhs_spec: Spec
    out_spec: Spec


def canonical_numbers(rank: int) -> ConvDimensionNumbers:
    """(N, C, space), (O, I, space), (N, C, space)."""
    order = tuple(range(rank))
    return ConvDimensionNumbers(order, order, order)


def conv(
    x: Any,
    w: Any,
    numbers: ConvDimensionNumbers,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    preferred_element_type: Any = None,
) -> Any:
    """Arguments to bind; see fx.lax.conv_general_dilated."""
    return conv_general_dilated_p.bind(
        x,
        w,
        window_strides=tuple(strides),
        padding=tuple((int(lo), int(hi)) for lo, hi in padding),
        lhs_dilation=tuple(lhs_dilation),
        rhs_dilation=tuple(rhs_dilation),
        dimension_numbers=numbers,
        feature_group_count=int(feature_group_count),
        batch_group_count=int(batch_group_count),
        precision=None,
        preferred_element_type=preferred_element_type,
    )


def _inverse(spec: Sequence[int]) -> tuple[int, ...]:
    return tuple(spec.index(k) for k in range(len(spec)))


def _windows(w_space: Sequence[int], p: dict[str, Any]) -> Windows:
    return Windows(
        tuple(w_space), p["window_strides"], p["padding"], p["lhs_dilation"], p["rhs_dilation"]
    )


# ---------------------------------------------------------------- abstract evaluation


def _abstract(x: ShapedArray, w: ShapedArray, **p: Any) -> ShapedArray:
    if x.ndim != w.ndim:
        raise TypeError(
            f"convolution requires lhs and rhs ndim to be equal, got {x.ndim} and {w.ndim}."
        )
    preferred = p["preferred_element_type"]
    if x.dtype != w.dtype and preferred is None:
        raise TypeError(
            "lax.conv_general_dilated requires arguments to have the same dtypes, got "
            f"{x.dtype.name}, {w.dtype.name}."
        )
    (n_at, _, *x_space), (o_at, _, *w_space), out_spec = p["dimension_numbers"]
    for what in ("window_strides", "padding", "lhs_dilation", "rhs_dilation"):
        if len(p[what]) != x.ndim - 2:
            raise TypeError(
                f"conv_general_dilated {what} must have one entry for each of the {x.ndim - 2} "
                f"spatial axes, got {p[what]}."
            )
    for what in ("window_strides", "lhs_dilation", "rhs_dilation"):
        if any(k < 1 for k in p[what]):
            raise TypeError(
                f"conv_general_dilated {what} must have every element be positive, got {p[what]}."
            )
    _check_groups(x, w, p)
    windows = _windows([w.shape[k] for k in w_space], p)
    space = windows.result_shape([x.shape[k] for k in x_space])
    sizes = (x.shape[n_at] // p["batch_group_count"], w.shape[o_at], *space)
    out = [0] * x.ndim
    for k, n in zip(out_spec, sizes):
        out[k] = n
    dtype = x.dtype if preferred is None else preferred
    return ShapedArray(out, dtype, x.weak_type and w.weak_type and preferred is None)


def _check_groups(x: ShapedArray, w: ShapedArray, p: dict[str, Any]) -> None:
    (n_at, c_at, *_), (o_at, i_at, *_), _ = p["dimension_numbers"]
    n, c, o, i = x.shape[n_at], x.shape[c_at], w.shape[o_at], w.shape[i_at]
    features, batches = p["feature_group_count"], p["batch_group_count"]
    name = "conv_general_dilated"
    given = f" lhs has shape {x.shape} and rhs {w.shape}, with dimension_numbers "
    given += f"{tuple(p['dimension_numbers'])}."
    if features < 1 or batches < 1:
        raise ValueError(f"{name} group counts must be positive, got {features} and {batches}.")
    if features > 1 and batches > 1:
        raise ValueError(
            f"At most one of batch_group_count and feature_group_count may be > 1, got "
            f"{batches} and {features}."
        )
    if c % features:
        raise ValueError(
            f"{name} feature_group_count must divide lhs feature dimension size, but {features} "
            f"does not divide {c}." + given
        )
    if c // features != i:
        raise ValueError(
            f"{name} lhs feature dimension size divided by feature_group_count must equal the rhs "
            f"input feature dimension size, but {c} // {features} != {i}." + given
        )
    if o % features:
        raise ValueError(
            f"{name} rhs output feature dimension size must be a multiple of feature_group_count, "
            f"but {o} is not a multiple of {features}." + given
        )
    if n % batches:
        raise ValueError(
            f"{name} batch_group_count must divide lhs batch dimension size, but {batches} does "
            f"not divide {n}." + given
        )
    if o % batches:
        raise ValueError(
            f"{name} rhs output feature dimension size must be a multiple of batch_group_count, "
            f"but {o} is not a multiple of {batches}." + given
        )


# ---------------------------------------------------------------- NumPy and kernels


def _numpy(x: np.ndarray, w: np.ndarray, **p: Any) -> np.ndarray:
    """Windows without a copy, then products of (N * out, I * K) and (I * K, O), one a group."""
    lhs_spec, rhs_spec, out_spec = p["dimension_numbers"]
    dtype = np.dtype(p["preferred_element_type"] or x.dtype)
    wide = np.dtype(np.float32) if is_floating(dtype) and dtype.itemsize <= 2 else dtype
    x = x.transpose(lhs_spec).astype(wide, copy=False)
    w = w.transpose(rhs_spec).astype(wide, copy=False)
    groups = p["feature_group_count"]
    if p["batch_group_count"] > 1:
        groups = p["batch_group_count"]
        x = x.reshape(groups, x.shape[0] // groups, *x.shape[1:]).swapaxes(0, 1)
        x = x.reshape(x.shape[0], groups * x.shape[2], *x.shape[3:])
    out = _correlate(x, w, _windows(w.shape[2:], p), groups)
    return out.transpose(_inverse(out_spec)).astype(dtype, copy=False)


def _correlate(x: np.ndarray, w: np.ndarray, windows: Windows, groups: int) -> np.ndarray:
    from fx.prims.parts import pad_p
    from fx.prims.window import window_views

    n, c, o = x.shape[0], x.shape[1], w.shape[0]
    space, rank = windows.result_shape(x.shape[2:]), x.ndim - 2
    if 0 in (n, c, o, *space, *w.shape):
        return np.zeros((n, o, *space), x.dtype)
    if groups == 1 and rank and conv_blocks.worth(x, w, windows):
        return conv_blocks.correlate(x, w, windows)
    config = ((0, 0, 0), (0, 0, 0), *windows.pad_config())
    padded = pad_p.numpy(x, np.zeros((), x.dtype), padding_config=config)
    whole = windows.with_axis(0).with_axis(0)
    views = window_views(padded, whole).reshape(
        n, groups, c // groups, *space, *windows.window_dimensions
    )
    places, taps = range(3, 3 + rank), range(3 + rank, 3 + 2 * rank)
    rows = views.transpose(1, 0, *places, 2, *taps).reshape(groups, n * prod(space), -1)
    kernels = w.reshape(groups, o // groups, -1).swapaxes(1, 2)
    out = np.matmul(rows, kernels).reshape(groups, n, *space, o // groups)
    return out.transpose(1, 0, rank + 2, *range(2, rank + 2)).reshape(n, o, *space)


def _lower(b: Any, x: Any, w: Any, **p: Any) -> Any:
    lhs_spec, rhs_spec, out_spec = p["dimension_numbers"]
    dtype = np.dtype(p["preferred_element_type"] or x.dtype)
    if x.dtype != w.dtype:
        x, w = b.convert(x, dtype), b.convert(w, dtype)
    x, w = b.transpose(x, lhs_spec), b.transpose(w, rhs_spec)
    groups = p["feature_group_count"]
    if p["batch_group_count"] > 1:
        groups = p["batch_group_count"]
        n, c, *space = x.shape
        x = b.reshape(x, (groups, n // groups, c, *space))
        order = (1, 0, *range(2, len(x.shape)))
        x = b.reshape(b.transpose(x, order), (n // groups, groups * c, *space))
    windows = _windows(w.shape[2:], p)
    shape_out = (x.shape[0], w.shape[0], *windows.result_shape(x.shape[2:]))
    if any(lo < 0 or hi < 0 for lo, hi in windows.padding):
        low, high, interior = zip((0, 0, 0), (0, 0, 0), *windows.pad_config())
        x = b.pad(x, b.const(0, x.dtype), low, high, interior)
        none = ((0, 0),) * len(windows.padding)
        windows = windows._replace(padding=none, base_dilation=(1,) * len(none))
    _, strides, padding, lhs_dilation, rhs_dilation = windows
    out = b.conv(x, w, shape_out, strides, padding, lhs_dilation, rhs_dilation, groups, dtype)
    return b.transpose(out, _inverse(out_spec))


# ---------------------------------------------------------------- derivatives


def _jvp(primals: Any, tangents: Any, **p: Any) -> Any:
    (x, w), (tx, tw) = primals, tangents
    out = conv_general_dilated_p.bind(x, w, **p)
    parts = []
    if type(tx) is not Zero:
        parts.append(conv_general_dilated_p.bind(tx, w, **p))
    if type(tw) is not Zero:
        parts.append(conv_general_dilated_p.bind(x, tw, **p))
    if not parts:
        return out, Zero.like(out)
    return out, parts[0] if len(parts) == 1 else core.add_values(*parts)


def _split_axis(x: Any, axis: int, groups: int) -> Any:
    """Axis n as (groups, n / groups)."""
    sizes = shape.shape_of(x)
    return shape.reshape(x, (*sizes[:axis], groups, sizes[axis] // groups, *sizes[axis + 1 :]))


def _join_axes(x: Any, axis: int) -> Any:
    """Axes `axis` and the next as one."""
    sizes = shape.shape_of(x)
    return shape.reshape(x, (*sizes[:axis], sizes[axis] * sizes[axis + 1], *sizes[axis + 2 :]))


def _regroup(x: Any, src: int, dst: int, groups: int) -> Any:
    """Axis src, (groups, n / groups), gives its groups to axis dst, which becomes (groups, m)."""
    return _join_axes(shape.move_axis(_split_axis(x, src, groups), src, dst), dst)


def _transpose_lhs(ct: Any, aval: ShapedArray, w: Any, p: dict[str, Any]) -> Any:
    """The cotangent of x: ct spread by the strides, correlated with the flipped kernel."""
    lhs_spec, rhs_spec, out_spec = p["dimension_numbers"]
    o_at, i_at, *w_space = rhs_spec
    groups = max(p["feature_group_count"], p["batch_group_count"])
    if groups > 1:
        # (O, I) = (g * O/g, I) to (O/g, g * I): output features of the transpose group by group
        w = _regroup(w, o_at, i_at, groups)
    windows = _windows([shape.shape_of(w)[k] for k in w_space], p)
    x_space = [aval.shape[k] for k in lhs_spec[2:]]
    out_space = [shape.shape_of(ct)[k] for k in out_spec[2:]]
    if 0 in shape.shape_of(ct):
        return core.zeros_like_aval(aval)
    numbers = ConvDimensionNumbers(out_spec, (i_at, o_at, *w_space), lhs_spec)
    back = conv(
        ct,
        shape.rev(w, w_space),
        numbers,
        p["lhs_dilation"],
        backward_padding(x_space, windows, out_space),
        p["window_strides"],
        p["rhs_dilation"],
        groups,
        preferred_element_type=_wider(ct, aval),
    )
    if p["batch_group_count"] > 1:
        back = _regroup(back, lhs_spec[1], lhs_spec[0], groups)
    return convert(back, aval.dtype)


def _transpose_rhs(ct: Any, x: Any, aval: ShapedArray, p: dict[str, Any]) -> Any:
    """The cotangent of w: x correlated with ct; N is contracted, C becomes the batch."""
    (n_at, c_at, *x_at), (o_at, i_at, *w_space), out_spec = p["dimension_numbers"]
    windows = _windows([aval.shape[k] for k in w_space], p)
    x_space = [shape.shape_of(x)[k] for k in x_at]
    out_space = [shape.shape_of(ct)[k] for k in out_spec[2:]]
    if 0 in shape.shape_of(ct):
        return core.zeros_like_aval(aval)
    pads = []
    for n, m, k, s, (lo, _), bd, wd in zip(x_space, out_space, *windows):
        pads.append((lo, dilated(k, wd) - 1 - lo + dilated(m, s) - dilated(n, bd)))
    numbers = ConvDimensionNumbers(
        (c_at, n_at, *x_at),
        (out_spec[1], out_spec[0], *out_spec[2:]),
        (i_at, o_at, *w_space),
    )
    back = conv(
        x,
        ct,
        numbers,
        p["rhs_dilation"],
        pads,
        p["lhs_dilation"],
        p["window_strides"],
        p["batch_group_count"],
        p["feature_group_count"],
        _wider(ct, aval),
    )
    return convert(back, aval.dtype)


def _wider(ct: Any, aval: ShapedArray) -> Any:
    dtype = core.get_aval(ct).dtype
    return None if dtype == aval.dtype else dtype


def _transpose(ct: Any, x: Any, w: Any, **p: Any) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, w)]
    if is_undefined(x):
        return [_transpose_lhs(ct, x.aval, w, p), None]
    return [None, _transpose_rhs(ct, x, w.aval, p)]


# ---------------------------------------------------------------- batching


def _fold_axis(x: Any, src: int, dst: int, groups: int = 1) -> Any:
    """Axis src (of size B) into axis dst of the rest, which becomes (groups, B, n / groups)."""
    x = shape.move_axis(x, src, dst)  # (..., B, n, ...)
    if groups > 1:
        x = _split_axis(x, dst + 1, groups)  # B, groups, n / groups
        x = shape.move_axis(x, dst, dst + 1)
        x = _join_axes(x, dst)
    return _join_axes(x, dst)


def _unfold_axis(x: Any, axis: int, size: int, groups: int = 1) -> Any:
    """The inverse: the axis of size B comes to the front."""
    if groups > 1:
        x = _split_axis(x, axis, groups)  # groups, B * n / groups
        x = _split_axis(x, axis + 1, size)  # groups, B, n / groups
        x = shape.move_axis(x, axis + 1, 0)
        return _join_axes(x, axis + 1)
    return shape.move_axis(_split_axis(x, axis, size), axis, 0)


def _batch(axis: Any, args: Any, dims: Any, **p: Any) -> Any:
    (x, w), (dx, dw) = args, dims
    lhs_spec, rhs_spec, out_spec = p["dimension_numbers"]
    features, batches = p["feature_group_count"], p["batch_group_count"]
    if axis.size == 0:
        return _batch_of_none(axis, args, dims, p), 0
    if dx is not None and dw is not None:
        at = lhs_spec[0] if batches > 1 else lhs_spec[1]
        x = _fold_axis(x, dx, at)
        w = _fold_axis(w, dw, rhs_spec[0])
        which = "batch_group_count" if batches > 1 else "feature_group_count"
        out = conv_general_dilated_p.bind(x, w, **{**p, which: axis.size * p[which]})
        return _unfold_axis(out, out_spec[1], axis.size), 0
    if dx is not None:
        out = conv_general_dilated_p.bind(_fold_axis(x, dx, lhs_spec[0], batches), w, **p)
        return _unfold_axis(out, out_spec[0], axis.size), 0
    assert dw is not None
    groups = max(features, batches)
    out = conv_general_dilated_p.bind(x, _fold_axis(w, dw, rhs_spec[0], groups), **p)
    return _unfold_axis(out, out_spec[1], axis.size, groups), 0


def _batch_of_none(axis: Any, args: Any, dims: Any, p: dict[str, Any]) -> Any:
    """No members: an empty result."""
    avals = []
    for a, d in zip(args, dims):
        aval = core.get_aval(a)
        sizes = [n for k, n in enumerate(aval.shape) if k != d]
        avals.append(aval.update(shape=tuple(sizes)))
    out = _abstract(*avals, **p)
    return core.zeros_like_aval(out.update(shape=(axis.size, *out.shape)))


# ---------------------------------------------------------------- cases and entry


def _case(shapes: Any, **more: Any) -> Case:
    rank = len(shapes[0])
    space = rank - 2
    params = {
        "window_strides": (1,) * space,
        "padding": ((0, 0),) * space,
        "lhs_dilation": (1,) * space,
        "rhs_dilation": (1,) * space,
        "dimension_numbers": canonical_numbers(rank),
        "feature_group_count": 1,
        "batch_group_count": 1,
        "precision": None,
        "preferred_element_type": None,
    }
    return Case(shapes, params | more)


def _cases() -> list[Case]:
    nhwc = ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    return [
        _case(((1, 1, 4), (1, 1, 3))),
        _case(((2, 3, 5, 4), (4, 3, 2, 3)), padding=((1, 1), (0, 2))),
        _case(((2, 5, 4, 3), (2, 3, 3, 4)), dimension_numbers=nhwc, window_strides=(2, 1)),
        _case(((1, 2, 7), (3, 2, 2)), window_strides=(3,), rhs_dilation=(2,), padding=((1, 0),)),
        _case(((1, 2, 4), (3, 2, 3)), lhs_dilation=(2,), padding=((2, 2),)),
        _case(((2, 4, 5), (6, 2, 2)), feature_group_count=2),
        _case(((4, 2, 5), (6, 2, 2)), batch_group_count=2),
        _case(((1, 1, 6), (2, 1, 2)), padding=((-1, -2),)),
        _case(((2, 3), (4, 3))),
        _case(((1, 3, 4, 4, 2), (2, 3, 2, 2, 2))),
        _case(((0, 2, 5), (3, 2, 2))),
        _case(((1, 0, 5), (3, 0, 2)), padding=((1, 0),)),
    ]


conv_general_dilated_p = primitive(
    "conv_general_dilated",
    "Correlation of an array with a kernel over its spatial axes.",
    abstract=_abstract,
    numpy=_numpy,
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    lower=_lower,
    limits={"0-d": "its operands have a batch and a feature axis"},
    cases=_cases,
)
