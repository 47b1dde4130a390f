"""Integrates thousands of Lorenz systems at once: vmap of a scan, one kernel for all 500 steps.

`python examples/lorenz.py [--lanes 16384] [--out out]` prints time and kernels and writes the
cloud of final states as PNG. Nearby starts part ways: the error grows by e in about 1.1 time units.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as onp

import fx
import fx.lax as lax
import fx.numpy as np

STEP, STEPS = 0.01, 500


def lorenz(state, rho):
    """d(x, y, z)/dt with sigma = 10, beta = 8/3 (Lorenz 1963, equations 25 to 27)."""
    x, y, z = state
    return np.stack([10.0 * (y - x), x * (rho - z) - y, x * y - (8.0 / 3.0) * z])


def rk4(f, state, h):
    """One step of the classical Runge-Kutta method."""
    k1 = f(state)
    k2 = f(state + 0.5 * h * k1)
    k3 = f(state + 0.5 * h * k2)
    k4 = f(state + h * k3)
    return state + (h / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def integrate(start, rho):
    """The state after STEPS steps, for one system."""
    step = lambda state, _: (rk4(lambda s: lorenz(s, rho), state, STEP), None)
    return lax.scan(step, start, None, length=STEPS)[0]


def sensitivity(start, rho):
    """How the final state moves with rho: forward mode through the whole integration."""
    return fx.jvp(lambda r: integrate(start, r), (rho,), (np.ones_like(rho),))[1]


def main(arguments: list[str] | None = None) -> onp.ndarray:
    """Integrates, times, plots; returns the final states."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=16384)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    random = onp.random.default_rng(0)
    centre = onp.array([1.0, 1.0, 20.0], onp.float32)
    starts = centre + 0.1 * random.standard_normal((options.lanes, 3)).astype(onp.float32)
    rho = onp.float32(28.0)
    run = fx.jit(fx.vmap(integrate, in_axes=(0, None)))
    fx.block_until_ready(run(starts, rho))
    before, begin = fx.debug.counters().launches, time.perf_counter()
    final = onp.asarray(run(starts, rho))
    seconds = time.perf_counter() - begin
    launches = fx.debug.counters().launches - before
    slope = onp.asarray(fx.jit(sensitivity)(starts[0], rho))

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    options.out.mkdir(parents=True, exist_ok=True)
    figure, axis = plt.subplots(figsize=(5, 4))
    shade = axis.scatter(final[:, 0], final[:, 2], s=1, c=final[:, 1], cmap="viridis")
    figure.colorbar(shade, label="y")
    axis.set(xlabel="x", ylabel="z", title=f"{options.lanes} systems at t = {STEP * STEPS:g}")
    figure.tight_layout()
    figure.savefig(options.out / "lorenz.png", dpi=120)
    plt.close(figure)

    print(f"{options.lanes} systems, {STEPS} steps: {seconds * 1e3:.1f} ms in {launches} kernels")
    print(f"d(final state)/d(rho) of the first: {slope}")
    print(f"plot: {options.out / 'lorenz.png'}")
    return final


if __name__ == "__main__":
    main()
