"""Draws the Mandelbrot set: a while loop per pixel, batched by vmap, one kernel for the image.

`python examples/mandelbrot.py [--size 800] [--out out]` writes mandelbrot.png.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as onp

import fx
import fx.lax as lax
import fx.numpy as np

LIMIT = 200


def escape(cx, cy):
    """Steps of z -> z^2 + c until |z| > 16, made continuous; LIMIT inside the set."""

    def going_on(state):
        x, y, count = state
        return (count < LIMIT) & (x * x + y * y < 256.0)

    def step(state):
        x, y, count = state
        return x * x - y * y + cx, 2.0 * x * y + cy, count + 1

    x, y, count = lax.while_loop(going_on, step, (cx * 0.0, cy * 0.0, 0))
    radius = np.maximum(x * x + y * y, 2.0)
    smooth = count + 1.0 - np.log2(np.log2(radius) * 0.5)
    return np.where(count < LIMIT, smooth, float(LIMIT))


def main(arguments: list[str] | None = None) -> onp.ndarray:
    """Computes and draws; returns the image of step counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=800)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    cx = onp.linspace(-2.1, 0.7, options.size, dtype=onp.float32)
    cy = onp.linspace(-1.2, 1.2, options.size * 6 // 7, dtype=onp.float32)
    rows = fx.vmap(escape, in_axes=(0, None))
    image = fx.jit(fx.vmap(rows, in_axes=(None, 0)))
    fx.block_until_ready(image(cx, cy))
    before, begin = fx.debug.counters().launches, time.perf_counter()
    counts = onp.asarray(image(cx, cy))
    seconds = time.perf_counter() - begin
    launches = fx.debug.counters().launches - before

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    options.out.mkdir(parents=True, exist_ok=True)
    plt.imsave(options.out / "mandelbrot.png", onp.log(counts + 1), cmap="twilight_shifted")
    print(f"{counts.size} pixels: {seconds * 1e3:.1f} ms in {launches} kernels")
    print(f"plot: {options.out / 'mandelbrot.png'}")
    return counts


if __name__ == "__main__":
    main()
