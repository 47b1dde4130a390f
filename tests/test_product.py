"""Products, convolutions and what is fused around them, against the interpreter."""

from __future__ import annotations

import re

import ml_dtypes
import numpy as np
import pytest

from lowering import compile as compiler
from lowering import graph as g
from lowering import interp, profile
from lowering.plan import IntArg, Launch
from lowering.runtime import devices, execute
from lowering.templates import progress, shared

pytestmark = pytest.mark.driver

F32, I32 = np.dtype(np.float32), np.dtype(np.int32)


def normal(*shape, dtype=F32, seed=0):
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(dtype)


def graph_of(build, arrays):
    b = g.Builder()
    out = build(b, *(b.input(a.shape, a.dtype) for a in arrays))
    return b.graph(out if isinstance(out, list) else [out])


def check(build, *arrays, tolerance=1e-5, as_on=None, **options):
    """Compile for a profile (default: the device's own), run, compare; returns the plan."""
    device = devices.default_device()
    graph = graph_of(build, arrays)
    plan = compiler.make_plan(graph, as_on or device.profile, **options)
    results, _ = execute.Executable(plan, device)([device.put(a) for a in arrays])
    device.finish()
    for r, o, want in zip(results, graph.outputs, interp.run_graph(graph, list(arrays))):
        got = device.fetch(r, o.shape, o.dtype).astype(np.float64)
        limit = tolerance * max(1.0, float(np.max(np.abs(want), initial=0.0)))
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want.astype(np.float64), rtol=0, atol=limit)
    return plan


def products(plan):
    """How many nests of a plan are epilogues of products, by the tile functions they call."""
    if not plan.programs:
        return 0
    return plan.programs[0].source.count(" tile_f") + plan.programs[0].source.count(" stream_f")


SIZES = [
    (64, 64, 64),
    (7, 33, 19),
    (100, 101, 99),
    (13, 257, 301),
    (129, 65, 600),
    (1, 512, 300),
    (2, 40, 77),
    (3, 100, 50),
    (300, 17, 9),
    (97, 8, 64),
    (256, 16, 1000),
    (50, 530, 260),
    (7, 1100, 300),
    (4, 2500, 133),
    (1, 3000, 77),
    (100, 24, 301),
    (9, 70, 40),
]


