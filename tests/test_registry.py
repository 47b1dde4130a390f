"""Every primitive's own cases, every rule, no hole; and that wrong rules and holes are caught."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import case_checks as checks
import numpy as np
import pytest
from case_checks import cases_of, differentiable, has_reverse

import fx
import fx.experimental.checkify  # it has a primitive
from fx import core
from fx.avals import is_inexact
from fx.config import enable_x64
from fx.core import PRIMITIVES, Primitive, Zero, no
from fx.prims import coverage

NAMES = sorted(PRIMITIVES)
# to run the cases of these is to build a kernel
BUILDING = ("jit",)
WITHOUT_RESULTS = ("check", "debug_callback")  # nothing of theirs can be spoiled
RULES = ("abstract", "jvp", "transpose", "batch", "lower")


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_complete(name: str) -> None:
    """A sentence, cases, and every rule or the declared reason why there is none."""
    p = PRIMITIVES[name]
    assert p.doc.strip(), "no sentence says what it computes"
    assert p.cases is not None or p.limits, "no test cases and no reason"
    for rule in RULES:
        found = getattr(p, rule)
        found = found or p.trace_rules.get(rule) or (rule == "abstract" and p.trace_rules)
        assert found is not None, f"no {rule} rule and no reason"
        if isinstance(getattr(p, rule), no):
            assert len(getattr(p, rule).reason) > 10


@pytest.mark.parametrize("name", NAMES)
def test_no_hole_without_a_reason(name: str) -> None:
    """Second order in both modes, every operand and dtype, every axis, jit, empty and 0-d."""
    p = PRIMITIVES[name]
    assert [aspect for aspect in coverage.ASPECTS if coverage.cell(p, aspect) is None] == []
    assert set(p.limits) <= set(coverage.ASPECTS)


@pytest.mark.parametrize("name", NAMES)
def test_reasons_are_true(name: str) -> None:
    """What abstract evaluation admits is no limit of the primitive's."""
    p = PRIMITIVES[name]
    for aspect in p.limits.keys() & {"empty", "0-d"}:
        assert coverage.admits_shape(p, aspect) == []


@pytest.mark.eager
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", [n for n in NAMES if n not in BUILDING])
def test_case(name: str, check: Any) -> None:
    """Each check on each of its cases."""
    with enable_x64(True):
        for case in checks.CHECKS[check](PRIMITIVES[name]):
            check(PRIMITIVES[name], case)


@pytest.mark.lowering
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", BUILDING)
def test_case_that_builds(name: str, check: Any) -> None:
    """Each check on each of its cases."""
    test_case(name, check)


@pytest.mark.lowering
@pytest.mark.parametrize("name", NAMES)
def test_jit(name: str) -> None:
    """Compiled values are the eager ones."""
    p = PRIMITIVES[name]
    found = {(c.shapes, c.dtypes, c.note, repr(c.params)): c for c in cases_of(p)}
    if found:
        checks.check_jit(p, list(found.values()))


@pytest.mark.lowering
@pytest.mark.parametrize("name", NAMES)
def test_jit_of_other_dtypes(name: str) -> None:
    """Those of elementwise primitives stand in test_prims_elementwise.py, in one kernel a dtype."""
    p = PRIMITIVES[name]
    found = [] if p.elementwise or isinstance(p.lower, no) else coverage.variants(p)
    if found:
        with enable_x64(True):
            checks.check_jit(p, found)


@pytest.mark.lowering
@pytest.mark.parametrize("name", NAMES)
def test_jit_of_derivatives(name: str) -> None:
    """Compiled tangents and cotangents are the eager ones."""
    p = PRIMITIVES[name]
    found = [c for c in cases_of(p) if differentiable(c) and all(0 not in s for s in c.shapes)]
    if found and not isinstance(p.jvp, no):
        checks.check_jit_derivative(p, found[0])


# ---------------------------------------------------------------- the checks are checked


def derivative_sizes(p: Primitive) -> tuple[float, float]:
    """The largest first and second derivative in some direction, in some case."""
    sizes = [(0.0, 0.0)]
    if isinstance(p.jvp, no) or p.jvp is None or p.name in WITHOUT_RESULTS:
        return sizes[0]
    for case in cases_of(p):
        if not differentiable(case) or any(0 in s for s in case.shapes):
            continue
        f, primals, tangents = checks.along(p, case)
        forward = lambda *xs: fx.jvp(f, list(xs), tangents)[1]  # noqa: B023  called at once
        if case.order > 1:
            once, twice = fx.jvp(forward, primals, tangents)
            sizes.append((largest(once), largest(twice)))
        else:
            sizes.append((largest(forward(*primals)), 0.0))
    return max(a for a, _ in sizes), max(b for _, b in sizes)


