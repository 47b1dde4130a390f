"""Sorting, gathering and scattering: functions of fx beside the fastest way that NumPy has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

M = 1_000_000


@dataclass(frozen=True)
class Case:
    """`fn` of a functional library and `numpy`, both of the same arguments."""

    what: str
    fn: Callable[..., Any]
    way: str
    numpy: Callable[..., Any]
    args: tuple[Any, ...]


def top_of_rows(x: np.ndarray, k: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row, the largest first, and where they stand."""
    at = np.argpartition(-x, k, axis=-1)[:, :k]
    best = np.take_along_axis(x, at, -1)
    order = np.argsort(-best, axis=-1, kind="stable")
    return np.take_along_axis(best, order, -1), np.take_along_axis(at, order, -1)


def rows_added(table: np.ndarray, at: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """table with rows added at `at`: sorted, summed run by run, then added at once."""
    order = np.argsort(at, kind="stable")
    own, starts = np.unique(at[order], return_index=True)
    out = table.copy()
    out[own] += np.add.reduceat(rows[order], starts, axis=0)
    return out


def cases(lib: Any) -> list[Case]:
    """All comparisons, with their data."""
    rng = np.random.default_rng(0)
    n, lax, np_ = np.float32, lib.lax, lib.np
    flat, wide = n(rng.normal(size=M)), n(rng.normal(size=(512, 1024)))
    ints = rng.integers(0, 1 << 30, M).astype(np.int32)
    at = rng.integers(0, M, M).astype(np.int32)
    groups = rng.integers(0, 1000, M).astype(np.int32)
    table, ids = n(rng.normal(size=(20_000, 128))), rng.integers(0, 20_000, 8192).astype(np.int32)
    rows, edges = n(rng.normal(size=(8192, 128))), np.linspace(-3, 3, 101, dtype=np.float32)
    key, generator = lib.random.key(0), np.random.default_rng(0)
    zeros = lambda k: np_.zeros(k, np.float32)
    return [
        Case("sort, 1M floats", np_.sort, "sort", np.sort, (flat,)),
        Case("sort, 1M int32", np_.sort, "sort", np.sort, (ints,)),
        Case("sort rows, 512x1024", np_.sort, "sort", np.sort, (wide,)),
        Case("argsort, 1M floats", np_.argsort, "argsort", np.argsort, (flat,)),
        Case("argsort rows, 512x1024", np_.argsort, "argsort", np.argsort, (wide,)),
        Case("top 8 of rows, 512x1024", lambda x: lax.top_k(x, 8), "argpartition", top_of_rows,
             (wide,)),
        Case("unique, 1M of 1000", lambda x: np_.unique(x, size=1000), "unique", np.unique,
             (groups,)),
        Case("searchsorted, 1M in 101", np_.searchsorted, "searchsorted", np.searchsorted,
             (edges, flat)),
        Case("take, 1M of 1M", lambda x, k: x[k], "take", np.take, (flat, at)),
        Case("take rows, 8192 of 20000x128", lambda x, k: x[k], "take",
             lambda x, k: np.take(x, k, axis=0), (table, ids)),
        Case("take along rows, 512x1024", lambda x, k: np_.take_along_axis(x, k, -1),
             "take_along_axis", lambda x, k: np.take_along_axis(x, k, -1),
             (wide, np.argsort(wide, -1).astype(np.int32))),
        Case("set, 1M into 1M", lambda x, k: zeros(M).at[k].set(x), "x[k] = y", assigned,
             (flat, at)),
        Case("add, 1M into 1M", lambda x, k: zeros(M).at[k].add(x), "bincount",
             lambda x, k: np.bincount(k, x, M).astype(np.float32), (flat, at)),
        Case("segment sum, 1M into 1000", lambda x, k: zeros(1000).at[k].add(x), "bincount",
             lambda x, k: np.bincount(k, x, 1000).astype(np.float32), (flat, groups)),
        Case("add rows, 8192 into 20000x128", lambda t, k, y: t.at[k].add(y), "reduceat",
             rows_added, (table, ids, rows)),
        Case("bincount, 1M", lambda k: np_.bincount(k, length=1000), "bincount",
             lambda k: np.bincount(k, minlength=1000), (groups,)),
        Case("histogram, 1M, 100 bins", lambda x: np_.histogram(x, 100, (-3, 3))[0], "histogram",
             lambda x: np.histogram(x, 100, (-3, 3))[0], (flat,)),
        Case("permutation of 1M", lambda: lib.random.permutation(key, M), "permutation",
             lambda: generator.permutation(M), ()),
        Case("cumsum, 1M", np_.cumsum, "cumsum", np.cumsum, (flat,)),
        Case("nonzero, 1M", lambda x: np_.nonzero(x > 0, size=M)[0], "flatnonzero",
             lambda x: np.flatnonzero(x > 0), (flat,)),
    ]  # fmt: skip


def assigned(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    """x stored at k in an array of its size."""
    out = np.zeros_like(x)
    out[k] = x
    return out
