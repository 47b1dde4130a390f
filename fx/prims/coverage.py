"""An entry -> what its cases reach: dtypes, empty and 0-d operands, second order, vmap, jit.

`variants` derives from the written cases one case for each other dtype that abstract evaluation
admits. `cell` says what of an aspect the checks reach, or the reason why nothing: derived from the
rules, or written on the primitive (`limits`). A cell without either is a hole, and a test fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fx.avals import ShapedArray, bfloat16, is_inexact, is_key
from fx.config import enable_x64
from fx.core import ClosedJaxpr, Primitive, named_axes, no
from fx.prims.registry import Case

ASPECTS = {
    "forward": "second derivatives in forward mode, of tangents and of cotangents",
    "reverse": "second derivatives in reverse mode, of tangents and of cotangents",
    "derivative": "by every operand that is a real or complex number, in each of their dtypes",
    "vmap": "each operand mapped over each of its axes, against a loop",
    "jit": "compiled, against eager code",
    "dtypes": "how many dtypes abstract evaluation admits; all in value, kernel and derivative",
    "empty": "an operand without elements",
    "0-d": "an operand without axes",
}
DTYPES = tuple(
    np.dtype(d)
    for d in (
        "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", bfloat16, "f4", "f8", "c8", "c16"
    )
)  # fmt: skip

# ---------------------------------------------------------------- cases and what they hold


def cases_of(p: Primitive) -> list[Case]:
    """The cases that are written in the entry."""
    return list(p.cases()) if p.cases else []


def dtypes_of(case: Case) -> tuple[np.dtype, ...]:
    """The dtypes of a case's operands."""
    return tuple(map(np.dtype, case.dtypes or (np.float32,) * len(case.shapes)))


def differentiable(case: Case) -> tuple[int, ...]:
    """The operands that the case is differentiated by."""
    if case.diff is not None:
        return case.diff
    return tuple(k for k, d in enumerate(dtypes_of(case)) if is_inexact(d))


def holds_jaxprs(value: Any) -> bool:
    """Whether a parameter is a jaxpr, whose dtypes are fixed, or a tuple of them."""
    if isinstance(value, (tuple, list)):
        return any(map(holds_jaxprs, value))
    return isinstance(value, ClosedJaxpr)


def has_reverse(p: Primitive) -> bool:
    """Whether reverse mode goes through it."""
    return "reverse" not in p.limits or "forward" in p.limits


# ---------------------------------------------------------------- the table


def cell(p: Primitive, aspect: str) -> str | no | None:
    """What of an aspect the checks reach, the reason why nothing, or None: a hole."""
    found = _CELLS[aspect](p)
    if found is None and aspect in p.limits:
        return no(p.limits[aspect])
    return found


def _second(p: Primitive) -> str | no | None:
    if isinstance(p.jvp, no):
        return p.jvp
    once = {k for c in cases_of(p) for k in differentiable(c)}
    twice = {k for c in cases_of(p) for k in differentiable(c) if c.order > 1}
    if twice and once != twice:  # the part that is missing has its reason
        return "yes" if "forward" in p.limits else None
    return "yes" if twice else _no_numbers(p)


def _reverse(p: Primitive) -> str | no | None:
    return _second(p) if has_reverse(p) else None


def _no_numbers(p: Primitive) -> no | None:
    """The reason where no operand of any dtype is a real or complex number."""
    every = [*cases_of(p), *variants(p)]
    if every and all(not c.shapes for c in every):
        return no("it has no operand")
    if every and not any(is_inexact(d) for c in every for d in dtypes_of(c)):
        return no("its operands are no real or complex numbers")
    return None


def _derivative(p: Primitive) -> str | no | None:
    if isinstance(p.jvp, no):
        return p.jvp
    every = [*cases_of(p), *variants(p)]
    there = {(k, d) for c in every for k, d in enumerate(dtypes_of(c)) if is_inexact(d)}
    reached = {(k, dtypes_of(c)[k]) for c in every for k in differentiable(c)}
    return _no_numbers(p) if not there else "yes" if there == reached else None


def _vmap(p: Primitive) -> str | no | None:
    if isinstance(p.batch, no) and "batch" not in p.trace_rules:
        return p.batch
    return "yes" if any(c.shapes for c in cases_of(p)) else _no_numbers(p)


def _jit(p: Primitive) -> str | no | None:
    if isinstance(p.lower, no) and not any(c.axes for c in cases_of(p)):
        return p.lower
    return "yes" if cases_of(p) else None


