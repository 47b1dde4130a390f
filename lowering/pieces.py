"""Pieces: what a concatenation in memory is made of, and where the elements of each part go.

In: a node that is to stand in memory: a concatenation, or a view of one that nothing else reads.
Out: the parts, each with the views through which it comes to stand in the node; parts of parts,
too. So concatenations of concatenations are written once, and those that are turned or cut are
written where they end up. `fuse` asks for pieces, `build.group` stores them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from lowering import affine
from lowering import graph as g
from lowering.affine import Affine, Range, SplitNeeded
from lowering.build import turns

MOST = 64  # pieces of parts of parts
CUT = 2  # a view that keeps less than one part in so many is computed by itself


class Piece(NamedTuple):
    """A part: what is computed, and the views above it, from it outwards, each with the place at
    which it begins in a concatenation.
    """

    x: g.Node
    path: tuple[tuple[g.Node, int], ...]


Place = tuple[tuple[Affine, ...], list[Range]]


def pieces_of(
    n: g.Node, users: Mapping[int, Sequence[g.Node]], stored: Collection[int]
) -> list[Piece]:
    """The pieces of a node in memory; none if it is no concatenation, nor a view of one."""
    found = _inside(n, (), users, stored)
    if len(found) > MOST or not all(_in_rows(p) for p in found):
        alone = isinstance(n.form, g.Concat)
        return [Piece(x, ((n, at),)) for x, at in g.parts(n)] if alone else []
    return found


def _inside(n: g.Node, path: tuple, users: Mapping, stored: Collection[int]) -> list[Piece]:
    """The pieces of a concatenation or of a view of one, below the views of `path`."""
    views, x = [], n
    while not isinstance(x.form, g.Concat):
        if not _is_renaming(x):
            return []
        views.append((x, 0))
        x = x.args[0]
        if len(users.get(id(x), ())) != 1 or id(x) in stored:
            return []
    whole = x is n and not path
    if not whole and (turns.of(x) is not None or x.size > CUT * n.size):
        return []
    found: list[Piece] = []
    for part, at in g.parts(x):
        below = ((x, at), *reversed(views), *path)
        alone = len(users.get(id(part), ())) == 1 and id(part) not in stored
        inner = _inside(part, below, users, stored) if alone and len(found) < MOST else []
        found += inner if inner and all(map(_in_rows, inner)) else [Piece(part, below)]
    return found


def _is_renaming(n: g.Node) -> bool:
    """Whether n is elements of its operand, in memory's order but for a transpose."""
    if isinstance(n.form, g.Slice):
        return set(n.form.strides) == {1}
    if isinstance(n.form, g.Broadcast):  # more axes, of extent one
        return n.size == n.args[0].size and list(n.form.dims) == sorted(n.form.dims)
    return isinstance(n.form, g.Reshape | g.Transpose)


def _in_rows(p: Piece) -> bool:
    """Whether neighbours in a row of the piece are neighbours in memory, and all are kept or none;
    a piece of a concatenation alone stands there as it does.
    """
    if len(p.path) == 1:
        return True
    shape = p.x.shape
    index = tuple(affine.axis(k) if n > 1 else affine.ZERO for k, n in enumerate(shape))
    try:
        found = placed(p, index, shape)
    except SplitNeeded:
        return False
    if found is None:
        return False
    place, conditions = found
    row = max((k for k, n in enumerate(shape) if n > 1), default=None)
    if row is None:
        return True
    side_by_side = affine.linearize(place, p.path[-1][0].shape).coef(row) == 1
    known = [(r, affine.decide(r, shape)) for r in conditions]
    return side_by_side and not any(
        holds is False or (holds is None and r.index.coef(row)) for r, holds in known
    )


def placed(p: Piece, index: Sequence[Affine], extents: Sequence[int]) -> Place | None:
    """Where an element of the piece stands in the node, and the conditions under which it is in it;
    None where that is not affine. Raises SplitNeeded where a split of an axis mends it.
    """
    conditions: list[Range] = []
    shape = p.x.shape
    for view, at in p.path:
        form = view.form
        if isinstance(form, g.Concat):
            index = (*index[: form.dim], index[form.dim] + at, *index[form.dim + 1 :])
        elif isinstance(form, g.Transpose):
            index = tuple(index[k] for k in form.perm)
        elif isinstance(form, g.Slice):
            index = tuple(e + -start for e, start in zip(index, form.starts))
            conditions += [Range(e, 0, n) for e, n in zip(index, view.shape)]
        else:
            found = affine.delinearize(affine.linearize(index, shape), view.shape, extents)
            if found is None:
                return None
            index = tuple(found)
        shape = view.shape
    return tuple(index), conditions
