"""The checks that every primitive's cases go through, each raising AssertionError.

value and abstract, jvp against finite differences, vjp against jvp, batching against a loop, lower
rule (Graph in the interpreter) and jit against eager. Derivatives are taken in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fx
from fx import core
from fx.avals import is_inexact, is_key, storage_dtype
from fx.config import enable_x64
from fx.core import Primitive, no
from fx.prims.registry import Case
from lowering.graph import Builder
from lowering.interp import run_graph

_WIDE = {np.dtype(np.float32): np.dtype(np.float64), np.dtype(np.complex64): np.dtype("c16")}

# a loop of unknown length has no reverse mode; that it says so is tested with control flow
FORWARD_ONLY = ("while",)

# ---------------------------------------------------------------- operands


def operands(case: Case, seed: int = 0, wide: bool = False) -> list[np.ndarray]:
    """The case's operands with random values in its ranges; `wide` doubles the precision."""
    rng = np.random.default_rng(seed)
    wide = wide and not any(_holds_jaxprs(v) for v in case.params.values())
    count = len(case.shapes)
    dtypes = case.dtypes or (np.float32,) * count
    ranges = case.ranges or (None,) * count
    found = [_operand(rng, *each, wide) for each in zip(case.shapes, dtypes, ranges)]
    if seed:  # members of a batch differ also where the case gives the values
        for x, given in zip(found, ranges):
            if isinstance(given, (np.ndarray, list)):
                x[...] = rng.permutation(x.reshape(-1)).reshape(x.shape)
    return found


def _holds_jaxprs(param: Any) -> bool:
    """Whether a parameter is a jaxpr, whose dtypes are fixed, or a tuple of them."""
    if isinstance(param, (tuple, list)):
        return any(map(_holds_jaxprs, param))
    return isinstance(param, core.ClosedJaxpr)


def _operand(rng: Any, shape: Any, dtype: Any, given: Any, wide: bool) -> np.ndarray:
    dtype = np.dtype(dtype)
    kept = _WIDE.get(dtype, dtype) if wide else dtype
    if callable(given):
        return np.asarray(given(rng, shape)).astype(kept)
    if isinstance(given, (np.ndarray, list)):
        return np.array(given).astype(kept).reshape(shape)
    low, high = given if given is not None else (-2.0, 2.0)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        low = max(int(low), 0) if dtype.kind == "u" else int(low)
        return rng.integers(low, max(int(high), low + 1), shape).astype(dtype)
    x = rng.uniform(low, high, shape)
    if dtype.kind == "c":
        x = x + 1j * rng.uniform(low, high, shape)
    return np.asarray(x).astype(kept)


def differentiable(p: Primitive, case: Case) -> tuple[int, ...]:
    """The operands that the case is differentiated by."""
    if case.diff is not None:
        return case.diff
    dtypes = case.dtypes or (np.float32,) * len(case.shapes)
    return tuple(k for k, d in enumerate(dtypes) if is_inexact(np.dtype(d)))


def applied(p: Primitive, case: Case) -> Callable[..., list[Any]]:
    """The case as a function of its operands that returns a list."""

    def apply(*args: Any) -> list[Any]:
        out = p.bind(*args, **case.params)
        return list(out) if p.multiple_results else [out]

    return apply


def host(values: list[Any]) -> list[np.ndarray]:
    return [np.asarray(v) for v in values]


def stored(a: np.ndarray) -> np.ndarray:
    """Random keys as the integers that they are in memory; anything else as it is."""
    return a.view(storage_dtype(a.dtype)) if is_key(a.dtype) else a


def agree(found: Any, expected: Any, rtol: float, atol: float, what: str) -> None:
    """Equal within tolerance where both are finite, else the same infinities and NaNs."""
    found, expected = stored(np.asarray(found)), stored(np.asarray(expected))
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    if found.dtype.kind == "V" or expected.dtype.kind == "V":
        found, expected = found.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol, atol, err_msg=what)


# ---------------------------------------------------------------- the checks


def check_value(p: Primitive, case: Case) -> None:
    """Eager values have the abstract shape and dtype, and the NumPy rule's values."""
    args = operands(case)
    out = applied(p, case)(*args)
    avals = p.rule("abstract")(*map(core.get_aval, args), **case.params)
    avals = list(avals) if p.multiple_results else [avals]
    assert [(o.shape, o.dtype) for o in host(out)] == [(a.shape, a.dtype) for a in avals]


