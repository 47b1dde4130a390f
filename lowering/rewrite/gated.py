"""Gated: an update that is made sometimes is made always, of places beyond the end if it is not.

In: `select(p, update of x, x)`, which batched loops make of every array they carry, since lanes
that have ended keep what they have; and a Cond that has an update of x in one branch and x in
another. Out: an update of x, of which places are chosen: those beyond its end are dropped. No pass
goes over x, which may then be written in place: a trajectory of N steps costs O(1) a step
(docs/why/loops-in-a-kernel.md). What has few elements a lane stays: a kernel holds these itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from lowering import graph as g
from lowering.build.env import MAX_STATE, MAX_VECTORS
from lowering.walk import users_of

Users = dict[int, list[g.Node]]
Test = tuple[g.Node, tuple[int, ...]]
"""A predicate without the axes that it is spread over, and which axes its own are."""


def rewrite(b: g.Builder, n: g.Node, args: tuple[g.Node, ...], users: Users) -> g.Node | None:
    """The update that `n`, a select with the rebuilt operands `args`, is; None where it is none.
    `users`: of the nodes of the graph that n is in.
    """
    if n.form.op != "select":
        return None
    p, yes, no = args
    found = _varies(b, p)
    if found is None or prod(found[0].shape) * (MAX_VECTORS if found[1] else MAX_STATE) >= n.size:
        return None
    for made, x, original, wanted in ((yes, no, n.args[1], True), (no, yes, n.args[2], False)):
        if made is x or _reads(made) is None:
            continue
        gated = _gated(b, made, original, x, found, wanted, users)
        if gated is not None:
            return gated
    return None


def _reads(made: g.Node) -> g.Node | None:
    """The array that an update updates."""
    return made.args[0] if isinstance(made.form, g.Scatter | g.DynamicUpdate) else None


def _gated(
    b: g.Builder, made: g.Node, original: g.Node, x: g.Node, p: Test, wanted: bool, users: Users
) -> g.Node | None:
    """`made`, updates of x one upon the other that nothing else reads, where p is `wanted`."""
    below = _reads(made)
    if below is None or _large(made) or len(users.get(id(original), ())) != 1:
        return None
    if below is not x:
        first = _first(original)
        if first is None or len(users.get(id(first), ())) != 1:
            return None
        below = _gated(b, below, first.args[0], x, p, wanted, users)
        if below is None:
            return None
    if isinstance(made.form, g.DynamicUpdate):
        return _window(b, made, below, p, wanted)
    return _places(b, made, below, p, wanted)


def _large(made: g.Node) -> bool:
    """Whether to choose its places is no less than a pass over what is updated."""
    return 4 * sum(a.size for a in made.args[1:]) > made.size


def _first(n: g.Node) -> g.Node | None:
    """The update that n is, or became: a select of one update."""
    while isinstance(n.form, g.Map) and n.form.op == "select":
        arms = [a for a in n.args[1:] if isinstance(a.form, g.Map) or _reads(a) is not None]
        if len(arms) != 1:
            return None
        n = arms[0]
    return n if _reads(n) is not None else None


def _chosen(b: g.Builder, p: g.Node, wanted: bool, x: g.Node, other: g.Node) -> g.Node:
    return b.select(p, x, other) if wanted else b.select(p, other, x)


def _varies(b: g.Builder, p: g.Node) -> Test | None:
    if isinstance(p.form, g.Const):
        return None
    if isinstance(p.form, g.Broadcast):
        inner, dims = p.args[0], p.form.dims
        own = tuple(d for m, d in zip(inner.shape, dims, strict=True) if m == p.shape[d])
        if any(m not in (1, p.shape[d]) for m, d in zip(inner.shape, dims)):
            return None
        return b.reshape(inner, tuple(p.shape[d] for d in own)), own
    return p, tuple(range(p.ndim))


def _places(b: g.Builder, made: g.Node, x: g.Node, p: Test, wanted: bool) -> g.Node | None:
    found = _dropping(b, made)
    spread = None if found is None else _by_update(b, found, p)
    if found is None or spread is None:
        return None
    f, (_, indices, updates) = found.form, found.args
    nowhere = b.const(int(np.iinfo(indices.dtype).max), indices.dtype, indices.shape)
    indices = _chosen(b, spread, wanted, indices, nowhere)
    return b.node(f, (x, indices, updates), made.shape, made.dtype)


def _by_update(b: g.Builder, made: g.Node, p: Test) -> g.Node | None:
    """The predicate for each of the updates, in the shape of their indices: along an axis that they
    have in common with x it is the same, along one that a component goes along it is looked up.
    """
    (inner, dims), f, indices = p, made.form, made.args[1]
    if set(dims) <= set(f.x_batch):
        axes = tuple(f.index_batch[f.x_batch.index(d)] for d in dims)
        return b.broadcast(inner, indices.shape, axes) if list(axes) == sorted(axes) else None
    if len(dims) != 1 or dims[0] not in f.start_map or _window_sizes(made)[dims[0]] != 1:
        return None
    k, lead = f.start_map.index(dims[0]), indices.shape[:-1]
    place = b.slice(indices, (*(0 for _ in lead), k), (*lead, k + 1))
    if f.wrap:
        place = _from_the_end(b, place, [made.shape[dims[0]]])
    form = g.Gather((1,), (), (0,), (0,), (), (), "clip")
    return b.broadcast(b.gather(inner, place, lead, form), indices.shape, range(len(lead)))


def _dropping(b: g.Builder, made: g.Node) -> g.Node | None:
    """The Scatter such that the largest index is dropped; None where it is one of x's."""
    f, (x, indices, updates) = made.form, made.args
    sizes = _window_sizes(made)
    highs = [x.shape[k] - sizes[k] for k in f.start_map]
    if not highs or min(highs) < 0 or max(highs) >= np.iinfo(indices.dtype).max:
        return None
    if f.mode == "drop":
        return made
    if f.wrap:
        indices = _from_the_end(b, indices, [x.shape[k] for k in f.start_map])
    form = replace(f, mode="drop", wrap=False)
    return b.node(form, (x, _inside(b, indices, highs), updates), made.shape, made.dtype)


