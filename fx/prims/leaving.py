"""Loops that call Python in branches that are seldom taken (errors, progress): loop -> the loop
without the calls, which can be one kernel, and a host step.

The loop without them stops before the first step that would call, and says so; then a host step
makes that step as it is written, and goes on in the same way. What is done when is as in the loop
that was written; where no branch that calls is taken, nothing runs on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.avals import key_dtype
from fx.core import ClosedJaxpr, Jaxpr, Literal, get_aval
from fx.passes import dce_closed, sub_jaxprs
from fx.prims import compare, cond, convert
from fx.prims import control as c
from fx.prims.callback import FlatCallback, io_callback_p, pure_callback_p

LARGEST = 1 << 14  # elements of a carry: each step keeps its old values in case it must stop
_CALLS = {"pure_callback", "io_callback", "debug_callback"}
_INLINE = {"jit": "jaxpr", "checkpoint": "jaxpr"}
_INLINE |= dict.fromkeys(("custom_jvp_call", "custom_vjp_call"), "call_jaxpr")


class _Calls(Exception):
    """This part of the program calls whenever it is reached."""


def calls(closed: ClosedJaxpr) -> bool:
    """Whether a jaxpr holds a callback, at any depth."""
    return _holds(closed, "calls", _CALLS)


def _holds(closed: ClosedJaxpr, key: str, names: set[str]) -> bool:
    found = closed.cache.get(key)
    if found is None:
        found = any(_eqn_holds(eqn, key, names) for eqn in closed.eqns)
        closed.cache[key] = found
    return found


def _eqn_holds(eqn: Any, key: str, names: set[str]) -> bool:
    inner = sub_jaxprs(eqn.params)
    return eqn.primitive.name in names or any(_holds(j, key, names) for j in inner)


# ---------------------------------------------------------------- without the calls


def _quiet(
    jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], stop: Any
) -> tuple[list[Any], Any]:
    """The jaxpr's outputs and whether a branch that calls was to be taken, or `stop` holds: then
    the outputs mean nothing. _Calls where there is no way around a call.
    """
    env = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(
        zip(jaxpr.invars, args, strict=True)
    )
    source = core.state.source
    try:
        for eqn in jaxpr.eqns:
            core.state.source = eqn.source
            values = [a.val if isinstance(a, Literal) else env[a] for a in eqn.invars]
            outs, stop = _quiet_eqn(eqn, values, stop)
            env.update(zip(eqn.outvars, outs, strict=True))
    finally:
        core.state.source = source
    return [a.val if isinstance(a, Literal) else env[a] for a in jaxpr.outvars], stop


def _quiet_eqn(eqn: Any, values: Sequence[Any], stop: Any) -> tuple[Sequence[Any], Any]:
    name, held = eqn.primitive.name, _eqn_holds(eqn, "calls", _CALLS)
    # what means nothing once `stop` holds must not keep a loop going for ever
    held = held or (stop is not np.False_ and _eqn_holds(eqn, "whiles", {"while"}))
    if not held:
        out = eqn.primitive.bind(*values, **eqn.params)
        return out if eqn.primitive.multiple_results else (out,), stop
    if name in _INLINE:
        inner = eqn.params[_INLINE[name]]
        return _quiet(inner.jaxpr, inner.consts, values, stop)
    if name not in _RULES:
        raise _Calls
    *outs, stop = _RULES[name](stop, *values, **eqn.params)
    return outs, stop


def _quiet_closed(closed: ClosedJaxpr, stop_at: int) -> ClosedJaxpr:
    """The jaxpr without its calls, with `stop` as one more input, at `stop_at`, and as the last
    output.
    """

    def fun(*args: Any) -> list[Any]:
        others = [*args[:stop_at], *args[stop_at + 1 :]]
        outs, stop = _quiet(closed.jaxpr, closed.consts, others, args[stop_at])
        return [*outs, stop]

    avals = closed.in_avals
    return _live(core.close(fun, [*avals[:stop_at], _flag(), *avals[stop_at:]]))


def _flag() -> core.ShapedArray:
    return core.ShapedArray((), np.bool_)


def _live(closed: ClosedJaxpr) -> ClosedJaxpr:
    return dce_closed(closed, instantiate=True)[0]


def _cond(stop: Any, index: Any, *operands: Any, branches: Any) -> list[Any]:
    quiet, ways = [], 0
    for b in branches:
        try:
            quiet.append(_quiet_closed(b, len(b.in_avals)))
            ways += 1
        except _Calls:
            nothing = lambda *_, b=b: [  # noqa: E731
                *map(core.zeros_like_aval, b.out_avals),
                np.True_,
            ]
            quiet.append(core.close(nothing, [*b.in_avals, _flag()]))
    if not ways:
        raise _Calls
    return cond.bind(index, [*operands, stop], quiet)


def _while(stop: Any, *args: Any, cond_jaxpr: Any, body_jaxpr: Any, **params: Any) -> list[Any]:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    if calls(cond_jaxpr) or params["max_steps"] is not None:
        raise _Calls
    body = _quiet_closed(body_jaxpr, len(body_jaxpr.in_avals))
    return core.PRIMITIVES["while"].bind(
        *args,
        stop,
        cond_jaxpr=_unless_stopped(cond_jaxpr),
        body_jaxpr=body,
        cond_nconsts=n_cond,
        body_nconsts=n_body,
        max_steps=None,
    )


def _unless_stopped(test: ClosedJaxpr) -> ClosedJaxpr:
    def fun(*args: Any) -> list[Any]:
        (holds,) = core.eval_jaxpr(test.jaxpr, test.consts, *args[:-1])
        return [compare.and_p.bind(holds, compare.not_p.bind(args[-1]))]

    return core.close(fun, [*test.in_avals, _flag()])


def _scan(stop: Any, *args: Any, jaxpr: Any, num_consts: int, num_carry: int, **params: Any) -> Any:
    at = num_consts + num_carry
    quiet = _quiet_closed(jaxpr, at)
    n = len(jaxpr.out_avals)
    quiet = c.reorder(quiet, None, [*range(num_carry), n, *range(num_carry, n)])
    outs = core.PRIMITIVES["scan"].bind(
        *args[:at],
        stop,
        *args[at:],
        jaxpr=quiet,
        num_consts=num_consts,
        num_carry=num_carry + 1,
        **params,
    )
    return [*outs[:num_carry], *outs[num_carry + 1 :], outs[num_carry]]


_RULES: dict[str, Callable[..., Any]] = {"cond": _cond, "while": _while, "scan": _scan}


# ---------------------------------------------------------------- and with them


def leaving_while(
    cond_jaxpr: ClosedJaxpr, body_jaxpr: ClosedJaxpr, **params: Any
) -> ClosedJaxpr | None:
    """A while loop as one that leaves for the host; None where its body calls in every step, or
    not at all, or carries much.
    """
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    carried = body_jaxpr.in_avals[n_body:]
    avals = [*cond_jaxpr.in_avals[:n_cond], *body_jaxpr.in_avals]
    if not calls(body_jaxpr) or calls(cond_jaxpr):
        return None
    if sum(prod(a.shape) for a in carried) > LARGEST:
        return None

    def step(*args: Any) -> list[Any]:
        outs, stop = _quiet(body_jaxpr.jaxpr, body_jaxpr.consts, args[:-1], np.False_)
        kept = [compare.select_n_p.bind(stop, new, old) for new, old in zip(outs, args[n_body:])]
        return [*kept, stop]

    try:
        body = _live(core.close(step, [*body_jaxpr.in_avals, _flag()]))
    except _Calls:
        return None
    test = _unless_stopped(cond_jaxpr)

    def fast(*args: Any) -> list[Any]:
        new = {**params, "cond_jaxpr": test, "body_jaxpr": body, "max_steps": None}
        return core.PRIMITIVES["while"].bind(*args, np.False_, **new)

    return core.close(_whole(fast, avals, body_jaxpr, n_cond, n_body), avals)


def _whole(
    fast: Callable[..., Any], avals: Sequence[Any], body: ClosedJaxpr, n_cond: int, n_body: int
) -> Callable[..., Any]:
    """The loop without its calls, then the rest on the host if it stopped."""
    carried = body.in_avals[n_body:]
    rest = _Rest(core.close(fast, avals), body, n_cond)
    unwrap = core.PRIMITIVES["random_unwrap"].abstract
    results = tuple(unwrap(a) if a.dtype == key_dtype else a for a in carried)
    callback = FlatCallback("while", rest, results)
    kind = io_callback_p if body.effects else pure_callback_p
    how = {"ordered": True} if body.effects else {"vmap_method": None}

    def finish(*args: Any) -> list[Any]:
        return _as_keys(kind.bind(*_as_numbers(args), callback=callback, **how), carried)

    def whole(*args: Any) -> list[Any]:
        *outs, stop = fast(*args)
        stay = core.close(lambda *xs: list(xs[n_cond + n_body :]), avals)
        index = convert.convert(stop, np.dtype(np.int32))
        return cond.bind(
            index, [*args[: n_cond + n_body], *outs], [stay, core.close(finish, avals)]
        )

    return whole


def leaving_scan(jaxpr: ClosedJaxpr, length: int, **params: Any) -> ClosedJaxpr | None:
    """A scan as a loop that leaves for the host; None where it would not.

    One that neither reads nor stacks is a while loop that counts. Of others, which only pure
    functions may be called in, all steps run without the calls; if one was to call, all are made
    again as they are written.
    """
    n_consts, n_carry = params["num_consts"], params["num_carry"]
    if not calls(jaxpr) or sum(prod(a.shape) for a in jaxpr.out_avals[:n_carry]) > LARGEST:
        return None
    if len(jaxpr.in_avals) == n_consts + n_carry == n_consts + len(jaxpr.out_avals):
        return _counting(jaxpr, length, n_consts)
    if jaxpr.effects:
        return None
    rows = lambda avals: [a.update(shape=(length, *a.shape)) for a in avals]  # noqa: E731
    at = n_consts + n_carry
    avals = [*jaxpr.in_avals[:at], *rows(jaxpr.in_avals[at:])]
    results = [*jaxpr.out_avals[:n_carry], *rows(jaxpr.out_avals[n_carry:])]
    if any(a.dtype == key_dtype for a in (*avals, *results)):
        return None
    steps = _Steps(jaxpr, length, n_consts, n_carry, params["reverse"])
    callback = FlatCallback("scan", steps, tuple(results))

    def whole(*args: Any) -> list[Any]:
        *outs, stop = _scan(np.False_, *args, jaxpr=jaxpr, length=length, **params)
        n = len(args)
        stay = core.close(lambda *xs: list(xs[n:]), [*avals, *results])
        again = core.close(
            lambda *xs: pure_callback_p.bind(*xs[:n], callback=callback, vmap_method=None),
            [*avals, *results],
        )
        index = convert.convert(stop, np.dtype(np.int32))
        return cond.bind(index, [*args, *outs], [stay, again])

    try:
        return core.close(whole, avals)
    except _Calls:
        return None


def _counting(jaxpr: ClosedJaxpr, length: int, n_consts: int) -> ClosedJaxpr | None:
    count = core.ShapedArray((), np.int32)
    avals = jaxpr.in_avals

    def step(*args: Any) -> list[Any]:
        consts, k, carry = args[:n_consts], args[n_consts], args[n_consts + 1 :]
        outs = core.eval_jaxpr(jaxpr.jaxpr, jaxpr.consts, *consts, *carry)
        return [core.PRIMITIVES["add"].bind(k, np.int32(1)), *outs]

    body = core.close(step, [*avals[:n_consts], count, *avals[n_consts:]])
    test = core.close(
        lambda k, *_: [compare.lt_p.bind(k, np.int32(length))], [count, *avals[n_consts:]]
    )
    params = {"cond_jaxpr": test, "body_jaxpr": body, "cond_nconsts": 0, "body_nconsts": n_consts}
    loop = leaving_while(**params, max_steps=None)
    if loop is None:
        return None

    def whole(*args: Any) -> list[Any]:
        given = [*args[:n_consts], np.int32(0), *args[n_consts:]]
        return core.eval_jaxpr(loop.jaxpr, loop.consts, *given)[1:]

    return core.close(whole, avals)


class _Steps:
    """All steps of a scan, one by one."""

    def __init__(self, jaxpr: ClosedJaxpr, length: int, consts: int, carry: int, reverse: bool):
        self.jaxpr, self.length, self.n_consts, self.n_carry = jaxpr, length, consts, carry
        self.reverse = reverse

    def __call__(self, *args: Any) -> list[Any]:
        at = self.n_consts + self.n_carry
        consts, carry = args[: self.n_consts], args[self.n_consts : at]
        xs = [core.host.to_numpy(x) for x in args[at:]]
        rows = [
            np.empty((self.length, *a.shape), a.dtype)
            for a in self.jaxpr.out_avals[at - self.n_consts :]
        ]
        for k in reversed(range(self.length)) if self.reverse else range(self.length):
            outs = _run(self.jaxpr, [*consts, *carry, *(x[k] for x in xs)])
            carry = outs[: self.n_carry]
            for row, y in zip(rows, outs[self.n_carry :]):
                row[k] = core.host.to_numpy(y)
        return [*carry, *rows]


class _Rest:
    """The rest of a loop from a step that calls: Python on arrays, compiled at its first use."""

    def __init__(self, fast: ClosedJaxpr, body: ClosedJaxpr, n_cond: int):
        self.fast, self.body, self.n_cond = fast, body, n_cond

    def __call__(self, *args: Any) -> list[Any]:
        values = _as_keys(args, self.fast.in_avals)
        first = len(values) - len(self.body.out_avals)
        consts, carry = values[:first], values[first:]
        stop: Any = True
        while stop:
            carry = _run(self.body, [*consts[self.n_cond :], *carry])
            *carry, stop = _run(self.fast, [*consts, *carry])
        return _as_numbers(carry)


def _run(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    params = {"name": "loop", "donated": (False,) * len(args), "inline": False}
    return core.PRIMITIVES["jit"].bind(*args, jaxpr=closed, keep_unused=False, **params)


def _as_numbers(values: Sequence[Any]) -> list[Any]:
    """Values as callbacks take them: of random keys the words."""
    words = core.PRIMITIVES["random_unwrap"]
    return [words.bind(v) if get_aval(v).dtype == key_dtype else v for v in values]


def _as_keys(values: Sequence[Any], avals: Sequence[Any]) -> list[Any]:
    keys = core.PRIMITIVES["random_wrap"]
    return [keys.bind(v) if a.dtype == key_dtype else v for v, a in zip(values, avals)]