def _dtypes(p: Primitive) -> str | no | None:
    every = cases_of(p)
    if every and not any(c.shapes for c in every):
        return no("it has no operand")
    if every and not _patterns(every):
        return no("the dtypes are those of the functions that it calls")
    found = {
        dtypes_of(c)[k] for c in [*every, *variants(p)] for k in _moving(p) if k < len(c.shapes)
    }
    return str(len(found)) if found else None


def _moving(p: Primitive) -> list[int]:
    """The positions of operands that have axes in some case; all, if none has."""
    shapes = [c.shapes for c in cases_of(p)]
    count = max(map(len, shapes), default=0)
    axes = [any(len(s) > k and s[k] for s in shapes) for k in range(count)]
    return [k for k in range(count) if axes[k] or not any(axes)]


def _shapes(p: Primitive, wanted: Callable[[tuple[int, ...]], bool]) -> str | no | None:
    if cases_of(p) and not any(c.shapes for c in cases_of(p)):
        return no("it has no operand")
    found = [c.shapes[k] for c in cases_of(p) for k in _moving(p) if k < len(c.shapes)]
    return "yes" if any(map(wanted, found)) else None


_CELLS: dict[str, Callable[[Primitive], str | no | None]] = {
    "forward": _second,
    "reverse": _reverse,
    "derivative": _derivative,
    "vmap": _vmap,
    "jit": _jit,
    "dtypes": _dtypes,
    "empty": lambda p: _shapes(p, lambda s: 0 in s),
    "0-d": lambda p: _shapes(p, lambda s: s == ()),
}


def admits_shape(p: Primitive, aspect: str) -> list[Case]:
    """Cases whose operands of highest rank abstract evaluation admits without elements (axes)."""
    found = []
    for case in cases_of(p):
        rank = max(map(len, case.shapes), default=0)
        if case.axes or case.call or not rank:
            continue
        for at in [*range(rank), None] if aspect == "empty" else [None]:
            shapes = tuple(_shrunk(s, at, aspect) if len(s) == rank else s for s in case.shapes)
            changed = replace(case, shapes=shapes)
            if shapes != case.shapes and _admits(p, changed, dtypes_of(case)):
                found.append(changed)
    return found


def _shrunk(shape: tuple[int, ...], at: int | None, aspect: str) -> tuple[int, ...]:
    if aspect == "0-d":
        return ()
    return tuple(0 if at in (k, None) else n for k, n in enumerate(shape))


# ---------------------------------------------------------------- dtypes


def variants(p: Primitive) -> list[Case]:
    """A case for each admitted choice of dtypes that the written cases leave out.

    The operands of one dtype change theirs together; the first case of each choice of dtypes is
    the pattern.
    """
    found: dict[tuple[np.dtype, ...], Case] = {}
    written = cases_of(p)
    there = {dtypes_of(c) for c in written}
    near = [(pattern, d) for pattern in _patterns(written) for d in _changed(dtypes_of(pattern))]
    for pattern, dtypes in sorted(near, key=lambda pair: not _same_kinds(*pair)):
        if dtypes not in there and dtypes not in found and _admits(p, pattern, dtypes):
            diff = None if pattern.diff is None else tuple(
                k for k in pattern.diff if is_inexact(dtypes[k])
            )  # fmt: skip
            found[dtypes] = replace(pattern, dtypes=dtypes, diff=diff, note="another dtype")
    return list(found.values())


def _patterns(written: list[Case]) -> list[Case]:
    """The first case of each choice of dtypes, one with elements if there is one."""
    found: dict[Any, Case] = {}
    for case in sorted(written, key=lambda c: any(0 in s for s in c.shapes)):
        if case.shapes and not case.call and not any(map(holds_jaxprs, case.params.values())):
            found.setdefault(dtypes_of(case), case)
    return list(found.values())


def _changed(dtypes: tuple[np.dtype, ...]) -> Iterator[tuple[np.dtype, ...]]:
    for old in dict.fromkeys(dtypes):
        if not is_key(old):
            for new in DTYPES:
                yield tuple(new if d == old else d for d in dtypes)


def _same_kinds(pattern: Case, dtypes: tuple[np.dtype, ...]) -> bool:
    return all((d.kind == "c") == (e.kind == "c") for d, e in zip(dtypes_of(pattern), dtypes))


def _admits(p: Primitive, case: Case, dtypes: tuple[np.dtype, ...]) -> bool:
    avals = [ShapedArray(s, d) for s, d in zip(case.shapes, dtypes)]
    try:
        with enable_x64(True), named_axes(case.axes):
            p.rule("abstract")(*avals, **case.params)
    except Exception:  # each rule refuses in its own way
        return False
    return True
