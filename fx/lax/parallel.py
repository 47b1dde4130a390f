"""Operations across the examples of a named axis: `vmap(f, axis_name="i")` and `psum(x, "i")`
inside f.

axis_name may be a tuple of names. Values may be trees. Sizes and positions are those of the axes
in scope; an axis that no vmap names raises NameError.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.family_docs import add_fact
from fx.lax.slicing import dynamic_index_in_dim
from fx.prims import collective as prims
from fx.prims.collective import axes_of
from fx.prims.shape import concatenate, move_axis, reshape
from fx.tree_util import tree_map

__all__ = [
    "all_gather",
    "all_to_all",
    "axis_index",
    "axis_size",
    "pbroadcast",
    "pcast",
    "pmax",
    "pmean",
    "pmin",
    "ppermute",
    "pshuffle",
    "psum",
    "psum_scatter",
    "pswapaxes",
]


def _no_groups(groups: Any, name: str) -> None:
    if groups is not None:
        raise NotImplementedError(
            f"{name}: axis_index_groups are not supported under vmap; reshape the axis into two "
            "named ones"
        )


def _dimension(name: str, k: int, ndim: int) -> int:
    """The dimension k as a non-negative number."""
    if not -ndim <= k < ndim:
        raise ValueError(f"{name}: axis {k} is out of bounds for array of dimension {ndim}.")
    return k % ndim


def _check_divided(name: str, x: Any, dimension: int, axis_name: Any, tiled: bool) -> None:
    """The examples share the dimension out: one place each, or (tiled) equal pieces."""
    have, n = core.get_aval(x).shape[dimension], axis_size(axis_name)
    if have % n if tiled else have != n:
        wanted = "a multiple of" if tiled else "equal to"
        raise ValueError(
            f"{name}: dimension {dimension} of size {have} must be {wanted} the size {n} of the "
            f"named axis {axis_name!r}."
        )


def axis_size(axis_name: Any) -> int:
    """The size of a named axis (the product, for several), as a Python integer."""
    return prod(core.axis_size(a) for a in axes_of(axis_name))


def axis_index(axis_name: Any) -> Any:
    """The position of this example along a named axis, int32.

    Of several names the first counts most, as in row-major order.
    """
    axes = axes_of(axis_name)
    index = prims.axis_index_p.bind(axes=(axes[0],))
    for a in axes[1:]:
        index = index * np.int32(core.axis_size(a)) + prims.axis_index_p.bind(axes=(a,))
    return index


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """The value of the example at position `source`, for every example along a named axis.

    >>> import fx
    >>> fx.vmap(lambda x: pbroadcast(x, "i", 1), axis_name="i")(fx.numpy.array([5, 7, 9]))
    Array([7, 7, 7], dtype=int32)
    """
    return tree_map(lambda leaf: all_gather(leaf, axis_name)[source], x)


def pcast(x: Any, axis_name: Any, *, to: str) -> Any:
    """The value itself: whether it varies along a mesh axis is not part of its type here.

    `to` is "varying", "reduced" or "unreduced"; NameError for an axis that is not in scope.
    """
    if to not in ("varying", "reduced", "unreduced"):
        raise ValueError(f"pcast: to must be 'varying', 'reduced' or 'unreduced', got {to!r}")
    if axis_name != ():
        axis_size(axis_name)
    return x


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Sum over a named axis. A Python number is multiplied by the axis size at once: psum(1, "i")
    is the size.
    """
    _no_groups(axis_index_groups, "psum")
    axes = axes_of(axis_name)

    def one(leaf: Any) -> Any:
        if isinstance(leaf, bool | int | float | complex):
            return leaf * axis_size(axes)
        if core.get_aval(leaf).dtype == np.bool_:
            leaf = core.PRIMITIVES["convert_element_type"].bind(
                leaf, new_dtype=np.dtype(np.int32), weak_type=False
            )
        return prims.psum_p.bind(leaf, axes=axes)

    return tree_map(one, x)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Mean over a named axis.

    psum over the size; integers and booleans become floats.
    """
    size = axis_size(axis_name)
    total = psum(x, axis_name, axis_index_groups=axis_index_groups)
    return tree_map(lambda leaf: leaf / size, total)


def pmax(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Maximum over a named axis."""
    _no_groups(axis_index_groups, "pmax")
    return tree_map(lambda leaf: prims.pmax_p.bind(leaf, axes=axes_of(axis_name)), x)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Minimum over a named axis."""
    _no_groups(axis_index_groups, "pmin")
    return tree_map(lambda leaf: prims.pmin_p.bind(leaf, axes=axes_of(axis_name)), x)


def all_gather(
    x: Any,
    axis_name: Any,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
    to: str = "varying",
) -> Any:
    """The values of all examples, stacked along `axis` (tiled: joined along it).

    Every example has all n of them: x [*s] becomes [n, *s] (tiled: the axis is n times as long).
    ValueError for an axis out of bounds.
    """
    _no_groups(axis_index_groups, "all_gather")

    def one(leaf: Any) -> Any:
        ndim = core.get_aval(leaf).ndim + (0 if tiled else 1)
        dim = _dimension("all_gather", axis, ndim)
        for name in reversed(axes_of(axis_name)):
            leaf = prims.all_gather_p.bind(
                leaf, axes=(name,), all_gather_dimension=dim, tiled=tiled
            )
        return leaf if tiled else _merged(leaf, dim, axis_name)

    return tree_map(one, x)


def psum_scatter(
    x: Any,
    axis_name: Any,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Sum over a named axis of which each example keeps its own slice of dimension
    `scatter_dimension`.

    Dimension size is that of the axis and vanishes (tiled: a multiple of it, and is divided by it);
    ValueError otherwise.
    """
    _no_groups(axis_index_groups, "psum_scatter")

    def one(leaf: Any) -> Any:
        dim = _dimension("psum_scatter", scatter_dimension, core.get_aval(leaf).ndim)
        _check_divided("psum_scatter", leaf, dim, axis_name, tiled)
        leaf = leaf if tiled else _apart(leaf, dim, axis_name)
        for name in axes_of(axis_name):
            leaf = prims.psum_scatter_p.bind(leaf, axes=(name,), scatter_dimension=dim, tiled=tiled)
        return leaf

    return tree_map(one, x)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values along (source, destination) pairs; an example that receives nothing gets zeros.

    ValueError where a source or a destination occurs twice or is no position on the axis.
    """
    pairs = tuple((int(a), int(b)) for a, b in perm)
    n = axis_size(axis_name)
    if any(not 0 <= k < n for pair in pairs for k in pair):
        raise ValueError(
            f"ppermute: sources and destinations must be positions 0 to {n - 1} on the axis "
            f"{axis_name!r}, got {pairs}."
        )
    if len({a for a, _ in pairs}) < len(pairs) or len({b for _, b in pairs}) < len(pairs):
        raise ValueError(f"ppermute sources and destinations must be unique, got {pairs}.")
    axes = axes_of(axis_name)
    if len(axes) > 1:
        return tree_map(lambda leaf: _permuted(leaf, axis_name, pairs), x)
    return tree_map(lambda leaf: prims.ppermute_p.bind(leaf, axes=axes, perm=pairs), x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Example k of the result is example perm[k].

    ValueError unless perm is a permutation of all positions.
    """
    if sorted(perm) != list(range(axis_size(axis_name))):
        raise ValueError(f"`perm` does not represent a permutation of the axis: {perm}")
    return ppermute(x, axis_name, [(int(src), dst) for dst, src in enumerate(perm)])


