"""Trains an MLP on scikit-learn's handwritten digits; the whole step is one jitted function.

`python examples/digits.py [--epochs 60] [--out out]` prints accuracy on a held-out third, time and
kernels per step, and writes the loss curve and a page of predictions as PNG.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as onp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import fx
import fx.numpy as np
from fx import optim

LAYERS = (64, 256, 128, 10)
RATE, DECAY = 2e-3, 0.97  # Adam's rate, and what is left of it after an epoch


def load() -> tuple[onp.ndarray, ...]:
    """Training images and labels, held-out images and labels; images as rows in [-0.5, 0.5]."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0 - 0.5).astype(onp.float32)
    labels = labels.astype(onp.int32)
    split = train_test_split(images, labels, test_size=1 / 3, random_state=0, stratify=labels)
    train_images, test_images, train_labels, test_labels = split
    return train_images, train_labels, test_images, test_labels


def initial(key):
    """Weights with He's scale (He et al. 2015), biases zero."""
    keys = fx.random.split(key, len(LAYERS) - 1)
    return [
        {
            "weight": fx.random.normal(k, (m, n)) * np.sqrt(2.0 / m),
            "bias": np.zeros(n),
        }
        for k, m, n in zip(keys, LAYERS[:-1], LAYERS[1:])
    ]


def logits(parameters, images):
    """[batch, 64] -> [batch, 10]."""
    x = images
    for layer in parameters[:-1]:
        x = fx.nn.relu(x @ layer["weight"] + layer["bias"])
    return x @ parameters[-1]["weight"] + parameters[-1]["bias"]


def loss(parameters, images, labels):
    """Mean cross-entropy."""
    log_probabilities = fx.nn.log_softmax(logits(parameters, images))
    return -np.mean(np.sum(log_probabilities * fx.nn.one_hot(labels, 10), axis=-1))


def make_step(optimizer):
    """Loss, gradient and update as one function; what it updates is donated, so it is in place."""

    def step(parameters, state, images, labels):
        value, gradient = fx.value_and_grad(loss)(parameters, images, labels)
        updates, state = optimizer.update(gradient, state, parameters)
        return optim.apply_updates(parameters, updates), state, value

    return fx.jit(step, donate_argnums=(0, 1))


def train(parameters, images, labels, epochs: int, batch: int):
    """Runs the epochs; returns parameters, the loss of each step, launches per step, seconds."""
    steps = len(images) // batch
    optimizer = optim.adam(optim.exponential_decay(RATE, steps, DECAY))
    step, state = make_step(optimizer), optimizer.init(parameters)
    order = onp.random.default_rng(0)
    history, launches, start = [], 0, time.perf_counter()
    progress = tqdm(range(epochs), unit="epoch", disable=None)
    for _ in progress:
        chosen = order.permutation(len(images))
        for low in range(0, steps * batch, batch):
            rows = chosen[low : low + batch]
            before = fx.debug.counters().launches
            parameters, state, value = step(parameters, state, images[rows], labels[rows])
            launches = fx.debug.counters().launches - before
            history.append(value)  # an Array: nothing waits for the step here
        progress.set_postfix(loss=f"{float(value):.4f}")
    history = [float(value) for value in history]
    return parameters, history, launches, time.perf_counter() - start


def plot(history, images, labels, predictions, out: Path) -> None:
    """Writes loss.png and predictions.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    out.mkdir(parents=True, exist_ok=True)
    figure, axis = plt.subplots(figsize=(6, 3.5))
    axis.semilogy(history, linewidth=0.8)
    axis.set(xlabel="step", ylabel="cross-entropy", title="Training loss")
    figure.tight_layout()
    figure.savefig(out / "loss.png", dpi=120)

    wrong = onp.flatnonzero(predictions != labels)
    right = onp.flatnonzero(predictions == labels)
    shown = onp.concatenate([wrong, right])[:40]  # the errors first
    figure, axes = plt.subplots(5, 8, figsize=(8, 6))
    for axis, place in zip(axes.flat, shown):
        axis.imshow(images[place].reshape(8, 8), cmap="gray_r")
        good = predictions[place] == labels[place]
        title = f"{predictions[place]}" if good else f"{predictions[place]}, not {labels[place]}"
        axis.set_title(title, color="black" if good else "#c0392b", fontsize=9)
        axis.axis("off")
    figure.suptitle("Held-out digits and what the network says; errors in red")
    figure.tight_layout()
    figure.savefig(out / "predictions.png", dpi=120)
    plt.close("all")


def main(arguments: list[str] | None = None) -> float:
    """Trains, evaluates, plots; returns the accuracy on the held-out third."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    begin = time.perf_counter()
    images, labels, test_images, test_labels = load()
    parameters = initial(fx.random.key(0))
    trained = train(parameters, images, labels, options.epochs, options.batch)
    parameters, history, launches, seconds = trained
    predict = fx.jit(lambda p, x: np.argmax(logits(p, x), axis=-1))
    predictions = onp.asarray(predict(parameters, test_images))
    accuracy = float((predictions == test_labels).mean())
    plot(history, test_images, test_labels, predictions, options.out)

    print(f"device              {fx.devices()[0]}")
    print(f"held-out accuracy   {accuracy:.2%} of {len(test_labels)} digits")
    print(f"training            {len(history)} steps in {seconds:.1f} s, build included")
    print(f"kernels per step    {launches}")
    print(f"in all              {time.perf_counter() - begin:.1f} s")
    print(f"plots               {options.out / 'loss.png'}, {options.out / 'predictions.png'}")
    return accuracy


if __name__ == "__main__":
    main()