def largest(tangents: Any) -> float:
    arrays = [np.asarray(t) for t in tangents]
    return max((np.abs(t).max() for t in arrays if is_inexact(t.dtype) and t.size), default=0.0)


@pytest.fixture(scope="module")
def sizes() -> Any:
    """derivative_sizes, computed once a primitive."""
    return functools.cache(lambda name: derivative_sizes(PRIMITIVES[name]))


def scaled(value: Any) -> Any:
    """The value times 1.01; symbolic zeros and lists as they come."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(scaled, value))
    return value if value is None or type(value) is Zero else value * 1.01


def caught(check: Any, p: Primitive) -> bool:
    for case in cases_of(p):
        try:
            check(p, case)
            if case.axes:  # around the vmap, no rule of theirs is asked
                checks.check_inside(p, case)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_wrong_jvp_is_caught(name: str, sizes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tangent that is 1 % too large fails the check against finite differences."""
    p = PRIMITIVES[name]
    if sizes(name)[0] < 1e-3:
        pytest.skip("its derivative is zero")
    right = p.jvp

    def wrong(primals: Any, tangents: Any, /, **params: Any) -> Any:
        out, t = right(primals, tangents, **params)
        return out, scaled(t)

    monkeypatch.setattr(p, "jvp", wrong)
    assert caught(checks.check_jvp, p)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_second_derivative_is_caught(
    name: str, sizes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right tangent whose factors do not depend on the operands fails at second order."""
    p = PRIMITIVES[name]
    if sizes(name)[1] < 1e-2:
        pytest.skip("its second derivative is zero")
    right, stop = p.jvp, PRIMITIVES["stop_gradient"].bind

    def wrong(primals: Any, tangents: Any, /, **params: Any) -> Any:
        out, _ = right(primals, [Zero.like(x) for x in primals], **params)
        return out, right([*map(stop, primals)], tangents, **params)[1]

    monkeypatch.setattr(p, "jvp", wrong)
    assert caught(checks.check_second, p)


@pytest.mark.parametrize("name", NAMES)
def test_missing_case_is_a_hole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its empty, its 0-d or its differentiated cases, a primitive has a hole."""
    p = PRIMITIVES[name]
    written = cases_of(p)
    some = [c for c in written if c.shapes]
    reached = {a for a in ("empty", "0-d", "forward") if coverage.cell(p, a) == "yes"}

    def hole(aspect: str, left: list[Any]) -> bool:
        monkeypatch.setattr(p, "cases", lambda: left)
        return aspect not in reached - p.limits.keys() or coverage.cell(p, aspect) is None

    assert hole("empty", [c for c in some if not any(0 in s for s in c.shapes)])
    assert hole("0-d", [c for c in some if () not in c.shapes])
    assert hole("forward", [dataclasses.replace(c, diff=()) for c in some])


@pytest.mark.parametrize("name", NAMES)
def test_wrong_transpose_is_caught(name: str, sizes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cotangent that is 1 % too large fails the check against the jvp."""
    p = PRIMITIVES[name]
    if not p.transpose or not has_reverse(p) or sizes(name)[0] < 1e-3:
        pytest.skip("it is not linear")
    right = p.transpose
    monkeypatch.setattr(p, "transpose", lambda ct, *args, **ps: scaled(right(ct, *args, **ps)))
    assert caught(checks.check_transpose, p)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_batching_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batching rule that names the wrong axis, or gives other values, fails."""
    p = PRIMITIVES[name]
    if not p.batch or not cases_of(p) or name in WITHOUT_RESULTS:
        pytest.skip("it has no batching rule, or no outputs")
    right = p.batch

    def wrong(axis: Any, args: Any, dims: Any, /, **params: Any) -> Any:
        out, d = right(axis, args, dims, **params)
        if p.multiple_results:
            return [spoiled(o, k) for o, k in zip(out, d)], d
        return spoiled(out, d), d

    monkeypatch.setattr(p, "batch", wrong)
    assert caught(checks.check_batch, p)


def spoiled(x: Any, d: Any) -> Any:
    """x with the members of the mapped axis in reverse order."""
    from fx.prims import shape

    return x if d is None else shape.rev(x, (d,))


def test_missing_rules_are_loud() -> None:
    """The error names the primitive, the rule and the reason."""
    p = PRIMITIVES["argmax"]
    with pytest.raises(core.NoRuleError, match=r"'argmax' has no transpose rule: its derivative"):
        p.rule("transpose")
