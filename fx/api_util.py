"""`fx.api_util`: names of a function's arguments for messages and prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx.core import DebugInfo
from fx.flatten import argument_names, name_of


def debug_info(
    traced_for: str, fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> DebugInfo:
    """The function's name and the path of each leaf of its arguments."""
    return DebugInfo(name_of(fun), argument_names(fun, args, kwargs))
