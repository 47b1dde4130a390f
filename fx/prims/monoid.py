"""Which of the known monoids a user's Python function of two scalars is, if any.

The function is traced once on scalars; one known equation on its two arguments is that monoid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray

_NAMES = {
    "add": "add",
    "add_any": "add",
    "mul": "mul",
    "max": "max",
    "min": "min",
    "and": "and",
    "or": "or",
    "xor": "xor",
}


def find_monoid(computation: Callable[..., Any], dtype: np.dtype) -> str | None:
    """add, mul, max, min, and, or, xor, or None for anything else."""
    aval = ShapedArray((), dtype)
    jaxpr, consts = core.trace_to_jaxpr(lambda x, y: [computation(x, y)], [aval, aval])
    if consts or len(jaxpr.eqns) != 1:
        return None
    (eqn,) = jaxpr.eqns
    if eqn.primitive.name in ("jit", "pjit"):
        inner = eqn.params["jaxpr"].jaxpr
        if len(inner.eqns) != 1:
            return None
        (eqn,) = inner.eqns
        jaxpr = inner
    if {id(v) for v in eqn.invars} != {id(v) for v in jaxpr.invars}:
        return None
    return _NAMES.get(eqn.primitive.name) if jaxpr.outvars == eqn.outvars else None
