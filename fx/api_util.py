"""`fx.api_util`: functions of trees as flat functions, names of arguments, types of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx.avals import ShapedArray
from fx.core import DebugInfo, get_aval
from fx.extend.linear_util import WrappedFun, transformation_with_aux2
from fx.flatten import argument_names, name_of
from fx.tree_util import tree_flatten


def safe_map(f: Callable[..., Any], *lists: Sequence[Any]) -> list[Any]:
    """The list of `f` of an element of each; ValueError where their lengths differ.

    >>> safe_map(max, [1, 5], [3, 4])
    [3, 5]
    """
    if not lists:
        raise TypeError("safe_map requires at least 2 arguments")
    return [f(*xs) for xs in zip(*lists, strict=True)]


def debug_info(
    traced_for: str, fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> DebugInfo:
    """The function's name and the path of each leaf of its arguments."""
    return DebugInfo(name_of(fun), argument_names(fun, args, kwargs))


def shaped_abstractify(x: Any) -> ShapedArray:
    """The type of an array value."""
    return get_aval(x)


def _flat(f: Callable[..., Any], store: Any, in_tree: Any, *leaves: Any) -> Any:
    args, kwargs = in_tree.unflatten(leaves)
    out, tree = tree_flatten(f(*args, **kwargs))
    store.store(tree)
    return out


def _flat_nokwargs(f: Callable[..., Any], store: Any, in_tree: Any, *leaves: Any) -> Any:
    out, tree = tree_flatten(f(*in_tree.unflatten(leaves)))
    store.store(tree)
    return out


def flatten_fun(fun: WrappedFun, in_tree: Any) -> tuple[WrappedFun, Callable[[], Any]]:
    """A function of the leaves of (args, kwargs), and a function that gives the output's tree
    after a call.
    """
    return transformation_with_aux2(_flat, fun, in_tree)


def flatten_fun_nokwargs(fun: WrappedFun, in_tree: Any) -> tuple[WrappedFun, Callable[[], Any]]:
    """As flatten_fun, for positional arguments alone."""
    return transformation_with_aux2(_flat_nokwargs, fun, in_tree)


def argnums_partial(
    f: WrappedFun, dyn_argnums: int | Sequence[int], args: Sequence[Any], **options: Any
) -> tuple[WrappedFun, tuple[Any, ...]]:
    """The function of some of its positional arguments, the others fixed, and those arguments."""
    nums = (dyn_argnums,) if isinstance(dyn_argnums, int) else tuple(dyn_argnums)
    nums = tuple(n % len(args) for n in nums)

    def of_some(call: Callable[..., Any], *some: Any, **kwargs: Any) -> Any:
        given = dict(zip(nums, some, strict=True))
        return call(*(given.get(k, a) for k, a in enumerate(args)), **kwargs)

    return f.wrap(of_some), tuple(args[n] for n in nums)
