"""Jaxpr to jaxpr passes that keep its meaning: check, dead code, common subexpressions, inlining,
hoisting of constants.

Each is one sweep over the equations. In and out: well-formed jaxprs; effects are neither dropped,
merged nor reordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fx.core import PRIMITIVES
from fx.jaxpr import Atom, ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, has_side_effects

# ---------------------------------------------------------------- well-formedness


def check_jaxpr(jaxpr: Jaxpr | ClosedJaxpr) -> None:
    """Raise TypeError unless every variable is bound once, before use, and every equation has the
    avals of its rule.
    """
    if isinstance(jaxpr, ClosedJaxpr):
        if len(jaxpr.consts) != len(jaxpr.jaxpr.constvars):
            raise TypeError(
                f"{len(jaxpr.jaxpr.constvars)} constvars, {len(jaxpr.consts)} constants"
            )
        jaxpr = jaxpr.jaxpr
    bound: set[Var] = set()

    def bind(v: Var, what: str) -> None:
        if v in bound:
            raise TypeError(f"{what}: variable bound twice in\n{jaxpr}")
        bound.add(v)

    def read(a: Atom, what: str) -> None:
        if isinstance(a, Var) and a not in bound:
            raise TypeError(f"{what}: variable used before it is bound in\n{jaxpr}")

    for v in (*jaxpr.constvars, *jaxpr.invars):
        bind(v, "input")
    for eqn in jaxpr.eqns:
        what = f"equation of {eqn.primitive.name}"
        for a in eqn.invars:
            read(a, what)
        _check_eqn(eqn, what)
        for v in eqn.outvars:
            bind(v, what)
    for a in jaxpr.outvars:
        read(a, "output")


def _check_eqn(eqn: JaxprEqn, what: str) -> None:
    for sub in sub_jaxprs(eqn.params):
        check_jaxpr(sub)
    out = eqn.primitive.rule("abstract")(*(a.aval for a in eqn.invars), **eqn.params)
    avals = list(out) if eqn.primitive.multiple_results else [out]
    given = [v.aval for v in eqn.outvars]
    if len(avals) != len(given) or any(
        a.shape != b.shape or a.dtype != b.dtype for a, b in zip(avals, given)
    ):
        raise TypeError(f"{what}: abstract evaluation gives {avals}, the equation has {given}")


def sub_jaxprs(params: dict[str, Any]) -> list[ClosedJaxpr]:
    """The closed jaxprs among an equation's parameters, those in tuples too."""
    found = []
    for value in params.values():
        for v in value if isinstance(value, tuple | list) else (value,):
            if isinstance(v, ClosedJaxpr):
                found.append(v)
    return found


# ---------------------------------------------------------------- dead code


def dce_jaxpr(
    jaxpr: Jaxpr, used_outputs: Sequence[bool], instantiate: bool | Sequence[bool] = False
) -> tuple[Jaxpr, list[bool]]:
    """Drop equations that no used output needs, and inputs that nothing reads; effects stay.

    Returns the jaxpr of the used outputs and kept inputs, and the mask of kept inputs.
    `instantiate` keeps inputs anyway.
    """
    keep = [instantiate] * len(jaxpr.invars) if isinstance(instantiate, bool) else list(instantiate)
    outvars = [a for a, used in zip(jaxpr.outvars, used_outputs, strict=True) if used]
    live: set[Var] = {a for a in outvars if isinstance(a, Var)}
    eqns: list[JaxprEqn] = []
    for eqn in reversed(jaxpr.eqns):
        used = [v in live for v in eqn.outvars]
        if not any(used) and not has_side_effects(eqn.effects):
            continue
        kept: JaxprEqn | None = eqn
        if eqn.primitive.dce is not None:
            _, kept = eqn.primitive.dce(used, eqn)
        if kept is not None:
            eqns.append(kept)
            live.update(a for a in kept.invars if isinstance(a, Var))
    used_inputs = [v in live or k for v, k in zip(jaxpr.invars, keep, strict=True)]
    invars = [v for v, used in zip(jaxpr.invars, used_inputs) if used]
    info = jaxpr.debug_info
    if len(info.arg_names) == len(used_inputs):
        info = info._replace(arg_names=tuple(n for n, u in zip(info.arg_names, used_inputs) if u))
    return Jaxpr(jaxpr.constvars, invars, outvars, eqns[::-1], None, info), used_inputs


