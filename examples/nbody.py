"""Physics by gradient: the force is minus the gradient of the energy, and nothing else is written.

`python examples/nbody.py [--bodies 256] [--steps 400] [--out out]` moves a self-gravitating disc
with the leapfrog method, prints how well energy is kept, and draws the paths.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as onp

import fx
import fx.lax as lax
import fx.numpy as np

SOFTENING, STEP = 0.05, 0.005


def potential(position, mass):
    """Energy of gravity, softened at close range; position [n, 3], mass [n]."""
    offset = position[:, None, :] - position[None, :, :]
    distance = np.sqrt((offset**2).sum(-1) + SOFTENING**2)
    pairs = mass[:, None] * mass[None, :] / distance
    return -0.5 * (pairs.sum() - (mass * mass).sum() / SOFTENING)


def energy(position, velocity, mass):
    """Kinetic and potential energy."""
    return 0.5 * (mass[:, None] * velocity**2).sum() + potential(position, mass)


def acceleration(position, mass):
    """Force by mass."""
    return -fx.grad(potential)(position, mass) / mass[:, None]


def simulate(position, velocity, mass, steps: int):
    """Leapfrog; returns the last state and the positions of the first 40 bodies at each step."""

    def step(state, _):
        x, v, a = state
        v = v + 0.5 * STEP * a
        x = x + STEP * v
        a = acceleration(x, mass)
        return (x, v + 0.5 * STEP * a, a), x[:40]

    start = (position, velocity, acceleration(position, mass))
    (x, v, _), path = lax.scan(step, start, None, length=steps)
    return x, v, path


def disc(bodies: int):
    """Bodies on circular orbits around a heavy one."""
    random = onp.random.default_rng(0)
    radius = 0.4 + 1.1 * random.random(bodies - 1)
    angle = 2 * onp.pi * random.random(bodies - 1)
    flat = onp.stack([onp.cos(angle), onp.sin(angle), 0.02 * random.standard_normal(bodies - 1)])
    turn = onp.stack([-onp.sin(angle), onp.cos(angle), onp.zeros(bodies - 1)])
    position = onp.vstack([onp.zeros(3), (radius * flat).T])
    velocity = onp.vstack([onp.zeros(3), (turn / onp.sqrt(radius)).T])
    mass = onp.concatenate([[1.0], onp.full(bodies - 1, 0.02 / bodies)])
    return (a.astype(onp.float32) for a in (position, velocity, mass))


def main(arguments: list[str] | None = None) -> float:
    """Simulates and draws; returns the relative change of the energy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=256)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    position, velocity, mass = disc(options.bodies)
    begin = time.perf_counter()
    run = fx.jit(simulate, static_argnums=3)
    x, v, path = run(position, velocity, mass, options.steps)
    before, after = float(energy(position, velocity, mass)), float(energy(x, v, mass))
    change = abs(after / before - 1)

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    options.out.mkdir(parents=True, exist_ok=True)
    figure, axis = plt.subplots(figsize=(5, 5))
    for body in onp.asarray(path).swapaxes(0, 1):
        axis.plot(body[:, 0], body[:, 1], linewidth=0.6)
    axis.set(aspect="equal", title=f"{options.bodies} bodies, 40 of them shown")
    figure.savefig(options.out / "nbody.png", dpi=120)
    plt.close(figure)

    print(f"{options.steps} steps of {options.bodies} bodies: {time.perf_counter() - begin:.1f} s")
    print(f"energy {before:.5f} -> {after:.5f}, relative change {change:.1e}")
    print(f"plot: {options.out / 'nbody.png'}")
    return change


if __name__ == "__main__":
    main()
