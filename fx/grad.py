"""The user's side of reverse mode: linearize, vjp, grad, value_and_grad, linear_transpose.

Trees in and out; the work is `linearize_flat` and `backward_pass` (fx.linearize). Pullbacks are
pure: they can be called any number of times, returned from jit, and hold only the residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, ref_loops
from fx.avals import ShapedArray, float0, is_floating, is_inexact
from fx.core import ClosedJaxpr, Jaxpr, UndefinedPrimal, Zero, get_aval, instantiate
from fx.flatten import (
    OutTree,
    argument_names,
    check_callable,
    flatten_function,
    indices,
    name_of,
    normalize_argnums,
    of_positions,
    wraps,
)
from fx.linearize import Linearized, backward_pass, linearize_flat
from fx.refs import live
from fx.snapshots import snapshots
from fx.tree_util import Partial, tree_flatten, tree_leaves, tree_structure

# ---------------------------------------------------------------- linearize


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of `fun` at `primals`, and the linear function from tangents to tangents there.

    Returns (out, f_jvp), and the auxiliary output third with has_aux. `fun` runs once; f_jvp never
    calls it.

    >>> y, f_jvp = linearize(lambda x: x * x, 3.0)
    >>> f_jvp(1.0)
    Array(6., dtype=float32, weak_type=True)
    """
    check_callable(fun)
    leaves, in_tree = tree_flatten(primals)
    seen = ref_loops.Observed(fun, has_aux) if live else None
    lin, out = _linearized(fun, in_tree, leaves, has_aux, seen)
    count = out.tree.num_leaves
    in_avals = tuple(get_aval(x).to_tangent_aval() for x in leaves)
    pushforward = Pushforward(lin, in_tree, out.tree, in_avals)
    result = out.tree.unflatten(lin.outs[:count]), Partial(pushforward, snapshots(lin.consts))
    aux = _aux(lin, out, seen) if has_aux or seen else None
    return (*result, aux) if has_aux else result


def _linearized(
    fun: Callable[..., Any],
    in_tree: Any,
    leaves: Sequence[Any],
    has_aux: bool,
    seen: ref_loops.Observed | None,
) -> tuple[Linearized, OutTree]:
    """The function's linearization and the structure of its output."""
    if seen is not None:
        fun, has_aux = seen.fun, True
    flat_fun, out = flatten_function(fun, in_tree, has_aux)
    lin = linearize_flat(flat_fun, leaves, lambda: out.tree.num_leaves)
    core.check_leaks()
    return lin, out


def _aux(lin: Linearized, out: OutTree, seen: ref_loops.Observed | None) -> Any:
    """The auxiliary output; what the function left in refs is written to them."""
    aux = out.aux_tree.unflatten(lin.outs[out.tree.num_leaves :])
    return aux if seen is None else seen.store(aux)


class Pushforward:
    """The linear function of tangents that `linearize` returns, without its residuals."""

    def __init__(self, lin: Linearized, in_tree: Any, out_tree: Any, in_avals: tuple[Any, ...]):
        self.jaxpr, self.linear_in, self.nonzero_out = lin.jaxpr, lin.linear_in, lin.nonzero_out
        self.out_avals, self.in_avals = lin.out_avals, in_avals
        self.in_tree, self.out_tree = in_tree, out_tree

    def __call__(self, consts: list[Any], *tangents: Any) -> Any:
        flat, tree = tree_flatten(tangents)
        if tree != self.in_tree:
            raise TypeError(
                "linearized function called with tangents of structure "
                f"{tree}, but the primals had structure {self.in_tree}"
            )
        for t, aval in zip(flat, self.in_avals):
            given = _tangent_aval(t)
            if given.shape != aval.shape or given.dtype != aval.dtype:
                raise ValueError(
                    "linearized function called on tangent values inconsistent with the original "
                    f"primal values: got {given.str_short()} for primal aval {aval.str_short()}"
                )
        args = [t for t, lin in zip(flat, self.linear_in) if lin]
        outs = iter(core.eval_jaxpr(self.jaxpr, consts, *args))
        flat_out = [
            next(outs) if nz else instantiate(Zero(a))
            for nz, a in zip(self.nonzero_out, self.out_avals)
        ]
        return self.out_tree.unflatten(flat_out)


def _tangent_aval(t: Any) -> ShapedArray:
    if isinstance(t, np.ndarray) and t.dtype == float0:
        return ShapedArray(t.shape, float0)
    return get_aval(t)


