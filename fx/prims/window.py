"""Folds of sliding windows: sum, max, min, and what the derivatives of the extrema need.

Every axis has a window size, stride, padding and two dilations. The derivative of an extremum picks
the tangent at the winning place of each window (`window_arg`: the first of equal ones), which
`window_select` does; `window_place`, its transpose, puts cotangents back there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating
from fx.core import Zero, is_undefined
from fx.prims import shape
from fx.prims.reduce import highest, lowest
from fx.prims.registry import (
    Case,
    no,
    number,
    ordered,
    primitive,
    transpose_linear_operand,
)


class Windows(NamedTuple):
    """Where the windows lie; one entry for every axis of the operand."""

    window_dimensions: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]

    def result_shape(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """How many windows fit along each axis."""
        out = []
        for n, k, s, (lo, hi), bd, wd in zip(sizes, *self):
            padded = dilated(n, bd) + lo + hi
            out.append(max(0, (padded - dilated(k, wd)) // s + 1) if padded >= 0 else 0)
        return tuple(out)

    def offsets(self) -> Iterator[tuple[int, ...]]:
        """The places inside a window, row by row."""
        return product(*map(range, self.window_dimensions))

    def pad_config(self) -> tuple[tuple[int, int, int], ...]:
        return tuple((lo, hi, bd - 1) for (lo, hi), bd in zip(self.padding, self.base_dilation))

    def bounds(self, offset: Sequence[int], out: Sequence[int]) -> tuple[Any, Any, Any]:
        """Start, limit and stride of the elements at `offset` of all windows, after padding."""
        starts = tuple(o * wd for o, wd in zip(offset, self.window_dilation))
        limits = tuple(a + (m - 1) * s + 1 for a, m, s in zip(starts, out, self.window_strides))
        return starts, limits, self.window_strides

    def with_axis(self, d: int) -> Windows:
        """The same with a further axis at place d that windows of size 1 walk along."""
        more = (1, 1, (0, 0), 1, 1)
        fields: list[Any] = [(*v[:d], m, *v[d:]) for v, m in zip(self, more)]
        return Windows(*fields)


def dilated(n: int, dilation: int) -> int:
    """The size of an axis with holes between its elements."""
    return 0 if n == 0 else (n - 1) * dilation + 1


def backward_padding(
    sizes: Sequence[int], w: Windows, out: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Padding of the spread cotangent that makes windows over it line up with the operand."""
    pads = []
    for n, m, k, s, (lo, _), bd, wd in zip(sizes, out, *w):
        before = dilated(k, wd) - lo - 1
        after = dilated(n, bd) + dilated(k, wd) - 1 - dilated(m, s) - before
        pads.append((before, after))
    return tuple(pads)


# ---------------------------------------------------------------- what the folds share


def _check(name: str, x: ShapedArray, w: Windows) -> None:
    given = f"{w}, for operand shape {x.shape}"
    if any(len(v) != x.ndim for v in w):
        raise TypeError(f"{name} requires one entry for each operand axis, got {given}")
    if any(k < 1 for k in w.window_dimensions):
        raise TypeError(f"{name} window_dimensions must be positive, got {given}")
    for what, values in (
        ("window_strides", w.window_strides),
        ("base_dilation", w.base_dilation),
        ("window_dilation", w.window_dilation),
    ):
        if any(v < 1 for v in values):
            raise TypeError(f"{name} {what} must be positive, got {given}")


def _abstract(name: str, accepts: Any) -> Any:
    def abstract(x: ShapedArray, **params: Any) -> ShapedArray:
        w = Windows(**params)
        _check(name, x, w)
        if not accepts(x.dtype):
            raise TypeError(f"{name} does not accept dtype {x.dtype.name}.")
        return x.update(shape=w.result_shape(x.shape))

    return abstract


def _padded(x: np.ndarray, value: Any, w: Windows) -> np.ndarray:
    from fx.prims.parts import pad_p

    return pad_p.numpy(x, np.asarray(value, x.dtype), padding_config=w.pad_config())


