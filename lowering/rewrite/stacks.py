"""Stacks: a fold over what was stacked is operations between the values that were stacked.

`stack([x, y, z]).mean(0)` is (x + y + z) / 3. In: a Reduce along the axis of a Concat of single
slices, or of what is made of it element by element (squares, distances from the mean). Out: the
operations, in the order of the stack, which then need not stand in memory. Called by `canon`.
"""

from __future__ import annotations

from lowering import graph as g
from lowering.rewrite import views

MOST = 16  # values of a stack
DEEPEST = 6  # operations between a stack and its fold

Known = dict[tuple[int, int], g.Node]  # (node, number) -> slice


def folded(b: g.Builder, n: g.Node, x: g.Node) -> tuple[g.Node, tuple[int, ...]] | None:
    """What n folds of x, folded along the axis that was stacked, and the other axes of n in it;
    None where there is no such axis.
    """
    for axis in n.form.axes:
        if not _is_stack(x, axis, DEEPEST):
            continue
        known: Known = {}
        total, *rest = (_of(b, x, axis, k, DEEPEST, known) for k in range(x.shape[axis]))
        for y in rest:
            total = b.node(g.Map(n.form.op), (total, y), total.shape, total.dtype)
        return total, tuple(k - (k > axis) for k in n.form.axes if k != axis)
    return None


def taken(b: g.Builder, n: g.Node, x: g.Node) -> g.Node | None:
    """The slice n of x that is one of what was stacked, or is made of it; else None."""
    axis = _single(n)
    if axis is None or not isinstance(x.form, g.Map) or not _is_stack(x, axis, DEEPEST):
        return None
    return b.reshape(_of(b, x, axis, n.form.starts[axis], DEEPEST, {}), n.shape)


def only_taken(users: list[g.Node]) -> bool:
    """Whether single slices along one axis are all that is read."""
    axes = {_single(u) for u in users}
    return len(axes) == 1 and None not in axes


def _single(n: g.Node) -> int | None:
    """The axis along which n is one slice of its operand, and whole along the others."""
    if not isinstance(n.form, g.Slice):
        return None
    cut = [k for k, (m, whole) in enumerate(zip(n.shape, n.args[0].shape)) if m != whole]
    return cut[0] if len(cut) == 1 and n.shape[cut[0]] == 1 else None


def _is_stack(x: g.Node, axis: int, depth: int) -> bool:
    """Whether x was stacked along the axis, or is made of what was."""
    if isinstance(x.form, g.Concat):
        return x.form.dim == axis and len(x.args) == x.shape[axis] <= MOST
    if not isinstance(x.form, g.Map) or depth == 0 or x.shape[axis] > MOST:
        return False
    return any(_is_stack(a, axis, depth - 1) for a in dict.fromkeys(x.args))


def _of(b: g.Builder, x: g.Node, axis: int, k: int, depth: int, known: Known) -> g.Node:
    """Slice k of x along the axis, without it."""
    if (found := known.get((id(x), k))) is None:
        found = known[(id(x), k)] = _made(b, x, axis, k, depth, known)
    return found


def _made(b: g.Builder, x: g.Node, axis: int, k: int, depth: int, known: Known) -> g.Node:
    shape, form = x.shape[:axis] + x.shape[axis + 1 :], x.form
    if isinstance(form, g.Concat) and form.dim == axis and len(x.args) == x.shape[axis]:
        return b.reshape(x.args[k], shape)
    if isinstance(form, g.Const):
        return b.const(form.value, x.dtype, shape)
    if isinstance(form, g.Map) and depth:
        args = [_of(b, a, axis, k, depth - 1, known) for a in x.args]
        return b.node(form, args, shape, x.dtype)
    if isinstance(form, g.Broadcast):
        y, dims = x.args[0], form.dims
        at = dims.index(axis) if axis in dims else None
        if at is None or y.shape[at] == 1:
            if at is not None:
                y = b.reshape(y, y.shape[:at] + y.shape[at + 1 :])
            return b.broadcast(y, shape, tuple(d - (d > axis) for d in dims if d != axis))
    return b.reshape(views.element(b, x, axis, k), shape)
