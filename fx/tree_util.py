"""Pytrees: nested containers of arrays, flattened to leaves and rebuilt; JAX's `jax.tree_util` on
optree.

Dict keys are sorted, None is a node without children, registered types are nodes of the namespace
"fx". Flattening and unflattening run in C (about a microsecond for a small tree); key paths and
prefix errors are Python, off the hot path.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import optree
from optree import _C
from optree import PyTreeSpec as PyTreeDef

from fx.tree_paths import (  # noqa: F401 (JAX has the keys here)
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    KeyEntry,
    KeyPath,
    SequenceKey,
    children_with_keys,
    first_difference,
    forget_keys,
    is_node_type,
    keystr,
    register_keys,
)
from lowering import ending  # noqa: F401 (at the end, threads leave optree)

NAMESPACE = "fx"
T = TypeVar("T")
_MISSING = object()

# ---------------------------------------------------------------- flatten and rebuild


def tree_flatten(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Any], PyTreeDef]:
    """The leaves of a tree and its structure.

    >>> tree_flatten({"b": 2, "a": (1, None)})[0]
    [1, 2]
    """
    return _C.flatten(tree, is_leaf, False, NAMESPACE)


def tree_unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of structure `treedef` with these leaves; ValueError for another number."""
    return treedef.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of a tree, dict entries in key order.

    None has no leaves; what is_leaf holds for is one leaf.
    """
    return _C.flatten(tree, is_leaf, False, NAMESPACE)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> PyTreeDef:
    """The structure of a tree: hashable, equal for trees that differ in leaves only."""
    return _C.flatten(tree, is_leaf, False, NAMESPACE)[1]


def tree_map(
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """Apply `f` to corresponding leaves; `tree` is a prefix of the other trees.

    ValueError where a tree of `rest` has not the structure; None stays None.

    >>> tree_map(lambda x, y: x + y, {"a": 1, "b": (2, 3)}, {"a": 10, "b": (20, 30)})
    {'a': 11, 'b': (22, 33)}
    """
    leaves, treedef = _C.flatten(tree, is_leaf, False, NAMESPACE)
    try:
        others = [treedef.flatten_up_to(r) for r in rest]
    except ValueError as e:
        raise ValueError(_mismatch(str(e), tree, rest, is_leaf)) from None
    return treedef.unflatten([f(*xs) for xs in zip(leaves, *others)])


def _mismatch(message: str, tree: Any, rest: Sequence[Any], is_leaf: Any) -> str:
    """What is wrong with a tree that another is no prefix of, in JAX's words first, and where."""
    message = message if len(message) <= 500 else f"{message[:500]} ..."
    if message.startswith("dictionary key mismatch"):
        message = message.replace("dictionary key mismatch", "Dict key mismatch", 1)
    for k, other in enumerate(rest, 2):
        found = first_difference(tree, other, is_leaf)
        if found is not None:
            path, here, there = found
            place = f"at {keystr(path)}" if path else "at the top"
            return f"{message} The trees differ {place}: {here} in tree 1, {there} in tree {k}."
    return message


