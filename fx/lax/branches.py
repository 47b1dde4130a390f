"""fx.lax: cond and switch. The branches are traced once each; which one runs is data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, ref_loops
from fx.array import Array
from fx.config import config
from fx.core import Literal, Var, get_aval
from fx.lax.carry import Traced, check_branches, equal_weak_types, trace_flat
from fx.prims import cond as cond_prim
from fx.prims import control as c
from fx.prims.compare import ne
from fx.prims.convert import convert
from fx.refs import live
from fx.tree_util import tree_flatten

__all__ = ["cond", "platform_dependent", "switch"]

_NO_OPERAND = object()


def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = _NO_OPERAND,
) -> Any:
    """true_fun(*operands) if pred else false_fun(*operands), where pred may be traced.

    pred: a boolean (or number) scalar. The functions must return equal trees, shapes and dtypes.
    Under vmap with a mapped pred both run and the results are selected.

    TypeError where pred is no scalar or the results differ. Reverse mode keeps what the branch that
    ran needs.

    >>> cond(fx.numpy.array(2.0) > 1, lambda x: x + 1, lambda x: -x, 5.0)
    Array(6., dtype=float32, weak_type=True)
    """
    if operand is not _NO_OPERAND:
        if operands:
            raise TypeError(
                "if 'operand' keyword is passed then no positional operands can be passed"
            )
        operands = (operand,)
    older = not callable(true_fun) and callable(false_fun)
    if older and len(operands) == 2 and callable(operands[1]):
        # the older form: pred, true_operand, true_fun, false_operand, false_fun
        if_true, if_false, each = false_fun, operands[1], (true_fun, operands[0])
        return cond(pred, lambda x, _: if_true(x), lambda _, y: if_false(y), *each)
    if not (callable(true_fun) and callable(false_fun)):
        raise TypeError("lax.cond: true_fun and false_fun arguments should be callable.")
    aval = _scalar(pred, "Pred must be a scalar, got")
    if aval.dtype.kind == "V":
        raise TypeError(f"Pred type must be either boolean or number, got {aval.str_short()}.")
    if config.disable_jit and not isinstance(pred, core.Tracer):
        return true_fun(*operands) if bool(pred) else false_fun(*operands)
    if aval.dtype != np.bool_:
        pred = ne(pred, aval.dtype.type(0))
    index = convert(pred, np.dtype(np.int32))
    names = ("true_fun", "false_fun")
    return _choose("cond", index, names, (true_fun, false_fun), (false_fun, true_fun), operands)


def _scalar(x: Any, what: str) -> Any:
    try:
        aval = get_aval(x)
    except TypeError:
        raise TypeError(f"{what} {x} of type {type(x)}") from None
    if aval.shape != ():
        raise TypeError(f"{what} {x} of shape {aval.shape}.")
    return aval


def switch(
    index: Any, branches: Sequence[Callable[..., Any]], *operands: Any, operand: Any = _NO_OPERAND
) -> Any:
    """branches[index](*operands), the index clamped into range; it may be traced.

    Raises ValueError without branches, TypeError where the index is no integer scalar or the
    branches' outputs differ in structure, shape or dtype.

    >>> switch(7, [lambda x: x, lambda x: 2 * x], 3.0)
    Array(6., dtype=float32, weak_type=True)
    """
    if operand is not _NO_OPERAND:
        if operands:
            raise TypeError(
                "if 'operand' keyword is passed then no positional operands can be passed"
            )
        operands = (operand,)
    if not all(map(callable, branches)):
        raise TypeError("lax.switch: branches argument should be a sequence of callables.")
    aval = _scalar(index, "Branch index must be scalar, got")
    if aval.dtype.kind not in "iu":
        raise TypeError(f"Index type must be an integer, got {index} as {aval.dtype.name}")
    if not branches:
        raise ValueError("Empty branch sequence")
    if len(branches) == 1:
        return branches[0](*operands)
    if config.disable_jit and not isinstance(index, core.Tracer):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    index = convert(index, np.dtype(np.int32))
    high = np.int32(len(branches) - 1)
    index = core.PRIMITIVES["clamp"].bind(np.int32(0), index, high)
    names = ["branch 0", *(f"branch{k}" for k in range(1, len(branches)))]
    return _choose("switch", index, names, branches, branches, operands)


def _choose(
    what: str, index: Any, names: Sequence[str], named: Any, ordered: Any, operands: Any
) -> Any:
    """Trace the functions, in the order that messages name them, and bind cond in index order."""
    if live:
        orders = [[named.index(f) for f in functions] for functions in (named, ordered)]

        def run(fs: Any, args: Any) -> Any:
            first, second = ([fs[k] for k in order] for order in orders)
            return _choose(what, index, names, first, second, args)

        found = ref_loops.branches(named, operands, run)
        if found is not None:
            return found[0]
    values, in_tree = tree_flatten(operands)
    avals = [get_aval(v) for v in values]
    traced = {id(f): trace_flat(f, in_tree, avals) for f in named}
    in_named_order = [traced[id(f)] for f in named]
    check_branches(what, names, named, in_named_order)
    results = [traced[id(f)] for f in ordered]
    jaxprs = equal_weak_types(results)
    branches, consts = _with_common_inputs(jaxprs, results)
    operands = [*consts, *values]
    handed = _handed_on(branches)
    made = [k for k, at in enumerate(handed) if at is None]
    branches = [c.reorder(b, outs=made) for b in branches]
    branches, _, values = _drop_unread(branches, [], operands)
    left = bool(branches[0].out_avals) or any(b.jaxpr.effects for b in branches)
    outs = iter(cond_prim.bind(index, values, branches) if left else ())
    out = [next(outs) if k is None else _as_array(operands[k]) for k in handed]
    return results[0].out_tree.unflatten(out)


def _handed_on(branches: Any) -> list[int | None]:
    """Which operand each result is in every branch: no result of the choice then, so `vmap` knows
    that it does not depend on it.
    """
    places = [{v: k for k, v in enumerate(b.jaxpr.invars)} for b in branches]
    each = [[at.get(v) if isinstance(v, Var) else None for v in b.jaxpr.outvars]
            for at, b in zip(places, branches)]  # fmt: skip
    return [ks[0] if len(set(ks)) == 1 else None for ks in zip(*each)]


def _as_array(x: Any) -> Any:
    return x if isinstance(x, core.Tracer | Array) else core.PRIMITIVES["copy"].bind(x)


def _with_common_inputs(jaxprs: Any, traced: Sequence[Traced]) -> tuple[list[Any], list[Any]]:
    """Branches that all take the values that any of them closes over, equal values once."""
    values: list[Any] = []
    places: dict[int, int] = {}
    for t in traced:
        for v in t.consts:
            if id(v) not in places:
                places[id(v)] = len(values)
                values.append(v)
    avals = [get_aval(v) for v in values]
    found = []
    for jaxpr, t in zip(jaxprs, traced):
        n = len(t.consts)
        wide = c.insert_inputs(jaxpr, n, avals)
        order = list(range(n, n + len(values)))
        for k, v in enumerate(t.consts):
            order[places[id(v)]] = k
        rest = range(n + len(values), len(wide.in_avals))
        found.append(c.reorder(wide, [*order, *rest]))
    return found, values


def _drop_unread(branches: Any, consts: list[Any], values: list[Any]) -> Any:
    """Nothing that no branch reads is an operand."""
    operands = [*consts, *values]
    read = set()
    for b in branches:
        used = {a for e in b.jaxpr.eqns for a in e.invars if not isinstance(a, Literal)}
        used |= {a for a in b.jaxpr.outvars if not isinstance(a, Literal)}
        read |= {k for k, v in enumerate(b.jaxpr.invars) if v in used}
    keep = [k for k in range(len(operands)) if k in read]
    return [c.reorder(b, keep) for b in branches], [], [operands[k] for k in keep]


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """The function given for the platform in use ('opencl', or 'cpu'/'gpu' by device kind), else
    `default`.

    Chosen when it is called or traced. NotImplementedError where there is none.
    """
    from fx.array import default_device

    kind = str(getattr(default_device(), "kind", "cpu")).lower()
    for name in ("opencl", kind):
        if name in per_platform:
            return per_platform[name](*args)
    if default is None:
        raise NotImplementedError(
            f"platform_dependent has no function for {kind!r} and no default; it has "
            f"{sorted(per_platform)}."
        )
    return default(*args)
