"""named_scope and named_call: labels for the equations traced inside, shown where their kernels
are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fx.core import state
from fx.flatten import wraps


@contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Label what is traced inside the block; labels nest as `outer/inner`.

    >>> with named_scope("attention"):
    ...     pass
    """
    if not isinstance(name, str):
        raise TypeError("named_scope name argument must be a string.")
    old = state.scope
    state.scope = f"{old}/{name}" if old else name
    try:
        yield
    finally:
        state.scope = old


def named_call(fun: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """`fun` inside a named scope (by default its own name), a label in profiles."""
    label = name or getattr(fun, "__name__", "call")

    @wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        with named_scope(label):
            return fun(*args, **kwargs)

    return call
