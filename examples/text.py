"""A character-level GRU learns the prose of Python's own manual, then writes some.

`python examples/text.py [--steps 400]` reads `pydoc_data.topics`, which comes with Python, trains
with one jitted step (a scan over 64 characters inside the gradient) and samples with a scan.
"""

from __future__ import annotations

import argparse
import time

import numpy as onp
from tqdm import tqdm

import fx
import fx.lax as lax
import fx.numpy as np
from fx import optim

LENGTH, BATCH, HIDDEN, RATE = 64, 32, 128, 4e-3


def corpus() -> str:
    """Plain text of the manual's topics; characters outside ASCII are left out."""
    from pydoc_data.topics import topics

    text = " ".join(" ".join(topics.values()).split())
    return "".join(c for c in text if " " <= c <= "~")


def initial(key, letters: int):
    """Parameters: an input row per letter, a recurrent matrix for the three gates, an output."""
    k1, k2, k3 = fx.random.split(key, 3)
    return {
        "input": fx.random.normal(k1, (letters, 3 * HIDDEN)) * 0.1,
        "hidden": fx.random.normal(k2, (HIDDEN, 3 * HIDDEN)) / HIDDEN**0.5,
        "bias": np.zeros(3 * HIDDEN),
        "output": fx.random.normal(k3, (HIDDEN, letters)) / HIDDEN**0.5,
    }


def cell(p, hidden, letter):
    """One step of a gated recurrent unit (Cho et al. 2014): [b, h], [b] -> [b, h]."""
    x = p["input"][letter] + p["bias"]
    h = hidden @ p["hidden"]
    x_reset, x_update, x_new = np.split(x, 3, axis=-1)
    h_reset, h_update, h_new = np.split(h, 3, axis=-1)
    update = fx.nn.sigmoid(x_update + h_update)
    new = np.tanh(x_new + fx.nn.sigmoid(x_reset + h_reset) * h_new)
    return update * hidden + (1.0 - update) * new


def loss(p, text):
    """Mean cross-entropy of each next letter; text [LENGTH + 1, batch]."""

    def step(hidden, letter):
        hidden = cell(p, hidden, letter)
        return hidden, hidden

    start = np.zeros((text.shape[1], HIDDEN))
    _, states = lax.scan(step, start, text[:-1])
    scores = fx.nn.log_softmax(states @ p["output"])
    return -np.take_along_axis(scores, text[1:, :, None], axis=-1).mean()


OPTIMIZER = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(RATE, b2=0.99))


def train_step(p, state, text):
    """Loss, clipped gradient and Adam."""
    value, gradient = fx.value_and_grad(loss)(p, text)
    updates, state = OPTIMIZER.update(gradient, state, p)
    return optim.apply_updates(p, updates), state, value


def sample(p, key, start, length: int):
    """Letters drawn one after the other."""

    def step(state, key):
        hidden, letter = state
        hidden = cell(p, hidden, letter)
        letter = fx.random.categorical(key, 1.4 * (hidden @ p["output"]), axis=-1)
        letter = letter.astype(np.int32)
        return (hidden, letter), letter

    keys = fx.random.split(key, length)
    _, letters = lax.scan(step, (np.zeros((1, HIDDEN)), start), keys)
    return letters[:, 0]


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    """Trains and writes; returns the first and the last loss in nats per letter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--length", type=int, default=300, help="letters to write")
    options = parser.parse_args(arguments)

    text = corpus()
    alphabet = sorted(set(text))
    codes = onp.array([alphabet.index(c) for c in alphabet], onp.int32)
    table = onp.zeros(128, onp.int32)
    table[[ord(c) for c in alphabet]] = codes
    data = table[onp.frombuffer(text.encode("ascii"), onp.uint8)]

    p = initial(fx.random.key(0), len(alphabet))
    state = OPTIMIZER.init(p)
    step = fx.jit(train_step, donate_argnums=(0, 1))
    places = onp.random.default_rng(0)
    values, begin = [], time.perf_counter()
    for _ in tqdm(range(options.steps), unit="step", disable=None):
        low = places.integers(0, len(data) - LENGTH - 1, BATCH)
        p, state, value = step(p, state, data[low[None, :] + onp.arange(LENGTH + 1)[:, None]])
        values.append(value)
    first, last = float(values[0]), sum(float(v) for v in values[-20:]) / len(values[-20:])
    seconds = time.perf_counter() - begin

    write = fx.jit(sample, static_argnums=3)
    start = np.array([alphabet.index("T")], np.int32)
    letters = write(p, fx.random.key(1), start, options.length)
    print(f"{options.steps} steps in {seconds:.1f} s: {first:.2f} -> {last:.2f} nats per letter")
    print("T" + "".join(alphabet[int(i)] for i in onp.asarray(letters)))
    return first, last


if __name__ == "__main__":
    main()
