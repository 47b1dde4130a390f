"""fx.lax.composite: a named operation with the meaning of a function, kept as one jit equation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from fx import core
from fx.errors import UnexpectedTracerError
from fx.lax.carry import trace_flat
from fx.tree_util import tree_flatten, tree_leaves

__all__ = ["composite"]


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """The function `decomposition` as one operation called `name` in jaxprs.

    Positional arguments are its operands, keyword arguments its static attributes. All
    transformations go through the decomposition. `version` is accepted for JAX's sake.

    >>> import fx, fx.lax as lax
    >>> tangent = lax.composite(lambda x: lax.sin(x) / lax.cos(x), "my.tangent")
    >>> float(tangent(0.0))
    0.0
    """

    @wraps(decomposition)
    def named(*args: Any, **attributes: Any) -> Any:
        if any(isinstance(leaf, core.Tracer) for leaf in tree_leaves(attributes)):
            raise UnexpectedTracerError(
                f"Found a traced value as an attribute of the composite {name!r}: attributes "
                "(keyword arguments) are static. Pass it as a positional argument."
            )
        leaves, tree = tree_flatten(args)
        avals = [core.get_aval(leaf) for leaf in leaves]
        traced = trace_flat(partial(decomposition, **attributes), tree, avals)
        jit_p = core.PRIMITIVES["jit"]
        operands = [*traced.consts, *leaves]
        outs = jit_p.bind(
            *operands,
            jaxpr=traced.jaxpr,
            name=name,
            donated=(False,) * len(operands),
            inline=False,
            keep_unused=False,
        )
        return traced.out_tree.unflatten(outs)

    return named
