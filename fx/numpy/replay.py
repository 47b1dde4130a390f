"""A recorded jaxpr as a function of arrays: its equations' NumPy rules, written out in a row.

In: a closed jaxpr whose equations have NumPy rules, and the structure of its result. Out: a Python
function without loops: arrays' memory in, one NumPy call an equation, results wrapped with their
types known. What depends on no argument is computed once, when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from types import CodeType
from typing import Any

import numpy as np

from fx import core
from fx.array import Array, to_numpy
from fx.avals import ShapedArray
from fx.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from fx.numpy import fast
from fx.numpy.fast import silently
from fx.passes import dce_jaxpr
from fx.prims.dealt import LONG, dealt

_FOLDED = 1 << 14  # bytes of a constant that is computed when recorded
_CALLS = frozenset(("custom_jvp_call", "custom_vjp_call"))
_SILENT = frozenset((np.ndarray.reshape, np.ndarray.transpose, np.ndarray.squeeze))


def written(closed: ClosedJaxpr, tree: Any) -> Callable[..., Any]:
    """The jaxpr as a function of Arrays that gives Arrays, in `tree`. Raises TypeError for
    equations that plain evaluation does otherwise than by a NumPy rule.
    """
    jaxpr = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), True)[0]
    known: dict[Any, np.ndarray] = {}  # variables and literals whose values are here already
    for j in _all_jaxprs(jaxpr):
        for a in (*(a for e in j.eqns for a in e.invars), *j.outvars):
            if isinstance(a, Literal):
                known[_key(a)] = np.asarray(a.val, a.aval.dtype)
    for v, c in zip(jaxpr.constvars, closed.consts, strict=True):
        known[v] = _frozen(core.as_aval(to_numpy(c), v.aval))
    steps = _folded(_inlined(jaxpr.eqns, same := {}), known, same)
    outs = [(_key(same.get(a, a)), a.aval) for a in jaxpr.outvars]
    return _Function(jaxpr.invars, known, steps, outs, tree).compiled()


class _Function:
    """Names: x and h, arguments and their memory; k, constants; v, results; d, their dtypes."""

    def __init__(
        self,
        invars: Sequence[Var],
        known: dict[Any, np.ndarray],
        steps: Sequence[tuple[Any, list[Any], JaxprEqn]],
        outs: Sequence[tuple[Any, ShapedArray]],
        tree: Any,
    ):
        self.steps, self.outs, self.tree = steps, outs, tree
        self.arguments = [f"x{i}" for i in range(len(invars))]
        self.variables: dict[Any, str] = {v: f"h{i}" for i, v in enumerate(invars)}
        self.names: dict[str, Any] = {
            **{"Array": Array, "new": object.__new__, "to_numpy": to_numpy, "as_": _as},
            **{"set_": fast.begin_quiet, "reset": fast.end_quiet, "quiet": fast.QUIET},
            **{"ndarray": np.ndarray, "made": (Array,) * len(outs)},
        }
        used = {k for _, ins, _ in steps for k in ins} | {k for k, _ in outs}
        for key, value in known.items():
            if key in used:
                self.variables[key] = self._named("k", value)

    def compiled(self) -> Callable[..., Any]:
        lines = [f"def run({', '.join(self.arguments)}):"]
        for x in self.arguments:
            h = f"h{x[1:]}"
            lines += [f" {h} = {x}._host", f" if {h} is None:", f"  {h} = to_numpy({x})"]
        body = [line for step in self.steps for line in self._step(*step)]
        if any(self.names[name] not in _SILENT for name in self.names if name[0] == "f"):
            lines += [" before = set_(quiet)", " try:", *("  " + line for line in body)]
            lines += [" finally:", "  reset(before)"]
        else:
            lines += [" " + line for line in body]
        exec(_code("\n".join([*lines, *(" " + line for line in self._results())])), self.names)
        return self.names["run"]

    def _named(self, letter: str, value: Any) -> str:
        name = f"{letter}{len(self.names)}"
        self.names[name] = value
        return name

    def _step(self, rule: Any, ins: list[Any], eqn: JaxprEqn) -> list[str]:
        """The call of an equation's rule, and its results as arrays of their dtypes."""
        avals = [a.aval for a in eqn.invars]
        of = eqn.primitive.numpy_of
        function, *more = (of and of(avals, eqn.params)) or (_with(rule, eqn.params),)
        if eqn.primitive.elementwise and not more and eqn.outvars[0].aval.size >= LONG:
            function = dealt(function)
        given = [self.variables[k] for k in ins] + [self._named("c", m) for m in more]
        call = f"{self._named('f', function)}({', '.join(given)})"
        results = [self._named("v", None) for _ in eqn.outvars]
        self.variables |= zip(eqn.outvars, results)
        dtypes = [v.aval.dtype for v in eqn.outvars]
        if eqn.primitive.multiple_results:
            left = "".join(f"{v}, " for v in results) or "() "
            return [f"{left}= map(as_, {call}, {self._named('d', dtypes)})"]
        (v,), d = results, self._named("d", dtypes[0])
        check = f"if type({v}) is not ndarray or {v}.dtype is not {d}:"
        return [f"{v} = {call}", check, f" {v} = as_({v}, {d})"]

    def _results(self) -> list[str]:
        """Arrays around the results, and the tree of them."""
        names = [f"y{k}" for k in range(len(self.outs))]
        lines = []
        if names:
            several = f"{', '.join(names)} = map(new, made)"
            lines.append(several if len(names) > 1 else "y0 = new(Array)")
        for y, (key, aval) in zip(names, self.outs):
            lines += [
                f"{y}._host = {self.variables[key]}",
                f"{y}._weak = {aval.weak_type}",
                f"{y}._known = {self._named('a', aval)}",
                f"{y}._store = {y}._device = {y}._event = {y}._lease = None",
            ]
        if self.tree.is_leaf():
            return [*lines, "return y0"]
        return [*lines, f"return {self._named('t', self.tree.unflatten)}([{', '.join(names)}])"]


