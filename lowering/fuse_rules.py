"""What fusion asks of a node: the space it runs over, what it costs, and how its axes lie in it.

Pure functions of nodes; `fuse` decides with them. A `DimMap` says for each axis of a node which
axis of a group's space it is, None where it is mixed or folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from lowering import graph as g
from lowering import scalar
from lowering.build.group import BlockReduce
from lowering.rewrite.deal import Deal, Dealt
from lowering.rewrite.product import Packed, Product
from lowering.templates.sorting import place_dtype
from lowering.walk import renamed

SINGLE = (
    g.Sort,
    g.TopK,
    g.Opaque,
    g.KernelCall,
    g.Loop,
    g.Cond,
    g.Scatter,
    Deal,
)
FOLDS = (g.Reduce, g.ArgReduce, g.CumScan, g.Window, g.Contract, g.Conv, BlockReduce)
VIEWS = (g.Reshape, g.Transpose, g.Broadcast, g.Slice, g.Reverse, g.Pad)
MAX_NODES = 400  # of one kernel: beyond it compile time grows faster than launches cost
REPEATED = 48.0  # flops up to which an activation is computed again from a product's result
CHEAP = 3.0  # flops that may be computed twice rather than stored and loaded
MOST_PATHS = 512.0  # flops of what is computed again at each place where parts of it are read

MOST_READ = 9  # places that an element of concatenations may come from that is read in place
LEAST_RUN = 32  # elements of a piece of such
MOST_PIECES = 16  # of a concatenation that one kernel writes
MOST_COLUMNS = 64  # the same of columns, whose elements stand side by side
SHORT = 16  # elements of an outer axis that are folded where the result is used
FEW = 4  # elements that are folded one by one as well as in strips

MOST_BETWEEN = 32  # nodes between a product and the windows of it that its kernel folds

COLUMN = 512  # elements of a column that is folded and used in one kernel: a strip stays in cache
LEAST_COLUMNS = 512  # of such, unless there is little to do

DimMap = tuple[int | None, ...]  # node axis -> space axis, None where it is mixed or folded


def root_space(n: g.Node) -> tuple[tuple[int, ...], int | None]:
    """The space a root runs over by itself, and its block count."""
    if isinstance(n.form, BlockReduce):
        return n.args[0].shape, n.form.blocks
    if isinstance(n.form, g.Reduce | g.ArgReduce) and trailing(n) and n.args[0].size:
        return n.args[0].shape, None
    return n.shape, None


def spreads(n: g.Node) -> bool:
    """Whether n writes its operand with gaps between the elements: a nest over the operand does
    that.
    """
    return isinstance(n.form, g.Pad) and any(
        gap and size > 1 for gap, size in zip(n.form.interior, n.args[0].shape)
    )


def root_dims(n: g.Node) -> tuple[int, ...]:
    if isinstance(n.form, BlockReduce):
        return ()
    return tuple(range(n.ndim))


def flat(n: g.Node) -> g.Node:
    """The node whose memory, row by row, is n's: n without reshapes and axes of extent one."""
    while (x := renamed(n)) is not None:
        n = x
    return n


def operands(n: g.Node) -> tuple[g.Node, ...]:
    """What a single node reads from memory; a scatter reads indices and updates in flat order."""
    if isinstance(n.form, g.Scatter):
        return (n.args[0], *map(flat, n.args[1:]))
    if isinstance(n.form, Deal):
        return tuple(map(flat, n.args))
    if isinstance(n.form, g.Sort):  # what counts along the axis is known without memory
        k, dim = n.form.num_keys, n.form.dim
        return (*n.args[:k], *(a for a in n.args[k:] if place_dtype(a, dim) is None))
    return n.args


def strip_of(n: g.Node) -> tuple[int, int] | None:
    """How many elements n folds to one, and how many in all, where strips can go along them."""
    if isinstance(n.form, g.Contract):
        k = prod(n.args[0].shape[a] for a in n.form.contract[0])
        return k, k * n.size
    if not isinstance(n.form, g.Reduce | g.ArgReduce) or not trailing(n):
        return None
    axes = g.fold_axes(n)
    return prod(n.args[0].shape[a] for a in axes), n.args[0].size


