"""Rows of the seed documents as data, and the three forms that each must hold in.

A row gives a function, its operands, the expected value and the expected cotangents. It is checked
eagerly, under jit (all rows of a table in one function, so that the driver builds a few programs
only) and under vmap against a Python loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import core
from fx.tree_util import tree_leaves, tree_map

NAN = float("nan")

# ---------------------------------------------------------------- three forms of a function


def eager(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, of arrays."""
    return lambda *args: fun(*tree_map(fnp.asarray, args))


def vmapped(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The function mapped over two members, the second one moved a little: both must be what a
    loop gives (where values are known), and the first is returned.
    """

    def mapped(*args: Any) -> Any:
        first = tree_map(fnp.asarray, args)
        second = tree_map(lambda a: (a * 1.01).astype(a.dtype) if a.dtype.kind == "f" else a, first)
        out = fx.vmap(fun)(*tree_map(lambda a, b: fnp.stack([a, b]), first, second))
        if not any(isinstance(x, core.Tracer) for x in tree_leaves(out)):
            for k, member in enumerate((first, second)):
                one = tree_map(lambda x, k=k: x[k], out)
                close(tree_leaves(one), tree_leaves(fun(*member)), 2e-5, f"vmap, member {k}")
        return tree_map(lambda x: x[0], out)

    return mapped


FORMS = pytest.mark.parametrize("form", [eager, fx.jit, vmapped], ids=["eager", "jit", "vmap"])


@dataclass(frozen=True, eq=False)
class Row:
    """`grads`: argument -> expected cotangent, for the output cotangent `ct` (ones by default)."""

    name: str
    fun: Callable[..., Any]
    args: tuple[Any, ...]
    value: Any = None
    grads: dict[int, Any] = field(default_factory=dict)
    ct: Any = None
    tol: float = 2e-6


def points(
    name: str, fun: Callable[[Any], Any], *table: Sequence[float], tol: float = 3e-6
) -> list[Row]:
    """Rows for value, first and second derivative of a scalar function at several points."""
    rows = []
    names = ("value", "first", "second")
    funs = (fun, fx.grad(fun), fx.grad(fx.grad(fun)))
    for k, (kind, f) in enumerate(zip(names, funs)):
        known = [(p[0], p[k + 1]) for p in table if len(p) > k + 1]
        if known:
            wanted = f32([v for _, v in known])
            args = (f32([x for x, _ in known]),)
            rows.append(Row(f"{name}-{kind}", fx.vmap(f), args, wanted, tol=tol))
    return rows


def f32(x: Any) -> np.ndarray:
    """float32 data."""
    return np.asarray(x, np.float32)


def names(rows: Sequence[Row]) -> list[str]:
    """Test identifiers."""
    return [r.name for r in rows]


def compute(row: Row, args: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The value and the cotangents of the arguments in `grads`."""
    if not row.grads:
        return row.fun(*args), []
    wanted = sorted(row.grads)

    def of(*moving: Any) -> Any:
        full = list(args)
        for k, v in zip(wanted, moving):
            full[k] = v
        return row.fun(*full)

    out, pull = fx.vjp(of, *[args[k] for k in wanted])
    ct = (
        tree_map(fnp.ones_like, out)
        if row.ct is None
        else tree_map(lambda c, o: fnp.asarray(c, o.dtype), row.ct, out)
    )
    return out, list(pull(ct))


def compare(row: Row, found: tuple[Any, list[Any]]) -> None:
    """Value and cotangents against the row's numbers."""
    out, grads = found
    if row.value is not None:
        close(out, row.value, row.tol, f"{row.name}: value")
    for k, g in zip(sorted(row.grads), grads):
        close(g, row.grads[k], row.tol, f"{row.name}: cotangent of argument {k}")


def close(actual: Any, expected: Any, tol: float, what: str) -> None:
    """Leaf by leaf, with shapes; a tuple holds several arrays."""
    if isinstance(actual, (tuple, list)):
        assert len(actual) == len(expected), what
        for a, e in zip(actual, expected):
            close(a, e, tol, what)
        return
    a, e = np.asarray(actual), np.asarray(expected)
    assert a.shape == e.shape, f"{what}: shape {a.shape}, expected {e.shape}"
    np.testing.assert_allclose(a, e, rtol=tol, atol=tol, err_msg=what)


class Jitted:
    """All rows of a table in one jitted function, compiled once; a row that fails alone fails
    alone.
    """

    def __init__(self, rows: Sequence[Row]):
        self.rows = list(rows)
        self.results = cache(self._run)

    def _run(self) -> list[Any] | None:
        try:
            return fx.jit(lambda all_args: [compute(r, a) for r, a in zip(self.rows, all_args)])(
                [r.args for r in self.rows]
            )
        except Exception:
            return None

    def __call__(self, row: Row) -> Any:
        together = self.results()
        if together is not None:
            return together[next(k for k, r in enumerate(self.rows) if r is row)]
        return fx.jit(lambda args: compute(row, args))(row.args)


def in_three_forms(*tables: Jitted) -> tuple[Callable[[Row], None], ...]:
    """The three tests of each row: eager, under jit, under vmap. Give them names that begin with
    `test_`.
    """
    together = {id(row): table for table in tables for row in table.rows}
    rows = [row for table in tables for row in table.rows]
    each = pytest.mark.parametrize("row", rows, ids=names(rows))

    def eagerly(row: Row) -> None:
        compare(row, compute(row, row.args))

    def under_jit(row: Row) -> None:
        compare(row, together[id(row)](row))

    def under_vmap(row: Row) -> None:
        check_vmapped(row)

    return each(eagerly), each(under_jit), each(under_vmap)


def batched(x: Any, size: int = 3) -> Any:
    """Copies of a floating operand, moved a little; others as they are (not mapped)."""
    a = np.asarray(x)
    if a.dtype.kind != "f":
        return x, None
    return np.stack([a * np.float32(1 + 0.01 * k) for k in range(size)]), 0


def check_vmapped(row: Row, size: int = 3) -> None:
    """vmap over copies of the operands equals a loop."""
    pairs = [batched(a, size) for a in row.args]
    axes = tuple(d for _, d in pairs)
    if all(d is None for d in axes):
        return
    mapped = fx.vmap(lambda *args: compute(row, args), in_axes=axes)(*[a for a, _ in pairs])
    for k in range(size):
        one = compute(row, [a if d is None else a[k] for a, d in pairs])
        close(tree_map(lambda x, k=k: x[k], mapped), one, 2e-5, f"{row.name}: vmap, member {k}")
