"""Alternate: several steps in one of a counted loop whose arrays change places. Graph to Graph.

`(b.at[i].set(v), a)` from `(a, b)`, or `(2 * u - p + laplacian(u), u)` from `(u, p)`: a carry
becomes another one, unchanged, so each step would copy it. After two steps (three for a history of
three) no array is only handed on: updates are made in place, and a step moves what it computes.
Steps that are left over are made before the loop.
"""

from __future__ import annotations

from lowering import graph as g
from lowering.rewrite.lift import stays_in_registers
from lowering.walk import copied, row, with_loops

MIN_MOVED = 256
"""Elements of an array whose copies are worth a longer body."""

MOST_STEPS, MOST_NODES = 4, 240
"""Of a body that is written several times."""


def alternate(graph: g.Graph) -> g.Graph:
    """The graph with such loops taking several steps at a time, inner ones first."""
    return with_loops(graph, alternate, _in_turns)


def _in_turns(b: g.Builder, loop: g.Node) -> list[g.Node] | None:
    f: g.Loop = loop.form
    turns = _turns(f)
    if turns < 2 or f.length < 2 * turns or stays_in_registers(loop):
        return None
    consts = loop.args[: f.n_consts]
    carry = list(loop.args[f.n_consts : f.n_consts + f.n_carry])
    xs = loop.args[f.n_consts + f.n_carry :]
    left = f.length % turns
    whole = f.length - left
    ahead = range(left) if not f.reverse else range(f.length - 1, whole - 1, -1)
    carry, rows = _steps(b, f, consts, carry, xs, ahead)
    low = 0 if f.reverse else left
    groups = []
    for x in xs:
        starts, limits = (low, *(0 for _ in x.shape[1:])), (low + whole, *x.shape[1:])
        groups.append(b.reshape(b.slice(x, starts, limits), (whole // turns, turns, *x.shape[1:])))
    body = _body(f, turns)
    outs = b.loop(body, consts, carry, groups, length=whole // turns, reverse=f.reverse)
    ys = []
    for made, y in zip(rows, outs[f.n_carry :]):
        parts = [b.reshape(y, (whole, *y.shape[2:])), *made]
        ys.append(b.concat(parts if f.reverse else [*made, parts[0]], 0))
    return [*outs[: f.n_carry], *ys]


def _turns(f: g.Loop) -> int:
    """After how many steps no large carry is what another one was; 1 where none is."""
    nodes = f.body.nodes()
    if f.cond is not None or any(isinstance(n.form, g.Loop | g.Cond | g.Opaque) for n in nodes):
        return 1
    number = {id(n): k for k, n in enumerate(f.body.inputs[f.n_consts :][: f.n_carry])}
    source = {k: number.get(id(o), k) for k, o in enumerate(f.body.outputs[: f.n_carry])}
    turns = 1
    for k, o in enumerate(f.body.outputs[: f.n_carry]):
        chain = [k]
        while source[chain[-1]] not in chain:
            chain.append(source[chain[-1]])
        if o.size >= MIN_MOVED:
            turns = max(turns, len(chain))
    return turns if turns <= MOST_STEPS and turns * len(nodes) <= MOST_NODES else 1


def _body(f: g.Loop, turns: int) -> g.Graph:
    """The body of so many steps."""
    b = g.Builder()
    n = f.n_consts + f.n_carry
    given = [b.input(x.shape, x.dtype) for x in f.body.inputs[:n]]
    groups = [b.input((turns, *x.shape), x.dtype) for x in f.body.inputs[n:]]
    order = range(turns - 1, -1, -1) if f.reverse else range(turns)
    carry, rows = _steps(b, f, given[: f.n_consts], given[f.n_consts :], groups, order)
    return b.graph([*carry, *(b.concat(made, 0) for made in rows)])


def _steps(b: g.Builder, f: g.Loop, consts, carry, xs, order) -> tuple[list, list[list]]:
    """The carry after these steps, and for each stacked result their rows, as they stand."""
    rows: list[list[g.Node]] = [[] for _ in f.body.outputs[f.n_carry :]]
    for t in order:
        outs = copied(b, f.body, [*consts, *carry, *(row(b, x, t) for x in xs)])
        carry = outs[: f.n_carry]
        for made, y in zip(rows, outs[f.n_carry :]):
            made.append(b.reshape(y, (1, *y.shape)))
    return list(carry), [made[::-1] if f.reverse else made for made in rows]
