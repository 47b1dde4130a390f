"""The primitives behind custom derivatives: `custom_jvp_call`, `custom_vjp_call`, and `custom_lin`.

Bound with Python rules they run them; recorded, they hold jaxprs of (*constants, *arguments).
Their batching stands in fx.custom_batch. `custom_lin` is the tangent of a custom_vjp function:
its transpose is the user's `bwd`, its value the user's jvp or the transpose of `bwd`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, float0
from fx.core import (
    ClosedJaxpr,
    NoRuleError,
    Primitive,
    UndefinedPrimal,
    Zero,
    get_aval,
    instantiate,
    no,
    set_trace,
)
from fx.jvp import jvp_flat
from fx.linearize import backward_pass
from fx.lower import lower_closed
from fx.tree_util import tree_map


class SymbolicZero:
    """What rules with symbolic_zeros=True see in place of a zero tangent or cotangent."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval

    shape = property(lambda self: self.aval.shape, doc="The shape of the zeros.")
    dtype = property(lambda self: self.aval.dtype, doc="The dtype of the zeros.")
    ndim = property(lambda self: self.aval.ndim, doc="The number of axes.")
    size = property(lambda self: self.aval.size, doc="The number of elements.")

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval.str_short()})"


core.register_aval(SymbolicZero, lambda z: z.aval)


def symbolic(t: Any) -> Any:
    return SymbolicZero(t.aval) if type(t) is Zero else t


