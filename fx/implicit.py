"""Fixed points with derivatives by the implicit function theorem: of x = f(x, a) one has
dx/da = (1 - f_x)^-1 f_a, so no step of the iteration is kept or differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.core import get_aval
from fx.tree_util import tree_leaves, tree_map

__all__ = ["fixed_point"]


def fixed_point(
    fun: Callable[..., Any],
    start: Any,
    *args: Any,
    tol: float | None = None,
    max_steps: int = 1000,
) -> Any:
    """The tree x with x = fun(x, *args), found by iteration from `start`.

    Ends when no entry changes by more than tol * (1 + |entry|) (default: eight units in the last
    place), or after `max_steps`. Both modes of differentiation, to any order, give the derivatives
    by `args` and by what `fun` closes over; linear systems are solved by the same iteration, which
    converges where fun is a contraction at x. The derivative by `start` is zero.

    >>> import fx
    >>> root = lambda a: fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)
    >>> root(4.0).item(), round(fx.grad(root)(4.0).item(), 6)
    (2.0, 0.25)
    """
    start = tree_map(fnp.asarray, start)

    def residual(x: Any) -> Any:
        return tree_map(fnp.subtract, x, fun(x, *args))

    def solve(f: Callable[[Any], Any], x: Any) -> Any:
        return _iterate(lambda x: tree_map(fnp.subtract, x, f(x)), x, tol, max_steps)

    def tangent_solve(g: Callable[[Any], Any], b: Any) -> Any:
        def neumann(matvec: Callable[[Any], Any], b: Any) -> Any:
            def step(x: Any) -> Any:
                return tree_map(lambda x, m, b: x - m + b, x, matvec(x), b)

            return _iterate(step, b, tol, max_steps)

        return lax.custom_linear_solve(g, b, neumann, neumann)

    return lax.custom_root(residual, start, solve, tangent_solve)


def _iterate(step: Callable[[Any], Any], x: Any, tol: float | None, max_steps: int) -> Any:
    """step(step(...step(x))) until nothing changes."""

    def going_on(state: Any) -> Any:
        k, old, new = state
        moved = [_moved(a, b, tol) for a, b in zip(tree_leaves(old), tree_leaves(new))]
        return (k < max_steps) & fnp.any(fnp.stack(moved))

    def once(state: Any) -> Any:
        k, _, new = state
        return k + 1, new, step(new)

    return lax.while_loop(going_on, once, (1, x, step(x)))[2]


def _moved(old: Any, new: Any, tol: float | None) -> Any:
    bound = 8 * float(np.finfo(get_aval(new).dtype).eps) if tol is None else tol
    return fnp.any(fnp.abs(new - old) > bound * (1 + fnp.abs(new)))
