"""Upright: a fold of what is turned is a fold of what stands in memory, along its own axes.

`x.T.max(0)` is `x.max(1)`, whose rows lie in memory; turned first, all of x was written once
more. In: a Reduce or ArgReduce of a Transpose, or of what is made element by element of values
turned alike, which only folds read. Out: the fold, its result turned. Called by `canon`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lowering import graph as g

DEEPEST = 6  # operations between a fold and what is turned

Perm = tuple[int, ...]


def only_folded(users: Sequence[g.Node]) -> bool:
    """Whether all that read a value fold it."""
    return all(isinstance(u.form, g.Reduce | g.ArgReduce) for u in users)


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
    whole = [a for a in dict.fromkeys(x.args) if not isinstance(a.form, g.Const)]
    perms = {_turned(a, depth - 1) for a in whole}
    return perms.pop() if len(perms) == 1 else None


def _upright(b: g.Builder, x: g.Node, perm: Perm, known: dict[int, g.Node]) -> g.Node:
    if isinstance(x.form, g.Transpose):
        return x.args[0]
    if (found := known.get(id(x))) is None:
        shape = [0] * x.ndim
        for k, p in enumerate(perm):
            shape[p] = x.shape[k]
        if isinstance(x.form, g.Const):
            found = b.const(x.form.value, x.dtype, tuple(shape))
        else:
            args = [_upright(b, a, perm, known) for a in x.args]
            found = b.node(x.form, args, tuple(shape), x.dtype)
        known[id(x)] = found
    return found
