"""Rule of `build` for a scatter that is dealt (`rewrite.deal`): the nest of its updates, whose
store joins a row with the place that an item's lists say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowering import affine
from lowering import graph as g
from lowering.affine import ZERO
from lowering.build.values import INT, Index
from lowering.nest import Dealing

if TYPE_CHECKING:
    from lowering.build.group import NestBuilder


def root(b: NestBuilder, node: g.Node, index: Index) -> None:
    """The updates over their own space, joined with the node's buffer."""
    x, updates, lists, ends = node.args
    f = node.form
    lead = updates.ndim - (x.ndim - f.rows)
    which = b.index(affine.linearize(index[:lead], updates.shape[:lead]), INT)
    value = b.value(updates, index)
    place = affine.linearize((ZERO,) * f.rows + index[lead:], x.shape)
    b.store(node, place, value, dynamic=which, join=f.op)
    background = x.form.value if isinstance(x.form, g.Const) else None
    b.nest.dealt = Dealing(
        b.buffer(lists), b.buffer(ends), f.rows, f.shift, ends.shape[-1] - 1, background
    )
