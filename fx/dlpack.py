"""`fx.dlpack`: arrays of other libraries without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import array

__all__ = ["from_dlpack", "is_supported_dtype"]


def from_dlpack(external_array: Any, device: Any = None, copy: bool | None = None) -> array.Array:
    """An array over the memory of an exporter (PyTorch, CuPy on the host, NumPy, ...), placed on
    `device`, if one is given.

    Shares memory unless `copy`; copy=False raises ValueError where a copy is needed. Raises
    TypeError for memory that the host cannot see and for dtypes that DLPack lacks.
    """
    if not hasattr(external_array, "__dlpack__"):
        raise TypeError(
            "The array passed to from_dlpack must have __dlpack__ and __dlpack_device__ methods, "
            f"got {type(external_array).__name__}"
        )
    found = array.from_dlpack(external_array, copy=copy)
    if device is None:
        return found
    import fx

    return fx.device_put(found, device)


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of this dtype can be exchanged by DLPack: NumPy's own numbers and booleans."""
    kind = np.dtype(dtype)
    return kind.kind in "iufcb" and kind.itemsize <= 16
