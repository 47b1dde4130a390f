"""Random numbers: threefry, 20 rounds of integer operations for each pair of words."""

from __future__ import annotations

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import M


@row("random_normal", "4M", nbytes=16 * M, flops=4 * M * 100)
def random_normal(lib):
    return Program(lambda key: lib.random.normal(key, (4 * M,)), (lib.random.PRNGKey(0),))


@row("random_uniform", "16M", nbytes=64 * M, flops=16 * M * 80)
def random_uniform(lib):
    return Program(lambda key: lib.random.uniform(key, (16 * M,)), (lib.random.PRNGKey(0),))