def _from_the_end(b: g.Builder, indices: g.Node, ends: list[int]) -> g.Node:
    """Indices of which negative ones counted from the end, each component from its own."""
    zero = b.const(0, indices.dtype, indices.shape)
    moved = b.map("add", indices, _by_component(b, indices, ends))
    return b.select(b.map("lt", indices, zero), moved, indices)


def _inside(b: g.Builder, indices: g.Node, highs: list[int]) -> g.Node:
    """Indices moved inside, each component by its own end."""
    low = b.map("max", indices, b.const(0, indices.dtype, indices.shape))
    return b.map("min", low, _by_component(b, indices, highs))


def _by_component(b: g.Builder, indices: g.Node, numbers: list[int]) -> g.Node:
    """A number for each component of the indices, which lie along their last axis."""
    shape, dtype, last = indices.shape, indices.dtype, indices.ndim - 1
    found = b.const(numbers[0], dtype, shape)
    for j, number in enumerate(numbers[1:], 1):
        here = b.map("eq", b.iota(shape, last, dtype), b.const(j, dtype, shape))
        found = b.select(here, b.const(number, dtype, shape), found)
    return found


def _window_sizes(made: g.Node) -> dict[int, int]:
    """Elements of an update's window along each axis of what is updated."""
    f, updates = made.form, made.args[2]
    own = [k for k in range(made.ndim) if k not in f.inserted and k not in f.x_batch]
    found = {k: updates.shape[d] for k, d in zip(own, f.window_dims, strict=True)}
    return dict.fromkeys(range(made.ndim), 1) | found


def _window(b: g.Builder, made: g.Node, x: g.Node, p: Test, wanted: bool) -> g.Node | None:
    """One window for all: what stands there is written again."""
    if p[0].size != 1:
        return None
    _, update, *starts = made.args
    old = b.node(g.DynamicSlice(made.form.fits), (x, *starts), update.shape, update.dtype)
    test = b.broadcast(b.reshape(p[0], ()), update.shape, ())
    new = _chosen(b, test, wanted, update, old)
    return b.node(made.form, (x, new, *starts), made.shape, made.dtype)


