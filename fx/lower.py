"""Jaxpr to Graph: run the lower rules, with jaxprs inside jaxprs inlined or turned into sub-graphs.

In: a closed jaxpr without dead code. Out: Graph nodes. Array constants become operands, never
folded. One rule call an equation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx.avals import storage_dtype
from fx.core import ClosedJaxpr, Jaxpr, Literal
from lowering.graph import Builder, Graph, Node


def lower_eqns(
    b: Builder, jaxpr: Jaxpr, consts: Sequence[Node], args: Sequence[Node]
) -> list[Node]:
    """The nodes of the jaxpr's outputs, given the nodes of its constants and arguments."""
    env: dict[Any, Node] = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Node:
        if isinstance(atom, Literal):
            return b.const(atom.val, atom.aval.dtype)
        return env[atom]

    for eqn in jaxpr.eqns:
        b.tag = _label(eqn.source)
        out = eqn.primitive.rule("lower")(b, *map(read, eqn.invars), **eqn.params)
        for v, o in zip(
            eqn.outvars, out if eqn.primitive.multiple_results else (out,), strict=True
        ):
            assert (o.shape, o.dtype) == (v.aval.shape, storage_dtype(v.aval.dtype)), (
                eqn.primitive,
                o,
                v.aval,
            )
            env[v] = o
    return [read(v) for v in jaxpr.outvars]


def _label(source: Any) -> str | None:
    """What explain and profiles call an equation's kernel: its named scopes and the user's line."""
    if source is None:
        return None
    return f"{source.scope} {source}" if source.scope else str(source)


def lower_closed(b: Builder, closed: ClosedJaxpr, *args: Node) -> list[Node]:
    """Inline a closed jaxpr whose constants, if any, are scalars or arrays known now."""
    return lower_eqns(b, closed.jaxpr, [constant(b, c) for c in closed.consts], args)


def constant(b: Builder, value: Any) -> Node:
    """A scalar constant; arrays of any size must have been hoisted to arguments before."""
    a = np.asarray(value)
    if a.ndim:
        raise AssertionError(
            "an array constant reached lowering; it has to be hoisted to an argument"
        )
    return b.const(a, a.dtype)


def subgraph(b: Builder, closed: ClosedJaxpr) -> Graph:
    """The closed jaxpr as a Graph of its own: the body of a Loop, a branch of a Cond."""
    child = Builder()
    args = [child.input(a.shape, storage_dtype(a.dtype)) for a in closed.in_avals]
    return child.graph(lower_closed(child, closed, *args))
