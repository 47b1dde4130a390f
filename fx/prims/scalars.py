"""Python scalars beside arrays, in fx.lax and in rules: they take the array's dtype, if it can hold
numbers of their kind.
"""

from __future__ import annotations

from typing import Any

from fx import core
from fx.avals import ShapedArray, is_key

_PYTHON = (bool, int, float, complex)


def matched(x: Any, y: Any) -> tuple[Any, Any]:
    """Python scalars take the other operand's dtype; of two, the narrower becomes the wider."""
    if type(x) in _PYTHON and type(y) in _PYTHON:
        wider = max(type(x), type(y), key=_PYTHON.index)
        return wider(x), wider(y)
    if type(x) in _PYTHON:
        return _scalar_like(x, core.get_aval(y)), y
    if type(y) in _PYTHON:
        return x, _scalar_like(y, core.get_aval(x))
    return x, y


def _scalar_like(scalar: Any, aval: ShapedArray) -> Any:
    """A Python scalar in the dtype of an array; beside a weak array it stays a Python scalar."""
    kind = aval.dtype.kind
    if is_key(aval.dtype):
        return scalar  # which no primitive takes beside a key
    widest = {"b": bool, "i": int, "u": int, "c": complex}.get(kind, float)
    if _PYTHON.index(type(scalar)) > _PYTHON.index(widest):
        raise TypeError(
            f"fx.lax requires arguments to have the same dtypes, got {aval.dtype.name} and the "
            f"Python scalar {scalar!r}, which would be cut to {aval.dtype.name}. (Tip: the "
            "functions of fx.numpy promote.)"
        )
    if not aval.weak_type:
        return aval.dtype.type(scalar)
    return {"f": float, "c": complex}.get(kind, int)(scalar)
