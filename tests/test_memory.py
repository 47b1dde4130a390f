"""Memory: the peak of a call against the least that running each operation on its own would need.

The bound: arguments belong to the caller and live throughout, every other value from the equation
that makes it to the last that reads it (benchmarks/driverless.py). No driver is needed.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import costs, lower_function
from fx import lax
from lowering import memory
from lowering.memory import Span


def zeros(*shape):
    return np.zeros(shape, np.float32)


def chain(x):
    for _ in range(10):
        x = fnp.sin(x) * 1.5 + 0.1
    return x


def diamond(x):
    a = fnp.exp(x)
    return a * fnp.sin(a) + a / (1 + a * a)


def layer_norm(x, g, b):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * g + b


def mlp(layers, x, y):
    for w, b in layers[:-1]:
        x = fnp.maximum(x @ w + b, 0)
    w, b = layers[-1]
    return -(fx.nn.log_softmax(x @ w + b) * y).sum() / x.shape[0]


def attention(q, k, v):
    scores = fnp.einsum("bhqd,bhkd->bhqk", q, k) / 8.0
    return (fnp.einsum("bhqk,bhkd->bhqd", fx.nn.softmax(scores), v) ** 2).sum()


def convolutions(w1, w2, x):
    for w in (w1, w2):
        axes = ("NHWC", "HWIO", "NHWC")
        x = fnp.maximum(lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=axes), 0)
    return (x**2).sum()


def adam(p, m, v, t, g):
    m = fx.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = fx.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    t = t + 1

    def moved(p, m, v):
        return p - 1e-3 * (m / (1 - 0.9**t)) / (fnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

    return fx.tree.map(moved, p, m, v), m, v, t


LAYERS = [
    (zeros(256, 512), zeros(512)),
    (zeros(512, 512), zeros(512)),
    (zeros(512, 16), zeros(16)),
]
HEADS = (zeros(2, 4, 128, 64),) * 3
IMAGES = (zeros(3, 3, 3, 32), zeros(3, 3, 32, 32), zeros(8, 28, 28, 3))
PROGRAMS = {  # function, arguments, which of them are donated, the limit
    "elementwise chain": (chain, (zeros(1 << 20),), (), 1.0),
    "diamond": (diamond, (zeros(1 << 20),), (), 1.0),
    "softmax": (fx.nn.softmax, (zeros(512, 1024),), (), 1.1),
    "layer norm": (layer_norm, (zeros(512, 768), zeros(768), zeros(768)), (), 1.1),
    "mlp": (fx.grad(mlp), (LAYERS, zeros(128, 256), zeros(128, 16)), (), 1.1),
    "attention": (fx.grad(attention, (0, 1, 2)), HEADS, (), 1.1),
    "convolutions": (fx.grad(convolutions, (0, 1)), IMAGES, (), 1.1),
    "adam": (adam, (LAYERS, LAYERS, LAYERS, zeros(), LAYERS), (0, 1, 2, 3), 1.1),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_peak_is_near_the_bound(name):
    function, arguments, donated, limit = PROGRAMS[name]
    found = costs(lower_function(function, arguments, donated))
    assert found["peak_bytes"] <= limit * found["bound_bytes"]


def test_a_donated_state_has_one_memory():
    """Adam with donation: results take the place of what they replace, temporaries are scalars."""
    function, arguments, donated, _ = PROGRAMS["adam"]
    lowered = lower_function(function, arguments, donated)
    assert costs(lowered)["temporary_bytes"] <= 1024
    results = [lowered.plan.buffers[k] for k in lowered.plan.outputs]
    assert all(b.alias is not None for b in results)


def test_places_do_not_overlap_and_reach_the_bound():
    spans = {k: Span(n, a, b) for k, (n, a, b) in enumerate(
        [(1000, 0, 4), (600, 1, 2), (256, 3, 9), (5000, 5, 6), (1, 0, 9), (700, 7, 8)]
    )}  # fmt: skip
    offsets, arena = memory.place(spans)
    for i, a in spans.items():
        for j, b in spans.items():
            if i < j and a.first <= b.last and b.first <= a.last:
                apart = offsets[i] + a.nbytes <= offsets[j] or offsets[j] + b.nbytes <= offsets[i]
                assert apart
    assert memory.lower_bound(spans) <= arena <= 1.2 * memory.lower_bound(spans)
