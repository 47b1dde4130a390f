"""Layout: what one loop stacks for another (residuals of a gradient) has its lanes last in memory.

In and out: a Graph of the same meaning. A stacked output that only other loops read, slice by
slice, may lie as they like it: with the lanes along the contiguous axis a strip is one access, else
one a lane. The bodies see a transposition, which costs nothing there.
"""

from __future__ import annotations

from math import prod
from typing import Any

from lowering import graph as g
from lowering import lanes
from lowering.walk import users_of

MAX_ELEMENTS = 64  # a lane; more are no state in registers

Perm = tuple[int, ...]


def lanes_last(graph: g.Graph) -> g.Graph:
    """The graph with stacked outputs between loops laid out for their lanes."""
    chosen = _choose(graph)
    if not chosen:
        return graph
    b = g.Builder()
    new: dict[int, g.Node] = {id(n): b.input(n.shape, n.dtype) for n in graph.inputs}
    for n in graph.nodes():
        if id(n) in new:
            continue
        b.tag = n.tag
        args = tuple(new[id(a)] for a in n.args)
        if isinstance(n.form, g.Loop):
            new[id(n)] = _relaid(b, n, args, chosen)
        elif isinstance(n.form, g.Get):
            assert args[0].outs is not None
            new[id(n)] = b.node(n.form, args, *args[0].outs[n.form.index])
        else:
            new[id(n)] = b.node(n.form, args, n.shape, n.dtype, n.outs)
    effects = tuple(new[id(e)] for e in graph.effects)
    return g.Graph(b.graph(()).inputs, tuple(new[id(o)] for o in graph.outputs), effects)


def _choose(graph: g.Graph) -> dict[Any, Perm]:
    """For each stacked output that is better permuted, the order of a slice's axes."""
    nodes = graph.nodes()
    users = users_of(nodes)
    outputs = set(map(id, graph.outputs))
    known: dict[int, lanes.Lanes] = {}
    chosen: dict[Any, Perm] = {}
    for n in nodes:
        loop = n.args[0] if isinstance(n.form, g.Get) else n
        if not isinstance(loop.form, g.Loop) or loop is n or id(n) in outputs:
            continue
        if loop.form.cond is not None or n.form.index < loop.form.n_carry or n.ndim < 3:
            continue
        if not all(_reads_slices(user, n) for user in users.get(id(n), ())):
            continue
        if id(loop) not in known:
            known[id(loop)] = lanes.analyse(loop)
        axes = known[id(loop)].axes((id(loop), n.form.index), n.ndim)[1:]
        perm = _order(n.shape[1:], axes)
        if perm is not None:
            chosen[(id(loop), n.form.index)] = perm
    return chosen


def _reads_slices(user: g.Node, n: g.Node) -> bool:
    """Whether `user` is a counted loop that reads n as xs and in no other way."""
    f = user.form
    if not isinstance(f, g.Loop) or f.cond is not None:
        return False
    return all(a is not n for a in user.args[: f.n_consts + f.n_carry])


def _order(shape: tuple[int, ...], axes: tuple[int | None, ...]) -> Perm | None:
    held = [d for d, a in enumerate(axes) if a is not None]
    rest = [d for d, a in enumerate(axes) if a is None and shape[d] != 1]
    if not held or not rest or held[-1] > rest[-1]:
        return None
    if prod(shape[d] for d in rest) > MAX_ELEMENTS:
        return None
    others = [d for d in range(len(shape)) if d not in held]
    return (*others, *held)


def _relaid(b: g.Builder, loop: g.Node, args: Any, chosen: dict[Any, Perm]) -> g.Node:
    """The loop on permuted xs, with permuted ys."""
    f: g.Loop = loop.form
    c = g.Builder()
    new: dict[int, g.Node] = {}
    for n, a in zip(f.body.inputs, loop.args[f.n_cond_consts :]):
        perm = chosen.get(lanes.key_of(a)) if _is_xs(f, n) else None
        if perm is None:
            new[id(n)] = c.input(n.shape, n.dtype)
            continue
        x = c.input(tuple(n.shape[p] for p in perm), n.dtype)
        new[id(n)] = c.transpose(x, tuple(perm.index(d) for d in range(len(perm))))
    for n in f.body.nodes():
        if id(n) not in new:
            made = tuple(new[id(a)] for a in n.args)
            c.tag = n.tag
            new[id(n)] = c.node(n.form, made, n.shape, n.dtype, n.outs)
    results, shapes = [], []
    for i, (o, (shape, _)) in enumerate(zip(f.body.outputs, loop.outs or [])):
        perm = chosen.get((id(loop), i))
        y = new[id(o)]
        results.append(y if perm is None else c.transpose(y, perm))
        shapes.append(shape if perm is None else (shape[0], *(o.shape[p] for p in perm)))
    outs = tuple((shape, dtype) for shape, (_, dtype) in zip(shapes, loop.outs or []))
    effects = tuple(new[id(e)] for e in f.body.effects)
    body = g.Graph(c.graph(()).inputs, tuple(results), effects)
    counts = (f.length, f.reverse, f.n_cond_consts, f.n_consts, f.n_carry)
    return b.node(g.Loop(body, f.cond, *counts), args, outs, loop.dtype, outs)


def _is_xs(f: g.Loop, n: g.Node) -> bool:
    return n.form.index >= f.n_consts + f.n_carry