@pytest.mark.parametrize("m,n,k", SIZES)
@pytest.mark.parametrize("left,right", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_four_transpositions(m, n, k, left, right):
    x = normal(k, m) if left else normal(m, k)
    y = normal(n, k) if right else normal(k, n)
    plan = check(lambda b, x, y: b.contract(x, y, ((0 if left else 1,), (right,))), x, y)
    assert products(plan) or (m <= 2 and right)  # few rows by rows: folds, not a product


BATCHES = [
    ((40, 16, 16), (40, 16, 16), ((2,), (1,)), ((0,), (0,))),
    ((2, 3, 50, 20), (2, 3, 40, 20), ((3,), (3,)), ((0, 1), (0, 1))),
    ((2, 50, 3, 20), (2, 40, 3, 20), ((3,), (3,)), ((0, 2), (0, 2))),
    ((2, 50, 3, 20), (3, 20, 64), ((2, 3), (0, 1)), ((), ())),
    ((2, 3, 50, 20), (3, 20, 64), ((1, 3), (0, 1)), ((), ())),
    ((20, 30, 8), (8, 4, 25), ((2,), (0,)), ((), ())),
    ((4, 5, 6, 8, 9), (9, 4, 7, 5, 11), ((4,), (0,)), ((0, 1), (1, 3))),
]


@pytest.mark.parametrize("x,y,contract,batch", BATCHES)
def test_batches_and_several_axes(x, y, contract, batch):
    check(lambda b, x, y: b.contract(x, y, contract, batch), normal(*x), normal(*y))


def along_rows(b, v, z):
    return b.broadcast(v, z.shape, (z.ndim - 1,))


def product(b, x, y):
    return b.contract(x, y, ((x.ndim - 1,), (0,)))


def gelu(b, x):
    half, one = b.const(0.5, F32), b.const(1, F32)
    inner = b.map("erf", b.map("mul", x, b.const(0.70710678, F32)))
    return b.map("mul", b.map("mul", b.map("add", inner, one), half), x)


def bias_gelu(b, x, y, v):
    z = product(b, x, y)
    return gelu(b, b.map("add", z, along_rows(b, v, z)))


def two_outputs(b, x, y, v):
    z = b.map("add", product(b, x, y), along_rows(b, v, product(b, x, y)))
    return [z, b.map("max", z, b.const(0, F32))]


def heads(b, x, y, v):
    z = b.map("add", product(b, x, y), along_rows(b, v, product(b, x, y)))
    z = b.reshape(z, (4, x.shape[0] // 4, 4, y.shape[1] // 4))
    return b.map("tanh", b.transpose(z, (0, 2, 1, 3)))


@pytest.mark.parametrize("build", [bias_gelu, two_outputs, heads])
@pytest.mark.parametrize("n", [64, 128, 132])
def test_epilogues_are_one_kernel_with_the_product(build, n):
    plan = check(build, normal(100, 70), normal(70, n), normal(n))
    width = 2 * devices.default_device().profile.lanes(4)  # of a tile; heads hold whole ones
    if build is not heads or n // 4 % width == 0:
        assert len(plan.meta["nests"]) == 1


def test_prologue_is_computed_while_packing():
    def build(b, x, y):
        return b.contract(x, b.map("exp", y), ((1,), (1,)))

    plan = check(build, normal(100, 300), normal(520, 300) * F32.type(0.1))
    assert len(plan.meta["nests"]) == 2


def residual(b, x, y):
    return b.map("add", x, product(b, x, y))


def sum_of_squares(b, x, y):
    z = product(b, x, y)
    return b.reduce("add", b.map("mul", z, z), (0, 1))


def row_softmax(b, x, y):
    z = product(b, x, y)
    e = b.map("exp", b.map("sub", z, b.broadcast(b.reduce("max", z, (1,)), z.shape, (0,))))
    return b.map("div", e, b.broadcast(b.reduce("add", e, (1,)), z.shape, (0,)))


def gate(b, x, y):
    return b.map("mul", b.map("logistic", product(b, x, y)), product(b, x, b.map("neg", y)))


def window(b, x, y):
    return b.map("neg", b.slice(product(b, x, y), (3, 5), (30, 60)))


def transposed(b, x, y):
    return b.map("neg", b.transpose(product(b, x, y), (1, 0)))


def gram(b, x, y):
    return b.contract(b.map("tanh", x), b.map("tanh", x), ((0,), (0,)))


def gradient(b, x, y):
    t = b.map("tanh", product(b, x, y))
    d = b.map("sub", b.const(1, F32), b.map("mul", t, t))
    return [t, b.contract(x, d, ((0,), (0,))), b.contract(d, y, ((1,), (1,)))]


AROUND = [residual, sum_of_squares, row_softmax, gate, window, transposed, gram, gradient]


@pytest.mark.parametrize("build", AROUND)
@pytest.mark.parametrize("options", [{}, {"fuse": False}, {"products": False}])
def test_what_stands_around_a_product(build, options):
    check(build, normal(64, 64), normal(64, 64), **options)


def test_donated_operand_is_not_overwritten():
    x, y = normal(64, 64), normal(64, 64)
    device = devices.default_device()
    graph = graph_of(residual, (x, y))
    plan = compiler.make_plan(graph, device.profile, donated=(True, True))
    assert all(b.alias is None for b in plan.buffers)


NARROW = [(1, 2100, 300), (4, 2100, 600), (6, 64, 64), (70, 33, 90), (100, 24, 301)]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("m,n,k", NARROW)
@pytest.mark.parametrize("left,right", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_floats_of_16_bits_are_widened_in_the_product(m, n, k, left, right, dtype):
    x = (normal(k, m) if left else normal(m, k)).astype(dtype)
    y = (normal(n, k) if right else normal(k, n)).astype(dtype)

    def build(b, x, y):
        z = b.contract(x, y, ((0 if left else 1,), (right,)), ((), ()), F32)
        return b.map("tanh", z)

    plan = check(build, x, y, tolerance=3e-5)
    assert len(plan.meta["nests"]) == 1  # nothing is widened ahead


SHORT = [np.int8, np.uint8, np.int16, np.uint16]


def integers(dtype, *shape):
    """Of the whole range, both ends among them."""
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    x = np.random.default_rng(sum(shape)).integers(low, high, shape, endpoint=True)
    x.flat[::5], x.flat[1::7] = low, high
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", SHORT)
@pytest.mark.parametrize("m,n,k", NARROW)
@pytest.mark.parametrize("left,right", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_short_integers_are_widened_in_the_product(m, n, k, left, right, dtype):
    x = integers(dtype, *((k, m) if left else (m, k)))
    y = integers(dtype, *((n, k) if right else (k, n)))

    def build(b, x, y):
        return b.contract(x, y, ((0 if left else 1,), (right,)), ((), ()), I32)

    plan = check(build, x, y, tolerance=0)
    assert len(plan.meta["nests"]) == 1 and plan.arena_bytes == 0


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("m,n,k", NARROW)
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_converted_from_less_is_read_as_it_was(m, n, k, turned, dtype):
    """Weights of 8 bits by activations of 32: their panels were four times their size."""
    w = normal(k, n).astype(dtype) if np.dtype(dtype).kind in "fV" else integers(dtype, k, n)
    w = np.ascontiguousarray(w.T) if turned else w

    def build(b, x, w):
        wide = b.convert(w, F32)
        wide = b.transpose(wide, (1, 0)) if turned else wide
        return b.contract(x, wide, ((1,), (0,)), ((), ()), F32)

    plan = check(build, normal(m, k), w, tolerance=3e-5)
    assert len(plan.meta["nests"]) == 1 and plan.arena_bytes <= 4 * m * (k + 8)


@pytest.mark.parametrize(
    "cut", [(slice(1, None), slice(None)), (slice(None, None, 3), slice(2, 90))]
)
def test_parts_of_short_integers(cut):
    whole, y = integers(np.int8, 130, 97), integers(np.int8, 97, 80)
    k = len(range(*cut[1].indices(97)))

    def build(b, x, y):
        starts = tuple(c.indices(n)[0] for c, n in zip(cut, x.shape))
        stops = tuple(c.indices(n)[1] for c, n in zip(cut, x.shape))
        steps = tuple(c.indices(n)[2] for c, n in zip(cut, x.shape))
        x = b.slice(x, starts, stops, steps)
        return b.contract(x, b.slice(y, (0, 0), (k, 80)), ((1,), (0,)), ((), ()), I32)

    check(build, whole, y, tolerance=0)


@pytest.mark.parametrize("k", [1024, 1025, 4096])
def test_sums_of_short_integers_are_exact(k):
    """2**24 is the last whole number up to which a float32 holds each."""
    x = np.full((40, k), -128, np.int8)
    y = np.full((k, 48), -128, np.int8)
    x[:, 1], y[2] = 127, 127
    check(lambda b, x, y: b.contract(x, y, ((1,), (0,)), ((), ()), I32), x, y, tolerance=0)


@pytest.mark.parametrize("source,wide", [(np.uint8, np.int8), (np.int8, np.uint32)])
def test_conversions_that_change_numbers_are_made(source, wide):
    x, y = integers(source, 50, 60), integers(source, 60, 70)

    def build(b, x, y):
        return b.contract(b.convert(x, wide), b.convert(y, wide), ((1,), (0,)), ((), ()), I32)

    if wide is np.uint32:
        out = np.dtype(np.uint32)
        build = lambda b, x, y: b.contract(
            b.convert(x, wide), b.convert(y, wide), ((1,), (0,)), ((), ()), out
        )
    check(build, x, y, tolerance=0)


@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-12), (np.float16, 2e-3)])
def test_other_floats(dtype, tolerance):
    if dtype == np.float64 and not devices.default_device().profile.fp64:
        pytest.skip("no float64")
    x, y = normal(33, 50, dtype=dtype), normal(50, 70, dtype=dtype)
    check(lambda b, x, y: b.map("tanh", product(b, x, y)), x, y, tolerance=tolerance)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32])
