"""Memory: the peak of a call against the least that running each operation on its own would need.

The bound: arguments belong to the caller and live throughout, every other value from the equation
that makes it to the last that reads it (benchmarks/driverless.py). No driver is needed.
"""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import costs, lower_function
from fx import array, lax
from fx.jit import WRITE_AFTER
from lowering.planning import memory
from lowering.planning.memory import Span


def zeros(*shape):
    return np.zeros(shape, np.float32)


KEY = np.zeros(2, np.uint32)


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


def overlapping_pool(x):
    pooled = lax.reduce_window(x, -np.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    return (pooled**2).sum()


def wide_pool(x):
    return (lax.reduce_window(x, -np.inf, lax.max, (1, 5, 5, 1), (1, 1, 1, 1), "SAME") ** 2).sum()


def exchanged(x, y):
    """A loop of launches whose carries change places."""

    def step(c):
        return c[1], fnp.sin(c[0]) + 0.1, c[2] + 1

    return lax.while_loop(lambda c: c[2] < 1000, step, (x, y, 0))[:2]


def transposed(x, w):
    return lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


LARGE_PROGRAMS = {
    "exchanged carries": (exchanged, (zeros(1 << 20),) * 2, 1.01),
    "transposed convolution": (transposed, (zeros(8, 32, 32, 32), zeros(3, 3, 32, 32)), 1.25),
    "gradient of overlapping windows": (fx.grad(overlapping_pool), (zeros(2, 64, 64, 16),), 1.01),
    "gradient of wide windows": (fx.grad(wide_pool), (zeros(2, 64, 64, 16),), 1.01),
    "three sorts": (lambda key: fx.random.permutation(key, 4_000_000), (KEY,), 1.55),
}


@pytest.mark.parametrize("name", LARGE_PROGRAMS)
def test_what_runs_side_by_side_does_not_fill_memory(name):
    """Each place of a window had an array of zeros with its terms, and where a kernel was full the
    views that it read stood in memory instead of what they are of; the sorts' keys came first; each
    carry had two buffers, and a convolution over gaps was written three times.
    """
    function, arguments, limit = LARGE_PROGRAMS[name]
    found = costs(lower_function(function, arguments))
    assert found["peak_bytes"] <= limit * found["bound_bytes"]


def test_lanes_that_read_what_they_write_are_as_right_in_one_buffer():
    x, y = np.random.default_rng(0).normal(size=(2, 20_000)).astype(np.float32)
    found = fx.jit(exchanged)(x, y)  # launches of 256 steps
    for _ in range(1000):
        x, y = y, np.sin(x) + np.float32(0.1)
    np.testing.assert_allclose(found, (x, y), 1e-5, 1e-5)


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


@pytest.mark.parametrize("n", [9, 11])
def test_merged_launches_of_a_loop_do_not_share_memory(n):
    """Merging moves the zeros of the counts to the launch that writes the distances."""
    rng = np.random.default_rng(0)
    x, c = (rng.standard_normal(s).astype(np.float32) for s in ((1000, 8), (10, 8)))

    def step(c, _):
        k = fnp.argmin(((x[:, None] - c[None]) ** 2).sum(-1), 1)
        total = fx.ops.segment_sum(fnp.asarray(x), k, 10)
        count = fx.ops.segment_sum(fnp.ones(1000), k, 10)
        return total / fnp.maximum(count, 1)[:, None], None

    def means(c):
        return lax.scan(step, c, None, length=n)[0]

    with fx.disable_jit():
        expected = means(fnp.asarray(c))
    np.testing.assert_allclose(fx.jit(means)(c), expected, rtol=1e-5, atol=1e-5)


def test_a_level_of_stencils_in_a_loop_keeps_what_it_reads():
    shifts = [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)]
    f = 1 + 0.01 * np.random.default_rng(0).standard_normal((9, 128, 128)).astype(np.float32)

    def step(f, _):
        f = fnp.stack([fnp.roll(f[k], s, (0, 1)) for k, s in enumerate(shifts)])
        r = f.sum(0)
        u = sum(s[0] * f[k] for k, s in enumerate(shifts)) / r
        v = sum(s[1] * f[k] for k, s in enumerate(shifts)) / r
        e = fnp.stack([r / 9 * (1 + s[0] * u + s[1] * v - u * u - v * v) for s in shifts])
        return f - (f - e) / 0.6, None

    def flow(f):
        return lax.scan(step, f, None, length=9)[0]

    with fx.disable_jit():
        expected = flow(fnp.asarray(f))
    np.testing.assert_allclose(fx.jit(flow)(f), expected, rtol=1e-4, atol=1e-4)


def halved(x):
    """A loop in one launch, after which a call looks at a flag in the arena."""
    return lax.while_loop(lambda c: c[0] < 9, lambda c: (c[0] + 1, fnp.cumsum(c[1]) / 2), (0, x))[1]


KEEPERS = {
    "launches": lambda x: (fnp.sort(x * 2)[::-1] + fnp.cumsum(x), x.sum()),
    "a flag": lambda x: (halved(x), x.sum()),
}


@pytest.mark.parametrize("calls", [1, 3, WRITE_AFTER + 3])
@pytest.mark.parametrize("n", [50, 200_000])
@pytest.mark.parametrize("kind", KEEPERS)
def test_what_the_pool_gives_back_no_function_keeps(kind, n, calls):
    """A function is bound to the block of its last call, which may be gigabytes; those of tests
    that ran earlier keep nothing either.
    """
    device = array.default_device()
    if device.interpreter or not device.shared:
        pytest.skip("blocks that the host sees")
    f = fx.jit(KEEPERS[kind])
    x = fnp.arange(n, dtype="float32")
    for _ in range(calls if n < 1000 else min(calls, 3)):
        before = [np.array(y) for y in f(x)]
    device.finish()
    blocks = [block for home in device.pool.free.values() for block in home]
    assert blocks
    memory = [weakref.ref(block.host.base) for block in blocks]
    del blocks
    device.pool.trim()
    assert device.pool.allocated >= 0
    assert not any(m() is not None for m in memory)
    for _ in range(2):
        for y, z in zip(f(x), before):
            np.testing.assert_array_equal(y, z)
