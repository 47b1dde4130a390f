"""Convolve: a Conv as a product whose left operand is the input read through its windows.

With the input padded (a copy only where there is padding), what output position s meets at tap t
lies at an offset of s plus an offset of t: rows are (n, space), k is (tap, channel), columns are
output channels, and no window is ever copied out. Gradients arrive as Convs with input or window
dilation and take the same way. Called by `canon`; None where the generic nest does it.
"""

from __future__ import annotations

from lowering import graph as g
from lowering.affine import Affine
from lowering.profile import Profile
from lowering.rewrite import phases, product, strided
from lowering.rewrite.product import Operand, Space


def rewrite(
    b: g.Builder, n: g.Node, args: tuple[g.Node, g.Node], profile: Profile
) -> g.Node | None:
    """The Conv `n` on `args` (input, window) as a product, or None for the generic nest."""
    acc = product.worthwhile(n.dtype, args)
    x, w = args
    per_group, channels = w.shape[0] // n.form.groups, w.shape[1]
    least = 2 if n.form.groups == 1 else profile.lanes(acc.itemsize) if acc is not None else 0
    if acc is None or per_group < least or not n.size or not w.size:
        return None
    x, w = b.convert(x, acc), b.convert(w, acc)
    low, high = zip(*n.form.padding) if n.form.padding else ((), ())
    padded = phases.padded(b, x, low, high, [d - 1 for d in n.form.lhs_dilation])
    rank = len(n.shape) - 2
    extents = [n.form.groups, n.shape[0], *n.shape[2:], per_group, channels, *w.shape[2:]]
    space = Space(
        extents,
        (0,),
        tuple(range(1, 2 + rank)),
        (2 + rank,),
        tuple(range(3 + rank, 4 + 2 * rank)),
    )
    left = strided.side(padded, _input_index(n.form, space, channels), extents, acc.__eq__)
    if left is None:
        return None
    m, k = _by_stride(space.m, left.strides), _by_stride(space.k, left.strides)
    space.m, space.k = m, k
    right = strided.side(w, _window_index(space, rank, per_group), extents, acc.__eq__)

    def flat() -> g.Node:
        parts = b.reshape(w, (n.form.groups, per_group, *w.shape[1:]))
        first = 3 + rank  # the number of the channel axis
        order = (0, 1, *(2 + a - first for a in k))
        return b.reshape(b.transpose(parts, order), (n.form.groups, per_group, space.size(k)))

    z = product.make(
        b, space, Operand(left, _no_view), Operand(right, flat), acc, profile, scattered=True
    )
    return None if z is None else b.convert(_result(b, z, n, m), n.dtype)


def _no_view() -> g.Node:
    raise product.NoView("the windows of an input overlap")


def _by_stride(axes: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """The axes from the longest step to the shortest: neighbours in memory become neighbours."""
    return tuple(sorted(axes, key=lambda a: -abs(strides[a])))


def _input_index(form: g.Conv, space: Space, channels: int) -> list[Affine]:
    """The index into the padded input."""
    _, image, *rest = range(len(space.extents))
    rank = len(form.strides)
    positions, channel, taps = rest[:rank], rest[rank + 1], rest[rank + 2 :]
    index = [space.axis(image), space.axis(0) * channels + space.axis(channel)]
    for k in range(rank):
        index.append(
            space.axis(positions[k]) * form.strides[k] + space.axis(taps[k]) * form.rhs_dilation[k]
        )
    return index


def _window_index(space: Space, rank: int, per_group: int) -> list[Affine]:
    out = space.axis(0) * per_group + space.axis(2 + rank)
    return [out, *(space.axis(a) for a in range(3 + rank, len(space.extents)))]


def _result(b: g.Builder, z: g.Node, n: g.Node, m: tuple[int, ...]) -> g.Node:
    """[groups, rows in the order of m, columns] as [N, O, *space]."""
    rank = len(n.shape) - 2
    sizes = [n.shape[0], *n.shape[2:]]
    z = b.reshape(z, (n.form.groups, *(sizes[a - 1] for a in m), n.shape[1] // n.form.groups))
    where = {a: 1 + k for k, a in enumerate(m)}
    perm = (where[1], 0, 2 + rank, *(where[a] for a in range(2, 2 + rank)))
    return b.reshape(b.transpose(z, perm), n.shape)
