"""`fx.interpreters.mlir`: lowering rules of a user's primitives, written as functions of arrays.

A primitive lowers to kernels through the operations that the function is made of; there is no MLIR
beneath, so a primitive whose rule builds MLIR operations cannot be compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Primitive
from fx.errors import NoRuleError
from fx.lower import lower_closed

__all__ = ["LoweringRuleContext", "lower_fun", "register_lowering"]


@dataclass(frozen=True)
class LoweringRuleContext:
    """What a lowering rule is told: its primitive and the types of the operands."""

    primitive: Primitive
    avals_in: Sequence[ShapedArray]


class FunctionLowering:
    """A lowering rule made of a function of arrays; `lower_fun` makes it."""

    def __init__(self, fun: Callable[..., Any], multiple_results: bool):
        self.fun, self.multiple_results = fun, multiple_results

    def __call__(self, b: Any, *nodes: Any, **params: Any) -> Any:
        """The nodes of the function's outputs."""
        avals = [ShapedArray(n.shape, np.dtype(n.dtype)) for n in nodes]

        def flat(*args: Any) -> list[Any]:
            out = self.fun(*args, **params)
            return list(out) if self.multiple_results else [out]

        outs = lower_closed(b, core.close(flat, avals), *nodes)
        return outs if self.multiple_results else outs[0]


def lower_fun(fun: Callable[..., Any], multiple_results: bool = True) -> FunctionLowering:
    """A lowering rule from a function of arrays: fun(*operands, **params)."""
    return FunctionLowering(fun, multiple_results)


def register_lowering(
    prim: Primitive,
    rule: Any = None,
    platform: str | None = None,
    inline: bool = True,
    cacheable: bool = True,
) -> Any:
    """Say how a primitive lowers: `rule` comes from `lower_fun`, or hands operands on as they are:
    `lambda context, x, y: [x]`, of a primitive that only marks values. With a rule that builds MLIR
    the primitive runs outside jit only; compiling it raises NoRuleError.
    """
    if rule is None:
        return lambda r: register_lowering(prim, r, platform, inline, cacheable)
    if isinstance(rule, FunctionLowering):
        prim.set(lower=rule)
    elif not isinstance(prim.lower, FunctionLowering):
        prim.set(lower=_HandingOn(prim, rule))
    return rule


class _HandingOn:
    """A rule written for MLIR, of which only the operands are known: it may hand these on."""

    def __init__(self, prim: Primitive, rule: Callable[..., Any]):
        self.prim, self.rule = prim, rule

    def __call__(self, b: Any, *nodes: Any, **params: Any) -> Any:
        avals = [ShapedArray(n.shape, np.dtype(n.dtype)) for n in nodes]
        cause: Exception | None = None
        try:
            outs = [*self.rule(LoweringRuleContext(self.prim, avals), *nodes, **params)]
        except Exception as e:  # whatever a rule raises that finds no MLIR
            outs, cause = [None], e
        if all(any(o is n for n in nodes) for o in outs):
            return outs if self.prim.multiple_results else outs[0]
        raise NoRuleError(
            f"primitive '{self.prim.name}' has no lower rule: its lowering rule builds MLIR, and "
            "kernels are OpenCL. Write it as a function of arrays: register_lowering(p, "
            "lower_fun(f, multiple_results=False)), or use fx.opencl_call for a kernel of your own."
        ) from cause