@lru_cache(maxsize=1024)
def _code(text: str) -> CodeType:
    """The text compiled; functions of equal structure have equal texts."""
    return compile(text, "<a recorded function>", "exec")


def _with(rule: Any, params: dict[str, Any]) -> Any:
    return partial(rule, **params) if params else rule


def _frozen(x: np.ndarray) -> np.ndarray:
    """The array as results of many calls may share it."""
    x = x.view()
    x.flags.writeable = False
    return x


def _as(x: Any, dtype: np.dtype) -> np.ndarray:
    x = np.asarray(x)
    return x if x.dtype == dtype else x.astype(dtype)


def _key(a: Any) -> Any:
    return id(a) if isinstance(a, Literal) else a


def _folded(
    eqns: Iterator[JaxprEqn], known: dict[Any, np.ndarray], same: dict[Any, Any]
) -> list[tuple[Any, list[Any], JaxprEqn]]:
    """Rule, operands and equation of each that depends on an argument; the results of the others,
    if small, join `known`.
    """
    found = []
    for eqn in eqns:
        rule = eqn.primitive.rule("numpy")
        ins = [_key(same.get(a, a)) for a in eqn.invars]
        small = all(v.aval.size * v.aval.dtype.itemsize <= _FOLDED for v in eqn.outvars)
        if small and all(k in known for k in ins):
            out = silently(lambda r=rule, i=ins, e=eqn: r(*[known[k] for k in i], **e.params))
            outs = out if eqn.primitive.multiple_results else (out,)
            for v, o in zip(eqn.outvars, outs, strict=True):
                known[v] = _frozen(_as(o, v.aval.dtype))
        else:
            found.append((rule, ins, eqn))
    return found


def _body(eqn: JaxprEqn) -> Jaxpr:
    closed = eqn.params["call_jaxpr"]
    if closed.consts:
        raise TypeError("a call with constants of its own")
    return closed.jaxpr


def _all_jaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    yield jaxpr
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in _CALLS:
            yield from _all_jaxprs(_body(eqn))


def _inlined(eqns: Sequence[JaxprEqn], same: dict[Any, Any]) -> Iterator[JaxprEqn]:
    """The equations, those of calls with custom derivatives among them; TypeError for what plain
    evaluation does otherwise than by a NumPy rule. `same` says which variables are others.
    """
    for eqn in eqns:
        p = eqn.primitive
        if p.name in _CALLS:
            body = _body(eqn)
            for v, a in zip(body.invars, eqn.invars, strict=True):
                same[v] = same.get(a, a)
            for inner in _inlined(body.eqns, same):  # a body that is called twice has new names
                outs = [Var(v.aval) for v in inner.outvars]
                ins = [same.get(a, a) for a in inner.invars]
                same.update(zip(inner.outvars, outs))
                yield JaxprEqn(ins, outs, inner.primitive, inner.params, inner.effects)
            for v, a in zip(eqn.outvars, body.outvars, strict=True):
                same[v] = same.get(a, a)
        elif p.evaluate is not None or "eval" in p.trace_rules or eqn.effects:
            raise TypeError(f"{p.name} is no NumPy rule")
        else:
            yield eqn
