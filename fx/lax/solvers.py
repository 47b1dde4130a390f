"""fx.lax: custom_linear_solve and custom_root, solvers whose derivatives come from the equation
they solve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx import core
from fx.core import get_aval
from fx.lax.carry import Traced, check_carry, trace_flat
from fx.prims import elementwise
from fx.prims.linear_solve import Four, bind
from fx.tree_util import tree_flatten, tree_structure

__all__ = ["custom_linear_solve", "custom_root"]


def _check_same(what: str, expected_tree: Any, expected: Any, traced: Any) -> None:
    """The output of a given function must look like the equation's vectors."""
    shapes = [[a.shape for a in avals] for avals in (traced.out_avals, expected)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{what} output shapes must match b, got {shapes[0]} and {shapes[1]}")
    if traced.out_tree != expected_tree:
        raise TypeError(
            f"{what} output pytree structure must match that of its input: expected "
            f"{expected_tree}, got "
            f"{traced.out_tree}."
        )
    for a, b in zip(expected, traced.out_avals):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            raise TypeError(
                f"{what} output types must match: expected {a.str_short()}, got {b.str_short()}."
            )


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """x with matvec(x) = b, found by `solve(matvec, b)`; derivatives solve the same equation.

    matvec: a linear function from trees like b to trees like b; it may close over traced values,
    which get derivatives. transpose_solve(vecmat, b) solves the transposed equation for reverse
    mode; `symmetric` says that `solve` does that too. has_aux: solve returns (x, auxiliary data).

    >>> custom_linear_solve(lambda x: 2 * x, 6.0, lambda mv, b: b / 2, symmetric=True)
    Array(3., dtype=float32)
    """
    if transpose_solve is not None and symmetric:
        raise ValueError("custom_linear_solve: give transpose_solve or symmetric=True, not both")
    leaves, tree = tree_flatten(b)
    avals = [get_aval(v).strip_weak_type() for v in leaves]
    in_tree = tree_structure((b,))
    traced_matvec = trace_flat(matvec, in_tree, avals)
    _check_same("matvec", tree, avals, traced_matvec)

    def on(function: Callable[[Any], Any], solver: Any) -> Any:
        return trace_flat(lambda right: solver(function, right), in_tree, avals)

    traced_solve = on(matvec, solve)
    aux_tree = None
    if has_aux:
        if traced_solve.out_tree.type is not tuple or traced_solve.out_tree.num_children != 2:
            raise ValueError("custom_linear_solve: solve must return a pair where has_aux is set.")
        x_tree, aux_tree = traced_solve.out_tree.children()
        first = traced_solve._replace(
            out_tree=x_tree, out_avals=traced_solve.out_avals[: len(avals)]
        )
        _check_same("solve", tree, avals, first)
    else:
        _check_same("solve", tree, avals, traced_solve)
    traced_vecmat = traced_back = None
    if symmetric:
        traced_vecmat, traced_back = traced_matvec, traced_solve
    elif transpose_solve is not None:
        vecmat = _transposed(matvec, b)
        traced_vecmat = trace_flat(vecmat, in_tree, avals)
        traced_back = on(vecmat, transpose_solve)
    four = Four(traced_matvec, traced_vecmat, traced_solve, traced_back)
    jaxprs = Four(*(t and t.jaxpr for t in four))
    outs = bind(jaxprs, Four(*(t.consts if t else [] for t in four)), leaves)
    return traced_solve.out_tree.unflatten(outs) if aux_tree is not None else tree.unflatten(outs)


def _transposed(matvec: Callable[[Any], Any], like: Any) -> Callable[[Any], Any]:
    from fx.grad import linear_transpose

    transpose = linear_transpose(matvec, like)
    return lambda x: transpose(x)[0]


# ---------------------------------------------------------------- roots


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """x with f(x) = 0, found by `solve(f, initial_guess)`, differentiated by the implicit function
    theorem.

    f may close over traced values, which get derivatives: f_x dx = -f_p dp. tangent_solve(g, y)
    solves the linear equation g(x) = y. has_aux: solve returns (x, auxiliary data).

    >>> newton = lambda g, x0: fx.lax.fori_loop(0, 9, lambda i, x: x - g(x) / (2 * x), x0)
    >>> custom_root(lambda x: x * x - 9.0, 1.0, newton, lambda g, y: y / g(1.0))
    Array(3., dtype=float32, weak_type=True)
    """
    from fx.grad import linearize

    leaves, tree = tree_flatten(initial_guess)
    avals = [get_aval(v) for v in leaves]
    in_tree = tree_structure((initial_guess,))
    traced_f = trace_flat(f, in_tree, avals)
    check_carry("custom_root f", "x", tree, avals, traced_f.out_tree, traced_f.out_avals)
    traced_solve = trace_flat(lambda guess: solve(f, guess), in_tree, avals)
    x_tree = traced_solve.out_tree.children()[0] if has_aux else traced_solve.out_tree
    x_avals = traced_solve.out_avals[: x_tree.num_leaves]
    check_carry("custom_root solve", "x", tree, avals, x_tree, x_avals)

    def solve_linearized(x: Any, y: Any) -> Any:
        _, g = linearize(f, x)
        return tangent_solve(g, y)

    pair = tree_structure((initial_guess, initial_guess))
    traced_linear = trace_flat(solve_linearized, pair, [*avals, *avals])
    linear_tree, linear_avals = traced_linear.out_tree, traced_linear.out_avals
    check_carry("custom_root tangent_solve", "x", tree, avals, linear_tree, linear_avals)
    root = _root(traced_f, traced_solve, traced_linear, len(avals))
    outs = root(traced_f.consts, traced_solve.consts, traced_linear.consts, leaves)
    return traced_solve.out_tree.unflatten(outs)


def _root(traced_f: Traced, traced_solve: Traced, traced_linear: Traced, count: int) -> Any:
    """(constants of each function, guess) -> outputs of solve; the first `count` are the root."""
    from fx.custom import custom_jvp
    from fx.jvp import jvp

    def run(traced: Traced, consts: Any, *args: Any) -> list[Any]:
        return core.eval_jaxpr(traced.jaxpr.jaxpr, [], *consts, *args)

    @custom_jvp
    def root(f_consts: Any, solve_consts: Any, linear_consts: Any, guess: Any) -> list[Any]:
        return run(traced_solve, solve_consts, *guess)

    @root.defjvp
    def root_jvp(primals: Any, tangents: Any) -> Any:
        f_consts, _, linear_consts, _ = primals
        outs = root(*primals)
        x = outs[:count]
        at_root = lambda *consts: run(traced_f, consts, *x)  # noqa: E731
        _, moved = jvp(at_root, tuple(f_consts), tuple(tangents[0]))
        dx = [elementwise.neg(v) for v in run(traced_linear, linear_consts, *x, *moved)]
        return outs, [*dx, *(core.instantiate(core.Zero.like(v)) for v in outs[count:])]

    return root