def _views(padded: np.ndarray, w: Windows) -> np.ndarray:
    """All windows without a copy: shape (*result, *window)."""
    reach = tuple(dilated(k, wd) for k, wd in zip(w.window_dimensions, w.window_dilation))
    if any(n < r for n, r in zip(padded.shape, reach)):
        empty = (max(0, n - r + 1) for n, r in zip(padded.shape, reach))
        sizes = (-(-m // s) for m, s in zip(empty, w.window_strides))
        return np.zeros((*sizes, *w.window_dimensions), padded.dtype)
    views = np.lib.stride_tricks.sliding_window_view(padded, reach)
    steps = (*w.window_strides, *w.window_dilation)
    return views[tuple(slice(None, None, s) for s in steps)]


def _fold_numpy(fold: Any, identity: Any) -> Any:
    """Fold the strided slices of one window place after the other: K whole-array operations."""

    def rule(x: np.ndarray, **params: Any) -> np.ndarray:
        w, dtype = Windows(**params), x.dtype
        if is_floating(dtype) and dtype.itemsize == 2:
            x = x.astype(np.float32)
        padded = _padded(x, np.asarray(identity(x.dtype)).astype(x.dtype), w)
        out_shape = w.result_shape(x.shape)
        out = None
        for offset in w.offsets():
            part = padded[tuple(map(slice, *w.bounds(offset, out_shape)))] if prod(out_shape) else 0
            out = np.full(out_shape, part) if out is None else fold(out, part, out=out)
        return np.asarray(out).astype(dtype)

    return rule


def _batch(p_of: Any) -> Any:
    def batch(axis: Any, args: Any, dims: Any, **params: Any) -> Any:
        (x,), (d,) = args, dims
        return p_of().bind(x, **Windows(**params).with_axis(d)._asdict()), d

    return batch


def _lower(op: str, identity: Any) -> Any:
    def lower(b: Any, x: Any, **params: Any) -> Any:
        w = Windows(**params)
        init = b.const(identity(x.dtype), x.dtype)
        return b.window(op, x, init, w.result_shape(x.shape), *w)

    return lower


def _params(size: Any, strides: Any, padding: Any, base: Any = None, window: Any = None) -> Any:
    ones = (1,) * len(size)
    return Windows(size, strides, padding, base or ones, window or ones)._asdict()


def _cases() -> list[Case]:
    flat, none = ((0, 0),), ((0, 0), (0, 0))
    return [
        Case(((4, 5),), _params((2, 2), (1, 1), none)),
        Case(((5,),), _params((2,), (2,), flat)),
        Case(((4, 5),), _params((2, 2), (2, 2), none)),
        Case(((6, 4),), _params((3, 2), (2, 1), ((1, 2), (0, 1)))),
        Case(((5,),), _params((2,), (1,), ((1, 1),), (2,), (3,))),
        Case(((0, 4),), _params((1, 2), (1, 1), none)),
        Case(((),), _params((), (), ())),
        Case(((2,),), _params((3,), (1,), flat)),
    ]


# ---------------------------------------------------------------- sums


def _sum_transpose(ct: Any, aval: Any, **params: Any) -> Any:
    w = Windows(**params)
    out = shape.shape_of(ct)
    zero = core.get_aval(ct).dtype.type(0)
    if 0 in out:
        return core.zeros_like_aval(aval)
    pads = backward_padding(aval.shape, w, out)
    spread = shape.pad(ct, zero, [(lo, hi, s - 1) for (lo, hi), s in zip(pads, w.window_strides)])
    ones = (1,) * len(out)
    back = Windows(
        w.window_dimensions, w.base_dilation, ((0, 0),) * len(out), ones, w.window_dilation
    )
    return reduce_window_sum_p.bind(spread, **back._asdict())


reduce_window_sum_p = primitive(
    "reduce_window_sum",
    "The sum of every window.",
    abstract=_abstract("reduce_window_sum", number),
    numpy=_fold_numpy(np.add, lambda dtype: 0),
    jvp="linear",
    transpose=transpose_linear_operand(_sum_transpose),
    batch=_batch(lambda: reduce_window_sum_p),
    lower=_lower("add", lambda dtype: 0),
    cases=_cases,
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
    values = _views(_padded(x, worst, w), w).reshape(*out, size)
    valid = _views(_padded(np.ones(x.shape, bool), False, w), w).reshape(*out, size)
    best = (np.argmax if op == "max" else np.argmin)(values, -1)
    is_valid = np.take_along_axis(valid, best[..., None], -1)[..., 0]
    return np.where(is_valid, best, np.argmax(valid, -1)).astype(np.int32)


def _arg_lower(b: Any, x: Any, *, op: str, **params: Any) -> Any:
    """A running winner over the window's places, unrolled; everything fuses into one nest."""
    w = Windows(**params)
    out = w.result_shape(x.shape)
    yes, no_ = b.const(True, np.bool_), b.const(False, np.bool_)
    config = tuple(zip(*w.pad_config())) if x.ndim else ((), (), ())
    padded = b.pad(x, b.const(0, x.dtype), *config)
    inside = b.pad(b.broadcast(yes, x.shape, ()), no_, *config)
    best = which = found = None
    for k, offset in enumerate(w.offsets()):
        value, valid = (b.slice(v, *w.bounds(offset, out)) for v in (padded, inside))
        place = b.const(k, np.int32, out)
        if best is None:
            best, which, found = value, place, valid
            continue
        wins = b.map("gt" if op == "max" else "lt", value, best)
        if is_floating(x.dtype):
            first_nan = b.map("and", b.map("ne", value, value), b.map("eq", best, best))
            wins = b.map("or", wins, first_nan)
        wins = b.map("and", valid, b.map("or", wins, b.map("not", found)))
        best, which = b.select(wins, value, best), b.select(wins, place, which)
        found = b.map("or", found, valid)
    return which


def _arg_abstract(x: ShapedArray, *, op: str, **params: Any) -> ShapedArray:
    w = Windows(**params)
    _check("window_arg", x, w)
    if x.dtype.kind == "c":
        raise TypeError(f"window_arg does not accept dtype {x.dtype.name}.")
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
        [Case(c.shapes, {**c.params, "op": op}) for c in _cases()[:-1] for op in ("max", "min")]
        + [
            Case(
                ((2, 2),),
                {**_params((2, 2), (1, 1), ((1, 0), (1, 0))), "op": "max"},
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
    values = _views(_padded(x, 0, w), w).reshape(*which.shape, size)
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
    for c in _cases()[:-1]:
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
    abstract=_abstract("reduce_window_max", ordered),
    numpy=_fold_numpy(np.maximum, lowest),
    jvp=_extremum_jvp(lambda: reduce_window_max_p, "max"),
    transpose=no("it is not linear"),
    batch=_batch(lambda: reduce_window_max_p),
    lower=_lower("max", lowest),
    cases=_cases,
)
reduce_window_min_p = primitive(
    "reduce_window_min",
    "The minimum of every window; the first of equal ones takes the derivative.",
    abstract=_abstract("reduce_window_min", ordered),
    numpy=_fold_numpy(np.minimum, highest),
    jvp=_extremum_jvp(lambda: reduce_window_min_p, "min"),
    transpose=no("it is not linear"),
    batch=_batch(lambda: reduce_window_min_p),
    lower=_lower("min", highest),
    cases=_cases,
)


def reduce_window_generic(
    xs: Sequence[Any], inits: Sequence[Any], combine: Any, w: Windows
) -> list[Any]:
    """Fold windows of several operands together with an associative `combine(*x, *y)`."""
    from fx.prims.reduce import reduce_generic

    out = w.result_shape(shape.shape_of(xs[0]))
    if 0 in out:
        return [shape.full(out, 0, core.get_aval(x).dtype) for x in xs]
    padded = [shape.pad(x, i, w.pad_config()) for x, i in zip(xs, inits)]
    rows = []
    for p in padded:
        parts = [shape.slice_(p, *w.bounds(offset, out)) for offset in w.offsets()]
        rows.append(shape.concatenate([shape.expand_dims(v, (0,)) for v in parts], 0))
    return reduce_generic(rows, inits, combine, (0,))
