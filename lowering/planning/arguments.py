"""Arguments: what a kernel can take of them, which on GPUs is as little as 1,024 bytes.

In: the nodes that a nest begins with. Out: the one to keep in memory, so that two kernels read half
of the arrays each.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lowering import graph as g
from lowering.plan import Launch

BOUNDS = 2  # numbers that say which items of a merged launch are a part's


def of_parts(launches: Sequence[Launch]) -> int:
    """Arguments of a launch that does what these do, at most."""
    return sum(len(x.args) + BOUNDS for x in launches)


def halfway(roots: Sequence[g.Node], stored: Collection[int], most: int) -> g.Node | None:
    """The node to keep: it reads at most half of `most` arrays, and more than its operands alone;
    None where every node reads more than that, or one array.
    """
    reads: dict[int, frozenset[int]] = {}
    own = {id(r) for r in roots}

    def is_array(n: g.Node) -> bool:
        return isinstance(n.form, g.Input) or (id(n) in stored and id(n) not in own)

    def arrays(n: g.Node) -> frozenset[int]:
        return frozenset((id(n),)) if is_array(n) else reads[id(n)]

    best: g.Node | None = None
    todo = [(r, False) for r in roots]
    while todo:
        n, operands_done = todo.pop()
        if id(n) in reads or is_array(n):
            continue
        if not operands_done:
            todo += [(n, True), *((a, False) for a in n.args)]
            continue
        mine = reads[id(n)] = frozenset().union(*map(arrays, n.args))
        least = 1 if best is None else len(reads[id(best)])
        if id(n) not in own and least < len(mine) <= most // 2:
            best = n
    return best
