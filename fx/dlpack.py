"""`fx.dlpack`: arrays of other libraries without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx.array import from_dlpack as from_dlpack

__all__ = ["from_dlpack", "is_supported_dtype"]


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of this dtype can be exchanged by DLPack."""
    kind = np.dtype(dtype)
    return kind.kind in "iufcb" and kind.itemsize <= 16
