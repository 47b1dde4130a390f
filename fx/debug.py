"""fx.debug: prints and callbacks from inside traced code, and what the run time counted.

`print` and `callback` run in eager code, under jit, vmap (once an example) and grad (with the
primal values).
"""

from __future__ import annotations

import builtins
import logging
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core
from fx.array import Array
from fx.array import counters as counters
from fx.array import reset_counters as reset_counters
from fx.avals import holds_keys
from fx.core import is_array_value
from fx.prims.callback import CallbackEffect as CallbackEffect
from fx.prims.callback import FlatCallback, called, debug_callback_p, places_of_keys
from fx.prims.callback import debug_effect as DebugEffect
from fx.prims.callback import ordered_debug_effect as OrderedDebugEffect
from fx.tree_util import tree_flatten

__all__ = [
    "DebugEffect",
    "OrderedDebugEffect",
    "breakpoint",
    "callback",
    "counters",
    "log",
    "print",
    "reset_counters",
]


def callback(
    callback: Callable[..., Any] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Call `callback(*args, **kwargs)` on the host for its side effect; what it returns is ignored.

    Arguments that are no arrays (strings, functions) are passed as they are. ordered: in program
    order with the other ordered ones. Without a callback: a function that takes it and its
    arguments.

    >>> fx.jit(lambda x: callback(lambda v: None, x))(1.0)
    """
    if callback is None and not args and not kwargs:
        return lambda f, *a, **k: _call(f, a, k, ordered)
    _call(callback, args, kwargs, ordered)
    return None


def _call(callback: Any, args: tuple[Any, ...], kwargs: dict[str, Any], ordered: bool) -> None:
    if not callable(callback):
        raise TypeError("first argument to debug.callback must be callable")
    leaves, tree = tree_flatten((args, kwargs))
    dynamic = [is_array_value(x) for x in leaves]

    def on_leaves(*flat: Any) -> list[Any]:
        given = iter(flat)
        full = [next(given) if d else x for x, d in zip(leaves, dynamic)]
        positional, named = tree.unflatten(full)
        called("debug.callback", callback, positional, named)
        return []

    values = [x for x, d in zip(leaves, dynamic) if d]
    flat = FlatCallback("debug.callback", on_leaves, (), places_of_keys(values))
    debug_callback_p.bind(*values, callback=flat, ordered=bool(ordered))


def _check_format(fmt: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise while tracing where the format and the arguments do not belong together."""
    used: set[Any] = set()
    automatic = 0
    for _, field, _, _ in string.Formatter().parse(fmt):
        if field is None:
            continue
        name = field.split(".")[0].split("[")[0]
        if not name:
            used.add(automatic)
            automatic += 1
        else:
            used.add(int(name) if name.isdigit() else name)
    missing = [u for u in used if (u >= len(args) if isinstance(u, int) else u not in kwargs)]
    if missing:
        kind = IndexError if any(isinstance(u, int) for u in missing) else KeyError
        raise kind(f"debug.print: the format {fmt!r} needs arguments {missing} that are not given")
    unused = [k for k in range(len(args)) if k not in used] + [k for k in kwargs if k not in used]
    if unused:
        raise ValueError(f"Unused arguments to debug.print: {unused}; the format is {fmt!r}")


def _shown(x: Any) -> Any:
    """Arrays as NumPy's, so that format specifications work on scalars; keys as keys."""
    if not is_array_value(x) or isinstance(x, core.Tracer):
        return x
    if holds_keys(x):
        return x if isinstance(x, Array) else Array(np.asarray(x))
    return np.asarray(x)[()]


def print(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    _use_logging: bool = False,
    **kwargs: Any,
) -> Callable[..., None] | None:
    """Print `fmt.format(*args, **kwargs)` with the values at run time.

    Without a format: a function that takes it and its arguments, whose names are then free. Raises
    IndexError or KeyError while tracing where arguments are missing, ValueError where some are
    unused.

    >>> print("x = {x:.1f}", x=2.0)
    x = 2.0
    >>> print(ordered=True)("{} is {ordered}", 3, ordered=True)
    3 is True
    """
    options = ordered, skip_format_check, _use_logging
    if fmt is None and not args and not kwargs:
        return lambda fmt, *a, **k: _print(fmt, a, k, *options)
    _print(fmt, args, kwargs, *options)
    return None


def _print(
    fmt: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    ordered: bool,
    skip_format_check: bool,
    use_logging: bool,
) -> None:
    if not isinstance(fmt, str):
        raise TypeError("First argument to `fx.debug.print` must be a string.")
    if not skip_format_check:
        _check_format(fmt, args, kwargs)

    def show(*values: Any, **named: Any) -> None:
        from fx.tree_util import tree_map

        shown = [tree_map(_shown, v) for v in values]
        text = fmt.format(*shown, **{k: tree_map(_shown, v) for k, v in named.items()})
        if use_logging:
            logging.getLogger("fx.debug").info(text)
        else:
            builtins.print(text)

    _call(show, args, kwargs, ordered)


def log(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    **kwargs: Any,
) -> Callable[..., None] | None:
    """`print` to the logger "fx.debug" of `logging`, at level INFO; arguments and errors are
    `print`'s.
    """
    return print(
        fmt,
        *args,
        ordered=ordered,
        partitioned=partitioned,
        skip_format_check=skip_format_check,
        _use_logging=True,
        **kwargs,
    )


def breakpoint(
    *,
    backend: str | None = None,
    filter_frames: bool = True,
    num_frames: int | None = None,
    ordered: bool = False,
    token: Any = None,
    **kwargs: Any,
) -> None:
    """Python's debugger, in eager code.

    Under jit, grad or vmap it raises RuntimeError that says what to do.
    """
    if core.state.trace is not core.EVAL:
        raise RuntimeError(
            f"fx.debug.breakpoint was reached while tracing ({core.state.trace.kind}): the values "
            f"do not "
            "exist yet. Run the function under fx.disable_jit() to stop in eager code, or use "
            "fx.debug.callback to look at values at run time."
        )
    builtins.breakpoint()


def __getattr__(name: str) -> Any:
    if name == "explain":
        import importlib

        return importlib.import_module("fx.explanation").explain
    raise AttributeError(f"module 'fx.debug' has no attribute {name!r}")
