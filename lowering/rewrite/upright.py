"""Upright: a fold of what is turned is a fold of what stands in memory, along its own axes.

`x.T.max(0)` is `x.max(1)`, whose rows lie in memory; turned first, all of x was written once
more. In: a Reduce or ArgReduce of a Transpose, or of what is made element by element of values
turned alike, which only folds read. Out: the fold, its result turned. An operand that only products
read stays as its own operands stand, too: products read it by strides. Called by `canon`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lowering import graph as g

DEEPEST = 6  # operations between a fold and what is turned

Perm = tuple[int, ...]


def only_folded(users: Sequence[g.Node]) -> bool:
    """Whether all that read a value fold it."""
    return all(isinstance(u.form, g.Reduce | g.ArgReduce) for u in users)


def only_multiplied(graph: g.Graph, users: Mapping[int, Sequence[g.Node]]) -> set[int]:
    """The values that only products read, turned or not."""
    found: set[int] = set()
    outputs = set(map(id, graph.outputs))
    for n in reversed(graph.nodes()):
        above = users.get(id(n), ())
        if id(n) not in outputs and above:
            turns = [u for u in above if not isinstance(u.form, g.Contract)]
            if all(isinstance(u.form, g.Transpose) and id(u) in found for u in turns):
                found.add(id(n))
    return found


def operand(b: g.Builder, x: g.Node) -> g.Node:
    """The operand x of a product, computed along the axes of memory and turned then."""
    if isinstance(x.form, g.Transpose) and not x.form.stored:
        return b.transpose(operand(b, x.args[0]), x.form.perm)
    perm = _turned(x, DEEPEST) if isinstance(x.form, g.Map) else None
    return x if perm is None else b.transpose(_upright(b, x, perm, {}), perm)


def rewrite(b: g.Builder, n: g.Node, x: g.Node) -> tuple[g.Node, g.Node, Perm] | None:
    """The fold n of x as a fold of what x is turned from, that, and how the result is turned; None
    where x is not turned.
    """
    perm = _turned(x, DEEPEST)
    if perm is None:
        return None
    y = _upright(b, x, perm, {})
    folds = g.fold_axes(n)
    axes = tuple(sorted(perm[k] for k in folds))
    form = g.Reduce(n.form.op, axes) if isinstance(n.form, g.Reduce) else None
    form = form or g.ArgReduce(n.form.op, axes[0])
    kept = [perm[k] for k in range(x.ndim) if k not in folds]
    shape = tuple(y.shape[k] for k in sorted(kept))
    return g.Node(form, (y,), shape, n.dtype), y, tuple(sorted(kept).index(k) for k in kept)


def _turned(x: g.Node, depth: int) -> Perm | None:
    """How x is turned: one way, all that it is made of."""
    if isinstance(x.form, g.Transpose):
        return None if x.form.stored else x.form.perm
    if not isinstance(x.form, g.Map) or depth == 0:
        return None
    whole = [a for a in dict.fromkeys(x.args) if not _stands_any_way(a)]
    perms = {_turned(a, depth - 1) for a in whole}
    return perms.pop() if len(perms) == 1 else None


def _stands_any_way(x: g.Node) -> bool:
    """Whether x is a number, or numbers along one axis."""
    if isinstance(x.form, g.Broadcast):
        return sum(k != 1 for k in x.args[0].shape) < 2
    return isinstance(x.form, g.Const)


def _upright(b: g.Builder, x: g.Node, perm: Perm, known: dict[int, g.Node]) -> g.Node:
    if isinstance(x.form, g.Transpose):
        return x.args[0]
    if (found := known.get(id(x))) is None:
        shape = [0] * x.ndim
        for k, p in enumerate(perm):
            shape[p] = x.shape[k]
        if isinstance(x.form, g.Const):
            found = b.const(x.form.value, x.dtype, tuple(shape))
        elif isinstance(x.form, g.Broadcast):
            y = x.args[0]
            held = [k for k in range(y.ndim) if y.shape[k] != 1]
            y = b.reshape(y, [y.shape[k] for k in held])
            found = b.broadcast(y, tuple(shape), tuple(perm[x.form.dims[k]] for k in held))
        else:
            args = [_upright(b, a, perm, known) for a in x.args]
            found = b.node(x.form, args, tuple(shape), x.dtype)
        known[id(x)] = found
    return found
