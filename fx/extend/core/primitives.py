"""`fx.extend.core.primitives`: every primitive under JAX's name for it, `add_p`, `cond_p`, ..."""

from __future__ import annotations

from typing import Any, NoReturn

from fx import lax
from fx.core import PRIMITIVES, Primitive
from fx.former import missing

_OTHER_NAMES = {"add_jaxvals": "add_any", "remat": "checkpoint"}


class _Unused(Primitive):
    """A primitive of JAX that no jaxpr of this library has, as a key for tables of rules."""

    def __init__(self, name: str):
        self.name = name

    def bind(self, *args: Any, **params: Any) -> NoReturn:
        raise NotImplementedError(
            f"{self.name}_p is a key for tables of rules: no jaxpr of this library has an "
            f"equation of {self.name!r}, and none can be made"
        )


_UNUSED = {
    name: _Unused(name)
    for name in (
        *("addupdate", "after_all", "approx_top_k", "call", "closed_call", "create_token"),
        *("device_put", "get", "random_gamma", "reduce", "reduce_window", "rng_bit_generator"),
        *("rng_uniform", "select_and_gather_add", "select_and_scatter_add", "select_and_scatter"),
        *("sharding_constraint", "swap", "threefry2x32"),
    )
}


def __getattr__(name: str) -> Primitive:
    stem = name[:-2]
    if not name.endswith("_p"):
        raise missing(__name__, name)
    if stem in _UNUSED:
        return _UNUSED[stem]
    other = PRIMITIVES.get(_OTHER_NAMES.get(stem, ""))
    return getattr(lax, name) if other is None else other


def __dir__() -> list[Any]:
    ours = [n.replace("-", "_") + "_p" for n in PRIMITIVES if n.isidentifier() or "-" in n]
    return sorted({*ours, *(n + "_p" for n in (*_OTHER_NAMES, *_UNUSED))})