# ---------------------------------------------------------------- vjp


def vjp(
    fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """The value of `fun` at `primals`, and the pullback from output cotangents to a tuple of input
    cotangents.

    Returns (out, pullback), and the auxiliary output third with has_aux.

    >>> y, pull = vjp(lambda x, w: x * w, 2.0, 5.0)
    >>> pull(1.0)
    (Array(5., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    check_callable(fun)
    leaves, in_tree = tree_flatten(primals)
    seen = ref_loops.Observed(fun, has_aux) if live else None
    lin, out = _linearized(fun, in_tree, leaves, has_aux, seen)
    count = out.tree.num_leaves
    out_avals = [get_aval(o) for o in lin.outs[:count]]
    in_avals = [get_aval(x) for x in leaves]
    pull = Pullback(lin, in_tree, out.tree, in_avals, out_avals, name_of(fun))
    result = out.tree.unflatten(lin.outs[:count]), Partial(pull, snapshots(lin.consts))
    aux = _aux(lin, out, seen) if has_aux or seen else None
    return (*result, aux) if has_aux else result


class Pullback:
    """The linear function of cotangents that `vjp` returns, without its residuals."""

    def __init__(
        self,
        lin: Linearized,
        in_tree: Any,
        out_tree: Any,
        in_avals: list[ShapedArray],
        out_avals: list[ShapedArray],
        name: str,
    ):
        self.jaxpr, self.linear_in, self.nonzero_out = lin.jaxpr, lin.linear_in, lin.nonzero_out
        self.in_tree, self.out_tree = in_tree, out_tree
        self.in_avals, self.out_avals = in_avals, out_avals
        self.name = name

    def __call__(self, consts: list[Any], ct: Any) -> Any:
        flat, tree = tree_flatten(ct)
        if tree != self.out_tree:
            raise ValueError(
                f"unexpected tree structure of argument to vjp function of {self.name}: "
                f"got {tree}, but expected to match {self.out_tree}"
            )
        cts = [self._check(c, aval) for c, aval in zip(flat, self.out_avals)]
        return self.in_tree.unflatten(map(of_type, self.flat(consts, cts), self.in_avals))

    def flat(self, consts: list[Any], cts: Sequence[Any]) -> list[Any]:
        """Cotangents of all flat inputs (symbolic zeros stay) from those of all flat outputs."""
        undefined = [UndefinedPrimal(v.aval) for v in self.jaxpr.invars]
        used = [c for c, nz in zip(cts, self.nonzero_out, strict=True) if nz]
        outs = iter(backward_pass(self.jaxpr, consts, undefined, used))
        return [
            next(outs) if lin else Zero(a.to_tangent_aval())
            for lin, a in zip(self.linear_in, self.in_avals)
        ]

    def _check(self, ct: Any, aval: ShapedArray) -> Any:
        expected = aval.to_tangent_aval()
        given = _tangent_aval(ct)
        if given.shape != expected.shape or (
            given.dtype != expected.dtype and not (given.weak_type or expected.dtype == float0)
        ):
            raise ValueError(
                f"unexpected type for the argument of the vjp function of {self.name}: got "
                f"{given.str_short()}, but expected {expected.str_short()} because the "
                "corresponding "
                f"output of the function {self.name} had type {aval.str_short()}"
            )
        if expected.dtype == float0:
            return Zero(expected)
        if isinstance(ct, bool | int | float | complex):
            return core.constant_like(ct, expected)
        return ct


# ---------------------------------------------------------------- grad


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
    *,
    allow_unused: bool = False,
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns `fun`'s value and its gradient with respect to the arguments
    `argnums`.

    `fun` must return a scalar (and auxiliary data second with has_aux: the value is then (value,
    aux)). Inputs must be floating (complex with holomorphic=True, integers with allow_int=True,
    whose gradients are float0). With allow_unused=True the gradient of a leaf that the value does
    not depend on is None instead of zeros.

    >>> value_and_grad(lambda x: x * x)(3.0)
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    check_callable(fun)
    argnums = indices(argnums)

    @wraps(fun)
    def value_and_grad_f(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        nums = normalize_argnums(argnums, len(args), f"grad of {name_of(fun)}")
        dynamic = tuple(args[n] for n in nums)
        leaves, in_tree = tree_flatten(dynamic)
        for k, leaf in enumerate(leaves):
            _check_input(leaf, k, fun, args, nums, holomorphic, allow_int)

        partial = of_positions(fun, nums, args, kwargs)
        seen = ref_loops.Observed(partial, has_aux) if live else None
        lin, out = _linearized(partial, in_tree, leaves, has_aux, seen)
        value = out.tree.unflatten(lin.outs[: out.tree.num_leaves])
        _check_scalar(fun, value, holomorphic)
        aux = _aux(lin, out, seen) if has_aux or seen else None
        grads = _gradient(lin, leaves, allow_unused)
        tree = in_tree.unflatten(grads)
        gradient = tree[0] if isinstance(argnums, int) else tree
        return ((value, aux) if has_aux else value), gradient

    return value_and_grad_f


def _gradient(lin: Linearized, leaves: Sequence[Any], allow_unused: bool) -> list[Any]:
    """Gradients of the flat inputs; the one output is seeded with one."""
    undefined = [UndefinedPrimal(v.aval) for v in lin.jaxpr.invars]
    seeds = [core.constant_like(1, a) for a, nz in zip(lin.out_avals, lin.nonzero_out) if nz]
    cts = iter(backward_pass(lin.jaxpr, lin.consts, undefined, seeds))
    grads = []
    for x, linear in zip(leaves, lin.linear_in):
        ct = next(cts) if linear else Zero.like(x)
        grads.append(None if allow_unused and type(ct) is Zero else of_type(ct, get_aval(x)))
    return grads


def of_type(ct: Any, aval: ShapedArray) -> Any:
    """A cotangent as a real array, weak where its primal is."""
    ct = instantiate(ct)
    if aval.weak_type and is_inexact(aval.dtype) and not get_aval(ct).weak_type:
        convert_p = core.PRIMITIVES["convert_element_type"]
        return convert_p.bind(ct, new_dtype=aval.dtype, weak_type=True)
    return ct


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
    *,
    allow_unused: bool = False,
) -> Callable[..., Any]:
    """A function that returns the gradient of the scalar function `fun`; see value_and_grad.

    With has_aux it returns (gradient, aux).

    >>> grad(lambda x: x ** 3)(2.0)
    Array(12., dtype=float32, weak_type=True)
    """
    both = value_and_grad(
        fun, argnums, has_aux, holomorphic, allow_int, reduce_axes, allow_unused=allow_unused
    )

    @wraps(fun)
    def grad_f(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_f


def _check_input(
    x: Any,
    k: int,
    fun: Callable[..., Any],
    args: Sequence[Any],
    nums: Sequence[int],
    holomorphic: bool,
    allow_int: bool,
) -> None:
    """Raise TypeError unless the k-th differentiated leaf can be differentiated."""

    def name() -> str:
        names = [
            n
            for num in nums
            for n in argument_names(fun, args, {})[
                len(tree_leaves(args[:num])) : len(tree_leaves(args[: num + 1]))
            ]
        ]
        return f" The argument is {names[k]} of {name_of(fun)}." if k < len(names) else ""

    try:
        dtype = get_aval(x).dtype
    except TypeError as error:
        raise TypeError(f"{error}.{name()}") from None
    if holomorphic:
        if dtype.kind != "c":
            raise TypeError(
                "grad with holomorphic=True requires inputs with complex dtype, but got "
                f"{dtype.name}.{name()}"
            )
    elif not is_inexact(dtype) and not allow_int:
        raise TypeError(
            "grad requires real- or complex-valued inputs (input dtype that is a sub-dtype of "
            f"np.inexact), but got {dtype.name}. If you want to use Boolean- or integer-valued "
            "inputs, "
            f"use vjp or set allow_int to True.{name()}"
        )


def _check_scalar(fun: Callable[..., Any], value: Any, holomorphic: bool) -> None:
    """Raise TypeError unless the value is one real (or, holomorphic, complex) scalar."""
    if not core.is_array_value(value):
        raise TypeError(
            f"Gradient only defined for scalar-output functions. Output of {name_of(fun)} was "
            f"a tree of structure {tree_structure(value)}."
        )
    aval = get_aval(value)
    if aval.shape != ():
        raise TypeError(
            f"Gradient only defined for scalar-output functions. Output had shape: {aval.shape}. "
            f"Reduce the output of {name_of(fun)} to a scalar (.sum(), .mean()), or use vjp or "
            "jacrev."
        )
    if holomorphic:
        if aval.dtype.kind != "c":
            raise TypeError(
                "grad with holomorphic=True requires outputs with complex dtype, but got "
                f"{aval.dtype.name}."
            )
    elif not is_floating(aval.dtype):
        advice = (
            "For holomorphic differentiation, pass holomorphic=True. For differentiation of "
            "non-holomorphic functions involving complex outputs, use vjp directly."
            if aval.dtype.kind == "c"
            else "For differentiation of functions with integer outputs, use vjp directly."
        )
        raise TypeError(
            "grad requires real-valued outputs (output dtype that is a sub-dtype of np.floating), "
            f"but got {aval.dtype.name}. {advice}"
        )


# ---------------------------------------------------------------- transposition of linear functions


def linear_transpose(
    fun: Callable[..., Any], *primals: Any, reduce_axes: Sequence[Any] = ()
) -> Callable[[Any], Any]:
    """The transpose of a function that is linear in all its arguments; `primals` give only shapes
    and dtypes.

    >>> linear_transpose(lambda x: 3 * x, 1.0)(2.0)
    (Array(6., dtype=float32, weak_type=True),)
    """
    check_callable(fun)
    leaves, in_tree = tree_flatten(primals)
    avals = [abstract_of(x) for x in leaves]
    flat_fun, out = flatten_function(fun, in_tree)
    closed = core.close(flat_fun, avals)
    kinds = ["".join({_linear_kind(a) for a in side}) for side in (avals, closed.out_avals)]
    if kinds not in (["f", "f"], ["i", "i"]):
        raise TypeError(
            "linear_transpose only supports [float or complex] -> [float or complex], and integer "
            "-> integer functions, but got "
            + " -> ".join(
                ", ".join(a.dtype.name for a in side) for side in (avals, closed.out_avals)
            )
        )

    def transposed(ct: Any) -> Any:
        flat, tree = tree_flatten(ct)
        if tree != out.tree:
            raise TypeError(
                f"cotangent tree does not match function output, expected {out.tree} but got {tree}"
            )
        cts = [
            core.zeros_like_aval(a) if type(c) is Zero else c
            for c, a in zip(_transpose_flat(closed, flat), avals)
        ]
        return in_tree.unflatten(cts)

    return transposed


def _linear_kind(aval: ShapedArray) -> str:
    return "f" if is_inexact(aval.dtype) else aval.dtype.kind.replace("u", "i")


def _transpose_flat(closed: ClosedJaxpr, flat: Sequence[Any]) -> list[Any]:
    for c, aval in zip(flat, closed.out_avals):
        given = _tangent_aval(c)
        if given.shape != aval.shape or (given.dtype != aval.dtype and not given.weak_type):
            raise TypeError(
                "linear_transpose called with a cotangent of type "
                f"{given.str_short()}; the output has type {aval.str_short()}"
            )
    cts = [
        core.constant_like(c, a) if isinstance(c, bool | int | float | complex) else c
        for c, a in zip(flat, closed.out_avals)
    ]
    jaxpr: Jaxpr = closed.jaxpr
    undefined = [UndefinedPrimal(a) for a in closed.in_avals]
    return backward_pass(jaxpr, closed.consts, undefined, cts)


def abstract_of(x: Any) -> ShapedArray:
    """The aval of a value, or of anything that has a shape and a dtype."""
    if core.is_array_value(x):
        return get_aval(x)
    from fx.avals import canonicalize_dtype

    if hasattr(x, "shape") and hasattr(x, "dtype"):
        dtype = canonicalize_dtype(x.dtype)
        return ShapedArray(tuple(x.shape), dtype, getattr(x, "weak_type", False))
    return get_aval(x)


def fwd_and_bwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool = False,
    jitted: bool = True,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two halves of vjp as functions: fwd(*args) -> (out, pullback), bwd(pullback, ct) ->
    gradients.
    """
    argnums = indices(argnums)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        nums = normalize_argnums(argnums, len(args), f"fwd_and_bwd of {name_of(fun)}")

        partial = of_positions(fun, nums, args, kwargs)
        return vjp(partial, *(args[n] for n in nums), has_aux=has_aux)

    def bwd(pullback: Any, ct: Any) -> Any:
        grads = pullback(ct)
        return grads[0] if isinstance(argnums, int) else grads

    if jitted:
        from fx.jit import jit

        return jit(fwd), jit(bwd)
    return fwd, bwd
