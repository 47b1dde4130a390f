"""shard_map where older programs import it from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx.parallel import shard_map as _shard_map

__all__ = ["shard_map"]


def shard_map(
    f: Callable[..., Any],
    mesh: Any,
    in_specs: Any,
    out_specs: Any,
    check_rep: bool = True,
    auto: Any = frozenset(),
) -> Any:
    """`fx.shard_map` as older programs call it: mesh and specs by position.

    check_rep and auto are taken and have no effect on one device.
    """
    return _shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs)
