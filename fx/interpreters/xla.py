"""`fx.interpreters.xla`: the few names that programs still take from there."""

from __future__ import annotations

from typing import Any

from fx.array import readers as canonicalize_dtype_handlers
from fx.avals import canonicalize_dtype
from fx.core import Primitive

__all__ = ["apply_primitive", "canonicalize_dtype", "canonicalize_dtype_handlers"]


def apply_primitive(prim: Primitive, *args: Any, **params: Any) -> Any:
    """The primitive's result on these operands: the current trace's, outside of all at once."""
    return prim.bind(*args, **params)
