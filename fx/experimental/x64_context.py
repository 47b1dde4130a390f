"""64-bit types inside a block."""

from __future__ import annotations

from typing import Any

from fx.config import enable_x64 as _enable_x64

__all__ = ["disable_x64", "enable_x64"]


def enable_x64(new_val: bool = True) -> Any:
    """Context manager: 64-bit types inside the block, for this thread (`fx.enable_x64`)."""
    return _enable_x64(new_val)


def disable_x64() -> Any:
    """Context manager: 32-bit types inside the block, for this thread."""
    return _enable_x64(False)
