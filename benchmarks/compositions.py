"""Everyday programs that no row names: random chains of common steps, fx against JAX.

`python -m benchmarks.compositions [--seeds 0:100] [--steps 2] [--volumes] [--only a,b] [--cpu]`
prints a line for each and then the slow ones. A name is the whole program:
`grad:softmax>T>rows@500x1000`.
"""

from __future__ import annotations

import argparse
import tempfile

from benchmarks.chains import find, names
from benchmarks.report import geometric_mean, number, verdict
from benchmarks.runner import ONE_THREAD, Runner, environment, paired_ratio


def main() -> None:
    """Measures the programs, prints each as it is done, then those that JAX runs faster."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compositions", description=__doc__)
    parser.add_argument("--seeds", default="0:100", help="which random programs: first:last")
    parser.add_argument("--steps", type=int, default=2, help="steps of each")
    parser.add_argument("--volumes", action="store_true", help="of three and four axes")
    parser.add_argument("--only", default="", help="with one of these steps, comma-separated")
    parser.add_argument("--names", help="these programs, comma-separated, and no random ones")
    parser.add_argument("--cpu", action="store_true", help="CPU time of one thread")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.06)
    parser.add_argument("--device", help="what FX_DEVICE is set to for fx")
    options = parser.parse_args()
    first, last = map(int, options.seeds.split(":"))
    only = tuple(x for x in options.only.split(",") if x)
    chosen = names(range(first, last), options.steps, options.volumes, only)
    chosen = options.names.split(",") if options.names else chosen
    results: list[tuple[float, str]] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as cache:
        variables = environment(cache, options.device) | (ONE_THREAD if options.cpu else {})
        runner = Runner(["fx", "jax"], variables)
        for name in chosen:
            by_library = runner.measure(name, options.rounds, options.seconds)
            mine, peer = by_library["fx"], by_library["jax"]
            said = verdict(find(name), by_library)
            if said != "yes":
                wrong.append(f"{name}: {said}")
            ratio = paired_ratio(mine, peer)
            if ratio is not None:
                results.append((ratio, name))
            times = f"fx {number(mine.ms)} jax {number(peer.ms)} ms"
            print(f"{name:60} {times} ratio {number(ratio)} {said}", flush=True)
        runner.close()
    print(summary(results, wrong))


def summary(results: list[tuple[float, str]], wrong: list[str]) -> str:
    """How all programs did, and which were slower than JAX or not equal to it."""
    ratios = [ratio for ratio, _ in results]
    lines = [f"## {len(ratios)} programs"]
    if ratios:
        below = sum(ratio < 1 for ratio in ratios)
        mean = geometric_mean(ratios)
        lines += [f"geometric mean {mean:.2f}, worst {min(ratios):.2f}, slower than JAX {below}"]
    lines += [f"{ratio:.2f} {name}" for ratio, name in sorted(results) if ratio < 1]
    return "\n".join([*lines, *(["## not as JAX", *wrong] if wrong else [])])


if __name__ == "__main__":
    main()
