"""Types of the public surface: what counts as an array, a shape, a dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fx.core import Tracer

if TYPE_CHECKING:
    from fx.array import Array as ConcreteArray

    Array = ConcreteArray | Tracer | Any
else:
    Array = Tracer

ArrayLike = Array | Tracer | np.ndarray | np.generic | bool | int | float | complex
DTypeLike = str | type | np.dtype | Any
Shape = Sequence[int]

__all__ = ["Array", "ArrayLike", "DTypeLike", "Shape"]
