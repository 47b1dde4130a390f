"""fx.lax: scan, while_loop, fori_loop, map.

The body is traced once; carries must keep their types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from math import isqrt
from typing import Any

import numpy as np

from fx import core, ref_loops
from fx.config import config
from fx.core import get_aval
from fx.lax.carry import carry_name, check_carry, promote_weak, trace_flat
from fx.prims import compare, elementwise, parts
from fx.prims import scan as scan_prim
from fx.prims import shape as views
from fx.prims import while_ as while_prim
from fx.refs import live
from fx.tree_paths import keystr
from fx.tree_util import (
    tree_flatten,
    tree_leaves,
    tree_leaves_with_path,
    tree_map,
    tree_structure,
)

__all__ = ["fori_loop", "map", "scan", "while_loop"]

# ---------------------------------------------------------------- scan


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
    *,
    checkpoint: int | bool | None = None,
) -> tuple[Any, Any]:
    """carry, y = f(carry, x) for each x along the leading axis of xs; returns (last carry, stacked
    ys).

    xs: a tree of arrays of one leading size, or None with `length`. reverse goes from the last to
    the first (ys stay in the order of xs). The carry keeps its structure, shapes and dtypes:
    TypeError names the leaf that does not. unroll is a hint.

    checkpoint: True, or a number of steps k. Reverse mode then keeps the carry of every k-th step
    (k about sqrt(length) for True) and recomputes the steps between: O(length / k + k) memory.

    >>> scan(lambda c, x: (c + x, c), 0.0, fx.numpy.arange(3.0))
    (Array(3., dtype=float32), Array([0., 0., 1.], dtype=float32, weak_type=True))
    """
    if not callable(f):
        raise TypeError("lax.scan: f argument should be a callable.")
    again = partial(scan, length=length, reverse=reverse, unroll=unroll, checkpoint=checkpoint)
    if live and (found := ref_loops.scan(f, init, xs, again)) is not None:
        return found
    xs_flat, xs_tree = tree_flatten(xs)
    length = _scan_length(xs_flat, xs_tree, length)
    if not isinstance(unroll, bool) and operator.index(unroll) < 0:
        raise ValueError("`unroll` must be a `bool` or a non-negative `int`.")
    if config.disable_jit:
        return _python_scan(f, init, xs_flat, xs_tree, length, reverse)
    if checkpoint and length > 1:
        step = isqrt(length) if checkpoint is True else min(int(checkpoint), length)
        return _segments(f, init, xs_flat, xs_tree, length, reverse, step)
    x_avals = [a.update(shape=a.shape[1:]) for a in _avals(xs_flat)]
    init_flat, init_tree = tree_flatten(init)
    in_tree = tree_structure((init, xs))
    while True:
        avals = _avals(init_flat)
        traced = trace_flat(f, in_tree, [*avals, *x_avals])
        _check_pair(traced)
        carry_tree, _ = traced.out_tree.children()
        out_avals = traced.out_avals[: carry_tree.num_leaves]
        check = carry_tree == init_tree
        init_flat, changed = promote_weak(init_flat, avals, out_avals) if check else (init_flat, 0)
        if not changed:
            break
    check_carry("scan body", carry_name(f), init_tree, avals, carry_tree, out_avals)
    unroll = length if unroll is True else int(unroll)
    steps = {"length": length, "reverse": bool(reverse), "unroll": unroll}
    outs = scan_prim.bind(traced.jaxpr, traced.consts, init_flat, xs_flat, **steps)
    return traced.out_tree.unflatten(outs)


def _avals(values: Any) -> list[Any]:
    return [get_aval(v) for v in values]


def _check_pair(traced: Any) -> None:
    tree = traced.out_tree
    if tree.type is not tuple or tree.num_children != 2:
        shown = tree_map(lambda a: a, tree.unflatten(traced.out_avals))
        if tree.num_nodes == 1 and tree.num_leaves == 1:
            shown = shown.str_short()
        raise TypeError(f"scan body output must be a pair, got {shown}.")


def _scan_length(xs: list[Any], tree: Any, length: Any) -> int:
    sizes = []
    for k, x in enumerate(xs):
        aval = get_aval(x)
        if aval.ndim == 0:
            name = list(_shapes(xs, tree))[k]
            raise ValueError(f"scan got value with no leading axis to scan over: {x}, as {name}.")
        sizes.append(aval.shape[0])
    if length is not None:
        try:
            length = operator.index(length)
        except TypeError:
            raise _length_error(length) from None
        if any(s != length for s in sizes):
            raise ValueError(
                f"scan got `length` argument of {length} which disagrees with leading axis sizes "
                f"{sizes}. The values are {', '.join(_listed(_shapes(xs, tree)))}."
            )
        return length
    if len(set(sizes)) > 1:
        raise ValueError(
            f"scan got values with different leading axis sizes: {', '.join(_listed(sizes))}. The "
            f"values are {', '.join(_listed(_shapes(xs, tree)))}."
        )
    if not sizes:
        raise ValueError("scan got no values to scan over and `length` not provided.")
    return sizes[0]


def _shapes(xs: list[Any], tree: Any) -> list[str]:
    """xs['a'] of shape (3, 2), for each leaf."""
    paths = tree_leaves_with_path(tree.unflatten(range(len(xs))))
    return [f"xs{keystr(p)} of shape {get_aval(x).shape}" for (p, _), x in zip(paths, xs)]


def _listed(sizes: Sequence[Any]) -> list[str]:
    return [str(s) for s in sizes]


def _length_error(length: Any) -> Exception:
    from fx.errors import ConcretizationTypeError

    return ConcretizationTypeError(
        f"The `length` argument to `scan` expects a concrete `int` value, got {length!r}."
    )


def _at(x: Any, k: int) -> Any:
    return views.squeeze(parts.slice_in_dim(x, k, k + 1), (0,))


def _python_scan(f, init, xs_flat, xs_tree, length, reverse):
    """Under disable_jit: the loop in Python, on concrete values."""
    carry, ys = init, []
    for k in range(length - 1, -1, -1) if reverse else range(length):
        carry, y = f(carry, xs_tree.unflatten([_at(x, k) for x in xs_flat]))
        ys.append(y)
    if reverse:
        ys.reverse()
    if not ys:
        raise ValueError("zero-length scan is not supported in disable_jit() mode.")
    return carry, tree_map(lambda *leaves: stacked(leaves), *ys)


def _python_while(cond_fun: Any, body_fun: Any, init: Any) -> Any:
    """Under disable_jit: the loop in Python, on arrays as the traced loop would have them."""
    from fx.numpy.creation import asarray

    value = tree_map(asarray, init)
    while cond_fun(value):
        value = tree_map(asarray, body_fun(value))
    return value


def stacked(values: Any) -> Any:
    """Values stacked along a new leading axis."""
    return parts.concatenate([views.expand_dims(v, (0,)) for v in values], 0)


def _segments(f, init, xs_flat, xs_tree, length, reverse, step):
    """scan as a scan over checkpointed segments of `step`, and the rest."""
    from fx.remat import checkpoint

    count = length // step
    whole = count * step
    cut = length - whole if reverse else 0  # the odd segment comes last in time
    main = [parts.slice_in_dim(x, cut, cut + whole) for x in xs_flat]
    rest = [
        parts.slice_in_dim(x, 0, cut) if reverse else parts.slice_in_dim(x, whole, length)
        for x in xs_flat
    ]
    blocks = [views.reshape(x, (count, step, *get_aval(x).shape[1:])) for x in main]

    def segment(carry: Any, block: Any) -> Any:
        return scan(f, carry, block, length=step, reverse=reverse)

    carry, ys = scan(
        checkpoint(segment), init, xs_tree.unflatten(blocks), length=count, reverse=reverse
    )
    ys = tree_map(lambda y: views.reshape(y, (whole, *get_aval(y).shape[2:])), ys)
    if length == whole:
        return carry, ys
    tail = checkpoint(lambda c, x: scan(f, c, x, length=length - whole, reverse=reverse))
    carry, more = tail(carry, xs_tree.unflatten(rest))
    order = reversed if reverse else list

    def join(a: Any, b: Any) -> Any:
        return parts.concatenate(list(order([a, b])), 0)

    return carry, tree_map(join, ys, more)


# ---------------------------------------------------------------- while_loop


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    *,
    max_steps: int | None = None,
) -> Any:
    """Repeat val = body_fun(val) while cond_fun(val); both may be traced, and so may init_val.

    The value keeps its structure, shapes and dtypes (TypeError names the leaf that does not);
    cond_fun returns a boolean scalar. Forward mode and vmap (which masks finished examples) work.

    max_steps: stop after that many steps. Reverse mode works then, in O(sqrt(max_steps)) memory.

    >>> while_loop(lambda x: x < 100, lambda x: 2 * x, 3.0)
    Array(192., dtype=float32, weak_type=True)
    """
    if not (callable(cond_fun) and callable(body_fun)):
        raise TypeError("lax.while_loop: body_fun and cond_fun arguments should be callable.")
    if live:
        run = lambda *args: while_loop(*args, max_steps=max_steps)  # noqa: E731
        found = ref_loops.while_loop(cond_fun, body_fun, init_val, run)
        if found is not None:
            return found[0]
    if max_steps is not None:
        return _limited(cond_fun, body_fun, init_val, operator.index(max_steps))
    if config.disable_jit and not any(isinstance(x, core.Tracer) for x in tree_leaves(init_val)):
        return _python_while(cond_fun, body_fun, init_val)
    return _while(cond_fun, body_fun, init_val, None)


def _while(cond_fun: Any, body_fun: Any, init: Any, max_steps: int | None) -> Any:
    flat, tree = tree_flatten(init)
    in_tree = tree_structure((init,))
    while True:
        avals = _avals(flat)
        body = trace_flat(body_fun, in_tree, avals)
        if body.out_tree != tree:
            break
        flat, changed = promote_weak(flat, avals, body.out_avals)
        if not changed:
            break
    test = trace_flat(cond_fun, in_tree, avals)
    if test.out_tree.num_nodes != 1 or test.out_tree.num_leaves != 1:
        raise TypeError(f"cond_fun must return a boolean scalar, but got pytree {test.out_tree}.")
    result = test.out_avals[0]
    if result.shape != () or result.dtype != np.bool_:
        raise TypeError(
            f"cond_fun must return a boolean scalar, but got output type(s) [{result.str_short()}]."
        )
    check_carry("while_loop body", carry_name(body_fun), tree, avals, body.out_tree, body.out_avals)
    outs = while_prim.bind(test.jaxpr, test.consts, body.jaxpr, body.consts, flat, max_steps)
    return tree.unflatten(outs)


def _limited(cond_fun: Any, body_fun: Any, init: Any, max_steps: int) -> Any:
    """The loop with a step counter in front of its carry."""

    def test(carry: Any) -> Any:
        more = cond_fun(carry[1])
        aval = get_aval(more)
        if aval.shape != () or aval.dtype != np.bool_:
            raise TypeError(
                f"cond_fun must return a boolean scalar, but got output type(s) "
                f"[{aval.str_short()}]."
            )
        return compare.and_p.bind(more, compare.lt(carry[0], np.int32(max_steps)))

    def step(carry: Any) -> Any:
        return elementwise.add(carry[0], np.int32(1)), body_fun(carry[1])

    return _while(test, step, (np.int32(0), init), max_steps)[1]


# ---------------------------------------------------------------- fori_loop


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """val = body_fun(i, val) for i in range(lower, upper).

    Concrete bounds make it a scan, which reverse mode goes through; traced ones make it a
    while_loop. Raises TypeError where the bounds are no integers of one dtype or the value changes
    its type.

    >>> fori_loop(0, 4, lambda i, x: x + i, 10)
    Array(16, dtype=int32, weak_type=True)
    """
    if not callable(body_fun):
        raise TypeError("lax.fori_loop: body_fun argument should be callable.")
    lower, upper = _bounds(lower, upper)
    first, last = concrete_int(lower), concrete_int(upper)
    if first is None or last is None:
        if unroll is not None and unroll is not False and unroll != 1:
            raise ValueError(
                "Can only use `unroll` in `fori_loop` if the loop bounds are statically known."
            )

        def step(loop_carry: Any) -> Any:
            i, limit, x = loop_carry
            return elementwise.add(i, 1), limit, body_fun(i, x)

        test = lambda loop_carry: compare.lt(loop_carry[0], loop_carry[1])  # noqa: E731
        return while_loop(test, step, (lower, upper, init_val))[2]
    length = max(last - first, 0)
    if config.disable_jit:
        for k in range(first, last):
            init_val = body_fun(k, init_val)
        return init_val

    def scan_body(loop_carry: Any, _: Any) -> Any:
        i, x = loop_carry
        return (elementwise.add(i, 1), body_fun(i, x)), None

    (_, out), _ = scan(
        scan_body, (lower, init_val), None, length, unroll=1 if unroll is None else unroll
    )
    return out


def _bounds(lower: Any, upper: Any) -> tuple[Any, Any]:
    """Both bounds in one integer dtype; Python integers take the other's."""
    a, b = get_aval(lower), get_aval(upper)
    if a.dtype != b.dtype:
        if isinstance(lower, int) and b.dtype.kind in "iu":
            lower = b.dtype.type(lower)
        elif isinstance(upper, int) and a.dtype.kind in "iu":
            upper = a.dtype.type(upper)
        else:
            raise TypeError(
                "lower and upper arguments to fori_loop must have equal types, got "
                f"{a.dtype.name} and {b.dtype.name}"
            )
    if get_aval(lower).dtype.kind not in "iu":
        raise TypeError(f"fori_loop bounds must be integers, got {a.dtype.name} and {b.dtype.name}")
    return lower, upper


