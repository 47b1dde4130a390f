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
from fx.jvp import JVPTracer as JVPTracer

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
