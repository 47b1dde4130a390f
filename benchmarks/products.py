"""Products of many shapes against NumPy's OpenBLAS and JAX, in turns: prints a table.

`python -m benchmarks.products [--rows a,b] [--sweep] [--cpu] [--rounds 5] [--seconds 0.1]`
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.report import geometric_mean, number, verdict
from benchmarks.rows import load
from benchmarks.rows.products import PREFIX, SWEEP
from benchmarks.runner import ONE_THREAD, Runner, environment, paired_ratio

PEERS = ("numpy", "jax")


def table(
    names: Sequence[str],
    peers: Sequence[str],
    rounds: int,
    seconds: float,
    device: str | None = None,
    cpu: bool = False,
) -> Iterator[str]:
    """The lines of a table of some rows, each as it is done; `cpu`: CPU time of one thread."""
    rows = load()
    ratios = " | ".join(f"{peer} / fx" for peer in peers)
    yield f"| product | fx, ms | GF/s | {ratios} | agrees |\n|{'---|' * (4 + len(peers))}"
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    with tempfile.TemporaryDirectory() as cache:
        variables = environment(cache, device) | (ONE_THREAD if cpu else {})
        runner = Runner(["fx", *peers], variables)
        for name in names:
            by_library = runner.measure(name, rounds, seconds)
            mine = by_library["fx"]
            speed = rows[name].flops / mine.ms / 1e6 if mine.ms else None
            cells = [name.removeprefix(PREFIX).removeprefix(SWEEP), number(mine.ms), number(speed)]
            for peer in peers:
                ratio = paired_ratio(mine, by_library[peer])
                cells.append("–" if ratio is None else f"{ratio:.2f}")
                found[peer] += [] if ratio is None else [ratio]
            yield "| " + " | ".join([*cells, verdict(rows[name], by_library)]) + " |"
        runner.close()
    for peer, given in found.items():
        if given:
            mean, worst = geometric_mean(given), min(given)
            yield f"\nAgainst {peer}: geometric mean {mean:.2f}, worst {worst:.2f}."


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
    lines = table(names, PEERS, options.rounds, options.seconds, options.device, options.cpu)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
