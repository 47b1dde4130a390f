"""Strided: where an operand's elements lie under its views, as strides over the axes of a product.

A product names its axes once (outer, rows, columns, k); each operand is an index into a node,
affine in those axes. `side` looks through views to the array in memory; `merged` joins axes that
are walked as one. Nothing is copied here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from lowering import affine
from lowering import graph as g
from lowering.affine import Affine, SplitNeeded

Axis = tuple[int, int]  # extent, stride in elements


@dataclass(slots=True)
class Side:
    """An operand in memory: element start + sum(strides[axis] * axis) of `base`."""

    base: g.Node
    start: int
    strides: tuple[int, ...]

    def axes(self, numbers: Sequence[int], extents: Sequence[int]) -> tuple[Axis, ...]:
        """Some of the product's axes as this operand sees them, merged."""
        return merged([(extents[a], self.strides[a]) for a in numbers])


def merged(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """The same walk over fewer axes; those of extent 1 go. Never empty."""
    out: list[Axis] = []
    for n, s in axes:
        if n == 1:
            continue
        if out and out[-1][1] == n * s:
            out[-1] = (out[-1][0] * n, s)
        else:
            out.append((n, s))
    return tuple(out) or ((1, 0),)


def side(
    node: g.Node,
    index: list[Affine],
    extents: Sequence[int],
    reads: Callable[[np.dtype], bool],
    widened: bool = False,
) -> Side | None:
    """The operand `node[index]` in memory; None if a view hides its strides, or its dtype is none
    that the kernel `reads`. `widened`: what is converted from a narrower such dtype is read as it
    was before.
    """
    found = _trace(node, index, extents, reads if widened else None)
    if found is None or not reads(found[0].dtype) or isinstance(found[0].form, g.Const | g.Iota):
        return None
    base, linear = found
    return Side(base, linear.const, tuple(linear.coef(a) for a in range(len(extents))))


def axis(a: int, extents: Sequence[int]) -> Affine:
    """The index along axis a; an axis of extent 1 needs none."""
    return affine.axis(a) if extents[a] > 1 else affine.ZERO


def _trace(
    node: g.Node, index: list[Affine], extents, reads: Callable[[np.dtype], bool] | None
) -> tuple[g.Node, Affine] | None:
    """The node under views, and the linear index into it."""
    while True:
        form = node.form
        if _narrower(node, reads):
            node = node.args[0]
            continue
        if isinstance(form, g.Reshape):
            linear = affine.linearize(index, node.shape)
            node = node.args[0]
            while _narrower(node, reads):
                node = node.args[0]
            if not isinstance(node.form, g.VIEWS):
                return node, linear
            try:
                found = affine.delinearize(linear, node.shape, extents)
            except SplitNeeded:
                found = None
            if found is None:
                return None
            index = found
            continue
        inner = _under(form, node.args[0].shape if node.args else (), index)
        if inner is None:
            return node, affine.linearize(index, node.shape)
        node, index = node.args[0], inner


def _narrower(node: g.Node, reads: Callable[[np.dtype], bool] | None) -> bool:
    """Whether a node is a conversion that keeps each number, and a product `reads` what it was."""
    if reads is None or node.form != g.Map("convert"):
        return False
    given, made = node.args[0].dtype, node.dtype
    narrow = given.kind in "iufV" and made.kind in "iuf" and given.itemsize < made.itemsize
    return narrow and reads(given) and np.can_cast(given, made, "safe")


def _under(form: g.Form, shape: tuple[int, ...], index: list[Affine]) -> list[Affine] | None:
    """The index into a view's operand; None if the form is no view that keeps strides."""
    if isinstance(form, g.Transpose):
        inner = [affine.ZERO] * len(index)
        for k, p in enumerate(form.perm):
            inner[p] = index[k]
        return inner
    if isinstance(form, g.Broadcast):
        return [affine.ZERO if shape[k] == 1 else index[d] for k, d in enumerate(form.dims)]
    if isinstance(form, g.Slice):
        return [i * s + lo for i, s, lo in zip(index, form.strides, form.starts)]
    if isinstance(form, g.Reverse):
        return [i * -1 + (shape[k] - 1) if k in form.dims else i for k, i in enumerate(index)]
    return None


def smooth(axes: tuple[Axis, ...]) -> bool:
    """Whether walking the axes in order stays near: one stride in cache, or runs of neighbours."""
    n, s = axes[-1]
    whole = prod(n for n, _ in axes)
    return (s == 1 and (len(axes) == 1 or n >= 8)) or max(
        abs(s) for _, s in axes
    ) * whole <= 1 << 14


def reach(axes: Sequence[Axis]) -> int:
    """The largest offset that the axes lead to, in either direction."""
    return sum((n - 1) * abs(s) for n, s in axes)


__all__ = ["Axis", "Side", "axis", "merged", "reach", "side", "smooth"]