def dce_closed(
    closed: ClosedJaxpr,
    used_outputs: Sequence[bool] | None = None,
    instantiate: bool | Sequence[bool] = False,
) -> tuple[ClosedJaxpr, list[bool]]:
    """dce_jaxpr of a closed jaxpr; constants that nothing reads go too. Cached on the jaxpr where
    all outputs are used.
    """
    flags = tuple(used_outputs) if used_outputs is not None else (True,) * len(closed.out_avals)
    instantiate = instantiate if isinstance(instantiate, bool) else tuple(instantiate)
    key = ("dce", flags, instantiate)
    found = closed.cache.get(key)
    if found is None:
        jaxpr, used = dce_jaxpr(closed.jaxpr, flags, instantiate)
        read = {a for e in jaxpr.eqns for a in e.invars if isinstance(a, Var)}
        read.update(a for a in jaxpr.outvars if isinstance(a, Var))
        kept = [(v, c) for v, c in zip(jaxpr.constvars, closed.consts) if v in read]
        jaxpr.constvars = [v for v, _ in kept]
        found = closed.cache[key] = ClosedJaxpr(jaxpr, [c for _, c in kept]), used
    return found


# ---------------------------------------------------------------- common subexpressions


def cse_jaxpr(jaxpr: Jaxpr) -> Jaxpr:
    """Compute equal expressions once: same primitive, operands and parameters, no effects."""
    renamed: dict[Var, Atom] = {}
    seen: dict[Any, list[Var]] = {}
    eqns: list[JaxprEqn] = []

    def resolve(a: Atom) -> Atom:
        return renamed.get(a, a) if isinstance(a, Var) else a

    for eqn in jaxpr.eqns:
        invars = [resolve(a) for a in eqn.invars]
        if invars != eqn.invars:
            eqn = eqn.replace(invars=invars)
        key = None if eqn.effects or eqn.primitive.name == "checkpoint" else _eqn_key(eqn)
        found = seen.get(key) if key is not None else None
        if found is not None and [v.aval for v in found] == [v.aval for v in eqn.outvars]:
            renamed.update(zip(eqn.outvars, found))
            continue
        if key is not None:
            seen[key] = eqn.outvars
        eqns.append(eqn)
    outvars = [resolve(a) for a in jaxpr.outvars]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, outvars, eqns, jaxpr.effects, jaxpr.debug_info)


def _eqn_key(eqn: JaxprEqn) -> Any:
    try:
        params = tuple(sorted((k, _ParamKey(v)) for k, v in eqn.params.items()))
        key = (eqn.primitive, tuple(map(_atom_key, eqn.invars)), params)
        hash(key)
    except TypeError:
        return None
    return key


def _atom_key(a: Atom) -> Any:
    return (type(a.val), repr(a.val), a.aval) if isinstance(a, Literal) else a


class _ParamKey:
    """A parameter as part of a key: equal by type and value, with 0.0 and -0.0 apart."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _ParamKey) or type(self.value) is not type(other.value):
            return False
        if isinstance(self.value, float | complex | tuple) and repr(self.value) != repr(
            other.value
        ):
            return False
        return self.value == other.value


# ---------------------------------------------------------------- inlining, hoisting


def inline_jits(jaxpr: Jaxpr) -> Jaxpr:
    """Write the body of every jit equation in its place, recursively."""
    jit_p = PRIMITIVES["jit"]
    env: dict[Var, Atom] = {}
    eqns: list[JaxprEqn] = []

    def resolve(a: Atom) -> Atom:
        return env.get(a, a) if isinstance(a, Var) else a

    def sweep(body: Sequence[JaxprEqn], fresh: bool) -> None:
        for eqn in body:
            invars = [resolve(a) for a in eqn.invars]
            if eqn.primitive is jit_p:
                inner = eqn.params["jaxpr"].jaxpr
                saved = {v: env[v] for v in inner.invars if v in env}
                env.update(zip(inner.invars, invars))
                sweep(inner.eqns, True)
                env.update(zip(eqn.outvars, [resolve(a) for a in inner.outvars]))
                env.update(saved)
                continue
            outvars = eqn.outvars
            if fresh:
                outvars = [Var(v.aval) for v in eqn.outvars]
                env.update(zip(eqn.outvars, outvars))
            eqns.append(eqn.replace(invars=invars, outvars=outvars))

    sweep(jaxpr.eqns, False)
    outvars = [resolve(a) for a in jaxpr.outvars]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, outvars, eqns, jaxpr.effects, jaxpr.debug_info)


def hoist_consts(jaxpr: Jaxpr, consts: Sequence[Any]) -> tuple[ClosedJaxpr, list[Any]]:
    """Constvars become leading inputs: a closed jaxpr without constants, and the values to pass
    first.
    """
    names = jaxpr.debug_info.arg_names
    info = jaxpr.debug_info._replace(
        arg_names=tuple(f"constant {k}" for k in range(len(consts))) + names
    )
    hoisted = Jaxpr(
        [], [*jaxpr.constvars, *jaxpr.invars], jaxpr.outvars, jaxpr.eqns, jaxpr.effects, info
    )
    return ClosedJaxpr(hoisted), list(consts)


def count_eqns(jaxpr: Jaxpr | ClosedJaxpr, name: str | None = None) -> int:
    """How many equations (of the primitive `name`) a jaxpr holds, inner jaxprs included."""
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(
        (name is None or e.primitive.name == name)
        + sum(count_eqns(s, name) for s in sub_jaxprs(e.params))
        for e in inner.eqns
    )
