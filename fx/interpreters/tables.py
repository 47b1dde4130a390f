"""A rule of all primitives as a mapping from primitive to rule, as JAX keeps its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from fx.core import PRIMITIVES, Primitive, no


class RuleTable(MutableMapping[Primitive, Callable[..., Any]]):
    """Reads and sets one rule of primitives; assignment defines the rule."""

    def __init__(self, rule: str):
        self.rule = rule

    def _found(self, p: Primitive) -> Any:
        found = getattr(p, self.rule)
        return None if found is None or isinstance(found, no) else found

    def __getitem__(self, p: Primitive) -> Callable[..., Any]:
        found = self._found(p)
        if found is None:
            raise KeyError(p)
        return found

    def __setitem__(self, p: Primitive, rule: Callable[..., Any]) -> None:
        p.set(**{self.rule: rule})

    def __delitem__(self, p: Primitive) -> None:
        setattr(p, self.rule, None)

    def __iter__(self) -> Iterator[Primitive]:
        return (p for p in PRIMITIVES.values() if self._found(p) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)