def tree_all(tree: Any, *, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether all leaves are true.

    True of a tree without leaves; ValueError for arrays of several elements.
    """
    return all(tree_leaves(tree, is_leaf))


def tree_reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = _MISSING,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Fold the leaves from the left.

    function(function(initializer, first), second)...; TypeError without leaves and initializer.
    """
    leaves = tree_leaves(tree, is_leaf)
    if initializer is _MISSING:
        return functools.reduce(function, leaves)
    return functools.reduce(function, leaves, initializer)


def tree_reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _MISSING,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Fold the leaves pairwise, in a balanced tree of operations.

    log2(n) levels. TypeError for no leaves, unless there is an identity.
    """
    level = tree_leaves(tree, is_leaf)
    if not level:
        if identity is _MISSING:
            raise TypeError("Must specify identity for parallel reduction of empty tree.")
        return identity
    while len(level) > 1:
        pairs = [operation(a, b) for a, b in zip(level[::2], level[1::2])]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]


def tree_transpose(
    outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any
) -> Any:
    """A tree of trees turned inside out.

    From outer of inner to inner of outer. TypeError where numbers of leaves do not fit.
    """
    leaves, treedef = tree_flatten(pytree_to_transpose)
    if inner_treedef is None:
        inner_treedef = tree_structure(outer_treedef.flatten_up_to(pytree_to_transpose)[0])
    inner, outer = inner_treedef.num_leaves, outer_treedef.num_leaves
    if treedef.num_leaves != inner * outer:
        raise TypeError(f"Mismatch\n{treedef}\n != \n{outer_treedef} of {inner_treedef}")
    columns = [leaves[k::inner] for k in range(inner)]
    return inner_treedef.unflatten([outer_treedef.unflatten(c) for c in columns])


def tree_broadcast(
    prefix_tree: Any, full_tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """The prefix tree's leaves, each repeated over the subtree it stands for."""
    _, treedef = tree_flatten(full_tree, is_leaf)
    return treedef.unflatten(prefix_leaves(prefix_tree, full_tree, is_leaf=is_leaf))


def all_leaves(iterable: Iterable[Any], is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether every element of an iterable is a leaf, no container or None."""
    return all(_C.flatten(x, is_leaf, False, NAMESPACE)[1].is_leaf() for x in iterable)


def is_tree_node(typ: type) -> bool:
    """Whether a type is one of containers: built in, registered, or a named tuple.

    >>> is_tree_node(list), is_tree_node(float)
    (True, False)
    """
    return is_node_type(typ)


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Any]:
    """The children and auxiliary data of a node; ValueError for a leaf."""
    found = children_with_keys(tree)
    if found is None:
        raise ValueError(f"can't tree-flatten type: {type(tree)}")
    return [c for _, c in found[0]], found[1]


def flatten_one_level_with_keys(tree: Any) -> tuple[Iterable[tuple[KeyEntry, Any]], Any]:
    """The (key, child) pairs and auxiliary data of a node; ValueError for a leaf."""
    found = children_with_keys(tree)
    if found is None:
        raise ValueError(f"can't tree-flatten type: {type(tree)}")
    return found


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the root's children, in their order; an empty list for a leaf."""
    return treedef.children()


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether a structure has one node: that of a leaf, of None, or of an empty container."""
    return treedef.num_nodes == 1


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple whose items have these structures, in their order."""
    return optree.treespec_tuple(list(treedefs), namespace=NAMESPACE)  # type: ignore[arg-type]


# ---------------------------------------------------------------- paths


def tree_leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The leaves of a tree, each with its key path.

    Pairs (path, leaf) in the order of `tree_leaves`; `keystr` writes a path.
    """
    found: list[tuple[KeyPath, Any]] = []

    def walk(path: KeyPath, node: Any) -> None:
        if is_leaf is not None and (is_leaf(path, node) if is_leaf_takes_path else is_leaf(node)):
            found.append((path, node))
            return
        children = children_with_keys(node)
        if children is None:
            found.append((path, node))
            return
        for key, child in children[0]:
            walk((*path, key), child)

    walk((), tree)
    return found


def tree_flatten_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """The leaves with their key paths, and the structure.

    Pairs (path, leaf) and what `tree_structure` gives.
    """
    leaves = tree_leaves_with_path(tree, is_leaf, is_leaf_takes_path)
    if is_leaf is None or not is_leaf_takes_path:
        return leaves, tree_structure(tree, is_leaf)
    ids = {id(leaf) for _, leaf in leaves}
    return leaves, tree_structure(tree, lambda x: id(x) in ids)


def tree_map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """Like tree_map, with the leaf's key path as the first argument of `f`."""
    leaves, treedef = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    others = [treedef.flatten_up_to(r) for r in rest]
    paths, values = [p for p, _ in leaves], [v for _, v in leaves]
    return treedef.unflatten([f(*xs) for xs in zip(paths, values, *others)])


# ---------------------------------------------------------------- prefixes


def prefix_leaves(
    prefix: Any,
    tree: Any,
    what: str = "prefix",
    is_leaf: Callable[[Any], bool] | None = None,
    none_is_leaf: bool = False,
) -> list[Any]:
    """One entry per leaf of `tree`: the leaf of the prefix tree that stands above it.

    `what` names the prefix in the error (`vmap in_axes`). With none_is_leaf, None in the prefix is
    an entry.
    """
    found: list[Any] = []

    def walk(path: KeyPath, p: Any, t: Any) -> None:
        p_children = None
        if not (none_is_leaf and p is None) and not (is_leaf is not None and is_leaf(p)):
            p_children = children_with_keys(p)
        if p_children is None:
            found.extend([p] * len(tree_leaves(t)))
            return
        t_children = children_with_keys(t)
        if t_children is None:
            _prefix_error(what, path, f"a {type(p).__name__}", "a leaf")
        if type(p) is not type(t):
            _prefix_error(what, path, f"a {type(p).__name__}", f"a {type(t).__name__}")
            return
        assert t_children is not None
        (pc, p_aux), (tc, t_aux) = p_children, t_children
        if len(pc) != len(tc):
            given = f"a {type(p).__name__} of length {len(pc)}"
            _prefix_error(what, path, given, f"a {type(t).__name__} of length {len(tc)}")
        if p_aux != t_aux:
            _prefix_error(what, path, f"a node with {p_aux}", f"a node with {t_aux}")
        for (key, a), (_, b) in zip(pc, tc):
            walk((*path, key), a, b)

    walk((), prefix, tree)
    return found


def _prefix_error(what: str, path: KeyPath, given: str, value: str) -> None:
    raise ValueError(
        f"{what} specification must be a tree prefix of the corresponding value: pytree structure "
        f"error at key path {what}{keystr(path)}: the specification has {given} there, the value "
        f"has {value}."
    )


# ---------------------------------------------------------------- registration


def register_pytree_node(
    nodetype: type[T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Iterable[Any]], T],
    flatten_with_keys_func: Callable[[T], tuple[Iterable[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Make a type a node: flatten to (children, aux), rebuild from (aux, children)."""

    def flatten(x: T) -> tuple[tuple[Any, ...], Any]:
        children, aux = flatten_func(x)
        return tuple(children), aux

    with warnings.catch_warnings():  # a named tuple may have its own functions
        warnings.simplefilter("ignore", UserWarning)
        optree.register_pytree_node(nodetype, flatten, unflatten_func, namespace=NAMESPACE)  # type: ignore[arg-type]
    register_keys(nodetype, flatten, flatten_with_keys_func)


def register_pytree_node_class(cls: type[T]) -> type[T]:
    """Register a class that has tree_flatten() and the class method tree_unflatten(aux,
    children).
    """
    register_pytree_node(cls, lambda x: x.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys(
    nodetype: type[T],
    flatten_with_keys: Callable[[T], tuple[Iterable[tuple[Any, Any]], Any]],
    unflatten_func: Callable[[Any, Iterable[Any]], T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """Make a type a node whose children have keys.

    flatten_with_keys(x) gives ((key, child) pairs, aux). ValueError for a type that is a node
    already.
    """

    def flatten(x: T) -> tuple[Iterable[Any], Any]:
        pairs, aux = flatten_with_keys(x)
        return tuple(c for _, c in pairs), aux

    register_pytree_node(nodetype, flatten_func or flatten, unflatten_func, flatten_with_keys)


def register_pytree_with_keys_class(cls: type[T]) -> type[T]:
    """Register a class that has tree_flatten_with_keys() and tree_unflatten(aux, children)."""
    with_keys: Any = lambda x: x.tree_flatten_with_keys()  # noqa: E731
    flatten = (lambda x: x.tree_flatten()) if hasattr(cls, "tree_flatten") else None
    unflatten = cls.tree_unflatten  # type: ignore[attr-defined]
    register_pytree_with_keys(cls, with_keys, unflatten, flatten)
    return cls


def register_dataclass(
    nodetype: type[T],
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> type[T]:
    """Make a dataclass a node: data fields are children, meta fields (hashable) belong to the
    structure. ValueError where these are not the fields of the dataclass, each in one list.
    """
    import dataclasses

    if data_fields is None or meta_fields is None:
        if data_fields is not None or meta_fields is not None:
            raise TypeError("register_dataclass: data_fields and meta_fields come together")
        fields = [f for f in dataclasses.fields(nodetype) if f.init]  # type: ignore[arg-type]
        data_fields = [f.name for f in fields if not f.metadata.get("static", False)]
        meta_fields = [f.name for f in fields if f.metadata.get("static", False)]
    if twice := set(data_fields) & set(meta_fields):
        raise ValueError(
            f"register_dataclass: data_fields and meta_fields must not overlap; {sorted(twice)} of "
            f"{nodetype.__name__} stand in both lists."
        )
    if dataclasses.is_dataclass(nodetype):
        init = {f.name for f in dataclasses.fields(nodetype) if f.init}
        given = {*data_fields, *meta_fields, *drop_fields}
        if init - given or given - init - set(drop_fields):
            raise ValueError(
                "data_fields and meta_fields must include all dataclass fields with ``init=True`` "
                "and only them: "
                f"missing {sorted(init - given)}, unknown {sorted(given - init)}"
            )
    data, meta = tuple(data_fields), tuple(meta_fields)

    def flatten(x: T) -> tuple[tuple[Any, ...], Any]:
        return tuple(getattr(x, d) for d in data), tuple(getattr(x, m) for m in meta)

    def with_keys(x: T) -> tuple[tuple[tuple[Any, Any], ...], Any]:
        children, aux = flatten(x)
        return tuple(zip(map(GetAttrKey, data), children)), aux

    def unflatten(aux: Any, children: Iterable[Any]) -> T:
        return nodetype(**dict(zip(data, children)), **dict(zip(meta, aux)))

    register_pytree_node(nodetype, flatten, unflatten, with_keys)
    return nodetype


def register_static(cls: type[T]) -> type[T]:
    """Make a hashable type a node without children: it belongs to the structure."""
    register_pytree_node(cls, lambda x: ((), x), lambda x, _: x, lambda x: ((), x))
    return cls


def unregister(nodetype: type) -> None:
    """Take back a registration (for tests); ValueError for a type that has none."""
    optree.unregister_pytree_node(nodetype, namespace=NAMESPACE)
    forget_keys(nodetype)


# ---------------------------------------------------------------- callables that are trees


class Partial(functools.partial):
    """functools.partial as a node: its arguments are children, the function belongs to the
    structure.
    """


register_pytree_node(
    Partial,
    lambda p: ((p.args, p.keywords), p.func),
    lambda func, xs: Partial(func, *next(iter(xs)), **tuple(xs)[1]),
    lambda p: (((GetAttrKey("args"), p.args), (GetAttrKey("keywords"), p.keywords)), p.func),
)


def __getattr__(name: str) -> Any:
    if name == "default_registry":
        from fx.tree_registry import PyTreeRegistry

        globals()[name] = registry = PyTreeRegistry()
        return registry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
