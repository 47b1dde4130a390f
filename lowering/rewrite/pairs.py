"""Folds over all pairs of rows read the second rows side by side.

((x[:, None] - y[None]) ** 2).sum(-1) folds what rows of x and of y make, pair by pair. Vector lanes
are pairs of one x, so each lane reads another row of y: a gather. Turned in memory once, y has its
columns along the lanes, and every row of x reads them so. In: a fold along the last axis, of Maps
of broadcasts. Out: the same over broadcasts whose operands are stored transposed.
"""

from __future__ import annotations

from lowering import graph as g
from lowering.rewrite import outer
from lowering.walk import users_of

LANES, REUSED = 16, 8  # second rows, and how often each is read, at least
LEAST, MOST = 1 << 12, 64  # pairs at least; nodes at most of what is folded
SHORTEST, LONGEST = 4, 256  # elements of a row: others are registers, or worth strips of their own
SHORT, CACHED = 32, 1 << 20  # longer ones stay turned in a cache, of so many bytes


def folded_alone(graph: g.Graph) -> set[int]:
    """The folds along a last axis of what only such folds read, and all that it is made of."""
    nodes = graph.nodes()
    users = users_of(nodes)
    alone: dict[int, bool] = {id(o): False for o in graph.outputs}
    for n in reversed(nodes):  # after all that read it
        reads = users.get(id(n), ())
        alone.setdefault(id(n), all(_folds(u) or (_computes(u) and alone[id(u)]) for u in reads))
    for n in nodes:
        if _computes(n):
            alone[id(n)] &= all(alone[id(a)] for a in n.args if _computes(a))
    return {id(n) for n in nodes if _folds(n) and _computes(x := n.args[0]) and alone[id(x)]}


def _computes(n: g.Node) -> bool:
    return isinstance(n.form, g.Map)


def _folds(n: g.Node) -> bool:
    """Whether n folds the last axis of its operand."""
    if isinstance(n.form, g.ArgReduce):
        return n.form.axis == n.ndim
    return isinstance(n.form, g.Reduce) and n.form.axes == (n.ndim,)


def rewrite(b: g.Builder, n: g.Node, x: g.Node) -> g.Node:
    """What the fold `n` had better fold instead of x, or x."""
    pairs = n.size >= LEAST and SHORTEST <= x.shape[-1] <= LONGEST and n.shape[-1] >= LANES
    made: dict[int, g.Node] = {}
    todo = [x] if pairs and n.ndim > 1 else []
    while todo and len(made) < MOST:
        y = todo[-1]
        waits = [a for a in y.args if id(a) not in made] if isinstance(y.form, g.Map) else []
        if waits:
            todo += waits
            continue
        new = _moved(b, y, made)
        if new is None:
            return x
        made[id(todo.pop())] = new
    return x if todo else made.get(id(x), x)


def _moved(b: g.Builder, y: g.Node, made: dict[int, g.Node]) -> g.Node | None:
    """The node y on what its operands became; None where it is no Map of broadcasts."""
    if isinstance(y.form, g.Map):
        return b.node(y.form, tuple(made[id(a)] for a in y.args), y.shape, y.dtype)
    if isinstance(y.form, g.Const | g.Iota):
        return y
    return _turned(b, y) if isinstance(y.form, g.Broadcast) else None


def _turned(b: g.Builder, x: g.Node) -> g.Node | None:
    """The broadcast x of an operand that is stored with its columns side by side; x itself where
    it has no rows along the lanes, None where elements are read too seldom or from afar.
    """
    y, dims = outer.thin(b, x)
    lane, along = x.ndim - 2, x.ndim - 1
    if lane not in dims or along not in dims:
        return x
    seldom = len(set(dims)) < len(dims) or x.size < REUSED * y.size
    if seldom or (x.shape[-1] > SHORT and y.size * y.dtype.itemsize > CACHED):
        return None
    order = sorted(range(len(dims)), key=lambda k: (dims[k] == lane, dims[k]))
    if isinstance(y.form, g.Transpose) and y.form.perm[-1] != y.ndim - 1:
        return x  # they lie so already
    shape = tuple(y.shape[k] for k in order)
    columns = b.node(g.Transpose(tuple(order), stored=True), (y,), shape, y.dtype)
    back = tuple(order.index(k) for k in range(len(dims)))
    turned = b.node(g.Transpose(back), (columns,), y.shape, y.dtype)
    return b.broadcast(turned, x.shape, dims)
