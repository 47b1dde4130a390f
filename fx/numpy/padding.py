"""pad in all of NumPy's modes: each axis is a concatenation of pieces of what is there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import is_inexact
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray
from fx.numpy.joining import concatenate
from fx.numpy.manipulation import flip, moveaxis
from fx.numpy.ranges import linspace
from fx.numpy.reductions import max as max_
from fx.numpy.reductions import mean as mean_
from fx.numpy.reductions import min as min_
from fx.numpy.selection import take
from fx.numpy.statistics import median
from fx.numpy.util import broadcast_value, check_arraylike, convert, shape_dtype, wrap

__all__ = ["pad"]

_KEYWORDS = {
    "constant": {"constant_values"},
    "edge": set(),
    "empty": set(),
    "linear_ramp": {"end_values"},
    "maximum": {"stat_length"},
    "mean": {"stat_length"},
    "median": {"stat_length"},
    "minimum": {"stat_length"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
    "wrap": set(),
}


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array with margins: pad_width elements, a static count, a pair (before, after) or one
    pair per axis (or a dict of axes). The dtype stays; ValueError for negative widths, TypeError
    for traced ones.

    mode: "constant" (constant_values), "edge", "linear_ramp" to end_values, "maximum", "mean",
    "median", "minimum" of the outermost stat_length elements, "reflect" and "symmetric"
    (reflect_type "even", "odd"), "wrap", "empty" (zeros), or a function(line, widths, axis,
    keywords) -> line.

    >>> import fx.numpy as fnp
    >>> fnp.pad(fnp.array([1, 2]), (1, 2), constant_values=9)
    Array([9, 1, 2, 9, 9], dtype=int32)
    """
    x, aval = shape_dtype("pad", array)
    n = len(aval.shape)
    widths = _widths(pad_width, n)
    if callable(mode):
        return _with_function(x, widths, mode, kwargs)
    if mode not in _KEYWORDS:
        raise NotImplementedError(f"Unimplemented padding mode '{mode}' for np.pad.")
    unknown = set(kwargs) - _KEYWORDS[mode]
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    if any(a < 0 or b < 0 for a, b in widths):
        raise ValueError(f"pad_width can't contain negative values, got {widths}: slice instead")
    if mode == "constant":
        return _constant(x, widths, kwargs.get("constant_values", 0))
    if mode == "empty":
        return _constant(x, widths, 0)
    for k, (before, after) in enumerate(widths):
        if before == after == 0:
            continue
        x = _one_axis(x, k, before, after, mode, kwargs, n)
    return x


def _pairs(value: Any, n: int, name: str) -> np.ndarray:
    a = np.asarray(value)
    if a.shape in ((), (1,)):
        return np.broadcast_to(a.reshape(()), (n, 2))
    if a.shape in ((2,), (1, 2), (n, 2)):
        return np.broadcast_to(a, (n, 2))
    if a.shape == (n, 1):
        return np.broadcast_to(a, (n, 2))
    raise ValueError(
        f"pad: {name} must be a scalar, (before, after), or one pair per axis; got shape {a.shape}"
    )