def check_lower(p: Primitive, case: Case) -> None:
    """The lower rule's graph, run form by form, gives the eager values."""
    args = operands(case)
    expected = [stored(e) for e in host(applied(p, case)(*args))]
    args = [stored(a) for a in args]
    builder = Builder()
    nodes = [builder.input(a.shape, a.dtype) for a in args]
    out = p.rule("lower")(builder, *nodes, **case.params)
    graph = builder.graph(list(out) if p.multiple_results else [out])
    for k, (f, e) in enumerate(zip(run_graph(graph, args), expected, strict=True)):
        assert f.dtype == e.dtype, f"{p.name}: output {k} is {f.dtype}, not {e.dtype}"
        agree(f, e, *_tolerance(e.dtype), f"lower rule of {p.name}")


def check_jit(p: Primitive, cases: list[Case]) -> None:
    """All cases of a primitive in one jitted function give the eager values."""
    args = [operands(c) for c in cases]
    functions = [applied(p, c) for c in cases]
    expected = [host(f(*a)) for f, a in zip(functions, args)]
    found = fx.jit(lambda groups: [f(*a) for f, a in zip(functions, groups)])(args)
    for f, e in zip(found, expected, strict=True):
        for x, y in zip(host(f), e, strict=True):
            assert x.dtype == y.dtype
            agree(x, y, *_tolerance(y.dtype), f"jit of {p.name}")


def _tolerance(dtype: np.dtype) -> tuple[float, float]:
    if dtype.kind in "biu":
        return 0.0, 0.0
    if dtype.itemsize == 2 and dtype.kind != "c":
        return 1e-2, 1e-2
    return 1e-5, 1e-5


def _along(p: Primitive, case: Case) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
    """The case as a function of the operands to differentiate by; these, and directions."""
    args = operands(case, wide=True)
    which = differentiable(p, case)
    rng = np.random.default_rng(1)

    def of_chosen(*chosen: Any) -> list[Any]:
        every = list(args)
        for k, x in zip(which, chosen, strict=True):
            every[k] = x
        return applied(p, case)(*every)

    primals = [args[k] for k in which]
    return of_chosen, primals, [_direction(rng, x) for x in primals]


def _direction(rng: Any, x: np.ndarray) -> np.ndarray:
    t = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    if x.dtype.kind == "c":
        t = t + 1j * rng.uniform(0.5, 1.5, x.shape)
    return np.asarray(t).astype(x.dtype)


def check_jvp(p: Primitive, case: Case) -> None:
    """The tangents are those of central differences."""
    if isinstance(p.jvp, no) or not differentiable(p, case):
        return
    with enable_x64(True):
        f, primals, tangents = _along(p, case)
        out, found = fx.jvp(f, primals, tangents)
        inexact = [o for o in host(out) if is_inexact(o.dtype)]
        step, rtol = _step([x.dtype for x in (*primals, *inexact)])
        high = host(f(*_moved(primals, tangents, step)))
        low = host(f(*_moved(primals, tangents, -step)))
        for t, a, b in zip(found, high, low, strict=True):
            if is_inexact(a.dtype):
                wide = np.complex128 if a.dtype.kind == "c" else np.float64
                slope = (a.astype(wide) - b.astype(wide)) / (2 * step)
                agree(t, slope, rtol, min(rtol, 1e-3), f"jvp of {p.name}")


