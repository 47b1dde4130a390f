"""Algorithms that fill a table element by element: dynamic programming, graphs, eliminations.

What makes them fast is that the table stays where it is: a step reads and writes a few elements.
"""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal


def integers(seed, low, high, *shape):
    """Random int32 from `low` to `high` - 1."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.int32)


@row("lcs_table", "longest common subsequence, 200x200, `at[i, j].set`", extra=True)
def lcs_table(lib):
    np_, lax = lib.np, lib.lax

    def run(a, b):
        n, m = a.shape[0], b.shape[0]

        def cell(k, table):
            i, j = k // m, k % m
            longer = np_.maximum(table[i, j + 1], table[i + 1, j])
            return table.at[i + 1, j + 1].set(np_.where(a[i] == b[j], table[i, j] + 1, longer))

        return lax.fori_loop(0, n * m, cell, np_.zeros((n + 1, m + 1), np_.int32))

    return Program(run, (integers(0, 0, 4, 200), integers(1, 0, 4, 200)))


@row("lcs_scans", "the same, 300x300, a scan in a scan", extra=True)
def lcs_scans(lib):
    np_, lax = lib.np, lib.lax

    def run(a, b):
        def line(before, x):
            def cell(state, seen):
                left, corner = state
                up, y = seen
                value = np_.where(x == y, corner + 1, np_.maximum(up, left))
                return (value, up), value

            return lax.scan(cell, (0, 0), (before, b))[1], None

        return lax.scan(line, np_.zeros(b.shape[0], np_.int32), a)[0]

    return Program(run, (integers(0, 0, 4, 300), integers(1, 0, 4, 300)))


@row("knapsack", "0-1 knapsack, 200 items, capacity 2000, roll and maximum", extra=True)
def knapsack(lib):
    np_, lax = lib.np, lib.lax

    def run(weights, values):
        def add(best, item):
            weight, value = item
            moved = np_.where(np_.arange(2001) >= weight, np_.roll(best, weight) + value, -1)
            return np_.maximum(best, moved), None

        return lax.scan(add, np_.zeros(2001, np_.int32), (weights, values))[0]

    return Program(run, (integers(0, 1, 100, 200), integers(1, 1, 50, 200)))


@row("sieve", "primes below 20,000: a cond of array operations in a loop", extra=True)
def sieve(lib):
    np_, lax = lib.np, lib.lax
    n = 20_000

    def run(start):
        def strike(i, prime):
            struck = lambda p: np_.where((np_.arange(n) % i == 0) & (np_.arange(n) > i), False, p)
            return lax.cond(prime[i] & (i * i < n), struck, lambda p: p, prime)

        return lax.fori_loop(2, 200, strike, start)

    return Program(run, (np.ones(n, bool),))


@row("floyd", "shortest paths between 200 nodes", extra=True)
def floyd(lib):
    def run(d):
        through = lambda k, d: lib.np.minimum(d, d[:, k][:, None] + d[k][None])
        return lib.lax.fori_loop(0, d.shape[0], through, d)

    return Program(run, (np.abs(normal(0, 200, 200)),))


@row("dijkstra", "shortest paths from one of 300 nodes, argmin each step", extra=True)
def dijkstra(lib):
    np_, lax = lib.np, lib.lax

    def run(weights):
        n = weights.shape[0]

        def visit(_, state):
            distance, seen = state
            u = np_.argmin(np_.where(seen, np_.inf, distance))
            return np_.minimum(distance, distance[u] + weights[u]), seen.at[u].set(True)

        start = np_.full(n, np_.inf).at[0].set(0.0), np_.zeros(n, bool)
        return lax.fori_loop(0, n, visit, start)[0]

    return Program(run, (np.abs(normal(0, 300, 300)),))


@row("bfs", "levels of a graph of 400 nodes, a dense adjacency, while any", extra=True)
def bfs(lib):
    np_, lax = lib.np, lib.lax

    def run(edges):
        def level(state):
            frontier, depth, k = state
            reached = (edges & frontier[:, None]).any(0) & (depth < 0)
            return reached, np_.where(reached, k, depth), k + 1

        first = np_.arange(edges.shape[0]) == 0
        start = first, np_.where(first, 0, -1), 1
        return lax.while_loop(lambda state: state[0].any(), level, start)[1]

    return Program(run, (np.random.default_rng(0).random((400, 400)) < 0.008,))


@row("union_find", "800 unions of 500 nodes, pointers followed by while_loop", extra=True)
def union_find(lib):
    np_, lax = lib.np, lib.lax

    def run(edges):
        def find(parent, x):
            return lax.while_loop(lambda x: parent[x] != x, lambda x: parent[x], x)

        def join(parent, edge):
            a, b = find(parent, edge[0]), find(parent, edge[1])
            return parent.at[np_.maximum(a, b)].set(np_.minimum(a, b)), None

        return lax.scan(join, np_.arange(500, dtype=np_.int32), edges)[0]

    return Program(run, (integers(0, 0, 500, 800, 2),))


@row("viterbi", "500 steps of 20 states, and the way back", extra=True)
def viterbi(lib):
    lax = lib.lax

    def run(emissions, transitions):
        def forward(score, emission):
            paths = score[:, None] + transitions
            return paths.max(0) + emission, paths.argmax(0)

        last, before = lax.scan(forward, emissions[0], emissions[1:])
        return lax.scan(lambda s, b: (b[s], b[s]), last.argmax(), before, reverse=True)[1]

    return Program(run, (normal(0, 500, 20), normal(1, 20, 20)))


@row("beam", "beam search, 40 steps, 5 of 50 tokens", tolerance=1e-3, extra=True)
def beam(lib):
    np_, lax, nn = lib.np, lib.lax, lib.nn

    def run(logits):
        def extend(state, _):
            score, words, t = state
            wide = score[:, None] + nn.log_softmax(logits)[words[:, t]]
            score, best = lax.top_k(wide.ravel(), 5)
            return (score, words[best // 50].at[:, t + 1].set(best % 50), t + 1), None

        start = np_.zeros(5), np_.zeros((5, 41), np_.int32), 0
        return lax.scan(extend, start, None, length=40)[0]

    return Program(run, (normal(0, 50, 50),))


@row("insertion_sort", "300 elements, a while_loop that moves them", extra=True)
def insertion_sort(lib):
    lax = lib.lax

    def run(x):
        def insert(i, x):
            value = x[i]
            goes_on = lambda state: (state[0] > 0) & (state[1][state[0] - 1] > value)
            move = lambda state: (state[0] - 1, state[1].at[state[0]].set(state[1][state[0] - 1]))
            j, x = lax.while_loop(goes_on, move, (i, x))
            return x.at[j].set(value)

        return lax.fori_loop(1, x.shape[0], insert, x)

    return Program(run, (normal(0, 300),))


@row("bubble_sort", "400 elements, a cond that exchanges two", extra=True)
def bubble_sort(lib):
    lax = lib.lax

    def run(x):
        n = x.shape[0]

        def step(j, x):
            exchange = lambda x: x.at[j].set(x[j + 1]).at[j + 1].set(x[j])
            return lax.cond(x[j] > x[j + 1], exchange, lambda x: x, x)

        return lax.fori_loop(0, n, lambda _, x: lax.fori_loop(0, n - 1, step, x), x)

    return Program(run, (normal(0, 400),))


@row("gauss_seidel", "20 sweeps over 1000 unknowns, in order", extra=True)
def gauss_seidel(lib):
    lax = lib.lax

    def run(b):
        relax = lambda i, x: x.at[i].set((b[i] + x[i - 1] + x[i + 1]) / 2.5)
        sweep = lambda _, x: lax.fori_loop(1, b.shape[0] - 1, relax, x)
        return lax.fori_loop(0, 20, sweep, lib.np.zeros_like(b))

    return Program(run, (normal(0, 1000),))


@row("gram_schmidt", "50 columns of 200, a column set each step", tolerance=1e-3, extra=True)
def gram_schmidt(lib):
    np_, lax = lib.np, lib.lax

    def run(a):
        def column(j, q):
            v = a[:, j] - q @ (q.T @ a[:, j])
            return q.at[:, j].set(v / np_.linalg.norm(v))

        return lax.fori_loop(0, a.shape[1], column, np_.zeros_like(a))

    return Program(run, (normal(0, 200, 50),))


@row("cholesky_update", "a factor of 100x100 updated by one vector", tolerance=1e-3, extra=True)
def cholesky_update(lib):
    np_, lax = lib.np, lib.lax

    def run(factor, x):
        n = factor.shape[0]

        def column(k, state):
            f, x = state
            r = np_.hypot(f[k, k], x[k])
            c, s, below = r / f[k, k], x[k] / f[k, k], np_.arange(n) > k
            new = np_.where(below, (f[:, k] + s * x) / c, f[:, k]).at[k].set(r)
            return f.at[:, k].set(new), np_.where(below, c * x - s * new, x)

        return lax.fori_loop(0, n, column, (factor, x))[0]

    return Program(run, (3 * np.eye(100, dtype=np.float32), normal(0, 100)))


@row("elimination", "100x100 by rows, with pivots exchanged", tolerance=0.05, extra=True)
def elimination(lib):
    np_, lax = lib.np, lib.lax

    def run(a):
        rows = np_.arange(a.shape[0])

        def step(k, a):
            pivot = np_.argmax(np_.where(rows >= k, np_.abs(a[:, k]), -1))
            top, other = a[k], a[pivot]
            a = a.at[k].set(other).at[pivot].set(top)
            return a - np_.where(rows > k, a[:, k] / a[k, k], 0)[:, None] * a[k]

        return lax.fori_loop(0, a.shape[0] - 1, step, a)

    return Program(run, (normal(0, 100, 100),))
