"""Command line: measures rows against peers and writes the table and the plot."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.chains import find
from benchmarks.library import LIBRARIES
from benchmarks.roofline import Roofline
from benchmarks.rows import load, spelled
from benchmarks.runner import PEER_PYTHON, ROOT, Results, Runner, environment
from lowering.pocl import processor


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: 3 minutes")
    parser.add_argument(
        "--rows", help="comma-separated names of rows or families; without: all but extra"
    )
    parser.add_argument("--extra", action="store_true", help="the extra rows too")
    parser.add_argument("--peers", default="jax,numpy", help="comma-separated: jax, numpy, torch")
    parser.add_argument("--device", help="what FX_DEVICE is set to for fx")
    parser.add_argument("--rounds", type=int, help="rounds per row")
    parser.add_argument("--seconds", type=float, help="length of a round")
    parser.add_argument("--out", default="benchmarks/out", help="folder of table and plot")
    parser.add_argument("--doc", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--list", action="store_true", help="print the rows and end")
    parser.epilog = f"{PEER_PYTHON} names the interpreter that has jax and torch."
    return parser.parse_args()


def main() -> int:
    """Runs the rows, prints each as it is done, then the table."""
    options = arguments()
    rows = load()
    if options.list:
        for row in rows.values():
            print(f"{row.name:20} {row.what}")
        return 0
    default = [name for name, row in rows.items() if options.extra or not row.extra]
    names = spelled(options.rows) if options.rows else default
    peers = [p for p in options.peers.split(",") if p]
    rows |= {name: find(name) for name in names if "@" in name}
    unknown = [n for n in names if n not in rows] + [p for p in peers if p not in LIBRARIES]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; --list prints the rows", file=sys.stderr)
        return 2
    rounds = options.rounds or (3 if options.quick else 7)
    seconds = options.seconds or (0.12 if options.quick else 0.5)
    roofline, results = Roofline(), Results()
    with tempfile.TemporaryDirectory() as cache:
        runner = Runner(["fx", *peers], environment(cache, options.device))
        for place, name in enumerate(names):
            if place % 8 == 0:
                roofline.measure()
            results[name] = runner.measure(name, rounds, seconds)
            times = {lib: report.number(m.ms) for lib, m in results[name].items()}
            print(f"{name:20} {times} {report.verdict(rows[name], results[name])}", flush=True)
        versions = dict(runner.versions)
        runner.second_process(results)
        runner.close()
    facts = {"cores": os.cpu_count(), "of": processor.described()}
    facts |= {"Python": platform.python_version(), **versions}
    facts["device"] = options.device or os.environ.get("FX_DEVICE", "default")
    text = report.write(Path(options.out), rows, results, roofline, peers, facts)
    print(text)
    if options.doc:
        page = ROOT / "docs" / "performance.md"
        report.publish(Path(options.out), page, options.device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