def runs_elsewhere(n: g.Node, rest: tuple[int, ...]) -> bool:
    """Whether n folds for long, and not along `rest`, the axes that a row of its kernel has."""
    axes = g.fold_axes(n)
    lengths = [size for k in axes if (size := n.args[0].shape[k]) > 1]
    return prod(lengths) > SHORT and lengths != [size for size in rest if size > 1]


def strips_differ(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two folds go along rows of different lengths, and both for long: a nest has strips
    along one axis, and what it folds along another goes element by element.
    """
    (short, long), (little, much) = sorted((a[0], b[0])), sorted((a[1], b[1]))
    return short != long and short > FEW and long > SHORT and little * SHORT > much


def trailing(n: g.Node) -> bool:
    """Whether a fold leaves the leading axes; other forms count as such."""
    if isinstance(n.form, g.Reduce):
        return min(n.form.axes) == n.args[0].ndim - len(n.form.axes)
    if isinstance(n.form, g.ArgReduce):
        return n.form.axis == n.args[0].ndim - 1
    return True


def spreads_or_renames(n: g.Node) -> bool:
    """Whether n repeats or renames its operand's elements: the operand is kept in its place."""
    return isinstance(n.form, g.Reshape | g.Broadcast)


def is_view(n: g.Node) -> bool:
    """Whether n is only another view of memory."""
    return isinstance(n.form, (g.Reshape, g.Transpose, g.Broadcast, g.Slice, g.Reverse, g.Const))


def is_index(n: g.Node, users: Sequence[g.Node]) -> bool:
    """Whether a concatenation is the index vectors of gathers, component by component."""
    if n.form.dim != n.ndim - 1 or any(a.shape[-1] != 1 for a in n.args):
        return False
    if len(n.args) > 8 or not all(isinstance(user.form, g.Gather) for user in users):
        return False
    vectors = n.size // n.shape[-1]
    once = all(user.size == vectors for user in users)  # an element for each vector
    return once or cone_cost(n) <= 16 * CHEAP


def read_in_place(n: g.Node, users: Sequence[g.Node], homes: Any) -> bool:
    """Whether a concatenation is read where its pieces stand: few and cheap ones, and long ones if
    they lie one after the other along the last axis, by strips along that axis
    (docs/why/joined-in-place.md).
    """
    if any(cone_cost(a) > CHEAP for a in n.args) or origins(n) > MOST_READ:
        return False
    if n.form.dim == n.ndim - 1 and n.shape[-1] < LEAST_RUN * len(n.args):
        return False
    if any(isinstance(u.form, g.Reshape | g.Window) for u in users):
        return False
    return not any(_read_turned(n, group.space, dims) for group, dims in homes.values())


def _read_turned(n: g.Node, space: tuple[int, ...], dims: DimMap) -> bool:
    """Whether the last axis of a space is one of n's, but not its last: strips that take turned
    tiles of an array in memory (`tiles`).
    """
    last, own = (max((k for k, m in enumerate(x) if m > 1), default=-1) for x in (space, n.shape))
    return last in (d for k, d in enumerate(dims) if k != own and n.shape[k] > 1)


def origins(n: g.Node, depth: int = 6) -> int:
    """From how many places an element of n may come, through concatenations of such."""
    if depth == 0 or not isinstance(n.form, (g.Map, g.Concat, *VIEWS)):
        return 1
    below = [origins(a, depth - 1) for a in dict.fromkeys(n.args) if a.size > 1]
    return sum(below) if isinstance(n.form, g.Concat) else max(below, default=1)


def own_cost(n: g.Node) -> float:
    if isinstance(n.form, g.Map):
        return scalar.cost(n.form.op)
    if isinstance(n.form, g.Get) and isinstance(n.args[0].form, g.Bits):
        return 100.0
    if isinstance(n.form, (*FOLDS, Product)):
        return 1000.0
    return 0.0


def cone_cost(n: g.Node, depth: int = 6) -> float:
    """Flops to compute n from what surely stands in memory, cut off at a small depth."""
    total = own_cost(n)
    if depth == 0 or total > CHEAP:
        return total + (CHEAP if depth == 0 and n.args else 0)
    if isinstance(n.form, g.Gather):
        return 4.0 + sum(cone_cost(a, depth - 1) for a in n.args[1:])
    return total + sum(cone_cost(a, depth - 1) for a in n.args if not isinstance(a.form, g.Input))


def path_costs(nodes: Sequence[g.Node]) -> dict[int, float]:
    """Flops of each node by id, what it needs counted once a path: as if each reader computed it.
    What folds, or is no part of a nest, counts as memory.
    """
    costs: dict[int, float] = {}
    for n in nodes:
        if n.outs is not None or isinstance(n.form, (*FOLDS, Product, g.Get)):
            costs[id(n)] = 0.0
        else:
            below = {id(a): costs.get(id(a), 0.0) for a in n.args}
            costs[id(n)] = own_cost(n) + sum(below.values())
    return costs


def cone_to(x: g.Node, form: type) -> list[g.Node]:
    """The one node of a form that x follows element by element, and all that is between; empty if
    there is none, or too much.
    """
    found: dict[int, g.Node] = {}
    last: list[g.Node] = []
    todo = [x]
    while todo:
        n = todo.pop()
        if id(n) in found or isinstance(n.form, g.Broadcast) or not n.args:
            continue
        found[id(n)] = n
        if isinstance(n.form, form):
            last.append(n)
        elif isinstance(n.form, g.Map | g.Reshape | g.Transpose) and len(found) <= MOST_BETWEEN:
            todo += [a for a in n.args if a.size == x.size]
        else:
            return []
    return [*last, *(n for n in found.values() if n is not last[0])] if len(last) == 1 else []


def windows_of_rows(w: g.Node, n: g.Node) -> bool:
    """Whether windows of a product's size lie side by side in its rows, and so few rows are one
    that its tiles hold whole windows. It must read its rows by a table.
    """
    form, x, tile = w.form, w.args[0], n.form
    together = prod(form.size)
    plain = form.size == form.strides and not any(map(any, form.padding))
    plain = plain and not any(a % k for a, k in zip(x.shape, form.size, strict=True))
    plain = plain and max(*form.base_dilation, *form.window_dilation) == 1
    columns = any(a == n.shape[-1] and k == 1 for a, k in zip(x.shape, form.size, strict=True))
    rows = tile.a.lane is None and not tile.streamed and tile.rows % together == 0
    return plain and columns and rows and together > 1 and x.size == n.size


def column_dims(n: g.Node, space: tuple[int, ...], dims: DimMap) -> DimMap | None:
    """Where the operand of a fold over outer axes lies in a space that folds each column where it
    is used: a space of what the fold leaves, or of the operand. None where that does not pay.
    """
    x = n.args[0]
    if None in dims or not isinstance(n.form, g.Reduce | g.ArgReduce):
        return None
    axes = g.fold_axes(n)
    long = prod(x.shape[k] for k in axes) > COLUMN
    if x.ndim - 1 in axes or x.shape[-1] < SHORT or long:
        return None
    if n.size < LEAST_COLUMNS and x.size > LEAST_COLUMNS * SHORT:
        return None
    rest = [d for d in range(len(space)) if d not in dims and space[d] > 1]
    if rest and [space[d] for d in rest] != [x.shape[k] for k in axes]:
        return None
    kept, folded = iter(dims), iter(rest or (None,) * len(axes))
    found = tuple(next(folded) if k in axes else next(kept) for k in range(x.ndim))
    order = [d for d in found if d is not None]
    return found if order == sorted(set(order)) else None


def operand_dims(user: g.Node, n: g.Node, dims: DimMap) -> DimMap:
    """Where n's axes lie in the space when `user`'s axes lie at `dims`."""
    form = user.form
    if isinstance(form, g.Transpose):
        out: list[int | None] = [None] * n.ndim
        for k, p in enumerate(form.perm):
            out[p] = dims[k]
        return tuple(out)
    if isinstance(form, g.Broadcast):
        return (
            tuple(dims[d] if n.shape[k] > 1 else None for k, d in enumerate(form.dims))
            if n.size > 1
            else (None,) * n.ndim
        )
    if isinstance(form, g.Reshape):
        return _reshape_dims(user.shape, n.shape, dims)
    if isinstance(form, g.Reduce | g.ArgReduce):
        axes = g.fold_axes(user)
        kept = iter(dims)
        return tuple(None if k in axes else next(kept) for k in range(n.ndim))
    if isinstance(form, g.Map | g.CumScan):
        return dims
    if isinstance(form, g.Slice) and n.ndim == len(dims):
        return tuple(d if n.shape[k] == user.shape[k] else None for k, d in enumerate(dims))
    if isinstance(form, g.Pad) and n.ndim == len(dims):  # one that shifts may keep the extent
        same = (a == b and not lo for a, b, lo in zip(n.shape, user.shape, form.low))
        same = (s and not hi for s, hi in zip(same, form.high))
        return tuple(d if s else None for s, d in zip(same, dims))
    if isinstance(form, BlockReduce):
        return tuple(range(n.ndim))
    if isinstance(form, Packed):
        return dims[:-1]
    if (isinstance(form, g.DynamicUpdate | Dealt) and n is user.args[1]) or (
        spreads(user) and n is user.args[0]
    ):
        return tuple(range(n.ndim))
    return (None,) * n.ndim


def read_elsewhere(n: g.Node, dims: DimMap) -> bool:
    """Whether n, read with its axes at `dims` of a space, is not read at its own place in it."""
    covered = [d for d in dims if d is not None]
    return (None in dims and n.size > 1) or covered != sorted(set(covered))


def _reshape_dims(out: tuple[int, ...], inner: tuple[int, ...], dims: DimMap) -> DimMap:
    """Axes that a reshape leaves alone keep their place: those at equal stride and extent."""
    places = {}
    step = 1
    for k in range(len(out) - 1, -1, -1):
        if out[k] > 1:
            places[(step, out[k])] = dims[k]
        step *= out[k]
    found: list[int | None] = [None] * len(inner)
    step = 1
    for k in range(len(inner) - 1, -1, -1):
        found[k] = places.get((step, inner[k])) if inner[k] > 1 else None
        step *= inner[k]
    return tuple(found)


def leaves(n: g.Node, stored: set[int]) -> list[g.Node]:
    """Inputs and stored nodes that n reads through inlined ones; at most a few dozen steps."""
    found: list[g.Node] = []
    todo, seen = list(n.args), 0
    while todo and seen < 64:
        a = todo.pop()
        seen += 1
        if isinstance(a.form, g.Input | Product) or id(a) in stored:
            found.append(a)
        elif not isinstance(a.form, g.Const):
            todo.extend(a.args)
    return found


def stored_reads(nodes: Sequence[g.Node], stored: set[int]) -> list[g.Node]:
    """Every stored node among these, and that computing the others reads."""
    found, todo, seen = [], list(nodes), set()
    while todo:
        a = todo.pop()
        if id(a) in seen:
            continue
        seen.add(id(a))
        if id(a) in stored or isinstance(a.form, SINGLE):
            found.append(a)
        else:
            todo.extend(a.args)
    return found


def has_effect(n: g.Node) -> bool:
    return isinstance(n.form, g.Opaque) and n.form.effect


def describe(n: g.Node) -> str:
    form = n.form
    name = (
        form.op if isinstance(form, g.Map | g.Reduce | g.ArgReduce) else type(form).__name__.lower()
    )
    return f"{name} {n.dtype.name}{list(n.shape)}" + (f" at {n.tag}" if n.tag else "")