def _widths(pad_width: Any, n: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        found = [(0, 0)] * n
        for axis, w in pad_width.items():
            found[axis] = (w, w) if isinstance(w, int) else tuple(w)
        return found
    check = [pad_width] if not isinstance(pad_width, (list, tuple)) else pad_width
    if any(isinstance(c, core.Tracer) for c in check):
        raise TypeError("pad_width must be static: it decides the shape of the result")
    raw = np.asarray(pad_width)
    if raw.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    pairs = _pairs(pad_width, n, "pad_width")
    return [(int(a), int(b)) for a, b in pairs]


def _constant(x: Any, widths: list[tuple[int, int]], values: Any) -> Any:
    """One lax.pad where all margins share a value, else one per margin."""
    n, dtype = len(widths), core.get_aval(x).dtype
    config = [(a, b, 0) for a, b in widths]
    if np.ndim(values) == 0 or (core.is_array_value(values) and not core.get_aval(values).shape):
        fill = convert(values if core.is_array_value(values) else asarray(values), dtype)
        return lax.pad(x, fill, config) if n else x
    table = broadcast_value(_value_table(values, n), (n, 2))
    for k, (a, b) in enumerate(widths):
        for side, w in enumerate((a, b)):
            fill = convert(lax.reshape(lax.slice(table, (k, side), (k + 1, side + 1)), ()), dtype)
            one = [(0, 0, 0)] * n
            one[k] = (w, 0, 0) if side == 0 else (0, w, 0)
            x = lax.pad(x, fill, one)
    return x


def _value_table(values: Any, n: int) -> Any:
    table = asarray(values)
    shape = core.get_aval(table).shape
    if shape == (n, 1) or shape == (1,) or shape == (2,) or shape in ((1, 2), (n, 2)):
        return table
    raise ValueError(
        "pad: constant_values must be a scalar, (before, after), or one pair per axis; got shape "
        f"{shape}"
    )


def _cut(x: Any, k: int, a: int, b: int) -> Any:
    return lax.slice_in_dim(x, a, b, axis=k)


def _one_axis(x: Any, k: int, before: int, after: int, mode: str, kw: Any, n: int) -> Any:
    size = core.get_aval(x).shape[k]
    if size == 0:
        raise ValueError(
            f"can't extend empty axis {k} using modes other than 'constant' or 'empty'"
        )
    if mode in ("reflect", "symmetric"):
        return _mirrored(x, k, before, after, mode == "symmetric", kw.get("reflect_type", "even"))
    if mode == "wrap":
        return _taken(x, k, before, after, np.arange(-before, size + after) % size)
    first, last = _cut(x, k, 0, 1), _cut(x, k, size - 1, size)
    if mode == "edge":
        margins = first, last
    elif mode == "linear_ramp":
        ends = _pairs_any(kw.get("end_values", 0), n, k)
        return _ramped(x, k, before, after, first, last, ends)
    else:
        lengths = kw.get("stat_length")
        stat = {"maximum": max_, "minimum": min_, "mean": mean_, "median": median}[mode]
        pair = (
            (None, None)
            if lengths is None
            else tuple(int(v) for v in _pairs(lengths, n, "stat_length")[k])
        )
        margins = tuple(
            _statistic(x, k, size, length, stat, side) for side, length in enumerate(pair)
        )
    wide = [
        broadcast_value(m, tuple(w if d == k else s for d, s in enumerate(core.get_aval(m).shape)))
        for m, w in zip(margins, (before, after))
    ]
    return concatenate([wide[0], x, wide[1]], axis=k)


def _pairs_any(values: Any, n: int, k: int) -> tuple[Any, Any]:
    table = broadcast_value(asarray(values), (n, 2))
    low, high = (lax.reshape(lax.slice(table, (k, s), (k + 1, s + 1)), ()) for s in (0, 1))
    return low, high


def _statistic(x: Any, k: int, size: int, length: int | None, stat: Any, side: int) -> Any:
    count = size if length is None else min(length, size)
    if count == 0:
        raise ValueError("stat_length of 0 yields no value for padding")
    part = _cut(x, k, 0, count) if side == 0 else _cut(x, k, size - count, size)
    aval = core.get_aval(x)
    out = stat(part, axis=k, keepdims=True)
    if aval.dtype.kind in "iu" and is_inexact(core.get_aval(out).dtype):
        out = u.rint(out)
    return convert(out, aval.dtype, aval.weak_type)


def _ramped(
    x: Any, k: int, before: int, after: int, first: Any, last: Any, ends: tuple[Any, Any]
) -> Any:
    dtype, weak = core.get_aval(x).dtype, core.get_aval(x).weak_type

    def ramp(edge: Any, end: Any, count: int) -> Any:
        start = convert(end, dtype)
        line = linspace(
            start, lax.squeeze(edge, (k,)), num=count, endpoint=False, dtype=dtype, axis=k
        )
        return convert(line, dtype, weak)

    left = ramp(first, ends[0], before)
    right = flip(ramp(last, ends[1], after), k)
    return concatenate([left, x, right], axis=k)


def _mirrored(x: Any, k: int, before: int, after: int, repeats_edge: bool, kind: str) -> Any:
    """Reflections of what stands beside the margin, as often as the margin needs."""
    if kind not in ("even", "odd"):
        raise ValueError(f"Unsupported value '{kind}' for argument `reflect_type`")
    size = core.get_aval(x).shape[k]
    edge = 0 if repeats_edge else 1
    if size == 1 and not repeats_edge:
        index = np.zeros(before + size + after, np.int32)
        return take(x, wrap(index), axis=k, mode="clip")
    if kind == "even":
        period = 2 * size if repeats_edge else 2 * (size - 1)
        line = np.arange(-before, size + after) % period
        index = np.where(line < size, line, period - line - (1 if repeats_edge else 0))
        return _taken(x, k, before, after, index)
    while before > 0 or after > 0:
        n = core.get_aval(x).shape[k]
        a, b = min(before, n - edge), min(after, n - edge)
        first, last = _cut(x, k, 0, 1), _cut(x, k, n - 1, n)
        left = flip(_cut(x, k, edge, edge + a), k)
        right = flip(_cut(x, k, n - edge - b, n - edge), k)
        left = u.subtract(u.multiply(2, first), left)
        right = u.subtract(u.multiply(2, last), right)
        x = concatenate([left, x, right], axis=k)
        before, after = before - a, after - b
    return x


MOST_RUNS = 8  # of a margin's places: more of them are taken one by one


def _taken(x: Any, k: int, before: int, after: int, index: np.ndarray) -> Any:
    """What is at the places `index` of axis k, x itself in their middle; the margins as slices."""
    left, right = _runs(index[:before]), _runs(index[len(index) - after :])
    if len(left) + len(right) > MOST_RUNS:
        return take(x, wrap(index.astype(np.int32)), axis=k, mode="clip")
    pieces = [
        _cut(x, k, first, first + count)
        if step > 0
        else flip(_cut(x, k, first - count + 1, first + 1), k)
        for first, step, count in left + right
    ]
    return concatenate([*pieces[: len(left)], x, *pieces[len(left) :]], axis=k)


def _runs(index: np.ndarray) -> list[tuple[int, int, int]]:
    """Indices as runs of neighbours there or back: where each begins, its step, how many."""
    runs: list[tuple[int, int, int]] = []
    for i in map(int, index):
        first, step, count = runs[-1] if runs else (i, 0, 0)
        gap = i - (first + step * (count - 1))
        if count and (gap == step or (count == 1 and abs(gap) == 1)):
            runs[-1] = (first, gap, count + 1)
        else:
            runs.append((i, 1, 1))
    return runs


def _with_function(
    x: Any, widths: list[tuple[int, int]], function: Callable[..., Any], kwargs: Any
) -> Any:
    """function(line, (before, after), axis, kwargs) -> line, on every padded line along every
    axis.
    """
    import fx

    check_arraylike("pad", x)
    x = _constant(x, widths, 0)
    for k, w in enumerate(widths):

        def line(v: Any, k: int = k, w: Any = w) -> Any:
            return function(v, w, k, kwargs)

        f: Any = line
        for _ in range(len(core.get_aval(x).shape) - 1):
            f = fx.vmap(f)
        x = moveaxis(f(moveaxis(x, k, -1)), -1, k)
    return x
