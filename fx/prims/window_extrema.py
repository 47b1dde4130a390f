"""Extrema of sliding windows, and what their derivatives need.

The derivative of an extremum picks the tangent at the winning place of each window (`window_arg`:
the first of equal ones), which `window_select` does; `window_place`, its transpose, puts cotangents
back there.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fx.avals import ShapedArray, is_floating
from fx.core import Zero, is_undefined
from fx.prims import shape
from fx.prims.reduce import highest, lowest
from fx.prims.registry import Case, check_dtype, no, ordered, primitive
from fx.prims.window import (
    Windows,
    check_windows,
    dilated,
    fold_abstract,
    fold_batch,
    fold_cases,
    fold_lower,
    fold_numpy,
    padded_windows,
    window_params,
    window_views,
)

# ---------------------------------------------------------------- the winning place


def _arg_numpy(x: np.ndarray, *, op: str, **params: Any) -> np.ndarray:
    """The first extremum of each window; a padded place wins only where nothing else is there."""
    w = Windows(**params)
    worst = (lowest if op == "max" else highest)(x.dtype)
    if x.dtype.kind == "V":
        x = x.astype(np.float32)
    out = w.result_shape(x.shape)
    size = prod(w.window_dimensions)
    values = window_views(padded_windows(x, worst, w), w).reshape(*out, size)
    valid = window_views(padded_windows(np.ones(x.shape, bool), False, w), w).reshape(*out, size)
    best = (np.argmax if op == "max" else np.argmin)(values, -1)
    is_valid = np.take_along_axis(valid, best[..., None], -1)[..., 0]
    return np.where(is_valid, best, np.argmax(valid, -1)).astype(np.int32)


def _arg_lower(b: Any, x: Any, *, op: str, **params: Any) -> Any:
    """The winner of each row of the window, then the winner of these, axis by axis: k + k steps
    for windows of k by k. A padded place never beats another; if it comes first, nothing does,
    and the first place that is no padding is what the window's position says.
    """
    w = Windows(**params)
    out = w.result_shape(x.shape)
    if 0 in out:
        return b.const(0, np.int32, out)
    worst = b.const((lowest if op == "max" else highest)(x.dtype), x.dtype)
    best, which = x, b.const(0, np.int32, x.shape)
    for d in reversed(range(x.ndim)):
        best, which = _arg_along(b, best, which, worst, op, w, d, out[d])
    if not any(map(any, w.padding)) and max(w.base_dilation, default=1) == 1:
        return which
    nothing = b.map("eq", best, b.broadcast(worst, out, ()))
    return b.select(nothing, _first_inside(b, w, x.shape, out), which)


def _arg_along(
    b: Any, best: Any, which: Any, worst: Any, op: str, w: Windows, d: int, size: int
) -> tuple[Any, Any]:
    """The first winner among the places along axis d, of `size` windows, and which it is there.

    Places are padded one by one: what is stored between two axes has no padding.
    """
    (lo, _), stride, gap = w.padding[d], w.window_strides[d], w.base_dilation[d]
    length, step = (size - 1) * stride + 1, prod(w.window_dimensions[d + 1 :])

    def at(v: Any, k: int, outside: Any) -> Any:
        low = lo - k * w.window_dilation[d]
        config, stop, steps = [(0, 0, 0)] * v.ndim, list(v.shape), [1] * v.ndim
        config[d] = (low, length - low - dilated(v.shape[d], gap), gap - 1)
        stop[d], steps[d] = length, stride
        return b.slice(b.pad(v, outside, *zip(*config)), [0] * v.ndim, stop, steps)

    zero, behind = b.const(0, np.int32), "le" if op == "max" else "ge"
    won, place = at(best, 0, worst), at(which, 0, zero)
    for k in range(1, w.window_dimensions[d]):
        value, inner = at(best, k, worst), at(which, k, zero)
        wins = b.map("not", b.map(behind, value, won))
        if is_floating(best.dtype):  # the first that is no number
            wins = b.map("and", wins, b.map("eq", won, won))
        won = b.select(wins, value, won)
        here = b.map("add", inner, b.const(k * step, np.int32, inner.shape))
        place = b.select(wins, here, place)
    return won, place


def _first_inside(b: Any, w: Windows, sizes: Sequence[int], out: Sequence[int]) -> Any:
    """The first place of each window that lies in no padding and in no gap, 0 where none does."""
    total, some = b.const(0, np.int32, out), b.const(True, np.bool_, out)
    for d, m in enumerate(out):
        fields: list[Any] = [(v[d],) for v in w]
        at = Windows(*fields)
        (config,) = at.pad_config()
        inside = b.pad(b.const(True, np.bool_, (sizes[d],)), b.const(False, np.bool_), *zip(config))
        first, found = b.const(0, np.int32, (m,)), b.const(False, np.bool_, (m,))
        for k in reversed(range(w.window_dimensions[d])):
            here = b.slice(inside, *at.bounds((k,), (m,)))
            first = b.select(here, b.const(k, np.int32, (m,)), first)
            found = b.map("or", found, here)
        step = b.const(prod(w.window_dimensions[d + 1 :]), np.int32, (m,))
        total = b.map("add", total, b.broadcast(b.map("mul", first, step), out, (d,)))
        some = b.map("and", some, b.broadcast(found, out, (d,)))
    return b.select(some, total, b.const(0, np.int32, out))


def _arg_abstract(x: ShapedArray, *, op: str, **params: Any) -> ShapedArray:
    w = Windows(**params)
    check_windows("window_arg", x, w)
    check_dtype("window_arg", x.dtype, ordered)
    return ShapedArray(w.result_shape(x.shape), np.int32)


def _arg_batch(axis: Any, args: Any, dims: Any, *, op: str, **params: Any) -> Any:
    (x,), (d,) = args, dims
    return window_arg_p.bind(x, op=op, **Windows(**params).with_axis(d)._asdict()), d


window_arg_p = primitive(
    "window_arg",
    "For every window the place, counted row by row, of its first extremum; padding never wins.",
    abstract=_arg_abstract,
    numpy=_arg_numpy,
    jvp="zero",
    transpose=no("its derivative is zero everywhere"),
    batch=_arg_batch,
    lower=_arg_lower,
    cases=lambda: (
        [Case(c.shapes, {**c.params, "op": op}) for c in fold_cases()[:-1] for op in ("max", "min")]
        + [
            Case(
                ((2, 2),),
                {**window_params((2, 2), (1, 1), ((1, 0), (1, 0))), "op": "max"},
                ranges=(np.asarray([[1, 1], [-np.inf, np.nan]], np.float32),),
                diff=(),
            )
        ]
    ),
)

# ---------------------------------------------------------------- picking and placing


def _select_abstract(x: ShapedArray, which: ShapedArray, **params: Any) -> ShapedArray:
    out = Windows(**params).result_shape(x.shape)
    if which.shape != out:
        raise TypeError(f"window_select: indices of shape {which.shape}, expected {out}")
    _check_places("window_select", x, which)
    return x.update(shape=out, weak_type=False)


def _check_places(name: str, x: ShapedArray, which: ShapedArray) -> None:
    if which.dtype != np.int32 or x.dtype == np.bool_:
        raise TypeError(
            f"{name} takes numbers and int32 places, got {x.dtype.name} and {which.dtype.name}."
        )


def _select_numpy(x: np.ndarray, which: np.ndarray, **params: Any) -> np.ndarray:
    w = Windows(**params)
    size = prod(w.window_dimensions)
    values = window_views(padded_windows(x, 0, w), w).reshape(*which.shape, size)
    return np.take_along_axis(values, which[..., None], -1)[..., 0]


def _select_lower(b: Any, x: Any, which: Any, **params: Any) -> Any:
    w = Windows(**params)
    config = tuple(zip(*w.pad_config())) if x.ndim else ((), (), ())
    padded = b.pad(x, b.const(0, x.dtype), *config)
    out = None
    for k, offset in enumerate(w.offsets()):
        value = b.slice(padded, *w.bounds(offset, which.shape))
        here = b.map("eq", which, b.const(k, np.int32))
        out = value if out is None else b.select(here, value, out)
    return out


def _select_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    (x, which), t = primals, tangents[0]
    out = window_select_p.bind(x, which, **params)
    return out, Zero.like(out) if type(t) is Zero else window_select_p.bind(t, which, **params)


def _select_transpose(ct: Any, x: Any, which: Any, **params: Any) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(x.aval), None]
    return [window_place_p.bind(ct, which, sizes=x.aval.shape, **params), None]


def _paired_batch(axis: Any, args: Any, dims: Any) -> tuple[Any, Any]:
    """Both operands with the mapped axis in front."""
    return tuple(
        shape.broadcast_new_axis(a, 0, axis.size) if d is None else shape.move_axis(a, d, 0)
        for a, d in zip(args, dims)
    )


def _select_batch(axis: Any, args: Any, dims: Any, **params: Any) -> Any:
    x, which = _paired_batch(axis, args, dims)
    return window_select_p.bind(x, which, **Windows(**params).with_axis(0)._asdict()), 0


def _paired_cases(more: Any, first_is_result: bool) -> list[Case]:
    found = []
    for c in fold_cases()[:-1]:
        w = Windows(**c.params)
        out = w.result_shape(c.shapes[0])
        # a place that is no padding in any window of these cases' interior
        which = window_arg_p.numpy(
            np.arange(prod(c.shapes[0]), dtype=np.float32).reshape(c.shapes[0]) % 5,
            op="max",
            **c.params,
        )
        first = out if first_is_result else c.shapes[0]
        found.append(
            Case(
                (first, out),
                {**c.params, **more(c.shapes[0])},
                (np.float32, np.int32),
                ((-2.0, 2.0), which),
                (0,),
            )
        )
    return found


window_select_p = primitive(
    "window_select",
    "For every window the element at the place that the second operand gives; 0 in the padding.",
    abstract=_select_abstract,
    numpy=_select_numpy,
    jvp=_select_jvp,
    transpose=_select_transpose,
    batch=_select_batch,
    lower=_select_lower,
    cases=lambda: _paired_cases(lambda sizes: {}, False),
)


def _place_abstract(
    x: ShapedArray, which: ShapedArray, *, sizes: Any, **params: Any
) -> ShapedArray:
    if x.shape != which.shape or x.shape != Windows(**params).result_shape(sizes):
        raise TypeError(f"window_place: got shapes {x.shape} and {which.shape} for {sizes}")
    _check_places("window_place", x, which)
    return x.update(shape=sizes, weak_type=False)


def _place_numpy(x: np.ndarray, which: np.ndarray, *, sizes: Any, **params: Any) -> np.ndarray:
    w = Windows(**params)
    spread = tuple(
        dilated(n, bd) + max(lo, 0) + max(hi, 0)
        for n, bd, (lo, hi) in zip(sizes, w.base_dilation, w.padding)
    )
    dtype = np.float32 if x.dtype.itemsize == 2 else x.dtype
    total = np.zeros(spread, dtype)
    # negative padding crops: windows start that far inside
    inner = total[(*(slice(max(-lo, 0), None) for lo, _ in w.padding), ...)]
    for k, offset in enumerate(w.offsets()):
        if x.size:
            inner[tuple(map(slice, *w.bounds(offset, x.shape)))] += np.where(which == k, x, 0)
    keep = tuple(
        slice(max(lo, 0), max(lo, 0) + dilated(n, bd), bd)
        for n, bd, (lo, _) in zip(sizes, w.base_dilation, w.padding)
    )
    return np.asarray(total[keep]).astype(x.dtype)


def _place_lower(b: Any, x: Any, which: Any, *, sizes: Any, **params: Any) -> Any:
    """Each element gathers from the windows that chose it: one term a place, no atomics. Elements
    that are a stride apart have the same places in their windows: they are computed together, and
    the arrays of them are written between one another.
    """
    w = Windows(**params)
    zero = b.const(0, x.dtype)
    if x.size == 0:
        return b.broadcast(zero, sizes, ())
    if w == Windows(w.window_dimensions, w.window_dimensions, *_plain(x.ndim)):
        return _place_tiles(b, x, which, zero, w.window_dimensions, sizes)
    steps = w.window_strides
    if prod(steps) > prod(w.window_dimensions):  # most places belong to no window
        steps = (1,) * x.ndim
    spread = tuple(dilated(n, bd) for n, bd in zip(sizes, w.base_dilation))
    shape = tuple(-(-n // step) for n, step in zip(spread, steps))
    gaps = [s // step - 1 for s, step in zip(w.window_strides, steps)]
    classes: dict[tuple[int, ...], Any] = {}
    for k, offset in enumerate(w.offsets()):
        first = [o * wd - lo for o, wd, (lo, _) in zip(offset, w.window_dilation, w.padding)]
        low = [at // step for at, step in zip(first, steps)]
        ends = zip(shape, low, x.shape, gaps)
        high = [n - at - (m + (m - 1) * gap) for n, at, m, gap in ends]
        part = _chosen(b, x, which, k, zero, (low, high, gaps))
        which_class = tuple(at % step for at, step in zip(first, steps))
        known = classes.get(which_class)
        classes[which_class] = part if known is None else b.map("add", known, part)
    nothing = b.broadcast(zero, shape, ()) if shape else zero
    total = _interleaved(b, lambda at: classes.get(at, nothing), steps)
    return b.slice(total, (0,) * len(sizes), spread, w.base_dilation)


def _chosen(b: Any, x: Any, which: Any, k: int, zero: Any, config: Any) -> Any:
    """What the windows that chose place k give, put where it belongs. Read there and compared
    then: so `which` is one array that all places read, not computed anew by each of them.
    """
    apart = any(config[2])
    if not apart:
        which = b.pad(which, b.const(-1, np.int32), *config)
        x = b.pad(x, zero, *config)
    chosen = b.map("eq", which, b.const(k, np.int32, which.shape))
    part = b.select(chosen, x, b.const(0, x.dtype, x.shape))
    return b.pad(part, zero, *config) if apart else part


def _interleaved(b: Any, of: Any, steps: Any, at: tuple[int, ...] = ()) -> Any:
    """The array whose element `q * steps + r` is element q of the array `of(r)`."""
    d = len(at)
    if d == len(steps):
        return of(at)
    parts = [_interleaved(b, of, steps, (*at, r)) for r in range(steps[d])]
    if len(parts) == 1:
        return parts[0]
    before, after = parts[0].shape[: d + 1], parts[0].shape[d + 1 :]
    joined = b.concat([b.reshape(p, (*before, 1, *after)) for p in parts], d + 1)
    return b.reshape(joined, (*before[:-1], before[-1] * len(parts), *after))


def _plain(rank: int) -> tuple[Any, Any, Any]:
    """No padding, no dilation."""
    return ((0, 0),) * rank, (1,) * rank, (1,) * rank


def _place_tiles(b: Any, x: Any, which: Any, zero: Any, tile: Any, sizes: Any) -> Any:
    """Windows side by side: each element asks its only window (10x on 2 x 2 pooling, PoCL)."""
    rank = x.ndim
    both = tuple(n for pair in zip(x.shape, tile) for n in pair)
    places = b.const(0, np.int32, both)
    for d in range(rank):
        step = b.const(prod(tile[d + 1 :]), np.int32)
        along = b.map("mul", b.iota(both, 2 * d + 1, np.int32), step)
        places = b.map("add", places, along)
    x, which = (b.broadcast(v, both, range(0, 2 * rank, 2)) for v in (x, which))
    chosen = b.select(b.map("eq", which, places), x, b.broadcast(zero, both, ()))
    joined = b.reshape(chosen, tuple(m * k for m, k in zip(both[::2], both[1::2])))
    rest = [n - m for n, m in zip(sizes, joined.shape)]
    return b.pad(joined, zero, [0] * rank, rest, [0] * rank)


def _place_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    (x, which), t = primals, tangents[0]
    out = window_place_p.bind(x, which, **params)
    return out, Zero.like(out) if type(t) is Zero else window_place_p.bind(t, which, **params)


def _place_transpose(ct: Any, x: Any, which: Any, *, sizes: Any, **params: Any) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(x.aval), None]
    assert is_undefined(x)
    return [window_select_p.bind(ct, which, **params), None]


def _place_batch(axis: Any, args: Any, dims: Any, *, sizes: Any, **params: Any) -> Any:
    x, which = _paired_batch(axis, args, dims)
    moved = Windows(**params).with_axis(0)._asdict()
    return window_place_p.bind(x, which, sizes=(axis.size, *sizes), **moved), 0


window_place_p = primitive(
    "window_place",
    "Adds every window's value at the place of the window that the second operand gives.",
    abstract=_place_abstract,
    numpy=_place_numpy,
    jvp=_place_jvp,
    transpose=_place_transpose,
    batch=_place_batch,
    lower=_place_lower,
    cases=lambda: _paired_cases(lambda sizes: {"sizes": sizes}, True),
)

# ---------------------------------------------------------------- extrema


def _extremum_jvp(p_of: Any, op: str) -> Any:
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        (x,), (t,) = primals, tangents
        out = p_of().bind(x, **params)
        if type(t) is Zero:
            return out, Zero.like(out)
        which = window_arg_p.bind(x, op=op, **params)
        return out, window_select_p.bind(t, which, **params)

    return jvp


reduce_window_max_p = primitive(
    "reduce_window_max",
    "The maximum of every window; the first of equal ones takes the derivative.",
    abstract=fold_abstract("reduce_window_max", ordered),
    numpy=fold_numpy(np.maximum, lowest),
    jvp=_extremum_jvp(lambda: reduce_window_max_p, "max"),
    transpose=no("it is not linear"),
    batch=fold_batch(lambda: reduce_window_max_p),
    lower=fold_lower("max", lowest),
    cases=fold_cases,
)
reduce_window_min_p = primitive(
    "reduce_window_min",
    "The minimum of every window; the first of equal ones takes the derivative.",
    abstract=fold_abstract("reduce_window_min", ordered),
    numpy=fold_numpy(np.minimum, highest),
    jvp=_extremum_jvp(lambda: reduce_window_min_p, "min"),
    transpose=no("it is not linear"),
    batch=fold_batch(lambda: reduce_window_min_p),
    lower=fold_lower("min", highest),
    cases=fold_cases,
)
