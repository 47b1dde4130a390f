"""What each row costs without a clock: launches, kernels, programs, bytes.

`python -m benchmarks.costs` prints them, `--write` keeps them in costs.json, `--check` compares and
fails where one has risen. A test makes the same comparison, so a regression shows on any machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.rows import load, spelled

KEPT = Path(__file__).parent / "costs.json"
FAMILIES = ("tables", "buffers")
"""Of extra rows whose costs are kept too."""

SLACK = {"temporary_bytes": 1.02, "peak_bytes": 1.02}


def watched() -> list[str]:
    """The rows whose costs are kept."""
    return [n for n, r in load().items() if not r.extra or r.family in FAMILIES]


def rises(name: str, kept: dict[str, int], now: dict[str, int]) -> list[str]:
    """The costs of a row that are higher than they were, as sentences."""
    return [
        f"{name}: {key} rose from {kept[key]} to {now[key]}"
        for key in kept
        if now[key] > kept[key] * SLACK.get(key, 1.0)
    ]


def cost_of_call(worker: Any) -> dict[str, Any]:
    """For a worker with a row prepared: launches of a warm call, and peak over the bound."""
    import fx
    from benchmarks.driverless import costs, lower_function

    before = fx.debug.counters()
    result = worker.library.wait(worker.call(*worker.args))
    used = fx.debug.counters() - before
    worker.advance(result)
    program = worker.program
    planned = costs(lower_function(program.fn, worker.args, program.donate))
    ratio = planned["peak_bytes"] / max(1, planned["bound_bytes"])
    return {"launches": used.launches, "builds": used.compiles, "peak_over_bound": ratio} | planned


def main() -> int:
    """Prints, writes or checks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument(
        "--rows", help="comma-separated names of rows or families; all kept ones if left out"
    )
    options = parser.parse_args()
    from benchmarks.driverless import costs, lower

    names = spelled(options.rows) if options.rows else watched()
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    complaints, now = [], dict(kept)
    for name in names:
        try:
            now[name] = costs(lower(name))
        except Exception as error:
            complaints.append(f"{name}: {type(error).__name__}: {error}"[:300])
            continue
        print(f"{name:20} " + "  ".join(f"{k} {v}" for k, v in now[name].items()), flush=True)
        complaints += rises(name, kept.get(name, {}), now[name])
    if options.write:
        lines = [f" {json.dumps(name)}: {json.dumps(now[name])}" for name in load() if name in now]
        KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print("\n".join(complaints), file=sys.stderr)
    return 1 if options.check and complaints else 0


if __name__ == "__main__":
    sys.exit(main())
