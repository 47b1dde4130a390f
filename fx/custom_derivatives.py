"""`fx.custom_derivatives`: the classes and helpers of custom differentiation rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx import core
from fx.custom import CustomVJPPrimal as CustomVJPPrimal
from fx.custom import closure_convert as closure_convert
from fx.custom import custom_gradient as custom_gradient
from fx.custom import custom_jvp as custom_jvp
from fx.custom import custom_vjp as custom_vjp
from fx.custom_rules import CustomRules, custom_lin_p, linear_map
from fx.custom_rules import SymbolicZero as SymbolicZero
from fx.custom_rules import custom_jvp_call_p as custom_jvp_call_p
from fx.custom_rules import custom_vjp_call_p as custom_vjp_call_p
from fx.custom_rules import zero_from_primal as zero_from_primal
from fx.flatten import flatten_function, name_of
from fx.tree_util import tree_flatten, tree_map


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """The values of a tree of CustomVJPPrimal, which `fwd` gets with symbolic_zeros=True."""
    return tree_map(lambda x: x.value, tree)


class _LinearRules(CustomRules):
    """A linear function given with its transpose."""

    has_jvp = has_vjp = recordable = True

    def __init__(self, fun: Any, transpose: Any, res_tree: Any, lin_tree: Any):
        self.fun, self.transpose = fun, transpose
        self.res_tree, self.lin_tree = res_tree, lin_tree
        self.name, self.owner = name_of(fun), self
        self.n = res_tree.num_leaves

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        residuals = self.res_tree.unflatten(primals[: self.n])
        linear = self.lin_tree.unflatten(map(core.instantiate, tangents[self.n :]))
        outs, self.out_tree = tree_flatten(self.fun(residuals, linear))
        return outs, outs

    def bwd(self, key: Any, residuals: Any, cts: Any, avals: Any) -> list[Any]:
        ct = self.out_tree.unflatten(map(core.instantiate, cts))
        result = self.transpose(self.res_tree.unflatten(residuals), ct)
        flat, tree = tree_flatten(result)
        if tree != self.lin_tree:
            raise TypeError(
                f"linear_call: the transpose of {self.name} returned a tree of structure {tree}, "
                "the linear "
                f"arguments have structure {self.lin_tree}"
            )
        return [core.Zero(a.to_tangent_aval()) for a in avals[: self.n]] + flat


def linear_call(
    fun: Callable[[Any, Any], Any],
    fun_transpose: Callable[[Any, Any], Any],
    residual_args: Any,
    linear_args: Any,
) -> Any:
    """fun(residual_args, linear_args), linear in the second, with the user's transpose.

    `fun_transpose(residual_args, ct)` returns cotangents of linear_args.
    """
    residuals, res_tree = tree_flatten(residual_args)
    linear, lin_tree = tree_flatten(linear_args)
    rules = _LinearRules(fun, fun_transpose, res_tree, lin_tree)
    flat_fun, out = flatten_function(lambda r, x: fun(r, x), _pair(residual_args, linear_args))
    avals = [core.get_aval(x) for x in (*residuals, *linear)]
    closed = core.close(flat_fun, avals)
    rules.out_tree = out.tree
    parameter = linear_map(rules, avals, len(residuals), closed.out_avals)
    outs = custom_lin_p.bind(
        *residuals,
        *residuals,
        *[core.instantiate(core.Zero.like(x)) for x in linear],
        *linear,
        linear=parameter,
        num_res=len(residuals),
        num_primals=len(residuals) + len(linear),
    )
    return out.tree.unflatten(outs)


def _pair(residual_args: Any, linear_args: Any) -> Any:
    return tree_flatten((residual_args, linear_args))[1]
