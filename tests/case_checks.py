"""The checks that every primitive's cases go through, each raising AssertionError.

value and abstract, jvp against finite differences, vjp against jvp, both of their derivatives,
narrow precision against double, batching against a loop, lower rule (Graph in the interpreter) and
jit against eager. Differences are taken in double precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import fx
from fx import core
from fx.avals import bfloat16, is_inexact, is_key, storage_dtype
from fx.config import enable_x64
from fx.core import Primitive, no
from fx.prims.coverage import (
    cases_of,
    differentiable,
    dtypes_of,
    has_reverse,
    holds_jaxprs,
    variants,
)
from fx.prims.registry import Case
from lowering.graph import Builder
from lowering.interp import run_graph

_WIDE: dict[Any, Any] = {np.dtype(d): np.dtype("f8") for d in (np.float16, bfloat16, np.float32)}
_WIDE[np.dtype(np.complex64)] = np.dtype("c16")

# ---------------------------------------------------------------- operands


def operands(case: Case, seed: int = 0, wide: bool = False) -> list[np.ndarray]:
    """The case's operands with random values in its ranges; `wide` doubles the precision."""
    rng = np.random.default_rng(seed)
    wide = wide and not any(map(holds_jaxprs, case.params.values()))
    ranges = case.ranges or (None,) * len(case.shapes)
    lead = tuple(n for _, n in case.axes)
    shapes = [(*lead, *s) for s in case.shapes]
    found = [_operand(rng, *each, wide) for each in zip(shapes, dtypes_of(case), ranges)]
    if seed:  # members of a batch differ also where the case gives the values
        for x, given in zip(found, ranges):
            if isinstance(given, (np.ndarray, list)):
                x[...] = rng.permutation(x.reshape(-1)).reshape(x.shape)
    return found


def _operand(rng: Any, shape: Any, dtype: Any, given: Any, wide: bool) -> np.ndarray:
    """Values that the dtype can hold, in double precision if `wide`."""
    x = _values(rng, shape, np.dtype(dtype), given)
    return x.astype(_WIDE.get(x.dtype, x.dtype)) if wide else x


def _values(rng: Any, shape: Any, dtype: np.dtype, given: Any) -> np.ndarray:
    if callable(given) or isinstance(given, (np.ndarray, list)):
        with np.errstate(all="ignore"):  # large numbers in narrow dtypes
            return np.array(given(rng, shape) if callable(given) else given, dtype).reshape(shape)
    low, high = given if given is not None else (-2.0, 2.0)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        low = max(int(low), 0) if dtype.kind == "u" else int(low)
        return rng.integers(low, max(int(high), low + 1), shape).astype(dtype)
    x = rng.uniform(low, high, shape)
    if dtype.kind == "c":
        x = x + 1j * rng.uniform(low, high, shape)
    return np.asarray(x).astype(dtype)


def applied(p: Primitive, case: Case) -> Any:
    """The case as a function of its operands that returns a list."""

    def apply(*args: Any) -> list[Any]:
        out = case.call(*args) if case.call else p.bind(*args, **case.params)
        if case.call:
            return out if isinstance(out, list) else [out]
        return list(out) if p.multiple_results else [out]

    return mapped(apply, case)


def mapped(f: Any, case: Case) -> Any:
    """f under the vmaps around the case."""
    for name, size in reversed(case.axes):
        f = fx.vmap(f, axis_name=name, axis_size=size)
    return f


def smooth(p: Primitive, case: Case) -> Callable[..., list[Any]]:
    """The case as the function that is differentiated."""

    def apply(*args: Any) -> list[Any]:
        out = applied(p, case)(*(case.before(*args) if case.before else args))
        return list(case.after(*out)) if case.after else out

    return apply


def host(values: list[Any]) -> list[np.ndarray]:
    """Each value as its elements in memory, those of random keys too."""
    return [v._numpy() if isinstance(v, fx.Array) else np.asarray(v) for v in values]


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
    if case.axes or case.call:  # abstract evaluation needs what is around it
        return
    avals = p.rule("abstract")(*map(core.get_aval, args), **case.params)
    avals = list(avals) if p.multiple_results else [avals]
    assert [(o.shape, o.dtype) for o in host(out)] == [(a.shape, a.dtype) for a in avals]


