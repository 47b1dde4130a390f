"""Products of many shapes against NumPy's OpenBLAS and JAX, in turns: prints a table.

`python -m benchmarks.products [--rows a,b] [--sweep] [--cpu] [--rounds 5] [--seconds 0.1]`
"""

from __future__ import annotations

import argparse
import tempfile

from benchmarks.report import geometric_mean, number, verdict
from benchmarks.rows import load
from benchmarks.rows.products import PREFIX, SWEEP
from benchmarks.runner import ONE_THREAD, Runner, environment, paired_ratio

PEERS = ("numpy", "jax")


def main() -> None:
    """Runs the rows and prints each as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description=__doc__)
    parser.add_argument("--rows", help="comma-separated, without the prefix product_")
    parser.add_argument("--sweep", action="store_true", help="forty shapes in all transpositions")
    parser.add_argument(
        "--cpu", action="store_true", help="CPU time of one thread: steady under load"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.06)
    parser.add_argument("--device", help="what FX_DEVICE is set to for fx")
    options = parser.parse_args()
    rows = load()
    prefix = SWEEP if options.sweep else PREFIX
    names = [name for name in rows if name.startswith(prefix)]
    if options.rows:
        names = [prefix + name for name in options.rows.split(",")]
    print("| product | fx, ms | GF/s | numpy / fx | jax / fx | agrees |\n|---|---|---|---|---|---|")
    found: dict[str, list[float]] = {peer: [] for peer in PEERS}
    with tempfile.TemporaryDirectory() as cache:
        variables = environment(cache, options.device) | (ONE_THREAD if options.cpu else {})
        runner = Runner(["fx", *PEERS], variables)
        for name in names:
            by_library = runner.measure(name, options.rounds, options.seconds)
            mine, cells = by_library["fx"], [name.removeprefix(prefix)]
            speed = rows[name].flops / mine.ms / 1e6 if mine.ms else None
            cells += [number(mine.ms), number(speed)]
            for peer in PEERS:
                ratio = paired_ratio(mine, by_library[peer])
                cells.append("–" if ratio is None else f"{ratio:.2f}")
                found[peer] += [] if ratio is None else [ratio]
            print("| " + " | ".join([*cells, verdict(rows[name], by_library)]) + " |", flush=True)
        runner.close()
    for peer, ratios in found.items():
        if ratios:
            mean, worst = geometric_mean(ratios), min(ratios)
            print(f"Against {peer}: geometric mean {mean:.2f}, worst {worst:.2f}")


if __name__ == "__main__":
    main()
