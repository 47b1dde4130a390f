"""Every primitive's own cases, every rule; complete entries; and that wrong rules are caught."""

from __future__ import annotations

from typing import Any

import case_checks as checks
import numpy as np
import pytest

import fx  # noqa: F401  registers the primitives
from fx import core
from fx.avals import is_inexact
from fx.core import PRIMITIVES, Primitive, Zero, no

NAMES = sorted(PRIMITIVES)
# calls of functions: their cases are the tests of the transformations that make them
CALLS = (
    "jit",
    "checkpoint",
    "custom_jvp_call",
    "custom_vjp_call",
    "custom_vmap_call",
    "custom_lin",
    "check",
)
RULES = ("abstract", "jvp", "transpose", "batch", "lower")


def cases_of(name: str) -> list[Any]:
    p = PRIMITIVES[name]
    return list(p.cases()) if p.cases else []


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_complete(name: str) -> None:
    """A sentence, cases, and every rule or the declared reason why there is none."""
    p = PRIMITIVES[name]
    assert p.doc.strip(), "no sentence says what it computes"
    assert p.cases is not None or name in CALLS, "no test cases"
    for rule in RULES:
        found = getattr(p, rule)
        found = found or p.trace_rules.get(rule) or (rule == "abstract" and p.trace_rules)
        assert found is not None, f"no {rule} rule and no reason"
        if isinstance(getattr(p, rule), no):
            assert len(getattr(p, rule).reason) > 10


@pytest.mark.eager
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, check: Any) -> None:
    """Each check on each case."""
    for case in cases_of(name):
        check(PRIMITIVES[name], case)


@pytest.mark.lowering
@pytest.mark.parametrize("name", NAMES)
def test_jit(name: str) -> None:
    """Compiled values are the eager ones."""
    found = cases_of(name)
    if found and not isinstance(PRIMITIVES[name].lower, no):
        checks.check_jit(PRIMITIVES[name], found)


# ---------------------------------------------------------------- the checks are checked


def has_derivative(p: Primitive) -> bool:
    """Whether some case has a tangent that is not identically zero."""
    if isinstance(p.jvp, no) or p.jvp is None:
        return False
    for case in cases_of(p.name):
        which = checks.differentiable(p, case)
        args = checks.operands(case)
        if not which or not all(a.size for a in args):
            continue
        tangents = [args[k] if k in which else Zero.like(a) for k, a in enumerate(args)]
        _, out = p.jvp(args, tangents, **case.params)
        outs = out if p.multiple_results else [out]
        arrays = [np.asarray(t) for t in outs if type(t) is not Zero]
        if any(t.size and np.abs(t).max() > 1e-3 for t in arrays if is_inexact(t.dtype)):
            return True
    return False


def scaled(value: Any) -> Any:
    """The value times 1.01; symbolic zeros and lists as they come."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(scaled, value))
    return value if value is None or type(value) is Zero else value * 1.01


def caught(check: Any, p: Primitive) -> bool:
    for case in cases_of(p.name):
        try:
            check(p, case)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_wrong_jvp_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tangent that is 1 % too large fails the check against finite differences."""
    p = PRIMITIVES[name]
    if not has_derivative(p):
        pytest.skip("its derivative is zero")
    right = p.jvp

    def wrong(primals: Any, tangents: Any, /, **params: Any) -> Any:
        out, t = right(primals, tangents, **params)
        return out, scaled(t)

    monkeypatch.setattr(p, "jvp", wrong)
    assert caught(checks.check_jvp, p)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_transpose_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cotangent that is 1 % too large fails the check against the jvp."""
    p = PRIMITIVES[name]
    if not p.transpose or name in checks.FORWARD_ONLY or not has_derivative(p):
        pytest.skip("it is not linear")
    right = p.transpose
    monkeypatch.setattr(p, "transpose", lambda ct, *args, **ps: scaled(right(ct, *args, **ps)))
    assert caught(checks.check_transpose, p)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_batching_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batching rule that names the wrong axis, or gives other values, fails."""
    p = PRIMITIVES[name]
    if not p.batch or not cases_of(name) or name == "debug_callback":
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
