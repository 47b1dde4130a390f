"""Refs across control flow and transformations: each function is its namesake for functions that
read or write refs. What a body touches becomes a carry, an operand, or an auxiliary output.

A function returns None where no ref is touched: the caller goes on as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx import core
from fx.flatten import wraps
from fx.refs import Taken, lifted, observed, one_of, store, touched, values_of
from fx.tree_util import tree_leaves, tree_map


def _made_and_run(taken: Taken, fun: Callable[..., Any]) -> Callable[[Any], Any]:
    """fun on arguments whose refs are made inside; gives (result, final values of those refs)."""

    def run(args: Any) -> Any:
        given, made = taken.with_refs(args)
        out = fun(*given)
        return out, [r._value for r in made]

    return run


def scan(f: Any, init: Any, xs: Any, run: Callable[..., Any]) -> Any:
    """`lax.scan`: refs that the body closes over are carried; refs in `xs` are written slice by
    slice. `run(f, init, xs)` scans without refs.
    """
    taken = Taken((init, xs))
    if any(k < len(tree_leaves(init)) for k in taken.positions):
        raise ValueError("lax.scan: a Ref cannot be a carry; close over it or give it in xs")
    if not all(core.get_aval(x).ndim for x in tree_leaves(taken.args[1])):
        return None  # it is refused where there are no refs
    first = tree_map(one_of, taken.args[1])
    step = _made_and_run(taken, f)
    found = touched(step, (taken.args[0], first))
    if not found and not taken.refs:
        return None
    taken.check_apart(found)
    of_values = lifted(step, found)

    def body(carry: Any, x: Any) -> Any:
        ((c, y), slices), new = of_values(carry[1], (carry[0], x))
        return (c, new), (y, slices)

    (out, new), (ys, slices) = run(body, (taken.args[0], values_of(found)), taken.args[1])
    store(found, new)
    store(taken.refs, slices)
    return out, ys


def while_loop(cond_fun: Any, body_fun: Any, init: Any, run: Callable[..., Any]) -> Any:
    """`lax.while_loop`: refs that the body or the test touches are carried."""
    found = list(dict.fromkeys([*touched(cond_fun, init), *touched(body_fun, init)]))
    if not found:
        return None
    test, body = lifted(cond_fun, found), lifted(body_fun, found)
    again = lambda c: test(c[1], c[0])[0]  # noqa: E731  the test may not write
    out, new = run(again, lambda c: body(c[1], c[0]), (init, values_of(found)))
    store(found, new)
    return (out,)


def branches(functions: Sequence[Any], operands: Any, run: Callable[..., Any]) -> Any:
    """`lax.cond` and `lax.switch`: refs that any branch touches are operands and results."""
    found = list(dict.fromkeys(r for f in functions for r in touched(f, *operands)))
    if not found:
        return None
    out, new = run([lifted(f, found) for f in functions], (values_of(found), *operands))
    store(found, new)
    return (out,)


def checkpoint(fun: Any, args: Any, kwargs: Any, run: Callable[..., Any]) -> Any:
    """A function under `checkpoint`: its refs are operands and results. A tuple of one, or None."""
    found = touched(lambda: fun(*args, **kwargs))  # static arguments are among them
    if not found:
        return None
    out, new = run(lifted(fun, found), (values_of(found), *args))
    store(found, new)
    return (out,)


class Observed:
    """A function for `linearize`, `vjp` and `grad`: what it leaves in refs is auxiliary data.

    store(aux) writes that to the refs and gives back the user's own auxiliary data. It comes before
    the backward pass, where rules of the user's may write to the same refs.
    """

    def __init__(self, fun: Any, has_aux: bool):
        self.refs: list[Any] = []

        @wraps(fun)
        def with_aux(*args: Any) -> Any:
            out, new = observed(fun, *args)
            self.refs = list(new)
            new = list(new.values())
            if not has_aux:
                return out, (None, new)
            is_pair = isinstance(out, tuple | list) and len(out) == 2
            return (out[0], (out[1], new)) if is_pair else out  # what the caller refuses

        self.fun = with_aux

    def store(self, aux: Any) -> Any:
        store(self.refs, aux[1])
        return aux[0]


def jvp(fun: Any, primals: Any, tangents: Any, has_aux: bool, run: Callable[..., Any]) -> Any:
    """`jvp`: a ref among the primals has a ref of tangents, and both are written."""
    taken, directions = Taken(primals), Taken(tangents)
    if taken.positions != directions.positions:
        raise TypeError("jvp: a Ref among the primals needs a Ref among the tangents in its place")
    inner = _made_and_run(taken, fun)
    seen = Observed(inner, False)

    def of_values(*args: Any) -> Any:
        ((out, made), aux_of_refs) = seen.fun(args)
        out, aux = out if has_aux else (out, None)
        return (out, made), (aux, aux_of_refs)

    pairs = run(of_values, taken.args, directions.args, True)
    (out, made), (tangent, moved), (aux, aux_of_refs) = pairs
    taken.check_apart(seen.refs)
    seen.store(aux_of_refs)
    store(taken.refs, made)
    store(directions.refs, moved)
    return (out, tangent, aux) if has_aux else (out, tangent)


def vmap(
    fun: Any,
    operands: tuple[Any, Any],
    dims: Sequence[int | None],
    out_axes: Any,
    axis: core.AxisData,
    run: Callable[..., Any],
) -> Any:
    """`vmap` of positional and keyword arguments, each leaf mapped along its dim: a ref among them
    is mapped and holds one example inside; a closed-over ref keeps one value for all. A tuple of
    one, or None.
    """
    taken = Taken(operands)
    inner = _made_and_run(taken, lambda a, k: fun(*a, **k))
    leaves = tree_leaves(taken.args)
    sample = [x if d is None else one_of(x, d) for x, d in zip(leaves, dims, strict=True)]
    with core.named_axes([] if axis.name is None else [(axis.name, axis.size)]):
        found = touched(lambda: inner(taken.tree.unflatten(sample)))  # unmapped ones as they are
    if not found and not taken.refs:
        return None
    taken.check_apart(found)
    of_values = lifted(inner, found)
    out_dims = ((out_axes, [dims[k] for k in taken.positions]), [None] * len(found))

    def mapped(values: Any, *operands: Any) -> Any:
        return of_values(values, operands)

    (out, new_args), new = run(mapped, values_of(found), taken.args, out_dims)
    store(found, new)
    store(taken.refs, new_args)
    return (out,)


class JittedWithRefs:
    """What a jitted function needs once refs exist: per signature, the refs it closes over and the
    jitted function of their values.
    """

    def __init__(self, fun: Any, jit: Callable[..., Any]):
        self.fun, self.jit = fun, jit
        self.known: dict[Any, Any] = {}

    def __call__(self, args: Any, kwargs: Any) -> Any:
        """A tuple of the result, or None where no ref is touched."""
        taken = Taken((args, kwargs))
        leaves = tree_leaves(taken.args)
        types = [core.get_aval(x) if core.is_array_value(x) else x for x in leaves]
        key = (state_key(), taken.tree, tuple(taken.positions), *map(_key, types))
        found, function = self.known.get(key, (None, None))
        if found is None or not all(r._alive for r in found):
            call = _made_and_run(taken, lambda a, k: self.fun(*a, **k))
            found = touched(call, taken.args)
            taken.check_apart(found)
            function = None
            if found or taken.refs:
                function = self.jit(_of_values(self.fun, taken, found))
            self.known[key] = found, function
        if function is None:
            return None
        out, new_args, new = function(values_of(found), *taken.args[0], **taken.args[1])
        store(found, new)
        store(taken.refs, new_args)
        return (out,)


def _of_values(fun: Any, taken: Taken, found: Sequence[Any]) -> Callable[..., Any]:
    @wraps(fun)
    def of_values(values: Any, *args: Any, **kwargs: Any) -> Any:
        run = lifted(_made_and_run(taken, lambda a, k: fun(*a, **k)), found)
        (out, new_args), new = run(values, (args, kwargs))
        return out, new_args, new

    return of_values


def state_key() -> Any:
    """Settings that traces depend on."""
    from fx import config

    return config.token()


def _key(x: Any) -> Any:
    try:
        hash(x)
    except TypeError:
        return id(x)
    return x
