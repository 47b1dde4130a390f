"""Figures that the table of rows does not have: each section prints one table of its own.

`python -m benchmarks.figures [bandwidth products numpy dispatch start sizes memory] [--doc]`; with
`--doc` the tables go into docs/figures.md. All but `products` and `start` run in this process,
compared things in turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import against_numpy, memory, products
from benchmarks.eager import measure as eager
from benchmarks.library import open_library
from benchmarks.roofline import Roofline
from benchmarks.rows import Program, load
from benchmarks.rows.products import PREFIX
from benchmarks.runner import ROOT
from benchmarks.start import start
from lowering.pocl import processor

Lines = Iterator[str]

BOUND_BY_BYTES = (
    *("axpy", "gelu_bias", "sqrt", "transpose"),
    *("sum", "column_sum", "row_max", "variance", "logsumexp"),
    *("softmax", "log_softmax", "layernorm", "argmax_cumsum", "cumsum_columns"),
    *("softmax_grad", "logsumexp_grad", "layernorm_grad", "cumsum_grad"),
)


def milliseconds(call: Callable[[], Any], span: float = 0.3) -> float:
    """Median time of a call, over about `span` seconds after a warm-up."""
    call()
    times, stop = [], time.perf_counter() + span
    while len(times) < 5 or time.perf_counter() < stop:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def prepared(fx: Any, program: Program) -> Callable[[], Any]:
    """The program's waited-for call on the device's own arrays."""
    f, args = fx.jit(program.fn), fx.put(program.args)
    return lambda: fx.wait(f(*args))


def bandwidth() -> Lines:
    """Rows that bytes bound: what share of a copy's speed they reach."""
    yield "| row | what | ms | GB/s | of a copy |\n|---|---|---|---|---|"
    fx, rows, roof = open_library("fx"), load(), Roofline()
    for name in BOUND_BY_BYTES:
        roof.measure(3)
        row = rows[name]
        ms = milliseconds(prepared(fx, row.build(fx)))
        speed = row.nbytes / ms / 1e6
        yield f"| {name} | {row.what} | {ms:.2f} | {speed:.1f} | {speed / roof.copy:.2f} |"
    yield f"\nA copy on all cores: {roof.copy:.1f} GB/s read and written."


def of_matrices() -> Lines:
    """Products of squares in the four transpositions, thin ones and batches, against OpenBLAS."""
    yield "n, t: an operand as it is, or transposed. Ratios are medians over 5 rounds of turns.\n"
    rows = load()
    names = [n for n in rows if n.startswith(PREFIX) and rows[n].numpy]
    yield from products.table(names, ("numpy",), 5, 0.06)


def numpys_best() -> Lines:
    """Sorting, gathering, scattering against the fastest way that NumPy has."""
    yield "| what | fx, ms | NumPy, ms | NumPy / fx | NumPy's way |\n|---|---|---|---|---|"
    fx = open_library("fx")
    for c in against_numpy.cases(fx):
        mine, theirs = prepared(fx, Program(c.fn, c.args)), lambda c=c: c.numpy(*c.args)
        turns = [(milliseconds(mine, 0.1), milliseconds(theirs, 0.1)) for _ in range(3)]
        ours, other = (statistics.median(t) for t in zip(*turns))
        yield f"| {c.what} | {ours:.3f} | {other:.3f} | {other / ours:.2f} | {c.way} |"


def dispatch() -> Lines:
    """Microseconds of calls that do next to nothing."""
    fx = open_library("fx")
    yield "| call | µs |\n|---|---|"
    x = fx.put(np.ones(16, np.float32))
    tree = fx.put({f"leaf{k}": np.ones(8, np.float32) for k in range(20)})
    add, move = fx.jit(lambda a, b: a + b), fx.jit(lambda t: fx.tree.map(lambda a: a + 1, t))
    calls: dict[str, Callable[[], Any]] = {
        "two arrays, not waited for": lambda: add(x, x),
        "two arrays, waited for": lambda: fx.wait(add(x, x)),
        "a tree of 20 arrays, not waited for": lambda: move(tree),
        "a tree of 20 arrays, waited for": lambda: fx.wait(move(tree)),
    }
    for what, call in calls.items():
        yield f"| {what} | {milliseconds(lambda c=call: [c() for _ in range(100)]) * 10:.1f} |"
    for size, numpy_us, fx_us in eager():
        added = f"{fx_us:.2f}, NumPy's own {numpy_us:.2f}"
        yield f"| one eager operation on {size:,} elements | {added} |"


