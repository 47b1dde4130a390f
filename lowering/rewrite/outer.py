"""Sums of outer products become products of matrices.

(a[:, :, None] * b[:, None, :]).sum(0), as users write it by hand, is a contraction of a and b whose
terms need never exist. In: a Reduce by addition of a product of two broadcasts, each constant along
an axis of the result that the other varies over. Out: the Contract, its axes in the Reduce's order.
"""

from __future__ import annotations

from math import prod

from lowering import graph as g
from lowering.profile import Profile
from lowering.rewrite import contract

LEAST = 8  # elements of each side and of the sum, below which the nest's own loop is as good


def rewrite(b: g.Builder, n: g.Node, x: g.Node, profile: Profile) -> g.Node | None:
    """The sum `n` of x as a product of matrices, or None."""
    if n.form.op != "add" or x.form != g.Map("mul") or x.dtype.kind != "f":
        return None
    left, right = x.args
    if not all(isinstance(a.form, g.Broadcast) and a.args[0].ndim for a in (left, right)):
        return None
    (p, p_at), (q, q_at) = (thin(b, a) for a in (left, right))
    summed = n.form.axes
    kept = [k for k in range(x.ndim) if k not in summed]
    batch = [k for k in kept if k in p_at and k in q_at]
    rows, columns = ([k for k in kept if k in at and k not in batch] for at in (p_at, q_at))
    sizes = [prod(x.shape[k] for k in axes) for axes in (rows, columns, summed)]
    covered = {*batch, *rows, *columns} == set(kept)
    if not covered or min(sizes) < LEAST or not all(k in p_at and k in q_at for k in summed):
        return None
    sums = tuple(tuple(at.index(k) for k in summed) for at in (p_at, q_at))
    pairs = tuple(tuple(at.index(k) for k in batch) for at in (p_at, q_at))
    whole = b.contract(p, q, sums, pairs, n.dtype)
    made = contract.rewrite(b, whole, (p, q), profile)
    if made is None:
        return None
    order = [*batch, *rows, *columns]  # the contraction's axes, by their number in x
    return b.transpose(made, tuple(order.index(k) for k in kept))


def thin(b: g.Builder, x: g.Node) -> tuple[g.Node, list[int]]:
    """What a broadcast, or one upon another, spreads, without its axes of one element; and where
    the others are in x.
    """
    y, dims = x, tuple(range(x.ndim))
    while isinstance(y.form, g.Broadcast):
        dims = tuple(dims[d] for d in y.form.dims)
        y = y.args[0]
    axes = [d for d, size in zip(dims, y.shape) if size == x.shape[d]]
    return b.reshape(y, tuple(x.shape[k] for k in axes)), axes