def all_to_all(
    x: Any,
    axis_name: Any,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Split dimension `split_axis` among the examples and stack (tiled: join) what they send at
    `concat_axis`.

    The split dimension has the axis's size and vanishes (tiled: a multiple of it, and is divided by
    it); ValueError otherwise.
    """
    _no_groups(axis_index_groups, "all_to_all")

    def one(leaf: Any) -> Any:
        ndim = core.get_aval(leaf).ndim
        split, joined = (_dimension("all_to_all", k, ndim) for k in (split_axis, concat_axis))
        _check_divided("all_to_all", leaf, split, axis_name, tiled)
        axes = axes_of(axis_name)
        if len(axes) > 1:
            return _exchanged(leaf, axis_name, split, joined, tiled)
        return prims.all_to_all_p.bind(
            leaf, axes=axes, split_axis=split, concat_axis=joined, tiled=tiled
        )

    return tree_map(one, x)


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None) -> Any:
    """Swap a named axis with dimension `axis`.

    The dimension has the axis's size; ValueError otherwise. It is all_to_all with split_axis =
    concat_axis.
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


# ---------------------------------------------------------------- several names
# Example (i, j) of the axes of sizes (m, n) is number i n + j, as axis_index counts.


def _merged(x: Any, dim: int, axis_name: Any) -> Any:
    """The dimensions from `dim` on, one for each name, as one."""
    if len(axes_of(axis_name)) == 1:
        return x
    s, end = core.get_aval(x).shape, dim + len(axes_of(axis_name))
    return reshape(x, (*s[:dim], axis_size(axis_name), *s[end:]))


def _apart(x: Any, dim: int, axis_name: Any) -> Any:
    """The opposite of _merged."""
    if len(axes_of(axis_name)) == 1:
        return x
    s, sizes = core.get_aval(x).shape, [core.axis_size(a) for a in axes_of(axis_name)]
    return reshape(x, (*s[:dim], *sizes, *s[dim + 1 :]))


def _permuted(x: Any, axis_name: Any, pairs: tuple[tuple[int, int], ...]) -> Any:
    """ppermute: each example takes its source from all of them, or the zeros behind the last."""
    n = axis_size(axis_name)
    source = np.full(n, n, np.int32)
    for src, dst in pairs:
        source[dst] = src
    sent = all_gather(x, axis_name)
    zeros = core.zeros_like_aval(core.get_aval(sent).update(shape=(1, *core.get_aval(x).shape)))
    mine = dynamic_index_in_dim(source, axis_index(axis_name), keepdims=False)
    return dynamic_index_in_dim(concatenate([sent, zeros], 0), mine, keepdims=False)


def _exchanged(x: Any, axis_name: Any, split: int, joined: int, tiled: bool) -> Any:
    """all_to_all, name by name: the pieces for each are leading dimensions on the way."""
    if tiled:
        s, n = core.get_aval(x).shape, axis_size(axis_name)
        x = move_axis(reshape(x, (*s[:split], n, s[split] // n, *s[split + 1 :])), split, 0)
    else:
        x = move_axis(x, split, 0)
    x = _apart(x, 0, axis_name)
    for k, name in enumerate(axes_of(axis_name)):
        x = prims.all_to_all_p.bind(x, axes=(name,), split_axis=k, concat_axis=k, tiled=False)
    x = move_axis(_merged(x, 0, axis_name), 0, joined)
    if not tiled:
        return x
    s = core.get_aval(x).shape
    return reshape(x, (*s[:joined], s[joined] * s[joined + 1], *s[joined + 2 :]))


add_fact(
    "x is a tree of arrays; results have their shapes and dtypes unless said otherwise. NameError "
    "where\nno vmap in scope names the axis, NotImplementedError for axis_index_groups.",
    *(psum, pmean, pmax, pmin, all_gather, psum_scatter, ppermute, pshuffle, all_to_all, pswapaxes),
)
