"""Pools of convolutions, which are folded in the convolution's kernel, against the interpreter."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax, nn
from lowering import compile as compiler
from lowering import graph as g
from lowering import interp, profile
from lowering.fuse import fuse
from lowering.rewrite import canon
from lowering.runtime import devices, execute

F32 = np.dtype(np.float32)
IMAGES, WEIGHTS = (3, 16, 8, 5), (3, 3, 5, 40)
PROFILES = {"avx512": profile.AVX512, "avx2": profile.AVX2}


def pooled(size, *, after=(), op="max", stride=None, twice=False, batch=IMAGES[0], last=True):
    """A graph: a convolution, a bias, relu, windows of `size`, then maps of one operand; `last`:
    channels come last.
    """
    b = g.Builder()
    x, w = b.input((batch, *IMAGES[1:]), F32), b.input(WEIGHTS, F32)
    bias = b.input((WEIGHTS[-1],), F32)
    a, f = b.transpose(x, (0, 3, 1, 2)), b.transpose(w, (3, 2, 0, 1))
    ones, pads = (1, 1), ((1, 1), (1, 1))
    shape = (batch, WEIGHTS[-1], *IMAGES[1:3])
    z = b.conv(a, f, shape, ones, pads, ones, ones, 1, F32)
    z = b.transpose(z, (0, 2, 3, 1)) if last else z
    bias = b.broadcast(bias, z.shape, (3 if last else 1,))
    z = b.map("max", b.map("add", z, bias), b.const(0, F32))
    size, steps = (1, *size, 1), (1, *(stride or size), 1)
    if not last:
        size, steps = (1, *size[:-1]), (1, *steps[:-1])
    out = tuple((n - k) // s + 1 for n, k, s in zip(z.shape, size, steps))
    start = b.const(-np.inf if op == "max" else 0, F32)
    y = b.window(op, z, start, out, size, steps, ((0, 0),) * 4, (1,) * 4, (1,) * 4)
    for name in after:
        y = b.map(name, y)
    return b.graph([y, z] if twice else [y])


def groups(graph, as_on):
    """The shapes of what kernels write that compute a product."""
    found = fuse(canon.canonicalize(graph, profile=as_on)).groups
    return [x.roots[0].node.shape for x in found if x.product is not None]


INSIDE = {
    "pairs of columns": ((1, 2), {}),
    "pairs of rows": ((2, 1), {}),
    "and more after them": ((2, 1), {"after": ("neg", "tanh")}),
    "sums": ((1, 2), {"op": "add"}),
    "one image": ((1, 2), {"batch": 1}),
    "channels first": ((1, 2), {"last": False}),
    "channels first, rows": ((2, 1), {"last": False, "after": ("neg",)}),
}


@pytest.mark.driver
@pytest.mark.parametrize("as_on", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("name", INSIDE)
def test_windows_side_by_side_are_folded_by_the_kernel_of_the_product(name, as_on):
    size, options = INSIDE[name]
    graph = pooled(size, **options)
    check(graph, as_on)
    assert groups(graph, as_on) == [graph.outputs[0].shape]


@pytest.mark.driver
@pytest.mark.parametrize("size", [(2, 2), (4, 2), (8, 1), (2, 4)])
@pytest.mark.parametrize("last", [True, False])
def test_a_tile_of_eight_rows_holds_windows_of_four_and_eight(size, last):
    graph = pooled(size, last=last)
    plan = check(graph, profile.AVX512)
    assert groups(graph, profile.AVX512) == [graph.outputs[0].shape]
    assert plan.arena_bytes < prod(IMAGES[:3]) * WEIGHTS[-1] * F32.itemsize


OUTSIDE = {
    "more rows than a tile": ((4, 4), {}),
    "no whole number in a tile": ((3, 3), {"stride": (3, 3)}),
    "some left over": ((1, 3), {"stride": (1, 3)}),
    "overlapping": ((2, 2), {"stride": (1, 1)}),
    "gaps between": ((1, 1), {"stride": (2, 2)}),
    "read elsewhere, too": ((2, 2), {"twice": True}),
}


@pytest.mark.driver
@pytest.mark.parametrize("name", OUTSIDE)
def test_other_windows_are_folded_by_a_kernel_of_their_own(name):
    size, options = OUTSIDE[name]
    graph = pooled(size, **options)
    check(graph, profile.AVX512)
    whole = prod(IMAGES[:3]) * WEIGHTS[-1]
    assert [prod(shape) for shape in groups(graph, profile.AVX512)] == [whole]


def check(graph, as_on):
    """Compile for a profile, run, compare with the interpreter; returns the plan."""
    shapes = [x.shape for x in graph.inputs]
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(s).astype(F32) for s in shapes]
    device = devices.default_device()
    plan = compiler.make_plan(graph, as_on)
    results, _ = execute.Executable(plan, device)([device.put(a) for a in arrays])
    device.finish()
    for r, o, want in zip(results, graph.outputs, interp.run_graph(graph, arrays), strict=True):
        np.testing.assert_allclose(device.fetch(r, o.shape, o.dtype), want, rtol=1e-4, atol=1e-4)
    return plan


@pytest.mark.lowering
@pytest.mark.parametrize("channels_last", [True, False])
def test_gradients_of_pools_and_what_else_reads_a_convolution(channels_last):
    random = np.random.default_rng(1)
    x, w = (jnp.asarray(random.standard_normal(s).astype(F32)) for s in (IMAGES, WEIGHTS))
    dims = ("NHWC", "HWIO", "NHWC" if channels_last else "NCHW")
    size = (1, 2, 2, 1) if channels_last else (1, 1, 2, 2)

    def f(x, w):
        y = nn.relu(lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=dims))
        return lax.reduce_window(y, -np.inf, lax.max, size, size, "VALID")

    functions = {
        "value": f,
        "gradient": fx.grad(lambda x, w: (f(x, w) ** 2).sum(), (0, 1)),
        "rows": lambda x, w: nn.softmax(f(x, w)),
        "of pools": lambda x, w: lax.reduce_window(f(x, w), 0.0, lax.add, size, size, "VALID"),
    }
    for name, h in functions.items():
        for got, want in zip(*(fx.tree_util.tree_leaves(r) for r in (fx.jit(h)(x, w), h(x, w)))):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3, err_msg=name)
