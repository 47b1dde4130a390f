"""fx.experimental: modules whose interface may change; each is loaded when first used."""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = ("checkify", "colouring", "jet", "ode", "sparse", "sparsity")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"fx.experimental.{name}")
    raise AttributeError(f"module 'fx.experimental' has no attribute {name!r}")
