"""Turns: an array whose ends were exchanged along an axis (`roll`) is read where it stands.

Such a concatenation is recognised (`of`), and its operand read at a `Turned` index: `base + shift`
modulo the axis. Down to memory only elementwise operations and changes of axes may follow; a load
then has an affine index that runs over the end, and `Wrap`s that say when to go back. Stencils on
periodic grids need no copies of the grid (docs/why/turns.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from lowering import affine
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut

PASSES = (g.Map, g.Broadcast, g.Transpose, g.Slice, g.Reverse)
MOST = 64  # nodes that are looked at


class Wrap(NamedTuple):
    """Where `index` has reached `limit`, a load goes back by `back` elements."""

    index: Affine
    limit: int
    back: int


@dataclass(frozen=True, slots=True)
class Turned:
    """The index (base + shift) % extent * scale + offset; base and shift are below extent."""

    base: Affine
    shift: int
    extent: int
    scale: int = 1
    offset: int = 0

    def __add__(self, k: int) -> Turned:
        return replace(self, offset=self.offset + k)

    def __mul__(self, k: int) -> Turned:
        return replace(self, scale=self.scale * k, offset=self.offset * k)


def of(n: g.Node) -> tuple[g.Node, int, int] | None:
    """(array, axis, shift) if n[i] is array[(i + shift) % extent], else None."""
    if not isinstance(n.form, g.Concat) or len(n.args) != 2:
        return None
    first, last = n.args
    if not (isinstance(first.form, g.Slice) and isinstance(last.form, g.Slice)):
        return None
    x, d = first.args[0], n.form.dim
    if last.args[0] is not x or x.shape != n.shape:
        return None
    steps = (*first.form.strides, *last.form.strides)
    if any(s != 1 for s in steps) or any(last.form.starts):
        return None
    shift = last.shape[d]
    starts = tuple(shift if k == d else 0 for k in range(n.ndim))
    return (x, d, shift) if first.form.starts == starts else None


def turned(n: g.Node, index: Sequence, axis: int, shift: int) -> tuple:
    """The index of n with one axis turned by `shift`, on top of what it is turned by already."""
    base, extent = index[axis], n.shape[axis]
    if isinstance(base, Turned):
        if base != Turned(base.base, base.shift, extent):
            raise Cut(n, "a part of it is read at an index that goes round twice")
        base, shift = base.base, (base.shift + shift) % extent
    new = Turned(base, shift, extent) if shift else base
    return (*index[:axis], new, *index[axis + 1 :])


def reshaped(n: g.Node, index: Sequence) -> tuple | None:
    """The index of a reshape's operand where an axis is turned, None where none is: then only axes
    of extent one come and go.
    """
    if not any(isinstance(i, Turned) for i in index):
        return None
    rest = iter([i for i, k in zip(index, n.shape) if k != 1])
    return tuple(ZERO if k == 1 else next(rest) for k in n.args[0].shape)


def check(x: g.Node, inside: Callable[[g.Node], bool]) -> None:
    """Raises Cut for what has to be in memory before x can be read at a turned index."""
    todo, seen = [x], {id(x)}
    while todo:
        n = todo.pop()
        if isinstance(n.form, g.Const) or not inside(n):
            continue
        found = of(n)
        if len(seen) > MOST or not (found or isinstance(n.form, PASSES) or _renames(n)):
            raise Cut(n, "it is read at an index that goes round")
        below = (found[0],) if found else n.args
        todo += [a for a in below if id(a) not in seen]
        seen.update(map(id, below))


def _renames(n: g.Node) -> bool:
    """Whether n is a reshape that adds and drops axes of extent one alone."""
    long = [[k for k in x.shape if k != 1] for x in (n, *n.args[:1])]
    return isinstance(n.form, g.Reshape) and long[0] == long[1]


def linearize(index: Sequence, shape: Sequence[int]) -> tuple[Affine, tuple[Wrap, ...]]:
    """The linear index as if nothing went round, and the corrections."""
    e = ZERO
    wraps = []
    for i, s in zip(index, affine.strides_of(shape), strict=True):
        if isinstance(i, Turned):
            reached, back = i.base + i.shift, i.extent * i.scale * s
            wraps.append(Wrap(reached, i.extent, back))
            i = reached * i.scale + i.offset
        e = e + i * s
    return e, tuple(wraps)
