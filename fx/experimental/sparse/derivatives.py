"""Derivatives by the stored values of sparse arguments (the public names are in
fx.experimental.sparse).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from fx.tree_util import tree_map

__all__ = ["grad", "jacfwd", "jacrev", "value_and_grad"]


def _sparse(x: Any) -> bool:
    from fx.experimental.sparse.coordinates import BCOO

    return isinstance(x, BCOO)


def _by_values(
    transform: Callable[..., Any], fun: Callable[..., Any], argnums: Any, kw: Any
) -> Any:
    """Differentiate by the stored values of sparse arguments; the result has their indices."""
    single = isinstance(argnums, int)
    numbers = (argnums,) if single else tuple(argnums)

    @wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        def of_values(*values: Any) -> Any:
            full = list(args)
            for k, v in zip(numbers, values):
                full[k] = args[k]._with(v) if _sparse(args[k]) else v
            return fun(*full, **kwargs)

        inputs = [a.data if _sparse(a) else a for a in (args[k] for k in numbers)]
        return transform(of_values, tuple(range(len(numbers))), **kw)(*inputs), args

    def rebuild(found: Any, args: Any) -> Any:
        out = [args[k]._with(g) if _sparse(args[k]) else g for k, g in zip(numbers, found)]
        return out[0] if single else tuple(out)

    return wrapped, rebuild


def grad(
    fun: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, **kwargs: Any
) -> Callable[..., Any]:
    """`fx.grad` that gives sparse gradients, of the same indices, for sparse arguments.

    The gradient holds a value for each stored element alone; dense arguments have dense ones.
    Arguments as for `fx.grad`, which see.
    """
    import fx

    inner, rebuild = _by_values(fx.grad, fun, argnums, {"has_aux": has_aux, **kwargs})

    def gradient(*args: Any, **kw: Any) -> Any:
        found, given = inner(*args, **kw)
        return (rebuild(found[0], given), found[1]) if has_aux else rebuild(found, given)

    return gradient


def value_and_grad(
    fun: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, **kwargs: Any
) -> Callable[..., Any]:
    """fx.value_and_grad that gives sparse gradients for sparse arguments."""
    import fx

    inner, rebuild = _by_values(fx.value_and_grad, fun, argnums, {"has_aux": has_aux, **kwargs})

    def both(*args: Any, **kw: Any) -> Any:
        (value, found), given = inner(*args, **kw)
        return value, rebuild(found, given)

    return both


def _jacobian(name: str) -> Callable[..., Any]:
    def jacobian(
        fun: Callable[..., Any], argnums: Any = 0, has_aux: bool = False
    ) -> Callable[..., Any]:
        """The Jacobian by stored values; sparse arguments give the derivative by their data."""
        import fx

        inner, _ = _by_values(getattr(fx, name), fun, argnums, {"has_aux": has_aux})

        def by_values(*args: Any, **kw: Any) -> Any:
            found, _ = inner(*args, **kw)
            return tree_map(lambda x: x, found[0] if isinstance(argnums, int) else found)

        return by_values

    jacobian.__name__ = jacobian.__qualname__ = name
    return jacobian


jacfwd, jacrev = _jacobian("jacfwd"), _jacobian("jacrev")
