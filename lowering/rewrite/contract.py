"""Contract: a Contract node becomes a `Product` under views, in the form that suits its shape.

Its axes are numbered (outer, rows, columns, k) and its operands' strides found; before that a long
sum for a small result is split, columns that do not stand in one piece become a batch, and a
product that is only read transposed is computed the other way round. Called by `canon`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from lowering import graph as g
from lowering.affine import Affine
from lowering.profile import Profile
from lowering.rewrite import strided
from lowering.rewrite.product import Operand, Space, make, quads_fit, widens, worthwhile
from lowering.rewrite.strided import Side

LONG_K, PART_K, MAX_PARTS = 8192, 2048, 64  # sums that are split, and how
SMALL_RESULT = 1 << 14  # elements of a result up to which they are


def turned_by_users(graph: g.Graph) -> set[int]:
    """Contracts that are only read transposed, so that rows of the result become its columns."""
    found: dict[int, bool] = {}
    for n in graph.nodes():
        for x in n.args:
            if isinstance(x.form, g.Contract):
                first = len(x.form.batch[0])
                rows = range(first, first + x.args[0].ndim - first - len(x.form.contract[0]))
                turned = isinstance(n.form, g.Transpose) and n.form.perm[-1] in rows
                found[id(x)] = turned and found.get(id(x), True)
    outputs = {id(o) for o in graph.outputs}
    return {key for key, turned in found.items() if turned and key not in outputs}


def without_ones(
    b: g.Builder, n: g.Node, args: tuple[g.Node, g.Node]
) -> tuple[g.Node, tuple[g.Node, g.Node]] | None:
    """The Contract `n` and its operands without axes of one element that are not summed: columns
    written as matrices are vectors. None where there are none.
    """
    sides, sums, batches = [], [], []
    for x, summed, batch in zip(args, n.form.contract, n.form.batch, strict=True):
        axes = [k for k in range(x.ndim) if x.shape[k] != 1 or k in (*summed, *batch)]
        sides.append(b.reshape(x, [x.shape[k] for k in axes]))
        sums.append(tuple(axes.index(k) for k in summed))
        batches.append(tuple(axes.index(k) for k in batch))
    x, y = sides
    if (x.ndim, y.ndim) == (args[0].ndim, args[1].ndim):
        return None
    made = b.contract(x, y, sums, batches, n.dtype)
    return made, (x, y)


def rewrite(
    b: g.Builder,
    n: g.Node,
    args: tuple[g.Node, g.Node],
    profile: Profile,
    turned: bool = False,
) -> g.Node | None:
    """The Contract `n` on `args` as a Product under views, or None for the generic nest; `turned`
    computes its transpose.
    """
    found = worthwhile(n.dtype, args)
    if found is None:
        return None
    x, y = args
    acc: np.dtype = np.dtype(np.float32) if _exact_in_floats(n, x, y, profile) else found
    if turned:
        return _other_way_round(b, n, x, y, profile)
    (cx, cy), (bx, by) = n.form.contract, n.form.batch
    parts = 1 if profile.schedule == "gpu" else _parts(n, x)
    if parts > 1:
        return _in_parts(b, n, x, y, parts, acc, profile)
    order = sorted(range(len(cx)), key=lambda j: cx[j])
    cx, cy = tuple(cx[j] for j in order), tuple(cy[j] for j in order)
    fx, fy = _free(x, bx, cx), _free(y, by, cy)
    parts = [
        [x.shape[k] for k in bx],
        [x.shape[k] for k in fx],
        [y.shape[k] for k in fy],
        [x.shape[k] for k in cx],
    ]
    space = _space(parts)
    gpu = profile.schedule == "gpu"  # its kernel converts what it reads
    sides = [
        strided.side(
            node,
            _index(node, numbers, space),
            space.extents,
            lambda dtype: gpu or widens(dtype, acc),
            not gpu,
        )
        for node, numbers in (
            (x, dict(zip((*bx, *fx, *cx), (*space.outer, *space.m, *space.k)))),
            (y, dict(zip((*by, *fy, *cy), (*space.outer, *space.n, *space.k)))),
        )
    ]
    lead = 0 if gpu else _unmerged(space, sides)
    if lead:
        return _more_outer(b, n, x, y, fy[:lead], profile)
    outer = tuple(parts[0])
    m, cols, k = space.size(space.m), space.size(space.n), space.size(space.k)
    left = Operand(sides[0], lambda: b.reshape(b.transpose(x, (*bx, *fx, *cx)), (*outer, m, k)))
    right = Operand(sides[1], lambda: b.reshape(b.transpose(y, (*by, *fy, *cy)), (*outer, cols, k)))
    z = make(b, space, left, right, acc, profile)
    return None if z is None else b.convert(b.reshape(z, n.shape), n.dtype)


def _other_way_round(
    b: g.Builder, n: g.Node, x: g.Node, y: g.Node, profile: Profile
) -> g.Node | None:
    """The same with the operands exchanged."""
    contract, batch = n.form.contract[::-1], n.form.batch[::-1]
    z = b.contract(y, x, contract, batch, n.dtype)
    made = rewrite(b, z, (y, x), profile)
    first = len(batch[0])
    middle = first + y.ndim - first - len(contract[0])
    order = (*range(first), *range(middle, z.ndim), *range(first, middle))
    return None if made is None else b.transpose(made, order)


def _exact_in_floats(n: g.Node, x: g.Node, y: g.Node, profile: Profile) -> bool:
    """Whether no sum of these integers leaves those that a float32 holds: a multiply-add of floats
    is one instruction, of integers two.
    """
    if n.dtype != np.int32 or profile.schedule == "gpu":
        return False
    k, outer = (prod(x.shape[j] for j in axes) for axes in (n.form.contract[0], n.form.batch[0]))
    sizes = (x.size // (k * outer), y.size // (k * outer), k) if n.size and k else (0, 0, 0)
    if quads_fit(x.dtype, y.dtype, sizes, profile):
        return False
    return k * prod(_largest(a.dtype) for a in (x, y)) <= 1 << 24


def _largest(dtype: np.dtype) -> int:
    return max(-int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def _unmerged(space: Space, sides: list[Side | None]) -> int:
    """How many of B's leading free axes are no part of rows that stand in memory in one piece."""
    if sides[0] is None or sides[1] is None:
        return 0
    for k in range(len(space.n)):
        (n, step), *more = sides[1].axes(space.n[k:], space.extents)
        if not more:
            return k if n >= 32 and step == 1 else 0
    return 0


