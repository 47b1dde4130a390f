"""Functions of trees as functions of flat values: what every transformation's entry point does
first.

`flatten_function(f, in_tree)` gives a function from leaves to leaves and a record that holds the
output's structure after the call. `argument_names` gives each leaf the path that errors print:
`x['w'][0]`.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Collection, Sequence
from functools import update_wrapper
from typing import Any

from fx import core
from fx.tree_util import keystr, tree_flatten, tree_leaves_with_path


class OutTree:
    """The structure of the last call's output (and of its auxiliary output)."""

    __slots__ = ("aux_tree", "tree")
    tree: Any
    aux_tree: Any


def flatten_function(
    fun: Callable[..., Any], in_tree: Any, has_aux: bool = False, kwargs: bool = False
) -> tuple[Callable[..., list[Any]], OutTree]:
    """`fun` on leaves of `in_tree` (args, or (args, kwargs)); the auxiliary output's leaves come
    last.
    """
    out = OutTree()

    def flat(*leaves: Any) -> list[Any]:
        tree = in_tree.unflatten(leaves)
        result = fun(*tree[0], **tree[1]) if kwargs else fun(*tree)
        aux_leaves: list[Any] = []
        if has_aux:
            result, aux_leaves = _split_aux(fun, result, out)
        values, out.tree = tree_flatten(result)
        check_outputs(fun, result, values)
        return [*values, *aux_leaves]

    return flat, out


def flatten_call(
    fun: Callable[..., Any], static: Collection[int], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Callable[..., list[Any]], list[Any], tuple[str, ...], OutTree]:
    """`fun` on the leaves of this call's arguments but those at the `static` positions; the leaves,
    their names, and the record of the output's structure.
    """

    @wraps(fun)
    def of_dynamic(*given: Any, **kw: Any) -> Any:
        rest = iter(given)
        return fun(*(a if k in static else next(rest) for k, a in enumerate(args)), **kw)

    dynamic = tuple(a for k, a in enumerate(args) if k not in static)
    leaves, tree = tree_flatten((dynamic, kwargs))
    flat, out = flatten_function(of_dynamic, tree, kwargs=True)
    blanked = [None if k in static else a for k, a in enumerate(args)]
    return flat, leaves, argument_names(fun, blanked, kwargs), out


def _split_aux(fun: Callable[..., Any], result: Any, out: OutTree) -> tuple[Any, list[Any]]:
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError(
            f"expected function with aux output to return a two-element tuple, but {name_of(fun)} "
            f"returned {type(result).__name__}"
            + (f" of length {len(result)}" if isinstance(result, tuple | list) else "")
        )
    leaves, out.aux_tree = tree_flatten(result[1])  # of anything: it only passes through
    return result[0], leaves


def check_outputs(fun: Callable[..., Any], tree: Any, leaves: Sequence[Any]) -> None:
    """Raise TypeError where an output is no array value, naming its path."""
    for leaf in leaves:
        if not core.is_array_value(leaf):
            for path, x in tree_leaves_with_path(tree):
                if not core.is_array_value(x):
                    at = f" at output component {keystr(path)}" if path else ""
                    raise TypeError(
                        f"function {name_of(fun)} returned a value of type {type(x)}{at}, which is "
                        "not a valid array type: return arrays, numbers, or trees of them"
                    )


def name_of(fun: Callable[..., Any]) -> str:
    """A function's name for messages, through wrappers and partials."""
    while True:
        name = getattr(fun, "__name__", None)
        if isinstance(name, str):
            return name
        inner = getattr(fun, "func", None) or getattr(fun, "__wrapped__", None)
        if inner is None:
            return type(fun).__name__
        fun = inner


def name_after(wrapper: Any, fun: Callable[..., Any]) -> Any:
    """Give `wrapper` the name, text and signature of `fun`; a callable object may lack a name, or
    answer with anything where it is asked for one.
    """
    try:
        return update_wrapper(wrapper, fun, updated=())
    except TypeError:
        wrapper.__name__ = wrapper.__qualname__ = name_of(fun)
        wrapper.__wrapped__ = fun
        return wrapper


def wraps(fun: Callable[..., Any]) -> Callable[[Any], Any]:
    """Decorate a wrapper of `fun` with its name: see `name_after`."""
    return lambda wrapper: name_after(wrapper, fun)


def source_of(fun: Callable[..., Any]) -> str:
    """`f at file:line`, as far as it is known."""
    code = getattr(inspect.unwrap(fun), "__code__", None)
    at = f" at {code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    return f"{name_of(fun)}{at}"


def argument_names(
    fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[str, ...]:
    """The path of each leaf of (args, kwargs), by the names in the function's signature."""
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    names = []
    for k, arg in enumerate(args):
        name = _positional_name(parameters, k)
        names += [name + keystr(path) for path, _ in tree_leaves_with_path(arg)]
    for key in sorted(kwargs):
        names += [key + keystr(path) for path, _ in tree_leaves_with_path(kwargs[key])]
    return tuple(names)


def _positional_name(parameters: list[inspect.Parameter], k: int) -> str:
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if k < len(positional):
        return positional[k].name
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            return f"{p.name}[{k - len(positional)}]"
    return f"args[{k}]"


def check_callable(fun: Any) -> None:
    """Raise TypeError, naming what was given, where `fun` cannot be called."""
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun}")


def indices(nums: Any, what: str = "argnums") -> int | tuple[int, ...]:
    """Positions as Python integers: one, or a sequence of them; NumPy's integers will do."""
    try:
        return operator.index(nums)
    except TypeError:
        pass
    try:
        return tuple(map(operator.index, nums))
    except TypeError:
        raise TypeError(f"{what} must be an int or a sequence of ints, got {nums!r}") from None


def index_tuple(nums: Any, what: str) -> tuple[int, ...]:
    """Positions as a tuple, also where there is one."""
    found = indices(nums, what)
    return (found,) if isinstance(found, int) else found


def normalize_argnums(argnums: Any, count: int, what: str) -> tuple[int, ...]:
    """argnums as a tuple of non-negative positions; ValueError or TypeError where they do
    not fit.
    """
    nums = index_tuple(argnums, f"{what}: argnums")
    for n in nums:
        if not -count <= n < count:
            raise (TypeError if what.startswith("grad ") else ValueError)(
                f"{what}: argnums {argnums!r} is out of range: the function was called with "
                f"{count} positional argument{'s' if count != 1 else ''}"
            )
    return tuple(n % count for n in nums)


def of_positions(
    fun: Callable[..., Any], nums: Sequence[int], args: Sequence[Any], kwargs: dict[str, Any]
) -> Callable[..., Any]:
    """`fun` as a function of the positional arguments `nums` alone, the others being fixed."""

    def partial(*given: Any) -> Any:
        full = list(args)
        for n, g in zip(nums, given):
            full[n] = g
        return fun(*full, **kwargs)

    partial.__name__ = name_of(fun)
    return partial
