"""`fx.interpreters.ad`: derivative rules of primitives, under JAX's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx import core
from fx.core import PRIMITIVES, Primitive
from fx.core import UndefinedPrimal as UndefinedPrimal
from fx.core import Zero as Zero
from fx.core import instantiate as instantiate_zeros
from fx.core import is_undefined as is_undefined_primal
from fx.grad import linearize as linearize
from fx.interpreters.tables import RuleTable
from fx.jvp import JVPTrace as JVPTrace
from fx.jvp import JVPTracer as JVPTracer
from fx.jvp import jvp as jvp

__all__ = ["instantiate_zeros", "is_undefined_primal"]

primitive_jvps = RuleTable("jvp")
primitive_transposes = RuleTable("transpose")
add_jaxvals_p = PRIMITIVES["add_any"]


def get_primitive_transpose(p: Primitive) -> Callable[..., Any]:
    """The transpose rule of a primitive; NotImplementedError where it has none."""
    return p.rule("transpose")


def add_tangents(x: Any, y: Any) -> Any:
    """The sum of two tangents, either of which may be a Zero."""
    if type(x) is Zero:
        return y
    return x if type(y) is Zero else core.add_values(x, y)


def zeros_like_aval(aval: Any) -> Any:
    """Zeros of a type."""
    return core.zeros_like_aval(aval)


def deflinear(p: Primitive, transpose: Callable[..., Any]) -> None:
    """Say that a primitive is linear in all operands: transpose(ct, **params) -> cotangents."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> tuple[Any, Any]:
        out = p.bind(*primals, **params)
        return out, p.bind(*map(core.instantiate, tangents), **params)

    p.set(jvp=jvp, transpose=lambda ct, *args, **params: transpose(ct, **params))


deflinear2 = deflinear


def defbilinear(p: Primitive, left: Callable[..., Any], right: Callable[..., Any]) -> None:
    """Say that a primitive is linear in each of two operands: left(ct, x, y, **params) is the
    cotangent of the first, right(ct, x, y, **params) that of the second.
    """

    def jvp(primals: Any, tangents: Any, **params: Any) -> tuple[Any, Any]:
        (x, y), (tx, ty) = primals, tangents
        out, total = p.bind(x, y, **params), None
        if type(tx) is not Zero:
            total = p.bind(tx, y, **params)
        if type(ty) is not Zero:
            part = p.bind(x, ty, **params)
            total = part if total is None else core.add_values(total, part)
        return out, Zero.like(out) if total is None else total

    def transpose(ct: Any, x: Any, y: Any, **params: Any) -> list[Any]:
        if is_undefined_primal(x):
            return [left(ct, x, y, **params), None]
        return [None, right(ct, x, y, **params)]

    p.set(jvp=jvp, transpose=transpose)


def _jvp_of(p: Primitive, tangent_out: Callable[..., Any]) -> None:
    """The rule that sums tangent_out(k, tangent, out, primals, params) over the operands."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> tuple[Any, Any]:
        out = p.bind(*primals, **params)
        total: Any = Zero.like(out)
        for k, t in enumerate(tangents):
            if type(t) is not Zero:
                total = add_tangents(total, tangent_out(k, t, out, primals, params))
        return out, total

    p.set(jvp=jvp)


def defjvp(p: Primitive, *rules: Callable[..., Any] | None) -> None:
    """Set a rule per operand: rule(tangent, *primals, **params); None where it has no tangent."""

    def tangent_out(k: int, t: Any, out: Any, primals: Any, params: Any) -> Any:
        rule = rules[k]
        return Zero.like(out) if rule is None else rule(t, *primals, **params)

    _jvp_of(p, tangent_out)


def defjvp2(p: Primitive, *rules: Callable[..., Any] | None) -> None:
    """As defjvp, with rule(tangent, out, *primals, **params)."""

    def tangent_out(k: int, t: Any, out: Any, primals: Any, params: Any) -> Any:
        rule = rules[k]
        return Zero.like(out) if rule is None else rule(t, out, *primals, **params)

    _jvp_of(p, tangent_out)


add_jaxvals = core.add_values
