"""Everyday programs that no row names: random chains of common steps, fx against JAX.

`python -m benchmarks.compositions [--seeds 0:100] [--steps 2] [--volumes] [--only a,b] [--cpu]`
prints a line for each and then the slow ones. A name is the whole program:
`grad:softmax>T>rows@500x1000`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from typing import Any

import numpy as np

from benchmarks.__main__ import environment
from benchmarks.library import Library
from benchmarks.products import ONE_THREAD
from benchmarks.report import geometric_mean, number, verdict
from benchmarks.rows import Program, find
from benchmarks.runner import Runner, paired_ratio
from benchmarks.steps import planes, volumes

PLANES = ((128, 128), (500, 1000), (1000, 500), (64, 4096), (4096, 64), (1024, 1024), (300, 302))
VOLUMES = ((8, 128, 64), (32, 50, 300), (4, 64, 1024), (16, 28, 28, 32), (4, 12, 64, 64))
ENDS: dict[str, Any] = {
    "id": lambda x, t: x,
    "loss": lambda x, t: ((x - t) ** 2).mean(),
    "rows": lambda x, t: (x * t).sum(-1),
    "cols": lambda x, t: x.max(0),
}
GRADIENTS = 0.25  # of the programs


def names(seeds: range, steps: int, solid: bool, only: tuple[str, ...]) -> list[str]:
    """The programs of these seeds; `only`: with one of these steps."""
    able = sorted((volumes if solid else planes)(Library("", "", None)))
    found = []
    for seed in seeds:
        r = random.Random(f"{seed} {steps} {solid}")
        chosen = [r.choice(able) for _ in range(steps)]
        if only and not set(only) & set(chosen):
            chosen[r.randrange(steps)] = r.choice(only)
        end = r.choice(("id", *ENDS))
        shape = "x".join(map(str, r.choice(VOLUMES if solid else PLANES)))
        grad = "grad:" if r.random() < GRADIENTS else ""
        end = "loss" if grad and end == "id" else end  # the sum of a norm's squares has no slope
        found.append(f"{grad}{'>'.join([*chosen, end])}@{shape}")
    return found


def parse(name: str) -> tuple[bool, list[str], tuple[int, ...]]:
    """Whether a named program is a gradient, its steps (the last is how it ends), its shape."""
    text, shape = name.split("@")
    grad = text.startswith("grad:")
    return grad, text.removeprefix("grad:").split(">"), tuple(map(int, shape.split("x")))


def build(lib: Any, name: str) -> Program:
    """The named program of a library, and its arguments: an array and what it is compared with."""
    grad, (*steps, end), shape = parse(name)
    table = (planes if len(shape) == 2 else volumes)(lib)

    def f(x: Any, t: Any) -> Any:
        for step in steps:
            x = table[step](x)
        return ENDS[end](x, t.reshape(x.shape))

    r = np.random.default_rng(0)
    args = tuple(r.standard_normal(shape).astype(np.float32) for _ in range(2))
    return Program(lib.grad(lambda x, t: (f(x, t) ** 2).mean()) if grad else f, args)


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