def check_lower(p: Primitive, case: Case) -> None:
    """The lower rule's graph, run form by form, gives the eager values."""
    if isinstance(p.lower, no) or case.call:
        return
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
    agree_jitted(p, [applied(p, c) for c in cases], [operands(c) for c in cases])


def check_jit_derivative(p: Primitive, case: Case) -> None:
    """Tangents and cotangents compiled are the eager ones."""
    f, primals, tangents = along(p, case, wide=False)
    live = [k for k, o in enumerate(host(f(*primals))) if is_inexact(o.dtype)]

    def both(xs: Any, ts: Any) -> list[Any]:
        out, moved = fx.jvp(lambda *ys: [f(*ys)[k] for k in live], xs, ts)
        if not has_reverse(p):
            return moved
        return moved + list(fx.vjp(lambda *ys: [f(*ys)[k] for k in live], *xs)[1](out))

    agree_jitted(p, [both], [(primals, tangents)])


def agree_jitted(p: Primitive, functions: list[Any], args: list[Any]) -> None:
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


def along(
    p: Primitive, case: Case, wide: bool = True
) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
    """The case as a function of the operands to differentiate by; these, and directions."""
    args = operands(case, wide=wide)
    which = differentiable(case)
    rng = np.random.default_rng(1)

    def of_chosen(*chosen: Any) -> list[Any]:
        every = list(args)
        for k, x in zip(which, chosen, strict=True):
            every[k] = x
        return smooth(p, case)(*every)

    primals = [args[k] for k in which]
    return of_chosen, primals, [_direction(rng, x) for x in primals]


def _direction(rng: Any, x: np.ndarray) -> np.ndarray:
    t = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    if x.dtype.kind == "c":
        t = t + 1j * rng.uniform(0.5, 1.5, x.shape)
    return np.asarray(t).astype(x.dtype)


def check_jvp(p: Primitive, case: Case) -> None:
    """The tangents are those of central differences."""
    if isinstance(p.jvp, no) or not differentiable(case):
        return
    with enable_x64(True):
        f, primals, tangents = along(p, case)
        out, found = fx.jvp(f, primals, tangents)
        for x, y in zip(host(out), host(f(*primals)), strict=True):
            agree(x, y, 1e-12, 0.0, f"value beside the tangent of {p.name}")
        inexact = [o for o in host(out) if is_inexact(o.dtype)]
        step, rtol = _step([x.dtype for x in (*primals, *inexact)])
        high = host(f(*_moved(primals, tangents, step)))
        low = host(f(*_moved(primals, tangents, -step)))
        for t, a, b in zip(found, high, low, strict=True):
            if is_inexact(a.dtype):
                wide = np.complex128 if a.dtype.kind == "c" else np.float64
                slope = (a.astype(wide) - b.astype(wide)) / (2 * step)
                agree(t, slope, rtol, min(rtol, 1e-3), f"jvp of {p.name}")


def check_zeros(p: Primitive, case: Case) -> None:
    """Symbolic zeros: tangents by each operand alone add up to those by all; by none are zero."""
    if isinstance(p.jvp, no) or not differentiable(case):
        return
    with enable_x64(True):
        f, primals, tangents = along(p, case)
        out, together = fx.jvp(f, primals, tangents)
        live = [k for k, o in enumerate(host(out)) if is_inexact(o.dtype)]
        total = [0.0 * np.asarray(together[k]) for k in live]
        for j, (x, t) in enumerate(zip(primals, tangents)):
            alone = lambda y, j=j: f(*primals[:j], y, *primals[j + 1 :])
            moved = fx.jvp(alone, [x], [t])[1]
            total = [a + np.asarray(moved[k]) for a, k in zip(total, live)]
        for a, k in zip(total, live):
            agree(a, together[k], 1e-6, 1e-6, f"tangents by each operand of {p.name} alone")
        if p.jvp is not None and not case.axes and not case.call:
            _check_none(p, case)


def _check_none(p: Primitive, case: Case) -> None:
    args = operands(case)
    out, moved = p.jvp(args, [core.Zero.like(a) for a in args], **case.params)
    if not p.multiple_results:
        out, moved = [out], [moved]
    for x, y in zip(host(list(out)), host(applied(p, case)(*args)), strict=True):
        agree(x, y, 1e-6, 0.0, f"value of {p.name} beside no tangent")
    for t, x in zip(moved, host(list(out)), strict=True):
        if is_inexact(x.dtype):
            agree(core.instantiate(t), np.zeros_like(x), 0.0, 0.0, f"no tangent of {p.name}")


