"""Python milliseconds to trace, lower and plan each row; no driver, no build.

`python -m benchmarks.lowering [--rows mlp_adam,transformer_block]`. Budgets: 60 ms for the MLP's
training step, 150 ms for the transformer block's gradient, 100 µs an equation in general.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from benchmarks.rows import load

BUDGETS = {"mlp_adam": 60.0, "transformer_block": 150.0}


def equations(closed: Any) -> int:
    """Equations of a jaxpr and of the jaxprs inside it."""
    from benchmarks.driverless import _jaxprs

    inner = (sub for eqn in closed.jaxpr.eqns for sub in _jaxprs(eqn.params))
    return len(closed.jaxpr.eqns) + sum(map(equations, inner))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lowering", description=__doc__)
    parser.add_argument("--rows", help="comma-separated names")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    from benchmarks.driverless import lower

    names = (
        options.rows.split(",") if options.rows else [n for n, r in load().items() if not r.extra]
    )
    print("| row | equations | trace, ms | to Graph | to Plan | in all | µs an equation | budget |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        try:
            tries = [lower(name) for _ in range(options.repeat)]
        except Exception as error:
            print(f"| {name} | {type(error).__name__}: {str(error)[:80]} |")
            continue
        parts = [statistics.median(getattr(t, part) for t in tries)
                 for part in ("trace_ms", "graph_ms", "plan_ms", "total_ms")]  # fmt: skip
        count = equations(tries[0].closed)
        cells = [name, str(count), *(f"{ms:.1f}" for ms in parts), f"{parts[3] / count * 1e3:.0f}"]
        budget = BUDGETS.get(name)
        cells.append("" if budget is None else f"{budget:.0f}")
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
