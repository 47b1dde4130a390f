"""What of a jaxpr kernels may compute in NumPy's place: what they compute to the same bit (but for
the sign of a NaN, and that of a zero among zeros along an axis that is folded by max or min).

In: a closed jaxpr. Out: its equations in phases, those of kernels and those of NumPy in turns, each
a closed jaxpr. What only looks at memory otherwise, or is small, goes to who reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fx.avals import ShapedArray, is_key
from fx.jaxpr import Atom, ClosedJaxpr, Jaxpr, JaxprEqn, Var

LARGE = 1 << 18
"""Bytes of arguments and results together; below, a launch takes as long as NumPy."""

_CALLS = ("custom_jvp_call", "custom_vjp_call")
_VIEWS = """
    broadcast_in_dim copy reshape slice squeeze stop_gradient transpose
""".split()  # noqa: SIM905 (list literals take a page)
_MOVES = """
    concatenate dynamic_slice dynamic_update_slice gather iota pad random_unwrap random_wrap rev
    scatter select_n split
""".split()  # noqa: SIM905
_REAL = """
    abs add add_any and argmax argmin bitcast_convert_type ceil clamp clz convert_element_type
    cummax cummin div eq floor ge gt integer_pow is_finite le lt max min mul mulhi ne neg not or
    population_count random_bits random_fold_in random_seed random_split reduce_and reduce_max
    reduce_min reduce_or reduce_xor rem round scatter-add scatter-max scatter-min scatter-mul
    shift_left shift_right_arithmetic shift_right_logical sign sqrt square sub top_k xor
""".split()  # noqa: SIM905
_INTEGERS = ("cumsum", "cumprod", "reduce_sum", "reduce_prod", "sort")
TYPES: dict[str, str] = {
    **dict.fromkeys((*_VIEWS, *_MOVES), "biufc"),
    **dict.fromkeys(_REAL, "biuf"),
    **dict.fromkeys(_INTEGERS, "biu"),
    **dict.fromkeys(("complex", "real", "imag", "conj"), "fc"),
}
"""Primitives whose kernels give their NumPy rules' bits, and for which kinds of dtype."""


class Phase(NamedTuple):
    """Some of a jaxpr's equations: what they are given and what others read of them, as variables
    of the whole, and `closed`, the program.
    """

    kernel: bool
    closed: ClosedJaxpr
    ins: list[Var]
    outs: Sequence[Atom]


def exact(eqn: JaxprEqn) -> bool:
    """Whether a kernel of the equation gives NumPy's bits: nothing in it is approximated, rounds in
    between, or depends on the order of a sum.
    """
    if eqn.primitive.name in _CALLS:
        return all(map(exact, eqn.params["call_jaxpr"].jaxpr.eqns))
    kinds = TYPES.get(eqn.primitive.name, "")
    types = {x.aval.dtype for x in (*eqn.invars, *eqn.outvars)}
    return all(is_key(t) or (t.kind in kinds and not _narrow(t)) for t in types)


def _narrow(dtype: np.dtype) -> bool:
    """Kernels compute with them in float32."""
    return dtype.kind == "f" and dtype.itemsize < 4


def nbytes(avals: Sequence[ShapedArray]) -> int:
    """What arrays of these types take together."""
    return sum(a.size * a.dtype.itemsize for a in avals)


def phases(closed: ClosedJaxpr, least: int) -> list[Phase]:
    """The equations in phases; kernels compute such as touch `least` bytes."""
    jaxpr = closed.jaxpr
    numbers, kernels = _numbers(jaxpr, least)
    last = max([*numbers, 0])
    groups = {n: [e for e, k in zip(jaxpr.eqns, numbers) if k == n] for n in {*numbers, last}}
    values = dict(zip(jaxpr.constvars, closed.consts))
    found: list[Phase] = []
    read: Sequence[Atom] = jaxpr.outvars  # of later phases
    for n in sorted(groups, reverse=True):
        made = {v for e in groups[n] for v in e.outvars}
        outs = list(read) if n == last else list(dict.fromkeys(v for v in read if v in made))
        needed = [a for e in groups[n] for a in e.invars] + (outs if n == last else [])
        given = list(dict.fromkeys(a for a in needed if isinstance(a, Var) and a not in made))
        ins, consts = [v for v in given if v not in values], [v for v in given if v in values]
        program = ClosedJaxpr(Jaxpr(consts, ins, outs, groups[n]), [values[v] for v in consts])
        found.append(Phase(n in kernels, program, ins, outs))
        read = [*ins] if n == last else [*read, *ins]
    return found[::-1]


def _numbers(jaxpr: Jaxpr, least: int) -> tuple[list[int], set[int]]:
    """The phase of each equation, and which phases are kernels."""
    at: dict[Any, int] = {}
    kinds = [_kind(e, least) for e in jaxpr.eqns]
    numbers: list[int] = []
    for eqn, kind in zip(jaxpr.eqns, kinds):
        n = max((at.get(v, 0) for v in eqn.invars if isinstance(v, Var)), default=0)
        if kind is not None:
            n += n % 2 == kind  # kernels have even numbers, NumPy odd ones
        numbers.append(n)
        at |= dict.fromkeys(eqn.outvars, n)
    readers: dict[Any, int] = dict.fromkeys(jaxpr.outvars, 0)
    for k in reversed(range(len(numbers))):
        eqn = jaxpr.eqns[k]
        if kinds[k] is None:
            later = [readers[v] for v in eqn.outvars if v in readers]
            numbers[k] = max(numbers[k], min(later, default=0))
        for v in eqn.invars:
            readers[v] = min(readers.get(v, numbers[k]), numbers[k])
    return numbers, {n for n, kind in zip(numbers, kinds) if kind is True}


def _kind(eqn: JaxprEqn, least: int) -> bool | None:
    """True for a kernel, False for NumPy, None for either."""
    if not exact(eqn):
        return False
    size = nbytes([x.aval for x in (*eqn.invars, *eqn.outvars)])
    return None if size < least or eqn.primitive.name in _VIEWS else True
