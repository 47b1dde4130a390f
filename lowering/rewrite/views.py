"""Views: a part of a concatenation that lies in one of its operands is a part of that operand.

What is put together and taken apart again (the elements of a small matrix) never stands in memory.
And an update at a fixed place that covers most of an array is a choice by place: one pass, where in
memory it takes a copy, or the update's own array. Called by `canon`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from lowering import graph as g
from lowering.build import turns

Ints = tuple[int, ...]


def placed(b: g.Builder, args: tuple[g.Node, ...]) -> g.Node | None:
    """An update at a fixed place as a padding of constants, or as a choice by place."""
    x, new, *starts = args
    if not all(isinstance(s.form, g.Const) for s in starts):
        return None
    room = [k - w for k, w in zip(x.shape, new.shape)]
    low = [min(max(int(s.form.value), 0), r) for s, r in zip(starts, room)]
    high = [r - lo for r, lo in zip(room, low)]
    gaps = (0,) * x.ndim
    if isinstance(x.form, g.Const):
        return b.pad(new, b.const(x.form.value, x.dtype), low, high, gaps)
    yes, no = b.const(True, np.bool_, new.shape), b.const(False, np.bool_)
    inside = b.pad(yes, no, low, high, gaps)
    return b.select(inside, b.pad(new, b.const(0, x.dtype), low, high, gaps), x)


def chosen(b: g.Builder, shape: Ints, args: tuple[g.Node, ...]) -> g.Node | None:
    """An update of single places, rows or columns as a choice by place."""
    x, new, *starts = args
    single = [k for k, (n, w) in enumerate(zip(shape, new.shape)) if w == 1 and n > 1]
    if not single or any(w not in (1, n) for n, w in zip(shape, new.shape)):
        return None
    places = {}
    for k in single:
        at, top = starts[k], shape[k] - 1
        if at.dtype.kind not in "iu" or top > np.iinfo(at.dtype).max:
            return None
        low = b.map("max", at, b.const(0, at.dtype))
        places[k] = b.map("min", low, b.const(top, at.dtype))
    return b.select(b.places(shape, places), b.broadcast(new, shape, range(len(shape))), x)


def part(b: g.Builder, n: g.Node, x: g.Node) -> g.Node:
    """The slice n of x."""
    return sliced(b, x, n.form.starts, n.form.strides, n.shape)


def element(b: g.Builder, x: g.Node, axis: int, k: int) -> g.Node:
    """All k-th elements along an axis, which remains with one element."""
    return sliced(b, x, _at((0,) * x.ndim, axis, k), (1,) * x.ndim, _at(x.shape, axis, 1))


def sliced(b: g.Builder, x: g.Node, starts: Ints, strides: Ints, shape: Ints) -> g.Node:
    """A slice of x, or of what of x it lies in."""
    if isinstance(x.form, g.Transpose) and isinstance(x.args[0].form, g.Concat) and prod(shape):
        back = [x.form.perm.index(d) for d in range(x.ndim)]
        below = [tuple(of[d] for d in back) for of in (starts, strides, shape)]
        return b.transpose(sliced(b, x.args[0], *below), x.form.perm)
    while isinstance(x.form, g.Concat | g.Slice) and prod(shape):
        if isinstance(x.form, g.Slice):
            starts = tuple(p + s * q for p, s, q in zip(x.form.starts, x.form.strides, starts))
            strides = tuple(p * q for p, q in zip(x.form.strides, strides))
            x = x.args[0]
            continue
        d = x.form.dim
        met = _met(x, starts[d], starts[d] + (shape[d] - 1) * strides[d])
        if len(met) > 1:
            if starts[d] == 0 and shape[d] == x.shape[d] and turns.of(x) is not None:
                break  # what is turned along another axis as well is read at two turned indices
            turned = _turned(b, x, met, starts, strides, shape)
            if turned is not None:
                return turned
            break
        piece, low, _ = met[0]
        x, starts = piece, _at(starts, d, low)
    limits = [lo + (k - 1) * s + 1 if k else lo for lo, s, k in zip(starts, strides, shape)]
    return b.slice(x, starts, limits, strides)


def _met(x: g.Node, first: int, last: int) -> list[tuple[g.Node, int, int]]:
    """The operands of a concatenation that have places from `first` to `last` of its axis, and of
    each its first and last one.
    """
    met = []
    for piece, at in g.parts(x):
        size = piece.shape[x.form.dim]
        if first < at + size and last >= at:
            met.append((piece, max(first - at, 0), min(last - at, size - 1)))
    return met


def _turned(
    b: g.Builder,
    x: g.Node,
    met: list[tuple[g.Node, int, int]],
    starts: Ints,
    strides: Ints,
    shape: Ints,
) -> g.Node | None:
    """The slice that meets two operands of x, where these are the end of an array and then its
    beginning: that array's part, turned (`build.turns`). Periodic margins are read so.
    """
    d = x.form.dim
    ends = []
    for piece, low, high in met:
        whole = piece
        if isinstance(piece.form, g.Slice) and _along(piece, d):
            whole, offset = piece.args[0], piece.form.starts[d]
            low, high = low + offset, high + offset
        ends.append((whole, low, high + 1))
    (y, shift, end), (z, begin, until) = ends if len(ends) == 2 else (ends[0], ends[0])
    goes_round = y is z and end == y.shape[d] and begin == 0 and until == shift
    if not goes_round or strides[d] != 1:
        return None
    y = sliced(b, y, _at(starts, d, 0), strides, _at(shape, d, end))
    zeros = (0,) * y.ndim
    first = b.slice(y, _at(zeros, d, shift), y.shape)
    return b.concat([first, b.slice(y, zeros, _at(y.shape, d, shift))], d)


def _along(n: g.Node, d: int) -> bool:
    """Whether a slice takes neighbours, and all of every axis but d."""
    of = n.args[0].shape
    return set(n.form.strides) == {1} and all(
        m == k for a, (m, k) in enumerate(zip(n.shape, of)) if a != d
    )


def _at(values: Ints, d: int, value: int) -> Ints:
    return (*values[:d], value, *values[d + 1 :])