def sizes() -> Lines:
    """A new batch size: milliseconds of the first and of the second size's first call."""
    fx = open_library("fx")
    np_, counters, weights = fx.np, fx.module.debug.counters, np.ones((64, 64), np.float32)
    programs: dict[str, Callable[[Any], Any]] = {
        "exp(x) * 2 + sin(x)": lambda x: np_.exp(x) * 2 + np_.sin(x),
        "softmax": lambda x: fx.nn.softmax(x),
        "mean of squares": lambda x: np_.mean(x**2),
        "gradient of it": fx.grad(lambda x: np_.mean(np_.tanh(x) ** 2)),
        "x.std(0)": lambda x: x.std(0),
        "cumsum, first axis": lambda x: np_.cumsum(x, axis=0),
        "scan over rows": lambda x: fx.lax.scan(lambda c, a: (np_.tanh(c + a), c), x[0], x),
        "x @ w, tanh": lambda x: np_.tanh(x @ weights),
    }
    yield "| function of (rows, 64) | 1000 rows, ms | builds | 776 rows, ms | builds |"
    yield "|---|---|---|---|---|"
    for what, f in programs.items():
        jitted, cells = fx.jit(f), [what]
        for rows in (1000, 776):
            x = fx.put(np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32))
            before, start = counters().compiles, time.perf_counter()
            fx.wait(jitted(x))
            took = (time.perf_counter() - start) * 1e3
            cells += [f"{took:.0f}", str(counters().compiles - before)]
        yield "| " + " | ".join(cells) + " |"


def peaks() -> Lines:
    """The most bytes a compiled call holds, by the least that liveness allows."""
    yield "| program | peak, KB | liveness, KB | ratio |\n|---|---|---|---|"
    for name, (f, args) in memory.programs().items():
        peak, least = memory.peak_of(f, *args), memory.liveness_bound(f, *args)
        yield f"| {name} | {peak / 1024:.0f} | {least / 1024:.0f} | {peak / least:.2f} |"


SECTIONS: dict[str, tuple[str, Callable[[], Lines]]] = {
    "bandwidth": ("Memory speed", bandwidth),
    "products": ("Products", of_matrices),
    "numpy": ("Against NumPy's best", numpys_best),
    "dispatch": ("Dispatch", dispatch),
    "start": ("Start", start),
    "sizes": ("New sizes", sizes),
    "memory": ("Memory", peaks),
}

HEAD = """# Figures

Made by `python -m benchmarks.figures --doc`; the rows that decide are in
[performance.md](performance.md), products of more shapes, and against JAX, come from
`python -m benchmarks.products`, convolutions and pools from `python -m benchmarks --extra`.
"""


def main() -> None:
    """Prints the sections asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("sections", nargs="*", help=", ".join(SECTIONS))
    parser.add_argument("--doc", action="store_true", help="put them into docs/figures.md")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    here = f"{os.cpu_count()} cores of {processor.described()}"
    text = [HEAD, f"{here}, Python {platform.python_version()}, NumPy {np.__version__}."]
    for name in options.sections or SECTIONS:
        title, lines = SECTIONS[name]
        text += [f"\n## {title}\n", f"{(lines.__doc__ or '').splitlines()[0]}\n"]
        print(text[-2], text[-1], sep="\n")
        for line in lines():
            print(line, flush=True)
            text.append(line)
    if options.doc:
        (ROOT / "docs" / "figures.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
