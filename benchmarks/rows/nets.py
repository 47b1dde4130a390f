"""Training steps: MLP with Adam, a transformer block, an LSTM."""

from __future__ import annotations

import itertools

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.dense import attention
from benchmarks.rows.elementwise import normal
from benchmarks.rows.reduce import layer_norm


def scaled(seed: int, rows: int, columns: int) -> np.ndarray:
    """A weight matrix of unit gain."""
    return normal(seed, rows, columns) * np.float32(1 / rows**0.5)


def mlp_loss(lib, parameters, images, labels):
    """Mean cross-entropy of a ReLU network."""
    x = images
    for weight, bias in parameters[:-1]:
        x = lib.nn.relu(x @ weight + bias)
    weight, bias = parameters[-1]
    logits = lib.nn.log_softmax(x @ weight + bias)
    return -lib.np.take_along_axis(logits, labels[:, None], axis=1).mean()


def adam(lib, gradient, first, second, parameters, step, rate=1e-3):
    """One Adam update (Kingma and Ba 2014, algorithm 1) of a tree."""
    np_, tree = lib.np, lib.tree
    first = tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
    one, two = 1 - 0.9**step, 1 - 0.999**step
    parameters = tree.map(
        lambda p, m, v: p - rate * (m / one) / (np_.sqrt(v / two) + 1e-8),
        parameters, first, second,
    )  # fmt: skip
    return parameters, first, second


@row("mlp_adam", "784-512-512-10, batch 256, loss, gradient and Adam in one step",
     nbytes=4 * 669706 * 6, flops=6 * 256 * 669706, tolerance=2e-2)  # fmt: skip
def mlp_adam(lib):
    sizes = (784, 512, 512, 10)
    parameters = [(scaled(i, m, n), np.zeros(n, np.float32))
                  for i, (m, n) in enumerate(itertools.pairwise(sizes))]  # fmt: skip
    zeros = [(np.zeros_like(w), np.zeros_like(b)) for w, b in parameters]
    images = np.abs(normal(7, 256, 784))
    labels = np.random.default_rng(8).integers(0, 10, 256).astype(np.int32)

    def step(parameters, first, second, count, images, labels):
        loss, gradient = lib.value_and_grad(lambda p: mlp_loss(lib, p, images, labels))(parameters)
        count = count + 1.0
        updated = adam(lib, gradient, first, second, parameters, count)
        return (*updated, count, loss)

    again = [(w.copy(), b.copy()) for w, b in zeros]
    args = (parameters, zeros, again, np.float32(0), images, labels)
    return Program(step, args, donate=(0, 1, 2), carry=4)


def transformer_block(lib, p, x):
    """Pre-norm block: causal attention with 4 heads, then an MLP of four times the width."""
    batch, steps, width = x.shape
    heads = lambda y: y.reshape(batch, steps, 4, width // 4).swapaxes(1, 2)
    h = layer_norm(lib, x, p["gain1"], p["bias1"])
    q, k, v = (heads(h @ p[name]) for name in ("query", "key", "value"))
    mixed = attention(lib, q, k, v).swapaxes(1, 2).reshape(batch, steps, width)
    x = x + mixed @ p["out"]
    h = layer_norm(lib, x, p["gain2"], p["bias2"])
    return x + lib.nn.gelu(h @ p["up"] + p["up_bias"]) @ p["down"] + p["down_bias"]


def transformer_parameters(width: int = 256):
    """The block's parameters as a dictionary."""
    names = ("query", "key", "value", "out")
    p = {name: scaled(i, width, width) for i, name in enumerate(names)}
    p |= {"up": scaled(4, width, 4 * width), "down": scaled(5, 4 * width, width)}
    p |= {"gain1": np.ones(width, np.float32), "gain2": np.ones(width, np.float32)}
    p |= {f"bias{i}": np.zeros(width, np.float32) for i in (1, 2)}
    return p | {"up_bias": normal(6, 4 * width), "down_bias": normal(7, width)}


BLOCK_FLOPS = 2 * 8 * 128 * (12 * 256 * 256) + 2 * 2 * 8 * 4 * 128 * 128 * 64


@row("transformer_block", "value and grad, batch 8, 128 tokens, width 256, 4 heads",
     nbytes=4 * 2 * 12 * 256 * 256, flops=3 * BLOCK_FLOPS, tolerance=2e-3)  # fmt: skip
def transformer(lib):
    def loss(p, x):
        return (transformer_block(lib, p, x) ** 2).mean()

    return Program(lib.value_and_grad(loss), (transformer_parameters(), normal(9, 8, 128, 256)))


LSTM_FLOPS = 2 * 128 * 32 * (64 + 128) * 512


@row("lstm_grad", "grad, 128 steps, batch 32, 64 in, 128 hidden", nbytes=4 * 128 * 32 * 64,
     flops=3 * LSTM_FLOPS, tolerance=1e-3)  # fmt: skip
def lstm_grad(lib):
    np_, nn = lib.np, lib.nn

    def loss(parameters, xs):
        weight_in, weight_hidden, bias = parameters

        def step(carry, x):
            hidden, cell = carry
            gates = x @ weight_in + hidden @ weight_hidden + bias
            i, f, g, o = np_.split(gates, 4, axis=-1)
            cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * np_.tanh(g)
            hidden = nn.sigmoid(o) * np_.tanh(cell)
            return (hidden, cell), hidden

        zeros = np_.zeros((32, 128), np.float32)
        _, ys = lib.lax.scan(step, (zeros, zeros), xs)
        return (ys**2).mean()

    parameters = (scaled(0, 64, 512), scaled(1, 128, 512), np.zeros(512, np.float32))
    return Program(lib.grad(loss), (parameters, normal(2, 128, 32, 64)))
