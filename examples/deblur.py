"""A kernel of one's own inside traced code: a box blur with running sums, inverted by gradient.

`python examples/deblur.py [--steps 300] [--out out]` blurs a photograph that comes with
scikit-learn, then finds the sharp image again by gradient descent through the user's kernel.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as onp
from sklearn.datasets import load_sample_image

import fx
import fx.lax as lax
import fx.numpy as np

RADIUS, RATE, SMOOTH = 4, 0.9, 2e-4

# A work-item walks along one row; each output costs two additions, whatever the radius.
SOURCE = """
kernel void blur_rows(global const float *x, global float *y, const int width, const int radius) {
  const long row = get_global_id(0) * (long)width;
  float sum = 0.0f;
  for (int i = 0; i < radius && i < width; ++i) sum += x[row + i];
  for (int i = 0; i < width; ++i) {
    if (i + radius < width) sum += x[row + i + radius];
    y[row + i] = sum / (2 * radius + 1);
    if (i - radius >= 0) sum -= x[row + i - radius];
  }
}
"""


def run_kernel(image):
    """The user's kernel on [height, width]."""
    return fx.opencl_call(
        SOURCE,
        "blur_rows",
        fx.ShapeDtypeStruct(image.shape, np.float32),
        image,
        global_size=(image.shape[0],),
        scalars=(("int", image.shape[1]), ("int", RADIUS)),
    )


@fx.custom_vjp
def blur_rows(image):
    """Mean over 2 RADIUS + 1 neighbours in the row; outside the image there are zeros."""
    return run_kernel(image)


# the matrix of the blur is symmetric, so its transpose is the same kernel
blur_rows.defvjp(lambda image: (run_kernel(image), None), lambda _, ct: (run_kernel(ct),))


def blur(image):
    """Rows, then columns."""
    return blur_rows(blur_rows(image).T).T


def loss(image, blurred):
    """Distance to the blurred image, and a little smoothness."""
    slopes = np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean()
    return 0.5 * ((blur(image) - blurred) ** 2).sum() + SMOOTH * image.size * slopes


def sharpen(blurred, steps: int):
    """Gradient descent with Nesterov's momentum, all steps in one jitted call."""

    def step(state, _):
        image, velocity = state
        ahead = image + 0.95 * velocity
        velocity = 0.95 * velocity - RATE * fx.grad(loss)(ahead, blurred)
        return (image + velocity, velocity), None

    return lax.scan(step, (blurred, np.zeros_like(blurred)), None, length=steps)[0][0]


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    """Blurs, sharpens, draws; returns the errors before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    photograph = load_sample_image("china.jpg").mean(axis=2).astype(onp.float32) / 255
    sharp = photograph[100:356, 200:520]
    blurred = onp.asarray(fx.jit(blur)(sharp))
    begin = time.perf_counter()
    found = onp.asarray(fx.jit(sharpen, static_argnums=1)(blurred, options.steps))
    seconds = time.perf_counter() - begin
    error = lambda image: float(onp.sqrt(onp.mean((image - sharp)[8:-8, 8:-8] ** 2)))

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    options.out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
    for axis, image, title in zip(axes, (sharp, blurred, found), ("sharp", "blurred", "found")):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{title}, error {error(image):.3f}")
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(options.out / "deblur.png", dpi=110)
    plt.close(figure)

    print(f"{options.steps} steps in {seconds:.1f} s")
    print(f"root mean square error {error(blurred):.4f} -> {error(found):.4f}")
    print(f"plot: {options.out / 'deblur.png'}")
    return error(blurred), error(found)


if __name__ == "__main__":
    main()
