"""Phases: a Conv over an input with gaps becomes convolutions without gaps, one for each remainder
of the output's index; they meet only the elements that are there.

Transposed convolutions and the gradient of strided ones arrive as Convs whose input is dilated by
d: of d x d products three in four (d = 2) would be by zero. In: the Conv and its operands; out: the
phases' results in turns, each written where it ends up (`pieces`). None where there are strides as
well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import gcd, prod

from lowering import graph as g

MAX_PHASES = 16


def split(
    b: g.Builder, n: g.Node, x: g.Node, w: g.Node, lower: Callable[[g.Node], g.Node]
) -> g.Node | None:
    """The Conv `n` of x and w by phases, each of which `lower` sees as a Conv."""
    gaps, form = n.form.lhs_dilation, n.form
    if prod(gaps) == 1 or prod(gaps) > MAX_PHASES or not n.size or not w.size:
        return None
    if any(d > 1 and s > 1 for d, s in zip(gaps, form.strides)):
        return None
    space = n.shape[2:]
    sizes = tuple(-(-o // d) for o, d in zip(space, gaps))
    rank = len(space)
    axes = [[_axis(n, k, p, sizes[k], x, w) for p in range(d)] for k, d in enumerate(gaps)]
    low = tuple(max(0, *(a.low for a in axis if a)) for axis in axes)
    high = tuple(max(0, *(a.high for a in axis if a)) for axis in axes)
    x = padded(b, x, low, high)
    parts = []
    for phase in product(*axes):
        part = _part(b, n, x, w, phase, low, sizes, lower)
        part = b.transpose(part, (0, *range(2, 2 + rank), 1))
        parts.append(b.reshape(part, (1, *part.shape)))
    z = b.concat(parts, 0)
    z = b.reshape(z, (*gaps, *z.shape[1:]))
    places = [a for k in range(rank) for a in (rank + 1 + k, k)]
    z = b.transpose(z, (rank, 2 * rank + 1, *places))
    z = b.reshape(z, (n.shape[0], n.shape[1], *(q * d for q, d in zip(sizes, gaps))))
    return b.slice(z, (0,) * z.ndim, n.shape, (1,) * z.ndim)


@dataclass(frozen=True, slots=True)
class _Axis:
    """One phase along one axis: its taps (the first, how many, each `step`-th), how far apart in
    the input they lie, and the padding that the phase needs.
    """

    first: int
    count: int
    step: int
    apart: int
    low: int
    high: int


def _axis(n: g.Node, k: int, phase: int, size: int, x: g.Node, w: g.Node) -> _Axis | None:
    """The taps that meet an element at outputs phase + d * q, q below `size`; None if none do."""
    form, taps = n.form, w.shape[2 + k]
    d, apart, low = form.lhs_dilation[k], form.rhs_dilation[k], form.padding[k][0]
    step = d // gcd(apart, d)
    meets = [t for t in range(min(step, taps)) if (phase + t * apart - low) % d == 0]
    if not meets:
        return None
    first, count = meets[0], -(-(taps - meets[0]) // step)
    low = (low - phase - first * apart) // d
    apart = apart * step // d
    high = (size - 1) * form.strides[k] + (count - 1) * apart + 1 - x.shape[2 + k] - low
    return _Axis(first, count, step, apart, low, high)


def _part(b: g.Builder, n: g.Node, x: g.Node, w: g.Node, phase, low, sizes, lower) -> g.Node:
    """One phase's results; `x` is padded by `low` at least."""
    shape = (n.shape[0], n.shape[1], *sizes)
    if None in phase:
        return b.broadcast(b.const(0, n.dtype), shape, ())
    w = b.slice(w, (0, 0, *(a.first for a in phase)), w.shape, (1, 1, *(a.step for a in phase)))
    starts = [lo - a.low for lo, a in zip(low, phase)]
    lengths = [
        (q - 1) * s + (a.count - 1) * a.apart + 1 for q, s, a in zip(sizes, n.form.strides, phase)
    ]
    ends = [start + length for start, length in zip(starts, lengths)]
    x = b.slice(x, (0, 0, *starts), (*x.shape[:2], *ends))
    none = ((0, 0),) * len(sizes)
    dilation = [a.apart for a in phase]
    ones = (1,) * len(sizes)
    form = n.form
    return lower(b.conv(x, w, shape, form.strides, none, ones, dilation, form.groups, n.dtype))


def padded(b: g.Builder, x: g.Node, low, high, inner=None) -> g.Node:
    """x with zeros around its space, and between its elements; its axes lie in memory as before."""
    low, high = (0, 0, *low), (0, 0, *high)
    inner = (0, 0, *(inner or (0,) * (x.ndim - 2)))
    zero = b.const(0, x.dtype)
    if not isinstance(x.form, g.Transpose):
        return b.pad(x, zero, low, high, inner)
    perm = x.form.perm
    back = [perm.index(k) for k in range(len(perm))]
    made = b.pad(x.args[0], zero, *([v[k] for k in back] for v in (low, high, inner)))
    return b.transpose(made, perm)


def spread(b: g.Builder, n: g.Node, x: g.Node, init: g.Node) -> g.Node | None:
    """A sum over windows as wide as the gaps between elements (the gradient of pooling): each
    window meets one element, so elements are repeated; None for others.
    """
    form = n.form
    zero = isinstance(init.form, g.Const) and init.form.value == 0
    if form.op != "add" or not zero or any(s > 1 for s in (*form.strides, *form.window_dilation)):
        return None
    gaps = form.base_dilation
    if any(w != d for w, d in zip(form.size, gaps)):
        return None
    shape = tuple(v for size, d in zip(x.shape, gaps) for v in (size, d))
    repeated = b.broadcast(x, shape, tuple(range(0, 2 * x.ndim, 2)))
    z = b.reshape(repeated, tuple(size * d for size, d in zip(x.shape, gaps)))
    low = [lo - d + 1 for (lo, _), d in zip(form.padding, gaps)]
    high = [size - lo - whole for size, lo, whole in zip(n.shape, low, z.shape)]
    return b.pad(z, b.const(0, x.dtype), low, high, (0,) * x.ndim)
