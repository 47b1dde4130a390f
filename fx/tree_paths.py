"""Key paths: where in a pytree a leaf stands, as `['a'][0].b`, and the children of a node with
their keys.

One level of flattening in Python, for error messages, `tree_map_with_path` and prefix trees; not
for hot calls.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """The key of a path that is a position `idx` in a list or tuple; written [0]."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclass(frozen=True, slots=True)
class DictKey:
    """The key of a path that is the `key` of an item of a dict; written ['a']."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True, slots=True)
class GetAttrKey:
    """An attribute `name` of a dataclass or named tuple; written .a."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclass(frozen=True, slots=True)
class FlattenedIndexKey:
    """A position among the children of a registered node without keys."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


KeyEntry = Any
KeyPath = tuple[Any, ...]


def keystr(keys: Iterable[Any], *, simple: bool = False, separator: str = "") -> str:
    """A key path as text.

    >>> keystr((DictKey("a"), SequenceKey(0), GetAttrKey("b")))
    "['a'][0].b"
    """
    if not simple:
        return separator.join(map(str, keys))
    return separator.join(map(_simply, keys))


def _simply(k: Any) -> str:
    """A key of a path without what is written around it."""
    if isinstance(k, SequenceKey):
        return str(k.idx)
    if isinstance(k, GetAttrKey):
        return k.name
    return str(k.key) if isinstance(k, DictKey | FlattenedIndexKey) else str(k)


# type -> flatten with keys; the types that users register
_KEYED: dict[type, Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]]] = {}


def register_keys(
    nodetype: type,
    flatten: Callable[[Any], tuple[Iterable[Any], Any]],
    with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None,
) -> None:
    """How the children of a registered type are named; by position where the user gives no keys."""

    def by_position(x: Any) -> tuple[list[tuple[Any, Any]], Any]:
        children, aux = flatten(x)
        return [(FlattenedIndexKey(k), c) for k, c in enumerate(children)], aux

    _KEYED[nodetype] = with_keys or by_position


def forget_keys(nodetype: type) -> None:
    """Take back what `register_keys` recorded of a type; nothing where nothing was recorded."""
    _KEYED.pop(nodetype, None)


def children_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], Any] | None:
    """The (key, child) pairs of a node and its auxiliary data; None for a leaf."""
    kind = type(x)
    if kind in _KEYED:
        pairs, aux = _KEYED[kind](x)
        return list(pairs), aux
    if x is None:
        return [], None
    if kind in (list, tuple, deque):
        aux = x.maxlen if kind is deque else None
        return [(SequenceKey(k), c) for k, c in enumerate(x)], aux
    if kind in (dict, defaultdict):
        keys = _sorted_keys(x)
        aux = (x.default_factory, keys) if kind is defaultdict else keys
        return [(DictKey(k), x[k]) for k in keys], aux
    if kind is OrderedDict:
        return [(DictKey(k), c) for k, c in x.items()], list(x)
    fields = getattr(x, "_fields", None)
    if isinstance(x, tuple) and fields is not None:
        return [(GetAttrKey(n), getattr(x, n)) for n in fields], kind
    return None


def first_difference(
    tree: Any, other: Any, is_leaf: Callable[[Any], bool] | None = None, path: KeyPath = ()
) -> tuple[KeyPath, str, str] | None:
    """Where `tree` is no prefix of another: the path, and what both have there; None if nowhere."""
    node = None if is_leaf is not None and is_leaf(tree) else children_with_keys(tree)
    if node is None:
        return None
    found = children_with_keys(other)
    if found is None or type(tree) is not type(other) or len(node[0]) != len(found[0]):
        return path, _described(tree, node), _described(other, found)
    for (key, x), (key2, y) in zip(node[0], found[0], strict=True):
        if key != key2:
            return path, _described(tree, node), _described(other, found)
        deeper = first_difference(x, y, is_leaf, (*path, key))
        if deeper is not None:
            return deeper
    return None


def _described(x: Any, node: tuple[list[tuple[Any, Any]], Any] | None) -> str:
    if x is None:
        return "None"
    if node is None:
        shape = getattr(x, "shape", None)
        return f"a leaf of type {type(x).__name__}" + (f" and shape {shape}" if shape else "")
    if isinstance(x, tuple | list) and not hasattr(x, "_fields"):
        return f"{type(x).__name__} of {len(x)}"
    keys = ", ".join(keystr((key,)) for key, _ in node[0][:8])
    more = f" and {len(node[0]) - 8} more" if len(node[0]) > 8 else ""
    return f"{type(x).__name__} with {keys}{more}" if keys else f"empty {type(x).__name__}"


def is_node_type(typ: Any) -> bool:
    """Whether values of this type are nodes: children_with_keys gives their children."""
    if not isinstance(typ, type):
        return False
    if typ in _KEYED or typ in (list, tuple, deque, dict, defaultdict, OrderedDict, type(None)):
        return True
    return issubclass(typ, tuple) and hasattr(typ, "_fields")


def _sorted_keys(x: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(x)
    except TypeError:  # keys of several kinds: by kind, as the C flattening does
        return sorted(x, key=lambda k: (type(k).__module__ + type(k).__qualname__, str(k)))