@pytest.mark.parametrize("columns", [1, 3, 40])
def test_integers_wrap(dtype, columns):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    x = rng.integers(info.min, info.max, (460, 290), dtype, endpoint=True)
    y = rng.integers(info.min, info.max, (290, columns), dtype, endpoint=True)
    check(product, x, y, tolerance=0)


@pytest.mark.parametrize("x,y", [((0, 20), (20, 30)), ((20, 0), (0, 30)), ((20, 30), (30, 0))])
def test_empty(x, y):
    check(product, normal(*x), normal(*y))


@pytest.mark.parametrize("as_on", [profile.AVX512, profile.AVX2], ids=["avx512", "avx2"])
def test_tiles_of_other_processors(as_on):
    check(bias_gelu, normal(100, 70), normal(70, 130), normal(130), as_on=as_on)
    check(bias_gelu, normal(5, 700), normal(700, 130), normal(130), as_on=as_on)
    for left, right in ((0, 0), (0, 1), (1, 0), (1, 1)):  # panels filled in either order
        x = normal(*((300, 130) if left else (130, 300)), dtype=np.float64)
        y = normal(*((530, 300) if right else (300, 530)), dtype=np.float64)
        axes = ((1 - left,), (right,))
        check(lambda b, x, y, axes=axes: b.contract(x, y, axes), x, y, as_on=as_on)