def concrete_int(x: Any) -> int | None:
    """The integer behind x, or None where it is traced."""
    if isinstance(x, core.Tracer):
        x = x.concrete()
        if x is None:
            return None
    return int(core.host.to_numpy(x))


# ---------------------------------------------------------------- map


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """f on each slice along the leading axis of xs, one after the other, stacked.

    batch_size: how many slices are vmapped together in each step, 0 for all of them.

    The results have the leading size in front. Without batch_size it is a scan without carry, and
    differentiates like one. ValueError where leading sizes differ or are missing, and for a
    negative batch_size.

    >>> map(lambda x: x * x, fx.numpy.arange(3.0))
    Array([0., 1., 4.], dtype=float32)
    """
    if batch_size is None:
        return scan(lambda _, x: ((), f(x)), (), xs)[1]
    if batch_size < 0:
        raise ValueError(
            f"map: batch_size must be positive, or 0 for all slices at once; got {batch_size}."
        )
    from fx.vmap import vmap

    flat, tree = tree_flatten(xs)
    length = _scan_length(flat, tree, None)
    count = length // batch_size if batch_size else 0
    whole = count * batch_size
    g = vmap(f)
    results = []
    if count:
        blocks = [
            views.reshape(
                parts.slice_in_dim(x, 0, whole), (count, batch_size, *get_aval(x).shape[1:])
            )
            for x in flat
        ]
        ys = scan(lambda _, x: ((), g(x)), (), tree.unflatten(blocks))[1]
        results.append(tree_map(lambda y: views.reshape(y, (whole, *get_aval(y).shape[2:])), ys))
    if whole < length or not results:
        results.append(g(tree.unflatten([parts.slice_in_dim(x, whole, length) for x in flat])))
    if len(results) == 1:
        return results[0]
    return tree_map(lambda a, b: parts.concatenate([a, b], 0), *results)