def _step(dtypes: list[np.dtype]) -> tuple[float, float]:
    """Step and tolerance of central differences; cases in 16 bits have to be quadratic at most."""
    narrowest = min((d.itemsize // (2 if d.kind == "c" else 1) for d in dtypes), default=8)
    return {8: (1e-6, 1e-5), 4: (1e-2, 3e-3), 2: (0.5, 4e-3)}[narrowest]


def _moved(primals: list[np.ndarray], tangents: list[np.ndarray], step: float) -> list[Any]:
    return [np.asarray(x + step * t).astype(x.dtype) for x, t in zip(primals, tangents)]


def check_transpose(p: Primitive, case: Case) -> None:
    """<ct, J t> = <J^T ct, t>, through vjp and for the transpose rule by itself."""
    if isinstance(p.jvp, no) or not differentiable(p, case) or p.name in FORWARD_ONLY:
        return
    with enable_x64(True):
        f, primals, tangents = _along(p, case)
        rng = np.random.default_rng(2)
        out, moved = fx.jvp(f, primals, tangents)
        live = [k for k, o in enumerate(host(out)) if is_inexact(o.dtype)]
        _, pull = fx.vjp(lambda *xs: [f(*xs)[k] for k in live], *primals)
        cts = [_direction(rng, np.asarray(out[k])) for k in live]
        back = host(pull(cts))
        _agree_paired(p, cts, [np.asarray(moved[k]) for k in live], back, tangents)
        if p.transpose and len(live) == len(out) and all(a.size for a in primals):
            _check_rule(p, case, cts)


def _check_rule(p: Primitive, case: Case, cts: list[np.ndarray]) -> None:
    """The rule for all operands together and for each alone, where the case is linear in them."""
    if any(map(_holds_jaxprs, case.params.values())):  # linear here, but not by its rules
        return
    args, which = operands(case, wide=True), differentiable(p, case)
    rng = np.random.default_rng(3)
    for chosen in dict.fromkeys([which, *((k,) for k in which)]):
        directions = {k: _direction(rng, args[k]) for k in chosen}
        scaled = [
            host(applied(p, case)(*[c * directions.get(k, a) if k in directions else a
                                    for k, a in enumerate(args)]))
            for c in (0, 1, 2)
        ]  # fmt: skip
        if not all(
            np.allclose(zero, 0) and np.allclose(2 * once, twice, 1e-6, 1e-6)
            for zero, once, twice in zip(*scaled)
        ):
            continue
        undefined = [
            core.UndefinedPrimal(core.get_aval(a)) if k in directions else a
            for k, a in enumerate(args)
        ]
        back = p.rule("transpose")(cts if p.multiple_results else cts[0], *undefined, **case.params)
        found = [np.asarray(core.instantiate(back[k])) for k in chosen]
        _agree_paired(p, cts, scaled[1], found, [directions[k] for k in chosen])


def _agree_paired(p: Primitive, cts: Any, moved: Any, back: Any, tangents: Any) -> None:
    forward = sum(_paired(ct, t) for ct, t in zip(cts, moved, strict=True))
    total = sum(_paired(ct, t) for ct, t in zip(back, tangents, strict=True))
    wide = all(x.dtype.itemsize >= 8 for x in (*tangents, *cts))
    rtol = 1e-9 if wide else 3e-3
    np.testing.assert_allclose(total, forward, rtol, rtol, err_msg=f"transpose of {p.name}")


def _paired(ct: np.ndarray, t: np.ndarray) -> float:
    """The real pairing Re(sum ct t): cotangents of complex values are conjugate gradients."""
    wide = np.complex128
    return float(np.sum(ct.astype(wide) * t.astype(wide)).real)


def check_batch(p: Primitive, case: Case, size: int = 3) -> None:
    """vmap over every choice of operands and places gives what a Python loop gives."""
    args = operands(case)
    if isinstance(p.batch, no) or not args:
        return
    f = applied(p, case)
    for axes in _mapped_choices(args):
        members = [operands(case, seed=10 + k) for k in range(size)]
        stacked = [
            a if d is None else np.stack([m[j] for m in members], d)
            for j, (a, d) in enumerate(zip(args, axes))
        ]
        found = fx.vmap(f, in_axes=axes)(*stacked)
        for k in range(size):
            each = [a if d is None else members[k][j] for j, (a, d) in enumerate(zip(args, axes))]
            for x, y in zip(host(found), host(f(*each)), strict=True):
                assert x.dtype == y.dtype
                agree(x[k], y, *_tolerance(y.dtype), f"batching of {p.name} over {axes}")


def _mapped_choices(args: list[np.ndarray]) -> list[tuple[int | None, ...]]:
    """All operands in front, all at the back, each alone, and each left out."""
    count = len(args)
    front, back = (0,) * count, tuple(a.ndim for a in args)
    alone = [tuple(0 if j == k else None for j in range(count)) for k in range(count)]
    others = [tuple(None if j == k else args[j].ndim for j in range(count)) for k in range(count)]
    choices = [front, back, *alone, *(o for o in others if count > 1)]
    return list(dict.fromkeys(choices))


CHECKS = (check_value, check_lower, check_jvp, check_transpose, check_batch)