@pytest.mark.parametrize("as_on", [profile.AVX512, profile.AVX2], ids=["avx512", "avx2"])
@pytest.mark.parametrize("m,n,k", [(50, 100, 90), (200, 100, 700), (131, 385, 40)])
@pytest.mark.parametrize("left,right", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_last_columns_have_a_tile_as_narrow_as_they_are(as_on, m, n, k, left, right):
    x, y = normal(*((k, m) if left else (m, k))), normal(*((n, k) if right else (k, n)))

    def build(b, x, y):
        return b.contract(x, y, ((1 - left,), (right,)))

    def tiles(columns):
        other = y[:columns] if right else y[:, :columns]
        graph = graph_of(build, (x, np.ascontiguousarray(other)))
        text = compiler.make_plan(graph, as_on).programs[0].source
        return {int(v) for v in re.findall(r"void tile_f32x\d+_\dx(\d)_", text)}

    assert tiles(n) == {1, 2} and tiles(96) == {2}
    check(build, x, y, as_on=as_on)


@pytest.mark.parametrize("dtype,lanes", [(np.float32, 16), (np.float64, 8)])
@pytest.mark.parametrize("over", [1, 2, 3])
@pytest.mark.parametrize("m", [20, 200])
def test_few_last_columns_are_half_a_vector_where_vectors_have_512_bits(m, over, dtype, lanes):
    n = 4 * lanes + over * lanes // 4
    x, y = normal(m, 90, dtype=dtype), normal(90, n, dtype=dtype)
    plan = check(lambda b, x, y: b.contract(x, y, ((1,), (0,))), x, y, as_on=profile.AVX512)
    found = {int(w) for w in re.findall(r"void tile_f\d+x(\d+)_", plan.programs[0].source)}
    assert found == ({lanes, lanes // 2} if over < 3 else {lanes})


@pytest.mark.parametrize("left,right", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_sums_that_are_left_and_taken_up_again(left, right):
    """More k than a strip of B has room for, with several strips and a narrow last one."""
    x = normal(*((1300, 70) if left else (70, 1300)))
    y = normal(*((290, 1300) if right else (1300, 290)))
    axes = ((1 - left,), (right,))
    check(lambda b, x, y: b.map("tanh", b.contract(x, y, axes)), x, y, tolerance=2e-4)


@pytest.mark.parametrize("m", [5, 7, 11])
@pytest.mark.parametrize("epilogue", [False, True])
def test_few_rows_that_are_packed_pass_what_is_streamed(m, epilogue):
    """Rows go by threes or fours past a large operand, and are packed that many in a tile."""

    def build(b, x, y):
        cut = b.slice(x, (0, 3, 0), (2, 387, m))
        z = b.contract(cut, y, ((0, 1), (0, 1)))
        return b.map("tanh", z) if epilogue else z

    x, y = normal(2, 389, m) / 30, normal(2, 384, 1100)
    plan = check(build, x, y, as_on=profile.AVX512, tolerance=1e-4)
    assert " stream_f" in plan.programs[0].source


def test_bits_do_not_depend_on_the_block_of_rows():
    """The same row gives the same bits in a product of any number of rows that tiles alike."""
    x, y = normal(180, 700), normal(700, 96)
    device = devices.default_device()
    got, blocks = [], []
    for rows in (180, 100):
        part = np.ascontiguousarray(x[:rows])
        plan = compiler.make_plan(graph_of(product, (part, y)), device.profile)
        (launch,) = (s for s in plan.walk() if isinstance(s, Launch))
        blocks.append([a.value for a in launch.args if isinstance(a, IntArg)])
        results, _ = execute.Executable(plan, device)([device.put(part), device.put(y)])
        device.finish()
        got.append(device.fetch(results[0], (rows, 96), F32)[:100].copy())
    if blocks[0][11] != blocks[1][11]:
        pytest.skip("this device's caches cut k into other blocks")
    np.testing.assert_array_equal(got[0], got[1])


def test_blocks_of_k_are_of_about_one_size():
    """A last block of a few k costs a tile's frame for nearly nothing."""
    for k, blocks in ((250, 1), (288, 1), (600, 2), (784, 3), (1100, 4)):
        plan = check(bias_gelu, normal(130, k), normal(k, 64), normal(64), tolerance=2e-4)
        size = -(-k // blocks // 8) * 8
        (launch,) = (s for s in plan.walk() if isinstance(s, Launch))
        assert size in [a.value for a in launch.args if isinstance(a, IntArg)], (k, size)


def test_large_operands_of_an_epilogue_are_asked_for_ahead():
    def moved(b, x, y, z):
        return b.map("add", b.contract(x, y, ((1,), (0,))), z)

    for n, expected in ((530, True), (64, False)):
        plan = check(moved, normal(300, 70), normal(70, n), normal(300, n))
        _, found, asking = plan.programs[0].source.partition("FX_STAGE void stage_0_ask(")
        assert bool(found) == expected
        assert not expected or asking.count("__builtin_prefetch(b") == 2


# ---------------------------------------------------------------- convolutions

CONVOLUTIONS = {
    "plain": ((2, 3, 9, 10), (16, 3, 3, 3), {}),
    "padded": ((2, 3, 9, 10), (16, 3, 3, 3), {"padding": ((1, 1), (1, 1))}),
    "1x1": ((2, 16, 9, 10), (20, 16, 1, 1), {}),
    "strided": ((2, 16, 12, 10), (24, 16, 3, 2), {"strides": (2, 1), "padding": ((1, 0), (0, 1))}),
    "window dilated": ((2, 16, 12, 10), (24, 16, 3, 2), {"rhs": (2, 3)}),
    "input dilated": ((2, 16, 6, 5), (24, 16, 3, 3), {"lhs": (2, 2), "padding": ((2, 2), (1, 2))}),
    "groups": ((2, 16, 6, 5), (48, 4, 3, 3), {"groups": 4, "padding": ((1, 1), (1, 1))}),
    "depthwise": ((2, 16, 6, 5), (16, 1, 3, 3), {"groups": 16, "padding": ((1, 1), (1, 1))}),
    "weight gradient": ((9, 24, 14, 14), (32, 24, 12, 12), {"padding": ((1, 1), (1, 1))}),
    "1d": ((3, 8, 100), (16, 8, 5), {"strides": (2,), "padding": ((2, 2),)}),
    "3d": ((2, 8, 6, 6, 6), (16, 8, 3, 3, 3), {"padding": ((1, 1),) * 3}),
    "wide gaps": ((2, 8, 6, 5), (16, 8, 2, 2), {"lhs": (3, 2), "padding": ((1, 0), (3, 1))}),
    "both dilated": (
        (2, 8, 6, 5),
        (16, 8, 3, 3),
        {"lhs": (2, 3), "rhs": (2, 2), "padding": ((4, 3), (5, 1))},
    ),
    "gaps, cropped": ((2, 8, 6, 9), (16, 8, 2, 3), {"lhs": (2, 2), "padding": ((-2, 1), (2, -3))}),
    "gaps along one axis": ((2, 8, 6, 9), (16, 8, 2, 3), {"lhs": (2, 1), "strides": (1, 2)}),
    "gaps and groups": ((2, 8, 6, 9), (16, 2, 3, 3), {"lhs": (2, 2), "groups": 4}),
    "gaps, one channel": ((2, 8, 6, 9), (1, 8, 3, 3), {"lhs": (2, 2)}),
    "narrow": ((8, 16, 20, 20), (3, 16, 3, 3), {"padding": ((1, 1), (1, 1))}),
    "few channels": ((2, 3, 9, 10), (4, 3, 3, 3), {}),
}


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, channels_last):
    x, w, options = CONVOLUTIONS[name]
    rank, image, channels = len(x) - 2, x[0], w[0]
    ones, none = (1,) * rank, ((0, 0),) * rank
    strides, padding = options.get("strides", ones), options.get("padding", none)
    lhs, rhs = options.get("lhs", ones), options.get("rhs", ones)
    out = tuple(
        ((n - 1) * l + 1 + sum(p) - ((t - 1) * r + 1)) // s + 1
        for n, t, s, p, l, r in zip(x[2:], w[2:], strides, padding, lhs, rhs)
    )

    def build(b, a, f):
        if channels_last:
            a = b.transpose(a, (0, rank + 1, *range(1, rank + 1)))
            f = b.transpose(f, (rank + 1, rank, *range(rank)))
        groups = options.get("groups", 1)
        z = b.conv(a, f, (image, channels, *out), strides, padding, lhs, rhs, groups, F32)
        z = b.map("max", z, b.const(0, F32))
        return b.transpose(z, (0, *range(2, rank + 2), 1)) if channels_last else z

    if channels_last:
        x, w = (x[0], *x[2:], x[1]), (*w[2:], w[1], w[0])
    check(build, normal(*x), normal(*w))


@pytest.mark.parametrize("op", ["ge", "gt", "le", "lt"])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("k", [8, 40])
def test_tiles_that_a_mask_discards_are_not_computed(op, side, k, monkeypatch):
    """What is masked may be infinite; what is not must be computed. In loops of their own, and in
    those that products share.
    """
    seen = []
    arguments = shared.Shared.arguments

    def caught(self, *args):
        found = arguments(self, *args)
        seen.append((dict(zip(progress.NUMBERS, found)), self.form.rows, self.form.columns))
        return found

    monkeypatch.setattr(shared.Shared, "arguments", caught)

    def build(b, x, y):
        z = b.contract(x, y, ((2,), (2,)), ((0,), (0,)))
        rows, columns = b.iota(z.shape, 1, I32), b.iota(z.shape, 2, I32)
        masked = b.const(-7, F32)
        z = b.map("mul", z, b.const(0.5, F32))
        z = b.map("select", b.map(op, rows, columns), *((z, masked), (masked, z))[side])
        e = b.map("exp", b.map("sub", z, b.broadcast(b.reduce("max", z, (2,)), z.shape, (0, 1))))
        return b.map("add", e, b.broadcast(b.reduce("add", e, (2,)), z.shape, (0, 1)))

    x, y = normal(2, 70, k), normal(2, 75, k)
    plan = check(build, x, y)
    if devices.default_device().profile.schedule != "cpu":
        return
    assert bool(seen) == (k == 40)
    if not seen:
        assert ">= 0) tile_" in plan.programs[0].source
    holds = getattr(
        np, {"ge": "greater_equal", "gt": "greater", "le": "less_equal"}.get(op, "less")
    )
    for n, height, width in seen:
        for r in range(0, 70, height):
            for t in range(0, 75, width):
                tile = np.indices((height, width)) + np.array([r, t])[:, None, None]
                read = np.any(holds(*tile) == (side == 0))
                assert (n["needed"] + n["by_row"] * r + n["by_column"] * t >= 0) == read


@pytest.mark.parametrize(
    "shape,size,padding",
    [
        ((2, 5, 6, 8), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))),
        ((2, 5, 6, 8), (1, 2, 3, 1), ((0, 0), (3, 1), (0, 4), (0, 0))),
        ((7, 5), (3, 2), ((2, 2), (-1, 1))),
    ],
)
def test_sums_of_windows_as_wide_as_the_gaps_repeat_elements(shape, size, padding):
    """The gradient of pooling by sums."""
    ones = (1,) * len(shape)
    out = tuple((n - 1) * d + 2 + sum(p) - d for n, d, p in zip(shape, size, padding))

    def build(b, x):
        return b.window("add", x, b.const(0, F32), out, size, ones, padding, size, ones)

    check(build, normal(*shape))
