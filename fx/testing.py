"""Checks of derivatives against finite differences, for users (`check_grads`) and for the suite
(`run_case`).

Differences are taken in float64 wherever the function accepts it, with a step of the cube root of
its precision, so that float32 code is held to float32 accuracy and not to the differences'.
Reports name the leaf and the worst entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import float0, is_inexact
from fx.config import enable_x64
from fx.core import get_aval
from fx.grad import vjp
from fx.jvp import jvp
from fx.tree_util import (
    keystr,
    tree_flatten,
    tree_leaves,
    tree_leaves_with_path,
    tree_map,
)

# gradient tolerances by the precision of the coarsest operand
_TOLERANCE = {"float16": 2e-2, "bfloat16": 1e-1, "float32": 2e-3, "complex64": 2e-3}
_FINE = 1e-5
_WIDE = {"float32": np.float64, "complex64": np.complex128, "float16": np.float64}


def _numpy(x: Any) -> np.ndarray:
    return np.asarray(core.host.to_numpy(x))


def _inexact(x: Any) -> bool:
    return is_inexact(get_aval(x).dtype)


def tolerance(*trees: Any) -> float:
    """The gradient tolerance of the coarsest floating dtype among the leaves."""
    return max(
        (_TOLERANCE.get(get_aval(x).dtype.name, _FINE) for x in tree_leaves(trees)), default=_FINE
    )


def _random_like(rng: np.random.Generator, x: Any) -> Any:
    """A random tangent: normal values, complex for complex, float0 for integers."""
    aval = get_aval(x)
    if not is_inexact(aval.dtype):
        return np.zeros(aval.shape, float0)
    value = rng.standard_normal(aval.shape)
    if aval.dtype.kind == "c":
        value = value + 1j * rng.standard_normal(aval.shape)
    return np.asarray(value, aval.dtype)


# ---------------------------------------------------------------- finite differences


def _widened(tree: Any) -> Any:
    def wide(x: Any) -> Any:
        a = _numpy(x)
        return a.astype(_WIDE[a.dtype.name]) if a.dtype.name in _WIDE else a

    return tree_map(wide, tree)


def numerical_jvp(
    f: Callable[..., Any], primals: Sequence[Any], tangents: Any, eps: float | None = None
) -> Any:
    """The directional derivative by central differences, in float64 where `f` accepts it."""
    with enable_x64(True):
        try:
            return _central(f, _widened(tuple(primals)), _widened_tangents(tangents), eps)
        except (TypeError, ValueError):
            pass
    return _central(f, tree_map(_numpy, tuple(primals)), tuple(tangents), eps)


def _widened_tangents(tangents: Any) -> Any:
    return tree_map(
        lambda t: t if getattr(t, "dtype", None) == float0 else _widened(t), tuple(tangents)
    )


def _central(f: Callable[..., Any], primals: Any, tangents: Any, eps: float | None) -> Any:
    outs = f(*primals)
    if eps is None:
        fine = all(
            get_aval(x).dtype.name in ("float64", "complex128")
            for x in tree_leaves((outs, primals))
            if _inexact(x)
        )
        eps = 6e-6 if fine else 1e-2

    def shifted(step: float) -> Any:
        def move(x: Any, t: Any) -> Any:
            if getattr(t, "dtype", None) == float0:
                return x
            x = np.asarray(x)
            return np.asarray(x + np.asarray(step * t, x.dtype), x.dtype)

        return f(*tree_map(move, primals, tangents))

    def quotient(high: Any, low: Any) -> Any:
        if not _inexact(high):
            return np.zeros(get_aval(high).shape, float0)
        kind = np.complex128 if get_aval(high).dtype.kind == "c" else np.float64
        return (_numpy(high).astype(kind) - _numpy(low).astype(kind)) / (2 * eps)

    return tree_map(quotient, shifted(eps), shifted(-eps))


def numerical_grad(f: Callable[..., Any], *args: Any, eps: float | None = None) -> Any:
    """The gradient of a scalar function by central differences, one entry at a time, in float64.

    Returns the gradient's tree for one argument, a tuple of trees for several.

    >>> import numpy as np
    >>> np.round(numerical_grad(lambda x: (x * x).sum(), np.array([2.0, 3.0])), 6)
    array([4., 6.])
    """
    leaves, tree = tree_flatten(args)
    grads = []
    for k, x in enumerate(leaves):
        shape = get_aval(x).shape
        grad = np.zeros(shape)
        for index in np.ndindex(shape):
            tangents = [np.zeros(get_aval(y).shape) for y in leaves]
            tangents[k][index] = 1.0
            grad[index] = numerical_jvp(f, args, tree.unflatten(tangents), eps)
        grads.append(grad)
    result = tree.unflatten(grads)
    return result[0] if len(args) == 1 else result


# ---------------------------------------------------------------- comparison


def assert_close(actual: Any, expected: Any, atol: float, rtol: float, what: str = "") -> None:
    """Compare two trees; the AssertionError names the leaf, the worst entry, and what was
    allowed.
    """
    expected_leaves = tree_leaves(expected)
    for (path, a), e in zip(tree_leaves_with_path(actual), expected_leaves, strict=True):
        if getattr(a, "dtype", None) == float0 or getattr(e, "dtype", None) == float0:
            continue
        a, e = _numpy(a), _numpy(e)
        if a.shape != e.shape:
            raise AssertionError(
                f"{what}: leaf {keystr(path)}: shape {a.shape}, expected {e.shape}"
            )
        kind = np.complex128 if "c" in (a.dtype.kind, e.dtype.kind) else np.float64
        a, e = a.astype(kind), e.astype(kind)
        with np.errstate(invalid="ignore"):
            off = np.abs(a - e)
            allowed = atol + rtol * np.abs(e)
            wrong = ~((off <= allowed) | (a == e) | (np.isnan(a) & np.isnan(e)))
        if wrong.any():
            score = np.where(wrong, np.where(np.isnan(off), np.inf, off - allowed), -np.inf)
            worst = np.unravel_index(int(np.argmax(score)), a.shape)
            raise AssertionError(
                f"{what}: leaf {keystr(path) or 'of the result'}: worst entry at "
                f"{tuple(map(int, worst))}: {a[worst]}, expected {e[worst]}, difference "
                f"{off[worst]:.3g}, allowed {allowed[worst]:.3g}; {int(wrong.sum())} of {a.size} "
                "wrong"
            )


def _inner(xs: Any, ys: Any) -> Any:
    """The sum of products of two trees' leaves, in float64 (no conjugation, as transposition has
    it).
    """
    total = 0.0
    for x, y in zip(tree_leaves(xs), tree_leaves(ys), strict=True):
        if getattr(x, "dtype", None) == float0 or getattr(y, "dtype", None) == float0:
            continue
        a, b = _numpy(x), _numpy(y)
        kind = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
        total = total + np.sum(a.astype(kind) * b.astype(kind))
    return np.asarray(total)


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Compare f_jvp(primals, tangents) with central differences of `f` in a random direction."""
    args = tuple(args)
    rng = np.random.default_rng(0)
    tangents = tree_map(lambda x: _random_like(rng, x), args)
    out, tangent_out = f_jvp(args, tangents)
    bound = tolerance(args)
    atol, rtol = atol or bound, rtol or bound
    what = f"check_jvp {err_msg}".rstrip()
    assert_close(out, f(*args), atol, rtol, f"{what}: value")
    assert_close(tangent_out, numerical_jvp(f, args, tangents, eps), atol, rtol, f"{what}: tangent")


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Compare f_vjp(*primals) with central differences: <ct, J t> = <J^T ct, t> for random ct and
    t.

    One direction per leaf, so that the report names the leaf whose cotangent is wrong.
    """
    args = tuple(args)
    rng = np.random.default_rng(1)
    out, pull = f_vjp(*args)
    bound = tolerance(args)
    atol, rtol = atol or bound, rtol or bound
    what = f"check_vjp {err_msg}".rstrip()
    assert_close(out, f(*args), atol, rtol, f"{what}: value")
    cts = tree_map(lambda x: _random_like(rng, x), out)
    grads = pull(cts)
    leaves, tree = tree_flatten(args)
    grad_leaves = tree_leaves(grads)
    for k, (path, x) in enumerate(tree_leaves_with_path(args)):
        if not _inexact(x):
            continue
        direction = _random_like(rng, x)
        tangents = [
            direction
            if i == k
            else np.zeros(get_aval(y).shape, get_aval(y).to_tangent_aval().dtype)
            for i, y in enumerate(leaves)
        ]
        numerical = _inner(numerical_jvp(f, args, tree.unflatten(tangents), eps), cts)
        analytic = _inner([grad_leaves[k]], [direction])
        scale = max(1.0, float(np.sqrt(x.size if hasattr(x, "size") else 1)))
        name = f"{what}: cotangent of args{keystr(path)} in a random direction"
        assert_close(analytic, numerical, atol * scale, rtol * scale, name)


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Check the derivatives of `f` at `args` up to `order`, in forward and reverse mode, nested in
    every way.

    Raises AssertionError that names the mode, the leaf and the worst entry.

    >>> check_grads(lambda x: x * x, (3.0,), order=2)
    """
    if isinstance(modes, str):
        modes = (modes,)
    unknown = set(modes) - {"fwd", "rev"}
    if unknown:
        raise ValueError(f"check_grads: modes are 'fwd' and 'rev', got {sorted(unknown)}")
    rng = np.random.default_rng(order)

    def check(fun: Callable[..., Any], given: tuple[Any, ...], left: int, path: str) -> None:
        if "fwd" in modes:
            name = f"{path}fwd"
            check_jvp(fun, lambda p, t: jvp(fun, p, t), given, atol, rtol, eps, name)
            if left > 1:
                tangents = tree_map(lambda x: _random_like(rng, x), given)
                check(_forward(fun, tangents), given, left - 1, name + " over ")
        if "rev" in modes:
            name = f"{path}rev"
            check_vjp(fun, lambda *p: vjp(fun, *p), given, atol, rtol, eps, name)
            if left > 1:
                cts = tree_map(lambda x: _random_like(rng, x), fun(*given))
                check(_backward(fun, cts), given, left - 1, name + " over ")

    check(f, tuple(args), order, "")


def _as(tangents: Any, primals: Any) -> Any:
    """Tangents in the dtypes of the primals they belong to (which differ under float64
    differences).
    """

    def fit(t: Any, x: Any) -> Any:
        dtype = get_aval(x).to_tangent_aval().dtype
        return t if t.dtype == float0 or dtype == float0 else np.asarray(t, dtype)

    return tree_map(fit, tangents, primals)


def _forward(fun: Callable[..., Any], tangents: Any) -> Callable[..., Any]:
    return lambda *xs: _only_inexact(jvp(fun, xs, _as(tangents, xs))[1])


def _backward(fun: Callable[..., Any], cts: Any) -> Callable[..., Any]:
    def gradients(*xs: Any) -> Any:
        out, pull = vjp(fun, *xs)
        return _only_inexact(pull(_as(cts, out)))

    return gradients


def _only_inexact(tree: Any) -> list[Any]:
    return [x for x in tree_leaves(tree) if getattr(x, "dtype", None) != float0]
