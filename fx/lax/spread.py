"""Operands of elementwise functions: scalars in the other's dtype, axes of size 1 spread."""

from __future__ import annotations

from typing import Any

from fx.prims import elementwise
from fx.prims.shape import broadcast_in_dim


def matched(x: Any, y: Any) -> tuple[Any, Any]:
    """The operands of a binary function: of as many axes, an axis of size 1 spreads along the
    other's.
    """
    x, y = elementwise.matched(x, y)
    a, b = getattr(x, "shape", ()), getattr(y, "shape", ())
    if a == b or not a or len(a) != len(b):
        return x, y
    shape = tuple(n if m == 1 else m for m, n in zip(a, b))
    if any(n not in (1, s) for n, s in zip(b, shape)):
        return x, y  # the primitive refuses them
    return _spread(x, a, shape), _spread(y, b, shape)


def _spread(x: Any, have: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    return x if have == shape else broadcast_in_dim(x, shape, tuple(range(len(shape))))
