"""Walks over graphs that several stages make: who reads a node, and the graphs inside a form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lowering.graph import Broadcast, Builder, Cond, Get, Graph, Loop, Node, Reshape


def users_of(nodes: Iterable[Node]) -> dict[int, list[Node]]:
    """By a node's id, the nodes that read it, once for each time they do."""
    users: dict[int, list[Node]] = {}
    for n in nodes:
        for a in n.args:
            users.setdefault(id(a), []).append(n)
    return users


def renamed(n: Node) -> Node | None:
    """The operand whose memory, row by row, is n's: of a reshape, and where axes of extent one are
    put in between. None for others.
    """
    form = n.form
    same = isinstance(form, Broadcast) and list(form.dims) == sorted(form.dims)
    if isinstance(form, Reshape) or (same and n.args[0].size == n.size):
        return n.args[0]
    return None


def inner_graphs(form: Any) -> tuple[Graph, ...]:
    """The branches of a Cond; the body and, if it has one, the condition of a Loop."""
    if isinstance(form, Cond):
        return form.branches
    if isinstance(form, Loop):
        return (form.body,) if form.cond is None else (form.body, form.cond)
    return ()


def with_inner(form: Any, change: Callable[[Graph], Graph]) -> Any:
    """The form with `change` made to each graph inside it; other forms as they are."""
    if isinstance(form, Cond):
        return Cond(tuple(map(change, form.branches)))
    if isinstance(form, Loop):
        cond = None if form.cond is None else change(form.cond)
        counts = (form.length, form.reverse, form.n_cond_consts, form.n_consts, form.n_carry)
        return Loop(change(form.body), cond, *counts)
    return form


def with_loops(
    graph: Graph,
    sweep: Callable[[Graph], Graph],
    rewrite: Callable[[Builder, Node], list[Node] | None],
) -> Graph:
    """The graph with its loops rewritten, inner ones first: `sweep` is made of the graphs inside a
    form, and `rewrite` gives the results of a loop without effects, or None to leave it.
    """
    if not any(isinstance(n.form, Loop | Cond) for n in graph.nodes()):
        return graph
    b = Builder()
    new: dict[int, Any] = {id(n): b.input(n.shape, n.dtype) for n in graph.inputs}
    for n in graph.nodes():
        if id(n) in new:
            continue
        b.tag = n.tag
        args = tuple(new[id(a)] for a in n.args)
        if isinstance(n.form, Get) and isinstance(args[0], list):
            new[id(n)] = args[0][n.form.index]
            continue
        made = b.node(with_inner(n.form, sweep), args, n.shape, n.dtype, n.outs)
        if isinstance(made.form, Loop) and not made.form.body.effects:
            made = rewrite(b, made) or made
        new[id(n)] = made
    effects = tuple(new[id(e)] for e in graph.effects)
    return Graph(b.graph(()).inputs, tuple(new[id(o)] for o in graph.outputs), effects)


def copied(b: Builder, graph: Graph, args: Sequence[Node]) -> list[Node]:
    """The results of a graph, its nodes made once more, on other inputs."""
    new = {id(n): a for n, a in zip(graph.inputs, args)}
    for n in graph.nodes():
        if id(n) not in new:
            b.tag = n.tag
            new[id(n)] = b.node(n.form, [new[id(a)] for a in n.args], n.shape, n.dtype, n.outs)
    return [new[id(o)] for o in graph.outputs]


def row(b: Builder, x: Node, t: int) -> Node:
    """x[t]."""
    shape = x.shape[1:]
    found = b.slice(x, (t, *(0 for _ in shape)), (t + 1, *shape))
    return b.reshape(found, shape)
