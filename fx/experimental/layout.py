"""Layouts of arrays: on every device elements lie in row-major order, which is the only layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Format", "Layout", "with_layout_constraint"]


class Layout:
    """The order of an array's axes in memory, the slowest first."""

    def __init__(self, major_to_minor: Sequence[int]):
        self.major_to_minor = tuple(major_to_minor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.major_to_minor == other.major_to_minor

    def __hash__(self) -> int:
        return hash(self.major_to_minor)

    def __repr__(self) -> str:
        return f"Layout(major_to_minor={self.major_to_minor})"


class Format(NamedTuple):
    """A layout and a sharding."""

    layout: Any = None
    sharding: Any = None


def with_layout_constraint(x: Any, layouts: Layout) -> Any:
    """The value as it is; NotImplementedError for a layout that is not row-major."""
    if layouts.major_to_minor != tuple(range(len(layouts.major_to_minor))):
        raise NotImplementedError(f"arrays are row-major, {layouts} cannot be had")
    return x