# ---------------------------------------------------------------- branches


def branches(b: g.Builder, n: g.Node, args: tuple[g.Node, ...]) -> tuple[g.Node, ...] | None:
    """The results of a Cond with rebuilt branches and operands, if some are updates of operands
    that leave it; else None.
    """
    graphs = n.form.branches
    users = [users_of(x.nodes()) for x in graphs]
    outs = [list(x.outputs) for x in graphs]
    kept: list[list[g.Node]] = [[] for _ in graphs]
    places: list[tuple[int, g.Node | None, int, int]] = []  # of each result, what to make of it
    for k in range(len(outs[0])):
        made = _leaving(n, graphs, users, [x[k] for x in outs])
        first = len(kept[0])
        form, operand, parts = made or (None, 0, [[x[k]] for x in outs])
        for mine, more in zip(kept, parts, strict=True):
            mine += more
        places.append((operand, form, first, len(kept[0])))
    if all(form is None for _, form, *_ in places):
        return None
    new = [g.Graph(x.inputs, tuple(mine), x.effects) for x, mine in zip(graphs, kept, strict=True)]
    results = b.cond(args[0], new, args[1:])
    return tuple(
        results[first]
        if form is None
        else b.node(form.form, (args[1 + k], *results[first:last]), form.shape, form.dtype)
        for k, form, first, last in places
    )


Leaving = tuple[g.Node, int, list[list[g.Node]]]
"""A node like the update, the operand's number, and by branch what else the update takes."""


def _leaving(
    n: g.Node, graphs: Sequence[g.Graph], users: Sequence[Users], outs: list[g.Node]
) -> Leaving | None:
    """The update that is a result in some branches, the others giving its operand as it is."""
    if outs[0].size <= MAX_STATE:
        return None
    operands = {_operand(graph, x) for graph, x in zip(graphs, outs, strict=True)}
    if len(operands) != 1 or None in operands:
        return None
    (k,) = operands
    assert k is not None
    updates = [x for x in outs if _reads(x) is not None]
    if not updates or any(_reads(x) is not None and id(x) in u for x, u in zip(outs, users)):
        return None  # unchanged in all, or something else reads it
    twice = any(sum(o is x for o in graph.outputs) > 1 for graph, x in zip(graphs, outs))
    if twice or _large(updates[0]):
        return None
    b = g.Builder()
    made = [_parts(b, x) for x in outs]
    given = [m for m in made if m is not None]
    if len(given) != len(updates) or any(_kind(m) != _kind(given[0]) for m in given):
        return None
    form = given[0]
    parts = [
        list(m.args[1:]) if m is not None else _nothing(b, form, x)
        for m, x in zip(made, outs, strict=True)
    ]
    return form, k, parts


def _operand(graph: g.Graph, x: g.Node) -> int | None:
    """The number of the input that x is, or is an update of."""
    below = x if _reads(x) is None else _reads(x)
    return next((k for k, own in enumerate(graph.inputs) if own is below), None)


def _parts(b: g.Builder, x: g.Node) -> g.Node | None:
    """An update that drops what is beyond the end; None where x is no update, or cannot be one."""
    if isinstance(x.form, g.Scatter):
        return _dropping(b, x)
    return x if isinstance(x.form, g.DynamicUpdate) else None


def _kind(x: g.Node) -> tuple[Any, ...]:
    return x.form, [(a.shape, a.dtype) for a in x.args[1:]]


def _nothing(b: g.Builder, form: g.Node, x: g.Node) -> list[g.Node]:
    """What an update like `form` takes to leave x as it is."""
    if isinstance(form.form, g.Scatter):
        indices, updates = form.args[1:]
        beyond = b.const(int(np.iinfo(indices.dtype).max), indices.dtype, indices.shape)
        return [beyond, b.const(0, updates.dtype, updates.shape)]
    update, *starts = form.args[1:]
    zeros = [b.const(0, s.dtype) for s in starts]
    return [b.node(g.DynamicSlice(form.form.fits), (x, *zeros), update.shape, update.dtype), *zeros]