def zero_from_primal(x: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangents of a tree of primal values: arrays, or SymbolicZero if `symbolic_zeros`."""

    def zero_of(leaf: Any) -> Any:
        zero = Zero.like(leaf)
        return SymbolicZero(zero.aval) if symbolic_zeros else instantiate(zero)

    return tree_map(zero_of, x)


def check_tangents(name: str, outs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents as values or Zero; TypeError where their type is not their output's."""
    checked = []
    for x, t in zip(outs, tangents, strict=True):
        expected = get_aval(x).to_tangent_aval()
        if isinstance(t, SymbolicZero | Zero) or expected.dtype == float0:
            checked.append(Zero(expected))
            continue
        given = ShapedArray(t.shape, float0) if getattr(t, "dtype", None) == float0 else get_aval(t)
        if given.shape != expected.shape or (given.dtype != expected.dtype and not given.weak_type):
            raise TypeError(
                f"{name} must produce primal and tangent outputs with corresponding shapes and "
                "dtypes. "
                f"Expected {expected.str_short()} (tangent type of {get_aval(x).str_short()}) but "
                "got "
                f"{given.str_short()}."
            )
        python = isinstance(t, bool | int | float | complex)
        checked.append(core.constant_like(t, expected) if python else t)
    return checked


def get_tangent_aval(t: Any) -> ShapedArray:
    """The aval of a tangent or cotangent, which may be a Zero."""
    return t.aval if type(t) is Zero else get_aval(t)


class CustomRules:
    """Flat rules of one custom call.

    call(*leaves) -> outs; jvp(primals, tangents) -> (outs, tangents out), tangents may be Zero;
    fwd(primals, perturbed) -> (outs, residuals, key); bwd(key, residuals, cts, avals) ->
    cotangents, which may be Zero.
    """

    name = "a custom function"
    owner: Any = None  # the custom function itself
    has_jvp = has_vjp = False
    recordable = False  # whether custom_lin may stand in a jaxpr with these rules
    out_avals: Sequence[ShapedArray] | None = None  # of the function, where it has been recorded

    def call(self, *leaves: Any) -> list[Any]:
        """The outputs of the leaves; NotImplementedError here."""
        raise NotImplementedError

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """(outputs, tangents); NotImplementedError here."""
        raise NotImplementedError

    def fwd(
        self, primals: Sequence[Any], perturbed: Sequence[bool]
    ) -> tuple[list[Any], list[Any], Any]:
        """(outputs, residuals, key) for bwd; NotImplementedError here."""
        raise NotImplementedError

    def bwd(
        self, key: Any, residuals: Sequence[Any], cts: Sequence[Any], avals: Sequence[Any]
    ) -> list[Any]:
        """One cotangent for each operand; NotImplementedError here."""
        raise NotImplementedError


class JaxprRules(CustomRules):
    """The rules of a recorded call: jaxprs whose leading inputs are the constants of all of
    them.
    """

    recordable = True

    def __init__(self, params: dict[str, Any]):
        self.params = params
        self.name = params["name"]
        self.lazy: CustomRules | None = params["lazy"]
        self.has_jvp = params["jvp_jaxpr"] is not None if self.lazy is None else self.lazy.has_jvp
        self.has_vjp = params["fwd_jaxpr"] is not None if self.lazy is None else self.lazy.has_vjp
        self.n = params["num_consts"]

    def call(self, *leaves: Any) -> list[Any]:
        closed = self.params["call_jaxpr"]
        return core.eval_jaxpr(closed.jaxpr, closed.consts, *leaves)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        self._check_consts(tangents)
        if self.lazy is not None:
            return self.lazy.jvp(primals[self.n :], tangents[self.n :])
        given = [instantiate(t) for t in tangents[self.n :] if get_tangent_aval(t).dtype != float0]
        outs = core.eval_jaxpr(self.params["jvp_jaxpr"].jaxpr, (), *primals, *given)
        avals = self.params["call_jaxpr"].out_avals
        rest = iter(outs[len(avals) :])
        flags = self.params["jvp_nonzero"]
        tangents_out = [
            next(rest) if nz else Zero(a.to_tangent_aval()) for a, nz in zip(avals, flags)
        ]
        return outs[: len(avals)], tangents_out

    def fwd(
        self, primals: Sequence[Any], perturbed: Sequence[bool]
    ) -> tuple[list[Any], list[Any], Any]:
        if self.lazy is not None:
            return self.lazy.fwd(primals[self.n :], perturbed[self.n :])
        outs = core.eval_jaxpr(self.params["fwd_jaxpr"].jaxpr, (), *primals)
        count = len(self.params["call_jaxpr"].out_avals)
        return outs[:count], [*primals[: self.n], *outs[count:]], None

    def bwd(
        self, key: Any, residuals: Sequence[Any], cts: Sequence[Any], avals: Sequence[Any]
    ) -> list[Any]:
        if self.lazy is not None:
            zeros = [Zero(a.to_tangent_aval()) for a in avals[: self.n]]
            return zeros + self.lazy.bwd(key, residuals, cts, avals[self.n :])
        given = [instantiate(c) for c in cts if get_tangent_aval(c).dtype != float0]
        outs = iter(core.eval_jaxpr(self.params["bwd_jaxpr"].jaxpr, (), *residuals, *given))
        nonzero = (False,) * self.n + self.params["bwd_nonzero"]
        return [next(outs) if nz else Zero(a.to_tangent_aval()) for a, nz in zip(avals, nonzero)]

    def _check_consts(self, tangents: Sequence[Any]) -> None:
        if any(type(t) is not Zero for t in tangents[: self.n]):
            raise core.UnexpectedTracerError(
                f"Detected differentiation of {self.name}, which has a custom derivative rule, "
                "with "
                "respect to a closed-over value. Pass the value as an argument, and handle it in "
                "the rule."
            )


# ---------------------------------------------------------------- recording


class _Tracing(threading.local):
    """Custom functions whose rules are being traced in this thread; a rule may call its own
    function.
    """

    def __init__(self) -> None:
        self.owners: list[Any] = []


_tracing = _Tracing()


def record_rules(rules: CustomRules, leaves: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
    """Trace Python rules to jaxprs: the parameters of the recorded equation, and its operands.

    A call of the function inside its own rule is recorded with the rule as Python (`lazy`), which
    ends the recursion; so is a call whose rule raises when traced: the error is one of
    differentiation, and the call may never be differentiated.
    """
    avals = [get_aval(x) for x in leaves]
    jaxpr, consts = core.trace_to_jaxpr(rules.call, avals)
    rules.out_avals = out_avals = [v.aval for v in jaxpr.outvars]
    parts: list[tuple[str, core.Jaxpr, list[Any]]] = [("call_jaxpr", jaxpr, consts)]
    params: dict[str, Any] = {"name": rules.name, "jvp_jaxpr": None, "fwd_jaxpr": None}
    params["lazy"] = rules if any(rules.owner is o for o in _tracing.owners) else None
    if params["lazy"] is None:
        _tracing.owners.append(rules.owner)
        try:
            if rules.has_jvp:
                parts.append(_record_jvp(rules, avals, params))
            if rules.has_vjp:
                parts += _record_vjp(rules, avals, out_avals, params)
        except Exception:
            params["lazy"] = rules
            del parts[1:]
        finally:
            _tracing.owners.pop()
    all_consts: dict[int, Any] = {id(c): c for _, _, cs in parts for c in cs}
    order = {k: i for i, k in enumerate(all_consts)}
    for key, jaxpr, consts in parts:
        params[key] = with_consts(jaxpr, consts, list(all_consts.values()), order)
    params["num_consts"] = len(all_consts)
    return params, [*all_consts.values(), *leaves]


def _record_jvp(
    rules: CustomRules, avals: list[Any], params: dict[str, Any]
) -> tuple[str, core.Jaxpr, list[Any]]:
    n = len(avals)
    tangents = [a.to_tangent_aval() for a in avals]

    def jvp(*flat: Any) -> list[Any]:
        given = iter(flat[n:])
        ts = [Zero(t) if t.dtype == float0 else next(given) for t in tangents]
        outs, tangents_out = rules.jvp(flat[:n], ts)
        params["jvp_nonzero"] = tuple(type(t) is not Zero for t in tangents_out)
        return [*outs, *(t for t in tangents_out if type(t) is not Zero)]

    live = [t for t in tangents if t.dtype != float0]
    return ("jvp_jaxpr", *core.trace_to_jaxpr(jvp, [*avals, *live]))


def _record_vjp(
    rules: CustomRules, avals: list[Any], out_avals: list[Any], params: dict[str, Any]
) -> list[tuple[str, core.Jaxpr, list[Any]]]:
    found: dict[str, Any] = {}
    n = len(out_avals)

    def fwd(*flat: Any) -> list[Any]:
        outs, residuals, found["key"] = rules.fwd(flat, [True] * len(flat))
        found["count"] = len(residuals)
        return [*outs, *residuals]

    fwd_jaxpr, fwd_consts = core.trace_to_jaxpr(fwd, avals)
    residual_avals = [a.aval for a in fwd_jaxpr.outvars[n:]]
    ct_avals = [a.to_tangent_aval() for a in out_avals]

    def bwd(*flat: Any) -> list[Any]:
        given = iter(flat[found["count"] :])
        cts = [Zero(a) if a.dtype == float0 else next(given) for a in ct_avals]
        outs = rules.bwd(found["key"], flat[: found["count"]], cts, avals)
        params["bwd_nonzero"] = tuple(type(c) is not Zero for c in outs)
        return [c for c in outs if type(c) is not Zero]

    live = [a for a in ct_avals if a.dtype != float0]
    bwd_jaxpr, bwd_consts = core.trace_to_jaxpr(bwd, [*residual_avals, *live])
    return [("fwd_jaxpr", fwd_jaxpr, fwd_consts), ("bwd_jaxpr", bwd_jaxpr, bwd_consts)]


def with_consts(
    jaxpr: core.Jaxpr, consts: Sequence[Any], all_consts: Sequence[Any], order: dict[int, int]
) -> ClosedJaxpr:
    """The jaxpr as a function of (*all constants, *its inputs)."""
    leading = [core.Var(get_aval(c)) for c in all_consts]
    for v, c in zip(jaxpr.constvars, consts):
        leading[order[id(c)]] = v
    invars = [*leading, *jaxpr.invars]
    return ClosedJaxpr(core.Jaxpr([], invars, jaxpr.outvars, jaxpr.eqns, jaxpr.effects))


def _rules(params: dict[str, Any]) -> CustomRules:
    return params["rules"] if "rules" in params else JaxprRules(params)


def _record(p: Primitive) -> Callable[..., Any]:
    def record(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        operands: Sequence[Any] = args
        if "rules" in params:
            params, operands = record_rules(params["rules"], args)
        return trace.record(p, [trace.atom(a) for a in operands], params)

    return record


def _partial(p: Primitive) -> Callable[..., Any]:
    record = _record(p)
    return lambda trace, known, args, params: record(trace, args, params)


def _evaluate(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return _rules(params).call(*args)


def _abstract(*avals: Any, call_jaxpr: ClosedJaxpr, **params: Any) -> list[Any]:
    return call_jaxpr.out_avals


def _effects(*avals: Any, call_jaxpr: ClosedJaxpr, **params: Any) -> frozenset:
    return call_jaxpr.effects


def _lower(b: Any, *nodes: Any, call_jaxpr: ClosedJaxpr, **params: Any) -> list[Any]:
    return lower_closed(b, call_jaxpr, *nodes)


def _wrap(trace: Any, outs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    return [trace.wrap(o, t) for o, t in zip(outs, tangents, strict=True)]


# ---------------------------------------------------------------- custom_jvp_call


def _jvp_of_custom_jvp(
    trace: Any, primals: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    return _wrap(trace, *_rules(params).jvp([_array(p) for p in primals], tangents))


def _array(x: Any) -> Any:
    """A Python scalar as an array: rules may ask their primals for shape and dtype."""
    if type(x) not in (bool, int, float, complex):
        return x
    aval = get_aval(x)
    return core.host.from_numpy(np.asarray(x, aval.dtype), aval.weak_type)


def _call_primitive(name: str, doc: str) -> Primitive:
    p = Primitive(name, multiple_results=True, doc=doc)
    p.set(abstract=_abstract, effects=_effects, lower=_lower)
    p.transpose = no("linearization replaces the call by its derivative rule, which is transposed")
    p.trace_rules.update(eval=_evaluate, jaxpr=_record(p), partial=_partial(p))
    return p


def _transpose_custom_jvp(
    cts: Any, *args: Any, call_jaxpr: ClosedJaxpr, **params: Any
) -> list[Any]:
    """A call in linear code is transposed as its body; the rule says nothing more."""
    return backward_pass(call_jaxpr.jaxpr, call_jaxpr.consts, args, cts)


custom_jvp_call_p = _call_primitive(
    "custom_jvp_call", "Calls a function that has its own jvp rule."
)
custom_jvp_call_p.trace_rules["jvp"] = _jvp_of_custom_jvp
custom_jvp_call_p.transpose = _transpose_custom_jvp
custom_vjp_call_p = _call_primitive(
    "custom_vjp_call", "Calls a function that has its own vjp rule."
)


# ---------------------------------------------------------------- custom_vjp_call


def _jvp_of_custom_vjp(
    trace: Any, primals: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    rules = _rules(params)
    if isinstance(rules, JaxprRules):
        rules._check_consts(tangents)
    nonzero = [type(t) is not Zero for t in tangents]
    primals = [_array(p) for p in primals]
    outs, residuals, key = rules.fwd(primals, nonzero)
    out_avals = [get_aval(o).to_tangent_aval() for o in outs]
    live = [t for t, nz in zip(tangents, nonzero) if nz]
    linear = _Linear(rules, key, [get_aval(p) for p in primals], nonzero, out_avals)
    extra = list(primals) if rules.has_jvp else []
    results = iter(
        custom_lin_p.bind(
            *residuals, *extra, *live, linear=linear, num_res=len(residuals), num_primals=len(extra)
        )
    )
    tangents_out = [Zero(a) if a.dtype == float0 else next(results) for a in out_avals]
    return _wrap(trace, outs, tangents_out)


custom_vjp_call_p.trace_rules["jvp"] = _jvp_of_custom_vjp


class _Linear:
    """The tangent map of one custom_vjp call: what custom_lin evaluates and transposes."""

    def __init__(
        self, rules: CustomRules, key: Any, avals: list[Any], nonzero: list[bool], out_avals: list
    ):
        self.rules, self.key, self.avals = rules, key, avals
        self.nonzero, self.all_out_avals = nonzero, out_avals
        self.out_avals = [a for a in out_avals if a.dtype != float0]

    def forward(
        self, residuals: Sequence[Any], primals: Sequence[Any], live: Sequence[Any]
    ) -> list[Any]:
        """Tangents of the (floating) outputs from the nonzero tangents of the inputs."""
        if self.rules.has_jvp:
            given = iter(live)
            tangents = [
                next(given) if nz else Zero(a.to_tangent_aval())
                for nz, a in zip(self.nonzero, self.avals)
            ]
            outs = self.rules.jvp(primals, tangents)[1]
            return [instantiate(t) for t in outs if get_tangent_aval(t).dtype != float0]
        return self._transposed(residuals, live)

    def _transposed(self, residuals: Sequence[Any], live: Sequence[Any]) -> list[Any]:
        """bwd is linear in the cotangents; its transpose is the jvp."""
        found: list[bool] = []

        def bwd(*cts: Any) -> list[Any]:
            outs = self.backward(residuals, list(cts))
            found.extend(type(c) is not Zero for c in outs)
            return [c for c in outs if type(c) is not Zero]

        jaxpr, consts = core.trace_to_jaxpr(bwd, self.out_avals)
        used = [t for t, nz in zip(live, found, strict=True) if nz]
        undefined = [UndefinedPrimal(a) for a in self.out_avals]
        try:
            return [instantiate(t) for t in backward_pass(jaxpr, consts, undefined, used)]
        except (NoRuleError, NotImplementedError) as error:
            raise TypeError(
                "can't apply forward-mode differentiation (jvp) to a custom_vjp function: "
                f"{self.rules.name} has no jvp rule (defjvp), and its bwd cannot be transposed: "
                f"{error}"
            ) from error

    def backward(self, residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        """Cotangents of the inputs that have nonzero tangents."""
        given = iter(cts)
        full = [Zero(a) if a.dtype == float0 else next(given) for a in self.all_out_avals]
        outs = self.rules.bwd(self.key, residuals, full, self.avals)
        return [c for c, nz in zip(outs, self.nonzero, strict=True) if nz]


# ---------------------------------------------------------------- custom_lin

custom_lin_p = Primitive(
    "custom_lin", multiple_results=True, doc="The tangent map of a function with its own vjp rule."
)


def _parts(args: Sequence[Any], num_res: int, num_primals: int) -> tuple[Any, Any, Any]:
    return args[:num_res], args[num_res : num_res + num_primals], args[num_res + num_primals :]


def _forward(args: Sequence[Any], *, linear: Any, num_res: int, num_primals: int) -> list[Any]:
    return linear.forward(*_parts(args, num_res, num_primals))


def _lin_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    """Linear in the tangents; where residuals are perturbed too, the derivative of its value."""
    n = params["num_res"] + params["num_primals"]
    if any(type(t) is not Zero for t in tangents[:n]):
        return jvp_flat(lambda *args: _forward(args, **params), primals, tangents)
    outs = custom_lin_p.bind(*primals, **params)
    return outs, custom_lin_p.bind(*primals[:n], *map(instantiate, tangents[n:]), **params)


def _lin_transpose(
    cts: Sequence[Any], *args: Any, linear: Any, num_res: int, num_primals: int
) -> list[Any]:
    residuals, _, _ = _parts(args, num_res, num_primals)
    if any(core.is_undefined(r) for r in residuals):
        raise NoRuleError("custom_lin is linear in the tangents only, not in the residuals")
    return [None] * (num_res + num_primals) + linear.backward(residuals, cts)


def _lin_lower(b: Any, *nodes: Any, **params: Any) -> list[Any]:
    avals = [ShapedArray(n.shape, np.dtype(n.dtype)) for n in nodes]
    closed = core.close(lambda *args: _forward(args, **params), avals)
    return lower_closed(b, closed, *nodes)


def _lin_record(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    if params["linear"].rules.recordable:
        return trace.record(custom_lin_p, [trace.atom(a) for a in args], params)
    return _forward(args, **params)


def _lin_partial(
    trace: Any, known: Sequence[bool], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    return trace.record(custom_lin_p, [trace.atom(a) for a in args], params)


def _lin_batch(
    trace: Any, vals: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> list[Any]:
    with set_trace(trace):
        return _forward([trace.wrap(v, d) for v, d in zip(vals, dims)], **params)


custom_lin_p.set(
    abstract=lambda *avals, linear, **params: linear.out_avals,
    jvp=_lin_jvp,
    transpose=_lin_transpose,
    lower=_lin_lower,
    limits=dict.fromkeys(
        ("forward", "reverse", "derivative", "vmap", "jit", "dtypes", "empty", "0-d"),
        "it stands in derivatives of custom_vjp_call, whose cases go through it",
    ),
)
custom_lin_p.trace_rules.update(
    eval=lambda trace, args, params: _forward(args, **params),
    jaxpr=_lin_record,
    partial=_lin_partial,
    batch=_lin_batch,
)


def linear_map(rules: CustomRules, avals: list[Any], num_res: int, out_avals: list[Any]) -> _Linear:
    """What custom_lin needs for a linear function of the arguments after the first `num_res`."""
    nonzero = [False] * num_res + [True] * (len(avals) - num_res)
    return _Linear(rules, None, avals, nonzero, [a.to_tangent_aval() for a in out_avals])
