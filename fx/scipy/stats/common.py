"""What the distributions share."""

from __future__ import annotations

from typing import Any

from fx import numpy as fnp
from fx.numpy.util import promote_dtypes_inexact

__all__ = ["args"]


def args(name: str, *xs: Any) -> list[Any]:
    """The arguments as arrays of one floating dtype."""
    return [fnp.asarray(x) for x in promote_dtypes_inexact(name, *xs)]
