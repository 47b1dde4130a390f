"""Lift: what a loop makes of its constants alone is made before it. Graph to Graph, after canon.

Packed panels, results of folds, products, factorisations and sorts, what products read, and what
costs more to compute than to read, where it is large enough that it would not stay in registers.
"""

from __future__ import annotations

from math import prod

from lowering import graph as g
from lowering import lanes
from lowering.fuse_rules import FOLDS, VIEWS, own_cost
from lowering.rewrite.deal import Deal
from lowering.rewrite.product import Packed, Product
from lowering.walk import users_of, with_loops

MIN_LIFTED = 256  # elements, read or made; what is smaller stays in registers
MIN_COST = 14.0  # flops an element of what is read instead: an exponential
IN_REGISTERS = 160  # numbers a lane, of a loop that may be one kernel
DEEPEST = 400  # nodes that are looked at below one

SEEN_THROUGH = (*VIEWS, g.Concat)


def lift(graph: g.Graph) -> g.Graph:
    """The graph with such work moved out of its loops, inner ones first."""
    return with_loops(graph, lift, _lifted)


def _lifted(b: g.Builder, loop: g.Node) -> list[g.Node] | None:
    f: g.Loop = loop.form
    outside: dict[int, g.Node] = {}
    for n in f.body.inputs[: f.n_consts]:
        outside[id(n)] = loop.args[f.n_cond_consts + n.form.index]
    nodes = f.body.nodes()
    for n in nodes:
        if isinstance(n.form, g.Input) or (n.outs is not None and not _several(n)):
            continue
        if all(id(a) in outside for a in n.args):
            args = tuple(outside[id(a)] for a in n.args)
            outside[id(n)] = b.node(n.form, args, n.shape, n.dtype, n.outs)
    users = users_of(nodes)
    chosen = _worth_lifting(nodes, outside, users)
    if not stays_in_registers(loop):
        chosen |= _costly(nodes, outside, users, chosen)
    lifted = _reached(f.body.outputs, chosen)
    if not lifted:
        return None
    c = g.Builder()
    new = {id(n): c.input(n.shape, n.dtype) for n in f.body.inputs[: f.n_consts]}
    new |= {id(n): c.input(n.shape, n.dtype) for n in lifted}
    new |= {id(n): c.input(n.shape, n.dtype) for n in f.body.inputs[f.n_consts :]}
    body = c.graph([_copied(c, o, new) for o in f.body.outputs])
    at = f.n_cond_consts + f.n_consts
    args = (*loop.args[:at], *(outside[id(n)] for n in lifted), *loop.args[at:])
    counts = (f.length, f.reverse, f.n_cond_consts, f.n_consts + len(lifted), f.n_carry)
    return list(b.several(g.Loop(body, f.cond, *counts), args, loop.outs))


def _several(n: g.Node) -> bool:
    """Whether a node with several outputs is a plain function of its operands."""
    return isinstance(n.form, g.Sort | g.TopK | Deal) or bool(getattr(n.form, "stage", ()))


# ---------------------------------------------------------------- what is worth it


def _worth_lifting(
    nodes: list[g.Node], outside: dict[int, g.Node], users: dict[int, list[g.Node]]
) -> set[int]:
    """Of what could be made before the loop: packed panels, results of folds, products,
    factorisations and sorts, and what products read that is more than a view.
    """
    computed: set[int] = set()  # more than views of what is given
    found = set()
    for n in nodes:
        if isinstance(n.form, (*VIEWS, g.Input, g.Const, g.Iota)):
            if any(id(a) in computed for a in n.args):
                computed.add(id(n))
        else:
            computed.add(id(n))
        if id(n) not in outside or id(n) not in computed or n.outs is not None:
            continue
        large = max(map(prod, _shapes(n))) >= MIN_LIFTED
        heavy = isinstance(n.form, (*FOLDS, Product, g.Get))
        read = any(isinstance(u.form, g.Contract | g.Conv | Product) for u in users.get(id(n), ()))
        host = isinstance(n.form, g.Get) and isinstance(n.args[0].form, g.Opaque)
        if isinstance(n.form, Packed) or host or (large and (heavy or read)):
            found.add(id(n))
    return found


def _shapes(n: g.Node) -> list[tuple[int, ...]]:
    """Of a node and its operands; of one result of several, of all that is computed with it."""
    found = [n.shape, *(a.shape for a in n.args if a.outs is None)]
    for a in n.args:
        if a.outs is not None:
            found += [*(shape for shape, _ in a.outs), *(x.shape for x in a.args)]
    return found


def stays_in_registers(loop: g.Node) -> bool:
    """Whether the loop may be one kernel of lanes: it computes what is constant once a lane."""
    width = prod(lanes.analyse(loop).extents)
    carried = sum(prod(shape) for shape, _ in (loop.outs or ())[: loop.form.n_carry])
    return width > 1 and carried <= IN_REGISTERS * width


def _costly(
    nodes: list[g.Node],
    outside: dict[int, g.Node],
    users: dict[int, list[g.Node]],
    chosen: set[int],
) -> set[int]:
    """Results of maps that only what changes reads, and that cost more than to be read."""
    met: set[int] = set()  # read, perhaps through views, by what changes
    for n in reversed(nodes):
        for u in users.get(id(n), ()):
            if id(u) not in outside or (id(u) in met and isinstance(u.form, SEEN_THROUGH)):
                met.add(id(n))
    found: set[int] = set()
    for n in nodes:
        able = id(n) in outside and id(n) in met and n.size >= MIN_LIFTED
        if able and isinstance(n.form, g.Map) and _cost(n, chosen | found) >= MIN_COST:
            found.add(id(n))
    return found


def _cost(n: g.Node, known: set[int]) -> float:
    """Flops an element of n to compute it from what is known; 0 where that is to be done late."""
    total, todo, seen = 0.0, [n], {id(n)}
    while todo and len(seen) < DEEPEST:
        x = todo.pop()
        if isinstance(x.form, g.Map) and x.form.op == "after":
            return 0.0
        total += own_cost(x) * x.size
        for a in x.args:
            if id(a) not in seen and id(a) not in known:
                seen.add(id(a))
                todo.append(a)
    return total / n.size


# ---------------------------------------------------------------- the lighter loop


def _reached(outputs: tuple[g.Node, ...], chosen: set[int]) -> list[g.Node]:
    """The chosen nodes that the outputs need, and not only through other chosen ones."""
    found: dict[int, g.Node] = {}
    seen: set[int] = set()
    todo = [*outputs]
    while todo:
        n = todo.pop()
        if id(n) in seen:
            continue
        seen.add(id(n))
        if id(n) in chosen:
            found[id(n)] = n
        else:
            todo += n.args
    return list(found.values())


def _copied(c: g.Builder, node: g.Node, new: dict[int, g.Node]) -> g.Node:
    """The node rebuilt on the new nodes that are known."""
    for n in g.toposort((node,)):
        if id(n) not in new and not isinstance(n.form, g.Input):
            args = tuple(new.get(id(a), a) for a in n.args)
            new[id(n)] = c.node(n.form, args, n.shape, n.dtype, n.outs)
    return new[id(node)]
