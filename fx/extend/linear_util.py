"""`fx.extend.linear_util`: functions with transformations stacked on them, under JAX's names.

A transformation wraps a function f: `fun(f, *static, *args)`; one with an auxiliary output hands
it to a store that is read after the call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fx.flatten import name_of


class StoreException(Exception):
    """A store was read before it was filled, or filled twice."""


class Store:
    """Holds the auxiliary output of a transformation once its function was called."""

    def __init__(self) -> None:
        self.full, self._val = False, None

    def store(self, value: Any) -> None:
        """Fill it."""
        if self.full and self._val != value:
            raise StoreException("Store occupied")
        self.full, self._val = True, value

    @property
    def val(self) -> Any:
        """What it holds."""
        if not self.full:
            raise StoreException("Store empty")
        return self._val

    def reset(self) -> None:
        """Empty it."""
        self.full = False


class WrappedFun:
    """A function of positional arguments with transformations around it."""

    def __init__(
        self, f: Callable[..., Any], params: dict[str, Any] | None = None, debug_info: Any = None
    ):
        self.f, self.params, self.debug_info = f, params or {}, debug_info

    @property
    def __name__(self) -> str:
        return name_of(self.f)

    def wrap(self, around: Callable[..., Any]) -> WrappedFun:
        """The function with one more transformation: around(f, *args, **kwargs)."""
        return WrappedFun(partial(around, self.call_wrapped), None, self.debug_info)

    def call_wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.f(*args, **{**self.params, **kwargs})


def wrap_init(
    f: Callable[..., Any], params: dict[str, Any] | None = None, *, debug_info: Any = None
) -> WrappedFun:
    """A function to be transformed."""
    return WrappedFun(f, params, debug_info)


def transformation2(gen: Callable[..., Any], fun: WrappedFun, *static: Any) -> WrappedFun:
    """`fun` with gen(f, *static, *args, **kwargs) around it."""
    return fun.wrap(lambda f, *args, **kwargs: gen(f, *static, *args, **kwargs))


def transformation_with_aux2(
    gen: Callable[..., Any], fun: WrappedFun, *static: Any
) -> tuple[WrappedFun, Callable[[], Any]]:
    """`fun` with gen(f, store, *static, *args) around it, and a function that reads the store."""
    store = Store()
    wrapped = fun.wrap(lambda f, *args, **kwargs: gen(f, store, *static, *args, **kwargs))
    return wrapped, lambda: store.val


def _through(gen: Callable[..., Any], f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a generator that yields (args, kwargs) for f, is sent its result, and yields its own."""
    steps = gen(*args, **kwargs)
    given, named = next(steps)
    return steps.send(f(*given, **named))


def transformation(gen: Callable[..., Any]) -> Callable[..., WrappedFun]:
    """A transformation from a generator function: yields (args, kwargs), receives the result,
    yields the output. Use as a decorator.
    """

    def apply(fun: WrappedFun, *static: Any) -> WrappedFun:
        return fun.wrap(lambda f, *args, **kw: _through(gen, f, *static, *args, **kw))

    return apply


def transformation_with_aux(gen: Callable[..., Any]) -> Callable[..., Any]:
    """As `transformation`, for a generator that yields (output, aux) at last."""

    def apply(fun: WrappedFun, *static: Any) -> tuple[WrappedFun, Callable[[], Any]]:
        store = Store()

        def around(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            out, aux = _through(gen, f, *static, *args, **kwargs)
            store.store(aux)
            return out

        return fun.wrap(around), lambda: store.val

    return apply
