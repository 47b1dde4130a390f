"""Sort and TopK on a CPU: rows by insertion, by radix passes, by many items; walks for a few
largest. All give the interpreter's order, ties included.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from test_scatter import graph_of, on_cpu, run

import fx
import fx.numpy as fnp
from fx import lax
from lowering import graph as g
from lowering import host_sort, interp
from lowering.plan import HostStep
from lowering.runtime import devices
from lowering.templates import sorting, topk

pytestmark = pytest.mark.lowering

DTYPES = (
    np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64,
    np.float16, ml_dtypes.bfloat16, np.float32, np.float64,
)  # fmt: skip
SHAPES = {"insertion": (30, 17), "radix": (9, 700), "columns": (300, 20), "long": (40_000,)}


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def values(rng, shape, dtype, special=True):
    """Many ties; for floats NaN of both signs, zeros of both signs, infinities."""
    d = np.dtype(dtype)
    low = 0 if d.kind in "ub" else -90
    x = rng.integers(low, 2 if d.kind == "b" else 100, shape).astype(d)
    if d.itemsize >= 4 and d.kind in "iu":
        x = x * d.type(7_654_321)
    if d.kind == "i" and d.itemsize == 8:
        x = x * d.type(987_654_321)
    if special and d.kind in "fV":
        flat = x.reshape(-1)
        for value in (np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, 1e-3):
            flat[rng.integers(0, flat.size, max(1, flat.size // 20))] = value
    return x


def check(build, arrays, kernels=True):
    graph = graph_of(build, arrays)
    got, plan = run(graph, arrays)
    want = interp.run_graph(graph, arrays)
    for a, w in zip(got, want):
        assert np.asarray(a).tobytes() == np.asarray(w).tobytes()
    if on_cpu():
        assert any(isinstance(s, HostStep) for s in plan.steps) != kernels
    return plan


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("name", SHAPES)
def test_a_key_and_places(name, dtype, rng):
    x = values(rng, SHAPES[name], dtype)
    dim = 0 if name == "columns" else x.ndim - 1

    def build(b, x):
        return list(b.sort([x, b.iota(x.shape, dim, np.int32)], dim, 1))

    check(build, [x])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("name", SHAPES)
def test_a_key_and_counting_numbers_of_any_dtype(name, dtype, rng):
    """Places are known without memory, floats that count are read."""
    x = values(rng, SHAPES[name], np.int32)
    dim = 0 if name == "columns" else x.ndim - 1
    check(lambda b, x: list(b.sort([x, b.iota(x.shape, dim, dtype)], dim, 1)), [x])


@pytest.mark.parametrize("name", SHAPES)
def test_two_keys_of_different_width(name, rng):
    shape = SHAPES[name]
    a, c = values(rng, shape, np.int16), values(rng, shape, np.float64)
    payload = rng.standard_normal(shape).astype(np.float32)
    dim = 0 if name == "columns" else len(shape) - 1
    check(lambda b, *xs: list(b.sort(xs, dim, 2)), [a, c, payload])


def test_only_what_is_read_is_written(rng):
    x = values(rng, (64, 100), np.float32)

    def build(b, x):
        return [b.sort([x, b.iota(x.shape, 1, np.int32)], 1, 1)[1]]

    plan = check(build, [x])
    if on_cpu():
        assert plan.launches == 1
        assert len(plan.steps[0].writes) == 2  # the places and scratch


ROWS_OF_KEYS = [((40_000,), 0), ((2, 33_000), 1), ((33_000, 3), 0), ((21, 1000), 1), ((1500, 7), 0)]


def test_one_operand_is_numpys(rng):
    check(lambda b, x: list(b.sort([x], 1, 1)), [values(rng, (9, 700), np.int32)], kernels=False)
    x = values(rng, (40_000,), np.int32)
    quick = devices.default_device().profile.with_(host_sorts=True)
    _, plan = run(graph_of(lambda b, x: list(b.sort([x], 0, 1)), [x]), [x], quick)
    if on_cpu():
        assert [type(s) for s in plan.steps] == [HostStep]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("shape, dim", ROWS_OF_KEYS)
def test_one_operand_by_kernels_where_numpy_sorts_slowly(dtype, shape, dim, rng):
    x = values(rng, shape, dtype)
    graph = graph_of(lambda b, x: list(b.sort([x], dim, 1)), [x])
    profile = devices.default_device().profile.with_(host_sorts=False)
    (got,), plan = run(graph, [x], profile)
    np.testing.assert_array_equal(got, np.sort(x, axis=dim))
    if x.dtype.kind == "f":  # zeros keep their signs
        np.testing.assert_array_equal(
            np.signbit(got[got == got]).sum(), np.signbit(x[x == x]).sum()
        )
    if on_cpu():
        assert plan.launches and not any(isinstance(s, HostStep) for s in plan.steps)
        large = [b for b in plan.buffers if b.nbytes >= shape[dim] * x.itemsize]
        assert [b.kind for b in large].count("temp") <= 2  # keys, twice, and no places


def test_a_few_long_rows(rng):
    x = values(rng, (3, 33_000), np.float32)

    def build(b, x):
        return list(b.sort([x, b.iota(x.shape, 1, np.int32)], 1, 1))

    plan = check(build, [x])
    if on_cpu():
        assert plan.steps[0].groups > 1


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("k", (1, 5, 60, 120))
def test_top_k(dtype, k, rng):
    x = values(rng, (11, 300), dtype)
    check(lambda b, x: list(b.topk(x, k)), [x])


@pytest.mark.parametrize("k", (1, 8, 128, 129, 3000))
def test_top_k_of_a_long_row(k, rng):
    check(lambda b, x: list(b.topk(x, k)), [values(rng, (70_000,), np.float32)])


def test_top_k_of_falling_rising_and_equal_rows():
    n = 5000
    rows = [np.arange(n), np.arange(n)[::-1], np.zeros(n), np.full(n, np.nan)]
    check(lambda b, x: list(b.topk(x, 9)), [np.stack(rows).astype(np.float32)])


def test_ways():
    def made(shape, k):
        b = g.Builder()
        node = b.topk(b.input(shape, np.float32), k)[0].args[0]
        return sorting.job(node, {0, 1})

    assert topk.fits(made((4, 1000), 8))
    assert not topk.fits(made((4, 1000), 500))
    assert len(sorting.plan(made((4, 1000), 500)).stages) == 1
    assert len(sorting.plan(made((100_000,), 500)).stages) == 9


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint64", "float64"])
def test_halves_of_a_long_row_make_the_row(dtype):
    """Random, in order, all alike, with NaN and infinities; as one row of a matrix, as a column."""
    n = host_sort.LONG + 7
    x = (np.arange(n) * 7919 % 104729).astype(dtype)
    rows = [x, np.sort(x), np.sort(x)[::-1], np.zeros(n, dtype)]
    if x.dtype.kind == "f":
        wild = x.copy()
        wild[::3], wild[1::5], wild[2::7] = np.nan, np.inf, -np.inf
        rows.append(wild)
    for row in rows:
        want = np.sort(row)
        np.testing.assert_array_equal(host_sort.sort(row, 0), want)
        np.testing.assert_array_equal(host_sort.sort(row[None], 1)[0], want)
        np.testing.assert_array_equal(host_sort.sort(row[:, None], 0)[:, 0], want)


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint64", "float64", "float16", "complex64"])
@pytest.mark.parametrize(
    "shape, dim",
    [((2, 300_000), 1), ((1200, 500), 1), ((300, 501), 0), ((3, 700, 70), 1), ((1, 9), 0)],
)
def test_halves_of_many_rows_are_sorted(shape, dim, dtype, rng):
    """Stable: zeros of both signs come in their order."""
    x = rng.integers(-50, 50, shape).astype("float32")
    x[x == 0] *= rng.choice([1, -1], np.sum(x == 0))
    x[x == 49] = np.nan if dtype[0] == "f" else 49
    x = np.abs(x).astype(dtype) if dtype[0] == "u" else x.astype(dtype)
    given = x.copy()
    expected = np.sort(x, dim, kind="stable").tobytes()
    assert host_sort.sort(x, dim).tobytes() == expected and x.tobytes() == given.tobytes()
    assert host_sort.sort(np.asfortranarray(x), dim).tobytes() == expected


@pytest.mark.parametrize(
    "shape, by_host", [((1200, 64), False), ((500, 64), True), ((1200, 1), True)]
)
def test_long_columns_are_sorted_by_kernels(shape, by_host, rng):
    """NumPy copies each to sort it."""
    x = values(rng, shape, np.float32)
    quick = devices.default_device().profile.with_(host_sorts=True)
    (got,), plan = run(graph_of(lambda b, x: list(b.sort([x], 0, 1)), [x]), [x], quick)
    expected = np.sort(x, 0, kind="stable")
    np.testing.assert_array_equal(got, expected)
    minus = np.sum(np.signbit(expected) & (expected == 0), 0)
    np.testing.assert_array_equal(np.sum(np.signbit(got) & (got == 0), 0), minus)
    if on_cpu():
        assert by_host == any(isinstance(s, HostStep) for s in plan.steps)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u4", "f2"])
def test_eager_sorts_are_stable(dtype, axis):
    """NumPy's quick sorts are not: zeros of both signs, and places, come in their order."""
    rng = np.random.default_rng(0)
    x = (rng.integers(-40, 40, (90, 80)) / 4).astype("f4")
    x[x == 0] *= rng.choice([1, -1], np.sum(x == 0))
    x[rng.random(x.shape) < 0.05] = np.nan if dtype[0] == "f" else 7
    x = (np.abs(x) * 1e8 if dtype == "u4" else x).astype(dtype)
    expected = np.sort(x, axis, kind="stable")
    order = np.argsort(x, axis, kind="stable")
    numbers = np.arange(x.size).reshape(x.shape)
    with fx.enable_x64(True):
        assert np.asarray(fnp.sort(x, axis)).tobytes() == expected.tobytes()
        np.testing.assert_array_equal(fnp.argsort(x, axis), order)
        values, places = lax.sort_key_val(fnp.asarray(x), fnp.asarray(numbers), axis)
    np.testing.assert_array_equal(places, np.take_along_axis(numbers, order, axis))
    np.testing.assert_array_equal(values, expected)
