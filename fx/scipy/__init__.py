"""fx.scipy: SciPy's functions on fx arrays; each module is loaded when first used."""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = (
    "cluster",
    "fft",
    "integrate",
    "interpolate",
    "linalg",
    "ndimage",
    "optimize",
    "signal",
    "sparse",
    "spatial",
    "special",
    "stats",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"fx.scipy.{name}")
    raise AttributeError(f"module 'fx.scipy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_MODULES)
