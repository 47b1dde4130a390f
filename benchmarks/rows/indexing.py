"""Gather, scatter, segments, sorting."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import M, normal


def table_and_ids():
    """A table of 20000 rows of 128 and a batch of 64x128 ids."""
    ids = np.random.default_rng(1).integers(0, 20_000, (64, 128)).astype(np.int32)
    return normal(0, 20_000, 128), ids


@row("embedding", "forward, 20000x128, 64x128 ids", nbytes=2 * 4 * M, numpy=True)
def embedding(lib):
    return Program(lambda table, ids: table[ids], table_and_ids())


@row("embedding_grad", "gradient by the table", nbytes=4 * 20_000 * 128 + 4 * M, tolerance=1e-3)
def embedding_grad(lib):
    return Program(lib.grad(lambda table, ids: (table[ids] ** 2).sum()), table_and_ids())


@row("segment_sum", "1M into 1000", nbytes=8 * M, flops=M, tolerance=1e-3)
def segment_sum(lib):
    ids = np.random.default_rng(1).integers(0, 1000, M).astype(np.int32)
    return Program(lambda x, ids: lib.np.zeros(1000, np.float32).at[ids].add(x),
                   (normal(0, M), ids))  # fmt: skip


@row("sort", "1M", nbytes=8 * M, numpy=True)
def sort(lib):
    return Program(lambda x: lib.np.sort(x), (normal(0, M),))


@row("argsort_topk", "argsort and top-8, rows of 1024, 512 of them", nbytes=8 * 512 * 1024)
def argsort_topk(lib):
    return Program(lambda x: (lib.np.argsort(x, axis=-1), *lib.lax.top_k(x, 8)),
                   (normal(0, 512, 1024),))  # fmt: skip
