"""Folds of sliding windows: where the windows lie, and sums. Every axis has a window size, stride,
padding and two dilations; `window_extrema` has the folds that choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating
from fx.prims import shape
from fx.prims.registry import (
    Case,
    check_dtype,
    number,
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


def check_windows(name: str, x: ShapedArray, w: Windows) -> None:
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


def fold_abstract(name: str, accepts: Any) -> Any:
    def abstract(x: ShapedArray, **params: Any) -> ShapedArray:
        w = Windows(**params)
        check_windows(name, x, w)
        check_dtype(name, x.dtype, accepts)
        return x.update(shape=w.result_shape(x.shape))

    return abstract


def padded_windows(x: np.ndarray, value: Any, w: Windows) -> np.ndarray:
    from fx.prims.parts import pad_p

    return pad_p.numpy(x, np.asarray(value, x.dtype), padding_config=w.pad_config())


def window_views(padded: np.ndarray, w: Windows) -> np.ndarray:
    """All windows without a copy: shape (*result, *window)."""
    reach = tuple(dilated(k, wd) for k, wd in zip(w.window_dimensions, w.window_dilation))
    if any(n < r for n, r in zip(padded.shape, reach)):
        empty = (max(0, n - r + 1) for n, r in zip(padded.shape, reach))
        sizes = (-(-m // s) for m, s in zip(empty, w.window_strides))
        return np.zeros((*sizes, *w.window_dimensions), padded.dtype)
    views = np.lib.stride_tricks.sliding_window_view(padded, reach)
    steps = (*w.window_strides, *w.window_dilation)
    return views[tuple(slice(None, None, s) for s in steps)]


def fold_numpy(fold: Any, identity: Any) -> Any:
    """Fold the strided slices of one window place after the other: K whole-array operations."""

    def rule(x: np.ndarray, **params: Any) -> np.ndarray:
        w, dtype = Windows(**params), x.dtype
        if is_floating(dtype) and dtype.itemsize == 2:
            x = x.astype(np.float32)
        padded = padded_windows(x, np.asarray(identity(x.dtype)).astype(x.dtype), w)
        out_shape = w.result_shape(x.shape)
        out = None
        for offset in w.offsets():
            part = padded[tuple(map(slice, *w.bounds(offset, out_shape)))] if prod(out_shape) else 0
            out = np.full(out_shape, part) if out is None else fold(out, part, out=out)
        return np.asarray(out).astype(dtype)

    return rule


def fold_batch(p_of: Any) -> Any:
    def batch(axis: Any, args: Any, dims: Any, **params: Any) -> Any:
        (x,), (d,) = args, dims
        return p_of().bind(x, **Windows(**params).with_axis(d)._asdict()), d

    return batch


def fold_lower(op: str, identity: Any) -> Any:
    def lower(b: Any, x: Any, **params: Any) -> Any:
        w = Windows(**params)
        init = b.const(identity(x.dtype), x.dtype)
        return b.window(op, x, init, w.result_shape(x.shape), *w)

    return lower


def window_params(
    size: Any, strides: Any, padding: Any, base: Any = None, window: Any = None
) -> Any:
    ones = (1,) * len(size)
    return Windows(size, strides, padding, base or ones, window or ones)._asdict()


def fold_cases() -> list[Case]:
    flat, none = ((0, 0),), ((0, 0), (0, 0))
    return [
        Case(((4, 5),), window_params((2, 2), (1, 1), none)),
        Case(((5,),), window_params((2,), (2,), flat)),
        Case(((4, 5),), window_params((2, 2), (2, 2), none)),
        Case(((6, 4),), window_params((3, 2), (2, 1), ((1, 2), (0, 1)))),
        Case(((5,),), window_params((2,), (1,), ((1, 1),), (2,), (3,))),
        Case(((0, 4),), window_params((1, 2), (1, 1), none)),
        Case(((),), window_params((), (), ())),
        Case(((2,),), window_params((3,), (1,), flat)),
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
    abstract=fold_abstract("reduce_window_sum", number),
    numpy=fold_numpy(np.add, lambda dtype: 0),
    jvp="linear",
    transpose=transpose_linear_operand(_sum_transpose),
    batch=fold_batch(lambda: reduce_window_sum_p),
    lower=fold_lower("add", lambda dtype: 0),
    cases=fold_cases,
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
