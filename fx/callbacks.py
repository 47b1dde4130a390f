"""pure_callback and io_callback: calling Python on host memory from traced code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx.avals import canonicalize_dtype
from fx.errors import JaxRuntimeError
from fx.prims import callback as prims
from fx.prims.callback import FlatCallback
from fx.tree_util import tree_flatten

__all__ = ["io_callback", "pure_callback"]

_METHODS = (
    None,
    "sequential",
    "sequential_unrolled",
    "expand_dims",
    "broadcast_all",
    "legacy_vectorized",
)


def _flat(name: str, callback: Any, results: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """The callback on leaves, the operands, and the structure of the result."""
    if not callable(callback):
        raise TypeError(f"{name}: the callback must be callable, got {callback!r}")
    leaves, in_tree = tree_flatten((args, kwargs))
    specs, out_tree = tree_flatten(results)
    wide = [x for x in specs if hasattr(x, "dtype") and canonicalize_dtype(x.dtype) != x.dtype]
    if wide:
        raise ValueError(
            f"{name}: result_shape_dtypes cannot specify 64-bit types when `jax_enable_x64` is "
            f"disabled, but has {wide[0]}."
        )

    def on_leaves(*flat: Any) -> list[Any]:
        given, named = in_tree.unflatten(flat)
        out, tree = tree_flatten(prims.called(name, callback, given, named))
        if tree != out_tree:
            raise JaxRuntimeError(
                f"{name}: the callback returned {tree}, but result_shape_dtypes has the structure "
                f"{out_tree}."
            )
        return out

    on_leaves.__name__ = getattr(callback, "__name__", "callback")
    keys = prims.places_of_keys(leaves)
    return FlatCallback(name, on_leaves, prims.result_avals(specs), keys), leaves, out_tree


def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """What `callback(*args, **kwargs)` returns, computed on the host; it must have no side effects.

    result_shape_dtypes: a tree of things with a shape and a dtype (`ShapeDtypeStruct`), like the
    result. vmap_method: how vmap calls it: 'sequential' (once an example), 'expand_dims' or
    'broadcast_all' (once, on batches); None refuses. Derivatives need a custom rule.

    >>> import numpy as np
    >>> pure_callback(np.sin, fx.ShapeDtypeStruct((), np.float32), 0.0)
    Array(0., dtype=float32)
    """
    if vmap_method not in _METHODS:
        raise ValueError(
            f"vmap_method must be one of the allowed methods {_METHODS}, but got {vmap_method}"
        )
    flat, leaves, out_tree = _flat("pure_callback", callback, result_shape_dtypes, args, kwargs)
    outs = prims.pure_callback_p.bind(*leaves, callback=flat, vmap_method=vmap_method)
    return out_tree.unflatten(outs)


def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """What `callback(*args, **kwargs)` returns, called once each time the program gets there.

    ordered: in program order with the other ordered ones; such a callback cannot be vmapped.
    """
    flat, leaves, out_tree = _flat("io_callback", callback, result_shape_dtypes, args, kwargs)
    outs = prims.io_callback_p.bind(*leaves, callback=flat, ordered=bool(ordered))
    return out_tree.unflatten(outs)
