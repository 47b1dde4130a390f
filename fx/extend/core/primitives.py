"""`fx.extend.core.primitives`: every primitive under JAX's name for it, `add_p`, `cond_p`, ..."""

from __future__ import annotations

from typing import Any

from fx import lax
from fx.core import PRIMITIVES, Primitive

_OTHER_NAMES = {"add_jaxvals": "add_any", "remat": "checkpoint"}


def __getattr__(name: str) -> Primitive:
    if name.endswith("_p"):
        other = PRIMITIVES.get(_OTHER_NAMES.get(name[:-2], ""))
        return getattr(lax, name) if other is None else other
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[Any]:
    ours = [n.replace("-", "_") + "_p" for n in PRIMITIVES if n.isidentifier() or "-" in n]
    return sorted({*ours, *(n + "_p" for n in _OTHER_NAMES)})
