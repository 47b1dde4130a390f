"""Whole Jacobians: jacfwd, jacrev, hessian, and products with them (hvp).

A Jacobian is the pushforward or pullback mapped over the standard basis; its tree is the
output's, each leaf holding the input's tree, each entry of shape output.shape + input.shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, float0, is_floating, is_inexact
from fx.core import get_aval
from fx.flatten import check_callable, indices, name_of, normalize_argnums, of_positions, wraps
from fx.grad import grad, of_type, vjp
from fx.jvp import jvp
from fx.tree_util import tree_flatten, tree_map
from fx.vmap import vmap


def _partial(fun: Callable[..., Any], argnums: Any, args: Any, kwargs: Any, what: str) -> Any:
    nums = normalize_argnums(argnums, len(args), f"{what} of {name_of(fun)}")
    partial = of_positions(fun, nums, args, kwargs)
    return partial, tuple(args[n] for n in nums)


def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun` by forward mode: one pushforward per input entry; cheap for few inputs.

    >>> jacfwd(lambda x: x * x)(3.0)
    Array(6., dtype=float32, weak_type=True)
    """
    check_callable(fun)
    argnums = indices(argnums)

    @wraps(fun)
    def jacfun(*args: Any, **kwargs: Any) -> Any:
        partial, dynamic = _partial(fun, argnums, args, kwargs, "jacfwd")
        leaves, in_tree = tree_flatten(dynamic)
        for x in leaves:
            _check(x, "jacfwd", "input", holomorphic)

        def push(*tangents: Any) -> Any:
            given: Any = in_tree.unflatten(tangents)
            return jvp(partial, dynamic, given, has_aux=has_aux)

        basis = _standard_basis(leaves)
        out_axes = (None, -1, None) if has_aux else (None, -1)
        out, jac, *aux = vmap(push, in_axes=-1, out_axes=out_axes)(*basis)
        tree_map(lambda x: _check(x, "jacfwd", "output", holomorphic), out)
        result = tree_map(lambda y, j: _split_last(y, j, leaves, in_tree, argnums), out, jac)
        return (result, aux[0]) if has_aux else result

    return jacfun


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun` by reverse mode: one pullback per output entry; cheap for few outputs.

    >>> jacrev(lambda x: x * x)(3.0)
    Array(6., dtype=float32, weak_type=True)
    """
    check_callable(fun)
    argnums = indices(argnums)

    @wraps(fun)
    def jacfun(*args: Any, **kwargs: Any) -> Any:
        partial, dynamic = _partial(fun, argnums, args, kwargs, "jacrev")
        leaves, in_tree = tree_flatten(dynamic)
        for x in leaves:
            if not (allow_int and not is_inexact(get_aval(x).dtype)):
                _check(x, "jacrev", "input", holomorphic)
        out, pull, *aux = vjp(partial, *dynamic, has_aux=has_aux)
        outs, out_tree = tree_flatten(out)
        for y in outs:
            _check(y, "jacrev", "output", holomorphic)

        def pull_flat(*cts: Any) -> list[Any]:
            return tree_flatten(pull(out_tree.unflatten(cts)))[0]

        rows = vmap(pull_flat, in_axes=0, out_axes=0)(*_standard_basis(outs, leading=True))
        per_output: list[Any] = []
        start = 0
        for y in outs:
            shape = get_aval(y).shape
            stop = start + int(np.prod(shape))
            per_input = [
                _zeros(shape, x, get_aval(x).dtype)
                if r.dtype == float0
                else r[start:stop].reshape((*shape, *get_aval(x).shape))
                for r, x in zip(rows, leaves)
            ]
            tree = in_tree.unflatten(per_input)
            per_output.append(tree[0] if isinstance(argnums, int) else tree)
            start = stop
        result = out_tree.unflatten(per_output)
        return (result, aux[0]) if has_aux else result

    return jacfun


jacobian = jacrev


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Hessian of `fun`: forward mode over reverse mode.

    >>> hessian(lambda x: x ** 3)(2.0)
    Array(12., dtype=float32, weak_type=True)
    """
    return jacfwd(
        jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic=holomorphic
    )


def hvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of the Hessian of a scalar function with `tangents`: jvp of grad, without the
    Hessian.

    `primals` and `tangents` are tuples of arguments; with one argument the result is its tree, else
    a tuple.

    >>> hvp(lambda x: x ** 3, (2.0,), (1.0,))
    Array(12., dtype=float32, weak_type=True)
    """
    primals, tangents = tuple(primals), tuple(tangents)
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fun, argnums), primals, tangents)[1]


def _standard_basis(leaves: Sequence[Any], leading: bool = False) -> list[Any]:
    """One batch per leaf (along its last, or its first axis): all unit vectors of the flat
    space.
    """
    avals = [get_aval(x) for x in leaves]
    sizes = [a.size for a in avals]
    total, start = sum(sizes), 0
    basis = []
    for aval, size in zip(avals, sizes):
        dtype = aval.to_tangent_aval().dtype
        eye = np.zeros((total, size), dtype)
        if is_inexact(aval.dtype):
            eye[np.arange(start, start + size), np.arange(size)] = 1
        start += size
        eye = eye.reshape((total, *aval.shape))
        batch = eye if leading else np.ascontiguousarray(np.moveaxis(eye, 0, -1))
        basis.append(core.host.from_numpy(batch, False) if is_inexact(aval.dtype) else batch)
    return basis


def _zeros(shape: tuple[int, ...], x: Any, dtype: Any) -> Any:
    """The Jacobian of or by integers."""
    return core.zeros_like_aval(ShapedArray((*shape, *get_aval(x).shape), dtype))


def _split_last(y: Any, j: Any, leaves: Sequence[Any], in_tree: Any, argnums: Any) -> Any:
    """Cut the last axis of output y's Jacobian into one piece per input, each of its shape; weakly
    typed where y is.
    """
    shape = get_aval(j).shape[:-1]
    pieces, start = [], 0
    for x in leaves:
        aval = get_aval(x)
        if j.dtype == float0:
            pieces.append(_zeros(shape, x, get_aval(y).dtype))
        else:
            piece = j[..., start : start + aval.size].reshape((*shape, *aval.shape))
            pieces.append(of_type(piece, get_aval(y)))
        start += aval.size
    tree = in_tree.unflatten(pieces)
    return tree[0] if isinstance(argnums, int) else tree


def _check(x: Any, name: str, which: str, holomorphic: bool) -> None:
    dtype = get_aval(x).dtype
    if holomorphic:
        if dtype.kind != "c":
            raise TypeError(
                f"{name} with holomorphic=True requires {which}s with complex dtype, but got "
                f"{dtype.name}."
            )
        return
    if name == "jacfwd" and which == "output":
        return
    wanted = (
        is_floating if (name, which) in (("jacfwd", "input"), ("jacrev", "output")) else is_inexact
    )
    if not wanted(dtype):
        raise TypeError(
            f"{name} requires real-valued {which}s ({which} dtype that is a sub-dtype of "
            "np.floating), "
            f"but got {dtype.name}."
        )