def _step(dtypes: list[np.dtype]) -> tuple[float, float]:
    """Step and tolerance of central differences; cases in 16 bits have to be quadratic at most."""
    narrowest = min((d.itemsize // (2 if d.kind == "c" else 1) for d in dtypes), default=8)
    return {8: (1e-6, 1e-5), 4: (1e-2, 3e-3), 2: (0.5, 4e-3)}[narrowest]


def _moved(primals: list[np.ndarray], tangents: list[np.ndarray], step: float) -> list[Any]:
    return [np.asarray(x + step * t).astype(x.dtype) for x, t in zip(primals, tangents)]


def check_transpose(p: Primitive, case: Case) -> None:
    """<ct, J t> = <J^T ct, t>, through vjp and for the transpose rule by itself."""
    if isinstance(p.jvp, no) or not differentiable(case) or not has_reverse(p):
        return
    with enable_x64(True):
        f, primals, tangents = along(p, case)
        rng = np.random.default_rng(2)
        out, moved = fx.jvp(f, primals, tangents)
        live = [k for k, o in enumerate(host(out)) if is_inexact(o.dtype)]
        _, pull = fx.vjp(lambda *xs: [f(*xs)[k] for k in live], *primals)
        cts = [_direction(rng, np.asarray(out[k])) for k in live]
        back = host(pull(cts))
        _agree_paired(p, cts, [np.asarray(moved[k]) for k in live], back, tangents)
        plain = not (case.axes or case.before or case.after or case.call)
        if p.transpose and plain and len(live) == len(out) and all(a.size for a in primals):
            _check_rule(p, case, cts)


def _check_rule(p: Primitive, case: Case, cts: list[np.ndarray]) -> None:
    """The rule for all operands together and for each alone, where the case is linear in them."""
    if any(map(holds_jaxprs, case.params.values())):  # linear here, but not by its rules
        return
    args, which = operands(case, wide=True), differentiable(case)
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


def _agree_paired(
    p: Primitive, cts: Any, moved: Any, back: Any, tangents: Any, between: Any = ()
) -> None:
    """`between`: dtypes of values on the way that are narrower than those at the ends."""
    forward = sum(_paired(ct, t) for ct, t in zip(cts, moved, strict=True))
    total = sum(_paired(ct, t) for ct, t in zip(back, tangents, strict=True))
    dtypes = [*(x.dtype for x in (*tangents, *cts)), *filter(is_inexact, between)]
    wide = all(_precision(d) >= 8 for d in dtypes)
    rtol = 1e-9 if wide else 3e-3
    np.testing.assert_allclose(total, forward, rtol, rtol, err_msg=f"transpose of {p.name}")


def _paired(ct: np.ndarray, t: np.ndarray) -> float:
    """The real pairing Re(sum ct t): cotangents of complex values are conjugate gradients."""
    wide = np.complex128
    return float(np.sum(ct.astype(wide) * t.astype(wide)).real)


def check_narrow(p: Primitive, case: Case) -> None:
    """Derivatives in the case's own precision are those in double precision, to its rounding."""
    if isinstance(p.jvp, no) or not differentiable(case):
        return
    dtypes = [x.dtype for x in operands(case)]
    if all(_precision(d) == 8 for d in dtypes if is_inexact(d)):
        return
    found, expected = (_both_ways(p, case, wide) for wide in (False, True))
    for f, e in zip(found, expected, strict=True):
        narrow = min((d for d in [*dtypes, f.dtype] if is_inexact(d)), key=_precision)
        tol = {2: 4e-2, 4: 2e-4, 8: 1e-9}[_precision(narrow)]
        scale = float(np.abs(e.astype(np.complex128)).max(initial=1.0))
        agree(f, e, tol, tol * scale, f"derivative of {p.name} in {narrow.name}")


def _precision(d: np.dtype) -> int:
    return d.itemsize // (2 if d.kind == "c" else 1)


def _both_ways(p: Primitive, case: Case, wide: bool) -> list[np.ndarray]:
    """Tangents, then cotangents, of one case at the same operands and directions."""
    with enable_x64(True):
        f, primals, tangents = along(p, case, wide)
        out, moved = fx.jvp(f, primals, tangents)
        live = [k for k, o in enumerate(host(out)) if is_inexact(o.dtype)]
        found = [np.asarray(moved[k]) for k in live]
        if has_reverse(p):
            rng = np.random.default_rng(2)
            _, pull = fx.vjp(lambda *xs: [f(*xs)[k] for k in live], *primals)
            found += host(pull([_direction(rng, np.asarray(out[k])) for k in live]))
        return found


def check_second(p: Primitive, case: Case) -> None:
    """Tangents and cotangents as functions have the derivatives of central differences, both ways.

    Forward over forward and reverse, reverse over forward and reverse.
    """
    if isinstance(p.jvp, no) or not differentiable(case) or case.order < 2:
        return
    with enable_x64(True):
        f, primals, tangents = along(p, case)
        rng = np.random.default_rng(3)
        out = host(f(*primals))
        live = [k for k, o in enumerate(out) if is_inexact(o.dtype)]
        cts = [_direction(rng, out[k]) for k in live]

        def forward(*xs: Any) -> list[Any]:
            moved = fx.jvp(f, list(xs), tangents)[1]
            return [moved[k] for k in live]

        def reverse(*xs: Any) -> list[Any]:
            return list(fx.vjp(lambda *ys: [f(*ys)[k] for k in live], *xs)[1](cts))

        directions = [_direction(rng, x) for x in primals]
        for g in (forward, reverse) if has_reverse(p) else (forward,):
            _check_both(p, g, primals, directions, [x.dtype for x in out])


def check_inside(p: Primitive, case: Case) -> None:
    """A collective differentiated within the vmap that maps its axis: what it is around that."""
    if not case.axes or not differentiable(case):
        return
    with enable_x64(True):
        f, primals, tangents = along(p, case)
        inner = dataclasses.replace(case, axes=())
        rng = np.random.default_rng(5)
        cts = [_direction(rng, x) for x in host(f(*primals))]
        n = len(primals)

        def forward(*given: Any) -> list[Any]:
            return fx.jvp(applied(p, inner), given[:n], given[n:])[1]

        def reverse(*given: Any) -> list[Any]:
            return list(fx.vjp(applied(p, inner), *given[:n])[1](list(given[n:])))

        def mixed(*given: Any) -> list[Any]:
            xs, ts, cs = given[:n], given[n : 2 * n], given[2 * n :]
            return fx.jvp(lambda *ys: reverse(*ys, *cs), xs, ts)[1]

        pull = lambda *xs: list(fx.vjp(f, *xs)[1](cts))
        for found, args, expected in (
            (forward, (*primals, *tangents), fx.jvp(f, primals, tangents)[1]),
            (reverse, (*primals, *cts), pull(*primals)),
            (mixed, (*primals, *tangents, *cts), fx.jvp(pull, primals, tangents)[1]),
        ):
            for x, y in zip(host(mapped(found, case)(*args)), host(expected), strict=True):
                agree(x, y, 1e-9, 1e-9, f"{found.__name__} derivative of {p.name} inside vmap")


def _check_both(p: Primitive, g: Any, primals: Any, directions: Any, dtypes: Any) -> None:
    """jvp of g against differences, vjp of g against its jvp."""
    first, moved = fx.jvp(g, primals, directions)
    first, moved = host(first), host(moved)
    step, rtol = _step([x.dtype for x in (*primals, *first)] + list(filter(is_inexact, dtypes)))
    high, low = (host(g(*_moved(primals, directions, s))) for s in (step, -step))
    what = f"{g.__name__} derivative of {p.name}"
    for t, a, b in zip(moved, high, low, strict=True):
        scale = float(np.abs(a).max(initial=1.0))
        agree(t, (a - b) / (2 * step), rtol, rtol * scale, f"forward over {what}")
    if has_reverse(p):
        rng = np.random.default_rng(4)
        cts = [_direction(rng, x) for x in first]
        back = host(fx.vjp(g, *primals)[1](cts))
        _agree_paired(p, cts, moved, back, directions, dtypes)


def check_batch(p: Primitive, case: Case, size: int = 3) -> None:
    """vmap over every choice of operands, each over each of its axes, is what a loop gives."""
    if (isinstance(p.batch, no) and "batch" not in p.trace_rules) or not case.shapes:
        return
    args, f = operands(case), applied(p, case)
    members = [operands(case, seed=10 + k) for k in range(size)]
    for chosen, placements in _mapped_choices(args):
        each = [[m[j] if j in chosen else a for j, a in enumerate(args)] for m in members]
        expected = [host(f(*xs)) for xs in each]
        for axes in placements:
            stacked = [
                a if d is None else np.stack([m[j] for m in members], d)
                for j, (a, d) in enumerate(zip(args, axes))
            ]
            found = host(fx.vmap(f, in_axes=axes)(*stacked))
            for k in range(size):
                for x, y in zip(found, expected[k], strict=True):
                    assert x.dtype == y.dtype
                    agree(x[k], y, *_tolerance(y.dtype), f"batching of {p.name} over {axes}")


def check_batch_of_none(p: Primitive, case: Case) -> None:
    """vmap over an axis without members gives results without members."""
    if (isinstance(p.batch, no) and "batch" not in p.trace_rules) or not case.shapes:
        return
    args, f = operands(case), applied(p, case)
    found = host(fx.vmap(f)(*[np.empty((0, *a.shape), a.dtype) for a in args]))
    expected = [((0, *x.shape), x.dtype) for x in host(f(*args))]
    assert [(x.shape, x.dtype) for x in found] == expected


def check_memory_order(p: Primitive, case: Case, size: int = 9) -> None:
    """Nine members that lie side by side in memory are as members one after the other, and operands
    are read alone: rules for stacks may not write to memory that happens to have their order.
    """
    if (isinstance(p.batch, no) and "batch" not in p.trace_rules) or not case.shapes:
        return
    members = [operands(case, seed=k) for k in range(size)]
    first = [np.stack(column) for column in zip(*members)]
    last = [np.stack(column, -1) for column in zip(*members)]
    f, arrays = applied(p, case), [fx.device_put(x) for x in last]
    expected, found = host(fx.vmap(f)(*first)), host(fx.vmap(f, in_axes=-1)(*arrays))
    for x, y in zip(found, expected, strict=True):
        agree(x, y, *_tolerance(y.dtype), f"{p.name} of members side by side")
    for x, y in zip(host(arrays), last, strict=True):
        same = stored(x).tobytes() == stored(y).tobytes()
        assert same, f"{p.name} wrote to an operand"


def _mapped_choices(args: list[np.ndarray]) -> list[tuple[tuple[int, ...], list[Any]]]:
    """Operands and placements: all in front or at the back, each alone at each place, each left out
    with the others at the back.
    """
    every, ranks = range(len(args)), [a.ndim for a in args]

    found: list[tuple[tuple[int, ...], list[Any]]]
    found = [(tuple(every), [(0,) * len(args), tuple(ranks)])]
    for k in every:
        alone = [tuple(d if j == k else None for j in every) for d in range(ranks[k] + 1)]
        found.append(((k,), alone))
        if len(args) > 2:
            others = tuple(j for j in every if j != k)
            found.append((others, [tuple(None if j == k else ranks[j] for j in every)]))
    return found


def written_or_new_kind(p: Primitive) -> list[Case]:
    """The written cases, and variants that differ from them in double precision too."""
    wide = lambda c: tuple(_WIDE.get(d, d) for d in dtypes_of(c))
    written = cases_of(p)
    kinds = {wide(c): c for c in reversed(variants(p))}
    return [*written, *(c for k, c in kinds.items() if k not in set(map(wide, written)))]


def every_case(p: Primitive) -> list[Case]:
    """The written cases and all their variants."""
    return [*cases_of(p), *variants(p)]


# check -> the cases that it is made on
CHECKS: dict[Callable[[Primitive, Case], None], Callable[[Primitive], list[Case]]] = {
    check_value: every_case,
    check_lower: every_case,
    check_jvp: written_or_new_kind,
    check_zeros: cases_of,
    check_transpose: written_or_new_kind,
    check_second: written_or_new_kind,
    check_narrow: every_case,
    check_inside: cases_of,
    check_batch: cases_of,
    check_batch_of_none: cases_of,
    check_memory_order: cases_of,
}
