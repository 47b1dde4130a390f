"""Fields: what the static parts of graph nodes have in common: equality, hash and text by fields.

`@dataclass(slots=True, eq=False, repr=False) class X(Fields)` makes one method a class; a frozen
dataclass makes seven, which for thirty forms are 20 ms of every import. Nobody changes a form:
nodes share them.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any


class Fields:
    """Base of the forms; two are equal if they are of one class and their fields are."""

    __slots__: Any = ()
    _values: Any = None  # of a class: from a form to its fields' values

    def _get(self) -> Any:
        kind = type(self)
        if kind._values is None:
            names = kind.__slots__
            kind._values = staticmethod(attrgetter(*names) if names else lambda form: ())
        return kind._values(self)

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is type(self) and self._get() == other._get())

    def __hash__(self) -> int:
        return hash((type(self), self._get()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__qualname__}({fields})"
