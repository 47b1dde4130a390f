"""fx.experimental: modules whose interface may change; each is loaded when first used."""

from __future__ import annotations

import importlib
from typing import Any

from fx.former import missing

_MODULES = ("compilation_cache", "checkify", "colouring", "jet", "ode", "sparse", "sparsity")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"fx.experimental.{name}")
    if name == "io_callback":
        return importlib.import_module("fx.callbacks").io_callback
    if name == "shard_map":
        return importlib.import_module("fx.experimental.shard_map")
    if name in ("enable_x64", "disable_x64"):
        return importlib.import_module("fx.experimental.x64_context").__dict__[name]
    raise missing("fx.experimental", name)