def _more_outer(
    b: g.Builder, n: g.Node, x: g.Node, y: g.Node, axes: tuple[int, ...], profile: Profile
) -> g.Node | None:
    """The same with some of B's free axes as axes of a batch, along which A does not change."""
    (cx, cy), (bx, by) = n.form.contract, n.form.batch
    count, first = len(axes), len(bx)
    x = b.broadcast(x, (*(y.shape[a] for a in axes), *x.shape), tuple(range(count, count + x.ndim)))
    cx, bx = tuple(a + count for a in cx), tuple(a + count for a in bx)
    batch = ((*range(count), *bx), (*axes, *by))
    z = b.contract(x, y, (cx, cy), batch, n.dtype)
    made = rewrite(b, z, (x, y), profile)
    if made is None:
        return None
    rows = count + first, x.ndim - len(cx)
    order = (*range(count, rows[1]), *range(count), *range(rows[1], z.ndim))
    return b.transpose(made, order)


def _parts(n: g.Node, x: g.Node) -> int:
    """How many parts the longest contracted axis of `n` is cut into; 1 if the sum is not split."""
    (cx, _), (bx, _) = n.form.contract, n.form.batch
    k = prod(x.shape[j] for j in cx)
    if k < LONG_K or n.size > SMALL_RESULT * prod(x.shape[j] for j in bx):
        return 1
    longest = max(x.shape[j] for j in cx)
    parts = min(MAX_PARTS, k // PART_K)
    while longest % parts:
        parts -= 1
    return parts


def _in_parts(
    b: g.Builder, n: g.Node, x: g.Node, y: g.Node, parts: int, acc: np.dtype, profile: Profile
) -> g.Node | None:
    """A long sum for a small result: products of parts of k as one batch, then their sum."""
    (cx, cy), (bx, by) = n.form.contract, n.form.batch
    j = max(range(len(cx)), key=lambda j: x.shape[cx[j]])

    def cut(x: g.Node, axis: int) -> g.Node:
        shape = x.shape
        return b.reshape(x, (*shape[:axis], parts, shape[axis] // parts, *shape[axis + 1 :]))

    def moved(axes: tuple[int, ...], axis: int) -> tuple[int, ...]:
        return tuple(a + (a >= axis) for a in axes)

    z = b.contract(
        cut(x, cx[j]),
        cut(y, cy[j]),
        (moved(cx, cx[j]), moved(cy, cy[j])),
        ((cx[j], *moved(bx, cx[j])), (cy[j], *moved(by, cy[j]))),
        acc,
    )
    z = rewrite(b, z, (z.args[0], z.args[1]), profile)
    return None if z is None else b.convert(b.reduce("add", z, (0,)), n.dtype)


def _space(parts: list[list[int]]) -> Space:
    """Axes numbered part by part: outer, m, n, k."""
    extents = [n for part in parts for n in part]
    numbers, at = [], 0
    for part in parts:
        numbers.append(tuple(range(at, at + len(part))))
        at += len(part)
    return Space(extents, *numbers)


def _index(node: g.Node, numbers: dict[int, int], space: Space) -> list[Affine]:
    return [space.axis(numbers[k]) for k in range(node.ndim)]


def _free(x: g.Node, batch, contract) -> tuple[int, ...]:
    return tuple(k for k in range(x.ndim) if k not in batch and k not in contract)
