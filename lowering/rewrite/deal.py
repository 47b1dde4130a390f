"""Deal: a scatter of rows becomes lists of its updates, by who owns the rows that they land in, and
a nest that goes along these lists.

In: a Scatter of whole rows. Out: a `Deal` of the indices, which all scatters by them share and a
loop makes once, and a `Dealt` that joins the rows. What computes the updates, as the gather of a
graph's messages, is done where they are joined, and need not stand in memory (docs/why/scatter.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from lowering import graph as g
from lowering.profile import Profile
from lowering.templates.scatter import few_places, scalar_of

LEAST_ROW = 8  # elements
LEAST_WORK = 1 << 13  # elements of all updates: below, one item is soon done
LEAST_ROWS = 64  # of the output: fewer are added to copies
OWNERS = 64  # parts of the output; each should stay in a cache
COUNTED = 1 << 30  # updates and rows that an int counts
INT = np.dtype(np.int32)


@dataclass(frozen=True, slots=True)
class Deal:
    """args (indices [..., k]): (updates and their rows, int32[n, 2], by parts of the updates, in
    each by owners, in each in order; where these lists begin and end, int32[parts, owners + 1]).

    The rows are those of an array that begins with `extents`; owner j has the 2**shift rows from j
    * 2**shift on. What is out of bounds is in no list, or moved inside (clip).
    """

    extents: tuple[int, ...]
    mode: str
    wrap: bool
    parts: int
    shift: int

    @property
    def owners(self) -> int:
        return -(-prod(self.extents) >> self.shift)


@dataclass(frozen=True, slots=True)
class Dealt:
    """args (x, updates, lists, ends of a Deal): x with the rows joined by `op`, in their order."""

    op: str
    rows: int  # axes of x that a row of the lists stands for
    shift: int


def rewrite(b: g.Builder, n: g.Node, profile: Profile) -> g.Node:
    """A scatter dealt, where that is worth it and its updates are whole rows; else as it is."""
    if not isinstance(n.form, g.Scatter) or profile.schedule != "cpu" or not _suits(n):
        return n
    (x, indices, updates), f = n.args, n.form
    k = len(f.start_map)
    rows, count = prod(x.shape[:k]), prod(indices.shape[:-1])
    shift = max(0, (-(-rows // OWNERS) - 1).bit_length())
    form = Deal(x.shape[:k], f.mode, f.wrap, max(1, min(16, count >> 12)), shift)
    outs = (((count, 2), INT), ((form.parts, form.owners + 1), INT))
    lists, ends = b.several(form, (indices,), outs)
    known = scalar_of(x)
    x = x if known is None else b.const(known, x.dtype, x.shape)
    return b.node(Dealt(f.op, k, shift), (x, updates, lists, ends), n.shape, n.dtype)


def _suits(n: g.Node) -> bool:
    (x, indices, updates), f = n.args, n.form
    k, batch = len(f.start_map), indices.ndim - 1
    leading = tuple(range(k))
    whole = f.start_map == f.inserted == leading and updates.shape[batch:] == x.shape[k:]
    trailing = f.window_dims == tuple(range(batch, updates.ndim))
    if f.x_batch or not whole or not trailing or n.dtype.kind in "bc":
        return False
    rows, count, row = prod(x.shape[:k]), prod(indices.shape[:-1]), prod(x.shape[k:])
    many = min(rows, count) >= LEAST_ROWS
    large = many and row >= LEAST_ROW and updates.size >= LEAST_WORK
    return large and max(rows, count) < COUNTED and not few_places(n)
